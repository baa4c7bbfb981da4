// The tree as indented text. Children that were not written are left out; fixed children are preceded by their name.
#include "compiler/dump.h"

// The name of child `index` of a kind, NULL for kinds with a plain list of children.
static const char *child_name(qn__ast_kind kind, uint32_t index) {
    static const struct { qn__ast_kind kind; uint32_t index; const char *name; } rows[] = {
#define QN__AST_CHILD(kind, field, index) {QN__AST_##kind, index, #field},
#include "compiler/ast.def"
#undef QN__AST_CHILD
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].kind == kind && rows[i].index == index) return rows[i].name;
    return NULL;
}

static void add_lower(qn__text *out, const char *name) {
    for (; *name; name++) qn__text_add_char(out, *name == '_' ? '-' : (char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name));
}

static const char *operator_text(const qn__ast_node *node) {
    switch ((qn__ast_kind)node->kind) {
    case QN__AST_UNARY: return qn__ast_unary_text((qn__ast_unary)node->op);
    case QN__AST_BINARY: return qn__ast_binary_text((qn__ast_binary)node->op);
    case QN__AST_ASSIGN: return qn__ast_assign_text((qn__ast_assign)node->op);
    case QN__AST_REDUCTION: return qn__ast_reduction_text((qn__ast_reduction)node->op);
    case QN__AST_GENERIC: return qn__ast_class_text((qn__ast_class)node->op);
    case QN__AST_PARAM: return node->op ? qn__ast_edge_text((qn__ast_edge)node->op) : NULL;
    default: return NULL;
    }
}

static void add_value(qn__text *out, const qn__ast_node *node) {
    if (node->kind == QN__AST_INTEGER) qn__text_format(out, " %llu", (unsigned long long)node->value.integer);
    if (node->kind == QN__AST_BOOLEAN) qn__text_add_string(out, node->value.integer ? " true" : " false");
    if (node->kind == QN__AST_IMPORT) qn__text_format(out, " \"%s\"", node->value.text);
    if (node->kind == QN__AST_FLOAT) {
        qn__text_add_char(out, ' ');
        qn__text_add_f64(out, node->value.real);
    }
    if (node->flags & QN__AST_INOUT) qn__text_add_string(out, " inout");
    if (node->flags & QN__AST_EXCLUSIVE) qn__text_add_string(out, " exclusive");
}

// Recursion is bounded by QN__AST_HEIGHT.
static void dump(qn__text *out, const qn__ast *ast, qn__node_id id, size_t indent, const char *field) {
    const qn__ast_node *node = &ast->nodes[id];
    qn__text_repeat(out, ' ', indent * 2);
    if (field) {
        add_lower(out, field);
        qn__text_add_string(out, ": ");
    }
    qn__text_add_string(out, qn__ast_kind_name((qn__ast_kind)node->kind));
    if (node->name && node->kind != QN__AST_REDUCTION) qn__text_format(out, " %s", qn__name_text(ast->names, node->name));
    const char *op = operator_text(node);
    if (op) qn__text_format(out, " %s", op);
    add_value(out, node);
    qn__text_add_char(out, '\n');
    for (uint32_t i = 0; i < node->child_count; i++) {
        qn__node_id child = qn__ast_child(ast, id, i);
        if (child) dump(out, ast, child, indent + 1, child_name((qn__ast_kind)node->kind, i));
    }
}

void qn__ast_dump_node(qn__text *out, const qn__ast *ast, qn__node_id id) { dump(out, ast, id, 0, NULL); }

void qn__ast_dump_file(qn__text *out, const qn__ast *ast, uint32_t file) {
    for (size_t i = 0; i < ast->item_count; i++)
        if (ast->nodes[ast->items[i].node].span.file == file) dump(out, ast, ast->items[i].node, 0, NULL);
}
