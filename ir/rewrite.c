/* Batched replacement of values, see pass.h. */
#include "ir/pass.h"

bool qn__rewrite_begin(qn__rewrite *rewrite, qn__pass *pass) {
    *rewrite = (qn__rewrite){.pass = pass};
    rewrite->to = qn__arena_grow(pass->scratch, NULL, &rewrite->count, pass->ir->value_count, sizeof *rewrite->to);
    return rewrite->to;
}

qn__value qn__rewritten(const qn__rewrite *rewrite, qn__value value) {
    while (value < rewrite->count && rewrite->to[value]) value = rewrite->to[value];
    return value;
}

void qn__rewrite_set(qn__rewrite *rewrite, qn__value from, qn__value to) {
    to = qn__rewritten(rewrite, to);
    if (!from || from == to) return;
    qn__value *grown =
        qn__arena_grow(rewrite->pass->scratch, rewrite->to, &rewrite->count, (size_t)from + 1, sizeof *grown);
    if (!grown) {
        rewrite->pass->ir->failed = true;
        return;
    }
    rewrite->to = grown;
    rewrite->to[from] = to;
    rewrite->changed = true;
}

void qn__rewrite_args(const qn__rewrite *rewrite, qn__ir *ir, qn__instr_ref instr) {
    qn__value *args = ir->instrs[instr].args;
    uint32_t count = ir->instrs[instr].arg_count;
    for (uint32_t i = 0; i < count; i++) args[i] = qn__rewritten(rewrite, args[i]);
}

void qn__rewrite_extents(const qn__rewrite *rewrite, qn__ir *ir) {
    for (uint32_t i = 0; i < ir->array_count; i++)
        for (uint32_t k = 0; k < ir->arrays[i].rank && k < QN__MAX_RANK; k++)
            ir->arrays[i].extent[k] = qn__rewritten(rewrite, ir->arrays[i].extent[k]);
}
