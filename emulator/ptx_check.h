/* The checker's parts. */
#ifndef EM_PTX_CHECK_H
#define EM_PTX_CHECK_H

#include "emulator/ptx.h"

/* The operands fit the row's letters. Where they do, missing optional ones become NONE, so that every operand has its place. */
bool em_check_operands(em_module *module, em_function *function, em_instruction *instruction, const em_row *row, bool report);
/* What no pattern says: combinations of types and modifiers. Reports. */
bool em_check_meaning(em_module *module, em_function *function, em_instruction *instruction);
bool em_types_fit(em_type reg, em_type instruction);
em_space em_space_of(uint8_t modifier);

#endif
