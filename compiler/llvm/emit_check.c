/* What talks to the runtime: faults, polls, allocation, host functions.
 *
 * A fault fills in frame->fault and returns its kind. In vector code the fault of the lowest failing lane is filled in,
 * and the code goes to e->retry, the scalar loop at the vector's first point: that finds the first fault in the order of
 * points. e->pending keeps the kind, so that a fault cannot be lost even if it does not show up again. */
#include "compiler/llvm/internal.h"

static LLVMValueRef fault_field(qn__emitter *e, size_t offset) {
    return l_field(e, e->frame, offsetof(qn__frame, fault) + offset);
}

void qn__emit_return(qn__emitter *e, LLVMValueRef kind) { LLVMBuildRet(e->builder, kind); }

/* The point's row-major number in its stage; 0 outside of stages. */
static LLVMValueRef iteration(qn__emitter *e) {
    LLVMValueRef number = l_i64(e, 0);
    for (uint32_t d = 0; d < e->point.rank; d++) {
        LLVMValueRef extent = LLVMBuildSub(e->builder, e->point.hi[d], e->point.lo[d], "");
        LLVMValueRef offset = LLVMBuildSub(e->builder, e->point.iv[d], e->point.lo[d], "");
        number = LLVMBuildAdd(e->builder, LLVMBuildMul(e->builder, number, extent, ""), offset, "");
    }
    return number;
}

static void fill_fault(qn__emitter *e, LLVMValueRef kind, uint32_t location, LLVMValueRef index, LLVMValueRef extent,
                       LLVMValueRef number) {
    l_store(e, kind, fault_field(e, offsetof(qn__fault, kind)));
    l_store(e, l_i32(e, location), fault_field(e, offsetof(qn__fault, location)));
    l_store(e, index, fault_field(e, offsetof(qn__fault, index)));
    l_store(e, extent, fault_field(e, offsetof(qn__fault, extent)));
    l_store(e, number, fault_field(e, offsetof(qn__fault, iteration)));
}

typedef struct check { LLVMValueRef ok; uint32_t kind; qn__value index, extent; } check;

static LLVMValueRef lane_of(qn__emitter *e, qn__value v, LLVMValueRef lane) {
    if (!v) return l_i64(e, 0);
    if (e->width == 1 || e->shapes[v].variance == QN__UNIFORM) return l_scalar(e, v);
    return LLVMBuildExtractElement(e->builder, l_vector(e, v), lane, "");
}

/* In vector code; ok is a vector or, if the check is uniform, a scalar. */
static void check_lanes(qn__emitter *e, const qn__instr *instr, const check *c, LLVMBasicBlockRef fine) {
    LLVMValueRef bad = LLVMBuildNot(e->builder, l_splat(e, c->ok), "");
    bad = l_and_mask(e, e->mask, bad);
    LLVMBasicBlockRef failed = l_block(e, "fault");
    l_branch_likely(e, LLVMBuildNot(e->builder, l_any(e, bad), ""), fine, failed);
    l_enter(e, failed);
    LLVMValueRef bits = l_bits(e, l_from_mask(e, bad));
    LLVMTypeRef type = LLVMTypeOf(bits);
    LLVMValueRef lane = l_intrinsic(e, "llvm.cttz", &type, 1, (LLVMValueRef[]){bits, l_int(e, e->i1, 0)}, 2);
    lane = LLVMGetIntTypeWidth(type) < 64 ? LLVMBuildZExt(e->builder, lane, e->i64, "") : lane;
    LLVMValueRef number = LLVMBuildAdd(e->builder, iteration(e), lane, "");
    fill_fault(e, l_i32(e, c->kind), instr->location, lane_of(e, c->index, lane), lane_of(e, c->extent, lane), number);
    if (e->retry) {
        l_store(e, l_i32(e, c->kind), e->pending);
        l_jump(e, e->retry);
    } else {
        qn__emit_return(e, l_i32(e, c->kind));
    }
}

static void check_scalar(qn__emitter *e, const qn__instr *instr, const check *c, LLVMBasicBlockRef fine) {
    LLVMBasicBlockRef failed = l_block(e, "fault");
    l_branch_likely(e, c->ok, fine, failed);
    l_enter(e, failed);
    LLVMValueRef index = c->index ? l_scalar(e, c->index) : l_i64(e, 0);
    LLVMValueRef extent = c->extent ? l_scalar(e, c->extent) : l_i64(e, 0);
    e->platform->fault(e, c->kind, instr->location, index, extent, iteration(e));
}

void qn__cpu_fault(qn__emitter *e, uint32_t kind, uint32_t location, LLVMValueRef index, LLVMValueRef extent, LLVMValueRef number) {
    fill_fault(e, l_i32(e, kind), location, index, extent, number);
    qn__emit_return(e, l_i32(e, kind));
}

static LLVMValueRef in_range(qn__emitter *e, const qn__instr *instr, bool wide) {
    LLVMValueRef index = l_value_as(e, instr->args[0], wide), extent = l_value_as(e, instr->args[1], wide);
    LLVMValueRef below = LLVMBuildICmp(e->builder, LLVMIntSLT, index, extent, "");
    LLVMValueRef positive = LLVMBuildICmp(e->builder, LLVMIntSGE, index, LLVMConstNull(LLVMTypeOf(index)), "");
    return LLVMBuildAnd(e->builder, below, positive, "");
}

static LLVMValueRef not_zero(qn__emitter *e, const qn__instr *instr, bool wide) {
    LLVMValueRef v = l_value_as(e, instr->args[0], wide);
    if (qn__is_float(qn__type_of(e->ir, instr->args[0])))
        return LLVMBuildFCmp(e->builder, LLVMRealUNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
    return LLVMBuildICmp(e->builder, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
}

void qn__emit_check(qn__emitter *e, const qn__instr *instr) {
    check c = {0};
    bool wide = false;
    for (uint32_t i = 0; i < instr->arg_count && e->width > 1; i++)
        wide |= e->shapes[instr->args[i]].variance != QN__UNIFORM;
    if (instr->op == QN__OP_CHECK_INDEX) {
        c = (check){in_range(e, instr, wide), QN__FAULT_INDEX, instr->args[0], instr->args[1]};
    } else if (instr->op == QN__OP_CHECK_NONZERO) {
        c = (check){not_zero(e, instr, wide), QN__FAULT_DIVISION, 0, 0};
    } else {
        c = (check){l_value_as(e, instr->args[0], wide), instr->aux, 0, 0};
        if (instr->arg_count == 3) c.index = instr->args[1], c.extent = instr->args[2];
    }
    LLVMBasicBlockRef fine = l_block(e, "fine");
    if (e->width > 1) check_lanes(e, instr, &c, fine);
    else check_scalar(e, instr, &c, fine);
    l_enter(e, fine);
}

static LLVMValueRef service(qn__emitter *e, size_t offset) {
    LLVMValueRef table = l_load(e, e->ptr, l_field(e, e->frame, offsetof(qn__frame, services)));
    return l_load(e, e->ptr, l_field(e, table, offset));
}

/* Returns result when it is not 0, having set the fault's kind and location. */
static void leave_if(qn__emitter *e, LLVMValueRef result, uint32_t location, LLVMBasicBlockRef fine) {
    LLVMBasicBlockRef failed = l_block(e, "leave");
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntEQ, result, l_i32(e, 0), ""), fine, failed);
    l_enter(e, failed);
    l_store(e, result, fault_field(e, offsetof(qn__fault, kind)));
    l_store(e, l_i32(e, location), fault_field(e, offsetof(qn__fault, location)));
    l_store(e, iteration(e), fault_field(e, offsetof(qn__fault, iteration)));
    qn__emit_return(e, result);
}

void qn__emit_poll(qn__emitter *e, uint32_t location) { e->platform->poll(e, location); }

void qn__cpu_poll(qn__emitter *e, uint32_t location) {
    LLVMValueRef stop = l_load(e, e->i32, e->stop);
    LLVMSetVolatile(stop, true);
    LLVMBasicBlockRef ask = l_block(e, "poll"), on = l_block(e, "on");
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntEQ, stop, l_i32(e, 0), ""), on, ask);
    l_enter(e, ask);
    LLVMTypeRef type = LLVMFunctionType(e->i32, &e->ptr, 1, false);
    LLVMValueRef poll = service(e, offsetof(qn__services, poll));
    leave_if(e, LLVMBuildCall2(e->builder, type, poll, &e->frame, 1, ""), location, on);
    l_enter(e, on);
}

void qn__emit_allocate(qn__emitter *e, uint32_t array, LLVMValueRef *extents, uint32_t rank, uint32_t location) {
    LLVMValueRef list = l_alloca_array(e, e->i64, rank ? rank : 1);
    for (uint32_t d = 0; d < rank; d++) l_store(e, extents[d], l_gep(e, e->i64, list, l_i64(e, d)));
    LLVMTypeRef params[3] = {e->ptr, e->i32, e->ptr};
    LLVMTypeRef type = LLVMFunctionType(e->i32, params, 3, false);
    LLVMValueRef args[3] = {e->frame, l_i32(e, array), list};
    LLVMBasicBlockRef fine = l_block(e, "allocated");
    leave_if(e, LLVMBuildCall2(e->builder, type, service(e, offsetof(qn__services, allocate)), args, 3, ""), location, fine);
    l_enter(e, fine);
}

void qn__emit_alloc(qn__emitter *e, const qn__instr *instr) {
    LLVMValueRef extents[QN__MAX_RANK] = {0};
    for (uint32_t d = 0; d < instr->arg_count && d < QN__MAX_RANK; d++) extents[d] = l_scalar(e, instr->args[d]);
    qn__emit_allocate(e, (uint32_t)instr->imm, extents, instr->arg_count, instr->location);
}

/* ---- host functions ---- */

/* Small integers are extended by the caller in C's calling conventions. */
static void extend(qn__emitter *e, LLVMValueRef call, uint32_t index, qn__type type) {
    if (qn__is_float(type) || qn__type_bits(type) >= 32) return;
    const char *name = qn__is_signed(type) ? "signext" : "zeroext";
    LLVMAddCallSiteAttribute(call, index, LLVMCreateEnumAttribute(e->context, LLVMGetEnumAttributeKindForName(name, 7), 0));
}

static LLVMValueRef call_host(qn__emitter *e, const qn__instr *instr, LLVMValueRef *args) {
    const qn__extern *callee = &e->ir->externs[instr->imm];
    LLVMTypeRef params[64];
    uint32_t count = callee->param_count < 64 ? callee->param_count : 64;
    for (uint32_t i = 0; i < count; i++) params[i] = l_type(e, (qn__type)callee->param_types[i]);
    qn__type result = (qn__type)callee->result_type;
    LLVMTypeRef type = LLVMFunctionType(l_type(e, result), params, count, false);
    LLVMValueRef table = l_load(e, e->ptr, l_field(e, e->frame, offsetof(qn__frame, externs)));
    LLVMValueRef function = l_load(e, e->ptr, l_field(e, table, instr->imm * sizeof(void *)));
    LLVMValueRef call = LLVMBuildCall2(e->builder, type, function, args, count, "");
    for (uint32_t i = 0; i < count; i++) extend(e, call, i + 1, (qn__type)callee->param_types[i]);
    extend(e, call, 0, result);
    return call;
}

/* Once per live lane; a uniform call is made once. */
void qn__emit_extern_call(qn__emitter *e, const qn__instr *instr) {
    LLVMValueRef args[64];
    if (instr->arg_count > 64) {
        qn__fail(e, "a host function has more than 64 parameters");
        return;
    }
    if (!l_varies(e, instr->first_result)) {
        for (uint32_t i = 0; i < instr->arg_count; i++) args[i] = l_scalar(e, instr->args[i]);
        l_set(e, instr->first_result, call_host(e, instr, args));
        return;
    }
    LLVMTypeRef type = l_value_type(e, instr->first_result);
    LLVMValueRef result = l_alloca(e, type), vectors[64];
    l_store(e, LLVMConstNull(type), result);
    for (uint32_t i = 0; i < instr->arg_count; i++) vectors[i] = l_vector(e, instr->args[i]);
    for (uint32_t lane = 0; lane < e->width; lane++) {
        LLVMBasicBlockRef live = l_block(e, "lane"), after = l_block(e, "next");
        l_branch(e, l_lane(e, l_live(e), lane), live, after);
        l_enter(e, live);
        for (uint32_t i = 0; i < instr->arg_count; i++) args[i] = l_lane(e, vectors[i], lane);
        l_store(e, l_with_lane(e, l_load(e, type, result), call_host(e, instr, args), lane), result);
        l_jump(e, after);
        l_enter(e, after);
    }
    l_set(e, instr->first_result, l_load(e, type, result));
}
