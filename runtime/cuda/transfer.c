/* Single copies between host and device, one kind of host memory at a time, for those who measure them: nothing is staged, split or overlapped here, so what
 * is timed is the driver's own copy, or, for mapped memory, a kernel that moves 16 bytes per thread and step. */
#include "runtime/cuda/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 256, BLOCKS_PER_PROCESSOR = 8, UNIT = QN__CUDA_UNIT, PAGE = 4096 };

struct qn__cuda_transfer {
    qn__cuda_device *device;
    qn__cuda_lane *lane;
    qn__cuda_host host;
    size_t bytes;          /* of both memories, a multiple of UNIT */
    void *data;            /* the host's */
    uint64_t data_address; /* where the device sees it, of mapped memory */
    uint64_t memory;       /* the device's */
    qn__cu_module module;
    qn__cu_function copy;
};

/* Thread t of all T copies units t, t + T, t + 2 T, ... */
static const char copy_kernel[] =
    ".address_size 64\n"
    ".visible .entry qn_copy(.param .u64 qn_to, .param .u64 qn_from, .param .u64 qn_units) {\n"
    "    .reg .pred %p;\n"
    "    .reg .b32 %r<8>;\n"
    "    .reg .b64 %d<10>;\n"
    "    ld.param.u64 %d0, [qn_to];\n"
    "    ld.param.u64 %d1, [qn_from];\n"
    "    ld.param.u64 %d2, [qn_units];\n"
    "    cvta.to.global.u64 %d0, %d0;\n"
    "    cvta.to.global.u64 %d1, %d1;\n"
    "    mov.u32 %r0, %ctaid.x;\n"
    "    mov.u32 %r1, %ntid.x;\n"
    "    mov.u32 %r2, %tid.x;\n"
    "    mov.u32 %r3, %nctaid.x;\n"
    "    mul.wide.u32 %d3, %r0, %r1;\n"
    "    cvt.u64.u32 %d4, %r2;\n"
    "    add.u64 %d3, %d3, %d4;\n"
    "    mul.wide.u32 %d5, %r3, %r1;\n"
    "next:\n"
    "    setp.ge.u64 %p, %d3, %d2;\n"
    "    @%p bra done;\n"
    "    shl.b64 %d6, %d3, 4;\n"
    "    add.u64 %d7, %d1, %d6;\n"
    "    add.u64 %d8, %d0, %d6;\n"
    "    ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%d7];\n"
    "    st.global.v4.u32 [%d8], {%r4, %r5, %r6, %r7};\n"
    "    add.u64 %d3, %d3, %d5;\n"
    "    bra next;\n"
    "done:\n"
    "    ret;\n"
    "}\n";

static bool load_copy(qn__cuda_transfer *t, qn__cuda_error *error) {
    const qn__cuda_driver *driver = t->device->driver;
    const uint32_t ptx = qn__cuda_about(t->device->cuda).ptx_version;
    char text[sizeof copy_kernel + 96];
    snprintf(text, sizeof text, ".version %u.%u\n.target sm_%u\n%s", ptx / 10, ptx % 10, t->device->properties.sm, copy_kernel);
    qn__cu_result result = driver->cuModuleLoadDataEx(&t->module, text, 0, NULL, NULL);
    if (result != CU_SUCCESS) t->module = NULL;
    if (result == CU_SUCCESS) result = driver->cuModuleGetFunction(&t->copy, t->module, "qn_copy");
    return result == CU_SUCCESS || qn__cuda_device_fail(t->device, error, result, "the kernel that copies cannot be loaded");
}

static bool make_data(qn__cuda_transfer *t, qn__cuda_error *error) {
    const qn__cuda_driver *driver = t->device->driver;
    if (t->host == QN__CUDA_PAGEABLE) {
        t->data = aligned_alloc(PAGE, (t->bytes + PAGE - 1) / PAGE * PAGE);
        if (!t->data) return qn__cuda_refuse(error, QN__CUDA_NO_MEMORY, "out of memory");
    } else {
        const unsigned flags = CU_HOST_PORTABLE | (t->host == QN__CUDA_MAPPED ? CU_HOST_MAPPED : 0);
        const qn__cu_result result = driver->cuMemHostAlloc(&t->data, t->bytes, flags);
        if (result != CU_SUCCESS) {
            t->data = NULL;
            return qn__cuda_device_fail(t->device, error, result, "no pinned memory");
        }
    }
    memset(t->data, 0, t->bytes); /* its pages are there before the first copy */
    if (t->host != QN__CUDA_MAPPED) return true;
    qn__cu_address address = 0;
    const qn__cu_result result = driver->cuMemHostGetDevicePointer(&address, t->data, 0);
    t->data_address = address;
    return result == CU_SUCCESS || qn__cuda_device_fail(t->device, error, result, "pinned memory has no address on the device");
}

qn__cuda_transfer *qn__cuda_transfer_create(qn__cuda_device *device, qn__cuda_host host, size_t bytes, qn__cuda_error *error) {
    qn__cuda_transfer *t = calloc(1, sizeof *t);
    if (!t || bytes > SIZE_MAX - PAGE || !bytes) {
        free(t);
        qn__cuda_refuse(error, QN__CUDA_NO_MEMORY, "out of memory: a copy of %zu bytes", bytes);
        return NULL;
    }
    t->device = device;
    t->host = host;
    t->bytes = (bytes + UNIT - 1) / UNIT * UNIT;
    bool ok = qn__cuda_enter(device, error);
    if (ok) {
        t->lane = qn__cuda_lane_take(device, error);
        ok = t->lane && qn__cuda_lane_allocate(t->lane, t->bytes, &t->memory, error) && make_data(t, error) &&
             (host != QN__CUDA_MAPPED || load_copy(t, error));
        qn__cuda_leave(device);
    }
    if (ok) return t;
    qn__cuda_transfer_destroy(t);
    return NULL;
}

void qn__cuda_transfer_destroy(qn__cuda_transfer *t) {
    qn__cuda_error unused;
    if (!t) return;
    if (qn__cuda_enter(t->device, &unused)) {
        if (t->module) t->device->driver->cuModuleUnload(t->module);
        if (t->data && t->host != QN__CUDA_PAGEABLE) t->device->driver->cuMemFreeHost(t->data);
        if (t->memory) qn__cuda_lane_free(t->lane, t->memory, t->bytes);
        if (t->lane) {
            t->device->driver->cuStreamSynchronize(t->lane->stream);
            qn__cuda_lane_give(t->lane);
        }
        qn__cuda_leave(t->device);
    }
    if (t->host == QN__CUDA_PAGEABLE) free(t->data);
    free(t);
}

void *qn__cuda_transfer_data(const qn__cuda_transfer *t) { return t->data; }

static qn__cu_result launch(const qn__cuda_transfer *t, bool to_device, size_t bytes) {
    uint64_t to = to_device ? t->memory : t->data_address, from = to_device ? t->data_address : t->memory, units = (bytes + UNIT - 1) / UNIT;
    void *parameters[] = {&to, &from, &units};
    const uint64_t wanted = (units + THREADS - 1) / THREADS, most = (uint64_t)t->device->properties.processors * BLOCKS_PER_PROCESSOR;
    const unsigned blocks = (unsigned)(wanted < most ? wanted : most);
    return t->device->driver->cuLaunchKernel(t->copy, blocks ? blocks : 1, 1, 1, THREADS, 1, 1, 0, t->lane->stream, parameters, NULL);
}

bool qn__cuda_transfer_run(qn__cuda_transfer *t, bool to_device, size_t bytes, qn__cuda_error *error) {
    const qn__cuda_driver *driver = t->device->driver;
    if (bytes == 0 || bytes > t->bytes) return qn__cuda_refuse(error, QN__CUDA_UNSUPPORTED, "a copy of %zu bytes, there are %zu", bytes, t->bytes);
    if (!qn__cuda_enter(t->device, error)) return false;
    qn__cu_result result;
    if (t->host == QN__CUDA_MAPPED) result = launch(t, to_device, bytes);
    else if (to_device) result = driver->cuMemcpyHtoDAsync(t->memory, t->data, bytes, t->lane->stream);
    else result = driver->cuMemcpyDtoHAsync(t->data, t->memory, bytes, t->lane->stream);
    if (result == CU_SUCCESS) result = driver->cuStreamSynchronize(t->lane->stream);
    qn__cuda_leave(t->device);
    return result == CU_SUCCESS || qn__cuda_device_fail(t->device, error, result, "a copy failed");
}
