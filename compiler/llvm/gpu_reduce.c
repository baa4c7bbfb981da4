/* reduce in the order of lanes, by warps.
 *
 * A warp takes a block of 4096 terms: thread l has the contract's lanes l and l + 32, each a chain of its own from init. The halving starts inside the thread
 * (lane l with l + 32) and goes on by shuffles over 16, 8, 4, 2, 1 lanes, the lower one being the first operand; what the upper threads compute then is
 * not used. Blocks are combined by the fixed tree: adjacent results in pairs, level by level, an odd last one goes up as it is, which is the tree that splits at the
 * largest power of two below the count.
 *
 * At kernel level that is one entry for the blocks, whose results go to scratch buffers, and one of a single thread block for the tree. Inside a point that a warp runs
 * together (QN__MODE_WARP) emit_reduce.c does the blocks and its binary counter, and only a block's terms are shared by the lanes. */
#include "compiler/llvm/gpu_internal.h"

enum { BLOCK_WARPS = 4, TREE_THREADS = 256, UNROLLED = 16, TWICE = 40 /* bodies of more instructions are emitted once */, LOG_BLOCK = 12 };

typedef struct lanes {
    const qn__instr *instr;
    uint32_t count;
    bool is_stage;             /* its terms are the points whose faults are told apart */
    qn__type types[QN__MAX_SCAN];
    LLVMValueRef init[QN__MAX_SCAN];
    LLVMValueRef first[QN__MAX_SCAN], second[QN__MAX_SCAN]; /* in memory: the accumulators of lanes l and l + 32 */
} lanes;

static bool prepare(qn__gpu *g, const qn__instr *instr, lanes *r) {
    qn__emitter *e = g->e;
    *r = (lanes){.instr = instr, .count = instr->arg_count - 2};
    if (r->count > QN__MAX_SCAN) return qn__fail(e, "a reduction carries too many values");
    for (uint32_t i = 0; i < r->count; i++) {
        r->types[i] = qn__type_of(e->ir, instr->args[2 + i]);
        r->init[i] = l_scalar(e, instr->args[2 + i]);
        r->first[i] = l_alloca(e, l_type(e, r->types[i]));
        r->second[i] = l_alloca(e, l_type(e, r->types[i]));
    }
    return true;
}

static LLVMValueRef get(qn__gpu *g, const lanes *r, uint32_t i, LLVMValueRef slot) { return l_load(g->e, l_type(g->e, r->types[i]), slot); }

static void combine(qn__gpu *g, const lanes *r, LLVMValueRef *a, LLVMValueRef *b, LLVMValueRef *out) {
    qn__emitter *e = g->e;
    qn__region_ref region = r->instr->regions[1];
    for (uint32_t i = 0; i < r->count; i++) {
        l_set(e, qn__region_param(e->ir, region, i), a[i]);
        l_set(e, qn__region_param(e->ir, region, r->count + i), b[i]);
    }
    qn__emit_region(e, region);
    for (uint32_t i = 0; i < r->count; i++) out[i] = l_scalar(e, qn__yield_of(e->ir, region)->args[i]);
}

/* One lane's terms: from, from + 64, ... below stop. A term that fails ends the chain. stop NULL: the block is whole, the lane has 64 terms; a known number can be unrolled. */
static void chain(qn__gpu *g, const lanes *r, LLVMValueRef from, LLVMValueRef stop, const LLVMValueRef *slots) {
    qn__emitter *e = g->e;
    qn__region_ref body = r->instr->regions[0];
    LLVMBasicBlockRef outer = g->leave;
    for (uint32_t i = 0; i < r->count; i++) l_store(e, r->init[i], slots[i]);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, stop ? from : l_i64(e, 0), stop ? stop : l_i64(e, QN__BLOCK));
    g->leave = loop.exit;
    LLVMValueRef iv = stop ? loop.iv : LLVMBuildAdd(e->builder, from, loop.iv, "");
    if (r->is_stage) e->point.iv[0] = iv;
    g->term = iv;
    l_set(e, qn__region_param(e->ir, body, 0), iv);
    for (uint32_t i = 0; i < r->count; i++) l_set(e, qn__region_param(e->ir, body, 1 + i), get(g, r, i, slots[i]));
    qn__emit_region(e, body);
    const qn__instr *yield = qn__yield_of(e->ir, body);
    LLVMValueRef next[QN__MAX_SCAN];
    for (uint32_t i = 0; i < r->count; i++) next[i] = l_scalar(e, yield->args[i]);
    for (uint32_t i = 0; i < r->count; i++) l_store(e, next[i], slots[i]);
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->builder);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, QN__LANES), ""));
    if (!stop) qn__unroll(g, latch, 8); /* as many loads in flight */
    g->leave = outer;
}

/* Both chains by one copy of the body. */
static void two_turns(qn__gpu *g, const lanes *r, LLVMValueRef from, LLVMValueRef stop) {
    qn__emitter *e = g->e;
    qn__loop turn;
    LLVMValueRef slots[QN__MAX_SCAN];
    for (uint32_t i = 0; i < r->count; i++) {
        slots[i] = l_alloca(e, l_type(e, r->types[i]));
        l_store(e, r->init[i], r->second[i]);
    }
    l_loop_begin(e, &turn, NULL, l_i64(e, 0), l_i64(e, 2));
    for (uint32_t i = 0; i < r->count; i++) l_store(e, get(g, r, i, r->second[i]), r->first[i]);
    LLVMValueRef offset = LLVMBuildMul(e->builder, turn.iv, l_i64(e, QN__WARP), "");
    chain(g, r, LLVMBuildAdd(e->builder, from, offset, ""), stop, slots);
    for (uint32_t i = 0; i < r->count; i++) l_store(e, get(g, r, i, slots[i]), r->second[i]);
    l_loop_end(e, &turn, LLVMBuildAdd(e->builder, turn.iv, l_i64(e, 1), ""));
}

static void shuffle_once(qn__gpu *g, const lanes *r, LLVMValueRef distance) {
    LLVMValueRef a[QN__MAX_SCAN], b[QN__MAX_SCAN];
    for (uint32_t i = 0; i < r->count; i++) {
        a[i] = get(g, r, i, r->first[i]);
        b[i] = qn__shuffle_down(g, a[i], distance);
    }
    combine(g, r, a, b, a);
    for (uint32_t i = 0; i < r->count; i++) l_store(g->e, a[i], r->first[i]);
}

/* The block's result is in `first` of lane 0 after it. */
static void halve(qn__gpu *g, const lanes *r) {
    qn__emitter *e = g->e;
    LLVMValueRef a[QN__MAX_SCAN], b[QN__MAX_SCAN];
    for (uint32_t i = 0; i < r->count; i++) {
        a[i] = get(g, r, i, r->first[i]);
        b[i] = get(g, r, i, r->second[i]);
    }
    combine(g, r, a, b, a);
    for (uint32_t i = 0; i < r->count; i++) l_store(e, a[i], r->first[i]);
    if (qn__region_size(e->ir, r->instr->regions[1]) <= TWICE) {
        for (uint32_t distance = QN__WARP / 2; distance; distance /= 2) shuffle_once(g, r, l_i32(e, distance));
        return;
    }
    LLVMValueRef distance = l_alloca(e, e->i32);
    LLVMBasicBlockRef again = l_block(e, "halve"), done = l_block(e, "halved");
    l_store(e, l_i32(e, QN__WARP / 2), distance);
    l_jump(e, again);
    l_enter(e, again);
    LLVMValueRef now = l_load(e, e->i32, distance);
    shuffle_once(g, r, now);
    LLVMValueRef next = LLVMBuildLShr(e->builder, now, l_i32(e, 1), "");
    l_store(e, next, distance);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntNE, next, l_i32(e, 0), ""), again, done);
    l_enter(e, done);
}

static void terms(qn__gpu *g, const lanes *r, LLVMValueRef start, LLVMValueRef stop) {
    qn__emitter *e = g->e;
    LLVMValueRef from = LLVMBuildAdd(e->builder, start, LLVMBuildZExt(e->builder, g->lane, e->i64, ""), "");
    g->in_lanes = true;
    uint32_t size = qn__region_size(e->ir, r->instr->regions[0]);
    if (size > TWICE) {
        two_turns(g, r, from, stop);
    } else {
        LLVMValueRef second = LLVMBuildAdd(e->builder, from, l_i64(e, QN__WARP), "");
        LLVMBasicBlockRef whole = l_block(e, "whole"), part = l_block(e, "part"), done = l_block(e, "terms");
        LLVMValueRef all = LLVMBuildICmp(e->builder, LLVMIntEQ, LLVMBuildSub(e->builder, stop, start, ""), l_i64(e, QN__BLOCK), "");
        l_branch(e, size <= UNROLLED ? all : l_int(e, e->i1, 0), whole, part);
        l_enter(e, whole);
        if (size <= UNROLLED) {
            chain(g, r, from, NULL, r->first);
            chain(g, r, second, NULL, r->second);
        }
        l_jump(e, done);
        l_enter(e, part);
        chain(g, r, from, stop, r->first);
        chain(g, r, second, stop, r->second);
        l_jump(e, done);
        l_enter(e, done);
    }
    g->in_lanes = false;
}

/* ---- inside a point ---- */

/* The lanes' first failing terms are kept aside; the lowest of them is what the point fails with. All lanes leave together. */
static void fail_together(qn__gpu *g) {
    qn__emitter *e = g->e;
    LLVMValueRef mine = l_load(e, e->i64, g->kept.term), lowest = mine;
    LLVMBasicBlockRef failed = l_block(e, "failed"), fine = l_block(e, "fine"), first = l_block(e, "first");
    LLVMValueRef any = qn__ballot(g, LLVMBuildICmp(e->builder, LLVMIntNE, mine, l_i64(e, INT64_MAX), ""));
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntEQ, any, l_i32(e, 0), ""), fine, failed);
    l_enter(e, failed);
    for (uint32_t distance = QN__WARP / 2; distance; distance /= 2) lowest = l_call2(e, "llvm.smin", lowest, qn__shuffle_down(g, lowest, l_i32(e, distance)));
    lowest = qn__shuffle_from(g, lowest, l_i32(e, 0));
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, lowest, mine, ""), first, g->leave);
    l_enter(e, first);
    qn__raise_kept(g);
    l_enter(e, fine);
}

bool qn__gpu_block(qn__emitter *e, const qn__instr *instr, LLVMValueRef start, LLVMValueRef stop, LLVMValueRef *values) {
    qn__gpu *g = qn__gpu_of(e);
    lanes r;
    if (g->mode != QN__MODE_WARP || g->in_lanes) return false;
    if (!prepare(g, instr, &r)) return true;
    bool checks = qn__has_checks(e->ir, instr->regions[0]);
    if (checks) qn__keep_faults(g);
    terms(g, &r, start, stop);
    g->keeping = false;
    if (checks) fail_together(g);
    halve(g, &r);
    for (uint32_t i = 0; i < r.count; i++) l_store(e, qn__shuffle_from(g, get(g, &r, i, r.first[i]), l_i32(e, 0)), values[i]);
    return true;
}

/* ---- at kernel level ---- */

void qn__gpu_in_order(qn__gpu *g, const qn__instr *instr) {
    qn__unit unit;
    qn__unit_begin(g, &unit, instr->op == QN__OP_REDUCE ? "reduce_in_order" : "scan_in_order", instr->location, 1, 1, 1);
    unit.fixed_grid = 1;
    qn__unit_instr(g, &unit, instr);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_UNIFORM);
    if (!symbol) return;
    qn__emit_instr(g->e, instr);
    for (uint32_t i = 0; i < instr->result_count; i++) {
        qn__value v = instr->first_result + i;
        qn__write_slot(g, v, l_scalar(g->e, v), qn__level_device(g, v));
    }
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    qn__plan_launch(g, &unit, symbol, one, one, one);
}

/* Scratch buffers of a reduction: for each accumulator the blocks' results, and half as many for the tree. */
typedef struct partials { uint32_t blocks /* slot */, results[QN__MAX_SCAN], half[QN__MAX_SCAN]; } partials;

static void size_partials(qn__gpu *g, const qn__instr *instr, partials *p) {
    uint32_t shift = qn__plan_constant(g, LOG_BLOCK), one = qn__plan_constant(g, 1);
    uint32_t count = qn__level_count(g, instr->args[0], instr->args[1]);
    p->blocks = qn__plan_binary(g, QN__OP_SHR, qn__plan_binary(g, QN__OP_ADD, count, qn__plan_constant(g, QN__BLOCK - 1)), shift);
    uint32_t half = qn__plan_binary(g, QN__OP_SHR, qn__plan_binary(g, QN__OP_ADD, p->blocks, one), one);
    for (uint32_t i = 0; i < instr->result_count; i++) {
        uint32_t bytes = qn__plan_constant(g, qn__type_bytes(qn__type_of(g->ir, instr->first_result + i)));
        p->results[i] = qn__plan_scratch(g);
        p->half[i] = qn__plan_scratch(g);
        qn__plan_size_scratch(g, p->results[i], qn__plan_binary(g, QN__OP_MUL, p->blocks, bytes));
        qn__plan_size_scratch(g, p->half[i], qn__plan_binary(g, QN__OP_MUL, half, bytes));
    }
}

static LLVMValueRef element(qn__gpu *g, const lanes *r, uint32_t i, LLVMValueRef buffer, LLVMValueRef index) {
    return l_gep(g->e, l_memory_type(g->e, r->types[i]), buffer, index);
}

static LLVMValueRef read_element(qn__gpu *g, const lanes *r, uint32_t i, LLVMValueRef buffer, LLVMValueRef index) {
    LLVMValueRef bits = l_load(g->e, l_memory_type(g->e, r->types[i]), element(g, r, i, buffer, index));
    return l_from_memory(g->e, r->types[i], bits);
}

static void write_element(qn__gpu *g, const lanes *r, uint32_t i, LLVMValueRef buffer, LLVMValueRef index, LLVMValueRef value) {
    l_store(g->e, l_to_memory(g->e, r->types[i], value), element(g, r, i, buffer, index));
}

/* A warp per block. With `only` the first warp runs the block of that term; the check looks for the term itself. */
static void emit_blocks(qn__gpu *g, const qn__instr *instr, const uint32_t *results) {
    qn__emitter *e = g->e;
    lanes r;
    if (!prepare(g, instr, &r)) return;
    r.is_stage = true;
    LLVMValueRef lo = l_scalar(e, instr->args[0]), hi = l_scalar(e, instr->args[1]);
    e->point = (qn__point){.rank = 1, .lo = {lo}, .hi = {hi}, .iv = {lo}};
    LLVMValueRef length = LLVMBuildSub(e->builder, hi, lo, "");
    LLVMValueRef blocks = LLVMBuildLShr(e->builder, LLVMBuildAdd(e->builder, length, l_i64(e, QN__BLOCK - 1), ""), l_i64(e, LOG_BLOCK), "");
    LLVMValueRef warp = LLVMBuildLShr(e->builder, qn__thread(g), l_i64(e, 5), ""), warps = LLVMBuildLShr(e->builder, qn__threads(g), l_i64(e, 5), "");
    LLVMValueRef failing = LLVMBuildLShr(e->builder, g->only, l_i64(e, LOG_BLOCK), "");
    failing = l_select(e, LLVMBuildICmp(e->builder, LLVMIntEQ, warp, l_i64(e, 0), ""), failing, blocks);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_select(e, g->reporting, failing, warp), blocks);
    LLVMValueRef start = LLVMBuildAdd(e->builder, lo, LLVMBuildShl(e->builder, loop.iv, l_i64(e, LOG_BLOCK), ""), "");
    LLVMValueRef left = l_call2(e, "llvm.smin", LLVMBuildSub(e->builder, hi, start, ""), l_i64(e, QN__BLOCK));
    terms(g, &r, start, LLVMBuildAdd(e->builder, start, left, ""));
    halve(g, &r);
    LLVMBasicBlockRef write = l_block(e, "write"), next = l_block(e, "next");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, g->lane, l_i32(e, 0), ""), write, next);
    l_enter(e, write);
    for (uint32_t i = 0; i < r.count; i++) write_element(g, &r, i, qn__entry_argument(g, results[i]), loop.iv, get(g, &r, i, r.first[i]));
    l_jump(e, next);
    l_enter(e, next);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_select(e, g->reporting, blocks, warps), ""));
}

static void launch_blocks(qn__gpu *g, const qn__instr *instr, const partials *p) {
    qn__unit unit;
    uint32_t results[QN__MAX_SCAN];
    qn__unit_begin(g, &unit, "reduce", instr->location, BLOCK_WARPS * QN__WARP, 1, 1);
    qn__unit_instr(g, &unit, instr);
    for (uint32_t i = 0; i < instr->result_count; i++) results[i] = qn__unit_scratch(g, &unit, p->results[i]);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_WARP);
    if (!symbol) return;
    g->e->constant = g->constant;
    emit_blocks(g, instr, results);
    g->e->constant = NULL;
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    qn__plan_launch(g, &unit, symbol, qn__level_product(g, p->blocks, qn__plan_constant(g, QN__WARP)), one, one);
}

/* One level: pairs of `from` to `to`. */
static void tree_level(qn__gpu *g, const lanes *r, LLVMValueRef *from, LLVMValueRef *to, LLVMValueRef count) {
    qn__emitter *e = g->e;
    LLVMValueRef pairs = LLVMBuildLShr(e->builder, count, l_i64(e, 1), ""), all = LLVMBuildSub(e->builder, count, pairs, "");
    LLVMBasicBlockRef pair = l_block(e, "pair"), odd = l_block(e, "odd"), next = l_block(e, "next");
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, qn__register(g, "tid.x"), all);
    LLVMValueRef left = LLVMBuildShl(e->builder, loop.iv, l_i64(e, 1), ""), a[QN__MAX_SCAN], b[QN__MAX_SCAN];
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, loop.iv, pairs, ""), pair, odd);
    l_enter(e, pair);
    for (uint32_t i = 0; i < r->count; i++) {
        a[i] = read_element(g, r, i, from[i], left);
        b[i] = read_element(g, r, i, from[i], LLVMBuildAdd(e->builder, left, l_i64(e, 1), ""));
    }
    combine(g, r, a, b, a);
    for (uint32_t i = 0; i < r->count; i++) write_element(g, r, i, to[i], loop.iv, a[i]);
    l_jump(e, next);
    l_enter(e, odd);
    for (uint32_t i = 0; i < r->count; i++) write_element(g, r, i, to[i], loop.iv, read_element(g, r, i, from[i], left));
    l_jump(e, next);
    l_enter(e, next);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, TREE_THREADS), ""));
}

static void emit_result(qn__gpu *g, const lanes *r, LLVMValueRef *from, LLVMValueRef blocks) {
    qn__emitter *e = g->e;
    LLVMBasicBlockRef first = l_block(e, "first"), empty = l_block(e, "empty"), some = l_block(e, "some");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, qn__register(g, "tid.x"), l_i64(e, 0), ""), first, g->leave);
    l_enter(e, first);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, blocks, l_i64(e, 0), ""), empty, some);
    l_enter(e, empty);
    for (uint32_t i = 0; i < r->count; i++) qn__write_slot(g, r->instr->first_result + i, r->init[i], qn__level_device(g, r->instr->first_result + i));
    l_jump(e, g->leave);
    l_enter(e, some);
    for (uint32_t i = 0; i < r->count; i++) {
        LLVMValueRef buffer = l_load(e, LLVMTypeOf(qn__entry_argument(g, 0)), from[i]);
        qn__write_slot(g, r->instr->first_result + i, read_element(g, r, i, buffer, l_i64(e, 0)), qn__level_device(g, r->instr->first_result + i));
    }
}

/* Arguments: for each accumulator its two buffers (first of all, so that argument 0 is a pointer), then the number of blocks. */
static void emit_tree(qn__gpu *g, const qn__instr *instr, uint32_t blocks_argument) {
    qn__emitter *e = g->e;
    lanes r;
    if (!prepare(g, instr, &r)) return;
    LLVMTypeRef pointer = LLVMTypeOf(qn__entry_argument(g, 0));
    LLVMValueRef from[QN__MAX_SCAN], to[QN__MAX_SCAN], a[QN__MAX_SCAN], b[QN__MAX_SCAN], count = l_alloca(e, e->i64);
    LLVMValueRef blocks = qn__entry_argument(g, blocks_argument);
    for (uint32_t i = 0; i < r.count; i++) {
        from[i] = l_alloca(e, pointer);
        to[i] = l_alloca(e, pointer);
        l_store(e, qn__entry_argument(g, 2 * i), from[i]);
        l_store(e, qn__entry_argument(g, 2 * i + 1), to[i]);
    }
    l_store(e, blocks, count);
    LLVMBasicBlockRef head = l_block(e, "level"), inside = l_block(e, "pairs"), done = l_block(e, "root");
    l_jump(e, head);
    l_enter(e, head);
    LLVMValueRef now = l_load(e, e->i64, count);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSGT, now, l_i64(e, 1), ""), inside, done);
    l_enter(e, inside);
    for (uint32_t i = 0; i < r.count; i++) a[i] = l_load(e, pointer, from[i]), b[i] = l_load(e, pointer, to[i]);
    tree_level(g, &r, a, b, now);
    qn__barrier(g);
    for (uint32_t i = 0; i < r.count; i++) l_store(e, b[i], from[i]), l_store(e, a[i], to[i]);
    l_store(e, LLVMBuildSub(e->builder, now, LLVMBuildLShr(e->builder, now, l_i64(e, 1), ""), ""), count);
    l_jump(e, head);
    l_enter(e, done);
    emit_result(g, &r, from, blocks);
}

static void launch_tree(qn__gpu *g, const qn__instr *instr, const partials *p) {
    qn__unit unit;
    qn__unit_begin(g, &unit, "tree", instr->location, TREE_THREADS, 1, 1);
    unit.fixed_grid = 1;
    unit.barriers = true;
    for (uint32_t i = 0; i < instr->result_count; i++) {
        qn__unit_scratch(g, &unit, p->results[i]);
        qn__unit_scratch(g, &unit, p->half[i]);
    }
    uint32_t blocks = qn__unit_slot(g, &unit, p->blocks);
    qn__unit_region(g, &unit, instr->regions[1]);
    for (uint32_t i = 2; i < instr->arg_count; i++) qn__unit_value(g, &unit, instr->args[i]);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    emit_tree(g, instr, blocks);
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    qn__plan_launch(g, &unit, symbol, one, one, one);
}

void qn__gpu_reduce(qn__gpu *g, const qn__instr *instr) {
    if (!instr->result_count || qn__has_checks(g->ir, instr->regions[1])) { /* whose fault is first is told by running in order */
        qn__gpu_in_order(g, instr);
        return;
    }
    partials p;
    if (instr->result_count > QN__MAX_SCAN) {
        qn__fail(g->e, "a reduction carries too many values");
        return;
    }
    size_partials(g, instr, &p);
    launch_blocks(g, instr, &p);
    launch_tree(g, instr, &p);
}
