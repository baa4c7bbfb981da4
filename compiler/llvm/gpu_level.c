/* Kernel level -> steps of the plan. Regions are walked in order: what the host knows becomes EVAL steps at once; what runs on the device is kept pending and
 * launched as one entry before anything that depends on it or could be told from it: a stage, a READ, an allocation, a branch, a check on the host. */
#include "compiler/llvm/gpu_internal.h"

static void walk(qn__gpu *g, qn__region_ref region);

/* ---- values ---- */

static bool encloses(const qn__gpu *g, qn__region_ref outer, qn__region_ref region) {
    while (region && region != outer) {
        qn__instr_ref owner = g->ir->regions[region].owner;
        region = owner ? g->ir->instrs[owner].region : 0;
    }
    return region == outer;
}

static uint32_t leaf(qn__gpu *g, qn__value v) {
    const qn__instr *instr = qn__definition(g->ir, v);
    if (instr && instr->op == QN__OP_CONST) return qn__plan_constant(g, instr->imm);
    if (instr && instr->op == QN__OP_PARAM) return qn__plan_parameter(g, instr->imm);
    if (instr && instr->op == QN__OP_SIZE) return qn__plan_size(g, instr->imm);
    return qn__plan_slot(g);
}

uint32_t qn__level_host(qn__gpu *g, qn__value v) {
    if (g->place[v] != QN__PLACE_DEVICE) {
        if (g->host[v] == QN__NO_SLOT) g->host[v] = leaf(g, v);
        return g->host[v];
    }
    if (g->read_in[v] && encloses(g, g->read_in[v], g->region)) return g->host[v];
    qn__level_flush(g);
    if (g->host[v] == QN__NO_SLOT) g->host[v] = qn__plan_slot(g);
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_READ, .target = g->host[v], .imm = qn__level_device(g, v)}, NULL, 0);
    g->read_in[v] = g->region;
    return g->host[v];
}

uint32_t qn__level_device(qn__gpu *g, qn__value v) {
    if (g->device[v] == QN__NO_SLOT) g->device[v] = g->device_slot_count++;
    return g->device[v];
}

uint32_t qn__level_count(qn__gpu *g, qn__value lo, qn__value hi) {
    uint64_t from, to;
    if (qn__is_const(g->ir, lo, &from) && qn__is_const(g->ir, hi, &to))
        return qn__plan_constant(g, (int64_t)to > (int64_t)from ? to - from : 0);
    const qn__instr *size = qn__definition(g->ir, hi);
    if (qn__is_const(g->ir, lo, &from) && from == 0 && size && size->op == QN__OP_SIZE) return qn__level_host(g, hi); /* never negative */
    if (qn__is_const(g->ir, lo, &from) && from == 0) return qn__plan_binary(g, QN__OP_MAX, qn__level_host(g, hi), g->zero);
    uint32_t length = qn__plan_binary(g, QN__OP_SUB, qn__level_host(g, hi), qn__level_host(g, lo));
    return qn__plan_binary(g, QN__OP_MAX, length, g->zero);
}

uint32_t qn__level_product(qn__gpu *g, uint32_t a, uint32_t b) { return qn__plan_binary(g, QN__OP_MUL, a, b); }

/* ---- pending device code ---- */

static void pend(qn__gpu *g, qn__pending item) {
    qn__pending *place = QN__GROW(g, &g->pending, qn__pending);
    if (place) *place = item;
}

typedef struct count_uses { qn__gpu *g; int32_t sign; } count_uses;

static void count_instr(const qn__ir *ir, const qn__instr *instr, void *context) {
    count_uses *c = context;
    (void)ir;
    for (uint32_t i = 0; i < instr->arg_count; i++) c->g->outside_uses[instr->args[i]] += (uint32_t)c->sign;
}

/* outside_uses holds all uses; inside flush those of the group are taken away and given back. */
static void count_group(qn__gpu *g, int32_t sign) {
    count_uses c = {g, sign};
    const qn__pending *items = g->pending.items;
    for (uint32_t i = 0; i < g->pending.count; i++) {
        if (!items[i].instr) continue;
        const qn__instr *instr = &g->ir->instrs[items[i].instr];
        count_instr(g->ir, instr, &c);
        for (uint32_t r = 0; r < instr->region_count; r++) qn__walk(g->ir, instr->regions[r], count_instr, &c);
    }
}

static void emit_instructions(qn__gpu *g) {
    const qn__pending *items = g->pending.items;
    for (uint32_t i = 0; i < g->pending.count && !g->e->failed; i++) {
        if (!items[i].instr) continue;
        const qn__instr *instr = &g->ir->instrs[items[i].instr];
        qn__debug_at(g->e, instr);
        qn__emit_instr(g->e, instr);
        for (uint32_t r = 0; r < instr->result_count; r++) {
            qn__value v = instr->first_result + r;
            if (g->outside_uses[v]) qn__write_slot(g, v, l_scalar(g->e, v), qn__level_device(g, v));
        }
    }
}

/* Copies are parallel: all values were read (captured or computed) before the first is written. */
static void emit_copies(qn__gpu *g) {
    const qn__pending *items = g->pending.items;
    for (uint32_t i = 0; i < g->pending.count; i++)
        if (!items[i].instr) qn__write_slot(g, items[i].value, l_scalar(g->e, items[i].value), items[i].device_slot);
}

void qn__level_flush(qn__gpu *g) {
    if (!g->pending.count || g->e->failed) return;
    qn__unit unit;
    const qn__pending *items = g->pending.items;
    uint32_t location = items[0].instr ? g->ir->instrs[items[0].instr].location : 0;
    qn__unit_begin(g, &unit, "uniform", location, 1, 1, 1);
    unit.fixed_grid = 1;
    for (uint32_t i = 0; i < g->pending.count; i++) {
        if (items[i].instr) qn__unit_instr(g, &unit, &g->ir->instrs[items[i].instr]);
        else qn__unit_value(g, &unit, items[i].value);
    }
    const char *symbol = qn__entry_begin(g, &unit, QN__MODE_UNIFORM);
    if (!symbol) return;
    count_group(g, -1);
    emit_instructions(g);
    count_group(g, 1);
    emit_copies(g);
    qn__entry_end(g);
    uint32_t one = qn__plan_constant(g, 1);
    g->pending.count = 0;
    qn__plan_launch(g, &unit, symbol, one, one, one);
}

/* ---- moves into carried values and results ---- */

/* to[i] take from[i], all at once. */
static void move(qn__gpu *g, const qn__value *from, qn__value to, uint32_t count) {
    uint32_t *temporary = QN__ARENA_ARRAY(g->e->arena, uint32_t, (size_t)count + 1);
    if (!temporary) {
        qn__fail(g->e, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (g->place[to + i] != QN__PLACE_HOST) continue;
        temporary[i] = qn__level_host(g, from[i]);
        if (count == 1) continue;
        uint32_t slot = qn__plan_slot(g);
        qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_MOVE, .target = slot}, &temporary[i], 1);
        temporary[i] = slot;
    }
    bool copies = false;
    for (uint32_t i = 0; i < count; i++) copies |= g->place[to + i] != QN__PLACE_HOST && g->place[from[i]] != QN__PLACE_HOST;
    for (uint32_t i = 0; i < count; i++) {
        if (g->place[to + i] == QN__PLACE_HOST) {
            qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_MOVE, .target = qn__level_host(g, to + i)}, &temporary[i], 1);
        } else if (copies) {
            pend(g, (qn__pending){.value = from[i], .device_slot = qn__level_device(g, to + i)});
        } else {
            qn__level_flush(g);
            uint32_t slot = qn__level_host(g, from[i]);
            qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_WRITE, .imm = qn__level_device(g, to + i)}, &slot, 1);
        }
    }
    qn__level_flush(g);
}

/* Region parameters and results of a loop live in the same slots. */
static void share(qn__gpu *g, const qn__instr *instr, qn__region_ref region, uint32_t first) {
    for (uint32_t i = 0; i < instr->result_count; i++) {
        qn__value result = instr->first_result + i, param = qn__region_param(g->ir, region, first + i);
        if (g->place[result] == QN__PLACE_HOST) g->host[param] = qn__level_host(g, result);
        else g->device[param] = qn__level_device(g, result);
    }
}

/* ---- control flow ---- */

static uint32_t jump(qn__gpu *g) { return qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_JUMP}, NULL, 0); }
static uint32_t unless(qn__gpu *g, uint32_t slot) { return qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_UNLESS}, &slot, 1); }

static void jump_back(qn__gpu *g, uint32_t to) { qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_JUMP, .target = to}, NULL, 0); }

static void arm(qn__gpu *g, const qn__instr *instr, uint32_t side) {
    qn__region_ref outer = g->region;
    g->region = instr->regions[side];
    walk(g, instr->regions[side]);
    move(g, qn__yield_of(g->ir, instr->regions[side])->args, instr->first_result, instr->result_count);
    g->region = outer;
}

static void walk_if(qn__gpu *g, const qn__instr *instr) {
    uint32_t no = unless(g, qn__level_host(g, instr->args[0]));
    arm(g, instr, 0);
    uint32_t end = jump(g);
    qn__plan_target(g, no);
    arm(g, instr, 1);
    qn__plan_target(g, end);
}

static void walk_for(qn__gpu *g, const qn__instr *instr) {
    qn__region_ref body = instr->regions[0], outer = g->region;
    uint32_t lo = qn__level_host(g, instr->args[0]), hi = qn__level_host(g, instr->args[1]), at = qn__plan_slot(g);
    share(g, instr, body, 1);
    move(g, instr->args + 2, instr->first_result, instr->result_count);
    g->host[qn__region_param(g->ir, body, 0)] = at;
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_MOVE, .target = at}, &lo, 1);
    uint32_t top = qn__plan_here(g), exit = unless(g, qn__plan_binary(g, QN__OP_LT, at, hi));
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_POLL, .location = instr->location}, NULL, 0);
    g->region = body;
    walk(g, body);
    move(g, qn__yield_of(g->ir, body)->args, instr->first_result, instr->result_count);
    g->region = outer;
    uint32_t next = qn__plan_binary(g, QN__OP_ADD, at, qn__plan_constant(g, 1));
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_MOVE, .target = at}, &next, 1);
    jump_back(g, top);
    qn__plan_target(g, exit);
}

static void walk_while(qn__gpu *g, const qn__instr *instr) {
    qn__region_ref cond = instr->regions[0], body = instr->regions[1], outer = g->region;
    share(g, instr, cond, 0);
    share(g, instr, body, 0);
    move(g, instr->args, instr->first_result, instr->result_count);
    uint32_t top = qn__plan_here(g);
    g->region = cond;
    walk(g, cond);
    uint32_t exit = unless(g, qn__level_host(g, qn__yield_of(g->ir, cond)->args[0]));
    g->region = body;
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_POLL, .location = instr->location}, NULL, 0);
    walk(g, body);
    move(g, qn__yield_of(g->ir, body)->args, instr->first_result, instr->result_count);
    g->region = outer;
    jump_back(g, top);
    qn__plan_target(g, exit);
}

/* ---- instructions ---- */

static void evaluate(qn__gpu *g, const qn__instr *instr) {
    if (instr->op == QN__OP_CONST || instr->op == QN__OP_PARAM || instr->op == QN__OP_SIZE) return; /* made where they are used */
    uint32_t operands[3];
    for (uint32_t i = 0; i < instr->arg_count && i < 3; i++) operands[i] = qn__level_host(g, instr->args[i]);
    qn__type type = qn__type_of(g->ir, instr->args[instr->op == QN__OP_SELECT ? 1 : 0]);
    g->host[instr->first_result] = qn__plan_eval(g, (qn__op)instr->op, type, qn__type_of(g->ir, instr->first_result), operands, instr->arg_count);
}

static bool pure(const qn__instr *instr) { return qn__op_table[instr->op].effect == QN__EFFECT_PURE && instr->op != QN__OP_CALL; }

static bool host_operands(const qn__gpu *g, const qn__instr *instr) {
    for (uint32_t i = 0; i < instr->arg_count; i++)
        if (g->place[instr->args[i]] != QN__PLACE_HOST) return false;
    return true;
}

static void check(qn__gpu *g, const qn__instr *instr) {
    uint32_t operands[3] = {0, g->zero, g->zero}, kind = instr->aux;
    qn__value first = instr->args[0];
    if (instr->op == QN__OP_CHECK_INDEX) {
        operands[1] = qn__level_host(g, first);
        operands[2] = qn__level_host(g, instr->args[1]);
        uint32_t both[2] = {qn__plan_binary(g, QN__OP_GE, operands[1], g->zero), qn__plan_binary(g, QN__OP_LT, operands[1], operands[2])};
        operands[0] = qn__plan_eval(g, QN__OP_AND, QN__TYPE_BOOL, QN__TYPE_BOOL, both, 2);
        kind = QN__FAULT_INDEX;
    } else if (instr->op == QN__OP_CHECK_NONZERO) {
        uint32_t both[2] = {qn__level_host(g, first), g->zero};
        operands[0] = qn__plan_eval(g, QN__OP_NE, qn__type_of(g->ir, first), QN__TYPE_BOOL, both, 2);
        kind = QN__FAULT_DIVISION;
    } else {
        operands[0] = qn__level_host(g, first);
        if (instr->arg_count == 3) operands[1] = qn__level_host(g, instr->args[1]), operands[2] = qn__level_host(g, instr->args[2]);
    }
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_CHECK, .aux = (uint8_t)kind, .location = instr->location}, operands, 3);
}

static void allocate(qn__gpu *g, const qn__instr *instr) {
    uint32_t extents[QN__MAX_RANK];
    for (uint32_t i = 0; i < instr->arg_count && i < QN__MAX_RANK; i++) extents[i] = qn__level_host(g, instr->args[i]);
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_ALLOC, .imm = instr->imm, .location = instr->location}, extents, instr->arg_count);
}

/* True: it stays pending. */
static bool defer(qn__gpu *g, qn__instr_ref ref) {
    const qn__instr *instr = &g->ir->instrs[ref];
    bool flow = instr->op == QN__OP_IF || instr->op == QN__OP_FOR || instr->op == QN__OP_WHILE;
    uint8_t effect = qn__op_table[instr->op].effect;
    bool device = flow ? !qn__host_controlled(g, instr) : pure(instr) ? g->place[instr->first_result] == QN__PLACE_DEVICE
                : effect == QN__EFFECT_CHECK ? !host_operands(g, instr) : effect == QN__EFFECT_READ || effect == QN__EFFECT_WRITE || instr->op == QN__OP_CALL;
    if (instr->op == QN__OP_ALLOC || instr->op == QN__OP_SWAP || !device) return false;
    pend(g, (qn__pending){.instr = ref});
    return true;
}

static void step(qn__gpu *g, const qn__instr *instr) {
    switch ((qn__op)instr->op) {
    case QN__OP_IF: walk_if(g, instr); return;
    case QN__OP_FOR: walk_for(g, instr); return;
    case QN__OP_WHILE: walk_while(g, instr); return;
    case QN__OP_CHECK_INDEX: case QN__OP_CHECK_NONZERO: case QN__OP_CHECK: check(g, instr); return;
    case QN__OP_ALLOC: allocate(g, instr); return;
    case QN__OP_SWAP: qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_SWAP, .imm = instr->imm, .target = instr->aux}, NULL, 0); return;
    case QN__OP_PARALLEL: qn__gpu_parallel(g, instr); return;
    case QN__OP_REDUCE: qn__gpu_reduce(g, instr); return;
    case QN__OP_SCAN: qn__gpu_scan(g, instr); return;
    case QN__OP_KEEP: qn__gpu_keep(g, instr); return;
    default: qn__fail(g->e, "the GPU back end does not know this operation"); return;
    }
}

static void walk(qn__gpu *g, qn__region_ref region) {
    for (qn__instr_ref ref = g->ir->regions[region].first; ref && !g->e->failed; ref = g->ir->instrs[ref].next) {
        const qn__instr *instr = &g->ir->instrs[ref];
        if (instr->op == QN__OP_YIELD || defer(g, ref)) continue;
        if (pure(instr)) {
            evaluate(g, instr);
            continue;
        }
        qn__level_flush(g);
        step(g, instr);
    }
    qn__level_flush(g);
}

static void size_locals(qn__gpu *g) {
    for (uint32_t i = 0; i < g->ir->local_count; i++) {
        if (g->local_scratch[i] == QN__NO_SLOT) continue;
        uint64_t bytes = (uint64_t)g->ir->locals[i].count * qn__type_bytes((qn__type)g->ir->locals[i].type);
        qn__plan_size_scratch(g, g->local_scratch[i], qn__plan_constant(g, bytes ? bytes : 1));
    }
}

void qn__level_body(qn__gpu *g) {
    count_uses c = {g, 1};
    qn__walk(g->ir, g->ir->body, count_instr, &c);
    for (uint32_t i = 0; i < g->ir->array_count; i++)
        for (uint32_t d = 0; d < g->ir->arrays[i].rank; d++)
            if (g->ir->arrays[i].extent[d]) g->outside_uses[g->ir->arrays[i].extent[d]]++;
    g->zero = qn__plan_constant(g, 0);
    g->region = g->ir->body;
    size_locals(g);
    walk(g, g->ir->body);
    qn__plan_add(g, (qn__plan_step){.op = QN__PLAN_END}, NULL, 0);
}
