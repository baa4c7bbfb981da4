// What the checker's files share. One qn__checker per compilation, one qn__body per item that is being checked.
//
// Types during checking are *terms*: nodes of a union-find structure, each with the set of types that it may still become.
// Term 0 is the error type: it fits everything and nothing more is said about it. Terms 1 .. are the scalar types
// themselves. A literal starts as a term for all number types; at the end of a body every open term gets its default.
#ifndef QN__COMPILER_CHECK_PRIVATE_H
#define QN__COMPILER_CHECK_PRIVATE_H

#include "compiler/check.h"

// ---- Sets of types, one bit per qn__type ----
typedef uint16_t qn__type_set;
#define QN__SET_OF(type) ((qn__type_set)(1u << (unsigned)(type)))
#define QN__SET_BOOL QN__SET_OF(QN__TYPE_BOOL)
#define QN__SET_SINT                                                                                                     \
    ((qn__type_set)(QN__SET_OF(QN__TYPE_I8) | QN__SET_OF(QN__TYPE_I16) | QN__SET_OF(QN__TYPE_I32) |                     \
                    QN__SET_OF(QN__TYPE_I64)))
#define QN__SET_UINT                                                                                                     \
    ((qn__type_set)(QN__SET_OF(QN__TYPE_U8) | QN__SET_OF(QN__TYPE_U16) | QN__SET_OF(QN__TYPE_U32) |                     \
                    QN__SET_OF(QN__TYPE_U64)))
#define QN__SET_INT ((qn__type_set)(QN__SET_SINT | QN__SET_UINT))
#define QN__SET_FLOAT                                                                                                    \
    ((qn__type_set)(QN__SET_OF(QN__TYPE_F16) | QN__SET_OF(QN__TYPE_BF16) | QN__SET_OF(QN__TYPE_F32) |                   \
                    QN__SET_OF(QN__TYPE_F64)))
#define QN__SET_NUMBER ((qn__type_set)(QN__SET_INT | QN__SET_FLOAT))
#define QN__SET_ALL ((qn__type_set)(QN__SET_NUMBER | QN__SET_BOOL))

typedef uint32_t qn__term_id;
enum { QN__TERM_ERROR = 0 };

typedef struct qn__term {
    qn__term_id parent;
    qn__type_set set;
} qn__term;

// ---- Constants ----
__extension__ typedef __int128 qn__wide;

typedef enum qn__constant_kind { QN__CONSTANT_NONE, QN__CONSTANT_BOOL, QN__CONSTANT_INT, QN__CONSTANT_FLOAT } qn__constant_kind;

// type NONE: it behaves like a literal (any number type that can hold it).
typedef struct qn__constant {
    uint8_t kind; // qn__constant_kind; NONE: has an error that was reported
    uint8_t type; // qn__type
    bool exact_text; // FLOAT: literal whose spelling is the node's text
    qn__node_id node; // that literal
    qn__wide integer; // INT, BOOL
    double real;      // FLOAT
} qn__constant;

// ---- Linear forms over atoms: how extents and subscripts are compared ----
enum { QN__LINEAR_TERMS = 6 };
typedef struct qn__linear {
    int64_t constant;
    uint32_t count;
    struct { uint32_t atom; int64_t factor; } term[QN__LINEAR_TERMS]; // sorted by atom, factors not 0
} qn__linear;

typedef enum qn__atom_kind { QN__ATOM_VARIABLE, QN__ATOM_OPAQUE, QN__ATOM_MULTIPLY, QN__ATOM_DIVIDE, QN__ATOM_REMAINDER, QN__ATOM_MIN, QN__ATOM_MAX } qn__atom_kind;
typedef struct qn__atom {
    uint8_t kind;
    bool stage_index; // an index of the stage being looked at (or built from one)
    bool varying;     // may differ from point to point otherwise
    uint32_t variable;
    qn__linear left, right;
} qn__atom;

// ---- Items ----
typedef enum qn__item_state { QN__ITEM_NEW, QN__ITEM_BUSY, QN__ITEM_DONE, QN__ITEM_BAD } qn__item_state;

typedef struct qn__item_info {
    qn__ast_item item;
    bool prelude;
    bool recursive;
    uint8_t state;   // constants: evaluation; functions: recursion search
    bool used;
    uint32_t extern_index;
    qn__constant constant;
} qn__item_info;

typedef enum qn__builtin {
    QN__BUILTIN_NONE,
#define QN__BUILTIN_ROW(name, ENUM, op, arity, arguments, result) QN__BUILTIN_##ENUM,
#include "compiler/builtin.def"
#undef QN__BUILTIN_ROW
    QN__BUILTIN_COUNT
} qn__builtin;

typedef enum qn__result_rule { QN__RESULT_SAME, QN__RESULT_BITS, QN__RESULT_F16, QN__RESULT_BF16, QN__RESULT_F32, QN__RESULT_F64 } qn__result_rule;

typedef struct qn__builtin_info {
    const char *name;
    qn__op op;
    uint8_t arity;
    qn__type_set arguments;
    uint8_t result; // qn__result_rule
} qn__builtin_info;
extern const qn__builtin_info qn__builtin_table[QN__BUILTIN_COUNT];

typedef struct qn__body qn__body;

typedef struct qn__instance {
    qn__node_id node;
    qn__type *arguments;
    uint32_t argument_count;
    uint8_t state; // qn__item_state
    qn__typed *typed;
} qn__instance;

struct qn__checker {
    const qn__ast *ast;
    const qn__sources *sources;
    qn__arena *arena;
    qn__diagnostic_sink *sink;
    qn__item_info *items; // parallel to ast->items
    uint32_t name_count;
    uint32_t *user_item;    // by name: item index + 1
    uint32_t *prelude_item; // by name
    uint8_t *builtin;       // by name
    uint8_t *type;          // by name: qn__type
    uint32_t *scope;        // by name: see qn__body
    qn__name name_size, name_pi, name_inf, name_nan, name_fast;
    qn__checked checked;
    size_t function_capacity, extern_capacity;
    qn__instance *kernels;  size_t kernel_count, kernel_capacity;
    qn__instance *functions; size_t function_count, functions_capacity; // parallel to checked.functions
    uint32_t depth;         // of instantiations in progress
    uint32_t evaluate_depth; // of constant expressions
    bool failed;            // an error was reported
    bool limit_reported;
};

enum {
    QN__CHECK_INSTANCES = 1000,   // functions and kernels for concrete types in one compilation
    QN__CHECK_DEPTH = 1000,       // expressions and blocks inside each other
    QN__CHECK_CALL_DEPTH = 64,    // functions that call functions
    QN__CHECK_LOCAL_ELEMENTS = 4096, // of one local array
    QN__CHECK_VARIABLES = 10000,
    QN__CHECK_TARGETS = 500,      // assignments to arrays in one block
};

// ---- Bodies ----
// Where code stands: decides which statements and expressions are allowed.
typedef enum qn__level { QN__LEVEL_KERNEL, QN__LEVEL_POINT, QN__LEVEL_FUNCTION } qn__level;

// How much of an array has a value.
typedef enum qn__defined { QN__DEFINED_NO, QN__DEFINED_PART, QN__DEFINED_YES } qn__defined;

// What the checker knows of a variable beyond qn__typed_variable; parallel to it.
typedef struct qn__info {
    qn__name name;
    qn__term_id term;   // element type
    bool read, written, poisoned; // poisoned: its declaration had an error
    bool varying;       // differs from point to point (everything declared at point level, indices)
    bool excused;       // an error about its assignment was told: say nothing about what is missing
    uint8_t defined;    // arrays of the kernel that are not inputs
    bool kept;          // SIZE: existential, its keep has been seen
    bool unknown_size;  // OUTPUT: extent is existential
    uint32_t atom;      // of a scalar integer variable, + 1
    uint32_t loop_depth;   // kernel loops around the declaration
    qn__span first_use;
    qn__linear extent[QN__MAX_RANK];
} qn__info;

typedef struct qn__use { // an index stands alone as a subscript
    uint32_t variable, array;
    uint8_t dimension;
    bool target;
    bool otherwise; // in an else: there the index has the values outside of its range
    qn__node_id node; // INDEX
    qn__node_id subscript;
} qn__use;

typedef struct qn__read { // an array is read
    qn__node_id node;
    uint32_t array;
    bool in_loop;
} qn__read;

typedef struct qn__pending_literal {
    qn__node_id node;
    qn__constant constant;
} qn__pending_literal;

typedef struct qn__pending_call {
    qn__node_id node;
    uint32_t item;          // function; for an overload the f32 version
    uint32_t item_f64;      // overload: the f64 version, else QN__NO_REF
    qn__term_id overload;   // its term
    qn__term_id *generics;  // terms of the type arguments
    uint32_t generic_count;
} qn__pending_call;

struct qn__body {
    qn__checker *c;
    const qn__ast *ast;
    qn__typed *t;
    qn__level level;
    bool failed;
    uint32_t depth;
    // tables that grow; they become t's at the end
    size_t variable_capacity, index_capacity, stage_capacity, target_capacity, needed_capacity;
    uint8_t *target_depth; size_t target_depth_capacity; // by target: conditions around it inside its block; 0: always executed
    qn__node_id *target_statement; size_t target_statement_capacity; // by target: its ASSIGN
    qn__node_id statement; // the ASSIGN being checked
    qn__info *info; size_t info_capacity;
    qn__term *terms; size_t term_count, term_capacity;
    qn__term_id *node_term;  // by node - first
    uint8_t *proved;         // by node - first: subscripts known to be inside
    uint32_t *opaque;        // by node - first: its opaque atom + 1
    uint32_t *scope;         // by name: variable + 1 (0: not visible); the checker's, empty between bodies
    struct qn__declared { qn__name name; uint32_t variable, previous; } *declared; // undo stack of scopes
    size_t declared_count, declared_capacity;
    uint32_t subscript_depth; // inside [ ] of an array
    qn__node_id generics;    // GENERICS list, or 0
    qn__use *uses; size_t use_count, use_capacity;
    qn__read *reads; size_t read_count, read_capacity;
    qn__pending_literal *literals; size_t literal_count, literal_capacity;
    qn__pending_call *calls; size_t call_count, call_capacity;
    qn__atom *atoms; size_t atom_count, atom_capacity;
    uint32_t loop_depth;     // kernel level: `loop`s around
    uint32_t branch_depth;   // kernel level: `if`s around
    uint32_t point_loops;    // point level: `while` and `for` around, inside the innermost function or stage
    uint32_t loop_exits;     // break and continue so far
    uint32_t point_branches; // point level: statements around that may not be executed
    uint32_t assign_floor;   // variables below are outside of the value that is being computed: not assignable there
    uint32_t stage_first;    // variables from here on belong to the stage being checked; QN__NO_REF at kernel level
    uint32_t stage_indices;  // first and end of the stage's index variables
    uint32_t stage_indices_end;
    bool no_stage_index;     // checking a bound of the stage: its indices must not occur
    bool in_otherwise;       // checking the expression of an else
    uint32_t scan_variable;  // predeclared index of a scan, or QN__NO_REF
    qn__node_id block_node;  // FOR_BLOCK being checked, or 0
    qn__type *results; uint32_t result_count; // functions
};

// Reports an error in a body. The text arguments follow as for qn__report.
#define qn__complain(b, id, span, ...) qn__failing((b), qn__report((b)->c->sink, QN__DIAG_##id, (span), __VA_ARGS__))
#define qn__complain_plain(b, id, span) qn__failing((b), qn__report((b)->c->sink, QN__DIAG_##id, (span), {.type = 0}))
qn__diagnostic *qn__failing(qn__body *b, qn__diagnostic *d); // marks the body, and notes its type arguments
#define qn__warn(b, id, span, ...) qn__report((b)->c->sink, QN__DIAG_##id, (span), __VA_ARGS__)

// ---- check_names.c ----
bool qn__check_collect(qn__checker *c);      // tables of items, duplicates
void qn__check_recursion(qn__checker *c);
const char *qn__check_name(const qn__checker *c, qn__name name);
bool qn__check_in_prelude(const qn__checker *c, qn__node_id node);
// The item called `name` as seen from `from`, or QN__NO_REF.
uint32_t qn__check_find_item(const qn__checker *c, qn__name name, qn__node_id from);
uint32_t qn__check_find_item_text(const qn__checker *c, const char *text, qn__node_id from);
uint32_t qn__check_item_of(const qn__checker *c, qn__node_id node); // index of the item whose own node it is
void qn__scope_open(qn__body *b, size_t *mark);
void qn__scope_close(qn__body *b, size_t mark); // warns about unused variables
// Declares a variable; complains about shadowing. Always returns a variable.
uint32_t qn__declare(qn__body *b, qn__variable_kind kind, qn__name name, qn__span span, qn__node_id node, qn__term_id term);
uint32_t qn__lookup(const qn__body *b, qn__name name); // variable or QN__NO_REF
void qn__complain_unknown(qn__body *b, qn__node_id node, bool subscripted);
void qn__complain_unknown_function(qn__body *b, qn__node_id node);
const char *qn__suggest_name(qn__body *b, qn__name name, bool functions);
void qn__warn_unused(qn__body *b, uint32_t variable);
qn__type qn__check_type_name(qn__body *b, qn__node_id type_node, bool *is_size); // NONE after an error

// ---- infer.c ----
void qn__terms_init(qn__body *b);
qn__term_id qn__term_new(qn__body *b, qn__type_set set);
static inline qn__term_id qn__term_of(qn__type type) { return (qn__term_id)type; }
qn__term_id qn__term_find(qn__body *b, qn__term_id term);
qn__type_set qn__term_set(qn__body *b, qn__term_id term);
bool qn__term_unify(qn__body *b, qn__term_id x, qn__term_id y); // true also for the error type
bool qn__term_restrict(qn__body *b, qn__term_id term, qn__type_set set);
qn__type qn__term_type(qn__body *b, qn__term_id term); // concrete type now, or NONE
qn__type qn__term_default(qn__body *b, qn__term_id term); // fixes it
const char *qn__term_text(qn__body *b, qn__term_id term); // for messages
static inline bool qn__term_bad(qn__body *b, qn__term_id term) { return qn__term_find(b, term) == QN__TERM_ERROR; }

// ---- check_constants.c ----
bool qn__constant_of_item(qn__checker *c, uint32_t item, qn__constant *value);
// A constant expression; generics and local names are not in it. Complains with `what` ("the size of a local array").
bool qn__constant_evaluate(qn__body *b, qn__node_id node, const char *what, qn__constant *value);
// The constant as bits of a type. False when it does not fit (`why` says so in words).
bool qn__constant_fits(const qn__checker *c, const qn__constant *value, qn__type type, uint64_t *bits, const char **why);
bool qn__constant_literal(const qn__checker *c, qn__node_id node, qn__constant *value); // INTEGER, FLOAT, BOOLEAN, negated ones

// ---- linear.c ----
qn__linear qn__linear_constant(int64_t value);
qn__linear qn__linear_atom(uint32_t atom);
qn__linear qn__linear_opaque(qn__body *b, bool varying);
qn__linear qn__linear_variable(qn__body *b, uint32_t variable);
bool qn__linear_combine(qn__linear *into, qn__linear x, int64_t factor, qn__linear y); // x + factor * y; false: does not fit
qn__linear qn__linear_compound(qn__body *b, qn__atom_kind kind, qn__linear left, qn__linear right);
qn__linear qn__linear_of(qn__body *b, qn__node_id node); // of a checked integer expression
qn__linear qn__linear_of_dim(qn__body *b, const qn__signature *s, uint32_t dim);
bool qn__linear_equal(const qn__linear *x, const qn__linear *y);
bool qn__linear_is(const qn__linear *x, int64_t value);
const char *qn__linear_text(qn__body *b, const qn__linear *x);

// ---- check_signature.c ----
bool qn__check_signature(qn__body *b);

// ---- check_expressions.c ----
qn__term_id qn__check_expression(qn__body *b, qn__node_id node);
qn__term_id qn__check_expecting(qn__body *b, qn__node_id node, qn__term_id expected, const char *what); // unifies
void qn__check_condition(qn__body *b, qn__node_id node, const char *what);
void qn__check_integer(qn__body *b, qn__node_id node, const char *what);
qn__term_id qn__check_subscripts(qn__body *b, qn__node_id node, uint32_t variable, bool target);
void qn__complain_types(qn__body *b, qn__node_id at, qn__node_id left, qn__node_id right, const char *what);
void qn__complain_expected(qn__body *b, qn__node_id node, qn__term_id found, qn__term_id expected, const char *what);
const char *qn__source_text(qn__body *b, qn__node_id node); // short, one line
const char *qn__element_text(qn__body *b, uint32_t variable); // "y[i, j]", "s"
static inline qn__typed_node *qn__node(qn__body *b, qn__node_id node) { return &b->t->nodes[node - b->t->item.first]; }
qn__term_id qn__set_node(qn__body *b, qn__node_id node, qn__meaning meaning, uint32_t ref, qn__term_id term);
void qn__check_defined(qn__body *b, qn__node_id node, uint32_t variable); // something of the kernel is read: has it a value?
static inline qn__term_id qn__node_term(qn__body *b, qn__node_id node) { return b->node_term[node - b->t->item.first]; }
qn__term_id qn__add_literal(qn__body *b, qn__node_id node, qn__constant constant);

// ---- check_calls.c ----
qn__term_id qn__check_call(qn__body *b, qn__node_id node);
// A call that may have several results; false when node is none. terms has room for QN__CHECK_RESULTS.
enum { QN__CHECK_RESULTS = 16, QN__CHECK_ARGUMENTS = 64 };
bool qn__check_call_results(qn__body *b, qn__node_id node, qn__term_id *terms, uint32_t *count);
// The function `name` as the combination of two values of `term`; records the call on `node`.
void qn__check_combiner(qn__body *b, qn__node_id node, qn__term_id term);
void qn__check_remainder(qn__body *b, qn__node_id node, qn__term_id term); // % on what may be floats
void qn__finish_calls(qn__body *b); // after the body: instantiates what is called

// ---- check_reductions.c ----
qn__term_id qn__check_reduction(qn__body *b, qn__node_id node);
qn__term_id qn__check_reduce(qn__body *b, qn__node_id node);
qn__term_id qn__check_scan(qn__body *b, qn__node_id node);
bool qn__check_keep(qn__body *b, qn__node_id node, qn__term_id *terms, uint32_t *count);

// ---- check_point.c ----
void qn__check_point_block(qn__body *b, qn__node_id block);
void qn__check_let(qn__body *b, qn__node_id node); // scalars, at either level
qn__term_id qn__check_block_value(qn__body *b, qn__node_id node);
qn__term_id qn__check_if_value(qn__body *b, qn__node_id node);
bool qn__check_results(qn__body *b, qn__node_id list, const qn__term_id *expected, uint32_t count, const char *what);
// The values of a list for `count` receivers: terms. One call may give several. False after a complaint about the count.
bool qn__check_values(qn__body *b, qn__node_id list, uint32_t count, qn__term_id *terms, qn__span span);
void qn__check_function_body(qn__body *b);
qn__op qn__assign_op(qn__ast_assign op, qn__type_set *operands);

// ---- check_kernel.c ----
void qn__check_kernel_body(qn__body *b);

// ---- check_stages.c ----
void qn__check_assign_stage(qn__body *b, qn__node_id node);
void qn__check_let_array(qn__body *b, qn__node_id node);
void qn__check_for_block(qn__body *b, qn__node_id node);
void qn__check_let_stage(qn__body *b, qn__node_id node);
void qn__check_block_target(qn__body *b, qn__node_id node); // ASSIGN to arrays inside a FOR_BLOCK

// ---- check_domains.c ----
// Declares the index of a RANGE (its bounds are checked before it is visible); its number in t->indices.
uint32_t qn__declare_range(qn__body *b, qn__node_id range, qn__variable_kind kind);
uint32_t qn__declare_index(qn__body *b, qn__name name, qn__span span, qn__node_id node); // range to be inferred
// After everything that uses the index was checked: its range, from the uses since `uses_from`. False after a complaint.
bool qn__infer_range(qn__body *b, uint32_t index, size_t uses_from);
bool qn__range_is_full(qn__body *b, const qn__typed_index *index, const qn__linear *extent);
uint32_t qn__add_stage(qn__body *b, qn__typed_stage stage);
uint32_t qn__add_target(qn__body *b, qn__typed_target target);

// ---- check_targets.c ----
// What the subscripts of a written element say, for a stage with its indices.
bool qn__target_plain(qn__body *b, const qn__typed_stage *stage, qn__node_id target);
// Two points never write one element. Else *loose is an index (in t->indices) that does not decide the element, or QN__NO_REF.
bool qn__target_injective(qn__body *b, const qn__typed_stage *stage, qn__node_id target, uint32_t *loose);
bool qn__targets_full(qn__body *b, const qn__typed_stage *stage, uint32_t array);
bool qn__same_element(qn__body *b, qn__node_id x, qn__node_id y);
bool qn__targets_apart(qn__body *b, qn__node_id x, qn__node_id y);
void qn__order_indices(qn__body *b, qn__typed_stage *stage);

// ---- check.c ----
// The function (item index) for concrete types: its number in checked.functions, or QN__NO_REF when it has errors.
uint32_t qn__instantiate(qn__checker *c, uint32_t item, const qn__type *arguments, uint32_t count, qn__span where);
uint32_t qn__check_extern(qn__body *b, uint32_t item);
qn__type_set qn__class_set(qn__ast_class class_of);

#endif
