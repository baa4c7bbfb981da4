/* Lanes: what a call works with on a device (a stream, pinned memory, a word that stops kernels). Made when none is idle, kept afterwards. */
#include "runtime/cuda/device.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_BYTES = QN__CUDA_ANSWER * sizeof(uint64_t), STOP_BYTES = 64 };

static bool make_pinned(qn__cuda_lane *lane, qn__cuda_error *error) {
    qn__cuda_device *device = lane->device;
    const size_t bytes = 2 * QN__CUDA_CHUNK + ANSWER_BYTES + STOP_BYTES;
    void *memory = NULL;
    qn__cu_address address;
    qn__cu_result result = device->driver->cuMemHostAlloc(&memory, bytes, CU_HOST_PORTABLE | CU_HOST_MAPPED);
    if (result != CU_SUCCESS) return qn__cuda_device_fail(device, error, result, "no pinned memory for transfers");
    lane->staging[0] = memory;
    lane->staging[1] = lane->staging[0] + QN__CUDA_CHUNK;
    lane->answer = (uint64_t *)(void *)(lane->staging[1] + QN__CUDA_CHUNK);
    lane->stop = (volatile uint32_t *)(void *)((unsigned char *)lane->answer + ANSWER_BYTES);
    *lane->stop = 0;
    result = device->driver->cuMemHostGetDevicePointer(&address, (void *)(uintptr_t)lane->stop, 0);
    if (result != CU_SUCCESS) return qn__cuda_device_fail(device, error, result, "pinned memory has no address on the device");
    lane->stop_address = address;
    return true;
}

static bool make_streams(qn__cuda_lane *lane, qn__cuda_error *error) {
    const qn__cuda_driver *d = lane->device->driver;
    qn__cu_result result = d->cuStreamCreate(&lane->stream, CU_STREAM_NON_BLOCKING);
    if (result == CU_SUCCESS) result = d->cuStreamCreate(&lane->control, CU_STREAM_NON_BLOCKING);
    for (int i = 0; i < 2 && result == CU_SUCCESS; i++) result = d->cuEventCreate(&lane->done[i], CU_EVENT_UNTIMED);
    return result == CU_SUCCESS || qn__cuda_device_fail(lane->device, error, result, "no stream can be made");
}

void qn__cuda_lane_destroy(qn__cuda_lane *lane) {
    const qn__cuda_driver *d = lane->device->driver;
    if (lane->state) qn__cuda_lane_free(lane, lane->state, lane->state_bytes);
    lane->state = 0;
    if (lane->stream) d->cuStreamSynchronize(lane->stream);
    for (uint32_t i = 0; i < lane->mark_count; i++) d->cuEventDestroy(lane->marks[i]);
    for (int i = 0; i < 2; i++)
        if (lane->done[i]) d->cuEventDestroy(lane->done[i]);
    if (lane->stream) d->cuStreamDestroy(lane->stream);
    if (lane->control) d->cuStreamDestroy(lane->control);
    if (lane->staging[0]) d->cuMemFreeHost(lane->staging[0]);
    lane->mark_count = 0;
}

qn__cuda_lane *qn__cuda_lane_take(qn__cuda_device *device, qn__cuda_error *error) {
    pthread_mutex_lock(&device->lock);
    qn__cuda_lane *lane = device->lanes;
    if (lane) device->lanes = lane->next;
    pthread_mutex_unlock(&device->lock);
    if (lane) return lane;
    lane = calloc(1, sizeof *lane);
    if (!lane) {
        qn__cuda_refuse(error, QN__CUDA_NO_MEMORY, "out of memory");
        return NULL;
    }
    lane->device = device;
    if (make_streams(lane, error) && make_pinned(lane, error)) return lane;
    qn__cuda_lane_destroy(lane);
    free(lane);
    return NULL;
}

void qn__cuda_lane_give(qn__cuda_lane *lane) {
    qn__cuda_device *device = lane->device;
    lane->current = 0;
    lane->filled = 0;
    lane->mark_used = 0;
    *lane->stop = 0;
    pthread_mutex_lock(&device->lock);
    lane->next = device->lanes;
    device->lanes = lane;
    pthread_mutex_unlock(&device->lock);
}
