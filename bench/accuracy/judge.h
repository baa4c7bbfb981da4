/* Distances from the exact result: a quick estimate from the C library's wider functions, MPFR for what matters. */
#ifndef QUERN_BENCH_ACCURACY_JUDGE_H
#define QUERN_BENCH_ACCURACY_JUDGE_H

#include "tests/math/reference.h"

#include <stddef.h>

typedef struct {
    double ulp, x, y, got; /* the largest error and where; ulp < 0 before the first point */
    uint64_t points, judged, wrong; /* seen; judged by MPFR; NaN, infinity or sign of zero wrong */
    double above;          /* every point with a larger estimate goes to MPFR, not only new maxima */
} Tally;

/* The function in the next wider format of the C library: long double for f64, double for f32. */
long double estimate(Function function, bool single, double x, double y);

/* Compares one result; want is its estimate. The caller counts points. */
void tally(Tally *t, Function function, bool single, double x, double y, double got, long double want);

#endif
