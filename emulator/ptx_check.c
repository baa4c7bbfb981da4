/* Checks operands against a row of the table, and what patterns cannot say. ptxas's rules: bit types take any register of their size, integer
 * types any integer register of their size, floating types their own; ld, st and cvt take wider registers too. */
#include "emulator/ptx_check.h"

#include <string.h>

bool em_types_fit(em_type reg, em_type instruction) {
    em_class has = em_type_class(reg), wants = em_type_class(instruction);
    if ((has == EM_CLASS_PREDICATE) != (wants == EM_CLASS_PREDICATE)) return false;
    if (em_type_bits(reg) != em_type_bits(instruction)) return false;
    if (wants == EM_CLASS_BITS || has == EM_CLASS_BITS || reg == instruction) return true;
    if (wants == EM_CLASS_FLOAT) return false;
    return has != EM_CLASS_FLOAT;
}

em_space em_space_of(uint8_t modifier) {
    switch ((em_modifier)modifier) {
    case EM_MOD_GLOBAL: return EM_SPACE_GLOBAL;
    case EM_MOD_SHARED:
    case EM_MOD_SHARED_CLUSTER: /* a cluster is one block */
    case EM_MOD_SHARED_CTA: return EM_SPACE_SHARED;
    case EM_MOD_LOCAL: return EM_SPACE_LOCAL;
    case EM_MOD_CONST: return EM_SPACE_CONST;
    case EM_MOD_PARAM:
    case EM_MOD_PARAM_ENTRY:
    case EM_MOD_PARAM_FUNC: return EM_SPACE_PARAM;
    default: return EM_GENERIC;
    }
}

static em_type twice(em_type type) {
    switch (type) {
    case EM_U16: return EM_U32;
    case EM_S16: return EM_S32;
    case EM_U32: return EM_U64;
    case EM_S32: return EM_S64;
    default: return EM_NONE;
    }
}

static bool constant_fits(const em_operand *operand, em_type type) {
    em_class class = em_type_class(type);
    switch ((em_operand_kind)operand->kind) {
    case EM_OPERAND_INTEGER: return class != EM_CLASS_FLOAT || type == EM_F16X2 || type == EM_BF16X2;
    case EM_OPERAND_FLOAT32: return type == EM_F32 || type == EM_B32 || type == EM_F64;
    case EM_OPERAND_FLOAT: return type == EM_F64 || type == EM_F32 || type == EM_B64;
    default: return false;
    }
}

static bool source_fits(const em_operand *operand, em_type type) {
    if (operand->kind == EM_OPERAND_REGISTER) return (!operand->negated || type == EM_PRED) && em_types_fit((em_type)operand->type, type);
    return !operand->negated && constant_fits(operand, type);
}

static bool target_fits(const em_operand *operand, em_type type) {
    return operand->kind == EM_OPERAND_REGISTER && !operand->negated && em_types_fit((em_type)operand->type, type);
}

/* A register that is wider than the type will do for ld, st and cvt. */
static bool wider_fits(const em_operand *operand, em_type type) {
    if (operand->kind != EM_OPERAND_REGISTER || operand->negated) return false;
    em_type reg = (em_type)operand->type;
    if (em_types_fit(reg, type)) return true;
    em_class has = em_type_class(reg), wants = em_type_class(type);
    if (has == EM_CLASS_PREDICATE || wants == EM_CLASS_PREDICATE || em_type_bits(reg) < em_type_bits(type)) return false;
    if (wants == EM_CLASS_FLOAT) return has == EM_CLASS_BITS && em_type_bits(reg) >= em_type_bits(type);
    return has != EM_CLASS_FLOAT || wants == EM_CLASS_BITS;
}

static uint32_t vector_size(const em_instruction *instruction) {
    switch ((em_modifier)instruction->modifier[EM_GROUP_VEC]) {
    case EM_MOD_V2: return 2;
    case EM_MOD_V4: return 4;
    case EM_MOD_V8: return 8;
    default: return 1;
    }
}

static bool memory_value_fits(const em_instruction *instruction, const em_operand *operand, bool target) {
    em_type type = (em_type)instruction->type[0];
    uint32_t size = vector_size(instruction);
    if (size == 1 && operand->kind == EM_OPERAND_VECTOR && operand->count == 1) operand = operand->elements;
    if (size == 1) return wider_fits(operand, type) || (!target && constant_fits(operand, type));
    if (operand->kind != EM_OPERAND_VECTOR || operand->count != size) return false;
    for (uint32_t k = 0; k < size; k++) {
        const em_operand *element = &operand->elements[k];
        if (element->kind == EM_OPERAND_SINK && target) continue;
        if (!wider_fits(element, type) && (target || !constant_fits(element, type))) return false;
    }
    return true;
}

static bool address_fits(const em_instruction *instruction, const em_operand *operand, bool second) {
    if (operand->kind != EM_OPERAND_ADDRESS) return false;
    em_space space = em_space_of(second ? instruction->space2 : instruction->modifier[EM_GROUP_SPACE]);
    if (operand->base == EM_OPERAND_REGISTER) {
        em_class class = em_type_class((em_type)operand->type);
        uint32_t bits = em_type_bits((em_type)operand->type);
        return (class == EM_CLASS_BITS || class == EM_CLASS_UNSIGNED || class == EM_CLASS_SIGNED) && (bits == 64 || (bits == 32 && space > EM_SPACE_GLOBAL));
    }
    if (operand->base != EM_OPERAND_VARIABLE) return space == EM_SPACE_LOCAL;
    em_space has = operand->variable->space;
    return has == space || (space == EM_GENERIC && has != EM_SPACE_REG && has != EM_SPACE_PARAM);
}

static bool letter_fits(const em_instruction *instruction, char letter, const em_operand *operand, bool second) {
    const uint8_t *type = instruction->type;
    switch (letter) {
    case 'd': return target_fits(operand, (em_type)type[0]);
    case 'e': return target_fits(operand, (em_type)type[1]);
    case 'D': return target_fits(operand, twice((em_type)type[0]));
    case 'r': return target_fits(operand, EM_B32) && em_type_class((em_type)operand->type) != EM_CLASS_FLOAT;
    case 'R': return target_fits(operand, EM_B64);
    case 'q': return target_fits(operand, EM_PRED) || operand->kind == EM_OPERAND_SINK;
    case '|': return target_fits(operand, EM_PRED) || operand->kind == EM_OPERAND_SINK;
    case 'a': return source_fits(operand, (em_type)type[0]);
    case 'u': return source_fits(operand, (em_type)type[1]);
    case 'v': return source_fits(operand, (em_type)type[2]);
    case 'w': return source_fits(operand, (em_type)type[3]);
    case 'A': return source_fits(operand, twice((em_type)type[0]));
    case 'h': return source_fits(operand, EM_B16);
    case 'i': return source_fits(operand, EM_B32);
    case 'l': return source_fits(operand, EM_B64) || operand->kind == EM_OPERAND_VARIABLE;
    case 'n': return operand->kind == EM_OPERAND_INTEGER;
    case 'p': return operand->kind == EM_OPERAND_REGISTER ? operand->type == EM_PRED : operand->kind == EM_OPERAND_INTEGER;
    case 'm': return address_fits(instruction, operand, second);
    case 'V': return memory_value_fits(instruction, operand, true);
    case 'S': return memory_value_fits(instruction, operand, false);
    case 'C': return wider_fits(operand, (em_type)type[0]);
    case 'c': return wider_fits(operand, (em_type)type[1]) || constant_fits(operand, (em_type)type[1]) ||
        (operand->kind == EM_OPERAND_SPECIAL && em_special_bits(operand->special) == em_type_bits((em_type)type[1]) && em_type_class((em_type)type[1]) != EM_CLASS_FLOAT);
    default: return true; /* x */
    }
}

static bool refuse(em_module *module, const em_instruction *instruction, const em_row *row, bool report, const char *what) {
    if (report) em_error(module, instruction->line, "%s for instruction '%s'", what, row->mnemonic);
    return false;
}

bool em_check_operands(em_module *module, em_function *function, em_instruction *instruction, const em_row *row, bool report) {
    (void)function;
    em_operand placed[20];
    uint32_t count = 0, at = 0, addresses = 0;
    if (row->operation == EM_OP_CALL) return true;
    memset(placed, 0, sizeof placed);
    for (const char *letter = row->operands; *letter; letter++) {
        bool optional = letter[1] == '?', join = *letter == '|';
        bool there = at < instruction->operand_count && instruction->operands[at].joined == join;
        if (join || optional) {
            if (at >= instruction->operand_count || (join && !there)) {
                count++;
                letter += optional;
                continue;
            }
        }
        if (at >= instruction->operand_count) return refuse(module, instruction, row, report, "Too few arguments");
        const em_operand *operand = &instruction->operands[at];
        bool unwanted = operand->kind == EM_OPERAND_SINK && strchr("dr", *letter) && (letter[1] == '|' || row->operation == EM_OP_ATOM);
        if (!there || (!unwanted && !letter_fits(instruction, *letter, operand, addresses > 0))) return refuse(module, instruction, row, report, "Arguments mismatch");
        addresses += *letter == 'm';
        placed[count++] = *operand;
        at++;
        letter += optional;
    }
    bool tail = row->operation == EM_OP_BAR_POPC || row->operation == EM_OP_BAR_RED; /* the number of threads may be absent */
    while (tail && at < instruction->operand_count && count < 4) placed[count++] = instruction->operands[at++];
    if (at < instruction->operand_count) return refuse(module, instruction, row, report, "Too many arguments");
    em_operand *copy = em_arena_allocate(&module->arena, (count + 1) * sizeof *copy);
    if (!copy) return false;
    memcpy(copy, placed, (count + 1) * sizeof *copy);
    instruction->operands = copy;
    instruction->operand_count = count;
    return true;
}
