/* Formats differ in precision and exponent range only, so one routine rounds to all of them, in integers: the host's rounding does not matter. */
#include "emulator/number.h"

#include <math.h>
#include <string.h>

typedef struct format { int precision, least, most, fraction, bits; } format; /* exponents of normal values; stored fraction bits */

static format format_of(em_type type) {
    switch (type) {
    case EM_F16: return (format){11, -14, 15, 10, 16};
    case EM_BF16: return (format){8, -126, 127, 7, 16};
    case EM_TF32: return (format){11, -126, 127, 23, 32};
    case EM_F64: return (format){53, -1022, 1023, 52, 64};
    default: return (format){24, -126, 127, 23, 32};
    }
}

static em_number read_float(uint64_t bits, format f) {
    em_number n = {.negative = bits >> (f.bits - 1) & 1};
    uint64_t fraction = bits & (((uint64_t)1 << f.fraction) - 1);
    int width = f.bits - 1 - f.fraction, field = (int)(bits >> f.fraction & (((uint64_t)1 << width) - 1));
    if (field == (1 << width) - 1) {
        n.nan = fraction != 0;
        n.infinite = fraction == 0;
        return n;
    }
    n.mantissa = field ? fraction | (uint64_t)1 << f.fraction : fraction;
    n.exponent = (field ? field : 1) - 1 + f.least - f.fraction;
    return n;
}

em_number em_number_read(uint64_t bits, em_type type) {
    em_class class = em_type_class(type);
    if (class == EM_CLASS_FLOAT) return read_float(bits, format_of(type));
    em_number n = {.mantissa = bits};
    uint32_t size = em_type_bits(type);
    if (size < 64) n.mantissa &= ((uint64_t)1 << size) - 1;
    if (class == EM_CLASS_SIGNED && n.mantissa >> (size - 1) & 1) {
        n.negative = true;
        n.mantissa = 0 - n.mantissa;
        if (size < 64) n.mantissa &= ((uint64_t)1 << size) - 1;
    }
    return n;
}

static bool up(const em_number *n, uint64_t kept, uint64_t rest, uint64_t half, bool sticky, em_modifier mode) {
    bool inexact = rest || sticky;
    switch (mode) {
    case EM_MOD_RZ: return false;
    case EM_MOD_RM: return inexact && n->negative;
    case EM_MOD_RP: return inexact && !n->negative;
    case EM_MOD_RNA: return half && rest >= half;
    default: return half && (rest > half || (rest == half && (sticky || (kept & 1))));
    }
}

static uint64_t overflow(const em_number *n, format f, em_modifier mode, bool finite) {
    uint64_t infinity = (uint64_t)(f.most - f.least + 2) << f.fraction;
    uint64_t most = infinity - ((uint64_t)1 << (f.fraction + 1 - f.precision));
    bool bounded = finite || mode == EM_MOD_RZ || (mode == EM_MOD_RM && !n->negative) || (mode == EM_MOD_RP && n->negative);
    return bounded ? most : infinity;
}

uint64_t em_number_round(em_number n, em_type type, em_modifier mode, bool finite) {
    format f = format_of(type);
    uint64_t sign = (uint64_t)n.negative << (f.bits - 1), infinity = (uint64_t)(f.most - f.least + 2) << f.fraction;
    if (n.nan) return type == EM_F64 ? 0x7fffffffffffffff : f.bits == 64 ? 0 : ((uint64_t)1 << (f.bits - 1)) - 1;
    if (n.infinite) return sign | (finite ? overflow(&n, f, EM_MOD_RZ, true) : infinity);
    if (n.mantissa == 0) return sign;
    int top = 63 - __builtin_clzll(n.mantissa), exponent = n.exponent + top;
    int quantum = (exponent > f.least ? exponent : f.least) - (f.precision - 1), shift = quantum - n.exponent;
    uint64_t kept, rest = 0, half = 0;
    bool sticky = n.sticky;
    if (shift <= 0) {
        kept = n.mantissa << -shift;
    } else if (shift < 64) {
        kept = n.mantissa >> shift;
        rest = n.mantissa & (((uint64_t)1 << shift) - 1);
        half = (uint64_t)1 << (shift - 1);
    } else {
        kept = 0;
        if (shift == 64) rest = n.mantissa, half = (uint64_t)1 << 63;
        else sticky = true;
    }
    if (up(&n, kept, rest, half, sticky, mode)) kept++;
    if (kept == 0) return sign;
    top = 63 - __builtin_clzll(kept);
    exponent = quantum + top;
    if (exponent > f.most) return sign | overflow(&n, f, mode, finite);
    int extra = f.fraction - (f.precision - 1); /* tf32 keeps its fraction at the top of f32's */
    if (exponent < f.least) return sign | kept << extra;
    uint64_t fraction = (top <= f.precision - 1 ? kept << (f.precision - 1 - top) : kept >> (top - (f.precision - 1))) & (((uint64_t)1 << (f.precision - 1)) - 1);
    return sign | (uint64_t)(exponent - f.least + 1) << f.fraction | fraction << extra;
}

double em_half_value(uint32_t bits, em_type type) {
    em_number n = em_number_read(bits & 0xffff, type);
    if (n.nan) return NAN;
    double value = n.infinite ? INFINITY : ldexp((double)n.mantissa, n.exponent);
    return n.negative ? -value : value;
}

uint32_t em_half_narrow(double value, em_type type) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint32_t)em_number_round(em_number_read(bits, EM_F64), type, EM_MOD_RN, false);
}

/* The product is exact in f64; the sum is rounded to odd there, so that rounding it again gives what one rounding would. */
uint32_t em_half_fma(uint32_t x, uint32_t y, uint32_t z, em_type type) {
    double product = em_half_value(x, type) * em_half_value(y, type), addend = em_half_value(z, type);
    double sum = product + addend;
    if (isfinite(sum)) {
        double other = sum - product, error = (product - (sum - other)) + (addend - other);
        uint64_t bits;
        memcpy(&bits, &sum, sizeof bits);
        if (error != 0 && !(bits & 1)) sum = nextafter(sum, error > 0 ? INFINITY : -INFINITY);
    }
    return em_half_narrow(sum, type);
}

/* In f64 the product is exact and the sum rounded to odd; 53 bits are enough more than 24 for any second rounding. */
uint32_t em_float_fma(uint32_t x, uint32_t y, uint32_t z, em_modifier mode) {
    float a, b, c;
    memcpy(&a, &x, 4), memcpy(&b, &y, 4), memcpy(&c, &z, 4);
    double product = (double)a * (double)b, addend = (double)c, sum = product + addend;
    uint64_t bits;
    if (isfinite(sum)) {
        double other = sum - product, error = (product - (sum - other)) + (addend - other);
        memcpy(&bits, &sum, sizeof bits);
        if (error != 0 && !(bits & 1)) sum = nextafter(sum, error > 0 ? INFINITY : -INFINITY);
        if (sum == 0 && mode == EM_MOD_RM && (signbit(product) != 0) != (signbit(addend) != 0)) sum = -0.0;
    }
    memcpy(&bits, &sum, sizeof bits);
    return (uint32_t)em_number_round(em_number_read(bits, EM_F64), EM_F32, mode, false);
}
