/* What the translator's files share. */
#ifndef EM_TRANSLATE_H
#define EM_TRANSLATE_H

#include "emulator/machine.h"

typedef struct em_translation {
    em_module *module;
    em_function *function;
    em_code *code;
    const em_lanes *lanes;
    uint32_t *offsets;           /* of registers; 0: none yet */
    uint32_t frame, predicates, predicates_end;
    uint32_t *first_step;        /* by instruction */
    uint32_t *joins;
    uint32_t step_capacity, constant_capacity;
    uint32_t trash;              /* where results go that nobody wants */
    const em_instruction *instruction;
    em_step spare;               /* written where memory has run out */
    bool failed;
} em_translation;

em_step *em_step_add(em_translation *t, em_handler run); /* the guard is set */
uint32_t em_place(em_translation *t, uint32_t bytes);    /* room in the frame, for 32 lanes of so many bytes; 0: a predicate */
uint32_t em_register_offset(em_translation *t, uint32_t reg);
uint32_t em_constant_offset(em_translation *t, uint64_t value, uint32_t bytes);
uint32_t em_source_offset(em_translation *t, const em_operand *operand, em_type type);
uint32_t em_target_offset(em_translation *t, const em_operand *operand);
uint32_t em_register_bytes(em_type type);
uint64_t em_constant_value(const em_operand *operand, em_type type);
void em_address_set(em_translation *t, em_step *step, const em_operand *operand, em_space space);
bool em_translate_instruction(em_translation *t, const em_instruction *instruction); /* false: cannot be executed (reported) */
bool em_translate_memory(em_translation *t, const em_instruction *instruction, const uint32_t *offsets);
bool em_translate_control(em_translation *t, const em_instruction *instruction, const uint32_t *offsets);

#endif
