/* Launches: blocks are handed out in order to worker threads; each worker keeps the memory of its blocks for the next ones. The fault of the lowest
 * block is the launch's, whatever order blocks ran in. */
#include "emulator/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t executed_total; /* counts for benchmarks; changed atomically */

uint64_t em_executed(void) { return __atomic_load_n(&executed_total, __ATOMIC_RELAXED); }

const em_lanes *em_lanes_best(void) {
#ifdef EM_LANES_VARIANTS
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd")) return &em_lanes_v4;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt")) return &em_lanes_v3;
#endif
    return &em_lanes_base;
}

static void report(em_block_state *block, const em_step *step, const uint32_t *thread, em_fault_kind kind, const char *what) {
    em_worker *worker = block->worker;
    if (worker->fault.kind != EM_FAULT_NONE && worker->fault_block <= block->number) return;
    const em_function *kernel = worker->run->code->function;
    const em_instruction *instruction = step ? step->instruction : NULL;
    char source[200] = "", place[64] = "";
    if (instruction && instruction->source) {
        const em_module *module = kernel->module;
        const char *file = instruction->file < module->file_count && module->files[instruction->file] ? module->files[instruction->file] : "?";
        snprintf(source, sizeof source, ", %.100s:%u", file, instruction->source);
    }
    if (thread) snprintf(place, sizeof place, ", thread (%u,%u,%u)", thread[0], thread[1], thread[2]);
    worker->fault.kind = kind;
    worker->fault_block = block->number;
    snprintf(worker->fault.text, sizeof worker->fault.text, "kernel %.100s, block (%u,%u,%u)%s, PTX line %u%s: %.319s", kernel->name, block->id[0], block->id[1], block->id[2],
             place, step ? step->line : 0, source, what);
}

em_answer em_fail(em_warp *warp, const em_step *step, uint32_t lane, em_fault_kind kind, const char *format, ...) {
    char text[320];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    uint32_t thread[3] = {warp->tid[0][lane], warp->tid[1][lane], warp->tid[2][lane]};
    report(warp->block, step, thread, kind, text);
    return EM_FAULTED;
}

/* ---- blocks ---- */

static void block_free(em_block_state *block) {
    if (!block) return;
    for (uint32_t w = 0; block->warps && w < block->warp_count; w++) {
        em_warp *warp = &block->warps[w];
        for (uint32_t s = 0; warp->splits && s <= EM_LANES; s++) free(warp->splits[s].stack);
        free(warp->splits);
        if (warp->frame0) {
            free(warp->frame0->registers);
            free(warp->frame0);
        }
        for (em_copy *lists[2] = {warp->copies, warp->free_copies}, **list = lists; list < lists + 2; list++) {
            while (*list) {
                em_copy *copy = *list;
                *list = copy->next;
                free(copy);
            }
        }
    }
    free(block->warps);
    free(block->local);
    free(block->shared);
    free(block->shadow);
    free(block->clocks);
    free(block);
}

static em_block_state *block_create(em_worker *worker) {
    em_run *run = worker->run;
    em_block_state *block = calloc(1, sizeof *block);
    if (!block) return NULL;
    block->worker = worker;
    block->warp_count = run->warps;
    block->shared_bytes = run->shared_bytes;
    block->warps = calloc(run->warps, sizeof *block->warps);
    block->shared = aligned_alloc(1024, (run->shared_bytes + 1024) / 1024 * 1024);
    block->local = calloc((size_t)run->warps * EM_LANES, run->local_stride + 1);
    const em_device *device = run->launch->device;
    bool watched = run->shared_bytes && (device->race_check || device->init_check), good = block->warps && block->shared && block->local;
    block->races = device->race_check, block->inits = device->init_check;
    if (watched) {
        block->shadow = calloc(run->shared_bytes / 4 + 1, sizeof *block->shadow);
        block->clocks = calloc((size_t)run->warps * run->warps + run->warps, sizeof *block->clocks);
        good = good && block->shadow && block->clocks;
    }
    for (uint32_t w = 0; good && w < run->warps; w++) {
        em_warp *warp = &block->warps[w];
        warp->index = w;
        warp->block = block;
        warp->worker = worker;
        warp->local = block->local + (size_t)w * EM_LANES * run->local_stride;
        warp->splits = calloc(EM_LANES + 1, sizeof *warp->splits);
        warp->frame0 = em_frame_take(worker, run->code);
        warp->clocks = block->clocks ? block->clocks + (size_t)w * run->warps : NULL;
        good = warp->splits && warp->frame0;
        if (good) warp->frame0->local = 0;
    }
    block->fence_clocks = block->clocks ? block->clocks + (size_t)run->warps * run->warps : NULL;
    if (good) return block;
    block_free(block);
    return NULL;
}

static bool warp_start(em_warp *warp) {
    const em_run *run = warp->worker->run;
    const uint32_t *size = run->launch->block;
    uint32_t first = warp->index * EM_LANES;
    warp->lanes = 0;
    for (uint32_t l = 0; l < EM_LANES; l++) {
        uint32_t thread = first + l;
        warp->tid[0][l] = thread % size[0];
        warp->tid[1][l] = thread / size[0] % size[1];
        warp->tid[2][l] = thread / size[0] / size[1];
        if (thread < run->threads) warp->lanes |= 1u << l;
    }
    warp->exited = 0;
    warp->split_count = 1;
    em_split *split = &warp->splits[0];
    *split = (em_split){.stack = split->stack, .capacity = split->capacity};
    memset(warp->groups, 0, sizeof warp->groups);
    warp->split = split;
    return em_split_push(warp, split, (em_entry){.code = run->code, .frame = warp->frame0, .join = EM_NOWHERE, .mask = warp->lanes});
}

static bool block_start(em_block_state *block, uint64_t number) {
    const em_run *run = block->worker->run;
    const uint32_t *grid = run->launch->grid;
    block->number = number;
    block->id[0] = (uint32_t)(number % grid[0]);
    block->id[1] = (uint32_t)(number / grid[0] % grid[1]);
    block->id[2] = (uint32_t)(number / grid[0] / grid[1]);
    block->live = run->threads;
    block->quanta = 0;
    memset(block->barriers, 0, sizeof block->barriers);
    em_shadow_start(block);
    for (uint32_t w = 0; w < block->warp_count; w++) {
        if (!warp_start(&block->warps[w])) return false;
    }
    return true;
}

/* ---- workers ---- */

enum { QUANTA_BEFORE_PARKING = 2048, MOST_PARKED = 64 };

static bool next_block(em_worker *worker, em_block_state **list, uint32_t *count) {
    em_run *run = worker->run;
    uint64_t number = __atomic_fetch_add(&run->next, 1, __ATOMIC_RELAXED);
    if (number >= run->blocks || number > __atomic_load_n(&run->lowest_fault, __ATOMIC_RELAXED)) return false;
    em_block_state *block = worker->free_blocks;
    if (block) worker->free_blocks = block->next;
    else block = block_create(worker);
    if (!block || !block_start(block, number)) {
        block_free(block);
        worker->no_memory = true;
        return false;
    }
    block->next = *list;
    *list = block;
    (*count)++;
    return true;
}

static void note_fault(em_worker *worker, uint64_t number) {
    uint64_t lowest = __atomic_load_n(&worker->run->lowest_fault, __ATOMIC_RELAXED);
    while (number < lowest && !__atomic_compare_exchange_n(&worker->run->lowest_fault, &lowest, number, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
}

bool em_cancelled(const em_worker *worker) { return worker->run->launch->cancel && __atomic_load_n(worker->run->launch->cancel, __ATOMIC_ACQUIRE); }

/* Runs a block for a while; true: it is over. */
static bool run_some(em_worker *worker, em_block_state *block) {
    bool done = false;
    if (!em_run_block(block, QUANTA_BEFORE_PARKING, &done)) {
        if (worker->fault.kind == EM_FAULT_NONE) worker->no_memory = true;
        note_fault(worker, block->number);
        return true;
    }
    return done || block->number > __atomic_load_n(&worker->run->lowest_fault, __ATOMIC_RELAXED);
}

/* The block is over, or given up: its memory serves the next one. */
static void retire(em_worker *worker, em_block_state *block) {
    for (uint32_t w = 0; w < block->warp_count; w++) {
        em_warp *warp = &block->warps[w];
        em_splits_release(warp);
        worker->executed += warp->executed;
        warp->executed = 0;
        while (warp->copies) {
            em_copy *copy = warp->copies;
            warp->copies = copy->next;
            copy->next = warp->free_copies;
            warp->free_copies = copy;
        }
    }
    block->next = worker->free_blocks;
    worker->free_blocks = block;
}

/* A block that runs long may wait for one that has not begun: others are started beside it, and take turns. */
static void *work(void *data) {
    em_worker *worker = data;
    em_block_state *list = NULL;
    uint32_t count = 0;
    bool more = true;
    while (!worker->no_memory && !em_cancelled(worker)) {
        if (more && count < MOST_PARKED) more = next_block(worker, &list, &count);
        if (!list) break;
        for (em_block_state **link = &list; *link;) {
            em_block_state *block = *link;
            if (!run_some(worker, block)) {
                link = &block->next;
                if (worker->no_memory || em_cancelled(worker)) break;
                continue;
            }
            *link = block->next;
            count--;
            retire(worker, block);
        }
    }
    if (em_cancelled(worker) && worker->fault.kind == EM_FAULT_NONE && (list || more)) {
        worker->fault.kind = EM_FAULT_CANCELLED;
        worker->fault_block = list ? list->number : 0;
        snprintf(worker->fault.text, sizeof worker->fault.text, "kernel %.120s: cancelled", worker->run->code->function->name);
    }
    while (list) {
        em_block_state *block = list;
        list = block->next;
        retire(worker, block);
    }
    return NULL;
}

static bool worker_start(em_worker *worker, em_run *run, uint32_t index) {
    worker->run = run;
    worker->index = index;
    worker->hits = calloc((size_t)run->module->slots + 1, sizeof *worker->hits);
    worker->free_frames = calloc((size_t)run->module->function_count + 1, sizeof *worker->free_frames);
    return worker->hits && worker->free_frames;
}

static void worker_end(em_worker *worker) {
    while (worker->free_blocks) {
        em_block_state *block = worker->free_blocks;
        worker->free_blocks = block->next;
        block_free(block);
    }
    for (uint32_t k = 0; worker->free_frames && worker->run && k < worker->run->module->function_count; k++) {
        while (worker->free_frames[k]) {
            em_frame *frame = worker->free_frames[k];
            worker->free_frames[k] = frame->next;
            free(frame->registers);
            free(frame);
        }
    }
    free(worker->free_frames);
    free(worker->hits);
}

static bool run_workers(em_run *run, em_fault *fault) {
    uint32_t count = run->launch->device->workers ? run->launch->device->workers : 1;
    if (count > run->blocks) count = (uint32_t)run->blocks;
    if (count > 256) count = 256;
    em_worker *workers = calloc(count, sizeof *workers);
    bool memory = workers != NULL;
    for (uint32_t k = 0; memory && k < count; k++) memory = worker_start(&workers[k], run, k);
    bool *started = calloc(count, sizeof *started);
    if (memory && started) {
        for (uint32_t k = 1; k < count; k++) started[k] = pthread_create(&workers[k].thread, NULL, work, &workers[k]) == 0;
        work(&workers[0]);
        for (uint32_t k = 1; k < count; k++) {
            if (started[k]) pthread_join(workers[k].thread, NULL);
        }
    }
    const em_worker *worst = NULL;
    for (uint32_t k = 0; workers && k < count; k++) {
        em_worker *worker = &workers[k];
        memory = memory && !(worker->no_memory && worker->fault.kind == EM_FAULT_NONE);
        __atomic_fetch_add(&executed_total, worker->executed, __ATOMIC_RELAXED);
        if (worker->fault.kind != EM_FAULT_NONE && (!worst || worker->fault_block < worst->fault_block)) worst = worker;
    }
    if (worst) *fault = worst->fault;
    else if (!memory || !started) *fault = (em_fault){EM_FAULT_LOOP, "the emulator ran out of memory"};
    bool good = !worst && memory && started;
    for (uint32_t k = 0; workers && k < count; k++) worker_end(&workers[k]);
    free(started);
    free(workers);
    return good;
}

bool em_execute(const em_launch *launch, em_fault *fault) {
    const em_function *function = launch->function;
    em_fault unused;
    if (!fault) fault = &unused;
    memset(fault, 0, sizeof *fault);
    uint64_t blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
    uint64_t threads = (uint64_t)launch->block[0] * launch->block[1] * launch->block[2];
    if (!blocks || !threads || threads > 1024) {
        fault->kind = EM_FAULT_TRAP;
        snprintf(fault->text, sizeof fault->text, "kernel %.120s: wrong grid or block size", function->name);
        return false;
    }
    em_run run = {.launch = launch, .code = function->translated, .module = function->module, .blocks = blocks, .lowest_fault = UINT64_MAX, .lanes = em_lanes_best()};
    run.threads = (uint32_t)threads;
    run.warps = (uint32_t)((threads + EM_LANES - 1) / EM_LANES);
    uint32_t align = function->dynamic_align, statics = function->info.shared_bytes;
    run.shared_static = launch->dynamic_shared ? (statics + align - 1) / align * align : statics;
    run.shared_bytes = run.shared_static + launch->dynamic_shared;
    run.local_stride = function->local_stride;
    run.parameters = aligned_alloc(64, (function->parameter_bytes + 128) / 64 * 64);
    if (!run.parameters) {
        *fault = (em_fault){EM_FAULT_LOOP, "the emulator ran out of memory"};
        return false;
    }
    if (function->parameter_bytes) memcpy(run.parameters, launch->parameters, function->parameter_bytes);
    bool good = run_workers(&run, fault);
    free(run.parameters);
    return good;
}
