/* Counted costs, and which stages can be run in parts. */
#include "ir/cost.h"

double qn__cost_operation(const qn__instr *instr) {
    switch ((qn__op)instr->op) {
    case QN__OP_CONST: case QN__OP_YIELD: return 0;
    case QN__OP_DIV: case QN__OP_REM: case QN__OP_SQRT: return QN__COST_LONG;
    case QN__OP_CALL: case QN__OP_EXTERN_CALL: return QN__COST_CALL;
    default: return 1;
    }
}

double qn__cost_turns(const qn__ir *ir, const qn__instr *loop) {
    uint64_t lo, hi;
    if (loop->op == QN__OP_WHILE || !qn__is_const(ir, loop->args[0], &lo) || !qn__is_const(ir, loop->args[1], &hi)) return -1;
    return (int64_t)hi > (int64_t)lo ? (double)(hi - lo) : 0;
}

static bool is_loop(const qn__instr *instr) {
    return instr->op == QN__OP_FOR || instr->op == QN__OP_WHILE || instr->op == QN__OP_REDUCE || instr->op == QN__OP_SCAN;
}

double qn__cost_region(const qn__ir *ir, qn__region_ref region) {
    double cost = 0;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        double inside = 0, turns = is_loop(instr) ? qn__cost_turns(ir, instr) : 1;
        for (uint32_t i = 0; i < instr->region_count; i++) inside += qn__cost_region(ir, instr->regions[i]);
        cost += qn__cost_operation(instr) + (turns < 0 ? (double)QN__COST_TURNS : turns) * inside;
    }
    return cost;
}

bool qn__any_order(qn__op op, qn__type type) {
    if (type == QN__TYPE_F16 || type == QN__TYPE_BF16) return false;
    return !qn__is_float(type) || op == QN__OP_MIN || op == QN__OP_MAX;
}

typedef struct findings { uint64_t accumulated[64]; const char *why; bool uneven; } findings;

static bool marked(const findings *f, uint64_t array) { return array < 4096 && (f->accumulated[array / 64] >> (array % 64) & 1); }

/* turn 0 notes the arrays that are accumulated into, turn 1 who else touches them */
static void look(const qn__ir *ir, qn__region_ref region, int turn, findings *f) {
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        if (instr->op == QN__OP_ACCUMULATE && turn == 0) {
            if (!qn__any_order((qn__op)instr->aux, (qn__type)ir->arrays[instr->imm].type)) f->why = "sums of floats take effect in the order of the points";
            if (instr->imm >= 4096) f->why = "too many arrays";
            else f->accumulated[instr->imm / 64] |= UINT64_C(1) << (instr->imm % 64);
        }
        if (turn == 1 && (instr->op == QN__OP_LOAD || instr->op == QN__OP_STORE) && marked(f, instr->imm)) f->why = "an array is combined into and read";
        if (instr->op == QN__OP_WHILE || ((instr->op == QN__OP_FOR || instr->op == QN__OP_REDUCE) && qn__cost_turns(ir, instr) < 0)) f->uneven = true;
        for (uint32_t i = 0; i < instr->region_count; i++) look(ir, instr->regions[i], turn, f);
    }
}

static findings examine(const qn__ir *ir, const qn__instr *stage) {
    findings f = {0};
    for (int turn = 0; turn < 2; turn++)
        for (uint32_t i = 0; i < stage->region_count; i++) look(ir, stage->regions[i], turn, &f);
    return f;
}

static bool can_fail(const qn__ir *ir, qn__region_ref region) {
    bool found = false;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        found |= qn__op_table[instr->op].effect == QN__EFFECT_CHECK;
        for (uint32_t i = 0; i < instr->region_count; i++) found |= can_fail(ir, instr->regions[i]);
    }
    return found;
}

const char *qn__stage_serial(const qn__ir *ir, const qn__instr *stage) {
    if (stage->op == QN__OP_SCAN) return "a scan is one chain";
    if (stage->op == QN__OP_PARALLEL && stage->imm == 0) return "it is one point";
    if (stage->op == QN__OP_REDUCE && can_fail(ir, stage->regions[1])) return "combining two results can fail";
    return examine(ir, stage).why;
}

bool qn__stage_uneven(const qn__ir *ir, const qn__instr *stage) { return examine(ir, stage).uneven; }
