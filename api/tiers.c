/* Tiers: a kernel that starts in the interpreter, one thread per context that compiles such kernels, and the typed
 * function of a kernel, which stays the same pointer when the compiled code takes over.
 *
 * State of a kernel: queued -> running -> ready or failed, guarded by the context's queue. What is published is
 * kernel->current, for qn_call, and the slot of the kernel's trampoline, for the typed function. Both tiers stay loaded
 * until the kernel is destroyed, because calls may be on their way in either. */
#include "api/internal.h"
#include "compiler/llvm/emit.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- compiling ---- */

/* The compiled code of a tiered kernel, loaded but not yet published. */
static bool make_native(qn_kernel *kernel) {
    qn_context *context = kernel->module->context;
    const qn__engine_row *row = qn__engine_row_of(QN_ENGINE_CPU);
    qn__tier *tier = &kernel->tier;
    const uint64_t start = qn__now();
    tier->message = "unknown reason";
    pthread_mutex_lock(&kernel->memory);
    bool ok = row->emit(kernel->compiled->ir, context, &tier->image, &tier->message);
    pthread_mutex_unlock(&kernel->memory);
    tier->emit_ms = (double)(qn__now() - start) * 1e-6;
    if (!ok) return false;
    if (tier->key && kernel->compiled->sink.count == 0) qn__cached_store(kernel, &tier->image, tier->key);
    const uint64_t loading = qn__now();
    qn__loader *loader = qn__context_loader(context, &tier->message);
    ok = loader && qn__kernel_load(&tier->loaded, row->engine, &tier->image, loader, &tier->message);
    tier->load_ms = (double)(qn__now() - loading) * 1e-6;
    if (ok) qn__kernel_bind_raw(kernel, &tier->loaded);
    return ok;
}

/* The caller holds the queue's lock. */
static void publish(qn_kernel *kernel, bool ok) {
    qn__tier *tier = &kernel->tier;
    tier->state = ok ? QN__TIER_READY : QN__TIER_FAILED;
    if (ok) {
        kernel->times.emit_ms = tier->emit_ms;
        kernel->times.load_ms = tier->load_ms;
        atomic_store_explicit(&kernel->current, &tier->loaded, memory_order_release);
        if (tier->trampoline.slot && tier->loaded.raw) qn__trampoline_aim(&tier->trampoline, tier->loaded.raw);
    }
    pthread_cond_broadcast(&kernel->module->context->queue.done);
}

static void *work(void *user) {
    qn__queue *queue = &((qn_context *)user)->queue;
    pthread_mutex_lock(&queue->lock);
    for (;;) {
        while (!queue->first && !queue->stop) pthread_cond_wait(&queue->work, &queue->lock);
        if (queue->stop) break;
        qn_kernel *kernel = queue->first;
        queue->first = kernel->tier.next;
        kernel->tier.state = QN__TIER_RUNNING;
        queue->busy = true;
        pthread_mutex_unlock(&queue->lock);
        const bool ok = make_native(kernel);
        pthread_mutex_lock(&queue->lock);
        queue->busy = false;
        publish(kernel, ok);
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

/* ---- the queue; callers hold its lock ---- */

/* After a fork the child has no worker: it starts its own. */
static bool have_worker(qn_context *context) {
    qn__queue *queue = &context->queue;
    if (queue->process == getpid()) return true;
    if (pthread_create(&queue->worker, NULL, work, context) != 0) return false;
    queue->process = getpid();
    return true;
}

static void remove_job(qn__queue *queue, const qn_kernel *kernel) {
    for (qn_kernel **at = &queue->first; *at; at = &(*at)->tier.next)
        if (*at == kernel) {
            *at = kernel->tier.next;
            return;
        }
}

static void append_job(qn__queue *queue, qn_kernel *kernel) {
    qn_kernel **at = &queue->first;
    while (*at) at = &(*at)->tier.next;
    kernel->tier.next = NULL;
    *at = kernel;
    kernel->tier.state = QN__TIER_QUEUED;
    pthread_cond_signal(&queue->work);
}

/* A compilation that ran in another process when this one was forked off never ends here. */
static void notice_fork(qn_kernel *kernel) {
    qn__tier *tier = &kernel->tier;
    if (tier->state != QN__TIER_RUNNING || kernel->module->context->queue.process == getpid()) return;
    tier->state = QN__TIER_FAILED;
    tier->message = "the process was forked while the kernel was compiled";
    pthread_mutex_init(&kernel->memory, NULL); /* the worker held it */
}

static bool make_locks(qn__queue *queue) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return false;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    const bool ok = pthread_mutex_init(&queue->lock, NULL) == 0 && pthread_cond_init(&queue->work, NULL) == 0 &&
                    pthread_cond_init(&queue->done, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return ok;
}

bool qn__queue_init(qn__queue *queue) {
    atomic_init(&queue->owner, getpid());
    return make_locks(queue);
}

/* A fork copies locks as they are, also those that the worker holds, which has not come along. A worker that was compiling may also
 * have held the loader's: the child goes on with a new loader, and what the old one loaded stays where it is. */
void qn__queue_recover(qn_context *context) {
    qn__queue *queue = &context->queue;
    const pid_t mine = getpid();
    pid_t owner = atomic_load(&queue->owner);
    if (owner == mine) return;
    if (owner != 0 && atomic_compare_exchange_strong(&queue->owner, &owner, 0)) {
        make_locks(queue);
        if (queue->busy) {
            pthread_mutex_init(&context->mutex, NULL);
            context->loader = NULL;
        }
        queue->busy = false;
        atomic_store(&queue->owner, mine);
    }
    while (atomic_load(&queue->owner) != mine) sched_yield();
}

static void lock(qn_context *context) {
    qn__queue_recover(context);
    pthread_mutex_lock(&context->queue.lock);
}

void qn__kernel_drop(const qn_kernel *kernel, qn__loaded *loaded) {
    if (!loaded->loader || loaded->loader == kernel->module->context->loader) qn__kernel_unload(loaded);
}

void qn__queue_end(qn_context *context) {
    qn__queue *queue = &context->queue;
    lock(context);
    queue->stop = true;
    pthread_cond_signal(&queue->work);
    const bool running = queue->process == getpid();
    pthread_mutex_unlock(&queue->lock);
    if (running) pthread_join(queue->worker, NULL);
    qn__trampolines_destroy(queue->trampolines);
    pthread_cond_destroy(&queue->done);
    pthread_cond_destroy(&queue->work);
    pthread_mutex_destroy(&queue->lock);
}

/* ---- what kernels do ---- */

void qn__tier_start(qn_kernel *kernel) {
    qn_context *context = kernel->module->context;
    lock(context);
    const bool queued = have_worker(context);
    if (queued) append_job(&context->queue, kernel);
    pthread_mutex_unlock(&context->queue.lock);
    if (queued) return;
    const bool ok = make_native(kernel); /* no thread can be had: compile at once */
    lock(context);
    publish(kernel, ok);
    pthread_mutex_unlock(&context->queue.lock);
}

void qn__tier_end(qn_kernel *kernel) {
    qn__queue *queue = &kernel->module->context->queue;
    qn__tier *tier = &kernel->tier;
    lock(kernel->module->context);
    remove_job(queue, kernel);
    notice_fork(kernel);
    while (tier->state == QN__TIER_RUNNING) pthread_cond_wait(&queue->done, &queue->lock);
    if (tier->trampoline.slot) qn__trampoline_give(queue->trampolines, &tier->trampoline);
    pthread_mutex_unlock(&queue->lock);
    qn__closure_destroy(tier->closure);
    qn__kernel_drop(kernel, &tier->loaded);
    free(tier->key);
}

static bool is_pending(const qn__tier *tier) { return tier->state == QN__TIER_QUEUED || tier->state == QN__TIER_RUNNING; }

static struct timespec deadline_in(double ms) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    const double limited = ms < 1e12 ? ms : 1e12;
    const int64_t nanoseconds = time.tv_nsec + (int64_t)(limited * 1e6) % 1000000000;
    time.tv_sec += (time_t)(limited / 1e3) + nanoseconds / 1000000000;
    time.tv_nsec = nanoseconds % 1000000000;
    return time;
}

qn_status qn_kernel_prepare(qn_kernel *kernel, double deadline_ms, qn_error *error) {
    if (!kernel) return qn__error(error, QN_USAGE, "qn_kernel_prepare: kernel is NULL");
    qn_context *context = kernel->module->context;
    qn__queue *queue = &context->queue;
    qn__tier *tier = &kernel->tier;
    const struct timespec deadline = deadline_in(deadline_ms > 0 ? deadline_ms : 0);
    int waited = 0;
    lock(context);
    if (tier->state == QN__TIER_QUEUED && have_worker(context)) { /* first in the queue */
        remove_job(queue, kernel);
        tier->next = queue->first;
        queue->first = kernel;
        pthread_cond_signal(&queue->work);
    }
    notice_fork(kernel);
    while (is_pending(tier) && waited == 0)
        waited = deadline_ms > 0 ? pthread_cond_timedwait(&queue->done, &queue->lock, &deadline)
                                 : pthread_cond_wait(&queue->done, &queue->lock);
    const qn__tier_state state = tier->state;
    pthread_mutex_unlock(&queue->lock);
    switch (state) {
    case QN__TIER_NONE:
    case QN__TIER_READY: return qn__no_error(error);
    case QN__TIER_QUEUED:
    case QN__TIER_RUNNING: return qn__error(error, QN_STOPPED, "kernel %s is still being compiled", qn_kernel_name(kernel));
    case QN__TIER_FAILED: break;
    }
    return qn__error(error, kernel->compiled->ir->failed ? QN_RESOURCE : qn__failure(tier->message), "cpu: %s", tier->message);
}

qn_tier qn_kernel_tier(const qn_kernel *kernel) {
    if (!kernel) return QN_TIER_AUTO;
    const qn__loaded *current = atomic_load_explicit(&kernel->current, memory_order_acquire);
    return current->engine == &qn__engine_interp ? QN_TIER_INTERP : QN_TIER_NATIVE;
}

/* ---- the typed function ---- */

/* A closure on the interpreter; behind a trampoline while compiled code may come. The caller holds the queue's lock. */
static qn_function make_function(qn_kernel *kernel) {
    qn__queue *queue = &kernel->module->context->queue;
    qn__tier *tier = &kernel->tier;
    const char *message;
    const qn__loaded *current = atomic_load_explicit(&kernel->current, memory_order_acquire);
    if (current->raw) return current->raw;
    if (!tier->closure) tier->closure = qn__closure_create(current, kernel->externs, &message);
    if (!tier->closure) return NULL;
    const qn__raw_function closure = qn__closure_function(tier->closure);
    if (!is_pending(tier)) return closure;
    if (!queue->trampolines) queue->trampolines = qn__trampolines_create();
    if (!queue->trampolines || !qn__trampoline_take(queue->trampolines, closure, &tier->trampoline)) return NULL;
    return tier->trampoline.function;
}

qn_function qn_kernel_function(qn_kernel *kernel) {
    if (!kernel) return NULL;
    qn__queue *queue = &kernel->module->context->queue;
    lock(kernel->module->context);
    notice_fork(kernel);
    if (!kernel->function) kernel->function = make_function(kernel);
    const qn_function function = kernel->function;
    pthread_mutex_unlock(&queue->lock);
    return function;
}
