/* Many threads at once: on one context, one stream, each its own; built with ThreadSanitizer, this is what it looks at.
 */
#include "tests/emulator/driver.h"

enum { THREADS = 4, ROUNDS = 60 };

static void run(void *(*body)(void *argument), void *argument) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) cr_assert_eq(pthread_create(&threads[i], NULL, body, argument), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
    }
}

#define TRY(call)                                                                                                      \
    if ((call) != CUDA_SUCCESS) return &failed
static int failed;

static void *each_its_own(void *unused) {
    CUstream stream;
    CUevent event;
    CUfunction add;
    (void)unused;
    TRY(cu.cuCtxSetCurrent(cu.context));
    TRY(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    TRY(cu.cuEventCreate(&event, 0));
    TRY(cu.cuModuleGetFunction(&add, cu.module, "add"));
    for (uint32_t i = 0; i < ROUNDS; i++) {
        CUdeviceptr a, b;
        uint32_t from = i, to = 0, one = 1;
        TRY(cu.cuMemAllocAsync(&a, 4, stream));
        TRY(cu.cuMemAlloc_v2(&b, 4));
        TRY(cu.cuMemcpyHtoDAsync_v2(a, &from, 4, stream));
        void *parameters[] = {&a, &one};
        TRY(cu.cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL));
        TRY(cu.cuMemcpyDtoDAsync_v2(b, a, 4, stream));
        TRY(cu.cuMemFreeAsync(a, stream));
        TRY(cu.cuEventRecord(event, stream));
        TRY(cu.cuEventSynchronize(event));
        TRY(cu.cuMemcpyDtoH_v2(&to, b, 4));
        if (to != i + 1) return &failed;
        TRY(cu.cuMemFree_v2(b));
    }
    TRY(cu.cuEventDestroy_v2(event));
    TRY(cu.cuStreamDestroy_v2(stream));
    return NULL;
}

Test(driver_threads, each_its_own_stream) {
    start(NULL);
    run(each_its_own, NULL);
    OK(cu.cuCtxSynchronize());
    em_stats now = statistics();
    cr_assert_eq(now.live_allocations, 0);
    cr_assert_eq(now.launches, THREADS * ROUNDS);
    cr_assert_eq(now.streams, 1);
    cr_assert_eq(now.events, 0);
}

static void *one_stream(void *argument) {
    CUdeviceptr data = *(CUdeviceptr *)argument;
    uint32_t one = 1;
    void *parameters[] = {&data, &one};
    CUfunction add;
    TRY(cu.cuCtxSetCurrent(cu.context));
    TRY(cu.cuModuleGetFunction(&add, cu.module, "add"));
    for (int i = 0; i < ROUNDS; i++) {
        TRY(cu.cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, NULL));
        if (i % 7 == 0) TRY(cu.cuStreamSynchronize(NULL));
        if (i % 11 == 0) TRY(cu.cuCtxSynchronize());
    }
    return NULL;
}

Test(driver_threads, all_one_stream) {
    start(NULL);
    CUdeviceptr data = allocate(4);
    OK(cu.cuMemsetD32_v2(data, 0, 1));
    run(one_stream, &data);
    cr_assert_eq(word(data), THREADS * ROUNDS);
}

static void *modules_and_contexts(void *unused) {
    (void)unused;
    for (int i = 0; i < 10; i++) {
        CUcontext context;
        CUmodule module;
        CUfunction nop;
        CUdeviceptr data;
        uint32_t value;
        TRY(cu.cuCtxCreate_v2(&context, 0, i % 2));
        TRY(cu.cuModuleLoadData(&module, kernels_text));
        TRY(cu.cuModuleGetFunction(&nop, module, "nop"));
        TRY(cu.cuLaunchKernel(nop, 2, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
        TRY(cu.cuMemAlloc_v2(&data, 4));
        TRY(cu.cuMemsetD32_v2(data, 5, 1));
        TRY(cu.cuMemcpyDtoH_v2(&value, data, 4));
        if (value != 5) return &failed;
        TRY(cu.cuMemFree_v2(data));
        if (i % 3) TRY(cu.cuModuleUnload(module));
        TRY(cu.cuCtxDestroy_v2(context));
    }
    return NULL;
}

Test(driver_threads, modules_and_contexts) {
    start("DEVICES=2", NULL);
    run(modules_and_contexts, NULL);
    cr_assert_eq(statistics().modules, 1);
}

static void *hits_a_fault(void *argument) {
    CUdeviceptr data = *(CUdeviceptr *)argument;
    if (cu.cuCtxSetCurrent(cu.context)) return &failed;
    for (;;) {
        CUresult result = cu.cuMemsetD32Async(data, 1, 1, NULL);
        if (!result) result = cu.cuCtxSynchronize();
        if (result == CUDA_ERROR_LAUNCH_FAILED) return NULL;
        if (result) return &failed;
    }
}

static void *makes_a_fault(void *unused) {
    (void)unused;
    usleep(2000);
    if (cu.cuCtxSetCurrent(cu.context)) return &failed;
    return launch("trap", NULL, 1, NULL) ? &failed : NULL;
}

Test(driver_threads, a_fault_reaches_all_threads) {
    start(NULL);
    CUdeviceptr data = allocate(4);
    pthread_t maker;
    pthread_create(&maker, NULL, makes_a_fault, NULL);
    run(hits_a_fault, &data);
    void *result;
    pthread_join(maker, &result);
    cr_assert_null(result);
}
