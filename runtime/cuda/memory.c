/* Memory on a device: from the driver's pool in the order of a stream, or, where the driver has no pools, from blocks that were freed
 * before. A block is freed when no work that uses it is under way, so any lane may take it. Also what the API's arrays need: whole
 * operations that have ended when they return. */
#include "runtime/cuda/device.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t rounded(size_t bytes) { return ((bytes ? bytes : 1) + QN__CUDA_UNIT - 1) / QN__CUDA_UNIT * QN__CUDA_UNIT; }

/* ---- drivers without pools ---- */

static uint64_t take_block(qn__cuda_device *device, size_t bytes) {
    uint64_t address = 0;
    pthread_mutex_lock(&device->lock);
    for (qn__cuda_block **at = &device->blocks; *at; at = &(*at)->next) {
        qn__cuda_block *block = *at;
        if (block->bytes != bytes) continue;
        address = block->address;
        *at = block->next;
        free(block);
        break;
    }
    pthread_mutex_unlock(&device->lock);
    return address;
}

static void keep_block(qn__cuda_device *device, uint64_t address, size_t bytes) {
    qn__cuda_block *block = malloc(sizeof *block);
    if (!block) {
        device->driver->cuMemFree(address);
        return;
    }
    pthread_mutex_lock(&device->lock);
    *block = (qn__cuda_block){device->blocks, address, bytes};
    device->blocks = block;
    pthread_mutex_unlock(&device->lock);
}

void qn__cuda_blocks_drop(qn__cuda_device *device) {
    pthread_mutex_lock(&device->lock);
    qn__cuda_block *block = device->blocks;
    device->blocks = NULL;
    pthread_mutex_unlock(&device->lock);
    while (block) {
        qn__cuda_block *next = block->next;
        device->driver->cuMemFree(block->address);
        free(block);
        block = next;
    }
}

/* ---- in the order of a lane ---- */

static qn__cu_result ask(qn__cuda_lane *lane, size_t bytes, uint64_t *address) {
    qn__cuda_device *device = lane->device;
    qn__cu_address got = 0;
    *address = device->properties.pools ? 0 : take_block(device, bytes);
    if (*address) return CU_SUCCESS;
    const qn__cu_result result = device->properties.pools ? device->driver->cuMemAllocAsync(&got, bytes, lane->stream)
                                                          : device->driver->cuMemAlloc(&got, bytes);
    *address = got;
    return result;
}

/* What nobody uses goes back to the device. */
static void trim(qn__cuda_lane *lane) {
    qn__cuda_device *device = lane->device;
    device->driver->cuStreamSynchronize(lane->stream);
    if (device->properties.pools) device->driver->cuMemPoolTrimTo(device->pool, 0);
    else qn__cuda_blocks_drop(device);
}

bool qn__cuda_lane_allocate(qn__cuda_lane *lane, size_t bytes, uint64_t *address, qn__cuda_error *error) {
    const size_t size = rounded(bytes);
    qn__cu_result result = size < bytes ? CU_OUT_OF_MEMORY : ask(lane, size, address);
    if (result == CU_OUT_OF_MEMORY && size >= bytes) {
        trim(lane);
        result = ask(lane, size, address);
    }
    if (result == CU_SUCCESS) return true;
    *address = 0;
    char what[96];
    snprintf(what, sizeof what, result == CU_OUT_OF_MEMORY ? "the device has no %zu bytes of memory left" : "%zu bytes cannot be allocated on the device", bytes);
    return qn__cuda_device_fail(lane->device, error, result, what);
}

void qn__cuda_lane_free(qn__cuda_lane *lane, uint64_t address, size_t bytes) {
    if (!address) return;
    if (lane->device->properties.pools) lane->device->driver->cuMemFreeAsync(address, lane->stream);
    else keep_block(lane->device, address, rounded(bytes));
}

/* ---- whole operations ---- */

typedef struct visit { qn__cuda_device *device; qn__cuda_lane *lane; } visit;

static bool begin(visit *v, qn__cuda_device *device, qn__cuda_error *error) {
    v->device = device;
    v->lane = NULL;
    if (!qn__cuda_enter(device, error)) return false;
    v->lane = qn__cuda_lane_take(device, error);
    if (!v->lane) qn__cuda_leave(device);
    return v->lane != NULL;
}

static bool end(visit *v, bool ok, qn__cuda_error *error) {
    const qn__cu_result result = v->device->driver->cuStreamSynchronize(v->lane->stream);
    if (ok && result != CU_SUCCESS) ok = qn__cuda_device_fail(v->device, error, result, "the device failed");
    qn__cuda_lane_give(v->lane);
    qn__cuda_leave(v->device);
    return ok;
}

uint64_t qn__cuda_allocate(qn__cuda_device *device, size_t bytes, qn__cuda_error *error) {
    visit v;
    uint64_t address = 0;
    if (!begin(&v, device, error)) return 0;
    const bool ok = qn__cuda_lane_allocate(v.lane, bytes, &address, error);
    return end(&v, ok, error) ? address : 0;
}

void qn__cuda_release(qn__cuda_device *device, uint64_t address, size_t bytes) {
    visit v;
    qn__cuda_error unused;
    if (!address || !begin(&v, device, &unused)) return; /* lost or inherited: the memory is gone anyway */
    qn__cuda_lane_free(v.lane, address, bytes);
    end(&v, true, &unused);
}

bool qn__cuda_upload(qn__cuda_device *device, uint64_t to, const void *from, size_t bytes, qn__cuda_error *error) {
    visit v;
    const int64_t extent = (int64_t)bytes, stride = 1;
    if (!bytes) return true;
    if (!begin(&v, device, error)) return false;
    return end(&v, qn__cuda_send(v.lane, 1, &extent, 1, to, from, &stride, false, error), error);
}

bool qn__cuda_download(qn__cuda_device *device, void *to, uint64_t from, size_t bytes, qn__cuda_error *error) {
    visit v;
    const int64_t extent = (int64_t)bytes, stride = 1;
    if (!bytes) return true;
    if (!begin(&v, device, error)) return false;
    return end(&v, qn__cuda_fetch(v.lane, 1, &extent, 1, to, &stride, from, false, error), error);
}

bool qn__cuda_zero(qn__cuda_device *device, uint64_t to, size_t bytes, qn__cuda_error *error) {
    visit v;
    if (!bytes) return true;
    if (!begin(&v, device, error)) return false;
    const qn__cu_result result = device->driver->cuMemsetD8Async(to, 0, bytes, v.lane->stream);
    return end(&v, result == CU_SUCCESS || qn__cuda_device_fail(device, error, result, "memory cannot be cleared"), error);
}

/* One run of equal distances per copy: the last dimension of both sides is a column of `bytes`, or a piece of memory. */
static qn__cu_result copy_planes(const visit *v, uint32_t rank, const int64_t *extents, uint32_t bytes, uint64_t to, const int64_t *t,
                                 uint64_t from, const int64_t *f) {
    if (rank > 2 || (rank == 2 && !(t[1] == bytes && f[1] == bytes && t[0] > 0 && f[0] > 0))) {
        for (int64_t i = 0; i < extents[0]; i++) {
            const qn__cu_result result = copy_planes(v, rank - 1, extents + 1, bytes, to + (uint64_t)(i * t[0]), t + 1, from + (uint64_t)(i * f[0]), f + 1);
            if (result != CU_SUCCESS) return result;
        }
        return CU_SUCCESS;
    }
    const size_t row = rank == 2 ? (size_t)extents[1] * bytes : bytes;
    const int64_t rows = rank ? extents[0] : 1, to_pitch = rank ? t[0] : bytes, from_pitch = rank ? f[0] : bytes;
    if (rows == 1) return v->device->driver->cuMemcpyDtoDAsync(to, from, row, v->lane->stream);
    if (rank == 1 && to_pitch == bytes && from_pitch == bytes) return v->device->driver->cuMemcpyDtoDAsync(to, from, (size_t)rows * bytes, v->lane->stream);
    if (to_pitch < (int64_t)row || from_pitch < (int64_t)row) { /* backwards, or the same element again: row by row */
        for (int64_t i = 0; i < rows; i++) {
            const qn__cu_result result = v->device->driver->cuMemcpyDtoDAsync(to + (uint64_t)(i * to_pitch), from + (uint64_t)(i * from_pitch), row, v->lane->stream);
            if (result != CU_SUCCESS) return result;
        }
        return CU_SUCCESS;
    }
    const qn__cu_copy_2d copy = {.from_type = CU_MEMORY_DEVICE, .from_device = from, .from_pitch = (size_t)from_pitch, .to_type = CU_MEMORY_DEVICE,
                                 .to_device = to, .to_pitch = (size_t)to_pitch, .width_bytes = row, .height = (size_t)rows};
    return v->device->driver->cuMemcpy2DAsync(&copy, v->lane->stream);
}

bool qn__cuda_copy_strided(qn__cuda_device *device, uint32_t rank, const int64_t *extents, uint32_t bytes, uint64_t to,
                           const int64_t *to_strides, uint64_t from, const int64_t *from_strides, qn__cuda_error *error) {
    visit v;
    for (uint32_t d = 0; d < rank; d++)
        if (extents[d] == 0) return true;
    if (!begin(&v, device, error)) return false;
    const qn__cu_result result = copy_planes(&v, rank, extents, bytes, to, to_strides, from, from_strides);
    return end(&v, result == CU_SUCCESS || qn__cuda_device_fail(device, error, result, "an array cannot be copied"), error);
}
