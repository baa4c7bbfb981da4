/* What each pure scalar operation computes, on value bits (zero-extended to 64 bits): the definition of the numeric
 * contract in C. Constant folding uses it; tests may use it as the oracle of an engine. */
#ifndef QN__EVAL_H
#define QN__EVAL_H

#include "ir/ir.h"

/* The value of a pure operation without array, local or call operands. type is the type of the operands (of operand 1 for
 * select), result that of the result. False when the operation is not one of these, or not defined for the type.
 * The caller's floating-point environment must be the default one (nearest, no flush to zero). */
bool qn__eval(qn__op op, qn__type type, qn__type result, const uint64_t *args, uint64_t *bits);

/* Bits of a float type's value nearest to x (ties to even), and the exact value of such bits. */
uint64_t qn__eval_from_f64(qn__type type, double x);
double qn__eval_to_f64(qn__type type, uint64_t bits);

/* Bits as a signed number: sign-extended for signed types, zero-extended for others. */
int64_t qn__eval_int(qn__type type, uint64_t bits);

/* Bits cut to the width of a type. */
uint64_t qn__eval_cut(qn__type type, uint64_t bits);

#endif
