/* A block's life: its warps run in turn, a quantum each; barriers count who arrived; collectives of a warp wait for their members. Nothing of a block
 * moves any more: a deadlock. */
#include "emulator/machine.h"

#include <stdlib.h>
#include <string.h>

enum { QUANTUM = 4096, SPIN_STEPS = 20000, SPIN_ACCESSES = 200, LONG_STEPS = 1 << 24, BUSY_WAITING = 32, IDLE_TURNS = 4 };

/* ---- barriers ---- */

static uint32_t needed(const em_block_state *block, const em_barrier *barrier) { return barrier->counted ? barrier->expected : block->live; }

static void barrier_result(em_warp *warp, em_split *split, const em_barrier *barrier, uint32_t total) {
    em_entry *top = &split->stack[split->depth - 1];
    const em_step *step = &top->code->steps[top->pc];
    if (!step->d) return;
    void *d = top->frame->registers + step->d;
    uint32_t true_count = barrier->lanes_true;
    if (step->mode == EM_MOD_POPC) {
        for (uint32_t l = 0; l < EM_LANES; l++) {
            if (split->wait_mask >> l & 1) ((uint32_t *)d)[l] = true_count;
        }
    } else {
        bool result = step->mode == EM_MOD_AND ? true_count == total : true_count != 0;
        uint32_t *p = d;
        *p = result ? *p | split->wait_mask : *p & ~split->wait_mask;
    }
    (void)warp;
}

/* Lets everybody go who waits at a barrier that is complete. */
static void barrier_release(em_block_state *block, uint32_t number) {
    em_barrier *barrier = &block->barriers[number];
    uint32_t warps[EM_LANES], count = 0, total = barrier->arrived;
    for (uint32_t w = 0; w < block->warp_count; w++) {
        em_warp *warp = &block->warps[w];
        bool here = barrier->arrive_warps >> w & 1;
        for (uint32_t s = 0; s < warp->split_count; s++) {
            em_split *split = &warp->splits[s];
            if (split->state != EM_AT_BARRIER || split->barrier != number) continue;
            barrier_result(warp, split, barrier, total);
            split->stack[split->depth - 1].pc++;
            split->state = EM_READY;
            split->since = split->spins = 0;
            here = true;
        }
        if (here) warps[count++] = w;
    }
    em_shadow_barrier(block, warps, count);
    *barrier = (em_barrier){0};
}

static bool barrier_complete(em_block_state *block, uint32_t number) {
    em_barrier *barrier = &block->barriers[number];
    if (!barrier->arrived || barrier->arrived < needed(block, barrier)) return false;
    barrier_release(block, number);
    return true;
}

static em_answer barrier_fault(em_warp *warp, const em_step *step, uint32_t mask, uint32_t number) {
    uint32_t missing = warp->lanes & ~warp->exited & ~mask;
    return em_fail(warp, step, (uint32_t)__builtin_ctz(missing), EM_FAULT_BARRIER, "does not take part in barrier %u with its warp: lanes 0x%08x arrived in divergent code, 0x%08x did not", number, mask, missing);
}

em_answer em_run_barrier(em_warp *warp, const em_step *step, uint32_t mask) {
    em_block_state *block = warp->block;
    em_split *split = warp->split;
    uint32_t lane = (uint32_t)__builtin_ctz(mask), number = ((const uint32_t *)em_at(warp, step->a))[lane];
    if (number >= EM_BARRIERS) return em_fail(warp, step, lane, EM_FAULT_BARRIER, "barrier %u: there are 16", number);
    uint32_t there = warp->lanes & ~warp->exited;
    bool aligned = step->flags & EM_FLAG_ALIGNED;
    if (aligned && mask != there && warp->split_count == 1) return barrier_fault(warp, step, mask, number);
    uint32_t threads = step->count ? ((const uint32_t *)em_at(warp, step->b))[lane] : 0;
    em_barrier *barrier = &block->barriers[number];
    if (step->count && (threads % EM_LANES || threads == 0)) return em_fail(warp, step, lane, EM_FAULT_BARRIER, "barrier %u for %u threads: no multiple of 32", number, threads);
    if (barrier->arrived && (barrier->counted != (step->count != 0) || (step->count && barrier->expected != threads))) {
        return em_fail(warp, step, lane, EM_FAULT_BARRIER, "barrier %u for %u threads, others came for %u", number, step->count ? threads : block->live, needed(block, barrier));
    }
    barrier->counted = step->count != 0;
    barrier->expected = threads;
    /* With a count, a warp counts as a whole: the ISA adds the warp's size and not the number of active threads. */
    barrier->arrived += step->count && mask == there ? EM_LANES : (uint32_t)__builtin_popcount(mask);
    if (step->mode) barrier->lanes_true += (uint32_t)__builtin_popcount((*em_predicate(warp, step->c) ^ (uint32_t)step->imm) & mask);
    if (step->instruction->operation == EM_OP_BAR_ARRIVE) {
        if (warp->index < 32) barrier->arrive_warps |= 1u << warp->index;
        barrier_complete(block, number);
        return EM_NEXT;
    }
    if (!aligned && mask != there && split->depth > 1) em_break_up(warp, split);
    split->stack[split->depth - 1].pc = warp->pc;
    split->state = EM_AT_BARRIER;
    split->barrier = number;
    split->wait_mask = mask;
    if (mask != warp->active) { /* lanes that a guard held back go on by themselves: not for .aligned */
        return em_fail(warp, step, lane, EM_FAULT_BARRIER, "barrier %u under a guard that not all lanes pass", number);
    }
    barrier_complete(block, number);
    return EM_WAIT;
}

/* ---- collectives of a warp ---- */

static uint32_t members_of(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t *members = em_at(warp, step->e);
    return members[__builtin_ctz(mask)];
}

/* All that wait at a collective have come: every split gets its results. */
static void collective_release(em_warp *warp, uint32_t members) {
    for (uint32_t s = 0; s < warp->split_count; s++) {
        em_split *split = &warp->splits[s];
        if (split->state != EM_AT_COLLECTIVE || split->members != members) continue;
        em_entry *top = &split->stack[split->depth - 1];
        em_collective_complete(warp, top->frame->registers, &top->code->steps[top->pc], split->wait_mask, members & ~warp->exited);
        top->pc++;
        split->state = EM_READY;
        split->since = split->spins = 0;
    }
    em_shadow_warp(warp);
}

static bool collective_ready(em_warp *warp, uint32_t members) {
    uint32_t come = 0;
    for (uint32_t s = 0; s < warp->split_count; s++) {
        const em_split *split = &warp->splits[s];
        if (split->state == EM_AT_COLLECTIVE && split->members == members) come |= split->wait_mask;
    }
    return come && ((members & warp->lanes & ~warp->exited) & ~come) == 0;
}

em_answer em_run_collective(em_warp *warp, const em_step *step, uint32_t mask) {
    uint32_t members = members_of(warp, step, mask), lane = (uint32_t)__builtin_ctz(mask);
    const uint32_t *all = em_at(warp, step->e);
    for (uint32_t l = 0; l < EM_LANES; l++) {
        if ((mask >> l & 1) && !(all[l] >> l & 1)) {
            return em_fail(warp, step, l, EM_FAULT_BARRIER, "executes %s with member mask 0x%08x, in which it is not", step->instruction->row->mnemonic, all[l]);
        }
    }
    uint32_t there = members & warp->lanes & ~warp->exited;
    if ((there & ~mask) == 0) {
        em_collective_inputs(warp, step, mask);
        em_collective_complete(warp, warp->registers, step, mask, there);
        if (warp->worker->run->launch->device->race_check) em_shadow_warp(warp);
        return EM_NEXT;
    }
    em_split *split = warp->split;
    if (mask != warp->active) return em_fail(warp, step, lane, EM_FAULT_BARRIER, "%s under a guard that lanes of its member mask 0x%08x do not pass", step->instruction->row->mnemonic, members);
    em_collective_inputs(warp, step, mask);
    split->stack[split->depth - 1].pc = warp->pc;
    if (split->depth > 1) em_break_up(warp, split);
    split->state = EM_AT_COLLECTIVE;
    split->members = members;
    split->wait_mask = mask;
    if (collective_ready(warp, members)) collective_release(warp, members);
    return EM_WAIT;
}

/* ---- scheduling ---- */

static bool same_stacks(const em_split *a, const em_split *b) {
    if (a->depth != b->depth) return false;
    for (uint32_t k = 0; k < a->depth; k++) {
        const em_entry *x = &a->stack[k], *y = &b->stack[k];
        if (x->code != y->code || x->frame != y->frame || x->pc != y->pc || x->join != y->join) return false;
    }
    return true;
}

static void drop_split(em_warp *warp, uint32_t index) {
    em_split gone = warp->splits[index];
    for (uint32_t k = 0; k < gone.depth; k++) {
        if (gone.stack[k].call) em_frame_give(warp->worker, gone.stack[k].frame);
    }
    gone.depth = 0;
    warp->splits[index] = warp->splits[--warp->split_count];
    warp->splits[warp->split_count] = gone; /* keeps its stack's memory */
}

void em_splits_release(em_warp *warp) {
    while (warp->split_count) drop_split(warp, warp->split_count - 1);
}

/* Splits that stand at the same place again run together again; finished ones go. */
static void tidy(em_warp *warp) {
    for (uint32_t a = 0; a < warp->split_count; a++) {
        if (warp->splits[a].depth == 0) {
            drop_split(warp, a--);
            continue;
        }
        for (uint32_t b = a + 1; b < warp->split_count; b++) {
            em_split *x = &warp->splits[a], *y = &warp->splits[b];
            if (x->state != EM_READY || y->state != EM_READY || !same_stacks(x, y)) continue;
            for (uint32_t k = 0; k < x->depth; k++) x->stack[k].mask |= y->stack[k].mask;
            drop_split(warp, b--);
        }
    }
}

/* Who left may have been the last that others waited for. */
static bool after_exit(em_block_state *block, em_warp *warp) {
    bool moved = false;
    for (uint32_t k = 0; k < EM_BARRIERS; k++) moved |= barrier_complete(block, k);
    for (uint32_t s = 0; s < warp->split_count; s++) {
        const em_split *split = &warp->splits[s];
        if (split->state == EM_AT_COLLECTIVE && collective_ready(warp, split->members)) {
            collective_release(warp, split->members);
            moved = true;
        }
    }
    return moved;
}

/* Runs one split for a quantum. False: a fault. */
static bool run_split(em_warp *warp, em_split *split) {
    uint64_t budget = QUANTUM, before = split->spins;
    uint32_t exited = warp->exited;
    warp->split = split;
    em_answer answer = warp->worker->run->lanes->run(warp, &budget);
    split->since += QUANTUM - budget;
    split->busy = split->spins < before || split->spins - before < BUSY_WAITING || split->state != EM_READY;
    if (answer == EM_FAULTED) return false;
    if (warp->exited != exited) after_exit(warp->block, warp);
    bool spins = split->since > SPIN_STEPS && split->spins > SPIN_ACCESSES;
    if (split->depth > 1 && split->state == EM_READY && (spins || split->since > LONG_STEPS)) em_break_up(warp, split);
    return !warp->worker->no_memory;
}

static void report_stuck(em_block_state *block) {
    for (uint32_t w = 0; w < block->warp_count; w++) {
        em_warp *warp = &block->warps[w];
        for (uint32_t s = 0; s < warp->split_count; s++) {
            em_split *split = &warp->splits[s];
            if (split->depth == 0) continue;
            em_entry *top = &split->stack[split->depth - 1];
            const em_step *step = &top->code->steps[top->pc];
            uint32_t lane = (uint32_t)__builtin_ctz(split->wait_mask ? split->wait_mask : 1);
            warp->split = split;
            if (split->state == EM_AT_BARRIER) {
                const em_barrier *barrier = &block->barriers[split->barrier];
                em_fail(warp, step, lane, EM_FAULT_BARRIER, "waits at barrier %u for ever: %u of %u threads arrived", split->barrier, barrier->arrived, needed(block, barrier));
            } else {
                em_fail(warp, step, lane, EM_FAULT_LOOP, "waits for ever at %s: lanes of its member mask 0x%08x never come", step->instruction->row->mnemonic, split->members);
            }
            return;
        }
    }
}

/* Runs all warps in turn. False: the block has a fault. */
bool em_run_block(em_block_state *block, uint64_t quanta, bool *done) {
    *done = false;
    uint32_t idle = 0;
    while (quanta && idle < IDLE_TURNS) { /* a block that only looks whether something changed lets others run */
        bool moved = false, busy = false;
        for (uint32_t w = 0; w < block->warp_count; w++) {
            em_warp *warp = &block->warps[w];
            if (warp->split_count > 1 || (warp->split_count && warp->splits[0].depth == 0)) tidy(warp);
            for (uint32_t s = 0; s < warp->split_count; s++) {
                em_split *split = &warp->splits[s];
                if (split->state != EM_READY || split->depth == 0) continue;
                if (!run_split(warp, split)) return false;
                moved = true;
                busy |= split->busy;
                if (quanta) quanta--;
                block->quanta++;
            }
        }
        if (!block->live) {
            *done = true;
            return true;
        }
        idle = busy ? 0 : idle + 1;
        if (!moved) {
            report_stuck(block);
            return false;
        }
        if (em_cancelled(block->worker)) return true;
        if (__atomic_load_n(&block->worker->run->lowest_fault, __ATOMIC_RELAXED) < block->number) return true;
    }
    return true;
}
