/* Handles are numbers, not pointers: generation, slot and type packed into 46 bits. Dropping one changes its slot's
 * generation, so that a stale handle is recognised for as long as the generation lasts, and a program that looks behind
 * a handle crashes. The driver's lock is held. */
#include "emulator/driver.h"

#include <stdlib.h>

enum { TYPE_BITS = 4, SLOT_BITS = 22, GENERATION_BITS = 20 };

typedef struct slot {
    void *object;
    uint32_t generation; /* from 1, so that handles are far from the special streams' numbers */
    uint32_t next_free;  /* + 1; 0: none */
    uint8_t type;        /* 0: free */
} slot;

static slot *slots;
static uint32_t slot_count, slot_capacity, first_free;

static uint64_t pack(uint32_t index) {
    const slot *s = &slots[index];
    return (uint64_t)s->generation << (SLOT_BITS + TYPE_BITS) | (uint64_t)index << TYPE_BITS | s->type;
}

static bool grow(void) {
    if (slot_count < slot_capacity) return true;
    uint32_t capacity = slot_capacity ? slot_capacity * 2 : 64;
    if (capacity > 1u << SLOT_BITS) return false;
    slot *larger = realloc(slots, capacity * sizeof *slots);
    if (!larger) return false;
    slots = larger;
    slot_capacity = capacity;
    return true;
}

void *em_handle_make(em_handle_type type, void *object) {
    uint32_t index;
    if (first_free) {
        index = first_free - 1;
        first_free = slots[index].next_free;
    } else {
        if (!grow()) return NULL;
        index = slot_count++;
        slots[index].generation = 1;
    }
    slots[index].object = object;
    slots[index].type = (uint8_t)type;
    return (void *)(uintptr_t)pack(index);
}

static slot *find(const void *handle) {
    uint64_t bits = (uint64_t)(uintptr_t)handle;
    uint32_t index = (uint32_t)(bits >> TYPE_BITS) & ((1u << SLOT_BITS) - 1);
    return index < slot_count && slots[index].type && pack(index) == bits ? &slots[index] : NULL;
}

void *em_handle_get(em_handle_type type, const void *handle) {
    slot *s = find(handle);
    return s && s->type == type ? s->object : NULL;
}

void em_handle_drop(const void *handle) {
    slot *s = find(handle);
    if (!s) return;
    s->type = 0;
    s->object = NULL;
    s->generation = s->generation % ((1u << GENERATION_BITS) - 1) + 1;
    s->next_free = first_free;
    first_free = (uint32_t)(s - slots) + 1;
}
