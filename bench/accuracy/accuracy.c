/* Measures the errors of the math functions in ULP, beside other libraries', and prints rows of docs/numerics.md.
 *
 *     bench_accuracy [-n POINTS] [-p PEER_POINTS] [-t f32|f64] [-a 0|1] [FUNCTION...]
 *
 * f32 functions of one argument: all 2^32 inputs (unless -a 0). Others: the hard cases and POINTS random points (10^8). */
#include "accuracy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    uint64_t points, peer_points;
    bool types[2]; /* f64, f32 */
    bool all;      /* every f32 */
    char **names;
    int name_count;
} Options;

static bool read_options(int argc, char **argv, Options *o) {
    *o = (Options){.points = 100000000, .peer_points = 10000000, .types = {true, true}, .all = true};
    int i = 1;
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (!strcmp(argv[i], "-n")) {
            o->points = strtoull(argv[i + 1], NULL, 10);
        } else if (!strcmp(argv[i], "-p")) {
            o->peer_points = strtoull(argv[i + 1], NULL, 10);
        } else if (!strcmp(argv[i], "-t")) {
            o->types[0] = !strcmp(argv[i + 1], "f64"), o->types[1] = !strcmp(argv[i + 1], "f32");
        } else if (!strcmp(argv[i], "-a")) {
            o->all = argv[i + 1][0] == '1';
        } else {
            return false;
        }
    }
    o->names = argv + i, o->name_count = argc - i;
    return i >= argc || argv[i][0] != '-';
}

static bool wanted(const Options *o, const char *name) {
    for (int i = 0; i < o->name_count; i++) {
        if (!strcmp(o->names[i], name)) return true;
    }
    return o->name_count == 0;
}

/* Random points, then the hard cases where they are worse, then how many NaNs, infinities and signs are wrong. */
static void print_peer(const Tally *random, const Tally *hard) {
    if (!random->points) {
        printf(" - |");
        return;
    }
    printf(" %.3g", random->ulp);
    if (hard->ulp > 1.0 && hard->ulp > 1.1 * random->ulp) printf(", hard %.3g", hard->ulp);
    unsigned long long wrong = random->wrong + hard->wrong;
    if (wrong) printf(", %llu wrong", wrong);
    printf(" |");
}

/* Rounded up, so that the printed figure is a bound. */
static void print_row(Function function, bool single, const Result *r, double seconds) {
    const Tally *q = &r->quern;
    bool two = function_rows[function].arity == 2;
    printf("| %s | %s | %.3g | %.4f | %a", function_rows[function].name, single ? "f32" : "f64", (double)q->points, q->ulp > 0.0 ? q->ulp + 0.00005 : 0.0, q->x);
    if (two) printf(", %a", q->y);
    printf(" |");
    for (int peer = 0; peer < PEER_COUNT; peer++) print_peer(&r->peers[peer], &r->peers_hard[peer]);
    printf("\n");
    fflush(stdout);
    fprintf(stderr, "%s %s: %llu judged by MPFR, %llu wrong, %.1f s\n", function_rows[function].name, single ? "f32" : "f64",
            (unsigned long long)q->judged, (unsigned long long)q->wrong, seconds);
}

static bool run(Function function, bool single, const Options *o) {
    Result result = {.quern = {.ulp = -1.0, .above = 0.9}};
    for (int peer = 0; peer < PEER_COUNT; peer++) {
        result.peers[peer] = result.peers_hard[peer] = (Tally){.ulp = -1.0, .above = 1e300};
    }
    clock_t start = clock();
    bool all = o->all && single && function_rows[function].arity == 1;
    bool fine = true;
    if (all) fine = sweep(function, &result);
    if (fine) fine = measure(function, single, all ? o->peer_points : o->points, o->peer_points, !all, &result);
    if (fine) print_row(function, single, &result, (double)(clock() - start) / CLOCKS_PER_SEC);
    return fine && result.quern.ulp <= 1.0 && !result.quern.wrong;
}

int main(int argc, char **argv) {
    Options options;
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: bench_accuracy [-n POINTS] [-p PEER_POINTS] [-t f32|f64] [-a 0|1] [FUNCTION...]\n");
        return 2;
    }
    int failures = 0;
    printf("| function | type | points | error | at | libm | libmvec | SLEEF |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (int function = 0; function < FUNCTION_COUNT; function++) {
        if (!wanted(&options, function_rows[function].name)) continue;
        for (int single = 0; single < 2; single++) {
            if (options.types[single]) failures += !run((Function)function, single != 0, &options);
        }
    }
    return failures != 0;
}
