/* Reference values of the math functions, from MPFR, and distances in units in the last place. */
#ifndef QUERN_TESTS_MATH_REFERENCE_H
#define QUERN_TESTS_MATH_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define F1(name, a, b) FUNCTION_##name,
#define F2(name) FUNCTION_##name,
#include "functions.def"
#undef F1
#undef F2
    FUNCTION_COUNT
} Function;

typedef struct {
    const char *name;
    int arity;
    double low, high; /* uniform interval */
} FunctionRow;

extern const FunctionRow function_rows[FUNCTION_COUNT];

/* The value rounded to 64 bits; y is ignored by functions of one argument. */
long double reference(Function function, long double x, long double y);

/* |got - want| in units of the last place of want; 0 where both are NaN, equal, or both overflow; 1e30 where only one is NaN
   or the sign of an infinity or zero is wrong. */
double ulp_distance_f64(double got, long double want);
double ulp_distance_f32(float got, long double want);

/* Argument number i of a fixed sequence: a third all finite bit patterns, a third uniform, a third all small magnitudes. */
void sample(Function function, uint64_t i, bool single, double *x, double *y);

#endif
