/* inline: every call becomes a copy of the function's body, callees first, so that a body is copied when it has no calls
 * left. The body of a function that is called at one place only moves there instead, calls and all. After it the module
 * has no functions.
 *
 * requires: no recursion (the checker refuses it; found again here)
 * preserves: everything else
 * breaks: nothing */
#include "ir/pass.h"

#include <stdio.h>

enum {
    SIZE_LIMIT = 1 << 18, /* instructions, in all; LLVM needs seconds for as many */
    DEPTH_LIMIT = 500,    /* of regions, and of calls: what comes after recurses over the tree */
};

typedef enum state { UNSEEN, ACTIVE, DONE } state;

typedef struct inliner {
    qn__pass *pass;
    qn__ir *ir;
    qn__rewrite rewrite;
    uint8_t *states;   /* by function */
    uint32_t *sizes;   /* by function: instructions, once done */
    uint32_t *calls;   /* by function: places that call it */
    uint32_t *depths;  /* by function: of its regions, once done */
    uint32_t depth, deepest, active; /* where the walk is, how deep it has been, functions being walked */
} inliner;

static bool inline_region(inliner *in, qn__region_ref region, uint32_t *size);

static bool refuse(inliner *in, const char *format, const char *name) {
    char *text = qn__arena_alloc(in->ir->arena, 256);
    if (text) snprintf(text, 256, format, name);
    in->pass->message = text;
    return false;
}

static bool inline_function(inliner *in, uint32_t index) {
    if (in->states[index] == DONE) return true;
    if (in->states[index] == ACTIVE) return refuse(in, "function '%.100s' calls itself", in->ir->functions[index].name);
    if (in->active == DEPTH_LIMIT) return refuse(in, "functions call each other too deeply at '%.100s'", in->ir->functions[index].name);
    uint32_t depth = in->depth, deepest = in->deepest;
    in->states[index] = ACTIVE;
    in->active++;
    in->depth = in->deepest = 0;
    if (!inline_region(in, in->ir->functions[index].body, &in->sizes[index])) return false;
    in->depths[index] = in->deepest;
    in->depth = depth;
    in->deepest = deepest;
    in->active--;
    in->states[index] = DONE;
    return true;
}

/* Moves the body in front of the call; the walk goes on with its first instruction. */
static qn__instr_ref move_body(inliner *in, qn__instr_ref ref) {
    qn__ir *ir = in->ir;
    const qn__instr *call = &ir->instrs[ref];
    const qn__region *body = &ir->regions[ir->functions[call->imm].body];
    qn__instr_ref first = 0;
    for (uint32_t i = 0; i < body->param_count; i++) qn__rewrite_set(&in->rewrite, body->first_param + i, call->args[i]);
    for (qn__instr_ref i = body->first, next; i && ir->instrs[i].op != QN__OP_YIELD; i = next) {
        next = ir->instrs[i].next;
        qn__instr_move_before(ir, i, ref);
        if (!first) first = i;
    }
    const qn__instr *yield = &ir->instrs[body->last];
    for (uint32_t i = 0; i < call->result_count; i++)
        qn__rewrite_set(&in->rewrite, call->first_result + i, yield->args[i]);
    if (!first) first = call->next;
    qn__instr_remove(ir, ref);
    return first;
}

static bool inline_call(inliner *in, qn__instr_ref ref, uint32_t *size, qn__instr_ref *next) {
    qn__ir *ir = in->ir;
    uint64_t index = ir->instrs[ref].imm;
    if (index >= ir->function_count) return refuse(in, "a call of no function in '%.100s'", ir->name);
    const qn__function *function = &ir->functions[index];
    const qn__instr *call = &ir->instrs[ref];
    if (call->arg_count != ir->regions[function->body].param_count || call->result_count != function->result_count)
        return refuse(in, "a call of '%.100s' has the wrong number of operands or results", function->name);
    if (in->calls[index] == 1) {
        *next = move_body(in, ref);
        return !ir->failed;
    }
    if (!inline_function(in, (uint32_t)index)) return false;
    call = &ir->instrs[ref];
    uint64_t grown = in->sizes[index];
    if (grown + *size > SIZE_LIMIT || grown + ir->instr_count > SIZE_LIMIT)
        return refuse(in, "the kernel is too large after inlining (at the call of '%.100s')", function->name);
    uint32_t depth = in->depth + in->depths[index];
    if (depth > DEPTH_LIMIT) return refuse(in, "nested too deeply after inlining '%.100s'", function->name);
    if (depth > in->deepest) in->deepest = depth;
    *size += in->sizes[index];
    uint32_t result_count = call->result_count;
    qn__value first = call->first_result;
    qn__value *results = QN__ARENA_ARRAY(in->pass->scratch, qn__value, result_count);
    if (!results) return false;
    qn__builder b = {.ir = ir, .region = call->region, .before = ref, .location = call->location};
    if (!qn__clone_region(&b, function->body, call->args, results)) return false;
    for (uint32_t i = 0; i < result_count; i++) qn__rewrite_set(&in->rewrite, first + i, results[i]);
    qn__instr_remove(ir, ref);
    return true;
}

static bool inline_region(inliner *in, qn__region_ref region, uint32_t *size) {
    qn__ir *ir = in->ir;
    if (++in->depth > DEPTH_LIMIT) return refuse(in, "nested too deeply after inlining in '%.100s'", ir->name);
    if (in->depth > in->deepest) in->deepest = in->depth;
    for (qn__instr_ref ref = ir->regions[region].first, next; ref; ref = next) {
        next = ir->instrs[ref].next;
        qn__rewrite_args(&in->rewrite, ir, ref);
        ++*size;
        if (ir->instrs[ref].op == QN__OP_CALL && !inline_call(in, ref, size, &next)) return false;
        if (!ir->instrs[ref].region) continue;
        for (uint32_t i = 0; i < ir->instrs[ref].region_count; i++)
            if (!inline_region(in, ir->instrs[ref].regions[i], size)) return false;
    }
    in->depth--;
    return true;
}

static void count_calls(inliner *in, qn__region_ref region) {
    const qn__ir *ir = in->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        if (instr->op == QN__OP_CALL && instr->imm < ir->function_count) in->calls[instr->imm]++;
        for (uint32_t i = 0; i < instr->region_count; i++) count_calls(in, instr->regions[i]);
    }
}

bool qn__pass_inline(qn__pass *pass) {
    qn__ir *ir = pass->ir;
    if (!ir->function_count) return true;
    inliner in = {.pass = pass, .ir = ir};
    in.states = QN__ARENA_ARRAY(pass->scratch, uint8_t, ir->function_count);
    in.sizes = QN__ARENA_ARRAY(pass->scratch, uint32_t, ir->function_count);
    in.calls = QN__ARENA_ARRAY(pass->scratch, uint32_t, ir->function_count);
    in.depths = QN__ARENA_ARRAY(pass->scratch, uint32_t, ir->function_count);
    if (!in.states || !in.sizes || !in.calls || !in.depths || !qn__rewrite_begin(&in.rewrite, pass)) return false;
    uint32_t size = 0;
    for (uint32_t i = 0; i < ir->function_count; i++) count_calls(&in, ir->functions[i].body);
    count_calls(&in, ir->body);
    if (!inline_region(&in, ir->body, &size)) return false;
    qn__rewrite_extents(&in.rewrite, ir);
    ir->function_count = 0;
    return true;
}
