/* Reference values from MPFR at 96 bits, rounded to long double, and the distance in units in the last place.
   The long double has 11 bits more than a double, so distances are good to about 0.001. */
#include "reference.h"

#include <math.h>
#include <mpfr.h>

const FunctionRow function_rows[FUNCTION_COUNT] = {
#define F1(name, a, b) {#name, 1, a, b},
#define F2(name) {#name, 2, 0.0, 0.0},
#include "functions.def"
#undef F1
#undef F2
};

static void one(mpfr_ptr r, Function function, mpfr_srcptr x) {
    int sign = 0;
    switch (function) {
        case FUNCTION_exp: mpfr_exp(r, x, MPFR_RNDN); break;
        case FUNCTION_exp2: mpfr_exp2(r, x, MPFR_RNDN); break;
        case FUNCTION_expm1: mpfr_expm1(r, x, MPFR_RNDN); break;
        case FUNCTION_log: mpfr_log(r, x, MPFR_RNDN); break;
        case FUNCTION_log2: mpfr_log2(r, x, MPFR_RNDN); break;
        case FUNCTION_log10: mpfr_log10(r, x, MPFR_RNDN); break;
        case FUNCTION_log1p: mpfr_log1p(r, x, MPFR_RNDN); break;
        case FUNCTION_sin: mpfr_sin(r, x, MPFR_RNDN); break;
        case FUNCTION_cos: mpfr_cos(r, x, MPFR_RNDN); break;
        case FUNCTION_tan: mpfr_tan(r, x, MPFR_RNDN); break;
        case FUNCTION_asin: mpfr_asin(r, x, MPFR_RNDN); break;
        case FUNCTION_acos: mpfr_acos(r, x, MPFR_RNDN); break;
        case FUNCTION_atan: mpfr_atan(r, x, MPFR_RNDN); break;
        case FUNCTION_sinh: mpfr_sinh(r, x, MPFR_RNDN); break;
        case FUNCTION_cosh: mpfr_cosh(r, x, MPFR_RNDN); break;
        case FUNCTION_tanh: mpfr_tanh(r, x, MPFR_RNDN); break;
        case FUNCTION_asinh: mpfr_asinh(r, x, MPFR_RNDN); break;
        case FUNCTION_acosh: mpfr_acosh(r, x, MPFR_RNDN); break;
        case FUNCTION_atanh: mpfr_atanh(r, x, MPFR_RNDN); break;
        case FUNCTION_cbrt: mpfr_cbrt(r, x, MPFR_RNDN); break;
        case FUNCTION_erf: mpfr_erf(r, x, MPFR_RNDN); break;
        case FUNCTION_erfc: mpfr_erfc(r, x, MPFR_RNDN); break;
        case FUNCTION_tgamma: mpfr_gamma(r, x, MPFR_RNDN); break;
        case FUNCTION_lgamma: mpfr_lgamma(r, &sign, x, MPFR_RNDN); break;
        case FUNCTION_pow:
        case FUNCTION_atan2:
        case FUNCTION_hypot:
        case FUNCTION_fmod:
        case FUNCTION_COUNT: mpfr_set_nan(r); break;
    }
}

long double reference(Function function, long double x, long double y) {
    mpfr_t r, a, b;
    mpfr_inits2(96, r, a, b, (mpfr_ptr)0);
    mpfr_set_ld(a, x, MPFR_RNDN);
    mpfr_set_ld(b, y, MPFR_RNDN);
    if (function == FUNCTION_pow) {
        mpfr_pow(r, a, b, MPFR_RNDN);
    } else if (function == FUNCTION_atan2) {
        mpfr_atan2(r, a, b, MPFR_RNDN);
    } else if (function == FUNCTION_hypot) {
        mpfr_hypot(r, a, b, MPFR_RNDN);
    } else if (function == FUNCTION_fmod) {
        mpfr_fmod(r, a, b, MPFR_RNDN);
    } else {
        one(r, function, a);
    }
    long double value = mpfr_get_ld(r, MPFR_RNDN);
    mpfr_clears(r, a, b, (mpfr_ptr)0);
    return value;
}

static double distance(long double got, long double want, int digits, int smallest, long double overflow) {
    if (isnan(got) || isnan(want)) {
        return isnan(got) && isnan(want) ? 0.0 : 1e30;
    }
    if (isinf(got)) {
        bool same = (got > 0) == (want > 0) && fabsl(want) >= overflow;
        return same ? 0.0 : 1e30;
    }
    if (isinf(want)) {
        return 1e30;
    }
    if (want == 0.0L) {
        return got == 0.0L && !signbit(got) == !signbit(want) ? 0.0 : 1e30;
    }
    if (got == 0.0L && !signbit(got) != !signbit(want)) {
        return 1e30;
    }
    int exponent = ilogbl(want);
    exponent = exponent < smallest ? smallest : exponent;
    return (double)(fabsl(got - want) / ldexpl(1.0L, exponent - digits + 1));
}

/* Overflow may be reported from one unit below the rounding boundary on: a result within 1 ULP. */
double ulp_distance_f64(double got, long double want) {
    return distance((long double)got, want, 53, -1022, 0x1.fffffffffffffp1023L);
}

double ulp_distance_f32(float got, long double want) {
    return distance((long double)got, want, 24, -126, 0x1.fffffep127L);
}
