/* Arithmetic, comparisons, selections. Every operation is written once for scalars and vectors alike: operands come as
 * they are, constants are made like them. Nothing here can be undefined or poison for any operand values. */
#include "compiler/llvm/internal.h"

static LLVMValueRef is_zero(qn__emitter *e, LLVMValueRef v) {
    return LLVMBuildICmp(e->builder, LLVMIntEQ, v, LLVMConstNull(LLVMTypeOf(v)), "");
}

/* x / 0 and x % 0 are 0, MIN / -1 is MIN, MIN % -1 is 0: the divisor is replaced by 1 in these cases. */
static LLVMValueRef divide(qn__emitter *e, LLVMValueRef a, LLVMValueRef b, bool is_signed, bool remainder) {
    LLVMBuilderRef m = e->builder;
    LLVMValueRef zero = is_zero(e, b), one = l_like(e, b, 1), nothing = LLVMConstNull(LLVMTypeOf(a));
    if (!is_signed) {
        LLVMValueRef safe = l_select(e, zero, one, b);
        if (remainder) return l_select(e, zero, nothing, LLVMBuildURem(m, a, safe, ""));
        return l_select(e, zero, nothing, LLVMBuildUDiv(m, a, safe, ""));
    }
    LLVMValueRef minus = LLVMBuildICmp(m, LLVMIntEQ, b, LLVMConstAllOnes(LLVMTypeOf(b)), "");
    LLVMValueRef safe = l_select(e, LLVMBuildOr(m, zero, minus, ""), one, b);
    if (remainder) return LLVMBuildSRem(m, a, safe, ""); /* by 1 this is 0 */
    LLVMValueRef quotient = LLVMBuildSDiv(m, a, safe, "");
    quotient = l_select(e, minus, LLVMBuildNeg(m, a, ""), quotient);
    return l_select(e, zero, nothing, quotient);
}

static LLVMValueRef shift(qn__emitter *e, qn__op op, bool is_signed, LLVMValueRef a, LLVMValueRef b) {
    uint32_t bits = LLVMGetIntTypeWidth(l_scalar_type(LLVMTypeOf(a)));
    LLVMValueRef amount = LLVMBuildAnd(e->builder, b, l_like(e, b, bits - 1), "");
    if (op == QN__OP_SHL) return LLVMBuildShl(e->builder, a, amount, "");
    return is_signed ? LLVMBuildAShr(e->builder, a, amount, "") : LLVMBuildLShr(e->builder, a, amount, "");
}

static LLVMValueRef extreme(qn__emitter *e, bool smaller, qn__type type, LLVMValueRef a, LLVMValueRef b) {
    if (qn__is_float(type)) return l_call2(e, smaller ? "llvm.minimum" : "llvm.maximum", a, b);
    if (qn__is_signed(type)) return l_call2(e, smaller ? "llvm.smin" : "llvm.smax", a, b);
    if (type == QN__TYPE_BOOL) return smaller ? LLVMBuildAnd(e->builder, a, b, "") : LLVMBuildOr(e->builder, a, b, "");
    return l_call2(e, smaller ? "llvm.umin" : "llvm.umax", a, b);
}

static LLVMValueRef real2(qn__emitter *e, qn__op op, LLVMValueRef a, LLVMValueRef b) {
    if (op == QN__OP_ADD) return LLVMBuildFAdd(e->builder, a, b, "");
    if (op == QN__OP_SUB) return LLVMBuildFSub(e->builder, a, b, "");
    if (op == QN__OP_MUL) return LLVMBuildFMul(e->builder, a, b, "");
    return LLVMBuildFDiv(e->builder, a, b, "");
}

/* On bool: add is or, mul is and, so that a wrong table entry still gives a bool; lowering never asks for them. */
static LLVMValueRef integer2(qn__emitter *e, qn__op op, qn__type type, LLVMValueRef a, LLVMValueRef b) {
    if (op == QN__OP_ADD) return LLVMBuildAdd(e->builder, a, b, "");
    if (op == QN__OP_SUB) return LLVMBuildSub(e->builder, a, b, "");
    if (op == QN__OP_MUL) return LLVMBuildMul(e->builder, a, b, "");
    return divide(e, a, b, qn__is_signed(type), op == QN__OP_REM);
}

LLVMValueRef qn__arith2(qn__emitter *e, qn__op op, qn__type type, LLVMValueRef a, LLVMValueRef b) {
    if (op == QN__OP_AND) return LLVMBuildAnd(e->builder, a, b, "");
    if (op == QN__OP_OR) return LLVMBuildOr(e->builder, a, b, "");
    if (op == QN__OP_XOR) return LLVMBuildXor(e->builder, a, b, "");
    if (op == QN__OP_MIN || op == QN__OP_MAX) return extreme(e, op == QN__OP_MIN, type, a, b);
    if (op == QN__OP_SHL || op == QN__OP_SHR) return shift(e, op, qn__is_signed(type), a, b);
    if (op == QN__OP_COPYSIGN) return l_call2(e, "llvm.copysign", a, b);
    return qn__is_float(type) ? real2(e, op, a, b) : integer2(e, op, type, a, b);
}

static LLVMValueRef compare(qn__emitter *e, qn__op op, qn__type type, LLVMValueRef a, LLVMValueRef b) {
    static const LLVMRealPredicate reals[] = {LLVMRealOEQ, LLVMRealUNE, LLVMRealOLT, LLVMRealOLE, LLVMRealOGT, LLVMRealOGE};
    static const LLVMIntPredicate sints[] = {LLVMIntEQ, LLVMIntNE, LLVMIntSLT, LLVMIntSLE, LLVMIntSGT, LLVMIntSGE};
    static const LLVMIntPredicate uints[] = {LLVMIntEQ, LLVMIntNE, LLVMIntULT, LLVMIntULE, LLVMIntUGT, LLVMIntUGE};
    uint32_t which = (uint32_t)op - QN__OP_EQ;
    if (qn__is_float(type)) return LLVMBuildFCmp(e->builder, reals[which], a, b, "");
    return LLVMBuildICmp(e->builder, qn__is_signed(type) ? sints[which] : uints[which], a, b, "");
}

static LLVMValueRef negate(qn__emitter *e, qn__type type, LLVMValueRef a) {
    return qn__is_float(type) ? LLVMBuildFNeg(e->builder, a, "") : LLVMBuildNeg(e->builder, a, "");
}

static LLVMValueRef absolute(qn__emitter *e, qn__type type, LLVMValueRef a) {
    if (qn__is_float(type)) return l_call1(e, "llvm.fabs", a);
    if (!qn__is_signed(type)) return a;
    LLVMTypeRef overload = LLVMTypeOf(a);
    return l_intrinsic(e, "llvm.abs", &overload, 1, (LLVMValueRef[]){a, l_int(e, e->i1, 0)}, 2);
}

static LLVMValueRef count_zeros(qn__emitter *e, const char *name, LLVMValueRef a) {
    LLVMTypeRef overload = LLVMTypeOf(a);
    return l_intrinsic(e, name, &overload, 1, (LLVMValueRef[]){a, l_int(e, e->i1, 0)}, 2);
}

static LLVMValueRef unary(qn__emitter *e, qn__op op, qn__type type, LLVMValueRef a) {
    if (op == QN__OP_NEG) return negate(e, type, a);
    if (op == QN__OP_NOT) return LLVMBuildNot(e->builder, a, "");
    if (op == QN__OP_ABS) return absolute(e, type, a);
    if (op == QN__OP_SQRT) return l_call1(e, "llvm.sqrt", a);
    if (op == QN__OP_POPCOUNT) return l_call1(e, "llvm.ctpop", a);
    if (op == QN__OP_CLZ) return count_zeros(e, "llvm.ctlz", a);
    if (op == QN__OP_CTZ) return count_zeros(e, "llvm.cttz", a);
    if (op == QN__OP_FLOOR) return l_call1(e, "llvm.floor", a);
    if (op == QN__OP_CEIL) return l_call1(e, "llvm.ceil", a);
    if (op == QN__OP_TRUNC) return l_call1(e, "llvm.trunc", a);
    return l_call1(e, "llvm.roundeven", a);
}

static LLVMValueRef fused(qn__emitter *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    LLVMTypeRef type = LLVMTypeOf(a);
    return l_intrinsic(e, "llvm.fma", &type, 1, (LLVMValueRef[]){a, b, c}, 3);
}

static LLVMValueRef select3(qn__emitter *e, const qn__instr *instr, bool wide) {
    LLVMValueRef cond = l_value_as(e, instr->args[0], wide && e->shapes[instr->args[0]].variance != QN__UNIFORM);
    return l_select(e, cond, l_value_as(e, instr->args[1], wide), l_value_as(e, instr->args[2], wide));
}

void qn__emit_arith(qn__emitter *e, const qn__instr *instr) {
    qn__value result = instr->first_result;
    bool wide = l_varies(e, result);
    qn__op op = (qn__op)instr->op;
    qn__type type = qn__type_of(e->ir, instr->args[0]);
    if (op == QN__OP_SELECT) {
        l_set(e, result, select3(e, instr, wide));
        return;
    }
    LLVMValueRef a = l_value_as(e, instr->args[0], wide);
    LLVMValueRef b = instr->arg_count > 1 ? l_value_as(e, instr->args[1], wide) : NULL;
    LLVMValueRef value;
    if (instr->arg_count == 3) value = fused(e, a, b, l_value_as(e, instr->args[2], wide));
    else if (op >= QN__OP_EQ && op <= QN__OP_GE) value = compare(e, op, type, a, b);
    else if (b) value = qn__arith2(e, op, type, a, b);
    else value = unary(e, op, type, a);
    l_set(e, result, value);
}
