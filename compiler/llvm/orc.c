/* Loading objects: one LLJIT, one JITDylib per loaded object, so that equal symbols of different objects do not meet.
 *
 * LLVM has no C function that removes a dylib, so a dylib that is no longer used is kept in a list for the next object;
 * its memory went back through the object's resource tracker. A dylib knows only the few functions of libc and libm that
 * LLVM may call for what a machine lacks (fma on old CPUs, memset): nothing else of the process can be reached. */
#include "compiler/llvm/orc.h"

#include "compiler/llvm/compat.h"

#include <llvm-c/LLJIT.h>
#include <llvm-c/LLJITUtils.h>
#include <llvm-c/Orc.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct known_symbol { const char *name; void *address; } known_symbol;
enum { SWEEP = 256 }; /* objects dropped between two sweeps of LLVM's pool of names */
#define SYMBOL(name) {#name, (void *)(uintptr_t)&name}

typedef struct loaded {
    struct loaded *next;
    LLVMOrcJITDylibRef dylib;
    LLVMOrcResourceTrackerRef tracker; /* NULL while not in use */
} loaded;

typedef struct orc {
    qn__loader face;
    LLVMOrcLLJITRef jit;
    pthread_mutex_t lock;
    loaded *idle;   /* dylibs to use again */
    loaded *used;
    uint32_t count; /* dylibs made, for their names */
    uint32_t drops;
} orc;

/* Stands in where no runtime is: raw functions load, but must not be called. */
static const struct qn__raw_table *no_services(void) { return NULL; }

static bool define_symbols(orc *self, LLVMOrcJITDylibRef dylib) {
    const known_symbol symbols[] = {
        SYMBOL(fma), SYMBOL(fmaf), SYMBOL(floor), SYMBOL(floorf), SYMBOL(ceil), SYMBOL(ceilf), SYMBOL(trunc), SYMBOL(truncf),
        SYMBOL(rint), SYMBOL(rintf), SYMBOL(roundeven), SYMBOL(roundevenf), SYMBOL(memset), SYMBOL(memcpy), SYMBOL(memmove),
    };
    enum { COUNT = sizeof symbols / sizeof *symbols };
    const known_symbol services = {"qn__raw_services", (void *)(uintptr_t)self->face.raw_services};
    LLVMOrcCSymbolMapPair pairs[COUNT + 1];
    for (size_t i = 0; i <= COUNT; i++) {
        const known_symbol *known = i < COUNT ? &symbols[i] : &services;
        pairs[i].Name = LLVMOrcLLJITMangleAndIntern(self->jit, known->name);
        pairs[i].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)known->address;
        pairs[i].Sym.Flags = (LLVMJITSymbolFlags){LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable, 0};
    }
    LLVMErrorRef error = LLVMOrcJITDylibDefine(dylib, LLVMOrcAbsoluteSymbols(pairs, COUNT + 1));
    if (error) LLVMConsumeError(error);
    return !error;
}

/* The caller holds the lock. */
static loaded *take_dylib(orc *self) {
    loaded *entry = self->idle;
    if (entry) {
        self->idle = entry->next;
        return entry;
    }
    entry = calloc(1, sizeof *entry);
    if (!entry) return NULL;
    char name[24] = "image";
    uint32_t number = self->count++;
    for (size_t at = 5; number || at == 5; number /= 10) name[at++] = (char)('0' + number % 10);
    entry->dylib = LLVMOrcExecutionSessionCreateBareJITDylib(LLVMOrcLLJITGetExecutionSession(self->jit), name);
    if (define_symbols(self, entry->dylib)) return entry;
    free(entry);
    return NULL;
}

typedef struct answer {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    bool done;
    uint64_t address;
} answer;

static void receive(LLVMErrorRef error, LLVMOrcCSymbolMapPairs result, size_t count, void *context) {
    answer *a = context;
    if (error) LLVMConsumeError(error);
    pthread_mutex_lock(&a->lock);
    a->address = !error && count == 1 ? result[0].Sym.Address : 0;
    a->done = true;
    pthread_cond_signal(&a->ready);
    pthread_mutex_unlock(&a->lock);
}

/* LLVM answers through a callback, in this thread or another. */
static uint64_t look_up(orc *self, LLVMOrcJITDylibRef dylib, const char *symbol) {
    answer a = {.lock = PTHREAD_MUTEX_INITIALIZER, .ready = PTHREAD_COND_INITIALIZER};
    LLVMOrcCJITDylibSearchOrderElement where = {dylib, LLVMOrcJITDylibLookupFlagsMatchExportedSymbolsOnly};
    LLVMOrcCLookupSetElement what = {LLVMOrcLLJITMangleAndIntern(self->jit, symbol), LLVMOrcSymbolLookupFlagsRequiredSymbol};
    LLVMOrcExecutionSessionLookup(LLVMOrcLLJITGetExecutionSession(self->jit), LLVMOrcLookupKindStatic, &where, 1, &what, 1, receive, &a);
    pthread_mutex_lock(&a.lock);
    while (!a.done) pthread_cond_wait(&a.ready, &a.lock);
    pthread_mutex_unlock(&a.lock);
    pthread_mutex_destroy(&a.lock);
    pthread_cond_destroy(&a.ready);
    return a.address;
}

/* The tracker goes, and with it the object's memory. The caller holds the lock. */
static void drop(orc *self, loaded *entry) {
    LLVMErrorRef error = LLVMOrcResourceTrackerRemove(entry->tracker);
    if (error) LLVMConsumeError(error);
    LLVMOrcReleaseResourceTracker(entry->tracker);
    entry->tracker = NULL;
    entry->next = self->idle;
    self->idle = entry;
    /* names of symbols stay in LLVM's pool until somebody asks; looking through it for every object would cost more than the object */
    if (++self->drops % SWEEP == 0)
        LLVMOrcSymbolStringPoolClearDeadEntries(LLVMOrcExecutionSessionGetSymbolStringPool(LLVMOrcLLJITGetExecutionSession(self->jit)));
}

static bool add_object(orc *self, loaded *entry, const qn__image *image) {
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(image->code, image->code_size, image->symbol);
    entry->tracker = LLVMOrcJITDylibCreateResourceTracker(entry->dylib);
    LLVMErrorRef error = LLVMOrcLLJITAddObjectFileWithRT(self->jit, entry->tracker, buffer);
    if (error) LLVMConsumeError(error);
    return !error;
}

static qn__entry load_locked(orc *self, const qn__image *image, void **handle, const char **message) {
    loaded *entry = take_dylib(self);
    if (!entry) return *message = "out of memory", NULL;
    uint64_t address = add_object(self, entry, image) ? look_up(self, entry->dylib, image->symbol) : 0;
    if (!address) {
        drop(self, entry);
        return *message = "the object cannot be loaded", NULL;
    }
    entry->next = self->used;
    self->used = entry;
    *handle = entry;
    return (qn__entry)(uintptr_t)address;
}

static qn__entry load(void *context, const qn__image *image, void **handle, const char **message) {
    orc *self = context;
    if (image->kind != QN__IMAGE_OBJECT) return *message = "the image is not an object", NULL;
    pthread_mutex_lock(&self->lock);
    qn__entry entry = load_locked(self, image, handle, message);
    pthread_mutex_unlock(&self->lock);
    return entry;
}

static void *symbol(void *context, void *handle, const char *name) {
    orc *self = context;
    pthread_mutex_lock(&self->lock);
    uint64_t address = look_up(self, ((loaded *)handle)->dylib, name);
    pthread_mutex_unlock(&self->lock);
    return (void *)(uintptr_t)address;
}

static void unload(void *context, void *handle) {
    orc *self = context;
    if (!handle) return;
    pthread_mutex_lock(&self->lock);
    for (loaded **at = &self->used; *at; at = &(*at)->next)
        if (*at == handle) {
            *at = (*at)->next;
            drop(self, handle);
            break;
        }
    pthread_mutex_unlock(&self->lock);
}

static void free_list(loaded *list) {
    while (list) {
        loaded *next = list->next;
        if (list->tracker) LLVMOrcReleaseResourceTracker(list->tracker);
        free(list);
        list = next;
    }
}

static void destroy(void *context) {
    orc *self = context;
    free_list(self->used);
    free_list(self->idle);
    LLVMErrorRef error = LLVMOrcDisposeLLJIT(self->jit);
    if (error) LLVMConsumeError(error);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void register_native(void) {
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
}

qn__loader *qn__orc_loader_create(const char **message) {
    pthread_once(&once, register_native);
    orc *self = calloc(1, sizeof *self);
    if (!self) return *message = "out of memory", NULL;
    LLVMErrorRef error = LLVMOrcCreateLLJIT(&self->jit, NULL);
    if (error) {
        LLVMConsumeError(error);
        free(self);
        return *message = "LLVM's JIT cannot be set up", NULL;
    }
    pthread_mutex_init(&self->lock, NULL);
    self->face = (qn__loader){.self = self, .load = load, .symbol = symbol, .raw_services = no_services,
                               .unload = unload, .destroy = destroy};
    return &self->face;
}

bool qn__orc_enable_debugger(qn__loader *loader, const char **message) {
    orc *self = loader->self;
    LLVMErrorRef error = LLVMOrcLLJITEnableDebugSupport(self->jit);
    if (!error) return true;
    LLVMConsumeError(error);
    *message = "LLVM cannot tell debuggers about its code";
    return false;
}
