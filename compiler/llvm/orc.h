/* Loads object images into the process: ir/image.h's qn__loader over one LLJIT. */
#ifndef QN__LLVM_ORC_H
#define QN__LLVM_ORC_H

#include "ir/image.h"

/* A loader for objects of this host; NULL with a static *message when LLVM cannot be set up. Costs 2 to 3 ms: make one per
 * context and keep it. load and unload may be called from several threads; unload gives the memory back, no code of the
 * handle may run then. destroy (loader->destroy(loader->self)) drops what is still loaded, and the loader itself. */
qn__loader *qn__orc_loader_create(const char **message);

/* From now on objects with debug information are made known to a debugger that is attached to this process (gdb's JIT interface).
 * False with a static *message. */
bool qn__orc_enable_debugger(qn__loader *loader, const char **message);

#endif
