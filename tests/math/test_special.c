/* Special values of the math functions (C, Annex F), Philox's published vectors, and conversions to 16 bits, on both engines.
   The C library's functions say what is expected: NaN, infinities, zeros and signs exactly; other values are within 1 ULP of MPFR's. */
#include "evaluate.h"
#include "reference.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *expression;
    double (*one)(double);
    double (*two)(double, double);
    Function function; /* FUNCTION_COUNT: results are exact */
} SpecialRow;

static const SpecialRow rows[] = {
#define F1(name, a, b) {#name "(x[i])", name, NULL, FUNCTION_##name},
#define F2(name) {#name "(x[i], y[i])", NULL, name, FUNCTION_##name},
#include "functions.def"
#undef F1
#undef F2
    {"round(x[i])", round, NULL, FUNCTION_COUNT},
    {"sqrt(x[i])", sqrt, NULL, FUNCTION_COUNT},
    {"x[i] % y[i]", NULL, fmod, FUNCTION_COUNT},
};

static const double values[] = {
    0.0, -0.0, 0x1p-1074, -0x1p-1074, 0x1p-1060, 0x1p-149, -0x1p-149, 0x1p-1022, -0x1p-1022, 0x1p-126, -0x1p-126,
    1e-300, -1e-300, 1e-30, -1e-30, 1e-10, -1e-10, 0.25, -0.25, 0.5, -0.5, 0.75, 1.0, -1.0, 1.5, -1.5, 2.0, -2.0, 2.5,
    3.0, -3.0, 3.5, -3.5, 8.0, 27.0, -27.0, 10.0, 100.0, 1000.0, -1000.0, 88.8, -103.0, -105.0, 710.0, -745.0, -746.0,
    -750.0, 720.0, 1023.0, 1024.0, -1022.0, -1074.0, -1075.0, -1076.0, 128.0, -149.0, -150.0, 171.0, 172.0, -170.5,
    -180.5, -183.5, -184.5, -300.5, 35.0, 36.0, 0x1p23, 0x1p24, 0x1p24 + 2, -0x1p24 - 2, 0x1p52, 0x1p53, -0x1p53,
    0x1p53 - 1, -0x1p53 + 1, 1e10, 1e22, -1e22, 1e300, -1e300, 0x1.fffffep127,
    -0x1.fffffep127, 0x1.fffffffffffffp1023, -0x1.fffffffffffffp1023, 0x1.fffffffffffffp-1, 0x1.0000000000001p0,
    0x1.fffffep-1, 0x1.000002p0, INFINITY, -INFINITY, NAN,
};
enum { VALUES = sizeof values / sizeof *values, PAIRS = VALUES * VALUES };

static double pair_x[PAIRS], pair_y[PAIRS], got64[PAIRS];
static float single_x[PAIRS], single_y[PAIRS], got32[PAIRS];

/* For f32 the double function is the reference; its result may be beyond f32's range. Where it is a number other than got, and not the
   exact function's, MPFR decides. */
static bool close_enough(const SpecialRow *row, double got, double want, double x, double y, bool single) {
    double rounded = single ? (double)(float)want : want;
    if (isnan(got) || isnan(rounded)) return isnan(got) && isnan(rounded);
    if (got == rounded) return !signbit(got) == !signbit(rounded);
    if (row->function == FUNCTION_COUNT) return false;
    long double exact = reference(row->function, x, y);
    return (single ? ulp_distance_f32((float)got, exact) : ulp_distance_f64(got, exact)) <= 1.0;
}

static int check(const SpecialRow *row, qn_engine engine, bool single) {
    const char *type = single ? "f32" : "f64";
    char source[256];
    snprintf(source, sizeof source, "kernel special(x: %s[n], y: %s[n]) -> z: %s[n] {\n    z[i] = %s\n}\n", type, type, type,
             row->expression);
    size_t n = row->two ? PAIRS : VALUES;
    bool ran = single ? evaluate(engine, source, QN_F32, QN_F32, n, single_x, single_y, got32)
                      : evaluate(engine, source, QN_F64, QN_F64, n, pair_x, pair_y, got64);
    if (!ran) return 1;
    int failures = 0;
    for (size_t i = 0; i < n; i++) {
        double x = single ? (double)single_x[i] : pair_x[i], y = single ? (double)single_y[i] : pair_y[i];
        double want = row->two ? row->two(x, y) : row->one(x);
        double got = single ? (double)got32[i] : got64[i];
        if (close_enough(row, got, want, x, y, single)) continue;
        if (failures++ < 3) fprintf(stderr, "%s %s, x = %a, y = %a: %a, not %a\n", row->expression, type, x, y, got, want);
    }
    return failures;
}

/* Random123's known answers for philox4x32-10; the two first words make the 64 bits. */
static int check_random(qn_engine engine) {
    static const char source[] =
        "kernel words(x: u64[n], y: u64[n]) -> z: u64[n] {\n"
        "    z[i] = {\n        let a, b, c, d = math_philox(x[i], y[i], if x[i] == 0x299f31d0a4093822 { 0x0370734413198a2e } else { x[i] })\n"
        "        u64(a) ^ (u64(b) << 32) ^ (u64(c) << 1) ^ (u64(d) << 31)\n    }\n}\n";
    static const uint64_t key[] = {0, UINT64_MAX, UINT64_C(0x299f31d0a4093822)};
    static const uint64_t counter[] = {0, UINT64_MAX, UINT64_C(0x85a308d3243f6a88)};
    static const uint32_t want[3][4] = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
                                        {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
                                        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
    uint64_t got[3];
    if (!evaluate(engine, source, QN_U64, QN_U64, 3, key, counter, got)) return 1;
    int failures = 0;
    for (int i = 0; i < 3; i++) {
        const uint32_t *w = want[i];
        uint64_t mixed = w[0] ^ ((uint64_t)w[1] << 32) ^ ((uint64_t)w[2] << 1) ^ ((uint64_t)w[3] << 31);
        if (got[i] != mixed) failures += fprintf(stderr, "philox vector %d: %llx\n", i, (unsigned long long)got[i]) > 0;
    }
    return failures;
}

/* All 65,536 patterns of f16 and bf16 survive the way through f32 and back; NaN stays NaN. */
static int check_bits16(qn_engine engine, const char *from, const char *back, uint32_t infinity) {
    static uint32_t x[65536], z[65536];
    char source[256];
    snprintf(source, sizeof source, "kernel around(x: u32[n], y: u32[n]) -> z: u32[n] {\n    z[i] = u32(%s(%s(u16(x[i]))))\n}\n",
             back, from);
    for (uint32_t i = 0; i < 65536; i++) x[i] = i;
    if (!evaluate(engine, source, QN_U32, QN_U32, 65536, x, x, z)) return 1;
    int failures = 0;
    for (uint32_t i = 0; i < 65536; i++) {
        bool is_nan = (i & 0x7fff) > infinity;
        failures += is_nan ? (z[i] & 0x7fff) <= infinity : z[i] != i;
    }
    if (failures) fprintf(stderr, "%s, %s: %d patterns differ\n", from, back, failures);
    return failures;
}

int main(void) {
    for (size_t i = 0; i < PAIRS; i++) {
        size_t first = i % VALUES, second = (i / VALUES + i) % VALUES;
        pair_x[i] = values[first];
        pair_y[i] = values[second];
        single_x[i] = (float)values[first];
        single_y[i] = (float)values[second];
    }
    int failures = 0;
    static const qn_engine engines[] = {QN_ENGINE_INTERP, QN_ENGINE_CPU};
    for (size_t e = 0; e < 2; e++) {
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            failures += check(&rows[r], engines[e], false);
            failures += check(&rows[r], engines[e], true);
        }
        failures += check_random(engines[e]);
        failures += check_bits16(engines[e], "f16_bits_to_f32", "f32_to_f16_bits", 0x7c00);
        failures += check_bits16(engines[e], "bf16_bits_to_f32", "f32_to_bf16_bits", 0x7f80);
    }
    return failures != 0;
}
