/* What one streaming step computes, and how far around its piece: stages of the step itself, and those of earlier steps whose
 * temporaries it reads, once more.
 *
 * One walk over the body from its end: what a stage's results are needed for is known when it is reached. Halos only grow. */
#include "ir/eval.h"
#include "ir/stream_private.h"

typedef struct walk {
    const qn__stream *s;
    const qn__stream_needs *needs;
    const qn__stream_item *item;
    qn__stream_part *part;
    uint32_t step;
} walk;

bool qn__stream_wanted(const qn__stream *s, const qn__stream_needs *needs, uint32_t step, uint64_t array) {
    const bool output = s->ir->arrays[array].kind == QN__ARRAY_OUT || s->ir->arrays[array].kind == QN__ARRAY_INOUT;
    return s->arrays[array].place == QN__STREAM_CUT && (needs->arrays[array].needed || (output && s->arrays[array].emitted == step));
}

static void raise(int64_t *value, int64_t least) {
    if (*value < least) *value = least;
}

static void look_at_result(void *user, qn__instr_ref ref) {
    walk *w = user;
    const qn__instr *i = &w->s->ir->instrs[ref];
    const bool own = w->item->step == w->step;
    if (i->op == QN__OP_ACCUMULATE && w->s->arrays[i->imm].place == QN__STREAM_WHOLE && own) w->part->included = true;
    if (!qn__writes_element(i) || !qn__stream_wanted(w->s, w->needs, w->step, i->imm)) return;
    w->part->included = true;
    raise(&w->part->low, w->needs->arrays[i->imm].low);
    raise(&w->part->high, w->needs->arrays[i->imm].high);
}

static void look_at_operand(void *user, qn__instr_ref ref) {
    walk *w = user;
    const qn__instr *i = &w->s->ir->instrs[ref];
    if (!qn__touches_element(i) || w->s->arrays[i->imm].place != QN__STREAM_CUT) return;
    qn__stream_need *need = &w->needs->arrays[i->imm];
    qn__reacher r = qn__reacher_of(w->s->ir, w->item->ref, w->item->index);
    const qn__reach reach = qn__reach_of(&r, i->args[w->s->arrays[i->imm].dimension]);
    const int64_t low = w->part->low + (reach.low < 0 ? -reach.low : 0), high = w->part->high + (reach.high > 0 ? reach.high : 0);
    if (qn__writes_element(i) && !qn__stream_wanted(w->s, w->needs, w->step, i->imm)) return;
    raise(&need->view_low, low);
    raise(&need->view_high, high);
    if (i->op == QN__OP_STORE) return;
    need->needed = true;
    raise(&need->low, low);
    raise(&need->high, high);
}

bool qn__stream_needs_of(const qn__stream *s, uint32_t step, qn__arena *arena, qn__stream_needs *needs) {
    needs->arrays = QN__ARENA_ARRAY(arena, qn__stream_need, s->ir->array_count);
    needs->items = QN__ARENA_ARRAY(arena, qn__stream_part, s->item_count);
    if (!needs->arrays || !needs->items) return false;
    for (uint32_t i = s->item_count; i-- > 0;) {
        const qn__stream_item *item = &s->items[i];
        walk w = {.s = s, .needs = needs, .item = item, .part = &needs->items[i], .step = step};
        const uint8_t op = s->ir->instrs[item->ref].op;
        if (!item->cut || item->step > step || op == QN__OP_ALLOC) continue;
        w.part->included = item->step == step && (op == QN__OP_REDUCE || op == QN__OP_KEEP || item->raises || item->calls);
        qn__stream_visit_item(s->ir, item->ref, look_at_result, &w);
        if (w.part->included) qn__stream_visit_item(s->ir, item->ref, look_at_operand, &w);
    }
    for (uint32_t i = 0; i < s->item_count; i++) { /* temporaries that somebody touches, or whose extents may be wrong */
        const qn__stream_item *item = &s->items[i];
        const qn__instr *instr = &s->ir->instrs[item->ref];
        if (!item->cut || instr->op != QN__OP_ALLOC) continue;
        needs->items[i].included = (item->step <= step && needs->arrays[instr->imm].needed) || (item->step == step && item->raises);
    }
    return true;
}

bool qn__stream_has_work(const qn__stream *s, uint32_t step) {
    for (uint32_t i = 0; i < s->item_count; i++) {
        const qn__stream_item *item = &s->items[i];
        const qn__instr *instr = &s->ir->instrs[item->ref];
        const bool host = instr->op == QN__OP_ALLOC && !item->cut && s->arrays[instr->imm].held;
        const bool bare = instr->op == QN__OP_ALLOC && !item->raises;
        if (!item->pure && item->step == step && !host && !bare) return true;
    }
    return false;
}

static bool evaluate(const qn__stream *s, qn__value value, const uint64_t *scalars, const int64_t *sizes, const uint64_t *slots,
                     uint32_t *budget, uint64_t *bits);

static bool evaluate_instr(const qn__stream *s, const qn__instr *i, qn__type result, const uint64_t *scalars, const int64_t *sizes,
                           const uint64_t *slots, uint32_t *budget, uint64_t *bits) {
    uint64_t args[3] = {0};
    if (!qn__is_pure(i) || i->arg_count > 3 || !i->arg_count) return false;
    for (uint32_t k = 0; k < i->arg_count; k++)
        if (!evaluate(s, i->args[k], scalars, sizes, slots, budget, &args[k])) return false;
    const qn__value typed = i->args[i->op == QN__OP_SELECT ? 1 : 0];
    return qn__eval((qn__op)i->op, qn__type_of(s->ir, typed), result, args, bits);
}

static bool evaluate(const qn__stream *s, qn__value value, const uint64_t *scalars, const int64_t *sizes, const uint64_t *slots,
                     uint32_t *budget, uint64_t *bits) {
    if (!*budget) return false;
    --*budget;
    const qn__instr *i = qn__definition(s->ir, value);
    if (!i) return false;
    if (s->slot_of[value]) {
        *bits = slots[s->slot_of[value] - 1];
        return true;
    }
    switch ((int)i->op) {
    case QN__OP_CONST: *bits = i->imm; return true;
    case QN__OP_PARAM: *bits = scalars[i->imm]; return true;
    case QN__OP_SIZE: *bits = (uint64_t)sizes[i->imm]; return true;
    default: return evaluate_instr(s, i, qn__type_of(s->ir, value), scalars, sizes, slots, budget, bits);
    }
}

bool qn__stream_value(const qn__stream *s, qn__value value, const uint64_t *scalars, const int64_t *sizes, const uint64_t *slots,
                      uint64_t *bits) {
    uint32_t budget = 20000;
    return evaluate(s, value, scalars, sizes, slots, &budget, bits);
}
