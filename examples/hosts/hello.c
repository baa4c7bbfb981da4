/* The smallest host: compiles a kernel from a string, calls it, prints the result. */
#include <quern/quern.h>
#include <stdio.h>

int main(void) {
    static const char source[] = "kernel squares(n: size) -> y: i64[n] { y[i] = i * i }";
    qn_context *context = NULL;
    qn_module *module = NULL;
    qn_kernel *kernel = NULL;
    qn_array *y = NULL;
    qn_error error;
    int64_t n = 6;
    const DLTensor scalar = {.data = &n, .device = {kDLCPU, 0}, .dtype = qn_type_to_dlpack(QN_I64)};
    const DLTensor *inputs[] = {&scalar};
    if (qn_context_create(NULL, &context, &error) == QN_OK &&
        qn_module_from_source(context, "hello.qn", source, sizeof source - 1, &module, &error) == QN_OK &&
        qn_kernel_create(module, "squares", NULL, &kernel, &error) == QN_OK && qn_call(kernel, inputs, 1, &y, 1, NULL, &error) == QN_OK)
        for (int64_t i = 0; i < n; i++) printf("%lld%c", (long long)((const int64_t *)qn_array_tensor(y)->data)[i], i + 1 < n ? ' ' : '\n');
    else
        fprintf(stderr, "%s\n", error.message);
    qn_array_destroy(y);
    qn_kernel_destroy(kernel);
    qn_module_destroy(module);
    qn_context_destroy(context);
    return (int)error.status;
}
