/* f32 and f64 handlers of rounding to nearest, comparisons, plain conversions; a part of lanes.c. NaN results of f32 are 0x7fffffff. */
static inline uint32_t bits32(float x) { uint32_t r; memcpy(&r, &x, 4); return r; }
static inline uint64_t bits64(double x) { uint64_t r; memcpy(&r, &x, 8); return r; }
static inline float real32(uint32_t x) { float r; memcpy(&r, &x, 4); return r; }
static inline double real64(uint64_t x) { double r; memcpy(&r, &x, 8); return r; }
static inline uint32_t clean32(float x) { return x == x ? bits32(x) : 0x7fffffff; }

LANE2(fadd32, uint32_t, float, float, clean32(x + y))
LANE2(fsub32, uint32_t, float, float, clean32(x - y))
LANE2(fmul32, uint32_t, float, float, clean32(x * y))
LANE2(fdiv32, uint32_t, float, float, clean32(x / y))
LANE3(fma32, uint32_t, float, float, float, clean32(__builtin_fmaf(x, y, z)))
LANE1(rcp32, uint32_t, float, clean32(1.0f / x))
LANE1(sqrt32, uint32_t, float, clean32(__builtin_sqrtf(x)))
LANE2(fadd64, double, double, double, x + y)
LANE2(fsub64, double, double, double, x - y)
LANE2(fmul64, double, double, double, x * y)
LANE2(fdiv64, double, double, double, x / y)
LANE3(fma64, double, double, double, double, __builtin_fma(x, y, z))
LANE1(rcp64, double, double, 1.0 / x)
LANE1(sqrt64, double, double, __builtin_sqrt(x))
LANE1(fabs32, uint32_t, float, x == x ? bits32(x) & 0x7fffffff : 0x7fffffff)
LANE1(fneg32, uint32_t, float, x == x ? bits32(x) ^ 0x80000000 : 0x7fffffff)
LANE1(fabs64, uint64_t, uint64_t, x & INT64_MAX)
LANE1(fneg64, uint64_t, uint64_t, x ^ (uint64_t)INT64_MIN)
LANE2(copysign32, uint32_t, uint32_t, uint32_t, (x & 0x80000000) | (y & 0x7fffffff))
LANE2(copysign64, uint64_t, uint64_t, uint64_t, (x & (uint64_t)INT64_MIN) | (y & INT64_MAX))

/* Of a number and a NaN the number is taken; -0 is less than +0. */
static inline uint32_t least32(float x, float y) {
    uint32_t r = x < y ? bits32(x) : y < x ? bits32(y) : x == y ? bits32(x) | bits32(y) : x == x ? bits32(x) : bits32(y);
    return x == x || y == y ? r : 0x7fffffff;
}
static inline uint32_t most32(float x, float y) {
    uint32_t r = x > y ? bits32(x) : y > x ? bits32(y) : x == y ? bits32(x) & bits32(y) : x == x ? bits32(x) : bits32(y);
    return x == x || y == y ? r : 0x7fffffff;
}
static inline uint64_t least64(double x, double y) {
    uint64_t r = x < y ? bits64(x) : y < x ? bits64(y) : x == y ? bits64(x) | bits64(y) : x == x ? bits64(x) : bits64(y);
    return x == x || y == y ? r : 0x7fffffffffffffff;
}
static inline uint64_t most64(double x, double y) {
    uint64_t r = x > y ? bits64(x) : y > x ? bits64(y) : x == y ? bits64(x) & bits64(y) : x == x ? bits64(x) : bits64(y);
    return x == x || y == y ? r : 0x7fffffffffffffff;
}
LANE2(fmin32, uint32_t, float, float, least32(x, y))
LANE2(fmax32, uint32_t, float, float, most32(x, y))
LANE2(fmin64, uint64_t, double, double, least64(x, y))
LANE2(fmax64, uint64_t, double, double, most64(x, y))
LANE2(fmin_nan32, uint32_t, float, float, x != x || y != y ? 0x7fffffff : least32(x, y))
LANE2(fmax_nan32, uint32_t, float, float, x != x || y != y ? 0x7fffffff : most32(x, y))

/* Comparisons give a bit per lane. */
static inline uint32_t pack(const uint32_t *r) {
    uint32_t m = 0;
    EACH m |= (r[l] & 1) << l;
    return m;
}
#define COMPARE(name, T, expression) static uint32_t name(const void *first, const void *second) { \
        const T *a = __builtin_assume_aligned(first, 64), *b = __builtin_assume_aligned(second, 64); \
        _Alignas(64) uint32_t r[EM_LANES]; \
        EACH { T x = a[l], y = b[l]; r[l] = (uint32_t)(expression); } \
        return pack(r); \
    }
#define COMPARE_ALL(suffix, T) COMPARE(eq_##suffix, T, x == y) COMPARE(ne_##suffix, T, x != y) COMPARE(lt_##suffix, T, x < y) \
    COMPARE(le_##suffix, T, x <= y) COMPARE(gt_##suffix, T, x > y) COMPARE(ge_##suffix, T, x >= y)
#define COMPARE_FLOAT(suffix, T) COMPARE(eq_##suffix, T, x == y) COMPARE(ne_##suffix, T, x < y || x > y) COMPARE(lt_##suffix, T, x < y) \
    COMPARE(le_##suffix, T, x <= y) COMPARE(gt_##suffix, T, x > y) COMPARE(ge_##suffix, T, x >= y) \
    COMPARE(equ_##suffix, T, !(x < y || x > y)) COMPARE(neu_##suffix, T, x != y) COMPARE(ltu_##suffix, T, !(x >= y)) \
    COMPARE(leu_##suffix, T, !(x > y)) COMPARE(gtu_##suffix, T, !(x <= y)) COMPARE(geu_##suffix, T, !(x < y)) \
    COMPARE(num_##suffix, T, x == x && y == y) COMPARE(nan_##suffix, T, x != x || y != y)
COMPARE_ALL(u16, uint16_t)
COMPARE_ALL(s16, int16_t)
COMPARE_ALL(u32, uint32_t)
COMPARE_ALL(s32, int32_t)
COMPARE_ALL(u64, uint64_t)
COMPARE_ALL(s64, int64_t)
COMPARE_FLOAT(f32, float)
COMPARE_FLOAT(f64, double)

HANDLER(setp) {
    uint32_t m = step->compare(em_at(warp, step->a), em_at(warp, step->b));
    *em_predicate(warp, step->d) = (*em_predicate(warp, step->d) & ~mask) | (m & mask);
    return EM_NEXT;
}

static inline uint32_t boolean(uint8_t mode, uint32_t p, uint32_t q) {
    return mode == EM_MOD_AND ? p & q : mode == EM_MOD_OR ? p | q : mode == EM_MOD_XOR ? p ^ q : p;
}

/* Both destinations, or a third operand. */
HANDLER(setp_full) {
    uint32_t m = step->compare(em_at(warp, step->a), em_at(warp, step->b));
    uint32_t third = *em_predicate(warp, step->c) ^ (uint32_t)step->imm;
    uint32_t p = boolean(step->mode2, m, third), q = boolean(step->mode2, ~m, third);
    if (step->d) *em_predicate(warp, step->d) = (*em_predicate(warp, step->d) & ~mask) | (p & mask);
    if (step->e) *em_predicate(warp, step->e) = (*em_predicate(warp, step->e) & ~mask) | (q & mask);
    return EM_NEXT;
}

#define SET(name, T, yes) HANDLER(name) { \
        uint32_t m = step->compare(em_at(warp, step->a), em_at(warp, step->b)); \
        m = boolean(step->mode2, m, *em_predicate(warp, step->c) ^ (uint32_t)step->imm); \
        _Alignas(64) T r[EM_LANES]; \
        EACH r[l] = m >> l & 1 ? yes : 0; \
        put(warp, step->d, r, mask, sizeof(T)); \
        return EM_NEXT; \
    }
SET(set_integer, uint32_t, UINT32_MAX)
SET(set_float, uint32_t, 0x3f800000)
SET(set_f16, uint16_t, 0x3c00)
SET(set_bf16, uint16_t, 0x3f80)
SET(set_integer16, uint16_t, UINT16_MAX)

#define LOGIC(name, expression) HANDLER(name) { \
        uint32_t x = *em_predicate(warp, step->a), y = *em_predicate(warp, step->b), *d = em_predicate(warp, step->d); \
        x = step->imm & 2 ? ~x : x, y = step->imm & 4 ? ~y : y; \
        (void)y; \
        *d = (*d & ~mask) | ((expression) & mask); \
        return EM_NEXT; \
    }
LOGIC(and_pred, x & y)
LOGIC(or_pred, x | y)
LOGIC(xor_pred, x ^ y)
LOGIC(not_pred, ~x)
LOGIC(mov_pred, x)

static inline uint32_t testp32(uint32_t x, uint8_t mode) {
    uint32_t magnitude = x & 0x7fffffff;
    switch (mode) {
    case EM_MOD_FINITE: return magnitude < 0x7f800000;
    case EM_MOD_INFINITE: return magnitude == 0x7f800000;
    case EM_MOD_NUMBER: return magnitude <= 0x7f800000;
    case EM_MOD_NOTANUMBER: return magnitude > 0x7f800000;
    case EM_MOD_NORMAL: return magnitude >= 0x00800000 && magnitude < 0x7f800000;
    default: return magnitude && magnitude < 0x00800000;
    }
}
static inline uint32_t testp64(uint64_t x, uint8_t mode) {
    uint64_t magnitude = x & INT64_MAX, infinity = 0x7ff0000000000000, least = 0x0010000000000000;
    switch (mode) {
    case EM_MOD_FINITE: return magnitude < infinity;
    case EM_MOD_INFINITE: return magnitude == infinity;
    case EM_MOD_NUMBER: return magnitude <= infinity;
    case EM_MOD_NOTANUMBER: return magnitude > infinity;
    case EM_MOD_NORMAL: return magnitude >= least && magnitude < infinity;
    default: return magnitude && magnitude < least;
    }
}
#define TESTP(name, T, function) HANDLER(name) { \
        SOURCE(T, a, step->a); \
        _Alignas(64) uint32_t r[EM_LANES]; \
        EACH r[l] = function(a[l], step->mode); \
        uint32_t m = pack(r), *d = em_predicate(warp, step->d); \
        *d = (*d & ~mask) | (m & mask); \
        return EM_NEXT; \
    }
TESTP(testp_f32, uint32_t, testp32)
TESTP(testp_f64, uint64_t, testp64)

/* Plain conversions between registers of the types' sizes. */
LANE1(cvt_u64_u32, uint64_t, uint32_t, x)
LANE1(cvt_s64_s32, int64_t, int32_t, x)
LANE1(cvt_u32_u64, uint32_t, uint64_t, x)
LANE1(cvt_u32_u16, uint32_t, uint16_t, x)
LANE1(cvt_s32_s16, int32_t, int16_t, x)
LANE1(cvt_u16_u32, uint16_t, uint32_t, x)
LANE1(cvt_f32_s32, float, int32_t, x)
LANE1(cvt_f32_u32, float, uint32_t, x)
LANE1(cvt_f64_s32, double, int32_t, x)
LANE1(cvt_f64_u32, double, uint32_t, x)
LANE1(cvt_f64_s64, double, int64_t, x)
LANE1(cvt_f64_u64, double, uint64_t, x)
LANE1(cvt_f32_s64, float, int64_t, x)
LANE1(cvt_f32_u64, float, uint64_t, x)
LANE1(cvt_f64_f32, double, float, x)
LANE1(cvt_f32_f64, uint32_t, double, clean32((float)x))
LANE1(cvt_s32_f32, int32_t, float, x != x ? 0 : x >= 0x1p31f ? INT32_MAX : x <= -0x1p31f ? INT32_MIN : (int32_t)x)
LANE1(cvt_s32_f64, int32_t, double, x != x ? INT32_MIN : x >= 0x1p31 ? INT32_MAX : x <= -0x1p31 ? INT32_MIN : (int32_t)x)
