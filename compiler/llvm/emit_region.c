/* The dispatch: one instruction after the other, regions by recursion. */
#include "compiler/llvm/internal.h"

const qn__instr *qn__yield_of(const qn__ir *ir, qn__region_ref region) { return &ir->instrs[ir->regions[region].last]; }

LLVMValueRef qn__constant(qn__emitter *e, qn__type type, uint64_t bits) {
    if (type == QN__TYPE_BOOL) return l_int(e, e->i1, bits != 0);
    if (type == QN__TYPE_F32) return LLVMConstBitCast(l_int(e, e->i32, bits & 0xffffffff), e->f32);
    if (type == QN__TYPE_F64) return LLVMConstBitCast(l_int(e, e->i64, bits), e->f64);
    uint32_t width = qn__type_bits(type);
    return l_int(e, l_type(e, type), width < 64 ? bits & ((UINT64_C(1) << width) - 1) : bits);
}

/* Scalar parameters lie in slots of eight bytes, zero-extended. */
static LLVMValueRef parameter(qn__emitter *e, const qn__instr *instr) {
    qn__type type = qn__type_of(e->ir, instr->first_result);
    LLVMValueRef slots = l_load(e, e->ptr, l_field(e, e->frame, offsetof(qn__frame, scalars)));
    LLVMValueRef bits = l_load(e, e->i64, l_field(e, slots, instr->imm * sizeof(uint64_t)));
    if (type == QN__TYPE_BOOL) return LLVMBuildICmp(e->builder, LLVMIntNE, bits, l_i64(e, 0), "");
    LLVMTypeRef integer = LLVMIntTypeInContext(e->context, qn__type_bits(type));
    if (qn__type_bits(type) < 64) bits = LLVMBuildTrunc(e->builder, bits, integer, "");
    return LLVMBuildBitCast(e->builder, bits, l_type(e, type), "");
}

static LLVMValueRef size_symbol(qn__emitter *e, const qn__instr *instr) {
    LLVMValueRef sizes = l_load(e, e->ptr, l_field(e, e->frame, offsetof(qn__frame, sizes)));
    return l_load(e, e->i64, l_field(e, sizes, instr->imm * sizeof(int64_t)));
}

/* A function's body in place of the call (the inline pass has left few, if any). Width 1 only: plan.c sees to it. */
static void call(qn__emitter *e, const qn__instr *instr) {
    qn__region_ref body = e->ir->functions[instr->imm].body;
    for (uint32_t i = 0; i < instr->arg_count; i++) l_set(e, qn__region_param(e->ir, body, i), l_scalar(e, instr->args[i]));
    qn__emit_region(e, body);
    const qn__instr *yield = qn__yield_of(e->ir, body);
    for (uint32_t i = 0; i < instr->result_count; i++) l_set(e, instr->first_result + i, l_scalar(e, yield->args[i]));
}

static void stage(qn__emitter *e, const qn__instr *instr) {
    void *scope = qn__debug_enter(e, instr);
    if (instr->op == QN__OP_SCAN) qn__emit_scan(e, instr);
    else if (instr->op == QN__OP_KEEP) qn__emit_keep(e, instr);
    else qn__emit_parallel(e, instr);
    qn__debug_leave(e, scope);
}

void qn__emit_instr(qn__emitter *e, const qn__instr *instr) {
    switch ((qn__op)instr->op) {
    case QN__OP_CONST: l_set(e, instr->first_result, qn__constant(e, qn__type_of(e->ir, instr->first_result), instr->imm)); return;
    case QN__OP_PARAM: if (!e->gpu) l_set(e, instr->first_result, parameter(e, instr)); return;
    case QN__OP_SIZE: if (!e->gpu) l_set(e, instr->first_result, size_symbol(e, instr)); return;
    case QN__OP_ADD: case QN__OP_SUB: case QN__OP_MUL: case QN__OP_DIV: case QN__OP_REM: case QN__OP_MIN: case QN__OP_MAX:
    case QN__OP_COPYSIGN: case QN__OP_FMA: case QN__OP_AND: case QN__OP_OR: case QN__OP_XOR: case QN__OP_SHL:
    case QN__OP_SHR: case QN__OP_NEG: case QN__OP_NOT: case QN__OP_ABS: case QN__OP_SQRT: case QN__OP_FLOOR:
    case QN__OP_CEIL: case QN__OP_TRUNC: case QN__OP_RINT: case QN__OP_POPCOUNT: case QN__OP_CLZ: case QN__OP_CTZ:
    case QN__OP_EQ: case QN__OP_NE: case QN__OP_LT: case QN__OP_LE: case QN__OP_GT: case QN__OP_GE:
    case QN__OP_SELECT: qn__emit_arith(e, instr); return;
    case QN__OP_CONVERT: case QN__OP_BITCAST: qn__emit_convert(e, instr); return;
    case QN__OP_LOAD: qn__emit_load(e, instr); return;
    case QN__OP_STORE: qn__emit_store(e, instr); return;
    case QN__OP_ACCUMULATE: qn__emit_accumulate(e, instr); return;
    case QN__OP_LOCAL_LOAD: qn__emit_local_load(e, instr); return;
    case QN__OP_LOCAL_STORE: qn__emit_local_store(e, instr); return;
    case QN__OP_LOCAL_ZERO: qn__emit_local_zero(e, instr); return;
    case QN__OP_CHECK_INDEX: case QN__OP_CHECK_NONZERO: case QN__OP_CHECK: qn__emit_check(e, instr); return;
    case QN__OP_CALL: call(e, instr); return;
    case QN__OP_EXTERN_CALL: qn__emit_extern_call(e, instr); return;
    case QN__OP_IF: qn__emit_if(e, instr); return;
    case QN__OP_FOR: qn__emit_for(e, instr); return;
    case QN__OP_WHILE: qn__emit_while(e, instr); return;
    case QN__OP_REDUCE: qn__emit_reduce(e, instr); return;
    case QN__OP_SCAN: case QN__OP_KEEP: case QN__OP_PARALLEL: stage(e, instr); return;
    case QN__OP_PUSH: qn__emit_push(e, instr); return;
    case QN__OP_ALLOC: qn__emit_alloc(e, instr); return;
    case QN__OP_SWAP: qn__emit_swap(e, instr); return;
    case QN__OP_YIELD: case QN__OP_COUNT: return;
    }
}

void qn__emit_region(qn__emitter *e, qn__region_ref region) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref && !e->failed; ref = e->ir->instrs[ref].next) {
        qn__debug_at(e, &e->ir->instrs[ref]);
        qn__emit_instr(e, &e->ir->instrs[ref]);
    }
}
