/* The GPU back end: IR -> PTX text and a plan (ir/plan.h) in an image. See docs/decisions/0007-gpu.md. Thread-safe; the IR is only read. */
#ifndef QN__LLVM_GPU_H
#define QN__LLVM_GPU_H

#include "ir/image.h"
#include "ir/ir.h"
#include "ir/text.h"

typedef struct qn__gpu_options {
    uint32_t sm;          /* compute capability times 10, 90 for sm_90; rounded down to one that gpu_processors.def lists. At least 70 */
    uint32_t ptx_version; /* newest PTX ISA version that the driver takes, 83 for 8.3; 0: no limit. The code has the oldest one that the SM allows */
    bool lines;           /* .loc lines of the source */
    bool verify;          /* run LLVM's verifier on what was emitted */
} qn__gpu_options;

/* Compiles the kernel: kind QN__IMAGE_PTX, zero-terminated text (not counted in code_size), plan. The image's memory is of ir's arena.
 * False with a *message (static or of ir's arena). */
bool qn__gpu_emit(const qn__ir *ir, const qn__gpu_options *options, qn__image *image, const char **message);

/* LLVM's IR instead, after the passes, appended to out. */
bool qn__gpu_text(const qn__ir *ir, const qn__gpu_options *options, qn__text *out, const char **message);

/* What decides the code besides the IR, for cache keys: "LLVM 22.1.8 sm_90 ptx78". False: no such target, or no memory. */
bool qn__gpu_describe(const qn__gpu_options *options, qn__text *out);

#endif
