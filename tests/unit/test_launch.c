/* Asynchronous launches through the public API: waiting, callbacks, cancellation, the order in which handles may go. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <quern/quern.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char source[] = "kernel twice(x: f32[n]) -> y: f32[n] { y[i] = 2.0 * x[i] }\n"
                             "kernel endless(x: f32[n]) -> y: f32[n] {\n"
                             "    y[i] = {\n        var k: f32 = 1.0\n        while k > 0.0 { k = k + x[i] * 0.0 }\n        k\n    }\n}\n"
                             "kernel pick(x: f32[n], at: i64[m]) -> y: f32[m] { y[i] = x[at[i]] }\n";

typedef struct fixture {
    qn_context *context;
    qn_module *module;
    qn_kernel *twice, *endless, *pick;
    float x[5];
    int64_t shape[1];
    DLTensor tensor;
    const DLTensor *inputs[1];
} fixture;

static qn_kernel *kernel_of(qn_module *module, const char *name) {
    qn_kernel *kernel = NULL;
    qn_error error;
    cr_assert_eq(qn_kernel_create(module, name, NULL, &kernel, &error), QN_OK, "%s", error.message);
    return kernel;
}

static fixture *open_fixture(void) {
    fixture *f = calloc(1, sizeof *f);
    qn_error error;
    const qn_context_options options = {.engine = QN_ENGINE_INTERP, .cache_folder = ""};
    cr_assert_eq(qn_context_create(&options, &f->context, &error), QN_OK);
    cr_assert_eq(qn_module_from_source(f->context, "launch.qn", source, sizeof source - 1, &f->module, &error), QN_OK, "%s", error.message);
    f->twice = kernel_of(f->module, "twice");
    f->endless = kernel_of(f->module, "endless");
    f->pick = kernel_of(f->module, "pick");
    for (int i = 0; i < 5; i++) f->x[i] = (float)i;
    f->shape[0] = 5;
    f->tensor = (DLTensor){.data = f->x, .device = {kDLCPU, 0}, .ndim = 1, .dtype = qn_type_to_dlpack(QN_F32), .shape = f->shape};
    f->inputs[0] = &f->tensor;
    return f;
}

static void close_fixture(fixture *f) {
    qn_kernel_destroy(f->twice);
    qn_kernel_destroy(f->endless);
    qn_kernel_destroy(f->pick);
    qn_module_destroy(f->module);
    qn_context_destroy(f->context);
    free(f);
}

static qn_event *launch(fixture *f, qn_kernel *kernel, qn_array **y, double deadline_ms) {
    qn_event *event = NULL;
    qn_error error;
    const qn_call_options options = {.deadline_ms = deadline_ms};
    cr_assert_eq(qn_launch(kernel, f->inputs, 1, y, 1, &options, &event, &error), QN_OK, "%s", error.message);
    return event;
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void pause_ms(long ms) {
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void expect_twice(const qn_array *y) {
    const DLTensor *t = qn_array_tensor(y);
    cr_assert(t && t->shape[0] == 5);
    for (int i = 0; i < 5; i++) cr_assert_eq(((const float *)t->data)[i], 2.0F * (float)i);
}

Test(launch, gives_the_result_of_a_call, .timeout = 60) {
    fixture *f = open_fixture();
    qn_array *y = NULL;
    qn_event *event = launch(f, f->twice, &y, 0);
    qn_error error;
    cr_assert(qn_event_wait(event, -1));
    cr_assert(qn_event_done(event));
    cr_assert_eq(qn_event_result(event, &error), QN_OK);
    cr_assert_eq(error.status, QN_OK);
    expect_twice(y);
    qn_event_destroy(event);
    qn_array_destroy(y);
    close_fixture(f);
}

Test(launch, wrong_use_is_said, .timeout = 60) {
    fixture *f = open_fixture();
    qn_array *y = NULL;
    qn_event *event = NULL;
    qn_error error;
    const volatile int32_t cancel = 0;
    const qn_call_options options = {.cancel = &cancel};
    cr_assert_eq(qn_launch(NULL, f->inputs, 1, &y, 1, NULL, &event, &error), QN_USAGE);
    cr_assert_eq(qn_launch(f->twice, f->inputs, 1, &y, 1, NULL, NULL, &error), QN_USAGE);
    cr_assert_eq(qn_launch(f->twice, NULL, 1, &y, 1, NULL, &event, &error), QN_USAGE);
    cr_assert_eq(qn_launch(f->twice, f->inputs, 1, &y, 1, &options, &event, &error), QN_USAGE);
    cr_assert_null(event);
    cr_assert_eq(qn_event_result(NULL, &error), QN_USAGE);
    cr_assert_eq(qn_event_then(NULL, NULL, NULL, &error), QN_USAGE);
    cr_assert(!qn_event_done(NULL) && !qn_event_wait(NULL, 0));
    qn_event_cancel(NULL);
    qn_event_destroy(NULL);
    cr_assert_eq(qn_launch(f->twice, f->inputs, 0, &y, 1, NULL, &event, &error), QN_OK); /* arguments are checked when it runs */
    cr_assert(qn_event_wait(event, -1));
    cr_assert_eq(qn_event_result(event, &error), QN_USAGE);
    cr_assert(strstr(error.message, "takes 1 inputs"), "%s", error.message);
    qn_event_destroy(event);
    close_fixture(f);
}

Test(launch, faults_arrive_with_their_place, .timeout = 60) {
    fixture *f = open_fixture();
    int64_t at[] = {0, 7, 9}, shape[] = {3};
    DLTensor indices = {.data = at, .device = {kDLCPU, 0}, .ndim = 1, .dtype = qn_type_to_dlpack(QN_I64), .shape = shape};
    const DLTensor *inputs[] = {&f->tensor, &indices};
    qn_array *y = NULL;
    qn_event *event = NULL;
    qn_error error;
    cr_assert_eq(qn_launch(f->pick, inputs, 2, &y, 1, NULL, &event, &error), QN_OK);
    cr_assert(qn_event_wait(event, -1));
    cr_assert_eq(qn_event_result(event, &error), QN_FAULT);
    cr_assert(error.index == 7 && error.extent == 5 && error.line > 0);
    cr_assert_null(y);
    qn_event_destroy(event);
    close_fixture(f);
}

Test(launch, waits_with_a_timeout_and_is_cancelled_while_it_runs, .timeout = 60) {
    fixture *f = open_fixture();
    qn_array *y = NULL;
    qn_event *event = launch(f, f->endless, &y, 0);
    qn_error error;
    const double start = now_ms();
    cr_assert(!qn_event_wait(event, 0));
    cr_assert(!qn_event_wait(event, 30));
    cr_assert(now_ms() - start >= 29);
    cr_assert(!qn_event_done(event));
    cr_assert_eq(qn_event_result(event, &error), QN_USAGE);
    qn_event_cancel(event);
    cr_assert(qn_event_wait(event, 20000));
    cr_assert_eq(qn_event_result(event, &error), QN_STOPPED);
    cr_assert_null(y);
    cr_assert(qn_event_wait(event, 0), "a done event never waits");
    qn_event_destroy(event);
    close_fixture(f);
}

Test(launch, a_deadline_stops_it, .timeout = 60) {
    fixture *f = open_fixture();
    qn_array *y = NULL;
    qn_event *event = launch(f, f->endless, &y, 20);
    qn_error error;
    cr_assert(qn_event_wait(event, 20000));
    cr_assert_eq(qn_event_result(event, &error), QN_STOPPED);
    qn_event_destroy(event);
    close_fixture(f);
}

/* With every thread of the pool in an endless kernel, what is behind them has not begun. */
Test(launch, cancelled_before_it_begins, .timeout = 60) {
    enum { BUSY = 16 };
    fixture *f = open_fixture();
    qn_array *y[BUSY + 1] = {NULL};
    qn_event *busy[BUSY];
    qn_error error;
    for (int i = 0; i < BUSY; i++) busy[i] = launch(f, f->endless, &y[i], 0);
    qn_event *last = launch(f, f->twice, &y[BUSY], 0);
    qn_event_cancel(last);
    cr_assert(!qn_event_wait(last, 20));
    for (int i = 0; i < BUSY; i++) qn_event_cancel(busy[i]);
    cr_assert(qn_event_wait(last, 20000));
    cr_assert_eq(qn_event_result(last, &error), QN_STOPPED);
    cr_assert_str_eq(error.message, "cancelled before it began");
    cr_assert_null(y[BUSY]);
    for (int i = 0; i < BUSY; i++) {
        cr_assert(qn_event_wait(busy[i], 20000));
        cr_assert_eq(qn_event_result(busy[i], NULL), QN_STOPPED);
        qn_event_destroy(busy[i]);
    }
    qn_event_destroy(last);
    close_fixture(f);
}

/* Where there are several processors an endless kernel does not keep the next launch from running. */
Test(launch, side_by_side, .timeout = 60) {
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) cr_skip_test("one processor only");
    fixture *f = open_fixture();
    for (int round = 0; round < 20; round++) {
        qn_array *y = NULL, *z = NULL;
        qn_event *endless = launch(f, f->endless, &y, 0), *twice = launch(f, f->twice, &z, 0);
        cr_assert(qn_event_wait(twice, 20000), "round %d: blocked behind an endless kernel", round);
        expect_twice(z);
        qn_event_cancel(endless);
        cr_assert(qn_event_wait(endless, 20000));
        qn_event_destroy(endless);
        qn_event_destroy(twice);
        qn_array_destroy(z);
        pause_ms(2); /* both threads are idle again */
    }
    close_fixture(f);
}

/* ---- callbacks ---- */
typedef struct note {
    atomic_int calls;
    qn_status status;
    bool destroy;
} note;

static void noted(void *user, qn_event *event) {
    note *n = user;
    n->status = qn_event_result(event, NULL);
    if (n->destroy) qn_event_destroy(event);
    atomic_fetch_add(&n->calls, 1);
}

static void await(note *n) {
    for (int i = 0; i < 20000 && atomic_load(&n->calls) == 0; i++) pause_ms(1);
    cr_assert_eq(atomic_load(&n->calls), 1);
}

Test(launch, callback_before_it_is_done, .timeout = 60) {
    fixture *f = open_fixture();
    qn_array *y = NULL;
    qn_error error;
    note n = {.destroy = true}, other = {0};
    qn_event *event = launch(f, f->endless, &y, 0);
    cr_assert_eq(qn_event_then(event, noted, &n, &error), QN_OK);
    cr_assert_eq(qn_event_then(event, noted, &other, &error), QN_USAGE);
    cr_assert_eq(atomic_load(&n.calls), 0);
    qn_event_cancel(event);
    await(&n);
    cr_assert_eq(n.status, QN_STOPPED);
    cr_assert_eq(atomic_load(&other.calls), 0);
    close_fixture(f);
}

Test(launch, callback_after_it_is_done_comes_at_once, .timeout = 60) {
    fixture *f = open_fixture();
    qn_array *y = NULL;
    qn_error error;
    note n = {0};
    qn_event *event = launch(f, f->twice, &y, 0);
    cr_assert(qn_event_wait(event, -1));
    cr_assert_eq(qn_event_then(event, noted, &n, &error), QN_OK);
    cr_assert_eq(atomic_load(&n.calls), 1);
    cr_assert_eq(n.status, QN_OK);
    cr_assert_eq(qn_event_then(event, noted, &n, &error), QN_USAGE);
    qn_event_destroy(event);
    qn_array_destroy(y);
    close_fixture(f);
}

/* Callbacks that launch the next step, a hundred deep. */
typedef struct chain { fixture *f; qn_array *y; int left; note end; } chain;

static void next_step(void *user, qn_event *event) {
    chain *c = user;
    qn_event *next = NULL;
    const qn_status status = qn_event_result(event, NULL);
    qn_event_destroy(event);
    qn_array_destroy(c->y);
    c->y = NULL;
    if (status != QN_OK || c->left-- == 0 || qn_launch(c->f->twice, c->f->inputs, 1, &c->y, 1, NULL, &next, NULL) != QN_OK ||
        qn_event_then(next, next_step, c, NULL) != QN_OK)
        atomic_store(&c->end.calls, 1);
}

Test(launch, callbacks_launch, .timeout = 60) {
    fixture *f = open_fixture();
    chain c = {.f = f, .left = 100};
    qn_event *event = launch(f, f->twice, &c.y, 0);
    cr_assert_eq(qn_event_then(event, next_step, &c, NULL), QN_OK);
    await(&c.end);
    cr_assert_eq(c.left, -1);
    close_fixture(f);
}

/* ---- who goes first ---- */
Test(launch, event_destroyed_before_it_is_done, .timeout = 60) {
    fixture *f = open_fixture();
    qn_array *y = NULL;
    float *data = NULL;
    qn_error error;
    cr_assert_eq(qn_array_create(f->context, QN_F32, 1, f->shape, &y, &error), QN_OK);
    data = qn_array_tensor(y)->data;
    data[4] = -1;
    qn_event_destroy(launch(f, f->twice, &y, 0));
    for (int i = 0; i < 20000 && __atomic_load_n((int32_t *)(void *)&data[4], __ATOMIC_ACQUIRE) != 0x41000000; i++) pause_ms(1);
    expect_twice(y);
    qn_array_destroy(y);
    close_fixture(f);
}

Test(launch, context_destroyed_first, .timeout = 60) {
    fixture *f = open_fixture();
    qn_array *y = NULL;
    qn_event *event = launch(f, f->twice, &y, 0);
    qn_context_destroy(f->context);
    qn_module_destroy(f->module);
    qn_kernel_destroy(f->endless);
    qn_kernel_destroy(f->pick);
    cr_assert(qn_event_wait(event, -1));
    cr_assert_eq(qn_event_result(event, NULL), QN_OK);
    expect_twice(y);
    qn_kernel_destroy(f->twice);
    qn_array_destroy(y);
    qn_event_destroy(event); /* the context's last handle: its threads are joined here */
    free(f);
}

/* The last reference to the context is dropped by a thread of its own pool. */
Test(launch, last_reference_goes_on_the_pool, .timeout = 60) {
    for (int round = 0; round < 50; round++) {
        fixture *f = open_fixture();
        qn_array *y = NULL;
        qn_event *event = launch(f, f->endless, &y, 0);
        qn_event_cancel(event);
        cr_assert(qn_event_wait(event, 20000)); /* its thread still holds the event for a moment */
        qn_event_destroy(event);
        close_fixture(f);
    }
}

Test(launch, many, .timeout = 120) {
    enum { MANY = 2000 };
    fixture *f = open_fixture();
    static qn_array *y[MANY];
    static qn_event *events[MANY];
    for (int i = 0; i < MANY; i++) events[i] = launch(f, f->twice, &y[i], 0);
    for (int i = 0; i < MANY; i++) {
        cr_assert(qn_event_wait(events[i], -1));
        cr_assert_eq(qn_event_result(events[i], NULL), QN_OK);
        expect_twice(y[i]);
        qn_event_destroy(events[i]);
        qn_array_destroy(y[i]);
    }
    close_fixture(f);
}

/* ---- forks ---- */
static void in_child(fixture *f) {
    qn_array *y = NULL, *z = NULL;
    qn_event *event = launch(f, f->twice, &y, 0);
    qn_error error;
    if (!qn_event_wait(event, 20000) || qn_event_result(event, &error) != QN_OK) _exit(1);
    if (((float *)qn_array_tensor(y)->data)[4] != 8.0F) _exit(2);
    if (qn_call(f->twice, f->inputs, 1, &z, 1, NULL, &error) != QN_OK) _exit(3);
    qn_event_destroy(event);
    qn_array_destroy(y);
    qn_array_destroy(z);
    close_fixture(f); /* does not wait for threads that are the parent's */
    _exit(0);
}

static void fork_and_check(fixture *f) {
    const pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) in_child(f);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d", status);
}

Test(launch, a_forked_child_launches, .timeout = 120) {
    fixture *f = open_fixture();
    fork_and_check(f); /* before the first launch */
    qn_array *y = NULL, *z = NULL;
    qn_event *event = launch(f, f->twice, &y, 0);
    cr_assert(qn_event_wait(event, -1));
    fork_and_check(f); /* threads are idle */
    qn_event *busy = launch(f, f->endless, &z, 0);
    pause_ms(5);
    fork_and_check(f); /* a launch is running */
    qn_event_cancel(busy);
    cr_assert(qn_event_wait(busy, 20000));
    qn_event_destroy(busy);
    qn_event_destroy(event);
    qn_array_destroy(y);
    close_fixture(f);
}
