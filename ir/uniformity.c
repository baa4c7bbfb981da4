/* Uniformity: how the values of a stage differ between the points whose index variable iv is j, j + 1, j + 2, ...
 * (the lanes of a vector), all other things equal.
 *
 * UNIFORM: the same; LINEAR: an integer that grows by `stride` per point, modulo its width; VARYING: anything. Inside
 * control flow that differs between points, the statement is about those points that are there together: in the same
 * iteration of every loop. A value that a loop carries is VARYING when the points may leave the loop in different
 * iterations.
 *
 * Shapes only rise (unknown, UNIFORM or LINEAR, VARYING), so sweeping until nothing changes ends; each sweep is linear. */
#include "ir/pass.h"

#include "ir/eval.h"

enum { UNKNOWN = 255, SWEEP_LIMIT = 12 };

typedef struct analysis {
    const qn__ir *ir;
    qn__shape *shapes;
    bool changed, give_up; /* give_up: what loops carry is VARYING at once */
} analysis;

static const qn__shape uniform = {QN__UNIFORM, 0}, varying = {QN__VARYING, 0};

static qn__shape linear(int64_t stride) { return (qn__shape){stride ? QN__LINEAR : QN__UNIFORM, stride}; }

static bool same(qn__shape a, qn__shape b) { return a.variance == b.variance && a.stride == b.stride; }

/* A value that is one or the other, which one being the same for all points. */
static qn__shape join(qn__shape a, qn__shape b) {
    if (a.variance == UNKNOWN) return b;
    if (b.variance == UNKNOWN || same(a, b)) return a;
    return varying;
}

static void raise_to(analysis *a, qn__value v, qn__shape shape) {
    qn__shape joined = join(a->shapes[v], shape);
    if (same(joined, a->shapes[v])) return;
    a->shapes[v] = joined;
    a->changed = true;
}

static void set(analysis *a, qn__value v, qn__shape shape) {
    if (!same(a->shapes[v], shape)) a->changed = true;
    a->shapes[v] = shape;
}

static qn__shape at(const analysis *a, qn__value v) { return a->shapes[v]; }

static bool is_uniform(const analysis *a, qn__value v) { return at(a, v).variance == QN__UNIFORM; }

/* --- plain operations --------------------------------------------------------------------------------------------- */

static qn__shape scaled(qn__shape shape, uint64_t factor) { return linear((int64_t)((uint64_t)shape.stride * factor)); }

static qn__shape integer_shape(const analysis *a, const qn__instr *instr) {
    const qn__ir *ir = a->ir;
    qn__shape x = at(a, instr->args[0]), y = instr->arg_count > 1 ? at(a, instr->args[1]) : uniform;
    qn__type type = qn__type_of(ir, instr->first_result);
    uint64_t bits;
    if (x.variance > QN__LINEAR || y.variance > QN__LINEAR) return varying;
    switch ((int)instr->op) {
    case QN__OP_ADD: return linear((int64_t)((uint64_t)x.stride + (uint64_t)y.stride));
    case QN__OP_SUB: return linear((int64_t)((uint64_t)x.stride - (uint64_t)y.stride));
    case QN__OP_NEG: return scaled(x, ~UINT64_C(0));
    case QN__OP_MUL:
        if (qn__is_const(ir, instr->args[1], &bits)) return scaled(x, (uint64_t)qn__eval_int(type, bits));
        if (qn__is_const(ir, instr->args[0], &bits)) return scaled(y, (uint64_t)qn__eval_int(type, bits));
        return varying;
    case QN__OP_SHL:
        if (!qn__is_const(ir, instr->args[1], &bits)) return varying;
        return scaled(x, UINT64_C(1) << (bits & (qn__type_bits(type) - 1)));
    case QN__OP_CONVERT:
    case QN__OP_BITCAST: { /* modulo a power of two stays so when the width does not grow */
        qn__type from = qn__type_of(ir, instr->args[0]);
        return qn__is_int(from) && qn__type_bits(type) <= qn__type_bits(from) ? x : varying;
    }
    default: return varying;
    }
}

static qn__shape pure_shape(const analysis *a, const qn__instr *instr) {
    bool all = true;
    for (uint32_t i = 0; i < instr->arg_count; i++) all &= is_uniform(a, instr->args[i]);
    if (all) return uniform;
    if (instr->op == QN__OP_SELECT)
        return is_uniform(a, instr->args[0]) ? join(at(a, instr->args[1]), at(a, instr->args[2])) : varying;
    if (instr->arg_count > 2 || !qn__is_int(qn__type_of(a->ir, instr->first_result))) return varying;
    return integer_shape(a, instr);
}

static qn__shape plain_shape(const analysis *a, const qn__instr *instr) {
    if (qn__is_pure(instr)) return pure_shape(a, instr);
    if (instr->op == QN__OP_LOAD) {
        for (uint32_t i = 0; i < instr->arg_count; i++)
            if (!is_uniform(a, instr->args[i])) return varying;
        return uniform;
    }
    return varying; /* local arrays belong to a point; a host function may do anything */
}

/* --- structured operations ---------------------------------------------------------------------------------------- */

static void sweep(analysis *a, qn__region_ref region);

static const qn__instr *yield_of(const analysis *a, qn__region_ref region) {
    return &a->ir->instrs[a->ir->regions[region].last];
}

static void sweep_if(analysis *a, const qn__instr *instr) {
    bool together = is_uniform(a, instr->args[0]);
    sweep(a, instr->regions[0]);
    sweep(a, instr->regions[1]);
    const qn__instr *yes = yield_of(a, instr->regions[0]), *no = yield_of(a, instr->regions[1]);
    for (uint32_t i = 0; i < instr->result_count; i++)
        set(a, instr->first_result + i, together ? join(at(a, yes->args[i]), at(a, no->args[i])) : varying);
}

static void raise_params(analysis *a, qn__region_ref region, uint32_t from, const qn__value *values, uint32_t count,
                         bool together) {
    qn__value first = a->ir->regions[region].first_param + from;
    for (uint32_t i = 0; i < count; i++)
        raise_to(a, first + i, together && !a->give_up ? at(a, values[i]) : varying);
}

static void set_results(analysis *a, const qn__instr *instr, qn__region_ref params, uint32_t from) {
    for (uint32_t i = 0; i < instr->result_count; i++)
        set(a, instr->first_result + i, at(a, a->ir->regions[params].first_param + from + i));
}

/* for and reduce: lo, hi, init... | body(iv, carried...) */
static void sweep_counted(analysis *a, const qn__instr *instr) {
    qn__shape lo = at(a, instr->args[0]), hi = at(a, instr->args[1]);
    bool together = same(lo, hi) && lo.variance != QN__VARYING;
    qn__region_ref body = instr->regions[0];
    uint32_t count = instr->arg_count - 2;
    raise_to(a, a->ir->regions[body].first_param, lo);
    raise_params(a, body, 1, instr->args + 2, count, together);
    sweep(a, body);
    raise_params(a, body, 1, yield_of(a, body)->args, count, together);
    if (instr->op == QN__OP_REDUCE) {
        qn__region_ref combine = instr->regions[1];
        const qn__value acc = a->ir->regions[body].first_param + 1, left = a->ir->regions[combine].first_param;
        for (uint32_t i = 0; i < count; i++) {
            raise_to(a, left + i, at(a, acc + i));
            raise_to(a, left + count + i, at(a, acc + i));
        }
        sweep(a, combine);
        raise_params(a, body, 1, yield_of(a, combine)->args, count, together);
    }
    set_results(a, instr, body, 1);
}

static void sweep_while(analysis *a, const qn__instr *instr) {
    qn__region_ref cond = instr->regions[0], body = instr->regions[1];
    uint32_t count = instr->arg_count;
    raise_params(a, cond, 0, instr->args, count, true);
    sweep(a, cond);
    bool together = is_uniform(a, yield_of(a, cond)->args[0]);
    for (uint32_t i = 0; i < count; i++)
        raise_to(a, a->ir->regions[body].first_param + i, at(a, a->ir->regions[cond].first_param + i));
    sweep(a, body);
    raise_params(a, cond, 0, yield_of(a, body)->args, count, together);
    set_results(a, instr, cond, 0);
}

static void raise_all(analysis *a, qn__region_ref region, uint32_t from, qn__shape shape) {
    const qn__region *r = &a->ir->regions[region];
    for (uint32_t i = from; i < r->param_count; i++) raise_to(a, r->first_param + i, shape);
}

/* A scan inside a parallel: its own index is like that of a `for`, what it combines is taken as varying. */
static void sweep_scan(analysis *a, const qn__instr *instr) {
    for (uint32_t i = 0; i < 3; i++) {
        if (i != 1) raise_to(a, a->ir->regions[instr->regions[i]].first_param, at(a, instr->args[0]));
        raise_all(a, instr->regions[i], i == 1 ? 0 : 1, varying);
        sweep(a, instr->regions[i]);
    }
}

static void sweep(analysis *a, qn__region_ref region) {
    const qn__ir *ir = a->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        switch ((int)instr->op) {
        case QN__OP_IF: sweep_if(a, instr); break;
        case QN__OP_FOR:
        case QN__OP_REDUCE: sweep_counted(a, instr); break;
        case QN__OP_WHILE: sweep_while(a, instr); break;
        case QN__OP_SCAN: sweep_scan(a, instr); break;
        default:
            for (uint32_t i = 0; i < instr->result_count; i++) set(a, instr->first_result + i, plain_shape(a, instr));
        }
    }
}

static void clear(analysis *a, qn__region_ref region, qn__shape params) {
    const qn__ir *ir = a->ir;
    const qn__region *r = &ir->regions[region];
    for (uint32_t i = 0; i < r->param_count; i++) a->shapes[r->first_param + i] = params;
    for (qn__instr_ref ref = r->first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        for (uint32_t i = 0; i < instr->result_count; i++) a->shapes[instr->first_result + i] = uniform;
        for (uint32_t i = 0; i < instr->region_count; i++)
            clear(a, instr->regions[i], (qn__shape){.variance = UNKNOWN});
    }
}

bool qn__uniformity(const qn__ir *ir, qn__instr_ref stage, qn__value iv, qn__shape *shapes) {
    analysis a = {.ir = ir, .shapes = shapes};
    const qn__instr *owner = &ir->instrs[stage];
    bool found = false;
    for (uint32_t i = 0; i < owner->region_count; i++) {
        const qn__region *r = &ir->regions[owner->regions[i]];
        clear(&a, owner->regions[i], uniform);
        found |= iv >= r->first_param && iv - r->first_param < r->param_count;
    }
    if (!found) return false;
    shapes[iv] = linear(1);
    for (uint32_t i = 0; i < owner->region_count; i++) { /* what the stage itself carries differs from lane to lane */
        bool accumulates = owner->op == QN__OP_REDUCE || owner->op == QN__OP_SCAN || owner->op == QN__OP_WHILE ||
                           owner->op == QN__OP_FOR;
        if (accumulates) raise_all(&a, owner->regions[i], i == 1 ? 0 : 1, varying);
    }
    for (uint32_t round = 0; round == 0 || a.changed; round++) {
        a.changed = false;
        a.give_up = round >= SWEEP_LIMIT;
        for (uint32_t i = 0; i < owner->region_count; i++) sweep(&a, owner->regions[i]);
    }
    return true;
}
