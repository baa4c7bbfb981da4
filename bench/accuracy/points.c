/* Random points from the fixed sequence of tests/math/sample.c and the intervals of ranges.def. */
#include "points.h"

typedef struct {
    Function function;
    double low, high;
} Range;

static const Range ranges[] = {
#define R(function, low, high) {FUNCTION_##function, low, high},
#include "ranges.def"
#undef R
};
enum { RANGES = sizeof ranges / sizeof *ranges };

static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

Point random_point(Function function, bool single, uint64_t i) {
    Point p = {0};
    if (i % 4 == 0) {
        size_t first = 0;
        while (first < RANGES && ranges[first].function != function) first++;
        size_t end = first;
        while (end < RANGES && ranges[end].function == function) end++;
        if (first < end) {
            const Range *range = &ranges[first + (i / 4) % (end - first)];
            p.x = range->low + (range->high - range->low) * ((double)(mix(i) >> 11) * 0x1p-53);
            if (single) p.x = (double)(float)p.x;
            return p;
        }
    }
    sample(function, i, single, &p.x, &p.y);
    return p;
}
