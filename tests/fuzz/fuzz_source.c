// Fuzzes the compiler from source text: parsing, checking and lowering of everything, then the compilation of the
// first kernel for the interpreter. Findings: crashes, sanitizer reports, hangs, memory.
#include <quern/quern.h>

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *user, const qn_diagnostic *diagnostic) { *(size_t *)user += diagnostic->message[0] != 0; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t diagnostics = 0;
    qn_context_options options = {
        .engine = QN_ENGINE_INTERP, .memory_limit = (size_t)64 << 20, .on_diagnostic = count, .user = &diagnostics};
    qn_context *context = NULL;
    qn_module *module = NULL;
    if (qn_context_create(&options, &context, NULL)) return 0;
    if (!qn_module_from_source(context, "fuzz.qn", (const char *)data, size, &module, NULL)) {
        qn_status status = qn_module_check(module, NULL);
        if (status == QN_INTERNAL) __builtin_trap();
        if (status == QN_SOURCE && !diagnostics) __builtin_trap();
        if (!status && qn_module_kernel_count(module) && !qn_module_kernel_generics(module, 0)) {
            qn_kernel *kernel = NULL;
            if (qn_kernel_create(module, qn_module_kernel_name(module, 0), NULL, &kernel, NULL) == QN_INTERNAL)
                __builtin_trap();
            qn_kernel_destroy(kernel);
        }
    }
    qn_module_destroy(module);
    qn_context_destroy(context);
    return 0;
}
