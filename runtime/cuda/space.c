/* A device's memory as a call sees it (qn__space in runtime/call.h), and pinned memory of the host. */
#include "runtime/cuda/device.h"

#include "runtime/call.h"

#include <stdio.h>

void qn__cuda_tell(struct qn__device_call *call, const qn__cuda_error *error) {
    call->failure = (int32_t)error->failure;
    call->out_of_memory = error->failure == QN__CUDA_NO_MEMORY;
    snprintf(call->text, sizeof call->text, "%s", error->text);
}

static void *space_alloc(void *user, size_t bytes) {
    const qn__cuda_space *self = user;
    qn__cuda_error error;
    const uint64_t address = qn__cuda_allocate(self->device, bytes, &error);
    if (!address) qn__cuda_tell(self->call, &error);
    return (void *)(uintptr_t)address;
}

static void space_free(void *user, void *block, size_t bytes) {
    const qn__cuda_space *self = user;
    qn__cuda_release(self->device, (uint64_t)(uintptr_t)block, bytes);
}

static bool space_copy(void *user, uint32_t rank, const int64_t *extents, uint32_t bytes, void *to, const int64_t *to_strides,
                       const void *from, const int64_t *from_strides) {
    const qn__cuda_space *self = user;
    qn__cuda_error error;
    if (qn__cuda_copy_strided(self->device, rank, extents, bytes, (uint64_t)(uintptr_t)to, to_strides, (uint64_t)(uintptr_t)from, from_strides, &error))
        return true;
    qn__cuda_tell(self->call, &error);
    return false;
}

void qn__cuda_space_of(qn__cuda_space *self, struct qn__space *space) {
    *space = (qn__space){.alloc = space_alloc, .free = space_free, .copy = space_copy, .user = self};
}

void *qn__cuda_allocate_pinned(qn__cuda_device *device, size_t bytes, qn__cuda_error *error) {
    void *memory = NULL;
    if (!qn__cuda_enter(device, error)) return NULL;
    const qn__cu_result result = device->driver->cuMemHostAlloc(&memory, bytes ? bytes : 1, CU_HOST_PORTABLE);
    qn__cuda_leave(device);
    if (result == CU_SUCCESS) return memory;
    qn__cuda_device_fail(device, error, result, "no pinned memory");
    return NULL;
}

void qn__cuda_release_pinned(qn__cuda_device *device, void *memory) {
    qn__cuda_error unused;
    if (!memory || !qn__cuda_enter(device, &unused)) return;
    device->driver->cuMemFreeHost(memory);
    qn__cuda_leave(device);
}

bool qn__cuda_owns(qn__cuda_device *device, uint64_t address, qn__cuda_error *error) {
    unsigned type = 0;
    int ordinal = device->number;
    if (!qn__cuda_enter(device, error)) return false;
    const qn__cu_result result = device->driver->cuPointerGetAttribute(&type, CU_POINTER_MEMORY_TYPE, address);
    if (result == CU_SUCCESS && device->driver->cuPointerGetAttribute(&ordinal, CU_POINTER_ORDINAL, address) != CU_SUCCESS) ordinal = device->number;
    qn__cuda_leave(device);
    if (qn__cuda_is_sticky(result)) return qn__cuda_device_fail(device, error, result, "the device failed");
    if (result != CU_SUCCESS || (type != CU_MEMORY_DEVICE && type != CU_MEMORY_UNIFIED))
        return qn__cuda_refuse(error, QN__CUDA_FINE, "its data pointer is not of a CUDA device's memory");
    if (ordinal != device->number) return qn__cuda_refuse(error, QN__CUDA_FINE, "its data lies on cuda:%d, the kernel runs on cuda:%u", ordinal, device->ordinal);
    return true;
}
