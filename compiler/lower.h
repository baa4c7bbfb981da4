/* Lowering: from the typed tree of a kernel to the IR. What the language means in terms of the IR is written here and
 * nowhere else. */
#ifndef QN__COMPILER_LOWER_H
#define QN__COMPILER_LOWER_H

#include "compiler/diagnostic.h"
#include "compiler/typed.h"
#include "ir/ir.h"

/* The IR of a kernel that checked without errors, with memory of the arena. NULL when memory is out, a limit is met or
 * the typed tree is not what typed.h promises: then the sink has a diagnostic (the last case as an internal error). */
qn__ir *qn__lower(const qn__checked *checked, const qn__typed *kernel, const qn__sources *sources, qn__arena *arena,
                  qn__diagnostic_sink *sink);

#endif
