/* Accesses: where each lane's address leads, the checks on the way, loads and stores. A device address is a host address, so a global
 * access costs a comparison with the block that the same step hit last, as long as it stays in it. */
#include "emulator/machine.h"

#include <string.h>

#define EACH for (uint32_t l = 0; l < EM_LANES; l++)
#define ACTIVE(mask) for (uint32_t rest_ = mask, l = 0; rest_ && ((l = (uint32_t)__builtin_ctz(rest_)), 1); rest_ &= rest_ - 1)

void em_addresses(const em_warp *warp, const em_step *step, em_space *space, uint64_t *addresses) {
    uint64_t offset = step->imm;
    *space = (em_space)step->space;
    if (step->base == EM_BASE_64) {
        const uint64_t *a = em_at(warp, step->a);
        EACH addresses[l] = a[l] + offset;
        return;
    }
    if (step->base == EM_BASE_32) {
        const uint32_t *a = em_at(warp, step->a);
        EACH addresses[l] = (uint32_t)(a[l] + offset);
        return;
    }
    if (step->base == EM_BASE_FRAME) offset += warp->frame->local;
    if (step->base == EM_BASE_DYNAMIC) offset += warp->worker->run->shared_static;
    EACH addresses[l] = offset;
}

static const char *action(bool write, bool atomic) { return atomic ? "atomic access to" : write ? "write to" : "read of"; }

static em_answer outside(em_warp *warp, const em_step *step, uint32_t lane, uint64_t address, uint32_t bytes, bool write, bool atomic) {
    em_memory *memory = warp->worker->run->launch->memory;
    const em_block *block = em_memory_find(memory, address);
    const char *what = action(write, atomic);
    if (block && block->freed) {
        return em_fail(warp, step, lane, EM_FAULT_ADDRESS, "%s %u bytes at 0x%llx: %llu bytes into allocation %llu of %llu bytes, which was freed", what, bytes,
                       (unsigned long long)address, (unsigned long long)(address - block->address), (unsigned long long)block->number, (unsigned long long)block->size);
    }
    if (block && !block->mapped) {
        return em_fail(warp, step, lane, EM_FAULT_ADDRESS, "%s %u bytes at 0x%llx: host memory that is not mapped for the device", what, bytes, (unsigned long long)address);
    }
    if (block && address >= block->address && address < block->address + block->size) {
        return em_fail(warp, step, lane, EM_FAULT_ADDRESS, "%s %u bytes at 0x%llx: reaches over the end of allocation %llu of %llu bytes, from its byte %llu", what, bytes,
                       (unsigned long long)address, (unsigned long long)block->number, (unsigned long long)block->size, (unsigned long long)(address - block->address));
    }
    for (uint64_t back = 0; back <= 1 << 16; back += 256) { /* what lies below, in reach of a small slip */
        const em_block *below = address > back ? em_memory_find(memory, address - back) : NULL;
        if (!below || below->freed) continue;
        return em_fail(warp, step, lane, EM_FAULT_ADDRESS, "%s %u bytes at 0x%llx: %llu bytes after allocation %llu of %llu bytes", what, bytes,
                       (unsigned long long)address, (unsigned long long)(address - below->address - below->size), (unsigned long long)below->number,
                       (unsigned long long)below->size);
    }
    for (uint64_t ahead = 1; ahead <= 1 << 12; ahead += ahead < 256 ? 1 : 256) {
        const em_block *above = em_memory_find(memory, address + ahead);
        if (!above || above->freed) continue;
        return em_fail(warp, step, lane, EM_FAULT_ADDRESS, "%s %u bytes at 0x%llx: %llu bytes before allocation %llu of %llu bytes", what, bytes,
                       (unsigned long long)address, (unsigned long long)(above->address - address), (unsigned long long)above->number, (unsigned long long)above->size);
    }
    return em_fail(warp, step, lane, EM_FAULT_ADDRESS, "%s %u bytes at 0x%llx: no memory of the device", what, bytes, (unsigned long long)address);
}

static bool misaligned(em_warp *warp, const em_step *step, uint32_t lane, uint64_t address, uint32_t bytes, bool write, bool atomic) {
    em_fail(warp, step, lane, EM_FAULT_MISALIGNED, "%s %u bytes at 0x%llx, which is no multiple of %u", action(write, atomic), bytes, (unsigned long long)address, bytes);
    return false;
}

static bool global_lane(em_warp *warp, const em_step *step, uint32_t lane, uint64_t address, uint32_t bytes, bool write, bool atomic) {
    em_hit *hit = &warp->worker->hits[step->slot];
    if (address & (bytes - 1)) return misaligned(warp, step, lane, address, bytes, write, atomic);
    if (address >= hit->base && address < hit->end && hit->end - address >= bytes && !hit->block->freed) return true;
    const em_block *block = em_memory_find(warp->worker->run->launch->memory, address);
    if (!block || block->freed || !block->mapped || address < block->address || address - block->address >= block->size ||
        block->size - (address - block->address) < bytes) {
        outside(warp, step, lane, address, bytes, write, atomic);
        return false;
    }
    *hit = (em_hit){block->address, block->address + block->size, block};
    return true;
}

static bool global(em_warp *warp, const em_step *step, uint32_t mask, const uint64_t *addresses, uint32_t bytes, bool write, bool atomic, char **to) {
    const em_hit *hit = &warp->worker->hits[step->slot];
    uint64_t bad = 0;
    if (mask == EM_ALL && hit->end - hit->base >= bytes && hit->block && !hit->block->freed) {
        uint64_t base = hit->base, room = hit->end - base - bytes;
        EACH bad |= (uint64_t)(addresses[l] - base > room) | (addresses[l] & (bytes - 1));
        if (!bad) {
            EACH to[l] = (char *)(uintptr_t)addresses[l];
            return true;
        }
    }
    ACTIVE(mask) {
        if (!global_lane(warp, step, l, addresses[l], bytes, write, atomic)) return false;
        to[l] = (char *)(uintptr_t)addresses[l];
    }
    return true;
}

static bool shared_lane(em_warp *warp, const em_step *step, uint32_t lane, uint64_t address, uint32_t bytes, bool write, bool atomic, char **to) {
    em_block_state *block = warp->block;
    if (address >= block->shared_bytes || block->shared_bytes - address < bytes) {
        em_fail(warp, step, lane, EM_FAULT_SHARED, "%s %u bytes at 0x%llx of shared memory, which has %u bytes", action(write, atomic), bytes, (unsigned long long)address, block->shared_bytes);
        return false;
    }
    if (address & (bytes - 1)) return misaligned(warp, step, lane, address, bytes, write, atomic);
    to[lane] = block->shared + address;
    return true;
}

static bool local_lane(em_warp *warp, const em_step *step, uint32_t lane, uint64_t address, uint32_t bytes, bool write, bool atomic, char **to) {
    uint64_t stride = warp->worker->run->local_stride;
    if (address >= stride || stride - address < bytes) {
        em_fail(warp, step, lane, EM_FAULT_ADDRESS, "%s %u bytes at 0x%llx of local memory, which has %llu bytes", action(write, atomic), bytes, (unsigned long long)address, (unsigned long long)stride);
        return false;
    }
    if (address & (bytes - 1)) return misaligned(warp, step, lane, address, bytes, write, atomic);
    to[lane] = warp->local + lane * stride + address;
    return true;
}

static bool parameter_lane(em_warp *warp, const em_step *step, uint32_t lane, uint64_t address, uint32_t bytes, bool write, char **to) {
    em_run *run = warp->worker->run;
    uint64_t size = run->code->function->parameter_bytes;
    if (write || address >= size || size - address < bytes) {
        em_fail(warp, step, lane, EM_FAULT_ADDRESS, "%s %u bytes at 0x%llx of the parameters, which have %llu bytes", action(write, false), bytes, (unsigned long long)address, (unsigned long long)size);
        return false;
    }
    if (address & (bytes - 1)) return misaligned(warp, step, lane, address, bytes, write, false);
    to[lane] = run->parameters + address;
    return true;
}

/* The space that a generic address lies in, and the address there. */
static em_space generic(const em_warp *warp, uint32_t lane, uint64_t *address) {
    const em_run *run = warp->worker->run;
    uint64_t shared = (uint64_t)(uintptr_t)warp->block->shared, local = (uint64_t)(uintptr_t)warp->local + lane * run->local_stride;
    uint64_t parameters = (uint64_t)(uintptr_t)run->parameters;
    if (*address - shared < warp->block->shared_bytes) {
        *address -= shared;
        return EM_SPACE_SHARED;
    }
    if (run->local_stride && *address - local < run->local_stride) {
        *address -= local;
        return EM_SPACE_LOCAL;
    }
    if (*address - parameters < run->code->function->parameter_bytes) {
        *address -= parameters;
        return EM_SPACE_PARAM;
    }
    return EM_SPACE_GLOBAL;
}

static bool lane_access(em_warp *warp, const em_step *step, uint32_t lane, em_space space, uint64_t address, uint32_t bytes, bool write, bool atomic, char **to) {
    if (space == EM_GENERIC) space = generic(warp, lane, &address);
    switch (space) {
    case EM_SPACE_SHARED: return shared_lane(warp, step, lane, address, bytes, write, atomic, to);
    case EM_SPACE_LOCAL: return local_lane(warp, step, lane, address, bytes, write, atomic, to);
    case EM_SPACE_PARAM: return parameter_lane(warp, step, lane, address, bytes, write, to);
    default:
        to[lane] = (char *)(uintptr_t)address;
        return global_lane(warp, step, lane, address, bytes, write, atomic);
    }
}

bool em_resolve(em_warp *warp, const em_step *step, uint32_t mask, em_space space, const uint64_t *addresses, uint32_t bytes, bool write, bool atomic, char **to) {
    if (space == EM_SPACE_GLOBAL || space == EM_SPACE_CONST) return global(warp, step, mask, addresses, bytes, write, atomic, to);
    const em_block_state *block = warp->block;
    if (space == EM_SPACE_SHARED && mask == EM_ALL && block->shared_bytes >= bytes) {
        uint64_t bad = 0, room = block->shared_bytes - bytes;
        EACH bad |= (uint64_t)(addresses[l] > room) | (addresses[l] & (bytes - 1));
        if (!bad) {
            EACH to[l] = block->shared + addresses[l];
            return true;
        }
    }
    ACTIVE(mask) {
        if (!lane_access(warp, step, l, space, addresses[l], bytes, write, atomic, to)) return false;
    }
    return true;
}

/* Whether an access went to shared memory, and where. */
static inline bool in_shared(const em_warp *warp, const char *to, uint32_t *offset) {
    uint64_t distance = (uint64_t)(to - warp->block->shared);
    *offset = (uint32_t)distance;
    return distance < warp->block->shared_bytes;
}

bool em_watch(em_warp *warp, const em_step *step, uint32_t mask, em_space space, uint32_t bytes, bool write, bool atomic, char *const *to) {
    if (!warp->block->shadow || (space != EM_SPACE_SHARED && space != EM_GENERIC)) return true;
    if (space == EM_SPACE_SHARED && !write && bytes % 4 == 0) return em_shadow_reads(warp, step, mask, to, bytes, atomic);
    ACTIVE(mask) {
        uint32_t offset;
        if (in_shared(warp, to[l], &offset) && !em_shadow_access(warp, step, l, offset, bytes, write, atomic, NULL)) return false;
    }
    return true;
}

static inline uint64_t extend(uint64_t value, em_type type) {
    switch (type) {
    case EM_S8: return (uint64_t)(int64_t)(int8_t)value;
    case EM_S16: return (uint64_t)(int64_t)(int16_t)value;
    case EM_S32: return (uint64_t)(int64_t)(int32_t)value;
    default: return value;
    }
}

/* Every load acquires and every store releases: no more than the host's plain ones on x86, and stronger than what PTX asks for. */
static inline uint64_t fetch(const char *from, uint32_t bytes) {
    switch (bytes) {
    case 1: return __atomic_load_n((const uint8_t *)from, __ATOMIC_ACQUIRE);
    case 2: return __atomic_load_n((const uint16_t *)(const void *)from, __ATOMIC_ACQUIRE);
    case 4: return __atomic_load_n((const uint32_t *)(const void *)from, __ATOMIC_ACQUIRE);
    default: return __atomic_load_n((const uint64_t *)(const void *)from, __ATOMIC_ACQUIRE);
    }
}

static inline void store(char *to, uint64_t value, uint32_t bytes) {
    switch (bytes) {
    case 1: __atomic_store_n((uint8_t *)to, (uint8_t)value, __ATOMIC_RELEASE); break;
    case 2: __atomic_store_n((uint16_t *)(void *)to, (uint16_t)value, __ATOMIC_RELEASE); break;
    case 4: __atomic_store_n((uint32_t *)(void *)to, (uint32_t)value, __ATOMIC_RELEASE); break;
    default: __atomic_store_n((uint64_t *)(void *)to, value, __ATOMIC_RELEASE); break;
    }
}

static inline uint64_t register_get(const void *reg, uint32_t bytes, uint32_t lane) {
    switch (bytes) {
    case 2: return ((const uint16_t *)reg)[lane];
    case 4: return ((const uint32_t *)reg)[lane];
    default: return ((const uint64_t *)reg)[lane];
    }
}

static inline void register_put(void *reg, uint32_t bytes, uint32_t lane, uint64_t value) {
    switch (bytes) {
    case 2: ((uint16_t *)reg)[lane] = (uint16_t)value; break;
    case 4: ((uint32_t *)reg)[lane] = (uint32_t)value; break;
    default: ((uint64_t *)reg)[lane] = value; break;
    }
}

static void load_element(const em_step *step, uint32_t mask, char *const *from, void *d, uint32_t d_bytes) {
    em_type type = (em_type)step->type;
    if (step->bytes == 4 && d_bytes == 4) {
        uint32_t *to = d;
        ACTIVE(mask) to[l] = __atomic_load_n((const uint32_t *)(const void *)from[l], __ATOMIC_ACQUIRE);
    } else if (step->bytes == 8) {
        uint64_t *to = d;
        ACTIVE(mask) to[l] = __atomic_load_n((const uint64_t *)(const void *)from[l], __ATOMIC_ACQUIRE);
    } else if (step->bytes == 16) {
        ACTIVE(mask) memcpy((char *)d + l * 16, from[l], 16);
    } else {
        ACTIVE(mask) register_put(d, d_bytes, l, extend(fetch(from[l], step->bytes), type));
    }
}

em_answer em_run_load(em_warp *warp, const em_step *step, uint32_t mask) {
    uint64_t addresses[EM_LANES];
    char *from[EM_LANES];
    em_space space;
    em_addresses(warp, step, &space, addresses);
    uint32_t total = step->bytes * step->count;
    if (!em_resolve(warp, step, mask, space, addresses, total, false, false, from)) return EM_FAULTED;
    if (!em_watch(warp, step, mask, space, total, false, (step->flags & EM_FLAG_VOLATILE) != 0, from)) return EM_FAULTED;
    for (uint32_t k = 0; k < step->count; k++) {
        if (step->list[k]) load_element(step, mask, from, em_at(warp, step->list[k]), step->list[step->list_count + k]);
        if (k + 1 < step->count) ACTIVE(mask) from[l] += step->bytes;
    }
    if (step->flags & EM_FLAG_VOLATILE) warp->split->spins++;
    return EM_NEXT;
}

/* A store tells the detectors what it writes: the value that is there already races with nobody. */
static bool watch_store(em_warp *warp, const em_step *step, uint32_t mask, em_space space, char *const *to) {
    if (!warp->block->shadow || (space != EM_SPACE_SHARED && space != EM_GENERIC)) return true;
    ACTIVE(mask) {
        char value[32];
        uint32_t offset, total = step->bytes * step->count;
        if (!in_shared(warp, to[l], &offset)) continue;
        for (uint32_t k = 0; k < step->count; k++) {
            const char *a = em_at(warp, step->list[k]);
            memcpy(value + k * step->bytes, a + l * step->list[step->list_count + k], step->bytes);
        }
        if (!em_shadow_access(warp, step, l, offset, total, true, (step->flags & EM_FLAG_VOLATILE) != 0, value)) return false;
        memcpy(to[l], value, total); /* now, so that the next lane's same value is seen to be the same */
    }
    return true;
}

em_answer em_run_store(em_warp *warp, const em_step *step, uint32_t mask) {
    uint64_t addresses[EM_LANES];
    char *to[EM_LANES];
    em_space space;
    em_addresses(warp, step, &space, addresses);
    uint32_t total = step->bytes * step->count;
    if (!em_resolve(warp, step, mask, space, addresses, total, true, false, to)) return EM_FAULTED;
    if (!watch_store(warp, step, mask, space, to)) return EM_FAULTED;
    for (uint32_t k = 0; k < step->count; k++) {
        const void *a = em_at(warp, step->list[k]);
        uint32_t bytes = step->list[step->list_count + k];
        if (step->bytes == 4 && bytes == 4) ACTIVE(mask) __atomic_store_n((uint32_t *)(void *)to[l], ((const uint32_t *)a)[l], __ATOMIC_RELEASE);
        else if (step->bytes == 16) ACTIVE(mask) memcpy(to[l], (const char *)a + l * 16, 16);
        else ACTIVE(mask) store(to[l], register_get(a, bytes, l), step->bytes);
        if (k + 1 < step->count) ACTIVE(mask) to[l] += step->bytes;
    }
    return EM_NEXT;
}

em_answer em_run_fence(em_warp *warp, const em_step *step, uint32_t mask) {
    (void)step, (void)mask;
    __atomic_fetch_add(&warp->worker->run->fences, 1, __ATOMIC_SEQ_CST); /* a full fence, which ThreadSanitizer understands too */
    em_shadow_fence(warp);
    return EM_NEXT;
}

/* cvta: addresses of a space to generic ones and back; isspacep. */
em_answer em_run_space(em_warp *warp, const em_step *step, uint32_t mask) {
    const em_run *run = warp->worker->run;
    const uint64_t *a = em_at(warp, step->a);
    em_operation operation = (em_operation)step->instruction->operation;
    uint32_t found = 0;
    ACTIVE(mask) {
        uint64_t base = 0, address = step->d_bytes == 4 ? ((const uint32_t *)(const void *)a)[l] : a[l];
        if (step->space == EM_SPACE_SHARED) base = (uint64_t)(uintptr_t)warp->block->shared;
        if (step->space == EM_SPACE_LOCAL) base = (uint64_t)(uintptr_t)warp->local + l * run->local_stride;
        if (step->space == EM_SPACE_PARAM) base = (uint64_t)(uintptr_t)run->parameters;
        if (operation == EM_OP_ISSPACEP) {
            em_space space = generic(warp, l, &address);
            if (space == EM_SPACE_GLOBAL && step->space == EM_SPACE_CONST) {
                const em_block *block = em_memory_find(run->launch->memory, address);
                space = block && block->kind == EM_GLOBAL ? EM_SPACE_CONST : EM_SPACE_GLOBAL;
            }
            found |= (uint32_t)(space == (em_space)step->space) << l;
        } else {
            address = operation == EM_OP_CVTA ? address + base : address - base;
            register_put(em_at(warp, step->d), step->d_bytes, l, address);
        }
    }
    if (operation == EM_OP_ISSPACEP) {
        uint32_t *d = em_predicate(warp, step->d);
        *d = (*d & ~mask) | found;
    }
    return EM_NEXT;
}
