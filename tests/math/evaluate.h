/* Runs a kernel of two inputs x, y and one output z over n elements, through the public API. */
#ifndef QUERN_TESTS_MATH_EVALUATE_H
#define QUERN_TESTS_MATH_EVALUATE_H

#include <quern/quern.h>

/* source declares one kernel with inputs x: T[n], y: T[n] and an output z: R[n]. inputs and output are arrays of n elements.
   Returns false and prints the reason when it cannot be compiled or run. */
bool evaluate(qn_engine engine, const char *source, qn_type type, qn_type result, size_t n, const void *x, const void *y,
              void *z);

#endif
