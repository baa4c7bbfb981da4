/* Stands in for the execution of PTX: an .entry whose name is known does in C what the PTX text of
 * tests/emulator/driver.c says. */
#include "emulator/execute.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef bool (*run_function)(const em_launch *launch, em_fault *fault);
struct em_function {
    const char *name;
    run_function run;
    uint32_t count, sizes[3], shared, most;
};
struct em_module {
    em_memory *memory;
    uint64_t counter;
};

void em_text_add(em_text *text, const char *format, ...) {
    va_list arguments;
    char *line;
    va_start(arguments, format);
    int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    char *larger = realloc(text->data, text->size + (size_t)length + 1);
    if (larger) {
        memcpy(larger + text->size, line, (size_t)length + 1);
        text->data = larger;
        text->size += (size_t)length;
    }
    free(line);
}

static bool fail(em_fault *fault, em_fault_kind kind, const char *text) {
    fault->kind = kind;
    snprintf(fault->text, sizeof fault->text, "%s", text);
    return false;
}

static uint32_t *at(const em_launch *launch, uint64_t address, em_fault *fault) {
    const em_block *block = em_memory_find(launch->memory, address);
    if (address % 4) return fail(fault, EM_FAULT_MISALIGNED, "misaligned"), NULL;
    if (!block || block->freed || !block->mapped || address + 4 > block->address + block->size)
        return fail(fault, EM_FAULT_ADDRESS, block && block->freed ? "freed" : "out of bounds"), NULL;
    return (uint32_t *)(uintptr_t)address;
}

static bool nop(const em_launch *launch, em_fault *fault) {
    return (void)launch, (void)fault, true;
}
static bool trap(const em_launch *launch, em_fault *fault) {
    return (void)launch, fail(fault, EM_FAULT_TRAP, "trap");
}

static bool fill(const em_launch *launch, em_fault *fault) {
    struct {
        uint64_t to;
        uint32_t count, value;
    } p;
    memcpy(&p, launch->parameters, sizeof p);
    for (uint32_t i = 0; i < p.count && i < launch->grid[0] * launch->block[0]; i++) {
        uint32_t *word = at(launch, p.to + 4 * (uint64_t)i, fault);
        if (!word) return false;
        *word = p.value;
    }
    return true;
}

static bool add(const em_launch *launch, em_fault *fault) {
    struct {
        uint64_t to;
        uint32_t value;
    } p;
    memcpy(&p, launch->parameters, 12);
    uint32_t *word = at(launch, p.to, fault);
    if (word) *word += p.value;
    return word != NULL;
}

static bool wait_for(const em_launch *launch, em_fault *fault) {
    uint64_t flag;
    memcpy(&flag, launch->parameters, sizeof flag);
    const uint32_t *word = at(launch, flag, fault);
    if (!word) return false;
    while (!__atomic_load_n(word, __ATOMIC_ACQUIRE)) {
        if (__atomic_load_n((const int32_t *)(uintptr_t)launch->cancel, __ATOMIC_ACQUIRE))
            return fail(fault, EM_FAULT_CANCELLED, "cancelled");
        sched_yield();
    }
    return true;
}

static const em_function functions[] = {{"nop", nop, 0, {0}, 0, 1024},    {"fill", fill, 3, {8, 4, 4}, 0, 1024},
                                        {"add", add, 2, {8, 4}, 0, 1024}, {"wait", wait_for, 1, {8}, 0, 1024},
                                        {"trap", trap, 0, {0}, 0, 1024},  {"shared", nop, 0, {0}, 1024, 1024},
                                        {"bounded", nop, 0, {0}, 0, 64}};

em_status em_module_load(const char *text, size_t length, const em_device *device, em_memory *memory,
                         em_module **module, em_text *log) {
    *module = NULL;
    unsigned int major, minor;
    if (length < 10 || sscanf(text, ".version %u.%u", &major, &minor) != 2) {
        em_text_add(log, "line 1: a module begins with .version\n");
        return EM_INVALID_PTX;
    }
    if (major * 10 + minor > device->ptx_version) return EM_UNSUPPORTED_PTX_VERSION;
    *module = calloc(1, sizeof **module);
    if (!*module) return EM_NO_MEMORY;
    (*module)->memory = memory;
    (*module)->counter = em_memory_allocate(memory, 4, EM_GLOBAL);
    if ((*module)->counter) {
        *(uint32_t *)(uintptr_t)(*module)->counter = 7;
        return EM_OK;
    }
    free(*module);
    *module = NULL;
    return EM_NO_MEMORY;
}

void em_module_unload(em_module *module) {
    if (module) em_memory_free(module->memory, module->counter);
    free(module);
}

const em_function *em_module_function(const em_module *module, const char *name) {
    (void)module;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!strcmp(functions[i].name, name)) return &functions[i];
    return NULL;
}

bool em_module_variable(const em_module *module, const char *name, uint64_t *address, size_t *size) {
    *address = module->counter;
    *size = 4;
    return !strcmp(name, "counter");
}

bool em_function_parameter(const em_function *function, uint32_t index, size_t *offset, size_t *size) {
    *offset = 0;
    for (uint32_t i = 0; i < index && i < function->count; i++) *offset += function->sizes[i];
    *size = index < function->count ? function->sizes[index] : 0;
    return index < function->count;
}

em_function_info em_function_describe(const em_function *function) {
    size_t bytes, none;
    em_function_parameter(function, function->count, &bytes, &none);
    return (em_function_info){.name = function->name,
                              .registers = 16,
                              .shared_bytes = function->shared,
                              .max_threads = function->most,
                              .parameter_count = function->count,
                              .parameter_bytes = bytes};
}

bool em_execute(const em_launch *launch, em_fault *fault) {
    return launch->function->run(launch, fault);
}
uint64_t em_executed(void) {
    return 0;
}
