/* Loads that do not depend on a loop of a point move in front of it. Unlike pure operations they must not be carried out where
 * the loop would not run and the element does not exist: only where the indices are proved to lie inside the array by what
 * is known in front of the loop. Only arrays that the loop does not write. */
#include "ir/ranges.h"

enum { CHAIN = 4 }; /* operations between a load's index and what is outside */

static void mark_written(qn__ranges *r, qn__region_ref region, uint8_t mark) {
    const qn__ir *ir = r->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        bool writes = instr->op == QN__OP_STORE || instr->op == QN__OP_ACCUMULATE;
        if (writes && instr->imm < ir->array_count) r->written[instr->imm] = mark;
        for (uint32_t i = 0; i < instr->region_count; i++) mark_written(r, instr->regions[i], mark);
    }
}

/* Does not depend on the body, or could be computed in front of it. */
static bool is_invariant(const qn__ir *ir, qn__value v, qn__region_ref body, uint32_t chain) {
    if (qn__region_of(ir, v) != body) return true;
    const qn__instr *instr = qn__definition(ir, v);
    if (!instr || !chain || !qn__is_pure(instr)) return false;
    for (uint32_t i = 0; i < instr->arg_count; i++)
        if (!is_invariant(ir, instr->args[i], body, chain - 1)) return false;
    return true;
}

/* Moves the operations behind an invariant value in front of the loop. */
static void carry_out(qn__ranges *r, qn__value v, qn__region_ref body, qn__instr_ref loop) {
    const qn__ir *ir = r->ir;
    if (qn__region_of(ir, v) != body) return;
    qn__instr_ref ref = ir->values[v].instr;
    for (uint32_t i = 0; i < ir->instrs[ref].arg_count; i++) carry_out(r, ir->instrs[ref].args[i], body, loop);
    qn__instr_move_before(r->ir, ref, loop);
    qn__ranges_value(r, ref);
}

static bool is_inside(qn__ranges *r, const qn__instr *load) {
    const qn__array *array = &r->ir->arrays[load->imm];
    for (uint32_t k = 0; k < load->arg_count; k++) {
        if (!array->extent[k]) return false;
        const qn__form *index = qn__ranges_form(r, load->args[k]);
        if (!qn__prove(&r->affine, index) || !qn__prove_at_most(&r->affine, index, 1, qn__ranges_form(r, array->extent[k])))
            return false;
    }
    return true;
}

void qn__ranges_hoist_loads(qn__ranges *r, qn__instr_ref loop) {
    qn__ir *ir = r->ir;
    qn__region_ref body = ir->instrs[loop].regions[0];
    bool marked = false;
    for (qn__instr_ref ref = ir->regions[body].first, next; ref; ref = next) {
        next = ir->instrs[ref].next;
        const qn__instr *load = &ir->instrs[ref];
        if (load->op != QN__OP_LOAD || load->imm >= ir->array_count || load->arg_count > QN__MAX_RANK) continue;
        bool invariant = true;
        for (uint32_t k = 0; k < load->arg_count; k++) invariant &= is_invariant(ir, load->args[k], body, CHAIN);
        if (!invariant) continue;
        if (!marked) mark_written(r, body, 1);
        marked = true;
        if (r->written[load->imm]) continue;
        for (uint32_t k = 0; k < load->arg_count; k++) carry_out(r, load->args[k], body, loop);
        if (is_inside(r, load)) qn__instr_move_before(ir, ref, loop);
    }
    if (marked) mark_written(r, body, 0);
}
