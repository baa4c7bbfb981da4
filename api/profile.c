/* What is counted: failures and fallbacks of a context, sums of a kernel's profiled calls. */
#include "api/internal.h"

#include <stdio.h>
#include <string.h>

void qn__count_failure(qn_context *context, const char *why, bool kernel, bool call) {
    pthread_mutex_lock(&context->counting);
    qn_statistics *s = &context->statistics;
    if (!kernel) s->device_failures++;
    if (kernel) s->fallback_kernels++;
    if (call) s->fallback_calls++;
    snprintf(s->last_failure, sizeof s->last_failure, "%s", why);
    pthread_mutex_unlock(&context->counting);
}

void qn_context_statistics(const qn_context *context, qn_statistics *statistics) {
    if (!context || !statistics) return;
    qn_context *c = (qn_context *)(uintptr_t)context; /* the lock is no part of the value */
    pthread_mutex_lock(&c->counting);
    *statistics = c->statistics;
    pthread_mutex_unlock(&c->counting);
}

void qn__profile_call(qn_kernel *kernel, const qn_call_profile *p) {
    pthread_mutex_lock(&kernel->profiling);
    qn_kernel_profile *sum = &kernel->profile;
    sum->calls++;
    sum->fallbacks += p->fallback;
    sum->launches += p->launches;
    sum->bytes_in += p->bytes_in;
    sum->bytes_out += p->bytes_out;
    sum->copy_in_ms += p->copy_in_ms;
    sum->compute_ms += p->compute_ms;
    sum->copy_out_ms += p->copy_out_ms;
    sum->total_ms += p->total_ms;
    pthread_mutex_unlock(&kernel->profiling);
}

qn_kernel_profile qn_kernel_profiled(const qn_kernel *kernel) {
    if (!kernel) return (qn_kernel_profile){0};
    qn_kernel *k = (qn_kernel *)(uintptr_t)kernel;
    pthread_mutex_lock(&k->profiling);
    const qn_kernel_profile sum = k->profile;
    pthread_mutex_unlock(&k->profiling);
    return sum;
}
