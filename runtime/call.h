/* Calling a loaded kernel: checks the arguments against the signature, lays them out as the code wants them, allocates
 * what the caller did not bring, runs, brings the results back and describes faults. Thread-safe: all state is the call's. */
#ifndef QN__CALL_H
#define QN__CALL_H

#include "ir/abi.h"
#include "ir/signature.h"
#include "runtime/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where memory comes from. alloc returns NULL when there is none. `bytes` of free is what alloc was asked for. */
typedef struct qn__allocator {
    void *(*alloc)(void *user, size_t bytes, size_t alignment);
    void (*free)(void *user, void *block, size_t bytes);
    void *user;
} qn__allocator;

extern const qn__allocator qn__allocator_malloc;

/* Memory of a device, for arguments that lie there. What fails says so in the call's qn__device_call. */
typedef struct qn__space {
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *block, size_t bytes);
    /* Between arrays of the device that do not overlap; strides in bytes. */
    bool (*copy)(void *user, uint32_t rank, const int64_t *extents, uint32_t bytes, void *to, const int64_t *to_strides, const void *from,
                 const int64_t *from_strides);
    void *user;
} qn__space;

enum { QN__ALIGNMENT = 64 }; /* of every buffer that the runtime allocates */

/* An argument. A scalar has rank 0 and its value in `bits`. An array has data, extents and strides in BYTES, which may be
 * anything (0, negative, not a multiple of the element size); native byte order.
 *
 * An output array comes in with data NULL, then the runtime allocates it and sets data, extent, stride, rank, type,
 * allocated and bytes (free it with qn__argument_free); or with the caller's buffer, which must have the computed
 * extents; where a dimension is existential the given extent is the room there is, and is set to the extent used.
 * A scalar output is returned in `bits`, and also stored to data where that is not NULL. */
typedef struct qn__argument {
    uint8_t type;      /* qn__type; of an output with data NULL: ignored */
    uint8_t rank;
    bool allocated;    /* set by the call: data came from the allocator, or from the space */
    uint8_t where;     /* qn__where: what data points to; of an output without data: where it is wanted. DEVICE: only with options->space */
    uint64_t bits;     /* scalars: the value's bits, zero-extended */
    void *data;        /* arrays; inputs are never written through it */
    size_t bytes;      /* of an allocated output: the size that was allocated */
    int64_t extent[QN__MAX_RANK];
    int64_t stride[QN__MAX_RANK];
} qn__argument;

typedef enum qn__call_status {
    QN__CALL_OK,
    QN__CALL_ARGUMENT,  /* the arguments do not fit the signature; nothing was run */
    QN__CALL_MEMORY,    /* no memory for outputs or temporaries */
    QN__CALL_FAULT,     /* the kernel raised a run-time error: see fault */
    QN__CALL_CANCELLED,
    QN__CALL_DEADLINE,
    QN__CALL_DEVICE     /* the device failed: options->device says how */
} qn__call_status;

enum { QN__CALL_TEXT = 960 };

typedef struct qn__call_result {
    qn__call_status status;
    qn__fault fault;               /* kind 0 unless the kernel raised it */
    const qn__location *location;  /* of the fault, in the image's table; NULL when there is none */
    uint32_t parameter, dimension; /* ARGUMENT: which; dimension is UINT32_MAX when it is no single one */
    char text[QN__CALL_TEXT];      /* one line of English without the location, zero-terminated; "" when OK */
    /* What the call did, for profiles. */
    uint64_t packed_bytes;         /* copied because of strides, alignment or overlap, in and out */
    uint64_t allocated_bytes;
    uint64_t run_nanoseconds;      /* the kernel itself, where the options ask for it; else 0 */
} qn__call_result;

typedef struct qn__call_options {
    const qn__allocator *allocator;  /* NULL: malloc */
    void *const *externs;            /* host functions, in the order of image->externs; may be NULL when there are none */
    const volatile int32_t *cancel;  /* not 0 ends the call with CANCELLED; may be NULL; another thread stores to it */
    uint64_t deadline;               /* CLOCK_MONOTONIC in ns at which the call ends with DEADLINE; 0: none */
    const struct qn__threads *threads; /* that may work on a stage; NULL: the calling one alone */
    struct qn__device_call *device;  /* for engines with memory of their own; may be NULL */
    const qn__space *space;          /* its memory; NULL: all arguments lie on the host */
    bool timed;                      /* measure run_nanoseconds: two looks at the clock, which is half of what a small call costs */
} qn__call_options;

/* Runs the program. arguments: one per parameter of the signature, in its order (inputs and inouts, then outputs).
 * On failure no output is allocated; the contents of inout and of given output buffers are then unspecified where they were
 * to be written, except with ARGUMENT, when they are untouched. options may be NULL. result is always filled in. */
qn__call_status qn__call(const qn__loaded *program, qn__argument *arguments, uint32_t argument_count,
                         const qn__call_options *options, qn__call_result *result);

/* Only the checks: binds the size symbols of the inputs to sizes (symbol_count entries; existential ones become -1). */
qn__call_status qn__bind(const qn__signature *signature, const qn__argument *arguments, uint32_t argument_count,
                         int64_t *sizes, qn__call_result *result);

/* The value of dimension expression `dim`. False when it overflows, divides by zero, or uses a symbol that is -1. */
bool qn__dim_value(const qn__signature *signature, uint32_t dim, const int64_t *sizes, const uint64_t *scalars, int64_t *value);

/* An argument without data, whose extents and strides are still to be set. */
static inline void qn__clear_argument(qn__argument *a, uint8_t type, uint8_t rank) {
    a->type = type;
    a->rank = rank;
    a->allocated = false;
    a->where = QN__WHERE_HOST;
    a->bits = 0;
    a->data = NULL;
    a->bytes = 0;
}

/* Fills in an argument for a row-major array. */
void qn__argument_array(qn__argument *argument, qn__type type, uint32_t rank, const int64_t *extents, void *data);
void qn__argument_scalar(qn__argument *argument, qn__type type, uint64_t bits);
/* Frees data where the call allocated it; not for arguments on a device. */
void qn__argument_free(qn__argument *argument, const qn__allocator *allocator);

/* Now, for deadlines: CLOCK_MONOTONIC in nanoseconds. */
uint64_t qn__now(void);

#endif
