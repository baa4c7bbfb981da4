// Constant expressions: `const`, sizes of local arrays, values of edges, dimensions. Also what a literal means in a
// type. A constant without a type behaves like a literal: integers are kept exactly (128 bits, limited to what fits i64
// or u64), floats as f64. A constant with a type is computed by the same rules as at run time (ir/eval.h), so moving an
// expression into a `const` never changes its value.
#include "compiler/check_private.h"

#include "ir/eval.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const qn__constant bad_constant = {.kind = QN__CONSTANT_NONE};

static qn__constant typed_constant(qn__type type, uint64_t bits) {
    uint8_t kind = type == QN__TYPE_BOOL ? QN__CONSTANT_BOOL
                   : qn__is_float(type)  ? QN__CONSTANT_FLOAT
                                         : QN__CONSTANT_INT;
    qn__constant value = {.kind = kind, .type = (uint8_t)type};
    if (kind == QN__CONSTANT_FLOAT) {
        value.real = qn__eval_to_f64(type, bits);
    } else if (kind == QN__CONSTANT_BOOL || !qn__is_signed(type)) {
        value.integer = (qn__wide)bits;
    } else {
        value.integer = qn__eval_int(type, bits);
    }
    return value;
}

static qn__constant integer_constant(qn__wide integer) {
    return (qn__constant){.kind = QN__CONSTANT_INT, .integer = integer};
}

static bool integer_fits(qn__wide value, qn__type type) {
    uint32_t bits = qn__type_bits(type);
    qn__wide one = 1;
    if (qn__is_signed(type)) return value >= -(one << (bits - 1)) && value < one << (bits - 1);
    return value >= 0 && value < one << bits;
}

// The spelling of a float literal, read as f32: needed where the f64 stands exactly between two f32.
static float literal_as_f32(const qn__checker *c, qn__node_id node, double real) {
    const qn__ast_node *n = qn__ast_get(c->ast, node);
    const qn__source *source = qn__sources_get(c->sources, n->span.file);
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    if ((bits & 0x1fffffff) != 0x10000000 || !source || n->span.end <= n->span.begin) return (float)real;
    char *plain = qn__arena_alloc(c->arena, (size_t)(n->span.end - n->span.begin) + 1);
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    float exact = (float)real;
    if (plain && locale) {
        size_t count = 0;
        for (uint32_t i = n->span.begin; i < n->span.end; i++) {
            if (source->text[i] != '_') plain[count++] = source->text[i];
        }
        exact = copysignf(strtof_l(plain, NULL, locale), (float)real);
    }
    if (locale) freelocale(locale);
    return exact;
}

static bool float_fits(const qn__checker *c, const qn__constant *value, qn__type type, uint64_t *bits,
                       const char **why) {
    double real = value->real;
    if (type == QN__TYPE_F32 && value->exact_text) real = literal_as_f32(c, value->node, real);
    *bits = qn__eval_from_f64(type, real);
    double back = qn__eval_to_f64(type, *bits);
    if (isinf(back) && !isinf(value->real)) {
        *why = "it is too large";
        return false;
    }
    if (back == 0 && value->real != 0) {
        *why = "it is so small that it would become 0";
        return false;
    }
    return true;
}

bool qn__constant_fits(const qn__checker *c, const qn__constant *value, qn__type type, uint64_t *bits,
                       const char **why) {
    *why = "its type is another";
    *bits = 0;
    if (value->kind == QN__CONSTANT_NONE || (value->type && value->type != type)) return false;
    if (value->kind == QN__CONSTANT_BOOL || type == QN__TYPE_BOOL) {
        *bits = (uint64_t)value->integer;
        return value->kind == QN__CONSTANT_BOOL && type == QN__TYPE_BOOL;
    }
    if (value->kind == QN__CONSTANT_FLOAT) {
        *why = "it is no integer number";
        return qn__is_float(type) && float_fits(c, value, type, bits, why);
    }
    if (qn__is_int(type)) {
        *why = value->integer < 0 ? "it is too small" : "it is too large";
        *bits = qn__eval_cut(type, (uint64_t)value->integer);
        return integer_fits(value->integer, type);
    }
    *bits = qn__eval_from_f64(type, (double)value->integer);
    double back = qn__eval_to_f64(type, *bits);
    *why = "it would be rounded";
    return !isinf(back) && fabs(back) < 0x1p100 && (qn__wide)back == value->integer;
}

bool qn__constant_literal(const qn__checker *c, qn__node_id node, qn__constant *value) {
    const qn__ast_node *n = qn__ast_get(c->ast, node);
    switch ((qn__ast_kind)n->kind) {
    case QN__AST_INTEGER:
        *value = integer_constant((qn__wide)n->value.integer);
        if (n->flags & QN__AST_OVERFLOW) *value = bad_constant;
        return true;
    case QN__AST_FLOAT:
        *value = (qn__constant){.kind = QN__CONSTANT_FLOAT, .exact_text = true, .node = node, .real = n->value.real};
        return true;
    case QN__AST_BOOLEAN:
        *value = (qn__constant){.kind = QN__CONSTANT_BOOL, .type = QN__TYPE_BOOL, .integer = n->value.integer != 0};
        return true;
    case QN__AST_UNARY:
        if (n->op != QN__UNARY_OP_NEGATE) return false;
        if (!qn__constant_literal(c, qn__ast_child(c->ast, node, QN__UNARY_OPERAND), value)) return false;
        if (value->kind == QN__CONSTANT_BOOL || value->integer < 0) return false;
        value->integer = -value->integer;
        value->real = -value->real;
        return true;
    default: return false; // all other kinds are no literals
    }
}

// ---- Evaluation ----
typedef struct evaluation {
    qn__body *b;
    const char *what;
} evaluation;

static qn__constant evaluate(evaluation *e, qn__node_id node);

static qn__constant not_constant(evaluation *e, qn__node_id node) {
    qn__diagnostic *d = qn__complain(e->b, NOT_CONSTANT, qn__ast_get(e->b->ast, node)->span, QN__SAY(e->what));
    qn__diagnostic_found(d, "%s", qn__source_text(e->b, node));
    qn__diagnostic_expected(d,
                            "literals, names of constants, operators, casts, abs, min, max, sqrt, floor, ceil, trunc");
    return bad_constant;
}

// Both operands in one type: the typed one's, else integers, else f64. NONE for two untyped integers.
static bool common_type(evaluation *e, qn__node_id node, qn__constant *x, qn__constant *y, qn__type *type) {
    *type = x->type ? (qn__type)x->type : (qn__type)y->type;
    if (!*type && (x->kind == QN__CONSTANT_FLOAT || y->kind == QN__CONSTANT_FLOAT)) *type = QN__TYPE_F64;
    if (!*type) return true;
    qn__constant *sides[] = {x, y};
    for (int i = 0; i < 2; i++) {
        uint64_t bits;
        const char *why;
        if (sides[i]->type && sides[i]->type != *type) {
            qn__diagnostic *d = qn__complain_plain(e->b, CONSTANT_TYPES, qn__ast_get(e->b->ast, node)->span);
            qn__diagnostic_found(d, "%s and %s", qn__type_table[x->type].name, qn__type_table[y->type].name);
            qn__diagnostic_hint(d, "write a cast, like %s(%s)", qn__type_table[*type].name, "...");
            return false;
        }
        if (!qn__constant_fits(e->b->c, sides[i], *type, &bits, &why)) {
            qn__diagnostic *d = qn__complain(e->b, LITERAL_RANGE, qn__ast_get(e->b->ast, node)->span,
                                             QN__SAY(qn__source_text(e->b, node)), QN__SAY(qn__type_table[*type].name));
            qn__diagnostic_note(d, QN__NO_SPAN, "%s", why);
            return false;
        }
        *sides[i] = typed_constant(*type, bits);
    }
    return true;
}

static qn__op binary_op(qn__ast_binary op) {
    switch (op) {
    case QN__BINARY_OP_OR:
    case QN__BINARY_OP_BIT_OR: return QN__OP_OR;
    case QN__BINARY_OP_AND:
    case QN__BINARY_OP_BIT_AND: return QN__OP_AND;
    case QN__BINARY_OP_EQUAL: return QN__OP_EQ;
    case QN__BINARY_OP_NOT_EQUAL: return QN__OP_NE;
    case QN__BINARY_OP_LESS: return QN__OP_LT;
    case QN__BINARY_OP_LESS_EQUAL: return QN__OP_LE;
    case QN__BINARY_OP_GREATER: return QN__OP_GT;
    case QN__BINARY_OP_GREATER_EQUAL: return QN__OP_GE;
    case QN__BINARY_OP_BIT_XOR: return QN__OP_XOR;
    case QN__BINARY_OP_SHIFT_LEFT: return QN__OP_SHL;
    case QN__BINARY_OP_SHIFT_RIGHT: return QN__OP_SHR;
    case QN__BINARY_OP_ADD: return QN__OP_ADD;
    case QN__BINARY_OP_SUBTRACT: return QN__OP_SUB;
    case QN__BINARY_OP_MULTIPLY: return QN__OP_MUL;
    case QN__BINARY_OP_DIVIDE: return QN__OP_DIV;
    case QN__BINARY_OP_REMAINDER: return QN__OP_REM;
    case QN__BINARY_OPS: break;
    }
    return QN__OP_ADD;
}

static bool is_comparison(qn__op op) {
    return op >= QN__OP_EQ && op <= QN__OP_GE;
}

// Two untyped integers. False when the operation gives nothing useful.
static bool wide_binary(qn__op op, qn__wide x, qn__wide y, qn__wide *out) {
    switch (op) {
    case QN__OP_ADD: *out = x + y; return true;
    case QN__OP_SUB: *out = x - y; return true;
    case QN__OP_MUL:
        if (y && (x > ((qn__wide)1 << 64) || x < -((qn__wide)1 << 64) || __builtin_mul_overflow(x, y, out)))
            return false;
        *out = x * y;
        return true;
    case QN__OP_DIV: *out = x / y; return true;
    case QN__OP_REM: *out = x % y; return true;
    case QN__OP_AND: *out = x & y; return true;
    case QN__OP_OR: *out = x | y; return true;
    case QN__OP_XOR: *out = x ^ y; return true;
    case QN__OP_SHL: *out = (qn__wide)((unsigned __int128)x << (unsigned)(y & 63)); return true;
    case QN__OP_SHR: *out = x >> (unsigned)(y & 63); return true;
    case QN__OP_MIN: *out = x < y ? x : y; return true;
    case QN__OP_MAX: *out = x > y ? x : y; return true;
    case QN__OP_EQ: *out = x == y; return true;
    case QN__OP_NE: *out = x != y; return true;
    case QN__OP_LT: *out = x < y; return true;
    case QN__OP_LE: *out = x <= y; return true;
    case QN__OP_GT: *out = x > y; return true;
    case QN__OP_GE: *out = x >= y; return true;
    default: return false; // no binary operation of the language
    }
}

static qn__constant overflow(evaluation *e, qn__node_id node) {
    qn__diagnostic *d = qn__complain_plain(e->b, CONSTANT_OVERFLOW, qn__ast_get(e->b->ast, node)->span);
    qn__diagnostic_expected(d, "a value from -9223372036854775808 to 18446744073709551615");
    qn__diagnostic_hint(d, "give the constant a type, like i64(...), to make it wrap, or use a float number");
    return bad_constant;
}

// qn__eval with f16 and bf16 computed in f32 and rounded.
static bool typed_op(qn__op op, qn__type type, const uint64_t *args, size_t count, qn__type result, uint64_t *bits) {
    if (type != QN__TYPE_F16 && type != QN__TYPE_BF16) return qn__eval(op, type, result, args, bits);
    uint64_t wide[3] = {0};
    for (size_t i = 0; i < count && i < 3; i++)
        wide[i] = qn__eval_from_f64(QN__TYPE_F32, qn__eval_to_f64(type, args[i]));
    qn__type wide_result = result == type ? QN__TYPE_F32 : result;
    if (!qn__eval(op, QN__TYPE_F32, wide_result, wide, bits)) return false;
    if (result == type) *bits = qn__eval_from_f64(type, qn__eval_to_f64(QN__TYPE_F32, *bits));
    return true;
}

static uint64_t bits_of(const qn__constant *value) {
    if (value->kind == QN__CONSTANT_FLOAT) return qn__eval_from_f64((qn__type)value->type, value->real);
    return qn__eval_cut((qn__type)value->type, (uint64_t)value->integer);
}

static qn__constant apply(evaluation *e, qn__node_id node, qn__op op, qn__constant x, qn__constant y) {
    bool untyped = !x.type && !y.type;
    qn__type type;
    if (!common_type(e, node, &x, &y, &type)) return bad_constant;
    bool zero = (op == QN__OP_DIV || op == QN__OP_REM) && y.kind == QN__CONSTANT_INT && y.integer == 0;
    if (zero) {
        qn__complain_plain(e->b, CONSTANT_DIVISION, qn__ast_get(e->b->ast, node)->span);
        return bad_constant;
    }
    if (!type) {
        qn__wide out;
        if (!wide_binary(op, x.integer, y.integer, &out)) return overflow(e, node);
        if (is_comparison(op)) return typed_constant(QN__TYPE_BOOL, (uint64_t)out);
        if (!integer_fits(out, QN__TYPE_I64) && !integer_fits(out, QN__TYPE_U64)) return overflow(e, node);
        return integer_constant(out);
    }
    uint64_t args[] = {bits_of(&x), bits_of(&y)}, bits;
    qn__type result = is_comparison(op) ? QN__TYPE_BOOL : type;
    if (op == QN__OP_REM && qn__is_float(type)) {
        bits = qn__eval_from_f64(type, fmod(x.real, y.real));
    } else if (!typed_op(op, type, args, 2, result, &bits)) {
        return not_constant(e, node);
    }
    qn__constant value = typed_constant(result, bits);
    if (untyped && value.kind == QN__CONSTANT_FLOAT) value.type = QN__TYPE_NONE;
    return value;
}

// a*b + c is one fma where the language says so (docs/language.md).
static bool is_product(evaluation *e, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(e->b->ast, node);
    return n->kind == QN__AST_BINARY && n->op == QN__BINARY_OP_MULTIPLY;
}

static bool evaluate_fused(evaluation *e, qn__node_id node, qn__constant *out) {
    qn__node_id left = qn__ast_child(e->b->ast, node, QN__BINARY_LEFT);
    qn__node_id right = qn__ast_child(e->b->ast, node, QN__BINARY_RIGHT);
    bool subtract = qn__ast_get(e->b->ast, node)->op == QN__BINARY_OP_SUBTRACT;
    bool from_left = is_product(e, left);
    qn__node_id product = from_left ? left : right;
    qn__constant a = evaluate(e, qn__ast_child(e->b->ast, product, QN__BINARY_LEFT));
    qn__constant b = evaluate(e, qn__ast_child(e->b->ast, product, QN__BINARY_RIGHT));
    qn__constant c = evaluate(e, from_left ? right : left);
    *out = bad_constant;
    if (!a.kind || !b.kind || !c.kind) return true;
    bool is_float = a.kind == QN__CONSTANT_FLOAT || b.kind == QN__CONSTANT_FLOAT || c.kind == QN__CONSTANT_FLOAT;
    if (!is_float) {
        qn__constant ab = apply(e, product, QN__OP_MUL, a, b);
        if (!ab.kind) return true;
        *out = from_left ? apply(e, node, subtract ? QN__OP_SUB : QN__OP_ADD, ab, c)
                         : apply(e, node, subtract ? QN__OP_SUB : QN__OP_ADD, c, ab);
        return true;
    }
    qn__type type;
    bool untyped = !a.type && !b.type && !c.type;
    if (!common_type(e, node, &a, &b, &type) || !common_type(e, node, &a, &c, &type) ||
        !common_type(e, node, &a, &b, &type)) {
        return true;
    }
    if (!qn__is_float(type)) return true;
    if (subtract && from_left) c.real = -c.real;
    if (subtract && !from_left) a.real = -a.real;
    uint64_t args[] = {bits_of(&a), bits_of(&b), bits_of(&c)}, bits;
    if (!typed_op(QN__OP_FMA, type, args, 3, type, &bits)) return true;
    *out = typed_constant(type, bits);
    if (untyped) out->type = QN__TYPE_NONE;
    return true;
}

static qn__constant evaluate_binary(evaluation *e, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(e->b->ast, node);
    qn__node_id left = qn__ast_child(e->b->ast, node, QN__BINARY_LEFT);
    qn__node_id right = qn__ast_child(e->b->ast, node, QN__BINARY_RIGHT);
    qn__constant fused;
    if ((n->op == QN__BINARY_OP_ADD || n->op == QN__BINARY_OP_SUBTRACT) &&
        (is_product(e, left) || is_product(e, right)) && evaluate_fused(e, node, &fused)) {
        return fused;
    }
    qn__constant x = evaluate(e, left), y = evaluate(e, right);
    if (!x.kind || !y.kind) return bad_constant;
    bool logical = n->op == QN__BINARY_OP_AND || n->op == QN__BINARY_OP_OR;
    if (logical && (x.kind != QN__CONSTANT_BOOL || y.kind != QN__CONSTANT_BOOL)) return not_constant(e, node);
    return apply(e, node, binary_op((qn__ast_binary)n->op), x, y);
}

static qn__constant evaluate_unary(evaluation *e, qn__node_id node) {
    qn__constant x;
    if (qn__constant_literal(e->b->c, node, &x)) return x;
    x = evaluate(e, qn__ast_child(e->b->ast, node, QN__UNARY_OPERAND));
    if (!x.kind) return x;
    qn__op op = qn__ast_get(e->b->ast, node)->op == QN__UNARY_OP_NEGATE ? QN__OP_NEG : QN__OP_NOT;
    bool is_not = qn__ast_get(e->b->ast, node)->op == QN__UNARY_OP_NOT;
    if (is_not != (x.kind == QN__CONSTANT_BOOL)) return not_constant(e, node);
    if (!x.type) {
        if (x.kind == QN__CONSTANT_FLOAT && op == QN__OP_NOT) return not_constant(e, node);
        x.integer = op == QN__OP_NEG ? -x.integer : ~x.integer;
        x.real = -x.real;
        if (x.kind == QN__CONSTANT_INT && !integer_fits(x.integer, QN__TYPE_I64) &&
            !integer_fits(x.integer, QN__TYPE_U64)) {
            return overflow(e, node);
        }
        return x;
    }
    uint64_t arg = bits_of(&x), bits;
    if (!typed_op(op, (qn__type)x.type, &arg, 1, (qn__type)x.type, &bits)) return not_constant(e, node);
    return typed_constant((qn__type)x.type, bits);
}

static qn__constant convert(evaluation *e, qn__node_id node, qn__constant x, qn__type type) {
    uint64_t bits;
    const char *why;
    if (!x.type && qn__constant_fits(e->b->c, &x, type, &bits, &why)) return typed_constant(type, bits);
    if (!x.type) {
        qn__type own = x.kind == QN__CONSTANT_FLOAT            ? QN__TYPE_F64
                       : integer_fits(x.integer, QN__TYPE_I64) ? QN__TYPE_I64
                                                               : QN__TYPE_U64;
        x.type = (uint8_t)own;
    }
    if (x.type == type) return x;
    uint64_t arg = bits_of(&x);
    if (!qn__eval(QN__OP_CONVERT, (qn__type)x.type, type, &arg, &bits)) return not_constant(e, node);
    return typed_constant(type, bits);
}

static qn__constant evaluate_call(evaluation *e, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(e->b->ast, node);
    const qn__checker *c = e->b->c;
    qn__type type = n->name < c->name_count ? (qn__type)c->type[n->name] : QN__TYPE_NONE;
    qn__builtin builtin = n->name < c->name_count ? (qn__builtin)c->builtin[n->name] : QN__BUILTIN_NONE;
    if (type && n->child_count == 1) {
        qn__constant x = evaluate(e, qn__ast_child(e->b->ast, node, 0));
        return x.kind ? convert(e, node, x, type) : x;
    }
    const qn__builtin_info *info = &qn__builtin_table[builtin];
    if (!builtin || info->result != QN__RESULT_SAME || info->arity != n->child_count || info->arity > 2) {
        return not_constant(e, node);
    }
    qn__constant x = evaluate(e, qn__ast_child(e->b->ast, node, 0));
    if (!x.kind) return x;
    if (info->arity == 2) {
        qn__constant y = evaluate(e, qn__ast_child(e->b->ast, node, 1));
        return y.kind ? apply(e, node, info->op, x, y) : y;
    }
    bool untyped = !x.type;
    if (untyped && x.kind == QN__CONSTANT_INT && (info->arguments & QN__SET_INT)) {
        if (info->op != QN__OP_ABS) return not_constant(e, node);
        return integer_constant(x.integer < 0 ? -x.integer : x.integer);
    }
    if (untyped) x = convert(e, node, x, QN__TYPE_F64);
    uint64_t arg = bits_of(&x), bits;
    if (!x.kind || !(info->arguments & QN__SET_OF(x.type)) ||
        !typed_op(info->op, (qn__type)x.type, &arg, 1, (qn__type)x.type, &bits)) {
        return not_constant(e, node);
    }
    x = typed_constant((qn__type)x.type, bits);
    if (untyped) x.type = QN__TYPE_NONE;
    return x;
}

static bool literal_name(const qn__checker *c, qn__name name, qn__constant *value) {
    *value = (qn__constant){.kind = QN__CONSTANT_FLOAT};
    if (!name) return false;
    if (name == c->name_pi)
        value->real = 3.14159265358979323846;
    else if (name == c->name_inf)
        value->real = INFINITY;
    else if (name == c->name_nan)
        value->real = NAN;
    else
        return false;
    return true;
}

static qn__constant evaluate_name(evaluation *e, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(e->b->ast, node);
    qn__constant value;
    if (e->b->scope && qn__lookup(e->b, n->name) != QN__NO_REF) return not_constant(e, node);
    if (literal_name(e->b->c, n->name, &value)) return value;
    uint32_t item = qn__check_find_item(e->b->c, n->name, node);
    if (item != QN__NO_REF && qn__ast_kind_of(e->b->ast, e->b->c->items[item].item.node) == QN__AST_CONST) {
        qn__constant_of_item(e->b->c, item, &value);
        return value;
    }
    if (item != QN__NO_REF) return not_constant(e, node);
    qn__complain_unknown(e->b, node, false);
    return bad_constant;
}

static qn__constant evaluate(evaluation *e, qn__node_id node) {
    qn__constant value;
    if (e->b->c->evaluate_depth > QN__CHECK_DEPTH) {
        qn__complain(e->b, EXPRESSION_TOO_DEEP, qn__ast_get(e->b->ast, node)->span, QN__SAY_UINT(QN__CHECK_DEPTH));
        return bad_constant;
    }
    e->b->c->evaluate_depth++;
    if (qn__ast_kind_of(e->b->ast, node) == QN__AST_UNARY) {
        value = evaluate_unary(e, node);
    } else if (qn__constant_literal(e->b->c, node, &value)) {
        // done
    } else {
        switch (qn__ast_kind_of(e->b->ast, node)) {
        case QN__AST_BINARY: value = evaluate_binary(e, node); break;
        case QN__AST_CALL: value = evaluate_call(e, node); break;
        case QN__AST_NAME: value = evaluate_name(e, node); break;
        case QN__AST_ERROR:
            value = bad_constant;
            e->b->failed = true;
            break;
        default: value = not_constant(e, node); break; // reads, blocks, reductions
        }
    }
    e->b->c->evaluate_depth--;
    return value;
}

bool qn__constant_evaluate(qn__body *b, qn__node_id node, const char *what, qn__constant *value) {
    evaluation e = {.b = b, .what = what};
    *value = evaluate(&e, node);
    return value->kind != QN__CONSTANT_NONE;
}

static void constant_declared_type(qn__body *b, qn__node_id node, qn__constant *value) {
    qn__node_id type_node = qn__ast_child(b->ast, node, QN__CONST_TYPE);
    if (!type_node) return;
    bool is_size = false;
    qn__type type = qn__check_type_name(b, type_node, &is_size);
    uint64_t bits;
    const char *why;
    if (type && qn__ast_count(b->ast, type_node)) {
        qn__diagnostic *d = qn__complain_plain(b, CONSTANT_ARRAY, qn__ast_get(b->ast, type_node)->span);
        qn__diagnostic_expected(d, "a scalar type, like %s", qn__type_table[type].name);
        type = QN__TYPE_NONE;
    }
    if (!type || !value->kind) {
        *value = bad_constant;
    } else if (qn__constant_fits(b->c, value, type, &bits, &why)) {
        *value = typed_constant(type, bits);
    } else {
        qn__node_id expression = qn__ast_child(b->ast, node, QN__CONST_VALUE);
        qn__diagnostic *d = qn__complain(b, LITERAL_RANGE, qn__ast_get(b->ast, expression)->span,
                                         QN__SAY(qn__source_text(b, expression)), QN__SAY(qn__type_table[type].name));
        qn__diagnostic_note(d, QN__NO_SPAN, "%s", why);
        if (value->type)
            qn__diagnostic_hint(d, "write %s(%s)", qn__type_table[type].name, qn__source_text(b, expression));
        *value = bad_constant;
    }
}

bool qn__constant_of_item(qn__checker *c, uint32_t item, qn__constant *value) {
    qn__item_info *info = &c->items[item];
    *value = bad_constant;
    qn__node_id node = info->item.node;
    if (info->state == QN__ITEM_BUSY) {
        c->failed = true;
        qn__diagnostic *d = qn__report(c->sink, QN__DIAG_CONSTANT_CYCLE, qn__ast_name_span(c->ast, node),
                                       QN__SAY(qn__check_name(c, qn__ast_get(c->ast, node)->name)));
        qn__diagnostic_hint(d, "let one of the constants be a literal");
        info->state = QN__ITEM_BAD;
    }
    if (info->state == QN__ITEM_NEW) {
        info->state = QN__ITEM_BUSY;
        qn__body b = {.c = c, .ast = c->ast};
        qn__constant result;
        qn__constant_evaluate(&b, qn__ast_child(c->ast, node, QN__CONST_VALUE), "a constant", &result);
        constant_declared_type(&b, node, &result);
        if (info->state == QN__ITEM_BAD) result = bad_constant;
        info->constant = result;
        info->state = result.kind ? QN__ITEM_DONE : QN__ITEM_BAD;
        if (!result.kind) c->failed = true;
    }
    *value = info->constant;
    return value->kind != QN__CONSTANT_NONE;
}
