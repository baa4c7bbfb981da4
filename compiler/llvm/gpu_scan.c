/* scan at kernel level, in the contract's runs of 64 terms: totals of the runs, carries, elements.
 *
 * A warp takes 32 runs at a time. Its lanes evaluate terms side by side, so that neighbours read neighbouring elements, and leave them in shared memory; then
 * each lane chains one run there. In the first pass that gives the runs' totals. One warp chains the carries over all totals in order, which is the one sequential
 * part, a combination for each 64 terms. In the last pass a lane turns its run's terms into elements, and the lanes emit them side by side again. */
#include "compiler/llvm/gpu_internal.h"

enum { TILE = QN__WARP * QN__RUN, LOG_TILE = 11, LINE = QN__RUN + 1 /* a run in shared memory: one more, so that lanes touch different banks */,
       SHARED = 48 << 10, MOST_WARPS = 4 };

/* Numbers of arguments: a run's total, then its carry, lie in one buffer for each value. */
typedef struct scan {
    qn__gpu *g;
    const qn__instr *instr;
    uint32_t count, argument[QN__MAX_SCAN], warps;
    qn__type types[QN__MAX_SCAN];
    LLVMValueRef init[QN__MAX_SCAN], shared[QN__MAX_SCAN]; /* this warp's part */
    LLVMValueRef value[QN__MAX_SCAN], carry[QN__MAX_SCAN], local[QN__MAX_SCAN]; /* in memory */
    LLVMValueRef lo, hi;
} scan;

static LLVMTypeRef type_of(const scan *s, uint32_t i) { return l_type(s->g->e, s->types[i]); }
static LLVMValueRef slot(const scan *s, uint32_t i, LLVMValueRef memory) { return l_load(s->g->e, type_of(s, i), memory); }

static LLVMValueRef read_from(const scan *s, uint32_t i, LLVMValueRef buffer, LLVMValueRef index) {
    qn__emitter *e = s->g->e;
    LLVMTypeRef memory = l_memory_type(e, s->types[i]);
    return l_from_memory(e, s->types[i], l_load(e, memory, l_gep(e, memory, buffer, index)));
}

static void write_to(const scan *s, uint32_t i, LLVMValueRef buffer, LLVMValueRef index, LLVMValueRef value) {
    qn__emitter *e = s->g->e;
    l_store(e, l_to_memory(e, s->types[i], value), l_gep(e, l_memory_type(e, s->types[i]), buffer, index));
}

/* In shared memory every value has a word at least: lanes that share one would wait for each other. */
static LLVMTypeRef word(const scan *s, uint32_t i) {
    return qn__type_bits(s->types[i]) < 32 ? s->g->e->i32 : l_memory_type(s->g->e, s->types[i]);
}

static LLVMValueRef read_shared(const scan *s, uint32_t i, LLVMValueRef index) {
    qn__emitter *e = s->g->e;
    LLVMValueRef bits = l_load(e, word(s, i), l_gep(e, word(s, i), s->shared[i], index));
    if (qn__type_bits(s->types[i]) < 32) bits = LLVMBuildTrunc(e->builder, bits, l_memory_type(e, s->types[i]), "");
    return l_from_memory(e, s->types[i], bits);
}

static void write_shared(const scan *s, uint32_t i, LLVMValueRef index, LLVMValueRef value) {
    qn__emitter *e = s->g->e;
    value = l_to_memory(e, s->types[i], value);
    if (qn__type_bits(s->types[i]) < 32) value = LLVMBuildZExt(e->builder, value, e->i32, "");
    l_store(e, value, l_gep(e, word(s, i), s->shared[i], index));
}

static LLVMValueRef buffer_of(const scan *s, uint32_t i) { return qn__entry_argument(s->g, s->argument[i]); }

static void combine(const scan *s, LLVMValueRef *a, LLVMValueRef *b, LLVMValueRef *out) {
    qn__emitter *e = s->g->e;
    qn__region_ref region = s->instr->regions[1];
    for (uint32_t i = 0; i < s->count; i++) {
        l_set(e, qn__region_param(e->ir, region, i), a[i]);
        l_set(e, qn__region_param(e->ir, region, s->count + i), b[i]);
    }
    qn__emit_region(e, region);
    for (uint32_t i = 0; i < s->count; i++) out[i] = l_scalar(e, qn__yield_of(e->ir, region)->args[i]);
}

static LLVMValueRef lane64(const scan *s) { return LLVMBuildZExt(s->g->e->builder, s->g->lane, s->g->e->i64, ""); }
static LLVMValueRef plus(const scan *s, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildAdd(s->g->e->builder, a, b, ""); }

/* Where term number `at` of a tile lies in shared memory. */
static LLVMValueRef place(const scan *s, LLVMValueRef at) {
    return plus(s, at, LLVMBuildLShr(s->g->e->builder, at, l_i64(s->g->e, 6), "")); /* LINE is one more than QN__RUN */
}

/* ---- the lanes side by side: terms to shared memory, elements out of it ---- */

static void term(const scan *s, LLVMValueRef at, LLVMValueRef iv) {
    qn__gpu *g = s->g;
    qn__emitter *e = g->e;
    LLVMBasicBlockRef outer = g->leave;
    for (uint32_t i = 0; i < s->count; i++) l_store(e, s->init[i], s->value[i]); /* what a failing term leaves */
    g->leave = l_block(e, "term");
    e->point.iv[0] = iv;
    l_set(e, qn__region_param(e->ir, s->instr->regions[0], 0), iv);
    qn__emit_region(e, s->instr->regions[0]);
    for (uint32_t i = 0; i < s->count; i++) l_store(e, l_scalar(e, qn__yield_of(e->ir, s->instr->regions[0])->args[i]), s->value[i]);
    l_jump(e, g->leave);
    l_enter(e, g->leave);
    for (uint32_t i = 0; i < s->count; i++) write_shared(s, i, place(s, at), slot(s, i, s->value[i]));
    g->leave = outer;
}

static void emit_element(const scan *s, LLVMValueRef at, LLVMValueRef iv) {
    qn__emitter *e = s->g->e;
    e->point.iv[0] = iv;
    l_set(e, qn__region_param(e->ir, s->instr->regions[2], 0), iv);
    for (uint32_t i = 0; i < s->count; i++) l_set(e, qn__region_param(e->ir, s->instr->regions[2], 1 + i), read_shared(s, i, place(s, at)));
    qn__emit_region(e, s->instr->regions[2]);
}

/* Terms first .. first + count of the tile that starts at `first`. */
static void side_by_side(const scan *s, LLVMValueRef first, LLVMValueRef count, void (*one)(const scan *s, LLVMValueRef at, LLVMValueRef iv)) {
    qn__emitter *e = s->g->e;
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, lane64(s), count);
    one(s, loop.iv, plus(s, first, loop.iv));
    l_loop_end(e, &loop, plus(s, loop.iv, l_i64(e, QN__WARP)));
    qn__warp_barrier(s->g);
}

/* ---- a lane per run ---- */

/* Chains the lane's run of `length` terms (at least 1). elements: each term is replaced by its element, from the run's carry. Ends with the run's total in local. */
static void chain(const scan *s, LLVMValueRef length, bool elements) {
    qn__emitter *e = s->g->e;
    bool exclusive = (s->instr->flags & QN__EXCLUSIVE) != 0;
    LLVMValueRef base = LLVMBuildMul(e->builder, lane64(s), l_i64(e, LINE), ""), now[QN__MAX_SCAN], carry[QN__MAX_SCAN], local[QN__MAX_SCAN], out[QN__MAX_SCAN];
    for (uint32_t i = 0; i < s->count; i++) {
        now[i] = read_shared(s, i, base);
        l_store(e, now[i], s->local[i]);
        carry[i] = slot(s, i, s->carry[i]);
        out[i] = carry[i];
    }
    if (elements && !exclusive) combine(s, carry, now, out);
    for (uint32_t i = 0; i < s->count && elements; i++) write_shared(s, i, base, out[i]);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_i64(e, 1), length);
    LLVMValueRef at = plus(s, base, loop.iv);
    for (uint32_t i = 0; i < s->count; i++) {
        now[i] = read_shared(s, i, at);
        local[i] = slot(s, i, s->local[i]);
        carry[i] = slot(s, i, s->carry[i]);
    }
    if (elements && exclusive) combine(s, carry, local, out);
    combine(s, local, now, local);
    if (elements && !exclusive) combine(s, carry, local, out);
    for (uint32_t i = 0; i < s->count; i++) {
        l_store(e, local[i], s->local[i]);
        if (elements) write_shared(s, i, at, out[i]);
    }
    l_loop_end(e, &loop, plus(s, loop.iv, l_i64(e, 1)));
}

static void chain_own_run(const scan *s, LLVMValueRef tile, LLVMValueRef count, bool elements) {
    qn__emitter *e = s->g->e;
    LLVMBasicBlockRef some = l_block(e, "run"), done = l_block(e, "chained");
    LLVMValueRef run = plus(s, LLVMBuildShl(e->builder, tile, l_i64(e, 5), ""), lane64(s));
    LLVMValueRef before = LLVMBuildShl(e->builder, lane64(s), l_i64(e, 6), ""), left = LLVMBuildSub(e->builder, count, before, "");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSGT, left, l_i64(e, 0), ""), some, done);
    l_enter(e, some);
    for (uint32_t i = 0; i < s->count && elements; i++) l_store(e, read_from(s, i, buffer_of(s, i), run), s->carry[i]);
    chain(s, l_call2(e, "llvm.smin", left, l_i64(e, QN__RUN)), elements);
    for (uint32_t i = 0; i < s->count && !elements; i++) write_to(s, i, buffer_of(s, i), run, slot(s, i, s->local[i]));
    l_jump(e, done);
    l_enter(e, done);
    qn__warp_barrier(s->g);
}

static void prepare(scan *s) {
    qn__emitter *e = s->g->e;
    s->lo = l_scalar(e, s->instr->args[0]);
    s->hi = l_scalar(e, s->instr->args[1]);
    LLVMValueRef warp = LLVMBuildLShr(e->builder, qn__register(s->g, "tid.x"), l_i64(e, 5), "");
    for (uint32_t i = 0; i < s->count; i++) {
        LLVMTypeRef memory = word(s, i);
        s->init[i] = l_scalar(e, s->instr->args[2 + i]);
        s->shared[i] = l_gep(e, memory, qn__shared(s->g, memory, s->warps * QN__WARP * LINE, "terms"), LLVMBuildMul(e->builder, warp, l_i64(e, QN__WARP * LINE), ""));
        s->value[i] = l_alloca(e, type_of(s, i));
        s->carry[i] = l_alloca(e, type_of(s, i));
        s->local[i] = l_alloca(e, type_of(s, i));
        l_store(e, s->init[i], s->carry[i]);
    }
}

/* A warp per tile of 2048 terms. */
static void emit_tiles(scan *s, bool elements) {
    qn__gpu *g = s->g;
    qn__emitter *e = g->e;
    prepare(s);
    e->point = (qn__point){.rank = 1, .lo = {s->lo}, .hi = {s->hi}, .iv = {s->lo}};
    LLVMValueRef length = LLVMBuildSub(e->builder, s->hi, s->lo, "");
    LLVMValueRef tiles = LLVMBuildLShr(e->builder, plus(s, length, l_i64(e, TILE - 1)), l_i64(e, LOG_TILE), "");
    LLVMValueRef warp = LLVMBuildLShr(e->builder, qn__thread(g), l_i64(e, 5), ""), warps = LLVMBuildLShr(e->builder, qn__threads(g), l_i64(e, 5), "");
    LLVMValueRef failing = LLVMBuildLShr(e->builder, g->only, l_i64(e, LOG_TILE), "");
    failing = l_select(e, LLVMBuildICmp(e->builder, LLVMIntEQ, warp, l_i64(e, 0), ""), failing, tiles);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_select(e, g->reporting, failing, warp), tiles);
    LLVMValueRef before = LLVMBuildShl(e->builder, loop.iv, l_i64(e, LOG_TILE), ""), first = plus(s, s->lo, before);
    LLVMValueRef count = l_call2(e, "llvm.smin", LLVMBuildSub(e->builder, length, before, ""), l_i64(e, TILE));
    side_by_side(s, first, count, term);
    chain_own_run(s, loop.iv, count, elements);
    if (elements) side_by_side(s, first, count, emit_element);
    l_loop_end(e, &loop, plus(s, loop.iv, l_select(e, g->reporting, tiles, warps)));
}

/* ---- carries ---- */

/* One warp: 32 totals at a time, chained in order; lane k keeps the carry that run k starts with. The next 32 are fetched meanwhile. */
static void emit_carries(scan *s, uint32_t runs_argument) {
    qn__gpu *g = s->g;
    qn__emitter *e = g->e;
    LLVMValueRef runs = qn__entry_argument(g, runs_argument), last = LLVMBuildSub(e->builder, runs, l_i64(e, 1), ""), carry[QN__MAX_SCAN], other[QN__MAX_SCAN], total[QN__MAX_SCAN];
    for (uint32_t i = 0; i < s->count; i++) {
        s->carry[i] = l_alloca(e, type_of(s, i));
        s->local[i] = l_alloca(e, type_of(s, i));
        s->value[i] = l_alloca(e, type_of(s, i));
        s->init[i] = l_scalar(e, s->instr->args[2 + i]);
        l_store(e, s->init[i], s->carry[i]);
        l_store(e, s->init[i], s->local[i]);
        l_store(e, read_from(s, i, buffer_of(s, i), l_call2(e, "llvm.smin", lane64(s), last)), s->value[i]);
    }
    qn__loop tile, step;
    l_loop_begin(e, &tile, NULL, l_i64(e, 0), runs);
    LLVMValueRef index = plus(s, tile.iv, lane64(s)), ahead = l_call2(e, "llvm.smin", plus(s, index, l_i64(e, QN__WARP)), last);
    for (uint32_t i = 0; i < s->count; i++) {
        total[i] = slot(s, i, s->value[i]);
        l_store(e, read_from(s, i, buffer_of(s, i), ahead), s->value[i]);
    }
    LLVMValueRef count = l_call2(e, "llvm.smin", LLVMBuildSub(e->builder, runs, tile.iv, ""), l_i64(e, QN__WARP));
    l_loop_begin(e, &step, NULL, l_i64(e, 0), count);
    LLVMValueRef from = LLVMBuildTrunc(e->builder, step.iv, e->i32, ""), mine = LLVMBuildICmp(e->builder, LLVMIntEQ, from, g->lane, "");
    for (uint32_t i = 0; i < s->count; i++) {
        carry[i] = slot(s, i, s->carry[i]);
        other[i] = qn__shuffle_from(g, total[i], from);
        l_store(e, l_select(e, mine, carry[i], slot(s, i, s->local[i])), s->local[i]);
    }
    combine(s, carry, other, carry);
    for (uint32_t i = 0; i < s->count; i++) l_store(e, carry[i], s->carry[i]);
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(e->builder);
    l_loop_end(e, &step, plus(s, step.iv, l_i64(e, 1)));
    qn__unroll(g, latch, 8);
    LLVMBasicBlockRef write = l_block(e, "write"), next = l_block(e, "next");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, index, runs, ""), write, next);
    l_enter(e, write);
    for (uint32_t i = 0; i < s->count; i++) write_to(s, i, buffer_of(s, i), index, slot(s, i, s->local[i]));
    l_jump(e, next);
    l_enter(e, next);
    l_loop_end(e, &tile, plus(s, tile.iv, l_i64(e, QN__WARP)));
}

/* ---- the plan ---- */

static void take_buffers(scan *s, qn__unit *unit, const uint32_t *scratch) {
    for (uint32_t i = 0; i < s->count; i++) s->argument[i] = qn__unit_scratch(s->g, unit, scratch[i]);
}

static void launch_tiles(scan *s, const uint32_t *scratch, uint32_t terms, bool elements) {
    qn__gpu *g = s->g;
    qn__unit unit;
    qn__unit_begin(g, &unit, elements ? "scan" : "totals", s->instr->location, s->warps * QN__WARP, 1, 1);
    unit.warps = true;
    qn__unit_instr(g, &unit, s->instr);
    take_buffers(s, &unit, scratch);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    g->e->constant = g->constant;
    emit_tiles(s, elements);
    g->e->constant = NULL;
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1), log = qn__plan_constant(g, LOG_TILE);
    uint32_t tiles = qn__plan_binary(g, QN__OP_SHR, qn__plan_binary(g, QN__OP_ADD, terms, qn__plan_constant(g, TILE - 1)), log);
    qn__plan_launch(g, &unit, symbol, qn__level_product(g, tiles, qn__plan_constant(g, QN__WARP)), one, one);
}

static void launch_carries(scan *s, const uint32_t *scratch, uint32_t runs) {
    qn__gpu *g = s->g;
    qn__unit unit;
    qn__unit_begin(g, &unit, "carries", s->instr->location, QN__WARP, 1, 1);
    unit.fixed_grid = 1;
    unit.warps = true;
    qn__unit_region(g, &unit, s->instr->regions[1]);
    for (uint32_t i = 2; i < s->instr->arg_count; i++) qn__unit_value(g, &unit, s->instr->args[i]);
    take_buffers(s, &unit, scratch);
    uint32_t count = qn__unit_slot(g, &unit, runs);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    emit_carries(s, count);
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1), some = qn__plan_binary(g, QN__OP_MIN, runs, one); /* none: not launched */
    qn__plan_launch(g, &unit, symbol, some, one, one);
}

void qn__gpu_scan(qn__gpu *g, const qn__instr *instr) {
    scan s = {.g = g, .instr = instr, .count = instr->arg_count - 2};
    uint32_t scratch[QN__MAX_SCAN], bytes = 0;
    for (uint32_t i = 0; i < s.count && i < QN__MAX_SCAN; i++) {
        s.types[i] = qn__type_of(g->ir, instr->args[2 + i]);
        bytes += qn__type_bytes(s.types[i]) < 4 ? 4 : qn__type_bytes(s.types[i]);
    }
    s.warps = bytes ? SHARED / (bytes * QN__WARP * LINE) : 0;
    if (s.warps > MOST_WARPS) s.warps = MOST_WARPS;
    /* a fault of the last pass could be that of an earlier point than one of the first: running in order tells */
    if (!s.warps || s.count > QN__MAX_SCAN || qn__has_checks(g->ir, instr->regions[1]) || qn__has_checks(g->ir, instr->regions[2])) {
        qn__gpu_in_order(g, instr);
        return;
    }
    uint32_t terms = qn__level_count(g, instr->args[0], instr->args[1]);
    uint32_t runs = qn__plan_binary(g, QN__OP_SHR, qn__plan_binary(g, QN__OP_ADD, terms, qn__plan_constant(g, QN__RUN - 1)), qn__plan_constant(g, 6));
    for (uint32_t i = 0; i < s.count; i++) {
        scratch[i] = qn__plan_scratch(g);
        qn__plan_size_scratch(g, scratch[i], qn__plan_binary(g, QN__OP_MUL, runs, qn__plan_constant(g, qn__type_bytes(s.types[i]))));
    }
    launch_tiles(&s, scratch, terms, false);
    launch_carries(&s, scratch, runs);
    launch_tiles(&s, scratch, terms, true);
}
