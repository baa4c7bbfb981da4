/* quern bench crossover: one kernel at growing sizes on several engines, and from which size on which one is faster.
 *
 * A curve is an engine. At each size the inputs are made anew from the texts with {n} replaced, and the results of all engines are compared byte by byte.
 * A curve ends before a size that would take too long. */
#include "cli/measure.h"
#include "cli/sizes.h"
#include "cli/svg.h"

#include "runtime/cuda/cuda.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CURVES = 8 };
static const double ENOUGH_MS = 100, TOO_LONG_MS = 2000;

typedef struct curve {
    char name[48];
    qn_engine engine;
    uint32_t device, threads;                             /* threads that may work on a call */
    bool resident;                                        /* the arrays lie on the device: no copies */
    double median[CLI_MAX_SIZES], minimum[CLI_MAX_SIZES]; /* ms; NaN: not measured */
    uint64_t ended;                                       /* the last size measured when larger ones were left out, else 0 */
} curve;

typedef struct crossover {
    cli_options *options;
    char title[512];
    uint64_t sizes[CLI_MAX_SIZES];
    double n[CLI_MAX_SIZES];
    size_t size_count, curve_count;
    curve curves[MAX_CURVES];
    cli_pool *pool;
} crossover;

/* The options with {n} replaced: a copy that shares all but the inputs' texts. */
static int at_size(const crossover *c, uint64_t n, cli_options *out, qn__text *texts, size_t *uses) {
    const cli_options *o = c->options;
    char message[CLI_SIZES_MESSAGE];
    *out = *o;
    out->inputs = calloc(o->input_count + 1, sizeof *out->inputs);
    if (!out->inputs) return cli_fail(QN_RESOURCE, "out of memory");
    for (size_t i = 0; i < o->input_count; i++) {
        if (!cli_sizes_expand(o->inputs[i].text, n, &texts[i], uses, message)) return cli_fail(QN_USAGE, "input '%s': %s", o->inputs[i].name, message);
        out->inputs[i] = (cli_pair){o->inputs[i].name, qn__text_bytes(&texts[i])};
    }
    return QN_OK;
}

static int measure_point(const crossover *c, const cli_options *options, curve *v, size_t k, cli_snapshot *results) {
    cli_call call = {0};
    cli_bench_run b = {0};
    cli_times times = {0};
    double first_ms = 0;
    int status = cli_prepare(&call, options, v->engine, v->device);
    if (status == QN_OK) status = cli_bench_begin(&b, options, call.kernel, call.input_list, call.input_count);
    if (status == QN_OK && v->resident) status = cli_bench_to_device(&b, call.context, v->device);
    if (status == QN_OK) v->threads = v->engine == QN_ENGINE_CPU ? qn_context_threads(call.context) : 1;
    cli_pool_keep(c->pool, b.existential);
    if (status == QN_OK) status = cli_bench_once(&b, &first_ms);
    if (status == QN_OK) status = cli_bench_results(&b, results);
    if (status == QN_OK) status = cli_bench_measure(&b, (cli_effort){options->repeat, ENOUGH_MS, TOO_LONG_MS}, first_ms, &times);
    v->median[k] = times.median_ms;
    v->minimum[k] = times.min_ms;
    if (first_ms > TOO_LONG_MS) v->ended = c->sizes[k];
    cli_pool_keep(c->pool, false);
    cli_bench_end(&b);
    cli_call_free(&call);
    return status;
}

static int measure_size(crossover *c, size_t k) {
    cli_options options;
    size_t uses = 0;
    qn__text *texts = calloc(c->options->input_count + 1, sizeof *texts);
    if (!texts) return cli_fail(QN_RESOURCE, "out of memory");
    int status = at_size(c, c->sizes[k], &options, texts, &uses);
    if (status == QN_OK && uses == 0) status = cli_fail(QN_USAGE, "no input has {n} in it: write one as in x=random(1,{n})");
    cli_snapshot first = {0};
    for (size_t i = 0; status == QN_OK && i < c->curve_count; i++) {
        if (c->curves[i].ended) continue;
        cli_snapshot results = {0};
        status = measure_point(c, &options, &c->curves[i], k, &results);
        if (status == QN_OK && first.bytes && !cli_snapshot_equal(&first, &results))
            status = cli_fail(QN_INTERNAL, "at n = %" PRIu64 " the results of %s differ from those of the engines before it", c->sizes[k], c->curves[i].name);
        if (first.bytes) cli_snapshot_free(&results);
        else first = results;
    }
    cli_snapshot_free(&first);
    for (size_t i = 0; i < c->options->input_count; i++) qn__text_free(&texts[i]);
    free(options.inputs);
    free(texts);
    return status;
}

/* ---- reports ---- */
/* 1234567 as 1,234,567 */
static const char *grouped(char text[32], double value) {
    char digits[32];
    const int length = snprintf(digits, sizeof digits, "%.0f", value);
    size_t n = 0;
    for (int i = 0; i < length && n + 2 < 32; i++) {
        if (i && (length - i) % 3 == 0) text[n++] = ',';
        text[n++] = digits[i];
    }
    text[n] = 0;
    return text;
}

typedef struct crossing { const curve *from, *to; cli_crossing kind; double n; } crossing;

/* Every pair of curves once, the one that wins at the end last. */
static size_t find_crossings(const crossover *c, crossing found[MAX_CURVES * MAX_CURVES]) {
    size_t count = 0;
    for (size_t i = 0; i < c->curve_count; i++)
        for (size_t j = i + 1; j < c->curve_count; j++) {
            crossing x = {&c->curves[i], &c->curves[j], CLI_UNKNOWN, 0};
            x.kind = cli_crossover(c->n, x.from->median, x.to->median, c->size_count, &x.n);
            if (x.kind == CLI_NEVER) {
                x.from = &c->curves[j];
                x.to = &c->curves[i];
                x.kind = cli_crossover(c->n, x.from->median, x.to->median, c->size_count, &x.n);
            }
            found[count++] = x;
        }
    return count;
}

static void say_crossing(qn__text *out, const crossing *x) {
    char n[32];
    switch (x->kind) {
    case CLI_FROM: qn__text_format(out, "  %s is faster than %s from n = %s on\n", x->to->name, x->from->name, grouped(n, x->n)); break;
    case CLI_ALWAYS: qn__text_format(out, "  %s is faster than %s at every size\n", x->to->name, x->from->name); break;
    case CLI_NEVER: qn__text_format(out, "  %s is as fast as %s at the largest sizes (within 5 %%)\n", x->to->name, x->from->name); break;
    case CLI_UNKNOWN: qn__text_format(out, "  %s and %s were measured at no common size\n", x->to->name, x->from->name); break;
    }
}

static void print_table(qn__text *out, const crossover *c) {
    char cell[32], n[32];
    qn__text_format(out, "%s: median time of a call\n  %12s", c->title, "n");
    for (size_t i = 0; i < c->curve_count; i++) qn__text_format(out, " %22s", c->curves[i].name);
    qn__text_add_char(out, '\n');
    for (size_t k = 0; k < c->size_count; k++) {
        qn__text_format(out, "  %12s", grouped(n, c->n[k]));
        for (size_t i = 0; i < c->curve_count; i++) {
            const double ms = c->curves[i].median[k];
            if (isfinite(ms)) cli_time_text(cell, ms);
            qn__text_format(out, " %22s", isfinite(ms) ? cell : "-");
        }
        qn__text_add_char(out, '\n');
    }
    for (size_t i = 0; i < c->curve_count; i++)
        if (c->curves[i].ended && c->curves[i].ended != c->sizes[c->size_count - 1])
            qn__text_format(out, "  %s: no sizes above %s, where a call took more than %.0f s\n", c->curves[i].name, grouped(n, (double)c->curves[i].ended), TOO_LONG_MS * 1e-3);
    crossing found[MAX_CURVES * MAX_CURVES];
    const size_t count = find_crossings(c, found);
    for (size_t i = 0; i < count; i++) say_crossing(out, &found[i]);
}

static void json_times(qn__text *out, const char *name, const double *ms, size_t count) {
    qn__text_format(out, ", \"%s\": [", name);
    for (size_t k = 0; k < count; k++) {
        char cell[48];
        snprintf(cell, sizeof cell, isfinite(ms[k]) ? "%s%.6f" : "%snull", k ? ", " : "", ms[k]);
        qn__text_add_string(out, cell);
    }
    qn__text_add_char(out, ']');
}

static void print_json(qn__text *out, const crossover *c) {
    crossing found[MAX_CURVES * MAX_CURVES];
    const size_t count = find_crossings(c, found);
    qn__text_add_string(out, "{\"bench\": \"crossover\", \"kernel\": ");
    qn__text_add_json_string(out, c->title, strlen(c->title));
    qn__text_add_string(out, ", \"n\": [");
    for (size_t k = 0; k < c->size_count; k++) qn__text_format(out, "%s%" PRIu64, k ? ", " : "", c->sizes[k]);
    qn__text_add_string(out, "], \"series\": [");
    for (size_t i = 0; i < c->curve_count; i++) {
        qn__text_format(out, "%s{\"name\": \"%s\", \"engine\": \"%s\", \"threads\": %u, \"copies\": %s", i ? ",\n " : "\n ", c->curves[i].name, cli_engine_name(c->curves[i].engine), c->curves[i].threads,
                        c->curves[i].engine == QN_ENGINE_CUDA && !c->curves[i].resident ? "true" : "false");
        json_times(out, "median_ms", c->curves[i].median, c->size_count);
        json_times(out, "min_ms", c->curves[i].minimum, c->size_count);
        qn__text_add_char(out, '}');
    }
    qn__text_add_string(out, "], \"crossovers\": [");
    for (size_t i = 0; i < count; i++) {
        static const char *const kinds[] = {[CLI_NEVER] = "equal", [CLI_ALWAYS] = "always", [CLI_FROM] = "from", [CLI_UNKNOWN] = "unknown"};
        qn__text_format(out, "%s{\"slower\": \"%s\", \"faster\": \"%s\", \"where\": \"%s\"", i ? ",\n " : "\n ", found[i].from->name, found[i].to->name, kinds[found[i].kind]);
        if (found[i].kind == CLI_FROM) qn__text_format(out, ", \"n\": %" PRIu64, (uint64_t)found[i].n);
        qn__text_add_char(out, '}');
    }
    qn__text_add_string(out, "]}\n");
}

static int draw(const crossover *c, const char *path) {
    cli_series series[MAX_CURVES];
    cli_mark marks[MAX_CURVES * MAX_CURVES];
    char texts[MAX_CURVES * MAX_CURVES][160];
    crossing found[MAX_CURVES * MAX_CURVES];
    const size_t count = find_crossings(c, found);
    size_t mark_count = 0;
    for (size_t i = 0; i < c->curve_count; i++)
        series[i] = (cli_series){.name = c->curves[i].name, .x = c->n, .y = c->curves[i].median, .count = c->size_count};
    for (size_t i = 0; i < count; i++) {
        char n[32];
        if (found[i].kind != CLI_FROM) continue;
        snprintf(texts[i], sizeof texts[i], "%s faster than %s from %s", found[i].to->name, found[i].from->name, grouped(n, found[i].n));
        marks[mark_count++] = (cli_mark){found[i].n, texts[i]};
    }
    const cli_plot plot = {.title = c->title, .x_label = "n", .y_label = "median time of a call in ms", .log_x = true, .log_y = true, .series = series,
                           .series_count = c->curve_count, .marks = marks, .mark_count = mark_count};
    qn__text out = QN__TEXT_EMPTY;
    cli_svg_lines(&out, &plot);
    const int status = cli_write_file(path, &out);
    qn__text_free(&out);
    return status;
}

/* ---- the command ---- */
static int add_curve(crossover *c, const char *name, qn_engine engine, uint32_t device, bool resident) {
    if (c->curve_count == MAX_CURVES) return cli_fail(QN_USAGE, "--engines: too many");
    curve *v = &c->curves[c->curve_count++];
    *v = (curve){.engine = engine, .device = device, .resident = resident};
    snprintf(v->name, sizeof v->name, "%s%s", name, resident ? " without copies" : "");
    for (size_t k = 0; k < CLI_MAX_SIZES; k++) v->median[k] = v->minimum[k] = NAN;
    return QN_OK;
}

static int choose_curves(crossover *c, const char *list) {
    while (*list) {
        char name[16];
        qn_engine engine;
        uint32_t device;
        const size_t length = strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < 15 ? length : 15), list);
        if (!cli_engine(name, &engine, &device)) return QN_USAGE;
        int status = add_curve(c, name, engine, device, false);
        if (status == QN_OK && engine == QN_ENGINE_CUDA) status = add_curve(c, name, engine, device, true);
        if (status != QN_OK) return status;
        list += length + (list[length] == ',');
    }
    return c->curve_count >= 2 ? QN_OK : cli_fail(QN_USAGE, "--engines: two engines at least, such as interp,cpu");
}

/* cpu,cuda where there is a device. */
static const char *usual_engines(void) {
    qn__cuda_error unused;
    qn__cuda *cuda = qn__cuda_open(&unused);
    const bool there = cuda && qn__cuda_about(cuda).device_count > 0;
    qn__cuda_close(cuda);
    return there ? "cpu,cuda" : "interp,cpu";
}

static int choose_sizes(crossover *c) {
    char message[CLI_SIZES_MESSAGE];
    if (!c->options->n) return cli_fail(QN_USAGE, "--n is missing: the sizes that {n} stands for, such as --n 1e3..1e6");
    if (!cli_sizes_parse(c->options->n, c->sizes, &c->size_count, message)) return cli_fail(QN_USAGE, "--n: %s", message);
    for (size_t k = 0; k < c->size_count; k++) c->n[k] = (double)c->sizes[k];
    return QN_OK;
}

static int report(const crossover *c) {
    qn__text out = QN__TEXT_EMPTY;
    if (c->options->json) print_json(&out, c);
    else print_table(&out, c);
    const int status = cli_write(&out) ? QN_OK : cli_fail(QN_IO, "standard output cannot be written");
    qn__text_free(&out);
    return status;
}

int cli_bench_crossover(int argc, char **argv) {
    cli_options options;
    int status = cli_parse(&options, "bench crossover", argc, argv) ? QN_OK : QN_USAGE;
    crossover *c = calloc(1, sizeof *c);
    if (status == QN_OK && !c) status = cli_fail(QN_RESOURCE, "out of memory");
    if (status == QN_OK) {
        c->options = &options;
        cli_title(&options, c->title, sizeof c->title);
        c->pool = cli_pool_create();
        if (!c->pool) status = cli_fail(QN_RESOURCE, "out of memory");
        else options.allocator = cli_pool_allocator(c->pool);
    }
    if (status == QN_OK) status = choose_sizes(c);
    if (status == QN_OK) status = choose_curves(c, options.curves ? options.curves : usual_engines());
    for (size_t k = 0; status == QN_OK && k < c->size_count; k++) status = measure_size(c, k);
    if (status == QN_OK) status = report(c);
    if (status == QN_OK && options.svg) status = draw(c, options.svg);
    if (c) cli_pool_destroy(c->pool);
    free(c);
    cli_options_free(&options);
    return status;
}
