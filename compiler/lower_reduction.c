/* Reductions inside expressions: sum prod min max any all count argmin argmax, and reduce with a function.
 *
 * Several indices nest: sum(i, j: e) is sum(i: sum(j: e)). Each level is a `for` (terms in sequence) or a `reduce`
 * (lanes). Which one decides the order of rounding, hence the rule looks at nothing but what the program says: in
 * sequence when there is an enclosing parallel index and either some array read in the term has such an index in what
 * its last subscript is computed from, or none has the reduced index there. A variable that a loop changes counts as
 * computed from every index.
 *
 * A level's accumulator is one value, of f32 for f16 and bf16; for argmin and argmax it is (found, value, index...). */
#include "compiler/lower_private.h"

#include <string.h>

typedef struct reduction {
    qn__node_id node, ranges, value, where;
    uint32_t levels;
    bool is_reduce, is_arg, product;
    qn__op op;
    qn__type type;  /* of the accumulated value */
    qn__value init; /* of reduce */
} reduction;

enum { FOUND, VALUE, FIRST_INDEX, ARG_LEVELS = 16, STATE_LIMIT = FIRST_INDEX + ARG_LEVELS };

/* ---- what values depend on ---- */

static bool room(qn__lowering *l, void **table, size_t *capacity, size_t size) {
    void *grown = qn__arena_grow(l->arena, *table, capacity, l->ir->value_count, size);
    if (grown)
        *table = grown;
    else
        l->ir->failed = true;
    return grown;
}

static bool room_depends(qn__lowering *l) {
    void *table = l->depends;
    const bool ok = room(l, &table, &l->depends_capacity, sizeof *l->depends);
    l->depends = table;
    return ok;
}

void qn__lower_mark(qn__lowering *l, qn__value v) {
    if (v && room_depends(l)) l->depends[v] = 1;
}

/* Does an operand of the instruction, or what its regions yield, depend on an index of the stage? */
static bool operand_depends(const qn__lowering *l, const qn__instr *instr) {
    for (uint32_t i = 0; i < instr->arg_count; i++)
        if (l->depends[instr->args[i]]) return true;
    for (uint32_t r = 0; r < instr->region_count; r++) {
        const qn__instr_ref last = l->ir->regions[instr->regions[r]].last;
        if (last && operand_depends(l, &l->ir->instrs[last])) return true;
    }
    return false;
}

/* Operands are made before their instruction, and the contents of regions before the instruction that owns them. */
static bool settle_depends(qn__lowering *l) {
    if (l->ir->failed || !room_depends(l)) return false;
    for (; l->depends_done < l->ir->instr_count; l->depends_done++) {
        const qn__instr *instr = &l->ir->instrs[l->depends_done];
        if (!instr->result_count || !operand_depends(l, instr)) continue;
        for (uint32_t i = 0; i < instr->result_count; i++) l->depends[instr->first_result + i] = 1;
    }
    return true;
}

typedef struct reads {
    bool parallel, reduced; /* some read has it in its last subscript */
} reads;

static bool is_reduced(const qn__lowering *l, const qn__instr *instr) {
    for (uint32_t i = 0; i < instr->arg_count; i++)
        if (l->reduced[instr->args[i]] == l->reduced_stamp) return true;
    return false;
}

static void look_at_reads(qn__lowering *l, qn__region_ref region, reads *found) {
    const qn__ir *ir = l->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        bool reduced = is_reduced(l, instr);
        for (uint32_t r = 0; r < instr->region_count; r++) {
            const qn__region *inner = &ir->regions[instr->regions[r]];
            const uint32_t first_carried = instr->op == QN__OP_FOR || instr->op == QN__OP_REDUCE;
            for (uint32_t p = first_carried; p < inner->param_count; p++)
                l->reduced[inner->first_param + p] = l->reduced_stamp;
            look_at_reads(l, instr->regions[r], found);
            if (inner->last && is_reduced(l, &ir->instrs[inner->last])) reduced = true;
        }
        for (uint32_t i = 0; reduced && i < instr->result_count; i++)
            l->reduced[instr->first_result + i] = l->reduced_stamp;
        if (instr->op != QN__OP_LOAD || !instr->arg_count) continue;
        const qn__value last = instr->args[instr->arg_count - 1];
        found->parallel |= l->depends[last];
        found->reduced |= l->reduced[last] == l->reduced_stamp;
    }
}

static bool is_sequential(qn__lowering *l, qn__region_ref body) {
    if (l->in_function) return true;
    if (!l->points) return false;
    void *table = l->reduced;
    const bool ok = settle_depends(l) && room(l, &table, &l->reduced_capacity, sizeof *l->reduced);
    l->reduced = table;
    if (!ok) return true;
    l->reduced_stamp++;
    l->reduced[qn__region_param(l->ir, body, 0)] = l->reduced_stamp;
    reads found = {0};
    look_at_reads(l, body, &found);
    return found.parallel || !found.reduced;
}

/* ---- accumulators ---- */

static uint32_t state_count(const reduction *r, uint32_t level) {
    return r->is_arg ? FIRST_INDEX + r->levels - level : 1;
}

static void state_types(const reduction *r, uint32_t level, qn__type *types) {
    types[0] = r->type;
    if (!r->is_arg) return;
    types[FOUND] = QN__TYPE_BOOL;
    types[VALUE] = r->type;
    for (uint32_t i = FIRST_INDEX; i < state_count(r, level); i++) types[i] = QN__TYPE_I64;
}

static void initial_state(qn__lowering *l, const reduction *r, uint32_t level, qn__value *state) {
    if (!r->is_arg) {
        state[0] = r->is_reduce ? r->init : qn__lower_neutral(l, r->op, r->type);
        return;
    }
    state[FOUND] = qn__lower_bool(l, false);
    state[VALUE] = qn__lower_neutral(l, r->op, r->type);
    for (uint32_t i = FIRST_INDEX; i < state_count(r, level); i++) state[i] = qn__build_i64(&l->b, 0);
}

/* Is a more extreme than b? NaN is the most extreme. */
static qn__value beats(qn__lowering *l, const reduction *r, qn__value a, qn__value b) {
    const qn__op op = r->op == QN__OP_MIN ? QN__OP_LT : QN__OP_GT;
    const qn__value more = qn__lower_binary(l, op, a, b, 0);
    if (!qn__is_float(r->type)) return more;
    const qn__value a_nan = qn__lower_binary(l, QN__OP_NE, a, a, 0), b_number = qn__lower_binary(l, QN__OP_EQ, b, b, 0);
    return qn__lower_binary(l, QN__OP_OR, more, qn__lower_binary(l, QN__OP_AND, a_nan, b_number, 0), 0);
}

/* One more term, which comes after all of the state. The term has the state's layout. */
static void add_term(qn__lowering *l, const reduction *r, uint32_t level, const qn__value *state, const qn__value *term,
                     qn__value *next) {
    if (!r->is_arg) {
        const bool innermost = level + 1 == r->levels;
        if (r->is_reduce)
            next[0] = qn__lower_combine(l, r->node, state[0], term[0]);
        else
            next[0] = qn__lower_binary(l, r->op, state[0], term[0], innermost && r->product ? QN__FUSE_RIGHT : 0);
        if (r->is_reduce) next[0] = qn__lower_cast(l, next[0], r->type);
        return;
    }
    const qn__value first = qn__lower_op(l, QN__OP_NOT, &state[FOUND], 1);
    const qn__value better = qn__lower_binary(l, QN__OP_OR, first, beats(l, r, term[VALUE], state[VALUE]), 0);
    const qn__value take = level + 1 == r->levels ? better : qn__lower_binary(l, QN__OP_AND, term[FOUND], better, 0);
    next[FOUND] = qn__lower_binary(l, QN__OP_OR, state[FOUND], term[FOUND], 0);
    for (uint32_t i = VALUE; i < state_count(r, level); i++) next[i] = qn__build_select(&l->b, take, term[i], state[i]);
}

/* Do the indices of b come before those of a? */
static qn__value comes_first(qn__lowering *l, const reduction *r, uint32_t level, const qn__value *b,
                             const qn__value *a) {
    qn__value earlier = 0;
    for (uint32_t i = state_count(r, level); i-- > FIRST_INDEX;) {
        const qn__value less = qn__lower_binary(l, QN__OP_LT, b[i], a[i], 0);
        if (!earlier) {
            earlier = less;
            continue;
        }
        const qn__value same = qn__lower_binary(l, QN__OP_EQ, b[i], a[i], 0);
        earlier = qn__lower_binary(l, QN__OP_OR, less, qn__lower_binary(l, QN__OP_AND, same, earlier, 0), 0);
    }
    return earlier;
}

/* Two partial states become one; neither comes before the other as a whole. */
static void combine_states(qn__lowering *l, const reduction *r, uint32_t level, const qn__value *a, const qn__value *b,
                           qn__value *next) {
    if (!r->is_arg) {
        next[0] = r->is_reduce ? qn__lower_cast(l, qn__lower_combine(l, r->node, a[0], b[0]), r->type)
                               : qn__lower_binary(l, r->op, a[0], b[0], 0);
        return;
    }
    const qn__value worse = beats(l, r, a[VALUE], b[VALUE]);
    const qn__value tie =
        qn__lower_binary(l, QN__OP_AND, qn__lower_op(l, QN__OP_NOT, &worse, 1), comes_first(l, r, level, b, a), 0);
    const qn__value wins = qn__lower_binary(l, QN__OP_OR, beats(l, r, b[VALUE], a[VALUE]), tie, 0);
    const qn__value empty = qn__lower_op(l, QN__OP_NOT, &a[FOUND], 1);
    const qn__value take = qn__lower_binary(l, QN__OP_AND, b[FOUND], qn__lower_binary(l, QN__OP_OR, empty, wins, 0), 0);
    next[FOUND] = qn__lower_binary(l, QN__OP_OR, a[FOUND], b[FOUND], 0);
    for (uint32_t i = VALUE; i < state_count(r, level); i++) next[i] = qn__build_select(&l->b, take, b[i], a[i]);
}

/* ---- levels ---- */

static void lower_level(qn__lowering *l, const reduction *r, uint32_t level, qn__value *results);

/* The term of the innermost level. */
static void innermost_term(qn__lowering *l, const reduction *r, qn__value iv, qn__value *term) {
    const qn__value value = qn__lower_expression(l, r->value);
    qn__lower_at(l, r->node);
    if (!r->is_arg) {
        term[0] = qn__lower_cast(l, value, r->type);
        return;
    }
    term[FOUND] = qn__lower_bool(l, true);
    term[VALUE] = qn__lower_cast(l, value, r->type);
    term[FIRST_INDEX] = iv;
}

static void innermost_step(qn__lowering *l, const reduction *r, uint32_t level, qn__value iv, const qn__value *state,
                           qn__value *next) {
    qn__value term[STATE_LIMIT] = {0}, taken[STATE_LIMIT] = {0};
    if (!r->where) {
        innermost_term(l, r, iv, term);
        add_term(l, r, level, state, term, next);
        return;
    }
    const uint32_t count = state_count(r, level);
    const qn__value condition = qn__lower_expression(l, r->where);
    uint32_t slot_count = 0;
    const uint32_t *slots = qn__lower_assigned(l, &r->value, 1, &slot_count);
    qn__lower_if f;
    qn__lower_if_begin(l, &f, condition, slots, slot_count);
    innermost_term(l, r, iv, term);
    add_term(l, r, level, state, term, taken);
    qn__lower_if_else(l, &f, taken, count);
    qn__lower_if_end(l, &f, state, next);
}

static void step(qn__lowering *l, const reduction *r, uint32_t level, qn__value iv, const qn__value *state,
                 qn__value *next) {
    if (level + 1 == r->levels) {
        innermost_step(l, r, level, iv, state, next);
        return;
    }
    qn__value inner[STATE_LIMIT] = {0}, term[STATE_LIMIT] = {0};
    lower_level(l, r, level + 1, inner);
    qn__lower_at(l, r->node);
    if (r->is_arg) {
        term[FOUND] = inner[FOUND];
        term[VALUE] = inner[VALUE];
        term[FIRST_INDEX] = iv;
        for (uint32_t i = FIRST_INDEX; i < state_count(r, level + 1); i++) term[i + 1] = inner[i];
    } else {
        term[0] = inner[0];
    }
    add_term(l, r, level, state, term, next);
}

static qn__region_ref combine_region(qn__lowering *l, const reduction *r, uint32_t level, const qn__type *types) {
    const uint32_t count = state_count(r, level);
    qn__type params[2 * STATE_LIMIT];
    qn__value a[STATE_LIMIT], b[STATE_LIMIT], next[STATE_LIMIT] = {0};
    memcpy(params, types, count * sizeof *types);
    memcpy(params + count, types, count * sizeof *types);
    qn__builder outer;
    const qn__region_ref region = qn__lower_open(l, params, 2 * count, &outer);
    for (uint32_t i = 0; i < count; i++) {
        a[i] = qn__region_param(l->ir, region, i);
        b[i] = qn__region_param(l->ir, region, count + i);
    }
    combine_states(l, r, level, a, b, next);
    qn__build_yield(&l->b, next, count);
    qn__lower_close(l, &outer);
    return region;
}

static void lower_level(qn__lowering *l, const reduction *r, uint32_t level, qn__value *results) {
    const qn__node_id range = qn__lower_child(l, r->ranges, level);
    const uint32_t count = state_count(r, level), index = qn__lower_node(l, range)->ref;
    qn__type types[1 + STATE_LIMIT] = {QN__TYPE_I64};
    qn__value args[2 + STATE_LIMIT] = {0}, state[STATE_LIMIT] = {0}, next[STATE_LIMIT] = {0};
    if (!qn__lower_enter(l, r->node)) return;
    qn__lower_index_range(l, index, &args[0], &args[1]);
    qn__lower_at(l, r->node);
    state_types(r, level, types + 1);
    initial_state(l, r, level, args + 2);

    qn__builder outer;
    qn__region_ref regions[2] = {qn__lower_open(l, types, 1 + count, &outer), 0};
    for (uint32_t i = 0; i < count; i++) {
        state[i] = qn__region_param(l->ir, regions[0], 1 + i);
        qn__lower_mark(l, state[i]);
    }
    const qn__value iv = qn__region_param(l->ir, regions[0], 0);
    qn__lower_bind_index(l, qn__lower_range_variable(l, range), iv, args[0], args[1]);
    step(l, r, level, iv, state, next);
    qn__lower_at(l, r->node);
    qn__build_yield(&l->b, next, count);
    qn__lower_close(l, &outer);

    const bool sequential = is_sequential(l, regions[0]);
    if (!sequential) regions[1] = combine_region(l, r, level, types + 1);
    const qn__instr_ref ref = qn__build(&l->b, sequential ? QN__OP_FOR : QN__OP_REDUCE, args, 2 + count, types + 1,
                                        count, regions, sequential ? 1 : 2, 0);
    for (uint32_t i = 0; ref && i < count; i++) results[i] = qn__result(l->ir, ref, i);
    qn__lower_leave(l);
}

/* ---- the whole ---- */

static bool describe(qn__lowering *l, qn__node_id node, reduction *r) {
    const qn__typed_node *n = qn__lower_node(l, node);
    *r = (reduction){.node = node, .type = qn__lower_wide((qn__type)n->type)};
    r->is_reduce = qn__ast_kind_of(l->ast, node) == QN__AST_REDUCE;
    if (n->meaning == QN__MEANS_OP) r->op = (qn__op)n->ref;
    if (r->is_reduce) {
        r->ranges = qn__lower_child(l, node, QN__REDUCE_RANGES);
        r->value = qn__lower_child(l, node, QN__REDUCE_VALUE);
        r->where = qn__lower_child(l, node, QN__REDUCE_WHERE);
        if (n->meaning == QN__MEANS_FUNCTION && !(n->flags & QN__THROUGH_F32)) r->type = (qn__type)n->type;
        r->init = qn__lower_cast(l, qn__lower_expression(l, qn__lower_child(l, node, QN__REDUCE_INIT)), r->type);
    } else {
        const qn__ast_reduction which = (qn__ast_reduction)qn__ast_get(l->ast, node)->op;
        r->ranges = qn__lower_child(l, node, QN__REDUCTION_RANGES);
        r->value = qn__lower_child(l, node, QN__REDUCTION_VALUE);
        r->where = qn__lower_child(l, node, QN__REDUCTION_WHERE);
        r->is_arg = which == QN__REDUCTION_OP_ARGMIN || which == QN__REDUCTION_OP_ARGMAX;
        r->product = which == QN__REDUCTION_OP_SUM && qn__lower_is_product(l, r->value);
        if (r->is_arg) r->type = qn__lower_wide((qn__type)qn__lower_node(l, r->value)->type);
    }
    r->levels = qn__ast_count(l->ast, r->ranges);
    return r->type != QN__TYPE_NONE && r->levels && (!r->is_arg || r->levels <= ARG_LEVELS);
}

void qn__lower_reduction(qn__lowering *l, qn__node_id node, qn__value *results, uint32_t count) {
    reduction r;
    qn__value state[STATE_LIMIT] = {0};
    if (!describe(l, node, &r) || count != (r.is_arg ? r.levels : 1)) {
        qn__lower_internal(l, node, "a reduction that does not fit");
        return;
    }
    lower_level(l, &r, 0, state);
    qn__lower_at(l, node);
    if (!r.is_arg) {
        results[0] = qn__lower_cast(l, state[0], (qn__type)qn__lower_node(l, node)->type);
        return;
    }
    qn__lower_check(l, QN__FAULT_EMPTY, state[FOUND], 0, 0);
    for (uint32_t i = 0; i < count; i++) results[i] = state[FIRST_INDEX + i];
}
