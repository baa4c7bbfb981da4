/* Accesses to memory as steps: where the address comes from, what is moved, where it goes. */
#include "emulator/translate.h"

#include "emulator/ptx_check.h"

#include <stdlib.h>
#include <string.h>

static uint32_t vector_size(const em_instruction *i) {
    switch ((em_modifier)i->modifier[EM_GROUP_VEC]) {
    case EM_MOD_V2: return 2;
    case EM_MOD_V4: return 4;
    case EM_MOD_V8: return 8;
    default: return 1;
    }
}

/* Offsets of a value's registers: one, or a vector's; with their sizes behind them. */
static uint32_t *value_list(em_translation *t, const em_operand *operand, em_type type, bool target, uint32_t *count) {
    const em_operand *elements = operand->kind == EM_OPERAND_VECTOR ? operand->elements : operand;
    *count = operand->kind == EM_OPERAND_VECTOR ? operand->count : 1;
    uint32_t *list = calloc((size_t)*count * 2, sizeof *list);
    if (!list) {
        t->failed = true;
        return NULL;
    }
    for (uint32_t k = 0; k < *count; k++) {
        const em_operand *element = &elements[k];
        bool reg = element->kind == EM_OPERAND_REGISTER;
        list[k] = target ? (reg ? em_register_offset(t, element->reg) : 0) : em_source_offset(t, element, type);
        list[*count + k] = reg ? em_register_bytes((em_type)element->type) : em_register_bytes(type);
    }
    return list;
}

static em_step *access(em_translation *t, const em_instruction *i, em_handler run, const em_operand *address, const em_operand *value, bool target) {
    em_type type = (em_type)i->type[0];
    uint32_t count = 0;
    uint32_t *list = value ? value_list(t, value, type, target, &count) : NULL;
    em_step *step = em_step_add(t, run);
    em_address_set(t, step, address, em_space_of(i->modifier[EM_GROUP_SPACE]));
    step->list = list;
    step->list_count = count;
    step->count = (uint8_t)(value && value->kind == EM_OPERAND_VECTOR ? count : vector_size(i));
    step->bytes = (uint8_t)(em_type_bits(type) / 8);
    step->slot = t->module->slots++;
    if (i->modifier[EM_GROUP_SEM] >= EM_MOD_VOLATILE) step->flags |= EM_FLAG_VOLATILE;
    return step;
}

/* atom and red: a step has its address in a, its operands in b and c, its result in d (e: none wanted). */
static bool atomic(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    bool reduction = i->operation == EM_OP_RED || i->operation == EM_OP_RED_VEC, vector = i->operation == EM_OP_ATOM_VEC || i->operation == EM_OP_RED_VEC;
    const em_operand *address = &i->operands[reduction ? 0 : 1], *value = &i->operands[reduction ? 1 : 2];
    em_modifier mode = (em_modifier)(i->modifier[EM_GROUP_AOP] ? i->modifier[EM_GROUP_AOP] : i->modifier[EM_GROUP_BOOL]);
    if (em_has(i, EM_MOD_NOFTZ)) mode = EM_MOD_A_ADD;
    uint32_t third = mode == EM_MOD_A_CAS ? em_source_offset(t, &i->operands[3], (em_type)i->type[0]) : 0;
    uint32_t results = 0;
    uint32_t *list = value_list(t, value, (em_type)i->type[0], false, &results), *targets = NULL;
    if (!reduction && i->operands[0].kind != EM_OPERAND_SINK) targets = value_list(t, &i->operands[0], (em_type)i->type[0], true, &results);
    if (!list) return false;
    uint32_t *both = calloc((size_t)results * 2, sizeof *both); /* sources, then results */
    if (!both) t->failed = true;
    for (uint32_t k = 0; both && k < results; k++) both[k] = list[k], both[results + k] = targets ? targets[k] : 0;
    free(list);
    free(targets);
    if (!both) return false;
    em_step *step = access(t, i, em_run_atomic, address, NULL, false);
    step->list = both;
    step->list_count = results;
    step->count = (uint8_t)(vector ? results : 1);
    step->c = third;
    step->mode = (uint8_t)mode;
    (void)offsets;
    return true;
}

static bool space_step(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    uint32_t bytes = em_register_bytes((em_type)i->type[0]), source = offsets[1];
    if (i->operation == EM_OP_CVTA) source = em_source_offset(t, &i->operands[1], bytes == 4 ? EM_B32 : EM_B64);
    em_step *step = em_step_add(t, em_run_space);
    step->d = offsets[0], step->a = source;
    step->space = (uint8_t)em_space_of(i->modifier[EM_GROUP_SPACE]);
    step->d_bytes = (uint8_t)bytes;
    if (i->operation == EM_OP_ISSPACEP) step->d_bytes = i->operands[1].kind == EM_OPERAND_REGISTER && em_type_bits((em_type)i->operands[1].type) == 32 ? 4 : 8;
    return true;
}

static bool copy_async(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    em_step *from = em_step_add(t, em_run_nothing); /* holds the source's address */
    em_address_set(t, from, &i->operands[1], EM_SPACE_GLOBAL);
    from->slot = t->module->slots++;
    from->bytes = (uint8_t)i->operands[2].value;
    from->count = 1;
    em_step *step = em_step_add(t, em_run_copy_async);
    em_address_set(t, step, &i->operands[0], EM_SPACE_SHARED);
    step->bytes = (uint8_t)i->operands[2].value;
    step->count = i->operand_count > 3 && i->operands[3].kind != EM_OPERAND_NONE;
    step->b = offsets[3];
    if (step->count && i->operands[3].kind == EM_OPERAND_INTEGER) step->b = em_constant_offset(t, (uint64_t)i->operands[3].value, 4);
    return true;
}

static bool matrix(em_translation *t, const em_instruction *i) {
    uint32_t *lists[4], counts[4], total = 0;
    for (int k = 0; k < 4; k++) {
        em_type type = k == 0 || k == 3 ? (em_type)i->type[k] : (em_type)i->type[1] == EM_F64 ? EM_F64 : EM_B32;
        lists[k] = value_list(t, &i->operands[k], type, k == 0, &counts[k]);
        total += lists[k] ? counts[k] : 0;
    }
    uint32_t *list = calloc((size_t)total + 1, sizeof *list), at = 0;
    if (!list) t->failed = true;
    for (int k = 0; k < 4; k++) {
        for (uint32_t n = 0; list && lists[k] && n < counts[k]; n++) list[at++] = lists[k][n];
        free(lists[k]);
    }
    if (!list) return false;
    em_step *step = em_step_add(t, em_run_matrix);
    step->list = list;
    step->list_count = at;
    step->mode = i->modifier[EM_GROUP_SHAPE];
    return true;
}

static bool matrix_move(em_translation *t, const em_instruction *i) {
    bool store = i->operation == EM_OP_STMATRIX;
    em_step *step = access(t, i, em_run_matrix_move, &i->operands[store ? 0 : 1], &i->operands[store ? 1 : 0], !store);
    em_modifier number = (em_modifier)i->modifier[EM_GROUP_NUM];
    step->count = number == EM_MOD_X4 ? 4 : number == EM_MOD_X2 ? 2 : 1;
    step->mode = store;
    step->mode2 = em_has(i, EM_MOD_TRANS);
    step->bytes = 16;
    return true;
}

bool em_translate_memory(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    em_step *step;
    switch ((em_operation)i->operation) {
    case EM_OP_LD: access(t, i, em_run_load, &i->operands[1], &i->operands[0], true); return true;
    case EM_OP_ST: access(t, i, em_run_store, &i->operands[0], &i->operands[1], false); return true;
    case EM_OP_ATOM:
    case EM_OP_ATOM_VEC:
    case EM_OP_RED:
    case EM_OP_RED_VEC: return atomic(t, i, offsets);
    case EM_OP_CVTA:
    case EM_OP_CVTA_TO:
    case EM_OP_ISSPACEP: return space_step(t, i, offsets);
    case EM_OP_CP_ASYNC: return copy_async(t, i, offsets);
    case EM_OP_CP_ASYNC_COMMIT:
    case EM_OP_CP_ASYNC_WAIT:
    case EM_OP_CP_ASYNC_WAIT_ALL:
        step = em_step_add(t, em_run_copy_control);
        step->mode = i->operation == EM_OP_CP_ASYNC_COMMIT ? 0 : i->operation == EM_OP_CP_ASYNC_WAIT ? 1 : 2;
        step->imm = i->operation == EM_OP_CP_ASYNC_WAIT ? (uint64_t)i->operands[0].value : 0;
        return true;
    case EM_OP_MMA: return matrix(t, i);
    case EM_OP_LDMATRIX:
    case EM_OP_STMATRIX: return matrix_move(t, i);
    case EM_OP_MEMBAR: em_step_add(t, em_run_fence); return true;
    default: em_step_add(t, em_run_nothing); return true; /* prefetch */
    }
}
