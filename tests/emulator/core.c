/* See core.h. */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *core_read(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (text) text[fread(text, 1, (size_t)size, file)] = '\0';
    fclose(file);
    return text;
}

core core_open(void) {
    core c = {.device = {.sm = 120, .ptx_version = 99, .processors = 4, .workers = 1, .race_check = true, .init_check = true}};
    c.memory = em_memory_create((size_t)1 << 30);
    return c;
}

em_status core_load(core *c, const char *text) {
    em_module_unload(c->module);
    c->module = NULL;
    free(c->log.data);
    c->log = (em_text){0};
    c->status = em_module_load(text, strlen(text), &c->device, c->memory, &c->module, &c->log);
    return c->status;
}

void core_close(core *c) {
    em_module_unload(c->module);
    em_memory_destroy(c->memory);
    free(c->log.data);
    memset(c, 0, sizeof *c);
}

uint64_t core_new(core *c, size_t size) {
    uint64_t address = em_memory_allocate(c->memory, size, EM_DEVICE);
    if (address) memset((void *)(uintptr_t)address, 0, size);
    return address;
}

bool core_launch3(core *c, const char *kernel, const uint32_t grid[3], const uint32_t block[3], uint32_t shared, const void *parameters) {
    const em_function *function = c->module ? em_module_function(c->module, kernel) : NULL;
    if (!function) {
        c->fault.kind = EM_FAULT_TRAP;
        snprintf(c->fault.text, sizeof c->fault.text, "no kernel %s: %s", kernel, c->log.data ? c->log.data : "");
        return false;
    }
    em_launch launch = {.function = function, .grid = {grid[0], grid[1], grid[2]}, .block = {block[0], block[1], block[2]}, .dynamic_shared = shared,
        .parameters = parameters, .memory = c->memory, .device = &c->device};
    return em_execute(&launch, &c->fault);
}

bool core_launch(core *c, const char *kernel, uint32_t grid, uint32_t block, const void *parameters) {
    return core_launch3(c, kernel, (uint32_t[3]){grid, 1, 1}, (uint32_t[3]){block, 1, 1}, 0, parameters);
}

char *core_kernel(const char *header, const char *declarations, const char *body) {
    static const char *format = "%s\n.address_size 64\n%s\n.visible .entry kernel(.param .u64 out, .param .u64 in)\n{\n"
        ".reg .pred %%p<32>; .reg .b16 %%rs<64>; .reg .b32 %%r<128>; .reg .f32 %%f<64>; .reg .b64 %%rd<64>; .reg .f64 %%fd<64>;\n"
        "ld.param.u64 %%rd1, [out]; ld.param.u64 %%rd2, [in]; mov.u32 %%r1, %%tid.x;\n%s\nret;\n}\n";
    if (!header) header = ".version 8.3\n.target sm_80";
    int size = snprintf(NULL, 0, format, header, declarations, body);
    char *text = malloc((size_t)size + 1);
    if (text) snprintf(text, (size_t)size + 1, format, header, declarations, body);
    return text;
}

uint64_t core_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}
