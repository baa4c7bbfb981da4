/* Bytecode of structured operations: regions, if, for, while, parallel, keep. Loops test at their end, so that an iteration
 * costs one branch. */
#include "compiler/bytecode_private.h"

static const qn__instr *at(const emitter *e, qn__instr_ref ref) { return &e->ir->instrs[ref]; }
static qn__type type_of(const emitter *e, qn__value v) { return qn__type_of(e->ir, v); }

qn__instr *flow_yield(const emitter *e, qn__region_ref region) { return &e->ir->instrs[e->ir->regions[region].last]; }

void flow_params(emitter *e, qn__region_ref region, const vreg *regs) {
    const qn__region *r = &e->ir->regions[region];
    for (uint32_t i = 0; i < r->param_count; i++) {
        e->reg[r->first_param + i] = regs[i];
        e->ready[r->first_param + i] = 1;
    }
}

void flow_region(emitter *e, qn__region_ref region) {
    const qn__region *r = &e->ir->regions[region];
    scope mark = scope_open(e);
    for (qn__instr_ref ref = r->first; ref && !e->failed; ref = at(e, ref)->next) {
        if (e->folded[ref] || e->hoisted[ref] || at(e, ref)->op == QN__OP_YIELD) continue;
        if (at(e, ref)->region_count) flow_structured(e, ref);
        else value_emit(e, ref);
    }
    scope_close(e, mark);
    for (qn__instr_ref ref = r->first; ref; ref = at(e, ref)->next)
        for (uint32_t i = 0; i < at(e, ref)->result_count; i++)
            if (at(e, ref)->op != QN__OP_CONST && !e->hoisted[ref]) e->ready[at(e, ref)->first_result + i] = 0;
    for (uint32_t i = 0; i < r->param_count; i++) e->ready[r->first_param + i] = 0;
}

/* Registers, types and yielded registers of a list of values. */
typedef struct values { vreg *to, *from; qn__type *types; } values;

static bool make_values(emitter *e, values *v, uint32_t count) {
    v->to = QN__ARENA_ARRAY(e->arena, vreg, count);
    v->from = QN__ARENA_ARRAY(e->arena, vreg, count);
    v->types = QN__ARENA_ARRAY(e->arena, qn__type, count);
    if (qn__arena_failed(e->arena)) code_fail(e, "out of memory");
    return !e->failed;
}

void flow_results(emitter *e, qn__region_ref region, const vreg *to) {
    const qn__instr *yield = flow_yield(e, region);
    values v;
    if (!make_values(e, &v, yield->arg_count)) return;
    for (uint32_t i = 0; i < yield->arg_count; i++) {
        v.types[i] = type_of(e, yield->args[i]);
        v.from[i] = e->reg[yield->args[i]];
    }
    code_moves(e, v.types, to, v.from, yield->arg_count);
}

/* --- branches ----------------------------------------------------------------------------------------------------- */

/* Jumps to the label when the value is `sense`; back: the label is behind us, so the jump polls. */
static void branch(emitter *e, qn__value value, bool sense, uint32_t label, bool back) {
    if (!plan_folded(e, value)) {
        qn__opcode op = sense ? (back ? QN__BC_L_TRUE : QN__BC_J_TRUE) : (back ? QN__BC_L_FALSE : QN__BC_J_FALSE);
        code_line_add(e, op, e->reg[value], 0, label, 0);
        return;
    }
    const qn__instr *instr = at(e, e->ir->values[value].instr);
    if (instr->op == QN__OP_NOT) {
        branch(e, instr->args[0], !sense, label, back);
        return;
    }
    if (instr->op == QN__OP_AND || instr->op == QN__OP_OR) {
        if (sense == (instr->op == QN__OP_OR)) {
            branch(e, instr->args[0], sense, label, back);
            branch(e, instr->args[1], sense, label, back);
        } else {
            uint32_t skip = code_label(e);
            branch(e, instr->args[0], !sense, skip, false);
            branch(e, instr->args[1], sense, label, back);
            code_place(e, skip);
        }
        return;
    }
    qn__type type = type_of(e, instr->args[0]);
    vreg a = e->reg[instr->args[0]], b = e->reg[instr->args[1]];
    bool swap = instr->op == QN__OP_GT || instr->op == QN__OP_GE;
    bool less = instr->op == QN__OP_LT || instr->op == QN__OP_GT;
    comparison compare;
    if (instr->op == QN__OP_EQ || instr->op == QN__OP_NE) {
        compare = (instr->op == QN__OP_EQ) == sense ? COMPARE_EQ : COMPARE_NE;
    } else if (sense || qn__is_float(type)) {
        compare = sense ? (less ? COMPARE_LT : COMPARE_LE) : (less ? COMPARE_NLT : COMPARE_NLE);
    } else { /* not a < b is b <= a */
        compare = less ? COMPARE_LE : COMPARE_LT;
        swap = !swap;
    }
    qn__opcode op = (qn__opcode)(code_jump_opcode(compare, type) + back);
    code_line_add(e, op, swap ? b : a, swap ? a : b, label, 0);
}

static void flow_if(emitter *e, const qn__instr *instr) {
    values v;
    if (!make_values(e, &v, instr->result_count)) return;
    for (uint32_t i = 0; i < instr->result_count; i++) v.to[i] = value_destination(e, instr->first_result + i);
    uint32_t otherwise = code_label(e), end = code_label(e);
    branch(e, instr->args[0], false, otherwise, false);
    flow_region(e, instr->regions[0]);
    flow_results(e, instr->regions[0], v.to);
    size_t jump = e->line_count;
    code_line_add(e, QN__BC_JUMP, 0, 0, end, 0);
    code_place(e, otherwise);
    flow_region(e, instr->regions[1]);
    flow_results(e, instr->regions[1], v.to);
    if (!e->failed && e->line_count == jump + 1) { /* nothing to do otherwise */
        e->line_count--;
        code_place(e, otherwise);
    }
    code_place(e, end);
}

/* --- loops -------------------------------------------------------------------------------------------------------- */

/* Registers for carried values, set to what they start from. */
static void enter_loop(emitter *e, const qn__instr *instr, uint32_t first_arg, values *v) {
    uint32_t count = instr->result_count;
    if (!make_values(e, v, count)) return;
    for (uint32_t i = 0; i < count; i++) {
        v->types[i] = type_of(e, instr->args[first_arg + i]);
        v->from[i] = e->reg[instr->args[first_arg + i]];
    }
    for (uint32_t i = 0; i < count; i++) v->to[i] = value_destination(e, instr->first_result + i);
    code_moves(e, v->types, v->to, v->from, count);
}

static void flow_for(emitter *e, const qn__instr *instr) {
    scope mark = scope_open(e);
    value_hoist(e, instr->regions[0]);
    values v;
    vreg low = e->reg[instr->args[0]], high = e->reg[instr->args[1]], index = code_reg(e);
    enter_loop(e, instr, 2, &v);
    uint32_t top = code_label(e), end = code_label(e);
    code_move(e, QN__TYPE_I64, index, low);
    code_line_add(e, QN__BC_J_LE_I64, high, index, end, 0);
    code_place(e, top);
    for (uint32_t i = 0; i <= instr->result_count && !e->failed; i++) {
        qn__value param = e->ir->regions[instr->regions[0]].first_param + i;
        e->reg[param] = i ? v.to[i - 1] : index;
        e->ready[param] = 1;
    }
    flow_region(e, instr->regions[0]);
    if (!e->failed) flow_results(e, instr->regions[0], v.to);
    code_line_add(e, QN__BC_LOOP, index, high, top, 0);
    code_loop(e, top);
    code_place(e, end);
    scope_close(e, mark);
}

static void flow_while(emitter *e, const qn__instr *instr) {
    scope mark = scope_open(e);
    value_hoist(e, instr->regions[0]);
    value_hoist(e, instr->regions[1]);
    values v;
    enter_loop(e, instr, 0, &v);
    if (e->failed) return;
    uint32_t top = code_label(e), test = code_label(e);
    code_line_add(e, QN__BC_JUMP, 0, 0, test, 0);
    code_place(e, top);
    flow_params(e, instr->regions[1], v.to);
    flow_region(e, instr->regions[1]);
    flow_results(e, instr->regions[1], v.to);
    code_place(e, test);
    flow_params(e, instr->regions[0], v.to);
    flow_region(e, instr->regions[0]);
    branch(e, flow_yield(e, instr->regions[0])->args[0], true, top, true);
    code_loop(e, top);
    scope_close(e, mark);
}

/* --- parallel and keep -------------------------------------------------------------------------------------------- */

typedef struct box {
    uint32_t rank;
    vreg index[QN__MAX_RANK], low[QN__MAX_RANK], high[QN__MAX_RANK], inner_low[QN__MAX_RANK], inner_high[QN__MAX_RANK];
} box;

static void body(emitter *e, qn__region_ref region, const box *b) {
    flow_params(e, region, b->index);
    flow_region(e, region);
}

/* A loop over [from where index stands, high) around one region. */
static void point_loop(emitter *e, qn__region_ref region, const box *b, vreg high) {
    uint32_t top = code_label(e);
    code_place(e, top);
    body(e, region, b);
    code_line_add(e, QN__BC_LOOP, b->index[b->rank - 1], high, top, 0);
    code_loop(e, top);
}

/* One row of a parallel with an inner box: up to three pieces from left to right, so that points keep their order. */
static void split_row(emitter *e, const qn__instr *instr, const box *b, vreg from, vreg to) {
    uint32_t d = b->rank - 1, outside = code_label(e), check = code_label(e), end = code_label(e);
    vreg index = b->index[d], stop = code_reg(e);
    code_move(e, QN__TYPE_I64, stop, b->high[d]);
    for (uint32_t k = 0; k < d; k++) {
        code_line_add(e, QN__BC_J_LT_I64, b->index[k], b->inner_low[k], outside, 0);
        code_line_add(e, QN__BC_J_LE_I64, b->inner_high[k], b->index[k], outside, 0);
    }
    code_line_add(e, QN__BC_J_LE_I64, to, from, outside, 0);
    code_move(e, QN__TYPE_I64, stop, from);
    code_place(e, outside);
    code_line_add(e, QN__BC_J_LE_I64, stop, index, check, 0);
    point_loop(e, instr->regions[1], b, stop);
    code_place(e, check);
    code_line_add(e, QN__BC_J_LE_I64, b->high[d], index, end, 0);
    if (!strip_loop(e, instr->regions[0], index, to)) point_loop(e, instr->regions[0], b, to);
    code_move(e, QN__TYPE_I64, stop, b->high[d]);
    code_line_add(e, QN__BC_JUMP, 0, 0, outside, 0);
    code_loop(e, outside);
    code_place(e, end);
}

static void ready_index(emitter *e, const qn__instr *instr, uint32_t d, const box *b) {
    for (uint32_t i = 0; i < instr->region_count; i++) {
        qn__value param = e->ir->regions[instr->regions[i]].first_param + d;
        e->reg[param] = b->index[d];
        e->ready[param] = 1;
    }
}

/* The loops from dimension d on. */
static void box_loops(emitter *e, const qn__instr *instr, const box *b, uint32_t d, vreg from, vreg to) {
    scope mark = scope_open(e);
    for (uint32_t i = 0; i < instr->region_count; i++) value_hoist(e, instr->regions[i]);
    uint32_t top = code_label(e), end = code_label(e);
    code_move(e, QN__TYPE_I64, b->index[d], b->low[d]);
    code_line_add(e, QN__BC_J_LE_I64, b->high[d], b->index[d], end, 0);
    if (d + 1 < b->rank) {
        code_place(e, top);
        ready_index(e, instr, d, b);
        box_loops(e, instr, b, d + 1, from, to);
        code_line_add(e, QN__BC_LOOP, b->index[d], b->high[d], top, 0);
        code_loop(e, top);
    } else if (instr->region_count > 1) {
        split_row(e, instr, b, from, to);
    } else if (!strip_loop(e, instr->regions[0], b->index[d], b->high[d])) {
        point_loop(e, instr->regions[0], b, b->high[d]);
    }
    code_place(e, end);
    scope_close(e, mark);
}

static void make_box(emitter *e, const qn__instr *instr, box *b) {
    uint32_t rank = b->rank;
    for (uint32_t d = 0; d < rank; d++) {
        b->index[d] = code_reg(e);
        b->low[d] = e->reg[instr->args[2 * d]];
        b->high[d] = e->reg[instr->args[2 * d + 1]];
        if (instr->region_count < 2) continue;
        b->inner_low[d] = e->reg[instr->args[2 * (rank + d)]];
        b->inner_high[d] = e->reg[instr->args[2 * (rank + d) + 1]];
    }
}

static void flow_parallel(emitter *e, const qn__instr *instr) {
    box b = {.rank = instr->op == QN__OP_KEEP ? instr->arg_count / 2 : (uint32_t)instr->imm};
    if (b.rank < 1 || b.rank > QN__MAX_RANK) {
        code_fail(e, "a domain of more than 8 dimensions");
        return;
    }
    make_box(e, instr, &b);
    vreg from = 0, to = 0;
    if (instr->region_count > 1) { /* the inner box, clipped along the row */
        from = code_reg(e);
        to = code_reg(e);
        code_line_add(e, QN__BC_MAX_I64, from, b.inner_low[b.rank - 1], b.low[b.rank - 1], 0);
        code_line_add(e, QN__BC_MIN_I64, to, b.inner_high[b.rank - 1], b.high[b.rank - 1], 0);
    }
    size_t stage = code_stage_open(e, b.rank, b.index, b.low, b.high);
    box_loops(e, instr, &b, 0, from, to);
    code_stage_close(e, stage);
}

static void flow_keep(emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    code_line_add(e, QN__BC_KEEP_BEGIN, 0, 0, e->keep_number[ref], 0);
    flow_parallel(e, instr);
    uint32_t line = code_line_add(e, QN__BC_KEEP_END, value_destination(e, instr->first_result), 0, e->keep_number[ref], 0);
    if (!e->failed) e->lines[line].location = instr->location;
}

/* --- stages ------------------------------------------------------------------------------------------------------- */

static void dispatch(emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    switch ((qn__op)instr->op) {
    case QN__OP_IF: flow_if(e, instr); break;
    case QN__OP_FOR: flow_for(e, instr); break;
    case QN__OP_WHILE: flow_while(e, instr); break;
    case QN__OP_REDUCE: reduce_emit(e, ref); break;
    case QN__OP_SCAN: scan_emit(e, ref); break;
    case QN__OP_KEEP: flow_keep(e, ref); break;
    case QN__OP_PARALLEL: flow_parallel(e, instr); break;
    default: code_fail(e, "an unknown structured operation"); break;
    }
}

/* Whether the buffers of arrays can change inside. */
static bool moves_buffers(const emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    if (instr->op == QN__OP_ALLOC || instr->op == QN__OP_SWAP || instr->op == QN__OP_KEEP) return true;
    for (uint32_t i = 0; i < instr->region_count; i++)
        for (qn__instr_ref inner = e->ir->regions[instr->regions[i]].first; inner; inner = at(e, inner)->next)
            if (moves_buffers(e, inner)) return true;
    return false;
}

static bool contains_stage(const emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    for (uint32_t i = 0; i < instr->region_count; i++)
        for (qn__instr_ref inner = e->ir->regions[instr->regions[i]].first; inner; inner = at(e, inner)->next) {
            qn__op op = (qn__op)at(e, inner)->op;
            if (op == QN__OP_PARALLEL || op == QN__OP_SCAN || op == QN__OP_KEEP || op == QN__OP_REDUCE) return true;
            if (contains_stage(e, inner)) return true;
        }
    return false;
}

/* At kernel level, whatever keeps the buffers where they are and holds no stage fetches the views once, like a stage. */
void flow_structured(emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    bool stage = instr->op == QN__OP_PARALLEL || instr->op == QN__OP_REDUCE || instr->op == QN__OP_SCAN ||
                 instr->op == QN__OP_KEEP;
    if (e->in_stage || (!stage && (contains_stage(e, ref) || moves_buffers(e, ref)))) {
        dispatch(e, ref);
        return;
    }
    scope mark = scope_open(e);
    e->epoch++;
    e->in_stage = true;
    e->numbers_points = stage;
    value_views(e, ref);
    dispatch(e, ref);
    e->in_stage = e->numbers_points = false;
    scope_close(e, mark);
}
