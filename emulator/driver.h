/* What the driver's files share: one state under one lock, objects behind checked handles, work in streams.
 *
 * Every function here but em_enter, em_enter_driver and em_lock expects the lock to be held; those that wait give it up meanwhile. */
#ifndef EM_DRIVER_H
#define EM_DRIVER_H

#include <pthread.h>
#include <time.h>

#include "emulator/cuda.h"
#include "emulator/execute.h"
#include "emulator/memory.h"
#include "emulator/settings.h"
#include "emulator/statistics.h"

enum {
    EM_DEVICES = 16,
    EM_LIMITS = 7,
    EM_SHARED_DEFAULT = 48 << 10, /* bytes of shared memory that a block gets without opt-in */
    EM_REGISTERS = 65536,         /* of a multiprocessor and of a block */
};
/* Shared memory that the system takes of each block, from compute capability 8.0 on. */
#define EM_SHARED_RESERVED(sm) ((sm) >= 80 ? 1024u : 0u)

/* Handles: numbers that look like pointers; a stale one is recognised. */
typedef enum em_handle_type {
    EM_CONTEXT = 1, EM_MODULE, EM_FUNCTION, EM_STREAM, EM_EVENT, EM_POOL, EM_GRAPH, EM_NODE, EM_EXEC, EM_LIBRARY
} em_handle_type;
void *em_handle_make(em_handle_type type, void *object);           /* NULL: no memory */
void *em_handle_get(em_handle_type type, const void *handle);      /* NULL: not such a handle */
void em_handle_drop(const void *handle);

typedef struct em_context em_context;
typedef struct em_stream em_stream;
typedef struct em_op em_op;
typedef struct em_graph em_graph;
typedef struct em_node em_node;

/* The head of what a context owns. */
typedef struct em_object {
    em_handle_type type;
    void *handle;
    em_context *context;
    struct em_object *previous, *next;
} em_object;
CUresult em_object_add(em_object *object, em_handle_type type, em_context *context); /* makes its handle */
void em_object_remove(em_object *object);

typedef struct em_pool {
    em_object object;
    int device;
    uint64_t attributes[4];      /* by number - 1: reuse of three kinds, release threshold */
    uint64_t used, used_high;
    size_t most;                 /* 0: no limit */
} em_pool;

typedef struct em_allocation {
    em_context *context;
    uint64_t address;
    size_t size;
    em_kind kind;
    unsigned int flags;          /* of the call that made it */
    bool registered, freeing;    /* freeing: its free is in a stream */
    bool mapping, ended;         /* its MAP is in a stream; ended meanwhile: then MAP frees the record */
    em_pool *pool;
    struct em_allocation *previous, *next;
} em_allocation;

struct em_context {
    void *handle;
    int device;
    bool primary, active;
    unsigned int flags, retained;
    CUresult error;              /* that every call answers from now on */
    int32_t cancel;              /* atomic; not 0: running kernels end */
    em_object *objects;
    em_stream *legacy;           /* the default stream */
    em_stream *streams;          /* all, linked by next */
    em_allocation *allocations;
    size_t limits[EM_LIMITS];
    em_context *next;            /* of the driver's */
};

typedef struct em_device_state {
    em_device device;
    em_memory *memory;
    em_context primary;
    em_pool default_pool, *pool;
} em_device_state;

typedef struct em_driver {
    enum { EM_UNINITIALISED, EM_READY, EM_SHUT_DOWN, EM_FORKED } state;
    em_settings settings;
    em_device_state devices[EM_DEVICES];
    em_context *contexts;        /* active ones */
    uint64_t requests[EM_REQUESTS]; /* how often each that can fail on request was asked for */
    em_stats statistics;
    size_t workers;              /* threads that serve streams */
    uint64_t submitted;          /* the latest operation's number */
    size_t running;              /* threads that touch device memory without the lock */
} em_driver;

extern em_driver em__driver;
extern pthread_mutex_t em__lock;
extern _Thread_local bool em__in_callback; /* this thread runs a host function, which may not call the driver */
extern pthread_cond_t em__changed;  /* an operation was queued or completed, a thread ended */

/* Lock and check. On error nothing is locked. em_enter: the current context is there and has no error; em_enter_context: is there. */
CUresult em_enter_driver(void);
CUresult em_enter_context(em_context **context);
CUresult em_enter(em_context **context);
static inline CUresult em_leave(CUresult result) { /* unlocks */
    pthread_mutex_unlock(&em__lock);
    return result;
}
em_device_state *em_device_of(const em_context *context);
bool em_device_valid(CUdevice device);
/* Whether this time, the call fails on request. */
bool em_requested(em_request request);

/* Contexts */
CUresult em_context_start(em_context *context, int device, unsigned int flags);
void em_context_stop(em_context *context);       /* waits, then destroys all it owns; not the structure */
void em_context_fail(em_context *context, CUresult error); /* the first error stays */
void em_context_report(const em_context *context); /* what is still allocated, to the log */
CUresult em_context_wait(em_context *context);   /* for all that its streams were given so far */
em_context *em_context_of(CUcontext handle);     /* active one; NULL: none */

/* Work: what a stream executes. */
typedef struct em_function_object em_function_object;
typedef struct em_kernel {
    CUfunction handle;
    const em_function *function;
    uint32_t grid[3], block[3], dynamic_shared;
    void *parameters;            /* owned */
    bool fails, last;            /* on request: it fails, the context ends with it */
} em_kernel;
typedef struct em_side {
    uint64_t address;
    bool host;                   /* not device or managed memory */
    bool known;                  /* in a block of the emulated memory; pinned host memory is both */
    size_t pitch, slice;
} em_side;
typedef struct em_copy {
    em_side to, from;
    size_t width, height, depth;
    void *staged;                /* owned; the bytes of from, when not NULL */
} em_copy;
typedef struct em_set { uint64_t address; size_t pitch; uint32_t value, element; size_t width, height; } em_set; /* width in elements */
typedef enum em_work_kind {
    EM_WORK_NOTHING, EM_WORK_KERNEL, EM_WORK_COPY, EM_WORK_SET, EM_WORK_HOST, EM_WORK_MAP, EM_WORK_FREE, EM_WORK_LIST
} em_work_kind;
typedef struct em_work {
    em_work_kind kind;
    em_kernel kernel;
    em_copy copy;
    em_set set;
    struct { CUhostFn function; void *data; } host;
    em_allocation *allocation;   /* MAP, FREE */
    struct em_work *items;       /* LIST: a graph's; owned */
    size_t count;
} em_work;
bool em_work_clone(em_work *copy, const em_work *work); /* false: no memory, *copy is empty */
void em_work_clear(em_work *work);               /* frees what it owns */
void em_work_number(em_work *work);              /* launches that fail on request are counted in the order of the calls */
void em_work_run(em_context *context, em_work *work); /* gives up the lock meanwhile; an error goes to the context */

/* Streams and operations */
struct em_op {
    unsigned int references;
    bool done;
    uint64_t number;             /* ascends with the calls, in all streams */
    em_stream *stream;           /* NULL once done */
    em_op *next;
    em_op **waits;               /* done before this begins; references */
    size_t wait_count;
    em_work work;
    struct timespec finished;
};
struct em_stream {
    em_object object;
    em_stream *next;             /* of the context's */
    unsigned int flags;
    int priority;
    em_op *first, *last_queued;  /* those not done; the first may be running */
    em_op *last;                 /* the latest, done or not; a reference; NULL: none yet */
    bool busy, closing, has_worker;
    em_graph *capture;           /* into which it captures; NULL: does not */
    em_node **tail;              /* the capture's nodes that the next one depends on */
    size_t tail_count;
};
CUresult em_stream_create(em_context *context, unsigned int flags, int priority, em_stream **stream);
void em_stream_close(em_stream *stream);         /* it ends when its work is done */
CUresult em_stream_of(em_context *context, CUstream handle, em_stream **stream); /* NULL and LEGACY: the context's default stream */
/* Queues work (or captures it); takes what work owns, on errors too. *op: a reference, when op is not NULL; NULL if captured. */
CUresult em_submit(em_stream *stream, em_work *work, em_op *wait, em_op **op);
CUresult em_submit_and_wait(em_stream *stream, em_work *work);
CUresult em_op_wait(em_context *context, em_op *op); /* the context's error, if it has one then; NULL: not asked for */
void em_wait_for_submitted(const em_context *context); /* for what was submitted so far, to this context; NULL: to all, which may end meanwhile */
void em_op_release(em_op *op);

/* Memory */
CUresult em_allocate(em_context *context, em_kind kind, size_t size, em_pool *pool, em_allocation **allocation);
void em_allocation_end(em_allocation *allocation); /* frees the memory and the record */
void em_allocation_map(em_allocation *allocation); /* its turn in the stream came */
/* The live block that holds address, in the context's device's memory if there is one, else in another's. NULL: none. */
const em_block *em_block_of(const em_context *context, uint64_t address);
/* Around work that touches memory: gives up the lock and takes it again. Freed memory keeps its pages as long as anything runs. */
void em_run_begin(void);
void em_run_end(void);
void em_settle(void);                            /* gives freed pages back, if nothing runs */
bool em_range_there(const em_context *context, uint64_t address, size_t size, bool now); /* in one live block; now: that is mapped */
em_pool *em_pool_of(CUmemoryPool handle);

/* Modules and functions */
typedef struct em_module_object {
    em_object object;
    em_module *module;
    struct em_function_object *functions;
    void *library;               /* handle, when it was loaded as a library */
} em_module_object;
struct em_function_object {
    em_module_object *module;
    void *handle;
    const em_function *function;
    em_function_info info;
    uint32_t dynamic_limit;      /* most dynamic shared memory of a launch */
    int carveout;
    em_function_object *next;
};
void em_module_end(em_module_object *module);    /* nothing of it may be running */
/* Checks the shape and copies the parameters. */
CUresult em_kernel_make(em_context *context, const CUDA_KERNEL_NODE_PARAMS *parameters, em_kernel *kernel);

/* Copies; checked against what is allocated now. */
CUresult em_copy_make(em_context *context, const CUDA_MEMCPY3D *parameters, em_copy *copy);
CUresult em_set_make(em_context *context, const CUDA_MEMSET_NODE_PARAMS *parameters, em_set *set);

/* Graphs and captures */
CUresult em_capture_legacy(em_stream *stream);               /* work for the stream would depend on a capture: an error, which breaks it */
CUresult em_capture_add(em_stream *stream, em_work *work);   /* takes what work owns */
CUresult em_capture_forbids(em_context *context);            /* an unsafe call is made: an error while a capture forbids it, which it breaks */
CUresult em_capture_sync(em_stream *stream);                 /* the same for waiting on a stream, or asking it */
CUresult em_capture_join(em_stream *stream, em_node **nodes, size_t count, em_graph *graph);
CUresult em_capture_isolated(em_stream *stream);             /* it would depend on work outside the capture: an error, which breaks it */
void em_capture_leave(em_stream *stream);                    /* the stream goes */
CUresult em_capture_state(const em_stream *stream);          /* an error if its capture is broken */
void em_graph_end(em_graph *graph);
void em_exec_end(em_object *exec);

typedef struct em_event {
    em_object object;
    unsigned int flags;
    em_op *op;                   /* of the latest record; a reference; NULL: never recorded */
    bool captured;               /* the latest record was captured: the graph while the capture goes on, and the nodes */
    em_graph *capture;
    em_node **nodes;
    size_t node_count;
} em_event;
void em_event_end(em_event *event);
void em_event_forget(em_event *event);           /* its capture's nodes */

#endif
