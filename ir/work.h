/* How much work a kernel is, estimated from its IR for given sizes: for choosing an engine, never for results. */
#ifndef QN__WORK_H
#define QN__WORK_H

#include "ir/ir.h"

typedef struct qn__work {
    double operations;  /* pure operations of all points; a division or root counts more, as in work.c */
    double steps;       /* the same where `width` points run side by side: the sum over stages of operations of a point times rounds of points */
    double bytes;       /* that stages read and write, each array of a stage at most once */
    double launches;    /* stages that run */
    double array_bytes; /* of outputs and inouts; not of outputs whose size only the kernel knows */
    bool guessed;       /* a bound depends on data: loops count as QN__WORK_GUESS rounds, unknown sizes as the largest known one */
} qn__work;

enum { QN__WORK_GUESS = 32 };

/* sizes: by symbol, existential ones are ignored; scalars: value bits by scalar parameter. False without memory. */
bool qn__ir_work(const qn__ir *ir, const int64_t *sizes, const uint64_t *scalars, double width, qn__work *work);

#endif
