/* Steps that move values without arithmetic of their own: special registers, packing, and the wrapper that gives plain floating steps another rounding,
 * flushing or saturation. */
#include "emulator/machine.h"

#include <fenv.h>
#include <string.h>
#include <time.h>

#define EACH for (uint32_t l = 0; l < EM_LANES; l++)

em_answer em_run_nothing(em_warp *warp, const em_step *step, uint32_t mask) {
    (void)warp, (void)step, (void)mask;
    return EM_NEXT;
}

em_answer em_run_trap(em_warp *warp, const em_step *step, uint32_t mask) {
    return em_fail(warp, step, (uint32_t)__builtin_ctz(mask), EM_FAULT_TRAP, "trap");
}

static uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t cycles(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What all lanes of the warp share. */
static uint64_t uniform(const em_warp *warp, em_special special) {
    const em_run *run = warp->worker->run;
    const em_launch *launch = run->launch;
    switch (special) {
    case EM_SPECIAL_NTID_X: return launch->block[0];
    case EM_SPECIAL_NTID_Y: return launch->block[1];
    case EM_SPECIAL_NTID_Z: return launch->block[2];
    case EM_SPECIAL_NTID_W:
    case EM_SPECIAL_NCTAID_W: return 1;
    case EM_SPECIAL_CLUSTER_NCTAID_X: /* a cluster is one block */
    case EM_SPECIAL_CLUSTER_NCTAID_Y:
    case EM_SPECIAL_CLUSTER_NCTAID_Z:
    case EM_SPECIAL_CLUSTER_NCTARANK: return 1;
    case EM_SPECIAL_CLUSTERID_X:
    case EM_SPECIAL_CTAID_X: return warp->block->id[0];
    case EM_SPECIAL_CLUSTERID_Y:
    case EM_SPECIAL_CTAID_Y: return warp->block->id[1];
    case EM_SPECIAL_CLUSTERID_Z:
    case EM_SPECIAL_CTAID_Z: return warp->block->id[2];
    case EM_SPECIAL_NCLUSTERID_X:
    case EM_SPECIAL_NCTAID_X: return launch->grid[0];
    case EM_SPECIAL_NCLUSTERID_Y:
    case EM_SPECIAL_NCTAID_Y: return launch->grid[1];
    case EM_SPECIAL_NCLUSTERID_Z:
    case EM_SPECIAL_NCTAID_Z: return launch->grid[2];
    case EM_SPECIAL_WARPID: return warp->index;
    case EM_SPECIAL_NWARPID: return 64;
    case EM_SPECIAL_SMID: return warp->block->number % (launch->device->processors ? launch->device->processors : 1);
    case EM_SPECIAL_NSMID: return launch->device->processors;
    case EM_SPECIAL_GRIDID: return run->grid_number;
    case EM_SPECIAL_CLOCK:
    case EM_SPECIAL_CLOCK64: return cycles();
    case EM_SPECIAL_CLOCK_HI: return cycles() >> 32;
    case EM_SPECIAL_GLOBALTIMER:
    case EM_SPECIAL_GLOBALTIMER_LO: return nanoseconds();
    case EM_SPECIAL_GLOBALTIMER_HI: return nanoseconds() >> 32;
    case EM_SPECIAL_DYNAMIC_SMEM_SIZE: return launch->dynamic_shared;
    case EM_SPECIAL_AGGR_SMEM_SIZE:
    case EM_SPECIAL_TOTAL_SMEM_SIZE: return run->shared_bytes;
    default: return 0;
    }
}

static uint64_t of_lane(const em_warp *warp, em_special special, uint32_t l) {
    switch (special) {
    case EM_SPECIAL_TID_X: return warp->tid[0][l];
    case EM_SPECIAL_TID_Y: return warp->tid[1][l];
    case EM_SPECIAL_TID_Z: return warp->tid[2][l];
    case EM_SPECIAL_LANEID: return l;
    case EM_SPECIAL_LANEMASK_EQ: return 1u << l;
    case EM_SPECIAL_LANEMASK_LE: return (2u << l) - 1;
    case EM_SPECIAL_LANEMASK_LT: return (1u << l) - 1;
    case EM_SPECIAL_LANEMASK_GE: return ~((1u << l) - 1);
    case EM_SPECIAL_LANEMASK_GT: return ~((2u << l) - 1);
    default: return 0;
    }
}

static bool by_lane(em_special special) {
    return special <= EM_SPECIAL_TID_Z || special == EM_SPECIAL_LANEID || (special >= EM_SPECIAL_LANEMASK_EQ && special <= EM_SPECIAL_LANEMASK_GT);
}

/* mode: 0 an address, else 1 + special register; beyond those: the active mask. */
em_answer em_run_special(em_warp *warp, const em_step *step, uint32_t mask) {
    uint64_t values[EM_LANES];
    if (step->mode == 0) {
        em_space space;
        em_addresses(warp, step, &space, values);
    } else if (step->mode > EM_SPECIAL_COUNT) {
        EACH values[l] = mask;
    } else {
        em_special special = (em_special)(step->mode - 1);
        if (by_lane(special)) {
            EACH values[l] = of_lane(warp, special, l);
        } else {
            uint64_t value = uniform(warp, special);
            EACH values[l] = value;
        }
    }
    void *d = em_at(warp, step->d);
    if (step->d_bytes == 8) {
        EACH if (mask >> l & 1) ((uint64_t *)d)[l] = values[l];
    } else if (step->d_bytes == 4) {
        EACH if (mask >> l & 1) ((uint32_t *)d)[l] = (uint32_t)values[l];
    } else {
        EACH if (mask >> l & 1) ((uint16_t *)d)[l] = (uint16_t)values[l];
    }
    return EM_NEXT;
}

static uint64_t element(const void *reg, uint32_t bytes, uint32_t l) {
    uint64_t value = 0;
    uint32_t held = bytes < 2 ? 2 : bytes; /* 8-bit registers take 16 */
    memcpy(&value, (const char *)reg + l * held, bytes);
    return value;
}

em_answer em_run_pack(em_warp *warp, const em_step *step, uint32_t mask) {
    uint64_t values[EM_LANES][2];
    memset(values, 0, sizeof values);
    for (uint32_t k = 0; k < step->list_count; k++) {
        const void *from = em_at(warp, step->list[k]);
        EACH {
            uint64_t part = element(from, step->bytes, l);
            memcpy((char *)values[l] + k * step->bytes, &part, step->bytes);
        }
    }
    char *d = em_at(warp, step->d);
    EACH if (mask >> l & 1) memcpy(d + l * step->d_bytes, values[l], step->d_bytes);
    return EM_NEXT;
}

em_answer em_run_unpack(em_warp *warp, const em_step *step, uint32_t mask) {
    char source[EM_LANES * 16];
    memcpy(source, em_at(warp, step->a), step->d_bytes * EM_LANES);
    uint32_t held = step->bytes < 2 ? 2 : step->bytes;
    for (uint32_t k = 0; k < step->list_count; k++) {
        char *d = em_at(warp, step->list[k]);
        EACH {
            uint64_t part = 0;
            memcpy(&part, source + l * step->d_bytes + k * step->bytes, step->bytes);
            if (mask >> l & 1) memcpy(d + l * held, &part, held);
        }
    }
    return EM_NEXT;
}

em_answer em_run_move128(em_warp *warp, const em_step *step, uint32_t mask) {
    char *d = em_at(warp, step->d);
    const char *a = em_at(warp, step->a);
    EACH if (mask >> l & 1) memmove(d + l * 16, a + l * 16, 16);
    return EM_NEXT;
}

static inline float flush32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7f800000) == 0) bits &= 0x80000000;
    memcpy(&x, &bits, 4);
    return x;
}

static int rounding_mode(uint8_t mode) {
    switch ((em_modifier)mode) {
    case EM_MOD_RZ: return FE_TOWARDZERO;
    case EM_MOD_RM: return FE_DOWNWARD;
    case EM_MOD_RP: return FE_UPWARD;
    default: return FE_TONEAREST;
    }
}

static void sources(em_warp *warp, const em_step *step, uint32_t sign[EM_LANES]) {
    const uint32_t from[4] = {step->a, step->b, step->c, step->e};
    for (uint32_t k = 0; k < step->count && k < 4; k++) {
        void *to = em_at(warp, EM_FRAME_SCRATCH + (k + 1) * EM_SCRATCH_BYTES);
        memcpy(to, em_at(warp, from[k]), step->bytes * EM_LANES);
        if (step->bytes == 4 && step->flags & EM_FLAG_XORSIGN) {
            uint32_t *bits = to;
            EACH sign[l] ^= bits[l] & 0x80000000, bits[l] &= 0x7fffffff;
        }
        if (step->bytes == 4 && step->flags & EM_FLAG_FTZ) {
            float *values = to;
            EACH values[l] = flush32(values[l]);
        }
    }
}

em_answer em_wrapped(em_warp *warp, const em_step *step, uint32_t mask) {
    uint32_t sign[EM_LANES] = {0};
    sources(warp, step, sign);
    int mode = rounding_mode(step->mode);
    if (mode != FE_TONEAREST) fesetround(mode);
    step->inner->run(warp, step->inner, EM_ALL);
    if (mode != FE_TONEAREST) fesetround(FE_TONEAREST);
    if (step->bytes == 4) {
        const float *r = em_at(warp, EM_FRAME_SCRATCH);
        float *d = em_at(warp, step->d);
        EACH {
            float x = r[l];
            if (step->flags & EM_FLAG_FTZ) x = flush32(x);
            if (step->flags & EM_FLAG_SAT) x = !(x > 0) ? 0 : x > 1 ? 1 : x;
            if (step->flags & EM_FLAG_XORSIGN && x == x) {
                uint32_t bits;
                memcpy(&bits, &x, 4);
                bits ^= sign[l];
                memcpy(&x, &bits, 4);
            }
            if (mask >> l & 1) d[l] = x;
        }
    } else {
        const double *r = em_at(warp, EM_FRAME_SCRATCH);
        double *d = em_at(warp, step->d);
        EACH if (mask >> l & 1) d[l] = r[l];
    }
    return EM_NEXT;
}
