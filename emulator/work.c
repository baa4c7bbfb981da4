/* Work: what an operation does when its turn comes. The lock is given up while bytes move, kernels run and host
 * functions are called.
 *
 * What an operation touches is checked when it runs, too: memory that is not there yet, or not any more, in stream
 * order is a fault as on the device. Nothing of the work is done once the context has an error, except that memory is
 * freed. */
#include "emulator/driver.h"

#include <stdlib.h>
#include <string.h>

void em_work_clear(em_work *work) {
    free(work->kernel.parameters);
    free(work->copy.staged);
    for (size_t i = 0; i < work->count; i++) em_work_clear(&work->items[i]);
    free(work->items);
    *work = (em_work){0};
}

/* Work of graph nodes: no staged bytes, no lists. */
bool em_work_clone(em_work *copy, const em_work *work) {
    *copy = *work;
    if (work->kind != EM_WORK_KERNEL || !work->kernel.parameters) return true;
    size_t bytes = em_function_describe(work->kernel.function).parameter_bytes;
    copy->kernel.parameters = malloc(bytes);
    if (!copy->kernel.parameters) {
        *copy = (em_work){0};
        return false;
    }
    memcpy(copy->kernel.parameters, work->kernel.parameters, bytes);
    return true;
}

void em_work_number(em_work *work) {
    for (size_t i = 0; i < work->count; i++) em_work_number(&work->items[i]);
    if (work->kind != EM_WORK_KERNEL) return;
    work->kernel.fails = em_requested(EM_REQUEST_LAUNCH);
    work->kernel.last = em_requested(EM_REQUEST_STICKY);
}

static CUresult result_of(em_fault_kind kind) {
    switch (kind) {
    case EM_FAULT_NONE: return CUDA_SUCCESS;
    case EM_FAULT_ADDRESS: return CUDA_ERROR_ILLEGAL_ADDRESS;
    case EM_FAULT_MISALIGNED: return CUDA_ERROR_MISALIGNED_ADDRESS;
    case EM_FAULT_SHARED: return CUDA_ERROR_ILLEGAL_ADDRESS;
    case EM_FAULT_ASSERT: return CUDA_ERROR_ASSERT;
    case EM_FAULT_LOOP: return CUDA_ERROR_LAUNCH_TIMEOUT;
    case EM_FAULT_TRAP:
    case EM_FAULT_RACE:
    case EM_FAULT_UNINITIALISED:
    case EM_FAULT_BARRIER:
    case EM_FAULT_CANCELLED: break;
    }
    return CUDA_ERROR_LAUNCH_FAILED;
}

static void fail(em_context *context, CUresult error, const char *text) {
    const char *name = "?";
    cuGetErrorName(error, &name);
    em_log("%s: %s", name, text);
    em__driver.statistics.faults++;
    em_context_fail(context, error);
}

void em_settle(void) {
    for (int i = 0; i < em__driver.settings.devices && !em__driver.running; i++)
        em_memory_settle(em__driver.devices[i].memory);
}

void em_run_begin(void) {
    em__driver.running++;
    pthread_mutex_unlock(&em__lock);
}

void em_run_end(void) {
    pthread_mutex_lock(&em__lock);
    em__driver.running--;
    em_settle();
}

static void run_kernel(em_context *context, const em_kernel *kernel) {
    if (kernel->fails) {
        fail(context, CUDA_ERROR_LAUNCH_FAILED, "on request (launch)");
        return;
    }
    em_device_state *state = em_device_of(context);
    em_launch launch = {.function = kernel->function,
                        .grid = {kernel->grid[0], kernel->grid[1], kernel->grid[2]},
                        .block = {kernel->block[0], kernel->block[1], kernel->block[2]},
                        .dynamic_shared = kernel->dynamic_shared,
                        .parameters = kernel->parameters,
                        .memory = state->memory,
                        .device = &state->device,
                        .cancel = &context->cancel};
    em_fault fault = {0};
    em__driver.statistics.launches++;
    em_run_begin();
    bool fine = em_execute(&launch, &fault);
    em_run_end();
    if (!fine && context->error) return; /* cancelled by the error that came first */
    if (!fine) fail(context, result_of(fault.kind), fault.text);
    if (kernel->last) fail(context, CUDA_ERROR_ECC_UNCORRECTABLE, "on request (sticky)");
}

/* The bytes from a side's first to its last. */
static size_t extent(size_t pitch, size_t slice, size_t width, size_t height, size_t depth) {
    return width && height && depth ? (depth - 1) * slice + (height - 1) * pitch + width : 0;
}

static void slow_down(size_t bytes) {
    double seconds = (double)bytes / em__driver.settings.copy_rate;
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left)) continue;
}

static void move(const em_copy *copy) {
    for (size_t z = 0; z < copy->depth; z++)
        for (size_t y = 0; y < copy->height; y++)
            memmove((char *)(uintptr_t)copy->to.address + z * copy->to.slice + y * copy->to.pitch,
                    (const char *)(uintptr_t)copy->from.address + z * copy->from.slice + y * copy->from.pitch,
                    copy->width);
}

static void run_copy(em_context *context, em_copy *copy) {
    size_t bytes = copy->width * copy->height * copy->depth;
    const em_side *sides[] = {&copy->to, &copy->from};
    for (int i = 0; i < 2; i++) {
        if (!sides[i]->known) continue;
        size_t size = extent(sides[i]->pitch, sides[i]->slice, copy->width, copy->height, copy->depth);
        if (em_range_there(context, sides[i]->address, size, true)) continue;
        fail(context, CUDA_ERROR_ILLEGAL_ADDRESS,
             i ? "a copy reads memory that is not allocated at this point of its stream"
               : "a copy writes memory that is not allocated at this point of its stream");
        return;
    }
    em_stats *statistics = &em__driver.statistics;
    statistics->copies++;
    if (copy->from.host != copy->to.host)
        *(copy->from.host ? &statistics->bytes_in : &statistics->bytes_out) += bytes;
    else if (!copy->from.host)
        statistics->bytes_between += bytes;
    if (copy->staged) copy->from.address = (uint64_t)(uintptr_t)copy->staged;
    em_run_begin();
    move(copy);
    if (em__driver.settings.copy_rate > 0) slow_down(bytes);
    em_run_end();
}

static void fill_row(void *row, uint32_t value, uint32_t element, size_t count) {
    if (element == 1) {
        memset(row, (int)(value & 0xff), count);
    } else if (element == 2) {
        for (size_t i = 0; i < count; i++) ((uint16_t *)row)[i] = (uint16_t)value;
    } else {
        for (size_t i = 0; i < count; i++) ((uint32_t *)row)[i] = value;
    }
}

static void run_set(em_context *context, const em_set *set) {
    if (!em_range_there(context, set->address, extent(set->pitch, 0, set->width * set->element, set->height, 1),
                        true)) {
        fail(context, CUDA_ERROR_ILLEGAL_ADDRESS,
             "a memset writes memory that is not allocated at this point of its stream");
        return;
    }
    em_run_begin();
    for (size_t y = 0; y < set->height; y++)
        fill_row((char *)(uintptr_t)set->address + y * set->pitch, set->value, set->element, set->width);
    em_run_end();
}

static void run_host(CUhostFn function, void *data) {
    pthread_mutex_unlock(&em__lock);
    em__in_callback = true;
    function(data);
    em__in_callback = false;
    pthread_mutex_lock(&em__lock);
}

void em_work_run(em_context *context, em_work *work) {
    switch (work->kind) { /* what must happen in any case */
    case EM_WORK_MAP: em_allocation_map(work->allocation); return;
    case EM_WORK_FREE: em_allocation_end(work->allocation); return;
    case EM_WORK_NOTHING:
    case EM_WORK_KERNEL:
    case EM_WORK_COPY:
    case EM_WORK_SET:
    case EM_WORK_HOST:
    case EM_WORK_LIST: break;
    }
    if (context->error) return;
    switch (work->kind) {
    case EM_WORK_NOTHING:
    case EM_WORK_MAP:
    case EM_WORK_FREE: break;
    case EM_WORK_KERNEL: run_kernel(context, &work->kernel); break;
    case EM_WORK_COPY: run_copy(context, &work->copy); break;
    case EM_WORK_SET: run_set(context, &work->set); break;
    case EM_WORK_HOST: run_host(work->host.function, work->host.data); break;
    case EM_WORK_LIST:
        for (size_t i = 0; i < work->count; i++) em_work_run(context, &work->items[i]);
        break;
    }
}
