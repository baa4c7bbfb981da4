/* scan at kernel level. */
#include "compiler/llvm/gpu_internal.h"

void qn__gpu_scan(qn__gpu *g, const qn__instr *instr) { qn__gpu_in_order(g, instr); }
