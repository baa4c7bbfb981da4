/* One call of a loaded kernel, from checked arguments to results.
 *
 * Arrays are used where they are when the code can (qn__usable_layout) and value semantics allow it: an input that overlaps a written
 * array is copied first; written arrays that overlap each other, or lie badly, are worked on in blocks of the call and copied
 * out at the end, in the order of parameters. A kernel may exchange buffers (`swap`): the views then no longer point to where they
 * started, and what the caller expects is brought back at the end.
 *
 * Arrays may lie in a device's memory, where the call's engine works: then blocks and copies are the device's, all else is the same.
 *
 * All state is in `call`. Blocks are what was allocated and not yet handed to the caller; whatever happens, all are freed. */
#include "runtime/call_private.h"
#include "runtime/threads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct block { void *data; size_t bytes; bool device; } block;

/* What a parameter's array is during the call. */
typedef struct place {
    void *start;         /* the view's data before the run; NULL while there is none */
    bool given, direct;  /* the caller brought a buffer; code works in it */
    uint64_t scalar;     /* storage of a scalar output */
    uintptr_t first, last;
} place;

typedef struct call {
    const qn__loaded *program;
    const qn__signature *signature;
    qn__argument *arguments;
    qn__call_options options;
    qn__call_result *result;
    const qn__allocator *allocator;
    qn__frame frame;
    qn__view *views;
    uint64_t *scalars;
    int64_t *sizes;
    int64_t (*extents)[QN__MAX_RANK]; /* of the outputs */
    place *places;                    /* by parameter */
    uint8_t *where;                   /* qn__where by array; NULL: all on the host */
    block *blocks;
    size_t block_count, block_capacity;
} call;

/* --- memory ------------------------------------------------------------------------------------------------------- */

static void *malloc_aligned(void *user, size_t bytes, size_t alignment) {
    (void)user;
    size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    return rounded < bytes ? NULL : aligned_alloc(alignment, rounded);
}

static void free_aligned(void *user, void *data, size_t bytes) {
    (void)user;
    (void)bytes;
    free(data);
}

const qn__allocator qn__allocator_malloc = {malloc_aligned, free_aligned, NULL};

static block *find_block(const call *c, const void *data) {
    for (size_t i = 0; data && i < c->block_count; i++)
        if (c->blocks[i].data == data) return &c->blocks[i];
    return NULL;
}

static bool on_device(const call *c, uint32_t array) { return c->where && c->where[array] == QN__WHERE_DEVICE; }

static void *make_block(call *c, uint32_t array, int64_t bytes) {
    if (c->block_count == c->block_capacity) {
        size_t capacity = c->block_capacity ? c->block_capacity * 2 : 8;
        block *grown = realloc(c->blocks, capacity * sizeof *grown);
        if (!grown) return NULL;
        c->blocks = grown;
        c->block_capacity = capacity;
    }
    size_t size = bytes ? (size_t)bytes : 1;
    const bool device = on_device(c, array);
    void *data = device ? c->options.space->alloc(c->options.space->user, size) : c->allocator->alloc(c->allocator->user, size, QN__ALIGNMENT);
    if (!data) return NULL;
    c->blocks[c->block_count++] = (block){data, size, device};
    c->result->allocated_bytes += size;
    return data;
}

static void forget_block(call *c, block *b) { *b = c->blocks[--c->block_count]; }

static void free_block(call *c, block *b) {
    if (b->device) c->options.space->free(c->options.space->user, b->data, b->bytes);
    else c->allocator->free(c->allocator->user, b->data, b->bytes);
    forget_block(c, b);
}

/* Between arrays that lie on the same side, of number `array`. */
static bool copy(const call *c, uint32_t array, uint32_t rank, const int64_t *extents, uint32_t bytes, void *to, const int64_t *to_strides,
                 const void *from, const int64_t *from_strides) {
    if (on_device(c, array)) return c->options.space->copy(c->options.space->user, rank, extents, bytes, to, to_strides, from, from_strides);
    qn__copy_strided(rank, extents, bytes, to, to_strides, from, from_strides);
    return true;
}

void qn__argument_free(qn__argument *argument, const qn__allocator *allocator) {
    if (!allocator) allocator = &qn__allocator_malloc;
    if (argument->allocated && argument->data) allocator->free(allocator->user, argument->data, argument->bytes);
    argument->data = NULL;
    argument->allocated = false;
    argument->bytes = 0;
}

void qn__argument_array(qn__argument *argument, qn__type type, uint32_t rank, const int64_t *extents, void *data) {
    *argument = (qn__argument){.type = (uint8_t)type, .rank = (uint8_t)rank, .data = data};
    for (uint32_t d = 0; d < rank; d++) argument->extent[d] = extents[d];
    qn__row_major(rank, extents, qn__type_bytes(type), argument->stride);
}

void qn__argument_scalar(qn__argument *argument, qn__type type, uint64_t bits) {
    *argument = (qn__argument){.type = (uint8_t)type, .bits = bits};
}

/* --- what running code asks for ----------------------------------------------------------------------------------- */

static uint32_t array_bytes_of(const call *c, uint32_t array) {
    return qn__type_bytes((qn__type)c->program->image->arrays[array].type);
}

static void set_view(qn__view *view, void *data, uint32_t rank, const int64_t *extents) {
    view->data = data;
    for (uint32_t d = 0; d < rank; d++) view->extent[d] = extents[d];
    qn__row_major(rank, extents, 1, view->stride);
}

static int32_t allocate(qn__frame *frame, uint32_t array, const int64_t *extents) {
    call *c = frame->runtime;
    qn__view *view = &frame->views[array];
    uint32_t rank = c->program->image->arrays[array].rank;
    int64_t bytes = qn__array_bytes(rank, extents, array_bytes_of(c, array));
    frame->fault = (qn__fault){.kind = QN__FAULT_SIZE};
    for (uint32_t d = 0; bytes < 0 && d < rank; d++)
        if (extents[d] < 0 || extents[d] >= QN__EXTENT_LIMIT) frame->fault.index = extents[d];
    if (bytes < 0) return QN__FAULT_SIZE;
    block *old = find_block(c, view->data);
    void *data = old && old->bytes == (size_t)bytes ? old->data : NULL;
    if (!data) {
        if (old) free_block(c, old);
        view->data = NULL;
        data = make_block(c, array, bytes);
    }
    frame->fault = (qn__fault){.kind = QN__FAULT_MEMORY, .extent = bytes};
    if (!data) return QN__FAULT_MEMORY;
    set_view(view, data, rank, extents);
    return QN__FAULT_NONE;
}

static int32_t poll(qn__frame *frame) {
    const call *c = frame->runtime;
    if (c->options.cancel && __atomic_load_n(c->options.cancel, __ATOMIC_RELAXED)) return QN__FAULT_CANCELLED;
    if (c->options.deadline && qn__now() >= c->options.deadline) return QN__FAULT_DEADLINE;
    return QN__FAULT_NONE;
}

static const qn__services services = {allocate, poll};

/* --- before the run ----------------------------------------------------------------------------------------------- */

static qn__call_status no_memory(call *c, uint32_t parameter, int64_t bytes) {
    const qn__device_call *device = c->options.device;
    if (device && device->failure)
        return qn__reject(c->result, device->out_of_memory ? QN__CALL_MEMORY : QN__CALL_DEVICE, parameter, UINT32_MAX, "%s: %s",
                          c->signature->parameters[parameter].name, device->text);
    return qn__reject(c->result, QN__CALL_MEMORY, parameter, UINT32_MAX, "out of memory: %" PRId64 " bytes for %s", bytes,
                      c->signature->parameters[parameter].name);
}

static qn__call_status not_copied(call *c, uint32_t parameter) {
    return qn__reject(c->result, QN__CALL_DEVICE, parameter, UINT32_MAX, "%s: %s", c->signature->parameters[parameter].name, c->options.device->text);
}

static uint64_t scalar_bits(qn__type type, uint64_t bits) {
    if (type == QN__TYPE_BOOL) return bits != 0;
    uint32_t width = qn__type_bits(type);
    return width == 64 ? bits : bits & ((UINT64_C(1) << width) - 1);
}

static bool is_array(const qn__parameter *p) { return p->kind != QN__PARAMETER_SCALAR; }
static bool is_written(const qn__parameter *p) { return p->kind == QN__PARAMETER_INOUT || p->kind == QN__PARAMETER_OUT; }

static bool existential(const call *c, uint32_t i) {
    const qn__parameter *p = &c->signature->parameters[i];
    for (uint32_t d = 0; d < p->rank; d++)
        if (qn__dim_is_existential(c->signature, p->dim[d])) return true;
    return false;
}

/* Whether a written buffer of the caller, other than i's own, overlaps it. */
static bool overlaps_written(const call *c, uint32_t i) {
    const place *mine = &c->places[i];
    for (uint32_t k = 0; k < c->signature->parameter_count; k++) {
        const place *other = &c->places[k];
        if (k == i || !is_written(&c->signature->parameters[k]) || !other->given) continue;
        if (mine->first < other->last && other->first < mine->last) return true;
    }
    return false;
}

static void find_places(call *c) {
    for (uint32_t i = 0; i < c->signature->parameter_count; i++) {
        const qn__parameter *p = &c->signature->parameters[i];
        const qn__argument *a = &c->arguments[i];
        if (!is_array(p)) continue;
        c->places[i].given = p->kind != QN__PARAMETER_OUT || (p->rank && a->data);
        if (c->places[i].given) qn__touched(a, qn__type_bytes((qn__type)p->type), &c->places[i].first, &c->places[i].last);
    }
}

/* Dimensions at the end whose strides code takes for granted: the last, and each whose extents behind it are all numbers in the signature. */
static uint32_t packed_dimensions(const qn__signature *s, const qn__parameter *p) {
    uint32_t count = 1;
    while (count < p->rank && s->dims[p->dim[p->rank - count]].op == QN__DIM_CONST) count++;
    return count;
}

/* Row-major without gaps, as devices want their arrays. */
static bool is_dense(const qn__argument *a, uint32_t bytes) {
    int64_t stride = bytes;
    if ((uintptr_t)a->data % bytes) return false;
    for (uint32_t d = a->rank; d-- > 0;) {
        if (a->extent[d] == 0) return true;
        if (a->extent[d] != 1 && a->stride[d] != stride) return false;
        stride *= a->extent[d]; /* of an array that is in memory: no overflow */
    }
    return true;
}

/* The caller's buffer as the view, or a block, filled with its contents where the kernel reads them. */
static qn__call_status place_given(call *c, uint32_t i) {
    const qn__parameter *p = &c->signature->parameters[i];
    const qn__argument *a = &c->arguments[i];
    qn__view *view = &c->views[p->index];
    uint32_t bytes = qn__type_bytes((qn__type)p->type);
    set_view(view, a->data, p->rank, a->extent);
    if (a->where == QN__WHERE_DEVICE) c->where[p->index] = QN__WHERE_DEVICE;
    const bool usable = on_device(c, p->index) ? is_dense(a, bytes) : qn__usable_layout(a, bytes, is_written(p), packed_dimensions(c->signature, p));
    if (usable && !overlaps_written(c, i)) {
        if (c->where) c->where[p->index] = a->where;
        const int shift = __builtin_ctz(bytes); /* strides are multiples of a power of two */
        for (uint32_t d = 0; d < p->rank; d++)
            if (a->extent[d] > 1) view->stride[d] = a->stride[d] >> shift;
        c->places[i].direct = true;
        return QN__CALL_OK;
    }
    int64_t total = qn__array_bytes(p->rank, a->extent, bytes);
    view->data = make_block(c, p->index, total);
    if (!view->data) return no_memory(c, i, total);
    if (p->kind == QN__PARAMETER_OUT) return QN__CALL_OK;
    int64_t strides[QN__MAX_RANK];
    qn__row_major(p->rank, a->extent, bytes, strides);
    if (!copy(c, p->index, p->rank, a->extent, bytes, view->data, strides, a->data, a->stride)) return not_copied(c, i);
    c->result->packed_bytes += (uint64_t)total;
    return QN__CALL_OK;
}

static qn__call_status place_output(call *c, uint32_t i) {
    const qn__parameter *p = &c->signature->parameters[i];
    qn__view *view = &c->views[p->index];
    const int64_t *extents = c->extents[i - c->signature->input_count];
    if (p->rank == 0) {
        view->data = &c->places[i].scalar;
        return QN__CALL_OK;
    }
    if (c->arguments[i].where == QN__WHERE_DEVICE) c->where[p->index] = QN__WHERE_DEVICE;
    if (existential(c, i)) return QN__CALL_OK; /* the kernel allocates it */
    if (c->places[i].given) return place_given(c, i);
    int64_t bytes = qn__array_bytes(p->rank, extents, qn__type_bytes((qn__type)p->type));
    if (bytes < 0)
        return qn__reject(c->result, QN__CALL_ARGUMENT, i, UINT32_MAX, "output %s: the array is too large", p->name);
    void *data = make_block(c, p->index, bytes);
    if (!data) return no_memory(c, i, bytes);
    set_view(view, data, p->rank, extents);
    return QN__CALL_OK;
}

static qn__call_status prepare(call *c) {
    const qn__signature *s = c->signature;
    const qn__image *image = c->program->image;
    if (qn__bind(s, c->arguments, s->parameter_count, c->sizes, c->result)) return c->result->status;
    if (qn__bind_outputs(s, c->arguments, c->sizes, c->extents, c->result)) return c->result->status;
    for (uint32_t i = 0; i < image->extern_count; i++)
        if (!c->options.externs || !c->options.externs[i])
            return qn__reject(c->result, QN__CALL_ARGUMENT, 0, UINT32_MAX, "host function %s is not registered",
                              image->externs[i].name);
    find_places(c);
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        const qn__parameter *p = &s->parameters[i];
        qn__call_status status = QN__CALL_OK;
        if (!is_array(p)) c->scalars[p->index] = scalar_bits((qn__type)p->type, c->arguments[i].bits);
        else if (p->kind == QN__PARAMETER_OUT) status = place_output(c, i);
        else status = place_given(c, i);
        if (status) return status;
        if (is_array(p)) c->places[i].start = c->views[p->index].data;
    }
    return QN__CALL_OK;
}

/* --- after the run ------------------------------------------------------------------------------------------------ */

/* A view that points into a buffer of the caller other than its own gets a copy of it, before those buffers are written. */
static qn__call_status save_displaced(call *c) {
    for (uint32_t i = 0; i < c->signature->parameter_count; i++) {
        const qn__parameter *p = &c->signature->parameters[i];
        qn__view *view = is_array(p) ? &c->views[p->index] : NULL;
        if (!view || !is_written(p) || !p->rank || view->data == c->places[i].start || find_block(c, view->data)) continue;
        uint32_t bytes = qn__type_bytes((qn__type)p->type);
        int64_t total = qn__array_bytes(p->rank, view->extent, bytes);
        int64_t to[QN__MAX_RANK], from[QN__MAX_RANK];
        void *data = make_block(c, p->index, total);
        if (!data) return no_memory(c, i, total);
        qn__row_major(p->rank, view->extent, bytes, to);
        for (uint32_t d = 0; d < p->rank; d++) from[d] = view->stride[d] * bytes;
        if (total && !copy(c, p->index, p->rank, view->extent, bytes, data, to, view->data, from)) return not_copied(c, i);
        c->result->packed_bytes += (uint64_t)total;
        set_view(view, data, p->rank, view->extent);
    }
    return QN__CALL_OK;
}

/* Room for an existential output in the caller's buffer, whose extents become those used. */
static qn__call_status fit(call *c, uint32_t i) {
    const qn__parameter *p = &c->signature->parameters[i];
    qn__argument *a = &c->arguments[i];
    const qn__view *view = &c->views[p->index];
    for (uint32_t d = 0; d < p->rank; d++)
        if (view->extent[d] > a->extent[d])
            return qn__reject(c->result, QN__CALL_ARGUMENT, i, d,
                              "output %s: dimension %u needs %" PRId64 ", the given buffer has %" PRId64, p->name, d,
                              view->extent[d], a->extent[d]);
    for (uint32_t d = 0; d < p->rank; d++) a->extent[d] = view->extent[d];
    return QN__CALL_OK;
}

static qn__call_status return_array(call *c, uint32_t i) {
    const qn__parameter *p = &c->signature->parameters[i];
    qn__argument *a = &c->arguments[i];
    qn__view *view = &c->views[p->index];
    uint32_t bytes = qn__type_bytes((qn__type)p->type);
    block *owned = find_block(c, view->data);
    if (!c->places[i].given) {
        if (!owned) return qn__reject(c->result, QN__CALL_FAULT, i, UINT32_MAX, "output %s was not produced", p->name);
        const uint8_t where = a->where;
        qn__argument_array(a, (qn__type)p->type, p->rank, view->extent, view->data);
        a->where = where;
        a->allocated = true;
        a->bytes = owned->bytes;
        forget_block(c, owned);
        return QN__CALL_OK;
    }
    if (c->places[i].direct && view->data == c->places[i].start) return QN__CALL_OK;
    if (existential(c, i) && fit(c, i)) return c->result->status;
    int64_t from[QN__MAX_RANK], total = qn__array_bytes(p->rank, view->extent, bytes);
    for (uint32_t d = 0; d < p->rank; d++) from[d] = view->stride[d] * bytes;
    if (total && !copy(c, p->index, p->rank, view->extent, bytes, a->data, a->stride, view->data, from)) return not_copied(c, i);
    c->result->packed_bytes += (uint64_t)total;
    return QN__CALL_OK;
}

static void return_scalar(call *c, uint32_t i) {
    const qn__parameter *p = &c->signature->parameters[i];
    qn__argument *a = &c->arguments[i];
    uint32_t bytes = qn__type_bytes((qn__type)p->type);
    a->type = p->type;
    a->rank = 0;
    a->bits = 0;
    memcpy(&a->bits, c->views[p->index].data, bytes);
    if (a->data) memcpy(a->data, c->views[p->index].data, bytes);
}

/* Given buffers first: they can fail (a buffer that is too small), and then nothing has been handed over. */
static qn__call_status finish(call *c) {
    if (save_displaced(c)) return c->result->status;
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < c->signature->parameter_count; i++) {
            const qn__parameter *p = &c->signature->parameters[i];
            if (!is_array(p) || !is_written(p) || c->places[i].given != (pass == 0)) continue;
            if (p->rank == 0) return_scalar(c, i);
            else if (return_array(c, i)) return c->result->status;
        }
    return QN__CALL_OK;
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

static qn__call_status report_fault(call *c, int32_t kind) {
    qn__call_result *r = c->result;
    const qn__image *image = c->program->image;
    r->fault = c->frame.fault;
    r->fault.kind = kind;
    r->parameter = r->dimension = UINT32_MAX;
    if (r->fault.location && r->fault.location < image->location_count) r->location = &image->locations[r->fault.location];
    const qn__device_call *device = c->options.device;
    if (device && device->failure) snprintf(r->text, sizeof r->text, "%s", device->text);
    else qn__fault_text(kind, &r->fault, r->text, sizeof r->text);
    r->status = kind == QN__FAULT_MEMORY      ? QN__CALL_MEMORY
                : kind == QN__FAULT_DEVICE    ? QN__CALL_DEVICE
                : kind == QN__FAULT_CANCELLED ? QN__CALL_CANCELLED
                : kind == QN__FAULT_DEADLINE  ? QN__CALL_DEADLINE
                                              : QN__CALL_FAULT;
    return r->status;
}

/* --- the call ----------------------------------------------------------------------------------------------------- */

static const volatile int32_t never = 0;

static qn__call_status run(call *c) {
    qn__watch watch;
    bool watched = c->options.deadline != 0;
    qn__frame *frame = &c->frame;
    frame->scalars = c->scalars;
    frame->sizes = c->sizes;
    frame->views = c->views;
    frame->externs = c->options.externs;
    frame->stop = c->options.cancel ? c->options.cancel : &never;
    frame->services = &services;
    qn__frame_threads(frame, c->options.threads);
    frame->fault = (qn__fault){0};
    frame->runtime = c;
    frame->device = c->options.device;
    int32_t kind = poll(&c->frame);
    if (kind) return report_fault(c, kind);
    if (watched) {
        qn__watch_start(&watch, c->options.deadline, c->options.cancel);
        c->frame.stop = &watch.stop;
    }
    uint64_t start = c->options.timed ? qn__now() : 0;
    kind = c->program->engine->run(c->program, &c->frame);
    if (c->options.timed) c->result->run_nanoseconds = qn__now() - start;
    if (watched) qn__watch_end(&watch);
    return kind ? report_fault(c, kind) : QN__CALL_OK;
}

/* The tables of a call, in one piece of memory. */
typedef struct tables { size_t views, scalars, sizes, extents, places, where, total; } tables;

static tables measure(const qn__image *image, const qn__signature *s) {
    tables t = {0};
    t.scalars = image->array_count * sizeof(qn__view);
    t.sizes = t.scalars + (s->scalar_count + 1) * sizeof(uint64_t);
    t.extents = t.sizes + (s->symbol_count + 1) * sizeof(int64_t);
    t.places = t.extents + (s->parameter_count - s->input_count + 1) * sizeof(int64_t[QN__MAX_RANK]);
    t.where = t.places + (s->parameter_count + 1) * sizeof(place);
    t.total = t.where + image->array_count;
    return t;
}

enum { SMALL_TABLES = 4096 };

qn__call_status qn__call(const qn__loaded *program, qn__argument *arguments, uint32_t argument_count,
                         const qn__call_options *options, qn__call_result *result) {
    const qn__signature *s = program->image->signature;
    qn__clear_result(result);
    if (argument_count != s->parameter_count) return qn__bind(s, arguments, argument_count, NULL, result);
    tables t = measure(program->image, s);
    _Alignas(16) char small[SMALL_TABLES];
    char *memory = t.total <= sizeof small ? small : malloc(t.total);
    if (!memory) return qn__reject(result, QN__CALL_MEMORY, 0, UINT32_MAX, "out of memory");
    static const qn__call_options usual = {0};
    call c; /* field by field: clearing what is set anyway was a third of a small call */
    c.program = program;
    c.signature = s;
    c.arguments = arguments;
    c.result = result;
    c.options = options ? *options : usual;
    c.blocks = NULL;
    c.block_count = c.block_capacity = 0;
    c.allocator = c.options.allocator ? c.options.allocator : &qn__allocator_malloc;
    c.views = (qn__view *)(void *)memory;
    c.scalars = (uint64_t *)(void *)(memory + t.scalars);
    c.sizes = (int64_t *)(void *)(memory + t.sizes);
    c.extents = (int64_t(*)[QN__MAX_RANK])(void *)(memory + t.extents);
    c.places = (place *)(void *)(memory + t.places);
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        c.places[i].start = NULL;
        c.places[i].given = c.places[i].direct = false;
        c.places[i].scalar = 0;
    }
    c.where = NULL;
    if (c.options.space) {
        c.where = (uint8_t *)(memory + t.where);
        memset(c.where, QN__WHERE_HOST, program->image->array_count);
        c.options.device->where = c.where;
    }
    for (uint32_t i = 0; i < program->image->array_count; i++) c.views[i].data = NULL;
    if (!prepare(&c) && !run(&c)) finish(&c);
    while (c.block_count) free_block(&c, &c.blocks[c.block_count - 1]);
    if (c.blocks) free(c.blocks);
    if (memory != small) free(memory);
    return result->status;
}
