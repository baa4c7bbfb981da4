// The typed tree: one kernel or function for concrete type arguments. Made by the checker, read by lowering.
//
// The syntax tree stays as it is; what the checker found out stands in tables beside it. A `qn__typed` is made only when
// the whole item checked without an error, so lowering meets no ERROR node and needs no case for wrong programs.
// References: variables, indices, stages, targets count from 0 in the tables of one qn__typed; functions and externs in
// those of the qn__checked. QN__NO_REF is none.
#ifndef QN__COMPILER_TYPED_H
#define QN__COMPILER_TYPED_H

#include "compiler/ast.h"
#include "ir/ir.h"
#include "ir/signature.h"
#include "ir/types.h"

#define QN__NO_REF UINT32_MAX

// What a node means. For nodes not named here (UNARY, BINARY, IF_VALUE, BLOCK_VALUE, statements that only hold others)
// the meaning is QN__MEANS_SELF: their kind says it all, and `type` is the type of their value.
typedef enum qn__meaning {
    QN__MEANS_NOTHING,  // not visited: no expression, or part of a constant that was folded
    QN__MEANS_SELF,
    QN__MEANS_CONSTANT, // any expression: `bits` is the value, children need no look. All literals, names of constants,
                        //   negated literals, and casts of literals are of this meaning
    QN__MEANS_VARIABLE, // NAME: ref = variable (scalars; an array or output of rank 0 is loaded). BINDING, VAR, PARAM, OUTPUT,
                        //   LET_ARRAY, LET_DECLARE: ref = the variable that is declared (SWAP's: that is named)
    QN__MEANS_ARRAY,    // INDEX: ref = variable, an array of the kernel (parameter, output, temporary)
    QN__MEANS_LOCAL,    // INDEX: ref = variable, a local array of a point
    QN__MEANS_OP,       // CALL: ref = qn__op, applied to the arguments (BITCAST and CONVERT: to `type`).
                        //   REDUCTION: ref = the combining qn__op (ADD, MUL, MIN, MAX, OR for any, AND for all, ADD for count,
                        //   MIN argmin, MAX argmax). SCAN: likewise
    QN__MEANS_CAST,     // CALL: converts its one argument to `type` (the same type: no change)
    QN__MEANS_FUNCTION, // CALL, REDUCE, SCAN, and BINARY % on floats: ref = index in qn__checked.functions. Flag QN__THROUGH_F32: arguments of type
                        //   f16 or bf16 are converted to f32 before and results back to `type` (results[] of the call) after
    QN__MEANS_EXTERN,   // CALL: ref = index in qn__checked.externs
    QN__MEANS_INDEX,    // RANGE: ref = index in qn__typed.indices
    QN__MEANS_STAGE,    // ASSIGN, LET_ARRAY, FOR_BLOCK, and LET of keep or scan, all at kernel level: ref = stage
    QN__MEANS_TARGET,   // ASSIGN inside a FOR_BLOCK (not to variables): ref = first of its targets in qn__typed.targets, one per
                        //   written target; a target that is a variable of the point has variable set and array QN__NO_REF
    QN__MEANS_ASSIGN,   // ASSIGN at point level, to variables and elements of local arrays
} qn__meaning;

enum {
    QN__THROUGH_F32 = 1, // see QN__MEANS_FUNCTION
    QN__EDGE_READ = 2,   // INDEX: read of an array with an edge mode: subscripts outside are mapped, not checked
    QN__UNCHECKED = 4,   // INDEX: every subscript is a plain index whose range is inferred from an equal extent: inside
    QN__MULTIPLE = 8,    // CALL of a function with several results, argmin or argmax over several indices (one i64 per index):
                         //   stands alone on the right of a multiple assignment or let, or as the value of a function
};

typedef struct qn__typed_node {
    uint8_t type;    // qn__type of the value; NONE for statements and for calls with several results
    uint8_t meaning; // qn__meaning
    uint16_t flags;
    uint32_t ref;
    uint64_t bits;   // QN__MEANS_CONSTANT: as in qn__build_const, zero-extended. ASSIGN with an op other than "=": the qn__op that
                     //   combines the old value with the new one
} qn__typed_node;

typedef enum qn__variable_kind {
    QN__VARIABLE_SCALAR,  // scalar parameter of a kernel: signature parameter `parameter`. Of a function: parameter number
    QN__VARIABLE_SIZE,    // size symbol: signature symbol `symbol`. An existential one has its value after its keep
    QN__VARIABLE_INPUT,   // array parameter
    QN__VARIABLE_INOUT,   // array parameter, may be assigned
    QN__VARIABLE_OUTPUT,  // array; rank 0 for a scalar output
    QN__VARIABLE_TEMP,    // temporary array of the kernel; rank 0: a scalar that may be assigned again (`let x: f64`)
    QN__VARIABLE_LET,     // scalar, kernel or point level: assigned once, where it is declared
    QN__VARIABLE_VAR,     // scalar of a point; 0 or false when declared without a value
    QN__VARIABLE_LOCAL,   // local array of a point: zeroed where it is declared
    QN__VARIABLE_INDEX,   // i64: of a stage, reduction, keep, scan
    QN__VARIABLE_LOOP,    // i64: of a loop (kernel level) or for (point level)
} qn__variable_kind;

// The extent of one dimension of a temporary array.
typedef enum qn__extent_kind {
    QN__EXTENT_CONSTANT, // value
    QN__EXTENT_NODE,     // integer expression `node` (any integer type), evaluated where the array is declared
    QN__EXTENT_OF,       // that of dimension `dimension` of array variable `array`
    QN__EXTENT_SPAN,     // the number of values of index `array` (in qn__typed.indices), 0 when its end is below its begin
    QN__EXTENT_KEPT,     // what the keep found
} qn__extent_kind;

typedef struct qn__typed_extent {
    uint8_t kind;
    uint8_t dimension;
    uint32_t array;
    qn__node_id node;
    int64_t value;
} qn__typed_extent;

typedef struct qn__typed_variable {
    uint8_t kind; // qn__variable_kind
    uint8_t type; // of the scalar or the elements
    uint8_t rank; // arrays, local arrays; else 0
    uint8_t edge; // qn__ast_edge of a parameter
    bool changed; // VAR: assigned after its declaration
    const char *name;
    qn__span span; // of the declaration's name
    qn__node_id node;
    uint32_t parameter; // SCALAR, INPUT, INOUT, OUTPUT: index in signature->parameters
    uint32_t symbol;    // SIZE: index in signature->symbols
    uint64_t edge_bits; // edge QN__EDGE_VALUE: the element outside
    qn__typed_extent extent[QN__MAX_RANK]; // TEMP. Local arrays: CONSTANT. (Parameters, outputs: signature dims)
} qn__typed_variable;

// An index and its range begin .. end.
typedef enum qn__range_kind {
    QN__RANGE_WRITTEN, // expressions `begin`, `end` (any integer type)
    QN__RANGE_OF,      // 0 .. extent of dimension `dimension` of array variable `array`
} qn__range_kind;

typedef struct qn__typed_index {
    uint8_t kind;
    uint8_t dimension;
    uint32_t variable;
    uint32_t array; // QN__RANGE_OF
    qn__node_id begin, end;
} qn__typed_index;

typedef enum qn__stage_kind {
    QN__STAGE_POINTS,  // every point of the domain writes its elements (a FOR_BLOCK may scatter, too)
    QN__STAGE_SCATTER, // combining assignment whose subscripts are not one-to-one: in row-major order of the indices
    QN__STAGE_KEEP,    // targets are whole arrays of rank 1, one per value; the keep's own ranges are the domain
    QN__STAGE_SCAN,    // the value is a SCAN; indices are the parallel ones without the scan's (none for `y = scan(...)`). The scan's
                       //   index is that of its RANGE: element i goes where the target's subscripts say (target INDEX, LET_ARRAY),
                       //   or to i - begin (target NAME or BINDING, of rank 1)
    QN__STAGE_SCALAR,  // no indices, targets of rank 0: evaluated once at kernel level (reductions stand there)
} qn__stage_kind;

typedef struct qn__typed_stage {
    uint8_t kind; // qn__stage_kind
    qn__node_id node;
    uint32_t first_target, target_count; // in the order written
    uint32_t *indices;                   // in qn__typed.indices, outermost first. When every subscript of the (first) target is a
    uint32_t index_count;                //   plain index, the order is that of the target; else written order, then appearance
    qn__node_id otherwise;               // the else expression, or 0
    bool fill;        // with `otherwise`: the target's subscripts are not all plain indices: write `otherwise` (which then names no index of
                      //   the stage) to every element first. Else it is the value of the points outside the indices' ranges: the
                      //   whole box is 0 .. extent in each dimension of the target
} qn__typed_stage;

typedef struct qn__typed_target {
    qn__node_id node;   // INDEX or NAME; BINDING for a let; LET_ARRAY itself
    uint32_t array;     // variable INPUT.. TEMP; QN__NO_REF when the target is a variable of the point
    uint32_t variable;  // then this
    bool initialises;   // no element has a value before this statement
    bool full;          // writes every element of the array
    bool scatter;       // the subscripts are not one-to-one over the domain: combine in order. If it initialises as well, the array
                        //   starts at the operator's neutral element (sum 0, product 1, min/max and &/| accordingly)
    bool combine;       // the op of the ASSIGN is not "=": the old element is combined. With initialises and without scatter: likewise the
                        //   array starts at the neutral element (all of it: the domain may be smaller)
    uint8_t op;         // combine: the qn__op
    bool copy;          // the statement reads the array at elements that other points write: read from a copy made before
} qn__typed_target;

// A needed function for concrete types, or a kernel.
typedef struct qn__typed {
    qn__ast_item item;
    const char *name;          // as written: "exp_f32"; instantiations share it
    qn__type *type_arguments;  // one per GENERIC
    uint32_t type_argument_count;
    qn__typed_node *nodes;     // of node n: nodes[n - item.first]; use qn__typed_at
    qn__typed_variable *variables;  uint32_t variable_count;
    qn__typed_index *indices;       uint32_t index_count;
    qn__typed_stage *stages;        uint32_t stage_count;
    qn__typed_target *targets;      uint32_t target_count;
    qn__type *results;              uint32_t result_count; // functions
    uint32_t parameter_count;  // functions: variables 0 .. parameter_count - 1 are the parameters
    qn__signature *signature;  // kernels; variables: first one per signature parameter in that order, then one per symbol
    bool fast;                 // @fast
    bool uses_extern;          // it or a function that it calls
    uint32_t *functions;       // indices in qn__checked.functions of all functions that it needs, directly or not, callees
    uint32_t function_count;   //   before callers
} qn__typed;

typedef struct qn__typed_extern {
    const char *name;
    qn__node_id node;
    qn__type *params;
    uint32_t param_count;
    qn__type result;
} qn__typed_extern;

// What all instantiations of a program share.
typedef struct qn__checked {
    const qn__ast *ast;
    qn__typed **functions;      uint32_t function_count;  // an entry is NULL only when it has errors (then its users have none, too)
    qn__typed_extern *externs;  uint32_t extern_count;
} qn__checked;

static inline const qn__typed_node *qn__typed_at(const qn__typed *t, qn__node_id node) {
    return &t->nodes[node - t->item.first];
}

#endif
