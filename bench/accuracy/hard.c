/* Hard cases, f64: neighbourhoods of thresholds and zeros, the numbers nearest to multiples of pi/2 in every binade, results next to
   overflow and underflow, and worst cases for correct rounding as published by Lefevre and Muller. */
#include "points.h"

#include <math.h>
#include <mpfr.h>
#include <stdlib.h>

typedef struct {
    Function function;
    double x, y;
} Case;

static const Case cases[] = {
#define H1(function, x) {FUNCTION_##function, x, 0.0},
#define H2(function, x, y) {FUNCTION_##function, x, y},
#include "hard.def"
#undef H1
#undef H2
};

static void add(PointList *list, double x, double y) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 1024;
        Point *points = realloc(list->points, capacity * sizeof *points);
        if (!points) return;
        list->points = points, list->capacity = capacity;
    }
    list->points[list->count++] = (Point){x, y};
}

/* x, its next neighbours, and points at growing distances from it. */
static void add_around(PointList *list, double x, double y) {
    double up = x, down = x;
    add(list, x, y);
    for (int i = 0; i < 500; i++) {
        up = nextafter(up, INFINITY), down = nextafter(down, -INFINITY);
        add(list, up, y);
        add(list, down, y);
    }
    for (int i = 0; i < 4000; i++) {
        double step = (x == 0.0 ? 1.0 : fabs(x)) * exp2(-52.0 + 50.0 * i / 4000.0);
        add(list, x + step, y);
        add(list, x - step, y);
    }
}

/* For each binade the doubles m 2^e nearest to multiples of pi/2: m are denominators of convergents of 2^e/(pi/2)
   and of their multiples (Kahan's nearpi; Muller, Elementary Functions, ch. 11). */
static void add_near_half_pi(PointList *list) {
    mpfr_t ratio, rest, whole;
    mpfr_inits2(1400, ratio, rest, whole, (mpfr_ptr)0);
    for (int e = -60; e <= 971; e++) {
        mpfr_const_pi(ratio, MPFR_RNDN);
        mpfr_div_2ui(ratio, ratio, 1, MPFR_RNDN);
        mpfr_ui_div(ratio, 1, ratio, MPFR_RNDN);
        mpfr_mul_2si(ratio, ratio, e, MPFR_RNDN);
        mpfr_frac(rest, ratio, MPFR_RNDN);
        double before = 0.0, now = 1.0;
        while (!mpfr_zero_p(rest)) {
            mpfr_ui_div(rest, 1, rest, MPFR_RNDN);
            mpfr_trunc(whole, rest);
            mpfr_sub(rest, rest, whole, MPFR_RNDN);
            double next = mpfr_get_d(whole, MPFR_RNDN) * now + before;
            if (next >= 0x1p53) break;
            before = now, now = next;
        }
        for (double m = now; m < 0x1p53; m += now) {
            if (m >= 0x1p52) add(list, ldexp(m, e), 0.0);
            if (now < 0x1p46) break;
        }
        add(list, ldexp(now, e), 0.0);
        add(list, ldexp(before, e), 0.0);
        add(list, -ldexp(now + before < 0x1p53 ? now + before : now, e), 0.0);
    }
    mpfr_clears(ratio, rest, whole, (mpfr_ptr)0);
}

/* Between -n - 1 and -n lgamma has two zeros; found by bisection of lgamma's sign on both sides of each integer. */
static void add_lgamma_zeros(PointList *list) {
    for (int n = 2; n <= 24; n++) {
        for (int side = -1; side <= 1; side += 2) {
            /* next to the pole at -n lgamma is positive, half way to the next integer negative */
            double inner = -(double)n, outer = -(double)n + 0.5 * side;
            if (n == 2 && side > 0) continue; /* no zero between -2 and -1 */
            for (int step = 0; step < 80; step++) {
                double middle = 0.5 * (inner + outer);
                if (reference(FUNCTION_lgamma, (long double)middle, 0.0L) > 0.0L) inner = middle;
                else outer = middle;
            }
            add_around(list, inner, 0.0);
        }
    }
}

static void add_integers(PointList *list, int low, int high) {
    for (int n = low; n <= high; n++) add_around(list, (double)n, 0.0);
}

/* Powers whose result is next to overflow, underflow, the smallest normal number, or 1. */
static void add_powers(PointList *list) {
    static const double results[] = {1024.0, -1022.0, -1074.0, -1075.0, 0x1p-52, -0x1p-53, 0x1p-40, 1.0};
    for (int i = 0; i < 20000; i++) {
        Point p = random_point(FUNCTION_pow, false, UINT64_C(0x700000000) + (uint64_t)i);
        double logarithm = log2(fabs(p.x));
        double y = results[i % 8] / logarithm;
        if (logarithm == 0.0 || !isfinite(y)) continue;
        for (int k = -3; k <= 3; k++) add(list, fabs(p.x), y * (1.0 + k * 0x1p-52));
    }
    for (int base = 2; base < 200; base++) {
        for (int power = -40; power <= 40; power++) add(list, base * 0.5, power * 0.5);
    }
}

/* Exact and nearly exact quotients, right triangles, and operands of very different or the smallest magnitude. */
static void add_pairs(PointList *list) {
    for (int i = 0; i < 100000; i++) {
        Point p = random_point(FUNCTION_hypot, false, UINT64_C(0x600000000) + (uint64_t)i);
        double y = fabs(p.y);
        if (!(y < 0x1p1000)) continue;
        double near = rint(fmod(fabs(p.x), 1e6) + 1.0) * y;
        if (!isfinite(near) || near == 0.0) continue;
        add(list, near, y);
        add(list, nextafter(near, 0.0), -y);
        add(list, ldexp(near, -1040), ldexp(y, -1040));
        add(list, near, ldexp(near, -(i % 60)));
        add(list, 0x1.fffffffffffffp1023 * (1.0 - (double)i * 1e-6), ldexp(1.0 + i * 1e-5, 1023 - i % 60));
    }
    for (int a = 1; a < 200; a++) {
        for (int b = 1; b < a; b++) add(list, (double)(a * a - b * b), (double)(2 * a * b));
    }
}

PointList hard_points(Function function) {
    PointList list = {0};
    bool two = function_rows[function].arity == 2;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].function == function) add_around(&list, cases[i].x, cases[i].y);
    }
    if (!two) {
        add_around(&list, 0.0, 0.0);
        add_around(&list, 1.0, 0.0);
        add_around(&list, -1.0, 0.0);
        add_around(&list, 0x1p-1022, 0.0);
        add_around(&list, -0x1p-1022, 0.0);
    }
    if (function == FUNCTION_sin || function == FUNCTION_cos || function == FUNCTION_tan) add_near_half_pi(&list);
    if (function == FUNCTION_lgamma) add_lgamma_zeros(&list), add_integers(&list, -30, 20);
    if (function == FUNCTION_tgamma) add_integers(&list, -184, 171);
    if (function == FUNCTION_pow) add_powers(&list);
    if (two && function != FUNCTION_pow) add_pairs(&list);
    return list;
}
