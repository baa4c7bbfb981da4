/* Residency: which values of kernel level the host knows, and which stay on the device.
 *
 * The host knows constants, parameters, sizes, the number of elements that a keep found, and what pure operations make of such values. Everything
 * that touches memory or comes out of a stage is on the device. What a loop carries is on the host only if it is there before the loop
 * and after every turn: places only sink from host to device, so that the fix-point comes after at most as many rounds as values are carried.
 *
 * Control flow with stages inside is the host's to walk. Control flow without runs on the device as a whole where it needs anything that
 * is there, else it is evaluated by the host as well. */
#include "compiler/llvm/gpu_internal.h"

static void region(qn__gpu *g, qn__region_ref ref);

static bool needs_host(const qn__instr *instr) {
    switch ((qn__op)instr->op) {
    case QN__OP_PARALLEL: case QN__OP_REDUCE: case QN__OP_SCAN: case QN__OP_KEEP: case QN__OP_ALLOC: case QN__OP_SWAP: return true;
    default: return false;
    }
}

typedef struct contents { const qn__gpu *g; bool stages, device; } contents;

static void look(const qn__ir *ir, const qn__instr *instr, void *context) {
    contents *c = context;
    (void)ir;
    if (needs_host(instr)) c->stages = true;
    uint8_t effect = qn__op_table[instr->op].effect;
    if (effect == QN__EFFECT_READ || effect == QN__EFFECT_WRITE || instr->op == QN__OP_CALL) c->device = true;
    for (uint32_t i = 0; i < instr->arg_count; i++) c->device |= c->g->place[instr->args[i]] == QN__PLACE_DEVICE;
}

bool qn__host_controlled(const qn__gpu *g, const qn__instr *instr) {
    if (instr->op != QN__OP_IF && instr->op != QN__OP_FOR && instr->op != QN__OP_WHILE) return false;
    contents c = {.g = g};
    look(g->ir, instr, &c);
    for (uint32_t i = 0; i < instr->region_count; i++) qn__walk(g->ir, instr->regions[i], look, &c);
    return c.stages || !c.device;
}

static bool on_host(const qn__gpu *g, const qn__value *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (g->place[values[i]] != QN__PLACE_HOST) return false;
    return true;
}

static void put(qn__gpu *g, qn__value first, uint32_t count, qn__place place) {
    for (uint32_t i = 0; i < count; i++) g->place[first + i] = (uint8_t)place;
}

static void carry(qn__gpu *g, const qn__instr *instr, qn__region_ref body, uint32_t first) {
    for (uint32_t i = 0; i < instr->result_count; i++) g->place[qn__region_param(g->ir, body, first + i)] = g->place[instr->first_result + i];
}

static void loop(qn__gpu *g, const qn__instr *instr) {
    bool is_for = instr->op == QN__OP_FOR, again;
    const qn__value *init = instr->args + (is_for ? 2 : 0);
    qn__region_ref body = instr->regions[is_for ? 0 : 1];
    for (uint32_t i = 0; i < instr->result_count; i++) put(g, instr->first_result + i, 1, g->place[init[i]]);
    if (is_for) g->place[qn__region_param(g->ir, body, 0)] = QN__PLACE_HOST;
    do {
        carry(g, instr, instr->regions[0], is_for ? 1 : 0);
        if (!is_for) carry(g, instr, body, 0);
        for (uint32_t i = 0; i < instr->region_count; i++) region(g, instr->regions[i]);
        again = false;
        const qn__value *next = qn__yield_of(g->ir, body)->args;
        for (uint32_t i = 0; i < instr->result_count; i++) {
            if (g->place[instr->first_result + i] != QN__PLACE_HOST || g->place[next[i]] == QN__PLACE_HOST) continue;
            g->place[instr->first_result + i] = QN__PLACE_DEVICE;
            again = true;
        }
    } while (again);
}

static void branch(qn__gpu *g, const qn__instr *instr) {
    region(g, instr->regions[0]);
    region(g, instr->regions[1]);
    const qn__value *yes = qn__yield_of(g->ir, instr->regions[0])->args, *no = qn__yield_of(g->ir, instr->regions[1])->args;
    for (uint32_t i = 0; i < instr->result_count; i++)
        put(g, instr->first_result + i, 1, on_host(g, yes + i, 1) && on_host(g, no + i, 1) ? QN__PLACE_HOST : QN__PLACE_DEVICE);
}

/* Values inside control flow that turns out to run on the device as a whole belong to it alone. */
static void forget(const qn__ir *ir, const qn__instr *instr, void *context) {
    qn__gpu *g = context;
    put(g, instr->first_result, instr->result_count, QN__PLACE_NONE);
    for (uint32_t i = 0; i < instr->region_count; i++)
        put(g, ir->regions[instr->regions[i]].first_param, ir->regions[instr->regions[i]].param_count, QN__PLACE_NONE);
}

static void flow(qn__gpu *g, const qn__instr *instr) {
    if (qn__host_controlled(g, instr)) { /* a loop may learn on the way that what it carries is on the device */
        if (instr->op == QN__OP_IF) branch(g, instr);
        else loop(g, instr);
        if (qn__host_controlled(g, instr)) return;
    }
    forget(g->ir, instr, g);
    for (uint32_t i = 0; i < instr->region_count; i++) qn__walk(g->ir, instr->regions[i], forget, g);
    put(g, instr->first_result, instr->result_count, QN__PLACE_DEVICE);
}

static void region(qn__gpu *g, qn__region_ref ref) {
    for (qn__instr_ref at = g->ir->regions[ref].first; at; at = g->ir->instrs[at].next) {
        const qn__instr *instr = &g->ir->instrs[at];
        if (instr->op == QN__OP_IF || instr->op == QN__OP_FOR || instr->op == QN__OP_WHILE) flow(g, instr);
        else if (instr->op == QN__OP_KEEP) put(g, instr->first_result, instr->result_count, QN__PLACE_HOST);
        else if (qn__op_table[instr->op].effect == QN__EFFECT_PURE && instr->op != QN__OP_CALL)
            put(g, instr->first_result, instr->result_count, on_host(g, instr->args, instr->arg_count) ? QN__PLACE_HOST : QN__PLACE_DEVICE);
        else put(g, instr->first_result, instr->result_count, QN__PLACE_DEVICE);
    }
}

/* Local arrays that are declared at kernel level live longer than one entry: in scratch buffers. Parameters and sizes inside stages are host values too. */
static void note(const qn__ir *ir, const qn__instr *instr, void *context) {
    qn__gpu *g = context;
    (void)ir;
    if (instr->op == QN__OP_PARAM || instr->op == QN__OP_SIZE) g->place[instr->first_result] = QN__PLACE_HOST;
    if (instr->op == QN__OP_EXTERN_CALL) qn__fail(g->e, "a kernel that calls host functions runs on the CPU only");
}

static void level_locals(qn__gpu *g, qn__region_ref ref) {
    for (qn__instr_ref at = g->ir->regions[ref].first; at; at = g->ir->instrs[at].next) {
        const qn__instr *instr = &g->ir->instrs[at];
        if (instr->op == QN__OP_LOCAL_ZERO && g->local_scratch[instr->imm] == QN__NO_SLOT) g->local_scratch[instr->imm] = qn__plan_scratch(g);
        if (instr->op != QN__OP_IF && instr->op != QN__OP_FOR && instr->op != QN__OP_WHILE) continue;
        for (uint32_t i = 0; i < instr->region_count; i++) level_locals(g, instr->regions[i]);
    }
}

bool qn__residency(qn__gpu *g) {
    region(g, g->ir->body);
    level_locals(g, g->ir->body);
    qn__walk(g->ir, g->ir->body, note, g);
    return !g->e->failed;
}
