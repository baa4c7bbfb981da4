/* Loads, stores, accumulations, local arrays.
 *
 * An access is uniform (all lanes at one element), contiguous (the last index is linear with stride 1, the others are
 * uniform) or scattered. Dead lanes may hold any index: their addresses are replaced by a dummy's before they are read,
 * and they are never written. Addresses are never "inbounds". */
#include "compiler/llvm/internal.h"

#include <string.h>

enum { STACK_BYTES = 1 << 20 }; /* local arrays of a kernel: threads have stacks of 2 MB and more */

/* ---- views ---- */

/* The stride of a dimension whose extents behind it are all constants (ir/abi.h); 0: it is known at run time only. */
static int64_t known_stride(const qn__emitter *e, uint32_t array, uint32_t dimension) {
    const qn__array *a = &e->ir->arrays[array];
    int64_t stride = 1;
    for (uint32_t d = dimension + 1; d < a->rank; d++) {
        uint64_t extent;
        if (!qn__is_const(e->ir, a->extent[d], &extent) || extent >= 1 << 16 || stride >= 1 << 16) return 0;
        if (extent > 1) stride *= (int64_t)extent;
    }
    return stride;
}

static LLVMValueRef view_of(qn__emitter *e, uint32_t array) {
    return l_field(e, e->views, (size_t)array * sizeof(qn__view));
}

static qn__base cpu_base(qn__emitter *e, uint32_t array) {
    qn__base base = {0};
    LLVMValueRef view = view_of(e, array);
    base.data = l_load(e, e->ptr, l_field(e, view, offsetof(qn__view, data)));
    for (uint32_t d = 0; d + 1 < e->ir->arrays[array].rank; d++)
        base.stride[d] = known_stride(e, array, d) ? l_i64(e, known_stride(e, array, d)) : l_load(e, e->i64, l_field(e, view, offsetof(qn__view, stride) + d * sizeof(int64_t)));
    return base;
}

const qn__platform qn__cpu_platform = {.base = cpu_base, .fault = qn__cpu_fault, .poll = qn__cpu_poll, .local_bytes = STACK_BYTES};

static qn__base load_base(qn__emitter *e, uint32_t array) { return e->platform->base(e, array); }

static void hoist(const qn__ir *ir, const qn__instr *instr, void *context) {
    qn__emitter *e = context;
    (void)ir;
    if (instr->op == QN__OP_LOAD || instr->op == QN__OP_STORE || instr->op == QN__OP_ACCUMULATE)
        if (!e->bases[instr->imm].data) e->bases[instr->imm] = load_base(e, (uint32_t)instr->imm);
    if (instr->op == QN__OP_PUSH && e->keep && !e->counting)
        for (uint32_t i = 0; i < e->keep->list_count; i++) e->bases[e->keep->list[i]] = load_base(e, e->keep->list[i]);
}

void qn__hoist_bases(qn__emitter *e, const qn__instr *stage, qn__base *saved) {
    memcpy(saved, e->bases, e->ir->array_count * sizeof *saved);
    for (uint32_t i = 0; i < stage->region_count; i++) qn__walk(e->ir, stage->regions[i], hoist, e);
}

void qn__restore_bases(qn__emitter *e, const qn__base *saved) {
    memcpy(e->bases, saved, e->ir->array_count * sizeof *saved);
}

/* ---- addresses ---- */

typedef enum access { UNIFORM, CONTIGUOUS, SCATTERED } access;

static access access_of(const qn__emitter *e, const qn__value *indices, uint32_t rank) {
    if (e->width == 1) return UNIFORM;
    access result = UNIFORM;
    for (uint32_t d = 0; d < rank; d++) {
        qn__shape shape = e->shapes[indices[d]];
        if (shape.variance == QN__UNIFORM) continue;
        if (shape.variance != QN__LINEAR || shape.stride != 1 || d + 1 != rank) return SCATTERED;
        result = CONTIGUOUS;
    }
    return result;
}

/* The element's address: of lane 0 for contiguous access, a vector of addresses for scattered access. */
static LLVMValueRef address_of(qn__emitter *e, uint32_t array, const qn__value *indices, uint32_t rank, access how) {
    qn__base base = e->bases[array].data ? e->bases[array] : load_base(e, array);
    LLVMValueRef scalar = NULL, vector = NULL;
    for (uint32_t d = 0; d < rank; d++) {
        bool wide = how == SCATTERED && e->shapes[indices[d]].variance != QN__UNIFORM;
        LLVMValueRef term = l_value_as(e, indices[d], wide);
        if (d + 1 < rank) term = LLVMBuildMul(e->builder, term, wide ? l_splat(e, base.stride[d]) : base.stride[d], "");
        LLVMValueRef *sum = wide ? &vector : &scalar;
        *sum = *sum ? LLVMBuildAdd(e->builder, *sum, term, "") : term;
    }
    LLVMTypeRef type = l_memory_type(e, (qn__type)e->ir->arrays[array].type);
    LLVMValueRef start = scalar ? l_gep(e, type, base.data, scalar) : base.data;
    return vector ? l_gep(e, type, start, vector) : start;
}

static void note_array(qn__emitter *e, LLVMValueRef access_instr, uint32_t array) {
    if (e->constant && e->constant[array]) {
        LLVMValueRef empty = LLVMMetadataAsValue(e->context, LLVMMDNodeInContext2(e->context, NULL, 0));
        LLVMSetMetadata(access_instr, LLVMGetMDKindIDInContext(e->context, "invariant.load", 14), empty);
    }
    if (e->swaps || !e->scopes) return;
    LLVMSetMetadata(access_instr, LLVMGetMDKindIDInContext(e->context, "alias.scope", 11), e->scopes[array]);
    LLVMSetMetadata(access_instr, LLVMGetMDKindIDInContext(e->context, "noalias", 7), e->noalias[array]);
}

static void align_pointer(qn__emitter *e, LLVMValueRef call, uint32_t param, uint32_t bytes) {
    uint32_t kind = LLVMGetEnumAttributeKindForName("align", 5);
    LLVMAddCallSiteAttribute(call, param, LLVMCreateEnumAttribute(e->context, kind, bytes));
}

/* ---- lanes one by one ---- */

static LLVMValueRef load_lanes(qn__emitter *e, LLVMTypeRef type, LLVMValueRef pointers, uint32_t array, bool noted) {
    if (e->mask) pointers = l_select(e, l_live(e), pointers, l_splat(e, e->dummy));
    LLVMValueRef result = LLVMGetPoison(LLVMVectorType(type, e->width));
    for (uint32_t lane = 0; lane < e->width; lane++) {
        LLVMValueRef value = l_load(e, type, l_lane(e, pointers, lane));
        if (noted && !e->mask) note_array(e, value, array);
        result = l_with_lane(e, result, value, lane);
    }
    return result;
}

static LLVMValueRef gather(qn__emitter *e, LLVMTypeRef type, LLVMValueRef pointers, uint32_t bytes) {
    LLVMTypeRef overloads[2] = {LLVMVectorType(type, e->width), LLVMTypeOf(pointers)};
    LLVMValueRef args[3] = {pointers, l_live(e), LLVMConstNull(overloads[0])};
    LLVMValueRef call = l_intrinsic(e, "llvm.masked.gather", overloads, 2, args, 3);
    align_pointer(e, call, 1, bytes);
    return call;
}

static void scatter(qn__emitter *e, LLVMValueRef value, LLVMValueRef pointers, uint32_t bytes) {
    if (!e->mask) {
        for (uint32_t lane = 0; lane < e->width; lane++) l_store(e, l_lane(e, value, lane), l_lane(e, pointers, lane));
        return;
    }
    LLVMTypeRef overloads[2] = {LLVMTypeOf(value), LLVMTypeOf(pointers)};
    LLVMValueRef args[3] = {value, pointers, l_live(e)};
    LLVMValueRef call = l_intrinsic(e, "llvm.masked.scatter", overloads, 2, args, 3);
    align_pointer(e, call, 2, bytes);
}

/* ---- contiguous ---- */

static LLVMValueRef load_contiguous(qn__emitter *e, LLVMTypeRef type, LLVMValueRef pointer, uint32_t bytes) {
    LLVMTypeRef vector = LLVMVectorType(type, e->width);
    if (!e->mask) {
        LLVMValueRef load = l_load(e, vector, pointer);
        LLVMSetAlignment(load, bytes);
        return load;
    }
    LLVMTypeRef overloads[2] = {vector, e->ptr};
    LLVMValueRef call = l_intrinsic(e, "llvm.masked.load", overloads, 2, (LLVMValueRef[]){pointer, l_live(e), LLVMConstNull(vector)}, 3);
    align_pointer(e, call, 1, bytes);
    return call;
}

static LLVMValueRef store_contiguous(qn__emitter *e, LLVMValueRef value, LLVMValueRef pointer, uint32_t bytes) {
    if (!e->mask) {
        LLVMValueRef store = LLVMBuildStore(e->builder, value, pointer);
        LLVMSetAlignment(store, bytes);
        return store;
    }
    LLVMTypeRef overloads[2] = {LLVMTypeOf(value), e->ptr};
    LLVMValueRef call = l_intrinsic(e, "llvm.masked.store", overloads, 2, (LLVMValueRef[]){value, pointer, l_live(e)}, 3);
    align_pointer(e, call, 2, bytes);
    return call;
}

/* ---- interleaved: x[i, j, c] of x: T[n, m, 3], with j along the lanes and a constant c ---- */

enum { INTERLEAVED = 4 }; /* elements of a group at most: more would load more than it uses */

typedef struct interleave { uint32_t dimension, group, offset; } interleave;

/* Groups of 2 to 4 elements, one for each lane, of which all lanes take the same element. */
static bool is_interleaved(const qn__emitter *e, uint32_t array, const qn__value *indices, uint32_t rank, interleave *found) {
    uint64_t constant;
    uint32_t d = rank;
    int64_t offset = 0;
    while (d-- > 0 && e->shapes[indices[d]].variance == QN__UNIFORM) {
        if (!qn__is_const(e->ir, indices[d], &constant) || constant >= INTERLEAVED) return false;
        offset += (int64_t)constant * known_stride(e, array, d);
    }
    if (d >= rank || e->shapes[indices[d]].variance != QN__LINEAR || e->shapes[indices[d]].stride != 1) return false;
    for (uint32_t k = 0; k < d; k++)
        if (e->shapes[indices[k]].variance != QN__UNIFORM) return false;
    const int64_t group = known_stride(e, array, d);
    *found = (interleave){d, (uint32_t)group, (uint32_t)offset};
    return group >= 2 && group <= INTERLEAVED && offset < group;
}

/* One load of all groups, which lie in the array as a whole; loads of the other elements of the groups are the same load, so there is one for all. */
static LLVMValueRef load_interleaved(qn__emitter *e, uint32_t array, const qn__value *indices, const interleave *in) {
    qn__base base = e->bases[array].data ? e->bases[array] : load_base(e, array);
    LLVMTypeRef type = l_memory_type(e, (qn__type)e->ir->arrays[array].type);
    LLVMValueRef first = NULL, order[QN__MAX_WIDTH];
    for (uint32_t d = 0; d <= in->dimension; d++) {
        LLVMValueRef term = LLVMBuildMul(e->builder, l_scalar(e, indices[d]), base.stride[d], "");
        first = first ? LLVMBuildAdd(e->builder, first, term, "") : term;
    }
    LLVMTypeRef groups = LLVMVectorType(type, e->width * in->group);
    LLVMValueRef load = l_load(e, groups, l_gep(e, type, base.data, first));
    LLVMSetAlignment(load, qn__type_bytes((qn__type)e->ir->arrays[array].type));
    note_array(e, load, array);
    for (uint32_t lane = 0; lane < e->width; lane++) order[lane] = l_i32(e, lane * in->group + in->offset);
    return LLVMBuildShuffleVector(e->builder, load, LLVMGetPoison(groups), LLVMConstVector(order, e->width), "");
}

/* ---- arrays ---- */

void qn__emit_load(qn__emitter *e, const qn__instr *instr) {
    uint32_t array = (uint32_t)instr->imm;
    qn__type type = (qn__type)e->ir->arrays[array].type;
    LLVMTypeRef memory = l_memory_type(e, type);
    access how = access_of(e, instr->args, instr->arg_count);
    interleave in;
    if (how == SCATTERED && !e->mask && is_interleaved(e, array, instr->args, instr->arg_count, &in)) {
        l_set(e, instr->first_result, l_from_memory(e, type, load_interleaved(e, array, instr->args, &in)));
        return;
    }
    LLVMValueRef pointer = address_of(e, array, instr->args, instr->arg_count, how), value;
    if (how == UNIFORM) {
        value = l_load(e, memory, pointer);
        note_array(e, value, array);
    } else if (how == CONTIGUOUS) {
        value = load_contiguous(e, memory, pointer, qn__type_bytes(type));
        note_array(e, value, array);
    } else if (e->machine->gathers && qn__type_bits(type) >= 32) {
        value = gather(e, memory, pointer, qn__type_bytes(type));
        note_array(e, value, array);
    } else {
        value = load_lanes(e, memory, pointer, array, true);
    }
    l_set(e, instr->first_result, l_from_memory(e, type, value));
}

/* All lanes at one element: the last live lane's value stays. */
static void store_uniform(qn__emitter *e, const qn__instr *instr, LLVMValueRef pointer, qn__type type) {
    qn__value v = instr->args[instr->arg_count - 1];
    uint32_t bytes = qn__type_bytes(type);
    if (e->width == 1 || e->shapes[v].variance == QN__UNIFORM) {
        LLVMBasicBlockRef after = e->platform->before_store ? e->platform->before_store(e) : NULL;
        note_array(e, LLVMBuildStore(e->builder, l_to_memory(e, type, l_scalar(e, v)), pointer), (uint32_t)instr->imm);
        if (!after) return;
        l_jump(e, after);
        l_enter(e, after);
        e->platform->after_store(e);
    } else {
        LLVMValueRef value = l_to_memory(e, type, l_vector(e, v));
        if (e->mask) scatter(e, value, l_splat(e, pointer), bytes);
        else note_array(e, LLVMBuildStore(e->builder, l_lane(e, value, e->width - 1), pointer), (uint32_t)instr->imm);
    }
}

void qn__emit_store(qn__emitter *e, const qn__instr *instr) {
    uint32_t array = (uint32_t)instr->imm, rank = instr->arg_count - 1;
    qn__type type = (qn__type)e->ir->arrays[array].type;
    access how = access_of(e, instr->args, rank);
    LLVMValueRef pointer = address_of(e, array, instr->args, rank, how);
    if (how == UNIFORM) {
        store_uniform(e, instr, pointer, type);
        return;
    }
    LLVMValueRef value = l_to_memory(e, type, l_vector(e, instr->args[rank]));
    if (how == CONTIGUOUS) note_array(e, store_contiguous(e, value, pointer, qn__type_bytes(type)), array);
    else scatter(e, value, pointer, qn__type_bytes(type));
}

LLVMValueRef qn__combine_element(qn__emitter *e, qn__op op, qn__type type, LLVMValueRef a, LLVMValueRef b) {
    if (type != QN__TYPE_F16 && type != QN__TYPE_BF16) return qn__arith2(e, op, type, a, b);
    LLVMValueRef x = qn__convert(e, a, type, QN__TYPE_F32), y = qn__convert(e, b, type, QN__TYPE_F32);
    return qn__convert(e, qn__arith2(e, op, QN__TYPE_F32, x, y), QN__TYPE_F32, type);
}

static void accumulate_one(qn__emitter *e, const qn__instr *instr, LLVMValueRef pointer, LLVMValueRef value) {
    if (e->platform->accumulate && e->platform->accumulate(e, instr, pointer, value)) return;
    qn__type type = (qn__type)e->ir->arrays[instr->imm].type;
    LLVMValueRef old = l_load(e, l_memory_type(e, type), pointer);
    note_array(e, old, (uint32_t)instr->imm);
    LLVMValueRef sum = qn__combine_element(e, (qn__op)instr->aux, type, l_from_memory(e, type, old), value);
    note_array(e, LLVMBuildStore(e->builder, l_to_memory(e, type, sum), pointer), (uint32_t)instr->imm);
}

/* Lane after lane, also where all lanes hit different elements: the order of accumulations is part of the language. */
void qn__emit_accumulate(qn__emitter *e, const qn__instr *instr) {
    uint32_t rank = instr->arg_count - 1;
    access how = e->width == 1 ? UNIFORM : SCATTERED;
    LLVMValueRef pointers = address_of(e, (uint32_t)instr->imm, instr->args, rank, how);
    LLVMValueRef values = l_value_as(e, instr->args[rank], e->width > 1);
    for (uint32_t lane = 0; lane < e->width; lane++) {
        LLVMBasicBlockRef after = NULL;
        if (e->mask) {
            LLVMBasicBlockRef live = l_block(e, "lane");
            after = l_block(e, "next");
            l_branch(e, l_lane(e, l_live(e), lane), live, after);
            l_enter(e, live);
        }
        accumulate_one(e, instr, l_lane(e, pointers, lane), l_lane(e, values, lane));
        if (!after) continue;
        l_jump(e, after);
        l_enter(e, after);
    }
}

static LLVMValueRef pushed_place(qn__emitter *e, uint32_t i, LLVMValueRef count) {
    uint32_t array = e->keep->list[i];
    return l_gep(e, l_memory_type(e, (qn__type)e->ir->arrays[array].type), e->bases[array].data, count);
}

static LLVMValueRef pushed_value(qn__emitter *e, const qn__instr *instr, uint32_t i, bool vector) {
    return l_to_memory(e, (qn__type)e->ir->arrays[e->keep->list[i]].type, l_value_as(e, instr->args[i], vector));
}

/* Lanes first .. first + count of a vector. */
static LLVMValueRef lanes_of(qn__emitter *e, LLVMValueRef vector, uint32_t first, uint32_t count) {
    if (count == e->width) return vector;
    LLVMValueRef order[QN__MAX_WIDTH];
    for (uint32_t i = 0; i < count; i++) order[i] = l_i32(e, first + i);
    return LLVMBuildShuffleVector(e->builder, vector, LLVMGetUndef(LLVMTypeOf(vector)), LLVMConstVector(order, count), "");
}

/* With mask registers: the live lanes of each register side by side, stored whole; what lies behind them is overwritten. In a register, since processors differ
 * widely in what compressing to memory costs. */
static void push_compressed(qn__emitter *e, uint32_t i, LLVMValueRef values, LLVMValueRef count) {
    LLVMTypeRef element = l_scalar_type(LLVMTypeOf(values));
    const uint32_t bits = qn__type_bits((qn__type)e->ir->arrays[e->keep->list[i]].type), whole = 512 / bits, step = whole < e->width ? whole : e->width;
    LLVMValueRef mask = l_live(e);
    for (uint32_t first = 0; first < e->width; first += step) {
        LLVMTypeRef type = LLVMVectorType(element, step);
        LLVMValueRef live = lanes_of(e, mask, first, step), lanes[3] = {lanes_of(e, values, first, step), live, LLVMGetUndef(type)};
        LLVMValueRef packed = l_intrinsic(e, "llvm.experimental.vector.compress", &type, 1, lanes, 3);
        LLVMSetAlignment(LLVMBuildStore(e->builder, packed, pushed_place(e, i, count)), bits / 8);
        LLVMTypeRef word = LLVMIntTypeInContext(e->context, step);
        LLVMValueRef number = l_call1(e, "llvm.ctpop", LLVMBuildBitCast(e->builder, live, word, ""));
        count = LLVMBuildAdd(e->builder, count, step < 64 ? LLVMBuildZExt(e->builder, number, e->i64, "") : number, "");
    }
}

static bool compresses(const qn__emitter *e, uint32_t i) { /* 8 and 16 bits need more than the first AVX-512 */
    return e->machine->masks && e->width >= 4 && qn__type_bits((qn__type)e->ir->arrays[e->keep->list[i]].type) >= 32;
}

/* While W more elements fit, every lane is written where the next live one belongs: no branches, which would be
 * mispredicted, and what a dead lane wrote is overwritten. At the end only live lanes write. */
static void push_lanes(qn__emitter *e, const qn__instr *instr, LLVMValueRef bits, LLVMValueRef count) {
    LLVMValueRef values[QN__MAX_PUSHED], at[QN__MAX_WIDTH], live[QN__MAX_WIDTH];
    for (uint32_t i = 0; i < instr->arg_count; i++) values[i] = pushed_value(e, instr, i, true);
    for (uint32_t lane = 0; lane < e->width; lane++) {
        at[lane] = count;
        live[lane] = LLVMBuildTrunc(e->builder, LLVMBuildLShr(e->builder, bits, l_like(e, bits, lane), ""), e->i1, "");
        count = LLVMBuildAdd(e->builder, count, LLVMBuildZExt(e->builder, live[lane], e->i64, ""), "");
    }
    LLVMBasicBlockRef ample = l_block(e, "ample"), scarce = l_block(e, "scarce"), end = l_block(e, "pushed");
    LLVMValueRef limit = LLVMBuildAdd(e->builder, at[0], l_i64(e, e->width), "");
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntULE, limit, e->kept, ""), ample, scarce);
    l_enter(e, ample);
    for (uint32_t i = 0; i < instr->arg_count; i++) {
        if (compresses(e, i)) push_compressed(e, i, values[i], at[0]);
        for (uint32_t lane = 0; lane < e->width && !compresses(e, i); lane++) l_store(e, l_lane(e, values[i], lane), pushed_place(e, i, at[lane]));
    }
    l_jump(e, end);
    l_enter(e, scarce);
    for (uint32_t lane = 0; lane < e->width; lane++)
        for (uint32_t i = 0; i < instr->arg_count; i++)
            l_store(e, l_lane(e, values[i], lane), l_select(e, live[lane], pushed_place(e, i, at[lane]), e->trash));
    l_jump(e, end);
    l_enter(e, end);
}

static LLVMValueRef live_lanes(qn__emitter *e, LLVMValueRef *bits) {
    *bits = l_bits(e, l_live(e));
    LLVMValueRef number = l_call1(e, "llvm.ctpop", *bits);
    return e->width < 64 ? LLVMBuildZExt(e->builder, number, e->i64, "") : number;
}

void qn__emit_push(qn__emitter *e, const qn__instr *instr) {
    if (e->platform->push && e->platform->push(e, instr)) return;
    LLVMValueRef count = l_load(e, e->i64, e->pushed), added = l_i64(e, 1), bits = NULL;
    if (instr->arg_count > QN__MAX_PUSHED) {
        qn__fail(e, "a keep fills too many arrays");
        return;
    }
    if (e->width > 1) added = live_lanes(e, &bits);
    if (!e->counting && e->width > 1) {
        push_lanes(e, instr, bits, count);
    } else if (!e->counting) {
        for (uint32_t i = 0; i < instr->arg_count; i++) {
            LLVMValueRef store = LLVMBuildStore(e->builder, pushed_value(e, instr, i, false), pushed_place(e, i, count));
            note_array(e, store, e->keep->list[i]);
        }
    }
    l_store(e, LLVMBuildAdd(e->builder, count, added, ""), e->pushed);
}

void qn__emit_swap(qn__emitter *e, const qn__instr *instr) {
    LLVMValueRef a = view_of(e, (uint32_t)instr->imm), b = view_of(e, instr->aux);
    for (size_t at = 0; at < sizeof(qn__view); at += sizeof(int64_t)) {
        LLVMValueRef x = l_load(e, e->i64, l_field(e, a, at)), y = l_load(e, e->i64, l_field(e, b, at));
        l_store(e, y, l_field(e, a, at));
        l_store(e, x, l_field(e, b, at));
    }
}

/* ---- local arrays: at width W an element is a vector, one lane beside the other ---- */

static LLVMTypeRef local_type(qn__emitter *e, const qn__instr *instr) {
    return l_memory_type(e, (qn__type)e->ir->locals[instr->imm].type);
}

static LLVMValueRef local_of(qn__emitter *e, const qn__instr *instr) {
    uint32_t log = 0;
    while ((1u << log) < e->width) log++;
    LLVMValueRef *slot = &e->locals[instr->imm * QN__WIDTHS + log];
    uint32_t count = e->ir->locals[instr->imm].count;
    if (*slot) return *slot;
    e->local_bytes += (uint64_t)count * qn__type_bytes((qn__type)e->ir->locals[instr->imm].type) * e->width;
    if (e->local_bytes > e->platform->local_bytes) qn__fail(e, "the kernel's local arrays are too large for compiled code");
    *slot = l_alloca_array(e, l_wide(e, local_type(e, instr)), count ? count : 1);
    return *slot;
}

static LLVMValueRef local_pointers(qn__emitter *e, const qn__instr *instr) {
    LLVMValueRef index = l_vector(e, instr->args[0]);
    if (e->mask) index = l_select(e, l_live(e), index, LLVMConstNull(LLVMTypeOf(index)));
    index = LLVMBuildMul(e->builder, index, l_like(e, index, e->width), "");
    index = LLVMBuildAdd(e->builder, index, l_steps(e, e->i64, 1), "");
    return l_gep(e, local_type(e, instr), local_of(e, instr), index);
}

static bool uniform_index(const qn__emitter *e, const qn__instr *instr) {
    return e->width == 1 || e->shapes[instr->args[0]].variance == QN__UNIFORM;
}

static LLVMValueRef local_pointer(qn__emitter *e, const qn__instr *instr) {
    return l_gep(e, l_wide(e, local_type(e, instr)), local_of(e, instr), l_scalar(e, instr->args[0]));
}

void qn__emit_local_load(qn__emitter *e, const qn__instr *instr) {
    LLVMValueRef value;
    if (uniform_index(e, instr)) value = l_load(e, l_wide(e, local_type(e, instr)), local_pointer(e, instr));
    else value = load_lanes(e, local_type(e, instr), local_pointers(e, instr), 0, false);
    l_set(e, instr->first_result, l_from_memory(e, (qn__type)e->ir->locals[instr->imm].type, value));
}

void qn__emit_local_store(qn__emitter *e, const qn__instr *instr) {
    qn__type type = (qn__type)e->ir->locals[instr->imm].type;
    LLVMValueRef value = l_to_memory(e, type, l_vector(e, instr->args[1]));
    if (!uniform_index(e, instr)) {
        scatter(e, value, local_pointers(e, instr), qn__type_bytes(type));
        return;
    }
    LLVMValueRef pointer = local_pointer(e, instr);
    if (e->mask) value = l_select(e, l_live(e), value, l_load(e, LLVMTypeOf(value), pointer));
    l_store(e, value, pointer);
}

void qn__emit_local_zero(qn__emitter *e, const qn__instr *instr) {
    const qn__local *local = &e->ir->locals[instr->imm];
    uint64_t bytes = (uint64_t)local->count * qn__type_bytes((qn__type)local->type) * e->width;
    LLVMBuildMemSet(e->builder, local_of(e, instr), l_int(e, e->i8, 0), l_i64(e, (int64_t)bytes), 1);
}
