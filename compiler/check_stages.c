// The statements of a kernel that are stages: assignments to elements, temporary arrays, keep, scan, blocks over a domain.
// The order of work in each: indices are declared (written ones first, then those that the target's subscripts introduce),
// subscripts and values are checked, ranges inferred, and then it is decided what the stage writes: no element twice, every
// element of an array that had no value before.
#include "compiler/check_private.h"

typedef struct work {
    qn__body *b;
    qn__typed_stage stage;
    size_t index_capacity;
    size_t uses, reads;   // where this stage's begin
    size_t scope;
    bool has_domain;
} work;

// ---- Beginning and end ----
static void work_begin(work *w, qn__body *b, qn__node_id node) {
    *w = (work){.b = b, .uses = b->use_count, .reads = b->read_count};
    w->stage.node = node;
    w->stage.first_target = b->t->target_count;
    qn__scope_open(b, &w->scope);
    b->stage_indices = b->t->variable_count;
    b->point_loops = b->point_branches = 0;
}

static void work_index(work *w, uint32_t index) {
    if (index == QN__NO_REF) return;
    uint32_t *grown = qn__arena_grow(w->b->c->arena, w->stage.indices, &w->index_capacity, (size_t)w->stage.index_count + 1, sizeof *grown);
    if (!grown) {
        w->b->failed = true;
        return;
    }
    w->stage.indices = grown;
    w->stage.indices[w->stage.index_count++] = index;
    w->b->stage_first = w->b->stage_indices;
}

static void work_domain(work *w, qn__node_id domain) {
    qn__body *b = w->b;
    w->has_domain = domain != QN__NO_NODE;
    b->no_stage_index = true;
    for (uint32_t i = 0; domain && i < qn__ast_count(b->ast, domain); i++) {
        b->stage_indices_end = b->t->variable_count;
        work_index(w, qn__declare_range(b, qn__ast_child(b->ast, domain, i), QN__VARIABLE_INDEX));
    }
    b->no_stage_index = false;
}

static bool work_ranges(work *w) {
    bool good = true;
    for (uint32_t i = 0; i < w->stage.index_count; i++) good &= qn__infer_range(w->b, w->stage.indices[i], w->uses);
    return good;
}

static void work_end(work *w) {
    qn__body *b = w->b;
    b->stage_first = QN__NO_REF;
    w->stage.target_count = b->t->target_count - w->stage.first_target;
    uint32_t number = qn__add_stage(b, w->stage);
    qn__set_node(b, w->stage.node, QN__MEANS_STAGE, number, QN__TERM_ERROR);
    qn__scope_close(b, w->scope);
}

// ---- Targets ----
// Names in the subscripts of a target that mean nothing yet are the statement's indices.
static void introduce_indices(work *w, qn__node_id node, uint32_t depth) {
    qn__body *b = w->b;
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    if (depth > 100) return;
    if (n->kind == QN__AST_NAME) {
        bool literal = n->name == b->c->name_pi || n->name == b->c->name_inf || n->name == b->c->name_nan;
        uint32_t item = qn__check_find_item(b->c, n->name, node);
        bool constant = item != QN__NO_REF && qn__ast_kind_of(b->ast, b->c->items[item].item.node) == QN__AST_CONST;
        if (!n->name || literal || constant || qn__lookup(b, n->name) != QN__NO_REF) return;
        work_index(w, qn__declare_index(b, n->name, n->span, node));
        return;
    }
    if (n->kind != QN__AST_INDEX && n->kind != QN__AST_CALL && n->kind != QN__AST_UNARY && n->kind != QN__AST_BINARY) return;
    for (uint32_t i = 0; i < n->child_count; i++) introduce_indices(w, qn__ast_child(b->ast, node, i), depth + 1);
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
        if (b->stage_first == QN__NO_REF && b->level == QN__LEVEL_KERNEL) qn__diagnostic_hint(d, "declare it as let %s: f64, and assign it as often as you like", v->name);
        else qn__diagnostic_hint(d, "declare it as var %s = ...", v->name);
        return;
    case QN__VARIABLE_SCALAR: case QN__VARIABLE_SIZE: case QN__VARIABLE_INDEX: case QN__VARIABLE_LOOP:
        d = qn__complain(b, ASSIGN_CONSTANT, qn__ast_name_span(b->ast, target), QN__SAY(v->name));
        qn__diagnostic_note(d, v->span, "'%s' is declared here", v->name);
        qn__diagnostic_hint(d, "assign to an output or a variable");
        return;
    case QN__VARIABLE_INOUT: case QN__VARIABLE_OUTPUT: case QN__VARIABLE_TEMP: case QN__VARIABLE_VAR: case QN__VARIABLE_LOCAL: return;
    }
}

static bool assignable(uint8_t kind) { return kind == QN__VARIABLE_INOUT || kind == QN__VARIABLE_OUTPUT || kind == QN__VARIABLE_TEMP; }

// A target at kernel level or in a block: its array, or QN__NO_REF after a complaint. The term is that of the element.
static uint32_t check_target(qn__body *b, qn__node_id target, bool whole, qn__term_id *term) {
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

static void complain_collision(work *w, qn__node_id target, uint32_t loose, const char *array) {
    qn__body *b = w->b;
    const char *index = loose == QN__NO_REF ? "..." : b->t->variables[b->t->indices[loose].variable].name;
    qn__diagnostic *d = qn__complain(b, COLLISION, qn__ast_get(b->ast, target)->span, QN__SAY(index), QN__SAY(array));
    if (loose != QN__NO_REF) qn__diagnostic_note(d, b->t->variables[b->t->indices[loose].variable].span, "index '%s'", index);
    const char *text = qn__source_text(b, target);
    bool absent = loose != QN__NO_REF && !mentions(b, target, b->t->indices[loose].variable, 0);
    qn__diagnostic_hint(d, "combine them: %s += ..., or min=, max=, *=", text);
    if (absent) qn__diagnostic_hint(d, "or reduce over it: %s = sum(%s: ...)", text, index);
    else qn__diagnostic_hint(d, "or let each '%s' have its own element: %s[%s] = ...", index, array, index);
}

// What is written of one dimension, when that is not all of it.
static void note_dimension(work *w, qn__diagnostic *d, qn__node_id sub, uint32_t dimension, const qn__linear *extent) {
    qn__body *b = w->b;
    const char *size = qn__linear_text(b, extent);
    for (uint32_t k = 0; k < w->stage.index_count; k++) {
        const qn__typed_index *index = &b->t->indices[w->stage.indices[k]];
        if (qn__node(b, sub)->meaning != QN__MEANS_VARIABLE || qn__node(b, sub)->ref != index->variable) continue;
        if (qn__range_is_full(b, index, extent)) return;
        if (index->begin && index->end) {
            qn__diagnostic_note(d, QN__NO_SPAN, "dimension %u has %s elements; '%s' is only in %s..%s", dimension, size, b->t->variables[index->variable].name,
                                qn__source_text(b, index->begin), qn__source_text(b, index->end));
            return;
        }
    }
    qn__diagnostic_note(d, QN__NO_SPAN, "dimension %u has %s elements; it is written at %s", dimension, size, qn__source_text(b, sub));
}

static void complain_coverage(work *w, uint32_t number) {
    qn__body *b = w->b;
    uint32_t array = b->t->targets[number].array;
    qn__node_id target = b->t->targets[number].node;
    const qn__typed_variable *v = &b->t->variables[array];
    qn__diagnostic *d = qn__complain(b, COVERAGE, qn__ast_get(b->ast, target)->span, QN__SAY(v->name));
    for (uint32_t i = 0; i < v->rank; i++) {
        qn__node_id sub = qn__ast_kind_of(b->ast, target) == QN__AST_INDEX ? qn__ast_child(b->ast, target, i) : QN__NO_NODE;
        if (sub) note_dimension(w, d, sub, i, &b->info[array].extent[i]);
    }
    bool block = qn__ast_kind_of(b->ast, w->stage.node) == QN__AST_FOR_BLOCK;
    if (block && b->target_depth[number]) qn__diagnostic_note(d, QN__NO_SPAN, "the assignment is not always executed");
    if (!block) qn__diagnostic_hint(d, "say what the others are: else 0");
    qn__diagnostic_hint(d, "%sassign all of it before: %s = 0", block ? "" : "or ", qn__element_text(b, array));
}

// Node numbers grow in the order of the text, and a statement's own comes after its parts'.
static void decide_copy(work *w, uint32_t number) {
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
static void decide_target(work *w, uint32_t number, bool combine) {
    qn__body *b = w->b;
    qn__typed_target *target = &b->t->targets[number];
    if (target->array == QN__NO_REF) return;
    const qn__info *info = &b->info[target->array];
    const char *name = b->t->variables[target->array].name;
    uint32_t loose;
    bool injective = qn__target_injective(b, &w->stage, target->node, &loose);
    target->scatter = combine && !injective;
    if (!injective && !combine) complain_collision(w, target->node, loose, name);
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
static void check_pairs(work *w) {
    qn__body *b = w->b;
    uint32_t end = w->stage.first_target + w->stage.target_count;
    if (w->stage.target_count > QN__CHECK_TARGETS) {
        qn__complain(b, TOO_MANY_TARGETS, qn__ast_get(b->ast, w->stage.node)->span, QN__SAY_UINT(QN__CHECK_TARGETS));
        return;
    }
    for (uint32_t i = w->stage.first_target; i < end; i++) {
        for (uint32_t j = i + 1; j < end; j++) {
            const qn__typed_target *x = &b->t->targets[i], *y = &b->t->targets[j];
            if (x->array != y->array || x->array == QN__NO_REF || (x->combine && y->combine && x->op == y->op)) continue;
            bool block = qn__ast_kind_of(b->ast, w->stage.node) == QN__AST_FOR_BLOCK;
            if ((block && !x->scatter && !y->scatter && qn__same_element(b, x->node, y->node)) || qn__targets_apart(b, x->node, y->node)) continue;
            qn__diagnostic *d = qn__complain(b, TARGETS_MEET, qn__ast_get(b->ast, y->node)->span, QN__SAY(b->t->variables[y->array].name));
            qn__diagnostic_note(d, qn__ast_get(b->ast, x->node)->span, "the other assignment");
            qn__diagnostic_hint(d, "write two statements: the second then sees what the first wrote");
            return;
        }
    }
}

// Coverage, and from now on the arrays have values.
static void decide_coverage(work *w) {
    qn__body *b = w->b;
    uint32_t end = w->stage.first_target + w->stage.target_count;
    for (uint32_t i = w->stage.first_target; i < end; i++) {
        qn__typed_target *target = &b->t->targets[i];
        if (target->array == QN__NO_REF) continue;
        qn__info *info = &b->info[target->array];
        bool full = w->stage.otherwise || (target->combine && target->initialises) || qn__targets_full(b, &w->stage, target->array);
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

static void decide(work *w) {
    qn__body *b = w->b;
    w->stage.target_count = b->t->target_count - w->stage.first_target;
    if (qn__arena_failed(b->c->arena)) return;
    qn__order_indices(b, &w->stage);
    for (uint32_t i = 0; i < w->stage.target_count; i++) {
        uint32_t number = w->stage.first_target + i;
        decide_target(w, number, b->t->targets[number].combine);
    }
    check_pairs(w);
    for (uint32_t i = 0; i < w->stage.target_count; i++) decide_copy(w, w->stage.first_target + i);
    decide_coverage(w);
}

static void complain_unknown_size(qn__body *b, qn__node_id target, uint32_t array) {
    const char *name = b->t->variables[array].name;
    qn__diagnostic *d = qn__complain(b, KEEP_ONLY, qn__ast_get(b->ast, target)->span, QN__SAY(name));
    qn__diagnostic_note(d, b->t->variables[array].span, "its size is known only after a keep");
    qn__diagnostic_hint(d, "write %s = keep(i: ... where ...)", name);
}

// ---- Assignments ----
static bool check_combine_type(qn__body *b, qn__node_id node, qn__node_id target, qn__term_id term, qn__ast_assign op) {
    qn__type_set set;
    qn__op combine = qn__assign_op(op, &set);
    if (op == QN__ASSIGN_OP_SET) return true;
    qn__node(b, node)->bits = combine; // ref becomes the stage
    if (qn__term_restrict(b, term, set)) return true;
    qn__diagnostic *d = qn__complain(b, OPERAND_TYPE, qn__ast_get(b->ast, target)->span, QN__SAY(qn__ast_assign_text(op)), QN__SAY(qn__term_text(b, term)));
    qn__diagnostic_found(d, "%s", qn__term_text(b, term));
    qn__diagnostic_expected(d, "%s", set == QN__SET_BOOL ? "bool" : set == QN__SET_NUMBER ? "a number" : "an integer type or bool");
    return false;
}

static void add_else(work *w, qn__node_id otherwise, const qn__term_id *terms, uint32_t count) {
    qn__body *b = w->b;
    if (!otherwise) return;
    w->stage.otherwise = otherwise;
    bool plain = true;
    for (uint32_t i = w->stage.first_target; i < b->t->target_count; i++) plain = plain && qn__target_plain(b, &w->stage, b->t->targets[i].node);
    w->stage.fill = !plain;
    for (uint32_t i = 0; i < w->stage.index_count && !plain; i++) { // the indices mean nothing there
        qn__name name = b->info[b->t->indices[w->stage.indices[i]].variable].name;
        if (name < b->c->name_count) b->scope[name] = 0;
    }
    if (count != 1) {
        qn__diagnostic *d = qn__complain_plain(b, ELSE_COUNT, qn__ast_get(b->ast, otherwise)->span);
        qn__diagnostic_hint(d, "write one statement for each array");
    }
    b->in_otherwise = true;
    qn__check_expecting(b, otherwise, count ? terms[0] : QN__TERM_ERROR, "the value after 'else'");
    b->in_otherwise = false;
    for (uint32_t i = 0; i < w->stage.index_count && !plain; i++) {
        uint32_t variable = b->t->indices[w->stage.indices[i]].variable;
        if (b->info[variable].name < b->c->name_count) b->scope[b->info[variable].name] = variable + 1;
    }
}

static void point_assign(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS), values = qn__ast_child(b->ast, node, QN__ASSIGN_VALUES);
    qn__node_id otherwise = qn__ast_child(b->ast, node, QN__ASSIGN_ELSE), domain = qn__ast_child(b->ast, node, QN__ASSIGN_DOMAIN);
    qn__term_id terms[QN__CHECK_RESULTS], found[QN__CHECK_RESULTS];
    uint32_t count = qn__ast_count(b->ast, targets);
    bool combine = n->op != QN__ASSIGN_OP_SET, good = true;
    qn__type_set set;
    qn__op op = qn__assign_op((qn__ast_assign)n->op, &set);
    work w;
    work_begin(&w, b, node);
    work_domain(&w, domain);
    for (uint32_t i = 0; i < count; i++) {
        qn__node_id target = qn__ast_child(b->ast, targets, i);
        if (qn__ast_kind_of(b->ast, target) != QN__AST_INDEX) continue;
        for (uint32_t d = 0; d < qn__ast_count(b->ast, target); d++) introduce_indices(&w, qn__ast_child(b->ast, target, d), 0);
    }
    for (uint32_t i = 0; i < count && i < QN__CHECK_RESULTS; i++) {
        qn__node_id target = qn__ast_child(b->ast, targets, i);
        uint32_t array = check_target(b, target, false, &terms[i]);
        good &= array != QN__NO_REF;
        if (array != QN__NO_REF && b->info[array].unknown_size) {
            complain_unknown_size(b, target, array);
            good = false;
        }
        qn__add_target(b, (qn__typed_target){.node = target, .array = array, .variable = QN__NO_REF, .combine = combine, .op = (uint8_t)op});
    }
    if (count > QN__CHECK_RESULTS) count = QN__CHECK_RESULTS;
    qn__node_id value_name = qn__ast_count(b->ast, values) ? qn__ast_child(b->ast, values, 0) : QN__NO_NODE;
    bool whole = !good && value_name && qn__ast_kind_of(b->ast, value_name) == QN__AST_NAME; // y = x: said already
    if (whole) {
        uint32_t variable = qn__lookup(b, qn__ast_get(b->ast, value_name)->name);
        if (variable != QN__NO_REF) b->info[variable].read = true;
    } else if (qn__check_values(b, values, count, found, n->span)) {
        for (uint32_t i = 0; i < count; i++) {
            qn__node_id target = qn__ast_child(b->ast, targets, i);
            qn__node_id value = qn__ast_child(b->ast, values, qn__ast_count(b->ast, values) == count ? i : 0);
            check_combine_type(b, node, target, terms[i], (qn__ast_assign)n->op);
            if (!qn__term_unify(b, found[i], terms[i])) qn__complain_expected(b, value, found[i], terms[i], "the assigned value");
        }
    } else {
        good = false;
    }
    add_else(&w, otherwise, terms, count);
    w.stage.kind = (uint8_t)(w.stage.index_count ? QN__STAGE_POINTS : QN__STAGE_SCALAR);
    if (good && work_ranges(&w)) decide(&w);
    else for (uint32_t i = w.stage.first_target; i < b->t->target_count; i++) {
        if (b->t->targets[i].array != QN__NO_REF) b->info[b->t->targets[i].array].defined = QN__DEFINED_YES;
    }
    for (uint32_t i = w.stage.first_target; i < b->t->target_count; i++) {
        if (b->t->targets[i].scatter) w.stage.kind = QN__STAGE_SCATTER;
    }
    if (combine && otherwise) {
        qn__diagnostic *d = qn__complain(b, ELSE_COMBINE, qn__ast_get(b->ast, otherwise)->span, QN__SAY(qn__ast_assign_text((qn__ast_assign)n->op)));
        qn__diagnostic_hint(d, "elements outside the domain keep their values; assign the others before");
    }
    work_end(&w);
}

// ---- Keep ----
static void keep_target(work *w, qn__node_id target, qn__term_id value, qn__node_id value_node) {
    qn__body *b = w->b;
    qn__term_id term;
    uint32_t array = check_target(b, target, true, &term);
    if (array == QN__NO_REF) return;
    qn__info *info = &b->info[array];
    if (!info->unknown_size || qn__ast_kind_of(b->ast, target) != QN__AST_NAME) {
        qn__diagnostic *d = qn__complain(b, KEEP_TARGET, qn__ast_get(b->ast, target)->span, QN__SAY(b->t->variables[array].name));
        qn__diagnostic_note(d, b->t->variables[array].span, "'%s' is declared here", b->t->variables[array].name);
        qn__diagnostic_hint(d, "declare it with an unknown size: %s: %s[?m]", b->t->variables[array].name, qn__term_text(b, info->term));
        return;
    }
    if (!qn__term_unify(b, value, term)) qn__complain_expected(b, value_node, value, term, "the kept value");
    uint32_t symbol = (uint32_t)b->t->signature->dims[b->t->signature->parameters[array].dim[0]].value;
    qn__info *size = &b->info[b->t->signature->parameter_count + symbol];
    if (info->defined == QN__DEFINED_YES) {
        qn__diagnostic *d = qn__complain(b, KEPT_TWICE, qn__ast_get(b->ast, target)->span, QN__SAY(b->t->variables[array].name));
        qn__diagnostic_hint(d, "keep into a temporary first: let first = keep(...)");
    } else if (size->kept && size->loop_depth != b->t->stage_count) { // its size came from another keep
        qn__diagnostic *d = qn__complain(b, KEPT_TWICE, qn__ast_get(b->ast, target)->span, QN__SAY(b->t->variables[array].name));
        qn__diagnostic_hint(d, "fill both arrays by one keep: a, b = keep(i: ..., ... where ...), or give each its own size");
    }
    size->kept = true;
    size->loop_depth = b->t->stage_count; // which keep
    info->defined = QN__DEFINED_YES;
    qn__add_target(b, (qn__typed_target){.node = target, .array = array, .variable = QN__NO_REF, .initialises = true, .full = true});
}

static void keep_assign(qn__body *b, qn__node_id node, qn__node_id keep) {
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS);
    qn__term_id terms[QN__CHECK_RESULTS];
    uint32_t count = 0, wanted = qn__ast_count(b->ast, targets);
    work w;
    work_begin(&w, b, node);
    w.stage.kind = QN__STAGE_KEEP;
    b->stage_first = b->t->variable_count;
    qn__check_keep(b, keep, terms, &count);
    b->stage_first = QN__NO_REF;
    if (b->loop_depth || b->branch_depth) {
        qn__diagnostic *d = qn__complain_plain(b, KEEP_PLACE, qn__ast_get(b->ast, keep)->span);
        qn__diagnostic_expected(d, "a statement of the kernel itself, not inside loop or if: an output has one size");
        qn__diagnostic_hint(d, "put the condition into the keep: where ... and ...");
        for (uint32_t i = 0; i < wanted; i++) {
            uint32_t variable = qn__lookup(b, qn__ast_get(b->ast, qn__ast_child(b->ast, targets, i))->name);
            if (variable != QN__NO_REF) b->info[variable].excused = true;
        }
    }
    if (qn__ast_get(b->ast, node)->op != QN__ASSIGN_OP_SET || qn__ast_child(b->ast, node, QN__ASSIGN_DOMAIN) || qn__ast_child(b->ast, node, QN__ASSIGN_ELSE)) {
        qn__diagnostic *d = qn__complain_plain(b, KEEP_FORM, qn__ast_get(b->ast, node)->span);
        qn__diagnostic_expected(d, "y = keep(i: value where condition)");
    }
    if (count != wanted) {
        qn__diagnostic *d = qn__complain(b, VALUE_COUNT, qn__ast_get(b->ast, keep)->span, QN__SAY_UINT(wanted), QN__SAY_UINT(count));
        qn__diagnostic_hint(d, "keep takes one value per array: a, b = keep(i: x[i], i where ...)");
    }
    qn__node_id values = qn__ast_child(b->ast, keep, QN__KEEP_VALUES);
    for (uint32_t i = 0; i < wanted && i < count; i++) keep_target(&w, qn__ast_child(b->ast, targets, i), terms[i], qn__ast_child(b->ast, values, i));
    work_end(&w);
}

// ---- Scan ----
// The index of the scan must be a subscript of the target, alone, or the target a whole array of one dimension.
static bool scan_domain(work *w, qn__node_id target, qn__node_id scan, uint32_t *scan_index) {
    qn__body *b = w->b;
    qn__node_id range = qn__ast_child(b->ast, scan, QN__SCAN_RANGE);
    b->no_stage_index = true;
    b->stage_indices_end = b->t->variable_count;
    *scan_index = qn__declare_range(b, range, QN__VARIABLE_INDEX);
    b->no_stage_index = false;
    if (qn__ast_kind_of(b->ast, target) == QN__AST_NAME) return true;
    bool let = qn__ast_kind_of(b->ast, target) == QN__AST_LET_ARRAY;
    qn__node_id list = let ? qn__ast_child(b->ast, target, QN__LET_ARRAY_INDICES) : target;
    bool found = false;
    for (uint32_t d = 0; d < qn__ast_count(b->ast, list); d++) {
        qn__node_id sub = qn__ast_child(b->ast, list, d);
        const qn__ast_node *n = qn__ast_get(b->ast, sub);
        if ((n->kind == QN__AST_NAME || n->kind == QN__AST_BINDING) && n->name == qn__ast_get(b->ast, range)->name) {
            found = true;
            if (let && *scan_index != QN__NO_REF) qn__set_node(b, sub, QN__MEANS_VARIABLE, b->t->indices[*scan_index].variable, QN__TERM_ERROR);
        } else if (!let) {
            introduce_indices(w, sub, 0);
        }
    }
    if (found) return true;
    const char *name = qn__check_name(b->c, qn__ast_get(b->ast, range)->name);
    qn__diagnostic *d = qn__complain(b, SCAN_TARGET, let ? qn__ast_name_span(b->ast, target) : qn__ast_get(b->ast, target)->span, QN__SAY(name));
    qn__diagnostic_hint(d, "write it there: %s[..., %s] = ...", qn__check_name(b->c, qn__ast_get(b->ast, target)->name), name);
    return false;
}

static bool scan_length_fits(qn__body *b, uint32_t scan_index, uint32_t array) {
    const qn__typed_index *index = &b->t->indices[scan_index];
    qn__linear length;
    if (index->kind == QN__RANGE_OF) {
        if (index->array == QN__NO_REF) return true;
        length = b->info[index->array].extent[index->dimension];
    } else {
        qn__linear begin = qn__linear_of(b, index->begin), end = qn__linear_of(b, index->end);
        if (!qn__linear_combine(&length, end, -1, begin)) return false;
    }
    return qn__linear_equal(&length, &b->info[array].extent[0]);
}

static void scan_coverage(work *w, qn__node_id target, uint32_t array, uint32_t scan_index) {
    qn__body *b = w->b;
    qn__info *info = &b->info[array];
    if (qn__arena_failed(b->c->arena)) return;
    if (qn__ast_kind_of(b->ast, target) == QN__AST_NAME) {
        if (!scan_length_fits(b, scan_index, array)) {
            qn__diagnostic *d = qn__complain(b, SCAN_LENGTH, qn__ast_get(b->ast, target)->span, QN__SAY(b->t->variables[array].name));
            qn__diagnostic_expected(d, "%s elements", qn__linear_text(b, &info->extent[0]));
            qn__diagnostic_hint(d, "give the output the size of the scanned range, or write %s[i] = scan(..., i: ...)", b->t->variables[array].name);
        }
        b->t->targets[w->stage.first_target].full = true;
        b->t->targets[w->stage.first_target].initialises = info->defined == QN__DEFINED_NO;
        info->defined = QN__DEFINED_YES;
        decide_copy(w, w->stage.first_target);
        return;
    }
    uint32_t count = w->stage.index_count;
    work_index(w, scan_index); // for what is written, the scan's index is one of the stage's
    decide(w);
    for (uint32_t i = 0; i < w->stage.index_count; i++) { // and out again
        if (w->stage.indices[i] != scan_index) continue;
        for (uint32_t k = i; k + 1 < w->stage.index_count; k++) w->stage.indices[k] = w->stage.indices[k + 1];
    }
    w->stage.index_count = count;
}

static void scan_assign(qn__body *b, qn__node_id node, qn__node_id scan) {
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS), target = qn__ast_child(b->ast, targets, 0);
    qn__term_id term, value;
    uint32_t scan_index;
    work w;
    work_begin(&w, b, node);
    w.stage.kind = QN__STAGE_SCAN;
    work_domain(&w, qn__ast_child(b->ast, node, QN__ASSIGN_DOMAIN));
    if (qn__ast_count(b->ast, targets) != 1) {
        qn__complain(b, VALUE_COUNT, qn__ast_get(b->ast, node)->span, QN__SAY_UINT(qn__ast_count(b->ast, targets)), QN__SAY_UINT(1));
    }
    if (qn__ast_get(b->ast, node)->op != QN__ASSIGN_OP_SET || qn__ast_child(b->ast, node, QN__ASSIGN_ELSE)) {
        qn__diagnostic *d = qn__complain_plain(b, SCAN_FORM, qn__ast_get(b->ast, node)->span);
        qn__diagnostic_expected(d, "y[i] = scan(sum, i: value)");
    }
    bool placed = scan_domain(&w, target, scan, &scan_index);
    b->stage_first = b->stage_indices;
    uint32_t array = check_target(b, target, true, &term);
    if (array != QN__NO_REF && b->info[array].unknown_size) {
        complain_unknown_size(b, target, array);
        array = QN__NO_REF;
    }
    if (array != QN__NO_REF && qn__ast_kind_of(b->ast, target) == QN__AST_NAME && b->t->variables[array].rank != 1) {
        qn__diagnostic *d = qn__complain(b, SCAN_TARGET, qn__ast_get(b->ast, target)->span, QN__SAY(qn__check_name(b->c, qn__ast_get(b->ast, qn__ast_child(b->ast, scan, QN__SCAN_RANGE))->name)));
        qn__diagnostic_hint(d, "write %s[..., i] = scan(..., i: ...)", b->t->variables[array].name);
        array = QN__NO_REF;
    }
    qn__add_target(b, (qn__typed_target){.node = target, .array = array, .variable = QN__NO_REF});
    value = qn__check_scan(b, scan);
    if (array != QN__NO_REF && !qn__term_unify(b, value, term)) qn__complain_expected(b, scan, value, term, "the assigned value");
    bool good = work_ranges(&w);
    good = qn__infer_range(b, scan_index, w.uses) && good;
    if (good && placed && array != QN__NO_REF) scan_coverage(&w, target, array, scan_index);
    else if (array != QN__NO_REF) b->info[array].defined = QN__DEFINED_YES;
    work_end(&w);
}

void qn__check_assign_stage(qn__body *b, qn__node_id node) {
    qn__node_id values = qn__ast_child(b->ast, node, QN__ASSIGN_VALUES), first = qn__ast_child(b->ast, values, 0);
    bool alone = qn__ast_count(b->ast, values) == 1;
    if (alone && qn__ast_kind_of(b->ast, first) == QN__AST_KEEP) keep_assign(b, node, first);
    else if (alone && qn__ast_kind_of(b->ast, first) == QN__AST_SCAN) scan_assign(b, node, first);
    else point_assign(b, node);
}

// ---- Temporary arrays ----
static uint32_t declare_temp(qn__body *b, qn__node_id node, qn__name name, qn__span span, qn__term_id term, uint32_t rank) {
    uint32_t variable = qn__declare(b, QN__VARIABLE_TEMP, name, span, node, term);
    b->t->variables[variable].rank = (uint8_t)rank;
    b->info[variable].defined = QN__DEFINED_YES;
    b->info[variable].varying = false;
    return variable;
}

// The extent of a dimension that runs over an index; false: it does not begin at 0.
static bool extent_of_index(qn__body *b, uint32_t number, qn__typed_extent *extent, qn__linear *form) {
    const qn__typed_index *index = &b->t->indices[number];
    if (index->kind == QN__RANGE_OF) {
        if (index->array == QN__NO_REF) return false;
        *extent = (qn__typed_extent){.kind = QN__EXTENT_OF, .array = index->array, .dimension = index->dimension};
        *form = b->info[index->array].extent[index->dimension];
        return true;
    }
    qn__linear begin = qn__linear_of(b, index->begin);
    *extent = (qn__typed_extent){.kind = QN__EXTENT_NODE, .node = index->end};
    *form = qn__linear_of(b, index->end);
    return qn__linear_is(&begin, 0);
}

// With an else the array may be larger than the domain: as large as what its index subscripts.
static bool extent_from_uses(qn__body *b, uint32_t number, size_t uses, qn__typed_extent *extent, qn__linear *form) {
    for (size_t i = uses; i < b->use_count; i++) {
        const qn__use *use = &b->uses[i];
        if (use->variable != b->t->indices[number].variable) continue;
        *extent = (qn__typed_extent){.kind = QN__EXTENT_OF, .array = use->array, .dimension = use->dimension};
        *form = b->info[use->array].extent[use->dimension];
        return true;
    }
    return false;
}

static void complain_let_range(qn__body *b, uint32_t number, const char *array, bool otherwise) {
    const qn__typed_index *index = &b->t->indices[number];
    const char *name = b->t->variables[index->variable].name;
    qn__diagnostic *d = qn__complain(b, LET_RANGE, b->t->variables[index->variable].span, QN__SAY(name), QN__SAY(array));
    if (otherwise) qn__diagnostic_hint(d, "declare its size: let %s: f64[n], and then assign %s[%s] = ...", array, array, name);
    else qn__diagnostic_hint(d, "begin at 0: %s in 0..%s, or say what the other elements are: else 0", name, index->end ? qn__source_text(b, index->end) : "n");
}

static void let_indices(work *w, qn__node_id list, uint32_t *indices, uint32_t rank) {
    qn__body *b = w->b;
    for (uint32_t d = 0; d < rank; d++) {
        qn__node_id binding = qn__ast_child(b->ast, list, d);
        const qn__ast_node *n = qn__ast_get(b->ast, binding);
        indices[d] = QN__NO_REF;
        for (uint32_t i = 0; i < b->t->index_count; i++) { // a range of this statement?
            uint32_t variable = b->t->indices[i].variable;
            if (variable >= b->stage_indices && b->info[variable].name == n->name && qn__lookup(b, n->name) == variable) indices[d] = i;
        }
        for (uint32_t e = 0; e < d; e++) {
            if (indices[e] != indices[d] || indices[d] == QN__NO_REF) continue;
            qn__diagnostic *m = qn__complain(b, INDEX_TWICE, n->span, QN__SAY(qn__check_name(b->c, n->name)));
            qn__diagnostic_hint(m, "give each dimension its own index");
        }
        if (indices[d] == QN__NO_REF) {
            indices[d] = qn__declare_index(b, n->name, n->span, binding);
            work_index(w, indices[d]);
        }
        if (indices[d] != QN__NO_REF) qn__set_node(b, binding, QN__MEANS_VARIABLE, b->t->indices[indices[d]].variable, QN__TERM_ERROR);
    }
}

static qn__term_id declared_type(qn__body *b, qn__node_id type_node) {
    bool is_size;
    if (!type_node) return QN__TERM_ERROR;
    qn__type type = qn__check_type_name(b, type_node, &is_size);
    if (qn__ast_count(b->ast, type_node)) {
        qn__diagnostic *d = qn__complain_plain(b, SCALAR_EXPECTED, qn__ast_get(b->ast, type_node)->span);
        qn__diagnostic_hint(d, "write the type of one element; the sizes follow from the indices");
    }
    return qn__term_of(type);
}

void qn__check_let_array(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__node_id list = qn__ast_child(b->ast, node, QN__LET_ARRAY_INDICES), value = qn__ast_child(b->ast, node, QN__LET_ARRAY_VALUE);
    qn__node_id type_node = qn__ast_child(b->ast, node, QN__LET_ARRAY_TYPE), otherwise = qn__ast_child(b->ast, node, QN__LET_ARRAY_ELSE);
    uint32_t rank = qn__ast_count(b->ast, list), indices[QN__MAX_RANK], scan_index = QN__NO_REF;
    bool scan = qn__ast_kind_of(b->ast, value) == QN__AST_SCAN;
    work w;
    work_begin(&w, b, node);
    w.stage.kind = (uint8_t)(scan ? QN__STAGE_SCAN : QN__STAGE_POINTS);
    if (rank > QN__MAX_RANK) {
        qn__diagnostic *d = qn__complain(b, RANK_LIMIT, n->span, QN__SAY_UINT(QN__MAX_RANK));
        qn__diagnostic_found(d, "%u dimensions", rank);
        rank = QN__MAX_RANK;
    }
    work_domain(&w, qn__ast_child(b->ast, node, QN__LET_ARRAY_DOMAIN));
    if (scan) scan_domain(&w, node, value, &scan_index);
    let_indices(&w, list, indices, rank);
    b->stage_first = b->stage_indices;
    qn__term_id wanted = declared_type(b, type_node);
    qn__term_id term = scan ? qn__check_scan(b, value) : qn__check_expression(b, value);
    if (type_node && !qn__term_unify(b, term, wanted)) qn__complain_expected(b, value, term, wanted, "the value");
    if (type_node) term = wanted;
    if (otherwise) {
        w.stage.otherwise = otherwise;
        b->in_otherwise = true;
        qn__check_expecting(b, otherwise, term, "the value after 'else'");
        b->in_otherwise = false;
    }
    bool good = work_ranges(&w);
    if (scan) good = qn__infer_range(b, scan_index, w.uses) && good;
    qn__typed_extent extent[QN__MAX_RANK] = {{0}};
    qn__linear form[QN__MAX_RANK] = {{0}};
    for (uint32_t d = 0; d < rank && good; d++) {
        bool fits = indices[d] != QN__NO_REF && extent_of_index(b, indices[d], &extent[d], &form[d]);
        if (otherwise) fits = extent_from_uses(b, indices[d], w.uses, &extent[d], &form[d]);
        if (!fits && !b->failed) complain_let_range(b, indices[d], qn__check_name(b->c, n->name), otherwise != 0);
    }
    uint32_t target = qn__add_target(b, (qn__typed_target){.node = node, .variable = QN__NO_REF, .initialises = true, .full = true});
    for (uint32_t d = 0, at = 0; d < rank; d++) { // the order of the dimensions
        for (uint32_t i = at; i < w.stage.index_count; i++) {
            if (w.stage.indices[i] != indices[d]) continue;
            for (uint32_t k = i; k > at; k--) w.stage.indices[k] = w.stage.indices[k - 1];
            w.stage.indices[at++] = indices[d];
        }
    }
    uint32_t loose;
    for (uint32_t i = 0; i < w.stage.index_count; i++) {
        bool used = false;
        for (uint32_t d = 0; d < rank; d++) used |= indices[d] == w.stage.indices[i];
        loose = w.stage.indices[i];
        if (!used) complain_collision(&w, node, loose, qn__check_name(b->c, n->name));
    }
    work_end(&w);
    uint32_t variable = declare_temp(b, node, n->name, qn__ast_name_span(b->ast, node), term, rank);
    b->info[variable].poisoned = b->failed;
    if (b->t->target_count) b->t->targets[target].array = variable;
    for (uint32_t d = 0; d < rank; d++) {
        b->t->variables[variable].extent[d] = extent[d];
        b->info[variable].extent[d] = form[d];
    }
}

// let y = keep(...), let s = scan(...): whole arrays.
void qn__check_let_stage(qn__body *b, qn__node_id node) {
    qn__node_id names = qn__ast_child(b->ast, node, QN__LET_NAMES), values = qn__ast_child(b->ast, node, QN__LET_VALUES);
    qn__node_id value = qn__ast_child(b->ast, values, 0);
    qn__term_id terms[QN__CHECK_RESULTS], wanted = declared_type(b, qn__ast_child(b->ast, node, QN__LET_TYPE));
    uint32_t count = 1, scan_index = QN__NO_REF, named = qn__ast_count(b->ast, names);
    bool keep = qn__ast_kind_of(b->ast, value) == QN__AST_KEEP;
    work w;
    work_begin(&w, b, node);
    w.stage.kind = (uint8_t)(keep ? QN__STAGE_KEEP : QN__STAGE_SCAN);
    b->stage_first = b->stage_indices;
    if (keep) {
        qn__check_keep(b, value, terms, &count);
    } else {
        b->no_stage_index = true;
        b->stage_indices_end = b->t->variable_count;
        scan_index = qn__declare_range(b, qn__ast_child(b->ast, value, QN__SCAN_RANGE), QN__VARIABLE_INDEX);
        b->no_stage_index = false;
        terms[0] = qn__check_scan(b, value);
        qn__infer_range(b, scan_index, w.uses);
    }
    for (uint32_t i = 0; i < count && qn__ast_child(b->ast, node, QN__LET_TYPE); i++) {
        if (!qn__term_unify(b, terms[i], wanted)) qn__complain_expected(b, value, terms[i], wanted, "the value");
    }
    if (count != named) qn__complain(b, VALUE_COUNT, qn__ast_get(b->ast, node)->span, QN__SAY_UINT(named), QN__SAY_UINT(count));
    qn__linear form = qn__linear_opaque(b, false); // what is kept has one size that equals itself
    qn__typed_extent extent = {.kind = keep ? QN__EXTENT_KEPT : QN__EXTENT_SPAN, .array = scan_index};
    if (!keep && scan_index != QN__NO_REF) {
        qn__typed_extent exact;
        if (!extent_of_index(b, scan_index, &exact, &form)) form = qn__linear_opaque(b, false);
        else extent = exact;
    }
    for (uint32_t i = 0; i < named; i++) {
        qn__add_target(b, (qn__typed_target){.node = qn__ast_child(b->ast, names, i), .variable = QN__NO_REF, .initialises = true, .full = true});
    }
    work_end(&w);
    for (uint32_t i = 0; i < named; i++) {
        qn__node_id binding = qn__ast_child(b->ast, names, i);
        const qn__ast_node *n = qn__ast_get(b->ast, binding);
        uint32_t variable = declare_temp(b, binding, n->name, n->span, i < count ? terms[i] : QN__TERM_ERROR, 1);
        qn__set_node(b, binding, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
        b->t->variables[variable].extent[0] = extent;
        b->info[variable].extent[0] = form;
        b->info[variable].poisoned = i >= count;
        if (w.stage.first_target + i < b->t->target_count) b->t->targets[w.stage.first_target + i].array = variable;
    }
}

// ---- Blocks ----
void qn__check_for_block(qn__body *b, qn__node_id node) {
    work w;
    work_begin(&w, b, node);
    w.stage.kind = QN__STAGE_POINTS;
    work_domain(&w, qn__ast_child(b->ast, node, QN__FOR_BLOCK_RANGES));
    b->block_node = node;
    b->stage_first = b->stage_indices;
    b->level = QN__LEVEL_POINT;
    qn__check_point_block(b, qn__ast_child(b->ast, node, QN__FOR_BLOCK_BODY));
    b->level = QN__LEVEL_KERNEL;
    b->block_node = QN__NO_NODE;
    bool good = work_ranges(&w);
    if (good && w.stage.first_target == b->t->target_count && !b->failed) {
        qn__diagnostic *d = qn__warn(b, BLOCK_WITHOUT_EFFECT, qn__ast_get(b->ast, node)->span, {.type = 0});
        qn__diagnostic_hint(d, "assign to an array in it, like y[i] = ...");
    }
    if (good) decide(&w);
    work_end(&w);
}

void qn__check_block_target(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS), values = qn__ast_child(b->ast, node, QN__ASSIGN_VALUES);
    uint32_t count = qn__ast_count(b->ast, targets), first = b->t->target_count;
    qn__term_id terms[QN__CHECK_RESULTS], found[QN__CHECK_RESULTS];
    qn__type_set set;
    qn__op op = qn__assign_op((qn__ast_assign)n->op, &set);
    if (count > QN__CHECK_RESULTS) count = QN__CHECK_RESULTS;
    b->statement = node;
    for (uint32_t i = 0; i < count; i++) {
        qn__node_id target = qn__ast_child(b->ast, targets, i);
        uint32_t variable = qn__lookup(b, qn__ast_get(b->ast, target)->name);
        bool point = variable != QN__NO_REF && (b->t->variables[variable].kind == QN__VARIABLE_VAR || b->t->variables[variable].kind == QN__VARIABLE_LOCAL);
        if (point) {
            terms[i] = qn__ast_kind_of(b->ast, target) == QN__AST_INDEX ? qn__check_subscripts(b, target, variable, true) : b->info[variable].term;
            qn__set_node(b, target, qn__ast_kind_of(b->ast, target) == QN__AST_INDEX ? QN__MEANS_LOCAL : QN__MEANS_VARIABLE, variable, terms[i]);
            b->t->variables[variable].changed = b->info[variable].written = true;
            qn__add_target(b, (qn__typed_target){.node = target, .array = QN__NO_REF, .variable = variable});
            continue;
        }
        uint32_t array = check_target(b, target, false, &terms[i]);
        if (array != QN__NO_REF && b->info[array].unknown_size) complain_unknown_size(b, target, array);
        qn__add_target(b, (qn__typed_target){.node = target, .array = array, .variable = QN__NO_REF, .combine = n->op != QN__ASSIGN_OP_SET, .op = (uint8_t)op});
    }
    if (!qn__check_values(b, values, count, found, n->span)) return;
    for (uint32_t i = 0; i < count; i++) {
        qn__node_id target = qn__ast_child(b->ast, targets, i);
        check_combine_type(b, node, target, terms[i], (qn__ast_assign)n->op);
        qn__node_id value = qn__ast_child(b->ast, values, qn__ast_count(b->ast, values) == count ? i : 0);
        if (!qn__term_unify(b, found[i], terms[i])) qn__complain_expected(b, value, found[i], terms[i], "the assigned value");
    }
    qn__set_node(b, node, QN__MEANS_TARGET, first, QN__TERM_ERROR);
}
