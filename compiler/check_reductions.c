// Reductions, reduce, scan and keep: their indices, the types of their terms, the operation that combines.
#include "compiler/check_private.h"

#include <string.h>

static qn__op reduction_op(qn__ast_reduction op) {
    switch (op) {
    case QN__REDUCTION_OP_SUM:
    case QN__REDUCTION_OP_COUNT: return QN__OP_ADD;
    case QN__REDUCTION_OP_PROD: return QN__OP_MUL;
    case QN__REDUCTION_OP_MIN:
    case QN__REDUCTION_OP_ARGMIN: return QN__OP_MIN;
    case QN__REDUCTION_OP_MAX:
    case QN__REDUCTION_OP_ARGMAX: return QN__OP_MAX;
    case QN__REDUCTION_OP_ANY: return QN__OP_OR;
    case QN__REDUCTION_OP_ALL: return QN__OP_AND;
    case QN__REDUCTION_OPS: break;
    }
    return QN__OP_ADD;
}

static bool wants_bool(qn__ast_reduction op) {
    return op == QN__REDUCTION_OP_ANY || op == QN__REDUCTION_OP_ALL || op == QN__REDUCTION_OP_COUNT;
}

static bool check_term(qn__body *b, qn__node_id node, qn__ast_reduction op, qn__term_id term) {
    qn__type_set set = wants_bool(op) ? QN__SET_BOOL : QN__SET_NUMBER;
    if (qn__term_restrict(b, term, set)) return true;
    const char *name = qn__ast_reduction_text(op), *text = qn__source_text(b, node);
    qn__diagnostic *d = qn__complain(b, REDUCTION_TYPE, qn__ast_get(b->ast, node)->span, QN__SAY(name),
                                     QN__SAY(qn__term_text(b, term)));
    qn__diagnostic_found(d, "%s", qn__term_text(b, term));
    qn__diagnostic_expected(d, "%s", set == QN__SET_BOOL ? "bool" : "a number");
    if (set == QN__SET_BOOL)
        qn__diagnostic_hint(d, "write a condition, like %s != 0", text);
    else if (op == QN__REDUCTION_OP_SUM)
        qn__diagnostic_hint(d, "write count(...: %s) for the number of true ones", text);
    else if (op == QN__REDUCTION_OP_MIN || op == QN__REDUCTION_OP_PROD)
        qn__diagnostic_hint(d, "write all(...: %s)", text);
    else if (op == QN__REDUCTION_OP_MAX)
        qn__diagnostic_hint(d, "write any(...: %s)", text);
    else
        qn__diagnostic_hint(d, "write i64(%s)", text);
    return false;
}

// The indices of a list of ranges; returns how many were declared. Their numbers stand in the RANGE nodes.
static void declare_ranges(qn__body *b, qn__node_id ranges) {
    for (uint32_t i = 0; i < qn__ast_count(b->ast, ranges); i++) {
        qn__declare_range(b, qn__ast_child(b->ast, ranges, i), QN__VARIABLE_INDEX);
    }
}

static void infer_ranges(qn__body *b, qn__node_id ranges, size_t uses_from) {
    for (uint32_t i = 0; i < qn__ast_count(b->ast, ranges); i++) {
        qn__typed_node *t = qn__node(b, qn__ast_child(b->ast, ranges, i));
        if (t->meaning == QN__MEANS_INDEX) qn__infer_range(b, t->ref, uses_from);
    }
}

static qn__term_id reduce_over(qn__body *b, qn__node_id ranges, qn__node_id value, qn__node_id where) {
    size_t mark, uses = b->use_count;
    qn__scope_open(b, &mark);
    declare_ranges(b, ranges);
    uint32_t loops = b->point_loops, branches = b->point_branches, floor = b->assign_floor;
    b->assign_floor = b->t->variable_count;
    b->point_loops = 0; // break and continue do not reach out of the term
    qn__term_id term = qn__check_expression(b, value);
    if (where) qn__check_condition(b, where, "the condition of 'where'");
    b->point_loops = loops;
    b->point_branches = branches;
    b->assign_floor = floor;
    infer_ranges(b, ranges, uses);
    qn__scope_close(b, mark);
    return term;
}

qn__term_id qn__check_reduction(qn__body *b, qn__node_id node) {
    qn__ast_reduction op = (qn__ast_reduction)qn__ast_get(b->ast, node)->op;
    qn__node_id ranges = qn__ast_child(b->ast, node, QN__REDUCTION_RANGES),
                value = qn__ast_child(b->ast, node, QN__REDUCTION_VALUE);
    qn__term_id term = reduce_over(b, ranges, value, qn__ast_child(b->ast, node, QN__REDUCTION_WHERE));
    if (!check_term(b, value, op, term)) term = QN__TERM_ERROR;
    bool position = op == QN__REDUCTION_OP_ARGMIN || op == QN__REDUCTION_OP_ARGMAX;
    if (position && qn__ast_count(b->ast, ranges) > 1 && !(qn__node(b, node)->flags & QN__MULTIPLE)) {
        uint32_t count = qn__ast_count(b->ast, ranges);
        qn__diagnostic *d = qn__complain(b, RESULT_COUNT, qn__ast_get(b->ast, node)->span,
                                         QN__SAY(qn__ast_reduction_text(op)), QN__SAY_UINT(count));
        qn__diagnostic_expected(d, "one value");
        qn__diagnostic_hint(d, "take them apart first: let row, column = %s(...)", qn__ast_reduction_text(op));
        return qn__set_node(b, node, QN__MEANS_OP, reduction_op(op), QN__TERM_ERROR);
    }
    bool whole = position || op == QN__REDUCTION_OP_COUNT;
    if (wants_bool(op) && !whole) term = qn__term_of(QN__TYPE_BOOL);
    return qn__set_node(b, node, QN__MEANS_OP, reduction_op(op), whole ? qn__term_of(QN__TYPE_I64) : term);
}

qn__term_id qn__check_reduce(qn__body *b, qn__node_id node) {
    qn__node_id init = qn__ast_child(b->ast, node, QN__REDUCE_INIT),
                value = qn__ast_child(b->ast, node, QN__REDUCE_VALUE);
    qn__term_id start = qn__check_expression(b, init);
    qn__term_id term = reduce_over(b, qn__ast_child(b->ast, node, QN__REDUCE_RANGES), value,
                                   qn__ast_child(b->ast, node, QN__REDUCE_WHERE));
    qn__set_node(b, node, QN__MEANS_FUNCTION, QN__NO_REF, term);
    if (!qn__term_unify(b, term, start)) {
        qn__complain_types(b, node, init, value, "reduce");
        return qn__set_node(b, node, QN__MEANS_FUNCTION, QN__NO_REF, QN__TERM_ERROR);
    }
    qn__check_combiner(b, node, term);
    return term;
}

// The names that scan knows itself. False: a function is meant.
static bool scan_op(qn__body *b, qn__node_id node, qn__op *op, qn__type_set *set) {
    static const struct {
        const char *name;
        qn__op op;
        qn__type_set set;
    } known[] = {{"sum", QN__OP_ADD, QN__SET_NUMBER}, {"prod", QN__OP_MUL, QN__SET_NUMBER},
                 {"min", QN__OP_MIN, QN__SET_NUMBER}, {"max", QN__OP_MAX, QN__SET_NUMBER},
                 {"any", QN__OP_OR, QN__SET_BOOL},    {"all", QN__OP_AND, QN__SET_BOOL}};
    const char *name = qn__check_name(b->c, qn__ast_get(b->ast, node)->name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) != 0) continue;
        *op = known[i].op;
        *set = known[i].set;
        return true;
    }
    return false;
}

qn__term_id qn__check_scan(qn__body *b, qn__node_id node) {
    qn__node_id init = qn__ast_child(b->ast, node, QN__SCAN_INIT), value = qn__ast_child(b->ast, node, QN__SCAN_VALUE);
    qn__term_id start = QN__TERM_ERROR;
    if (init) { // the index is not visible in it
        qn__name index = qn__ast_get(b->ast, qn__ast_child(b->ast, node, QN__SCAN_RANGE))->name;
        uint32_t kept = index < b->c->name_count ? b->scope[index] : 0;
        if (index < b->c->name_count) b->scope[index] = 0;
        start = qn__check_expression(b, init);
        if (index < b->c->name_count) b->scope[index] = kept;
    }
    qn__term_id term = qn__check_expression(b, value);
    qn__op op;
    qn__type_set set;
    const char *name = qn__check_name(b->c, qn__ast_get(b->ast, node)->name);
    if (init && !qn__term_unify(b, term, start)) {
        qn__complain_types(b, node, init, value, "scan");
        return qn__set_node(b, node, QN__MEANS_SELF, 0, QN__TERM_ERROR);
    }
    if (scan_op(b, node, &op, &set)) {
        if (!qn__term_restrict(b, term, set)) {
            qn__diagnostic *d = qn__complain(b, REDUCTION_TYPE, qn__ast_get(b->ast, value)->span, QN__SAY(name),
                                             QN__SAY(qn__term_text(b, term)));
            qn__diagnostic_found(d, "%s", qn__term_text(b, term));
            qn__diagnostic_expected(d, "%s", set == QN__SET_BOOL ? "bool" : "a number");
            term = QN__TERM_ERROR;
        }
        return qn__set_node(b, node, QN__MEANS_OP, op, term);
    }
    qn__set_node(b, node, QN__MEANS_FUNCTION, QN__NO_REF, term);
    if (!init) {
        qn__diagnostic *d = qn__complain(b, SCAN_INIT, qn__ast_get(b->ast, node)->span, QN__SAY(name));
        qn__diagnostic_expected(d, "scan(%s, neutral element, index: value)", name);
        qn__diagnostic_hint(
            d, "write scan(%s, 0.0, %s: ...)", name,
            qn__check_name(b->c, qn__ast_get(b->ast, qn__ast_child(b->ast, node, QN__SCAN_RANGE))->name));
        return qn__set_node(b, node, QN__MEANS_FUNCTION, QN__NO_REF, QN__TERM_ERROR);
    }
    qn__check_combiner(b, node, term);
    return term;
}

bool qn__check_keep(qn__body *b, qn__node_id node, qn__term_id *terms, uint32_t *count) {
    qn__node_id ranges = qn__ast_child(b->ast, node, QN__KEEP_RANGES),
                values = qn__ast_child(b->ast, node, QN__KEEP_VALUES);
    qn__node_id where = qn__ast_child(b->ast, node, QN__KEEP_WHERE);
    size_t mark, uses = b->use_count;
    qn__scope_open(b, &mark);
    b->stage_indices = b->t->variable_count;
    b->no_stage_index = true;
    for (uint32_t i = 0; i < qn__ast_count(b->ast, ranges); i++) {
        b->stage_indices_end = b->t->variable_count;
        qn__declare_range(b, qn__ast_child(b->ast, ranges, i), QN__VARIABLE_INDEX);
    }
    b->no_stage_index = false;
    *count = qn__ast_count(b->ast, values);
    if (*count > QN__CHECK_RESULTS) *count = QN__CHECK_RESULTS;
    for (uint32_t i = 0; i < *count; i++) terms[i] = qn__check_expression(b, qn__ast_child(b->ast, values, i));
    if (where) qn__check_condition(b, where, "the condition of 'where'");
    infer_ranges(b, ranges, uses);
    qn__scope_close(b, mark);
    qn__set_node(b, node, QN__MEANS_SELF, 0, *count ? terms[0] : QN__TERM_ERROR);
    return !b->failed;
}
