/* Deterministic arguments for the math tests: SplitMix64 on a counter. */
#include "reference.h"

#include <math.h>
#include <string.h>

static uint64_t mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static double unit(uint64_t bits) {
    return (double)(bits >> 11) * 0x1p-53;
}

static double any_bits(uint64_t bits, bool single) {
    if (single) {
        uint32_t half = (uint32_t)(bits >> 32);
        float value;
        memcpy(&value, &half, sizeof value);
        return isfinite(value) ? (double)value : 1.0;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : 1.0;
}

/* Random sign, magnitude 2^[low, high). */
static double magnitude(uint64_t bits, double low, double high) {
    double value = exp2(low + (high - low) * unit(bits << 1));
    return bits >> 63 ? -value : value;
}

static void sample_power(uint64_t i, bool single, double *x, double *y) {
    double range = single ? 150.0 : 1080.0;
    uint64_t a = mix(2 * i), b = mix(2 * i + 1);
    switch (i % 4) {
        case 0: *x = fabs(any_bits(a, single)); break;
        case 1: *x = 0.5 + 1.5 * unit(a); break;
        case 2: *x = 1.0 + magnitude(a, single ? -23.0 : -52.0, -1.0); break;
        default: *x = 0.001 + 20.0 * unit(a); break;
    }
    double exponent = log2(*x);
    *y = exponent == 0.0 ? 2.5 : (2.0 * unit(b) - 1.0) * range / exponent;
    if (i % 8 == 7) {
        *y = rint(*y);
        *x = -*x;
    }
}

static void sample_two(Function function, uint64_t i, bool single, double *x, double *y) {
    uint64_t a = mix(2 * i), b = mix(2 * i + 1);
    if (function == FUNCTION_pow) {
        sample_power(i, single, x, y);
    } else if (i % 3 == 0) {
        *x = any_bits(a, single);
        *y = any_bits(b, single);
    } else if (i % 3 == 1) {
        *x = 2.0 * unit(a) - 1.0;
        *y = 2.0 * unit(b) - 1.0;
    } else {
        *x = magnitude(a, -30.0, 10.0);
        *y = *x * magnitude(b, -30.0, 30.0);
    }
}

void sample(Function function, uint64_t i, bool single, double *x, double *y) {
    const FunctionRow *row = &function_rows[function];
    uint64_t a = mix(2 * i);
    bool circular = function == FUNCTION_sin || function == FUNCTION_cos || function == FUNCTION_tan;
    *y = 0.0;
    if (circular && i == 0) {
        /* the numbers nearest to a multiple of pi/2 (Muller, Elementary Functions); glibc 2.36 is 8 ULP off at the first */
        *x = single ? 16367173.0 * 0x1p72 : 6381956970095103.0 * 0x1p797;
    } else if (row->arity == 2) {
        sample_two(function, i, single, x, y);
    } else if (i % 3 == 0) {
        *x = any_bits(a, single);
    } else if (i % 3 == 1) {
        double low = row->low, high = row->high;
        if (single && high > 150.0 && row->low < -700.0) {
            low /= 7.0;
            high /= 7.5;
        }
        *x = low + (high - low) * unit(a);
    } else if (circular && i % 6 == 5) {
        /* next to a multiple of pi/2, where the reduction loses most */
        *x = (double)((long double)(a >> 44) * 1.57079632679489661923132169163975144L);
    } else if (function == FUNCTION_lgamma && i % 6 == 5) {
        /* next to the zeros near -n, where Gamma is about 1/(n! d) at the distance d */
        double n = 3.0 + (double)(a >> 60);
        double d = (0.9 + 0.2 * unit(mix(a))) / tgamma(n + 1.0);
        *x = a & 1 ? d - n : -d - n;
    } else {
        *x = magnitude(a, -30.0, 10.0);
    }
    if (single) {
        *x = (double)(float)*x;
        *y = (double)(float)*y;
    }
}
