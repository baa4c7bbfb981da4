/* What pointers are, hints for managed memory, and pools. */
#include "emulator/driver.h"

#include <stdlib.h>
#include <string.h>

/* Writes the attribute; false: an attribute that is not known, or that this memory does not have. */
static bool attribute_of(const em_block *block, CUdeviceptr address, CUpointer_attribute attribute, void *value) {
    const em_allocation *allocation = block ? block->owner : NULL;
    bool host = !block || block->kind == EM_PINNED;
    bool reachable = block && block->kind != EM_DEVICE && block->kind != EM_GLOBAL; /* from the host */
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        *(CUcontext *)value = allocation ? allocation->context->handle : NULL;
        return block;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(CUmemorytype *)value = host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        return block;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *(CUdeviceptr *)value = block ? address : 0; return block;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        *(void **)value = reachable ? (void *)(uintptr_t)address : NULL;
        return reachable;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: *(int *)value = 0; return block;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: *(unsigned long long *)value = block ? block->number : 0; return block;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: *(int *)value = block && block->kind == EM_MANAGED; return true;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        *(int *)value = allocation ? allocation->context->device : -2;
        return block;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
        *(void **)value = block ? (void *)(uintptr_t)block->address : NULL;
        return block;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *(size_t *)value = block ? block->size : 0; return block;
    case CU_POINTER_ATTRIBUTE_MAPPED: *(int *)value = block != NULL; return true;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        *(void **)value = allocation && allocation->pool ? allocation->pool->object.handle : NULL;
        return block;
    }
    return false;
}

static bool attribute_known(CUpointer_attribute attribute) {
    uint64_t room;
    return attribute_of(NULL, 0, attribute, &room) ||
           (attribute >= 1 && attribute <= 13 && attribute != 5 && attribute != 10) ||
           attribute == CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE;
}

/* The kind of a managed block seen from another device is pinned: its own device's block counts. */
static const em_block *block_of(const em_context *context, CUdeviceptr address) {
    const em_block *block = em_block_of(context, address);
    const em_allocation *allocation = block ? block->owner : NULL;
    return allocation ? em_memory_find(em_device_of(allocation->context)->memory, address) : block;
}

CUresult cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr address) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!value) return em_leave(CUDA_ERROR_INVALID_VALUE);
    return em_leave(attribute_of(block_of(context, address), address, attribute, value) ? CUDA_SUCCESS
                                                                                        : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attributes, void **values,
                                CUdeviceptr address) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!attributes || !values) return em_leave(CUDA_ERROR_INVALID_VALUE);
    for (unsigned int i = 0; i < count; i++)
        if (!values[i] || !attribute_known(attributes[i])) return em_leave(CUDA_ERROR_INVALID_VALUE);
    const em_block *block = block_of(context, address);
    for (unsigned int i = 0; i < count; i++) attribute_of(block, address, attributes[i], values[i]);
    return em_leave(CUDA_SUCCESS);
}

static CUresult enter_managed(CUdeviceptr address, size_t size, CUmemLocation location, em_context **context) {
    CUresult result = em_enter(context);
    if (result) return result;
    const em_block *block = block_of(*context, address);
    if (!size || !block || block->kind != EM_MANAGED || size > block->size - (address - block->address))
        return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (location.type < CU_MEM_LOCATION_TYPE_DEVICE || location.type > CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT)
        return em_leave(CUDA_ERROR_INVALID_VALUE);
    bool device = location.type == CU_MEM_LOCATION_TYPE_DEVICE;
    return device && !em_device_valid(location.id) ? em_leave(CUDA_ERROR_INVALID_DEVICE) : CUDA_SUCCESS;
}

/* Moving pages shows nowhere but in time. */
CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t size, CUmemLocation location, unsigned int flags,
                               CUstream handle) {
    em_context *context;
    em_stream *stream;
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = enter_managed(address, size, location, &context);
    if (result) return result;
    result = em_stream_of(context, handle, &stream);
    em_work work = {.kind = EM_WORK_NOTHING};
    return em_leave(result ? result : em_submit(stream, &work, NULL, NULL));
}

static CUmemLocation location_of(CUdevice device) {
    return device == -1 ? (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0}
                        : (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, device};
}

CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t size, CUdevice device, CUstream stream) {
    return cuMemPrefetchAsync_v2(address, size, location_of(device), 0, stream);
}

CUresult cuMemAdvise_v2(CUdeviceptr address, size_t size, CUmem_advise advice, CUmemLocation location) {
    em_context *context;
    bool placed = advice != CU_MEM_ADVISE_SET_READ_MOSTLY && advice != CU_MEM_ADVISE_UNSET_READ_MOSTLY &&
                  advice != CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION; /* the others do not look at the location */
    if (!placed) location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0};
    CUresult result = enter_managed(address, size, location, &context);
    if (result) return result;
    bool known = advice >= CU_MEM_ADVISE_SET_READ_MOSTLY && advice <= CU_MEM_ADVISE_UNSET_ACCESSED_BY;
    return em_leave(known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuMemAdvise(CUdeviceptr address, size_t size, CUmem_advise advice, CUdevice device) {
    return cuMemAdvise_v2(address, size, advice, location_of(device));
}

em_pool *em_pool_of(CUmemoryPool handle) {
    return em_handle_get(EM_POOL, handle);
}

static CUresult enter_pool(CUmemoryPool handle, em_pool **pool) {
    CUresult result = em_enter_driver();
    if (result) return result;
    *pool = em_pool_of(handle);
    return *pool ? CUDA_SUCCESS : em_leave(CUDA_ERROR_INVALID_VALUE);
}

static CUresult get_pool(CUmemoryPool *handle, CUdevice device, bool current) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!handle) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (!em_device_valid(device)) return em_leave(CUDA_ERROR_INVALID_DEVICE);
    em_device_state *state = &em__driver.devices[device];
    *handle = (current ? state->pool : &state->default_pool)->object.handle;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) {
    return get_pool(pool, device, false);
}
CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice device) {
    return get_pool(pool, device, true);
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool handle) {
    em_pool *pool;
    CUresult result = enter_pool(handle, &pool);
    if (result) return result;
    if (!em_device_valid(device)) return em_leave(CUDA_ERROR_INVALID_DEVICE);
    if (pool->device != device) return em_leave(CUDA_ERROR_INVALID_VALUE);
    em__driver.devices[device].pool = pool;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuMemPoolCreate(CUmemoryPool *handle, const CUmemPoolProps *properties) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!handle || !properties || properties->allocType != 1) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE || properties->handleTypes)
        return em_leave(CUDA_ERROR_NOT_SUPPORTED);
    if (!em_device_valid(properties->location.id)) return em_leave(CUDA_ERROR_INVALID_VALUE);
    em_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return em_leave(CUDA_ERROR_OUT_OF_MEMORY);
    pool->device = properties->location.id;
    pool->most = properties->maxSize;
    for (int a = 0; a < 3; a++) pool->attributes[a] = 1;
    result = em_object_add(&pool->object, EM_POOL, NULL);
    if (result)
        free(pool);
    else
        *handle = pool->object.handle;
    return em_leave(result);
}

/* What is allocated from it stays, and belongs to no pool from then on. */
CUresult cuMemPoolDestroy(CUmemoryPool handle) {
    em_pool *pool;
    CUresult result = enter_pool(handle, &pool);
    if (result) return result;
    em_device_state *state = &em__driver.devices[pool->device];
    if (pool == &state->default_pool) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (state->pool == pool) state->pool = &state->default_pool;
    for (em_context *context = em__driver.contexts; context; context = context->next)
        for (em_allocation *a = context->allocations; a; a = a->next)
            if (a->pool == pool) a->pool = NULL;
    em_object_remove(&pool->object);
    free(pool);
    return em_leave(CUDA_SUCCESS);
}

CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value) {
    em_pool *pool;
    CUresult result = enter_pool(handle, &pool);
    if (result) return result;
    if (!value) return em_leave(CUDA_ERROR_INVALID_VALUE);
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        pool->attributes[attribute - 1] = *(int *)value != 0;
        return em_leave(CUDA_SUCCESS);
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        pool->attributes[attribute - 1] = *(uint64_t *)value;
        return em_leave(CUDA_SUCCESS);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH: /* may be set to 0 only */
        if (*(uint64_t *)value) return em_leave(CUDA_ERROR_INVALID_VALUE);
        pool->used_high = pool->used;
        return em_leave(CUDA_SUCCESS);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT: break;
    }
    return em_leave(CUDA_ERROR_INVALID_VALUE);
}

CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value) {
    em_pool *pool;
    CUresult result = enter_pool(handle, &pool);
    if (result) return result;
    if (!value) return em_leave(CUDA_ERROR_INVALID_VALUE);
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        *(int *)value = (int)pool->attributes[attribute - 1];
        return em_leave(CUDA_SUCCESS);
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        *(uint64_t *)value = pool->attributes[attribute - 1];
        return em_leave(CUDA_SUCCESS);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT: /* nothing is kept back */
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT: *(uint64_t *)value = pool->used; return em_leave(CUDA_SUCCESS);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH: *(uint64_t *)value = pool->used_high; return em_leave(CUDA_SUCCESS);
    }
    return em_leave(CUDA_ERROR_INVALID_VALUE);
}

CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep) {
    em_pool *pool;
    (void)keep;
    CUresult result = enter_pool(handle, &pool);
    return result ? result : em_leave(CUDA_SUCCESS);
}
