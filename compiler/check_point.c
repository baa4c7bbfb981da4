// The code of one point: statements between { }, values of blocks and ifs, and whole functions.
// A block that is a value may assign only to variables of its own: so expressions have no side effects.
#include "compiler/check_private.h"

qn__op qn__assign_op(qn__ast_assign op, qn__type_set *operands) {
    *operands = QN__SET_NUMBER;
    switch (op) {
    case QN__ASSIGN_OP_SET: *operands = QN__SET_ALL; return QN__OP_ADD;
    case QN__ASSIGN_OP_ADD:
    case QN__ASSIGN_OP_SUBTRACT: return QN__OP_ADD; // a - b is a + (-b), rounded alike
    case QN__ASSIGN_OP_MULTIPLY: return QN__OP_MUL;
    case QN__ASSIGN_OP_MIN: return QN__OP_MIN;
    case QN__ASSIGN_OP_MAX: return QN__OP_MAX;
    case QN__ASSIGN_OP_AND: *operands = QN__SET_BOOL; return QN__OP_AND;
    case QN__ASSIGN_OP_OR: *operands = QN__SET_BOOL; return QN__OP_OR;
    case QN__ASSIGN_OP_BIT_AND: *operands = (qn__type_set)(QN__SET_INT | QN__SET_BOOL); return QN__OP_AND;
    case QN__ASSIGN_OP_BIT_OR: *operands = (qn__type_set)(QN__SET_INT | QN__SET_BOOL); return QN__OP_OR;
    case QN__ASSIGN_OPS: break;
    }
    return QN__OP_ADD;
}

// ---- Several values ----
static bool several(qn__body *b, qn__node_id node, qn__term_id *terms, uint32_t *count) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    if (n->kind == QN__AST_REDUCTION && (n->op == QN__REDUCTION_OP_ARGMIN || n->op == QN__REDUCTION_OP_ARGMAX)) {
        *count = qn__ast_count(b->ast, qn__ast_child(b->ast, node, QN__REDUCTION_RANGES));
        if (*count < 2 || *count > QN__CHECK_RESULTS) return false;
        qn__node(b, node)->flags |= QN__MULTIPLE;
        qn__check_expression(b, node);
        for (uint32_t i = 0; i < *count; i++) terms[i] = qn__term_of(QN__TYPE_I64);
        return true;
    }
    return qn__check_call_results(b, node, terms, count);
}

bool qn__check_values(qn__body *b, qn__node_id list, uint32_t count, qn__term_id *terms, qn__span span) {
    uint32_t have = qn__ast_count(b->ast, list), given = have;
    if (have == 1 && count != 1 && several(b, qn__ast_child(b->ast, list, 0), terms, &given)) {
        if (given == count) return true;
        if (!given) return false; // complained already
    } else {
        for (uint32_t i = 0; i < have; i++) {
            qn__term_id term = qn__check_expression(b, qn__ast_child(b->ast, list, i));
            if (i < count) terms[i] = term;
        }
        if (have == count) return true;
        given = have;
    }
    qn__diagnostic *d = qn__complain(b, VALUE_COUNT, span, QN__SAY_UINT(count), QN__SAY_UINT(given));
    qn__diagnostic_found(d, "%u value%s", given, given == 1 ? "" : "s");
    qn__diagnostic_expected(d, "%u", count);
    return false;
}

bool qn__check_results(qn__body *b, qn__node_id list, const qn__term_id *expected, uint32_t count, const char *what) {
    qn__term_id terms[QN__CHECK_RESULTS];
    if (!qn__check_values(b, list, count, terms, qn__ast_get(b->ast, list)->span)) return false;
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        qn__node_id value = qn__ast_child(b->ast, list, qn__ast_count(b->ast, list) == count ? i : 0);
        if (qn__term_unify(b, terms[i], expected[i])) continue;
        qn__complain_expected(b, value, terms[i], expected[i], what);
        good = false;
    }
    return good;
}

// ---- Declarations ----
static qn__term_id scalar_type(qn__body *b, qn__node_id type_node) {
    bool is_size;
    qn__type type = qn__check_type_name(b, type_node, &is_size);
    if (qn__ast_count(b->ast, type_node)) {
        qn__diagnostic *d = qn__complain_plain(b, SCALAR_EXPECTED, qn__ast_get(b->ast, type_node)->span);
        qn__diagnostic_hint(d, "a small array of a point is declared by var: var w: %s[9]",
                            type ? qn__type_table[type].name : "f64");
    }
    return qn__term_of(type);
}

void qn__check_let(qn__body *b, qn__node_id node) {
    qn__node_id names = qn__ast_child(b->ast, node, QN__LET_NAMES),
                values = qn__ast_child(b->ast, node, QN__LET_VALUES);
    qn__node_id type_node = qn__ast_child(b->ast, node, QN__LET_TYPE);
    qn__term_id terms[QN__CHECK_RESULTS] = {0};
    uint32_t count = qn__ast_count(b->ast, names);
    if (count > QN__CHECK_RESULTS) count = QN__CHECK_RESULTS;
    bool good = qn__check_values(b, values, count, terms, qn__ast_get(b->ast, node)->span);
    qn__term_id wanted = type_node ? scalar_type(b, type_node) : QN__TERM_ERROR;
    for (uint32_t i = 0; i < count; i++) {
        qn__node_id binding = qn__ast_child(b->ast, names, i);
        const qn__ast_node *n = qn__ast_get(b->ast, binding);
        qn__node_id value = qn__ast_child(b->ast, values, qn__ast_count(b->ast, values) == count ? i : 0);
        if (good && type_node && !qn__term_unify(b, terms[i], wanted))
            qn__complain_expected(b, value, terms[i], wanted, "the value");
        qn__term_id term = type_node ? wanted : good ? terms[i] : QN__TERM_ERROR;
        uint32_t variable = qn__declare(b, QN__VARIABLE_LET, n->name, n->span, binding, term);
        b->info[variable].poisoned = !good || qn__term_bad(b, term);
        qn__set_node(b, binding, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
    }
}

static uint32_t declare_local(qn__body *b, qn__node_id node, qn__node_id type_node, qn__type type) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    uint32_t rank = qn__ast_count(b->ast, type_node);
    uint64_t elements = 1;
    uint32_t variable =
        qn__declare(b, QN__VARIABLE_LOCAL, n->name, qn__ast_name_span(b->ast, node), node, qn__term_of(type));
    if (rank > QN__MAX_RANK) {
        qn__diagnostic *d =
            qn__complain(b, RANK_LIMIT, qn__ast_get(b->ast, type_node)->span, QN__SAY_UINT(QN__MAX_RANK));
        qn__diagnostic_found(d, "%u dimensions", rank);
        rank = QN__MAX_RANK;
    }
    b->t->variables[variable].rank = (uint8_t)rank;
    for (uint32_t d = 0; d < rank; d++) {
        qn__node_id dim = qn__ast_child(b->ast, type_node, d);
        qn__constant value;
        if (!qn__constant_evaluate(b, dim, "the size of a local array", &value)) {
            b->info[variable].poisoned = true;
            continue;
        }
        bool good = value.kind == QN__CONSTANT_INT && value.integer > 0 && value.integer <= QN__CHECK_LOCAL_ELEMENTS;
        elements *= good ? (uint64_t)value.integer : 1;
        b->t->variables[variable].extent[d] =
            (qn__typed_extent){.kind = QN__EXTENT_CONSTANT, .value = good ? (int64_t)value.integer : 1};
        if (good && elements <= QN__CHECK_LOCAL_ELEMENTS) continue;
        qn__diagnostic *e =
            qn__complain(b, LOCAL_SIZE, qn__ast_get(b->ast, dim)->span, QN__SAY(qn__check_name(b->c, n->name)));
        qn__diagnostic_expected(e, "1 to %d elements", QN__CHECK_LOCAL_ELEMENTS);
        qn__diagnostic_hint(e, "use a temporary array of the kernel: let %s[i, j] = ...",
                            qn__check_name(b->c, n->name));
        b->info[variable].poisoned = true;
        elements = 1;
    }
    return variable;
}

static void check_var(qn__body *b, qn__node_id node) {
    qn__node_id type_node = qn__ast_child(b->ast, node, QN__VAR_TYPE),
                value = qn__ast_child(b->ast, node, QN__VAR_VALUE);
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    if (type_node && qn__ast_count(b->ast, type_node)) {
        bool is_size;
        qn__type type = qn__check_type_name(b, type_node, &is_size);
        if (value) {
            qn__check_expression(b, value);
            qn__diagnostic *d = qn__complain_plain(b, LOCAL_VALUE, qn__ast_get(b->ast, value)->span);
            qn__diagnostic_hint(d, "local arrays start at 0; assign the elements one by one");
        }
        qn__set_node(b, node, QN__MEANS_VARIABLE, declare_local(b, node, type_node, type), QN__TERM_ERROR);
        return;
    }
    qn__term_id wanted = type_node ? scalar_type(b, type_node) : QN__TERM_ERROR;
    qn__term_id term = value ? qn__check_expression(b, value) : wanted;
    if (type_node && !qn__term_unify(b, term, wanted)) qn__complain_expected(b, value, term, wanted, "the value");
    if (type_node) term = wanted;
    uint32_t variable = qn__declare(b, QN__VARIABLE_VAR, n->name, qn__ast_name_span(b->ast, node), node, term);
    b->info[variable].poisoned = qn__term_bad(b, term);
    qn__set_node(b, node, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
}

// ---- Assignments to variables ----
static bool is_kernel_array(uint8_t kind) {
    return kind == QN__VARIABLE_INPUT || kind == QN__VARIABLE_INOUT || kind == QN__VARIABLE_OUTPUT ||
           kind == QN__VARIABLE_TEMP;
}

static bool assigns_arrays(qn__body *b, qn__node_id targets) {
    for (uint32_t i = 0; i < qn__ast_count(b->ast, targets); i++) {
        uint32_t variable = qn__lookup(b, qn__ast_get(b->ast, qn__ast_child(b->ast, targets, i))->name);
        if (variable != QN__NO_REF && is_kernel_array(b->t->variables[variable].kind)) return true;
    }
    return false;
}

static void complain_fixed(qn__body *b, qn__node_id target, const qn__typed_variable *v) {
    qn__span span = qn__ast_name_span(b->ast, target);
    qn__diagnostic *d;
    if (v->kind == QN__VARIABLE_LET) {
        d = qn__complain(b, ASSIGN_LET, span, QN__SAY(v->name));
        qn__diagnostic_hint(d, "declare it as var %s = ...", v->name);
    } else if (is_kernel_array(v->kind)) {
        d = qn__complain(b, ASSIGN_IN_VALUE, span, QN__SAY(v->name));
        qn__diagnostic_hint(d, "write a block over the indices: for i, j { ... %s[i, j] = ... }", v->name);
    } else {
        d = qn__complain(b, ASSIGN_CONSTANT, span, QN__SAY(v->name));
        qn__diagnostic_hint(d, "copy it: var %s2 = %s", v->name, v->name);
    }
    qn__diagnostic_note(d, v->span, "'%s' is declared here", v->name);
}

static qn__term_id check_variable_target(qn__body *b, qn__node_id target) {
    const qn__ast_node *n = qn__ast_get(b->ast, target);
    uint32_t variable = qn__lookup(b, n->name);
    if (variable == QN__NO_REF) {
        qn__diagnostic *d =
            qn__complain(b, UNKNOWN_NAME, qn__ast_name_span(b->ast, target), QN__SAY(qn__check_name(b->c, n->name)));
        const char *near = qn__suggest_name(b, n->name, false);
        if (near) qn__diagnostic_hint(d, "did you mean '%s'?", near);
        qn__diagnostic_hint(d, "declare it: var %s = ...", qn__check_name(b->c, n->name));
        return QN__TERM_ERROR;
    }
    qn__typed_variable *v = &b->t->variables[variable];
    bool poisoned = b->info[variable].poisoned;
    if (poisoned) b->failed = true;
    if (v->kind != QN__VARIABLE_VAR && v->kind != QN__VARIABLE_LOCAL) {
        if (!poisoned) complain_fixed(b, target, v);
        return QN__TERM_ERROR;
    }
    if (variable < b->assign_floor) {
        qn__diagnostic *d = qn__complain(b, ASSIGN_OUTSIDE, qn__ast_name_span(b->ast, target), QN__SAY(v->name));
        qn__diagnostic_note(d, v->span, "'%s' is declared here", v->name);
        qn__diagnostic_hint(d, "let the block give the value: %s = { ... }", v->name);
    }
    v->changed = true;
    b->info[variable].written = true;
    if (n->kind == QN__AST_INDEX) {
        qn__term_id term = qn__check_subscripts(b, target, variable, true);
        return qn__set_node(b, target, QN__MEANS_LOCAL, variable, term);
    }
    if (v->kind == QN__VARIABLE_LOCAL) {
        qn__diagnostic *d = qn__complain(b, WHOLE_ARRAY, n->span, QN__SAY(v->name));
        qn__diagnostic_hint(d, "assign to its elements: %s[0] = ...", v->name);
        return QN__TERM_ERROR;
    }
    return qn__set_node(b, target, QN__MEANS_VARIABLE, variable, poisoned ? QN__TERM_ERROR : b->info[variable].term);
}

static void check_assign(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS),
                values = qn__ast_child(b->ast, node, QN__ASSIGN_VALUES);
    if (b->block_node && b->assign_floor == 0 && assigns_arrays(b, targets)) {
        qn__check_block_target(b, node);
        return;
    }
    qn__term_id terms[QN__CHECK_RESULTS], found[QN__CHECK_RESULTS];
    uint32_t count = qn__ast_count(b->ast, targets);
    if (count > QN__CHECK_RESULTS) count = QN__CHECK_RESULTS;
    for (uint32_t i = 0; i < count; i++) terms[i] = check_variable_target(b, qn__ast_child(b->ast, targets, i));
    bool good = qn__check_values(b, values, count, found, n->span);
    qn__type_set set;
    qn__node(b, node)->bits = qn__assign_op((qn__ast_assign)n->op, &set);
    for (uint32_t i = 0; i < count && good; i++) {
        qn__node_id value = qn__ast_child(b->ast, values, qn__ast_count(b->ast, values) == count ? i : 0);
        qn__node_id target = qn__ast_child(b->ast, targets, i);
        if (!qn__term_restrict(b, terms[i], set)) {
            const char *text = qn__term_text(b, terms[i]);
            qn__diagnostic *d = qn__complain(b, OPERAND_TYPE, qn__ast_get(b->ast, target)->span,
                                             QN__SAY(qn__ast_assign_text((qn__ast_assign)n->op)), QN__SAY(text));
            qn__diagnostic_found(d, "%s", text);
            qn__diagnostic_expected(d, "%s",
                                    set == QN__SET_BOOL     ? "bool"
                                    : set == QN__SET_NUMBER ? "a number"
                                                            : "an integer type or bool");
        } else if (!qn__term_unify(b, found[i], terms[i])) {
            qn__complain_expected(b, value, found[i], terms[i], "the assigned value");
        }
    }
    qn__set_node(b, node, QN__MEANS_ASSIGN, 0, QN__TERM_ERROR);
}

// ---- Control flow ----
static void nested_block(qn__body *b, qn__node_id block) {
    size_t mark;
    qn__scope_open(b, &mark);
    qn__check_point_block(b, block);
    qn__scope_close(b, mark);
}

// Elements that both ways assign are assigned for certain.
static void join_targets(qn__body *b, uint32_t from, uint32_t middle) {
    uint32_t inside = b->point_loops + b->point_branches;
    for (uint32_t i = from; i < middle; i++) {
        if (b->t->targets[i].array == QN__NO_REF || b->target_depth[i] != inside) continue;
        for (uint32_t j = middle; j < b->t->target_count; j++) {
            if (b->t->targets[j].array != b->t->targets[i].array || b->target_depth[j] != inside) continue;
            if (!qn__same_element(b, b->t->targets[i].node, b->t->targets[j].node)) continue;
            b->target_depth[i] = (uint8_t)(inside - 1);
            break;
        }
    }
}

static void check_if(qn__body *b, qn__node_id node) {
    qn__node_id otherwise = qn__ast_child(b->ast, node, QN__IF_ELSE);
    qn__check_condition(b, qn__ast_child(b->ast, node, QN__IF_CONDITION), "the condition of 'if'");
    uint32_t from = b->t->target_count;
    b->point_branches++;
    nested_block(b, qn__ast_child(b->ast, node, QN__IF_THEN));
    uint32_t middle = b->t->target_count;
    if (otherwise && qn__ast_kind_of(b->ast, otherwise) == QN__AST_IF) {
        if (b->depth++ < QN__CHECK_DEPTH) check_if(b, otherwise);
        b->depth--;
    } else if (otherwise) {
        nested_block(b, otherwise);
    }
    if (otherwise) join_targets(b, from, middle);
    b->point_branches--;
}

static void check_while(qn__body *b, qn__node_id node) {
    qn__check_condition(b, qn__ast_child(b->ast, node, QN__WHILE_CONDITION), "the condition of 'while'");
    b->point_loops++;
    nested_block(b, qn__ast_child(b->ast, node, QN__WHILE_BODY));
    b->point_loops--;
}

// Does the loop run over a whole dimension of the target? Then the target is assigned for certain where the loop is.
static void join_loop(qn__body *b, uint32_t loop_index, uint32_t from, bool exits) {
    uint32_t inside = b->point_loops + b->point_branches;
    if (exits || loop_index == QN__NO_REF) return;
    uint32_t variable = b->t->indices[loop_index].variable;
    for (uint32_t i = from; i < b->t->target_count; i++) {
        const qn__typed_target *target = &b->t->targets[i];
        if (target->array == QN__NO_REF || b->target_depth[i] != inside ||
            qn__ast_kind_of(b->ast, target->node) != QN__AST_INDEX)
            continue;
        for (uint32_t d = 0; d < qn__ast_count(b->ast, target->node) && d < QN__MAX_RANK; d++) {
            const qn__typed_node *sub = qn__node(b, qn__ast_child(b->ast, target->node, d));
            if (sub->meaning != QN__MEANS_VARIABLE || sub->ref != variable) continue;
            if (qn__range_is_full(b, &b->t->indices[loop_index], &b->info[target->array].extent[d]))
                b->target_depth[i] = (uint8_t)(inside - 1);
        }
    }
}

static void check_for(qn__body *b, qn__node_id node) {
    size_t mark;
    uint32_t from = b->t->target_count, exits = b->loop_exits;
    qn__scope_open(b, &mark);
    uint32_t index = qn__declare_range(b, qn__ast_child(b->ast, node, QN__FOR_RANGE), QN__VARIABLE_LOOP);
    b->point_loops++;
    nested_block(b, qn__ast_child(b->ast, node, QN__FOR_BODY));
    join_loop(b, index, from, b->loop_exits != exits);
    b->point_loops--;
    qn__scope_close(b, mark);
}

static void check_exit(qn__body *b, qn__node_id node) {
    b->loop_exits++;
    if (b->point_loops) return;
    const char *word = qn__ast_kind_of(b->ast, node) == QN__AST_BREAK ? "break" : "continue";
    qn__diagnostic *d = qn__complain(b, EXIT_PLACE, qn__ast_get(b->ast, node)->span, QN__SAY(word));
    qn__diagnostic_expected(d, "a place inside 'while' or 'for ... in'; the points of a kernel run all at once");
    qn__diagnostic_hint(d, "leave a point out by if ... { ... } instead");
}

static void kernel_statement(qn__body *b, qn__node_id node) {
    const char *kind = qn__ast_kind_name(qn__ast_kind_of(b->ast, node));
    qn__complain(b, STATEMENT_PLACE, qn__ast_get(b->ast, node)->span, QN__SAY(kind));
}

static void check_statement(qn__body *b, qn__node_id node) {
    switch (qn__ast_kind_of(b->ast, node)) {
    case QN__AST_LET: qn__check_let(b, node); return;
    case QN__AST_VAR: check_var(b, node); return;
    case QN__AST_ASSIGN: check_assign(b, node); return;
    case QN__AST_IF: check_if(b, node); return;
    case QN__AST_WHILE: check_while(b, node); return;
    case QN__AST_FOR: check_for(b, node); return;
    case QN__AST_BREAK:
    case QN__AST_CONTINUE: check_exit(b, node); return;
    case QN__AST_BLOCK: nested_block(b, node); return;
    case QN__AST_ERROR: b->failed = true; return;
    default: kernel_statement(b, node); return;
    }
}

void qn__check_point_block(qn__body *b, qn__node_id block) {
    if (!block || b->depth >= QN__CHECK_DEPTH) {
        b->failed = true;
        return;
    }
    b->depth++;
    bool ended = false;
    for (uint32_t i = 0; i < qn__ast_count(b->ast, block); i++) {
        qn__node_id node = qn__ast_child(b->ast, block, i);
        if (ended && !b->failed) qn__warn(b, UNREACHABLE, qn__ast_get(b->ast, node)->span, {.type = 0});
        check_statement(b, node);
        ended = qn__ast_kind_of(b->ast, node) == QN__AST_BREAK || qn__ast_kind_of(b->ast, node) == QN__AST_CONTINUE;
    }
    b->depth--;
}

// ---- Values ----
typedef struct outside {
    uint32_t loops, branches, floor;
    size_t mark;
} outside;

static outside value_begin(qn__body *b) {
    outside o = {b->point_loops, b->point_branches, b->assign_floor, 0};
    qn__scope_open(b, &o.mark);
    b->point_loops = 0;
    b->assign_floor = b->t->variable_count;
    return o;
}

static void value_end(qn__body *b, outside o) {
    qn__scope_close(b, o.mark);
    b->point_loops = o.loops;
    b->point_branches = o.branches;
    b->assign_floor = o.floor;
}

qn__term_id qn__check_block_value(qn__body *b, qn__node_id node) {
    qn__node_id results = qn__ast_child(b->ast, node, QN__BLOCK_VALUE_RESULTS);
    outside o = value_begin(b);
    qn__check_point_block(b, qn__ast_child(b->ast, node, QN__BLOCK_VALUE_BODY));
    qn__term_id term = qn__check_expression(b, qn__ast_child(b->ast, results, 0));
    if (qn__ast_count(b->ast, results) > 1) {
        qn__diagnostic *d = qn__complain(b, VALUE_COUNT, qn__ast_get(b->ast, results)->span, QN__SAY_UINT(1),
                                         QN__SAY_UINT(qn__ast_count(b->ast, results)));
        qn__diagnostic_hint(d, "only functions have several results: fn f(...) -> f64, f64 { ... }");
    }
    value_end(b, o);
    return qn__set_node(b, node, QN__MEANS_SELF, 0, term);
}

static qn__node_id last_value(qn__body *b, qn__node_id arm) {
    if (qn__ast_kind_of(b->ast, arm) != QN__AST_BLOCK_VALUE) return arm;
    return qn__ast_child(b->ast, qn__ast_child(b->ast, arm, QN__BLOCK_VALUE_RESULTS), 0);
}

qn__term_id qn__check_if_value(qn__body *b, qn__node_id node) {
    qn__node_id yes = qn__ast_child(b->ast, node, QN__IF_VALUE_THEN),
                no = qn__ast_child(b->ast, node, QN__IF_VALUE_ELSE);
    qn__check_condition(b, qn__ast_child(b->ast, node, QN__IF_VALUE_CONDITION), "the condition of 'if'");
    qn__term_id x = qn__check_expression(b, yes), y = qn__check_expression(b, no);
    if (!qn__term_unify(b, x, y)) {
        qn__node_id from = last_value(b, yes), to = last_value(b, no);
        if (qn__node_term(b, from) && qn__node_term(b, to))
            qn__complain_types(b, no, from, to, "if");
        else
            qn__complain_types(b, no, yes, no, "if");
        x = QN__TERM_ERROR;
    }
    return qn__set_node(b, node, QN__MEANS_SELF, 0, x);
}

// ---- Functions ----
static void declare_parameters(qn__body *b, qn__node_id params) {
    for (uint32_t i = 0; i < qn__ast_count(b->ast, params); i++) {
        qn__node_id param = qn__ast_child(b->ast, params, i), type_node = qn__ast_child(b->ast, param, QN__PARAM_TYPE);
        bool is_size = false;
        qn__type type = type_node ? qn__check_type_name(b, type_node, &is_size) : QN__TYPE_NONE;
        if (!type_node) b->failed = true;
        if (type_node && qn__ast_count(b->ast, type_node)) {
            qn__diagnostic *d = qn__complain_plain(b, SCALAR_EXPECTED, qn__ast_get(b->ast, type_node)->span);
            qn__diagnostic_hint(d, "functions take scalars: pass the elements, like f(x[i], x[i+1])");
            type = QN__TYPE_NONE;
        }
        uint32_t variable = qn__declare(b, QN__VARIABLE_SCALAR, qn__ast_get(b->ast, param)->name,
                                        qn__ast_name_span(b->ast, param), param, qn__term_of(type));
        b->t->variables[variable].parameter = i;
        b->info[variable].poisoned = !type;
        qn__set_node(b, param, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
    }
    b->t->parameter_count = qn__ast_count(b->ast, params);
}

static uint32_t result_types(qn__body *b, qn__node_id results, qn__term_id *terms) {
    uint32_t count = qn__ast_count(b->ast, results);
    if (count > QN__CHECK_RESULTS) {
        qn__complain(b, TOO_MANY_RESULTS, qn__ast_get(b->ast, results)->span, QN__SAY_UINT(QN__CHECK_RESULTS));
        count = QN__CHECK_RESULTS;
    }
    b->t->results = QN__ARENA_ARRAY(b->c->arena, qn__type, (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++) {
        bool is_size;
        qn__node_id type_node = qn__ast_child(b->ast, results, i);
        qn__type type = qn__check_type_name(b, type_node, &is_size);
        if (qn__ast_count(b->ast, type_node)) {
            qn__diagnostic *d = qn__complain_plain(b, SCALAR_EXPECTED, qn__ast_get(b->ast, type_node)->span);
            qn__diagnostic_hint(d, "functions give scalars; what gives arrays is a kernel");
            type = QN__TYPE_NONE;
        }
        terms[i] = qn__term_of(type);
        if (b->t->results) b->t->results[i] = type;
    }
    b->t->result_count = count;
    return count;
}

void qn__check_function_body(qn__body *b) {
    qn__node_id node = b->t->item.node, values = qn__ast_child(b->ast, node, QN__FUNCTION_VALUES);
    qn__term_id terms[QN__CHECK_RESULTS];
    size_t mark;
    qn__scope_open(b, &mark);
    declare_parameters(b, qn__ast_child(b->ast, node, QN__FUNCTION_PARAMS));
    uint32_t count = result_types(b, qn__ast_child(b->ast, node, QN__FUNCTION_RESULTS), terms);
    qn__node_id body = qn__ast_count(b->ast, values) == 1 ? qn__ast_child(b->ast, values, 0) : QN__NO_NODE;
    if (body && qn__ast_kind_of(b->ast, body) == QN__AST_BLOCK_VALUE) {
        outside o = value_begin(b);
        qn__check_point_block(b, qn__ast_child(b->ast, body, QN__BLOCK_VALUE_BODY));
        qn__check_results(b, qn__ast_child(b->ast, body, QN__BLOCK_VALUE_RESULTS), terms, count, "the result");
        value_end(b, o);
        qn__set_node(b, body, QN__MEANS_SELF, 0, count == 1 ? terms[0] : QN__TERM_ERROR);
    } else {
        qn__check_results(b, values, terms, count, "the result");
    }
    qn__scope_close(b, mark);
}
