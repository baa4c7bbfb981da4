/* Memory over many kernels: whether compiling and dropping leaves anything behind, and what a kernel that stays costs.
 *
 *     memory [MODULES [KERNELS]]
 *
 * Compiles MODULES (10,000) modules one after the other for the cpu, every one another text with another kernel's name, without a cache, and drops each; prints the
 * resident size every tenth of the way. Then keeps KERNELS (1,000) alive at once, and prints bytes per kernel. Exits with 1
 * when the resident size after the last module is more than 1 MB above that after the warm-up, the first tenth. */
#include <malloc.h>
#include <quern/quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEGABYTE = 1000000 };

/* Of this process, in bytes, after giving back what the C library keeps for itself. */
static long resident(void) {
    long pages = 0, resident_pages = 0;
    malloc_trim(0);
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident_pages) != 2) exit(2);
    fclose(file);
    return resident_pages * sysconf(_SC_PAGESIZE);
}

static qn_kernel *compile(qn_context *context, int number, qn_engine engine) {
    char text[256];
    qn_module *module = NULL;
    qn_kernel *kernel = NULL;
    qn_error error;
    const int length = snprintf(text, sizeof text, "kernel saxpy%d(a: f32, x: f32[n], y: f32[n]) -> z: f32[n] {\n    z[i] = a * x[i] + y[i] * %d.0\n}\n",
                                number, number % 1000);
    const qn_kernel_options options = {.engine = engine};
    qn_status status = qn_module_from_source(context, "saxpy.qn", text, (size_t)length, &module, &error);
    if (status == QN_OK) status = qn_kernel_create(module, NULL, &options, &kernel, &error);
    if (status != QN_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(2);
    }
    qn_module_destroy(module);
    return kernel;
}

static qn_context *new_context(void) {
    qn_context *context = NULL;
    const qn_context_options options = {.cache_folder = ""};
    if (qn_context_create(&options, &context, NULL) != QN_OK) exit(2);
    return context;
}

static long drop_many(int modules) {
    qn_context *context = new_context();
    const int warm = modules / 10 > 0 ? modules / 10 : 1;
    long first = 0, now = 0;
    for (int i = 1; i <= modules; i++) {
        qn_kernel_destroy(compile(context, i, QN_ENGINE_CPU));
        if (i % warm != 0) continue;
        now = resident();
        if (i == warm) first = now;
        printf("%6d modules compiled and dropped: %7.2f MB resident\n", i, (double)now / MEGABYTE);
        fflush(stdout);
    }
    qn_context_destroy(context);
    printf("       and the context destroyed: %9.2f MB resident\n", (double)resident() / MEGABYTE);
    printf("growth after the warm-up: %.3f MB\n", (double)(now - first) / MEGABYTE);
    return now - first;
}

static void keep_many(int count, qn_engine engine, const char *name) {
    qn_context *context = new_context();
    qn_kernel **kernels = calloc((size_t)count, sizeof *kernels);
    if (!kernels) exit(2);
    qn_kernel_destroy(compile(context, 0, engine));
    const long before = resident();
    for (int i = 0; i < count; i++) kernels[i] = compile(context, i, engine);
    const long full = resident();
    for (int i = 0; i < count; i++) qn_kernel_destroy(kernels[i]);
    const long after = resident();
    printf("%s: %d kernels alive: %ld bytes each; %.2f MB left when they are dropped\n", name, count, (full - before) / count, (double)(after - before) / MEGABYTE);
    free(kernels);
    qn_context_destroy(context);
}

int main(int argc, char **argv) {
    const int modules = argc > 1 ? atoi(argv[1]) : 10000, kernels = argc > 2 ? atoi(argv[2]) : 1000;
    const long growth = modules > 0 ? drop_many(modules) : 0;
    if (kernels > 0) keep_many(kernels, QN_ENGINE_INTERP, "interp");
    if (kernels > 0) keep_many(kernels, QN_ENGINE_CPU, "cpu");
    return growth > MEGABYTE;
}
