/* The emulator's own allocations fail, each once and with all later ones: a call answers OUT_OF_MEMORY, nothing
 * crashes, nothing stays. The library is one that has failing_malloc.c in it. */
#include "tests/emulator/driver.h"

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        CUresult tried = call;                                                                                         \
        if (tried != CUDA_SUCCESS) return tried;                                                                       \
    } while (0)

static void nothing(void *data) {
    (void)data;
}

static CUresult graphs(CUstream stream, CUdeviceptr data) {
    CUgraph graph;
    CUgraphNode first, second;
    CUgraphExec exec;
    CUDA_MEMSET_NODE_PARAMS set = {.dst = data, .value = 5, .elementSize = 4, .width = 1, .height = 1};
    TRY(cu.cuGraphCreate(&graph, 0));
    TRY(cu.cuGraphAddMemsetNode(&first, graph, NULL, 0, &set, cu.context));
    TRY(cu.cuGraphAddMemsetNode(&second, graph, &first, 1, &set, cu.context));
    TRY(cu.cuGraphInstantiateWithFlags(&exec, graph, 0));
    TRY(cu.cuGraphLaunch(exec, stream));
    TRY(cu.cuGraphExecDestroy(exec));
    TRY(cu.cuGraphDestroy(graph));
    TRY(cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CUresult captured = cu.cuMemsetD32Async(data, 1, 1, stream);
    CUresult ended = cu.cuStreamEndCapture(stream, &graph);
    TRY(captured);
    return ended;
}

static CUresult everything(void) {
    CUstream stream;
    CUevent event;
    CUfunction add;
    CUdeviceptr a, b;
    void *pinned;
    static uint32_t registered[64];
    uint32_t one = 1, word_now;
    TRY(cu.cuInit(0));
    TRY(cu.cuDevicePrimaryCtxRetain(&cu.context, 0));
    TRY(cu.cuCtxSetCurrent(cu.context));
    TRY(cu.cuModuleLoadData(&cu.module, kernels_text));
    TRY(cu.cuModuleGetFunction(&add, cu.module, "add"));
    TRY(cu.cuStreamCreate(&stream, 0));
    TRY(cu.cuEventCreate(&event, 0));
    TRY(cu.cuMemAlloc_v2(&a, 4));
    TRY(cu.cuMemAllocAsync(&b, 4, stream));
    TRY(cu.cuMemAllocHost_v2(&pinned, 4));
    TRY(cu.cuMemHostRegister_v2(registered, sizeof registered, 0));
    TRY(cu.cuMemcpyHtoDAsync_v2(a, &one, 4, stream));
    void *parameters[] = {&a, &one};
    TRY(cu.cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL));
    TRY(cu.cuEventRecord(event, stream));
    TRY(cu.cuStreamWaitEvent(NULL, event, 0));
    TRY(cu.cuLaunchHostFunc(NULL, nothing, NULL));
    TRY(graphs(stream, b));
    TRY(cu.cuMemcpyDtoH_v2(&word_now, a, 4));
    if (word_now != 2) return CUDA_ERROR_UNKNOWN;
    TRY(cu.cuMemFreeAsync(b, stream));
    TRY(cu.cuMemFree_v2(a));
    TRY(cu.cuMemHostUnregister(registered));
    return cu.cuMemFreeHost(pinned);
}

static CUresult run(unsigned int number, bool onwards) {
    void *library = dlopen(EM_LIBRARY, RTLD_NOW | RTLD_NOLOAD), *symbol = dlsym(library, "em_fail_at");
    bool (*fail_at)(unsigned int number, bool onwards);
    memcpy(&fail_at, &symbol, sizeof symbol);
    fail_at(number, onwards);
    CUresult result = everything();
    bool failed = fail_at(0, false);
    if (failed == (result == CUDA_SUCCESS)) return CUDA_ERROR_UNKNOWN;
    cu.cuDevicePrimaryCtxReset_v2(0);
    return statistics().live_allocations ? CUDA_ERROR_UNKNOWN : result;
}

static void fail_each(bool onwards) {
    open_driver(NULL);
    CUresult last = CUDA_ERROR_UNKNOWN;
    unsigned int number = 1;
    for (; number < 1000 && last != CUDA_SUCCESS; number++) {
        pid_t child = fork(); /* before cuInit */
        if (!child) {
            CUresult result = run(number, onwards);
            _exit(result == CUDA_SUCCESS ? 0 : result == CUDA_ERROR_OUT_OF_MEMORY ? 2 : 3);
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) != 3, "allocation %u: status %#x", number,
                  (unsigned int)status);
        last = WEXITSTATUS(status) ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
    }
    cr_assert_gt(number, 30, "%u", number);
    cr_assert_eq(last, CUDA_SUCCESS);
}

Test(driver_allocation, each_fails_once) {
    fail_each(false);
}

Test(driver_allocation, each_fails_with_all_later_ones) {
    fail_each(true);
}
