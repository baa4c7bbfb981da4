/* Scalar semantics. f32 operations are done in float, f64 ones in double; both are the host's IEEE arithmetic, which is
 * exact as specified as long as the compiler does not contract (-ffp-contract=off) and the rounding mode is nearest.
 * Formats narrower than f32, and conversions from 64-bit integers to them, are rounded here once, by hand. */
#include "ir/eval.h"

#include <math.h>
#include <string.h>

static float as_f32(uint64_t bits) {
    uint32_t narrow = (uint32_t)bits;
    float x;
    memcpy(&x, &narrow, sizeof x);
    return x;
}

static double as_f64(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t bits_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint64_t bits_f64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

uint64_t qn__eval_cut(qn__type type, uint64_t bits) {
    uint32_t width = qn__type_bits(type);
    return width >= 64 ? bits : bits & ((UINT64_C(1) << width) - 1);
}

int64_t qn__eval_int(qn__type type, uint64_t bits) {
    uint32_t width = qn__type_bits(type);
    bits = qn__eval_cut(type, bits);
    if (qn__is_signed(type) && width < 64 && bits >> (width - 1)) bits |= ~UINT64_C(0) << width;
    return (int64_t)bits;
}

/* --- float formats ----------------------------------------------------------------------------------------------- */

typedef struct format { int mantissa, exponent; } format; /* stored bits of each */

static format format_of(qn__type type) {
    switch (type) {
    case QN__TYPE_F16: return (format){10, 5};
    case QN__TYPE_BF16: return (format){7, 8};
    case QN__TYPE_F32: return (format){23, 8};
    default: return (format){52, 11};
    }
}

/* sign * mantissa * 2^exponent, mantissa not 0, rounded once to the format. */
static uint64_t pack(format f, bool negative, uint64_t mantissa, int exponent) {
    uint64_t sign = negative ? UINT64_C(1) << (f.mantissa + f.exponent) : 0;
    int bias = (1 << (f.exponent - 1)) - 1;
    int high = 63 - __builtin_clzll(mantissa);
    int top = high + exponent;            /* exponent of the leading bit */
    int lowest = 1 - bias - f.mantissa;   /* exponent of the last bit of a subnormal */
    int last = top - f.mantissa > lowest ? top - f.mantissa : lowest;
    int drop = last - exponent;           /* bits below the result's last */
    uint64_t kept;
    if (drop <= 0) {
        kept = mantissa << -drop;
    } else if (drop > 64) {
        kept = 0;
    } else {
        uint64_t rest = drop == 64 ? mantissa : mantissa & ((UINT64_C(1) << drop) - 1);
        uint64_t half = UINT64_C(1) << (drop - 1);
        kept = drop == 64 ? 0 : mantissa >> drop;
        if (rest > half || (rest == half && (kept & 1))) kept++;
    }
    /* kept counts units of 2^last; a carry into the next binade is right as it stands */
    uint64_t infinity = ((UINT64_C(1) << f.exponent) - 1) << f.mantissa;
    uint64_t biased = (uint64_t)(last - lowest);
    if (biased >= (UINT64_C(1) << f.exponent)) return sign | infinity;
    uint64_t bits = kept + (biased << f.mantissa);
    return sign | (bits > infinity ? infinity : bits);
}

uint64_t qn__eval_from_f64(qn__type type, double x) {
    if (type == QN__TYPE_F64) return bits_f64(x);
    if (type == QN__TYPE_F32) return bits_f32((float)x);
    format f = format_of(type);
    uint64_t sign = signbit(x) ? UINT64_C(1) << (f.mantissa + f.exponent) : 0;
    uint64_t infinity = ((UINT64_C(1) << f.exponent) - 1) << f.mantissa;
    if (isnan(x)) return sign | infinity | UINT64_C(1) << (f.mantissa - 1);
    if (isinf(x)) return sign | infinity;
    if (x == 0) return sign;
    int exponent;
    double fraction = frexp(fabs(x), &exponent);
    return pack(f, signbit(x) != 0, (uint64_t)ldexp(fraction, 53), exponent - 53);
}

double qn__eval_to_f64(qn__type type, uint64_t bits) {
    if (type == QN__TYPE_F64) return as_f64(bits);
    if (type == QN__TYPE_F32) return as_f32(bits);
    if (type == QN__TYPE_BF16) return as_f32((bits & 0xffff) << 16);
    uint32_t mantissa = (uint32_t)bits & 0x3ff, exponent = (uint32_t)bits >> 10 & 0x1f;
    double x;
    if (exponent == 0x1f) x = mantissa ? (double)NAN : (double)INFINITY;
    else if (exponent == 0) x = ldexp(mantissa, -24);
    else x = ldexp(mantissa | 0x400, (int)exponent - 25);
    return copysign(x, bits & 0x8000 ? -1.0 : 1.0);
}

/* --- conversions ------------------------------------------------------------------------------------------------- */

static uint64_t float_to_int(qn__type to, double x) {
    uint32_t width = qn__type_bits(to);
    if (isnan(x)) return 0;
    x = trunc(x);
    if (qn__is_signed(to)) {
        double limit = ldexp(1.0, (int)width - 1);
        if (x >= limit) return (UINT64_C(1) << (width - 1)) - 1;
        if (x < -limit) return UINT64_C(1) << (width - 1);
        return qn__eval_cut(to, (uint64_t)(int64_t)x);
    }
    if (x <= 0) return 0;
    if (x >= ldexp(1.0, (int)width)) return qn__eval_cut(to, ~UINT64_C(0));
    return (uint64_t)x;
}

static uint64_t int_to_float(qn__type from, qn__type to, uint64_t bits) {
    bool negative = qn__is_signed(from) && qn__eval_int(from, bits) < 0;
    uint64_t magnitude = negative ? 0 - (uint64_t)qn__eval_int(from, bits) : qn__eval_cut(from, bits);
    return magnitude ? pack(format_of(to), negative, magnitude, 0) : 0;
}

static bool convert(qn__type from, qn__type to, uint64_t bits, uint64_t *out) {
    bool from_float = qn__is_float(from), to_float = qn__is_float(to);
    if (to == QN__TYPE_BOOL) *out = from_float ? qn__eval_to_f64(from, bits) != 0 : qn__eval_cut(from, bits) != 0;
    else if (from_float && to_float) *out = qn__eval_from_f64(to, qn__eval_to_f64(from, bits));
    else if (from_float) *out = float_to_int(to, qn__eval_to_f64(from, bits));
    else if (to_float) *out = int_to_float(from, to, bits);
    else *out = qn__eval_cut(to, (uint64_t)qn__eval_int(from, bits));
    return true;
}

/* --- integers and bool ------------------------------------------------------------------------------------------- */

static uint64_t shift_right(qn__type type, uint64_t x, uint32_t amount) {
    if (!qn__is_signed(type)) return x >> amount;
    int64_t wide = qn__eval_int(type, x);
    return wide < 0 ? ~(~(uint64_t)wide >> amount) : (uint64_t)wide >> amount;
}

static uint64_t divide(qn__type type, uint64_t x, uint64_t y, bool remainder) {
    if (!y) return 0;
    if (!qn__is_signed(type)) return remainder ? x % y : x / y;
    int64_t a = qn__eval_int(type, x), b = qn__eval_int(type, y);
    if (b == -1) return remainder ? 0 : 0 - (uint64_t)a;
    return (uint64_t)(remainder ? a % b : a / b);
}

static bool int_less(qn__type type, uint64_t x, uint64_t y) {
    return qn__is_signed(type) ? qn__eval_int(type, x) < qn__eval_int(type, y) : x < y;
}

static bool eval_int(qn__op op, qn__type type, const uint64_t *a, uint64_t *out) {
    uint32_t width = type == QN__TYPE_BOOL ? 1 : qn__type_bits(type);
    bool logical = op == QN__OP_AND || op == QN__OP_OR || op == QN__OP_XOR || op == QN__OP_NOT || op == QN__OP_MIN ||
                   op == QN__OP_MAX;
    if (type == QN__TYPE_BOOL && !logical) return false;
    uint64_t x = a[0], y = a[1], r;
    switch ((int)op) {
    case QN__OP_ADD: r = x + y; break;
    case QN__OP_SUB: r = x - y; break;
    case QN__OP_MUL: r = x * y; break;
    case QN__OP_DIV: r = divide(type, x, y, false); break;
    case QN__OP_REM: r = divide(type, x, y, true); break;
    case QN__OP_MIN: r = int_less(type, y, x) ? y : x; break;
    case QN__OP_MAX: r = int_less(type, x, y) ? y : x; break;
    case QN__OP_AND: r = x & y; break;
    case QN__OP_OR: r = x | y; break;
    case QN__OP_XOR: r = x ^ y; break;
    case QN__OP_SHL: r = x << (y & (width - 1)); break;
    case QN__OP_SHR: r = shift_right(type, x, (uint32_t)(y & (width - 1))); break;
    case QN__OP_NEG: r = 0 - x; break;
    case QN__OP_NOT: r = type == QN__TYPE_BOOL ? !x : ~x; break;
    case QN__OP_ABS: r = qn__is_signed(type) && qn__eval_int(type, x) < 0 ? 0 - x : x; break;
    case QN__OP_POPCOUNT: r = (uint64_t)__builtin_popcountll(x); break;
    case QN__OP_CLZ: r = x ? (uint64_t)__builtin_clzll(x) - (64 - width) : width; break;
    case QN__OP_CTZ: r = x ? (uint64_t)__builtin_ctzll(x) : width; break;
    default: return false;
    }
    *out = type == QN__TYPE_BOOL ? r & 1 : qn__eval_cut(type, r);
    return true;
}

/* --- floats ------------------------------------------------------------------------------------------------------ */

static double minimum(double x, double y) {
    if (isnan(x) || isnan(y)) return (double)NAN;
    if (x == y) return signbit(x) ? x : y;
    return x < y ? x : y;
}

static double maximum(double x, double y) {
    if (isnan(x) || isnan(y)) return (double)NAN;
    if (x == y) return signbit(x) ? y : x;
    return x > y ? x : y;
}

static bool eval_f32(qn__op op, const uint64_t *a, uint64_t *out) {
    float x = as_f32(a[0]), y = as_f32(a[1]), r;
    switch ((int)op) {
    case QN__OP_ADD: r = x + y; break;
    case QN__OP_SUB: r = x - y; break;
    case QN__OP_MUL: r = x * y; break;
    case QN__OP_DIV: r = x / y; break;
    case QN__OP_FMA: r = fmaf(x, y, as_f32(a[2])); break;
    case QN__OP_SQRT: r = sqrtf(x); break;
    case QN__OP_MIN: r = (float)minimum(x, y); break;
    case QN__OP_MAX: r = (float)maximum(x, y); break;
    case QN__OP_FLOOR: r = floorf(x); break;
    case QN__OP_CEIL: r = ceilf(x); break;
    case QN__OP_TRUNC: r = truncf(x); break;
    case QN__OP_RINT: r = rintf(x); break;
    default: return false;
    }
    *out = bits_f32(r);
    return true;
}

static bool eval_f64(qn__op op, const uint64_t *a, uint64_t *out) {
    double x = as_f64(a[0]), y = as_f64(a[1]), r;
    switch ((int)op) {
    case QN__OP_ADD: r = x + y; break;
    case QN__OP_SUB: r = x - y; break;
    case QN__OP_MUL: r = x * y; break;
    case QN__OP_DIV: r = x / y; break;
    case QN__OP_FMA: r = fma(x, y, as_f64(a[2])); break;
    case QN__OP_SQRT: r = sqrt(x); break;
    case QN__OP_MIN: r = minimum(x, y); break;
    case QN__OP_MAX: r = maximum(x, y); break;
    case QN__OP_FLOOR: r = floor(x); break;
    case QN__OP_CEIL: r = ceil(x); break;
    case QN__OP_TRUNC: r = trunc(x); break;
    case QN__OP_RINT: r = rint(x); break;
    default: return false;
    }
    *out = bits_f64(r);
    return true;
}

/* Sign operations work on the bits, also of NaN. */
static bool eval_sign(qn__op op, qn__type type, const uint64_t *a, uint64_t *out) {
    uint64_t sign = UINT64_C(1) << (qn__type_bits(type) - 1);
    switch ((int)op) {
    case QN__OP_NEG: *out = a[0] ^ sign; return true;
    case QN__OP_ABS: *out = a[0] & ~sign; return true;
    case QN__OP_COPYSIGN: *out = (a[0] & ~sign) | (a[1] & sign); return true;
    default: return false;
    }
}

static bool compare(qn__op op, qn__type type, const uint64_t *a, uint64_t *out) {
    bool less, equal, greater;
    if (qn__is_float(type)) {
        double x = qn__eval_to_f64(type, a[0]), y = qn__eval_to_f64(type, a[1]);
        less = x < y, equal = x == y, greater = x > y;
    } else {
        less = int_less(type, a[0], a[1]), equal = a[0] == a[1], greater = int_less(type, a[1], a[0]);
    }
    switch ((int)op) {
    case QN__OP_EQ: *out = equal; return true;
    case QN__OP_NE: *out = !equal; return true;
    case QN__OP_LT: *out = less; return true;
    case QN__OP_LE: *out = less || equal; return true;
    case QN__OP_GT: *out = greater; return true;
    case QN__OP_GE: *out = greater || equal; return true;
    default: return false;
    }
}

bool qn__eval(qn__op op, qn__type type, qn__type result, const uint64_t *args, uint64_t *bits) {
    uint64_t a[3] = {0, 0, 0};
    int8_t count = qn__op_table[op].args;
    if (count < 1 || count > 3) return false;
    for (int8_t i = 0; i < count; i++) a[i] = args[i];
    if (op == QN__OP_SELECT) {
        *bits = a[0] ? a[1] : a[2];
        return true;
    }
    if (op == QN__OP_BITCAST) {
        *bits = a[0];
        return true;
    }
    if (op == QN__OP_CONVERT) return convert(type, result, a[0], bits);
    if (qn__op_table[op].rule == QN__RULE_CMP) return compare(op, type, a, bits);
    if (!qn__is_float(type)) return eval_int(op, type, a, bits);
    if (eval_sign(op, type, a, bits)) return true;
    if (type == QN__TYPE_F32) return eval_f32(op, a, bits);
    if (type == QN__TYPE_F64) return eval_f64(op, a, bits);
    return false;
}
