/* ranges: proves run-time checks and removes them.
 *
 * Every integer value gets an affine form over sizes, parameters, index variables and values that are opaque (affine.h);
 * the forms are of mathematical integers, so an operation keeps its form only where it provably does not wrap. Facts come
 * from domains (lo <= i < hi), from conditions of `if`, `while` and `select`, from checks that stand before, from what
 * rem, div, min, max, & and >> guarantee, and from the runtime (sizes and extents lie in 0 .. 2^48). They hold in the
 * region where they were found. A check leaves one remark: PROVED (and is gone), KEPT with the reason, or FAILS when it
 * fails at a corner of its stage's domain, whatever the sizes are, as long as there is a point at all. Since what is known
 * in front of a loop is at hand here only, loads that do not depend on a loop of a point leave it here, too.
 *
 * requires: fold (constants on the right, x - c as x + -c); runs before licm, which moves values away from the conditions
 *           under which they do not wrap
 * preserves: everything else
 * breaks: nothing */
#include "ir/affine.h"

#include "ir/abi.h"
#include "ir/eval.h"
#include "ir/ranges.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void walk(qn__ranges *r, qn__region_ref region);

static qn__instr *yield_of(const qn__ir *ir, qn__region_ref region) { return &ir->instrs[ir->regions[region].last]; }

/* --- domains ------------------------------------------------------------------------------------------------------ */

static bool push_axis(qn__ranges *r, uint32_t base, const qn__form *low, const qn__form *high) {
    qn__axis *grown =
        qn__arena_grow(r->pass->scratch, r->axes, &r->axis_capacity, r->axis_count + 1, sizeof *grown);
    if (!grown) {
        r->ir->failed = true;
        return false;
    }
    r->axes = grown;
    r->axes[r->axis_count++] = (qn__axis){base, low, high};
    return true;
}

static void bound_index(qn__ranges *r, const qn__form *iv, qn__value lo, qn__value hi) {
    qn__fact_at_most(&r->affine, qn__ranges_form(r, lo), 0, iv);
    qn__fact_at_most(&r->affine, iv, 1, qn__ranges_form(r, hi));
}

/* An index variable with lo <= iv < hi. */
static const qn__form *enter_index(qn__ranges *r, qn__value iv, qn__value lo, qn__value hi) {
    const qn__form *low = qn__ranges_form(r, lo), *high = qn__ranges_form(r, hi);
    int64_t least = qn__form_low(&r->affine, low), most = qn__form_high(&r->affine, high);
    const qn__form *form = qn__ranges_opaque(r, iv, least, most == QN__INFINITE ? most : most - 1);
    bound_index(r, form, lo, hi);
    push_axis(r, form->terms[0].base, low, high);
    return form;
}

static void enter_stage(qn__ranges *r) {
    if (r->in_stage) return;
    r->in_stage = true;
    r->certain = true;
    r->stage_order = (uint32_t)r->affine.base_count;
    r->axis_count = 0;
}

typedef struct saved { qn__mark mark; size_t axes; bool in_stage, certain; uint32_t order; } saved;

static saved save(const qn__ranges *r) {
    return (saved){qn__facts_mark(&r->affine), r->axis_count, r->in_stage, r->certain, r->stage_order};
}

static void restore(qn__ranges *r, saved s) {
    qn__facts_forget(&r->affine, s.mark);
    r->axis_count = s.axes;
    r->in_stage = s.in_stage;
    r->certain = s.certain;
    r->stage_order = s.order;
}

/* --- what loops carry --------------------------------------------------------------------------------------------- */

/* By how much v exceeds p: p, p + c, or one of these; false when not known. */
static bool step_of(const qn__ir *ir, qn__value v, qn__value p, uint32_t depth, int64_t *low, int64_t *high) {
    if (v == p) {
        *low = *high = 0;
        return true;
    }
    const qn__instr *instr = qn__definition(ir, v);
    if (!instr || !depth) return false;
    uint64_t bits;
    qn__value yes, no;
    switch ((int)instr->op) {
    case QN__OP_ADD:
        if (!qn__is_const(ir, instr->args[1], &bits)) return false;
        if (!step_of(ir, instr->args[0], p, depth - 1, low, high)) return false;
        int64_t c = qn__eval_int(qn__type_of(ir, v), bits);
        if (c > INT32_MAX || c < INT32_MIN) return false;
        *low += c;
        *high += c;
        return true;
    case QN__OP_SELECT: yes = instr->args[1], no = instr->args[2]; break;
    case QN__OP_IF: {
        uint32_t k = ir->values[v].index;
        yes = yield_of(ir, instr->regions[0])->args[k], no = yield_of(ir, instr->regions[1])->args[k];
        break;
    }
    default: return false;
    }
    int64_t other_low, other_high;
    if (!step_of(ir, yes, p, depth - 1, low, high) || !step_of(ir, no, p, depth - 1, &other_low, &other_high))
        return false;
    if (other_low < *low) *low = other_low;
    if (other_high > *high) *high = other_high;
    return true;
}

/* start + factor * count at most form (or the other way round, with low false) */
static void bound_by_count(qn__ranges *r, const qn__form *form, const qn__form *start, int64_t factor,
                           const qn__form *count, bool low) {
    qn__form moved;
    if (!qn__form_add(&moved, start, count, factor)) return;
    qn__fact_at_most(&r->affine, low ? &moved : form, 0, low ? form : &moved);
}

/* A value that starts at init and changes by step[0]..step[1] in each of `count` iterations, at most `trips`. */
static void enter_carried(qn__ranges *r, qn__value param, qn__value init, const int64_t step[2], const qn__form *count,
                          int64_t trips) {
    const qn__form *start = qn__ranges_form(r, init);
    int64_t least = qn__form_low(&r->affine, start), most = qn__form_high(&r->affine, start), type_low, type_high, move;
    qn__ranges_limits(qn__type_of(r->ir, param), &type_low, &type_high);
    bool good = least > -QN__EXACT_LIMIT && most < QN__EXACT_LIMIT && trips <= QN__SIZE_LIMIT;
    if (good && step[0] < 0) good = !__builtin_mul_overflow(step[0], trips, &move) && (least += move) >= type_low;
    if (good && step[1] > 0) good = !__builtin_mul_overflow(step[1], trips, &move) && (most += move) <= type_high;
    if (!good) return;
    const qn__form *form = qn__ranges_opaque(r, param, least, most);
    if (step[0] >= 0) qn__fact_at_most(&r->affine, start, 0, form);
    if (step[1] <= 0) qn__fact_at_most(&r->affine, form, 0, start);
    if (!count) return;
    if (step[0]) bound_by_count(r, form, start, step[0], count, true);
    if (step[1]) bound_by_count(r, form, start, step[1], count, false);
}

/* Is v one of p, q and what select makes of them? */
static bool picks(const qn__ir *ir, qn__value v, qn__value p, qn__value q, uint32_t depth) {
    if (v == p || v == q) return true;
    const qn__instr *instr = qn__definition(ir, v);
    if (!instr || instr->op != QN__OP_SELECT || !depth) return false;
    return picks(ir, instr->args[1], p, q, depth - 1) && picks(ir, instr->args[2], p, q, depth - 1);
}

/* Results that are an index of the loop, or the initial value: what argmin finds. */
static void leave_picked(qn__ranges *r, qn__instr_ref ref) {
    const qn__ir *ir = r->ir;
    const qn__instr *instr = &ir->instrs[ref];
    const qn__region *body = &ir->regions[instr->regions[0]];
    for (uint32_t k = 0; k < instr->result_count; k++) {
        qn__value result = instr->first_result + k, acc = body->first_param + 1 + k;
        if (r->forms[result] || qn__type_of(ir, result) != QN__TYPE_I64) continue;
        if (!picks(ir, yield_of(ir, instr->regions[0])->args[k], acc, body->first_param, 6)) continue;
        if (instr->op == QN__OP_REDUCE) {
            qn__value a = ir->regions[instr->regions[1]].first_param + k, b = a + instr->result_count;
            if (!picks(ir, yield_of(ir, instr->regions[1])->args[k], a, b, 6)) continue;
        }
        qn__ranges_pick(r, result, instr->args[2 + k], instr->args[0], instr->args[1]);
    }
}

static int64_t most_trips(qn__ranges *r, qn__value lo, qn__value hi) {
    qn__form span;
    if (!qn__form_add(&span, qn__ranges_form(r, hi), qn__ranges_form(r, lo), -1)) return QN__INFINITE;
    int64_t trips = qn__form_high(&r->affine, &span);
    return trips < 0 ? 0 : trips;
}

/* The limit X of a conjunct of the condition: p < X or p <= X when rising, else p > X or p >= X. 0 when there is none. */
static qn__value limit_of(const qn__ir *ir, qn__value cond, qn__value p, bool rising, uint32_t depth, bool *strict) {
    const qn__instr *instr = qn__definition(ir, cond);
    if (!instr || !depth) return 0;
    switch ((int)instr->op) {
    case QN__OP_AND: {
        qn__value limit = limit_of(ir, instr->args[0], p, rising, depth - 1, strict);
        return limit ? limit : limit_of(ir, instr->args[1], p, rising, depth - 1, strict);
    }
    case QN__OP_IF: { /* a and b, where b has checks: if a { b } else { false } */
        uint64_t bits;
        if (!qn__is_const(ir, yield_of(ir, instr->regions[1])->args[ir->values[cond].index], &bits) || bits) return 0;
        return limit_of(ir, instr->args[0], p, rising, depth - 1, strict);
    }
    case QN__OP_LT: case QN__OP_LE: case QN__OP_GT: case QN__OP_GE: break;
    default: return 0;
    }
    bool less = instr->op == QN__OP_LT || instr->op == QN__OP_LE;
    uint32_t side = less == rising ? 0 : 1; /* where p must stand */
    if (instr->args[side] != p) return 0;
    *strict = instr->op == QN__OP_LT || instr->op == QN__OP_GT;
    return instr->args[1 - side];
}

/* A counter of a while that only rises, and only while it is below a known limit, cannot wrap; falling alike. */
static void enter_counter(qn__ranges *r, qn__value param, qn__value body_param, qn__value init, qn__value next,
                          qn__value cond) {
    const qn__ir *ir = r->ir;
    int64_t step[2], type_low, type_high;
    bool strict = false;
    if (!qn__is_int(qn__type_of(ir, param)) || !step_of(ir, next, body_param, 6, &step[0], &step[1])) return;
    bool rising = step[0] >= 0;
    if (!rising && step[1] > 0) return;
    qn__value limit = limit_of(ir, cond, param, rising, 8, &strict);
    if (!limit || !r->forms[limit]) return;
    const qn__form *start = qn__ranges_form(r, init), *end = qn__ranges_form(r, limit);
    int64_t low = qn__form_low(&r->affine, start), high = qn__form_high(&r->affine, start);
    int64_t end_low = qn__form_low(&r->affine, end), end_high = qn__form_high(&r->affine, end);
    qn__ranges_limits(qn__type_of(ir, param), &type_low, &type_high);
    if (low <= -QN__EXACT_LIMIT || high >= QN__EXACT_LIMIT) return;
    if (rising ? end_high >= QN__EXACT_LIMIT : end_low <= -QN__EXACT_LIMIT) return;
    int64_t past = rising ? step[1] - strict : step[0] + strict; /* how far beyond the limit it can get */
    bool inside = rising ? qn__prove_at_most(&r->affine, start, -past, end) : qn__prove_at_most(&r->affine, end, past, start);
    if (rising && end_high + past > high) high = end_high + past;
    if (!rising && end_low + past < low) low = end_low + past;
    if (high > type_high || low < type_low) return;
    const qn__form *form = qn__ranges_opaque(r, param, low, high);
    qn__fact_at_most(&r->affine, rising ? start : form, 0, rising ? form : start);
    if (inside && rising) qn__fact_at_most(&r->affine, form, -past, end);
    if (inside && !rising) qn__fact_at_most(&r->affine, end, past, form);
}

/* --- structured operations ---------------------------------------------------------------------------------------- */

static void visit_for(qn__ranges *r, qn__instr_ref ref) {
    const qn__ir *ir = r->ir;
    if (r->in_stage) qn__ranges_hoist_loads(r, ref);
    qn__instr instr = ir->instrs[ref];
    const qn__instr *yield = yield_of(ir, instr.regions[0]);
    qn__value first = ir->regions[instr.regions[0]].first_param;
    int64_t trips = most_trips(r, instr.args[0], instr.args[1]), step[2];
    const qn__form *low = qn__ranges_form(r, instr.args[0]), *high = qn__ranges_form(r, instr.args[1]);
    qn__form count;
    saved s = save(r);
    if (!r->in_stage) r->certain = false;
    const qn__form *iv = enter_index(r, first, instr.args[0], instr.args[1]);
    bool counted = qn__form_add(&count, iv, low, -1);
    for (uint32_t k = 0; k < instr.result_count; k++)
        if (step_of(ir, yield->args[k], first + 1 + k, 6, &step[0], &step[1]))
            enter_carried(r, first + 1 + k, instr.args[2 + k], step, counted ? &count : NULL, trips);
    walk(r, instr.regions[0]);
    restore(r, s);
    counted = qn__form_add(&count, high, low, -1) && qn__prove(&r->affine, &count);
    for (uint32_t k = 0; k < instr.result_count; k++)
        if (step_of(ir, yield->args[k], first + 1 + k, 6, &step[0], &step[1]))
            enter_carried(r, instr.first_result + k, instr.args[2 + k], step, counted ? &count : NULL, trips);
    leave_picked(r, ref);
}

static void visit_while(qn__ranges *r, qn__instr_ref ref) {
    const qn__ir *ir = r->ir;
    qn__instr instr = ir->instrs[ref];
    qn__value params = ir->regions[instr.regions[0]].first_param, body = ir->regions[instr.regions[1]].first_param;
    qn__value cond = yield_of(ir, instr.regions[0])->args[0];
    const qn__instr *next = yield_of(ir, instr.regions[1]);
    bool certain = r->certain;
    r->certain = false;
    for (uint32_t k = 0; k < instr.result_count; k++)
        enter_counter(r, params + k, body + k, instr.args[k], next->args[k], cond);
    walk(r, instr.regions[0]);
    saved s = save(r); /* the condition was evaluated last: its facts hold behind the loop, too */
    for (uint32_t k = 0; k < instr.result_count; k++) qn__ranges_alias(r, body + k, params + k);
    r->affine.assume(&r->affine, cond, true);
    walk(r, instr.regions[1]);
    restore(r, s);
    for (uint32_t k = 0; k < instr.result_count; k++) qn__ranges_alias(r, instr.first_result + k, params + k);
    r->affine.assume(&r->affine, cond, false);
    r->certain = certain;
}

static void visit_if(qn__ranges *r, qn__instr_ref ref) {
    const qn__ir *ir = r->ir;
    qn__instr instr = ir->instrs[ref];
    for (uint32_t arm = 0; arm < 2; arm++) {
        saved s = save(r);
        r->certain = false;
        r->affine.assume(&r->affine, instr.args[0], arm == 0);
        walk(r, instr.regions[arm]);
        restore(r, s);
    }
    const qn__instr *yes = yield_of(ir, instr.regions[0]), *no = yield_of(ir, instr.regions[1]);
    for (uint32_t k = 0; k < instr.result_count; k++)
        qn__ranges_choose(r, instr.first_result + k, instr.args[0], yes->args[k], no->args[k]);
}

/* reduce and scan: index variable first where the region has one. */
static void visit_accumulation(qn__ranges *r, qn__instr_ref ref) {
    const qn__ir *ir = r->ir;
    if (ir->instrs[ref].op == QN__OP_REDUCE) qn__ranges_hoist_loads(r, ref);
    qn__instr instr = ir->instrs[ref];
    for (uint32_t i = 0; i < instr.region_count; i++) {
        saved s = save(r);
        enter_stage(r);
        if (i != 1) enter_index(r, ir->regions[instr.regions[i]].first_param, instr.args[0], instr.args[1]);
        else r->certain = false;
        walk(r, instr.regions[i]);
        restore(r, s);
    }
    if (instr.op == QN__OP_REDUCE) leave_picked(r, ref);
}

static void visit_domain(qn__ranges *r, qn__instr_ref ref) {
    const qn__ir *ir = r->ir;
    qn__instr instr = ir->instrs[ref];
    uint32_t rank = instr.op == QN__OP_PARALLEL ? (uint32_t)instr.imm : instr.arg_count / 2;
    for (uint32_t i = 0; i < instr.region_count; i++) {
        saved s = save(r);
        enter_stage(r);
        bool inner = instr.region_count == 2 && i == 0;
        for (uint32_t k = 0; k < rank; k++) {
            qn__value iv = ir->regions[instr.regions[i]].first_param + k;
            const qn__value *bounds = instr.args + 2 * k, *box = bounds + (inner ? 2 * rank : 0);
            const qn__form *form = enter_index(r, iv, box[0], box[1]);
            if (inner) bound_index(r, form, bounds[0], bounds[1]);
        }
        if (i == 1) r->certain = false; /* the points outside the box may be none */
        walk(r, instr.regions[i]);
        restore(r, s);
    }
    if (instr.op == QN__OP_KEEP) qn__ranges_opaque(r, instr.first_result, 0, QN__SIZE_LIMIT);
}

static void visit_alloc(qn__ranges *r, const qn__instr *instr) {
    qn__form zero = qn__form_constant(0);
    for (uint32_t i = 0; i < instr->arg_count; i++)
        qn__fact_at_most(&r->affine, &zero, 0, qn__ranges_form(r, instr->args[i]));
}

static void visit(qn__ranges *r, qn__instr_ref ref) {
    const qn__instr *instr = &r->ir->instrs[ref];
    switch ((int)instr->op) {
    case QN__OP_FOR: visit_for(r, ref); return;
    case QN__OP_WHILE: visit_while(r, ref); return;
    case QN__OP_IF: visit_if(r, ref); return;
    case QN__OP_REDUCE:
    case QN__OP_SCAN: visit_accumulation(r, ref); return;
    case QN__OP_KEEP:
    case QN__OP_PARALLEL: visit_domain(r, ref); return;
    case QN__OP_ALLOC: visit_alloc(r, instr); return;
    default: break;
    }
    if (qn__effect_of(instr) == QN__EFFECT_CHECK) qn__ranges_check(r, ref);
    else if (qn__is_pure(instr)) qn__ranges_value(r, ref);
}

static void walk(qn__ranges *r, qn__region_ref region) {
    for (qn__instr_ref ref = r->ir->regions[region].first, next; ref && !r->ir->failed; ref = next) {
        next = r->ir->instrs[ref].next;
        visit(r, ref);
    }
}

bool qn__pass_ranges(qn__pass *pass) {
    qn__ranges r = {.pass = pass, .ir = pass->ir, .certain = true};
    r.affine.pass = pass;
    r.affine.assume = qn__ranges_assume;
    r.forms = QN__ARENA_ARRAY(pass->scratch, const qn__form *, pass->ir->value_count);
    r.is_extent = QN__ARENA_ARRAY(pass->scratch, uint8_t, pass->ir->value_count);
    r.written = QN__ARENA_ARRAY(pass->scratch, uint8_t, pass->ir->array_count);
    if (!r.forms || !r.is_extent || !r.written) return false;
    for (uint32_t i = 0; i < pass->ir->array_count; i++)
        for (uint32_t k = 0; k < pass->ir->arrays[i].rank && pass->ir->arrays[i].kind != QN__ARRAY_TEMP; k++)
            r.is_extent[pass->ir->arrays[i].extent[k]] = 1;
    walk(&r, pass->ir->body);
    return !pass->ir->failed;
}
