/* inline: every call becomes a copy of the function's body, callees first, so that a body is copied when it has no calls
 * left. After it the module has no functions.
 *
 * requires: no recursion (the checker refuses it; found again here)
 * preserves: everything else
 * breaks: nothing */
#include "ir/pass.h"

#include <stdio.h>

enum { SIZE_LIMIT = 1 << 18 }; /* instructions, in all; LLVM needs seconds for as many */

typedef enum state { UNSEEN, ACTIVE, DONE } state;

typedef struct inliner {
    qn__pass *pass;
    qn__ir *ir;
    qn__rewrite rewrite;
    uint8_t *states;   /* by function */
    uint32_t *sizes;   /* by function: instructions, once done */
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
    in->states[index] = ACTIVE;
    if (!inline_region(in, in->ir->functions[index].body, &in->sizes[index])) return false;
    in->states[index] = DONE;
    return true;
}

static bool inline_call(inliner *in, qn__instr_ref ref, uint32_t *size) {
    qn__ir *ir = in->ir;
    uint64_t index = ir->instrs[ref].imm;
    if (index >= ir->function_count) return refuse(in, "a call of no function in '%.100s'", ir->name);
    if (!inline_function(in, (uint32_t)index)) return false;
    const qn__function *function = &ir->functions[index];
    const qn__instr *call = &ir->instrs[ref];
    if (call->arg_count != ir->regions[function->body].param_count || call->result_count != function->result_count)
        return refuse(in, "a call of '%.100s' has the wrong number of operands or results", function->name);
    if (in->sizes[index] > SIZE_LIMIT - *size || ir->instr_count > SIZE_LIMIT - in->sizes[index])
        return refuse(in, "the kernel is too large after inlining (at the call of '%.100s')", function->name);
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
    for (qn__instr_ref ref = ir->regions[region].first, next; ref; ref = next) {
        next = ir->instrs[ref].next;
        qn__rewrite_args(&in->rewrite, ir, ref);
        ++*size;
        if (ir->instrs[ref].op == QN__OP_CALL && !inline_call(in, ref, size)) return false;
        for (uint32_t i = 0; i < ir->instrs[ref].region_count; i++)
            if (!inline_region(in, ir->instrs[ref].regions[i], size)) return false;
    }
    return true;
}

bool qn__pass_inline(qn__pass *pass) {
    qn__ir *ir = pass->ir;
    if (!ir->function_count) return true;
    inliner in = {.pass = pass, .ir = ir};
    in.states = QN__ARENA_ARRAY(pass->scratch, uint8_t, ir->function_count);
    in.sizes = QN__ARENA_ARRAY(pass->scratch, uint32_t, ir->function_count);
    if (!in.states || !in.sizes || !qn__rewrite_begin(&in.rewrite, pass)) return false;
    uint32_t size = 0;
    if (!inline_region(&in, ir->body, &size)) return false;
    qn__rewrite_extents(&in.rewrite, ir);
    ir->function_count = 0;
    return true;
}
