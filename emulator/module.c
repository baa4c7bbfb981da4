/* Loading: parse and check the text, give variables memory, lay out shared memory and parameters, translate every function. */
#include "emulator/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void em_text_add(em_text *text, const char *format, ...) {
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (length >= 0 && text->size + (size_t)length + 1 > text->capacity) {
        size_t capacity = text->capacity ? text->capacity * 2 : 256;
        while (capacity < text->size + (size_t)length + 1) capacity *= 2;
        char *data = realloc(text->data, capacity);
        if (data) text->data = data, text->capacity = capacity;
    }
    if (length >= 0 && text->size + (size_t)length + 1 <= text->capacity) {
        vsnprintf(text->data + text->size, (size_t)length + 1, format, again);
        text->size += (size_t)length;
    }
    va_end(again);
}

void em_error(em_module *module, uint32_t line, const char *format, ...) {
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < 32) *c = '?';
    }
    if (module->log) em_text_add(module->log, "line %u: %s\n", line, text);
    module->errors++;
}

/* The kernel that alone uses a shared variable; device functions may be called by any. */
typedef struct user { const em_variable *variable; const em_function *function; bool several; } user;

static int by_variable(const void *a, const void *b) {
    uintptr_t x = (uintptr_t)((const user *)a)->variable, y = (uintptr_t)((const user *)b)->variable;
    return x < y ? -1 : x > y;
}

static void mark(user *users, size_t count, const em_operand *operand, const em_function *function) {
    for (uint32_t k = 0; operand->kind == EM_OPERAND_VECTOR && k < operand->count; k++) mark(users, count, &operand->elements[k], function);
    if (!operand->variable || operand->variable->space != EM_SPACE_SHARED) return;
    user key = {.variable = operand->variable}, *found = bsearch(&key, users, count, sizeof *users, by_variable);
    if (!found) return;
    if ((found->function && found->function != function) || !function->entry) found->several = true;
    found->function = function;
}

static void place(em_variable *variable, uint64_t *offset) {
    uint64_t align = variable->align ? variable->align : 1;
    *offset = (*offset + align - 1) / align * align;
    variable->address = *offset;
    *offset += variable->size;
}

/* Variables that several functions use lie at the start of shared memory; each kernel's own follow, on the same bytes as other kernels'. */
static bool layout_shared(em_module *module) {
    size_t count = 0;
    for (em_variable *v = module->variables; v; v = v->next) count += v->space == EM_SPACE_SHARED;
    user *users = calloc(count + 1, sizeof *users);
    if (!users) return false;
    size_t at = 0;
    for (em_variable *v = module->variables; v; v = v->next) {
        if (v->space == EM_SPACE_SHARED) users[at++].variable = v;
    }
    qsort(users, count, sizeof *users, by_variable);
    for (em_function *f = module->functions; f; f = f->next) {
        for (uint32_t k = 0; k < f->count; k++) {
            for (uint32_t n = 0; n < f->code[k].operand_count; n++) mark(users, count, &f->code[k].operands[n], f);
        }
    }
    uint64_t common = 0;
    for (em_variable *v = module->variables; v; v = v->next) {
        user key = {.variable = v}, *found = v->space == EM_SPACE_SHARED ? bsearch(&key, users, count, sizeof *users, by_variable) : NULL;
        if (found && found->several && !v->unsized) place(v, &common);
    }
    for (em_function *f = module->functions; f; f = f->next) {
        for (em_variable *v = f->variables; v; v = v->next) {
            if (!f->entry && v->space == EM_SPACE_SHARED) place(v, &common);
        }
    }
    uint64_t most = common;
    for (em_function *f = module->functions; f; f = f->next) {
        uint64_t own = common, dynamic = 16;
        for (em_variable *v = f->variables; f->entry && v; v = v->next) {
            if (v->space == EM_SPACE_SHARED && !v->unsized) place(v, &own);
        }
        for (em_variable *v = module->variables; f->entry && v; v = v->next) {
            user key = {.variable = v}, *found = v->space == EM_SPACE_SHARED ? bsearch(&key, users, count, sizeof *users, by_variable) : NULL;
            if (found && !found->several && found->function == f && !v->unsized) place(v, &own);
            if (v->space == EM_SPACE_SHARED && v->unsized && v->align > dynamic) dynamic = v->align;
        }
        if (own > most) most = own;
        f->info.shared_bytes = (uint32_t)own;
        f->dynamic_align = (uint32_t)dynamic;
    }
    free(users);
    if (most > 1u << 20) {
        em_error(module, 0, "Too much shared memory: 0x%llx bytes", (unsigned long long)most);
        return false;
    }
    return true;
}

static bool allocate_variables(em_module *module) {
    for (em_variable *v = module->variables; v; v = v->next) {
        if (v->space != EM_SPACE_GLOBAL && v->space != EM_SPACE_CONST) continue;
        if (v->external) {
            em_error(module, v->line, "Unresolved extern variable '%.200s'", v->name);
            continue;
        }
        v->address = em_memory_allocate(module->memory, v->size ? v->size : 1, EM_GLOBAL);
        if (!v->address) {
            module->arena.failed = true;
            return false;
        }
        if (v->size && v->data) memcpy((void *)(uintptr_t)v->address, v->data, v->size);
        else if (v->size) memset((void *)(uintptr_t)v->address, 0, v->size);
    }
    for (em_variable *v = module->variables; v; v = v->next) {
        for (const em_relocation *r = v->relocations; r && v->address; r = r->next) {
            uint64_t value = r->addend + (r->variable ? r->variable->address : (uint64_t)(uintptr_t)r->function);
            if (r->shift < 64) value = value >> r->shift & 255;
            memcpy((char *)(uintptr_t)v->address + r->offset, &value, r->bytes);
        }
    }
    return module->errors == 0;
}

static bool layout_parameters(em_module *module, em_function *function) {
    uint64_t offset = 0;
    function->offsets = em_arena_allocate(&module->arena, (function->prototype.formal_count + 1) * sizeof *function->offsets);
    if (!function->offsets) return false;
    for (uint32_t k = 0; k < function->prototype.formal_count; k++) {
        em_variable *formal = function->prototype.formals[k];
        if (formal->space == EM_SPACE_PARAM) place(formal, &offset);
        formal->formal = true;
        function->offsets[k] = formal->address;
    }
    function->parameter_bytes = offset;
    if (offset > (module->version >= 81 && module->target >= 70 ? 32764u : 4352u)) em_error(module, function->line, "Formal parameter space of '%s' is too large", function->name);
    return true;
}

static bool builtin(const char *name) { return !strcmp(name, "vprintf") || !strcmp(name, "__assertfail"); }

static void check_calls(em_module *module, const em_function *function) {
    for (uint32_t k = 0; k < function->count; k++) {
        const em_call *call = function->code[k].call;
        if (!call || call->target.kind != EM_OPERAND_FUNCTION) continue;
        const em_function *callee = call->target.function;
        if (!callee->defined && !builtin(callee->name)) em_error(module, function->code[k].line, "Unresolved extern function '%.200s'", callee->name);
    }
}

/* A thread's local memory: the deepest chain of calls; a recursive one gets RECURSION bytes more. */
enum { RECURSION = 65536 };

static uint64_t local_depth(const em_function *function, uint8_t *state, uint64_t *depths, bool *recursive, uint32_t level) {
    if (state[function->number] == 1 || level > 500) *recursive = true;
    if (state[function->number] || level > 500) return depths[function->number];
    state[function->number] = 1;
    uint64_t deepest = 0;
    for (uint32_t k = 0; k < function->count; k++) {
        const em_call *call = function->code[k].call;
        if (!call) continue;
        if (call->target.kind == EM_OPERAND_REGISTER) {
            for (const em_function *f = function->module->functions; f; f = f->next) {
                if (f->entry || !f->translated) continue;
                uint64_t below = local_depth(f, state, depths, recursive, level + 1);
                if (below > deepest) deepest = below;
            }
        } else if (call->target.function->translated) {
            uint64_t below = local_depth(call->target.function, state, depths, recursive, level + 1);
            if (below > deepest) deepest = below;
        }
    }
    state[function->number] = 2;
    return depths[function->number] = deepest + function->translated->local_bytes;
}

static bool describe(em_module *module, em_function *function, uint32_t functions) {
    uint8_t *state = calloc(functions + 1, 1);
    uint64_t *depths = calloc(functions + 1, sizeof *depths);
    bool recursive = false, good = state && depths;
    if (good) {
        uint64_t local = local_depth(function, state, depths, &recursive, 0);
        function->info.local_bytes = function->translated->local_bytes;
        function->local_stride = (local + (recursive ? RECURSION : 0) + 15) / 16 * 16;
    }
    free(state);
    free(depths);
    uint32_t limit = 1024;
    uint64_t most = function->has_maxntid ? (uint64_t)function->maxntid[0] * function->maxntid[1] * function->maxntid[2] : limit;
    if (function->has_reqntid) most = (uint64_t)function->reqntid[0] * function->reqntid[1] * function->reqntid[2];
    function->info.name = function->name;
    function->info.registers = em_registers_estimate(function);
    if (function->maxnreg && function->info.registers > function->maxnreg) function->info.registers = function->maxnreg;
    function->info.max_threads = most < limit ? (uint32_t)most : limit;
    function->info.parameter_count = function->prototype.formal_count;
    function->info.parameter_bytes = function->parameter_bytes;
    for (em_variable *v = module->variables; v; v = v->next) {
        if (v->space == EM_SPACE_CONST) function->info.constant_bytes += (uint32_t)v->size;
    }
    return good;
}

static bool prepare(em_module *module) {
    uint32_t functions = 0;
    for (em_function *f = module->functions; f; f = f->next) {
        f->number = functions++;
        if (!f->defined) continue;
        em_check_function(module, f);
        check_calls(module, f);
        if (f->entry && !layout_parameters(module, f)) return false;
    }
    if (module->errors || !layout_shared(module) || !allocate_variables(module)) return false;
    for (em_function *f = module->functions; f; f = f->next) {
        if (f->defined && !em_translate(module, f)) return false;
    }
    module->function_count = functions;
    for (em_function *f = module->functions; f; f = f->next) {
        if (f->defined) f->translated->number = f->number;
        if (f->entry && f->defined && !describe(module, f, functions)) return false;
    }
    return module->errors == 0;
}

em_status em_module_load(const char *text, size_t length, const em_device *device, em_memory *memory, em_module **result, em_text *log) {
    em_module *module = calloc(1, sizeof *module);
    *result = NULL;
    if (!module) return EM_NO_MEMORY;
    module->memory = memory;
    module->device = *device;
    module->log = log;
    module->functions_tail = &module->functions;
    module->variables_tail = &module->variables;
    bool good = em_parse(module, text, length) && prepare(module) && module->errors == 0;
    module->log = NULL;
    if (good) {
        *result = module;
        return EM_OK;
    }
    em_status status = module->status != EM_OK ? module->status : module->errors ? EM_INVALID_PTX : EM_NO_MEMORY;
    em_module_unload(module);
    return status;
}

void em_module_unload(em_module *module) {
    if (!module) return;
    for (em_function *f = module->functions; f; f = f->next) em_translated_free(f);
    for (em_variable *v = module->variables; v; v = v->next) {
        if (v->address && (v->space == EM_SPACE_GLOBAL || v->space == EM_SPACE_CONST)) em_memory_free(module->memory, v->address);
    }
    em_arena_release(&module->arena);
    free(module);
}

const em_function *em_module_function(const em_module *module, const char *name) {
    for (const em_function *f = module->functions; f; f = f->next) {
        if (f->entry && f->defined && !strcmp(f->name, name)) return f;
    }
    return NULL;
}

bool em_module_variable(const em_module *module, const char *name, uint64_t *address, size_t *size) {
    for (const em_variable *v = module->variables; v; v = v->next) {
        if ((v->space != EM_SPACE_GLOBAL && v->space != EM_SPACE_CONST) || strcmp(v->name, name)) continue;
        if (address) *address = v->address;
        if (size) *size = v->size;
        return true;
    }
    return false;
}

em_function_info em_function_describe(const em_function *function) { return function->info; }

bool em_function_parameter(const em_function *function, uint32_t index, size_t *offset, size_t *size) {
    if (index >= function->prototype.formal_count) return false;
    if (offset) *offset = function->offsets[index];
    if (size) *size = function->prototype.formals[index]->size;
    return true;
}
