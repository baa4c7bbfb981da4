/* Elements of arrays and of local arrays.
 *
 * Every subscript is checked with check_index unless it is plainly inside: an index that counts from 0 to the very
 * value that is the dimension's extent, or the checker says so. Whatever else is provable is left to the passes. Edge
 * modes map a subscript into 0 .. extent - 1 by arithmetic, and are checked after it: an array without elements has no
 * edge. A constant edge is a guarded load. */
#include "compiler/lower_private.h"

static uint32_t array_of(const qn__lowering *l, uint32_t variable) {
    if (!l->variables || variable >= l->typed->variable_count) return QN__NO_REF;
    const qn__lower_variable *v = &l->variables[variable];
    return v->copy != QN__NO_REF ? v->copy : v->array;
}

/* A plain index that runs over exactly this extent. */
static bool is_inside(const qn__lowering *l, qn__node_id subscript, qn__value extent) {
    const qn__typed_node *n = qn__lower_node(l, subscript);
    if (qn__ast_kind_of(l->ast, subscript) != QN__AST_NAME || n->meaning != QN__MEANS_VARIABLE || !l->variables)
        return false;
    const qn__lower_variable *v = &l->variables[n->ref];
    return v->from_zero && v->end && v->end == extent;
}

static uint32_t subscripts(qn__lowering *l, qn__node_id node, uint32_t rank, qn__value *index) {
    const uint32_t count = qn__ast_count(l->ast, node);
    if (count != rank || rank > QN__MAX_RANK) {
        qn__lower_internal(l, node, "subscripts that do not fit the array");
        return 0;
    }
    for (uint32_t d = 0; d < rank; d++) index[d] = qn__lower_index_value(l, qn__lower_child(l, node, d));
    return rank;
}

/* ---- edges ---- */

/* a modulo n, never negative for positive n. */
static qn__value floor_mod(qn__lowering *l, qn__value a, qn__value n) {
    qn__builder *b = &l->b;
    const qn__value r = qn__build_binary(b, QN__OP_REM, a, n);
    const qn__value negative = qn__build_binary(b, QN__OP_LT, r, qn__build_i64(b, 0));
    return qn__build_select(b, negative, qn__build_binary(b, QN__OP_ADD, r, n), r);
}

static qn__value clamp(qn__lowering *l, qn__value index, qn__value extent) {
    qn__builder *b = &l->b;
    const qn__value last = qn__build_binary(b, QN__OP_SUB, extent, qn__build_i64(b, 1));
    return qn__build_binary(b, QN__OP_MAX, qn__build_binary(b, QN__OP_MIN, index, last), qn__build_i64(b, 0));
}

/* clamp: the nearest element. wrap: the array repeats. mirror: the array and its mirror image repeat (b a | a b c | c
 * b). */
static qn__value map_subscript(qn__lowering *l, uint8_t edge, qn__value index, qn__value extent) {
    qn__builder *b = &l->b;
    const qn__value one = qn__build_i64(b, 1);
    if (edge == QN__EDGE_CLAMP) return clamp(l, index, extent);
    if (edge == QN__EDGE_WRAP) return floor_mod(l, index, extent);
    const qn__value period = qn__build_binary(b, QN__OP_ADD, extent, extent);
    const qn__value phase = floor_mod(l, index, period);
    const qn__value reflected = qn__build_binary(b, QN__OP_SUB, qn__build_binary(b, QN__OP_SUB, period, one), phase);
    return clamp(l, qn__build_binary(b, QN__OP_MIN, phase, reflected), extent); /* so that the ranges pass sees it */
}

static qn__value both(qn__lowering *l, qn__value a, qn__value c) {
    return a ? qn__build_binary(&l->b, QN__OP_AND, a, c) : c;
}

static qn__value load_or_value(qn__lowering *l, qn__node_id node, uint32_t array, const qn__value *index,
                               const qn__typed_variable *variable) {
    qn__value inside = 0;
    for (uint32_t d = 0; d < variable->rank; d++) {
        const qn__value extent = l->ir->arrays[array].extent[d];
        const qn__node_id subscript = qn__lower_child(l, node, d);
        if (is_inside(l, subscript, extent) || qn__lower_is_interior(l, subscript)) continue;
        inside = both(l, inside, qn__build_binary(&l->b, QN__OP_GE, index[d], qn__build_i64(&l->b, 0)));
        inside = both(l, inside, qn__build_binary(&l->b, QN__OP_LT, index[d], extent));
    }
    if (!inside) return qn__build_load(&l->b, array, index, variable->rank);
    qn__lower_if f;
    qn__value joined = 0;
    qn__lower_if_begin(l, &f, inside, NULL, 0);
    const qn__value element = qn__build_load(&l->b, array, index, variable->rank);
    qn__lower_if_else(l, &f, &element, 1);
    const qn__value other = qn__build_const(&l->b, (qn__type)variable->type, variable->edge_bits);
    qn__lower_if_end(l, &f, &other, &joined);
    return joined;
}

/* ---- arrays ---- */

static void check_subscripts(qn__lowering *l, qn__node_id node, uint32_t array, uint32_t rank, const qn__value *index,
                             uint32_t checked) {
    for (uint32_t d = 0; d < rank; d++) {
        const qn__node_id subscript = qn__lower_child(l, node, d);
        const qn__value extent = l->ir->arrays[array].extent[d];
        if (checked >> d & 1 || is_inside(l, subscript, extent)) continue;
        qn__lower_at(l, subscript);
        qn__build_check_index(&l->b, index[d], extent);
    }
    qn__lower_at(l, node);
}

qn__value qn__lower_load(qn__lowering *l, qn__node_id node) {
    const qn__typed_node *n = qn__lower_node(l, node);
    const uint32_t array = array_of(l, n->ref);
    if (n->meaning != QN__MEANS_ARRAY || array == QN__NO_REF) {
        qn__lower_internal(l, node, "an element of something that is no array");
        return 0;
    }
    const qn__typed_variable *variable = &l->typed->variables[n->ref];
    qn__value index[QN__MAX_RANK] = {0};
    if (!subscripts(l, node, variable->rank, index)) return 0;
    qn__lower_at(l, node);
    uint32_t inside = 0;
    if (n->flags & QN__EDGE_READ && !(n->flags & QN__UNCHECKED)) {
        if (variable->edge == QN__EDGE_VALUE) return load_or_value(l, node, array, index, variable);
        for (uint32_t d = 0; d < variable->rank; d++) {
            const qn__node_id subscript = qn__lower_child(l, node, d);
            const qn__value extent = l->ir->arrays[array].extent[d];
            if (qn__lower_is_interior(l, subscript))
                inside |= 1u << d;
            else if (!is_inside(l, subscript, extent))
                index[d] = map_subscript(l, variable->edge, index[d], extent);
        }
    }
    if (!(n->flags & QN__UNCHECKED)) check_subscripts(l, node, array, variable->rank, index, inside);
    return qn__build_load(&l->b, array, index, variable->rank);
}

/* ---- local arrays ---- */

qn__value qn__lower_local_offset(qn__lowering *l, uint32_t variable, const qn__value *index) {
    const qn__typed_variable *v = &l->typed->variables[variable];
    qn__value offset = index[0];
    for (uint32_t d = 1; d < v->rank; d++) {
        const qn__value extent = qn__build_i64(&l->b, v->extent[d].value);
        offset = qn__build_binary(&l->b, QN__OP_ADD, qn__build_binary(&l->b, QN__OP_MUL, offset, extent), index[d]);
    }
    return offset;
}

static bool is_local(const qn__lowering *l, uint32_t variable) {
    return l->variables && variable < l->typed->variable_count && l->variables[variable].local != QN__NO_REF;
}

static void check_local(qn__lowering *l, qn__node_id node, uint32_t variable, const qn__value *index) {
    const qn__typed_variable *v = &l->typed->variables[variable];
    for (uint32_t d = 0; d < v->rank; d++) {
        uint64_t bits;
        if (qn__is_const(l->ir, index[d], &bits) && bits < (uint64_t)v->extent[d].value) continue;
        qn__lower_at(l, qn__lower_child(l, node, d));
        qn__build_check_index(&l->b, index[d], qn__build_i64(&l->b, v->extent[d].value));
    }
    qn__lower_at(l, node);
}

static qn__value load_local(qn__lowering *l, uint32_t variable, const qn__value *index) {
    const qn__value offset = qn__lower_local_offset(l, variable, index);
    const qn__type type = (qn__type)l->typed->variables[variable].type;
    const qn__instr_ref ref =
        qn__build(&l->b, QN__OP_LOCAL_LOAD, &offset, 1, &type, 1, NULL, 0, l->variables[variable].local);
    return ref ? qn__result(l->ir, ref, 0) : 0;
}

qn__value qn__lower_load_local(qn__lowering *l, qn__node_id node) {
    const uint32_t variable = qn__lower_node(l, node)->ref;
    qn__value index[QN__MAX_RANK] = {0};
    if (!is_local(l, variable)) {
        qn__lower_internal(l, node, "an element of something that is no local array");
        return 0;
    }
    if (!subscripts(l, node, l->typed->variables[variable].rank, index)) return 0;
    check_local(l, node, variable, index);
    return load_local(l, variable, index);
}

/* ---- places ---- */

void qn__lower_place_of(qn__lowering *l, qn__node_id node, uint32_t variable, bool local, uint32_t checked,
                        qn__lower_place *place) {
    *place = (qn__lower_place){.variable = variable, .node = node, .local = local};
    if (local ? !is_local(l, variable) : array_of(l, variable) == QN__NO_REF) {
        qn__lower_internal(l, node, "an assignment to something that has no elements");
        return;
    }
    place->rank = l->typed->variables[variable].rank;
    if (!place->rank) return;
    if (!subscripts(l, node, place->rank, place->index)) return;
    if (local)
        check_local(l, node, variable, place->index);
    else if (!(qn__lower_node(l, node)->flags & QN__UNCHECKED))
        check_subscripts(l, node, l->variables[variable].array, place->rank, place->index, checked);
    qn__lower_at(l, node);
}

qn__value qn__lower_place_load(qn__lowering *l, const qn__lower_place *place) {
    if (l->ir->failed) return 0;
    if (place->local) return load_local(l, place->variable, place->index);
    return qn__build_load(&l->b, l->variables[place->variable].array, place->index, place->rank);
}

void qn__lower_place_store(qn__lowering *l, const qn__lower_place *place, qn__value value) {
    if (l->ir->failed) return;
    if (!place->local) {
        qn__build_store(&l->b, l->variables[place->variable].array, place->index, place->rank, value);
        return;
    }
    const qn__value args[2] = {qn__lower_local_offset(l, place->variable, place->index), value};
    qn__build(&l->b, QN__OP_LOCAL_STORE, args, 2, NULL, 0, NULL, 0, l->variables[place->variable].local);
}

void qn__lower_place_accumulate(qn__lowering *l, const qn__lower_place *place, qn__op op, qn__value value) {
    if (l->ir->failed) return;
    const qn__lower_variable *v = &l->variables[place->variable];
    if (op == QN__OP_SUB) {
        value = qn__lower_op(l, QN__OP_NEG, &value, 1);
        op = QN__OP_ADD;
    }
    qn__value args[QN__MAX_RANK + 1] = {0};
    for (uint32_t d = 0; d < place->rank; d++) args[d] = place->index[d];
    const bool wide = v->sums != QN__NO_REF;
    args[place->rank] = wide ? qn__lower_cast(l, value, QN__TYPE_F32) : value;
    const qn__instr_ref ref =
        qn__build(&l->b, QN__OP_ACCUMULATE, args, place->rank + 1, NULL, 0, NULL, 0, wide ? v->sums : v->array);
    if (ref) l->ir->instrs[ref].aux = (uint8_t)op;
}
