// Bump arena over malloc'd chunks.
//
// Chunks double from 16 KiB to 1 MiB; a larger request gets a chunk of its own size. Memory is zeroed when it is
// handed out, not when the chunk is made, so that large untouched chunks cost no page faults.
// Invariants: `current->used` is a multiple of 16; `used` never exceeds `limit`; `failed` is never cleared.
#include "ir/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_CHUNK = 16 * 1024, LARGEST_CHUNK = 1024 * 1024 };

typedef struct chunk {
    _Alignas(16) struct chunk *previous;
    size_t capacity;
    size_t used;
} chunk;

struct qn__arena {
    chunk *current;
    size_t limit;
    size_t used;
    size_t next_chunk;
    bool failed;
};

static char *chunk_bytes(chunk *c) { return (char *)(c + 1); }

qn__arena *qn__arena_create(size_t limit) {
    qn__arena *arena = calloc(1, sizeof *arena);
    if (!arena) return NULL;
    arena->limit = limit ? limit : SIZE_MAX;
    arena->next_chunk = FIRST_CHUNK;
    return arena;
}

void qn__arena_destroy(qn__arena *arena) {
    if (!arena) return;
    for (chunk *c = arena->current; c;) {
        chunk *previous = c->previous;
        free(c);
        c = previous;
    }
    free(arena);
}

static void *fail(qn__arena *arena) {
    arena->failed = true;
    return NULL;
}

static bool add_chunk(qn__arena *arena, size_t bytes) {
    size_t capacity = arena->next_chunk;
    if (capacity < bytes) capacity = bytes;
    if (capacity > SIZE_MAX - sizeof(chunk)) return false;
    chunk *c = malloc(sizeof *c + capacity);
    if (!c) return false;
    c->previous = arena->current;
    c->capacity = capacity;
    c->used = 0;
    arena->current = c;
    if (arena->next_chunk < LARGEST_CHUNK) arena->next_chunk *= 2;
    return true;
}

void *qn__arena_alloc(qn__arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX - ALIGNMENT) return fail(arena);
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!rounded) rounded = ALIGNMENT;
    if (rounded > arena->limit - arena->used) return fail(arena);
    if (!arena->current || rounded > arena->current->capacity - arena->current->used) {
        if (!add_chunk(arena, rounded)) return fail(arena);
    }
    chunk *c = arena->current;
    void *result = chunk_bytes(c) + c->used;
    c->used += rounded;
    arena->used += rounded;
    memset(result, 0, rounded);
    return result;
}

void *qn__arena_array(qn__arena *arena, size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return fail(arena);
    return qn__arena_alloc(arena, count * size);
}

char *qn__arena_copy_string(qn__arena *arena, const char *text, size_t length) {
    if (length == SIZE_MAX) return fail(arena);
    char *copy = qn__arena_alloc(arena, length + 1);
    if (copy && length) memcpy(copy, text, length);
    return copy;
}

static size_t round_up(size_t bytes) { return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1); }

// Extends the allocation at `old` in place when it is the last one and the chunk has room.
static bool extend(qn__arena *arena, char *old, size_t old_bytes, size_t new_bytes) {
    chunk *c = arena->current;
    if (!c || !old || !old_bytes) return false;
    size_t begin = round_up(old_bytes);
    if (old + begin != chunk_bytes(c) + c->used) return false;
    size_t more = round_up(new_bytes) - begin;
    if (more > c->capacity - c->used || more > arena->limit - arena->used) return false;
    memset(chunk_bytes(c) + c->used, 0, more);
    c->used += more;
    arena->used += more;
    return true;
}

void *qn__arena_grow(qn__arena *arena, void *old, size_t *capacity, size_t needed, size_t size) {
    if (old && needed <= *capacity) return old;
    size_t wanted = *capacity < 8 ? 8 : *capacity;
    if (wanted <= SIZE_MAX / 2) wanted *= 2;
    if (wanted < needed) wanted = needed;
    if (!size || wanted > (SIZE_MAX - ALIGNMENT) / size) return fail(arena);
    size_t old_bytes = *capacity * size;
    if (old && extend(arena, old, old_bytes, wanted * size)) {
        *capacity = wanted;
        return old;
    }
    void *grown = qn__arena_array(arena, wanted, size);
    if (!grown) return NULL;
    if (old && old_bytes) memcpy(grown, old, old_bytes);
    *capacity = wanted;
    return grown;
}

bool qn__arena_failed(const qn__arena *arena) { return arena->failed; }

size_t qn__arena_used(const qn__arena *arena) { return arena->used; }
