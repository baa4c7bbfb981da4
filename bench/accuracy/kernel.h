/* One compiled kernel of the library, called many times. */
#ifndef QUERN_BENCH_ACCURACY_KERNEL_H
#define QUERN_BENCH_ACCURACY_KERNEL_H

#include <quern/quern.h>

typedef struct {
    qn_context *context;
    qn_module *module;
    qn_kernel *kernel;
} Kernel;

/* Compiles the only kernel of source for the cpu engine. Prints the reason and returns false when it cannot. */
bool kernel_open(Kernel *k, const char *source);
void kernel_close(Kernel *k);

/* A tensor over the caller's memory; shape has one entry, or is NULL for a scalar. */
DLTensor kernel_tensor(const void *data, qn_type type, int64_t *shape);

/* Calls it; outputs as in qn_call. */
bool kernel_call(Kernel *k, const DLTensor *const *inputs, size_t input_count, qn_array **outputs, size_t output_count);

#endif
