/* Functions and launches: attributes, occupancy, the check of a launch's shape, its parameters. */
#include "emulator/driver.h"

#include <stdlib.h>
#include <string.h>

enum { WARP = 32, BLOCK_THREADS = 1024, REGISTER_UNIT = 8 };

static CUresult enter_function(CUfunction handle, em_function_object **function) {
    em_context *context;
    CUresult result = em_enter(&context);
    if (result) return result;
    *function = em_handle_get(EM_FUNCTION, handle);
    return *function ? CUDA_SUCCESS : em_leave(CUDA_ERROR_INVALID_HANDLE);
}

/* Registers of a block: whole warps, in units per thread. */
static uint32_t block_registers(const em_function_object *function, uint32_t threads) {
    uint32_t each = (function->info.registers + REGISTER_UNIT - 1) / REGISTER_UNIT * REGISTER_UNIT;
    return (threads + WARP - 1) / WARP * WARP * each;
}

static uint32_t most_threads(const em_function_object *function) {
    uint32_t most = function->info.max_threads && function->info.max_threads < BLOCK_THREADS
                        ? function->info.max_threads
                        : BLOCK_THREADS;
    while (most > WARP && block_registers(function, most) > EM_REGISTERS) most = (most - 1) / WARP * WARP;
    return most;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle) {
    em_function_object *function;
    CUresult result = enter_function(handle, &function);
    if (result) return result;
    if (!value) return em_leave(CUDA_ERROR_INVALID_VALUE);
    const em_function_info *info = &function->info;
    int sm = (int)em__driver.settings.sm->number;
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = (int)most_threads(function); return em_leave(CUDA_SUCCESS);
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *value = (int)info->shared_bytes; return em_leave(CUDA_SUCCESS);
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: *value = (int)info->constant_bytes; return em_leave(CUDA_SUCCESS);
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *value = (int)info->local_bytes; return em_leave(CUDA_SUCCESS);
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = (int)info->registers; return em_leave(CUDA_SUCCESS);
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = sm; return em_leave(CUDA_SUCCESS);
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA: *value = 0; return em_leave(CUDA_SUCCESS);
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = (int)function->dynamic_limit;
        return em_leave(CUDA_SUCCESS);
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = function->carveout; return em_leave(CUDA_SUCCESS);
    }
    return em_leave(CUDA_ERROR_INVALID_VALUE);
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
    em_function_object *function;
    CUresult result = enter_function(handle, &function);
    if (result) return result;
    uint32_t most = em__driver.settings.sm->shared_block;
    if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES && value >= 0 &&
        function->info.shared_bytes <= most && (uint32_t)value <= most - function->info.shared_bytes) {
        function->dynamic_limit = (uint32_t)value;
        return em_leave(CUDA_SUCCESS);
    }
    if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT && value >= -1 && value <= 100) {
        function->carveout = value;
        return em_leave(CUDA_SUCCESS);
    }
    return em_leave(CUDA_ERROR_INVALID_VALUE);
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config) {
    em_function_object *function;
    CUresult result = enter_function(handle, &function);
    if (result) return result;
    return em_leave(config <= CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Blocks that a multiprocessor holds at once: 0 if not even one fits. */
static uint32_t resident(const em_function_object *function, uint32_t threads, size_t dynamic) {
    const em_sm *sm = em__driver.settings.sm;
    size_t shared = function->info.shared_bytes + dynamic;
    if (!threads || threads > most_threads(function) || shared > sm->shared_block) return 0;
    uint32_t warps = (threads + WARP - 1) / WARP, blocks = smaller(sm->blocks, sm->threads / WARP / warps);
    uint32_t registers = block_registers(function, threads);
    if (registers) blocks = smaller(blocks, EM_REGISTERS / registers);
    uint32_t taken = (uint32_t)shared + EM_SHARED_RESERVED(sm->number);
    return taken ? smaller(blocks, sm->shared / taken) : blocks;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle, int block_size,
                                                              size_t shared, unsigned int flags) {
    em_function_object *function;
    CUresult result = enter_function(handle, &function);
    if (result) return result;
    if (!blocks || block_size <= 0 || flags > 1) return em_leave(CUDA_ERROR_INVALID_VALUE);
    *blocks = (int)resident(function, (uint32_t)block_size, shared);
    return em_leave(CUDA_SUCCESS);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function, int block_size, size_t shared) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, block_size, shared, 0);
}

/* The block size with most resident threads; of several the largest. The caller's function runs without the lock. */
CUresult cuOccupancyMaxPotentialBlockSize(int *grid_size, int *block_size, CUfunction handle,
                                          CUoccupancyB2DSize shared_of, size_t shared, int limit) {
    em_function_object *function;
    CUresult result = enter_function(handle, &function);
    if (result) return result;
    uint32_t most = most_threads(function);
    em_leave(CUDA_SUCCESS);
    if (!grid_size || !block_size || limit < 0) return CUDA_ERROR_INVALID_VALUE;
    if (limit) most = smaller(most, (uint32_t)limit);
    uint32_t best = 0, best_threads = 0, best_blocks = 0;
    for (uint32_t threads = most; threads; threads = (threads - 1) / WARP * WARP) {
        int blocks;
        size_t dynamic = shared_of ? shared_of((int)threads) : shared;
        result = cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, handle, (int)threads, dynamic);
        if (result) return result;
        if ((uint32_t)blocks * threads <= best) continue;
        best = (uint32_t)blocks * threads;
        best_threads = threads;
        best_blocks = (uint32_t)blocks;
    }
    *block_size = (int)best_threads;
    *grid_size = (int)(best_blocks * em__driver.settings.processors);
    return best ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult check_shape(const em_function_object *function, const em_kernel *k) {
    static const uint32_t grid_most[3] = {INT32_MAX, 65535, 65535}, block_most[3] = {1024, 1024, 64};
    uint64_t threads = 1;
    for (int i = 0; i < 3; i++) {
        if (!k->grid[i] || k->grid[i] > grid_most[i] || !k->block[i] || k->block[i] > block_most[i])
            return CUDA_ERROR_INVALID_VALUE;
        threads *= k->block[i];
    }
    if (threads > BLOCK_THREADS || (function->info.max_threads && threads > function->info.max_threads))
        return CUDA_ERROR_INVALID_VALUE;
    if (block_registers(function, (uint32_t)threads) > EM_REGISTERS) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    return k->dynamic_shared > function->dynamic_limit ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* The form with one buffer: pairs of a tag and a value up to the end tag. */
static CUresult copy_buffer(const em_function_object *function, void *const *extra, char *block) {
    const void *buffer = NULL;
    const size_t *size = NULL;
    for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
        if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
            buffer = extra[1];
        else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
            size = extra[1];
        else
            return CUDA_ERROR_INVALID_VALUE;
    }
    if (!function->info.parameter_bytes) return CUDA_SUCCESS;
    if (!buffer || !size || *size < function->info.parameter_bytes) return CUDA_ERROR_INVALID_VALUE;
    memcpy(block, buffer, function->info.parameter_bytes);
    return CUDA_SUCCESS;
}

static CUresult copy_parameters(const em_function_object *function, void *const *parameters, void *const *extra,
                                char *block) {
    if (parameters && extra) return CUDA_ERROR_INVALID_VALUE;
    if (extra) return copy_buffer(function, extra, block);
    if (!parameters && function->info.parameter_count) return CUDA_ERROR_INVALID_VALUE;
    for (uint32_t i = 0; i < function->info.parameter_count; i++) {
        size_t offset, size;
        if (!parameters[i] || !em_function_parameter(function->function, i, &offset, &size))
            return CUDA_ERROR_INVALID_VALUE;
        memcpy(block + offset, parameters[i], size);
    }
    return CUDA_SUCCESS;
}

static CUresult refuse_launch(CUresult result, const em_function_object *function, const em_kernel *k) {
    if (result)
        em_log("launch of %s refused: grid %u x %u x %u, block %u x %u x %u, %u bytes of dynamic shared memory (limit "
               "%u), %u parameters",
               function->info.name, k->grid[0], k->grid[1], k->grid[2], k->block[0], k->block[1], k->block[2],
               k->dynamic_shared, function->dynamic_limit, function->info.parameter_count);
    return result;
}

CUresult em_kernel_make(em_context *context, const CUDA_KERNEL_NODE_PARAMS *p, em_kernel *kernel) {
    em_function_object *function = em_handle_get(EM_FUNCTION, p->func);
    *kernel = (em_kernel){.handle = p->func,
                          .grid = {p->gridDimX, p->gridDimY, p->gridDimZ},
                          .block = {p->blockDimX, p->blockDimY, p->blockDimZ},
                          .dynamic_shared = p->sharedMemBytes};
    if (!function || function->module->object.context != context) return CUDA_ERROR_INVALID_HANDLE;
    kernel->function = function->function;
    CUresult result = check_shape(function, kernel);
    if (result) return refuse_launch(result, function, kernel);
    kernel->parameters = calloc(1, function->info.parameter_bytes + 1); /* the gaps between parameters are 0 */
    if (!kernel->parameters) return CUDA_ERROR_OUT_OF_MEMORY;
    result = copy_parameters(function, p->kernelParams, p->extra, kernel->parameters);
    if (!result) return CUDA_SUCCESS;
    free(kernel->parameters);
    kernel->parameters = NULL;
    return refuse_launch(result, function, kernel);
}

static CUresult launch(const CUDA_KERNEL_NODE_PARAMS *parameters, CUstream handle) {
    em_context *context;
    em_stream *stream;
    CUresult result = em_enter(&context);
    if (result) return result;
    em_work work = {.kind = EM_WORK_KERNEL};
    result = em_stream_of(context, handle, &stream);
    if (!result && stream->object.context != context) result = CUDA_ERROR_INVALID_HANDLE;
    if (!result) result = em_kernel_make(context, parameters, &work.kernel);
    return em_leave(result ? result : em_submit(stream, &work, NULL, NULL));
}

CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                        unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared,
                        CUstream stream, void **parameters, void **extra) {
    CUDA_KERNEL_NODE_PARAMS all = {.func = function,
                                   .gridDimX = grid_x,
                                   .gridDimY = grid_y,
                                   .gridDimZ = grid_z,
                                   .blockDimX = block_x,
                                   .blockDimY = block_y,
                                   .blockDimZ = block_z,
                                   .sharedMemBytes = shared,
                                   .kernelParams = parameters,
                                   .extra = extra};
    return launch(&all, stream);
}

/* Attributes that only allow overlap or give hints are taken; those that promise what the emulator has not are refused.
 */
static CUresult check_attribute(const CUlaunchAttribute *a) {
    switch (a->id) {
    case CU_LAUNCH_ATTRIBUTE_IGNORE:
    case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
    case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
    case CU_LAUNCH_ATTRIBUTE_PRIORITY: return CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_COOPERATIVE: return a->value.cooperative ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
    case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
        return a->value.clusterDim.x * a->value.clusterDim.y * a->value.clusterDim.z == 1 ? CUDA_SUCCESS
                                                                                          : CUDA_ERROR_NOT_SUPPORTED;
    case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT: break;
    }
    return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra) {
    if (!config || (config->numAttrs && !config->attrs)) return CUDA_ERROR_INVALID_VALUE;
    for (unsigned int i = 0; i < config->numAttrs; i++) {
        CUresult result = check_attribute(&config->attrs[i]);
        if (result) return result;
    }
    return cuLaunchKernel(function, config->gridDimX, config->gridDimY, config->gridDimZ, config->blockDimX,
                          config->blockDimY, config->blockDimZ, config->sharedMemBytes, config->hStream, parameters,
                          extra);
}
