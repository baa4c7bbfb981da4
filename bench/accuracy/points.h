/* The arguments: hard cases first, then random ones. */
#ifndef QUERN_BENCH_ACCURACY_POINTS_H
#define QUERN_BENCH_ACCURACY_POINTS_H

#include "tests/math/reference.h"

#include <stddef.h>

typedef struct {
    double x, y;
} Point;

typedef struct {
    Point *points;
    size_t count, capacity;
} PointList;

/* Hard cases of a function; the caller frees list.points. */
PointList hard_points(Function function);

/* Random point number i: a quarter from the function's ranges of interest in ranges.def, the others as in tests/math/sample.c. */
Point random_point(Function function, bool single, uint64_t i);

#endif
