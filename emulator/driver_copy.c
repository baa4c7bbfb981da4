/* Copies and fills. All copies are boxes of rows: CUDA_MEMCPY3D describes the simplest too.
 *
 * Both sides are checked when the call is made (a range outside of what is allocated is INVALID_VALUE, as with the real
 * driver) and again when the copy runs. An asynchronous copy out of pageable memory reads it at the call; one into
 * pageable memory returns when it is done; copies between device memory do not wait for anything, the synchronous ones
 * included. */
#include "emulator/driver.h"

#include <stdlib.h>
#include <string.h>

enum { WIDEST = INT32_MAX };

/* Pinned memory that was freed: touching it would be the host's own crash. */
static bool host_freed(uint64_t address) {
    for (int i = 0; i < em__driver.settings.devices; i++) {
        const em_block *block = em_memory_find(em__driver.devices[i].memory, address);
        if (block && block->freed && !block->registered) return true;
    }
    return false;
}

typedef struct place {
    CUmemorytype type;
    uint64_t host, device;
    size_t x, y, z, pitch, height;
} place;

static CUresult refuse(const char *which, uint64_t address, const char *why) {
    em_log("a copy's %s, 0x%llx, %s", which, (unsigned long long)address, why);
    return CUDA_ERROR_INVALID_VALUE;
}

/* The bytes from a side's first to its last. */
static size_t extent(const em_side *side, const em_copy *copy) {
    return (copy->depth - 1) * side->slice + (copy->height - 1) * side->pitch + copy->width;
}

static CUresult classify(const em_context *context, const place *p, const char *which, const em_copy *copy,
                         em_side *side) {
    if (p->type < CU_MEMORYTYPE_HOST || p->type > CU_MEMORYTYPE_UNIFIED) return CUDA_ERROR_INVALID_VALUE;
    if (p->type == CU_MEMORYTYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
    bool rows = copy->height > 1 || copy->depth > 1;
    size_t pitch = p->pitch ? p->pitch : p->x + copy->width;
    if ((rows && (p->pitch < p->x + copy->width || p->pitch > WIDEST)) ||
        (copy->depth > 1 && p->height < p->y + copy->height))
        return CUDA_ERROR_INVALID_VALUE;
    side->pitch = pitch;
    side->slice = pitch * (p->height ? p->height : copy->height);
    side->address = (p->type == CU_MEMORYTYPE_HOST ? p->host : p->device) + p->z * side->slice + p->y * pitch + p->x;
    const em_block *block = em_block_of(context, side->address);
    side->known = block != NULL;
    side->host = !block || block->kind == EM_PINNED;
    if (!side->address) return CUDA_ERROR_INVALID_VALUE;
    if (!block && p->type == CU_MEMORYTYPE_DEVICE) return refuse(which, side->address, "is not in allocated memory");
    if (!block && host_freed(side->address)) return refuse(which, side->address, "is in memory that was freed");
    if (block && p->type == CU_MEMORYTYPE_HOST && (block->kind == EM_DEVICE || block->kind == EM_GLOBAL))
        return refuse(which, side->address, "is device memory where host memory was said to be");
    if (block && !em_range_there(context, side->address, extent(side, copy), false))
        return refuse(which, side->address, "goes beyond its allocation");
    return CUDA_SUCCESS;
}

CUresult em_copy_make(em_context *context, const CUDA_MEMCPY3D *c, em_copy *copy) {
    *copy = (em_copy){.width = c->WidthInBytes, .height = c->Height, .depth = c->Depth};
    if (!c->WidthInBytes || !c->Height || !c->Depth) {
        copy->width = copy->height = copy->depth = 0;
        return CUDA_SUCCESS;
    }
    if (c->srcLOD || c->dstLOD) return CUDA_ERROR_INVALID_VALUE;
    place from = {
        c->srcMemoryType, (uint64_t)(uintptr_t)c->srcHost, c->srcDevice, c->srcXInBytes, c->srcY, c->srcZ, c->srcPitch,
        c->srcHeight};
    place to = {
        c->dstMemoryType, (uint64_t)(uintptr_t)c->dstHost, c->dstDevice, c->dstXInBytes, c->dstY, c->dstZ, c->dstPitch,
        c->dstHeight};
    CUresult result = classify(context, &from, "source", copy, &copy->from);
    return result ? result : classify(context, &to, "destination", copy, &copy->to);
}

/* Reads the pageable source now. */
static bool stage(em_copy *copy) {
    size_t row = copy->width, slice = row * copy->height;
    char *staged = malloc(slice * copy->depth);
    if (!staged) return false;
    for (size_t z = 0; z < copy->depth; z++)
        for (size_t y = 0; y < copy->height; y++)
            memcpy(staged + z * slice + y * row,
                   (const char *)(uintptr_t)copy->from.address + z * copy->from.slice + y * copy->from.pitch, row);
    copy->staged = staged;
    copy->from.pitch = row;
    copy->from.slice = slice;
    return true;
}

static bool pageable(const em_side *side) {
    return !side->known;
}

static CUresult submit_copy(em_stream *stream, em_copy *copy, bool asynchronous) {
    em_work work = {.kind = copy->width ? EM_WORK_COPY : EM_WORK_NOTHING, .copy = *copy};
    bool between = !copy->to.host && !copy->from.host;
    if (stream->capture) return em_submit(stream, &work, NULL, NULL);
    if (asynchronous ? pageable(&copy->to) : !between) return em_submit_and_wait(stream, &work);
    if (copy->width && pageable(&copy->from) && !stage(&work.copy)) return CUDA_ERROR_OUT_OF_MEMORY;
    return em_submit(stream, &work, NULL, NULL);
}

/* Everything but locking: checks, then queues. */
static CUresult copy_in(em_context *context, const CUDA_MEMCPY3D *box, bool asynchronous, CUstream handle) {
    em_stream *stream;
    em_copy copy;
    if (!box) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = em_stream_of(context, handle, &stream);
    if (!result && !asynchronous) result = em_capture_forbids(context);
    if (!result) result = em_copy_make(context, box, &copy);
    return result ? result : submit_copy(stream, &copy, asynchronous);
}

static CUresult copy_box(const CUDA_MEMCPY3D *box, bool asynchronous, CUstream stream) {
    em_context *context;
    CUresult result = em_enter(&context);
    return result ? result : em_leave(copy_in(context, box, asynchronous, stream));
}

static CUresult copy_bytes(CUmemorytype to_type, uint64_t to, CUmemorytype from_type, uint64_t from, size_t size,
                           bool asynchronous, CUstream stream) {
    CUDA_MEMCPY3D box = {.dstMemoryType = to_type,
                         .dstDevice = to,
                         .dstHost = (void *)(uintptr_t)to,
                         .srcMemoryType = from_type,
                         .srcDevice = from,
                         .srcHost = (const void *)(uintptr_t)from,
                         .WidthInBytes = size,
                         .Height = 1,
                         .Depth = 1};
    return copy_box(&box, asynchronous, stream);
}

static const CUmemorytype HOST = CU_MEMORYTYPE_HOST, DEVICE = CU_MEMORYTYPE_DEVICE, UNIFIED = CU_MEMORYTYPE_UNIFIED;

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size) {
    return copy_bytes(DEVICE, to, HOST, (uint64_t)(uintptr_t)from, size, false, NULL);
}

CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size) {
    return copy_bytes(HOST, (uint64_t)(uintptr_t)to, DEVICE, from, size, false, NULL);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size) {
    return copy_bytes(DEVICE, to, DEVICE, from, size, false, NULL);
}

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t size) {
    return copy_bytes(UNIFIED, to, UNIFIED, from, size, false, NULL);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, CUstream stream) {
    return copy_bytes(DEVICE, to, HOST, (uint64_t)(uintptr_t)from, size, true, stream);
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy_bytes(HOST, (uint64_t)(uintptr_t)to, DEVICE, from, size, true, stream);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy_bytes(DEVICE, to, DEVICE, from, size, true, stream);
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    return copy_bytes(UNIFIED, to, UNIFIED, from, size, true, stream);
}

static CUresult copy_peer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size,
                          bool asynchronous, CUstream stream) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!em_context_of(to_context) || !em_context_of(from_context)) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    CUDA_MEMCPY3D box = {.dstMemoryType = DEVICE,
                         .dstDevice = to,
                         .srcMemoryType = DEVICE,
                         .srcDevice = from,
                         .WidthInBytes = size,
                         .Height = 1,
                         .Depth = 1};
    return em_leave(copy_in(context, &box, asynchronous, stream));
}

CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size) {
    return copy_peer(to, to_context, from, from_context, size, false, NULL);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t size,
                           CUstream stream) {
    return copy_peer(to, to_context, from, from_context, size, true, stream);
}

static CUDA_MEMCPY3D flat(const CUDA_MEMCPY2D *c) {
    return (CUDA_MEMCPY3D){.srcXInBytes = c->srcXInBytes,
                           .srcY = c->srcY,
                           .srcMemoryType = c->srcMemoryType,
                           .srcHost = c->srcHost,
                           .srcDevice = c->srcDevice,
                           .srcPitch = c->srcPitch,
                           .dstXInBytes = c->dstXInBytes,
                           .dstY = c->dstY,
                           .dstMemoryType = c->dstMemoryType,
                           .dstHost = c->dstHost,
                           .dstDevice = c->dstDevice,
                           .dstPitch = c->dstPitch,
                           .WidthInBytes = c->WidthInBytes,
                           .Height = c->Height,
                           .Depth = 1};
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy) {
    if (!copy) return CUDA_ERROR_INVALID_VALUE;
    CUDA_MEMCPY3D box = flat(copy);
    return copy_box(&box, false, NULL);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream) {
    if (!copy) return CUDA_ERROR_INVALID_VALUE;
    CUDA_MEMCPY3D box = flat(copy);
    return copy_box(&box, true, stream);
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D *copy) {
    return copy_box(copy, false, NULL);
}
CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *copy, CUstream stream) {
    return copy_box(copy, true, stream);
}

CUresult em_set_make(em_context *context, const CUDA_MEMSET_NODE_PARAMS *p, em_set *set) {
    *set = (em_set){.address = p->dst,
                    .pitch = p->pitch,
                    .value = p->value,
                    .element = p->elementSize,
                    .width = p->width,
                    .height = p->height};
    if (p->elementSize != 1 && p->elementSize != 2 && p->elementSize != 4) return CUDA_ERROR_INVALID_VALUE;
    if (!p->width || !p->height) {
        set->width = set->height = 0;
        return CUDA_SUCCESS;
    }
    if (p->dst % p->elementSize || p->width > SIZE_MAX / 4 || (p->height > 1 && p->pitch < p->width * p->elementSize))
        return CUDA_ERROR_INVALID_VALUE;
    if (!em_range_there(context, p->dst, (p->height - 1) * p->pitch + p->width * p->elementSize, false))
        return refuse("destination", p->dst, "is not in allocated memory, or goes beyond it (memset)");
    return CUDA_SUCCESS;
}

static CUresult set_in(em_context *context, CUdeviceptr to, unsigned int value, unsigned int element, size_t count,
                       bool asynchronous, CUstream handle) {
    em_stream *stream;
    em_work work = {.kind = EM_WORK_SET};
    CUDA_MEMSET_NODE_PARAMS parameters = {
        .dst = to, .value = value, .elementSize = element, .width = count, .height = 1};
    CUresult result = em_stream_of(context, handle, &stream);
    if (!result && !asynchronous) result = em_capture_forbids(context);
    if (!result) result = em_set_make(context, &parameters, &work.set);
    if (result) return result;
    if (!count) work.kind = EM_WORK_NOTHING;
    const em_block *block = em_block_of(context, to);
    bool host = block && (block->kind == EM_PINNED ||
                          block->kind == EM_MANAGED); /* what the host can see, it may look at next */
    return host && !asynchronous ? em_submit_and_wait(stream, &work) : em_submit(stream, &work, NULL, NULL);
}

static CUresult set(CUdeviceptr to, unsigned int value, unsigned int element, size_t count, bool asynchronous,
                    CUstream stream) {
    em_context *context;
    CUresult result = em_enter(&context);
    return result ? result : em_leave(set_in(context, to, value, element, count, asynchronous, stream));
}

CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
    return set(to, value, 1, count, false, NULL);
}
CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
    return set(to, value, 2, count, false, NULL);
}
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned int value, size_t count) {
    return set(to, value, 4, count, false, NULL);
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    return set(to, value, 1, count, true, stream);
}
CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
    return set(to, value, 2, count, true, stream);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t count, CUstream stream) {
    return set(to, value, 4, count, true, stream);
}
