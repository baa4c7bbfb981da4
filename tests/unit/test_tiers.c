/* Tiers: the typed function and qn_call while the compiled code takes over, waiting for it, pinning a tier, destroying a kernel
 * that is being compiled, and what memory the process may execute. */
#include <quern/quern.h>

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char source[] = "kernel saxpy(a: f32, x: f32[n], y: f32[n]) -> z: f32[n] {\n    z[i] = a * x[i] + y[i]\n}\n"
                             "kernel above(x: f64[n], limit: f64) -> y: f64[?m] {\n    y = keep(i: x[i] where x[i] > limit)\n}\n"
                             "kernel pick(x: f32[n], at: i64[n]) -> y: f32[n] {\n    y[i] = x[at[i]]\n}\n";
typedef int32_t saxpy_function(float a, const float *x, const float *y, float *z, int64_t n, qn_error *error);
typedef int32_t above_function(const double *x, double limit, double *y, int64_t n, int64_t *m, qn_error *error);
typedef int32_t pick_function(const float *x, const int64_t *at, float *y, int64_t n, qn_error *error);

static qn_context *context;
static qn_module *module;

static void open_module_of(qn_engine engine) {
    qn_error error;
    const qn_context_options options = {.engine = engine, .cache_folder = ""};
    cr_assert_eq(qn_context_create(&options, &context, &error), QN_OK);
    cr_assert_eq(qn_module_from_source(context, "test.qn", source, sizeof source - 1, &module, &error), QN_OK, "%s", error.message);
}

static void open_module(void) { open_module_of(QN_ENGINE_AUTO); }

static void close_module(void) {
    qn_module_destroy(module);
    qn_context_destroy(context);
}

TestSuite(tiers, .init = open_module, .fini = close_module);

static qn_kernel *create(const char *name, qn_tier tier) {
    qn_error error;
    qn_kernel *kernel;
    const qn_kernel_options options = {.tier = tier};
    cr_assert_eq(qn_kernel_create(module, name, &options, &kernel, &error), QN_OK, "%s", error.message);
    return kernel;
}

/* ---- one thread ---- */

Test(tiers, the_function_stays_and_the_code_changes) {
    qn_error error;
    qn_kernel *kernel = create("saxpy", QN_TIER_AUTO);
    saxpy_function *saxpy = (saxpy_function *)qn_kernel_function(kernel);
    cr_assert(saxpy);
    const float x[5] = {1, 2, 3, 4, 5}, y[5] = {10, 20, 30, 40, 50};
    float before[5], after[5];
    cr_assert_eq(saxpy(3, x, y, before, 5, &error), QN_OK);
    cr_assert_eq(qn_kernel_prepare(kernel, 0, &error), QN_OK, "%s", error.message);
    cr_assert_eq(qn_kernel_tier(kernel), QN_TIER_NATIVE);
    cr_assert_eq(saxpy(3, x, y, after, 5, &error), QN_OK);
    cr_assert_arr_eq(before, after, sizeof before);
    cr_assert_eq(after[4], 65);
    cr_assert_eq((qn_function)saxpy, qn_kernel_function(kernel));
    cr_assert_eq(qn_kernel_prepare(kernel, 1, &error), QN_OK);
    qn_kernel_destroy(kernel);
}

Test(tiers, pinned) {
    qn_error error;
    qn_kernel *interp = create("saxpy", QN_TIER_INTERP), *native = create("saxpy", QN_TIER_NATIVE);
    cr_assert(qn_kernel_tier(interp) == QN_TIER_INTERP && qn_kernel_engine(interp) == QN_ENGINE_INTERP);
    cr_assert(qn_kernel_tier(native) == QN_TIER_NATIVE && qn_kernel_engine(native) == QN_ENGINE_CPU);
    cr_assert_eq(qn_kernel_prepare(interp, 0, &error), QN_OK);
    cr_assert_eq(qn_kernel_tier(interp), QN_TIER_INTERP);
    const float x[1] = {2};
    float z[1];
    cr_assert_eq(((saxpy_function *)qn_kernel_function(interp))(4, x, x, z, 1, NULL), QN_OK);
    cr_assert_eq(z[0], 10);
    qn_kernel_destroy(interp);
    qn_kernel_destroy(native);
    qn_kernel *kernel;
    qn_kernel_options options = {.engine = QN_ENGINE_CPU, .tier = QN_TIER_INTERP};
    cr_assert_eq(qn_kernel_create(module, "saxpy", &options, &kernel, &error), QN_USAGE);
    options = (qn_kernel_options){.engine = QN_ENGINE_INTERP, .tier = QN_TIER_NATIVE};
    cr_assert_eq(qn_kernel_create(module, "saxpy", &options, &kernel, &error), QN_USAGE);
    options = (qn_kernel_options){.tier = (qn_tier)9};
    cr_assert_eq(qn_kernel_create(module, "saxpy", &options, &kernel, &error), QN_USAGE);
    options = (qn_kernel_options){.engine = QN_ENGINE_CPU};
    cr_assert_eq(qn_kernel_create(module, "saxpy", &options, &kernel, &error), QN_OK);
    cr_assert_eq(qn_kernel_tier(kernel), QN_TIER_NATIVE, "engine CPU compiles at once");
    qn_kernel_destroy(kernel);
}

Test(tiers, of_a_context_with_an_engine) {
    close_module();
    open_module_of(QN_ENGINE_INTERP);
    qn_error error;
    qn_kernel *kernel = create("saxpy", QN_TIER_AUTO);
    cr_assert_eq(qn_kernel_prepare(kernel, 0, &error), QN_OK);
    cr_assert_eq(qn_kernel_tier(kernel), QN_TIER_INTERP);
    qn_kernel_destroy(kernel);
}

Test(tiers, destroyed_while_compiled) {
    qn_kernel *kernels[24];
    for (int i = 0; i < 24; i++) {
        kernels[i] = create(i % 2 ? "above" : "saxpy", QN_TIER_AUTO);
        cr_assert(qn_kernel_function(kernels[i]));
        if (i % 3 == 0) {
            qn_kernel_destroy(kernels[i]);
            kernels[i] = NULL;
        }
    }
    for (int i = 0; i < 24; i++) qn_kernel_destroy(kernels[i]);
    qn_kernel_destroy(NULL);
}

Test(tiers, waiting_has_an_end) {
    qn_error error;
    qn_kernel *kernels[12];
    for (int i = 0; i < 12; i++) kernels[i] = create("above", QN_TIER_AUTO);
    const qn_status status = qn_kernel_prepare(kernels[11], 0.001, &error);
    cr_assert(status == QN_OK || status == QN_STOPPED, "%s", error.message);
    cr_assert_eq(qn_kernel_prepare(kernels[11], 60000, &error), QN_OK);
    for (int i = 0; i < 12; i++) {
        cr_assert_eq(qn_kernel_prepare(kernels[i], 0, &error), QN_OK);
        cr_assert_eq(qn_kernel_tier(kernels[i]), QN_TIER_NATIVE);
        qn_kernel_destroy(kernels[i]);
    }
    cr_assert_eq(qn_kernel_prepare(NULL, 0, &error), QN_USAGE);
    cr_assert_not(qn_kernel_function(NULL));
}

/* ---- many threads, through the swap ---- */

enum { THREADS = 8, ELEMENTS = 100 };

typedef struct shared { qn_kernel *saxpy, *above, *pick; atomic_int stop, wrong, calls; } shared;

static void *call_all(void *user) {
    shared *s = user;
    saxpy_function *saxpy = (saxpy_function *)qn_kernel_function(s->saxpy);
    above_function *above = (above_function *)qn_kernel_function(s->above);
    pick_function *pick = (pick_function *)qn_kernel_function(s->pick);
    float x[ELEMENTS], z[ELEMENTS];
    double v[ELEMENTS], kept[ELEMENTS];
    int64_t at[ELEMENTS];
    for (int i = 0; i < ELEMENTS; i++) x[i] = (float)i, v[i] = i, at[i] = i;
    at[70] = ELEMENTS;
    while (!atomic_load(&s->stop)) {
        qn_error error;
        int64_t m = ELEMENTS;
        int bad = saxpy(2, x, x, z, ELEMENTS, &error) != QN_OK || z[99] != 297;
        bad |= above(v, 89.5, kept, ELEMENTS, &m, &error) != QN_OK || m != 10 || kept[9] != 99;
        m = 9;
        bad |= above(v, 89.5, kept, ELEMENTS, &m, &error) != QN_FAULT || m != 10 || error.index != 10;
        bad |= pick(x, at, z, ELEMENTS, &error) != QN_FAULT || error.index != ELEMENTS || error.iteration != 70;
        if (bad) atomic_fetch_add(&s->wrong, 1);
        atomic_fetch_add(&s->calls, 4);
    }
    return NULL;
}

Test(tiers, calls_from_many_threads_during_the_swap) {
    for (int round = 0; round < 5; round++) {
        shared s = {.saxpy = create("saxpy", QN_TIER_AUTO), .above = create("above", QN_TIER_AUTO), .pick = create("pick", QN_TIER_AUTO)};
        pthread_t threads[THREADS];
        qn_error error;
        for (int i = 0; i < THREADS; i++) cr_assert_eq(pthread_create(&threads[i], NULL, call_all, &s), 0);
        cr_assert_eq(qn_kernel_prepare(s.pick, 0, &error), QN_OK);
        cr_assert_eq(qn_kernel_prepare(s.above, 0, &error), QN_OK);
        cr_assert_eq(qn_kernel_prepare(s.saxpy, 0, &error), QN_OK);
        const int before = atomic_load(&s.calls);
        while (atomic_load(&s.calls) < before + 100) {}
        atomic_store(&s.stop, 1);
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
        cr_assert_eq(atomic_load(&s.wrong), 0, "%d of %d calls", atomic_load(&s.wrong), atomic_load(&s.calls));
        qn_kernel_destroy(s.saxpy);
        qn_kernel_destroy(s.above);
        qn_kernel_destroy(s.pick);
    }
}

static void *call_checked(void *user) {
    shared *s = user;
    qn_array *a, *x, *z = NULL;
    qn_error error;
    const int64_t shape[] = {ELEMENTS};
    if (qn_array_create(context, QN_F32, 0, NULL, &a, &error) != QN_OK) return NULL;
    if (qn_array_create(context, QN_F32, 1, shape, &x, &error) != QN_OK) return NULL;
    *(float *)qn_array_tensor(a)->data = 2;
    for (int i = 0; i < ELEMENTS; i++) ((float *)qn_array_tensor(x)->data)[i] = (float)i;
    const DLTensor *inputs[] = {qn_array_tensor(a), qn_array_tensor(x), qn_array_tensor(x)};
    while (!atomic_load(&s->stop)) {
        if (qn_call(s->saxpy, inputs, 3, &z, 1, NULL, &error) != QN_OK || ((float *)qn_array_tensor(z)->data)[99] != 297)
            atomic_fetch_add(&s->wrong, 1);
        atomic_fetch_add(&s->calls, 1);
    }
    qn_array_destroy(a);
    qn_array_destroy(x);
    qn_array_destroy(z);
    return NULL;
}

Test(tiers, checked_calls_use_the_tier_that_is_there) {
    shared s = {.saxpy = create("saxpy", QN_TIER_AUTO)};
    pthread_t threads[THREADS];
    qn_error error;
    for (int i = 0; i < THREADS; i++) cr_assert_eq(pthread_create(&threads[i], NULL, call_checked, &s), 0);
    cr_assert_eq(qn_kernel_prepare(s.saxpy, 0, &error), QN_OK);
    const int before = atomic_load(&s.calls);
    while (atomic_load(&s.calls) < before + 100) {}
    atomic_store(&s.stop, 1);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    cr_assert_eq(atomic_load(&s.wrong), 0);
    cr_assert_eq(qn_kernel_tier(s.saxpy), QN_TIER_NATIVE);
    qn_kernel_destroy(s.saxpy);
}

/* ---- forks ---- */

enum { FORKED = 6 };

static bool forked_child(qn_kernel **kernels) {
    const float x[1] = {3};
    float z[1];
    bool ok = true;
    for (int i = 0; i < FORKED; i++) {
        qn_error error;
        const qn_status status = qn_kernel_prepare(kernels[i], 20000, &error);
        ok = ok && (status == QN_OK || status == QN_INTERNAL); /* INTERNAL: its compilation was under way */
        ok = ok && ((saxpy_function *)qn_kernel_function(kernels[i]))(2, x, x, z, 1, NULL) == QN_OK && z[0] == 9;
        qn_kernel_destroy(kernels[i]);
    }
    for (int i = 0; i < 2; i++) {
        qn_kernel *kernel = NULL;
        const qn_kernel_options options = {.tier = i ? QN_TIER_AUTO : QN_TIER_NATIVE};
        ok = ok && qn_kernel_create(module, "saxpy", &options, &kernel, NULL) == QN_OK && qn_kernel_prepare(kernel, 0, NULL) == QN_OK;
        ok = ok && ((saxpy_function *)qn_kernel_function(kernel))(2, x, x, z, 1, NULL) == QN_OK && qn_kernel_tier(kernel) == QN_TIER_NATIVE;
        qn_kernel_destroy(kernel);
    }
    close_module();
    return ok;
}

Test(tiers, forked_while_compiling, .timeout = 100) {
    for (int round = 0; round < 10; round++) {
        qn_kernel *kernels[FORKED];
        for (int i = 0; i < FORKED; i++) kernels[i] = create("saxpy", QN_TIER_AUTO);
        usleep((useconds_t)round * 700);
        const pid_t child = fork();
        if (child == 0) {
            alarm(60);
            _exit(forked_child(kernels) ? 0 : 1);
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "round %d: %x", round, (unsigned)status);
        for (int i = 0; i < FORKED; i++) qn_kernel_destroy(kernels[i]);
    }
}

/* ---- memory ---- */

static void no_page_is_writable_and_executable(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], rights[8];
    if (!maps) cr_skip_test("there is no /proc/self/maps");
    while (fgets(line, sizeof line, maps))
        cr_assert(sscanf(line, "%*s %7s", rights) == 1 && !(rights[1] == 'w' && rights[2] == 'x'), "%s", line);
    fclose(maps);
}

Test(tiers, no_memory_is_writable_and_executable_at_once) {
    qn_error error;
    qn_kernel *auto_ = create("saxpy", QN_TIER_AUTO), *interp = create("above", QN_TIER_INTERP);
    cr_assert(qn_kernel_function(auto_) && qn_kernel_function(interp));
    no_page_is_writable_and_executable();
    cr_assert_eq(qn_kernel_prepare(auto_, 0, &error), QN_OK);
    no_page_is_writable_and_executable();
    qn_kernel_destroy(auto_);
    qn_kernel_destroy(interp);
    no_page_is_writable_and_executable();
}

/* More than one page of trampolines, and those given back are used again. */
Test(tiers, many_functions) {
    enum { KERNELS = 40 };
    qn_kernel *kernels[KERNELS];
    const float x[1] = {3};
    float z[1];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < KERNELS; i++) kernels[i] = create("saxpy", QN_TIER_AUTO);
        for (int i = 0; i < KERNELS; i++) cr_assert_eq(((saxpy_function *)qn_kernel_function(kernels[i]))(2, x, x, z, 1, NULL), QN_OK);
        for (int i = 0; i < KERNELS; i++) qn_kernel_destroy(kernels[i]);
    }
    cr_assert_eq(z[0], 9);
}
