/* The watchdog of a call with a deadline: a thread that sets the stop flag in time. A call without a deadline has none: its code
 * looks at the caller's flag itself. The clock is CLOCK_MONOTONIC. */
#include "runtime/call_private.h"

#include <time.h>

enum { FORWARD_NANOSECONDS = 5000000 }; /* how late the caller's flag may be seen when there is a deadline, too */

uint64_t qn__now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static void *watch(void *argument) {
    qn__watch *w = argument;
    pthread_mutex_lock(&w->lock);
    while (!w->done) {
        uint64_t now = qn__now(), wake = w->deadline;
        if (now >= wake || (w->cancel && __atomic_load_n(w->cancel, __ATOMIC_RELAXED))) {
            __atomic_store_n(&w->stop, 1, __ATOMIC_RELAXED);
            break;
        }
        if (w->cancel && wake > now + FORWARD_NANOSECONDS) wake = now + FORWARD_NANOSECONDS;
        struct timespec time = {.tv_sec = (time_t)(wake / 1000000000U), .tv_nsec = (long)(wake % 1000000000U)};
        pthread_cond_timedwait(&w->ended, &w->lock, &time);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Without a thread the flag is set from the start: then the code asks for the time itself, at every poll. */
void qn__watch_start(qn__watch *w, uint64_t deadline, const volatile int32_t *cancel) {
    pthread_condattr_t attributes;
    w->deadline = deadline;
    w->cancel = cancel;
    w->stop = 0;
    w->done = false;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    w->running = pthread_create(&w->thread, NULL, watch, w) == 0;
    if (!w->running) w->stop = 1;
}

void qn__watch_end(qn__watch *w) {
    if (w->running) {
        pthread_mutex_lock(&w->lock);
        w->done = true;
        pthread_cond_signal(&w->ended);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    pthread_cond_destroy(&w->ended);
    pthread_mutex_destroy(&w->lock);
}
