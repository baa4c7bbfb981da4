/* A kernel's signature: what a caller must know. Shared by compiler, runtime and API; plain data, of one arena.
 *
 * Sizes: a *symbol* is a name in the shapes (n, m). It is bound at a call by the first input dimension that is `name`,
 * `name + c` or `name - c`; every other dimension is an expression that is checked (inputs) or computed (outputs). An
 * existential symbol (?m) is known only after the kernel ran. `k: size` is a scalar parameter, and may occur in dims. */
#ifndef QN__SIGNATURE_H
#define QN__SIGNATURE_H

#include "ir/types.h"

typedef enum qn__dim_op {
    QN__DIM_CONST, QN__DIM_SYMBOL, QN__DIM_SCALAR, /* leaves: value is the constant, symbol or scalar-parameter index */
    QN__DIM_ADD, QN__DIM_SUB, QN__DIM_MUL, QN__DIM_DIV, QN__DIM_REM, QN__DIM_MIN, QN__DIM_MAX
} qn__dim_op;

typedef struct qn__dim { uint8_t op; int64_t value; uint32_t left, right; } qn__dim; /* left, right: indices into dims */

typedef struct qn__symbol {
    const char *name;
    bool existential;
    uint32_t parameter, dimension; /* where it is bound (not existential) */
    int64_t addend;                /* extent = symbol + addend */
} qn__symbol;

typedef enum qn__parameter_kind { QN__PARAMETER_SCALAR, QN__PARAMETER_IN, QN__PARAMETER_INOUT, QN__PARAMETER_OUT } qn__parameter_kind;

typedef struct qn__parameter {
    const char *name;
    uint8_t type, rank, kind;      /* a scalar output has kind OUT and rank 0 */
    bool is_size;                  /* `k: size`: i64, checked to be at least 0 */
    uint32_t index;                /* scalar: number in the scalar table; else number in the array table (same as qn__ir.arrays) */
    uint32_t dim[QN__MAX_RANK];    /* indices into dims */
} qn__parameter;

typedef struct qn__signature {
    const char *name;
    qn__parameter *parameters;     /* inputs and inouts in written order, then outputs */
    uint32_t parameter_count, input_count; /* the first input_count are not OUT */
    uint32_t scalar_count;         /* scalar parameters */
    qn__symbol *symbols;           uint32_t symbol_count;
    qn__dim *dims;                 uint32_t dim_count;
} qn__signature;

#endif
