/* Executes a plan (ir/plan.h): the host's part of a kernel on a device. Uniform values are evaluated as ir/eval.h says; launches, reads and
 * buffers are launch.c's and arrays.c's.
 *
 * The program order of faults is kept: before the host raises one of its own it waits for the launches that came earlier, whose faults come first. */
#include "runtime/cuda/run.h"

#include "ir/eval.h"

#include <stdlib.h>
#include <string.h>

int32_t qn__cuda_raise(qn__cuda_run *run, int32_t kind, uint32_t location, int64_t index, int64_t extent, int64_t iteration) {
    run->frame->fault = (qn__fault){kind, location, index, extent, iteration};
    return kind;
}

int32_t qn__cuda_refused(const qn__cuda_run *run) {
    const int32_t kind = run->error.failure == QN__CUDA_NO_MEMORY ? QN__FAULT_MEMORY : QN__FAULT_DEVICE;
    run->frame->fault = (qn__fault){.kind = kind};
    return kind;
}

int32_t qn__cuda_broken(qn__cuda_run *run, qn__cu_result result, const char *what) {
    qn__cuda_device_fail(run->device, &run->error, result, what);
    return qn__cuda_refused(run);
}

/* A fault of the host's own, unless an earlier launch has one. */
static int32_t host_fault(qn__cuda_run *run, int32_t kind, uint32_t location, int64_t index, int64_t extent) {
    const int32_t earlier = qn__cuda_settle(run);
    return earlier ? earlier : qn__cuda_raise(run, kind, location, index, extent, 0);
}

static int32_t evaluate(qn__cuda_run *run, const qn__plan_step *step) {
    uint64_t operands[4] = {0}, bits = 0;
    const uint32_t *list = run->plan->operands + step->operand_first;
    for (uint32_t i = 0; i < step->operand_count && i < 4; i++) operands[i] = run->slots[list[i]];
    if (step->operand_count > 4 || !qn__eval((qn__op)step->aux, (qn__type)step->type, (qn__type)step->result_type, operands, &bits)) {
        qn__cuda_refuse(&run->error, QN__CUDA_BAD_CODE, "the plan of the kernel holds an operation that the host cannot do");
        return qn__cuda_refused(run);
    }
    run->slots[step->target] = bits;
    return 0;
}

static int32_t allocate(qn__cuda_run *run, const qn__plan_step *step) {
    int64_t extents[QN__MAX_RANK] = {0};
    const uint32_t *list = run->plan->operands + step->operand_first;
    for (uint32_t d = 0; d < step->operand_count && d < QN__MAX_RANK; d++) extents[d] = (int64_t)run->slots[list[d]];
    const int32_t kind = qn__cuda_give(run, (uint32_t)step->imm, extents);
    if (kind == QN__FAULT_SIZE) return host_fault(run, kind, step->location, run->frame->fault.index, run->frame->fault.extent);
    if (kind) run->frame->fault.location = step->location;
    return kind;
}

static int32_t check(qn__cuda_run *run, const qn__plan_step *step, const uint64_t *a, const uint32_t *list) {
    if (*a) return 0;
    const int64_t index = step->operand_count > 1 ? (int64_t)run->slots[list[1]] : 0;
    const int64_t extent = step->operand_count > 2 ? (int64_t)run->slots[list[2]] : 0;
    return host_fault(run, step->aux, step->location, index, extent);
}

static void swap(qn__cuda_run *run, uint64_t a, uint32_t b) {
    const qn__cuda_buffer kept = run->arrays[a];
    run->arrays[a] = run->arrays[b];
    run->arrays[b] = kept;
}

/* One step; *next is the number of the one to come. */
static int32_t execute(qn__cuda_run *run, const qn__plan_step *step, uint32_t *next) {
    const uint32_t *list = run->plan->operands + step->operand_first;
    const uint64_t *a = step->operand_count ? &run->slots[list[0]] : NULL;
    switch ((qn__plan_op)step->op) {
    case QN__PLAN_CONST: run->slots[step->target] = step->imm; return 0;
    case QN__PLAN_PARAM: run->slots[step->target] = run->frame->scalars[step->imm]; return 0;
    case QN__PLAN_SIZE: run->slots[step->target] = (uint64_t)run->frame->sizes[step->imm]; return 0;
    case QN__PLAN_EVAL: return evaluate(run, step);
    case QN__PLAN_MOVE: run->slots[step->target] = *a; return 0;
    case QN__PLAN_READ: return qn__cuda_read(run, (uint32_t)step->imm, &run->slots[step->target]);
    case QN__PLAN_WRITE: return qn__cuda_write(run, (uint32_t)step->imm, *a);
    case QN__PLAN_JUMP: *next = step->target; return 0;
    case QN__PLAN_UNLESS:
        if (*a == 0) *next = step->target;
        return 0;
    case QN__PLAN_CHECK: return check(run, step, a, list);
    case QN__PLAN_POLL: return qn__cuda_poll(run);
    case QN__PLAN_ALLOC: return allocate(run, step);
    case QN__PLAN_SCRATCH: return qn__cuda_give_scratch(run, (uint32_t)step->imm, *a);
    case QN__PLAN_SWAP: swap(run, step->imm, step->target); return 0;
    case QN__PLAN_LAUNCH: return qn__cuda_launch(run, step);
    case QN__PLAN_END: *next = UINT32_MAX; return 0;
    case QN__PLAN_COUNT: break;
    }
    qn__cuda_refuse(&run->error, QN__CUDA_BAD_CODE, "the plan of the kernel has an unknown step");
    return qn__cuda_refused(run);
}

int32_t qn__cuda_plan(qn__cuda_run *run) {
    for (uint32_t at = 0; at < run->plan->step_count;) {
        uint32_t next = at + 1;
        const int32_t kind = execute(run, &run->plan->steps[at], &next);
        if (kind) return kind;
        at = next;
    }
    return 0;
}
