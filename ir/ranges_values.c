/* What integer values are: an affine form where the operation provably does not wrap, else a base of its own with bounds
 * and facts. And what a condition tells about values. */
#include "ir/ranges.h"

#include "ir/eval.h"

/* What a type can hold; for 64 bits, what is certainly not a wrapped result. */
void qn__ranges_limits(qn__type type, int64_t *low, int64_t *high) {
    uint32_t bits = type == QN__TYPE_BOOL ? 1 : qn__type_bits(type);
    if (qn__is_signed(type)) {
        *high = bits < 64 ? (INT64_C(1) << (bits - 1)) - 1 : QN__EXACT_LIMIT;
        *low = -*high - (bits < 64);
    } else {
        *low = 0;
        *high = bits < 64 ? (INT64_C(1) << bits) - 1 : QN__EXACT_LIMIT;
    }
}

/* Bounds of any value of the type. */
static void type_bounds(qn__type type, int64_t *low, int64_t *high) {
    qn__ranges_limits(type, low, high);
    if (qn__type_bits(type) < 64) return;
    *high = QN__INFINITE;
    if (qn__is_signed(type)) *low = -QN__INFINITE;
}

static const qn__form *keep_form(qn__ranges *r, const qn__form *form) {
    qn__form *copy = QN__ARENA_NEW(r->pass->scratch, qn__form);
    static const qn__form zero;
    if (!copy) {
        r->ir->failed = true;
        return &zero;
    }
    *copy = *form;
    return copy;
}

const qn__form *qn__ranges_opaque(qn__ranges *r, qn__value value, int64_t low, int64_t high) {
    int64_t type_low, type_high;
    type_bounds(qn__type_of(r->ir, value), &type_low, &type_high);
    if (low < type_low) low = type_low;
    if (high > type_high) high = type_high;
    if (r->is_extent[value]) {
        if (low < 0) low = 0;
        if (high > QN__SIZE_LIMIT) high = QN__SIZE_LIMIT;
    }
    uint32_t base = qn__base_create(&r->affine, value, low, high);
    qn__form form = qn__form_of_base(base == UINT32_MAX ? 0 : base);
    if (base == UINT32_MAX) form = qn__form_constant(0);
    return r->forms[value] = keep_form(r, &form);
}

static const qn__form *unknown(qn__ranges *r, qn__value value) {
    return qn__ranges_opaque(r, value, -QN__INFINITE, QN__INFINITE);
}

const qn__form *qn__ranges_form(qn__ranges *r, qn__value value) {
    return r->forms[value] ? r->forms[value] : unknown(r, value);
}

void qn__ranges_alias(qn__ranges *r, qn__value value, qn__value known) {
    if (qn__is_int(qn__type_of(r->ir, value))) r->forms[value] = qn__ranges_form(r, known);
}

/* Some base of the form is bounded by more than its own bounds. */
static bool has_facts(const qn__ranges *r, const qn__form *form) {
    for (uint32_t i = 0; i < form->count; i++) {
        const qn__base *base = &r->affine.bases[form->terms[i].base];
        if (base->links[0] || base->links[1] || base->choice.yes || !base->value) return true;
    }
    return false;
}

static bool stays_within(qn__ranges *r, const qn__form *form, int64_t low, int64_t high) {
    bool above = qn__form_low(&r->affine, form) >= low, below = qn__form_high(&r->affine, form) <= high;
    if (above && below) return true;
    if (!has_facts(r, form)) return false;
    qn__form least = qn__form_constant(low), most = qn__form_constant(high);
    return (above || qn__prove_at_most(&r->affine, &least, 0, form)) &&
           (below || qn__prove_at_most(&r->affine, form, 0, &most));
}

/* The value is the form if that fits the type, else something. */
static void define(qn__ranges *r, qn__value value, bool known, const qn__form *form) {
    int64_t low, high;
    qn__ranges_limits(qn__type_of(r->ir, value), &low, &high);
    /* the runtime has computed extents without overflow before the kernel runs */
    if (known && (r->is_extent[value] || stays_within(r, form, low, high))) {
        r->forms[value] = keep_form(r, form);
        if (!r->is_extent[value]) return;
        qn__form zero = qn__form_constant(0), most = qn__form_constant(QN__SIZE_LIMIT);
        qn__fact_at_most(&r->affine, &zero, 0, form);
        qn__fact_at_most(&r->affine, form, 0, &most);
        return;
    }
    unknown(r, value);
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* A base that is one of two forms. */
static void define_choice(qn__ranges *r, qn__value value, const qn__form *yes, const qn__form *no, qn__value cond,
                          int64_t low, int64_t high) {
    const qn__form *form = qn__ranges_opaque(r, value, low, high);
    if (form->count) r->affine.bases[form->terms[0].base].choice = (qn__choice){.yes = yes, .no = no, .cond = cond};
}

void qn__ranges_pick(qn__ranges *r, qn__value value, qn__value init, qn__value lo, qn__value hi) {
    qn__affine *affine = &r->affine;
    const qn__form *no = qn__ranges_form(r, init), *first = qn__ranges_form(r, lo), *end = qn__ranges_form(r, hi);
    int64_t low = qn__form_low(affine, first), high = qn__form_high(affine, end);
    const qn__form *yes = qn__ranges_opaque(r, value, low, high); /* the picked index; on its own it says nothing */
    define_choice(r, value, yes, no, 0, smaller(low, qn__form_low(affine, no)), larger(high, qn__form_high(affine, no)));
    const qn__form *form = r->forms[value];
    if (!form->count || !yes->count) return;
    qn__choice *choice = &affine->bases[form->terms[0].base].choice;
    choice->low = first;
    choice->high = end;
}

void qn__ranges_choose(qn__ranges *r, qn__value value, qn__value cond, qn__value yes, qn__value no) {
    if (!qn__is_int(qn__type_of(r->ir, value))) return;
    const qn__form *a = qn__ranges_form(r, yes), *b = qn__ranges_form(r, no);
    qn__affine *affine = &r->affine;
    if (a == b) r->forms[value] = a;
    else
        define_choice(r, value, a, b, cond, smaller(qn__form_low(affine, a), qn__form_low(affine, b)),
                      larger(qn__form_high(affine, a), qn__form_high(affine, b)));
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static bool at_least(qn__ranges *r, const qn__form *form, int64_t least) {
    qn__form low = qn__form_constant(least);
    return qn__form_low(&r->affine, form) >= least || qn__prove_at_most(&r->affine, &low, 0, form);
}

static void value_extremum(qn__ranges *r, qn__value value, bool is_min, const qn__form *a, const qn__form *b) {
    qn__affine *affine = &r->affine;
    int64_t (*pick)(int64_t, int64_t) = is_min ? smaller : larger;
    define_choice(r, value, a, b, 0, pick(qn__form_low(affine, a), qn__form_low(affine, b)),
                  pick(qn__form_high(affine, a), qn__form_high(affine, b)));
    const qn__form *form = r->forms[value];
    qn__fact_at_most(affine, is_min ? form : a, 0, is_min ? a : form);
    qn__fact_at_most(affine, is_min ? form : b, 0, is_min ? b : form);
}

/* a % b with b >= 1: between -(b - 1) and b - 1, of a's sign. */
static void value_rem(qn__ranges *r, qn__value value, const qn__form *a, const qn__form *b) {
    if (!at_least(r, b, 1)) {
        unknown(r, value);
        return;
    }
    qn__affine *affine = &r->affine;
    bool natural = at_least(r, a, 0);
    int64_t high = qn__form_high(affine, b);
    if (high != QN__INFINITE) high--;
    const qn__form *form = qn__ranges_opaque(r, value, natural ? 0 : -high, high);
    qn__fact_at_most(affine, form, 1, b);
    if (natural) {
        qn__fact_at_most(affine, form, 0, a);
        return;
    }
    qn__form sum, one = qn__form_constant(1); /* 1 - b <= a % b */
    if (qn__form_add(&sum, form, b, 1)) qn__fact_at_most(affine, &one, 0, &sum);
}

/* floor(a / c), c > 0, where truncation is floor: c * q <= a <= c * q + c - 1. */
static void value_quotient(qn__ranges *r, qn__value value, const qn__form *a, int64_t c) {
    qn__affine *affine = &r->affine;
    int64_t low = qn__form_low(affine, a), high = qn__form_high(affine, a);
    if (low > -QN__INFINITE) low = low / c - (low % c < 0);
    if (high < QN__INFINITE) high = high / c - (high % c < 0);
    const qn__form *form = qn__ranges_opaque(r, value, low, high);
    qn__form zero = qn__form_constant(0), scaled;
    if (!qn__form_add(&scaled, &zero, form, c)) return;
    qn__fact_at_most(affine, &scaled, 0, a);
    qn__fact_at_most(affine, a, -(c - 1), &scaled);
}

static void value_div(qn__ranges *r, const qn__instr *instr, const qn__form *a, const qn__form *b) {
    uint64_t bits;
    qn__value value = instr->first_result;
    bool natural = at_least(r, a, 0);
    if (qn__is_const(r->ir, instr->args[1], &bits)) {
        int64_t c = qn__eval_int(qn__type_of(r->ir, value), bits);
        if (c > 0 && natural) {
            value_quotient(r, value, a, c);
            return;
        }
    }
    if (!natural || !at_least(r, b, 1)) {
        unknown(r, value);
        return;
    }
    const qn__form *form = qn__ranges_opaque(r, value, 0, qn__form_high(&r->affine, a));
    qn__fact_at_most(&r->affine, form, 0, a);
}

static void value_and(qn__ranges *r, qn__value value, const qn__form *a, const qn__form *b) {
    bool a_natural = at_least(r, a, 0), b_natural = at_least(r, b, 0);
    if (!a_natural && !b_natural) {
        unknown(r, value);
        return;
    }
    int64_t high = QN__INFINITE;
    if (a_natural) high = smaller(high, qn__form_high(&r->affine, a));
    if (b_natural) high = smaller(high, qn__form_high(&r->affine, b));
    const qn__form *form = qn__ranges_opaque(r, value, 0, high);
    if (a_natural) qn__fact_at_most(&r->affine, form, 0, a);
    if (b_natural) qn__fact_at_most(&r->affine, form, 0, b);
}

static void value_bits(qn__ranges *r, const qn__instr *instr, const qn__form *a, const qn__form *b) {
    int64_t high = larger(qn__form_high(&r->affine, a), qn__form_high(&r->affine, b)), mask = 1;
    bool natural = qn__form_low(&r->affine, a) >= 0 && qn__form_low(&r->affine, b) >= 0;
    while (mask < high && mask < QN__EXACT_LIMIT) mask = mask * 2 + 1;
    if (natural && mask >= high) qn__ranges_opaque(r, instr->first_result, 0, mask);
    else unknown(r, instr->first_result);
}

static void value_shift(qn__ranges *r, const qn__instr *instr, const qn__form *a) {
    uint64_t bits;
    qn__value value = instr->first_result;
    qn__type type = qn__type_of(r->ir, value);
    if (!qn__is_const(r->ir, instr->args[1], &bits)) {
        unknown(r, value);
        return;
    }
    bits &= qn__type_bits(type) - 1;
    if (bits > 47) {
        unknown(r, value);
    } else if (instr->op == QN__OP_SHR) {
        value_quotient(r, value, a, INT64_C(1) << bits);
    } else {
        qn__form zero = qn__form_constant(0), form;
        bool known = qn__form_add(&form, &zero, a, INT64_C(1) << bits);
        define(r, value, known, &form);
    }
}

static void value_abs(qn__ranges *r, qn__value value, const qn__form *a) {
    qn__form zero = qn__form_constant(0), negated;
    int64_t low = qn__form_low(&r->affine, a), high = qn__form_high(&r->affine, a);
    if (low >= 0) {
        r->forms[value] = a;
    } else if (low > -QN__EXACT_LIMIT && high < QN__EXACT_LIMIT && qn__form_add(&negated, &zero, a, -1)) {
        int64_t type_low, type_high;
        qn__ranges_limits(qn__type_of(r->ir, value), &type_low, &type_high);
        if (low == type_low) unknown(r, value); /* the abs of the least number is itself */
        else define_choice(r, value, a, keep_form(r, &negated), 0, 0, larger(-low, high));
    } else {
        unknown(r, value);
    }
}

static void value_convert(qn__ranges *r, const qn__instr *instr) {
    qn__value value = instr->first_result;
    qn__type from = qn__type_of(r->ir, instr->args[0]);
    if (from == QN__TYPE_BOOL) qn__ranges_opaque(r, value, 0, 1);
    else if (!qn__is_int(from)) unknown(r, value);
    else define(r, value, true, qn__ranges_form(r, instr->args[0]));
}

static void value_arithmetic(qn__ranges *r, const qn__instr *instr) {
    const qn__form *a = qn__ranges_form(r, instr->args[0]);
    const qn__form *b = instr->arg_count > 1 ? qn__ranges_form(r, instr->args[1]) : a;
    qn__value value = instr->first_result;
    qn__form zero = qn__form_constant(0), form;
    bool known;
    switch ((int)instr->op) {
    case QN__OP_ADD: known = qn__form_add(&form, a, b, 1); break;
    case QN__OP_SUB: known = qn__form_add(&form, a, b, -1); break;
    case QN__OP_NEG: known = qn__form_add(&form, &zero, a, -1); break;
    case QN__OP_MUL: known = qn__form_multiply(&r->affine, &form, a, b); break;
    case QN__OP_MIN:
    case QN__OP_MAX: value_extremum(r, value, instr->op == QN__OP_MIN, a, b); return;
    case QN__OP_REM: value_rem(r, value, a, b); return;
    case QN__OP_DIV: value_div(r, instr, a, b); return;
    case QN__OP_AND: value_and(r, value, a, b); return;
    case QN__OP_OR:
    case QN__OP_XOR: value_bits(r, instr, a, b); return;
    case QN__OP_SHL:
    case QN__OP_SHR: value_shift(r, instr, a); return;
    case QN__OP_ABS: value_abs(r, value, a); return;
    case QN__OP_POPCOUNT: case QN__OP_CLZ: case QN__OP_CTZ: qn__ranges_opaque(r, value, 0, 64); return;
    default: unknown(r, value); return;
    }
    define(r, value, known, &form);
}

static bool is_size_parameter(const qn__ir *ir, uint64_t index) {
    const qn__signature *s = ir->signature;
    for (uint32_t i = 0; s && i < s->parameter_count; i++)
        if (s->parameters[i].kind == QN__PARAMETER_SCALAR && s->parameters[i].index == index)
            return s->parameters[i].is_size;
    return false;
}

void qn__ranges_value(qn__ranges *r, qn__instr_ref ref) {
    const qn__ir *ir = r->ir;
    const qn__instr *instr = &ir->instrs[ref];
    qn__value value = instr->first_result;
    if (instr->result_count != 1 || !qn__is_int(qn__type_of(ir, value))) return;
    switch ((int)instr->op) {
    case QN__OP_CONST: {
        qn__form form = qn__form_constant(qn__eval_int(qn__type_of(ir, value), instr->imm));
        bool huge = qn__type_of(ir, value) == QN__TYPE_U64 && form.constant < 0;
        define(r, value, !huge, &form);
        return;
    }
    case QN__OP_SIZE: qn__ranges_opaque(r, value, 0, QN__SIZE_LIMIT); return;
    case QN__OP_PARAM:
        if (is_size_parameter(ir, instr->imm)) qn__ranges_opaque(r, value, 0, QN__SIZE_LIMIT);
        else unknown(r, value);
        return;
    case QN__OP_SELECT: qn__ranges_choose(r, value, instr->args[0], instr->args[1], instr->args[2]); return;
    case QN__OP_CONVERT: value_convert(r, instr); return;
    case QN__OP_BITCAST: unknown(r, value); return;
    default: value_arithmetic(r, instr); return;
    }
}

/* --- conditions --------------------------------------------------------------------------------------------------- */

enum { ASSUME_DEPTH = 12 };

static void assume(qn__ranges *r, qn__value cond, bool truth, uint32_t depth);

static void assume_comparison(qn__ranges *r, const qn__instr *instr, bool truth) {
    if (!qn__is_int(qn__type_of(r->ir, instr->args[0]))) return;
    static const uint8_t opposite[QN__OP_COUNT] = {
        [QN__OP_EQ] = QN__OP_NE, [QN__OP_NE] = QN__OP_EQ, [QN__OP_LT] = QN__OP_GE,
        [QN__OP_GE] = QN__OP_LT, [QN__OP_GT] = QN__OP_LE, [QN__OP_LE] = QN__OP_GT};
    const qn__form *a = qn__ranges_form(r, instr->args[0]), *b = qn__ranges_form(r, instr->args[1]);
    qn__affine *affine = &r->affine;
    switch ((int)(truth ? instr->op : opposite[instr->op])) {
    case QN__OP_LT: qn__fact_at_most(affine, a, 1, b); return;
    case QN__OP_LE: qn__fact_at_most(affine, a, 0, b); return;
    case QN__OP_GT: qn__fact_at_most(affine, b, 1, a); return;
    case QN__OP_GE: qn__fact_at_most(affine, b, 0, a); return;
    case QN__OP_EQ:
        qn__fact_at_most(affine, a, 0, b);
        qn__fact_at_most(affine, b, 0, a);
        return;
    default: break; /* different: at an end of the range, that is an inequality */
    }
    qn__form difference;
    if (!qn__form_add(&difference, a, b, -1)) return;
    qn__nonzero_add(affine, &difference);
    if (qn__form_low(affine, &difference) == 0) qn__fact_at_most(affine, b, 1, a);
    else if (qn__form_high(affine, &difference) == 0) qn__fact_at_most(affine, a, 1, b);
}

/* `a and b` where b has checks is: if a { b } else { false }; `or` alike. */
static void assume_result(qn__ranges *r, const qn__instr *instr, uint32_t index, bool truth, uint32_t depth) {
    const qn__ir *ir = r->ir;
    qn__value yields[2];
    uint64_t bits;
    for (uint32_t i = 0; i < 2; i++) yields[i] = ir->instrs[ir->regions[instr->regions[i]].last].args[index];
    for (uint32_t i = 0; i < 2; i++) {
        if (!qn__is_const(ir, yields[1 - i], &bits) || (bits != 0) == truth) continue;
        assume(r, instr->args[0], i == 0, depth - 1);
        assume(r, yields[i], truth, depth - 1);
    }
}

static void assume(qn__ranges *r, qn__value cond, bool truth, uint32_t depth) {
    const qn__instr *instr = qn__definition(r->ir, cond);
    if (!instr || !depth) return;
    if (qn__op_table[instr->op].rule == QN__RULE_CMP) {
        assume_comparison(r, instr, truth);
    } else if (instr->op == QN__OP_NOT) {
        assume(r, instr->args[0], !truth, depth - 1);
    } else if (instr->op == (truth ? QN__OP_AND : QN__OP_OR)) {
        assume(r, instr->args[0], truth, depth - 1);
        assume(r, instr->args[1], truth, depth - 1);
    } else if (instr->op == QN__OP_IF) {
        assume_result(r, instr, r->ir->values[cond].index, truth, depth);
    }
}

void qn__ranges_assume(qn__affine *affine, qn__value cond, bool truth) {
    assume((qn__ranges *)(void *)affine, cond, truth, ASSUME_DEPTH);
}
