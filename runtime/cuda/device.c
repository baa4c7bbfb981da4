/* Devices: the driver opened once per context, and what of each device is kept while it is: its primary context, its facts, the
 * streams and memory that calls left behind.
 *
 * A context that a kernel's error broke stays broken until the process ends (CUDA calls such errors sticky): `lost` remembers it, and every
 * later use is refused with the reason. */
#include "runtime/cuda/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t ptx_of(int driver) {
    static const struct { int driver; uint32_t ptx; } rows[] = {
#define X(driver, ptx) {driver, ptx},
#include "runtime/cuda/ptx_versions.def"
#undef X
    };
    uint32_t found = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].driver <= driver) found = rows[i].ptx;
    return found;
}

qn__cuda *qn__cuda_open(qn__cuda_error *error) {
    qn__cuda *cuda = calloc(1, sizeof *cuda);
    int count = 0;
    if (!cuda || pthread_mutex_init(&cuda->lock, NULL) != 0) {
        free(cuda);
        qn__cuda_refuse(error, QN__CUDA_NO_MEMORY, "out of memory");
        return NULL;
    }
    cuda->process = getpid();
    bool ok = qn__cuda_driver_open(&cuda->driver, error);
    if (ok) {
        const qn__cu_result counted = cuda->driver.cuDeviceGetCount(&count);
        if (counted != CU_SUCCESS) ok = qn__cuda_fail(&cuda->driver, error, counted, "devices cannot be counted");
        else if (count <= 0) ok = qn__cuda_refuse(error, QN__CUDA_NO_DEVICE, "the CUDA driver is there, but no device");
    }
    if (ok) {
        cuda->device_count = (uint32_t)count;
        cuda->devices = calloc((size_t)count, sizeof(qn__cuda_device *));
        if (!cuda->devices) ok = qn__cuda_refuse(error, QN__CUDA_NO_MEMORY, "out of memory");
    }
    if (ok) return cuda;
    qn__cuda_close(cuda);
    return NULL;
}

static void close_device(qn__cuda_device *device) {
    const bool ours = device->cuda->process == getpid();
    qn__cu_context old;
    const bool entered = ours && device->driver->cuCtxPushCurrent(device->context) == CU_SUCCESS;
    while (device->lanes) {
        qn__cuda_lane *lane = device->lanes;
        device->lanes = lane->next;
        if (entered) qn__cuda_lane_destroy(lane);
        free(lane->marks);
        free(lane);
    }
    if (entered) qn__cuda_blocks_drop(device);
    if (entered) device->driver->cuCtxPopCurrent(&old);
    if (ours && device->context) device->driver->cuDevicePrimaryCtxRelease(device->number);
    pthread_mutex_destroy(&device->lock);
    free(device);
}

void qn__cuda_close(qn__cuda *cuda) {
    if (!cuda) return;
    for (uint32_t i = 0; cuda->devices && i < cuda->device_count; i++)
        if (cuda->devices[i]) close_device(cuda->devices[i]);
    free(cuda->devices);
    if (cuda->process == getpid()) qn__cuda_driver_close(&cuda->driver);
    pthread_mutex_destroy(&cuda->lock);
    free(cuda);
}

qn__cuda_facts qn__cuda_about(const qn__cuda *cuda) {
    return (qn__cuda_facts){cuda->driver.path, cuda->driver.version, ptx_of(cuda->driver.version), cuda->device_count};
}

static bool describe(qn__cuda *cuda, uint32_t ordinal, int *number, qn__cuda_properties *p, qn__cuda_error *error) {
    const qn__cuda_driver *d = &cuda->driver;
    int major = 0, minor = 0, processors = 0, clock = 0, memory_clock = 0, bus = 0, pools = 0;
    size_t bytes = 0;
    memset(p, 0, sizeof *p);
    if (cuda->process != getpid()) return qn__cuda_refuse(error, QN__CUDA_FORKED, "this process was forked after CUDA was opened");
    if (ordinal >= cuda->device_count)
        return qn__cuda_refuse(error, QN__CUDA_NO_DEVICE, "there is no CUDA device %u: %u found", ordinal, cuda->device_count);
    qn__cu_result result = d->cuDeviceGet(number, (int)ordinal);
    if (result == CU_SUCCESS) result = d->cuDeviceGetName(p->name, (int)sizeof p->name, *number);
    if (result == CU_SUCCESS) result = d->cuDeviceTotalMem(&bytes, *number);
    if (result == CU_SUCCESS) result = d->cuDeviceGetAttribute(&major, CU_MAJOR, *number);
    if (result == CU_SUCCESS) result = d->cuDeviceGetAttribute(&minor, CU_MINOR, *number);
    if (result == CU_SUCCESS) result = d->cuDeviceGetAttribute(&processors, CU_PROCESSORS, *number);
    if (result != CU_SUCCESS) return qn__cuda_fail(d, error, result, "the device cannot be asked");
    if (d->cuDeviceGetAttribute(&clock, CU_CLOCK_RATE, *number) != CU_SUCCESS) clock = 0;
    if (d->cuDeviceGetAttribute(&memory_clock, CU_MEMORY_CLOCK, *number) != CU_SUCCESS) memory_clock = 0;
    if (d->cuDeviceGetAttribute(&bus, CU_BUS_WIDTH, *number) != CU_SUCCESS) bus = 0;
    if (d->cuDeviceGetAttribute(&pools, CU_POOLS, *number) != CU_SUCCESS) pools = 0;
    p->sm = (uint32_t)(major * 10 + minor);
    p->processors = (uint32_t)processors;
    p->memory_bytes = bytes;
    p->clock_mhz = clock * 1e-3;
    p->bandwidth = 2e3 * memory_clock * (bus / 8.0) * 1e-9; /* kHz, two transfers per clock */
    p->pools = pools && d->cuMemAllocAsync && d->cuMemFreeAsync && d->cuDeviceGetDefaultMemPool && d->cuMemPoolSetAttribute && d->cuMemPoolTrimTo;
    return true;
}

bool qn__cuda_describe(qn__cuda *cuda, uint32_t ordinal, qn__cuda_properties *properties, qn__cuda_error *error) {
    int number;
    return describe(cuda, ordinal, &number, properties, error);
}

/* The default pool keeps what is freed: else every synchronisation gives it back to the system. */
static void keep_memory(qn__cuda_device *device) {
    uint64_t all = UINT64_MAX;
    const qn__cuda_driver *d = device->driver;
    if (!device->properties.pools) return;
    if (d->cuDeviceGetDefaultMemPool(&device->pool, device->number) != CU_SUCCESS ||
        d->cuMemPoolSetAttribute(device->pool, CU_POOL_RELEASE_THRESHOLD, &all) != CU_SUCCESS)
        device->properties.pools = false;
}

static qn__cuda_device *open_device(qn__cuda *cuda, uint32_t ordinal, qn__cuda_error *error) {
    enum { OLDEST_SM = 70 };
    qn__cuda_device *device = calloc(1, sizeof *device);
    if (!device || pthread_mutex_init(&device->lock, NULL) != 0) {
        free(device);
        qn__cuda_refuse(error, QN__CUDA_NO_MEMORY, "out of memory");
        return NULL;
    }
    device->cuda = cuda;
    device->driver = &cuda->driver;
    device->ordinal = ordinal;
    atomic_init(&device->lost, 0);
    bool ok = describe(cuda, ordinal, &device->number, &device->properties, error);
    if (ok && device->properties.sm < OLDEST_SM)
        ok = qn__cuda_refuse(error, QN__CUDA_UNSUPPORTED, "%s has compute capability %u.%u, at least %d.%d is needed", device->properties.name,
                             device->properties.sm / 10, device->properties.sm % 10, OLDEST_SM / 10, OLDEST_SM % 10);
    if (ok) {
        const qn__cu_result retained = cuda->driver.cuDevicePrimaryCtxRetain(&device->context, device->number);
        if (retained != CU_SUCCESS) {
            device->context = NULL;
            ok = qn__cuda_fail(&cuda->driver, error, retained, "the device's context cannot be made");
        }
    }
    if (ok) {
        keep_memory(device);
        return device;
    }
    pthread_mutex_destroy(&device->lock);
    free(device);
    return NULL;
}

qn__cuda_device *qn__cuda_device_open(qn__cuda *cuda, uint32_t ordinal, qn__cuda_error *error) {
    qn__cuda_properties unused;
    if (cuda->process != getpid() || ordinal >= cuda->device_count) {
        qn__cuda_describe(cuda, ordinal, &unused, error);
        return NULL;
    }
    pthread_mutex_lock(&cuda->lock);
    if (!cuda->devices[ordinal]) cuda->devices[ordinal] = open_device(cuda, ordinal, error);
    qn__cuda_device *device = cuda->devices[ordinal];
    pthread_mutex_unlock(&cuda->lock);
    return device;
}

uint32_t qn__cuda_ordinal(const qn__cuda_device *device) { return device->ordinal; }
const qn__cuda_properties *qn__cuda_properties_of(const qn__cuda_device *device) { return &device->properties; }

bool qn__cuda_device_fail(qn__cuda_device *device, qn__cuda_error *error, qn__cu_result result, const char *what) {
    if (qn__cuda_is_sticky(result)) atomic_store(&device->lost, result);
    return qn__cuda_fail(device->driver, error, result, what);
}

bool qn__cuda_enter(qn__cuda_device *device, qn__cuda_error *error) {
    const int lost = atomic_load(&device->lost);
    if (device->cuda->process != getpid()) return qn__cuda_refuse(error, QN__CUDA_FORKED, "this process was forked after CUDA was opened");
    if (lost) return qn__cuda_fail(device->driver, error, lost, "the device was lost by an earlier error");
    const qn__cu_result result = device->driver->cuCtxPushCurrent(device->context);
    return result == CU_SUCCESS || qn__cuda_device_fail(device, error, result, "the device's context cannot be used");
}

void qn__cuda_leave(qn__cuda_device *device) {
    qn__cu_context old;
    device->driver->cuCtxPopCurrent(&old);
}

bool qn__cuda_memory(qn__cuda_device *device, uint64_t *available, uint64_t *total, qn__cuda_error *error) {
    size_t a = 0, t = 0;
    if (!qn__cuda_enter(device, error)) return false;
    const qn__cu_result result = device->driver->cuMemGetInfo(&a, &t);
    qn__cuda_leave(device);
    *available = a;
    *total = t;
    return result == CU_SUCCESS || qn__cuda_device_fail(device, error, result, "the device's memory cannot be asked");
}
