/* Kernels and the cache: what a key is made of. Everything that can change the code is a line of it. */
#include "api/internal.h"
#include "api/build_id.h"
#include "compiler/llvm/emit.h"

#include <stdlib.h>
#include <string.h>

qn__cache *qn__context_cache(qn_context *context) {
    qn__context_lock(context);
    if (!context->cache_opened) {
        const char *message;
        context->cache = qn__cache_open(context->cache_folder, context->options.cache_limit, &message);
        context->cache_opened = true;
    }
    qn__cache *cache = context->cache;
    pthread_mutex_unlock(&context->mutex);
    return cache;
}

char *qn__cached_key(const qn_kernel *kernel, const qn__engine_row *row) {
    qn_context *context = kernel->module->context;
    if (context->options.debug || context->options.profile || !qn__context_cache(context)) return NULL; /* code for looking at is made anew */
    const qn__llvm_options target = {.cpu = context->cpu, .features = context->cpu_features, .width = context->options.vector_width, .level = 1};
    const qn__sources *sources = &kernel->module->program->sources;
    qn__text key = QN__TEXT_EMPTY;
    char hash[QN__CACHE_HASH];
    qn__text_format(&key, "quern %s build %s\ntarget ", qn_version(), QN__BUILD_ID);
    bool ok = row->device ? qn__describe_ptx(context, &key) : qn__llvm_describe(&target, &key);
    qn__text_format(&key, "\nwidth %u\nkernel %s\ntypes", context->options.vector_width, kernel->info->name);
    for (uint32_t i = 0; i < kernel->info->generic_count; i++) qn__text_format(&key, " %s", qn__type_table[kernel->types[i]].name);
    qn__text_add_char(&key, '\n');
    for (size_t i = 0; i < sources->count; i++) {
        const qn__source *source = sources->files[i];
        if (source->embedded) continue; /* part of the build */
        qn__cache_hash(source->text, source->length, hash);
        qn__text_format(&key, "source %s %s\n", hash, source->path);
    }
    ok = ok && !key.failed;
    char *text = ok ? strdup(qn__text_bytes(&key)) : NULL;
    qn__text_free(&key);
    return text;
}

bool qn__cached_find(qn_kernel *kernel, const char *key) {
    qn__arena *arena = qn__arena_create(0);
    if (!arena) return false;
    if (qn__cache_find(qn__context_cache(kernel->module->context), key, arena, &kernel->image) == QN__CACHE_HIT) {
        kernel->cached = arena;
        return true;
    }
    qn__arena_destroy(arena);
    return false;
}

void qn__cached_store(qn_kernel *kernel, const qn__image *image, const char *key) {
    qn__cache_store(qn__context_cache(kernel->module->context), key, image);
}

char *qn_kernel_cache_key(const qn_kernel *kernel) { return kernel ? qn__cached_key(kernel, qn__engine_row_of(kernel->engine == QN_ENGINE_CUDA ? QN_ENGINE_CUDA : QN_ENGINE_CPU)) : NULL; }
