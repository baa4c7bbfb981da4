/* The tables of a plan while it is made. Constants, parameters and sizes go to the head, which runs before all other steps, so that they are known whatever
 * branches are taken; targets count from the end of the head until qn__plan_finish moves them. */
#include "compiler/llvm/gpu_internal.h"

#include "ir/eval.h"

#include <string.h>

void *qn__grow(qn__gpu *g, qn__growing *table, size_t size) {
    if (table->count == table->capacity) {
        uint32_t capacity = table->capacity ? 2 * table->capacity : 16;
        void *items = qn__arena_array(g->arena, capacity, size);
        if (!items) {
            qn__fail(g->e, "out of memory");
            return NULL;
        }
        if (table->count) memcpy(items, table->items, table->count * size);
        table->items = items;
        table->capacity = capacity;
    }
    void *item = (char *)table->items + table->count++ * size;
    memset(item, 0, size);
    return item;
}

uint32_t qn__plan_slot(qn__gpu *g) { return g->slot_count++; }
uint32_t qn__plan_scratch(qn__gpu *g) { return g->scratch_count++; }
uint32_t qn__plan_here(qn__gpu *g) { return g->joined = g->steps.count; } /* others jump here */

static void add(qn__gpu *g, qn__growing *list, qn__plan_step step, const uint32_t *operands, uint32_t count) {
    step.operand_first = g->operands.count;
    step.operand_count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *operand = QN__GROW(g, &g->operands, uint32_t);
        if (operand) *operand = operands[i];
    }
    qn__plan_step *place = QN__GROW(g, list, qn__plan_step);
    if (place) *place = step;
}

uint32_t qn__plan_add(qn__gpu *g, qn__plan_step step, const uint32_t *operands, uint32_t count) {
    add(g, &g->steps, step, operands, count);
    return g->steps.count ? g->steps.count - 1 : 0;
}

void qn__plan_target(qn__gpu *g, uint32_t step) {
    g->joined = g->steps.count;
    if (step < g->steps.count) ((qn__plan_step *)g->steps.items)[step].target = g->steps.count;
}

/* One slot for equal constants, parameters and sizes. */
static uint32_t head(qn__gpu *g, qn__plan_op op, uint64_t imm) {
    const qn__plan_step *steps = g->head.items;
    for (uint32_t i = 0; i < g->head.count; i++)
        if (steps[i].op == op && steps[i].imm == imm) return steps[i].target;
    uint32_t slot = qn__plan_slot(g);
    add(g, &g->head, (qn__plan_step){.op = (uint8_t)op, .target = slot, .imm = imm}, NULL, 0);
    return slot;
}

uint32_t qn__plan_constant(qn__gpu *g, uint64_t bits) { return head(g, QN__PLAN_CONST, bits); }
uint32_t qn__plan_parameter(qn__gpu *g, uint64_t number) { return head(g, QN__PLAN_PARAM, number); }
uint32_t qn__plan_size(qn__gpu *g, uint64_t number) { return head(g, QN__PLAN_SIZE, number); }

/* The slot of an equal evaluation a short way back, with nothing between that may skip it or change a slot. */
static uint32_t evaluated(const qn__gpu *g, qn__op op, qn__type type, qn__type result, const uint32_t *operands, uint32_t count) {
    const qn__plan_step *steps = g->steps.items;
    for (uint32_t i = g->steps.count; i-- > g->joined;) {
        const qn__plan_step *s = &steps[i];
        if (s->op == QN__PLAN_MOVE || s->op == QN__PLAN_READ || s->op == QN__PLAN_JUMP) break;
        if (s->op != QN__PLAN_EVAL || s->aux != op || s->type != type || s->result_type != result || s->operand_count != count) continue;
        if (memcmp((const uint32_t *)g->operands.items + s->operand_first, operands, count * sizeof *operands) == 0) return s->target;
    }
    return QN__NO_SLOT;
}

bool qn__plan_known(const qn__gpu *g, uint32_t slot, uint64_t *bits) {
    const qn__plan_step *steps = g->head.items;
    for (uint32_t i = 0; i < g->head.count; i++)
        if (steps[i].op == QN__PLAN_CONST && steps[i].target == slot) return *bits = steps[i].imm, true;
    return false;
}

uint32_t qn__plan_eval(qn__gpu *g, qn__op op, qn__type type, qn__type result, const uint32_t *operands, uint32_t count) {
    uint64_t values[3], bits;
    bool known = count <= 3;
    for (uint32_t i = 0; i < count && known; i++) known = qn__plan_known(g, operands[i], &values[i]);
    if (known && qn__eval(op, type, result, values, &bits)) return qn__plan_constant(g, bits);
    uint32_t slot = evaluated(g, op, type, result, operands, count);
    if (slot != QN__NO_SLOT) return slot;
    slot = qn__plan_slot(g);
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_EVAL, .aux = (uint8_t)op, .type = (uint8_t)type, .result_type = (uint8_t)result, .target = slot}, operands, count);
    return slot;
}

uint32_t qn__plan_binary(qn__gpu *g, qn__op op, uint32_t a, uint32_t b) {
    qn__type result = op >= QN__OP_EQ && op <= QN__OP_GE ? QN__TYPE_BOOL : QN__TYPE_I64;
    return qn__plan_eval(g, op, QN__TYPE_I64, result, (uint32_t[]){a, b}, 2);
}

void qn__plan_size_scratch(qn__gpu *g, uint32_t scratch, uint32_t bytes_slot) {
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_SCRATCH, .imm = scratch}, &bytes_slot, 1);
}

static uint32_t entry(qn__gpu *g, const qn__unit *unit, const char *symbol) {
    uint32_t count = unit->arguments.count;
    uint8_t *kinds = QN__ARENA_ARRAY(g->arena, uint8_t, (size_t)count + 1);
    qn__plan_entry *item = QN__GROW(g, &g->entries, qn__plan_entry);
    if (!kinds || !item) {
        qn__fail(g->e, "out of memory");
        return 0;
    }
    const qn__unit_argument *arguments = unit->arguments.items;
    for (uint32_t i = 0; i < count; i++) kinds[i] = arguments[i].kind;
    *item = (qn__plan_entry){.symbol = symbol, .block = {unit->block[0], unit->block[1], unit->block[2]}, .per_thread = unit->per_thread, .fixed_grid = unit->fixed_grid,
                             .arguments = kinds, .argument_count = count, .location = unit->location};
    return g->entries.count - 1;
}

void qn__plan_launch(qn__gpu *g, const qn__unit *unit, const char *symbol, uint32_t x, uint32_t y, uint32_t z) {
    if (g->e->failed) return;
    uint32_t number = entry(g, unit, symbol), count = unit->arguments.count;
    uint32_t *operands = QN__ARENA_ARRAY(g->e->arena, uint32_t, (size_t)count + 3);
    if (!operands) {
        qn__fail(g->e, "out of memory");
        return;
    }
    operands[0] = x, operands[1] = y, operands[2] = z;
    const qn__unit_argument *arguments = unit->arguments.items;
    for (uint32_t i = 0; i < count; i++) operands[3 + i] = arguments[i].operand;
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_LAUNCH, .imm = number, .location = unit->location}, operands, count + 3);
}

bool qn__plan_finish(qn__gpu *g, qn__plan *plan) {
    uint32_t first = g->head.count, count = first + g->steps.count;
    qn__plan_step *steps = QN__ARENA_ARRAY(g->arena, qn__plan_step, (size_t)count + 1);
    if (!steps) return qn__fail(g->e, "out of memory");
    if (first) memcpy(steps, g->head.items, first * sizeof *steps);
    if (g->steps.count) memcpy(steps + first, g->steps.items, g->steps.count * sizeof *steps);
    for (uint32_t i = first; i < count; i++)
        if (steps[i].op == QN__PLAN_JUMP || steps[i].op == QN__PLAN_UNLESS) steps[i].target += first;
    *plan = (qn__plan){.steps = steps, .step_count = count, .operands = g->operands.items, .operand_count = g->operands.count, .entries = g->entries.items,
                       .entry_count = g->entries.count, .slot_count = g->slot_count, .device_slot_count = g->device_slot_count, .scratch_count = g->scratch_count};
    return !g->e->failed;
}
