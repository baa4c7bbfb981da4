/* How long copies and launches take on the device: an event before and behind each, read when the device is idle. Only in runs that are timed;
 * an event costs about as much as a small launch. */
#include "runtime/cuda/run.h"

#include "runtime/call.h"

#include <stdlib.h>

/* Records an event; its number, 0 when there is none. Number 0 is the run's start. */
static uint32_t record(qn__cuda_run *run) {
    qn__cuda_lane *lane = run->lane;
    if (lane->mark_used == lane->mark_count) {
        qn__cu_event *grown = realloc(lane->marks, (lane->mark_count + 16) * sizeof *grown);
        if (!grown) return 0;
        lane->marks = grown;
        uint32_t made = 0;
        while (made < 16 && run->driver->cuEventCreate(&grown[lane->mark_count], CU_EVENT_USUAL) == CU_SUCCESS) {
            made++;
            lane->mark_count++;
        }
        if (made == 0) return 0;
    }
    if (run->driver->cuEventRecord(lane->marks[lane->mark_used], lane->stream) != CU_SUCCESS) return 0;
    return lane->mark_used++;
}

bool qn__cuda_spans_start(qn__cuda_run *run) {
    if (!run->call->timed) return true;
    run->marks = calloc(QN__CUDA_SPANS, sizeof *run->marks);
    if (!run->marks) return qn__cuda_refuse(&run->error, QN__CUDA_NO_MEMORY, "out of memory");
    run->lane->mark_used = 0;
    record(run);
    run->call->began = qn__now();
    if (run->lane->mark_used == 0) { /* no events: not timed */
        free(run->marks);
        run->marks = NULL;
    }
    return true;
}

void qn__cuda_span_begin(qn__cuda_run *run, qn__device_span_kind kind, const char *name, uint64_t bytes) {
    if (!run->marks) return;
    if (run->mark_count == QN__CUDA_SPANS) {
        if (run->driver->cuStreamSynchronize(run->lane->stream) != CU_SUCCESS) return;
        qn__cuda_spans_settle(run);
    }
    run->marks[run->mark_count++] = (qn__cuda_mark){kind, name, bytes, record(run), 0};
}

void qn__cuda_span_end(qn__cuda_run *run) {
    if (run->marks && run->mark_count) run->marks[run->mark_count - 1].last = record(run);
}

void qn__cuda_spans_settle(qn__cuda_run *run) {
    const qn__cuda_lane *lane = run->lane;
    for (uint32_t i = 0; run->marks && i < run->mark_count; i++) {
        const qn__cuda_mark *m = &run->marks[i];
        float start = 0, ms = 0;
        if (!m->first || !m->last || run->driver->cuEventElapsedTime(&start, lane->marks[0], lane->marks[m->first]) != CU_SUCCESS ||
            run->driver->cuEventElapsedTime(&ms, lane->marks[m->first], lane->marks[m->last]) != CU_SUCCESS)
            continue;
        switch (m->kind) {
        case QN__SPAN_IN: run->call->in_ms += (double)ms; break;
        case QN__SPAN_COMPUTE: run->call->compute_ms += (double)ms; break;
        case QN__SPAN_OUT: run->call->out_ms += (double)ms; break;
        }
        const qn__device_span span = {m->kind, m->name, m->bytes, (double)start, (double)ms};
        if (run->call->on_span) run->call->on_span(run->call->user, &span);
    }
    run->mark_count = 0;
    run->lane->mark_used = run->marks ? 1 : 0;
}
