/* keep: one pass counts, the host reads the number and allocates, another pass fills. */
#include "compiler/llvm/gpu_internal.h"

static void one_pass(qn__gpu *g, const qn__instr *instr, bool counting, uint32_t total) {
    qn__unit unit;
    qn__emitter *e = g->e;
    qn__unit_begin(g, &unit, counting ? "count" : "fill", instr->location, 1, 1, 1);
    unit.fixed_grid = 1;
    qn__unit_instr(g, &unit, instr);
    for (uint32_t i = 0; i < instr->list_count && !counting; i++) qn__unit_array(g, &unit, instr->list[i], true);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_ORDERED);
    if (!symbol) return;
    e->keep = instr;
    e->counting = counting;
    e->pushed = l_alloca(e, e->i64);
    l_store(e, l_i64(e, 0), e->pushed);
    qn__gpu_box(g, instr);
    if (counting) l_store(e, l_load(e, e->i64, e->pushed), qn__device_slot(g, total));
    e->keep = NULL;
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    qn__plan_launch(g, &unit, symbol, one, one, one);
}

void qn__gpu_keep(qn__gpu *g, const qn__instr *instr) {
    uint32_t total = g->device_slot_count++, count = qn__level_host(g, instr->first_result);
    one_pass(g, instr, true, total);
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_READ, .target = count, .imm = total}, NULL, 0);
    for (uint32_t i = 0; i < instr->list_count; i++)
        qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_ALLOC, .imm = instr->list[i], .location = instr->location}, &count, 1);
    one_pass(g, instr, false, total);
}
