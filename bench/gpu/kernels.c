/* The rows of kernels.def: at the checked extent the result's bytes against those of the processor, at the measured
 * extent the time of a call whose arrays stay on the device, by the host's clock and by the device's. Operations are
 * counted by the interpreter at the checked extent and scaled. */
#include "gpu.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SIZE        NAN
#define UNPACK(...) __VA_ARGS__
typedef struct spec {
    gpu_group group;
    const char *name;
    int64_t full, small, checked;
    int power;
    double scalars[GPU_SCALARS];
} spec;
static const spec specs[] = {
#define KERNEL(GROUP, name, full, small, checked, power, scalars)                                                      \
    {GPU_##GROUP, #name, full, small, checked, power, {UNPACK scalars}},
#include "kernels.def"
#undef KERNEL
};

static size_t bytes_of(const DLTensor *t) {
    size_t bytes = qn_type_bytes(qn_type_from_dlpack(t->dtype));
    for (int32_t d = 0; d < t->ndim; d++) bytes *= (size_t)t->shape[d];
    return bytes;
}

/* Floating-point operations at the checked extent, 0 when it failed: then the row says why. */
static bool check(gpu_bench *b, const spec *s, gpu_row *row, double *operations) {
    gpu_call cpu, cuda;
    qn_counts counts = {0};
    qn_error error = {0};
    const int64_t extent = b->small && s->checked > 20000 ? s->checked / 10 : s->checked;
    const bool made_cpu = gpu_call_begin(&cpu, b, false, false, s->name, extent, s->scalars, row);
    const bool made_cuda = gpu_call_begin(&cuda, b, true, true, s->name, extent, s->scalars, row);
    bool right = made_cpu && made_cuda && gpu_call_run(&cpu, NULL, row) && gpu_call_run(&cuda, NULL, row);
    for (size_t i = 0; right && i < cpu.output_count; i++) {
        const DLTensor *expected = qn_array_tensor(cpu.outputs[i]);
        qn_array *copy = NULL;
        if (qn_array_to(cuda.outputs[i], (DLDevice){kDLCPU, 0}, &copy, &error) != QN_OK) {
            gpu_fail(row, "%s", error.message);
            right = false;
            break;
        }
        const DLTensor *found = qn_array_tensor(copy);
        right = bytes_of(expected) == bytes_of(found) && memcmp(expected->data, found->data, bytes_of(found)) == 0;
        if (!right) gpu_fail(row, "the bytes differ from the processor's at extent %lld", (long long)extent);
        qn_array_destroy(copy);
    }
    if (right && qn_count(cpu.kernel, cpu.list, cpu.input_count, &counts, &error) != QN_OK)
        gpu_fail(row, "%s", error.message);
    *operations = (double)counts.float_ops / pow((double)extent, s->power);
    gpu_call_end(&cpu);
    gpu_call_end(&cuda);
    return right;
}

static double output_bytes(const gpu_call *c) {
    double bytes = 0;
    for (size_t i = 0; i < c->output_count; i++)
        if (qn_array_tensor(c->outputs[i])->ndim > 0) bytes += (double)bytes_of(qn_array_tensor(c->outputs[i]));
    return bytes;
}

static void measure(gpu_bench *b, const spec *s, gpu_row *row, double operations) {
    double ms[200], device[5], spent = 0;
    int runs = 0, profiled = 0;
    gpu_call c;
    bool fine = gpu_call_begin(&c, b, true, true, s->name, (int64_t)row->extent, s->scalars, row);
    double begun = gpu_now();
    fine = fine && gpu_call_run(&c, NULL, row); /* loads the code, makes the outputs */
    double last = gpu_now() - begun;
    while (fine && gpu_more(spent, runs)) {
        begun = gpu_now();
        fine = gpu_call_run(&c, NULL, row);
        last = gpu_now() - begun;
        spent += last;
        ms[runs++] = last;
    }
    while (fine && profiled < 5 && (profiled == 0 || last < 1000)) {
        qn_call_profile profile = {0};
        fine = gpu_call_run(&c, &profile, row);
        device[profiled++] = profile.compute_ms;
    }
    if (fine) {
        const double bytes = c.array_bytes + output_bytes(&c);
        row->call_ms = gpu_median(ms, (size_t)runs);
        row->device_ms = gpu_median(device, (size_t)profiled);
        const double time = row->device_ms > 0 ? row->device_ms : row->call_ms;
        row->gbytes = s->group == GPU_PRODUCT ? 0 : bytes / (time * 1e6);
        row->gflops = s->group == GPU_BANDWIDTH ? 0 : operations * pow(row->extent, s->power) / (time * 1e6);
        if (s->group == GPU_BANDWIDTH && b->copy_rate > 0)
            snprintf(row->note, sizeof row->note, "%.0f %% of the card's copy", 100 * row->gbytes / b->copy_rate);
    }
    gpu_call_end(&c);
}

void gpu_kernels(gpu_bench *b, gpu_group group) {
    double operations = 0;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        const spec *s = &specs[i];
        if (s->group != group) continue;
        gpu_row *row = gpu_add(b, group, s->name, "Quern", (double)(b->small ? s->small : s->full));
        const bool again =
            i > 0 && strcmp(specs[i - 1].name, s->name) == 0 && operations > 0; /* checked at its first extent */
        if (again || check(b, s, row, &operations)) measure(b, s, row, operations);
    }
}
