/* Contexts: the options, the allocator, and the one loader of native code that all kernels of a context share.
 * A context lives until its handle, its modules and its arrays are gone (a count of references). */
#include "api/internal.h"
#include "compiler/bytecode.h"
#include "compiler/llvm/emit.h"
#include "compiler/llvm/orc.h"
#include "ir/cost.h"

#include <stdlib.h>
#include <string.h>

static bool emit_bytecode(const qn__ir *ir, const qn_context *context, qn__image *image, const char **message) {
    (void)context;
    return qn__bytecode_emit(ir, image, message);
}

static bool emit_native(const qn__ir *ir, const qn_context *context, qn__image *image, const char **message) {
    const qn__llvm_options options = {.cpu = context->cpu, .features = context->cpu_features,
                                      .width = context->options.vector_width, .level = 1, .debug = context->options.debug,
                                      .lines = context->options.profile};
    return qn__llvm_emit(ir, &options, image, message);
}

static const qn__engine_row rows[] = {
    [QN_ENGINE_INTERP] = {"interp", &qn__engine_interp, false, false, false, emit_bytecode},
    [QN_ENGINE_CPU] = {"cpu", &qn__engine_cpu, true, true, false, emit_native},
    [QN_ENGINE_CUDA] = {"cuda", &qn__engine_cuda, false, true, true, qn__emit_ptx},
};

const qn__engine_row *qn__engine_row_of(qn_engine engine) {
    switch (engine) {
    case QN_ENGINE_AUTO: return &rows[QN_ENGINE_CPU];
    case QN_ENGINE_INTERP:
    case QN_ENGINE_CPU:
    case QN_ENGINE_CUDA: return &rows[engine];
    }
    return NULL;
}

static qn_status start_profile(qn_context *context, qn_error *error) {
    char message[QN__PROFILE_MESSAGE];
    context->profile = qn__profile_create(message);
    if (context->profile) return QN_OK;
    return qn__error(error, qn__failure(message) == QN_RESOURCE ? QN_RESOURCE : QN_IO, "%s", message);
}

qn_status qn_context_create(const qn_context_options *options, qn_context **context, qn_error *error) {
    if (!context) return qn__error(error, QN_USAGE, "qn_context_create: context is NULL");
    *context = NULL;
    const qn_context_options given = options ? *options : (qn_context_options){0};
    if (!qn__engine_row_of(given.engine)) return qn__error(error, QN_USAGE, "unknown engine %d", (int)given.engine);
    if ((given.allocator.allocate == NULL) != (given.allocator.release == NULL))
        return qn__error(error, QN_USAGE, "an allocator needs both allocate and release");
    if (given.vector_width > 64 || (given.vector_width & (given.vector_width - 1)) != 0)
        return qn__error(error, QN_USAGE, "vector_width %u is not 0 or a power of two up to 64", given.vector_width);
    qn_context *c = calloc(1, sizeof *c);
    if (!c) return qn__error(error, QN_RESOURCE, "out of memory");
    c->options = given;
    c->allocator = given.allocator.allocate
                       ? (qn__allocator){given.allocator.allocate, given.allocator.release, given.allocator.user}
                       : qn__allocator_malloc;
    c->cpu = given.cpu ? strdup(given.cpu) : NULL;
    c->cpu_features = given.cpu_features ? strdup(given.cpu_features) : NULL;
    c->cache_folder = given.cache_folder ? strdup(given.cache_folder) : NULL;
    c->threads = (qn__threads){qn__threads_wanted(given.threads),
                               given.thread_operations == 1 ? 0 : given.thread_operations ? (double)given.thread_operations : (double)QN__COST_WORTH};
    atomic_init(&c->references, 1);
    if ((given.cpu && !c->cpu) || (given.cpu_features && !c->cpu_features) || (given.cache_folder && !c->cache_folder) ||
        pthread_mutex_init(&c->mutex, NULL) != 0 || pthread_mutex_init(&c->counting, NULL) != 0 || pthread_mutex_init(&c->measuring, NULL) != 0 ||
        !qn__queue_init(&c->queue)) {
        free(c->cpu);
        free(c->cpu_features);
        free(c->cache_folder);
        free(c);
        return qn__error(error, QN_RESOURCE, "out of memory");
    }
    const qn_status status = given.profile ? start_profile(c, error) : QN_OK;
    if (status != QN_OK) {
        qn__context_release(c);
        return status;
    }
    *context = c;
    return qn__no_error(error);
}

void qn__context_retain(qn_context *context) { atomic_fetch_add(&context->references, 1); }

void qn__context_release(qn_context *context) {
    if (atomic_fetch_sub(&context->references, 1) != 1) return;
    qn__pool_destroy(context->pool);
    qn__queue_end(context);
    if (context->loader) context->loader->destroy(context->loader->self);
    qn__profile_destroy(context->profile);
    qn__cuda_close(context->cuda);
    pthread_mutex_destroy(&context->mutex);
    pthread_mutex_destroy(&context->counting);
    pthread_mutex_destroy(&context->measuring);
    free(context->cpu);
    free(context->cpu_features);
    free(context->cache_folder);
    qn__cache_close(context->cache);
    free(context);
}

uint32_t qn_context_threads(const qn_context *context) { return context->threads.count; }

void qn_context_destroy(qn_context *context) {
    if (context) qn__context_release(context);
}

qn__loader *qn__context_loader(qn_context *context, const char **message) {
    qn__context_lock(context);
    if (!context->loader) {
        context->loader = qn__orc_loader_create(message);
        if (context->loader) context->loader->raw_services = qn__raw_services;
        if (context->loader && context->options.debug && !qn__orc_enable_debugger(context->loader, message)) {
            context->loader->destroy(context->loader->self);
            context->loader = NULL;
        }
        if (context->loader && context->profile) context->loader = qn__profile_attach(context->profile, context->loader);
    }
    qn__loader *loader = context->loader;
    pthread_mutex_unlock(&context->mutex);
    return loader;
}
