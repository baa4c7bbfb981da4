/* accumulate: atomics where the order of combinations cannot be told. 8- and 16-bit elements are left to LLVM, which works on the word around them.
 *
 * A stage that scatters integers into one small array (a histogram) gathers them in shared memory first, a copy for each thread block, and adds the copies at the end: many
 * points for few elements would wait for each other in global memory. Whether the array is small is known to the host when the kernel runs. */
#include "compiler/llvm/gpu_internal.h"

/* The operation that hardware and LLVM know, or -1: then a loop of compare and swap. */
static int native(qn__op op, qn__type type) {
    if (qn__is_float(type)) return -1;
    bool is_signed = qn__is_signed(type);
    switch (op) {
    case QN__OP_ADD: return type == QN__TYPE_BOOL ? LLVMAtomicRMWBinOpOr : LLVMAtomicRMWBinOpAdd;
    case QN__OP_MUL: return type == QN__TYPE_BOOL ? LLVMAtomicRMWBinOpAnd : -1;
    case QN__OP_AND: return LLVMAtomicRMWBinOpAnd;
    case QN__OP_OR: return LLVMAtomicRMWBinOpOr;
    case QN__OP_MIN: return is_signed ? LLVMAtomicRMWBinOpMin : LLVMAtomicRMWBinOpUMin;
    case QN__OP_MAX: return is_signed ? LLVMAtomicRMWBinOpMax : LLVMAtomicRMWBinOpUMax;
    default: return -1;
    }
}

static void compare_and_swap(qn__gpu *g, qn__op op, qn__type type, LLVMValueRef pointer, LLVMValueRef value) {
    qn__emitter *e = g->e;
    LLVMTypeRef integer = LLVMIntTypeInContext(e->context, qn__type_bits(type)), memory = l_memory_type(e, type);
    LLVMBasicBlockRef try = l_block(e, "try"), done = l_block(e, "combined");
    LLVMValueRef seen = l_alloca(e, integer), first = l_load(e, integer, pointer);
    LLVMSetVolatile(first, true);
    l_store(e, first, seen);
    l_jump(e, try);
    l_enter(e, try);
    LLVMValueRef old = l_load(e, integer, seen);
    LLVMValueRef element = l_from_memory(e, type, LLVMBuildBitCast(e->builder, old, memory, ""));
    LLVMValueRef sum = l_to_memory(e, type, qn__combine_element(e, op, type, element, value));
    sum = LLVMBuildBitCast(e->builder, sum, integer, "");
    LLVMValueRef pair = qn__on_device(g, LLVMBuildAtomicCmpXchg(e->builder, pointer, old, sum, LLVMAtomicOrderingMonotonic, LLVMAtomicOrderingMonotonic, false));
    l_store(e, LLVMBuildExtractValue(e->builder, pair, 0, ""), seen);
    l_branch(e, LLVMBuildExtractValue(e->builder, pair, 1, ""), done, try);
    l_enter(e, done);
}

static void atomically(qn__gpu *g, qn__op op, qn__type type, LLVMValueRef pointer, LLVMValueRef value) {
    qn__emitter *e = g->e;
    int operation = native(op, type);
    if (operation < 0) compare_and_swap(g, op, type, pointer, value);
    else qn__on_device(g, LLVMBuildAtomicRMW(e->builder, (LLVMAtomicRMWBinOp)operation, pointer, l_to_memory(e, type, value), LLVMAtomicOrderingMonotonic, false));
}

/* ---- gathering in shared memory ---- */

enum { SMALL = QN__SMALL_ARRAY, THREADS = 256, BLOCKS = 512 };

typedef struct search { const qn__instr *first; bool several; } search;

static void find(const qn__ir *ir, const qn__instr *instr, void *context) {
    search *s = context;
    (void)ir;
    if (instr->op != QN__OP_ACCUMULATE) return;
    if (s->first && s->first->imm != instr->imm) s->several = true;
    if (!s->first) s->first = instr;
}

bool qn__gpu_gathers(qn__gpu *g, const qn__instr *stage, const qn__instr **accumulate) {
    search s = {0};
    for (uint32_t i = 0; i < stage->region_count; i++) qn__walk(g->ir, stage->regions[i], find, &s);
    if (!s.first || s.several) return false;
    const qn__array *array = &g->ir->arrays[s.first->imm];
    *accumulate = s.first;
    return array->rank == 1 && qn__type_bits((qn__type)array->type) >= 32 && native((qn__op)s.first->aux, (qn__type)array->type) >= 0 && !g->in_order[s.first->imm];
}

/* The value that changes nothing. */
static uint64_t identity(qn__op op, qn__type type) {
    uint32_t bits = qn__type_bits(type);
    uint64_t all = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX, sign = UINT64_C(1) << (bits - 1);
    if (op == QN__OP_AND) return all;
    if (op == QN__OP_MIN) return qn__is_signed(type) ? all ^ sign : all;
    return op == QN__OP_MAX && qn__is_signed(type) ? sign : 0;
}

static void gather(qn__gpu *g, const qn__instr *stage, const qn__instr *accumulate) {
    qn__emitter *e = g->e;
    qn__type type = (qn__type)e->ir->arrays[accumulate->imm].type;
    qn__op op = (qn__op)accumulate->aux;
    LLVMTypeRef memory = l_memory_type(e, type);
    uint64_t known = SMALL;
    bool fits = qn__is_const(e->ir, e->ir->arrays[accumulate->imm].extent[0], &known) && known > 0 && known < SMALL;
    LLVMValueRef shared = qn__shared(g, memory, fits ? (uint32_t)known : SMALL, "gathered"), thread = qn__register(g, "tid.x"), nothing = l_int(e, memory, identity(op, type));
    LLVMValueRef extent = l_scalar(e, e->ir->arrays[accumulate->imm].extent[0]);
    qn__loop loop;
    l_loop_begin(e, &loop, NULL, thread, extent);
    l_store(e, nothing, l_gep(e, memory, shared, loop.iv));
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, THREADS), ""));
    qn__barrier(g);
    g->gathered = accumulate;
    g->gathered_in = shared;
    g->flat = true;
    qn__gpu_box(g, stage);
    g->flat = false;
    g->gathered = NULL;
    qn__barrier(g);
    LLVMBasicBlockRef add = l_block(e, "add"), next = l_block(e, "next");
    l_loop_begin(e, &loop, NULL, thread, extent);
    LLVMValueRef found = l_load(e, memory, l_gep(e, memory, shared, loop.iv));
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntNE, found, nothing, ""), add, next);
    l_enter(e, add);
    atomically(g, op, type, l_gep(e, memory, e->bases[accumulate->imm].data, loop.iv), found);
    l_jump(e, next);
    l_enter(e, next);
    l_loop_end(e, &loop, LLVMBuildAdd(e->builder, loop.iv, l_i64(e, THREADS), ""));
}

/* Puts a launch for small arrays, and leaves open what follows: the caller's launch for others. */
void qn__gpu_gather(qn__gpu *g, const qn__instr *stage, const qn__instr *accumulate) {
    qn__unit unit;
    qn__unit_begin(g, &unit, "gather", stage->location, THREADS, 1, 1);
    unit.fixed_grid = BLOCKS;
    unit.barriers = true;
    qn__unit_instr(g, &unit, stage);
    qn__unit_value(g, &unit, g->ir->arrays[accumulate->imm].extent[0]);
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_POINTS);
    if (!symbol) return;
    g->e->constant = g->constant;
    gather(g, stage, accumulate);
    g->e->constant = NULL;
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1), points = one;
    for (uint32_t d = 0; d < stage->imm; d++) {
        uint32_t count = qn__level_count(g, stage->args[2 * d], stage->args[2 * d + 1]);
        points = d ? qn__level_product(g, points, count) : count;
    }
    qn__plan_launch(g, &unit, symbol, points, one, one);
}

/* ---- the platform's ---- */

static bool gathered(qn__gpu *g, const qn__instr *instr, LLVMValueRef pointer, LLVMValueRef value) {
    qn__emitter *e = g->e;
    if (!g->gathered || g->gathered->imm != instr->imm) return false;
    qn__type type = (qn__type)e->ir->arrays[instr->imm].type;
    LLVMValueRef base = LLVMBuildPtrToInt(e->builder, e->bases[instr->imm].data, e->i64, ""), at = LLVMBuildPtrToInt(e->builder, pointer, e->i64, "");
    LLVMValueRef offset = LLVMBuildSub(e->builder, at, base, "");
    atomically(g, (qn__op)instr->aux, type, l_gep(e, e->i8, g->gathered_in, offset), value);
    return true;
}

bool qn__gpu_accumulate(qn__emitter *e, const qn__instr *instr, LLVMValueRef pointer, LLVMValueRef value) {
    qn__gpu *g = qn__gpu_of(e);
    if (gathered(g, instr, pointer, value) || qn__gpu_note(g, instr, pointer, value)) return true;
    if (g->mode == QN__MODE_UNIFORM || g->mode == QN__MODE_ORDERED) return false;
    LLVMBasicBlockRef after = g->mode == QN__MODE_WARP ? l_block(e, "accumulated") : NULL;
    if (after) {
        LLVMBasicBlockRef one = l_block(e, "one");
        l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, g->lane, l_i32(e, 0), ""), one, after);
        l_enter(e, one);
    }
    atomically(g, (qn__op)instr->aux, (qn__type)e->ir->arrays[instr->imm].type, pointer, value);
    if (after) {
        l_jump(e, after);
        l_enter(e, after);
    }
    return true;
}
