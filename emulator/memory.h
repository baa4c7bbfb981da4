/* The emulated address space: what the driver allocates and what running code may touch. A device address is the host
 * address of the bytes. */
#ifndef EM_MEMORY_H
#define EM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum em_kind { EM_DEVICE, EM_PINNED, EM_MANAGED, EM_GLOBAL /* a module's variable */ } em_kind;

typedef struct em_block {
    uint64_t address, size;
    em_kind kind;
    _Atomic bool mapped; /* the device may touch it (stream-ordered memory: from its allocation in stream order on) */
    _Atomic bool freed;  /* in quarantine */
    bool registered;     /* the caller's memory */
    uint64_t number;     /* of the allocation, for reports; from 1 */
    void *owner;         /* what em_memory_own said; NULL at first */
    struct em_block *unsettled; /* the address space's own */
} em_block;

typedef struct em_memory em_memory;

em_memory *em_memory_create(size_t capacity);
void em_memory_destroy(em_memory *memory);
/* 0: no memory. Addresses are multiples of 256; the bytes are 0. Thread-safe, as all of these. */
uint64_t em_memory_allocate(em_memory *memory, size_t size, em_kind kind);
/* Memory of the caller's that the device may touch from now on (cuMemHostRegister). False: overlaps what is there, or
 * no memory. */
bool em_memory_register(em_memory *memory, void *data, size_t size);
/* Whether the device may touch the live block that begins at address; what is allocated begins mapped. */
bool em_memory_map(em_memory *memory, uint64_t address, bool mapped);
/* Notes whose the live block that begins at address is. The driver reads and writes owners under its own lock. */
bool em_memory_own(em_memory *memory, uint64_t address, void *owner);
/* False: no such block, or freed before. The address must be a block's first. Its bytes stay accessible to the host
 * until em_memory_settle: who checked the block just before must not crash. */
bool em_memory_free(em_memory *memory, uint64_t address);
/* The block (freed ones included) that holds address; NULL: none. The pointer stays valid until the memory is
 * destroyed. Takes no lock where it finds the block, except for registered memory. */
const em_block *em_memory_find(em_memory *memory, uint64_t address);
/* Gives freed blocks' pages back; their addresses become inaccessible. To be called when nothing runs that may be
 * touching them. */
void em_memory_settle(em_memory *memory);
size_t em_memory_used(const em_memory *memory); /* bytes of live device, managed and module blocks */
size_t em_memory_live(const em_memory *memory); /* live blocks of all kinds, without module variables */

#endif
