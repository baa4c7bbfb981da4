/* Arithmetic as the language means it, on top of the IR's operations.
 *
 * f16 and bf16 are formats of storage: operands are converted to f32, the result is rounded back. Constants,
 * selections, bit patterns and conversions are left as they are. Divisors of integers are checked unless they are
 * constants. */
#include "compiler/lower_private.h"

#include <math.h>

qn__type qn__lower_wide(qn__type type) {
    return type == QN__TYPE_F16 || type == QN__TYPE_BF16 ? QN__TYPE_F32 : type;
}

qn__value qn__lower_cast(qn__lowering *l, qn__value v, qn__type type) {
    return qn__build_cast(&l->b, QN__OP_CONVERT, type, v);
}

qn__value qn__lower_bool(qn__lowering *l, bool value) {
    return qn__build_const(&l->b, QN__TYPE_BOOL, value);
}

/* Applies op to operands of one type; flags go to the instruction when it is done in the operands' own type. */
static qn__value apply(qn__lowering *l, qn__op op, const qn__value *args, uint32_t count, uint16_t flags) {
    qn__value wide[3] = {0};
    if (!count || count > 3) return 0;
    const qn__type type = qn__lower_type(l, args[0]), in = qn__lower_wide(type);
    for (uint32_t i = 0; i < count; i++) wide[i] = qn__lower_cast(l, args[i], in);
    const qn__instr_ref ref = qn__build(&l->b, op, wide, count, NULL, 1, NULL, 0, 0);
    if (!ref) return 0;
    if (in == type) l->ir->instrs[ref].flags = flags;
    const qn__value result = qn__result(l->ir, ref, 0);
    return qn__op_table[op].rule == QN__RULE_CMP ? result : qn__lower_cast(l, result, type);
}

qn__value qn__lower_binary(qn__lowering *l, qn__op op, qn__value a, qn__value c, uint16_t flags) {
    return apply(l, op, (qn__value[]){a, c}, 2, flags);
}

qn__value qn__lower_op(qn__lowering *l, qn__op op, const qn__value *args, uint32_t count) {
    return apply(l, op, args, count, 0);
}

qn__value qn__lower_divide(qn__lowering *l, qn__op op, qn__value a, qn__value c) {
    uint64_t bits;
    const bool constant = qn__is_const(l->ir, c, &bits) && bits;
    if (qn__is_int(qn__lower_type(l, c)) && !constant)
        qn__build(&l->b, QN__OP_CHECK_NONZERO, &c, 1, NULL, 0, NULL, 0, 0);
    return qn__lower_binary(l, op, a, c, 0);
}

/* The amount may have another integer type. Converting it keeps its value modulo any width. */
qn__value qn__lower_shift(qn__lowering *l, qn__op op, qn__value a, qn__value amount) {
    return qn__lower_binary(l, op, a, qn__lower_cast(l, amount, qn__lower_type(l, a)), 0);
}

static uint64_t all_ones(qn__type type) {
    const uint32_t bits = qn__type_bits(type);
    return type == QN__TYPE_BOOL ? 1 : bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* The smallest and the largest value of an integer type or bool. */
static uint64_t extreme(qn__type type, bool largest) {
    const uint64_t ones = all_ones(type);
    if (!qn__is_signed(type)) return largest ? ones : 0;
    return largest ? ones >> 1 : (ones >> 1) + 1;
}

qn__value qn__lower_neutral(qn__lowering *l, qn__op op, qn__type type) {
    const bool is_float = qn__is_float(type);
    switch ((int)op) {
    case QN__OP_MUL: return is_float ? qn__build_f64_as(&l->b, type, 1.0) : qn__build_const(&l->b, type, 1);
    case QN__OP_AND: return qn__build_const(&l->b, type, all_ones(type));
    case QN__OP_MIN:
    case QN__OP_MAX:
        if (is_float) return qn__build_f64_as(&l->b, type, op == QN__OP_MIN ? (double)INFINITY : -(double)INFINITY);
        return qn__build_const(&l->b, type, extreme(type, op == QN__OP_MIN));
    default: return qn__build_const(&l->b, type, 0); /* add, sub, or, xor */
    }
}

void qn__lower_check(qn__lowering *l, qn__fault_kind fault, qn__value good, qn__value index, qn__value extent) {
    const qn__value args[3] = {good, index, extent};
    const qn__instr_ref ref = qn__build(&l->b, QN__OP_CHECK, args, index ? 3 : 1, NULL, 0, NULL, 0, 0);
    if (ref) l->ir->instrs[ref].aux = (uint8_t)fault;
}
