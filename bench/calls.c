/* What a call costs, measured on saxpy with 10 elements: the compiled kernel as a C function, qn_call, and a kernel with
 * both tiers before and after the compiled code took over. Prints nanoseconds per call: the median of batches, and the
 * best batch. */
#include <quern/quern.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef int32_t saxpy_function(float a, const float *x, const float *y, float *z, int64_t n, qn_error *error);

enum { ELEMENTS = 10, BATCH = 2000, BATCHES = 501, STARTS = 51 };

static const char source[] = "kernel saxpy(a: f32, x: f32[n], y: f32[n]) -> z: f32[n] {\n    z[i] = a * x[i] + y[i]\n}\n";

typedef struct bench {
    qn_context *context;
    qn_module *module;
    qn_array *a, *x, *y, *z;
    qn_kernel *kernel;
    saxpy_function *function;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(qn_status status, const qn_error *error) {
    if (status == QN_OK) return;
    fprintf(stderr, "%s\n", error->message);
    exit((int)status);
}

static float *data(const qn_array *array) { return qn_array_tensor(array)->data; }

__attribute__((noinline)) static int32_t by_hand(float a, const float *x, const float *y, float *z, int64_t n, qn_error *error) {
    (void)error;
    for (int64_t i = 0; i < n; i++) z[i] = __builtin_fmaf(a, x[i], y[i]);
    return 0;
}

/* One call of each kind; the sum of statuses keeps them alive. */
static int call_function(const bench *b) { return b->function(2, data(b->x), data(b->y), data(b->z), ELEMENTS, NULL); }

static int call_checked(const bench *b) {
    const DLTensor *inputs[] = {qn_array_tensor(b->a), qn_array_tensor(b->x), qn_array_tensor(b->y)};
    qn_array *output = b->z;
    return (int)qn_call(b->kernel, inputs, 3, &output, 1, NULL, NULL);
}

static int call_allocating(const bench *b) {
    const DLTensor *inputs[] = {qn_array_tensor(b->a), qn_array_tensor(b->x), qn_array_tensor(b->y)};
    qn_array *output = NULL;
    const int status = (int)qn_call(b->kernel, inputs, 3, &output, 1, NULL, NULL);
    qn_array_destroy(output);
    return status;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double measure(const char *what, const bench *b, int (*call)(const bench *)) {
    static double times[BATCHES];
    int statuses = 0;
    for (int i = 0; i < BATCHES; i++) {
        const double start = now();
        for (int k = 0; k < BATCH; k++) statuses |= call(b);
        times[i] = (now() - start) / (double)BATCH;
    }
    qsort(times, BATCHES, sizeof *times, ascending);
    printf("%-48s %8.1f ns  (best %.1f)%s\n", what, times[BATCHES / 2], times[0], statuses ? "  FAILED" : "");
    return times[BATCHES / 2];
}

static void open_kernel(bench *b, qn_tier tier) {
    qn_error error;
    const qn_kernel_options options = {.tier = tier};
    check(qn_kernel_create(b->module, "saxpy", &options, &b->kernel, &error), &error);
    b->function = (saxpy_function *)qn_kernel_function(b->kernel);
    if (!b->function) exit(QN_RESOURCE);
}

static void open_all(bench *b) {
    qn_error error;
    const int64_t shape[] = {ELEMENTS};
    const qn_context_options options = {.cache_folder = ""};
    check(qn_context_create(&options, &b->context, &error), &error);
    check(qn_module_from_source(b->context, "saxpy.qn", source, sizeof source - 1, &b->module, &error), &error);
    check(qn_array_create(b->context, QN_F32, 0, NULL, &b->a, &error), &error);
    check(qn_array_create(b->context, QN_F32, 1, shape, &b->x, &error), &error);
    check(qn_array_create(b->context, QN_F32, 1, shape, &b->y, &error), &error);
    check(qn_array_create(b->context, QN_F32, 1, shape, &b->z, &error), &error);
    *data(b->a) = 2;
    for (int i = 0; i < ELEMENTS; i++) data(b->x)[i] = data(b->y)[i] = (float)i;
}

typedef struct start { double first, ready, before; } start;

/* From creation to the first result, and to compiled code; what a call costs in between. */
static start start_kernel(bench *b) {
    qn_error error;
    const double begun = now();
    open_kernel(b, QN_TIER_AUTO);
    if (call_function(b) != QN_OK) exit(QN_INTERNAL);
    const double first = now();
    double batches[STARTS];
    int count = 0;
    for (; count < STARTS && qn_kernel_tier(b->kernel) == QN_TIER_INTERP; count++) {
        const double batch = now();
        for (int k = 0; k < 20; k++) call_function(b);
        batches[count] = (now() - batch) / 20;
    }
    check(qn_kernel_prepare(b->kernel, 0, &error), &error);
    const double ready = now();
    qn_kernel_destroy(b->kernel);
    qsort(batches, (size_t)count, sizeof *batches, ascending);
    return (start){(first - begun) / 1e3, (ready - begun) / 1e3, count ? batches[count / 2] : 0};
}

static void measure_start(bench *b) {
    double first[STARTS], ready[STARTS], before[STARTS];
    for (int i = 0; i < STARTS; i++) {
        const start s = start_kernel(b);
        first[i] = s.first;
        ready[i] = s.ready;
        before[i] = s.before;
    }
    qsort(first, STARTS, sizeof *first, ascending);
    qsort(ready, STARTS, sizeof *ready, ascending);
    qsort(before, STARTS, sizeof *before, ascending);
    printf("%-48s %8.1f ns  (best %.1f)\n", "typed function, before the swap (trampoline)", before[STARTS / 2], before[0]);
    printf("%-48s %8.1f us  (best %.1f)\n", "tiers: create to the first result", first[STARTS / 2], first[0]);
    printf("%-48s %8.1f us  (best %.1f)\n", "tiers: create to compiled code", ready[STARTS / 2], ready[0]);
}

int main(void) {
    bench b = {.function = by_hand};
    open_all(&b);
    measure("C function, from the C compiler", &b, call_function);
    open_kernel(&b, QN_TIER_NATIVE);
    measure("typed function, compiled", &b, call_function);
    measure("qn_call, compiled, output given", &b, call_checked);
    measure("qn_call, compiled, output made", &b, call_allocating);
    qn_kernel_destroy(b.kernel);
    open_kernel(&b, QN_TIER_INTERP);
    measure("typed function, interpreter (closure)", &b, call_function);
    measure("qn_call, interpreter, output given", &b, call_checked);
    qn_kernel_destroy(b.kernel);
    open_kernel(&b, QN_TIER_AUTO);
    qn_error error;
    check(qn_kernel_prepare(b.kernel, 0, &error), &error);
    measure("typed function, after the swap (trampoline)", &b, call_function);
    measure("qn_call, after the swap", &b, call_checked);
    qn_kernel_destroy(b.kernel);
    measure_start(&b);
    qn_array_destroy(b.a);
    qn_array_destroy(b.x);
    qn_array_destroy(b.y);
    qn_array_destroy(b.z);
    qn_module_destroy(b.module);
    qn_context_destroy(b.context);
    return 0;
}
