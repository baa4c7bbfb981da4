/* Asynchronous launches driven by events: no thread of the host waits for a kernel. Eight simulations of a heated rod run side by side; each
 * callback launches the next hundred steps of its rod, until the rod is cold. The main thread sleeps until the last one tells. */
#include <pthread.h>
#include <quern/quern.h>
#include <stdio.h>
#include <string.h>

enum { RODS = 8, LENGTH = 101, MOST_ROUNDS = 500 };

static const char source[] = "kernel cool(u: f64[n] edge 0.0, steps: i64) -> v: f64[n], hottest: f64 {\n"
                             "    let a[i] = u[i]\n"
                             "    let b[i] = u[i]\n"
                             "    loop t in 0..steps {\n"
                             "        b[i] = a[i] + 0.4 * (a[i-1] - 2.0 * a[i] + a[i+1]) for i in 1..n-1 else 0.0\n"
                             "        swap(a, b)\n"
                             "    }\n"
                             "    v[i] = a[i]\n"
                             "    hottest = max(i: a[i])\n"
                             "}\n";

typedef struct world {
    qn_kernel *kernel;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int running, failed;
} world;

/* What a launch points to must stay until its event is done: all of it is here. */
typedef struct rod {
    world *world;
    qn_array *now, *outputs[2];
    int64_t steps;
    DLTensor count;
    const DLTensor *inputs[2];
    int rounds;
} rod;

static void finish(rod *r, bool failed) {
    pthread_mutex_lock(&r->world->mutex);
    r->world->running--;
    r->world->failed += failed;
    pthread_cond_signal(&r->world->changed);
    pthread_mutex_unlock(&r->world->mutex);
}

static void done(void *user, qn_event *event);

static void step(rod *r) {
    qn_event *event = NULL;
    r->inputs[0] = qn_array_tensor(r->now);
    r->inputs[1] = &r->count;
    r->outputs[0] = r->outputs[1] = NULL;
    if (qn_launch(r->world->kernel, r->inputs, 2, r->outputs, 2, NULL, &event, NULL) != QN_OK || qn_event_then(event, done, r, NULL) != QN_OK) finish(r, true);
}

static void done(void *user, qn_event *event) {
    rod *r = user;
    qn_error error;
    const qn_status status = qn_event_result(event, &error);
    qn_event_destroy(event);
    if (status != QN_OK) {
        fprintf(stderr, "%s\n", error.message);
        finish(r, true);
        return;
    }
    const double hottest = *(const double *)qn_array_tensor(r->outputs[1])->data;
    qn_array_destroy(r->now);
    qn_array_destroy(r->outputs[1]);
    r->now = r->outputs[0];
    r->outputs[0] = NULL;
    if (hottest < 1.0 || ++r->rounds == MOST_ROUNDS) finish(r, hottest >= 1.0);
    else step(r);
}

static bool start(rod *r, world *w, qn_context *context, int number) {
    const int64_t shape[] = {LENGTH};
    *r = (rod){.world = w, .steps = 100};
    r->count = (DLTensor){.data = &r->steps, .device = {kDLCPU, 0}, .dtype = qn_type_to_dlpack(QN_I64)};
    if (qn_array_create(context, QN_F64, 1, shape, &r->now, NULL) != QN_OK) return false;
    ((double *)qn_array_tensor(r->now)->data)[10 * number + 15] = 1000.0;
    pthread_mutex_lock(&w->mutex);
    w->running++;
    pthread_mutex_unlock(&w->mutex);
    step(r);
    return true;
}

int main(void) {
    world w = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    rod rods[RODS];
    qn_context *context = NULL;
    qn_module *module = NULL;
    qn_error error;
    memset(rods, 0, sizeof rods);
    if (qn_context_create(NULL, &context, &error) != QN_OK ||
        qn_module_from_source(context, "events.qn", source, sizeof source - 1, &module, &error) != QN_OK ||
        qn_kernel_create(module, "cool", NULL, &w.kernel, &error) != QN_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    int rounds = 0;
    for (int i = 0; i < RODS; i++) w.failed += !start(&rods[i], &w, context, i);
    pthread_mutex_lock(&w.mutex);
    while (w.running > 0) pthread_cond_wait(&w.changed, &w.mutex);
    pthread_mutex_unlock(&w.mutex);
    for (int i = 0; i < RODS; i++) {
        rounds += rods[i].rounds;
        qn_array_destroy(rods[i].now);
    }
    qn_kernel_destroy(w.kernel);
    qn_module_destroy(module);
    qn_context_destroy(context);
    printf("%d rods are cold after %d launches; %d failed\n", RODS - w.failed, rounds + RODS, w.failed);
    return w.failed != 0;
}
