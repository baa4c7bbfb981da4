/* Stream capture: between begin and end a stream's work becomes nodes of a graph.
 *
 * A capturing stream remembers its tail, the nodes that its next one depends on. Waiting for an event that was recorded
 * in a capture draws a stream into it; such streams must be joined to the one that began it before the end. What a
 * capture forbids breaks it: all later calls on its streams answer so, and its end gives no graph. */
#include "emulator/graph.h"

#include <stdlib.h>
#include <string.h>

static CUresult broken_by(em_graph *graph, CUresult error) {
    graph->broken = true;
    return error;
}

CUresult em_capture_state(const em_stream *stream) {
    return stream->capture && stream->capture->broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
}

CUresult em_capture_legacy(em_stream *stream) {
    const em_context *context = stream->object.context;
    if (stream != context->legacy) return CUDA_SUCCESS;
    CUresult result = CUDA_SUCCESS;
    for (em_stream *other = context->streams; other; other = other->next)
        if (other->capture && !(other->flags & CU_STREAM_NON_BLOCKING))
            result = broken_by(other->capture, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    return result;
}

CUresult em_capture_forbids(em_context *context) {
    CUresult result = CUDA_SUCCESS;
    for (const em_stream *stream = context->streams; stream; stream = stream->next) {
        em_graph *graph = stream->capture;
        if (!graph || graph->mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
        if (graph->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL && !pthread_equal(graph->thread, pthread_self()))
            continue;
        result = broken_by(graph, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    }
    return result;
}

CUresult em_capture_sync(em_stream *stream) {
    if (stream->capture) return broken_by(stream->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CUresult result = em_capture_legacy(stream);
    return result ? result : em_capture_forbids(stream->object.context);
}

CUresult em_capture_isolated(em_stream *stream) {
    return broken_by(stream->capture, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
}

static CUresult extend_tail(em_stream *stream, em_node *const *nodes, size_t count) {
    em_node **larger = realloc(stream->tail, (stream->tail_count + count + 1) * sizeof *larger);
    if (!larger) return CUDA_ERROR_OUT_OF_MEMORY;
    stream->tail = larger;
    for (size_t i = 0; i < count; i++) {
        bool there = false;
        for (size_t j = 0; j < stream->tail_count; j++) there |= stream->tail[j] == nodes[i];
        if (!there) stream->tail[stream->tail_count++] = nodes[i];
    }
    return CUDA_SUCCESS;
}

CUresult em_capture_add(em_stream *stream, em_work *work) {
    em_node *node;
    CUresult result = em_capture_state(stream);
    if (result)
        em_work_clear(work);
    else
        result = em_graph_add(stream->capture, work, stream->tail, stream->tail_count, &node);
    if (result) return result;
    stream->tail_count = 0;
    return extend_tail(stream, &node, 1);
}

CUresult em_capture_join(em_stream *stream, em_node **nodes, size_t count, em_graph *graph) {
    if (graph->broken) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (stream == stream->object.context->legacy) return broken_by(graph, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    if (stream->capture && stream->capture != graph) {
        stream->capture->broken = true;
        return broken_by(graph, CUDA_ERROR_STREAM_CAPTURE_MERGE);
    }
    if (stream->object.context != graph->object.context) return broken_by(graph, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    stream->capture = graph;
    return extend_tail(stream, nodes, count);
}

static void leave_streams(em_graph *graph) {
    for (em_stream *stream = graph->object.context->streams; stream; stream = stream->next) {
        if (stream->capture != graph) continue;
        stream->capture = NULL;
        stream->tail_count = 0;
    }
    for (em_object *object = graph->object.context->objects; object; object = object->next)
        if (object->type == EM_EVENT && ((em_event *)object)->capture == graph) em_event_forget((em_event *)object);
    graph->origin = NULL;
}

void em_capture_leave(em_stream *stream) {
    em_graph *graph = stream->capture;
    if (!graph) return;
    stream->capture = NULL;
    if (graph->origin != stream) {
        graph->broken |= stream->tail_count > 0; /* its work can no longer be joined */
        return;
    }
    leave_streams(graph);
    em_graph_end(graph);
}

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
    em_context *context;
    em_stream *stream;
    CUresult result = em_enter(&context);
    if (result) return result;
    if ((unsigned int)mode > CU_STREAM_CAPTURE_MODE_RELAXED) return em_leave(CUDA_ERROR_INVALID_VALUE);
    result = em_stream_of(context, handle, &stream);
    if (result) return em_leave(result);
    if (stream == stream->object.context->legacy) return em_leave(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (stream->capture) return em_leave(CUDA_ERROR_ILLEGAL_STATE);
    em_graph *graph;
    result = em_graph_create(stream->object.context, &graph);
    if (result) return em_leave(result);
    graph->origin = stream;
    graph->mode = mode;
    graph->thread = pthread_self();
    stream->capture = graph;
    stream->tail_count = 0;
    return em_leave(CUDA_SUCCESS);
}

/* Whether all work of the capture precedes the tail of the stream that began it. Nodes depend on older ones only: one
 * pass from the newest. */
static bool joined(em_graph *graph) {
    for (em_node *node = graph->first; node; node = node->next) node->reached = false;
    for (size_t i = 0; i < graph->origin->tail_count; i++) graph->origin->tail[i]->reached = true;
    for (const em_node *node = graph->last; node; node = node->previous) {
        if (!node->reached) return false;
        for (size_t i = 0; i < node->dependency_count; i++) node->dependencies[i]->reached = true;
    }
    return true;
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *result_handle) {
    em_context *context;
    em_stream *stream;
    CUresult result = em_enter(&context);
    if (result) return result;
    result = em_stream_of(context, handle, &stream);
    if (result) return em_leave(result);
    if (!result_handle) return em_leave(CUDA_ERROR_INVALID_VALUE);
    em_graph *graph = stream->capture;
    *result_handle = NULL;
    if (!graph) return em_leave(CUDA_ERROR_ILLEGAL_STATE);
    if (graph->origin != stream) return em_leave(broken_by(graph, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED));
    if (graph->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(graph->thread, pthread_self()))
        return em_leave(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    result = graph->broken   ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
             : joined(graph) ? CUDA_SUCCESS
                             : CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    leave_streams(graph);
    if (result)
        em_graph_end(graph);
    else
        *result_handle = graph->object.handle;
    return em_leave(result);
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
    em_context *context;
    em_stream *stream;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!status) return em_leave(CUDA_ERROR_INVALID_VALUE);
    result = em_stream_of(context, handle, &stream);
    if (!result) result = em_capture_legacy(stream);
    if (result) return em_leave(result);
    *status = !stream->capture          ? CU_STREAM_CAPTURE_STATUS_NONE
              : stream->capture->broken ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                        : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return em_leave(CUDA_SUCCESS);
}
