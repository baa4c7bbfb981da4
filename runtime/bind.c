/* Checks a call's arguments against the signature and gives the size symbols their values. Nothing is touched before all is checked.
 * Messages name the parameter, the dimension, what was expected and why, and what was found. */
#include "runtime/call_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WHOLE = UINT32_MAX, DIM_TEXT = 96, SIDE_TEXT = 40 };

qn__call_status qn__reject(qn__call_result *result, qn__call_status status, uint32_t parameter, uint32_t dimension,
                           const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(result->text, sizeof result->text, format, list);
    va_end(list);
    result->status = status;
    result->parameter = parameter;
    result->dimension = dimension;
    return status;
}

/* --- dimension expressions ---------------------------------------------------------------------------------------- */

static bool apply(uint8_t op, int64_t a, int64_t b, int64_t *value) {
    switch ((qn__dim_op)op) {
    case QN__DIM_ADD: return !__builtin_add_overflow(a, b, value);
    case QN__DIM_SUB: return !__builtin_sub_overflow(a, b, value);
    case QN__DIM_MUL: return !__builtin_mul_overflow(a, b, value);
    case QN__DIM_DIV:
        if (b == 0 || (b == -1 && a == INT64_MIN)) return false;
        *value = a / b;
        return true;
    case QN__DIM_REM:
        if (b == 0) return false;
        *value = b == -1 ? 0 : a % b;
        return true;
    case QN__DIM_MIN: *value = a < b ? a : b; return true;
    case QN__DIM_MAX: *value = a > b ? a : b; return true;
    case QN__DIM_CONST:
    case QN__DIM_SYMBOL:
    case QN__DIM_SCALAR: break;
    }
    return false;
}

/* Where a scalar parameter's value is: in the table of scalars, or still in the arguments. */
typedef struct scalars { const qn__signature *signature; const uint64_t *table; const qn__argument *arguments; } scalars;

static int64_t scalar_value(const scalars *s, int64_t index) {
    if (s->table) return (int64_t)s->table[index];
    for (uint32_t i = 0; i < s->signature->input_count; i++)
        if (s->signature->parameters[i].kind == QN__PARAMETER_SCALAR && s->signature->parameters[i].index == index)
            return (int64_t)s->arguments[i].bits;
    return 0;
}

static bool evaluate(const scalars *s, uint32_t dim, const int64_t *sizes, int64_t *value) {
    const qn__dim *d = &s->signature->dims[dim];
    int64_t a, b;
    switch ((qn__dim_op)d->op) {
    case QN__DIM_CONST: *value = d->value; return true;
    case QN__DIM_SYMBOL: *value = sizes[d->value]; return *value >= 0;
    case QN__DIM_SCALAR: *value = scalar_value(s, d->value); return true;
    case QN__DIM_ADD:
    case QN__DIM_SUB:
    case QN__DIM_MUL:
    case QN__DIM_DIV:
    case QN__DIM_REM:
    case QN__DIM_MIN:
    case QN__DIM_MAX: break;
    }
    return evaluate(s, d->left, sizes, &a) && evaluate(s, d->right, sizes, &b) && apply(d->op, a, b, value);
}

bool qn__dim_value(const qn__signature *signature, uint32_t dim, const int64_t *sizes, const uint64_t *table, int64_t *value) {
    return evaluate(&(scalars){signature, table, NULL}, dim, sizes, value);
}

bool qn__dim_is_existential(const qn__signature *signature, uint32_t dim) {
    const qn__dim *d = &signature->dims[dim];
    if (d->op == QN__DIM_SYMBOL) return signature->symbols[d->value].existential;
    if (d->op <= QN__DIM_SCALAR) return false;
    return qn__dim_is_existential(signature, d->left) || qn__dim_is_existential(signature, d->right);
}

static const char *scalar_name(const qn__signature *signature, int64_t index) {
    for (uint32_t i = 0; i < signature->input_count; i++)
        if (signature->parameters[i].kind == QN__PARAMETER_SCALAR && signature->parameters[i].index == index)
            return signature->parameters[i].name;
    return "?";
}

/* The expression as text, cut where it gets long. */
static void dim_text(const qn__signature *signature, uint32_t dim, char *text, size_t room) {
    static const char *const operators[] = {
        [QN__DIM_ADD] = " + ", [QN__DIM_SUB] = " - ", [QN__DIM_MUL] = " * ", [QN__DIM_DIV] = " / ", [QN__DIM_REM] = " % ",
        [QN__DIM_MIN] = ", ",  [QN__DIM_MAX] = ", "};
    const qn__dim *d = &signature->dims[dim];
    if (d->op == QN__DIM_CONST) {
        snprintf(text, room, "%" PRId64, d->value);
    } else if (d->op == QN__DIM_SYMBOL) {
        snprintf(text, room, "%s", signature->symbols[d->value].name);
    } else if (d->op == QN__DIM_SCALAR) {
        snprintf(text, room, "%s", scalar_name(signature, d->value));
    } else {
        char left[SIDE_TEXT], right[SIDE_TEXT];
        dim_text(signature, d->left, left, sizeof left);
        dim_text(signature, d->right, right, sizeof right);
        bool call = d->op == QN__DIM_MIN || d->op == QN__DIM_MAX;
        bool group = !call && d->op >= QN__DIM_MUL;
        bool left_group = group && (signature->dims[d->left].op == QN__DIM_ADD || signature->dims[d->left].op == QN__DIM_SUB);
        bool right_group = !call && signature->dims[d->right].op >= QN__DIM_ADD;
        snprintf(text, room, "%s%s%s%s%s%s%s%s%s", d->op == QN__DIM_MIN ? "min(" : call ? "max(" : "", left_group ? "(" : "",
                 left, left_group ? ")" : "", operators[d->op], right_group ? "(" : "", right, right_group ? ")" : "",
                 call ? ")" : "");
    }
}

/* The first symbol in the expression, or NULL. */
static const qn__symbol *first_symbol(const qn__signature *signature, uint32_t dim) {
    const qn__dim *d = &signature->dims[dim];
    if (d->op == QN__DIM_SYMBOL) return &signature->symbols[d->value];
    if (d->op <= QN__DIM_SCALAR) return NULL;
    const qn__symbol *left = first_symbol(signature, d->left);
    return left ? left : first_symbol(signature, d->right);
}

/* --- inputs ------------------------------------------------------------------------------------------------------- */

static qn__call_status check_scalar(const qn__parameter *p, const qn__argument *a, uint32_t i, qn__call_result *result) {
    if (a->type != p->type)
        return qn__reject(result, QN__CALL_ARGUMENT, i, WHOLE, "argument %s: expected %s, found %s", p->name,
                          qn__type_table[p->type].name, qn__type_table[a->type].name);
    if (a->rank)
        return qn__reject(result, QN__CALL_ARGUMENT, i, WHOLE, "argument %s: expected a scalar, found an array of rank %u",
                          p->name, a->rank);
    if (p->is_size && ((int64_t)a->bits < 0 || (int64_t)a->bits >= QN__EXTENT_LIMIT))
        return qn__reject(result, QN__CALL_ARGUMENT, i, WHOLE,
                          "argument %s: a size must be at least 0 and below 2^48, found %" PRId64, p->name, (int64_t)a->bits);
    return QN__CALL_OK;
}

/* Type, rank, extents and data of an array that the caller brings. */
static qn__call_status check_array(const qn__parameter *p, const qn__argument *a, uint32_t i, qn__call_result *result) {
    if (a->type != p->type)
        return qn__reject(result, QN__CALL_ARGUMENT, i, WHOLE, "argument %s: expected an array of %s, found %s", p->name,
                          qn__type_table[p->type].name,
                          a->type < QN__TYPE_COUNT ? qn__type_table[a->type].name : "an unknown type");
    if (a->rank != p->rank)
        return qn__reject(result, QN__CALL_ARGUMENT, i, WHOLE, "argument %s: expected %s of rank %u, found rank %u", p->name,
                          p->rank ? "an array" : "a scalar", p->rank, a->rank);
    for (uint32_t d = 0; d < a->rank; d++)
        if (a->extent[d] < 0 || a->extent[d] >= QN__EXTENT_LIMIT)
            return qn__reject(result, QN__CALL_ARGUMENT, i, d,
                              "argument %s: dimension %u is %" PRId64 "; it must be at least 0 and below 2^48", p->name, d,
                              a->extent[d]);
    int64_t bytes = qn__array_bytes(a->rank, a->extent, qn__type_bytes((qn__type)p->type));
    if (bytes < 0)
        return qn__reject(result, QN__CALL_ARGUMENT, i, WHOLE, "argument %s: the array is too large", p->name);
    if (bytes > 0 && !a->data)
        return qn__reject(result, QN__CALL_ARGUMENT, i, WHOLE, "argument %s: the array has no data", p->name);
    for (uint32_t d = 0; d < a->rank && bytes; d++) {
        int64_t reach;
        if (__builtin_mul_overflow(a->extent[d] - 1, a->stride[d], &reach) || reach >= QN__BYTES_LIMIT ||
            reach <= -QN__BYTES_LIMIT)
            return qn__reject(result, QN__CALL_ARGUMENT, i, d, "argument %s: the stride of dimension %u is too large", p->name, d);
    }
    return QN__CALL_OK;
}

static qn__call_status bind_symbols(const qn__signature *signature, const qn__argument *arguments, int64_t *sizes,
                                    qn__call_result *result) {
    for (uint32_t s = 0; s < signature->symbol_count; s++) {
        const qn__symbol *symbol = &signature->symbols[s];
        sizes[s] = -1;
        if (symbol->existential) continue;
        int64_t extent = arguments[symbol->parameter].extent[symbol->dimension], size;
        if (!__builtin_sub_overflow(extent, symbol->addend, &size) && size >= 0 && size < QN__EXTENT_LIMIT) {
            sizes[s] = size;
            continue;
        }
        return qn__reject(result, QN__CALL_ARGUMENT, symbol->parameter, symbol->dimension,
                          "argument %s: dimension %u is %" PRId64 ", expected %s %c %" PRId64 " with %s at least 0",
                          signature->parameters[symbol->parameter].name, symbol->dimension, extent, symbol->name,
                          symbol->addend < 0 ? '-' : '+', symbol->addend < 0 ? -symbol->addend : symbol->addend, symbol->name);
    }
    return QN__CALL_OK;
}

static qn__call_status check_dim(const qn__signature *signature, const qn__argument *arguments, uint32_t i, uint32_t d,
                                 const int64_t *sizes, qn__call_result *result) {
    const qn__parameter *p = &signature->parameters[i];
    int64_t expected, found = arguments[i].extent[d];
    char text[DIM_TEXT];
    bool computed = evaluate(&(scalars){signature, NULL, arguments}, p->dim[d], sizes, &expected);
    if (computed && expected == found) return QN__CALL_OK;
    dim_text(signature, p->dim[d], text, sizeof text);
    if (!computed)
        return qn__reject(result, QN__CALL_ARGUMENT, i, d, "argument %s: dimension %u = %s overflows or divides by zero",
                          p->name, d, text);
    const qn__symbol *symbol = first_symbol(signature, p->dim[d]);
    if (signature->dims[p->dim[d]].op == QN__DIM_CONST)
        return qn__reject(result, QN__CALL_ARGUMENT, i, d, "argument %s: dimension %u is %" PRId64 ", expected %" PRId64,
                          p->name, d, found, expected);
    if (!symbol || symbol->existential)
        return qn__reject(result, QN__CALL_ARGUMENT, i, d, "argument %s: dimension %u is %" PRId64 ", expected %s = %" PRId64,
                          p->name, d, found, text, expected);
    return qn__reject(result, QN__CALL_ARGUMENT, i, d,
                      "argument %s: dimension %u is %" PRId64 ", expected %s = %" PRId64
                      " (%s comes from dimension %u of %s)",
                      p->name, d, found, text, expected, symbol->name, symbol->dimension,
                      signature->parameters[symbol->parameter].name);
}

static qn__call_status check_dims(const qn__signature *signature, const qn__argument *arguments, const int64_t *sizes,
                                  qn__call_result *result) {
    for (uint32_t i = 0; i < signature->input_count; i++) {
        const qn__parameter *p = &signature->parameters[i];
        for (uint32_t d = 0; p->kind != QN__PARAMETER_SCALAR && d < p->rank; d++)
            if (check_dim(signature, arguments, i, d, sizes, result)) return result->status;
    }
    return QN__CALL_OK;
}

qn__call_status qn__bind(const qn__signature *signature, const qn__argument *arguments, uint32_t argument_count,
                         int64_t *sizes, qn__call_result *result) {
    qn__clear_result(result);
    if (argument_count != signature->parameter_count)
        return qn__reject(result, QN__CALL_ARGUMENT, 0, WHOLE, "%s takes %u arguments (inputs and outputs), found %u",
                          signature->name, signature->parameter_count, argument_count);
    for (uint32_t i = 0; i < signature->input_count; i++) {
        const qn__parameter *p = &signature->parameters[i];
        if (arguments[i].type == QN__TYPE_NONE || arguments[i].type >= QN__TYPE_COUNT)
            return qn__reject(result, QN__CALL_ARGUMENT, i, WHOLE, "argument %s is missing", p->name);
        if (p->kind == QN__PARAMETER_SCALAR ? check_scalar(p, &arguments[i], i, result)
                                            : check_array(p, &arguments[i], i, result))
            return result->status;
    }
    if (bind_symbols(signature, arguments, sizes, result)) return result->status;
    return check_dims(signature, arguments, sizes, result);
}

/* --- outputs ------------------------------------------------------------------------------------------------------ */

static qn__call_status check_given(const qn__parameter *p, const qn__argument *a, uint32_t i, const int64_t *extents,
                                   qn__call_result *result) {
    if (check_array(p, a, i, result)) return result->status;
    for (uint32_t d = 0; d < p->rank; d++)
        if (extents[d] >= 0 && a->extent[d] != extents[d])
            return qn__reject(result, QN__CALL_ARGUMENT, i, d, "output %s: dimension %u is %" PRId64 ", expected %" PRId64,
                              p->name, d, a->extent[d], extents[d]);
    return QN__CALL_OK;
}

/* The extents of all outputs; -1 where they are existential. Checks the buffers that the caller gave. */
qn__call_status qn__bind_outputs(const qn__signature *signature, const qn__argument *arguments, const int64_t *sizes,
                                 int64_t (*extents)[QN__MAX_RANK], qn__call_result *result) {
    for (uint32_t i = signature->input_count; i < signature->parameter_count; i++) {
        const qn__parameter *p = &signature->parameters[i];
        int64_t *out = extents[i - signature->input_count];
        for (uint32_t d = 0; d < p->rank; d++) {
            out[d] = -1;
            if (qn__dim_is_existential(signature, p->dim[d])) continue;
            bool computed = evaluate(&(scalars){signature, NULL, arguments}, p->dim[d], sizes, &out[d]);
            if (computed && out[d] >= 0 && out[d] < QN__EXTENT_LIMIT) continue;
            char text[DIM_TEXT], value[32] = "overflows or divides by zero";
            dim_text(signature, p->dim[d], text, sizeof text);
            if (computed) snprintf(value, sizeof value, "is %" PRId64, out[d]);
            return qn__reject(result, QN__CALL_ARGUMENT, i, d, "output %s: dimension %u = %s %s; it must be at least 0 and below 2^48",
                              p->name, d, text, value);
        }
        if (p->rank && arguments[i].data && check_given(p, &arguments[i], i, out, result)) return result->status;
    }
    return QN__CALL_OK;
}
