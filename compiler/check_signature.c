// A kernel's signature: parameters, size symbols, outputs, attributes.
// Variables are declared in a fixed order that lowering relies on: one per signature parameter (inputs, then outputs),
// then one per size symbol. Sizes are bound by the first input dimension that is a name, or a name plus or minus a
// literal.
#include "compiler/check_private.h"

#include <string.h>

typedef struct build {
    qn__body *b;
    qn__signature *s;
    size_t dim_capacity, symbol_capacity;
    uint32_t arrays;
    qn__span *symbol_span;
    size_t span_capacity;
} build;

static uint32_t add_dim(build *u, qn__dim dim) {
    qn__dim *grown =
        qn__arena_grow(u->b->c->arena, u->s->dims, &u->dim_capacity, (size_t)u->s->dim_count + 1, sizeof *grown);
    if (!grown) {
        u->b->failed = true;
        return 0;
    }
    u->s->dims = grown;
    u->s->dims[u->s->dim_count] = dim;
    return u->s->dim_count++;
}

static uint32_t find_symbol(const build *u, qn__name name) {
    const char *text = qn__check_name(u->b->c, name);
    for (uint32_t i = 0; i < u->s->symbol_count; i++) {
        if (u->s->symbols[i].name == text) return i;
    }
    return QN__NO_REF;
}

static uint32_t add_symbol(build *u, qn__name name, qn__symbol symbol, qn__span span) {
    qn__arena *arena = u->b->c->arena;
    size_t count = u->s->symbol_count;
    qn__symbol *grown = qn__arena_grow(arena, u->s->symbols, &u->symbol_capacity, count + 1, sizeof *grown);
    qn__span *spans = qn__arena_grow(arena, u->symbol_span, &u->span_capacity, count + 1, sizeof *spans);
    if (!grown || !spans) {
        u->b->failed = true;
        return 0;
    }
    symbol.name = qn__check_name(u->b->c, name);
    u->s->symbols = grown;
    u->symbol_span = spans;
    u->s->symbols[count] = symbol;
    u->symbol_span[count] = span;
    return u->s->symbol_count++;
}

// A `size` parameter by name: its number among the scalars.
static uint32_t find_size_parameter(const build *u, qn__name name) {
    const char *text = qn__check_name(u->b->c, name);
    for (uint32_t i = 0; i < u->s->input_count; i++) {
        const qn__parameter *p = &u->s->parameters[i];
        if (p->name == text && p->is_size) {
            u->b->info[i].read = true;
            return p->index;
        }
    }
    return QN__NO_REF;
}

static bool is_constant_name(const build *u, qn__node_id node) {
    uint32_t item = qn__check_find_item(u->b->c, qn__ast_get(u->b->ast, node)->name, node);
    return item != QN__NO_REF && qn__ast_kind_of(u->b->ast, u->b->c->items[item].item.node) == QN__AST_CONST;
}

// Also of parameters that were not looked at yet.
static bool names_size_parameter(const build *u, qn__name name) {
    const qn__ast *ast = u->b->ast;
    qn__node_id params = qn__ast_child(ast, u->b->t->item.node, QN__KERNEL_PARAMS);
    for (uint32_t i = 0; i < qn__ast_count(ast, params); i++) {
        qn__node_id param = qn__ast_child(ast, params, i), type = qn__ast_child(ast, param, QN__PARAM_TYPE);
        if (qn__ast_get(ast, param)->name != name || !type || qn__ast_count(ast, type)) continue;
        if (qn__ast_get(ast, type)->name == u->b->c->name_size) return true;
    }
    return false;
}

// NAME, NAME + literal, NAME - literal, where NAME is no constant, parameter or known size.
static bool binds(const build *u, qn__node_id dim, qn__node_id *name, int64_t *addend) {
    const qn__ast_node *n = qn__ast_get(u->b->ast, dim);
    *addend = 0;
    *name = dim;
    if (n->kind == QN__AST_BINARY && (n->op == QN__BINARY_OP_ADD || n->op == QN__BINARY_OP_SUBTRACT)) {
        const qn__ast_node *right = qn__ast_get(u->b->ast, qn__ast_child(u->b->ast, dim, QN__BINARY_RIGHT));
        if (right->kind != QN__AST_INTEGER || right->value.integer > INT32_MAX) return false;
        *addend = (int64_t)right->value.integer;
        if (n->op == QN__BINARY_OP_SUBTRACT) *addend = -*addend;
        *name = qn__ast_child(u->b->ast, dim, QN__BINARY_LEFT);
    }
    n = qn__ast_get(u->b->ast, *name);
    return n->kind == QN__AST_NAME && !is_constant_name(u, *name) && find_symbol(u, n->name) == QN__NO_REF &&
           !names_size_parameter(u, n->name);
}

static uint32_t constant_dim(build *u, qn__node_id node) {
    qn__constant value;
    if (!qn__constant_evaluate(u->b, node, "a dimension", &value)) return add_dim(u, (qn__dim){.op = QN__DIM_CONST});
    bool good = value.kind == QN__CONSTANT_INT && value.integer >= 0 && value.integer <= INT64_MAX;
    if (!good) {
        qn__diagnostic *d =
            qn__complain(u->b, BAD_SIZE, qn__ast_get(u->b->ast, node)->span, QN__SAY(qn__source_text(u->b, node)));
        qn__diagnostic_expected(d, "an integer that is 0 or more");
    }
    return add_dim(u, (qn__dim){.op = QN__DIM_CONST, .value = good ? (int64_t)value.integer : 0});
}

static uint32_t name_dim(build *u, qn__node_id node) {
    qn__body *b = u->b;
    qn__name name = qn__ast_get(b->ast, node)->name;
    const char *text = qn__check_name(b->c, name);
    uint32_t scalar = find_size_parameter(u, name), symbol = find_symbol(u, name);
    if (scalar != QN__NO_REF) return add_dim(u, (qn__dim){.op = QN__DIM_SCALAR, .value = scalar});
    if (symbol != QN__NO_REF && u->s->symbols[symbol].existential) {
        qn__diagnostic *d = qn__complain(b, UNKNOWN_SIZE_USE, qn__ast_get(b->ast, node)->span, QN__SAY(text));
        qn__diagnostic_hint(d, "write ?%s, and fill both arrays by one keep", text);
        return add_dim(u, (qn__dim){.op = QN__DIM_CONST});
    }
    if (symbol != QN__NO_REF) return add_dim(u, (qn__dim){.op = QN__DIM_SYMBOL, .value = symbol});
    if (is_constant_name(u, node)) return constant_dim(u, node);
    qn__diagnostic *d = qn__complain(b, UNBOUND_SIZE, qn__ast_get(b->ast, node)->span, QN__SAY(text));
    const char *names[64];
    size_t count = 0;
    for (uint32_t i = 0; i < u->s->symbol_count && count < 64; i++) names[count++] = u->s->symbols[i].name;
    for (uint32_t i = 0; i < u->s->input_count && count < 64; i++) {
        if (u->s->parameters[i].is_size) names[count++] = u->s->parameters[i].name;
        if (u->s->parameters[i].name != text || u->s->parameters[i].is_size) continue;
        qn__diagnostic_note(d, b->t->variables[i].span, "'%s' is a parameter, but not of type size", text);
    }
    const char *near = qn__suggest(text, names, count);
    if (near) qn__diagnostic_hint(d, "did you mean '%s'?", near);
    qn__diagnostic_hint(d, "bind it by an input, like x: f32[%s], or take it as a parameter, %s: size", text, text);
    return add_dim(u, (qn__dim){.op = QN__DIM_CONST});
}

static bool dim_operator(qn__ast_binary op, qn__dim_op *out) {
    switch (op) {
    case QN__BINARY_OP_ADD: *out = QN__DIM_ADD; return true;
    case QN__BINARY_OP_SUBTRACT: *out = QN__DIM_SUB; return true;
    case QN__BINARY_OP_MULTIPLY: *out = QN__DIM_MUL; return true;
    case QN__BINARY_OP_DIVIDE: *out = QN__DIM_DIV; return true;
    case QN__BINARY_OP_REMAINDER: *out = QN__DIM_REM; return true;
    default: return false; // comparisons, bits
    }
}

static uint32_t build_dim(build *u, qn__node_id node, uint32_t depth) {
    qn__body *b = u->b;
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__dim_op op = QN__DIM_ADD;
    if (depth > 64) {
        qn__complain(b, EXPRESSION_TOO_DEEP, n->span, QN__SAY_UINT(64));
        return add_dim(u, (qn__dim){.op = QN__DIM_CONST});
    }
    if (n->kind == QN__AST_INTEGER) return constant_dim(u, node);
    if (n->kind == QN__AST_NAME) return name_dim(u, node);
    bool pair = n->kind == QN__AST_BINARY && dim_operator((qn__ast_binary)n->op, &op);
    if (n->kind == QN__AST_CALL && n->child_count == 2 && n->name < b->c->name_count &&
        (b->c->builtin[n->name] == QN__BUILTIN_MIN || b->c->builtin[n->name] == QN__BUILTIN_MAX)) {
        pair = true;
        op = b->c->builtin[n->name] == QN__BUILTIN_MIN ? QN__DIM_MIN : QN__DIM_MAX;
    }
    if (pair) {
        uint32_t left = build_dim(u, qn__ast_child(b->ast, node, 0), depth + 1);
        uint32_t right = build_dim(u, qn__ast_child(b->ast, node, 1), depth + 1);
        return add_dim(u, (qn__dim){.op = (uint8_t)op, .left = left, .right = right});
    }
    if (n->kind == QN__AST_ERROR) {
        b->failed = true;
    } else {
        qn__diagnostic *d = qn__complain(b, BAD_SIZE, n->span, QN__SAY(qn__source_text(b, node)));
        qn__diagnostic_expected(d, "names of sizes, integers, and + - * / %% min max of them");
    }
    return add_dim(u, (qn__dim){.op = QN__DIM_CONST});
}

// ---- Parameters ----
static void bind_sizes(build *u, uint32_t index, qn__node_id type) {
    for (uint32_t d = 0; d < qn__ast_count(u->b->ast, type) && d < QN__MAX_RANK; d++) {
        qn__node_id name;
        int64_t addend;
        if (!binds(u, qn__ast_child(u->b->ast, type, d), &name, &addend)) continue;
        const qn__ast_node *n = qn__ast_get(u->b->ast, name);
        add_symbol(u, n->name, (qn__symbol){.parameter = index, .dimension = d, .addend = addend}, n->span);
    }
}

static void check_edge(qn__body *b, qn__node_id node, qn__typed_variable *v, qn__type type) {
    qn__node_id value_node = qn__ast_child(b->ast, node, QN__PARAM_EDGE);
    v->edge = qn__ast_get(b->ast, node)->op;
    if (v->edge == QN__EDGE_NONE) return;
    if (v->kind == QN__VARIABLE_SCALAR) {
        qn__complain(b, EDGE_OF_SCALAR, qn__ast_name_span(b->ast, node), QN__SAY(v->name));
        return;
    }
    if (v->edge != QN__EDGE_VALUE) return;
    qn__constant value;
    const char *why;
    if (!qn__constant_evaluate(b, value_node, "the value of an edge", &value) || !type) return;
    if (qn__constant_fits(b->c, &value, type, &v->edge_bits, &why)) return;
    const char *text = qn__source_text(b, value_node), *name = qn__type_table[type].name;
    qn__diagnostic *d =
        qn__complain(b, LITERAL_RANGE, qn__ast_get(b->ast, value_node)->span, QN__SAY(text), QN__SAY(name));
    qn__diagnostic_note(d, QN__NO_SPAN, "%s", why);
    qn__diagnostic_note(d, v->span, "'%s' has elements of type %s", v->name, name);
}

static void add_parameter(build *u, qn__node_id node, bool output) {
    qn__body *b = u->b;
    qn__signature *s = u->s;
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__node_id type_node = qn__ast_child(b->ast, node, 0);
    bool is_size = false;
    qn__type type = type_node ? qn__check_type_name(b, type_node, &is_size) : QN__TYPE_NONE;
    uint32_t rank = type_node ? qn__ast_count(b->ast, type_node) : 0, index = s->parameter_count;
    if (!type_node) b->failed = true;
    if (rank > QN__MAX_RANK) {
        qn__diagnostic *d =
            qn__complain(b, RANK_LIMIT, qn__ast_get(b->ast, type_node)->span, QN__SAY_UINT(QN__MAX_RANK));
        qn__diagnostic_found(d, "%u dimensions", rank);
        rank = QN__MAX_RANK;
    }
    if (is_size && (rank || output)) {
        qn__diagnostic *d = qn__complain_plain(b, SIZE_TYPE, qn__ast_get(b->ast, type_node)->span);
        qn__diagnostic_hint(d, "write i64");
        is_size = false;
    }
    bool inout = (n->flags & QN__AST_INOUT) != 0;
    if (inout && !rank) {
        qn__diagnostic *d =
            qn__complain(b, INOUT_SCALAR, qn__ast_name_span(b->ast, node), QN__SAY(qn__check_name(b->c, n->name)));
        qn__diagnostic_hint(d, "add an output: -> result: %s", type ? qn__type_table[type].name : "f64");
    }
    qn__parameter p = {
        .name = qn__check_name(b->c, n->name), .type = (uint8_t)type, .rank = (uint8_t)rank, .is_size = is_size};
    qn__variable_kind kind = output      ? QN__VARIABLE_OUTPUT
                             : rank == 0 ? QN__VARIABLE_SCALAR
                             : inout     ? QN__VARIABLE_INOUT
                                         : QN__VARIABLE_INPUT;
    p.kind = (uint8_t)(output      ? QN__PARAMETER_OUT
                       : rank == 0 ? QN__PARAMETER_SCALAR
                       : inout     ? QN__PARAMETER_INOUT
                                   : QN__PARAMETER_IN);
    p.index = p.kind == QN__PARAMETER_SCALAR ? s->scalar_count++ : u->arrays++;
    s->parameters[index] = p;
    s->parameter_count++;
    if (!output) s->input_count++;
    uint32_t variable = qn__declare(b, kind, n->name, qn__ast_name_span(b->ast, node), node, qn__term_of(type));
    qn__typed_variable *v = &b->t->variables[variable];
    v->rank = (uint8_t)rank;
    v->parameter = index;
    b->info[variable].defined = output ? QN__DEFINED_NO : QN__DEFINED_YES;
    qn__set_node(b, node, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
    if (!output)
        check_edge(b, node, v, type);
    else if (!type)
        b->info[variable].poisoned = true;
    if (!output) bind_sizes(u, index, type_node ? type_node : node);
}

static void add_dims(build *u, uint32_t index, qn__node_id node) {
    qn__body *b = u->b;
    qn__node_id type = qn__ast_child(b->ast, node, 0);
    qn__parameter *p = &u->s->parameters[index];
    for (uint32_t d = 0; type && d < p->rank; d++) {
        qn__node_id dim = qn__ast_child(b->ast, type, d);
        const qn__ast_node *n = qn__ast_get(b->ast, dim);
        if (n->kind != QN__AST_UNKNOWN_SIZE) {
            p->dim[d] = build_dim(u, dim, 0);
            continue;
        }
        const char *name = qn__check_name(b->c, n->name);
        uint32_t symbol = find_symbol(u, n->name);
        if (p->kind != QN__PARAMETER_OUT || p->rank != 1) {
            qn__diagnostic *e = qn__complain(b, UNKNOWN_SIZE_PLACE, n->span, QN__SAY(name));
            qn__diagnostic_expected(e, "an output of one dimension, like y: f64[?%s]", name);
            if (p->kind != QN__PARAMETER_OUT) qn__diagnostic_hint(e, "the size of an input is a plain name: %s", name);
        } else if ((symbol != QN__NO_REF && !u->s->symbols[symbol].existential) ||
                   find_size_parameter(u, n->name) != QN__NO_REF) {
            qn__diagnostic *e = qn__complain(b, SHADOWED, n->span, QN__SAY(name));
            qn__diagnostic_hint(e, "choose another name for the unknown size, like ?%s2", name);
        } else {
            if (symbol == QN__NO_REF) symbol = add_symbol(u, n->name, (qn__symbol){.existential = true}, n->span);
            b->info[index].unknown_size = true;
        }
        p->dim[d] = add_dim(u, (qn__dim){.op = QN__DIM_SYMBOL, .value = symbol == QN__NO_REF ? 0 : symbol});
    }
}

static void check_attributes(qn__body *b, qn__node_id list) {
    for (uint32_t i = 0; i < qn__ast_count(b->ast, list); i++) {
        qn__node_id node = qn__ast_child(b->ast, list, i);
        const qn__ast_node *n = qn__ast_get(b->ast, node);
        if (n->name && n->name == b->c->name_fast) {
            b->t->fast = true;
            continue;
        }
        qn__diagnostic *d = qn__complain(b, UNKNOWN_ATTRIBUTE, n->span, QN__SAY(qn__check_name(b->c, n->name)));
        qn__diagnostic_expected(d, "@fast");
    }
}

static void declare_symbols(build *u) {
    qn__body *b = u->b;
    qn__signature *s = u->s;
    for (uint32_t i = 0; i < s->symbol_count; i++) {
        const char *text = s->symbols[i].name;
        qn__name name = qn__names_find(b->ast->names, text, strlen(text));
        uint32_t variable =
            qn__declare(b, QN__VARIABLE_SIZE, name, u->symbol_span[i], b->t->item.node, qn__term_of(QN__TYPE_I64));
        b->t->variables[variable].symbol = i;
        b->info[variable].kept = !s->symbols[i].existential;
    }
}

bool qn__check_signature(qn__body *b) {
    qn__node_id node = b->t->item.node;
    qn__node_id params = qn__ast_child(b->ast, node, QN__KERNEL_PARAMS),
                outputs = qn__ast_child(b->ast, node, QN__KERNEL_OUTPUTS);
    uint32_t inputs = qn__ast_count(b->ast, params), count = inputs + qn__ast_count(b->ast, outputs);
    build u = {.b = b, .s = QN__ARENA_NEW(b->c->arena, qn__signature)};
    if (!u.s) return false;
    u.s->parameters = QN__ARENA_ARRAY(b->c->arena, qn__parameter, (size_t)count + 1);
    if (!u.s->parameters) return false;
    b->t->signature = u.s;
    u.s->name = b->t->name;
    check_attributes(b, qn__ast_child(b->ast, node, QN__KERNEL_ATTRIBUTES));
    for (uint32_t i = 0; i < inputs; i++) add_parameter(&u, qn__ast_child(b->ast, params, i), false);
    for (uint32_t i = 0; i < count - inputs; i++) add_parameter(&u, qn__ast_child(b->ast, outputs, i), true);
    for (uint32_t i = 0; i < count; i++) {
        add_dims(&u, i, qn__ast_child(b->ast, i < inputs ? params : outputs, i < inputs ? i : i - inputs));
    }
    declare_symbols(&u);
    b->t->parameter_count = inputs;
    if (qn__arena_failed(b->c->arena) || b->t->variable_count < count + u.s->symbol_count) return false;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t d = 0; d < u.s->parameters[i].rank; d++) {
            b->info[i].extent[d] = qn__linear_of_dim(b, u.s, u.s->parameters[i].dim[d]);
        }
    }
    if (count == inputs) {
        bool any = false;
        for (uint32_t i = 0; i < inputs; i++) any |= u.s->parameters[i].kind == QN__PARAMETER_INOUT;
        if (!any) {
            qn__diagnostic *d = qn__complain(b, NO_OUTPUT, qn__ast_name_span(b->ast, node), QN__SAY(b->t->name));
            qn__diagnostic_hint(d, "add an output: kernel %s(...) -> y: f32[n] { ... }", b->t->name);
        }
    }
    return true;
}
