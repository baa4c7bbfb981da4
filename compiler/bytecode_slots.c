/* Slots for registers, and the final encoding.
 *
 * A register lives from its first line to its last; where it was written before a loop and occurs inside, to the loop's end. Slots
 * are handed out in one pass over the lines and taken back behind a register's last line; an instruction reads before it
 * writes, so its result may get the slot of an operand that ends there. Moves that thereby became moves to themselves are dropped. */
#include "compiler/bytecode_private.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SLOTS = 65535 };

static const char *const operands[QN__BC_COUNT] = {
#define OTHER(name, text) [QN__BC_##name] = text,
#include "ir/bytecode.def"
};

typedef struct lives {
    uint32_t *first, *last;     /* by register; first is UINT32_MAX while not seen */
    uint32_t *next, *ending;    /* lists of registers by last line */
    uint32_t *slot;             /* + 1; 0 while there is none */
} lives;

static bool is_register(char operand) { return operand == 'd' || operand == 's' || operand == 'm'; }

static int by_start(const void *left, const void *right) {
    const code_span *a = left, *b = right;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    return a->last > b->last ? -1 : a->last < b->last;
}

/* One occurrence at a line; loops[0..depth) are those around it, outermost first. */
static void occur(lives *l, vreg reg, uint32_t line, const code_span *loops, size_t depth) {
    if (!reg || reg & CONSTANT) return;
    if (l->first[reg] == UINT32_MAX) l->first[reg] = line;
    uint32_t last = line;
    for (size_t i = 0; i < depth; i++)
        if (loops[i].first > l->first[reg]) {
            last = loops[i].last;
            break;
        }
    if (l->last[reg] < last) l->last[reg] = last;
}

static bool find_lives(emitter *e, lives *l) {
    size_t registers = (size_t)e->reg_count + 1, depth = 0, next = 0;
    l->first = QN__ARENA_ARRAY(e->arena, uint32_t, registers);
    l->last = QN__ARENA_ARRAY(e->arena, uint32_t, registers);
    l->next = QN__ARENA_ARRAY(e->arena, uint32_t, registers);
    l->slot = QN__ARENA_ARRAY(e->arena, uint32_t, registers);
    l->ending = QN__ARENA_ARRAY(e->arena, uint32_t, e->line_count);
    code_span *around = QN__ARENA_ARRAY(e->arena, code_span, e->loop_count);
    if (qn__arena_failed(e->arena)) return false;
    memset(l->first, 0xFF, registers * sizeof *l->first);
    if (e->loop_count) qsort(e->loops, e->loop_count, sizeof *e->loops, by_start);
    for (uint32_t line = 0; line < e->line_count; line++) {
        while (depth && around[depth - 1].last < line) depth--;
        while (next < e->loop_count && e->loops[next].first == line) around[depth++] = e->loops[next++];
        const char *kinds = operands[e->lines[line].op];
        for (uint32_t i = 0; kinds[i]; i++)
            if (is_register(kinds[i])) occur(l, e->lines[line].v[i], line, around, depth);
    }
    for (size_t i = 0; i < e->stage_count; i++) { /* a fault anywhere in the stage looks at these */
        const code_stage *stage = &e->stages[i];
        for (uint32_t d = 0; d < 3 * stage->rank; d++) {
            vreg reg = d % 3 == 0 ? stage->index[d / 3] : d % 3 == 1 ? stage->low[d / 3] : stage->high[d / 3];
            if (!(reg & CONSTANT) && l->last[reg] < stage->span.last) l->last[reg] = stage->span.last;
        }
    }
    for (uint32_t reg = 1; reg < registers; reg++) {
        if (l->first[reg] == UINT32_MAX) continue;
        l->next[reg] = l->ending[l->last[reg]];
        l->ending[l->last[reg]] = reg;
    }
    return true;
}

/* The number of slots used, with the constants; 0 when memory is exhausted. */
static uint32_t assign(emitter *e, lives *l) {
    uint32_t used = (uint32_t)e->constant_count, free_count = 0;
    uint32_t *free_slots = QN__ARENA_ARRAY(e->arena, uint32_t, (size_t)e->reg_count + 1);
    if (!free_slots) return 0;
    for (uint32_t line = 0; line < e->line_count; line++) {
        for (uint32_t reg = l->ending[line]; reg; reg = l->next[reg])
            if (l->first[reg] < line) free_slots[free_count++] = l->slot[reg] - 1;
        const char *kinds = operands[e->lines[line].op];
        for (uint32_t i = 0; kinds[i]; i++) {
            vreg reg = e->lines[line].v[i];
            if (!is_register(kinds[i]) || !reg || reg & CONSTANT || l->first[reg] != line || l->slot[reg]) continue;
            l->slot[reg] = (free_count ? free_slots[--free_count] : used++) + 1;
            if (l->last[reg] == line) free_slots[free_count++] = l->slot[reg] - 1;
        }
    }
    return used + 1;
}

static uint16_t slot_of(const lives *l, vreg reg) {
    return (uint16_t)(reg & CONSTANT ? reg & ~CONSTANT : l->slot[reg] - 1);
}

/* Where each line ends up when moves to themselves are left out; the count of the others comes last. */
static uint32_t *number_lines(const emitter *e, const lives *l) {
    uint32_t *place = QN__ARENA_ARRAY(e->arena, uint32_t, e->line_count + 1), next = 0;
    for (uint32_t i = 0; place && i < e->line_count; i++) {
        const code_line *line = &e->lines[i];
        bool move = line->op == QN__BC_MOVE_32 || line->op == QN__BC_MOVE_64;
        place[i] = next;
        if (!move || slot_of(l, line->v[0]) != slot_of(l, line->v[1])) next++;
    }
    if (place) place[e->line_count] = next;
    return place;
}

static bool encode_line(const emitter *e, const lives *l, const uint32_t *place, uint32_t at, qn__bytecode_instr *out) {
    const code_line *line = &e->lines[at];
    uint16_t v[4] = {0};
    const char *kinds = operands[line->op];
    *out = (qn__bytecode_instr){.op = line->op};
    bool wide = false;
    for (uint32_t i = 0; kinds[i]; i++) {
        if (is_register(kinds[i])) v[i] = slot_of(l, line->v[i]);
        else if ((kinds[i] == 'i' || kinds[i] == 'v') && line->v[i] > UINT16_MAX) return false;
        else if (kinds[i] == 'i' || kinds[i] == 'v') v[i] = (uint16_t)line->v[i];
        if (kinds[i] == 't') out->jump = (int32_t)(place[e->labels[line->v[i]]] - place[at]);
        if (kinds[i] == 'o') out->number = line->v[i];
        wide = wide || kinds[i] == 't' || kinds[i] == 'o';
    }
    out->a = v[0];
    out->b = v[1];
    if (wide) return true;
    out->c = v[2];
    out->d = v[3];
    return true;
}

static bool encode_stages(const emitter *e, const lives *l, const uint32_t *place, qn__bytecode *out) {
    qn__bytecode_stage *stages = QN__ARENA_ARRAY(e->arena, qn__bytecode_stage, e->stage_count);
    if (!stages) return false;
    for (size_t i = 0; i < e->stage_count; i++) {
        const code_stage *stage = &e->stages[i];
        stages[i] = (qn__bytecode_stage){place[stage->span.first], place[stage->span.last + 1], stage->rank, {0}, {0}, {0}};
        for (uint32_t d = 0; d < stage->rank; d++) {
            stages[i].index[d] = slot_of(l, stage->index[d]);
            stages[i].low[d] = slot_of(l, stage->low[d]);
            stages[i].high[d] = slot_of(l, stage->high[d]);
        }
    }
    out->stages = stages;
    out->stage_count = (uint32_t)e->stage_count;
    return true;
}

bool slots_encode(emitter *e, qn__bytecode *out) {
    lives l;
    uint32_t slots = e->failed || !find_lives(e, &l) ? 0 : assign(e, &l);
    uint32_t *place = slots ? number_lines(e, &l) : NULL;
    qn__bytecode_instr *code = QN__ARENA_ARRAY(e->arena, qn__bytecode_instr, e->line_count + 1);
    qn__bytecode_site *sites = QN__ARENA_ARRAY(e->arena, qn__bytecode_site, e->line_count);
    if (!place || !code || !sites || !encode_stages(e, &l, place, out)) {
        code_fail(e, "out of memory");
        return false;
    }
    bool fits = slots <= MAX_SLOTS;
    for (uint32_t line = 0; line < e->line_count; line++) { /* a dropped line is overwritten by the next one */
        fits = encode_line(e, &l, place, line, &code[place[line]]) && fits;
        if (e->lines[line].location) sites[out->site_count++] = (qn__bytecode_site){place[line], e->lines[line].location};
    }
    if (!fits) {
        code_fail(e, "the kernel is too large for the interpreter");
        return false;
    }
    out->code = code;
    out->code_count = place[e->line_count];
    out->constants = e->constants;
    out->constant_count = (uint32_t)e->constant_count;
    out->slot_count = slots;
    out->sites = sites;
    return true;
}
