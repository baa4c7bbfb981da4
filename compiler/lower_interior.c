/* Stages that read over an edge are split into an interior, where no subscript needs to be mapped, and a border.
 *
 * A subscript is followed when it is an index of the stage plus something between two constants: constants, indices of
 * reductions and loops with constant ranges, their sums, differences and products with constants. The interior is the
 * box of all points for which every such subscript of every array with an edge is inside. Both regions compute the same
 * values. */
#include "compiler/lower_private.h"

enum {
    OFFSET_LIMIT = 1 << 20, /* larger offsets are no stencils, and sums of smaller ones cannot overflow */
    NODE_LIMIT = 4000,      /* the statement is lowered twice: not for a giant */
    FOLLOW_DEPTH = 64
};

/* What a subscript is: `variable` (an index of the stage, or QN__NO_REF) plus low .. high. */
typedef struct form {
    uint32_t variable;
    int64_t low, high;
} form;

static bool is_stage_index(const qn__lowering *l, const qn__typed_stage *stage, uint32_t variable) {
    for (uint32_t i = 0; i < stage->index_count; i++)
        if (l->typed->indices[stage->indices[i]].variable == variable) return true;
    return false;
}

static bool constant_node(const qn__lowering *l, qn__node_id node, int64_t *value) {
    const qn__typed_node *n = node ? qn__lower_node(l, node) : NULL;
    if (!n || n->meaning != QN__MEANS_CONSTANT || n->type != QN__TYPE_I64) return false;
    *value = (int64_t)n->bits;
    return *value >= -OFFSET_LIMIT && *value <= OFFSET_LIMIT;
}

/* The extent of a dimension of a parameter, where the signature has a number. */
static bool constant_extent(const qn__lowering *l, uint32_t array, uint32_t dimension, int64_t *value) {
    if (array >= l->typed->signature->parameter_count) return false;
    const qn__parameter *p = &l->typed->signature->parameters[array];
    const qn__dim *dim = &l->typed->signature->dims[p->dim[dimension]];
    *value = dim->value;
    return dim->op == QN__DIM_CONST && dim->value <= OFFSET_LIMIT;
}

static bool follow(const qn__lowering *l, const qn__typed_stage *stage, qn__node_id node, uint32_t depth, form *f);

static bool constant_bound(const qn__lowering *l, const qn__typed_stage *stage, qn__node_id node, uint32_t depth, int64_t *value) {
    form f;
    if (!node || !follow(l, stage, node, depth, &f) || f.variable != QN__NO_REF || f.low != f.high) return false;
    *value = f.low;
    return true;
}

/* An index of a reduction or loop whose range is constant. */
static bool constant_range(const qn__lowering *l, const qn__typed_stage *stage, uint32_t variable, uint32_t depth, form *f) {
    for (uint32_t i = 0; i < l->typed->index_count; i++) {
        const qn__typed_index *index = &l->typed->indices[i];
        int64_t begin = 0, end;
        if (index->variable != variable) continue;
        if (index->kind == QN__RANGE_OF
                ? !constant_extent(l, index->array, index->dimension, &end)
                : !constant_bound(l, stage, index->begin, depth, &begin) || !constant_bound(l, stage, index->end, depth, &end))
            return false;
        *f = (form){.variable = QN__NO_REF, .low = begin, .high = end > begin ? end - 1 : begin};
        return true;
    }
    return false;
}

static bool follow_negation(const qn__lowering *l, const qn__typed_stage *stage, qn__node_id node, uint32_t depth, form *f) {
    form a;
    if (qn__ast_get(l->ast, node)->op != QN__UNARY_OP_NEGATE) return false;
    if (!follow(l, stage, qn__lower_child(l, node, QN__UNARY_OPERAND), depth, &a) || a.variable != QN__NO_REF) return false;
    *f = (form){QN__NO_REF, -a.high, -a.low};
    return true;
}

static bool follow_binary(const qn__lowering *l, const qn__typed_stage *stage, qn__node_id node, uint32_t depth,
                          form *f) {
    form a, b;
    if (!follow(l, stage, qn__lower_child(l, node, QN__BINARY_LEFT), depth, &a) ||
        !follow(l, stage, qn__lower_child(l, node, QN__BINARY_RIGHT), depth, &b))
        return false;
    const bool both = a.variable != QN__NO_REF && b.variable != QN__NO_REF;
    switch ((int)qn__ast_get(l->ast, node)->op) {
    case QN__BINARY_OP_ADD:
        *f = (form){a.variable != QN__NO_REF ? a.variable : b.variable, a.low + b.low, a.high + b.high};
        return !both;
    case QN__BINARY_OP_SUBTRACT:
        *f = (form){a.variable, a.low - b.high, a.high - b.low};
        return b.variable == QN__NO_REF;
    case QN__BINARY_OP_MULTIPLY: {
        const form *c = a.low == a.high ? &a : &b, *x = c == &a ? &b : &a;
        if (a.variable != QN__NO_REF || b.variable != QN__NO_REF || c->low != c->high) return false;
        const int64_t p = c->low * x->low, q = c->low * x->high;
        *f = (form){QN__NO_REF, p < q ? p : q, p < q ? q : p};
        return true;
    }
    default: return false;
    }
}

static bool follow(const qn__lowering *l, const qn__typed_stage *stage, qn__node_id node, uint32_t depth, form *f) {
    const qn__typed_node *n = qn__lower_node(l, node);
    int64_t value;
    bool ok = false;
    if (depth >= FOLLOW_DEPTH || n->type != QN__TYPE_I64) return false;
    if (constant_node(l, node, &value)) {
        *f = (form){QN__NO_REF, value, value};
        return true;
    }
    if (qn__ast_kind_of(l->ast, node) == QN__AST_NAME && n->meaning == QN__MEANS_VARIABLE) {
        *f = (form){.variable = n->ref};
        ok = is_stage_index(l, stage, n->ref) || constant_range(l, stage, n->ref, depth + 1, f);
    } else if (qn__ast_kind_of(l->ast, node) == QN__AST_UNARY) {
        ok = follow_negation(l, stage, node, depth + 1, f);
    } else if (qn__ast_kind_of(l->ast, node) == QN__AST_BINARY) {
        ok = follow_binary(l, stage, node, depth + 1, f);
    }
    return ok && f->low >= -OFFSET_LIMIT && f->high <= OFFSET_LIMIT;
}

bool qn__lower_is_interior(const qn__lowering *l, qn__node_id subscript) {
    form f;
    return l->interior && follow(l, l->interior, subscript, 0, &f) && f.variable != QN__NO_REF;
}

/* ---- the box ---- */

typedef struct box {
    const qn__typed_stage *stage;
    qn__lower_domain *inner;
    uint32_t nodes;
    bool needed;
} box;

/* Shrinks the box so that the subscript is inside. */
static void require(qn__lowering *l, box *b, const form *f, qn__value extent) {
    qn__builder *to = &l->b;
    b->needed |= f->low < 0 || f->high > 0;
    for (uint32_t i = 0; i < b->stage->index_count; i++) {
        if (l->typed->indices[b->stage->indices[i]].variable != f->variable) continue;
        qn__value *lo = &b->inner->bounds[2 * i], *hi = &b->inner->bounds[2 * i + 1];
        *lo = qn__build_binary(to, QN__OP_MAX, *lo, qn__build_i64(to, -f->low));
        const qn__value limit = f->high ? qn__build_binary(to, QN__OP_SUB, extent, qn__build_i64(to, f->high)) : extent;
        if (limit != *hi) *hi = qn__build_binary(to, QN__OP_MIN, *hi, limit);
    }
}

static void visit(qn__lowering *l, box *b, qn__node_id node) {
    if (!node || b->nodes++ > NODE_LIMIT) return;
    const qn__typed_node *n = qn__lower_node(l, node);
    for (uint32_t i = 0; i < qn__ast_count(l->ast, node); i++) visit(l, b, qn__lower_child(l, node, i));
    if (qn__ast_kind_of(l->ast, node) != QN__AST_INDEX || n->meaning != QN__MEANS_ARRAY ||
        !(n->flags & QN__EDGE_READ) || n->flags & QN__UNCHECKED || l->variables[n->ref].array == QN__NO_REF)
        return;
    for (uint32_t d = 0; d < qn__ast_count(l->ast, node) && d < QN__MAX_RANK; d++) {
        form f;
        if (!follow(l, b->stage, qn__lower_child(l, node, d), 0, &f) || f.variable == QN__NO_REF) continue;
        require(l, b, &f, l->ir->arrays[l->variables[n->ref].array].extent[d]);
    }
}

bool qn__lower_interior(qn__lowering *l, const qn__typed_stage *stage, const qn__lower_domain *domain,
                        qn__lower_domain *inner) {
    if (stage->otherwise || stage->kind != QN__STAGE_POINTS || !l->typed->signature) return false;
    for (uint32_t i = 0; i < stage->target_count; i++)
        if (l->typed->targets[stage->first_target + i].scatter) return false;
    *inner = *domain;
    box b = {.stage = stage, .inner = inner};
    visit(l, &b, stage->node);
    return b.needed && b.nodes <= NODE_LIMIT;
}
