/* quern build: kernels as a library for programs that have no Quern: each kernel's typed C function (docs/decisions/0004), compiled for several generations of
 * processors, and a header. lib.a is written here; lib.so and x.o are made from it by the system's linker. */
#include "cli/archive.h"
#include "cli/compile.h"
#include "compiler/llvm/emit.h"
#include "ir/prototype.h"
#include "ir/raw.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
extern const char cli_support_begin[], cli_support_end[];

/* The generations of x86-64 that a library carries; see support/cpu_level.c. */
static const struct { const char *cpu; qn__llvm_variant variant; } generations[] = {
    {"x86-64", {"_v1", 0}}, {"x86-64-v3", {"_v3", 3}}, {"x86-64-v4", {"_v4", 4}}};
enum { GENERATIONS = sizeof generations / sizeof *generations };

typedef struct library {
    const cli_options *options;
    cli_source source;
    qn__arena *arena;      /* members' names and bytes */
    cli_member *members;
    size_t member_count, capacity;
    const char **symbols;  /* of the kernels */
    size_t symbol_count;
    qn__text header;
} library;

static int add_member(library *l, const char *name, const void *bytes, size_t size) {
    void *copy = l->member_count < l->capacity ? qn__arena_alloc(l->arena, size) : NULL;
    char *kept = copy ? qn__arena_copy_string(l->arena, name, strlen(name)) : NULL;
    if (!kept) return cli_fail(QN_RESOURCE, "out of memory");
    memcpy(copy, bytes, size);
    l->members[l->member_count++] = (cli_member){kept, copy, size};
    return QN_OK;
}

static int add_object(library *l, const qn__llvm_options *target, const char *suffix) {
    qn__image image;
    char name[512];
    const char *message = "unknown reason";
    if (!qn__llvm_emit(l->source.compiled->ir, target, &image, &message)) return cli_fail(QN_INTERNAL, "llvm: %s", message);
    if (!image.raw_symbol) return cli_fail(QN_RESOURCE, "kernel %s has too many parameters for a C function", image.signature->name);
    snprintf(name, sizeof name, "%.400s%s.o", image.signature->name, suffix);
    return add_member(l, name, image.code, image.code_size);
}

static int add_kernel(library *l, const char *name) {
    cli_options one = *l->options;
    one.kernel = (char *)(uintptr_t)name;
    qn__compiled_release(l->source.compiled);
    l->source.compiled = NULL;
    int status = cli_source_compile(&l->source, &one);
    if (status != QN_OK) return status;
    char symbol[512];
    snprintf(symbol, sizeof symbol, "%s%.400s", QN__RAW_PREFIX, name);
    l->symbols[l->symbol_count] = qn__arena_copy_string(l->arena, symbol, strlen(symbol));
    if (!l->symbols[l->symbol_count++]) return cli_fail(QN_RESOURCE, "out of memory");
    qn__text_add_char(&l->header, '\n');
    qn__prototype_print(l->source.compiled->ir->signature, symbol, &l->header);
    if (l->options->cpu || l->options->features) {
        const qn__llvm_options target = {.cpu = l->options->cpu, .features = l->options->features, .width = l->options->width, .level = 1, .serial = true};
        return add_object(l, &target, "");
    }
    for (size_t g = 0; status == QN_OK && g < GENERATIONS; g++) {
        const qn__llvm_options target = {.cpu = generations[g].cpu, .width = l->options->width, .level = 1, .serial = true, .suffix = generations[g].variant.suffix};
        status = add_object(l, &target, generations[g].variant.suffix);
    }
    return status;
}

static int add_kernels(library *l) {
    size_t count = 0;
    const qn__kernel_info *kernels = qn__program_kernels(l->source.program, &count);
    l->capacity = count * GENERATIONS + 2;
    l->members = calloc(l->capacity, sizeof *l->members);
    l->symbols = calloc(count + 1, sizeof *l->symbols);
    if (!l->members || !l->symbols) return cli_fail(QN_RESOURCE, "out of memory");
    int status = QN_OK;
    bool found = false;
    for (size_t i = 0; status == QN_OK && i < count; i++) {
        if (l->options->kernel ? strcmp(kernels[i].name, l->options->kernel) != 0 : kernels[i].imported) continue;
        found = true;
        if (kernels[i].generic_count && !l->options->types)
            return cli_fail(QN_USAGE, "kernel %s is generic: say for which types with --type, or build one kernel with FILE.qn:NAME", kernels[i].name);
        cli_options one = *l->options;
        if (!kernels[i].generic_count) one.types = NULL;
        const cli_options *all = l->options;
        l->options = &one;
        status = add_kernel(l, kernels[i].name);
        l->options = all;
    }
    if (!found) return cli_fail(QN_USAGE, l->options->kernel ? "no kernel is named '%s'" : "the source has no kernel", l->options->kernel);
    return status;
}

static int add_rest(library *l) {
    qn__llvm_variant variants[GENERATIONS];
    const void *code = NULL;
    size_t size = 0;
    const char *message = "unknown reason";
    int status = add_member(l, "quern_support.o", cli_support_begin, (size_t)(cli_support_end - cli_support_begin));
    if (status != QN_OK || l->options->cpu || l->options->features) return status;
    for (size_t g = 0; g < GENERATIONS; g++) variants[g] = generations[g].variant;
    if (!qn__llvm_dispatch(l->symbols, l->symbol_count, variants, GENERATIONS, l->arena, &code, &size, &message)) return cli_fail(QN_INTERNAL, "llvm: %s", message);
    return add_member(l, "quern_dispatch.o", code, size);
}

static int write_file(const char *path, const qn__text *text) {
    FILE *file = fopen(path, "wb");
    const bool written = file && fwrite(qn__text_bytes(text), 1, text->length, file) == text->length;
    if (!file || fclose(file) != 0 || !written) return cli_fail(QN_IO, "%s: %s", path, strerror(errno));
    return QN_OK;
}

/* Runs the C compiler's driver as linker: cc -shared or -r over the whole archive. */
static int link_with(const char *archive, const char *output, bool shared) {
    char *const arguments[] = {"cc", shared ? "-shared" : "-r", "-nostartfiles", shared ? "-Wl,-z,noexecstack" : "-nostdlib", "-o", (char *)(uintptr_t)output, "-Wl,--whole-archive",
                               (char *)(uintptr_t)archive, "-Wl,--no-whole-archive", shared ? "-lm" : NULL, NULL};
    pid_t child;
    int state = 0;
    const int failure = posix_spawnp(&child, "cc", NULL, NULL, arguments, environ);
    if (failure) return cli_fail(QN_IO, "%s needs a linker: 'cc' cannot be run (%s); a static library (-o lib.a) needs none", output, strerror(failure));
    if (waitpid(child, &state, 0) < 0 || !WIFEXITED(state) || WEXITSTATUS(state) != 0) return cli_fail(QN_IO, "%s: the linker failed", output);
    return QN_OK;
}

static bool ends_in(const char *path, const char *tail) {
    const size_t length = strlen(path), n = strlen(tail);
    return length > n && strcmp(path + length - n, tail) == 0;
}

static int write_library(const library *l, const char *path) {
    qn__text archive = QN__TEXT_EMPTY;
    int status = cli_archive(l->members, l->member_count, &archive) ? QN_OK : cli_fail(QN_RESOURCE, "the archive cannot be made");
    if (status == QN_OK && ends_in(path, ".a")) {
        status = write_file(path, &archive);
    } else if (status == QN_OK) {
        char temporary[] = "/tmp/quern-XXXXXX.a";
        const int descriptor = mkstemps(temporary, 2);
        if (descriptor < 0) status = cli_fail(QN_IO, "%s: %s", temporary, strerror(errno));
        else close(descriptor);
        if (status == QN_OK) status = write_file(temporary, &archive);
        if (status == QN_OK) status = link_with(temporary, path, ends_in(path, ".so"));
        if (descriptor >= 0) unlink(temporary);
    }
    qn__text_free(&archive);
    return status;
}

static int check_output(const cli_options *o) {
    if (o->output_count != 1 || o->outputs[0].name) return cli_fail(QN_USAGE, "-o FILE is expected once: lib.a, lib.so or kernels.o");
    if (ends_in(o->outputs[0].text, ".a") || ends_in(o->outputs[0].text, ".so") || ends_in(o->outputs[0].text, ".o")) return QN_OK;
    return cli_fail(QN_USAGE, "-o %s: the name must end in .a, .so or .o", o->outputs[0].text);
}

int cli_build(int argc, char **argv) {
    cli_options options;
    library l = {.options = &options};
    int status = cli_parse(&options, "build", argc, argv) ? QN_OK : QN_USAGE;
    if (status == QN_OK) status = check_output(&options);
    if (status == QN_OK) status = cli_source_open(&l.source, &options);
    if (status == QN_OK && !(l.arena = qn__arena_create(0))) status = cli_fail(QN_RESOURCE, "out of memory");
    if (status == QN_OK) {
        const char *slash = strrchr(options.file, '/'), *file = slash ? slash + 1 : options.file;
        cli_header_begin(&l.header, file, "quern build");
        status = add_kernels(&l);
        cli_header_end(&l.header);
    }
    if (status == QN_OK) status = add_rest(&l);
    if (status == QN_OK) status = write_library(&l, options.outputs[0].text);
    if (status == QN_OK && options.header_file) status = write_file(options.header_file, &l.header);
    qn__text_free(&l.header);
    free(l.members);
    free(l.symbols);
    qn__arena_destroy(l.arena);
    cli_source_close(&l.source);
    cli_options_free(&options);
    return status;
}
