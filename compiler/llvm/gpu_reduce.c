#include "compiler/llvm/gpu_internal.h"
void qn__gpu_reduce(qn__gpu *g, const qn__instr *instr) { (void)instr; qn__fail(g->e, "no reduce yet"); }
