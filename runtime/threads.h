/* Stages of native code on several threads. See docs/decisions/0009-threads.md.
 *
 * The workers belong to the process (they are TBB's), are started by the first stage that is worth it, and are shared fairly by all callers. In a child of a process that had started them stages run on the calling
 * thread. A host function that is called from a stage may call kernels: they may use threads, too. */
#ifndef QN__THREADS_H
#define QN__THREADS_H

#include "ir/abi.h"

#include <stdbool.h>
#include <stddef.h>

enum { QN__MOST_THREADS = 1024 };

/* Who may work on a stage: as many threads as count says, from so many operations on (0: always, for tests). */
typedef struct qn__threads { uint32_t count; double least; } qn__threads;

/* The processors that the process may use, from 1 to QN__MOST_THREADS. */
uint32_t qn__processors(void);
/* given; when that is 0, what $QUERN_THREADS says; else one for each processor. */
uint32_t qn__threads_wanted(uint32_t given);

/* qn__frame.parallel for frames whose `threads` is a qn__threads. The bits are those of the stage's own function. Thread-safe. begin and end are
 * not looked at: it is all of the stage. */
int32_t qn__threads_run(qn__frame *frame, int64_t *words, int64_t begin, int64_t end, const qn__stage *stage, double cost);

/* For a frame to begin with: threads may be NULL. */
static inline void qn__frame_threads(qn__frame *frame, const qn__threads *threads) {
    frame->threads = threads;
    frame->parallel = threads && threads->count > 1 ? qn__threads_run : NULL;
    frame->begin = 0;
    frame->end = INT64_MAX;
}

#endif
