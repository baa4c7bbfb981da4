/* Rates of the machine and estimates of calls: measured once and kept, larger work takes longer, copies count only where there are any. */
#include "tests/gpu/gpu.h"

#include "api/internal.h"
#include "ir/work.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char matmul[] = "kernel matmul(A: f32[m, k], B: f32[k, n]) -> C: f32[m, n] {\n    C[i, j] = sum(p: A[i, p] * B[p, j])\n}\n";

static qn__work work_of(const char *source, const int64_t *sizes, const uint64_t *scalars, double width) {
    gpu g;
    qn__work work;
    cr_assert_eq(gpu_try(&g, source, &(qn_context_options){.engine = QN_ENGINE_INTERP}), QN_OK, "%s", g.error.message);
    cr_assert(qn__ir_work(g.kernel->compiled->ir, sizes, scalars, width, &work));
    gpu_close(&g);
    return work;
}

Test(estimates, work_of_a_matrix_product) {
    const qn__work small = work_of(matmul, (int64_t[]){64, 32, 16}, NULL, 1), large = work_of(matmul, (int64_t[]){128, 32, 16}, NULL, 1);
    cr_expect(small.operations > 64 * 32 * 16 && small.operations < 64 * 32 * 16 * 10.0, "%g", small.operations);
    cr_expect_float_eq(large.operations / small.operations, 2, 1e-6);
    cr_expect_eq(small.launches, 1);
    cr_expect_eq(small.array_bytes, 4.0 * 64 * 16);
    cr_expect_not(small.guessed);
    const qn__work wide = work_of(matmul, (int64_t[]){64, 32, 16}, NULL, 64 * 16);
    cr_expect(wide.steps * 64 * 16 < small.operations * 1.01, "%g %g", wide.steps, small.operations);
}

Test(estimates, work_of_loops_and_guesses) {
    const char *loop = "kernel steps(x: f32[n], count: i64) -> y: f32[n] {\n    y[i] = x[i]\n    loop t in 0..count {\n        y[i] = y[i] * 0.5\n    }\n}\n";
    cr_expect_eq(work_of(loop, (int64_t[]){100}, (uint64_t[]){7}, 1).launches, 8);
    const char *triangle = "kernel tri(x: f64[n]) -> y: f64[n] {\n    y[i] = sum(k in 0..i: x[k])\n}\n";
    const qn__work t = work_of(triangle, (int64_t[]){1000}, NULL, 1);
    cr_expect(t.operations > 0.5e6 && t.operations < 5e6, "%g", t.operations);
    const char *data = "kernel spin(x: f32[n]) -> y: f32[n] {\n    y[i] = {\n        var v = x[i]\n        while v > 1.0 { v = v * 0.5 }\n        v\n    }\n}\n";
    cr_expect(work_of(data, (int64_t[]){10}, NULL, 1).guessed);
    cr_expect_eq(work_of(matmul, (int64_t[]){0, 5, 5}, NULL, 1).launches, 0);
}

static unsigned machine_files(const char *folder) {
    unsigned count = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) count += strstr(e->d_name, ".machine") != NULL;
    if (dir) closedir(dir);
    return count;
}

Test(estimates, rates_are_measured_once, .timeout = 120) {
    char folder[] = "/tmp/quern-rates-XXXXXX", command[64];
    cr_assert(mkdtemp(folder));
    gpu_driver(NULL);
    qn_machine first = {0}, second = {0};
    for (int i = 0; i < 2; i++) {
        gpu g = gpu_open(matmul, &(qn_context_options){.cache_folder = folder});
        cr_assert_eq(qn_context_machine(g.context, i ? &second : &first, &g.error), QN_OK, "%s", g.error.message);
        gpu_close(&g);
        cr_assert_eq(machine_files(folder), 1);
    }
    cr_expect_eq(memcmp(&first, &second, sizeof first), 0);
    cr_expect(first.cpu_operation_ns > 0 && first.device_step_ns > 0 && first.in_gbytes > 0 && first.device_points > 0);
    gpu_expect_no_leak();
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

Test(estimates, of_calls, .timeout = 120) {
    gpu_driver(NULL);
    gpu g = gpu_open(matmul, NULL);
    qn_estimate small, large;
    static float values[256 * 256];
    int64_t shape[2] = {16, 16};
    DLTensor t = gpu_tensor(QN_F32, 2, shape, NULL, values);
    const DLTensor *inputs[2] = {&t, &t};
    cr_assert_eq(qn_kernel_estimate(g.kernel, inputs, 2, &small, &g.error), QN_OK, "%s", g.error.message);
    shape[0] = shape[1] = 256;
    cr_assert_eq(qn_kernel_estimate(g.kernel, inputs, 2, &large, &g.error), QN_OK, "%s", g.error.message);
    cr_expect_gt(large.cpu_ms, small.cpu_ms);
    cr_expect_gt(large.cuda_ms, small.cuda_ms);
    cr_expect_gt(large.cuda_ms, large.cuda_resident_ms);
    cr_expect_eq(large.copied_bytes, 3 * 4.0 * 256 * 256);
    cr_expect_eq(large.engine, large.cuda_ms < large.cpu_ms ? QN_ENGINE_CUDA : QN_ENGINE_CPU);
    shape[1] = 255;
    cr_assert_eq(qn_kernel_estimate(g.kernel, inputs, 2, &large, &g.error), QN_USAGE);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(estimates, without_a_device) {
    setenv("QUERN_CUDA_LIBRARY", "/nowhere/libcuda.so", 1);
    gpu g;
    cr_assert_eq(gpu_try(&g, matmul, &(qn_context_options){.engine = QN_ENGINE_CPU}), QN_OK);
    qn_estimate e;
    float values[4] = {0};
    int64_t shape[2] = {2, 2};
    DLTensor t = gpu_tensor(QN_F32, 2, shape, NULL, values);
    const DLTensor *inputs[2] = {&t, &t};
    cr_assert_eq(qn_kernel_estimate(g.kernel, inputs, 2, &e, &g.error), QN_DEVICE);
    gpu_close(&g);
}
