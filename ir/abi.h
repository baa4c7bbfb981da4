/* The binary interface between running code (bytecode interpreter, native code) and the runtime.
 *
 * Native code is one function `int32_t entry(qn__frame *)` that returns 0 or a fault kind (with frame->fault filled in).
 * Every offset is emitted from these structures by offsetof: change both sides by changing this header. */
#ifndef QN__ABI_H
#define QN__ABI_H

#include "ir/types.h"

#include <stdint.h>

typedef enum qn__fault_kind {
    QN__FAULT_NONE,
#define X(ENUM, text) QN__FAULT_##ENUM,
#include "ir/faults.def"
#undef X
    QN__FAULT_COUNT
} qn__fault_kind;

/* An array as code sees it. Strides are in elements; the last dimension's is 1, and where all extents behind a dimension are constants (u8[h, w, 3]) its
 * stride is their product (the runtime packs what is not so). */
typedef struct qn__view {
    void *data;
    int64_t extent[QN__MAX_RANK];
    int64_t stride[QN__MAX_RANK];
} qn__view;

typedef struct qn__fault {
    int32_t kind;         /* qn__fault_kind */
    uint32_t location;    /* index into the image's locations */
    int64_t index, extent;
    int64_t iteration;    /* row-major number of the point in its stage; of several faults the lowest is reported */
} qn__fault;

typedef struct qn__frame qn__frame;

typedef struct qn__services {
    /* Gives array `array` a buffer for these extents (as many as its rank) and fills in its view with row-major strides; what it
     * had before is lost. 0, or a fault kind (SIZE, MEMORY), with frame->fault filled in but for the location. */
    int32_t (*allocate)(qn__frame *frame, uint32_t array, const int64_t *extents);
    /* Called when *stop is not 0: 0 to go on, or CANCELLED or DEADLINE. */
    int32_t (*poll)(qn__frame *frame);
} qn__services;

struct qn__frame {
    const uint64_t *scalars;       /* scalar parameters: value bits, zero-extended, in 8-byte slots */
    const int64_t *sizes;          /* size symbols */
    qn__view *views;               /* by array number; temporaries and existential outputs are filled in by allocate */
    void *const *externs;          /* host functions by extern number: typed C functions */
    const volatile int32_t *stop;  /* not 0: the code shall call poll soon */
    const qn__services *services;
    qn__fault fault;
    void *runtime;                 /* the runtime's own */
    struct qn__device_call *device; /* for engines with memory of their own (runtime/engine.h); may be NULL. Code does not see it */
};

typedef int32_t (*qn__entry)(qn__frame *frame);

#endif
