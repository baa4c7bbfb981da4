// Assignments to elements of arrays: statements over a domain with or without an else, and blocks over a domain.
#include "compiler/check_stages.h"

// ---- Assignments ----
bool qn__check_combine_type(qn__body *b, qn__node_id node, qn__node_id target, qn__term_id term, qn__ast_assign op) {
    qn__type_set set;
    qn__op combine = qn__assign_op(op, &set);
    if (op == QN__ASSIGN_OP_SET) return true;
    qn__node(b, node)->bits = combine; // ref becomes the stage
    if (qn__term_restrict(b, term, set)) return true;
    qn__diagnostic *d = qn__complain(b, OPERAND_TYPE, qn__ast_get(b->ast, target)->span,
                                     QN__SAY(qn__ast_assign_text(op)), QN__SAY(qn__term_text(b, term)));
    qn__diagnostic_found(d, "%s", qn__term_text(b, term));
    qn__diagnostic_expected(d, "%s",
                            set == QN__SET_BOOL     ? "bool"
                            : set == QN__SET_NUMBER ? "a number"
                                                    : "an integer type or bool");
    return false;
}

static void add_else(qn__work *w, qn__node_id otherwise, const qn__term_id *terms, uint32_t count) {
    qn__body *b = w->b;
    if (!otherwise) return;
    w->stage.otherwise = otherwise;
    bool plain = true;
    for (uint32_t i = w->stage.first_target; i < b->t->target_count; i++)
        plain = plain && qn__target_plain(b, &w->stage, b->t->targets[i].node);
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

// The targets of a statement over a domain: the indices that they introduce, their arrays, the terms of their elements.
static bool assign_targets(qn__work *w, qn__node_id node, qn__term_id *terms) {
    qn__body *b = w->b;
    qn__ast_assign assign = (qn__ast_assign)qn__ast_get(b->ast, node)->op;
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS);
    uint32_t count = qn__ast_count(b->ast, targets);
    qn__type_set set;
    qn__op op = qn__assign_op(assign, &set);
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        qn__node_id target = qn__ast_child(b->ast, targets, i);
        if (qn__ast_kind_of(b->ast, target) != QN__AST_INDEX) continue;
        for (uint32_t d = 0; d < qn__ast_count(b->ast, target); d++)
            qn__introduce_indices(w, qn__ast_child(b->ast, target, d), 0);
    }
    for (uint32_t i = 0; i < count && i < QN__CHECK_RESULTS; i++) {
        qn__node_id target = qn__ast_child(b->ast, targets, i);
        uint32_t array = qn__check_target(b, target, false, &terms[i]);
        good &= array != QN__NO_REF;
        if (array != QN__NO_REF && b->info[array].unknown_size) {
            qn__complain_unknown_size(b, target, array);
            good = false;
        }
        qn__typed_target entry = {.node = target, .array = array, .variable = QN__NO_REF, .op = (uint8_t)op};
        entry.combine = assign != QN__ASSIGN_OP_SET;
        qn__add_target(b, entry);
    }
    return good;
}

// The values, of the types of the targets.
static bool assign_values(qn__body *b, qn__node_id node, const qn__term_id *terms) {
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS);
    qn__node_id values = qn__ast_child(b->ast, node, QN__ASSIGN_VALUES);
    uint32_t count = qn__ast_count(b->ast, targets);
    qn__term_id found[QN__CHECK_RESULTS];
    if (count > QN__CHECK_RESULTS) count = QN__CHECK_RESULTS;
    if (!qn__check_values(b, values, count, found, qn__ast_get(b->ast, node)->span)) return false;
    for (uint32_t i = 0; i < count; i++) {
        qn__node_id target = qn__ast_child(b->ast, targets, i);
        qn__node_id value = qn__ast_child(b->ast, values, qn__ast_count(b->ast, values) == count ? i : 0);
        qn__check_combine_type(b, node, target, terms[i], (qn__ast_assign)qn__ast_get(b->ast, node)->op);
        if (!qn__term_unify(b, found[i], terms[i]))
            qn__complain_expected(b, value, found[i], terms[i], "the assigned value");
    }
    return true;
}

// y = x, for arrays: the target was complained about, the value would be the same again.
static bool whole_value(qn__body *b, qn__node_id node) {
    qn__node_id values = qn__ast_child(b->ast, node, QN__ASSIGN_VALUES);
    qn__node_id value = qn__ast_count(b->ast, values) ? qn__ast_child(b->ast, values, 0) : QN__NO_NODE;
    if (!value || qn__ast_kind_of(b->ast, value) != QN__AST_NAME) return false;
    uint32_t variable = qn__lookup(b, qn__ast_get(b->ast, value)->name);
    if (variable != QN__NO_REF) b->info[variable].read = true;
    return true;
}

static void point_assign(qn__body *b, qn__node_id node) {
    qn__ast_assign assign = (qn__ast_assign)qn__ast_get(b->ast, node)->op;
    qn__node_id otherwise = qn__ast_child(b->ast, node, QN__ASSIGN_ELSE);
    qn__term_id terms[QN__CHECK_RESULTS];
    qn__work w;
    qn__work_begin(&w, b, node);
    qn__work_domain(&w, qn__ast_child(b->ast, node, QN__ASSIGN_DOMAIN));
    bool good = assign_targets(&w, node, terms);
    if (good || !whole_value(b, node)) good = assign_values(b, node, terms) && good;
    add_else(&w, otherwise, terms, qn__ast_count(b->ast, qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS)));
    w.stage.kind = (uint8_t)(w.stage.index_count ? QN__STAGE_POINTS : QN__STAGE_SCALAR);
    good = good && qn__work_ranges(&w);
    if (good) qn__decide_writes(&w);
    for (uint32_t i = w.stage.first_target; i < b->t->target_count; i++) {
        const qn__typed_target *target = &b->t->targets[i];
        if (target->scatter) w.stage.kind = QN__STAGE_SCATTER;
        if (!good && target->array != QN__NO_REF) b->info[target->array].defined = QN__DEFINED_YES; // no more of it
    }
    if (assign != QN__ASSIGN_OP_SET && otherwise) {
        qn__diagnostic *d =
            qn__complain(b, ELSE_COMBINE, qn__ast_get(b->ast, otherwise)->span, QN__SAY(qn__ast_assign_text(assign)));
        qn__diagnostic_hint(d, "elements outside the domain keep their values; assign the others before");
    }
    qn__work_end(&w);
}

void qn__check_assign_stage(qn__body *b, qn__node_id node) {
    qn__node_id values = qn__ast_child(b->ast, node, QN__ASSIGN_VALUES), first = qn__ast_child(b->ast, values, 0);
    bool alone = qn__ast_count(b->ast, values) == 1;
    if (alone && qn__ast_kind_of(b->ast, first) == QN__AST_KEEP)
        qn__check_keep_assign(b, node, first);
    else if (alone && qn__ast_kind_of(b->ast, first) == QN__AST_SCAN)
        qn__check_scan_assign(b, node, first);
    else
        point_assign(b, node);
}

// ---- Blocks ----
void qn__check_for_block(qn__body *b, qn__node_id node) {
    qn__work w;
    qn__work_begin(&w, b, node);
    w.stage.kind = QN__STAGE_POINTS;
    qn__work_domain(&w, qn__ast_child(b->ast, node, QN__FOR_BLOCK_RANGES));
    b->block_node = node;
    b->stage_first = b->stage_indices;
    b->level = QN__LEVEL_POINT;
    qn__check_point_block(b, qn__ast_child(b->ast, node, QN__FOR_BLOCK_BODY));
    b->level = QN__LEVEL_KERNEL;
    b->block_node = QN__NO_NODE;
    bool good = qn__work_ranges(&w);
    if (good && w.stage.first_target == b->t->target_count && !b->failed) {
        qn__diagnostic *d = qn__warn(b, BLOCK_WITHOUT_EFFECT, qn__ast_get(b->ast, node)->span, {.type = 0});
        qn__diagnostic_hint(d, "assign to an array in it, like y[i] = ...");
    }
    if (good) qn__decide_writes(&w);
    qn__work_end(&w);
}

// A variable of the point among the targets of an assignment to arrays.
static void block_variable(qn__body *b, qn__node_id target, uint32_t variable, qn__term_id *term) {
    bool element = qn__ast_kind_of(b->ast, target) == QN__AST_INDEX;
    *term = element ? qn__check_subscripts(b, target, variable, true) : b->info[variable].term;
    qn__set_node(b, target, element ? QN__MEANS_LOCAL : QN__MEANS_VARIABLE, variable, *term);
    b->t->variables[variable].changed = b->info[variable].written = true;
    qn__add_target(b, (qn__typed_target){.node = target, .array = QN__NO_REF, .variable = variable});
}

void qn__check_block_target(qn__body *b, qn__node_id node) {
    qn__ast_assign assign = (qn__ast_assign)qn__ast_get(b->ast, node)->op;
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS);
    uint32_t count = qn__ast_count(b->ast, targets), first = b->t->target_count;
    qn__term_id terms[QN__CHECK_RESULTS];
    qn__type_set set;
    qn__op op = qn__assign_op(assign, &set);
    b->statement = node;
    for (uint32_t i = 0; i < count && i < QN__CHECK_RESULTS; i++) {
        qn__node_id target = qn__ast_child(b->ast, targets, i);
        uint32_t variable = qn__lookup(b, qn__ast_get(b->ast, target)->name);
        uint8_t kind = variable != QN__NO_REF ? b->t->variables[variable].kind : QN__VARIABLE_LET;
        if (kind == QN__VARIABLE_VAR || kind == QN__VARIABLE_LOCAL) {
            block_variable(b, target, variable, &terms[i]);
            continue;
        }
        uint32_t array = qn__check_target(b, target, false, &terms[i]);
        if (array != QN__NO_REF && b->info[array].unknown_size) qn__complain_unknown_size(b, target, array);
        qn__typed_target entry = {.node = target, .array = array, .variable = QN__NO_REF, .op = (uint8_t)op};
        entry.combine = assign != QN__ASSIGN_OP_SET;
        qn__add_target(b, entry);
    }
    if (assign_values(b, node, terms)) qn__set_node(b, node, QN__MEANS_TARGET, first, QN__TERM_ERROR);
}
