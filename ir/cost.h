/* What a point of a stage costs, counted: for the decision whether threads pay. It never decides a result. */
#ifndef QN__COST_H
#define QN__COST_H

#include "ir/ir.h"

enum {
    QN__COST_TURNS = 16,     /* what a loop of unknown length is taken for */
    QN__COST_CALL = 50,      /* a host function */
    QN__COST_LONG = 8,       /* a division, a root */
    QN__COST_WORTH = 300000, /* operations of a stage from which on threads take part: saxpy wins from 60,000 points (7 microseconds) on, a worker that sleeps is woken in 3 */
};

/* Of the operation alone, without its regions. */
double qn__cost_operation(const qn__instr *instr);
/* Of a region, where a loop's turns are constant or taken for QN__COST_TURNS. */
double qn__cost_region(const qn__ir *ir, qn__region_ref region);
/* The turns of a for, reduce or scan when its bounds are constants, else negative. */
double qn__cost_turns(const qn__ir *ir, const qn__instr *loop);

/* Why a stage runs on one thread; NULL: it may run on several. */
const char *qn__stage_serial(const qn__ir *ir, const qn__instr *stage);
/* Points may differ widely in what they cost: loops whose lengths differ. */
bool qn__stage_uneven(const qn__ir *ir, const qn__instr *stage);
/* Whether accumulations of this operation and type give the same bits in any order. */
bool qn__any_order(qn__op op, qn__type type);

#endif
