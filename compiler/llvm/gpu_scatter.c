/* accumulate: atomics where the order of combinations cannot be told. 8- and 16-bit elements are left to LLVM, which works on the word around them. */
#include "compiler/llvm/gpu_internal.h"

/* The operation that hardware and LLVM know, or -1: then a loop of compare and swap. */
static int native(qn__op op, qn__type type) {
    if (qn__is_float(type)) return -1;
    bool is_signed = qn__is_signed(type);
    switch (op) {
    case QN__OP_ADD: return type == QN__TYPE_BOOL ? LLVMAtomicRMWBinOpOr : LLVMAtomicRMWBinOpAdd;
    case QN__OP_MUL: return type == QN__TYPE_BOOL ? LLVMAtomicRMWBinOpAnd : -1;
    case QN__OP_AND: return LLVMAtomicRMWBinOpAnd;
    case QN__OP_OR: return LLVMAtomicRMWBinOpOr;
    case QN__OP_MIN: return is_signed ? LLVMAtomicRMWBinOpMin : LLVMAtomicRMWBinOpUMin;
    case QN__OP_MAX: return is_signed ? LLVMAtomicRMWBinOpMax : LLVMAtomicRMWBinOpUMax;
    default: return -1;
    }
}

static void compare_and_swap(qn__gpu *g, qn__op op, qn__type type, LLVMValueRef pointer, LLVMValueRef value) {
    qn__emitter *e = g->e;
    LLVMTypeRef integer = LLVMIntTypeInContext(e->context, qn__type_bits(type)), memory = l_memory_type(e, type);
    LLVMBasicBlockRef try = l_block(e, "try"), done = l_block(e, "combined");
    LLVMValueRef seen = l_alloca(e, integer), first = l_load(e, integer, pointer);
    LLVMSetVolatile(first, true);
    l_store(e, first, seen);
    l_jump(e, try);
    l_enter(e, try);
    LLVMValueRef old = l_load(e, integer, seen);
    LLVMValueRef element = l_from_memory(e, type, LLVMBuildBitCast(e->builder, old, memory, ""));
    LLVMValueRef sum = l_to_memory(e, type, qn__combine_element(e, op, type, element, value));
    sum = LLVMBuildBitCast(e->builder, sum, integer, "");
    LLVMValueRef pair = qn__on_device(g, LLVMBuildAtomicCmpXchg(e->builder, pointer, old, sum, LLVMAtomicOrderingMonotonic, LLVMAtomicOrderingMonotonic, false));
    l_store(e, LLVMBuildExtractValue(e->builder, pair, 0, ""), seen);
    l_branch(e, LLVMBuildExtractValue(e->builder, pair, 1, ""), done, try);
    l_enter(e, done);
}

static void atomically(qn__gpu *g, qn__op op, qn__type type, LLVMValueRef pointer, LLVMValueRef value) {
    qn__emitter *e = g->e;
    int operation = native(op, type);
    if (operation < 0) compare_and_swap(g, op, type, pointer, value);
    else qn__on_device(g, LLVMBuildAtomicRMW(e->builder, (LLVMAtomicRMWBinOp)operation, pointer, l_to_memory(e, type, value), LLVMAtomicOrderingMonotonic, false));
}

bool qn__gpu_accumulate(qn__emitter *e, const qn__instr *instr, LLVMValueRef pointer, LLVMValueRef value) {
    qn__gpu *g = qn__gpu_of(e);
    if (qn__gpu_note(g, instr, pointer, value)) return true;
    if (g->mode == QN__MODE_UNIFORM || g->mode == QN__MODE_ORDERED) return false;
    LLVMBasicBlockRef after = g->mode == QN__MODE_WARP ? l_block(e, "accumulated") : NULL;
    if (after) {
        LLVMBasicBlockRef one = l_block(e, "one");
        l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, g->lane, l_i32(e, 0), ""), one, after);
        l_enter(e, one);
    }
    atomically(g, (qn__op)instr->aux, (qn__type)e->ir->arrays[instr->imm].type, pointer, value);
    if (after) {
        l_jump(e, after);
        l_enter(e, after);
    }
    return true;
}
