/* reduce at kernel level. */
#include "compiler/llvm/gpu_internal.h"

void qn__gpu_in_order(qn__gpu *g, const qn__instr *instr) {
    qn__unit unit;
    qn__unit_begin(g, &unit, instr->op == QN__OP_REDUCE ? "reduce_in_order" : "scan_in_order", instr->location, 1, 1, 1);
    unit.fixed_grid = 1;
    qn__unit_instr(g, &unit, instr);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_ORDERED);
    if (!symbol) return;
    qn__emit_instr(g->e, instr);
    for (uint32_t i = 0; i < instr->result_count; i++) {
        qn__value v = instr->first_result + i;
        qn__write_slot(g, v, g->e->values[v], qn__level_device(g, v));
    }
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    qn__plan_launch(g, &unit, symbol, one, one, one);
}

void qn__gpu_reduce(qn__gpu *g, const qn__instr *instr) { qn__gpu_in_order(g, instr); }
