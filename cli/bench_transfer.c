/* quern bench transfer: copies between host and device, by size, direction and kind of the host's memory.
 *
 * A time is that of the copy and of waiting for it, by the host's clock. Before it is measured, each size is sent and fetched once with numbers in it, and
 * what comes back is compared. */
#include "cli/measure.h"
#include "cli/sizes.h"
#include "cli/svg.h"

#include "runtime/cuda/cuda.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TO_DEVICE, TO_HOST, DIRECTIONS, MAX_RUNS = 1000, FEWEST = 10 };
static const double ENOUGH_MS = 50, TOO_LONG_MS = 1000;
static const char *const hosts[QN__CUDA_HOSTS] = {[QN__CUDA_PAGEABLE] = "pageable", [QN__CUDA_PINNED] = "pinned", [QN__CUDA_MAPPED] = "mapped"};
static const char *const directions[DIRECTIONS] = {[TO_DEVICE] = "host to device", [TO_HOST] = "device to host"};

typedef struct transfer {
    const cli_options *options;
    uint64_t sizes[CLI_MAX_SIZES];
    size_t size_count;
    cli_times times[QN__CUDA_HOSTS][DIRECTIONS][CLI_MAX_SIZES]; /* runs 0: not measured */
    qn__cuda_error problems[QN__CUDA_HOSTS];                    /* why a kind of memory was not */
    qn__cuda_properties properties;
    qn__cuda_facts facts;
} transfer;

static int status_of(const qn__cuda_error *error) { return error->failure == QN__CUDA_NO_MEMORY ? QN_RESOURCE : QN_DEVICE; }

/* ---- measuring ---- */
static bool measure(const transfer *t, qn__cuda_transfer *copy, bool to_device, size_t bytes, cli_times *times, qn__cuda_error *error) {
    double ms[MAX_RUNS], total = 0;
    const size_t exactly = t->options->repeat < MAX_RUNS ? t->options->repeat : MAX_RUNS;
    size_t n = 0;
    while (n < MAX_RUNS && (exactly ? n < exactly : n < FEWEST || total < ENOUGH_MS)) {
        const double start = cli_now_ms();
        if (!qn__cuda_transfer_run(copy, to_device, bytes, error)) return false;
        ms[n] = cli_now_ms() - start;
        total += ms[n++];
        if (!exactly && total > TOO_LONG_MS && n >= 3) break;
    }
    *times = cli_times_of(ms, n);
    return true;
}

static void fill(unsigned char *data, size_t bytes, uint64_t seed) {
    for (size_t i = 0; i < bytes; i++) data[i] = (unsigned char)(((i ^ seed) * 0x9E3779B97F4A7C15ULL) >> 56);
}

/* Whether what is sent comes back. */
static bool faithful(qn__cuda_transfer *copy, size_t bytes, bool *same, qn__cuda_error *error) {
    unsigned char *data = qn__cuda_transfer_data(copy), *sent = malloc(bytes);
    if (!sent) {
        *error = (qn__cuda_error){.failure = QN__CUDA_NO_MEMORY, .text = "out of memory"};
        return false;
    }
    fill(sent, bytes, bytes);
    memcpy(data, sent, bytes);
    bool ok = qn__cuda_transfer_run(copy, true, bytes, error);
    memset(data, 0, bytes);
    ok = ok && qn__cuda_transfer_run(copy, false, bytes, error);
    *same = ok && memcmp(data, sent, bytes) == 0;
    free(sent);
    return ok;
}

/* One kind of memory: what the device cannot do is a remark, wrong data is an error. */
static int measure_host(transfer *t, qn__cuda_device *device, qn__cuda_host host) {
    qn__cuda_error error = {.text = ""};
    qn__cuda_transfer *copy = qn__cuda_transfer_create(device, host, t->sizes[t->size_count - 1], &error);
    bool ok = copy != NULL, same = true;
    for (size_t k = 0; ok && same && k < t->size_count; k++) {
        ok = faithful(copy, t->sizes[k], &same, &error);
        for (int d = 0; ok && same && d < DIRECTIONS; d++) ok = measure(t, copy, d == TO_DEVICE, t->sizes[k], &t->times[host][d][k], &error);
        if (!same && ok) cli_fail(QN_DEVICE, "%" PRIu64 " bytes of %s memory came back from the device changed", t->sizes[k], hosts[host]);
    }
    qn__cuda_transfer_destroy(copy);
    if (!ok) t->problems[host] = error;
    return same || !ok ? QN_OK : QN_DEVICE;
}

static int measure_all(transfer *t, uint32_t ordinal) {
    qn__cuda_error error = {.text = ""};
    qn__cuda *cuda = qn__cuda_open(&error);
    qn__cuda_device *device = cuda ? qn__cuda_device_open(cuda, ordinal, &error) : NULL;
    int status = QN_OK, failed = 0;
    if (!device) status = cli_fail(status_of(&error), "%s", error.text);
    if (device) {
        t->properties = *qn__cuda_properties_of(device);
        t->facts = qn__cuda_about(cuda);
        t->facts.library = NULL; /* ends with the driver */
    }
    for (int h = 0; status == QN_OK && h < QN__CUDA_HOSTS; h++) {
        status = measure_host(t, device, (qn__cuda_host)h);
        failed += t->problems[h].text[0] != 0;
    }
    if (status == QN_OK && failed == QN__CUDA_HOSTS) status = cli_fail(status_of(&t->problems[0]), "nothing can be copied: %s", t->problems[0].text);
    qn__cuda_close(cuda);
    return status;
}

/* ---- reports ---- */
static double rate(const transfer *t, int host, int direction, size_t k) {
    const cli_times *times = &t->times[host][direction][k];
    return times->runs && times->median_ms > 0 ? (double)t->sizes[k] / (times->median_ms * 1e6) : NAN;
}

static const char *size_text(char text[32], uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    int u = 0;
    while (bytes >= 1024 && bytes % 1024 == 0 && u < 4) {
        bytes /= 1024;
        u++;
    }
    snprintf(text, 32, "%" PRIu64 " %s", bytes, units[u]);
    return text;
}

static void print_direction(qn__text *out, const transfer *t, int direction) {
    char cell[96], size[32];
    qn__text_format(out, "  %-14s", directions[direction]);
    for (int h = 0; h < QN__CUDA_HOSTS; h++) qn__text_format(out, "  %22s", hosts[h]);
    qn__text_add_char(out, '\n');
    for (size_t k = 0; k < t->size_count; k++) {
        qn__text_format(out, "  %14s", size_text(size, t->sizes[k]));
        for (int h = 0; h < QN__CUDA_HOSTS; h++) {
            const double gb = rate(t, h, direction, k);
            char time[32];
            if (!isfinite(gb)) snprintf(cell, sizeof cell, "  %22s", "-");
            else {
                cli_time_text(time, t->times[h][direction][k].median_ms);
                snprintf(cell, sizeof cell, "  %10s %6.2f GB/s", time, gb);
            }
            qn__text_add_string(out, cell);
        }
        qn__text_add_char(out, '\n');
    }
}

/* From which size on a copy has half of the best rate: what is smaller is waiting, not copying. */
static void print_summary(qn__text *out, const transfer *t, int host, int direction) {
    double best = 0;
    size_t half = t->size_count;
    for (size_t k = 0; k < t->size_count; k++) best = fmax(best, rate(t, host, direction, k));
    for (size_t k = t->size_count; k-- > 0 && rate(t, host, direction, k) >= best / 2;) half = k;
    if (!(best > 0)) return;
    char line[256], time[32], first[32], from[32];
    cli_time_text(time, t->times[host][direction][0].median_ms);
    snprintf(line, sizeof line, "  %s, %s: %s take %s; at best %.2f GB/s", directions[direction], hosts[host], size_text(first, t->sizes[0]), time, best);
    qn__text_add_string(out, line);
    if (half < t->size_count) qn__text_format(out, ", half of that from %s on", size_text(from, t->sizes[half]));
    qn__text_add_char(out, '\n');
}

static void print_table(qn__text *out, const transfer *t) {
    qn__text_format(out, "%s (sm_%u, CUDA %d.%d): copies between host and device\n", t->properties.name, t->properties.sm, t->facts.driver_version / 1000,
                    t->facts.driver_version % 1000 / 10);
    for (int d = 0; d < DIRECTIONS; d++) print_direction(out, t, d);
    for (int h = 0; h < QN__CUDA_HOSTS; h++) {
        for (int d = 0; d < DIRECTIONS; d++) print_summary(out, t, h, d);
        if (t->problems[h].text[0]) qn__text_format(out, "  %s: not measured, %s\n", hosts[h], t->problems[h].text);
    }
}

static void print_json(qn__text *out, const transfer *t) {
    bool first = true;
    qn__text_add_string(out, "{\"bench\": \"transfer\", \"device\": ");
    qn__text_add_json_string(out, t->properties.name, strlen(t->properties.name));
    qn__text_format(out, ", \"compute_capability\": %u, \"driver_version\": %d, \"problems\": {", t->properties.sm, t->facts.driver_version);
    for (int h = 0; h < QN__CUDA_HOSTS; h++) {
        if (!t->problems[h].text[0]) continue;
        qn__text_format(out, "%s\"%s\": ", first ? "" : ", ", hosts[h]);
        qn__text_add_json_string(out, t->problems[h].text, strlen(t->problems[h].text));
        first = false;
    }
    qn__text_add_string(out, "}, \"copies\": [");
    first = true;
    for (int h = 0; h < QN__CUDA_HOSTS; h++)
        for (int d = 0; d < DIRECTIONS; d++)
            for (size_t k = 0; k < t->size_count; k++) {
                const cli_times *times = &t->times[h][d][k];
                char line[256];
                if (!times->runs) continue;
                snprintf(line, sizeof line, "%s{\"memory\": \"%s\", \"direction\": \"%s\", \"bytes\": %" PRIu64 ", \"runs\": %d, \"median_ms\": %.6f, \"min_ms\": %.6f, \"gbytes_per_s\": %.4f}",
                         first ? "\n " : ",\n ", hosts[h], d == TO_DEVICE ? "to_device" : "to_host", t->sizes[k], times->runs, times->median_ms, times->min_ms, fmax(0, rate(t, h, d, k)));
                qn__text_add_string(out, line);
                first = false;
            }
    qn__text_add_string(out, "]}\n");
}

static int draw(const transfer *t, const char *path) {
    enum { CURVES = QN__CUDA_HOSTS * DIRECTIONS };
    double bytes[CLI_MAX_SIZES], rates[CURVES][CLI_MAX_SIZES];
    char names[CURVES][32], title[256];
    cli_series series[CURVES];
    for (size_t k = 0; k < t->size_count; k++) bytes[k] = (double)t->sizes[k];
    size_t count = 0;
    for (int i = 0; i < CURVES; i++) {
        if (t->problems[i / DIRECTIONS].text[0]) continue;
        const int h = i / DIRECTIONS, d = i % DIRECTIONS;
        for (size_t k = 0; k < t->size_count; k++) rates[i][k] = rate(t, h, d, k);
        snprintf(names[i], sizeof names[i], "%s, %s", hosts[h], d == TO_DEVICE ? "to device" : "to host");
        series[count++] = (cli_series){.name = names[i], .x = bytes, .y = rates[i], .count = t->size_count, .style = (uint32_t)h + 1, .dashed = d == TO_HOST};
    }
    snprintf(title, sizeof title, "%s: copies between host and device", t->properties.name);
    const cli_plot plot = {.title = title, .x_label = "bytes", .y_label = "GB/s", .log_x = true, .log_y = true, .series = series, .series_count = count};
    qn__text out = QN__TEXT_EMPTY;
    cli_svg_lines(&out, &plot);
    const int status = cli_write_file(path, &out);
    qn__text_free(&out);
    return status;
}

static int report(const transfer *t) {
    qn__text out = QN__TEXT_EMPTY;
    if (t->options->json) print_json(&out, t);
    else print_table(&out, t);
    int status = cli_write(&out) ? QN_OK : cli_fail(QN_IO, "standard output cannot be written");
    qn__text_free(&out);
    if (status == QN_OK && t->options->svg) status = draw(t, t->options->svg);
    return status;
}

/* ---- the command ---- */
static int check_options(transfer *t, uint32_t *ordinal) {
    const cli_options *o = t->options;
    char message[CLI_SIZES_MESSAGE];
    qn_engine engine = QN_ENGINE_CUDA;
    *ordinal = 0;
    if (o->file || o->input_count || o->output_count) return cli_fail(QN_USAGE, "quern bench transfer takes options only; see 'quern help bench transfer'");
    if (o->one_device && !cli_engine(o->one_device, &engine, ordinal)) return QN_USAGE;
    if (engine != QN_ENGINE_CUDA) return cli_fail(QN_USAGE, "--engine: only CUDA devices have memory of their own: cuda, or cuda:NUMBER");
    if (!cli_sizes_parse(o->sizes ? o->sizes : "4KiB..256MiB", t->sizes, &t->size_count, message)) return cli_fail(QN_USAGE, "--sizes: %s", message);
    return QN_OK;
}

int cli_bench_transfer(int argc, char **argv) {
    cli_options options;
    uint32_t ordinal = 0;
    int status = cli_parse(&options, "bench transfer", argc, argv) ? QN_OK : QN_USAGE;
    transfer *t = calloc(1, sizeof *t);
    if (status == QN_OK && !t) status = cli_fail(QN_RESOURCE, "out of memory");
    if (t) t->options = &options;
    if (status == QN_OK) status = check_options(t, &ordinal);
    if (status == QN_OK) status = measure_all(t, ordinal);
    if (status == QN_OK) status = report(t);
    free(t);
    cli_options_free(&options);
    return status;
}
