/* All 2^32 values of an f32. A kernel computes the f32 function, the f64 function of the same name, and their distance in ULP, at vector
   speed. Here the largest is looked for; whatever is above 0.8 is judged by MPFR.
   The f64 function is the reference: its error, below 1 ULP of an f64, is 2^-29 ULP of an f32. So that a mistake that both have is seen,
   every 61st value is compared with the C library's double function, too, and the kernel knows where a NaN is right. For tgamma and lgamma,
   whose f32 version is the f64 one rounded, all values are compared with the C library's. */
#include "accuracy.h"
#include "kernel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 1 << 18 };

static const char *const domains[FUNCTION_COUNT] = {
#define D(function, valid) [FUNCTION_##function] = valid,
#include "domain.def"
#undef D
};

/* Where the result is simple the reference is, too, and takes no time. */
typedef struct {
    const char *below, *above;
    int limit;
} Outer;

static const Outer outers[FUNCTION_COUNT] = {
#define O(function, below, above, limit) [FUNCTION_##function] = {below, above, limit},
#include "outer.def"
#undef O
};

static const char template[] =
    "fn judge(got: f32, want: f64, number: bool) -> f32 {\n"
    "    let limit: f64 = 3.402823669209385e+38\n" /* 2^128, in place of infinity */
    "    let g = min(max(f64(got), -limit), limit)\n"
    "    let w = min(max(want, -limit), limit)\n"
    "    let e = min(max((bits(w) >> 52) & 0x7ff, 897), 1150)\n"
    "    let d = f32(abs(g - w) * f64_from_bits((2069 - e) << 52))\n"
    "    let sign = u64(bits(got) >> 31) == bits(want) >> 63\n"
    "    if isnan(got) { if number { inf } else { 0.0 } } else { if number and sign and not isnan(want) { d } else { inf } }\n"
    "}\n"
    "kernel sweep(start: i64, n: size) -> error: f32[n], got: f32[n] {\n"
    "    for i in 0..n {\n"
    "        let x = f32_from_bits(u32(start + i))\n"
    "        let w = f64(x)\n"
    "        let r = %s(x)\n"
    "        got[i] = r\n"
    "        error[i] = judge(r, %s, not isnan(x) and (%s))\n"
    "    }\n"
    "}\n";

/* The f32 version is the f64 one, rounded: there is nothing to compare in the kernel. */
static bool through_f64(Function function) {
    return function == FUNCTION_tgamma || function == FUNCTION_lgamma;
}

static float pattern(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Largest element, so that the chunk is looked at closely only where it matters. */
static float largest(const float *values, size_t n) {
    float most[8] = {0};
    for (size_t i = 0; i + 8 <= n; i += 8) {
        for (size_t k = 0; k < 8; k++) most[k] = values[i + k] > most[k] ? values[i + k] : most[k];
    }
    float result = 0.0f;
    for (size_t k = 0; k < 8; k++) result = most[k] > result ? most[k] : result;
    return result;
}

static void judge_chunk(Function function, uint32_t start, const float *error, const float *got, Tally *t) {
    float most = largest(error, CHUNK);
    float limit = (float)t->ulp < 0.8f ? (float)t->ulp : 0.8f;
    for (uint32_t i = 0; most > limit && i < CHUNK; i++) {
        if (error[i] <= limit) continue;
        double x = (double)pattern(start + i);
        tally(t, function, true, x, 0.0, (double)got[i], error[i] > 0.8f ? 1e4000L : estimate(function, true, x, 0.0));
        limit = (float)t->ulp < 0.8f ? (float)t->ulp : 0.8f;
    }
    uint32_t step = through_f64(function) ? 1 : 61;
    for (uint32_t i = start % step; i < CHUNK; i += step) {
        double x = (double)pattern(start + i);
        if (isnan(x)) continue;
        tally(t, function, true, x, 0.0, (double)got[i], estimate(function, true, x, 0.0));
    }
    t->points += CHUNK;
}

typedef enum { INNER, BELOW, ABOVE, REGIONS } Region;

/* A chunk lies in one binade. */
static Region region_of(Function function, uint32_t start) {
    const Outer *outer = &outers[function];
    int exponent = (int)(start >> 23 & 255) - 127;
    if (outer->below && exponent < -12) return BELOW;
    return outer->above && exponent >= outer->limit ? ABOVE : INNER;
}

static bool open_region(Kernel *kernel, Function function, Region region) {
    char source[2048], want[256];
    const char *name = function_rows[function].name;
    const char *inner = through_f64(function) ? "f64(r)" : NULL;
    const char *outer = region == BELOW ? outers[function].below : region == ABOVE ? outers[function].above : inner;
    if (outer) {
        snprintf(want, sizeof want, "%s", outer);
    } else {
        snprintf(want, sizeof want, "%s(w)", name);
    }
    snprintf(source, sizeof source, template, name, want, domains[function]);
    return kernel_open(kernel, source);
}

bool sweep(Function function, Result *result) {
    static float error[CHUNK], got[CHUNK];
    Kernel kernels[REGIONS] = {0};
    bool fine = true;
    int64_t start = 0, count = CHUNK;
    DLTensor first = kernel_tensor(&start, QN_I64, NULL), second = kernel_tensor(&count, QN_I64, NULL);
    const DLTensor *inputs[] = {&first, &second};
    qn_array *outputs[2] = {NULL, NULL};
    for (; fine && start < INT64_C(1) << 32; start += CHUNK) {
        Kernel *kernel = &kernels[region_of(function, (uint32_t)start)];
        if (!kernel->kernel) fine = open_region(kernel, function, region_of(function, (uint32_t)start));
        fine = fine && kernel_call(kernel, inputs, 2, outputs, 2);
        if (!fine) break;
        memcpy(error, qn_array_tensor(outputs[0])->data, sizeof error);
        memcpy(got, qn_array_tensor(outputs[1])->data, sizeof got);
        judge_chunk(function, (uint32_t)start, error, got, &result->quern);
    }
    qn_array_destroy(outputs[0]);
    qn_array_destroy(outputs[1]);
    for (int region = 0; region < REGIONS; region++) kernel_close(&kernels[region]);
    return fine;
}
