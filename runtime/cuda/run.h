/* Inside of a run of a kernel on a device: what plan.c, launch.c, arrays.c and spans.c share. */
#ifndef QN__CUDA_RUN_H
#define QN__CUDA_RUN_H

#include "ir/plan.h"
#include "runtime/cuda/device.h"
#include "runtime/engine.h"

/* A loaded kernel: immutable, for any number of runs at once. */
typedef struct qn__cuda_kernel {
    qn__cuda_device *device;
    qn__cu_module module;
    qn__cu_function *functions;  /* by entry */
    uint32_t *most_blocks;       /* by entry: more than that do not make it faster */
    bool *used, *allocated;      /* by array: some launch or swap has it; the plan gives it a buffer */
    uint32_t most_arguments;     /* of an entry, with the three before them */
} qn__cuda_kernel;

typedef struct qn__cuda_buffer {
    uint64_t address;
    size_t bytes;                /* that the array needs, or that were asked for */
    bool owned;                  /* allocated by this run */
    int64_t extent[QN__MAX_RANK];
} qn__cuda_buffer;

/* A launch since the device was last known to be free of faults, as replaying it needs it. */
typedef struct qn__cuda_launched {
    uint32_t entry, number;
    uint32_t undo;               /* writes to device slots that came before it */
    size_t arguments;            /* where its values begin */
} qn__cuda_launched;

typedef struct qn__cuda_retired { uint64_t address; size_t bytes; } qn__cuda_retired;

typedef struct qn__cuda_mark { qn__device_span_kind kind; const char *name; uint64_t bytes; uint32_t first, last; } qn__cuda_mark;

enum { QN__CUDA_UNDO = 256, QN__CUDA_SPANS = 1024 };

typedef struct qn__cuda_run {
    const qn__cuda_kernel *kernel;
    qn__cuda_device *device;
    const qn__cuda_driver *driver;
    qn__cuda_lane *lane;
    const qn__image *image;
    const qn__plan *plan;
    qn__frame *frame;
    qn__device_call *call;       /* never NULL: the caller's, or one that nobody looks at */
    qn__cuda_error error;        /* of fault DEVICE or MEMORY */

    uint64_t *slots;
    qn__cuda_buffer *arrays, *scratch;
    void **pointers;             /* to the values of a launch */
    uint64_t *values;            /* of the launch that is being made */

    uint32_t number;             /* of the next launch */
    qn__cuda_launched *log;
    uint64_t *logged;            /* values */
    size_t log_count, log_capacity, logged_count, logged_capacity;
    uint32_t undo_slots[QN__CUDA_UNDO];
    uint32_t undo_count;
    qn__cuda_retired *retired;   /* freed by the plan, but a launch under way, or a replay, may use them */
    size_t retired_count, retired_capacity, retired_bytes;

    qn__cuda_mark *marks;        /* spans whose times are not known yet; NULL: not timed */
    uint32_t mark_count;
} qn__cuda_run;

/* All of these return 0 or a fault kind; DEVICE and MEMORY with run->error, others with frame->fault filled in. */

/* plan.c */
int32_t qn__cuda_plan(qn__cuda_run *run);
int32_t qn__cuda_raise(qn__cuda_run *run, int32_t kind, uint32_t location, int64_t index, int64_t extent, int64_t iteration);
int32_t qn__cuda_broken(qn__cuda_run *run, qn__cu_result result, const char *what); /* the fault for a failure of the driver */
int32_t qn__cuda_refused(const qn__cuda_run *run); /* the fault for run->error */

/* launch.c */
int32_t qn__cuda_launch(qn__cuda_run *run, const qn__plan_step *step);
/* Waits for the device, sees whether a launch raised a fault, and then frees what was retired. */
int32_t qn__cuda_settle(qn__cuda_run *run);
int32_t qn__cuda_read(qn__cuda_run *run, uint32_t slot, uint64_t *bits); /* with qn__cuda_settle */
int32_t qn__cuda_write(qn__cuda_run *run, uint32_t slot, uint64_t bits);
int32_t qn__cuda_poll(qn__cuda_run *run);
int32_t qn__cuda_begin_state(qn__cuda_run *run);
/* The device has nothing left to do, whatever happened. */
void qn__cuda_drain(qn__cuda_run *run);

/* arrays.c */
int32_t qn__cuda_bring(qn__cuda_run *run);    /* the call's arrays to the device */
int32_t qn__cuda_collect(qn__cuda_run *run);  /* what was written, back to the call's; settles before anything of the call's is written */
int32_t qn__cuda_give(qn__cuda_run *run, uint32_t array, const int64_t *extents); /* ALLOC */
int32_t qn__cuda_give_scratch(qn__cuda_run *run, uint32_t scratch, uint64_t bytes);
int32_t qn__cuda_retire(qn__cuda_run *run, uint64_t address, size_t bytes);
void qn__cuda_drop_retired(qn__cuda_run *run);
void qn__cuda_drop_arrays(qn__cuda_run *run);

/* spans.c; they do nothing in runs that are not timed. */
bool qn__cuda_spans_start(qn__cuda_run *run);
void qn__cuda_span_begin(qn__cuda_run *run, qn__device_span_kind kind, const char *name, uint64_t bytes);
void qn__cuda_span_end(qn__cuda_run *run);
void qn__cuda_spans_settle(qn__cuda_run *run); /* the device is idle: the times are told */

#endif
