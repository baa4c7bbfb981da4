/* Threads: eight of them compile, call, launch, cancel and drop, each with modules of its own, then all with one module, then all with
 * one kernel. Then forks between all that. Run under ThreadSanitizer by a build with -DQN_SANITIZE=thread (label `thread`); LLVM itself
 * is not instrumented, so there the interpreter is what is checked fully, and of the cpu engine what Quern's own code does.
 *
 *     engine_test_threads [rounds] */
#include <pthread.h>
#include <quern/quern.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, SIZE = 20000, STAGE_THREADS = 4 }; /* so many elements that stages have parts for several threads */

static const char source[] = "kernel saxpy[T: float](a: T, x: T[n], y: T[n]) -> z: T[n] { z[i] = a * x[i] + y[i] }\n"
                             "kernel total(x: f32[n]) -> s: f32 { s = sum(i: x[i]) }\n"
                             "kernel pick(x: f32[n], at: i64[n]) -> y: f32[n] { y[i] = x[at[i] + 1] }\n"
                             "kernel endless(x: f32[n]) -> y: f32[n] {\n"
                             "    y[i] = {\n        var k: f32 = 1.0\n        while k > 0.0 { k = k + x[i] * 0.0 }\n        k\n    }\n}\n";

static atomic_uint failures, passes;

#define CHECK(condition, ...)                                              \
    do {                                                                   \
        if (condition) {                                                   \
            atomic_fetch_add(&passes, 1);                                  \
        } else {                                                           \
            atomic_fetch_add(&failures, 1);                                \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                  \
            fputc('\n', stderr);                                           \
        }                                                                  \
    } while (0)

/* What all threads of one run share; a NULL module or kernel is made by each thread for itself. */
typedef struct shared {
    qn_context *context;
    qn_module *module;
    qn_kernel *saxpy, *endless;
    qn_engine engine;
    int rounds;
} shared;

typedef struct worker { shared *with; unsigned number; pthread_t thread; } worker;

typedef struct data {
    float a, x[SIZE], y[SIZE];
    int64_t at[SIZE], shape[1];
    DLTensor tensors[4];
} data;

static DLTensor tensor(void *bytes, int32_t rank, qn_type type, int64_t *shape) {
    return (DLTensor){.data = bytes, .device = {kDLCPU, 0}, .ndim = rank, .dtype = qn_type_to_dlpack(type), .shape = shape};
}

static data *new_data(unsigned number) {
    data *d = calloc(1, sizeof *d);
    if (!d) abort();
    d->a = (float)number + 2;
    d->shape[0] = SIZE;
    for (int i = 0; i < SIZE; i++) {
        d->x[i] = (float)i;
        d->y[i] = 1;
        d->at[i] = i;
    }
    d->tensors[0] = tensor(&d->a, 0, QN_F32, NULL);
    d->tensors[1] = tensor(d->x, 1, QN_F32, d->shape);
    d->tensors[2] = tensor(d->y, 1, QN_F32, d->shape);
    d->tensors[3] = tensor(d->at, 1, QN_I64, d->shape);
    return d;
}

static qn_module *new_module(shared *s) {
    qn_module *module = NULL;
    qn_error error;
    const qn_status status = qn_module_from_source(s->context, "threads.qn", source, sizeof source - 1, &module, &error);
    CHECK(status == QN_OK, "%s", error.message);
    return module;
}

static qn_kernel *new_kernel(shared *s, qn_module *module, const char *name, bool generic) {
    const qn_type types[] = {QN_F32};
    const qn_kernel_options options = {.engine = s->engine, .type_arguments = generic ? types : NULL, .type_argument_count = generic};
    qn_kernel *kernel = NULL;
    qn_error error;
    const qn_status status = qn_kernel_create(module, name, &options, &kernel, &error);
    CHECK(status == QN_OK, "%s: %s", name, error.message);
    return kernel;
}

static void check_saxpy(const data *d, qn_array *z) {
    const DLTensor *t = qn_array_tensor(z);
    CHECK(t && t->shape[0] == SIZE, "no result");
    const float *values = t ? t->data : NULL;
    for (int i = 0; values && i < SIZE; i++)
        if (values[i] != d->a * (float)i + 1) {
            CHECK(false, "element %d is %g", i, (double)values[i]);
            break;
        }
    qn_array_destroy(z);
}

static void call(qn_kernel *saxpy, data *d) {
    const DLTensor *inputs[] = {&d->tensors[0], &d->tensors[1], &d->tensors[2]};
    qn_array *z = NULL;
    qn_error error;
    const qn_status status = qn_call(saxpy, inputs, 3, &z, 1, NULL, &error);
    CHECK(status == QN_OK, "%s", error.message);
    check_saxpy(d, z);
}

static void launch(qn_kernel *saxpy, data *d) {
    enum { COUNT = 4 };
    const DLTensor *inputs[] = {&d->tensors[0], &d->tensors[1], &d->tensors[2]};
    qn_array *z[COUNT] = {NULL};
    qn_event *events[COUNT] = {NULL};
    qn_error error;
    for (int i = 0; i < COUNT; i++)
        CHECK(qn_launch(saxpy, inputs, 3, &z[i], 1, NULL, &events[i], &error) == QN_OK, "%s", error.message);
    for (int i = 0; i < COUNT; i++) {
        CHECK(qn_event_wait(events[i], -1), "not done");
        CHECK(qn_event_result(events[i], &error) == QN_OK, "%s", error.message);
        qn_event_destroy(events[i]);
        check_saxpy(d, z[i]);
    }
}

/* An endless kernel, stopped in each of the three ways. */
static void stop(qn_kernel *endless, data *d) {
    const DLTensor *inputs[] = {&d->tensors[1]};
    const qn_call_options options = {.deadline_ms = 2};
    qn_array *y = NULL, *z = NULL;
    qn_event *event = NULL;
    qn_error error;
    CHECK(qn_call(endless, inputs, 1, &y, 1, &options, &error) == QN_STOPPED, "deadline: %s", error.message);
    CHECK(qn_launch(endless, inputs, 1, &z, 1, NULL, &event, &error) == QN_OK, "%s", error.message);
    CHECK(!qn_event_wait(event, 1), "an endless kernel ended");
    qn_event_cancel(event);
    CHECK(qn_event_wait(event, -1), "not done");
    CHECK(qn_event_result(event, &error) == QN_STOPPED, "cancel: %s", error.message);
    CHECK(y == NULL && z == NULL, "an output was left");
    qn_event_destroy(event);
}

static void fault(qn_kernel *pick, data *d) {
    const DLTensor *inputs[] = {&d->tensors[1], &d->tensors[3]};
    qn_array *y = NULL;
    qn_error error;
    CHECK(qn_call(pick, inputs, 2, &y, 1, NULL, &error) == QN_FAULT, "%s", error.message);
    CHECK(error.index == SIZE && error.extent == SIZE, "at %lld of %lld", (long long)error.index, (long long)error.extent);
}

static void *work(void *user) {
    const worker *w = user;
    shared *s = w->with;
    data *d = new_data(w->number);
    for (int round = 0; round < s->rounds; round++) {
        qn_module *module = s->module ? s->module : new_module(s);
        qn_kernel *saxpy = s->saxpy ? s->saxpy : new_kernel(s, module, "saxpy", true);
        qn_kernel *endless = s->endless ? s->endless : new_kernel(s, module, "endless", false);
        qn_kernel *pick = new_kernel(s, module, "pick", false);
        if (!s->module) qn_module_destroy(module); /* the kernels keep it */
        for (int i = 0; i < 5; i++) call(saxpy, d);
        launch(saxpy, d);
        fault(pick, d);
        stop(endless, d);
        qn_kernel_destroy(pick);
        if (saxpy != s->saxpy) qn_kernel_destroy(saxpy);
        if (endless != s->endless) qn_kernel_destroy(endless);
    }
    free(d);
    return NULL;
}

static void run_threads(shared *s, const char *what) {
    worker workers[THREADS];
    const unsigned before = atomic_load(&passes);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (worker){.with = s, .number = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) abort();
    }
    for (unsigned i = 0; i < THREADS; i++) pthread_join(workers[i].thread, NULL);
    printf("%s: %d threads, %u checks\n", what, (int)THREADS, atomic_load(&passes) - before);
}

static void all_ways(qn_engine engine, const char *name, int rounds) {
    shared s = {.engine = engine, .rounds = rounds};
    const qn_context_options options = {.cache_folder = "", .threads = STAGE_THREADS, .thread_operations = 1};
    char what[64];
    if (qn_context_create(&options, &s.context, NULL) != QN_OK) abort();
    snprintf(what, sizeof what, "%s, own modules", name);
    run_threads(&s, what);
    s.module = new_module(&s);
    snprintf(what, sizeof what, "%s, one module", name);
    run_threads(&s, what);
    s.saxpy = new_kernel(&s, s.module, "saxpy", true);
    s.endless = new_kernel(&s, s.module, "endless", false);
    snprintf(what, sizeof what, "%s, one kernel", name);
    run_threads(&s, what);
    qn_kernel_destroy(s.saxpy);
    qn_kernel_destroy(s.endless);
    qn_module_destroy(s.module);
    qn_context_destroy(s.context);
}

/* ---- forks: a child calls, launches and compiles, whatever the parent did before ---- */
static void child_works(shared *s, bool fresh) {
    data *d = new_data(3);
    if (fresh) {
        const qn_context_options options = {.cache_folder = "", .threads = STAGE_THREADS, .thread_operations = 1};
        s->context = NULL;
        if (qn_context_create(&options, &s->context, NULL) != QN_OK) _exit(9);
        s->module = NULL;
    }
    qn_module *module = s->module ? s->module : new_module(s);
    qn_kernel *mine = new_kernel(s, module, "saxpy", true);
    call(mine, d);
    launch(mine, d);
    if (!fresh) {
        call(s->saxpy, d);
        launch(s->saxpy, d);
        stop(s->endless, d);
    }
    qn_kernel_destroy(mine);
    free(d);
    fflush(stdout); /* what failed */
    _exit(atomic_load(&failures) == 0 ? 0 : 1);
}

static void fork_child(shared *s, bool fresh, const char *when) {
    fflush(stdout);
    const pid_t child = fork();
    int status = -1;
    if (child == 0) {
        alarm(60);
        atomic_store(&failures, 0); /* the parent's own are not the child's */
        child_works(s, fresh);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0, "%s, the child ended with %x", when, (unsigned)status);
}

static void forks(qn_engine engine) {
    shared s = {.engine = engine, .rounds = 1};
    const qn_context_options options = {.cache_folder = "", .threads = STAGE_THREADS, .thread_operations = 1};
    if (qn_context_create(&options, &s.context, NULL) != QN_OK) abort();
    data *d = new_data(1);
    s.module = new_module(&s);
    fork_child(&s, true, "before anything");
    s.saxpy = new_kernel(&s, s.module, "saxpy", true);
    s.endless = new_kernel(&s, s.module, "endless", false);
    fork_child(&s, false, "before the first call");
    call(s.saxpy, d);
    fork_child(&s, false, "between calls");
    launch(s.saxpy, d);
    fork_child(&s, false, "after a launch");
    const DLTensor *inputs[] = {&d->tensors[1]};
    qn_array *y = NULL;
    qn_event *event = NULL;
    CHECK(qn_launch(s.endless, inputs, 1, &y, 1, NULL, &event, NULL) == QN_OK, "launch");
    qn_event_wait(event, 5);
    fork_child(&s, false, "while a launch runs");
    fork_child(&s, true, "while a launch runs, with a context of its own");
    qn_event_cancel(event);
    CHECK(qn_event_wait(event, -1), "not done");
    qn_event_destroy(event);
    call(s.saxpy, d);
    qn_kernel_destroy(s.saxpy);
    qn_kernel_destroy(s.endless);
    qn_module_destroy(s.module);
    qn_context_destroy(s.context);
    free(d);
    printf("forks: done\n");
}

int main(int argc, char **argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 3;
    all_ways(QN_ENGINE_INTERP, "interp", rounds);
    all_ways(QN_ENGINE_CPU, "cpu", rounds);
    all_ways(QN_ENGINE_AUTO, "auto", rounds);
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define QN_THREAD_SANITIZER 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define QN_THREAD_SANITIZER 1
#endif
#ifdef QN_THREAD_SANITIZER
    printf("forks: left out, ThreadSanitizer does not follow threads of a forked child\n");
#else
    forks(QN_ENGINE_INTERP);
    forks(QN_ENGINE_CPU);
    forks(QN_ENGINE_AUTO);
#endif
    printf("%u passed, %u failed\n", atomic_load(&passes), atomic_load(&failures));
    return atomic_load(&failures) != 0;
}
