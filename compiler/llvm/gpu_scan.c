/* scan at kernel level, in the contract's runs of 64 terms. First a thread per run chains the run's terms to a total; then one warp chains the carries over
 * all totals in order (the one sequential part: a combination per 64 terms); then a thread per run goes over its terms again, from its carry, and emits the elements. */
#include "compiler/llvm/gpu_internal.h"

enum { THREADS = 128, LOG_RUN = 6 };

/* Numbers of arguments: a run's total, then its carry, lie in one buffer for each value. */
typedef struct buffers { const qn__instr *instr; uint32_t count, argument[QN__MAX_SCAN]; qn__type types[QN__MAX_SCAN]; } buffers;

static LLVMValueRef element(qn__gpu *g, const buffers *b, uint32_t i, LLVMValueRef run) {
    return l_gep(g->e, l_memory_type(g->e, b->types[i]), qn__entry_argument(g, b->argument[i]), run);
}

static LLVMValueRef get(qn__gpu *g, const buffers *b, uint32_t i, LLVMValueRef run) {
    return l_from_memory(g->e, b->types[i], l_load(g->e, l_memory_type(g->e, b->types[i]), element(g, b, i, run)));
}

static void put(qn__gpu *g, const buffers *b, uint32_t i, LLVMValueRef run, LLVMValueRef value) {
    l_store(g->e, l_to_memory(g->e, b->types[i], value), element(g, b, i, run));
}

static void combine(qn__gpu *g, const qn__instr *instr, uint32_t count, LLVMValueRef *a, LLVMValueRef *b, LLVMValueRef *out) {
    qn__emitter *e = g->e;
    for (uint32_t i = 0; i < count; i++) {
        l_set(e, qn__region_param(e->ir, instr->regions[1], i), a[i]);
        l_set(e, qn__region_param(e->ir, instr->regions[1], count + i), b[i]);
    }
    qn__emit_region(e, instr->regions[1]);
    for (uint32_t i = 0; i < count; i++) out[i] = l_scalar(e, qn__yield_of(e->ir, instr->regions[1])->args[i]);
}

/* The run's chain of terms, without carry; what it ends with is in local. A failing term ends the run. */
static void total_of(qn__gpu *g, const qn__instr *instr, qn__scan *s, LLVMValueRef start, LLVMValueRef stop) {
    qn__emitter *e = g->e;
    LLVMBasicBlockRef outer = g->leave, first = l_block(e, "first"), chain = l_block(e, "chain"), next = l_block(e, "next");
    LLVMValueRef term[QN__MAX_SCAN], local[QN__MAX_SCAN];
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, start, stop);
    g->leave = loop.exit;
    e->point.iv[0] = loop.iv;
    l_set(e, qn__region_param(e->ir, instr->regions[0], 0), loop.iv);
    qn__emit_region(e, instr->regions[0]);
    for (uint32_t i = 0; i < s->count; i++) term[i] = l_scalar(e, qn__yield_of(e->ir, instr->regions[0])->args[i]);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, loop.iv, start, ""), first, chain);
    l_enter(e, first);
    for (uint32_t i = 0; i < s->count; i++) l_store(e, term[i], s->local[i]);
    l_jump(e, next);
    l_enter(e, chain);
    for (uint32_t i = 0; i < s->count; i++) local[i] = l_load(e, s->type[i], s->local[i]);
    combine(g, instr, s->count, local, term, local);
    for (uint32_t i = 0; i < s->count; i++) l_store(e, local[i], s->local[i]);
    l_jump(e, next);
    l_enter(e, next);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, 1), ""));
    g->leave = outer;
}

/* A thread per run: totals, or elements. */
static void emit_runs(qn__gpu *g, const buffers *b, bool totals) {
    qn__emitter *e = g->e;
    const qn__instr *instr = b->instr;
    qn__scan s;
    if (!qn__emit_scan_begin(e, instr, &s)) return;
    LLVMValueRef lo = l_scalar(e, instr->args[0]), hi = l_scalar(e, instr->args[1]), thread = qn__thread(g), value[QN__MAX_SCAN];
    e->point = (qn__point){.rank = 1, .lo = {lo}, .hi = {hi}, .iv = {lo}};
    LLVMValueRef length = LLVMBuildSub(e->builder, hi, lo, "");
    LLVMValueRef runs = LLVMBuildLShr(e->builder, LLVMBuildAdd(e->builder, length, l_i64(e, QN__RUN - 1), ""), l_i64(e, LOG_RUN), "");
    LLVMValueRef failing = LLVMBuildLShr(e->builder, g->only, l_i64(e, LOG_RUN), "");
    failing = l_select(e, LLVMBuildICmp(e->builder, LLVMIntEQ, thread, l_i64(e, 0), ""), failing, runs);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_select(e, g->reporting, failing, thread), runs);
    LLVMValueRef start = LLVMBuildAdd(e->builder, lo, LLVMBuildShl(e->builder, loop.iv, l_i64(e, LOG_RUN), ""), "");
    LLVMValueRef left = l_call2(e, "llvm.smin", LLVMBuildSub(e->builder, hi, start, ""), l_i64(e, QN__RUN)), stop = LLVMBuildAdd(e->builder, start, left, "");
    if (totals) {
        for (uint32_t i = 0; i < s.count; i++) l_store(e, l_scalar(e, instr->args[2 + i]), s.local[i]);
        total_of(g, instr, &s, start, stop);
        for (uint32_t i = 0; i < s.count; i++) put(g, b, i, loop.iv, l_load(e, s.type[i], s.local[i]));
    } else {
        for (uint32_t i = 0; i < s.count; i++) value[i] = get(g, b, i, loop.iv);
        for (uint32_t i = 0; i < s.count; i++) l_store(e, value[i], s.carry[i]);
        qn__emit_scan_run(e, instr, &s, start, stop, false);
    }
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_select(e, g->reporting, runs, qn__threads(g)), ""));
}

/* One warp: 32 totals at a time, chained in order; lane k keeps the carry that run k starts with. */
static void emit_carries(qn__gpu *g, const buffers *b, uint32_t runs_argument) {
    qn__emitter *e = g->e;
    const qn__instr *instr = b->instr;
    qn__scan s; /* carry: the chain; local: this lane's */
    if (!qn__emit_scan_begin(e, instr, &s)) return;
    LLVMValueRef runs = qn__entry_argument(g, runs_argument), lane = LLVMBuildZExt(e->builder, g->lane, e->i64, ""), total[QN__MAX_SCAN], carry[QN__MAX_SCAN], other[QN__MAX_SCAN];
    qn__loop tile, step;
    l_loop_begin(e, &tile, NULL, l_i64(e, 0), runs);
    LLVMValueRef index = LLVMBuildAdd(e->builder, tile.iv, lane, ""), inside = LLVMBuildICmp(e->builder, LLVMIntSLT, index, runs, "");
    LLVMValueRef safe = l_select(e, inside, index, l_i64(e, 0));
    for (uint32_t i = 0; i < s.count; i++) total[i] = get(g, b, i, safe);
    LLVMValueRef count = l_call2(e, "llvm.smin", LLVMBuildSub(e->builder, runs, tile.iv, ""), l_i64(e, QN__WARP));
    l_loop_begin(e, &step, NULL, l_i64(e, 0), count);
    LLVMValueRef from = LLVMBuildTrunc(e->builder, step.iv, e->i32, ""), mine = LLVMBuildICmp(e->builder, LLVMIntEQ, from, g->lane, "");
    for (uint32_t i = 0; i < s.count; i++) {
        carry[i] = l_load(e, s.type[i], s.carry[i]);
        other[i] = qn__shuffle_from(g, total[i], from);
        l_store(e, l_select(e, mine, carry[i], l_load(e, s.type[i], s.local[i])), s.local[i]);
    }
    combine(g, instr, s.count, carry, other, carry);
    for (uint32_t i = 0; i < s.count; i++) l_store(e, carry[i], s.carry[i]);
    l_loop_end(e, &step, LLVMBuildAdd(e->builder, step.iv, l_i64(e, 1), ""));
    LLVMBasicBlockRef write = l_block(e, "write"), next = l_block(e, "next");
    l_branch(e, inside, write, next);
    l_enter(e, write);
    for (uint32_t i = 0; i < s.count; i++) put(g, b, i, index, l_load(e, s.type[i], s.local[i]));
    l_jump(e, next);
    l_enter(e, next);
    l_loop_end(e, &tile, LLVMBuildAdd(e->builder, tile.iv, l_i64(e, QN__WARP), ""));
}

static void take_buffers(qn__gpu *g, qn__unit *unit, const uint32_t *scratch, const qn__instr *instr, buffers *b) {
    *b = (buffers){.instr = instr, .count = instr->arg_count - 2};
    for (uint32_t i = 0; i < b->count; i++) {
        b->types[i] = qn__type_of(g->ir, instr->args[2 + i]);
        b->argument[i] = qn__unit_scratch(g, unit, scratch[i]);
    }
}

static void launch_runs(qn__gpu *g, const qn__instr *instr, const uint32_t *scratch, uint32_t runs, bool totals) {
    qn__unit unit;
    buffers b;
    qn__unit_begin(g, &unit, totals ? "totals" : "scan", instr->location, THREADS, 1, 1);
    qn__unit_instr(g, &unit, instr);
    take_buffers(g, &unit, scratch, instr, &b);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    g->e->constant = g->constant;
    emit_runs(g, &b, totals);
    g->e->constant = NULL;
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    qn__plan_launch(g, &unit, symbol, runs, one, one);
}

static void launch_carries(qn__gpu *g, const qn__instr *instr, const uint32_t *scratch, uint32_t runs) {
    qn__unit unit;
    buffers b;
    qn__unit_begin(g, &unit, "carries", instr->location, QN__WARP, 1, 1);
    unit.fixed_grid = 1;
    qn__unit_region(g, &unit, instr->regions[1]);
    for (uint32_t i = 2; i < instr->arg_count; i++) qn__unit_value(g, &unit, instr->args[i]);
    take_buffers(g, &unit, scratch, instr, &b);
    uint32_t count = qn__unit_slot(g, &unit, runs);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    emit_carries(g, &b, count);
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    qn__plan_launch(g, &unit, symbol, one, one, one);
}

void qn__gpu_scan(qn__gpu *g, const qn__instr *instr) {
    uint32_t scratch[QN__MAX_SCAN], count = instr->arg_count - 2;
    /* a fault of the second pass could be that of an earlier point than one of the first: running in order tells */
    if (!count || count > QN__MAX_SCAN || qn__has_checks(g->ir, instr->regions[1]) || qn__has_checks(g->ir, instr->regions[2])) {
        qn__gpu_in_order(g, instr);
        return;
    }
    uint32_t terms = qn__level_count(g, instr->args[0], instr->args[1]);
    uint32_t runs = qn__plan_binary(g, QN__OP_SHR, qn__plan_binary(g, QN__OP_ADD, terms, qn__plan_constant(g, QN__RUN - 1)), qn__plan_constant(g, LOG_RUN));
    for (uint32_t i = 0; i < count; i++) {
        scratch[i] = qn__plan_scratch(g);
        qn__plan_size_scratch(g, scratch[i], qn__plan_binary(g, QN__OP_MUL, runs, qn__plan_constant(g, qn__type_bytes(qn__type_of(g->ir, instr->args[2 + i])))));
    }
    launch_runs(g, instr, scratch, runs, true);
    launch_carries(g, instr, scratch, runs);
    launch_runs(g, instr, scratch, runs, false);
}
