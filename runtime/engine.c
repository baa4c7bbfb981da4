/* Loading programs, and the engine that runs native objects. */
#include "runtime/engine.h"

#include <string.h>

static void find_raw(qn__loaded *program) {
    const qn__loader *loader = program->loader;
    const qn__image *image = program->image;
    void *raw = image->raw_symbol && loader->symbol ? loader->symbol(loader->self, program->handle, image->raw_symbol) : NULL;
    if (raw && image->externs_symbol) program->raw_externs = loader->symbol(loader->self, program->handle, image->externs_symbol);
    if (raw && image->externs_symbol && !program->raw_externs) return;
    memcpy(&program->raw, &raw, sizeof raw);
}

static bool load_native(qn__loaded *program, const char **message) {
    if (!program->loader || !program->loader->load) {
        *message = "no loader for native code";
        return false;
    }
    program->entry = program->loader->load(program->loader->self, program->image, &program->handle, message);
    if (program->entry) find_raw(program);
    return program->entry != NULL;
}

static int32_t run_native(const qn__loaded *program, qn__frame *frame) { return program->entry(frame); }

static void unload_native(qn__loaded *program) {
    if (program->loader->unload) program->loader->unload(program->loader->self, program->handle);
}

const qn__engine qn__engine_cpu = {"cpu", QN__IMAGE_OBJECT, load_native, run_native, unload_native};

bool qn__kernel_load(qn__loaded *program, const qn__engine *engine, const qn__image *image, const qn__loader *loader,
                      const char **message) {
    memset(program, 0, sizeof *program);
    *message = "the image cannot be loaded";
    if (image->kind != engine->image_kind) {
        *message = "the image is for another engine";
        return false;
    }
    qn__loaded loading = {.engine = engine, .image = image, .loader = loader};
    if (!engine->load(&loading, message)) return false;
    *program = loading;
    return true;
}

void qn__kernel_unload(qn__loaded *program) {
    if (program->engine) program->engine->unload(program);
    memset(program, 0, sizeof *program);
}
