/* What the patterns of the table cannot say: which comparisons go with which types, where a conversion must name its rounding, which spaces an
 * access may name, how calls fit their functions. */
#include "emulator/ptx_check.h"

#include <string.h>

static bool wrong(em_module *module, const em_instruction *instruction, const char *what) {
    em_error(module, instruction->line, "%s for instruction '%s'", what, instruction->row->mnemonic);
    return false;
}

static bool compare(em_module *module, const em_instruction *instruction, em_type type) {
    em_modifier mode = (em_modifier)instruction->modifier[EM_GROUP_CMP];
    if (!mode) return true;
    em_class class = em_type_class(type);
    bool order = mode >= EM_MOD_LO && mode <= EM_MOD_HS;
    if (class == EM_CLASS_BITS && mode != EM_MOD_EQ && mode != EM_MOD_NE) return wrong(module, instruction, "Illegal comparison of bits");
    if (order && class != EM_CLASS_UNSIGNED) return wrong(module, instruction, "Illegal comparison: .lo, .ls, .hi and .hs are for unsigned types");
    return true;
}

/* Significant bits and largest exponent decide whether a conversion must round. */
static int rank(em_type type) { return type == EM_F64 ? 3 : type == EM_F32 ? 2 : 1; }

static bool convert(em_module *module, const em_instruction *instruction) {
    em_type to = (em_type)instruction->type[0], from = (em_type)instruction->type[1];
    bool to_float = em_type_class(to) == EM_CLASS_FLOAT, from_float = em_type_class(from) == EM_CLASS_FLOAT;
    bool rounds = instruction->modifier[EM_GROUP_RND] != 0, to_integer = instruction->modifier[EM_GROUP_IRND] != 0;
    if (to == EM_TF32) return true;
    bool narrows = to_float && from_float && (rank(from) > rank(to) || (rank(from) == rank(to) && to != from));
    if ((to_float && !from_float) || narrows) {
        if (!rounds) return wrong(module, instruction, "Rounding modifier required");
    } else if (rounds) {
        return wrong(module, instruction, "Illegal rounding modifier");
    }
    if (!to_float && from_float) {
        if (!to_integer) return wrong(module, instruction, "Rounding modifier required");
    } else if (to_integer && !(to == from && to_float)) {
        return wrong(module, instruction, "Illegal rounding modifier");
    }
    if (em_has(instruction, EM_MOD_FTZ) && to != EM_F32 && from != EM_F32) return wrong(module, instruction, "Illegal modifier '.ftz'");
    return true;
}

static bool atomic(em_module *module, const em_instruction *instruction, bool reduction) {
    em_type type = (em_type)instruction->type[0];
    em_modifier mode = (em_modifier)instruction->modifier[EM_GROUP_AOP];
    em_class class = em_type_class(type);
    bool bits = class == EM_CLASS_BITS, real = class == EM_CLASS_FLOAT, good = true;
    bool policy = em_has(instruction, EM_MOD_CACHE_HINT);
    uint32_t given = 0;
    for (uint32_t k = 0; k < instruction->operand_count; k++) given += instruction->operands[k].kind != EM_OPERAND_NONE;
    if (mode == EM_MOD_A_ADD) good = !bits && (type != EM_F64 || module->target >= 60) && !(type == EM_S64);
    else if (mode == EM_MOD_A_MIN || mode == EM_MOD_A_MAX) good = !bits && !real && (em_type_bits(type) == 32 || module->target >= 32);
    else if (mode == EM_MOD_A_INC || mode == EM_MOD_A_DEC) good = type == EM_U32;
    else if (mode == EM_MOD_A_EXCH || mode == EM_MOD_A_CAS) good = bits && !reduction;
    if (!good) return wrong(module, instruction, "Unexpected instruction types or operation");
    uint32_t expected = (reduction ? 2u : 3u) + (mode == EM_MOD_A_CAS) + policy;
    if (given != expected && instruction->operation != EM_OP_ATOM_VEC) return wrong(module, instruction, given < expected ? "Too few arguments" : "Too many arguments");
    if (mode == EM_MOD_A_CAS) {
        const em_operand *last = &instruction->operands[3];
        if (last->kind == EM_OPERAND_REGISTER && !em_types_fit((em_type)last->type, type)) return wrong(module, instruction, "Arguments mismatch");
        if (last->kind != EM_OPERAND_REGISTER && last->kind != EM_OPERAND_INTEGER) return wrong(module, instruction, "Arguments mismatch");
    }
    em_modifier space = (em_modifier)instruction->modifier[EM_GROUP_SPACE];
    if (space && space != EM_MOD_GLOBAL && space != EM_MOD_SHARED && space != EM_MOD_SHARED_CTA) return wrong(module, instruction, "Illegal state space");
    bool memory_model = instruction->modifier[EM_GROUP_SEM] || instruction->modifier[EM_GROUP_SCOPE];
    if (memory_model && (module->version < 50 || module->target < 60)) return wrong(module, instruction, "Target sm_60 or higher required for .sem and .scope");
    return true;
}

static bool access(em_module *module, em_function *function, const em_instruction *instruction) {
    bool store = instruction->operation == EM_OP_ST;
    em_space space = em_space_of(instruction->modifier[EM_GROUP_SPACE]);
    em_modifier order = (em_modifier)instruction->modifier[EM_GROUP_SEM], vector = (em_modifier)instruction->modifier[EM_GROUP_VEC];
    uint32_t bits = em_type_bits((em_type)instruction->type[0]);
    uint32_t wide = vector == EM_MOD_V8 ? 8 : vector == EM_MOD_V4 ? 4 : vector == EM_MOD_V2 ? 2 : 1;
    if (store && space == EM_SPACE_CONST) return wrong(module, instruction, "State space .const cannot be written");
    if (store && (order == EM_MOD_ACQUIRE || order == EM_MOD_ACQ_REL)) return wrong(module, instruction, "Illegal memory order");
    if (!store && (order == EM_MOD_RELEASE || order == EM_MOD_ACQ_REL)) return wrong(module, instruction, "Illegal memory order");
    if (order > EM_MOD_WEAK && (space == EM_SPACE_CONST || space == EM_SPACE_PARAM || (order > EM_MOD_VOLATILE && space == EM_SPACE_LOCAL))) {
        return wrong(module, instruction, "Illegal state space");
    }
    if (bits == 128 && (module->target < 70 || module->version < 83)) return wrong(module, instruction, "Target sm_70 and PTX 8.3 required for .b128");
    if (bits * wide > 128 && (module->target < 100 || module->version < 88 || bits * wide > 256 || bits < 32 || (space && space != EM_SPACE_GLOBAL))) {
        return wrong(module, instruction, "Vector is too wide");
    }
    const em_operand *policy = instruction->operand_count > 2 ? &instruction->operands[2] : NULL;
    bool hinted = policy && policy->kind == EM_OPERAND_REGISTER && em_type_bits((em_type)policy->type) == 64;
    if (em_has(instruction, EM_MOD_CACHE_HINT) ? !hinted : policy && policy->kind != EM_OPERAND_NONE) return wrong(module, instruction, "Arguments mismatch");
    const em_operand *address = &instruction->operands[store ? 0 : 1];
    if (space != EM_SPACE_PARAM) return true;
    const em_variable *variable = address->base == EM_OPERAND_VARIABLE ? address->variable : NULL;
    if (store && function->entry && variable && variable->formal == false) {
        for (uint32_t k = 0; k < function->prototype.formal_count; k++) {
            if (function->prototype.formals[k] == variable) return wrong(module, instruction, "Kernel parameters cannot be written");
        }
    }
    if (!variable && !function->entry) return wrong(module, instruction, "Parameter name expected as address");
    return true;
}

static bool is_constant(const em_operand *operand) {
    return operand->kind == EM_OPERAND_INTEGER || operand->kind == EM_OPERAND_FLOAT || operand->kind == EM_OPERAND_FLOAT32;
}

static bool vector_move(em_module *module, const em_instruction *instruction, const em_operand *vector, const em_operand *scalar) {
    em_type type = (em_type)instruction->type[0];
    uint32_t bits = em_type_bits(type);
    if (em_type_class(type) != EM_CLASS_BITS || vector->count < 2 || bits % vector->count) return wrong(module, instruction, "Arguments mismatch");
    for (uint32_t k = 0; k < vector->count; k++) {
        const em_operand *element = &vector->elements[k];
        if (element->kind == EM_OPERAND_SINK || (is_constant(element) && vector == &instruction->operands[1])) continue;
        if (element->kind != EM_OPERAND_REGISTER || em_type_bits((em_type)element->type) != bits / vector->count) return wrong(module, instruction, "Arguments mismatch");
    }
    if (scalar->kind != EM_OPERAND_REGISTER || !em_types_fit((em_type)scalar->type, type)) return wrong(module, instruction, "Arguments mismatch");
    return true;
}

static bool move(em_module *module, const em_instruction *instruction) {
    const em_operand *to = &instruction->operands[0], *from = &instruction->operands[1];
    em_type type = (em_type)instruction->type[0];
    if (to->kind == EM_OPERAND_VECTOR && from->kind == EM_OPERAND_VECTOR) return wrong(module, instruction, "Arguments mismatch");
    if (to->kind == EM_OPERAND_VECTOR) return vector_move(module, instruction, to, from);
    if (from->kind == EM_OPERAND_VECTOR) return vector_move(module, instruction, from, to);
    bool good = to->kind == EM_OPERAND_REGISTER && !to->negated && em_types_fit((em_type)to->type, type);
    bool integer = em_type_class(type) != EM_CLASS_FLOAT && type != EM_PRED;
    switch ((em_operand_kind)from->kind) {
    case EM_OPERAND_REGISTER: good &= (!from->negated || type == EM_PRED) && em_types_fit((em_type)from->type, type); break;
    case EM_OPERAND_SPECIAL: good &= integer && (em_type_bits(type) == em_special_bits(from->special) || em_type_bits(type) == 16); break;
    case EM_OPERAND_VARIABLE:
        if (from->variable->space == EM_SPACE_PARAM && !from->variable->listed) return wrong(module, instruction, "Illegal to take address of parameter");
        good &= integer && (em_type_bits(type) == 64 || (em_type_bits(type) == 32 && from->variable->space != EM_SPACE_GLOBAL)); break;
    case EM_OPERAND_FUNCTION: good &= integer && em_type_bits(type) == 64; break;
    case EM_OPERAND_INTEGER: good &= em_type_class(type) != EM_CLASS_FLOAT || type == EM_F16 || type == EM_BF16 || type == EM_F16X2 || type == EM_BF16X2; break;
    case EM_OPERAND_FLOAT32: good &= type == EM_F32 || type == EM_B32 || type == EM_F64; break;
    case EM_OPERAND_FLOAT: good &= type == EM_F64 || type == EM_F32 || type == EM_B64; break;
    default: good = false;
    }
    return good || wrong(module, instruction, "Arguments mismatch");
}

static bool registers_of(const em_operand *operand, uint32_t count, em_type type, bool target) {
    if (operand->kind != EM_OPERAND_VECTOR || operand->count != count) return false;
    for (uint32_t k = 0; k < count; k++) {
        const em_operand *element = &operand->elements[k];
        if (element->kind == EM_OPERAND_INTEGER || element->kind == EM_OPERAND_FLOAT32) {
            if (target) return false;
        } else if (element->kind != EM_OPERAND_REGISTER || !em_types_fit((em_type)element->type, type)) {
            return false;
        }
    }
    return true;
}

/* The shapes of mma.sync that are executed, with the 32-bit registers of D (and C), A, B. */
static const struct { em_modifier shape; em_type d, a; uint8_t registers[3]; uint16_t ptx, sm; } shapes[] = {
    {EM_MOD_M16N8K8, EM_F32, EM_F16, {4, 2, 1}, 65, 75},   {EM_MOD_M16N8K8, EM_F16, EM_F16, {2, 2, 1}, 65, 75},
    {EM_MOD_M16N8K16, EM_F32, EM_F16, {4, 4, 2}, 70, 80},  {EM_MOD_M16N8K16, EM_F16, EM_F16, {2, 4, 2}, 70, 80},
    {EM_MOD_M16N8K8, EM_F32, EM_BF16, {4, 2, 1}, 70, 80},  {EM_MOD_M16N8K16, EM_F32, EM_BF16, {4, 4, 2}, 70, 80},
    {EM_MOD_M16N8K4, EM_F32, EM_TF32, {4, 2, 1}, 70, 80},  {EM_MOD_M16N8K8, EM_F32, EM_TF32, {4, 4, 2}, 70, 80},
    {EM_MOD_M8N8K16, EM_S32, EM_S8, {2, 1, 1}, 65, 75},    {EM_MOD_M8N8K16, EM_S32, EM_U8, {2, 1, 1}, 65, 75},
    {EM_MOD_M16N8K16, EM_S32, EM_S8, {4, 2, 1}, 70, 80},   {EM_MOD_M16N8K16, EM_S32, EM_U8, {4, 2, 1}, 70, 80},
    {EM_MOD_M16N8K32, EM_S32, EM_S8, {4, 4, 2}, 70, 80},   {EM_MOD_M16N8K32, EM_S32, EM_U8, {4, 4, 2}, 70, 80},
    {EM_MOD_M8N8K4, EM_F64, EM_F64, {2, 1, 1}, 70, 80},
};

static bool matrix(em_module *module, const em_instruction *instruction) {
    const uint8_t *type = instruction->type;
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
        if (instruction->modifier[EM_GROUP_SHAPE] != shapes[k].shape || type[0] != shapes[k].d || type[1] != shapes[k].a) continue;
        bool bytes = type[1] == EM_S8 || type[1] == EM_U8;
        if (type[3] != type[0] || (em_has(instruction, EM_MOD_SATFINITE) && type[0] != EM_S32)) break;
        if (bytes ? type[2] != EM_S8 && type[2] != EM_U8 : type[2] != type[1]) break;
        if (module->version < shapes[k].ptx || module->target < shapes[k].sm) return wrong(module, instruction, "Newer .version or .target required");
        em_type ab = type[1] == EM_F64 ? EM_F64 : EM_B32;
        em_type d = type[0] == EM_F16 ? EM_B32 : (em_type)type[0], c = type[3] == EM_F16 ? EM_B32 : (em_type)type[3];
        uint32_t d_count = shapes[k].registers[0], c_count = d_count;
        bool good = registers_of(&instruction->operands[0], d_count, d, true) && registers_of(&instruction->operands[1], shapes[k].registers[1], ab, false) &&
            registers_of(&instruction->operands[2], shapes[k].registers[2], ab, false) && registers_of(&instruction->operands[3], c_count, c, false);
        return good || wrong(module, instruction, "Arguments mismatch");
    }
    return wrong(module, instruction, "Illegal combination of shape and types");
}

static uint32_t matrices(const em_instruction *instruction) {
    em_modifier number = (em_modifier)instruction->modifier[EM_GROUP_NUM];
    return number == EM_MOD_X4 ? 4 : number == EM_MOD_X2 ? 2 : 1;
}

static bool one_value(const em_operand *operand, em_type type) {
    if (operand->kind == EM_OPERAND_REGISTER) return em_type_bits((em_type)operand->type) >= em_type_bits(type) || operand->type == EM_PRED;
    return is_constant(operand) || operand->kind == EM_OPERAND_VARIABLE || operand->kind == EM_OPERAND_SPECIAL;
}

static bool argument_fits(const em_operand *operand, const em_variable *formal, bool result) {
    if (operand->kind == EM_OPERAND_SINK) return result;
    if (operand->kind == EM_OPERAND_VARIABLE && operand->variable->space == EM_SPACE_PARAM) {
        return formal->space == EM_SPACE_PARAM && (formal->unsized || operand->variable->size == formal->size);
    }
    if (operand->kind == EM_OPERAND_REGISTER) {
        return formal->type == EM_PRED ? operand->type == EM_PRED : em_type_bits((em_type)operand->type) == formal->size * 8;
    }
    return !result && is_constant(operand) && formal->size <= 8;
}

static bool arguments_fit(const em_call *call, const em_prototype *prototype) {
    if (call->result_count != prototype->result_count) return false;
    bool variadic = prototype->formal_count && prototype->formals[prototype->formal_count - 1]->unsized;
    if (call->argument_count != prototype->formal_count && !(variadic && call->argument_count + 1 >= prototype->formal_count)) return false;
    for (uint32_t k = 0; k < call->result_count; k++) {
        if (!argument_fits(&call->results[k], prototype->results[k], true)) return false;
    }
    for (uint32_t k = 0; k < prototype->formal_count && k < call->argument_count; k++) {
        if (!argument_fits(&call->arguments[k], prototype->formals[k], false)) return false;
    }
    return true;
}

static bool call_fits(em_module *module, const em_instruction *instruction) {
    const em_call *call = instruction->call;
    if (!call) return wrong(module, instruction, "Arguments mismatch");
    if (call->target.kind == EM_OPERAND_REGISTER) {
        if (em_type_bits((em_type)call->target.type) != 64) return wrong(module, instruction, "Arguments mismatch");
        if (call->prototype && !call->prototype->defined) return wrong(module, instruction, "Unknown prototype");
        if (!call->prototype) return wrong(module, instruction, "Prototype or call targets required");
        return true;
    }
    if (call->target.kind != EM_OPERAND_FUNCTION || call->target.function->entry) return wrong(module, instruction, "Function name expected");
    if (!arguments_fit(call, &call->target.function->prototype)) return wrong(module, instruction, "Arguments do not match parameters");
    return true;
}

static bool barrier_number(em_module *module, const em_instruction *instruction, const em_operand *number) {
    const em_operand *threads = number + 1;
    bool counted = instruction->operand_count > 2 || instruction->operation == EM_OP_BAR || instruction->operation == EM_OP_BAR_ARRIVE;
    if (counted && threads->kind == EM_OPERAND_INTEGER && threads->value % 32) return wrong(module, instruction, "Number of threads must be a multiple of the warp size");
    if (instruction->operation == EM_OP_BAR_RED && instruction->modifier[EM_GROUP_BOOL] == EM_MOD_XOR) return wrong(module, instruction, "Illegal reduction operation");
    if (number->kind != EM_OPERAND_INTEGER || (number->value >= 0 && number->value < 16)) return true;
    em_error(module, instruction->line, "Barrier number '%lld' out of range, expected to be in range [0..15]", (long long)number->value);
    return false;
}

bool em_check_meaning(em_module *module, em_function *function, em_instruction *instruction) {
    const em_operand *operands = instruction->operands;
    const uint8_t *type = instruction->type;
    switch ((em_operation)instruction->operation) {
    case EM_OP_SET: return compare(module, instruction, (em_type)type[1]);
    case EM_OP_SETP:
        if (operands[0].kind == EM_OPERAND_SINK && operands[1].kind != EM_OPERAND_REGISTER) return wrong(module, instruction, "Arguments mismatch");
        return compare(module, instruction, (em_type)type[0]);
    case EM_OP_CVT: return convert(module, instruction);
    case EM_OP_MOV: return move(module, instruction);
    case EM_OP_ATOM: return atomic(module, instruction, false);
    case EM_OP_RED: return atomic(module, instruction, true);
    case EM_OP_LD:
    case EM_OP_ST: return access(module, function, instruction);
    case EM_OP_MMA: return matrix(module, instruction);
    case EM_OP_LDMATRIX:
        if (em_space_of(instruction->modifier[EM_GROUP_SPACE]) != EM_SPACE_SHARED && instruction->modifier[EM_GROUP_SPACE]) return wrong(module, instruction, "State space incorrect");
        if (instruction->modifier[EM_GROUP_SHAPE] != EM_MOD_M8N8 || !registers_of(&operands[0], matrices(instruction), EM_B32, true)) return wrong(module, instruction, "Arguments mismatch");
        return true;
    case EM_OP_STMATRIX:
        if (em_space_of(instruction->modifier[EM_GROUP_SPACE]) != EM_SPACE_SHARED && instruction->modifier[EM_GROUP_SPACE]) return wrong(module, instruction, "State space incorrect");
        if (instruction->modifier[EM_GROUP_SHAPE] != EM_MOD_M8N8 || !registers_of(&operands[1], matrices(instruction), EM_B32, false)) return wrong(module, instruction, "Arguments mismatch");
        return true;
    case EM_OP_CVTA:
        if (!one_value(&operands[1], (em_type)type[0])) return wrong(module, instruction, "Arguments mismatch");
        if (operands[1].kind == EM_OPERAND_VARIABLE && operands[1].variable->space != em_space_of(instruction->modifier[EM_GROUP_SPACE])) return wrong(module, instruction, "Arguments mismatch");
        return true;
    case EM_OP_BRA:
        if (operands[0].kind != EM_OPERAND_LABEL) return wrong(module, instruction, "Label expected as argument 0");
        return true;
    case EM_OP_BRX:
        if (operands[1].kind != EM_OPERAND_LABEL) return wrong(module, instruction, "Label expected as argument 1");
        if (!operands[1].label->defined) return wrong(module, instruction, "List of .branchtargets must come first");
        return true;
    case EM_OP_CALL: return call_fits(module, instruction);
    case EM_OP_LOP3:
    case EM_OP_ISSPACEP: {
        em_class class = em_type_class((em_type)operands[1].type);
        bool integer = class == EM_CLASS_BITS || class == EM_CLASS_UNSIGNED || class == EM_CLASS_SIGNED;
        if (operands[1].kind == EM_OPERAND_VARIABLE || (operands[1].kind == EM_OPERAND_REGISTER && integer && em_type_bits((em_type)operands[1].type) >= 32)) return true;
        return wrong(module, instruction, "Arguments mismatch");
    }
    case EM_OP_ELECT:
        if (operands[1].kind == EM_OPERAND_NONE) return wrong(module, instruction, "Predicate output expected");
        return true;
    case EM_OP_PREFETCH: {
        em_space space = em_space_of(instruction->modifier[EM_GROUP_SPACE]);
        if (space != EM_GENERIC && space != EM_SPACE_GLOBAL && space != EM_SPACE_LOCAL) return wrong(module, instruction, "State space incorrect");
        return true;
    }
    case EM_OP_BAR:
    case EM_OP_BAR_ARRIVE: return barrier_number(module, instruction, &operands[0]);
    case EM_OP_BAR_POPC:
    case EM_OP_BAR_RED: {
        const em_operand *last = &operands[instruction->operand_count - 1];
        if (last->kind != EM_OPERAND_REGISTER || last->type != EM_PRED) return wrong(module, instruction, "Arguments mismatch");
        return barrier_number(module, instruction, &operands[1]);
    }
    case EM_OP_CP_ASYNC: {
        int64_t size = operands[2].kind == EM_OPERAND_INTEGER ? operands[2].value : 0;
        if (em_space_of(instruction->modifier[EM_GROUP_SPACE]) != EM_SPACE_SHARED || instruction->space2 != EM_MOD_GLOBAL) return wrong(module, instruction, "Illegal state space");
        bool all = instruction->modifier[EM_GROUP_COP] == EM_MOD_CG;
        if (size != 16 && (all || (size != 4 && size != 8))) return wrong(module, instruction, "Illegal copy size");
        return true;
    }
    default: return true;
    }
}

static em_label *resolve(em_label *label) {
    while (label->same) label = label->same;
    return label;
}

bool em_check_function(em_module *module, em_function *function) {
    bool good = true;
    for (uint32_t k = 0; k < function->count; k++) {
        em_instruction *instruction = &function->code[k];
        if (!instruction->row) continue;
        if (instruction->operation == EM_OP_BRA) {
            instruction->operands[0].label = resolve(instruction->operands[0].label);
            if (instruction->operands[0].label->targets || instruction->operands[0].label->prototype) good = wrong(module, instruction, "Label expected as argument 0");
        } else if (instruction->operation == EM_OP_BRX) {
            em_label *list = instruction->operands[1].label = resolve(instruction->operands[1].label);
            if (!list->targets) good = wrong(module, instruction, "List of .branchtargets expected");
            for (uint32_t t = 0; t < list->target_count; t++) list->targets[t].label = resolve(list->targets[t].label);
        } else if (instruction->operation == EM_OP_CALL && instruction->call->prototype) {
            em_label *label = instruction->call->prototype = resolve(instruction->call->prototype);
            if (!label->prototype && !label->targets) good = wrong(module, instruction, "Prototype or call targets expected");
            else if (label->prototype && !arguments_fit(instruction->call, label->prototype)) good = wrong(module, instruction, "Arguments do not match parameters");
        }
    }
    return good;
}
