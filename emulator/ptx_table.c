/* The tables of ptx.def as data, look-ups in them, and the arena. */
#include "emulator/ptx.h"

#include <stdlib.h>
#include <string.h>

static const struct { const char *name; em_class class; uint32_t bits; } types[EM_TYPE_COUNT] = {
    [EM_NONE] = {"", EM_CLASS_NONE, 0},
#define TYPE(ENUM, name, class, bits) [EM_##ENUM] = {name, EM_CLASS_##class, bits},
#include "emulator/ptx.def"
#undef TYPE
};

static const struct { const char *name; em_group group; } modifiers[EM_MODIFIER_COUNT] = {
    [EM_MOD_NONE] = {"", EM_GROUP_COUNT},
#define MODIFIER(ENUM, name, group) [EM_MOD_##ENUM] = {name, EM_GROUP_##group},
#include "emulator/ptx.def"
#undef MODIFIER
};

static const struct { const char *name; uint32_t bits; } specials[EM_SPECIAL_COUNT] = {
#define SPECIAL(ENUM, name, bits, ptx, sm) [EM_SPECIAL_##ENUM] = {name, bits},
#include "emulator/ptx.def"
#undef SPECIAL
};

const em_row em_rows[] = {
#define OP(operation, mnemonic, modifiers, types, operands, ptx, sm) {mnemonic, modifiers, types, operands, EM_OP_##operation, ptx, sm},
#include "emulator/ptx.def"
#undef OP
};
const size_t em_row_count = sizeof em_rows / sizeof *em_rows;

em_class em_type_class(em_type type) { return types[type].class; }
uint32_t em_type_bits(em_type type) { return types[type].bits; }
const char *em_type_name(em_type type) { return types[type].name; }
const char *em_modifier_name(em_modifier modifier) { return modifiers[modifier].name; }
em_group em_modifier_group(em_modifier modifier) { return modifiers[modifier].group; }
uint32_t em_special_bits(em_special special) { return specials[special].bits; }

bool em_special_find(const char *name, size_t length, em_special *special) {
    for (int k = 0; k < EM_SPECIAL_COUNT; k++) {
        if (strlen(specials[k].name) == length && !memcmp(specials[k].name, name, length)) {
            *special = (em_special)k;
            return true;
        }
    }
    return false;
}

/* More than any real module needs: hostile text ends here and not in the machine's memory. */
#define ARENA_LIMIT ((size_t)2 << 30)

struct em_chunk { struct em_chunk *next; size_t used, size; _Alignas(16) char data[]; };

void *em_arena_allocate(em_arena *arena, size_t size) {
    if (size > ARENA_LIMIT || arena->total + size > ARENA_LIMIT) {
        arena->failed = true;
        return NULL;
    }
    size = (size + 15) / 16 * 16;
    struct em_chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t capacity = size > 65536 ? size : 65536;
        struct em_chunk *fresh = calloc(1, sizeof *fresh + capacity);
        if (!fresh) {
            arena->failed = true;
            return NULL;
        }
        fresh->size = capacity;
        arena->total += capacity;
        fresh->next = chunk;
        arena->chunks = chunk = fresh;
    }
    void *result = chunk->data + chunk->used;
    chunk->used += size;
    return result;
}

void em_arena_release(em_arena *arena) {
    while (arena->chunks) {
        struct em_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        free(chunk);
    }
    arena->total = 0;
}
