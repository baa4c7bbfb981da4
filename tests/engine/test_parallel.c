/* Stages on several threads: the bits and faults of one thread at sizes where stages have many parts, callers at the same time, kernels called from
 * stages, deadlines, forks, and no thread before there is work for one.
 *
 * Every comparison is between contexts of 1, 2, 3 and 7 threads that use them for every stage. */
#include <dirent.h>
#include <pthread.h>
#include <quern/quern.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char source[] =
    "kernel cube(x: f32[a, b, c]) -> y: f32[a, b, c] { y[i, j, k] = x[i, j, k] * 2.0 + f32(i) - f32(j) * 0.5 + f32(k) }\n"
    "kernel blur(x: f32[h, w]) -> y: f32[h, w] {\n"
    "    y[i, j] = x[i-1, j] + x[i+1, j] + x[i, j-1] * x[i, j+1] for i in 1..h-1, j in 1..w-1 else x[i, j]\n}\n"
    "kernel reductions(x: f64[n]) -> total: f64, low: f64, at: i64, big: i64 {\n"
    "    total = sum(i: x[i] * x[i])\n    low = min(i: x[i])\n    at = argmax(i: x[i])\n    big = count(i: x[i] > 0.25)\n}\n"
    "kernel kept(x: f64[n], limit: f64) -> y: f64[?m], place: i64[?m] { y, place = keep(i: x[i], i where x[i] > limit) }\n"
    "kernel scatters(x: f64[n], bin: i32[n], k: size) -> c: i32[k], d: u8[k], low: f64[k], f: f64[k], p: i64[k, 3] {\n"
    "    c[bin[i]] += 1\n    d[bin[i]] += u8(bin[i])\n    low[bin[i]] min= x[i]\n    f[bin[i]] += x[i]\n    p[bin[i], i % 3] max= i\n}\n"
    "kernel steps(x: f32[n], count: size) -> y: f32[n], s: f32 {\n"
    "    let u[i] = x[i]\n    loop t in 0..count { u[i] = u[i] * 0.99 + f32(t) }\n    y[i] = u[i]\n    s = sum(i: u[i])\n}\n"
    "kernel checked(x: f32[n], at: i64[n]) -> y: f32[n] { y[i] = x[at[i]] }\n"
    "kernel checked_sum(x: f32[n], at: i64[n]) -> s: f32 { s = sum(i: x[at[i]]) }\n"
    "kernel checked_keep(x: f32[n], at: i64[n]) -> y: f32[?m] { y = keep(i: x[at[i]] where x[at[i]] > 0.5) }\n"
    "kernel endless(x: f32[n]) -> y: f32[n] {\n"
    "    y[i] = {\n        var k: f32 = 1.0\n        while k > 0.0 { k = k + x[i] * 0.0 }\n        k\n    }\n}\n"
    "kernel small(x: f32[n]) -> y: f32[n] { y[i] = x[i] + 1.0 }\n"
    "extern fn inner(x: f64) -> f64\n"
    "kernel outer(x: f64[n]) -> y: f64[n] { y[i] = inner(x[i]) }\n"
    "kernel square(x: f64[n]) -> s: f64 { s = sum(i: x[i] * x[i]) }\n";

static atomic_uint failures, passes;

#define CHECK(condition, ...)                                               \
    do {                                                                    \
        if (condition) {                                                    \
            atomic_fetch_add(&passes, 1);                                   \
        } else {                                                            \
            atomic_fetch_add(&failures, 1);                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fputc('\n', stderr);                                            \
        }                                                                   \
    } while (0)

enum { SETTINGS = 4, MAX_OUTPUTS = 5, N = 1500007 };
static const uint32_t counts[SETTINGS] = {1, 2, 3, 7};

typedef struct setting { qn_context *context; qn_module *module; } setting;
static setting settings[SETTINGS];

static double inner_function(double x);

static qn_kernel *kernel_of(const setting *s, const char *name) {
    qn_kernel *kernel = NULL;
    qn_error error;
    const qn_status status = qn_kernel_create(s->module, name, NULL, &kernel, &error);
    CHECK(status == QN_OK, "%s: %s", name, error.message);
    if (status != QN_OK) exit(1);
    return kernel;
}

static setting make_setting(uint32_t threads) {
    setting s = {NULL, NULL};
    qn_error error = {0};
    const qn_context_options options = {.engine = QN_ENGINE_CPU, .cache_folder = "", .threads = threads, .thread_operations = 1};
    if (qn_context_create(&options, &s.context, &error) != QN_OK ||
        qn_module_from_source(s.context, "parallel.qn", source, sizeof source - 1, &s.module, &error) != QN_OK ||
        qn_module_register(s.module, "inner", (void (*)(void))(void *)inner_function, &error) != QN_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return s;
}

static DLTensor tensor(void *data, int32_t rank, qn_type type, int64_t *shape) {
    return (DLTensor){.data = data, .device = {kDLCPU, 0}, .ndim = rank, .dtype = qn_type_to_dlpack(type), .shape = shape};
}

static uint64_t mixed(uint64_t z) {
    z += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static double uniform(uint64_t i) { return (double)(mixed(i) >> 11) * 0x1p-52 - 1; }

/* ---- the same bits and faults ---- */

static size_t bytes_of(const DLTensor *t) {
    size_t bytes = qn_type_bytes(qn_type_from_dlpack(t->dtype));
    for (int32_t d = 0; d < t->ndim; d++) bytes *= (size_t)t->shape[d];
    return bytes;
}

static void compare(const char *name, const DLTensor *const *inputs, size_t input_count) {
    qn_array *first[MAX_OUTPUTS] = {NULL};
    qn_status first_status = QN_OK;
    qn_error first_error = {0};
    for (int s = 0; s < SETTINGS; s++) {
        qn_kernel *kernel = kernel_of(&settings[s], name);
        const size_t count = qn_kernel_output_count(kernel);
        qn_array *outputs[MAX_OUTPUTS] = {NULL};
        qn_error error = {0};
        const qn_status status = qn_call(kernel, inputs, input_count, outputs, count, NULL, &error);
        if (s == 0) {
            first_status = status;
            first_error = error;
            memcpy(first, outputs, sizeof first);
        } else {
            CHECK(status == first_status, "%s, %u threads: %d (%s), not %d", name, counts[s], (int)status, error.message, (int)first_status);
            CHECK(error.line == first_error.line && error.index == first_error.index && error.iteration == first_error.iteration, "%s, %u threads: fault at %lld (point %lld), not %lld (%lld)",
                  name, counts[s], (long long)error.index, (long long)error.iteration, (long long)first_error.index, (long long)first_error.iteration);
            for (size_t i = 0; status == QN_OK && first_status == QN_OK && i < count; i++) {
                const DLTensor *a = qn_array_tensor(first[i]), *b = qn_array_tensor(outputs[i]);
                CHECK(bytes_of(a) == bytes_of(b) && memcmp(a->data, b->data, bytes_of(a)) == 0, "%s, %u threads: output %zu differs", name, counts[s], i);
            }
            for (size_t i = 0; i < count; i++) qn_array_destroy(outputs[i]);
        }
        qn_kernel_destroy(kernel);
    }
    for (size_t i = 0; i < MAX_OUTPUTS; i++) qn_array_destroy(first[i]);
}

static void shapes(float *x) {
    static const int64_t list[][3] = {{3, 5, 10000}, {1, 1, N}, {N / 3, 1, 3}, {1, 40, 4097}, {2, 4096, 8}, {0, 5, 5}, {5, 0, 5}, {5, 5, 0}, {7, 11, 13}, {1, 2, 8192}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        int64_t shape[3] = {list[i][0], list[i][1], list[i][2]};
        const DLTensor t = tensor(x, 3, QN_F32, shape), *inputs[] = {&t};
        compare("cube", inputs, 1);
    }
    static const int64_t planes[][2] = {{1000, 1000}, {2, 500000}, {3, 9001}, {5, 4097}, {9001, 3}, {1, 1}, {0, 7}};
    for (size_t i = 0; i < sizeof planes / sizeof *planes; i++) {
        int64_t shape[2] = {planes[i][0], planes[i][1]};
        const DLTensor t = tensor(x, 2, QN_F32, shape), *inputs[] = {&t};
        compare("blur", inputs, 1);
    }
}

static void bits(void) {
    float *x = malloc(N * sizeof *x);
    double *y = malloc(N * sizeof *y), limit = 0;
    int32_t *bin = malloc(N * sizeof *bin);
    int64_t *at = malloc(N * sizeof *at), k = 100, steps = 5;
    if (!x || !y || !bin || !at) abort();
    for (int64_t i = 0; i < N; i++) {
        x[i] = (float)uniform((uint64_t)i);
        y[i] = uniform((uint64_t)i + N);
        bin[i] = (int32_t)(mixed((uint64_t)i) % (uint64_t)k);
        at[i] = (int64_t)(mixed((uint64_t)i) % N);
    }
    shapes(x);
    static const int64_t sizes[] = {0, 1, 4096, 4097, 12289, 1048576, N};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t n[1] = {sizes[i]};
        const DLTensor a = tensor(y, 1, QN_F64, n), b = tensor(&limit, 0, QN_F64, NULL), c = tensor(bin, 1, QN_I32, n), d = tensor(&k, 0, QN_I64, NULL);
        const DLTensor e = tensor(x, 1, QN_F32, n), f = tensor(&steps, 0, QN_I64, NULL);
        if (n[0] > 0) compare("reductions", (const DLTensor *[]){&a}, 1);
        for (limit = -2; limit < 3; limit += 1.25) compare("kept", (const DLTensor *[]){&a, &b}, 2);
        compare("scatters", (const DLTensor *[]){&a, &c, &d}, 3);
        compare("steps", (const DLTensor *[]){&e, &f}, 2);
    }
    /* faults here and there: the lowest is reported */
    for (uint64_t trial = 0; trial < 6; trial++) {
        int64_t n[1] = {N};
        int64_t spoilt[5], kept[5];
        for (uint64_t i = 0; i < 5; i++) {
            spoilt[i] = (int64_t)(mixed(trial * 5 + i) % (trial < 3 ? N : 3 * 4096));
            kept[i] = at[spoilt[i]];
            at[spoilt[i]] = -1 - (int64_t)i;
        }
        const DLTensor a = tensor(x, 1, QN_F32, n), b = tensor(at, 1, QN_I64, n);
        compare("checked", (const DLTensor *[]){&a, &b}, 2);
        compare("checked_sum", (const DLTensor *[]){&a, &b}, 2);
        compare("checked_keep", (const DLTensor *[]){&a, &b}, 2);
        for (int i = 5; i-- > 0;) at[spoilt[i]] = kept[i];
    }
    free(x);
    free(y);
    free(bin);
    free(at);
    printf("bits and faults: done\n");
}

/* ---- threads ---- */

static int thread_count(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    for (const struct dirent *e; folder && (e = readdir(folder)) != NULL;) count += e->d_name[0] != '.';
    if (folder) closedir(folder);
    return count;
}

static qn_status call_on(qn_kernel *kernel, void *data, int64_t n, qn_type type, const qn_call_options *options, double *result) {
    int64_t shape[1] = {n};
    const DLTensor t = tensor(data, 1, type, shape), *inputs[] = {&t};
    qn_array *output = NULL;
    qn_error error;
    const qn_status status = qn_call(kernel, inputs, 1, &output, 1, options, &error);
    if (status == QN_OK && result) *result = *(const double *)qn_array_tensor(output)->data;
    qn_array_destroy(output);
    return status;
}

/* No thread before work that is worth one; the sanitizer has threads of its own. */
static void lazy(void) {
    const int before = thread_count();
    const qn_context_options options = {.engine = QN_ENGINE_CPU, .cache_folder = ""};
    setting s = {NULL, NULL};
    qn_error error;
    if (qn_context_create(&options, &s.context, &error) != QN_OK || qn_module_from_source(s.context, "parallel.qn", source, sizeof source - 1, &s.module, &error) != QN_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    qn_kernel *small = kernel_of(&s, "small");
    float *x = calloc(1 << 22, sizeof *x);
    CHECK(call_on(small, x, 1000, QN_F32, NULL, NULL) == QN_OK, "small");
    CHECK(thread_count() == before, "%d threads, not %d", thread_count(), before);
    const qn_call_options alone = {.threads = 1};
    CHECK(call_on(small, x, 1 << 22, QN_F32, &alone, NULL) == QN_OK, "alone");
    CHECK(thread_count() == before, "%d threads, not %d", thread_count(), before);
    CHECK(call_on(small, x, 1 << 22, QN_F32, NULL, NULL) == QN_OK, "large");
    CHECK(qn_context_threads(s.context) == 1 || thread_count() > before, "%d threads", thread_count());
    free(x);
    qn_kernel_destroy(small);
    qn_module_destroy(s.module);
    qn_context_destroy(s.context);
    printf("no thread too early: done\n");
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void *cancel_later(void *user) {
    const struct timespec t = {0, 20000000};
    nanosleep(&t, NULL);
    __atomic_store_n((int32_t *)user, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void stops(void) {
    float *x = calloc(100000, sizeof *x);
    for (int s = 1; s < SETTINGS; s++) {
        qn_kernel *endless = kernel_of(&settings[s], "endless");
        const qn_call_options deadline = {.deadline_ms = 20};
        double begun = now_ms();
        CHECK(call_on(endless, x, 100000, QN_F32, &deadline, NULL) == QN_STOPPED, "deadline");
        CHECK(now_ms() - begun < 5000, "stopped after %.0f ms", now_ms() - begun);
        int32_t flag = 0;
        const qn_call_options cancel = {.cancel = &flag};
        pthread_t thread;
        pthread_create(&thread, NULL, cancel_later, &flag);
        begun = now_ms();
        CHECK(call_on(endless, x, 100000, QN_F32, &cancel, NULL) == QN_STOPPED, "cancel");
        CHECK(now_ms() - begun < 5000, "stopped after %.0f ms", now_ms() - begun);
        pthread_join(thread, NULL);
        qn_kernel_destroy(endless);
    }
    free(x);
    printf("deadlines: done\n");
}

/* ---- callers at the same time, kernels inside kernels ---- */

enum { INNER = 20000 };
static qn_kernel *square;
static double *ones;

static double inner_function(double x) {
    double sum = -1;
    if (call_on(square, ones, INNER, QN_F64, NULL, &sum) != QN_OK) return -1;
    return x + sum;
}

static void *caller(void *user) {
    enum { SIZE = 100000 };
    const setting *s = user;
    qn_kernel *mine = kernel_of(s, "square");
    double *x = malloc(SIZE * sizeof *x), expected = 0;
    for (int i = 0; i < SIZE; i++) x[i] = uniform((uint64_t)i);
    const qn_call_options alone = {.threads = 1};
    CHECK(call_on(mine, x, SIZE, QN_F64, &alone, &expected) == QN_OK, "alone");
    for (int i = 0; i < 200; i++) {
        double found = 0;
        CHECK(call_on(mine, x, SIZE, QN_F64, NULL, &found) == QN_OK && memcmp(&found, &expected, sizeof found) == 0, "%a, not %a", found, expected);
    }
    free(x);
    qn_kernel_destroy(mine);
    return NULL;
}

static void callers(void) {
    enum { CALLERS = 6 };
    pthread_t threads[CALLERS];
    for (int i = 0; i < CALLERS; i++) pthread_create(&threads[i], NULL, caller, &settings[1 + i % (SETTINGS - 1)]);
    for (int i = 0; i < CALLERS; i++) pthread_join(threads[i], NULL);
    printf("callers at once: done\n");
}

static void *nested_caller(void *user) {
    enum { SIZE = 20000 }; /* five parts */
    qn_kernel *outer = kernel_of(user, "outer");
    double *x = calloc(SIZE, sizeof *x), found = 0;
    int64_t shape[1] = {SIZE};
    const DLTensor t = tensor(x, 1, QN_F64, shape), *inputs[] = {&t};
    qn_array *output = NULL;
    CHECK(qn_call(outer, inputs, 1, &output, 1, NULL, NULL) == QN_OK, "outer");
    for (int i = 0; output && i < SIZE; i++) found += ((const double *)qn_array_tensor(output)->data)[i];
    CHECK(found == (double)SIZE * (double)INNER, "%f", found);
    qn_array_destroy(output);
    free(x);
    qn_kernel_destroy(outer);
    return NULL;
}

static void nesting(void) {
    ones = malloc(INNER * sizeof *ones);
    for (int i = 0; i < INNER; i++) ones[i] = 1;
    pthread_t threads[3];
    square = kernel_of(&settings[3], "square");
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, nested_caller, &settings[1 + i]);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    qn_kernel_destroy(square);
    free(ones);
    printf("kernels inside kernels: done\n");
}

/* ---- forks ---- */

static void in_child(bool fresh) {
    setting own = settings[2];
    alarm(60);
    if (fresh) own = make_setting(4);
    const int before = thread_count();
    for (int i = 0; i < 3; i++) caller(&own);
    CHECK(thread_count() == before, "a child started threads: %d, not %d", thread_count(), before);
    fflush(stdout);
    _exit(atomic_load(&failures) ? 1 : 0);
}

static void *keep_busy(void *user) {
    caller(user);
    return NULL;
}

static void forks(void) {
    for (int i = 0; i < 8; i++) {
        pthread_t busy;
        fflush(stdout);
        if (i >= 4) pthread_create(&busy, NULL, keep_busy, &settings[1]);
        if (i >= 4) usleep(3000);
        const pid_t child = fork();
        int status = -1;
        if (child == 0) in_child(i % 2 == 1 && i < 4);
        CHECK(waitpid(child, &status, 0) == child && status == 0, "fork %d: the child ended with %x", i, (unsigned)status);
        if (i >= 4) pthread_join(busy, NULL);
        caller(&settings[1]);
    }
    printf("forks: done\n");
}

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define QN_THREAD_SANITIZER 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define QN_THREAD_SANITIZER 1
#endif

int main(void) {
#ifndef QN_SANITIZED
    lazy();
#endif
    for (int s = 0; s < SETTINGS; s++) settings[s] = make_setting(counts[s]);
    bits();
    stops();
    callers();
    nesting();
#ifndef QN_THREAD_SANITIZER /* it does not follow threads of a forked child */
    forks();
#endif
    for (int s = 0; s < SETTINGS; s++) {
        qn_module_destroy(settings[s].module);
        qn_context_destroy(settings[s].context);
    }
    printf("%u passed, %u failed\n", atomic_load(&passes), atomic_load(&failures));
    return atomic_load(&failures) != 0;
}
