/* Contractions (ir/contraction.h) by tiles: a thread block computes a tile of the result, each of its 256 threads a square of 8x8 or 4x4 elements in registers. Tiles of
 * the two operands, 8 terms deep, go through shared memory, two of each, so that the next one is fetched while one is used.
 *
 * Every element is still one chain of fma over the terms in order, so its bits are those of the plain loop. Rows and columns beyond the result repeat the last one and are
 * not stored; terms beyond the last are not used.
 *
 * An operand is whatever the loop's body computes from its load: it is emitted again for every element of a tile, with the indices set to the element's. Which dimension is
 * rows and which is columns follows from which indices each operand depends on; all other dimensions are walked by the grid. What does not fit (bounds or init that
 * depend on the point, both operands on one index) and what is small runs as any parallel does. */
#include "compiler/llvm/gpu_internal.h"

enum { THREADS = 256, SIDE = 16 /* threads along a side of the tile */, DEPTH = 8, PAD = 4, GROUP = 4 /* elements beside each other */, MAX_TILE = 8, SHORT = 24 };

typedef struct product {
    const qn__instr *stage, *loop;
    qn__region_ref region, body;
    qn__value rows, columns, init, lo, hi;   /* operands of the fma */
    uint32_t row, column, rank;              /* dimensions */
    bool rows_along_terms, columns_along_terms; /* neighbours in memory are neighbouring terms */
    qn__type type;
} product;

/* ---- recognition ---- */

enum { TERM = 1u << 16, CHAIN = 1u << 17, UNKNOWN = 1u << 18 }; /* beside one bit for each dimension */

static uint32_t depends(const qn__ir *ir, const product *p, qn__value v) {
    const qn__value_info *info = &ir->values[v];
    if (!info->instr) {
        if (info->region == p->region) return 1u << info->index;
        if (info->region == p->body) return info->index == 0 ? TERM : CHAIN;
        return 0;
    }
    const qn__instr *instr = &ir->instrs[info->instr];
    if (instr->region != p->region && instr->region != p->body) return 0;
    uint8_t effect = qn__op_table[instr->op].effect;
    if ((effect != QN__EFFECT_PURE || instr->op == QN__OP_CALL) && instr->op != QN__OP_LOAD) return UNKNOWN;
    uint32_t bits = 0;
    for (uint32_t i = 0; i < instr->arg_count; i++) bits |= depends(ir, p, instr->args[i]);
    return bits;
}

/* Whether the last subscript of the operand's load moves with the terms. */
static bool along_terms(const qn__ir *ir, const product *p, qn__value v) {
    const qn__instr *instr = qn__definition(ir, v);
    while (instr && instr->op != QN__OP_LOAD) instr = instr->arg_count ? qn__definition(ir, instr->args[0]) : NULL;
    return instr && instr->arg_count && (depends(ir, p, instr->args[instr->arg_count - 1]) & TERM);
}

static bool choose_dimensions(const qn__ir *ir, product *p, qn__value a, qn__value b) {
    uint32_t of_a = depends(ir, p, a), of_b = depends(ir, p, b), last = 1u << (p->rank - 1);
    if ((of_a | of_b) & (CHAIN | UNKNOWN)) return false;
    if (!((of_a ^ of_b) & last)) return false;
    p->columns = of_a & last ? a : b;
    p->rows = of_a & last ? b : a;
    uint32_t only = (of_a & last ? of_b & ~of_a : of_a & ~of_b) & (last - 1);
    if (!only) return false;
    p->column = p->rank - 1;
    for (uint32_t d = 0; d < p->rank; d++)
        if (only & (1u << d)) p->row = d;
    return true;
}

static bool recognise(const qn__ir *ir, const qn__instr *stage, product *p) {
    *p = (product){.stage = stage, .region = stage->regions[0], .rank = (uint32_t)stage->imm};
    for (qn__instr_ref ref = ir->regions[p->region].first; ref; ref = ir->instrs[ref].next)
        if (ir->instrs[ref].op == QN__OP_FOR) p->loop = &ir->instrs[ref];
    if (!p->loop || qn__region_size(ir, p->region) - qn__region_size(ir, p->loop->regions[0]) > SHORT) return false;
    p->body = p->loop->regions[0];
    const qn__instr *fma = qn__definition(ir, qn__yield_of(ir, p->body)->args[0]);
    p->lo = p->loop->args[0], p->hi = p->loop->args[1], p->init = p->loop->args[2];
    p->type = qn__type_of(ir, p->init);
    if (p->type != QN__TYPE_F32 && p->type != QN__TYPE_F64) return false;
    for (uint32_t i = 0; i < 3; i++) /* the same for all points */
        if (qn__region_of_value(ir, p->loop->args[i]) == p->region) return false;
    if (!choose_dimensions(ir, p, fma->args[0], fma->args[1])) return false;
    p->rows_along_terms = along_terms(ir, p, p->rows);
    p->columns_along_terms = along_terms(ir, p, p->columns);
    return true;
}

/* ---- emission ---- */

typedef struct tiles {
    qn__gpu *g;
    const product *p;
    uint32_t size, groups, own;               /* elements along a side of the tile; groups of 4 and elements in all of a thread */
    LLVMTypeRef type, quad;
    LLVMValueRef shared_rows, shared_columns; /* [2][DEPTH][size + PAD] each */
    LLVMValueRef thread, x, y;                /* i64 */
    LLVMValueRef row, column;                 /* first of the tile, from 0 */
    LLVMValueRef row_count, column_count, lo, hi;
    LLVMValueRef fetched_rows[MAX_TILE], fetched_columns[MAX_TILE]; /* in memory */
    LLVMValueRef chain[MAX_TILE][MAX_TILE];   /* in memory */
    LLVMValueRef buffer;                      /* i64 in memory: 0 or 1 */
    uint32_t *emitted, round;                 /* by value: in which round its instruction was emitted */
} tiles;

static LLVMValueRef plus(tiles *t, LLVMValueRef a, uint64_t k) { return LLVMBuildAdd(t->g->e->builder, a, l_i64(t->g->e, (int64_t)k), ""); }
static LLVMValueRef add(tiles *t, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildAdd(t->g->e->builder, a, b, ""); }
static LLVMValueRef times(tiles *t, LLVMValueRef a, uint64_t k) { return LLVMBuildMul(t->g->e->builder, a, l_i64(t->g->e, (int64_t)k), ""); }

/* Emits what a value needs of the stage and the loop's body, in this round once. */
static void emit_slice(tiles *t, qn__value v) {
    const qn__ir *ir = t->g->ir;
    const qn__instr *instr = qn__definition(ir, v);
    if (!instr || (instr->region != t->p->region && instr->region != t->p->body) || t->emitted[v] == t->round) return;
    t->emitted[v] = t->round;
    for (uint32_t i = 0; i < instr->arg_count; i++) emit_slice(t, instr->args[i]);
    qn__emit_instr(t->g->e, instr);
}

static LLVMValueRef operand(tiles *t, qn__value v, uint32_t dimension, LLVMValueRef index, LLVMValueRef term) {
    qn__emitter *e = t->g->e;
    t->round++;
    l_set(e, qn__region_param(e->ir, t->p->region, dimension), add(t, e->point.lo[dimension], index));
    l_set(e, qn__region_param(e->ir, t->p->body, 0), term);
    emit_slice(t, v);
    return l_scalar(e, v);
}

/* Which element of a tile the thread's i-th one is: along the tile's side, and in depth. */
static void element_of(tiles *t, bool along, uint32_t i, LLVMValueRef *side, LLVMValueRef *depth) {
    qn__emitter *e = t->g->e;
    LLVMValueRef number = plus(t, t->thread, (uint64_t)i * THREADS), by = l_i64(e, along ? DEPTH : t->size);
    LLVMValueRef fast = LLVMBuildURem(e->builder, number, by, ""), slow = LLVMBuildUDiv(e->builder, number, by, "");
    *side = along ? slow : fast;
    *depth = along ? fast : slow;
}

static void fetch(tiles *t, LLVMValueRef from) {
    qn__emitter *e = t->g->e;
    LLVMValueRef side, depth, last = plus(t, t->hi, UINT64_MAX);
    for (uint32_t i = 0; i < t->size * DEPTH / THREADS; i++) {
        element_of(t, t->p->rows_along_terms, i, &side, &depth);
        LLVMValueRef row = l_call2(e, "llvm.smin", add(t, t->row, side), plus(t, t->row_count, UINT64_MAX));
        l_store(e, operand(t, t->p->rows, t->p->row, row, l_call2(e, "llvm.smin", add(t, from, depth), last)), t->fetched_rows[i]);
        element_of(t, t->p->columns_along_terms, i, &side, &depth);
        LLVMValueRef column = l_call2(e, "llvm.smin", add(t, t->column, side), plus(t, t->column_count, UINT64_MAX));
        l_store(e, operand(t, t->p->columns, t->p->column, column, l_call2(e, "llvm.smin", add(t, from, depth), last)), t->fetched_columns[i]);
    }
}

static LLVMValueRef place(tiles *t, LLVMValueRef shared, LLVMValueRef buffer, LLVMValueRef depth, LLVMValueRef side) {
    LLVMValueRef line = add(t, times(t, buffer, DEPTH), depth);
    return l_gep(t->g->e, t->type, shared, add(t, times(t, line, t->size + PAD), side));
}

static void keep_fetched(tiles *t, LLVMValueRef buffer) {
    qn__emitter *e = t->g->e;
    LLVMValueRef side, depth;
    for (uint32_t i = 0; i < t->size * DEPTH / THREADS; i++) {
        element_of(t, t->p->rows_along_terms, i, &side, &depth);
        l_store(e, l_load(e, t->type, t->fetched_rows[i]), place(t, t->shared_rows, buffer, depth, side));
        element_of(t, t->p->columns_along_terms, i, &side, &depth);
        l_store(e, l_load(e, t->type, t->fetched_columns[i]), place(t, t->shared_columns, buffer, depth, side));
    }
}

/* The thread's elements of one line: groups of four, a quarter or half of the tile apart. */
static void read_line(tiles *t, LLVMValueRef shared, LLVMValueRef buffer, LLVMValueRef depth, LLVMValueRef at, LLVMValueRef *out) {
    qn__emitter *e = t->g->e;
    for (uint32_t i = 0; i < t->groups; i++) {
        LLVMValueRef quad = l_load(e, t->quad, place(t, shared, buffer, depth, plus(t, times(t, at, GROUP), (uint64_t)i * SIDE * GROUP)));
        LLVMSetAlignment(quad, 16);
        for (uint32_t k = 0; k < GROUP; k++) out[i * GROUP + k] = LLVMBuildExtractElement(e->builder, quad, l_i32(e, k), "");
    }
}

static void one_term(tiles *t, LLVMValueRef buffer, LLVMValueRef depth) {
    qn__emitter *e = t->g->e;
    LLVMValueRef a[MAX_TILE], b[MAX_TILE];
    read_line(t, t->shared_rows, buffer, depth, t->y, a);
    read_line(t, t->shared_columns, buffer, depth, t->x, b);
    for (uint32_t i = 0; i < t->own; i++)
        for (uint32_t k = 0; k < t->own; k++) {
            LLVMValueRef args[3] = {a[i], b[k], l_load(e, t->type, t->chain[i][k])};
            l_store(e, l_intrinsic(e, "llvm.fma", &t->type, 1, args, 3), t->chain[i][k]);
        }
}

static void use_tile(tiles *t, LLVMValueRef left) {
    qn__emitter *e = t->g->e;
    LLVMBasicBlockRef whole = l_block(e, "whole"), part = l_block(e, "part"), used = l_block(e, "used");
    LLVMValueRef buffer = l_load(e, e->i64, t->buffer);
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntSGE, left, l_i64(e, DEPTH), ""), whole, part);
    l_enter(e, whole);
    for (uint32_t i = 0; i < DEPTH; i++) one_term(t, buffer, l_i64(e, i));
    l_jump(e, used);
    l_enter(e, part);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_i64(e, 0), left);
    one_term(t, buffer, loop.iv);
    l_loop_end(e, &loop, plus(t, loop.iv, 1));
    l_jump(e, used);
    l_enter(e, used);
}

static void all_terms(tiles *t) {
    qn__emitter *e = t->g->e;
    LLVMBasicBlockRef first = l_block(e, "first"), body = l_block(e, "depth"), more = l_block(e, "more"), use = l_block(e, "use"), keep = l_block(e, "keep"),
                      next = l_block(e, "next"), end = l_block(e, "summed");
    LLVMValueRef at = l_alloca(e, e->i64);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, t->lo, t->hi, ""), first, end);
    l_enter(e, first);
    fetch(t, t->lo);
    keep_fetched(t, l_i64(e, 0));
    l_store(e, l_i64(e, 0), t->buffer);
    l_store(e, t->lo, at);
    qn__barrier(t->g);
    l_jump(e, body);
    l_enter(e, body);
    LLVMValueRef now = l_load(e, e->i64, at), following = plus(t, now, DEPTH), goes_on = LLVMBuildICmp(e->builder, LLVMIntSLT, following, t->hi, "");
    l_branch(e, goes_on, more, use);
    l_enter(e, more);
    fetch(t, following);
    l_jump(e, use);
    l_enter(e, use);
    use_tile(t, LLVMBuildSub(e->builder, t->hi, now, ""));
    LLVMValueRef other = LLVMBuildXor(e->builder, l_load(e, e->i64, t->buffer), l_i64(e, 1), "");
    l_branch(e, goes_on, keep, next);
    l_enter(e, keep);
    keep_fetched(t, other);
    l_jump(e, next);
    l_enter(e, next);
    qn__barrier(t->g);
    l_store(e, other, t->buffer);
    l_store(e, following, at);
    l_branch(e, goes_on, body, end);
    l_enter(e, end);
}

/* The rest of the stage for one element: what is done with the sum, and the store. */
static void finish(tiles *t, uint32_t i, uint32_t k) {
    qn__emitter *e = t->g->e;
    const product *p = t->p;
    LLVMValueRef row = plus(t, add(t, t->row, times(t, t->y, GROUP)), (uint64_t)(i / GROUP) * SIDE * GROUP + i % GROUP);
    LLVMValueRef column = plus(t, add(t, t->column, times(t, t->x, GROUP)), (uint64_t)(k / GROUP) * SIDE * GROUP + k % GROUP);
    LLVMBasicBlockRef inside = l_block(e, "inside"), after = l_block(e, "after");
    LLVMValueRef fits = LLVMBuildICmp(e->builder, LLVMIntSLT, row, t->row_count, "");
    fits = LLVMBuildAnd(e->builder, fits, LLVMBuildICmp(e->builder, LLVMIntSLT, column, t->column_count, ""), "");
    l_branch(e, fits, inside, after);
    l_enter(e, inside);
    l_set(e, qn__region_param(e->ir, p->region, p->row), add(t, e->point.lo[p->row], row));
    l_set(e, qn__region_param(e->ir, p->region, p->column), add(t, e->point.lo[p->column], column));
    l_set(e, p->loop->first_result, l_load(e, t->type, t->chain[i][k]));
    for (qn__instr_ref ref = e->ir->regions[p->region].first; ref; ref = e->ir->instrs[ref].next)
        if (&e->ir->instrs[ref] != p->loop) qn__emit_instr(e, &e->ir->instrs[ref]);
    l_jump(e, after);
    l_enter(e, after);
}

/* One tile; the indices of the other dimensions are set. */
static void emit_tile(tiles *t) {
    qn__emitter *e = t->g->e;
    LLVMValueRef init = l_scalar(e, t->p->init);
    for (uint32_t i = 0; i < t->own; i++)
        for (uint32_t k = 0; k < t->own; k++) l_store(e, init, t->chain[i][k]);
    all_terms(t);
    for (uint32_t i = 0; i < t->own; i++)
        for (uint32_t k = 0; k < t->own; k++) finish(t, i, k);
}

static void open_axis(qn__gpu *g, qn__loop *loop, const char *block, LLVMValueRef count) { l_loop_begin(g->e, loop, NULL, qn__register(g, block), count); }

static void close_axis(qn__gpu *g, qn__loop *loop, const char *blocks) {
    l_loop_end(g->e, loop, LLVMBuildAdd(g->e->builder, loop->iv, qn__register(g, blocks), ""));
}

/* Indices of the dimensions that are neither rows nor columns. */
static void set_others(tiles *t, LLVMValueRef number, const LLVMValueRef *extent) {
    qn__emitter *e = t->g->e;
    for (uint32_t d = t->p->rank; d-- > 0;) {
        if (d == t->p->row || d == t->p->column) continue;
        l_set(e, qn__region_param(e->ir, t->p->region, d), add(t, e->point.lo[d], LLVMBuildURem(e->builder, number, extent[d], "")));
        number = LLVMBuildUDiv(e->builder, number, extent[d], "");
    }
}

static bool prepare(tiles *t) {
    qn__emitter *e = t->g->e;
    uint32_t words = 2 * DEPTH * (t->size + PAD);
    t->type = l_type(e, t->p->type);
    t->quad = LLVMVectorType(t->type, GROUP);
    t->shared_rows = qn__shared(t->g, t->type, words, "rows");
    t->shared_columns = qn__shared(t->g, t->type, words, "columns");
    t->thread = qn__register(t->g, "tid.x");
    t->x = LLVMBuildURem(e->builder, t->thread, l_i64(e, SIDE), "");
    t->y = LLVMBuildUDiv(e->builder, t->thread, l_i64(e, SIDE), "");
    t->buffer = l_alloca(e, e->i64);
    t->lo = l_scalar(e, t->p->lo);
    t->hi = l_scalar(e, t->p->hi);
    for (uint32_t i = 0; i < MAX_TILE; i++) {
        t->fetched_rows[i] = l_alloca(e, t->type);
        t->fetched_columns[i] = l_alloca(e, t->type);
        for (uint32_t k = 0; k < MAX_TILE; k++) t->chain[i][k] = l_alloca(e, t->type);
    }
    t->emitted = QN__ARENA_ARRAY(e->arena, uint32_t, (size_t)e->ir->value_count + 1);
    return t->emitted || qn__fail(e, "out of memory");
}

static void emit_product(tiles *t) {
    qn__gpu *g = t->g;
    qn__emitter *e = g->e;
    qn__box box;
    qn__box_measure(g, t->p->stage, &box);
    if (!prepare(t)) return;
    t->row_count = box.extent[t->p->row];
    t->column_count = box.extent[t->p->column];
    LLVMValueRef others = l_i64(e, 1), size = l_i64(e, t->size), tile_rows = LLVMBuildUDiv(e->builder, plus(t, t->row_count, t->size - 1), size, "");
    LLVMValueRef tile_columns = LLVMBuildUDiv(e->builder, plus(t, t->column_count, t->size - 1), size, "");
    for (uint32_t d = 0; d < t->p->rank; d++)
        if (d != t->p->row && d != t->p->column) others = LLVMBuildMul(e->builder, others, box.extent[d], "");
    qn__loop x, y, z;
    open_axis(g, &z, "ctaid.z", others);
    set_others(t, z.iv, box.extent);
    open_axis(g, &y, "ctaid.y", tile_rows);
    t->row = times(t, y.iv, t->size);
    open_axis(g, &x, "ctaid.x", tile_columns);
    t->column = times(t, x.iv, t->size);
    emit_tile(t);
    close_axis(g, &x, "nctaid.x");
    close_axis(g, &y, "nctaid.y");
    close_axis(g, &z, "nctaid.z");
}

/* ---- the plan ---- */

typedef struct counts { uint32_t rows, columns, others; } counts; /* slots */

static void launch_tiles(qn__gpu *g, const product *p, uint32_t size, const counts *c) {
    qn__unit unit;
    tiles t = {.g = g, .p = p, .size = size, .own = size / SIDE, .groups = size / SIDE / GROUP};
    qn__unit_begin(g, &unit, size == SIDE * MAX_TILE ? "product" : "product_small", p->stage->location, THREADS, 1, 1);
    unit.resident = 2;
    unit.barriers = true;
    qn__unit_instr(g, &unit, p->stage);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    g->e->constant = g->constant;
    emit_product(&t);
    g->e->constant = NULL;
    qn__entry_end(g);
    uint32_t less = qn__plan_constant(g, size - 1), by = qn__plan_constant(g, size);
    uint32_t tile_columns = qn__plan_binary(g, QN__OP_DIV, qn__plan_binary(g, QN__OP_ADD, c->columns, less), by);
    uint32_t tile_rows = qn__plan_binary(g, QN__OP_DIV, qn__plan_binary(g, QN__OP_ADD, c->rows, less), by);
    qn__plan_launch(g, &unit, symbol, qn__level_product(g, tile_columns, qn__plan_constant(g, THREADS)), tile_rows, c->others);
}

static uint32_t unless_at_least(qn__gpu *g, uint32_t slot, uint64_t limit) {
    uint32_t enough = qn__plan_binary(g, QN__OP_GE, slot, qn__plan_constant(g, limit));
    return qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_UNLESS}, &enough, 1);
}

static counts count_all(qn__gpu *g, const product *p) {
    counts c = {.others = qn__plan_constant(g, 1)};
    for (uint32_t d = 0; d < p->rank; d++) {
        uint32_t n = qn__level_count(g, p->stage->args[2 * d], p->stage->args[2 * d + 1]);
        if (d == p->row) c.rows = n;
        else if (d == p->column) c.columns = n;
        else c.others = qn__level_product(g, c.others, n);
    }
    return c;
}

/* The host takes tiles of 128 where they are enough to fill a device, of 64 where rows and columns fill most of one, else the plain loop. */
bool qn__gpu_contraction(qn__gpu *g, const qn__instr *stage) {
    enum { LARGE = SIDE * MAX_TILE, SMALL = LARGE / 2, FILLS = 96 };
    product p;
    if (!(stage->flags & QN__CONTRACTION) || !recognise(g->ir, stage, &p)) return false;
    counts c = count_all(g, &p);
    uint32_t few_rows = unless_at_least(g, c.rows, SMALL / 2), few_columns = unless_at_least(g, c.columns, SMALL / 2), ends[2] = {0}, end_count = 0;
    if (p.type == QN__TYPE_F32) {
        uint32_t area = qn__level_product(g, qn__level_product(g, c.rows, c.columns), c.others);
        uint32_t small = unless_at_least(g, area, (uint64_t)FILLS * LARGE * LARGE);
        launch_tiles(g, &p, LARGE, &c);
        ends[end_count++] = qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_JUMP}, NULL, 0);
        qn__plan_target(g, small);
    }
    launch_tiles(g, &p, SMALL, &c);
    ends[end_count++] = qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_JUMP}, NULL, 0);
    qn__plan_target(g, few_rows);
    qn__plan_target(g, few_columns);
    qn__gpu_plain(g, stage);
    for (uint32_t i = 0; i < end_count; i++) qn__plan_target(g, ends[i]);
    return true;
}
