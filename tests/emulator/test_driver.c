/* Initialisation, devices, contexts, modules, functions, launches: the calls, and the errors of wrong calls. */
#include "tests/emulator/driver.h"

Test(driver, first_steps) {
    start(NULL);
    CUdeviceptr data = allocate(4000);
    OK(launch_fill(data, 1000, 42, NULL));
    cr_assert_eq(word(data + 3996), 42);
    OK(cu.cuMemFree_v2(data));
    OK(cu.cuModuleUnload(cu.module));
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    em_stats now = statistics();
    cr_assert_eq(now.live_allocations, 0);
    cr_assert_eq(now.launches, 1);
    cr_assert_eq(now.bytes_out, 4);
    cr_assert_eq(now.peak_bytes, 4000);
    cr_assert_eq(now.modules, 0);
}

Test(driver, nothing_before_init) {
    open_driver(NULL);
    int count;
    CUcontext context;
    CUdeviceptr address;
    GIVES(ERROR_NOT_INITIALIZED, cu.cuDeviceGetCount(&count));
    GIVES(ERROR_NOT_INITIALIZED, cu.cuCtxGetCurrent(&context));
    GIVES(ERROR_NOT_INITIALIZED, cu.cuMemAlloc_v2(&address, 4));
    GIVES(ERROR_INVALID_VALUE, cu.cuInit(1));
    OK(cu.cuInit(0));
    OK(cu.cuInit(0));
    GIVES(ERROR_INVALID_CONTEXT, cu.cuMemAlloc_v2(&address, 4));
    GIVES(ERROR_INVALID_CONTEXT, cu.cuCtxSynchronize());
}

Test(driver, devices) {
    open_driver("DEVICES=3", "SM=90", "MEMORY=123456789", "PROCESSORS=7", "DRIVER=12040", NULL);
    int value;
    OK(cu.cuInit(0));
    OK(cu.cuDriverGetVersion(&value));
    cr_assert_eq(value, 12040);
    OK(cu.cuDeviceGetCount(&value));
    cr_assert_eq(value, 3);
    CUdevice device;
    OK(cu.cuDeviceGet(&device, 2));
    GIVES(ERROR_INVALID_DEVICE, cu.cuDeviceGet(&device, 3));
    GIVES(ERROR_INVALID_DEVICE, cu.cuDeviceGet(&device, -1));
    GIVES(ERROR_INVALID_VALUE, cu.cuDeviceGet(NULL, 0));
    char name[8];
    OK(cu.cuDeviceGetName(name, sizeof name, 1));
    cr_assert_str_eq(name, "Quern e"); /* cut, with its end */
    char id[16];
    OK(cu.cuDeviceGetPCIBusId(id, sizeof id, 1));
    cr_assert_str_eq(id, "0000:02:00.0");
    GIVES(ERROR_INVALID_VALUE, cu.cuDeviceGetPCIBusId(id, 12, 1));
    size_t bytes;
    OK(cu.cuDeviceTotalMem_v2(&bytes, 1));
    cr_assert_eq(bytes, 123456789);
    OK(cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
    cr_assert_eq(value, 9);
    OK(cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
    cr_assert_eq(value, 7);
    OK(cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 0));
    cr_assert_eq(value, 232448);
    OK(cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
    cr_assert_eq(value, 32);
    GIVES(ERROR_INVALID_VALUE, cu.cuDeviceGetAttribute(&value, (CUdevice_attribute)9999, 0));
    GIVES(ERROR_INVALID_DEVICE, cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 3));
    CUuuid first, second;
    OK(cu.cuDeviceGetUuid(&first, 0));
    OK(cu.cuDeviceGetUuid_v2(&second, 1));
    cr_assert(memcmp(&first, &second, sizeof first));
    OK(cu.cuDeviceCanAccessPeer(&value, 0, 1));
    cr_assert_eq(value, 0);
}

Test(driver, error_names) {
    open_driver(NULL);
    const char *text;
    OK(cu.cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    cr_assert_str_eq(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
    OK(cu.cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    cr_assert_str_eq(text, "an illegal memory access was encountered");
    GIVES(ERROR_INVALID_VALUE, cu.cuGetErrorName((CUresult)12345, &text));
    cr_assert_null(text);
}

Test(driver, entry_points) {
    open_driver("MISSING=cuMemAllocAsync,cuStreamCreate", NULL);
    void *function;
    CUdriverProcAddressQueryResult status;
    OK(cu.cuGetProcAddress_v2("cuMemAlloc", &function, 12000, 0, &status));
    cr_assert_eq(function, *(void **)&cu.cuMemAlloc_v2);
    cr_assert_eq(status, CU_GET_PROC_ADDRESS_SUCCESS);
    OK(cu.cuGetProcAddress_v2("cuMemPrefetchAsync", &function, 12000, 0, &status));
    cr_assert_eq(function, *(void **)&cu.cuMemPrefetchAsync);
    OK(cu.cuGetProcAddress_v2("cuMemPrefetchAsync", &function, 12020, 0, &status));
    cr_assert_eq(function, *(void **)&cu.cuMemPrefetchAsync_v2);
    OK(cu.cuGetProcAddress_v2("cuGraphInstantiate", &function, 12000, 0, &status));
    cr_assert_eq(function, *(void **)&cu.cuGraphInstantiateWithFlags);
    OK(cu.cuGetProcAddress_v2("cuLibraryLoadData", &function, 11000, 0, &status));
    cr_assert_null(function);
    cr_assert_eq(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    OK(cu.cuGetProcAddress_v2("cuMemAllocAsync", &function, 12000, 0, &status));
    cr_assert_eq(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    GIVES(ERROR_NOT_FOUND, cu.cuGetProcAddress("cuStreamCreate", &function, 12000, 0));
    OK(cu.cuGetProcAddress("cuStreamCreateWithPriority", &function, 12000, 0));
    GIVES(ERROR_NOT_FOUND, cu.cuGetProcAddress("cuMemAlloc_v2", &function, 12000, 0));
    GIVES(ERROR_INVALID_VALUE, cu.cuGetProcAddress(NULL, &function, 12000, 0));
}

Test(driver, contexts) {
    open_driver("DEVICES=2", NULL);
    OK(cu.cuInit(0));
    CUcontext a, b, got;
    unsigned int flags;
    int active;
    GIVES(ERROR_INVALID_CONTEXT, cu.cuDevicePrimaryCtxRelease_v2(0));
    OK(cu.cuDevicePrimaryCtxGetState(0, &flags, &active));
    cr_assert_eq(active, 0);
    OK(cu.cuDevicePrimaryCtxSetFlags_v2(0, 4));
    GIVES(ERROR_INVALID_VALUE, cu.cuDevicePrimaryCtxSetFlags_v2(0, 3));
    OK(cu.cuDevicePrimaryCtxRetain(&a, 0));
    OK(cu.cuDevicePrimaryCtxRetain(&b, 0));
    cr_assert_eq(a, b);
    OK(cu.cuDevicePrimaryCtxGetState(0, &flags, &active));
    cr_assert(active && flags == 4);
    OK(cu.cuCtxGetCurrent(&got));
    cr_assert_null(got);
    OK(cu.cuCtxCreate_v2(&b, 0, 1)); /* and current */
    OK(cu.cuCtxGetCurrent(&got));
    cr_assert_eq(got, b);
    CUdevice device;
    OK(cu.cuCtxGetDevice(&device));
    cr_assert_eq(device, 1);
    OK(cu.cuCtxPushCurrent_v2(a));
    OK(cu.cuCtxGetDevice(&device));
    cr_assert_eq(device, 0);
    OK(cu.cuCtxPopCurrent_v2(&got));
    cr_assert_eq(got, a);
    GIVES(ERROR_PEER_ACCESS_UNSUPPORTED, cu.cuCtxEnablePeerAccess(a, 0));
    OK(cu.cuCtxDestroy_v2(b)); /* no longer current */
    GIVES(ERROR_INVALID_CONTEXT, cu.cuCtxPopCurrent_v2(&got));
    GIVES(ERROR_INVALID_CONTEXT, cu.cuCtxSetCurrent(b));
    GIVES(ERROR_INVALID_CONTEXT, cu.cuCtxDestroy_v2(b));
    GIVES(ERROR_INVALID_CONTEXT, cu.cuCtxDestroy_v2(a)); /* a primary one */
    OK(cu.cuCtxSetCurrent(a));
    size_t limit;
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
    OK(cu.cuCtxGetLimit(&limit, CU_LIMIT_STACK_SIZE));
    cr_assert_eq(limit, 4096);
    GIVES(ERROR_UNSUPPORTED_LIMIT, cu.cuCtxGetLimit(&limit, (CUlimit)99));
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    GIVES(ERROR_CONTEXT_IS_DESTROYED, cu.cuCtxSynchronize());
    OK(cu.cuDevicePrimaryCtxRetain(&a, 0)); /* alive again */
    OK(cu.cuCtxSynchronize());
    OK(cu.cuDevicePrimaryCtxReset_v2(0));
    GIVES(ERROR_CONTEXT_IS_DESTROYED, cu.cuCtxSynchronize());
    OK(cu.cuCtxSetCurrent(NULL));
}

Test(driver, module_logs) {
    start(NULL);
    CUmodule module;
    char info[100] = "x", error[100] = "x";
    CUjit_option options[] = {CU_JIT_INFO_LOG_BUFFER,    CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
                              CU_JIT_ERROR_LOG_BUFFER,   CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                              CU_JIT_OPTIMIZATION_LEVEL, CU_JIT_TARGET};
    void *values[] = {info, (void *)sizeof info, error, (void *)sizeof error, (void *)4, (void *)80};
    GIVES(ERROR_INVALID_PTX, cu.cuModuleLoadDataEx(&module, "nonsense, no module at all", 6, options, values));
    cr_assert_gt(strlen(error), 5, "%s", error);
    cr_assert_eq((size_t)values[3], strlen(error));
    cr_assert_eq((size_t)values[1], 0);
    cr_assert_str_eq(info, "");
    values[3] = (void *)5;
    GIVES(ERROR_INVALID_PTX, cu.cuModuleLoadDataEx(&module, "nonsense, no module at all", 6, options, values));
    cr_assert_eq(strlen(error), 4); /* cut */
    cr_assert(logged("a module was refused"));
    values[3] = (void *)sizeof error;
    OK(cu.cuModuleLoadDataEx(&module, kernels_text, 6, options, values));
    OK(cu.cuModuleUnload(module));
    values[4] = (void *)5;
    GIVES(ERROR_INVALID_VALUE, cu.cuModuleLoadDataEx(&module, kernels_text, 6, options, values));
    values[4] = (void *)4;
    values[5] = (void *)90;
    values[1] = (void *)sizeof info;
    GIVES(ERROR_NO_BINARY_FOR_GPU, cu.cuModuleLoadDataEx(&module, kernels_text, 6, options, values));
    GIVES(ERROR_NO_BINARY_FOR_GPU, cu.cuModuleLoadData(&module, "\177ELF..."));
    GIVES(ERROR_INVALID_VALUE, cu.cuModuleLoadData(&module, NULL));
    GIVES(ERROR_INVALID_VALUE, cu.cuModuleLoadData(NULL, kernels_text));
}

Test(driver, ptx_versions) {
    open_driver("DRIVER=11020", NULL); /* PTX 7.2 */
    CUmodule module;
    OK(cu.cuInit(0));
    OK(cu.cuDevicePrimaryCtxRetain(&cu.context, 0));
    OK(cu.cuCtxSetCurrent(cu.context));
    OK(cu.cuModuleLoadData(&module,
                           ".version 7.2\n.target sm_80\n.address_size 64\n.visible .entry e()\n{\n ret;\n}\n"));
    GIVES(ERROR_UNSUPPORTED_PTX_VERSION,
          cu.cuModuleLoadData(&module,
                              ".version 7.3\n.target sm_80\n.address_size 64\n.visible .entry e()\n{\n ret;\n}\n"));
}

Test(driver, modules) {
    start(NULL);
    CUfunction function, again;
    GIVES(ERROR_NOT_FOUND, cu.cuModuleGetFunction(&function, cu.module, "absent"));
    GIVES(ERROR_INVALID_VALUE, cu.cuModuleGetFunction(&function, cu.module, NULL));
    GIVES(ERROR_INVALID_HANDLE, cu.cuModuleGetFunction(&function, NULL, "nop"));
    GIVES(ERROR_INVALID_HANDLE, cu.cuModuleGetFunction(&function, (CUmodule)(void *)cu.context, "nop"));
    OK(cu.cuModuleGetFunction(&function, cu.module, "nop"));
    OK(cu.cuModuleGetFunction(&again, cu.module, "nop"));
    cr_assert_eq(function, again);
    CUdeviceptr address;
    size_t size;
    OK(cu.cuModuleGetGlobal_v2(&address, &size, cu.module, "counter"));
    cr_assert_eq(size, 4);
    cr_assert_eq(word(address), 7);
    OK(launch_add(address, 5, NULL));
    cr_assert_eq(word(address), 12);
    GIVES(ERROR_NOT_FOUND, cu.cuModuleGetGlobal_v2(&address, &size, cu.module, "absent"));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemFree_v2(address)); /* the module's */
    CUmoduleLoadingMode mode;
    OK(cu.cuModuleGetLoadingMode(&mode));
    cr_assert_eq(mode, CU_MODULE_EAGER_LOADING);
    OK(cu.cuModuleUnload(cu.module));
    GIVES(ERROR_INVALID_HANDLE, cu.cuModuleUnload(cu.module));
    GIVES(ERROR_INVALID_HANDLE, cu.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemcpyDtoH_v2(&size, address, 4));
}

Test(driver, libraries) {
    start(NULL);
    CUlibrary library;
    CUkernel k;
    CUfunction function;
    CUmodule module;
    OK(cu.cuLibraryLoadData(&library, kernels_text, NULL, NULL, 0, NULL, NULL, 0));
    OK(cu.cuLibraryGetKernel(&k, library, "nop"));
    GIVES(ERROR_NOT_FOUND, cu.cuLibraryGetKernel(&k, library, "absent"));
    OK(cu.cuKernelGetFunction(&function, k));
    OK(cu.cuLaunchKernel(function, 2, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
    OK(cu.cuLibraryGetModule(&module, library));
    GIVES(ERROR_INVALID_HANDLE, cu.cuModuleUnload(module));
    OK(cu.cuLibraryUnload(library));
    GIVES(ERROR_INVALID_HANDLE, cu.cuLibraryUnload(library));
    GIVES(ERROR_INVALID_HANDLE, cu.cuKernelGetFunction(&function, k));
}

Test(driver, launch_shapes) {
    start(NULL);
    CUfunction nop = kernel("nop"), bounded = kernel("bounded");
#define SHAPE(f, gx, gy, gz, bx, by, bz, shared) cu.cuLaunchKernel(f, gx, gy, gz, bx, by, bz, shared, NULL, NULL, NULL)
    OK(SHAPE(nop, 3, 2, 2, 8, 4, 2, 0));
    OK(SHAPE(nop, 1, 1, 1, 1024, 1, 1, 0));
    GIVES(ERROR_INVALID_VALUE, SHAPE(nop, 0, 1, 1, 1, 1, 1, 0));
    GIVES(ERROR_INVALID_VALUE, SHAPE(nop, 1, 1, 1, 1, 0, 1, 0));
    GIVES(ERROR_INVALID_VALUE, SHAPE(nop, 1, 65536, 1, 1, 1, 1, 0));
    GIVES(ERROR_INVALID_VALUE, SHAPE(nop, 1, 1, 1, 1025, 1, 1, 0));
    GIVES(ERROR_INVALID_VALUE, SHAPE(nop, 1, 1, 1, 1, 1, 65, 0));
    GIVES(ERROR_INVALID_VALUE, SHAPE(nop, 1, 1, 1, 64, 32, 1, 0));
    OK(SHAPE(bounded, 1, 1, 1, 64, 1, 1, 0));
    GIVES(ERROR_INVALID_VALUE, SHAPE(bounded, 1, 1, 1, 65, 1, 1, 0));
    OK(SHAPE(nop, 1, 1, 1, 1, 1, 1, 48 << 10));
    GIVES(ERROR_INVALID_VALUE, SHAPE(nop, 1, 1, 1, 1, 1, 1, (48 << 10) + 1));
    OK(cu.cuFuncSetAttribute(nop, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100 << 10));
    OK(SHAPE(nop, 1, 1, 1, 1, 1, 1, 100 << 10));
    GIVES(ERROR_INVALID_VALUE, cu.cuFuncSetAttribute(nop, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 200 << 10));
    GIVES(ERROR_INVALID_VALUE, cu.cuFuncSetAttribute(nop, CU_FUNC_ATTRIBUTE_NUM_REGS, 10));
    GIVES(ERROR_INVALID_HANDLE, SHAPE(NULL, 1, 1, 1, 1, 1, 1, 0));
    GIVES(ERROR_INVALID_HANDLE, cu.cuLaunchKernel(nop, 1, 1, 1, 1, 1, 1, 0, (CUstream)(void *)nop, NULL, NULL));
    OK(cu.cuCtxSynchronize());
    cr_assert(logged("launch of nop refused: grid 0 x 1 x 1"));
}

Test(driver, launch_parameters) {
    start(NULL);
    CUdeviceptr data = allocate(64);
    struct {
        CUdeviceptr to;
        uint32_t count, value;
    } block = {data, 16, 9};
    size_t size = sizeof block;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &block, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
    void *parameters[] = {&block.to, &block.count, &block.value};
    CUfunction fill = kernel("fill");
    OK(cu.cuLaunchKernel(fill, 1, 1, 1, 16, 1, 1, 0, NULL, NULL, extra));
    block.value = 10; /* they were copied by the call */
    cr_assert_eq(word(data + 60), 9);
    OK(cu.cuLaunchKernel(fill, 1, 1, 1, 16, 1, 1, 0, NULL, parameters, NULL));
    block.value = 11;
    cr_assert_eq(word(data + 60), 10);
    GIVES(ERROR_INVALID_VALUE, cu.cuLaunchKernel(fill, 1, 1, 1, 16, 1, 1, 0, NULL, parameters, extra));
    GIVES(ERROR_INVALID_VALUE, cu.cuLaunchKernel(fill, 1, 1, 1, 16, 1, 1, 0, NULL, NULL, NULL));
    size = 12;
    GIVES(ERROR_INVALID_VALUE, cu.cuLaunchKernel(fill, 1, 1, 1, 16, 1, 1, 0, NULL, NULL, extra));
    parameters[1] = NULL;
    GIVES(ERROR_INVALID_VALUE, cu.cuLaunchKernel(fill, 1, 1, 1, 16, 1, 1, 0, NULL, parameters, NULL));
}

Test(driver, launch_attributes) {
    start(NULL);
    CUlaunchAttribute attributes[1] = {{.id = CU_LAUNCH_ATTRIBUTE_PRIORITY}};
    CUlaunchConfig config = {.gridDimX = 1,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 32,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .attrs = attributes,
                             .numAttrs = 1};
    CUfunction nop = kernel("nop");
    OK(cu.cuLaunchKernelEx(&config, nop, NULL, NULL));
    attributes[0].id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    OK(cu.cuLaunchKernelEx(&config, nop, NULL, NULL));
    attributes[0].value.cooperative = 1;
    GIVES(ERROR_NOT_SUPPORTED, cu.cuLaunchKernelEx(&config, nop, NULL, NULL));
    GIVES(ERROR_INVALID_VALUE, cu.cuLaunchKernelEx(NULL, nop, NULL, NULL));
}

Test(driver, functions_and_occupancy) {
    start("SM=86", NULL);
    CUfunction nop = kernel("nop"), shared = kernel("shared"), bounded = kernel("bounded");
    int value, grid, block;
    OK(cu.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, bounded));
    cr_assert_eq(value, 64);
    OK(cu.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, shared));
    cr_assert_eq(value, 1024);
    OK(cu.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared));
    cr_assert_eq(value, 47 << 10);
    OK(cu.cuFuncSetCacheConfig(nop, CU_FUNC_CACHE_PREFER_L1));
    OK(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, nop, 1024, 0));
    cr_assert_eq(value, 1); /* 1536 threads */
    OK(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, nop, 32, 0));
    cr_assert_eq(value, 16); /* blocks */
    OK(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, nop, 32, 24 << 10));
    cr_assert_eq(value, 4); /* 100 KiB, 1 KiB of each block is the system's */
    OK(cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, bounded, 65, 0));
    cr_assert_eq(value, 0);
    OK(cu.cuOccupancyMaxPotentialBlockSize(&grid, &block, nop, NULL, 0, 0));
    cr_assert_eq(block, 768); /* twice 768 are 1536 */
    cr_assert_eq(grid, 8);
    OK(cu.cuOccupancyMaxPotentialBlockSize(&grid, &block, nop, NULL, 0, 100));
    cr_assert_leq(block, 100);
}

Test(driver, malformed_settings) {
    static const char *const bad[] = {"SM=81",
                                      "SM=",
                                      "SM=80x",
                                      "DEVICES=17",
                                      "MEMORY=-1",
                                      "MEMORY=1e9",
                                      "DRIVER=10000",
                                      "DRIVER=12345",
                                      "PROCESSORS=0",
                                      "WORKERS=x",
                                      "CHECKS=races",
                                      "CHECKS=race,",
                                      "FAULT=alloc",
                                      "FAULT=alloc:0",
                                      "FAULT=alloc:x",
                                      "FAULT=what:1",
                                      "FAULT=alloc:1,,",
                                      "FAULT=slow-copy:0",
                                      "FAULT=slow-copy:fast",
                                      "FAULT=init:1"};
    open_driver(NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char name[64] = "QUERN_EMULATOR_";
        strncat(name, bad[i], strcspn(bad[i], "="));
        setenv(name, strchr(bad[i], '=') + 1, 1);
        expect(cu.cuInit(0), CUDA_ERROR_INVALID_VALUE, bad[i], __LINE__);
        cr_assert(logged(name));
        unsetenv(name);
    }
    setenv("QUERN_EMULATOR_SM", "120", 1);
    setenv("QUERN_EMULATOR_DRIVER", "12040", 1);
    GIVES(ERROR_INVALID_VALUE, cu.cuInit(0));
    cr_assert(logged("needs 12080"));
    setenv("QUERN_EMULATOR_DRIVER", "12090", 1);
    OK(cu.cuInit(0)); /* an error is no end */
}

Test(driver, no_devices) {
    open_driver("DEVICES=0", NULL);
    GIVES(ERROR_NO_DEVICE, cu.cuInit(0));
}

Test(driver, a_fork_sees_no_driver) {
    start(NULL);
    OK(launch_nop(NULL));
    pid_t child = fork();
    if (!child) {
        CUdeviceptr address;
        _exit(cu.cuMemAlloc_v2(&address, 4) == CUDA_ERROR_NOT_INITIALIZED && cu.cuInit(0) == CUDA_ERROR_NOT_INITIALIZED
                  ? 0
                  : 1);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    OK(cu.cuCtxSynchronize());
}
