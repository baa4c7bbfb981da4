/* A backend turns IR into an image. It knows neither source text nor runtime. */
#ifndef QN__COMPILER_BACKEND_H
#define QN__COMPILER_BACKEND_H

#include "ir/image.h"
#include "ir/ir.h"

/* What a target is; a zeroed structure means "this machine, everything on". Backends ignore what they have no use for.
 */
typedef struct qn__emit_options {
    const char *cpu;      /* CPU or SM name as LLVM spells it; NULL: the host's */
    const char *features; /* LLVM's feature string; NULL: the host's */
    uint32_t vector_bits; /* widest vectors to use; 0: the target's choice */
    bool assembly;        /* give assembly text or the disassembly instead of the loadable form */
    bool intermediate;    /* give LLVM's IR as text instead */
} qn__emit_options;

typedef struct qn__backend {
    const char *name; /* "bytecode", "llvm", "ptx" */
    /* Fills in the image; its memory is of ir->arena. On failure false and *message says why (static or of the arena):
     * out of memory, a limit, or something that the target cannot do. Thread-safe for different modules. */
    bool (*emit)(const qn__ir *ir, const qn__emit_options *options, qn__image *image, const char **message);
} qn__backend;

extern const qn__backend qn__bytecode_backend; /* compiler/bytecode.c; emit is qn__bytecode_emit */

#endif
