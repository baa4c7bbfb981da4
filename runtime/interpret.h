/* Inside of the interpreter: what its loop (interpret_loop.h, compiled once per instruction set) shares with its entry. */
#ifndef QN__INTERPRET_H
#define QN__INTERPRET_H

#include "ir/abi.h"
#include "ir/bytecode.h"
#include "ir/image.h"

#include <ffi.h>

struct qn__run;

/* A bytecode ready to run: handlers' addresses in place of opcodes. Immutable. */
typedef struct qn__threaded {
    const qn__bytecode *bytecode;
    qn__bytecode_instr *code;
    int32_t (*loop)(struct qn__run *run, const void *const **handlers);
    ffi_cif *calls;             /* per extern */
    ffi_type **types;           /* of all their parameters */
    uint64_t *counts;           /* of the counting loop: executions per instruction; else NULL */
} qn__threaded;

/* One instruction on vectors of n elements: a = ... of b, c, d. In place is allowed for elements of one width. */
typedef void (*qn__strip_function)(int64_t n, void *a, const void *b, const void *c, const void *d);
extern const qn__strip_function qn__strip_generic[QN__BC_COUNT]; /* NULL where there is none */
extern const qn__strip_function qn__strip_fma[QN__BC_COUNT];

/* A buffer of a running keep. */
typedef struct qn__kept { unsigned char *data; uint32_t bytes; } qn__kept;

typedef struct qn__run {
    const qn__threaded *threaded;
    const qn__image *image;
    qn__frame *frame;
    qn__slot *slots;
    unsigned char *locals;
    qn__slot *arguments;        /* of the next ALLOCATE or CALL */
    void **argument_places;     /* their addresses, for libffi */
    const qn__bytecode_keep *keep; /* running, or NULL */
    qn__kept *kept;             /* one per array of it */
    int64_t kept_count, kept_capacity;
    const qn__bytecode_instr *at; /* where a fault was raised */
    int64_t index, extent;      /* of it */
} qn__run;

/* Runs run->threaded->code: 0 or a fault kind, with at, index and extent. With run NULL: only tells the handlers. */
int32_t qn__interpret_generic(qn__run *run, const void *const **handlers);
int32_t qn__interpret_fma(qn__run *run, const void *const **handlers);
int32_t qn__interpret_counting(qn__run *run, const void *const **handlers);

/* Slow paths, in interpret.c. They return 0 or a fault kind. */
int32_t qn__run_allocate(qn__run *run, uint32_t array);
qn__slot qn__run_call(qn__run *run, uint32_t number);
int32_t qn__run_keep_begin(qn__run *run, uint32_t keep);
int32_t qn__run_keep_grow(qn__run *run);
int32_t qn__run_keep_end(qn__run *run);

#endif
