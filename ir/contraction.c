/* contraction: recognises stages that are matrix-product-like, so that a backend may give them blocking, packing and a
 * micro-kernel: C[i.., j..] = a sequential chain of fma over p of A[.., p, ..] and B[.., p, ..], where some index of the
 * domain occurs in A alone and some in B alone. Sets QN__CONTRACTION and leaves a remark; changes nothing.
 *
 * requires: ranges (a stage with checks is none), cse and dce (nothing else stands in the stage)
 * preserves: everything
 * breaks: nothing */
#include "ir/contraction.h"

typedef struct shape {
    qn__instr_ref loop, store, first, second; /* the for, the store of its result, the two loads */
    uint32_t loops, stores, others;
} shape;

static void survey_stage(const qn__ir *ir, qn__region_ref region, shape *s) {
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        if (instr->op == QN__OP_FOR) s->loop = ref, s->loops++;
        else if (instr->op == QN__OP_STORE) s->store = ref, s->stores++;
        else if (!qn__is_pure(instr) && instr->op != QN__OP_YIELD) s->others++;
    }
}

static bool survey_loop(const qn__ir *ir, shape *s) {
    uint32_t loads = 0;
    for (qn__instr_ref ref = ir->regions[ir->instrs[s->loop].regions[0]].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        if (instr->op == QN__OP_LOAD && loads++ < 2) *(loads == 1 ? &s->first : &s->second) = ref;
        else if (!qn__is_pure(instr) && instr->op != QN__OP_YIELD) return false;
    }
    return loads == 2;
}

/* Through conversions of storage types: the load behind an operand of the fma. */
static qn__instr_ref source(const qn__ir *ir, qn__value v) {
    qn__instr_ref ref = ir->values[v].instr;
    if (ref && ir->instrs[ref].op == QN__OP_CONVERT) ref = ir->values[ir->instrs[ref].args[0]].instr;
    return ref;
}

/* Which index variables of the stage subscript the load, as bits, and whether p does. */
static uint32_t subscripts(const qn__ir *ir, qn__instr_ref load, qn__region_ref stage, qn__value p, bool *reduced) {
    uint32_t bits = 0;
    const qn__instr *instr = &ir->instrs[load];
    *reduced = false;
    for (uint32_t i = 0; i < instr->arg_count; i++) {
        const qn__value_info *info = &ir->values[instr->args[i]];
        if (instr->args[i] == p) *reduced = true;
        else if (!info->instr && info->region == stage) bits |= 1u << info->index;
    }
    return bits;
}

/* The result of the loop, perhaps converted to a storage type, is what is stored. */
static bool stores_result(const qn__ir *ir, const shape *s) {
    const qn__instr *store = &ir->instrs[s->store];
    qn__instr_ref ref = ir->values[store->args[store->arg_count - 1]].instr;
    if (ref && ir->instrs[ref].op == QN__OP_CONVERT) ref = ir->values[ir->instrs[ref].args[0]].instr;
    return ref == s->loop;
}

bool qn__is_contraction(const qn__ir *ir, qn__instr_ref stage) {
    const qn__instr *parallel = &ir->instrs[stage];
    if (parallel->op != QN__OP_PARALLEL || parallel->region_count != 1 || parallel->imm < 2) return false;
    shape s = {0};
    survey_stage(ir, parallel->regions[0], &s);
    if (s.loops != 1 || s.stores != 1 || s.others || !survey_loop(ir, &s) || !stores_result(ir, &s)) return false;
    const qn__instr *loop = &ir->instrs[s.loop];
    if (loop->result_count != 1) return false;
    const qn__region *body = &ir->regions[loop->regions[0]];
    const qn__instr *fma = qn__definition(ir, ir->instrs[body->last].args[0]);
    if (!fma || fma->op != QN__OP_FMA || fma->args[2] != body->first_param + 1) return false;
    qn__instr_ref a = source(ir, fma->args[0]), b = source(ir, fma->args[1]);
    if (!((a == s.first && b == s.second) || (a == s.second && b == s.first))) return false;
    bool a_reduced, b_reduced;
    uint32_t a_bits = subscripts(ir, a, parallel->regions[0], body->first_param, &a_reduced);
    uint32_t b_bits = subscripts(ir, b, parallel->regions[0], body->first_param, &b_reduced);
    return a_reduced && b_reduced && (a_bits & ~b_bits) && (b_bits & ~a_bits);
}

static void mark(qn__ir *ir, qn__region_ref region) {
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        qn__instr *instr = &ir->instrs[ref];
        if (qn__is_contraction(ir, ref)) {
            instr->flags |= QN__CONTRACTION;
            qn__ir_remark(ir, QN__REMARK_CONTRACTION, instr->location, "the stage is a matrix product");
        }
        bool level = instr->op == QN__OP_IF || instr->op == QN__OP_FOR || instr->op == QN__OP_WHILE;
        for (uint32_t i = 0; level && i < instr->region_count; i++) mark(ir, instr->regions[i]);
    }
}

bool qn__pass_contraction(qn__pass *pass) {
    mark(pass->ir, pass->ir->body);
    return !pass->ir->failed;
}
