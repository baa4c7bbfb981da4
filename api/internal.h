/* The handles of the public API from the inside. Only files of api/ include this. */
#ifndef QN__API_INTERNAL_H
#define QN__API_INTERNAL_H

#include "compiler/compile.h"
#include "ir/image.h"
#include "runtime/cache.h"
#include "runtime/call.h"
#include "runtime/cuda/cuda.h"
#include "runtime/engine.h"
#include "runtime/profile.h"
#include "runtime/raw.h"
#include "runtime/threads.h"

#include <pthread.h>
#include <quern/quern.h>
#include <stdatomic.h>
#include <string.h>

typedef struct qn__pool qn__pool; /* api/launch.c */
void qn__pool_destroy(qn__pool *pool);

/* Kernels that wait for being compiled, and who compiles them (tiers.c). The lock guards all of it, and the kernels' tiers. */
typedef struct qn__queue {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pthread_t worker;              /* made with the first kernel */
    pid_t process;                 /* where the worker lives; 0: there is none */
    _Atomic pid_t owner;           /* whose locks these are: a child process makes them anew */
    bool stop, busy;               /* busy: the worker compiles */
    qn_kernel *first;
    qn__trampolines *trampolines;  /* made with the first */
} qn__queue;

struct qn_context {
    qn_context_options options;
    char *cpu, *cpu_features, *cache_folder; /* own copies */
    qn__allocator allocator;
    qn__threads threads;           /* that may work on a stage of a call */
    pthread_mutex_t mutex;         /* guards loader */
    qn__loader *loader;            /* made with the first native kernel */
    qn__profile *profile;          /* NULL: not profiled */
    qn__cache *cache;              /* opened with the first native kernel; NULL: none */
    bool cache_opened;
    pthread_mutex_t counting;      /* guards statistics */
    qn_statistics statistics;
    qn_machine machine;            /* measured or read; guarded by measuring */
    bool measured;
    pthread_mutex_t measuring;
    qn__cuda *cuda;                /* opened with the first kernel for it; guarded by mutex */
    qn__queue queue;
    struct qn__pool *pool;         /* threads of launches; made with the first */
    atomic_size_t references;      /* the handle, and one per module and array */
};

typedef struct qn__host_function {
    char *name;
    void (*function)(void);
    struct qn__host_function *next;
} qn__host_function;

struct qn_module {
    qn_context *context;
    pthread_mutex_t mutex;         /* guards program and functions: one compilation of a module at a time */
    qn__program *program;
    const qn__kernel_info *kernels;
    size_t kernel_count;
    qn__host_function *functions;
    double parse_ms;
    atomic_size_t references;      /* the handle, and one per kernel */
};

enum { QN__QUICK = 16 }; /* parameters, arrays and sizes of a kernel that qn_call has a short way for */

typedef enum qn__tier_state { QN__TIER_NONE, QN__TIER_QUEUED, QN__TIER_RUNNING, QN__TIER_READY, QN__TIER_FAILED } qn__tier_state;

/* The compiled side of a kernel that started in the interpreter, and what its typed function needs. */
typedef struct qn__tier {
    qn__tier_state state;          /* NONE: the kernel has one tier */
    qn_kernel *next;               /* in the queue */
    char *key;                     /* of the cache; NULL: none */
    qn__image image;
    qn__loaded loaded;
    const char *message;           /* of a failure */
    double emit_ms, load_ms;
    qn__closure *closure;
    qn__trampoline trampoline;
} qn__tier;

struct qn_kernel {
    qn_module *module;
    const qn__kernel_info *info;   /* of the module's program */
    qn__type types[QN__MAX_RANK];  /* type arguments */
    qn__compiled *compiled;        /* the IR, and the memory of an image made from it; NULL while the image is the cache's */
    qn__arena *cached;             /* memory of an image from the cache; else NULL */
    qn__image image;
    qn__loaded loaded;
    qn_engine engine;
    void **externs;                /* by extern number */
    char **shapes;                 /* text per parameter of the signature */
    qn_compile_times times;
    bool quick;                    /* qn_call may take its short way (quick.c); types as words, by parameter */
    uint32_t quick_types[QN__QUICK];
    _Atomic(const qn__loaded *) current; /* what calls run: &loaded or &tier.loaded */
    pthread_mutex_t memory;        /* guards the memory of `compiled` while the kernel is in use */
    qn__tier tier;
    qn_function function;          /* the typed function; NULL until it is asked for */
    qn_engine wanted;              /* the engine asked for, AUTO resolved */
    char why[256];                 /* why `engine` */
    pthread_mutex_t profiling;     /* guards profile and fallback */
    qn_kernel_profile profile;
    qn_kernel *fallback;           /* for another engine, made when the device first failed in a call */
};

struct qn_array {
    qn_context *context;
    DLTensor tensor;
    int64_t shape[QN_MAX_RANK];
    int64_t strides[QN_MAX_RANK];
    size_t bytes;
    qn__cuda_device *device; /* where the data lies, or that pinned it; NULL: the host */
};

/* An engine as the API sees it: how IR becomes its image, and who runs that. */
typedef struct qn__engine_row {
    const char *name;
    const qn__engine *engine;
    bool native; /* needs the loader */
    bool cached; /* its images are kept on disk */
    bool device; /* runs on the context's CUDA device */
    bool (*emit)(const qn__ir *ir, const qn_context *context, qn__image *image, const char **message);
} qn__engine_row;
const qn__engine_row *qn__engine_row_of(qn_engine engine);

/* Fills in *error (which may be NULL) and returns status. */
__attribute__((format(printf, 3, 4))) qn_status qn__error(qn_error *error, qn_status status, const char *format, ...);
qn_status qn__no_error(qn_error *error);
/* The status of what a backend, loader or engine could not do: they all say "out of memory" in these words. */
static inline qn_status qn__failure(const char *message) {
    if (strcmp(message, "out of memory") == 0) return QN_RESOURCE;
    return strcmp(message, "LLVM knows no such processor") == 0 ? QN_USAGE : QN_INTERNAL;
}

/* cuda.c. The driver, and a device of it, opened when needed. */
qn_status qn__context_cuda(qn_context *context, qn__cuda **cuda, qn_error *error);
qn_status qn__context_device(qn_context *context, uint32_t index, qn__cuda_device **device, qn_error *error);
qn_status qn__cuda_error_record(const qn__cuda_error *failed, qn_error *error);
qn_status qn__cuda_status(qn__cuda_failure failure);
bool qn__emit_ptx(const qn__ir *ir, const qn_context *context, qn__image *image, const char **message);
bool qn__describe_ptx(qn_context *context, qn__text *out); /* what decides the code, for cache keys */

/* The context's loader, made when needed; NULL with a message. */
qn__loader *qn__context_loader(qn_context *context, const char **message);
void qn__context_retain(qn_context *context);
void qn__context_release(qn_context *context);
void qn__module_retain(qn_module *module);
void qn__module_release(qn_module *module);

/* Compiles the kernel to IR unless that is there. Needs the module's mutex. */
qn_status qn__kernel_ir(qn_kernel *kernel, qn_error *error);

/* The cache's key of a kernel (malloc'ed), NULL when its context has no cache. The image of a key; storing it. */
char *qn__cached_key(const qn_kernel *kernel, const qn__engine_row *row);
qn__cache *qn__context_cache(qn_context *context); /* opened when needed; NULL: none */
bool qn__cached_find(qn_kernel *kernel, const char *key);
void qn__cached_store(qn_kernel *kernel, const qn__image *image, const char *key);

/* tiers.c. The loaded kernel compiles in the background, and is switched over; ends that, and drops what it made. */
void qn__tier_start(qn_kernel *kernel);
void qn__tier_end(qn_kernel *kernel);
/* Hands the registered host functions to the typed function of what was loaded. */
void qn__kernel_bind_raw(const qn_kernel *kernel, const qn__loaded *loaded);
/* quick.c: the short way of qn_call. False when the call is not for it; then nothing has happened. */
void qn__quick_plan(qn_kernel *kernel);
bool qn__quick_call(const qn_kernel *kernel, const DLTensor *const *inputs, qn_array *const *outputs, qn_error *error, qn_status *status);
/* profile.c */
void qn__count_failure(qn_context *context, const char *why, bool kernel, bool call);
void qn__profile_call(qn_kernel *kernel, const qn_call_profile *profile);
/* estimate.c: a guess at what a call takes on the processor, without looking at a device or measuring anything. 0: unknown. */
double qn__kernel_rough_ms(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count);
/* fallback.c. The call, and where the device fails and the context allows it, the call on another engine. */
qn_status qn__call_guarded(qn_kernel *kernel, const DLTensor *const *inputs, qn_array **outputs, const qn_call_options *options, qn_error *error);
/* call.c: checked arguments, one engine. *device_failed: it was the device, the arguments are as they were but for outputs. */
qn_status qn__call_once(qn_kernel *kernel, const DLTensor *const *inputs, qn_array **outputs, const qn_call_options *options, bool *device_failed,
                        qn_error *error);

/* Unloads, but not from a loader that a fork left behind. */
void qn__kernel_drop(const qn_kernel *kernel, qn__loaded *loaded);
/* In a child process: makes the locks that the parent's worker may hold anew. Everything that meets the worker calls it first. */
void qn__queue_recover(qn_context *context);
/* Takes the context's mutex, which the worker may have held when this process was forked off. */
static inline void qn__context_lock(qn_context *context) {
    qn__queue_recover(context);
    pthread_mutex_lock(&context->mutex);
}
bool qn__queue_init(qn__queue *queue);
void qn__queue_end(qn_context *context);

/* Hands the diagnostics of a sink to the context's callback; error gets the first error. QN_OK when there is none, QN_RESOURCE when memory
 * ran out, whatever else was said, else QN_SOURCE. */
qn_status qn__deliver(const qn_context *context, const qn__diagnostic_sink *sink, const qn__sources *sources, qn_error *error);

/* One tensor as an argument of the runtime; checks type, rank, device and strides. device: the CUDA device that it is for, or NULL. */
qn_status qn__argument_from(const qn__parameter *parameter, const DLTensor *tensor, qn__cuda_device *device, qn__argument *out, qn_error *error);
/* A failed call as an error record. */
qn_status qn__call_error(const qn__call_result *result, qn_error *error);

/* An array that takes over what a call allocated, on the device where the argument lies there. NULL when there is no memory (the data is then still the argument's). */
qn_array *qn__array_adopt(qn_context *context, qn__argument *argument, qn__cuda_device *device);
/* arrays.c: what an argument holds that a call allocated. */
void qn__argument_drop(const qn_context *context, qn__argument *argument, qn__cuda_device *device);

#endif
