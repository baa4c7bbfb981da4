/* Statistics of errors. Infinities and NaNs are counted by what they mean and kept out of the numbers, so that one overflow does not hide how good the
 * rest is. Errors themselves are computed in f64, whose rounding is far below what is measured. */
#include "cli/errors.h"

#include "ir/eval.h"

#include <math.h>
#include <string.h>

static const struct { qn_type type; double largest, smallest; } limits[] = {
    {QN_F16, 65504.0, 0x1p-14},
    {QN_BF16, 0x1.fep127, 0x1p-126},
    {QN_F32, 0x1.fffffep127, 0x1p-126},
    {QN_F64, 0x1.fffffffffffffp1023, 0x1p-1022},
};
enum { TYPES = sizeof limits / sizeof *limits };

double cli_type_largest(qn_type type) {
    for (int i = 0; i < TYPES; i++)
        if (limits[i].type == type) return limits[i].largest;
    return 0;
}

double cli_type_smallest(qn_type type) {
    for (int i = 0; i < TYPES; i++)
        if (limits[i].type == type) return limits[i].smallest;
    return 0;
}

/* As LAPACK's lassq: squares are of errors relative to the largest so far. */
static void add_square(cli_errors *e, double error) {
    if (error == 0) return;
    if (error > e->scale) {
        const double ratio = e->scale / error;
        e->squares = 1 + e->squares * ratio * ratio;
        e->scale = error;
    } else {
        const double ratio = error / e->scale;
        e->squares += ratio * ratio;
    }
}

static void add_finite(cli_errors *e, double value, double exact, double smallest) {
    double error = fabs(value - exact);
    if (isinf(error)) error = 0x1.fffffffffffffp1023; /* two finite f64 of opposite signs */
    if (error > e->max_absolute || e->compared == 0) {
        e->max_absolute = error;
        e->worst = e->count;
    }
    if (exact != 0) e->max_relative = fmax(e->max_relative, error / fabs(exact));
    add_square(e, error);
    e->zeros += value == 0 && exact != 0;
    e->subnormals += value != 0 && fabs(value) < smallest && fabs(exact) >= 0x1p-1022;
    e->compared++;
}

void cli_errors_add(cli_errors *e, qn_type type, const void *elements, const double *exact, size_t count) {
    const size_t bytes = qn_type_bytes(type);
    const double smallest = cli_type_smallest(type);
    for (size_t i = 0; i < count; i++, e->count++) {
        uint64_t bits = 0;
        memcpy(&bits, (const char *)elements + i * bytes, bytes);
        const double value = qn__eval_to_f64((qn__type)type, bits);
        if (isfinite(value) && isfinite(exact[i])) add_finite(e, value, exact[i], smallest);
        else if (isfinite(exact[i])) isnan(value) ? e->nans++ : e->overflowed++;
        else if (isnan(value)) e->nans += isnan(exact[i]) ? 0 : 1;
        else e->unlike += value != exact[i];
    }
}

double cli_errors_rms(const cli_errors *e) { return e->compared ? e->scale * sqrt(e->squares / (double)e->compared) : 0; }
