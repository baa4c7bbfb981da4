// Names: the tables of items, scopes of a body, suggestions for slips, recursion.
// Items of all user files share one namespace; those of the prelude are behind it: a user's item of the same name wins
// in user files, the prelude's own code sees the prelude only. Local names never shadow anything that could be meant
// there.
#include "compiler/check_private.h"
#include "compiler/embedded.h"

#include <string.h>

const char *qn__check_name(const qn__checker *c, qn__name name) {
    return qn__name_text(c->ast->names, name);
}

bool qn__check_in_prelude(const qn__checker *c, qn__node_id node) {
    const qn__source *source = qn__sources_get(c->sources, qn__ast_get(c->ast, node)->span.file);
    return source && source->embedded;
}

// ---- Items ----
static void duplicate_item(qn__checker *c, qn__node_id node, qn__node_id first) {
    const char *name = qn__check_name(c, qn__ast_get(c->ast, node)->name);
    qn__diagnostic *d = qn__report(c->sink, QN__DIAG_DUPLICATE_ITEM, qn__ast_name_span(c->ast, node), QN__SAY(name));
    qn__diagnostic_note(d, qn__ast_name_span(c->ast, first), "'%s' is declared here first", name);
    qn__diagnostic_hint(d, "give one of them another name");
    c->failed = true;
}

static void reserved_name(qn__checker *c, qn__span span, const char *name, const char *what) {
    qn__diagnostic *d = qn__report(c->sink, QN__DIAG_RESERVED_NAME, span, QN__SAY(name), QN__SAY(what));
    qn__diagnostic_hint(d, "choose another name, like '%s_'", name);
    c->failed = true;
}

// What a name means to the language itself, or NULL.
static const char *reserved_meaning(const qn__checker *c, qn__name name) {
    if (name == QN__NO_NAME || name >= c->name_count) return NULL;
    if (c->type[name] || name == c->name_size) return "a type";
    if (name == c->name_pi || name == c->name_inf || name == c->name_nan) return "a number";
    return NULL;
}

static void collect_item(qn__checker *c, uint32_t index) {
    qn__item_info *info = &c->items[index];
    const qn__ast_node *n = qn__ast_get(c->ast, info->item.node);
    if (n->kind == QN__AST_IMPORT || n->name == QN__NO_NAME || n->name >= c->name_count) return;
    uint32_t *table = info->prelude ? c->prelude_item : c->user_item;
    qn__span span = qn__ast_name_span(c->ast, info->item.node);
    const char *name = qn__check_name(c, n->name);
    const char *reserved = reserved_meaning(c, n->name);
    if (reserved)
        reserved_name(c, span, name, reserved);
    else if (c->builtin[n->name] && !info->prelude)
        reserved_name(c, span, name, "a built-in function");
    if (table[n->name])
        duplicate_item(c, info->item.node, c->items[table[n->name] - 1].item.node);
    else
        table[n->name] = index + 1;
}

bool qn__check_collect(qn__checker *c) {
    const qn__ast *ast = c->ast;
    c->items = QN__ARENA_ARRAY(c->arena, qn__item_info, ast->item_count + 1);
    c->name_count = qn__names_count(ast->names);
    c->user_item = QN__ARENA_ARRAY(c->arena, uint32_t, c->name_count);
    c->prelude_item = QN__ARENA_ARRAY(c->arena, uint32_t, c->name_count);
    c->builtin = QN__ARENA_ARRAY(c->arena, uint8_t, c->name_count);
    c->type = QN__ARENA_ARRAY(c->arena, uint8_t, c->name_count);
    c->scope = QN__ARENA_ARRAY(c->arena, uint32_t, c->name_count);
    if (qn__arena_failed(c->arena)) return false;
    for (unsigned type = 1; type < QN__TYPE_COUNT; type++) {
        const char *text = qn__type_table[type].name;
        c->type[qn__names_find(ast->names, text, strlen(text))] = (uint8_t)type;
    }
    for (unsigned i = 1; i < QN__BUILTIN_COUNT; i++) {
        const char *text = qn__builtin_table[i].name;
        c->builtin[qn__names_find(ast->names, text, strlen(text))] = (uint8_t)i;
    }
    c->type[QN__NO_NAME] = 0; // where the program does not use a name, find gave this
    c->builtin[QN__NO_NAME] = 0;
    c->name_size = qn__names_find(ast->names, "size", 4);
    c->name_pi = qn__names_find(ast->names, "pi", 2);
    c->name_inf = qn__names_find(ast->names, "inf", 3);
    c->name_nan = qn__names_find(ast->names, "nan", 3);
    c->name_fast = qn__names_find(ast->names, "fast", 4);
    for (uint32_t i = 0; i < ast->item_count; i++) {
        c->items[i].item = ast->items[i];
        c->items[i].prelude = qn__check_in_prelude(c, ast->items[i].node);
        c->items[i].extern_index = QN__NO_REF;
        collect_item(c, i);
    }
    return true;
}

uint32_t qn__check_find_item(const qn__checker *c, qn__name name, qn__node_id from) {
    if (name == QN__NO_NAME || name >= c->name_count) return QN__NO_REF;
    if (!qn__check_in_prelude(c, from) && c->user_item[name]) return c->user_item[name] - 1;
    return c->prelude_item[name] ? c->prelude_item[name] - 1 : QN__NO_REF;
}

uint32_t qn__check_find_item_text(const qn__checker *c, const char *text, qn__node_id from) {
    return qn__check_find_item(c, qn__names_find(c->ast->names, text, strlen(text)), from);
}

uint32_t qn__check_item_of(const qn__checker *c, qn__node_id node) {
    size_t low = 0, high = c->ast->item_count;
    for (size_t i = low; i < high; i++) {
        if (c->items[i].item.node == node) return (uint32_t)i;
    }
    return QN__NO_REF;
}

// ---- Recursion: depth-first search over the calls that are written ----
static void complain_recursion(qn__checker *c, uint32_t item, const uint32_t *path, uint32_t depth) {
    qn__node_id node = c->items[item].item.node;
    const char *name = qn__check_name(c, qn__ast_get(c->ast, node)->name);
    uint32_t from = depth;
    while (from > 0 && path[from - 1] != item) from--;
    qn__diagnostic *d = qn__report(c->sink, QN__DIAG_RECURSION, qn__ast_name_span(c->ast, node), QN__SAY(name));
    for (uint32_t i = from; i < depth; i++) { // path[from - 1] is the item itself
        qn__node_id other = c->items[path[i]].item.node;
        qn__diagnostic_note(d, qn__ast_name_span(c->ast, other), "'%s' is on the way",
                            qn__check_name(c, qn__ast_get(c->ast, other)->name));
        c->items[path[i]].recursive = true;
    }
    qn__diagnostic_hint(d, "write a 'while' or 'for' in the function instead");
    c->items[item].recursive = true;
    c->failed = true;
}

static void search_recursion(qn__checker *c, uint32_t item, uint32_t *path, uint32_t depth) {
    qn__item_info *info = &c->items[item];
    if (qn__ast_kind_of(c->ast, info->item.node) != QN__AST_FUNCTION || info->state == QN__ITEM_DONE) return;
    if (info->state == QN__ITEM_BUSY) {
        if (!info->recursive) complain_recursion(c, item, path, depth);
        return;
    }
    if (depth >= QN__CHECK_CALL_DEPTH) return; // instantiation reports this
    info->state = QN__ITEM_BUSY;
    path[depth] = item;
    for (qn__node_id n = info->item.first; n < info->item.node; n++) {
        qn__ast_kind kind = qn__ast_kind_of(c->ast, n);
        if (kind != QN__AST_CALL && kind != QN__AST_REDUCE && kind != QN__AST_SCAN) continue;
        uint32_t callee = qn__check_find_item(c, qn__ast_get(c->ast, n)->name, n);
        if (callee != QN__NO_REF) search_recursion(c, callee, path, depth + 1);
    }
    info->state = QN__ITEM_DONE;
}

void qn__check_recursion(qn__checker *c) {
    uint32_t path[QN__CHECK_CALL_DEPTH + 1];
    for (uint32_t i = 0; i < c->ast->item_count; i++) search_recursion(c, i, path, 0);
}

// ---- Scopes ----
uint32_t qn__lookup(const qn__body *b, qn__name name) {
    if (!b->scope || name == QN__NO_NAME || name >= b->c->name_count) return QN__NO_REF;
    return b->scope[name] ? b->scope[name] - 1 : QN__NO_REF;
}

void qn__scope_open(qn__body *b, size_t *mark) {
    *mark = b->declared_count;
}

// A parameter may be there only to give a size its value.
static bool binds_size(const qn__body *b, uint32_t variable) {
    const qn__signature *s = b->t->signature;
    for (uint32_t i = 0; s && i < s->symbol_count; i++) {
        if (!s->symbols[i].existential && s->symbols[i].parameter == variable) return true;
    }
    return false;
}

void qn__warn_unused(qn__body *b, uint32_t variable) {
    if (qn__check_in_prelude(b->c, b->t->item.node)) return; // nobody who uses it can do anything about it
    const qn__typed_variable *v = &b->t->variables[variable];
    qn__info *info = &b->info[variable];
    if (b->failed || info->read || info->poisoned || !v->name || v->name[0] == '_') return;
    switch ((qn__variable_kind)v->kind) {
    case QN__VARIABLE_LET:
    case QN__VARIABLE_VAR:
    case QN__VARIABLE_LOCAL:
    case QN__VARIABLE_TEMP: {
        qn__diagnostic *d = qn__warn(b, UNUSED_VARIABLE, v->span, QN__SAY(v->name));
        qn__diagnostic_hint(d,
                            info->written ? "it is assigned but nothing uses its value; remove it, or name it '_%s'"
                                          : "remove it, or name it '_%s'",
                            v->name);
        break;
    }
    case QN__VARIABLE_SCALAR:
    case QN__VARIABLE_INPUT: {
        if (binds_size(b, variable)) break;
        qn__diagnostic *d = qn__warn(b, UNUSED_PARAMETER, v->span, QN__SAY(v->name));
        qn__diagnostic_hint(d, "remove it, or name it '_%s'", v->name);
        break;
    }
    case QN__VARIABLE_SIZE:
    case QN__VARIABLE_INOUT:
    case QN__VARIABLE_OUTPUT:
    case QN__VARIABLE_INDEX:
    case QN__VARIABLE_LOOP: break;
    }
}

void qn__scope_close(qn__body *b, size_t mark) {
    while (b->declared_count > mark) {
        struct qn__declared *d = &b->declared[--b->declared_count];
        b->scope[d->name] = d->previous;
        qn__warn_unused(b, d->variable);
    }
}

static void check_shadowing(qn__body *b, qn__name name, qn__span span) {
    const char *text = qn__check_name(b->c, name);
    const char *reserved = reserved_meaning(b->c, name);
    uint32_t old = qn__lookup(b, name);
    if (reserved) {
        b->failed = true;
        reserved_name(b->c, span, text, reserved);
        return;
    }
    if (old != QN__NO_REF) {
        if (b->info[old].poisoned) return;
        qn__diagnostic *d = qn__complain(b, SHADOWED, span, QN__SAY(text));
        qn__diagnostic_note(d, b->t->variables[old].span, "'%s' is declared here", text);
        qn__diagnostic_hint(d, "choose another name, like '%s2'", text);
        return;
    }
    for (uint32_t i = 0; b->generics && i < qn__ast_count(b->ast, b->generics); i++) {
        if (qn__ast_get(b->ast, qn__ast_child(b->ast, b->generics, i))->name != name) continue;
        b->failed = true;
        reserved_name(b->c, span, text, "a type parameter");
        return;
    }
    uint32_t item = qn__check_find_item(b->c, name, b->t->item.node);
    if (item != QN__NO_REF && qn__ast_kind_of(b->ast, b->c->items[item].item.node) == QN__AST_CONST) {
        qn__diagnostic *d = qn__complain(b, SHADOWED, span, QN__SAY(text));
        qn__diagnostic_note(d, qn__ast_name_span(b->ast, b->c->items[item].item.node), "'%s' is a constant", text);
        qn__diagnostic_hint(d, "choose another name, like '%s2'", text);
    }
}

uint32_t qn__declare(qn__body *b, qn__variable_kind kind, qn__name name, qn__span span, qn__node_id node,
                     qn__term_id term) {
    qn__checker *c = b->c;
    uint32_t index = b->t->variable_count;
    if (name) check_shadowing(b, name, span);
    if (index >= QN__CHECK_VARIABLES) {
        if (index == QN__CHECK_VARIABLES) {
            qn__complain(b, TOO_MANY_VARIABLES, span, QN__SAY_UINT(QN__CHECK_VARIABLES));
        }
    }
    qn__typed_variable *variables =
        qn__arena_grow(c->arena, b->t->variables, &b->variable_capacity, (size_t)index + 1, sizeof *variables);
    qn__info *info = qn__arena_grow(c->arena, b->info, &b->info_capacity, (size_t)index + 1, sizeof *info);
    struct qn__declared *declared =
        qn__arena_grow(c->arena, b->declared, &b->declared_capacity, b->declared_count + 1, sizeof *declared);
    if (variables) b->t->variables = variables;
    if (info) b->info = info;
    if (declared) b->declared = declared;
    if (!variables || !info || !declared) {
        b->failed = true;
        return 0; // variable 0 exists: qn__body_begin made one
    }
    b->t->variables[index] = (qn__typed_variable){.kind = (uint8_t)kind,
                                                  .name = qn__check_name(c, name),
                                                  .span = span,
                                                  .node = node,
                                                  .parameter = QN__NO_REF,
                                                  .symbol = QN__NO_REF};
    b->info[index] = (qn__info){.name = name,
                                .term = term,
                                .loop_depth = b->loop_depth,
                                .varying = b->stage_first != QN__NO_REF || b->level != QN__LEVEL_KERNEL};
    b->t->variable_count = index + 1;
    if (name && name < c->name_count) {
        b->declared[b->declared_count++] = (struct qn__declared){name, index, b->scope[name]};
        b->scope[name] = index + 1;
    }
    return index;
}

// ---- Unknown names ----
static size_t variable_candidates(qn__body *b, const char **list, size_t limit) {
    size_t count = 0;
    for (size_t i = b->declared_count; i-- > 0 && count < limit;) {
        if (!b->info[b->declared[i].variable].poisoned) list[count++] = qn__check_name(b->c, b->declared[i].name);
    }
    for (size_t i = 0; i < b->ast->item_count && count < limit; i++) {
        if (b->c->items[i].prelude || qn__ast_kind_of(b->ast, b->c->items[i].item.node) != QN__AST_CONST) continue;
        list[count++] = qn__check_name(b->c, qn__ast_get(b->ast, b->c->items[i].item.node)->name);
    }
    return count;
}

// The prelude's names, also of files that this program did not need so far; exp for exp_f64.
static size_t prelude_candidates(qn__body *b, const char **list, size_t count, size_t limit) {
    for (const qn__embedded *file = qn__prelude_files; file->name; file++) {
        for (const char *const *name = file->names; *name && count < limit; name++) {
            const size_t length = strlen(*name);
            if (strncmp(*name, "math_", 5) == 0) continue;
            const bool typed = length > 4 && strcmp(*name + length - 4, "_f64") == 0;
            const char *base = typed ? qn__arena_copy_string(b->c->arena, *name, length - 4) : *name;
            if (base) list[count++] = base;
        }
    }
    return count;
}

static size_t function_candidates(qn__body *b, const char **list, size_t limit) {
    size_t count = 0;
    for (size_t i = 1; i < QN__BUILTIN_COUNT && count < limit; i++) list[count++] = qn__builtin_table[i].name;
    for (size_t i = 1; i < QN__TYPE_COUNT && count < limit; i++) list[count++] = qn__type_table[i].name;
    for (size_t i = 0; i < b->ast->item_count && count < limit; i++) {
        qn__ast_kind kind = qn__ast_kind_of(b->ast, b->c->items[i].item.node);
        if (kind != QN__AST_FUNCTION && kind != QN__AST_EXTERN) continue;
        if (b->c->items[i].prelude) continue;
        list[count++] = qn__check_name(b->c, qn__ast_get(b->ast, b->c->items[i].item.node)->name);
    }
    return prelude_candidates(b, list, count, limit);
}

const char *qn__suggest_name(qn__body *b, qn__name name, bool functions) {
    const char *list[512];
    size_t count = functions ? function_candidates(b, list, 512) : variable_candidates(b, list, 512);
    return qn__suggest(qn__check_name(b->c, name), list, count);
}

// Once is enough: the name is declared as something that fits everywhere.
static void poison(qn__body *b, qn__name name, qn__span span, qn__node_id node) {
    if (!b->scope || !name || name >= b->c->name_count || b->scope[name]) return;
    uint32_t variable = qn__declare(b, QN__VARIABLE_INDEX, name, span, node, QN__TERM_ERROR);
    b->info[variable].poisoned = true;
}

static void complain_unbound_index(qn__body *b, qn__node_id node, const char *name) {
    qn__diagnostic *d = qn__complain(b, UNBOUND_INDEX, qn__ast_name_span(b->ast, node), QN__SAY(name));
    if (b->level == QN__LEVEL_KERNEL && b->stage_first == QN__NO_REF) {
        qn__diagnostic_note(d, QN__NO_SPAN, "this is computed once for the whole kernel, not for each element");
        qn__diagnostic_hint(d, "reduce over it: sum(%s: ...), any(%s: ...)", name, name);
        qn__diagnostic_hint(d, "or assign to an array: y[%s] = ...", name);
    } else {
        qn__diagnostic_hint(d, "reduce over it: sum(%s: ...)", name);
        qn__diagnostic_hint(d, "or let the target have it: [..., %s] = ...", name);
    }
}

void qn__complain_unknown(qn__body *b, qn__node_id node, bool subscripted) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__span span = qn__ast_name_span(b->ast, node);
    const char *name = qn__check_name(b->c, n->name);
    uint32_t item = qn__check_find_item(b->c, n->name, node);
    const char *near = qn__suggest_name(b, n->name, false);
    if (b->subscript_depth && !near && item == QN__NO_REF && !subscripted) {
        complain_unbound_index(b, node, name);
    } else {
        qn__diagnostic *d = qn__complain(b, UNKNOWN_NAME, span, QN__SAY(name));
        if (item != QN__NO_REF) {
            qn__diagnostic_note(d, qn__ast_name_span(b->ast, b->c->items[item].item.node), "'%s' is a %s", name,
                                qn__ast_kind_name(qn__ast_kind_of(b->ast, b->c->items[item].item.node)));
            qn__diagnostic_hint(d, "call it: %s(...)", name);
        } else if (near) {
            qn__diagnostic_hint(d, "did you mean '%s'?", near);
        } else if (reserved_meaning(b->c, n->name)) {
            qn__diagnostic_note(d, QN__NO_SPAN, "'%s' is a type", name);
            qn__diagnostic_hint(d, "a cast is written %s(...)", name);
        } else {
            qn__diagnostic_hint(d, "declare it: let %s = ...", name);
        }
    }
    poison(b, n->name, span, node);
}

void qn__complain_unknown_function(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    const char *name = qn__check_name(b->c, n->name);
    uint32_t variable = qn__lookup(b, n->name);
    qn__diagnostic *d = qn__complain(b, UNKNOWN_FUNCTION, qn__ast_name_span(b->ast, node), QN__SAY(name));
    const char *near = qn__suggest_name(b, n->name, true);
    if (variable != QN__NO_REF) {
        qn__diagnostic_note(d, b->t->variables[variable].span, "'%s' is declared here; it is no function", name);
        if (b->t->variables[variable].rank)
            qn__diagnostic_hint(d, "an element is written with [ ]: %s", qn__element_text(b, variable));
        else
            qn__diagnostic_hint(d, "a product is written with *: %s * (...)", name);
    } else if (near) {
        qn__diagnostic_hint(d, "did you mean '%s'?", near);
    } else {
        qn__diagnostic_hint(d, "define it: fn %s(x: f64) -> f64 = ...", name);
    }
}

// ---- Types ----
qn__type qn__check_type_name(qn__body *b, qn__node_id type_node, bool *is_size) {
    const qn__ast_node *n = qn__ast_get(b->ast, type_node);
    qn__checker *c = b->c;
    *is_size = false;
    if (n->kind != QN__AST_TYPE || !n->name) {
        b->failed = true; // the parser has said what is wrong
        return QN__TYPE_NONE;
    }
    for (uint32_t i = 0; b->generics && i < qn__ast_count(b->ast, b->generics); i++) {
        if (qn__ast_get(b->ast, qn__ast_child(b->ast, b->generics, i))->name == n->name) return b->t->type_arguments[i];
    }
    if (n->name < c->name_count && c->type[n->name]) return (qn__type)c->type[n->name];
    if (n->name == c->name_size) {
        *is_size = true;
        return QN__TYPE_I64;
    }
    const char *names[QN__TYPE_COUNT + 1];
    size_t count = 0;
    for (unsigned type = 1; type < QN__TYPE_COUNT; type++) names[count++] = qn__type_table[type].name;
    names[count++] = "size";
    const char *name = qn__check_name(c, n->name);
    static const char *const foreign[][2] = {
        {"float", "f32"}, {"double", "f64"},  {"int", "i32"},     {"long", "i64"},  {"char", "i8"},
        {"half", "f16"},  {"float32", "f32"}, {"float64", "f64"}, {"int32", "i32"}, {"int64", "i64"},
        {"uint8", "u8"},  {"uint32", "u32"},  {"uint64", "u64"},  {"usize", "size"}};
    const char *near = NULL;
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (strcmp(name, foreign[i][0]) == 0) near = foreign[i][1];
    }
    if (!near) near = qn__suggest(name, names, count);
    qn__diagnostic *d = qn__complain(b, UNKNOWN_TYPE, qn__ast_name_span(b->ast, type_node), QN__SAY(name));
    if (near)
        qn__diagnostic_hint(d, "did you mean '%s'?", near);
    else
        qn__diagnostic_hint(d,
                            "types are bool, i8 to i64, u8 to u64, f16, bf16, f32, f64 and size; a type parameter is "
                            "declared like [%s: float]",
                            name);
    return QN__TYPE_NONE;
}
