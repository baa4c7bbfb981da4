/* The reports of quern bench precision: a table with one remark per thing that the numbers do not show, JSON, bars. */
#include "cli/precision.h"
#include "cli/sizes.h"
#include "cli/svg.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *amount(char text[32], double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int u = 0;
    while (bytes >= 1024 && u < 4) {
        bytes /= 1024;
        u++;
    }
    snprintf(text, 32, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
    return text;
}

static void add_line(qn__text *out, const char *line) { qn__text_add_string(out, line); }

static void table_row(qn__text *out, const cli_precision_row *r, double f64_ms) {
    char line[256], size[32], time[32];
    cli_time_text(time, r->times.median_ms);
    if (r->problem[0]) snprintf(line, sizeof line, "  %-5s %12s\n", qn_type_name(r->type), "-");
    else if (r->type == QN_F64)
        snprintf(line, sizeof line, "  %-5s %12s %8s %11s %14s %14s %14s\n", qn_type_name(r->type), time, "1.0x",
                 amount(size, (double)r->bytes), "-", "-", "-");
    else
        snprintf(line, sizeof line, "  %-5s %12s %7.1fx %11s %14.2e %14.2e %14.2e\n", qn_type_name(r->type), time,
                 r->times.median_ms > 0 ? f64_ms / r->times.median_ms : 0, amount(size, (double)r->bytes), r->errors.max_absolute,
                 r->errors.max_relative, cli_errors_rms(&r->errors));
    add_line(out, line);
}

static void remark_counts(qn__text *out, const cli_precision_row *r, const char *type) {
    const cli_errors *e = &r->errors;
    char line[256];
    if (e->overflowed) {
        snprintf(line, sizeof line, "  %s: %" PRIu64 " of %" PRIu64 " results overflowed to infinity: the largest %s is %.6g\n", type, e->overflowed, e->count, type,
                 cli_type_largest(r->type));
        add_line(out, line);
    }
    if (e->zeros || e->subnormals) {
        snprintf(line, sizeof line, "  %s: %" PRIu64 " of %" PRIu64 " results underflowed to 0, %" PRIu64 " to subnormals (below %.3g)\n", type, e->zeros, e->count,
                 e->subnormals, cli_type_smallest(r->type));
        add_line(out, line);
    }
    if (e->nans) qn__text_format(out, "  %s: NaNs that f64 does not have: %" PRIu64 "\n", type, e->nans);
    if (e->unlike) qn__text_format(out, "  %s: results that are not the NaN or infinity that f64 has: %" PRIu64 "\n", type, e->unlike);
    if (r->different) qn__text_format(out, "  %s: results other than floats that differ from f64's: %" PRIu64 "\n", type, r->different);
    if (r->other_shape) qn__text_format(out, "  %s: an output has another size than in f64, and is not compared\n", type);
}

static void remarks(qn__text *out, const cli_precision_row *r) {
    const char *type = qn_type_name(r->type);
    if (r->problem[0]) {
        qn__text_format(out, "  %s: not run, %s\n", type, r->problem);
        return;
    }
    if (r->errors.max_absolute > 0) {
        char line[256];
        snprintf(line, sizeof line, "  %s: worst at %s, %.9g where f64 has %.9g\n", type, r->worst, r->worst_value, r->worst_exact);
        add_line(out, line);
    }
    remark_counts(out, r, type);
}

static void sums_line(qn__text *out, const cli_precision_row *r) {
    const char *type = qn_type_name(r->type);
    char line[512];
    if (r->in_type_problem[0]) {
        qn__text_format(out, "  %s: no comparison with sums in %s, %s\n", type, type, r->in_type_problem);
        return;
    }
    const double here = cli_errors_rms(&r->errors), there = cli_errors_rms(&r->in_type);
    snprintf(line, sizeof line, "  %s: sums accumulate in f32, RMS error %.2e; accumulated in %s it would be %.2e", type, here, type, there);
    add_line(out, line);
    if (here > 0) {
        snprintf(line, sizeof line, " (%.*f times)", there < 10 * here ? 1 : 0, there / here);
        add_line(out, line);
    }
    if (r->in_type.overflowed != r->errors.overflowed)
        qn__text_format(out, ", with %" PRIu64 " infinities in place of %" PRIu64, r->in_type.overflowed, r->errors.overflowed);
    qn__text_add_char(out, '\n');
}

void cli_precision_table(qn__text *out, const cli_precision *p) {
    const double f64_ms = p->rows[CLI_PRECISION_TYPES - 1].times.median_ms;
    char line[256];
    qn__text_format(out, "%s: %s, errors against f64\n", p->title, p->engine);
    snprintf(line, sizeof line, "  %-5s %12s %8s %11s %14s %14s %14s\n", "type", "median", "speed-up", "memory", "max abs error", "max rel error", "RMS error");
    add_line(out, line);
    for (int i = 0; i < CLI_PRECISION_TYPES; i++) table_row(out, &p->rows[i], f64_ms);
    for (int i = 0; i < CLI_PRECISION_TYPES - 1; i++) remarks(out, &p->rows[i]);
    for (int i = 0; i < CLI_PRECISION_TYPES - 1; i++)
        if (p->rows[i].summed) sums_line(out, &p->rows[i]);
}

/* ---- JSON ---- */
static void json_number(qn__text *out, const char *name, double value) {
    char line[96];
    if (isfinite(value)) snprintf(line, sizeof line, ", \"%s\": %.9g", name, value);
    else snprintf(line, sizeof line, ", \"%s\": null", name);
    add_line(out, line);
}

static void json_count(qn__text *out, const char *name, uint64_t value) { qn__text_format(out, ", \"%s\": %" PRIu64, name, value); }

static void json_errors(qn__text *out, const cli_errors *e) {
    json_number(out, "max_absolute_error", e->max_absolute);
    json_number(out, "max_relative_error", e->max_relative);
    json_number(out, "rms_error", cli_errors_rms(e));
    json_count(out, "overflowed", e->overflowed);
    json_count(out, "underflowed_to_zero", e->zeros);
    json_count(out, "underflowed_to_subnormal", e->subnormals);
    json_count(out, "nans", e->nans);
}

static void json_row(qn__text *out, const cli_precision_row *r) {
    qn__text_format(out, "  {\"type\": \"%s\"", qn_type_name(r->type));
    if (r->problem[0]) {
        qn__text_add_string(out, ", \"problem\": ");
        qn__text_add_json_string(out, r->problem, strnlen(r->problem, sizeof r->problem));
        qn__text_add_char(out, '}');
        return;
    }
    json_number(out, "median_ms", r->times.median_ms);
    json_number(out, "min_ms", r->times.min_ms);
    json_count(out, "runs", (uint64_t)r->times.runs);
    json_count(out, "bytes", r->bytes);
    json_count(out, "results", r->errors.count);
    json_errors(out, &r->errors);
    json_number(out, "largest", cli_type_largest(r->type));
    json_count(out, "unlike", r->errors.unlike);
    json_count(out, "different", r->different);
    qn__text_format(out, ", \"other_shape\": %s", r->other_shape ? "true" : "false");
    if (r->summed && !r->in_type_problem[0]) {
        qn__text_format(out, ",\n   \"sums_in_type\": {\"type\": \"%s\"", qn_type_name(r->type));
        json_errors(out, &r->in_type);
        qn__text_add_char(out, '}');
    }
    qn__text_add_char(out, '}');
}

void cli_precision_json(qn__text *out, const cli_precision *p) {
    qn__text_add_string(out, "{\"bench\": \"precision\", \"kernel\": ");
    qn__text_add_json_string(out, p->title, strnlen(p->title, sizeof p->title));
    qn__text_format(out, ", \"engine\": \"%s\", \"types\": [\n", p->engine);
    for (int i = 0; i < CLI_PRECISION_TYPES; i++) {
        json_row(out, &p->rows[i]);
        qn__text_add_string(out, i + 1 < CLI_PRECISION_TYPES ? ",\n" : "\n");
    }
    qn__text_add_string(out, "]}\n");
}

/* ---- bars: RMS errors, beside those with sums in the type ---- */
void cli_precision_svg(qn__text *out, const cli_precision *p) {
    enum { SHORT = CLI_PRECISION_TYPES - 1 };
    const char *groups[SHORT];
    double contract[SHORT], in_type[SHORT];
    bool summed = false;
    for (int i = 0; i < SHORT; i++) {
        const cli_precision_row *r = &p->rows[i];
        groups[i] = qn_type_name(r->type);
        contract[i] = r->problem[0] ? NAN : cli_errors_rms(&r->errors);
        in_type[i] = r->summed && !r->in_type_problem[0] ? cli_errors_rms(&r->in_type) : NAN;
        summed = summed || r->summed;
    }
    const cli_series series[] = {{.name = summed ? "sums in f32 (Quern)" : "RMS error", .y = contract, .count = SHORT},
                                 {.name = "sums in the type itself", .y = in_type, .count = SHORT}};
    const cli_plot plot = {.title = p->title, .y_label = "RMS error against f64", .log_y = true, .series = series,
                           .series_count = summed ? 2 : 1, .groups = groups};
    cli_svg_bars(out, &plot);
}
