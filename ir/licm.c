/* licm: what does not depend on a loop moves in front of it. Loops are all operations whose regions run many times: for,
 * while, reduce, scan, keep, parallel; so constants and sizes end up at kernel level.
 *
 * Pure operations never trap, so they may always move, also out of an `if` on the way. A check may move out of a loop
 * when it is the first thing there that can be observed and its operands do not depend on the loop; since the loop may
 * run not at all, it then checks (nonempty ? index : 0) against (nonempty ? extent : 1), and alike.
 *
 * requires: nothing; ranges should have run, since it proves checks best where they were written
 * preserves: the order of observable errors
 * breaks: nothing */
#include "ir/pass.h"

static bool is_loop(uint32_t op) {
    return op == QN__OP_FOR || op == QN__OP_WHILE || op == QN__OP_REDUCE || op == QN__OP_SCAN || op == QN__OP_KEEP ||
           op == QN__OP_PARALLEL;
}

static bool uses_region(const qn__ir *ir, const qn__instr *instr, qn__region_ref region) {
    for (uint32_t i = 0; i < instr->arg_count; i++)
        if (qn__region_of(ir, instr->args[i]) == region) return true;
    return false;
}

/* The outermost loop that the instruction does not depend on, or 0. */
static qn__instr_ref hoist_target(const qn__ir *ir, const qn__instr *instr) {
    qn__instr_ref target = 0;
    for (qn__region_ref region = instr->region; !uses_region(ir, instr, region);) {
        qn__instr_ref owner = ir->regions[region].owner;
        if (!owner) break;
        if (is_loop(ir->instrs[owner].op)) target = owner;
        region = ir->instrs[owner].region;
    }
    return target;
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

/* The number of bound pairs of a loop whose body runs exactly when all of them are not empty; 0 for other loops. */
static uint32_t bound_pairs(const qn__instr *owner, qn__region_ref region) {
    switch ((int)owner->op) {
    case QN__OP_FOR: return 1;
    case QN__OP_REDUCE: return region == owner->regions[0] ? 1 : 0;
    case QN__OP_KEEP: return owner->arg_count / 2;
    case QN__OP_PARALLEL: return owner->region_count == 1 ? owner->arg_count / 2 : 0;
    default: return 0;
    }
}

static bool is_certain(const qn__ir *ir, qn__value lo, qn__value hi) {
    uint64_t a, b;
    return qn__is_const(ir, lo, &a) && qn__is_const(ir, hi, &b) && (int64_t)a < (int64_t)b;
}

/* Something just built moves on at once, so that the check that uses it can. */
static qn__value settled(const qn__builder *b, qn__value built) {
    qn__ir *ir = b->ir;
    if (!built) return 0;
    qn__instr_ref ref = ir->values[built].instr, target = hoist_target(ir, &ir->instrs[ref]);
    if (target) qn__instr_move_before(ir, ref, target);
    return built;
}

/* A condition in front of the loop that says whether its body runs; 0 when it surely does. */
static qn__value build_nonempty(qn__builder *b, qn__instr_ref loop, uint32_t pairs) {
    qn__ir *ir = b->ir;
    qn__value all = 0;
    for (uint32_t i = 0; i < pairs; i++) {
        qn__value lo = ir->instrs[loop].args[2 * i], hi = ir->instrs[loop].args[2 * i + 1];
        if (is_certain(ir, lo, hi)) continue;
        qn__value some = settled(b, qn__build_binary(b, QN__OP_LT, lo, hi));
        all = all ? settled(b, qn__build_binary(b, QN__OP_AND, all, some)) : some;
    }
    return all;
}

/* Replaces an operand by (nonempty ? operand : harmless). */
static void guard(qn__builder *b, qn__instr_ref check, uint32_t arg, qn__value nonempty, uint64_t harmless) {
    qn__value old = b->ir->instrs[check].args[arg];
    qn__value constant = settled(b, qn__build_const(b, qn__type_of(b->ir, old), harmless));
    qn__value safe = settled(b, qn__build_select(b, nonempty, old, constant));
    if (safe) b->ir->instrs[check].args[arg] = safe;
}

static bool hoist_check(qn__ir *ir, qn__instr_ref check) {
    qn__region_ref region = ir->instrs[check].region;
    qn__instr_ref loop = ir->regions[region].owner;
    if (!loop || uses_region(ir, &ir->instrs[check], region)) return false;
    uint32_t pairs = bound_pairs(&ir->instrs[loop], region);
    if (!pairs) return false;
    qn__builder b = {.ir = ir, .region = ir->instrs[loop].region, .before = loop, .location = ir->instrs[check].location};
    qn__value nonempty = build_nonempty(&b, loop, pairs);
    if (nonempty) {
        bool index = ir->instrs[check].op == QN__OP_CHECK_INDEX;
        guard(&b, check, 0, nonempty, index ? 0 : 1);
        if (index) guard(&b, check, 1, nonempty, 1);
    }
    if (ir->failed) return false;
    qn__instr_move_before(ir, check, loop);
    return true;
}

/* Raises no error, calls nobody and ends: a check may be made before it instead of behind it. What it writes does not count,
 * since the outputs of a call that fails are not to be looked at. */
static bool is_quiet(const qn__ir *ir, const qn__instr *instr) {
    uint8_t effect = qn__effect_of(instr);
    if (effect == QN__EFFECT_CHECK || effect == QN__EFFECT_CALL || instr->op == QN__OP_WHILE) return false;
    for (uint32_t i = 0; i < instr->region_count; i++)
        for (qn__instr_ref ref = ir->regions[instr->regions[i]].first; ref; ref = ir->instrs[ref].next)
            if (!is_quiet(ir, &ir->instrs[ref])) return false;
    return true;
}

/* Hoists the checks of a region before which nothing can be observed by one level. */
static void hoist_checks(qn__ir *ir, qn__region_ref region) {
    for (qn__instr_ref ref = ir->regions[region].first, next; ref && !ir->failed; ref = next) {
        next = ir->instrs[ref].next;
        bool check = qn__effect_of(&ir->instrs[ref]) == QN__EFFECT_CHECK;
        if (check ? !hoist_check(ir, ref) : !is_quiet(ir, &ir->instrs[ref])) return;
    }
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

static void hoist_pure(qn__ir *ir, qn__region_ref region) {
    for (qn__instr_ref ref = ir->regions[region].first, next; ref; ref = next) {
        next = ir->instrs[ref].next;
        const qn__instr *instr = &ir->instrs[ref];
        if (qn__is_pure(instr)) {
            qn__instr_ref target = hoist_target(ir, instr);
            if (target) qn__instr_move_before(ir, ref, target);
        }
        for (uint32_t i = 0; i < instr->region_count; i++) hoist_pure(ir, instr->regions[i]);
    }
}

/* Inner loops first, so that a check climbs as far as it can. */
static bool walk_checks(qn__ir *ir, qn__region_ref region) {
    bool any = false; /* checks in it, at any depth */
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        any |= qn__effect_of(&ir->instrs[ref]) == QN__EFFECT_CHECK;
        for (uint32_t i = 0; i < ir->instrs[ref].region_count; i++) any |= walk_checks(ir, ir->instrs[ref].regions[i]);
    }
    if (any) hoist_checks(ir, region);
    return any;
}

bool qn__pass_licm(qn__pass *pass) {
    qn__ir *ir = pass->ir;
    hoist_pure(ir, ir->body);
    walk_checks(ir, ir->body);
    return !ir->failed;
}
