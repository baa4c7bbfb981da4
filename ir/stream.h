/* Streaming: how a kernel is cut along one index of its arrays, so that it can run on arrays that do not fit in memory.
 * docs/decisions/0008-streaming.md says why the bits stay the same; docs/ir.md has a summary.
 *
 *     qn__stream *s = qn__stream_analyse(ir, arena, array, dimension);       where a seed leads; s->why: not possible
 *     qn__stream_kernel(text, length, arena, s->array, s->dimension, step, &kernel, &message)   the kernel of one step
 *
 * A kernel's body is dealt out to *steps*: even ones run once, odd ones once for each piece, in order. Analysis depends on nothing but the IR, so
 * that it gives the same for a copy; items, arrays, slots are numbered alike in both. */
#ifndef QN__STREAM_H
#define QN__STREAM_H

#include "ir/ir.h"
#include "ir/text.h"

enum { QN__STREAM_HALO_LIMIT = 1 << 20 };
/* What begin of the first piece and end of the last one are. */
#define QN__STREAM_FAR (INT64_C(1) << 60)

typedef enum qn__stream_place {
    QN__STREAM_UNUSED,
    QN__STREAM_WHOLE,     /* held whole */
    QN__STREAM_CUT,       /* goes by in pieces */
    QN__STREAM_APPENDED   /* filled by a keep, piece after piece */
} qn__stream_place;

typedef struct qn__stream_array {
    uint8_t place, dimension; /* the dimension that is cut */
    bool held;                /* a temporary that lives from one step to another: the host allocates it at held_item's step */
    uint32_t held_item;       /* its alloc */
    uint32_t emitted;         /* cut outputs: the step that gives them */
} qn__stream_array;

/* An instruction of the kernel's body. */
typedef struct qn__stream_item {
    qn__instr_ref ref;
    uint32_t step;
    bool pure;                /* a scalar that every step computes for itself; it has no step */
    bool cut;                 /* a stage whose index `index` is cut, or the alloc of a cut temporary */
    uint8_t index;
    bool raises, calls;       /* may raise an error; calls the host */
    int64_t halo;             /* how many points in front of the piece its own step computes as well */
} qn__stream_item;

typedef struct qn__stream {
    const qn__ir *ir;
    uint32_t array, dimension; /* the seed */
    const char *why;          /* not possible: why, in English, of the arena; location: where */
    uint32_t location;
    qn__stream_array *arrays; /* as in the IR */
    qn__stream_item *items;   uint32_t item_count;
    uint32_t step_count;
    uint32_t passes;          /* odd steps that have work */
    int64_t low, high;        /* the largest halo of an input in any step */
    uint32_t *slot_of;        /* by value of the IR: slot plus 1; slots are scalars that go from step to step */
    uint32_t slot_count;
} qn__stream;

/* What a parameter of a step's kernel is; number as said. */
typedef enum qn__stream_role {
    QN__STREAM_SCALAR,        /* scalar parameter of the kernel */
    QN__STREAM_SIZE,          /* size symbol */
    QN__STREAM_SLOT,          /* slot; as an output: gives it */
    QN__STREAM_FIRST,         /* the piece's first index */
    QN__STREAM_BEGIN,         /* the same, -QN__STREAM_FAR for the first piece */
    QN__STREAM_END,           /* behind the piece's last index, QN__STREAM_FAR for the last piece */
    QN__STREAM_ORIGIN,        /* array: the index of the first element that the piece's view has */
    QN__STREAM_EXTENT,        /* array, dimension: of what is handed in */
    QN__STREAM_ARRAY_WHOLE,   /* array */
    QN__STREAM_ARRAY_CUT,     /* array: indices first - low .. end + high, as far as there are */
    QN__STREAM_ARRAY_APPENDED,/* array: what the piece kept */
    QN__STREAM_PARTIAL,       /* slot: a reduction's accumulator over this piece, to be joined */
    QN__STREAM_TERMS,         /* item: how many terms of the reduction the piece has */
    QN__STREAM_KEPT,          /* slot: elements that this piece kept, to be added up */
    QN__STREAM_LEFT,          /* slot: of a join, the accumulator of what comes first; RIGHT: of what follows */
    QN__STREAM_RIGHT
} qn__stream_role;

typedef struct qn__stream_binding {
    uint8_t role, dimension;
    uint32_t number;
    int64_t low, high;        /* of a cut array */
} qn__stream_binding;

typedef struct qn__stream_kernel {
    qn__ir *ir;               /* with a signature of its own */
    qn__stream_binding *bindings; /* by parameter of that signature */
} qn__stream_kernel;

/* NULL: out of memory (of the arena, or of the machine). */
qn__stream *qn__stream_analyse(const qn__ir *ir, qn__arena *arena, uint32_t array, uint32_t dimension);

/* All seeds' analyses, those that cut alike once; also those that are not possible. NULL: out of memory. */
qn__stream **qn__stream_ways(const qn__ir *ir, qn__arena *arena, uint32_t *count);

/* The kernel of a step, made from the IR's text (qn__ir_print). False with a message of the arena. */
bool qn__stream_step(const char *text, size_t length, qn__arena *arena, uint32_t array, uint32_t dimension, uint32_t step,
                     qn__stream_kernel *kernel, const char **message);
/* The kernel that joins the accumulators of neighbouring pieces of a cut reduction. */
bool qn__stream_join(const char *text, size_t length, qn__arena *arena, uint32_t array, uint32_t dimension, uint32_t item,
                     qn__stream_kernel *kernel, const char **message);

/* A uniform value that is computed of constants, parameters, sizes and slots. False: of something else. */
bool qn__stream_value(const qn__stream *stream, qn__value value, const uint64_t *scalars, const int64_t *sizes,
                      const uint64_t *slots, uint64_t *bits);

/* Whether a step has anything to do. */
bool qn__stream_has_work(const qn__stream *stream, uint32_t step);
/* What `quern explain` says: one line per way to stream the kernel, or why there is none. False: out of memory. */
bool qn__stream_explain(const qn__ir *ir, qn__text *out);

#endif
