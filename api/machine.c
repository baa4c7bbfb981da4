/* What this machine does: rates of the processor, of the device and of copies, measured by small kernels of Quern's own on both engines, and kept in a text file in
 * the cache's folder. The file names the device, its driver and the processor; a file that does not is measured anew. */
#include "api/internal.h"
#include "compiler/llvm/emit.h"
#include "ir/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_OF_PROCESSOR = 2048, REPEATS = 3, TEXT = 4096, VALUES = sizeof(qn_machine) / sizeof(double) };
static const double ENOUGH_MS = 3, TOO_LONG_MS = 400;

static const char source[] =
    "kernel compute(x: f32[n]) -> y: f32[n] {\n    y[i] = {\n        var v = x[i]\n        for k in 0..200 { v = v * 0.5 + 1.0 }\n        v\n    }\n}\n"
    "kernel copy(x: f32[n]) -> y: f32[n] {\n    y[i] = x[i]\n}\n"
    "kernel stages(x: f32[n], count: i64) -> y: f32[n] {\n    y[i] = x[i]\n    loop t in 0..count {\n        y[i] = y[i] * 0.5\n    }\n}\n";

/* ---- timing ---- */

typedef struct bench {
    qn_context *context;         /* of its own: no cache, no fallback */
    qn_module *module;
    qn_error *error;
} bench;

static double ms_since(uint64_t start) { return (double)(qn__now() - start) * 1e-6; }

/* The best time of a kernel over n elements, on the device's memory or the host's; negative: failed. */
static double time_of(const bench *b, qn_engine engine, const char *name, int64_t n, int64_t count) {
    const bool device = engine == QN_ENGINE_CUDA;
    const qn_kernel_options options = {.engine = engine};
    const DLDevice place = {device ? kDLCUDA : kDLCPU, device ? (int)b->context->options.device : 0};
    qn_kernel *kernel = NULL;
    qn_array *x = NULL, *y = NULL;
    double best = -1;
    if (qn_kernel_create(b->module, name, &options, &kernel, b->error) == QN_OK &&
        qn_array_create_on(b->context, place, QN_F32, 1, &n, &x, b->error) == QN_OK &&
        qn_array_create_on(b->context, place, QN_F32, 1, &n, &y, b->error) == QN_OK) {
        const DLTensor scalar = {.data = &count, .device = {kDLCPU, 0}, .dtype = qn_type_to_dlpack(QN_I64)};
        const DLTensor *inputs[2] = {qn_array_tensor(x), &scalar};
        for (int r = 0; r <= REPEATS; r++) { /* the first one warms up */
            const uint64_t start = qn__now();
            if (qn_call(kernel, inputs, qn_kernel_input_count(kernel), &y, 1, NULL, b->error) != QN_OK) {
                best = -1;
                break;
            }
            const double ms = ms_since(start);
            if (r > 0 && (best < 0 || ms < best)) best = ms;
            if (ms > TOO_LONG_MS && best >= 0) break;
        }
    }
    qn_array_destroy(x);
    qn_array_destroy(y);
    qn_kernel_destroy(kernel);
    return best;
}

/* With more elements until it takes long enough to be measured; *n is how many it were. */
static double time_enough(const bench *b, qn_engine engine, const char *name, int64_t *n, int64_t most) {
    for (;;) {
        const double ms = time_of(b, engine, name, *n, 0);
        if (ms < 0 || ms >= ENOUGH_MS || *n >= most) return ms;
        *n *= 4;
    }
}

/* GB/s of copies of a host array of `bytes` to the device (0) and back (1). */
static bool copy_rates(const bench *b, DLDevice host, int64_t bytes, double rates[2]) {
    const DLDevice there = {kDLCUDA, (int)b->context->options.device};
    qn_array *from = NULL, *to = NULL, *back = NULL;
    double best[2] = {0, 0};
    bool ok = qn_array_create_on(b->context, host, QN_U8, 1, &bytes, &from, b->error) == QN_OK;
    for (int r = 0; ok && r < REPEATS; r++) {
        uint64_t start = qn__now();
        ok = qn_array_to(from, there, &to, b->error) == QN_OK;
        const double in = ms_since(start);
        start = qn__now();
        ok = ok && qn_array_to(to, host, &back, b->error) == QN_OK;
        const double out = ms_since(start);
        if (r == 0 || in < best[0]) best[0] = in;
        if (r == 0 || out < best[1]) best[1] = out;
        qn_array_destroy(to);
        qn_array_destroy(back);
        to = back = NULL;
    }
    qn_array_destroy(from);
    for (int i = 0; i < 2; i++) rates[i] = best[i] > 0 ? (double)bytes / (best[i] * 1e6) : 1;
    return ok;
}

/* Operations of a point, as estimates count them. */
static double operations_of(const bench *b, const char *name) {
    qn_kernel *kernel = NULL;
    qn__work work = {0};
    const qn_kernel_options options = {.engine = QN_ENGINE_INTERP};
    const int64_t sizes[1] = {1 << 20};
    const uint64_t scalars[1] = {0};
    if (qn_kernel_create(b->module, name, &options, &kernel, b->error) != QN_OK) return 0;
    pthread_mutex_lock(&b->module->mutex);
    if (qn__kernel_ir(kernel, b->error) == QN_OK) qn__ir_work(kernel->compiled->ir, sizes, scalars, 1, &work);
    pthread_mutex_unlock(&b->module->mutex);
    qn_kernel_destroy(kernel);
    return work.operations / (double)sizes[0];
}

static bool measure_with(const bench *b, const qn__cuda_properties *device, qn_machine *m) {
    const double operations = operations_of(b, "compute");
    int64_t n = 4096, large = 1 << 16;
    double ms = time_enough(b, QN_ENGINE_CPU, "compute", &n, 1 << 24);
    m->cpu_operation_ns = ms * 1e6 / ((double)n * operations);
    double bytes = time_enough(b, QN_ENGINE_CPU, "copy", &large, 1 << 25);
    m->cpu_byte_ns = bytes * 1e6 / (8.0 * (double)large);
    if (operations <= 0 || ms < 0 || bytes < 0) return false;
    const double one = time_of(b, QN_ENGINE_CUDA, "stages", 1, 0), many = time_of(b, QN_ENGINE_CUDA, "stages", 1, 64);
    m->device_call_us = one * 1e3;
    m->device_launch_us = many > one ? (many - one) * 1e3 / 64 : 0.1;
    m->device_points = (double)(device->processors * (uint32_t)THREADS_OF_PROCESSOR);
    n = (int64_t)m->device_points;
    ms = time_enough(b, QN_ENGINE_CUDA, "compute", &n, 1 << 26);
    const double rounds = (double)n / m->device_points;
    m->device_step_ns = (ms > one ? ms - one : ms) * 1e6 / (operations * rounds);
    large = 1 << 16;
    bytes = time_enough(b, QN_ENGINE_CUDA, "copy", &large, 1 << 26);
    m->device_byte_ns = (bytes > one ? bytes - one : bytes) * 1e6 / (8.0 * (double)large);
    if (one < 0 || many < 0 || ms < 0 || bytes < 0) return false;
    double usual[2], pinned[2];
    enum { COPIED = 1 << 24 };
    if (!copy_rates(b, (DLDevice){kDLCPU, 0}, COPIED, usual) || !copy_rates(b, (DLDevice){kDLCUDAHost, 0}, COPIED, pinned)) return false;
    m->in_gbytes = usual[0];
    m->out_gbytes = usual[1];
    m->pinned_in_gbytes = pinned[0];
    m->pinned_out_gbytes = pinned[1];
    return true;
}

static qn_status measure(const qn_context *context, const qn__cuda_properties *device, qn_machine *m, qn_error *error) {
    qn_error own;
    bench b = {.error = error ? error : &own};
    const qn_context_options options = {.device = context->options.device, .cache_folder = "", .threads = context->threads.count};
    qn_status status = qn_context_create(&options, &b.context, b.error);
    if (status == QN_OK) status = qn_module_from_source(b.context, "machine.qn", source, sizeof source - 1, &b.module, b.error);
    if (status == QN_OK && !measure_with(&b, device, m)) status = b.error->status ? b.error->status : QN_RESOURCE;
    qn_module_destroy(b.module);
    qn_context_destroy(b.context);
    return status;
}

/* ---- the file ---- */

/* What the rates are of: a file is used only when its head is this. */
static bool head_of(const qn_context *context, const qn__cuda_properties *device, qn__text *head) {
    const qn__cuda_facts facts = qn__cuda_about(context->cuda);
    qn__text_format(head, "quern %s machine\ndevice %s sm_%u %llu %u\ndriver %d %s\nprocessor ", qn_version(), device->name, device->sm,
                    (unsigned long long)device->memory_bytes, device->processors, facts.driver_version, facts.library);
    const bool ok = qn__llvm_describe(NULL, head);
    qn__text_format(head, " threads %u\n", context->threads.count);
    return ok && !head->failed;
}

static char *path_of(qn_context *context, const char *head) {
    const qn__cache *cache = qn__context_cache(context);
    char hash[QN__CACHE_HASH], *path = NULL;
    if (!cache) return NULL;
    qn__cache_hash(head, strlen(head), hash);
    return asprintf(&path, "%s/%s.machine", qn__cache_folder(cache), hash) < 0 ? NULL : path;
}

static bool read_values(const char *path, const char *head, qn_machine *machine) {
    char text[TEXT];
    double values[VALUES];
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    const size_t length = fread(text, 1, sizeof text - 1, file), expected = strlen(head);
    fclose(file);
    text[length] = 0;
    if (strncmp(text, head, expected) != 0) return false;
    const char *at = text + expected;
    for (int i = 0; i < VALUES; i++) {
        char *end;
        values[i] = strtod(at, &end); /* hexadecimal floats, which no locale changes but for the point */
        if (end == at || !(values[i] > 0 && values[i] < 1e15)) return false;
        at = end;
    }
    memcpy(machine, values, sizeof values);
    return true;
}

/* Complete under its name or not at all; whether it worked does not matter. */
static void write_values(const char *path, const char *head, const qn_machine *machine) {
    char *temporary = NULL;
    double values[VALUES];
    memcpy(values, machine, sizeof values);
    if (asprintf(&temporary, "%s.%ld", path, (long)getpid()) < 0) return;
    FILE *file = fopen(temporary, "wbx");
    if (file) {
        bool ok = fputs(head, file) >= 0;
        for (int i = 0; i < VALUES; i++) ok = fprintf(file, "%a\n", values[i]) > 0 && ok;
        if (fclose(file) != 0 || !ok || rename(temporary, path) != 0) remove(temporary);
    }
    free(temporary);
}

static qn_status find(qn_context *context, qn_machine *machine, qn_error *error) {
    qn__cuda_device *device;
    qn_status status = qn__context_device(context, context->options.device, &device, error);
    if (status != QN_OK) return status;
    qn__text head = QN__TEXT_EMPTY;
    const qn__cuda_properties *properties = qn__cuda_properties_of(device);
    char *path = head_of(context, properties, &head) ? path_of(context, qn__text_bytes(&head)) : NULL;
    if (!path || !read_values(path, qn__text_bytes(&head), machine)) {
        status = measure(context, properties, machine, error);
        if (status == QN_OK && path) write_values(path, qn__text_bytes(&head), machine);
    }
    free(path);
    qn__text_free(&head);
    return status;
}

qn_status qn_context_machine(qn_context *context, qn_machine *machine, qn_error *error) {
    if (!context || !machine) return qn__error(error, QN_USAGE, "qn_context_machine: context or machine is NULL");
    pthread_mutex_lock(&context->measuring);
    qn_status status = QN_OK;
    if (!context->measured) {
        status = find(context, &context->machine, error);
        context->measured = status == QN_OK;
    }
    *machine = context->machine;
    pthread_mutex_unlock(&context->measuring);
    return status == QN_OK ? qn__no_error(error) : status;
}
