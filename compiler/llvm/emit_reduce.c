/* reduce in the order of lanes: ir.h says which. Blocks of 4096 terms; in a block 64 accumulators, halved at its end; the
 * blocks' results are combined on a stack like the bits of a binary counter.
 *
 * Vector code keeps the accumulators as 64/W vectors: in registers (the body unrolled over a row of 64 terms) when the
 * body is short, else in memory. What does not fill a row is done term by term on the accumulators in memory, and so is
 * everything when the body cannot be vectorised: all forms give the same bits. */
#include "compiler/llvm/internal.h"

enum { DEPTH = 56, UNROLLED = 160 }; /* 2^63 / 4096 blocks need 52 levels; instructions of an unrolled row at most */

typedef struct reduce {
    const qn__instr *instr;
    qn__region_ref body, combine;
    uint32_t count, width;          /* accumulators; lanes of the body's code */
    qn__type types[QN__MAX_SCAN];
    LLVMTypeRef memory[QN__MAX_SCAN];
    LLVMValueRef init[QN__MAX_SCAN];
    LLVMValueRef lanes[QN__MAX_SCAN], stack[QN__MAX_SCAN], value[QN__MAX_SCAN]; /* in memory */
    LLVMValueRef block, depth;      /* i64 in memory: number of blocks done, of values on the stack */
    LLVMValueRef at;                /* i64 in memory: the next term */
    LLVMValueRef results, merging;  /* in parts: memory for the results; i1: the terms are results, one for each block */
    bool nested, checks;
} reduce;

static LLVMValueRef read_memory(qn__emitter *e, const reduce *r, uint32_t i, LLVMValueRef pointer) {
    return l_from_memory(e, r->types[i], l_load(e, l_wide(e, r->memory[i]), pointer));
}

static void write_memory(qn__emitter *e, const reduce *r, uint32_t i, LLVMValueRef value, LLVMValueRef pointer) {
    l_store(e, l_to_memory(e, r->types[i], value), pointer);
}

static LLVMValueRef lane_pointer(qn__emitter *e, const reduce *r, uint32_t i, LLVMValueRef lane) {
    return l_gep(e, r->memory[i], r->lanes[i], lane);
}

static LLVMValueRef fixed_lane(qn__emitter *e, const reduce *r, uint32_t i, uint32_t lane) {
    return lane_pointer(e, r, i, l_i64(e, lane));
}

/* ---- the body ---- */

static void emit_term(qn__emitter *e, const reduce *r, LLVMValueRef iv, LLVMValueRef *acc) {
    l_set(e, qn__region_param(e->ir, r->body, 0), iv);
    for (uint32_t i = 0; i < r->count; i++) l_set(e, qn__region_param(e->ir, r->body, 1 + i), acc[i]);
    if (!r->nested) e->point.iv[0] = iv;
    qn__emit_region(e, r->body);
    for (uint32_t i = 0; i < r->count; i++) acc[i] = l_vector(e, qn__yield_of(e->ir, r->body)->args[i]);
}

/* Parameters of scalar code are uniform to the reductions inside it. */
static void shape_body(qn__emitter *e, const reduce *r, bool vector) {
    e->shapes[qn__region_param(e->ir, r->body, 0)] = (qn__shape){vector ? QN__LINEAR : QN__UNIFORM, vector};
    for (uint32_t i = 0; i < r->count; i++)
        e->shapes[qn__region_param(e->ir, r->body, 1 + i)] = (qn__shape){vector ? QN__VARYING : QN__UNIFORM, 0};
}

static void shape_combine(qn__emitter *e, const reduce *r, bool vector) {
    for (uint32_t i = 0; i < 2 * r->count; i++)
        e->shapes[qn__region_param(e->ir, r->combine, i)] = (qn__shape){vector ? QN__VARYING : QN__UNIFORM, 0};
}

static void init_lanes(qn__emitter *e, const reduce *r) {
    e->width = 8;
    for (uint32_t i = 0; i < r->count; i++)
        for (uint32_t lane = 0; lane < QN__LANES; lane += 8)
            write_memory(e, r, i, l_splat(e, r->init[i]), fixed_lane(e, r, i, lane));
    e->width = 1;
}

static LLVMValueRef plus(qn__emitter *e, LLVMValueRef v, uint64_t n) {
    return n ? LLVMBuildAdd(e->builder, v, l_i64(e, (int64_t)n), "") : v;
}

/* Rows of 64 terms with accumulators in registers. */
static void rows_unrolled(qn__emitter *e, const reduce *r, qn__loop *loop) {
    uint32_t groups = QN__LANES / r->width;
    LLVMValueRef slots[QN__MAX_SCAN][QN__LANES];
    for (uint32_t i = 0; i < r->count; i++)
        for (uint32_t g = 0; g < groups; g++) {
            slots[i][g] = l_alloca(e, l_slot_type(e, r->types[i], true));
            l_store_slot(e, r->types[i], l_splat(e, r->init[i]), slots[i][g]);
        }
    l_loop_begin(e, loop, r->at, loop->iv, loop->hi);
    for (uint32_t g = 0; g < groups; g++) {
        LLVMValueRef acc[QN__MAX_SCAN];
        for (uint32_t i = 0; i < r->count; i++) acc[i] = l_load_slot(e, r->types[i], true, slots[i][g]);
        emit_term(e, r, plus(e, loop->iv, g * r->width), acc);
        for (uint32_t i = 0; i < r->count; i++) l_store_slot(e, r->types[i], acc[i], slots[i][g]);
    }
    l_loop_end(e, loop, plus(e, loop->iv, QN__LANES));
    for (uint32_t i = 0; i < r->count; i++)
        for (uint32_t g = 0; g < groups; g++) {
            LLVMValueRef value = l_load_slot(e, r->types[i], true, slots[i][g]);
            write_memory(e, r, i, value, fixed_lane(e, r, i, g * r->width));
        }
}

/* Rows of 64 terms with accumulators in memory. The inner loop's counter is a lane number. */
static void rows_looped(qn__emitter *e, const reduce *r, qn__loop *loop) {
    qn__loop lane;
    l_loop_begin(e, loop, r->at, loop->iv, loop->hi);
    l_loop_begin(e, &lane, NULL, l_i64(e, 0), l_i64(e, QN__LANES));
    LLVMValueRef acc[QN__MAX_SCAN];
    for (uint32_t i = 0; i < r->count; i++) acc[i] = read_memory(e, r, i, lane_pointer(e, r, i, lane.iv));
    emit_term(e, r, LLVMBuildAdd(e->builder, loop->iv, lane.iv, ""), acc);
    for (uint32_t i = 0; i < r->count; i++) write_memory(e, r, i, acc[i], lane_pointer(e, r, i, lane.iv));
    l_loop_end(e, &lane, plus(e, lane.iv, r->width));
    l_loop_end(e, loop, plus(e, loop->iv, QN__LANES));
}

/* In instructions; a load whose index varies is one per lane. Needs the body's shapes. */
static uint32_t body_size(qn__emitter *e, const reduce *r) {
    uint32_t gathers = 0;
    for (qn__instr_ref ref = e->ir->regions[r->body].first; ref; ref = e->ir->instrs[ref].next) {
        const qn__instr *instr = &e->ir->instrs[ref];
        if (instr->op != QN__OP_LOAD || !instr->arg_count) continue;
        qn__shape last = e->shapes[instr->args[instr->arg_count - 1]];
        gathers += last.variance == QN__VARYING || (last.variance == QN__LINEAR && last.stride != 1);
    }
    return qn__region_size(e->ir, r->body) + 2 * r->width * gathers;
}

static void vector_rows(qn__emitter *e, const reduce *r, LLVMValueRef start, LLVMValueRef stop, LLVMBasicBlockRef rest) {
    e->width = r->width;
    e->retry = rest;
    shape_body(e, r, true);
    qn__shapes_region(e, r->body);
    qn__loop loop = {.iv = start, .hi = l_call2(e, "llvm.ssub.sat", stop, l_i64(e, QN__LANES - 1))};
    bool unrolled = body_size(e, r) * (QN__LANES / r->width) <= UNROLLED;
    if (unrolled) rows_unrolled(e, r, &loop);
    else rows_looped(e, r, &loop);
    e->width = 1;
    e->retry = NULL;
    l_jump(e, rest);
    l_enter(e, rest);
}

/* All terms of a block under masks, with accumulators in memory: long bodies are emitted once, as in emit_stage.c. */
static void masked_rows(qn__emitter *e, const reduce *r, LLVMValueRef start, LLVMValueRef stop) {
    qn__loop row, lane;
    e->width = r->width;
    shape_body(e, r, true);
    qn__shapes_region(e, r->body);
    l_loop_begin(e, &row, r->at, start, stop);
    LLVMValueRef left = LLVMBuildSub(e->builder, stop, row.iv, "");
    l_loop_begin(e, &lane, NULL, l_i64(e, 0), l_call2(e, "llvm.umin", left, l_i64(e, QN__LANES)));
    LLVMValueRef acc[QN__MAX_SCAN], old[QN__MAX_SCAN];
    for (uint32_t i = 0; i < r->count; i++) acc[i] = old[i] = read_memory(e, r, i, lane_pointer(e, r, i, lane.iv));
    e->mask = l_first_lanes(e, LLVMBuildSub(e->builder, left, lane.iv, ""));
    emit_term(e, r, LLVMBuildAdd(e->builder, row.iv, lane.iv, ""), acc);
    for (uint32_t i = 0; i < r->count; i++)
        write_memory(e, r, i, l_select(e, l_live(e), acc[i], old[i]), lane_pointer(e, r, i, lane.iv));
    e->mask = NULL;
    l_loop_end(e, &lane, plus(e, lane.iv, r->width));
    l_loop_end(e, &row, plus(e, row.iv, QN__LANES));
    e->width = 1;
}

static void leave_if_pending(qn__emitter *e) {
    LLVMBasicBlockRef failed = l_block(e, "pending"), fine = l_block(e, "fine");
    LLVMValueRef kind = l_load(e, e->i32, e->pending);
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntEQ, kind, l_i32(e, 0), ""), fine, failed);
    l_enter(e, failed);
    qn__emit_return(e, kind);
    l_enter(e, fine);
}

/* Terms start..stop of one block. */
static void terms(qn__emitter *e, const reduce *r, LLVMValueRef start, LLVMValueRef stop) {
    init_lanes(e, r);
    if (r->width > 1 && qn__plan_masked(e, r->body, UNROLLED * r->width / QN__LANES)) {
        masked_rows(e, r, start, stop);
        return;
    }
    l_store(e, start, r->at);
    if (r->width > 1) vector_rows(e, r, start, stop, l_block(e, "rest"));
    qn__loop loop;
    l_loop_begin(e, &loop, r->at, l_load(e, e->i64, r->at), stop);
    LLVMValueRef lane = LLVMBuildAnd(e->builder, LLVMBuildSub(e->builder, loop.iv, start, ""), l_i64(e, QN__LANES - 1), "");
    LLVMValueRef acc[QN__MAX_SCAN];
    for (uint32_t i = 0; i < r->count; i++) acc[i] = read_memory(e, r, i, lane_pointer(e, r, i, lane));
    emit_term(e, r, loop.iv, acc);
    for (uint32_t i = 0; i < r->count; i++) write_memory(e, r, i, acc[i], lane_pointer(e, r, i, lane));
    l_loop_end(e, &loop, plus(e, loop.iv, 1));
    if (r->width > 1 && r->checks) leave_if_pending(e);
}

/* ---- combining ---- */

static void combine(qn__emitter *e, const reduce *r, LLVMValueRef *a, LLVMValueRef *b, LLVMValueRef *out) {
    for (uint32_t i = 0; i < r->count; i++) {
        l_set(e, qn__region_param(e->ir, r->combine, i), a[i]);
        l_set(e, qn__region_param(e->ir, r->combine, r->count + i), b[i]);
    }
    shape_combine(e, r, e->width > 1);
    if (e->width > 1) qn__shapes_region(e, r->combine);
    qn__emit_region(e, r->combine);
    for (uint32_t i = 0; i < r->count; i++) out[i] = l_vector(e, qn__yield_of(e->ir, r->combine)->args[i]);
}

/* Half of a vector; a scalar when the half is one lane. */
static LLVMValueRef half(qn__emitter *e, LLVMValueRef vector, bool upper) {
    uint32_t n = LLVMGetVectorSize(LLVMTypeOf(vector)) / 2;
    if (n == 1) return l_lane(e, vector, upper);
    LLVMValueRef lanes[QN__LANES];
    for (uint32_t i = 0; i < n; i++) lanes[i] = l_i32(e, upper ? n + i : i);
    return LLVMBuildShuffleVector(e->builder, vector, LLVMGetPoison(LLVMTypeOf(vector)), LLVMConstVector(lanes, n), "");
}

static void halve_vectors(qn__emitter *e, const reduce *r, uint32_t width) {
    LLVMValueRef now[QN__LANES][QN__MAX_SCAN], upper[QN__MAX_SCAN];
    uint32_t groups = QN__LANES / width;
    e->width = width;
    for (uint32_t g = 0; g < groups; g++)
        for (uint32_t i = 0; i < r->count; i++) now[g][i] = read_memory(e, r, i, fixed_lane(e, r, i, g * width));
    for (; groups > 1; groups /= 2)
        for (uint32_t g = 0; g < groups / 2; g++) combine(e, r, now[g], now[g + groups / 2], now[g]);
    while (e->width > 1) {
        for (uint32_t i = 0; i < r->count; i++) {
            upper[i] = half(e, now[0][i], true);
            now[0][i] = half(e, now[0][i], false);
        }
        e->width /= 2;
        combine(e, r, now[0], upper, now[0]);
    }
    for (uint32_t i = 0; i < r->count; i++) l_store(e, now[0][i], r->value[i]);
}

static void halve_scalars(qn__emitter *e, const reduce *r) {
    LLVMValueRef half_count = l_alloca(e, e->i64);
    LLVMBasicBlockRef head = l_block(e, "halve"), end = l_block(e, "halved");
    l_store(e, l_i64(e, QN__LANES / 2), half_count);
    l_jump(e, head);
    l_enter(e, head);
    LLVMValueRef n = l_load(e, e->i64, half_count), a[QN__MAX_SCAN], b[QN__MAX_SCAN];
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_i64(e, 0), n);
    for (uint32_t i = 0; i < r->count; i++) {
        a[i] = read_memory(e, r, i, lane_pointer(e, r, i, loop.iv));
        b[i] = read_memory(e, r, i, lane_pointer(e, r, i, LLVMBuildAdd(e->builder, loop.iv, n, "")));
    }
    combine(e, r, a, b, a);
    for (uint32_t i = 0; i < r->count; i++) write_memory(e, r, i, a[i], lane_pointer(e, r, i, loop.iv));
    l_loop_end(e, &loop, plus(e, loop.iv, 1));
    LLVMValueRef next = LLVMBuildLShr(e->builder, n, l_i64(e, 1), "");
    l_store(e, next, half_count);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntNE, next, l_i64(e, 0), ""), head, end);
    l_enter(e, end);
    for (uint32_t i = 0; i < r->count; i++) l_store(e, read_memory(e, r, i, fixed_lane(e, r, i, 0)), r->value[i]);
}

/* value = combine(popped, value) while cond(); cond is evaluated in head. */
static void pop(qn__emitter *e, const reduce *r) {
    LLVMValueRef below[QN__MAX_SCAN], value[QN__MAX_SCAN];
    LLVMValueRef depth = LLVMBuildSub(e->builder, l_load(e, e->i64, r->depth), l_i64(e, 1), "");
    l_store(e, depth, r->depth);
    for (uint32_t i = 0; i < r->count; i++) {
        below[i] = read_memory(e, r, i, l_gep(e, r->memory[i], r->stack[i], depth));
        value[i] = l_load(e, LLVMTypeOf(r->init[i]), r->value[i]);
    }
    combine(e, r, below, value, value);
    for (uint32_t i = 0; i < r->count; i++) l_store(e, value[i], r->value[i]);
}

/* Block number k is combined with as many former results as k has trailing ones; last: with all that are left. */
static void merge(qn__emitter *e, const reduce *r, LLVMValueRef last) {
    LLVMBasicBlockRef head = l_block(e, "merge"), inside = l_block(e, "pop"), end = l_block(e, "merged");
    LLVMValueRef bits = l_alloca(e, e->i64);
    l_store(e, l_load(e, e->i64, r->block), bits);
    l_jump(e, head);
    l_enter(e, head);
    LLVMValueRef now = l_load(e, e->i64, bits);
    LLVMValueRef odd = LLVMBuildTrunc(e->builder, now, e->i1, "");
    LLVMValueRef left = LLVMBuildICmp(e->builder, LLVMIntNE, now, l_i64(e, 0), "");
    l_branch(e, l_select(e, last, left, odd), inside, end);
    l_enter(e, inside);
    /* at the end the zeros are skipped: every set bit is one value on the stack */
    LLVMBasicBlockRef take = l_block(e, "take"), next = l_block(e, "next");
    l_branch(e, odd, take, next);
    l_enter(e, take);
    pop(e, r);
    l_jump(e, next);
    l_enter(e, next);
    l_store(e, LLVMBuildLShr(e->builder, now, l_i64(e, 1), ""), bits);
    l_jump(e, head);
    l_enter(e, end);
}

static void push(qn__emitter *e, const reduce *r) {
    LLVMValueRef depth = l_load(e, e->i64, r->depth);
    for (uint32_t i = 0; i < r->count; i++)
        write_memory(e, r, i, l_load(e, LLVMTypeOf(r->init[i]), r->value[i]), l_gep(e, r->memory[i], r->stack[i], depth));
    l_store(e, plus(e, depth, 1), r->depth);
    l_store(e, plus(e, l_load(e, e->i64, r->block), 1), r->block);
}

/* ---- the whole ---- */

static bool prepare(qn__emitter *e, const qn__instr *instr, reduce *r) {
    *r = (reduce){.instr = instr, .body = instr->regions[0], .combine = instr->regions[1], .count = instr->arg_count - 2};
    if (r->count > QN__MAX_SCAN) return qn__fail(e, "a reduction carries too many values");
    shape_body(e, r, true);
    r->width = qn__plan_width(e, instr, r->body);
    if (r->width == 1) shape_body(e, r, false);
    if (r->width > QN__LANES) r->width = QN__LANES;
    r->checks = qn__has_checks(e->ir, r->body);
    r->nested = e->point.rank != 0;
    for (uint32_t i = 0; i < r->count; i++) {
        r->types[i] = qn__type_of(e->ir, instr->args[2 + i]);
        r->memory[i] = l_memory_type(e, r->types[i]);
        r->init[i] = l_scalar(e, instr->args[2 + i]);
        r->lanes[i] = l_alloca_array(e, r->memory[i], QN__LANES);
        LLVMSetAlignment(r->lanes[i], 64);
        r->stack[i] = l_alloca_array(e, r->memory[i], DEPTH);
        r->value[i] = l_alloca(e, LLVMTypeOf(r->init[i]));
        l_store(e, r->init[i], r->value[i]);
    }
    r->block = l_alloca(e, e->i64);
    r->depth = l_alloca(e, e->i64);
    r->at = l_alloca(e, e->i64);
    l_store(e, l_i64(e, 0), r->block);
    l_store(e, l_i64(e, 0), r->depth);
    return true;
}

static LLVMValueRef result_pointer(qn__emitter *e, const reduce *r, uint32_t i, LLVMValueRef part) {
    return l_gep(e, r->memory[i], l_field(e, r->results, (size_t)i * QN__PARTIALS * sizeof(int64_t)), part);
}

/* While merging, a block is one result: no terms. Goes on where there are terms; the block where both ways meet. */
static LLVMBasicBlockRef take_result(qn__emitter *e, const reduce *r, LLVMValueRef start) {
    LLVMBasicBlockRef take = l_block(e, "result"), compute = l_block(e, "terms"), joined = l_block(e, "joined");
    l_branch(e, r->merging, take, compute);
    l_enter(e, take);
    LLVMValueRef part = LLVMBuildLShr(e->builder, start, l_i64(e, 12), "");
    for (uint32_t i = 0; i < r->count; i++) l_store(e, read_memory(e, r, i, result_pointer(e, r, i, part)), r->value[i]);
    l_jump(e, joined);
    l_enter(e, compute);
    return joined;
}

static void one_block(qn__emitter *e, reduce *r, LLVMValueRef start, LLVMValueRef stop, LLVMValueRef last) {
    if (!r->nested) e->point.iv[0] = start;
    qn__emit_poll(e, r->instr->location);
    LLVMBasicBlockRef joined = r->merging ? take_result(e, r, start) : NULL;
    if (!e->platform->block || !e->platform->block(e, r->instr, start, stop, r->value)) {
        terms(e, r, start, stop);
        shape_combine(e, r, true);
        uint32_t width = qn__plan_width(e, r->instr, r->combine);
        if (width > 1) halve_vectors(e, r, width > QN__LANES ? QN__LANES : width);
        else halve_scalars(e, r);
    }
    if (joined) {
        l_jump(e, joined);
        l_enter(e, joined);
    }
    merge(e, r, last);
    push(e, r);
}

static void all_blocks(qn__emitter *e, reduce *r, LLVMValueRef lo, LLVMValueRef hi) {
    LLVMValueRef at = l_alloca(e, e->i64);
    LLVMBasicBlockRef body = l_block(e, "block"), end = l_block(e, "reduced");
    l_store(e, lo, at);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, lo, hi, ""), body, end);
    l_enter(e, body);
    LLVMValueRef start = l_load(e, e->i64, at);
    LLVMValueRef left = LLVMBuildSub(e->builder, hi, start, "");
    LLVMValueRef more = LLVMBuildICmp(e->builder, LLVMIntUGT, left, l_i64(e, QN__BLOCK), "");
    LLVMValueRef stop = l_select(e, more, plus(e, start, QN__BLOCK), hi);
    one_block(e, r, start, stop, LLVMBuildNot(e->builder, more, ""));
    l_store(e, stop, at);
    l_branch(e, more, body, end);
    l_enter(e, end);
}

static qn__base *enter(qn__emitter *e, const qn__instr *instr) {
    qn__base *saved = qn__arena_alloc(e->arena, (e->ir->array_count + 1) * sizeof *saved);
    if (saved) qn__hoist_bases(e, instr, saved);
    else qn__fail(e, "out of memory");
    return saved;
}

/* ---- in parts: aligned groups of 2^k blocks ----
 *
 * A group is a whole subtree of the tree that combines blocks, also the last, incomplete one (the tree splits at powers of two); the tree over the
 * groups' results is its upper part. The same function does both: while merging its blocks are results. */

/* Part `begin`; the runtime asks for one at a time. */
static void reduce_group(qn__emitter *e, const qn__outline *outline, LLVMValueRef begin, LLVMValueRef end) {
    reduce r;
    (void)end;
    LLVMValueRef lo = outline->words[QN__REDUCE_LO], hi = outline->words[QN__REDUCE_HI], span = outline->words[QN__REDUCE_SPAN];
    if (!prepare(e, outline->stage, &r)) return;
    r.results = outline->words[QN__REDUCE_RESULTS];
    r.merging = LLVMBuildICmp(e->builder, LLVMIntNE, outline->words[QN__REDUCE_MERGING], l_i64(e, 0), "");
    qn__base *saved = enter(e, outline->stage);
    if (!saved) return;
    e->point = (qn__point){.rank = 1, .lo = {lo}, .hi = {hi}, .iv = {lo}};
    LLVMValueRef from = LLVMBuildAdd(e->builder, lo, LLVMBuildMul(e->builder, begin, span, ""), "");
    LLVMValueRef more = LLVMBuildICmp(e->builder, LLVMIntUGT, LLVMBuildSub(e->builder, hi, from, ""), span, "");
    more = LLVMBuildAnd(e->builder, more, LLVMBuildICmp(e->builder, LLVMIntSLT, from, hi, ""), "");
    all_blocks(e, &r, from, l_select(e, more, LLVMBuildAdd(e->builder, from, span, ""), hi));
    for (uint32_t i = 0; i < r.count; i++) write_memory(e, &r, i, l_load(e, LLVMTypeOf(r.init[i]), r.value[i]), result_pointer(e, &r, i, begin));
    e->point.rank = 0;
    qn__restore_bases(e, saved);
}

static void reduce_outlined(qn__emitter *e, const qn__instr *instr) {
    const uint32_t count = instr->arg_count - 2;
    LLVMValueRef results = qn__partials(e, count * QN__PARTIALS);
    qn__outline outline = {.stage = instr, .form = QN__STAGE_REDUCE, .rank = 1, .body = reduce_group, .word_count = QN__REDUCE_WORDS, .changing = QN__REDUCE_WORDS,
                           .words = {l_scalar(e, instr->args[0]), l_scalar(e, instr->args[1]), l_i64(e, QN__WHOLE_SPAN), l_i64(e, 0), results}};
    if (!qn__outline_function(e, &outline)) return;
    qn__outline_call(e, &outline);
    for (uint32_t i = 0; i < count; i++) {
        const qn__type type = qn__type_of(e->ir, instr->args[2 + i]);
        LLVMValueRef result = l_load(e, l_memory_type(e, type), l_field(e, results, (size_t)i * QN__PARTIALS * sizeof(int64_t)));
        l_set(e, instr->first_result + i, l_from_memory(e, type, result));
    }
}

static void reduce_here(qn__emitter *e, const qn__instr *instr) {
    reduce r;
    if (!prepare(e, instr, &r)) return;
    LLVMValueRef lo = l_scalar(e, instr->args[0]), hi = l_scalar(e, instr->args[1]);
    qn__base *saved = enter(e, instr);
    if (!saved) return;
    if (!r.nested) e->point = (qn__point){.rank = 1, .lo = {lo}, .hi = {hi}, .iv = {lo}};
    all_blocks(e, &r, lo, hi);
    if (!r.nested) e->point.rank = 0;
    qn__restore_bases(e, saved);
    for (uint32_t i = 0; i < r.count; i++) l_set(e, instr->first_result + i, l_load(e, LLVMTypeOf(r.init[i]), r.value[i]));
}

void qn__emit_reduce(qn__emitter *e, const qn__instr *instr) {
    if (qn__outlines(e, instr) && instr->arg_count - 2 <= QN__MAX_SCAN) reduce_outlined(e, instr);
    else reduce_here(e, instr);
}
