/* Calls: DLPack tensors on one side, the runtime's arguments on the other. */
#include "api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 24 }; /* parameters that a call handles without asking for memory */

/* Whether the tensor's data is what its device says; an empty one may point anywhere. */
static qn_status is_of(const qn__parameter *p, const DLTensor *t, qn__cuda_device *device, qn_error *error) {
    qn__cuda_error failed = {0};
    for (int32_t d = 0; t->shape && d < t->ndim; d++)
        if (t->shape[d] == 0) return QN_OK;
    if (qn__cuda_owns(device, (uint64_t)(uintptr_t)t->data + t->byte_offset, &failed)) return QN_OK;
    return qn__error(error, failed.failure ? qn__cuda_status(failed.failure) : QN_USAGE, "argument '%s': %s", p->name, failed.text);
}

/* Where a tensor lies, for a kernel on `device` (NULL: on the host). */
static qn_status where_is(const qn__parameter *p, const DLTensor *t, qn__cuda_device *device, uint8_t *where, qn_error *error) {
    *where = QN__WHERE_HOST;
    switch (t->device.device_type) {
    case kDLCPU: return QN_OK;
    case kDLCUDAHost:
        if (device) *where = QN__WHERE_PINNED;
        return QN_OK;
    case kDLCUDAManaged:
        if (!device || p->rank == 0) return QN_OK;
        *where = QN__WHERE_DEVICE;
        return is_of(p, t, device, error);
    case kDLCUDA: break;
    default: return qn__error(error, QN_USAGE, "argument '%s' is not in the host's memory", p->name);
    }
    if (p->rank == 0) return qn__error(error, QN_USAGE, "argument '%s' is a scalar, which must be in the host's memory; it lies on a device", p->name);
    if (!device)
        return qn__error(error, QN_USAGE, "argument '%s' lies on cuda:%d, the kernel runs on the host: qn_array_to copies it", p->name, t->device.device_id);
    if (t->device.device_id != (int)qn__cuda_ordinal(device))
        return qn__error(error, QN_USAGE, "argument '%s' lies on cuda:%d, the kernel runs on cuda:%u: qn_array_to copies it", p->name, t->device.device_id,
                         qn__cuda_ordinal(device));
    *where = QN__WHERE_DEVICE;
    return is_of(p, t, device, error);
}

qn_status qn__argument_from(const qn__parameter *p, const DLTensor *t, qn__cuda_device *device, qn__argument *out, qn_error *error) {
    if (!t) return qn__error(error, QN_USAGE, "argument '%s' is NULL", p->name);
    uint8_t where = QN__WHERE_HOST;
    if (t->device.device_type != kDLCPU) {
        const qn_status status = where_is(p, t, device, &where, error);
        if (status != QN_OK) return status;
    }
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
    out->where = where;
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
static qn_status gather(const qn__signature *s, const DLTensor *const *inputs, qn_array *const *outputs, const qn__loaded *loaded,
                        bool outputs_there, qn__argument *arguments, qn_error *error) {
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        qn__clear_argument(&arguments[i], s->parameters[i].type, s->parameters[i].rank);
        const qn_array *given = i >= s->input_count ? outputs[i - s->input_count] : NULL;
        if (i >= s->input_count && !given) {
            if (outputs_there && s->parameters[i].rank > 0) arguments[i].where = QN__WHERE_DEVICE;
            continue;
        }
        const qn_status status = qn__argument_from(&s->parameters[i], given ? &given->tensor : inputs[i], loaded->device, &arguments[i], error);
        if (status != QN_OK) return status;
    }
    return QN_OK;
}

/* A new array for an output that the caller did not give. */
static qn_status new_output(qn_context *context, const qn__loaded *loaded, const qn__parameter *p, qn__argument *a, qn_array **output, qn_error *error) {
    if (p->rank > 0 || a->data) {
        *output = qn__array_adopt(context, a, loaded->device);
        return *output ? QN_OK : qn__error(error, QN_RESOURCE, "out of memory");
    }
    const qn_status status = qn_array_create(context, (qn_type)a->type, 0, NULL, output, error);
    if (status == QN_OK) memcpy((*output)->tensor.data, &a->bits, qn__type_bytes((qn__type)a->type));
    return status;
}

/* Hands what the call made to the caller; all new arrays or none. */
static qn_status hand_over(qn_context *context, const qn__loaded *loaded, const qn__signature *s, qn__argument *arguments, qn_array **outputs,
                           qn_error *error) {
    qn_status status = QN_OK;
    for (uint32_t i = s->input_count; status == QN_OK && i < s->parameter_count; i++) {
        qn_array **output = &outputs[i - s->input_count];
        for (uint32_t d = 0; *output && d < arguments[i].rank; d++) (*output)->shape[d] = arguments[i].extent[d];
        if (*output) arguments[i].rank = UINT8_MAX; /* the caller's: not to be dropped below */
        else status = new_output(context, loaded, &s->parameters[i], &arguments[i], output, error);
    }
    for (uint32_t i = s->input_count; status != QN_OK && i < s->parameter_count; i++) {
        qn__argument_drop(context, &arguments[i], loaded->device);
        if (arguments[i].rank == UINT8_MAX) continue;
        qn_array_destroy(outputs[i - s->input_count]);
        outputs[i - s->input_count] = NULL;
    }
    return status;
}

/* What a call needs that runs on a device. */
typedef struct device_side { qn__device_call call; qn__cuda_space memory; qn__space space; } device_side;

static void set_device(device_side *there, qn__cuda_device *device, bool timed, qn__call_options *run) {
    there->call.where = NULL; /* field by field: the text is long */
    there->call.timed = timed;
    there->call.on_span = NULL;
    there->call.failure = 0;
    there->call.out_of_memory = false;
    there->memory = (qn__cuda_space){device, &there->call};
    qn__cuda_space_of(&there->memory, &there->space);
    run->device = &there->call;
    run->space = &there->space;
}

/* Who listens to the spans of a call on a device, and when the call began. */
typedef struct listener { const qn_call_options *options; const qn__device_call *call; uint64_t began; } listener;

static double between(uint64_t from, uint64_t to) { return (double)(int64_t)(to - from) * 1e-6; }

static void hear(void *user, const qn__device_span *span) {
    const listener *l = user;
    static const qn_span_kind kinds[] = {[QN__SPAN_IN] = QN_SPAN_COPY_IN, [QN__SPAN_COMPUTE] = QN_SPAN_COMPUTE, [QN__SPAN_OUT] = QN_SPAN_COPY_OUT};
    const qn_span heard = {kinds[span->kind], span->name, between(l->began, l->call->began) + span->start_ms, span->ms, span->bytes};
    l->options->on_span(l->options->user, &heard);
}

/* What was measured, to whoever asked. */
static void tell(qn_kernel *kernel, const qn__loaded *loaded, const qn_call_options *options, const qn__call_result *result, const qn__device_call *there,
                 uint64_t began) {
    qn_call_profile p = {.engine = loaded->engine == &qn__engine_interp ? QN_ENGINE_INTERP : kernel->engine, .total_ms = between(began, qn__now())};
    const qn_compile_times t = qn_kernel_compile_times(kernel);
    p.compile_ms = t.parse_ms + t.check_ms + t.lower_ms + t.passes_ms + t.emit_ms + t.load_ms;
    p.fallback = kernel->engine != kernel->wanted;
    snprintf(p.why, sizeof p.why, "%s", kernel->why);
    if (there) {
        p.device = qn__cuda_ordinal(loaded->device);
        p.copy_in_ms = there->in_ms;
        p.compute_ms = there->compute_ms;
        p.copy_out_ms = there->out_ms;
        p.bytes_in = there->bytes_in;
        p.bytes_out = there->bytes_out;
        p.launches = there->launches;
        p.waits = there->waits;
    } else {
        p.compute_ms = (double)result->run_nanoseconds * 1e-6;
        p.bytes_in = p.bytes_out = result->packed_bytes;
    }
    if (options->profile) {
        *options->profile = p;
        qn__profile_call(kernel, &p);
    }
    if (!options->on_span) return;
    const char *name = kernel->image.signature->name;
    if (!there) options->on_span(options->user, &(qn_span){QN_SPAN_COMPUTE, name, p.total_ms > p.compute_ms ? (p.total_ms - p.compute_ms) / 2 : 0, p.compute_ms, 0});
    options->on_span(options->user, &(qn_span){QN_SPAN_CALL, name, 0, p.total_ms, 0});
}

/* The call itself where a device or somebody who measures takes part: apart, because their records are large. */
static __attribute__((noinline)) qn_status call_watched(qn_kernel *kernel, const qn__loaded *loaded, qn__argument *arguments, qn_array **outputs,
                                                        qn__call_options *run, const qn_call_options *options, bool *device_failed, qn_error *error) {
    qn_context *context = kernel->module->context;
    const qn__signature *s = kernel->image.signature;
    qn__call_result result;
    device_side there;
    const bool timed = options && (options->profile || options->on_span);
    const listener ear = {options, &there.call, timed ? qn__now() : 0};
    run->timed = timed;
    if (loaded->device) set_device(&there, loaded->device, timed, run);
    if (loaded->device && options && options->on_span) {
        there.call.on_span = hear;
        there.call.user = (void *)(uintptr_t)&ear;
    }
    if (qn__call(loaded, arguments, s->parameter_count, run, &result) != QN__CALL_OK) {
        *device_failed = loaded->device && there.call.failure;
        return qn__call_error(&result, error);
    }
    const qn_status status = hand_over(context, loaded, s, arguments, outputs, error);
    if (timed && status == QN_OK) tell(kernel, loaded, options, &result, loaded->device ? &there.call : NULL, ear.began);
    return status;
}

static qn_status call_with(qn_kernel *kernel, qn__argument *arguments, const DLTensor *const *inputs, qn_array **outputs,
                           const qn_call_options *options, bool *device_failed, qn_error *error) {
    qn_context *context = kernel->module->context;
    const qn__signature *s = kernel->image.signature;
    const qn__loaded *loaded = atomic_load_explicit(&kernel->current, memory_order_acquire);
    const DLDeviceType wanted = options ? options->outputs : kDLCPU;
    if (wanted && wanted != kDLCPU && (wanted != kDLCUDA || !loaded->device))
        return qn__error(error, QN_USAGE, "options->outputs: the kernel runs on %s, its outputs lie there or on the host", loaded->device ? "a CUDA device" : "the host");
    const qn_status status = gather(s, inputs, outputs, loaded, wanted == kDLCUDA, arguments, error);
    if (status != QN_OK) return status;
    qn__threads threads = context->threads;
    if (options && options->threads && options->threads < threads.count) threads.count = options->threads;
    qn__call_options run = {.allocator = &context->allocator, .externs = kernel->externs, .threads = &threads};
    if (options) run.cancel = options->cancel;
    if (options && options->deadline_ms > 0) {
        const double nanoseconds = options->deadline_ms * 1e6;
        run.deadline = nanoseconds < 9e18 ? qn__now() + (uint64_t)nanoseconds : 0;
    }
    if (loaded->device || (options && (options->profile || options->on_span)))
        return call_watched(kernel, loaded, arguments, outputs, &run, options, device_failed, error);
    qn__call_result result;
    if (qn__call(loaded, arguments, s->parameter_count, &run, &result) != QN__CALL_OK) return qn__call_error(&result, error);
    return hand_over(context, loaded, s, arguments, outputs, error);
}

qn_status qn__call_once(qn_kernel *kernel, const DLTensor *const *inputs, qn_array **outputs, const qn_call_options *options, bool *device_failed,
                        qn_error *error) {
    const uint32_t count = kernel->image.signature->parameter_count;
    qn__argument small[SMALL];
    *device_failed = false;
    if (count <= SMALL) return call_with(kernel, small, inputs, outputs, options, device_failed, error);
    qn__argument *arguments = calloc(count, sizeof *arguments);
    if (!arguments) return qn__error(error, QN_RESOURCE, "out of memory");
    const qn_status status = call_with(kernel, arguments, inputs, outputs, options, device_failed, error);
    free(arguments);
    return status;
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
    if (kernel->quick && (!options || (!options->cancel && !(options->deadline_ms > 0) && !options->threads && !options->profile && !options->on_span && !options->outputs)) &&
        qn__quick_call(kernel, inputs, outputs, error, &quick))
        return quick;
    bool device_failed;
    if (kernel->loaded.device) return qn__call_guarded(kernel, inputs, outputs, options, error);
    return qn__call_once(kernel, inputs, outputs, options, &device_failed, error);
}
