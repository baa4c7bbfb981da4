// How fast the emulator executes, in millions of instructions times active lanes a second: arithmetic, divergence, global and shared memory, with and without its
// detectors of races and unwritten reads. bench_emulator [WORKERS]
#include "emulator/execute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const head = ".version 8.3\n.target sm_80\n.address_size 64\n.shared .align 16 .b8 s[1024];\n"
    ".visible .entry kernel(.param .u64 out, .param .u64 in) {\n.reg .pred %p<4>; .reg .b32 %r<16>; .reg .f32 %f<16>; .reg .b64 %rd<16>;\n"
    "ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [in]; mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mad.lo.u32 %r3, %r2, 256, %r1;\n"
    "mul.wide.u32 %rd3, %r3, 4; add.u64 %rd4, %rd1, %rd3; add.u64 %rd5, %rd2, %rd3;\n";

static const struct { const char *name, *body; } kernels[] = {
    {"polynomial", "mov.u32 %r4, 0; ld.global.f32 %f1, [%rd5];\nL: fma.rn.f32 %f2, %f1, 0f3F000000, 0f3F800000; mul.f32 %f3, %f2, 0f3E800000; add.f32 %f1, %f3, %f1;\n"
        "add.s32 %r4, %r4, 1; setp.lt.s32 %p1, %r4, 2000; @%p1 bra L;\nst.global.f32 [%rd4], %f1;"},
    {"mandelbrot", "and.b32 %r4, %r3, 255; shr.u32 %r5, %r3, 8; cvt.rn.f32.u32 %f1, %r4; cvt.rn.f32.u32 %f2, %r5; fma.rn.f32 %f1, %f1, 0f3C400000, 0fC0000000;\n"
        "fma.rn.f32 %f2, %f2, 0f3C000000, 0fBF800000; mov.f32 %f3, 0f00000000; mov.f32 %f4, 0f00000000; mov.u32 %r6, 0;\n"
        "L: mul.f32 %f5, %f3, %f3; mul.f32 %f6, %f4, %f4; add.f32 %f7, %f5, %f6; setp.gt.f32 %p1, %f7, 0f40800000; @%p1 bra E;\n"
        "sub.f32 %f8, %f5, %f6; add.f32 %f8, %f8, %f1; add.f32 %f9, %f3, %f3; fma.rn.f32 %f4, %f9, %f4, %f2; mov.f32 %f3, %f8;\n"
        "add.s32 %r6, %r6, 1; setp.lt.s32 %p2, %r6, 1000; @%p2 bra L;\nE: st.global.u32 [%rd4], %r6;"},
    {"saxpy", "mov.u32 %r4, 0;\nL: ld.global.f32 %f1, [%rd5]; ld.global.f32 %f2, [%rd4]; fma.rn.f32 %f3, %f1, 0f3F000000, %f2; st.global.f32 [%rd4], %f3;\n"
        "add.s32 %r4, %r4, 1; setp.lt.s32 %p1, %r4, 1000; @%p1 bra L;"},
    {"shared", "shl.b32 %r5, %r1, 2; mov.u32 %r6, s; add.u32 %r7, %r6, %r5; xor.b32 %r8, %r7, 128; mov.u32 %r4, 0; mov.f32 %f1, 0f3F800000;\n"
        "L: st.shared.f32 [%r7], %f1; bar.sync 0; ld.shared.f32 %f2, [%r8]; fma.rn.f32 %f1, %f2, 0f3F000000, %f1; bar.sync 0;\n"
        "add.s32 %r4, %r4, 1; setp.lt.s32 %p1, %r4, 500; @%p1 bra L;\nst.global.f32 [%rd4], %f1;"},
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool measure(em_memory *memory, const em_device *device, const char *name, const char *body) {
    char text[4096];
    em_module *module;
    em_text log = {0};
    int length = snprintf(text, sizeof text, "%s%s\nret;\n}\n", head, body);
    if (em_module_load(text, (size_t)length, device, memory, &module, &log) != EM_OK) {
        fprintf(stderr, "%s: %s", name, log.data);
        free(log.data);
        return false;
    }
    const uint32_t blocks = 256;
    uint64_t parameters[2] = {em_memory_allocate(memory, blocks * 1024, EM_DEVICE), em_memory_allocate(memory, blocks * 1024, EM_DEVICE)};
    memset((void *)(uintptr_t)parameters[0], 0, blocks * 1024);
    memset((void *)(uintptr_t)parameters[1], 0, blocks * 1024);
    em_launch launch = {.function = em_module_function(module, "kernel"), .grid = {blocks, 1, 1}, .block = {256, 1, 1}, .parameters = parameters, .memory = memory, .device = device};
    em_fault fault;
    uint64_t before = em_executed();
    double start = seconds();
    bool good = em_execute(&launch, &fault);
    double took = seconds() - start;
    if (good) printf("%-12s %-10s %2u workers %8.0f M/s\n", name, device->race_check ? "detecting" : "plain", device->workers, (double)(em_executed() - before) / took * 1e-6);
    else fprintf(stderr, "%s: %s\n", name, fault.text);
    em_module_unload(module);
    return good;
}

int main(int count, char **arguments) {
    em_device device = {.sm = 80, .ptx_version = 83, .processors = 8, .workers = count > 1 ? (uint32_t)atoi(arguments[1]) : 1};
    em_memory *memory = em_memory_create((size_t)1 << 28);
    bool good = memory != NULL;
    for (int detect = 0; detect < 2; detect++) {
        device.race_check = device.init_check = detect;
        for (size_t k = 0; good && k < sizeof kernels / sizeof *kernels; k++) good = measure(memory, &device, kernels[k].name, kernels[k].body);
    }
    if (memory) em_memory_destroy(memory);
    return !good;
}
