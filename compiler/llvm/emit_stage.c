/* parallel, keep, scan.
 *
 * A stage is a function that does some parts of it (emit_outline.c), or code in the kernel. A box of points is walked in row-major order: scalar loops over all dimensions but the last, and the last in spans. A
 * span is cut into chunks of 4096 points; a chunk begins with a poll, then comes the vector loop, then the scalar loop
 * for what is left (or, for long bodies, one loop under masks and nothing else). The two share one counter in memory, so that
 * vector code may hand over to the scalar loop. */
#include "compiler/llvm/internal.h"

#include <string.h>

enum { CHUNK = 4096, LONG_POINT = 100 };

static qn__base *enter_stage(qn__emitter *e, const qn__instr *stage) {
    qn__base *saved = qn__arena_alloc(e->arena, (e->ir->array_count + 1) * sizeof *saved);
    if (saved) qn__hoist_bases(e, stage, saved);
    else qn__fail(e, "out of memory");
    return saved;
}

/* Uniform but for iv, which is linear. */
static void shape_point(qn__emitter *e, qn__region_ref region, uint32_t rank) {
    for (uint32_t d = 0; d < rank; d++)
        e->shapes[qn__region_param(e->ir, region, d)] = d + 1 == rank ? (qn__shape){QN__LINEAR, 1} : (qn__shape){QN__UNIFORM, 0};
}

/* Scalar points are uniform to the reductions inside them. */
static uint32_t plan(qn__emitter *e, const qn__instr *stage, uint32_t rank) {
    shape_point(e, stage->regions[0], rank);
    uint32_t width = qn__plan_width(e, stage, stage->regions[0]);
    if (width == 1) e->shapes[qn__region_param(e->ir, stage->regions[0], rank - 1)] = (qn__shape){QN__UNIFORM, 0};
    return width;
}

static void emit_point(qn__emitter *e, qn__region_ref region, LLVMValueRef iv) {
    e->point.iv[e->point.rank - 1] = iv;
    for (uint32_t d = 0; d < e->point.rank; d++) l_set(e, qn__region_param(e->ir, region, d), e->point.iv[d]);
    qn__emit_region(e, region);
}

/* value - less, at least INT64_MIN */
static LLVMValueRef minus(qn__emitter *e, LLVMValueRef value, int64_t less) {
    return l_call2(e, "llvm.ssub.sat", value, l_i64(e, less));
}

static void vector_loop(qn__emitter *e, qn__region_ref region, uint32_t width, LLVMValueRef counter, LLVMValueRef lo,
                        LLVMValueRef hi, LLVMBasicBlockRef scalar) {
    e->width = width;
    e->retry = scalar;
    shape_point(e, region, e->point.rank);
    qn__shapes_region(e, region);
    qn__loop loop;
    l_loop_begin(e, &loop, counter, lo, minus(e, hi, width - 1));
    emit_point(e, region, loop.iv);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, width), ""));
    e->width = 1;
    e->retry = NULL;
    l_jump(e, scalar);
    l_enter(e, scalar);
}

/* Long bodies are emitted once, always under the mask of the lanes that are inside: half the code to compile. */
static void masked_loop(qn__emitter *e, qn__region_ref region, uint32_t width, LLVMValueRef counter, LLVMValueRef lo, LLVMValueRef hi) {
    e->width = width;
    shape_point(e, region, e->point.rank);
    qn__shapes_region(e, region);
    qn__loop loop;
    l_loop_begin(e, &loop, counter, lo, hi);
    e->mask = l_first_lanes(e, LLVMBuildSub(e->builder, hi, loop.iv, ""));
    emit_point(e, region, loop.iv);
    e->mask = NULL;
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, width), ""));
    e->width = 1;
}

/* A fault that vector code has met and the scalar loop has not. */
static void leave_if_pending(qn__emitter *e) {
    LLVMBasicBlockRef failed = l_block(e, "pending"), fine = l_block(e, "fine");
    LLVMValueRef kind = l_load(e, e->i32, e->pending);
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntEQ, kind, l_i32(e, 0), ""), fine, failed);
    l_enter(e, failed);
    qn__emit_return(e, kind);
    l_enter(e, fine);
}

static void chunk(qn__emitter *e, qn__region_ref region, uint32_t width, LLVMValueRef lo, LLVMValueRef hi) {
    LLVMValueRef counter = l_alloca(e, e->i64);
    if (width > 1 && qn__plan_masked(e, region, LONG_POINT)) {
        masked_loop(e, region, width, counter, lo, hi);
        return;
    }
    bool checks = width > 1 && qn__has_checks(e->ir, region);
    if (width > 1) {
        vector_loop(e, region, width, counter, lo, hi, l_block(e, "rest"));
        lo = l_load(e, e->i64, counter);
    }
    if (width > 1 && qn__plan_masked_rest(e, region)) {
        masked_loop(e, region, width, counter, lo, hi); /* runs once, or not at all */
        return;
    }
    qn__loop loop;
    l_loop_begin(e, &loop, counter, lo, hi);
    emit_point(e, region, loop.iv);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, 1), ""));
    if (checks) leave_if_pending(e);
}

/* Points lo..hi of the last dimension. */
static void span(qn__emitter *e, const qn__instr *stage, qn__region_ref region, uint32_t width, LLVMValueRef lo, LLVMValueRef hi) {
    LLVMValueRef at = l_alloca(e, e->i64);
    LLVMBasicBlockRef body = l_block(e, "chunk"), end = l_block(e, "span");
    l_store(e, lo, at);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, lo, hi, ""), body, end);
    l_enter(e, body);
    LLVMValueRef start = l_load(e, e->i64, at);
    LLVMValueRef left = LLVMBuildSub(e->builder, hi, start, "");
    LLVMValueRef whole = LLVMBuildICmp(e->builder, LLVMIntUGT, left, l_i64(e, CHUNK), "");
    LLVMValueRef stop = l_select(e, whole, LLVMBuildAdd(e->builder, start, l_i64(e, CHUNK), ""), hi);
    e->point.iv[e->point.rank - 1] = start;
    qn__emit_poll(e, stage->location);
    chunk(e, region, width, start, stop);
    l_store(e, stop, at);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, stop, hi, ""), body, end);
    l_enter(e, end);
}

static LLVMValueRef clamp(qn__emitter *e, LLVMValueRef v, LLVMValueRef lo, LLVMValueRef hi) {
    return l_call2(e, "llvm.smin", l_call2(e, "llvm.smax", v, lo), hi);
}

/* A row of a stage with an inner box: outer, inner, outer points; a row outside the box is all outer. Both regions are
 * emitted once, in a loop of two turns: [lo, a) outer, [a, b) inner, then [b, hi) outer, nothing inner. */
static void split_row(qn__emitter *e, const qn__instr *stage, uint32_t width, LLVMValueRef lo, LLVMValueRef hi) {
    uint32_t rank = e->point.rank, last = rank - 1;
    LLVMValueRef inside = l_int(e, e->i1, 1);
    for (uint32_t d = 0; d < last; d++) {
        LLVMValueRef from = l_scalar(e, stage->args[2 * (rank + d)]), to = l_scalar(e, stage->args[2 * (rank + d) + 1]);
        inside = LLVMBuildAnd(e->builder, inside, LLVMBuildICmp(e->builder, LLVMIntSGE, e->point.iv[d], from, ""), "");
        inside = LLVMBuildAnd(e->builder, inside, LLVMBuildICmp(e->builder, LLVMIntSLT, e->point.iv[d], to, ""), "");
    }
    LLVMValueRef a = clamp(e, l_scalar(e, stage->args[2 * (rank + last)]), lo, hi);
    LLVMValueRef b = clamp(e, l_scalar(e, stage->args[2 * (rank + last) + 1]), a, hi);
    a = l_select(e, inside, a, hi);
    b = l_select(e, inside, b, hi);
    qn__loop turn;
    l_loop_begin(e, &turn, NULL, l_i64(e, 0), l_i64(e, 2));
    LLVMValueRef first = LLVMBuildICmp(e->builder, LLVMIntEQ, turn.iv, l_i64(e, 0), "");
    LLVMValueRef from = l_select(e, first, lo, b), middle = l_select(e, first, a, hi), to = l_select(e, first, b, hi);
    span(e, stage, stage->regions[1], 1, from, middle);
    span(e, stage, stage->regions[0], width, middle, to);
    l_loop_end(e, &turn, LLVMBuildAdd(e->builder, turn.iv, l_i64(e, 1), ""));
}

static void row(qn__emitter *e, const qn__instr *stage, uint32_t width, LLVMValueRef lo, LLVMValueRef hi) {
    if (stage->region_count == 2) split_row(e, stage, width, lo, hi);
    else span(e, stage, stage->regions[0], width, lo, hi);
}

/* ---- boxes, in parts: rows, or chunks of rows that are longer than one ---- */

/* A box's parts, numbered in row-major order. */
typedef struct parts {
    LLVMValueRef extent[QN__MAX_RANK]; /* at least 0 */
    LLVMValueRef per_row, count;       /* chunks of a row; all parts, INT64_MAX where there are more */
} parts;

static uint32_t box_rank(const qn__instr *stage) { return stage->op == QN__OP_KEEP ? stage->arg_count / 2 : (uint32_t)stage->imm; }

static LLVMValueRef times(qn__emitter *e, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef pair = l_call2(e, "llvm.smul.with.overflow", a, b);
    LLVMValueRef product = LLVMBuildExtractValue(e->builder, pair, 0, ""), over = LLVMBuildExtractValue(e->builder, pair, 1, "");
    return l_select(e, over, l_i64(e, INT64_MAX), product);
}

/* An extent above INT64_MAX, of a box that nobody can walk to its end, is taken for INT64_MAX. */
static LLVMValueRef extent_of(qn__emitter *e, LLVMValueRef lo, LLVMValueRef hi) {
    LLVMValueRef n = l_call2(e, "llvm.ssub.sat", hi, lo);
    return l_call2(e, "llvm.smax", n, l_i64(e, 0));
}

static parts parts_of(qn__emitter *e, const qn__instr *stage) {
    const uint32_t rank = box_rank(stage);
    parts p;
    for (uint32_t d = 0; d < rank; d++) p.extent[d] = extent_of(e, l_scalar(e, stage->args[2 * d]), l_scalar(e, stage->args[2 * d + 1]));
    LLVMValueRef n = p.extent[rank - 1];
    LLVMValueRef more = LLVMBuildAnd(e->builder, n, l_i64(e, CHUNK - 1), "");
    LLVMValueRef incomplete = LLVMBuildZExt(e->builder, LLVMBuildICmp(e->builder, LLVMIntNE, more, l_i64(e, 0), ""), e->i64, "");
    p.per_row = LLVMBuildAdd(e->builder, LLVMBuildLShr(e->builder, n, l_i64(e, 12), ""), incomplete, "");
    p.count = p.per_row;
    for (uint32_t d = 0; d + 1 < rank; d++) p.count = times(e, p.count, p.extent[d]);
    return p;
}

static LLVMValueRef chunk_start(qn__emitter *e, LLVMValueRef lo, LLVMValueRef number) {
    return LLVMBuildAdd(e->builder, lo, LLVMBuildShl(e->builder, number, l_i64(e, 12), ""), "");
}

/* iv of the dimensions before the last, of row `number`. */
static void find_row(qn__emitter *e, const parts *p, LLVMValueRef number, LLVMValueRef *iv) {
    for (uint32_t d = e->point.rank - 1; d-- > 0;) {
        LLVMValueRef index = number;
        if (d > 0) {
            index = LLVMBuildURem(e->builder, number, p->extent[d], "");
            number = LLVMBuildUDiv(e->builder, number, p->extent[d], "");
        }
        l_store(e, LLVMBuildAdd(e->builder, e->point.lo[d], index, ""), iv[d]);
    }
}

static void next_row(qn__emitter *e, LLVMValueRef *iv) {
    LLVMValueRef carry = l_i64(e, 1);
    for (uint32_t d = e->point.rank - 1; d-- > 0;) {
        LLVMValueRef next = LLVMBuildAdd(e->builder, l_load(e, e->i64, iv[d]), carry, "");
        if (d > 0) {
            LLVMValueRef full = LLVMBuildICmp(e->builder, LLVMIntEQ, next, e->point.hi[d], "");
            carry = LLVMBuildZExt(e->builder, full, e->i64, "");
            next = l_select(e, full, e->point.lo[d], next);
        }
        l_store(e, next, iv[d]);
    }
}

/* Row after row, the first and the last perhaps in part; p is needed where rows are more than one. */
static void rows(qn__emitter *e, const qn__instr *stage, uint32_t width, const parts *p, LLVMValueRef begin, LLVMValueRef end) {
    const uint32_t last = e->point.rank - 1;
    LLVMValueRef iv[QN__MAX_RANK], at = l_alloca(e, e->i64), skip = l_alloca(e, e->i64);
    for (uint32_t d = 0; d < last; d++) iv[d] = l_alloca(e, e->i64);
    LLVMBasicBlockRef some = l_block(e, "some"), body = l_block(e, "row"), done = l_block(e, "rows");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, begin, end, ""), some, done);
    l_enter(e, some);
    find_row(e, p, LLVMBuildUDiv(e->builder, begin, p->per_row, ""), iv);
    l_store(e, LLVMBuildURem(e->builder, begin, p->per_row, ""), skip);
    l_store(e, begin, at);
    l_jump(e, body);
    l_enter(e, body);
    LLVMValueRef now = l_load(e, e->i64, at), first = l_load(e, e->i64, skip);
    LLVMValueRef left = LLVMBuildSub(e->builder, end, now, ""), rest = LLVMBuildSub(e->builder, p->per_row, first, "");
    LLVMValueRef whole = LLVMBuildICmp(e->builder, LLVMIntSGE, left, rest, ""), count = l_select(e, whole, rest, left);
    for (uint32_t d = 0; d < last; d++) e->point.iv[d] = l_load(e, e->i64, iv[d]);
    LLVMValueRef from = chunk_start(e, e->point.lo[last], first);
    row(e, stage, width, from, l_select(e, whole, e->point.hi[last], chunk_start(e, from, count)));
    next_row(e, iv);
    LLVMValueRef next = LLVMBuildAdd(e->builder, now, count, "");
    l_store(e, next, at);
    l_store(e, l_i64(e, 0), skip);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, next, end, ""), body, done);
    l_enter(e, done);
}

/* Parts begin .. end; NULL: all. */
static void box(qn__emitter *e, const qn__instr *stage, uint32_t width, LLVMValueRef begin, LLVMValueRef end) {
    const uint32_t rank = box_rank(stage), last = rank - 1;
    qn__loop loops[QN__MAX_RANK];
    for (uint32_t d = 0; d < rank; d++) {
        e->point.lo[d] = l_scalar(e, stage->args[2 * d]);
        e->point.hi[d] = l_scalar(e, stage->args[2 * d + 1]);
    }
    e->point.rank = rank;
    if (begin) {
        const parts p = parts_of(e, stage);
        if (rank > 1) {
            rows(e, stage, width, &p, begin, end);
            return;
        }
        LLVMValueRef whole = LLVMBuildICmp(e->builder, LLVMIntSGE, end, p.count, "");
        row(e, stage, width, chunk_start(e, e->point.lo[0], begin), l_select(e, whole, e->point.hi[0], chunk_start(e, e->point.lo[0], end)));
        return;
    }
    for (uint32_t d = 0; d < last; d++) {
        l_loop_begin(e, &loops[d], NULL, e->point.lo[d], e->point.hi[d]);
        e->point.iv[d] = loops[d].iv;
    }
    row(e, stage, width, e->point.lo[last], e->point.hi[last]);
    for (uint32_t d = last; d-- > 0;)
        l_loop_end(e, &loops[d], LLVMBuildAdd(e->builder, loops[d].iv, l_i64(e, 1), ""));
}

/* ---- parallel ---- */

static void parallel_body(qn__emitter *e, const qn__instr *stage, LLVMValueRef begin, LLVMValueRef end) {
    qn__base *saved = enter_stage(e, stage);
    if (!saved) return;
    box(e, stage, plan(e, stage, box_rank(stage)), begin, end);
    e->point.rank = 0;
    qn__restore_bases(e, saved);
}

static void parallel_parts(qn__emitter *e, const qn__outline *outline, LLVMValueRef begin, LLVMValueRef end) {
    parallel_body(e, outline->stage, begin, end);
}

static void one_point(qn__emitter *e, const qn__instr *stage) {
    qn__base *saved = enter_stage(e, stage);
    if (!saved) return;
    qn__emit_poll(e, stage->location);
    qn__emit_region(e, stage->regions[0]);
    qn__restore_bases(e, saved);
}

static LLVMValueRef points_of_part(qn__emitter *e, const qn__instr *stage, const parts *p) {
    return l_call2(e, "llvm.smin", p->extent[box_rank(stage) - 1], l_i64(e, CHUNK));
}

void qn__emit_parallel(qn__emitter *e, const qn__instr *instr) {
    qn__outline outline = {.stage = instr, .body = parallel_parts, .kind = "stage"};
    if (instr->imm == 0) {
        one_point(e, instr);
    } else if (!qn__outlines(e, instr)) {
        parallel_body(e, instr, NULL, NULL);
    } else if (qn__outline_function(e, &outline)) {
        const parts p = parts_of(e, instr);
        qn__outline_call(e, &outline, p.count, points_of_part(e, instr, &p), false);
    }
}

/* ---- keep: once to count, once to fill ----
 *
 * In parts: groups of consecutive parts of the box, as many as there are partial results at most. The first pass leaves each group's count in
 * memory, the kernel makes places of the counts, and the second pass fills from there. */

static LLVMValueRef keep_pass(qn__emitter *e, const qn__instr *instr, bool counting, LLVMValueRef first, LLVMValueRef begin, LLVMValueRef end) {
    qn__base *saved = enter_stage(e, instr);
    if (!saved) return l_i64(e, 0);
    e->counting = counting;
    l_store(e, first, e->pushed);
    box(e, instr, plan(e, instr, box_rank(instr)), begin, end);
    e->point.rank = 0;
    qn__restore_bases(e, saved);
    return l_load(e, e->i64, e->pushed);
}

static void allocate_kept(qn__emitter *e, const qn__instr *instr, LLVMValueRef count) {
    for (uint32_t i = 0; i < instr->list_count; i++) qn__emit_allocate(e, instr->list[i], &count, 1, instr->location);
}

static void keep_whole(qn__emitter *e, const qn__instr *instr) {
    e->pushed = l_alloca(e, e->i64);
    LLVMValueRef count = keep_pass(e, instr, true, l_i64(e, 0), NULL, NULL);
    allocate_kept(e, instr, count);
    e->kept = count;
    keep_pass(e, instr, false, l_i64(e, 0), NULL, NULL);
    l_set(e, instr->first_result, count);
}

enum { GROUP, PLACES }; /* extra values: parts of a group; memory for counts and places */

/* Groups begin .. end. */
static void keep_groups(qn__emitter *e, const qn__outline *outline, LLVMValueRef begin, LLVMValueRef end) {
    const bool counting = *(const bool *)outline->context;
    LLVMValueRef group = outline->extra[GROUP], places = outline->extra[PLACES], all = parts_of(e, outline->stage).count;
    qn__loop loop;
    e->pushed = l_alloca(e, e->i64);
    l_loop_begin(e, &loop, NULL, begin, end);
    LLVMValueRef place = l_gep(e, e->i64, places, loop.iv), next = l_gep(e, e->i64, places, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, 1), ""));
    LLVMValueRef from = LLVMBuildMul(e->builder, loop.iv, group, "");
    LLVMValueRef left = LLVMBuildSub(e->builder, all, from, "");
    LLVMValueRef to = LLVMBuildAdd(e->builder, from, l_call2(e, "llvm.smin", left, group), "");
    if (!counting) e->kept = l_load(e, e->i64, next);
    LLVMValueRef pushed = keep_pass(e, outline->stage, counting, counting ? l_i64(e, 0) : l_load(e, e->i64, place), from, to);
    if (counting) l_store(e, pushed, place);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, 1), ""));
}

/* Counts become places; behind the last stands the sum, which is returned. */
static LLVMValueRef places_of_counts(qn__emitter *e, LLVMValueRef places, LLVMValueRef groups) {
    LLVMValueRef sum = l_alloca(e, e->i64);
    qn__loop loop;
    l_store(e, l_i64(e, 0), sum);
    l_loop_begin(e, &loop, NULL, l_i64(e, 0), groups);
    LLVMValueRef place = l_gep(e, e->i64, places, loop.iv), before = l_load(e, e->i64, sum);
    l_store(e, LLVMBuildAdd(e->builder, before, l_load(e, e->i64, place), ""), sum);
    l_store(e, before, place);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, 1), ""));
    LLVMValueRef total = l_load(e, e->i64, sum);
    l_store(e, total, l_gep(e, e->i64, places, groups));
    return total;
}

/* ceil(a / b) for a of at least 0, b of at least 1 */
static LLVMValueRef ratio(qn__emitter *e, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef some = LLVMBuildICmp(e->builder, LLVMIntNE, LLVMBuildURem(e->builder, a, b, ""), l_i64(e, 0), "");
    return LLVMBuildAdd(e->builder, LLVMBuildUDiv(e->builder, a, b, ""), LLVMBuildZExt(e->builder, some, e->i64, ""), "");
}

static void keep_parts(qn__emitter *e, const qn__instr *instr) {
    bool counting = true;
    qn__outline count = {.stage = instr, .body = keep_groups, .context = &counting, .extra_count = 2, .kind = "count"};
    const parts p = parts_of(e, instr);
    LLVMValueRef shared = l_call2(e, "llvm.smax", ratio(e, p.count, l_i64(e, QN__MAX_PARTIALS)), l_i64(e, 1));
    LLVMValueRef group = l_select(e, qn__has_threads(e), shared, l_call2(e, "llvm.smax", p.count, l_i64(e, 1)));
    LLVMValueRef groups = ratio(e, p.count, group);
    LLVMValueRef points = times(e, points_of_part(e, instr, &p), group);
    count.extra[GROUP] = group;
    count.extra[PLACES] = qn__partials(e, QN__MAX_PARTIALS + 1);
    qn__outline fill = count;
    fill.kind = "fill";
    if (!qn__outline_function(e, &count)) return;
    qn__outline_call(e, &count, groups, points, false);
    LLVMValueRef total = places_of_counts(e, count.extra[PLACES], groups);
    allocate_kept(e, instr, total);
    counting = false;
    if (!qn__outline_function(e, &fill)) return;
    qn__outline_call(e, &fill, groups, points, false);
    l_set(e, instr->first_result, total);
}

void qn__emit_keep(qn__emitter *e, const qn__instr *instr) {
    e->keep = instr;
    if (qn__outlines(e, instr)) keep_parts(e, instr);
    else keep_whole(e, instr);
    e->keep = NULL;
}

/* ---- scan: one pass, runs of 64 terms ---- */

static void bind(qn__emitter *e, qn__region_ref region, uint32_t first, LLVMValueRef *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) l_set(e, qn__region_param(e->ir, region, first + i), values[i]);
}

static void yielded(qn__emitter *e, qn__region_ref region, LLVMValueRef *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) values[i] = l_scalar(e, qn__yield_of(e->ir, region)->args[i]);
}

static void combine(qn__emitter *e, qn__region_ref region, LLVMValueRef *a, LLVMValueRef *b, LLVMValueRef *out, uint32_t count) {
    bind(e, region, 0, a, count);
    bind(e, region, count, b, count);
    qn__emit_region(e, region);
    yielded(e, region, out, count);
}

typedef struct scan_state {
    uint32_t count;
    LLVMValueRef carry[QN__MAX_SCAN], local[QN__MAX_SCAN]; /* in memory */
    LLVMTypeRef type[QN__MAX_SCAN];
} scan_state;

static void read_state(qn__emitter *e, const scan_state *s, const LLVMValueRef *from, LLVMValueRef *to) {
    for (uint32_t i = 0; i < s->count; i++) to[i] = l_load(e, s->type[i], from[i]);
}

static void write_state(qn__emitter *e, const scan_state *s, LLVMValueRef *from, const LLVMValueRef *to) {
    for (uint32_t i = 0; i < s->count; i++) l_store(e, from[i], to[i]);
}

/* One term. first: i1, it starts a run. element = combine(carry, local); at a run's end carry = combine(carry, local). */
static void scan_term(qn__emitter *e, const qn__instr *instr, scan_state *s, LLVMValueRef iv, LLVMValueRef first) {
    LLVMValueRef term[QN__MAX_SCAN], carry[QN__MAX_SCAN], local[QN__MAX_SCAN], element[QN__MAX_SCAN];
    bool exclusive = (instr->flags & QN__EXCLUSIVE) != 0;
    LLVMBasicBlockRef start = l_block(e, "start"), chain = l_block(e, "chain"), done = l_block(e, "term");
    l_set(e, qn__region_param(e->ir, instr->regions[0], 0), iv);
    qn__emit_region(e, instr->regions[0]);
    yielded(e, instr->regions[0], term, s->count);
    LLVMValueRef slots[QN__MAX_SCAN];
    for (uint32_t i = 0; i < s->count; i++) slots[i] = l_alloca(e, s->type[i]);
    l_branch(e, first, start, chain);
    l_enter(e, start);
    read_state(e, s, s->carry, carry);
    if (exclusive) write_state(e, s, carry, slots);
    write_state(e, s, term, s->local);
    l_jump(e, done);
    l_enter(e, chain);
    read_state(e, s, s->carry, carry);
    read_state(e, s, s->local, local);
    if (exclusive) {
        combine(e, instr->regions[1], carry, local, element, s->count);
        write_state(e, s, element, slots);
    }
    combine(e, instr->regions[1], local, term, element, s->count);
    write_state(e, s, element, s->local);
    l_jump(e, done);
    l_enter(e, done);
    read_state(e, s, s->carry, carry);
    if (exclusive) {
        read_state(e, s, slots, element);
    } else {
        read_state(e, s, s->local, local);
        combine(e, instr->regions[1], carry, local, element, s->count);
    }
    l_set(e, qn__region_param(e->ir, instr->regions[2], 0), iv);
    bind(e, instr->regions[2], 1, element, s->count);
    qn__emit_region(e, instr->regions[2]);
}

static void scan_run(qn__emitter *e, const qn__instr *instr, scan_state *s, LLVMValueRef lo, LLVMValueRef hi, bool nested) {
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, lo, hi);
    if (!nested) e->point.iv[0] = loop.iv;
    scan_term(e, instr, s, loop.iv, LLVMBuildICmp(e->builder, LLVMIntEQ, loop.iv, lo, ""));
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, 1), ""));
    LLVMValueRef carry[QN__MAX_SCAN], local[QN__MAX_SCAN], total[QN__MAX_SCAN];
    read_state(e, s, s->carry, carry);
    read_state(e, s, s->local, local);
    combine(e, instr->regions[1], carry, local, total, s->count);
    write_state(e, s, total, s->carry);
}

void qn__emit_scan(qn__emitter *e, const qn__instr *instr) {
    scan_state s = {.count = instr->arg_count - 2};
    if (s.count > QN__MAX_SCAN) {
        qn__fail(e, "a scan carries too many values");
        return;
    }
    bool nested = e->point.rank != 0;
    qn__base *saved = enter_stage(e, instr);
    if (!saved) return;
    for (uint32_t i = 0; i < s.count; i++) {
        s.type[i] = l_type(e, qn__type_of(e->ir, instr->args[2 + i]));
        s.carry[i] = l_alloca(e, s.type[i]);
        s.local[i] = l_alloca(e, s.type[i]);
        l_store(e, l_scalar(e, instr->args[2 + i]), s.carry[i]);
    }
    LLVMValueRef lo = l_scalar(e, instr->args[0]), hi = l_scalar(e, instr->args[1]);
    if (!nested) e->point = (qn__point){.rank = 1, .lo = {lo}, .hi = {hi}, .iv = {lo}};
    LLVMValueRef at = l_alloca(e, e->i64);
    LLVMBasicBlockRef body = l_block(e, "run"), end = l_block(e, "scanned");
    l_store(e, lo, at);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, lo, hi, ""), body, end);
    l_enter(e, body);
    LLVMValueRef start = l_load(e, e->i64, at);
    if (!nested) e->point.iv[0] = start;
    qn__emit_poll(e, instr->location);
    LLVMValueRef whole = LLVMBuildICmp(e->builder, LLVMIntUGT, LLVMBuildSub(e->builder, hi, start, ""), l_i64(e, QN__RUN), "");
    LLVMValueRef stop = l_select(e, whole, LLVMBuildAdd(e->builder, start, l_i64(e, QN__RUN), ""), hi);
    scan_run(e, instr, &s, start, stop, nested);
    l_store(e, stop, at);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, stop, hi, ""), body, end);
    l_enter(e, end);
    if (!nested) e->point.rank = 0;
    qn__restore_bases(e, saved);
}
