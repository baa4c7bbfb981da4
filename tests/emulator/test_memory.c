/* The address space by itself. */
#ifdef EM_PLAIN
#include "tests/emulator/plain.h"
#else
#include <criterion/criterion.h>
#endif
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator/memory.h"

Test(memory, blocks) {
    em_memory *memory = em_memory_create(1 << 20);
    uint64_t a = em_memory_allocate(memory, 100, EM_DEVICE), b = em_memory_allocate(memory, 5000, EM_DEVICE);
    uint64_t pinned = em_memory_allocate(memory, 10, EM_PINNED);
    cr_assert(a && b && pinned);
    cr_assert(a % 256 == 0 && b % 256 == 0 && pinned % 4096 == 0);
    cr_assert_eq(em_memory_used(memory), 256 + 5120);
    cr_assert_eq(em_memory_live(memory), 3);
    const em_block *block = em_memory_find(memory, b + 4999);
    cr_assert(block && block->address == b && block->size == 5000 && block->kind == EM_DEVICE && block->mapped &&
              !block->freed);
    cr_assert_null(em_memory_find(memory, b + 5000)); /* a gap */
    cr_assert_null(em_memory_find(memory, b - 1));
    cr_assert_null(em_memory_find(memory, 0));
    cr_assert_null(em_memory_find(memory, UINT64_MAX));
    memset((void *)(uintptr_t)b, 1, 5000);
    cr_assert_eq(*(char *)(uintptr_t)a, 0);
    em_memory_destroy(memory);
}

Test(memory, quarantine) {
    em_memory *memory = em_memory_create(1 << 20);
    uint64_t first = em_memory_allocate(memory, 4096, EM_DEVICE);
    cr_assert_not(em_memory_free(memory, first + 256));
    cr_assert(em_memory_free(memory, first));
    cr_assert_not(em_memory_free(memory, first));
    for (int i = 0; i < 1000; i++) {
        uint64_t next = em_memory_allocate(memory, 4096, EM_DEVICE);
        cr_assert(next && next != first);
        cr_assert(em_memory_free(memory, next));
    }
    const em_block *block = em_memory_find(memory, first + 4095);
    cr_assert(block && block->freed && !block->mapped && block->number == 1);
    cr_assert_eq(em_memory_used(memory), 0);
    cr_assert_eq(em_memory_live(memory), 0);
    em_memory_destroy(memory);
}

static bool crashes(uint64_t address) {
    pid_t child = fork();
    if (!child) {
        close(STDERR_FILENO); /* a sanitizer would tell of it */
        *(volatile char *)(uintptr_t)address = 1;
        _exit(0);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && status != 0;
}

Test(memory, gaps_and_freed_memory_are_inaccessible) {
    em_memory *memory = em_memory_create(1 << 20);
    uint64_t address = em_memory_allocate(memory, 256, EM_DEVICE);
    cr_assert(em_memory_allocate(memory, 256, EM_PINNED));
    cr_assert_not(crashes(address));
    cr_assert(crashes(address + 256));
    em_memory_free(memory, address);
    cr_assert_not(crashes(address));
    em_memory_settle(memory);
    cr_assert(crashes(address));
    em_memory_destroy(memory);
}

Test(memory, exhaustion) {
    em_memory *memory = em_memory_create(10000);
    cr_assert_eq(em_memory_allocate(memory, 0, EM_DEVICE), 0);
    cr_assert_eq(em_memory_allocate(memory, 10001, EM_DEVICE), 0);
    cr_assert_eq(em_memory_allocate(memory, SIZE_MAX, EM_DEVICE), 0);
    uint64_t a = em_memory_allocate(memory, 8000, EM_DEVICE);
    cr_assert(a);
    cr_assert_eq(em_memory_allocate(memory, 3000, EM_MANAGED), 0);
    cr_assert(em_memory_allocate(memory, 3000, EM_PINNED)); /* the host's */
    em_memory_free(memory, a);
    cr_assert(em_memory_allocate(memory, 3000, EM_DEVICE));
    em_memory_destroy(memory);
}

Test(memory, several_arenas) {
    em_memory *memory = em_memory_create(SIZE_MAX / 2);
    uint64_t blocks[40];
    for (int i = 0; i < 40; i++) cr_assert((blocks[i] = em_memory_allocate(memory, (size_t)400 << 20, EM_DEVICE)) != 0);
    for (int i = 0; i < 40; i++) cr_assert_eq(em_memory_find(memory, blocks[i] + (400 << 20) - 1)->address, blocks[i]);
    cr_assert(em_memory_allocate(memory, (size_t)5 << 30, EM_DEVICE));
    em_memory_destroy(memory);
}

Test(memory, registered) {
    em_memory *memory = em_memory_create(1 << 20);
    static char data[3000];
    uint64_t begin = (uint64_t)(uintptr_t)data;
    cr_assert(em_memory_register(memory, data + 1000, 1000));
    cr_assert_not(em_memory_register(memory, data + 1500, 1000));
    cr_assert_not(em_memory_register(memory, data + 500, 501));
    cr_assert_not(em_memory_register(memory, data, 3000));
    cr_assert(em_memory_register(memory, data, 1000));
    cr_assert(em_memory_register(memory, data + 2000, 1000));
    const em_block *block = em_memory_find(memory, begin + 1999);
    cr_assert(block && block->address == begin + 1000 && block->kind == EM_PINNED && block->registered);
    cr_assert(em_memory_free(memory, begin + 1000));
    cr_assert_eq(em_memory_find(memory, begin + 1999), block);
    cr_assert(block->freed);
    cr_assert_not(em_memory_free(memory, begin + 1000));
    data[1000] = 1; /* still the caller's */
    cr_assert(em_memory_register(memory, data + 1000, 1000));
    cr_assert(!block->freed && em_memory_find(memory, begin + 1999) == block);
    uint64_t allocated = em_memory_allocate(memory, 10, EM_DEVICE);
    cr_assert_not(em_memory_register(memory, (void *)(uintptr_t)allocated, 4));
    em_memory_destroy(memory);
}

static void *work(void *argument) {
    em_memory *memory = argument;
    static __thread char own[64];
    for (int i = 0; i < 300; i++) {
        uint64_t a = em_memory_allocate(memory, 1000, EM_DEVICE);
        const em_block *block = em_memory_find(memory, a + 999);
        if (!block || block->address != a || block->freed) return memory;
        if (!em_memory_register(memory, own, sizeof own) || !em_memory_find(memory, (uint64_t)(uintptr_t)own))
            return memory;
        if (!em_memory_free(memory, (uint64_t)(uintptr_t)own) || !em_memory_free(memory, a)) return memory;
    }
    return NULL;
}

Test(memory, threads) {
    em_memory *memory = em_memory_create(1 << 20);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, memory);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
    }
    cr_assert_eq(em_memory_live(memory), 0);
    em_memory_destroy(memory);
}
