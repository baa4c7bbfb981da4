/* The usual steps of a host: context, module, kernel, calls. */
#include "kernel.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

bool kernel_open(Kernel *k, const char *source) {
    qn_context_options options = {.engine = QN_ENGINE_CPU};
    qn_error error = {0};
    *k = (Kernel){0};
    qn_status status = qn_context_create(&options, &k->context, &error);
    if (!status) status = qn_module_from_source(k->context, "accuracy.qn", source, strlen(source), &k->module, &error);
    if (!status) status = qn_kernel_create(k->module, NULL, NULL, &k->kernel, &error);
    if (status) fprintf(stderr, "%s\n%s: %s\n", source, qn_status_text(status), error.message);
    return !status;
}

void kernel_close(Kernel *k) {
    qn_kernel_destroy(k->kernel);
    qn_module_destroy(k->module);
    qn_context_destroy(k->context);
}

DLTensor kernel_tensor(const void *data, qn_type type, int64_t *shape) {
    return (DLTensor){
        .data = (void *)(uintptr_t)data,
        .device = {kDLCPU, 0},
        .ndim = shape ? 1 : 0,
        .dtype = qn_type_to_dlpack(type),
        .shape = shape,
    };
}

bool kernel_call(Kernel *k, const DLTensor *const *inputs, size_t input_count, qn_array **outputs, size_t output_count) {
    qn_error error = {0};
    qn_status status = qn_call(k->kernel, inputs, input_count, outputs, output_count, NULL, &error);
    if (status) fprintf(stderr, "%s: %s\n", qn_status_text(status), error.message);
    return !status;
}
