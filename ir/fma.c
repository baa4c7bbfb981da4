/* fma: a float sum or difference whose operand was written as a product becomes one fused operation, by the rule of
 * docs/language.md. The front end marks such operands (QN__FUSE_LEFT, QN__FUSE_RIGHT); nothing else is ever contracted.
 *
 *   a*b + c -> fma(a, b, c)      a*b - c -> fma(a, b, -c)      c - a*b -> fma(-a, b, c)
 *
 * requires: no calls (products are looked up in place); must run before fold, which may replace a product
 * preserves: everything else; the product stays for its other uses
 * breaks: nothing; afterwards no instruction carries the flags */
#include "ir/pass.h"

static bool is_product(const qn__ir *ir, qn__value v) {
    const qn__instr *instr = qn__definition(ir, v);
    return instr && instr->op == QN__OP_MUL && qn__is_float(qn__type_of(ir, v));
}

static bool fuse(qn__ir *ir, qn__instr_ref ref, bool left) {
    const qn__instr *sum = &ir->instrs[ref];
    qn__value product = sum->args[left ? 0 : 1], other = sum->args[left ? 1 : 0];
    bool difference = sum->op == QN__OP_SUB;
    const qn__instr *mul = qn__definition(ir, product);
    qn__value a = mul->args[0], b = mul->args[1];
    qn__builder builder = {.ir = ir, .region = sum->region, .before = ref, .location = sum->location};
    if (difference && left) other = qn__build_unary(&builder, QN__OP_NEG, other);
    if (difference && !left) a = qn__build_unary(&builder, QN__OP_NEG, a);
    qn__value *args = QN__ARENA_ARRAY(ir->arena, qn__value, 3);
    if (!args || ir->failed) return false;
    args[0] = a, args[1] = b, args[2] = other;
    qn__instr *instr = &ir->instrs[ref];
    instr->op = QN__OP_FMA;
    instr->args = args;
    instr->arg_count = 3;
    return true;
}

bool qn__pass_fma(qn__pass *pass) {
    qn__ir *ir = pass->ir;
    enum { BOTH = QN__FUSE_LEFT | QN__FUSE_RIGHT };
    for (qn__instr_ref ref = 1, count = ir->instr_count; ref < count; ref++) {
        qn__instr *instr = &ir->instrs[ref];
        uint16_t flags = instr->flags;
        if (!(flags & BOTH)) continue;
        instr->flags = (uint16_t)(flags & ~BOTH);
        if (!instr->region || (instr->op != QN__OP_ADD && instr->op != QN__OP_SUB)) continue;
        bool left = flags & QN__FUSE_LEFT && is_product(ir, instr->args[0]);
        bool right = flags & QN__FUSE_RIGHT && is_product(ir, instr->args[1]);
        if ((left || right) && !fuse(ir, ref, left)) return false;
    }
    return true;
}
