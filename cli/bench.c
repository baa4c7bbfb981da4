/* quern bench: one kernel on several engines, on the same inputs; times, rates, and whether the bytes agree.
 *
 * Per engine: everything from the source text to the first result is the first call's latency (in a context of its own);
 * then calls into the same output arrays, at least --repeat of them or as many as fit in half a second, fewer when one takes long. Inout
 * arrays are restored before each call, outside the measured time. Speed-up and equality are against the first row. With a list of --threads engine cpu has a
 * row for each of its numbers. */
#include "cli/measure.h"
#include "cli/sizes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ENGINES = 8, MAX_ROWS = MAX_ENGINES * CLI_MAX_THREAD_COUNTS };
static const double ENOUGH_MS = 500, TOO_LONG_MS = 3000;

typedef struct row {
    qn_engine engine;
    uint32_t device, threads; /* threads: that may work on a call; at first what was asked for */
    double first_ms;
    cli_times times;
    qn_counts counts;
    bool equal;
} row;

static int count_work(cli_bench_run *b, row *r) {
    qn_error error;
    const int restored = cli_bench_restore(b);
    if (restored != QN_OK) return restored;
    if (qn_count(b->kernel, b->inputs, b->input_count, &r->counts, &error) != QN_OK) return cli_report(&error, b->colour);
    return QN_OK;
}

/* All of one row; *results are those of its first call. */
static int bench_row(const cli_options *options, cli_pool *pool, bool count, row *r, cli_snapshot *results) {
    cli_call call = {0};
    cli_bench_run b = {0};
    double first_call_ms = 0;
    cli_options own = *options;
    own.thread_count = r->threads;
    int status = cli_prepare(&call, &own, r->engine, r->device);
    if (status == QN_OK) r->threads = r->engine == QN_ENGINE_CPU || r->engine == QN_ENGINE_AUTO ? qn_context_threads(call.context) : 1;
    if (status == QN_OK) status = cli_bench_begin(&b, options, call.kernel, call.input_list, call.input_count);
    if (status == QN_OK) cli_pool_keep(pool, b.existential);
    if (status == QN_OK) status = cli_bench_once(&b, &first_call_ms);
    r->first_ms = call.load_ms + call.compile_ms + first_call_ms;
    if (status == QN_OK) status = cli_bench_results(&b, results);
    if (status == QN_OK) status = cli_bench_measure(&b, (cli_effort){options->repeat, ENOUGH_MS, TOO_LONG_MS}, first_call_ms, &r->times);
    if (status == QN_OK && count) status = count_work(&b, r);
    cli_pool_keep(pool, false);
    cli_bench_end(&b);
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
                 "%s{\"engine\": \"%s\", \"threads\": %u, \"runs\": %d, \"median_ms\": %.6f, \"min_ms\": %.6f, \"spread\": %.4f, "
                 "\"gbytes_per_s\": %.4f, \"gflops\": %.4f, \"speed_up\": %.3f, \"first_call_ms\": %.4f, \"equal\": %s}",
                 i ? ",\n " : "", cli_engine_name(r->engine), r->threads, r->times.runs, r->times.median_ms, r->times.min_ms, r->times.spread,
                 per_second(rows[0].counts.array_bytes, r->times.median_ms), per_second(rows[0].counts.float_ops, r->times.median_ms),
                 r->times.median_ms > 0 ? rows[0].times.median_ms / r->times.median_ms : 0, r->first_ms, r->equal ? "true" : "false");
        qn__text_add_string(out, line);
    }
    qn__text_add_string(out, "]\n");
}

static void print_table(qn__text *out, const row *rows, size_t count, const char *title) {
    qn__text_format(out, "%s\n  %-8s %7s %12s %12s %8s %9s %9s %10s %12s  %s\n", title, "engine", "threads", "median", "min", "spread", "GB/s",
                    "GFLOP/s", "speed-up", "first call", "bytes");
    for (size_t i = 0; i < count; i++) {
        const row *r = &rows[i];
        char line[256], median[32], minimum[32];
        cli_time_text(median, r->times.median_ms);
        cli_time_text(minimum, r->times.min_ms);
        snprintf(line, sizeof line, "  %-8s %7u %12s %12s %6.1f %% %9.3f %9.3f %9.1fx %9.2f ms  %s\n",
                 cli_engine_name(r->engine), r->threads, median, minimum, 100 * r->times.spread,
                 per_second(rows[0].counts.array_bytes, r->times.median_ms), per_second(rows[0].counts.float_ops, r->times.median_ms),
                 r->times.median_ms > 0 ? rows[0].times.median_ms / r->times.median_ms : 0, r->first_ms,
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

/* A row for each engine, and for engine cpu one for each number of threads that was asked for. */
static int list_rows(const cli_options *options, row rows[MAX_ROWS], size_t *count) {
    qn_engine engines[MAX_ENGINES];
    uint32_t devices[MAX_ENGINES], threads[CLI_MAX_THREAD_COUNTS] = {0};
    size_t engine_count = 0, thread_counts = 0;
    *count = 0;
    int status = parse_engines(options->engines ? options->engines : "interp,cpu", engines, devices, &engine_count);
    if (status == QN_OK) status = cli_thread_counts(options, threads, &thread_counts);
    for (size_t i = 0; status == QN_OK && i < engine_count; i++)
        for (size_t k = 0; k < 1 || (engines[i] == QN_ENGINE_CPU && k < thread_counts); k++)
            rows[(*count)++] = (row){.engine = engines[i], .device = devices[i], .threads = threads[k]};
    return status;
}

static int report(const cli_options *options, const row *rows, size_t count) {
    qn__text out = QN__TEXT_EMPTY;
    char title[512];
    cli_title(options, title, sizeof title);
    if (options->json) print_json(&out, rows, count);
    else print_table(&out, rows, count, title);
    const bool ok = cli_write(&out);
    qn__text_free(&out);
    return ok ? QN_OK : cli_fail(QN_IO, "standard output cannot be written");
}

static const struct { const char *name; int (*function)(int argc, char **argv); } benches[] = {
#define X(name, function, arguments, what, notes) {#name, function},
#include "cli/benches.def"
#undef X
};
enum { BENCHES = sizeof benches / sizeof *benches };

/* The bench that a word which is no file probably means, or NULL. */
static const char *misspelt_bench(const char *word) {
    const char *names[BENCHES];
    for (size_t i = 0; i < BENCHES; i++) names[i] = benches[i].name;
    return word[strspn(word, "abcdefghijklmnopqrstuvwxyz")] == 0 && access(word, F_OK) != 0 ? cli_suggest(word, names, BENCHES) : NULL;
}

int cli_bench(int argc, char **argv) {
    for (size_t i = 0; argc > 0 && i < BENCHES; i++)
        if (strcmp(argv[0], benches[i].name) == 0) return benches[i].function(argc - 1, argv + 1);
    const char *near = argc > 0 ? misspelt_bench(argv[0]) : NULL;
    if (near) return cli_fail(QN_USAGE, "there is no bench '%s'; did you mean 'quern bench %s'?", argv[0], near);
    cli_options options;
    row rows[MAX_ROWS];
    cli_snapshot first = {0}, other = {0};
    size_t count = 0;
    int status = cli_parse(&options, "bench", argc, argv) ? QN_OK : QN_USAGE;
    if (status == QN_OK) status = list_rows(&options, rows, &count);
    bool equal = true;
    cli_pool *pool = cli_pool_create();
    if (status == QN_OK && !pool) status = cli_fail(QN_RESOURCE, "out of memory");
    if (pool) options.allocator = cli_pool_allocator(pool);
    options.no_cache = true; /* the first call's latency is that of compiling */
    for (size_t i = 0; status == QN_OK && i < count; i++) {
        cli_snapshot *results = i == 0 ? &first : &other;
        status = bench_row(&options, pool, i == 0, &rows[i], results);
        rows[i].equal = status == QN_OK && cli_snapshot_equal(&first, results);
        equal = equal && rows[i].equal;
        cli_snapshot_free(&other);
    }
    if (status == QN_OK) status = report(&options, rows, count);
    if (status == QN_OK && !equal) status = cli_fail(QN_INTERNAL, "the engines' results differ");
    cli_snapshot_free(&first);
    cli_pool_destroy(pool);
    cli_options_free(&options);
    return status;
}
