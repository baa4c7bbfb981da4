/* The executing half: translated code, and the state of warps and blocks that its steps work on.
 *
 * A register is a vector of 32 lanes in its frame: 2, 4, 8 or 16 bytes a lane; a predicate is one word, a bit per lane. Steps name registers
 * by their offset in the frame, constants lie there too. Offset 0 holds all ones: the guard of a step without one. */
#ifndef EM_MACHINE_H
#define EM_MACHINE_H

#include "emulator/ptx.h"

#include <pthread.h>

enum { EM_LANES = 32, EM_BARRIERS = 16, EM_NOWHERE = 0x7fffffff };
#define EM_ALL 0xffffffffu

typedef struct em_warp em_warp;
typedef struct em_step em_step;
typedef struct em_block_state em_block_state;
typedef struct em_worker em_worker;
typedef struct em_run em_run;
typedef struct em_lanes em_lanes;

/* What a step answers: go on; pc was set; the stack changed; this split waits; the block has a fault. */
typedef enum em_answer { EM_NEXT, EM_JUMP, EM_RELOAD, EM_WAIT, EM_FAULTED } em_answer;
typedef em_answer (*em_handler)(em_warp *warp, const em_step *step, uint32_t mask);
typedef uint32_t (*em_comparison)(const void *a, const void *b); /* a bit per lane */

struct em_step {
    em_handler run;
    uint32_t guard, flip;        /* a lane runs where the guard's bit, flipped or not, is 1 */
    uint32_t d, a, b, c, e;      /* offsets in the frame */
    uint32_t target, join;       /* of branches: where to, and where lanes meet again */
    uint64_t imm;
    uint8_t type, type2;         /* em_type */
    uint8_t mode;                /* em_modifier: rounding, comparison, atomic operation, ... */
    uint8_t mode2;
    uint8_t space;               /* em_space */
    uint8_t bytes, count;        /* of an access: of an element; elements */
    uint8_t d_bytes, a_bytes;    /* of registers */
    uint8_t flags, base;
    uint32_t slot;               /* which place remembers the block that was hit */
    em_comparison compare;
    const em_step *inner;        /* what a wrapper wraps */
    const uint32_t *list;        /* offsets of vector operands, targets of brx */
    uint32_t list_count;
    const em_instruction *instruction;
    const struct em_code *callee;
    uint32_t line;
};

/* How an address is made: a register's value or none, plus imm, plus where the frame's local memory or dynamic shared memory begins. */
enum { EM_BASE_NONE = 0, EM_BASE_32 = 4, EM_BASE_64 = 8, EM_BASE_FRAME = 16, EM_BASE_DYNAMIC = 32 };

enum { EM_FLAG_FTZ = 1, EM_FLAG_SAT = 2, EM_FLAG_NAN = 4, EM_FLAG_XORSIGN = 8, EM_FLAG_RELU = 16, EM_FLAG_CARRY_OUT = 32, EM_FLAG_ALIGNED = 64, EM_FLAG_VOLATILE = 128 };

/* How a call passes a value. */
enum { EM_PASS_NOTHING, EM_PASS_MEMORY, EM_PASS_REGISTER, EM_PASS_PREDICATE };

typedef struct em_constant { uint32_t offset; uint8_t bytes; uint64_t value; } em_constant;

typedef struct em_code {
    em_function *function;
    em_step *steps;
    uint32_t count;
    uint32_t frame_bytes, local_bytes; /* local: per lane, with .param variables */
    em_constant *constants;
    uint32_t constant_count;
    uint32_t number;             /* among the module's functions */
} em_code;

/* Offsets every frame has. */
enum { EM_FRAME_TRUE = 0, EM_FRAME_FALSE = 8, EM_FRAME_CARRY = 16, EM_FRAME_SCRATCH = 64, EM_SCRATCH_BYTES = 512, EM_SCRATCHES = 5,
    EM_FRAME_FREE = EM_FRAME_SCRATCH + EM_SCRATCHES * EM_SCRATCH_BYTES };

typedef struct em_frame {
    struct em_frame *next;       /* of the worker's free ones */
    const em_code *code;
    char *registers;
    uint32_t local;              /* where its local memory begins in the thread's */
    uint32_t references;
} em_frame;

typedef struct em_entry {
    const em_code *code;
    em_frame *frame;
    uint32_t pc, join, mask;
    bool call;                   /* the first of a called function: owns its frame */
} em_entry;

typedef enum em_split_state { EM_READY, EM_AT_BARRIER, EM_AT_COLLECTIVE } em_split_state;

/* Lanes that run together: a stack of divergence. Mostly a warp has one; lanes that wait for others make more. */
typedef struct em_split {
    em_entry *stack;
    uint32_t depth, capacity;
    em_split_state state;
    uint32_t barrier;            /* number, while it waits */
    uint32_t wait_mask;          /* lanes that execute the waiting step */
    uint32_t members;            /* of a collective */
    bool busy;                   /* its last quantum did more than look at memory again and again */
    uint64_t since, spins;       /* steps and synchronising accesses since lanes met */
} em_split;

typedef struct em_copy { /* a cp.async on its way */
    struct em_copy *next;
    uint32_t mask, bytes;
    const em_step *step;
    uint32_t group[EM_LANES], source_bytes[EM_LANES];
    uint64_t to[EM_LANES], from[EM_LANES];
} em_copy;

struct em_warp {
    char *registers;             /* of the running frame */
    uint32_t pc, active;
    em_split *split;             /* the running one */
    em_block_state *block;
    em_worker *worker;
    const em_code *code;
    em_frame *frame;
    uint32_t index, lanes, exited;
    em_split *splits;
    uint32_t split_count, next_split;
    uint64_t executed;
    char *local;                 /* of lane 0; lanes follow local_stride bytes apart */
    uint32_t tid[3][EM_LANES];
    uint64_t exchange[4][EM_LANES]; /* what lanes brought to a collective */
    em_copy *copies, *free_copies;
    em_frame *frame0;            /* the kernel's own */
    uint32_t groups[EM_LANES];
    uint32_t *clocks;            /* of each warp of the block, as far as this one has synchronised with it */
};

typedef struct em_barrier { uint32_t arrived, expected, lanes_true; bool counted; uint32_t arrive_warps; } em_barrier;

/* Who touched a word of shared memory last. */
typedef struct em_shadow { uint32_t write_clock, read_clock; uint16_t writer, reader; uint8_t write_bytes, read_bytes, flags, written; } em_shadow;

struct em_block_state {
    em_block_state *next;
    em_worker *worker;
    uint64_t number;
    uint32_t id[3];
    em_warp *warps;
    uint32_t warp_count, live;   /* live: threads that did not exit */
    uint32_t next_warp;
    char *shared, *local;
    uint32_t shared_bytes;
    em_shadow *shadow;
    uint32_t clock_base;
    uint32_t *clocks;            /* warp_count x warp_count */
    uint32_t *fence_clocks;
    em_barrier barriers[EM_BARRIERS];
    bool races, inits;           /* which detectors are on */
    uint64_t quanta;
};

typedef struct em_hit { uint64_t base, end; const em_block *block; } em_hit;

struct em_worker {
    em_run *run;
    uint32_t index;
    em_hit *hits;                /* a place per access in the module */
    em_frame **free_frames;      /* by em_code.number */
    em_block_state *free_blocks;
    em_fault fault;
    uint64_t fault_block;
    uint64_t executed;
    bool no_memory;
    pthread_t thread;
};

/* One launch. */
struct em_run {
    const em_launch *launch;
    const em_code *code;
    em_module *module;
    uint64_t blocks, next, lowest_fault; /* the last two are changed atomically */
    uint32_t threads, warps, shared_bytes, shared_static;
    uint64_t local_stride;
    char *parameters;            /* a copy */
    uint64_t grid_number, fences;
    const em_lanes *lanes;
};

static inline void *em_at(const em_warp *warp, uint32_t offset) { return warp->registers + offset; }
static inline uint32_t *em_predicate(const em_warp *warp, uint32_t offset) { return (uint32_t *)(void *)(warp->registers + offset); }

/* Handlers that more than operation and type choose. */
typedef enum em_lanes_other {
    EM_LANES_SLCT16, EM_LANES_SLCT32, EM_LANES_SLCT64, EM_LANES_SLCT_F16, EM_LANES_SLCT_F32, EM_LANES_SLCT_F64, EM_LANES_SHF_L_WRAP, EM_LANES_SHF_L_CLAMP,
    EM_LANES_SHF_R_WRAP, EM_LANES_SHF_R_CLAMP, EM_LANES_SZEXT_WRAP_U, EM_LANES_SZEXT_WRAP_S, EM_LANES_SZEXT_CLAMP_U, EM_LANES_SZEXT_CLAMP_S,
    EM_LANES_BMSK_WRAP, EM_LANES_BMSK_CLAMP, EM_LANES_SETP, EM_LANES_SETP_FULL, EM_LANES_SET_INTEGER, EM_LANES_SET_FLOAT, EM_LANES_SET_F16,
    EM_LANES_SET_BF16, EM_LANES_SET_INTEGER16, EM_LANES_FMIN_NAN, EM_LANES_FMAX_NAN, EM_LANES_OTHERS
} em_lanes_other;

/* Handlers of plain arithmetic, one set per instruction set of the host. */
struct em_lanes {
    em_handler handlers[EM_OP_COUNT][EM_TYPE_COUNT];
    em_comparison comparisons[EM_TYPE_COUNT][EM_MODIFIER_COUNT];
    em_handler conversions[EM_TYPE_COUNT][EM_TYPE_COUNT]; /* [to][from]: plain ones between registers of the types' sizes */
    em_handler others[EM_LANES_OTHERS];
    em_answer (*run)(em_warp *warp, uint64_t *budget);
};
extern const em_lanes em_lanes_base, em_lanes_v3, em_lanes_v4;
const em_lanes *em_lanes_best(void);

/* Handlers chosen by more than operation and type; NULL: none. */
em_handler em_handler_float(const em_instruction *instruction); /* rounding, .ftz, .sat, approximations, halves */
em_handler em_handler_convert(const em_instruction *instruction, uint32_t d_bytes, uint32_t a_bytes);
em_handler em_handler_memory(const em_instruction *instruction);
em_handler em_handler_warp(const em_instruction *instruction);
em_handler em_handler_matrix(const em_instruction *instruction);
em_answer em_wrapped(em_warp *warp, const em_step *step, uint32_t mask);

em_answer em_run_prepare(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_setp_halves(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_set_halves(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_convert(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_convert_pair(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_convert_pack(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_pack(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_unpack(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_move128(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_load(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_store(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_atomic(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_space(em_warp *warp, const em_step *step, uint32_t mask);   /* cvta, isspacep */
em_answer em_run_fence(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_copy_async(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_copy_control(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_matrix(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_matrix_move(em_warp *warp, const em_step *step, uint32_t mask); /* ldmatrix, stmatrix */
em_answer em_run_nothing(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_trap(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_special(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_branch(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_indexed(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_call(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_return(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_exit(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_barrier(em_warp *warp, const em_step *step, uint32_t mask);
em_answer em_run_collective(em_warp *warp, const em_step *step, uint32_t mask);
void em_collective_inputs(em_warp *warp, const em_step *step, uint32_t mask);
void em_collective_complete(em_warp *warp, char *registers, const em_step *step, uint32_t mask, uint32_t members);

/* The lane's fault: fills in the report unless there is one. */
__attribute__((format(printf, 5, 6))) em_answer em_fail(em_warp *warp, const em_step *step, uint32_t lane, em_fault_kind kind, const char *format, ...);

/* Where each lane's access goes. False: a fault. */
bool em_resolve(em_warp *warp, const em_step *step, uint32_t mask, em_space space, const uint64_t *addresses, uint32_t bytes, bool write, bool atomic, char **to);
/* Tells the detectors of accesses that went to shared memory. False: a fault. */
bool em_watch(em_warp *warp, const em_step *step, uint32_t mask, em_space space, uint32_t bytes, bool write, bool atomic, char *const *to);
void em_addresses(const em_warp *warp, const em_step *step, em_space *space, uint64_t *addresses);
void em_copies_finish(em_warp *warp, uint32_t mask, uint32_t keep, bool all);

/* Race and initialisation checks of shared memory. */
bool em_shadow_access(em_warp *warp, const em_step *step, uint32_t lane, uint32_t offset, uint32_t bytes, bool write, bool atomic, const void *value);
/* Of whole words, all in shared memory. */
bool em_shadow_reads(em_warp *warp, const em_step *step, uint32_t mask, char *const *from, uint32_t bytes, bool atomic);
void em_shadow_barrier(em_block_state *block, const uint32_t *warps, uint32_t count);
void em_shadow_start(em_block_state *block);
void em_shadow_warp(em_warp *warp);
void em_shadow_fence(em_warp *warp);

int32_t em_print(em_warp *warp, uint32_t lane, uint64_t format, uint64_t arguments);
bool em_split_push(em_warp *warp, em_split *split, em_entry entry);
/* A block ends before its warps did: their frames go back. */
void em_splits_release(em_warp *warp);
bool em_break_up(em_warp *warp, em_split *split);
bool em_run_block(em_block_state *block, uint64_t quanta, bool *done);
bool em_cancelled(const em_worker *worker); /* the launch shall end; thread-safe */
em_frame *em_frame_take(em_worker *worker, const em_code *code);
void em_frame_give(em_worker *worker, em_frame *frame);

#endif
