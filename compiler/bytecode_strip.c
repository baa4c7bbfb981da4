/* The innermost loop of a stage on vectors: QN__STRIP points per instruction, so that dispatch costs next to nothing.
 *
 * Taken by straight-line bodies: pure operations, loads whose leading indices do not change along the row, stores along the row. The
 * points of a parallel may run in any order, and nothing here can fail, so results and faults are those of the plain loop.
 * The body is emitted by value_emit as always; while e->strip is set, code_line_add turns operations into vector ones and
 * code_reg hands out vectors: pointers to local memory. What does not change along the row is broadcast before the loop.
 * Loads along the row are no copies but pointers into the array, unless the body also stores to it.
 * The body is emitted twice, first without adding lines, to see how many vectors it takes. */
#include "compiler/bytecode_private.h"

#include <string.h>

enum { MAX_VECTORS = 40, MAX_BODY = 400 }; /* 40 KiB of vectors, which fit the first-level cache */

struct strip {
    bool dry, failed;
    uint32_t used;                      /* vectors */
    vreg pointer[MAX_VECTORS];
    uint8_t state[MAX_VECTORS];         /* FREE, TEMPORARY of the running operation, or HELD */
    qn__value holder[MAX_VECTORS];
    qn__value index;                    /* the row's index variable */
    vreg index_reg, iota;
    qn__value uniform[MAX_VECTORS];     /* broadcast operands */
    vreg uniform_reg[MAX_VECTORS];      /* their scalar registers */
    uint32_t uniform_count;
    vreg base[MAX_BODY], along[MAX_BODY]; /* of loads and stores, by order in the body: the row; a register to start from, or 0 to gather */
    int32_t offset[MAX_BODY];
};
enum { FREE, TEMPORARY, HELD };

static const qn__instr *at(const emitter *e, qn__instr_ref ref) { return &e->ir->instrs[ref]; }
static bool is_memory(const qn__instr *instr) { return instr->op == QN__OP_LOAD || instr->op == QN__OP_STORE; }

/* --- vectors ------------------------------------------------------------------------------------------------------ */

vreg strip_reg(emitter *e) {
    strip *s = e->strip;
    uint32_t k = 0;
    while (k < MAX_VECTORS && s->state[k] != FREE) k++;
    if (k == MAX_VECTORS) {
        s->failed = true;
        return s->pointer[0];
    }
    s->state[k] = TEMPORARY;
    if (k >= s->used) s->used = k + 1;
    return s->pointer[k];
}

static void hold(strip *s, vreg reg, qn__value value) {
    for (uint32_t k = 0; k < MAX_VECTORS; k++)
        if (s->pointer[k] == reg) {
            s->state[k] = HELD;
            s->holder[k] = value;
        }
}

/* Behind an operation: its temporaries are free, and so are values that nobody reads after this position. */
static void settle_vectors(emitter *e, uint32_t position) {
    strip *s = e->strip;
    for (uint32_t k = 0; k < MAX_VECTORS; k++) {
        qn__value v = s->holder[k];
        if (s->state[k] == TEMPORARY) s->state[k] = FREE;
        if (s->state[k] != HELD || !v) continue;
        bool read_later = false;
        for (uint32_t i = e->use_start[v]; i < e->use_start[v + 1]; i++) read_later = read_later || e->uses[i] > position;
        if (!read_later) s->state[k] = FREE;
    }
}

uint32_t strip_line(emitter *e, const code_line *line) {
    if (e->strip->dry) return 0;
    if (!code_on_vectors((qn__opcode)line->op)) return code_line_put(e, line);
    code_line vector = *line, cell = {.op = QN__BC_VECTOR_CELL, .v = {line->op}};
    vector.op = QN__BC_VECTOR;
    for (uint32_t i = 1; i < 4; i++)
        if (!vector.v[i]) vector.v[i] = vector.v[0];
    uint32_t at_line = code_line_put(e, &vector);
    code_line_put(e, &cell);
    return at_line;
}

static void put(emitter *e, qn__opcode op, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    const code_line line = {.op = (uint16_t)op, .v = {a, b, c, d}};
    if (!e->strip || !e->strip->dry) code_line_put(e, &line);
}

/* --- what can be a strip ------------------------------------------------------------------------------------------ */

/* Whether v is the index plus something that stands before the loop: then *start is the value to add (0: none) and *offset a constant. */
static bool runs_along(const emitter *e, const strip *s, qn__value v, qn__value *start, int32_t *offset) {
    *start = 0;
    *offset = 0;
    if (v == s->index) return true;
    qn__instr_ref ref = e->ir->values[v].instr;
    const qn__instr *instr = at(e, ref);
    if (!ref || (instr->op != QN__OP_ADD && instr->op != QN__OP_SUB)) return false;
    qn__value left = instr->args[0], right = instr->args[1];
    uint64_t bits;
    if (left == s->index && qn__is_const(e->ir, right, &bits) && (int64_t)bits > -30000 && (int64_t)bits < 30000) {
        *offset = (int32_t)(instr->op == QN__OP_ADD ? (int64_t)bits : -(int64_t)bits);
        return true;
    }
    if (instr->op != QN__OP_ADD) return false;
    *start = left == s->index ? right : left;
    return (left == s->index || right == s->index) && *start != s->index && e->ready[*start];
}

static bool leading_ready(const emitter *e, const qn__instr *instr) {
    for (uint32_t d = 0; d + 1 < e->ir->arrays[instr->imm].rank; d++)
        if (!e->ready[instr->args[d]]) return false;
    return true;
}

static bool possible(const emitter *e, const strip *s, qn__region_ref region) {
    uint32_t count = 0, stores = 0;
    qn__value start;
    int32_t offset;
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next, count++) {
        const qn__instr *instr = at(e, ref);
        bool pure = qn__op_table[instr->op].effect == QN__EFFECT_PURE && instr->op != QN__OP_CALL;
        if (count == MAX_BODY) return false;
        if (instr->op == QN__OP_YIELD || pure) continue;
        uint32_t rank = is_memory(instr) ? e->ir->arrays[instr->imm].rank : 0;
        if (!rank || !leading_ready(e, instr)) return false;
        if (instr->op == QN__OP_LOAD) continue;
        if (!runs_along(e, s, instr->args[rank - 1], &start, &offset)) return false;
        stores++;
    }
    return stores > 0;
}

/* --- before the loop ---------------------------------------------------------------------------------------------- */

static void find_uniform(emitter *e, strip *s, qn__value v) {
    if (plan_folded(e, v)) {
        const qn__instr *instr = at(e, e->ir->values[v].instr);
        for (uint32_t i = 0; i < instr->arg_count; i++) find_uniform(e, s, instr->args[i]);
        return;
    }
    if (!e->ready[v]) return;
    for (uint32_t k = 0; k < s->uniform_count; k++)
        if (s->uniform[k] == v) return;
    if (s->uniform_count == MAX_VECTORS) s->failed = true;
    else s->uniform[s->uniform_count++] = v;
}

/* The operands that must be vectors though they do not change, and the addresses of rows. */
static void find_operands(emitter *e, strip *s, qn__region_ref region) {
    uint32_t count = 0;
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next, count++) {
        const qn__instr *instr = at(e, ref);
        if (e->folded[ref] || e->hoisted[ref] || instr->op == QN__OP_CONST || instr->op == QN__OP_YIELD) continue;
        if (!is_memory(instr)) {
            for (uint32_t i = 0; i < instr->arg_count; i++) find_uniform(e, s, instr->args[i]);
            continue;
        }
        uint32_t rank = e->ir->arrays[instr->imm].rank;
        qn__value start, last = instr->args[rank - 1];
        s->base[count] = value_row(e, (uint32_t)instr->imm, instr->args);
        s->along[count] = s->index_reg;
        if (instr->op == QN__OP_STORE) find_uniform(e, s, instr->args[rank]);
        if (!runs_along(e, s, last, &start, &s->offset[count])) {
            s->along[count] = 0;
            find_uniform(e, s, last);
        } else if (start) {
            s->along[count] = e->reg[start];
            s->offset[count] = INT32_MAX; /* the index is still to be added */
        }
    }
}

static bool stored_in(const emitter *e, qn__region_ref region, uint64_t array) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next)
        if (at(e, ref)->op == QN__OP_STORE && at(e, ref)->imm == array) return true;
    return false;
}

/* --- the body ----------------------------------------------------------------------------------------------------- */

/* A pointer to the first element of the strip in the row; in a register of its own, not a vector. */
static vreg element_pointer(emitter *e, const strip *s, uint32_t order, qn__type type) {
    vreg target = ++e->reg_count, from = s->along[order];
    uint32_t offset = (uint16_t)s->offset[order];
    if (s->offset[order] == INT32_MAX) {
        from = ++e->reg_count;
        const code_line sum = {.op = QN__BC_ADD_W64, .v = {from, s->index_reg, s->along[order]}};
        if (!s->dry) code_line_put(e, &sum);
        offset = 0;
    }
    put(e, code_by_width(QN__BC_POINT_8, type), target, s->base[order], from, offset);
    return target;
}

static void strip_load(emitter *e, const qn__instr *instr, qn__region_ref region, uint32_t order) {
    strip *s = e->strip;
    qn__value result = instr->first_result;
    qn__type type = qn__type_of(e->ir, result);
    if (!s->along[order]) {
        vreg index = e->reg[instr->args[instr->arg_count - 1]];
        if (plan_folded(e, instr->args[instr->arg_count - 1])) { /* i + c of an index that does not run along */
            s->failed = true;
            return;
        }
        code_line_add(e, code_by_width(QN__BC_GATHER_8, type), value_destination(e, result), s->base[order], index, 0);
        hold(s, e->reg[result], result);
        return;
    }
    vreg place = element_pointer(e, s, order, type);
    if (qn__type_bits(type) >= 32 && !stored_in(e, region, instr->imm)) {
        e->reg[result] = place;
        e->ready[result] = 1;
        return;
    }
    code_line_add(e, code_by_width(QN__BC_SPREAD_8, type), value_destination(e, result), place, 0, 0);
    hold(s, e->reg[result], result);
}

static void strip_store(emitter *e, const qn__instr *instr, uint32_t order) {
    qn__value value = instr->args[instr->arg_count - 1];
    qn__type type = qn__type_of(e->ir, value);
    vreg place = element_pointer(e, e->strip, order, type);
    code_line_add(e, code_by_width(QN__BC_PACK_8, type), place, e->reg[value], 0, 0);
}

/* All operations in order. Values of the region are ready only in here. */
static void strip_body(emitter *e, strip *s, qn__region_ref region) {
    uint32_t order = 0;
    e->strip = s;
    memset(s->state, FREE, sizeof s->state);
    for (uint32_t k = 0; k < s->uniform_count; k++) {
        e->reg[s->uniform[k]] = strip_reg(e);
        hold(s, e->reg[s->uniform[k]], 0);
    }
    s->iota = strip_reg(e);
    hold(s, s->iota, 0);
    e->reg[s->index] = s->iota;
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next, order++) {
        const qn__instr *instr = at(e, ref);
        if (e->folded[ref] || e->hoisted[ref] || instr->op == QN__OP_CONST || instr->op == QN__OP_YIELD) continue;
        if (instr->op == QN__OP_LOAD) {
            strip_load(e, instr, region, order);
        } else if (instr->op == QN__OP_STORE) {
            strip_store(e, instr, order);
        } else {
            value_emit(e, ref);
            hold(s, e->reg[instr->first_result], instr->first_result);
        }
        settle_vectors(e, e->position[ref]);
    }
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next)
        if (at(e, ref)->result_count && at(e, ref)->op != QN__OP_CONST && !e->hoisted[ref]) e->ready[at(e, ref)->first_result] = 0;
    e->strip = NULL;
}

/* Whether the body reads the index as a value. */
static bool reads_index(const emitter *e, const strip *s, qn__region_ref region) {
    qn__value start;
    int32_t offset;
    for (qn__instr_ref ref = e->ir->regions[region].first; ref; ref = at(e, ref)->next) {
        const qn__instr *instr = at(e, ref);
        uint32_t skip = is_memory(instr) ? e->ir->arrays[instr->imm].rank : 0;
        if (skip && !runs_along(e, s, instr->args[skip - 1], &start, &offset)) skip--;
        for (uint32_t i = skip; i < instr->arg_count; i++)
            if (instr->args[i] == s->index) return true;
    }
    return false;
}

static void prepare_vectors(emitter *e, const strip *s) {
    for (uint32_t k = e->strip_count; k < s->used; k++) e->strip_offset[e->strip_count++] = local_take(e, QN__STRIP * 8);
    for (uint32_t k = 0; k < s->used; k++) put(e, QN__BC_LOCAL, s->pointer[k], 0, (uint32_t)(e->strip_offset[k] / 8), 0);
    for (uint32_t k = 0; k < s->uniform_count; k++) { /* broadcasts take the first vectors, in order */
        bool wide = qn__type_bits(qn__type_of(e->ir, s->uniform[k])) == 64;
        put(e, wide ? QN__BC_BROADCAST_64 : QN__BC_BROADCAST_32, s->pointer[k], s->uniform_reg[k], 0, 0);
    }
}

static void emit_loop(emitter *e, strip *s, qn__region_ref region, vreg high) {
    uint32_t top = code_label(e);
    prepare_vectors(e, s);
    code_place(e, top);
    put(e, QN__BC_STRIP_BEGIN, s->index_reg, high, 0, 0);
    if (reads_index(e, s, region)) put(e, QN__BC_IOTA, s->pointer[s->uniform_count], s->index_reg, 0, 0);
    strip_body(e, s, region);
    put(e, QN__BC_STRIP_LOOP, s->index_reg, high, top, 0);
    code_loop(e, top);
}

bool strip_loop(emitter *e, qn__region_ref region, vreg index, vreg high) {
    const qn__region *r = &e->ir->regions[region];
    strip *s = e->failed ? NULL : QN__ARENA_NEW(e->arena, strip);
    if (!s) return false;
    s->index = r->first_param + r->param_count - 1;
    s->index_reg = index;
    if (!possible(e, s, region)) return false;
    find_operands(e, s, region);
    for (uint32_t k = 0; k < MAX_VECTORS; k++) s->pointer[k] = ++e->reg_count;
    for (uint32_t k = 0; k < s->uniform_count; k++) s->uniform_reg[k] = e->reg[s->uniform[k]];
    s->dry = true;
    strip_body(e, s, region);
    s->dry = false;
    for (uint32_t k = 0; k < s->uniform_count; k++) e->reg[s->uniform[k]] = s->uniform_reg[k];
    if (s->failed) return false;
    emit_loop(e, s, region, high);
    for (uint32_t k = 0; k < s->uniform_count; k++) e->reg[s->uniform[k]] = s->uniform_reg[k];
    for (uint32_t i = 0; i < r->param_count; i++) e->ready[r->first_param + i] = 0;
    return true;
}
