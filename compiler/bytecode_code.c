/* Collecting bytecode over virtual registers: lines, labels, constants, parallel moves, and the choice of opcodes by type.
 * The opcode tables are expanded from ir/bytecode.def. */
#include "compiler/bytecode_private.h"

#include <string.h>

void code_fail(emitter *e, const char *message) {
    if (!e->failed) e->message = message;
    e->failed = true;
}

/* Room for one more element of a table; false when memory is exhausted. */
static bool room(emitter *e, void **table, size_t count, size_t *capacity, size_t size) {
    if (e->failed) return false;
    if (*table && count < *capacity) return true;
    void *grown = qn__arena_grow(e->arena, *table, capacity, count + 1, size);
    if (!grown) {
        code_fail(e, "out of memory");
        return false;
    }
    *table = grown;
    return true;
}

uint32_t code_line_put(emitter *e, const code_line *line) {
    void *table = e->lines;
    if (!room(e, &table, e->line_count, &e->line_capacity, sizeof *e->lines)) return 0;
    e->lines = table;
    e->lines[e->line_count] = *line;
    return (uint32_t)e->line_count++;
}

uint32_t code_line_add(emitter *e, qn__opcode op, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    const code_line line = {.op = (uint16_t)op, .v = {a, b, c, d}};
    return e->strip ? strip_line(e, &line) : code_line_put(e, &line);
}

vreg code_reg(emitter *e) { return e->strip ? strip_reg(e) : ++e->reg_count; }

static bool grow_constants(emitter *e) {
    size_t buckets = e->constant_buckets ? e->constant_buckets * 2 : 64;
    uint32_t *table = QN__ARENA_ARRAY(e->arena, uint32_t, buckets);
    if (!table) {
        code_fail(e, "out of memory");
        return false;
    }
    e->constant_table = table;
    e->constant_buckets = buckets;
    for (size_t i = 0; i < e->constant_count; i++) {
        size_t at = (size_t)(e->constants[i] * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (buckets - 1);
        while (table[at]) at = (at + 1) & (buckets - 1);
        table[at] = (uint32_t)i + 1;
    }
    return true;
}

vreg code_constant(emitter *e, uint64_t bits) {
    if (e->constant_count * 2 >= e->constant_buckets && !grow_constants(e)) return CONSTANT;
    size_t at = (size_t)(bits * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (e->constant_buckets - 1);
    for (; e->constant_table[at]; at = (at + 1) & (e->constant_buckets - 1))
        if (e->constants[e->constant_table[at] - 1] == bits) return CONSTANT | (e->constant_table[at] - 1);
    void *table = e->constants;
    if (!room(e, &table, e->constant_count, &e->constant_capacity, sizeof *e->constants)) return CONSTANT;
    e->constants = table;
    e->constants[e->constant_count++] = bits;
    e->constant_table[at] = (uint32_t)e->constant_count;
    return CONSTANT | (uint32_t)(e->constant_count - 1);
}

uint32_t code_label(emitter *e) {
    void *table = e->labels;
    if (!room(e, &table, e->label_count, &e->label_capacity, sizeof *e->labels)) return 0;
    e->labels = table;
    return (uint32_t)e->label_count++;
}

void code_place(emitter *e, uint32_t label) {
    if (!e->failed) e->labels[label] = (uint32_t)e->line_count;
}

void code_loop(emitter *e, uint32_t label) {
    void *table = e->loops;
    if (!room(e, &table, e->loop_count, &e->loop_capacity, sizeof *e->loops)) return;
    e->loops = table;
    e->loops[e->loop_count++] = (code_span){e->labels[label], (uint32_t)e->line_count - 1};
}

size_t code_stage_open(emitter *e, uint32_t rank, const vreg *index, const vreg *low, const vreg *high) {
    void *table = e->stages;
    if (!e->numbers_points || !room(e, &table, e->stage_count, &e->stage_capacity, sizeof *e->stages)) return 0;
    e->numbers_points = false;
    e->stages = table;
    code_stage *stage = &e->stages[e->stage_count++];
    *stage = (code_stage){.span.first = (uint32_t)e->line_count, .rank = rank};
    memcpy(stage->index, index, rank * sizeof *index);
    memcpy(stage->low, low, rank * sizeof *low);
    memcpy(stage->high, high, rank * sizeof *high);
    return e->stage_count;
}

void code_stage_close(emitter *e, size_t stage) {
    if (stage && !e->failed) e->stages[stage - 1].span.last = (uint32_t)e->line_count - 1;
}

/* --- moves -------------------------------------------------------------------------------------------------------- */

qn__opcode code_move_opcode(qn__type type) { return qn__type_bits(type) == 64 ? QN__BC_MOVE_64 : QN__BC_MOVE_32; }

void code_move(emitter *e, qn__type type, vreg to, vreg from) {
    if (to != from) code_line_add(e, code_move_opcode(type), to, from, 0, 0);
}

/* Room in the scratch tables for every register there is, and one more. */
static bool make_scratch(emitter *e) {
    size_t needed = (size_t)e->reg_count + 2;
    uint32_t *reads = qn__arena_grow(e->arena, e->move_reads, &e->move_reads_capacity, needed, sizeof *reads);
    if (reads) e->move_reads = reads;
    uint32_t *owner = qn__arena_grow(e->arena, e->move_owner, &e->move_owner_capacity, needed, sizeof *owner);
    if (owner) e->move_owner = owner;
    if (!reads || !owner) code_fail(e, "out of memory");
    return reads && owner;
}

typedef struct moves {
    const qn__type *types;
    const vreg *to;
    vreg *source;       /* 0: done */
    uint32_t *ready;    /* stack of moves whose target nobody reads any more */
    uint32_t ready_count;
} moves;

/* One reader of a register less. When it was the last, the move into that register can go. */
static void release_source(emitter *e, moves *m, vreg reg) {
    if (reg & CONSTANT || --e->move_reads[reg] || !e->move_owner[reg]) return;
    m->ready[m->ready_count++] = e->move_owner[reg] - 1;
}

static void drain_moves(emitter *e, moves *m) {
    while (m->ready_count) {
        uint32_t i = m->ready[--m->ready_count];
        vreg source = m->source[i];
        if (!source) continue;
        code_move(e, m->types[i], m->to[i], source);
        m->source[i] = 0;
        release_source(e, m, source);
    }
}

/* Moves whose target nobody reads any more go first; what is left are cycles, which one saved register opens. The tables are zero
 * between calls: reads by register, and the number of the move into it, plus 1. */
void code_moves(emitter *e, const qn__type *types, const vreg *to, const vreg *from, uint32_t count) {
    moves m = {types, to, QN__ARENA_ARRAY(e->arena, vreg, count), QN__ARENA_ARRAY(e->arena, uint32_t, 2 * (size_t)count), 0};
    if (!m.source || !m.ready || !make_scratch(e)) {
        code_fail(e, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        m.source[i] = from[i] == to[i] ? 0 : from[i];
        if (!m.source[i]) continue;
        e->move_owner[to[i]] = i + 1;
        if (!(from[i] & CONSTANT)) e->move_reads[from[i]]++;
    }
    for (uint32_t i = 0; i < count; i++)
        if (m.source[i] && !e->move_reads[to[i]]) m.ready[m.ready_count++] = i;
    drain_moves(e, &m);
    for (uint32_t i = 0; i < count && make_scratch(e); i++) {
        if (!m.source[i]) continue;
        vreg saved = code_reg(e), old = m.source[i]; /* in a cycle every register has one reader */
        code_move(e, types[i], saved, old);
        m.source[i] = saved;
        e->move_reads[saved] = 1;
        release_source(e, &m, old);
        drain_moves(e, &m);
        e->move_reads[saved] = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        e->move_owner[to[i]] = 0;
        if (!(from[i] & CONSTANT)) e->move_reads[from[i]] = 0;
    }
}

/* --- opcodes by type ---------------------------------------------------------------------------------------------- */

/* How operands are read: a type's name, or a width. */
enum {
    SUFFIX_X8 = QN__TYPE_COUNT, SUFFIX_X16, SUFFIX_X32, SUFFIX_X64, SUFFIX_W32, SUFFIX_W64, SUFFIX_COUNT,
#define X(name, ENUM, bits, class) SUFFIX_##ENUM = QN__TYPE_##ENUM,
#include "ir/types.def"
#undef X
};

static const uint16_t opcodes[QN__OP_COUNT][SUFFIX_COUNT] = {
#define BINARY(op, suffix, in, out, expression) [QN__OP_##op][SUFFIX_##suffix] = QN__BC_##op##_##suffix,
#define UNARY(op, suffix, in, out, expression) [QN__OP_##op][SUFFIX_##suffix] = QN__BC_##op##_##suffix,
#define CONVERT(op, suffix, in, out, expression)
#define JUMP(op, suffix, in, condition)
#define OTHER(name, operands)
#include "ir/bytecode.def"
};

static const uint16_t jumps[COMPARE_COUNT][SUFFIX_COUNT] = {
#define BINARY(op, suffix, in, out, expression)
#define UNARY(op, suffix, in, out, expression)
#define JUMP(op, suffix, in, condition) [COMPARE_##op][SUFFIX_##suffix] = QN__BC_J_##op##_##suffix,
#define OTHER(name, operands)
#include "ir/bytecode.def"
};
_Static_assert(QN__BC_L_EQ_X32 == QN__BC_J_EQ_X32 + 1, "the backward jump follows the forward one");
_Static_assert(QN__BC_LOAD_64 == QN__BC_LOAD_8 + 3, "rows by width stand together");

bool code_on_vectors(qn__opcode op) {
    static const bool table[QN__BC_COUNT] = {
#define BINARY(op, suffix, in, out, expression) [QN__BC_##op##_##suffix] = true,
#define UNARY(op, suffix, in, out, expression) [QN__BC_##op##_##suffix] = true,
#define JUMP(op, suffix, in, condition)
#define OTHER(name, operands)
#include "ir/bytecode.def"
    };
    return table[op] || (op >= QN__BC_FMA_F32 && op <= QN__BC_MADD_W64) || op == QN__BC_SELECT_32 || op == QN__BC_SELECT_64 ||
           op == QN__BC_MOVE_32 || op == QN__BC_MOVE_64 || (op >= QN__BC_GATHER_8 && op <= QN__BC_PACK_64);
}

static uint32_t width_index(qn__type type) {
    uint32_t bits = qn__type_bits(type);
    return bits <= 8 ? 0 : bits <= 16 ? 1 : bits <= 32 ? 2 : 3;
}

qn__opcode code_by_width(qn__opcode of_8, qn__type type) { return (qn__opcode)(of_8 + width_index(type)); }

qn__opcode code_opcode(qn__op op, qn__type type) {
    const uint16_t *row = opcodes[op];
    if (row[type]) return (qn__opcode)row[type];
    if (type == QN__TYPE_BOOL && row[SUFFIX_U8]) return (qn__opcode)row[SUFFIX_U8];
    if (row[SUFFIX_X8 + width_index(type)]) return (qn__opcode)row[SUFFIX_X8 + width_index(type)];
    if (qn__is_float(type)) return QN__BC_END;
    return (qn__opcode)row[qn__type_bits(type) == 64 ? SUFFIX_W64 : SUFFIX_W32];
}

qn__opcode code_jump_opcode(comparison compare, qn__type type) {
    const uint16_t *row = jumps[compare];
    if (row[type]) return (qn__opcode)row[type];
    return (qn__opcode)row[SUFFIX_X8 + width_index(type)];
}
