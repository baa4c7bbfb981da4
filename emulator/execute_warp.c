/* What the lanes of a warp do together: each brings its inputs to the exchange, then every split takes its results from there. */
#include "emulator/machine.h"

#include <string.h>

#define EACH for (uint32_t l = 0; l < EM_LANES; l++)

void em_collective_inputs(em_warp *warp, const em_step *step, uint32_t mask) {
    const uint32_t offsets[3] = {step->a, step->b, step->c};
    if (step->instruction->operation == EM_OP_VOTE) {
        uint32_t p = *em_predicate(warp, step->a) ^ (uint32_t)step->imm;
        EACH if (mask >> l & 1) warp->exchange[0][l] = p >> l & 1;
        return;
    }
    for (int k = 0; k < 3; k++) {
        if (!offsets[k]) continue;
        const void *from = em_at(warp, offsets[k]);
        bool wide = k == 0 && step->bytes == 8;
        EACH if (mask >> l & 1) warp->exchange[k][l] = wide ? ((const uint64_t *)from)[l] : ((const uint32_t *)from)[l];
    }
}

static void put(void *d, uint32_t l, uint64_t value) { ((uint32_t *)d)[l] = (uint32_t)value; }

static void put_predicate(char *registers, uint32_t offset, uint32_t mask, uint32_t value) {
    uint32_t *p = (uint32_t *)(void *)(registers + offset);
    if (offset) *p = (*p & ~mask) | (value & mask);
}

/* The ISA's pseudocode. A source that does not take part gives its own, stale, value: the lane's. */
static void shuffle(em_warp *warp, char *registers, const em_step *step, uint32_t mask, uint32_t members) {
    uint32_t good = 0;
    EACH {
        if (!(mask >> l & 1)) continue;
        uint32_t b = (uint32_t)warp->exchange[1][l] & 31, c = (uint32_t)warp->exchange[2][l];
        uint32_t clamp = c & 31, segment = c >> 8 & 31, most = (l & segment) | (clamp & ~segment), least = l & segment, j;
        bool inside;
        switch ((em_modifier)step->mode) {
        case EM_MOD_UP: j = l - b, inside = (int32_t)j >= (int32_t)most; break;
        case EM_MOD_DOWN: j = l + b, inside = j <= most; break;
        case EM_MOD_BFLY: j = l ^ b, inside = j <= most; break;
        default: j = least | (b & ~segment), inside = j <= most; break;
        }
        if (!inside) j = l;
        bool there = members >> (j & 31) & 1;
        put(registers + step->d, l, there ? warp->exchange[0][j & 31] : warp->exchange[0][l]);
        good |= (uint32_t)inside << l;
    }
    put_predicate(registers, step->list[0], mask, good);
}

static void vote(em_warp *warp, char *registers, const em_step *step, uint32_t mask, uint32_t members) {
    uint32_t ballot = 0;
    EACH ballot |= (uint32_t)(members >> l & 1 && warp->exchange[0][l]) << l;
    const em_instruction *i = step->instruction;
    if (em_has(i, EM_MOD_BALLOT)) {
        EACH if (mask >> l & 1) put(registers + step->d, l, ballot);
        return;
    }
    bool result = em_has(i, EM_MOD_ALL) ? ballot == members : em_has(i, EM_MOD_ANY) ? ballot != 0 : ballot == members || ballot == 0;
    put_predicate(registers, step->d, mask, result ? EM_ALL : 0);
}

static void match(em_warp *warp, char *registers, const em_step *step, uint32_t mask, uint32_t members, bool all) {
    uint32_t good = 0;
    EACH {
        if (!(mask >> l & 1)) continue;
        uint32_t same = 0;
        for (uint32_t k = 0; k < EM_LANES; k++) same |= (uint32_t)(members >> k & 1 && warp->exchange[0][k] == warp->exchange[0][l]) << k;
        if (all && same != members) same = 0;
        good |= (uint32_t)(same != 0) << l;
        put(registers + step->d, l, same);
    }
    if (all) put_predicate(registers, step->list[0], mask, good);
}

static void reduce(em_warp *warp, char *registers, const em_step *step, uint32_t mask, uint32_t members) {
    bool first = true, is_signed = step->type == EM_S32;
    uint32_t r = 0;
    EACH {
        if (!(members >> l & 1)) continue;
        uint32_t x = (uint32_t)warp->exchange[0][l];
        bool less = is_signed ? (int32_t)x < (int32_t)r : x < r;
        switch ((em_modifier)step->mode) {
        case EM_MOD_A_ADD: r += x; break;
        case EM_MOD_A_MIN: r = first || less ? x : r; break;
        case EM_MOD_A_MAX: r = first || !less ? x : r; break;
        case EM_MOD_AND: r = first ? x : r & x; break;
        case EM_MOD_OR: r |= x; break;
        default: r ^= x; break;
        }
        first = false;
    }
    EACH if (mask >> l & 1) put(registers + step->d, l, r);
}

/* Transposes an 8 x 8 matrix of 16-bit elements, two per lane. */
static void transpose(em_warp *warp, char *registers, const em_step *step, uint32_t mask) {
    EACH {
        if (!(mask >> l & 1)) continue;
        uint32_t row = l / 4, column = l % 4 * 2, r = 0;
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t from_row = column + k, from_column = row, lane = from_row * 4 + from_column / 2;
            r |= ((uint32_t)warp->exchange[0][lane] >> from_column % 2 * 16 & 0xffff) << 16 * k;
        }
        put(registers + step->d, l, r);
    }
}

void em_collective_complete(em_warp *warp, char *registers, const em_step *step, uint32_t mask, uint32_t members) {
    switch ((em_operation)step->instruction->operation) {
    case EM_OP_SHFL: shuffle(warp, registers, step, mask, members); break;
    case EM_OP_VOTE: vote(warp, registers, step, mask, members); break;
    case EM_OP_MATCH_ANY: match(warp, registers, step, mask, members, false); break;
    case EM_OP_MATCH_ALL: match(warp, registers, step, mask, members, true); break;
    case EM_OP_REDUX: reduce(warp, registers, step, mask, members); break;
    case EM_OP_MOVMATRIX: transpose(warp, registers, step, mask); break;
    case EM_OP_ELECT: {
        uint32_t leader = (uint32_t)__builtin_ctz(members);
        EACH if (mask >> l & 1) put(registers + step->d, l, leader);
        put_predicate(registers, step->list[0], mask, 1u << leader);
        break;
    }
    default: break; /* bar.warp.sync */
    }
}
