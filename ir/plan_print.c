/* A plan as text, for people and golden tests. */
#include "ir/plan.h"

#include <inttypes.h>

static const char *const names[] = {
#define PLAN(ENUM, name, operands) name,
#include "ir/plan.def"
#undef PLAN
};

static void operands(const qn__plan *plan, const qn__plan_step *step, uint32_t from, uint32_t to, qn__text *out) {
    for (uint32_t i = from; i < to && i < step->operand_count; i++)
        qn__text_format(out, "%ss%u", i == from ? " " : ", ", plan->operands[step->operand_first + i]);
}

static void launch(const qn__plan *plan, const qn__plan_step *step, qn__text *out) {
    static const char letters[] = {'s', '#', '~'};
    const qn__plan_entry *entry = &plan->entries[step->imm];
    qn__text_format(out, " %s [", entry->symbol);
    operands(plan, step, 0, 3, out);
    qn__text_add_string(out, " ] (");
    for (uint32_t i = 3; i < step->operand_count; i++) {
        uint8_t kind = entry->arguments[i - 3];
        qn__text_format(out, "%s%c%u", i == 3 ? "" : ", ", kind < sizeof letters ? letters[kind] : '?', plan->operands[step->operand_first + i]);
    }
    qn__text_add_char(out, ')');
}

static void print_step(const qn__plan *plan, const qn__plan_step *step, qn__text *out) {
    switch ((qn__plan_op)step->op) {
    case QN__PLAN_CONST: qn__text_format(out, " s%u = 0x%" PRIx64, step->target, step->imm); return;
    case QN__PLAN_PARAM: case QN__PLAN_SIZE: qn__text_format(out, " s%u = %" PRIu64, step->target, step->imm); return;
    case QN__PLAN_EVAL:
        qn__text_format(out, " s%u = %s %s", step->target, qn__op_table[step->aux].name, qn__type_table[step->type].name);
        if (step->type != step->result_type) qn__text_format(out, " -> %s", qn__type_table[step->result_type].name);
        operands(plan, step, 0, step->operand_count, out);
        return;
    case QN__PLAN_MOVE: qn__text_format(out, " s%u =", step->target); operands(plan, step, 0, 1, out); return;
    case QN__PLAN_READ: qn__text_format(out, " s%u = d%" PRIu64, step->target, step->imm); return;
    case QN__PLAN_WRITE: qn__text_format(out, " d%" PRIu64 " =", step->imm); operands(plan, step, 0, 1, out); return;
    case QN__PLAN_JUMP: qn__text_format(out, " %u", step->target); return;
    case QN__PLAN_UNLESS: operands(plan, step, 0, 1, out); qn__text_format(out, " -> %u", step->target); return;
    case QN__PLAN_CHECK: qn__text_format(out, " kind %u", step->aux); operands(plan, step, 0, 3, out); return;
    case QN__PLAN_ALLOC: qn__text_format(out, " #%" PRIu64 " [", step->imm); operands(plan, step, 0, step->operand_count, out); qn__text_add_string(out, " ]"); return;
    case QN__PLAN_SCRATCH: qn__text_format(out, " ~%" PRIu64, step->imm); operands(plan, step, 0, 1, out); return;
    case QN__PLAN_SWAP: qn__text_format(out, " #%" PRIu64 ", #%u", step->imm, step->target); return;
    case QN__PLAN_LAUNCH: launch(plan, step, out); return;
    case QN__PLAN_POLL: case QN__PLAN_END: case QN__PLAN_COUNT: return;
    }
}

void qn__plan_print(const qn__plan *plan, const char *prefix, qn__text *out) {
    qn__text_format(out, "%splan: %u slots, %u device slots, %u scratch buffers\n", prefix, plan->slot_count, plan->device_slot_count, plan->scratch_count);
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        const qn__plan_entry *entry = &plan->entries[i];
        qn__text_format(out, "%sentry %s block %u %u %u", prefix, entry->symbol, entry->block[0], entry->block[1], entry->block[2]);
        if (entry->per_thread > 1) qn__text_format(out, " per thread %u", entry->per_thread);
        if (entry->fixed_grid) qn__text_format(out, " blocks %u", entry->fixed_grid);
        qn__text_add_char(out, '\n');
    }
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const qn__plan_step *step = &plan->steps[i];
        qn__text_format(out, "%s%4u %s", prefix, i, step->op < QN__PLAN_COUNT ? names[step->op] : "?");
        print_step(plan, step, out);
        qn__text_add_char(out, '\n');
    }
}
