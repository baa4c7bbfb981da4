/* Subscripts as streaming sees them: is a value the cut index plus a little, whatever the point?
 *
 * Intervals over two kinds of numbers: constants, and distances from the index. Nothing else is needed for stencils: `i + c`, windows
 * (`i + k` with k from a loop with constant bounds), and the edge mode clamp, which never leads further away from i. */
#include "ir/stream_private.h"

enum { BUDGET = 4000 };

static const qn__reach other = {QN__REACH_OTHER, 0, 0};

uint32_t qn__stage_rank(const qn__instr *stage) {
    switch ((int)stage->op) {
    case QN__OP_PARALLEL: return (uint32_t)stage->imm;
    case QN__OP_KEEP: return stage->arg_count / 2;
    case QN__OP_REDUCE: return 1;
    default: return 0;
    }
}

uint32_t qn__stage_regions(const qn__instr *stage) { return stage->op == QN__OP_PARALLEL ? stage->region_count : 1; }

qn__reacher qn__reacher_of(const qn__ir *ir, qn__instr_ref stage, uint32_t index) {
    return (qn__reacher){.ir = ir, .stage = &ir->instrs[stage], .index = index, .budget = BUDGET};
}

static bool is_cut_index(const qn__reacher *r, qn__value v) {
    for (uint32_t k = 0; k < qn__stage_regions(r->stage); k++)
        if (v == r->ir->regions[r->stage->regions[k]].first_param + r->index) return true;
    return false;
}

static qn__reach interval(qn__reach_kind kind, int64_t low, int64_t high) {
    if (low < -QN__STREAM_HALO_LIMIT || high > QN__STREAM_HALO_LIMIT || low > high) return other;
    return (qn__reach){(uint8_t)kind, low, high};
}

/* The index variable of a `for` or reduction with constant bounds. */
static qn__reach loop_index(qn__reacher *r, qn__value v) {
    const qn__value_info *info = &r->ir->values[v];
    const qn__instr_ref owner = r->ir->regions[info->region].owner;
    if (!owner || info->index) return other;
    const qn__instr *loop = &r->ir->instrs[owner];
    if ((loop->op != QN__OP_FOR && loop->op != QN__OP_REDUCE) || loop->regions[0] != info->region) return other;
    const qn__reach lo = qn__reach_of(r, loop->args[0]), hi = qn__reach_of(r, loop->args[1]);
    if (lo.kind != QN__REACH_NUMBER || hi.kind != QN__REACH_NUMBER) return other;
    return interval(QN__REACH_NUMBER, lo.low, hi.high - 1);
}

/* value = base + constant. */
static void split_constant(const qn__ir *ir, qn__value value, qn__value *base, int64_t *constant) {
    uint64_t bits;
    *base = value;
    *constant = 0;
    if (qn__is_const(ir, value, &bits)) {
        *base = 0;
        *constant = (int64_t)bits;
        return;
    }
    const qn__instr *d = qn__definition(ir, value);
    if (!d || (d->op != QN__OP_ADD && d->op != QN__OP_SUB)) return;
    if (qn__is_const(ir, d->args[1], &bits)) {
        *base = d->args[0];
        *constant = d->op == QN__OP_ADD ? (int64_t)bits : (int64_t)(0 - bits);
    } else if (d->op == QN__OP_ADD && qn__is_const(ir, d->args[0], &bits)) {
        *base = d->args[1];
        *constant = (int64_t)bits;
    }
}

/* v >= the cut index at every point, since v + 1 >= the domain's end. */
static bool above_index(const qn__reacher *r, qn__value v) {
    qn__value base, end_base;
    int64_t constant, end_constant, least;
    split_constant(r->ir, v, &base, &constant);
    split_constant(r->ir, r->stage->args[2 * r->index + 1], &end_base, &end_constant);
    return base == end_base && !__builtin_add_overflow(constant, 1, &least) && least >= end_constant;
}

static bool below_index(qn__reacher *r, int64_t number) {
    const qn__reach lo = qn__reach_of(r, r->stage->args[2 * r->index]);
    return lo.kind == QN__REACH_NUMBER && number <= lo.low;
}

static int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

/* min and max with one side the index plus something, the other a bound that the index itself keeps. */
static qn__reach clamped(qn__reacher *r, const qn__instr *d) {
    for (uint32_t side = 0; side < 2; side++) {
        const qn__reach x = qn__reach_of(r, d->args[side]);
        if (x.kind != QN__REACH_INDEX) continue;
        const qn__value bound = d->args[1 - side];
        const qn__reach b = qn__reach_of(r, bound);
        if (d->op == QN__OP_MAX && b.kind == QN__REACH_NUMBER && below_index(r, b.high))
            return interval(QN__REACH_INDEX, x.low, greater(x.high, 0));
        if (d->op == QN__OP_MIN && above_index(r, bound)) return interval(QN__REACH_INDEX, lesser(x.low, 0), x.high);
    }
    return other;
}

static qn__reach product(qn__reach a, qn__reach b) {
    if (a.kind != QN__REACH_NUMBER || b.kind != QN__REACH_NUMBER) return other; /* both below 2^20: no overflow */
    const int64_t p[4] = {a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high};
    int64_t low = p[0], high = p[0];
    for (int i = 1; i < 4; i++) low = lesser(low, p[i]), high = greater(high, p[i]);
    return interval(QN__REACH_NUMBER, low, high);
}

static qn__reach hull(qn__reach a, qn__reach b) {
    if (a.kind != b.kind || a.kind == QN__REACH_OTHER) return other;
    return interval((qn__reach_kind)a.kind, lesser(a.low, b.low), greater(a.high, b.high));
}

static qn__reach extreme(qn__reacher *r, const qn__instr *d) {
    const qn__reach a = qn__reach_of(r, d->args[0]), b = qn__reach_of(r, d->args[1]);
    if (a.kind != b.kind || a.kind == QN__REACH_OTHER) return clamped(r, d);
    if (d->op == QN__OP_MIN) return interval((qn__reach_kind)a.kind, lesser(a.low, b.low), lesser(a.high, b.high));
    return interval((qn__reach_kind)a.kind, greater(a.low, b.low), greater(a.high, b.high));
}

static qn__reach sum(qn__reach a, qn__reach b) {
    if (!a.kind || !b.kind || (a.kind == QN__REACH_INDEX && b.kind == QN__REACH_INDEX)) return other;
    return interval(a.kind == QN__REACH_INDEX || b.kind == QN__REACH_INDEX ? QN__REACH_INDEX : QN__REACH_NUMBER, a.low + b.low, a.high + b.high);
}

static qn__reach difference(qn__reach a, qn__reach b) {
    if (!a.kind || !b.kind) return other;
    if (a.kind == QN__REACH_NUMBER && b.kind == QN__REACH_INDEX) return other;
    return interval(a.kind == b.kind ? QN__REACH_NUMBER : QN__REACH_INDEX, a.low - b.high, a.high - b.low);
}

qn__reach qn__reach_of(qn__reacher *r, qn__value v) {
    if (!r->budget) return other;
    r->budget--;
    if (is_cut_index(r, v)) return (qn__reach){QN__REACH_INDEX, 0, 0};
    const qn__instr *d = qn__definition(r->ir, v);
    if (!d) return loop_index(r, v);
    if (qn__type_of(r->ir, v) != QN__TYPE_I64) return other;
    switch ((int)d->op) {
    case QN__OP_CONST: return interval(QN__REACH_NUMBER, (int64_t)d->imm, (int64_t)d->imm);
    case QN__OP_ADD: return sum(qn__reach_of(r, d->args[0]), qn__reach_of(r, d->args[1]));
    case QN__OP_SUB: return difference(qn__reach_of(r, d->args[0]), qn__reach_of(r, d->args[1]));
    case QN__OP_MUL: return product(qn__reach_of(r, d->args[0]), qn__reach_of(r, d->args[1]));
    case QN__OP_MIN:
    case QN__OP_MAX: return extreme(r, d);
    case QN__OP_SELECT: return hull(qn__reach_of(r, d->args[1]), qn__reach_of(r, d->args[2]));
    default: return other;
    }
}

int qn__reach_index(const qn__ir *ir, qn__instr_ref stage, qn__value value, qn__reach *reach) {
    for (uint32_t k = 0; k < qn__stage_rank(&ir->instrs[stage]); k++) {
        qn__reacher r = qn__reacher_of(ir, stage, k);
        *reach = qn__reach_of(&r, value);
        if (reach->kind == QN__REACH_INDEX) return (int)k;
    }
    return -1;
}

void qn__stream_visit_item(const qn__ir *ir, qn__instr_ref ref, void (*visit)(void *user, qn__instr_ref ref), void *user) {
    visit(user, ref);
    for (uint32_t r = 0; r < ir->instrs[ref].region_count; r++) qn__stream_visit(ir, ir->instrs[ref].regions[r], visit, user);
}

void qn__stream_visit(const qn__ir *ir, qn__region_ref region, void (*visit)(void *user, qn__instr_ref ref), void *user) {
    for (qn__instr_ref ref = ir->regions[region].first, next; ref; ref = next) {
        next = ir->instrs[ref].next; /* visit may remove it */
        qn__stream_visit_item(ir, ref, visit, user);
    }
}
