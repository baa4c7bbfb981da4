/* Helpers of the tests of the CUDA engine. */
#include "tests/gpu/gpu.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char gpu_saxpy[] = "kernel saxpy(a: f32, x: f32[n], y: f32[n]) -> z: f32[n] {\n    z[i] = a * x[i] + y[i]\n}\n";

void gpu_driver(const char *first, ...) {
    va_list list;
    va_start(list, first);
    setenv("QUERN_CUDA_LIBRARY", EM_LIBRARY, 1);
    for (const char *s = first; s; s = va_arg(list, const char *)) {
        char name[64];
        const char *equal = strchr(s, '=');
        snprintf(name, sizeof name, "%.*s", (int)(equal - s), s);
        setenv(name, equal + 1, 1);
    }
    va_end(list);
}

qn_status gpu_try(gpu *g, const char *source, const qn_context_options *options) {
    qn_context_options given = options ? *options : (qn_context_options){0};
    if (given.engine == QN_ENGINE_AUTO) given.engine = QN_ENGINE_CUDA;
    if (!given.cache_folder) given.cache_folder = "";
    *g = (gpu){0};
    qn_status status = qn_context_create(&given, &g->context, &g->error);
    if (status == QN_OK) status = qn_module_from_source(g->context, "test.qn", source, strlen(source), &g->module, &g->error);
    if (status == QN_OK) status = qn_kernel_create(g->module, NULL, NULL, &g->kernel, &g->error);
    return status;
}

gpu gpu_open(const char *source, const qn_context_options *options) {
    gpu g;
    const qn_status status = gpu_try(&g, source, options);
    cr_assert_eq(status, QN_OK, "%s", g.error.message);
    return g;
}

void gpu_close(gpu *g) {
    qn_kernel_destroy(g->kernel);
    qn_module_destroy(g->module);
    qn_context_destroy(g->context);
    *g = (gpu){0};
}

DLTensor gpu_tensor(qn_type type, int ndim, int64_t *shape, int64_t *strides, void *data) {
    return (DLTensor){.data = data, .device = {kDLCPU, 0}, .ndim = ndim, .dtype = qn_type_to_dlpack(type), .shape = shape, .strides = strides};
}

em_stats gpu_statistics(void) {
    em_stats stats = {0};
    void *library = dlopen(EM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    cr_assert(library, "%s", dlerror());
    void (*ask)(em_stats *);
    *(void **)&ask = dlsym(library, "em_statistics");
    cr_assert(ask);
    ask(&stats);
    return stats;
}

void gpu_expect_no_leak(void) {
    const em_stats s = gpu_statistics();
    cr_expect_eq(s.live_allocations, 0, "%lu allocations stay", (unsigned long)s.live_allocations);
    cr_expect_eq(s.modules, 0);
    cr_expect_eq(s.streams, 0);
    cr_expect_eq(s.events, 0);
    cr_expect_eq(s.faults, 0, "the emulator found %lu faults", (unsigned long)s.faults);
}
