/* The driver by itself: the card's own copy, a copy kernel in PTX by hand, a tiny kernel launched by hand; and Quern's
 * calls of a tiny kernel beside them. */
#include "gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TINY = 256, LAUNCHES = 1000, COPIES = 20, STEPS = 1000 };

/* y = x, 16 bytes a thread at a time; and z = a x + y of few elements. */
static const char code[] =
    ".version 6.0\n.target sm_70\n.address_size 64\n"
    ".visible .entry wide_copy(.param .u64 x, .param .u64 y, .param .u64 n)\n{\n"
    ".reg .pred %p;\n.reg .b32 %r<8>;\n.reg .b64 %d<12>;\n"
    "ld.param.u64 %d1, [x];\nld.param.u64 %d2, [y];\nld.param.u64 %d3, [n];\n"
    "mov.u32 %r1, %tid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %ctaid.x;\ncvt.u64.u32 %d4, %r1;\nmul.wide.u32 %d5, "
    "%r3, %r2;\nadd.s64 %d4, %d4, %d5;\n"
    "setp.ge.u64 %p, %d4, %d3;\n@%p bra DONE;\n"
    "shl.b64 %d6, %d4, 4;\nadd.s64 %d7, %d1, %d6;\nadd.s64 %d8, %d2, %d6;\n"
    "ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%d7];\nst.global.v4.u32 [%d8], {%r4, %r5, %r6, %r7};\nDONE:\nret;\n}\n"
    ".visible .entry tiny(.param .f32 a, .param .u64 x, .param .u64 y, .param .u64 z)\n{\n"
    ".reg .f32 %f<5>;\n.reg .b32 %r;\n.reg .b64 %d<8>;\n"
    "ld.param.f32 %f1, [a];\nld.param.u64 %d1, [x];\nld.param.u64 %d2, [y];\nld.param.u64 %d3, [z];\n"
    "mov.u32 %r, %tid.x;\nmul.wide.u32 %d4, %r, 4;\nadd.s64 %d5, %d1, %d4;\nadd.s64 %d6, %d2, %d4;\nadd.s64 %d7, %d3, "
    "%d4;\n"
    "ld.global.f32 %f2, [%d5];\nld.global.f32 %f3, [%d6];\nfma.rn.f32 %f4, %f1, %f2, %f3;\nst.global.f32 [%d7], "
    "%f4;\nret;\n}\n";

typedef struct raw {
    gpu_bench *b;
    qn__cu_module module;
    qn__cu_function wide, tiny;
    qn__cu_event start, stop;
    qn__cu_address from, to;
    size_t bytes;
} raw;

/* ---- copies ---- */
static qn__cu_result copy_once(raw *r, bool by_kernel) {
    const qn__cuda_driver *d = &r->b->driver;
    uint64_t vectors = r->bytes / 16;
    void *parameters[] = {&r->from, &r->to, &vectors};
    return by_kernel ? d->cuLaunchKernel(r->wide, (unsigned)((vectors + 255) / 256), 1, 1, 256, 1, 1, 0, r->b->stream,
                                         parameters, NULL)
                     : d->cuMemcpyDtoDAsync(r->to, r->from, r->bytes, r->b->stream);
}

static void time_copies(raw *r, bool by_kernel, gpu_row *row) {
    const qn__cuda_driver *d = &r->b->driver;
    double ms[COPIES];
    for (int i = -1; i < COPIES; i++) { /* the first one does not count */
        float time = 0;
        if (!gpu_driver(r->b, row, d->cuEventRecord(r->start, r->b->stream), "cuEventRecord") ||
            !gpu_driver(r->b, row, copy_once(r, by_kernel), "copy") ||
            !gpu_driver(r->b, row, d->cuEventRecord(r->stop, r->b->stream), "cuEventRecord") ||
            !gpu_driver(r->b, row, d->cuEventSynchronize(r->stop), "cuEventSynchronize") ||
            !gpu_driver(r->b, row, d->cuEventElapsedTime(&time, r->start, r->stop), "cuEventElapsedTime"))
            return;
        if (i >= 0) ms[i] = (double)time;
    }
    row->device_ms = gpu_median(ms, COPIES);
    row->gbytes = 2 * (double)r->bytes / (row->device_ms * 1e6);
}

static void copies(raw *r) {
    gpu_row *row = gpu_add(r->b, GPU_BANDWIDTH, "copy within the device", "driver", (double)r->bytes / 4);
    time_copies(r, false, row);
    r->b->copy_rate = row->gbytes;
    time_copies(r, true, gpu_add(r->b, GPU_BANDWIDTH, "copy, 16 bytes a thread", "PTX by hand", (double)r->bytes / 4));
}

/* ---- launches ---- */
static bool launch(raw *r, gpu_row *row) {
    float a = 2;
    qn__cu_address z = r->to + TINY * 4;
    void *parameters[] = {&a, &r->from, &r->to, &z};
    return gpu_driver(r->b, row,
                      r->b->driver.cuLaunchKernel(r->tiny, 1, 1, 1, TINY, 1, 1, 0, r->b->stream, parameters, NULL),
                      "cuLaunchKernel");
}

static bool wait(raw *r, gpu_row *row) {
    return gpu_driver(r->b, row, r->b->driver.cuStreamSynchronize(r->b->stream), "cuStreamSynchronize");
}

static void bare(raw *r) {
    static double ms[LAUNCHES];
    gpu_row *row = gpu_add(r->b, GPU_LAUNCH, "launch and wait", "driver", TINY);
    for (int i = 0; i < LAUNCHES; i++) {
        const double begun = gpu_now();
        if (!launch(r, row) || !wait(r, row)) return;
        ms[i] = gpu_now() - begun;
    }
    row->call_ms = gpu_median(ms, LAUNCHES);
    row = gpu_add(r->b, GPU_LAUNCH, "launch without waiting", "driver", TINY);
    const double begun = gpu_now();
    for (int i = 0; i < LAUNCHES; i++)
        if (!launch(r, row)) return;
    if (!wait(r, row)) return;
    row->call_ms = (gpu_now() - begun) / (double)LAUNCHES;
    snprintf(row->note, sizeof row->note, "mean of %d, until the last one has ended", LAUNCHES);
}

static bool launch_and_wait(gpu_call *c, gpu_row *row) {
    qn_error error = {0};
    qn_event *event = NULL;
    qn_status status = qn_launch(c->kernel, c->list, c->input_count, c->outputs, c->output_count, NULL, &event, &error);
    if (status == QN_OK) {
        qn_event_wait(event, -1);
        status = qn_event_result(event, &error);
    }
    qn_event_destroy(event);
    if (status != QN_OK) gpu_fail(row, "%s", error.message);
    return status == QN_OK;
}

/* saxpy by Quern: by qn_call, or qn_launch and waiting. */
static void calls(gpu_bench *b, const char *name, bool on_device, bool launched) {
    static double ms[LAUNCHES];
    const double scalars[GPU_SCALARS] = {2};
    gpu_row *row = gpu_add(b, GPU_LAUNCH, name, "Quern", TINY);
    gpu_call c;
    bool fine = gpu_call_begin(&c, b, true, on_device, "saxpy", TINY, scalars, row) && gpu_call_run(&c, NULL, row);
    for (int i = 0; fine && i < LAUNCHES; i++) {
        const double begun = gpu_now();
        fine = launched ? launch_and_wait(&c, row) : gpu_call_run(&c, NULL, row);
        ms[i] = gpu_now() - begun;
    }
    if (fine) row->call_ms = gpu_median(ms, LAUNCHES);
    gpu_call_end(&c);
}

/* One call with many stages. */
static void stages(gpu_bench *b) {
    const double scalars[GPU_SCALARS] = {b->small ? STEPS / 10 : STEPS};
    double ms[5];
    gpu_row *row = gpu_add(b, GPU_LAUNCH, "a stage inside a call", "Quern", TINY);
    gpu_call c;
    bool fine = gpu_call_begin(&c, b, true, true, "steps", TINY, scalars, row) && gpu_call_run(&c, NULL, row);
    for (int i = 0; fine && i < 5; i++) {
        const double begun = gpu_now();
        fine = gpu_call_run(&c, NULL, row);
        ms[i] = (gpu_now() - begun) / scalars[0];
    }
    if (fine) row->call_ms = gpu_median(ms, 5);
    if (fine) snprintf(row->note, sizeof row->note, "a loop of %.0f stages, divided by their number", scalars[0]);
    gpu_call_end(&c);
}

static bool open_raw(raw *r, gpu_row *row) {
    const qn__cuda_driver *d = &r->b->driver;
    gpu_bench *b = r->b;
    r->bytes = b->small ? (size_t)1 << 16 : (size_t)1 << 28;
    return gpu_driver(b, row, d->cuModuleLoadDataEx(&r->module, code, 0, NULL, NULL), "cuModuleLoadDataEx") &&
           gpu_driver(b, row, d->cuModuleGetFunction(&r->wide, r->module, "wide_copy"), "cuModuleGetFunction") &&
           gpu_driver(b, row, d->cuModuleGetFunction(&r->tiny, r->module, "tiny"), "cuModuleGetFunction") &&
           gpu_driver(b, row, d->cuEventCreate(&r->start, CU_EVENT_USUAL), "cuEventCreate") &&
           gpu_driver(b, row, d->cuEventCreate(&r->stop, CU_EVENT_USUAL), "cuEventCreate") &&
           gpu_driver(b, row, d->cuMemAlloc(&r->from, r->bytes), "cuMemAlloc") &&
           gpu_driver(b, row, d->cuMemAlloc(&r->to, r->bytes), "cuMemAlloc") &&
           gpu_driver(b, row, d->cuMemsetD32Async(r->from, 1, r->bytes / 4, b->stream), "cuMemsetD32Async") &&
           gpu_driver(b, row, d->cuMemsetD32Async(r->to, 1, r->bytes / 4, b->stream), "cuMemsetD32Async") &&
           wait(r, row);
}

void gpu_raw(gpu_bench *b) {
    raw r = {.b = b};
    gpu_row unopened = {0};
    if (open_raw(&r, &unopened)) {
        copies(&r);
        bare(&r);
    } else {
        gpu_row *row = gpu_add(b, GPU_BANDWIDTH, "the driver by itself", "driver", 0);
        gpu_fail(row, "%s", unopened.note);
    }
    if (r.to) b->driver.cuMemFree(r.to);
    if (r.from) b->driver.cuMemFree(r.from);
    if (r.stop) b->driver.cuEventDestroy(r.stop);
    if (r.start) b->driver.cuEventDestroy(r.start);
    if (r.module) b->driver.cuModuleUnload(r.module);
    calls(b, "qn_call, arrays on the device", true, false);
    calls(b, "qn_launch and wait, arrays on the device", true, true);
    calls(b, "qn_call, arrays on the host", false, false);
    stages(b);
}
