/* The 16-bit float formats: exact conversions to f32 and correctly rounded ones (nearest, ties to even) from f32, f64 and 64-bit
 * integers. Each rounds once. The unit tests hold them against ir/eval.c, which is written in another way. */
#ifndef QN__HALF_H
#define QN__HALF_H

#include <stdint.h>
#include <string.h>

static inline uint64_t qn__bits_of_f64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float qn__f32_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float qn__f32_of_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7FFF) << 13;
    if ((half & 0x7C00) == 0x7C00) return qn__f32_of_bits(sign | rest | 0x7F800000);
    float x = qn__f32_of_bits(rest) * 0x1p112f; /* moves the exponent's bias from 15 to 127, subnormals included */
    return sign ? -x : x;
}

static inline float qn__f32_of_bf16(uint16_t half) { return qn__f32_of_bits((uint32_t)half << 16); }

/* fraction, exponent: stored bits of the 16-bit format. */
static inline uint16_t qn__half_of_f64(double x, int fraction, int exponent) {
    uint64_t bits = qn__bits_of_f64(x), magnitude = bits & UINT64_C(0x7FFFFFFFFFFFFFFF);
    uint32_t sign = (uint32_t)(bits >> 48) & 0x8000;
    int bias = (1 << (exponent - 1)) - 1;
    uint32_t infinity = ((1U << exponent) - 1) << fraction;
    if (magnitude > UINT64_C(0x7FF0000000000000)) return (uint16_t)(sign | infinity | 1U << (fraction - 1));
    if (magnitude >= (uint64_t)(1023 + bias + 1) << 52) return (uint16_t)(sign | infinity);
    if (magnitude < (uint64_t)(1023 + 1 - bias) << 52) { /* subnormal: count units of the last place by adding 2^52 */
        double units = (x < 0 ? -x : x) * (fraction == 10 ? 0x1p24 : 0x1p133);
        return (uint16_t)(sign | (uint32_t)(qn__bits_of_f64(units + 0x1p52) & 0xFFFF));
    }
    int drop = 52 - fraction;
    magnitude += (UINT64_C(1) << (drop - 1)) - 1 + ((magnitude >> drop) & 1);
    return (uint16_t)(sign | (uint32_t)((magnitude >> drop) - ((uint64_t)(1023 - bias) << fraction)));
}

static inline uint16_t qn__f16_of_f64(double x) { return qn__half_of_f64(x, 10, 5); }
static inline uint16_t qn__bf16_of_f64(double x) { return qn__half_of_f64(x, 7, 8); }

/* What does not fit the 53 bits of f64 is kept as one sticky bit far below bf16's last, so the second rounding is right. (f16 is
 * infinite long before.) */
static inline double qn__sticky_f64(uint64_t x) {
    if (x >> 53) x = (x & ~UINT64_C(0x7FF)) | (uint64_t)((x & 0x7FF) != 0) << 11;
    return (double)x;
}

static inline uint16_t qn__bf16_of_u64(uint64_t x) { return qn__bf16_of_f64(qn__sticky_f64(x)); }
static inline uint16_t qn__bf16_of_i64(int64_t x) {
    double magnitude = qn__sticky_f64(x < 0 ? 0 - (uint64_t)x : (uint64_t)x);
    return qn__bf16_of_f64(x < 0 ? -magnitude : magnitude);
}

#endif
