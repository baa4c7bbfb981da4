/* Translates a function once: lays out its frame (registers, constants) and makes steps of its instructions. An instruction may need steps
 * before it, that fetch special registers or addresses into temporaries. */
#include "emulator/translate.h"

#include "emulator/flow.h"
#include "emulator/ptx_check.h"

#include <stdlib.h>
#include <string.h>

uint32_t em_register_bytes(em_type type) {
    uint32_t bits = em_type_bits(type);
    return bits <= 1 ? 0 : bits <= 16 ? 2 : bits / 8;
}

uint32_t em_place(em_translation *t, uint32_t bytes) {
    if (bytes == 0) {
        if (t->predicates == t->predicates_end) {
            t->predicates = t->frame;
            t->frame += 64;
            t->predicates_end = t->frame;
        }
        t->predicates += 8;
        return t->predicates - 8;
    }
    uint32_t at = t->frame;
    t->frame += bytes * EM_LANES;
    if (t->frame > 1u << 30) t->failed = t->module->arena.failed = true;
    return at;
}

uint32_t em_register_offset(em_translation *t, uint32_t reg) {
    if (!t->offsets[reg]) t->offsets[reg] = em_place(t, em_register_bytes((em_type)t->function->register_types[reg]));
    return t->offsets[reg];
}

uint32_t em_constant_offset(em_translation *t, uint64_t value, uint32_t bytes) {
    em_code *code = t->code;
    if (bytes < 8) value &= ((uint64_t)1 << bytes * 8) - 1;
    uint32_t look = code->constant_count < 64 ? code->constant_count : 64;
    for (uint32_t k = 1; k <= look; k++) {
        const em_constant *constant = &code->constants[code->constant_count - k];
        if (constant->value == value && constant->bytes == bytes) return constant->offset;
    }
    if (code->constant_count == t->constant_capacity) {
        uint32_t capacity = t->constant_capacity ? t->constant_capacity * 2 : 64;
        em_constant *grown = realloc(code->constants, capacity * sizeof *grown);
        if (!grown) {
            t->failed = true;
            return 0;
        }
        code->constants = grown;
        t->constant_capacity = capacity;
    }
    uint32_t offset = em_place(t, bytes);
    code->constants[code->constant_count++] = (em_constant){offset, (uint8_t)bytes, value};
    return offset;
}

em_step *em_step_add(em_translation *t, em_handler run) {
    em_code *code = t->code;
    if (code->count == t->step_capacity) {
        uint32_t capacity = t->step_capacity ? t->step_capacity * 2 : 64;
        em_step *grown = realloc(code->steps, capacity * sizeof *grown);
        if (!grown) {
            t->failed = true;
            return &t->spare;
        }
        code->steps = grown;
        t->step_capacity = capacity;
    }
    em_step *step = &code->steps[code->count++];
    const em_instruction *i = t->instruction;
    *step = (em_step){.run = run, .instruction = i, .target = EM_NOWHERE, .join = EM_NOWHERE};
    if (i) {
        step->line = i->line;
        step->type = i->type[0];
        step->type2 = i->type[1];
        if (i->guarded) step->guard = em_register_offset(t, i->guard);
        step->flip = i->guard_negated ? EM_ALL : 0;
    }
    return step;
}

uint64_t em_constant_value(const em_operand *operand, em_type type) {
    uint64_t bits = (uint64_t)operand->value;
    if (operand->kind == EM_OPERAND_FLOAT && em_type_bits(type) == 32) {
        double wide;
        memcpy(&wide, &bits, sizeof wide);
        float narrow = (float)wide;
        uint32_t low;
        memcpy(&low, &narrow, sizeof low);
        return low;
    }
    if (operand->kind == EM_OPERAND_FLOAT32 && em_type_bits(type) == 64) {
        uint32_t low = (uint32_t)bits;
        float narrow;
        memcpy(&narrow, &low, sizeof narrow);
        double wide = (double)narrow;
        memcpy(&bits, &wide, sizeof bits);
    }
    return bits;
}

/* Fetches what only the running thread knows: a special register, the address of local, parameter or dynamic shared memory. */
static uint32_t fetched(em_translation *t, const em_operand *operand, em_type type) {
    uint32_t bytes = em_register_bytes(type), d = em_place(t, bytes ? bytes : 4);
    em_step *step = em_step_add(t, em_run_special);
    step->d = d;
    step->d_bytes = (uint8_t)bytes;
    if (operand->kind == EM_OPERAND_SPECIAL) {
        step->mode = (uint8_t)(operand->special + 1);
    } else {
        em_address_set(t, step, operand, operand->variable->space);
    }
    return d;
}

static bool fixed_address(const em_translation *t, const em_variable *variable) {
    if (variable->space == EM_SPACE_GLOBAL || variable->space == EM_SPACE_CONST) return true;
    if (variable->space == EM_SPACE_SHARED) return !variable->unsized;
    return variable->space == EM_SPACE_PARAM && t->function->entry && variable->formal;
}

uint32_t em_source_offset(em_translation *t, const em_operand *operand, em_type type) {
    uint32_t bytes = em_register_bytes(type);
    switch ((em_operand_kind)operand->kind) {
    case EM_OPERAND_REGISTER: return em_register_offset(t, operand->reg);
    case EM_OPERAND_INTEGER:
        if (type == EM_PRED) return operand->value ? EM_FRAME_TRUE : EM_FRAME_FALSE;
        return em_constant_offset(t, (uint64_t)operand->value, bytes);
    case EM_OPERAND_FLOAT:
    case EM_OPERAND_FLOAT32: return em_constant_offset(t, em_constant_value(operand, type), bytes);
    case EM_OPERAND_SPECIAL: return fetched(t, operand, type);
    case EM_OPERAND_VARIABLE:
        if (fixed_address(t, operand->variable)) return em_constant_offset(t, operand->variable->address + (uint64_t)operand->value, bytes);
        return fetched(t, operand, type);
    case EM_OPERAND_FUNCTION: return em_constant_offset(t, (uint64_t)(uintptr_t)operand->function, 8);
    default: return EM_FRAME_SCRATCH;
    }
}

uint32_t em_target_offset(em_translation *t, const em_operand *operand) {
    if (operand->kind == EM_OPERAND_REGISTER) return em_register_offset(t, operand->reg);
    if (!t->trash) t->trash = em_place(t, 16);
    return t->trash;
}

void em_address_set(em_translation *t, em_step *step, const em_operand *operand, em_space space) {
    uint8_t base = operand->kind == EM_OPERAND_ADDRESS ? operand->base : operand->kind;
    size_t index = (size_t)(step - t->code->steps);
    uint64_t offset = (uint64_t)operand->value;
    uint8_t how = EM_BASE_NONE;
    uint32_t reg = 0;
    if (base == EM_OPERAND_REGISTER) {
        reg = em_register_offset(t, operand->reg);
        how = em_type_bits((em_type)operand->type) == 64 ? EM_BASE_64 : EM_BASE_32;
    } else if (base == EM_OPERAND_VARIABLE) {
        const em_variable *variable = operand->variable;
        offset += variable->address;
        if (variable->space == EM_SPACE_SHARED && variable->unsized) how = EM_BASE_DYNAMIC;
        if (variable->space == EM_SPACE_LOCAL || (variable->space == EM_SPACE_PARAM && !(t->function->entry && variable->formal))) {
            how = EM_BASE_FRAME;
            space = EM_SPACE_LOCAL;
        } else if (space == EM_GENERIC) {
            space = variable->space;
        }
    }
    (void)index;
    step->a = reg;
    step->base = how;
    step->imm = offset;
    step->space = (uint8_t)space;
}

/* Offsets and sizes of the variables that live in the thread's local memory. */
static void layout_local(em_function *function, em_code *code) {
    uint64_t offset = 0;
    for (em_variable *v = function->variables; v; v = v->next) {
        if (v->space != EM_SPACE_LOCAL && (v->space != EM_SPACE_PARAM || (function->entry && v->formal))) continue;
        uint64_t align = v->align ? v->align : 1;
        offset = (offset + align - 1) / align * align;
        v->address = offset;
        offset += v->size;
    }
    code->local_bytes = (uint32_t)((offset + 15) / 16 * 16);
}

static void release(em_translation *t) {
    free(t->offsets);
    free(t->first_step);
    free(t->joins);
}

static void free_code(em_code *code) {
    if (!code) return;
    for (uint32_t k = 0; k < code->count; k++) {
        free((void *)(uintptr_t)code->steps[k].list);
        free((void *)(uintptr_t)code->steps[k].inner);
    }
    free(code->steps);
    free(code->constants);
    free(code);
}

void em_translated_free(em_function *function) {
    free_code(function->translated);
    function->translated = NULL;
}

static void formal_offset(em_translation *t, em_variable *formal) {
    if (formal->space == EM_SPACE_REG) formal->frame_offset = em_register_offset(t, (uint32_t)formal->address);
}

/* Branch targets were instructions; now they are steps. */
static void link_targets(em_translation *t) {
    for (uint32_t k = 0; k < t->code->count; k++) {
        em_step *step = &t->code->steps[k];
        if (step->target != EM_NOWHERE) step->target = t->first_step[step->target];
        if (step->join != EM_NOWHERE) step->join = t->first_step[step->join];
        if (step->run == em_run_indexed) {
            uint32_t *list = (uint32_t *)(uintptr_t)step->list;
            for (uint32_t n = 0; n < step->list_count; n++) list[n] = t->first_step[list[n]];
        }
    }
}

bool em_translate(em_module *module, em_function *function) {
    em_translation t = {.module = module, .function = function, .lanes = em_lanes_best(), .frame = EM_FRAME_FREE};
    t.code = calloc(1, sizeof *t.code);
    t.offsets = calloc((size_t)function->register_count + 1, sizeof *t.offsets);
    t.first_step = calloc((size_t)function->count + 1, sizeof *t.first_step);
    t.joins = function->count ? em_flow_joins(function) : NULL;
    bool good = t.code && t.offsets && t.first_step && (t.joins || !function->count);
    if (good) {
        t.code->function = function;
        layout_local(function, t.code);
        for (uint32_t k = 0; k < function->prototype.formal_count; k++) formal_offset(&t, function->prototype.formals[k]);
        for (uint32_t k = 0; k < function->prototype.result_count; k++) formal_offset(&t, function->prototype.results[k]);
        for (uint32_t k = 0; k < function->count && !t.failed; k++) {
            t.first_step[k] = t.code->count;
            t.instruction = &function->code[k];
            em_translate_instruction(&t, t.instruction);
        }
        t.first_step[function->count] = t.code->count;
        t.instruction = NULL;
        em_step_add(&t, em_run_return)->line = function->line;
        if (!t.failed) link_targets(&t);
        t.code->frame_bytes = (t.frame + 63) / 64 * 64;
    }
    good = good && !t.failed;
    release(&t);
    if (good) {
        function->translated = t.code;
    } else {
        free_code(t.code);
        module->arena.failed = true;
    }
    return good;
}
