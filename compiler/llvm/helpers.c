/* The l_ helpers: one line of LLVM IR each, at the builder's place, at the emitter's current width.
 * Constants fold, and what is redundant (a splat of the same scalar) is left to early-cse. */
#include "compiler/llvm/internal.h"

#include <string.h>

bool qn__fail(qn__emitter *e, const char *message) {
    if (!e->failed) e->message = message;
    e->failed = true;
    return false;
}

LLVMTypeRef l_type(qn__emitter *e, qn__type type) {
    if (type == QN__TYPE_BOOL) return e->i1;
    if (type == QN__TYPE_F32) return e->f32;
    if (type == QN__TYPE_F64) return e->f64;
    return LLVMIntTypeInContext(e->context, qn__type_bits(type));
}

LLVMTypeRef l_memory_type(qn__emitter *e, qn__type type) { return type == QN__TYPE_BOOL ? e->i8 : l_type(e, type); }

LLVMTypeRef l_wide(qn__emitter *e, LLVMTypeRef type) { return e->width > 1 ? LLVMVectorType(type, e->width) : type; }

LLVMValueRef l_int(qn__emitter *e, LLVMTypeRef type, uint64_t value) {
    (void)e;
    return LLVMConstInt(type, value, false);
}

LLVMValueRef l_i64(qn__emitter *e, int64_t value) { return LLVMConstInt(e->i64, (uint64_t)value, false); }
LLVMValueRef l_i32(qn__emitter *e, uint32_t value) { return LLVMConstInt(e->i32, value, false); }

bool l_is_vector(LLVMValueRef value) { return LLVMGetTypeKind(LLVMTypeOf(value)) == LLVMVectorTypeKind; }

LLVMTypeRef l_scalar_type(LLVMTypeRef type) {
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type;
}

LLVMTypeRef l_typed(LLVMTypeRef like, LLVMTypeRef scalar) {
    return LLVMGetTypeKind(like) == LLVMVectorTypeKind ? LLVMVectorType(scalar, LLVMGetVectorSize(like)) : scalar;
}

static LLVMValueRef const_splat(LLVMValueRef scalar, uint32_t width) {
    LLVMValueRef lanes[QN__MAX_WIDTH];
    for (uint32_t i = 0; i < width; i++) lanes[i] = scalar;
    return LLVMConstVector(lanes, width);
}

static LLVMValueRef shaped_like(LLVMValueRef value, LLVMValueRef constant) {
    return l_is_vector(value) ? const_splat(constant, LLVMGetVectorSize(LLVMTypeOf(value))) : constant;
}

LLVMValueRef l_like(qn__emitter *e, LLVMValueRef value, uint64_t constant) {
    (void)e;
    return shaped_like(value, LLVMConstInt(l_scalar_type(LLVMTypeOf(value)), constant, false));
}

LLVMValueRef l_real_like(qn__emitter *e, LLVMValueRef value, double constant) {
    (void)e;
    return shaped_like(value, LLVMConstReal(l_scalar_type(LLVMTypeOf(value)), constant));
}

LLVMValueRef l_splat(qn__emitter *e, LLVMValueRef scalar) {
    if (e->width == 1 || l_is_vector(scalar)) return scalar;
    if (LLVMIsConstant(scalar)) return const_splat(scalar, e->width);
    LLVMTypeRef vector = LLVMVectorType(LLVMTypeOf(scalar), e->width);
    LLVMValueRef first = LLVMBuildInsertElement(e->builder, LLVMGetPoison(vector), scalar, l_i32(e, 0), "");
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(e->i32, e->width));
    return LLVMBuildShuffleVector(e->builder, first, LLVMGetPoison(vector), zeros, "");
}

LLVMValueRef l_steps(qn__emitter *e, LLVMTypeRef scalar, int64_t stride) {
    LLVMValueRef lanes[QN__MAX_WIDTH];
    for (uint32_t i = 0; i < e->width; i++) {
        uint64_t step = (uint64_t)stride * i;
        uint32_t bits = LLVMGetIntTypeWidth(scalar);
        lanes[i] = LLVMConstInt(scalar, bits < 64 ? step & ((UINT64_C(1) << bits) - 1) : step, false);
    }
    return LLVMConstVector(lanes, e->width);
}

LLVMValueRef l_intrinsic(qn__emitter *e, const char *name, LLVMTypeRef *overloads, uint32_t overload_count,
                         LLVMValueRef *args, uint32_t arg_count) {
    uint32_t id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(e->module, id, overloads, overload_count);
    LLVMTypeRef type = LLVMIntrinsicGetType(e->context, id, overloads, overload_count);
    return LLVMBuildCall2(e->builder, type, function, args, arg_count, "");
}

LLVMValueRef l_call1(qn__emitter *e, const char *name, LLVMValueRef a) {
    LLVMTypeRef type = LLVMTypeOf(a);
    return l_intrinsic(e, name, &type, 1, &a, 1);
}

LLVMValueRef l_call2(qn__emitter *e, const char *name, LLVMValueRef a, LLVMValueRef b) {
    LLVMTypeRef type = LLVMTypeOf(a);
    return l_intrinsic(e, name, &type, 1, (LLVMValueRef[]){a, b}, 2);
}

LLVMValueRef l_select(qn__emitter *e, LLVMValueRef cond, LLVMValueRef yes, LLVMValueRef no) {
    return LLVMBuildSelect(e->builder, cond, yes, no, "");
}

LLVMValueRef l_alloca(qn__emitter *e, LLVMTypeRef type) { return LLVMBuildAlloca(e->head, type, ""); }

LLVMValueRef l_alloca_array(qn__emitter *e, LLVMTypeRef type, uint32_t count) {
    return LLVMBuildAlloca(e->head, LLVMArrayType2(type, count), "");
}

LLVMValueRef l_load(qn__emitter *e, LLVMTypeRef type, LLVMValueRef pointer) {
    return LLVMBuildLoad2(e->builder, type, pointer, "");
}

void l_store(qn__emitter *e, LLVMValueRef value, LLVMValueRef pointer) { LLVMBuildStore(e->builder, value, pointer); }

LLVMValueRef l_gep(qn__emitter *e, LLVMTypeRef element, LLVMValueRef pointer, LLVMValueRef index) {
    return LLVMBuildGEP2(e->builder, element, pointer, &index, 1, "");
}

LLVMValueRef l_field(qn__emitter *e, LLVMValueRef pointer, size_t offset) {
    return offset ? l_gep(e, e->i8, pointer, l_i64(e, (int64_t)offset)) : pointer;
}

LLVMBasicBlockRef l_block(qn__emitter *e, const char *name) {
    return LLVMAppendBasicBlockInContext(e->context, e->function, name);
}

void l_enter(qn__emitter *e, LLVMBasicBlockRef block) { LLVMPositionBuilderAtEnd(e->builder, block); }
void l_jump(qn__emitter *e, LLVMBasicBlockRef block) { LLVMBuildBr(e->builder, block); }

void l_branch(qn__emitter *e, LLVMValueRef cond, LLVMBasicBlockRef yes, LLVMBasicBlockRef no) {
    LLVMBuildCondBr(e->builder, cond, yes, no);
}

void l_branch_likely(qn__emitter *e, LLVMValueRef cond, LLVMBasicBlockRef yes, LLVMBasicBlockRef no) {
    LLVMValueRef branch = LLVMBuildCondBr(e->builder, cond, yes, no);
    LLVMMetadataRef parts[3] = {LLVMMDStringInContext2(e->context, "branch_weights", 14),
                                LLVMValueAsMetadata(l_i32(e, 1048575)), LLVMValueAsMetadata(l_i32(e, 1))};
    LLVMMetadataRef node = LLVMMDNodeInContext2(e->context, parts, 3);
    LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(e->context, "prof", 4), LLVMMetadataAsValue(e->context, node));
}

LLVMValueRef l_bits(qn__emitter *e, LLVMValueRef mask) {
    if (!l_is_vector(mask)) return mask;
    LLVMTypeRef type = LLVMIntTypeInContext(e->context, LLVMGetVectorSize(LLVMTypeOf(mask)));
    return LLVMBuildBitCast(e->builder, mask, type, "");
}

/* Without mask registers a mask that outlives its block as <W x i1> would be packed to bytes and unpacked again at every
 * use: masks are kept as wide as the data instead, all ones or all zeros. */
LLVMTypeRef l_mask_type(qn__emitter *e) {
    LLVMTypeRef lane = e->machine->masks ? e->i1 : LLVMIntTypeInContext(e->context, e->lane_bits);
    return LLVMVectorType(lane, e->width);
}

LLVMValueRef l_to_mask(qn__emitter *e, LLVMValueRef bools) {
    return e->machine->masks ? bools : LLVMBuildSExt(e->builder, bools, l_mask_type(e), "");
}

LLVMValueRef l_from_mask(qn__emitter *e, LLVMValueRef mask) {
    if (e->machine->masks) return mask;
    return LLVMBuildICmp(e->builder, LLVMIntSLT, mask, LLVMConstNull(LLVMTypeOf(mask)), "");
}

static LLVMValueRef part(qn__emitter *e, LLVMValueRef vector, uint32_t from, uint32_t count) {
    LLVMValueRef lanes[QN__MAX_WIDTH];
    for (uint32_t i = 0; i < count; i++) lanes[i] = l_i32(e, from + i);
    return LLVMBuildShuffleVector(e->builder, vector, LLVMGetPoison(LLVMTypeOf(vector)), LLVMConstVector(lanes, count), "");
}

/* Registers are or-ed before they are tested. */
LLVMValueRef l_any(qn__emitter *e, LLVMValueRef mask) {
    uint32_t lanes = LLVMGetVectorSize(LLVMTypeOf(mask));
    while (!e->machine->masks && lanes > 2 && lanes * e->lane_bits > e->machine->vector_bits) {
        lanes /= 2;
        mask = LLVMBuildOr(e->builder, part(e, mask, 0, lanes), part(e, mask, lanes, lanes), "");
    }
    LLVMValueRef bits = l_bits(e, l_from_mask(e, mask));
    return LLVMBuildICmp(e->builder, LLVMIntNE, bits, LLVMConstNull(LLVMTypeOf(bits)), "");
}

LLVMValueRef l_and_mask(qn__emitter *e, LLVMValueRef mask, LLVMValueRef bools) {
    LLVMValueRef more = l_to_mask(e, bools);
    return mask ? LLVMBuildAnd(e->builder, mask, more, "") : more;
}

LLVMValueRef l_first_lanes(qn__emitter *e, LLVMValueRef count) {
    LLVMTypeRef lane = LLVMIntTypeInContext(e->context, e->lane_bits);
    LLVMValueRef left = l_call2(e, "llvm.umin", count, l_i64(e, e->width));
    if (e->lane_bits < 64) left = LLVMBuildTrunc(e->builder, left, lane, "");
    return l_to_mask(e, LLVMBuildICmp(e->builder, LLVMIntSLT, l_steps(e, lane, 1), l_splat(e, left), ""));
}

LLVMValueRef l_live(qn__emitter *e) {
    return e->mask ? l_from_mask(e, e->mask) : l_splat(e, l_int(e, e->i1, 1));
}

/* What carries a value from block to block: varying bools as masks. */
LLVMTypeRef l_slot_type(qn__emitter *e, qn__type type, bool varying) {
    if (varying && type == QN__TYPE_BOOL) return l_mask_type(e);
    return varying ? l_wide(e, l_type(e, type)) : l_type(e, type);
}

void l_store_slot(qn__emitter *e, qn__type type, LLVMValueRef value, LLVMValueRef slot) {
    l_store(e, type == QN__TYPE_BOOL && l_is_vector(value) ? l_to_mask(e, value) : value, slot);
}

LLVMValueRef l_load_slot(qn__emitter *e, qn__type type, bool varying, LLVMValueRef slot) {
    LLVMValueRef value = l_load(e, l_slot_type(e, type, varying), slot);
    return type == QN__TYPE_BOOL && varying ? l_from_mask(e, value) : value;
}

LLVMValueRef l_lane(qn__emitter *e, LLVMValueRef vector, uint32_t lane) {
    return l_is_vector(vector) ? LLVMBuildExtractElement(e->builder, vector, l_i32(e, lane), "") : vector;
}

LLVMValueRef l_with_lane(qn__emitter *e, LLVMValueRef vector, LLVMValueRef scalar, uint32_t lane) {
    return LLVMBuildInsertElement(e->builder, vector, scalar, l_i32(e, lane), "");
}

LLVMValueRef l_to_memory(qn__emitter *e, qn__type type, LLVMValueRef value) {
    if (type != QN__TYPE_BOOL) return value;
    return LLVMBuildZExt(e->builder, value, l_typed(LLVMTypeOf(value), e->i8), "");
}

LLVMValueRef l_from_memory(qn__emitter *e, qn__type type, LLVMValueRef value) {
    if (type != QN__TYPE_BOOL) return value;
    return LLVMBuildICmp(e->builder, LLVMIntNE, value, LLVMConstNull(LLVMTypeOf(value)), "");
}

/* The loop is emitted rotated: a guard, then the body with the test at its end. */
void l_loop_begin(qn__emitter *e, qn__loop *loop, LLVMValueRef counter, LLVMValueRef lo, LLVMValueRef hi) {
    loop->counter = counter ? counter : l_alloca(e, e->i64);
    loop->hi = hi;
    loop->body = l_block(e, "loop");
    loop->exit = l_block(e, "done");
    l_store(e, lo, loop->counter);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, lo, hi, ""), loop->body, loop->exit);
    l_enter(e, loop->body);
    loop->iv = l_load(e, e->i64, loop->counter);
}

void l_loop_end(qn__emitter *e, qn__loop *loop, LLVMValueRef next) {
    l_store(e, next, loop->counter);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, next, loop->hi, ""), loop->body, loop->exit);
    l_enter(e, loop->exit);
}

bool l_varies(const qn__emitter *e, qn__value v) { return e->width > 1 && e->shapes[v].variance == QN__VARYING; }

/* Once the emission has failed, values are missing; what still uses one goes on with anything, since nothing comes of it. */
static LLVMValueRef value_of(qn__emitter *e, qn__value v) { return e->values[v] ? e->values[v] : LLVMGetPoison(l_value_type(e, v)); }

LLVMValueRef l_scalar(qn__emitter *e, qn__value v) { return value_of(e, v); }

LLVMValueRef l_vector(qn__emitter *e, qn__value v) {
    LLVMValueRef value = value_of(e, v);
    if (e->width == 1 || e->shapes[v].variance == QN__VARYING) return value;
    LLVMValueRef splat = l_splat(e, value);
    if (e->shapes[v].variance == QN__UNIFORM) return splat;
    return LLVMBuildAdd(e->builder, splat, l_steps(e, LLVMTypeOf(value), e->shapes[v].stride), "");
}

LLVMValueRef l_value_as(qn__emitter *e, qn__value v, bool vector) { return vector ? l_vector(e, v) : l_scalar(e, v); }

LLVMTypeRef l_value_type(qn__emitter *e, qn__value v) {
    LLVMTypeRef type = l_type(e, qn__type_of(e->ir, v));
    return l_varies(e, v) ? l_wide(e, type) : type;
}

void l_set(qn__emitter *e, qn__value v, LLVMValueRef value) {
    e->values[v] = value;
    qn__debug_value(e, v, value);
}
