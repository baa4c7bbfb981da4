/* What perf is told: the map and the jitdump file of a profiled context, read back and held against the loaded code and the source. */
#include "compiler/compile.h"
#include "compiler/llvm/emit.h"
#include "runtime/object.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <quern/quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char source[] = "# line 1\n"
                             "kernel hot(x: f64[n]) -> y: f64[n] {\n"
                             "    y[i] = {\n"
                             "        var v = x[i]\n"
                             "        for k in 0 .. 100 {\n"
                             "            v = v * 1.000001\n"
                             "            v = v + 0.5 / (v + 2.0)\n"
                             "        }\n"
                             "        exp(v)\n"
                             "    }\n"
                             "}\n";
enum { FIRST_LINE = 2, MULTIPLY = 6, DIVIDE = 7, LAST_LINE = 10 };

/* ---- a profiled context in a folder of its own ---- */

typedef struct fixture {
    char folder[64], dump[128], map[64];
    qn_context *context;
    qn_module *module;
    qn_kernel *kernel;
} fixture;

static void name_files(fixture *f) {
    *f = (fixture){.folder = "/tmp/quern-profile-XXXXXX"};
    cr_assert_not_null(mkdtemp(f->folder));
    setenv("JITDUMPDIR", f->folder, 1);
    snprintf(f->dump, sizeof f->dump, "%s/jit-%d.dump", f->folder, (int)getpid());
    snprintf(f->map, sizeof f->map, "/tmp/perf-%d.map", (int)getpid());
    unlink(f->map);
}

static void open_context(fixture *f, bool debug) {
    qn_error error;
    const qn_context_options options = {.engine = QN_ENGINE_CPU, .cache_folder = "", .profile = true, .debug = debug};
    cr_assert_eq(qn_context_create(&options, &f->context, &error), QN_OK, "%s", error.message);
    cr_assert_eq(qn_module_from_source(f->context, "/src/hot.qn", source, sizeof source - 1, &f->module, &error), QN_OK, "%s", error.message);
    cr_assert_eq(qn_kernel_create(f->module, "hot", NULL, &f->kernel, &error), QN_OK, "%s", error.message);
}

static void close_context(fixture *f) {
    qn_kernel_destroy(f->kernel);
    qn_module_destroy(f->module);
    qn_context_destroy(f->context);
}

static void remove_files(const fixture *f) {
    unlink(f->dump);
    unlink(f->map);
    rmdir(f->folder);
}

static char *read_all(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    char *bytes = calloc(1, 1 << 20);
    cr_assert_not_null(bytes);
    *size = fread(bytes, 1, (1 << 20) - 1, file);
    fclose(file);
    return bytes;
}

/* ---- the jitdump file ---- */

typedef struct line { uint64_t address; uint32_t line; char path[64]; } line;
typedef struct function {
    char name[32];
    uint64_t address, size, number;
    const char *code;
    line lines[256];
    size_t line_count;
} function;
typedef struct dump { char *bytes; size_t size; function functions[16]; size_t function_count, closes; } dump;

static uint64_t number_at(const char *at, size_t size) {
    uint64_t value = 0;
    memcpy(&value, at, size);
    return value;
}

static void parse_lines(const char *at, const char *end, function *f) {
    f->address = number_at(at + 16, 8);
    f->line_count = number_at(at + 24, 8);
    cr_assert_leq(f->line_count, 256);
    at += 32;
    for (size_t i = 0; i < f->line_count; i++) {
        cr_assert_leq(at + 17, end);
        f->lines[i] = (line){.address = number_at(at, 8), .line = (uint32_t)number_at(at + 8, 4)};
        snprintf(f->lines[i].path, sizeof f->lines[i].path, "%s", at + 16);
        at += 16 + strlen(at + 16) + 1;
    }
    cr_assert_eq(at, end);
}

static void parse_load(const char *at, const char *end, function *f) {
    const uint64_t address = number_at(at + 32, 8);
    if (f->line_count) cr_assert_eq(f->address, address, "lines belong to the function that follows");
    cr_assert_eq(number_at(at + 16, 4), (uint64_t)getpid());
    cr_assert_eq(number_at(at + 24, 8), address);
    f->address = address;
    f->size = number_at(at + 40, 8);
    f->number = number_at(at + 48, 8);
    snprintf(f->name, sizeof f->name, "%s", at + 56);
    f->code = at + 56 + strlen(at + 56) + 1;
    cr_assert_eq(f->code + f->size, end);
}

static void parse_dump(const char *path, dump *d) {
    *d = (dump){0};
    d->bytes = read_all(path, &d->size);
    cr_assert_geq(d->size, 40);
    cr_assert_eq(number_at(d->bytes, 4), 0x4A695444);
    cr_assert_eq(number_at(d->bytes + 4, 4), 1);
    cr_assert_eq(number_at(d->bytes + 8, 4), 40);
    cr_assert_eq(number_at(d->bytes + 20, 4), (uint64_t)getpid());
    uint64_t time = number_at(d->bytes + 24, 8);
    for (size_t at = 40; at < d->size;) {
        cr_assert_leq(at + 16, d->size);
        const uint64_t kind = number_at(d->bytes + at, 4), size = number_at(d->bytes + at + 4, 4), when = number_at(d->bytes + at + 8, 8);
        cr_assert(size >= 16 && size <= d->size - at && when >= time);
        cr_assert_lt(d->function_count, 16);
        function *f = &d->functions[d->function_count];
        if (kind == 2) parse_lines(d->bytes + at, d->bytes + at + size, f);
        else if (kind == 0) parse_load(d->bytes + at, d->bytes + at + size, f), d->function_count++;
        else if (kind == 3) {
            cr_assert_eq(at + size, d->size, "perf reads no further");
            d->closes++;
        }
        else cr_assert_fail("record of kind %lu", (unsigned long)kind);
        time = when;
        at += size;
    }
}

static const function *find(const dump *d, const char *name) {
    for (size_t i = 0; i < d->function_count; i++)
        if (strcmp(d->functions[i].name, name) == 0) return &d->functions[i];
    cr_assert_fail("%s is not in the jitdump file", name);
    return NULL;
}

/* The lines are the kernel's or those of the library's functions in it, ascend in address, and hold all the work. */
static void check_lines(const function *f) {
    bool seen[LAST_LINE + 1] = {false};
    cr_assert_gt(f->line_count, 3);
    for (size_t i = 0; i < f->line_count; i++) {
        const line *l = &f->lines[i];
        cr_assert(l->address >= f->address && l->address < f->address + f->size);
        cr_assert(i == 0 || l->address >= f->lines[i - 1].address);
        cr_assert(i == 0 || l->line != f->lines[i - 1].line || strcmp(l->path, f->lines[i - 1].path) != 0);
        if (strcmp(l->path, "/src/hot.qn") != 0) continue;
        cr_assert(l->line >= FIRST_LINE && l->line <= LAST_LINE, "line %u", l->line);
        seen[l->line] = true;
    }
    cr_assert(seen[MULTIPLY] && seen[DIVIDE], "the loop's lines are missing");
}

static void check_files(bool debug) {
    fixture f;
    name_files(&f);
    open_context(&f, debug);
    dump d;
    parse_dump(f.dump, &d);
    cr_assert_eq(d.closes, 0);
    const function *entry = find(&d, "quern_hot"), *typed = find(&d, "qk_hot");
    cr_assert_eq(typed->address, (uint64_t)(uintptr_t)qn_kernel_function(f.kernel));
    for (size_t i = 0; i < d.function_count; i++)
        cr_assert_arr_eq(d.functions[i].code, (const char *)(uintptr_t)d.functions[i].address, d.functions[i].size);
    check_lines(entry);
    size_t size;
    char *map = read_all(f.map, &size);
    char expected[128];
    snprintf(expected, sizeof expected, "%lx %lx quern_hot\n", (unsigned long)entry->address, (unsigned long)entry->size);
    cr_assert_not_null(strstr(map, expected), "%s", map);
    snprintf(expected, sizeof expected, "%lx %lx qk_hot\n", (unsigned long)typed->address, (unsigned long)typed->size);
    cr_assert_not_null(strstr(map, expected), "%s", map);
    free(map);
    free(d.bytes);
    close_context(&f);
    parse_dump(f.dump, &d);
    cr_assert_eq(d.closes, 1);
    free(d.bytes);
    remove_files(&f);
}

Test(profile, the_files_say_what_is_loaded) { check_files(false); }
Test(profile, together_with_debug) { check_files(true); }

Test(profile, the_dump_is_mapped_for_perf) {
    fixture f;
    name_files(&f);
    open_context(&f, false);
    FILE *maps = fopen("/proc/self/maps", "r");
    char text[512];
    bool found = false;
    while (maps && fgets(text, sizeof text, maps))
        if (strstr(text, f.dump)) {
            cr_assert_not_null(strstr(text, "r-xp"), "%s", text);
            found = true;
        }
    cr_assert(found);
    fclose(maps);
    close_context(&f);
    remove_files(&f);
}

Test(profile, contexts_share_the_files) {
    fixture f, other;
    name_files(&f);
    open_context(&f, false);
    other = f;
    open_context(&other, false);
    close_context(&f);
    dump d;
    parse_dump(f.dump, &d);
    cr_assert_eq(d.closes, 0);
    free(d.bytes);
    close_context(&other);
    parse_dump(f.dump, &d);
    cr_assert_eq(d.closes, 1);
    free(d.bytes);
    open_context(&f, false); /* goes on in front of the end */
    close_context(&f);
    parse_dump(f.dump, &d);
    cr_assert_eq(d.closes, 1);
    for (size_t i = 0; i < d.function_count; i++)
        for (size_t k = 0; k < i; k++) cr_assert_neq(d.functions[i].number, d.functions[k].number);
    cr_assert_geq(d.function_count, 6);
    free(d.bytes);
    remove_files(&f);
}

Test(profile, a_forked_child_writes_nothing) {
    fixture f;
    name_files(&f);
    open_context(&f, false);
    struct stat before, after;
    cr_assert_eq(stat(f.dump, &before), 0);
    const pid_t child = fork();
    if (child == 0) {
        qn_kernel *kernel = NULL;
        const qn_status status = qn_kernel_create(f.module, "hot", NULL, &kernel, NULL);
        qn_kernel_destroy(kernel);
        close_context(&f);
        _exit((int)status);
    }
    int status = -1;
    cr_assert(waitpid(child, &status, 0) == child && status == 0);
    cr_assert(stat(f.dump, &after) == 0 && after.st_size == before.st_size);
    close_context(&f);
    remove_files(&f);
}

static qn_status create_status(qn_error *error) {
    qn_context *context = NULL;
    const qn_context_options options = {.profile = true};
    const qn_status status = qn_context_create(&options, &context, error);
    qn_context_destroy(context);
    return status;
}

Test(profile, files_that_cannot_be_written_are_an_error_of_creation) {
    fixture f;
    name_files(&f);
    qn_error error;
    setenv("JITDUMPDIR", "/proc/nowhere", 1);
    cr_assert_eq(create_status(&error), QN_IO);
    cr_assert_not_null(strstr(error.message, "/proc/nowhere/jit-"), "%s", error.message);
    setenv("JITDUMPDIR", f.folder, 1);
    unlink(f.map);
    cr_assert_eq(symlink("/dev/null", f.map), 0); /* somebody's trap in a folder where everybody writes */
    cr_assert_eq(create_status(&error), QN_IO);
    cr_assert_not_null(strstr(error.message, f.map), "%s", error.message);
    remove_files(&f);
}

Test(profile, an_earlier_process_leaves_nothing) {
    fixture f;
    name_files(&f);
    const int file = open(f.map, O_WRONLY | O_CREAT, 0600);
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    cr_assert_eq(write(file, "1000 10 stale\n", 14), 14);
    cr_assert_eq(futimens(file, old), 0);
    close(file);
    open_context(&f, false);
    close_context(&f);
    size_t size;
    char *map = read_all(f.map, &size);
    cr_assert_null(strstr(map, "stale"));
    free(map);
    remove_files(&f);
}

Test(profile, off_leaves_no_files) {
    fixture f;
    name_files(&f);
    qn_context *context = NULL;
    qn_error error;
    cr_assert_eq(qn_context_create(&(qn_context_options){.cache_folder = ""}, &context, &error), QN_OK);
    qn_context_destroy(context);
    cr_assert(access(f.dump, F_OK) != 0 && access(f.map, F_OK) != 0);
    remove_files(&f);
}

/* ---- objects ---- */

static bool emit(const qn__ir *ir, bool lines, qn__image *image) {
    const char *message = NULL;
    const bool ok = qn__llvm_emit(ir, &(qn__llvm_options){.level = 1, .lines = lines, .verify = true}, image, &message);
    cr_assert(ok, "%s", message);
    return ok;
}

static qn__compiled *compile(qn__program **program) {
    *program = qn__program_open("/src/hot.qn", source, sizeof source - 1, NULL, NULL);
    cr_assert_not_null(*program);
    qn__compiled *compiled = qn__compile(*program, qn__program_kernel(*program, NULL), NULL, 0, NULL);
    cr_assert(compiled && compiled->ir);
    return compiled;
}

static qn__bytes text_of(const qn__image *image) {
    const unsigned char *bytes = image->code;
    Elf64_Ehdr header;
    Elf64_Shdr section, names;
    memcpy(&header, bytes, sizeof header);
    memcpy(&names, bytes + header.e_shoff + header.e_shstrndx * sizeof names, sizeof names);
    for (uint16_t i = 0; i < header.e_shnum; i++) {
        memcpy(&section, bytes + header.e_shoff + i * sizeof section, sizeof section);
        if (strcmp((const char *)bytes + names.sh_offset + section.sh_name, ".text") == 0) return (qn__bytes){bytes + section.sh_offset, section.sh_size};
    }
    return (qn__bytes){NULL, 0};
}

Test(profile, lines_do_not_change_the_code) {
    qn__program *program;
    qn__compiled *compiled = compile(&program);
    qn__image plain, lined;
    emit(compiled->ir, false, &plain);
    emit(compiled->ir, true, &lined);
    const qn__bytes a = text_of(&plain), b = text_of(&lined);
    cr_assert(a.size > 100 && a.size == b.size && memcmp(a.at, b.at, a.size) == 0, "%zu and %zu bytes", a.size, b.size);
    qn__arena *arena = qn__arena_create(0);
    qn__object object;
    cr_assert(qn__object_read(plain.code, plain.code_size, plain.symbol, arena, &object));
    cr_assert(object.function_count == 2 && object.lines.count == 0);
    cr_assert(qn__object_read(lined.code, lined.code_size, lined.symbol, arena, &object));
    cr_assert(object.function_count == 2 && object.lines.count > 3);
    qn__arena_destroy(arena);
    qn__compiled_release(compiled);
    qn__program_close(program);
}

/* In memory that ends where the object ends; only a sanitizer or a crash can tell. */
static void read_copy(const unsigned char *bytes, size_t size, const char *symbol, size_t at, unsigned char flip) {
    unsigned char *copy = malloc(size ? size : 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, size);
    if (at < size) copy[at] ^= flip;
    qn__arena *arena = qn__arena_create(4 << 20);
    qn__object object;
    qn__object_read(copy, size, symbol, arena, &object);
    qn__arena_destroy(arena);
    free(copy);
}

Test(profile, damaged_objects_are_harmless) {
    qn__program *program;
    qn__compiled *compiled = compile(&program);
    qn__image image;
    emit(compiled->ir, true, &image);
    for (size_t size = 0; size < image.code_size; size += size < 128 ? 1 : 61) read_copy(image.code, size, image.symbol, SIZE_MAX, 0);
    for (size_t at = 0; at < image.code_size; at++) {
        read_copy(image.code, image.code_size, image.symbol, at, 0xff);
        read_copy(image.code, image.code_size, image.symbol, at, 0x01);
        read_copy(image.code, image.code_size, image.symbol, at, 0x80);
    }
    qn__compiled_release(compiled);
    qn__program_close(program);
}
