/* Threads, warps, barriers, shared memory. */
#include "compiler/llvm/gpu_internal.h"

#include <llvm-c/DebugInfo.h>
#include <stdio.h>

enum { SHARED = 3, ALL = -1, CLAMP = 31, CLAMP_UP = 0 };

static LLVMValueRef call0(qn__emitter *e, const char *name) { return l_intrinsic(e, name, NULL, 0, NULL, 0); }

LLVMValueRef qn__register(qn__gpu *g, const char *name) {
    char full[64];
    snprintf(full, sizeof full, "llvm.nvvm.read.ptx.sreg.%s", name);
    return LLVMBuildZExt(g->e->builder, call0(g->e, full), g->e->i64, "");
}

LLVMValueRef qn__thread(qn__gpu *g) {
    LLVMValueRef size = qn__register(g, "ntid.x"), number = qn__register(g, "ctaid.x"); /* one after the other: the text must not depend on the C compiler */
    LLVMValueRef block = LLVMBuildMul(g->e->builder, number, size, "");
    return LLVMBuildAdd(g->e->builder, block, qn__register(g, "tid.x"), "");
}

LLVMValueRef qn__threads(qn__gpu *g) {
    LLVMValueRef size = qn__register(g, "ntid.x"), blocks = qn__register(g, "nctaid.x");
    return LLVMBuildMul(g->e->builder, blocks, size, "");
}

static const char up[] = "llvm.nvvm.shfl.sync.up.i32";

static LLVMValueRef shuffle32(qn__emitter *e, const char *name, LLVMValueRef value, LLVMValueRef which) {
    LLVMValueRef args[4] = {l_i32(e, (uint32_t)ALL), value, which, l_i32(e, name == up ? CLAMP_UP : CLAMP)};
    return l_intrinsic(e, name, NULL, 0, args, 4);
}

/* Any scalar type, through one or two words. */
static LLVMValueRef shuffle(qn__gpu *g, const char *name, LLVMValueRef value, LLVMValueRef which) {
    qn__emitter *e = g->e;
    LLVMTypeRef type = LLVMTypeOf(value);
    bool real = type == e->f32 || type == e->f64;
    uint32_t bits = type == e->f32 ? 32 : type == e->f64 ? 64 : LLVMGetIntTypeWidth(type);
    LLVMTypeRef integer = LLVMIntTypeInContext(e->context, bits);
    if (real) value = LLVMBuildBitCast(e->builder, value, integer, "");
    LLVMValueRef low = bits == 32 ? value : bits < 32 ? LLVMBuildZExt(e->builder, value, e->i32, "") : LLVMBuildTrunc(e->builder, value, e->i32, "");
    low = shuffle32(e, name, low, which);
    if (bits < 32) value = LLVMBuildTrunc(e->builder, low, integer, "");
    if (bits == 32) value = low;
    if (bits == 64) {
        LLVMValueRef high = LLVMBuildTrunc(e->builder, LLVMBuildLShr(e->builder, value, l_i64(e, 32), ""), e->i32, "");
        high = LLVMBuildZExt(e->builder, shuffle32(e, name, high, which), e->i64, "");
        value = LLVMBuildOr(e->builder, LLVMBuildShl(e->builder, high, l_i64(e, 32), ""), LLVMBuildZExt(e->builder, low, e->i64, ""), "");
    }
    return real ? LLVMBuildBitCast(e->builder, value, type, "") : value;
}

LLVMValueRef qn__shuffle_down(qn__gpu *g, LLVMValueRef value, LLVMValueRef distance) { return shuffle(g, "llvm.nvvm.shfl.sync.down.i32", value, distance); }

LLVMValueRef qn__shuffle_up(qn__gpu *g, LLVMValueRef value, LLVMValueRef distance) { return shuffle(g, up, value, distance); }

LLVMValueRef qn__shuffle_from(qn__gpu *g, LLVMValueRef value, LLVMValueRef lane) { return shuffle(g, "llvm.nvvm.shfl.sync.idx.i32", value, lane); }

LLVMValueRef qn__ballot(qn__gpu *g, LLVMValueRef bit) {
    LLVMValueRef args[2] = {l_i32(g->e, (uint32_t)ALL), bit};
    return l_intrinsic(g->e, "llvm.nvvm.vote.ballot.sync", NULL, 0, args, 2);
}

void qn__barrier(qn__gpu *g) {
    LLVMValueRef zero = l_i32(g->e, 0);
    l_intrinsic(g->e, "llvm.nvvm.barrier.cta.sync.aligned.all", NULL, 0, &zero, 1);
}

LLVMValueRef qn__any_in_block(qn__gpu *g, LLVMValueRef bit) {
    LLVMValueRef args[2] = {l_i32(g->e, 0), bit};
    return l_intrinsic(g->e, "llvm.nvvm.barrier.cta.red.or.aligned.all", NULL, 0, args, 2);
}

LLVMValueRef qn__on_device(qn__gpu *g, LLVMValueRef atomic) {
    LLVMSetAtomicSyncScopeID(atomic, LLVMGetSyncScopeID(g->e->context, "device", 6));
    return atomic;
}

void qn__unroll(qn__gpu *g, LLVMBasicBlockRef latch, uint32_t times) {
    qn__emitter *e = g->e;
    LLVMMetadataRef count[2] = {LLVMMDStringInContext2(e->context, "llvm.loop.unroll.count", 22), LLVMValueAsMetadata(l_i32(e, times))};
    LLVMMetadataRef parts[2] = {LLVMTemporaryMDNode(e->context, NULL, 0), LLVMMDNodeInContext2(e->context, count, 2)};
    LLVMMetadataRef loop = LLVMMDNodeInContext2(e->context, parts, 2);
    LLVMMetadataReplaceAllUsesWith(parts[0], loop); /* the first operand is the node itself: each loop has one of its own */
    LLVMSetMetadata(LLVMGetBasicBlockTerminator(latch), LLVMGetMDKindIDInContext(e->context, "llvm.loop", 9), LLVMMetadataAsValue(e->context, loop));
}

void qn__warp_barrier(qn__gpu *g) {
    LLVMValueRef all = l_i32(g->e, (uint32_t)ALL);
    l_intrinsic(g->e, "llvm.nvvm.bar.warp.sync", NULL, 0, &all, 1);
}

LLVMValueRef qn__shared(qn__gpu *g, LLVMTypeRef type, uint32_t count, const char *name) {
    LLVMValueRef global = LLVMAddGlobalInAddressSpace(g->e->module, LLVMArrayType2(type, count), name, SHARED);
    LLVMSetInitializer(global, LLVMGetUndef(LLVMArrayType2(type, count)));
    LLVMSetLinkage(global, LLVMInternalLinkage);
    LLVMSetAlignment(global, 16);
    return global;
}
