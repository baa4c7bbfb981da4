/* Affine forms over integer values, facts about them, and a prover: the engine of ranges.c.
 *
 * A form is c + sum of k * base in mathematical integers. A base is a value (or the product of two bases) with bounds;
 * a fact says that a form is at least 0 and holds in the scope where it was added. Only ir/ includes this. */
#ifndef QN__AFFINE_H
#define QN__AFFINE_H

#include "ir/pass.h"

enum { QN__FORM_TERMS = 8 };

#define QN__SIZE_LIMIT (INT64_C(1) << 48)  /* sizes stay below it: the runtime refuses larger ones */
#define QN__EXACT_LIMIT (INT64_C(1) << 62) /* i64 arithmetic whose result stays within this cannot have wrapped */
#define QN__INFINITE INT64_MAX             /* as a bound: none */

typedef struct qn__term { uint32_t base; int64_t factor; } qn__term;

typedef struct qn__form {
    int64_t constant;
    uint32_t count;
    qn__term terms[QN__FORM_TERMS]; /* sorted by base, no factor is 0 */
} qn__form;

/* How a base that is one of two forms came about. */
typedef struct qn__choice {
    const qn__form *yes, *no;
    qn__value cond;                 /* decides; 0: unknown */
    const qn__form *low, *high;     /* not NULL: when it is yes, low <= yes < high */
} qn__choice;

typedef struct qn__base {
    qn__value value;                /* 0 for a product */
    uint32_t left, right;           /* factors of a product, left the smaller */
    uint32_t products, next_product; /* the products of which this is the left factor: base plus 1 */
    int64_t low, high;
    uint32_t order;                 /* later ones depend on earlier ones */
    uint32_t links[2];              /* the facts that mention it with a negative, positive factor: latest link plus 1 */
    qn__choice choice;              /* yes is NULL: none */
} qn__base;

typedef struct qn__fact_link { uint32_t base, fact, next; bool positive; } qn__fact_link;

typedef struct qn__affine qn__affine;
struct qn__affine {
    qn__pass *pass;
    qn__base *bases;      size_t base_count, base_capacity;
    qn__form *facts;      size_t fact_count, fact_capacity;
    qn__fact_link *links; size_t link_count, link_capacity;
    qn__form *nonzeros;   size_t nonzero_count, nonzero_capacity; /* forms that are not 0 here */
    uint32_t budget;      /* steps left for the present question */
    uint32_t spent;       /* steps of all questions so far */
    /* Adds the facts that a condition's truth implies. */
    void (*assume)(qn__affine *affine, qn__value cond, bool truth);
};

typedef struct qn__mark { size_t facts, links, nonzeros; } qn__mark;

/* Bases are numbered from 0; UINT32_MAX when memory is exhausted. */
uint32_t qn__base_create(qn__affine *affine, qn__value value, int64_t low, int64_t high);
uint32_t qn__base_product(qn__affine *affine, uint32_t left, uint32_t right);

qn__form qn__form_constant(int64_t constant);
qn__form qn__form_of_base(uint32_t base);
/* sum = a + factor * b; false when it overflows or has too many terms. */
bool qn__form_add(qn__form *sum, const qn__form *a, const qn__form *b, int64_t factor);
bool qn__form_multiply(qn__affine *affine, qn__form *product, const qn__form *a, const qn__form *b);
/* Bounds from the bases' bounds alone; QN__INFINITE (or its negation) where there is none. */
int64_t qn__form_low(const qn__affine *affine, const qn__form *form);
int64_t qn__form_high(const qn__affine *affine, const qn__form *form);

qn__mark qn__facts_mark(const qn__affine *affine);
void qn__facts_forget(qn__affine *affine, qn__mark mark);
/* form >= 0 from now on. */
void qn__fact_add(qn__affine *affine, const qn__form *form);
/* a + constant <= b from now on. */
void qn__fact_at_most(qn__affine *affine, const qn__form *a, int64_t constant, const qn__form *b);
/* form != 0 from now on; and is that known? (only for the same form or its negation) */
void qn__nonzero_add(qn__affine *affine, const qn__form *form);
bool qn__nonzero_known(const qn__affine *affine, const qn__form *form);

/* Is form >= 0 here? False means: not known. */
bool qn__prove(qn__affine *affine, const qn__form *form);
/* a + constant <= b? */
bool qn__prove_at_most(qn__affine *affine, const qn__form *a, int64_t constant, const qn__form *b);

#endif
