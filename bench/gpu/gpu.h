/* bench_gpu's parts: what they share. This program measures, and is part of neither library nor tests: what fails
 * becomes a row that says so. */
#ifndef BENCH_GPU_H
#define BENCH_GPU_H

#include <quern/quern.h>

#include "runtime/cuda/driver.h"

#include <stdbool.h>

typedef enum gpu_group { GPU_BANDWIDTH, GPU_LAUNCH, GPU_PRODUCT, GPU_KERNELS, GPU_GROUPS } gpu_group;

/* A line of the report. Numbers that do not apply are 0. */
typedef struct gpu_row {
    gpu_group group;
    char name[64], by[24], note[320];
    double extent;             /* elements, or of each side */
    double call_ms, device_ms; /* medians: by the host's clock; by the device's events */
    double gbytes, gflops;     /* per second, of device_ms where it is known, else of call_ms */
    bool failed;
} gpu_row;

typedef struct gpu_bench {
    bool small, emulated;
    qn__cuda_driver driver;
    qn__cu_context context;
    qn__cu_stream stream;
    char device_name[128];
    int sm, processors, clock_khz, memory_clock_khz, bus_bits;
    size_t memory;
    double copy_rate; /* GB/s of the card's own copy, read and written bytes counted */
    qn_context *cuda, *cpu;
    qn_module *cuda_module, *cpu_module;
    gpu_row rows[128];
    size_t row_count;
} gpu_bench;

gpu_row *gpu_add(gpu_bench *b, gpu_group group, const char *name, const char *by,
                 double extent); /* the last row again when there is no room */
__attribute__((format(printf, 2, 3))) void gpu_fail(gpu_row *row, const char *format, ...);
bool gpu_driver(gpu_bench *b, gpu_row *row, qn__cu_result result, const char *what);
double gpu_now(void); /* ms */
double gpu_median(double *values, size_t count);
bool gpu_more(double spent,
              int runs); /* whether to measure once more: 5 to 200 runs, 300 ms in all, fewer runs when they take 3 s */

void gpu_raw(gpu_bench *b);                      /* copies and bare launches against qn_call */
void gpu_kernels(gpu_bench *b, gpu_group group); /* the rows of kernels.def */
void gpu_blas(gpu_bench *b);                     /* products by cuBLAS, where it can be opened */

/* The kernel with arrays of this extent, filled with numbers. */
typedef struct gpu_call {
    qn_kernel *kernel;
    qn_array *inputs[8];
    const DLTensor *list[8];
    size_t input_count, output_count;
    bool existential, on_device;
    qn_array *outputs[4];
    double array_bytes;
} gpu_call;
enum { GPU_SCALARS = 4 };
bool gpu_call_begin(gpu_call *c, gpu_bench *b, bool cuda, bool on_device, const char *name, int64_t extent,
                    const double *scalars, gpu_row *row);
bool gpu_call_run(gpu_call *c, qn_call_profile *profile, gpu_row *row);
void gpu_call_end(gpu_call *c);

#endif
