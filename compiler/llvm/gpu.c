/* The driver of the GPU back end: a module with the entries of all stages, LLVM's passes, PTX text, and the plan that launches them. */
#include "compiler/llvm/gpu_internal.h"

#include <stdio.h>
#include <string.h>

typedef struct processor { uint32_t sm, ptx; } processor;

static const processor processors[] = {
#define X(sm, ptx) {sm, ptx},
#include "compiler/llvm/gpu_processors.def"
#undef X
};

/* The target for a device; NULL with a message. */
static const processor *find(const qn__gpu_options *options, const char **message) {
    const processor *found = NULL;
    for (size_t i = 0; i < sizeof processors / sizeof *processors; i++)
        if (processors[i].sm <= options->sm && (!options->ptx_version || processors[i].ptx <= options->ptx_version)) found = &processors[i];
    *message = "no PTX target fits: the device must have compute capability 7.0, its driver PTX 6.0 or newer";
    return found;
}

/* SSA form, local simplifications, loop invariants; short loops of known length unrolled, which gives independent loads. */
static const char pipeline[] = "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),early-cse<memssa>,"
                               "loop-unroll<O2>,instcombine<no-verify-fixpoint>,simplifycfg,gvn,infer-alignment,adce)";

static uint32_t *slots(qn__gpu *g, size_t count) {
    uint32_t *table = QN__ARENA_ARRAY(g->e->arena, uint32_t, count + 1);
    for (size_t i = 0; table && i <= count; i++) table[i] = QN__NO_SLOT;
    return table;
}

static bool make_tables(qn__gpu *g) {
    qn__arena *arena = g->e->arena;
    size_t values = g->ir->value_count, arrays = g->ir->array_count, locals = g->ir->local_count;
    g->place = QN__ARENA_ARRAY(arena, uint8_t, values + 1);
    g->host = slots(g, values);
    g->device = slots(g, values);
    g->read_in = QN__ARENA_ARRAY(arena, qn__region_ref, values + 1);
    g->defined_in = QN__ARENA_ARRAY(arena, uint32_t, values + 1);
    g->outside_uses = QN__ARENA_ARRAY(arena, uint32_t, values + 1);
    g->captured_in = QN__ARENA_ARRAY(arena, uint32_t, values + 1);
    g->array_in = QN__ARENA_ARRAY(arena, uint32_t, arrays + 1);
    g->array_argument = QN__ARENA_ARRAY(arena, uint32_t, arrays + 1);
    g->constant = QN__ARENA_ARRAY(arena, bool, arrays + 1);
    g->in_order = QN__ARENA_ARRAY(arena, bool, arrays + 1);
    g->local_scratch = slots(g, locals);
    g->local_in = QN__ARENA_ARRAY(arena, uint32_t, locals + 1);
    g->local_argument = QN__ARENA_ARRAY(arena, uint32_t, locals + 1);
    bool complete = g->place && g->host && g->device && g->read_in && g->defined_in && g->outside_uses && g->captured_in && g->array_in && g->array_argument &&
                    g->constant && g->in_order && g->local_scratch && g->local_in && g->local_argument;
    return complete || qn__fail(g->e, "out of memory");
}

static bool emit(qn__gpu *g, qn__plan *plan) {
    if (!make_tables(g) || !qn__residency(g)) return false;
    qn__level_body(g);
    qn__debug_end(g->e);
    return !g->e->failed && qn__plan_finish(g, plan) && (!g->options->verify || qn__emission_verify(g->e)) && qn__emission_passes(g->e, pipeline);
}

static bool fill_image(qn__gpu *g, const qn__plan *plan, qn__image *image) {
    LLVMMemoryBufferRef buffer = qn__emission_generate(g->e, LLVMAssemblyFile);
    if (!buffer) return false;
    size_t size = LLVMGetBufferSize(buffer);
    const char *code = qn__arena_copy_string(g->arena, LLVMGetBufferStart(buffer), size);
    LLVMDisposeMemoryBuffer(buffer);
    qn__plan *kept = QN__ARENA_NEW(g->arena, qn__plan);
    *image = (qn__image){0};
    if (!code || !kept || !qn__image_from_ir(image, g->ir)) return qn__fail(g->e, "out of memory");
    *kept = *plan;
    image->kind = QN__IMAGE_PTX;
    image->code = code;
    image->code_size = size;
    image->symbol = g->ir->name ? g->ir->name : "kernel";
    image->plan = kept;
    return true;
}

/* Everything of one emission; out: LLVM's IR as text instead of an image. */
static bool run(const qn__ir *ir, const qn__gpu_options *options, qn__image *image, qn__text *out, const char **message) {
    const processor *target = find(options, message);
    if (!target) return false;
    char cpu[16], features[16];
    snprintf(cpu, sizeof cpu, "sm_%u", target->sm);
    snprintf(features, sizeof features, "+ptx%u", target->ptx);
    const qn__llvm_options scalar = {.triple = "nvptx64-nvidia-cuda", .cpu = cpu, .features = features, .width = 1, .level = 1, .lines = options->lines};
    qn__emitter e;
    qn__gpu g = {.e = &e, .ir = ir, .options = options, .arena = ir->arena};
    bool done = qn__emission_begin(&e, ir, &scalar);
    e.platform = &qn__gpu_platform;
    e.gpu = &g;
    qn__plan plan;
    done = done && emit(&g, &plan);
    if (done) done = out ? qn__emission_print(&e, out) : fill_image(&g, &plan, image);
    return qn__emission_end(&e, done, message);
}

bool qn__gpu_emit(const qn__ir *ir, const qn__gpu_options *options, qn__image *image, const char **message) { return run(ir, options, image, NULL, message); }

bool qn__gpu_text(const qn__ir *ir, const qn__gpu_options *options, qn__text *out, const char **message) { return run(ir, options, NULL, out, message); }

bool qn__gpu_describe(const qn__gpu_options *options, qn__text *out) {
    const char *message = NULL;
    const processor *target = find(options, &message);
    if (!target) return false;
    qn__text_format(out, "LLVM %s sm_%u ptx%u%s", LLVM_VERSION_STRING, target->sm, target->ptx, options->lines ? " lines" : "");
    return !out->failed;
}
