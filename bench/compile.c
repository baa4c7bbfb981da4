/* Compile times inside one process: parse, check, lower, optimise, emit, load, per kernel; the first and the median of the warm ones.
 *
 *     compile ROUNDS FILE.qn... */
#include <quern/quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_ROUNDS = 1000 };

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double once(qn_context *context, const char *path, qn_compile_times *times) {
    qn_module *module = NULL;
    qn_kernel *kernel = NULL;
    qn_error error;
    const qn_type types[] = {QN_F32};
    const double start = now_ms();
    qn_kernel_options options = {.engine = QN_ENGINE_CPU, .type_arguments = types};
    qn_status status = qn_module_from_file(context, path, &module, &error);
    if (status == QN_OK) {
        options.type_argument_count = qn_module_kernel_generics(module, 0);
        status = qn_kernel_create(module, qn_module_kernel_name(module, 0), &options, &kernel, &error);
    }
    const double end = now_ms();
    if (status != QN_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    *times = qn_kernel_compile_times(kernel);
    qn_kernel_destroy(kernel);
    qn_module_destroy(module);
    return end - start;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: compile ROUNDS FILE.qn...\n");
        return 2;
    }
    const int rounds = atoi(argv[1]) < MAX_ROUNDS ? atoi(argv[1]) : MAX_ROUNDS;
    printf("%-28s %9s %9s   of which: %7s %7s %7s %7s\n", "kernel", "first ms", "warm ms", "parse", "passes", "emit", "load");
    for (int i = 2; i < argc; i++) {
        qn_context *context = NULL;
        qn_error error;
        double times[MAX_ROUNDS];
        qn_compile_times parts;
        const qn_context_options options = {.engine = QN_ENGINE_CPU, .cache_folder = ""};
        if (qn_context_create(&options, &context, &error) != QN_OK) return 1;
        const double first = once(context, argv[i], &parts);
        for (int k = 0; k < rounds; k++) times[k] = once(context, argv[i], &parts);
        qsort(times, (size_t)rounds, sizeof *times, ascending);
        printf("%-28s %9.2f %9.2f   %16.2f %7.2f %7.2f %7.2f\n", argv[i], first, times[rounds / 2], parts.parse_ms, parts.passes_ms, parts.emit_ms,
               parts.load_ms);
        qn_context_destroy(context);
    }
    return 0;
}
