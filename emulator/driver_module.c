/* Modules and libraries: loading PTX text with the JIT's options and logs, and finding what is in them.
 *
 * Parsing happens without the lock. A library is a module that belongs to a context from the start; its kernels are the
 * module's functions. */
#include "emulator/driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the logs go: -1 where the caller gave none. Places in the arrays of options, since sizes are written back
 * there. */
typedef struct jit {
    int info, info_size, error, error_size, wall_time;
    uint32_t target; /* 0: the device's */
} jit;

static CUresult jit_option(jit *j, CUjit_option option, int place, const void *value) {
    uintptr_t number = (uintptr_t)value;
    switch (option) {
    case CU_JIT_INFO_LOG_BUFFER: j->info = place; return CUDA_SUCCESS;
    case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES: j->info_size = place; return CUDA_SUCCESS;
    case CU_JIT_ERROR_LOG_BUFFER: j->error = place; return CUDA_SUCCESS;
    case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES: j->error_size = place; return CUDA_SUCCESS;
    case CU_JIT_WALL_TIME: j->wall_time = place; return CUDA_SUCCESS;
    case CU_JIT_OPTIMIZATION_LEVEL: return number <= 4 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_JIT_TARGET:
        j->target = (uint32_t)(number & 0xffff);
        return number ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_JIT_FALLBACK_STRATEGY: return number <= 1 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_JIT_CACHE_MODE: return number <= 2 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    case CU_JIT_MAX_REGISTERS:
    case CU_JIT_THREADS_PER_BLOCK:
    case CU_JIT_TARGET_FROM_CUCONTEXT:
    case CU_JIT_GENERATE_DEBUG_INFO:
    case CU_JIT_LOG_VERBOSE:
    case CU_JIT_GENERATE_LINE_INFO: return CUDA_SUCCESS;
    case CU_JIT_NUM_OPTIONS: break;
    }
    return (unsigned int)option < CU_JIT_NUM_OPTIONS
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE; /* the newer ones are taken and change nothing */
}

static CUresult jit_options(jit *j, unsigned int count, const CUjit_option *options, void *const *values) {
    *j = (jit){-1, -1, -1, -1, -1, 0};
    if (count && (!options || !values)) return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < count; i++) {
        CUresult result = jit_option(j, options[i], (int)i, values[i]);
        if (result) return result;
    }
    return CUDA_SUCCESS;
}

/* Into the caller's buffer, cut where it must be; the size option becomes what was written. */
static void give_log(void **values, int buffer, int size, const char *text) {
    if (size < 0) return;
    size_t room = (uintptr_t)values[size] & UINT32_MAX, length = text ? strlen(text) : 0;
    if (buffer < 0 || !values[buffer] || !room)
        length = 0;
    else {
        if (length >= room) length = room - 1;
        memcpy(values[buffer], text ? text : "", length);
        ((char *)values[buffer])[length] = 0;
    }
    values[size] = (void *)(uintptr_t)length;
}

static CUresult result_of(em_status status) {
    switch (status) {
    case EM_OK: return CUDA_SUCCESS;
    case EM_INVALID_PTX: return CUDA_ERROR_INVALID_PTX;
    case EM_UNSUPPORTED_PTX_VERSION: return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
    case EM_NO_BINARY_FOR_GPU: return CUDA_ERROR_NO_BINARY_FOR_GPU;
    case EM_NO_MEMORY: break;
    }
    return CUDA_ERROR_OUT_OF_MEMORY;
}

/* Machine code instead of text: an ELF file or a fat binary. */
static bool is_binary(const void *image) {
    return !strncmp(image, "\177ELF", 4) || !strncmp(image, "\x50\xed\x55\xba", 4);
}

static CUresult parse(const em_device_state *state, const jit *j, const char *image, bool refuse, em_module **module,
                      em_text *log) {
    if (refuse) {
        em_text_add(log, "ptxas application ptx input, line 1; fatal   : refused on request (load)\n");
        return CUDA_ERROR_INVALID_PTX;
    }
    if (is_binary(image)) {
        em_text_add(log, "the emulator runs PTX text, not machine code\n");
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    if (j->target && (j->target > state->device.sm || j->target / 10 != state->device.sm / 10)) {
        em_text_add(log, "code for compute capability %u does not run on %u\n", j->target, state->device.sm);
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    return result_of(em_module_load(image, strlen(image), &state->device, state->memory, module, log));
}

static CUresult load(const void *image, unsigned int count, const CUjit_option *options, void **values,
                     em_module_object **object) {
    em_context *context;
    jit j;
    CUresult result = em_enter(&context);
    if (result) return result;
    result = image ? jit_options(&j, count, options, values) : CUDA_ERROR_INVALID_VALUE;
    if (!result) result = em_capture_forbids(context);
    em_module_object *fresh = result ? NULL : calloc(1, sizeof *fresh);
    if (!fresh) return em_leave(result ? result : CUDA_ERROR_OUT_OF_MEMORY);
    bool refuse = em_requested(EM_REQUEST_LOAD);
    CUcontext handle = context->handle;
    em_leave(CUDA_SUCCESS);

    em_text log = {0};
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    result = parse(em_device_of(context), &j, image, refuse, &fresh->module, &log);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (result) em_log("a module was refused: %s", log.data ? log.data : "no reason given");
    give_log(values, j.info, j.info_size, result ? NULL : log.data);
    give_log(values, j.error, j.error_size, result ? log.data : NULL);
    free(log.data);
    if (j.wall_time >= 0) {
        float milliseconds = (float)(end.tv_sec - begin.tv_sec) * 1e3f + (float)(end.tv_nsec - begin.tv_nsec) * 1e-6f;
        memcpy(&values[j.wall_time], &milliseconds, sizeof milliseconds);
    }

    pthread_mutex_lock(&em__lock);
    if (!result && em_context_of(handle) != context) result = CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (!result) result = em_object_add(&fresh->object, EM_MODULE, context);
    if (result) {
        em_module_unload(fresh->module);
        free(fresh);
        return em_leave(result);
    }
    em__driver.statistics.modules++;
    *object = fresh;
    return em_leave(CUDA_SUCCESS);
}

void em_module_end(em_module_object *module) {
    for (em_function_object *function = module->functions, *next; function; function = next) {
        next = function->next;
        em_handle_drop(function->handle);
        free(function);
    }
    em_handle_drop(module->library);
    em_object_remove(&module->object);
    em_module_unload(module->module);
    em_settle();
    free(module);
    em__driver.statistics.modules--;
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int count, CUjit_option *options,
                            void **values) {
    em_module_object *object;
    if (!module) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = load(image, count, options, values, &object);
    if (!result) *module = object->object.handle;
    return result;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

static CUresult end_module(em_context *context, em_module_object *module) {
    CUresult result = em_capture_forbids(context);
    if (!result) result = em_context_wait(module->object.context);
    if (!result) em_module_end(module);
    return result;
}

CUresult cuModuleUnload(CUmodule handle) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    em_module_object *module = em_handle_get(EM_MODULE, handle);
    if (!module || module->library) return em_leave(CUDA_ERROR_INVALID_HANDLE);
    return em_leave(end_module(context, module));
}

static CUresult find_function(em_module_object *module, const char *name, void **handle) {
    const em_function *function = em_module_function(module->module, name);
    if (!function) return CUDA_ERROR_NOT_FOUND;
    for (const em_function_object *known = module->functions; known; known = known->next) {
        if (known->function != function) continue;
        *handle = known->handle;
        return CUDA_SUCCESS;
    }
    em_function_object *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    fresh->handle = em_handle_make(EM_FUNCTION, fresh);
    if (!fresh->handle) {
        free(fresh);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    fresh->module = module;
    fresh->function = function;
    fresh->info = em_function_describe(function);
    fresh->dynamic_limit =
        fresh->info.shared_bytes > EM_SHARED_DEFAULT ? 0 : EM_SHARED_DEFAULT - fresh->info.shared_bytes;
    fresh->carveout = -1;
    fresh->next = module->functions;
    module->functions = fresh;
    *handle = fresh->handle;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule handle, const char *name) {
    em_context *context;
    void *found;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!function || !name) return em_leave(CUDA_ERROR_INVALID_VALUE);
    em_module_object *module = em_handle_get(EM_MODULE, handle);
    if (!module) return em_leave(CUDA_ERROR_INVALID_HANDLE);
    result = find_function(module, name, &found);
    if (!result) *function = found;
    return em_leave(result);
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule handle, const char *name) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!name || (!address && !bytes)) return em_leave(CUDA_ERROR_INVALID_VALUE);
    em_module_object *module = em_handle_get(EM_MODULE, handle);
    if (!module) return em_leave(CUDA_ERROR_INVALID_HANDLE);
    uint64_t where;
    size_t size;
    if (!em_module_variable(module->module, name, &where, &size)) return em_leave(CUDA_ERROR_NOT_FOUND);
    if (address) *address = where;
    if (bytes) *bytes = size;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!mode) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *mode = CU_MODULE_EAGER_LOADING;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *options, void **values,
                           unsigned int count, CUlibraryOption *library_options, void **library_values,
                           unsigned int library_count) {
    em_module_object *object;
    if (!library || (library_count && (!library_options || !library_values))) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = load(code, count, options, values, &object);
    if (result) return result;
    pthread_mutex_lock(&em__lock);
    object->library = em_handle_make(EM_LIBRARY, object);
    if (!object->library) {
        em_module_end(object);
        return em_leave(CUDA_ERROR_OUT_OF_MEMORY);
    }
    *library = object->library;
    return em_leave(CUDA_SUCCESS);
}

static CUresult enter_library(CUlibrary handle, em_context **context, em_module_object **module) {
    CUresult result = em_enter(context);
    if (result) return result;
    *module = em_handle_get(EM_LIBRARY, handle);
    return *module ? CUDA_SUCCESS : em_leave(CUDA_ERROR_INVALID_HANDLE);
}

CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name) {
    em_context *context;
    em_module_object *module;
    void *found;
    CUresult result = enter_library(library, &context, &module);
    if (result) return result;
    if (!kernel || !name) return em_leave(CUDA_ERROR_INVALID_VALUE);
    result = find_function(module, name, &found);
    if (!result) *kernel = found;
    return em_leave(result);
}

CUresult cuLibraryGetModule(CUmodule *handle, CUlibrary library) {
    em_context *context;
    em_module_object *module;
    CUresult result = enter_library(library, &context, &module);
    if (result) return result;
    if (!handle) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *handle = module->object.handle;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuLibraryUnload(CUlibrary library) {
    em_context *context;
    em_module_object *module;
    CUresult result = enter_library(library, &context, &module);
    return result ? result : em_leave(end_module(context, module));
}

CUresult cuKernelGetFunction(CUfunction *function, CUkernel kernel) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!function) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (!em_handle_get(EM_FUNCTION, kernel)) return em_leave(CUDA_ERROR_INVALID_HANDLE);
    *function = (CUfunction)(void *)kernel;
    return em_leave(CUDA_SUCCESS);
}
