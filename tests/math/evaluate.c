/* Compiles one source for one engine, wraps the caller's memory as tensors, calls, copies the result. Everything is released on
   every path: the handles start as NULL, and destroying NULL does nothing. */
#include "evaluate.h"

#include <stdio.h>
#include <string.h>

static DLTensor wrap(const void *data, qn_type type, int64_t *shape) {
    return (DLTensor){
        .data = (void *)(uintptr_t)data,
        .device = {kDLCPU, 0},
        .ndim = 1,
        .dtype = qn_type_to_dlpack(type),
        .shape = shape,
    };
}

static qn_status run(qn_kernel *kernel, qn_type type, size_t n, const void *x, const void *y, qn_array **output,
                     qn_error *error) {
    int64_t shape[1] = {(int64_t)n};
    DLTensor first = wrap(x, type, shape), second = wrap(y, type, shape);
    const DLTensor *inputs[] = {&first, &second};
    return qn_call(kernel, inputs, 2, output, 1, NULL, error);
}

bool evaluate(qn_engine engine, const char *source, qn_type type, qn_type result, size_t n, const void *x, const void *y,
              void *z) {
    qn_context *context = NULL;
    qn_module *module = NULL;
    qn_kernel *kernel = NULL;
    qn_array *output = NULL;
    qn_error error = {0};
    qn_context_options options = {.engine = engine};
    qn_status status = qn_context_create(&options, &context, &error);
    if (!status) status = qn_module_from_source(context, "math.qn", source, strlen(source), &module, &error);
    if (!status) status = qn_kernel_create(module, NULL, NULL, &kernel, &error);
    if (!status) status = run(kernel, type, n, x, y, &output, &error);
    if (status) {
        fprintf(stderr, "%s\n%s: %s\n", source, qn_status_text(status), error.message);
    } else {
        const DLTensor *tensor = qn_array_tensor(output);
        memcpy(z, (const char *)tensor->data + tensor->byte_offset, n * qn_type_bytes(result));
    }
    qn_array_destroy(output);
    qn_kernel_destroy(kernel);
    qn_module_destroy(module);
    qn_context_destroy(context);
    return !status;
}
