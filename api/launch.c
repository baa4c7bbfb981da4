/* Asynchronous calls: a queue and a few threads per context, made with the first launch.
 *
 * An event is counted: one for the handle, one for the queue. It holds its context. The pool's threads end when the context goes; when that happens on a
 * thread of the pool itself (the last event's), that thread is not joined but let go. A forked child finds no threads and starts a pool of its own. */
#include "api/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 8 };

struct qn_event {
    atomic_size_t references;
    qn_context *context;
    qn_kernel *kernel;
    const DLTensor **inputs;
    size_t input_count, output_count;
    qn_array **outputs;
    qn_call_options options;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    bool done;
    qn_status status;
    qn_error error;
    void (*callback)(void *user, qn_event *event);
    void *user;
    int32_t cancel;        /* read by the running kernel */
    struct qn_event *next; /* in the queue; guarded by the pool's mutex */
};

struct qn__pool {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    qn_event *first, **last;
    pthread_t threads[MAX_THREADS];
    size_t thread_count, idle, queued;
    bool stop;
    pid_t process;
    atomic_size_t references; /* the context's, and one per thread */
};

static void pool_release(qn__pool *pool) {
    if (atomic_fetch_sub(&pool->references, 1) != 1) return;
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->work);
    free(pool);
}

static void event_release(qn_event *event) {
    if (atomic_fetch_sub(&event->references, 1) != 1) return;
    qn_context *context = event->context;
    pthread_mutex_destroy(&event->mutex);
    pthread_cond_destroy(&event->changed);
    free(event->inputs);
    free(event);
    qn__context_release(context);
}

static void finish(qn_event *event, qn_status status, const qn_error *error) {
    pthread_mutex_lock(&event->mutex);
    event->status = status;
    event->error = *error;
    event->done = true;
    void (*callback)(void *, qn_event *) = event->callback;
    pthread_cond_broadcast(&event->changed);
    pthread_mutex_unlock(&event->mutex);
    if (callback) callback(event->user, event);
    event_release(event);
}

static void run(qn_event *event) {
    qn_error error = {0};
    if (__atomic_load_n(&event->cancel, __ATOMIC_RELAXED)) {
        qn__error(&error, QN_STOPPED, "cancelled before it began");
        finish(event, QN_STOPPED, &error);
        return;
    }
    event->options.cancel = &event->cancel;
    const qn_status status =
        qn_call(event->kernel, event->inputs, event->input_count, event->outputs, event->output_count, &event->options, &error);
    finish(event, status, &error);
}

static void *work(void *argument) {
    qn__pool *pool = argument;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->first && !pool->stop) {
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->mutex);
            pool->idle--;
        }
        qn_event *event = pool->first;
        if (!event) break;
        pool->first = event->next;
        if (!pool->first) pool->last = &pool->first;
        pool->queued--;
        pthread_mutex_unlock(&pool->mutex);
        run(event);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    pool_release(pool);
    return NULL;
}

/* The context's pool, made when needed. */
static qn__pool *pool_of(qn_context *context) {
    qn__context_lock(context);
    if (context->pool && context->pool->process != getpid()) context->pool = NULL; /* the parent's, whose threads are not here */
    if (!context->pool) {
        qn__pool *pool = calloc(1, sizeof *pool);
        if (pool && (pthread_mutex_init(&pool->mutex, NULL) != 0 || pthread_cond_init(&pool->work, NULL) != 0)) {
            free(pool);
            pool = NULL;
        }
        if (pool) {
            pool->last = &pool->first;
            pool->process = getpid();
            atomic_init(&pool->references, 1);
        }
        context->pool = pool;
    }
    qn__pool *pool = context->pool;
    pthread_mutex_unlock(&context->mutex);
    return pool;
}

void qn__pool_destroy(qn__pool *pool) {
    if (!pool) return;
    if (pool->process == getpid()) {
        pthread_mutex_lock(&pool->mutex);
        pool->stop = true;
        pthread_cond_broadcast(&pool->work);
        const size_t count = pool->thread_count;
        pthread_mutex_unlock(&pool->mutex);
        for (size_t i = 0; i < count; i++) {
            if (pthread_equal(pool->threads[i], pthread_self())) pthread_detach(pool->threads[i]);
            else pthread_join(pool->threads[i], NULL);
        }
    }
    pool_release(pool);
}

/* Puts the event into the queue, with a new thread when all are busy. False when there is no thread at all. */
static bool enqueue(qn__pool *pool, qn_event *event) {
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t most = processors < 1 ? 1 : processors > MAX_THREADS ? MAX_THREADS : (size_t)processors;
    pthread_mutex_lock(&pool->mutex);
    if (pool->idle <= pool->queued && pool->thread_count < most) { /* who is idle may be about to take what is queued */
        atomic_fetch_add(&pool->references, 1);
        if (pthread_create(&pool->threads[pool->thread_count], NULL, work, pool) == 0) pool->thread_count++;
        else atomic_fetch_sub(&pool->references, 1);
    }
    const bool possible = pool->thread_count > 0;
    if (possible) {
        *pool->last = event;
        pool->last = &event->next;
        pool->queued++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->mutex);
    return possible;
}

static qn_event *event_new(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_array **outputs, size_t output_count) {
    qn_event *event = calloc(1, sizeof *event);
    const DLTensor **list = calloc(input_count + 1, sizeof *list);
    pthread_condattr_t attributes;
    const bool ready = event && list && pthread_condattr_init(&attributes) == 0;
    if (!ready) {
        free(event);
        free(list);
        return NULL;
    }
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    const bool locks = pthread_mutex_init(&event->mutex, NULL) == 0 && pthread_cond_init(&event->changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!locks) {
        free(event);
        free(list);
        return NULL;
    }
    if (input_count) memcpy(list, inputs, input_count * sizeof *list);
    event->context = kernel->module->context;
    qn__context_retain(event->context);
    event->kernel = kernel;
    event->inputs = list;
    event->input_count = input_count;
    event->outputs = outputs;
    event->output_count = output_count;
    atomic_init(&event->references, 2);
    return event;
}

qn_status qn_launch(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_array **outputs,
                    size_t output_count, const qn_call_options *options, qn_event **event, qn_error *error) {
    if (!kernel || !event || (input_count && !inputs)) return qn__error(error, QN_USAGE, "qn_launch: an argument is NULL");
    *event = NULL;
    if (options && options->cancel) return qn__error(error, QN_USAGE, "qn_launch: options->cancel must be NULL, use qn_event_cancel");
    qn__no_error(error);
    qn__pool *pool = pool_of(kernel->module->context);
    qn_event *e = pool ? event_new(kernel, inputs, input_count, outputs, output_count) : NULL;
    if (!e) return qn__error(error, QN_RESOURCE, "out of memory");
    if (options) e->options = *options;
    if (!enqueue(pool, e)) {
        event_release(e);
        event_release(e);
        return qn__error(error, QN_RESOURCE, "no thread can be started");
    }
    *event = e;
    return QN_OK;
}

bool qn_event_done(const qn_event *event) {
    if (!event) return false;
    qn_event *e = (qn_event *)(uintptr_t)event; /* the lock is no part of the value */
    pthread_mutex_lock(&e->mutex);
    const bool done = e->done;
    pthread_mutex_unlock(&e->mutex);
    return done;
}

bool qn_event_wait(qn_event *event, double timeout_ms) {
    if (!event) return false;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const bool bounded = timeout_ms >= 0 && timeout_ms < 1e12;
    if (bounded) {
        const double nanoseconds = (double)until.tv_nsec + timeout_ms * 1e6;
        until.tv_sec += (time_t)(nanoseconds / 1e9);
        until.tv_nsec = (long)(nanoseconds - 1e9 * (double)(time_t)(nanoseconds / 1e9));
    }
    pthread_mutex_lock(&event->mutex);
    int result = 0;
    while (!event->done && result != ETIMEDOUT)
        result = bounded ? pthread_cond_timedwait(&event->changed, &event->mutex, &until) : pthread_cond_wait(&event->changed, &event->mutex);
    const bool done = event->done;
    pthread_mutex_unlock(&event->mutex);
    return done;
}

qn_status qn_event_result(const qn_event *event, qn_error *error) {
    if (!event) return qn__error(error, QN_USAGE, "qn_event_result: event is NULL");
    if (!qn_event_done(event)) return qn__error(error, QN_USAGE, "the call is not done yet");
    if (error) *error = event->error;
    return event->status;
}

qn_status qn_event_then(qn_event *event, void (*callback)(void *user, qn_event *event), void *user, qn_error *error) {
    if (!event || !callback) return qn__error(error, QN_USAGE, "qn_event_then: an argument is NULL");
    pthread_mutex_lock(&event->mutex);
    const bool taken = event->callback != NULL, done = event->done;
    if (!taken) {
        event->callback = callback;
        event->user = user;
    }
    pthread_mutex_unlock(&event->mutex);
    if (taken) return qn__error(error, QN_USAGE, "the event has a callback already");
    if (done) callback(user, event);
    return qn__no_error(error);
}

void qn_event_cancel(qn_event *event) {
    if (event) __atomic_store_n(&event->cancel, 1, __ATOMIC_RELAXED);
}

void qn_event_destroy(qn_event *event) {
    if (event) event_release(event);
}
