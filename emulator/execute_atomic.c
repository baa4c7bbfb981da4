/* atom and red: real atomics of the host, since blocks run on several threads. Floating and narrow operations are loops of compare and exchange.
 * Lanes take effect in order of their number. */
#include "emulator/machine.h"
#include "emulator/number.h"

#include <string.h>

static inline float real32(uint64_t x) { uint32_t low = (uint32_t)x; float r; memcpy(&r, &low, 4); return r; }
static inline double real64(uint64_t x) { double r; memcpy(&r, &x, 8); return r; }
static uint64_t bits32(float x) { uint32_t r; memcpy(&r, &x, 4); return x == x ? r : 0x7fffffff; }
static uint64_t bits64(double x) { uint64_t r; memcpy(&r, &x, 8); return r; }
/* Atomics on f32 in global memory flush subnormals on the hardware; the ISA leaves subnormals to the implementation, we keep them. */

static uint64_t add(uint64_t old, uint64_t x, em_type type) {
    switch (type) {
    case EM_F32: return bits32(real32(old) + real32(x));
    case EM_F64: return bits64(real64(old) + real64(x));
    case EM_F16:
    case EM_BF16: return em_half_fma((uint32_t)old, type == EM_F16 ? 0x3c00 : 0x3f80, (uint32_t)x, type);
    case EM_F16X2:
    case EM_BF16X2: {
        em_type half = type == EM_F16X2 ? EM_F16 : EM_BF16;
        uint32_t one = half == EM_F16 ? 0x3c00 : 0x3f80;
        return em_half_fma(old & 0xffff, one, x & 0xffff, half) | em_half_fma(old >> 16 & 0xffff, one, x >> 16 & 0xffff, half) << 16;
    }
    default: return old + x;
    }
}

static uint64_t extreme(uint64_t old, uint64_t x, em_type type, bool most) {
    bool less;
    switch (type) {
    case EM_S32: less = (int32_t)x < (int32_t)old; break;
    case EM_S64: less = (int64_t)x < (int64_t)old; break;
    case EM_U32: less = (uint32_t)x < (uint32_t)old; break;
    default: less = x < old; break;
    }
    return less != most ? x : old;
}

static uint64_t combine(const em_step *step, uint64_t old, uint64_t x, uint64_t y) {
    em_type type = (em_type)step->type;
    switch ((em_modifier)step->mode) {
    case EM_MOD_A_ADD: return add(old, x, type);
    case EM_MOD_A_MIN: return extreme(old, x, type, false);
    case EM_MOD_A_MAX: return extreme(old, x, type, true);
    case EM_MOD_A_INC: return (uint32_t)old >= (uint32_t)x ? 0 : old + 1;
    case EM_MOD_A_DEC: return (uint32_t)old == 0 || (uint32_t)old > (uint32_t)x ? x : old - 1;
    case EM_MOD_AND: return old & x;
    case EM_MOD_OR: return old | x;
    case EM_MOD_XOR: return old ^ x;
    case EM_MOD_A_CAS: return old == x ? y : old;
    default: return x; /* exch */
    }
}

#define LOOP(T) { \
        T *place = (T *)(void *)to, seen = __atomic_load_n(place, __ATOMIC_RELAXED), fresh; \
        do fresh = (T)combine(step, seen, x, y); \
        while (!__atomic_compare_exchange_n(place, &seen, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)); \
        return seen; \
    }

static uint64_t one(const em_step *step, char *to, uint64_t x, uint64_t y) {
    switch (step->bytes) {
    case 2: LOOP(uint16_t)
    case 4: LOOP(uint32_t)
    default: LOOP(uint64_t)
    }
}

static uint64_t lane_value(const void *reg, uint32_t bytes, uint32_t l) {
    switch (bytes) {
    case 2: return ((const uint16_t *)reg)[l];
    case 4: return ((const uint32_t *)reg)[l];
    default: return ((const uint64_t *)reg)[l];
    }
}

static void lane_set(void *reg, uint32_t bytes, uint32_t l, uint64_t value) {
    switch (bytes) {
    case 2: ((uint16_t *)reg)[l] = (uint16_t)value; break;
    case 4: ((uint32_t *)reg)[l] = (uint32_t)value; break;
    default: ((uint64_t *)reg)[l] = value; break;
    }
}

em_answer em_run_atomic(em_warp *warp, const em_step *step, uint32_t mask) {
    uint64_t addresses[EM_LANES];
    char *to[EM_LANES];
    em_space space;
    em_addresses(warp, step, &space, addresses);
    uint32_t total = step->bytes * step->count;
    if (!em_resolve(warp, step, mask, space, addresses, total, true, true, to) || !em_watch(warp, step, mask, space, total, true, true, to)) return EM_FAULTED;
    warp->split->spins++;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        uint32_t l = (uint32_t)__builtin_ctz(rest);
        for (uint32_t k = 0; k < step->list_count; k++) {
            uint64_t x = lane_value(em_at(warp, step->list[k]), step->bytes, l), y = step->mode == EM_MOD_A_CAS ? lane_value(em_at(warp, step->c), step->bytes, l) : 0;
            uint64_t old = one(step, to[l] + k * step->bytes, x, y);
            uint32_t d = step->list[step->list_count + k];
            if (d) lane_set(em_at(warp, d), step->bytes, l, old);
        }
    }
    return EM_NEXT;
}
