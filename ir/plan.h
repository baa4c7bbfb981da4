/* What the host does to run a kernel on a device that it feeds: a flat program of steps, beside the device's code (PTX text).
 *
 * The compiler splits a kernel. Points of stages run on the device: each stage is one or more *entries* of the code, which the plan
 * launches in order on one stream. The uniform code between the stages is evaluated on the host where its values are known there
 * (parameters, sizes, what is computed of them), in 8-byte slots that hold value bits, zero-extended. What stages give (results of
 * reductions, elements loaded at kernel level) stays on the device in its own 8-byte *device slots* and never waits for
 * the host, unless the host needs it for a branch, a bound or an extent: then a READ fetches it.
 *
 * An entry's parameters are 8 bytes each: the address of the device state; `key`; `only`; then the arguments in the order of its
 * list. Entries loop over their points by the size of the grid, so any grid computes the same. At their start they return at
 * once when state.lowest is below their key: a fault stopped the kernel.
 *
 * Faults. A failing check does atomic-min of key + point into state.lowest, where key is the launch's number << 48 and point
 * the row-major number of the point in its stage (QN__PLAN_POINT bits), and ends the point. The lowest fault of the first failing launch
 * wins, whatever order the points ran in. To learn what it was, the host launches the entry once more with `only` = that
 * point, one thread block: then the check that fails writes kind, location, index and extent to the state. `only` is all ones otherwise. (Entries of one thread that run kernel-level code
 * have written these fields at the first time, and do nothing when asked again: they must not run twice.)
 *
 * Stopping. state.stop is the device address of a 32-bit word in the host's memory; loops of unknown length look at it and end their point when
 * it is not 0; the host then raises CANCELLED or DEADLINE.
 *
 * Arrays on the device are row-major without gaps; their extents are values that entries get as arguments. The addresses of arrays and scratch buffers are
 * multiples of 16, and up to the next multiple of 16 the bytes behind the last element belong to the buffer: narrow atomics and vector loads touch them.
 * The buffers of the arrays and scratch buffers of one launch do not overlap. */
#ifndef QN__PLAN_H
#define QN__PLAN_H

#include "ir/ir.h"
#include "ir/text.h"

typedef enum qn__plan_op {
#define PLAN(ENUM, name, operands) QN__PLAN_##ENUM,
#include "ir/plan.def"
#undef PLAN
    QN__PLAN_COUNT
} qn__plan_op;

enum { QN__PLAN_POINT = 48, QN__PLAN_PARAMETERS = 3 }; /* bits of a point; parameters before an entry's arguments */

/* At the head of device memory; device slots follow directly. Offsets are emitted by offsetof. */
typedef struct qn__device_state {
    uint64_t lowest;       /* all ones: no fault */
    uint64_t stop;         /* device address of the stop word; 0: none */
    int32_t kind;          /* qn__fault_kind; these four are written by a launch with `only` */
    uint32_t location;
    int64_t index, extent;
} qn__device_state;

typedef struct qn__plan_step {
    uint8_t op, aux, type, result_type;
    uint32_t target;
    uint32_t operand_first, operand_count; /* in the plan's operands: slot numbers, or what an entry's argument is */
    uint32_t location;                     /* for faults; 0: none */
    uint64_t imm;
} qn__plan_step;

/* What an argument's operand is: a slot whose 8 bytes are passed; an array or a scratch buffer whose device address is passed. */
typedef enum qn__plan_argument { QN__ARGUMENT_SLOT, QN__ARGUMENT_ARRAY, QN__ARGUMENT_SCRATCH, QN__ARGUMENT_COUNT } qn__plan_argument;

typedef struct qn__plan_entry {
    const char *symbol;                    /* in the code */
    uint32_t block[3];                     /* threads of a block: the code relies on it */
    uint32_t per_thread;                   /* consecutive points of a thread in x, at least 1; a LAUNCH counts points */
    uint32_t fixed_grid;                   /* not 0: at most so many blocks */
    const uint8_t *arguments;              /* qn__plan_argument */
    uint32_t argument_count;
    uint32_t location;                     /* of the stage in the source */
} qn__plan_entry;

typedef struct qn__plan {
    const qn__plan_step *steps;    uint32_t step_count;
    const uint32_t *operands;      uint32_t operand_count;
    const qn__plan_entry *entries; uint32_t entry_count;
    uint32_t slot_count, device_slot_count, scratch_count;
} qn__plan;

/* Readable text, one step or entry per line, each behind `prefix`. */
void qn__plan_print(const qn__plan *plan, const char *prefix, qn__text *out);

#endif
