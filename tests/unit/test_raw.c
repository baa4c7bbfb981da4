/* Kernels as typed C functions: each test runs once on the compiled code and once on the interpreter's closure, which must
 * agree in results, statuses and errors. The types are written by hand, as `quern emit --header` writes them. */
#include <quern/quern.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fixture { qn_context *context; qn_module *module; qn_kernel *kernel; qn_function function; } fixture;

static void open_module(fixture *f, const char *source) {
    qn_error error;
    const qn_context_options options = {.cache_folder = ""};
    *f = (fixture){0};
    cr_assert_eq(qn_context_create(&options, &f->context, &error), QN_OK, "%s", error.message);
    cr_assert_eq(qn_module_from_source(f->context, "test.qn", source, strlen(source), &f->module, &error), QN_OK, "%s", error.message);
}

static void open_kernel(fixture *f, const char *name, const qn_kernel_options *options) {
    qn_error error;
    qn_kernel_destroy(f->kernel);
    cr_assert_eq(qn_kernel_create(f->module, name, options, &f->kernel, &error), QN_OK, "%s", error.message);
    f->function = qn_kernel_function(f->kernel);
    cr_assert(f->function);
}

static void open_source(fixture *f, const char *source, qn_tier tier) {
    const qn_kernel_options options = {.tier = tier};
    open_module(f, source);
    open_kernel(f, NULL, &options);
}

static void close_all(fixture *f) {
    qn_kernel_destroy(f->kernel);
    qn_module_destroy(f->module);
    qn_context_destroy(f->context);
}

static const qn_tier tiers[] = {QN_TIER_NATIVE, QN_TIER_INTERP};
#define EACH_TIER(tier) for (size_t tier##_ = 0, tier; tier##_ < 2 && (tier = tiers[tier##_], true); tier##_++)

/* ---- types ---- */

typedef int32_t echo_function(uint8_t a, int8_t b, int16_t c, int32_t d, int64_t e, uint8_t f, uint16_t g, uint32_t h, uint64_t i, uint16_t j,
                              uint16_t k, float l, double m, uint8_t *oa, int8_t *ob, int16_t *oc, int32_t *od, int64_t *oe, uint8_t *of,
                              uint16_t *og, uint32_t *oh, uint64_t *oi, uint16_t *oj, uint16_t *ok, float *ol, double *om, qn_error *error);

Test(raw, every_type_by_value) {
    EACH_TIER(tier) {
        fixture f;
        open_source(&f,
                    "kernel echo(a: bool, b: i8, c: i16, d: i32, e: i64, f: u8, g: u16, h: u32, i: u64, j: f16, k: bf16, l: f32, m: f64) ->\n"
                    "    oa: bool, ob: i8, oc: i16, od: i32, oe: i64, of: u8, og: u16, oh: u32, oi: u64, oj: f16, ok: bf16, ol: f32, om: f64 {\n"
                    "    oa = a\n    ob = b\n    oc = c\n    od = d\n    oe = e\n    of = f\n    og = g\n    oh = h\n    oi = i\n"
                    "    oj = j\n    ok = k\n    ol = l\n    om = m\n}\n",
                    (qn_tier)tier);
        echo_function *echo = (echo_function *)f.function;
        uint8_t oa, of;
        int8_t ob;
        int16_t oc;
        int32_t od;
        int64_t oe;
        uint16_t og, oj, ok;
        uint32_t oh;
        uint64_t oi;
        float ol;
        double om;
        cr_assert_eq(echo(1, -5, INT16_MIN, INT32_MIN, INT64_MIN, 200, 65535, UINT32_MAX, UINT64_MAX, 0x3C00, 0xBF80, -1.5F, 1e300, &oa, &ob, &oc,
                          &od, &oe, &of, &og, &oh, &oi, &oj, &ok, &ol, &om, NULL),
                     QN_OK);
        cr_assert(oa == 1 && ob == -5 && oc == INT16_MIN && od == INT32_MIN && oe == INT64_MIN && of == 200 && og == 65535);
        cr_assert(oh == UINT32_MAX && oi == UINT64_MAX && oj == 0x3C00 && ok == 0xBF80 && ol == -1.5F && om == 1e300);
        cr_assert_eq(echo(0, 127, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, &oa, &ob, &oc, &od, &oe, &of, &og, &oh, &oi, &oj, &ok, &ol, &om, NULL), QN_OK);
        cr_assert(oa == 0 && ob == 127 && oi == 7 && ok == 9 && om == 11);
        close_all(&f);
    }
}

/* Twice each element, of every type that has numbers; bool negated. */
Test(raw, every_type_in_arrays) {
    for (qn_type type = QN_BOOL; type <= QN_F64; type++)
        EACH_TIER(tier) {
            fixture f;
            char source[200];
            snprintf(source, sizeof source, "kernel k(x: %s[n], s: %s) -> y: %s[n] { y[i] = %s }", qn_type_name(type), qn_type_name(type),
                     qn_type_name(type), type == QN_BOOL ? "x[i] != s" : "x[i] + s");
            open_source(&f, source, (qn_tier)tier);
            const int64_t n = 37;
            const DLTensor *inputs[2];
            qn_array *x, *s, *y = NULL;
            qn_error error;
            cr_assert_eq(qn_array_create(f.context, type, 1, &n, &x, &error), QN_OK);
            cr_assert_eq(qn_array_create(f.context, type, 0, NULL, &s, &error), QN_OK);
            inputs[0] = qn_array_tensor(x), inputs[1] = qn_array_tensor(s);
            const size_t bytes = qn_type_bytes(type);
            for (size_t i = 0; i < 37; i++) ((uint8_t *)inputs[0]->data)[i * bytes] = type == QN_BOOL ? i % 3 == 0 : (uint8_t)i;
            *(uint8_t *)inputs[1]->data = 1;
            cr_assert_eq(qn_call(f.kernel, inputs, 2, &y, 1, NULL, &error), QN_OK, "%s", error.message);
            unsigned char out[37 * 8];
            const void *data = inputs[0]->data;
            uint64_t scalar = 1;
            int32_t status;
            if (type == QN_F32) {
                float value;
                memcpy(&value, &scalar, sizeof value);
                status = ((int32_t(*)(const void *, float, void *, int64_t, qn_error *))f.function)(data, value, out, n, &error);
            } else if (type == QN_F64) {
                double value;
                memcpy(&value, &scalar, sizeof value);
                status = ((int32_t(*)(const void *, double, void *, int64_t, qn_error *))f.function)(data, value, out, n, &error);
            } else {
                status = ((int32_t(*)(const void *, uint64_t, void *, int64_t, qn_error *))f.function)(data, scalar, out, n, &error);
            }
            cr_assert_eq(status, QN_OK, "%s", error.message);
            cr_assert_arr_eq(out, qn_array_tensor(y)->data, 37 * bytes, "%s", qn_type_name(type));
            qn_array_destroy(x);
            qn_array_destroy(s);
            qn_array_destroy(y);
            close_all(&f);
        }
}

/* ---- outputs ---- */

Test(raw, several_outputs_of_several_ranks) {
    EACH_TIER(tier) {
        fixture f;
        open_source(&f,
                    "kernel k(a: f32[h, w]) -> rows: f32[h], turned: f32[w, h], all: f32 {\n"
                    "    rows[i] = sum(j: a[i, j])\n    turned[j, i] = a[i, j]\n    all = sum(i, j: a[i, j])\n}\n",
                    (qn_tier)tier);
        typedef int32_t function(const float *a, float *rows, float *turned, float *all, int64_t h, int64_t w, qn_error *error);
        const float a[6] = {1, 2, 3, 4, 5, 6};
        float rows[2], turned[6], all;
        cr_assert_eq(((function *)f.function)(a, rows, turned, &all, 2, 3, NULL), QN_OK);
        cr_assert(rows[0] == 6 && rows[1] == 15 && all == 21);
        cr_assert_arr_eq(turned, ((float[]){1, 4, 2, 5, 3, 6}), sizeof turned);
        cr_assert_eq(((function *)f.function)(NULL, rows, NULL, &all, 2, 0, NULL), QN_OK);
        cr_assert(rows[0] == 0 && rows[1] == 0 && all == 0);
        close_all(&f);
    }
}

Test(raw, inouts_and_swaps) {
    EACH_TIER(tier) {
        fixture f;
        open_source(&f,
                    "kernel heat(inout u: f64[n], steps: size) -> last: f64 {\n    let v[i] = u[i]\n"
                    "    loop t in 0..steps {\n        v[i] = 0.5 * (u[i-1] + u[i+1]) for i in 1..n-1 else u[i]\n        swap(u, v)\n    }\n"
                    "    last = u[n - 1]\n}\n",
                    (qn_tier)tier);
        typedef int32_t function(double *u, int64_t steps, double *last, int64_t n, qn_error *error);
        for (int64_t steps = 0; steps < 4; steps++) {
            double u[8] = {0, 0, 0, 8, 0, 0, 0, 1}, expected[8], next[8], last;
            memcpy(expected, u, sizeof u);
            for (int64_t t = 0; t < steps; t++) {
                memcpy(next, expected, sizeof next);
                for (int i = 1; i < 7; i++) next[i] = 0.5 * (expected[i - 1] + expected[i + 1]);
                memcpy(expected, next, sizeof next);
            }
            cr_assert_eq(((function *)f.function)(u, steps, &last, 8, NULL), QN_OK);
            cr_assert_arr_eq(u, expected, sizeof u, "%d steps", (int)steps);
            cr_assert_eq(last, 1);
        }
        close_all(&f);
    }
}

Test(raw, two_written_arrays_exchanged) {
    EACH_TIER(tier) {
        fixture f;
        open_source(&f, "kernel k(inout a: i32[n], inout b: i32[n]) { swap(a, b) }", (qn_tier)tier);
        int32_t a[3] = {1, 2, 3}, b[3] = {4, 5, 6};
        cr_assert_eq(((int32_t(*)(int32_t *, int32_t *, int64_t, qn_error *))f.function)(a, b, 3, NULL), QN_OK);
        cr_assert(a[0] == 4 && a[2] == 6 && b[0] == 1 && b[2] == 3);
        close_all(&f);
    }
}

/* ---- sizes that only the kernel knows ---- */

static const char keep[] = "kernel above(x: f64[n], limit: f64) -> y: f64[?m], at: i64[?m] {\n    y, at = keep(i: x[i], i where x[i] > limit)\n}\n";
typedef int32_t above_function(const double *x, double limit, double *y, int64_t *at, int64_t n, int64_t *m, qn_error *error);

Test(raw, unknown_size) {
    EACH_TIER(tier) {
        fixture f;
        open_source(&f, keep, (qn_tier)tier);
        above_function *above = (above_function *)f.function;
        double x[100], y[101];
        int64_t at[101], m = 100;
        qn_error error;
        for (int i = 0; i < 100; i++) x[i] = (i * 37) % 100;
        y[100] = -1;
        cr_assert_eq(above(x, 49.5, y, at, 100, &m, &error), QN_OK);
        cr_assert_eq(m, 50);
        for (int i = 0; i < 50; i++) cr_assert(y[i] > 49.5 && x[at[i]] == y[i]);
        m = 50; /* exactly enough */
        cr_assert_eq(above(x, 49.5, y, at, 100, &m, &error), QN_OK);
        m = 49;
        cr_assert_eq(above(x, 49.5, y, at, 100, &m, &error), QN_FAULT);
        cr_assert(error.status == QN_FAULT && error.index == 50 && error.extent == 49 && m == 50 && error.line == 2, "%s", error.message);
        cr_assert_str_eq(error.message, "output y: 50 elements are needed, there is room for 49");
        m = 3;
        cr_assert_eq(above(x, 49.5, y, at, 100, &m, NULL), QN_FAULT);
        cr_assert_eq(m, 50);
        m = 0;
        cr_assert_eq(above(x, 1000, NULL, NULL, 100, &m, &error), QN_OK);
        cr_assert(m == 0 && y[100] == -1);
        close_all(&f);
    }
}

Test(raw, two_unknown_sizes) {
    EACH_TIER(tier) {
        fixture f;
        open_source(&f, "kernel split(x: i32[n]) -> low: i32[?a], high: i32[?b] {\n    low = keep(i: x[i] where x[i] < 0)\n"
                        "    high = keep(i: x[i] where x[i] >= 0)\n}\n", (qn_tier)tier);
        typedef int32_t function(const int32_t *x, int32_t *low, int32_t *high, int64_t n, int64_t *a, int64_t *b, qn_error *error);
        const int32_t x[5] = {3, -1, 4, -1, 5};
        int32_t low[5], high[5];
        int64_t a = 5, b = 5;
        cr_assert_eq(((function *)f.function)(x, low, high, 5, &a, &b, NULL), QN_OK);
        cr_assert(a == 2 && b == 3 && low[1] == -1 && high[2] == 5);
        a = 2, b = 2;
        qn_error error;
        cr_assert_eq(((function *)f.function)(x, low, high, 5, &a, &b, &error), QN_FAULT);
        cr_assert(b == 3 && error.index == 3, "%s", error.message);
        close_all(&f);
    }
}

/* ---- faults ---- */

Test(raw, faults_say_the_same_as_checked_calls) {
    EACH_TIER(tier) {
        fixture f;
        open_source(&f, "kernel pick(x: f32[n], at: i64[m]) -> y: f32[m] {\n    y[i] = x[at[i]]\n}\n", (qn_tier)tier);
        typedef int32_t function(const float *x, const int64_t *at, float *y, int64_t n, int64_t m, qn_error *error);
        qn_error error, other;
        const int64_t shape[] = {4, 40};
        qn_array *x, *at, *y = NULL;
        cr_assert_eq(qn_array_create(f.context, QN_F32, 1, shape, &x, &error), QN_OK);
        cr_assert_eq(qn_array_create(f.context, QN_I64, 1, shape + 1, &at, &error), QN_OK);
        ((int64_t *)qn_array_tensor(at)->data)[33] = 7;
        ((int64_t *)qn_array_tensor(at)->data)[34] = -7;
        const DLTensor *inputs[] = {qn_array_tensor(x), qn_array_tensor(at)};
        cr_assert_eq(qn_call(f.kernel, inputs, 2, &y, 1, NULL, &other), QN_FAULT);
        float out[40];
        cr_assert_eq(((function *)f.function)(inputs[0]->data, inputs[1]->data, out, 4, 40, &error), QN_FAULT);
        cr_assert_str_eq(error.message, other.message);
        cr_assert_str_eq(error.path, "test.qn");
        cr_assert(error.line == 2 && error.column == other.column && error.length == other.length && error.index == 7 && error.extent == 4 &&
                  error.iteration == 33);
        cr_assert_eq(((function *)f.function)(inputs[0]->data, inputs[1]->data, out, 4, 40, NULL), QN_FAULT);
        error.status = QN_INTERNAL; /* left alone by what succeeds */
        cr_assert_eq(((function *)f.function)(inputs[0]->data, inputs[1]->data, out, 4, 30, &error), QN_OK);
        cr_assert_eq(error.status, QN_INTERNAL);
        qn_array_destroy(x);
        qn_array_destroy(at);
        close_all(&f);
    }
}

Test(raw, extents_that_are_expressions) {
    EACH_TIER(tier) {
        fixture f;
        open_source(&f, "kernel k(row: i32[n+1], k: size) -> y: i32[(n + 1) * 2 / k] {\n    y[i] = i32(i) + row[n]\n}\n", (qn_tier)tier);
        typedef int32_t function(const int32_t *row, int64_t k, int32_t *y, int64_t n, qn_error *error);
        function *call = (function *)f.function;
        const int32_t row[5] = {1, 2, 3, 4, 100};
        int32_t y[10] = {0};
        qn_error error;
        cr_assert_eq(call(row, 2, y, 4, &error), QN_OK, "%s", error.message);
        cr_assert(y[0] == 100 && y[4] == 104 && y[5] == 0);
        cr_assert_eq(call(row, 0, y, 4, &error), QN_FAULT);
        cr_assert_str_eq(error.message, "a size is negative or overflows");
        cr_assert_eq(call(row, 1, y, INT64_MAX - 1, &error), QN_FAULT);
        cr_assert_eq(call(row, 1, y, INT64_C(1) << 48, NULL), QN_FAULT);
        close_all(&f);
    }
}

/* ---- temporaries, generics, host functions ---- */

Test(raw, temporaries) {
    EACH_TIER(tier) {
        fixture f;
        open_source(&f,
                    "kernel k(x: f64[n], rounds: size) -> y: f64[n] {\n    let total = sum(i: x[i])\n    let c[i] = x[i] / total\n"
                    "    y[i] = c[i]\n    loop t in 0..rounds {\n        let d[i] = y[i] + c[n - 1 - i]\n        y[i] = d[n - 1 - i]\n    }\n}\n",
                    (qn_tier)tier);
        typedef int32_t function(const double *x, int64_t rounds, double *y, int64_t n, qn_error *error);
        double x[1000], y[1000], expected[1000], d[1000];
        for (int i = 0; i < 1000; i++) x[i] = i, expected[i] = i / 499500.0;
        for (int t = 0; t < 3; t++) {
            for (int i = 0; i < 1000; i++) d[i] = expected[i] + x[999 - i] / 499500.0;
            for (int i = 0; i < 1000; i++) expected[i] = d[999 - i];
        }
        cr_assert_eq(((function *)f.function)(x, 3, y, 1000, NULL), QN_OK);
        cr_assert_arr_eq(y, expected, sizeof y);
        close_all(&f);
    }
}

static double twice(double x) { return 2 * x; }

Test(raw, host_functions) {
    EACH_TIER(tier) {
        fixture f;
        qn_error error;
        open_module(&f, "extern fn twice(x: f64) -> f64\nkernel k(x: f64[n]) -> y: f64[n] { y[i] = twice(x[i]) }\n");
        cr_assert_eq(qn_module_register(f.module, "twice", (void (*)(void))twice, &error), QN_OK);
        const qn_kernel_options options = {.tier = (qn_tier)tier};
        open_kernel(&f, "k", &options);
        const double x[3] = {1, 2, 3};
        double y[3];
        cr_assert_eq(((int32_t(*)(const double *, double *, int64_t, qn_error *))f.function)(x, y, 3, NULL), QN_OK);
        cr_assert(y[0] == 2 && y[2] == 6);
        close_all(&f);
    }
}

Test(raw, generic_kernels) {
    EACH_TIER(tier) {
        fixture f;
        open_module(&f, "kernel matmul[T: float](A: T[m, k], B: T[k, n]) -> C: T[m, n] { C[i, j] = sum(p: A[i, p] * B[p, j]) }\n");
        qn_type type = QN_F32;
        const qn_kernel_options options = {.tier = (qn_tier)tier, .type_arguments = &type, .type_argument_count = 1};
        open_kernel(&f, NULL, &options);
        const float a[4] = {1, 2, 3, 4};
        float c[4];
        cr_assert_eq(((int32_t(*)(const float *, const float *, float *, int64_t, int64_t, int64_t, qn_error *))f.function)(a, a, c, 2, 2, 2, NULL), QN_OK);
        cr_assert(c[0] == 7 && c[3] == 22);
        type = QN_F64;
        open_kernel(&f, NULL, &options);
        const double b[4] = {1, 2, 3, 4};
        double d[4];
        cr_assert_eq(((int32_t(*)(const double *, const double *, double *, int64_t, int64_t, int64_t, qn_error *))f.function)(b, b, d, 2, 2, 2, NULL), QN_OK);
        cr_assert(d[0] == 7 && d[3] == 22);
        close_all(&f);
    }
}
