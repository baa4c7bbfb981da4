/* Runs of kernels on a device: faults as the interpreter reports them, cancellation and deadlines, many threads, typed functions, the cache, profiles. */
#include "tests/gpu/gpu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- faults ---- */

typedef struct faulty { const char *source; int64_t value; } faulty;

static qn_status run(qn_kernel *kernel, int64_t *x, int64_t n, qn_error *error) {
    DLTensor t = gpu_tensor(QN_I64, 1, &n, NULL, x);
    const DLTensor *inputs[1] = {&t};
    qn_array *outputs[1] = {NULL};
    const qn_status status = qn_call(kernel, inputs, 1, outputs, 1, NULL, error);
    qn_array_destroy(outputs[0]);
    return status;
}

static void same_fault(const char *source, int64_t n, int64_t (*element)(int64_t i)) {
    gpu g = gpu_open(source, NULL);
    qn_kernel *oracle = NULL;
    qn_error expected = {0};
    const qn_kernel_options options = {.engine = QN_ENGINE_INTERP};
    cr_assert_eq(qn_kernel_create(g.module, NULL, &options, &oracle, &g.error), QN_OK);
    int64_t *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = element(i);
    const qn_status wanted = run(oracle, x, n, &expected), found = run(g.kernel, x, n, &g.error);
    cr_assert_eq(wanted, QN_FAULT, "%s", expected.message);
    cr_assert_eq(found, wanted, "%s", g.error.message);
    cr_expect_str_eq(g.error.message, expected.message);
    cr_expect_eq(g.error.line, expected.line);
    cr_expect_eq(g.error.column, expected.column);
    cr_expect_eq(g.error.index, expected.index);
    cr_expect_eq(g.error.extent, expected.extent);
    cr_expect_eq(g.error.iteration, expected.iteration);
    free(x);
    qn_kernel_destroy(oracle);
    gpu_close(&g);
    gpu_expect_no_leak();
}

static int64_t late(int64_t i) { return i < 700 ? i : i + 5000; }
static int64_t zeros_late(int64_t i) { return i % 400 == 399 ? 0 : i + 1; }

Test(device_runs, the_lowest_index_out_of_range) { gpu_driver(NULL); same_fault("kernel f(x: i64[n]) -> y: i64[n] {\n    y[i] = x[x[i]]\n}\n", 2000, late); }
Test(device_runs, the_lowest_division_by_zero) { gpu_driver(NULL); same_fault("kernel f(x: i64[n]) -> y: i64[n] {\n    y[i] = 1000 / x[i]\n}\n", 2000, zeros_late); }
Test(device_runs, the_first_of_several_stages) {
    gpu_driver(NULL);
    same_fault("kernel f(x: i64[n]) -> y: i64[n] {\n    let a[i] = x[i] + 1\n    let b[i] = 100 / x[i]\n    y[i] = a[x[i]] + b[i]\n}\n", 2000, zeros_late);
}
Test(device_runs, a_fault_in_a_loop) {
    gpu_driver(NULL);
    same_fault("kernel f(x: i64[n]) -> y: i64[n] {\n    y[i] = x[i]\n    loop t in 0..50 {\n        y[i] = 1000 / (y[i] - 20) + y[i] - 1 - 1000 / (y[i] - 20)\n    }\n}\n", 300,
               zeros_late);
}

static int64_t zero(int64_t i) { return i * 0; }

/* The failing check reads what an earlier stage left in a device slot, which is written anew for every iteration. */
Test(device_runs, a_fault_that_depends_on_a_reduction) {
    gpu_driver(NULL);
    same_fault("kernel f(x: i64[n]) -> y: i64[n] {\n    y[i] = x[i]\n    loop t in 0..20 {\n        y[i] = y[i] + 1\n        let s = sum(i: y[i])\n"
               "        let part[i] = 1000 / (s - i - 1517 + y[i] * 0)\n        y[i] = y[i] + part[i] * 0\n    }\n}\n", 300, zero);
}
Test(device_runs, a_fault_in_nested_loops_with_carried_scalars) {
    gpu_driver(NULL);
    same_fault("kernel f(x: i64[n]) -> y: i64[n] {\n    y[i] = x[i]\n    loop a in 0..6 {\n        let b = sum(i: y[i]) + a\n        loop c in 0..5 {\n"
               "            y[i] = y[i] + 1 + 100 / (b + c - i - 300) * 0\n        }\n    }\n}\n", 64, zero);
}
Test(device_runs, a_fault_after_buffers_of_other_sizes) {
    gpu_driver(NULL);
    same_fault("kernel f(x: i64[n]) -> y: i64[n] {\n    y[i] = x[i]\n    loop t in 0..9 {\n        let w = keep(i: y[i] + i where i % (t + 1) == 0)\n"
               "        let s = sum(k: w[k])\n        y[i] = y[i] + 1000 / (s - i - 1700) * 0 + 1\n    }\n}\n", 100, zero);
}

/* ---- stopping ---- */

static const char endless[] = "kernel spin(x: f32[n]) -> y: f32[n] {\n    y[i] = {\n        var v = x[i]\n        while v >= 0.0 { v = v * 0.5 + 1.0 }\n        v\n    }\n}\n";
static const char long_loop[] = "kernel steps(x: f32[n]) -> y: f32[n] {\n    y[i] = x[i]\n    loop t in 0..100000000 {\n        y[i] = y[i] * 0.5 + 1.0\n    }\n}\n";

static void *cancel_soon(void *flag) {
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    __atomic_store_n((int32_t *)flag, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void stops(const char *source) {
    gpu_driver(NULL);
    gpu g = gpu_open(source, NULL);
    float x[40] = {0};
    int64_t n = 40;
    DLTensor t = gpu_tensor(QN_F32, 1, &n, NULL, x);
    const DLTensor *inputs[1] = {&t};
    qn_array *y = NULL;
    cr_assert_eq(qn_call(g.kernel, inputs, 1, &y, 1, &(qn_call_options){.deadline_ms = 60}, &g.error), QN_STOPPED, "%s", g.error.message);
    cr_assert(strstr(g.error.message, "deadline"), "%s", g.error.message);
    int32_t flag = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, cancel_soon, &flag);
    cr_assert_eq(qn_call(g.kernel, inputs, 1, &y, 1, &(qn_call_options){.cancel = &flag}, &g.error), QN_STOPPED, "%s", g.error.message);
    cr_assert(strstr(g.error.message, "cancelled"), "%s", g.error.message);
    pthread_join(thread, NULL);
    cr_assert_null(y);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_runs, an_endless_point_is_stopped, .timeout = 60) { stops(endless); }
Test(device_runs, a_long_loop_of_launches_is_stopped, .timeout = 60) { stops(long_loop); }

/* ---- threads ---- */

enum { THREADS = 6, CALLS = 20 };
typedef struct worker { qn_kernel *kernel; int number; bool ok; } worker;

static void *call_often(void *argument) {
    worker *w = argument;
    w->ok = true;
    for (int c = 0; c < CALLS && w->ok; c++) {
        float a = (float)w->number, x[257], y[257];
        int64_t n = 257 - c;
        for (int i = 0; i < 257; i++) x[i] = (float)(i + c), y[i] = (float)w->number;
        DLTensor t[3] = {gpu_tensor(QN_F32, 0, NULL, NULL, &a), gpu_tensor(QN_F32, 1, &n, NULL, x), gpu_tensor(QN_F32, 1, &n, NULL, y)};
        const DLTensor *inputs[3] = {&t[0], &t[1], &t[2]};
        qn_array *z = NULL;
        qn_error error;
        w->ok = qn_call(w->kernel, inputs, 3, &z, 1, NULL, &error) == QN_OK;
        for (int i = 0; w->ok && i < n; i++) w->ok = ((float *)qn_array_tensor(z)->data)[i] == a * x[i] + y[i];
        qn_array_destroy(z);
    }
    return NULL;
}

Test(device_runs, many_threads_call_at_once, .timeout = 120) {
    gpu_driver(NULL);
    gpu g = gpu_open(gpu_saxpy, NULL);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){g.kernel, i, false};
        pthread_create(&threads[i], NULL, call_often, &workers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_expect(workers[i].ok, "thread %d", i);
    }
    gpu_close(&g);
    gpu_expect_no_leak();
}

/* ---- the rest of the API ---- */

Test(device_runs, typed_functions) {
    gpu_driver(NULL);
    gpu g = gpu_open(gpu_saxpy, NULL);
    int32_t (*saxpy)(float, const float *, const float *, float *, int64_t, qn_error *) =
        (int32_t(*)(float, const float *, const float *, float *, int64_t, qn_error *))qn_kernel_function(g.kernel);
    float x[5] = {1, 2, 3, 4, 5}, y[5] = {9, 8, 7, 6, 5}, z[5];
    cr_assert(saxpy);
    cr_assert_eq(saxpy(3, x, y, z, 5, &g.error), QN_OK);
    for (int i = 0; i < 5; i++) cr_assert_eq(z[i], 3 * x[i] + y[i]);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_runs, compiled_code_is_kept_by_device_and_driver) {
    char folder[] = "/tmp/quern-gpu-XXXXXX", command[64];
    cr_assert(mkdtemp(folder));
    gpu_driver("QUERN_EMULATOR_SM=80", NULL);
    char *keys[2];
    for (int i = 0; i < 2; i++) {
        gpu g = gpu_open(gpu_saxpy, &(qn_context_options){.cache_folder = folder});
        cr_expect(i == 0 ? qn_kernel_compile_times(g.kernel).emit_ms > 0 : qn_kernel_compile_times(g.kernel).emit_ms == 0, "run %d", i);
        keys[i] = qn_kernel_cache_key(g.kernel);
        float a = 2, x[3] = {1, 2, 3};
        int64_t n = 3;
        DLTensor t[3] = {gpu_tensor(QN_F32, 0, NULL, NULL, &a), gpu_tensor(QN_F32, 1, &n, NULL, x), gpu_tensor(QN_F32, 1, &n, NULL, x)};
        const DLTensor *inputs[3] = {&t[0], &t[1], &t[2]};
        qn_array *z = NULL;
        cr_assert_eq(qn_call(g.kernel, inputs, 3, &z, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
        cr_assert_eq(((float *)qn_array_tensor(z)->data)[2], 9.0F);
        qn_array_destroy(z);
        gpu_close(&g);
    }
    cr_assert(keys[0] && keys[1]);
    cr_assert_str_eq(keys[0], keys[1]);
    cr_assert(strstr(keys[0], "sm_80"), "%s", keys[0]);
    free(keys[0]);
    free(keys[1]);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

static void count_spans(void *user, const qn_span *span) {
    ((unsigned *)user)[span->kind]++;
    cr_expect(span->ms >= 0 && span->start_ms >= 0 && *span->name);
}

Test(device_runs, profiles_and_spans) {
    gpu_driver(NULL);
    gpu g = gpu_open(gpu_saxpy, NULL);
    float a = 2, x[100] = {1};
    int64_t n = 100;
    DLTensor t[3] = {gpu_tensor(QN_F32, 0, NULL, NULL, &a), gpu_tensor(QN_F32, 1, &n, NULL, x), gpu_tensor(QN_F32, 1, &n, NULL, x)};
    const DLTensor *inputs[3] = {&t[0], &t[1], &t[2]};
    qn_array *z = NULL;
    qn_call_profile p;
    unsigned spans[4] = {0};
    const qn_call_options options = {.profile = &p, .on_span = count_spans, .user = spans};
    cr_assert_eq(qn_call(g.kernel, inputs, 3, &z, 1, &options, &g.error), QN_OK, "%s", g.error.message);
    cr_expect_eq(p.engine, QN_ENGINE_CUDA);
    cr_expect_not(p.fallback);
    cr_expect_eq(p.bytes_in, 800);
    cr_expect_eq(p.bytes_out, 400);
    cr_expect_eq(p.launches, 1);
    cr_expect_eq(spans[QN_SPAN_COPY_IN], 2);
    cr_expect_eq(spans[QN_SPAN_COMPUTE], 1);
    cr_expect_eq(spans[QN_SPAN_COPY_OUT], 1);
    cr_expect_eq(spans[QN_SPAN_CALL], 1);
    cr_expect_eq(qn_kernel_profiled(g.kernel).calls, 1);
    cr_expect_eq(qn_kernel_profiled(g.kernel).bytes_in, 800);
    qn_array_destroy(z);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_runs, what_the_device_is) {
    gpu_driver("QUERN_EMULATOR_SM=90", "QUERN_EMULATOR_DRIVER=12040", "QUERN_EMULATOR_DEVICES=2", NULL);
    gpu g = gpu_open(gpu_saxpy, NULL);
    qn_device d;
    cr_assert_eq(qn_device_describe(g.context, 1, &d, &g.error), QN_OK, "%s", g.error.message);
    cr_expect_eq(d.compute_capability, 90);
    cr_expect_eq(d.driver_version, 12040);
    cr_expect_eq(d.ptx_version, 84);
    cr_expect_eq(d.count, 2);
    cr_expect_eq(d.index, 1);
    cr_expect_gt(d.memory_bytes, 0);
    cr_expect(strstr(d.library, "emulator"), "%s", d.library);
    gpu_close(&g);
}
