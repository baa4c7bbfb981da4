/* quern bench: one kernel on several engines, on the same inputs; times, rates, and whether the bytes agree.
 *
 * Per engine: everything from the source text to the first result is the first call's latency (in a context of its own);
 * then calls into the same output arrays, at least --repeat of them or as many as fit in half a second, fewer when one takes long. Inout
 * arrays are restored before each call, outside the measured time. Speed-up and equality are against the first engine. */
#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENGINES = 8, MAX_RUNS = 1000, DEFAULT_RUNS = 10 };
static const double ENOUGH_MS = 500, TOO_LONG_MS = 3000;

typedef struct row {
    qn_engine engine;
    uint32_t device;
    double first_ms, median_ms, min_ms, spread; /* spread: (third - first quartile) / median */
    int runs;
    qn_counts counts;
    bool equal;
} row;

/* Copies of what a call returned, in order inouts, outputs. */
typedef struct snapshot { char **bytes; size_t *sizes; size_t count; } snapshot;

static size_t tensor_bytes(const DLTensor *t) {
    size_t bytes = qn_type_bytes(qn_type_from_dlpack(t->dtype));
    for (int32_t d = 0; d < t->ndim; d++) bytes *= (size_t)t->shape[d];
    return bytes;
}

static bool snapshot_add(snapshot *s, const DLTensor *t) {
    const size_t bytes = tensor_bytes(t);
    char *copy = malloc(bytes + 1);
    if (!copy) return false;
    memcpy(copy, (const char *)t->data + t->byte_offset, bytes);
    s->bytes[s->count] = copy;
    s->sizes[s->count++] = bytes;
    return true;
}

static bool snapshot_create(snapshot *s, size_t room) {
    *s = (snapshot){calloc(room + 1, sizeof(char *)), calloc(room + 1, sizeof(size_t)), 0};
    return s->bytes && s->sizes;
}

static void snapshot_free(snapshot *s) {
    for (size_t i = 0; s->bytes && i < s->count; i++) free(s->bytes[i]);
    free(s->bytes);
    free(s->sizes);
    *s = (snapshot){0};
}

static bool snapshot_equal(const snapshot *a, const snapshot *b) {
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = a->sizes[i] == b->sizes[i] && memcmp(a->bytes[i], b->bytes[i], a->sizes[i]) == 0;
    return equal;
}

/* ---- one engine ---- */
typedef struct bench {
    const cli_options *options;
    cli_call *call;
    qn_array **outputs;
    snapshot inouts; /* of the inputs as they were given */
    bool existential;
} bench;

static void restore_inouts(bench *b) {
    size_t k = 0;
    for (size_t i = 0; i < b->call->input_count; i++)
        if (qn_kernel_input(b->call->kernel, i).kind == QN_INOUT) {
            memcpy((char *)b->call->inputs[i].view.data + b->call->inputs[i].view.byte_offset, b->inouts.bytes[k], b->inouts.sizes[k]);
            k++;
        }
}

static void drop_outputs(bench *b) {
    for (size_t i = 0; i < b->call->output_count; i++) {
        qn_array_destroy(b->outputs[i]);
        b->outputs[i] = NULL;
    }
}

static int call_once(bench *b, double *ms) {
    qn_error error;
    const qn_call_options given = {.deadline_ms = b->options->deadline};
    if (b->existential) drop_outputs(b);
    restore_inouts(b);
    const double start = cli_now_ms();
    const qn_status status = qn_call(b->call->kernel, b->call->input_list, b->call->input_count, b->outputs, b->call->output_count, &given, &error);
    *ms = cli_now_ms() - start;
    return status == QN_OK ? QN_OK : cli_report(&error, cli_colour(b->options));
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(bench *b, row *r, double first_call_ms) {
    double times[MAX_RUNS];
    const int wanted = b->options->repeat ? (b->options->repeat < MAX_RUNS ? (int)b->options->repeat : MAX_RUNS) : DEFAULT_RUNS;
    double total = 0;
    int n = 0;
    if (first_call_ms > TOO_LONG_MS && !b->options->repeat) {
        times[n++] = first_call_ms;
    } else {
        while (n < MAX_RUNS && (n < wanted || (!b->options->repeat && total < ENOUGH_MS))) {
            const int status = call_once(b, &times[n]);
            if (status != QN_OK) return status;
            total += times[n++];
            if (!b->options->repeat && total > TOO_LONG_MS && n >= 3) break;
        }
    }
    qsort(times, (size_t)n, sizeof *times, by_value);
    r->runs = n;
    r->min_ms = times[0];
    r->median_ms = n % 2 ? times[n / 2] : 0.5 * (times[n / 2 - 1] + times[n / 2]);
    r->spread = r->median_ms > 0 ? (times[(3 * (n - 1)) / 4] - times[(n - 1) / 4]) / r->median_ms : 0;
    return QN_OK;
}

static int take_inouts(bench *b) {
    if (!snapshot_create(&b->inouts, b->call->input_count)) return cli_fail(QN_RESOURCE, "out of memory");
    for (size_t i = 0; i < b->call->input_count; i++)
        if (qn_kernel_input(b->call->kernel, i).kind == QN_INOUT && !snapshot_add(&b->inouts, &b->call->inputs[i].view))
            return cli_fail(QN_RESOURCE, "out of memory");
    for (size_t i = 0; i < b->call->output_count; i++)
        if (strchr(qn_kernel_output(b->call->kernel, i).shape, '?')) b->existential = true;
    b->outputs = calloc(b->call->output_count + 1, sizeof *b->outputs);
    return b->outputs ? QN_OK : cli_fail(QN_RESOURCE, "out of memory");
}

static int take_results(bench *b, snapshot *results) {
    bool ok = snapshot_create(results, b->call->input_count + b->call->output_count);
    for (size_t i = 0; ok && i < b->call->input_count; i++)
        if (qn_kernel_input(b->call->kernel, i).kind == QN_INOUT) ok = snapshot_add(results, &b->call->inputs[i].view);
    for (size_t i = 0; ok && i < b->call->output_count; i++) ok = snapshot_add(results, qn_array_tensor(b->outputs[i]));
    return ok ? QN_OK : cli_fail(QN_RESOURCE, "out of memory");
}

static int count_work(bench *b, row *r) {
    qn_error error;
    restore_inouts(b);
    if (qn_count(b->call->kernel, b->call->input_list, b->call->input_count, &r->counts, &error) != QN_OK)
        return cli_report(&error, cli_colour(b->options));
    return QN_OK;
}

/* All of one engine; *results are those of its first call. */
static int bench_engine(const cli_options *options, qn_engine engine, uint32_t device, bool count, row *r, snapshot *results) {
    cli_call call = {0};
    bench b = {.options = options, .call = &call};
    *r = (row){.engine = engine, .device = device};
    double first_call_ms = 0;
    int status = cli_prepare(&call, options, engine, device);
    if (status == QN_OK) status = take_inouts(&b);
    if (status == QN_OK) status = call_once(&b, &first_call_ms);
    r->first_ms = call.load_ms + call.compile_ms + first_call_ms;
    if (status == QN_OK) status = take_results(&b, results);
    if (status == QN_OK) status = measure(&b, r, first_call_ms);
    if (status == QN_OK && count) status = count_work(&b, r);
    if (b.outputs) drop_outputs(&b);
    free(b.outputs);
    snapshot_free(&b.inouts);
    cli_call_free(&call);
    return status;
}

/* ---- reports ---- */
static double per_second(uint64_t amount, double ms) { return ms > 0 ? (double)amount / (ms * 1e6) : 0; }

static void print_json(qn__text *out, const row *rows, size_t count) {
    qn__text_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        const row *r = &rows[i];
        char line[512];
        snprintf(line, sizeof line,
                 "%s{\"engine\": \"%s\", \"threads\": 1, \"runs\": %d, \"median_ms\": %.6f, \"min_ms\": %.6f, \"spread\": %.4f, "
                 "\"gbytes_per_s\": %.4f, \"gflops\": %.4f, \"speed_up\": %.3f, \"first_call_ms\": %.4f, \"equal\": %s}",
                 i ? ",\n " : "", cli_engine_name(r->engine), r->runs, r->median_ms, r->min_ms, r->spread,
                 per_second(rows[0].counts.array_bytes, r->median_ms), per_second(rows[0].counts.float_ops, r->median_ms),
                 r->median_ms > 0 ? rows[0].median_ms / r->median_ms : 0, r->first_ms, r->equal ? "true" : "false");
        qn__text_add_string(out, line);
    }
    qn__text_add_string(out, "]\n");
}

static void print_table(qn__text *out, const row *rows, size_t count, const char *title) {
    qn__text_format(out, "%s\n  %-8s %12s %12s %8s %9s %9s %10s %12s  %s\n", title, "engine", "median", "min", "spread", "GB/s",
                    "GFLOP/s", "speed-up", "first call", "bytes");
    for (size_t i = 0; i < count; i++) {
        const row *r = &rows[i];
        char line[256];
        snprintf(line, sizeof line, "  %-8s %9.3f ms %9.3f ms %6.1f %% %9.3f %9.3f %9.1fx %9.2f ms  %s\n",
                 cli_engine_name(r->engine), r->median_ms, r->min_ms, 100 * r->spread,
                 per_second(rows[0].counts.array_bytes, r->median_ms), per_second(rows[0].counts.float_ops, r->median_ms),
                 r->median_ms > 0 ? rows[0].median_ms / r->median_ms : 0, r->first_ms,
                 i == 0 ? "-" : r->equal ? "equal" : "DIFFERENT");
        qn__text_add_string(out, line);
    }
}

static int parse_engines(const char *list, qn_engine engines[MAX_ENGINES], uint32_t devices[MAX_ENGINES], size_t *count) {
    *count = 0;
    while (*list) {
        char name[16];
        const size_t length = strcspn(list, ",");
        if (*count == MAX_ENGINES) return cli_fail(QN_USAGE, "--engines: at most %d", MAX_ENGINES);
        snprintf(name, sizeof name, "%.*s", (int)(length < 15 ? length : 15), list);
        if (!cli_engine(name, &engines[*count], &devices[*count])) return QN_USAGE;
        ++*count;
        list += length + (list[length] == ',');
    }
    return *count ? QN_OK : cli_fail(QN_USAGE, "--engines is empty");
}

static int report(const cli_options *options, const row *rows, size_t count) {
    qn__text out = QN__TEXT_EMPTY, title = QN__TEXT_EMPTY;
    const char *base = strrchr(options->file, '/');
    qn__text_format(&title, "%s%s%s", base ? base + 1 : options->file, options->kernel ? ":" : "", options->kernel ? options->kernel : "");
    for (size_t i = 0; i < options->input_count; i++)
        qn__text_format(&title, " %s=%s", options->inputs[i].name, options->inputs[i].text);
    if (options->json) print_json(&out, rows, count);
    else print_table(&out, rows, count, qn__text_bytes(&title));
    const bool ok = cli_write(&out);
    qn__text_free(&out);
    qn__text_free(&title);
    return ok ? QN_OK : cli_fail(QN_IO, "standard output cannot be written");
}

int cli_bench(int argc, char **argv) {
    cli_options options;
    qn_engine engines[MAX_ENGINES];
    uint32_t devices[MAX_ENGINES];
    row rows[MAX_ENGINES];
    snapshot first = {0}, other = {0};
    size_t count = 0;
    int status = cli_parse(&options, "bench", argc, argv) ? QN_OK : QN_USAGE;
    if (status == QN_OK) status = parse_engines(options.engines ? options.engines : "interp,cpu", engines, devices, &count);
    bool equal = true;
    options.no_cache = true; /* the first call's latency is that of compiling */
    for (size_t i = 0; status == QN_OK && i < count; i++) {
        snapshot *results = i == 0 ? &first : &other;
        status = bench_engine(&options, engines[i], devices[i], i == 0, &rows[i], results);
        rows[i].equal = status == QN_OK && snapshot_equal(&first, results);
        equal = equal && rows[i].equal;
        snapshot_free(&other);
    }
    if (status == QN_OK) status = report(&options, rows, count);
    if (status == QN_OK && !equal) status = cli_fail(QN_INTERNAL, "the engines' results differ");
    snapshot_free(&first);
    cli_options_free(&options);
    return status;
}
