// Bump arena: one owner, one release. All memory of a compilation comes from one.
// Not thread-safe: an arena belongs to one thread at a time.
#ifndef QN__IR_ARENA_H
#define QN__IR_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct qn__arena qn__arena;

// Creates an arena that hands out at most `limit` bytes (0: no limit but memory). NULL when out of memory.
qn__arena *qn__arena_create(size_t limit);

// Releases everything that came from the arena. NULL is allowed.
void qn__arena_destroy(qn__arena *arena);

// `bytes` zeroed bytes, 16-byte aligned; they live until the arena is destroyed. NULL when memory or the limit is
// spent, and then qn__arena_failed() stays true. 0 bytes give a valid pointer.
void *qn__arena_alloc(qn__arena *arena, size_t bytes);

// Same for `count` elements of `size` bytes; an overflowing product counts as out of memory.
void *qn__arena_array(qn__arena *arena, size_t count, size_t size);

// A zero-terminated copy of text[0 .. length). NULL when out of memory.
char *qn__arena_copy_string(qn__arena *arena, const char *text, size_t length);

// Grows an array that lives in the arena so that it holds at least `needed` elements: returns `old` itself when
// *capacity suffices, else a copy of at least twice the capacity (the old bytes stay used until the arena goes; the
// last allocation is grown in place). New elements are zeroed. NULL when out of memory: `old` and *capacity are kept.
void *qn__arena_grow(qn__arena *arena, void *old, size_t *capacity, size_t needed, size_t size);

// True once an allocation has failed.
bool qn__arena_failed(const qn__arena *arena);

// Bytes handed out so far.
size_t qn__arena_used(const qn__arena *arena);

#define QN__ARENA_NEW(arena, type) ((type *)qn__arena_alloc((arena), sizeof(type)))
#define QN__ARENA_ARRAY(arena, type, count) ((type *)qn__arena_array((arena), (count), sizeof(type)))

#endif
