/* Floating steps that are not plain: f16 and bf16, approximations, conversions. Approximations give the correctly rounded result (more exact than the
 * hardware's), with the special values of the ISA. */
#include "emulator/machine.h"
#include "emulator/number.h"

#include <math.h>
#include <string.h>

#define EACH for (uint32_t l = 0; l < EM_LANES; l++)

static inline uint32_t bits32(float x) { uint32_t r; memcpy(&r, &x, 4); return r; }
static inline float real32(uint32_t x) { float r; memcpy(&r, &x, 4); return r; }
static inline double real64(uint64_t x) { double r; memcpy(&r, &x, 8); return r; }
static inline uint64_t bits64(double x) { uint64_t r; memcpy(&r, &x, 8); return r; }
static inline uint32_t flush32(uint32_t x) { return x & 0x7f800000 ? x : x & 0x80000000; }

/* ---- halves ---- */

static uint32_t flush_half(uint32_t x, em_type type) {
    uint32_t exponent = type == EM_F16 ? 0x7c00 : 0x7f80;
    return x & exponent ? x : x & 0x8000;
}

static bool half_nan(uint32_t x, em_type type) { return (x & 0x7fff) > (type == EM_F16 ? 0x7c00u : 0x7f80u); }

static uint32_t half_extreme(uint32_t x, uint32_t y, em_type type, bool most, bool nans) {
    bool nx = half_nan(x, type), ny = half_nan(y, type);
    if ((nx && ny) || (nans && (nx || ny))) return 0x7fff;
    if (nx || ny) return nx ? y : x;
    double a = em_half_value(x, type), b = em_half_value(y, type);
    if (a == b) return most ? x & y : x | y;
    return (a < b) != most ? x : y;
}

static uint32_t half_operation(const em_step *step, em_type type, uint32_t x, uint32_t y, uint32_t z) {
    em_operation operation = (em_operation)step->instruction->operation;
    uint32_t one = type == EM_F16 ? 0x3c00 : 0x3f80, sign = 0, r;
    if (step->flags & EM_FLAG_FTZ) x = flush_half(x, type), y = flush_half(y, type), z = flush_half(z, type);
    if (step->flags & EM_FLAG_XORSIGN) sign = (x ^ y) & 0x8000, x &= 0x7fff, y &= 0x7fff;
    switch (operation) {
    case EM_OP_FADD: r = em_half_fma(x, one, y, type); break;
    case EM_OP_FSUB: r = em_half_fma(x, one, half_nan(y, type) ? y : y ^ 0x8000, type); break;
    case EM_OP_FMUL: r = em_half_fma(x, y, 0x8000, type); break;
    case EM_OP_FMA:
    case EM_OP_FMA_RELU: r = em_half_fma(x, y, z, type); break;
    case EM_OP_FABS: r = half_nan(x, type) ? 0x7fff : x & 0x7fff; break;
    case EM_OP_FNEG: r = half_nan(x, type) ? 0x7fff : x ^ 0x8000; break;
    case EM_OP_FMIN: r = half_extreme(x, y, type, false, step->flags & EM_FLAG_NAN); break;
    case EM_OP_FMAX: r = half_extreme(x, y, type, true, step->flags & EM_FLAG_NAN); break;
    case EM_OP_EX2: r = em_half_narrow(exp2(em_half_value(x, type)), type); break;
    default: r = em_half_narrow(tanh(em_half_value(x, type)), type); break;
    }
    if (sign && !half_nan(r, type)) r ^= sign;
    if (step->flags & EM_FLAG_FTZ) r = flush_half(r, type);
    if (step->flags & EM_FLAG_SAT) {
        if (half_nan(r, type) || r & 0x8000) r = 0;
        else if (em_half_value(r, type) > 1) r = one;
    }
    if (step->flags & EM_FLAG_RELU && !half_nan(r, type) && r & 0x8000) r = 0;
    return r & 0xffff;
}

static em_answer run_half(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint16_t *a = em_at(warp, step->a), *b = em_at(warp, step->b), *c = em_at(warp, step->c);
    uint16_t *d = em_at(warp, step->d);
    EACH if (mask >> l & 1) d[l] = (uint16_t)half_operation(step, (em_type)step->type, a[l], b[l], c[l]);
    return EM_NEXT;
}

static em_answer run_half_pair(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t *a = em_at(warp, step->a), *b = em_at(warp, step->b), *c = em_at(warp, step->c);
    uint32_t *d = em_at(warp, step->d);
    em_type type = step->type == EM_F16X2 ? EM_F16 : EM_BF16;
    EACH {
        if (!(mask >> l & 1)) continue;
        uint32_t low = half_operation(step, type, a[l] & 0xffff, b[l] & 0xffff, c[l] & 0xffff);
        uint32_t high = half_operation(step, type, a[l] >> 16, b[l] >> 16, c[l] >> 16);
        d[l] = low | high << 16;
    }
    return EM_NEXT;
}

/* Operands of a comparison: halves become f32, subnormals are flushed where .ftz says so. */
em_answer em_run_prepare(em_warp *warp, const em_step *step, uint32_t mask) {
    (void)mask;
    em_type type = (em_type)step->type;
    uint32_t *d = em_at(warp, step->d);
    if (type == EM_F32) {
        const uint32_t *a = em_at(warp, step->a);
        EACH d[l] = flush32(a[l]);
        return EM_NEXT;
    }
    const uint16_t *a = em_at(warp, step->a);
    EACH {
        uint32_t x = step->flags & EM_FLAG_FTZ ? flush_half(a[l], type) : a[l];
        d[l] = bits32((float)em_half_value(x, type));
    }
    return EM_NEXT;
}

static bool holds(uint8_t mode, double x, double y) {
    bool nan = x != x || y != y;
    switch ((em_modifier)mode) {
    case EM_MOD_EQ: return x == y;
    case EM_MOD_NE: return !nan && x != y;
    case EM_MOD_LT: return x < y;
    case EM_MOD_LE: return x <= y;
    case EM_MOD_GT: return x > y;
    case EM_MOD_GE: return x >= y;
    case EM_MOD_EQU: return nan || x == y;
    case EM_MOD_NEU: return nan || x != y;
    case EM_MOD_LTU: return nan || x < y;
    case EM_MOD_LEU: return nan || x <= y;
    case EM_MOD_GTU: return nan || x > y;
    case EM_MOD_GEU: return nan || x >= y;
    case EM_MOD_NUM: return !nan;
    default: return nan;
    }
}

static bool half_holds(const em_step *step, uint32_t x, uint32_t y, uint32_t shift, em_type type) {
    x = x >> shift & 0xffff, y = y >> shift & 0xffff;
    if (step->flags & EM_FLAG_FTZ) x = flush_half(x, type), y = flush_half(y, type);
    return holds(step->mode, em_half_value(x, type), em_half_value(y, type));
}

static uint32_t boolean(uint8_t mode, uint32_t p, uint32_t q) {
    return mode == EM_MOD_AND ? p & q : mode == EM_MOD_OR ? p | q : mode == EM_MOD_XOR ? p ^ q : p;
}

/* setp of pairs: the first destination is the low halves' comparison, the second the high ones'. */
em_answer em_run_setp_halves(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t *a = em_at(warp, step->a), *b = em_at(warp, step->b);
    em_type type = step->type == EM_F16X2 ? EM_F16 : EM_BF16;
    uint32_t p = 0, q = 0, third = *em_predicate(warp, step->c) ^ (uint32_t)step->imm;
    EACH p |= (uint32_t)half_holds(step, a[l], b[l], 0, type) << l, q |= (uint32_t)half_holds(step, a[l], b[l], 16, type) << l;
    p = boolean(step->mode2, p, third), q = boolean(step->mode2, q, third);
    if (step->d) *em_predicate(warp, step->d) = (*em_predicate(warp, step->d) & ~mask) | (p & mask);
    if (step->e) *em_predicate(warp, step->e) = (*em_predicate(warp, step->e) & ~mask) | (q & mask);
    return EM_NEXT;
}

em_answer em_run_set_halves(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t *a = em_at(warp, step->a), *b = em_at(warp, step->b);
    uint32_t *d = em_at(warp, step->d);
    em_type type = step->type2 == EM_F16X2 ? EM_F16 : EM_BF16;
    uint32_t one = type == EM_F16 ? 0x3c00 : 0x3f80;
    EACH {
        uint32_t low = half_holds(step, a[l], b[l], 0, type) ? one : 0, high = half_holds(step, a[l], b[l], 16, type) ? one : 0;
        if (mask >> l & 1) d[l] = low | high << 16;
    }
    return EM_NEXT;
}

/* ---- approximations ---- */

static double approximate(em_operation operation, double x, double y) {
    switch (operation) {
    case EM_OP_FDIV_APPROX:
        if (fabs(y) > 0x1p126 && !isinf(y)) return isinf(x) ? NAN : x != x ? x : copysign(0.0, copysign(1.0, x) * copysign(1.0, y));
        return x / y;
    case EM_OP_FDIV_FULL: return x / y;
    case EM_OP_RCP_APPROX: return 1 / x;
    case EM_OP_SQRT_APPROX: return sqrt(x);
    case EM_OP_RSQRT: return 1 / sqrt(x);
    case EM_OP_SIN: return sin(x);
    case EM_OP_COS: return cos(x);
    case EM_OP_LG2: return log2(x);
    case EM_OP_EX2: return exp2(x);
    default: return tanh(x);
    }
}

static em_answer run_approximation(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t *a = em_at(warp, step->a), *b = em_at(warp, step->b);
    uint32_t *d = em_at(warp, step->d);
    bool flush = step->flags & EM_FLAG_FTZ;
    EACH {
        if (!(mask >> l & 1)) continue;
        uint32_t x = flush ? flush32(a[l]) : a[l], y = flush ? flush32(b[l]) : b[l];
        float r = (float)approximate((em_operation)step->instruction->operation, (double)real32(x), (double)real32(y));
        uint32_t bits = r == r ? bits32(r) : 0x7fffffff;
        d[l] = flush ? flush32(bits) : bits;
    }
    return EM_NEXT;
}

/* rcp.approx.ftz.f64 and rsqrt.approx.ftz.f64: subnormals flushed, the lower 32 bits of the result are zero. */
static em_answer run_approximation64(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint64_t *a = em_at(warp, step->a);
    uint64_t *d = em_at(warp, step->d), exponent = 0x7ff0000000000000;
    bool rough = step->flags & EM_FLAG_FTZ;
    EACH {
        if (!(mask >> l & 1)) continue;
        uint64_t x = a[l] & exponent || !rough ? a[l] : a[l] & (uint64_t)INT64_MIN;
        double r = step->instruction->operation == EM_OP_RSQRT ? 1 / sqrt(real64(x)) : 1 / real64(x);
        uint64_t bits = bits64(r);
        if (rough) bits = (bits & exponent ? bits : bits & (uint64_t)INT64_MIN) & 0xffffffff00000000;
        d[l] = r == r ? bits : 0x7fffffff00000000;
    }
    return EM_NEXT;
}

/* Two f32 in 64 bits, sm_100: each half as the f32 instruction. */
static em_answer run_float_pair(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t *a = em_at(warp, step->a), *b = em_at(warp, step->b), *c = em_at(warp, step->c);
    uint32_t *d = em_at(warp, step->d);
    bool flush = step->flags & EM_FLAG_FTZ;
    em_modifier mode = (em_modifier)step->mode;
    for (uint32_t k = 0; k < 2 * EM_LANES; k++) {
        if (!(mask >> k / 2 & 1)) continue;
        uint32_t x = flush ? flush32(a[k]) : a[k], y = flush ? flush32(b[k]) : b[k], z = flush ? flush32(c[k]) : c[k];
        uint32_t r = em_float_fma(step->instruction->operation == EM_OP_FADD || step->instruction->operation == EM_OP_FSUB ? 0x3f800000 : y,
                                  x, step->instruction->operation == EM_OP_FADD ? y : step->instruction->operation == EM_OP_FSUB ? y ^ 0x80000000 :
                                  step->instruction->operation == EM_OP_FMUL ? 0x80000000 : z, mode);
        d[k] = flush ? flush32(r) : r;
    }
    return EM_NEXT;
}

em_handler em_handler_float(const em_instruction *i) {
    switch ((em_type)i->type[0]) {
    case EM_F16:
    case EM_BF16: return run_half;
    case EM_F16X2:
    case EM_BF16X2: return run_half_pair;
    case EM_F32X2: return run_float_pair;
    case EM_F64: return i->operation == EM_OP_RCP_APPROX || i->operation == EM_OP_RSQRT ? run_approximation64 : NULL;
    case EM_F32: return run_approximation;
    default: return NULL;
    }
}

/* ---- conversions ---- */

static uint64_t source_bits(const void *a, uint32_t bytes, uint32_t l, em_type type) {
    uint64_t value = 0;
    memcpy(&value, (const char *)a + l * bytes, bytes);
    uint32_t size = em_type_bits(type);
    if (size < 64) value &= ((uint64_t)1 << size) - 1;
    return value;
}

static uint64_t sign_extended(uint64_t value, em_type type) {
    uint32_t size = em_type_bits(type);
    if (em_type_class(type) != EM_CLASS_SIGNED || size == 64) return value;
    return value >> (size - 1) & 1 ? value | ~(uint64_t)0 << size : value & (((uint64_t)1 << size) - 1);
}

static double integral(double x, uint8_t mode) {
    switch ((em_modifier)mode) {
    case EM_MOD_RZI: return trunc(x);
    case EM_MOD_RMI: return floor(x);
    case EM_MOD_RPI: return ceil(x);
    default: return rint(x);
    }
}

static double float_value(uint64_t bits, em_type type) {
    return type == EM_F64 ? real64(bits) : type == EM_F32 ? (double)real32((uint32_t)bits) : em_half_value((uint32_t)bits, type);
}

/* Clamped to the type's range. NaN gives zero, but 1 in the top bit for f64 sources and 64-bit results. */
static uint64_t to_integer(double x, em_type to, em_type from, uint8_t mode) {
    uint32_t size = em_type_bits(to);
    bool is_signed = em_type_class(to) == EM_CLASS_SIGNED;
    if (x != x) return from == EM_F64 || size == 64 ? (uint64_t)1 << (size - 1) : 0;
    x = integral(x, mode);
    double limit = ldexp(1.0, (int)size - is_signed);
    uint64_t most = (is_signed ? (uint64_t)1 << (size - 1) : size == 64 ? 0 : (uint64_t)1 << size) - 1;
    if (x >= limit) return most;
    if (!is_signed) return x <= 0 ? 0 : (uint64_t)x;
    return x <= -limit ? (uint64_t)1 << (size - 1) : (uint64_t)(int64_t)x;
}

static uint64_t clamp_integer(uint64_t bits, em_type to, em_type from) {
    bool from_signed = em_type_class(from) == EM_CLASS_SIGNED, to_signed = em_type_class(to) == EM_CLASS_SIGNED;
    uint32_t size = em_type_bits(to);
    uint64_t most = (to_signed ? (uint64_t)1 << (size - 1) : size == 64 ? 0 : (uint64_t)1 << size) - 1;
    uint64_t value = sign_extended(bits, from);
    if (from_signed && (int64_t)value < 0) {
        if (!to_signed) return 0;
        int64_t least = -(int64_t)most - 1;
        return (int64_t)value < least ? (uint64_t)least : value;
    }
    return value > most ? most : value;
}

static uint64_t to_float(const em_step *step, uint64_t bits, em_type to, em_type from) {
    bool real = em_type_class(from) == EM_CLASS_FLOAT;
    em_number number = em_number_read(bits, from);
    if (real && step->mode2) {
        double x = integral(float_value(bits, from), step->mode2);
        number = em_number_read(bits64(x), EM_F64);
    }
    uint64_t r = em_number_round(number, to, (em_modifier)step->mode, (step->flags & EM_FLAG_SAT) && (to == EM_TF32 || step->flags & EM_FLAG_RELU));
    if (to == EM_F64 && number.nan) r = from == EM_F64 ? bits | 0x0008000000000000 : 0x7fffffffffffffff;
    if (to == EM_F32 && step->flags & EM_FLAG_FTZ) r = flush32((uint32_t)r);
    uint64_t sign = (uint64_t)1 << (em_type_bits(to) - 1);
    if (step->flags & EM_FLAG_RELU) {
        if (!number.nan && r & sign) r = 0;
    } else if (step->flags & EM_FLAG_SAT && to != EM_TF32) {
        if (number.nan || r & sign) r = 0;
        else if (float_value(r, to) > 1) r = em_number_round((em_number){.mantissa = 1}, to, EM_MOD_RN, false);
    }
    return r;
}

static uint64_t converted(const em_step *step, uint64_t bits, em_type to, em_type from) {
    bool from_real = em_type_class(from) == EM_CLASS_FLOAT;
    if (from == EM_F32 && step->flags & EM_FLAG_FTZ) bits = flush32((uint32_t)bits);
    if (em_type_class(to) == EM_CLASS_FLOAT) return to_float(step, bits, to, from);
    if (from_real) return to_integer(float_value(bits, from), to, from, step->mode2);
    return step->flags & EM_FLAG_SAT ? clamp_integer(bits, to, from) : sign_extended(bits, from);
}

em_answer em_run_convert(em_warp *warp, const em_step *step, uint32_t mask) {
    em_type to = (em_type)step->type, from = (em_type)step->type2;
    const void *a = em_at(warp, step->a);
    char *d = em_at(warp, step->d);
    EACH {
        if (!(mask >> l & 1)) continue;
        uint64_t value = converted(step, source_bits(a, step->a_bytes, l, from), to, from);
        uint32_t size = em_type_bits(to);
        if (size < 64) value &= ((uint64_t)1 << size) - 1;
        value = sign_extended(value, to);
        memcpy(d + l * step->d_bytes, &value, step->d_bytes);
    }
    return EM_NEXT;
}

em_answer em_run_convert_pair(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t *a = em_at(warp, step->a), *b = em_at(warp, step->b);
    uint32_t *d = em_at(warp, step->d);
    em_type to = step->type == EM_F16X2 ? EM_F16 : EM_BF16;
    EACH if (mask >> l & 1) d[l] = (uint32_t)(to_float(step, a[l], to, EM_F32) << 16 | to_float(step, b[l], to, EM_F32));
    return EM_NEXT;
}

em_answer em_run_convert_pack(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t *a = em_at(warp, step->a), *b = em_at(warp, step->b), *c = em_at(warp, step->c);
    uint32_t *d = em_at(warp, step->d), size = em_type_bits((em_type)step->type), low = (1u << size) - 1;
    EACH {
        uint32_t x = (uint32_t)clamp_integer(a[l], (em_type)step->type, EM_S32) & low, y = (uint32_t)clamp_integer(b[l], (em_type)step->type, EM_S32) & low;
        if (mask >> l & 1) d[l] = (size == 8 ? c[l] << 16 : 0) | x << size | y;
    }
    return EM_NEXT;
}
