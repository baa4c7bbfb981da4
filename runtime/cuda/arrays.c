/* The arrays of a run. On the device each is row-major without gaps in a buffer whose rest up to 16 bytes is its own. Those of the host are copied
 * into buffers of the run; those that lie on the device already are used where they are, if they lie like that. Nothing of the call's that lies on the
 * host is written before the kernel is known to have ended well. */
#include "runtime/cuda/run.h"

#include "runtime/call_private.h"

#include <stdlib.h>
#include <string.h>

static const size_t MOST_RETIRED = (size_t)256 << 20; /* bytes that may wait for the device */

static qn__where where_of(const qn__cuda_run *run, uint32_t array) {
    return run->call->where ? (qn__where)run->call->where[array] : QN__WHERE_HOST;
}
static uint32_t element(const qn__cuda_run *run, uint32_t array) { return qn__type_bytes((qn__type)run->image->arrays[array].type); }
static bool is_written(const qn__image_array *a) { return a->kind == QN__ARRAY_OUT || a->kind == QN__ARRAY_INOUT; }

/* ---- buffers ---- */

int32_t qn__cuda_retire(qn__cuda_run *run, uint64_t address, size_t bytes) {
    if (run->retired_count == run->retired_capacity) {
        const size_t wanted = run->retired_capacity ? run->retired_capacity * 2 : 16;
        qn__cuda_retired *grown = realloc(run->retired, wanted * sizeof *grown);
        if (!grown) {
            qn__cuda_refuse(&run->error, QN__CUDA_NO_MEMORY, "out of memory");
            return qn__cuda_refused(run);
        }
        run->retired = grown;
        run->retired_capacity = wanted;
    }
    run->retired[run->retired_count++] = (qn__cuda_retired){address, bytes};
    run->retired_bytes += bytes;
    return run->retired_bytes > MOST_RETIRED ? qn__cuda_settle(run) : 0;
}

void qn__cuda_drop_retired(qn__cuda_run *run) {
    while (run->retired_count) {
        run->retired_count--;
        qn__cuda_lane_free(run->lane, run->retired[run->retired_count].address, run->retired[run->retired_count].bytes);
    }
    run->retired_bytes = 0;
}

/* A buffer in place of what the run had there. */
static int32_t renew(qn__cuda_run *run, qn__cuda_buffer *buffer, size_t bytes) {
    if (buffer->owned && buffer->address && buffer->bytes == bytes) return 0;
    const qn__cuda_buffer old = *buffer;
    buffer->address = 0;
    buffer->owned = false;
    if (old.owned && old.address) {
        const int32_t kind = qn__cuda_retire(run, old.address, old.bytes);
        if (kind) return kind;
    }
    bool ok = qn__cuda_lane_allocate(run->lane, bytes, &buffer->address, &run->error);
    if (!ok && run->error.failure == QN__CUDA_NO_MEMORY && run->retired_count) {
        const int32_t kind = qn__cuda_settle(run);
        if (kind) return kind;
        ok = qn__cuda_lane_allocate(run->lane, bytes, &buffer->address, &run->error);
    }
    if (!ok) {
        const int32_t kind = qn__cuda_refused(run);
        run->frame->fault.extent = kind == QN__FAULT_MEMORY ? (int64_t)bytes : 0;
        return kind;
    }
    buffer->owned = true;
    buffer->bytes = bytes;
    return 0;
}

int32_t qn__cuda_give(qn__cuda_run *run, uint32_t array, const int64_t *extents) {
    const uint32_t rank = run->image->arrays[array].rank;
    const int64_t bytes = qn__array_bytes(rank, extents, element(run, array));
    run->frame->fault = (qn__fault){.kind = QN__FAULT_SIZE};
    for (uint32_t d = 0; bytes < 0 && d < rank; d++)
        if (extents[d] < 0 || extents[d] >= QN__EXTENT_LIMIT) run->frame->fault.index = extents[d];
    if (bytes < 0) return QN__FAULT_SIZE;
    memcpy(run->arrays[array].extent, extents, sizeof run->arrays[array].extent);
    return renew(run, &run->arrays[array], (size_t)bytes);
}

int32_t qn__cuda_give_scratch(qn__cuda_run *run, uint32_t scratch, uint64_t bytes) {
    qn__cuda_buffer *buffer = &run->scratch[scratch];
    if (buffer->owned && buffer->bytes >= bytes) return 0;
    if (bytes > (uint64_t)QN__BYTES_LIMIT) {
        qn__cuda_refuse(&run->error, QN__CUDA_NO_MEMORY, "the device has no %llu bytes of memory", (unsigned long long)bytes);
        return qn__cuda_refused(run);
    }
    return renew(run, buffer, (size_t)bytes);
}

void qn__cuda_drop_arrays(qn__cuda_run *run) {
    qn__cuda_drop_retired(run);
    for (uint32_t i = 0; i < run->image->array_count; i++)
        if (run->arrays[i].owned) qn__cuda_lane_free(run->lane, run->arrays[i].address, run->arrays[i].bytes);
    for (uint32_t i = 0; i < run->plan->scratch_count; i++)
        if (run->scratch[i].owned) qn__cuda_lane_free(run->lane, run->scratch[i].address, run->scratch[i].bytes);
    free(run->retired);
}

/* ---- to the device ---- */

/* Whether entries may work in an array of the caller's where it is: nothing else lies in the 16 bytes around its ends. */
static bool usable(const qn__cuda_run *run, uint64_t address, size_t bytes) {
    qn__cu_address base = 0;
    size_t size = 0;
    if (address % QN__CUDA_UNIT) return false;
    if (bytes % QN__CUDA_UNIT == 0) return true;
    return run->driver->cuMemGetAddressRange(&base, &size, address) == CU_SUCCESS && base == address &&
           size >= (bytes + QN__CUDA_UNIT - 1) / QN__CUDA_UNIT * QN__CUDA_UNIT;
}

static int32_t between(qn__cuda_run *run, uint64_t to, uint64_t from, size_t bytes) {
    if (!bytes || to == from) return 0;
    const qn__cu_result result = run->driver->cuMemcpyDtoDAsync(to, from, bytes, run->lane->stream);
    return result == CU_SUCCESS ? 0 : qn__cuda_broken(run, result, "an array cannot be copied");
}

static int32_t bring_one(qn__cuda_run *run, uint32_t array) {
    const qn__image_array *a = &run->image->arrays[array];
    const qn__view *view = &run->frame->views[array];
    qn__cuda_buffer *buffer = &run->arrays[array];
    const qn__where where = where_of(run, array);
    const bool read = a->kind != QN__ARRAY_OUT;
    const int64_t bytes = qn__array_bytes(a->rank, view->extent, element(run, array));
    memcpy(buffer->extent, view->extent, a->rank * sizeof *view->extent);
    if (where == QN__WHERE_DEVICE && usable(run, (uint64_t)(uintptr_t)view->data, (size_t)bytes)) {
        buffer->address = (uint64_t)(uintptr_t)view->data;
        buffer->bytes = (size_t)bytes;
        if (buffer->address) return 0;
    }
    const int32_t kind = renew(run, buffer, (size_t)bytes);
    if (kind || !read || !bytes) return kind;
    if (where == QN__WHERE_DEVICE) return between(run, buffer->address, (uint64_t)(uintptr_t)view->data, (size_t)bytes);
    int64_t strides[QN__MAX_RANK];
    for (uint32_t d = 0; d < a->rank; d++) strides[d] = view->stride[d] * element(run, array);
    qn__cuda_span_begin(run, QN__SPAN_IN, a->name, (uint64_t)bytes);
    const bool sent = qn__cuda_send(run->lane, a->rank, view->extent, element(run, array), buffer->address, view->data, strides,
                                    where == QN__WHERE_PINNED, &run->error);
    qn__cuda_span_end(run);
    run->call->bytes_in += (uint64_t)bytes;
    return sent ? 0 : qn__cuda_refused(run);
}

int32_t qn__cuda_bring(qn__cuda_run *run) {
    for (uint32_t i = 0; i < run->image->array_count; i++) {
        const qn__image_array *a = &run->image->arrays[i];
        if (a->kind == QN__ARRAY_TEMP || (a->kind == QN__ARRAY_OUT && run->kernel->allocated[i]) || (!is_written(a) && !run->kernel->used[i])) continue;
        const int32_t kind = bring_one(run, i);
        if (kind) return kind;
    }
    return 0;
}

/* ---- back ---- */

static size_t bytes_of(const qn__cuda_run *run, uint32_t array) {
    return (size_t)qn__array_bytes(run->image->arrays[array].rank, run->arrays[array].extent, element(run, array));
}

/* Written arrays of the host that the plan did not size itself: their places are known. */
static bool is_plain(const qn__cuda_run *run, uint32_t array) {
    return is_written(&run->image->arrays[array]) && !run->kernel->allocated[array] && where_of(run, array) != QN__WHERE_DEVICE;
}

static size_t padded(size_t bytes) { return (bytes + 15) / 16 * 16; }

/* All results together fit into a staging buffer: their copies and the question for faults are one wait. */
static int32_t collect_small(qn__cuda_run *run) {
    size_t at = 0;
    for (uint32_t i = 0; i < run->image->array_count; i++) {
        const size_t bytes = is_plain(run, i) ? bytes_of(run, i) : 0;
        if (!bytes) continue;
        qn__cuda_span_begin(run, QN__SPAN_OUT, run->image->arrays[i].name, bytes);
        const qn__cu_result result = run->driver->cuMemcpyDtoHAsync(run->lane->staging[0] + at, run->arrays[i].address, bytes, run->lane->stream);
        qn__cuda_span_end(run);
        if (result != CU_SUCCESS) return qn__cuda_broken(run, result, "an array cannot be copied from the device");
        at += padded(bytes);
    }
    const int32_t kind = qn__cuda_settle(run);
    if (kind) return kind;
    at = 0;
    for (uint32_t i = 0; i < run->image->array_count; i++) {
        const size_t bytes = is_plain(run, i) ? bytes_of(run, i) : 0;
        if (!bytes) continue;
        const qn__image_array *a = &run->image->arrays[i];
        const qn__view *view = &run->frame->views[i];
        int64_t to[QN__MAX_RANK], from[QN__MAX_RANK];
        qn__row_major(a->rank, view->extent, element(run, i), from);
        for (uint32_t d = 0; d < a->rank; d++) to[d] = view->stride[d] * element(run, i);
        qn__copy_strided(a->rank, view->extent, element(run, i), view->data, to, run->lane->staging[0] + at, from);
        run->call->bytes_out += bytes;
        at += padded(bytes);
    }
    return 0;
}

static int32_t fetch(qn__cuda_run *run, uint32_t array) {
    const qn__image_array *a = &run->image->arrays[array];
    const qn__view *view = &run->frame->views[array];
    const size_t bytes = bytes_of(run, array);
    int64_t strides[QN__MAX_RANK];
    if (!bytes) return 0;
    for (uint32_t d = 0; d < a->rank; d++) strides[d] = view->stride[d] * element(run, array);
    qn__cuda_span_begin(run, QN__SPAN_OUT, a->name, bytes);
    const bool fetched = qn__cuda_fetch(run->lane, a->rank, view->extent, element(run, array), view->data, strides, run->arrays[array].address,
                                        where_of(run, array) == QN__WHERE_PINNED, &run->error);
    qn__cuda_span_end(run);
    run->call->bytes_out += bytes;
    return fetched ? 0 : qn__cuda_refused(run);
}

/* An array that the plan sized gets its place in the call now. */
static int32_t place(qn__cuda_run *run, uint32_t array) {
    const int32_t kind = run->frame->services->allocate(run->frame, array, run->arrays[array].extent);
    return kind;
}

static uint64_t home(const qn__cuda_run *run, uint32_t array) { return (uint64_t)(uintptr_t)run->frame->views[array].data; }

/* Arrays whose place is on the device but that are elsewhere after a swap. What is in another one's place is saved first. */
static int32_t send_home(qn__cuda_run *run) {
    for (uint32_t i = 0; i < run->image->array_count; i++) {
        if (!is_written(&run->image->arrays[i]) || where_of(run, i) != QN__WHERE_DEVICE) continue;
        if (run->arrays[i].owned || run->arrays[i].address == home(run, i)) continue;
        qn__cuda_buffer *buffer = &run->arrays[i];
        const uint64_t from = buffer->address;
        int32_t kind = renew(run, buffer, bytes_of(run, i));
        if (!kind) kind = between(run, buffer->address, from, bytes_of(run, i));
        if (kind) return kind;
    }
    for (uint32_t i = 0; i < run->image->array_count; i++) {
        if (!is_written(&run->image->arrays[i]) || where_of(run, i) != QN__WHERE_DEVICE) continue;
        const int32_t kind = between(run, home(run, i), run->arrays[i].address, bytes_of(run, i));
        if (kind) return kind;
    }
    return qn__cuda_settle(run);
}

int32_t qn__cuda_collect(qn__cuda_run *run) {
    size_t total = 0;
    for (uint32_t i = 0; i < run->image->array_count; i++)
        if (is_plain(run, i)) total += padded(bytes_of(run, i));
    const bool small = total <= QN__CUDA_CHUNK;
    int32_t kind = small ? collect_small(run) : qn__cuda_settle(run);
    bool on_device = false;
    for (uint32_t i = 0; i < run->image->array_count && !kind; i++) {
        const qn__image_array *a = &run->image->arrays[i];
        if (!is_written(a)) continue;
        if (run->kernel->allocated[i] && a->kind == QN__ARRAY_OUT) kind = place(run, i);
        if (kind) break;
        if (where_of(run, i) == QN__WHERE_DEVICE) on_device = true;
        else if (!is_plain(run, i) || !small) kind = fetch(run, i);
    }
    if (!kind && on_device) kind = send_home(run);
    if (!kind && run->mark_count && run->driver->cuStreamSynchronize(run->lane->stream) == CU_SUCCESS) qn__cuda_spans_settle(run);
    return kind;
}
