/* The bytecode emitter's inner contract.
 *
 * bytecode_plan.c decides over the IR: which operations are folded into their users, and which values share a register with a
 * loop's carried value or an `if`'s result. bytecode_flow.c, _reduce.c and _value.c write instructions over virtual registers,
 * bytecode_code.c collects them, bytecode_slots.c gives registers slots and encodes. */
#ifndef QN__BYTECODE_PRIVATE_H
#define QN__BYTECODE_PRIVATE_H

#include "ir/bytecode.h"
#include "ir/ir.h"

typedef uint32_t vreg; /* 0: none; CONSTANT | k: constant k */
enum { CONSTANT = 0x80000000U, LEVELS = QN__MAX_RANK };

typedef struct code_line {
    uint16_t op;       /* qn__opcode */
    uint32_t location; /* of instructions that can fail */
    uint32_t v[4];     /* registers, numbers; a jump's label and a 32-bit number are in v[2] */
} code_line;

typedef struct code_span { uint32_t first, last; } code_span; /* lines, last included */

typedef struct code_stage {
    code_span span;
    uint32_t rank;
    vreg index[QN__MAX_RANK], low[QN__MAX_RANK], high[QN__MAX_RANK];
} code_stage;

/* A computed pointer that later code in the scope can use again. */
typedef enum pointer_kind { POINTER_ROW, POINTER_LOCAL, POINTER_LANES, POINTER_STACK } pointer_kind;
typedef struct pointer {
    uint8_t kind, count;  /* indices */
    uint32_t id;          /* array, local, or number of the accumulator's memory */
    qn__value index[QN__MAX_RANK];
    vreg reg;
} pointer;

/* A loop being emitted on vectors (bytecode_strip.c). */
typedef struct strip strip;

typedef struct array_view { uint32_t epoch; vreg data, stride[QN__MAX_RANK]; } array_view;

typedef struct emitter {
    const qn__ir *ir;
    qn__arena *arena;
    bool failed;
    const char *message;

    /* the plan, by instruction or value */
    uint8_t *folded;          /* by instruction: its users compute it */
    uint32_t *position, *end; /* by instruction: of itself, and behind its regions */
    qn__value *home;          /* by value: shares the register of this value */
    uint32_t *use_start, *uses; /* by value: positions of its uses */
    uint32_t *last_use;       /* by value: the last of them */
    uint32_t *lanes;          /* by instruction: number of a reduce's first accumulator memory */
    uint32_t *keep_number;    /* by instruction: number of a keep */

    /* state of emission, by value or instruction */
    vreg *reg, *forced;
    uint8_t *ready;           /* by value: computed, usable here */
    uint8_t *hoisted;         /* by instruction */
    uint32_t *hoist_log;      size_t hoist_count, hoist_capacity;
    pointer *pointers;        size_t pointer_count, pointer_capacity;
    array_view *views;        uint32_t epoch;
    strip *strip;             /* while a strip's body is emitted: operations become vector operations */
    uint32_t *move_reads, *move_owner; /* scratch of code_moves, by register */
    size_t move_reads_capacity, move_owner_capacity;
    uint32_t *early;          /* by value: the number of the strip before whose loop it was computed */
    uint32_t strip_number;
    size_t *strip_offset;     uint32_t strip_count;    /* local memory of vectors, shared by all strips */
    bool in_stage, numbers_points; /* the next loops of a stage are those that number its points */

    /* the result */
    code_line *lines;         size_t line_count, line_capacity;
    uint32_t *labels;         size_t label_count, label_capacity;
    code_span *loops;         size_t loop_count, loop_capacity;
    code_stage *stages;       size_t stage_count, stage_capacity;
    uint64_t *constants;      size_t constant_count, constant_capacity;
    uint32_t *constant_table; size_t constant_buckets;
    qn__bytecode_keep *keeps; size_t keep_count, keep_capacity;
    uint32_t reg_count, argument_count;
    size_t local_bytes, *local_offset; /* by local */
    size_t *lane_offset; uint32_t lane_count;
} emitter;

/* bytecode_code.c */
void code_fail(emitter *e, const char *message);
bool code_on_vectors(qn__opcode op); /* whether VECTOR can do it */
uint32_t code_line_put(emitter *e, const code_line *line);
uint32_t code_line_add(emitter *e, qn__opcode op, uint32_t a, uint32_t b, uint32_t c, uint32_t d);
vreg code_reg(emitter *e);
vreg code_constant(emitter *e, uint64_t bits);
uint32_t code_label(emitter *e);             /* not placed yet */
void code_place(emitter *e, uint32_t label);
void code_loop(emitter *e, uint32_t label);  /* the lines since the label are a loop */
/* The lines between the two belong to a stage, if they are its outermost loops. */
size_t code_stage_open(emitter *e, uint32_t rank, const vreg *index, const vreg *low, const vreg *high);
void code_stage_close(emitter *e, size_t stage);
void code_move(emitter *e, qn__type type, vreg to, vreg from);
void code_moves(emitter *e, const qn__type *types, const vreg *to, const vreg *from, uint32_t count); /* at once */
qn__opcode code_opcode(qn__op op, qn__type type); /* QN__BC_END when there is none */
typedef enum comparison { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_NLT, COMPARE_NLE, COMPARE_COUNT } comparison;
qn__opcode code_jump_opcode(comparison compare, qn__type type); /* of the forward jump; the backward one follows it */
qn__opcode code_by_width(qn__opcode of_8, qn__type type); /* X_8, X_16, X_32, X_64 */
qn__opcode code_move_opcode(qn__type type);

/* bytecode_plan.c */
bool plan_make(emitter *e);
bool plan_folded(const emitter *e, qn__value value);

/* bytecode_value.c */
vreg value_destination(emitter *e, qn__value value); /* a register for the result, which becomes ready */
void value_emit(emitter *e, qn__instr_ref ref);      /* any unstructured operation */
void value_convert(emitter *e, vreg to, qn__type to_type, vreg from, qn__type from_type);
vreg value_pointer(emitter *e, pointer_kind kind, uint32_t id);
vreg value_row(emitter *e, uint32_t array, const qn__value *index); /* the pointer to the row of an element */
void value_views(emitter *e, qn__instr_ref stage);   /* data and strides of all arrays that it touches */
void value_hoist(emitter *e, qn__region_ref region);
typedef struct scope { size_t hoists, pointers; } scope;
scope scope_open(emitter *e);
void scope_close(emitter *e, scope mark);

/* bytecode.c */
size_t local_take(emitter *e, size_t bytes);

/* bytecode_strip.c */
vreg strip_reg(emitter *e);                                /* a vector's pointer */
uint32_t strip_line(emitter *e, const code_line *line);    /* adds a line, as vector operation where it is one */
bool strip_loop(emitter *e, qn__region_ref region, vreg index, vreg high); /* false: not for strips, nothing was emitted */

/* bytecode_flow.c */
void flow_region(emitter *e, qn__region_ref region); /* all but the yield; its parameters have registers */
void flow_params(emitter *e, qn__region_ref region, const vreg *regs);
void flow_results(emitter *e, qn__region_ref region, const vreg *to); /* moves what the region yields */
qn__instr *flow_yield(const emitter *e, qn__region_ref region);
void flow_structured(emitter *e, qn__instr_ref ref);

/* bytecode_reduce.c */
void reduce_emit(emitter *e, qn__instr_ref ref);
void scan_emit(emitter *e, qn__instr_ref ref);

/* bytecode_slots.c */
bool slots_encode(emitter *e, qn__bytecode *out);

#endif
