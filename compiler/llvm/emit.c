/* The driver: a module for a kernel, LLVM's passes over it, an object or text out of it.
 * Everything of one emission (LLVM context, tables) is made and released here; nothing outlives a call but the image. */
#include "compiler/llvm/internal.h"
#include "ir/raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const qn__llvm_options host_options = {.level = 1};

/* ---- set-up ---- */

static void make_types(qn__emitter *e) {
    e->i1 = LLVMInt1TypeInContext(e->context);
    e->i8 = LLVMInt8TypeInContext(e->context);
    e->i16 = LLVMInt16TypeInContext(e->context);
    e->i32 = LLVMInt32TypeInContext(e->context);
    e->i64 = LLVMInt64TypeInContext(e->context);
    e->f16 = LLVMHalfTypeInContext(e->context);
    e->f32 = LLVMFloatTypeInContext(e->context);
    e->f64 = LLVMDoubleTypeInContext(e->context);
    e->ptr = LLVMPointerTypeInContext(e->context, 0);
}

static void note_swap(const qn__ir *ir, const qn__instr *instr, void *context) {
    (void)ir;
    if (instr->op == QN__OP_SWAP) ((qn__emitter *)context)->swaps = true;
}

static LLVMValueRef node(qn__emitter *e, LLVMMetadataRef *parts, size_t count) {
    return LLVMMetadataAsValue(e->context, LLVMMDNodeInContext2(e->context, parts, count));
}

/* One alias scope per array: different arrays never overlap, which the runtime makes sure of. Not with swap, which makes
 * one buffer known under two numbers in turn. Scopes are distinct by their name, as strings. */
static bool make_scopes(qn__emitter *e) {
    uint32_t n = e->ir->array_count;
    if (e->swaps || n < 2 || n > 64) return true;
    e->scopes = qn__arena_alloc(e->arena, n * sizeof *e->scopes);
    e->noalias = qn__arena_alloc(e->arena, n * sizeof *e->noalias);
    if (!e->scopes || !e->noalias) return qn__fail(e, "out of memory");
    LLVMMetadataRef domain_name = LLVMMDStringInContext2(e->context, "arrays", 6);
    LLVMMetadataRef domain = LLVMMDNodeInContext2(e->context, &domain_name, 1), scope[64], others[64];
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        int length = snprintf(name, sizeof name, "a%u", i);
        LLVMMetadataRef parts[2] = {LLVMMDStringInContext2(e->context, name, (size_t)length), domain};
        scope[i] = LLVMMDNodeInContext2(e->context, parts, 2);
    }
    for (uint32_t i = 0; i < n; i++) {
        size_t count = 0;
        for (uint32_t k = 0; k < n; k++)
            if (k != i) others[count++] = scope[k];
        e->scopes[i] = node(e, &scope[i], 1);
        e->noalias[i] = node(e, others, count);
    }
    return true;
}

static bool make_tables(qn__emitter *e) {
    e->arena = qn__arena_create(0);
    if (!e->arena) return qn__fail(e, "out of memory");
    e->values = QN__ARENA_ARRAY(e->arena, LLVMValueRef, e->ir->value_count + 1);
    e->shapes = QN__ARENA_ARRAY(e->arena, qn__shape, e->ir->value_count + 1);
    e->bases = QN__ARENA_ARRAY(e->arena, qn__base, e->ir->array_count + 1);
    e->locals = QN__ARENA_ARRAY(e->arena, LLVMValueRef, (size_t)e->ir->local_count * QN__WIDTHS + 1);
    if (!e->values || !e->shapes || !e->bases || !e->locals) return qn__fail(e, "out of memory");
    return true;
}

enum { SYMBOL = 1024 };
static const char raw_prefix[] = QN__RAW_PREFIX, externs_prefix[] = "quern_externs_";

static void symbol_name(const qn__ir *ir, const qn__llvm_options *options, const char *prefix, char *out, size_t size) {
    const char *suffix = options && options->suffix ? options->suffix : "";
    size_t n = (size_t)snprintf(out, size, "%s%s%s", prefix, ir->name ? ir->name : "kernel", suffix);
    if (n >= size) n = size - 1;
    for (size_t i = 0; i < n; i++) {
        char c = out[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!plain) out[i] = '_';
    }
}

/* The diagnostics of LLVM must not go to stderr; an error makes the emission fail. */
static void diagnose(LLVMDiagnosticInfoRef info, void *context) {
    if (LLVMGetDiagInfoSeverity(info) == LLVMDSError) qn__fail(context, "LLVM reported an error");
}

static void make_module(qn__emitter *e) {
    e->context = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(e->context, diagnose, e);
    make_types(e);
    e->module = LLVMModuleCreateWithNameInContext("quern", e->context);
    LLVMSetTarget(e->module, e->machine->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(e->machine->target);
    LLVMSetModuleDataLayout(e->module, layout);
    LLVMDisposeTargetData(layout);
    e->builder = LLVMCreateBuilderInContext(e->context);
    e->head = LLVMCreateBuilderInContext(e->context);
}

/* ---- the kernel ---- */

void qn__emission_function(qn__emitter *e, LLVMValueRef function) {
    e->function = function;
    uint32_t nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(e->context, nounwind, 0));
    LLVMBasicBlockRef entry = l_block(e, "entry"), start = l_block(e, "start");
    LLVMPositionBuilderAtEnd(e->head, entry);
    l_enter(e, start);
    e->start = start;
}

void qn__emission_function_end(qn__emitter *e) { LLVMBuildBr(e->head, e->start); }

void qn__emission_frame(qn__emitter *e, LLVMValueRef frame) {
    e->frame = frame;
    e->views = l_load(e, e->ptr, l_field(e, e->frame, offsetof(qn__frame, views)));
    e->stop = l_load(e, e->ptr, l_field(e, e->frame, offsetof(qn__frame, stop)));
    e->pending = l_alloca(e, e->i32);
    e->dummy = l_alloca(e, e->i64);
    e->trash = l_alloca(e, e->i64);
    l_store(e, l_i32(e, 0), e->pending);
    l_store(e, l_i64(e, 0), e->dummy);
}

static void emit_kernel(qn__emitter *e) {
    qn__emission_frame(e, LLVMGetParam(e->function, 0));
    e->width = 1;
    qn__emit_region(e, e->ir->body);
    qn__emit_return(e, l_i32(e, 0));
    qn__emission_function_end(e);
}

static void emit_raw(qn__emitter *e) {
    char symbol[SYMBOL], externs[SYMBOL];
    symbol_name(e->ir, e->options, raw_prefix, symbol, sizeof symbol);
    symbol_name(e->ir, e->options, externs_prefix, externs, sizeof externs);
    e->raw = qn__emit_raw(e, symbol, externs);
}

/* Variants are reached through the dispatching object only. */
static void hide_symbols(qn__emitter *e) {
    for (LLVMValueRef f = LLVMGetFirstFunction(e->module); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f) && LLVMGetLinkage(f) == LLVMExternalLinkage) LLVMSetVisibility(f, LLVMHiddenVisibility);
    for (LLVMValueRef g = LLVMGetFirstGlobal(e->module); g; g = LLVMGetNextGlobal(g))
        if (!LLVMIsDeclaration(g) && LLVMGetLinkage(g) == LLVMExternalLinkage) LLVMSetVisibility(g, LLVMHiddenVisibility);
}

bool qn__emission_verify(qn__emitter *e) {
    char *report = NULL;
    bool broken = LLVMVerifyModule(e->module, LLVMReturnStatusAction, &report);
    if (broken) {
        char *copy = qn__arena_copy_string(e->ir->arena, report, strlen(report));
        qn__fail(e, copy ? copy : "LLVM's verifier found a fault");
    }
    LLVMDisposeMessage(report);
    return !broken;
}

/* Short, because the code is vector code already: SSA form, local simplifications, loop invariants. */
static const char *const pipelines[] = {
    "",
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),early-cse<memssa>)",
    ("function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),gvn,"
     "instcombine<no-verify-fixpoint>,simplifycfg,adce)"),
};

bool qn__emission_passes(qn__emitter *e, const char *pipeline) {
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(e->module, pipeline, e->machine->target, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error) return true;
    LLVMConsumeError(error);
    return qn__fail(e, "LLVM's passes failed");
}

static bool run_passes(qn__emitter *e) {
    uint32_t level = e->options->level > 2 ? 2 : e->options->level;
    return level == 0 || e->options->debug || qn__emission_passes(e, pipelines[level]);
}

static void release(qn__emitter *e) {
    if (e->head) LLVMDisposeBuilder(e->head);
    if (e->builder) LLVMDisposeBuilder(e->builder);
    if (e->module) LLVMDisposeModule(e->module);
    if (e->context) LLVMContextDispose(e->context);
    qn__arena_destroy(e->arena);
    qn__machine_destroy(e->machine);
}

/* ---- out of it ---- */

bool qn__emission_print(qn__emitter *e, qn__text *out) {
    char *text = LLVMPrintModuleToString(e->module);
    qn__text_add_string(out, text);
    LLVMDisposeMessage(text);
    return !out->failed || qn__fail(e, "out of memory");
}

LLVMMemoryBufferRef qn__emission_generate(qn__emitter *e, LLVMCodeGenFileType kind) {
    LLVMMemoryBufferRef buffer = NULL;
    char *error = NULL;
    if (!LLVMTargetMachineEmitToMemoryBuffer(e->machine->target, e->module, kind, &error, &buffer)) return buffer;
    LLVMDisposeMessage(error);
    qn__fail(e, "LLVM cannot generate code");
    return NULL;
}

static bool add_assembly(qn__emitter *e, qn__text *out) {
    LLVMMemoryBufferRef buffer = qn__emission_generate(e, LLVMAssemblyFile);
    if (!buffer) return false;
    qn__text_add(out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
    return !out->failed || qn__fail(e, "out of memory");
}

static const char *keep_name(qn__emitter *e, const char *prefix) {
    char name[SYMBOL];
    symbol_name(e->ir, e->options, prefix, name, sizeof name);
    const char *copy = qn__arena_copy_string(e->ir->arena, name, strlen(name));
    if (!copy) qn__fail(e, "out of memory");
    return copy;
}

static bool fill_image(qn__emitter *e, const char *symbol, qn__image *image) {
    LLVMMemoryBufferRef buffer = qn__emission_generate(e, LLVMObjectFile);
    if (!buffer) return false;
    size_t size = LLVMGetBufferSize(buffer);
    void *code = qn__arena_alloc(e->ir->arena, size);
    if (code) memcpy(code, LLVMGetBufferStart(buffer), size);
    LLVMDisposeMemoryBuffer(buffer);
    *image = (qn__image){0};
    if (!code || !qn__image_from_ir(image, e->ir)) return qn__fail(e, "out of memory");
    image->kind = QN__IMAGE_OBJECT;
    image->code = code;
    image->code_size = size;
    image->symbol = qn__arena_copy_string(e->ir->arena, symbol, strlen(symbol));
    if (e->raw) image->raw_symbol = keep_name(e, raw_prefix);
    if (e->raw && e->ir->extern_count) image->externs_symbol = keep_name(e, externs_prefix);
    return (image->symbol && !e->failed) || qn__fail(e, "out of memory");
}

bool qn__emission_begin(qn__emitter *e, const qn__ir *ir, const qn__llvm_options *options) {
    *e = (qn__emitter){.ir = ir, .platform = &qn__cpu_platform, .options = options ? options : &host_options, .width = 1};
    const char *message = NULL;
    e->machine = qn__machine_create(e->options, &message);
    if (!e->machine) return qn__fail(e, message);
    if (!make_tables(e)) return false;
    make_module(e);
    return true;
}

static bool begin(qn__emitter *e, const qn__ir *ir, const qn__llvm_options *options, const char *symbol) {
    if (!qn__emission_begin(e, ir, options)) return false;
    qn__emission_function(e, LLVMAddFunction(e->module, symbol, LLVMFunctionType(e->i32, &e->ptr, 1, false)));
    qn__walk(ir, ir->body, note_swap, e);
    if (!make_scopes(e)) return false;
    if (!qn__debug_begin(e, symbol)) return false;
    emit_kernel(e);
    qn__debug_end(e);
    if (!e->failed) emit_raw(e);
    if (e->options->suffix) hide_symbols(e);
    if (e->failed) return false;
    return !e->options->verify || qn__emission_verify(e);
}

bool qn__emission_end(qn__emitter *e, bool done, const char **message) {
    release(e);
    if (done && !e->failed) return true;
    if (message) *message = e->message;
    return false;
}

bool qn__llvm_emit(const qn__ir *ir, const qn__llvm_options *options, qn__image *image, const char **message) {
    qn__emitter e;
    char symbol[SYMBOL];
    symbol_name(ir, options, "quern_", symbol, sizeof symbol);
    return qn__emission_end(&e, begin(&e, ir, options, symbol) && run_passes(&e) && fill_image(&e, symbol, image), message);
}

bool qn__llvm_text(const qn__ir *ir, const qn__llvm_options *options, qn__llvm_stage stage, qn__text *out,
                   const char **message) {
    qn__emitter e;
    char symbol[SYMBOL];
    symbol_name(ir, options, "quern_", symbol, sizeof symbol);
    bool done = begin(&e, ir, options, symbol);
    if (done && stage != QN__LLVM_RAW) done = run_passes(&e);
    if (done) done = stage == QN__LLVM_ASSEMBLY ? add_assembly(&e, out) : qn__emission_print(&e, out);
    return qn__emission_end(&e, done, message);
}

bool qn__llvm_describe(const qn__llvm_options *options, qn__text *out) {
    const char *message = NULL;
    const qn__llvm_options *o = options ? options : &host_options;
    qn__machine *m = qn__machine_create(o, &message);
    if (!m) return false;
    qn__text_format(out, "LLVM %s %s %s %s width %u level %u", LLVM_VERSION_STRING, m->triple, m->cpu, m->features, o->width, o->level);
    qn__machine_destroy(m);
    return !out->failed;
}
