/* Profiles and timelines of `quern run`. Rates are of the copies; times on a device are the device's. */
#include "cli/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cli_hear(void *user, const qn_span *span) {
    cli_timeline *t = user;
    if (t->count == t->capacity) {
        const size_t capacity = t->capacity ? t->capacity * 2 : 64;
        cli_span *grown = realloc(t->spans, capacity * sizeof *grown);
        if (!grown) {
            t->failed = true;
            return;
        }
        t->spans = grown;
        t->capacity = capacity;
    }
    cli_span *kept = &t->spans[t->count++];
    kept->span = *span;
    snprintf(kept->name, sizeof kept->name, "%s", span->name);
}

void cli_timeline_free(cli_timeline *t) {
    free(t->spans);
    *t = (cli_timeline){0};
}

static void engine_name(const qn_call_profile *p, char name[32]) {
    if (p->engine == QN_ENGINE_CUDA) snprintf(name, 32, "cuda:%u", p->device);
    else snprintf(name, 32, "%s", cli_engine_name(p->engine));
}

static double rate(uint64_t bytes, double ms) { return ms > 0 ? (double)bytes / (ms * 1e6) : 0; }

/* The steps before the call. */
typedef struct step { const char *name; double ms; } step;
enum { STEPS = 5 };

static void steps_of(const cli_call *call, step steps[STEPS]) {
    const qn_compile_times t = qn_kernel_compile_times(call->kernel);
    const step found[STEPS] = {{"source", call->load_ms}, {"front+passes", t.passes_ms}, {"emit", t.emit_ms}, {"load", t.load_ms}, {"inputs", call->arguments_ms}};
    memcpy(steps, found, sizeof found);
}

static void print_json(const cli_call *call, const qn_call_profile *p) {
    step steps[STEPS];
    char engine[32], line[512];
    qn__text out = QN__TEXT_EMPTY;
    steps_of(call, steps);
    engine_name(p, engine);
    qn__text_format(&out, "{\"engine\": \"%s\", \"fallback\": %s, \"why\": ", engine, p->fallback ? "true" : "false");
    qn__text_add_json_string(&out, p->why, strlen(p->why));
    for (int i = 0; i < STEPS; i++) {
        snprintf(line, sizeof line, ", \"%s_ms\": %.6f", i == 1 ? "front_and_passes" : steps[i].name, steps[i].ms);
        qn__text_add_string(&out, line);
    }
    snprintf(line, sizeof line,
             ", \"compile_ms\": %.6f, \"copy_in_ms\": %.6f, \"compute_ms\": %.6f, \"copy_out_ms\": %.6f, \"total_ms\": %.6f, \"bytes_in\": %llu, "
             "\"bytes_out\": %llu, \"copy_in_gbytes_per_s\": %.4f, \"copy_out_gbytes_per_s\": %.4f, \"launches\": %llu, \"waits\": %llu}\n",
             p->compile_ms, p->copy_in_ms, p->compute_ms, p->copy_out_ms, p->total_ms, (unsigned long long)p->bytes_in,
             (unsigned long long)p->bytes_out, rate(p->bytes_in, p->copy_in_ms), rate(p->bytes_out, p->copy_out_ms),
             (unsigned long long)p->launches, (unsigned long long)p->waits);
    qn__text_add_string(&out, line);
    fputs(qn__text_bytes(&out), stderr);
    qn__text_free(&out);
}

static void print_copy(const char *name, double ms, uint64_t bytes) {
    fprintf(stderr, "%-12s %8.3f ms", name, ms);
    if (bytes) fprintf(stderr, "  %10.3f MB  %8.3f GB/s", (double)bytes * 1e-6, rate(bytes, ms));
    fputc('\n', stderr);
}

void cli_print_profile(const cli_call *call, const cli_options *options, const qn_call_profile *p) {
    if (options->json) {
        print_json(call, p);
        return;
    }
    step steps[STEPS];
    char engine[32];
    steps_of(call, steps);
    engine_name(p, engine);
    fprintf(stderr, "%-10s %10s", "engine", engine);
    if (*p->why) fprintf(stderr, "     %s%s", p->fallback ? "instead of cuda: " : "", p->why);
    fputc('\n', stderr);
    for (int i = 0; i < STEPS; i++) fprintf(stderr, "%-12s %8.3f ms\n", steps[i].name, steps[i].ms);
    const bool device = p->engine == QN_ENGINE_CUDA;
    if (device) print_copy("copy in", p->copy_in_ms, p->bytes_in);
    fprintf(stderr, "%-12s %8.3f ms", "compute", p->compute_ms);
    if (device) fprintf(stderr, "  %llu launch%s, %llu wait%s", (unsigned long long)p->launches, p->launches == 1 ? "" : "es", (unsigned long long)p->waits, p->waits == 1 ? "" : "s");
    fputc('\n', stderr);
    if (device) print_copy("copy out", p->copy_out_ms, p->bytes_out);
    fprintf(stderr, "%-12s %8.3f ms\n", "run", p->total_ms);
}

void cli_print_fallback(const qn_call_profile *p) {
    if (p->fallback) fprintf(stderr, "quern: note: engine %s ran the kernel instead of cuda: %s\n", cli_engine_name(p->engine), p->why);
}

/* ---- timelines ---- */

enum { HOST_LANE = 1, COPY_LANE, COMPUTE_LANE };

static void add_event(qn__text *out, const char *name, int lane, double start_ms, double ms, uint64_t bytes) {
    char line[256];
    qn__text_add_string(out, ",\n {\"name\": ");
    qn__text_add_json_string(out, name, strlen(name));
    snprintf(line, sizeof line, ", \"ph\": \"X\", \"pid\": 1, \"tid\": %d, \"ts\": %.3f, \"dur\": %.3f", lane, start_ms * 1e3, ms * 1e3);
    qn__text_add_string(out, line);
    if (bytes) {
        snprintf(line, sizeof line, ", \"args\": {\"bytes\": %llu, \"gbytes_per_s\": %.4f}", (unsigned long long)bytes, rate(bytes, ms));
        qn__text_add_string(out, line);
    }
    qn__text_add_char(out, '}');
}

int cli_write_trace(const char *path, const cli_call *call, const cli_timeline *t) {
    static const int lanes[] = {[QN_SPAN_CALL] = HOST_LANE, [QN_SPAN_COPY_IN] = COPY_LANE, [QN_SPAN_COMPUTE] = COMPUTE_LANE, [QN_SPAN_COPY_OUT] = COPY_LANE};
    static const char *const names[] = {[HOST_LANE] = "host", [COPY_LANE] = "copies", [COMPUTE_LANE] = "compute"};
    qn__text out = QN__TEXT_EMPTY;
    step steps[STEPS];
    double at = 0;
    qn__text_add_string(&out, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n {\"name\": \"process_name\", \"ph\": \"M\", \"pid\": 1, \"args\": {\"name\": \"quern run\"}}");
    for (int lane = HOST_LANE; lane <= COMPUTE_LANE; lane++)
        qn__text_format(&out, ",\n {\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": 1, \"tid\": %d, \"args\": {\"name\": \"%s\"}}", lane, names[lane]);
    steps_of(call, steps);
    for (int i = 0; i < STEPS; at += steps[i++].ms)
        if (steps[i].ms > 0) add_event(&out, steps[i].name, HOST_LANE, at, steps[i].ms, 0);
    for (size_t i = 0; i < t->count; i++) {
        const qn_span *s = &t->spans[i].span;
        add_event(&out, t->spans[i].name, lanes[s->kind], at + s->start_ms, s->ms, s->bytes);
    }
    qn__text_add_string(&out, "\n]}\n");
    FILE *file = out.failed || t->failed ? NULL : fopen(path, "wb");
    const bool open = file != NULL;
    bool ok = open && fwrite(qn__text_bytes(&out), 1, out.length, file) == out.length;
    if (open && fclose(file) != 0) ok = false;
    const bool memory = out.failed || t->failed;
    qn__text_free(&out);
    if (memory) return cli_fail(QN_RESOURCE, "out of memory");
    return ok ? QN_OK : cli_fail(QN_IO, "%s: the timeline cannot be written", path);
}
