/* The emulated address space: what the driver allocates and what running code may touch. A device address is the host address of the bytes. */
#ifndef EM_MEMORY_H
#define EM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum em_kind { EM_DEVICE, EM_PINNED, EM_MANAGED, EM_GLOBAL /* a module's variable */ } em_kind;

typedef struct em_block {
    uint64_t address, size;
    em_kind kind;
    bool mapped;          /* the device may touch it (pinned memory: only when mapped or registered) */
    bool freed;           /* in quarantine */
    uint64_t number;      /* of the allocation, for reports; from 1 */
} em_block;

typedef struct em_memory em_memory;

em_memory *em_memory_create(size_t capacity);
void em_memory_destroy(em_memory *memory);
/* 0: no memory. Addresses are multiples of 256. Thread-safe, as all of these. */
uint64_t em_memory_allocate(em_memory *memory, size_t size, em_kind kind);
/* Memory of the caller's that the device may touch from now on (cuMemHostRegister). */
bool em_memory_register(em_memory *memory, void *data, size_t size);
/* False: no such block, or freed before. The address must be a block's first. */
bool em_memory_free(em_memory *memory, uint64_t address);
/* The block (freed ones included) that holds address; NULL: none. The pointer stays valid until the memory is destroyed. */
const em_block *em_memory_find(em_memory *memory, uint64_t address);
size_t em_memory_used(const em_memory *memory);   /* bytes of live device blocks */
size_t em_memory_live(const em_memory *memory);   /* live blocks of all kinds, without module variables */

#endif
