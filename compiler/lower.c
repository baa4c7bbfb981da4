/* The kernel as a whole: functions first, callees before callers, then the kernel's head and its statements.
 *
 * The head defines what the signature names: a value per size symbol, per scalar parameter, and per dimension;
 * dimensions that are written alike share one value, so that equal extents are equal values. After a defect or a limit
 * ir->failed is set: from then on the builders do nothing and everything here unwinds. */
#include "compiler/lower_private.h"

#include <string.h>

/* ---- errors, depth, places ---- */

static void fail(qn__lowering *l, qn__diagnostic_id id, qn__node_id node, qn__say argument) {
    if (!l->failed) qn__report(l->sink, id, qn__ast_get(l->ast, node)->span, argument);
    l->failed = true;
    l->ir->failed = true;
}

void qn__lower_internal(qn__lowering *l, qn__node_id node, const char *what) {
    if (!l->ir->failed)
        fail(l, QN__DIAG_INTERNAL, node, QN__SAY(what)); /* after a failure values are missing everywhere */
}

void qn__lower_limit(qn__lowering *l, qn__node_id node, const char *what) {
    fail(l, QN__DIAG_PASSES_STOPPED, node, QN__SAY(what));
}

bool qn__lower_enter(qn__lowering *l, qn__node_id node) {
    if (l->ir->failed) return false;
    if (l->depth >= QN__LOWER_DEPTH) {
        fail(l, QN__DIAG_KERNEL_TOO_DEEP, node, QN__SAY_UINT(QN__LOWER_DEPTH));
        return false;
    }
    if (l->ir->instr_count > QN__LOWER_INSTRS) {
        fail(l, QN__DIAG_KERNEL_TOO_LARGE, node, QN__SAY_UINT(QN__LOWER_INSTRS));
        return false;
    }
    l->depth++;
    return true;
}

void qn__lower_leave(qn__lowering *l) {
    l->depth--;
}

void qn__lower_at(qn__lowering *l, qn__node_id node) {
    uint32_t *known = &l->locations[node - l->typed->item.first];
    if (!*known) {
        const qn__span span = qn__ast_get(l->ast, node)->span;
        const qn__source *source = qn__sources_get(l->sources, span.file);
        if (!source) return;
        const qn__position at = qn__source_position(source, span.begin);
        *known = 1 + qn__ir_location(l->ir, source->path, at.line, at.column, span.end - span.begin);
    }
    l->b.location = *known - 1;
}

/* ---- functions ---- */

/* Makes the tables for one function or kernel. */
static bool start(qn__lowering *l, const qn__typed *typed) {
    const uint32_t count = typed->variable_count;
    l->typed = typed;
    l->slots = QN__ARENA_ARRAY(l->arena, qn__value, count + 1);
    l->stamps = QN__ARENA_ARRAY(l->arena, uint32_t, count + 1);
    l->slot_capacity = l->stamp_capacity = (size_t)count + 1;
    l->slot_count = count;
    l->stamp = 0;
    l->variables = QN__ARENA_ARRAY(l->arena, qn__lower_variable, count);
    l->checked_dims = QN__ARENA_ARRAY(l->arena, uint8_t, typed->target_count);
    l->fresh = QN__ARENA_ARRAY(l->arena, bool, typed->target_count);
    l->locations = QN__ARENA_ARRAY(l->arena, uint32_t, (size_t)typed->item.node - typed->item.first + 1);
    l->loop = NULL;
    if (!l->slots || !l->stamps || !l->variables || !l->checked_dims || !l->fresh || !l->locations) return false;
    const qn__lower_variable none = {.array = QN__NO_REF, .copy = QN__NO_REF, .sums = QN__NO_REF, .local = QN__NO_REF};
    for (uint32_t i = 0; i < count; i++) l->variables[i] = none;
    return true;
}

void qn__lower_note_value(qn__lowering *l, uint32_t slot) {
    if (l->in_function || slot >= l->typed->variable_count || slot >= l->slot_count) return;
    const char *name = l->typed->variables[slot].name;
    if (name) qn__ir_name_value(l->ir, l->slots[slot], qn__arena_copy_string(l->ir->arena, name, strlen(name)), l->b.location);
}

uint32_t qn__lower_function(qn__lowering *l, qn__node_id node, uint32_t checked_function) {
    if (!l->functions[checked_function]) {
        qn__lower_internal(l, node, "a call of a function before its code");
        return 0;
    }
    return l->functions[checked_function] - 1;
}

uint32_t qn__lower_extern(qn__lowering *l, uint32_t checked_extern) {
    if (checked_extern >= l->checked->extern_count) {
        qn__lower_internal(l, l->typed->item.node, "an extern function that is not there");
        return 0;
    }
    uint32_t *known = &l->externs[checked_extern];
    const qn__typed_extern *e = &l->checked->externs[checked_extern];
    if (!*known) *known = 1 + qn__ir_extern(l->ir, e->name, e->params, e->param_count, e->result);
    return *known - 1;
}

static bool lower_function(qn__lowering *l, uint32_t checked_function) {
    const qn__typed *typed =
        checked_function < l->checked->function_count ? l->checked->functions[checked_function] : NULL;
    if (!typed || !start(l, typed)) return false;
    qn__type *types = QN__ARENA_ARRAY(l->arena, qn__type, typed->parameter_count);
    if (!types) return false;
    if (typed->result_count > QN__LOWER_RESULTS) {
        qn__lower_internal(l, typed->item.node, "a function with too many results");
        return false;
    }
    for (uint32_t i = 0; i < typed->parameter_count; i++) types[i] = (qn__type)typed->variables[i].type;
    const uint32_t number =
        qn__ir_function(l->ir, typed->name, types, typed->parameter_count, typed->results, typed->result_count);
    if (l->ir->failed) return false;
    const qn__region_ref body = l->ir->functions[number].body;
    l->functions[checked_function] = number + 1;
    l->in_function = true;
    l->b = (qn__builder){.ir = l->ir, .region = body};
    for (uint32_t i = 0; i < typed->parameter_count; i++) l->slots[i] = qn__region_param(l->ir, body, i);
    qn__value values[QN__LOWER_RESULTS] = {0};
    qn__lower_list(l, qn__lower_child(l, typed->item.node, QN__FUNCTION_VALUES), values, typed->result_count);
    qn__lower_at(l, typed->item.node);
    qn__build_yield(&l->b, values, typed->result_count);
    l->in_function = false;
    return !l->ir->failed;
}

/* ---- the kernel's head ---- */

static bool dims_equal(const qn__signature *s, uint32_t a, uint32_t b) {
    const qn__dim *x = &s->dims[a], *y = &s->dims[b];
    if (a == b) return true;
    if (x->op != y->op) return false;
    if (x->op <= QN__DIM_SCALAR) return x->value == y->value;
    return dims_equal(s, x->left, y->left) && dims_equal(s, x->right, y->right);
}

static qn__op dim_op(qn__dim_op op) {
    switch (op) {
    case QN__DIM_ADD: return QN__OP_ADD;
    case QN__DIM_SUB: return QN__OP_SUB;
    case QN__DIM_MUL: return QN__OP_MUL;
    case QN__DIM_DIV: return QN__OP_DIV;
    case QN__DIM_REM: return QN__OP_REM;
    case QN__DIM_MIN: return QN__OP_MIN;
    case QN__DIM_MAX: return QN__OP_MAX;
    case QN__DIM_CONST:
    case QN__DIM_SYMBOL:
    case QN__DIM_SCALAR: break;
    }
    return QN__OP_COUNT;
}

static qn__value scalar_value(qn__lowering *l, uint32_t scalar) {
    const qn__signature *s = l->typed->signature;
    for (uint32_t i = 0; i < s->parameter_count; i++) /* a parameter's variable has its number */
        if (s->parameters[i].kind == QN__PARAMETER_SCALAR && s->parameters[i].index == scalar)
            return qn__lower_cast(l, l->slots[i], QN__TYPE_I64);
    return 0;
}

/* The value of a dimension; 0 where it depends on an existential symbol. values: of the dims so far, 0 for unknown. */
static qn__value dim_value(qn__lowering *l, qn__value *values, uint32_t dim) {
    const qn__signature *s = l->typed->signature;
    const qn__dim *d = &s->dims[dim];
    if (values[dim]) return values[dim];
    for (uint32_t i = 0; i < s->dim_count; i++)
        if (values[i] && dims_equal(s, i, dim)) return values[dim] = values[i];
    if (d->op == QN__DIM_CONST) return values[dim] = qn__build_i64(&l->b, d->value);
    if (d->op == QN__DIM_SCALAR) return values[dim] = scalar_value(l, (uint32_t)d->value);
    if (d->op == QN__DIM_SYMBOL) return values[dim] = l->slots[s->parameter_count + (uint64_t)d->value];
    const qn__value left = dim_value(l, values, d->left), right = dim_value(l, values, d->right);
    if (!left || !right) return 0;
    return values[dim] = qn__build_binary(&l->b, dim_op((qn__dim_op)d->op), left, right);
}

static bool is_array(const qn__parameter *p) {
    return p->rank || p->kind != QN__PARAMETER_SCALAR;
}

static void declare_parameters(qn__lowering *l) {
    static const uint8_t kinds[] = {[QN__PARAMETER_SCALAR] = QN__ARRAY_IN,
                                    [QN__PARAMETER_IN] = QN__ARRAY_IN,
                                    [QN__PARAMETER_INOUT] = QN__ARRAY_INOUT,
                                    [QN__PARAMETER_OUT] = QN__ARRAY_OUT};
    const qn__signature *s = l->typed->signature;
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        const qn__parameter *p = &s->parameters[i];
        const qn__type type = (qn__type)p->type;
        qn__lower_at(l, l->typed->variables[i].node);
        if (is_array(p)) {
            const uint32_t array = qn__ir_array(l->ir, p->name, type, p->rank, (qn__array_kind)kinds[p->kind]);
            l->variables[i].array = array;
            if (array != p->index) qn__lower_internal(l, l->typed->item.node, "arrays numbered differently");
        } else {
            const qn__instr_ref ref = qn__build(&l->b, QN__OP_PARAM, NULL, 0, &type, 1, NULL, 0, p->index);
            l->slots[i] = ref ? qn__result(l->ir, ref, 0) : 0;
        }
    }
}

static void lower_head(qn__lowering *l) {
    const qn__signature *s = l->typed->signature;
    const qn__type i64 = QN__TYPE_I64;
    qn__value *values = QN__ARENA_ARRAY(l->arena, qn__value, s->dim_count);
    if (!values) l->ir->failed = true;
    if (l->typed->variable_count < s->parameter_count + s->symbol_count)
        qn__lower_internal(l, l->typed->item.node, "a signature without variables");
    if (l->ir->failed) return;
    declare_parameters(l);
    for (uint32_t i = 0; i < s->symbol_count; i++) {
        if (s->symbols[i].existential) continue;
        const qn__instr_ref ref = qn__build(&l->b, QN__OP_SIZE, NULL, 0, &i64, 1, NULL, 0, i);
        l->slots[s->parameter_count + i] = ref ? qn__result(l->ir, ref, 0) : 0;
    }
    for (uint32_t i = 0; i < s->parameter_count && !l->ir->failed; i++) {
        if (l->variables[i].array == QN__NO_REF) continue;
        for (uint32_t d = 0; d < s->parameters[i].rank; d++)
            l->ir->arrays[l->variables[i].array].extent[d] = dim_value(l, values, s->parameters[i].dim[d]);
    }
}

/* ---- the whole ---- */

static bool lower_kernel(qn__lowering *l, const qn__typed *kernel) {
    if (!start(l, kernel)) return false;
    l->ir->signature = kernel->signature;
    l->ir->fast = kernel->fast;
    l->b = (qn__builder){.ir = l->ir, .region = l->ir->body};
    lower_head(l);
    if (l->ir->failed) return false;
    qn__lower_kernel_block(l, qn__lower_child(l, kernel->item.node, QN__KERNEL_BODY));
    qn__lower_at(l, kernel->item.node);
    qn__build_yield(&l->b, NULL, 0);
    return !l->ir->failed;
}

static bool lower_all(qn__lowering *l, const qn__typed *kernel) {
    l->ir = qn__ir_create(l->arena, kernel->name);
    l->functions = QN__ARENA_ARRAY(l->arena, uint32_t, l->checked->function_count);
    l->externs = QN__ARENA_ARRAY(l->arena, uint32_t, l->checked->extern_count);
    if (!l->ir || !l->functions || !l->externs) return false;
    for (uint32_t i = 0; i < kernel->function_count; i++)
        if (!lower_function(l, kernel->functions[i])) return false;
    return lower_kernel(l, kernel);
}

qn__ir *qn__lower(const qn__checked *checked, const qn__typed *kernel, const qn__sources *sources, qn__arena *arena,
                  qn__diagnostic_sink *sink) {
    qn__lowering l = {
        .arena = arena, .sink = sink, .sources = sources, .checked = checked, .ast = checked->ast, .depends_done = 1};
    if (lower_all(&l, kernel)) return l.ir;
    if (!l.failed) {
        const qn__diagnostic_id id = qn__arena_failed(arena) ? QN__DIAG_OUT_OF_MEMORY : QN__DIAG_INTERNAL;
        qn__report(sink, id, qn__ast_name_span(checked->ast, kernel->item.node), QN__SAY("lowering stopped"));
    }
    return NULL;
}
