/* What the parts of qn_stream share: stream.c (the plan, arrays, outputs), stream_run.c (steps and pieces), stream_join.c (code, reductions). */
#ifndef QN__API_STREAM_H
#define QN__API_STREAM_H

#include "api/internal.h"
#include "ir/stream.h"
#include "runtime/call_private.h"

/* An array of the kernel while it is streamed. */
typedef struct qn__streamed {
    qn__argument whole;    /* data NULL: goes to the sink piece by piece; else all of it, the caller's or `allocated` */
    bool sink, given;
    bool begun;            /* the sink knows of it */
    size_t capacity;       /* bytes of a kept output that grows */
    qn_stream_output output;
    int64_t shape[QN_MAX_RANK];
    int64_t consumed;      /* of an input: the caller has been told up to here */
} qn__streamed;

/* Accumulators of pieces that are not joined yet: the tree's left branches. */
typedef struct qn__branch { uint64_t pieces; uint64_t *values; } qn__branch;
enum { QN__BRANCHES = 64 };

typedef struct qn__stream_code {
    qn__arena *arena;
    qn__stream_kernel kernel;
    qn__image image;
    qn__loaded loaded;
} qn__stream_code;

typedef struct qn__joining {
    uint32_t item, count;  /* of the plan; accumulators */
    qn__stream_code code;
    qn__branch branches[QN__BRANCHES];
    uint32_t depth;
    uint64_t *piece;       /* the latest piece's accumulators */
    uint64_t *memory;
    qn__argument *arguments;
    int64_t terms;
} qn__joining;

typedef struct qn__streaming {
    qn_kernel *kernel;
    const qn__signature *signature;
    qn__argument *arguments;     /* by parameter of the kernel */
    qn_stream_options options;
    qn__call_options call;
    const qn__engine_row *row;
    qn__cuda_device *device;     /* of engine cuda */
    qn__arena *arena;
    qn__text text;               /* of the IR */
    qn__ir *ir;                  /* the copy that the plan is of */
    qn__stream *plan;
    qn__streamed *arrays;        /* by array of the IR */
    uint64_t *scalars, *slots;
    int64_t *sizes;
    int64_t (*extents)[QN__MAX_RANK]; /* of the outputs */
    int64_t total, chunk;        /* indices in all; of a piece */
    double line;                 /* bytes of all cut arrays for one index */
    double done, work;           /* indices */
    qn_error *error;
} qn__streaming;

/* The piece that is being run. */
typedef struct qn__piece { int64_t from, to; bool first, last; } qn__piece;

/* stream_join.c. The kernel of a step, made and loaded; joins. */
qn_status qn__stream_load(qn__streaming *s, uint32_t step, qn__stream_code *code);
void qn__stream_unload(qn__streaming *s, qn__stream_code *code);
qn_status qn__stream_join_open(qn__streaming *s, uint32_t item, qn__joining *j);
qn_status qn__stream_join_piece(qn__streaming *s, qn__joining *j); /* j->piece and j->terms are a further piece's */
qn_status qn__stream_join_end(qn__streaming *s, qn__joining *j);   /* the results go to their slots */
void qn__stream_join_close(qn__streaming *s, qn__joining *j);

/* stream_run.c */
qn_status qn__stream_run(qn__streaming *s);

/* stream.c. Memory for a whole array, of the context's allocator; what it had is freed. A kept output grows by a piece. */
qn_status qn__stream_memory(qn__streaming *s, qn__argument *whole, qn__type type, uint32_t rank, const int64_t *extents);
/* The status of a callback, with a message where it left none. */
qn_status qn__stream_told(qn__streaming *s, const qn__streamed *array, qn_status status);
qn_status qn__stream_append(qn__streaming *s, uint32_t array, qn__argument *piece);

#endif
