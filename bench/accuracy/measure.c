/* Points in chunks through the kernel and the peers; each result meets the same estimate. */
#include "accuracy.h"
#include "kernel.h"
#include "points.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 14 };

typedef union {
    double wide[CHUNK];
    float narrow[CHUNK];
} Column;

typedef struct {
    Function function;
    bool single;
    double x[CHUNK], y[CHUNK];
    long double want[CHUNK];
    Column a, b, z;
} Chunk;

static void fill(Chunk *c) {
    for (size_t i = 0; i < CHUNK; i++) {
        c->want[i] = estimate(c->function, c->single, c->x[i], c->y[i]);
        if (c->single) {
            c->a.narrow[i] = (float)c->x[i], c->b.narrow[i] = (float)c->y[i];
        } else {
            c->a.wide[i] = c->x[i], c->b.wide[i] = c->y[i];
        }
    }
}

static void judge(const Chunk *c, const void *results, Tally *t) {
    t->points += CHUNK;
    for (size_t i = 0; i < CHUNK; i++) {
        double got = c->single ? (double)((const float *)results)[i] : ((const double *)results)[i];
        tally(t, c->function, c->single, c->x[i], c->y[i], got, c->want[i]);
    }
}

static bool judge_quern(Chunk *c, Kernel *kernel, qn_array **output, Tally *t) {
    int64_t shape[1] = {CHUNK};
    qn_type type = c->single ? QN_F32 : QN_F64;
    DLTensor x = kernel_tensor(&c->a, type, shape), y = kernel_tensor(&c->b, type, shape);
    const DLTensor *inputs[] = {&x, &y};
    if (!kernel_call(kernel, inputs, 2, output, 1)) return false;
    judge(c, qn_array_tensor(*output)->data, t);
    return true;
}

static void judge_peers(Chunk *c, Tally peers[PEER_COUNT]) {
    for (int peer = 0; peer < PEER_COUNT; peer++) {
        PeerRun *run = peer_run((Peer)peer, c->function, c->single);
        if (!run) continue;
        run(CHUNK, &c->a, &c->b, &c->z);
        judge(c, &c->z, &peers[peer]);
    }
}

static bool open_kernel(Kernel *kernel, Function function, bool single) {
    char source[256], call[64];
    const char *type = single ? "f32" : "f64", *name = function_rows[function].name;
    snprintf(call, sizeof call, function_rows[function].arity == 2 ? "%s(x[i], y[i])" : "%s(x[i])", name);
    snprintf(source, sizeof source, "kernel points(x: %s[n], y: %s[n]) -> z: %s[n] {\n    z[i] = %s\n}\n", type, type, type, call);
    return kernel_open(kernel, source);
}

/* The next chunk: hard cases while there are some (the last ones repeated to fill it), then random points. True: it was of hard cases. */
static bool next_chunk(Chunk *c, const PointList *hard, size_t *taken, uint64_t *number) {
    bool is_hard = *taken < hard->count;
    for (size_t i = 0; i < CHUNK; i++) {
        Point p;
        if (is_hard) {
            p = hard->points[*taken < hard->count ? (*taken)++ : hard->count - 1];
            if (c->single) p.x = (double)(float)p.x, p.y = (double)(float)p.y;
        } else {
            p = random_point(c->function, c->single, (*number)++);
        }
        c->x[i] = p.x, c->y[i] = p.y;
    }
    fill(c);
    return is_hard;
}

bool measure(Function function, bool single, uint64_t count, uint64_t peer_count, bool with_quern, Result *result) {
    Chunk *chunk = malloc(sizeof *chunk);
    if (!chunk) return false;
    chunk->function = function, chunk->single = single;
    Kernel kernel = {0};
    bool fine = !with_quern || open_kernel(&kernel, function, single);
    PointList hard = hard_points(function);
    qn_array *output = NULL;
    size_t taken = 0;
    uint64_t number = 0;
    while (fine && (number < count || taken < hard.count)) {
        bool is_hard = next_chunk(chunk, &hard, &taken, &number);
        if (with_quern) fine = judge_quern(chunk, &kernel, &output, &result->quern);
        if (fine && is_hard) judge_peers(chunk, result->peers_hard);
        if (fine && !is_hard && number <= peer_count) judge_peers(chunk, result->peers);
    }
    qn_array_destroy(output);
    if (with_quern) kernel_close(&kernel);
    free(hard.points);
    free(chunk);
    return fine;
}
