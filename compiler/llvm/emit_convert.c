/* Conversions. f16 and bf16 are i16 in registers; every conversion rounds once, to nearest even. Where two steps are
 * taken (f64 -> f32 -> f16), the first rounds to odd, which loses nothing for the second. */
#include "compiler/llvm/internal.h"

static LLVMValueRef to_type(qn__emitter *e, LLVMValueRef v, LLVMTypeRef scalar) {
    return LLVMBuildBitCast(e->builder, v, l_typed(LLVMTypeOf(v), scalar), "");
}

static LLVMValueRef widen(qn__emitter *e, LLVMValueRef v, LLVMTypeRef scalar) {
    return LLVMBuildZExt(e->builder, v, l_typed(LLVMTypeOf(v), scalar), "");
}

static LLVMValueRef narrow(qn__emitter *e, LLVMValueRef v, LLVMTypeRef scalar) {
    return LLVMBuildTrunc(e->builder, v, l_typed(LLVMTypeOf(v), scalar), "");
}

static LLVMValueRef and_(qn__emitter *e, LLVMValueRef v, uint64_t k) { return LLVMBuildAnd(e->builder, v, l_like(e, v, k), ""); }
static LLVMValueRef or_(qn__emitter *e, LLVMValueRef v, LLVMValueRef w) { return LLVMBuildOr(e->builder, v, w, ""); }
static LLVMValueRef add(qn__emitter *e, LLVMValueRef v, uint64_t k) { return LLVMBuildAdd(e->builder, v, l_like(e, v, k), ""); }
static LLVMValueRef left(qn__emitter *e, LLVMValueRef v, uint64_t k) { return LLVMBuildShl(e->builder, v, l_like(e, v, k), ""); }
static LLVMValueRef right(qn__emitter *e, LLVMValueRef v, uint64_t k) { return LLVMBuildLShr(e->builder, v, l_like(e, v, k), ""); }

static LLVMValueRef test(qn__emitter *e, LLVMIntPredicate predicate, LLVMValueRef v, uint64_t k) {
    return LLVMBuildICmp(e->builder, predicate, v, l_like(e, v, k), "");
}

static LLVMValueRef half_to_f32(qn__emitter *e, LLVMValueRef v) {
    if (e->machine->f16c)
        return LLVMBuildFPExt(e->builder, to_type(e, v, e->f16), l_typed(LLVMTypeOf(v), e->f32), "");
    LLVMValueRef bits = widen(e, v, e->i32), magnitude = and_(e, bits, 0x7fff);
    LLVMValueRef shifted = left(e, magnitude, 13), sign = left(e, and_(e, bits, 0x8000), 16);
    LLVMValueRef normal = add(e, shifted, 112u << 23), special = add(e, shifted, 224u << 23);
    LLVMValueRef tiny = LLVMBuildUIToFP(e->builder, magnitude, l_typed(LLVMTypeOf(v), e->f32), "");
    tiny = to_type(e, LLVMBuildFMul(e->builder, tiny, l_real_like(e, tiny, 0x1p-24), ""), e->i32);
    LLVMValueRef result = l_select(e, test(e, LLVMIntUGE, magnitude, 0x7c00), special, normal);
    result = l_select(e, test(e, LLVMIntULT, magnitude, 0x400), tiny, result);
    return to_type(e, or_(e, result, sign), e->f32);
}

static LLVMValueRef f32_to_half(qn__emitter *e, LLVMValueRef v) {
    if (e->machine->f16c)
        return to_type(e, LLVMBuildFPTrunc(e->builder, v, l_typed(LLVMTypeOf(v), e->f16), ""), e->i16);
    LLVMValueRef bits = to_type(e, v, e->i32), magnitude = and_(e, bits, 0x7fffffff);
    LLVMValueRef odd = and_(e, right(e, magnitude, 13), 1);
    LLVMValueRef normal = add(e, LLVMBuildAdd(e->builder, magnitude, odd, ""), 0xfff);
    normal = add(e, right(e, normal, 13), (uint32_t) - (112 << 10));
    /* 0.5's last bit weighs what a subnormal's does: the addition rounds */
    LLVMValueRef positive = to_type(e, magnitude, e->f32);
    LLVMValueRef tiny = LLVMBuildFAdd(e->builder, positive, l_real_like(e, positive, 0.5), "");
    tiny = add(e, to_type(e, tiny, e->i32), (uint32_t)-0x3f000000);
    LLVMValueRef result = l_select(e, test(e, LLVMIntULT, magnitude, 0x38800000), tiny, normal);
    result = l_select(e, test(e, LLVMIntUGE, magnitude, 0x47800000), l_like(e, result, 0x7c00), result);
    result = l_select(e, test(e, LLVMIntUGT, magnitude, 0x7f800000), l_like(e, result, 0x7e00), result);
    return narrow(e, or_(e, result, and_(e, right(e, bits, 16), 0x8000)), e->i16);
}

static LLVMValueRef brain_to_f32(qn__emitter *e, LLVMValueRef v) {
    return to_type(e, left(e, widen(e, v, e->i32), 16), e->f32);
}

static LLVMValueRef f32_to_brain(qn__emitter *e, LLVMValueRef v) {
    LLVMValueRef bits = to_type(e, v, e->i32), odd = and_(e, right(e, bits, 16), 1);
    LLVMValueRef rounded = right(e, add(e, LLVMBuildAdd(e->builder, bits, odd, ""), 0x7fff), 16);
    LLVMValueRef quiet = or_(e, right(e, bits, 16), l_like(e, bits, 0x40));
    LLVMValueRef nan = LLVMBuildFCmp(e->builder, LLVMRealUNO, v, v, "");
    return narrow(e, l_select(e, nan, quiet, rounded), e->i16);
}

/* Toward zero, and the last bit set when anything was lost. */
static LLVMValueRef f64_to_f32_odd(qn__emitter *e, LLVMValueRef v) {
    LLVMValueRef near = LLVMBuildFPTrunc(e->builder, v, l_typed(LLVMTypeOf(v), e->f32), "");
    LLVMValueRef back = LLVMBuildFPExt(e->builder, near, LLVMTypeOf(v), "");
    LLVMValueRef above = LLVMBuildFCmp(e->builder, LLVMRealOGT, l_call1(e, "llvm.fabs", back), l_call1(e, "llvm.fabs", v), "");
    LLVMValueRef inexact = LLVMBuildFCmp(e->builder, LLVMRealONE, back, v, "");
    LLVMValueRef bits = to_type(e, near, e->i32);
    LLVMValueRef cut = l_select(e, above, add(e, bits, 0xffffffff), bits);
    return to_type(e, l_select(e, inexact, or_(e, cut, l_like(e, cut, 1)), bits), e->f32);
}

static LLVMValueRef from_f32(qn__emitter *e, LLVMValueRef v, qn__type to) {
    return to == QN__TYPE_F16 ? f32_to_half(e, v) : f32_to_brain(e, v);
}

static LLVMValueRef real_to_real(qn__emitter *e, LLVMValueRef v, qn__type from, qn__type to) {
    if (from == QN__TYPE_F16) v = half_to_f32(e, v), from = QN__TYPE_F32;
    if (from == QN__TYPE_BF16) v = brain_to_f32(e, v), from = QN__TYPE_F32;
    if (from == to) return v;
    if (to == QN__TYPE_F64) return LLVMBuildFPExt(e->builder, v, l_typed(LLVMTypeOf(v), e->f64), "");
    if (to == QN__TYPE_F32) return LLVMBuildFPTrunc(e->builder, v, l_typed(LLVMTypeOf(v), e->f32), "");
    return from_f32(e, from == QN__TYPE_F64 ? f64_to_f32_odd(e, v) : v, to);
}

static LLVMValueRef plain_int_to_real(qn__emitter *e, LLVMValueRef v, bool is_signed, LLVMTypeRef to) {
    LLVMTypeRef type = l_typed(LLVMTypeOf(v), to);
    return is_signed ? LLVMBuildSIToFP(e->builder, v, type, "") : LLVMBuildUIToFP(e->builder, v, type, "");
}

/* 64 bits to f64 with rounding to odd: from 2^53 on, the 11 bits that may not fit are folded into bit 11. */
static LLVMValueRef wide_int_to_f64_odd(qn__emitter *e, LLVMValueRef v, bool is_signed) {
    LLVMValueRef magnitude = v;
    if (is_signed) {
        LLVMTypeRef type = LLVMTypeOf(v);
        magnitude = l_intrinsic(e, "llvm.abs", &type, 1, (LLVMValueRef[]){v, l_int(e, e->i1, 0)}, 2);
    }
    LLVMValueRef lost = test(e, LLVMIntNE, and_(e, magnitude, 0x7ff), 0);
    LLVMValueRef kept = and_(e, magnitude, ~UINT64_C(0x7ff));
    LLVMValueRef odd = l_select(e, lost, or_(e, kept, l_like(e, kept, 0x800)), kept);
    magnitude = l_select(e, test(e, LLVMIntUGE, magnitude, UINT64_C(1) << 53), odd, magnitude);
    LLVMValueRef real = plain_int_to_real(e, magnitude, false, e->f64);
    if (!is_signed) return real;
    return l_select(e, test(e, LLVMIntSLT, v, 0), LLVMBuildFNeg(e->builder, real, ""), real);
}

static LLVMValueRef int_to_real(qn__emitter *e, LLVMValueRef v, qn__type from, qn__type to) {
    bool is_signed = qn__is_signed(from);
    if (to == QN__TYPE_F64) return plain_int_to_real(e, v, is_signed, e->f64);
    /* to f16 through f32: what f32 cannot hold exactly is infinite in f16 */
    if (to == QN__TYPE_F32 || to == QN__TYPE_F16 || qn__type_bits(from) <= 16) {
        LLVMValueRef real = plain_int_to_real(e, v, is_signed, e->f32);
        return to == QN__TYPE_F32 ? real : from_f32(e, real, to);
    }
    LLVMValueRef real = qn__type_bits(from) == 64 ? wide_int_to_f64_odd(e, v, is_signed)
                                                  : plain_int_to_real(e, v, is_signed, e->f64);
    return real_to_real(e, real, QN__TYPE_F64, to);
}

static LLVMValueRef real_below(qn__emitter *e, LLVMValueRef v, double limit, LLVMValueRef yes, LLVMValueRef no) {
    return l_select(e, LLVMBuildFCmp(e->builder, LLVMRealOLT, v, l_real_like(e, v, limit), ""), yes, no);
}

/* LLVM takes the saturating intrinsics of vectors apart, lane by lane. Here: NaN becomes 0, then the value is clamped where the limit is
 * exact in its type; else lanes at or above 2^bits are converted as 0 and replaced afterwards. */
static LLVMValueRef vector_real_to_int(qn__emitter *e, LLVMValueRef v, qn__type to) {
    const uint32_t bits = qn__type_bits(to), digits = l_scalar_type(LLVMTypeOf(v)) == e->f32 ? 24 : 53;
    const bool is_signed = qn__is_signed(to);
    const double lowest = is_signed ? -(double)(UINT64_C(1) << (bits - 1)) : 0.0;
    const double above = is_signed ? -lowest : 2.0 * (double)(UINT64_C(1) << (bits - 1));
    LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(v));
    LLVMValueRef clean = l_select(e, LLVMBuildFCmp(e->builder, LLVMRealORD, v, v, ""), v, zero);
    clean = real_below(e, clean, lowest, l_real_like(e, v, lowest), clean);
    LLVMTypeRef type = l_typed(LLVMTypeOf(v), bits < 32 ? e->i32 : l_type(e, to));
    if (digits >= bits) {
        clean = real_below(e, clean, above - 1.0, clean, l_real_like(e, v, above - 1.0));
        LLVMValueRef whole = is_signed || bits < 32 ? LLVMBuildFPToSI(e->builder, clean, type, "") : LLVMBuildFPToUI(e->builder, clean, type, "");
        return bits < 32 ? LLVMBuildTrunc(e->builder, whole, l_typed(LLVMTypeOf(v), l_type(e, to)), "") : whole;
    }
    LLVMValueRef fits = LLVMBuildFCmp(e->builder, LLVMRealOLT, clean, l_real_like(e, v, above), "");
    clean = l_select(e, fits, clean, zero);
    LLVMValueRef whole = is_signed ? LLVMBuildFPToSI(e->builder, clean, type, "") : LLVMBuildFPToUI(e->builder, clean, type, "");
    return l_select(e, fits, whole, l_like(e, whole, is_signed ? (UINT64_C(1) << (bits - 1)) - 1 : UINT64_MAX >> (64 - bits)));
}

static LLVMValueRef real_to_int(qn__emitter *e, LLVMValueRef v, qn__type from, qn__type to) {
    if (from == QN__TYPE_F16 || from == QN__TYPE_BF16) v = real_to_real(e, v, from, QN__TYPE_F32);
    if (l_is_vector(v)) return vector_real_to_int(e, v, to);
    LLVMTypeRef overloads[2] = {l_typed(LLVMTypeOf(v), l_type(e, to)), LLVMTypeOf(v)};
    return l_intrinsic(e, qn__is_signed(to) ? "llvm.fptosi.sat" : "llvm.fptoui.sat", overloads, 2, &v, 1);
}

static LLVMValueRef int_to_int(qn__emitter *e, LLVMValueRef v, qn__type from, qn__type to) {
    LLVMTypeRef type = l_typed(LLVMTypeOf(v), l_type(e, to));
    if (from != QN__TYPE_BOOL && qn__type_bits(to) == qn__type_bits(from)) return v;
    if (from != QN__TYPE_BOOL && qn__type_bits(to) < qn__type_bits(from)) return LLVMBuildTrunc(e->builder, v, type, "");
    return qn__is_signed(from) ? LLVMBuildSExt(e->builder, v, type, "") : LLVMBuildZExt(e->builder, v, type, "");
}

LLVMValueRef qn__convert(qn__emitter *e, LLVMValueRef v, qn__type from, qn__type to) {
    if (from == to) return v;
    if (to == QN__TYPE_BOOL) {
        if (!qn__is_float(from)) return test(e, LLVMIntNE, v, 0);
        if (from == QN__TYPE_F16 || from == QN__TYPE_BF16) return test(e, LLVMIntNE, and_(e, v, 0x7fff), 0);
        return LLVMBuildFCmp(e->builder, LLVMRealUNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
    }
    if (qn__is_float(from)) return qn__is_float(to) ? real_to_real(e, v, from, to) : real_to_int(e, v, from, to);
    return qn__is_float(to) ? int_to_real(e, v, from, to) : int_to_int(e, v, from, to);
}

static LLVMValueRef reinterpret(qn__emitter *e, LLVMValueRef v, qn__type from, qn__type to) {
    if (from == to) return v;
    if (to == QN__TYPE_BOOL) return l_from_memory(e, to, v);
    return to_type(e, l_to_memory(e, from, v), l_type(e, to));
}

/* Indices as reals: most processors lack a vector conversion from 64 bits, but nearly all indices fit 32 bits, where the
 * conversion is exact or rounds the same. One scalar test decides for all lanes. */
static LLVMValueRef index_to_real(qn__emitter *e, qn__value index, qn__type to) {
    int64_t stride = e->shapes[index].stride;
    LLVMValueRef base = l_scalar(e, index);
    LLVMTypeRef type = l_slot_type(e, to, true);
    LLVMValueRef slot = l_alloca(e, type);
    LLVMBasicBlockRef small = l_block(e, "small"), large = l_block(e, "large"), end = l_block(e, "real");
    LLVMValueRef offset = LLVMBuildAdd(e->builder, base, l_i64(e, INT64_C(1) << 30), "");
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntULT, offset, l_i64(e, INT64_C(1) << 31), ""), small, large);
    l_enter(e, small);
    LLVMValueRef first = LLVMBuildTrunc(e->builder, base, e->i32, "");
    LLVMValueRef lanes = LLVMBuildAdd(e->builder, l_splat(e, first), l_steps(e, e->i32, stride), "");
    l_store(e, qn__convert(e, lanes, QN__TYPE_I32, to), slot);
    l_jump(e, end);
    l_enter(e, large);
    l_store(e, qn__convert(e, l_vector(e, index), QN__TYPE_I64, to), slot);
    l_jump(e, end);
    l_enter(e, end);
    return l_load(e, type, slot);
}

static bool is_index(const qn__emitter *e, qn__value v, qn__type from, qn__type to) {
    if (e->width == 1 || from != QN__TYPE_I64 || !qn__is_float(to) || e->shapes[v].variance != QN__LINEAR) return false;
    return e->shapes[v].stride > -(1 << 20) && e->shapes[v].stride < 1 << 20;
}

void qn__emit_convert(qn__emitter *e, const qn__instr *instr) {
    qn__type from = qn__type_of(e->ir, instr->args[0]), to = qn__type_of(e->ir, instr->first_result);
    if (instr->op == QN__OP_CONVERT && is_index(e, instr->args[0], from, to)) {
        l_set(e, instr->first_result, index_to_real(e, instr->args[0], to));
        return;
    }
    LLVMValueRef v = l_value_as(e, instr->args[0], l_varies(e, instr->first_result));
    l_set(e, instr->first_result, instr->op == QN__OP_CONVERT ? qn__convert(e, v, from, to) : reinterpret(e, v, from, to));
}
