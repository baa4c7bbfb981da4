/* Engines: the devices that run images, each one const table of functions, and loaded kernels (qn__loaded: an image on an
 * engine; "qn__program" is the name of the compiler's parsed source, and api/ includes both headers).
 *
 * A loaded kernel is immutable once loaded; any number of threads may run it at once, each with its own frame. */
#ifndef QN__ENGINE_H
#define QN__ENGINE_H

#include "ir/abi.h"
#include "ir/image.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct qn__engine qn__engine;
typedef void (*qn__raw_function)(void); /* to be cast to the kernel's own type, see ir/raw.h */

/* ---- engines with memory of their own ---- */

typedef enum qn__where { QN__WHERE_HOST, QN__WHERE_PINNED /* the host's, and the device may read it at full speed */, QN__WHERE_DEVICE } qn__where;

/* A piece of work of a call, for profiles; times are the device's. */
typedef enum qn__device_span_kind { QN__SPAN_IN, QN__SPAN_COMPUTE, QN__SPAN_OUT } qn__device_span_kind;
typedef struct qn__device_span {
    qn__device_span_kind kind;
    const char *name;          /* of the array, or of the entry */
    uint64_t bytes;            /* copied; 0 of COMPUTE */
    double start_ms, ms;       /* start: since the run began */
} qn__device_span;

/* What such an engine is told about a call, beside the frame, and what it tells. */
typedef struct qn__device_call {
    const uint8_t *where;      /* qn__where by array: where the views' data lies; NULL: all on the host */
    bool timed;                /* fill in the times, call on_span */
    void (*on_span)(void *user, const qn__device_span *span); /* may be NULL */
    void *user;
    /* set by the run: */
    uint64_t began;            /* CLOCK_MONOTONIC in ns where spans count from; 0: nothing was timed */
    uint64_t bytes_in, bytes_out, launches, waits;
    double in_ms, compute_ms, out_ms;
    int32_t failure;           /* qn__cuda_failure, of fault DEVICE or MEMORY; 0: none */
    bool out_of_memory;        /* it is that the device has no memory left */
    char text[960];            /* what the driver said */
} qn__device_call;

typedef struct qn__loaded {
    const qn__engine *engine;
    const qn__image *image;    /* borrowed: outlives the program */
    const qn__loader *loader;  /* borrowed; NULL where the engine needs none */
    qn__entry entry;           /* native engines: the entry of the kernel */
    qn__raw_function raw;      /* native engines: its typed function; NULL where the image has none */
    void **raw_externs;        /* the table of host functions of raw, to be filled in before it is called; NULL: none */
    void *device;              /* borrowed: the qn__cuda_device of engine cuda; else NULL */
    void *handle;              /* the engine's own */
} qn__loaded;

struct qn__engine {
    const char *name;          /* "interp", "cpu", "cuda" */
    qn__image_kind image_kind; /* what it loads */
    /* Fills in entry and handle. False with a message (static, or of the loader) on failure. */
    bool (*load)(qn__loaded *program, const char **message);
    /* Runs the kernel once: 0, or a fault kind with frame->fault filled in. */
    int32_t (*run)(const qn__loaded *program, qn__frame *frame);
    void (*unload)(qn__loaded *program);
};

extern const qn__engine qn__engine_interp; /* bytecode; needs no loader */
extern const qn__engine qn__engine_cpu;    /* objects, by the loader that is handed in */

/* PTX and its plan, on a device: loaded by qn__cuda_load (runtime/cuda/cuda.h). Fault DEVICE: frame->device says what failed. */
extern const qn__engine qn__engine_cuda;

/* Loads an image. The image and the loader stay the caller's and must outlive the program. False with a message (never NULL) when the
 * image is of another kind or cannot be loaded. */
bool qn__kernel_load(qn__loaded *program, const qn__engine *engine, const qn__image *image, const qn__loader *loader,
                      const char **message);
/* No call of the program may be running. A zeroed program is allowed. */
void qn__kernel_unload(qn__loaded *program);

/* The interpreter with a counter per instruction; what is loaded on it is for one thread. */
extern const qn__engine qn__engine_counting;
/* What the calls of a kernel loaded on it executed so far: instructions, and floating-point operations (an fma counts two). */
void qn__counted(const qn__loaded *loaded, uint64_t *instructions, uint64_t *floats);

/* The interpreter itself: runs the bytecode of an image. Same result as an engine's run. */
int32_t qn__interpret(const qn__image *image, qn__frame *frame);

#endif
