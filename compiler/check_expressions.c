// Expressions of one value: literals, names, elements, operators. No operator mixes types: the message shows the cast.
#include "compiler/check_private.h"

#include <string.h>

// ---- Words for messages ----
const char *qn__source_text(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    const qn__source *source = qn__sources_get(b->c->sources, n->span.file);
    if (!source || n->span.end > source->length || n->span.begin >= n->span.end) return "...";
    size_t length = n->span.end - n->span.begin;
    const char *text = source->text + n->span.begin;
    if (length > 40 || memchr(text, '\n', length)) return "...";
    const char *copy = qn__arena_copy_string(b->c->arena, text, length);
    return copy ? copy : "...";
}

const char *qn__element_text(qn__body *b, uint32_t variable) {
    static const char *const subscripts[] = {"", "[i]", "[i, j]", "[i, j, k]", "[i, j, k, l]"};
    const qn__typed_variable *v = &b->t->variables[variable];
    char text[120];
    const char *tail = v->rank < 5 ? subscripts[v->rank] : "[i, j, ...]";
    size_t length = strlen(v->name), more = strlen(tail);
    if (length + more > sizeof text) return v->name;
    memcpy(text, v->name, length);
    memcpy(text + length, tail, more);
    const char *copy = qn__arena_copy_string(b->c->arena, text, length + more);
    return copy ? copy : v->name;
}

qn__diagnostic *qn__failing(qn__body *b, qn__diagnostic *d) {
    b->failed = b->c->failed = true;
    for (uint32_t i = 0; b->t && b->generics && i < b->t->type_argument_count; i++) {
        const char *name = qn__check_name(b->c, qn__ast_get(b->ast, qn__ast_child(b->ast, b->generics, i))->name);
        qn__diagnostic_note(d, QN__NO_SPAN, "with %s = %s", name, qn__type_table[b->t->type_arguments[i]].name);
    }
    return d;
}

// The type to which the other side should be cast: floats before integers before bool, then the wider.
static qn__node_id cast_side(qn__body *b, qn__node_id left, qn__node_id right, qn__type *to) {
    qn__type x = qn__term_type(b, qn__node_term(b, left)), y = qn__term_type(b, qn__node_term(b, right));
    if (!x || !y) return QN__NO_NODE;
    int rank_x = qn__is_float(x) ? 2 : x != QN__TYPE_BOOL, rank_y = qn__is_float(y) ? 2 : y != QN__TYPE_BOOL;
    bool to_left = rank_x != rank_y ? rank_x > rank_y : qn__type_bits(x) >= qn__type_bits(y);
    *to = to_left ? x : y;
    return to_left ? right : left;
}

void qn__complain_types(qn__body *b, qn__node_id at, qn__node_id left, qn__node_id right, const char *what) {
    qn__type to = QN__TYPE_NONE;
    qn__diagnostic *d = qn__complain(b, TYPES_DIFFER, qn__ast_get(b->ast, at)->span, QN__SAY(what));
    qn__diagnostic_found(d, "%s and %s", qn__term_text(b, qn__node_term(b, left)),
                         qn__term_text(b, qn__node_term(b, right)));
    qn__diagnostic_expected(d, "one type on both sides; Quern converts only where it is told to");
    qn__node_id side = cast_side(b, left, right, &to);
    if (side) {
        qn__diagnostic_hint(d, "write %s(%s)", qn__type_table[to].name, qn__source_text(b, side));
        return;
    }
    qn__type_set x = qn__term_set(b, qn__node_term(b, left)), y = qn__term_set(b, qn__node_term(b, right));
    if (!(x & ~QN__SET_FLOAT) != !(y & ~QN__SET_FLOAT)) {
        bool left_float = !(x & ~QN__SET_FLOAT);
        qn__node_id integer = left_float ? right : left;
        qn__type type = qn__term_type(b, qn__node_term(b, integer));
        if (type)
            qn__diagnostic_hint(d, "write f64(%s), or a literal without a decimal point", qn__source_text(b, integer));
    } else if (((x | y) & QN__SET_BOOL)) {
        qn__diagnostic_hint(d, "compare a number, like %s != 0, or cast the bool",
                            qn__source_text(b, (x & QN__SET_BOOL) ? right : left));
    }
}

void qn__complain_expected(qn__body *b, qn__node_id node, qn__term_id found, qn__term_id expected, const char *what) {
    qn__diagnostic *d = qn__complain(b, TYPE_MISMATCH, qn__ast_get(b->ast, node)->span, QN__SAY(what));
    qn__diagnostic_found(d, "%s", qn__term_text(b, found));
    qn__diagnostic_expected(d, "%s", qn__term_text(b, expected));
    qn__type type = qn__term_type(b, expected);
    const char *text = qn__source_text(b, node);
    if (type == QN__TYPE_BOOL)
        qn__diagnostic_hint(d, "compare it: %s != 0", text);
    else if (type && qn__ast_kind_of(b->ast, node) == QN__AST_FLOAT)
        qn__diagnostic_hint(d, "write an integer, or %s(%s)", qn__type_table[type].name, text);
    else if (type)
        qn__diagnostic_hint(d, "write %s(%s)", qn__type_table[type].name, text);
}

// ---- Small parts ----
qn__term_id qn__set_node(qn__body *b, qn__node_id node, qn__meaning meaning, uint32_t ref, qn__term_id term) {
    qn__typed_node *t = qn__node(b, node);
    t->meaning = (uint8_t)meaning;
    t->ref = ref;
    b->node_term[node - b->t->item.first] = term;
    return term;
}

qn__term_id qn__add_literal(qn__body *b, qn__node_id node, qn__constant constant) {
    qn__type_set set = constant.kind == QN__CONSTANT_FLOAT ? QN__SET_FLOAT
                       : constant.kind == QN__CONSTANT_INT ? QN__SET_NUMBER
                                                           : QN__SET_BOOL;
    qn__pending_literal *grown =
        qn__arena_grow(b->c->arena, b->literals, &b->literal_capacity, b->literal_count + 1, sizeof *grown);
    if (!grown || !constant.kind) {
        b->failed = true;
        return qn__set_node(b, node, QN__MEANS_CONSTANT, 0, QN__TERM_ERROR);
    }
    b->literals = grown;
    b->literals[b->literal_count++] = (qn__pending_literal){node, constant};
    qn__term_id term = constant.type ? qn__term_of((qn__type)constant.type) : qn__term_new(b, set);
    return qn__set_node(b, node, QN__MEANS_CONSTANT, (uint32_t)b->literal_count, term);
}

qn__term_id qn__check_expecting(qn__body *b, qn__node_id node, qn__term_id expected, const char *what) {
    qn__term_id found = qn__check_expression(b, node);
    if (!qn__term_unify(b, found, expected)) qn__complain_expected(b, node, found, expected, what);
    return expected;
}

void qn__check_condition(qn__body *b, qn__node_id node, const char *what) {
    qn__check_expecting(b, node, qn__term_of(QN__TYPE_BOOL), what);
}

void qn__check_integer(qn__body *b, qn__node_id node, const char *what) {
    qn__term_id term = qn__check_expression(b, node);
    if (qn__term_restrict(b, term, QN__SET_INT)) return;
    qn__diagnostic *d = qn__complain(b, INTEGER_EXPECTED, qn__ast_get(b->ast, node)->span, QN__SAY(what));
    qn__diagnostic_found(d, "%s", qn__term_text(b, term));
    qn__diagnostic_expected(d, "an integer of any type");
    qn__diagnostic_hint(d, "write i64(%s)", qn__source_text(b, node));
}

// ---- Names ----
static qn__term_id array_as_value(qn__body *b, qn__node_id node, uint32_t variable) {
    const qn__typed_variable *v = &b->t->variables[variable];
    qn__diagnostic *d = qn__complain(b, ARRAY_AS_VALUE, qn__ast_get(b->ast, node)->span, QN__SAY(v->name));
    static const char *const subscripts[] = {"", "i", "i, j", "i, j, k", "i, j, k, l"};
    const char *s = v->rank < 5 ? subscripts[v->rank] : "...", *element = qn__element_text(b, variable);
    qn__diagnostic_hint(d, "write an element, %s", element);
    if (b->level == QN__LEVEL_KERNEL && v->kind != QN__VARIABLE_LOCAL)
        qn__diagnostic_hint(d, "or reduce it: sum(%s: %s)", s, element);
    b->info[variable].read = true;
    return qn__set_node(b, node, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
}

void qn__check_defined(qn__body *b, qn__node_id node, uint32_t variable) {
    const qn__typed_variable *v = &b->t->variables[variable];
    qn__info *info = &b->info[variable];
    info->read = true;
    if (v->kind != QN__VARIABLE_OUTPUT && v->kind != QN__VARIABLE_TEMP) return;
    if (info->defined == QN__DEFINED_YES || info->poisoned) return;
    qn__diagnostic *d = qn__complain(b, READ_BEFORE_WRITE, qn__ast_name_span(b->ast, node), QN__SAY(v->name));
    if (info->defined == QN__DEFINED_PART)
        qn__diagnostic_note(d, QN__NO_SPAN, "only some of its elements, or only on some ways here, have got a value");
    qn__diagnostic_note(d, v->span, "'%s' is declared here", v->name);
    qn__diagnostic_hint(d, "assign all of '%s' before: %s = ...", v->name, qn__element_text(b, variable));
    info->poisoned = true;
}

static void add_read(qn__body *b, qn__node_id node, uint32_t array) {
    qn__read *grown = qn__arena_grow(b->c->arena, b->reads, &b->read_capacity, b->read_count + 1, sizeof *grown);
    if (!grown) {
        b->failed = true;
        return;
    }
    b->reads = grown;
    b->reads[b->read_count++] = (qn__read){node, array, b->point_loops > 0};
}

static qn__term_id variable_value(qn__body *b, qn__node_id node, uint32_t variable) {
    qn__typed_variable *v = &b->t->variables[variable];
    qn__info *info = &b->info[variable];
    if (info->poisoned) {
        b->failed = true;
        return qn__set_node(b, node, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
    }
    if (v->rank) return array_as_value(b, node, variable);
    if (v->kind == QN__VARIABLE_INDEX && b->no_stage_index && variable >= b->stage_indices &&
        variable < b->stage_indices_end) {
        qn__diagnostic *d = qn__complain(b, RANGE_DEPENDS, qn__ast_get(b->ast, node)->span, QN__SAY(v->name));
        qn__diagnostic_note(d, QN__NO_SPAN, "the indices of a statement run over a box");
        qn__diagnostic_hint(
            d, "let the range be full and choose by if ... { ... } else { ... }, or reduce: sum(k in 0..%s: ...)",
            v->name);
        return qn__set_node(b, node, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
    }
    if (v->kind == QN__VARIABLE_SIZE && !info->kept && !info->poisoned) {
        qn__diagnostic *d = qn__complain(b, SIZE_NOT_KNOWN, qn__ast_get(b->ast, node)->span, QN__SAY(v->name));
        qn__diagnostic_hint(d, "use it after the keep that fills the output");
        info->poisoned = true;
    }
    qn__check_defined(b, node, variable);
    if (v->kind == QN__VARIABLE_OUTPUT || v->kind == QN__VARIABLE_TEMP) add_read(b, node, variable);
    return qn__set_node(b, node, QN__MEANS_VARIABLE, variable, b->info[variable].term);
}

static qn__term_id check_name(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    uint32_t variable = qn__lookup(b, n->name);
    if (variable != QN__NO_REF) return variable_value(b, node, variable);
    uint32_t item = qn__check_find_item(b->c, n->name, node);
    bool constant = item != QN__NO_REF && qn__ast_kind_of(b->ast, b->c->items[item].item.node) == QN__AST_CONST;
    bool literal = n->name && (n->name == b->c->name_pi || n->name == b->c->name_inf || n->name == b->c->name_nan);
    if (constant || literal) {
        qn__constant value;
        qn__constant_evaluate(b, node, "a constant", &value);
        return qn__add_literal(b, node, value);
    }
    qn__complain_unknown(b, node, false);
    return qn__set_node(b, node, QN__MEANS_NOTHING, 0, QN__TERM_ERROR);
}

// ---- Elements ----
static void add_use(qn__body *b, qn__use use) {
    qn__use *grown = qn__arena_grow(b->c->arena, b->uses, &b->use_capacity, b->use_count + 1, sizeof *grown);
    if (!grown) {
        b->failed = true;
        return;
    }
    b->uses = grown;
    b->uses[b->use_count++] = use;
}

// Is a constant subscript outside a local array or a dimension of constant size?
static void check_constant_subscript(qn__body *b, qn__node_id sub, uint32_t variable, uint32_t d, bool target) {
    const qn__typed_variable *v = &b->t->variables[variable];
    qn__linear at = qn__linear_of(b, sub), extent = b->info[variable].extent[d];
    if (v->kind == QN__VARIABLE_LOCAL) extent = qn__linear_constant(v->extent[d].value);
    if (v->edge && !target) return;
    if (at.count) return;
    if (at.constant >= 0 && (extent.count || at.constant < extent.constant)) return;
    qn__diagnostic *e = qn__complain(b, SUBSCRIPT_OUTSIDE, qn__ast_get(b->ast, sub)->span, QN__SAY(v->name));
    qn__diagnostic_found(e, "%lld", (long long)at.constant);
    if (extent.count)
        qn__diagnostic_expected(e, "0 or more, below %s", qn__linear_text(b, &extent));
    else
        qn__diagnostic_expected(e, "0 to %lld", (long long)extent.constant - 1);
    qn__diagnostic_note(e, v->span, "'%s' is declared here", v->name);
    if (at.constant < 0 && extent.count && v->kind != QN__VARIABLE_LOCAL)
        qn__diagnostic_hint(e, "the last element is at %s - 1; subscripts do not count from the end",
                            qn__linear_text(b, &extent));
    else
        qn__diagnostic_hint(e, "subscripts count from 0");
}

qn__term_id qn__check_subscripts(qn__body *b, qn__node_id node, uint32_t variable, bool target) {
    uint32_t count = qn__ast_count(b->ast, node);
    uint8_t rank = b->t->variables[variable].rank, kind = b->t->variables[variable].kind;
    bool bad = b->info[variable].poisoned;
    if (count != rank && !bad) {
        const qn__typed_variable *v = &b->t->variables[variable];
        qn__diagnostic *d;
        if (!rank)
            d = qn__complain(b, NOT_AN_ARRAY, qn__ast_get(b->ast, node)->span, QN__SAY(v->name));
        else
            d = qn__complain(b, SUBSCRIPT_COUNT, qn__ast_get(b->ast, node)->span, QN__SAY(v->name));
        qn__diagnostic_found(d, "%u subscript%s", count, count == 1 ? "" : "s");
        if (rank) qn__diagnostic_expected(d, "%u", rank);
        qn__diagnostic_note(d, v->span, "'%s' is declared here", v->name);
        if (!rank)
            qn__diagnostic_hint(d, "write %s without [ ]", v->name);
        else if (rank > 1 && count == 1)
            qn__diagnostic_hint(d, "an element is written %s[i%s]", v->name,
                                rank == 2   ? ", j"
                                : rank == 3 ? ", j, k"
                                            : ", ...");
        bad = true;
    }
    b->subscript_depth++;
    for (uint32_t d = 0; d < count; d++) {
        qn__node_id sub = qn__ast_child(b->ast, node, d);
        qn__check_integer(b, sub, "a subscript");
        if (bad || d >= QN__MAX_RANK) continue;
        const qn__typed_node *t = qn__node(b, sub);
        bool plain = qn__ast_kind_of(b->ast, sub) == QN__AST_NAME && t->meaning == QN__MEANS_VARIABLE &&
                     (b->t->variables[t->ref].kind == QN__VARIABLE_INDEX) && !b->info[t->ref].poisoned;
        if (plain && kind != QN__VARIABLE_LOCAL)
            add_use(b, (qn__use){t->ref, variable, (uint8_t)d, target, b->in_otherwise, node, sub});
        else if (!plain)
            check_constant_subscript(b, sub, variable, d, target);
    }
    b->subscript_depth--;
    return bad ? QN__TERM_ERROR : b->info[variable].term;
}

static qn__term_id check_index(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    uint32_t variable = qn__lookup(b, n->name);
    if (variable == QN__NO_REF) {
        qn__complain_unknown(b, node, true);
        variable = qn__lookup(b, n->name);
        b->subscript_depth++;
        for (uint32_t i = 0; i < n->child_count; i++) qn__check_expression(b, qn__ast_child(b->ast, node, i));
        b->subscript_depth--;
        return qn__set_node(b, node, QN__MEANS_NOTHING, 0, QN__TERM_ERROR);
    }
    uint8_t kind = b->t->variables[variable].kind;
    bool local = kind == QN__VARIABLE_LOCAL || kind == QN__VARIABLE_VAR || kind == QN__VARIABLE_LET;
    qn__term_id term = qn__check_subscripts(b, node, variable, false);
    if (b->info[variable].poisoned) b->failed = true;
    qn__check_defined(b, node, variable);
    if (!local) add_read(b, node, variable);
    qn__set_node(b, node, local ? QN__MEANS_LOCAL : QN__MEANS_ARRAY, variable, term);
    if (b->t->variables[variable].edge) qn__node(b, node)->flags |= QN__EDGE_READ;
    return term;
}

// ---- Operators ----
static qn__type_set operand_set(qn__ast_binary op, bool *compares) {
    *compares = false;
    switch (op) {
    case QN__BINARY_OP_OR:
    case QN__BINARY_OP_AND: return QN__SET_BOOL;
    case QN__BINARY_OP_EQUAL:
    case QN__BINARY_OP_NOT_EQUAL: *compares = true; return QN__SET_ALL;
    case QN__BINARY_OP_LESS:
    case QN__BINARY_OP_LESS_EQUAL:
    case QN__BINARY_OP_GREATER:
    case QN__BINARY_OP_GREATER_EQUAL: *compares = true; return QN__SET_NUMBER;
    case QN__BINARY_OP_BIT_OR:
    case QN__BINARY_OP_BIT_XOR:
    case QN__BINARY_OP_BIT_AND: return (qn__type_set)(QN__SET_INT | QN__SET_BOOL);
    case QN__BINARY_OP_SHIFT_LEFT:
    case QN__BINARY_OP_SHIFT_RIGHT: return QN__SET_INT;
    case QN__BINARY_OP_ADD:
    case QN__BINARY_OP_SUBTRACT:
    case QN__BINARY_OP_MULTIPLY:
    case QN__BINARY_OP_DIVIDE:
    case QN__BINARY_OP_REMAINDER: return QN__SET_NUMBER;
    case QN__BINARY_OPS: break;
    }
    return QN__SET_ALL;
}

static const char *set_text(qn__type_set set) {
    if (set == QN__SET_BOOL) return "bool";
    if (set == QN__SET_INT) return "an integer type";
    if (set == QN__SET_FLOAT) return "a float type";
    if (set == QN__SET_NUMBER) return "a number";
    return "an integer type or bool";
}

static void complain_operand(qn__body *b, qn__node_id node, qn__node_id operand, const char *op, qn__type_set set) {
    qn__term_id term = qn__node_term(b, operand);
    qn__diagnostic *d =
        qn__complain(b, OPERAND_TYPE, qn__ast_get(b->ast, node)->span, QN__SAY(op), QN__SAY(qn__term_text(b, term)));
    const char *text = qn__source_text(b, operand);
    qn__diagnostic_found(d, "%s", qn__term_text(b, term));
    qn__diagnostic_expected(d, "%s", set_text(set));
    qn__type_set have = qn__term_set(b, term);
    if (set == QN__SET_BOOL)
        qn__diagnostic_hint(d, "compare it: %s != 0%s", text, (have & QN__SET_INT) ? "; for bits write & or |" : "");
    else if (have == QN__SET_BOOL)
        qn__diagnostic_hint(d, "write i64(%s) for 0 or 1", text);
    else if (have & QN__SET_FLOAT)
        qn__diagnostic_hint(d, "write i64(%s), or bits(%s) for its bits", text, text);
}

static qn__term_id check_binary(qn__body *b, qn__node_id node) {
    qn__node_id left = qn__ast_child(b->ast, node, QN__BINARY_LEFT),
                right = qn__ast_child(b->ast, node, QN__BINARY_RIGHT);
    qn__ast_binary op = (qn__ast_binary)qn__ast_get(b->ast, node)->op;
    const char *sign = qn__ast_binary_text(op);
    bool compares;
    qn__type_set set = operand_set(op, &compares);
    qn__term_id x = qn__check_expression(b, left), y = qn__check_expression(b, right);
    qn__set_node(b, node, QN__MEANS_SELF, 0, QN__TERM_ERROR);
    if (qn__term_bad(b, x) || qn__term_bad(b, y)) {
        bool always_bool = compares || set == QN__SET_BOOL;
        return qn__set_node(b, node, QN__MEANS_SELF, 0, always_bool ? qn__term_of(QN__TYPE_BOOL) : QN__TERM_ERROR);
    }
    bool good = true;
    if (!qn__term_restrict(b, x, set)) {
        complain_operand(b, node, left, sign, set);
        good = false;
    } else if (!qn__term_restrict(b, y, set)) {
        complain_operand(b, node, right, sign, set);
        good = false;
    } else if (!qn__term_unify(b, x, y)) {
        qn__complain_types(b, node, left, right, sign);
        good = false;
    }
    if (op == QN__BINARY_OP_REMAINDER && good) qn__check_remainder(b, node, x);
    qn__term_id result = !good ? QN__TERM_ERROR : compares || set == QN__SET_BOOL ? qn__term_of(QN__TYPE_BOOL) : x;
    return qn__set_node(b, node, QN__MEANS_SELF, 0, result);
}

static qn__term_id check_unary(qn__body *b, qn__node_id node) {
    qn__node_id operand = qn__ast_child(b->ast, node, QN__UNARY_OPERAND);
    qn__ast_unary op = (qn__ast_unary)qn__ast_get(b->ast, node)->op;
    qn__constant literal;
    if (op == QN__UNARY_OP_NEGATE && qn__constant_literal(b->c, node, &literal))
        return qn__add_literal(b, node, literal);
    qn__term_id x = qn__check_expression(b, operand);
    qn__type_set set = op == QN__UNARY_OP_NOT ? QN__SET_BOOL : op == QN__UNARY_OP_NEGATE ? QN__SET_NUMBER : QN__SET_INT;
    if (!qn__term_restrict(b, x, set)) {
        complain_operand(b, node, operand, qn__ast_unary_text(op), set);
        x = op == QN__UNARY_OP_NOT ? qn__term_of(QN__TYPE_BOOL) : QN__TERM_ERROR;
    }
    return qn__set_node(b, node, QN__MEANS_SELF, 0, x);
}

static qn__term_id misplaced(qn__body *b, qn__node_id node) {
    bool keep = qn__ast_kind_of(b->ast, node) == QN__AST_KEEP;
    qn__diagnostic *d;
    if (keep)
        d = qn__complain_plain(b, KEEP_PLACE, qn__ast_get(b->ast, node)->span);
    else
        d = qn__complain_plain(b, SCAN_PLACE, qn__ast_get(b->ast, node)->span);
    qn__diagnostic_expected(d, "the whole right side of a statement of the kernel");
    qn__diagnostic_hint(d,
                        keep ? "write let kept = %s before, as a statement of the kernel"
                             : "write let t = %s before, as a statement of the kernel",
                        keep ? "keep(...)" : "scan(...)");
    return qn__set_node(b, node, QN__MEANS_NOTHING, 0, QN__TERM_ERROR);
}

static qn__term_id check_kind(qn__body *b, qn__node_id node) {
    qn__constant literal;
    switch (qn__ast_kind_of(b->ast, node)) {
    case QN__AST_INTEGER:
    case QN__AST_FLOAT:
    case QN__AST_BOOLEAN: qn__constant_literal(b->c, node, &literal); return qn__add_literal(b, node, literal);
    case QN__AST_NAME: return check_name(b, node);
    case QN__AST_CALL: return qn__check_call(b, node);
    case QN__AST_INDEX: return check_index(b, node);
    case QN__AST_UNARY: return check_unary(b, node);
    case QN__AST_BINARY: return check_binary(b, node);
    case QN__AST_IF_VALUE: return qn__check_if_value(b, node);
    case QN__AST_BLOCK_VALUE: return qn__check_block_value(b, node);
    case QN__AST_REDUCTION: return qn__check_reduction(b, node);
    case QN__AST_REDUCE: return qn__check_reduce(b, node);
    case QN__AST_KEEP:
    case QN__AST_SCAN: return misplaced(b, node); // in their places they are not met here
    default: break;                               // ERROR and what is no expression
    }
    b->failed = true;
    return QN__TERM_ERROR;
}

qn__term_id qn__check_expression(qn__body *b, qn__node_id node) {
    if (!node) {
        b->failed = true;
        return QN__TERM_ERROR;
    }
    if (b->depth >= QN__CHECK_DEPTH) {
        qn__complain(b, EXPRESSION_TOO_DEEP, qn__ast_get(b->ast, node)->span, QN__SAY_UINT(QN__CHECK_DEPTH));
        return QN__TERM_ERROR;
    }
    b->depth++;
    qn__term_id term = check_kind(b, node);
    b->depth--;
    return term;
}
