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

/* ---- stages whose parts may run at the same time, in any order ---- */

typedef struct qn__stage qn__stage;

/* Parts begin .. end of a stage; what lies behind the last part is ignored, so that 0 .. INT64_MAX is all of it. words: what the kernel hands over, by
 * `form` first. Code ignores stage and cost, which are there so that qn__frame.parallel has the same type. 0 or the fault. */
typedef int32_t (*qn__stage_function)(qn__frame *frame, int64_t *words, int64_t begin, int64_t end, const qn__stage *stage, double cost);

typedef int32_t (*qn__entry)(qn__frame *frame);

typedef enum qn__stage_form {
    /* The one stage of a kernel that does nothing else: `entry` is the kernel's, which does parts frame->begin .. end where frame->parallel is NULL. No function of
     * its own, which would cost every small kernel a millisecond of compiling. Words as of BOX. */
    QN__STAGE_LONE,
    /* Words: lo0, hi0, lo1, hi1 ... of the box. Parts: pieces of QN__PIECE points of the last dimension, row-major. */
    QN__STAGE_BOX,
    /* A reduction. Part k combines terms LO + k SPAN .. + SPAN (a multiple of QN__PIECE by a power of two), at most to HI, and stores value i of the result to
     * element k of table i of RESULTS. Then, when there are several, with MERGING set, SPAN at its initial value, LO 0 and HI QN__PIECE times the number of
     * parts: the results become the one result of part 0. */
    QN__STAGE_REDUCE,
    /* A keep. Part k are GROUP pieces of the box (lo0, hi0 ... from BOX on). COUNT stores how many points are kept in part k to element k + 1 of PLACES; FILL
     * puts them at elements PLACES[k] .. PLACES[k + 1] of the outputs. GROUPS: parts; COUNT leaves the sum in PLACES[GROUPS]. */
    QN__STAGE_COUNT,
    QN__STAGE_FILL
} qn__stage_form;

enum { QN__PIECE = 4096, QN__PARTIALS = 256 /* parts that reductions and keeps have at most */ };
enum { QN__REDUCE_LO, QN__REDUCE_HI, QN__REDUCE_SPAN, QN__REDUCE_MERGING, QN__REDUCE_RESULTS, QN__REDUCE_WORDS };
enum { QN__KEEP_GROUP, QN__KEEP_GROUPS, QN__KEEP_PLACES, QN__KEEP_BOX };
/* What the kernel stores, for code that does all in one part. */
#define QN__WHOLE_SPAN (INT64_C(1) << 62)
#define QN__WHOLE_GROUP INT64_MAX

/* An array that a stage combines into. What order the combinations take does not show: threads may have copies of their own that start at the
 * operation's identity, and are combined in the end. */
typedef struct qn__stage_scatter { uint32_t array; uint8_t op, type, rank; } qn__stage_scatter;

/* Constant data in the object. */
struct qn__stage {
    union { qn__stage_function run; qn__entry entry; };
    uint32_t form, rank;           /* qn__stage_form; dimensions of the box */
    uint32_t uneven;               /* not 0: parts may differ widely in how long they take */
    uint32_t array_count;          /* of the frame's views */
    const qn__stage_scatter *scatters;
    uint32_t scatter_count;
};

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
    /* Called in place of stage->run: does the same, on threads where that pays. cost: operations of a point, counted by the compiler. Each thread has
     * a copy of the frame; of several faults the lowest part's is left here. NULL: the code runs its stages itself. */
    qn__stage_function parallel;
    int64_t begin, end;            /* parts to do of a LONE stage; 0 and INT64_MAX: all */
    const struct qn__threads *threads; /* of parallel, which is the runtime's */
    qn__fault fault;
    void *runtime;                 /* the runtime's own */
    struct qn__device_call *device; /* for engines with memory of their own (runtime/engine.h); may be NULL. Code does not see it */
};

#endif
