/* Calls of kernels on a device, and what happens when the device fails: where the context allows it the call is made once more by the same kernel
 * compiled for the processor, with the arguments as they were. Inouts of the host are saved before each such call, because results may have been on their
 * way back when the device failed. Arguments that lie on the device cannot be saved from it: then the error stands. */
#include "api/internal.h"
#include "runtime/call_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies of the inouts, by input; NULL where there is none. */
typedef struct saved { qn_array **arrays; } saved;

static void drop(const qn_kernel *kernel, saved *s) {
    for (uint32_t i = 0; s->arrays && i < kernel->image.signature->input_count; i++) qn_array_destroy(s->arrays[i]);
    free(s->arrays);
    s->arrays = NULL;
}

static bool is_inout(const qn_kernel *kernel, uint32_t i) { return kernel->image.signature->parameters[i].kind == QN__PARAMETER_INOUT; }
static bool on_device(const DLTensor *t) { return t && t->device.device_type == kDLCUDA; }

static qn_status save(const qn_kernel *kernel, const DLTensor *const *inputs, saved *s, qn_error *error) {
    const uint32_t count = kernel->image.signature->input_count;
    qn_status status = QN_OK;
    for (uint32_t i = 0; i < count && status == QN_OK; i++) {
        if (!is_inout(kernel, i) || !inputs[i] || on_device(inputs[i])) continue;
        if (!s->arrays && !(s->arrays = calloc(count, sizeof *s->arrays))) return qn__error(error, QN_RESOURCE, "out of memory");
        status = qn_array_from(kernel->module->context, inputs[i], (DLDevice){kDLCPU, 0}, &s->arrays[i], error);
    }
    return status;
}

static void restore(const qn_kernel *kernel, const DLTensor *const *inputs, const saved *s) {
    for (uint32_t i = 0; s->arrays && i < kernel->image.signature->input_count; i++) {
        if (!s->arrays[i]) continue;
        const DLTensor *t = inputs[i], *from = &s->arrays[i]->tensor;
        const int64_t bytes = (int64_t)qn_type_bytes(qn_type_from_dlpack(t->dtype));
        int64_t to_strides[QN_MAX_RANK], from_strides[QN_MAX_RANK];
        bool empty = false;
        for (int32_t d = 0; d < t->ndim; d++) {
            from_strides[d] = from->strides[d] * bytes;
            to_strides[d] = t->strides ? t->strides[d] * bytes : from_strides[d];
            empty = empty || t->shape[d] == 0;
        }
        if (!empty) qn__copy_strided((uint32_t)t->ndim, from->shape, (uint32_t)bytes, (char *)t->data + t->byte_offset, to_strides, from->data, from_strides);
    }
}

/* Whether all arguments of the call are the host's. */
static bool all_here(const qn_kernel *kernel, const DLTensor *const *inputs, qn_array *const *outputs, const qn_call_options *options) {
    const qn__signature *s = kernel->image.signature;
    if (options && options->outputs == kDLCUDA) return false;
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        const qn_array *given = i >= s->input_count ? outputs[i - s->input_count] : NULL;
        if (on_device(i < s->input_count ? inputs[i] : given ? &given->tensor : NULL)) return false;
    }
    return true;
}

/* The same kernel for the processor, made once. */
static qn_status other_kernel(qn_kernel *kernel, qn_kernel **other, qn_error *error) {
    pthread_mutex_lock(&kernel->profiling);
    *other = kernel->fallback;
    pthread_mutex_unlock(&kernel->profiling);
    if (*other) return QN_OK;
    qn_kernel *made = NULL;
    qn_type types[QN__MAX_RANK];
    for (uint32_t i = 0; i < kernel->info->generic_count; i++) types[i] = (qn_type)kernel->types[i];
    qn_kernel_options options = {.engine = QN_ENGINE_CPU, .type_arguments = types, .type_argument_count = kernel->info->generic_count};
    qn_status status = qn_kernel_create(kernel->module, kernel->info->name, &options, &made, error);
    options.engine = QN_ENGINE_INTERP;
    if (status != QN_OK) status = qn_kernel_create(kernel->module, kernel->info->name, &options, &made, error);
    if (status != QN_OK) return status;
    made->wanted = QN_ENGINE_CUDA; /* its calls are fallbacks */
    pthread_mutex_lock(&kernel->profiling);
    if (!kernel->fallback) {
        kernel->fallback = made;
        made = NULL;
    }
    *other = kernel->fallback;
    pthread_mutex_unlock(&kernel->profiling);
    qn_kernel_destroy(made); /* another thread was first */
    return QN_OK;
}

static qn_status fall_back(qn_kernel *kernel, const DLTensor *const *inputs, qn_array **outputs, const qn_call_options *options, const qn_error *why,
                           qn_error *error) {
    qn_kernel *other;
    bool unused;
    qn_status status = other_kernel(kernel, &other, error);
    if (status == QN_OK) status = qn__call_once(other, inputs, outputs, options, &unused, error);
    if (status != QN_OK) return status;
    if (options && options->profile) {
        snprintf(options->profile->why, sizeof options->profile->why, "%.*s", (int)sizeof options->profile->why - 1, why->message);
        qn__profile_call(kernel, options->profile);
    }
    return qn__no_error(error);
}

qn_status qn__call_guarded(qn_kernel *kernel, const DLTensor *const *inputs, qn_array **outputs, const qn_call_options *options, qn_error *error) {
    qn_context *context = kernel->module->context;
    const bool allowed = context->options.fallback && all_here(kernel, inputs, outputs, options);
    bool device_failed;
    qn_error failed = {0};
    saved kept = {NULL};
    qn_status status = allowed ? save(kernel, inputs, &kept, &failed) : QN_OK;
    if (status == QN_OK) {
        status = qn__call_once(kernel, inputs, outputs, options, &device_failed, &failed);
        if (status != QN_OK && device_failed) qn__count_failure(context, failed.message, false, allowed);
        if (status != QN_OK && device_failed && allowed) {
            restore(kernel, inputs, &kept);
            drop(kernel, &kept);
            return fall_back(kernel, inputs, outputs, options, &failed, error);
        }
    }
    drop(kernel, &kept);
    if (error && status != QN_OK) *error = failed;
    return status;
}
