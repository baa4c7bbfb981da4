/* Recognition of matrix-product-like stages; fusion leaves them alone. */
#ifndef QN__CONTRACTION_H
#define QN__CONTRACTION_H

#include "ir/pass.h"

bool qn__is_contraction(const qn__ir *ir, qn__instr_ref stage);

#endif
