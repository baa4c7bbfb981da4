/* A kernel of kernels.qn with arguments of any extent: every dimension of every array has it. Floats are in [0.5, 2),
 * integers any byte; the same numbers each time. */
#include "gpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t next(uint64_t *state) { /* xorshift64* */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545F4914F6CDD1DULL) >> 32);
}

static void fill(const DLTensor *t, qn_type type, uint64_t seed) {
    int64_t count = 1;
    for (int32_t d = 0; d < t->ndim; d++) count *= t->shape[d];
    uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t r = next(&state);
        if (type == QN_F32)
            ((float *)t->data)[i] = 0.5F + (float)(r >> 8) * (1.5F / 16777216.0F);
        else if (type == QN_F64)
            ((double *)t->data)[i] = 0.5 + r * (1.5 / 4294967296.0);
        else
            ((uint8_t *)t->data)[i] = (uint8_t)(r >> 24);
    }
}

static void set_scalar(const DLTensor *t, qn_type type, double value, int64_t extent) {
    if (isnan(value)) value = (double)extent;
    if (type == QN_F32)
        *(float *)t->data = (float)value;
    else if (type == QN_F64)
        *(double *)t->data = value;
    else if (type == QN_I32)
        *(int32_t *)t->data = (int32_t)value;
    else
        *(int64_t *)t->data = (int64_t)value;
}

static bool make_input(gpu_call *c, qn_context *context, size_t i, int64_t extent, double scalar, qn_error *error) {
    const qn_parameter p = qn_kernel_input(c->kernel, i);
    const int64_t shape[2] = {extent, extent};
    qn_array *host = NULL;
    if (qn_array_create(context, p.type, p.rank, shape, &host, error) != QN_OK) return false;
    c->inputs[i] = host;
    if (p.rank == 0) {
        set_scalar(qn_array_tensor(host), p.type, scalar, extent);
    } else {
        fill(qn_array_tensor(host), p.type, i + 1);
        c->array_bytes += (double)qn_type_bytes(p.type) * pow((double)extent, p.rank);
        if (c->on_device) {
            c->inputs[i] = NULL;
            const qn_status status =
                qn_array_from(context, qn_array_tensor(host), (DLDevice){kDLCUDA, 0}, &c->inputs[i], error);
            qn_array_destroy(host);
            if (status != QN_OK) return false;
        }
    }
    c->list[i] = qn_array_tensor(c->inputs[i]);
    return true;
}

bool gpu_call_begin(gpu_call *c, gpu_bench *b, bool cuda, bool on_device, const char *name, int64_t extent,
                    const double *scalars, gpu_row *row) {
    qn_error error = {0};
    *c = (gpu_call){.on_device = on_device};
    qn_context *context = cuda ? b->cuda : b->cpu;
    if (qn_kernel_create(cuda ? b->cuda_module : b->cpu_module, name, NULL, &c->kernel, &error) != QN_OK) {
        gpu_fail(row, "%s", error.message);
        return false;
    }
    c->input_count = qn_kernel_input_count(c->kernel);
    c->output_count = qn_kernel_output_count(c->kernel);
    for (size_t i = 0; i < c->output_count; i++)
        c->existential |= strchr(qn_kernel_output(c->kernel, i).shape, '?') != NULL;
    for (size_t i = 0, s = 0; i < c->input_count; i++) {
        const double scalar = qn_kernel_input(c->kernel, i).rank == 0 ? scalars[s++] : 0;
        if (make_input(c, context, i, extent, scalar, &error)) continue;
        gpu_fail(row, "%s", error.message);
        return false;
    }
    return true;
}

bool gpu_call_run(gpu_call *c, qn_call_profile *profile, gpu_row *row) {
    qn_error error = {0};
    const qn_call_options options = {.outputs = c->on_device ? kDLCUDA : kDLCPU, .profile = profile};
    for (size_t i = 0; c->existential && i < c->output_count; i++) {
        qn_array_destroy(c->outputs[i]);
        c->outputs[i] = NULL;
    }
    if (qn_call(c->kernel, c->list, c->input_count, c->outputs, c->output_count, &options, &error) == QN_OK)
        return true;
    gpu_fail(row, "%s", error.message);
    return false;
}

void gpu_call_end(gpu_call *c) {
    for (size_t i = 0; i < c->output_count; i++) qn_array_destroy(c->outputs[i]);
    for (size_t i = 0; i < c->input_count; i++) qn_array_destroy(c->inputs[i]);
    qn_kernel_destroy(c->kernel);
    *c = (gpu_call){0};
}
