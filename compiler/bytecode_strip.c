/* The innermost loop of a stage on vectors: QN__STRIP points per instruction, so that dispatch costs next to nothing.
 *
 * Taken by bodies of pure operations, loads and stores, and `for` loops whose bounds do not change along the row. The points of a
 * parallel may run in any order, and nothing here can fail, so results and faults are those of the plain loop.
 *
 * What does not change along the row is *uniform*: it stays scalar (its value is `ready`, as everywhere in the emitter). All else is a
 * vector: a register that points to QN__STRIP elements, in local memory or, for loads along the row, right in the array (unless
 * the body also stores to it). A vector operation is emitted by value_emit as always; while e->strip is set, code_line_add turns
 * it into a vector operation and code_reg hands out vectors, and its uniform operands are replaced by broadcasts, which
 * are made once before the loop where they can be.
 *
 * The body is emitted three times: twice to see whether it can be done at all, what is to be broadcast and how many vectors it
 * takes (these lines are thrown away), then for good. */
#include "compiler/bytecode_private.h"

#include <string.h>

enum { MAX_VECTORS = 40, MAX_OPERANDS = 8, MAX_ADDENDS = 3, MAX_CARRIED = 8, OUTSIDE = 0 };

typedef enum vector_state { FREE, TEMPORARY, HELD } vector_state;

typedef struct vector {
    vreg pointer;
    vector_state state;
    uint32_t level;      /* of the loop that holds it; OUTSIDE: for the whole strip */
    qn__value holder;
} vector;

struct strip {
    bool failed, reads_index;
    qn__region_ref region;
    qn__value index;                  /* the row's index variable */
    vreg index_reg;
    uint32_t used, level;
    vector vectors[MAX_VECTORS];      /* first the broadcasts, then the index, then all others */
    qn__value uniform[MAX_VECTORS];
    uint32_t uniform_count;
};

/* index + offset + addends */
typedef struct along { int32_t offset; uint32_t count; qn__value addends[MAX_ADDENDS]; } along;

static const qn__instr *at(const emitter *e, qn__instr_ref ref) { return &e->ir->instrs[ref]; }
static qn__type type_of(const emitter *e, qn__value v) { return qn__type_of(e->ir, v); }

static void put(emitter *e, qn__opcode op, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    const code_line line = {.op = (uint16_t)op, .v = {a, b, c, d}};
    code_line_put(e, &line);
}

/* --- vectors ------------------------------------------------------------------------------------------------------ */

vreg strip_reg(emitter *e) {
    strip *s = e->strip;
    uint32_t k = 0;
    while (k < MAX_VECTORS && s->vectors[k].state != FREE) k++;
    if (k == MAX_VECTORS) {
        s->failed = true;
        return s->vectors[0].pointer;
    }
    s->vectors[k].state = TEMPORARY;
    if (k >= s->used) s->used = k + 1;
    return s->vectors[k].pointer;
}

static vreg take(emitter *e, strip *s) {
    e->strip = s;
    vreg reg = strip_reg(e);
    e->strip = NULL;
    return reg;
}

static void hold(strip *s, vreg reg, qn__value value, uint32_t level) {
    for (uint32_t k = 0; k < MAX_VECTORS; k++)
        if (s->vectors[k].pointer == reg && s->vectors[k].state == TEMPORARY) {
            s->vectors[k].state = HELD;
            s->vectors[k].holder = value;
            s->vectors[k].level = level;
        }
}

/* Behind an operation: frees its temporaries, the vectors of loops that have ended, and values of this loop that nobody reads after
 * the position. (A value from outside a loop is read again in the next iteration.) */
static void settle_vectors(const emitter *e, strip *s, uint32_t position) {
    for (uint32_t k = 0; k < MAX_VECTORS; k++) {
        vector *v = &s->vectors[k];
        if (v->state == TEMPORARY || (v->state == HELD && v->level > s->level)) v->state = FREE;
        if (v->state == HELD && v->level == s->level && e->last_use[v->holder] <= position) v->state = FREE;
    }
}

uint32_t strip_line(emitter *e, const code_line *line) {
    if (!code_on_vectors((qn__opcode)line->op)) {
        e->strip->failed = true;
        return code_line_put(e, line);
    }
    code_line vector_line = *line, cell = {.op = QN__BC_VECTOR_CELL, .v = {line->op}};
    vector_line.op = QN__BC_VECTOR;
    for (uint32_t i = 1; i < 4; i++)
        if (!vector_line.v[i]) vector_line.v[i] = vector_line.v[0];
    uint32_t at_line = code_line_put(e, &vector_line);
    code_line_put(e, &cell);
    return at_line;
}

/* A vector operation that is none of the IR. */
static void put_vector(emitter *e, strip *s, qn__opcode op, vreg a, vreg b, vreg c) {
    e->strip = s;
    code_line_add(e, op, a, b, c, 0);
    e->strip = NULL;
}

static void put_broadcast(emitter *e, qn__type type, vreg to, vreg from) {
    put(e, qn__type_bits(type) == 64 ? QN__BC_BROADCAST_64 : QN__BC_BROADCAST_32, to, from, 0, 0);
}

/* --- operands ----------------------------------------------------------------------------------------------------- */

static bool inside(const emitter *e, qn__region_ref region, qn__region_ref outer) {
    while (region && region != outer) region = at(e, e->ir->regions[region].owner)->region;
    return region == outer;
}

/* Whether a uniform value is there before the strip's loop: constants, what stands outside, what was moved out before. */
static bool is_early(const emitter *e, const strip *s, qn__value v) {
    const qn__value_info *info = &e->ir->values[v];
    if (e->early[v] == e->strip_number || (!info->instr && info->region == s->region)) return true;
    if (info->instr && at(e, info->instr)->op == QN__OP_CONST) return true;
    return !inside(e, info->instr ? at(e, info->instr)->region : info->region, s->region);
}

/* The vector of a value. */
static vreg operand(emitter *e, strip *s, qn__value v) {
    if (v == s->index) {
        s->reads_index = true;
        return s->vectors[s->uniform_count].pointer;
    }
    if (!e->ready[v]) return e->reg[v];
    if (!is_early(e, s, v)) {
        vreg reg = take(e, s);
        put_broadcast(e, type_of(e, v), reg, e->reg[v]);
        return reg;
    }
    for (uint32_t k = 0; k < s->uniform_count; k++)
        if (s->uniform[k] == v) return s->vectors[k].pointer;
    if (s->uniform_count + 1 >= MAX_VECTORS) s->failed = true; /* known in the next pass */
    else s->uniform[s->uniform_count++] = v;
    return s->vectors[0].pointer;
}

typedef struct replaced { qn__value value[MAX_OPERANDS]; vreg reg[MAX_OPERANDS]; uint32_t count; } replaced;

/* Puts vectors in place of all operands, looking through what is folded. */
static void replace_operands(emitter *e, strip *s, const qn__instr *instr, replaced *r) {
    for (uint32_t i = 0; i < instr->arg_count; i++) {
        qn__value v = instr->args[i];
        bool twice = false;
        if (plan_folded(e, v)) {
            replace_operands(e, s, at(e, e->ir->values[v].instr), r);
            continue;
        }
        for (uint32_t k = 0; k < r->count; k++) twice = twice || r->value[k] == v;
        if (twice) continue;
        if (r->count == MAX_OPERANDS) {
            s->failed = true;
            return;
        }
        vreg reg = operand(e, s, v);
        r->value[r->count] = v;
        r->reg[r->count++] = reg;
    }
}

static void swap_operands(emitter *e, replaced *r) {
    for (uint32_t k = 0; k < r->count; k++) {
        vreg reg = e->reg[r->value[k]];
        e->reg[r->value[k]] = r->reg[k];
        r->reg[k] = reg;
    }
}

static bool all_uniform(const emitter *e, const qn__instr *instr) {
    for (uint32_t i = 0; i < instr->arg_count; i++) {
        qn__value v = instr->args[i];
        if (plan_folded(e, v) ? !all_uniform(e, at(e, e->ir->values[v].instr)) : !e->ready[v]) return false;
    }
    return true;
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* Whether v is the index plus constants and uniform values. */
static bool runs_along(const emitter *e, const strip *s, qn__value v, along *a) {
    if (v == s->index) return true;
    qn__instr_ref ref = e->ir->values[v].instr;
    const qn__instr *instr = at(e, ref);
    uint64_t bits;
    if (!ref || (instr->op != QN__OP_ADD && instr->op != QN__OP_SUB)) return false;
    qn__value left = instr->args[0], right = instr->args[1];
    if (qn__is_const(e->ir, right, &bits) && (int64_t)bits > -10000 && (int64_t)bits < 10000) {
        int32_t sign = instr->op == QN__OP_ADD ? 1 : -1;
        a->offset += sign * (int32_t)(int64_t)bits;
        return a->offset > -30000 && a->offset < 30000 && runs_along(e, s, left, a);
    }
    if (instr->op == QN__OP_SUB || a->count == MAX_ADDENDS) return false;
    if (!e->ready[right]) {
        qn__value other = left;
        left = right;
        right = other;
    }
    if (!e->ready[right]) return false;
    a->addends[a->count++] = right;
    return runs_along(e, s, left, a);
}

/* A pointer to the strip's first element, in a register that is no vector. */
static vreg element_pointer(emitter *e, const strip *s, const qn__instr *instr, const along *a) {
    uint32_t array = (uint32_t)instr->imm;
    vreg base = value_row(e, array, instr->args), from = s->index_reg, place = ++e->reg_count;
    for (uint32_t i = 0; i < a->count; i++) {
        vreg sum = ++e->reg_count;
        put(e, QN__BC_ADD_W64, sum, from, e->reg[a->addends[i]], 0);
        from = sum;
    }
    put(e, code_by_width(QN__BC_POINT_8, (qn__type)e->ir->arrays[array].type), place, base, from, (uint16_t)a->offset);
    return place;
}

static bool leading_uniform(const emitter *e, const qn__instr *instr, uint32_t rank) {
    for (uint32_t d = 0; d + 1 < rank; d++)
        if (!e->ready[instr->args[d]]) return false;
    return rank > 0;
}

static bool stored_in(const emitter *e, qn__region_ref region, uint64_t array) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next)
        if (at(e, ref)->op == QN__OP_STORE && at(e, ref)->imm == array) return true;
    return false;
}

static void strip_load(emitter *e, strip *s, const qn__instr *instr) {
    qn__value result = instr->first_result;
    qn__type type = type_of(e, result);
    uint32_t rank = e->ir->arrays[instr->imm].rank;
    along a = {0};
    if (!leading_uniform(e, instr, rank)) {
        s->failed = true;
    } else if (runs_along(e, s, instr->args[rank - 1], &a)) {
        vreg place = element_pointer(e, s, instr, &a);
        e->reg[result] = place;
        if (qn__type_bits(type) >= 32 && !stored_in(e, s->region, instr->imm)) return;
        e->reg[result] = take(e, s);
        put_vector(e, s, code_by_width(QN__BC_SPREAD_8, type), e->reg[result], place, 0);
        hold(s, e->reg[result], result, s->level);
    } else if (plan_folded(e, instr->args[rank - 1])) {
        s->failed = true;
    } else {
        vreg base = value_row(e, (uint32_t)instr->imm, instr->args), index = operand(e, s, instr->args[rank - 1]);
        e->reg[result] = take(e, s);
        put_vector(e, s, code_by_width(QN__BC_GATHER_8, type), e->reg[result], base, index);
        hold(s, e->reg[result], result, s->level);
    }
}

static void strip_store(emitter *e, strip *s, const qn__instr *instr) {
    uint32_t rank = e->ir->arrays[instr->imm].rank;
    along a = {0};
    if (s->level != 1 || !leading_uniform(e, instr, rank) || !runs_along(e, s, instr->args[rank - 1], &a)) {
        s->failed = true;
        return;
    }
    vreg place = element_pointer(e, s, instr, &a), value = operand(e, s, instr->args[rank]);
    put_vector(e, s, code_by_width(QN__BC_PACK_8, type_of(e, instr->args[rank])), place, value, 0);
}

/* --- the body ----------------------------------------------------------------------------------------------------- */

static void strip_region(emitter *e, strip *s, qn__region_ref region, const qn__instr *loop, const vreg *carried);

/* What is yielded becomes the carried vectors. A value that is computed in place is there already. */
static void carry(emitter *e, strip *s, const qn__instr *loop, const vreg *carried) {
    const qn__region *r = &e->ir->regions[loop->regions[0]];
    const qn__instr *yield = flow_yield(e, loop->regions[0]);
    for (uint32_t k = 0; k < loop->result_count; k++) {
        qn__value v = yield->args[k];
        bool other_param = v > r->first_param && v <= r->first_param + loop->result_count && v != r->first_param + 1 + k;
        if (other_param) s->failed = true; /* an exchange */
        else if (v == s->index || e->ready[v]) put_vector(e, s, code_move_opcode(type_of(e, v)), carried[k], operand(e, s, v), 0);
        else if (e->reg[v] != carried[k]) put_vector(e, s, code_move_opcode(type_of(e, v)), carried[k], e->reg[v], 0);
    }
}

static void strip_for(emitter *e, strip *s, const qn__instr *instr, uint32_t end_position) {
    const qn__region *r = &e->ir->regions[instr->regions[0]];
    vreg carried[MAX_CARRIED], index = ++e->reg_count;
    if (!e->ready[instr->args[0]] || !e->ready[instr->args[1]] || instr->result_count > MAX_CARRIED) {
        s->failed = true;
        return;
    }
    scope mark = scope_open(e);
    value_hoist(e, instr->regions[0]);
    for (uint32_t k = 0; k < instr->result_count; k++) {
        qn__value init = instr->args[2 + k];
        carried[k] = take(e, s);
        hold(s, carried[k], instr->first_result + k, s->level);
        put_vector(e, s, code_move_opcode(type_of(e, init)), carried[k], operand(e, s, init), 0);
        e->reg[r->first_param + 1 + k] = e->reg[instr->first_result + k] = carried[k];
    }
    uint32_t top = code_label(e), end = code_label(e);
    vreg high = e->reg[instr->args[1]];
    code_move(e, QN__TYPE_I64, index, e->reg[instr->args[0]]);
    put(e, QN__BC_J_LE_I64, high, index, end, 0);
    code_place(e, top);
    e->reg[r->first_param] = index;
    e->ready[r->first_param] = 1;
    s->level++;
    strip_region(e, s, instr->regions[0], instr, carried);
    s->level--;
    put(e, QN__BC_LOOP, index, high, top, 0);
    code_loop(e, top);
    code_place(e, end);
    e->ready[r->first_param] = 0;
    scope_close(e, mark);
    settle_vectors(e, s, end_position);
}

static void strip_operation(emitter *e, strip *s, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    replaced r = {.count = 0};
    replace_operands(e, s, instr, &r);
    if (s->failed) return;
    swap_operands(e, &r);
    e->strip = s;
    value_emit(e, ref);
    e->strip = NULL;
    swap_operands(e, &r);
    e->ready[instr->first_result] = 0;
    hold(s, e->reg[instr->first_result], instr->first_result, s->level);
}

/* Uniform values are ready from where they are computed to the region's end. loop: that whose body it is, or NULL. */
static void strip_region(emitter *e, strip *s, qn__region_ref region, const qn__instr *loop, const vreg *carried) {
    scope mark = scope_open(e);
    for (qn__instr_ref ref = e->ir->regions[region].first; ref && !s->failed && !e->failed; ref = at(e, ref)->next) {
        const qn__instr *instr = at(e, ref);
        bool pure = qn__op_table[instr->op].effect == QN__EFFECT_PURE && instr->op != QN__OP_CALL;
        if (e->folded[ref] || e->hoisted[ref] || instr->op == QN__OP_CONST || instr->op == QN__OP_YIELD) continue;
        if ((pure || instr->op == QN__OP_LOAD) && all_uniform(e, instr)) {
            qn__value home = e->home[instr->first_result]; /* a carried vector is no place for a scalar */
            e->home[instr->first_result] = 0;
            value_emit(e, ref);
            e->home[instr->first_result] = home;
        } else if (pure) {
            strip_operation(e, s, ref);
        } else if (instr->op == QN__OP_LOAD) {
            strip_load(e, s, instr);
        } else if (instr->op == QN__OP_STORE) {
            strip_store(e, s, instr);
        } else if (instr->op == QN__OP_FOR) {
            strip_for(e, s, instr, e->end[ref]);
        } else {
            s->failed = true;
        }
        settle_vectors(e, s, e->end[ref]);
    }
    if (loop && !s->failed) carry(e, s, loop, carried);
    scope_close(e, mark);
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next)
        for (uint32_t k = 0; k < at(e, ref)->result_count; k++)
            if (at(e, ref)->op != QN__OP_CONST && !e->hoisted[ref]) e->ready[at(e, ref)->first_result + k] = 0;
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

/* A look that costs little: at least one store, and only operations that may do. */
static bool possible(const emitter *e, qn__region_ref region, bool *stores) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        const qn__instr *instr = at(e, ref);
        bool pure = qn__op_table[instr->op].effect == QN__EFFECT_PURE && instr->op != QN__OP_CALL;
        if (instr->op == QN__OP_STORE) *stores = true;
        if (instr->op == QN__OP_FOR && !possible(e, instr->regions[0], stores)) return false;
        if (!pure && instr->op != QN__OP_STORE && instr->op != QN__OP_LOAD && instr->op != QN__OP_FOR && instr->op != QN__OP_YIELD)
            return false;
    }
    return true;
}

static void mark_early(emitter *e, qn__region_ref region) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        if (e->hoisted[ref]) e->early[at(e, ref)->first_result] = e->strip_number;
        for (uint32_t i = 0; i < at(e, ref)->region_count; i++) mark_early(e, at(e, ref)->regions[i]);
    }
}

/* Broadcasts and the index hold their vectors for the whole strip. */
static void emit_body(emitter *e, strip *s) {
    for (uint32_t k = 0; k < MAX_VECTORS; k++) s->vectors[k].state = FREE;
    for (uint32_t k = 0; k <= s->uniform_count; k++) hold(s, take(e, s), 0, OUTSIDE);
    s->level = 1;
    strip_region(e, s, s->region, NULL, NULL);
}

/* Emits the body and throws the lines away. */
static void rehearse(emitter *e, strip *s) {
    size_t lines = e->line_count, labels = e->label_count, loops = e->loop_count;
    scope mark = scope_open(e);
    emit_body(e, s);
    scope_close(e, mark);
    e->line_count = lines;
    e->label_count = labels;
    e->loop_count = loops;
}

static void prepare_vectors(emitter *e, const strip *s) {
    for (; e->strip_count < s->used; e->strip_count++) e->strip_offset[e->strip_count] = local_take(e, QN__STRIP * sizeof(uint64_t));
    for (uint32_t k = 0; k < s->used; k++)
        put(e, QN__BC_LOCAL, s->vectors[k].pointer, 0, (uint32_t)(e->strip_offset[k] / 8), 0);
    for (uint32_t k = 0; k < s->uniform_count; k++)
        put_broadcast(e, type_of(e, s->uniform[k]), s->vectors[k].pointer, e->reg[s->uniform[k]]);
}

bool strip_loop(emitter *e, qn__region_ref region, vreg index, vreg high) {
    const qn__region *r = &e->ir->regions[region];
    bool stores = false;
    if (e->failed || !possible(e, region, &stores) || !stores) return false;
    strip s = {.region = region, .index = r->first_param + r->param_count - 1, .index_reg = index};
    for (uint32_t k = 0; k < MAX_VECTORS; k++) s.vectors[k].pointer = ++e->reg_count;
    e->strip_number++;
    mark_early(e, region);
    rehearse(e, &s);
    if (!s.failed) rehearse(e, &s);
    if (s.failed) return false;
    uint32_t top = code_label(e);
    prepare_vectors(e, &s);
    code_place(e, top);
    put(e, QN__BC_STRIP_BEGIN, index, high, 0, 0);
    if (s.reads_index) put(e, QN__BC_IOTA, s.vectors[s.uniform_count].pointer, index, 0, 0);
    emit_body(e, &s);
    put(e, QN__BC_STRIP_LOOP, index, high, top, 0);
    code_loop(e, top);
    if (s.failed) code_fail(e, "a strip that cannot be emitted");
    for (uint32_t i = 0; i < r->param_count; i++) e->ready[r->first_param + i] = 0;
    return true;
}
