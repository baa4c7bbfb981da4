/* What starting and ending a parallel region costs in the threading runtimes that Debian has, and whether they stand what libquern
 * needs: several callers, nesting, fork, OpenBLAS beside them. Each runtime is opened at run time, and each question is asked in a process of its own,
 * which is ended when it takes too long ("hangs"). Figures: docs/decisions/0009-threads.md.
 *
 *     bench_threads [runtime ...]      TBB needs a C face: c++ -O2 -shared -fPIC bench/threads_tbb.cpp -ltbb -o libthreads_tbb.so, in the current folder */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 2, REGIONS = 2001, PATIENCE_SECONDS = 10 };

typedef void task(void *context);
typedef struct runtime {
    const char *name, *library;
    bool (*open)(void *library);
    void (*region)(task *run, void *context); /* run(context) THREADS times, at once where it can */
} runtime;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static double used(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
}

/* ---- the runtimes ---- */

static void *(*pthreadpool_create)(size_t);
static void (*pthreadpool_parallelize_1d)(void *, void (*)(void *, size_t), void *, size_t, uint32_t);
static void *pool;
static uint32_t pool_flags;
typedef struct call { task *run; void *context; } call;

static void pool_task(void *context, size_t i) {
    (void)i;
    const call *c = context;
    c->run(c->context);
}

static void pool_region(task *run, void *context) {
    call c = {run, context};
    pthreadpool_parallelize_1d(pool, pool_task, &c, THREADS, pool_flags);
}

static bool open_pool(void *library) {
    find(library, "pthreadpool_create", &pthreadpool_create);
    find(library, "pthreadpool_parallelize_1d", &pthreadpool_parallelize_1d);
    pool = pthreadpool_create(THREADS);
    return pool != NULL;
}

static bool open_yielding(void *library) {
    pool_flags = 2; /* PTHREADPOOL_FLAG_YIELD_WORKERS */
    return open_pool(library);
}

static void (*gomp_parallel)(task *, void *, unsigned, unsigned);
static void gomp_region(task *run, void *context) { gomp_parallel(run, context, THREADS, 0); }

static bool open_gomp(void *library) {
    find(library, "GOMP_parallel", &gomp_parallel);
    return gomp_parallel != NULL;
}

static void (*set_blocktime)(int);
static bool open_omp_blocking(void *library) {
    find(library, "kmp_set_blocktime", &set_blocktime);
    set_blocktime(0);
    return open_gomp(library);
}

static void (*tbb_parallel)(task *, void *, int);
static void tbb_region(task *run, void *context) { tbb_parallel(run, context, THREADS); }

static bool open_tbb(void *library) {
    find(library, "threads_tbb", &tbb_parallel);
    return tbb_parallel != NULL;
}

static const runtime runtimes[] = {
    {"pthreadpool", "libpthreadpool.so.0", open_pool, pool_region},
    {"pthreadpool, yielding", "libpthreadpool.so.0", open_yielding, pool_region},
    {"libgomp", "libgomp.so.1", open_gomp, gomp_region},
    {"libomp", "libomp.so.5", open_gomp, gomp_region},
    {"libomp, blocktime 0", "libomp.so.5", open_omp_blocking, gomp_region},
    {"tbb", "./libthreads_tbb.so", open_tbb, tbb_region},
};

/* ---- the questions ---- */

static void nothing(void *context) { (void)context; }

/* Threads meet in the region, so that one cannot do the work of both: what a region costs whose threads are all needed. */
static void meet(void *context) {
    atomic_int *count = context;
    atomic_fetch_add(count, 1);
    const double begun = now();
    while (atomic_load(count) < THREADS && now() - begun < 1e5) sched_yield();
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sleep_us(long us) {
    const struct timespec t = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

static double median(const runtime *r, int regions, long pause, bool meeting) {
    static double times[REGIONS];
    for (int i = 0; i < regions; i++) {
        atomic_int count = 0;
        if (pause) sleep_us(pause);
        const double begun = now();
        r->region(meeting ? meet : nothing, &count);
        times[i] = now() - begun;
    }
    qsort(times, (size_t)regions, sizeof *times, ascending);
    return times[regions / 2];
}

static void start(const runtime *r) {
    const double begun = now();
    r->region(nothing, NULL);
    printf("first %.0f us", now() - begun);
    median(r, REGIONS, 0, true);
    printf(", empty %.2f us, both threads %.2f us", median(r, REGIONS, 0, false), median(r, REGIONS, 0, true));
    printf("; after 100 us %.1f, 2 ms %.1f, 50 ms %.1f us", median(r, 501, 100, true), median(r, 201, 2000, true), median(r, 21, 50000, true));
}

static void idle(const runtime *r) {
    r->region(nothing, NULL);
    const double begun = used();
    for (int i = 0; i < 10; i++) {
        r->region(nothing, NULL);
        sleep_us(50000);
    }
    printf("%.2f ms of processor time after a region", (used() - begun) / 1e4);
}

static const runtime *chosen;
static void *many_regions(void *context) {
    (void)context;
    for (int i = 0; i < 2000; i++) chosen->region(nothing, NULL);
    return NULL;
}

static int thread_count(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    int count = 0;
    while (file && fgets(line, sizeof line, file)) sscanf(line, "Threads: %d", &count);
    if (file) fclose(file);
    return count;
}

static void callers(const runtime *r) {
    pthread_t threads[4];
    chosen = r;
    r->region(nothing, NULL);
    const double begun = now();
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, many_regions, NULL);
    sleep_us(1000);
    const int count = thread_count();
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    printf("4 callers: %.2f us a region, %d threads with the callers", (now() - begun) / 8000, count);
}

static atomic_int inner;
static void count_inner(void *context) {
    (void)context;
    atomic_fetch_add(&inner, 1);
}

static void nest(void *context) {
    (void)context;
    chosen->region(count_inner, NULL);
}

static void nesting(const runtime *r) {
    chosen = r;
    r->region(nest, NULL);
    printf("works, inner function ran %d times of %d", atomic_load(&inner), THREADS * THREADS);
}

static void fork_after(const runtime *r) {
    r->region(nothing, NULL);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        r->region(nothing, NULL);
        const double begun = now();
        for (int i = 0; i < 1000; i++) r->region(nothing, NULL);
        printf("child works, %.2f us a region, %d threads", (now() - begun) / 1000, thread_count());
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

/* A matrix product of OpenBLAS alone, and in turns with regions. */
static void blas(const runtime *r) {
    enum { N = 512 };
    void *library = dlopen("libopenblas.so.0", RTLD_NOW);
    void (*dgemm)(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int) = NULL;
    if (library) find(library, "cblas_dgemm", &dgemm);
    if (!dgemm) {
        printf("no OpenBLAS");
        return;
    }
    double *a = calloc((size_t)3 * N * N, sizeof *a), alone[51], beside[51];
    for (int i = 0; i < 51; i++) {
        const double begun = now();
        dgemm(101, 111, 111, N, N, N, 1, a, N, a + N * N, N, 0, a + 2 * N * N, N);
        alone[i] = now() - begun;
    }
    double regions = 0;
    for (int i = 0; i < 51; i++) {
        double begun = now();
        for (int k = 0; k < 100; k++) r->region(nothing, NULL);
        regions += now() - begun;
        begun = now();
        dgemm(101, 111, 111, N, N, N, 1, a, N, a + N * N, N, 0, a + 2 * N * N, N);
        beside[i] = now() - begun;
    }
    qsort(alone, 51, sizeof *alone, ascending);
    qsort(beside, 51, sizeof *beside, ascending);
    printf("dgemm %d alone %.2f ms, between regions %.2f ms; a region %.2f us", N, alone[25] / 1e3, beside[25] / 1e3, regions / 5100);
    free(a);
}

static const struct { const char *name; void (*ask)(const runtime *r); } questions[] = {
    {"start", start}, {"idle", idle}, {"callers", callers}, {"nesting", nesting}, {"fork", fork_after}, {"blas", blas},
};

static void ask(const runtime *r, size_t question) {
    printf("%-22s %-8s ", r->name, questions[question].name);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        void *library = dlopen(r->library, RTLD_NOW);
        if (!library || !r->open(library)) {
            printf("not installed");
            exit(0);
        }
        questions[question].ask(r);
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    for (int i = 0; i < PATIENCE_SECONDS * 100; i++) {
        if (waitpid(child, &status, WNOHANG) == child) {
            printf("%s\n", WIFSIGNALED(status) ? " (ended by a signal)" : "");
            return;
        }
        sleep_us(10000);
    }
    kill(-child, SIGKILL);
    waitpid(child, NULL, 0);
    printf("hangs\n");
}

int main(int argc, char **argv) {
    for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++) {
        bool wanted = argc < 2;
        for (int k = 1; k < argc; k++) wanted |= strcmp(argv[k], runtimes[i].name) == 0;
        for (size_t q = 0; wanted && q < sizeof questions / sizeof *questions; q++) ask(&runtimes[i], q);
    }
    return 0;
}
