// The syntax tree of a whole program: the main file, what it imports and the prelude, in one array of nodes.
//
// Nodes are referenced by 32-bit ids; id 0 means "none". The tree is immutable after parsing: what the checker finds
// out goes to side tables indexed by node id. All nodes of one item (function, kernel, ...) have consecutive ids
// item.first .. item.node (the item's own node comes last), so a side table of one instantiation is an array of
// item.node - item.first + 1 entries. Children are always created before their parent.
// What each kind's children are: compiler/ast.def.
#ifndef QN__COMPILER_AST_H
#define QN__COMPILER_AST_H

#include "compiler/source.h"
#include "ir/arena.h"
#include "ir/names.h"

typedef uint32_t qn__node_id;
enum { QN__NO_NODE = 0, QN__AST_HEIGHT = 1000 };

typedef enum qn__ast_kind {
#define QN__AST_NODE(kind, name, class) QN__AST_##kind,
#include "compiler/ast.def"
#undef QN__AST_NODE
    QN__AST_KINDS
} qn__ast_kind;

// Child indices: QN__KERNEL_BODY and so on.
enum {
#define QN__AST_CHILD(kind, field, index) QN__##kind##_##field = (index),
#include "compiler/ast.def"
#undef QN__AST_CHILD
};

typedef enum qn__ast_node_class { QN__NODE_CLASS_ITEM, QN__NODE_CLASS_PART, QN__NODE_CLASS_STATEMENT, QN__NODE_CLASS_EXPRESSION } qn__ast_node_class;

typedef enum qn__ast_unary {
#define QN__AST_UNARY(name, spelling) QN__UNARY_OP_##name,
#include "compiler/ast.def"
#undef QN__AST_UNARY
    QN__UNARY_OPS
} qn__ast_unary;

typedef enum qn__ast_binary {
#define QN__AST_BINARY(name, spelling, precedence) QN__BINARY_OP_##name,
#include "compiler/ast.def"
#undef QN__AST_BINARY
    QN__BINARY_OPS
} qn__ast_binary;

typedef enum qn__ast_assign {
#define QN__AST_ASSIGN_OP(name, spelling) QN__ASSIGN_OP_##name,
#include "compiler/ast.def"
#undef QN__AST_ASSIGN_OP
    QN__ASSIGN_OPS
} qn__ast_assign;

typedef enum qn__ast_reduction {
#define QN__AST_REDUCTION_OP(name, spelling) QN__REDUCTION_OP_##name,
#include "compiler/ast.def"
#undef QN__AST_REDUCTION_OP
    QN__REDUCTION_OPS
} qn__ast_reduction;

typedef enum qn__ast_edge {
#define QN__AST_EDGE_KIND(name, spelling) QN__EDGE_##name,
#include "compiler/ast.def"
#undef QN__AST_EDGE_KIND
    QN__EDGES
} qn__ast_edge;

typedef enum qn__ast_class {
#define QN__AST_CLASS_KIND(name, spelling) QN__CLASS_OF_##name,
#include "compiler/ast.def"
#undef QN__AST_CLASS_KIND
    QN__CLASSES
} qn__ast_class;

enum {
    QN__AST_INOUT = 1,      // PARAM
    QN__AST_EXCLUSIVE = 2,  // SCAN
    QN__AST_OVERFLOW = 4,   // INTEGER
    QN__AST_PARENTHESES = 8 // expression that stood in ( ); its span is without them
};

typedef struct qn__ast_node {
    uint8_t kind;  // qn__ast_kind
    uint8_t op;
    uint16_t flags;
    qn__name name;
    qn__span span;
    uint32_t name_begin;   // where `name` stands in the file, for the kinds that have one; see qn__ast_name_span
    uint32_t child_begin;  // in qn__ast.children
    uint32_t child_count;
    uint32_t height;       // of the tree below, a leaf has 1; never above QN__AST_HEIGHT, so that walkers may recurse
    union {
        uint64_t integer;
        double real;
        const char *text;
    } value;
} qn__ast_node;

typedef struct qn__ast_item {
    qn__node_id node;   // IMPORT, CONST, EXTERN, FUNCTION or KERNEL
    qn__node_id first;  // smallest id of the item's nodes
} qn__ast_item;

typedef struct qn__ast {
    qn__arena *arena;
    qn__names *names;
    qn__ast_node *nodes;  // nodes[0] is unused
    size_t node_count;
    size_t node_capacity;
    qn__node_id *children;
    size_t child_count;
    size_t child_capacity;
    qn__ast_item *items;  // of all files: the prelude first, then imports before those who import them
    size_t item_count;
    size_t item_capacity;
    uint32_t main_file;   // source id of the file that was asked for
} qn__ast;

// NULL when out of memory.
qn__ast *qn__ast_create(qn__arena *arena, qn__names *names);

// Adds a node with these children; 0 when out of memory (which the arena remembers).
qn__node_id qn__ast_add(qn__ast *ast, qn__ast_node node, const qn__node_id *children, size_t count);

static inline const qn__ast_node *qn__ast_get(const qn__ast *ast, qn__node_id id) { return &ast->nodes[id]; }

static inline qn__node_id qn__ast_child(const qn__ast *ast, qn__node_id id, uint32_t index) {
    return ast->children[ast->nodes[id].child_begin + index];
}

static inline uint32_t qn__ast_count(const qn__ast *ast, qn__node_id id) { return ast->nodes[id].child_count; }

static inline qn__ast_kind qn__ast_kind_of(const qn__ast *ast, qn__node_id id) {
    return (qn__ast_kind)ast->nodes[id].kind;
}

// Where the node's name stands (PARAM x: the x alone); the node's span for kinds without a name.
qn__span qn__ast_name_span(const qn__ast *ast, qn__node_id id);

const char *qn__ast_kind_name(qn__ast_kind kind);
qn__ast_node_class qn__ast_class_of(qn__ast_kind kind);
const char *qn__ast_unary_text(qn__ast_unary op);
const char *qn__ast_binary_text(qn__ast_binary op);
int qn__ast_binary_precedence(qn__ast_binary op);
const char *qn__ast_assign_text(qn__ast_assign op);
const char *qn__ast_reduction_text(qn__ast_reduction op);
const char *qn__ast_edge_text(qn__ast_edge edge);
const char *qn__ast_class_text(qn__ast_class c);

#endif
