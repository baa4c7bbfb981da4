/* Divergence: the stack of a split, branches, calls, exits, and how a split breaks up when lanes wait for others that wait for them.
 *
 * An entry's lanes include those of the entries above it that meet again at its pc; the top entry runs. Entries of one function follow each other;
 * the first of a called function owns its frame and is marked `call`. */
#include "emulator/machine.h"

#include <stdlib.h>
#include <string.h>

bool em_split_push(em_warp *warp, em_split *split, em_entry entry) {
    if (split->depth == split->capacity) {
        uint32_t capacity = split->capacity ? split->capacity * 2 : 16;
        em_entry *stack = capacity <= 1u << 20 ? realloc(split->stack, capacity * sizeof *stack) : NULL;
        if (!stack) {
            warp->worker->no_memory = true;
            return false;
        }
        split->stack = stack;
        split->capacity = capacity;
    }
    split->stack[split->depth++] = entry;
    return true;
}

static em_answer no_memory(em_warp *warp, const em_step *step, uint32_t mask) {
    return em_fail(warp, step, (uint32_t)__builtin_ctz(mask), EM_FAULT_LOOP, "out of memory in the emulator (calls or divergence nested too deeply)");
}

em_answer em_run_branch(em_warp *warp, const em_step *step, uint32_t mask) {
    uint32_t active = warp->active;
    if (mask == active) {
        warp->pc = step->target;
        return EM_JUMP;
    }
    em_split *split = warp->split;
    em_entry *top = &split->stack[split->depth - 1], part = *top;
    uint32_t rest = active & ~mask, next = warp->pc + 1, join = step->join;
    part.call = false;
    if (join == top->join || join == EM_NOWHERE) { /* those that meet there wait in the entry below already */
        if (join == EM_NOWHERE) part.join = top->join;
        if (step->target == part.join) {
            top->mask = rest, top->pc = next;
            return EM_RELOAD;
        }
        top->mask = rest, top->pc = next;
    } else {
        top->pc = join;
        part.join = join;
        part.mask = rest, part.pc = next;
        if (next != join && !em_split_push(warp, split, part)) return no_memory(warp, step, mask);
        if (step->target == join) return EM_RELOAD;
    }
    part.mask = mask, part.pc = step->target;
    return em_split_push(warp, split, part) ? EM_RELOAD : no_memory(warp, step, mask);
}

em_answer em_run_indexed(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t *index = em_at(warp, step->a);
    em_split *split = warp->split;
    em_entry *top = &split->stack[split->depth - 1], part = *top;
    uint32_t left = mask, rest = warp->active & ~mask, next = warp->pc + 1, join = step->join;
    for (uint32_t l = 0; l < EM_LANES; l++) {
        if ((mask >> l & 1) && index[l] >= step->list_count) return em_fail(warp, step, l, EM_FAULT_ADDRESS, "brx.idx with index %u of %u targets", index[l], step->list_count);
    }
    part.call = false;
    bool apart = join != EM_NOWHERE && join != top->join;
    if (apart) top->pc = join, part.join = join;
    bool reused = apart; /* otherwise the top entry becomes the first group's */
    while (left | rest) {
        uint32_t group = 0, to;
        if (rest) {
            group = rest, to = next, rest = 0;
        } else {
            to = step->list[index[__builtin_ctz(left)]];
            for (uint32_t l = 0; l < EM_LANES; l++) {
                if ((left >> l & 1) && step->list[index[l]] == to) group |= 1u << l;
            }
            left &= ~group;
        }
        part.mask = group, part.pc = to;
        if (!reused) {
            em_entry *entry = &split->stack[split->depth - 1];
            entry->mask = group, entry->pc = to;
            reused = true;
        } else if (to != part.join && !em_split_push(warp, split, part)) {
            return no_memory(warp, step, mask);
        }
    }
    return EM_RELOAD;
}

em_frame *em_frame_take(em_worker *worker, const em_code *code) {
    em_frame *frame = worker->free_frames[code->number];
    if (frame) {
        worker->free_frames[code->number] = frame->next;
        frame->references = 1;
        return frame;
    }
    frame = calloc(1, sizeof *frame);
    char *registers = aligned_alloc(64, code->frame_bytes);
    if (!frame || !registers) {
        free(frame);
        free(registers);
        return NULL;
    }
    memset(registers, 0, code->frame_bytes);
    *(uint32_t *)(void *)(registers + EM_FRAME_TRUE) = EM_ALL;
    for (uint32_t k = 0; k < code->constant_count; k++) {
        const em_constant *constant = &code->constants[k];
        for (uint32_t l = 0; l < EM_LANES; l++) memcpy(registers + constant->offset + l * constant->bytes, &constant->value, constant->bytes > 8 ? 8 : constant->bytes);
    }
    frame->code = code;
    frame->registers = registers;
    frame->references = 1;
    return frame;
}

void em_frame_give(em_worker *worker, em_frame *frame) {
    if (--frame->references) return;
    frame->next = worker->free_frames[frame->code->number];
    worker->free_frames[frame->code->number] = frame;
}

/* Takes lanes out of the entries from the top down to `lowest`, and drops entries that are empty. */
static void remove_lanes(em_warp *warp, em_split *split, uint32_t lanes, uint32_t lowest) {
    for (uint32_t k = lowest; k < split->depth; k++) split->stack[k].mask &= ~lanes;
    while (split->depth && !split->stack[split->depth - 1].mask) {
        em_entry *entry = &split->stack[--split->depth];
        if (entry->call) em_frame_give(warp->worker, entry->frame);
    }
}

em_answer em_run_exit(em_warp *warp, const em_step *step, uint32_t mask) {
    (void)step;
    em_split *split = warp->split;
    split->stack[split->depth - 1].pc = warp->pc + 1;
    warp->exited |= mask;
    warp->block->live -= (uint32_t)__builtin_popcount(mask);
    split->since = split->spins = 0;
    remove_lanes(warp, split, mask, 0);
    return split->depth ? EM_RELOAD : EM_WAIT;
}

static void copy_lanes(char *to, const char *from, uint32_t bytes, uint32_t mask) {
    for (uint32_t l = 0; l < EM_LANES; l++) {
        if (mask >> l & 1) memcpy(to + l * bytes, from + l * bytes, bytes);
    }
}

/* One value between the caller's frame and the called function's. */
static void pass(em_warp *warp, const uint32_t *here, const em_variable *formal, em_frame *caller, em_frame *callee, uint32_t mask, bool inwards) {
    uint64_t stride = warp->worker->run->local_stride;
    char *register_there = callee->registers + formal->frame_offset;
    char *register_here = caller->registers + here[1];
    char *memory_there = warp->local + callee->local + formal->address, *memory_here = warp->local + caller->local + here[1];
    uint32_t bytes = here[2];
    if (here[0] == EM_PASS_NOTHING) return;
    if (here[0] == EM_PASS_PREDICATE) {
        uint32_t *to = (uint32_t *)(void *)(inwards ? register_there : register_here);
        const uint32_t *from = (const uint32_t *)(void *)(inwards ? register_here : register_there);
        *to = (*to & ~mask) | (*from & mask);
        return;
    }
    bool here_register = here[0] == EM_PASS_REGISTER, there_register = formal->space == EM_SPACE_REG;
    if (here_register && there_register) {
        copy_lanes(inwards ? register_there : register_here, inwards ? register_here : register_there, bytes, mask);
        return;
    }
    uint32_t size = bytes < formal->size ? bytes : (uint32_t)formal->size;
    for (uint32_t l = 0; l < EM_LANES; l++) {
        if (!(mask >> l & 1)) continue;
        char *there = there_register ? register_there + l * size : memory_there + l * stride;
        char *mine = here_register ? register_here + l * bytes : memory_here + l * stride;
        memcpy(inwards ? there : mine, inwards ? mine : there, size);
    }
}

/* A passed value of a lane, of up to 8 bytes. */
static uint64_t passed_value(const em_warp *warp, const uint32_t *here, uint32_t lane) {
    uint64_t value = 0;
    uint32_t bytes = here[2] < 8 ? here[2] : 8;
    if (here[0] == EM_PASS_MEMORY) memcpy(&value, warp->local + lane * warp->worker->run->local_stride + warp->frame->local + here[1], bytes);
    if (here[0] == EM_PASS_REGISTER) memcpy(&value, warp->registers + here[1] + lane * here[2], bytes);
    return value;
}

static em_answer assert_fail(em_warp *warp, const em_step *step, uint32_t mask) {
    uint32_t lane = (uint32_t)__builtin_ctz(mask);
    char texts[3][160] = {"", "", ""};
    uint32_t line = 0;
    for (uint32_t k = 0; k < 4 && k < step->list_count; k++) {
        const uint32_t *here = step->list + 3 * k;
        uint64_t value = passed_value(warp, here, lane);
        if (k == 2) {
            line = (uint32_t)value;
            continue;
        }
        const em_block *block = em_memory_find(warp->worker->run->launch->memory, value);
        if (!block || block->freed || value < block->address) continue;
        uint64_t room = block->address + block->size - value;
        char *to = texts[k == 3 ? 2 : k];
        for (uint32_t n = 0; n < 159 && n < room; n++) {
            to[n] = ((const char *)(uintptr_t)value)[n];
            if (!to[n]) break;
        }
    }
    return em_fail(warp, step, lane, EM_FAULT_ASSERT, "%s:%u: %s: assertion '%s' failed", texts[1], line, texts[2], texts[0]);
}

static em_answer print(em_warp *warp, const em_step *step, uint32_t mask) {
    const em_call *call = step->instruction->call;
    for (uint32_t l = 0; l < EM_LANES && call->argument_count == 2; l++) {
        if (!(mask >> l & 1)) continue;
        int32_t result = em_print(warp, l, passed_value(warp, step->list, l), passed_value(warp, step->list + 3, l));
        const uint32_t *back = step->list + 6;
        if (call->result_count != 1 || back[2] != 4) continue;
        if (back[0] == EM_PASS_MEMORY) memcpy(warp->local + l * warp->worker->run->local_stride + warp->frame->local + back[1], &result, 4);
        if (back[0] == EM_PASS_REGISTER) memcpy(warp->registers + back[1] + l * 4, &result, 4);
    }
    return EM_NEXT;
}

static em_answer enter(em_warp *warp, const em_step *step, uint32_t mask, const em_function *callee, uint32_t again) {
    const em_code *code = callee->translated;
    em_split *split = warp->split;
    if (!code) {
        if (!strcmp(callee->name, "__assertfail")) return assert_fail(warp, step, mask);
        if (!strcmp(callee->name, "vprintf")) return print(warp, step, mask);
        return em_fail(warp, step, (uint32_t)__builtin_ctz(mask), EM_FAULT_TRAP, "call of '%.100s', which is not defined", callee->name);
    }
    em_frame *caller = warp->frame;
    uint64_t local = caller->local + (uint64_t)caller->code->local_bytes;
    if (local + code->local_bytes > warp->worker->run->local_stride) {
        return em_fail(warp, step, (uint32_t)__builtin_ctz(mask), EM_FAULT_ADDRESS, "stack overflow: calls need more than %llu bytes of local memory", (unsigned long long)warp->worker->run->local_stride);
    }
    em_frame *frame = em_frame_take(warp->worker, code);
    if (!frame) return no_memory(warp, step, mask);
    frame->local = (uint32_t)local;
    uint32_t arguments = step->instruction->call->argument_count;
    for (uint32_t k = 0; k < arguments && k < callee->prototype.formal_count; k++) {
        pass(warp, step->list + 3 * k, callee->prototype.formals[k], caller, frame, mask, true);
    }
    split->stack[split->depth - 1].pc = again ? warp->pc : warp->pc + 1;
    em_entry entry = {.code = code, .frame = frame, .pc = 0, .join = EM_NOWHERE, .mask = mask, .call = true};
    if (!em_split_push(warp, split, entry)) {
        em_frame_give(warp->worker, frame);
        return no_memory(warp, step, mask);
    }
    return EM_RELOAD;
}

/* An indirect call: the lanes that call the same function go first; the others stay at the call, in an entry of their own. */
static em_answer enter_indirect(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint64_t *targets = em_at(warp, step->a);
    uint32_t lane = (uint32_t)__builtin_ctz(mask), group = 0;
    em_split *split = warp->split;
    const em_function *callee = NULL;
    for (em_function *f = warp->code->function->module->functions; f; f = f->next) {
        if ((uint64_t)(uintptr_t)f == targets[lane]) callee = f;
    }
    if (!callee || callee->entry) return em_fail(warp, step, lane, EM_FAULT_ADDRESS, "call of 0x%llx, which is no function", (unsigned long long)targets[lane]);
    if (step->instruction->call->argument_count != callee->prototype.formal_count || step->instruction->call->result_count != callee->prototype.result_count) {
        return em_fail(warp, step, lane, EM_FAULT_ADDRESS, "call of '%.100s' with another prototype", callee->name);
    }
    for (uint32_t l = 0; l < EM_LANES; l++) group |= (uint32_t)((mask >> l & 1) && targets[l] == targets[lane]) << l;
    if (group == mask) return enter(warp, step, mask, callee, 0);
    em_entry *top = &split->stack[split->depth - 1], part = *top; /* all meet behind the call */
    top->pc = warp->pc + 1;
    part.call = false;
    part.join = warp->pc + 1;
    part.pc = warp->pc;
    part.mask = mask & ~group;
    if (!em_split_push(warp, split, part)) return no_memory(warp, step, mask);
    part.mask = group;
    if (!em_split_push(warp, split, part)) return no_memory(warp, step, mask);
    return enter(warp, step, group, callee, 0);
}

em_answer em_run_call(em_warp *warp, const em_step *step, uint32_t mask) {
    const em_call *call = step->instruction->call;
    if (call->target.kind == EM_OPERAND_FUNCTION) return enter(warp, step, mask, call->target.function, 0);
    return enter_indirect(warp, step, mask);
}

em_answer em_run_return(em_warp *warp, const em_step *step, uint32_t mask) {
    em_split *split = warp->split;
    uint32_t first = split->depth;
    while (first > 0 && !split->stack[first - 1].call) first--;
    if (first == 0) return em_run_exit(warp, step, mask);
    first--;
    em_entry *caller = &split->stack[first - 1];
    const em_step *from = &caller->code->steps[caller->pc - 1];
    const em_function *callee = split->stack[first].code->function;
    uint32_t arguments = from->instruction->call->argument_count;
    for (uint32_t k = 0; k < callee->prototype.result_count && k < from->instruction->call->result_count; k++) {
        pass(warp, from->list + 3 * (arguments + k), callee->prototype.results[k], caller->frame, split->stack[first].frame, mask, false);
    }
    split->stack[split->depth - 1].pc = warp->pc + 1;
    remove_lanes(warp, split, mask, first);
    return EM_RELOAD;
}

/* Lanes that wait below become splits of their own, so that what runs above may wait for them. */
bool em_break_up(em_warp *warp, em_split *split) {
    uint32_t above = split->stack[split->depth - 1].mask;
    bool parted = false;
    for (uint32_t k = split->depth - 1; k-- > 0;) {
        uint32_t waiting = split->stack[k].mask & ~above;
        above |= split->stack[k].mask;
        if (!waiting) continue;
        em_split *fresh = &warp->splits[warp->split_count];
        em_entry *stack = fresh->capacity > k ? fresh->stack : realloc(fresh->stack, (k + 16) * sizeof *stack);
        if (!stack || warp->split_count >= EM_LANES) {
            warp->worker->no_memory = true;
            return false;
        }
        if (fresh->capacity <= k) fresh->capacity = k + 16;
        *fresh = (em_split){.stack = stack, .capacity = fresh->capacity, .depth = k + 1};
        memcpy(stack, split->stack, (k + 1) * sizeof *stack);
        for (uint32_t n = 0; n <= k; n++) {
            stack[n].mask &= waiting;
            if (stack[n].call) stack[n].frame->references++;
        }
        warp->split_count++;
        parted = true;
    }
    uint32_t mine = split->stack[split->depth - 1].mask;
    for (uint32_t k = 0; k < split->depth; k++) split->stack[k].mask &= mine;
    split->since = split->spins = 0;
    return parted;
}
