/* What the parts of streaming share: stream.c (analysis), stream_access.c (subscripts), stream_kernel.c (kernels of steps). ir only. */
#ifndef QN__STREAM_PRIVATE_H
#define QN__STREAM_PRIVATE_H

#include "ir/pass.h"
#include "ir/stream.h"

/* What an i64 is for one point of a cut stage: a number in low .. high, or the cut index plus that. */
typedef enum qn__reach_kind { QN__REACH_OTHER, QN__REACH_NUMBER, QN__REACH_INDEX } qn__reach_kind;
typedef struct qn__reach { uint8_t kind; int64_t low, high; } qn__reach;

/* Subscripts of one stage, whose index variable `index` is cut. */
typedef struct qn__reacher {
    const qn__ir *ir;
    const qn__instr *stage;
    uint32_t index;
    uint32_t budget;
} qn__reacher;

qn__reacher qn__reacher_of(const qn__ir *ir, qn__instr_ref stage, uint32_t index);
qn__reach qn__reach_of(qn__reacher *reacher, qn__value value);
/* The number of the stage's index variable that `value` is plus something; -1: none, or not known. */
int qn__reach_index(const qn__ir *ir, qn__instr_ref stage, qn__value value, qn__reach *reach);

/* Index variables of a stage; the operand that bounds index k from below (the next one: from above). */
uint32_t qn__stage_rank(const qn__instr *stage);
/* Regions whose parameters are index variables: the first `count` regions. */
uint32_t qn__stage_regions(const qn__instr *stage);

/* Calls visit for each instruction in the region and below. */
void qn__stream_visit(const qn__ir *ir, qn__region_ref region, void (*visit)(void *user, qn__instr_ref ref), void *user);
/* The same for the instruction itself and what it holds. */
void qn__stream_visit_item(const qn__ir *ir, qn__instr_ref ref, void (*visit)(void *user, qn__instr_ref ref), void *user);

/* What a step that streams needs. Halos are distances in front of and behind the piece. */
typedef struct qn__stream_need { bool needed; int64_t low, high, view_low, view_high; } qn__stream_need; /* of an array; the view covers what is written, too */
typedef struct qn__stream_part { bool included; int64_t low, high; } qn__stream_part;                  /* of an item */
typedef struct qn__stream_needs {
    qn__stream_need *arrays;
    qn__stream_part *items;
} qn__stream_needs;
/* False: out of memory. */
bool qn__stream_needs_of(const qn__stream *s, uint32_t step, qn__arena *arena, qn__stream_needs *needs);
/* Whether what an item of a streaming step writes to a cut array is wanted in that step. */
bool qn__stream_wanted(const qn__stream *s, const qn__stream_needs *needs, uint32_t step, uint64_t array);

static inline bool qn__writes_element(const qn__instr *i) { return i->op == QN__OP_STORE || i->op == QN__OP_ACCUMULATE; }
static inline bool qn__touches_element(const qn__instr *i) {
    return i->op == QN__OP_LOAD || i->op == QN__OP_STORE || i->op == QN__OP_ACCUMULATE;
}

#endif
