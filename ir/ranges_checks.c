/* Checks: proved and removed, kept with a reason, or found to fail. One remark for each. */
#include "ir/ranges.h"

#include "ir/abi.h"
#include "ir/eval.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct reason { char text[160]; } reason;

static const char *parameter_name(const qn__ir *ir, uint64_t index) {
    const qn__signature *s = ir->signature;
    for (uint32_t i = 0; s && i < s->parameter_count; i++)
        if (s->parameters[i].kind == QN__PARAMETER_SCALAR && s->parameters[i].index == index)
            return s->parameters[i].name;
    return "?";
}

/* Why little is known about a value. */
static reason explain_value(const qn__ir *ir, qn__value value) {
    reason why = {"it is computed in a way that is not followed"};
    const qn__instr *instr = qn__definition(ir, value);
    if (!instr) {
        const qn__instr *owner = &ir->instrs[ir->regions[ir->values[value].region].owner];
        bool carried = owner->op == QN__OP_WHILE || ir->values[value].index > 0;
        if (owner->op == QN__OP_PARALLEL || owner->op == QN__OP_KEEP || !carried)
            snprintf(why.text, sizeof why.text, "the bounds of its index do not imply it");
        else snprintf(why.text, sizeof why.text, "it changes from one iteration of a loop to the next");
        return why;
    }
    switch ((int)instr->op) {
    case QN__OP_LOAD:
        snprintf(why.text, sizeof why.text, "it is read from array '%.60s'", ir->arrays[instr->imm].name);
        break;
    case QN__OP_PARAM:
        snprintf(why.text, sizeof why.text, "it depends on the parameter '%.60s'", parameter_name(ir, instr->imm));
        break;
    case QN__OP_SIZE: snprintf(why.text, sizeof why.text, "the sizes need not be so related"); break;
    case QN__OP_CONVERT: snprintf(why.text, sizeof why.text, "it comes from a conversion"); break;
    case QN__OP_LOCAL_LOAD: snprintf(why.text, sizeof why.text, "it is read from a local array"); break;
    case QN__OP_EXTERN_CALL: snprintf(why.text, sizeof why.text, "it comes from the host"); break;
    case QN__OP_FOR:
    case QN__OP_WHILE: snprintf(why.text, sizeof why.text, "it is the result of a loop"); break;
    case QN__OP_REDUCE: snprintf(why.text, sizeof why.text, "it is the result of a reduction"); break;
    case QN__OP_REM:
    case QN__OP_DIV: snprintf(why.text, sizeof why.text, "it is the result of a division"); break;
    default: break;
    }
    return why;
}

/* The reason lies with the latest base of the form. */
static reason explain(const qn__ranges *r, const qn__form *form) {
    uint32_t latest = UINT32_MAX;
    const qn__base *bases = r->affine.bases;
    for (uint32_t i = 0; i < form->count; i++)
        if (latest == UINT32_MAX || bases[form->terms[i].base].order >= bases[latest].order) latest = form->terms[i].base;
    if (latest == UINT32_MAX) return (reason){"it is a constant, the sizes decide"};
    if (!bases[latest].value) return (reason){"it contains a product of values that vary"};
    return explain_value(r->ir, bases[latest].value);
}

static void proved(qn__ranges *r, qn__instr_ref ref, const char *what) {
    qn__ir_remark(r->ir, QN__REMARK_PROVED, r->ir->instrs[ref].location, "%s", what);
    qn__instr_remove(r->ir, ref);
}

/* --- failing for certain ------------------------------------------------------------------------------------------ */

static bool is_invariant(const qn__ranges *r, const qn__form *form) {
    for (uint32_t i = 0; i < form->count; i++)
        if (r->affine.bases[form->terms[i].base].order >= r->stage_order) return false;
    return true;
}

static int64_t factor_of(const qn__form *form, uint32_t base) {
    for (uint32_t i = 0; i < form->count; i++)
        if (form->terms[i].base == base) return form->terms[i].factor;
    return 0;
}

/* The form at the corner of the domain where it is least or greatest; false when it is no form over the domain's axes. */
static bool corner(const qn__ranges *r, const qn__form *form, bool greatest, qn__form *out) {
    *out = *form;
    for (size_t i = r->axis_count; i-- > 0;) {
        const qn__axis *axis = &r->axes[i];
        int64_t factor = factor_of(out, axis->base);
        if (!factor) continue;
        bool at_end = (factor > 0) == greatest;
        const qn__form *end = at_end ? axis->high : axis->low;
        qn__form itself = qn__form_of_base(axis->base);
        if (!is_invariant(r, end) || factor == INT64_MIN || !qn__form_add(out, out, &itself, -factor) ||
            !qn__form_add(out, out, end, factor))
            return false;
        if (at_end && __builtin_sub_overflow(out->constant, factor, &out->constant)) return false;
    }
    return is_invariant(r, out);
}

static bool fails(qn__ranges *r, qn__instr_ref ref, const qn__form *index, const qn__form *extent) {
    qn__form at, zero = qn__form_constant(0);
    bool low = corner(r, index, false, &at) && qn__prove_at_most(&r->affine, &at, 1, &zero);
    bool high = !low && is_invariant(r, extent) && corner(r, index, true, &at) &&
                qn__prove_at_most(&r->affine, extent, 0, &at);
    if (!low && !high) return false;
    if (low) qn__ir_remark(r->ir, QN__REMARK_FAILS, r->ir->instrs[ref].location, "the index is negative at the start of its range");
    else qn__ir_remark(r->ir, QN__REMARK_FAILS, r->ir->instrs[ref].location, "the index reaches the extent at the end of its range");
    if (r->ir->failed) return true;
    qn__remark *remark = &r->ir->remarks[r->ir->remark_count - 1];
    if (!at.count) remark->index = at.constant;
    if (!extent->count) remark->extent = extent->constant;
    return true;
}

/* --- the kinds of checks ------------------------------------------------------------------------------------------ */

static void check_index(qn__ranges *r, qn__instr_ref ref) {
    const qn__instr *instr = &r->ir->instrs[ref];
    const qn__form *index = qn__ranges_form(r, instr->args[0]), *extent = qn__ranges_form(r, instr->args[1]);
    qn__form zero = qn__form_constant(0);
    bool low = qn__prove(&r->affine, index), high = qn__prove_at_most(&r->affine, index, 1, extent);
    if (low && high) {
        proved(r, ref, "the index is inside the array");
        return;
    }
    if (r->certain && fails(r, ref, index, extent)) return;
    reason why = explain(r, index);
    const char *what = !low && !high ? "the index may leave the array" : low ? "the index may reach the extent" : "the index may be negative";
    qn__ir_remark(r->ir, QN__REMARK_KEPT, instr->location, "%s: %s", what, why.text);
    qn__fact_at_most(&r->affine, &zero, 0, index);
    qn__fact_at_most(&r->affine, index, 1, extent);
}

static void check_nonzero(qn__ranges *r, qn__instr_ref ref) {
    const qn__instr *instr = &r->ir->instrs[ref];
    const qn__form *x = qn__ranges_form(r, instr->args[0]);
    qn__form zero = qn__form_constant(0);
    if (qn__nonzero_known(&r->affine, x) || qn__prove_at_most(&r->affine, &zero, 1, x) ||
        qn__prove_at_most(&r->affine, x, 1, &zero)) {
        proved(r, ref, "the divisor is not zero");
        return;
    }
    if (!x->count && !x->constant && r->certain) {
        qn__ir_remark(r->ir, QN__REMARK_FAILS, instr->location, "the divisor is zero");
        return;
    }
    reason why = explain(r, x);
    qn__ir_remark(r->ir, QN__REMARK_KEPT, instr->location, "the divisor may be zero: %s", why.text);
    qn__nonzero_add(&r->affine, x);
    if (qn__prove(&r->affine, x)) qn__fact_at_most(&r->affine, &zero, 1, x);
}

static bool holds(qn__ranges *r, qn__value cond, uint32_t depth) {
    uint64_t bits;
    const qn__instr *instr = qn__definition(r->ir, cond);
    if (!instr || !depth) return false;
    if (qn__is_const(r->ir, cond, &bits)) return bits;
    if (instr->op == QN__OP_AND) return holds(r, instr->args[0], depth - 1) && holds(r, instr->args[1], depth - 1);
    if (instr->op == QN__OP_OR) return holds(r, instr->args[0], depth - 1) || holds(r, instr->args[1], depth - 1);
    if (qn__op_table[instr->op].rule != QN__RULE_CMP || !qn__is_int(qn__type_of(r->ir, instr->args[0]))) return false;
    const qn__form *a = qn__ranges_form(r, instr->args[0]), *b = qn__ranges_form(r, instr->args[1]);
    qn__affine *affine = &r->affine;
    switch ((int)instr->op) {
    case QN__OP_LT: return qn__prove_at_most(affine, a, 1, b);
    case QN__OP_LE: return qn__prove_at_most(affine, a, 0, b);
    case QN__OP_GT: return qn__prove_at_most(affine, b, 1, a);
    case QN__OP_GE: return qn__prove_at_most(affine, b, 0, a);
    case QN__OP_EQ: return qn__prove_at_most(affine, a, 0, b) && qn__prove_at_most(affine, b, 0, a);
    case QN__OP_NE: return qn__prove_at_most(affine, a, 1, b) || qn__prove_at_most(affine, b, 1, a);
    default: return false;
    }
}

/* Never true, whatever the sizes are. */
static bool never(qn__ranges *r, qn__value cond, uint32_t depth) {
    uint64_t bits;
    const qn__instr *instr = qn__definition(r->ir, cond);
    if (!instr || !depth) return false;
    if (qn__is_const(r->ir, cond, &bits)) return !bits;
    if (instr->op == QN__OP_AND) return never(r, instr->args[0], depth - 1) || never(r, instr->args[1], depth - 1);
    if (instr->op == QN__OP_OR) return never(r, instr->args[0], depth - 1) && never(r, instr->args[1], depth - 1);
    if (qn__op_table[instr->op].rule != QN__RULE_CMP || !qn__is_int(qn__type_of(r->ir, instr->args[0]))) return false;
    const qn__form *a = qn__ranges_form(r, instr->args[0]), *b = qn__ranges_form(r, instr->args[1]);
    qn__affine *affine = &r->affine;
    switch ((int)instr->op) {
    case QN__OP_LT: return qn__prove_at_most(affine, b, 0, a);
    case QN__OP_LE: return qn__prove_at_most(affine, b, 1, a);
    case QN__OP_GT: return qn__prove_at_most(affine, a, 0, b);
    case QN__OP_GE: return qn__prove_at_most(affine, a, 1, b);
    case QN__OP_EQ: return qn__prove_at_most(affine, a, 1, b) || qn__prove_at_most(affine, b, 1, a);
    case QN__OP_NE: return qn__prove_at_most(affine, a, 0, b) && qn__prove_at_most(affine, b, 0, a);
    default: return false;
    }
}

static void check_condition(qn__ranges *r, qn__instr_ref ref) {
    static const char *const faults[] = {"",
#define X(ENUM, text) text,
#include "ir/faults.def"
#undef X
    };
    const qn__instr *instr = &r->ir->instrs[ref];
    const char *what = instr->aux < QN__FAULT_COUNT ? faults[instr->aux] : "";
    char text[128];
    if (holds(r, instr->args[0], 8)) {
        snprintf(text, sizeof text, "cannot happen: %s", what);
        proved(r, ref, text);
        return;
    }
    if (r->certain && never(r, instr->args[0], 8)) {
        qn__ir_remark(r->ir, QN__REMARK_FAILS, instr->location, "%s", what);
        return;
    }
    qn__ir_remark(r->ir, QN__REMARK_KEPT, instr->location, "may happen: %s", what);
    r->affine.assume(&r->affine, instr->args[0], true);
}

void qn__ranges_check(qn__ranges *r, qn__instr_ref ref) {
    switch ((int)r->ir->instrs[ref].op) {
    case QN__OP_CHECK_INDEX: check_index(r, ref); return;
    case QN__OP_CHECK_NONZERO: check_nonzero(r, ref); return;
    default: check_condition(r, ref); return;
    }
}
