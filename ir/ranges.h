/* The parts of the ranges pass: the walk (ranges.c), what values are (ranges_values.c), checks (ranges_checks.c),
 * loads (ranges_loads.c). */
#ifndef QN__RANGES_H
#define QN__RANGES_H

#include "ir/affine.h"

/* An index variable in whose loop or domain the walk stands. */
typedef struct qn__axis { uint32_t base; const qn__form *low, *high; } qn__axis; /* low <= base < high */

typedef struct qn__ranges {
    qn__affine affine;        /* first: assume gets a pointer to it */
    qn__pass *pass;
    qn__ir *ir;
    const qn__form **forms;   /* by value: NULL until known */
    uint8_t *written;         /* by array, while loads are moved */
    uint8_t *is_extent;       /* by value: an extent of a parameter or output, which the runtime keeps in 0 .. 2^48 */
    qn__axis *axes;           size_t axis_count, axis_capacity; /* of the stage, outermost first */
    bool in_stage, certain;   /* certain: every point of the stage comes by here */
    uint32_t stage_order;     /* bases from here on belong to the stage */
} qn__ranges;

/* ranges_values.c */
const qn__form *qn__ranges_form(qn__ranges *r, qn__value value);
const qn__form *qn__ranges_opaque(qn__ranges *r, qn__value value, int64_t low, int64_t high);
void qn__ranges_alias(qn__ranges *r, qn__value value, qn__value known);
void qn__ranges_choose(qn__ranges *r, qn__value value, qn__value cond, qn__value yes, qn__value no);
/* Init, or one of the indices lo <= i < hi of a loop that ran (argmin). */
void qn__ranges_pick(qn__ranges *r, qn__value value, qn__value init, qn__value lo, qn__value hi);
void qn__ranges_value(qn__ranges *r, qn__instr_ref instr);
void qn__ranges_limits(qn__type type, int64_t *low, int64_t *high);
void qn__ranges_assume(qn__affine *affine, qn__value cond, bool truth);

/* ranges_checks.c: proves and removes a check, or says why not. */
void qn__ranges_check(qn__ranges *r, qn__instr_ref instr);

/* ranges_loads.c: moves loads out of a loop. Called where the walk comes to the loop. */
void qn__ranges_hoist_loads(qn__ranges *r, qn__instr_ref loop);

#endif
