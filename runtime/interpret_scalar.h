/* Scalar helpers of the interpreter's handlers, used by the expressions of ir/bytecode.def. */
#ifndef QN__INTERPRET_SCALAR_H
#define QN__INTERPRET_SCALAR_H

#include "runtime/half.h"

#include <stdint.h>

typedef uint8_t __attribute__((may_alias)) memory_8;
typedef uint16_t __attribute__((may_alias)) memory_16;
typedef uint32_t __attribute__((may_alias)) memory_32;
typedef uint64_t __attribute__((may_alias)) memory_64;
typedef float __attribute__((may_alias)) memory_f32;
typedef double __attribute__((may_alias)) memory_f64;

/* IEEE 754-2019 minimum and maximum: NaN wins, -0 is less than +0. */
static inline float minimum_f32(float a, float b) {
    if (a < b) return a;
    if (b < a) return b;
    if (a != b) return a + b;
    return __builtin_signbitf(a) ? a : b;
}
static inline double minimum_f64(double a, double b) {
    if (a < b) return a;
    if (b < a) return b;
    if (a != b) return a + b;
    return __builtin_signbit(a) ? a : b;
}
static inline float maximum_f32(float a, float b) {
    if (a > b) return a;
    if (b > a) return b;
    if (a != b) return a + b;
    return __builtin_signbitf(a) ? b : a;
}
static inline double maximum_f64(double a, double b) {
    if (a > b) return a;
    if (b > a) return b;
    if (a != b) return a + b;
    return __builtin_signbit(a) ? b : a;
}

static inline int32_t saturate_signed(double x, int32_t low, int32_t high) {
    if (x != x) return 0;
    return x <= low ? low : x >= high ? high : (int32_t)x;
}
static inline uint32_t saturate_unsigned(double x, uint32_t high) {
    if (!(x > 0)) return 0;
    return x >= high ? high : (uint32_t)x;
}
static inline int64_t saturate_i64(double x) {
    if (x != x) return 0;
    return x < -0x1p63 ? INT64_MIN : x >= 0x1p63 ? INT64_MAX : (int64_t)x;
}
static inline uint64_t saturate_u64(double x) {
    if (!(x > 0)) return 0;
    return x >= 0x1p64 ? UINT64_MAX : (uint64_t)x;
}

#define divide_signed(a, b) ((b) == 0 ? 0 : (b) == -1 ? (__typeof__(a))(0 - (uint64_t)(a)) : (a) / (b))
#define remainder_signed(a, b) ((b) == 0 || (b) == -1 ? 0 : (a) % (b))

#endif
