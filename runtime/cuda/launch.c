/* Launches, waiting, faults.
 *
 * A launch is asynchronous; its number and values are logged until the device is known to have done it without a fault. When state.lowest says
 * that point p of launch n failed, launch n is made once more with `only` = p, which describes the fault. Launches after n have done nothing, so
 * all arrays are as n left them; only what the host itself changed since is undone first: writes to device slots, whose old values are kept on the
 * device. Buffers that the plan gave up stay allocated until then.
 *
 * Waiting polls the stream, because the call may be cancelled meanwhile: then the stop word is set, and state.lowest becomes 0 by
 * the control stream, so that launches that have not begun return at once. Numbers begin with 1. */
#include "runtime/cuda/run.h"

#include "runtime/call.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_LOGGED = 4096, LAST_NUMBER = 65000, STATE_WORDS = sizeof(qn__device_state) / 8, GRID_YZ = 65535, WAVES = 32 };
_Static_assert(sizeof(qn__device_state) % 8 == 0, "slots follow the state");
static const uint64_t SPIN_NANOSECONDS = 20000, NAP_NANOSECONDS = 1000000;

static uint64_t slot_address(const qn__cuda_run *run, uint32_t slot) { return run->lane->state + sizeof(qn__device_state) + 8 * (uint64_t)slot; }
static uint64_t undo_address(const qn__cuda_run *run, uint32_t number) { return slot_address(run, run->plan->device_slot_count + number); }

/* ---- the state ---- */

static qn__cu_result set_word(const qn__cuda_run *run, uint64_t address, uint64_t bits, qn__cu_stream stream) {
    const uint32_t low = (uint32_t)bits, high = (uint32_t)(bits >> 32);
    if (low == high) return run->driver->cuMemsetD32Async(address, low, 2, stream);
    const qn__cu_result result = run->driver->cuMemsetD32Async(address, low, 1, stream);
    return result == CU_SUCCESS ? run->driver->cuMemsetD32Async(address + 4, high, 1, stream) : result;
}

int32_t qn__cuda_begin_state(qn__cuda_run *run) {
    qn__cuda_lane *lane = run->lane;
    const size_t bytes = sizeof(qn__device_state) + 8 * ((size_t)run->plan->device_slot_count + QN__CUDA_UNDO);
    if (lane->state && lane->state_bytes < bytes) {
        qn__cuda_lane_free(lane, lane->state, lane->state_bytes);
        lane->state = 0;
    }
    if (!lane->state) {
        if (!qn__cuda_lane_allocate(lane, bytes, &lane->state, &run->error)) return qn__cuda_refused(run);
        lane->state_bytes = bytes;
    }
    *lane->stop = 0;
    qn__device_state *state = (qn__device_state *)(void *)lane->answer; /* read by the copy below; what comes back is written after it */
    *state = (qn__device_state){.lowest = UINT64_MAX, .stop = lane->stop_address};
    const qn__cu_result result = run->driver->cuMemcpyHtoDAsync(lane->state, state, sizeof *state, lane->stream);
    run->number = 1;
    return result == CU_SUCCESS ? 0 : qn__cuda_broken(run, result, "the kernel's state cannot be set up");
}

/* ---- launching ---- */

static bool grow(void **items, size_t *capacity, size_t needed, size_t size) {
    if (needed <= *capacity) return true;
    size_t wanted = *capacity ? *capacity * 2 : 64;
    while (wanted < needed) wanted *= 2;
    void *grown = realloc(*items, wanted * size);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

static bool note(qn__cuda_run *run, uint32_t entry, uint32_t count) {
    void *log = run->log, *logged = run->logged;
    const bool ok = grow(&log, &run->log_capacity, run->log_count + 1, sizeof *run->log) &&
                    grow(&logged, &run->logged_capacity, run->logged_count + count, sizeof *run->logged);
    run->log = log;
    run->logged = logged;
    if (!ok) return qn__cuda_refuse(&run->error, QN__CUDA_NO_MEMORY, "out of memory");
    run->log[run->log_count++] = (qn__cuda_launched){entry, run->number, run->undo_count, run->logged_count};
    memcpy(run->logged + run->logged_count, run->values + QN__PLAN_PARAMETERS, count * sizeof *run->logged);
    run->logged_count += count;
    return true;
}

static unsigned blocks_for(uint64_t points, uint64_t per_block, uint64_t most) {
    const uint64_t blocks = (points - 1) / per_block + 1;
    return (unsigned)(blocks < most ? blocks : most);
}

static qn__cu_result start(const qn__cuda_run *run, uint32_t number, const unsigned grid[3], uint64_t key, uint64_t only) {
    const qn__plan_entry *entry = &run->plan->entries[number];
    run->values[0] = run->lane->state;
    run->values[1] = key;
    run->values[2] = only;
    return run->driver->cuLaunchKernel(run->kernel->functions[number], grid[0], grid[1], grid[2], entry->block[0], entry->block[1],
                                       entry->block[2], 0, run->lane->stream, run->pointers, NULL);
}

/* The values of the entry's arguments, from the operands behind the three counts. */
static void gather(qn__cuda_run *run, const qn__plan_entry *entry, const uint32_t *operands) {
    for (uint32_t i = 0; i < entry->argument_count; i++) {
        uint64_t *value = &run->values[QN__PLAN_PARAMETERS + i];
        switch ((qn__plan_argument)entry->arguments[i]) {
        case QN__ARGUMENT_SLOT: *value = run->slots[operands[i]]; break;
        case QN__ARGUMENT_ARRAY: *value = run->arrays[operands[i]].address; break;
        case QN__ARGUMENT_SCRATCH: *value = run->scratch[operands[i]].address; break;
        case QN__ARGUMENT_COUNT: break;
        }
    }
}

int32_t qn__cuda_launch(qn__cuda_run *run, const qn__plan_step *step) {
    const uint32_t *operands = run->plan->operands + step->operand_first;
    const uint32_t number = (uint32_t)step->imm;
    const qn__plan_entry *entry = &run->plan->entries[number];
    int64_t points[3];
    for (int i = 0; i < 3; i++) {
        points[i] = (int64_t)run->slots[operands[i]];
        if (points[i] < 1) return 0;
    }
    if (run->number > LAST_NUMBER || run->log_count >= MOST_LOGGED) {
        const int32_t kind = qn__cuda_settle(run);
        if (kind) return kind;
    }
    gather(run, entry, operands + 3);
    if (!note(run, number, entry->argument_count)) return qn__cuda_refused(run);
    const uint64_t per_block = (uint64_t)entry->block[0] * (entry->per_thread ? entry->per_thread : 1);
    const uint64_t most = entry->fixed_grid ? entry->fixed_grid : run->kernel->most_blocks[number];
    const unsigned grid[3] = {blocks_for((uint64_t)points[0], per_block, most), blocks_for((uint64_t)points[1], entry->block[1], GRID_YZ),
                              blocks_for((uint64_t)points[2], entry->block[2], GRID_YZ)};
    qn__cuda_span_begin(run, QN__SPAN_COMPUTE, entry->symbol, 0);
    const qn__cu_result result = start(run, number, grid, (uint64_t)run->number << QN__PLAN_POINT, UINT64_MAX);
    qn__cuda_span_end(run);
    run->number++;
    run->call->launches++;
    return result == CU_SUCCESS ? 0 : qn__cuda_broken(run, result, entry->symbol);
}

/* ---- waiting ---- */

static void nap(uint64_t waited) {
    const uint64_t time = waited / 16 < NAP_NANOSECONDS ? waited / 16 : NAP_NANOSECONDS;
    nanosleep(&(struct timespec){.tv_nsec = (long)time}, NULL);
}

/* What runs and what waits on the stream shall end soon. */
static void stop(const qn__cuda_run *run) {
    __atomic_store_n(run->lane->stop, 1, __ATOMIC_RELEASE);
    set_word(run, run->lane->state, 0, run->lane->control);
}

static int32_t wait(qn__cuda_run *run) {
    const uint64_t begun = qn__now();
    int32_t stopped = 0;
    run->call->waits++;
    for (;;) {
        const qn__cu_result result = run->driver->cuStreamQuery(run->lane->stream);
        if (result == CU_SUCCESS) break;
        if (result != CU_NOT_READY) return qn__cuda_broken(run, result, "the kernel failed on the device");
        if (!stopped && __atomic_load_n(run->frame->stop, __ATOMIC_RELAXED) && (stopped = run->frame->services->poll(run->frame)) != 0) stop(run);
        const uint64_t waited = qn__now() - begun;
        if (waited > SPIN_NANOSECONDS) nap(waited);
        else sched_yield();
    }
    return stopped ? qn__cuda_raise(run, stopped, 0, 0, 0, 0) : 0;
}

int32_t qn__cuda_poll(qn__cuda_run *run) {
    if (!__atomic_load_n(run->frame->stop, __ATOMIC_RELAXED)) return 0;
    const int32_t kind = run->frame->services->poll(run->frame);
    if (!kind) return 0;
    stop(run);
    return qn__cuda_raise(run, kind, 0, 0, 0, 0);
}

void qn__cuda_drain(qn__cuda_run *run) {
    run->driver->cuStreamSynchronize(run->lane->control);
    run->driver->cuStreamSynchronize(run->lane->stream);
}

/* ---- faults ---- */

/* Device slots as the launch saw them: the newest writes are undone first. */
static qn__cu_result undo_writes(qn__cuda_run *run, uint32_t kept) {
    qn__cu_result result = CU_SUCCESS;
    while (run->undo_count > kept && result == CU_SUCCESS) {
        run->undo_count--;
        result = run->driver->cuMemcpyDtoDAsync(slot_address(run, run->undo_slots[run->undo_count]), undo_address(run, run->undo_count), 8, run->lane->stream);
    }
    return result;
}

static int32_t describe(qn__cuda_run *run, const qn__cuda_launched *failed, uint64_t lowest) {
    const uint64_t point = lowest & ((UINT64_C(1) << QN__PLAN_POINT) - 1);
    const qn__device_state *state = (const qn__device_state *)(const void *)run->lane->answer;
    const uint32_t location = run->plan->entries[failed->entry].location;
    memcpy(run->values + QN__PLAN_PARAMETERS, run->logged + failed->arguments, run->plan->entries[failed->entry].argument_count * sizeof(uint64_t));
    qn__cu_result result = undo_writes(run, failed->undo);
    if (result == CU_SUCCESS) result = set_word(run, run->lane->state, UINT64_MAX, run->lane->stream);
    if (result == CU_SUCCESS) result = start(run, failed->entry, (const unsigned[]){1, 1, 1}, (uint64_t)failed->number << QN__PLAN_POINT, point);
    if (result == CU_SUCCESS) result = run->driver->cuMemcpyDtoHAsync(run->lane->answer, run->lane->state, sizeof *state, run->lane->stream);
    if (result != CU_SUCCESS) return qn__cuda_broken(run, result, "the fault cannot be described");
    const int32_t kind = wait(run);
    if (kind) return kind;
    if (state->kind <= 0 || state->kind >= QN__FAULT_COUNT) {
        qn__cuda_refuse(&run->error, QN__CUDA_LAUNCH, "point %llu of %s failed, but does not say why", (unsigned long long)point,
                        run->plan->entries[failed->entry].symbol);
        return qn__cuda_refused(run);
    }
    return qn__cuda_raise(run, state->kind, state->location ? state->location : location, state->index, state->extent, (int64_t)point);
}

static int32_t look(qn__cuda_run *run) {
    const qn__device_state *state = (const qn__device_state *)(const void *)run->lane->answer;
    const uint64_t lowest = state->lowest;
    if (lowest != UINT64_MAX) {
        for (size_t i = 0; i < run->log_count; i++)
            if (run->log[i].number == lowest >> QN__PLAN_POINT) return describe(run, &run->log[i], lowest);
        qn__cuda_refuse(&run->error, QN__CUDA_LAUNCH, "a fault of launch %llu, which is unknown", (unsigned long long)(lowest >> QN__PLAN_POINT));
        return qn__cuda_refused(run);
    }
    run->number = 1;
    run->log_count = run->logged_count = 0;
    run->undo_count = 0;
    qn__cuda_drop_retired(run);
    return 0;
}

int32_t qn__cuda_settle(qn__cuda_run *run) {
    const qn__cu_result result = run->driver->cuMemcpyDtoHAsync(run->lane->answer, run->lane->state, sizeof(qn__device_state), run->lane->stream);
    if (result != CU_SUCCESS) return qn__cuda_broken(run, result, "the device failed");
    const int32_t kind = wait(run);
    if (kind) return kind;
    qn__cuda_spans_settle(run);
    return look(run);
}

/* ---- device slots ---- */

int32_t qn__cuda_read(qn__cuda_run *run, uint32_t slot, uint64_t *bits) {
    uint64_t *answer = run->lane->answer + STATE_WORDS;
    const qn__cu_result result = run->driver->cuMemcpyDtoHAsync(answer, slot_address(run, slot), 8, run->lane->stream);
    if (result != CU_SUCCESS) return qn__cuda_broken(run, result, "the device failed");
    const int32_t kind = qn__cuda_settle(run);
    *bits = *answer;
    return kind;
}

int32_t qn__cuda_write(qn__cuda_run *run, uint32_t slot, uint64_t bits) {
    qn__cu_result result = CU_SUCCESS;
    if (run->undo_count == QN__CUDA_UNDO) {
        const int32_t kind = qn__cuda_settle(run);
        if (kind) return kind;
    }
    if (run->log_count) { /* else no launch can be replayed */
        result = run->driver->cuMemcpyDtoDAsync(undo_address(run, run->undo_count), slot_address(run, slot), 8, run->lane->stream);
        run->undo_slots[run->undo_count++] = slot;
    }
    if (result == CU_SUCCESS) result = set_word(run, slot_address(run, slot), bits, run->lane->stream);
    return result == CU_SUCCESS ? 0 : qn__cuda_broken(run, result, "the device failed");
}
