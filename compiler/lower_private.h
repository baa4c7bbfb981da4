/* What the files of the lowering share; nobody else includes this.
 *
 *   lower.c            the kernel as a whole, its head, the functions
 *   lower_kernel.c     statements at kernel level: let, loop, if, swap
 *   lower_stage.c      assignments and for-blocks: fills, stores, scatters
 *   lower_domain.c     domains: ranges of indices, parallel operations, checks; copies for value semantics
 *   lower_interior.c   which points of a stage see no edge
 *   lower_keep.c       keep and scan
 *   lower_point.c      statements of a point: let, var, assignment, if, while, for, break, continue
 *   lower_expression.c expressions
 *   lower_reduction.c  reductions inside expressions
 *   lower_access.c     elements of arrays and local arrays, edges
 *   lower_operator.c   arithmetic: f16 and bf16 through f32, neutral elements, checks of divisors
 *   lower_flow.c       SSA form through structured control flow
 *
 * Scalars live in *slots*: the values of a slot at the current place is slots[s]. A variable's slot is its number;
 * loops with break or continue own further slots. Whoever lowers a branch or a loop asks qn__lower_assigned which slots
 * change in it. */
#ifndef QN__COMPILER_LOWER_PRIVATE_H
#define QN__COMPILER_LOWER_PRIVATE_H

#include "compiler/lower.h"
#include "ir/abi.h"

/* Limits: above any program that a person writes, below what hurts. */
enum {
    QN__LOWER_DEPTH = 2000,     /* nesting of expressions and statements: above what a tree of QN__AST_HEIGHT needs */
    QN__LOWER_GUARDS = 300,     /* from this depth on, what follows a break is guarded piece by piece */
    QN__LOWER_INSTRS = 2000000, /* instructions of a kernel before inlining */
    QN__LOWER_RESULTS = 64,     /* values of one expression */
};

/* A loop of a point that is being lowered. */
typedef struct qn__lower_loop {
    struct qn__lower_loop *outer;
    uint32_t broken, skipped; /* slots: a break, a continue was executed; QN__NO_REF when the loop has none */
} qn__lower_loop;

/* What an index or loop variable is known to lie in, and what belongs to a variable that is an array. */
typedef struct qn__lower_variable {
    uint32_t array; /* number in the IR, or QN__NO_REF */
    uint32_t copy;  /* array to read from instead during a stage, or QN__NO_REF */
    uint32_t sums;  /* array of f32 to accumulate into instead during a stage, or QN__NO_REF */
    uint32_t local; /* local array in the IR, or QN__NO_REF */
    bool from_zero; /* an index that counts from 0 ... */
    qn__value end;  /* ... up to this */
} qn__lower_variable;

typedef struct qn__lowering {
    qn__ir *ir;
    qn__arena *arena;
    qn__diagnostic_sink *sink;
    const qn__sources *sources;
    const qn__checked *checked;
    const qn__ast *ast;
    const qn__typed *typed; /* what is being lowered: the kernel or a function */
    qn__builder b;
    bool failed; /* an error was reported */
    bool in_function;
    uint32_t depth;
    const qn__typed_stage *interior; /* the stage whose interior is being lowered, or NULL */
    uint32_t points; /* how many stages enclose the place (0 or 1; 0 at kernel level and in functions) */
    qn__value *slots;
    size_t slot_capacity;
    uint32_t slot_count;
    uint32_t *stamps; /* of slots: the last qn__lower_assigned that met it */
    size_t stamp_capacity;
    uint32_t stamp;
    qn__lower_variable *variables;
    uint8_t *checked_dims; /* of targets: a bit per dimension whose subscript the stage's domain check covers */
    bool *fresh;           /* of targets: the old element is the neutral one, and nowhere stored */
    uint32_t *locations;   /* of nodes: number in the IR plus 1 */
    uint32_t *functions;   /* of the checked functions: number in the IR plus 1 */
    uint32_t *externs;
    qn__lower_loop *loop; /* the innermost */
    uint8_t *depends;     /* of values: depends on an index of the enclosing stage */
    size_t depends_capacity;
    qn__instr_ref depends_done; /* instructions below this number have been looked at */
    uint32_t *reduced;          /* of values: the last reduction whose index they depend on */
    size_t reduced_capacity;
    uint32_t reduced_stamp;
} qn__lowering;

/* A place to be written: subscripts evaluated and checked. */
typedef struct qn__lower_place {
    uint32_t variable;
    qn__node_id node;
    qn__value index[QN__MAX_RANK];
    uint32_t rank;
    bool local;
} qn__lower_place;

/* ---- lower.c ---- */
/* The slot's value is from here on what the kernel's variable of that number holds, for debuggers. */
void qn__lower_note_value(qn__lowering *l, uint32_t slot);
/* Reports a defect of the compiler, once. */
void qn__lower_internal(qn__lowering *l, qn__node_id node, const char *what);
/* Reports something that the IR has no room for. */
void qn__lower_limit(qn__lowering *l, qn__node_id node, const char *what);
/* One level deeper; false and reported when too deep or too large. */
bool qn__lower_enter(qn__lowering *l, qn__node_id node);
void qn__lower_leave(qn__lowering *l);
void qn__lower_at(qn__lowering *l, qn__node_id node); /* instructions to come belong to this place */
uint32_t qn__lower_function(qn__lowering *l, qn__node_id node, uint32_t checked_function); /* number in the IR */
uint32_t qn__lower_extern(qn__lowering *l, uint32_t checked_extern);

static inline const qn__typed_node *qn__lower_node(const qn__lowering *l, qn__node_id node) {
    return qn__typed_at(l->typed, node);
}
static inline qn__node_id qn__lower_child(const qn__lowering *l, qn__node_id node, uint32_t index) {
    return qn__ast_child(l->ast, node, index);
}
static inline qn__type qn__lower_type(const qn__lowering *l, qn__value v) {
    return qn__type_of(l->ir, v);
}

/* ---- lower_kernel.c ---- */
void qn__lower_kernel_block(qn__lowering *l, qn__node_id block);

/* ---- lower_stage.c ---- */
void qn__lower_stage(qn__lowering *l, qn__node_id node);
void qn__lower_target_assign(qn__lowering *l, qn__node_id node);    /* an ASSIGN to arrays inside a for-block */
void qn__lower_fill(qn__lowering *l, uint32_t variable, qn__op op); /* every element becomes op's neutral element */
/* Declares a temporary and allocates it, unless a keep will. */
void qn__lower_declare_array(qn__lowering *l, qn__node_id node, uint32_t variable);
qn__op qn__lower_assign_op(qn__ast_assign op); /* SUB for -= */
/* The place of a target in the point that is being lowered. */
void qn__lower_target_place(qn__lowering *l, uint32_t target, qn__lower_place *place);
/* The value that a target takes: value itself, or combined with the old element at the place. */
qn__value qn__lower_combined(qn__lowering *l, qn__node_id assign, uint32_t target, const qn__lower_place *place,
                             qn__value value, bool product);

/* ---- lower_domain.c ---- */
uint32_t qn__lower_range_variable(const qn__lowering *l, qn__node_id range); /* the variable that a RANGE declares */
void qn__lower_index_range(qn__lowering *l, uint32_t index, qn__value *lo, qn__value *hi);
/* The variable is iv from here on, which lies in lo .. hi. */
void qn__lower_bind_index(qn__lowering *l, uint32_t variable, qn__value iv, qn__value lo, qn__value hi);
typedef struct qn__lower_domain {
    qn__value bounds[2 * QN__MAX_RANK]; /* lo, hi of each index */
    uint32_t rank;
} qn__lower_domain;
void qn__lower_domain_of(qn__lowering *l, const qn__typed_stage *stage, qn__lower_domain *domain);
void qn__lower_domain_box(qn__lowering *l, uint32_t array, qn__lower_domain *domain); /* all of an array of the IR */
/* Checks that the subscripts of a target which are plain indices stay inside the array. */
void qn__lower_domain_check(qn__lowering *l, uint32_t target, qn__node_id node, uint32_t variable, qn__value lo,
                            qn__value hi);
/* A region of a parallel operation: the builder stands in it until end, which gives the region; indices are bound if
 * stage is given. */
typedef struct qn__lower_region {
    qn__builder outer;
    qn__region_ref region;
} qn__lower_region;
void qn__lower_points_begin(qn__lowering *l, qn__lower_region *r, const qn__typed_stage *stage,
                            const qn__lower_domain *domain);
void qn__lower_points_end(qn__lowering *l, qn__lower_region *r);
void qn__lower_parallel(qn__lowering *l, const qn__lower_domain *domain, qn__region_ref region);
/* Copies of the targets that need one, made before the statement; and no longer read after it. */
void qn__lower_copies(qn__lowering *l, const qn__typed_stage *stage);
void qn__lower_copies_end(qn__lowering *l, const qn__typed_stage *stage);
/* Scatters into f16 and bf16 go to an array of f32, which is rounded into the target at the end. */
void qn__lower_sums(qn__lowering *l, const qn__typed_stage *stage);
void qn__lower_sums_end(qn__lowering *l, const qn__typed_stage *stage);

/* ---- lower_interior.c ---- */
/* The part of the domain where reads of arrays with an edge stay inside; false when splitting it off is of no use. */
bool qn__lower_interior(qn__lowering *l, const qn__typed_stage *stage, const qn__lower_domain *domain,
                        qn__lower_domain *inner);
bool qn__lower_is_interior(const qn__lowering *l, qn__node_id subscript); /* such a subscript, in such a region */

/* ---- lower_keep.c ---- */
void qn__lower_keep(qn__lowering *l, const qn__typed_stage *stage);
void qn__lower_scan(qn__lowering *l, const qn__typed_stage *stage);

/* ---- lower_point.c ---- */
void qn__lower_block(qn__lowering *l, qn__node_id block);
void qn__lower_bind_values(qn__lowering *l, qn__node_id let); /* LET at either level */

/* ---- lower_expression.c ---- */
qn__value qn__lower_expression(qn__lowering *l, qn__node_id node);
/* The values of an expression with several; 0 (and reported) unless there are exactly `count`. */
void qn__lower_values(qn__lowering *l, qn__node_id node, qn__value *values, uint32_t count);
/* Those of a LIST: either one expression per value or one expression with all. */
void qn__lower_list(qn__lowering *l, qn__node_id list, qn__value *values, uint32_t count);
qn__value qn__lower_index_value(qn__lowering *l, qn__node_id node); /* as i64 */
bool qn__lower_is_product(const qn__lowering *l, qn__node_id node); /* written as a product of f32 or f64 */
bool qn__lower_list_product(const qn__lowering *l, qn__node_id list, uint32_t index, uint32_t count);
void qn__lower_call(qn__lowering *l, qn__node_id node, uint32_t function, const qn__value *args, uint32_t arg_count,
                    qn__value *results, uint32_t result_count);
/* op (MEANS_OP) or function (MEANS_FUNCTION) of a REDUCE or SCAN node applied to two values of acc type. */
qn__value qn__lower_combine(qn__lowering *l, qn__node_id node, qn__value a, qn__value b);

/* ---- lower_reduction.c ---- */
void qn__lower_reduction(qn__lowering *l, qn__node_id node, qn__value *results, uint32_t count);
void qn__lower_mark(qn__lowering *l, qn__value v); /* a region's parameter that depends on an index of the stage */

/* ---- lower_access.c ---- */
qn__value qn__lower_load(qn__lowering *l, qn__node_id node);
qn__value qn__lower_load_local(qn__lowering *l, qn__node_id node);
/* checked: a bit for each dimension whose subscript is known to be inside. */
void qn__lower_place_of(qn__lowering *l, qn__node_id node, uint32_t variable, bool local, uint32_t checked,
                        qn__lower_place *place);
qn__value qn__lower_place_load(qn__lowering *l, const qn__lower_place *place);
void qn__lower_place_store(qn__lowering *l, const qn__lower_place *place, qn__value value);
void qn__lower_place_accumulate(qn__lowering *l, const qn__lower_place *place, qn__op op, qn__value value);
/* The number of a local array's element. */
qn__value qn__lower_local_offset(qn__lowering *l, uint32_t variable, const qn__value *index);

/* ---- lower_operator.c ---- */
qn__value qn__lower_binary(qn__lowering *l, qn__op op, qn__value a, qn__value c, uint16_t flags);
qn__value qn__lower_op(qn__lowering *l, qn__op op, const qn__value *args, uint32_t count);
qn__value qn__lower_divide(qn__lowering *l, qn__op op, qn__value a, qn__value c); /* DIV or REM with its check */
qn__value qn__lower_shift(qn__lowering *l, qn__op op, qn__value a, qn__value amount);
qn__value qn__lower_neutral(qn__lowering *l, qn__op op, qn__type type);
qn__value qn__lower_cast(qn__lowering *l, qn__value v, qn__type type);
qn__value qn__lower_bool(qn__lowering *l, bool value);
qn__type qn__lower_wide(qn__type type); /* f32 for f16 and bf16, else the type */
/* A check that may report an index and an extent; index 0: none. */
void qn__lower_check(qn__lowering *l, qn__fault_kind fault, qn__value good, qn__value index, qn__value extent);

/* ---- lower_flow.c ---- */
uint32_t qn__lower_new_slot(qn__lowering *l);
/* The slots, with a value at this place, that the nodes assign (without those declared in them). Of the arena. */
uint32_t *qn__lower_assigned(qn__lowering *l, const qn__node_id *nodes, uint32_t node_count, uint32_t *count);
bool qn__lower_escapes(const qn__lowering *l, qn__node_id node); /* has a break or continue of a loop around it */

/* if: begin, the first branch, middle, the second branch, end. The branches may have results; the slots' values are
 * joined. Small branches without effects become selects. */
typedef struct qn__lower_if {
    qn__value condition;
    qn__builder outer;
    qn__region_ref regions[2];
    const uint32_t *slots;
    uint32_t slot_count, result_count;
    qn__value *before;
    qn__value *values[2]; /* slots, then results */
} qn__lower_if;
void qn__lower_if_begin(qn__lowering *l, qn__lower_if *f, qn__value condition, const uint32_t *slots,
                        uint32_t slot_count);
void qn__lower_if_else(qn__lowering *l, qn__lower_if *f, const qn__value *results, uint32_t result_count);
void qn__lower_if_end(qn__lowering *l, qn__lower_if *f, const qn__value *results, qn__value *joined);

/* A region with parameters: the builder stands in it until close. */
qn__region_ref qn__lower_open(qn__lowering *l, const qn__type *types, uint32_t count, qn__builder *outer);
void qn__lower_close(qn__lowering *l, const qn__builder *outer);
bool qn__lower_is_pure(const qn__lowering *l, qn__region_ref region,
                       uint32_t limit);                        /* at most `limit` cheap instructions */
void qn__lower_splice(qn__lowering *l, qn__region_ref region); /* moves its instructions to the builder's place */

/* c and right, c or right: `right` is evaluated only where it matters, in case it can fail. */
qn__value qn__lower_logic(qn__lowering *l, qn__value left, qn__node_id right, bool is_and);

#endif
