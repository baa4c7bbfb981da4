/* Arrays and calls: DLPack tensors on one side, the runtime's arguments on the other. */
#include "api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 24 }; /* parameters that a call handles without asking for memory */

static qn_array *array_new(qn_context *context, qn_type type, size_t rank, const int64_t *shape) {
    qn_array *array = calloc(1, sizeof *array);
    if (!array) return NULL;
    array->context = context;
    array->tensor = (DLTensor){.device = {kDLCPU, 0}, .ndim = (int32_t)rank, .dtype = qn_type_to_dlpack(type),
                               .shape = array->shape, .strides = array->strides};
    int64_t stride = 1;
    for (size_t d = rank; d-- > 0;) {
        array->shape[d] = shape[d];
        array->strides[d] = stride;
        stride *= shape[d] > 0 ? shape[d] : 1;
    }
    qn__context_retain(context);
    return array;
}

qn_status qn_array_create(qn_context *context, qn_type type, size_t rank, const int64_t *shape, qn_array **array,
                          qn_error *error) {
    if (!context || !array || (rank > 0 && !shape)) return qn__error(error, QN_USAGE, "qn_array_create: an argument is NULL");
    *array = NULL;
    if (!qn_type_name(type)) return qn__error(error, QN_USAGE, "qn_array_create: %d is no type", (int)type);
    if (rank > QN_MAX_RANK) return qn__error(error, QN_USAGE, "qn_array_create: rank %zu is above %d", rank, QN_MAX_RANK);
    size_t bytes = qn_type_bytes(type);
    for (size_t d = 0; d < rank; d++) {
        if (shape[d] < 0) return qn__error(error, QN_USAGE, "qn_array_create: dimension %zu is negative", d);
        if (__builtin_mul_overflow(bytes, (size_t)shape[d], &bytes))
            return qn__error(error, QN_RESOURCE, "qn_array_create: the size overflows");
    }
    if (bytes == 0) bytes = 1;
    qn_array *a = array_new(context, type, rank, shape);
    if (a) a->tensor.data = context->allocator.alloc(context->allocator.user, bytes, QN__ALIGNMENT);
    if (!a || !a->tensor.data) {
        qn_array_destroy(a);
        return qn__error(error, QN_RESOURCE, "out of memory: an array of %zu bytes", bytes);
    }
    a->bytes = bytes;
    memset(a->tensor.data, 0, bytes);
    *array = a;
    return qn__no_error(error);
}

qn_array *qn__array_adopt(qn_context *context, qn__argument *argument) {
    qn_array *array = array_new(context, (qn_type)argument->type, argument->rank, argument->extent);
    if (!array) return NULL;
    array->tensor.data = argument->data;
    array->bytes = argument->bytes;
    argument->data = NULL;
    argument->allocated = false;
    return array;
}

void qn_array_destroy(qn_array *array) {
    if (!array) return;
    qn_context *context = array->context;
    if (array->tensor.data) context->allocator.free(context->allocator.user, array->tensor.data, array->bytes);
    free(array);
    qn__context_release(context);
}

const DLTensor *qn_array_tensor(const qn_array *array) { return array ? &array->tensor : NULL; }

qn_status qn__argument_from(const qn__parameter *p, const DLTensor *t, qn__argument *out, qn_error *error) {
    if (!t) return qn__error(error, QN_USAGE, "argument '%s' is NULL", p->name);
    if (t->device.device_type != kDLCPU && t->device.device_type != kDLCUDAHost)
        return qn__error(error, QN_USAGE, "argument '%s' is not in the host's memory", p->name);
    const DLDataType wanted = qn_type_to_dlpack((qn_type)p->type);
    if (t->dtype.code != wanted.code || t->dtype.bits != wanted.bits || t->dtype.lanes != 1) {
        const qn_type type = qn_type_from_dlpack(t->dtype);
        return qn__error(error, QN_USAGE, "argument '%s' must be %s, found %s", p->name, qn_type_name((qn_type)p->type),
                        type ? qn_type_name(type) : "a type that Quern does not know");
    }
    if (t->ndim != (int32_t)p->rank)
        return qn__error(error, QN_USAGE, "argument '%s' must have rank %u, found %d", p->name, p->rank, t->ndim);
    if (p->rank > 0 && !t->shape) return qn__error(error, QN_USAGE, "argument '%s' has no shape", p->name);
    const int64_t size = (int64_t)qn__type_bytes((qn__type)p->type);
    char *data = t->data ? (char *)t->data + t->byte_offset : NULL;
    qn__clear_argument(out, p->type, p->rank); /* field by field: clearing all took half of this function's time */
    out->data = data;
    int64_t stride = size;
    bool empty = false;
    for (uint32_t d = p->rank; d-- > 0;) {
        if (t->shape[d] < 0) return qn__error(error, QN_USAGE, "argument '%s': dimension %u is negative", p->name, d);
        empty = empty || t->shape[d] == 0;
        out->extent[d] = t->shape[d];
        if (t->strides ? __builtin_mul_overflow(t->strides[d], size, &out->stride[d]) : (out->stride[d] = stride, false))
            return qn__error(error, QN_USAGE, "argument '%s': the stride of dimension %u overflows", p->name, d);
        if (!t->strides && __builtin_mul_overflow(stride, t->shape[d] ? t->shape[d] : 1, &stride))
            return qn__error(error, QN_USAGE, "argument '%s': the size overflows", p->name);
    }
    if (!data && !empty) return qn__error(error, QN_USAGE, "argument '%s' has no data", p->name);
    if (p->kind == QN__PARAMETER_SCALAR) {
        memcpy(&out->bits, data, (size_t)size);
        out->data = NULL;
    }
    return QN_OK;
}

qn_status qn__call_error(const qn__call_result *result, qn_error *error) {
    static const qn_status statuses[] = {[QN__CALL_OK] = QN_OK, [QN__CALL_ARGUMENT] = QN_USAGE,
                                         [QN__CALL_MEMORY] = QN_RESOURCE, [QN__CALL_FAULT] = QN_FAULT,
                                         [QN__CALL_CANCELLED] = QN_STOPPED, [QN__CALL_DEADLINE] = QN_STOPPED,
                                         [QN__CALL_DEVICE] = QN_DEVICE};
    qn__error(error, statuses[result->status], "%s", result->text);
    if (!error) return statuses[result->status];
    error->index = result->fault.index;
    error->extent = result->fault.extent;
    error->iteration = result->fault.iteration;
    if (result->location) {
        snprintf(error->path, sizeof error->path, "%s", result->location->path);
        error->line = result->location->line;
        error->column = result->location->column;
        error->length = result->location->length;
    }
    return error->status;
}

/* Fills in one argument per parameter. Outputs that the caller did not give stay without data. */
static qn_status gather(const qn__signature *s, const DLTensor *const *inputs, qn_array *const *outputs,
                        qn__argument *arguments, qn_error *error) {
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        qn__clear_argument(&arguments[i], s->parameters[i].type, s->parameters[i].rank);
        const qn_array *given = i >= s->input_count ? outputs[i - s->input_count] : NULL;
        if (i >= s->input_count && !given) continue;
        const qn_status status = qn__argument_from(&s->parameters[i], given ? &given->tensor : inputs[i], &arguments[i], error);
        if (status != QN_OK) return status;
    }
    return QN_OK;
}

/* A new array for an output that the caller did not give. */
static qn_status new_output(qn_context *context, const qn__parameter *p, qn__argument *a, qn_array **output, qn_error *error) {
    if (p->rank > 0 || a->data) {
        *output = qn__array_adopt(context, a);
        return *output ? QN_OK : qn__error(error, QN_RESOURCE, "out of memory");
    }
    const qn_status status = qn_array_create(context, (qn_type)a->type, 0, NULL, output, error);
    if (status == QN_OK) memcpy((*output)->tensor.data, &a->bits, qn__type_bytes((qn__type)a->type));
    return status;
}

/* Hands what the call made to the caller; all new arrays or none. */
static qn_status hand_over(qn_context *context, const qn__signature *s, qn__argument *arguments, qn_array **outputs,
                           qn_error *error) {
    qn_status status = QN_OK;
    for (uint32_t i = s->input_count; status == QN_OK && i < s->parameter_count; i++) {
        qn_array **output = &outputs[i - s->input_count];
        for (uint32_t d = 0; *output && d < arguments[i].rank; d++) (*output)->shape[d] = arguments[i].extent[d];
        if (*output) arguments[i].rank = UINT8_MAX; /* the caller's: not to be dropped below */
        else status = new_output(context, &s->parameters[i], &arguments[i], output, error);
    }
    for (uint32_t i = s->input_count; status != QN_OK && i < s->parameter_count; i++) {
        qn__argument_free(&arguments[i], &context->allocator);
        if (arguments[i].rank == UINT8_MAX) continue;
        qn_array_destroy(outputs[i - s->input_count]);
        outputs[i - s->input_count] = NULL;
    }
    return status;
}

static qn_status call_with(qn_kernel *kernel, qn__argument *arguments, const DLTensor *const *inputs, qn_array **outputs,
                           const qn_call_options *options, qn_error *error) {
    qn_context *context = kernel->module->context;
    const qn__signature *s = kernel->image.signature;
    qn_status status = gather(s, inputs, outputs, arguments, error);
    if (status != QN_OK) return status;
    qn__threads threads = context->threads;
    if (options && options->threads && options->threads < threads.count) threads.count = options->threads;
    qn__call_options run = {.allocator = &context->allocator, .externs = kernel->externs, .threads = &threads};
    if (options) run.cancel = options->cancel;
    if (options && options->deadline_ms > 0) {
        const double nanoseconds = options->deadline_ms * 1e6;
        run.deadline = nanoseconds < 9e18 ? qn__now() + (uint64_t)nanoseconds : 0;
    }
    qn__call_result result;
    const qn__loaded *loaded = atomic_load_explicit(&kernel->current, memory_order_acquire);
    qn__device_call device;
    if (loaded->device) {
        device.where = NULL;
        device.timed = false;
        run.device = &device;
    }
    if (qn__call(loaded, arguments, s->parameter_count, &run, &result) != QN__CALL_OK)
        return qn__call_error(&result, error);
    return hand_over(context, s, arguments, outputs, error);
}

qn_status qn_call(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_array **outputs,
                  size_t output_count, const qn_call_options *options, qn_error *error) {
    if (!kernel) return qn__error(error, QN_USAGE, "qn_call: kernel is NULL");
    const qn__signature *s = kernel->image.signature;
    const uint32_t expected = s->parameter_count - s->input_count;
    if (input_count != s->input_count || (input_count > 0 && !inputs))
        return qn__error(error, QN_USAGE, "%s takes %u inputs, %zu were given", s->name, s->input_count, input_count);
    if (output_count != expected || (output_count > 0 && !outputs))
        return qn__error(error, QN_USAGE, "%s has %u outputs, room for %zu was given", s->name, expected, output_count);
    qn__no_error(error);
    qn_status quick;
    if (kernel->quick && (!options || (!options->cancel && !(options->deadline_ms > 0) && !options->threads)) &&
        qn__quick_call(kernel, inputs, outputs, error, &quick))
        return quick;
    qn__argument small[SMALL];
    if (s->parameter_count <= SMALL) return call_with(kernel, small, inputs, outputs, options, error);
    qn__argument *arguments = calloc(s->parameter_count, sizeof *arguments);
    if (!arguments) return qn__error(error, QN_RESOURCE, "out of memory");
    const qn_status status = call_with(kernel, arguments, inputs, outputs, options, error);
    free(arguments);
    return status;
}
