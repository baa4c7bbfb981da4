/* Statements of a point.
 *
 * A loop carries exactly the slots that it assigns. break and continue set flags, which are slots too: whatever follows
 * a statement that may set one is guarded by an `if`, and a `for` that can break becomes a `while`. */
#include "compiler/lower_private.h"

#include <string.h>

static void lower_statements(qn__lowering *l, const qn__node_id *list, uint32_t count);

/* ---- let, var ---- */

void qn__lower_bind_values(qn__lowering *l, qn__node_id let) {
    const qn__node_id names = qn__lower_child(l, let, QN__LET_NAMES);
    const uint32_t count = qn__ast_count(l->ast, names);
    qn__value values[QN__LOWER_RESULTS] = {0};
    if (count > QN__LOWER_RESULTS) {
        qn__lower_internal(l, let, "a let of too many names");
        return;
    }
    qn__lower_list(l, qn__lower_child(l, let, QN__LET_VALUES), values, count);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t variable = qn__lower_node(l, qn__lower_child(l, names, i))->ref;
        if (variable >= l->typed->variable_count) continue;
        l->slots[variable] = values[i];
        qn__lower_note_value(l, variable);
    }
}

/* Every element of a local array takes a value. */
static void fill_local(qn__lowering *l, uint32_t variable, qn__value value) {
    const uint32_t local = l->variables[variable].local;
    const qn__value bounds[2] = {qn__build_i64(&l->b, 0), qn__build_i64(&l->b, l->ir->locals[local].count)};
    qn__builder outer;
    const qn__type type = QN__TYPE_I64;
    const qn__region_ref body = qn__lower_open(l, &type, 1, &outer);
    const qn__value args[2] = {qn__region_param(l->ir, body, 0), value};
    qn__build(&l->b, QN__OP_LOCAL_STORE, args, 2, NULL, 0, NULL, 0, local);
    qn__build_yield(&l->b, NULL, 0);
    qn__lower_close(l, &outer);
    qn__build(&l->b, QN__OP_FOR, bounds, 2, NULL, 0, &body, 1, 0);
}

static void declare_local(qn__lowering *l, qn__node_id node, uint32_t variable) {
    const qn__typed_variable *v = &l->typed->variables[variable];
    uint64_t count = 1;
    for (uint32_t d = 0; d < v->rank; d++) {
        const int64_t extent = v->extent[d].value;
        count = extent < 0 || (extent && count > UINT32_MAX / (uint64_t)extent) ? UINT64_MAX : count * (uint64_t)extent;
        if (count > UINT32_MAX) {
            qn__lower_internal(l, node, "a local array without a constant size");
            return;
        }
    }
    const qn__node_id written = qn__lower_child(l, node, QN__VAR_VALUE);
    const qn__value value = written ? qn__lower_expression(l, written) : 0;
    const uint32_t local = qn__ir_local(l->ir, v->name, (qn__type)v->type, (uint32_t)count);
    if (l->ir->failed) return;
    l->variables[variable].local = local;
    qn__lower_at(l, node);
    qn__build(&l->b, QN__OP_LOCAL_ZERO, NULL, 0, NULL, 0, NULL, 0, local);
    if (value) fill_local(l, variable, value);
}

static void lower_var(qn__lowering *l, qn__node_id node) {
    const uint32_t variable = qn__lower_node(l, node)->ref;
    const qn__typed_variable *v = &l->typed->variables[variable];
    if (v->kind == QN__VARIABLE_LOCAL) {
        declare_local(l, node, variable);
        return;
    }
    const qn__node_id written = qn__lower_child(l, node, QN__VAR_VALUE);
    l->slots[variable] = written ? qn__lower_expression(l, written) : qn__build_const(&l->b, (qn__type)v->type, 0);
    qn__lower_note_value(l, variable);
}

/* ---- assignment ---- */

static qn__value combine(qn__lowering *l, qn__node_id assign, qn__value old, qn__value value, bool product) {
    const qn__ast_assign written = (qn__ast_assign)qn__ast_get(l->ast, assign)->op;
    if (written == QN__ASSIGN_OP_SET) return value;
    const qn__op op = qn__lower_assign_op(written);
    const bool fuses = product && (op == QN__OP_ADD || op == QN__OP_SUB);
    return qn__lower_binary(l, op, old, value, fuses ? QN__FUSE_RIGHT : 0);
}

static void assign(qn__lowering *l, qn__node_id node) {
    const qn__node_id targets = qn__lower_child(l, node, QN__ASSIGN_TARGETS),
                      list = qn__lower_child(l, node, QN__ASSIGN_VALUES);
    const uint32_t count = qn__ast_count(l->ast, targets);
    const bool sets = qn__ast_get(l->ast, node)->op == QN__ASSIGN_OP_SET;
    qn__value values[QN__LOWER_RESULTS] = {0};
    qn__lower_place *places = QN__ARENA_ARRAY(l->arena, qn__lower_place, count);
    if (!places) l->ir->failed = true;
    if (count > QN__LOWER_RESULTS) qn__lower_internal(l, node, "an assignment to too many targets");
    if (l->ir->failed) return;
    qn__lower_list(l, list, values, count);
    for (uint32_t i = 0; i < count; i++) {
        const qn__node_id target = qn__lower_child(l, targets, i);
        const uint32_t variable = qn__lower_node(l, target)->ref;
        const bool local = qn__ast_kind_of(l->ast, target) == QN__AST_INDEX;
        places[i].variable = variable;
        if (local) qn__lower_place_of(l, target, variable, true, 0, &places[i]);
        if (sets) continue;
        const qn__value old = local ? qn__lower_place_load(l, &places[i]) : l->slots[variable];
        qn__lower_at(l, node);
        values[i] = combine(l, node, old, values[i], qn__lower_list_product(l, list, i, count));
    }
    for (uint32_t i = 0; i < count; i++) {
        if (places[i].local) {
            qn__lower_place_store(l, &places[i], values[i]);
        } else {
            l->slots[places[i].variable] = values[i];
            qn__lower_note_value(l, places[i].variable);
        }
    }
}

/* ---- if ---- */

static void lower_branch(qn__lowering *l, qn__node_id node) {
    if (!node) return;
    if (qn__ast_kind_of(l->ast, node) == QN__AST_BLOCK)
        qn__lower_block(l, node);
    else
        lower_statements(l, &node, 1);
}

static void lower_if(qn__lowering *l, qn__node_id node) {
    const qn__node_id yes = qn__lower_child(l, node, QN__IF_THEN), no = qn__lower_child(l, node, QN__IF_ELSE);
    const qn__value condition = qn__lower_expression(l, qn__lower_child(l, node, QN__IF_CONDITION));
    qn__lower_at(l, node);
    uint32_t count = 0;
    const uint32_t *slots = qn__lower_assigned(l, (qn__node_id[]){yes, no}, 2, &count);
    qn__lower_if f;
    qn__lower_if_begin(l, &f, condition, slots, count);
    lower_branch(l, yes);
    qn__lower_if_else(l, &f, NULL, 0);
    lower_branch(l, no);
    qn__lower_at(l, node);
    qn__lower_if_end(l, &f, NULL, NULL);
}

/* ---- loops ---- */

/* A loop that is being lowered: what it carries is a leading counter (for) and then slots. */
typedef struct loop_state {
    qn__lower_loop flags;
    const uint32_t *slots;
    uint32_t count, lead;
    qn__type *types;
    qn__value *values;
    bool breaks;
} loop_state;

static bool has_kind(const qn__lowering *l, qn__node_id node, qn__ast_kind wanted, bool root) {
    if (!node) return false;
    const qn__ast_kind kind = qn__ast_kind_of(l->ast, node);
    if (kind == wanted) return true;
    if (!root && (kind == QN__AST_WHILE || kind == QN__AST_FOR)) return false;
    for (uint32_t i = 0; i < qn__ast_count(l->ast, node); i++)
        if (has_kind(l, qn__lower_child(l, node, i), wanted, false)) return true;
    return false;
}

/* Makes the flags and finds what is carried. The flags' slots have values from here on. */
static bool begin_loop(qn__lowering *l, loop_state *s, qn__node_id condition, qn__node_id body, uint32_t lead) {
    *s = (loop_state){.flags = {.outer = l->loop, .broken = QN__NO_REF, .skipped = QN__NO_REF}, .lead = lead};
    s->breaks = has_kind(l, body, QN__AST_BREAK, true);
    if (s->breaks) {
        s->flags.broken = qn__lower_new_slot(l);
        l->slots[s->flags.broken] = qn__lower_bool(l, false);
    }
    if (has_kind(l, body, QN__AST_CONTINUE, true)) s->flags.skipped = qn__lower_new_slot(l);
    l->loop = &s->flags;
    s->slots = qn__lower_assigned(l, (qn__node_id[]){body, condition}, 2, &s->count);
    s->types = QN__ARENA_ARRAY(l->arena, qn__type, s->count + lead);
    s->values = QN__ARENA_ARRAY(l->arena, qn__value, s->count + lead + 2);
    if (!s->types || !s->values) {
        l->ir->failed = true;
        return false;
    }
    for (uint32_t i = 0; i < lead; i++) s->types[i] = QN__TYPE_I64;
    for (uint32_t i = 0; i < s->count; i++) s->types[lead + i] = qn__lower_type(l, l->slots[s->slots[i]]);
    return !l->ir->failed;
}

/* A region of the loop: the slots take the values of its parameters. */
static qn__region_ref open_region(qn__lowering *l, const loop_state *s, qn__builder *outer) {
    const qn__region_ref region = qn__lower_open(l, s->types, s->count + s->lead, outer);
    for (uint32_t i = 0; i < s->count; i++) {
        l->slots[s->slots[i]] = qn__region_param(l->ir, region, s->lead + i);
        qn__lower_mark(l, l->slots[s->slots[i]]);
        qn__lower_note_value(l, s->slots[i]);
    }
    return region;
}

static void lower_body(qn__lowering *l, const loop_state *s, qn__node_id body) {
    if (s->flags.skipped != QN__NO_REF) l->slots[s->flags.skipped] = qn__lower_bool(l, false);
    qn__lower_block(l, body);
}

/* Collects the slots' values behind `lead` values that the caller has set. */
static uint32_t gather(const qn__lowering *l, const loop_state *s, qn__value *values, uint32_t at) {
    for (uint32_t i = 0; i < s->count; i++) values[at + i] = l->slots[s->slots[i]];
    return at + s->count;
}

static void end_loop(qn__lowering *l, const loop_state *s, qn__instr_ref ref) {
    l->loop = s->flags.outer;
    const uint32_t skip = ref ? l->ir->instrs[ref].result_count - s->count : 0;
    for (uint32_t i = 0; i < s->count; i++) {
        l->slots[s->slots[i]] = ref ? qn__result(l->ir, ref, skip + i) : 0;
        qn__lower_note_value(l, s->slots[i]);
    }
}

/* condition (0: none) and not broken; the condition is not evaluated after a break. */
static qn__value goes_on(qn__lowering *l, const loop_state *s, qn__value counts, qn__node_id condition) {
    qn__value go = counts;
    if (s->breaks) {
        go = qn__lower_op(l, QN__OP_NOT, &l->slots[s->flags.broken], 1);
        if (counts) go = qn__lower_binary(l, QN__OP_AND, go, counts, 0);
    }
    if (!condition) return go;
    return go ? qn__lower_logic(l, go, condition, true) : qn__lower_expression(l, condition);
}

static void lower_while(qn__lowering *l, qn__node_id node) {
    const qn__node_id condition = qn__lower_child(l, node, QN__WHILE_CONDITION),
                      body = qn__lower_child(l, node, QN__WHILE_BODY);
    loop_state s;
    if (!begin_loop(l, &s, condition, body, 0)) return;
    qn__value *initial = QN__ARENA_ARRAY(l->arena, qn__value, s.count);
    if (!initial) {
        l->ir->failed = true;
        return;
    }
    gather(l, &s, initial, 0);
    qn__builder outer;
    qn__region_ref regions[2];
    regions[0] = open_region(l, &s, &outer);
    const qn__value go = goes_on(l, &s, 0, condition);
    qn__lower_at(l, node);
    qn__build_yield(&l->b, &go, 1);
    qn__lower_close(l, &outer);
    regions[1] = open_region(l, &s, &outer);
    lower_body(l, &s, body);
    qn__lower_at(l, node);
    qn__build_yield(&l->b, s.values, gather(l, &s, s.values, 0));
    qn__lower_close(l, &outer);
    end_loop(l, &s, qn__build(&l->b, QN__OP_WHILE, initial, s.count, s.types, s.count, regions, 2, 0));
}

/* for with break: a `while` that carries the counter. */
static qn__instr_ref counted_while(qn__lowering *l, const loop_state *s, qn__node_id node, uint32_t variable,
                                   const qn__value *initial, qn__value hi) {
    qn__builder outer;
    qn__region_ref regions[2];
    regions[0] = open_region(l, s, &outer);
    const qn__value counts = qn__build_binary(&l->b, QN__OP_LT, qn__region_param(l->ir, regions[0], 0), hi);
    const qn__value go = goes_on(l, s, counts, 0);
    qn__build_yield(&l->b, &go, 1);
    qn__lower_close(l, &outer);
    regions[1] = open_region(l, s, &outer);
    const qn__value counter = qn__region_param(l->ir, regions[1], 0);
    qn__lower_bind_index(l, variable, counter, initial[0], hi);
    lower_body(l, s, qn__lower_child(l, node, QN__FOR_BODY));
    qn__lower_at(l, node);
    s->values[0] = qn__build_binary(&l->b, QN__OP_ADD, counter, qn__build_i64(&l->b, 1));
    qn__build_yield(&l->b, s->values, gather(l, s, s->values, 1));
    qn__lower_close(l, &outer);
    return qn__build(&l->b, QN__OP_WHILE, initial, 1 + s->count, s->types, 1 + s->count, regions, 2, 0);
}

static void lower_for(qn__lowering *l, qn__node_id node) {
    const qn__node_id range = qn__lower_child(l, node, QN__FOR_RANGE), body = qn__lower_child(l, node, QN__FOR_BODY);
    const uint32_t variable = qn__lower_range_variable(l, range);
    if (variable >= l->typed->variable_count) {
        qn__lower_internal(l, range, "a loop without a variable");
        return;
    }
    const qn__value lo = qn__lower_index_value(l, qn__lower_child(l, range, QN__RANGE_BEGIN));
    const qn__value hi = qn__lower_index_value(l, qn__lower_child(l, range, QN__RANGE_END));
    qn__lower_at(l, node);
    loop_state s;
    if (!begin_loop(l, &s, 0, body, 1)) return;
    qn__value *args = QN__ARENA_ARRAY(l->arena, qn__value, s.count + 2);
    if (!args) {
        l->ir->failed = true;
        return;
    }
    args[0] = lo;
    if (s.breaks) {
        gather(l, &s, args, 1);
        end_loop(l, &s, counted_while(l, &s, node, variable, args, hi));
        return;
    }
    args[1] = hi;
    gather(l, &s, args, 2);
    qn__builder outer;
    const qn__region_ref region = open_region(l, &s, &outer);
    qn__lower_bind_index(l, variable, qn__region_param(l->ir, region, 0), lo, hi);
    lower_body(l, &s, body);
    qn__lower_at(l, node);
    qn__build_yield(&l->b, s.values, gather(l, &s, s.values, 0));
    qn__lower_close(l, &outer);
    end_loop(l, &s, qn__build(&l->b, QN__OP_FOR, args, 2 + s.count, s.types + 1, s.count, &region, 1, 0));
}

static void leave_loop(qn__lowering *l, qn__node_id node, bool is_break) {
    const uint32_t slot = !l->loop ? QN__NO_REF : is_break ? l->loop->broken : l->loop->skipped;
    if (slot == QN__NO_REF)
        qn__lower_internal(l, node, "break or continue outside of a loop");
    else
        l->slots[slot] = qn__lower_bool(l, true);
}

/* ---- all ---- */

static void lower_statement(qn__lowering *l, qn__node_id node) {
    if (!qn__lower_enter(l, node)) return;
    qn__lower_at(l, node);
    switch ((int)qn__ast_kind_of(l->ast, node)) {
    case QN__AST_LET: qn__lower_bind_values(l, node); break;
    case QN__AST_VAR: lower_var(l, node); break;
    case QN__AST_IF: lower_if(l, node); break;
    case QN__AST_WHILE: lower_while(l, node); break;
    case QN__AST_FOR: lower_for(l, node); break;
    case QN__AST_BREAK: leave_loop(l, node, true); break;
    case QN__AST_CONTINUE: leave_loop(l, node, false); break;
    case QN__AST_BLOCK: qn__lower_block(l, node); break;
    case QN__AST_ASSIGN:
        if (qn__lower_node(l, node)->meaning == QN__MEANS_TARGET)
            qn__lower_target_assign(l, node);
        else
            assign(l, node);
        break;
    default: qn__lower_internal(l, node, "a statement that cannot stand in a point");
    }
    qn__lower_leave(l);
}

/* No break and no continue so far in this iteration. */
static qn__value still_running(qn__lowering *l) {
    qn__value stopped = 0;
    const uint32_t flags[2] = {l->loop->broken, l->loop->skipped};
    for (uint32_t i = 0; i < 2; i++) {
        if (flags[i] == QN__NO_REF) continue;
        const qn__value flag = l->slots[flags[i]];
        stopped = stopped ? qn__lower_binary(l, QN__OP_OR, stopped, flag, 0) : flag;
    }
    return stopped ? qn__lower_op(l, QN__OP_NOT, &stopped, 1) : 0;
}

static void lower_guarded(qn__lowering *l, const qn__node_id *list, uint32_t count) {
    const qn__value running = still_running(l);
    uint32_t slot_count = 0;
    const uint32_t *slots = qn__lower_assigned(l, list, count, &slot_count);
    qn__lower_if f;
    qn__lower_if_begin(l, &f, running, slots, slot_count);
    lower_statements(l, list, count);
    qn__lower_if_else(l, &f, NULL, 0);
    qn__lower_if_end(l, &f, NULL, NULL);
}

/* How many statements to guard together: all, so that they know why they are executed; up to the next that may set a
 * flag where a long row of such statements would nest too deep. */
static uint32_t guarded_count(const qn__lowering *l, const qn__node_id *list, uint32_t count) {
    if (l->depth < QN__LOWER_GUARDS) return count;
    for (uint32_t i = 0; i < count; i++)
        if (qn__lower_escapes(l, list[i])) return i + 1;
    return count;
}

static void lower_statements(qn__lowering *l, const qn__node_id *list, uint32_t count) {
    bool guarded = false;
    for (uint32_t i = 0, n = 1; i < count && !l->ir->failed; i += n) {
        const qn__ast_kind kind = qn__ast_kind_of(l->ast, list[i]);
        n = guarded ? guarded_count(l, list + i, count - i) : 1;
        if (!qn__lower_enter(l, list[i])) return;
        if (guarded)
            lower_guarded(l, list + i, n);
        else
            lower_statement(l, list[i]);
        qn__lower_leave(l);
        if (!guarded && (kind == QN__AST_BREAK || kind == QN__AST_CONTINUE)) return;
        guarded = guarded || (l->loop && qn__lower_escapes(l, list[i]));
    }
}

void qn__lower_block(qn__lowering *l, qn__node_id block) {
    const qn__ast_node *node = qn__ast_get(l->ast, block);
    lower_statements(l, l->ast->children + node->child_begin, node->child_count);
}
