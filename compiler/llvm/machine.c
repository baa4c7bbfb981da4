/* Target machines: the host's, or any that options name. LLVM's targets are registered once per process. */
#include "compiler/llvm/internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Vector width by the names of LLVM's x86 CPUs, for when only a CPU is named (LLVM's C API does not tell its features). */
typedef struct known_cpu { const char *prefix; uint32_t bits; bool f16c; } known_cpu;
static const known_cpu known[] = {
    {"x86-64-v4", 512, true}, {"x86-64-v3", 256, true}, {"znver5", 512, true}, {"znver4", 512, true}, {"znver", 256, true},
    {"skylake-avx512", 512, true}, {"cascadelake", 512, true}, {"cooperlake", 512, true}, {"icelake", 512, true},
    {"sapphirerapids", 512, true}, {"graniterapids", 512, true}, {"haswell", 256, true}, {"broadwell", 256, true},
    {"skylake", 256, true}, {"alderlake", 256, true},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void register_targets(void) {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
}

/* "+name" as a whole word of the list */
static bool has(const char *features, const char *name) {
    size_t length = strlen(name);
    for (const char *at = features; at && (at = strstr(at, name)); at += length)
        if ((at == features || at[-1] == ',') && (at[length] == 0 || at[length] == ',')) return true;
    return false;
}

static void look_at_features(qn__machine *m) {
    m->vector_bits = 128;
    if (strncmp(m->triple, "aarch64", 7) == 0 || strncmp(m->triple, "nvptx64", 7) == 0) {
        m->f16c = true;
        return;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(m->cpu, known[i].prefix, strlen(known[i].prefix)) == 0) {
            m->vector_bits = known[i].bits;
            m->f16c = known[i].f16c;
            break;
        }
    if (has(m->features, "+avx2")) m->vector_bits = m->vector_bits < 256 ? 256 : m->vector_bits;
    if (has(m->features, "+avx512f") && has(m->features, "+avx512vl")) m->vector_bits = 512;
    if (has(m->features, "-avx512f") && m->vector_bits > 256) m->vector_bits = 256;
    if (has(m->features, "-avx2")) m->vector_bits = 128;
    if (has(m->features, "+f16c")) m->f16c = true;
    if (has(m->features, "-f16c")) m->f16c = false;
    m->masks = m->gathers = m->vector_bits == 512;
}

static char *copied(const char *text) { return text ? strdup(text) : NULL; }

/* LLVM's own strings are freed with LLVM's function: take a copy that is ours. */
static char *taken(char *text) {
    char *copy = copied(text);
    LLVMDisposeMessage(text);
    return copy;
}

#ifdef __x86_64__
enum { HOST_IS_X86 = true };
#else
enum { HOST_IS_X86 = false };
#endif

static bool known_processor(const char *cpu) {
    static const char *const names[] = {
#define X(name) name,
#include "compiler/llvm/processors.def"
#undef X
    };
    if (!strcmp(cpu, "generic")) return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], cpu)) return true;
    return false;
}

static const char *create_target(qn__machine *m, uint32_t level) {
    LLVMTargetRef target = NULL;
    char *error = NULL;
    if (LLVMGetTargetFromTriple(m->triple, &target, &error)) {
        LLVMDisposeMessage(error);
        return "LLVM has no such target";
    }
    LLVMCodeGenOptLevel codegen = level == 0 ? LLVMCodeGenLevelNone : LLVMCodeGenLevelDefault;
    m->target = LLVMCreateTargetMachine(target, m->triple, m->cpu, m->features, codegen, LLVMRelocPIC, LLVMCodeModelDefault);
    return m->target ? NULL : "LLVM cannot make a target machine";
}

qn__machine *qn__machine_create(const qn__llvm_options *options, const char **message) {
    pthread_once(&once, register_targets);
    qn__machine *m = calloc(1, sizeof *m);
    *message = "out of memory";
    if (!m) return NULL;
    const bool x86 = options->triple ? strncmp(options->triple, "x86_64", 6) == 0 : HOST_IS_X86;
    if (options->cpu && x86 && !known_processor(options->cpu)) {
        *message = "LLVM knows no such processor";
        free(m);
        return NULL;
    }
    bool host = !options->triple && !options->cpu;
    m->triple = options->triple ? copied(options->triple) : taken(LLVMGetDefaultTargetTriple());
    m->cpu = options->cpu ? copied(options->cpu) : options->triple ? copied("generic") : taken(LLVMGetHostCPUName());
    m->features = options->features ? copied(options->features) : host ? taken(LLVMGetHostCPUFeatures()) : copied("");
    if (m->triple && m->cpu && m->features) {
        look_at_features(m);
        *message = create_target(m, options->debug ? 0 : options->level);
        if (!*message) return m;
    }
    qn__machine_destroy(m);
    return NULL;
}

void qn__machine_destroy(qn__machine *m) {
    if (!m) return;
    if (m->target) LLVMDisposeTargetMachine(m->target);
    free(m->triple);
    free(m->cpu);
    free(m->features);
    free(m);
}
