/* Bytecode of unstructured operations: arithmetic, conversions, memory, checks, calls.
 *
 * Addresses: the data pointer and the strides of each array are fetched once per stage; a row's pointer is computed where its
 * leading indices are known, as far out as possible, and used again as long as that code dominates (the pointer table is a
 * stack of scopes). Hoisting moves pure operations and rows in front of loops; they cannot fail, so this is safe even for loops
 * that do not run. */
#include "compiler/bytecode_private.h"

#include <string.h>

static const qn__instr *at(const emitter *e, qn__instr_ref ref) { return &e->ir->instrs[ref]; }
static qn__type type_of(const emitter *e, qn__value v) { return qn__type_of(e->ir, v); }

vreg value_destination(emitter *e, qn__value value) {
    vreg reg = e->forced[value];
    if (!reg && e->home[value]) reg = e->reg[e->home[value]];
    if (!reg) reg = code_reg(e);
    e->reg[value] = reg;
    e->ready[value] = 1;
    return reg;
}

/* --- scopes ------------------------------------------------------------------------------------------------------- */

scope scope_open(emitter *e) { return (scope){e->hoist_count, e->pointer_count}; }

void scope_close(emitter *e, scope mark) {
    while (e->hoist_count > mark.hoists) {
        qn__instr_ref ref = e->hoist_log[--e->hoist_count];
        e->hoisted[ref] = 0;
        e->ready[at(e, ref)->first_result] = 0;
    }
    if (e->pointer_count > mark.pointers) e->pointer_count = mark.pointers;
}

static void log_hoist(emitter *e, qn__instr_ref ref) {
    uint32_t *log = qn__arena_grow(e->arena, e->hoist_log, &e->hoist_capacity, e->hoist_count + 1, sizeof *log);
    if (!log) {
        code_fail(e, "out of memory");
        return;
    }
    e->hoist_log = log;
    log[e->hoist_count++] = ref;
    e->hoisted[ref] = 1;
}

/* --- pointers ----------------------------------------------------------------------------------------------------- */

enum { LOOK_BACK = 256 }; /* entries that a search looks at, so that huge kernels take linear time */

static const pointer *find_pointer(const emitter *e, pointer_kind kind, uint32_t id, const qn__value *index, uint32_t count) {
    size_t stop = e->pointer_count > LOOK_BACK ? e->pointer_count - LOOK_BACK : 0;
    for (size_t i = e->pointer_count; i > stop; i--) {
        const pointer *p = &e->pointers[i - 1];
        if (p->kind == kind && p->id == id && p->count == count &&
            (!count || !memcmp(p->index, index, count * sizeof *index)))
            return p;
    }
    return NULL;
}

static vreg remember_pointer(emitter *e, pointer_kind kind, uint32_t id, const qn__value *index, uint32_t count, vreg reg) {
    pointer *grown = qn__arena_grow(e->arena, e->pointers, &e->pointer_capacity, e->pointer_count + 1, sizeof *grown);
    if (!grown) {
        code_fail(e, "out of memory");
        return reg;
    }
    e->pointers = grown;
    pointer *p = &grown[e->pointer_count++];
    *p = (pointer){.kind = (uint8_t)kind, .count = (uint8_t)count, .id = id, .reg = reg};
    for (uint32_t i = 0; i < count; i++) p->index[i] = index[i];
    return reg;
}

vreg value_pointer(emitter *e, pointer_kind kind, uint32_t id) {
    const pointer *found = find_pointer(e, kind, id, NULL, 0);
    if (found) return found->reg;
    size_t offset = kind == POINTER_LOCAL ? e->local_offset[id] : e->lane_offset[2 * id + (kind == POINTER_STACK)];
    vreg reg = code_reg(e);
    code_line_add(e, QN__BC_LOCAL, reg, 0, (uint32_t)(offset / 8), 0);
    return remember_pointer(e, kind, id, NULL, 0, reg);
}

/* Views are of an epoch: a stage, or one access outside of stages. */
static array_view *view_of(emitter *e, uint32_t array) {
    array_view *view = &e->views[array];
    if (view->epoch == e->epoch) return view;
    memset(view, 0, sizeof *view);
    view->epoch = e->epoch;
    view->data = code_reg(e);
    code_line_add(e, QN__BC_VIEW_DATA, view->data, array, 0, 0);
    uint32_t bytes = qn__type_bytes((qn__type)e->ir->arrays[array].type);
    for (uint32_t d = 0; d + 1 < e->ir->arrays[array].rank; d++) {
        view->stride[d] = code_reg(e);
        code_line_add(e, QN__BC_VIEW_STRIDE, view->stride[d], array, d, bytes);
    }
    return view;
}

static bool touches_array(const qn__instr *instr) {
    return instr->op == QN__OP_LOAD || instr->op == QN__OP_STORE || instr->op == QN__OP_ACCUMULATE;
}

void value_views(emitter *e, qn__instr_ref stage) {
    const qn__instr *instr = at(e, stage);
    for (uint32_t i = 0; i < instr->region_count; i++)
        for (qn__instr_ref ref = e->ir->regions[instr->regions[i]].first; ref; ref = at(e, ref)->next) {
            if (touches_array(at(e, ref))) view_of(e, (uint32_t)at(e, ref)->imm);
            if (at(e, ref)->region_count) value_views(e, ref);
        }
}

/* The pointer to array[index[0], ..., index[count - 1], 0...]. */
static vreg row(emitter *e, uint32_t array, const qn__value *index, uint32_t count) {
    if (!count) return view_of(e, array)->data;
    const pointer *found = e->in_stage ? find_pointer(e, POINTER_ROW, array, index, count) : NULL;
    if (found) return found->reg;
    vreg base = row(e, array, index, count - 1), reg = code_reg(e);
    code_line_add(e, QN__BC_ROW, reg, base, e->reg[index[count - 1]], view_of(e, array)->stride[count - 1]);
    return e->in_stage ? remember_pointer(e, POINTER_ROW, array, index, count, reg) : reg;
}

vreg value_row(emitter *e, uint32_t array, const qn__value *index) {
    return row(e, array, index, e->ir->arrays[array].rank - 1U);
}

/* --- hoisting ----------------------------------------------------------------------------------------------------- */

static bool is_ready(const emitter *e, qn__value v) {
    if (e->ready[v]) return true;
    if (!plan_folded(e, v)) return false;
    const qn__instr *instr = at(e, e->ir->values[v].instr);
    for (uint32_t i = 0; i < instr->arg_count; i++)
        if (!is_ready(e, instr->args[i])) return false;
    return true;
}

static bool can_hoist(const emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    if (qn__op_table[instr->op].effect != QN__EFFECT_PURE || instr->op == QN__OP_CONST || instr->op == QN__OP_CALL) return false;
    if (e->folded[ref] || e->hoisted[ref] || e->home[instr->first_result]) return false;
    for (uint32_t i = 0; i < instr->arg_count; i++)
        if (!is_ready(e, instr->args[i])) return false;
    return true;
}

static void hoist_row(emitter *e, const qn__instr *instr) {
    uint32_t rank = e->ir->arrays[instr->imm].rank, count = 0;
    while (count + 1 < rank && e->ready[instr->args[count]]) count++;
    if (count) row(e, (uint32_t)instr->imm, instr->args, count);
}

void value_hoist(emitter *e, qn__region_ref region) {
    for (qn__instr_ref ref = e->ir->regions[region].first; ref && !e->failed; ref = at(e, ref)->next) {
        const qn__instr *instr = at(e, ref);
        if (can_hoist(e, ref)) {
            value_emit(e, ref);
            log_hoist(e, ref);
        } else if (touches_array(instr)) {
            if (e->in_stage) hoist_row(e, instr);
        } else if (instr->op == QN__OP_LOCAL_LOAD || instr->op == QN__OP_LOCAL_STORE || instr->op == QN__OP_LOCAL_ZERO) {
            value_pointer(e, POINTER_LOCAL, (uint32_t)instr->imm);
        } else if (instr->op == QN__OP_REDUCE) {
            for (uint32_t k = 0; k < instr->result_count; k++) value_pointer(e, POINTER_LANES, e->lanes[ref] + k);
        }
        if (instr->op == QN__OP_FOR || instr->op == QN__OP_WHILE || instr->op == QN__OP_REDUCE)
            for (uint32_t i = 0; i < instr->region_count; i++) value_hoist(e, instr->regions[i]);
    }
}

/* --- conversions -------------------------------------------------------------------------------------------------- */

/* From a narrower integer type or bool. */
static qn__opcode extend_opcode(qn__type from, bool to_64) {
    switch (from) {
    case QN__TYPE_I8: return to_64 ? QN__BC_EXTEND_I8 : QN__BC_WIDEN_I8;
    case QN__TYPE_I16: return to_64 ? QN__BC_EXTEND_I16 : QN__BC_WIDEN_I16;
    case QN__TYPE_BOOL:
    case QN__TYPE_U8: return to_64 ? QN__BC_EXTEND_U8 : QN__BC_WIDEN_U8;
    case QN__TYPE_U16: return to_64 ? QN__BC_EXTEND_U16 : QN__BC_WIDEN_U16;
    case QN__TYPE_U32: return QN__BC_EXTEND_U32;
    default: return QN__BC_EXTEND_I32;
    }
}

static vreg step(emitter *e, qn__opcode op, vreg to, vreg from) {
    if (!to) to = code_reg(e);
    code_line_add(e, op, to, from, 0, 0);
    return to;
}

static void convert_to_bool(emitter *e, vreg to, vreg from, qn__type type) {
    qn__opcode op = type == QN__TYPE_F32                             ? QN__BC_TO_BOOL_F32
                    : type == QN__TYPE_F64                           ? QN__BC_TO_BOOL_F64
                    : type == QN__TYPE_F16 || type == QN__TYPE_BF16  ? QN__BC_TO_BOOL_F16
                                                                     : code_by_width(QN__BC_TO_BOOL_X8, type);
    step(e, op, to, from);
}

static void convert_float_to_int(emitter *e, vreg to, qn__type to_type, vreg from, qn__type type) {
    static const uint16_t of_f32[QN__TYPE_COUNT] = {
        [QN__TYPE_I32] = QN__BC_TO_I32_F32, [QN__TYPE_I64] = QN__BC_TO_I64_F32,
        [QN__TYPE_U32] = QN__BC_TO_U32_F32, [QN__TYPE_U64] = QN__BC_TO_U64_F32};
    static const uint16_t of_f64[QN__TYPE_COUNT] = {
        [QN__TYPE_I8] = QN__BC_TO_I8_F64,   [QN__TYPE_I16] = QN__BC_TO_I16_F64, [QN__TYPE_I32] = QN__BC_TO_I32_F64,
        [QN__TYPE_I64] = QN__BC_TO_I64_F64, [QN__TYPE_U8] = QN__BC_TO_U8_F64,   [QN__TYPE_U16] = QN__BC_TO_U16_F64,
        [QN__TYPE_U32] = QN__BC_TO_U32_F64, [QN__TYPE_U64] = QN__BC_TO_U64_F64};
    if (type == QN__TYPE_F16) from = step(e, QN__BC_TO_F32_F16, 0, from);
    if (type == QN__TYPE_BF16) from = step(e, QN__BC_TO_F32_BF16, 0, from);
    if (type != QN__TYPE_F64 && of_f32[to_type]) {
        step(e, (qn__opcode)of_f32[to_type], to, from);
        return;
    }
    if (type != QN__TYPE_F64) from = step(e, QN__BC_TO_F64_F32, 0, from);
    step(e, (qn__opcode)of_f64[to_type], to, from);
}

/* The opcode to a float type from a type that has one, else END. */
static qn__opcode to_float_opcode(qn__type to, qn__type from) {
    static const uint16_t table[4][QN__TYPE_COUNT] = {
        {[QN__TYPE_I64] = QN__BC_END, [QN__TYPE_F32] = QN__BC_TO_F16_F32, [QN__TYPE_F64] = QN__BC_TO_F16_F64},
        {[QN__TYPE_I64] = QN__BC_TO_BF16_I64, [QN__TYPE_U64] = QN__BC_TO_BF16_U64, [QN__TYPE_F32] = QN__BC_TO_BF16_F32,
         [QN__TYPE_F64] = QN__BC_TO_BF16_F64},
        {[QN__TYPE_I32] = QN__BC_TO_F32_I32, [QN__TYPE_U32] = QN__BC_TO_F32_U32, [QN__TYPE_I64] = QN__BC_TO_F32_I64,
         [QN__TYPE_U64] = QN__BC_TO_F32_U64, [QN__TYPE_F16] = QN__BC_TO_F32_F16, [QN__TYPE_BF16] = QN__BC_TO_F32_BF16,
         [QN__TYPE_F64] = QN__BC_TO_F32_F64},
        {[QN__TYPE_I32] = QN__BC_TO_F64_I32, [QN__TYPE_U32] = QN__BC_TO_F64_U32, [QN__TYPE_I64] = QN__BC_TO_F64_I64,
         [QN__TYPE_U64] = QN__BC_TO_F64_U64, [QN__TYPE_F32] = QN__BC_TO_F64_F32}};
    return (qn__opcode)table[to - QN__TYPE_F16][from];
}

/* Where there is no direct way, through a type that holds the value exactly (or, from 64-bit integers to f16, to which all that f64
 * would round are infinite). */
static void convert_to_float(emitter *e, vreg to, qn__type to_type, vreg from, qn__type type) {
    if (qn__type_bits(type) < 32 && !qn__is_float(type)) {
        from = step(e, extend_opcode(type, false), 0, from);
        type = QN__TYPE_I32;
    }
    qn__opcode direct = to_float_opcode(to_type, type);
    if (direct != QN__BC_END) {
        step(e, direct, to, from);
        return;
    }
    qn__type middle = qn__is_float(type) ? QN__TYPE_F32 : QN__TYPE_F64;
    from = step(e, to_float_opcode(middle, type), 0, from);
    step(e, to_float_opcode(to_type, middle), to, from);
}

void value_convert(emitter *e, vreg to, qn__type to_type, vreg from, qn__type type) {
    if (to_type == type) code_move(e, type, to, from);
    else if (to_type == QN__TYPE_BOOL) convert_to_bool(e, to, from, type);
    else if (qn__is_float(to_type)) convert_to_float(e, to, to_type, from, type);
    else if (qn__is_float(type)) convert_float_to_int(e, to, to_type, from, type);
    else if (qn__type_bits(to_type) > qn__type_bits(type))
        step(e, extend_opcode(type, qn__type_bits(to_type) == 64), to, from);
    else if (qn__type_bits(type) == 64 && qn__type_bits(to_type) < 64) step(e, QN__BC_NARROW_X64, to, from);
    else step(e, code_move_opcode(to_type), to, from);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* Splits indices into the row's pointer and the last index; arrays of rank 0 have index 0. */
static vreg address(emitter *e, uint32_t array, const qn__value *index, vreg *last, int32_t *offset) {
    uint32_t rank = e->ir->arrays[array].rank;
    if (!e->in_stage) e->epoch++; /* outside of stages, allocations and swaps may stand between two accesses */
    vreg base = row(e, array, index, rank ? rank - 1 : 0);
    *offset = 0;
    if (!rank) {
        *last = code_constant(e, 0);
    } else if (plan_folded(e, index[rank - 1])) { /* only loads: i + c */
        const qn__instr *sum = at(e, e->ir->values[index[rank - 1]].instr);
        uint64_t bits = 0;
        qn__is_const(e->ir, sum->args[1], &bits);
        *offset = (int32_t)(sum->op == QN__OP_SUB ? -(int64_t)bits : (int64_t)bits);
        *last = e->reg[sum->args[0]];
    } else {
        *last = e->reg[index[rank - 1]];
    }
    return base;
}

static void emit_load(emitter *e, const qn__instr *instr) {
    vreg last;
    int32_t offset;
    qn__type type = type_of(e, instr->first_result);
    vreg base = address(e, (uint32_t)instr->imm, instr->args, &last, &offset);
    qn__opcode op = code_by_width(offset ? QN__BC_LOAD_8_AT : QN__BC_LOAD_8, type);
    vreg to = value_destination(e, instr->first_result);
    code_line_add(e, op, to, base, last, (uint16_t)offset);
}

static void emit_store(emitter *e, const qn__instr *instr) {
    vreg last;
    int32_t offset;
    qn__value value = instr->args[instr->arg_count - 1];
    vreg base = address(e, (uint32_t)instr->imm, instr->args, &last, &offset);
    code_line_add(e, code_by_width(QN__BC_STORE_8, type_of(e, value)), e->reg[value], base, last, 0);
}

static void emit_accumulate(emitter *e, const qn__instr *instr) {
    vreg last;
    int32_t offset;
    vreg value = e->reg[instr->args[instr->arg_count - 1]];
    qn__type type = (qn__type)e->ir->arrays[instr->imm].type;
    vreg base = address(e, (uint32_t)instr->imm, instr->args, &last, &offset);
    qn__opcode direct = type == QN__TYPE_F32                              ? QN__BC_ACCUMULATE_F32
                        : type == QN__TYPE_F64                            ? QN__BC_ACCUMULATE_F64
                        : type == QN__TYPE_I32 || type == QN__TYPE_U32    ? QN__BC_ACCUMULATE_W32
                        : type == QN__TYPE_I64 || type == QN__TYPE_U64    ? QN__BC_ACCUMULATE_W64
                                                                          : QN__BC_END;
    if (instr->aux == QN__OP_ADD && direct != QN__BC_END) {
        code_line_add(e, direct, value, base, last, 0);
        return;
    }
    bool half = qn__is_float(type) && qn__type_bits(type) == 16;
    vreg old = code_reg(e), sum = code_reg(e);
    code_line_add(e, code_by_width(QN__BC_LOAD_8, type), old, base, last, 0);
    if (half) {
        qn__opcode widen = type == QN__TYPE_F16 ? QN__BC_TO_F32_F16 : QN__BC_TO_F32_BF16;
        old = step(e, widen, 0, old);
        value = step(e, widen, 0, value);
    }
    code_line_add(e, code_opcode((qn__op)instr->aux, half ? QN__TYPE_F32 : type), sum, old, value, 0);
    if (half) sum = step(e, type == QN__TYPE_F16 ? QN__BC_TO_F16_F32 : QN__BC_TO_BF16_F32, 0, sum);
    code_line_add(e, code_by_width(QN__BC_STORE_8, type), sum, base, last, 0);
}

static void emit_local(emitter *e, const qn__instr *instr) {
    const qn__local *local = &e->ir->locals[instr->imm];
    qn__type type = (qn__type)local->type;
    vreg base = value_pointer(e, POINTER_LOCAL, (uint32_t)instr->imm);
    if (instr->op == QN__OP_LOCAL_ZERO) {
        code_line_add(e, QN__BC_ZERO, base, 0, local->count * qn__type_bytes(type), 0);
    } else if (instr->op == QN__OP_LOCAL_STORE) {
        code_line_add(e, code_by_width(QN__BC_STORE_8, type), e->reg[instr->args[1]], base, e->reg[instr->args[0]], 0);
    } else {
        vreg index = e->reg[instr->args[0]], to = value_destination(e, instr->first_result);
        code_line_add(e, code_by_width(QN__BC_LOAD_8, type), to, base, index, 0);
    }
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

static void emit_arguments(emitter *e, const qn__instr *instr) {
    for (uint32_t i = 0; i < instr->arg_count; i++) code_line_add(e, QN__BC_ARGUMENT, e->reg[instr->args[i]], i, 0, 0);
    if (e->argument_count < instr->arg_count) e->argument_count = instr->arg_count;
}

static void locate(emitter *e, uint32_t line, const qn__instr *instr) {
    if (!e->failed) e->lines[line].location = instr->location;
}

static void emit_fma(emitter *e, const qn__instr *instr) {
    bool wide = type_of(e, instr->first_result) == QN__TYPE_F64;
    vreg v[3];
    qn__opcode op = QN__BC_FMA_F32;
    for (uint32_t i = 0; i < 3; i++) {
        qn__value arg = instr->args[i];
        if (plan_folded(e, arg)) {
            op = i == 2 ? QN__BC_FMS_F32 : QN__BC_FNMA_F32;
            arg = at(e, e->ir->values[arg].instr)->args[0];
        }
        v[i] = e->reg[arg];
    }
    vreg to = value_destination(e, instr->first_result);
    code_line_add(e, (qn__opcode)(op + wide), to, v[0], v[1], v[2]);
}

/* One result from up to two operands by the operation's own instruction. */
static void emit_plain(emitter *e, const qn__instr *instr) {
    qn__op op = (qn__op)instr->op;
    qn__type type = type_of(e, instr->args[0]);
    if (op == QN__OP_ADD && plan_folded(e, instr->args[0])) {
        const qn__instr *product = at(e, e->ir->values[instr->args[0]].instr);
        vreg a = e->reg[product->args[0]], b = e->reg[product->args[1]], c = e->reg[instr->args[1]];
        code_line_add(e, QN__BC_MADD_W64, value_destination(e, instr->first_result), a, b, c);
        return;
    }
    vreg a = e->reg[instr->args[0]], b = instr->arg_count > 1 ? e->reg[instr->args[1]] : 0;
    if (op == QN__OP_GT || op == QN__OP_GE) {
        vreg swap = a;
        a = b;
        b = swap;
        op = op == QN__OP_GT ? QN__OP_LT : QN__OP_LE;
    }
    vreg to = value_destination(e, instr->first_result);
    qn__opcode opcode = code_opcode(op, type);
    if (op == QN__OP_ABS && !qn__is_float(type) && !qn__is_signed(type)) opcode = code_move_opcode(type);
    if (opcode == QN__BC_END) code_fail(e, "an operation that the interpreter does not have for its type");
    code_line_add(e, opcode, to, a, b, 0);
}

static void emit_check(emitter *e, const qn__instr *instr) {
    vreg zero = instr->arg_count > 1 ? 0 : code_constant(e, 0);
    vreg a = e->reg[instr->args[0]], b = zero ? zero : e->reg[instr->args[1]];
    uint32_t line;
    if (instr->op == QN__OP_CHECK_INDEX) {
        line = code_line_add(e, QN__BC_CHECK_INDEX, a, b, 0, 0);
    } else if (instr->op == QN__OP_CHECK_NONZERO) {
        line = code_line_add(e, code_by_width(QN__BC_CHECK_NONZERO_8, type_of(e, instr->args[0])), a, 0, 0, 0);
    } else {
        vreg c = instr->arg_count > 2 ? e->reg[instr->args[2]] : code_constant(e, 0);
        line = code_line_add(e, QN__BC_CHECK, a, b, c, instr->aux);
    }
    locate(e, line, instr);
}

static void emit_push(emitter *e, const qn__instr *instr) {
    for (uint32_t i = 0; i < instr->arg_count; i++)
        code_line_add(e, code_by_width(QN__BC_PUSH_8, type_of(e, instr->args[i])), e->reg[instr->args[i]], i, 0, 0);
    locate(e, code_line_add(e, QN__BC_PUSH_END, 0, 0, 0, 0), instr);
}

static void emit_call(emitter *e, const qn__instr *instr) {
    emit_arguments(e, instr);
    vreg to = value_destination(e, instr->first_result);
    bool wide = qn__type_bits(type_of(e, instr->first_result)) == 64;
    code_line_add(e, wide ? QN__BC_CALL_64 : QN__BC_CALL_32, to, (uint32_t)instr->imm, 0, 0);
}

static void emit_select(emitter *e, const qn__instr *instr) {
    vreg c = e->reg[instr->args[0]], yes = e->reg[instr->args[1]], no = e->reg[instr->args[2]];
    bool wide = qn__type_bits(type_of(e, instr->first_result)) == 64;
    code_line_add(e, wide ? QN__BC_SELECT_64 : QN__BC_SELECT_32, value_destination(e, instr->first_result), c, yes, no);
}

static void emit_cast(emitter *e, const qn__instr *instr) {
    qn__type from = type_of(e, instr->args[0]), to = type_of(e, instr->first_result);
    vreg source = e->reg[instr->args[0]], target = value_destination(e, instr->first_result);
    if (instr->op == QN__OP_BITCAST) code_move(e, to, target, source);
    else value_convert(e, target, to, source, from);
}

void value_emit(emitter *e, qn__instr_ref ref) {
    const qn__instr *instr = at(e, ref);
    switch ((qn__op)instr->op) {
    case QN__OP_CONST: break; /* in the pool */
    case QN__OP_PARAM:
        code_line_add(e, QN__BC_PARAM, value_destination(e, instr->first_result), 0, (uint32_t)instr->imm, 0);
        break;
    case QN__OP_SIZE:
        code_line_add(e, QN__BC_SIZE, value_destination(e, instr->first_result), 0, (uint32_t)instr->imm, 0);
        break;
    case QN__OP_FMA: emit_fma(e, instr); break;
    case QN__OP_SELECT: emit_select(e, instr); break;
    case QN__OP_CONVERT:
    case QN__OP_BITCAST: emit_cast(e, instr); break;
    case QN__OP_LOAD: emit_load(e, instr); break;
    case QN__OP_STORE: emit_store(e, instr); break;
    case QN__OP_ACCUMULATE: emit_accumulate(e, instr); break;
    case QN__OP_LOCAL_LOAD:
    case QN__OP_LOCAL_STORE:
    case QN__OP_LOCAL_ZERO: emit_local(e, instr); break;
    case QN__OP_CHECK_INDEX:
    case QN__OP_CHECK_NONZERO:
    case QN__OP_CHECK: emit_check(e, instr); break;
    case QN__OP_EXTERN_CALL: emit_call(e, instr); break;
    case QN__OP_PUSH: emit_push(e, instr); break;
    case QN__OP_ALLOC:
        emit_arguments(e, instr);
        locate(e, code_line_add(e, QN__BC_ALLOCATE, (uint32_t)instr->imm, 0, 0, 0), instr);
        break;
    case QN__OP_SWAP: code_line_add(e, QN__BC_SWAP, (uint32_t)instr->imm, instr->aux, 0, 0); break;
    case QN__OP_CALL: code_fail(e, "a call that was not inlined"); break;
    default: emit_plain(e, instr); break;
    }
}
