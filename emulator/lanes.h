/* Macros for handlers that work on 32 lanes at once. Results go to an array of their own first: the compiler then knows that no source is
 * overwritten meanwhile, and vectorises. Compiled several times, once per instruction set (see core.cmake). */
#ifndef EM_LANES_H
#define EM_LANES_H

#include "emulator/machine.h"

#include <math.h>
#include <string.h>

#define EACH for (int l = 0; l < EM_LANES; l++)

static inline __attribute__((always_inline)) void put(em_warp *warp, uint32_t offset, const void *results, uint32_t mask, size_t bytes) {
    char *to = __builtin_assume_aligned(em_at(warp, offset), 64);
    if (mask == EM_ALL) {
        memcpy(to, results, bytes * EM_LANES);
    } else if (bytes == 8) {
        uint64_t *d = (uint64_t *)(void *)to;
        const uint64_t *r = results;
        EACH d[l] = mask >> l & 1 ? r[l] : d[l];
    } else if (bytes == 4) {
        uint32_t *d = (uint32_t *)(void *)to;
        const uint32_t *r = results;
        EACH d[l] = mask >> l & 1 ? r[l] : d[l];
    } else {
        uint16_t *d = (uint16_t *)(void *)to;
        const uint16_t *r = results;
        EACH d[l] = mask >> l & 1 ? r[l] : d[l];
    }
}

#define SOURCE(T, name, offset) const T *name = __builtin_assume_aligned(em_at(warp, offset), 64)
#define HANDLER(name) static em_answer name(em_warp *warp, const em_step *step, uint32_t mask)

#define LANE1(name, R, A, expression) HANDLER(name) { \
        SOURCE(A, a, step->a); \
        _Alignas(64) R r[EM_LANES]; \
        EACH { A x = a[l]; r[l] = (R)(expression); } \
        put(warp, step->d, r, mask, sizeof(R)); \
        return EM_NEXT; \
    }
#define LANE2(name, R, A, B, expression) HANDLER(name) { \
        SOURCE(A, a, step->a); \
        SOURCE(B, b, step->b); \
        _Alignas(64) R r[EM_LANES]; \
        EACH { A x = a[l]; B y = b[l]; r[l] = (R)(expression); } \
        put(warp, step->d, r, mask, sizeof(R)); \
        return EM_NEXT; \
    }
#define LANE3(name, R, A, B, C, expression) HANDLER(name) { \
        SOURCE(A, a, step->a); \
        SOURCE(B, b, step->b); \
        SOURCE(C, c, step->c); \
        _Alignas(64) R r[EM_LANES]; \
        EACH { A x = a[l]; B y = b[l]; C z = c[l]; r[l] = (R)(expression); } \
        put(warp, step->d, r, mask, sizeof(R)); \
        return EM_NEXT; \
    }

#endif
