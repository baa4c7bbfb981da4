/* Branches, calls, barriers and what a warp does together, as steps. */
#include "emulator/translate.h"

#include <stdlib.h>
#include <string.h>

static bool branch(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    uint32_t index = (uint32_t)(i - t->function->code);
    if (i->operation == EM_OP_BRA) {
        em_step *step = em_step_add(t, em_run_branch);
        step->target = i->operands[0].label->instruction;
        step->join = t->joins[index];
        return true;
    }
    const em_label *label = i->operands[1].label;
    uint32_t *list = calloc(label->target_count ? label->target_count : 1, sizeof *list);
    if (!list) return !(t->failed = true);
    for (uint32_t k = 0; k < label->target_count; k++) list[k] = label->targets[k].label->instruction;
    em_step *step = em_step_add(t, em_run_indexed);
    step->a = offsets[0];
    step->join = t->joins[index];
    step->list = list;
    step->list_count = label->target_count;
    return true;
}

/* For each argument, then each result: where it lies here (EM_PASS_*) and how many bytes it has. */
static void passed(em_translation *t, const em_operand *operand, const em_variable *formal, uint32_t *entry) {
    em_type type = formal ? (em_type)formal->type : EM_B64;
    if (operand->kind == EM_OPERAND_VARIABLE && operand->variable->space == EM_SPACE_PARAM) {
        entry[0] = EM_PASS_MEMORY;
        entry[1] = (uint32_t)operand->variable->address;
        entry[2] = (uint32_t)operand->variable->size;
    } else if (operand->kind == EM_OPERAND_SINK) {
        entry[0] = EM_PASS_NOTHING;
    } else if (operand->kind == EM_OPERAND_REGISTER && operand->type == EM_PRED) {
        entry[0] = EM_PASS_PREDICATE;
        entry[1] = em_register_offset(t, operand->reg);
    } else {
        entry[0] = EM_PASS_REGISTER;
        entry[1] = em_source_offset(t, operand, type);
        entry[2] = operand->kind == EM_OPERAND_REGISTER ? em_register_bytes((em_type)operand->type) : em_register_bytes(type);
    }
}

static bool call(em_translation *t, const em_instruction *i) {
    const em_call *call = i->call;
    const em_prototype *prototype = call->target.kind == EM_OPERAND_FUNCTION ? &call->target.function->prototype : call->prototype->prototype;
    uint32_t count = call->argument_count + call->result_count;
    uint32_t *list = calloc((size_t)count * 3 + 1, sizeof *list);
    if (!list) return !(t->failed = true);
    for (uint32_t k = 0; k < call->argument_count; k++) {
        passed(t, &call->arguments[k], prototype && k < prototype->formal_count ? prototype->formals[k] : NULL, list + k * 3);
    }
    for (uint32_t k = 0; k < call->result_count; k++) {
        passed(t, &call->results[k], prototype && k < prototype->result_count ? prototype->results[k] : NULL, list + (call->argument_count + k) * 3);
    }
    uint32_t target = call->target.kind == EM_OPERAND_REGISTER ? em_register_offset(t, call->target.reg) : 0;
    em_step *step = em_step_add(t, em_run_call);
    step->list = list;
    step->list_count = count;
    step->a = target;
    return true;
}

static bool barrier(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    bool reduces = i->operation == EM_OP_BAR_POPC || i->operation == EM_OP_BAR_RED;
    uint32_t threads = 0, predicate = 0;
    bool counted = false, negated = false;
    if (reduces) {
        const em_operand *last = &i->operands[i->operand_count - 1];
        predicate = em_source_offset(t, last, EM_PRED);
        negated = last->negated;
        counted = i->operand_count == 4;
        if (counted) threads = em_source_offset(t, &i->operands[2], EM_B32);
    } else {
        counted = i->operand_count > 1 && i->operands[1].kind != EM_OPERAND_NONE;
        threads = offsets[1];
    }
    em_step *step = em_step_add(t, em_run_barrier);
    step->d = reduces ? offsets[0] : 0;
    step->a = reduces ? offsets[1] : offsets[0];
    step->b = threads;
    step->count = counted;
    step->c = predicate;
    step->imm = negated ? EM_ALL : 0;
    step->mode = i->operation == EM_OP_BAR_POPC ? EM_MOD_POPC : i->modifier[EM_GROUP_BOOL];
    step->flags = em_has(i, EM_MOD_ALIGNED) || !strcmp(i->row->mnemonic, "bar") ? EM_FLAG_ALIGNED : 0;
    return true;
}

/* A collective: a, b, c are what each lane brings, e its member mask, d and list[0] where the results go. */
static bool collective(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    uint32_t predicate = 0, place[5] = {0}; /* d, a, b, c, e */
    switch ((em_operation)i->operation) {
    case EM_OP_SHFL: place[0] = offsets[0], predicate = offsets[1], place[1] = offsets[2], place[2] = offsets[3], place[3] = offsets[4], place[4] = offsets[5]; break;
    case EM_OP_MATCH_ALL: place[0] = offsets[0], predicate = offsets[1], place[1] = offsets[2], place[4] = offsets[3]; break;
    case EM_OP_ELECT: place[0] = offsets[0], predicate = offsets[1], place[4] = offsets[2]; break;
    case EM_OP_BAR_WARP: place[4] = offsets[0]; break;
    case EM_OP_MOVMATRIX: place[0] = offsets[0], place[1] = offsets[1], place[4] = em_constant_offset(t, EM_ALL, 4); break;
    default: place[0] = offsets[0], place[1] = offsets[1], place[4] = offsets[2]; break;
    }
    uint32_t *list = calloc(1, sizeof *list);
    if (!list) return !(t->failed = true);
    list[0] = predicate;
    if (i->operation == EM_OP_ELECT && i->operands[0].kind == EM_OPERAND_SINK) place[0] = em_place(t, 4);
    em_step *step = em_step_add(t, em_run_collective);
    step->d = place[0], step->a = place[1], step->b = place[2], step->c = place[3], step->e = place[4];
    step->list = list;
    step->list_count = 1;
    step->bytes = (uint8_t)em_register_bytes((em_type)i->type[0]);
    if (i->operation == EM_OP_VOTE && i->operands[1].negated) step->imm = EM_ALL;
    if (i->operation == EM_OP_SHFL) step->mode = i->modifier[EM_GROUP_SHUFFLE];
    else step->mode = i->modifier[EM_GROUP_BOOL] ? i->modifier[EM_GROUP_BOOL] : i->modifier[EM_GROUP_AOP];
    return true;
}

bool em_translate_control(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    em_step *step;
    switch ((em_operation)i->operation) {
    case EM_OP_BRA:
    case EM_OP_BRX: return branch(t, i, offsets);
    case EM_OP_CALL: return call(t, i);
    case EM_OP_RET: em_step_add(t, em_run_return); return true;
    case EM_OP_EXIT: em_step_add(t, em_run_exit); return true;
    case EM_OP_TRAP:
    case EM_OP_BRKPT: em_step_add(t, em_run_trap); return true;
    case EM_OP_NOP:
    case EM_OP_NANOSLEEP: em_step_add(t, em_run_nothing); return true;
    case EM_OP_BAR:
    case EM_OP_BAR_ARRIVE:
    case EM_OP_BAR_POPC:
    case EM_OP_BAR_RED: return barrier(t, i, offsets);
    case EM_OP_ACTIVEMASK:
        step = em_step_add(t, em_run_special);
        step->d = offsets[0];
        step->d_bytes = 4;
        step->mode = EM_SPECIAL_COUNT + 1;
        return true;
    default: return collective(t, i, offsets);
    }
}
