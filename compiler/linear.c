// Linear forms constant + sum(factor * atom): how extents, range bounds and subscripts are compared. Atoms are integer
// scalars that keep their value (parameters, sizes, lets, indices), products and quotients of forms, and opaque values
// that equal only themselves. Overflow or too many terms makes a form opaque: never wrong, only unknown.
#include "compiler/check_private.h"

#include <string.h>

qn__linear qn__linear_constant(int64_t value) {
    return (qn__linear){.constant = value};
}

qn__linear qn__linear_atom(uint32_t atom) {
    qn__linear x = {.count = 1};
    x.term[0].atom = atom;
    x.term[0].factor = 1;
    return x;
}

static uint32_t add_atom(qn__body *b, qn__atom atom) {
    qn__atom *grown = qn__arena_grow(b->c->arena, b->atoms, &b->atom_capacity, b->atom_count + 1, sizeof *grown);
    if (!grown) {
        b->failed = true;
        return 0; // there is one since the body began
    }
    b->atoms = grown;
    b->atoms[b->atom_count] = atom;
    return (uint32_t)b->atom_count++;
}

qn__linear qn__linear_opaque(qn__body *b, bool varying) {
    return qn__linear_atom(add_atom(b, (qn__atom){.kind = QN__ATOM_OPAQUE, .varying = varying}));
}

qn__linear qn__linear_variable(qn__body *b, uint32_t variable) {
    qn__info *info = &b->info[variable];
    uint8_t kind = b->t->variables[variable].kind;
    if (kind == QN__VARIABLE_VAR || kind == QN__VARIABLE_TEMP || kind == QN__VARIABLE_OUTPUT) {
        return qn__linear_opaque(b, info->varying);
    }
    if (!info->atom) {
        uint32_t atom =
            add_atom(b, (qn__atom){.kind = QN__ATOM_VARIABLE, .variable = variable, .varying = info->varying});
        b->info[variable].atom = atom + 1;
    }
    return qn__linear_atom(b->info[variable].atom - 1);
}

bool qn__linear_combine(qn__linear *into, qn__linear x, int64_t factor, qn__linear y) {
    qn__linear sum = {0};
    int64_t scaled;
    if (__builtin_mul_overflow(y.constant, factor, &scaled) ||
        __builtin_add_overflow(x.constant, scaled, &sum.constant)) {
        return false;
    }
    uint32_t i = 0, j = 0;
    while (i < x.count || j < y.count) {
        uint32_t atom;
        int64_t f = 0;
        bool take_x = i < x.count && (j >= y.count || x.term[i].atom <= y.term[j].atom);
        bool take_y = j < y.count && (i >= x.count || y.term[j].atom <= x.term[i].atom);
        atom = take_x ? x.term[i].atom : y.term[j].atom;
        if (take_y && __builtin_mul_overflow(y.term[j++].factor, factor, &f)) return false;
        if (take_x && __builtin_add_overflow(f, x.term[i++].factor, &f)) return false;
        if (!f) continue;
        if (sum.count == QN__LINEAR_TERMS) return false;
        sum.term[sum.count].atom = atom;
        sum.term[sum.count++].factor = f;
    }
    *into = sum;
    return true;
}

bool qn__linear_equal(const qn__linear *x, const qn__linear *y) {
    if (x->constant != y->constant || x->count != y->count) return false;
    for (uint32_t i = 0; i < x->count; i++) {
        if (x->term[i].atom != y->term[i].atom || x->term[i].factor != y->term[i].factor) return false;
    }
    return true;
}

bool qn__linear_is(const qn__linear *x, int64_t value) {
    return x->count == 0 && x->constant == value;
}

static bool any_varying(qn__body *b, const qn__linear *x) {
    for (uint32_t i = 0; i < x->count; i++) {
        if (b->atoms[x->term[i].atom].varying) return true;
    }
    return false;
}

qn__linear qn__linear_compound(qn__body *b, qn__atom_kind kind, qn__linear left, qn__linear right) {
    if (kind == QN__ATOM_MULTIPLY) {
        qn__linear product;
        if (!left.count && qn__linear_combine(&product, qn__linear_constant(0), left.constant, right)) return product;
        if (!right.count && qn__linear_combine(&product, qn__linear_constant(0), right.constant, left)) return product;
    }
    for (size_t i = 0; i < b->atom_count; i++) {
        const qn__atom *a = &b->atoms[i];
        if (a->kind != kind) continue;
        if (qn__linear_equal(&a->left, &left) && qn__linear_equal(&a->right, &right))
            return qn__linear_atom((uint32_t)i);
        if (kind == QN__ATOM_MULTIPLY && qn__linear_equal(&a->left, &right) && qn__linear_equal(&a->right, &left)) {
            return qn__linear_atom((uint32_t)i);
        }
    }
    if (b->atom_count > 4096) return qn__linear_opaque(b, true);
    bool varying = any_varying(b, &left) || any_varying(b, &right);
    return qn__linear_atom(
        add_atom(b, (qn__atom){.kind = (uint8_t)kind, .varying = varying, .left = left, .right = right}));
}

static bool linear_binary(qn__body *b, qn__node_id node, qn__linear *result) {
    qn__linear x = qn__linear_of(b, qn__ast_child(b->ast, node, QN__BINARY_LEFT));
    qn__linear y = qn__linear_of(b, qn__ast_child(b->ast, node, QN__BINARY_RIGHT));
    switch ((qn__ast_binary)qn__ast_get(b->ast, node)->op) {
    case QN__BINARY_OP_ADD: return qn__linear_combine(result, x, 1, y);
    case QN__BINARY_OP_SUBTRACT: return qn__linear_combine(result, x, -1, y);
    case QN__BINARY_OP_MULTIPLY: *result = qn__linear_compound(b, QN__ATOM_MULTIPLY, x, y); return true;
    case QN__BINARY_OP_DIVIDE: *result = qn__linear_compound(b, QN__ATOM_DIVIDE, x, y); return true;
    case QN__BINARY_OP_REMAINDER: *result = qn__linear_compound(b, QN__ATOM_REMAINDER, x, y); return true;
    case QN__BINARY_OP_OR:
    case QN__BINARY_OP_AND:
    case QN__BINARY_OP_EQUAL:
    case QN__BINARY_OP_NOT_EQUAL:
    case QN__BINARY_OP_LESS:
    case QN__BINARY_OP_LESS_EQUAL:
    case QN__BINARY_OP_GREATER:
    case QN__BINARY_OP_GREATER_EQUAL:
    case QN__BINARY_OP_BIT_OR:
    case QN__BINARY_OP_BIT_XOR:
    case QN__BINARY_OP_BIT_AND:
    case QN__BINARY_OP_SHIFT_LEFT:
    case QN__BINARY_OP_SHIFT_RIGHT:
    case QN__BINARY_OPS: break;
    }
    return false;
}

// Arithmetic of narrow types wraps, so only i64 (and open literals) may be regrouped; a variable or constant alone is
// exact in any type.
static bool is_wide(qn__body *b, qn__node_id node) {
    qn__type type = qn__term_type(b, qn__node_term(b, node));
    return type == QN__TYPE_NONE || type == QN__TYPE_I64;
}

static bool linear_call(qn__body *b, qn__node_id node, qn__linear *result) {
    const qn__typed_node *t = qn__node(b, node);
    uint32_t count = qn__ast_count(b->ast, node);
    if (t->meaning == QN__MEANS_CAST && count == 1) {
        qn__node_id operand = qn__ast_child(b->ast, node, 0);
        qn__type from = qn__term_type(b, qn__node_term(b, operand));
        if (is_wide(b, node) && qn__is_int(from) && (qn__type_bits(from) < 64 || from == QN__TYPE_I64)) {
            *result = qn__linear_of(b, operand);
            return true;
        }
    }
    if (t->meaning == QN__MEANS_OP && count == 2 && (t->ref == QN__OP_MIN || t->ref == QN__OP_MAX)) {
        *result = qn__linear_compound(b, t->ref == QN__OP_MIN ? QN__ATOM_MIN : QN__ATOM_MAX,
                                      qn__linear_of(b, qn__ast_child(b->ast, node, 0)),
                                      qn__linear_of(b, qn__ast_child(b->ast, node, 1)));
        return true;
    }
    return false;
}

// One atom per node, however often it is asked.
static qn__linear opaque_node(qn__body *b, qn__node_id node) {
    uint32_t *atom = &b->opaque[node - b->t->item.first];
    if (!*atom) {
        qn__linear x = qn__linear_opaque(b, true);
        *atom = x.term[0].atom + 1;
    }
    return qn__linear_atom(*atom - 1);
}

qn__linear qn__linear_of(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__linear result;
    const qn__typed_node *t = qn__node(b, node);
    if (t->meaning == QN__MEANS_CONSTANT && t->ref) {
        const qn__constant *value = &b->literals[t->ref - 1].constant;
        if (value->kind == QN__CONSTANT_INT && value->integer >= INT64_MIN && value->integer <= INT64_MAX) {
            return qn__linear_constant((int64_t)value->integer);
        }
        return opaque_node(b, node);
    }
    switch ((qn__ast_kind)n->kind) {
    case QN__AST_NAME:
        if (t->meaning == QN__MEANS_VARIABLE) return qn__linear_variable(b, t->ref);
        break;
    case QN__AST_UNARY:
        if (n->op == QN__UNARY_OP_NEGATE && is_wide(b, node) &&
            qn__linear_combine(&result, qn__linear_constant(0), -1, qn__linear_of(b, qn__ast_child(b->ast, node, 0)))) {
            return result;
        }
        break;
    case QN__AST_BINARY:
        if (is_wide(b, node) && linear_binary(b, node, &result)) return result;
        break;
    case QN__AST_CALL:
        if (linear_call(b, node, &result)) return result;
        break;
    default: break; // the many kinds that are no linear form
    }
    return opaque_node(b, node);
}

qn__linear qn__linear_of_dim(qn__body *b, const qn__signature *s, uint32_t dim) {
    const qn__dim *d = &s->dims[dim];
    qn__linear x, y, sum;
    static const uint8_t compound[] = {[QN__DIM_MUL] = QN__ATOM_MULTIPLY,
                                       [QN__DIM_DIV] = QN__ATOM_DIVIDE,
                                       [QN__DIM_REM] = QN__ATOM_REMAINDER,
                                       [QN__DIM_MIN] = QN__ATOM_MIN,
                                       [QN__DIM_MAX] = QN__ATOM_MAX};
    switch ((qn__dim_op)d->op) {
    case QN__DIM_CONST: return qn__linear_constant(d->value);
    case QN__DIM_SYMBOL: return qn__linear_variable(b, s->parameter_count + (uint32_t)d->value);
    case QN__DIM_SCALAR:
        for (uint32_t i = 0; i < s->input_count; i++) {
            if (s->parameters[i].kind == QN__PARAMETER_SCALAR && s->parameters[i].index == (uint32_t)d->value) {
                return qn__linear_variable(b, i);
            }
        }
        break;
    case QN__DIM_ADD:
    case QN__DIM_SUB:
        x = qn__linear_of_dim(b, s, d->left);
        y = qn__linear_of_dim(b, s, d->right);
        if (qn__linear_combine(&sum, x, d->op == QN__DIM_ADD ? 1 : -1, y)) return sum;
        break;
    case QN__DIM_MUL:
    case QN__DIM_DIV:
    case QN__DIM_REM:
    case QN__DIM_MIN:
    case QN__DIM_MAX:
        x = qn__linear_of_dim(b, s, d->left);
        y = qn__linear_of_dim(b, s, d->right);
        return qn__linear_compound(b, (qn__atom_kind)compound[d->op], x, y);
    }
    return qn__linear_opaque(b, false);
}

// ---- In words, for messages ----
static void append(char *text, size_t size, const char *more) {
    size_t used = strlen(text), n = strlen(more);
    if (used + n + 1 > size) n = size - used - 1;
    memcpy(text + used, more, n);
    text[used + n] = 0;
}

static void append_number(char *text, size_t size, int64_t value) {
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    append(text, size, digits + at);
}

static void append_atom(qn__body *b, char *text, size_t size, const qn__atom *atom) {
    static const char *const signs[] = {[QN__ATOM_MULTIPLY] = "*", [QN__ATOM_DIVIDE] = "/", [QN__ATOM_REMAINDER] = "%"};
    switch ((qn__atom_kind)atom->kind) {
    case QN__ATOM_VARIABLE: append(text, size, b->t->variables[atom->variable].name); return;
    case QN__ATOM_OPAQUE: append(text, size, "..."); return;
    case QN__ATOM_MIN:
    case QN__ATOM_MAX:
        append(text, size, atom->kind == QN__ATOM_MIN ? "min(" : "max(");
        append(text, size, qn__linear_text(b, &atom->left));
        append(text, size, ", ");
        append(text, size, qn__linear_text(b, &atom->right));
        append(text, size, ")");
        return;
    case QN__ATOM_MULTIPLY:
    case QN__ATOM_DIVIDE:
    case QN__ATOM_REMAINDER:
        for (int side = 0; side < 2; side++) {
            const qn__linear *x = side ? &atom->right : &atom->left;
            bool simple = x->count == 0 || (x->count == 1 && x->term[0].factor == 1 && x->constant == 0);
            append(text, size, simple ? "" : "(");
            append(text, size, qn__linear_text(b, x));
            append(text, size, simple ? "" : ")");
            if (!side) append(text, size, signs[atom->kind]);
        }
        return;
    }
}

const char *qn__linear_text(qn__body *b, const qn__linear *x) {
    char text[200] = "";
    for (uint32_t i = 0; i < x->count; i++) {
        int64_t f = x->term[i].factor;
        if (f < 0)
            append(text, sizeof text, i ? " - " : "-");
        else if (i)
            append(text, sizeof text, " + ");
        if (f != 1 && f != -1) {
            append_number(text, sizeof text, f < 0 ? (f == INT64_MIN ? INT64_MAX : -f) : f);
            append(text, sizeof text, "*");
        }
        append_atom(b, text, sizeof text, &b->atoms[x->term[i].atom]);
    }
    if (x->constant || !x->count) {
        if (x->count) append(text, sizeof text, x->constant < 0 ? " - " : " + ");
        append_number(text, sizeof text,
                      x->count && x->constant < 0 && x->constant != INT64_MIN ? -x->constant : x->constant);
        if (!x->count && x->constant < 0) { // the sign stands first
            char positive[200] = "-";
            append(positive, sizeof positive, text);
            memcpy(text, positive, sizeof text);
        }
    }
    char *copy = qn__arena_copy_string(b->c->arena, text, strlen(text));
    return copy ? copy : "...";
}
