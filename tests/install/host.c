// A smallest host program: what someone who installed Quern writes. Built through pkg-config and through CMake.
#include <quern/quern.h>

#include <stdio.h>
#include <string.h>

static const char source[] = "kernel saxpy(a: f32, x: f32[n], y: f32[n]) -> z: f32[n] {\n"
                             "    z[i] = a * x[i] + y[i]\n"
                             "}\n";

static DLTensor tensor(void *data, int32_t rank, int64_t *shape) {
    return (DLTensor){.data = data, .device = {kDLCPU, 0}, .ndim = rank, .dtype = {kDLFloat, 32, 1}, .shape = shape};
}

int main(void) {
    float a = 2, x[5] = {1, 2, 3, 4, 5}, y[5] = {10, 20, 30, 40, 50};
    int64_t shape[1] = {5};
    DLTensor ta = tensor(&a, 0, NULL), tx = tensor(x, 1, shape), ty = tensor(y, 1, shape);
    const DLTensor *inputs[] = {&ta, &tx, &ty};
    qn_context *context = NULL;
    qn_module *module = NULL;
    qn_kernel *kernel = NULL;
    qn_array *z = NULL;
    qn_error error;
    qn_status status = qn_context_create(NULL, &context, &error);
    if (!status) status = qn_module_from_source(context, "saxpy.qn", source, strlen(source), &module, &error);
    if (!status) status = qn_kernel_create(module, "saxpy", NULL, &kernel, &error);
    if (!status) status = qn_call(kernel, inputs, 3, &z, 1, NULL, &error);
    if (status) {
        fprintf(stderr, "host: %s\n", error.message);
        return status;
    }
    const float *result = qn_array_tensor(z)->data;
    for (int i = 0; i < 5; i++) printf(" %g", (double)result[i]);
    printf("\n");
    qn_array_destroy(z);
    qn_kernel_destroy(kernel);
    qn_module_destroy(module);
    qn_context_destroy(context);
    return 0;
}
