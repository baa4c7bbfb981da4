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

typedef struct qn__loaded {
    const qn__engine *engine;
    const qn__image *image;    /* borrowed: outlives the program */
    const qn__loader *loader;  /* borrowed; NULL where the engine needs none */
    qn__entry entry;           /* native engines: the entry of the kernel */
    qn__raw_function raw;      /* native engines: its typed function; NULL where the image has none */
    void **raw_externs;        /* the table of host functions of raw, to be filled in before it is called; NULL: none */
    void *handle;              /* the engine's own */
} qn__loaded;

struct qn__engine {
    const char *name;          /* "interp", "cpu" */
    qn__image_kind image_kind; /* what it loads */
    /* Fills in entry and handle. False with a message (static, or of the loader) on failure. */
    bool (*load)(qn__loaded *program, const char **message);
    /* Runs the kernel once: 0, or a fault kind with frame->fault filled in. */
    int32_t (*run)(const qn__loaded *program, qn__frame *frame);
    void (*unload)(qn__loaded *program);
};

extern const qn__engine qn__engine_interp; /* bytecode; needs no loader */
extern const qn__engine qn__engine_cpu;    /* objects, by the loader that is handed in */

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
