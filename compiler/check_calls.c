// Calls: casts, operations of the IR, functions (generic ones, and the prelude's NAME_f32 / NAME_f64 pairs), externs.
// What a call instantiates is decided at the end of the body, when every term has its type; until then it is pending.
#include "compiler/check_private.h"

#include <string.h>

// The type of a parameter or result of `item` as a term: its generics stand for terms.
static qn__term_id foreign_type(qn__body *b, qn__node_id type_node, qn__node_id generics, const qn__term_id *terms) {
    const qn__ast_node *n = type_node ? qn__ast_get(b->ast, type_node) : NULL;
    if (!n || n->kind != QN__AST_TYPE || !n->name) return QN__TERM_ERROR;
    for (uint32_t i = 0; generics && i < qn__ast_count(b->ast, generics); i++) {
        if (qn__ast_get(b->ast, qn__ast_child(b->ast, generics, i))->name == n->name) return terms[i];
    }
    if (n->name < b->c->name_count && b->c->type[n->name]) return qn__term_of((qn__type)b->c->type[n->name]);
    return n->name == b->c->name_size ? qn__term_of(QN__TYPE_I64) : QN__TERM_ERROR; // the callee's own check complains
}

static bool check_count(qn__body *b, qn__node_id node, uint32_t wanted, qn__node_id declaration) {
    uint32_t have = qn__ast_kind_of(b->ast, node) == QN__AST_CALL ? qn__ast_count(b->ast, node) : wanted;
    if (have == wanted) return true;
    const char *name = qn__check_name(b->c, qn__ast_get(b->ast, node)->name);
    qn__diagnostic *d = qn__complain(b, ARGUMENT_COUNT, qn__ast_get(b->ast, node)->span, QN__SAY(name));
    qn__diagnostic_found(d, "%u argument%s", have, have == 1 ? "" : "s");
    qn__diagnostic_expected(d, "%u", wanted);
    if (declaration) qn__diagnostic_note(d, qn__ast_name_span(b->ast, declaration), "'%s' is declared here", name);
    return false;
}

static void check_arguments_anyway(qn__body *b, qn__node_id node) {
    for (uint32_t i = 0; i < qn__ast_count(b->ast, node); i++) qn__check_expression(b, qn__ast_child(b->ast, node, i));
}

static qn__term_id failed_call(qn__body *b, qn__node_id node) {
    b->failed = true;
    return qn__set_node(b, node, QN__MEANS_NOTHING, 0, QN__TERM_ERROR);
}

// ---- Casts ----
static qn__term_id check_cast(qn__body *b, qn__node_id node, qn__type type) {
    if (!check_count(b, node, 1, QN__NO_NODE)) {
        check_arguments_anyway(b, node);
        return failed_call(b, node);
    }
    qn__node_id operand = qn__ast_child(b->ast, node, 0);
    qn__term_id term = qn__check_expression(b, operand), to = qn__term_of(type);
    qn__typed_node *t = qn__node(b, operand);
    if (t->meaning == QN__MEANS_CONSTANT && t->ref) { // a literal takes the type itself where it can
        qn__constant value = b->literals[t->ref - 1].constant;
        uint64_t bits;
        const char *why;
        if (!value.type && qn__constant_fits(b->c, &value, type, &bits, &why)) {
            qn__term_unify(b, term, to);
            return qn__add_literal(b, node, value), qn__term_unify(b, qn__node_term(b, node), to), to;
        }
        if (!value.type && value.kind == QN__CONSTANT_INT && value.integer > INT64_MAX)
            qn__term_unify(b, term, qn__term_of(QN__TYPE_U64));
    }
    return qn__set_node(b, node, QN__MEANS_CAST, 0, to);
}

// ---- Operations ----
static qn__term_id builtin_result(qn__body *b, const qn__builtin_info *info, qn__term_id argument) {
    static const uint8_t unsigned_of[] = {[QN__TYPE_F16] = QN__TYPE_U16,
                                          [QN__TYPE_BF16] = QN__TYPE_U16,
                                          [QN__TYPE_F32] = QN__TYPE_U32,
                                          [QN__TYPE_F64] = QN__TYPE_U64};
    switch ((qn__result_rule)info->result) {
    case QN__RESULT_SAME: return argument;
    case QN__RESULT_BITS: {
        qn__type type = qn__term_default(b, argument); // the width must be known here
        return type < sizeof unsigned_of ? qn__term_of((qn__type)unsigned_of[type]) : QN__TERM_ERROR;
    }
    case QN__RESULT_F16: return qn__term_of(QN__TYPE_F16);
    case QN__RESULT_BF16: return qn__term_of(QN__TYPE_BF16);
    case QN__RESULT_F32: return qn__term_of(QN__TYPE_F32);
    case QN__RESULT_F64: return qn__term_of(QN__TYPE_F64);
    }
    return QN__TERM_ERROR;
}

static void complain_argument(qn__body *b, qn__node_id node, qn__node_id argument, qn__type_set set) {
    const char *name = qn__check_name(b->c, qn__ast_get(b->ast, node)->name), *text = qn__source_text(b, argument);
    qn__term_id term = qn__node_term(b, argument);
    qn__diagnostic *d = qn__complain(b, ARGUMENT_TYPE, qn__ast_get(b->ast, argument)->span, QN__SAY(name));
    bool alone = qn__ast_count(b->ast, node) == 1;
    qn__diagnostic_found(d, "%s", qn__term_text(b, term));
    if (!(set & ~QN__SET_FLOAT)) {
        qn__diagnostic_expected(d, "a float type: f16, bf16, f32 or f64");
        if (alone)
            qn__diagnostic_hint(d, "write %s(f64(%s))", name, text);
        else
            qn__diagnostic_hint(d, "write f64(%s)", text);
    } else if (!(set & ~QN__SET_INT)) {
        qn__type only = set & (set - 1) ? QN__TYPE_NONE : (qn__type)__builtin_ctz(set);
        qn__diagnostic_expected(d, "%s", only ? qn__type_table[only].name : "an integer type");
        qn__diagnostic_hint(d, "write %s(%s(%s))", name, only ? qn__type_table[only].name : "i64", text);
    } else {
        qn__diagnostic_expected(d, "a number");
        qn__diagnostic_hint(d, "write %s(i64(%s))", name, text);
    }
}

static qn__term_id check_builtin(qn__body *b, qn__node_id node, const qn__builtin_info *info) {
    if (!check_count(b, node, info->arity, QN__NO_NODE)) {
        check_arguments_anyway(b, node);
        return failed_call(b, node);
    }
    qn__node_id first = qn__ast_child(b->ast, node, 0);
    bool good = true;
    for (uint32_t i = 0; i < info->arity; i++) {
        qn__node_id argument = qn__ast_child(b->ast, node, i);
        qn__term_id term = qn__check_expression(b, argument);
        if (qn__term_bad(b, term)) {
            good = false;
        } else if (!qn__term_restrict(b, term, info->arguments)) {
            complain_argument(b, node, argument, info->arguments);
            good = false;
        } else if (good && !qn__term_unify(b, qn__node_term(b, first), term)) {
            qn__complain_types(b, node, first, argument, info->name);
            good = false;
        }
    }
    qn__set_node(b, node, QN__MEANS_OP, info->op, QN__TERM_ERROR);
    if (!good) {
        b->failed = true;
        return info->result >= QN__RESULT_F16 ? builtin_result(b, info, QN__TERM_ERROR) : QN__TERM_ERROR;
    }
    return qn__set_node(b, node, QN__MEANS_OP, info->op, builtin_result(b, info, qn__node_term(b, first)));
}

// ---- Functions ----
static qn__pending_call *add_pending(qn__body *b, qn__pending_call call) {
    qn__pending_call *grown =
        qn__arena_grow(b->c->arena, b->calls, &b->call_capacity, b->call_count + 1, sizeof *grown);
    if (!grown) {
        b->failed = true;
        return NULL;
    }
    b->calls = grown;
    b->calls[b->call_count] = call;
    return &b->calls[b->call_count++];
}

// The function that a name means: sets item, and item_f64 for a pair of the prelude. False: there is none.
static bool find_function(qn__body *b, qn__node_id node, qn__pending_call *call) {
    qn__name name = qn__ast_get(b->ast, node)->name;
    call->item = qn__check_find_item(b->c, name, node);
    call->item_f64 = QN__NO_REF;
    if (call->item != QN__NO_REF) {
        return qn__ast_kind_of(b->ast, b->c->items[call->item].item.node) == QN__AST_FUNCTION;
    }
    char text[80];
    const char *base = qn__check_name(b->c, name);
    size_t length = strlen(base);
    if (length + 5 > sizeof text) return false;
    memcpy(text, base, length);
    memcpy(text + length, "_f32", 5);
    call->item = qn__check_find_item_text(b->c, text, node);
    memcpy(text + length, "_f64", 5);
    call->item_f64 = qn__check_find_item_text(b->c, text, node);
    if (call->item == QN__NO_REF || call->item_f64 == QN__NO_REF) return false;
    return qn__ast_kind_of(b->ast, b->c->items[call->item].item.node) == QN__AST_FUNCTION;
}

static void open_generics(qn__body *b, qn__pending_call *call) {
    qn__node_id function = b->c->items[call->item].item.node;
    qn__node_id generics = qn__ast_child(b->ast, function, QN__FUNCTION_GENERICS);
    call->generic_count = qn__ast_count(b->ast, generics);
    call->generics = QN__ARENA_ARRAY(b->c->arena, qn__term_id, (size_t)call->generic_count + 1);
    call->overload = call->item_f64 != QN__NO_REF ? qn__term_new(b, QN__SET_FLOAT) : QN__TERM_ERROR;
    for (uint32_t i = 0; call->generics && i < call->generic_count; i++) {
        qn__ast_class class_of = (qn__ast_class)qn__ast_get(b->ast, qn__ast_child(b->ast, generics, i))->op;
        call->generics[i] = qn__term_new(b, qn__class_set(class_of));
    }
}

static qn__term_id call_type(qn__body *b, const qn__pending_call *call, qn__node_id type_node) {
    qn__node_id generics = qn__ast_child(b->ast, b->c->items[call->item].item.node, QN__FUNCTION_GENERICS);
    qn__term_id term = foreign_type(b, type_node, generics, call->generics);
    return call->item_f64 != QN__NO_REF && term == qn__term_of(QN__TYPE_F32) ? call->overload : term;
}

static bool check_argument(qn__body *b, const qn__pending_call *call, qn__node_id node, uint32_t i) {
    qn__node_id params = qn__ast_child(b->ast, b->c->items[call->item].item.node, QN__FUNCTION_PARAMS);
    qn__node_id param = qn__ast_child(b->ast, params, i), argument = qn__ast_child(b->ast, node, i);
    qn__term_id wanted = call_type(b, call, qn__ast_child(b->ast, param, QN__PARAM_TYPE));
    qn__term_id found = qn__check_expression(b, argument);
    if (qn__term_unify(b, found, wanted)) return true;
    const char *name = qn__check_name(b->c, qn__ast_get(b->ast, node)->name);
    qn__type_set set = qn__term_set(b, wanted);
    if (!(qn__term_set(b, found) & set) && !qn__term_type(b, wanted)) {
        complain_argument(b, node, argument, set);
        return false;
    }
    qn__diagnostic *d = qn__complain(b, ARGUMENT_TYPE, qn__ast_get(b->ast, argument)->span, QN__SAY(name));
    qn__diagnostic_found(d, "%s", qn__term_text(b, found));
    qn__diagnostic_expected(d, "%s", qn__term_text(b, wanted));
    if (!b->c->items[call->item].prelude) {
        qn__diagnostic_note(d, qn__ast_name_span(b->ast, param), "parameter '%s'",
                            qn__check_name(b->c, qn__ast_get(b->ast, param)->name));
    }
    if (qn__term_type(b, wanted))
        qn__diagnostic_hint(d, "write %s(%s)", qn__term_text(b, wanted), qn__source_text(b, argument));
    return false;
}

// Checks a call of a function; the terms of its results go to `terms`.
static bool check_function_call(qn__body *b, qn__node_id node, qn__pending_call call, qn__term_id *terms,
                                uint32_t *count) {
    qn__node_id function = b->c->items[call.item].item.node;
    qn__node_id params = qn__ast_child(b->ast, function, QN__FUNCTION_PARAMS);
    qn__node_id results = qn__ast_child(b->ast, function, QN__FUNCTION_RESULTS);
    call.node = node;
    open_generics(b, &call);
    if (!call.generics || !check_count(b, node, qn__ast_count(b->ast, params), function)) {
        check_arguments_anyway(b, node);
        return false;
    }
    bool good = true;
    for (uint32_t i = 0; i < qn__ast_count(b->ast, node); i++) good = check_argument(b, &call, node, i) && good;
    *count = qn__ast_count(b->ast, results);
    if (*count > QN__CHECK_RESULTS) *count = QN__CHECK_RESULTS;
    for (uint32_t i = 0; i < *count; i++) {
        terms[i] = call_type(b, &call, qn__ast_child(b->ast, results, i));
        if (!good && !qn__term_type(b, terms[i])) terms[i] = QN__TERM_ERROR; // what it would be is anyone's guess
    }
    qn__set_node(b, node, QN__MEANS_FUNCTION, QN__NO_REF, QN__TERM_ERROR);
    return add_pending(b, call) != NULL;
}

static qn__term_id check_extern_call(qn__body *b, qn__node_id node, uint32_t item) {
    uint32_t index = qn__check_extern(b, item);
    qn__node_id declaration = b->c->items[item].item.node;
    if (index == QN__NO_REF) return failed_call(b, node);
    if (!check_count(b, node, b->c->checked.externs[index].param_count, declaration)) {
        check_arguments_anyway(b, node);
        return failed_call(b, node);
    }
    for (uint32_t i = 0; i < qn__ast_count(b->ast, node); i++) {
        qn__type type = b->c->checked.externs[index].params[i];
        qn__check_expecting(b, qn__ast_child(b->ast, node, i), qn__term_of(type), "the argument of an extern function");
    }
    b->t->uses_extern = true;
    return qn__set_node(b, node, QN__MEANS_EXTERN, index, qn__term_of(b->c->checked.externs[index].result));
}

static qn__term_id several_results(qn__body *b, qn__node_id node, uint32_t count) {
    qn__diagnostic *d =
        qn__complain(b, RESULT_COUNT, qn__ast_get(b->ast, node)->span,
                     QN__SAY(qn__check_name(b->c, qn__ast_get(b->ast, node)->name)), QN__SAY_UINT(count));
    qn__diagnostic_expected(d, "one value");
    qn__diagnostic_hint(d, "take them apart first: let a, b = %s", qn__source_text(b, node));
    return QN__TERM_ERROR;
}

static qn__type cast_type(const qn__body *b, qn__name name) {
    for (uint32_t i = 0; b->generics && i < qn__ast_count(b->ast, b->generics); i++) {
        if (qn__ast_get(b->ast, qn__ast_child(b->ast, b->generics, i))->name == name) return b->t->type_arguments[i];
    }
    if (name && name == b->c->name_size) return QN__TYPE_I64;
    return name && name < b->c->name_count ? (qn__type)b->c->type[name] : QN__TYPE_NONE;
}

static void complain_not_a_function(qn__body *b, qn__node_id node, qn__node_id item) {
    const char *name = qn__check_name(b->c, qn__ast_get(b->ast, node)->name);
    qn__ast_kind kind = qn__ast_kind_of(b->ast, item);
    qn__diagnostic *d = qn__complain(b, NOT_A_FUNCTION, qn__ast_get(b->ast, node)->span, QN__SAY(name),
                                     QN__SAY(qn__ast_kind_name(kind)));
    qn__diagnostic_note(d, qn__ast_name_span(b->ast, item), "'%s' is declared here", name);
    if (kind == QN__AST_KERNEL) qn__diagnostic_hint(d, "move what both need into a function: fn ...");
    if (kind == QN__AST_CONST) qn__diagnostic_hint(d, "a product is written with *: %s * (...)", name);
}

qn__term_id qn__check_call(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__type type = cast_type(b, n->name);
    if (type) return check_cast(b, node, type);
    if (n->name && n->name < b->c->name_count && b->c->builtin[n->name]) {
        return check_builtin(b, node, &qn__builtin_table[b->c->builtin[n->name]]);
    }
    qn__pending_call call = {0};
    bool found = find_function(b, node, &call);
    bool known = !found && qn__check_find_item(b->c, n->name, node) != QN__NO_REF;
    if (known && qn__ast_kind_of(b->ast, b->c->items[call.item].item.node) == QN__AST_EXTERN) {
        return check_extern_call(b, node, call.item);
    }
    if (!found) {
        if (known)
            complain_not_a_function(b, node, b->c->items[call.item].item.node);
        else
            qn__complain_unknown_function(b, node);
        check_arguments_anyway(b, node);
        return failed_call(b, node);
    }
    qn__term_id terms[QN__CHECK_RESULTS];
    uint32_t count = 0;
    if (!check_function_call(b, node, call, terms, &count)) return failed_call(b, node);
    if (count != 1) return several_results(b, node, count);
    return qn__set_node(b, node, QN__MEANS_FUNCTION, QN__NO_REF, terms[0]);
}

bool qn__check_call_results(qn__body *b, qn__node_id node, qn__term_id *terms, uint32_t *count) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__pending_call call = {0};
    if (n->kind != QN__AST_CALL || cast_type(b, n->name) || !n->name || n->name >= b->c->name_count ||
        b->c->builtin[n->name])
        return false;
    if (!find_function(b, node, &call)) return false;
    qn__node_id results = qn__ast_child(b->ast, b->c->items[call.item].item.node, QN__FUNCTION_RESULTS);
    if (qn__ast_count(b->ast, results) < 2) return false;
    if (!check_function_call(b, node, call, terms, count)) {
        failed_call(b, node);
        *count = 0;
        return true;
    }
    qn__node(b, node)->flags |= QN__MULTIPLE;
    return true;
}

void qn__check_combiner(qn__body *b, qn__node_id node, qn__term_id term) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    const char *name = qn__check_name(b->c, n->name);
    qn__pending_call call = {.node = node};
    if (!find_function(b, node, &call)) {
        qn__diagnostic *d = qn__complain(b, UNKNOWN_FUNCTION, qn__ast_name_span(b->ast, node), QN__SAY(name));
        const char *near = qn__suggest_name(b, n->name, true);
        if (near) qn__diagnostic_hint(d, "did you mean '%s'?", near);
        qn__diagnostic_hint(d, "define it: fn %s(a: %s, b: %s) -> %s = ...", name, qn__term_text(b, term),
                            qn__term_text(b, term), qn__term_text(b, term));
        return;
    }
    qn__node_id function = b->c->items[call.item].item.node;
    qn__node_id params = qn__ast_child(b->ast, function, QN__FUNCTION_PARAMS),
                results = qn__ast_child(b->ast, function, QN__FUNCTION_RESULTS);
    open_generics(b, &call);
    bool good = call.generics && qn__ast_count(b->ast, params) == 2 && qn__ast_count(b->ast, results) == 1;
    for (uint32_t i = 0; good && i < 2; i++) {
        good = qn__term_unify(
            b, call_type(b, &call, qn__ast_child(b->ast, qn__ast_child(b->ast, params, i), QN__PARAM_TYPE)), term);
    }
    good = good && qn__term_unify(b, call_type(b, &call, qn__ast_child(b->ast, results, 0)), term);
    if (!good) {
        const char *type = qn__term_text(b, term);
        qn__diagnostic *d = qn__complain(b, COMBINER, qn__ast_name_span(b->ast, node), QN__SAY(name));
        qn__diagnostic_expected(d, "a function of two values of type %s that gives one: fn %s(a: %s, b: %s) -> %s",
                                type, name, type, type, type);
        qn__diagnostic_note(d, qn__ast_name_span(b->ast, function), "'%s' is declared here", name);
        return;
    }
    add_pending(b, call);
}

// % on floats is fmod of the prelude. Whether it is on floats is known only after the body.
void qn__check_remainder(qn__body *b, qn__node_id node, qn__term_id term) {
    qn__pending_call call = {.node = node, .overload = term};
    if (!(qn__term_set(b, term) & QN__SET_FLOAT)) return;
    call.item = qn__check_find_item_text(b->c, "fmod_f32", node);
    call.item_f64 = qn__check_find_item_text(b->c, "fmod_f64", node);
    if (call.item != QN__NO_REF && call.item_f64 != QN__NO_REF) add_pending(b, call);
}

// ---- After the body ----
static void add_needed(qn__body *b, uint32_t function) {
    for (uint32_t i = 0; i < b->t->function_count; i++) {
        if (b->t->functions[i] == function) return;
    }
    uint32_t *grown = qn__arena_grow(b->c->arena, b->t->functions, &b->needed_capacity,
                                     (size_t)b->t->function_count + 1, sizeof *grown);
    if (!grown) {
        b->failed = true;
        return;
    }
    b->t->functions = grown;
    b->t->functions[b->t->function_count++] = function;
}

static void finish_call(qn__body *b, const qn__pending_call *call) {
    qn__type arguments[QN__CHECK_RESULTS];
    uint32_t item = call->item;
    qn__typed_node *node = qn__node(b, call->node);
    if (call->item_f64 != QN__NO_REF) {
        qn__type type = qn__term_default(b, call->overload);
        if (!qn__is_float(type)) return; // % of integers is no call
        if (type == QN__TYPE_F64)
            item = call->item_f64;
        else if (type != QN__TYPE_F32)
            node->flags |= QN__THROUGH_F32;
    }
    uint32_t count = call->generic_count < QN__CHECK_RESULTS ? call->generic_count : QN__CHECK_RESULTS;
    for (uint32_t i = 0; i < count; i++) arguments[i] = qn__term_default(b, call->generics[i]);
    uint32_t function = qn__instantiate(b->c, item, arguments, count, qn__ast_get(b->ast, call->node)->span);
    if (function == QN__NO_REF) {
        b->failed = true;
        return;
    }
    node->ref = function;
    node->meaning = QN__MEANS_FUNCTION;
    const qn__typed *t = b->c->checked.functions[function];
    for (uint32_t i = 0; i < t->function_count; i++) add_needed(b, t->functions[i]);
    add_needed(b, function);
    b->t->uses_extern |= t->uses_extern;
}

void qn__finish_calls(qn__body *b) {
    for (size_t i = 0; i < b->call_count; i++) finish_call(b, &b->calls[i]);
}
