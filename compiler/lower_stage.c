/* Assignments, let arrays and for-blocks at kernel level, each a parallel operation over its domain.
 *
 * Order of what is emitted: allocation (let), bounds, checks of the domain, copies for value semantics, neutral
 * elements for first scatters, the parallel operation. With an `else` the operation has two regions: over the written
 * box, and over the rest. */
#include "compiler/lower_private.h"

#include <string.h>

/* ---- operators ---- */

qn__op qn__lower_assign_op(qn__ast_assign op) {
    switch (op) {
    case QN__ASSIGN_OP_SUBTRACT: return QN__OP_SUB;
    case QN__ASSIGN_OP_MULTIPLY: return QN__OP_MUL;
    case QN__ASSIGN_OP_MIN: return QN__OP_MIN;
    case QN__ASSIGN_OP_MAX: return QN__OP_MAX;
    case QN__ASSIGN_OP_AND:
    case QN__ASSIGN_OP_BIT_AND: return QN__OP_AND;
    case QN__ASSIGN_OP_OR:
    case QN__ASSIGN_OP_BIT_OR: return QN__OP_OR;
    case QN__ASSIGN_OP_ADD:
    case QN__ASSIGN_OP_SET:
    case QN__ASSIGN_OPS: break;
    }
    return QN__OP_ADD;
}

static qn__op op_of(const qn__lowering *l, qn__node_id assign) {
    const bool is_assign = qn__ast_kind_of(l->ast, assign) == QN__AST_ASSIGN;
    return qn__lower_assign_op(is_assign ? (qn__ast_assign)qn__ast_get(l->ast, assign)->op : QN__ASSIGN_OP_SET);
}

qn__value qn__lower_combined(qn__lowering *l, qn__node_id assign, uint32_t target, const qn__lower_place *place,
                             qn__value value, bool product) {
    const qn__typed_target *t = &l->typed->targets[target];
    if (!t->combine || l->ir->failed) return value;
    const qn__op op = op_of(l, assign);
    const qn__value old = l->fresh[target] ? qn__lower_neutral(l, op, (qn__type)l->typed->variables[t->array].type)
                                           : qn__lower_place_load(l, place);
    const bool fuses = product && (op == QN__OP_ADD || op == QN__OP_SUB);
    return qn__lower_binary(l, op, old, value, fuses ? QN__FUSE_RIGHT : 0);
}

/* ---- temporaries ---- */

static qn__value extent_value(qn__lowering *l, qn__node_id node, const qn__typed_extent *e) {
    qn__value lo = 0, hi = 0;
    switch ((qn__extent_kind)e->kind) {
    case QN__EXTENT_CONSTANT: return qn__build_i64(&l->b, e->value);
    case QN__EXTENT_NODE: return qn__lower_index_value(l, e->node);
    case QN__EXTENT_OF:
        if (e->array < l->typed->variable_count && l->variables[e->array].array != QN__NO_REF)
            return l->ir->arrays[l->variables[e->array].array].extent[e->dimension];
        break;
    case QN__EXTENT_SPAN:
        qn__lower_index_range(l, e->array, &lo, &hi);
        qn__lower_at(l, node);
        return qn__build_binary(&l->b, QN__OP_MAX, qn__build_binary(&l->b, QN__OP_SUB, hi, lo),
                                qn__build_i64(&l->b, 0));
    case QN__EXTENT_KEPT: return 0;
    }
    qn__lower_internal(l, node, "an extent of nothing");
    return 0;
}

void qn__lower_declare_array(qn__lowering *l, qn__node_id node, uint32_t variable) {
    if (variable >= l->typed->variable_count || l->typed->variables[variable].kind != QN__VARIABLE_TEMP) {
        qn__lower_internal(l, node, "a declaration of no array");
        return;
    }
    const qn__typed_variable *v = &l->typed->variables[variable];
    qn__value extents[QN__MAX_RANK] = {0};
    for (uint32_t d = 0; d < v->rank; d++) extents[d] = extent_value(l, node, &v->extent[d]);
    const uint32_t array = qn__ir_array(l->ir, v->name, (qn__type)v->type, v->rank, QN__ARRAY_TEMP);
    if (l->ir->failed) return;
    memcpy(l->ir->arrays[array].extent, extents, sizeof extents);
    l->variables[variable].array = array;
    const bool kept = v->rank && v->extent[0].kind == QN__EXTENT_KEPT;
    qn__lower_at(l, node);
    if (!kept) qn__build(&l->b, QN__OP_ALLOC, extents, v->rank, NULL, 0, NULL, 0, array);
}

/* ---- points ---- */

static bool targets_are_sane(qn__lowering *l, const qn__typed_stage *stage) {
    bool ok = stage->target_count <= QN__LOWER_RESULTS && stage->first_target <= l->typed->target_count &&
              stage->target_count <= l->typed->target_count - stage->first_target;
    for (uint32_t i = 0; ok && i < stage->target_count; i++) {
        const uint32_t array = l->typed->targets[stage->first_target + i].array;
        ok = array == QN__NO_REF || (array < l->typed->variable_count && l->variables[array].array != QN__NO_REF);
    }
    if (!ok) qn__lower_internal(l, stage->node, "a stage without targets");
    return ok;
}

void qn__lower_target_place(qn__lowering *l, uint32_t target, qn__lower_place *place) {
    const qn__typed_target *t = &l->typed->targets[target];
    if (qn__ast_kind_of(l->ast, t->node) != QN__AST_LET_ARRAY) {
        qn__lower_place_of(l, t->node, t->array, false, l->checked_dims[target], place);
        return;
    }
    const qn__node_id list = qn__lower_child(l, t->node, QN__LET_ARRAY_INDICES);
    *place = (qn__lower_place){.variable = t->array, .node = t->node, .rank = qn__ast_count(l->ast, list)};
    for (uint32_t d = 0; d < place->rank && d < QN__MAX_RANK; d++) {
        const uint32_t variable = qn__lower_node(l, qn__lower_child(l, list, d))->ref;
        place->index[d] = variable < l->typed->variable_count ? l->slots[variable] : 0;
    }
}

/* Writes one value per target. All subscripts come before the first store. */
static void write_targets(qn__lowering *l, qn__node_id assign, uint32_t first, uint32_t count, const qn__value *values,
                          qn__node_id list) {
    qn__lower_place *places = QN__ARENA_ARRAY(l->arena, qn__lower_place, count);
    qn__value *combined = QN__ARENA_ARRAY(l->arena, qn__value, count);
    if (!places || !combined) {
        l->ir->failed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const qn__typed_target *t = &l->typed->targets[first + i];
        const bool product = list && qn__lower_list_product(l, list, i, count);
        combined[i] = values[i];
        if (t->array == QN__NO_REF) continue;
        qn__lower_target_place(l, first + i, &places[i]);
        if (list && !t->scatter) combined[i] = qn__lower_combined(l, assign, first + i, &places[i], values[i], product);
    }
    qn__lower_at(l, assign);
    for (uint32_t i = 0; i < count && !l->ir->failed; i++) {
        const qn__typed_target *t = &l->typed->targets[first + i];
        if (t->array == QN__NO_REF)
            l->slots[t->variable] = combined[i];
        else if (t->scatter && list)
            qn__lower_place_accumulate(l, &places[i], op_of(l, assign), values[i]);
        else
            qn__lower_place_store(l, &places[i], combined[i]);
    }
}

void qn__lower_target_assign(qn__lowering *l, qn__node_id node) {
    const uint32_t first = qn__lower_node(l, node)->ref;
    const qn__node_id list = qn__lower_child(l, node, QN__ASSIGN_VALUES);
    const uint32_t count = qn__ast_count(l->ast, qn__lower_child(l, node, QN__ASSIGN_TARGETS));
    qn__value values[QN__LOWER_RESULTS] = {0};
    if (count > QN__LOWER_RESULTS || first + count > l->typed->target_count) {
        qn__lower_internal(l, node, "an assignment to too many targets");
        return;
    }
    qn__lower_list(l, list, values, count);
    for (uint32_t i = 0; i < count; i++) {
        const qn__typed_target *t = &l->typed->targets[first + i];
        if (t->array != QN__NO_REF || !t->combine) continue;
        const bool product = qn__lower_list_product(l, list, i, count);
        const qn__op op = op_of(l, node);
        const bool fuses = product && (op == QN__OP_ADD || op == QN__OP_SUB);
        values[i] = qn__lower_binary(l, op, l->slots[t->variable], values[i], fuses ? QN__FUSE_RIGHT : 0);
    }
    write_targets(l, node, first, count, values, list);
}

/* ---- stages of points ---- */

/* The list of values of an assignment; a let array has one value. */
static void point_values(qn__lowering *l, const qn__typed_stage *stage, qn__value *values, qn__node_id *list) {
    const bool is_let = qn__ast_kind_of(l->ast, stage->node) == QN__AST_LET_ARRAY;
    *list = is_let ? 0 : qn__lower_child(l, stage->node, QN__ASSIGN_VALUES);
    if (is_let)
        values[0] = qn__lower_expression(l, qn__lower_child(l, stage->node, QN__LET_ARRAY_VALUE));
    else
        qn__lower_list(l, *list, values, stage->target_count);
}

static void otherwise_values(qn__lowering *l, const qn__typed_stage *stage, qn__value *values) {
    values[0] = qn__lower_expression(l, stage->otherwise);
    for (uint32_t i = 1; i < stage->target_count; i++) values[i] = values[0];
}

static qn__region_ref point_region(qn__lowering *l, const qn__typed_stage *stage, const qn__lower_domain *domain,
                                   bool otherwise) {
    qn__lower_region r;
    qn__value values[QN__LOWER_RESULTS] = {0};
    qn__node_id list = 0;
    qn__lower_points_begin(l, &r, stage, domain);
    if (qn__ast_kind_of(l->ast, stage->node) == QN__AST_FOR_BLOCK) {
        qn__lower_block(l, qn__lower_child(l, stage->node, QN__FOR_BLOCK_BODY));
    } else {
        if (otherwise)
            otherwise_values(l, stage, values);
        else
            point_values(l, stage, values, &list);
        write_targets(l, stage->node, stage->first_target, stage->target_count, values, list);
    }
    qn__lower_at(l, stage->node);
    qn__lower_points_end(l, &r);
    return r.region;
}

/* `else` of a statement whose subscripts are not all plain indices: every element takes it first. */
static void fill_otherwise(qn__lowering *l, const qn__typed_stage *stage) {
    for (uint32_t i = 0; i < stage->target_count && !l->ir->failed; i++) {
        const uint32_t array = l->variables[l->typed->targets[stage->first_target + i].array].array;
        qn__lower_domain box;
        qn__lower_region r;
        qn__value index[QN__MAX_RANK] = {0};
        qn__lower_domain_box(l, array, &box);
        qn__lower_points_begin(l, &r, NULL, &box);
        for (uint32_t d = 0; d < box.rank; d++) index[d] = qn__region_param(l->ir, r.region, d);
        const qn__value value = qn__lower_expression(l, stage->otherwise);
        qn__build_store(&l->b, array, index, box.rank, value);
        qn__lower_points_end(l, &r);
        qn__lower_parallel(l, &box, r.region);
    }
}

static void check_domain(qn__lowering *l, const qn__typed_stage *stage, const qn__lower_domain *domain, uint32_t first,
                         uint32_t count) {
    for (uint32_t k = 0; k < count; k++) {
        const qn__typed_target *t = &l->typed->targets[first + k];
        for (uint32_t i = 0; i < domain->rank && t->array != QN__NO_REF; i++)
            qn__lower_domain_check(l, first + k, t->node, l->typed->indices[stage->indices[i]].variable,
                                   domain->bounds[2 * i], domain->bounds[2 * i + 1]);
    }
}

/* Only assignments that every point executes: those that stand directly in the block. */
static void check_block_domain(qn__lowering *l, const qn__typed_stage *stage, const qn__lower_domain *domain) {
    const qn__node_id body = qn__lower_child(l, stage->node, QN__FOR_BLOCK_BODY);
    for (uint32_t i = 0; i < qn__ast_count(l->ast, body); i++) {
        const qn__node_id statement = qn__lower_child(l, body, i);
        const qn__typed_node *n = qn__lower_node(l, statement);
        if (qn__ast_kind_of(l->ast, statement) != QN__AST_ASSIGN || n->meaning != QN__MEANS_TARGET) continue;
        check_domain(l, stage, domain, n->ref,
                     qn__ast_count(l->ast, qn__lower_child(l, statement, QN__ASSIGN_TARGETS)));
    }
}

/* The ASSIGN that a target belongs to: in a for-block, found by looking for it. */
static qn__op target_op(const qn__lowering *l, qn__node_id node, uint32_t target) {
    if (qn__ast_kind_of(l->ast, node) == QN__AST_ASSIGN) {
        const qn__typed_node *n = qn__lower_node(l, node);
        const uint32_t count = qn__ast_count(l->ast, qn__lower_child(l, node, QN__ASSIGN_TARGETS));
        if (n->meaning == QN__MEANS_STAGE) return op_of(l, node);
        if (n->meaning == QN__MEANS_TARGET && target >= n->ref && target - n->ref < count) return op_of(l, node);
        return QN__OP_COUNT;
    }
    for (uint32_t i = 0; i < qn__ast_count(l->ast, node); i++) {
        const qn__node_id child = qn__lower_child(l, node, i);
        const qn__op op = child ? target_op(l, child, target) : QN__OP_COUNT;
        if (op != QN__OP_COUNT) return op;
    }
    return QN__OP_COUNT;
}

/* Does the only target of an assignment take every element of its array, each once? */
static bool covers(const qn__lowering *l, const qn__typed_stage *stage, const qn__lower_domain *domain) {
    const qn__typed_target *t = &l->typed->targets[stage->first_target];
    if (qn__ast_kind_of(l->ast, stage->node) != QN__AST_ASSIGN || stage->target_count != 1 || t->scatter) return false;
    const uint32_t array = l->variables[t->array].array, rank = l->typed->variables[t->array].rank;
    for (uint32_t d = 0; d < rank; d++) {
        const qn__node_id subscript = qn__lower_child(l, t->node, d);
        const qn__typed_node *n = qn__lower_node(l, subscript);
        bool whole = false;
        for (uint32_t i = 0; i < domain->rank && n->meaning == QN__MEANS_VARIABLE; i++) {
            uint64_t begin = 1;
            if (l->typed->indices[stage->indices[i]].variable != n->ref) continue;
            whole = qn__is_const(l->ir, domain->bounds[2 * i], &begin) && !begin &&
                    domain->bounds[2 * i + 1] == l->ir->arrays[array].extent[d];
        }
        if (!whole || qn__ast_kind_of(l->ast, subscript) != QN__AST_NAME) return false;
    }
    return true;
}

/* What is combined before it has a value starts at the neutral element: stored before, unless each element is written
 * once. */
static void fill_neutral(qn__lowering *l, const qn__typed_stage *stage, const qn__lower_domain *domain) {
    for (uint32_t i = 0; i < stage->target_count && !l->ir->failed; i++) {
        const uint32_t target = stage->first_target + i;
        const qn__typed_target *t = &l->typed->targets[target];
        if (t->array == QN__NO_REF || !t->combine || !t->initialises) continue;
        l->fresh[target] = covers(l, stage, domain);
        bool again = false; /* a former target of this stage is the same array */
        for (uint32_t k = 0; k < i; k++) again |= l->typed->targets[stage->first_target + k].array == t->array;
        if (!again && !l->fresh[target]) qn__lower_fill(l, t->array, target_op(l, stage->node, target));
    }
}

static void two_boxes(qn__lowering *l, const qn__lower_domain *outer, const qn__lower_domain *inner,
                      qn__region_ref inside, qn__region_ref outside) {
    const uint32_t count = 2 * outer->rank;
    const qn__region_ref regions[2] = {inside, outside};
    qn__value bounds[4 * QN__MAX_RANK] = {0};
    memcpy(bounds, outer->bounds, count * sizeof *bounds);
    memcpy(bounds + count, inner->bounds, count * sizeof *bounds);
    qn__build(&l->b, QN__OP_PARALLEL, bounds, 2 * count, NULL, 0, regions, 2, outer->rank);
}

/* With an `else`: the written box and the rest. With edges: the interior and the border. */
static void points_operation(qn__lowering *l, const qn__typed_stage *stage, const qn__lower_domain *domain) {
    qn__lower_domain other;
    if (stage->otherwise && !stage->fill) {
        const qn__region_ref inside = point_region(l, stage, domain, false);
        qn__lower_domain_box(l, l->variables[l->typed->targets[stage->first_target].array].array, &other);
        if (other.rank != domain->rank)
            qn__lower_internal(l, stage->node, "an else beside subscripts that are no indices");
        two_boxes(l, &other, domain, inside, point_region(l, stage, &other, true));
    } else if (qn__lower_interior(l, stage, domain, &other)) {
        l->interior = stage;
        const qn__region_ref inside = point_region(l, stage, domain, false);
        l->interior = NULL;
        two_boxes(l, domain, &other, inside, point_region(l, stage, domain, false));
    } else {
        qn__lower_parallel(l, domain, point_region(l, stage, domain, false));
    }
}

static void lower_points(qn__lowering *l, const qn__typed_stage *stage) {
    const qn__ast_kind kind = qn__ast_kind_of(l->ast, stage->node);
    if (kind == QN__AST_LET_ARRAY)
        qn__lower_declare_array(l, stage->node, l->typed->targets[stage->first_target].array);
    if (!targets_are_sane(l, stage)) return;
    qn__lower_domain domain;
    qn__lower_domain_of(l, stage, &domain);
    if (kind == QN__AST_FOR_BLOCK)
        check_block_domain(l, stage, &domain);
    else
        check_domain(l, stage, &domain, stage->first_target, stage->target_count);
    qn__lower_at(l, stage->node);
    qn__lower_copies(l, stage);
    fill_neutral(l, stage, &domain);
    qn__lower_sums(l, stage);
    if (stage->otherwise && stage->fill) fill_otherwise(l, stage);
    if (l->ir->failed) return;

    points_operation(l, stage, &domain);
    qn__lower_sums_end(l, stage);
    qn__lower_copies_end(l, stage);
}

/* Without indices: scalars of the kernel, or single elements. */
static void lower_scalars(qn__lowering *l, const qn__typed_stage *stage) {
    if (!targets_are_sane(l, stage)) return;
    const qn__node_id list = qn__lower_child(l, stage->node, QN__ASSIGN_VALUES);
    const qn__lower_domain none = {0};
    qn__value values[QN__LOWER_RESULTS] = {0};
    qn__lower_list(l, list, values, stage->target_count);
    qn__lower_at(l, stage->node);
    fill_neutral(l, stage, &none);
    if (stage->otherwise && stage->fill) fill_otherwise(l, stage);
    write_targets(l, stage->node, stage->first_target, stage->target_count, values, list);
}

void qn__lower_stage(qn__lowering *l, qn__node_id node) {
    const qn__typed_node *n = qn__lower_node(l, node);
    if (n->meaning != QN__MEANS_STAGE || n->ref >= l->typed->stage_count) {
        qn__lower_internal(l, node, "a statement without a stage");
        return;
    }
    const qn__typed_stage *stage = &l->typed->stages[n->ref];
    switch ((qn__stage_kind)stage->kind) {
    case QN__STAGE_POINTS:
    case QN__STAGE_SCATTER: lower_points(l, stage); break;
    case QN__STAGE_KEEP: qn__lower_keep(l, stage); break;
    case QN__STAGE_SCAN: qn__lower_scan(l, stage); break;
    case QN__STAGE_SCALAR: lower_scalars(l, stage); break;
    }
}
