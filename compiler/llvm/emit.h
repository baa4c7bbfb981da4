/* The CPU backend: IR -> LLVM IR -> an object file in an image. Nothing else in Quern but this folder touches LLVM.
 *
 * All functions are thread-safe and touch no state of the process except what LLVM sets up once (targets, a cached
 * target machine per set of options; see qn__llvm_release). The IR is only read. */
#ifndef QN__LLVM_EMIT_H
#define QN__LLVM_EMIT_H

#include "ir/image.h"
#include "ir/ir.h"
#include "ir/text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct qn__llvm_options {
    const char *triple;   /* NULL: the host's */
    const char *cpu;      /* NULL: the host's, or "generic" when triple is given */
    const char *features; /* NULL: the host's when cpu and triple are NULL too, else none beyond the cpu's */
    uint32_t width;       /* lanes of a stage's code: 0: chosen per stage; 1: scalar code; else a power of two, at most 64 */
    uint32_t level;       /* 0: no passes, 1: the short pipeline (the usual one), 2: a longer one */
    bool verify;          /* run LLVM's verifier on what was emitted */
    bool debug;           /* DWARF for lines and the kernel's variables; scalar code without passes, whatever width and level say */
    bool serial;          /* one function for all: the code never uses threads (debug implies it) */
    bool lines;           /* DWARF for lines alone; the code is the same as without */
    const char *suffix;   /* behind all symbols of the object, which are then hidden (one of several variants); NULL: none */
} qn__llvm_options;

/* Compiles the kernel. options may be NULL: the host, chosen widths, level 1. The image's memory is of ir's arena.
 * False with a *message (static or of ir's arena). */
bool qn__llvm_emit(const qn__ir *ir, const qn__llvm_options *options, qn__image *image, const char **message);

/* The same way up to a point, as text appended to out: LLVM IR after the passes (raw: before them), or assembly. */
typedef enum qn__llvm_stage { QN__LLVM_RAW, QN__LLVM_OPTIMISED, QN__LLVM_ASSEMBLY } qn__llvm_stage;
bool qn__llvm_text(const qn__ir *ir, const qn__llvm_options *options, qn__llvm_stage stage, qn__text *out,
                   const char **message);

/* An object with one function for each name of `symbols` that is, from the moment it is loaded on, the variant for the processor it runs on: the one
 * with the last suffix whose level qn__cpu_level() reaches (compiled from support/cpu_level.c, linked to it). Suffixes and levels ascend; the first level is 0.
 * The bytes are of the arena. */
typedef struct qn__llvm_variant { const char *suffix; int32_t level; } qn__llvm_variant;
bool qn__llvm_dispatch(const char *const *symbols, size_t symbol_count, const qn__llvm_variant *variants, size_t variant_count,
                       qn__arena *arena, const void **code, size_t *size, const char **message);

/* What decides the code besides the IR, for cache keys: "LLVM 22.1.8 x86_64-... znver3 +avx2,...". */
bool qn__llvm_describe(const qn__llvm_options *options, qn__text *out);

#endif
