/* The kernels of the steps: a copy of the IR in which what belongs to other steps is gone, what other steps gave is a parameter, cut
 * stages run over one piece, and the signature says so.
 *
 * The copy is made through the text form and analysed anew, so that everything may be edited in place. New scalar parameters stand at the head
 * of the body, in front of `head`. Order of the work: stages are cut while all values are still there; then items of other steps go, and their
 * results are replaced; then the arrays are numbered anew and the signature is written; dce cleans up. */
#include "ir/passes.h"
#include "ir/stream_private.h"

#include <stdio.h>
#include <string.h>

enum { NO_ITEM = UINT32_MAX };

/* A parameter of the new signature. */
typedef struct parameter {
    qn__stream_binding binding;
    uint8_t type, kind;       /* qn__type, qn__parameter_kind */
    uint32_t array;           /* number in the IR before renumbering */
    qn__value value;          /* scalars */
    uint32_t scalar;
} parameter;

typedef struct maker {
    qn__ir *ir;
    qn__stream *s;
    qn__arena *arena;
    qn__stream_needs needs;
    uint32_t array_count;     /* of the kernel's own */
    uint32_t step, join;      /* join: the reduction's item, else NO_ITEM */
    qn__instr_ref head;
    qn__value first, begin, end;
    qn__value *delta;         /* by array: first - origin; 0 where they are the same */
    qn__value *origin;        /* by array */
    qn__value *to;            /* by value: what replaces it; values made later have none */
    uint32_t to_count;
    bool *dead;               /* by value: not available in this step */
    uint8_t *use;             /* by array: 1 read, 2 written */
    parameter *parameters;
    size_t count, capacity;
    uint32_t scalar_count;
    qn__stream_item *item;    /* the one being worked on */
    qn__value index, global;  /* the cut index in the piece; in the whole array */
    const char *message;
} maker;

static bool streams(const maker *m) { return m->join == NO_ITEM && (m->step & 1); }

/* --- parameters ---------------------------------------------------------------------------------------------------- */

static parameter *add_parameter(maker *m, qn__stream_binding binding, uint8_t type, uint8_t kind) {
    parameter *grown = qn__arena_grow(m->arena, m->parameters, &m->capacity, m->count + 1, sizeof *grown);
    if (!grown) {
        m->ir->failed = true;
        return NULL;
    }
    m->parameters = grown;
    m->parameters[m->count] = (parameter){.binding = binding, .type = type, .kind = kind};
    return &m->parameters[m->count++];
}

static const parameter *scalar_parameter(maker *m, qn__stream_role role, uint32_t number, uint32_t dimension, uint8_t type) {
    for (size_t i = 0; i < m->count; i++) {
        const parameter *p = &m->parameters[i];
        if (p->kind == QN__PARAMETER_SCALAR && p->binding.role == role && p->binding.number == number && p->binding.dimension == dimension) return p;
    }
    const qn__stream_binding binding = {.role = (uint8_t)role, .number = number, .dimension = (uint8_t)dimension};
    parameter *p = add_parameter(m, binding, type, QN__PARAMETER_SCALAR);
    if (!p) return NULL;
    qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = m->head};
    const qn__type t = (qn__type)type;
    p->scalar = m->scalar_count++;
    const qn__instr_ref ref = qn__build(&b, QN__OP_PARAM, NULL, 0, &t, 1, NULL, 0, p->scalar);
    p->value = ref ? qn__result(m->ir, ref, 0) : 0;
    return p;
}

static qn__value scalar(maker *m, qn__stream_role role, uint32_t number, uint32_t dimension, uint8_t type) {
    const parameter *p = scalar_parameter(m, role, number, dimension, type);
    return p ? p->value : 0;
}

static void set_to(maker *m, qn__value from, qn__value to) {
    if (from < m->to_count) m->to[from] = to;
}

static void give(maker *m, qn__stream_role role, uint32_t number, qn__value value) {
    char name[32];
    const qn__type type = qn__type_of(m->ir, value);
    snprintf(name, sizeof name, "out%zu", m->count);
    const uint32_t array = qn__ir_array(m->ir, name, type, 0, QN__ARRAY_OUT);
    parameter *p = add_parameter(m, (qn__stream_binding){.role = (uint8_t)role, .number = number}, (uint8_t)type, QN__PARAMETER_OUT);
    if (!p) return;
    p->array = array;
    qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = m->ir->regions[m->ir->body].last};
    qn__build_store(&b, array, NULL, 0, value);
}

/* --- cutting a stage ----------------------------------------------------------------------------------------------- */

static qn__value binary(qn__builder *b, qn__op op, qn__value x, qn__value y) { return qn__build_binary(b, op, x, y); }

/* v + c, or v itself. */
static qn__value plus(qn__builder *b, qn__value v, int64_t c) { return c ? binary(b, QN__OP_ADD, v, qn__build_i64(b, c)) : v; }

static void cut_bounds(maker *m, qn__instr_ref stage, const qn__stream_part *part) {
    qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = stage, .location = m->ir->instrs[stage].location};
    const uint32_t k = m->item->index, rank = qn__stage_rank(&m->ir->instrs[stage]);
    const qn__value lo = m->ir->instrs[stage].args[2 * k], hi = m->ir->instrs[stage].args[2 * k + 1];
    uint64_t bits;
    qn__value low = lo;
    if (!qn__is_const(m->ir, lo, &bits) || bits || part->low) /* 0: no piece begins before it */
        low = binary(&b, QN__OP_SUB, binary(&b, QN__OP_MAX, lo, plus(&b, m->begin, -part->low)), m->first);
    const qn__value high = binary(&b, QN__OP_SUB, binary(&b, QN__OP_MIN, hi, plus(&b, m->end, part->high)), m->first);
    m->ir->instrs[stage].args[2 * k] = low;
    m->ir->instrs[stage].args[2 * k + 1] = high;
    if (m->ir->instrs[stage].op != QN__OP_PARALLEL || m->ir->instrs[stage].region_count < 2) return;
    for (uint32_t side = 0; side < 2; side++) {
        const uint32_t at = 2 * rank + 2 * k + side;
        const qn__value inner = binary(&b, QN__OP_SUB, m->ir->instrs[stage].args[at], m->first);
        m->ir->instrs[stage].args[at] = inner;
    }
}

static void use_global(void *user, qn__instr_ref ref) {
    maker *m = user;
    qn__instr *i = &m->ir->instrs[ref];
    for (uint32_t k = 0; k < i->arg_count; k++)
        if (i->args[k] == m->index && i->first_result != m->global) i->args[k] = m->global;
}

/* A subscript of a cut array, from the place in the whole array to the one in the piece's view. */
static void localise(maker *m, qn__instr_ref ref, uint64_t array, uint32_t dimension) {
    qn__builder b = {.ir = m->ir, .region = m->ir->instrs[ref].region, .before = ref, .location = m->ir->instrs[ref].location};
    const qn__value v = m->ir->instrs[ref].args[dimension];
    const qn__value delta = m->delta[array];
    const qn__instr *d = qn__definition(m->ir, v);
    uint64_t bits;
    qn__value local;
    if (v == m->global) {
        local = delta ? binary(&b, QN__OP_ADD, m->index, delta) : m->index;
    } else if (d && d->op == QN__OP_ADD && d->args[0] == m->global && qn__is_const(m->ir, d->args[1], &bits)) {
        const qn__value base = delta ? binary(&b, QN__OP_ADD, m->index, delta) : m->index;
        local = plus(&b, base, (int64_t)bits);
    } else {
        local = binary(&b, QN__OP_SUB, v, m->origin[array] ? m->origin[array] : m->first);
    }
    m->ir->instrs[ref].args[dimension] = local;
}

/* Cuts the subscripts, and removes what this step must not do (again). */
static void cut_instr(void *user, qn__instr_ref ref) {
    maker *m = user;
    const qn__instr *i = &m->ir->instrs[ref];
    const bool again = m->item->step < m->step;
    if (again && qn__effect_of(i) == QN__EFFECT_CHECK) qn__instr_remove(m->ir, ref); /* it passed */
    if (!qn__touches_element(i)) return;
    const qn__stream_array *x = &m->s->arrays[i->imm];
    const bool whole = x->place == QN__STREAM_WHOLE && again;
    if (qn__writes_element(i) && (whole || (x->place == QN__STREAM_CUT && !qn__stream_wanted(m->s, &m->needs, m->step, i->imm)))) qn__instr_remove(m->ir, ref);
    else if (x->place == QN__STREAM_CUT) localise(m, ref, i->imm, x->dimension);
}

static void cut_stage(maker *m, const qn__stream_part *part) {
    const qn__instr_ref stage = m->item->ref;
    cut_bounds(m, stage, part);
    for (uint32_t r = 0; r < qn__stage_regions(&m->ir->instrs[stage]) && !m->ir->failed; r++) {
        const qn__region_ref region = m->ir->instrs[stage].regions[r];
        qn__builder b = {.ir = m->ir, .region = region, .before = m->ir->regions[region].first, .location = m->ir->instrs[stage].location};
        m->index = m->ir->regions[region].first_param + m->item->index;
        m->global = binary(&b, QN__OP_ADD, m->index, m->first);
        qn__stream_visit(m->ir, region, use_global, m);
        qn__stream_visit(m->ir, region, cut_instr, m);
    }
}

static void give_reduction(maker *m) {
    const qn__instr_ref stage = m->item->ref;
    qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = m->ir->regions[m->ir->body].last};
    for (uint32_t k = 0; k < m->ir->instrs[stage].result_count; k++) {
        const qn__value v = qn__result(m->ir, stage, k);
        give(m, QN__STREAM_PARTIAL, m->s->slot_of[v] - 1, v);
    }
    const qn__value lo = m->ir->instrs[stage].args[0], hi = m->ir->instrs[stage].args[1];
    const qn__value terms = binary(&b, QN__OP_MAX, binary(&b, QN__OP_SUB, hi, lo), qn__build_i64(&b, 0));
    give(m, QN__STREAM_TERMS, (uint32_t)(m->item - m->s->items), terms);
}

/* --- cut arrays ---------------------------------------------------------------------------------------------------- */

/* Where the view of each cut array begins. */
static void place_views(maker *m) {
    for (uint32_t a = 0; a < m->array_count && !m->ir->failed; a++) {
        if (m->s->arrays[a].place != QN__STREAM_CUT || !m->needs.arrays[a].view_low) continue;
        if (m->ir->arrays[a].kind == QN__ARRAY_TEMP || (m->ir->arrays[a].kind == QN__ARRAY_OUT && m->s->arrays[a].emitted != m->step)) {
            qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = m->head};
            m->origin[a] = binary(&b, QN__OP_MAX, plus(&b, m->begin, -m->needs.arrays[a].view_low), qn__build_i64(&b, 0));
        } else {
            m->origin[a] = scalar(m, QN__STREAM_ORIGIN, a, 0, QN__TYPE_I64);
        }
        qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = m->head};
        m->delta[a] = binary(&b, QN__OP_SUB, m->first, m->origin[a]);
    }
}

/* The extent of a cut temporary: what of its whole extent the piece's view has. A negative one stays: it is an error. */
static qn__value local_extent(maker *m, qn__builder *b, uint32_t array, qn__value whole) {
    const qn__value last = binary(b, QN__OP_MIN, whole, plus(b, m->end, m->needs.arrays[array].view_high));
    const qn__value zero = qn__build_i64(b, 0);
    const qn__value extent = binary(b, QN__OP_MAX, binary(b, QN__OP_SUB, last, m->origin[array] ? m->origin[array] : m->first), zero);
    return qn__build_select(b, binary(b, QN__OP_LT, whole, zero), whole, extent);
}

static void cut_alloc(maker *m) {
    const qn__instr_ref ref = m->item->ref;
    const uint32_t array = (uint32_t)m->ir->instrs[ref].imm, d = m->s->arrays[array].dimension;
    qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = ref, .location = m->ir->instrs[ref].location};
    const qn__value extent = local_extent(m, &b, array, m->ir->instrs[ref].args[d]);
    m->ir->instrs[ref].args[d] = extent;
    m->ir->arrays[array].extent[d] = extent;
}

/* An output that another step gives, but that this one computes for itself: a temporary here. */
static void make_temporary(maker *m, uint32_t array, qn__instr_ref before) {
    qn__array *x = &m->ir->arrays[array];
    const uint32_t d = m->s->arrays[array].dimension;
    qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = before};
    x->kind = QN__ARRAY_TEMP;
    x->extent[d] = local_extent(m, &b, array, x->extent[d]);
    qn__build(&b, QN__OP_ALLOC, m->ir->arrays[array].extent, m->ir->arrays[array].rank, NULL, 0, NULL, 0, array);
}

static void make_temporaries(maker *m) {
    qn__instr_ref before = 0;
    for (uint32_t i = 0; i < m->s->item_count && !before; i++)
        if (m->needs.items[i].included) before = m->s->items[i].ref;
    for (uint32_t a = 0; a < m->array_count && before; a++)
        if (m->ir->arrays[a].kind == QN__ARRAY_OUT && m->s->arrays[a].place == QN__STREAM_CUT && m->s->arrays[a].emitted != m->step &&
            m->needs.arrays[a].needed)
            make_temporary(m, a, before);
}

/* --- other steps --------------------------------------------------------------------------------------------------- */

static bool stays(const maker *m, uint32_t i) {
    const qn__stream_item *item = &m->s->items[i];
    const qn__instr *instr = &m->ir->instrs[item->ref];
    if (m->join != NO_ITEM) return false;
    if (item->cut) return streams(m) && m->needs.items[i].included;
    if (streams(m)) return false;
    if (instr->op == QN__OP_ALLOC) return !m->s->arrays[instr->imm].held && item->step <= m->step;
    return item->step == m->step;
}

/* Removes an item of another step; its results become parameters, or are not there yet. */
static void drop(maker *m, const qn__stream_item *item) {
    const qn__instr *instr = &m->ir->instrs[item->ref];
    const qn__value first = instr->first_result;
    const uint32_t count = instr->result_count, at = m->join != NO_ITEM ? m->s->items[m->join].step : m->step;
    qn__instr_remove(m->ir, item->ref);
    for (uint32_t k = 0; k < count; k++) {
        if (item->step < at) set_to(m, first + k, scalar(m, QN__STREAM_SLOT, m->s->slot_of[first + k] - 1, 0, m->ir->values[first + k].type));
        else m->dead[first + k] = true;
    }
}

static void drop_others(maker *m) {
    for (uint32_t i = 0; i < m->s->item_count && !m->ir->failed; i++) {
        const qn__stream_item *item = &m->s->items[i];
        const qn__instr *instr = &m->ir->instrs[item->ref];
        if (item->pure) {
            bool dead = false;
            for (uint32_t k = 0; k < instr->arg_count; k++) dead = dead || (instr->args[k] < m->to_count && m->dead[instr->args[k]]);
            if (!dead) continue;
            m->dead[instr->first_result] = true;
            qn__instr_remove(m->ir, item->ref);
        } else if (!stays(m, i)) {
            drop(m, item);
        } else {
            for (uint32_t k = 0; k < instr->result_count && item->cut; k++) m->dead[instr->first_result + k] = true;
        }
    }
}

/* Scalars of the kernel's head. */
static void rebind_leaf(void *user, qn__instr_ref ref) {
    maker *m = user;
    qn__instr *i = &m->ir->instrs[ref];
    const bool size = i->op == QN__OP_SIZE;
    const qn__value v = i->first_result;
    if ((!size && i->op != QN__OP_PARAM) || v >= m->to_count) return; /* the latter is new */
    const qn__value p = scalar(m, size ? QN__STREAM_SIZE : QN__STREAM_SCALAR, (uint32_t)i->imm, 0, m->ir->values[v].type);
    set_to(m, v, p);
    qn__instr_remove(m->ir, ref);
}

static void replace(void *user, qn__instr_ref ref) {
    maker *m = user;
    qn__instr *i = &m->ir->instrs[ref];
    for (uint32_t k = 0; k < i->arg_count; k++)
        if (i->args[k] < m->to_count && m->to[i->args[k]]) i->args[k] = m->to[i->args[k]];
}

static void replace_all(maker *m) {
    qn__stream_visit(m->ir, m->ir->body, replace, m);
    for (uint32_t a = 0; a < m->ir->array_count; a++)
        for (uint32_t d = 0; d < m->ir->arrays[a].rank; d++) {
            const qn__value v = m->ir->arrays[a].extent[d];
            if (v < m->to_count && m->to[v]) m->ir->arrays[a].extent[d] = m->to[v];
        }
}

/* --- arrays and signature ------------------------------------------------------------------------------------------ */

static void note_use(void *user, qn__instr_ref ref) {
    maker *m = user;
    const qn__instr *i = &m->ir->instrs[ref];
    if (i->op == QN__OP_LOAD) m->use[i->imm] |= 1;
    if (qn__writes_element(i)) m->use[i->imm] |= 2;
    if (i->op == QN__OP_ALLOC) m->use[i->imm] |= 4;
    if (i->op == QN__OP_SWAP) m->use[i->imm] |= 3, m->use[i->aux] |= 3;
    for (uint32_t k = 0; k < i->list_count; k++) m->use[i->list[k]] |= 2;
}

/* A scalar output that is only read here is a scalar parameter. */
static void scalar_load(void *user, qn__instr_ref ref) {
    maker *m = user;
    const qn__instr *i = &m->ir->instrs[ref];
    if (i->op != QN__OP_LOAD || m->ir->arrays[i->imm].rank || m->use[i->imm] != 1) return;
    set_to(m, i->first_result, scalar(m, QN__STREAM_ARRAY_WHOLE, (uint32_t)i->imm, 0, m->ir->arrays[i->imm].type));
    qn__instr_remove(m->ir, ref);
}

static void array_parameter(maker *m, uint32_t a) {
    const uint8_t place = m->s->arrays[a].place, use = m->use[a];
    qn__array *x = &m->ir->arrays[a];
    if (!use || (x->kind == QN__ARRAY_TEMP && (!m->s->arrays[a].held || use & 4)) || (!x->rank && use == 1)) return;
    qn__stream_binding binding = {.number = a, .dimension = m->s->arrays[a].dimension};
    uint8_t kind = use & 2 ? QN__PARAMETER_INOUT : QN__PARAMETER_IN;
    if (place == QN__STREAM_CUT) {
        binding.role = QN__STREAM_ARRAY_CUT;
        binding.low = m->needs.arrays[a].view_low;
        binding.high = m->needs.arrays[a].view_high;
        if (use & 2 && x->kind == QN__ARRAY_OUT) kind = QN__PARAMETER_OUT;
    } else if (place == QN__STREAM_APPENDED) {
        binding.role = QN__STREAM_ARRAY_APPENDED;
        kind = QN__PARAMETER_OUT;
    } else {
        binding.role = QN__STREAM_ARRAY_WHOLE;
        if (!x->rank) kind = QN__PARAMETER_OUT;
    }
    static const uint8_t kinds[] = {[QN__PARAMETER_IN] = QN__ARRAY_IN, [QN__PARAMETER_INOUT] = QN__ARRAY_INOUT, [QN__PARAMETER_OUT] = QN__ARRAY_OUT};
    x->kind = kinds[kind];
    parameter *p = add_parameter(m, binding, x->type, kind);
    if (p) p->array = a;
    for (uint32_t d = 0; d < x->rank && place != QN__STREAM_APPENDED; d++) {
        const qn__value extent = scalar(m, QN__STREAM_EXTENT, a, d, QN__TYPE_I64);
        m->ir->arrays[a].extent[d] = extent;
    }
}

/* The order of a signature: what comes in, then what goes out. */
static bool comes_in(const parameter *p) { return p->kind != QN__PARAMETER_OUT; }

static bool write_parameter(maker *m, qn__signature *sig, const parameter *p, uint32_t number) {
    qn__parameter *q = &sig->parameters[number];
    char name[48];
    *q = (qn__parameter){.type = p->type, .kind = p->kind, .index = p->scalar};
    snprintf(name, sizeof name, "p%u", number);
    q->name = qn__arena_copy_string(m->arena, name, strlen(name));
    if (!q->name) return false;
    if (p->kind == QN__PARAMETER_SCALAR) return true;
    const qn__array *x = &m->ir->arrays[p->array];
    q->rank = x->rank;
    for (uint32_t d = 0; d < x->rank; d++) {
        q->dim[d] = sig->dim_count;
        qn__dim *dim = &sig->dims[sig->dim_count++];
        if (p->binding.role == QN__STREAM_ARRAY_APPENDED) {
            const qn__instr *keep = qn__definition(m->ir, x->extent[d]);
            const uint32_t symbol = keep ? m->s->slot_of[x->extent[d]] : 0; /* one for each keep */
            uint32_t k = 0;
            while (k < sig->symbol_count && sig->symbols[k].parameter != symbol) k++;
            if (k == sig->symbol_count) sig->symbols[sig->symbol_count++] = (qn__symbol){.name = "kept", .existential = true, .parameter = symbol};
            *dim = (qn__dim){.op = QN__DIM_SYMBOL, .value = k};
        } else {
            *dim = (qn__dim){.op = QN__DIM_SCALAR, .value = scalar_parameter(m, QN__STREAM_EXTENT, p->array, d, QN__TYPE_I64)->scalar};
        }
    }
    return true;
}

static bool write_signature(maker *m, qn__stream_kernel *kernel) {
    qn__signature *sig = QN__ARENA_NEW(m->arena, qn__signature);
    kernel->bindings = QN__ARENA_ARRAY(m->arena, qn__stream_binding, m->count);
    if (!sig || !kernel->bindings) return false;
    sig->name = m->ir->name;
    sig->parameters = QN__ARENA_ARRAY(m->arena, qn__parameter, m->count);
    sig->dims = QN__ARENA_ARRAY(m->arena, qn__dim, m->count * QN__MAX_RANK);
    sig->symbols = QN__ARENA_ARRAY(m->arena, qn__symbol, m->count);
    if (!sig->parameters || !sig->dims || !sig->symbols) return false;
    for (int out = 0; out < 2; out++)
        for (size_t i = 0; i < m->count; i++) {
            parameter *p = &m->parameters[i];
            if (comes_in(p) == out) continue;
            kernel->bindings[sig->parameter_count] = p->binding;
            if (!write_parameter(m, sig, p, sig->parameter_count++)) return false;
            sig->input_count += !out;
            sig->scalar_count += p->kind == QN__PARAMETER_SCALAR;
        }
    for (uint32_t k = 0; k < sig->symbol_count; k++) sig->symbols[k].parameter = 0;
    m->ir->signature = sig;
    return true;
}

typedef struct renumbering { qn__ir *ir; const uint32_t *to; } renumbering;

static void renumber(void *user, qn__instr_ref ref) {
    const renumbering *r = user;
    qn__instr *i = &r->ir->instrs[ref];
    if (qn__touches_element(i) || i->op == QN__OP_ALLOC || i->op == QN__OP_SWAP) i->imm = r->to[i->imm];
    if (i->op == QN__OP_SWAP) i->aux = (uint8_t)r->to[i->aux];
    for (uint32_t k = 0; k < i->list_count; k++) i->list[k] = r->to[i->list[k]];
}

/* Arrays in the order of the signature, then temporaries; the rest goes. */
static bool renumber_arrays(maker *m) {
    qn__ir *ir = m->ir;
    qn__signature *sig = ir->signature;
    uint32_t *to = QN__ARENA_ARRAY(m->arena, uint32_t, ir->array_count), count = 0;
    qn__array *arrays = QN__ARENA_ARRAY(m->arena, qn__array, ir->array_count);
    bool *done = QN__ARENA_ARRAY(m->arena, bool, ir->array_count);
    if (!to || !arrays || !done) return false;
    uint32_t number = 0;
    for (int out = 0; out < 2; out++)
        for (size_t i = 0; i < m->count; i++) {
            const parameter *p = &m->parameters[i];
            if (comes_in(p) == out) continue;
            qn__parameter *q = &sig->parameters[number++];
            if (p->kind == QN__PARAMETER_SCALAR) continue;
            q->index = to[p->array] = count;
            done[p->array] = true;
            arrays[count++] = ir->arrays[p->array];
        }
    for (uint32_t a = 0; a < ir->array_count; a++) {
        if (done[a] || !(a < m->array_count && m->use[a])) continue;
        to[a] = count;
        arrays[count++] = ir->arrays[a];
    }
    qn__stream_visit(ir, ir->body, renumber, &(renumbering){ir, to});
    memcpy(ir->arrays, arrays, count * sizeof *arrays);
    ir->array_count = count;
    return true;
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

static void cut_items(maker *m) {
    m->first = scalar(m, QN__STREAM_FIRST, 0, 0, QN__TYPE_I64);
    m->begin = scalar(m, QN__STREAM_BEGIN, 0, 0, QN__TYPE_I64);
    m->end = scalar(m, QN__STREAM_END, 0, 0, QN__TYPE_I64);
    place_views(m);
    make_temporaries(m);
    for (uint32_t i = 0; i < m->s->item_count && !m->ir->failed; i++) {
        m->item = &m->s->items[i];
        if (!m->needs.items[i].included) continue;
        const uint8_t op = m->ir->instrs[m->item->ref].op;
        if (op == QN__OP_ALLOC) cut_alloc(m);
        else cut_stage(m, &m->needs.items[i]);
        if (op == QN__OP_REDUCE) give_reduction(m);
        if (op == QN__OP_KEEP) {
            const qn__value count = m->ir->instrs[m->item->ref].first_result;
            give(m, QN__STREAM_KEPT, m->s->slot_of[count] - 1, count);
        }
    }
}

static void give_scalars(maker *m) {
    for (uint32_t i = 0; i < m->s->item_count && !m->ir->failed; i++) {
        const qn__stream_item *item = &m->s->items[i];
        if (item->pure || !stays(m, i)) continue;
        for (uint32_t k = 0; k < m->ir->instrs[item->ref].result_count; k++) {
            const qn__value v = qn__result(m->ir, item->ref, k);
            give(m, QN__STREAM_SLOT, m->s->slot_of[v] - 1, v);
        }
    }
}

static void join_accumulators(maker *m) {
    const qn__instr_ref stage = m->s->items[m->join].ref;
    const uint32_t count = m->ir->instrs[stage].result_count;
    qn__value *values = QN__ARENA_ARRAY(m->arena, qn__value, 3 * (size_t)count);
    if (!values) {
        m->ir->failed = true;
        return;
    }
    for (uint32_t k = 0; k < count; k++) {
        const qn__value v = qn__result(m->ir, stage, k);
        values[k] = scalar(m, QN__STREAM_LEFT, m->s->slot_of[v] - 1, 0, m->ir->values[v].type);
        values[count + k] = scalar(m, QN__STREAM_RIGHT, m->s->slot_of[v] - 1, 0, m->ir->values[v].type);
    }
    qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = m->ir->regions[m->ir->body].last};
    if (!qn__clone_region(&b, m->ir->instrs[stage].regions[1], values, values + 2 * (size_t)count)) return;
    for (uint32_t k = 0; k < count; k++) give(m, QN__STREAM_SLOT, m->s->slot_of[qn__result(m->ir, stage, k)] - 1, values[2 * (size_t)count + k]);
}

static bool clean(maker *m) {
    qn__pass pass = {.ir = m->ir, .scratch = qn__arena_create(0)};
    bool good = pass.scratch && qn__pass_cse(&pass) && qn__pass_dce(&pass);
    m->message = pass.message;
    qn__arena_destroy(pass.scratch);
    if (good && !m->ir->failed) good = qn__pass_verified(m->ir, "the making of a step", &m->message);
    return good && !m->ir->failed;
}

static bool make(maker *m, qn__stream_kernel *kernel) {
    qn__builder b = {.ir = m->ir, .region = m->ir->body, .before = m->ir->regions[m->ir->body].first};
    const qn__value anchor = qn__build_i64(&b, 0);
    if (!anchor) return false;
    m->head = m->ir->values[anchor].instr;
    if (streams(m)) cut_items(m);
    else if (m->join != NO_ITEM) join_accumulators(m);
    else give_scalars(m);
    drop_others(m);
    qn__stream_visit(m->ir, m->ir->body, rebind_leaf, m);
    if (m->ir->failed) return false;
    m->use = QN__ARENA_ARRAY(m->arena, uint8_t, m->ir->array_count);
    if (!m->use) return false;
    qn__stream_visit(m->ir, m->ir->body, note_use, m);
    qn__stream_visit(m->ir, m->ir->body, scalar_load, m);
    for (uint32_t a = 0; a < m->array_count && !m->ir->failed; a++) array_parameter(m, a);
    if (m->ir->failed) return false;
    replace_all(m);
    if (!write_signature(m, kernel) || !renumber_arrays(m)) return false;
    kernel->ir = m->ir;
    return clean(m);
}

static bool start(maker *m, const char *text, size_t length, uint32_t array, uint32_t dimension) {
    m->ir = qn__ir_read(m->arena, text, length, &m->message);
    if (!m->ir) return false;
    m->s = qn__stream_analyse(m->ir, m->arena, array, dimension);
    if (!m->s) return false;
    if (m->s->why) {
        m->message = m->s->why;
        return false;
    }
    m->array_count = m->ir->array_count;
    m->to_count = m->ir->value_count;
    m->to = QN__ARENA_ARRAY(m->arena, qn__value, m->to_count);
    m->dead = QN__ARENA_ARRAY(m->arena, bool, m->to_count);
    m->delta = QN__ARENA_ARRAY(m->arena, qn__value, m->array_count);
    m->origin = QN__ARENA_ARRAY(m->arena, qn__value, m->array_count);
    return m->to && m->dead && m->delta && m->origin && qn__stream_needs_of(m->s, m->step, m->arena, &m->needs);
}

static bool finish(maker *m, bool good, const char **message) {
    *message = good ? NULL : m->message ? m->message : "out of memory";
    return good;
}

bool qn__stream_step(const char *text, size_t length, qn__arena *arena, uint32_t array, uint32_t dimension, uint32_t step,
                     qn__stream_kernel *kernel, const char **message) {
    maker m = {.arena = arena, .step = step, .join = NO_ITEM};
    return finish(&m, start(&m, text, length, array, dimension) && make(&m, kernel), message);
}

bool qn__stream_join(const char *text, size_t length, qn__arena *arena, uint32_t array, uint32_t dimension, uint32_t item,
                     qn__stream_kernel *kernel, const char **message) {
    maker m = {.arena = arena, .join = item};
    return finish(&m, start(&m, text, length, array, dimension) && make(&m, kernel), message);
}
