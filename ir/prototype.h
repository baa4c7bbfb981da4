/* Signatures as text: for people, and as the C prototype of a kernel's typed function (ir/raw.h). */
#ifndef QN__PROTOTYPE_H
#define QN__PROTOTYPE_H

#include "ir/signature.h"
#include "ir/text.h"

/* A dimension, such as "n + 1" or "?m". */
void qn__dim_print(const qn__signature *signature, uint32_t dim, qn__text *out);

/* A kernel's head as it is written in Quern: "kernel saxpy(a: f32, x: f32[n]) -> z: f32[n]". */
void qn__signature_print(const qn__signature *signature, qn__text *out);

/* A comment that says what the sizes are, the prototype of the C function `symbol`, and a type of pointers to it, called
 * symbol_function. Valid C and C++; needs <stdint.h> and qn_error. Names that are keywords get an underscore behind them. */
void qn__prototype_print(const qn__signature *signature, const char *symbol, qn__text *out);

#endif
