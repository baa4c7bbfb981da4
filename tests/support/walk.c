/* See walk.h. One function per operation kind; values are bits, zero-extended; a fault unwinds by return codes. */
#include "tests/support/walk.h"

#include "ir/eval.h"

#include <stdlib.h>
#include <string.h>

typedef struct walk {
    const qn__ir *ir;
    qn__frame *frame;
    uint64_t *value;
    uint64_t **local;
    int64_t point;
    int depth;               /* of stages */
    uint64_t *pushed;        /* of the running keep: rows of list_count values */
    size_t pushed_count;
} walk;

static int32_t region(walk *w, qn__region_ref ref);
static const qn__instr *instr_at(const walk *w, qn__instr_ref ref) { return &w->ir->instrs[ref]; }
static const qn__instr *yield_of(const walk *w, qn__region_ref ref) { return instr_at(w, w->ir->regions[ref].last); }
static int64_t as_i64(const walk *w, qn__value v) { return (int64_t)w->value[v]; }

static int32_t fault(walk *w, const qn__instr *instr, int32_t kind, int64_t index, int64_t extent) {
    w->frame->fault = (qn__fault){kind, instr->location, index, extent, w->depth ? w->point : 0};
    return kind;
}

static unsigned char *element(walk *w, const qn__instr *instr) {
    const qn__array *array = &w->ir->arrays[instr->imm];
    const qn__view *view = &w->frame->views[instr->imm];
    int64_t offset = 0;
    for (uint32_t d = 0; d < array->rank; d++) offset += as_i64(w, instr->args[d]) * view->stride[d];
    return (unsigned char *)view->data + offset * (int64_t)qn__type_bytes((qn__type)array->type);
}

static uint64_t read_bits(const unsigned char *data, qn__type type) {
    uint64_t bits = 0;
    memcpy(&bits, data, qn__type_bytes(type));
    return bits;
}

static uint64_t scalar(qn__op op, qn__type type, qn__type result, const uint64_t *args) {
    uint64_t bits = 0;
    if (!qn__eval(op, type, result, args, &bits)) abort();
    return bits;
}

static uint64_t accumulate(qn__op op, qn__type type, uint64_t old, uint64_t value) {
    uint64_t args[2] = {old, value};
    if (!qn__is_float(type) || qn__type_bits(type) > 16) return scalar(op, type, type, args);
    for (int i = 0; i < 2; i++) args[i] = scalar(QN__OP_CONVERT, type, QN__TYPE_F32, &args[i]);
    uint64_t sum = scalar(op, QN__TYPE_F32, QN__TYPE_F32, args);
    return scalar(QN__OP_CONVERT, QN__TYPE_F32, type, &sum);
}

/* --- regions as functions ----------------------------------------------------------------------------------------- */

/* Runs a region on parameters; its yields go to results. */
static int32_t apply(walk *w, qn__region_ref ref, const uint64_t *params, uint64_t *results) {
    const qn__region *r = &w->ir->regions[ref];
    for (uint32_t i = 0; i < r->param_count; i++) w->value[r->first_param + i] = params[i];
    int32_t kind = region(w, ref);
    const qn__instr *yield = yield_of(w, ref);
    uint64_t out[64];
    for (uint32_t i = 0; i < yield->arg_count; i++) out[i] = w->value[yield->args[i]];
    if (results) memcpy(results, out, yield->arg_count * sizeof *out);
    return kind;
}

static int32_t combine(walk *w, qn__region_ref ref, const uint64_t *a, const uint64_t *b, uint32_t n, uint64_t *to) {
    uint64_t params[128];
    memcpy(params, a, n * sizeof *a);
    memcpy(params + n, b, n * sizeof *b);
    return apply(w, ref, params, to);
}

static int32_t walk_if(walk *w, const qn__instr *instr) {
    uint64_t results[64];
    int32_t kind = apply(w, instr->regions[(w->value[instr->args[0]] & 1) == 0], NULL, results);
    if (!kind)
        for (uint32_t i = 0; i < instr->result_count; i++) w->value[instr->first_result + i] = results[i];
    return kind;
}

static int32_t walk_for(walk *w, const qn__instr *instr) {
    uint64_t carried[65];
    int64_t low = as_i64(w, instr->args[0]), high = as_i64(w, instr->args[1]);
    for (uint32_t i = 0; i < instr->result_count; i++) carried[1 + i] = w->value[instr->args[2 + i]];
    for (int64_t i = low; i < high; i++) {
        carried[0] = (uint64_t)i;
        int32_t kind = apply(w, instr->regions[0], carried, carried + 1);
        if (kind) return kind;
    }
    for (uint32_t i = 0; i < instr->result_count; i++) w->value[instr->first_result + i] = carried[1 + i];
    return 0;
}

static int32_t walk_while(walk *w, const qn__instr *instr) {
    uint64_t carried[64], go;
    int32_t kind = 0;
    for (uint32_t i = 0; i < instr->result_count; i++) carried[i] = w->value[instr->args[i]];
    while (!(kind = apply(w, instr->regions[0], carried, &go)) && (go & 1))
        if ((kind = apply(w, instr->regions[1], carried, carried))) break;
    for (uint32_t i = 0; i < instr->result_count; i++) w->value[instr->first_result + i] = carried[i];
    return kind;
}

/* --- reduce, scan ------------------------------------------------------------------------------------------------- */

static int32_t one_block(walk *w, const qn__instr *instr, int64_t low, int64_t from, int64_t to, uint64_t *out) {
    uint32_t n = instr->result_count;
    uint64_t lane[QN__LANES][16], params[17];
    for (int l = 0; l < QN__LANES; l++)
        for (uint32_t k = 0; k < n; k++) lane[l][k] = w->value[instr->args[2 + k]];
    for (int64_t t = from; t < to; t++) {
        params[0] = (uint64_t)t;
        memcpy(params + 1, lane[(t - from) % QN__LANES], n * sizeof *params);
        if (w->depth == 1 && instr->op == QN__OP_REDUCE && low != INT64_MIN) w->point = t - low;
        int32_t kind = apply(w, instr->regions[0], params, lane[(t - from) % QN__LANES]);
        if (kind) return kind;
    }
    for (int half = QN__LANES / 2; half; half /= 2)
        for (int l = 0; l < half; l++) {
            int32_t kind = combine(w, instr->regions[1], lane[l], lane[l + half], n, lane[l]);
            if (kind) return kind;
        }
    memcpy(out, lane[0], n * sizeof *out);
    return 0;
}

/* The tree that splits at the largest power of two below the number of blocks. */
static int32_t blocks(walk *w, const qn__instr *instr, int64_t base, int64_t low, int64_t high, int64_t count, uint64_t *out) {
    if (count == 1) return one_block(w, instr, base, low, high, out);
    int64_t left = 1;
    while (left * 2 < count) left *= 2;
    uint64_t a[16], b[16];
    int32_t kind = blocks(w, instr, base, low, low + left * QN__BLOCK, left, a);
    if (!kind) kind = blocks(w, instr, base, low + left * QN__BLOCK, high, count - left, b);
    return kind ? kind : combine(w, instr->regions[1], a, b, instr->result_count, out);
}

static int32_t walk_reduce(walk *w, const qn__instr *instr) {
    uint64_t out[16];
    int64_t low = as_i64(w, instr->args[0]), high = as_i64(w, instr->args[1]);
    bool stage = w->depth == 0;
    w->depth++;
    int32_t kind = 0;
    for (uint32_t k = 0; k < instr->result_count; k++) out[k] = w->value[instr->args[2 + k]];
    if (low < high)
        kind = blocks(w, instr, stage ? low : INT64_MIN, low, high, (high - low + QN__BLOCK - 1) / QN__BLOCK, out);
    w->depth--;
    for (uint32_t k = 0; k < instr->result_count; k++) w->value[instr->first_result + k] = out[k];
    return kind;
}

static int32_t walk_scan(walk *w, const qn__instr *instr) {
    uint32_t n = instr->arg_count - 2;
    int64_t low = as_i64(w, instr->args[0]), high = as_i64(w, instr->args[1]);
    uint64_t carry[16], local[16], next[16], emitted[17], index;
    bool stage = w->depth++ == 0;
    int32_t kind = 0;
    for (uint32_t k = 0; k < n; k++) carry[k] = w->value[instr->args[2 + k]];
    for (int64_t t = low; t < high && !kind; t++) {
        bool first = (t - low) % QN__RUN == 0;
        if (stage) w->point = t - low;
        index = (uint64_t)t;
        if (first && t > low && (kind = combine(w, instr->regions[1], carry, local, n, carry))) break;
        if ((kind = apply(w, instr->regions[0], &index, next))) break;
        emitted[0] = index;
        if (instr->flags & QN__EXCLUSIVE) {
            if (first) memcpy(emitted + 1, carry, n * sizeof *carry);
            else kind = combine(w, instr->regions[1], carry, local, n, emitted + 1);
        }
        if (first) memcpy(local, next, n * sizeof *local);
        else if (!kind) kind = combine(w, instr->regions[1], local, next, n, local);
        if (!kind && !(instr->flags & QN__EXCLUSIVE)) kind = combine(w, instr->regions[1], carry, local, n, emitted + 1);
        if (!kind) kind = apply(w, instr->regions[2], emitted, NULL);
    }
    w->depth--;
    return kind;
}

/* --- parallel, keep ----------------------------------------------------------------------------------------------- */

static int32_t walk_points(walk *w, const qn__instr *instr, uint32_t rank) {
    uint64_t index[QN__MAX_RANK];
    int64_t total = 1;
    for (uint32_t d = 0; d < rank; d++) {
        int64_t extent = as_i64(w, instr->args[2 * d + 1]) - as_i64(w, instr->args[2 * d]);
        total = extent > 0 ? total * extent : 0;
    }
    w->depth++;
    int32_t kind = 0;
    for (int64_t point = 0; point < total && !kind; point++) {
        int64_t rest = point;
        bool inside = true;
        for (uint32_t d = rank; d-- > 0;) {
            int64_t low = as_i64(w, instr->args[2 * d]), extent = as_i64(w, instr->args[2 * d + 1]) - low;
            int64_t i = low + rest % extent;
            rest /= extent;
            index[d] = (uint64_t)i;
            if (instr->region_count > 1)
                inside = inside && i >= as_i64(w, instr->args[2 * (rank + d)]) && i < as_i64(w, instr->args[2 * (rank + d) + 1]);
        }
        w->point = point;
        kind = apply(w, instr->regions[!inside], index, NULL);
    }
    w->depth--;
    return kind;
}

static int32_t walk_keep(walk *w, const qn__instr *instr) {
    uint32_t n = instr->list_count;
    w->pushed = malloc(((size_t)1 << 20) * n * sizeof *w->pushed);
    w->pushed_count = 0;
    int32_t kind = walk_points(w, instr, instr->arg_count / 2);
    int64_t extents[QN__MAX_RANK] = {(int64_t)w->pushed_count};
    for (uint32_t k = 0; k < n && !kind; k++) {
        qn__type type = (qn__type)w->ir->arrays[instr->list[k]].type;
        kind = w->frame->services->allocate(w->frame, instr->list[k], extents);
        unsigned char *data = w->frame->views[instr->list[k]].data;
        for (size_t i = 0; i < w->pushed_count && !kind; i++)
            memcpy(data + i * qn__type_bytes(type), &w->pushed[i * n + k], qn__type_bytes(type));
    }
    w->value[instr->first_result] = w->pushed_count;
    free(w->pushed);
    return kind;
}

/* --- one instruction ---------------------------------------------------------------------------------------------- */

static int32_t walk_memory(walk *w, const qn__instr *instr) {
    qn__type type = QN__TYPE_NONE;
    uint64_t value = instr->arg_count ? w->value[instr->args[instr->arg_count - 1]] : 0;
    switch ((int)instr->op) {
    case QN__OP_LOAD:
        w->value[instr->first_result] = read_bits(element(w, instr), qn__type_of(w->ir, instr->first_result));
        break;
    case QN__OP_STORE:
        memcpy(element(w, instr), &value, qn__type_bytes((qn__type)w->ir->arrays[instr->imm].type));
        break;
    case QN__OP_ACCUMULATE:
        type = (qn__type)w->ir->arrays[instr->imm].type;
        value = accumulate((qn__op)instr->aux, type, read_bits(element(w, instr), type), value);
        memcpy(element(w, instr), &value, qn__type_bytes(type));
        break;
    case QN__OP_LOCAL_LOAD: w->value[instr->first_result] = w->local[instr->imm][as_i64(w, instr->args[0])]; break;
    case QN__OP_LOCAL_STORE: w->local[instr->imm][as_i64(w, instr->args[0])] = value; break;
    default: memset(w->local[instr->imm], 0, w->ir->locals[instr->imm].count * sizeof(uint64_t)); break;
    }
    return 0;
}

static int32_t walk_check(walk *w, const qn__instr *instr) {
    uint64_t a = w->value[instr->args[0]];
    int64_t b = instr->arg_count > 1 ? as_i64(w, instr->args[1]) : 0, c = instr->arg_count > 2 ? as_i64(w, instr->args[2]) : 0;
    if (instr->op == QN__OP_CHECK_INDEX) return a < (uint64_t)b ? 0 : fault(w, instr, QN__FAULT_INDEX, (int64_t)a, b);
    if (instr->op == QN__OP_CHECK_NONZERO) return a ? 0 : fault(w, instr, QN__FAULT_DIVISION, 0, 0);
    return a & 1 ? 0 : fault(w, instr, instr->aux, b, c);
}

static int32_t walk_kernel_level(walk *w, const qn__instr *instr) {
    int64_t extents[QN__MAX_RANK] = {0};
    if (instr->op == QN__OP_SWAP) {
        qn__view saved = w->frame->views[instr->imm];
        w->frame->views[instr->imm] = w->frame->views[instr->aux];
        w->frame->views[instr->aux] = saved;
        return 0;
    }
    for (uint32_t i = 0; i < instr->arg_count; i++) extents[i] = as_i64(w, instr->args[i]);
    return w->frame->services->allocate(w->frame, (uint32_t)instr->imm, extents);
}

static void walk_scalar(walk *w, const qn__instr *instr) {
    uint64_t args[4];
    for (uint32_t i = 0; i < instr->arg_count && i < 4; i++) args[i] = w->value[instr->args[i]];
    qn__type type = qn__type_of(w->ir, instr->args[instr->op == QN__OP_SELECT]);
    w->value[instr->first_result] = scalar((qn__op)instr->op, type, qn__type_of(w->ir, instr->first_result), args);
}

static int32_t walk_instr(walk *w, const qn__instr *instr) {
    switch ((int)instr->op) {
    case QN__OP_CONST: w->value[instr->first_result] = instr->imm; return 0;
    case QN__OP_PARAM: w->value[instr->first_result] = w->frame->scalars[instr->imm]; return 0;
    case QN__OP_SIZE: w->value[instr->first_result] = (uint64_t)w->frame->sizes[instr->imm]; return 0;
    case QN__OP_LOAD:
    case QN__OP_STORE:
    case QN__OP_ACCUMULATE:
    case QN__OP_LOCAL_LOAD:
    case QN__OP_LOCAL_STORE:
    case QN__OP_LOCAL_ZERO: return walk_memory(w, instr);
    case QN__OP_CHECK_INDEX:
    case QN__OP_CHECK_NONZERO:
    case QN__OP_CHECK: return walk_check(w, instr);
    case QN__OP_IF: return walk_if(w, instr);
    case QN__OP_FOR: return walk_for(w, instr);
    case QN__OP_WHILE: return walk_while(w, instr);
    case QN__OP_REDUCE: return walk_reduce(w, instr);
    case QN__OP_SCAN: return walk_scan(w, instr);
    case QN__OP_KEEP: return walk_keep(w, instr);
    case QN__OP_PARALLEL: return walk_points(w, instr, (uint32_t)instr->imm);
    case QN__OP_PUSH:
        for (uint32_t i = 0; i < instr->arg_count; i++)
            w->pushed[w->pushed_count * instr->arg_count + i] = w->value[instr->args[i]];
        w->pushed_count++;
        return 0;
    case QN__OP_ALLOC:
    case QN__OP_SWAP: return walk_kernel_level(w, instr);
    case QN__OP_YIELD: return 0;
    default: walk_scalar(w, instr); return 0;
    }
}

static int32_t region(walk *w, qn__region_ref ref) {
    for (qn__instr_ref i = w->ir->regions[ref].first; i; i = instr_at(w, i)->next) {
        int32_t kind = walk_instr(w, instr_at(w, i));
        if (kind) return kind;
    }
    return 0;
}

int32_t walk_kernel(const qn__ir *ir, qn__frame *frame) {
    walk w = {.ir = ir, .frame = frame};
    w.value = calloc(ir->value_count + 1, sizeof *w.value);
    w.local = calloc(ir->local_count + 1, sizeof *w.local);
    for (uint32_t i = 0; i < ir->local_count; i++) w.local[i] = calloc(ir->locals[i].count + 1, sizeof(uint64_t));
    int32_t kind = region(&w, ir->body);
    for (uint32_t i = 0; i < ir->local_count; i++) free(w.local[i]);
    free(w.local);
    free(w.value);
    return kind;
}
