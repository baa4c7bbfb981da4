/* The CUDA side of contexts: the driver and the device are opened with the first kernel that needs them. */
#include "api/internal.h"
#include "compiler/llvm/gpu.h"

#include <stdio.h>
#include <string.h>

qn_status qn__cuda_status(qn__cuda_failure failure) { return failure == QN__CUDA_NO_MEMORY ? QN_RESOURCE : QN_DEVICE; }

qn_status qn__cuda_error_record(const qn__cuda_error *failed, qn_error *error) {
    return qn__error(error, qn__cuda_status(failed->failure), "%s", failed->text);
}

qn_status qn__context_cuda(qn_context *context, qn__cuda **cuda, qn_error *error) {
    qn__cuda_error failed = {0};
    qn__context_lock(context);
    if (!context->cuda) context->cuda = qn__cuda_open(&failed);
    *cuda = context->cuda;
    pthread_mutex_unlock(&context->mutex);
    return *cuda ? QN_OK : qn__cuda_error_record(&failed, error);
}

qn_status qn__context_device(qn_context *context, uint32_t index, qn__cuda_device **device, qn_error *error) {
    qn__cuda_error failed = {0};
    qn__cuda *cuda;
    *device = NULL;
    const qn_status status = qn__context_cuda(context, &cuda, error);
    if (status != QN_OK) return status;
    *device = qn__cuda_device_open(cuda, index, &failed);
    return *device ? QN_OK : qn__cuda_error_record(&failed, error);
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
    qn__cuda_device *device;
    return qn__context_device(context, context->options.device, &device, NULL) == QN_OK && target_of(context, &options) && qn__gpu_describe(&options, out);
}

qn_status qn_device_describe(qn_context *context, uint32_t index, qn_device *device, qn_error *error) {
    if (!context || !device) return qn__error(error, QN_USAGE, "qn_device_describe: context or device is NULL");
    memset(device, 0, sizeof *device);
    qn__cuda_error failed = {0};
    qn__cuda *cuda;
    const qn_status status = qn__context_cuda(context, &cuda, error);
    if (status != QN_OK) return status;
    const qn__cuda_facts facts = qn__cuda_about(cuda);
    qn__cuda_properties p;
    qn__cuda_device *opened = qn__cuda_device_open(cuda, index, &failed);
    if (!opened || !qn__cuda_describe(cuda, index, &p, &failed) || !qn__cuda_memory(opened, &device->free_bytes, &device->memory_bytes, &failed))
        return qn__cuda_error_record(&failed, error);
    snprintf(device->name, sizeof device->name, "%s", p.name);
    snprintf(device->library, sizeof device->library, "%s", facts.library);
    device->index = index;
    device->count = facts.device_count;
    device->compute_capability = p.sm;
    device->processors = p.processors;
    device->bandwidth = p.bandwidth;
    device->driver_version = (uint32_t)facts.driver_version;
    device->ptx_version = facts.ptx_version;
    return qn__no_error(error);
}
