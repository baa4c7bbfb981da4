/* Allocation: device, pinned, registered and managed memory, pools, and what pointers are.
 *
 * Every allocation has a record in its context; its block points to it. Host and managed memory is registered with the
 * other devices too, since all of them may touch it. Stream-ordered memory is not mapped before its allocation's turn
 * in the stream; freed memory is never used again. */
#include "emulator/driver.h"

#include <stdlib.h>
#include <string.h>

const em_block *em_block_of(const em_context *context, uint64_t address) {
    int first = context ? context->device : 0;
    for (int i = 0; i < em__driver.settings.devices; i++) {
        int device = (first + i) % em__driver.settings.devices;
        const em_block *block = em_memory_find(em__driver.devices[device].memory, address);
        if (block && !block->freed) return block;
    }
    return NULL;
}

bool em_range_there(const em_context *context, uint64_t address, size_t size, bool now) {
    if (!size) return true;
    const em_block *block = em_block_of(context, address);
    return block && (!now || block->mapped) && size <= block->size - (address - block->address);
}

static em_memory *memory_of(const em_context *context) {
    return em_device_of(context)->memory;
}

/* All devices but the allocation's own. */
static bool share(const em_allocation *allocation) {
    int done = 0;
    for (; done < em__driver.settings.devices; done++) {
        em_memory *memory = em__driver.devices[done].memory;
        if (done != allocation->context->device &&
            !em_memory_register(memory, (void *)(uintptr_t)allocation->address, allocation->size))
            break;
        em_memory_own(memory, allocation->address, (void *)(uintptr_t)allocation);
    }
    if (done == em__driver.settings.devices) return true;
    while (done--)
        if (done != allocation->context->device) em_memory_free(em__driver.devices[done].memory, allocation->address);
    return false;
}

static void withdraw(const em_allocation *allocation) {
    for (int i = 0; i < em__driver.settings.devices; i++)
        if (i != allocation->context->device) em_memory_free(em__driver.devices[i].memory, allocation->address);
}

/* In the records and the statistics. */
static void count_in(em_allocation *allocation) {
    em_stats *statistics = &em__driver.statistics;
    em_context *context = allocation->context;
    allocation->next = context->allocations;
    if (context->allocations) context->allocations->previous = allocation;
    context->allocations = allocation;
    statistics->allocations++;
    statistics->live_allocations++;
    if (allocation->kind == EM_PINNED) {
        statistics->live_host_bytes += allocation->size;
        return;
    }
    statistics->live_bytes += allocation->size;
    if (statistics->live_bytes > statistics->peak_bytes) statistics->peak_bytes = statistics->live_bytes;
    em_pool *pool = allocation->pool;
    if (!pool) return;
    pool->used += allocation->size;
    if (pool->used > pool->used_high) pool->used_high = pool->used;
}

static void count_out(em_allocation *allocation) {
    em_stats *statistics = &em__driver.statistics;
    if (allocation->previous)
        allocation->previous->next = allocation->next;
    else
        allocation->context->allocations = allocation->next;
    if (allocation->next) allocation->next->previous = allocation->previous;
    statistics->live_allocations--;
    *(allocation->kind == EM_PINNED ? &statistics->live_host_bytes : &statistics->live_bytes) -= allocation->size;
    if (allocation->pool) allocation->pool->used -= allocation->size;
}

/* Takes the memory of a new record, whose fields but address are set. */
static bool obtain(em_allocation *allocation, void *registered) {
    em_memory *memory = memory_of(allocation->context);
    if (registered) {
        if (!em_memory_register(memory, registered, allocation->size)) return false;
        allocation->address = (uint64_t)(uintptr_t)registered;
    } else {
        allocation->address = em_memory_allocate(memory, allocation->size, allocation->kind);
        if (!allocation->address) return false;
    }
    em_memory_own(memory, allocation->address, allocation);
    if (allocation->kind == EM_DEVICE || share(allocation)) return true;
    em_memory_free(memory, allocation->address);
    return false;
}

static CUresult allocate(em_context *context, em_kind kind, size_t size, em_pool *pool, void *registered,
                         em_allocation **result) {
    if (em_requested(kind == EM_PINNED ? EM_REQUEST_HOST_ALLOC : EM_REQUEST_ALLOC)) {
        em_log("an allocation of %zu bytes fails on request", size);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (pool && pool->most && (size > pool->most || pool->used > pool->most - size)) return CUDA_ERROR_OUT_OF_MEMORY;
    em_allocation *allocation = calloc(1, sizeof *allocation);
    if (!allocation) return CUDA_ERROR_OUT_OF_MEMORY;
    *allocation =
        (em_allocation){.context = context, .size = size, .kind = kind, .pool = pool, .registered = registered != NULL};
    if (!obtain(allocation, registered)) {
        free(allocation);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    count_in(allocation);
    *result = allocation;
    return CUDA_SUCCESS;
}

/* New memory is all ones, so that nobody can rely on zeros: NaN, -1, an index that is out of bounds. Of much memory
 * only both ends are. */
static void fill(const em_allocation *allocation) {
    if (!em__driver.settings.fill || allocation->registered) return;
    char *data = (char *)(uintptr_t)allocation->address;
    size_t much = (size_t)64 << 20, end = (size_t)1 << 20;
    memset(data, 0xff, allocation->size > much ? end : allocation->size);
    if (allocation->size > much) memset(data + allocation->size - end, 0xff, end);
}

CUresult em_allocate(em_context *context, em_kind kind, size_t size, em_pool *pool, em_allocation **allocation) {
    return allocate(context, kind, size, pool, NULL, allocation);
}

void em_allocation_end(em_allocation *allocation) {
    if (allocation->kind != EM_DEVICE) withdraw(allocation);
    em_memory_free(memory_of(allocation->context), allocation->address);
    em_settle();
    count_out(allocation);
    if (allocation->mapping)
        allocation->ended = true;
    else
        free(allocation);
}

void em_allocation_map(em_allocation *allocation) {
    allocation->mapping = false;
    if (allocation->ended) {
        em_log("memory at 0x%llx was freed before its allocation in stream order",
               (unsigned long long)allocation->address);
        free(allocation);
        return;
    }
    fill(allocation);
    em_memory_map(memory_of(allocation->context), allocation->address, true);
}

/* The record whose memory begins at address. */
static em_allocation *allocation_at(const em_context *context, uint64_t address) {
    const em_block *block = em_block_of(context, address);
    return block && block->address == address ? block->owner : NULL;
}

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    em_context *context;
    em_allocation *allocation;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!address || !size) return em_leave(CUDA_ERROR_INVALID_VALUE);
    result = em_capture_forbids(context);
    if (!result) result = em_allocate(context, EM_DEVICE, size, NULL, &allocation);
    if (result) return em_leave(result);
    fill(allocation);
    *address = allocation->address;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuMemAllocManaged(CUdeviceptr *address, size_t size, unsigned int flags) {
    em_context *context;
    em_allocation *allocation;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!address || !size || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST))
        return em_leave(CUDA_ERROR_INVALID_VALUE);
    result = em_capture_forbids(context);
    if (!result) result = em_allocate(context, EM_MANAGED, size, NULL, &allocation);
    if (result) return em_leave(result);
    allocation->flags = flags;
    fill(allocation);
    *address = allocation->address;
    return em_leave(CUDA_SUCCESS);
}

/* Waits for all devices, which may be using what is about to go. */
static CUresult wait_for_all(em_context *context) {
    em_wait_for_submitted(NULL);
    return context->error;
}

static bool host_allocation(const em_allocation *allocation) {
    return allocation->kind == EM_PINNED;
}

CUresult cuMemFree_v2(CUdeviceptr address) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!address) return em_leave(CUDA_SUCCESS);
    result = em_capture_forbids(context);
    if (!result) result = wait_for_all(context);
    if (result) return em_leave(result);
    em_allocation *allocation = allocation_at(context, address);
    if (!allocation || host_allocation(allocation) || allocation->freeing) {
        em_log("cuMemFree: 0x%llx is not the beginning of a live allocation", address);
        return em_leave(CUDA_ERROR_INVALID_VALUE);
    }
    em_allocation_end(allocation);
    return em_leave(CUDA_SUCCESS);
}

static CUresult allocate_ordered(em_context *context, CUdeviceptr *address, size_t size, em_pool *pool,
                                 CUstream handle) {
    em_stream *stream;
    em_allocation *allocation;
    CUresult result = em_stream_of(context, handle, &stream);
    if (result) return result;
    if (!address || !size) return CUDA_ERROR_INVALID_VALUE;
    if (stream->capture) return CUDA_ERROR_NOT_SUPPORTED;
    if (!pool) pool = em_device_of(stream->object.context)->pool;
    if (pool->device != stream->object.context->device)
        return CUDA_ERROR_NOT_SUPPORTED; /* it would take access to a peer's memory */
    result = em_allocate(stream->object.context, EM_DEVICE, size, pool, &allocation);
    if (result) return result;
    em_memory_map(memory_of(allocation->context), allocation->address, false);
    allocation->mapping = true;
    em_work work = {.kind = EM_WORK_MAP, .allocation = allocation};
    result = em_submit(stream, &work, NULL, NULL);
    if (result) {
        allocation->mapping = false;
        em_allocation_end(allocation);
        return result;
    }
    *address = allocation->address;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream stream) {
    em_context *context;
    CUresult result = em_enter(&context);
    return result ? result : em_leave(allocate_ordered(context, address, size, NULL, stream));
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t size, CUmemoryPool handle, CUstream stream) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    em_pool *pool = em_pool_of(handle);
    return em_leave(pool ? allocate_ordered(context, address, size, pool, stream) : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
    em_context *context;
    em_stream *stream;
    CUresult result = em_enter(&context);
    if (result) return result;
    result = em_stream_of(context, handle, &stream);
    if (result) return em_leave(result);
    em_allocation *allocation = allocation_at(context, address);
    if (!allocation || allocation->kind != EM_DEVICE || allocation->freeing) {
        em_log("cuMemFreeAsync: 0x%llx is not the beginning of a live allocation", address);
        return em_leave(CUDA_ERROR_INVALID_VALUE);
    }
    if (stream->capture) return em_leave(CUDA_ERROR_NOT_SUPPORTED);
    em_work work = {.kind = EM_WORK_FREE, .allocation = allocation};
    result = em_submit(stream, &work, NULL, NULL);
    if (!result) allocation->freeing = true;
    return em_leave(result);
}

CUresult cuMemHostAlloc(void **data, size_t size, unsigned int flags) {
    em_context *context;
    em_allocation *allocation;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!data || !size || flags & ~7u) return em_leave(CUDA_ERROR_INVALID_VALUE);
    result = em_capture_forbids(context);
    if (!result) result = em_allocate(context, EM_PINNED, size, NULL, &allocation);
    if (result) return em_leave(result);
    allocation->flags = flags;
    fill(allocation);
    *data = (void *)(uintptr_t)allocation->address;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuMemAllocHost_v2(void **data, size_t size) {
    return cuMemHostAlloc(data, size, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP);
}

static CUresult end_host(void *data, bool registered, CUresult refusal) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    result = em_capture_forbids(context);
    if (!result) result = wait_for_all(context);
    if (result) return em_leave(result);
    em_allocation *allocation = allocation_at(context, (uint64_t)(uintptr_t)data);
    if (!allocation || !host_allocation(allocation) || allocation->registered != registered) {
        em_log("%p is not the beginning of %s host memory", data, registered ? "registered" : "pinned");
        return em_leave(refusal);
    }
    em_allocation_end(allocation);
    return em_leave(CUDA_SUCCESS);
}

CUresult cuMemFreeHost(void *data) {
    return end_host(data, false, CUDA_ERROR_INVALID_VALUE);
}

CUresult cuMemHostUnregister(void *data) {
    return end_host(data, true, CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}

CUresult cuMemHostRegister_v2(void *data, size_t size, unsigned int flags) {
    em_context *context;
    em_allocation *allocation;
    CUresult result = em_enter(&context);
    if (result) return result;
    uint64_t address = (uint64_t)(uintptr_t)data;
    if (!data || !size || size > UINT64_MAX - address || flags & ~15u) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (flags & (CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY)) return em_leave(CUDA_ERROR_NOT_SUPPORTED);
    result = em_capture_forbids(context);
    if (result) return em_leave(result);
    if (em_block_of(context, address) || em_block_of(context, address + size - 1))
        return em_leave(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    result = allocate(context, EM_PINNED, size, NULL, data, &allocation);
    if (!result) allocation->flags = flags;
    return em_leave(result);
}

/* The host allocation that holds data. */
static CUresult enter_host(const void *data, em_allocation **allocation) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    const em_block *block = em_block_of(context, (uint64_t)(uintptr_t)data);
    *allocation = block ? block->owner : NULL;
    return *allocation && host_allocation(*allocation) ? CUDA_SUCCESS : em_leave(CUDA_ERROR_INVALID_VALUE);
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *data, unsigned int flags) {
    em_allocation *allocation;
    if (!address || flags) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = enter_host(data, &allocation);
    if (result) return result;
    *address = (CUdeviceptr)(uintptr_t)data;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuMemHostGetFlags(unsigned int *flags, void *data) {
    em_allocation *allocation;
    if (!flags) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = enter_host(data, &allocation);
    if (result) return result;
    *flags = allocation->flags;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!free_bytes || !total) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *total = em__driver.settings.memory;
    *free_bytes = *total - em_memory_used(memory_of(context));
    return em_leave(CUDA_SUCCESS);
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    const em_block *block = em_block_of(context, address);
    if (!block) return em_leave(CUDA_ERROR_NOT_FOUND);
    if (base) *base = block->address;
    if (size) *size = block->size;
    return em_leave(CUDA_SUCCESS);
}
