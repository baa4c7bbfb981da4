/* What the gpu_*.c files share. */
#ifndef QN__LLVM_GPU_INTERNAL_H
#define QN__LLVM_GPU_INTERNAL_H

#include "compiler/llvm/gpu.h"
#include "compiler/llvm/internal.h"
#include "ir/plan.h"

/* Where a value of kernel level is known: evaluated by the host in a slot, or in a device slot. NONE: it is inside a stage, or inside uniform code that
 * runs on the device as a whole. */
typedef enum qn__place { QN__PLACE_NONE, QN__PLACE_HOST, QN__PLACE_DEVICE } qn__place;

enum { QN__NO_SLOT = UINT32_MAX, QN__SMALL_ARRAY = 4096 /* elements that fit in shared memory */, QN__WARP = 32, QN__GUESSED_POINTS = 1 << 17 /* where the host does not know the bounds of a domain: what fills a device */ };

/* A table that grows in an arena. */
typedef struct qn__growing { void *items; uint32_t count, capacity; } qn__growing;

/* What an entry needs from outside, collected before its function is made. */
typedef struct qn__unit {
    uint32_t number;               /* distinct for each unit */
    qn__growing arguments;         /* qn__unit_argument, in the order of the entry's parameters */
    qn__growing device;            /* qn__value: read from device slots */
    const char *what;              /* for the entry's name */
    uint32_t block[3], fixed_grid, location;
    uint32_t per_thread;           /* consecutive points of a thread */
    bool warps, barriers;          /* the lanes of a warp, the threads of a block must stay together: they return at the start together or not at all */
    uint32_t resident;             /* blocks that shall fit on a multiprocessor: bounds the registers; 0: as it comes */
} qn__unit;

typedef struct qn__unit_argument {
    uint8_t kind;                  /* qn__plan_argument */
    bool read, written;            /* arrays */
    uint32_t operand;
    qn__value value;               /* that a slot holds; 0: none of the IR's */
} qn__unit_argument;

/* One step of uniform device code: an instruction, or the copy of a value to a device slot. */
typedef struct qn__pending { qn__instr_ref instr; qn__value value; uint32_t device_slot; } qn__pending;

typedef enum qn__mode {
    QN__MODE_UNIFORM,              /* one thread, kernel-level code */
    QN__MODE_POINTS,               /* each thread has points of its own */
    QN__MODE_WARP,                 /* the threads of a warp run one point together */
    QN__MODE_DONE,                 /* the stage has been emitted already */
    QN__MODE_ORDERED               /* one thread runs all points in order */
} qn__mode;

typedef struct qn__gpu {
    qn__emitter *e;
    const qn__ir *ir;
    const qn__gpu_options *options;
    qn__arena *arena;              /* the IR's: of the plan */

    /* The plan that is being made. The head (constants, parameters, sizes) comes before the steps. */
    qn__growing head, steps, operands, entries;
    uint32_t slot_count, device_slot_count, scratch_count;
    uint32_t joined;               /* the last step that others jump to */
    uint32_t zero;                 /* a slot with 0 */

    /* By value. */
    uint8_t *place;
    uint32_t *host, *device;       /* slots, or QN__NO_SLOT */
    qn__region_ref *read_in;       /* the region in which a device value was READ into its host slot; 0: nowhere */
    uint32_t *defined_in;          /* number of the unit that defines it */
    uint32_t *outside_uses;        /* how often it is used outside of the pending group; scratch of flush */
    uint32_t *captured_in;         /* number of the unit that has captured it */
    /* By array and by local. */
    uint32_t *array_in, *array_argument;
    bool *constant, *in_order;     /* in_order: the stage combines into it in ways whose order shows */
    uint32_t *local_scratch;       /* scratch buffer of a local that lives at kernel level, or QN__NO_SLOT */
    uint32_t *local_in, *local_argument;

    qn__growing pending;
    qn__region_ref region;         /* of kernel level, that is being walked */
    uint32_t unit_count;

    /* The entry that is being emitted. */
    qn__mode mode;
    LLVMValueRef state, key, only, stop, reporting /* i1: a launch with `only` */;
    LLVMBasicBlockRef leave;       /* where a failing check or a stop goes */
    bool keeping;                  /* faults of lanes are kept aside: */
    struct { LLVMValueRef term, kind, location, index, extent, number; } kept; /* in memory; term is INT64_MAX while there is none */
    LLVMValueRef term;             /* i64: that a lane is at */
    LLVMValueRef lane;             /* i32: number in the warp */
    bool exchanges;                /* WARP: a point loads what it has stored, so that lanes must see each other's stores */
    LLVMValueRef patience[2];      /* i32 in memory: polls until the next look at the stop word; [1] in lanes */
    uint32_t log_width;            /* the argument with the logarithm of the width of blocks, where they have two dimensions */
    bool flat;                     /* points are numbered in row-major order even where the grid could have more axes */
    const qn__instr *gathered;     /* accumulations into this one's array go to `gathered_in`, shared memory; NULL: none */
    LLVMValueRef gathered_in;
    struct notes *notes;           /* gpu_ordered.c: what accumulates is noted there; NULL: done at once */
    LLVMValueRef found, found_values[QN__MAX_PUSHED]; /* keep, in memory: this point has pushed (i1), and what */
    bool in_lanes;                 /* inside a reduction that the lanes share: each has terms of its own */
} qn__gpu;

/* ---- gpu_plan.c: the tables of the plan ---- */
void *qn__grow(qn__gpu *g, qn__growing *table, size_t size); /* room for one more, zeroed; NULL: no memory, the emission has failed */
#define QN__GROW(g, table, type) ((type *)qn__grow(g, table, sizeof(type)))
uint32_t qn__plan_slot(qn__gpu *g);
uint32_t qn__plan_add(qn__gpu *g, qn__plan_step step, const uint32_t *operands, uint32_t count); /* number of the step */
void qn__plan_target(qn__gpu *g, uint32_t step);             /* it goes on with the step that comes next */
uint32_t qn__plan_here(qn__gpu *g);
uint32_t qn__plan_constant(qn__gpu *g, uint64_t bits);       /* a slot */
uint32_t qn__plan_parameter(qn__gpu *g, uint64_t number);    /* slots with a scalar parameter, with a size symbol */
uint32_t qn__plan_size(qn__gpu *g, uint64_t number);
uint32_t qn__plan_eval(qn__gpu *g, qn__op op, qn__type type, qn__type result, const uint32_t *operands, uint32_t count); /* a new slot */
bool qn__plan_known(const qn__gpu *g, uint32_t slot, uint64_t *bits); /* it is a constant */
uint32_t qn__plan_binary(qn__gpu *g, qn__op op, uint32_t a, uint32_t b); /* of i64 */
uint32_t qn__plan_scratch(qn__gpu *g);                       /* a number */
void qn__plan_size_scratch(qn__gpu *g, uint32_t scratch, uint32_t bytes_slot);
void qn__plan_launch(qn__gpu *g, const qn__unit *unit, const char *symbol, uint32_t x, uint32_t y, uint32_t z);
bool qn__plan_finish(qn__gpu *g, qn__plan *plan);

/* ---- gpu_residency.c ---- */
bool qn__residency(qn__gpu *g);
bool qn__host_controlled(const qn__gpu *g, const qn__instr *instr); /* an if, for or while that the host walks */

/* ---- gpu_level.c: kernel level -> steps of the plan ---- */
void qn__level_body(qn__gpu *g);
uint32_t qn__level_host(qn__gpu *g, qn__value v);            /* a host slot with the value here, reading it where it is on the device */
uint32_t qn__level_device(qn__gpu *g, qn__value v);          /* its device slot, made on demand */
void qn__level_flush(qn__gpu *g);                            /* launches the pending uniform code */
uint32_t qn__level_count(qn__gpu *g, qn__value lo, qn__value hi); /* a slot with max(hi - lo, 0) */
uint32_t qn__level_product(qn__gpu *g, uint32_t a, uint32_t b);

/* ---- gpu_entry.c: functions of the device code ---- */
extern const qn__platform qn__gpu_platform;
void qn__unit_begin(qn__gpu *g, qn__unit *unit, const char *what, uint32_t location, uint32_t x, uint32_t y, uint32_t z);
void qn__unit_region(qn__gpu *g, qn__unit *unit, qn__region_ref region);
void qn__unit_instr(qn__gpu *g, qn__unit *unit, const qn__instr *instr);
void qn__unit_value(qn__gpu *g, qn__unit *unit, qn__value v);
void qn__unit_array(qn__gpu *g, qn__unit *unit, uint32_t array, bool written);
uint32_t qn__unit_slot(qn__gpu *g, qn__unit *unit, uint32_t slot);       /* numbers of arguments */
uint32_t qn__unit_scratch(qn__gpu *g, qn__unit *unit, uint32_t scratch);
const char *qn__entry_begin(qn__gpu *g, const qn__unit *unit, qn__mode mode); /* the symbol; NULL: no memory */
void qn__entry_end(qn__gpu *g);
LLVMValueRef qn__entry_argument(qn__gpu *g, uint32_t number);
LLVMValueRef qn__device_slot(qn__gpu *g, uint32_t slot);     /* its address */
void qn__write_slot(qn__gpu *g, qn__value v, LLVMValueRef value, uint32_t slot);

void qn__keep_faults(qn__gpu *g);                            /* from here on, until keeping is reset */
void qn__raise_kept(qn__gpu *g);                             /* the fault that this lane kept; ends the block */

/* ---- gpu_threads.c: who am I, and what my warp knows ---- */
LLVMValueRef qn__register(qn__gpu *g, const char *name);     /* a special register as i64: "tid.x" */
LLVMValueRef qn__thread(qn__gpu *g);                         /* number of the thread in the grid (x), i64 */
LLVMValueRef qn__threads(qn__gpu *g);                        /* threads of the grid (x), i64 */
LLVMValueRef qn__shuffle_down(qn__gpu *g, LLVMValueRef value, LLVMValueRef distance /* i32 */);
LLVMValueRef qn__shuffle_up(qn__gpu *g, LLVMValueRef value, LLVMValueRef distance); /* below the distance: undefined */
LLVMValueRef qn__shuffle_from(qn__gpu *g, LLVMValueRef value, LLVMValueRef lane /* i32 */);
LLVMValueRef qn__ballot(qn__gpu *g, LLVMValueRef bit);
void qn__barrier(qn__gpu *g);
LLVMValueRef qn__any_in_block(qn__gpu *g, LLVMValueRef bit); /* a barrier as well */
LLVMValueRef qn__on_device(qn__gpu *g, LLVMValueRef atomic); /* atomic for the threads of the device, not for the host; gives it back */
void qn__unroll(qn__gpu *g, LLVMBasicBlockRef latch, uint32_t times); /* the loop whose last block this is */
void qn__warp_barrier(qn__gpu *g);                           /* what the lanes wrote before is seen by the others after it */
LLVMValueRef qn__shared(qn__gpu *g, LLVMTypeRef type, uint32_t count, const char *name); /* an array in shared memory */

/* ---- gpu_points.c: boxes of points ---- */
typedef struct qn__axis { LLVMValueRef count, start, step; qn__loop loop; } qn__axis;
typedef struct qn__box {
    uint32_t rank, axes;           /* dimensions; axes of the grid that are used: with one, points are numbered in row-major order */
    LLVMValueRef lo[QN__MAX_RANK], extent[QN__MAX_RANK];
    qn__axis axis[3];              /* x, y, z */
} qn__box;
void qn__box_measure(qn__gpu *g, const qn__instr *instr, qn__box *box);
void qn__box_point(qn__gpu *g, const qn__instr *instr, qn__box *box, LLVMValueRef number); /* emits the point with that row-major number */

/* ---- gpu_points.c, gpu_reduce.c, ...: stages ---- */
void qn__gpu_box(qn__gpu *g, const qn__instr *instr);         /* all points of a parallel or keep that this thread has */
void qn__gpu_parallel(qn__gpu *g, const qn__instr *instr);
void qn__gpu_plain(qn__gpu *g, const qn__instr *instr);       /* a parallel whatever it is, by loops over its points */
bool qn__gpu_contraction(qn__gpu *g, const qn__instr *stage); /* a parallel as a matrix product; false: it is none that is known here */
void qn__gpu_in_order(qn__gpu *g, const qn__instr *instr);    /* reduce or scan by one thread, with the CPU's code */
void qn__gpu_reduce(qn__gpu *g, const qn__instr *instr);
bool qn__gpu_accumulate(qn__emitter *e, const qn__instr *instr, LLVMValueRef pointer, LLVMValueRef value);                 /* qn__platform.accumulate */
bool qn__gpu_block(qn__emitter *e, const qn__instr *instr, LLVMValueRef start, LLVMValueRef stop, LLVMValueRef *values); /* qn__platform.block */
void qn__gpu_scan(qn__gpu *g, const qn__instr *instr);
bool qn__gpu_ordered(qn__gpu *g, const qn__instr *instr, qn__mode mode); /* a parallel whose accumulations are in order; false: not in a way that is here */
bool qn__gpu_gathers(qn__gpu *g, const qn__instr *stage, const qn__instr **accumulate); /* a scatter that shared memory may serve: one of its accumulations */
void qn__gpu_gather(qn__gpu *g, const qn__instr *stage, const qn__instr *accumulate);
bool qn__gpu_note(qn__gpu *g, const qn__instr *instr, LLVMValueRef pointer, LLVMValueRef value);
void qn__gpu_keep(qn__gpu *g, const qn__instr *instr);
bool qn__gpu_push(qn__emitter *e, const qn__instr *instr);    /* qn__platform.push */

static inline qn__region_ref qn__region_of_value(const qn__ir *ir, qn__value v) {
    return ir->values[v].instr ? ir->instrs[ir->values[v].instr].region : ir->values[v].region;
}

static inline qn__gpu *qn__gpu_of(qn__emitter *e) { return e->gpu; }

#endif
