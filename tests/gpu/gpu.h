/* What the tests of the CUDA engine share: a context on the emulated driver, kernels from source, tensors. Criterion runs each test in a process of its
 * own, so each may set the emulator up by the environment before it opens the driver. */
#ifndef QN_TESTS_GPU_H
#define QN_TESTS_GPU_H

#include "emulator/statistics.h"

#include <criterion/criterion.h>
#include <quern/quern.h>

typedef struct gpu {
    qn_context *context;
    qn_module *module;
    qn_kernel *kernel;
    qn_error error;
} gpu;

/* The driver is the emulator; each of `settings` ("QUERN_EMULATOR_FAULT=alloc:1", NULL at the end) goes into the environment first. */
void gpu_driver(const char *first, ...);
/* A kernel on engine cuda. Fails the test when it cannot be made. */
gpu gpu_open(const char *source, const qn_context_options *options);
qn_status gpu_try(gpu *g, const char *source, const qn_context_options *options); /* without failing */
void gpu_close(gpu *g);

DLTensor gpu_tensor(qn_type type, int ndim, int64_t *shape, int64_t *strides, void *data); /* on the host */
em_stats gpu_statistics(void);
/* After everything was closed: nothing stays on the device. */
void gpu_expect_no_leak(void);

extern const char gpu_saxpy[];

#endif
