/* The binary interface of raw calls: typed C functions, one per kernel (docs/decisions/0004-raw-calls-and-tiers.md).
 *
 * A raw function fills in a frame on its stack and calls the kernel's entry. It asks the runtime, through the one function
 * qn__raw_services, only when the kernel needs memory, when it swaps arrays, or when it fails. The same function is reached
 * by objects in the JIT (which defines the symbol) and by objects that were linked ahead of time. */
#ifndef QN__RAW_H
#define QN__RAW_H

#include "ir/abi.h"
#include "ir/image.h"
#include "ir/ir.h"

#define QN__RAW_PREFIX "qk_" /* of the function's symbol, before the kernel's name */

/* What the runtime must know about a kernel; constant data in the object. */
typedef struct qn__raw_kernel {
    const char *name;
    const qn__image_array *arrays;
    const qn__location *locations;
    uint32_t array_count, location_count;
} qn__raw_kernel;

/* One call, on the raw function's stack. */
typedef struct qn__raw_call {
    qn__frame frame;              /* frame.runtime is this record */
    const qn__raw_kernel *kernel;
    qn__view *given;              /* by array number: what the caller brought for outputs and inouts; the extents of an existential
                                     output are the room there is. NULL where the kernel neither allocates nor swaps */
    void *blocks;                 /* the runtime's; NULL at the start */
    void *error;                  /* the caller's qn_error, or NULL */
} qn__raw_call;

typedef struct qn__raw_table {
    const qn__services *services;
    /* Ends a call that its entry left with `kind`: brings back what was exchanged, frees, fills in the error. A qn_status. */
    int32_t (*end)(qn__raw_call *call, int32_t kind);
} qn__raw_table;

const qn__raw_table *qn__raw_services(void);

#endif
