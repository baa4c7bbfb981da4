/* Random IR for differential tests: every kernel is well-formed, ends, and stays inside its arrays. */
#ifndef QN__TESTS_RANDOM_IR_H
#define QN__TESTS_RANDOM_IR_H

#include "ir/ir.h"

enum { RANDOM_ARRAYS = 6, RANDOM_EDGE = 8 };

/* The arrays of every random kernel. 0 to 2 are inputs, 3 and 4 outputs that each point stores to, 5 accumulates. All extents are 8. */
extern const uint8_t random_array_type[RANDOM_ARRAYS], random_array_rank[RANDOM_ARRAYS];

/* A kernel from a seed; `faults` lets some checks fail. Uses two scalars (i64, f64) and no sizes. */
qn__ir *random_ir(qn__arena *arena, uint64_t seed, bool faults);

uint64_t random_next(uint64_t *state);

#endif
