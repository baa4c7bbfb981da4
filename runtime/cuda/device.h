/* Inside of a device: what this folder's files share. */
#ifndef QN__CUDA_DEVICE_H
#define QN__CUDA_DEVICE_H

#include "runtime/cuda/driver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    QN__CUDA_CHUNK = 1 << 20, /* bytes of a staging buffer: a memcpy into one overlaps the transfer of the other */
    QN__CUDA_UNIT = 16        /* sizes of buffers are multiples: narrow atomics and vector loads touch the rest (ir/plan.h) */
};

/* What one call works with: a stream and its helpers. A device keeps those that are idle. */
typedef struct qn__cuda_lane {
    struct qn__cuda_lane *next;
    qn__cuda_device *device;
    qn__cu_stream stream, control;      /* control: to stop what runs on stream */
    unsigned char *staging[2];          /* pinned, QN__CUDA_CHUNK bytes */
    qn__cu_event done[2];               /* recorded behind the transfers of a staging buffer */
    uint32_t current;                   /* the one that is being filled, and how far */
    size_t filled;
    uint64_t *answer;                   /* pinned, QN__CUDA_ANSWER words: where states are read to */
    volatile uint32_t *stop;            /* pinned and mapped */
    uint64_t stop_address;
    uint64_t state;                     /* device memory for states and slots */
    size_t state_bytes;
    qn__cu_event *marks;                /* timed events, made when needed */
    uint32_t mark_count, mark_used;
} qn__cuda_lane;
enum { QN__CUDA_ANSWER = 512 };

/* A free block of the fallback allocator. */
typedef struct qn__cuda_block { struct qn__cuda_block *next; uint64_t address; size_t bytes; } qn__cuda_block;

struct qn__cuda_device {
    qn__cuda *cuda;
    const qn__cuda_driver *driver;
    int number;                         /* the driver's */
    uint32_t ordinal;
    qn__cu_context context;
    qn__cu_pool pool;
    qn__cuda_properties properties;
    pthread_mutex_t lock;               /* guards what follows */
    qn__cuda_lane *lanes;               /* idle */
    qn__cuda_block *blocks;             /* freed, for drivers without pools */
    atomic_int lost;                    /* the sticky error that the context has; 0: none */
};

struct qn__cuda {
    qn__cuda_driver driver;
    pid_t process;
    pthread_mutex_t lock;               /* guards devices */
    qn__cuda_device **devices;          /* by ordinal; NULL: not opened */
    uint32_t device_count;
};

/* Begins and ends work on the device by this thread: its context is current in between. False when it cannot be used (a fork, a lost context). */
bool qn__cuda_enter(qn__cuda_device *device, qn__cuda_error *error);
void qn__cuda_leave(qn__cuda_device *device);
/* qn__cuda_fail, which also remembers a sticky error. */
bool qn__cuda_device_fail(qn__cuda_device *device, qn__cuda_error *error, qn__cu_result result, const char *what);

/* lane.c; the device is entered. NULL with *error. */
qn__cuda_lane *qn__cuda_lane_take(qn__cuda_device *device, qn__cuda_error *error);
void qn__cuda_lane_give(qn__cuda_lane *lane); /* its stream is idle, or the context is lost */
void qn__cuda_lane_destroy(qn__cuda_lane *lane);

/* memory.c; the device is entered. In order with the lane's stream. When the device has no memory, what pools hold is given back first. */
bool qn__cuda_lane_allocate(qn__cuda_lane *lane, size_t bytes, uint64_t *address, qn__cuda_error *error);
/* Nothing may use it any more. */
void qn__cuda_lane_free(qn__cuda_lane *lane, uint64_t address, size_t bytes);
void qn__cuda_blocks_drop(qn__cuda_device *device);

/* copy.c. Arrays in the host's memory with strides in bytes, and row-major ones on the device. The transfers of qn__cuda_send may be under way when it
 * returns, unless the data is `pinned` they no longer need the array; those of qn__cuda_fetch have ended. */
bool qn__cuda_send(qn__cuda_lane *lane, uint32_t rank, const int64_t *extents, uint32_t bytes, uint64_t to, const void *from,
                   const int64_t *strides, bool pinned, qn__cuda_error *error);
bool qn__cuda_fetch(qn__cuda_lane *lane, uint32_t rank, const int64_t *extents, uint32_t bytes, void *to, const int64_t *strides,
                    uint64_t from, bool pinned, qn__cuda_error *error);

#endif
