/* Control flow of a function's instructions. */
#ifndef EM_FLOW_H
#define EM_FLOW_H

#include "emulator/ptx.h"

/* For each instruction, where the lanes meet again that a divergent branch there parted; EM_NOWHERE: only at the function's end. The caller frees it; NULL: no memory. */
uint32_t *em_flow_joins(const em_function *function);

#endif
