/* Bytecode of reductions in lanes order and of scans: the fixed orders of the numeric contract (ir/ir.h, docs/language.md).
 *
 * A block runs lane by lane, a lane's terms one after the other: each lane is its own chain, so this gives the bits of the order
 * by terms without fetching an accumulator per term. Only where a term can fail are the terms taken in their order, so that the
 * first fault is the lowest. Blocks are combined as a binary counter counts: equal to the tree that splits at the largest power
 * of two below their number. */
#include "compiler/bytecode_private.h"

static const qn__instr *at(const emitter *e, qn__instr_ref ref) { return &e->ir->instrs[ref]; }

enum { MAX_CARRIED = 16 };

typedef struct reduction {
    const qn__instr *instr;
    qn__region_ref body, combine;
    uint32_t count;                                           /* accumulators */
    uint32_t memory;                                          /* number of the first one's memory */
    qn__type types[MAX_CARRIED];
    vreg init[MAX_CARRIED], acc[MAX_CARRIED], result[MAX_CARRIED], value[MAX_CARRIED], other[MAX_CARRIED];
    vreg low, high, start, stop, index, lane;
} reduction;

static vreg constant(emitter *e, int64_t value) { return code_constant(e, (uint64_t)value); }

static void add(emitter *e, vreg to, vreg a, int64_t b) {
    code_line_add(e, QN__BC_ADD_W64, to, a, constant(e, b), 0);
}

static void load_all(emitter *e, const reduction *r, pointer_kind kind, vreg index, const vreg *to) {
    for (uint32_t k = 0; k < r->count; k++)
        code_line_add(e, code_by_width(QN__BC_LOAD_8, r->types[k]), to[k], value_pointer(e, kind, r->memory + k), index, 0);
}

static void store_all(emitter *e, const reduction *r, pointer_kind kind, vreg index, const vreg *from) {
    for (uint32_t k = 0; k < r->count; k++)
        code_line_add(e, code_by_width(QN__BC_STORE_8, r->types[k]), from[k], value_pointer(e, kind, r->memory + k), index, 0);
}

/* --- combine ------------------------------------------------------------------------------------------------------ */

/* to = combine(a, b). A single operation at the region's end writes its target itself. */
static void combine(emitter *e, qn__region_ref region, const vreg *a, const vreg *b, uint32_t count, const vreg *to) {
    vreg args[2 * MAX_CARRIED];
    for (uint32_t k = 0; k < count; k++) {
        args[k] = a[k];
        args[count + k] = b[k];
    }
    const qn__instr *yield = flow_yield(e, region);
    qn__value last = yield->args[0];
    bool direct = count == 1 && yield->previous && e->ir->values[last].instr == yield->previous &&
                  !at(e, yield->previous)->region_count;
    flow_params(e, region, args);
    if (direct) e->forced[last] = to[0];
    flow_region(e, region);
    e->forced[last] = 0;
    flow_results(e, region, to);
}

/* The instruction that halves the lanes when combine is one operation on (a, b), else END. */
static qn__opcode lanes_opcode(const emitter *e, const reduction *r) {
    const qn__region *region = &e->ir->regions[r->combine];
    const qn__instr *first = at(e, region->first);
    if (r->count != 1 || first->next != region->last || first->arg_count != 2) return QN__BC_END;
    if (first->args[0] != region->first_param || first->args[1] != region->first_param + 1) return QN__BC_END;
    if (flow_yield(e, r->combine)->args[0] != first->first_result) return QN__BC_END;
    bool f32 = r->types[0] == QN__TYPE_F32, f64 = r->types[0] == QN__TYPE_F64;
    if (first->op == QN__OP_MIN) return f32 ? QN__BC_LANES_MIN_F32 : f64 ? QN__BC_LANES_MIN_F64 : QN__BC_END;
    if (first->op == QN__OP_MAX) return f32 ? QN__BC_LANES_MAX_F32 : f64 ? QN__BC_LANES_MAX_F64 : QN__BC_END;
    if (first->op != QN__OP_ADD) return QN__BC_END;
    uint32_t bits = qn__type_bits(r->types[0]);
    return f32 ? QN__BC_LANES_ADD_F32 : f64 ? QN__BC_LANES_ADD_F64 : bits == 32 ? QN__BC_LANES_ADD_W32
           : bits == 64 ? QN__BC_LANES_ADD_W64 : QN__BC_END;
}

/* value = the lanes, combined by halving. */
static void combine_lanes(emitter *e, const reduction *r) {
    qn__opcode op = lanes_opcode(e, r);
    if (op != QN__BC_END) {
        code_line_add(e, op, r->value[0], value_pointer(e, POINTER_LANES, r->memory), 0, 0);
        return;
    }
    vreg half = code_reg(e), i = code_reg(e), partner = code_reg(e);
    uint32_t halve = code_label(e), pair = code_label(e);
    code_move(e, QN__TYPE_I64, half, constant(e, QN__LANES / 2));
    code_place(e, halve);
    code_move(e, QN__TYPE_I64, i, constant(e, 0));
    code_place(e, pair);
    load_all(e, r, POINTER_LANES, i, r->value);
    code_line_add(e, QN__BC_ADD_W64, partner, i, half, 0);
    load_all(e, r, POINTER_LANES, partner, r->other);
    combine(e, r->combine, r->value, r->other, r->count, r->value);
    store_all(e, r, POINTER_LANES, i, r->value);
    code_line_add(e, QN__BC_LOOP, i, half, pair, 0);
    code_loop(e, pair);
    code_line_add(e, QN__BC_SHR_U64, half, half, constant(e, 1), 0);
    code_line_add(e, QN__BC_L_NE_X64, half, constant(e, 0), halve, 0);
    code_loop(e, halve);
    load_all(e, r, POINTER_LANES, constant(e, 0), r->value);
}

/* --- one block ---------------------------------------------------------------------------------------------------- */

static bool can_fail(const emitter *e, qn__region_ref region) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        uint8_t effect = qn__op_table[at(e, ref)->op].effect;
        if (effect == QN__EFFECT_CHECK || effect == QN__EFFECT_CALL) return true;
        for (uint32_t i = 0; i < at(e, ref)->region_count; i++)
            if (can_fail(e, at(e, ref)->regions[i])) return true;
    }
    return false;
}

static void term(emitter *e, const reduction *r) {
    vreg args[MAX_CARRIED + 1] = {r->index};
    for (uint32_t k = 0; k < r->count; k++) args[k + 1] = r->acc[k];
    flow_params(e, r->body, args);
    flow_region(e, r->body);
    flow_results(e, r->body, r->acc);
}

static void block_by_terms(emitter *e, const reduction *r) {
    uint32_t top = code_label(e);
    code_move(e, QN__TYPE_I64, r->index, r->start);
    code_move(e, QN__TYPE_I64, r->lane, constant(e, 0));
    code_place(e, top);
    load_all(e, r, POINTER_LANES, r->lane, r->acc);
    term(e, r);
    store_all(e, r, POINTER_LANES, r->lane, r->acc);
    add(e, r->lane, r->lane, 1);
    code_line_add(e, QN__BC_AND_W64, r->lane, r->lane, constant(e, QN__LANES - 1), 0);
    code_line_add(e, QN__BC_LOOP, r->index, r->stop, top, 0);
    code_loop(e, top);
}

static void block_by_lanes(emitter *e, const reduction *r) {
    uint32_t lanes = code_label(e), top = code_label(e);
    vreg last = code_reg(e);
    code_line_add(e, QN__BC_SUB_W64, last, r->stop, r->start, 0);
    code_line_add(e, QN__BC_MIN_I64, last, last, constant(e, QN__LANES), 0);
    code_move(e, QN__TYPE_I64, r->lane, constant(e, 0));
    code_place(e, lanes);
    code_line_add(e, QN__BC_ADD_W64, r->index, r->start, r->lane, 0);
    for (uint32_t k = 0; k < r->count; k++) code_move(e, r->types[k], r->acc[k], r->init[k]);
    code_place(e, top);
    term(e, r);
    code_line_add(e, QN__BC_LOOP_LANES, r->index, r->stop, top, 0);
    code_loop(e, top);
    store_all(e, r, POINTER_LANES, r->lane, r->acc);
    code_line_add(e, QN__BC_LOOP, r->lane, last, lanes, 0);
    code_loop(e, lanes);
}

/* --- the tree of blocks ------------------------------------------------------------------------------------------- */

typedef struct tree { vreg blocks, depth, bits, low_bit; } tree;

/* Adds value to the stack of complete subtrees. */
static void push_block(emitter *e, const reduction *r, const tree *t) {
    uint32_t merge = code_label(e), store = code_label(e);
    code_move(e, QN__TYPE_I64, t->bits, t->blocks);
    code_place(e, merge);
    code_line_add(e, QN__BC_AND_W64, t->low_bit, t->bits, constant(e, 1), 0);
    code_line_add(e, QN__BC_J_FALSE, t->low_bit, 0, store, 0);
    add(e, t->depth, t->depth, -1);
    load_all(e, r, POINTER_STACK, t->depth, r->other);
    combine(e, r->combine, r->other, r->value, r->count, r->value);
    code_line_add(e, QN__BC_SHR_U64, t->bits, t->bits, constant(e, 1), 0);
    code_line_add(e, QN__BC_JUMP, 0, 0, merge, 0);
    code_loop(e, merge);
    code_place(e, store);
    store_all(e, r, POINTER_STACK, t->depth, r->value);
    add(e, t->depth, t->depth, 1);
    add(e, t->blocks, t->blocks, 1);
}

/* value = all of the stack. */
static void pop_blocks(emitter *e, const reduction *r, const tree *t) {
    uint32_t top = code_label(e), done = code_label(e);
    add(e, t->depth, t->depth, -1);
    load_all(e, r, POINTER_STACK, t->depth, r->value);
    code_place(e, top);
    code_line_add(e, QN__BC_J_EQ_X64, t->depth, constant(e, 0), done, 0);
    add(e, t->depth, t->depth, -1);
    load_all(e, r, POINTER_STACK, t->depth, r->other);
    combine(e, r->combine, r->other, r->value, r->count, r->value);
    code_line_add(e, QN__BC_JUMP, 0, 0, top, 0);
    code_loop(e, top);
    code_place(e, done);
}

static void reduce_blocks(emitter *e, const reduction *r) {
    tree t = {code_reg(e), code_reg(e), code_reg(e), code_reg(e)};
    uint32_t empty = code_label(e), block = code_label(e), push = code_label(e), single = code_label(e), end = code_label(e);
    code_line_add(e, QN__BC_J_LE_I64, r->high, r->low, empty, 0);
    code_move(e, QN__TYPE_I64, r->start, r->low);
    code_move(e, QN__TYPE_I64, t.blocks, constant(e, 0));
    code_move(e, QN__TYPE_I64, t.depth, constant(e, 0));
    code_place(e, block);
    code_line_add(e, QN__BC_BLOCK_END, r->stop, r->start, r->high, 0);
    for (uint32_t k = 0; k < r->count; k++)
        code_line_add(e, code_by_width(QN__BC_FILL_8, r->types[k]), value_pointer(e, POINTER_LANES, r->memory + k),
                      r->init[k], 0, 0);
    if (can_fail(e, r->body)) block_by_terms(e, r);
    else block_by_lanes(e, r);
    combine_lanes(e, r);
    code_move(e, QN__TYPE_I64, r->start, r->stop);
    code_line_add(e, QN__BC_J_LT_I64, r->start, r->high, push, 0);
    code_line_add(e, QN__BC_J_EQ_X64, t.blocks, constant(e, 0), single, 0);
    code_place(e, push);
    push_block(e, r, &t);
    code_line_add(e, QN__BC_L_LT_I64, r->start, r->high, block, 0);
    code_loop(e, block);
    pop_blocks(e, r, &t);
    code_place(e, single);
    code_moves(e, r->types, r->result, r->value, r->count);
    code_line_add(e, QN__BC_JUMP, 0, 0, end, 0);
    code_place(e, empty);
    code_moves(e, r->types, r->result, r->init, r->count);
    code_place(e, end);
}

void reduce_emit(emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    reduction r = {.instr = instr, .body = instr->regions[0], .combine = instr->regions[1], .count = instr->result_count};
    if (r.count > MAX_CARRIED) {
        code_fail(e, "a reduction of more than 16 values");
        return;
    }
    scope mark = scope_open(e);
    value_hoist(e, r.body);
    value_hoist(e, r.combine);
    r.memory = e->lanes[ref];
    r.low = e->reg[instr->args[0]];
    r.high = e->reg[instr->args[1]];
    r.start = code_reg(e);
    r.stop = code_reg(e);
    r.index = code_reg(e);
    r.lane = code_reg(e);
    for (uint32_t k = 0; k < r.count; k++) {
        r.types[k] = qn__type_of(e->ir, instr->first_result + k);
        r.init[k] = e->reg[instr->args[2 + k]];
        r.acc[k] = code_reg(e);
        r.value[k] = code_reg(e);
        r.other[k] = code_reg(e);
        value_pointer(e, POINTER_LANES, r.memory + k);
        value_pointer(e, POINTER_STACK, r.memory + k);
    }
    for (uint32_t k = 0; k < r.count; k++) {
        r.result[k] = value_destination(e, instr->first_result + k);
        e->ready[instr->first_result + k] = 0;
    }
    code_move(e, QN__TYPE_I64, r.index, r.low);
    size_t stage = code_stage_open(e, 1, &r.index, &r.low, &r.high);
    reduce_blocks(e, &r);
    code_stage_close(e, stage);
    for (uint32_t k = 0; k < r.count; k++) e->ready[instr->first_result + k] = 1;
    scope_close(e, mark);
}

/* --- scan --------------------------------------------------------------------------------------------------------- */

typedef struct scanning {
    qn__region_ref term, combine, emit;
    uint32_t count;
    bool exclusive;
    qn__type types[MAX_CARRIED];
    vreg carry[MAX_CARRIED], local[MAX_CARRIED], value[MAX_CARRIED], term_value[MAX_CARRIED];
    vreg index, high, stop;
} scanning;

static void scan_term(emitter *e, const scanning *s, const vreg *to) {
    flow_params(e, s->term, &s->index);
    flow_region(e, s->term);
    flow_results(e, s->term, to);
}

static void scan_store(emitter *e, const scanning *s, const vreg *value) {
    vreg args[MAX_CARRIED + 1] = {s->index};
    for (uint32_t k = 0; k < s->count; k++) args[k + 1] = value[k];
    flow_params(e, s->emit, args);
    flow_region(e, s->emit);
}

/* The first term of a run, then the others; the terms are read before the element is stored, which may be the same. */
static void scan_run(emitter *e, const scanning *s) {
    uint32_t top = code_label(e), test = code_label(e);
    scan_term(e, s, s->local);
    if (s->exclusive) {
        scan_store(e, s, s->carry);
    } else {
        combine(e, s->combine, s->carry, s->local, s->count, s->value);
        scan_store(e, s, s->value);
    }
    code_line_add(e, QN__BC_JUMP, 0, 0, test, 0);
    code_place(e, top);
    scan_term(e, s, s->term_value);
    if (s->exclusive) combine(e, s->combine, s->carry, s->local, s->count, s->value);
    combine(e, s->combine, s->local, s->term_value, s->count, s->local);
    if (!s->exclusive) combine(e, s->combine, s->carry, s->local, s->count, s->value);
    scan_store(e, s, s->value);
    code_place(e, test);
    code_line_add(e, QN__BC_LOOP, s->index, s->stop, top, 0);
    code_loop(e, top);
}

static void scan_loops(emitter *e, const scanning *s) {
    uint32_t top = code_label(e), end = code_label(e);
    code_line_add(e, QN__BC_J_LE_I64, s->high, s->index, end, 0);
    code_place(e, top);
    code_line_add(e, QN__BC_RUN_END, s->stop, s->index, s->high, 0);
    scan_run(e, s);
    combine(e, s->combine, s->carry, s->local, s->count, s->carry);
    code_line_add(e, QN__BC_L_LT_I64, s->index, s->high, top, 0);
    code_loop(e, top);
    code_place(e, end);
}

void scan_emit(emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    scanning s = {.term = instr->regions[0], .combine = instr->regions[1], .emit = instr->regions[2]};
    s.count = instr->arg_count - 2;
    s.exclusive = instr->flags & QN__EXCLUSIVE;
    if (s.count > MAX_CARRIED) {
        code_fail(e, "a scan of more than 16 values");
        return;
    }
    scope mark = scope_open(e);
    for (uint32_t i = 0; i < 3; i++) value_hoist(e, instr->regions[i]);
    vreg low = e->reg[instr->args[0]];
    s.high = e->reg[instr->args[1]];
    s.index = code_reg(e);
    s.stop = code_reg(e);
    for (uint32_t k = 0; k < s.count; k++) {
        s.types[k] = qn__type_of(e->ir, instr->args[2 + k]);
        s.carry[k] = code_reg(e);
        s.local[k] = code_reg(e);
        s.value[k] = code_reg(e);
        s.term_value[k] = code_reg(e);
        code_move(e, s.types[k], s.carry[k], e->reg[instr->args[2 + k]]);
    }
    code_move(e, QN__TYPE_I64, s.index, low);
    size_t stage = code_stage_open(e, 1, &s.index, &low, &s.high);
    scan_loops(e, &s);
    code_stage_close(e, stage);
    scope_close(e, mark);
}
