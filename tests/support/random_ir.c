/* See random_ir.h. A pool holds the values in scope; operations draw operands of their type from it. Loops have small constant bounds, indices
 * are masked. NaNs' signs and payloads are outside the numeric contract, so operations that would show them are left out. */
#include "tests/support/random_ir.h"

#include <string.h>

const uint8_t random_array_type[RANDOM_ARRAYS] = {QN__TYPE_F32, QN__TYPE_I64, QN__TYPE_U8,
                                                  QN__TYPE_F64, QN__TYPE_I32, QN__TYPE_I32};
const uint8_t random_array_rank[RANDOM_ARRAYS] = {1, 2, 3, 2, 2, 1};

enum { POOL = 4000 };

typedef struct maker {
    qn__ir *ir;
    qn__builder b;
    uint64_t state;
    qn__value pool[POOL];
    qn__value row[2]; /* the point's indices */
    uint32_t count;
    uint32_t depth, budget;
    bool faults, in_point, in_reduce, straight; /* straight: no control flow in points but `for` */
} maker;

uint64_t random_next(uint64_t *state) { /* splitmix64 */
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint32_t pick(maker *m, uint32_t below) { return (uint32_t)(random_next(&m->state) >> 33) % below; }

static const qn__type types[] = {QN__TYPE_BOOL, QN__TYPE_I64, QN__TYPE_I64, QN__TYPE_I32, QN__TYPE_I32, QN__TYPE_F32,
                                 QN__TYPE_F32,  QN__TYPE_F64, QN__TYPE_F64, QN__TYPE_I8,  QN__TYPE_U8,  QN__TYPE_I16,
                                 QN__TYPE_U16,  QN__TYPE_U32, QN__TYPE_U64};
static qn__type any_type(maker *m) { return types[pick(m, sizeof types / sizeof *types)]; }

static qn__value keep(maker *m, qn__value v) {
    if (m->count < POOL) m->pool[m->count++] = v;
    return v;
}

static qn__value constant(maker *m, qn__type type) {
    if (type == QN__TYPE_BOOL) return qn__build_const(&m->b, type, pick(m, 2));
    if (qn__is_float(type)) return qn__build_f64_as(&m->b, type, (double)((int)pick(m, 41) - 20) * 0.375);
    uint64_t bits = pick(m, 4) ? pick(m, 12) : random_next(&m->state);
    uint32_t width = qn__type_bits(type);
    return qn__build_const(&m->b, type, width == 64 ? bits : bits & ((UINT64_C(1) << width) - 1));
}

/* A value in scope of the type, preferably a late one; else a constant. */
static qn__value draw(maker *m, qn__type type) {
    if (pick(m, 8) == 0) return constant(m, type);
    uint32_t seen = 0;
    qn__value found = 0;
    for (uint32_t i = m->count; i-- > 0 && seen < 6;) {
        if (qn__type_of(m->ir, m->pool[i]) != type) continue;
        seen++;
        if (!found || pick(m, 2)) found = m->pool[i];
    }
    return found ? found : constant(m, type);
}

static qn__value index_value(maker *m) {
    return qn__build_binary(&m->b, QN__OP_AND, draw(m, QN__TYPE_I64), qn__build_i64(&m->b, RANDOM_EDGE - 1));
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static void arithmetic(maker *m) {
    static const qn__op ints[] = {QN__OP_ADD, QN__OP_SUB, QN__OP_MUL, QN__OP_DIV, QN__OP_REM, QN__OP_MIN,
                                  QN__OP_MAX, QN__OP_AND, QN__OP_OR,  QN__OP_XOR, QN__OP_SHL, QN__OP_SHR};
    static const qn__op floats[] = {QN__OP_ADD, QN__OP_SUB, QN__OP_MUL, QN__OP_DIV, QN__OP_MIN, QN__OP_MAX};
    static const qn__op bools[] = {QN__OP_AND, QN__OP_OR, QN__OP_XOR};
    qn__type type = any_type(m);
    qn__op op = type == QN__TYPE_BOOL ? bools[pick(m, 3)] : qn__is_float(type) ? floats[pick(m, 6)] : ints[pick(m, 12)];
    keep(m, qn__build_binary(&m->b, op, draw(m, type), draw(m, type)));
}

static void unary(maker *m) {
    static const qn__op ints[] = {QN__OP_NEG, QN__OP_NOT, QN__OP_ABS, QN__OP_POPCOUNT, QN__OP_CLZ, QN__OP_CTZ};
    static const qn__op floats[] = {QN__OP_NEG, QN__OP_ABS, QN__OP_SQRT, QN__OP_FLOOR, QN__OP_CEIL, QN__OP_TRUNC, QN__OP_RINT};
    qn__type type = any_type(m);
    qn__op op = type == QN__TYPE_BOOL ? QN__OP_NOT : qn__is_float(type) ? floats[pick(m, 7)] : ints[pick(m, 6)];
    keep(m, qn__build_unary(&m->b, op, draw(m, type)));
}

static void fused(maker *m) {
    qn__type type = pick(m, 2) ? QN__TYPE_F32 : QN__TYPE_F64;
    qn__value args[3] = {draw(m, type), draw(m, type), draw(m, type)};
    uint32_t negated = pick(m, 6);
    if (negated < 3) args[negated] = qn__build_unary(&m->b, QN__OP_NEG, args[negated]);
    qn__instr_ref ref = qn__build(&m->b, QN__OP_FMA, args, 3, NULL, 1, NULL, 0, 0);
    keep(m, qn__result(m->ir, ref, 0));
}

static qn__value comparison(maker *m) {
    qn__type type = any_type(m);
    qn__op op = (qn__op)(QN__OP_EQ + (type == QN__TYPE_BOOL ? pick(m, 2) : pick(m, 6)));
    return qn__build_binary(&m->b, op, draw(m, type), draw(m, type));
}

static qn__value condition(maker *m) {
    switch (pick(m, 6)) {
    case 0: return qn__build_binary(&m->b, QN__OP_AND, comparison(m), comparison(m));
    case 1: return qn__build_binary(&m->b, QN__OP_OR, comparison(m), comparison(m));
    case 2: return qn__build_unary(&m->b, QN__OP_NOT, comparison(m));
    case 3: return draw(m, QN__TYPE_BOOL);
    default: return comparison(m);
    }
}

static void load(maker *m) {
    uint32_t array = pick(m, 3);
    qn__value index[3];
    for (uint32_t d = 0; d < random_array_rank[array]; d++) {
        index[d] = m->straight && m->in_point && pick(m, 3) ? m->row[d + 1 == random_array_rank[array]] : index_value(m);
        if (index[d] == m->row[0] || index[d] == m->row[1]) continue;
        if (pick(m, 3) == 0) { /* i + 1 of an index below 7 */
            index[d] = qn__build_binary(&m->b, QN__OP_AND, index[d], qn__build_i64(&m->b, 6));
            index[d] = qn__build_binary(&m->b, QN__OP_ADD, index[d], qn__build_i64(&m->b, 1));
        }
    }
    keep(m, qn__build_load(&m->b, array, index, random_array_rank[array]));
}

static void local(maker *m) {
    uint32_t number = pick(m, 2);
    qn__type type = (qn__type)m->ir->locals[number].type;
    qn__value args[2] = {index_value(m), draw(m, type)};
    switch (m->in_reduce ? 4 : pick(m, 5)) { /* terms of a reduction leave no traces */
    case 0: qn__build(&m->b, QN__OP_LOCAL_ZERO, NULL, 0, NULL, 0, NULL, 0, number); break;
    case 1:
    case 2: qn__build(&m->b, QN__OP_LOCAL_STORE, args, 2, NULL, 0, NULL, 0, number); break;
    default: keep(m, qn__result(m->ir, qn__build(&m->b, QN__OP_LOCAL_LOAD, args, 1, &type, 1, NULL, 0, number), 0)); break;
    }
}

static void check(maker *m) {
    bool may_fail = m->faults && pick(m, 12) == 0;
    m->b.location = 1 + pick(m, 3);
    qn__value index = may_fail ? draw(m, QN__TYPE_I64) : index_value(m);
    if (pick(m, 2) || !may_fail) {
        qn__build_check_index(&m->b, index, qn__build_i64(&m->b, may_fail ? 1000 : RANDOM_EDGE));
    } else {
        qn__value args[1] = {draw(m, QN__TYPE_I32)};
        qn__build(&m->b, QN__OP_CHECK_NONZERO, args, 1, NULL, 0, NULL, 0, 0);
    }
    m->b.location = 0;
}

static void accumulate(maker *m) {
    static const qn__op ops[] = {QN__OP_ADD, QN__OP_MIN, QN__OP_AND, QN__OP_MUL};
    if (!m->in_point || m->in_reduce) return;
    qn__value args[2] = {index_value(m), draw(m, QN__TYPE_I32)};
    qn__instr_ref ref = qn__build(&m->b, QN__OP_ACCUMULATE, args, 2, NULL, 0, NULL, 0, 5);
    m->ir->instrs[ref].aux = (uint8_t)ops[pick(m, 4)];
}

/* --- structure ---------------------------------------------------------------------------------------------------- */

static void statements(maker *m, uint32_t count);

/* Fills a region: its parameters come into scope, then statements, then the yield of the types. */
static void fill(maker *m, qn__region_ref region, uint32_t statement_count, const qn__type *yields, uint32_t count) {
    qn__builder saved = m->b;
    uint32_t scope = m->count;
    m->b = (qn__builder){.ir = m->ir, .region = region};
    for (uint32_t i = 0; i < m->ir->regions[region].param_count; i++) keep(m, qn__region_param(m->ir, region, i));
    m->depth++;
    statements(m, statement_count);
    m->depth--;
    qn__value out[8];
    for (uint32_t i = 0; i < count; i++) out[i] = draw(m, yields[i]);
    qn__build_yield(&m->b, out, count);
    m->count = scope;
    m->b = saved;
}

static void keep_results(maker *m, qn__instr_ref ref, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) keep(m, qn__result(m->ir, ref, i));
}

static void make_if(maker *m) {
    qn__type yields[4];
    uint32_t count = pick(m, 4);
    for (uint32_t i = 0; i < count; i++) yields[i] = any_type(m);
    qn__value cond = condition(m);
    qn__region_ref regions[2] = {qn__region_create(m->ir, NULL, 0), qn__region_create(m->ir, NULL, 0)};
    qn__instr_ref ref = qn__build(&m->b, QN__OP_IF, &cond, 1, yields, count, regions, 2, 0);
    fill(m, regions[0], 1 + pick(m, 4), yields, count);
    fill(m, regions[1], pick(m, 4), yields, count);
    keep_results(m, ref, count);
}

static void make_for(maker *m) {
    qn__type params[5] = {QN__TYPE_I64};
    qn__value args[6] = {qn__build_i64(&m->b, 0), qn__build_i64(&m->b, pick(m, 5))};
    uint32_t count = pick(m, 4);
    for (uint32_t i = 0; i < count; i++) {
        params[1 + i] = any_type(m);
        args[2 + i] = draw(m, params[1 + i]);
    }
    if (pick(m, 4) == 0) args[1] = index_value(m);
    qn__region_ref region = qn__region_create(m->ir, params, 1 + count);
    qn__instr_ref ref = qn__build(&m->b, QN__OP_FOR, args, 2 + count, params + 1, count, &region, 1, 0);
    fill(m, region, 1 + pick(m, 6), params + 1, count);
    keep_results(m, ref, count);
}

/* A counter ends it; the other carried values are free. */
static void make_while(maker *m) {
    qn__type params[5] = {QN__TYPE_I64}, boolean = QN__TYPE_BOOL;
    uint32_t count = 1 + pick(m, 4);
    qn__value args[5] = {qn__build_i64(&m->b, 0)};
    for (uint32_t i = 1; i < count; i++) {
        params[i] = any_type(m);
        args[i] = draw(m, params[i]);
    }
    qn__region_ref regions[2] = {qn__region_create(m->ir, params, count), qn__region_create(m->ir, params, count)};
    qn__instr_ref ref = qn__build(&m->b, QN__OP_WHILE, args, count, params, count, regions, 2, 0);
    qn__builder saved = m->b;
    uint32_t scope = m->count;
    for (uint32_t r = 0; r < 2; r++) {
        m->b = (qn__builder){.ir = m->ir, .region = regions[r]};
        for (uint32_t i = 0; i < count; i++) keep(m, qn__region_param(m->ir, regions[r], i));
        m->depth++;
        statements(m, pick(m, 5));
        m->depth--;
        qn__value counter = qn__region_param(m->ir, regions[r], 0), out[5];
        if (r == 0) {
            out[0] = qn__build_binary(&m->b, QN__OP_LT, counter, qn__build_i64(&m->b, 1 + pick(m, 5)));
            if (pick(m, 2)) out[0] = qn__build_binary(&m->b, QN__OP_AND, out[0], comparison(m));
            qn__build_yield(&m->b, out, 1);
        } else {
            out[0] = qn__build_binary(&m->b, QN__OP_ADD, counter, qn__build_i64(&m->b, 1));
            for (uint32_t i = 1; i < count; i++) out[i] = draw(m, params[i]);
            qn__build_yield(&m->b, out, count);
        }
        m->count = scope;
    }
    m->b = saved;
    (void)boolean;
    keep_results(m, ref, count);
}

/* Any term; combine is a plain operation, sometimes wrapped. Two accumulators at times. */
static void make_reduce(maker *m) {
    qn__type params[5] = {QN__TYPE_I64, any_type(m), any_type(m)}, pairs[4];
    uint32_t count = 1 + pick(m, 2);
    qn__value args[4] = {qn__build_i64(&m->b, pick(m, 3)), qn__build_i64(&m->b, pick(m, 4) ? pick(m, 6) : pick(m, 200))};
    for (uint32_t i = 0; i < count; i++) {
        args[2 + i] = draw(m, params[1 + i]);
        pairs[i] = pairs[count + i] = params[1 + i];
    }
    qn__region_ref regions[2] = {qn__region_create(m->ir, params, 1 + count), qn__region_create(m->ir, pairs, 2 * count)};
    qn__instr_ref ref = qn__build(&m->b, QN__OP_REDUCE, args, 2 + count, params + 1, count, regions, 2, 0);
    bool outer = m->in_reduce;
    m->in_reduce = true;
    fill(m, regions[0], 1 + pick(m, 3), params + 1, count);
    m->in_reduce = outer;
    qn__builder saved = m->b;
    m->b = (qn__builder){.ir = m->ir, .region = regions[1]};
    qn__value out[2];
    for (uint32_t i = 0; i < count; i++) {
        qn__op op = params[1 + i] == QN__TYPE_BOOL ? QN__OP_XOR : pick(m, 2) ? QN__OP_ADD : QN__OP_MIN;
        out[i] = qn__build_binary(&m->b, op, qn__region_param(m->ir, regions[1], i), qn__region_param(m->ir, regions[1], count + i));
    }
    qn__build_yield(&m->b, out, count);
    m->b = saved;
    keep_results(m, ref, count);
}

static void statements(maker *m, uint32_t count) {
    for (; count && m->budget; count--) {
        m->budget--;
        bool straight = m->straight && m->in_point;
        uint32_t choice = pick(m, straight ? 17 : m->depth > 4 ? 20 : 28);
        if (straight && choice == 16) choice = m->depth > 3 ? 0 : 23;
        if (choice < 7) arithmetic(m);
        else if (choice < 9) unary(m);
        else if (choice < 11) fused(m);
        else if (choice < 12) keep(m, comparison(m));
        else if (choice < 13) keep(m, qn__build_cast(&m->b, QN__OP_CONVERT, any_type(m), draw(m, any_type(m))));
        else if (choice < 14) {
            qn__type type = any_type(m);
            keep(m, qn__build_select(&m->b, condition(m), draw(m, type), draw(m, type)));
        } else if (choice < 16) load(m);
        else if (choice < 18) local(m);
        else if (choice < 19) check(m);
        else if (choice < 20) accumulate(m);
        else if (choice < 23) make_if(m);
        else if (choice < 25) make_for(m);
        else if (choice < 27) make_while(m);
        else make_reduce(m);
    }
}

static void store_results(maker *m, const qn__value *index) {
    qn__build_store(&m->b, 3, index, 2, draw(m, QN__TYPE_F64));
    qn__build_store(&m->b, 4, index, 2, draw(m, QN__TYPE_I32));
}

static void make_parallel(maker *m) {
    qn__type params[2] = {QN__TYPE_I64, QN__TYPE_I64};
    qn__value zero = qn__build_i64(&m->b, 0), eight = qn__build_i64(&m->b, RANDOM_EDGE);
    qn__value args[8] = {zero, eight, zero, eight};
    uint32_t boxes = 1 + pick(m, 2);
    for (uint32_t i = 4; i < 8; i++) args[i] = qn__build_i64(&m->b, (int64_t)pick(m, 12) - 2);
    qn__region_ref regions[2] = {qn__region_create(m->ir, params, 2), qn__region_create(m->ir, params, 2)};
    qn__build(&m->b, QN__OP_PARALLEL, args, boxes * 4, NULL, 0, regions, boxes, 2);
    for (uint32_t r = 0; r < boxes; r++) {
        qn__builder saved = m->b;
        uint32_t scope = m->count;
        m->b = (qn__builder){.ir = m->ir, .region = regions[r]};
        qn__value index[2] = {qn__region_param(m->ir, regions[r], 0), qn__region_param(m->ir, regions[r], 1)};
        keep(m, index[0]);
        keep(m, index[1]);
        m->row[0] = index[0];
        m->row[1] = index[1];
        m->in_point = true;
        m->depth = 2;
        m->budget = 25 + pick(m, 120);
        for (uint32_t l = 0; l < 2 && !m->straight; l++) qn__build(&m->b, QN__OP_LOCAL_ZERO, NULL, 0, NULL, 0, NULL, 0, l);
        statements(m, 4 + pick(m, m->straight ? 40 : 14));
        store_results(m, index);
        qn__build_yield(&m->b, NULL, 0);
        m->in_point = false;
        m->count = scope;
        m->b = saved;
    }
}

qn__ir *random_ir(qn__arena *arena, uint64_t seed, bool faults) {
    static maker m;
    m = (maker){.ir = qn__ir_create(arena, "random"), .state = seed * UINT64_C(0x2545F4914F6CDD1D) + 1, .faults = faults,
              .straight = seed % 3 == 0};
    m.b = (qn__builder){.ir = m.ir, .region = m.ir->body};
    for (uint32_t i = 0; i < RANDOM_ARRAYS; i++) {
        char name[2] = {(char)('a' + i), 0};
        qn__array_kind kind = i < 3 ? QN__ARRAY_IN : QN__ARRAY_OUT;
        qn__ir_array(m.ir, name, (qn__type)random_array_type[i], random_array_rank[i], kind);
    }
    qn__ir_local(m.ir, "p", QN__TYPE_F32, RANDOM_EDGE);
    qn__ir_local(m.ir, "q", QN__TYPE_I64, RANDOM_EDGE);
    for (uint32_t i = 1; i <= 3; i++) qn__ir_location(m.ir, "random.qn", i, 1, 1);
    qn__type scalars[2] = {QN__TYPE_I64, QN__TYPE_F64};
    for (uint32_t i = 0; i < 2; i++)
        keep(&m, qn__result(m.ir, qn__build(&m.b, QN__OP_PARAM, NULL, 0, &scalars[i], 1, NULL, 0, i), 0));
    for (uint32_t l = 0; l < 2; l++) qn__build(&m.b, QN__OP_LOCAL_ZERO, NULL, 0, NULL, 0, NULL, 0, l);
    qn__value edge = qn__build_i64(&m.b, RANDOM_EDGE);
    for (uint32_t i = 0; i < RANDOM_ARRAYS; i++)
        for (uint32_t d = 0; d < random_array_rank[i]; d++) m.ir->arrays[i].extent[d] = edge;
    m.depth = 1;
    m.budget = 30;
    for (uint32_t stages = 1 + pick(&m, 2); stages; stages--) {
        m.budget = 10;
        m.depth = 3;
        statements(&m, pick(&m, 3));
        make_parallel(&m);
    }
    qn__build_yield(&m.b, NULL, 0);
    return m.ir;
}
