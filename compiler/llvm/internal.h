/* What the files of this folder share: the emitter's state and the l_ helpers. */
#ifndef QN__LLVM_INTERNAL_H
#define QN__LLVM_INTERNAL_H

#include "compiler/llvm/compat.h"
#include "compiler/llvm/emit.h"
#include "ir/abi.h"
#include "ir/ir.h"
#include "ir/passes.h"

enum { QN__MAX_WIDTH = 64, QN__WIDTHS = 7, QN__MAX_SCAN = 16, QN__MAX_PUSHED = 32 }; /* widths 1, 2, 4 ... 64; carried values of a scan or reduce */

/* A target machine and what the emitter must know about it. One emission at a time uses one. */
typedef struct qn__machine {
    LLVMTargetMachineRef target;
    char *triple;
    char *cpu, *features;
    uint32_t vector_bits; /* of the widest vector registers to use; at least 64 */
    bool f16c;            /* conversions between f16 and f32 in hardware */
    bool gathers;         /* hardware gathers that pay */
    bool masks;           /* native mask registers (AVX-512) */
} qn__machine;

/* NULL with a static message. */
qn__machine *qn__machine_create(const qn__llvm_options *options, const char **message);
void qn__machine_destroy(qn__machine *machine);

/* A view's data and strides, loaded where no allocation or swap can come between. */
typedef struct qn__base { LLVMValueRef data, stride[QN__MAX_RANK]; } qn__base;

/* The stage that is being emitted, for the iteration number of a fault. */
typedef struct qn__point { uint32_t rank; LLVMValueRef lo[QN__MAX_RANK], hi[QN__MAX_RANK], iv[QN__MAX_RANK]; } qn__point;

typedef struct qn__emitter qn__emitter;

/* What differs between the platforms that code is made for: how it reaches arrays, and what ends a point. emit_check.c and emit_memory.c have the
 * CPU's, over the frame of ir/abi.h; gpu_entry.c the GPU's. */
typedef struct qn__platform {
    qn__base (*base)(qn__emitter *e, uint32_t array);
    /* In a block of its own: a check failed; ends the block. number: the point's in its stage. */
    void (*fault)(qn__emitter *e, uint32_t kind, uint32_t location, LLVMValueRef index, LLVMValueRef extent, LLVMValueRef number);
    void (*poll)(qn__emitter *e, uint32_t location);
    /* NULL: done as the shared code does it. block and accumulate return false where they leave it to the shared code. */
    LLVMBasicBlockRef (*before_store)(qn__emitter *e); /* goes on where the store belongs; the block to go to after it, or NULL */
    void (*after_store)(qn__emitter *e);
    bool (*accumulate)(qn__emitter *e, const qn__instr *instr, LLVMValueRef pointer, LLVMValueRef value);
    /* Terms start..stop of one block of a reduction, combined into the value slots (values are of the type in registers). */
    bool (*block)(qn__emitter *e, const qn__instr *instr, LLVMValueRef start, LLVMValueRef stop, LLVMValueRef *values);
    bool (*push)(qn__emitter *e, const qn__instr *instr);
    uint64_t local_bytes;       /* of a point's local arrays at most */
} qn__platform;

struct qn__emitter {
    const qn__ir *ir;
    const qn__platform *platform;
    void *gpu;                  /* gpu_internal.h; NULL: a CPU */
    const qn__llvm_options *options;
    qn__machine *machine;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMBuilderRef head;        /* stands in the entry block: allocas */
    LLVMValueRef function, frame, views, stop;
    LLVMBasicBlockRef start;    /* the first block after the entry block of allocas */
    LLVMTypeRef i1, i8, i16, i32, i64, f16, f32, f64, ptr;

    LLVMValueRef *values;       /* by IR value: scalar (linear: lane 0's), or vector when varying */
    qn__shape *shapes;          /* by IR value; mean something only while width > 1 */
    uint32_t width;
    LLVMValueRef mask;          /* NULL: all lanes on; of l_mask_type */
    uint32_t lane_bits;         /* of a mask's lanes, where there are no mask registers */
    LLVMBasicBlockRef retry;    /* where vector code goes when a check fails; NULL: it returns the fault at once */
    LLVMValueRef pending;       /* i32 in memory: the fault kind that vector code met */
    qn__base *bases;            /* by array; data is NULL where nothing is hoisted */
    uint64_t local_bytes;       /* on the stack */
    LLVMValueRef *locals;       /* alloca by local * QN__WIDTHS + log2(width) */
    LLVMValueRef dummy;         /* 8 zero bytes that dead lanes may read */
    LLVMValueRef trash;         /* 8 bytes that dead lanes may write */
    LLVMValueRef captures, partials; /* emit_outline.c: memory that the kernel's stages share, words */
    uint32_t capture_words, partial_words, stage_count;
    LLVMValueRef pushed;        /* keep: the counter, i64 in memory */
    LLVMValueRef kept;          /* keep, when filling: the number of all pushes */
    bool counting;              /* keep: push only counts */
    const qn__instr *keep;
    qn__point point;
    const bool *constant;       /* by array: nothing writes it while the code runs; NULL: unknown */
    bool swaps;                 /* the kernel swaps arrays: no alias information */
    LLVMValueRef *scopes, *noalias; /* metadata by array */
    bool raw;                   /* the raw function was emitted */
    struct qn__debug *debug;    /* debug.c; NULL: no debug information */
    qn__arena *arena;           /* of this emission */
    bool failed;
    const char *message;
};

bool qn__fail(qn__emitter *e, const char *message); /* keeps the first message; false */

/* ---- helpers.c: small emit helpers ---- */
LLVMTypeRef l_type(qn__emitter *e, qn__type type);          /* in registers: bool is i1, f16 and bf16 are i16 */
LLVMTypeRef l_memory_type(qn__emitter *e, qn__type type);   /* in memory: bool is i8 */
LLVMTypeRef l_wide(qn__emitter *e, LLVMTypeRef type);       /* <width x type>; type itself at width 1 */
LLVMValueRef l_int(qn__emitter *e, LLVMTypeRef type, uint64_t value);
LLVMValueRef l_i64(qn__emitter *e, int64_t value);
LLVMValueRef l_i32(qn__emitter *e, uint32_t value);
LLVMValueRef l_like(qn__emitter *e, LLVMValueRef value, uint64_t constant); /* integer constant of value's type, splat if a vector */
LLVMValueRef l_real_like(qn__emitter *e, LLVMValueRef value, double constant);
LLVMValueRef l_splat(qn__emitter *e, LLVMValueRef scalar);
LLVMValueRef l_steps(qn__emitter *e, LLVMTypeRef scalar, int64_t stride); /* <0, stride, 2 stride ...> */
bool l_is_vector(LLVMValueRef value);
LLVMTypeRef l_scalar_type(LLVMTypeRef type);
LLVMTypeRef l_typed(LLVMTypeRef like, LLVMTypeRef scalar);  /* scalar, or a vector of it as long as like */
LLVMValueRef l_intrinsic(qn__emitter *e, const char *name, LLVMTypeRef *overloads, uint32_t overload_count,
                         LLVMValueRef *args, uint32_t arg_count);
LLVMValueRef l_call1(qn__emitter *e, const char *name, LLVMValueRef a);
LLVMValueRef l_call2(qn__emitter *e, const char *name, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef l_select(qn__emitter *e, LLVMValueRef cond, LLVMValueRef yes, LLVMValueRef no);
LLVMValueRef l_alloca(qn__emitter *e, LLVMTypeRef type);    /* in the entry block, unset */
LLVMValueRef l_alloca_array(qn__emitter *e, LLVMTypeRef type, uint32_t count);
LLVMValueRef l_load(qn__emitter *e, LLVMTypeRef type, LLVMValueRef pointer);
void l_store(qn__emitter *e, LLVMValueRef value, LLVMValueRef pointer);
LLVMValueRef l_gep(qn__emitter *e, LLVMTypeRef element, LLVMValueRef pointer, LLVMValueRef index);
LLVMValueRef l_field(qn__emitter *e, LLVMValueRef pointer, size_t offset); /* pointer + offset bytes */
LLVMBasicBlockRef l_block(qn__emitter *e, const char *name); /* appended, not entered */
void l_enter(qn__emitter *e, LLVMBasicBlockRef block);
void l_jump(qn__emitter *e, LLVMBasicBlockRef block);
void l_branch(qn__emitter *e, LLVMValueRef cond, LLVMBasicBlockRef yes, LLVMBasicBlockRef no);
void l_branch_likely(qn__emitter *e, LLVMValueRef cond, LLVMBasicBlockRef yes, LLVMBasicBlockRef no);
LLVMValueRef l_bits(qn__emitter *e, LLVMValueRef bools);    /* <W x i1> as an integer of W bits */
LLVMTypeRef l_mask_type(qn__emitter *e);
LLVMValueRef l_to_mask(qn__emitter *e, LLVMValueRef bools);
LLVMValueRef l_from_mask(qn__emitter *e, LLVMValueRef mask);
LLVMValueRef l_any(qn__emitter *e, LLVMValueRef mask);      /* i1: some lane is set */
LLVMValueRef l_and_mask(qn__emitter *e, LLVMValueRef mask, LLVMValueRef bools); /* mask may be NULL; a mask */
LLVMValueRef l_first_lanes(qn__emitter *e, LLVMValueRef count); /* a mask: as many lanes as count (i64, at least 1) says */
LLVMValueRef l_live(qn__emitter *e);                        /* the current mask as <W x i1>, all ones if NULL */
LLVMTypeRef l_slot_type(qn__emitter *e, qn__type type, bool varying);
void l_store_slot(qn__emitter *e, qn__type type, LLVMValueRef value, LLVMValueRef slot);
LLVMValueRef l_load_slot(qn__emitter *e, qn__type type, bool varying, LLVMValueRef slot);
LLVMValueRef l_lane(qn__emitter *e, LLVMValueRef vector, uint32_t lane);
LLVMValueRef l_with_lane(qn__emitter *e, LLVMValueRef vector, LLVMValueRef scalar, uint32_t lane);
LLVMValueRef l_to_memory(qn__emitter *e, qn__type type, LLVMValueRef value);  /* i1 -> i8 for bool */
LLVMValueRef l_from_memory(qn__emitter *e, qn__type type, LLVMValueRef value);

/* A counted loop; the counter lives in memory, so that code may jump out of it and go on elsewhere. */
typedef struct qn__loop { LLVMValueRef counter, iv, hi; LLVMBasicBlockRef body, exit; } qn__loop;
void l_loop_begin(qn__emitter *e, qn__loop *loop, LLVMValueRef counter, LLVMValueRef lo, LLVMValueRef hi);
void l_loop_end(qn__emitter *e, qn__loop *loop, LLVMValueRef next);

/* Values of the IR. */
bool l_varies(const qn__emitter *e, qn__value v);           /* is a vector now */
LLVMValueRef l_scalar(qn__emitter *e, qn__value v);         /* uniform: the value; linear: lane 0's */
LLVMValueRef l_vector(qn__emitter *e, qn__value v);         /* as a vector (scalar at width 1) */
LLVMValueRef l_value_as(qn__emitter *e, qn__value v, bool vector);
LLVMTypeRef l_value_type(qn__emitter *e, qn__value v);      /* the type of its slot */
void l_set(qn__emitter *e, qn__value v, LLVMValueRef value);

/* ---- emit.c: what every emission does ---- */
bool qn__emission_begin(qn__emitter *e, const qn__ir *ir, const qn__llvm_options *options); /* machine, tables, an empty module */
void qn__emission_function(qn__emitter *e, LLVMValueRef function); /* the blocks to come are this function's, after an entry block of its own */
void qn__emission_function_end(qn__emitter *e);
void qn__emission_frame(qn__emitter *e, LLVMValueRef frame); /* a CPU's function begins: what it has of the frame, and memory for lanes without work */
bool qn__emission_verify(qn__emitter *e);
bool qn__emission_passes(qn__emitter *e, const char *pipeline);
LLVMMemoryBufferRef qn__emission_generate(qn__emitter *e, LLVMCodeGenFileType kind); /* NULL: failed */
bool qn__emission_print(qn__emitter *e, qn__text *out);
bool qn__emission_end(qn__emitter *e, bool done, const char **message); /* releases everything; whether all went well */

/* ---- debug.c: DWARF. All do nothing while e->debug is NULL. ---- */
bool qn__debug_begin(qn__emitter *e, const char *symbol);      /* a function, e->function; its blocks come */
void qn__debug_at(qn__emitter *e, const qn__instr *instr);     /* code to come belongs to this instruction's place */
void qn__debug_place(qn__emitter *e, uint32_t location);
void *qn__debug_function(qn__emitter *e, const qn__instr *stage, LLVMValueRef function, const char *symbol); /* its blocks come; gives the scope to leave to */
void *qn__debug_enter(qn__emitter *e, const qn__instr *stage); /* a scope of its own; gives the one to leave to */
void qn__debug_leave(qn__emitter *e, void *scope);
void qn__debug_value(qn__emitter *e, qn__value v, LLVMValueRef value); /* the variables that v is named after take it */
void qn__debug_function_end(qn__emitter *e);
void qn__debug_end(qn__emitter *e);                            /* all functions are complete */

/* ---- shapes.c: how values vary. All fill shapes for the region and those inside it. ---- */
/* The parameters' shapes are given in e->shapes; fills the others. */
void qn__shapes_region(qn__emitter *e, qn__region_ref region);

/* ---- plan.c ---- */
typedef void qn__visit(const qn__ir *ir, const qn__instr *instr, void *context);
void qn__walk(const qn__ir *ir, qn__region_ref region, qn__visit *visit, void *context); /* all instructions, nested ones too */
uint32_t qn__plan_width(qn__emitter *e, const qn__instr *stage, qn__region_ref region);
/* One masked body instead of a vector and a scalar one, for regions of more instructions than `above`. */
bool qn__plan_masked(const qn__emitter *e, qn__region_ref region, uint32_t above);
bool qn__plan_masked_rest(const qn__emitter *e, qn__region_ref region);
uint32_t qn__region_size(const qn__ir *ir, qn__region_ref region);
bool qn__has_checks(const qn__ir *ir, qn__region_ref region);
bool qn__cheap_and_pure(const qn__ir *ir, qn__region_ref region);

/* ---- emit_*.c ---- */
const qn__instr *qn__yield_of(const qn__ir *ir, qn__region_ref region);
void qn__emit_instr(qn__emitter *e, const qn__instr *instr);
void qn__emit_region(qn__emitter *e, qn__region_ref region); /* without its yield, whose operands are then in values */
void qn__emit_arith(qn__emitter *e, const qn__instr *instr);
void qn__emit_convert(qn__emitter *e, const qn__instr *instr);
LLVMValueRef qn__convert(qn__emitter *e, LLVMValueRef value, qn__type from, qn__type to);
LLVMValueRef qn__arith2(qn__emitter *e, qn__op op, qn__type type, LLVMValueRef a, LLVMValueRef b);

LLVMValueRef qn__combine_element(qn__emitter *e, qn__op op, qn__type type, LLVMValueRef a, LLVMValueRef b); /* what accumulate.OP does */
LLVMValueRef qn__constant(qn__emitter *e, qn__type type, uint64_t bits);
extern const qn__platform qn__cpu_platform;
void qn__cpu_fault(qn__emitter *e, uint32_t kind, uint32_t location, LLVMValueRef index, LLVMValueRef extent, LLVMValueRef number);
void qn__cpu_poll(qn__emitter *e, uint32_t location);

void qn__emit_load(qn__emitter *e, const qn__instr *instr);
void qn__emit_store(qn__emitter *e, const qn__instr *instr);
void qn__emit_accumulate(qn__emitter *e, const qn__instr *instr);
void qn__emit_local_load(qn__emitter *e, const qn__instr *instr);
void qn__emit_local_store(qn__emitter *e, const qn__instr *instr);
void qn__emit_local_zero(qn__emitter *e, const qn__instr *instr);
void qn__emit_push(qn__emitter *e, const qn__instr *instr);
void qn__emit_swap(qn__emitter *e, const qn__instr *instr);
void qn__hoist_bases(qn__emitter *e, const qn__instr *stage, qn__base *saved); /* saved: array_count entries */
void qn__restore_bases(qn__emitter *e, const qn__base *saved);

void qn__emit_check(qn__emitter *e, const qn__instr *instr);
void qn__emit_poll(qn__emitter *e, uint32_t location);
void qn__emit_allocate(qn__emitter *e, uint32_t array, LLVMValueRef *extents, uint32_t rank, uint32_t location);
void qn__emit_alloc(qn__emitter *e, const qn__instr *instr);
void qn__emit_extern_call(qn__emitter *e, const qn__instr *instr);
void qn__emit_return(qn__emitter *e, LLVMValueRef kind);

/* The raw function (ir/raw.h) after the entry; false where the signature has too many parameters for one. */
bool qn__emit_raw(qn__emitter *e, const char *symbol, const char *externs_symbol);

void qn__emit_if(qn__emitter *e, const qn__instr *instr);
void qn__emit_for(qn__emitter *e, const qn__instr *instr);
void qn__emit_while(qn__emitter *e, const qn__instr *instr);

/* ---- emit_outline.c: stages as functions, whose parts threads may run (ir/abi.h) ---- */
enum { QN__MAX_WORDS = 2 * QN__MAX_RANK + QN__KEEP_BOX };

typedef struct qn__outline {
    const qn__instr *stage;
    qn__stage_form form;
    uint32_t rank;              /* of its box */
    /* Emits parts begin .. end. words: what the kernel hands over, as values of the function that is being emitted. */
    void (*body)(qn__emitter *e, const struct qn__outline *outline, LLVMValueRef begin, LLVMValueRef end);
    LLVMValueRef words[QN__MAX_WORDS]; /* i64 or pointers */
    uint32_t word_count, changing;     /* the first `changing` words are not what the kernel knows: it may be constants, the runtime may change them */
    LLVMValueRef function, descriptor; /* the rest is this file's */
    qn__value *captured;
    uint32_t captured_count;
} qn__outline;

/* Whether the stage becomes a function: not on a GPU, in debug code, or where it cannot be run in parts. */
bool qn__outlines(const qn__emitter *e, const qn__instr *stage);
bool qn__outline_function(qn__emitter *e, qn__outline *outline); /* emits it; false: failed */
void qn__outline_call(qn__emitter *e, const qn__outline *outline);  /* all parts, here or through frame->parallel; leaves the kernel with its fault */
/* Whether the kernel is this stage and nothing else: then its entry is the function. qn__lone_parts comes before the stage's body, which does parts *begin .. *end. */
bool qn__is_lone(const qn__emitter *e, const qn__instr *stage);
void qn__lone_parts(qn__emitter *e, qn__outline *outline, LLVMValueRef *begin, LLVMValueRef *end);
LLVMValueRef qn__outline_word(qn__emitter *e, uint32_t index);      /* i64: a word after the call */
LLVMValueRef qn__partials(qn__emitter *e, uint32_t words);         /* memory for results of parts, of the kernel's stack */

void qn__emit_parallel(qn__emitter *e, const qn__instr *instr);
void qn__emit_keep(qn__emitter *e, const qn__instr *instr);
void qn__emit_scan(qn__emitter *e, const qn__instr *instr);
void qn__emit_reduce(qn__emitter *e, const qn__instr *instr);

#endif
