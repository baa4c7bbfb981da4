/* What the passes share; only ir/ includes this. */
#ifndef QN__PASS_H
#define QN__PASS_H

#include "ir/passes.h"

typedef struct qn__pass {
    qn__ir *ir;
    qn__arena *scratch;    /* memory that goes when the pass ends */
    const char *message;   /* why the pass gave up, or NULL: out of memory */
} qn__pass;

/* Each returns false when memory is exhausted or a limit is reached. */
bool qn__pass_inline(qn__pass *pass);
bool qn__pass_fma(qn__pass *pass);
bool qn__pass_fold(qn__pass *pass);
bool qn__pass_cse(qn__pass *pass);
bool qn__pass_dce(qn__pass *pass);
bool qn__pass_licm(qn__pass *pass);
bool qn__pass_ranges(qn__pass *pass);
bool qn__pass_fuse(qn__pass *pass);
bool qn__pass_contraction(qn__pass *pass);

/* In debug builds: verifies the module. False with a *message that says after what it is not valid, or that there is no memory; other builds: true. */
bool qn__pass_verified(qn__ir *ir, const char *after, const char **message);

/* Replacement of values, batched: passes walk the tree once and rewrite operands as they come by, which is enough since
 * a use never comes before its definition. */
typedef struct qn__rewrite {
    qn__pass *pass;
    qn__value *to;   /* by value: 0 for itself */
    size_t count;
    bool changed;
} qn__rewrite;

bool qn__rewrite_begin(qn__rewrite *rewrite, qn__pass *pass);
qn__value qn__rewritten(const qn__rewrite *rewrite, qn__value value);
void qn__rewrite_set(qn__rewrite *rewrite, qn__value from, qn__value to);
void qn__rewrite_args(const qn__rewrite *rewrite, qn__ir *ir, qn__instr_ref instr);
void qn__rewrite_extents(const qn__rewrite *rewrite, qn__ir *ir);

/* `count` consecutive values, results of an instruction or parameters of a region; 0 when count is 0 or there is no memory. */
qn__value qn__values_create(qn__ir *ir, uint32_t count, qn__instr_ref instr, qn__region_ref region);

static inline uint8_t qn__effect_of(const qn__instr *instr) { return qn__op_table[instr->op].effect; }

/* A pure operation without regions. */
static inline bool qn__is_pure(const qn__instr *instr) {
    return qn__effect_of(instr) == QN__EFFECT_PURE && instr->op != QN__OP_CALL;
}

/* The region's ancestors: the region that the owner stands in, 0 at the top. */
static inline qn__region_ref qn__region_parent(const qn__ir *ir, qn__region_ref region) {
    qn__instr_ref owner = ir->regions[region].owner;
    return owner ? ir->instrs[owner].region : 0;
}

/* Where a value comes into being. */
static inline qn__region_ref qn__region_of(const qn__ir *ir, qn__value value) {
    const qn__value_info *info = &ir->values[value];
    return info->instr ? ir->instrs[info->instr].region : info->region;
}

#endif
