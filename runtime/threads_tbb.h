/* What is asked of the threading library; threads_tbb.cpp has it. */
#ifndef QN__THREADS_TBB_H
#define QN__THREADS_TBB_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calls run(context) `count` times, at once where there are workers, the first on the calling thread; returns when all calls that began have
 * returned. False: it may have been called less often, or not at all. Thread-safe; run may call it. */
bool qn__tbb_run(void (*run)(void *context), void *context, uint32_t count);

#ifdef __cplusplus
}
#endif
#endif
