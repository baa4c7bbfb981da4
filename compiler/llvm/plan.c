/* Which width a stage's code has. Width 1 where lanes would break the order of points (accumulations into one array from
 * two places or from a loop, pushes likewise) or where something inside has an order of its own (reduce, scan). */
#include "compiler/llvm/internal.h"

#include <string.h>

enum {
    LOCAL_BYTES = 32768, /* local arrays of all lanes of a stage: what a first-level cache holds */
    LONG_BODY = 600,     /* instructions; Black-Scholes with erfc has 500: 38 ms with one vector, 29 with two side by side */
};

void qn__walk(const qn__ir *ir, qn__region_ref region, qn__visit *visit, void *context) {
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        visit(ir, instr, context);
        for (uint32_t i = 0; i < instr->region_count; i++) qn__walk(ir, instr->regions[i], visit, context);
    }
}

typedef struct facts {
    qn__region_ref root;
    bool scalar;           /* must be width 1 */
    bool loops, checks, calls;
    bool narrow;           /* loads or stores elements of less than 32 bits */
    uint32_t size;         /* instructions but constants */
    uint64_t local_bytes;  /* of the local arrays declared here, for one point */
    uint32_t accumulates, pushes;
    uint64_t accumulated;  /* bit set of arrays modulo 64 */
} facts;

static bool inside_loop(const qn__ir *ir, const qn__instr *instr, qn__region_ref root) {
    qn__region_ref region = instr->region;
    while (region && region != root) {
        const qn__instr *owner = &ir->instrs[ir->regions[region].owner];
        if (owner->op == QN__OP_FOR || owner->op == QN__OP_WHILE) return true;
        region = owner->region;
    }
    return false;
}

static void accumulate(const qn__ir *ir, const qn__instr *instr, facts *f) {
    uint64_t bit = UINT64_C(1) << (instr->imm & 63);
    if ((f->accumulated & bit) || inside_loop(ir, instr, f->root)) f->scalar = true;
    f->accumulated |= bit;
    f->accumulates++;
}

static void look(const qn__ir *ir, const qn__instr *instr, void *context) {
    facts *f = context;
    if (instr->op != QN__OP_CONST && instr->op != QN__OP_YIELD) f->size++;
    if (instr->op == QN__OP_ACCUMULATE) accumulate(ir, instr, f);
    if (instr->op == QN__OP_LOCAL_ZERO)
        f->local_bytes += (uint64_t)ir->locals[instr->imm].count * qn__type_bytes((qn__type)ir->locals[instr->imm].type);
    if (instr->op == QN__OP_PUSH && (f->pushes++ || inside_loop(ir, instr, f->root))) f->scalar = true;
    if (instr->op == QN__OP_WHILE || instr->op == QN__OP_FOR) f->loops = true;
    if (qn__op_table[instr->op].effect == QN__EFFECT_CHECK) f->checks = true;
    if (qn__op_table[instr->op].effect == QN__EFFECT_CALL) f->calls = true;
    if (instr->op == QN__OP_LOAD || instr->op == QN__OP_STORE || instr->op == QN__OP_ACCUMULATE)
        f->narrow |= qn__type_bits((qn__type)ir->arrays[instr->imm].type) < 32;
    if (instr->op == QN__OP_REDUCE || instr->op == QN__OP_SCAN || instr->op == QN__OP_PARALLEL ||
        instr->op == QN__OP_KEEP || instr->op == QN__OP_CALL || instr->op == QN__OP_ALLOC)
        f->scalar = true;
}

static facts gather(const qn__ir *ir, qn__region_ref region) {
    facts f = {.root = region};
    qn__walk(ir, region, look, &f);
    return f;
}

typedef struct widest { const qn__emitter *e; qn__region_ref root; uint32_t bits, rare_bits; bool lane_wise; } widest;

/* In a branch that vector code jumps over while no lane wants it. */
static bool inside_branch(const qn__ir *ir, const qn__instr *instr, qn__region_ref root) {
    for (qn__region_ref region = instr->region; region && region != root;) {
        const qn__instr *owner = &ir->instrs[ir->regions[region].owner];
        if (owner->op == QN__OP_IF && !qn__cheap_and_pure(ir, region)) return true;
        region = owner->region;
    }
    return false;
}

/* Of what will be a vector, and of what is stored. What only branches compute decides where nothing else does: the reduction of huge
 * arguments of an f32 sine works with 64 bits, and must not halve the lanes of all the rest. */
static void look_at_bits(const qn__ir *ir, const qn__instr *instr, void *context) {
    widest *w = context;
    uint32_t bits = 0;
    if (instr->op == QN__OP_STORE || instr->op == QN__OP_ACCUMULATE) bits = qn__type_bits((qn__type)ir->arrays[instr->imm].type);
    for (uint32_t i = 0; i < instr->result_count; i++) {
        qn__type type = qn__type_of(ir, instr->first_result + i);
        if (type == QN__TYPE_BOOL || w->e->shapes[instr->first_result + i].variance != QN__VARYING) continue;
        if (qn__type_bits(type) > bits) bits = qn__type_bits(type);
    }
    uint32_t *most = bits > w->bits && inside_branch(ir, instr, w->root) ? &w->rare_bits : &w->bits;
    if (bits > *most) *most = bits;
    if ((instr->op == QN__OP_LOCAL_LOAD || instr->op == QN__OP_LOCAL_STORE) &&
        w->e->shapes[instr->args[0]].variance != QN__UNIFORM && inside_loop(ir, instr, w->root))
        w->lane_wise = true;
}

/* How many vectors a loop of unknown length keeps in registers: what it carries, what varies and comes from outside, and two for what it computes. */
typedef struct pressure { const qn__emitter *e; qn__region_ref loop; uint8_t *seen; uint32_t values, most; } pressure;

static bool lies_within(const qn__ir *ir, qn__region_ref region, qn__region_ref outer) {
    while (region && region != outer) region = ir->regions[region].owner ? ir->instrs[ir->regions[region].owner].region : 0;
    return region == outer;
}

static void count_outside(const qn__ir *ir, const qn__instr *instr, void *context) {
    pressure *p = context;
    for (uint32_t i = 0; i < instr->arg_count; i++) {
        const qn__value v = instr->args[i];
        const qn__instr *from = qn__definition(ir, v);
        if (p->seen[v] || p->e->shapes[v].variance == QN__UNIFORM || lies_within(ir, from ? from->region : ir->values[v].region, p->loop)) continue;
        p->seen[v] = 1;
        p->values++;
    }
}

static void look_at_loop(const qn__ir *ir, const qn__instr *instr, void *context) {
    pressure *p = context;
    if (instr->op != QN__OP_WHILE) return;
    p->values = instr->result_count + 2;
    memset(p->seen, 0, ir->value_count);
    for (uint32_t i = 0; i < instr->region_count; i++) {
        p->loop = instr->regions[i];
        qn__walk(ir, instr->regions[i], count_outside, p);
    }
    if (p->values > p->most) p->most = p->values;
}

/* Iterations of a `while` wait for each other: several vectors side by side, 4 at most, where registers hold a fair part of them (mandelbrot with AVX2,
 * 8 vectors a point in 16 registers: 73, 41, 30 ms with 1, 2, 4). 0: there is no such loop. */
static uint32_t vectors_in_flight(qn__emitter *e, qn__region_ref region) {
    pressure p = {.e = e, .seen = qn__arena_alloc(e->arena, e->ir->value_count)};
    if (!p.seen) return 1;
    qn__walk(e->ir, region, look_at_loop, &p);
    if (!p.most) return 0;
    const uint32_t registers = e->machine->masks ? 32 : 16, fit = 3 * registers / p.most;
    return fit >= 4 ? 4 : fit >= 2 ? 2 : 1;
}

/* Needs the shapes of the region's parameters. Also sets lane_bits. Two vectors side by side hide latency, which spills cost less than; one where bodies are so long that compiling would take twice the time. */
uint32_t qn__plan_width(qn__emitter *e, const qn__instr *stage, qn__region_ref region) {
    (void)stage;
    uint32_t wish = e->options->debug ? 1 : e->options->width;
    if (wish == 1) return 1;
    facts f = gather(e->ir, region);
    if (f.scalar) return 1;
    qn__shapes_region(e, region);
    widest w = {.e = e, .root = region};
    qn__walk(e->ir, region, look_at_bits, &w);
    if (!w.bits) w.bits = w.rare_bits;
    e->lane_bits = w.bits ? w.bits : 8;
    if (wish) return wish;
    if (f.accumulates && f.size <= 16) return 1;
    if (w.lane_wise && !e->machine->gathers) return 1; /* a sort in a local array: scalar code was measured twice as fast */
    uint32_t width = e->machine->vector_bits / e->lane_bits;
    const uint32_t flight = f.loops ? vectors_in_flight(e, region) : 0;
    if (flight) width *= flight;
    else if (f.size <= LONG_BODY) width *= 2;
    while (width > 1 && width * f.local_bytes > LOCAL_BYTES) width /= 2;
    return width > QN__MAX_WIDTH ? QN__MAX_WIDTH : width < 2 ? 1 : width;
}

/* Checks need the scalar body, to find the first fault; narrow elements have no masked loads and stores but on AVX-512; index
 * arithmetic in loops would pay for masks again and again. */
bool qn__plan_masked(const qn__emitter *e, qn__region_ref region, uint32_t above) {
    facts f = gather(e->ir, region);
    return f.size > above && !f.checks && !f.loops && !f.calls && (e->machine->masks || !f.narrow);
}

/* Points with loops are long: what a row leaves over is one vector under a mask instead of up to W - 1 of them one by one. */
bool qn__plan_masked_rest(const qn__emitter *e, qn__region_ref region) {
    facts f = gather(e->ir, region);
    return f.loops && !f.checks && !f.calls && (e->machine->masks || !f.narrow);
}

uint32_t qn__region_size(const qn__ir *ir, qn__region_ref region) { return gather(ir, region).size; }
bool qn__has_checks(const qn__ir *ir, qn__region_ref region) { return gather(ir, region).checks; }

static bool cheap_op(const qn__instr *instr) {
    return qn__op_table[instr->op].effect == QN__EFFECT_PURE && instr->op != QN__OP_DIV && instr->op != QN__OP_REM &&
           instr->op != QN__OP_SQRT && instr->op != QN__OP_CALL;
}

bool qn__cheap_and_pure(const qn__ir *ir, qn__region_ref region) {
    uint32_t size = 0;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        if (instr->op == QN__OP_YIELD || instr->op == QN__OP_CONST) continue;
        if (!cheap_op(instr) || ++size > 8) return false;
    }
    return true;
}
