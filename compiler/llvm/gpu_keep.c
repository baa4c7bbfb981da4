/* keep: a warp takes a chunk of 1024 consecutive points, 32 at a time. One pass counts what each chunk pushes (ballots), one thread block turns the counts into
 * the chunks' places, the host reads the total and allocates, and another pass over the points writes in order. */
#include "compiler/llvm/gpu_internal.h"

enum { LOG_CHUNK = 10, ROWS = 32, CHUNK_THREADS = 128, SCAN_THREADS = 1024 };

bool qn__gpu_push(qn__emitter *e, const qn__instr *instr) {
    qn__gpu *g = qn__gpu_of(e);
    if (instr->arg_count > QN__MAX_PUSHED) return qn__fail(e, "a keep fills too many arrays"), true;
    l_store(e, l_int(e, e->i1, 1), g->found);
    for (uint32_t i = 0; i < instr->arg_count && !e->counting; i++) l_store(e, l_scalar(e, instr->args[i]), g->found_values[i]);
    return true;
}

/* What a pass needs: arguments by number. */
typedef struct pass { const qn__instr *instr; bool counting; uint32_t counts; } pass;

static LLVMValueRef place_of(qn__gpu *g, const pass *p, LLVMValueRef chunk) { return l_gep(g->e, g->e->i64, qn__entry_argument(g, p->counts), chunk); }

static void write_found(qn__gpu *g, const pass *p, LLVMValueRef ballot, LLVMValueRef at) {
    qn__emitter *e = g->e;
    LLVMBasicBlockRef write = l_block(e, "write"), written = l_block(e, "written");
    l_branch(e, l_load(e, e->i1, g->found), write, written);
    l_enter(e, write);
    LLVMValueRef below = LLVMBuildSub(e->builder, LLVMBuildShl(e->builder, l_i32(e, 1), g->lane, ""), l_i32(e, 1), "");
    LLVMValueRef before = l_call1(e, "llvm.ctpop", LLVMBuildAnd(e->builder, ballot, below, ""));
    LLVMValueRef index = LLVMBuildAdd(e->builder, at, LLVMBuildZExt(e->builder, before, e->i64, ""), "");
    for (uint32_t i = 0; i < p->instr->list_count; i++) {
        uint32_t array = p->instr->list[i];
        qn__type type = (qn__type)e->ir->arrays[array].type;
        LLVMValueRef value = l_load(e, l_type(e, type), g->found_values[i]);
        l_store(e, l_to_memory(e, type, value), l_gep(e, l_memory_type(e, type), e->bases[array].data, index));
    }
    l_jump(e, written);
    l_enter(e, written);
}

/* 32 points; the lanes come together at the end of it, whatever their points did. */
static void row(qn__gpu *g, const pass *p, qn__box *box, LLVMValueRef number, LLVMValueRef total) {
    qn__emitter *e = g->e;
    LLVMBasicBlockRef inside = l_block(e, "inside"), outer = g->leave;
    g->leave = l_block(e, "together");
    l_store(e, l_int(e, e->i1, 0), g->found);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, number, box->axis[0].count, ""), inside, g->leave);
    l_enter(e, inside);
    qn__box_point(g, p->instr, box, number);
    l_jump(e, g->leave);
    l_enter(e, g->leave);
    g->leave = outer;
    LLVMValueRef ballot = qn__ballot(g, l_load(e, e->i1, g->found)), at = l_load(e, e->i64, total);
    if (!p->counting) write_found(g, p, ballot, at);
    LLVMValueRef added = LLVMBuildZExt(e->builder, l_call1(e, "llvm.ctpop", ballot), e->i64, "");
    l_store(e, LLVMBuildAdd(e->builder, at, added, ""), total);
}

static void chunk(qn__gpu *g, const pass *p, qn__box *box, LLVMValueRef number) {
    qn__emitter *e = g->e;
    LLVMValueRef total = l_alloca(e, e->i64), first = LLVMBuildShl(e->builder, number, l_i64(e, LOG_CHUNK), "");
    LLVMValueRef left = l_call2(e, "llvm.umin", LLVMBuildSub(e->builder, box->axis[0].count, first, ""), l_i64(e, 1 << LOG_CHUNK));
    l_store(e, p->counting ? l_i64(e, 0) : l_load(e, e->i64, place_of(g, p, number)), total);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_i64(e, 0), left);
    LLVMValueRef offset = LLVMBuildAdd(e->builder, loop.iv, LLVMBuildZExt(e->builder, g->lane, e->i64, ""), "");
    row(g, p, box, LLVMBuildAdd(e->builder, first, offset, ""), total);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, ROWS), ""));
    if (!p->counting) return;
    LLVMBasicBlockRef write = l_block(e, "count"), next = l_block(e, "next");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, g->lane, l_i32(e, 0), ""), write, next);
    l_enter(e, write);
    l_store(e, l_load(e, e->i64, total), place_of(g, p, number));
    l_jump(e, next);
    l_enter(e, next);
}

static void emit_pass(qn__gpu *g, const pass *p) {
    qn__emitter *e = g->e;
    qn__box box;
    qn__box_measure(g, p->instr, &box);
    g->found = l_alloca(e, e->i1);
    for (uint32_t i = 0; i < p->instr->list_count && i < QN__MAX_PUSHED; i++)
        g->found_values[i] = l_alloca(e, l_type(e, (qn__type)e->ir->arrays[p->instr->list[i]].type));
    LLVMValueRef warp = LLVMBuildLShr(e->builder, qn__thread(g), l_i64(e, 5), ""), warps = LLVMBuildLShr(e->builder, qn__threads(g), l_i64(e, 5), "");
    LLVMValueRef full = LLVMBuildAdd(e->builder, box.axis[0].count, l_i64(e, (1 << LOG_CHUNK) - 1), "");
    LLVMValueRef chunks = LLVMBuildLShr(e->builder, full, l_i64(e, LOG_CHUNK), "");
    LLVMValueRef failing = LLVMBuildLShr(e->builder, g->only, l_i64(e, LOG_CHUNK), "");
    failing = l_select(e, LLVMBuildICmp(e->builder, LLVMIntEQ, warp, l_i64(e, 0), ""), failing, chunks);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_select(e, g->reporting, failing, warp), chunks);
    chunk(g, p, &box, loop.iv);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_select(e, g->reporting, chunks, warps), ""));
}

static void launch_pass(qn__gpu *g, const qn__instr *instr, bool counting, uint32_t counts, uint32_t chunks) {
    qn__unit unit;
    qn__emitter *e = g->e;
    qn__unit_begin(g, &unit, counting ? "count" : "fill", instr->location, CHUNK_THREADS, 1, 1);
    unit.warps = true;
    qn__unit_instr(g, &unit, instr);
    for (uint32_t i = 0; i < instr->list_count && !counting; i++) qn__unit_array(g, &unit, instr->list[i], true);
    pass p = {instr, counting, qn__unit_scratch(g, &unit, counts)};
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    e->counting = counting;
    e->constant = g->constant;
    emit_pass(g, &p);
    e->constant = NULL;
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    qn__plan_launch(g, &unit, symbol, qn__level_product(g, chunks, qn__plan_constant(g, QN__WARP)), one, one);
}

/* ---- counts -> places ---- */

/* The sum over the lanes up to this one. */
static LLVMValueRef warp_sums(qn__gpu *g, LLVMValueRef value) {
    qn__emitter *e = g->e;
    for (uint32_t distance = 1; distance < QN__WARP; distance *= 2) {
        LLVMValueRef other = qn__shuffle_up(g, value, l_i32(e, distance));
        LLVMValueRef low = LLVMBuildICmp(e->builder, LLVMIntULT, g->lane, l_i32(e, distance), "");
        value = LLVMBuildAdd(e->builder, value, l_select(e, low, l_i64(e, 0), other), "");
    }
    return value;
}

/* Tiles of 1024 counts by one thread block: sums of warps through shared memory. */
static void emit_places(qn__gpu *g, uint32_t counts, uint32_t chunks, uint32_t total) {
    qn__emitter *e = g->e;
    LLVMValueRef count = qn__entry_argument(g, chunks), sums = qn__shared(g, e->i64, SCAN_THREADS / QN__WARP, "sums"), carry = l_alloca(e, e->i64);
    LLVMValueRef thread = qn__register(g, "tid.x"), warp = LLVMBuildTrunc(e->builder, LLVMBuildLShr(e->builder, thread, l_i64(e, 5), ""), e->i32, "");
    l_store(e, l_i64(e, 0), carry);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_i64(e, 0), count);
    LLVMValueRef index = LLVMBuildAdd(e->builder, loop.iv, thread, ""), inside = LLVMBuildICmp(e->builder, LLVMIntSLT, index, count, "");
    LLVMValueRef safe = l_select(e, inside, index, l_i64(e, 0)), place = l_gep(e, e->i64, qn__entry_argument(g, counts), safe);
    LLVMValueRef own = l_select(e, inside, l_load(e, e->i64, place), l_i64(e, 0)), within = warp_sums(g, own);
    LLVMBasicBlockRef last = l_block(e, "last"), shared = l_block(e, "shared"), write = l_block(e, "write"), next = l_block(e, "next");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, g->lane, l_i32(e, QN__WARP - 1), ""), last, shared);
    l_enter(e, last);
    l_store(e, within, l_gep(e, e->i64, sums, warp));
    l_jump(e, shared);
    l_enter(e, shared);
    qn__barrier(g);
    LLVMValueRef before = warp_sums(g, l_load(e, e->i64, l_gep(e, e->i64, sums, g->lane)));
    LLVMValueRef all = qn__shuffle_from(g, before, l_i32(e, QN__WARP - 1));
    LLVMValueRef previous = qn__shuffle_from(g, before, LLVMBuildSub(e->builder, warp, l_i32(e, 1), ""));
    previous = l_select(e, LLVMBuildICmp(e->builder, LLVMIntEQ, warp, l_i32(e, 0), ""), l_i64(e, 0), previous);
    qn__barrier(g);
    LLVMValueRef base = l_load(e, e->i64, carry), exclusive = LLVMBuildAdd(e->builder, base, LLVMBuildAdd(e->builder, previous, LLVMBuildSub(e->builder, within, own, ""), ""), "");
    l_store(e, LLVMBuildAdd(e->builder, base, all, ""), carry);
    l_branch(e, inside, write, next);
    l_enter(e, write);
    l_store(e, exclusive, place);
    l_jump(e, next);
    l_enter(e, next);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, SCAN_THREADS), ""));
    LLVMBasicBlockRef first = l_block(e, "first");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, thread, l_i64(e, 0), ""), first, g->leave);
    l_enter(e, first);
    l_store(e, l_load(e, e->i64, carry), qn__device_slot(g, total));
}

static void launch_places(qn__gpu *g, const qn__instr *instr, uint32_t counts, uint32_t chunks, uint32_t total) {
    qn__unit unit;
    qn__unit_begin(g, &unit, "places", instr->location, SCAN_THREADS, 1, 1);
    unit.fixed_grid = 1;
    unit.barriers = true;
    uint32_t buffer = qn__unit_scratch(g, &unit, counts), number = qn__unit_slot(g, &unit, chunks);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    emit_places(g, buffer, number, total);
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    qn__plan_launch(g, &unit, symbol, one, one, one);
}

void qn__gpu_keep(qn__gpu *g, const qn__instr *instr) {
    uint32_t counts = qn__plan_scratch(g), total = g->device_slot_count++, found = qn__level_host(g, instr->first_result);
    uint32_t points = qn__level_count(g, instr->args[0], instr->args[1]);
    for (uint32_t d = 1; d < instr->arg_count / 2; d++) points = qn__level_product(g, points, qn__level_count(g, instr->args[2 * d], instr->args[2 * d + 1]));
    uint32_t chunks = qn__plan_binary(g, QN__OP_SHR, qn__plan_binary(g, QN__OP_ADD, points, qn__plan_constant(g, (1 << LOG_CHUNK) - 1)), qn__plan_constant(g, LOG_CHUNK));
    qn__plan_size_scratch(g, counts, qn__plan_binary(g, QN__OP_MUL, chunks, qn__plan_constant(g, sizeof(int64_t))));
    launch_pass(g, instr, true, counts, chunks);
    launch_places(g, instr, counts, chunks, total);
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_READ, .target = found, .imm = total}, NULL, 0);
    for (uint32_t i = 0; i < instr->list_count; i++)
        qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_ALLOC, .imm = instr->list[i], .location = instr->location}, &found, 1);
    launch_pass(g, instr, false, counts, chunks);
}
