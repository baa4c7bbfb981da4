/* Accumulations whose order shows (floating sums and products, several operations on one array): they take effect in row-major order of the points, and of one point in the order of the program.
 *
 * Points are evaluated in parallel and only note what they add, and where: for every place in the body that accumulates (a *site*) an index, -1 when the point did not come
 * by, and a value. Then, array by array, blocks commit the notes in order. A block looks at all of them, 512 at a time, and takes the elements that are its own (by their index modulo
 * the number of blocks); of several notes for one element in the same 512 the first goes first: threads race for a table in shared memory by the hash of the element, the
 * lowest thread wins, commits, and the others try again. So the order per element is that of the notes, whatever the grid is.
 *
 * Notes are made for 2^20 points at a time, so that their buffers stay small; the host loops. What does not fit (accumulations in loops, a stage that reads what it accumulates
 * into) is run by one thread in order: gpu_points.c. */
#include "compiler/llvm/gpu_internal.h"

enum { POINTS = 1 << 20, COMMIT_THREADS = 512, COMMIT_BLOCKS = 64, BUCKETS = 1024, FLAT_BLOCK = 256, WARP_BLOCK = 128, MAX_SITES = 16 };

typedef struct site {
    const qn__instr *instr;
    uint32_t array, number, of;        /* number among the sites of the array */
    LLVMValueRef index, value;         /* in memory, while points are emitted */
    uint32_t group;
} site;

typedef struct group { uint32_t array, count, indices, values, index_argument, value_argument; } group; /* the sites of one array; scratch buffers */

struct notes {
    site sites[MAX_SITES];
    group groups[MAX_SITES];
    uint32_t site_count, group_count;
    bool fits;
};
typedef struct notes notes;

/* ---- which sites there are ---- */

static bool in_loop(const qn__ir *ir, const qn__instr *instr, const qn__instr *stage) {
    for (const qn__instr *at = instr;;) {
        at = &ir->instrs[ir->regions[at->region].owner];
        if (at == stage) return false;
        if (at->op != QN__OP_IF) return true;
    }
}

typedef struct search { notes *n; const qn__instr *stage; const bool *in_order; } search;

static void find_site(const qn__ir *ir, const qn__instr *instr, void *context) {
    search *s = context;
    notes *n = s->n;
    if (instr->op != QN__OP_ACCUMULATE || !s->in_order[instr->imm]) return;
    if (n->site_count == MAX_SITES || in_loop(ir, instr, s->stage)) {
        n->fits = false;
        return;
    }
    uint32_t g = 0;
    while (g < n->group_count && n->groups[g].array != instr->imm) g++;
    if (g == n->group_count) n->groups[n->group_count++] = (group){.array = (uint32_t)instr->imm};
    n->sites[n->site_count++] = (site){.instr = instr, .array = (uint32_t)instr->imm, .number = n->groups[g].count++, .group = g};
}

/* ---- noting ---- */

/* qn__platform.accumulate in a stage with notes. */
bool qn__gpu_note(qn__gpu *g, const qn__instr *instr, LLVMValueRef pointer, LLVMValueRef value) {
    qn__emitter *e = g->e;
    notes *n = g->notes;
    for (uint32_t i = 0; n && i < n->site_count; i++) {
        const site *s = &n->sites[i];
        if (s->instr != instr) continue;
        LLVMValueRef base = LLVMBuildPtrToInt(e->builder, e->bases[s->array].data, e->i64, ""), at = LLVMBuildPtrToInt(e->builder, pointer, e->i64, "");
        LLVMValueRef bytes = l_i64(e, qn__type_bytes((qn__type)e->ir->arrays[s->array].type));
        l_store(e, LLVMBuildUDiv(e->builder, LLVMBuildSub(e->builder, at, base, ""), bytes, ""), s->index);
        l_store(e, value, s->value);
        return true;
    }
    return false;
}

static void write_notes(qn__gpu *g, const notes *n, LLVMValueRef offset) {
    qn__emitter *e = g->e;
    for (uint32_t i = 0; i < n->site_count; i++) {
        const site *s = &n->sites[i];
        const group *all = &n->groups[s->group];
        qn__type type = (qn__type)e->ir->arrays[s->array].type;
        LLVMValueRef place = LLVMBuildAdd(e->builder, LLVMBuildMul(e->builder, offset, l_i64(e, all->count), ""), l_i64(e, s->number), "");
        l_store(e, l_load(e, e->i64, s->index), l_gep(e, e->i64, qn__entry_argument(g, all->index_argument), place));
        LLVMValueRef value = l_to_memory(e, type, l_load(e, l_type(e, type), s->value));
        l_store(e, value, l_gep(e, l_memory_type(e, type), qn__entry_argument(g, all->value_argument), place));
    }
}

/* Points base .. base + POINTS of the box. */
static void emit_noting(qn__gpu *g, const qn__instr *instr, notes *n, uint32_t base_argument) {
    qn__emitter *e = g->e;
    bool warp = g->mode == QN__MODE_WARP;
    qn__box box;
    g->flat = true;
    qn__box_measure(g, instr, &box);
    LLVMValueRef base = qn__entry_argument(g, base_argument), total = box.axis[0].count, id = qn__thread(g), ids = qn__threads(g);
    LLVMValueRef end = l_call2(e, "llvm.smin", total, LLVMBuildAdd(e->builder, base, l_i64(e, POINTS), ""));
    if (warp) id = LLVMBuildLShr(e->builder, id, l_i64(e, 5), ""), ids = LLVMBuildLShr(e->builder, ids, l_i64(e, 5), "");
    LLVMValueRef failing = l_select(e, LLVMBuildICmp(e->builder, LLVMIntEQ, id, l_i64(e, 0), ""), g->only, end);
    for (uint32_t i = 0; i < n->site_count; i++) {
        n->sites[i].index = l_alloca(e, e->i64);
        n->sites[i].value = l_alloca(e, l_type(e, (qn__type)e->ir->arrays[n->sites[i].array].type));
    }
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_select(e, g->reporting, failing, LLVMBuildAdd(e->builder, base, id, "")), end);
    LLVMBasicBlockRef outer = g->leave;
    g->leave = l_block(e, "note");
    for (uint32_t i = 0; i < n->site_count; i++) l_store(e, l_i64(e, -1), n->sites[i].index);
    for (uint32_t i = 0; i < n->site_count; i++) l_store(e, LLVMConstNull(l_type(e, (qn__type)e->ir->arrays[n->sites[i].array].type)), n->sites[i].value);
    g->notes = n;
    qn__box_point(g, instr, &box, loop.iv);
    g->notes = NULL;
    l_jump(e, g->leave);
    l_enter(e, g->leave);
    g->leave = outer;
    LLVMBasicBlockRef write = l_block(e, "write"), next = l_block(e, "next");
    l_branch(e, warp ? LLVMBuildICmp(e->builder, LLVMIntEQ, g->lane, l_i32(e, 0), "") : l_int(e, e->i1, 1), write, next);
    l_enter(e, write);
    write_notes(g, n, LLVMBuildSub(e->builder, loop.iv, base, ""));
    l_jump(e, next);
    l_enter(e, next);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_select(e, g->reporting, end, ids), ""));
    g->flat = false;
}

static void launch_noting(qn__gpu *g, const qn__instr *instr, notes *n, qn__mode mode, uint32_t base, uint32_t count) {
    qn__unit unit;
    qn__unit_begin(g, &unit, "notes", instr->location, mode == QN__MODE_WARP ? WARP_BLOCK : FLAT_BLOCK, 1, 1);
    qn__unit_instr(g, &unit, instr);
    for (uint32_t i = 0; i < n->group_count; i++) {
        n->groups[i].index_argument = qn__unit_scratch(g, &unit, n->groups[i].indices);
        n->groups[i].value_argument = qn__unit_scratch(g, &unit, n->groups[i].values);
    }
    uint32_t from = qn__unit_slot(g, &unit, base);
    const char *symbol = qn__entry_begin(g, &unit, mode);
    if (!symbol) return;
    g->e->constant = g->constant;
    emit_noting(g, instr, n, from);
    g->e->constant = NULL;
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    if (mode == QN__MODE_WARP) count = qn__level_product(g, count, qn__plan_constant(g, QN__WARP));
    qn__plan_launch(g, &unit, symbol, count, one, one);
}

/* ---- committing ---- */

/* The note's combination; sites of one array may have operations of their own, which the note's number tells apart. */
static void commit_one(qn__gpu *g, const notes *n, const group *all, uint32_t number, LLVMValueRef note, LLVMValueRef index, LLVMValueRef value) {
    qn__emitter *e = g->e;
    qn__type type = (qn__type)e->ir->arrays[all->array].type;
    LLVMValueRef pointer = l_gep(e, l_memory_type(e, type), e->bases[all->array].data, index);
    LLVMValueRef old = l_from_memory(e, type, l_load(e, l_memory_type(e, type), pointer)), sum = NULL;
    LLVMValueRef which = LLVMBuildURem(e->builder, note, l_i64(e, all->count), "");
    for (uint32_t i = 0; i < n->site_count; i++) {
        if (n->sites[i].group != number) continue;
        LLVMValueRef one = qn__combine_element(e, (qn__op)n->sites[i].instr->aux, type, old, value);
        LLVMValueRef chosen = LLVMBuildICmp(e->builder, LLVMIntEQ, which, l_i64(e, n->sites[i].number), "");
        sum = sum ? l_select(e, chosen, one, sum) : one;
    }
    l_store(e, l_to_memory(e, type, sum), pointer);
}

/* Rounds over one tile until no thread has anything left. pending: i1 in memory. */
static void rounds(qn__gpu *g, const notes *n, uint32_t number, LLVMValueRef bucket, LLVMValueRef thread, LLVMValueRef pending, LLVMValueRef note,
                   LLVMValueRef index, LLVMValueRef value) {
    qn__emitter *e = g->e;
    LLVMBasicBlockRef round = l_block(e, "round"), race = l_block(e, "race"), raced = l_block(e, "raced"), won = l_block(e, "won"), next = l_block(e, "next"),
                      reset = l_block(e, "reset"), again = l_block(e, "again"), done = l_block(e, "committed");
    l_branch(e, qn__any_in_block(g, l_load(e, e->i1, pending)), round, done);
    l_enter(e, round);
    LLVMValueRef mine = l_load(e, e->i1, pending);
    l_branch(e, mine, race, raced);
    l_enter(e, race);
    qn__on_device(g, LLVMBuildAtomicRMW(e->builder, LLVMAtomicRMWBinOpUMin, bucket, thread, LLVMAtomicOrderingMonotonic, false));
    l_jump(e, raced);
    l_enter(e, raced);
    qn__barrier(g);
    LLVMValueRef winner = LLVMBuildAnd(e->builder, mine, LLVMBuildICmp(e->builder, LLVMIntEQ, l_load(e, e->i32, bucket), thread, ""), "");
    l_branch(e, winner, won, next);
    l_enter(e, won);
    commit_one(g, n, &n->groups[number], number, note, index, value);
    l_store(e, l_int(e, e->i1, 0), pending);
    l_jump(e, next);
    l_enter(e, next);
    qn__barrier(g);
    l_branch(e, winner, reset, again);
    l_enter(e, reset);
    l_store(e, l_i32(e, UINT32_MAX), bucket);
    l_jump(e, again);
    l_enter(e, again);
    l_branch(e, qn__any_in_block(g, l_load(e, e->i1, pending)), round, done);
    l_enter(e, done);
}

static void emit_commits(qn__gpu *g, const notes *n, uint32_t number, uint32_t indices, uint32_t values, uint32_t count_argument) {
    qn__emitter *e = g->e;
    const group *all = &n->groups[number];
    qn__type type = (qn__type)e->ir->arrays[all->array].type;
    LLVMValueRef table = qn__shared(g, e->i32, BUCKETS, "buckets"), count = qn__entry_argument(g, count_argument), pending = l_alloca(e, e->i1);
    LLVMValueRef thread = LLVMBuildTrunc(e->builder, qn__register(g, "tid.x"), e->i32, ""), wide = LLVMBuildZExt(e->builder, thread, e->i64, "");
    LLVMValueRef blocks = qn__register(g, "nctaid.x"), block = qn__register(g, "ctaid.x");
    for (uint32_t i = 0; i < BUCKETS / COMMIT_THREADS; i++)
        l_store(e, l_i32(e, UINT32_MAX), l_gep(e, e->i32, table, LLVMBuildAdd(e->builder, thread, l_i32(e, i * COMMIT_THREADS), "")));
    qn__barrier(g);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, l_i64(e, 0), count);
    LLVMValueRef note = LLVMBuildAdd(e->builder, loop.iv, wide, ""), inside = LLVMBuildICmp(e->builder, LLVMIntSLT, note, count, "");
    LLVMValueRef safe = l_select(e, inside, note, l_i64(e, 0));
    LLVMValueRef index = l_load(e, e->i64, l_gep(e, e->i64, qn__entry_argument(g, indices), safe));
    LLVMValueRef value = l_from_memory(e, type, l_load(e, l_memory_type(e, type), l_gep(e, l_memory_type(e, type), qn__entry_argument(g, values), safe)));
    LLVMValueRef own = LLVMBuildICmp(e->builder, LLVMIntEQ, LLVMBuildURem(e->builder, index, blocks, ""), block, "");
    LLVMValueRef noted = LLVMBuildAnd(e->builder, inside, LLVMBuildICmp(e->builder, LLVMIntSGE, index, l_i64(e, 0), ""), "");
    l_store(e, LLVMBuildAnd(e->builder, noted, own, ""), pending);
    LLVMValueRef hash = LLVMBuildURem(e->builder, LLVMBuildUDiv(e->builder, index, blocks, ""), l_i64(e, BUCKETS), "");
    rounds(g, n, number, l_gep(e, e->i32, table, hash), thread, pending, note, index, value);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, COMMIT_THREADS), ""));
}

static void launch_commits(qn__gpu *g, const qn__instr *instr, notes *n, uint32_t number, uint32_t count) {
    qn__unit unit;
    const group *all = &n->groups[number];
    qn__unit_begin(g, &unit, "commit", instr->location, COMMIT_THREADS, 1, 1);
    unit.barriers = true;
    qn__unit_array(g, &unit, all->array, true);
    uint32_t indices = qn__unit_scratch(g, &unit, all->indices), values = qn__unit_scratch(g, &unit, all->values);
    uint32_t notes_argument = qn__unit_slot(g, &unit, all->count == 1 ? count : qn__level_product(g, count, qn__plan_constant(g, all->count)));
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    emit_commits(g, n, number, indices, values, notes_argument);
    qn__entry_end(g);
    /* every block looks at all notes: more blocks pay when there are many */
    uint32_t one = qn__plan_constant(g, 1), threads = qn__plan_binary(g, QN__OP_SHR, qn__plan_binary(g, QN__OP_ADD, count, qn__plan_constant(g, 7)), qn__plan_constant(g, 3));
    qn__plan_launch(g, &unit, symbol, qn__plan_binary(g, QN__OP_MIN, threads, qn__plan_constant(g, (uint64_t)COMMIT_THREADS * COMMIT_BLOCKS)), one, one);
}

/* ---- the stage ---- */

static void size_notes(qn__gpu *g, notes *n, uint32_t total) {
    uint32_t most = qn__plan_binary(g, QN__OP_MIN, total, qn__plan_constant(g, POINTS));
    for (uint32_t i = 0; i < n->group_count; i++) {
        group *all = &n->groups[i];
        uint64_t bytes = qn__type_bytes((qn__type)g->ir->arrays[all->array].type);
        all->indices = qn__plan_scratch(g);
        all->values = qn__plan_scratch(g);
        qn__plan_size_scratch(g, all->indices, qn__level_product(g, most, qn__plan_constant(g, all->count * sizeof(int64_t))));
        qn__plan_size_scratch(g, all->values, qn__level_product(g, most, qn__plan_constant(g, all->count * bytes)));
    }
}

bool qn__gpu_ordered(qn__gpu *g, const qn__instr *instr, qn__mode mode) {
    notes n = {.fits = true};
    search s = {&n, instr, g->in_order};
    for (uint32_t i = 0; i < instr->region_count; i++) qn__walk(g->ir, instr->regions[i], find_site, &s);
    if (!n.fits) return false;
    uint32_t total = qn__plan_constant(g, 1), at = qn__plan_slot(g);
    for (uint32_t d = 0; d < instr->imm; d++) {
        uint32_t count = qn__level_count(g, instr->args[2 * d], instr->args[2 * d + 1]);
        total = d ? qn__level_product(g, total, count) : count;
    }
    size_notes(g, &n, total);
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_MOVE, .target = at}, &g->zero, 1);
    uint32_t top = qn__plan_here(g), more = qn__plan_binary(g, QN__OP_LT, at, total);
    uint32_t exit = qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_UNLESS}, &more, 1);
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_POLL, .location = instr->location}, NULL, 0);
    uint32_t count = qn__plan_binary(g, QN__OP_MIN, qn__plan_binary(g, QN__OP_SUB, total, at), qn__plan_constant(g, POINTS));
    launch_noting(g, instr, &n, mode, at, count);
    for (uint32_t i = 0; i < n.group_count; i++) launch_commits(g, instr, &n, i, count);
    uint32_t next = qn__plan_binary(g, QN__OP_ADD, at, qn__plan_constant(g, POINTS));
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_MOVE, .target = at}, &next, 1);
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_JUMP, .target = top}, NULL, 0);
    qn__plan_target(g, exit);
    return true;
}
