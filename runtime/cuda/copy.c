/* Transfers between the host's arrays, of any strides, and row-major ones on the device, through pinned staging buffers: the processor fills or
 * empties one while the other is on its way. An array is a number of runs of equal length, which lie anywhere on the host. */
#include "runtime/cuda/device.h"

#include <string.h>

typedef struct runs {
    uint32_t rank;               /* outer dimensions */
    const int64_t *extents, *strides;
    int64_t index[QN__MAX_RANK];
    char *at;                    /* the run that is being worked on, and how far */
    size_t bytes, done;
} runs;

/* The inner dimensions that lie together make one run. Returns the bytes of the whole array. */
static size_t begin(runs *r, uint32_t rank, const int64_t *extents, uint32_t bytes, const void *data, const int64_t *strides) {
    memset(r, 0, sizeof *r);
    r->extents = extents;
    r->strides = strides;
    r->at = (char *)(uintptr_t)data;
    r->bytes = bytes;
    size_t total = bytes;
    for (uint32_t d = 0; d < rank; d++) total *= (size_t)extents[d];
    for (r->rank = rank; r->rank > 0; r->rank--) {
        const uint32_t d = r->rank - 1;
        if (extents[d] != 1 && strides[d] != (int64_t)r->bytes) break;
        r->bytes *= (size_t)extents[d];
    }
    return total;
}

static void next_run(runs *r) {
    r->done = 0;
    for (uint32_t d = r->rank; d-- > 0;) {
        r->at += r->strides[d];
        if (++r->index[d] < r->extents[d]) return;
        r->at -= r->index[d] * r->strides[d];
        r->index[d] = 0;
    }
}

static void walk(runs *r, unsigned char *staging, size_t bytes, bool out) {
    while (bytes > 0) {
        const size_t n = bytes < r->bytes - r->done ? bytes : r->bytes - r->done;
        if (out) memcpy(r->at + r->done, staging, n);
        else memcpy(staging, r->at + r->done, n);
        staging += n;
        bytes -= n;
        r->done += n;
        if (r->done == r->bytes) next_run(r);
    }
}

/* Room in the staging buffer that is being filled: at most `wanted` bytes, at least one. */
static qn__cu_result reserve(qn__cuda_lane *lane, size_t wanted, size_t *got) {
    const qn__cuda_driver *d = lane->device->driver;
    if (lane->filled == QN__CUDA_CHUNK) {
        qn__cu_result result = d->cuEventRecord(lane->done[lane->current], lane->stream);
        lane->current ^= 1;
        lane->filled = 0;
        if (result == CU_SUCCESS) result = d->cuEventSynchronize(lane->done[lane->current]);
        if (result != CU_SUCCESS) return result;
    }
    const size_t room = QN__CUDA_CHUNK - lane->filled;
    *got = wanted < room ? wanted : room;
    return CU_SUCCESS;
}

bool qn__cuda_send(qn__cuda_lane *lane, uint32_t rank, const int64_t *extents, uint32_t bytes, uint64_t to, const void *from,
                   const int64_t *strides, bool pinned, qn__cuda_error *error) {
    const qn__cuda_driver *d = lane->device->driver;
    runs r;
    const size_t total = begin(&r, rank, extents, bytes, from, strides);
    qn__cu_result result = CU_SUCCESS;
    if (total && pinned && r.rank == 0) result = d->cuMemcpyHtoDAsync(to, from, total, lane->stream);
    else
        for (size_t at = 0, n; at < total; at += n) {
            result = reserve(lane, total - at, &n);
            if (result != CU_SUCCESS) break;
            unsigned char *staging = lane->staging[lane->current] + lane->filled;
            walk(&r, staging, n, false);
            lane->filled += n;
            result = d->cuMemcpyHtoDAsync(to + at, staging, n, lane->stream);
            if (result != CU_SUCCESS) break;
        }
    return result == CU_SUCCESS || qn__cuda_device_fail(lane->device, error, result, "an array cannot be copied to the device");
}

static qn__cu_result fetch_part(qn__cuda_lane *lane, uint32_t number, uint64_t from, size_t total) {
    const size_t at = (size_t)number * QN__CUDA_CHUNK;
    const size_t n = total - at < QN__CUDA_CHUNK ? total - at : QN__CUDA_CHUNK;
    const qn__cu_result result = lane->device->driver->cuMemcpyDtoHAsync(lane->staging[number & 1], from + at, n, lane->stream);
    return result == CU_SUCCESS ? lane->device->driver->cuEventRecord(lane->done[number & 1], lane->stream) : result;
}

static qn__cu_result fetch_parts(qn__cuda_lane *lane, runs *r, uint64_t from, size_t total) {
    const uint32_t parts = (uint32_t)((total + QN__CUDA_CHUNK - 1) / QN__CUDA_CHUNK);
    qn__cu_result result = fetch_part(lane, 0, from, total);
    for (uint32_t i = 0; i < parts && result == CU_SUCCESS; i++) {
        if (i + 1 < parts) result = fetch_part(lane, i + 1, from, total);
        if (result == CU_SUCCESS) result = lane->device->driver->cuEventSynchronize(lane->done[i & 1]);
        const size_t at = (size_t)i * QN__CUDA_CHUNK;
        if (result == CU_SUCCESS) walk(r, lane->staging[i & 1], total - at < QN__CUDA_CHUNK ? total - at : QN__CUDA_CHUNK, true);
    }
    return result;
}

bool qn__cuda_fetch(qn__cuda_lane *lane, uint32_t rank, const int64_t *extents, uint32_t bytes, void *to, const int64_t *strides,
                    uint64_t from, bool pinned, qn__cuda_error *error) {
    runs r;
    const size_t total = begin(&r, rank, extents, bytes, to, strides);
    qn__cu_result result = CU_SUCCESS;
    if (total && pinned && r.rank == 0) {
        result = lane->device->driver->cuMemcpyDtoHAsync(to, from, total, lane->stream);
        if (result == CU_SUCCESS) result = lane->device->driver->cuStreamSynchronize(lane->stream);
    } else if (total) {
        result = fetch_parts(lane, &r, from, total);
    }
    return result == CU_SUCCESS || qn__cuda_device_fail(lane->device, error, result, "an array cannot be copied from the device");
}
