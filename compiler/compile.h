/* The compiler's face: from source text to the IR of one kernel, ready for a backend.
 *
 *     qn__program *program = qn__program_open(path, text, length, reader, &options);     parse, with imports and prelude
 *     qn__program_check(program);                                                        or check everything
 *     qn__compiled *compiled = qn__compile(program, kernel, types, count, &options);     one kernel, specialised
 *     if (compiled && compiled->ir) backend->emit(compiled->ir, ...);
 *     qn__compiled_release(compiled); qn__program_close(program);
 *
 * One program may be used by one thread at a time (names are interned in it); different programs are independent.
 * A compiled kernel owns its memory: it may be released before or after, but diagnostics refer to the program's sources. */
#ifndef QN__COMPILER_COMPILE_H
#define QN__COMPILER_COMPILE_H

#include "compiler/backend.h"
#include "compiler/loader.h"
#include "ir/ir.h"

typedef struct qn__compile_options {
    const char *stop_after;   /* stop the passes after this one ("lower": run none); NULL: run all */
    size_t memory_limit;      /* bytes that one arena may take; 0: QN__COMPILE_MEMORY */
    bool without_prelude;     /* for tests */
} qn__compile_options;

enum { QN__COMPILE_MEMORY = 1 << 30 };

/* Parses. NULL only when there is no memory at all; errors are in program->sink (sorted). The program and all that hangs
 * on it live until qn__program_close. options may be NULL. */
qn__program *qn__program_open(const char *path, const char *text, size_t length, const qn__import_reader *reader,
                              const qn__compile_options *options);
void qn__program_close(qn__program *program); /* NULL is allowed */

/* A kernel as it is written. */
typedef struct qn__kernel_info {
    const char *name;
    qn__node_id node;         /* KERNEL */
    bool imported;            /* not in the main file */
    uint32_t generic_count;   /* type parameters, to be given to qn__compile */
    const char *generic_names[QN__MAX_RANK];
    uint8_t generic_classes[QN__MAX_RANK]; /* qn__ast_class */
} qn__kernel_info;

/* Those of the main file first, in written order, then imported ones; the prelude has none. *count is set; NULL when out of memory. */
const qn__kernel_info *qn__program_kernels(qn__program *program, size_t *count);
/* By name; NULL when there is none. An empty name or NULL: the only kernel of the main file, or NULL when there are several. */
const qn__kernel_info *qn__program_kernel(qn__program *program, const char *name);
/* The parameter of a kernel whose element type fixes type parameter `generic`: its number among the inputs, or -1. */
int32_t qn__kernel_generic_source(const qn__program *program, const qn__kernel_info *kernel, uint32_t generic);

/* Checks all items, and lowers and analyses every kernel (generic ones once for each type argument that is usual for its
 * class), so that errors that are only proved on the IR are found too. Reports into program->sink; true without errors. */
bool qn__program_check(qn__program *program);

typedef struct qn__compiled {
    qn__arena *arena;         /* owns everything here */
    qn__diagnostic_sink sink; /* this compilation's errors and warnings, sorted; those of parsing are in the program's */
    qn__ir *ir;               /* NULL when there were errors; remarks are in ir->remarks */
    double check_ms, lower_ms, passes_ms;
} qn__compiled;

/* Parse -> check -> lower -> passes for one kernel with these type arguments (type_count as many as it has type parameters).
 * NULL only when there is no memory at all. */
qn__compiled *qn__compile(qn__program *program, const qn__kernel_info *kernel, const qn__type *types, uint32_t type_count,
                          const qn__compile_options *options);
void qn__compiled_release(qn__compiled *compiled); /* NULL is allowed */

#endif
