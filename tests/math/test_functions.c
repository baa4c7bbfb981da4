/* Every math function on sampled points against MPFR, on both engines: within 1 ULP, and the engines' bits agree.
   With an argument: that many points per function (default 30000), and a table of the largest errors on stdout. */
#include "evaluate.h"
#include "reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    double ulp, x, y;
} Worst;

static const char *expression(Function function) {
    static char text[64];
    if (function == FUNCTION_fmod) return "x[i] % y[i]";
    snprintf(text, sizeof text, function_rows[function].arity == 2 ? "%s(x[i], y[i])" : "%s(x[i])",
             function_rows[function].name);
    return text;
}

static double element(const void *array, size_t i, bool single) {
    return single ? (double)((const float *)array)[i] : ((const double *)array)[i];
}

static void store(void *array, size_t i, bool single, double value) {
    if (single) {
        ((float *)array)[i] = (float)value;
    } else {
        ((double *)array)[i] = value;
    }
}

static Worst compare(Function function, bool single, size_t n, const void *x, const void *y, const void *z) {
    Worst worst = {0};
    for (size_t i = 0; i < n; i++) {
        double a = element(x, i, single), b = element(y, i, single), got = element(z, i, single);
        long double want = reference(function, a, b);
        double ulp = single ? ulp_distance_f32((float)got, want) : ulp_distance_f64(got, want);
        if (ulp > worst.ulp) worst = (Worst){ulp, a, b};
    }
    return worst;
}

static bool same_bits(size_t n, bool single, const void *a, const void *b) {
    for (size_t i = 0; i < n; i++) {
        double p = element(a, i, single), q = element(b, i, single);
        if (!(isnan(p) && isnan(q)) && (p != q || !signbit(p) != !signbit(q))) {
            fprintf(stderr, "element %zu: %a and %a\n", i, p, q);
            return false;
        }
    }
    return true;
}

static bool test(Function function, bool single, size_t n, bool table, void *const arrays[4]) {
    const char *name = function_rows[function].name, *type_name = single ? "f32" : "f64";
    qn_type type = single ? QN_F32 : QN_F64;
    void *x = arrays[0], *y = arrays[1], *z = arrays[2], *w = arrays[3];
    for (size_t i = 0; i < n; i++) {
        double a, b;
        sample(function, i, single, &a, &b);
        store(x, i, single, a);
        store(y, i, single, b);
    }
    char source[256];
    snprintf(source, sizeof source, "kernel math(x: %s[n], y: %s[n]) -> z: %s[n] {\n    z[i] = %s\n}\n", type_name, type_name,
             type_name, expression(function));
    if (!evaluate(QN_ENGINE_INTERP, source, type, type, n, x, y, z)) return false;
    if (!evaluate(QN_ENGINE_CPU, source, type, type, n, x, y, w)) return false;
    if (!same_bits(n, single, z, w)) {
        fprintf(stderr, "%s %s: the interpreter and the CPU engine disagree\n", name, type_name);
        return false;
    }
    Worst worst = compare(function, single, n, x, y, z);
    if (table) printf("%-7s %s %8zu  %.3f at %.17g, %.17g\n", name, type_name, n, worst.ulp, worst.x, worst.y);
    if (worst.ulp <= 1.0) return true;
    fprintf(stderr, "%s %s: %.3f ULP at %a, %a\n", name, type_name, worst.ulp, worst.x, worst.y);
    return false;
}

int main(int argc, char **argv) {
    size_t n = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 30000;
    void *arrays[4];
    for (int i = 0; i < 4; i++) {
        arrays[i] = calloc(n ? n : 1, sizeof(double));
        if (!arrays[i]) return 1;
    }
    int failures = 0;
    for (int function = 0; function < FUNCTION_COUNT; function++) {
        for (int single = 0; single < 2; single++) {
            failures += !test((Function)function, single != 0, n, argc > 1, arrays);
        }
    }
    for (int i = 0; i < 4; i++) free(arrays[i]);
    if (failures) fprintf(stderr, "%d of %d failed\n", failures, 2 * FUNCTION_COUNT);
    return failures != 0;
}
