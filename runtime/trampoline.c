/* Trampolines: one instruction each, an indirect jump through a slot that lies a fixed distance behind it, in another page.
 *
 * A chunk is SIZE bytes of code and as many of slots. The code is written once, before its pages become executable and
 * read-only; from then on only slots change. Trampolines that are given back are taken again. */
#include "runtime/raw.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SIZE = 65536, /* a multiple of every page size in use */
    STEP = 16,    /* bytes per trampoline */
    COUNT = SIZE / STEP
};

typedef struct chunk {
    struct chunk *next;
    char *code;      /* SIZE bytes of code, then SIZE of slots */
    uint32_t used;   /* trampolines taken from it so far */
} chunk;

/* A trampoline that was given back: its slot points to the next one's. */
struct qn__trampolines {
    pthread_mutex_t lock;
    chunk *chunks;
    char *idle;
};

/* False on a processor that is not known. */
static bool write_code(char *code) {
#if defined(__x86_64__)
    /* jmp *(SIZE - 6)(%rip): relative to the instruction's end */
    static const int32_t distance = SIZE - 6;
    for (size_t at = 0; at < SIZE; at += STEP) {
        memset(code + at, 0xCC, STEP);
        code[at] = (char)0xFF;
        code[at + 1] = 0x25;
        memcpy(code + at + 2, &distance, sizeof distance);
    }
    return true;
#elif defined(__aarch64__)
    /* ldr x16, .+SIZE; br x16 */
    const uint32_t pair[2] = {0x58000010u | ((uint32_t)(SIZE / 4) << 5), 0xD61F0200u};
    for (size_t at = 0; at < SIZE; at += STEP) memcpy(code + at, pair, sizeof pair);
    __builtin___clear_cache(code, code + SIZE);
    return true;
#else
    (void)code;
    return false;
#endif
}

static chunk *make_chunk(void) {
    chunk *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    void *memory = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) {
        c->code = memory;
        if (write_code(memory) && mprotect(memory, SIZE, PROT_READ | PROT_EXEC) == 0) return c;
        munmap(memory, 2 * SIZE);
    }
    free(c);
    return NULL;
}

qn__trampolines *qn__trampolines_create(void) {
    qn__trampolines *pool = calloc(1, sizeof *pool);
    if (pool) pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

void qn__trampolines_destroy(qn__trampolines *pool) {
    if (!pool) return;
    while (pool->chunks) {
        chunk *next = pool->chunks->next;
        munmap(pool->chunks->code, 2 * SIZE);
        free(pool->chunks);
        pool->chunks = next;
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* The code of a trampoline that nobody has; NULL when there is no memory. */
static char *take(qn__trampolines *pool) {
    char *code = pool->idle;
    if (code) {
        memcpy(&pool->idle, code + SIZE, sizeof pool->idle);
        return code;
    }
    if (!pool->chunks || pool->chunks->used == COUNT) {
        chunk *c = make_chunk();
        if (!c) return NULL;
        c->next = pool->chunks;
        pool->chunks = c;
    }
    return pool->chunks->code + (size_t)STEP * pool->chunks->used++;
}

bool qn__trampoline_take(qn__trampolines *pool, qn__raw_function target, qn__trampoline *out) {
    pthread_mutex_lock(&pool->lock);
    char *code = take(pool);
    pthread_mutex_unlock(&pool->lock);
    if (!code) return false;
    memcpy(&out->function, &code, sizeof code);
    out->slot = (qn__raw_function *)(void *)(code + SIZE);
    qn__trampoline_aim(out, target);
    return true;
}

void qn__trampoline_aim(const qn__trampoline *trampoline, qn__raw_function target) {
    __atomic_store_n(trampoline->slot, target, __ATOMIC_RELEASE);
}

void qn__trampoline_give(qn__trampolines *pool, qn__trampoline *trampoline) {
    if (!trampoline->slot) return;
    char *slot = (char *)trampoline->slot;
    pthread_mutex_lock(&pool->lock);
    memcpy(slot, &pool->idle, sizeof pool->idle);
    pool->idle = slot - SIZE;
    pthread_mutex_unlock(&pool->lock);
    *trampoline = (qn__trampoline){0};
}
