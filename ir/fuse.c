/* fuse: two parallel stages over one domain, one after the other, become one. What the second reads at the very element
 * that the first wrote at the same point is then a value (cse), and a temporary array that only carried it disappears
 * (dce).
 *
 * Allowed when no point of one stage depends on another point of the other: an array that one of them writes and the
 * other touches is subscripted in both by the same expressions of the domain's index variables, all of which occur. Then
 * every element belongs to one point, and within a point the order stays. Further: at most one of the two can raise an
 * error, so that the error of a call stays the same; neither scatters (accumulates at computed elements), since that
 * fixes an order of the points; neither is a contraction, which has code of its own; what stands between can be passed.
 *
 * requires: ranges (fewer checks), cse (equal bounds are one value)
 * preserves: everything else
 * breaks: nothing; cse and dce should follow */
#include "ir/contraction.h"

enum { ACCESS_LIMIT = 64, SIZE_LIMIT = 2000, INDEX_VARIABLE = 1u << 31 };

typedef struct access {
    uint32_t array;
    bool write, own;            /* own: the element belongs to the point alone */
    uint32_t rank;
    uint32_t index[QN__MAX_RANK]; /* INDEX_VARIABLE | number, or a value from outside the stage */
} access;

typedef struct stage_info {
    qn__instr_ref stage;
    access accesses[ACCESS_LIMIT];
    uint32_t access_count, size;
    bool raises, opaque, scatters; /* opaque: too much or too strange to look at */
} stage_info;

typedef struct fuser {
    qn__pass *pass;
    qn__ir *ir;
    qn__rewrite rewrite;
    stage_info *before, *after;
} fuser;

/* --- what a stage touches ----------------------------------------------------------------------------------------- */

static bool is_inside(const qn__ir *ir, qn__region_ref region, qn__region_ref stage_region) {
    for (; region; region = qn__region_parent(ir, region))
        if (region == stage_region) return true;
    return false;
}

static void add_access(fuser *f, stage_info *info, const qn__instr *instr, qn__region_ref stage_region, bool write) {
    const qn__ir *ir = f->ir;
    if (info->access_count == ACCESS_LIMIT || instr->imm >= ir->array_count) {
        info->opaque = true;
        return;
    }
    access *a = &info->accesses[info->access_count++];
    *a = (access){.array = (uint32_t)instr->imm, .write = write, .own = true, .rank = ir->arrays[instr->imm].rank};
    uint32_t seen = 0, rank = (uint32_t)ir->instrs[info->stage].imm;
    for (uint32_t i = 0; i < a->rank; i++) {
        qn__value v = qn__rewritten(&f->rewrite, instr->args[i]);
        const qn__value_info *known = &ir->values[v];
        a->index[i] = v;
        if (!known->instr && known->region == stage_region) {
            a->index[i] = INDEX_VARIABLE | known->index;
            seen |= 1u << known->index;
        } else if (is_inside(ir, qn__region_of(ir, v), stage_region)) {
            a->own = false;
        }
    }
    if (seen != (1u << rank) - 1) a->own = false;
}

static void survey(fuser *f, stage_info *info, qn__region_ref region, qn__region_ref stage_region) {
    const qn__ir *ir = f->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        uint8_t effect = qn__effect_of(instr);
        if (++info->size > SIZE_LIMIT || instr->op == QN__OP_SCAN) info->opaque = true;
        if (info->opaque) return;
        if (effect == QN__EFFECT_CHECK || effect == QN__EFFECT_CALL) info->raises = true;
        if (instr->op == QN__OP_LOAD) add_access(f, info, instr, stage_region, false);
        if (instr->op == QN__OP_STORE || instr->op == QN__OP_ACCUMULATE) {
            add_access(f, info, instr, stage_region, true);
            bool own = info->access_count && info->accesses[info->access_count - 1].own;
            if (instr->op == QN__OP_ACCUMULATE && !own) info->scatters = true;
        }
        for (uint32_t i = 0; i < instr->region_count; i++) survey(f, info, instr->regions[i], stage_region);
    }
}

static void survey_stage(fuser *f, stage_info *info, qn__instr_ref stage) {
    *info = (stage_info){.stage = stage};
    const qn__instr *instr = &f->ir->instrs[stage];
    if (instr->imm > QN__MAX_RANK || qn__is_contraction(f->ir, stage)) info->opaque = true;
    for (uint32_t i = 0; i < instr->region_count; i++) survey(f, info, instr->regions[i], instr->regions[i]);
}

/* --- may they be one? --------------------------------------------------------------------------------------------- */

static bool same_element(const access *a, const access *b) {
    if (!a->own || !b->own) return false;
    for (uint32_t i = 0; i < a->rank; i++)
        if (a->index[i] != b->index[i]) return false;
    return true;
}

/* The array over which points of the two stages depend on one another, or UINT32_MAX. */
static uint32_t conflict(const stage_info *x, const stage_info *y) {
    for (uint32_t i = 0; i < x->access_count; i++)
        for (uint32_t k = 0; k < y->access_count; k++) {
            const access *a = &x->accesses[i], *b = &y->accesses[k];
            if (a->array == b->array && (a->write || b->write) && !same_element(a, b)) return a->array;
        }
    return UINT32_MAX;
}

static bool same_domain(const qn__ir *ir, qn__instr_ref x, qn__instr_ref y) {
    const qn__instr *a = &ir->instrs[x], *b = &ir->instrs[y];
    if (a->imm != b->imm || a->arg_count != b->arg_count || a->region_count != b->region_count) return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (a->args[i] != b->args[i]) return false;
    return true;
}

static bool touches(const stage_info *info, uint64_t array, bool writes_only) {
    for (uint32_t i = 0; i < info->access_count; i++)
        if (info->accesses[i].array == array && (info->accesses[i].write || !writes_only)) return true;
    return false;
}

/* The first stage may be carried out behind this instruction instead of in front of it. */
static bool can_pass(const stage_info *info, const qn__instr *instr) {
    switch ((int)qn__effect_of(instr)) {
    case QN__EFFECT_PURE: return true;
    case QN__EFFECT_READ: return instr->op == QN__OP_LOAD && !touches(info, instr->imm, true);
    case QN__EFFECT_CHECK: return !info->raises;
    default: return instr->op == QN__OP_ALLOC && !info->raises && !touches(info, instr->imm, false);
    }
}

static bool refuse(fuser *f, const char *why, const char *name) {
    uint32_t location = f->ir->instrs[f->after->stage].location;
    qn__ir_remark(f->ir, QN__REMARK_NOT_FUSED, location, "not joined with the stage before it: %s%s%s", why, name,
                  *name ? "'" : "");
    return false;
}

static bool may_fuse(fuser *f) {
    const stage_info *x = f->before, *y = f->after;
    if (x->opaque || y->opaque) return false;
    if (x->scatters || y->scatters) return refuse(f, "one of them scatters", "");
    if (x->raises && y->raises) return refuse(f, "both can raise an error", "");
    uint32_t array = conflict(x, y);
    if (array == UINT32_MAX) return true;
    return refuse(f, "a point depends on other points over array '", f->ir->arrays[array].name);
}

/* --- joining ------------------------------------------------------------------------------------------------------ */

/* The first stage's instructions go to the head of the second's regions. */
static void join(fuser *f) {
    qn__ir *ir = f->ir;
    const qn__instr *x = &ir->instrs[f->before->stage], *y = &ir->instrs[f->after->stage];
    for (uint32_t i = 0; i < x->region_count; i++) {
        const qn__region *from = &ir->regions[x->regions[i]], *to = &ir->regions[y->regions[i]];
        for (uint32_t k = 0; k < from->param_count; k++)
            qn__rewrite_set(&f->rewrite, from->first_param + k, to->first_param + k);
        qn__instr_ref head = to->first;
        for (qn__instr_ref ref = from->first, next; ref; ref = next) {
            next = ir->instrs[ref].next;
            if (ir->instrs[ref].op != QN__OP_YIELD) qn__instr_move_before(ir, ref, head);
        }
    }
    qn__ir_remark(ir, QN__REMARK_FUSED, y->location, "joined with the stage before it");
    qn__instr_remove(ir, f->before->stage);
}

static void swap_infos(fuser *f) {
    stage_info *info = f->before;
    f->before = f->after;
    f->after = info;
}

static void fuse_level(fuser *f, qn__region_ref region);

static void fuse_nested(fuser *f, const qn__instr *instr) {
    if (instr->op != QN__OP_IF && instr->op != QN__OP_FOR && instr->op != QN__OP_WHILE) return;
    for (uint32_t i = 0; i < instr->region_count; i++) fuse_level(f, instr->regions[i]);
}

/* f->before is the stage that the next one may be joined with; its stage is 0 when there is none. */
static void fuse_level(fuser *f, qn__region_ref region) {
    qn__ir *ir = f->ir;
    f->before->stage = 0;
    for (qn__instr_ref ref = ir->regions[region].first; ref && !ir->failed; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        if (instr->op != QN__OP_PARALLEL) {
            fuse_nested(f, instr);
            if (f->before->stage && !can_pass(f->before, instr)) f->before->stage = 0;
            continue;
        }
        survey_stage(f, f->after, ref);
        if (f->before->stage && same_domain(ir, f->before->stage, ref) && may_fuse(f)) {
            join(f);
            survey_stage(f, f->after, ref);
        }
        swap_infos(f);
    }
    f->before->stage = 0;
}

static void rewrite_all(fuser *f, qn__region_ref region) {
    qn__ir *ir = f->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        qn__rewrite_args(&f->rewrite, ir, ref);
        for (uint32_t i = 0; i < ir->instrs[ref].region_count; i++) rewrite_all(f, ir->instrs[ref].regions[i]);
    }
}

bool qn__pass_fuse(qn__pass *pass) {
    fuser f = {.pass = pass, .ir = pass->ir};
    f.before = QN__ARENA_NEW(pass->scratch, stage_info);
    f.after = QN__ARENA_NEW(pass->scratch, stage_info);
    if (!f.before || !f.after || !qn__rewrite_begin(&f.rewrite, pass)) return false;
    fuse_level(&f, pass->ir->body);
    if (f.rewrite.changed) rewrite_all(&f, pass->ir->body);
    return !pass->ir->failed;
}
