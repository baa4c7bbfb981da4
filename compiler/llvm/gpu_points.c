/* parallel: threads over the points of a box. The last dimension runs along x, so that neighbouring threads touch neighbouring elements; the one before along
 * y, all others folded into z. A block of 256 threads is 32 wide and 8 high, narrower where the last dimension is short: the host knows and passes the logarithm of the
 * width. Every dimension of the grid is walked by its own stride, so that any grid computes the same.
 *
 * Where a warp runs a point together (QN__MODE_WARP), warps walk the points in row-major order instead, along x.
 *
 * Short points of one dimension that cannot fail are taken four at a time by a thread, which LLVM makes loads and stores of 16 bytes of.
 *
 * A launch with `only` runs that one point, by the first thread. */
#include "compiler/llvm/gpu_internal.h"

#include <string.h>

enum { FLAT_BLOCK = 256, LOG_BLOCK = 8, LOG_WIDTH = 5, WARP_BLOCK = 128, SIDE_BY_SIDE = 4, SHORT_POINT = 32 /* instructions: longer ones are not bound by their accesses */ };

static void point(qn__gpu *g, const qn__instr *instr);

static LLVMValueRef length(qn__emitter *e, LLVMValueRef lo, LLVMValueRef hi) {
    LLVMValueRef some = LLVMBuildICmp(e->builder, LLVMIntSLT, lo, hi, "");
    return l_select(e, some, LLVMBuildSub(e->builder, hi, lo, ""), l_i64(e, 0));
}

/* Where the point `only` lies: its coordinates along x, y, z. */
static void place_of_only(qn__gpu *g, qn__box *b, LLVMValueRef *at) {
    qn__emitter *e = g->e;
    LLVMValueRef rest = g->only;
    for (uint32_t a = 0; a + 1 < b->axes; a++) {
        LLVMValueRef safe = l_call2(e, "llvm.umax", b->axis[a].count, l_i64(e, 1));
        at[a] = LLVMBuildURem(e->builder, rest, safe, "");
        rest = LLVMBuildUDiv(e->builder, rest, safe, "");
    }
    at[b->axes - 1] = rest;
}

/* The thread's place in its block along an axis, and the logarithm of the block's size there. */
static void place_in_block(qn__gpu *g, const qn__box *b, uint32_t a, LLVMValueRef *thread, LLVMValueRef *log) {
    qn__emitter *e = g->e;
    LLVMValueRef number = qn__register(g, "tid.x");
    if (b->axes == 1) {
        *thread = number;
        *log = l_i64(e, LOG_BLOCK);
        return;
    }
    LLVMValueRef width = qn__entry_argument(g, g->log_width);
    LLVMValueRef last = LLVMBuildSub(e->builder, LLVMBuildShl(e->builder, l_i64(e, 1), width, ""), l_i64(e, 1), "");
    if (a == 0) *thread = LLVMBuildAnd(e->builder, number, last, ""), *log = width;
    else if (a == 1) *thread = LLVMBuildLShr(e->builder, number, width, ""), *log = LLVMBuildSub(e->builder, l_i64(e, LOG_BLOCK), width, "");
    else *thread = *log = l_i64(e, 0);
}

/* In a block of its own: where the usual launch starts, and where one with `only` does. */
static void find_starts(qn__gpu *g, qn__box *b) {
    static const char *const names[3][2] = {{"ctaid.x", "nctaid.x"}, {"ctaid.y", "nctaid.y"}, {"ctaid.z", "nctaid.z"}};
    qn__emitter *e = g->e;
    LLVMValueRef start[3], step[3], only[3], first = l_int(e, e->i1, 1);
    for (uint32_t a = 0; a < b->axes; a++) {
        if (g->mode == QN__MODE_ORDERED) {
            start[a] = l_i64(e, 0);
            step[a] = l_i64(e, 1);
            continue;
        }
        if (g->mode == QN__MODE_WARP) {
            start[a] = LLVMBuildLShr(e->builder, qn__thread(g), l_i64(e, 5), "");
            step[a] = LLVMBuildLShr(e->builder, qn__threads(g), l_i64(e, 5), "");
            first = LLVMBuildICmp(e->builder, LLVMIntEQ, start[a], l_i64(e, 0), "");
            continue;
        }
        LLVMValueRef thread, log;
        place_in_block(g, b, a, &thread, &log);
        start[a] = LLVMBuildAdd(e->builder, LLVMBuildShl(e->builder, qn__register(g, names[a][0]), log, ""), thread, "");
        step[a] = LLVMBuildShl(e->builder, qn__register(g, names[a][1]), log, "");
        first = LLVMBuildAnd(e->builder, first, LLVMBuildICmp(e->builder, LLVMIntEQ, start[a], l_i64(e, 0), ""), "");
    }
    LLVMBasicBlockRef usual = LLVMGetInsertBlock(e->builder), one = l_block(e, "only"), go = l_block(e, "points");
    l_branch_likely(e, g->reporting, one, go);
    LLVMBasicBlockRef swapped = usual;
    l_enter(e, one);
    place_of_only(g, b, only);
    LLVMBasicBlockRef from = LLVMGetInsertBlock(e->builder);
    for (uint32_t a = 0; a < b->axes; a++) only[a] = l_select(e, first, only[a], b->axis[a].count);
    l_jump(e, go);
    l_enter(e, go);
    for (uint32_t a = 0; a < b->axes; a++) {
        LLVMBasicBlockRef blocks[2] = {swapped, from};
        b->axis[a].start = LLVMBuildPhi(e->builder, e->i64, "");
        LLVMAddIncoming(b->axis[a].start, (LLVMValueRef[]){start[a], only[a]}, blocks, 2);
        b->axis[a].step = LLVMBuildPhi(e->builder, e->i64, "");
        LLVMAddIncoming(b->axis[a].step, (LLVMValueRef[]){step[a], b->axis[a].count}, blocks, 2);
    }
}

void qn__box_measure(qn__gpu *g, const qn__instr *instr, qn__box *b) {
    qn__emitter *e = g->e;
    *b = (qn__box){0};
    b->rank = instr->op == QN__OP_KEEP ? instr->arg_count / 2 : (uint32_t)instr->imm;
    e->point.rank = b->rank;
    b->axes = g->flat || g->mode == QN__MODE_WARP || instr->op == QN__OP_KEEP ? 1 : b->rank < 3 ? b->rank : 3;
    for (uint32_t d = 0; d < b->rank; d++) {
        b->lo[d] = e->point.lo[d] = l_scalar(e, instr->args[2 * d]);
        e->point.hi[d] = l_scalar(e, instr->args[2 * d + 1]);
        b->extent[d] = length(e, b->lo[d], e->point.hi[d]);
    }
    b->axis[0].count = b->extent[b->rank - 1];
    for (uint32_t d = 0; b->axes == 1 && d + 1 < b->rank; d++) b->axis[0].count = LLVMBuildMul(e->builder, b->axis[0].count, b->extent[d], "");
    if (b->axes > 1) b->axis[1].count = b->extent[b->rank - 2];
    if (b->axes > 2) b->axis[2].count = b->extent[0];
    for (uint32_t d = 1; d + 2 < b->rank; d++) b->axis[2].count = LLVMBuildMul(e->builder, b->axis[2].count, b->extent[d], "");
}

/* The indices of dimensions first .. last from their row-major number. */
static void unfold(qn__gpu *g, qn__box *b, LLVMValueRef number, uint32_t last) {
    qn__emitter *e = g->e;
    for (uint32_t d = last; d > 0; d--) {
        e->point.iv[d] = LLVMBuildAdd(e->builder, b->lo[d], LLVMBuildURem(e->builder, number, b->extent[d], ""), "");
        number = LLVMBuildUDiv(e->builder, number, b->extent[d], "");
    }
    e->point.iv[0] = LLVMBuildAdd(e->builder, b->lo[0], number, "");
}

void qn__box_point(qn__gpu *g, const qn__instr *instr, qn__box *b, LLVMValueRef number) {
    unfold(g, b, number, b->rank - 1);
    point(g, instr);
}

/* Opens the loops, outermost first, and sets the point's indices. */
static void open_loops(qn__gpu *g, qn__box *b) {
    qn__emitter *e = g->e;
    for (uint32_t a = b->axes; a-- > 0;) l_loop_begin(e, &b->axis[a].loop, NULL, b->axis[a].start, b->axis[a].count);
    if (b->axes == 1) {
        unfold(g, b, b->axis[0].loop.iv, b->rank - 1);
        return;
    }
    e->point.iv[b->rank - 1] = LLVMBuildAdd(e->builder, b->lo[b->rank - 1], b->axis[0].loop.iv, "");
    e->point.iv[b->rank - 2] = LLVMBuildAdd(e->builder, b->lo[b->rank - 2], b->axis[1].loop.iv, "");
    if (b->axes == 3) unfold(g, b, b->axis[2].loop.iv, b->rank - 3);
}

static void close_loops(qn__gpu *g, qn__box *b) {
    qn__emitter *e = g->e;
    for (uint32_t a = 0; a < b->axes; a++) l_loop_end(e, &b->axis[a].loop, LLVMBuildAdd(e->builder, b->axis[a].loop.iv, b->axis[a].step, ""));
}

static void point_region(qn__gpu *g, qn__region_ref region) {
    qn__emitter *e = g->e;
    for (uint32_t d = 0; d < e->point.rank; d++) l_set(e, qn__region_param(e->ir, region, d), e->point.iv[d]);
    qn__emit_region(e, region);
}

/* One point: of the inner box the first region, of the rest the second. */
static void point(qn__gpu *g, const qn__instr *instr) {
    qn__emitter *e = g->e;
    if (instr->region_count == 1) {
        point_region(g, instr->regions[0]);
        return;
    }
    uint32_t rank = e->point.rank;
    LLVMValueRef inside = l_int(e, e->i1, 1);
    for (uint32_t d = 0; d < rank; d++) {
        LLVMValueRef lo = l_scalar(e, instr->args[2 * (rank + d)]), hi = l_scalar(e, instr->args[2 * (rank + d) + 1]);
        inside = LLVMBuildAnd(e->builder, inside, LLVMBuildICmp(e->builder, LLVMIntSGE, e->point.iv[d], lo, ""), "");
        inside = LLVMBuildAnd(e->builder, inside, LLVMBuildICmp(e->builder, LLVMIntSLT, e->point.iv[d], hi, ""), "");
    }
    LLVMBasicBlockRef inner = l_block(e, "inner"), outer = l_block(e, "outer"), end = l_block(e, "point");
    l_branch(e, inside, inner, outer);
    l_enter(e, inner);
    point_region(g, instr->regions[0]);
    l_jump(e, end);
    l_enter(e, outer);
    point_region(g, instr->regions[1]);
    l_jump(e, end);
    l_enter(e, end);
}

void qn__gpu_box(qn__gpu *g, const qn__instr *instr) {
    qn__emitter *e = g->e;
    LLVMBasicBlockRef exit = g->leave;
    qn__box b;
    qn__box_measure(g, instr, &b);
    find_starts(g, &b);
    open_loops(g, &b);
    g->leave = l_block(e, "next");
    point(g, instr);
    l_jump(e, g->leave);
    l_enter(e, g->leave);
    close_loops(g, &b);
    g->leave = exit;
}

/* ---- four points of a thread ---- */

/* Whether the stage's points are short, straight, cannot fail (a launch with `only` never comes then), and read or write neighbouring elements at multiples of four. */
static bool side_by_side(const qn__ir *ir, const qn__instr *instr) {
    uint64_t lo = 1;
    uint32_t length = 0;
    bool neighbours = false;
    if (instr->imm != 1 || instr->region_count != 1 || !qn__is_const(ir, instr->args[0], &lo) || lo != 0) return false;
    qn__value index = qn__region_param(ir, instr->regions[0], 0);
    for (qn__instr_ref ref = ir->regions[instr->regions[0]].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *at = &ir->instrs[ref];
        bool memory = at->op == QN__OP_LOAD || at->op == QN__OP_STORE;
        bool pure = qn__op_table[at->op].effect == QN__EFFECT_PURE && at->op != QN__OP_CALL && at->region_count == 0;
        if ((!memory && !pure && at->op != QN__OP_YIELD) || ++length > SHORT_POINT) return false;
        neighbours |= memory && ir->arrays[at->imm].rank == 1 && at->args[0] == index;
    }
    return neighbours;
}

/* Fours first; the threads at the start of the grid then take what is left, one point each. */
static void four_points(qn__gpu *g, const qn__instr *instr) {
    qn__emitter *e = g->e;
    qn__box b;
    qn__box_measure(g, instr, &b);
    LLVMBasicBlockRef left = l_block(e, "left"), end = l_block(e, "end");
    LLVMValueRef four = l_i64(e, SIDE_BY_SIDE), count = b.axis[0].count, thread = qn__thread(g);
    LLVMValueRef whole = LLVMBuildAnd(e->builder, count, l_i64(e, -SIDE_BY_SIDE), ""), step = LLVMBuildMul(e->builder, qn__threads(g), four, "");
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, LLVMBuildMul(e->builder, thread, four, ""), whole);
    for (int64_t i = 0; i < SIDE_BY_SIDE; i++) {
        e->point.iv[0] = LLVMBuildAdd(e->builder, loop.iv, l_i64(e, i), "");
        point(g, instr);
    }
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, step, ""));
    e->point.iv[0] = LLVMBuildAdd(e->builder, whole, thread, "");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, e->point.iv[0], count, ""), left, end);
    l_enter(e, left);
    point(g, instr);
    l_jump(e, end);
    l_enter(e, end);
}

/* How many threads to ask for. Where bounds are known on the device only, so many that a device is full. */
static bool known_bounds(const qn__gpu *g, const qn__instr *instr) {
    bool known = true;
    for (uint32_t i = 0; i < 2 * instr->imm; i++) known &= g->place[instr->args[i]] != QN__PLACE_DEVICE;
    return known;
}

/* A slot with the logarithm of the width of blocks: 2^w is at least the last extent, or 32. */
static uint32_t block_width(qn__gpu *g, const qn__instr *instr) {
    uint32_t rank = (uint32_t)instr->imm, most = qn__plan_constant(g, LOG_WIDTH), one = qn__plan_constant(g, 1);
    if (!known_bounds(g, instr)) return most;
    uint32_t extent = qn__plan_binary(g, QN__OP_MAX, qn__level_count(g, instr->args[2 * rank - 2], instr->args[2 * rank - 1]), one);
    uint32_t last = qn__plan_binary(g, QN__OP_SUB, extent, one), zeros = qn__plan_eval(g, QN__OP_CLZ, QN__TYPE_I64, QN__TYPE_I64, &last, 1);
    return qn__plan_binary(g, QN__OP_MIN, qn__plan_binary(g, QN__OP_SUB, qn__plan_constant(g, 64), zeros), most);
}

/* Tiles of 2^log points: (count + 2^log - 1) >> log. */
static uint32_t tiles(qn__gpu *g, uint32_t count, uint32_t log) {
    uint32_t one = qn__plan_constant(g, 1), less = qn__plan_binary(g, QN__OP_SUB, qn__plan_binary(g, QN__OP_SHL, one, log), one);
    return qn__plan_binary(g, QN__OP_SHR, qn__plan_binary(g, QN__OP_ADD, count, less), log);
}

static void launch(qn__gpu *g, const qn__unit *unit, const char *symbol, const qn__instr *instr, uint32_t width) {
    uint32_t rank = (uint32_t)instr->imm, one = qn__plan_constant(g, 1), counts[3] = {one, one, one};
    bool known = known_bounds(g, instr);
    if (!known) counts[0] = qn__plan_constant(g, rank == 1 ? QN__GUESSED_POINTS : 2048);
    if (!known && rank > 1) counts[1] = qn__plan_constant(g, QN__GUESSED_POINTS / 2048);
    for (uint32_t d = 0; known && d < rank; d++) {
        uint32_t along = rank - 1 - d < 2 ? rank - 1 - d : 2, count = qn__level_count(g, instr->args[2 * d], instr->args[2 * d + 1]);
        counts[along] = counts[along] == one ? count : qn__level_product(g, counts[along], count);
    }
    if (g->mode == QN__MODE_WARP) {
        for (uint32_t a = 1; a < 3; a++)
            if (counts[a] != one) counts[0] = counts[0] == one ? counts[a] : qn__level_product(g, counts[0], counts[a]);
        qn__plan_launch(g, unit, symbol, qn__level_product(g, counts[0], qn__plan_constant(g, QN__WARP)), one, one);
        return;
    }
    if (rank > 1) {
        counts[0] = qn__level_product(g, tiles(g, counts[0], width), qn__plan_constant(g, FLAT_BLOCK));
        counts[1] = tiles(g, counts[1], qn__plan_binary(g, QN__OP_SUB, qn__plan_constant(g, LOG_BLOCK), width));
    }
    qn__plan_launch(g, unit, symbol, counts[0], counts[1], counts[2]);
}

/* By array: what is combined into it, plus 1; whether it is loaded. */
typedef struct facts { qn__gpu *g; uint8_t *combined; bool *loaded; bool ordered, conflicts, reduces, scans; } facts;

/* Whether the order of combinations by one operation cannot be told from the result. */
static bool commutes(qn__type type, qn__op op) { return !qn__is_float(type) || op == QN__OP_MIN || op == QN__OP_MAX; }

static void look_at_accumulate(facts *f, const qn__ir *ir, const qn__instr *instr) {
    uint32_t array = (uint32_t)instr->imm;
    bool other = f->combined[array] && f->combined[array] != instr->aux + 1; /* x + a and max(x, b) do not commute */
    if (other || !commutes((qn__type)ir->arrays[array].type, (qn__op)instr->aux)) f->g->in_order[array] = f->ordered = true;
    f->combined[array] = (uint8_t)(instr->aux + 1);
}

static void look(const qn__ir *ir, const qn__instr *instr, void *context) {
    facts *f = context;
    if (instr->op == QN__OP_ACCUMULATE) look_at_accumulate(f, ir, instr);
    if (instr->op == QN__OP_LOAD) f->loaded[instr->imm] = true;
    if (instr->op == QN__OP_REDUCE) f->reduces = true;
    if (instr->op == QN__OP_SCAN) f->scans = true;
}

static qn__mode plan_mode(qn__gpu *g, const qn__instr *instr) {
    uint32_t arrays = g->ir->array_count;
    facts f = {.g = g, .combined = QN__ARENA_ARRAY(g->e->arena, uint8_t, arrays + 1), .loaded = QN__ARENA_ARRAY(g->e->arena, bool, arrays + 1)};
    if (!f.combined || !f.loaded) {
        qn__fail(g->e, "out of memory");
        return QN__MODE_ORDERED;
    }
    memset(g->in_order, 0, arrays * sizeof *g->in_order);
    for (uint32_t i = 0; i < instr->region_count; i++) qn__walk(g->ir, instr->regions[i], look, &f);
    /* a stage that reads what it accumulates into (the language has none) would see other threads' sums */
    for (uint32_t i = 0; i < arrays; i++) f.conflicts |= f.combined[i] && f.loaded[i];
    if (f.conflicts) return QN__MODE_ORDERED;
    qn__mode mode = f.reduces && !f.scans ? QN__MODE_WARP : QN__MODE_POINTS;
    return f.ordered && !qn__gpu_ordered(g, instr, mode) ? QN__MODE_ORDERED : f.ordered ? QN__MODE_DONE : mode;
}

static void all_points(qn__gpu *g, const qn__instr *instr, qn__mode mode) {
    uint32_t rank = (uint32_t)instr->imm;
    qn__unit unit;
    if (rank == 0) qn__unit_begin(g, &unit, "point", instr->location, 1, 1, 1);
    else if (mode == QN__MODE_ORDERED) qn__unit_begin(g, &unit, "in_order", instr->location, 1, 1, 1);
    else if (mode == QN__MODE_WARP) qn__unit_begin(g, &unit, "rows", instr->location, WARP_BLOCK, 1, 1);
    else qn__unit_begin(g, &unit, "points", instr->location, FLAT_BLOCK, 1, 1);
    if (mode == QN__MODE_UNIFORM || mode == QN__MODE_ORDERED) unit.fixed_grid = 1;
    uint32_t width = mode == QN__MODE_POINTS && rank > 1 ? block_width(g, instr) : 0;
    if (mode == QN__MODE_POINTS && rank > 1) g->log_width = qn__unit_slot(g, &unit, width);
    bool four = mode == QN__MODE_POINTS && rank == 1 && side_by_side(g->ir, instr);
    if (four) unit.per_thread = SIDE_BY_SIDE;
    qn__unit_instr(g, &unit, instr);
    const char *symbol = qn__entry_begin(g, &unit, mode);
    if (!symbol) return;
    g->e->constant = g->constant;
    if (rank == 0) qn__emit_region(g->e, instr->regions[0]);
    else if (four) four_points(g, instr);
    else qn__gpu_box(g, instr);
    g->e->constant = NULL;
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    if (mode == QN__MODE_ORDERED) qn__plan_launch(g, &unit, symbol, one, one, one);
    else launch(g, &unit, symbol, instr, width);
}

void qn__gpu_parallel(qn__gpu *g, const qn__instr *instr) {
    if (!qn__gpu_contraction(g, instr)) qn__gpu_plain(g, instr);
}

void qn__gpu_plain(qn__gpu *g, const qn__instr *instr) {
    const qn__instr *accumulate = NULL;
    qn__mode mode = instr->imm == 0 ? QN__MODE_UNIFORM : plan_mode(g, instr);
    if (mode == QN__MODE_DONE) return;
    if (mode != QN__MODE_POINTS || !qn__gpu_gathers(g, instr, &accumulate)) {
        all_points(g, instr, mode);
        return;
    }
    uint32_t extent = qn__level_host(g, g->ir->arrays[accumulate->imm].extent[0]);
    uint32_t small = qn__plan_binary(g, QN__OP_LE, extent, qn__plan_constant(g, QN__SMALL_ARRAY));
    uint64_t known = 0;
    if (qn__plan_known(g, small, &known)) {
        if (known) qn__gpu_gather(g, instr, accumulate);
        else all_points(g, instr, mode);
        return;
    }
    uint32_t large = qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_UNLESS}, &small, 1);
    qn__gpu_gather(g, instr, accumulate);
    uint32_t end = qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_JUMP}, NULL, 0);
    qn__plan_target(g, large);
    all_points(g, instr, mode);
    qn__plan_target(g, end);
}
