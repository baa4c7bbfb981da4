// The checker's entry: collects items, checks bodies for concrete types (memoised), and turns the tables of a body that
// has no error into a qn__typed.
// The pipeline of one body: signature or parameters -> statements (types are terms, calls and literals pending) ->
// literals get their types -> called functions are instantiated -> the tables are final.
#include "compiler/check_private.h"

#include <string.h>

const qn__builtin_info qn__builtin_table[QN__BUILTIN_COUNT] = {
    {"", QN__OP_COUNT, 0, 0, QN__RESULT_SAME},
#define QN__BUILTIN_ROW(name, ENUM, op, arity, arguments, result)                                                      \
    {name, QN__OP_##op, arity, arguments, QN__RESULT_##result},
#include "compiler/builtin.def"
#undef QN__BUILTIN_ROW
};

qn__type_set qn__class_set(qn__ast_class class_of) {
    switch (class_of) {
    case QN__CLASS_OF_FLOAT: return QN__SET_FLOAT;
    case QN__CLASS_OF_INT: return QN__SET_INT;
    case QN__CLASS_OF_NUMBER: return QN__SET_NUMBER;
    case QN__CLASSES: break;
    }
    return QN__SET_NUMBER;
}

// ---- Bodies ----
static bool body_begin(qn__body *b, qn__checker *c, uint32_t item, const qn__type *arguments, uint32_t count) {
    qn__arena *arena = c->arena;
    *b = (qn__body){.c = c, .ast = c->ast, .stage_first = QN__NO_REF, .scan_variable = QN__NO_REF};
    b->t = QN__ARENA_NEW(arena, qn__typed);
    if (!b->t) return false;
    qn__ast_item span = c->items[item].item;
    size_t nodes = (size_t)(span.node - span.first) + 1;
    b->t->item = span;
    b->t->name = qn__check_name(c, qn__ast_get(c->ast, span.node)->name);
    b->t->nodes = QN__ARENA_ARRAY(arena, qn__typed_node, nodes);
    b->t->type_arguments = QN__ARENA_ARRAY(arena, qn__type, count + 1);
    b->t->type_argument_count = count;
    b->node_term = QN__ARENA_ARRAY(arena, qn__term_id, nodes);
    b->proved = QN__ARENA_ARRAY(arena, uint8_t, nodes);
    b->opaque = QN__ARENA_ARRAY(arena, uint32_t, nodes);
    b->scope = c->scope;
    b->t->variables = qn__arena_grow(arena, NULL, &b->variable_capacity, 8, sizeof *b->t->variables);
    b->info = qn__arena_grow(arena, NULL, &b->info_capacity, 8, sizeof *b->info);
    b->atoms = qn__arena_grow(arena, NULL, &b->atom_capacity, 16, sizeof *b->atoms);
    b->atom_count = 1; // atom 0 stands for what could not be made
    qn__terms_init(b);
    if (qn__arena_failed(arena)) return false;
    b->atoms[0] = (qn__atom){.kind = QN__ATOM_OPAQUE, .varying = true};
    for (uint32_t i = 0; i < count; i++) b->t->type_arguments[i] = arguments[i];
    if (qn__ast_kind_of(c->ast, span.node) == QN__AST_KERNEL) {
        b->generics = qn__ast_child(c->ast, span.node, QN__KERNEL_GENERICS);
    } else {
        b->generics = qn__ast_child(c->ast, span.node, QN__FUNCTION_GENERICS);
        b->level = QN__LEVEL_FUNCTION;
    }
    return true;
}

static void finish_literals(qn__body *b) {
    for (size_t i = 0; i < b->literal_count; i++) {
        qn__pending_literal *l = &b->literals[i];
        qn__typed_node *node = qn__node(b, l->node);
        qn__type type = qn__term_default(b, qn__node_term(b, l->node));
        const char *why;
        node->ref = 0;
        if (!type || !l->constant.kind) continue;
        if (qn__constant_fits(b->c, &l->constant, type, &node->bits, &why)) continue;
        const char *name = qn__type_table[type].name, *text = qn__source_text(b, l->node);
        qn__diagnostic *d =
            qn__complain(b, LITERAL_RANGE, qn__ast_get(b->ast, l->node)->span, QN__SAY(text), QN__SAY(name));
        qn__diagnostic_note(d, QN__NO_SPAN, "%s", why);
        if (type == QN__TYPE_I64 && l->constant.integer > 0)
            qn__diagnostic_hint(d, "write u64(%s)", text);
        else if (qn__is_float(type))
            qn__diagnostic_hint(d, "use a wider type, like f64");
        else
            qn__diagnostic_hint(d, "use a wider type, like i64(...), for the other operands");
    }
}

static void finish_types(qn__body *b) {
    size_t nodes = (size_t)(b->t->item.node - b->t->item.first) + 1;
    for (size_t i = 0; i < nodes; i++) {
        qn__typed_node *node = &b->t->nodes[i];
        if (b->node_term[i]) node->type = (uint8_t)qn__term_default(b, b->node_term[i]);
        if (node->meaning != QN__MEANS_ARRAY) continue;
        qn__node_id id = b->t->item.first + (qn__node_id)i;
        if (b->proved[i] == qn__ast_count(b->ast, id)) node->flags |= QN__UNCHECKED;
    }
    for (uint32_t i = 0; i < b->t->variable_count; i++) {
        b->t->variables[i].type = (uint8_t)qn__term_default(b, b->info[i].term);
    }
}

static bool body_finish(qn__body *b) {
    finish_literals(b);
    qn__finish_calls(b);
    finish_types(b);
    return !b->failed && !qn__arena_failed(b->c->arena);
}

static qn__typed *check_body(qn__checker *c, uint32_t item, const qn__type *arguments, uint32_t count) {
    qn__body b;
    if (!body_begin(&b, c, item, arguments, count)) {
        c->failed = true;
        return NULL;
    }
    if (b.level == QN__LEVEL_FUNCTION)
        qn__check_function_body(&b);
    else if (qn__check_signature(&b))
        qn__check_kernel_body(&b);
    qn__scope_close(&b, 0); // also where the body was left early: the next one starts with an empty table
    bool good = body_finish(&b);
    if (!good) c->failed = true;
    return good ? b.t : NULL;
}

// ---- Instances ----
static qn__instance *find_instance(qn__instance *list, size_t count, qn__node_id node, const qn__type *arguments,
                                   uint32_t n) {
    for (size_t i = 0; i < count; i++) {
        if (list[i].node == node && (n == 0 || memcmp(list[i].arguments, arguments, n * sizeof *arguments) == 0))
            return &list[i];
    }
    return NULL;
}

static qn__type *copy_types(qn__arena *arena, const qn__type *types, uint32_t count) {
    qn__type *copy = QN__ARENA_ARRAY(arena, qn__type, (size_t)count + 1);
    if (copy && count) memcpy(copy, types, count * sizeof *types);
    return copy;
}

static bool too_many(qn__checker *c, qn__span where, bool deep) {
    if (!deep && c->kernel_count + c->function_count < QN__CHECK_INSTANCES) return false;
    c->failed = true;
    if (c->limit_reported) return true;
    c->limit_reported = true;
    if (deep) {
        qn__diagnostic *d = qn__report(c->sink, QN__DIAG_CALLS_TOO_DEEP, where, QN__SAY_UINT(QN__CHECK_CALL_DEPTH));
        qn__diagnostic_hint(d, "let fewer functions call one another");
    } else {
        qn__diagnostic *d = qn__report(c->sink, QN__DIAG_TOO_MANY_INSTANCES, where, QN__SAY_UINT(QN__CHECK_INSTANCES));
        qn__diagnostic_hint(d, "use fewer combinations of types");
    }
    return true;
}

uint32_t qn__instantiate(qn__checker *c, uint32_t item, const qn__type *arguments, uint32_t count, qn__span where) {
    qn__node_id node = c->items[item].item.node;
    qn__instance *found = find_instance(c->functions, c->function_count, node, arguments, count);
    if (found) return found->state == QN__ITEM_DONE ? (uint32_t)(found - c->functions) : QN__NO_REF;
    if (c->items[item].recursive || too_many(c, where, c->depth >= QN__CHECK_CALL_DEPTH)) return QN__NO_REF;
    size_t index = c->function_count;
    qn__instance *list = qn__arena_grow(c->arena, c->functions, &c->functions_capacity, index + 1, sizeof *list);
    qn__typed **typed = qn__arena_grow(c->arena, c->checked.functions, &c->function_capacity, index + 1, sizeof *typed);
    qn__type *copy = copy_types(c->arena, arguments, count);
    if (list) c->functions = list;
    if (typed) c->checked.functions = typed;
    if (!list || !typed || !copy) return QN__NO_REF;
    c->functions[index] =
        (qn__instance){.node = node, .arguments = copy, .argument_count = count, .state = QN__ITEM_BUSY};
    c->checked.functions[index] = NULL;
    c->function_count = index + 1;
    c->checked.function_count = (uint32_t)c->function_count;
    c->depth++;
    qn__typed *result = check_body(c, item, copy, count);
    c->depth--;
    c->functions[index].typed = result;
    c->functions[index].state = result ? QN__ITEM_DONE : QN__ITEM_BAD;
    c->checked.functions[index] = result;
    return result ? (uint32_t)index : QN__NO_REF;
}

const qn__typed *qn__check_kernel(qn__checker *c, qn__node_id kernel, const qn__type *arguments, uint32_t count) {
    uint32_t item = qn__check_item_of(c, kernel);
    if (item == QN__NO_REF || count != qn__check_generic_count(c, kernel)) return NULL;
    qn__instance *found = find_instance(c->kernels, c->kernel_count, kernel, arguments, count);
    if (found) return found->typed;
    if (too_many(c, qn__ast_name_span(c->ast, kernel), false)) return NULL;
    qn__type *copy = copy_types(c->arena, arguments, count);
    if (!copy) return NULL;
    qn__typed *typed = check_body(c, item, copy, count);
    qn__instance *list = qn__arena_grow(c->arena, c->kernels, &c->kernel_capacity, c->kernel_count + 1, sizeof *list);
    if (!list) return NULL;
    c->kernels = list;
    c->kernels[c->kernel_count++] = (qn__instance){.node = kernel,
                                                   .arguments = copy,
                                                   .argument_count = count,
                                                   .state = typed ? QN__ITEM_DONE : QN__ITEM_BAD,
                                                   .typed = typed};
    return typed;
}

// ---- Extern functions ----
static void extern_params(qn__body *b, qn__typed_extern *e, qn__node_id params) {
    for (uint32_t i = 0; i < e->param_count; i++) {
        qn__node_id type = qn__ast_child(b->ast, qn__ast_child(b->ast, params, i), QN__PARAM_TYPE);
        bool is_size;
        e->params[i] = type ? qn__check_type_name(b, type, &is_size) : QN__TYPE_NONE;
        if (type && qn__ast_count(b->ast, type)) {
            qn__diagnostic *d = qn__complain_plain(b, SCALAR_EXPECTED, qn__ast_get(b->ast, type)->span);
            qn__diagnostic_hint(d, "an extern function takes and gives scalars");
        }
    }
}

uint32_t qn__check_extern(qn__body *b, uint32_t item) {
    qn__checker *c = b->c;
    qn__item_info *info = &c->items[item];
    if (info->extern_index != QN__NO_REF) return info->extern_index;
    qn__node_id node = info->item.node;
    qn__node_id params = qn__ast_child(c->ast, node, QN__EXTERN_PARAMS),
                result = qn__ast_child(c->ast, node, QN__EXTERN_RESULT);
    uint32_t index = c->checked.extern_count;
    qn__typed_extern *list =
        qn__arena_grow(c->arena, c->checked.externs, &c->extern_capacity, (size_t)index + 1, sizeof *list);
    qn__typed_extern e = {.name = qn__check_name(c, qn__ast_get(c->ast, node)->name),
                          .node = node,
                          .param_count = qn__ast_count(c->ast, params)};
    e.params = QN__ARENA_ARRAY(c->arena, qn__type, (size_t)e.param_count + 1);
    if (!list || !e.params) {
        b->failed = true;
        return QN__NO_REF;
    }
    extern_params(b, &e, params);
    bool is_size;
    e.result = result ? qn__check_type_name(b, result, &is_size) : QN__TYPE_NONE;
    if (result && qn__ast_count(b->ast, result))
        qn__complain_plain(b, SCALAR_EXPECTED, qn__ast_get(b->ast, result)->span);
    c->checked.externs = list;
    c->checked.externs[index] = e;
    c->checked.extern_count = index + 1;
    info->extern_index = index;
    return index;
}

// ---- Whole programs ----
static void check_generics(qn__checker *c, qn__node_id list) {
    for (uint32_t i = 0; i < qn__ast_count(c->ast, list); i++) {
        qn__node_id node = qn__ast_child(c->ast, list, i);
        qn__name name = qn__ast_get(c->ast, node)->name;
        bool again = false;
        for (uint32_t j = 0; j < i; j++) again |= qn__ast_get(c->ast, qn__ast_child(c->ast, list, j))->name == name;
        bool known = name && name < c->name_count && (c->type[name] || name == c->name_size);
        if (!again && !known) continue;
        qn__diagnostic *d = qn__report(c->sink, QN__DIAG_GENERIC_NAME, qn__ast_name_span(c->ast, node),
                                       QN__SAY(qn__check_name(c, name)));
        qn__diagnostic_hint(d, "use a capital letter, like T or U");
        c->failed = true;
    }
}

static qn__node_id generics_of(const qn__checker *c, qn__node_id node) {
    switch (qn__ast_kind_of(c->ast, node)) {
    case QN__AST_KERNEL: return qn__ast_child(c->ast, node, QN__KERNEL_GENERICS);
    case QN__AST_FUNCTION: return qn__ast_child(c->ast, node, QN__FUNCTION_GENERICS);
    default: return QN__NO_NODE; // other items have none
    }
}

uint32_t qn__check_generic_count(const qn__checker *c, qn__node_id kernel) {
    qn__node_id list = generics_of(c, kernel);
    return list ? qn__ast_count(c->ast, list) : 0;
}

static bool check_once(qn__checker *c, uint32_t item, const qn__type *types, uint32_t count) {
    qn__node_id node = c->items[item].item.node;
    if (qn__ast_kind_of(c->ast, node) == QN__AST_KERNEL) return qn__check_kernel(c, node, types, count) != NULL;
    if (c->items[item].recursive) return false;
    return qn__instantiate(c, item, types, count, qn__ast_name_span(c->ast, node)) != QN__NO_REF;
}

// Every type of each class; with several type parameters one varies while the others stand at the first of their class,
// and all of them vary together. Stops at the first types with an error: the others would say the same again.
static void check_generic_item(qn__checker *c, uint32_t item) {
    qn__node_id list = generics_of(c, c->items[item].item.node);
    uint32_t count = qn__ast_count(c->ast, list);
    enum { MOST = 16 };
    if (count > MOST) return;
    qn__type_set sets[MOST];
    for (uint32_t i = 0; i < count; i++)
        sets[i] = qn__class_set((qn__ast_class)qn__ast_get(c->ast, qn__ast_child(c->ast, list, i))->op);
    for (uint32_t vary = 0; vary <= count; vary++) {
        for (unsigned type = QN__TYPE_COUNT; type-- > 1;) {
            qn__type types[MOST];
            bool fits = true;
            for (uint32_t i = 0; i < count; i++) {
                bool moves = vary == count || vary == i;
                types[i] = moves ? (qn__type)type : (sets[i] & QN__SET_FLOAT) ? QN__TYPE_F64 : QN__TYPE_I64;
                fits = fits && (sets[i] & QN__SET_OF(types[i]));
            }
            if (fits && !check_once(c, item, types, count)) return;
        }
        if (count == 1) return;
    }
}

static void check_item(qn__checker *c, uint32_t item) {
    qn__node_id node = c->items[item].item.node;
    qn__node_id generics = generics_of(c, node);
    qn__body b = {.c = c, .ast = c->ast};
    qn__constant value;
    switch (qn__ast_kind_of(c->ast, node)) {
    case QN__AST_CONST: qn__constant_of_item(c, item, &value); return;
    case QN__AST_EXTERN: qn__check_extern(&b, item); return;
    case QN__AST_KERNEL:
    case QN__AST_FUNCTION:
        check_generics(c, generics);
        if (qn__ast_count(c->ast, generics))
            check_generic_item(c, item);
        else
            check_once(c, item, NULL, 0);
        return;
    default: return; // imports
    }
}

qn__checker *qn__checker_create(const qn__ast *ast, const qn__sources *sources, qn__arena *arena,
                                qn__diagnostic_sink *sink) {
    qn__checker *c = QN__ARENA_NEW(arena, qn__checker);
    if (!c) return NULL;
    *c = (qn__checker){.ast = ast, .sources = sources, .arena = arena, .sink = sink};
    c->checked.ast = ast;
    if (!qn__check_collect(c)) return NULL;
    qn__check_recursion(c);
    for (uint32_t i = 0; i < ast->item_count; i++) {
        c->items[i].state = QN__ITEM_NEW; // from now on the state of constants
    }
    return c;
}

bool qn__check_module(qn__checker *c) {
    for (uint32_t i = 0; i < c->ast->item_count; i++) {
        if (!c->items[i].prelude) check_item(c, i);
    }
    return !c->failed && !qn__arena_failed(c->arena);
}

bool qn__check_prelude(qn__checker *c) {
    for (uint32_t i = 0; i < c->ast->item_count; i++) {
        if (c->items[i].prelude) check_item(c, i);
    }
    return !c->failed && !qn__arena_failed(c->arena);
}

const qn__checked *qn__check_result(const qn__checker *c) {
    return &c->checked;
}

// ---- Which kernel, for which types ----
qn__node_id qn__check_find_kernel(qn__checker *c, const char *name) {
    const char *names[256];
    size_t count = 0;
    qn__node_id found = QN__NO_NODE;
    uint32_t in_main = 0;
    for (uint32_t i = 0; i < c->ast->item_count; i++) {
        qn__node_id node = c->items[i].item.node;
        if (qn__ast_kind_of(c->ast, node) != QN__AST_KERNEL) continue;
        const char *text = qn__check_name(c, qn__ast_get(c->ast, node)->name);
        if (count < 256) names[count++] = text;
        if (name && strcmp(text, name) == 0) return node;
        if (name || qn__ast_get(c->ast, node)->span.file != c->ast->main_file) continue;
        in_main++;
        found = node;
    }
    c->failed |= name || in_main != 1;
    if (!name && in_main == 1) return found;
    if (name) {
        qn__diagnostic *d = qn__report(c->sink, QN__DIAG_NO_KERNEL, QN__NO_SPAN, QN__SAY(name));
        const char *near = qn__suggest(name, names, count);
        if (near) qn__diagnostic_hint(d, "did you mean '%s'?", near);
    } else {
        qn__report(c->sink, QN__DIAG_WHICH_KERNEL, QN__NO_SPAN, QN__SAY_UINT(in_main));
    }
    return QN__NO_NODE;
}

static bool infer_one(qn__checker *c, qn__node_id kernel, uint32_t generic, const qn__type *arguments, uint32_t count,
                      qn__type *out) {
    qn__node_id node = qn__ast_child(c->ast, qn__ast_child(c->ast, kernel, QN__KERNEL_GENERICS), generic);
    qn__node_id params = qn__ast_child(c->ast, kernel, QN__KERNEL_PARAMS);
    const char *name = qn__check_name(c, qn__ast_get(c->ast, node)->name);
    qn__type_set set = qn__class_set((qn__ast_class)qn__ast_get(c->ast, node)->op);
    *out = QN__TYPE_NONE;
    for (uint32_t i = 0; i < count && i < qn__ast_count(c->ast, params); i++) {
        qn__node_id param = qn__ast_child(c->ast, params, i), type = qn__ast_child(c->ast, param, QN__PARAM_TYPE);
        if (!type || qn__ast_get(c->ast, type)->name != qn__ast_get(c->ast, node)->name || !arguments[i]) continue;
        if ((*out && *out != arguments[i]) || !(set & QN__SET_OF(arguments[i]))) {
            qn__diagnostic *d = qn__report(c->sink, QN__DIAG_ARGUMENT_TYPES, qn__ast_name_span(c->ast, param),
                                           QN__SAY(name), QN__SAY(qn__check_name(c, qn__ast_get(c->ast, param)->name)));
            qn__diagnostic_found(d, "%s", qn__type_table[arguments[i]].name);
            if (*out)
                qn__diagnostic_expected(d, "%s, as of the arguments before", qn__type_table[*out].name);
            else
                qn__diagnostic_expected(d, "a type of the class %s",
                                        qn__ast_class_text((qn__ast_class)qn__ast_get(c->ast, node)->op));
            return false;
        }
        *out = arguments[i];
    }
    if (*out) return true;
    qn__diagnostic *d = qn__report(c->sink, QN__DIAG_OPEN_TYPE, qn__ast_name_span(c->ast, node), QN__SAY(name));
    qn__diagnostic_hint(d, "give an argument that has a type, like an array of f64");
    return false;
}

bool qn__check_infer(qn__checker *c, qn__node_id kernel, const qn__type *arguments, uint32_t count,
                     qn__type *type_arguments) {
    for (uint32_t i = 0; i < qn__check_generic_count(c, kernel); i++) {
        if (!infer_one(c, kernel, i, arguments, count, &type_arguments[i])) return false;
    }
    return true;
}
