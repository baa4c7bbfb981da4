/* CUDA devices, as the rest of the runtime and the API see them: opening, what they are, memory on them, kernels loaded on them.
 *
 * All state hangs on a qn__cuda, which a context owns; nothing is global. Everything is thread-safe but closing. After a fork the child may
 * close what it inherited (nothing then happens on the device) but not use it: CUDA does not survive a fork. */
#ifndef QN__CUDA_H
#define QN__CUDA_H

#include "ir/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum qn__cuda_failure {
    QN__CUDA_FINE,
#define X(ENUM, advice) QN__CUDA_##ENUM,
#include "runtime/cuda/failures.def"
#undef X
    QN__CUDA_FAILURES
} qn__cuda_failure;

enum { QN__CUDA_TEXT = 960 };
typedef struct qn__cuda_error { qn__cuda_failure failure; char text[QN__CUDA_TEXT]; } qn__cuda_error;

typedef struct qn__cuda qn__cuda;
typedef struct qn__cuda_device qn__cuda_device;

/* Opens the driver: what QUERN_CUDA_LIBRARY names, else libcuda.so.1. NULL with *error. */
qn__cuda *qn__cuda_open(qn__cuda_error *error);
void qn__cuda_close(qn__cuda *cuda); /* no kernel or memory of it may be in use */

typedef struct qn__cuda_facts {
    const char *library;      /* as it was opened */
    int driver_version;       /* 12040: CUDA 12.4 */
    uint32_t ptx_version;     /* newest PTX ISA that it takes, 84: 8.4 */
    uint32_t device_count;
} qn__cuda_facts;
qn__cuda_facts qn__cuda_about(const qn__cuda *cuda);

typedef struct qn__cuda_properties {
    char name[128];
    uint32_t sm;              /* compute capability times 10 */
    uint32_t processors;
    uint64_t memory_bytes;
    double clock_mhz, bandwidth; /* of its memory in GB/s, from clock and bus; 0: unknown */
    bool pools;               /* stream-ordered allocation */
} qn__cuda_properties;
/* Asks without opening the device. */
bool qn__cuda_describe(qn__cuda *cuda, uint32_t ordinal, qn__cuda_properties *properties, qn__cuda_error *error);

/* The device, opened when needed (its primary context is retained until the qn__cuda is closed); the same pointer each time. NULL with *error. */
qn__cuda_device *qn__cuda_device_open(qn__cuda *cuda, uint32_t ordinal, qn__cuda_error *error);
uint32_t qn__cuda_ordinal(const qn__cuda_device *device);
const qn__cuda_properties *qn__cuda_properties_of(const qn__cuda_device *device);
bool qn__cuda_memory(qn__cuda_device *device, uint64_t *available, uint64_t *total, qn__cuda_error *error);

/* Loads an image of kind PTX: the driver compiles its code; what it says against it is in *error. The program's engine is qn__engine_cuda; image and
 * device must outlive it. */
struct qn__loaded;
bool qn__cuda_load(struct qn__loaded *program, const qn__image *image, qn__cuda_device *device, qn__cuda_error *error);

/* ---- memory; `bytes` is what was asked for. Copies have ended when the function returns. ---- */
uint64_t qn__cuda_allocate(qn__cuda_device *device, size_t bytes, qn__cuda_error *error); /* 0: *error */
void qn__cuda_release(qn__cuda_device *device, uint64_t address, size_t bytes);
bool qn__cuda_upload(qn__cuda_device *device, uint64_t to, const void *from, size_t bytes, qn__cuda_error *error);
bool qn__cuda_download(qn__cuda_device *device, void *to, uint64_t from, size_t bytes, qn__cuda_error *error);
bool qn__cuda_zero(qn__cuda_device *device, uint64_t to, size_t bytes, qn__cuda_error *error);
/* Between arrays on the device of any strides (in bytes): runs of equal distance by cuMemcpy2D. */
bool qn__cuda_copy_strided(qn__cuda_device *device, uint32_t rank, const int64_t *extents, uint32_t bytes, uint64_t to,
                           const int64_t *to_strides, uint64_t from, const int64_t *from_strides, qn__cuda_error *error);

/* Whether a pointer that the caller says is of this device's memory is: a kernel that touched another would break the device for the process. False with *error. */
bool qn__cuda_owns(qn__cuda_device *device, uint64_t address, qn__cuda_error *error);
/* Pinned memory of the host, which the device reads and writes at full speed. NULL with *error. */
void *qn__cuda_allocate_pinned(qn__cuda_device *device, size_t bytes, qn__cuda_error *error);
void qn__cuda_release_pinned(qn__cuda_device *device, void *memory);

/* ---- copies to be timed ---- */
typedef enum qn__cuda_host {
    QN__CUDA_PAGEABLE, /* of malloc: the driver copies it through memory of its own */
    QN__CUDA_PINNED,
    QN__CUDA_MAPPED,   /* pinned, and a kernel reads or writes it where it is */
    QN__CUDA_HOSTS
} qn__cuda_host;
/* Memory of the host and of the device, `bytes` of both. For one thread. NULL with *error. */
typedef struct qn__cuda_transfer qn__cuda_transfer;
qn__cuda_transfer *qn__cuda_transfer_create(qn__cuda_device *device, qn__cuda_host host, size_t bytes, qn__cuda_error *error);
void qn__cuda_transfer_destroy(qn__cuda_transfer *transfer);
void *qn__cuda_transfer_data(const qn__cuda_transfer *transfer); /* the host's */
/* Copies the first bytes (rounded up to 16 where it is mapped) in either direction, and waits for the end. */
bool qn__cuda_transfer_run(qn__cuda_transfer *transfer, bool to_device, size_t bytes, qn__cuda_error *error);

/* ---- calls ---- */
struct qn__device_call;
struct qn__space;
/* The device's memory for a call, with what fails told to `call`. Fills in both; they must outlive the space. */
typedef struct qn__cuda_space { qn__cuda_device *device; struct qn__device_call *call; } qn__cuda_space;
void qn__cuda_space_of(qn__cuda_space *self, struct qn__space *space);
void qn__cuda_tell(struct qn__device_call *call, const qn__cuda_error *error);

#endif
