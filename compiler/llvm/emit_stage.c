/* parallel, keep, scan.
 *
 * A stage is a function that does some parts of it (emit_outline.c), or code in the kernel. A box of points is walked in row-major order: scalar loops over all dimensions but the last, and the last in spans. A
 * span is cut into chunks of 4096 points; a chunk begins with a poll, then comes the vector loop, then the scalar loop
 * for what is left (or, for long bodies, one loop under masks and nothing else). The two share one counter in memory, so that
 * vector code may hand over to the scalar loop. */
#include "compiler/llvm/internal.h"

#include <string.h>

enum { CHUNK = QN__PIECE, LONG_POINT = 100 };

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

/* Words of a stage that hold its box, or NULL: its operands are the box, and it is walked as a whole. */
typedef struct part { const LLVMValueRef *box; LLVMValueRef begin, end; } part;

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

/* An extent above INT64_MAX, of a box that nobody can walk to its end, is taken for INT64_MAX. The runtime counts the same. */
static parts parts_of(qn__emitter *e, const LLVMValueRef *box, uint32_t rank) {
    parts p;
    for (uint32_t d = 0; d < rank; d++) p.extent[d] = l_call2(e, "llvm.smax", l_call2(e, "llvm.ssub.sat", box[2 * d + 1], box[2 * d]), l_i64(e, 0));
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

/* From the last row of a plane (the rows that differ in the dimension before the last only) to the first of the next. */
static void next_plane(qn__emitter *e, LLVMValueRef *iv) {
    const uint32_t row_dimension = e->point.rank - 2;
    LLVMValueRef carry = l_i64(e, 1);
    l_store(e, e->point.lo[row_dimension], iv[row_dimension]);
    for (uint32_t d = row_dimension; d-- > 0;) {
        LLVMValueRef next = LLVMBuildAdd(e->builder, l_load(e, e->i64, iv[d]), carry, "");
        if (d > 0) {
            LLVMValueRef full = LLVMBuildICmp(e->builder, LLVMIntEQ, next, e->point.hi[d], "");
            carry = LLVMBuildZExt(e->builder, full, e->i64, "");
            next = l_select(e, full, e->point.lo[d], next);
        }
        l_store(e, next, iv[d]);
    }
}

/* Row after row, the first and the last perhaps in part; a loop over the planes around that where there are more than two dimensions, so that
 * what depends on the plane is computed once for it. */
static void rows(qn__emitter *e, const qn__instr *stage, uint32_t width, const parts *p, LLVMValueRef begin, LLVMValueRef end) {
    const uint32_t last = e->point.rank - 1;
    LLVMValueRef iv[QN__MAX_RANK], at = l_alloca(e, e->i64), skip = l_alloca(e, e->i64);
    for (uint32_t d = 0; d < last; d++) iv[d] = l_alloca(e, e->i64);
    LLVMBasicBlockRef some = l_block(e, "some"), plane = l_block(e, "plane"), body = l_block(e, "row"), done = l_block(e, "rows");
    LLVMBasicBlockRef turn = last > 1 ? l_block(e, "turn") : done;
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntSLT, begin, end, ""), some, done);
    l_enter(e, some);
    find_row(e, p, LLVMBuildUDiv(e->builder, begin, p->per_row, ""), iv);
    l_store(e, LLVMBuildURem(e->builder, begin, p->per_row, ""), skip);
    l_store(e, begin, at);
    l_jump(e, plane);
    l_enter(e, plane);
    for (uint32_t d = 0; d + 1 < last; d++) e->point.iv[d] = l_load(e, e->i64, iv[d]);
    l_jump(e, body);
    l_enter(e, body);
    LLVMValueRef now = l_load(e, e->i64, at), first = l_load(e, e->i64, skip), number = l_load(e, e->i64, iv[last - 1]);
    LLVMValueRef left = LLVMBuildSub(e->builder, end, now, ""), rest = LLVMBuildSub(e->builder, p->per_row, first, "");
    LLVMValueRef whole = LLVMBuildICmp(e->builder, LLVMIntSGE, left, rest, ""), count = l_select(e, whole, rest, left);
    e->point.iv[last - 1] = number;
    LLVMValueRef from = chunk_start(e, e->point.lo[last], first);
    row(e, stage, width, from, l_select(e, whole, e->point.hi[last], chunk_start(e, from, count)));
    LLVMValueRef next = LLVMBuildAdd(e->builder, now, count, ""), following = LLVMBuildAdd(e->builder, number, l_i64(e, 1), "");
    LLVMValueRef more = LLVMBuildICmp(e->builder, LLVMIntSLT, next, end, "");
    l_store(e, next, at);
    l_store(e, l_i64(e, 0), skip);
    l_store(e, following, iv[last - 1]);
    LLVMValueRef inside = LLVMBuildICmp(e->builder, LLVMIntSLT, following, e->point.hi[last - 1], "");
    l_branch(e, last > 1 ? LLVMBuildAnd(e->builder, more, inside, "") : more, body, turn);
    l_enter(e, turn);
    if (last == 1) return;
    next_plane(e, iv);
    l_branch(e, more, plane, done);
    l_enter(e, done);
}

/* Parts of a box of one dimension: as many points as the last of them has. */
static void piece(qn__emitter *e, const qn__instr *stage, uint32_t width, const part *some) {
    LLVMValueRef lo = e->point.lo[0], hi = e->point.hi[0];
    LLVMValueRef to = l_call2(e, "llvm.sadd.sat", lo, LLVMBuildShl(e->builder, some->end, l_i64(e, 12), ""));
    LLVMValueRef all = LLVMBuildICmp(e->builder, LLVMIntEQ, some->end, l_i64(e, INT64_MAX), "");
    row(e, stage, width, chunk_start(e, lo, some->begin), l_select(e, all, hi, l_call2(e, "llvm.smin", to, hi)));
}

static void whole_box(qn__emitter *e, const qn__instr *stage, uint32_t width) {
    const uint32_t last = e->point.rank - 1;
    qn__loop loops[QN__MAX_RANK];
    for (uint32_t d = 0; d < last; d++) {
        l_loop_begin(e, &loops[d], NULL, e->point.lo[d], e->point.hi[d]);
        e->point.iv[d] = loops[d].iv;
    }
    row(e, stage, width, e->point.lo[last], e->point.hi[last]);
    for (uint32_t d = last; d-- > 0;)
        l_loop_end(e, &loops[d], LLVMBuildAdd(e->builder, loops[d].iv, l_i64(e, 1), ""));
}

static void box(qn__emitter *e, const qn__instr *stage, uint32_t width, const part *some) {
    const uint32_t rank = box_rank(stage);
    for (uint32_t d = 0; d < rank; d++) {
        e->point.lo[d] = some->box ? some->box[2 * d] : l_scalar(e, stage->args[2 * d]);
        e->point.hi[d] = some->box ? some->box[2 * d + 1] : l_scalar(e, stage->args[2 * d + 1]);
    }
    e->point.rank = rank;
    if (!some->box) {
        whole_box(e, stage, width);
    } else if (rank == 1) {
        piece(e, stage, width, some);
    } else {
        const parts p = parts_of(e, some->box, rank);
        rows(e, stage, width, &p, some->begin, l_call2(e, "llvm.smin", some->end, p.count));
    }
    e->point.rank = 0;
}

/* The words that hand over a box, from `at` on. */
static uint32_t box_words(qn__emitter *e, const qn__instr *stage, LLVMValueRef *at) {
    const uint32_t count = 2 * box_rank(stage);
    for (uint32_t i = 0; i < count; i++) at[i] = l_scalar(e, stage->args[i]);
    return count;
}

/* ---- parallel ---- */

static void parallel_body(qn__emitter *e, const qn__instr *stage, const part *some) {
    qn__base *saved = enter_stage(e, stage);
    if (!saved) return;
    box(e, stage, plan(e, stage, box_rank(stage)), some);
    qn__restore_bases(e, saved);
}

static void parallel_parts(qn__emitter *e, const qn__outline *outline, LLVMValueRef begin, LLVMValueRef end) {
    parallel_body(e, outline->stage, &(part){outline->words, begin, end});
}

static void one_point(qn__emitter *e, const qn__instr *stage) {
    qn__base *saved = enter_stage(e, stage);
    if (!saved) return;
    qn__emit_poll(e, stage->location);
    qn__emit_region(e, stage->regions[0]);
    qn__restore_bases(e, saved);
}

void qn__emit_parallel(qn__emitter *e, const qn__instr *instr) {
    qn__outline outline = {.stage = instr, .form = QN__STAGE_BOX, .rank = box_rank(instr), .body = parallel_parts};
    if (instr->imm == 0) {
        one_point(e, instr);
    } else if (!qn__outlines(e, instr)) {
        parallel_body(e, instr, &(part){NULL, NULL, NULL});
    } else {
        outline.word_count = box_words(e, instr, outline.words);
        if (qn__is_lone(e, instr)) {
            part some = {outline.words, NULL, NULL};
            outline.form = QN__STAGE_LONE;
            qn__lone_parts(e, &outline, &some.begin, &some.end);
            parallel_body(e, instr, &some);
        } else if (qn__outline_function(e, &outline)) qn__outline_call(e, &outline);
    }
}

/* ---- keep: once to count, once to fill ---- */

static LLVMValueRef keep_pass(qn__emitter *e, const qn__instr *instr, LLVMValueRef first, const part *some) {
    qn__base *saved = enter_stage(e, instr);
    if (!saved) return l_i64(e, 0);
    e->pushed = l_alloca(e, e->i64);
    l_store(e, first, e->pushed);
    box(e, instr, plan(e, instr, box_rank(instr)), some);
    qn__restore_bases(e, saved);
    return l_load(e, e->i64, e->pushed);
}

static void allocate_kept(qn__emitter *e, const qn__instr *instr, LLVMValueRef count) {
    for (uint32_t i = 0; i < instr->list_count; i++) qn__emit_allocate(e, instr->list[i], &count, 1, instr->location);
}

static void keep_whole(qn__emitter *e, const qn__instr *instr) {
    const part all = {NULL, NULL, NULL};
    e->counting = true;
    LLVMValueRef count = keep_pass(e, instr, l_i64(e, 0), &all);
    allocate_kept(e, instr, count);
    e->counting = false;
    e->kept = count;
    keep_pass(e, instr, l_i64(e, 0), &all);
    l_set(e, instr->first_result, count);
}

/* Part `begin`; the runtime asks for one at a time. */
static void keep_group(qn__emitter *e, const qn__outline *outline, LLVMValueRef begin, LLVMValueRef end) {
    (void)end;
    LLVMValueRef group = outline->words[QN__KEEP_GROUP], place = l_gep(e, e->i64, outline->words[QN__KEEP_PLACES], begin), next = l_gep(e, e->i64, place, l_i64(e, 1));
    LLVMValueRef from = LLVMBuildMul(e->builder, begin, group, ""), to = l_call2(e, "llvm.sadd.sat", from, group);
    const part some = {outline->words + QN__KEEP_BOX, from, to};
    e->counting = outline->form == QN__STAGE_COUNT;
    if (e->counting) {
        l_store(e, keep_pass(e, outline->stage, l_i64(e, 0), &some), next);
    } else {
        e->kept = l_load(e, e->i64, next);
        keep_pass(e, outline->stage, l_load(e, e->i64, place), &some);
    }
}

static void keep_parts(qn__emitter *e, const qn__instr *instr) {
    LLVMValueRef places = qn__partials(e, QN__PARTIALS + 1);
    qn__outline count = {.stage = instr, .form = QN__STAGE_COUNT, .rank = box_rank(instr), .body = keep_group, .changing = QN__KEEP_BOX};
    count.words[QN__KEEP_GROUP] = l_i64(e, QN__WHOLE_GROUP);
    count.words[QN__KEEP_GROUPS] = l_i64(e, 1);
    count.words[QN__KEEP_PLACES] = places;
    count.word_count = QN__KEEP_BOX + box_words(e, instr, count.words + QN__KEEP_BOX);
    qn__outline fill = count;
    fill.form = QN__STAGE_FILL;
    l_store(e, l_i64(e, 0), places);
    if (!qn__outline_function(e, &count)) return;
    qn__outline_call(e, &count);
    fill.words[QN__KEEP_GROUP] = qn__outline_word(e, QN__KEEP_GROUP);
    fill.words[QN__KEEP_GROUPS] = qn__outline_word(e, QN__KEEP_GROUPS);
    LLVMValueRef total = l_load(e, e->i64, l_gep(e, e->i64, places, fill.words[QN__KEEP_GROUPS]));
    allocate_kept(e, instr, total);
    if (!qn__outline_function(e, &fill)) return;
    qn__outline_call(e, &fill);
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
