/* From IR to the interpreter's bytecode (ir/bytecode.h). */
#ifndef QN__COMPILER_BYTECODE_H
#define QN__COMPILER_BYTECODE_H

#include "ir/bytecode.h"
#include "ir/image.h"
#include "ir/ir.h"
#include "ir/text.h"

/* Fills in the whole image (kind BYTECODE) with memory of the IR's arena. Requires: inlined (no `call`). False with a message (static)
 * when memory or a limit of the format is exhausted. */
bool qn__bytecode_emit(const qn__ir *ir, qn__image *image, const char **message);

/* The bytecode as text, for `quern emit --bytecode` and for tests. */
void qn__bytecode_print(const qn__image *image, qn__text *out);

#endif
