/* bench_gpu: what a CUDA device does by itself and what Quern's kernels do on it, in one process, as JSON and as
 * Markdown.
 *
 *     bench_gpu --probe | [--small] [--json FILE] [--markdown FILE] KERNELS.qn
 *
 * --probe only says what the device is. Exit codes are quern's: 7 without a device, 70 when a result is wrong or a row
 * failed. run.sh is what to start. */
#include "gpu.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FEWEST = 5, MOST = 200 };
static const double ENOUGH_MS = 300, TOO_LONG_MS = 3000;
static const char *const titles[GPU_GROUPS] = {[GPU_BANDWIDTH] = "Bandwidth",
                                               [GPU_LAUNCH] = "What a call costs",
                                               [GPU_PRODUCT] = "Matrix products",
                                               [GPU_KERNELS] = "Kernels"};

double gpu_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double gpu_median(double *values, size_t count) {
    if (count == 0) return 0;
    qsort(values, count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

bool gpu_more(double spent, int runs) {
    return runs < MOST && (runs < FEWEST ? runs == 0 || spent < TOO_LONG_MS : spent < ENOUGH_MS);
}

gpu_row *gpu_add(gpu_bench *b, gpu_group group, const char *name, const char *by, double extent) {
    const size_t room = sizeof b->rows / sizeof *b->rows;
    gpu_row *row = &b->rows[b->row_count < room ? b->row_count++ : room - 1];
    *row = (gpu_row){.group = group, .extent = extent};
    snprintf(row->name, sizeof row->name, "%s", name);
    snprintf(row->by, sizeof row->by, "%s", by);
    fprintf(stderr, "  %s: %s\n", titles[group], name);
    return row;
}

void gpu_fail(gpu_row *row, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(row->note, sizeof row->note, format, list);
    va_end(list);
    for (char *at = row->note; *at; at++)
        if (*at == '\n' || *at == '|' || *at == '"' || *at == '\\') *at = ' '; /* a cell of a table, a JSON string */
    row->failed = true;
}

bool gpu_driver(gpu_bench *b, gpu_row *row, qn__cu_result result, const char *what) {
    qn__cuda_error error = {0};
    if (result == CU_SUCCESS) return true;
    qn__cuda_fail(&b->driver, &error, result, what);
    gpu_fail(row, "%.300s", error.text);
    return false;
}

/* ---- the device ---- */
static bool open_device(gpu_bench *b) {
    const qn__cuda_driver *d = &b->driver;
    qn__cuda_error error = {0};
    int count = 0, device = 0, major = 0, minor = 0;
    if (!qn__cuda_driver_open(&b->driver, &error)) {
        fprintf(stderr, "bench_gpu: %s\n", error.text);
        return false;
    }
    if (d->cuDeviceGetCount(&count) != CU_SUCCESS || count == 0 || d->cuDeviceGet(&device, 0) != CU_SUCCESS ||
        d->cuDeviceGetName(b->device_name, (int)sizeof b->device_name, device) != CU_SUCCESS ||
        d->cuDeviceTotalMem(&b->memory, device) != CU_SUCCESS ||
        d->cuDevicePrimaryCtxRetain(&b->context, device) != CU_SUCCESS ||
        d->cuCtxPushCurrent(b->context) != CU_SUCCESS ||
        d->cuStreamCreate(&b->stream, CU_STREAM_NON_BLOCKING) != CU_SUCCESS) {
        fprintf(stderr, "bench_gpu: the driver is there, but no device that works\n");
        return false;
    }
    d->cuDeviceGetAttribute(&major, CU_MAJOR, device);
    d->cuDeviceGetAttribute(&minor, CU_MINOR, device);
    d->cuDeviceGetAttribute(&b->processors, CU_PROCESSORS, device);
    d->cuDeviceGetAttribute(&b->clock_khz, CU_CLOCK_RATE, device);
    d->cuDeviceGetAttribute(&b->memory_clock_khz, CU_MEMORY_CLOCK, device);
    d->cuDeviceGetAttribute(&b->bus_bits, CU_BUS_WIDTH, device);
    b->sm = 10 * major + minor;
    b->emulated = strncmp(b->device_name, "Quern emulator", 14) == 0;
    return true;
}

static bool open_quern(gpu_bench *b, const char *kernels) {
    qn_error error = {0};
    const qn_context_options cuda = {.engine = QN_ENGINE_CUDA, .cache_folder = ""},
                             cpu = {.engine = QN_ENGINE_CPU, .cache_folder = ""};
    const bool done = qn_context_create(&cuda, &b->cuda, &error) == QN_OK &&
                      qn_context_create(&cpu, &b->cpu, &error) == QN_OK &&
                      qn_module_from_file(b->cuda, kernels, &b->cuda_module, &error) == QN_OK &&
                      qn_module_from_file(b->cpu, kernels, &b->cpu_module, &error) == QN_OK;
    if (!done) fprintf(stderr, "bench_gpu: %s\n", error.message);
    return done;
}

static void close_all(gpu_bench *b) {
    qn_module_destroy(b->cpu_module);
    qn_module_destroy(b->cuda_module);
    qn_context_destroy(b->cpu);
    qn_context_destroy(b->cuda);
    if (b->stream) b->driver.cuStreamDestroy(b->stream);
    if (b->context) b->driver.cuDevicePrimaryCtxRelease(0);
    qn__cuda_driver_close(&b->driver);
}

/* ---- the report ---- */
static void number(FILE *f, const char *name, double value) {
    if (value > 0) fprintf(f, ", \"%s\": %.6g", name, value);
}

static bool write_json(const gpu_bench *b, const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) return false;
    fprintf(f,
            "{\"device\": \"%s\", \"compute_capability\": %d, \"driver\": %d, \"library\": \"%s\", "
            "\"multiprocessors\": %d, \"clock_mhz\": %.0f, \"memory_clock_mhz\": %.0f, "
            "\"bus_bits\": %d, \"memory_bytes\": %zu, \"small\": %s, \"rows\": [",
            b->device_name, b->sm, b->driver.version, b->driver.path, b->processors, b->clock_khz * 1e-3,
            b->memory_clock_khz * 1e-3, b->bus_bits, b->memory, b->small ? "true" : "false");
    for (size_t i = 0; i < b->row_count; i++) {
        const gpu_row *r = &b->rows[i];
        fprintf(f, "%s\n {\"group\": \"%s\", \"name\": \"%s\", \"by\": \"%s\"", i ? "," : "", titles[r->group], r->name,
                r->by);
        number(f, "extent", r->extent);
        number(f, "call_ms", r->call_ms);
        number(f, "device_ms", r->device_ms);
        number(f, "gbytes_per_s", r->gbytes);
        number(f, "gflops", r->gflops);
        fprintf(f, ", \"failed\": %s, \"note\": \"%s\"}", r->failed ? "true" : "false", r->note);
    }
    fprintf(f, "\n]}\n");
    return fclose(f) == 0;
}

static void cell(FILE *f, const char *format, double value) {
    fprintf(f, " ");
    if (value > 0) fprintf(f, format, value);
    fprintf(f, " |");
}

static bool write_markdown(const gpu_bench *b, const char *path) {
    FILE *f = fopen(path, "w");
    if (!f) return false;
    for (int g = 0; g < GPU_GROUPS; g++) {
        const bool calls = g == GPU_LAUNCH;
        fprintf(f, "\n## %s\n", titles[g]);
        fprintf(f, calls ? "| what | by | elements | microseconds | remark |\n| --- | --- | --- | --- | --- |\n"
                         : "| what | by | extent | call, ms | on the device, ms | GB/s | GFLOP/s | remark |\n| --- | "
                           "--- | --- | --- | --- | --- | --- | --- |\n");
        for (size_t i = 0; i < b->row_count; i++) {
            const gpu_row *r = &b->rows[i];
            if ((int)r->group != g) continue;
            fprintf(f, "| %s | %s |", r->name, r->by);
            cell(f, "%.0f", r->extent);
            cell(f, calls ? "%.2f" : "%.4f", calls ? r->call_ms * 1e3 : r->call_ms);
            if (!calls) cell(f, "%.4f", r->device_ms);
            if (!calls) cell(f, "%.1f", r->gbytes);
            if (!calls) cell(f, "%.1f", r->gflops);
            fprintf(f, " %s%s |\n", r->failed ? "**FAILED** " : "", r->note);
        }
    }
    return fclose(f) == 0;
}

static void probe(const gpu_bench *b) {
    printf(
        "%s, sm_%d, %d multiprocessors at %.0f MHz, memory %.1f GB at %.0f MHz and %d bits, driver %s for CUDA %d.%d\n",
        b->device_name, b->sm, b->processors, b->clock_khz * 1e-3, (double)b->memory * 1e-9, b->memory_clock_khz * 1e-3,
        b->bus_bits, b->driver.path, b->driver.version / 1000, b->driver.version % 1000 / 10);
}

static void bandwidth(gpu_bench *b) {
    gpu_kernels(b, GPU_BANDWIDTH);
}
static void kernels_of_all_kinds(gpu_bench *b) {
    gpu_kernels(b, GPU_KERNELS);
}
static void products(gpu_bench *b) {
    gpu_kernels(b, GPU_PRODUCT);
}

static int measure(gpu_bench *b, const char *kernels, const char *json, const char *markdown) {
    static void (*const parts[])(gpu_bench * b) = {gpu_raw, bandwidth, kernels_of_all_kinds, products, gpu_blas};
    if (!open_quern(b, kernels)) return 7;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        parts[i](b);
        /* after each part: what was measured stays when a later part does not end */
        if ((!json || write_json(b, json)) && (!markdown || write_markdown(b, markdown))) continue;
        fprintf(stderr, "bench_gpu: the report cannot be written\n");
        return 4;
    }
    for (size_t i = 0; i < b->row_count; i++)
        if (b->rows[i].failed) return 70;
    return 0;
}

int main(int argc, char **argv) {
    static gpu_bench bench;
    const char *json = NULL, *markdown = NULL, *kernels = NULL;
    bool only = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--probe") == 0)
            only = true;
        else if (strcmp(argv[i], "--small") == 0)
            bench.small = true;
        else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            json = argv[++i];
        else if (strcmp(argv[i], "--markdown") == 0 && i + 1 < argc)
            markdown = argv[++i];
        else
            kernels = argv[i];
    }
    if (!only && !kernels) {
        fprintf(stderr, "usage: bench_gpu --probe | [--small] [--json FILE] [--markdown FILE] KERNELS.qn\n");
        return 2;
    }
    int status = open_device(&bench) ? 0 : 7;
    if (status == 0 && only) probe(&bench);
    if (status == 0 && !only) status = measure(&bench, kernels, json, markdown);
    close_all(&bench);
    return status;
}
