/* Events: an event refers to the operation that recorded it, so waiting, asking and timing look at that one. A captured
 * record refers to nodes. */
#include "emulator/driver.h"

#include <stdlib.h>
#include <string.h>

CUresult cuEventCreate(CUevent *handle, unsigned int flags) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!handle || flags & ~3u)
        return em_leave(flags & CU_EVENT_INTERPROCESS ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE);
    em_event *event = calloc(1, sizeof *event);
    if (!event) return em_leave(CUDA_ERROR_OUT_OF_MEMORY);
    event->flags = flags;
    result = em_object_add(&event->object, EM_EVENT, context);
    if (result) {
        free(event);
        return em_leave(result);
    }
    em__driver.statistics.events++;
    *handle = event->object.handle;
    return em_leave(CUDA_SUCCESS);
}

void em_event_end(em_event *event) {
    em_op_release(event->op);
    free(event->nodes);
    em_object_remove(&event->object);
    free(event);
    em__driver.statistics.events--;
}

static CUresult enter_event(CUevent handle, em_context **context, em_event **event) {
    CUresult result = em_enter(context);
    if (result) return result;
    *event = em_handle_get(EM_EVENT, handle);
    if (!*event) return em_leave(CUDA_ERROR_INVALID_HANDLE);
    result = (*event)->object.context->error;
    return result ? em_leave(result) : CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent handle) {
    em_context *context;
    em_event *event;
    CUresult result = enter_event(handle, &context, &event);
    if (result) return result;
    em_event_end(event);
    return em_leave(CUDA_SUCCESS);
}

void em_event_forget(em_event *event) {
    free(event->nodes);
    event->nodes = NULL;
    event->node_count = 0;
    event->capture = NULL;
}

static CUresult record(em_event *event, em_stream *stream) {
    if (stream->object.context != event->object.context) return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture) {
        CUresult broken = em_capture_state(stream);
        if (broken) return broken;
        em_node **nodes = calloc(stream->tail_count + 1, sizeof *nodes);
        if (!nodes) return CUDA_ERROR_OUT_OF_MEMORY;
        if (stream->tail_count) memcpy(nodes, stream->tail, stream->tail_count * sizeof *nodes);
        em_event_forget(event);
        event->nodes = nodes;
        event->node_count = stream->tail_count;
        event->capture = stream->capture;
        event->captured = true;
        return CUDA_SUCCESS;
    }
    em_op *op;
    em_work work = {.kind = EM_WORK_NOTHING};
    CUresult result = em_submit(stream, &work, NULL, &op);
    if (result) return result;
    em_event_forget(event);
    event->captured = false;
    em_op_release(event->op);
    event->op = op;
    return CUDA_SUCCESS;
}

CUresult cuEventRecordWithFlags(CUevent handle, CUstream stream_handle, unsigned int flags) {
    em_context *context;
    em_event *event;
    em_stream *stream;
    CUresult result = enter_event(handle, &context, &event);
    if (result) return result;
    if (flags & ~(unsigned int)CU_EVENT_RECORD_EXTERNAL) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (flags) return em_leave(CUDA_ERROR_NOT_SUPPORTED);
    result = em_stream_of(context, stream_handle, &stream);
    return em_leave(result ? result : record(event, stream));
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    return cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_DEFAULT);
}

CUresult cuEventQuery(CUevent handle) {
    em_context *context;
    em_event *event;
    CUresult result = enter_event(handle, &context, &event);
    if (result) return result;
    if (event->captured) return em_leave(CUDA_ERROR_CAPTURED_EVENT);
    result = em_capture_forbids(event->object.context);
    if (result) return em_leave(result);
    return em_leave(event->op && !event->op->done ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS);
}

CUresult cuEventSynchronize(CUevent handle) {
    em_context *context;
    em_event *event;
    CUresult result = enter_event(handle, &context, &event);
    if (result) return result;
    if (event->captured) return em_leave(CUDA_ERROR_CAPTURED_EVENT);
    result = em_capture_forbids(event->object.context);
    if (result) return em_leave(result);
    em_op *op = event->op;
    if (!op) return em_leave(CUDA_SUCCESS);
    op->references++;
    result = em_op_wait(event->object.context, op); /* the event may be gone afterwards */
    em_op_release(op);
    return em_leave(result);
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent start_handle, CUevent end_handle) {
    em_context *context;
    em_event *start;
    CUresult result = enter_event(start_handle, &context, &start);
    if (result) return result;
    const em_event *end = em_handle_get(EM_EVENT, end_handle);
    if (!end) return em_leave(CUDA_ERROR_INVALID_HANDLE);
    if (!milliseconds) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING || !start->op || !end->op)
        return em_leave(CUDA_ERROR_INVALID_HANDLE);
    if (start->object.context != end->object.context) return em_leave(CUDA_ERROR_INVALID_HANDLE);
    if (!start->op->done || !end->op->done) return em_leave(CUDA_ERROR_NOT_READY);
    const struct timespec *a = &start->op->finished, *b = &end->op->finished;
    *milliseconds = (float)((double)(b->tv_sec - a->tv_sec) * 1e3 + (double)(b->tv_nsec - a->tv_nsec) * 1e-6);
    return em_leave(CUDA_SUCCESS);
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) {
    return cuEventElapsedTime(milliseconds, start, end);
}

CUresult cuStreamWaitEvent(CUstream stream_handle, CUevent handle, unsigned int flags) {
    em_context *context;
    em_event *event;
    em_stream *stream;
    CUresult result = enter_event(handle, &context, &event);
    if (result) return result;
    if (flags & ~(unsigned int)CU_EVENT_WAIT_EXTERNAL) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (flags) return em_leave(CUDA_ERROR_NOT_SUPPORTED);
    result = em_stream_of(context, stream_handle, &stream);
    if (result) return em_leave(result);
    if (event->captured && !event->capture) return em_leave(CUDA_ERROR_CAPTURED_EVENT);
    if (event->capture) return em_leave(em_capture_join(stream, event->nodes, event->node_count, event->capture));
    if (stream->capture) return em_leave(em_capture_isolated(stream));
    if (!event->op || event->op->done) return em_leave(CUDA_SUCCESS);
    em_work work = {.kind = EM_WORK_NOTHING};
    return em_leave(em_submit(stream, &work, event->op, NULL));
}
