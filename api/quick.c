/* The short way of qn_call, for small kernels on plain arguments: row-major arrays that are not empty, outputs that the caller
 * gives, no overlaps, no deadline. It checks as the long way does (runtime/call.c) but copies, allocates and explains
 * nothing: where something is not plain, or wrong, it has done nothing yet, and the long way takes the call.
 *
 * Kernels that allocate are not for it; one that exchanges arrays is put right by the end of a raw call (ir/raw.h). */
#include "api/internal.h"

#include <string.h>

_Static_assert(sizeof(DLDataType) == sizeof(uint32_t), "types are compared as words");
#define EXTENT_LIMIT (INT64_C(1) << 48) /* as in runtime/call_private.h */
#define COUNT_LIMIT  (INT64_C(1) << 52)

/* Of an array: its bytes, which end where `last` begins. */
typedef struct span { uintptr_t first, last; } span;

typedef struct quick {
    qn__view views[QN__QUICK];
    span spans[QN__QUICK];
    uint64_t scalars[QN__QUICK];
    int64_t sizes[QN__QUICK];
} quick;

static uint32_t word(DLDataType type) {
    uint32_t bits;
    memcpy(&bits, &type, sizeof bits);
    return bits;
}

void qn__quick_plan(qn_kernel *kernel) {
    const qn__image *image = &kernel->image;
    const qn__signature *s = image->signature;
    kernel->quick = false;
    if (s->parameter_count > QN__QUICK || s->symbol_count > QN__QUICK || image->array_count > QN__QUICK) return;
    for (uint32_t i = 0; i < image->array_count; i++)
        if (image->arrays[i].kind == QN__ARRAY_TEMP) return;
    for (uint32_t i = 0; i < s->symbol_count; i++)
        if (s->symbols[i].existential) return;
    for (uint32_t i = 0; i < s->parameter_count; i++) kernel->quick_types[i] = word(qn_type_to_dlpack((qn_type)s->parameters[i].type));
    kernel->quick = true;
}

static bool is_plain(const DLTensor *t, uint32_t type, uint32_t rank, uintptr_t bytes) {
    return t && t->data && word(t->dtype) == type && t->ndim == (int32_t)rank && t->device.device_type == kDLCPU &&
           (((uintptr_t)t->data + t->byte_offset) & (bytes - 1)) == 0;
}

static bool take_scalar(const qn__parameter *p, const DLTensor *t, uint32_t bytes, uint64_t *slot) {
    const char *data = (const char *)t->data + t->byte_offset;
    *slot = 0;
    if (bytes == 8) memcpy(slot, data, 8);
    else if (bytes == 4) memcpy(slot, data, 4);
    else if (bytes == 2) memcpy(slot, data, 2);
    else memcpy(slot, data, 1);
    if (p->type == QN__TYPE_BOOL) *slot = *slot != 0;
    return !p->is_size || *slot < (uint64_t)EXTENT_LIMIT;
}

static bool take_array(const DLTensor *t, uint32_t rank, uint32_t bytes, qn__view *view, span *touched) {
    int64_t count = 1;
    for (uint32_t d = rank; d-- > 0;) {
        const int64_t extent = t->shape[d];
        if (extent <= 0 || extent >= EXTENT_LIMIT || (t->strides && t->strides[d] != count)) return false;
        view->extent[d] = extent;
        view->stride[d] = count;
        if (__builtin_mul_overflow(count, extent, &count)) return false;
    }
    view->data = (char *)t->data + t->byte_offset;
    touched->first = (uintptr_t)view->data;
    touched->last = touched->first + (uintptr_t)count * bytes;
    return count < COUNT_LIMIT;
}

static bool take_arguments(const qn_kernel *kernel, const DLTensor *const *inputs, qn_array *const *outputs, quick *q) {
    const qn__signature *s = kernel->image.signature;
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        const qn__parameter *p = &s->parameters[i];
        const uint32_t bytes = qn__type_bytes((qn__type)p->type);
        const DLTensor *t = NULL;
        if (i < s->input_count) t = inputs[i];
        else if (outputs[i - s->input_count]) t = &outputs[i - s->input_count]->tensor;
        if (!is_plain(t, kernel->quick_types[i], p->rank, bytes)) return false;
        if (p->kind == QN__PARAMETER_SCALAR ? !take_scalar(p, t, bytes, &q->scalars[p->index])
                                            : !take_array(t, p->rank, bytes, &q->views[p->index], &q->spans[p->index]))
            return false;
    }
    return true;
}

static bool take_sizes(const qn__signature *s, quick *q) {
    for (uint32_t i = 0; i < s->symbol_count; i++) {
        const qn__symbol *symbol = &s->symbols[i];
        const int64_t extent = q->views[s->parameters[symbol->parameter].index].extent[symbol->dimension];
        if (__builtin_sub_overflow(extent, symbol->addend, &q->sizes[i]) || q->sizes[i] < 0) return false;
    }
    return true;
}

static bool sizes_agree(const qn__signature *s, const quick *q) {
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        const qn__parameter *p = &s->parameters[i];
        if (p->kind == QN__PARAMETER_SCALAR) continue;
        for (uint32_t d = 0; d < p->rank; d++) {
            const qn__dim *dim = &s->dims[p->dim[d]];
            int64_t expected = dim->value;
            if (dim->op == QN__DIM_SYMBOL) expected = q->sizes[dim->value];
            else if (dim->op != QN__DIM_CONST && !qn__dim_value(s, p->dim[d], q->sizes, q->scalars, &expected)) return false;
            if (q->views[p->index].extent[d] != expected) return false;
        }
    }
    return true;
}

static bool overlap(const qn__image *image, const quick *q) {
    for (uint32_t i = 0; i < image->array_count; i++) {
        if (image->arrays[i].kind == QN__ARRAY_IN) continue;
        for (uint32_t k = 0; k < image->array_count; k++)
            if (k != i && q->spans[i].first < q->spans[k].last && q->spans[k].first < q->spans[i].last) return true;
    }
    return false;
}

/* Faults, and arrays that were exchanged. */
__attribute__((noinline)) static int32_t end_call(const qn__image *image, qn__raw_call *call, const quick *q, int32_t kind, qn_error *error) {
    const qn__raw_kernel description = {image->signature->name, image->arrays, image->locations, image->array_count, image->location_count};
    qn__view given[QN__QUICK];
    for (uint32_t i = 0; i < image->array_count; i++) {
        given[i] = call->frame.views[i];
        const uintptr_t start = q->spans[i].first;
        memcpy(&given[i].data, &start, sizeof start);
    }
    call->kernel = &description;
    call->given = given;
    call->blocks = NULL;
    call->error = error;
    return qn__raw_services()->end(call, kind);
}

static bool is_exchanged(const qn__image *image, const quick *q) {
    for (uint32_t i = 0; i < image->array_count; i++)
        if ((uintptr_t)q->views[i].data != q->spans[i].first) return true;
    return false;
}

static const volatile int32_t never = 0;

bool qn__quick_call(const qn_kernel *kernel, const DLTensor *const *inputs, qn_array *const *outputs, qn_error *error, qn_status *status) {
    quick q;
    const qn__loaded *loaded = atomic_load_explicit(&kernel->current, memory_order_acquire);
    const qn__image *image = loaded->image;
    if (!take_arguments(kernel, inputs, outputs, &q) || !take_sizes(image->signature, &q) || !sizes_agree(image->signature, &q) ||
        overlap(image, &q))
        return false;
    qn__raw_call call;
    call.frame.scalars = q.scalars;
    call.frame.sizes = q.sizes;
    call.frame.views = q.views;
    call.frame.externs = kernel->externs;
    call.frame.stop = &never;
    call.frame.services = qn__raw_services()->services;
    qn__frame_threads(&call.frame, &kernel->module->context->threads);
    call.frame.runtime = &call;
    const int32_t kind = loaded->engine->run(loaded, &call.frame);
    *status = QN_OK;
    if (kind || is_exchanged(image, &q)) *status = (qn_status)end_call(image, &call, &q, kind, error);
    return true;
}
