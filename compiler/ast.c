// The tree's storage and its tables of names. See ast.h for the invariants.
#include "compiler/ast.h"

#include <string.h>

qn__ast *qn__ast_create(qn__arena *arena, qn__names *names) {
    qn__ast *ast = QN__ARENA_NEW(arena, qn__ast);
    if (!ast) return NULL;
    ast->arena = arena;
    ast->names = names;
    ast->nodes = qn__arena_grow(arena, NULL, &ast->node_capacity, 1, sizeof *ast->nodes);
    ast->children = qn__arena_grow(arena, NULL, &ast->child_capacity, 1, sizeof *ast->children);
    if (!ast->nodes || !ast->children) return NULL;
    ast->nodes[0].kind = QN__AST_ERROR;
    ast->node_count = 1;
    return ast;
}

qn__node_id qn__ast_add(qn__ast *ast, qn__ast_node node, const qn__node_id *children, size_t count) {
    if (ast->node_count >= UINT32_MAX || ast->child_count + count >= UINT32_MAX) return QN__NO_NODE;
    qn__ast_node *nodes =
        qn__arena_grow(ast->arena, ast->nodes, &ast->node_capacity, ast->node_count + 1, sizeof *nodes);
    if (!nodes) return QN__NO_NODE;
    ast->nodes = nodes;
    qn__node_id *list =
        qn__arena_grow(ast->arena, ast->children, &ast->child_capacity, ast->child_count + count, sizeof *list);
    if (!list) return QN__NO_NODE;
    ast->children = list;
    node.child_begin = (uint32_t)ast->child_count;
    node.child_count = (uint32_t)count;
    node.height = 0;
    for (size_t i = 0; i < count; i++) {
        list[ast->child_count++] = children[i];
        if (children[i] && nodes[children[i]].height > node.height) node.height = nodes[children[i]].height;
    }
    node.height++;
    qn__node_id id = (qn__node_id)ast->node_count++;
    nodes[id] = node;
    return id;
}

qn__span qn__ast_name_span(const qn__ast *ast, qn__node_id id) {
    const qn__ast_node *node = &ast->nodes[id];
    if (!node->name) return node->span;
    uint32_t length = (uint32_t)qn__name_length(ast->names, node->name);
    return (qn__span){node->span.file, node->name_begin, node->name_begin + length};
}

static const struct { const char *name; qn__ast_node_class node_class; } kinds[] = {
#define QN__AST_NODE(kind, name, class) {name, QN__NODE_CLASS_##class},
#include "compiler/ast.def"
#undef QN__AST_NODE
};

static const struct { const char *text; int precedence; } binaries[] = {
#define QN__AST_BINARY(name, spelling, precedence) {spelling, precedence},
#include "compiler/ast.def"
#undef QN__AST_BINARY
};

static const char *const unaries[] = {
#define QN__AST_UNARY(name, spelling) spelling,
#include "compiler/ast.def"
#undef QN__AST_UNARY
};

static const char *const assigns[] = {
#define QN__AST_ASSIGN_OP(name, spelling) spelling,
#include "compiler/ast.def"
#undef QN__AST_ASSIGN_OP
};

static const char *const reductions[] = {
#define QN__AST_REDUCTION_OP(name, spelling) spelling,
#include "compiler/ast.def"
#undef QN__AST_REDUCTION_OP
};

static const char *const edges[] = {
#define QN__AST_EDGE_KIND(name, spelling) spelling,
#include "compiler/ast.def"
#undef QN__AST_EDGE_KIND
};

static const char *const classes[] = {
#define QN__AST_CLASS_KIND(name, spelling) spelling,
#include "compiler/ast.def"
#undef QN__AST_CLASS_KIND
};

const char *qn__ast_kind_name(qn__ast_kind kind) { return kinds[kind].name; }
qn__ast_node_class qn__ast_class_of(qn__ast_kind kind) { return kinds[kind].node_class; }
const char *qn__ast_unary_text(qn__ast_unary op) { return unaries[op]; }
const char *qn__ast_binary_text(qn__ast_binary op) { return binaries[op].text; }
int qn__ast_binary_precedence(qn__ast_binary op) { return binaries[op].precedence; }
const char *qn__ast_assign_text(qn__ast_assign op) { return assigns[op]; }
const char *qn__ast_reduction_text(qn__ast_reduction op) { return reductions[op]; }
const char *qn__ast_edge_text(qn__ast_edge edge) { return edges[edge]; }
const char *qn__ast_class_text(qn__ast_class c) { return classes[c]; }
