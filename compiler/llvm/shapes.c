/* Uniformity, as the emitter needs it: how each value of a region varies with the lane.
 * UNIFORM: one scalar for all lanes. LINEAR: integer, lane 0's value + stride * lane (modulo the width). VARYING: a vector.
 * Carried values and results of structured operations are UNIFORM or VARYING, never LINEAR. Shapes only rise, so the
 * fixpoint of a loop takes at most as many rounds as it carries values. */
#include "compiler/llvm/internal.h"

static qn__shape shape_of(const qn__emitter *e, qn__value v) { return e->shapes[v]; }
static bool uniform(const qn__emitter *e, qn__value v) { return e->shapes[v].variance == QN__UNIFORM; }

static void set(qn__emitter *e, qn__value v, qn__variance variance, int64_t stride) {
    if (variance == QN__LINEAR && stride == 0) variance = QN__UNIFORM;
    e->shapes[v] = (qn__shape){(uint8_t)variance, variance == QN__LINEAR ? stride : 0};
}

static bool all_uniform(const qn__emitter *e, const qn__value *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!uniform(e, values[i])) return false;
    return true;
}

static bool is_linear_type(const qn__emitter *e, qn__value v) { return qn__is_int(qn__type_of(e->ir, v)); }

/* a * b and a << b where one side is a constant; true when the result is linear. */
static bool scaled(qn__emitter *e, const qn__instr *instr) {
    uint64_t factor;
    qn__value a = instr->args[0], b = instr->args[1];
    if (qn__is_const(e->ir, b, &factor)) {
        if (instr->op == QN__OP_SHL)
            factor = UINT64_C(1) << (factor & (qn__type_bits(qn__type_of(e->ir, a)) - 1));
    } else if (instr->op == QN__OP_MUL && qn__is_const(e->ir, a, &factor)) {
        a = b;
    } else {
        return false;
    }
    if (shape_of(e, a).variance != QN__LINEAR) return false;
    set(e, instr->first_result, QN__LINEAR, (int64_t)((uint64_t)shape_of(e, a).stride * factor));
    return true;
}

/* Sets a linear result's shape; false when the result is not linear. Some operand is not uniform, none is varying. */
static bool linear_result(qn__emitter *e, const qn__instr *instr) {
    qn__value result = instr->first_result;
    if (!is_linear_type(e, result)) return false;
    uint64_t a = (uint64_t)shape_of(e, instr->args[0]).stride;
    uint64_t b = instr->arg_count > 1 ? (uint64_t)shape_of(e, instr->args[1]).stride : 0;
    if (instr->op == QN__OP_ADD) return set(e, result, QN__LINEAR, (int64_t)(a + b)), true;
    if (instr->op == QN__OP_SUB) return set(e, result, QN__LINEAR, (int64_t)(a - b)), true;
    if (instr->op == QN__OP_NEG) return set(e, result, QN__LINEAR, (int64_t)(0 - a)), true;
    if (instr->op == QN__OP_MUL || instr->op == QN__OP_SHL) return scaled(e, instr);
    if (instr->op != QN__OP_CONVERT || !is_linear_type(e, instr->args[0])) return false;
    if (qn__type_bits(qn__type_of(e->ir, result)) > qn__type_bits(qn__type_of(e->ir, instr->args[0]))) return false;
    return set(e, result, QN__LINEAR, (int64_t)a), true;
}

static void plain(qn__emitter *e, const qn__instr *instr) {
    bool varying = instr->op == QN__OP_LOCAL_LOAD || qn__op_table[instr->op].effect == QN__EFFECT_FLOW;
    for (uint32_t i = 0; i < instr->arg_count; i++) varying |= shape_of(e, instr->args[i]).variance == QN__VARYING;
    if (!varying && !all_uniform(e, instr->args, instr->arg_count) && instr->result_count == 1 && linear_result(e, instr))
        return;
    varying |= !all_uniform(e, instr->args, instr->arg_count);
    for (uint32_t i = 0; i < instr->result_count; i++)
        set(e, instr->first_result + i, varying ? QN__VARYING : QN__UNIFORM, 0);
}

static void shape_if(qn__emitter *e, const qn__instr *instr) {
    qn__shapes_region(e, instr->regions[0]);
    qn__shapes_region(e, instr->regions[1]);
    const qn__instr *yes = qn__yield_of(e->ir, instr->regions[0]), *no = qn__yield_of(e->ir, instr->regions[1]);
    for (uint32_t i = 0; i < instr->result_count; i++) {
        bool same = uniform(e, instr->args[0]) && uniform(e, yes->args[i]) && uniform(e, no->args[i]);
        set(e, instr->first_result + i, same ? QN__UNIFORM : QN__VARYING, 0);
    }
}

static void set_params(qn__emitter *e, qn__region_ref region, uint32_t first, const qn__instr *instr) {
    for (uint32_t i = 0; i < instr->result_count; i++)
        e->shapes[qn__region_param(e->ir, region, first + i)] = e->shapes[instr->first_result + i];
}

/* Raises the results (which stand for the carried values) that the body's yield makes varying; true if any rose. */
static bool raise(qn__emitter *e, const qn__instr *instr, const qn__value *next, bool all) {
    bool changed = false;
    for (uint32_t i = 0; i < instr->result_count; i++) {
        qn__value result = instr->first_result + i;
        if (!uniform(e, result) || (!all && uniform(e, next[i]))) continue;
        set(e, result, QN__VARYING, 0);
        changed = true;
    }
    return changed;
}

static void shape_for(qn__emitter *e, const qn__instr *instr) {
    bool same = uniform(e, instr->args[0]) && uniform(e, instr->args[1]);
    qn__region_ref body = instr->regions[0];
    set(e, qn__region_param(e->ir, body, 0), uniform(e, instr->args[0]) ? QN__UNIFORM : QN__VARYING, 0);
    for (uint32_t i = 0; i < instr->result_count; i++) set(e, instr->first_result + i, QN__UNIFORM, 0);
    raise(e, instr, instr->args + 2, !same);
    do {
        set_params(e, body, 1, instr);
        qn__shapes_region(e, body);
    } while (raise(e, instr, qn__yield_of(e->ir, body)->args, false));
}

static void shape_while(qn__emitter *e, const qn__instr *instr) {
    qn__region_ref cond = instr->regions[0], body = instr->regions[1];
    for (uint32_t i = 0; i < instr->result_count; i++) set(e, instr->first_result + i, QN__UNIFORM, 0);
    raise(e, instr, instr->args, false);
    bool again;
    do {
        set_params(e, cond, 0, instr);
        set_params(e, body, 0, instr);
        qn__shapes_region(e, cond);
        again = raise(e, instr, qn__yield_of(e->ir, body)->args, !uniform(e, qn__yield_of(e->ir, cond)->args[0]));
        if (again) continue;
        qn__shapes_region(e, body);
        again = raise(e, instr, qn__yield_of(e->ir, body)->args, false);
    } while (again);
}

void qn__shapes_region(qn__emitter *e, qn__region_ref region) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = e->ir->instrs[ref].next) {
        const qn__instr *instr = &e->ir->instrs[ref];
        if (instr->op == QN__OP_IF) shape_if(e, instr);
        else if (instr->op == QN__OP_FOR) shape_for(e, instr);
        else if (instr->op == QN__OP_WHILE) shape_while(e, instr);
        else plain(e, instr);
    }
}
