/* A reference for engines: evaluates IR by walking it, in the plainest way, straight from the descriptions in ir/ir.h and
 * ir/ops.def, with ir/eval.c for scalar operations. Slow, and written without looking at any engine. */
#ifndef QN__TESTS_WALK_H
#define QN__TESTS_WALK_H

#include "ir/abi.h"
#include "ir/ir.h"

/* Runs the kernel on a frame as an engine would: 0 or a fault kind with frame->fault filled in. No extern calls; keeps count
 * at most 2^20 elements. */
int32_t walk_kernel(const qn__ir *ir, qn__frame *frame);

#endif
