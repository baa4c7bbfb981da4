/* Graphs and stream capture. */
#include "tests/emulator/driver.h"

static CUDA_KERNEL_NODE_PARAMS adds(void **parameters) {
    return (CUDA_KERNEL_NODE_PARAMS){.func = kernel("add"),
                                     .gridDimX = 1,
                                     .gridDimY = 1,
                                     .gridDimZ = 1,
                                     .blockDimX = 1,
                                     .blockDimY = 1,
                                     .blockDimZ = 1,
                                     .kernelParams = parameters};
}

static CUstream make_stream(void) {
    CUstream stream;
    OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    return stream;
}

Test(driver_graph, nodes) {
    start(NULL);
    CUdeviceptr data = allocate(4), copy = allocate(4);
    uint32_t one = 1, result = 0;
    void *parameters[] = {&data, &one};
    CUgraph graph;
    CUgraphNode set, add, move, out, nodes[8];
    CUgraphExec exec;
    OK(cu.cuGraphCreate(&graph, 0));
    CUDA_MEMSET_NODE_PARAMS zero = {.dst = data, .value = 5, .elementSize = 4, .width = 1, .height = 1};
    CUDA_KERNEL_NODE_PARAMS launch = adds(parameters);
    CUDA_MEMCPY3D between = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                             .srcDevice = data,
                             .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                             .dstDevice = copy,
                             .WidthInBytes = 4,
                             .Height = 1,
                             .Depth = 1};
    CUDA_MEMCPY3D home = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .srcDevice = copy,
                          .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = &result,
                          .WidthInBytes = 4,
                          .Height = 1,
                          .Depth = 1};
    OK(cu.cuGraphAddMemsetNode(&set, graph, NULL, 0, &zero, cu.context));
    OK(cu.cuGraphAddKernelNode_v2(&add, graph, &set, 1, &launch));
    OK(cu.cuGraphAddMemcpyNode(&move, graph, &add, 1, &between, cu.context));
    OK(cu.cuGraphAddMemcpyNode(&out, graph, &move, 1, &home, cu.context));
    size_t count = 8;
    OK(cu.cuGraphGetNodes(graph, nodes, &count));
    cr_assert(count == 4 && nodes[0] == set && nodes[3] == out && !nodes[4]);
    OK(cu.cuGraphInstantiateWithFlags(&exec, graph, 0));
    for (int i = 0; i < 3; i++) {
        OK(cu.cuGraphLaunch(exec, NULL));
        OK(cu.cuCtxSynchronize());
        cr_assert_eq(result, 6);
    }
    one = 10;
    OK(cu.cuGraphExecKernelNodeSetParams_v2(exec, add, &launch));
    GIVES(ERROR_INVALID_VALUE, cu.cuGraphExecKernelNodeSetParams_v2(exec, set, &launch));
    OK(cu.cuGraphLaunch(exec, make_stream()));
    OK(cu.cuCtxSynchronize());
    cr_assert_eq(result, 15);
    GIVES(ERROR_INVALID_VALUE, cu.cuGraphAddKernelNode(&add, graph, nodes + 4, 1, &launch));
    CUgraphNode twice[] = {set, set};
    GIVES(ERROR_INVALID_VALUE, cu.cuGraphAddKernelNode(&add, graph, twice, 2, &launch));
    launch.gridDimX = 0;
    GIVES(ERROR_INVALID_VALUE, cu.cuGraphAddKernelNode(&add, graph, NULL, 0, &launch));
    OK(cu.cuGraphDestroy(graph));
    GIVES(ERROR_INVALID_VALUE, cu.cuGraphDestroy(graph));
    OK(cu.cuGraphLaunch(exec, NULL)); /* outlives its graph */
    OK(cu.cuGraphExecDestroy(exec));  /* while it may still run */
    OK(cu.cuCtxSynchronize());
    GIVES(ERROR_INVALID_VALUE, cu.cuGraphLaunch(exec, NULL));
    cr_assert_eq(statistics().launches, 5);
}

Test(driver_graph, launches_of_an_executable_are_in_order) {
    start(NULL);
    CUstream a = make_stream(), b = make_stream();
    uint32_t *flag;
    OK(cu.cuMemAllocHost_v2((void **)&flag, 4));
    __atomic_store_n(flag, 0, __ATOMIC_RELEASE);
    CUgraph graph;
    CUgraphExec exec;
    OK(cu.cuStreamBeginCapture_v2(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(launch_nop(a));
    OK(cu.cuStreamEndCapture(a, &graph));
    OK(cu.cuGraphInstantiateWithFlags(&exec, graph, 0));
    OK(launch_wait((CUdeviceptr)(uintptr_t)flag, a));
    OK(cu.cuGraphLaunch(exec, a));
    OK(cu.cuGraphLaunch(exec, b));
    usleep(20000);
    GIVES(ERROR_NOT_READY, cu.cuStreamQuery(b));
    __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
    OK(cu.cuStreamSynchronize(b));
}

/* Of nodes without an edge between them the last added runs first. */
Test(driver_graph, a_missing_edge_shows) {
    start(NULL);
    CUdeviceptr data = allocate(4);
    CUDA_MEMSET_NODE_PARAMS first = {.dst = data, .value = 1, .elementSize = 4, .width = 1, .height = 1},
                            second = first;
    second.value = 2;
    CUgraph graph;
    CUgraphNode node;
    CUgraphExec exec;
    OK(cu.cuGraphCreate(&graph, 0));
    OK(cu.cuGraphAddMemsetNode(&node, graph, NULL, 0, &first, cu.context));
    OK(cu.cuGraphAddMemsetNode(&node, graph, NULL, 0, &second, cu.context));
    OK(cu.cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    OK(cu.cuGraphLaunch(exec, NULL));
    cr_assert_eq(word(data), 1);
}

Test(driver_graph, an_unloaded_module) {
    start(NULL);
    CUdeviceptr data = allocate(4);
    uint32_t one = 1;
    void *parameters[] = {&data, &one};
    CUDA_KERNEL_NODE_PARAMS launch = adds(parameters);
    CUgraph graph;
    CUgraphNode node;
    CUgraphExec exec;
    OK(cu.cuGraphCreate(&graph, 0));
    OK(cu.cuGraphAddKernelNode(&node, graph, NULL, 0, &launch));
    OK(cu.cuGraphInstantiateWithFlags(&exec, graph, 0));
    OK(cu.cuModuleUnload(cu.module));
    GIVES(ERROR_INVALID_HANDLE, cu.cuGraphLaunch(exec, NULL));
}

static void count_up(void *data) {
    ++*(int *)data;
}

Test(driver_graph, capture) {
    start(NULL);
    CUstream a = make_stream(), b = make_stream();
    CUevent fork, join;
    CUdeviceptr data = allocate(4), other = allocate(4);
    int called = 0;
    OK(cu.cuMemsetD32_v2(data, 0, 1));
    OK(cu.cuMemsetD32_v2(other, 0, 1));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
    CUstreamCaptureStatus status;
    OK(cu.cuStreamBeginCapture_v2(a, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    OK(cu.cuStreamIsCapturing(a, &status));
    cr_assert_eq(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    GIVES(ERROR_ILLEGAL_STATE, cu.cuStreamBeginCapture_v2(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(launch_add(data, 1, a));
    OK(cu.cuEventRecord(fork, a));
    OK(cu.cuStreamWaitEvent(b, fork, 0)); /* b is drawn in */
    OK(launch_add(other, 1, b));
    OK(launch_add(data, 1, a));
    OK(cu.cuEventRecord(join, b));
    OK(cu.cuStreamWaitEvent(a, join, 0));
    OK(cu.cuMemcpyDtoDAsync_v2(other, data, 4, a));
    OK(cu.cuLaunchHostFunc(a, count_up, &called));
    GIVES(ERROR_CAPTURED_EVENT, cu.cuEventQuery(fork));
    CUgraph graph;
    OK(cu.cuStreamEndCapture(a, &graph));
    OK(cu.cuStreamIsCapturing(b, &status));
    cr_assert_eq(status, CU_STREAM_CAPTURE_STATUS_NONE);
    OK(cu.cuCtxSynchronize());
    cr_assert_eq(word(data), 0); /* nothing ran */
    CUgraphExec exec;
    size_t count;
    OK(cu.cuGraphGetNodes(graph, NULL, &count));
    cr_assert_eq(count, 5);
    OK(cu.cuGraphInstantiateWithFlags(&exec, graph, 0));
    for (int i = 0; i < 10; i++) OK(cu.cuGraphLaunch(exec, i % 2 ? a : b)); /* one after the other all the same */
    OK(cu.cuCtxSynchronize());
    cr_assert_eq(word(data), 20);
    cr_assert_eq(word(other), 20);
    cr_assert_eq(called, 10);
}

Test(driver_graph, what_breaks_a_capture) {
    start(NULL);
    CUstream a = make_stream(), b = make_stream(), blocking;
    CUgraph graph;
    CUdeviceptr address;
    CUevent event, outside;
    CUstreamCaptureStatus status;
    OK(cu.cuEventCreate(&event, 0));
    OK(cu.cuEventCreate(&outside, 0));
    OK(cu.cuEventRecord(outside, b));
    GIVES(ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(ERROR_ILLEGAL_STATE, cu.cuStreamEndCapture(a, &graph));

    OK(cu.cuStreamBeginCapture_v2(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuStreamSynchronize(a));
    OK(cu.cuStreamIsCapturing(a, &status));
    cr_assert_eq(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    GIVES(ERROR_STREAM_CAPTURE_INVALIDATED, launch_nop(a));
    GIVES(ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(a, &graph));
    cr_assert_null(graph);

    OK(cu.cuStreamBeginCapture_v2(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuMemAlloc_v2(&address, 4));
    GIVES(ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(a, &graph));

    OK(cu.cuStreamBeginCapture_v2(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(ERROR_STREAM_CAPTURE_UNSUPPORTED, cu.cuEventQuery(outside)); /* of another stream */
    GIVES(ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(a, &graph));

    OK(cu.cuStreamBeginCapture_v2(a, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cu.cuMemAlloc_v2(&address, 4));
    GIVES(ERROR_STREAM_CAPTURE_ISOLATION, cu.cuStreamWaitEvent(a, outside, 0));
    GIVES(ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(a, &graph));

    OK(cu.cuStreamBeginCapture_v2(a, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(launch_nop(a));
    OK(cu.cuEventRecord(event, a));
    OK(cu.cuStreamWaitEvent(b, event, 0));
    OK(launch_nop(b));
    GIVES(ERROR_STREAM_CAPTURE_UNJOINED, cu.cuStreamEndCapture(a, &graph));
    GIVES(ERROR_CAPTURED_EVENT, cu.cuStreamWaitEvent(b, event, 0)); /* the capture is over */

    OK(cu.cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    OK(cu.cuStreamBeginCapture_v2(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
    GIVES(ERROR_STREAM_CAPTURE_IMPLICIT, launch_nop(NULL));
    OK(cu.cuStreamDestroy_v2(blocking)); /* ends the capture */
    OK(launch_nop(NULL));

    OK(cu.cuStreamBeginCapture_v2(a, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cu.cuStreamBeginCapture_v2(b, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cu.cuEventRecord(event, a));
    GIVES(ERROR_STREAM_CAPTURE_MERGE, cu.cuStreamWaitEvent(b, event, 0));
    GIVES(ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(a, &graph));
    GIVES(ERROR_STREAM_CAPTURE_INVALIDATED, cu.cuStreamEndCapture(b, &graph));
    OK(cu.cuCtxSynchronize());
}

static CUresult other_thread_result;
static CUstream captured;
static void *end_elsewhere(void *unused) {
    CUgraph graph;
    (void)unused;
    cu.cuCtxSetCurrent(cu.context);
    other_thread_result = cu.cuStreamEndCapture(captured, &graph);
    return NULL;
}

Test(driver_graph, a_capture_belongs_to_its_thread) {
    start(NULL);
    captured = make_stream();
    CUgraph graph;
    pthread_t thread;
    OK(cu.cuStreamBeginCapture_v2(captured, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    pthread_create(&thread, NULL, end_elsewhere, NULL);
    pthread_join(thread, NULL);
    cr_assert_eq(other_thread_result, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    OK(cu.cuStreamEndCapture(captured, &graph));
}
