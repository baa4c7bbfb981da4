/* What the parts of a call share: bind.c checks, layout.c copies, watch.c ends it in time, call.c does it. */
#ifndef QN__CALL_PRIVATE_H
#define QN__CALL_PRIVATE_H

#include "runtime/call.h"

#include <pthread.h>

/* Extents stay below 2^48, bytes below 2^56: then no address computation can overflow. */
#define QN__EXTENT_LIMIT (INT64_C(1) << 48)
#define QN__BYTES_LIMIT  (INT64_C(1) << 56)

/* All fields 0, the text empty: cheaper than clearing the whole text. */
static inline void qn__clear_result(qn__call_result *r) {
    r->status = QN__CALL_OK;
    r->fault = (qn__fault){0};
    r->location = NULL;
    r->parameter = r->dimension = 0;
    r->text[0] = 0;
    r->packed_bytes = r->allocated_bytes = r->run_nanoseconds = 0;
}

/* bind.c */
__attribute__((format(printf, 5, 6))) qn__call_status qn__reject(qn__call_result *result, qn__call_status status,
                                                                 uint32_t parameter, uint32_t dimension,
                                                                 const char *format, ...);
qn__call_status qn__bind_outputs(const qn__signature *signature, const qn__argument *arguments, const int64_t *sizes,
                                 int64_t (*extents)[QN__MAX_RANK], qn__call_result *result);
/* Elements * bytes; -1 when an extent is negative or too large, or the product is. */
int64_t qn__array_bytes(uint32_t rank, const int64_t *extents, uint32_t bytes);
bool qn__dim_is_existential(const qn__signature *signature, uint32_t dim);

/* call.c: one line of English about a fault, without its place. */
void qn__fault_text(int32_t kind, const qn__fault *fault, char *text, size_t size);

/* layout.c */
/* Copies elements of `bytes` between arrays of any byte strides that do not overlap. */
void qn__copy_strided(uint32_t rank, const int64_t *extents, uint32_t bytes, void *to, const int64_t *to_strides,
                      const void *from, const int64_t *from_strides);
void qn__row_major(uint32_t rank, const int64_t *extents, int64_t unit, int64_t *strides);
/* The bytes that an array touches: [*first, *last); empty when it has no elements. */
void qn__touched(const qn__argument *argument, uint32_t bytes, uintptr_t *first, uintptr_t *last);
/* Whether code can use the array where it is: aligned, without gaps in the last `packed` (at least 1) dimensions, other strides not negative (for written
 * ones: not overlapping). */
bool qn__usable_layout(const qn__argument *argument, uint32_t bytes, bool written, uint32_t packed);

/* watch.c: sets a flag at the deadline, and when the caller's cancel flag is set. */
typedef struct qn__watch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    const volatile int32_t *cancel;
    uint64_t deadline;
    volatile int32_t stop;
    bool running, done;
} qn__watch;
void qn__watch_start(qn__watch *watch, uint64_t deadline, const volatile int32_t *cancel);
void qn__watch_end(qn__watch *watch);

#endif
