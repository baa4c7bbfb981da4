/* Races and uninitialised reads in shared memory. Every word remembers who wrote and read it last, and when: each warp has a clock that its own
 * synchronisations advance, and knows how far it has seen the others' clocks (vector clocks). An access is ordered after an earlier one of warp w when
 * this warp has seen w's clock beyond it. Barriers join the clocks of those that take part, fences join through the block's fence clock,
 * synchronisations inside a warp order its own lanes. Atomics do not race with atomics. Writes of the value that is there do not race.
 *
 * A word remembers one reader (with a mark for several, who read the same bytes) and one writer: races among bytes of a word by several threads may be missed. */
#include "emulator/machine.h"

#include <string.h>

enum { ATOMIC_WRITE = 1, ATOMIC_READ = 2, READERS = 4 };

void em_shadow_start(em_block_state *block) {
    if (!block->shadow) return;
    uint32_t count = block->warp_count;
    if (block->clock_base > 0xf0000000) {
        memset(block->shadow, 0, (block->shared_bytes / 4 + 1) * sizeof *block->shadow);
        block->clock_base = 0;
    }
    uint32_t most = block->clock_base;
    for (uint32_t k = 0; k < count; k++) {
        if (block->clocks[k * count + k] > most) most = block->clocks[k * count + k];
    }
    block->clock_base = most + 1; /* what earlier blocks did is ordered before all */
    for (uint32_t k = 0; k < count * count + count; k++) block->clocks[k] = block->clock_base;
    for (uint32_t k = 0; k < count; k++) block->clocks[k * count + k]++;
}

static bool ordered(const em_warp *warp, uint32_t lane, uint16_t thread, uint32_t clock) {
    uint32_t other = thread / EM_LANES;
    if (other == warp->index) return thread % EM_LANES == lane || clock < warp->clocks[other];
    return clock <= warp->clocks[other];
}

static bool race(em_warp *warp, const em_step *step, uint32_t lane, uint32_t offset, uint16_t other, const char *what) {
    uint32_t w = other / EM_LANES, l = other % EM_LANES;
    const em_warp *second = w < warp->block->warp_count ? &warp->block->warps[w] : warp;
    em_fail(warp, step, lane, EM_FAULT_RACE, "race in shared memory at 0x%x: %s thread (%u,%u,%u), no barrier between", offset, what, second->tid[0][l], second->tid[1][l], second->tid[2][l]);
    return false;
}

static bool unwritten(em_warp *warp, const em_step *step, uint32_t lane, uint32_t offset) {
    em_fail(warp, step, lane, EM_FAULT_UNINITIALISED, "read of shared memory at 0x%x that nobody wrote", offset);
    return false;
}

/* Forgets what earlier blocks did. */
static inline void refresh(em_shadow *s, uint32_t base) {
    if (s->write_clock <= base) s->written = s->write_bytes = 0;
    if (s->read_clock <= base) s->read_bytes = 0, s->flags &= (uint8_t)~READERS;
}

static bool read_word(em_warp *warp, const em_step *step, uint32_t lane, uint32_t offset, uint8_t bytes, bool atomic) {
    em_block_state *block = warp->block;
    em_shadow *s = &block->shadow[offset / 4];
    uint16_t thread = (uint16_t)(warp->index * EM_LANES + lane);
    uint32_t clock = warp->clocks[warp->index];
    refresh(s, block->clock_base);
    if ((s->written & bytes) != bytes && block->inits) return unwritten(warp, step, lane, offset);
    bool both = atomic && s->flags & ATOMIC_WRITE;
    if (block->races && s->write_bytes & bytes && !both && !ordered(warp, lane, s->writer, s->write_clock)) {
        return race(warp, step, lane, offset, s->writer, "reads what was written by");
    }
    const bool known = s->read_bytes & bytes && s->reader != thread, mixed = s->flags & READERS && bytes & ~s->read_bytes;
    if (known && !ordered(warp, lane, s->reader, s->read_clock)) {
        s->flags |= READERS;
        s->read_bytes &= bytes; /* bytes that several read, or bytes that one read: only one kind is remembered */
    } else {
        if (s->reader != thread || s->read_clock != clock || mixed) s->read_bytes = 0, s->flags &= (uint8_t)~READERS;
        s->read_bytes |= bytes;
    }
    s->reader = thread, s->read_clock = clock;
    s->flags = (uint8_t)((s->flags & ~ATOMIC_READ) | (atomic ? ATOMIC_READ : 0));
    return true;
}

static bool write_word(em_warp *warp, const em_step *step, uint32_t lane, uint32_t offset, uint8_t bytes, bool atomic, bool same) {
    em_block_state *block = warp->block;
    em_shadow *s = &block->shadow[offset / 4];
    uint16_t thread = (uint16_t)(warp->index * EM_LANES + lane);
    uint32_t clock = warp->clocks[warp->index];
    refresh(s, block->clock_base);
    if (atomic && block->inits && (s->written & bytes) != bytes) return unwritten(warp, step, lane, offset);
    if (block->races && !same) {
        bool both = atomic && s->flags & ATOMIC_WRITE;
        if (s->write_bytes & bytes && !both && !ordered(warp, lane, s->writer, s->write_clock)) return race(warp, step, lane, offset, s->writer, "writes what was written by");
        bool clash = s->read_bytes & bytes && !(atomic && s->flags & ATOMIC_READ);
        bool others = s->flags & READERS && s->reader == thread && s->read_clock == clock;
        if (clash && (others || !ordered(warp, lane, s->reader, s->read_clock))) return race(warp, step, lane, offset, s->reader, "writes what was read by");
    }
    if (s->writer != thread || s->write_clock != clock) s->write_bytes = 0;
    s->writer = thread, s->write_clock = clock;
    s->write_bytes |= bytes, s->written |= bytes;
    s->flags = (uint8_t)((s->flags & ~ATOMIC_WRITE) | (atomic ? ATOMIC_WRITE : 0));
    return true;
}

/* Reads of whole words by a warp: the usual case, a word written before a barrier and read by lanes of this warp since, is decided here. */
bool em_shadow_reads(em_warp *warp, const em_step *step, uint32_t mask, char *const *from, uint32_t bytes, bool atomic) {
    em_block_state *block = warp->block;
    const uint32_t base = block->clock_base, *clocks = warp->clocks, own = warp->index, clock = clocks[own];
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest), offset = (uint32_t)(from[l] - block->shared);
        for (uint32_t at = offset; at < offset + bytes; at += 4) {
            em_shadow *s = &block->shadow[at / 4];
            uint32_t writer = s->writer / EM_LANES, thread = own * EM_LANES + l;
            bool quick = s->write_clock > base && s->written == 15 && !(s->flags & ATOMIC_WRITE) && !atomic && s->read_bytes == 15 && s->read_clock == clock &&
                s->reader / EM_LANES == own && (writer == own ? s->writer == thread || s->write_clock < clock : s->write_clock <= clocks[writer]);
            if (!quick) {
                if (!read_word(warp, step, l, at, 15, atomic)) return false;
                continue;
            }
            if (s->reader != thread) s->flags |= READERS;
            s->reader = (uint16_t)thread;
        }
    }
    return true;
}

bool em_shadow_access(em_warp *warp, const em_step *step, uint32_t lane, uint32_t offset, uint32_t bytes, bool write, bool atomic, const void *value) {
    if (!write && bytes == 4) return read_word(warp, step, lane, offset, 15, atomic);
    bool same = write && value && !memcmp(warp->block->shared + offset, value, bytes);
    for (uint32_t at = offset / 4 * 4; at < offset + bytes; at += 4) {
        uint32_t first = offset > at ? offset - at : 0, last = offset + bytes - at < 4 ? offset + bytes - at : 4;
        uint8_t touched = (uint8_t)((1u << last) - (1u << first));
        if (!(write ? write_word(warp, step, lane, at, touched, atomic, same) : read_word(warp, step, lane, at, touched, atomic))) return false;
    }
    return true;
}

/* All that took part have seen each other's past; what they do next is new. */
void em_shadow_barrier(em_block_state *block, const uint32_t *warps, uint32_t count) {
    uint32_t total = block->warp_count;
    if (!block->clocks) return;
    for (uint32_t v = 0; v < total; v++) {
        uint32_t most = 0;
        for (uint32_t k = 0; k < count; k++) {
            uint32_t clock = block->clocks[warps[k] * total + v];
            if (clock > most) most = clock;
        }
        for (uint32_t k = 0; k < count; k++) block->clocks[warps[k] * total + v] = most;
    }
    for (uint32_t k = 0; k < count; k++) block->clocks[warps[k] * total + warps[k]]++;
}

void em_shadow_warp(em_warp *warp) {
    if (warp->clocks) warp->clocks[warp->index]++;
}

void em_shadow_fence(em_warp *warp) {
    em_block_state *block = warp->block;
    if (!block->clocks) return;
    for (uint32_t v = 0; v < block->warp_count; v++) {
        if (warp->clocks[v] < block->fence_clocks[v]) warp->clocks[v] = block->fence_clocks[v];
        else block->fence_clocks[v] = warp->clocks[v];
    }
    warp->clocks[warp->index]++;
}
