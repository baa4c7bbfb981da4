/* The CUDA side of contexts: the driver and the device are opened with the first kernel that needs them. */
#include "api/internal.h"
#include "compiler/llvm/gpu.h"

#include <stdio.h>
#include <string.h>

qn_status qn__cuda_status(qn__cuda_failure failure) { return failure == QN__CUDA_NO_MEMORY ? QN_RESOURCE : QN_DEVICE; }

qn__cuda *qn__context_cuda(qn_context *context, qn_error *error) {
    qn__cuda_error failed = {0};
    qn__queue_recover(context);
    pthread_mutex_lock(&context->mutex);
    if (!context->cuda) context->cuda = qn__cuda_open(&failed);
    qn__cuda *cuda = context->cuda;
    pthread_mutex_unlock(&context->mutex);
    if (!cuda) qn__error(error, qn__cuda_status(failed.failure), "%s", failed.text);
    return cuda;
}

qn__cuda_device *qn__context_device(qn_context *context, qn_error *error) {
    qn__cuda_error failed = {0};
    qn__cuda *cuda = qn__context_cuda(context, error);
    if (!cuda) return NULL;
    qn__cuda_device *device = qn__cuda_device_open(cuda, context->options.device, &failed);
    if (!device) qn__error(error, qn__cuda_status(failed.failure), "%s", failed.text);
    return device;
}

/* For the context's device, which is open. */
static bool target_of(const qn_context *context, qn__gpu_options *options) {
    qn__cuda_error unused;
    qn__cuda_properties p;
    if (!context->cuda || !qn__cuda_describe(context->cuda, context->options.device, &p, &unused)) return false;
    *options = (qn__gpu_options){.sm = p.sm, .ptx_version = qn__cuda_about(context->cuda).ptx_version, .lines = context->options.debug};
    return true;
}

bool qn__emit_ptx(const qn__ir *ir, const qn_context *context, qn__image *image, const char **message) {
    qn__gpu_options options;
    *message = "there is no CUDA device to compile for";
    return target_of(context, &options) && qn__gpu_emit(ir, &options, image, message);
}

bool qn__describe_ptx(qn_context *context, qn__text *out) {
    qn__gpu_options options;
    return qn__context_device(context, NULL) && target_of(context, &options) && qn__gpu_describe(&options, out);
}
