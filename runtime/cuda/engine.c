/* The engine "cuda": loading an image's code into a device, and one run of it from the frame's arrays to the frame's arrays. */
#include "runtime/cuda/run.h"

#include "ir/eval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INFO_LOG = 1024, ERROR_LOG = 4096, WAVES = 32 /* of blocks at most; entries loop over the rest */ };

/* ---- loading ---- */

static bool load_module(qn__cuda_kernel *kernel, const qn__image *image, qn__cuda_error *error) {
    char *logs = calloc(1, INFO_LOG + ERROR_LOG);
    if (!logs) return qn__cuda_refuse(error, QN__CUDA_NO_MEMORY, "out of memory");
    int options[] = {CU_JIT_INFO_LOG, CU_JIT_INFO_LOG_BYTES, CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {logs, (void *)(uintptr_t)INFO_LOG, logs + INFO_LOG, (void *)(uintptr_t)ERROR_LOG};
    const qn__cu_result result = kernel->device->driver->cuModuleLoadDataEx(&kernel->module, image->code, 4, options, values);
    if (result != CU_SUCCESS) {
        kernel->module = NULL;
        qn__cuda_device_fail(kernel->device, error, result, "the driver cannot load the kernel's code");
        logs[INFO_LOG - 1] = logs[INFO_LOG + ERROR_LOG - 1] = 0;
        for (const char *log = logs + INFO_LOG; log; log = log == logs ? NULL : logs) {
            const size_t used = strlen(error->text);
            if (*log) snprintf(error->text + used, sizeof error->text - used, "\n%s", log);
        }
        for (size_t n = strlen(error->text); n && error->text[n - 1] == '\n'; n--) error->text[n - 1] = 0;
    }
    free(logs);
    return result == CU_SUCCESS;
}

static bool find_entries(qn__cuda_kernel *kernel, const qn__plan *plan, qn__cuda_error *error) {
    qn__cuda_device *device = kernel->device;
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        const qn__plan_entry *entry = &plan->entries[i];
        const int threads = (int)(entry->block[0] * entry->block[1] * entry->block[2]);
        int blocks = 0;
        qn__cu_result result = device->driver->cuModuleGetFunction(&kernel->functions[i], kernel->module, entry->symbol);
        if (result == CU_SUCCESS) result = device->driver->cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel->functions[i], threads, 0);
        if (result != CU_SUCCESS) return qn__cuda_device_fail(device, error, result, entry->symbol);
        if (blocks < 1) return qn__cuda_refuse(error, QN__CUDA_LAUNCH, "%s: blocks of %d threads do not fit on this device", entry->symbol, threads);
        const uint64_t most = (uint64_t)blocks * device->properties.processors * WAVES;
        kernel->most_blocks[i] = most < INT32_MAX ? (uint32_t)most : INT32_MAX;
        if (entry->argument_count + QN__PLAN_PARAMETERS > kernel->most_arguments) kernel->most_arguments = entry->argument_count + QN__PLAN_PARAMETERS;
    }
    return true;
}

static void find_arrays(const qn__cuda_kernel *kernel, const qn__plan *plan) {
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const qn__plan_step *step = &plan->steps[i];
        if (step->op == QN__PLAN_ALLOC) kernel->allocated[step->imm] = true;
        if (step->op == QN__PLAN_SWAP) kernel->used[step->imm] = kernel->used[step->target] = true;
        if (step->op != QN__PLAN_LAUNCH) continue;
        const qn__plan_entry *entry = &plan->entries[step->imm];
        for (uint32_t k = 0; k < entry->argument_count; k++)
            if (entry->arguments[k] == QN__ARGUMENT_ARRAY) kernel->used[plan->operands[step->operand_first + 3 + k]] = true;
    }
}

static void drop(qn__cuda_kernel *kernel) {
    qn__cuda_error unused;
    if (kernel->module && qn__cuda_enter(kernel->device, &unused)) {
        kernel->device->driver->cuModuleUnload(kernel->module);
        qn__cuda_leave(kernel->device);
    }
    free(kernel->functions);
    free(kernel->most_blocks);
    free(kernel->used);
    free(kernel->allocated);
    free(kernel);
}

bool qn__cuda_load(struct qn__loaded *program, const qn__image *image, qn__cuda_device *device, qn__cuda_error *error) {
    memset(program, 0, sizeof *program);
    if (image->kind != QN__IMAGE_PTX || !image->plan) return qn__cuda_refuse(error, QN__CUDA_BAD_CODE, "the image is for another engine");
    const qn__plan *plan = image->plan;
    qn__cuda_kernel *kernel = calloc(1, sizeof *kernel);
    if (!kernel) return qn__cuda_refuse(error, QN__CUDA_NO_MEMORY, "out of memory");
    kernel->device = device;
    kernel->most_arguments = QN__PLAN_PARAMETERS;
    kernel->functions = calloc(plan->entry_count + 1U, sizeof *kernel->functions);
    kernel->most_blocks = calloc(plan->entry_count + 1U, sizeof *kernel->most_blocks);
    kernel->used = calloc(image->array_count + 1U, sizeof *kernel->used);
    kernel->allocated = calloc(image->array_count + 1U, sizeof *kernel->allocated);
    bool ok = kernel->functions && kernel->most_blocks && kernel->used && kernel->allocated;
    if (!ok) qn__cuda_refuse(error, QN__CUDA_NO_MEMORY, "out of memory");
    if (ok && plan->entry_count) {
        ok = qn__cuda_enter(device, error);
        if (ok) {
            ok = load_module(kernel, image, error) && find_entries(kernel, plan, error);
            qn__cuda_leave(device);
        }
    }
    if (!ok) {
        drop(kernel);
        return false;
    }
    find_arrays(kernel, plan);
    *program = (qn__loaded){.engine = &qn__engine_cuda, .image = image, .device = device, .handle = kernel};
    return true;
}

static bool load(qn__loaded *program, const char **message) {
    (void)program;
    *message = "kernels for CUDA are loaded on a device";
    return false;
}

static void unload(qn__loaded *program) { drop(program->handle); }

/* ---- running ---- */

/* The tables of a run in one piece of memory. */
static bool make_tables(qn__cuda_run *run, void **memory) {
    const size_t slots = run->plan->slot_count, arrays = run->image->array_count, scratch = run->plan->scratch_count;
    const size_t arguments = run->kernel->most_arguments;
    unsigned char *at = calloc(1, (slots + 1) * sizeof(uint64_t) + (arrays + scratch + 1) * sizeof(qn__cuda_buffer) +
                                      arguments * (sizeof(void *) + sizeof(uint64_t)));
    *memory = at;
    if (!at) return qn__cuda_refuse(&run->error, QN__CUDA_NO_MEMORY, "out of memory");
    run->arrays = (qn__cuda_buffer *)(void *)at;
    run->scratch = run->arrays + arrays;
    run->slots = (uint64_t *)(void *)(run->scratch + scratch + 1);
    run->values = run->slots + slots + 1;
    run->pointers = (void **)(void *)(run->values + arguments);
    for (size_t i = 0; i < arguments; i++) run->pointers[i] = &run->values[i];
    return true;
}

static int32_t work(qn__cuda_run *run) {
    if (!qn__cuda_spans_start(run)) return qn__cuda_refused(run);
    int32_t kind = qn__cuda_begin_state(run);
    if (!kind) kind = qn__cuda_bring(run);
    if (!kind) kind = qn__cuda_plan(run);
    if (!kind) kind = qn__cuda_collect(run);
    if (kind) qn__cuda_drain(run);
    qn__cuda_drop_arrays(run);
    free(run->marks);
    free(run->log);
    free(run->logged);
    return kind;
}

static int32_t start(const qn__loaded *program, qn__frame *frame, qn__device_call *call) {
    const qn__cuda_kernel *kernel = program->handle;
    qn__cuda_run run;
    memset(&run, 0, sizeof run);
    run.kernel = kernel;
    run.device = kernel->device;
    run.driver = kernel->device->driver;
    run.image = program->image;
    run.plan = program->image->plan;
    run.frame = frame;
    run.call = call;
    call->began = 0;
    call->bytes_in = call->bytes_out = call->launches = call->waits = 0;
    call->in_ms = call->compute_ms = call->out_ms = 0;
    call->failure = 0;
    call->out_of_memory = false;
    call->text[0] = 0;
    void *memory = NULL;
    int32_t kind = 0;
    if (!make_tables(&run, &memory)) kind = qn__cuda_refused(&run);
    if (!kind && !qn__cuda_enter(run.device, &run.error)) kind = qn__cuda_refused(&run);
    else if (!kind) {
        run.lane = qn__cuda_lane_take(run.device, &run.error);
        kind = run.lane ? work(&run) : qn__cuda_refused(&run);
        if (run.lane) qn__cuda_lane_give(run.lane);
        qn__cuda_leave(run.device);
    }
    free(memory);
    if (kind == QN__FAULT_DEVICE || kind == QN__FAULT_MEMORY) {
        qn__cuda_tell(call, &run.error);
    }
    return kind;
}

static int32_t run_kernel(const qn__loaded *program, qn__frame *frame) {
    qn__device_call unseen = {0};
    return start(program, frame, frame->device ? frame->device : &unseen);
}

const qn__engine qn__engine_cuda = {"cuda", QN__IMAGE_PTX, load, run_kernel, unload};
