/* Devices: what they are and can. All devices are alike; settings.def has their properties, sm.def those of a compute
 * capability. */
#include "emulator/driver.h"

#include <stdio.h>
#include <string.h>

bool em_device_valid(CUdevice device) {
    return device >= 0 && device < em__driver.settings.devices;
}

em_device_state *em_device_of(const em_context *context) {
    return &em__driver.devices[context->device];
}

/* Enters, and checks the device and that there is somewhere to put the answer. */
static CUresult enter(const void *answer, CUdevice device) {
    CUresult result = em_enter_driver();
    if (result) return result;
    if (!answer) return em_leave(CUDA_ERROR_INVALID_VALUE);
    return em_device_valid(device) ? CUDA_SUCCESS : em_leave(CUDA_ERROR_INVALID_DEVICE);
}

CUresult cuDeviceGetCount(int *count) {
    CUresult result = enter(count, 0);
    if (result) return result;
    *count = em__driver.settings.devices;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    CUresult result = enter(device, ordinal);
    if (result) return result;
    *device = ordinal;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    CUresult result = enter(name, device);
    if (result) return result;
    if (length <= 0) return em_leave(CUDA_ERROR_INVALID_VALUE);
    snprintf(name, (size_t)length, "%s", em__driver.settings.sm->name);
    return em_leave(CUDA_SUCCESS);
}

static bool attribute_value(const em_settings *settings, int ordinal, CUdevice_attribute attribute, int *value) {
    switch (attribute) {
#define ATTRIBUTE(name, number, expression)                                                                            \
    case CU_DEVICE_ATTRIBUTE_##name:                                                                                   \
        *value = expression;                                                                                           \
        return true;
#include "emulator/attributes.def"
#undef ATTRIBUTE
    }
    return false;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    CUresult result = enter(value, device);
    if (result) return result;
    return em_leave(attribute_value(&em__driver.settings, device, attribute, value) ? CUDA_SUCCESS
                                                                                    : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    CUresult result = enter(bytes, device);
    if (result) return result;
    *bytes = em__driver.settings.memory;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) {
    CUresult result = enter(uuid, device);
    if (result) return result;
    static const char name[16] = "QuernEmulator";
    memcpy(uuid->bytes, name, sizeof name);
    uuid->bytes[14] = (char)em__driver.settings.sm->number;
    uuid->bytes[15] = (char)device;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    return cuDeviceGetUuid_v2(uuid, device);
}

CUresult cuDeviceGetPCIBusId(char *id, int length, CUdevice device) {
    CUresult result = enter(id, device);
    if (result) return result;
    if (length < 13) return em_leave(CUDA_ERROR_INVALID_VALUE);
    snprintf(id, (size_t)length, "0000:%02X:00.0", (unsigned int)device + 1);
    return em_leave(CUDA_SUCCESS);
}

/* Devices reach each other's memory through copies only. */
CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
    CUresult result = enter(can, device);
    if (result) return result;
    if (!em_device_valid(peer)) return em_leave(CUDA_ERROR_INVALID_DEVICE);
    *can = 0;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (flags) return em_leave(CUDA_ERROR_INVALID_VALUE);
    const em_context *other = em_context_of(peer);
    if (!other || other == context) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    return em_leave(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED);
}
