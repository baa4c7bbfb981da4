/* The CUDA driver, opened at run time: one table of entry points (driver.def), own minimal declarations of its types.
 * Nothing links against libcuda. Only files of this folder include this, and bench/gpu, which measures the driver by itself. */
#ifndef QN__CUDA_DRIVER_H
#define QN__CUDA_DRIVER_H

#include "runtime/cuda/cuda.h"

/* The driver's types and numbers, as its interface fixes them. */
typedef int qn__cu_result;
typedef unsigned long long qn__cu_address;
typedef struct CUctx_st *qn__cu_context;
typedef struct CUmod_st *qn__cu_module;
typedef struct CUfunc_st *qn__cu_function;
typedef struct CUstream_st *qn__cu_stream;
typedef struct CUevent_st *qn__cu_event;
typedef struct CUmemPoolHandle_st *qn__cu_pool;

enum {
    CU_SUCCESS = 0, CU_INVALID_VALUE = 1, CU_OUT_OF_MEMORY = 2, CU_NOT_INITIALIZED = 3, CU_DEINITIALIZED = 4, CU_NO_DEVICE = 100,
    CU_INVALID_IMAGE = 200, CU_NO_BINARY = 209, CU_ECC_UNCORRECTABLE = 214, CU_INVALID_PTX = 218, CU_UNSUPPORTED_PTX = 222,
    CU_NOT_READY = 600, CU_ILLEGAL_ADDRESS = 700, CU_LAUNCH_RESOURCES = 701, CU_LAUNCH_TIMEOUT = 702, CU_ASSERT = 710,
    CU_STACK_ERROR = 714, CU_ILLEGAL_INSTRUCTION = 715, CU_MISALIGNED = 716, CU_INVALID_ADDRESS_SPACE = 717, CU_INVALID_PC = 718,
    CU_LAUNCH_FAILED = 719, CU_NOT_SUPPORTED = 801
};
enum { /* attributes of a device */
    CU_THREADS_PER_BLOCK = 1, CU_CLOCK_RATE = 13, CU_PROCESSORS = 16, CU_MAP_HOST = 19, CU_MEMORY_CLOCK = 36, CU_BUS_WIDTH = 37,
    CU_MAJOR = 75, CU_MINOR = 76, CU_POOLS = 115
};
enum { CU_STREAM_NON_BLOCKING = 1, CU_HOST_PORTABLE = 1, CU_HOST_MAPPED = 2, CU_EVENT_USUAL = 0, CU_EVENT_UNTIMED = 2 };
enum { CU_POOL_RELEASE_THRESHOLD = 4, CU_POINTER_MEMORY_TYPE = 2, CU_POINTER_ORDINAL = 9 };
enum { CU_MEMORY_HOST = 1, CU_MEMORY_DEVICE = 2, CU_MEMORY_UNIFIED = 4 };
enum { CU_JIT_INFO_LOG = 3, CU_JIT_INFO_LOG_BYTES = 4, CU_JIT_ERROR_LOG = 5, CU_JIT_ERROR_LOG_BYTES = 6 };

typedef struct qn__cu_copy_2d { /* CUDA_MEMCPY2D */
    size_t from_x, from_y;
    int from_type;
    const void *from_host;
    qn__cu_address from_device;
    void *from_array;
    size_t from_pitch;
    size_t to_x, to_y;
    int to_type;
    void *to_host;
    qn__cu_address to_device;
    void *to_array;
    size_t to_pitch;
    size_t width_bytes, height;
} qn__cu_copy_2d;

typedef struct qn__cuda_driver {
    void *library;
    char path[256];   /* what was opened */
    int version;      /* 12040: 12.4 */
#define CUDA(need, name, suffix, since, parameters) qn__cu_result(*name) parameters;
#include "runtime/cuda/driver.def"
#undef CUDA
} qn__cuda_driver;

/* Opens and initialises it. False with *error. */
bool qn__cuda_driver_open(qn__cuda_driver *driver, qn__cuda_error *error);
void qn__cuda_driver_close(qn__cuda_driver *driver);

/* Fills in *error: "what: CUDA_ERROR_NAME, text; advice". Returns false, for `return`. */
bool qn__cuda_fail(const qn__cuda_driver *driver, qn__cuda_error *error, qn__cu_result result, const char *what);
__attribute__((format(printf, 3, 4))) bool qn__cuda_refuse(qn__cuda_error *error, qn__cuda_failure failure, const char *format, ...);
/* Whether the device's context is unusable after this error. */
bool qn__cuda_is_sticky(qn__cu_result result);

#endif
