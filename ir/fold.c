/* fold: constants are computed with the run-time semantics (eval.c), identities that keep every bit are applied,
 * control flow with a known condition or a known number of iterations disappears, small pure `if`s become selects.
 *
 * Constants stand on the right of commutative operations afterwards, and integer x - c is x + (-c); cse and ranges count
 * on both. NaN payloads are outside the contract, so operands of float operations may change places too.
 *
 * requires: no calls
 * preserves: fma formation's result: nothing is contracted or split here
 * breaks: an instruction that nobody uses may stay (dce) */
#include "ir/pass.h"

#include "ir/eval.h"

#include <math.h>

enum { FLATTEN_LIMIT = 6 }; /* pure instructions of one arm that are worth computing for nothing */

typedef struct folder {
    qn__pass *pass;
    qn__ir *ir;
    qn__rewrite rewrite;
} folder;

static void fold_region(folder *f, qn__region_ref region);

static bool const_of(const folder *f, qn__value v, uint64_t *bits) { return qn__is_const(f->ir, v, bits); }

static void to_const(qn__instr *instr, uint64_t bits) {
    instr->op = QN__OP_CONST;
    instr->aux = 0;
    instr->flags = 0;
    instr->arg_count = 0;
    instr->imm = bits;
}

/* Rewrites the instruction in place; at most as many operands as it has. */
static void to_op(qn__instr *instr, qn__op op, qn__value a, qn__value b) {
    instr->op = (uint8_t)op;
    instr->args[0] = a;
    if (b) instr->args[1] = b;
    instr->arg_count = b ? 2 : 1;
}

static bool is_commutative(uint32_t op) {
    switch ((int)op) {
    case QN__OP_ADD: case QN__OP_MUL: case QN__OP_MIN: case QN__OP_MAX: case QN__OP_AND: case QN__OP_OR:
    case QN__OP_XOR: case QN__OP_EQ: case QN__OP_NE: return true;
    default: return false;
    }
}

/* a < b as b > a. */
static qn__op mirrored(uint32_t op) {
    switch ((int)op) {
    case QN__OP_LT: return QN__OP_GT;
    case QN__OP_LE: return QN__OP_GE;
    case QN__OP_GT: return QN__OP_LT;
    case QN__OP_GE: return QN__OP_LE;
    default: return QN__OP_COUNT;
    }
}

static void order_operands(const folder *f, qn__instr *instr) {
    if (instr->arg_count != 2 || !const_of(f, instr->args[0], NULL) || const_of(f, instr->args[1], NULL)) return;
    qn__op other = mirrored(instr->op);
    if (!is_commutative(instr->op) && other == QN__OP_COUNT) return;
    qn__value left = instr->args[0];
    instr->args[0] = instr->args[1];
    instr->args[1] = left;
    if (other != QN__OP_COUNT) instr->op = (uint8_t)other;
}

/* --- identities: the value that the result equals, 0 for none. Some rewrite the instruction instead. --------------- */

static uint64_t ones(qn__type type) { return type == QN__TYPE_BOOL ? 1 : qn__eval_cut(type, ~UINT64_C(0)); }

static qn__value int_with_const(qn__instr *instr, qn__type type, uint64_t c) {
    qn__value x = instr->args[0];
    bool zero = c == 0;
    switch ((int)instr->op) {
    case QN__OP_ADD: case QN__OP_OR: case QN__OP_XOR:
        if (instr->op == QN__OP_OR && c == ones(type)) to_const(instr, c);
        return zero ? x : 0;
    case QN__OP_MUL:
        if (zero) to_const(instr, 0);
        return c == 1 ? x : 0;
    case QN__OP_DIV: return c == 1 ? x : 0;
    case QN__OP_REM:
        if (c == 1) to_const(instr, 0);
        return 0;
    case QN__OP_AND:
        if (zero) to_const(instr, 0);
        return c == ones(type) ? x : 0;
    case QN__OP_SHL: case QN__OP_SHR: return (c & (qn__type_bits(type) - 1)) == 0 ? x : 0;
    default: return 0;
    }
}

static qn__value int_with_itself(qn__instr *instr) {
    qn__value x = instr->args[0];
    switch ((int)instr->op) {
    case QN__OP_SUB: case QN__OP_XOR: case QN__OP_NE: case QN__OP_LT: case QN__OP_GT: to_const(instr, 0); return 0;
    case QN__OP_EQ: case QN__OP_LE: case QN__OP_GE: to_const(instr, 1); return 0;
    case QN__OP_AND: case QN__OP_OR: case QN__OP_MIN: case QN__OP_MAX: return x;
    default: return 0;
    }
}

/* (x + c) + d = x + (c + d), also for * & | ^: integers wrap. */
static void reassociate(folder *f, qn__instr_ref ref, qn__type type, uint64_t d) {
    qn__ir *ir = f->ir;
    uint32_t op = ir->instrs[ref].op;
    if (op != QN__OP_ADD && op != QN__OP_MUL && op != QN__OP_AND && op != QN__OP_OR && op != QN__OP_XOR) return;
    const qn__instr *inner = qn__definition(ir, ir->instrs[ref].args[0]);
    uint64_t c, both;
    if (!inner || inner->op != op || !const_of(f, inner->args[1], &c)) return;
    qn__value x = inner->args[0];
    if (!qn__eval((qn__op)op, type, type, (uint64_t[]){c, d, 0}, &both)) return;
    qn__builder b = {.ir = ir, .region = ir->instrs[ref].region, .before = ref, .location = ir->instrs[ref].location};
    qn__value constant = qn__build_const(&b, type, both);
    if (constant) to_op(&ir->instrs[ref], (qn__op)op, x, constant);
}

static qn__value fold_int(folder *f, qn__instr_ref ref, qn__type type) {
    qn__ir *ir = f->ir;
    qn__instr *instr = &ir->instrs[ref];
    uint64_t c;
    if (instr->arg_count != 2) return 0;
    if (instr->args[0] == instr->args[1]) return int_with_itself(instr);
    if (!const_of(f, instr->args[1], &c)) return 0;
    if (instr->op == QN__OP_SUB) {
        qn__builder b = {.ir = ir, .region = instr->region, .before = ref, .location = instr->location};
        qn__value negated = qn__build_const(&b, type, qn__eval_cut(type, 0 - c));
        instr = &ir->instrs[ref];
        if (!negated) return 0;
        to_op(instr, QN__OP_ADD, instr->args[0], negated);
        c = qn__eval_cut(type, 0 - c);
    }
    qn__value same = int_with_const(instr, type, c);
    if (!same && instr->op != QN__OP_CONST) reassociate(f, ref, type, c);
    return same;
}

/* 1 / c is exact: then x / c and x * (1 / c) round the same real number. */
static bool reciprocal(qn__type type, uint64_t c, uint64_t *bits) {
    int exponent;
    double x = qn__eval_to_f64(type, c);
    int range = type == QN__TYPE_F32 ? 126 : 1022;
    if (!isfinite(x) || fabs(frexp(x, &exponent)) != 0.5 || exponent > range || exponent < 2 - range) return false;
    *bits = qn__eval_from_f64(type, 1 / x);
    return true;
}

static qn__value fold_float(folder *f, qn__instr_ref ref, qn__type type) {
    qn__ir *ir = f->ir;
    qn__instr *instr = &ir->instrs[ref];
    uint64_t c, inverse;
    if (instr->arg_count != 2 || !const_of(f, instr->args[1], &c)) return 0;
    uint64_t negative_zero = qn__eval_from_f64(type, -0.0), one = qn__eval_from_f64(type, 1);
    switch ((int)instr->op) {
    case QN__OP_ADD: return c == negative_zero ? instr->args[0] : 0;
    case QN__OP_SUB: return c == 0 ? instr->args[0] : 0;
    case QN__OP_MUL: return c == one ? instr->args[0] : 0;
    case QN__OP_DIV:
        if (c == one) return instr->args[0];
        if (reciprocal(type, c, &inverse)) {
            qn__builder b = {.ir = ir, .region = instr->region, .before = ref, .location = instr->location};
            qn__value factor = qn__build_const(&b, type, inverse);
            instr = &ir->instrs[ref];
            if (factor) to_op(instr, QN__OP_MUL, instr->args[0], factor);
        }
        return 0;
    default: return 0;
    }
}

static qn__value fold_sign(const folder *f, qn__instr *instr) {
    const qn__instr *inner = qn__definition(f->ir, instr->args[0]);
    if (!inner) return 0;
    if (instr->op == QN__OP_NEG && inner->op == QN__OP_NEG) return inner->args[0];
    if (instr->op == QN__OP_ABS && inner->op == QN__OP_ABS) return instr->args[0];
    if (instr->op == QN__OP_ABS && inner->op == QN__OP_NEG) instr->args[0] = inner->args[0];
    return 0;
}

static qn__value fold_not(const folder *f, qn__instr *instr) {
    const qn__ir *ir = f->ir;
    const qn__instr *inner = qn__definition(ir, instr->args[0]);
    if (!inner) return 0;
    if (inner->op == QN__OP_NOT) return inner->args[0];
    static const uint8_t opposite[QN__OP_COUNT] = {
        [QN__OP_EQ] = QN__OP_NE, [QN__OP_NE] = QN__OP_EQ, [QN__OP_LT] = QN__OP_GE,
        [QN__OP_GE] = QN__OP_LT, [QN__OP_GT] = QN__OP_LE, [QN__OP_LE] = QN__OP_GT};
    if (qn__op_table[inner->op].rule != QN__RULE_CMP) return 0;
    bool equality = inner->op == QN__OP_EQ || inner->op == QN__OP_NE;
    if (!equality && qn__is_float(qn__type_of(ir, inner->args[0]))) return 0; /* NaN: not (a < b) is not a >= b */
    qn__value *args = QN__ARENA_ARRAY(ir->arena, qn__value, 2);
    if (!args) return 0;
    args[0] = inner->args[0], args[1] = inner->args[1];
    instr->op = opposite[inner->op];
    instr->args = args;
    instr->arg_count = 2;
    return 0;
}

static qn__value fold_select(const folder *f, qn__instr *instr) {
    qn__value c = instr->args[0], yes = instr->args[1], no = instr->args[2];
    uint64_t bits, other;
    if (const_of(f, c, &bits)) return bits ? yes : no;
    if (yes == no) return yes;
    if (qn__type_of(f->ir, instr->first_result) != QN__TYPE_BOOL) return 0;
    bool yes_known = const_of(f, yes, &bits), no_known = const_of(f, no, &other);
    if (yes_known && no_known && bits == other) return yes;
    if (yes_known && no_known && bits) return c;
    if (yes_known && no_known) to_op(instr, QN__OP_NOT, c, 0);
    else if (no_known && !other) to_op(instr, QN__OP_AND, c, yes);
    else if (yes_known && bits) to_op(instr, QN__OP_OR, c, no);
    return 0;
}

/* Every value of `from` is one of `to`. */
static bool is_lossless(qn__type from, qn__type to) {
    if (from == QN__TYPE_BOOL) return true;
    if (qn__is_float(from))
        return qn__is_float(to) && (to == QN__TYPE_F64 || (to == QN__TYPE_F32 && from != QN__TYPE_F64));
    if (qn__is_float(to)) return qn__type_bits(from) <= (to == QN__TYPE_F64 ? 32 : to == QN__TYPE_F32 ? 16 : 0);
    if (qn__is_signed(from) == qn__is_signed(to)) return qn__type_bits(from) <= qn__type_bits(to);
    return !qn__is_signed(from) && qn__type_bits(from) < qn__type_bits(to);
}

static qn__value fold_convert(const folder *f, qn__instr *instr) {
    const qn__ir *ir = f->ir;
    qn__type to = qn__type_of(ir, instr->first_result), middle = qn__type_of(ir, instr->args[0]);
    if (to == middle) return instr->args[0];
    const qn__instr *inner = qn__definition(ir, instr->args[0]);
    if (!inner || inner->op != instr->op) return 0;
    qn__type from = qn__type_of(ir, inner->args[0]);
    bool cut = qn__is_int(from) && qn__is_int(middle) && qn__is_int(to) && qn__type_bits(to) <= qn__type_bits(middle);
    if (instr->op == QN__OP_CONVERT && !is_lossless(from, middle) && !cut) return 0;
    if (from == to) return inner->args[0];
    instr->args[0] = inner->args[0];
    return 0;
}

static bool all_const(const folder *f, const qn__instr *instr, uint64_t bits[3]) {
    if (instr->arg_count < 1 || instr->arg_count > 3) return false;
    for (uint32_t i = 0; i < instr->arg_count; i++)
        if (!const_of(f, instr->args[i], &bits[i])) return false;
    return true;
}

static qn__value fold_pure(folder *f, qn__instr_ref ref) {
    qn__ir *ir = f->ir;
    qn__instr *instr = &ir->instrs[ref];
    if (instr->op == QN__OP_CONST || !instr->arg_count) return 0;
    uint64_t args[3] = {0}, bits;
    uint32_t typed = instr->op == QN__OP_SELECT ? 1 : 0;
    qn__type type = qn__type_of(ir, instr->args[typed]);
    if (all_const(f, instr, args) &&
        qn__eval((qn__op)instr->op, type, qn__type_of(ir, instr->first_result), args, &bits)) {
        to_const(instr, bits);
        return 0;
    }
    order_operands(f, instr);
    switch ((int)instr->op) {
    case QN__OP_SELECT: return fold_select(f, instr);
    case QN__OP_NOT: return fold_not(f, instr);
    case QN__OP_CONVERT:
    case QN__OP_BITCAST: return fold_convert(f, instr);
    case QN__OP_NEG:
    case QN__OP_ABS: return fold_sign(f, instr);
    default: return qn__is_float(type) ? fold_float(f, ref, type) : fold_int(f, ref, type);
    }
}

/* --- control flow ------------------------------------------------------------------------------------------------- */

static const qn__instr *yield_of(const qn__ir *ir, qn__region_ref region) { return &ir->instrs[ir->regions[region].last]; }

/* Moves a region's instructions in front of its owner, gives the owner's results the yielded values and removes the
 * owner. Returns the instruction to go on with. */
static qn__instr_ref splice(folder *f, qn__instr_ref owner, qn__region_ref region) {
    qn__ir *ir = f->ir;
    qn__instr_ref resume = ir->instrs[owner].next;
    const qn__instr *yield = yield_of(ir, region);
    for (uint32_t i = 0; i < ir->instrs[owner].result_count; i++)
        qn__rewrite_set(&f->rewrite, ir->instrs[owner].first_result + i, yield->args[i]);
    bool first = true;
    for (qn__instr_ref ref = ir->regions[region].first, next; ref; ref = next) {
        next = ir->instrs[ref].next;
        if (ir->instrs[ref].op == QN__OP_YIELD) break;
        qn__instr_move_before(ir, ref, owner);
        if (first) resume = ref;
        first = false;
    }
    qn__instr_remove(ir, owner);
    return resume;
}

static bool is_cheap(uint32_t op) {
    return op != QN__OP_DIV && op != QN__OP_REM && op != QN__OP_SQRT;
}

/* Pure, short, cheap: may be computed in any case. */
static bool is_flat(const qn__ir *ir, qn__region_ref region) {
    uint32_t count = 0;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        if (instr->op == QN__OP_YIELD) return true;
        bool free = instr->op == QN__OP_CONST || instr->op == QN__OP_PARAM || instr->op == QN__OP_SIZE;
        if (!qn__is_pure(instr) || !is_cheap(instr->op) || (!free && ++count > FLATTEN_LIMIT)) return false;
    }
    return false;
}

/* Both arms are flat: they move out, the results become selects. */
static qn__instr_ref flatten(folder *f, qn__instr_ref ref) {
    qn__ir *ir = f->ir;
    qn__region_ref arms[2] = {ir->instrs[ref].regions[0], ir->instrs[ref].regions[1]};
    qn__instr_ref first = 0;
    for (uint32_t arm = 0; arm < 2; arm++)
        for (qn__instr_ref i = ir->regions[arms[arm]].first, next; ir->instrs[i].op != QN__OP_YIELD; i = next) {
            next = ir->instrs[i].next;
            qn__instr_move_before(ir, i, ref);
            if (!first) first = i;
        }
    for (uint32_t i = 0; i < ir->instrs[ref].result_count; i++) {
        qn__builder b = {.ir = ir, .region = ir->instrs[ref].region, .before = ref, .location = ir->instrs[ref].location};
        qn__value choice = qn__build_select(&b, ir->instrs[ref].args[0], yield_of(ir, arms[0])->args[i],
                                            yield_of(ir, arms[1])->args[i]);
        if (!choice) return 0;
        if (!first) first = ir->values[choice].instr;
        qn__rewrite_set(&f->rewrite, ir->instrs[ref].first_result + i, choice);
    }
    if (!first) first = ir->instrs[ref].next;
    qn__instr_remove(ir, ref);
    return first;
}

/* 0: stays. */
static qn__instr_ref fold_if(folder *f, qn__instr_ref ref) {
    qn__ir *ir = f->ir;
    const qn__instr *instr = &ir->instrs[ref];
    uint64_t cond;
    if (const_of(f, instr->args[0], &cond)) return splice(f, ref, instr->regions[cond ? 0 : 1]);
    if (is_flat(ir, instr->regions[0]) && is_flat(ir, instr->regions[1])) return flatten(f, ref);
    return 0;
}

static bool trip_count(const folder *f, qn__value lo, qn__value hi, uint64_t *count) {
    uint64_t a, b;
    if (lo == hi) {
        *count = 0;
        return true;
    }
    if (!const_of(f, lo, &a) || !const_of(f, hi, &b)) return false;
    *count = (int64_t)a < (int64_t)b ? b - a : 0;
    return true;
}

static qn__instr_ref drop_loop(folder *f, qn__instr_ref ref, const qn__value *results) {
    qn__ir *ir = f->ir;
    qn__instr_ref next = ir->instrs[ref].next;
    for (uint32_t i = 0; i < ir->instrs[ref].result_count; i++)
        qn__rewrite_set(&f->rewrite, ir->instrs[ref].first_result + i, results[i]);
    qn__instr_remove(ir, ref);
    return next;
}

static qn__instr_ref fold_loop(folder *f, qn__instr_ref ref) {
    qn__ir *ir = f->ir;
    const qn__instr *instr = &ir->instrs[ref];
    uint64_t count;
    if (!trip_count(f, instr->args[0], instr->args[1], &count)) return 0;
    if (count == 0) return drop_loop(f, ref, instr->args + 2);
    if (instr->op != QN__OP_FOR || count != 1) return 0;
    const qn__region *body = &ir->regions[instr->regions[0]];
    qn__rewrite_set(&f->rewrite, body->first_param, instr->args[0]);
    for (uint32_t i = 0; i + 2 < instr->arg_count; i++)
        qn__rewrite_set(&f->rewrite, body->first_param + 1 + i, instr->args[2 + i]);
    return splice(f, ref, instr->regions[0]);
}

static qn__instr_ref fold_parallel(folder *f, qn__instr_ref ref) {
    const qn__instr *instr = &f->ir->instrs[ref];
    uint64_t count;
    for (uint64_t k = 0; k < instr->imm && 2 * k + 1 < instr->arg_count; k++)
        if (trip_count(f, instr->args[2 * k], instr->args[2 * k + 1], &count) && !count) return drop_loop(f, ref, NULL);
    return 0;
}

static qn__instr_ref fold_flow(folder *f, qn__instr_ref ref) {
    switch ((int)f->ir->instrs[ref].op) {
    case QN__OP_IF: return fold_if(f, ref);
    case QN__OP_FOR:
    case QN__OP_REDUCE:
    case QN__OP_SCAN: return fold_loop(f, ref);
    case QN__OP_PARALLEL: return fold_parallel(f, ref);
    default: return 0;
    }
}

/* After the arms are folded: results that are the same in both, and arms that became flat. */
static qn__instr_ref fold_if_again(folder *f, qn__instr_ref ref) {
    qn__ir *ir = f->ir;
    const qn__instr *instr = &ir->instrs[ref];
    const qn__instr *yes = yield_of(ir, instr->regions[0]), *no = yield_of(ir, instr->regions[1]);
    for (uint32_t i = 0; i < instr->result_count; i++)
        if (yes->args[i] == no->args[i]) qn__rewrite_set(&f->rewrite, instr->first_result + i, yes->args[i]);
    return fold_if(f, ref);
}

/* The condition is false at once and asking is free of effects. */
static qn__instr_ref fold_while_again(folder *f, qn__instr_ref ref) {
    qn__ir *ir = f->ir;
    const qn__instr *instr = &ir->instrs[ref];
    uint64_t cond;
    if (!const_of(f, yield_of(ir, instr->regions[0])->args[0], &cond) || cond || !is_flat(ir, instr->regions[0])) return 0;
    return drop_loop(f, ref, instr->args);
}

/* Is result k of combine(a..., b...) a or b, as booleans? */
static bool combines_by_or(const qn__ir *ir, qn__region_ref combine, uint32_t k, uint32_t count) {
    const qn__instr *instr = qn__definition(ir, yield_of(ir, combine)->args[k]);
    qn__value a = ir->regions[combine].first_param + k, b = a + count;
    if (!instr || instr->op != QN__OP_OR) return false;
    return (instr->args[0] == a && instr->args[1] == b) || (instr->args[0] == b && instr->args[1] == a);
}

/* A carried flag that starts false and is set by every iteration says whether there was one: lo < hi. (argmin asks.) */
static void fold_flags(folder *f, qn__instr_ref ref) {
    qn__ir *ir = f->ir;
    uint64_t init, next;
    for (uint32_t k = 0; k < ir->instrs[ref].result_count; k++) {
        const qn__instr *instr = &ir->instrs[ref];
        qn__value result = instr->first_result + k;
        if (qn__type_of(ir, result) != QN__TYPE_BOOL || !const_of(f, instr->args[2 + k], &init) || init) continue;
        if (!const_of(f, yield_of(ir, instr->regions[0])->args[k], &next) || !next) continue;
        if (instr->op == QN__OP_REDUCE && !combines_by_or(ir, instr->regions[1], k, instr->result_count)) continue;
        qn__builder b = {.ir = ir, .region = instr->region, .before = ref, .location = instr->location};
        qn__value some = qn__build_binary(&b, QN__OP_LT, instr->args[0], instr->args[1]);
        if (some) qn__rewrite_set(&f->rewrite, result, some);
    }
}

static void fold_region(folder *f, qn__region_ref region) {
    qn__ir *ir = f->ir;
    for (qn__instr_ref ref = ir->regions[region].first, next; ref && !ir->failed; ref = next) {
        qn__rewrite_args(&f->rewrite, ir, ref);
        next = ir->instrs[ref].next;
        if (qn__is_pure(&ir->instrs[ref])) {
            qn__value same = fold_pure(f, ref);
            if (!same) continue;
            qn__rewrite_set(&f->rewrite, ir->instrs[ref].first_result, same);
            qn__instr_remove(ir, ref);
            continue;
        }
        if (!ir->instrs[ref].region_count) continue;
        qn__instr_ref resume = fold_flow(f, ref);
        if (resume || !ir->instrs[ref].region) {
            next = resume;
            continue;
        }
        for (uint32_t i = 0; i < ir->instrs[ref].region_count; i++) fold_region(f, ir->instrs[ref].regions[i]);
        uint32_t op = ir->instrs[ref].op;
        if (op == QN__OP_FOR || op == QN__OP_REDUCE) fold_flags(f, ref);
        if (ir->failed || (op != QN__OP_IF && op != QN__OP_WHILE)) continue;
        resume = op == QN__OP_IF ? fold_if_again(f, ref) : fold_while_again(f, ref);
        if (resume || !ir->instrs[ref].region) next = resume;
    }
}

bool qn__pass_fold(qn__pass *pass) {
    folder f = {.pass = pass, .ir = pass->ir};
    if (!qn__rewrite_begin(&f.rewrite, pass)) return false;
    fold_region(&f, pass->ir->body);
    qn__rewrite_extents(&f.rewrite, pass->ir);
    return !pass->ir->failed;
}
