/* The address space: arenas of reserved addresses, filled upwards and never used twice.
 *
 * A block gets whole pages and an inaccessible gap behind them. Device memory ends at the end of its last page (down to
 * 256 bytes), so that nobody can rely on more alignment than promised. Freeing and settling gives the pages back to the
 * system and leaves the addresses inaccessible, so a freed block keeps its identity and use after free is always found.
 *
 * Readers take no lock: an arena's blocks ascend and are published by the release of its count, arenas by that of the
 * list's head; both only grow. Memory that the caller registers lies elsewhere, in a small sorted table under a
 * read-write lock. Writers hold `lock`. */
#include "emulator/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 256, PAGE = 4096 };
static const size_t arena_bytes = (size_t)1 << 30;

typedef struct arena {
    struct arena *next;
    uint64_t begin, end, free; /* addresses; free is where the next block's pages begin */
    em_block *blocks;          /* one mapping, touched as it fills */
    size_t blocks_bytes;
    atomic_size_t count;
} arena;

struct em_memory {
    pthread_mutex_t lock;
    _Atomic(arena *) arenas;
    pthread_rwlock_t table_lock;
    em_block **registered; /* live ones, ascending */
    size_t registered_count, registered_capacity;
    em_block **dead; /* once registered; kept for em_memory_find's promise, used again for the same range */
    size_t dead_count, dead_capacity;
    em_block *unsettled; /* freed, their pages not given back yet */
    size_t capacity;
    atomic_size_t used, live;
    uint64_t number;
};

em_memory *em_memory_create(size_t capacity) {
    em_memory *memory = calloc(1, sizeof *memory);
    if (!memory) return NULL;
    if (pthread_mutex_init(&memory->lock, NULL)) {
        free(memory);
        return NULL;
    }
    if (pthread_rwlock_init(&memory->table_lock, NULL)) {
        pthread_mutex_destroy(&memory->lock);
        free(memory);
        return NULL;
    }
    memory->capacity = capacity;
    return memory;
}

void em_memory_destroy(em_memory *memory) {
    if (!memory) return;
    for (arena *a = memory->arenas, *next; a; a = next) {
        next = a->next;
        munmap((void *)(uintptr_t)a->begin, a->end - a->begin);
        munmap(a->blocks, a->blocks_bytes);
        free(a);
    }
    for (size_t i = 0; i < memory->registered_count; i++) free(memory->registered[i]);
    for (size_t i = 0; i < memory->dead_count; i++) free(memory->dead[i]);
    free(memory->registered);
    free(memory->dead);
    pthread_rwlock_destroy(&memory->table_lock);
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

static uint64_t pages(uint64_t size) {
    return (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* What a block takes of its arena: its pages and a gap. */
static uint64_t footprint(uint64_t size) {
    return pages(size) + PAGE;
}

static arena *arena_create(uint64_t need) {
    arena *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    size_t bytes = need + PAGE > arena_bytes ? need + PAGE : arena_bytes;
    a->blocks_bytes = pages((bytes / (2 * PAGE) + 1) * sizeof(em_block));
    void *data = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *blocks =
        mmap(NULL, a->blocks_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED || blocks == MAP_FAILED) {
        if (data != MAP_FAILED) munmap(data, bytes);
        if (blocks != MAP_FAILED) munmap(blocks, a->blocks_bytes);
        free(a);
        return NULL;
    }
    a->begin = (uint64_t)(uintptr_t)data;
    a->end = a->begin + bytes;
    a->free = a->begin + PAGE; /* a gap before the first block, too */
    a->blocks = blocks;
    return a;
}

static bool counts_as_used(em_kind kind) {
    return kind != EM_PINNED;
}

static uint64_t rounded(uint64_t size) {
    return (size + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

/* With the lock held. */
static em_block *take(em_memory *memory, size_t size, em_kind kind) {
    arena *a = memory->arenas;
    if (!a || a->end - a->free < footprint(size)) {
        arena *fresh = arena_create(footprint(size));
        if (!fresh) return NULL;
        fresh->next = a;
        atomic_store_explicit(&memory->arenas, fresh, memory_order_release);
        a = fresh;
    }
    if (mprotect((void *)(uintptr_t)a->free, pages(size), PROT_READ | PROT_WRITE)) return NULL;
    size_t count = atomic_load_explicit(&a->count, memory_order_relaxed);
    em_block *block = &a->blocks[count];
    block->address = kind == EM_DEVICE ? a->free + pages(size) - rounded(size) : a->free;
    block->size = size;
    block->kind = kind;
    block->mapped = true;
    block->number = ++memory->number;
    a->free += footprint(size);
    atomic_store_explicit(&a->count, count + 1, memory_order_release);
    return block;
}

uint64_t em_memory_allocate(em_memory *memory, size_t size, em_kind kind) {
    if (!size || size > SIZE_MAX / 4) return 0;
    pthread_mutex_lock(&memory->lock);
    em_block *block = NULL;
    size_t used = atomic_load(&memory->used);
    if (!counts_as_used(kind) || (used <= memory->capacity && rounded(size) <= memory->capacity - used))
        block = take(memory, size, kind);
    if (block) {
        if (counts_as_used(kind)) atomic_fetch_add(&memory->used, rounded(size));
        if (kind != EM_GLOBAL) atomic_fetch_add(&memory->live, 1);
    }
    pthread_mutex_unlock(&memory->lock);
    return block ? block->address : 0;
}

static em_block *find_allocated(em_memory *memory, uint64_t address) {
    for (arena *a = atomic_load_explicit(&memory->arenas, memory_order_acquire); a; a = a->next) {
        if (address < a->begin || address >= a->end) continue;
        size_t low = 0, high = atomic_load_explicit(&a->count, memory_order_acquire);
        while (low < high) { /* the first block that begins above address */
            size_t middle = low + (high - low) / 2;
            if (a->blocks[middle].address > address)
                high = middle;
            else
                low = middle + 1;
        }
        if (!low) return NULL;
        em_block *block = &a->blocks[low - 1];
        return address - block->address < block->size ? block : NULL;
    }
    return NULL;
}

/* Where in the table of registered blocks the first one lies that begins above address. */
static size_t table_above(const em_memory *memory, uint64_t address) {
    size_t low = 0, high = memory->registered_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memory->registered[middle]->address > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static em_block *find_registered(em_memory *memory, uint64_t address) {
    size_t above = table_above(memory, address);
    em_block *block = above ? memory->registered[above - 1] : NULL;
    if (block && address - block->address < block->size) return block;
    for (size_t i = memory->dead_count; i--;)
        if (address - memory->dead[i]->address < memory->dead[i]->size) return memory->dead[i];
    return NULL;
}

const em_block *em_memory_find(em_memory *memory, uint64_t address) {
    em_block *block = find_allocated(memory, address);
    if (block) return block;
    pthread_rwlock_rdlock(&memory->table_lock);
    block = find_registered(memory, address);
    pthread_rwlock_unlock(&memory->table_lock);
    return block;
}

static bool table_reserve(em_block ***table, size_t *capacity, size_t count) {
    if (count < *capacity) return true;
    size_t more = *capacity ? *capacity * 2 : 16;
    em_block **larger = realloc(*table, more * sizeof *larger);
    if (!larger) return false;
    *table = larger;
    *capacity = more;
    return true;
}

/* A block for a range: the one that the same range had before, where there is one. */
static em_block *revive(em_memory *memory, uint64_t address, size_t size) {
    for (size_t i = memory->dead_count; i--;) {
        em_block *block = memory->dead[i];
        if (block->address != address || block->size != size) continue;
        memory->dead[i] = memory->dead[--memory->dead_count];
        return block;
    }
    em_block *block = calloc(1, sizeof *block);
    if (!block) return NULL;
    block->address = address;
    block->size = size;
    block->kind = EM_PINNED;
    block->registered = true;
    return block;
}

static bool overlaps_allocated(em_memory *memory, uint64_t address, size_t size) {
    for (arena *a = memory->arenas; a; a = a->next)
        if (address < a->end && address + size > a->begin) return true;
    return false;
}

static bool register_range(em_memory *memory, uint64_t address, size_t size) {
    size_t above = table_above(memory, address);
    if (above && address - memory->registered[above - 1]->address < memory->registered[above - 1]->size) return false;
    if (above < memory->registered_count && memory->registered[above]->address - address < size) return false;
    /* Room among the dead as well, so that unregistering cannot fail. */
    if (!table_reserve(&memory->registered, &memory->registered_capacity, memory->registered_count)) return false;
    if (!table_reserve(&memory->dead, &memory->dead_capacity, memory->dead_count + memory->registered_count + 1))
        return false;
    em_block *block = revive(memory, address, size);
    if (!block) return false;
    block->number = ++memory->number;
    block->owner = NULL;
    block->freed = false;
    block->mapped = true;
    memmove(memory->registered + above + 1, memory->registered + above,
            (memory->registered_count - above) * sizeof(em_block *));
    memory->registered[above] = block;
    memory->registered_count++;
    atomic_fetch_add(&memory->live, 1);
    return true;
}

bool em_memory_register(em_memory *memory, void *data, size_t size) {
    uint64_t address = (uint64_t)(uintptr_t)data;
    if (!address || !size || size > UINT64_MAX - address) return false;
    pthread_mutex_lock(&memory->lock);
    pthread_rwlock_wrlock(&memory->table_lock);
    bool done = !overlaps_allocated(memory, address, size) && register_range(memory, address, size);
    pthread_rwlock_unlock(&memory->table_lock);
    pthread_mutex_unlock(&memory->lock);
    return done;
}

/* The live block that begins at address; with the lock held, which keeps it alive. */
static em_block *live_block(em_memory *memory, uint64_t address) {
    em_block *block = find_allocated(memory, address);
    if (!block) {
        pthread_rwlock_rdlock(&memory->table_lock);
        block = find_registered(memory, address);
        pthread_rwlock_unlock(&memory->table_lock);
    }
    return block && block->address == address && !block->freed ? block : NULL;
}

bool em_memory_map(em_memory *memory, uint64_t address, bool mapped) {
    pthread_mutex_lock(&memory->lock);
    em_block *block = live_block(memory, address);
    if (block) block->mapped = mapped;
    pthread_mutex_unlock(&memory->lock);
    return block != NULL;
}

bool em_memory_own(em_memory *memory, uint64_t address, void *owner) {
    pthread_mutex_lock(&memory->lock);
    em_block *block = live_block(memory, address);
    if (block) block->owner = owner;
    pthread_mutex_unlock(&memory->lock);
    return block != NULL;
}

static void unregister(em_memory *memory, em_block *block) {
    pthread_rwlock_wrlock(&memory->table_lock);
    size_t index = table_above(memory, block->address) - 1;
    memory->registered_count--;
    memmove(memory->registered + index, memory->registered + index + 1,
            (memory->registered_count - index) * sizeof(em_block *));
    memory->dead[memory->dead_count++] = block;
    pthread_rwlock_unlock(&memory->table_lock);
}

bool em_memory_free(em_memory *memory, uint64_t address) {
    pthread_mutex_lock(&memory->lock);
    em_block *block = live_block(memory, address);
    if (block) {
        block->mapped = false;
        block->freed = true;
        if (block->registered) {
            unregister(memory, block);
        } else {
            block->unsettled = memory->unsettled;
            memory->unsettled = block;
            if (counts_as_used(block->kind)) atomic_fetch_sub(&memory->used, rounded(block->size));
        }
        if (block->kind != EM_GLOBAL) atomic_fetch_sub(&memory->live, 1);
    }
    pthread_mutex_unlock(&memory->lock);
    return block != NULL;
}

void em_memory_settle(em_memory *memory) {
    pthread_mutex_lock(&memory->lock);
    for (; memory->unsettled; memory->unsettled = memory->unsettled->unsettled) {
        const em_block *block = memory->unsettled;
        uint64_t first = block->address & ~(uint64_t)(PAGE - 1);
        mmap((void *)(uintptr_t)first, pages(block->address + block->size - first),
             PROT_NONE, /* a fresh mapping merges with its neighbours */
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    }
    pthread_mutex_unlock(&memory->lock);
}

size_t em_memory_used(const em_memory *memory) {
    return atomic_load(&memory->used);
}
size_t em_memory_live(const em_memory *memory) {
    return atomic_load(&memory->live);
}
