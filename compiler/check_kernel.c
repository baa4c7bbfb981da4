// The statements of a kernel: order of values (what has got a value where), scopes, loops, conditions, swap.
// `defined` of each array follows the flow: a loop may run no round at all, so what is first assigned in it is not
// assigned after it; of an if, both ways must assign.
#include "compiler/check_private.h"

#include <string.h>

static void check_block(qn__body *b, qn__node_id block);

// ---- What is defined ----
static uint8_t *save_defined(qn__body *b, uint32_t *count) {
    *count = b->t->variable_count;
    uint8_t *saved = QN__ARENA_ARRAY(b->c->arena, uint8_t, (size_t)*count + 1);
    for (uint32_t i = 0; saved && i < *count; i++) saved[i] = b->info[i].defined;
    return saved;
}

static void join_defined(qn__body *b, const uint8_t *other, uint32_t count) {
    for (uint32_t i = 0; other && i < count; i++) {
        if (b->info[i].defined != other[i]) b->info[i].defined = QN__DEFINED_PART;
    }
}

static void restore_defined(qn__body *b, const uint8_t *saved, uint32_t count) {
    for (uint32_t i = 0; saved && i < count; i++) b->info[i].defined = saved[i];
}

// ---- Declarations ----
static void declare_dims(qn__body *b, uint32_t variable, qn__node_id type_node, uint32_t rank) {
    for (uint32_t d = 0; d < rank; d++) {
        qn__node_id dim = qn__ast_child(b->ast, type_node, d);
        if (qn__ast_kind_of(b->ast, dim) == QN__AST_UNKNOWN_SIZE) {
            qn__diagnostic *e = qn__complain(b, UNKNOWN_SIZE_PLACE, qn__ast_get(b->ast, dim)->span,
                                             QN__SAY(qn__check_name(b->c, qn__ast_get(b->ast, dim)->name)));
            qn__diagnostic_hint(e, "write let %s = keep(...): its size needs no name", b->t->variables[variable].name);
            b->info[variable].poisoned = true;
            continue;
        }
        qn__check_integer(b, dim, "a size");
        qn__linear form = qn__linear_of(b, dim);
        if (!form.count && form.constant < 0) {
            qn__diagnostic *e =
                qn__complain(b, BAD_SIZE, qn__ast_get(b->ast, dim)->span, QN__SAY(qn__source_text(b, dim)));
            qn__diagnostic_expected(e, "an integer that is 0 or more");
        }
        b->t->variables[variable].extent[d] = (qn__typed_extent){.kind = QN__EXTENT_NODE, .node = dim};
        b->info[variable].extent[d] = form;
    }
}

static void check_declare(qn__body *b, qn__node_id node) {
    qn__node_id type_node = qn__ast_child(b->ast, node, QN__LET_DECLARE_TYPE);
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    bool is_size;
    qn__type type = qn__check_type_name(b, type_node, &is_size);
    uint32_t rank = qn__ast_count(b->ast, type_node);
    if (rank > QN__MAX_RANK) {
        qn__diagnostic *d =
            qn__complain(b, RANK_LIMIT, qn__ast_get(b->ast, type_node)->span, QN__SAY_UINT(QN__MAX_RANK));
        qn__diagnostic_found(d, "%u dimensions", rank);
        rank = QN__MAX_RANK;
    }
    uint32_t variable =
        qn__declare(b, QN__VARIABLE_TEMP, n->name, qn__ast_name_span(b->ast, node), node, qn__term_of(type));
    b->t->variables[variable].rank = (uint8_t)rank;
    b->info[variable].poisoned = !type;
    qn__set_node(b, node, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
    declare_dims(b, variable, type_node, rank);
}

static void check_let(qn__body *b, qn__node_id node) {
    qn__node_id values = qn__ast_child(b->ast, node, QN__LET_VALUES);
    qn__ast_kind kind =
        qn__ast_count(b->ast, values) == 1 ? qn__ast_kind_of(b->ast, qn__ast_child(b->ast, values, 0)) : QN__AST_ERROR;
    if (kind == QN__AST_KEEP || kind == QN__AST_SCAN)
        qn__check_let_stage(b, node);
    else
        qn__check_let(b, node);
}

// ---- Swap ----
static uint32_t swap_side(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    uint32_t variable = qn__lookup(b, n->name);
    if (variable == QN__NO_REF) {
        qn__complain_unknown(b, node, true);
        return QN__NO_REF;
    }
    const qn__typed_variable *v = &b->t->variables[variable];
    b->info[variable].read = b->info[variable].written = true;
    qn__set_node(b, node, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
    if (b->info[variable].poisoned) {
        b->failed = true;
        return QN__NO_REF;
    }
    bool array = v->kind == QN__VARIABLE_INOUT || v->kind == QN__VARIABLE_OUTPUT || v->kind == QN__VARIABLE_TEMP;
    if (array && v->rank && !b->info[variable].unknown_size) return variable;
    qn__diagnostic *d = qn__complain(b, SWAP_OPERAND, n->span, QN__SAY(v->name));
    qn__diagnostic_note(d, v->span, "'%s' is declared here", v->name);
    if (v->kind == QN__VARIABLE_INPUT)
        qn__diagnostic_hint(d, "copy the input first: let %s2[i] = %s[i]", v->name, v->name);
    else
        qn__diagnostic_hint(d, "swap exchanges two arrays that the kernel may write");
    return QN__NO_REF;
}

static const char *shape_text(qn__body *b, uint32_t variable) {
    char text[300];
    const qn__typed_variable *v = &b->t->variables[variable];
    size_t used = 0;
    const char *type = qn__term_text(b, b->info[variable].term);
    for (uint32_t d = 0; d <= v->rank; d++) {
        const char *part = d == 0 ? type : qn__linear_text(b, &b->info[variable].extent[d - 1]);
        const char *before = d == 0 ? "" : d == 1 ? "[" : ", ";
        if (used + strlen(part) + strlen(before) + 2 > sizeof text) break;
        memcpy(text + used, before, strlen(before));
        used += strlen(before);
        memcpy(text + used, part, strlen(part));
        used += strlen(part);
    }
    text[used++] = ']';
    const char *copy = qn__arena_copy_string(b->c->arena, text, used);
    return copy ? copy : "...";
}

static void check_swap(qn__body *b, qn__node_id node) {
    uint32_t x = swap_side(b, qn__ast_child(b->ast, node, QN__SWAP_FIRST)),
             y = swap_side(b, qn__ast_child(b->ast, node, QN__SWAP_SECOND));
    if (x == QN__NO_REF || y == QN__NO_REF) return;
    const char *name_x = b->t->variables[x].name, *name_y = b->t->variables[y].name;
    bool same =
        b->t->variables[x].rank == b->t->variables[y].rank && qn__term_unify(b, b->info[x].term, b->info[y].term);
    for (uint32_t d = 0; same && d < b->t->variables[x].rank; d++)
        same = qn__linear_equal(&b->info[x].extent[d], &b->info[y].extent[d]);
    if (x == y) {
        qn__diagnostic *d = qn__complain(b, SWAP_SELF, qn__ast_get(b->ast, node)->span, QN__SAY(name_x));
        qn__diagnostic_hint(d, "swap exchanges two different arrays");
    } else if (!same) {
        qn__diagnostic *d =
            qn__complain(b, SWAP_SHAPES, qn__ast_get(b->ast, node)->span, QN__SAY(name_x), QN__SAY(name_y));
        qn__diagnostic_found(d, "%s and %s", shape_text(b, x), shape_text(b, y));
        qn__diagnostic_expected(d, "one type and one shape");
    }
    // Both must have values: in a loop, the next round would meet the one without.
    qn__check_defined(b, qn__ast_child(b->ast, node, QN__SWAP_FIRST), x);
    qn__check_defined(b, qn__ast_child(b->ast, node, QN__SWAP_SECOND), y);
}

// ---- Control flow ----
static void scoped_block(qn__body *b, qn__node_id block) {
    size_t mark;
    qn__scope_open(b, &mark);
    check_block(b, block);
    qn__scope_close(b, mark);
}

static void check_loop(qn__body *b, qn__node_id node, bool counts) {
    size_t mark;
    uint32_t count;
    qn__scope_open(b, &mark);
    if (counts)
        qn__declare_range(b, qn__ast_child(b->ast, node, QN__LOOP_RANGE_RANGE), QN__VARIABLE_LOOP);
    else
        qn__check_condition(b, qn__ast_child(b->ast, node, QN__LOOP_WHILE_CONDITION), "the condition of 'loop while'");
    uint8_t *before = save_defined(b, &count);
    b->loop_depth++;
    scoped_block(b, qn__ast_child(b->ast, node, counts ? QN__LOOP_RANGE_BODY : QN__LOOP_WHILE_BODY));
    b->loop_depth--;
    join_defined(b, before, count);
    qn__scope_close(b, mark);
}

static void check_if(qn__body *b, qn__node_id node) {
    qn__node_id otherwise = qn__ast_child(b->ast, node, QN__IF_ELSE);
    uint32_t count, count_then;
    qn__check_condition(b, qn__ast_child(b->ast, node, QN__IF_CONDITION), "the condition of 'if'");
    uint8_t *before = save_defined(b, &count);
    b->branch_depth++;
    scoped_block(b, qn__ast_child(b->ast, node, QN__IF_THEN));
    uint8_t *then = save_defined(b, &count_then);
    restore_defined(b, before, count);
    if (otherwise && qn__ast_kind_of(b->ast, otherwise) == QN__AST_IF) {
        if (b->depth++ < QN__CHECK_DEPTH) check_if(b, otherwise);
        b->depth--;
    } else if (otherwise) {
        scoped_block(b, otherwise);
    }
    b->branch_depth--;
    join_defined(b, then, count);
}

static void point_statement(qn__body *b, qn__node_id node) {
    qn__ast_kind kind = qn__ast_kind_of(b->ast, node);
    qn__diagnostic *d =
        qn__complain(b, STATEMENT_PLACE, qn__ast_get(b->ast, node)->span, QN__SAY(qn__ast_kind_name(kind)));
    if (kind == QN__AST_VAR)
        qn__diagnostic_hint(d, "a scalar of the kernel that changes is declared without a value: let x: f64");
    else if (kind == QN__AST_WHILE)
        qn__diagnostic_hint(d, "write loop while ... { ... }");
    else if (kind == QN__AST_FOR)
        qn__diagnostic_hint(d, "write loop i in a..b { ... }");
}

static void check_statement(qn__body *b, qn__node_id node) {
    switch (qn__ast_kind_of(b->ast, node)) {
    case QN__AST_LET: check_let(b, node); return;
    case QN__AST_LET_ARRAY: qn__check_let_array(b, node); return;
    case QN__AST_LET_DECLARE: check_declare(b, node); return;
    case QN__AST_ASSIGN: qn__check_assign_stage(b, node); return;
    case QN__AST_FOR_BLOCK: qn__check_for_block(b, node); return;
    case QN__AST_LOOP_RANGE: check_loop(b, node, true); return;
    case QN__AST_LOOP_WHILE: check_loop(b, node, false); return;
    case QN__AST_IF: check_if(b, node); return;
    case QN__AST_SWAP: check_swap(b, node); return;
    case QN__AST_BLOCK: scoped_block(b, node); return;
    case QN__AST_ERROR: b->failed = true; return;
    default: point_statement(b, node); return;
    }
}

static void check_block(qn__body *b, qn__node_id block) {
    if (!block || b->depth >= QN__CHECK_DEPTH) {
        b->failed = true;
        return;
    }
    b->depth++;
    for (uint32_t i = 0; i < qn__ast_count(b->ast, block); i++) check_statement(b, qn__ast_child(b->ast, block, i));
    b->depth--;
}

// ---- The whole kernel ----
static void check_outputs(qn__body *b) {
    for (uint32_t i = 0; i < b->t->signature->parameter_count; i++) {
        const qn__typed_variable *v = &b->t->variables[i];
        const qn__info *info = &b->info[i];
        if (v->kind == QN__VARIABLE_INOUT && !info->read && !info->written && !b->failed) {
            qn__diagnostic *d = qn__warn(b, UNUSED_PARAMETER, v->span, QN__SAY(v->name));
            qn__diagnostic_hint(d, "remove it, or name it '_%s'", v->name);
        }
        if (v->kind != QN__VARIABLE_OUTPUT || info->poisoned || info->excused || info->defined == QN__DEFINED_YES)
            continue;
        if (info->defined == QN__DEFINED_PART) {
            qn__diagnostic *d = qn__complain(b, OUTPUT_SOMETIMES, v->span, QN__SAY(v->name));
            qn__diagnostic_note(d, QN__NO_SPAN, "a loop may run no round, and an if without else may do nothing");
            qn__diagnostic_hint(d, "assign it before: %s = 0", qn__element_text(b, i));
        } else if (!info->written || !b->failed) {
            qn__diagnostic *d = qn__complain(b, UNASSIGNED_OUTPUT, v->span, QN__SAY(v->name));
            if (info->unknown_size)
                qn__diagnostic_hint(d, "write %s = keep(i: ... where ...)", v->name);
            else
                qn__diagnostic_hint(d, "write %s = ...", qn__element_text(b, i));
        }
    }
}

void qn__check_kernel_body(qn__body *b) {
    check_block(b, qn__ast_child(b->ast, b->t->item.node, QN__KERNEL_BODY));
    check_outputs(b);
}
