/* What raw functions ask of the runtime: memory while the kernel runs, and the end of a call that needs one.
 *
 * Memory is of the C library, one block per array, in a list that hangs on the call; every block is freed at its end.
 * An existential output is written where the caller has room for it. What `swap` moved elsewhere is copied back at the end. */
#include "runtime/raw.h"

#include "runtime/call_private.h"

#include <quern/quern.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stands before the data of a block, which is aligned. */
typedef struct block { struct block *next; size_t bytes; } block;
_Static_assert(sizeof(block) <= QN__ALIGNMENT, "a block's header does not fit before its data");

static void *data_of(block *b) { return (char *)b + QN__ALIGNMENT; }

static block **find_block(qn__raw_call *call, const void *data) {
    block **at = (block **)&call->blocks;
    while (*at && data_of(*at) != data) at = &(*at)->next;
    return at;
}

static void *make_block(qn__raw_call *call, int64_t bytes) {
    const size_t size = ((size_t)bytes + 2 * QN__ALIGNMENT - 1) / QN__ALIGNMENT * QN__ALIGNMENT;
    block *b = aligned_alloc(QN__ALIGNMENT, size < 2 * QN__ALIGNMENT ? 2 * QN__ALIGNMENT : size);
    if (!b) return NULL;
    *b = (block){call->blocks, (size_t)bytes};
    call->blocks = b;
    return data_of(b);
}

static void drop_block(block **at) {
    block *b = *at;
    *at = b->next;
    free(b);
}

static bool is_written(const qn__image_array *a) { return a->kind == QN__ARRAY_OUT || a->kind == QN__ARRAY_INOUT; }

static void set_view(qn__view *view, void *data, uint32_t rank, const int64_t *extents) {
    view->data = data;
    memmove(view->extent, extents, rank * sizeof *extents);
    qn__row_major(rank, view->extent, 1, view->stride);
}

/* Whether some view other than `array`'s works in this memory: a swap may have moved it there. */
static bool used_elsewhere(const qn__raw_call *call, uint32_t array, const void *data) {
    for (uint32_t i = 0; i < call->kernel->array_count; i++)
        if (i != array && call->frame.views[i].data == data) return true;
    return false;
}

/* Room that the caller gave for an output; a fault when it is too small. *data stays NULL where a block is needed. */
static int32_t use_given(qn__raw_call *call, uint32_t array, const int64_t *extents, void **data) {
    const qn__view *given = &call->given[array];
    const uint32_t rank = call->kernel->arrays[array].rank;
    for (uint32_t d = 0; d < rank; d++) {
        if (extents[d] <= given->extent[d]) continue;
        call->frame.fault = (qn__fault){.kind = QN__FAULT_SIZE, .index = extents[d], .extent = given->extent[d]};
        set_view(&call->frame.views[array], NULL, rank, extents);
        return QN__FAULT_SIZE;
    }
    if (!used_elsewhere(call, array, given->data)) *data = given->data;
    return QN__FAULT_NONE;
}

static int32_t allocate(qn__frame *frame, uint32_t array, const int64_t *extents) {
    qn__raw_call *call = frame->runtime;
    const qn__image_array *a = &call->kernel->arrays[array];
    qn__view *view = &frame->views[array];
    const int64_t bytes = qn__array_bytes(a->rank, extents, qn__type_bytes((qn__type)a->type));
    frame->fault = (qn__fault){.kind = QN__FAULT_SIZE};
    for (uint32_t d = 0; bytes < 0 && d < a->rank; d++)
        if (extents[d] < 0 || extents[d] >= QN__EXTENT_LIMIT) frame->fault.index = extents[d];
    if (bytes < 0) return QN__FAULT_SIZE;
    block **old = find_block(call, view->data);
    void *data = NULL;
    if (is_written(a) && use_given(call, array, extents, &data)) return QN__FAULT_SIZE;
    if (!data && *old && (*old)->bytes == (size_t)bytes) data = data_of(*old);
    else if (*old) drop_block(old);
    if (!data) data = make_block(call, bytes);
    if (!data) view->data = NULL;
    frame->fault = (qn__fault){.kind = QN__FAULT_MEMORY, .extent = bytes};
    if (!data) return QN__FAULT_MEMORY;
    set_view(view, data, a->rank, extents);
    return QN__FAULT_NONE;
}

/* The stop flag of a raw call is never set. */
static int32_t poll(qn__frame *frame) {
    (void)frame;
    return QN__FAULT_NONE;
}

static int64_t bytes_of(const qn__raw_call *call, uint32_t array) {
    const qn__image_array *a = &call->kernel->arrays[array];
    return qn__array_bytes(a->rank, call->frame.views[array].extent, qn__type_bytes((qn__type)a->type));
}

static bool is_displaced(const qn__raw_call *call, uint32_t array) {
    return is_written(&call->kernel->arrays[array]) && call->frame.views[array].data != call->given[array].data;
}

/* First everything that lies in another array's memory is taken out, then all is copied where the caller expects it. */
static int32_t bring_back(qn__raw_call *call) {
    qn__view *views = call->frame.views;
    for (uint32_t i = 0; i < call->kernel->array_count; i++) {
        if (!is_displaced(call, i) || *find_block(call, views[i].data)) continue;
        const int64_t bytes = bytes_of(call, i);
        void *copy = make_block(call, bytes);
        call->frame.fault = (qn__fault){.kind = QN__FAULT_MEMORY, .extent = bytes};
        if (!copy) return QN__FAULT_MEMORY;
        if (bytes > 0 && views[i].data) memcpy(copy, views[i].data, (size_t)bytes);
        views[i].data = copy;
    }
    for (uint32_t i = 0; i < call->kernel->array_count; i++) {
        const int64_t bytes = is_displaced(call, i) ? bytes_of(call, i) : 0;
        if (bytes > 0) memcpy(call->given[i].data, views[i].data, (size_t)bytes);
    }
    return QN__FAULT_NONE;
}

/* The output that had too little room, or NULL. */
static const qn__image_array *short_output(const qn__raw_call *call, int32_t kind) {
    for (uint32_t i = 0; kind == QN__FAULT_SIZE && call->given && i < call->kernel->array_count; i++) {
        const qn__image_array *a = &call->kernel->arrays[i];
        if (!is_written(a) || a->rank == 0 || call->frame.views[i].data) continue;
        if (call->frame.fault.extent == call->given[i].extent[0] && call->frame.views[i].extent[0] > call->given[i].extent[0]) return a;
    }
    return NULL;
}

static qn_status status_of(int32_t kind) {
    if (kind == QN__FAULT_MEMORY) return QN_RESOURCE;
    if (kind == QN__FAULT_DEVICE) return QN_DEVICE;
    return kind == QN__FAULT_CANCELLED || kind == QN__FAULT_DEADLINE ? QN_STOPPED : QN_FAULT;
}

static int32_t fail(const qn__raw_call *call, int32_t kind) {
    qn_error *error = call->error;
    if (!error) return (int32_t)status_of(kind);
    const qn__raw_kernel *kernel = call->kernel;
    const qn__fault *fault = &call->frame.fault;
    const qn__image_array *output = short_output(call, kind);
    *error = (qn_error){.status = status_of(kind), .index = fault->index, .extent = fault->extent, .iteration = fault->iteration};
    if (output)
        snprintf(error->message, sizeof error->message, "output %s: %" PRId64 " elements are needed, there is room for %" PRId64,
                 output->name, fault->index, fault->extent);
    else if (kind == QN__FAULT_DEVICE && call->frame.device) /* only engines that set it raise this one */
        snprintf(error->message, sizeof error->message, "%s", call->frame.device->text);
    else
        qn__fault_text(kind, fault, error->message, sizeof error->message);
    if (!fault->location || fault->location >= kernel->location_count) return (int32_t)error->status;
    const qn__location *location = &kernel->locations[fault->location];
    snprintf(error->path, sizeof error->path, "%s", location->path);
    error->line = location->line;
    error->column = location->column;
    error->length = location->length;
    return (int32_t)error->status;
}

static int32_t end(qn__raw_call *call, int32_t kind) {
    if (!kind && call->given) kind = bring_back(call);
    const int32_t status = kind ? fail(call, kind) : (int32_t)QN_OK;
    while (call->blocks) drop_block((block **)&call->blocks);
    return status;
}

static const qn__services services = {allocate, poll};
static const qn__raw_table table = {&services, end};

const qn__raw_table *qn__raw_services(void) { return &table; }
