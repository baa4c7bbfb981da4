/* Streams: queues of operations, each served by a thread of its own.
 *
 * An operation begins when it is the first of its stream and what it waits for is done: events, and between the default
 * stream and blocking streams the latest operation of the other side. It may be run by the stream's thread or by a
 * thread that waits for it (host functions only by the stream's); `busy` says that one of them does. An operation is
 * done even if the context failed: then it did nothing.
 *
 * Threads are started by the first queued operation and detached; a stream's memory goes when it is closing, empty and
 * no thread serves it. */
#include "emulator/driver.h"

#include <stdlib.h>
#include <string.h>

enum { GREATEST_PRIORITY = -5 };

static em_op *retain(em_op *op) {
    op->references++;
    return op;
}

void em_op_release(em_op *op) {
    if (!op || --op->references) return;
    for (size_t i = 0; i < op->wait_count; i++) em_op_release(op->waits[i]);
    free(op->waits);
    em_work_clear(&op->work);
    free(op);
}

static bool ready(const em_stream *stream) {
    if (stream->busy || !stream->first) return false;
    for (size_t i = 0; i < stream->first->wait_count; i++)
        if (!stream->first->waits[i]->done) return false;
    return true;
}

/* Takes a stream that nobody serves out of its context and frees it. */
static void end_stream(em_stream *stream, em_context *context) {
    for (em_stream **link = &context->streams; *link; link = &(*link)->next) {
        if (*link != stream) continue;
        *link = stream->next;
        break;
    }
    em_op_release(stream->last);
    free(stream->tail);
    free(stream);
    pthread_cond_broadcast(&em__changed);
}

/* Runs the first operation, which is ready. The stream may be gone afterwards, where it has no thread. */
static void run_first(em_stream *stream) {
    em_op *op = stream->first;
    stream->busy = true;
    em_work_run(stream->object.context, &op->work);
    stream->first = op->next;
    if (!stream->first) stream->last_queued = NULL;
    clock_gettime(CLOCK_MONOTONIC, &op->finished);
    op->done = true;
    op->stream = NULL;
    em_work_clear(&op->work);
    for (size_t i = 0; i < op->wait_count; i++) em_op_release(op->waits[i]); /* or a chain of them would never end */
    op->wait_count = 0;
    stream->busy = false;
    em_op_release(op);
    pthread_cond_broadcast(&em__changed);
    if (stream->closing && !stream->has_worker && !stream->first) end_stream(stream, stream->object.context);
}

static void *serve(void *argument) {
    em_stream *stream = argument;
    pthread_mutex_lock(&em__lock);
    em_context *context = stream->object.context;
    while (stream->first || !stream->closing) {
        if (ready(stream))
            run_first(stream);
        else
            pthread_cond_wait(&em__changed, &em__lock);
    }
    end_stream(stream, context);
    em__driver.workers--;
    pthread_cond_broadcast(&em__changed);
    pthread_mutex_unlock(&em__lock);
    return NULL;
}

static bool start_worker(em_stream *stream) {
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes)) return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    stream->has_worker = !pthread_create(&thread, &attributes, serve, stream);
    pthread_attr_destroy(&attributes);
    em__driver.workers += stream->has_worker;
    return stream->has_worker;
}

CUresult em_stream_create(em_context *context, unsigned int flags, int priority, em_stream **stream) {
    em_stream *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = em_object_add(&fresh->object, EM_STREAM, context);
    if (result) {
        free(fresh);
        return result;
    }
    fresh->flags = flags;
    fresh->priority = priority > 0 ? 0 : priority < GREATEST_PRIORITY ? GREATEST_PRIORITY : priority;
    fresh->next = context->streams;
    context->streams = fresh;
    em__driver.statistics.streams++;
    *stream = fresh;
    return CUDA_SUCCESS;
}

void em_stream_close(em_stream *stream) {
    em_context *context = stream->object.context;
    em_capture_leave(stream);
    em_object_remove(&stream->object);
    stream->object.context = context; /* its work needs it until the end */
    stream->closing = true;
    em__driver.statistics.streams--;
    if (stream->has_worker)
        pthread_cond_broadcast(&em__changed);
    else if (!stream->first)
        end_stream(stream, context); /* else a thread that waits for it is about to */
}

CUresult em_stream_of(em_context *context, CUstream handle, em_stream **stream) {
    if (handle == CU_STREAM_PER_THREAD) return CUDA_ERROR_NOT_SUPPORTED;
    *stream = !handle || handle == CU_STREAM_LEGACY ? context->legacy : em_handle_get(EM_STREAM, handle);
    if (!*stream) return CUDA_ERROR_INVALID_HANDLE;
    return (*stream)->object.context->error;
}

static bool add_wait(em_op *op, em_op *wait) {
    if (!wait || wait->done) return true;
    em_op **larger = realloc(op->waits, (op->wait_count + 1) * sizeof *larger);
    if (!larger) return false;
    op->waits = larger;
    op->waits[op->wait_count++] = retain(wait);
    return true;
}

static bool blocking(const em_stream *stream) {
    return !(stream->flags & CU_STREAM_NON_BLOCKING);
}

/* The legacy default stream's order: it waits for all blocking streams, and they wait for it. */
static bool add_legacy_waits(em_stream *stream, em_op *op) {
    em_context *context = stream->object.context;
    if (stream != context->legacy) return !blocking(stream) || add_wait(op, context->legacy->last);
    for (const em_stream *other = context->streams; other; other = other->next)
        if (other != stream && blocking(other) && !add_wait(op, other->last)) return false;
    return true;
}

static CUresult queue(em_stream *stream, em_work *work, em_op *wait, bool waited_for, em_op **result) {
    if (stream->closing) return CUDA_ERROR_INVALID_HANDLE;
    em_op *op = calloc(1, sizeof *op);
    if (!op) return CUDA_ERROR_OUT_OF_MEMORY;
    op->references = 1;
    op->stream = stream;
    if (!add_wait(op, wait) || !add_legacy_waits(stream, op) ||
        (!waited_for && !stream->has_worker && !start_worker(stream))) {
        em_op_release(op);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    op->number = ++em__driver.submitted;
    op->work = *work;
    *work = (em_work){0};
    em_work_number(&op->work);
    if (stream->last_queued)
        stream->last_queued->next = op;
    else
        stream->first = op;
    stream->last_queued = op;
    em_op_release(stream->last);
    stream->last = retain(op);
    if (result) *result = retain(op);
    if (!waited_for) pthread_cond_broadcast(&em__changed);
    return CUDA_SUCCESS;
}

static CUresult submit(em_stream *stream, em_work *work, em_op *wait, bool waited_for, em_op **op) {
    if (op) *op = NULL;
    CUresult result = em_capture_legacy(stream);
    if (!result && stream->capture) {
        if (!waited_for) return em_capture_add(stream, work);
        result = em_capture_sync(stream);
    }
    if (!result) result = stream->object.context->error;
    if (!result) result = queue(stream, work, wait, waited_for, op);
    em_work_clear(work);
    return result;
}

CUresult em_submit(em_stream *stream, em_work *work, em_op *wait, em_op **op) {
    return submit(stream, work, wait, false, op);
}

CUresult em_submit_and_wait(em_stream *stream, em_work *work) {
    em_context *context = stream->object.context;
    em_op *op;
    CUresult result = submit(stream, work, NULL, true, &op);
    if (result) return result;
    result = em_op_wait(context, op);
    em_op_release(op);
    return result;
}

/* Runs what the stream can run meanwhile: an operation that nobody but its waiter was told of is run here. */
CUresult em_op_wait(em_context *context, em_op *op) {
    while (!op->done) {
        em_stream *stream = op->stream;
        if (ready(stream) && stream->first->work.kind != EM_WORK_HOST && stream->first->work.kind != EM_WORK_LIST)
            run_first(stream);
        else
            pthread_cond_wait(&em__changed, &em__lock);
    }
    return context ? context->error : CUDA_SUCCESS;
}

/* The oldest operation of a stream that is not done, up to this number. */
static em_op *unfinished(const em_context *context, uint64_t number) {
    for (const em_stream *stream = context->streams; stream; stream = stream->next)
        if (stream->first && stream->first->number <= number) return stream->first;
    return NULL;
}

void em_wait_for_submitted(const em_context *context) {
    uint64_t number = em__driver.submitted;
    for (;;) { /* looks at the lists anew each time: what they hold may go while the lock is given up */
        em_op *op = context ? unfinished(context, number) : NULL;
        for (const em_context *each = em__driver.contexts; !context && each && !op; each = each->next)
            op = unfinished(each, number);
        if (!op) return;
        em_op_wait(NULL, retain(op));
        em_op_release(op);
    }
}

CUresult cuStreamCreateWithPriority(CUstream *handle, unsigned int flags, int priority) {
    em_context *context;
    em_stream *stream;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!handle || flags & ~(unsigned int)CU_STREAM_NON_BLOCKING) return em_leave(CUDA_ERROR_INVALID_VALUE);
    result = em_stream_create(context, flags, priority, &stream);
    if (!result) *handle = stream->object.handle;
    return em_leave(result);
}

CUresult cuStreamCreate(CUstream *handle, unsigned int flags) {
    return cuStreamCreateWithPriority(handle, flags, 0);
}

static CUresult enter_stream(CUstream handle, em_context **context, em_stream **stream) {
    CUresult result = em_enter(context);
    if (result) return result;
    result = em_stream_of(*context, handle, stream);
    return result ? em_leave(result) : CUDA_SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream handle) {
    em_context *context;
    em_stream *stream;
    CUresult result = enter_stream(handle, &context, &stream);
    if (result) return result;
    if (stream == stream->object.context->legacy) return em_leave(CUDA_ERROR_INVALID_HANDLE);
    em_stream_close(stream);
    return em_leave(CUDA_SUCCESS);
}

CUresult cuStreamSynchronize(CUstream handle) {
    em_context *context;
    em_stream *stream;
    CUresult result = enter_stream(handle, &context, &stream);
    if (result) return result;
    result = em_capture_sync(stream);
    if (result) return em_leave(result);
    if (stream == stream->object.context->legacy) { /* also for what an operation queued now would wait for */
        em_work nothing = {.kind = EM_WORK_NOTHING};
        return em_leave(em_submit_and_wait(stream, &nothing));
    }
    if (!stream->last) return em_leave(CUDA_SUCCESS);
    em_op *last = retain(stream->last);
    context = stream->object.context;
    result = em_op_wait(context, last);
    em_op_release(last);
    return em_leave(result);
}

CUresult cuStreamQuery(CUstream handle) {
    em_context *context;
    em_stream *stream;
    CUresult result = enter_stream(handle, &context, &stream);
    if (result) return result;
    result = em_capture_sync(stream);
    if (result) return em_leave(result);
    bool legacy = stream == stream->object.context->legacy, working = stream->first != NULL;
    for (const em_stream *other = stream->object.context->streams; legacy && other; other = other->next)
        working |= blocking(other) && other->first;
    return em_leave(working ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS);
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext *owner) {
    em_context *context;
    em_stream *stream;
    CUresult result = enter_stream(handle, &context, &stream);
    if (result) return result;
    if (!owner) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *owner = stream->object.context->handle;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuStreamGetFlags(CUstream handle, unsigned int *flags) {
    em_context *context;
    em_stream *stream;
    CUresult result = enter_stream(handle, &context, &stream);
    if (result) return result;
    if (!flags) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *flags = stream->flags;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuStreamGetPriority(CUstream handle, int *priority) {
    em_context *context;
    em_stream *stream;
    CUresult result = enter_stream(handle, &context, &stream);
    if (result) return result;
    if (!priority) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *priority = stream->priority;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void *data) {
    em_context *context;
    em_stream *stream;
    CUresult result = enter_stream(handle, &context, &stream);
    if (result) return result;
    if (!function) return em_leave(CUDA_ERROR_INVALID_VALUE);
    em_work work = {.kind = EM_WORK_HOST, .host = {function, data}};
    return em_leave(em_submit(stream, &work, NULL, NULL));
}
