/* Expressions: each becomes instructions at the builder's place, in the order left to right, and values.
 *
 * Most expressions have one value. Calls of functions with several results, argmin and argmax over several indices, and
 * blocks and ifs that end in such, have more: qn__lower_values serves both. */
#include "compiler/lower_private.h"

#include <string.h>

/* ---- helpers ---- */

bool qn__lower_is_product(const qn__lowering *l, qn__node_id node) {
    const qn__ast_node *a = qn__ast_get(l->ast, node);
    const qn__typed_node *n = qn__lower_node(l, node);
    return a->kind == QN__AST_BINARY && a->op == QN__BINARY_OP_MULTIPLY && n->meaning != QN__MEANS_CONSTANT &&
           (n->type == QN__TYPE_F32 || n->type == QN__TYPE_F64);
}

bool qn__lower_list_product(const qn__lowering *l, qn__node_id list, uint32_t index, uint32_t count) {
    return qn__ast_count(l->ast, list) == count && qn__lower_is_product(l, qn__lower_child(l, list, index));
}

qn__value qn__lower_index_value(qn__lowering *l, qn__node_id node) {
    const qn__value v = qn__lower_expression(l, node);
    return qn__lower_cast(l, v, QN__TYPE_I64);
}

/* ---- names ---- */

static qn__value name(qn__lowering *l, qn__node_id node) {
    const qn__typed_node *n = qn__lower_node(l, node);
    if (n->meaning != QN__MEANS_VARIABLE || n->ref >= l->typed->variable_count) {
        qn__lower_internal(l, node, "a name without a meaning");
        return 0;
    }
    const qn__lower_variable *v = l->variables ? &l->variables[n->ref] : NULL;
    if (v && v->array != QN__NO_REF) {
        const uint32_t array = v->copy != QN__NO_REF ? v->copy : v->array;
        return qn__build_load(&l->b, array, NULL, 0);
    }
    if (!l->slots[n->ref]) qn__lower_internal(l, node, "a variable without a value");
    return l->slots[n->ref];
}

/* ---- calls ---- */

void qn__lower_call(qn__lowering *l, qn__node_id node, uint32_t function, const qn__value *args, uint32_t arg_count,
                    qn__value *results, uint32_t result_count) {
    const qn__typed *callee = function < l->checked->function_count ? l->checked->functions[function] : NULL;
    const bool through = qn__lower_node(l, node)->flags & QN__THROUGH_F32;
    if (!callee || callee->parameter_count != arg_count || callee->result_count != result_count) {
        qn__lower_internal(l, node, "a call that does not fit its function");
        return;
    }
    const uint32_t number = qn__lower_function(l, node, function);
    qn__value *values = QN__ARENA_ARRAY(l->arena, qn__value, arg_count);
    if (!values) {
        l->ir->failed = true;
        return;
    }
    qn__type narrow = QN__TYPE_NONE;
    for (uint32_t i = 0; i < arg_count; i++) {
        const qn__type type = qn__lower_type(l, args[i]);
        if (through && qn__lower_wide(type) != type) narrow = type;
        values[i] = through ? qn__lower_cast(l, args[i], qn__lower_wide(type)) : args[i];
    }
    const qn__instr_ref ref =
        qn__build(&l->b, QN__OP_CALL, values, arg_count, callee->results, result_count, NULL, 0, number);
    if (!ref) return;
    for (uint32_t i = 0; i < result_count; i++) {
        results[i] = qn__result(l->ir, ref, i);
        if (narrow && callee->results[i] == QN__TYPE_F32) results[i] = qn__lower_cast(l, results[i], narrow);
    }
}

static void call(qn__lowering *l, qn__node_id node, qn__value *results, uint32_t count) {
    const qn__typed_node *n = qn__lower_node(l, node);
    const uint32_t arg_count = qn__ast_count(l->ast, node);
    qn__value *args = QN__ARENA_ARRAY(l->arena, qn__value, arg_count);
    if (!args) {
        l->ir->failed = true;
        return;
    }
    for (uint32_t i = 0; i < arg_count; i++) args[i] = qn__lower_expression(l, qn__lower_child(l, node, i));
    qn__lower_at(l, node);
    const qn__type type = (qn__type)n->type;
    if (n->meaning == QN__MEANS_FUNCTION) {
        qn__lower_call(l, node, n->ref, args, arg_count, results, count);
    } else if (count != 1) {
        qn__lower_internal(l, node, "a call with one result where several are needed");
    } else if (n->meaning == QN__MEANS_EXTERN) {
        const uint32_t number = qn__lower_extern(l, n->ref);
        const qn__instr_ref ref = qn__build(&l->b, QN__OP_EXTERN_CALL, args, arg_count, &type, 1, NULL, 0, number);
        if (ref) results[0] = qn__result(l->ir, ref, 0);
    } else if (n->meaning == QN__MEANS_CAST && arg_count == 1) {
        results[0] = qn__lower_cast(l, args[0], type);
    } else if (n->meaning == QN__MEANS_OP && (n->ref == QN__OP_BITCAST || n->ref == QN__OP_CONVERT) && arg_count == 1) {
        results[0] = qn__build_cast(&l->b, (qn__op)n->ref, type, args[0]);
    } else if (n->meaning == QN__MEANS_OP && n->ref < QN__OP_COUNT && qn__op_table[n->ref].args == (int)arg_count) {
        results[0] = qn__lower_op(l, (qn__op)n->ref, args, arg_count);
    } else {
        qn__lower_internal(l, node, "a call without a meaning");
    }
}

qn__value qn__lower_combine(qn__lowering *l, qn__node_id node, qn__value a, qn__value b) {
    const qn__typed_node *n = qn__lower_node(l, node);
    qn__value result = 0;
    if (n->meaning == QN__MEANS_FUNCTION)
        qn__lower_call(l, node, n->ref, (qn__value[]){a, b}, 2, &result, 1);
    else if (n->meaning == QN__MEANS_OP && n->ref < QN__OP_COUNT)
        result = qn__lower_binary(l, (qn__op)n->ref, a, b, 0);
    else
        qn__lower_internal(l, node, "a reduction without an operation");
    return result;
}

/* ---- operators ---- */

static qn__value unary(qn__lowering *l, qn__node_id node) {
    const qn__value v = qn__lower_expression(l, qn__lower_child(l, node, QN__UNARY_OPERAND));
    qn__lower_at(l, node);
    switch ((qn__ast_unary)qn__ast_get(l->ast, node)->op) {
    case QN__UNARY_OP_NEGATE: return qn__lower_op(l, QN__OP_NEG, &v, 1);
    case QN__UNARY_OP_COMPLEMENT:
    case QN__UNARY_OP_NOT: return qn__lower_op(l, QN__OP_NOT, &v, 1);
    case QN__UNARY_OPS: break;
    }
    qn__lower_internal(l, node, "an unknown operator");
    return 0;
}

static qn__op binary_op(qn__ast_binary op) {
    switch (op) {
    case QN__BINARY_OP_AND:
    case QN__BINARY_OP_BIT_AND: return QN__OP_AND;
    case QN__BINARY_OP_OR:
    case QN__BINARY_OP_BIT_OR: return QN__OP_OR;
    case QN__BINARY_OP_BIT_XOR: return QN__OP_XOR;
    case QN__BINARY_OP_EQUAL: return QN__OP_EQ;
    case QN__BINARY_OP_NOT_EQUAL: return QN__OP_NE;
    case QN__BINARY_OP_LESS: return QN__OP_LT;
    case QN__BINARY_OP_LESS_EQUAL: return QN__OP_LE;
    case QN__BINARY_OP_GREATER: return QN__OP_GT;
    case QN__BINARY_OP_GREATER_EQUAL: return QN__OP_GE;
    case QN__BINARY_OP_SHIFT_LEFT: return QN__OP_SHL;
    case QN__BINARY_OP_SHIFT_RIGHT: return QN__OP_SHR;
    case QN__BINARY_OP_ADD: return QN__OP_ADD;
    case QN__BINARY_OP_SUBTRACT: return QN__OP_SUB;
    case QN__BINARY_OP_MULTIPLY: return QN__OP_MUL;
    case QN__BINARY_OP_DIVIDE: return QN__OP_DIV;
    case QN__BINARY_OP_REMAINDER: return QN__OP_REM;
    case QN__BINARY_OPS: break;
    }
    return QN__OP_COUNT;
}

static qn__value binary(qn__lowering *l, qn__node_id node) {
    const qn__typed_node *n = qn__lower_node(l, node);
    const qn__ast_binary written = (qn__ast_binary)qn__ast_get(l->ast, node)->op;
    const qn__node_id left = qn__lower_child(l, node, QN__BINARY_LEFT),
                      right = qn__lower_child(l, node, QN__BINARY_RIGHT);
    const qn__op op = binary_op(written);
    const qn__value a = qn__lower_expression(l, left);
    qn__lower_at(l, node);
    if (written == QN__BINARY_OP_AND || written == QN__BINARY_OP_OR)
        return qn__lower_logic(l, a, right, written == QN__BINARY_OP_AND);
    const qn__value c = qn__lower_expression(l, right);
    qn__lower_at(l, node);
    if (n->meaning == QN__MEANS_FUNCTION) { /* % of floats */
        qn__value result = 0;
        qn__lower_call(l, node, n->ref, (qn__value[]){a, c}, 2, &result, 1);
        return result;
    }
    if (op == QN__OP_SHL || op == QN__OP_SHR) return qn__lower_shift(l, op, a, c);
    if (op == QN__OP_DIV || op == QN__OP_REM) return qn__lower_divide(l, op, a, c);
    uint16_t flags = 0;
    if (op == QN__OP_ADD || op == QN__OP_SUB)
        flags = qn__lower_is_product(l, left) ? QN__FUSE_LEFT : qn__lower_is_product(l, right) ? QN__FUSE_RIGHT : 0;
    return qn__lower_binary(l, op, a, c, flags);
}

/* ---- if and block ---- */

static void if_value(qn__lowering *l, qn__node_id node, qn__value *results, uint32_t count) {
    const qn__node_id yes = qn__lower_child(l, node, QN__IF_VALUE_THEN),
                      no = qn__lower_child(l, node, QN__IF_VALUE_ELSE);
    const qn__value condition = qn__lower_expression(l, qn__lower_child(l, node, QN__IF_VALUE_CONDITION));
    qn__lower_at(l, node);
    uint32_t slot_count = 0;
    const uint32_t *slots = qn__lower_assigned(l, (qn__node_id[]){yes, no}, 2, &slot_count);
    qn__value values[QN__LOWER_RESULTS] = {0};
    qn__lower_if f;
    qn__lower_if_begin(l, &f, condition, slots, slot_count);
    qn__lower_values(l, yes, values, count);
    qn__lower_if_else(l, &f, values, count);
    memset(values, 0, sizeof values);
    qn__lower_values(l, no, values, count);
    qn__lower_at(l, node);
    qn__lower_if_end(l, &f, values, results);
}

static void block_value(qn__lowering *l, qn__node_id node, qn__value *results, uint32_t count) {
    qn__lower_block(l, qn__lower_child(l, node, QN__BLOCK_VALUE_BODY));
    qn__lower_list(l, qn__lower_child(l, node, QN__BLOCK_VALUE_RESULTS), results, count);
}

/* ---- all ---- */

static qn__value one_value(qn__lowering *l, qn__node_id node) {
    const qn__typed_node *n = qn__lower_node(l, node);
    switch (qn__ast_kind_of(l->ast, node)) {
    case QN__AST_NAME: return name(l, node);
    case QN__AST_INDEX: return n->meaning == QN__MEANS_LOCAL ? qn__lower_load_local(l, node) : qn__lower_load(l, node);
    case QN__AST_UNARY: return unary(l, node);
    case QN__AST_BINARY: return binary(l, node);
    default: qn__lower_internal(l, node, "an expression that has no value here"); return 0;
    }
}

void qn__lower_values(qn__lowering *l, qn__node_id node, qn__value *values, uint32_t count) {
    if (count > QN__LOWER_RESULTS) {
        qn__lower_internal(l, node, "an expression with too many values");
        return;
    }
    if (!node || !qn__lower_enter(l, node)) return;
    const qn__typed_node *n = qn__lower_node(l, node);
    const qn__ast_kind kind = qn__ast_kind_of(l->ast, node);
    qn__lower_at(l, node);
    if (n->meaning == QN__MEANS_CONSTANT && count == 1) {
        values[0] = qn__build_const(&l->b, (qn__type)n->type, n->bits);
    } else if (kind == QN__AST_CALL) {
        call(l, node, values, count);
    } else if (kind == QN__AST_IF_VALUE) {
        if_value(l, node, values, count);
    } else if (kind == QN__AST_BLOCK_VALUE) {
        block_value(l, node, values, count);
    } else if (kind == QN__AST_REDUCTION || kind == QN__AST_REDUCE) {
        qn__lower_reduction(l, node, values, count);
    } else if (count == 1) {
        values[0] = one_value(l, node);
    } else {
        qn__lower_internal(l, node, "an expression with one value where several are needed");
    }
    qn__lower_leave(l);
}

qn__value qn__lower_expression(qn__lowering *l, qn__node_id node) {
    qn__value value = 0;
    qn__lower_values(l, node, &value, 1);
    return value;
}

void qn__lower_list(qn__lowering *l, qn__node_id list, qn__value *values, uint32_t count) {
    const uint32_t written = qn__ast_count(l->ast, list);
    if (written == count) {
        for (uint32_t i = 0; i < count; i++) values[i] = qn__lower_expression(l, qn__lower_child(l, list, i));
    } else if (written == 1) {
        qn__lower_values(l, qn__lower_child(l, list, 0), values, count);
    } else {
        qn__lower_internal(l, list, "a list of values that does not fit");
    }
}
