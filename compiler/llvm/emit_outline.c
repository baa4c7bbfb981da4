/* Stages as functions of their own (qn__stage_function in ir/abi.h), so that threads can run parts of them.
 *
 * The kernel stores what the stage uses of its values (all are uniform scalars there) into words on its stack, and calls the function for all
 * parts, or frame->parallel in its place. The body is emitted once; all that splitting takes is in the runtime, because every instruction here is compiled with each kernel. What the stages of a kernel hand over shares one piece of memory: one
 * stage runs at a time. While a function is emitted the emitter is that function's; the kernel's state is put back after. */
#include "compiler/llvm/internal.h"
#include "ir/cost.h"

#include <stdio.h>
#include <string.h>

bool qn__outlines(const qn__emitter *e, const qn__instr *stage) {
    return !e->gpu && e->point.rank == 0 && !e->options->debug && !e->options->serial && !qn__stage_serial(e->ir, stage);
}

/* ---- what a stage uses ---- */

static bool is_inside(const qn__ir *ir, qn__value v, const qn__instr *stage) {
    const qn__value_info *info = &ir->values[v];
    qn__region_ref region = info->instr ? ir->instrs[info->instr].region : info->region;
    while (region && ir->regions[region].owner) {
        const qn__instr *owner = &ir->instrs[ir->regions[region].owner];
        if (owner == stage) return true;
        region = owner->region;
    }
    return false;
}

typedef struct collection { qn__emitter *e; qn__outline *outline; uint8_t *seen; uint32_t capacity; } collection;

static void collect_value(collection *c, qn__value v) {
    qn__emitter *e = c->e;
    if (!v || c->seen[v] || is_inside(e->ir, v, c->outline->stage)) return;
    c->seen[v] = 1;
    if (e->values[v] && !LLVMIsConstant(e->values[v])) c->outline->captured[c->outline->captured_count++] = v;
}

static void collect(const qn__ir *ir, const qn__instr *instr, void *context) {
    (void)ir;
    for (uint32_t i = 0; i < instr->arg_count; i++) collect_value(context, instr->args[i]);
}

static bool collect_all(qn__emitter *e, qn__outline *outline) {
    collection c = {.e = e, .outline = outline, .seen = qn__arena_alloc(e->arena, (size_t)e->ir->value_count + 1)};
    outline->captured = qn__arena_alloc(e->arena, ((size_t)e->ir->value_count + 1) * sizeof *outline->captured);
    outline->captured_count = 0;
    if (!c.seen || !outline->captured) return qn__fail(e, "out of memory");
    memset(c.seen, 0, (size_t)e->ir->value_count + 1);
    for (uint32_t i = outline->form == QN__STAGE_REDUCE ? 2 : 2 * outline->rank; i < outline->stage->arg_count; i++) collect_value(&c, outline->stage->args[i]);
    for (uint32_t i = 0; i < outline->stage->region_count; i++) qn__walk(e->ir, outline->stage->regions[i], collect, &c);
    return true;
}

/* ---- memory that the stages share ---- */

static LLVMValueRef shared_words(qn__emitter *e, LLVMValueRef *memory, uint32_t *words, uint32_t wanted) {
    if (!*memory) *memory = LLVMBuildArrayAlloca(e->head, e->i64, l_i32(e, 1), "");
    if (wanted > *words) {
        *words = wanted;
        LLVMSetOperand(*memory, 0, l_i32(e, wanted));
    }
    return *memory;
}

LLVMValueRef qn__partials(qn__emitter *e, uint32_t words) { return shared_words(e, &e->partials, &e->partial_words, words); }

static LLVMValueRef word(qn__emitter *e, LLVMValueRef memory, uint32_t index) { return l_field(e, memory, (size_t)index * sizeof(int64_t)); }

/* ---- the function ---- */

typedef struct scatters { qn__stage_scatter list[64]; uint32_t count; bool full; } scatters;

static void note_scatter(const qn__ir *ir, const qn__instr *instr, void *context) {
    scatters *s = context;
    if (instr->op != QN__OP_ACCUMULATE) return;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->list[i].array == instr->imm) return;
    if (s->count == 64) s->full = true;
    else s->list[s->count++] = (qn__stage_scatter){(uint32_t)instr->imm, instr->aux, ir->arrays[instr->imm].type, ir->arrays[instr->imm].rank};
}

static LLVMValueRef constant_data(qn__emitter *e, LLVMValueRef value) {
    LLVMValueRef global = LLVMAddGlobal(e->module, LLVMTypeOf(value), "");
    LLVMSetInitializer(global, value);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetGlobalConstant(global, true);
    return global;
}

static LLVMValueRef scatter_data(qn__emitter *e, const scatters *s) {
    LLVMTypeRef fields[4] = {e->i32, e->i8, e->i8, e->i8};
    LLVMTypeRef type = LLVMStructTypeInContext(e->context, fields, 4, false);
    LLVMValueRef values[64];
    for (uint32_t i = 0; i < s->count; i++) {
        LLVMValueRef parts[4] = {l_i32(e, s->list[i].array), l_int(e, e->i8, s->list[i].op), l_int(e, e->i8, s->list[i].type), l_int(e, e->i8, s->list[i].rank)};
        values[i] = LLVMConstStructInContext(e->context, parts, 4, false);
    }
    return s->count ? constant_data(e, LLVMConstArray2(type, values, s->count)) : LLVMConstNull(e->ptr);
}

/* A qn__stage. */
static LLVMValueRef describe(qn__emitter *e, const qn__outline *outline) {
    scatters s = {.count = 0};
    for (uint32_t i = 0; i < outline->stage->region_count; i++) qn__walk(e->ir, outline->stage->regions[i], note_scatter, &s);
    if (s.full) qn__fail(e, "a stage combines into too many arrays");
    LLVMValueRef parts[7] = {outline->function, l_i32(e, outline->form), l_i32(e, outline->rank), l_i32(e, qn__stage_uneven(e->ir, outline->stage)),
                             l_i32(e, e->ir->array_count), scatter_data(e, &s), l_i32(e, s.count)};
    return constant_data(e, LLVMConstStructInContext(e->context, parts, 7, false));
}

static LLVMTypeRef function_type(qn__emitter *e) {
    LLVMTypeRef params[6] = {e->ptr, e->ptr, e->i64, e->i64, e->ptr, e->f64};
    return LLVMFunctionType(e->i32, params, 6, false);
}

/* The words and the captured values, as this function's; old takes what stood there. */
static void take_over(qn__emitter *e, qn__outline *outline, LLVMValueRef memory, LLVMValueRef *old) {
    for (uint32_t i = 0; i < outline->word_count; i++) {
        old[i] = outline->words[i];
        if (i < outline->changing || !LLVMIsConstant(old[i])) outline->words[i] = l_load(e, LLVMTypeOf(old[i]), word(e, memory, i));
    }
    for (uint32_t i = 0; i < outline->captured_count; i++) {
        const qn__value v = outline->captured[i];
        old[outline->word_count + i] = e->values[v];
        e->values[v] = l_load(e, LLVMTypeOf(e->values[v]), word(e, memory, outline->word_count + i));
    }
}

static void give_back(qn__emitter *e, qn__outline *outline, LLVMValueRef *old) {
    memcpy(outline->words, old, outline->word_count * sizeof *old);
    for (uint32_t i = 0; i < outline->captured_count; i++) e->values[outline->captured[i]] = old[outline->word_count + i];
}

static void emit_body(qn__emitter *e, qn__outline *outline, LLVMValueRef *old) {
    qn__emission_function(e, outline->function);
    qn__emission_frame(e, LLVMGetParam(outline->function, 0));
    take_over(e, outline, LLVMGetParam(outline->function, 1), old);
    outline->body(e, outline, LLVMGetParam(outline->function, 2), LLVMGetParam(outline->function, 3));
    qn__emit_return(e, l_i32(e, 0));
    qn__emission_function_end(e);
    give_back(e, outline, old);
}

bool qn__outline_function(qn__emitter *e, qn__outline *outline) {
    static const char *const kinds[] = {[QN__STAGE_LONE] = "", [QN__STAGE_BOX] = "stage", [QN__STAGE_REDUCE] = "reduce", [QN__STAGE_COUNT] = "count", [QN__STAGE_FILL] = "fill"};
    char own[1024];
    size_t length;
    if (!collect_all(e, outline)) return false;
    const char *kernel = LLVMGetValueName2(e->function, &length);
    snprintf(own, sizeof own, "%.*s_%s%u", (int)(length < 900 ? length : 900), kernel, kinds[outline->form], e->stage_count++);
    outline->function = LLVMAddFunction(e->module, own, function_type(e));
    LLVMSetLinkage(outline->function, LLVMInternalLinkage);
    outline->descriptor = describe(e, outline);
    const size_t locals = (size_t)e->ir->local_count * QN__WIDTHS + 1, bases = (size_t)e->ir->array_count + 1;
    LLVMValueRef *old = qn__arena_alloc(e->arena, ((size_t)outline->captured_count + QN__MAX_WORDS) * sizeof *old);
    qn__emitter kernel_state = *e;
    LLVMBasicBlockRef at = LLVMGetInsertBlock(e->builder), head = LLVMGetInsertBlock(e->head);
    e->locals = QN__ARENA_ARRAY(e->arena, LLVMValueRef, locals);
    e->bases = QN__ARENA_ARRAY(e->arena, qn__base, bases);
    if (!old || !e->locals || !e->bases) return qn__fail(e, "out of memory");
    void *scope = qn__debug_function(e, outline->stage, outline->function, own);
    emit_body(e, outline, old);
    qn__debug_leave(e, scope);
    kernel_state.failed = e->failed;
    kernel_state.message = e->message;
    *e = kernel_state;
    LLVMPositionBuilderAtEnd(e->head, head);
    l_enter(e, at);
    qn__debug_place(e, outline->stage->location);
    return !e->failed;
}

/* ---- what a part costs, where the kernel knows the lengths of loops ---- */

static LLVMValueRef as_double(qn__emitter *e, LLVMValueRef v) { return LLVMBuildSIToFP(e->builder, v, e->f64, ""); }

static LLVMValueRef turns_of(qn__emitter *e, const qn__instr *loop, const qn__instr *stage) {
    const double known = qn__cost_turns(e->ir, loop);
    if (known >= 0) return LLVMConstReal(e->f64, known);
    if (loop->op == QN__OP_WHILE || is_inside(e->ir, loop->args[0], stage) || is_inside(e->ir, loop->args[1], stage))
        return LLVMConstReal(e->f64, QN__COST_TURNS);
    LLVMValueRef turns = LLVMBuildSub(e->builder, l_scalar(e, loop->args[1]), l_scalar(e, loop->args[0]), "");
    return as_double(e, l_call2(e, "llvm.smax", turns, l_i64(e, 0)));
}

static LLVMValueRef cost_of(qn__emitter *e, qn__region_ref region, const qn__instr *stage) {
    LLVMValueRef sum = LLVMConstReal(e->f64, 0);
    double own = 0;
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = e->ir->instrs[ref].next) {
        const qn__instr *instr = &e->ir->instrs[ref];
        own += qn__cost_operation(instr);
        const bool loop = instr->op == QN__OP_FOR || instr->op == QN__OP_WHILE || instr->op == QN__OP_REDUCE || instr->op == QN__OP_SCAN;
        if (!loop) {
            for (uint32_t i = 0; i < instr->region_count; i++) own += qn__cost_region(e->ir, instr->regions[i]);
            continue;
        }
        LLVMValueRef inside = LLVMConstReal(e->f64, 0);
        for (uint32_t i = 0; i < instr->region_count; i++) inside = LLVMBuildFAdd(e->builder, inside, cost_of(e, instr->regions[i], stage), "");
        sum = LLVMBuildFAdd(e->builder, sum, LLVMBuildFMul(e->builder, turns_of(e, instr, stage), inside, ""), "");
    }
    return LLVMBuildFAdd(e->builder, sum, LLVMConstReal(e->f64, own), "");
}

/* ---- the call ---- */

static LLVMValueRef hand_over(qn__emitter *e, const qn__outline *outline) {
    const uint32_t words = outline->word_count + outline->captured_count;
    LLVMValueRef memory = shared_words(e, &e->captures, &e->capture_words, words ? words : 1);
    for (uint32_t i = 0; i < outline->word_count; i++) l_store(e, outline->words[i], word(e, memory, i));
    for (uint32_t i = 0; i < outline->captured_count; i++) l_store(e, e->values[outline->captured[i]], word(e, memory, outline->word_count + i));
    return memory;
}

void qn__outline_call(qn__emitter *e, const qn__outline *outline) {
    LLVMValueRef memory = hand_over(e, outline), cost = cost_of(e, outline->stage->regions[0], outline->stage);
    LLVMValueRef service = l_load(e, e->ptr, l_field(e, e->frame, offsetof(qn__frame, parallel)));
    LLVMValueRef callee = l_select(e, LLVMBuildIsNull(e->builder, service, ""), outline->function, service);
    LLVMValueRef args[6] = {e->frame, memory, l_i64(e, 0), l_i64(e, INT64_MAX), outline->descriptor, cost};
    LLVMValueRef result = LLVMBuildCall2(e->builder, function_type(e), callee, args, 6, "");
    LLVMBasicBlockRef failed = l_block(e, "stage_failed"), fine = l_block(e, "stage_done");
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntEQ, result, l_i32(e, 0), ""), fine, failed);
    l_enter(e, failed);
    qn__emit_return(e, result);
    l_enter(e, fine);
}

/* ---- the one stage of a kernel ---- */

bool qn__is_lone(const qn__emitter *e, const qn__instr *stage) {
    if (stage->op != QN__OP_PARALLEL || stage->region != e->ir->body) return false;
    for (qn__instr_ref ref = e->ir->regions[e->ir->body].first; ref; ref = e->ir->instrs[ref].next) {
        const qn__instr *instr = &e->ir->instrs[ref];
        if (instr != stage && instr->op != QN__OP_YIELD && qn__op_table[instr->op].effect != QN__EFFECT_PURE) return false;
    }
    return true;
}

void qn__lone_parts(qn__emitter *e, qn__outline *outline, LLVMValueRef *begin, LLVMValueRef *end) {
    LLVMBasicBlockRef threads = l_block(e, "threads"), here = l_block(e, "here");
    outline->function = e->function;
    outline->captured_count = 0;
    LLVMValueRef service = l_load(e, e->ptr, l_field(e, e->frame, offsetof(qn__frame, parallel)));
    l_branch_likely(e, LLVMBuildIsNull(e->builder, service, ""), here, threads);
    l_enter(e, threads);
    LLVMValueRef memory = hand_over(e, outline), cost = cost_of(e, outline->stage->regions[0], outline->stage);
    LLVMValueRef args[6] = {e->frame, memory, l_i64(e, 0), l_i64(e, INT64_MAX), describe(e, outline), cost};
    qn__emit_return(e, LLVMBuildCall2(e->builder, function_type(e), service, args, 6, ""));
    l_enter(e, here);
    *begin = l_load(e, e->i64, l_field(e, e->frame, offsetof(qn__frame, begin)));
    *end = l_load(e, e->i64, l_field(e, e->frame, offsetof(qn__frame, end)));
}

LLVMValueRef qn__outline_word(qn__emitter *e, uint32_t index) { return l_load(e, e->i64, word(e, e->captures, index)); }
