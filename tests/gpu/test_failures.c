/* Everything that can go wrong with a driver or a device: a clear error, inputs as they were, nothing leaked; and falling back where that is allowed. */
#include "tests/gpu/gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 300 };
static const char add[] = "kernel add(x: f32[n], inout y: f32[n]) -> s: f32 {\n    y[i] = x[i] + y[i]\n    s = sum(i: y[i])\n}\n";

typedef struct data { float x[N], y[N], x0[N], y0[N]; int64_t n; DLTensor tensors[2]; const DLTensor *inputs[2]; } data;

static void make(data *d) {
    d->n = N;
    for (int i = 0; i < N; i++) d->x[i] = (float)i, d->y[i] = (float)(N - i);
    memcpy(d->x0, d->x, sizeof d->x);
    memcpy(d->y0, d->y, sizeof d->y);
    d->tensors[0] = gpu_tensor(QN_F32, 1, &d->n, NULL, d->x);
    d->tensors[1] = gpu_tensor(QN_F32, 1, &d->n, NULL, d->y);
    for (int i = 0; i < 2; i++) d->inputs[i] = &d->tensors[i];
}

static void expect_intact(const data *d, bool inouts) {
    cr_expect(memcmp(d->x, d->x0, sizeof d->x) == 0, "an input was modified");
    if (inouts) cr_expect(memcmp(d->y, d->y0, sizeof d->y) == 0, "an inout was modified");
}

static void expect_added(const data *d, const qn_array *s) {
    for (int i = 0; i < N; i++) cr_assert_eq(d->y[i], (float)N);
    cr_assert_eq(*(float *)qn_array_tensor(s)->data, (float)N * (float)N);
}

/* ---- opening ---- */

static void refused(qn_status status, const char *text) {
    gpu g;
    const qn_status found = gpu_try(&g, add, NULL);
    cr_assert_eq(found, status, "%d: %s", found, g.error.message);
    cr_assert(strstr(g.error.message, text), "'%s' is not in '%s'", text, g.error.message);
    gpu_close(&g);
}

Test(device_failures, no_library) {
    setenv("QUERN_CUDA_LIBRARY", "/nowhere/libcuda.so", 1);
    refused(QN_DEVICE, "no CUDA driver: /nowhere/libcuda.so");
}
Test(device_failures, no_entry_point) {
    gpu_driver("QUERN_EMULATOR_MISSING=cuLaunchKernel,cuMemFree", NULL);
    refused(QN_DEVICE, "cuMemFree");
}
Test(device_failures, no_device) {
    gpu_driver("QUERN_EMULATOR_DEVICES=0", NULL);
    refused(QN_DEVICE, "no CUDA-capable device");
}
Test(device_failures, device_number_too_large) {
    gpu g;
    gpu_driver(NULL);
    cr_assert_eq(gpu_try(&g, add, &(qn_context_options){.device = 3}), QN_DEVICE);
    cr_assert_str_eq(g.error.message, "there is no CUDA device 3: 1 found");
    gpu_close(&g);
}
Test(device_failures, invalid_code_shows_what_the_driver_says) {
    gpu_driver("QUERN_EMULATOR_FAULT=load:1", NULL);
    refused(QN_DEVICE, "ptxas application ptx input, line 1");
    gpu_expect_no_leak();
}
Test(device_failures, optional_entry_points_may_be_missing) {
    gpu_driver("QUERN_EMULATOR_MISSING=cuMemAllocAsync,cuMemFreeAsync,cuMemPoolTrimTo", NULL);
    gpu g = gpu_open(add, NULL);
    for (int i = 0; i < 3; i++) {
        data d;
        qn_array *s = NULL;
        make(&d);
        cr_assert_eq(qn_call(g.kernel, d.inputs, 2, &s, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
        expect_added(&d, s);
        qn_array_destroy(s);
    }
    gpu_close(&g);
    gpu_expect_no_leak();
}

/* ---- calling ---- */

/* Which failure, and whether the device can be used afterwards. */
static void fails_once(const char *fault, qn_status status, const char *text, bool usable) {
    char setting[64];
    snprintf(setting, sizeof setting, "QUERN_EMULATOR_FAULT=%s", fault);
    gpu_driver(setting, NULL);
    gpu g = gpu_open(add, NULL);
    data d;
    qn_array *s = NULL;
    make(&d);
    const qn_status found = qn_call(g.kernel, d.inputs, 2, &s, 1, NULL, &g.error);
    cr_assert_eq(found, status, "%d: %s", found, g.error.message);
    cr_assert(strstr(g.error.message, text), "'%s' is not in '%s'", text, g.error.message);
    cr_assert_null(s);
    expect_intact(&d, true);
    const qn_status again = qn_call(g.kernel, d.inputs, 2, &s, 1, NULL, &g.error);
    cr_assert_eq(again, usable ? QN_OK : QN_DEVICE, "%s", g.error.message);
    if (usable) expect_added(&d, s);
    else cr_expect(strstr(g.error.message, "lost by an earlier error"), "%s", g.error.message);
    if (!usable) expect_intact(&d, true);
    qn_statistics statistics;
    qn_context_statistics(g.context, &statistics);
    cr_expect_eq(statistics.device_failures, usable ? 1 : 2);
    cr_expect_eq(statistics.fallback_calls, 0);
    qn_array_destroy(s);
    gpu_close(&g);
    cr_expect_eq(gpu_statistics().live_allocations, 0);
}

Test(device_failures, launch_failure) { fails_once("launch:1", QN_DEVICE, "unspecified launch failure", false); }
Test(device_failures, lost_device) { fails_once("sticky:1", QN_DEVICE, "uncorrectable ECC error", false); }
Test(device_failures, no_pinned_memory) { fails_once("host-alloc:1", QN_RESOURCE, "no pinned memory", true); }

/* Every allocation of a call fails, with all later ones: no memory, and nothing is lost. */
Test(device_failures, no_memory_on_the_device, .timeout = 120) {
    unsigned failures = 0;
    for (int n = 1; n < 40; n++) {
        const pid_t child = fork();
        if (child == 0) {
            char setting[64];
            snprintf(setting, sizeof setting, "QUERN_EMULATOR_FAULT=alloc:%d+", n);
            gpu_driver(setting, NULL);
            gpu g;
            data d;
            qn_array *s = NULL;
            make(&d);
            if (gpu_try(&g, add, NULL) != QN_OK) _exit(10);
            const qn_status status = qn_call(g.kernel, d.inputs, 2, &s, 1, NULL, &g.error);
            const bool intact = memcmp(d.x, d.x0, sizeof d.x) == 0 && (status == QN_OK || memcmp(d.y, d.y0, sizeof d.y) == 0);
            qn_array_destroy(s);
            gpu_close(&g);
            if (!intact) _exit(11);
            if (gpu_statistics().live_allocations) _exit(12);
            _exit(status == QN_OK ? 0 : status == QN_RESOURCE ? 1 : 13);
        }
        int result;
        cr_assert_eq(waitpid(child, &result, 0), child);
        cr_assert(WIFEXITED(result) && WEXITSTATUS(result) < 2, "allocation %d: %d", n, WIFEXITED(result) ? WEXITSTATUS(result) : -1);
        if (WEXITSTATUS(result) == 0) break;
        failures++;
    }
    cr_assert_gt(failures, 2);
}

Test(device_failures, memory_comes_back_when_an_allocation_fails_once) {
    gpu_driver("QUERN_EMULATOR_FAULT=alloc:3", NULL);
    gpu g = gpu_open(add, NULL);
    data d;
    qn_array *s = NULL;
    make(&d);
    cr_assert_eq(qn_call(g.kernel, d.inputs, 2, &s, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
    expect_added(&d, s);
    qn_array_destroy(s);
    gpu_close(&g);
    gpu_expect_no_leak();
}

/* ---- falling back ---- */

static void falls_back(const char *setting, const char *why, bool at_call) {
    gpu_driver(setting, NULL);
    gpu g = gpu_open(add, &(qn_context_options){.fallback = true});
    cr_assert_eq(qn_kernel_engine(g.kernel), at_call ? QN_ENGINE_CUDA : QN_ENGINE_CPU);
    for (int i = 0; i < 2; i++) {
        data d;
        qn_array *s = NULL;
        qn_call_profile profile;
        make(&d);
        cr_assert_eq(qn_call(g.kernel, d.inputs, 2, &s, 1, &(qn_call_options){.profile = &profile}, &g.error), QN_OK, "%s", g.error.message);
        expect_added(&d, s);
        expect_intact(&d, false);
        qn_array_destroy(s);
        cr_expect(profile.fallback);
        cr_expect_eq(profile.engine, QN_ENGINE_CPU);
        if (i == 0) cr_expect(strstr(profile.why, why), "'%s' is not in '%s'", why, profile.why);
    }
    qn_statistics statistics;
    qn_context_statistics(g.context, &statistics);
    cr_expect_eq(statistics.fallback_calls, at_call ? 2 : 0);
    cr_expect_eq(statistics.fallback_kernels, at_call ? 0 : 1);
    cr_expect_eq(qn_kernel_profiled(g.kernel).fallbacks, 2);
    gpu_close(&g);
}

Test(device_failures, falls_back_from_a_lost_device) { falls_back("QUERN_EMULATOR_FAULT=sticky:1", "ECC", true); }
Test(device_failures, falls_back_from_a_launch_failure) { falls_back("QUERN_EMULATOR_FAULT=launch:1", "launch failure", true); }
Test(device_failures, falls_back_from_no_memory) { falls_back("QUERN_EMULATOR_FAULT=alloc:1+", "memory", true); }
Test(device_failures, falls_back_from_no_device) { falls_back("QUERN_EMULATOR_DEVICES=0", "no CUDA-capable device", false); }
Test(device_failures, falls_back_from_invalid_code) { falls_back("QUERN_EMULATOR_FAULT=load:1+", "PTX", false); }

Test(device_failures, arguments_on_the_device_cannot_fall_back) {
    gpu_driver("QUERN_EMULATOR_FAULT=launch:1", NULL);
    gpu g = gpu_open(add, &(qn_context_options){.fallback = true});
    data d;
    qn_array *x = NULL, *s = NULL;
    make(&d);
    cr_assert_eq(qn_array_from(g.context, &d.tensors[0], (DLDevice){kDLCUDA, 0}, &x, &g.error), QN_OK);
    d.inputs[0] = qn_array_tensor(x);
    cr_assert_eq(qn_call(g.kernel, d.inputs, 2, &s, 1, NULL, &g.error), QN_DEVICE);
    qn_array_destroy(x);
    gpu_close(&g);
}

/* ---- forks ---- */

Test(device_failures, a_forked_child_is_told) {
    gpu_driver(NULL);
    gpu g = gpu_open(add, NULL);
    data d;
    qn_array *s = NULL;
    make(&d);
    cr_assert_eq(qn_call(g.kernel, d.inputs, 2, &s, 1, NULL, &g.error), QN_OK);
    const pid_t child = fork();
    if (child == 0) {
        const qn_status status = qn_call(g.kernel, d.inputs, 2, &s, 1, NULL, &g.error);
        const bool said = strstr(g.error.message, "forked after CUDA was opened") && strstr(g.error.message, "open a context after the fork");
        qn_array_destroy(s);
        gpu_close(&g);
        _exit(status == QN_DEVICE && said ? 0 : 1);
    }
    int result;
    cr_assert_eq(waitpid(child, &result, 0), child);
    cr_assert(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    cr_assert_eq(qn_call(g.kernel, d.inputs, 2, &s, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
    qn_array_destroy(s);
    gpu_close(&g);
    gpu_expect_no_leak();
}
