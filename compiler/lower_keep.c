/* keep and scan: the stages whose right side is more than the value of a point. */
#include "compiler/lower_private.h"

/* The value of a statement's right side, which is one expression. */
static qn__node_id right_side(const qn__lowering *l, qn__node_id statement) {
    const qn__ast_kind kind = qn__ast_kind_of(l->ast, statement);
    if (kind == QN__AST_LET_ARRAY) return qn__lower_child(l, statement, QN__LET_ARRAY_VALUE);
    const qn__node_id list = qn__lower_child(l, statement, kind == QN__AST_LET ? QN__LET_VALUES : QN__ASSIGN_VALUES);
    return qn__ast_count(l->ast, list) ? qn__lower_child(l, list, 0) : 0;
}

/* A let declares its targets. */
static bool declare_targets(qn__lowering *l, const qn__typed_stage *stage) {
    const bool is_let = qn__ast_kind_of(l->ast, stage->node) != QN__AST_ASSIGN;
    for (uint32_t i = 0; i < stage->target_count; i++) {
        const uint32_t array = l->typed->targets[stage->first_target + i].array;
        if (is_let && array != QN__NO_REF) qn__lower_declare_array(l, stage->node, array);
        if (array == QN__NO_REF || l->variables[array].array == QN__NO_REF) {
            qn__lower_internal(l, stage->node, "a target that is no array");
            return false;
        }
    }
    return !l->ir->failed;
}

/* ---- keep ---- */

static void keep_point(qn__lowering *l, qn__node_id keep, uint32_t count) {
    const qn__node_id where = qn__lower_child(l, keep, QN__KEEP_WHERE);
    qn__value values[QN__LOWER_RESULTS] = {0};
    qn__lower_if f;
    if (where) {
        const qn__value condition = qn__lower_expression(l, where);
        qn__lower_if_begin(l, &f, condition, NULL, 0);
    }
    qn__lower_list(l, qn__lower_child(l, keep, QN__KEEP_VALUES), values, count);
    qn__lower_at(l, keep);
    qn__build(&l->b, QN__OP_PUSH, values, count, NULL, 0, NULL, 0, 0);
    if (!where) return;
    qn__lower_if_else(l, &f, NULL, 0);
    qn__lower_if_end(l, &f, NULL, NULL);
}

/* The arrays' extent is the number of elements kept; so is the symbol of an output's ?m. */
static void set_kept(qn__lowering *l, uint32_t variable, qn__value count) {
    const qn__typed_variable *v = &l->typed->variables[variable];
    const qn__signature *signature = l->typed->signature;
    l->ir->arrays[l->variables[variable].array].extent[0] = count;
    if (v->kind != QN__VARIABLE_OUTPUT) return;
    const qn__dim *dim = &signature->dims[signature->parameters[v->parameter].dim[0]];
    if (dim->op != QN__DIM_SYMBOL) return;
    for (uint32_t i = 0; i < l->typed->variable_count; i++)
        if (l->typed->variables[i].kind == QN__VARIABLE_SIZE && l->typed->variables[i].symbol == (uint64_t)dim->value)
            l->slots[i] = count;
}

static bool keep_ranges(qn__lowering *l, qn__node_id keep, qn__typed_stage *stage) {
    const qn__node_id list = qn__lower_child(l, keep, QN__KEEP_RANGES);
    stage->index_count = qn__ast_count(l->ast, list);
    stage->indices = QN__ARENA_ARRAY(l->arena, uint32_t, stage->index_count);
    if (!stage->indices) {
        l->ir->failed = true;
        return false;
    }
    for (uint32_t i = 0; i < stage->index_count; i++) {
        stage->indices[i] = qn__lower_node(l, qn__lower_child(l, list, i))->ref;
        if (stage->indices[i] < l->typed->index_count) continue;
        qn__lower_internal(l, keep, "a keep without a range");
        return false;
    }
    return true;
}

void qn__lower_keep(qn__lowering *l, const qn__typed_stage *stage) {
    const qn__node_id keep = right_side(l, stage->node);
    const uint32_t count = stage->target_count;
    if (!keep || qn__ast_kind_of(l->ast, keep) != QN__AST_KEEP || count > QN__LOWER_RESULTS) {
        qn__lower_internal(l, stage->node, "a keep that is not there");
        return;
    }
    uint32_t *list = QN__ARENA_ARRAY(l->arena, uint32_t, count);
    if (!list || !declare_targets(l, stage)) {
        l->ir->failed = true;
        return;
    }
    qn__lower_domain domain;
    qn__typed_stage ranges = *stage; /* the keep's own ranges are the domain */
    if (!keep_ranges(l, keep, &ranges)) return;
    qn__lower_domain_of(l, &ranges, &domain);
    qn__lower_at(l, stage->node);
    qn__lower_copies(l, stage);
    qn__lower_region r;
    qn__lower_points_begin(l, &r, &ranges, &domain);
    keep_point(l, keep, count);
    qn__lower_points_end(l, &r);
    qn__lower_at(l, keep);
    const qn__type type = QN__TYPE_I64;
    const qn__instr_ref ref =
        qn__build(&l->b, QN__OP_KEEP, domain.bounds, 2 * domain.rank, &type, 1, &r.region, 1, domain.rank);
    qn__lower_copies_end(l, stage);
    if (!ref) return;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t variable = l->typed->targets[stage->first_target + i].array;
        list[i] = l->variables[variable].array;
        set_kept(l, variable, qn__result(l->ir, ref, 0));
    }
    l->ir->instrs[ref].list = list;
    l->ir->instrs[ref].list_count = count;
}

/* ---- scan ---- */

typedef struct scan {
    qn__node_id node, value;
    uint32_t target, variable; /* of the scan's index */
    qn__type type;             /* of the accumulated value */
    qn__value lo, hi, init;
} scan;

static bool describe(qn__lowering *l, const qn__typed_stage *stage, scan *s) {
    *s = (scan){.node = right_side(l, stage->node), .target = stage->first_target};
    if (!s->node || qn__ast_kind_of(l->ast, s->node) != QN__AST_SCAN || stage->target_count != 1) return false;
    const qn__typed_node *n = qn__lower_node(l, s->node);
    s->value = qn__lower_child(l, s->node, QN__SCAN_VALUE);
    s->type = (qn__type)n->type;
    if (n->meaning == QN__MEANS_OP || n->flags & QN__THROUGH_F32) s->type = qn__lower_wide(s->type);
    s->variable = qn__lower_range_variable(l, qn__lower_child(l, s->node, QN__SCAN_RANGE));
    return s->variable != QN__NO_REF && s->type != QN__TYPE_NONE;
}

/* Not a whole array: NAME[...] or let NAME[...]. */
static bool is_element(const qn__lowering *l, qn__node_id target) {
    const qn__ast_kind kind = qn__ast_kind_of(l->ast, target);
    return kind == QN__AST_INDEX || kind == QN__AST_LET_ARRAY;
}

/* The index's range, the initial value, and the check that what is written lies inside the target. */
static void scan_head(qn__lowering *l, scan *s) {
    const qn__node_id range = qn__lower_child(l, s->node, QN__SCAN_RANGE),
                      init = qn__lower_child(l, s->node, QN__SCAN_INIT);
    const qn__typed_node *n = qn__lower_node(l, s->node);
    const qn__typed_target *t = &l->typed->targets[s->target];
    qn__lower_index_range(l, qn__lower_node(l, range)->ref, &s->lo, &s->hi);
    qn__lower_at(l, s->node);
    if (init)
        s->init = qn__lower_cast(l, qn__lower_expression(l, init), s->type);
    else
        s->init = qn__lower_neutral(l, n->meaning == QN__MEANS_OP ? (qn__op)n->ref : QN__OP_ADD, s->type);
    qn__lower_at(l, s->node);
    if (l->ir->failed) return;
    if (is_element(l, t->node)) {
        qn__lower_domain_check(l, s->target, t->node, s->variable, s->lo, s->hi);
        return;
    }
    /* the whole array: as many terms as elements */
    const qn__value extent = l->ir->arrays[l->variables[t->array].array].extent[0];
    uint64_t begin = 1;
    const bool known = l->typed->variables[t->array].extent[0].kind == QN__EXTENT_SPAN &&
                       l->typed->variables[t->array].kind == QN__VARIABLE_TEMP;
    if (known || (s->hi == extent && qn__is_const(l->ir, s->lo, &begin) && !begin)) return;
    const qn__value difference = qn__build_binary(&l->b, QN__OP_SUB, s->hi, s->lo);
    const qn__value terms = qn__build_binary(&l->b, QN__OP_MAX, difference, qn__build_i64(&l->b, 0));
    qn__lower_check(l, QN__FAULT_SHAPE, qn__build_binary(&l->b, QN__OP_EQ, terms, extent), terms, extent);
}

static qn__region_ref scan_term(qn__lowering *l, const scan *s) {
    const qn__type type = QN__TYPE_I64;
    qn__builder outer;
    const qn__region_ref region = qn__lower_open(l, &type, 1, &outer);
    const qn__value iv = qn__region_param(l->ir, region, 0);
    qn__lower_mark(l, iv);
    qn__lower_bind_index(l, s->variable, iv, s->lo, s->hi);
    const qn__value term = qn__lower_cast(l, qn__lower_expression(l, s->value), s->type);
    qn__build_yield(&l->b, &term, 1);
    qn__lower_close(l, &outer);
    return region;
}

static qn__region_ref scan_combine(qn__lowering *l, const scan *s) {
    const qn__type types[2] = {s->type, s->type};
    qn__builder outer;
    qn__lower_at(l, s->node);
    const qn__region_ref region = qn__lower_open(l, types, 2, &outer);
    const qn__value a = qn__region_param(l->ir, region, 0), b = qn__region_param(l->ir, region, 1);
    const qn__value both = qn__lower_cast(l, qn__lower_combine(l, s->node, a, b), s->type);
    qn__build_yield(&l->b, &both, 1);
    qn__lower_close(l, &outer);
    return region;
}

static qn__region_ref scan_emit(qn__lowering *l, const qn__typed_stage *stage, const scan *s) {
    const qn__type types[2] = {QN__TYPE_I64, s->type};
    const qn__typed_target *t = &l->typed->targets[s->target];
    qn__builder outer;
    const qn__region_ref region = qn__lower_open(l, types, 2, &outer);
    const qn__value iv = qn__region_param(l->ir, region, 0);
    qn__lower_place place = {.variable = t->array, .node = t->node, .rank = 1};
    qn__lower_bind_index(l, s->variable, iv, s->lo, s->hi);
    uint64_t begin = 1;
    if (is_element(l, t->node))
        qn__lower_target_place(l, s->target, &place);
    else if (qn__is_const(l->ir, s->lo, &begin) && !begin)
        place.index[0] = iv;
    else
        place.index[0] = qn__build_binary(&l->b, QN__OP_SUB, iv, s->lo);
    qn__value value = qn__lower_cast(l, qn__region_param(l->ir, region, 1), (qn__type)qn__lower_node(l, s->node)->type);
    value = qn__lower_combined(l, stage->node, s->target, &place, value, false);
    qn__lower_place_store(l, &place, value);
    qn__build_yield(&l->b, NULL, 0);
    qn__lower_close(l, &outer);
    return region;
}

static void scan_itself(qn__lowering *l, const qn__typed_stage *stage, scan *s) {
    scan_head(l, s);
    if (l->ir->failed) return;
    l->points++;
    const qn__region_ref regions[3] = {scan_term(l, s), scan_combine(l, s), scan_emit(l, stage, s)};
    l->points--;
    qn__lower_at(l, s->node);
    const qn__value args[3] = {s->lo, s->hi, s->init};
    const qn__instr_ref ref = qn__build(&l->b, QN__OP_SCAN, args, 3, NULL, 0, regions, 3, 0);
    if (ref && qn__ast_get(l->ast, s->node)->flags & QN__AST_EXCLUSIVE) l->ir->instrs[ref].flags = QN__EXCLUSIVE;
}

void qn__lower_scan(qn__lowering *l, const qn__typed_stage *stage) {
    scan s;
    if (!describe(l, stage, &s)) {
        qn__lower_internal(l, stage->node, "a scan that does not fit");
        return;
    }
    if (!declare_targets(l, stage)) return;
    qn__lower_domain domain;
    qn__lower_domain_of(l, stage, &domain);
    for (uint32_t i = 0; i < domain.rank; i++)
        qn__lower_domain_check(l, s.target, l->typed->targets[s.target].node,
                               l->typed->indices[stage->indices[i]].variable, domain.bounds[2 * i],
                               domain.bounds[2 * i + 1]);
    qn__lower_at(l, stage->node);
    qn__lower_copies(l, stage);
    if (domain.rank) {
        qn__lower_region r;
        qn__lower_points_begin(l, &r, stage, &domain);
        scan_itself(l, stage, &s);
        qn__lower_points_end(l, &r);
        qn__lower_parallel(l, &domain, r.region);
    } else {
        scan_itself(l, stage, &s);
    }
    qn__lower_copies_end(l, stage);
}
