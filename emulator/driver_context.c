/* Contexts: the thread's stack of current ones, primary contexts, errors that stay, destruction.
 *
 * A thread keeps handles, not pointers, so a context destroyed by another thread is noticed. Destroying a context waits
 * for its work (unless it failed), then destroys what it owns in the order streams, the rest, memory. */
#include "emulator/driver.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 64 };
static _Thread_local struct {
    CUcontext contexts[DEPTH];
    unsigned int count;
} current;

em_context *em_context_of(CUcontext handle) {
    em_context *context = em_handle_get(EM_CONTEXT, handle);
    return context && context->active ? context : NULL;
}

CUresult em_enter_context(em_context **context) {
    CUresult result = em_enter_driver();
    if (result) return result;
    CUcontext handle = current.count ? current.contexts[current.count - 1] : NULL;
    if (!handle) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    *context = em_context_of(handle);
    return *context ? CUDA_SUCCESS : em_leave(CUDA_ERROR_CONTEXT_IS_DESTROYED);
}

CUresult em_enter(em_context **context) {
    CUresult result = em_enter_context(context);
    if (result) return result;
    return (*context)->error ? em_leave((*context)->error) : CUDA_SUCCESS;
}

void em_context_fail(em_context *context, CUresult error) {
    if (!context->error) context->error = error;
    __atomic_store_n(&context->cancel, 1, __ATOMIC_RELEASE);
}

static const size_t default_limits[EM_LIMITS] = {1024, 1 << 20, 8 << 20, 2, 2048, 64, 0};

CUresult em_context_start(em_context *context, int device, unsigned int flags) {
    context->device = device;
    context->flags = flags;
    context->error = CUDA_SUCCESS;
    __atomic_store_n(&context->cancel, 0, __ATOMIC_RELEASE);
    memcpy(context->limits, default_limits, sizeof default_limits);
    CUresult result = em_stream_create(context, CU_STREAM_DEFAULT, 0, &context->legacy);
    if (result) return result;
    context->active = true;
    context->next = em__driver.contexts;
    em__driver.contexts = context;
    return CUDA_SUCCESS;
}

CUresult em_context_wait(em_context *context) {
    em_wait_for_submitted(context);
    return context->error;
}

void em_context_report(const em_context *context) {
    if (context->error) return; /* which no call could free after that */
    size_t count = 0, bytes = 0;
    static const char *const kinds[] = {
        [EM_DEVICE] = "device", [EM_PINNED] = "pinned", [EM_MANAGED] = "managed", [EM_GLOBAL] = "module"};
    for (const em_allocation *a = context->allocations; a; a = a->next) {
        const em_block *block = em_memory_find(em_device_of(context)->memory, a->address);
        if (++count <= 20)
            em_log("leak: allocation %llu, %zu bytes of %s memory at 0x%llx",
                   block ? (unsigned long long)block->number : 0, a->size,
                   a->registered ? "registered" : kinds[a->kind], (unsigned long long)a->address);
        bytes += a->size;
    }
    if (count)
        em_log("leak: %zu allocations, %zu bytes, were never freed in a context of device %d", count, bytes,
               context->device);
}

static void end_object(em_object *object) {
    switch (object->type) {
    case EM_MODULE: em_module_end((em_module_object *)object); break;
    case EM_STREAM: em_stream_close((em_stream *)object); break;
    case EM_EVENT: em_event_end((em_event *)object); break;
    case EM_GRAPH: em_graph_end((em_graph *)object); break;
    case EM_EXEC: em_exec_end(object); break;
    case EM_CONTEXT:
    case EM_FUNCTION:
    case EM_POOL:
    case EM_NODE:
    case EM_LIBRARY: em_object_remove(object); break;
    }
}

void em_context_stop(em_context *context) {
    if (!context->active) return;
    em_context_wait(context);
    em_context_report(context);
    context->active = false;
    for (em_context **link = &em__driver.contexts; *link; link = &(*link)->next) {
        if (*link != context) continue;
        *link = context->next;
        break;
    }
    while (context->objects) end_object(context->objects);
    pthread_cond_broadcast(&em__changed);
    while (context->streams) pthread_cond_wait(&em__changed, &em__lock); /* their threads take them out */
    while (context->allocations) em_allocation_end(context->allocations);
    context->legacy = NULL;
    context->retained = 0;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *handle, CUdevice device) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!handle) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (!em_device_valid(device)) return em_leave(CUDA_ERROR_INVALID_DEVICE);
    em_context *context = &em__driver.devices[device].primary;
    if (!context->active) result = em_context_start(context, device, context->flags);
    if (result) return em_leave(result);
    context->retained++;
    *handle = context->handle;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!em_device_valid(device)) return em_leave(CUDA_ERROR_INVALID_DEVICE);
    em_context *context = &em__driver.devices[device].primary;
    if (!context->retained) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    if (!--context->retained) em_context_stop(context);
    return em_leave(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!em_device_valid(device)) return em_leave(CUDA_ERROR_INVALID_DEVICE);
    em_context_stop(&em__driver.devices[device].primary);
    return em_leave(CUDA_SUCCESS);
}

static bool flags_valid(unsigned int flags) {
    unsigned int schedule = flags & CU_CTX_SCHED_MASK;
    return !(flags & ~(unsigned int)CU_CTX_FLAGS_MASK) && (schedule <= 2 || schedule == 4);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned int *flags, int *active) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!flags || !active) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (!em_device_valid(device)) return em_leave(CUDA_ERROR_INVALID_DEVICE);
    *flags = em__driver.devices[device].primary.flags;
    *active = em__driver.devices[device].primary.active;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned int flags) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!em_device_valid(device)) return em_leave(CUDA_ERROR_INVALID_DEVICE);
    if (!flags_valid(flags)) return em_leave(CUDA_ERROR_INVALID_VALUE);
    em__driver.devices[device].primary.flags = flags;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxCreate_v2(CUcontext *handle, unsigned int flags, CUdevice device) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!handle || !flags_valid(flags)) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (!em_device_valid(device)) return em_leave(CUDA_ERROR_INVALID_DEVICE);
    em_context *context = current.count < DEPTH ? calloc(1, sizeof *context) : NULL;
    if (!context) return em_leave(CUDA_ERROR_OUT_OF_MEMORY);
    context->handle = em_handle_make(EM_CONTEXT, context);
    result = context->handle ? em_context_start(context, device, flags) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result) {
        em_handle_drop(context->handle);
        free(context);
        return em_leave(result);
    }
    *handle = current.contexts[current.count++] = context->handle;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxCreate_v3(CUcontext *handle, void *affinities, int count, unsigned int flags, CUdevice device) {
    return affinities || count ? CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY : cuCtxCreate_v2(handle, flags, device);
}

CUresult cuCtxCreate_v4(CUcontext *handle, void *parameters, unsigned int flags, CUdevice device) {
    return parameters ? CUDA_ERROR_NOT_SUPPORTED : cuCtxCreate_v2(handle, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext handle) {
    CUresult result = em_enter_driver();
    if (result) return result;
    em_context *context = em_context_of(handle);
    if (!context || context->primary) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    if (current.count && current.contexts[current.count - 1] == handle) current.count--;
    em_context_stop(context);
    em_handle_drop(handle);
    free(context);
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxSetCurrent(CUcontext handle) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (handle && !em_context_of(handle)) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    if (!handle)
        current.count -= current.count > 0;
    else if (current.count)
        current.contexts[current.count - 1] = handle;
    else
        current.contexts[current.count++] = handle;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxGetCurrent(CUcontext *handle) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!handle) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *handle = current.count ? current.contexts[current.count - 1] : NULL;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxPushCurrent_v2(CUcontext handle) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!em_context_of(handle)) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    if (current.count == DEPTH) return em_leave(CUDA_ERROR_OUT_OF_MEMORY);
    current.contexts[current.count++] = handle;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxPopCurrent_v2(CUcontext *handle) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!current.count) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    current.count--;
    if (handle) *handle = current.contexts[current.count];
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxGetDevice(CUdevice *device) {
    em_context *context;
    CUresult result = em_enter_context(&context);
    if (result) return result;
    if (!device) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *device = context->device;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxGetFlags(unsigned int *flags) {
    em_context *context;
    CUresult result = em_enter_context(&context);
    if (result) return result;
    if (!flags) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *flags = context->flags;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxSynchronize(void) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    result = em_capture_forbids(context);
    return em_leave(result ? result : em_context_wait(context));
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!value) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if ((unsigned int)limit >= EM_LIMITS) return em_leave(CUDA_ERROR_UNSUPPORTED_LIMIT);
    *value = context->limits[limit];
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if ((unsigned int)limit >= EM_LIMITS) return em_leave(CUDA_ERROR_UNSUPPORTED_LIMIT);
    context->limits[limit] = value;
    return em_leave(CUDA_SUCCESS);
}

enum { GREATEST_PRIORITY = -5 };

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (least) *least = 0;
    if (greatest) *greatest = GREATEST_PRIORITY;
    return em_leave(CUDA_SUCCESS);
}
