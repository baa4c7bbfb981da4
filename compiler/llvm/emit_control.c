/* if, for, while: uniform ones branch, varying ones run under masks.
 * Results and carried values live in memory of the entry block; those of varying constructs start at zero, so that lanes
 * that never wrote one hold a value and not poison. A region is entered only while some lane is live. */
#include "compiler/llvm/internal.h"

/* A slot holds what a result of the instruction is. */
static LLVMTypeRef slot_type(qn__emitter *e, qn__value v) { return l_slot_type(e, qn__type_of(e->ir, v), l_varies(e, v)); }

static LLVMValueRef read_slot(qn__emitter *e, const qn__instr *instr, uint32_t i, LLVMValueRef *slots) {
    qn__value v = instr->first_result + i;
    return l_load_slot(e, qn__type_of(e->ir, v), l_varies(e, v), slots[i]);
}

static void write_slot(qn__emitter *e, const qn__instr *instr, uint32_t i, LLVMValueRef value, LLVMValueRef *slots) {
    l_store_slot(e, qn__type_of(e->ir, instr->first_result + i), value, slots[i]);
}

static void zero_slots(qn__emitter *e, const qn__instr *instr, LLVMValueRef *storage) {
    for (uint32_t i = 0; i < instr->result_count; i++) {
        LLVMTypeRef type = slot_type(e, instr->first_result + i);
        storage[i] = l_alloca(e, type);
        l_store(e, LLVMConstNull(type), storage[i]);
    }
}

static LLVMValueRef as_result(qn__emitter *e, const qn__instr *instr, uint32_t i, qn__value v) {
    return l_value_as(e, v, l_varies(e, instr->first_result + i));
}

static void read_results(qn__emitter *e, const qn__instr *instr, LLVMValueRef *slots) {
    for (uint32_t i = 0; i < instr->result_count; i++) {
        l_set(e, instr->first_result + i, read_slot(e, instr, i, slots));
    }
}

static LLVMValueRef *new_slots(qn__emitter *e, const qn__instr *instr) {
    size_t bytes = (instr->result_count + 1) * sizeof(LLVMValueRef);
    LLVMValueRef *slots = qn__arena_alloc(e->arena, bytes);
    if (!slots) qn__fail(e, "out of memory");
    return slots;
}

/* ---- if ---- */

static void uniform_side(qn__emitter *e, const qn__instr *instr, uint32_t side, LLVMValueRef *slots, LLVMBasicBlockRef end) {
    qn__emit_region(e, instr->regions[side]);
    const qn__instr *yield = qn__yield_of(e->ir, instr->regions[side]);
    for (uint32_t i = 0; i < instr->result_count; i++) write_slot(e, instr, i, as_result(e, instr, i, yield->args[i]), slots);
    l_jump(e, end);
}

static void if_uniform(qn__emitter *e, const qn__instr *instr, LLVMValueRef *slots) {
    LLVMBasicBlockRef yes = l_block(e, "then"), no = l_block(e, "else"), end = l_block(e, "end");
    l_branch(e, l_scalar(e, instr->args[0]), yes, no);
    l_enter(e, yes);
    uniform_side(e, instr, 0, slots, end);
    l_enter(e, no);
    uniform_side(e, instr, 1, slots, end);
    l_enter(e, end);
    read_results(e, instr, slots);
}

static void if_select(qn__emitter *e, const qn__instr *instr, LLVMValueRef cond) {
    qn__emit_region(e, instr->regions[0]);
    qn__emit_region(e, instr->regions[1]);
    const qn__instr *yes = qn__yield_of(e->ir, instr->regions[0]), *no = qn__yield_of(e->ir, instr->regions[1]);
    for (uint32_t i = 0; i < instr->result_count; i++) {
        LLVMValueRef a = as_result(e, instr, i, yes->args[i]), b = as_result(e, instr, i, no->args[i]);
        l_set(e, instr->first_result + i, l_select(e, cond, a, b));
    }
}

static void masked_side(qn__emitter *e, const qn__instr *instr, uint32_t side, LLVMValueRef live, LLVMValueRef *slots) {
    const qn__instr *yield = qn__yield_of(e->ir, instr->regions[side]);
    if (e->ir->regions[instr->regions[side]].first == e->ir->regions[instr->regions[side]].last && !instr->result_count)
        return;
    LLVMBasicBlockRef enter = l_block(e, "some"), end = l_block(e, "end");
    l_branch(e, l_any(e, live), enter, end);
    l_enter(e, enter);
    e->mask = live;
    qn__emit_region(e, instr->regions[side]);
    for (uint32_t i = 0; i < instr->result_count; i++) {
        LLVMValueRef value = l_vector(e, yield->args[i]);
        if (side == 1) value = l_select(e, l_from_mask(e, live), value, read_slot(e, instr, i, slots));
        write_slot(e, instr, i, value, slots);
    }
    l_jump(e, end);
    l_enter(e, end);
}

static void if_varying(qn__emitter *e, const qn__instr *instr, LLVMValueRef *slots) {
    LLVMValueRef outer = e->mask, cond = l_vector(e, instr->args[0]);
    masked_side(e, instr, 0, l_and_mask(e, outer, cond), slots);
    masked_side(e, instr, 1, l_and_mask(e, outer, LLVMBuildNot(e->builder, cond, "")), slots);
    e->mask = outer;
    read_results(e, instr, slots);
}

void qn__emit_if(qn__emitter *e, const qn__instr *instr) {
    bool cheap = instr->result_count && qn__cheap_and_pure(e->ir, instr->regions[0]) && qn__cheap_and_pure(e->ir, instr->regions[1]);
    if (cheap) {
        if_select(e, instr, e->values[instr->args[0]]);
        return;
    }
    LLVMValueRef *slots = new_slots(e, instr);
    if (!slots) return;
    zero_slots(e, instr, slots);
    if (l_varies(e, instr->args[0])) if_varying(e, instr, slots);
    else if_uniform(e, instr, slots);
}

/* ---- loops ---- */

static void set_carried(qn__emitter *e, const qn__instr *instr, qn__region_ref region, uint32_t first, LLVMValueRef *slots) {
    for (uint32_t i = 0; i < instr->result_count; i++)
        l_set(e, qn__region_param(e->ir, region, first + i), read_slot(e, instr, i, slots));
}

static void init_carried(qn__emitter *e, const qn__instr *instr, const qn__value *init, LLVMValueRef *slots) {
    for (uint32_t i = 0; i < instr->result_count; i++) {
        slots[i] = l_alloca(e, slot_type(e, instr->first_result + i));
        write_slot(e, instr, i, as_result(e, instr, i, init[i]), slots);
    }
}

/* All values are read before the first is stored: the yield may permute them. blend: the lanes that take it, NULL: all. */
static void next_carried(qn__emitter *e, const qn__instr *instr, qn__region_ref region, LLVMValueRef *slots, LLVMValueRef blend) {
    const qn__instr *yield = qn__yield_of(e->ir, region);
    for (uint32_t i = 0; i < instr->result_count; i++) {
        LLVMValueRef value = as_result(e, instr, i, yield->args[i]);
        if (blend) value = l_select(e, l_from_mask(e, blend), value, read_slot(e, instr, i, slots));
        write_slot(e, instr, i, value, slots);
    }
}

static void note_loop(const qn__ir *ir, const qn__instr *instr, void *context) {
    (void)ir;
    if (instr->op == QN__OP_FOR || instr->op == QN__OP_WHILE || instr->op == QN__OP_REDUCE) *(bool *)context = true;
}

/* After how many iterations a loop polls: fewer where an iteration is long itself. 0: its constant bounds are closer than that. */
static int64_t poll_distance(qn__emitter *e, const qn__instr *instr) {
    bool nested = false;
    uint64_t lo, hi;
    qn__walk(e->ir, instr->regions[0], note_loop, &nested);
    int64_t distance = nested ? 256 : 65536;
    bool known = qn__is_const(e->ir, instr->args[0], &lo) && qn__is_const(e->ir, instr->args[1], &hi);
    return known && (int64_t)hi - (int64_t)lo <= distance ? 0 : distance;
}

static void for_iterations(qn__emitter *e, const qn__instr *instr, LLVMValueRef *slots, LLVMValueRef lo, LLVMValueRef hi) {
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, lo, hi);
    if (e->point.rank == 0) qn__emit_poll(e, instr->location);
    l_set(e, qn__region_param(e->ir, instr->regions[0], 0), loop.iv);
    set_carried(e, instr, instr->regions[0], 1, slots);
    qn__emit_region(e, instr->regions[0]);
    next_carried(e, instr, instr->regions[0], slots, NULL);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, 1), ""));
}

/* In strips, with a poll between two of them; a loop of one strip never polls. */
static void for_uniform(qn__emitter *e, const qn__instr *instr, LLVMValueRef *slots) {
    LLVMValueRef lo = l_scalar(e, instr->args[0]), hi = l_scalar(e, instr->args[1]);
    int64_t distance = e->point.rank == 0 ? 0 : poll_distance(e, instr);
    if (!distance) {
        for_iterations(e, instr, slots, lo, hi);
        return;
    }
    LLVMValueRef at = l_alloca(e, e->i64);
    LLVMBasicBlockRef strip = l_block(e, "strip"), more = l_block(e, "more"), end = l_block(e, "end");
    l_store(e, lo, at);
    l_jump(e, strip);
    l_enter(e, strip);
    LLVMValueRef start = l_load(e, e->i64, at);
    LLVMValueRef stop = l_call2(e, "llvm.smin", l_call2(e, "llvm.sadd.sat", start, l_i64(e, distance)), hi);
    for_iterations(e, instr, slots, start, stop);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, stop, hi, ""), more, end);
    l_enter(e, more);
    qn__emit_poll(e, instr->location);
    l_store(e, stop, at);
    l_jump(e, strip);
    l_enter(e, end);
}

/* Lanes run in step, each from its lo, until all have met their hi. */
static void for_varying(qn__emitter *e, const qn__instr *instr, LLVMValueRef *slots) {
    LLVMValueRef outer = e->mask;
    bool wide = l_varies(e, qn__region_param(e->ir, instr->regions[0], 0));
    LLVMValueRef lo = l_value_as(e, instr->args[0], wide), hi = l_vector(e, instr->args[1]);
    LLVMValueRef counter = l_alloca(e, LLVMTypeOf(lo)), turns = l_alloca(e, e->i64);
    LLVMBasicBlockRef head = l_block(e, "head"), body = l_block(e, "body"), end = l_block(e, "end");
    l_store(e, lo, counter);
    l_store(e, l_i64(e, 0), turns);
    l_jump(e, head);
    l_enter(e, head);
    LLVMValueRef iv = l_load(e, LLVMTypeOf(lo), counter);
    LLVMValueRef live = l_and_mask(e, outer, LLVMBuildICmp(e->builder, LLVMIntSLT, l_splat(e, iv), hi, ""));
    l_branch(e, l_any(e, live), body, end);
    l_enter(e, body);
    e->mask = live;
    l_set(e, qn__region_param(e->ir, instr->regions[0], 0), iv);
    set_carried(e, instr, instr->regions[0], 1, slots);
    qn__emit_region(e, instr->regions[0]);
    next_carried(e, instr, instr->regions[0], slots, live);
    LLVMValueRef next = LLVMBuildAdd(e->builder, iv, l_like(e, iv, 1), "");
    l_store(e, wide ? l_select(e, l_from_mask(e, live), next, iv) : next, counter);
    LLVMValueRef turn = LLVMBuildAdd(e->builder, l_load(e, e->i64, turns), l_i64(e, 1), "");
    l_store(e, turn, turns);
    LLVMValueRef due = LLVMBuildAnd(e->builder, turn, l_i64(e, poll_distance(e, instr) - 1), "");
    LLVMBasicBlockRef poll = l_block(e, "due");
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntNE, due, l_i64(e, 0), ""), head, poll);
    l_enter(e, poll);
    qn__emit_poll(e, instr->location);
    l_jump(e, head);
    l_enter(e, end);
    e->mask = outer;
}

void qn__emit_for(qn__emitter *e, const qn__instr *instr) {
    LLVMValueRef *slots = new_slots(e, instr);
    if (!slots) return;
    init_carried(e, instr, instr->args + 2, slots);
    bool varying = e->width > 1 && (e->shapes[instr->args[0]].variance != QN__UNIFORM || e->shapes[instr->args[1]].variance != QN__UNIFORM);
    if (varying) for_varying(e, instr, slots);
    else for_uniform(e, instr, slots);
    read_results(e, instr, slots);
}

/* The live lanes are a mask in memory that only shrinks. */
static void while_varying(qn__emitter *e, const qn__instr *instr, LLVMValueRef *slots) {
    qn__region_ref cond = instr->regions[0], body = instr->regions[1];
    LLVMValueRef outer = e->mask, first = outer ? outer : LLVMConstAllOnes(l_mask_type(e)), lives = l_alloca(e, LLVMTypeOf(first));
    LLVMBasicBlockRef head = l_block(e, "head"), inside = l_block(e, "body"), end = l_block(e, "end");
    l_store(e, first, lives);
    l_jump(e, head);
    l_enter(e, head);
    LLVMValueRef live = l_load(e, LLVMTypeOf(first), lives);
    e->mask = live;
    set_carried(e, instr, cond, 0, slots);
    qn__emit_region(e, cond);
    live = l_and_mask(e, live, l_vector(e, qn__yield_of(e->ir, cond)->args[0]));
    l_store(e, live, lives);
    l_branch(e, l_any(e, live), inside, end);
    l_enter(e, inside);
    e->mask = live;
    set_carried(e, instr, body, 0, slots);
    qn__emit_region(e, body);
    next_carried(e, instr, body, slots, live);
    qn__emit_poll(e, instr->location);
    l_jump(e, head);
    l_enter(e, end);
    e->mask = outer;
}

static bool is_straight(const qn__ir *ir, qn__region_ref region) {
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next)
        if (ir->instrs[ref].region_count || ir->instrs[ref].op == QN__OP_CALL) return false;
    return true;
}

/* Iterations between two polls. On a GPU a poll costs as much as a short iteration: there the iteration is emitted several times. */
static uint32_t copies_of(const qn__emitter *e, qn__region_ref cond, qn__region_ref body) {
    enum { COPIES = 4, SHORT_ITERATION = 32 };
    if (!e->gpu || qn__region_size(e->ir, cond) + qn__region_size(e->ir, body) > SHORT_ITERATION) return 1;
    return is_straight(e->ir, cond) && is_straight(e->ir, body) ? COPIES : 1;
}

static void while_uniform(qn__emitter *e, const qn__instr *instr, LLVMValueRef *slots) {
    qn__region_ref cond = instr->regions[0], body = instr->regions[1];
    LLVMBasicBlockRef head = l_block(e, "head"), end = l_block(e, "end");
    l_jump(e, head);
    l_enter(e, head);
    for (uint32_t i = copies_of(e, cond, body); i > 0; i--) {
        LLVMBasicBlockRef inside = l_block(e, "body");
        set_carried(e, instr, cond, 0, slots);
        qn__emit_region(e, cond);
        l_branch(e, l_scalar(e, qn__yield_of(e->ir, cond)->args[0]), inside, end);
        l_enter(e, inside);
        set_carried(e, instr, body, 0, slots);
        qn__emit_region(e, body);
        next_carried(e, instr, body, slots, NULL);
    }
    qn__emit_poll(e, instr->location);
    l_jump(e, head);
    l_enter(e, end);
}

void qn__emit_while(qn__emitter *e, const qn__instr *instr) {
    LLVMValueRef *slots = new_slots(e, instr);
    if (!slots) return;
    init_carried(e, instr, instr->args, slots);
    if (l_varies(e, qn__yield_of(e->ir, instr->regions[0])->args[0])) while_varying(e, instr, slots);
    else while_uniform(e, instr, slots);
    read_results(e, instr, slots);
}
