/* Decisions before bytecode is emitted, all over the IR:
 *
 * - folding: an operation whose only users can compute it themselves is not emitted (a comparison that an `if` or a `while`
 *   branches on, `i + 1` in the last index of a load, a negation inside fma, a product under an i64 addition);
 * - homes: the next value of a loop's carried value is computed right into its register, where nobody reads the old one
 *   afterwards; the value that an `if` yields likewise into the register of its result.
 *
 * Positions number instructions in pre-order. What is folded is read at the position of its user; bounds of loops and what a
 * reduction starts from are read until the loop ends. */
#include "compiler/bytecode_private.h"

static qn__instr *at(const emitter *e, qn__instr_ref ref) { return &e->ir->instrs[ref]; }
static qn__instr_ref definer(const emitter *e, qn__value v) { return e->ir->values[v].instr; }

bool plan_folded(const emitter *e, qn__value value) {
    qn__instr_ref ref = definer(e, value);
    return ref && e->folded[ref];
}

static qn__instr_ref yield_of(const emitter *e, qn__region_ref region) { return e->ir->regions[region].last; }

/* --- folding ------------------------------------------------------------------------------------------------------ */

typedef struct folding { emitter *e; uint32_t *count; /* uses by value */ } folding;

static void count_uses(folding *f, qn__region_ref region) {
    const emitter *e = f->e;
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        const qn__instr *instr = at(e, ref);
        for (uint32_t i = 0; i < instr->arg_count; i++) f->count[instr->args[i]]++;
        for (uint32_t i = 0; i < instr->region_count; i++) count_uses(f, instr->regions[i]);
    }
}

/* The operation behind v, if it stands in the region and has no other use. */
static qn__instr_ref sole(const folding *f, qn__value v, qn__region_ref region) {
    qn__instr_ref ref = definer(f->e, v);
    return ref && f->count[v] == 1 && at(f->e, ref)->region == region ? ref : 0;
}

static void fold_condition(folding *f, qn__value v, qn__region_ref region) {
    qn__instr_ref ref = sole(f, v, region);
    if (!ref) return;
    const qn__instr *instr = at(f->e, ref);
    qn__type type = instr->arg_count ? qn__type_of(f->e->ir, instr->args[0]) : QN__TYPE_NONE;
    bool logic = (instr->op == QN__OP_AND || instr->op == QN__OP_OR || instr->op == QN__OP_NOT) && type == QN__TYPE_BOOL;
    bool compares = instr->op >= QN__OP_EQ && instr->op <= QN__OP_GE;
    if (compares && !code_jump_opcode(COMPARE_LT, type) && !(qn__type_bits(type) > 16 && instr->op <= QN__OP_NE)) return;
    if (!logic && !compares) return;
    f->e->folded[ref] = 1;
    for (uint32_t i = 0; logic && i < instr->arg_count; i++) fold_condition(f, instr->args[i], region);
}

static void fold_operand(folding *f, qn__value v, qn__op op, qn__region_ref region) {
    qn__instr_ref ref = sole(f, v, region);
    if (ref && at(f->e, ref)->op == op && !f->e->folded[ref]) f->e->folded[ref] = 1;
}

/* `i + c` or `i - c` with a constant that fits the instruction. */
static bool is_offset(const emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    if (!ref || (instr->op != QN__OP_ADD && instr->op != QN__OP_SUB)) return false;
    uint64_t bits;
    return qn__is_const(e->ir, instr->args[1], &bits) && (int64_t)bits >= -32767 && (int64_t)bits <= 32767;
}

static void fold_offsets(folding *f, qn__region_ref region, uint32_t *loads) {
    const emitter *e = f->e;
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        const qn__instr *instr = at(e, ref);
        if (instr->op == QN__OP_LOAD && instr->arg_count) {
            qn__value last = instr->args[instr->arg_count - 1];
            bool twice = false;
            for (uint32_t i = 0; i + 1 < instr->arg_count; i++) twice = twice || instr->args[i] == last;
            if (!twice && is_offset(e, definer(e, last)) && !plan_folded(e, at(e, definer(e, last))->args[0]) &&
                ++loads[last] == f->count[last])
                f->e->folded[definer(e, last)] = 1;
        }
        for (uint32_t i = 0; i < instr->region_count; i++) fold_offsets(f, instr->regions[i], loads);
    }
}

static void fold(folding *f, qn__region_ref region) {
    emitter *e = f->e;
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        const qn__instr *instr = at(e, ref);
        for (uint32_t i = 0; i < instr->region_count; i++) fold(f, instr->regions[i]);
        switch ((qn__op)instr->op) {
        case QN__OP_IF: fold_condition(f, instr->args[0], region); break;
        case QN__OP_WHILE:
            fold_condition(f, at(e, yield_of(e, instr->regions[0]))->args[0], instr->regions[0]);
            break;
        case QN__OP_FMA:
            fold_operand(f, instr->args[2], QN__OP_NEG, region);
            if (!plan_folded(e, instr->args[2])) fold_operand(f, instr->args[0], QN__OP_NEG, region);
            break;
        case QN__OP_ADD:
            if (qn__type_bits(qn__type_of(e->ir, instr->args[0])) == 64 && qn__is_int(qn__type_of(e->ir, instr->args[0])))
                fold_operand(f, instr->args[0], QN__OP_MUL, region);
            break;
        default: break;
        }
    }
}

/* --- positions and uses ------------------------------------------------------------------------------------------- */

static uint32_t number(emitter *e, qn__region_ref region, uint32_t next) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        e->position[ref] = next++;
        for (uint32_t i = 0; i < at(e, ref)->region_count; i++) next = number(e, at(e, ref)->regions[i], next);
        e->end[ref] = next++;
    }
    return next;
}

/* Notes a use: counts it, or with uses made, writes it (use_start then moves down to the first of each value). */
static void use(emitter *e, qn__value v, uint32_t position) {
    if (plan_folded(e, v)) {
        const qn__instr *instr = at(e, definer(e, v));
        for (uint32_t i = 0; i < instr->arg_count; i++) use(e, instr->args[i], position);
    } else if (!e->uses) {
        e->use_start[v]++;
    } else {
        e->uses[--e->use_start[v]] = position;
    }
}

static void note_uses(emitter *e, qn__region_ref region) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        const qn__instr *instr = at(e, ref);
        bool until_end = instr->op == QN__OP_REDUCE || instr->op == QN__OP_SCAN || instr->op == QN__OP_PARALLEL ||
                         instr->op == QN__OP_KEEP;
        for (uint32_t i = 0; !e->folded[ref] && i < instr->arg_count; i++) {
            bool late = until_end || (instr->op == QN__OP_FOR && i < 2);
            use(e, instr->args[i], late ? e->end[ref] : e->position[ref]);
        }
        for (uint32_t i = 0; i < instr->region_count; i++) note_uses(e, instr->regions[i]);
    }
}

static bool used_between(const emitter *e, qn__value v, uint32_t after, uint32_t last) {
    for (uint32_t i = e->use_start[v]; i < e->use_start[v + 1]; i++)
        if (e->uses[i] > after && e->uses[i] <= last) return true;
    return false;
}

/* --- homes -------------------------------------------------------------------------------------------------------- */

/* Gives y, defined in the region that ends at `last`, the register of p, if p is not read once y is written. */
static bool settle(emitter *e, qn__value y, qn__value p, qn__region_ref region, uint32_t last) {
    qn__instr_ref ref = definer(e, y);
    if (!ref || at(e, ref)->region != region || e->home[y] || e->folded[ref]) return false;
    const qn__instr *instr = at(e, ref);
    if (instr->op == QN__OP_CONST || instr->op == QN__OP_KEEP || qn__type_of(e->ir, y) != qn__type_of(e->ir, p)) return false;
    bool loop = instr->op == QN__OP_FOR || instr->op == QN__OP_WHILE;
    uint32_t written = instr->region_count && !loop ? e->end[ref] : e->position[ref];
    if (used_between(e, p, written, last)) return false;
    e->home[y] = p;
    if (instr->op != QN__OP_IF) return true;
    for (uint32_t i = 0; i < 2; i++) {
        qn__instr_ref yield = yield_of(e, instr->regions[i]);
        qn__value inner = at(e, yield)->args[y - instr->first_result];
        if (inner != p && settle(e, inner, p, instr->regions[i], e->position[yield])) e->home[inner] = y;
    }
    return true;
}

static void settle_yields(emitter *e, qn__region_ref region, qn__value first, uint32_t count) {
    qn__instr_ref yield = yield_of(e, region);
    for (uint32_t i = 0; i < count; i++)
        if (!e->home[at(e, yield)->args[i]]) settle(e, at(e, yield)->args[i], first + i, region, e->position[yield]);
}

static void settle_region(emitter *e, qn__region_ref region) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        const qn__instr *instr = at(e, ref);
        qn__region_ref body = instr->region_count ? instr->regions[instr->op == QN__OP_WHILE] : 0;
        const qn__region *r = &e->ir->regions[body];
        if (instr->op == QN__OP_FOR || instr->op == QN__OP_REDUCE)
            settle_yields(e, body, r->first_param + 1, r->param_count - 1);
        if (instr->op == QN__OP_WHILE) settle_yields(e, body, r->first_param, r->param_count);
        for (uint32_t k = 0; instr->op == QN__OP_IF && k < instr->result_count; k++) {
            qn__value result = instr->first_result + k;
            if (e->home[result]) continue; /* its branches were looked at with it */
            for (uint32_t i = 0; i < 2; i++) {
                qn__instr_ref yield = yield_of(e, instr->regions[i]);
                settle(e, at(e, yield)->args[k], result, instr->regions[i], e->position[yield]);
            }
        }
        for (uint32_t i = 0; i < instr->region_count; i++) settle_region(e, instr->regions[i]);
    }
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

bool plan_make(emitter *e) {
    const qn__ir *ir = e->ir;
    folding f = {e, QN__ARENA_ARRAY(e->arena, uint32_t, ir->value_count)};
    uint32_t *loads = QN__ARENA_ARRAY(e->arena, uint32_t, ir->value_count);
    e->folded = QN__ARENA_ARRAY(e->arena, uint8_t, ir->instr_count);
    e->position = QN__ARENA_ARRAY(e->arena, uint32_t, ir->instr_count);
    e->end = QN__ARENA_ARRAY(e->arena, uint32_t, ir->instr_count);
    e->home = QN__ARENA_ARRAY(e->arena, qn__value, ir->value_count);
    e->use_start = QN__ARENA_ARRAY(e->arena, uint32_t, (size_t)ir->value_count + 1);
    if (qn__arena_failed(e->arena)) return false;
    count_uses(&f, ir->body);
    fold(&f, ir->body);
    fold_offsets(&f, ir->body, loads);
    number(e, ir->body, 1);
    note_uses(e, ir->body);
    uint32_t total = 0;
    for (uint32_t v = 0; v <= ir->value_count; v++) total = e->use_start[v] += total;
    uint32_t *uses = QN__ARENA_ARRAY(e->arena, uint32_t, (size_t)total + 1);
    if (!uses) return false;
    e->uses = uses;
    note_uses(e, ir->body);
    e->last_use = QN__ARENA_ARRAY(e->arena, uint32_t, ir->value_count);
    if (!e->last_use) return false;
    for (uint32_t v = 0; v < ir->value_count; v++)
        for (uint32_t i = e->use_start[v]; i < e->use_start[v + 1]; i++)
            if (e->uses[i] > e->last_use[v]) e->last_use[v] = e->uses[i];
    settle_region(e, ir->body);
    return true;
}
