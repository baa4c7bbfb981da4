/* SSA form through structured control flow: which slots a piece of the tree assigns, and the joining of their values.
 *
 * A branch is lowered into a region of its own. At its end the values of the slots that either branch assigned and that
 * differ become results of the `if`, or, when both branches are few cheap instructions without effects, of selects
 * after their instructions have been moved to where the `if` would stand. */
#include "compiler/lower_private.h"

enum {
    SELECT_COST = 24, /* of both branches together: about what a mispredicted branch costs */
    EXPENSIVE = 8     /* of a division or root, in cheap operations */
};

/* ---- slots ---- */

static bool room_for_slot(qn__lowering *l, uint32_t slot) {
    void *slots = qn__arena_grow(l->arena, l->slots, &l->slot_capacity, (size_t)slot + 1, sizeof *l->slots);
    if (slots) l->slots = slots;
    void *stamps = qn__arena_grow(l->arena, l->stamps, &l->stamp_capacity, (size_t)slot + 1, sizeof *l->stamps);
    if (stamps) l->stamps = stamps;
    if (!slots || !stamps) l->ir->failed = true;
    return slots && stamps;
}

uint32_t qn__lower_new_slot(qn__lowering *l) {
    if (!room_for_slot(l, l->slot_count)) return 0;
    l->slots[l->slot_count] = 0;
    return l->slot_count++;
}

typedef struct slot_list {
    uint32_t *items;
    size_t count, capacity;
} slot_list;

static void add_slot(qn__lowering *l, slot_list *list, uint32_t slot) {
    if (slot >= l->slot_count || !l->slots[slot] || l->stamps[slot] == l->stamp) return;
    l->stamps[slot] = l->stamp;
    uint32_t *items = qn__arena_grow(l->arena, list->items, &list->capacity, list->count + 1, sizeof *items);
    if (!items) {
        l->ir->failed = true;
        return;
    }
    list->items = items;
    list->items[list->count++] = slot;
}

static void add_targets(qn__lowering *l, slot_list *list, qn__node_id assign) {
    const qn__node_id targets = qn__lower_child(l, assign, QN__ASSIGN_TARGETS);
    for (uint32_t i = 0; i < qn__ast_count(l->ast, targets); i++) {
        const qn__node_id target = qn__lower_child(l, targets, i);
        const qn__typed_node *n = qn__lower_node(l, target);
        if (qn__ast_kind_of(l->ast, target) == QN__AST_NAME && n->meaning == QN__MEANS_VARIABLE)
            add_slot(l, list, n->ref);
    }
}

/* own_loops: loops between the root of the search and this node, whose breaks are not of interest. */
static void find_assigned(qn__lowering *l, slot_list *list, qn__node_id node, uint32_t own_loops) {
    if (!node) return;
    const qn__ast_kind kind = qn__ast_kind_of(l->ast, node);
    if (kind == QN__AST_ASSIGN) add_targets(l, list, node);
    if (kind == QN__AST_VAR && qn__lower_node(l, node)->ref < l->slot_count)
        l->stamps[qn__lower_node(l, node)->ref] = l->stamp; /* declared inside: not of interest outside */
    if (kind == QN__AST_BREAK && !own_loops && l->loop) add_slot(l, list, l->loop->broken);
    if (kind == QN__AST_CONTINUE && !own_loops && l->loop) add_slot(l, list, l->loop->skipped);
    if (kind == QN__AST_WHILE || kind == QN__AST_FOR) own_loops++;
    for (uint32_t i = 0; i < qn__ast_count(l->ast, node); i++)
        find_assigned(l, list, qn__lower_child(l, node, i), own_loops);
}

uint32_t *qn__lower_assigned(qn__lowering *l, const qn__node_id *nodes, uint32_t node_count, uint32_t *count) {
    slot_list list = {0};
    l->stamp++;
    for (uint32_t i = 0; i < node_count; i++) find_assigned(l, &list, nodes[i], 0);
    *count = (uint32_t)list.count;
    return list.items;
}

bool qn__lower_escapes(const qn__lowering *l, qn__node_id node) {
    if (!node) return false;
    const qn__ast_kind kind = qn__ast_kind_of(l->ast, node);
    if (kind == QN__AST_BREAK || kind == QN__AST_CONTINUE) return true;
    if (kind == QN__AST_WHILE || kind == QN__AST_FOR) return false;
    for (uint32_t i = 0; i < qn__ast_count(l->ast, node); i++)
        if (qn__lower_escapes(l, qn__lower_child(l, node, i))) return true;
    return false;
}

/* ---- regions ---- */

qn__region_ref qn__lower_open(qn__lowering *l, const qn__type *types, uint32_t count, qn__builder *outer) {
    *outer = l->b;
    l->b.region = qn__region_create(l->ir, types, count);
    l->b.before = 0;
    return l->b.region;
}

void qn__lower_close(qn__lowering *l, const qn__builder *outer) {
    const uint32_t location = l->b.location;
    l->b = *outer;
    l->b.location = location;
}

bool qn__lower_is_pure(const qn__lowering *l, qn__region_ref region, uint32_t limit) {
    uint32_t cost = 0;
    for (qn__instr_ref ref = l->ir->regions[region].first; ref; ref = l->ir->instrs[ref].next) {
        const qn__instr *instr = &l->ir->instrs[ref];
        if (qn__op_table[instr->op].effect != QN__EFFECT_PURE || instr->op == QN__OP_CALL) return false;
        if (instr->op == QN__OP_CONST) continue;
        cost += instr->op == QN__OP_DIV || instr->op == QN__OP_REM || instr->op == QN__OP_SQRT ? EXPENSIVE : 1;
        if (cost > limit) return false;
    }
    return true;
}

void qn__lower_splice(qn__lowering *l, qn__region_ref region) {
    qn__ir *ir = l->ir;
    qn__region *from = &ir->regions[region], *to = &ir->regions[l->b.region];
    if (ir->failed || !from->first) return;
    for (qn__instr_ref ref = from->first; ref; ref = ir->instrs[ref].next) ir->instrs[ref].region = l->b.region;
    ir->instrs[from->first].previous = to->last;
    if (to->last)
        ir->instrs[to->last].next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    from->first = from->last = 0;
}

/* ---- if ---- */

void qn__lower_if_begin(qn__lowering *l, qn__lower_if *f, qn__value condition, const uint32_t *slots,
                        uint32_t slot_count) {
    *f = (qn__lower_if){.condition = condition, .slots = slots, .slot_count = slot_count};
    f->before = QN__ARENA_ARRAY(l->arena, qn__value, slot_count);
    if (!f->before) {
        l->ir->failed = true;
        f->slot_count = 0;
    }
    for (uint32_t i = 0; i < f->slot_count; i++) f->before[i] = l->slots[slots[i]];
    f->regions[0] = qn__lower_open(l, NULL, 0, &f->outer);
}

/* Notes what a branch leaves behind. */
static void end_branch(qn__lowering *l, qn__lower_if *f, uint32_t branch, const qn__value *results) {
    const uint32_t count = f->slot_count + f->result_count;
    qn__value *values = QN__ARENA_ARRAY(l->arena, qn__value, count);
    f->values[branch] = values;
    if (!values) {
        l->ir->failed = true;
        return;
    }
    for (uint32_t i = 0; i < f->slot_count; i++) {
        values[i] = l->slots[f->slots[i]];
        l->slots[f->slots[i]] = f->before[i];
    }
    for (uint32_t i = 0; i < f->result_count; i++) values[f->slot_count + i] = results[i];
    qn__lower_close(l, &f->outer);
}

void qn__lower_if_else(qn__lowering *l, qn__lower_if *f, const qn__value *results, uint32_t result_count) {
    f->result_count = result_count;
    end_branch(l, f, 0, results);
    f->regions[1] = qn__lower_open(l, NULL, 0, &f->outer);
}

static void join(qn__lowering *l, qn__lower_if *f, uint32_t i, qn__value value, qn__value *joined) {
    if (i < f->slot_count) {
        l->slots[f->slots[i]] = value;
        qn__lower_note_value(l, f->slots[i]);
    } else {
        joined[i - f->slot_count] = value;
    }
}

static void join_selects(qn__lowering *l, qn__lower_if *f, qn__value *joined) {
    qn__lower_splice(l, f->regions[0]);
    qn__lower_splice(l, f->regions[1]);
    for (uint32_t i = 0; i < f->slot_count + f->result_count; i++) {
        const qn__value yes = f->values[0][i], no = f->values[1][i];
        join(l, f, i, yes == no ? yes : qn__build_select(&l->b, f->condition, yes, no), joined);
    }
}

static void join_if(qn__lowering *l, qn__lower_if *f, qn__value *joined) {
    const uint32_t count = f->slot_count + f->result_count;
    qn__type *types = QN__ARENA_ARRAY(l->arena, qn__type, count);
    qn__value *yields[2] = {QN__ARENA_ARRAY(l->arena, qn__value, count), QN__ARENA_ARRAY(l->arena, qn__value, count)};
    uint32_t differing = 0;
    if (!types || !yields[0] || !yields[1]) {
        l->ir->failed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (f->values[0][i] == f->values[1][i]) continue;
        types[differing] = qn__lower_type(l, f->values[0][i]);
        for (uint32_t k = 0; k < 2; k++) yields[k][differing] = f->values[k][i];
        differing++;
    }
    for (uint32_t k = 0; k < 2; k++) {
        qn__builder b = {.ir = l->ir, .region = f->regions[k], .location = l->b.location};
        qn__build_yield(&b, yields[k], differing);
    }
    const qn__instr_ref ref = qn__build(&l->b, QN__OP_IF, &f->condition, 1, types, differing, f->regions, 2, 0);
    if (!ref) return;
    for (uint32_t i = 0, k = 0; i < count; i++) {
        const bool same = f->values[0][i] == f->values[1][i];
        join(l, f, i, same ? f->values[0][i] : qn__result(l->ir, ref, k), joined);
        k += !same;
    }
}

void qn__lower_if_end(qn__lowering *l, qn__lower_if *f, const qn__value *results, qn__value *joined) {
    end_branch(l, f, 1, results);
    if (l->ir->failed || !f->values[0] || !f->values[1]) {
        l->ir->failed = true;
        return;
    }
    if (qn__lower_is_pure(l, f->regions[0], SELECT_COST / 2) && qn__lower_is_pure(l, f->regions[1], SELECT_COST / 2))
        join_selects(l, f, joined);
    else
        join_if(l, f, joined);
}

/* ---- and, or ---- */

qn__value qn__lower_logic(qn__lowering *l, qn__value left, qn__node_id right, bool is_and) {
    uint32_t count = 0;
    const uint32_t *slots = qn__lower_assigned(l, &right, 1, &count);
    qn__lower_if f;
    qn__value joined = 0, decided, value;
    qn__lower_if_begin(l, &f, left, slots, count);
    if (is_and) {
        value = qn__lower_expression(l, right);
        if (!count && qn__lower_is_pure(l, f.regions[0], SELECT_COST)) {
            qn__lower_close(l, &f.outer);
            qn__lower_splice(l, f.regions[0]);
            return qn__lower_binary(l, QN__OP_AND, left, value, 0);
        }
        qn__lower_if_else(l, &f, &value, 1);
        decided = qn__lower_bool(l, false);
        qn__lower_if_end(l, &f, &decided, &joined);
        return joined;
    }
    decided = qn__lower_bool(l, true);
    qn__lower_if_else(l, &f, &decided, 1);
    value = qn__lower_expression(l, right);
    if (!count && qn__lower_is_pure(l, f.regions[1], SELECT_COST)) {
        qn__lower_close(l, &f.outer);
        qn__lower_splice(l, f.regions[1]);
        return qn__lower_binary(l, QN__OP_OR, left, value, 0);
    }
    qn__lower_if_end(l, &f, &value, &joined);
    return joined;
}
