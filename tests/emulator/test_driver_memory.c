/* Allocation, copies, fills, pools, what pointers are; and the errors of wrong calls. */
#include "tests/emulator/driver.h"

Test(driver_memory, allocation) {
    start("MEMORY=1000000", NULL);
    CUdeviceptr a, base;
    size_t size, free_bytes, total;
    GIVES(ERROR_INVALID_VALUE, cu.cuMemAlloc_v2(&a, 0));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemAlloc_v2(NULL, 4));
    GIVES(ERROR_OUT_OF_MEMORY, cu.cuMemAlloc_v2(&a, 1000001));
    OK(cu.cuMemAlloc_v2(&a, 600000));
    cr_assert_eq(a % 256, 0);
    OK(cu.cuMemGetInfo_v2(&free_bytes, &total));
    cr_assert(total == 1000000 && free_bytes <= 400000);
    GIVES(ERROR_OUT_OF_MEMORY, cu.cuMemAlloc_v2(&base, 600000));
    OK(cu.cuMemGetAddressRange_v2(&base, &size, a + 599999));
    cr_assert(base == a && size == 600000);
    GIVES(ERROR_NOT_FOUND, cu.cuMemGetAddressRange_v2(&base, &size, a + 600000));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemFree_v2(a + 256));
    OK(cu.cuMemFree_v2(a));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemFree_v2(a));
    cr_assert(logged("is not the beginning of a live allocation"));
    OK(cu.cuMemFree_v2(0));
    OK(cu.cuMemAlloc_v2(&base, 600000));
    cr_assert_neq(base, a); /* in quarantine */
}

Test(driver_memory, new_memory_is_no_zeros) {
    start(NULL);
    cr_assert_eq(word(allocate(4)), UINT32_MAX);
}

Test(driver_memory, copies_and_their_bounds) {
    start(NULL);
    uint32_t from[100], to[100];
    for (uint32_t i = 0; i < 100; i++) from[i] = i;
    CUdeviceptr a = allocate(400), b = allocate(400);
    OK(cu.cuMemcpyHtoD_v2(a, from, 400));
    OK(cu.cuMemcpyDtoD_v2(b, a, 400));
    OK(cu.cuMemcpyDtoH_v2(to, b, 400));
    cr_assert_arr_eq(from, to, 400);
    OK(cu.cuMemcpy((CUdeviceptr)(uintptr_t)to, b + 4, 396));
    cr_assert_eq(to[98], 99);
    OK(cu.cuMemcpy((CUdeviceptr)(uintptr_t)to, (CUdeviceptr)(uintptr_t)from, 8)); /* from host to host */
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(a, from, 401));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(a + 4, from, 400));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2((CUdeviceptr)(uintptr_t)to, from, 4));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(0, from, 4));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpyDtoH_v2((void *)(uintptr_t)b, a, 4)); /* device memory for the host's */
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(a, NULL, 4));
    OK(cu.cuMemcpyHtoD_v2(a, from, 0));
    OK(cu.cuMemFree_v2(b));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpyDtoH_v2(to, b, 4));
    cr_assert(logged("goes beyond its allocation"));
    cr_assert(logged("is not in allocated memory"));
    em_stats now = statistics();
    cr_assert_eq(now.bytes_in, 400);
    cr_assert_eq(now.bytes_between, 400);
}

Test(driver_memory, boxes) {
    start(NULL);
    unsigned char from[5][7], to[5][7] = {{0}};
    for (int i = 0; i < 35; i++) (&from[0][0])[i] = (unsigned char)(i + 1);
    CUdeviceptr image = allocate(8 * 16);
    OK(cu.cuMemsetD8_v2(image, 0, 128));
    CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = from,
                        .srcPitch = 7,
                        .srcXInBytes = 2,
                        .srcY = 1,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = image,
                        .dstPitch = 16,
                        .dstXInBytes = 3,
                        .dstY = 2,
                        .WidthInBytes = 4,
                        .Height = 3};
    OK(cu.cuMemcpy2D_v2(&in));
    CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = image,
                         .srcPitch = 16,
                         .srcXInBytes = 3,
                         .srcY = 2,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = to,
                         .dstPitch = 7,
                         .WidthInBytes = 4,
                         .Height = 3};
    OK(cu.cuMemcpy2DAsync_v2(&out, NULL));
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 4; x++) cr_assert_eq(to[y][x], from[y + 1][x + 2]);
    cr_assert(to[3][0] == 0 && to[0][4] == 0);
    in.dstPitch = 6;
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpy2D_v2(&in));
    in.dstPitch = 16;
    in.Height = 7;
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpy2D_v2(&in)); /* beyond the end */
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpy2D_v2(NULL));
    CUDA_MEMCPY3D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = image,
                         .srcPitch = 16,
                         .srcHeight = 4,
                         .srcZ = 1,
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = to,
                         .dstPitch = 7,
                         .dstHeight = 1,
                         .WidthInBytes = 7,
                         .Height = 1,
                         .Depth = 1};
    OK(cu.cuMemcpy3D_v2(&box)); /* row 4 */
    cr_assert_eq(to[0][3], from[3][2]);
    box.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    GIVES(ERROR_NOT_SUPPORTED, cu.cuMemcpy3DAsync_v2(&box, NULL));
}

Test(driver_memory, fills) {
    start(NULL);
    CUdeviceptr a = allocate(16);
    OK(cu.cuMemsetD32_v2(a, 0x11223344, 4));
    cr_assert_eq(word(a + 12), 0x11223344);
    OK(cu.cuMemsetD16Async(a + 2, 0xaabb, 1, NULL));
    cr_assert_eq(word(a), 0xaabb3344);
    OK(cu.cuMemsetD8Async(a, 0xff, 1, NULL));
    cr_assert_eq(word(a), 0xaabb33ff);
    GIVES(ERROR_INVALID_VALUE, cu.cuMemsetD32_v2(a + 2, 0, 1));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemsetD32_v2(a, 0, 5));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemsetD16_v2(0, 0, 1));
    OK(cu.cuMemsetD8_v2(a, 0, 0));
}

Test(driver_memory, pinned) {
    start("DEVICES=2", NULL);
    uint32_t *data, *more;
    unsigned int flags;
    CUdeviceptr address;
    OK(cu.cuMemHostAlloc((void **)&data, 400, CU_MEMHOSTALLOC_WRITECOMBINED));
    OK(cu.cuMemAllocHost_v2((void **)&more, 4));
    OK(cu.cuMemHostGetDevicePointer_v2(&address, data + 1, 0));
    OK(cu.cuMemHostGetFlags(&flags, data));
    cr_assert_eq(flags, CU_MEMHOSTALLOC_WRITECOMBINED);
    data[1] = 3;
    OK(launch_add(address, 4, NULL));
    OK(cu.cuCtxSynchronize());
    cr_assert_eq(data[1], 7);
    cr_assert_eq(statistics().live_host_bytes, 404);
    CUcontext other;
    OK(cu.cuCtxCreate_v2(&other, 0, 1)); /* the other device reaches it, too */
    CUmodule module;
    OK(cu.cuModuleLoadData(&module, kernels_text));
    cu.module = module;
    OK(launch_add(address, 4, NULL));
    OK(cu.cuCtxDestroy_v2(other)); /* waits */
    cr_assert_eq(data[1], 11);
    GIVES(ERROR_INVALID_VALUE, cu.cuMemHostAlloc((void **)&more, 0, 0));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemHostAlloc((void **)&more, 4, 8));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemFree_v2(address));
    GIVES(ERROR_HOST_MEMORY_NOT_REGISTERED, cu.cuMemHostUnregister(data));
    OK(cu.cuMemFreeHost(data));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemFreeHost(data));
    CUdeviceptr a = allocate(4);
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpyHtoD_v2(a, data, 4)); /* would crash the host */
    cr_assert(logged("is in memory that was freed"));
}

Test(driver_memory, registered) {
    start(NULL);
    uint32_t *data = calloc(100, 4);
    CUdeviceptr address, a = allocate(4);
    GIVES(ERROR_INVALID_VALUE, cu.cuMemHostGetDevicePointer_v2(&address, data, 0));
    OK(cu.cuMemHostRegister_v2(data, 400, CU_MEMHOSTREGISTER_DEVICEMAP));
    GIVES(ERROR_HOST_MEMORY_ALREADY_REGISTERED, cu.cuMemHostRegister_v2(data + 10, 4, 0));
    GIVES(ERROR_HOST_MEMORY_ALREADY_REGISTERED, cu.cuMemHostRegister_v2((void *)(uintptr_t)a, 4, 0));
    GIVES(ERROR_NOT_SUPPORTED, cu.cuMemHostRegister_v2(data + 100, 4, CU_MEMHOSTREGISTER_READ_ONLY));
    OK(cu.cuMemHostGetDevicePointer_v2(&address, data, 0));
    OK(launch_fill(address, 100, 5, NULL));
    OK(cu.cuMemHostUnregister(data)); /* waits */
    cr_assert_eq(data[99], 5);
    GIVES(ERROR_HOST_MEMORY_NOT_REGISTERED, cu.cuMemHostUnregister(data));
    OK(cu.cuMemcpyHtoD_v2(a, data, 4)); /* plain memory again */
    OK(launch_fill(address, 1, 6, NULL));
    GIVES(ERROR_ILLEGAL_ADDRESS, cu.cuCtxSynchronize());
    free(data);
}

Test(driver_memory, managed) {
    start("DEVICES=2", NULL);
    CUdeviceptr address;
    GIVES(ERROR_INVALID_VALUE, cu.cuMemAllocManaged(&address, 400, 0));
    OK(cu.cuMemAllocManaged(&address, 400, CU_MEM_ATTACH_GLOBAL));
    uint32_t *data = (uint32_t *)(uintptr_t)address;
    data[50] = 1;
    OK(cu.cuMemPrefetchAsync(address, 400, 0, NULL));
    OK(cu.cuMemPrefetchAsync_v2(address, 400, (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0}, 0, NULL));
    GIVES(ERROR_INVALID_DEVICE, cu.cuMemPrefetchAsync(address, 400, 2, NULL));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemPrefetchAsync(address, 401, 0, NULL));
    OK(cu.cuMemAdvise(address, 400, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, 1));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemAdvise(address, 400, (CUmem_advise)77, 0));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemAdvise(allocate(4), 4, CU_MEM_ADVISE_SET_READ_MOSTLY, 0));
    OK(launch_add(address + 200, 2, NULL));
    OK(cu.cuCtxSynchronize());
    cr_assert_eq(data[50], 3);
    int managed;
    OK(cu.cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, address + 4));
    cr_assert_eq(managed, 1);
    OK(cu.cuMemFree_v2(address));
}

Test(driver_memory, pointer_attributes) {
    start(NULL);
    CUdeviceptr a = allocate(64);
    void *pinned;
    int plain = 0;
    OK(cu.cuMemAllocHost_v2(&pinned, 64));
    CUmemorytype type;
    CUcontext context;
    CUdeviceptr base;
    size_t size;
    int ordinal;
    CUpointer_attribute attributes[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_CONTEXT,
                                        CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, CU_POINTER_ATTRIBUTE_RANGE_SIZE,
                                        CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
    void *values[] = {&type, &context, &base, &size, &ordinal};
    OK(cu.cuPointerGetAttributes(5, attributes, values, a + 8));
    cr_assert(type == CU_MEMORYTYPE_DEVICE && context == cu.context && base == a && size == 64 && ordinal == 0);
    OK(cu.cuPointerGetAttributes(5, attributes, values, (CUdeviceptr)(uintptr_t)pinned));
    cr_assert_eq(type, CU_MEMORYTYPE_HOST);
    OK(cu.cuPointerGetAttributes(5, attributes, values,
                                 (CUdeviceptr)(uintptr_t)&plain)); /* no error for plain memory, nothing found */
    cr_assert_null(context);
    GIVES(ERROR_INVALID_VALUE,
          cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)&plain));
    void *host;
    OK(cu.cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, (CUdeviceptr)(uintptr_t)pinned));
    cr_assert_eq(host, pinned);
    GIVES(ERROR_INVALID_VALUE, cu.cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, a));
    GIVES(ERROR_INVALID_VALUE, cu.cuPointerGetAttribute(&host, (CUpointer_attribute)99, a));
}

Test(driver_memory, pools) {
    start(NULL);
    CUmemoryPool pool, same;
    CUdeviceptr a, b;
    uint64_t used, threshold = 1 << 20;
    OK(cu.cuDeviceGetDefaultMemPool(&pool, 0));
    OK(cu.cuDeviceGetMemPool(&same, 0));
    cr_assert_eq(pool, same);
    OK(cu.cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
    threshold = 0;
    OK(cu.cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
    cr_assert_eq(threshold, 1 << 20);
    OK(cu.cuMemAllocAsync(&a, 1000, NULL));
    OK(cu.cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
    cr_assert_eq(used, 1000);
    CUmemPoolProps properties = {.allocType = 1, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}, .maxSize = 500};
    CUmemoryPool own;
    OK(cu.cuMemPoolCreate(&own, &properties));
    OK(cu.cuMemAllocFromPoolAsync(&b, 400, own, NULL));
    GIVES(ERROR_OUT_OF_MEMORY, cu.cuMemAllocFromPoolAsync(&b, 101, own, NULL));
    OK(cu.cuDeviceSetMemPool(0, own));
    OK(cu.cuMemPoolTrimTo(own, 0));
    OK(cu.cuMemFreeAsync(b, NULL));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemFreeAsync(b, NULL));
    OK(cu.cuMemPoolDestroy(own));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemPoolTrimTo(own, 0));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemPoolDestroy(pool));
    OK(cu.cuDeviceGetMemPool(&same, 0));
    cr_assert_eq(pool, same);
    OK(cu.cuMemFreeAsync(a, NULL));
    OK(cu.cuCtxSynchronize());
    cr_assert_eq(statistics().live_allocations, 0);
}

Test(driver_memory, between_devices) {
    start("DEVICES=2", NULL);
    CUdeviceptr a = allocate(4), b;
    CUcontext other;
    OK(cu.cuMemsetD32_v2(a, 77, 1));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuCtxCreate_v2(&other, 0, 1));
    OK(cu.cuMemAlloc_v2(&b, 4));
    OK(cu.cuMemcpyPeer(b, other, a, cu.context, 4));
    cr_assert_eq(word(b), 77);
    OK(cu.cuMemcpyPeerAsync(b, other, a, cu.context, 4, NULL));
    GIVES(ERROR_INVALID_CONTEXT, cu.cuMemcpyPeer(b, NULL, a, cu.context, 4));
    OK(cu.cuModuleLoadData(&cu.module, kernels_text));
    OK(launch_add(a, 1, NULL)); /* another device's memory */
    GIVES(ERROR_ILLEGAL_ADDRESS, cu.cuCtxSynchronize());
    OK(cu.cuCtxDestroy_v2(other));
    cr_assert_eq(word(a), 77); /* its own context is fine */
}
