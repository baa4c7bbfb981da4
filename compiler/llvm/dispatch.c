/* The object that chooses among variants of kernels when a program or library is loaded.
 *
 * Each public symbol is a GNU indirect function: its resolver, run once by the dynamic linker (or at start in a static program), asks qn__cpu_level and returns the
 * variant's address. Its prototype does not matter. After that a call costs what any call through the linkage table costs. */
#include "compiler/llvm/internal.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 1100 };

typedef struct dispatch {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTypeRef i32, ptr, function;
    LLVMValueRef level;
} dispatch;

static LLVMValueRef hidden_function(dispatch *d, const char *name) {
    LLVMValueRef f = LLVMGetNamedFunction(d->module, name);
    if (f) return f;
    f = LLVMAddFunction(d->module, name, d->function);
    LLVMSetVisibility(f, LLVMHiddenVisibility);
    return f;
}

static void add_symbol(dispatch *d, const char *symbol, const qn__llvm_variant *variants, size_t variant_count) {
    char name[NAME];
    LLVMTypeRef type = LLVMFunctionType(d->ptr, NULL, 0, false);
    snprintf(name, sizeof name, "resolve_%s", symbol);
    LLVMValueRef resolver = LLVMAddFunction(d->module, name, type);
    LLVMSetLinkage(resolver, LLVMInternalLinkage);
    LLVMPositionBuilderAtEnd(d->builder, LLVMAppendBasicBlockInContext(d->context, resolver, ""));
    LLVMValueRef level = LLVMBuildCall2(d->builder, d->function, d->level, NULL, 0, ""), chosen = NULL;
    for (size_t i = 0; i < variant_count; i++) {
        snprintf(name, sizeof name, "%s%s", symbol, variants[i].suffix);
        LLVMValueRef variant = hidden_function(d, name);
        LLVMValueRef enough = LLVMBuildICmp(d->builder, LLVMIntSGE, level, LLVMConstInt(d->i32, (unsigned)variants[i].level, true), "");
        chosen = chosen ? LLVMBuildSelect(d->builder, enough, variant, chosen, "") : variant;
    }
    LLVMBuildRet(d->builder, chosen);
    LLVMAddGlobalIFunc(d->module, symbol, strlen(symbol), d->function, 0, resolver);
}

bool qn__llvm_dispatch(const char *const *symbols, size_t symbol_count, const qn__llvm_variant *variants, size_t variant_count,
                       qn__arena *arena, const void **code, size_t *size, const char **message) {
    const qn__llvm_options options = {.cpu = "x86-64", .level = 1};
    qn__machine *machine = qn__machine_create(&options, message);
    if (!machine) return false;
    dispatch d = {.context = LLVMContextCreate()};
    d.module = LLVMModuleCreateWithNameInContext("quern_dispatch", d.context);
    d.builder = LLVMCreateBuilderInContext(d.context);
    d.i32 = LLVMInt32TypeInContext(d.context);
    d.ptr = LLVMPointerTypeInContext(d.context, 0);
    d.function = LLVMFunctionType(d.i32, NULL, 0, false);
    LLVMSetTarget(d.module, machine->triple);
    d.level = hidden_function(&d, "qn__cpu_level");
    for (size_t i = 0; i < symbol_count; i++) add_symbol(&d, symbols[i], variants, variant_count);
    LLVMMemoryBufferRef buffer = NULL;
    char *error = NULL;
    bool good = !LLVMTargetMachineEmitToMemoryBuffer(machine->target, d.module, LLVMObjectFile, &error, &buffer);
    if (good) {
        *size = LLVMGetBufferSize(buffer);
        void *copy = qn__arena_alloc(arena, *size);
        if (copy) memcpy(copy, LLVMGetBufferStart(buffer), *size);
        *code = copy;
        good = copy != NULL;
        LLVMDisposeMemoryBuffer(buffer);
        if (!good) *message = "out of memory";
    } else {
        *message = "LLVM cannot generate the dispatching object";
        LLVMDisposeMessage(error);
    }
    LLVMDisposeBuilder(d.builder);
    LLVMDisposeModule(d.module);
    LLVMContextDispose(d.context);
    qn__machine_destroy(machine);
    return good;
}
