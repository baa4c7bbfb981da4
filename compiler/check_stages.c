// What the statements of a kernel that write arrays have in common: indices are declared (written ones first, then
// those that the target's subscripts introduce), subscripts and values are checked, ranges inferred, and then it is
// decided what is written: no element twice, every element of an array that had no value before.
#include "compiler/check_stages.h"

// ---- Beginning and end ----
void qn__work_begin(qn__work *w, qn__body *b, qn__node_id node) {
    *w = (qn__work){.b = b, .uses = b->use_count, .reads = b->read_count};
    w->stage.node = node;
    w->stage.first_target = b->t->target_count;
    qn__scope_open(b, &w->scope);
    b->stage_indices = b->t->variable_count;
    b->point_loops = b->point_branches = 0;
}

void qn__work_index(qn__work *w, uint32_t index) {
    if (index == QN__NO_REF) return;
    uint32_t *grown = qn__arena_grow(w->b->c->arena, w->stage.indices, &w->index_capacity,
                                     (size_t)w->stage.index_count + 1, sizeof *grown);
    if (!grown) {
        w->b->failed = true;
        return;
    }
    w->stage.indices = grown;
    w->stage.indices[w->stage.index_count++] = index;
    w->b->stage_first = w->b->stage_indices;
}

void qn__work_domain(qn__work *w, qn__node_id domain) {
    qn__body *b = w->b;
    b->no_stage_index = true;
    for (uint32_t i = 0; domain && i < qn__ast_count(b->ast, domain); i++) {
        b->stage_indices_end = b->t->variable_count;
        qn__work_index(w, qn__declare_range(b, qn__ast_child(b->ast, domain, i), QN__VARIABLE_INDEX));
    }
    b->no_stage_index = false;
}

bool qn__work_ranges(qn__work *w) {
    bool good = true;
    for (uint32_t i = 0; i < w->stage.index_count; i++) good &= qn__infer_range(w->b, w->stage.indices[i], w->uses);
    return good;
}

void qn__work_end(qn__work *w) {
    qn__body *b = w->b;
    b->stage_first = QN__NO_REF;
    w->stage.target_count = b->t->target_count - w->stage.first_target;
    uint32_t number = qn__add_stage(b, w->stage);
    qn__set_node(b, w->stage.node, QN__MEANS_STAGE, number, QN__TERM_ERROR);
    qn__scope_close(b, w->scope);
}

// ---- Targets ----
// Names in the subscripts of a target that mean nothing yet are the statement's indices.
void qn__introduce_indices(qn__work *w, qn__node_id node, uint32_t depth) {
    qn__body *b = w->b;
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    if (depth > 100) return;
    if (n->kind == QN__AST_NAME) {
        bool literal = n->name == b->c->name_pi || n->name == b->c->name_inf || n->name == b->c->name_nan;
        uint32_t item = qn__check_find_item(b->c, n->name, node);
        bool constant = item != QN__NO_REF && qn__ast_kind_of(b->ast, b->c->items[item].item.node) == QN__AST_CONST;
        if (!n->name || literal || constant || qn__lookup(b, n->name) != QN__NO_REF) return;
        qn__work_index(w, qn__declare_index(b, n->name, n->span, node));
        return;
    }
    if (n->kind != QN__AST_INDEX && n->kind != QN__AST_CALL && n->kind != QN__AST_UNARY && n->kind != QN__AST_BINARY)
        return;
    for (uint32_t i = 0; i < n->child_count; i++) qn__introduce_indices(w, qn__ast_child(b->ast, node, i), depth + 1);
}

static void complain_not_assignable(qn__body *b, qn__node_id target, uint32_t variable) {
    const qn__typed_variable *v = &b->t->variables[variable];
    qn__diagnostic *d;
    switch ((qn__variable_kind)v->kind) {
    case QN__VARIABLE_INPUT:
        d = qn__complain(b, ASSIGN_INPUT, qn__ast_name_span(b->ast, target), QN__SAY(v->name));
        qn__diagnostic_note(d, v->span, "'%s' is declared here", v->name);
        qn__diagnostic_hint(d, "declare it as inout %s: ..., or assign to an output", v->name);
        return;
    case QN__VARIABLE_LET:
        d = qn__complain(b, ASSIGN_LET, qn__ast_name_span(b->ast, target), QN__SAY(v->name));
        qn__diagnostic_note(d, v->span, "'%s' is declared here", v->name);
        if (b->stage_first == QN__NO_REF && b->level == QN__LEVEL_KERNEL)
            qn__diagnostic_hint(d, "declare it as let %s: f64, and assign it as often as you like", v->name);
        else
            qn__diagnostic_hint(d, "declare it as var %s = ...", v->name);
        return;
    case QN__VARIABLE_SCALAR:
    case QN__VARIABLE_SIZE:
    case QN__VARIABLE_INDEX:
    case QN__VARIABLE_LOOP:
        d = qn__complain(b, ASSIGN_CONSTANT, qn__ast_name_span(b->ast, target), QN__SAY(v->name));
        qn__diagnostic_note(d, v->span, "'%s' is declared here", v->name);
        qn__diagnostic_hint(d, "assign to an output or a variable");
        return;
    case QN__VARIABLE_INOUT:
    case QN__VARIABLE_OUTPUT:
    case QN__VARIABLE_TEMP:
    case QN__VARIABLE_VAR:
    case QN__VARIABLE_LOCAL: return;
    }
}

static bool assignable(uint8_t kind) {
    return kind == QN__VARIABLE_INOUT || kind == QN__VARIABLE_OUTPUT || kind == QN__VARIABLE_TEMP;
}

// A target at kernel level or in a block: its array, or QN__NO_REF after a complaint. The term is that of the element.
uint32_t qn__check_target(qn__body *b, qn__node_id target, bool whole, qn__term_id *term) {
    const qn__ast_node *n = qn__ast_get(b->ast, target);
    uint32_t variable = qn__lookup(b, n->name);
    *term = QN__TERM_ERROR;
    if (variable == QN__NO_REF) {
        qn__complain_unknown(b, target, n->kind == QN__AST_INDEX);
        return QN__NO_REF;
    }
    const qn__typed_variable *v = &b->t->variables[variable];
    if (b->info[variable].poisoned || !assignable(v->kind)) {
        if (!b->info[variable].poisoned) complain_not_assignable(b, target, variable);
        b->failed = true;
        return QN__NO_REF;
    }
    b->info[variable].written = true;
    *term = b->info[variable].term;
    if (n->kind == QN__AST_INDEX) {
        *term = qn__check_subscripts(b, target, variable, true);
        qn__set_node(b, target, QN__MEANS_ARRAY, variable, *term);
        return qn__ast_count(b->ast, target) == b->t->variables[variable].rank ? variable : QN__NO_REF;
    }
    qn__set_node(b, target, QN__MEANS_VARIABLE, variable, *term);
    if (v->rank && !whole) {
        qn__diagnostic *d = qn__complain(b, WHOLE_ARRAY, n->span, QN__SAY(v->name));
        qn__diagnostic_hint(d, "write %s = ...: that is for all elements at once", qn__element_text(b, variable));
        return QN__NO_REF;
    }
    return variable;
}

// ---- What a stage writes ----
static bool mentions(qn__body *b, qn__node_id node, uint32_t variable, uint32_t depth) {
    const qn__typed_node *t = qn__node(b, node);
    if (qn__ast_kind_of(b->ast, node) == QN__AST_NAME) return t->meaning == QN__MEANS_VARIABLE && t->ref == variable;
    for (uint32_t i = 0; i < qn__ast_count(b->ast, node) && depth < 100; i++) {
        qn__node_id child = qn__ast_child(b->ast, node, i);
        if (child && mentions(b, child, variable, depth + 1)) return true;
    }
    return false;
}

void qn__complain_collision(qn__work *w, qn__node_id target, uint32_t loose, const char *array) {
    qn__body *b = w->b;
    const char *index = loose == QN__NO_REF ? "..." : b->t->variables[b->t->indices[loose].variable].name;
    qn__diagnostic *d = qn__complain(b, COLLISION, qn__ast_get(b->ast, target)->span, QN__SAY(index), QN__SAY(array));
    if (loose != QN__NO_REF)
        qn__diagnostic_note(d, b->t->variables[b->t->indices[loose].variable].span, "index '%s'", index);
    const char *text = qn__source_text(b, target);
    bool absent = loose != QN__NO_REF && !mentions(b, target, b->t->indices[loose].variable, 0);
    qn__diagnostic_hint(d, "combine them: %s += ..., or min=, max=, *=", text);
    if (absent)
        qn__diagnostic_hint(d, "or reduce over it: %s = sum(%s: ...)", text, index);
    else
        qn__diagnostic_hint(d, "or let each '%s' have its own element: %s[%s] = ...", index, array, index);
}

// What is written of one dimension, when that is not all of it.
static void note_dimension(qn__work *w, qn__diagnostic *d, qn__node_id sub, uint32_t dimension,
                           const qn__linear *extent) {
    qn__body *b = w->b;
    const char *size = qn__linear_text(b, extent);
    for (uint32_t k = 0; k < w->stage.index_count; k++) {
        const qn__typed_index *index = &b->t->indices[w->stage.indices[k]];
        if (qn__node(b, sub)->meaning != QN__MEANS_VARIABLE || qn__node(b, sub)->ref != index->variable) continue;
        if (qn__range_is_full(b, index, extent)) return;
        if (index->begin && index->end) {
            qn__diagnostic_note(d, QN__NO_SPAN, "dimension %u has %s elements; '%s' is only in %s..%s", dimension, size,
                                b->t->variables[index->variable].name, qn__source_text(b, index->begin),
                                qn__source_text(b, index->end));
            return;
        }
    }
    qn__diagnostic_note(d, QN__NO_SPAN, "dimension %u has %s elements; it is written at %s", dimension, size,
                        qn__source_text(b, sub));
}

static void complain_coverage(qn__work *w, uint32_t number) {
    qn__body *b = w->b;
    uint32_t array = b->t->targets[number].array;
    qn__node_id target = b->t->targets[number].node;
    const qn__typed_variable *v = &b->t->variables[array];
    qn__diagnostic *d = qn__complain(b, COVERAGE, qn__ast_get(b->ast, target)->span, QN__SAY(v->name));
    for (uint32_t i = 0; i < v->rank; i++) {
        qn__node_id sub =
            qn__ast_kind_of(b->ast, target) == QN__AST_INDEX ? qn__ast_child(b->ast, target, i) : QN__NO_NODE;
        if (sub) note_dimension(w, d, sub, i, &b->info[array].extent[i]);
    }
    bool block = qn__ast_kind_of(b->ast, w->stage.node) == QN__AST_FOR_BLOCK;
    if (block && b->target_depth[number]) qn__diagnostic_note(d, QN__NO_SPAN, "the assignment is not always executed");
    if (!block) qn__diagnostic_hint(d, "say what the others are: else 0");
    qn__diagnostic_hint(d, "%sassign all of it before: %s = 0", block ? "" : "or ", qn__element_text(b, array));
}

// Node numbers grow in the order of the text, and a statement's own comes after its parts'.
void qn__decide_copy(qn__work *w, uint32_t number) {
    qn__body *b = w->b;
    qn__typed_target *target = &b->t->targets[number];
    bool block = qn__ast_kind_of(b->ast, w->stage.node) == QN__AST_FOR_BLOCK;
    for (size_t i = w->reads; i < b->read_count; i++) {
        const qn__read *read = &b->reads[i];
        if (read->array != target->array) continue;
        bool after = block && (read->node > b->target_statement[number] || read->in_loop);
        if (target->scatter || after || !qn__same_element(b, read->node, target->node)) target->copy = true;
    }
}

// Fills in what is known only when ranges and subscripts are.
static void decide_target(qn__work *w, uint32_t number, bool combine) {
    qn__body *b = w->b;
    qn__typed_target *target = &b->t->targets[number];
    if (target->array == QN__NO_REF) return;
    const qn__info *info = &b->info[target->array];
    const char *name = b->t->variables[target->array].name;
    uint32_t loose;
    bool injective = qn__target_injective(b, &w->stage, target->node, &loose);
    target->scatter = combine && !injective;
    if (!injective && !combine) qn__complain_collision(w, target->node, loose, name);
    target->initialises = info->defined == QN__DEFINED_NO;
    if (combine && info->defined == QN__DEFINED_PART) {
        qn__diagnostic *d = qn__complain(b, READ_BEFORE_WRITE, qn__ast_name_span(b->ast, target->node), QN__SAY(name));
        qn__diagnostic_note(d, QN__NO_SPAN, "only some of its elements, or only on some ways here, have got a value");
        qn__diagnostic_hint(d, "assign all of '%s' before", name);
    } else if (combine && target->initialises && info->loop_depth < b->loop_depth) {
        qn__diagnostic *d = qn__complain(b, COMBINE_IN_LOOP, qn__ast_get(b->ast, target->node)->span, QN__SAY(name));
        qn__diagnostic_hint(d, "assign it before the loop: %s = 0", qn__element_text(b, target->array));
        b->info[target->array].excused = true;
    }
}

// Two targets of one array in one stage must be of one element or never meet.
static void check_pairs(qn__work *w) {
    qn__body *b = w->b;
    uint32_t end = w->stage.first_target + w->stage.target_count;
    if (w->stage.target_count > QN__CHECK_TARGETS) {
        qn__complain(b, TOO_MANY_TARGETS, qn__ast_get(b->ast, w->stage.node)->span, QN__SAY_UINT(QN__CHECK_TARGETS));
        return;
    }
    for (uint32_t i = w->stage.first_target; i < end; i++) {
        for (uint32_t j = i + 1; j < end; j++) {
            const qn__typed_target *x = &b->t->targets[i], *y = &b->t->targets[j];
            if (x->array != y->array || x->array == QN__NO_REF || (x->combine && y->combine && x->op == y->op))
                continue;
            bool block = qn__ast_kind_of(b->ast, w->stage.node) == QN__AST_FOR_BLOCK;
            if ((block && !x->scatter && !y->scatter && qn__same_element(b, x->node, y->node)) ||
                qn__targets_apart(b, x->node, y->node))
                continue;
            qn__diagnostic *d = qn__complain(b, TARGETS_MEET, qn__ast_get(b->ast, y->node)->span,
                                             QN__SAY(b->t->variables[y->array].name));
            qn__diagnostic_note(d, qn__ast_get(b->ast, x->node)->span, "the other assignment");
            qn__diagnostic_hint(d, "write two statements: the second then sees what the first wrote");
            return;
        }
    }
}

// Coverage, and from now on the arrays have values.
static void decide_coverage(qn__work *w) {
    qn__body *b = w->b;
    uint32_t end = w->stage.first_target + w->stage.target_count;
    for (uint32_t i = w->stage.first_target; i < end; i++) {
        qn__typed_target *target = &b->t->targets[i];
        if (target->array == QN__NO_REF) continue;
        qn__info *info = &b->info[target->array];
        bool full = w->stage.otherwise || (target->combine && target->initialises) ||
                    qn__targets_full(b, &w->stage, target->array);
        target->full = full;
        if (info->defined == QN__DEFINED_YES || full) continue;
        if (info->unknown_size) continue; // complained about elsewhere
        if (!b->failed) complain_coverage(w, i);
        info->defined = QN__DEFINED_YES; // said once
    }
    for (uint32_t i = w->stage.first_target; i < end; i++) {
        qn__typed_target *target = &b->t->targets[i];
        if (target->array != QN__NO_REF) b->info[target->array].defined = QN__DEFINED_YES;
    }
}

void qn__decide_writes(qn__work *w) {
    qn__body *b = w->b;
    w->stage.target_count = b->t->target_count - w->stage.first_target;
    if (qn__arena_failed(b->c->arena)) return;
    qn__order_indices(b, &w->stage);
    for (uint32_t i = 0; i < w->stage.target_count; i++) {
        uint32_t number = w->stage.first_target + i;
        decide_target(w, number, b->t->targets[number].combine);
    }
    check_pairs(w);
    for (uint32_t i = 0; i < w->stage.target_count; i++) qn__decide_copy(w, w->stage.first_target + i);
    decide_coverage(w);
}

void qn__complain_unknown_size(qn__body *b, qn__node_id target, uint32_t array) {
    const char *name = b->t->variables[array].name;
    qn__diagnostic *d = qn__complain(b, KEEP_ONLY, qn__ast_get(b->ast, target)->span, QN__SAY(name));
    qn__diagnostic_note(d, b->t->variables[array].span, "its size is known only after a keep");
    qn__diagnostic_hint(d, "write %s = keep(i: ... where ...)", name);
}
