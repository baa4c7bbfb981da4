/* Estimates of work: a walk over the regions with the number of times that each runs. Uniform values are evaluated as ir/eval.h says where they follow
 * from sizes and scalars; an index is taken at the middle of its range, so that triangular loops count half. Linear in the module. */
#include "ir/work.h"

#include "ir/eval.h"

#include <stdlib.h>
#include <string.h>

enum { UNKNOWN, KNOWN, DEPENDS /* on data */, DEEP = 200 };

typedef struct walker {
    const qn__ir *ir;
    const int64_t *sizes;
    const uint64_t *scalars;
    double width, largest;  /* the largest extent that is known */
    qn__work *work;
    uint64_t *bits;         /* by value */
    uint8_t *state;
    double *touched;        /* by array: accesses of the stage that is being walked */
    bool in_stage;
} walker;

static bool value_of(walker *w, qn__value v, uint64_t *bits, int depth);

static bool compute(walker *w, const qn__instr *in, qn__value v, uint64_t *bits, int depth) {
    uint64_t args[4];
    if (in->op == QN__OP_CONST) return *bits = in->imm, true;
    if (in->op == QN__OP_PARAM) return *bits = w->scalars[in->imm], true;
    if (in->op == QN__OP_SIZE) {
        *bits = (uint64_t)w->sizes[in->imm];
        return w->sizes[in->imm] >= 0;
    }
    if (qn__op_table[in->op].effect != QN__EFFECT_PURE || in->arg_count == 0 || in->arg_count > 4 || in->op == QN__OP_CALL) return false;
    for (uint32_t i = 0; i < in->arg_count; i++)
        if (!value_of(w, in->args[i], &args[i], depth + 1)) return false;
    const qn__value typed = in->args[in->op == QN__OP_SELECT ? 1 : 0];
    return qn__eval((qn__op)in->op, qn__type_of(w->ir, typed), qn__type_of(w->ir, v), args, bits);
}

static bool value_of(walker *w, qn__value v, uint64_t *bits, int depth) {
    const qn__instr *in = qn__definition(w->ir, v);
    if (w->state[v] == UNKNOWN && depth < DEEP) {
        w->state[v] = DEPENDS;
        if (in && compute(w, in, v, &w->bits[v], depth)) w->state[v] = KNOWN;
    }
    *bits = w->bits[v];
    return w->state[v] == KNOWN;
}

/* hi - lo, at least 0; the index becomes the middle. */
static double range(walker *w, qn__value lo, qn__value hi, qn__value index, double otherwise) {
    uint64_t a, b;
    if (!value_of(w, lo, &a, 0) || !value_of(w, hi, &b, 0)) {
        w->work->guessed = true;
        if (index) w->state[index] = DEPENDS;
        return otherwise;
    }
    const double count = (int64_t)b > (int64_t)a ? (double)(int64_t)b - (double)(int64_t)a : 0;
    if (index) {
        w->bits[index] = (uint64_t)((int64_t)a + (int64_t)(count / 2));
        w->state[index] = KNOWN;
    }
    if (count > w->largest) w->largest = count;
    return count;
}

/* In the units of an addition, as throughput on current processors has it. */
static double cost(const qn__instr *in) {
    switch ((qn__op)in->op) {
    case QN__OP_CONST:
    case QN__OP_PARAM:
    case QN__OP_SIZE:
    case QN__OP_BITCAST:
    case QN__OP_YIELD: return 0;
    case QN__OP_DIV:
    case QN__OP_REM:
    case QN__OP_SQRT: return 8;
    default: return 1;
    }
}

static double region_cost(walker *w, qn__region_ref region, double times);

static void count_points(walker *w, const qn__instr *in, double *points) {
    const qn__region *body = &w->ir->regions[in->regions[0]];
    *points = 1;
    for (uint32_t d = 0; 2 * d + 1 < in->arg_count && d < body->param_count; d++)
        *points *= range(w, in->args[2 * (size_t)d], in->args[2 * (size_t)d + 1], body->first_param + d, w->largest);
}

/* A stage that runs `times`: points side by side, each with the cost of its body. */
static void stage(walker *w, double points, double per_point, double times) {
    const double rounds = points <= w->width ? 1 : points / w->width;
    if (points <= 0) return;
    w->work->operations += per_point * points * times;
    w->work->steps += per_point * rounds * times;
    w->work->launches += times;
    for (uint32_t a = 0; a < w->ir->array_count; a++) {
        if (w->touched[a] == 0) continue;
        double elements = 1;
        for (uint32_t d = 0; d < w->ir->arrays[a].rank; d++) {
            uint64_t extent;
            elements *= value_of(w, w->ir->arrays[a].extent[d], &extent, 0) ? (double)(int64_t)extent : w->largest;
        }
        const double accesses = w->touched[a] * points;
        w->work->bytes += (accesses < elements ? accesses : elements) * qn__type_bytes((qn__type)w->ir->arrays[a].type) * times;
        w->touched[a] = 0;
    }
}

static double loop_cost(walker *w, const qn__instr *in, double times) {
    double rounds = QN__WORK_GUESS, sum = 0;
    if (in->op == QN__OP_WHILE) w->work->guessed = true;
    else rounds = range(w, in->args[0], in->args[1], w->ir->regions[in->regions[0]].first_param, QN__WORK_GUESS);
    for (uint32_t r = 0; r < in->region_count; r++) sum += region_cost(w, in->regions[r], times * rounds);
    return rounds * (sum + 1);
}

/* At kernel level: a stage of its own. */
static double own_stage(walker *w, const qn__instr *in, double times) {
    double points = 1, per_point = 0;
    if (in->op == QN__OP_PARALLEL || in->op == QN__OP_KEEP) count_points(w, in, &points);
    else points = range(w, in->args[0], in->args[1], w->ir->regions[in->regions[0]].first_param, w->largest);
    w->in_stage = true;
    for (uint32_t r = 0; r < in->region_count; r++) {
        const double of = region_cost(w, in->regions[r], 1);
        if (in->op == QN__OP_PARALLEL ? of > per_point : true) per_point = in->op == QN__OP_PARALLEL ? of : per_point + of;
    }
    w->in_stage = false;
    stage(w, points, per_point + 1, times);
    return 0;
}

static double instr_cost(walker *w, const qn__instr *in, double times) {
    switch ((qn__op)in->op) {
    case QN__OP_PARALLEL:
    case QN__OP_KEEP:
    case QN__OP_REDUCE:
    case QN__OP_SCAN:
        if (!w->in_stage) return own_stage(w, in, times);
        return loop_cost(w, in, times);
    case QN__OP_FOR:
    case QN__OP_WHILE: return loop_cost(w, in, times);
    case QN__OP_IF: {
        const double yes = region_cost(w, in->regions[0], times), no = region_cost(w, in->regions[1], times);
        return 1 + (yes > no ? yes : no);
    }
    case QN__OP_LOAD:
    case QN__OP_STORE:
    case QN__OP_ACCUMULATE:
        if (w->in_stage) w->touched[in->imm] += times;
        return 1;
    default: return cost(in);
    }
}

static double region_cost(walker *w, qn__region_ref region, double times) {
    double sum = 0;
    for (qn__instr_ref i = w->ir->regions[region].first; i; i = w->ir->instrs[i].next) sum += instr_cost(w, &w->ir->instrs[i], times);
    return sum;
}

static void sum_arrays(walker *w) {
    for (uint32_t a = 0; a < w->ir->array_count; a++) {
        const qn__array *array = &w->ir->arrays[a];
        double bytes = qn__type_bytes((qn__type)array->type);
        if (array->kind != QN__ARRAY_OUT && array->kind != QN__ARRAY_INOUT) continue;
        for (uint32_t d = 0; d < array->rank; d++) {
            uint64_t extent;
            bytes *= value_of(w, array->extent[d], &extent, 0) ? (double)(int64_t)extent : 0;
        }
        w->work->array_bytes += bytes;
    }
}

bool qn__ir_work(const qn__ir *ir, const int64_t *sizes, const uint64_t *scalars, double width, qn__work *work) {
    *work = (qn__work){0};
    walker w = {.ir = ir, .sizes = sizes, .scalars = scalars, .width = width, .largest = 1, .work = work};
    w.bits = calloc((size_t)ir->value_count + 1, sizeof *w.bits);
    w.state = calloc((size_t)ir->value_count + 1, 1);
    w.touched = calloc((size_t)ir->array_count + 1, sizeof *w.touched);
    const bool ok = w.bits && w.state && w.touched;
    if (ok) {
        work->operations += region_cost(&w, ir->body, 1);
        sum_arrays(&w);
    }
    free(w.bits);
    free(w.state);
    free(w.touched);
    return ok;
}
