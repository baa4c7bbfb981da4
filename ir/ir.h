/* The intermediate representation: one kernel, specialised, as a tree of regions in SSA form.
 *
 * A kernel is a region of uniform code (run once per call) that contains *stages*: parallel, reduce, scan and keep
 * operations. A stage owns regions with the code of one point. Control flow is structured everywhere: there is no branch
 * and no phi; `for`, `while` and `reduce` carry values from one iteration to the next, `if` yields its results.
 * break and continue have become flags, f16/bf16 arithmetic f32 arithmetic, edge modes plain index arithmetic.
 *
 * Values, instructions, regions, arrays are references into tables of the module; reference 0 means none.
 * All memory is of one arena. A value dominates its uses: it is defined before, in the same or an enclosing region.
 *
 * Layout of the structured operations (args | regions and their parameters | results):
 *   if        cond | then(), else(): each yields the results | any number of results
 *   for       lo, hi, init... | body(iv, carried...) yields the next carried | the carried values after the last iteration
 *   while     init... | cond(carried...) yields one bool; body(carried...) yields the next carried | carried
 *   reduce    lo, hi, init... | body(iv, acc...) yields acc; combine(a..., b...) yields acc | acc
 *             The order is "lanes" (docs/language.md): iterations in blocks of QN__BLOCK, lane t % QN__LANES of a block has
 *             its own accumulator that starts at init; lanes are combined by halving, blocks by the tree that splits at
 *             the largest power of two below their number. For an empty range the result is init.
 *             (A reduction in sequential order is a plain `for`.)
 *   scan      lo, hi, init... | term(iv) yields t...; combine(a..., b...) yields c...; emit(iv, value...) stores the element
 *             flag QN__EXCLUSIVE. Order: runs of QN__RUN terms; local = chain of combine from the run's first term;
 *             element = combine(carry, local); carry starts at init and becomes combine(carry, the run's total).
 *             Exclusive: element t is carry at the first term of a run, else combine(carry, local of the term before).
 *   keep      lo0, hi0, lo1, hi1, ... | body(iv0, iv1, ...) may execute `push` at most once | the number of pushes (i64)
 *             the arrays that it fills are in qn__instr.list; they are allocated by the operation itself.
 *   parallel  lo0, hi0, ... and, with a second region, ilo0, ihi0, ... | inner(iv...), outer(iv...) | none
 *             Every point of the box lo..hi is executed once, in no observable order: the first region for the points
 *             inside the box ilo..ihi (clipped to the domain), the second for all others. Without a second region the
 *             first is for all. imm is the rank. Accumulations into one element take effect in row-major order.
 * `for`, `while`, `if` may contain stages only at kernel level (not inside a stage); `reduce` may stand anywhere, `parallel` and
 * `keep` at kernel level only, `scan` at kernel level or directly in the body of a parallel. Bounds are i64. */
#ifndef QN__IR_H
#define QN__IR_H

#include "ir/arena.h"
#include "ir/signature.h"
#include "ir/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QN__BLOCK = 4096, QN__LANES = 64, QN__RUN = 64 };

typedef uint32_t qn__value;      /* SSA value */
typedef uint32_t qn__instr_ref;
typedef uint32_t qn__region_ref;

typedef enum qn__op {
#define X(name, ENUM, args, results, regions, rule, effects) QN__OP_##ENUM,
#include "ir/ops.def"
#undef X
    QN__OP_COUNT
} qn__op;

typedef enum qn__rule { QN__RULE_SAME, QN__RULE_CMP, QN__RULE_ANY, QN__RULE_NONE } qn__rule;
typedef enum qn__effect { QN__EFFECT_PURE, QN__EFFECT_READ, QN__EFFECT_WRITE, QN__EFFECT_CHECK, QN__EFFECT_CALL, QN__EFFECT_FLOW } qn__effect;

typedef struct qn__op_info {
    const char *name;
    int8_t args, results, regions;
    uint8_t rule, effect;
} qn__op_info;
extern const qn__op_info qn__op_table[QN__OP_COUNT];

/* Instruction flags. */
enum {
    QN__FUSE_LEFT = 1,   /* add, sub: the left operand is a product written there: fma formation takes it */
    QN__FUSE_RIGHT = 2,  /* the right one is (when both are, only QN__FUSE_LEFT is set) */
    QN__EXCLUSIVE = 4,   /* scan */
    QN__CONTRACTION = 8, /* parallel: recognised as a matrix-product-like contraction */
};

typedef struct qn__instr {
    uint8_t op;              /* qn__op */
    uint8_t aux;             /* see ops.def */
    uint16_t flags;
    uint32_t location;       /* index into locations; 0: none */
    qn__region_ref region;   /* where it stands */
    qn__instr_ref previous, next;
    uint32_t arg_count, result_count, region_count, list_count;
    qn__value *args;
    qn__value first_result;  /* results are consecutive values; 0 when there are none */
    qn__region_ref *regions;
    uint32_t *list;          /* keep: the arrays that it fills */
    uint64_t imm;
} qn__instr;

typedef struct qn__value_info {
    uint8_t type;            /* qn__type */
    qn__instr_ref instr;     /* defining instruction, or 0 for a region's parameter */
    qn__region_ref region;   /* for a parameter: its region */
    uint32_t index;          /* result or parameter number */
    uint32_t name;           /* for reading the text form: interned name in the module, or 0 */
} qn__value_info;

typedef struct qn__region {
    qn__instr_ref first, last;
    qn__instr_ref owner;     /* the instruction it belongs to; 0 for a kernel's or function's body */
    qn__value first_param;   /* parameters are consecutive values */
    uint32_t param_count;
} qn__region;

typedef enum qn__array_kind { QN__ARRAY_IN, QN__ARRAY_OUT, QN__ARRAY_INOUT, QN__ARRAY_TEMP } qn__array_kind;

typedef struct qn__array {
    const char *name;
    uint8_t type, rank, kind;
    qn__value extent[QN__MAX_RANK]; /* i64. Parameters and outputs: values at the head of the kernel's region (for an
                                       existential output: the keep's result). Temporaries: the operands of its alloc. */
} qn__array;

typedef struct qn__local { const char *name; uint8_t type; uint32_t count; } qn__local;

typedef struct qn__function {
    const char *name;
    qn__region_ref body;     /* its parameters are the function's; its yield gives the results */
    uint32_t result_count;
    uint8_t *result_types;
} qn__function;

typedef struct qn__extern {
    const char *name;
    uint32_t param_count;
    uint8_t *param_types;
    uint8_t result_type;
} qn__extern;

typedef struct qn__location { const char *path; uint32_t line, column, length; } qn__location; /* 1-based; length in bytes */

typedef enum qn__remark_kind {
    QN__REMARK_PROVED,       /* a check that was proved and removed */
    QN__REMARK_KEPT,         /* a check that remains, and why */
    QN__REMARK_FAILS,        /* a check that was proved to fail whenever the stage runs: an error of the program */
    QN__REMARK_FUSED, QN__REMARK_NOT_FUSED, QN__REMARK_CONTRACTION, QN__REMARK_NOTE
} qn__remark_kind;

typedef struct qn__remark {
    qn__remark_kind kind;
    uint32_t location;
    const char *text;        /* English, of the arena */
    int64_t index, extent;   /* FAILS: an example of the failing index and extent where constants are known, else 0 */
} qn__remark;

/* What a value is called in the source, for debuggers. A variable has one entry for each value that it takes. */
typedef struct qn__named { qn__value value; uint32_t location; const char *name; } qn__named;

typedef struct qn__ir {
    qn__arena *arena;
    const char *name;        /* of the kernel */
    qn__signature *signature; /* parameters, outputs, size symbols */
    bool fast;               /* @fast */
    qn__region_ref body;
    qn__instr *instrs;       uint32_t instr_count, instr_capacity;
    qn__value_info *values;  uint32_t value_count, value_capacity;
    qn__region *regions;     uint32_t region_count, region_capacity;
    qn__array *arrays;       uint32_t array_count, array_capacity;       /* index 0 is valid here: parameters first, in signature order, then outputs, then temporaries */
    qn__local *locals;       uint32_t local_count, local_capacity;       /* index 0 is valid */
    qn__function *functions; uint32_t function_count, function_capacity; /* index 0 is valid */
    qn__extern *externs;     uint32_t extern_count, extern_capacity;     /* index 0 is valid */
    qn__location *locations; uint32_t location_count, location_capacity; /* index 0 is "none" */
    qn__remark *remarks;     uint32_t remark_count, remark_capacity;
    qn__named *named;        uint32_t named_count, named_capacity;       /* of the kernel's own variables; entries of removed values may remain */
    qn__value *clone_map;    uint32_t clone_capacity; /* of qn__clone_region; all zero between calls */
    bool failed;             /* out of memory, sticky: builders return 0 from then on and never crash */
} qn__ir;

/* Building. All return 0 when memory is exhausted (ir->failed is then set). `location` is sticky state of the builder. */
typedef struct qn__builder {
    qn__ir *ir;
    qn__region_ref region;   /* new instructions go to its end, or, when before is set, in front of that instruction */
    qn__instr_ref before;
    uint32_t location;
} qn__builder;

qn__ir *qn__ir_create(qn__arena *arena, const char *name);
uint32_t qn__ir_array(qn__ir *ir, const char *name, qn__type type, uint32_t rank, qn__array_kind kind);
uint32_t qn__ir_local(qn__ir *ir, const char *name, qn__type type, uint32_t count);
uint32_t qn__ir_location(qn__ir *ir, const char *path, uint32_t line, uint32_t column, uint32_t length);
uint32_t qn__ir_function(qn__ir *ir, const char *name, const qn__type *param_types, uint32_t param_count,
                         const qn__type *result_types, uint32_t result_count);
uint32_t qn__ir_extern(qn__ir *ir, const char *name, const qn__type *param_types, uint32_t param_count, qn__type result_type);
void qn__ir_remark(qn__ir *ir, qn__remark_kind kind, uint32_t location, const char *format, ...);

void qn__ir_name_value(qn__ir *ir, qn__value value, const char *name, uint32_t location); /* name must live as long as the arena */

qn__region_ref qn__region_create(qn__ir *ir, const qn__type *param_types, uint32_t param_count);
qn__value qn__region_param(const qn__ir *ir, qn__region_ref region, uint32_t index);

/* The general form; result types are given for ANY and FLOW operations, else may be NULL (they follow from the rule).
 * regions become owned by the instruction. */
qn__instr_ref qn__build(qn__builder *b, qn__op op, const qn__value *args, uint32_t arg_count, const qn__type *result_types,
                        uint32_t result_count, const qn__region_ref *regions, uint32_t region_count, uint64_t imm);
/* Short forms; they return the first result. */
qn__value qn__build_const(qn__builder *b, qn__type type, uint64_t bits);
qn__value qn__build_i64(qn__builder *b, int64_t value);
qn__value qn__build_f64_as(qn__builder *b, qn__type type, double value); /* a float constant of any float type, rounded */
qn__value qn__build_unary(qn__builder *b, qn__op op, qn__value a);
qn__value qn__build_binary(qn__builder *b, qn__op op, qn__value a, qn__value c);
qn__value qn__build_select(qn__builder *b, qn__value cond, qn__value yes, qn__value no);
qn__value qn__build_cast(qn__builder *b, qn__op op, qn__type type, qn__value a); /* convert or bitcast; a itself if the type is the same */
qn__value qn__build_load(qn__builder *b, uint32_t array, const qn__value *indices, uint32_t rank);
void qn__build_store(qn__builder *b, uint32_t array, const qn__value *indices, uint32_t rank, qn__value value);
void qn__build_check_index(qn__builder *b, qn__value index, qn__value extent);
void qn__build_yield(qn__builder *b, const qn__value *values, uint32_t count);

static inline qn__type qn__type_of(const qn__ir *ir, qn__value value) { return (qn__type)ir->values[value].type; }
static inline qn__instr *qn__instr_at(const qn__ir *ir, qn__instr_ref ref) { return &ir->instrs[ref]; }
static inline qn__instr *qn__definition(const qn__ir *ir, qn__value v) { /* NULL for a region's parameter */
    return ir->values[v].instr ? &ir->instrs[ir->values[v].instr] : NULL;
}
static inline qn__value qn__result(const qn__ir *ir, qn__instr_ref ref, uint32_t i) { return ir->instrs[ref].first_result + i; }

/* Editing. */
void qn__instr_remove(qn__ir *ir, qn__instr_ref instr);                     /* its results must be unused */
void qn__instr_move_before(qn__ir *ir, qn__instr_ref instr, qn__instr_ref where);
void qn__replace_uses(qn__ir *ir, qn__value old_value, qn__value new_value); /* everywhere */
/* A copy of a region's instructions at the builder's place; map (indexed by value, 0 = itself) is read and extended, and must
 * have room for qn__ir.value_count as it grows: see the implementation. The yield is not copied: its operands, mapped, go to results. */
bool qn__clone_region(qn__builder *b, qn__region_ref region, const qn__value *arguments, qn__value *results);

/* Reading back: the constant behind a value. */
bool qn__is_const(const qn__ir *ir, qn__value value, uint64_t *bits);

#endif
