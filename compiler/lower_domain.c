/* Domains of stages: ranges of indices, the regions of parallel operations, the check that a written domain stays
 * inside the array that it writes, and the temporary arrays that keep value semantics. */
#include "compiler/lower_private.h"

/* ---- ranges ---- */

uint32_t qn__lower_range_variable(const qn__lowering *l, qn__node_id range) {
    const qn__typed_node *n = qn__lower_node(l, range);
    if (n->meaning == QN__MEANS_INDEX && n->ref < l->typed->index_count) return l->typed->indices[n->ref].variable;
    return n->meaning == QN__MEANS_VARIABLE ? n->ref : QN__NO_REF;
}

void qn__lower_index_range(qn__lowering *l, uint32_t index, qn__value *lo, qn__value *hi) {
    *lo = *hi = 0;
    if (index >= l->typed->index_count) {
        qn__lower_internal(l, l->typed->item.node, "an index that is not there");
        return;
    }
    const qn__typed_index *i = &l->typed->indices[index];
    if (i->kind == QN__RANGE_WRITTEN) {
        *lo = qn__lower_index_value(l, i->begin);
        *hi = qn__lower_index_value(l, i->end);
        return;
    }
    const uint32_t array = i->array < l->typed->variable_count ? l->variables[i->array].array : QN__NO_REF;
    if (array == QN__NO_REF) {
        qn__lower_internal(l, l->typed->item.node, "the range of an array that is not there");
        return;
    }
    *lo = qn__build_i64(&l->b, 0);
    *hi = l->ir->arrays[array].extent[i->dimension];
}

void qn__lower_bind_index(qn__lowering *l, uint32_t variable, qn__value iv, qn__value lo, qn__value hi) {
    if (variable >= l->typed->variable_count) {
        qn__lower_internal(l, l->typed->item.node, "an index without a variable");
        return;
    }
    uint64_t bits = 1;
    l->slots[variable] = iv;
    qn__lower_note_value(l, variable);
    l->variables[variable].from_zero = qn__is_const(l->ir, lo, &bits) && !bits;
    l->variables[variable].end = hi;
}

void qn__lower_domain_of(qn__lowering *l, const qn__typed_stage *stage, qn__lower_domain *domain) {
    *domain = (qn__lower_domain){.rank = stage->index_count};
    if (stage->index_count > QN__MAX_RANK) {
        qn__lower_internal(l, stage->node, "a stage with too many indices");
        domain->rank = 0;
        return;
    }
    for (uint32_t i = 0; i < domain->rank; i++)
        qn__lower_index_range(l, stage->indices[i], &domain->bounds[2 * i], &domain->bounds[2 * i + 1]);
}

void qn__lower_domain_box(qn__lowering *l, uint32_t array, qn__lower_domain *domain) {
    *domain = (qn__lower_domain){0};
    if (l->ir->failed) return;
    domain->rank = l->ir->arrays[array].rank;
    for (uint32_t d = 0; d < domain->rank; d++) {
        domain->bounds[2 * d] = qn__build_i64(&l->b, 0);
        domain->bounds[2 * d + 1] = l->ir->arrays[array].extent[d];
    }
}

/* ---- checks ---- */

static void check_dimension(qn__lowering *l, qn__node_id place, qn__value lo, qn__value hi, qn__value extent) {
    uint64_t begin = 1;
    if (hi == extent && qn__is_const(l->ir, lo, &begin) && !begin) return;
    qn__builder *b = &l->b;
    qn__lower_at(l, place);
    const qn__value zero = qn__build_i64(b, 0);
    const qn__value empty = qn__build_binary(b, QN__OP_GE, lo, hi);
    const qn__value inside = qn__build_binary(b, QN__OP_AND, qn__build_binary(b, QN__OP_GE, lo, zero),
                                              qn__build_binary(b, QN__OP_LE, hi, extent));
    const qn__value last = qn__build_binary(b, QN__OP_SUB, hi, qn__build_i64(b, 1));
    const qn__value culprit = qn__build_select(b, qn__build_binary(b, QN__OP_LT, lo, zero), lo, last);
    qn__lower_check(l, QN__FAULT_DOMAIN, qn__build_binary(b, QN__OP_OR, empty, inside), culprit, extent);
}

void qn__lower_domain_check(qn__lowering *l, uint32_t target, qn__node_id node, uint32_t variable, qn__value lo,
                            qn__value hi) {
    const qn__typed_target *t = &l->typed->targets[target];
    const bool binds = qn__ast_kind_of(l->ast, node) == QN__AST_LET_ARRAY;
    if (qn__ast_kind_of(l->ast, node) != QN__AST_INDEX && !binds) return;
    const uint32_t array = l->variables[t->array].array;
    const qn__node_id list = binds ? qn__lower_child(l, node, QN__LET_ARRAY_INDICES) : node;
    for (uint32_t d = 0; d < qn__ast_count(l->ast, list) && d < QN__MAX_RANK; d++) {
        const qn__node_id subscript = qn__lower_child(l, list, d);
        const qn__ast_kind kind = qn__ast_kind_of(l->ast, subscript);
        const qn__typed_node *n = qn__lower_node(l, subscript);
        if ((kind != QN__AST_NAME && kind != QN__AST_BINDING) || n->meaning != QN__MEANS_VARIABLE || n->ref != variable)
            continue;
        if (!(qn__lower_node(l, node)->flags & QN__UNCHECKED))
            check_dimension(l, subscript, lo, hi, l->ir->arrays[array].extent[d]);
        l->checked_dims[target] |= (uint8_t)(1u << d);
    }
}

/* ---- parallel regions ---- */

void qn__lower_points_begin(qn__lowering *l, qn__lower_region *r, const qn__typed_stage *stage,
                            const qn__lower_domain *domain) {
    qn__type types[QN__MAX_RANK];
    for (uint32_t i = 0; i < domain->rank; i++) types[i] = QN__TYPE_I64;
    r->region = qn__lower_open(l, types, domain->rank, &r->outer);
    l->points++;
    for (uint32_t i = 0; i < domain->rank; i++) {
        const qn__value iv = qn__region_param(l->ir, r->region, i);
        qn__lower_mark(l, iv);
        if (stage)
            qn__lower_bind_index(l, l->typed->indices[stage->indices[i]].variable, iv, domain->bounds[2 * i],
                                 domain->bounds[2 * i + 1]);
    }
}

void qn__lower_points_end(qn__lowering *l, qn__lower_region *r) {
    qn__build_yield(&l->b, NULL, 0);
    qn__lower_close(l, &r->outer);
    l->points--;
}

void qn__lower_parallel(qn__lowering *l, const qn__lower_domain *domain, qn__region_ref region) {
    qn__build(&l->b, QN__OP_PARALLEL, domain->bounds, 2 * domain->rank, NULL, 0, &region, 1, domain->rank);
}

/* ---- whole arrays ---- */

typedef enum whole { COPY, CONVERT, NEUTRAL } whole;

/* A stage that writes all of `to`: from the same element of `from`, or with op's neutral element. */
static void write_whole(qn__lowering *l, whole what, uint32_t to, uint32_t from, qn__op op) {
    if (l->ir->failed) return;
    qn__lower_domain domain;
    qn__lower_region r = {0};
    qn__value index[QN__MAX_RANK] = {0}, value;
    const qn__type type = (qn__type)l->ir->arrays[to].type;
    qn__lower_domain_box(l, to, &domain);
    if (domain.rank) qn__lower_points_begin(l, &r, NULL, &domain);
    for (uint32_t d = 0; d < domain.rank; d++) index[d] = qn__region_param(l->ir, r.region, d);
    if (what == NEUTRAL)
        value = qn__lower_neutral(l, op, type);
    else
        value = qn__build_load(&l->b, from, index, domain.rank);
    if (what == CONVERT) value = qn__lower_cast(l, value, type);
    qn__build_store(&l->b, to, index, domain.rank, value);
    if (!domain.rank) return;
    qn__lower_points_end(l, &r);
    qn__lower_parallel(l, &domain, r.region);
}

void qn__lower_fill(qn__lowering *l, uint32_t variable, qn__op op) {
    if (l->variables[variable].array != QN__NO_REF) write_whole(l, NEUTRAL, l->variables[variable].array, 0, op);
}

/* A temporary array with the extents of another. */
static uint32_t like(qn__lowering *l, uint32_t array, qn__type type) {
    const qn__array *model = &l->ir->arrays[array];
    const uint32_t rank = model->rank, made = qn__ir_array(l->ir, model->name, type, rank, QN__ARRAY_TEMP);
    if (l->ir->failed) return QN__NO_REF;
    for (uint32_t d = 0; d < rank; d++) l->ir->arrays[made].extent[d] = l->ir->arrays[array].extent[d];
    qn__build(&l->b, QN__OP_ALLOC, l->ir->arrays[made].extent, rank, NULL, 0, NULL, 0, made);
    return made;
}

void qn__lower_copies(qn__lowering *l, const qn__typed_stage *stage) {
    for (uint32_t i = 0; i < stage->target_count; i++) {
        const qn__typed_target *t = &l->typed->targets[stage->first_target + i];
        if (t->array == QN__NO_REF || (!t->copy && (!stage->fill || t->initialises))) continue;
        qn__lower_variable *v = &l->variables[t->array];
        if (v->copy != QN__NO_REF || v->array == QN__NO_REF) continue;
        const uint32_t copy = like(l, v->array, (qn__type)l->typed->variables[t->array].type);
        if (copy == QN__NO_REF) return;
        write_whole(l, COPY, copy, v->array, QN__OP_ADD);
        v->copy = copy;
    }
}

void qn__lower_copies_end(qn__lowering *l, const qn__typed_stage *stage) {
    for (uint32_t i = 0; i < stage->target_count; i++) {
        const uint32_t array = l->typed->targets[stage->first_target + i].array;
        if (array != QN__NO_REF) l->variables[array].copy = QN__NO_REF;
    }
}

void qn__lower_sums(qn__lowering *l, const qn__typed_stage *stage) {
    for (uint32_t i = 0; i < stage->target_count; i++) {
        const qn__typed_target *t = &l->typed->targets[stage->first_target + i];
        if (t->array == QN__NO_REF || !t->scatter) continue;
        const qn__type type = (qn__type)l->typed->variables[t->array].type;
        qn__lower_variable *v = &l->variables[t->array];
        if (qn__lower_wide(type) == type || v->sums != QN__NO_REF || v->array == QN__NO_REF) continue;
        const uint32_t sums = like(l, v->array, qn__lower_wide(type));
        if (sums == QN__NO_REF) return;
        write_whole(l, CONVERT, sums, v->array, QN__OP_ADD);
        v->sums = sums;
    }
}

void qn__lower_sums_end(qn__lowering *l, const qn__typed_stage *stage) {
    for (uint32_t i = 0; i < stage->target_count; i++) {
        const uint32_t array = l->typed->targets[stage->first_target + i].array;
        if (array == QN__NO_REF || l->variables[array].sums == QN__NO_REF) continue;
        write_whole(l, CONVERT, l->variables[array].array, l->variables[array].sums, QN__OP_ADD);
        l->variables[array].sums = QN__NO_REF;
    }
}
