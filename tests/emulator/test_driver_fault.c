/* Faults: those of kernels, which a context keeps, and those on request; leaks. */
#include "tests/emulator/driver.h"

/* Every call answers the error until the primary context is made anew. */
static void stays(CUresult error) {
    CUdeviceptr address;
    CUstream stream;
    CUevent event;
    CUmodule module;
    uint32_t value = 0;
    expect(cu.cuCtxSynchronize(), error, "synchronize", __LINE__);
    expect(cu.cuCtxSynchronize(), error, "synchronize", __LINE__);
    expect(cu.cuMemAlloc_v2(&address, 4), error, "allocate", __LINE__);
    expect(cu.cuStreamCreate(&stream, 0), error, "stream", __LINE__);
    expect(cu.cuEventCreate(&event, 0), error, "event", __LINE__);
    expect(cu.cuModuleLoadData(&module, kernels_text), error, "module", __LINE__);
    expect(cu.cuMemcpy((CUdeviceptr)(uintptr_t)&value, (CUdeviceptr)(uintptr_t)&value, 4), error, "copy", __LINE__);
    expect(cu.cuStreamQuery(NULL), error, "query", __LINE__);
    OK(cu.cuDevicePrimaryCtxReset_v2(0));
    GIVES(ERROR_CONTEXT_IS_DESTROYED, cu.cuCtxSynchronize());
    OK(cu.cuDevicePrimaryCtxRetain(&cu.context, 0));
    OK(cu.cuCtxSetCurrent(cu.context));
    OK(cu.cuModuleLoadData(&cu.module, kernels_text));
    OK(launch_nop(NULL));
    OK(cu.cuCtxSynchronize());
    cr_assert_eq(statistics().live_allocations, 0);
}

Test(driver_fault, out_of_bounds) {
    start(NULL);
    CUdeviceptr data = allocate(40);
    OK(launch_fill(data, 11, 1, NULL));
    stays(CUDA_ERROR_ILLEGAL_ADDRESS);
    cr_assert(logged("CUDA_ERROR_ILLEGAL_ADDRESS: kernel fill"));
    cr_assert_not(logged("leak: ")); /* nobody could free it */
    cr_assert_eq(statistics().faults, 1);
}

Test(driver_fault, use_after_free) {
    start(NULL);
    CUdeviceptr data = allocate(40);
    OK(cu.cuMemFree_v2(data));
    OK(launch_fill(data, 1, 1, NULL));
    stays(CUDA_ERROR_ILLEGAL_ADDRESS);
}

Test(driver_fault, misaligned) {
    start(NULL);
    OK(launch_add(allocate(40) + 2, 1, NULL));
    stays(CUDA_ERROR_MISALIGNED_ADDRESS);
}

Test(driver_fault, trap) {
    start(NULL);
    OK(launch("trap", NULL, 1, NULL));
    stays(CUDA_ERROR_LAUNCH_FAILED);
}

Test(driver_fault, other_streams_end) {
    start(NULL);
    CUstream stream;
    uint32_t *flag;
    OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemAllocHost_v2((void **)&flag, 4));
    *flag = 0;
    OK(launch_wait((CUdeviceptr)(uintptr_t)flag, stream)); /* for ever */
    OK(launch("trap", NULL, 1, NULL));
    stays(CUDA_ERROR_LAUNCH_FAILED);
}

Test(driver_fault, another_context_is_fine) {
    start("DEVICES=2", NULL);
    CUcontext other;
    OK(launch("trap", NULL, 1, NULL));
    GIVES(ERROR_LAUNCH_FAILED, cu.cuCtxSynchronize());
    OK(cu.cuCtxCreate_v2(&other, 0, 0));
    OK(cu.cuModuleLoadData(&cu.module, kernels_text));
    CUdeviceptr data = allocate(4);
    OK(launch_fill(data, 1, 3, NULL));
    cr_assert_eq(word(data), 3);
}

Test(driver_fault, init_on_request) {
    open_driver("FAULT=init", NULL);
    GIVES(ERROR_NO_DEVICE, cu.cuInit(0));
}

Test(driver_fault, allocations_on_request) {
    start("FAULT=alloc:2,host-alloc:1+", NULL);
    CUdeviceptr a;
    void *data;
    OK(cu.cuMemAlloc_v2(&a, 4));
    GIVES(ERROR_OUT_OF_MEMORY, cu.cuMemAllocAsync(&a, 4, NULL));
    OK(cu.cuMemAllocManaged(&a, 4, CU_MEM_ATTACH_GLOBAL));
    GIVES(ERROR_OUT_OF_MEMORY, cu.cuMemAllocHost_v2(&data, 4));
    GIVES(ERROR_OUT_OF_MEMORY, cu.cuMemHostRegister_v2(&a, 4, 0));
    GIVES(ERROR_OUT_OF_MEMORY, cu.cuMemHostAlloc(&data, 4, 0));
    OK(cu.cuCtxSynchronize());
    cr_assert(logged("fails on request"));
}

Test(driver_fault, a_launch_on_request) {
    start("FAULT=launch:3", NULL);
    CUdeviceptr data = allocate(4);
    OK(cu.cuMemsetD32_v2(data, 0, 1));
    OK(launch_add(data, 1, NULL));
    OK(launch_add(data, 1, NULL));
    OK(cu.cuCtxSynchronize());
    OK(launch_add(data, 1, NULL)); /* the call itself is fine, or sees the error already */
    cr_assert_eq(*(volatile uint32_t *)(uintptr_t)data, 2);
    stays(CUDA_ERROR_LAUNCH_FAILED);
}

Test(driver_fault, a_lost_context_on_request) {
    start("FAULT=sticky:2", NULL);
    CUdeviceptr data = allocate(4);
    OK(cu.cuMemsetD32_v2(data, 0, 1));
    OK(launch_add(data, 1, NULL));
    OK(cu.cuCtxSynchronize());
    OK(launch_add(data, 1, NULL));
    GIVES(ERROR_ECC_UNCORRECTABLE, cu.cuCtxSynchronize());
    cr_assert_eq(*(volatile uint32_t *)(uintptr_t)data, 2); /* that launch was completed */
    stays(CUDA_ERROR_ECC_UNCORRECTABLE);
}

Test(driver_fault, a_load_on_request) {
    start("FAULT=load:2", NULL);
    char error[200] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {error, (void *)sizeof error};
    CUmodule module;
    GIVES(ERROR_INVALID_PTX, cu.cuModuleLoadDataEx(&module, kernels_text, 2, options, values));
    cr_assert(strstr(error, "on request"));
    OK(cu.cuModuleLoadData(&module, kernels_text));
}

Test(driver_fault, slow_copies_on_request) {
    start("FAULT=slow-copy:1e6", NULL);
    static char bytes[50000];
    CUdeviceptr data = allocate(sizeof bytes);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    OK(cu.cuMemcpyHtoD_v2(data, bytes, sizeof bytes));
    clock_gettime(CLOCK_MONOTONIC, &b);
    double seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
    cr_assert(seconds >= 0.05 && seconds < 5, "%g", seconds);
}

Test(driver_fault, leaks) {
    start(NULL);
    allocate(123);
    void *data;
    OK(cu.cuMemAllocHost_v2(&data, 77));
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    cr_assert(logged("123 bytes of device memory"));
    cr_assert(logged("77 bytes of pinned memory"));
    cr_assert(logged("leak: 2 allocations, 200 bytes"));
    cr_assert_eq(statistics().live_allocations, 0);
}

/* A process that ends with memory, and with a kernel that never does: the report comes, the process ends. */
Test(driver_fault, leaks_at_exit) {
    open_driver(NULL);
    pid_t child = fork(); /* before cuInit, so the driver works there */
    if (!child) {
        uint32_t *flag;
        OK(cu.cuInit(0));
        OK(cu.cuDevicePrimaryCtxRetain(&cu.context, 0));
        OK(cu.cuCtxSetCurrent(cu.context));
        OK(cu.cuModuleLoadData(&cu.module, kernels_text));
        OK(cu.cuMemAllocHost_v2((void **)&flag, 55));
        *flag = 0;
        OK(launch_wait((CUdeviceptr)(uintptr_t)flag, NULL));
        cu.log[0] = 0; /* the parent's to remove */
        exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert(logged("55 bytes of pinned memory"));
}
