/* The analysis behind streaming: from a seed (a dimension of a parameter) to what is cut, and in which step each instruction runs.
 *
 * Three parts. `spread` finds the cut stages and arrays, to a fixed point: a stage that subscripts a cut array by its index is cut, what a cut
 * stage stores at its index is cut. `place_arrays` settles all others. `deal` gives each instruction of the body the first step in which all it needs
 * is complete: even steps run once, odd ones piece by piece.
 *
 * invariants: nothing of the IR is changed; the result depends on the IR alone, so that a copy gives the same */
#include "ir/stream_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = 400 };

/* Of what is touched by items of either kind: the last step plus 1, 0 for never. */
typedef struct touched { uint32_t once_read, once_write, cut_read, cut_write; } touched;

typedef struct analysis {
    qn__stream *s;
    const qn__ir *ir;
    qn__arena *arena;
    qn__stream_item *item;    /* the one being looked at */
    uint32_t *available;      /* by value of the body: the first step in which it can be used */
    uint32_t *known;          /* the same for the host: before which even step it knows the value */
    touched *arrays;          /* by array */
    touched faults;
    uint32_t need;            /* the item's step so far */
    uint64_t candidate;       /* the array that is tried */
    uint32_t candidate_dimension;
    bool changed, memory, fits, found;
} analysis;

__attribute__((format(printf, 3, 4))) static void refuse(analysis *a, uint32_t location, const char *format, ...) {
    if (a->s->why) return;
    char text[TEXT];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    const char *copy = qn__arena_copy_string(a->arena, text, strlen(text));
    a->s->why = copy ? copy : "out of memory";
    a->memory = a->memory || !copy;
    a->s->location = location;
}

static const char *name_of(const analysis *a, uint64_t array) { return a->ir->arrays[array].name; }
static bool is_stage(const qn__instr *i) { return i->op == QN__OP_PARALLEL || i->op == QN__OP_KEEP || i->op == QN__OP_REDUCE; }

static const char *surroundings(const qn__instr *item) {
    switch ((int)item->op) {
    case QN__OP_SCAN: return "by a scan along it";
    case QN__OP_FOR:
    case QN__OP_WHILE: return "in a loop around stages";
    case QN__OP_IF: return "under a condition around stages";
    default: return "outside of the stages";
    }
}

static void each_item(analysis *a, void (*visit)(void *, qn__instr_ref)) {
    for (uint32_t i = 0; i < a->s->item_count && !a->s->why; i++) {
        a->item = &a->s->items[i];
        qn__stream_visit_item(a->ir, a->item->ref, visit, a);
    }
}

/* --- the fixed point ---------------------------------------------------------------------------------------------- */

static void cut_array(analysis *a, uint64_t array, uint32_t dimension) {
    a->s->arrays[array].place = QN__STREAM_CUT;
    a->s->arrays[array].dimension = (uint8_t)dimension;
    a->changed = true;
}

/* A cut array is touched: its subscript there must be an index of the stage, which is then cut. */
static void spread_to_stage(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref], *stage = &a->ir->instrs[a->item->ref];
    if (a->s->why) return;
    if (i->op == QN__OP_SWAP && (a->s->arrays[i->imm].place == QN__STREAM_CUT || a->s->arrays[i->aux].place == QN__STREAM_CUT))
        refuse(a, i->location, "%s and %s are exchanged", name_of(a, i->imm), name_of(a, i->aux));
    if (!qn__touches_element(i) || a->s->arrays[i->imm].place != QN__STREAM_CUT) return;
    const uint32_t d = a->s->arrays[i->imm].dimension;
    if (!is_stage(stage)) {
        refuse(a, i->location, "%s is touched %s", name_of(a, i->imm), surroundings(stage));
        return;
    }
    qn__reach reach;
    const int k = qn__reach_index(a->ir, a->item->ref, i->args[d], &reach);
    if (k < 0) {
        refuse(a, i->location, "subscript %" PRIu32 " of %s is not an index of the stage, or one plus a constant", d, name_of(a, i->imm));
    } else if (a->item->cut && a->item->index != k) {
        refuse(a, i->location, "%s is touched at another index of the stage than the one that is cut", name_of(a, i->imm));
    } else if (qn__writes_element(i) && (reach.low || reach.high)) {
        refuse(a, i->location, "%s is written beside the index", name_of(a, i->imm));
    } else if (!a->item->cut) {
        a->item->cut = a->changed = true;
        a->item->index = (uint8_t)k;
    }
}

/* What a cut stage writes. */
static void spread_to_written(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    if (!a->item->cut || !qn__writes_element(i) || a->s->arrays[i->imm].place || a->s->why) return;
    for (uint32_t d = 0; d < a->ir->arrays[i->imm].rank; d++) {
        qn__reacher r = qn__reacher_of(a->ir, a->item->ref, a->item->index);
        const qn__reach reach = qn__reach_of(&r, i->args[d]);
        if (reach.kind != QN__REACH_INDEX || reach.low || reach.high) continue;
        cut_array(a, i->imm, d);
        return;
    }
    if (i->op == QN__OP_STORE) {
        refuse(a, i->location, "%s is not written at the index itself", name_of(a, i->imm));
        return;
    }
    a->s->arrays[i->imm].place = QN__STREAM_WHOLE;
    a->changed = true;
}

static void spread(analysis *a) {
    cut_array(a, a->s->array, a->s->dimension);
    while (a->changed && !a->s->why) {
        a->changed = false;
        each_item(a, spread_to_stage);
        each_item(a, spread_to_written);
    }
}

/* --- all other arrays --------------------------------------------------------------------------------------------- */

/* Does this touch of the candidate fit with its being cut? */
static void fits(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    if (i->op == QN__OP_SWAP && (i->imm == a->candidate || i->aux == a->candidate)) a->fits = false;
    if (!qn__touches_element(i) || i->imm != a->candidate || !a->fits) return;
    a->found = true;
    a->fits = a->item->cut;
    if (!a->fits) return;
    qn__reacher r = qn__reacher_of(a->ir, a->item->ref, a->item->index);
    a->fits = qn__reach_of(&r, i->args[a->candidate_dimension]).kind == QN__REACH_INDEX;
}

/* Inputs that could be cut as well, are. */
static void place_input(analysis *a, uint32_t array) {
    for (uint32_t d = 0; d < a->ir->arrays[array].rank; d++) {
        a->candidate = array;
        a->candidate_dimension = d;
        a->fits = true;
        a->found = false;
        each_item(a, fits);
        if (!a->fits || !a->found) continue;
        cut_array(a, array, d);
        return;
    }
}

static void note_use(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    const bool element = qn__touches_element(i);
    for (uint32_t k = 0; k < i->list_count; k++)
        if (!a->s->arrays[i->list[k]].place) a->s->arrays[i->list[k]].place = QN__STREAM_APPENDED;
    if (element && !a->s->arrays[i->imm].place) a->s->arrays[i->imm].place = QN__STREAM_WHOLE;
    if (i->op == QN__OP_SWAP) {
        const uint64_t pair[2] = {i->imm, i->aux};
        for (int k = 0; k < 2; k++)
            if (!a->s->arrays[pair[k]].place) a->s->arrays[pair[k]].place = QN__STREAM_WHOLE;
    }
}

static void check_kept(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    if (i->op == QN__OP_KEEP) {
        if (!a->item->cut || a->item->ref != ref) refuse(a, i->location, "what is kept here does not follow the cut index");
        else if (a->item->index != 0) refuse(a, i->location, "what is kept here is in order of another index than the cut one");
        for (uint32_t k = 0; k < i->list_count; k++)
            if (a->ir->arrays[i->list[k]].kind != QN__ARRAY_OUT || a->s->arrays[i->list[k]].place != QN__STREAM_APPENDED)
                refuse(a, i->location, "what is kept in %s is used again", name_of(a, i->list[k]));
    }
    if (qn__touches_element(i) && a->s->arrays[i->imm].place == QN__STREAM_APPENDED)
        refuse(a, i->location, "what is kept in %s is used again", name_of(a, i->imm));
}

static void place_arrays(analysis *a) {
    for (uint32_t i = 0; i < a->ir->array_count && !a->s->why; i++)
        if (a->ir->arrays[i].kind == QN__ARRAY_IN && !a->s->arrays[i].place) place_input(a, i);
    each_item(a, note_use);
    each_item(a, check_kept);
}

/* --- what stages do ------------------------------------------------------------------------------------------------ */

static bool order_matters(const qn__instr *i, qn__type type) {
    return qn__is_float(type) && (i->aux == QN__OP_ADD || i->aux == QN__OP_MUL);
}

/* Another touch of the array that the stage scatters to. */
static void check_scattered(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    if (!qn__touches_element(i) || i->imm != a->candidate) return;
    if (i->op != QN__OP_ACCUMULATE) refuse(a, i->location, "%s is scattered to and read in one stage", name_of(a, i->imm));
    else if (a->item->index && i->aux != a->candidate_dimension)
        refuse(a, i->location, "%s is scattered to in two ways, in the order of another index than the cut one", name_of(a, i->imm));
}

static void check_scatter(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    if (i->op != QN__OP_ACCUMULATE || a->s->arrays[i->imm].place != QN__STREAM_WHOLE) return;
    if (a->item->index && order_matters(i, (qn__type)a->ir->arrays[i->imm].type))
        refuse(a, i->location, "%s adds up in the order of another index than the cut one", name_of(a, i->imm));
    if (!a->ir->arrays[i->imm].rank) refuse(a, i->location, "%s has no dimension", name_of(a, i->imm));
    a->candidate = i->imm;
    a->candidate_dimension = i->aux;
    qn__stream_visit_item(a->ir, a->item->ref, check_scattered, a);
}

static void note_effects(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    a->item->raises |= qn__effect_of(i) == QN__EFFECT_CHECK;
    for (uint32_t k = 0; i->op == QN__OP_ALLOC && k < i->arg_count; k++) { /* a negative extent is an error */
        const qn__instr *extent = qn__definition(a->ir, i->args[k]);
        a->item->raises |= !extent || !((extent->op == QN__OP_CONST && (int64_t)extent->imm >= 0) || extent->op == QN__OP_SIZE);
    }
    a->item->calls |= i->op == QN__OP_EXTERN_CALL;
}

static void check_stages(analysis *a) {
    each_item(a, note_effects);
    for (uint32_t i = 0; i < a->s->item_count && !a->s->why; i++) {
        qn__stream_item *item = a->item = &a->s->items[i];
        const qn__instr *stage = &a->ir->instrs[item->ref];
        if (!item->cut) continue;
        qn__stream_visit_item(a->ir, item->ref, check_scatter, a);
        if (item->raises && item->index)
            refuse(a, stage->location, "the stage may raise an error, and errors are in the order of another index than the cut one");
        uint64_t start = 0;
        if (stage->op == QN__OP_REDUCE && (!qn__is_const(a->ir, stage->args[0], &start) || (int64_t)start < 0))
            refuse(a, stage->location, "the reduction does not start at a constant from 0 on");
    }
}

/* --- steps --------------------------------------------------------------------------------------------------------- */

static void at_least(analysis *a, uint32_t earlier, uint32_t distance) {
    if (earlier && earlier - 1 + distance > a->need) a->need = earlier - 1 + distance;
}

/* Order with what touched the same thing before; `together`: cut items may share a step. */
static void order(analysis *a, const touched *t, bool write, bool together) {
    const uint32_t apart = together ? 0 : 2;
    const bool cut = a->item->cut;
    at_least(a, t->once_write, cut ? 1 : 0);
    at_least(a, t->cut_write, cut ? apart : 1);
    if (!write) return;
    at_least(a, t->once_read, cut ? 1 : 0);
    at_least(a, t->cut_read, cut ? apart : 1);
}

static void note_touch(analysis *a, touched *t, bool write) {
    uint32_t *last = a->item->cut ? (write ? &t->cut_write : &t->cut_read) : (write ? &t->once_write : &t->once_read);
    if (*last < a->item->step + 1) *last = a->item->step + 1;
}

/* Calls use(a, array, write) for the arrays that an instruction touches. */
static void each_touch(analysis *a, qn__instr_ref ref, void (*use)(analysis *, uint64_t, bool)) {
    const qn__instr *i = &a->ir->instrs[ref];
    if (qn__touches_element(i)) use(a, i->imm, qn__writes_element(i));
    if (i->op == QN__OP_ALLOC || i->op == QN__OP_SWAP) use(a, i->imm, true);
    if (i->op == QN__OP_SWAP) use(a, i->aux, true);
    for (uint32_t k = 0; k < i->list_count; k++) use(a, i->list[k], true);
}

static void order_array(analysis *a, uint64_t array, bool write) {
    order(a, &a->arrays[array], write, a->s->arrays[array].place == QN__STREAM_CUT);
}

static void note_array(analysis *a, uint64_t array, bool write) { note_touch(a, &a->arrays[array], write); }

static void need_of(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    const bool host = i->op == QN__OP_ALLOC && ref == a->item->ref && !a->item->cut;
    for (uint32_t k = 0; k < i->arg_count; k++) {
        const uint32_t step = host ? a->known[i->args[k]] : a->available[i->args[k]];
        if (step > a->need) a->need = step;
    }
    each_touch(a, ref, order_array);
}

static void noted(void *user, qn__instr_ref ref) { each_touch(user, ref, note_array); }

static int64_t start_of(const analysis *a, const qn__instr *reduce) {
    uint64_t bits = 0;
    qn__is_const(a->ir, reduce->args[0], &bits);
    return (int64_t)bits;
}

/* Pieces of a step begin where the blocks of its reductions do. */
static bool aligned(const analysis *a, uint32_t step) {
    const qn__instr *own = &a->ir->instrs[a->item->ref];
    for (const qn__stream_item *x = a->s->items; x < a->item && own->op == QN__OP_REDUCE; x++)
        if (x->cut && x->step == step && a->ir->instrs[x->ref].op == QN__OP_REDUCE && start_of(a, &a->ir->instrs[x->ref]) != start_of(a, own)) return false;
    return true;
}

static void deal_pure(analysis *a, const qn__instr *i) {
    for (uint32_t k = 0; k < i->arg_count; k++) {
        const qn__value v = i->args[k];
        if (a->available[v] > a->available[i->first_result]) a->available[i->first_result] = a->available[v];
        if (a->known[v] > a->known[i->first_result]) a->known[i->first_result] = a->known[v];
    }
}

static void deal_item(analysis *a, qn__stream_item *item) {
    const qn__instr *i = &a->ir->instrs[item->ref];
    a->item = item;
    if (item->pure) {
        deal_pure(a, i);
        return;
    }
    item->cut = item->cut || (i->op == QN__OP_ALLOC && a->s->arrays[i->imm].place == QN__STREAM_CUT);
    a->need = 0;
    qn__stream_visit_item(a->ir, item->ref, need_of, a);
    if (item->raises) order(a, &a->faults, true, false);
    if (item->raises && i->op == QN__OP_ALLOC && !item->cut) at_least(a, a->faults.once_write, 2); /* the host may do it, before the step's kernel */
    if ((a->need & 1) != item->cut) a->need++;
    while (item->cut && !aligned(a, a->need)) a->need += 2;
    item->step = a->need;
    if (item->step >= a->s->step_count) a->s->step_count = item->step + 1;
    qn__stream_visit_item(a->ir, item->ref, noted, a);
    if (item->raises) note_touch(a, &a->faults, true);
    for (uint32_t k = 0; k < i->result_count; k++) {
        a->available[i->first_result + k] = item->cut ? item->step + 1 : item->step;
        a->known[i->first_result + k] = item->step + 1;
        a->s->slot_of[i->first_result + k] = ++a->s->slot_count;
    }
}

/* --- arrays from step to step -------------------------------------------------------------------------------------- */

static void note_step(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    if (qn__writes_element(i) && a->item->cut && a->s->arrays[i->imm].place == QN__STREAM_CUT && a->s->arrays[i->imm].emitted < a->item->step)
        a->s->arrays[i->imm].emitted = a->item->step;
    if (i->op == QN__OP_ALLOC && ref != a->item->ref && a->s->arrays[i->imm].place == QN__STREAM_CUT)
        refuse(a, i->location, "%s is made in a loop around stages", name_of(a, i->imm));
}

static void writes_candidate(void *user, qn__instr_ref ref) {
    analysis *a = user;
    const qn__instr *i = &a->ir->instrs[ref];
    a->found = a->found || (qn__writes_element(i) && i->imm == a->candidate);
}

/* A scalar output is handed on as its value: a second store in another step would have to leave it alone or not. */
static void check_scalars(analysis *a) {
    for (uint32_t i = 0; i < a->ir->array_count; i++) {
        if (a->ir->arrays[i].rank) continue;
        uint32_t steps = 0;
        for (uint32_t k = 0; k < a->s->item_count; k++) {
            a->item = &a->s->items[k];
            a->candidate = i;
            a->found = false;
            qn__stream_visit_item(a->ir, a->item->ref, writes_candidate, a);
            if (a->found && steps && steps != a->item->step + 1)
                refuse(a, a->ir->instrs[a->item->ref].location, "%s is written in several passes", name_of(a, i));
            if (a->found) steps = a->item->step + 1;
        }
    }
}

typedef struct span { analysis *a; uint64_t array; uint32_t first, last, allocs, alloc_item; bool inner; } span;

static void measure(void *user, qn__instr_ref ref) {
    span *x = user;
    const qn__instr *i = &x->a->ir->instrs[ref];
    const bool alloc = i->op == QN__OP_ALLOC && i->imm == x->array;
    const bool touch = (qn__touches_element(i) && i->imm == x->array) || (i->op == QN__OP_SWAP && (i->imm == x->array || i->aux == x->array));
    if (alloc) {
        x->allocs++;
        x->alloc_item = (uint32_t)(x->a->item - x->a->s->items);
        x->inner = x->inner || ref != x->a->item->ref;
    }
    if (!touch) return;
    const uint32_t step = x->a->item->step;
    if (x->first > step) x->first = step;
    if (x->last < step) x->last = step;
    if (step & 1) x->first = 0, x->last = UINT32_MAX; /* a cut stage: held in any case */
}

static void hold(analysis *a, uint32_t array) {
    span x = {.a = a, .array = array, .first = UINT32_MAX};
    for (uint32_t i = 0; i < a->s->item_count; i++) {
        a->item = &a->s->items[i];
        qn__stream_visit_item(a->ir, a->item->ref, measure, &x);
    }
    if (x.first >= x.last) return;
    if (x.allocs != 1 || x.inner) {
        const qn__instr *i = &a->ir->instrs[a->s->items[x.alloc_item].ref];
        refuse(a, i->location, "%s is made in a loop around stages, and used outside of it", name_of(a, array));
        return;
    }
    a->s->arrays[array].held = true;
    a->s->arrays[array].held_item = x.alloc_item;
}

/* --- halos --------------------------------------------------------------------------------------------------------- */

typedef struct counting { analysis *a; qn__stream_needs needs; uint32_t item; } counting;

static void check_part(void *user, qn__instr_ref ref) {
    counting *c = user;
    analysis *a = c->a;
    const qn__instr *i = &a->ir->instrs[ref];
    const qn__stream_part *part = &c->needs.items[c->item];
    if (i->op == QN__OP_ACCUMULATE && a->s->arrays[i->imm].place == QN__STREAM_WHOLE && (part->low || part->high) && a->item->step & 1)
        refuse(a, i->location, "the stage scatters to %s, and its other results are read at neighbours", name_of(a, i->imm));
    if (qn__touches_element(i) && a->ir->arrays[i->imm].kind == QN__ARRAY_INOUT && a->s->arrays[i->imm].place == QN__STREAM_CUT) {
        const qn__stream_need *need = &c->needs.arrays[i->imm];
        const touched *t = &a->arrays[i->imm];
        if (t->cut_write && (need->view_low || need->view_high))
            refuse(a, i->location, "%s is updated in place and read at neighbours", name_of(a, i->imm));
        if (t->cut_write && a->item->step != a->s->arrays[i->imm].emitted)
            refuse(a, i->location, "%s is updated in place and read in several passes", name_of(a, i->imm));
    }
}

static bool check_step(analysis *a, uint32_t step) {
    counting c = {.a = a};
    if (!qn__stream_needs_of(a->s, step, a->arena, &c.needs)) return false;
    for (c.item = 0; c.item < a->s->item_count && !a->s->why; c.item++) {
        const qn__stream_part *part = &c.needs.items[c.item];
        a->item = &a->s->items[c.item];
        if (!part->included) continue;
        if (a->item->step == step) a->item->halo = part->low;
        if (a->item->calls && (part->low || part->high || a->item->step < step))
            refuse(a, a->ir->instrs[a->item->ref].location, "the stage calls the host, and would be run twice for some points");
        qn__stream_visit_item(a->ir, a->item->ref, check_part, &c);
    }
    for (uint32_t i = 0; i < a->ir->array_count; i++) {
        if (a->ir->arrays[i].kind == QN__ARRAY_TEMP) continue;
        if (c.needs.arrays[i].view_low > a->s->low) a->s->low = c.needs.arrays[i].view_low;
        if (c.needs.arrays[i].view_high > a->s->high) a->s->high = c.needs.arrays[i].view_high;
    }
    return true;
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

static bool list_items(analysis *a) {
    const qn__ir *ir = a->ir;
    uint32_t count = 0;
    for (qn__instr_ref ref = ir->regions[ir->body].first; ref; ref = ir->instrs[ref].next) count += ir->instrs[ref].op != QN__OP_YIELD;
    a->s->items = QN__ARENA_ARRAY(a->arena, qn__stream_item, count);
    if (!a->s->items) return false;
    for (qn__instr_ref ref = ir->regions[ir->body].first; ref; ref = ir->instrs[ref].next)
        if (ir->instrs[ref].op != QN__OP_YIELD)
            a->s->items[a->s->item_count++] = (qn__stream_item){.ref = ref, .pure = qn__is_pure(&ir->instrs[ref])};
    return true;
}

static bool finish(analysis *a) {
    each_item(a, note_step);
    check_scalars(a);
    for (uint32_t i = 0; i < a->ir->array_count && !a->s->why; i++)
        if (a->ir->arrays[i].kind == QN__ARRAY_TEMP && a->s->arrays[i].place == QN__STREAM_WHOLE) hold(a, i);
    for (uint32_t step = 1; step < a->s->step_count && !a->s->why; step += 2) {
        a->s->passes += qn__stream_has_work(a->s, step);
        if (!check_step(a, step)) return false;
    }
    if (!a->s->why && !a->s->passes) refuse(a, 0, "no stage runs along it");
    return true;
}

qn__stream *qn__stream_analyse(const qn__ir *ir, qn__arena *arena, uint32_t array, uint32_t dimension) {
    qn__stream *s = QN__ARENA_NEW(arena, qn__stream);
    if (!s) return NULL;
    *s = (qn__stream){.ir = ir, .array = array, .dimension = dimension};
    analysis a = {.s = s, .ir = ir, .arena = arena};
    s->arrays = QN__ARENA_ARRAY(arena, qn__stream_array, ir->array_count);
    s->slot_of = QN__ARENA_ARRAY(arena, uint32_t, ir->value_count);
    a.available = QN__ARENA_ARRAY(arena, uint32_t, ir->value_count);
    a.known = QN__ARENA_ARRAY(arena, uint32_t, ir->value_count);
    a.arrays = QN__ARENA_ARRAY(arena, touched, ir->array_count);
    if (!s->arrays || !s->slot_of || !a.available || !a.known || !a.arrays || !list_items(&a)) return NULL;
    spread(&a);
    if (!s->why) place_arrays(&a);
    if (!s->why) check_stages(&a);
    for (uint32_t i = 0; i < s->item_count && !s->why; i++) deal_item(&a, &s->items[i]);
    if (!s->why && !finish(&a)) return NULL;
    return a.memory ? NULL : s;
}
