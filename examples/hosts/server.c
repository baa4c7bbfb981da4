/* Many threads call the same kernels under deadlines, as the workers of a server do. The requests are made up here: a queue that four
 * workers empty. A request that would take too long is stopped and answered with "too late"; the worker goes on with the next.
 *
 *     server [REQUESTS] */
#include <pthread.h>
#include <quern/quern.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 4, DEADLINE_MS = 20 };

/* Some requests never converge: their tolerance is below zero. */
static const char source[] = "kernel root(x: f64[n], tolerance: f64) -> y: f64[n] {\n"
                             "    y[i] = {\n"
                             "        var guess = x[i]\n"
                             "        while abs(guess * guess - x[i]) > tolerance { guess = 0.5 * (guess + x[i] / guess) }\n"
                             "        guess\n"
                             "    }\n"
                             "}\n";

typedef struct server {
    qn_kernel *kernel;
    int requests;
    atomic_int next, answered, late, failed;
} server;

static void answer(server *s, int number) {
    enum { SIZE = 256 };
    double x[SIZE], tolerance = number % 50 == 7 ? -1.0 : 1e-9;
    int64_t shape[] = {SIZE};
    for (int i = 0; i < SIZE; i++) x[i] = number % 1000 + i + 1;
    const DLTensor array = {.data = x, .device = {kDLCPU, 0}, .ndim = 1, .dtype = qn_type_to_dlpack(QN_F64), .shape = shape};
    const DLTensor scalar = {.data = &tolerance, .device = {kDLCPU, 0}, .dtype = qn_type_to_dlpack(QN_F64)};
    const DLTensor *inputs[] = {&array, &scalar};
    const qn_call_options options = {.deadline_ms = DEADLINE_MS};
    qn_array *y = NULL;
    qn_error error;
    const qn_status status = qn_call(s->kernel, inputs, 2, &y, 1, &options, &error);
    if (status == QN_OK) {
        const double root = ((const double *)qn_array_tensor(y)->data)[0], off = root * root - x[0];
        atomic_fetch_add(off < 1e-6 && off > -1e-6 ? &s->answered : &s->failed, 1);
    } else if (status == QN_STOPPED) {
        atomic_fetch_add(&s->late, 1);
    } else {
        fprintf(stderr, "request %d: %s\n", number, error.message);
        atomic_fetch_add(&s->failed, 1);
    }
    qn_array_destroy(y);
}

static void *work(void *user) {
    server *s = user;
    for (int number; (number = atomic_fetch_add(&s->next, 1)) < s->requests;) answer(s, number);
    return NULL;
}

int main(int argc, char **argv) {
    server s = {.requests = argc > 1 ? atoi(argv[1]) : 500};
    qn_context *context = NULL;
    qn_module *module = NULL;
    qn_error error;
    pthread_t workers[WORKERS];
    if (qn_context_create(NULL, &context, &error) != QN_OK ||
        qn_module_from_source(context, "server.qn", source, sizeof source - 1, &module, &error) != QN_OK ||
        qn_kernel_create(module, "root", NULL, &s.kernel, &error) != QN_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    int started = 0;
    while (started < WORKERS && pthread_create(&workers[started], NULL, work, &s) == 0) started++;
    for (int i = 0; i < started; i++) pthread_join(workers[i], NULL);
    qn_kernel_destroy(s.kernel);
    qn_module_destroy(module);
    qn_context_destroy(context);
    const int answered = atomic_load(&s.answered), late = atomic_load(&s.late), failed = atomic_load(&s.failed);
    printf("%d requests, %d workers: %d answered, %d too late, %d failed\n", s.requests, started, answered, late, failed);
    const int hopeless = s.requests / 50 + (s.requests % 50 > 7);
    return failed != 0 || late < hopeless || answered + late != s.requests;
}
