/* Kernels that nvcc and clang compiled, at -O3 and -O0 (nvcc/NAME.ptx, NAME.O0.ptx, NAME.clang3.ptx, NAME.clang0.ptx), against the same computation here. nvcc's
 * run with one worker and with two. */
#include "core.h"

#include <criterion/criterion.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum filling { WORDS, BYTES, FLOATS, SMALL_FLOATS, WILD_FLOATS, DOUBLES, WILD_DOUBLES, HALVES, LONGS } filling;
typedef struct test_case {
    const char *name;
    filling fill;
    size_t in_bytes, out_bytes;
    int n;
    uint32_t grid[3], block[3], shared;
    void (*reference)(void *out, const void *in, int n);
    double tolerance;            /* relative; 0: the same bytes; of `unit` numbers */
    int unit;                    /* 4: floats, 8: doubles */
    const void *more;            /* parameters behind (out, in, n) */
    size_t more_bytes;
} test_case;

#define T(kind) kind *o = out; const kind *x = in
static uint32_t bits_of(float v) { uint32_t r; memcpy(&r, &v, 4); return r; }
static float float_of(uint32_t v) { float r; memcpy(&r, &v, 4); return r; }

static void saxpy(void *out, const void *in, int n) { T(float); for (int i = 0; i < n; i++) o[i] = fmaf(2.5f, x[i], 1.0f); }

static void mandelbrot(void *out, const void *in, int n) {
    int *o = out;
    const float *v = in;
    for (int i = 0; i < n; i++) {
        float x = 0, y = 0;
        int k = 0;
        while (k < 100 && x * x + y * y < 4.0f) {
            float t = x * x - y * y + v[i];
            y = 2.0f * x * y + v[n - 1 - i];
            x = t;
            k++;
        }
        o[i] = k;
    }
}

static void reduce(void *out, const void *in, int n) { T(uint32_t); for (int i = 0; i < n; i++) *o += x[i]; }

static void scan(void *out, const void *in, int n) {
    T(uint32_t);
    for (int i = 0; i < n; i++) o[i] = x[i] + (i % 128 ? o[i - 1] : 0);
}

static void transpose(void *out, const void *in, int n) { T(uint32_t); for (int i = 0; i < n * n; i++) o[i % n * n + i / n] = x[i]; }

static void histogram(void *out, const void *in, int n) { uint32_t *o = out; const uint8_t *x = in; for (int i = 0; i < n; i++) o[x[i]]++; }

static void integer64(void *out, const void *in, int n) {
    T(uint64_t);
    for (int i = 0; i < n; i++) {
        uint64_t a = x[i], b = x[(i + 1) % n], r = 0;
        int64_t s = (int64_t)a, t = (int64_t)b;
        r += a * b;
        r ^= (uint64_t)((unsigned __int128)a * b >> 64);
        r += (uint64_t)((__int128)s * t >> 64);
        if (b) r ^= a / b, r += a % b;
        if (t && t != -1) r ^= (uint64_t)(s / t), r += (uint64_t)(s % t);
        r += (uint64_t)(__builtin_popcountll(a) + (b ? __builtin_clzll(b) : 64) + __builtin_ffsll(s));
        uint64_t rev = 0;
        for (int k = 0; k < 64; k++) rev |= (a >> k & 1) << (63 - k);
        r ^= rev;
        r += (a << (b & 63)) ^ (a >> (b & 31)) ^ (uint64_t)(s >> (b & 63));
        r += s < t ? 1 : 2;
        r ^= a > b ? a - b : b - a;
        o[i] = r;
    }
}

static uint32_t permute(uint32_t a, uint32_t b, uint32_t s) {
    uint64_t both = (uint64_t)b << 32 | a;
    uint32_t r = 0;
    for (int k = 0; k < 4; k++) r |= (uint32_t)(both >> 8 * (s >> 4 * k & 7) & 255) << 8 * k;
    return r;
}

static void bits(void *out, const void *in, int n) {
    T(uint32_t);
    for (int i = 0; i < n; i++) {
        uint32_t a = x[i], b = x[(i + 1) % n], c = x[(i + 2) % n], r = 0;
        uint64_t both = (uint64_t)b << 32 | a;
        r += (a & b) | (~a & c);
        r ^= a ^ b ^ c;
        uint32_t clamp = (c & 63) > 32 ? 32 : c & 63;
        r += (uint32_t)(both << (c & 31) >> 32) + (uint32_t)(both >> clamp);
        r ^= permute(a, b, c & 0x7777);
        r += (uint32_t)(__builtin_popcount(a) + (b ? __builtin_clz(b) : 32) + __builtin_ffs((int)c));
        uint32_t rev = 0;
        for (int k = 0; k < 32; k++) rev |= (a >> k & 1) << (31 - k);
        r ^= rev;
        r += a >> 5 & 0x3ff;
        r ^= (uint32_t)((int32_t)(b << 7) >> 20);
        r += (uint32_t)((uint64_t)a * b >> 32) ^ (uint32_t)((int64_t)(int32_t)a * (int32_t)b >> 32);
        int64_t d = (int64_t)(int32_t)a - (int32_t)b;
        r ^= (a > b ? a - b : b - a) + c + (uint32_t)(d < 0 ? -d : d) + c;
        int64_t sa = (int32_t)(a << 8) >> 8, sb = (int32_t)(b << 8) >> 8;
        r += (uint32_t)((uint64_t)(a & 0xffffff) * (b & 0xffffff)) ^ (uint32_t)(sa * sb);
        r ^= (a & 0xffffff00u) | (b & 0xff);
        r = r << 13 | r >> 19;
        o[i] = r;
    }
}

static void narrow(void *out, const void *in, int n) {
    T(int32_t);
    for (int i = 0; i < n; i++) {
        int32_t a = x[i], b = x[(i + 1) % n];
        int8_t c = (int8_t)a;
        uint8_t u = (uint8_t)b;
        int16_t s = (int16_t)(a >> 3);
        uint16_t w = (uint16_t)(b >> 5);
        uint32_t r = (uint32_t)(c * u + s - w);
        c = (int8_t)(c + u);
        s = (int16_t)((uint32_t)s * w);
        w = (uint16_t)(w / (u + 1));
        u = (uint8_t)(u >> 2);
        r ^= ((uint32_t)c << 16) + (uint32_t)s + w + u;
        int32_t p = 7, q = 9, y0 = 3, y1 = 5;
        for (int k = 0; k < 4; k++) p += (int8_t)(a >> 8 * k) * (int8_t)(b >> 8 * k), q += (uint8_t)(a >> 8 * k) * (uint8_t)(b >> 8 * k);
        for (int k = 0; k < 2; k++) y0 += (int16_t)(a >> 16 * k) * (int8_t)(b >> 8 * k), y1 += (int16_t)(a >> 16 * k) * (int8_t)(b >> 8 * (k + 2));
        r += (uint32_t)((p ^ q) + y0 + y1);
        r += (uint32_t)((int8_t)a * 3 + (int8_t)(a >> 8) * 5 - (int8_t)(a >> 16) * 7 + (int8_t)(a >> 24));
        r ^= (uint32_t)((int16_t)a * (int16_t)(a >> 16));
        o[i] = (int32_t)r;
    }
}

/* The four roundings in the kernels' order: nearest, zero, up, down. */
static const int modes[4] = {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD};

static void rounding32(void *out, const void *in, int n) {
    float *o = out;
    const volatile float *x = in;
    for (int i = 0; i < n; i++, o += 24) {
        for (int m = 0; m < 4; m++) {
            fesetround(modes[m]);
            volatile float a = x[i], b = x[(i + 1) % n], c = x[(i + 2) % n], p = fabsf(a), one = 1;
            o[m] = a + b, o[4 + m] = a * b, o[8 + m] = fmaf(a, b, c), o[12 + m] = a / b, o[16 + m] = sqrtf(p), o[20 + m] = one / p;
            fesetround(FE_TONEAREST);
        }
        for (int k = 0; k < 24; k++) {
            if (o[k] != o[k]) o[k] = float_of(0x7fffffff);
        }
    }
}

static void rounding64(void *out, const void *in, int n) {
    double *o = out;
    const volatile double *x = in;
    for (int i = 0; i < n; i++, o += 24) {
        for (int m = 0; m < 4; m++) {
            fesetround(modes[m]);
            volatile double a = x[i], b = x[(i + 1) % n], c = x[(i + 2) % n], p = fabs(a), one = 1;
            o[m] = a + b, o[4 + m] = a * b, o[8 + m] = fma(a, b, c), o[12 + m] = a / b, o[16 + m] = sqrt(p), o[20 + m] = one / p;
            fesetround(FE_TONEAREST);
        }
    }
}

static void fast(void *out, const void *in, int n) {
    float *o = out;
    const float *x = in;
    for (int i = 0; i < n; i++, o += 8) {
        double a = (double)x[i], p = (double)(fabsf(x[i]) + 0.5f);
        double r[8] = {sin(a), cos(a), exp(a), log(p), 1 / sqrt(p), a / p, tanh(a), a > 1 ? 1 : a > 0 ? a : 0};
        for (int k = 0; k < 8; k++) o[k] = (float)r[k];
    }
}

static void libm32(void *out, const void *in, int n) {
    float *o = out;
    const float *x = in;
    for (int i = 0; i < n; i++, o += 10) {
        double a = (double)x[i], p = (double)(fabsf(x[i]) + 0.5f);
        double r[10] = {sin(a), exp(a), log(p), pow(p, (double)1.7f), atan(a), tanh(a), erf(a), cbrt(a), (double)fmodf(x[i], 0.7f), sin((double)(x[i] * 1e6f))};
        for (int k = 0; k < 10; k++) o[k] = (float)r[k];
    }
}

static void libm64(void *out, const void *in, int n) {
    double *o = out;
    const double *x = in;
    for (int i = 0; i < n; i++, o += 8) {
        double a = x[i], p = fabs(a) + 0.5;
        double r[8] = {sin(a), exp(a), log(p), pow(p, 1.7), atan(a), tgamma(p), cos(a * 1e9), floor(a) + rint(a) + trunc(a) + ceil(a)};
        memcpy(o, r, sizeof r);
    }
}

static float half_in(uint16_t h) {
    int e = h >> 10 & 31, m = h & 1023;
    float v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexpf((float)(m + 1024), e - 25) : ldexpf((float)m, -24);
    return h >> 15 ? -v : v;
}

/* Nearest even by search: slow, and unlike what is tested. */
static uint16_t half_out(double v) {
    if (v != v) return 0x7fff;
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    double a = fabs(v);
    if (a >= 65520) return sign | 0x7c00;
    uint16_t low = 0, high = 0x7bff;
    while (low < high) {
        uint16_t middle = (uint16_t)((low + high + 1) / 2);
        if ((double)half_in(middle) <= a) low = middle;
        else high = (uint16_t)(middle - 1);
    }
    if (low == 0x7bff) return sign | low;
    double below = a - (double)half_in(low), above = (double)half_in((uint16_t)(low + 1)) - a;
    return sign | (uint16_t)(below < above || (below == above && !(low & 1)) ? low : low + 1);
}

/* Products are exact in long double; sums are not where the terms differ much, and are rounded to odd. */
static long double odd_sum(long double product, long double addend) {
    long double sum = product + addend, other = sum - product, error = (product - (sum - other)) + (addend - other);
    uint64_t low;
    memcpy(&low, &sum, 8);
    if (isfinite(sum) && error != 0 && !(low & 1)) sum = nextafterl(sum, error > 0 ? INFINITY : -INFINITY);
    return sum;
}

static uint16_t half_fma(uint16_t a, uint16_t b, uint16_t c) {
    long double s = odd_sum((long double)half_in(a) * (long double)half_in(b), (long double)half_in(c));
    double d = (double)s;
    if (isfinite(d) && (long double)d != s) { /* to odd */
        uint64_t w;
        memcpy(&w, &d, 8);
        if (!(w & 1)) d = nextafter(d, s > (long double)d ? INFINITY : -INFINITY);
    }
    return half_out(d);
}

static bool half_nan(uint16_t h) { return (h & 0x7fff) > 0x7c00; }

static uint16_t half_least(uint16_t a, uint16_t b, bool most) {
    if (half_nan(a)) return half_nan(b) ? 0x7fff : b;
    if (half_nan(b)) return a;
    float x = half_in(a), y = half_in(b);
    if (x == y) return most ? a & b : a | b;
    return (x < y) != most ? a : b;
}

static void half(void *out, const void *in, int n) {
    uint16_t *o = out;
    const uint16_t *x = in;
    for (int i = 0; i < n; i++, o += 12) {
        uint16_t a = x[i], b = x[(i + 1) % n], c = x[(i + 2) % n];
        float fa = half_in(a), fb = half_in(b), fc = half_in(c);
        o[0] = half_out((double)fa + (double)fb), o[1] = half_out((double)fa - (double)fb), o[2] = half_out((double)fa * (double)fb), o[3] = half_fma(a, b, c);
        o[4] = half_least(a, b, false), o[5] = half_least(a, b, true);
        o[6] = half_nan(a) ? 0x7fff : a ^ 0x8000, o[7] = half_nan(a) ? 0x7fff : a & 0x7fff;
        o[8] = (uint16_t)((int)(fa < fb) | (int)(fa == fc) << 1 | (int)!(fa < fb) << 2 | (int)(fa != fa) << 3);
        o[9] = half_out((double)(fa * 1.1f));
        double t = fa != fa ? 0 : trunc((double)fa);
        o[10] = (uint16_t)(int32_t)(t > 2147483647.0 ? 2147483647.0 : t < -2147483648.0 ? -2147483648.0 : t);
        o[11] = half_out(i * 37);
    }
}

static void half2(void *out, const void *in, int n) {
    uint16_t *o = out;
    const uint16_t *x = in;
    for (int i = 0; i < n; i++, o += 8) {
        for (int k = 0; k < 2; k++) {
            uint16_t a = x[2 * i + k], b = x[(2 * i + 2) % (2 * n) + k];
            o[k] = half_fma(a, b, a), o[2 + k] = half_out((double)half_in(a) + (double)half_in(b)), o[4 + k] = half_out((double)half_in(a) * (double)half_in(b));
            o[6 + k] = half_least(a, b, false);
        }
    }
}

static double brain_in(uint16_t h) { return (double)float_of((uint32_t)h << 16); }

/* To odd in f32's 24 bits, then to nearest: both exact enough for 8 bits. */
static uint16_t brain_out(long double v) {
    if (v != v) return 0x7fff;
    float f = (float)v;
    if (isinf(f)) return (uint16_t)(bits_of(f) >> 16);
    if ((long double)f != v && !(bits_of(f) & 1)) f = nextafterf(f, v > (long double)f ? INFINITY : -INFINITY);
    uint32_t w = bits_of(f);
    if (isinf(f)) w = bits_of(f) - 1;
    uint32_t rest = w & 0xffff;
    w >>= 16;
    if (rest > 0x8000 || (rest == 0x8000 && (w & 1))) w++;
    return (uint16_t)w;
}

static void bfloat(void *out, const void *in, int n) {
    uint16_t *o = out;
    const uint16_t *x = in;
    for (int i = 0; i < n; i++, o += 6) {
        long double a = (long double)brain_in(x[i]), b = (long double)brain_in(x[(i + 1) % n]), c = (long double)brain_in(x[(i + 2) % n]);
        o[0] = brain_out(a + b), o[1] = brain_out(a - b), o[2] = brain_out(a * b), o[3] = brain_out(odd_sum(a * b, c));
        float t = (float)a * 1.1f;
        o[4] = brain_out((long double)t), o[5] = a < b;
    }
}

static double clamp(double v, double least, double most, double nan) { return v != v ? nan : v < least ? least : v > most ? most : v; }
static int64_t to_signed(double v, bool wide, bool from_double) {
    if (v != v) return wide ? INT64_MIN : from_double ? INT32_MIN : 0;
    if (wide) return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v;
    return (int64_t)clamp(v, -2147483648.0, 2147483647.0, 0);
}
static uint64_t to_unsigned(double v, bool wide, bool from_double) {
    if (v != v) return wide ? (uint64_t)INT64_MIN : from_double ? 0x80000000 : 0;
    return wide ? (v >= 0x1p64 ? UINT64_MAX : v <= 0 ? 0 : (uint64_t)v) : (uint64_t)clamp(v, 0, 4294967295.0, 0);
}

static void convert(void *out, const void *in, int n) {
    int64_t *o = out;
    const double *x = in;
    for (int i = 0; i < n; i++, o += 20) {
        double d = x[i], f = (double)(float)d;
        o[0] = to_signed(rint(f), false, false), o[1] = to_signed(trunc(f), false, false), o[2] = to_signed(ceil(f), false, false), o[3] = to_signed(floor(f), false, false);
        o[4] = to_signed(rint(d), false, true), o[5] = to_signed(trunc(d), false, true), o[6] = to_signed(ceil(d), false, true), o[7] = to_signed(floor(d), false, true);
        o[8] = to_signed(rint(f), true, false), o[9] = (int64_t)to_unsigned(trunc(f), true, false), o[10] = to_signed(floor(d), true, true);
        o[11] = (int64_t)to_unsigned(ceil(d), true, true), o[12] = (int64_t)to_unsigned(trunc(f), false, false), o[13] = (int64_t)to_unsigned(rint(d), false, true);
        volatile int32_t w = (int32_t)(uint32_t)((uint64_t)o[0] * 3 + 16777217);
        volatile int64_t q = (int64_t)((uint64_t)o[8] * 5 + 1), s = (int64_t)((uint64_t)o[10] * 7 + 1);
        volatile double dd = d;
        fesetround(FE_TOWARDZERO);
        volatile float r14 = (float)w, r17 = (float)dd;
        fesetround(FE_UPWARD);
        volatile float r15 = (float)q, r18 = (float)dd;
        fesetround(FE_DOWNWARD);
        volatile double r16 = (double)s;
        fesetround(FE_TONEAREST);
        o[14] = (int32_t)bits_of(r14), o[15] = (int32_t)bits_of(r15);
        double r16_value = r16;
        memcpy(&o[16], &r16_value, 8);
        o[17] = r17 == r17 ? (int32_t)bits_of(r17) : 0x7fffffff, o[18] = r18 == r18 ? (int32_t)bits_of(r18) : 0x7fffffff;
        o[19] = (int8_t)o[1];
    }
}

static void vote(void *out, const void *in, int n) {
    uint32_t *o = out;
    const uint32_t *x = in;
    for (int w = 0; w < n; w += 32) {
        uint32_t ballot = 0, add = 0, most = 0, exor = 0, fours = 0;
        int32_t least = INT32_MAX;
        bool any = false, all = true, same = true;
        for (int l = 0; l < 32; l++) {
            uint32_t v = x[w + l];
            ballot |= (v & 1) << l, any |= v % 37 == 0, all &= v != 5, same &= v >> 31 == x[w] >> 31;
            add += v, most = v > most ? v : most, least = (int32_t)v < least ? (int32_t)v : least, exor ^= v;
            if (v & 2) fours |= (v >> 2 & 1) << l;
        }
        for (int l = 0; l < 32; l++) {
            uint32_t v = x[w + l], r = ballot, match = 0;
            r += (uint32_t)any * 3 + (uint32_t)all * 7;
            for (int k = 0; k < 32; k++) match |= (uint32_t)(x[w + k] % 4 == v % 4) << k;
            r ^= match;
            r += (same ? 0xffffffff : 0) + same;
            r ^= 0xffffffff;
            r += add ^ most ^ (uint32_t)least ^ exor;
            if (v & 2) r ^= fours;
            o[w + l] = r + (uint32_t)l;
        }
    }
}

static void shuffle(void *out, const void *in, int n) {
    T(int32_t);
    for (int i = 0; i < n; i++) {
        const int32_t *w = x + i / 32 * 32;
        int l = i % 32, v = x[i];
        uint32_t r = (uint32_t)w[v & 31] + 3u * (uint32_t)(l % 8 >= 3 ? w[l - 3] : v) + 5u * (uint32_t)(l % 16 + 5 < 16 ? w[l + 5] : v) + 7u * (uint32_t)w[l ^ 9];
        r += (uint32_t)w[l / 4 * 4 + 2];
        o[i] = (int32_t)(r + (uint32_t)(int32_t)((double)w[l ^ 1] * 0.5));
    }
}

static void atomics(void *out, const void *in, int n) {
    uint64_t *o = out;
    uint32_t *u = out;
    const uint32_t *x = in;
    float sum = 0;
    double total = 0;
    int ones = 0;
    for (int i = 0; i < n; i++) {
        uint32_t v = x[i];
        u[0] += v, u[1] -= v, u[2] = v < u[2] ? v : u[2], u[3] = v > u[3] ? v : u[3];
        if ((int32_t)v < (int32_t)u[4]) u[4] = v;
        if ((int32_t)v > (int32_t)u[5]) u[5] = v;
        u[6] &= v | 0xff, u[7] |= v & 0xff00, u[8] ^= v, u[9] = u[9] >= 1000 ? 0 : u[9] + 1, u[10] = u[10] == 0 || u[10] > 777 ? 777 : u[10] - 1;
        o[8] += (uint64_t)v << 20;
        if ((uint64_t)v << 16 > o[9]) o[9] = (uint64_t)v << 16;
        if ((uint64_t)v << 8 < o[10]) o[10] = (uint64_t)v << 8;
        o[11] ^= (uint64_t)v << 9, o[12] &= ~((uint64_t)1 << (v & 63)), o[13] |= (uint64_t)1 << (v & 63);
        sum += (float)(v & 15), total += v & 255, ones += (int)(v & 1);
        u[34] += v & 7;
    }
    u[28] = bits_of(sum);
    memcpy(&o[15], &total, 8);
    u[32] = half_out(ones);
    u[36] = 4711, u[37] = 4712;
    o[19] = 99;
}

static void async(void *out, const void *in, int n) {
    float *o = out;
    const float *x = in;
    for (int t = 0; t < 64; t++) {
        float sum = 0;
        for (int k = 0; k < n; k++) {
            for (int j = 0; j < 4; j++) {
                int e = (t * 4 + j * 65) & 255;
                bool cut = k >= 1 && !(k & 1) && e % 4 == 3; /* the last four bytes of the copy were filled with zeros */
                sum += cut ? 0 : x[k * 256 + e];
            }
        }
        o[t] = sum;
    }
}

static void matrix(void *out, const void *in, int n) {
    float *o = out;
    const uint16_t *x = in;
    (void)n;
    for (int r = 0; r < 16; r++) {
        for (int c = 0; c < 8; c++) {
            double sum = 1 + r / 8 * 2 + c % 2;
            for (int k = 0; k < 16; k++) sum += (double)half_in(x[r * 16 + k]) * (double)half_in(x[256 + c * 16 + k]);
            o[r * 8 + c] = (float)sum;
        }
    }
}

static void globals(void *out, const void *in, int n) {
    float *o = out;
    const int32_t *x = in;
    static const int table[8] = {3, 1, 4, 1, 5, 9, 2, 6}, counters[4] = {10, 20, 30, 0}, pointed[2] = {20, 10}, last[3] = {1, 2, 3};
    for (int i = 0; i < n; i++) {
        float r = fmaf((float)table[x[i] & 7], 1.5f, (float)pointed[i & 1]);
        r += (float)"quern"[i % 5];
        o[i] = r + 2.25f * -7 + (float)last[i % 3] + (float)counters[i & 3];
    }
}

static int calls;
static int fibonacci(int n) { return calls++, n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
static int ackermann(int m, int n) { return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }
static void recursion(void *out, const void *in, int n) {
    T(int32_t);
    for (int i = 0; i < n; i++) {
        calls = 0;
        int f = fibonacci(x[i] & 7);
        o[i] = f * 1000 + calls + ackermann(x[i] & 1, i & 3) * 100000;
    }
}

static void pointers(void *out, const void *in, int n) {
    T(uint32_t);
    for (int i = 0; i < n; i++) o[i] = x[i] % 3 == 0 ? x[i] + (uint32_t)i : x[i] % 3 == 1 ? x[i] * (uint32_t)i : x[i] - (uint32_t)i;
}

static void choice(void *out, const void *in, int n) {
    T(int32_t);
    for (int i = 0; i < n; i++) {
        int32_t v = x[i];
        uint32_t r = (uint32_t)i;
        for (int k = 0; k < 6; k++) {
            int c = v >> k & 15;
            if (c == 0) r += 3;
            else if (c == 1) r ^= 0x55;
            else if (c == 2) r = r * 7 - (uint32_t)k;
            else if (c == 3) r -= (uint32_t)k;
            else if (c == 4) r = r << 2 | 1;
            else if (c == 5) r += (uint32_t)x[r % (uint32_t)n];
            else if (c == 6) r = 0 - r;
            else if (c == 7) r = r & 1 ? r : (uint32_t)((int32_t)r >> 1);
            else if (c == 8) { r += 100; break; }
            else if (c == 9) r ^= (uint32_t)v;
            else if (c == 10) r *= r;
            else r++;
        }
        o[i] = (int32_t)r;
    }
}

typedef struct point { float x, y, z; } point;
static const struct parameters { struct { double d; int32_t a[5]; char c; point p; } b; struct { signed char x, y, z; } small; } parameters =
    {{1.5, {1, 2, 3, 4, 5}, 3, {0, 7, 0}}, {5, 6, -7}};
static void structs(void *out, const void *in, int n) {
    T(float);
    for (int i = 0; i < n; i++) {
        point p = {fmaf(x[(i + 1) % n], 1.5f, x[i]), (float)i - 3, 7 * 3};
        o[i] = p.x + p.y + p.z + (float)parameters.b.a[i % 5] + 5 - -7;
    }
}

static int ascending(const void *a, const void *b) { int32_t x = *(const int32_t *)a, y = *(const int32_t *)b; return x < y ? -1 : x > y; }
static void locals(void *out, const void *in, int n) {
    T(int32_t);
    for (int i = 0; i < n; i++) {
        int32_t a[24];
        for (int k = 0; k < 24; k++) a[k] = x[(i + k) % n];
        qsort(a, 24, 4, ascending);
        o[i] = (int32_t)((uint32_t)a[x[i] & 15] - (uint32_t)a[23 - (i & 7)]);
    }
}

static void gridbarrier(void *out, const void *in, int n) {
    T(uint32_t);
    for (int i = 0; i < n; i++) o[i] = x[i] * 2;
    o[n] = (uint32_t)n / 64;
    for (int i = 0; i < n; i++) o[n + 1 + i] = o[n - 1 - i];
}

static int ascending64(const void *a, const void *b) { double x = *(const double *)a, y = *(const double *)b; return x < y ? -1 : x > y; }
static void dynamic(void *out, const void *in, int n) {
    T(double);
    memcpy(o, x, 128 * sizeof *o);
    qsort(o, 128, 8, ascending64);
    for (int i = 0; i < 128; i++) o[i] += n;
}

static void vectors(void *out, const void *in, int n) {
    float *o = out;
    const float *x = in;
    for (int i = 0; i < n; i++) {
        const float *a = x + 4 * i, *b = x + (4 * i + 4) % (4 * n);
        const uint8_t *c = (const uint8_t *)a;
        uint16_t s[4];
        double d[2];
        memcpy(s, a, 8), memcpy(d, a, 16);
        o[4 * i] = a[0] + b[3], o[4 * i + 1] = a[1] * b[2], o[4 * i + 2] = float_of(bits_of(a[2]) ^ bits_of(a[3]));
        o[4 * i + 3] = (float)(c[0] + c[1] * 2 + c[2] * 3 + c[3] + s[0] + s[3]) + (float)(d[0] > d[1]);
    }
}

static void matmul(void *out, const void *in, int n) {
    T(float);
    for (int r = 0; r < n; r++) {
        for (int c = 0; c < n; c++) {
            float sum = 0;
            for (int k = 0; k < n; k++) sum = fmaf(x[r * n + k], x[n * n + k * n + c], sum);
            o[r * n + c] = sum;
        }
    }
}

static void stencil(void *out, const void *in, int n) {
    T(double);
    for (int y = 0; y < n; y++) {
        for (int c = 0; c < n; c++) {
            double s = x[y * n + c];
            if (c > 0) s += x[y * n + c - 1];
            if (c < n - 1) s += x[y * n + c + 1];
            if (y > 0) s += x[(y - 1) * n + c];
            if (y < n - 1) s += x[(y + 1) * n + c];
            o[y * n + c] = s * 0.2;
        }
    }
}

static void wide(void *out, const void *in, int n) {
    uint32_t *o = out;
    const uint32_t *x = in;
    for (int i = 0; i < n; i++, o += 6) {
        uint64_t a = (uint64_t)x[(i + 1) % n] << 32 | x[i], b = (uint64_t)x[(i + 3) % n] << 32 | x[(i + 2) % n];
        unsigned __int128 p = (unsigned __int128)a * b;
        uint64_t d = a - b;
        for (int k = 0; k < 4; k++) o[k] = (uint32_t)(p >> 32 * k);
        o[4] = (uint32_t)d, o[5] = (uint32_t)(d >> 32);
    }
}

static float least(float a, float b, bool most) {
    if (a != a || b != b) return a == a ? a : b == b ? b : float_of(0x7fffffff);
    if (a == b) return float_of(most ? bits_of(a) & bits_of(b) : bits_of(a) | bits_of(b));
    return (a < b) != most ? a : b;
}

static void minmax(void *out, const void *in, int n) {
    float *o = out;
    const float *x = in;
    for (int i = 0; i < n; i++, o += 8) {
        float a = x[i], b = x[(i + 1) % n];
        o[0] = least(a, b, false), o[1] = least(a, b, true), o[2] = copysignf(a, b), o[3] = a == a ? fabsf(a) : float_of(0x7fffffff);
        o[4] = a < b ? a : b, o[5] = !(a >= b) ? 1.0f : 2.0f, o[6] = a != a || isinf(b) ? 1.0f : 0.0f;
        o[7] = fdimf(a, b) + ldexpf(a, 3) + rintf(b) + floorf(a) + roundf(b);
        if (o[7] != o[7]) o[7] = float_of(0x7fffffff);
    }
}

static void divergence(void *out, const void *in, int n) {
    T(int32_t);
    for (int i = 0; i < n; i++) {
        int v = x[i] & 0xffff, r = 0;
        bool left = false;
        for (int k = 0; k < (v & 15); k++) {
            if (k & 1) {
                r += v;
                if ((r & 7) == 3) break;
            } else {
                for (int j = v & 3; j; j--) {
                    if (j == 2 && (v & 32)) continue;
                    r ^= j << k;
                }
            }
            if (r > 100000) { left = true; break; }
        }
        if (left) continue;
        bool jumped = false;
        do {
            r += 3;
            if (r % 5 == 0) { jumped = true; break; }
        } while (r % 7);
        o[i] = jumped ? r : r * 2;
    }
}

static void nbody(void *out, const void *in, int n) {
    float *o = out;
    const float *x = in;
    for (int i = 0; i < n; i++) {
        double s[3] = {0};
        for (int k = 0; k < n; k++) {
            double d[3], q = 0.01;
            for (int c = 0; c < 3; c++) d[c] = (double)x[4 * k + c] - (double)x[4 * i + c], q += d[c] * d[c];
            double f = (double)x[4 * k + 3] / (q * sqrt(q));
            for (int c = 0; c < 3; c++) s[c] += d[c] * f;
        }
        for (int c = 0; c < 3; c++) o[4 * i + c] = (float)s[c];
        o[4 * i + 3] = 0;
    }
}

static const test_case cases[] = {
    {"saxpy", FLOATS, 4000, 4000, 1000, {4, 1, 1}, {256, 1, 1}, 0, saxpy, 0, 4, NULL, 0},
    {"mandelbrot", SMALL_FLOATS, 4000, 4000, 1000, {8, 1, 1}, {128, 1, 1}, 0, mandelbrot, 0, 4, NULL, 0},
    {"reduce", WORDS, 4000, 4, 1000, {4, 1, 1}, {256, 1, 1}, 0, reduce, 0, 4, NULL, 0},
    {"scan", WORDS, 4096, 4096, 1024, {8, 1, 1}, {128, 1, 1}, 0, scan, 0, 4, NULL, 0},
    {"transpose", WORDS, 40000, 40000, 100, {4, 4, 1}, {32, 8, 1}, 0, transpose, 0, 4, NULL, 0},
    {"histogram", BYTES, 10000, 1024, 10000, {3, 1, 1}, {128, 1, 1}, 0, histogram, 0, 4, NULL, 0},
    {"integer64", LONGS, 8000, 8000, 1000, {8, 1, 1}, {128, 1, 1}, 0, integer64, 0, 4, NULL, 0},
    {"bits", WORDS, 4000, 4000, 1000, {8, 1, 1}, {128, 1, 1}, 0, bits, 0, 4, NULL, 0},
    {"narrow", WORDS, 4000, 4000, 1000, {8, 1, 1}, {128, 1, 1}, 0, narrow, 0, 4, NULL, 0},
    {"rounding32", WILD_FLOATS, 4000, 96000, 1000, {8, 1, 1}, {128, 1, 1}, 0, rounding32, 0, 4, NULL, 0},
    {"rounding64", WILD_DOUBLES, 8000, 192000, 1000, {8, 1, 1}, {128, 1, 1}, 0, rounding64, 0, 4, NULL, 0},
    {"fast", FLOATS, 4000, 32000, 1000, {8, 1, 1}, {128, 1, 1}, 0, fast, 2e-6, 4, NULL, 0},
    {"libm32", FLOATS, 4000, 40000, 1000, {8, 1, 1}, {128, 1, 1}, 0, libm32, 1e-6, 4, NULL, 0},
    {"libm64", DOUBLES, 8000, 64000, 1000, {8, 1, 1}, {128, 1, 1}, 0, libm64, 4e-15, 8, NULL, 0},
    {"half", HALVES, 2000, 24000, 1000, {8, 1, 1}, {128, 1, 1}, 0, half, 0, 4, NULL, 0},
    {"half2", HALVES, 4000, 16000, 1000, {8, 1, 1}, {128, 1, 1}, 0, half2, 0, 4, NULL, 0},
    {"bfloat", HALVES, 2000, 12000, 1000, {8, 1, 1}, {128, 1, 1}, 0, bfloat, 0, 4, NULL, 0},
    {"convert", WILD_DOUBLES, 8000, 160000, 1000, {8, 1, 1}, {128, 1, 1}, 0, convert, 0, 4, NULL, 0},
    {"vote", WORDS, 4096, 4096, 1024, {8, 1, 1}, {128, 1, 1}, 0, vote, 0, 4, NULL, 0},
    {"shuffle", WORDS, 4096, 4096, 1024, {8, 1, 1}, {128, 1, 1}, 0, shuffle, 0, 4, NULL, 0},
    {"atomics", WORDS, 4000, 160, 1000, {8, 1, 1}, {128, 1, 1}, 0, atomics, 0, 4, NULL, 0},
    {"async", FLOATS, 8192, 256, 8, {1, 1, 1}, {64, 1, 1}, 0, async, 0, 4, NULL, 0},
    {"matrix", HALVES, 768, 512, 1, {1, 1, 1}, {32, 1, 1}, 0, matrix, 1e-6, 4, NULL, 0},
    {"globals", WORDS, 4000, 4000, 1000, {8, 1, 1}, {128, 1, 1}, 0, globals, 1e-6, 4, NULL, 0},
    {"recursion", WORDS, 400, 400, 100, {1, 1, 1}, {128, 1, 1}, 0, recursion, 0, 4, NULL, 0},
    {"pointers", WORDS, 4000, 4000, 1000, {8, 1, 1}, {128, 1, 1}, 0, pointers, 0, 4, NULL, 0},
    {"choice", WORDS, 4000, 4000, 1000, {8, 1, 1}, {128, 1, 1}, 0, choice, 0, 4, NULL, 0},
    {"structs", FLOATS, 4000, 4000, 1000, {8, 1, 1}, {128, 1, 1}, 0, structs, 2e-6, 4, &parameters, sizeof parameters},
    {"locals", WORDS, 4000, 4000, 1000, {8, 1, 1}, {128, 1, 1}, 0, locals, 0, 4, NULL, 0},
    {"spinlock", WORDS, 800, 4, 200, {4, 1, 1}, {64, 1, 1}, 0, reduce, 0, 4, NULL, 0},
    {"gridbarrier", WORDS, 2048, 4100, 512, {8, 1, 1}, {64, 1, 1}, 0, gridbarrier, 0, 4, NULL, 0},
    {"dynamic", DOUBLES, 1024, 1024, 3, {1, 1, 1}, {128, 1, 1}, 1024, dynamic, 0, 8, NULL, 0},
    {"vectors", FLOATS, 4000, 4000, 250, {2, 1, 1}, {128, 1, 1}, 0, vectors, 0, 4, NULL, 0},
    {"matmul", FLOATS, 12800, 6400, 40, {3, 3, 1}, {16, 16, 1}, 0, matmul, 0, 4, NULL, 0},
    {"stencil", DOUBLES, 12800, 12800, 40, {3, 5, 1}, {16, 8, 1}, 0, stencil, 0, 4, NULL, 0},
    {"wide", WORDS, 4000, 24000, 1000, {8, 1, 1}, {128, 1, 1}, 0, wide, 0, 4, NULL, 0},
    {"minmax", WILD_FLOATS, 4000, 32000, 1000, {8, 1, 1}, {128, 1, 1}, 0, minmax, 0, 4, NULL, 0},
    {"divergence", WORDS, 4000, 4000, 1000, {8, 1, 1}, {125, 1, 1}, 0, divergence, 0, 4, NULL, 0},
    {"nbody", FLOATS, 4096, 4096, 256, {4, 1, 1}, {64, 1, 1}, 0, nbody, 1e-4, 4, NULL, 0},
};

static const uint32_t wild32[] = {0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x00800000, 0x3f800000, 0xbf800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x4effffff, 0x4f000000};
static const uint64_t wild64[] = {0, 0x8000000000000000, 1, 0x000fffffffffffff, 0x0010000000000000, 0x3ff0000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000,
    0x41dfffffffc00000, 0x41e0000000000000, 0x43e0000000000000, 0xc3e0000000000000, 0x43f0000000000000, 0x3fe0000000000000, 0x3ff8000000000000, 0xbfe0000000000000};

static void fill_one(filling fill, void *data, size_t index, uint64_t *state) {
    uint64_t r = core_random(state);
    float f = (float)((double)(r >> 11) * 0x1p-53 * 8 - 4);
    double d = (double)(r >> 11) * 0x1p-53 * 8 - 4;
    uint32_t w = (uint32_t)r;
    switch (fill) {
    case BYTES: ((uint8_t *)data)[index] = (uint8_t)r; return;
    case HALVES: ((uint16_t *)data)[index] = (uint16_t)r; return;
    case WORDS: break;
    case FLOATS: memcpy(&w, &f, 4); break;
    case SMALL_FLOATS: f *= 0.4f, memcpy(&w, &f, 4); break;
    case WILD_FLOATS: w = r % 4 == 0 ? wild32[r / 4 % 14] : w; if ((w & 0x7fffffff) > 0x7f800000) w = 0x3f000000; break;
    case DOUBLES: ((double *)data)[index] = d; return;
    case WILD_DOUBLES: {
        uint64_t q = r % 4 == 0 ? wild64[r / 4 % 17] : r % 4 == 1 ? r : 0;
        if (r % 4 > 1) d = d * exp2((double)(r / 8 % 70)), memcpy(&q, &d, 8);
        if ((q & INT64_MAX) > 0x7ff0000000000000) q = 0x3fe0000000000000;
        ((uint64_t *)data)[index] = q;
        return;
    }
    case LONGS: ((uint64_t *)data)[index] = r % 5 == 0 ? r >> (r / 8 % 64) : r; return;
    }
    ((uint32_t *)data)[index] = w;
}

static size_t fill_size(filling fill) { return fill == BYTES ? 1 : fill == HALVES ? 2 : fill == DOUBLES || fill == WILD_DOUBLES || fill == LONGS ? 8 : 4; }

static bool close_enough(const test_case *c, const void *a, const void *b, size_t *where) {
    for (size_t k = 0; k < c->out_bytes / (size_t)c->unit; k++) {
        double x = c->unit == 8 ? ((const double *)a)[k] : (double)((const float *)a)[k], y = c->unit == 8 ? ((const double *)b)[k] : (double)((const float *)b)[k];
        *where = k;
        if (c->tolerance == 0 && memcmp((const char *)a + k * (size_t)c->unit, (const char *)b + k * (size_t)c->unit, (size_t)c->unit)) return false;
        if (c->tolerance > 0 && !(x == y || (x != x && y != y) || fabs(x - y) <= c->tolerance * (fabs(y) > 1 ? fabs(y) : 1))) return false;
    }
    return true;
}

static void run_case(const test_case *c, const char *suffix, uint32_t workers) {
    char path[300];
    snprintf(path, sizeof path, "%s/tests/emulator/nvcc/%s%s", QN_SOURCE_DIR, c->name, suffix);
    char *text = core_read(path);
    if (!text && strstr(suffix, "clang")) return; /* clang's are some of them */
    cr_assert(text, "%s", path);
    core machine = core_open();
    machine.device.workers = workers;
    cr_assert_eq(core_load(&machine, text), EM_OK, "%s: %s", path, machine.log.data);
    uint64_t in = core_new(&machine, c->in_bytes), out = core_new(&machine, c->out_bytes), state = 42;
    for (size_t k = 0; k < c->in_bytes / fill_size(c->fill); k++) fill_one(c->fill, (void *)(uintptr_t)in, k, &state);
    char block[128];
    memset(block, 0, sizeof block);
    memcpy(block, &out, 8), memcpy(block + 8, &in, 8), memcpy(block + 16, &c->n, 4);
    if (c->more) memcpy(block + 24, c->more, c->more_bytes);
    cr_assert(core_launch3(&machine, "kernel", c->grid, c->block, c->shared, block), "%s: %s", path, machine.fault.text);
    void *expected = calloc(1, c->out_bytes);
    c->reference(expected, (const void *)(uintptr_t)in, c->n);
    size_t where = 0;
    uint32_t got = 0, wanted = 0;
    bool good = close_enough(c, (const void *)(uintptr_t)out, expected, &where);
    memcpy(&got, (const char *)(uintptr_t)out + where * (size_t)c->unit, 4), memcpy(&wanted, (const char *)expected + where * (size_t)c->unit, 4);
    cr_expect(good, "%s, %u workers: element %zu is 0x%08x, expected 0x%08x", path, workers, where, got, wanted);
    free(expected);
    free(text);
    core_close(&machine);
}

static void run_all(const char *suffix, uint32_t workers) {
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) run_case(&cases[k], suffix, workers);
}

Test(nvcc, optimised) { run_all(".ptx", 1); }
Test(nvcc, optimised_two_workers) { run_all(".ptx", 2); }
Test(nvcc, unoptimised) { run_all(".O0.ptx", 1); }
Test(nvcc, unoptimised_two_workers) { run_all(".O0.ptx", 2); }
Test(clang, optimised) { run_all(".clang3.ptx", 1); }
Test(clang, unoptimised) { run_all(".clang0.ptx", 2); }
