/* Streams, events, host functions, stream-ordered memory: order, and the errors of wrong calls. */
#include "tests/emulator/driver.h"

/* A word that kernels can wait for and the host can set. */
static uint32_t *flag;
static CUdeviceptr flag_address;

static void start_with_flag(void) {
    start(NULL);
    OK(cu.cuMemAllocHost_v2((void **)&flag, 4));
    __atomic_store_n(flag, 0, __ATOMIC_RELEASE);
    OK(cu.cuMemHostGetDevicePointer_v2(&flag_address, flag, 0));
}

static void raise_flag(void) {
    __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
}

static CUstream make_stream(unsigned int flags) {
    CUstream stream;
    OK(cu.cuStreamCreate(&stream, flags));
    return stream;
}

static CUevent make_event(void) {
    CUevent event;
    OK(cu.cuEventCreate(&event, CU_EVENT_DEFAULT));
    return event;
}

Test(driver_stream, first_in_first_out) {
    start_with_flag();
    CUstream stream = make_stream(CU_STREAM_DEFAULT);
    CUdeviceptr data = allocate(4);
    OK(launch_wait(flag_address, stream));
    OK(cu.cuMemsetD32Async(data, 1, 1, stream));
    for (uint32_t i = 0; i < 50; i++) OK(launch_add(data, 1, stream));
    GIVES(ERROR_NOT_READY, cu.cuStreamQuery(stream));
    cr_assert_eq(*(volatile uint32_t *)(uintptr_t)data, UINT32_MAX); /* nothing happened yet */
    raise_flag();
    OK(cu.cuStreamSynchronize(stream));
    OK(cu.cuStreamQuery(stream));
    cr_assert_eq(word(data), 51);
    OK(cu.cuStreamDestroy_v2(stream));
    GIVES(ERROR_INVALID_HANDLE, cu.cuStreamSynchronize(stream));
    GIVES(ERROR_INVALID_HANDLE, cu.cuStreamDestroy_v2(stream));
}

Test(driver_stream, the_default_stream_waits_for_blocking_streams) {
    start_with_flag();
    CUstream blocking = make_stream(CU_STREAM_DEFAULT), other = make_stream(CU_STREAM_DEFAULT),
             free_one = make_stream(CU_STREAM_NON_BLOCKING);
    CUdeviceptr data = allocate(4);
    OK(cu.cuMemsetD32_v2(data, 0, 1));
    OK(cu.cuCtxSynchronize());
    OK(launch_wait(flag_address, blocking));
    OK(launch_nop(NULL));
    OK(launch_nop(other));
    OK(launch_add(data, 1, free_one));
    OK(cu.cuStreamSynchronize(free_one)); /* waits for neither */
    cr_assert_eq(*(volatile uint32_t *)(uintptr_t)data, 1);
    usleep(20000);
    GIVES(ERROR_NOT_READY, cu.cuStreamQuery(NULL));
    GIVES(ERROR_NOT_READY, cu.cuStreamQuery(CU_STREAM_LEGACY));
    GIVES(ERROR_NOT_READY, cu.cuStreamQuery(other)); /* waits for the default stream */
    raise_flag();
    OK(cu.cuStreamSynchronize(other));
    OK(cu.cuStreamQuery(blocking));
    OK(cu.cuStreamSynchronize(NULL));
}

Test(driver_stream, synchronising_the_default_stream_waits_for_blocking_ones) {
    start_with_flag();
    CUstream stream = make_stream(CU_STREAM_DEFAULT);
    CUdeviceptr data = allocate(4);
    OK(cu.cuMemsetD32Async(data, 5, 1, stream));
    for (int i = 0; i < 100; i++) OK(launch_add(data, 1, stream));
    OK(cu.cuStreamSynchronize(NULL));
    cr_assert_eq(*(volatile uint32_t *)(uintptr_t)data, 105);
}

Test(driver_stream, events) {
    start_with_flag();
    CUstream a = make_stream(CU_STREAM_NON_BLOCKING), b = make_stream(CU_STREAM_NON_BLOCKING);
    CUevent before = make_event(), after = make_event(), never = make_event();
    CUdeviceptr data = allocate(4);
    float milliseconds;
    OK(cu.cuEventQuery(never));
    OK(cu.cuEventSynchronize(never));
    OK(cu.cuStreamWaitEvent(b, never, 0));
    OK(cu.cuEventRecord(before, a));
    OK(launch_wait(flag_address, a));
    OK(cu.cuMemsetD32Async(data, 10, 1, a));
    OK(cu.cuEventRecord(after, a));
    OK(cu.cuStreamWaitEvent(b, after, 0));
    OK(launch_add(data, 1, b));
    GIVES(ERROR_NOT_READY, cu.cuEventQuery(after));
    GIVES(ERROR_NOT_READY, cu.cuEventElapsedTime(&milliseconds, before, after));
    OK(cu.cuEventSynchronize(before));
    usleep(30000);
    raise_flag();
    OK(cu.cuStreamSynchronize(b));
    OK(cu.cuEventQuery(after));
    cr_assert_eq(word(data), 11);
    OK(cu.cuEventElapsedTime(&milliseconds, before, after));
    cr_assert(milliseconds >= 29 && milliseconds < 10000, "%g", (double)milliseconds);
    OK(cu.cuEventElapsedTime_v2(&milliseconds, after, before));
    cr_assert(milliseconds < 0);
    GIVES(ERROR_INVALID_HANDLE, cu.cuEventElapsedTime(&milliseconds, before, never));
    CUevent untimed;
    OK(cu.cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    OK(cu.cuEventRecordWithFlags(untimed, a, 0));
    GIVES(ERROR_INVALID_HANDLE, cu.cuEventElapsedTime(&milliseconds, before, untimed));
    GIVES(ERROR_INVALID_VALUE, cu.cuEventCreate(&untimed, 16));
    OK(cu.cuEventDestroy_v2(after));
    GIVES(ERROR_INVALID_HANDLE, cu.cuEventRecord(after, a));
    GIVES(ERROR_INVALID_HANDLE, cu.cuStreamWaitEvent(b, after, 0));
}

Test(driver_stream, stale_handles) {
    start(NULL);
    for (int i = 0; i < 100; i++) {
        CUevent old = make_event();
        OK(cu.cuEventDestroy_v2(old));
        CUevent fresh = make_event();
        cr_assert_neq(old, fresh);
        GIVES(ERROR_INVALID_HANDLE, cu.cuEventQuery(old));
        OK(cu.cuEventDestroy_v2(fresh));
    }
}

/* Waiting for an event means its record at the time of the call. */
Test(driver_stream, an_event_recorded_again) {
    start_with_flag();
    CUstream a = make_stream(CU_STREAM_NON_BLOCKING), b = make_stream(CU_STREAM_NON_BLOCKING);
    CUevent event = make_event();
    OK(cu.cuEventRecord(event, a));
    OK(cu.cuStreamWaitEvent(b, event, 0));
    OK(launch_wait(flag_address, a));
    OK(cu.cuEventRecord(event, a));
    OK(cu.cuStreamSynchronize(b));
    GIVES(ERROR_NOT_READY, cu.cuEventQuery(event));
    raise_flag();
    OK(cu.cuEventSynchronize(event));
}

static int calls;
static pthread_t caller;
static void call(void *data) {
    CUdeviceptr address;
    caller = pthread_self();
    if (cu.cuMemAlloc_v2(&address, 4) == CUDA_ERROR_NOT_PERMITTED) *(int *)data = ++calls;
}

Test(driver_stream, host_functions) {
    start_with_flag();
    CUstream stream = make_stream(CU_STREAM_DEFAULT);
    int first = 0, second = 0;
    OK(launch_wait(flag_address, stream));
    OK(cu.cuLaunchHostFunc(stream, call, &first));
    OK(cu.cuLaunchHostFunc(NULL, call, &second));
    usleep(10000);
    cr_assert_eq(*(volatile int *)&first, 0);
    raise_flag();
    OK(cu.cuCtxSynchronize());
    cr_assert(first == 1 && second == 2);
    cr_assert_not(pthread_equal(caller, pthread_self()));
    GIVES(ERROR_INVALID_VALUE, cu.cuLaunchHostFunc(stream, NULL, NULL));
}

Test(driver_stream, pageable_memory_is_read_at_the_call) {
    start_with_flag();
    CUstream stream = make_stream(CU_STREAM_DEFAULT);
    CUdeviceptr a = allocate(4), b = allocate(4);
    uint32_t pageable = 1, *pinned, result;
    OK(cu.cuMemAllocHost_v2((void **)&pinned, 4));
    *pinned = 1;
    OK(launch_wait(flag_address, stream));
    OK(cu.cuMemcpyHtoDAsync_v2(a, &pageable, 4, stream));
    OK(cu.cuMemcpyHtoDAsync_v2(b, pinned, 4, stream));
    pageable = 2;
    *pinned = 2;
    raise_flag();
    OK(cu.cuMemcpyDtoHAsync_v2(&result, a, 4, stream)); /* into pageable memory: done when it returns */
    cr_assert_eq(result, 1);
    OK(cu.cuStreamSynchronize(stream));
    cr_assert_eq(word(b), 2);
}

Test(driver_stream, stream_ordered_memory) {
    start_with_flag();
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    CUdeviceptr a;
    OK(cu.cuMemAllocAsync(&a, 4, stream));
    OK(cu.cuMemsetD32Async(a, 3, 1, stream));
    OK(launch_add(a, 1, stream));
    OK(cu.cuStreamSynchronize(stream));
    cr_assert_eq(word(a), 4);
    OK(cu.cuMemFreeAsync(a, stream));
    OK(cu.cuStreamSynchronize(stream));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemFreeAsync(a, stream));
    OK(cu.cuMemAllocAsync(&a, 4, stream));
    OK(cu.cuMemFree_v2(a)); /* may be mixed */
    a = allocate(4);
    OK(cu.cuMemFreeAsync(a, stream));
    GIVES(ERROR_INVALID_VALUE, cu.cuMemAllocAsync(&a, 0, stream));
    OK(cu.cuCtxSynchronize());
}

Test(driver_stream, use_before_the_allocation_is_a_fault) {
    start_with_flag();
    CUstream a = make_stream(CU_STREAM_NON_BLOCKING), b = make_stream(CU_STREAM_NON_BLOCKING);
    CUdeviceptr data;
    OK(launch_wait(flag_address, a));
    OK(cu.cuMemAllocAsync(&data, 4, a));
    OK(launch_add(data, 1, b)); /* nothing orders it behind the allocation */
    GIVES(ERROR_ILLEGAL_ADDRESS, cu.cuStreamSynchronize(b));
    raise_flag();
}

Test(driver_stream, a_copy_before_the_allocation_is_a_fault) {
    start_with_flag();
    CUstream a = make_stream(CU_STREAM_NON_BLOCKING), b = make_stream(CU_STREAM_NON_BLOCKING);
    CUdeviceptr data;
    uint32_t value = 1;
    OK(launch_wait(flag_address, a));
    OK(cu.cuMemAllocAsync(&data, 4, a));
    OK(cu.cuMemcpyHtoDAsync_v2(data, &value, 4, b));
    GIVES(ERROR_ILLEGAL_ADDRESS, cu.cuStreamSynchronize(b));
    cr_assert(logged("a copy writes memory that is not allocated at this point"));
    raise_flag();
}

Test(driver_stream, use_after_the_free_is_a_fault) {
    start_with_flag();
    CUstream stream = make_stream(CU_STREAM_DEFAULT);
    CUdeviceptr data;
    OK(cu.cuMemAllocAsync(&data, 4, stream));
    OK(launch_wait(flag_address, stream));
    OK(cu.cuMemFreeAsync(data, stream));
    OK(cu.cuMemsetD32Async(data, 1, 1, stream));
    raise_flag();
    GIVES(ERROR_ILLEGAL_ADDRESS, cu.cuStreamSynchronize(stream));
    cr_assert(logged("not allocated at this point of its stream"));
}

Test(driver_stream, a_destroyed_stream_finishes_its_work) {
    start_with_flag();
    CUstream stream = make_stream(CU_STREAM_NON_BLOCKING);
    CUdeviceptr data = allocate(4);
    OK(cu.cuMemsetD32_v2(data, 0, 1));
    OK(cu.cuCtxSynchronize());
    OK(launch_wait(flag_address, stream));
    OK(launch_add(data, 1, stream));
    OK(cu.cuStreamDestroy_v2(stream)); /* returns at once */
    raise_flag();
    OK(cu.cuCtxSynchronize());
    cr_assert_eq(word(data), 1);
}

Test(driver_stream, properties) {
    start(NULL);
    CUstream stream;
    int least, greatest, priority;
    unsigned int flags;
    CUcontext context;
    OK(cu.cuCtxGetStreamPriorityRange(&least, &greatest));
    cr_assert(least == 0 && greatest < 0);
    OK(cu.cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, -100));
    OK(cu.cuStreamGetPriority(stream, &priority));
    cr_assert_eq(priority, greatest);
    OK(cu.cuStreamGetFlags(stream, &flags));
    cr_assert_eq(flags, CU_STREAM_NON_BLOCKING);
    OK(cu.cuStreamGetCtx(stream, &context));
    cr_assert_eq(context, cu.context);
    GIVES(ERROR_INVALID_VALUE, cu.cuStreamCreate(&stream, 2));
    GIVES(ERROR_INVALID_VALUE, cu.cuStreamCreate(NULL, 0));
    GIVES(ERROR_NOT_SUPPORTED, cu.cuStreamQuery(CU_STREAM_PER_THREAD));
    GIVES(ERROR_INVALID_HANDLE, cu.cuStreamDestroy_v2(NULL));
    GIVES(ERROR_INVALID_HANDLE, cu.cuStreamQuery((CUstream)(void *)cu.context));
    OK(cu.cuProfilerStart());
    OK(cu.cuProfilerStop());
}

/* Copies between device memory do not wait for anything, fills neither; the host waits for what it can see. */
Test(driver_stream, what_the_host_waits_for) {
    start_with_flag();
    CUdeviceptr a = allocate(8);
    OK(launch_wait(flag_address, NULL));
    OK(cu.cuMemsetD32_v2(a, 1, 1));
    OK(cu.cuMemcpyDtoD_v2(a + 4, a, 4));
    GIVES(ERROR_NOT_READY, cu.cuStreamQuery(NULL));
    raise_flag();
    cr_assert_eq(word(a + 4), 1);
}
