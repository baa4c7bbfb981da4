/* parallel, keep, scan.
 *
 * A box of points is walked in row-major order: scalar loops over all dimensions but the last, and the last in spans. A
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
static void split_row(qn__emitter *e, const qn__instr *stage, uint32_t width) {
    uint32_t rank = e->point.rank, last = rank - 1;
    LLVMValueRef lo = e->point.lo[last], hi = e->point.hi[last], inside = l_int(e, e->i1, 1);
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

static void row(qn__emitter *e, const qn__instr *stage, uint32_t width) {
    uint32_t last = e->point.rank - 1;
    if (stage->region_count == 2) split_row(e, stage, width);
    else span(e, stage, stage->regions[0], width, e->point.lo[last], e->point.hi[last]);
}

/* Loops over the dimensions before the last, with a row inside. */
static void box(qn__emitter *e, const qn__instr *stage, uint32_t rank, uint32_t width) {
    qn__loop loops[QN__MAX_RANK];
    for (uint32_t d = 0; d < rank; d++) {
        e->point.lo[d] = l_scalar(e, stage->args[2 * d]);
        e->point.hi[d] = l_scalar(e, stage->args[2 * d + 1]);
    }
    e->point.rank = rank;
    for (uint32_t d = 0; d + 1 < rank; d++) {
        l_loop_begin(e, &loops[d], NULL, e->point.lo[d], e->point.hi[d]);
        e->point.iv[d] = loops[d].iv;
    }
    row(e, stage, width);
    for (uint32_t d = rank - 1; d-- > 0;)
        l_loop_end(e, &loops[d], LLVMBuildAdd(e->builder, loops[d].iv, l_i64(e, 1), ""));
}

void qn__emit_parallel(qn__emitter *e, const qn__instr *instr) {
    uint32_t rank = (uint32_t)instr->imm;
    qn__base *saved = enter_stage(e, instr);
    if (!saved) return;
    if (rank == 0) {
        qn__emit_poll(e, instr->location);
        qn__emit_region(e, instr->regions[0]);
    } else {
        box(e, instr, rank, plan(e, instr, rank));
        e->point.rank = 0;
    }
    qn__restore_bases(e, saved);
}

/* ---- keep: once to count, once to fill ---- */

static LLVMValueRef keep_pass(qn__emitter *e, const qn__instr *instr, bool counting) {
    qn__base *saved = enter_stage(e, instr);
    if (!saved) return l_i64(e, 0);
    e->counting = counting;
    l_store(e, l_i64(e, 0), e->pushed);
    box(e, instr, instr->arg_count / 2, plan(e, instr, instr->arg_count / 2));
    e->point.rank = 0;
    qn__restore_bases(e, saved);
    return l_load(e, e->i64, e->pushed);
}

void qn__emit_keep(qn__emitter *e, const qn__instr *instr) {
    e->keep = instr;
    e->pushed = l_alloca(e, e->i64);
    LLVMValueRef count = keep_pass(e, instr, true);
    for (uint32_t i = 0; i < instr->list_count; i++) qn__emit_allocate(e, instr->list[i], &count, 1, instr->location);
    e->counting = false;
    e->kept = count;
    keep_pass(e, instr, false);
    e->keep = NULL;
    l_set(e, instr->first_result, count);
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
