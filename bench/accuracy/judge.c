/* The estimate's own error is far below what it decides: glibc's long double functions are good to a few units of the 64th bit, which
   is 0.01 ULP of an f64, its double functions to 2^-28 ULP of an f32. A point that is a new maximum above 0.8, or above the
   tally's limit, counts with MPFR's value. */
#include "judge.h"

#include <math.h>

static long double estimate_f64(Function function, long double x, long double y) {
    switch (function) {
#define F1(name, a, b) case FUNCTION_##name: return name##l(x);
#define F2(name) case FUNCTION_##name: return name##l(x, y);
#include "tests/math/functions.def"
#undef F1
#undef F2
        case FUNCTION_COUNT: break;
    }
    return 0.0L;
}

static double estimate_f32(Function function, double x, double y) {
    switch (function) {
#define F1(name, a, b) case FUNCTION_##name: return name(x);
#define F2(name) case FUNCTION_##name: return name(x, y);
#include "tests/math/functions.def"
#undef F1
#undef F2
        case FUNCTION_COUNT: break;
    }
    return 0.0;
}

long double estimate(Function function, bool single, double x, double y) {
    return single ? (long double)estimate_f32(function, x, y) : estimate_f64(function, x, y);
}

static double distance(bool single, double got, long double want) {
    return single ? ulp_distance_f32((float)got, want) : ulp_distance_f64(got, want);
}

void tally(Tally *t, Function function, bool single, double x, double y, double got, long double want) {
    double ulp = distance(single, got, want);
    if (ulp <= t->ulp && ulp <= t->above) return;
    if (ulp > 0.8) {
        ulp = distance(single, got, reference(function, x, y));
        t->judged++;
    }
    if (ulp >= 1e29) {
        t->wrong++;
    } else if (ulp > t->ulp) {
        t->ulp = ulp, t->x = x, t->y = y, t->got = got;
    }
}
