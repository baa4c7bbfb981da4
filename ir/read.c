/* Reads the text form (print.c, docs/ir.md). Any text is safe: what is malformed gives a message with line and column;
 * what is well-formed but wrong (types, dominance) is the verifier's business, except that a value must be defined above
 * its use.
 *
 * A recursive-descent parser over tokens; operand lists are built on one stack, so that nesting needs no lists of its own.
 * The first error wins: every function may go on after it, but nothing is built any more. */
#include "ir/read.h"

#include "ir/abi.h"
#include "ir/eval.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_LIMIT = 200 };

/* --- lists -------------------------------------------------------------------------------------------------------- */

static void push(qn__reader *r, uint32_t item) {
    uint32_t *grown = qn__arena_grow(r->arena, r->stack, &r->stack_capacity, r->stack_count + 1, sizeof *grown);
    if (!grown) {
        qn__read_no_memory(r);
        return;
    }
    r->stack = grown;
    r->stack[r->stack_count++] = item;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static qn__value *slot(qn__reader *r, const qn__token *name) {
    qn__name id = qn__names_intern(r->names, name->text, name->length);
    if (!id) {
        qn__read_no_memory(r);
        return NULL;
    }
    qn__value *grown =
        qn__arena_grow(r->arena, r->values, &r->value_capacity, (size_t)id + 1, sizeof *grown);
    if (!grown) {
        qn__read_no_memory(r);
        return NULL;
    }
    r->values = grown;
    return &r->values[id];
}

static void define(qn__reader *r, const qn__token *name, qn__value value) {
    qn__value *where = slot(r, name);
    if (!where) return;
    if (*where) {
        r->token = *name;
        qn__read_fail(r, "value %%%.*s is defined twice", (int)(name->length < 80 ? name->length : 80), name->text);
    } else {
        *where = value;
    }
}

static qn__value read_value(qn__reader *r) {
    if (r->token.kind != QN__TOKEN_VALUE || !r->token.length) {
        qn__read_fail(r, "a value expected");
        return 0;
    }
    qn__value *where = slot(r, &r->token);
    if (where && !*where)
        qn__read_fail(r, "value %%%.*s is not defined above", (int)(r->token.length < 80 ? r->token.length : 80), r->token.text);
    qn__value value = where ? *where : 0;
    qn__read_advance(r);
    return value;
}

/* Values separated by commas, to the stack. */
static void read_values(qn__reader *r) {
    if (r->token.kind != QN__TOKEN_VALUE) return;
    do push(r, read_value(r));
    while (!r->message && qn__read_accept(r, ","));
}

typedef struct typed { qn__token name; qn__type type; } typed;

/* %a: i64, %b: f32 ... */
static typed *read_typed(qn__reader *r, uint32_t *count) {
    typed *list = NULL;
    size_t capacity = 0;
    *count = 0;
    while (!r->message) {
        if (r->token.kind != QN__TOKEN_VALUE || !r->token.length) {
            qn__read_fail(r, "a value expected");
            break;
        }
        typed *grown = qn__arena_grow(r->arena, list, &capacity, (size_t)*count + 1, sizeof *list);
        if (!grown) {
            qn__read_no_memory(r);
            break;
        }
        list = grown;
        list[*count].name = r->token;
        qn__read_advance(r);
        qn__read_need(r, ":");
        list[*count].type = qn__read_type(r);
        ++*count;
        if (!qn__read_accept(r, ",")) break;
    }
    return list;
}

static qn__type *types_of(qn__reader *r, const typed *list, uint32_t count) {
    qn__type *types = QN__ARENA_ARRAY(r->arena, qn__type, count);
    if (!types) qn__read_no_memory(r);
    for (uint32_t i = 0; types && i < count; i++) types[i] = list[i].type;
    return types;
}

/* --- instructions ------------------------------------------------------------------------------------------------- */

typedef struct draft {
    qn__op op;
    uint8_t aux;
    uint16_t flags;
    uint64_t imm;
    uint32_t location;
    size_t args, arg_count;      /* on the stack */
    uint32_t *list, list_count;  /* keep */
    typed *results;
    uint32_t result_count;
} draft;

static void read_region(qn__reader *r, qn__region_ref region);

static uint32_t read_array(qn__reader *r) {
    if (r->token.kind == QN__TOKEN_REFERENCE) {
        uint32_t index = qn__read_integer(r);
        if (index >= r->ir->array_count) qn__read_fail(r, "no such array");
        return index;
    }
    for (uint32_t i = 0; r->token.kind == QN__TOKEN_WORD && i < r->ir->array_count; i++)
        if (qn__read_accept(r, r->ir->arrays[i].name)) return i;
    qn__read_fail(r, "an array expected");
    return 0;
}

static uint32_t read_reference(qn__reader *r, uint32_t count) {
    if (r->token.kind != QN__TOKEN_REFERENCE) qn__read_fail(r, "a reference expected");
    uint32_t index = qn__read_integer(r);
    if (index >= count) qn__read_fail(r, "no such thing");
    return index;
}

static void read_subscripts(qn__reader *r) {
    qn__read_need(r, "[");
    read_values(r);
    qn__read_need(r, "]");
    if (qn__read_accept(r, ",")) read_values(r);
}

static uint64_t read_constant(qn__reader *r, qn__type type) {
    char buffer[QN__TOKEN_LIMIT], *end;
    const char *text = qn__read_spelled(r, buffer);
    uint64_t bits = 0;
    bool hexadecimal = !strncmp(text, "0x", 2);
    if (r->token.kind != QN__TOKEN_NUMBER && r->token.kind != QN__TOKEN_WORD) qn__read_fail(r, "a constant expected");
    if (type == QN__TYPE_BOOL && !strcmp(text, "true")) bits = 1, end = "";
    else if (type == QN__TYPE_BOOL && !strcmp(text, "false")) bits = 0, end = "";
    else if (hexadecimal) bits = strtoull(text, &end, 16);
    else if (type == QN__TYPE_F32) bits = qn__eval_from_f64(type, (double)strtof_l(text, &end, r->c_locale));
    else if (qn__is_float(type)) bits = qn__eval_from_f64(type, strtod_l(text, &end, r->c_locale));
    else if (*text == '-') bits = qn__eval_cut(type, (uint64_t)strtoll(text, &end, 10));
    else bits = strtoull(text, &end, 10);
    if (!*text || *end) qn__read_fail(r, "a constant expected");
    qn__read_advance(r);
    return bits;
}

static void read_called(qn__reader *r, draft *d) {
    d->imm = qn__read_bits(r); /* may name a later function: the verifier looks */
    if (r->token.kind == QN__TOKEN_WORD) qn__read_advance(r);
    qn__read_need(r, "(");
    read_values(r);
    qn__read_need(r, ")");
}

static void read_filled(qn__reader *r, draft *d) {
    size_t start = r->stack_count;
    qn__read_need(r, "[");
    do push(r, read_array(r));
    while (!r->message && qn__read_accept(r, ","));
    qn__read_need(r, "]");
    d->list_count = (uint32_t)(r->stack_count - start);
    d->list = QN__ARENA_ARRAY(r->arena, uint32_t, d->list_count);
    if (d->list && d->list_count) memcpy(d->list, r->stack + start, d->list_count * sizeof *d->list);
    else if (!d->list) qn__read_no_memory(r);
    r->stack_count = start;
    d->args = start;
}

static void read_operands(qn__reader *r, draft *d) {
    d->args = r->stack_count;
    switch ((int)d->op) {
    case QN__OP_CONST: d->imm = read_constant(r, d->result_count ? d->results[0].type : QN__TYPE_NONE); break;
    case QN__OP_PARAM:
    case QN__OP_SIZE: d->imm = qn__read_bits(r); break;
    case QN__OP_LOAD: case QN__OP_ALLOC: case QN__OP_STORE: case QN__OP_ACCUMULATE:
        d->imm = read_array(r);
        read_subscripts(r);
        break;
    case QN__OP_LOCAL_LOAD: case QN__OP_LOCAL_STORE:
        d->imm = read_reference(r, r->ir->local_count);
        read_subscripts(r);
        break;
    case QN__OP_LOCAL_ZERO: d->imm = read_reference(r, r->ir->local_count); break;
    case QN__OP_CALL: case QN__OP_EXTERN_CALL: read_called(r, d); break;
    case QN__OP_SWAP: {
        d->imm = read_array(r);
        qn__read_need(r, ",");
        uint32_t other = read_array(r);
        if (other > UINT8_MAX) qn__read_fail(r, "array %" PRIu32 " cannot be swapped", other);
        d->aux = (uint8_t)other;
        break;
    }
    case QN__OP_KEEP:
        read_filled(r, d);
        read_values(r);
        break;
    case QN__OP_PARALLEL:
        d->imm = qn__read_bits(r);
        read_values(r);
        break;
    default: read_values(r); break;
    }
    d->arg_count = r->stack_count - d->args;
}

static void read_location(qn__reader *r, draft *d) {
    uint32_t file = 0, line = qn__read_integer(r);
    if (qn__read_accept(r, "/")) {
        file = line;
        line = qn__read_integer(r);
    }
    qn__read_need(r, ":");
    uint32_t column = qn__read_integer(r), length = 0;
    if (qn__read_accept(r, "+")) length = qn__read_integer(r);
    const char *path = file < r->path_count ? r->paths[file] : "";
    if (!r->message) d->location = qn__ir_location(r->ir, path, line, column, length);
}

static void read_flags(qn__reader *r, draft *d) {
    while (qn__read_accept(r, "!")) {
        if (qn__read_accept(r, "fuse_left")) d->flags |= QN__FUSE_LEFT;
        else if (qn__read_accept(r, "fuse_right")) d->flags |= QN__FUSE_RIGHT;
        else if (qn__read_accept(r, "exclusive")) d->flags |= QN__EXCLUSIVE;
        else if (qn__read_accept(r, "contraction")) d->flags |= QN__CONTRACTION;
        else qn__read_fail(r, "a flag expected");
    }
    if (qn__read_accept(r, "@")) read_location(r, d);
}

/* The operation's name, with a suffix for accumulate and check. */
static void read_op(qn__reader *r, draft *d) {
    size_t length = r->token.length, base = 0;
    while (base < length && r->token.text[base] != '.') base++;
    const char *suffix = r->token.text + base + 1;
    size_t rest = base < length ? length - base - 1 : 0;
    uint32_t op = QN__OP_COUNT;
    if (r->token.kind == QN__TOKEN_WORD)
        for (op = 0; op < QN__OP_COUNT; op++)
            if (strlen(qn__op_table[op].name) == base && !memcmp(qn__op_table[op].name, r->token.text, base)) break;
    if (op == QN__OP_COUNT) {
        qn__read_fail(r, "an operation expected");
        op = QN__OP_YIELD;
    }
    d->op = (qn__op)op;
    if (op == QN__OP_ACCUMULATE)
        for (uint32_t i = 0; i < QN__OP_COUNT; i++)
            if (strlen(qn__op_table[i].name) == rest && !memcmp(qn__op_table[i].name, suffix, rest)) d->aux = (uint8_t)i;
    if (op == QN__OP_CHECK) {
#define X(ENUM, text)                                                                                                  \
    if (rest == sizeof #ENUM - 1 && !memcmp(suffix, #ENUM, rest)) d->aux = QN__FAULT_##ENUM;
#include "ir/faults.def"
#undef X
    }
    qn__read_advance(r);
}

static void build(qn__reader *r, qn__region_ref region, const draft *d, const qn__region_ref *regions,
                  uint32_t region_count) {
    qn__type *types = types_of(r, d->results, d->result_count);
    const qn__op_info *info = &qn__op_table[d->op];
    if (info->results >= 0 && d->result_count != (uint32_t)info->results)
        qn__read_fail(r, "%s has %d results", info->name, info->results);
    if (r->message) return;
    qn__builder b = {.ir = r->ir, .region = region, .location = d->location};
    const qn__value *args = d->arg_count ? r->stack + d->args : NULL;
    qn__instr_ref ref = qn__build(&b, d->op, args, (uint32_t)d->arg_count, types, d->result_count, regions,
                                  region_count, d->imm);
    if (!ref) {
        qn__read_no_memory(r);
        return;
    }
    qn__instr *instr = &r->ir->instrs[ref];
    instr->aux = d->aux;
    instr->flags = d->flags;
    instr->list = d->list;
    instr->list_count = d->list_count;
    qn__value first = instr->first_result;
    for (uint32_t i = 0; i < d->result_count; i++) define(r, &d->results[i].name, first + i);
}

static qn__region_ref new_region(qn__reader *r) {
    uint32_t count = 0;
    typed *params = NULL;
    qn__read_need(r, "{");
    if (r->token.kind == QN__TOKEN_VALUE) {
        /* parameters, or the results of the first instruction: "->" decides */
        qn__reader before = *r;
        params = read_typed(r, &count);
        if (!qn__read_accept(r, "->")) {
            before.message = r->message;
            *r = before;
            params = NULL;
            count = 0;
        }
    }
    qn__type *types = types_of(r, params, count);
    if (r->message) return 0;
    qn__region_ref region = qn__region_create(r->ir, types, count);
    if (!region) qn__read_no_memory(r);
    for (uint32_t i = 0; region && i < count; i++) define(r, &params[i].name, qn__region_param(r->ir, region, i));
    return region;
}

static void read_instr(qn__reader *r, qn__region_ref region) {
    draft d = {0};
    qn__region_ref regions[3] = {0};
    uint32_t region_count = 0;
    if (r->token.kind == QN__TOKEN_VALUE) {
        d.results = read_typed(r, &d.result_count);
        qn__read_need(r, "=");
    }
    read_op(r, &d);
    read_operands(r, &d);
    read_flags(r, &d);
    while (!r->message && qn__read_is(r, "{")) {
        if (region_count == 3) {
            qn__read_fail(r, "too many regions");
            break;
        }
        regions[region_count] = new_region(r);
        if (regions[region_count]) read_region(r, regions[region_count]);
        region_count++;
    }
    if (!r->message) build(r, region, &d, regions, region_count);
    r->stack_count = d.args;
}

/* The instructions up to and with the closing brace. */
static void read_region(qn__reader *r, qn__region_ref region) {
    if (++r->depth > DEPTH_LIMIT) qn__read_fail(r, "nested too deeply");
    while (!r->message && !qn__read_is(r, "}")) {
        if (r->token.kind == QN__TOKEN_END) qn__read_fail(r, "'}' expected");
        else read_instr(r, region);
    }
    qn__read_need(r, "}");
    r->depth--;
}

/* --- declarations ------------------------------------------------------------------------------------------------- */

static qn__array_kind read_array_kind(qn__reader *r) {
    if (qn__read_accept(r, "in")) return QN__ARRAY_IN;
    if (qn__read_accept(r, "out")) return QN__ARRAY_OUT;
    if (qn__read_accept(r, "inout")) return QN__ARRAY_INOUT;
    qn__read_need(r, "temp");
    return QN__ARRAY_TEMP;
}

static void read_array_line(qn__reader *r) {
    const char *name = qn__read_name(r);
    qn__array_kind kind = read_array_kind(r);
    qn__type type = qn__read_type(r);
    uint32_t rank = 0, index = r->ir->array_count;
    qn__read_need(r, "[");
    while (!r->message && !qn__read_is(r, "]")) {
        if (rank == QN__MAX_RANK) qn__read_fail(r, "the rank is too high");
        qn__fixup *grown = qn__arena_grow(r->arena, r->fixups, &r->fixup_capacity, r->fixup_count + 1, sizeof *grown);
        if (!grown) {
            qn__read_no_memory(r);
            return;
        }
        r->fixups = grown;
        if (r->token.kind == QN__TOKEN_VALUE) r->fixups[r->fixup_count++] = (qn__fixup){index, rank, r->token};
        else if (!qn__read_is(r, "_")) qn__read_fail(r, "a value or '_' expected");
        qn__read_advance(r);
        rank++;
        if (!qn__read_accept(r, ",")) break;
    }
    qn__read_need(r, "]");
    if (r->message) return;
    qn__ir_array(r->ir, name, type, rank, kind);
    if (r->ir->failed) qn__read_no_memory(r);
}

static void read_types(qn__reader *r) {
    if (r->token.kind != QN__TOKEN_WORD) return;
    do push(r, (uint32_t)qn__read_type(r));
    while (!r->message && qn__read_accept(r, ","));
}

static qn__type *pop_types(qn__reader *r, size_t start, uint32_t *count) {
    *count = (uint32_t)(r->stack_count - start);
    qn__type *types = QN__ARENA_ARRAY(r->arena, qn__type, *count);
    if (!types) qn__read_no_memory(r);
    for (uint32_t i = 0; types && i < *count; i++) types[i] = (qn__type)r->stack[start + i];
    r->stack_count = start;
    return types;
}

static void read_extern(qn__reader *r) {
    const char *name = qn__read_name(r);
    uint32_t count = 0;
    qn__read_need(r, "(");
    size_t start = r->stack_count;
    read_types(r);
    qn__type *types = pop_types(r, start, &count);
    qn__read_need(r, ")");
    qn__read_need(r, "->");
    qn__type result = qn__read_type(r);
    if (!r->message) qn__ir_extern(r->ir, name, types, count, result);
    if (r->ir->failed) qn__read_no_memory(r);
}

static void read_function(qn__reader *r) {
    const char *name = qn__read_name(r);
    qn__read_need(r, "->");
    uint32_t count = 0;
    size_t start = r->stack_count;
    read_types(r);
    qn__type *types = pop_types(r, start, &count);
    qn__region_ref body = new_region(r);
    if (r->message) return;
    uint32_t index = qn__ir_function(r->ir, name, NULL, 0, types, count);
    if (r->ir->failed) {
        qn__read_no_memory(r);
        return;
    }
    r->ir->functions[index].body = body;
    read_region(r, body);
}

static void read_local(qn__reader *r) {
    const char *name = qn__read_name(r);
    qn__type type = qn__read_type(r);
    uint32_t count = qn__read_integer(r);
    if (!r->message) qn__ir_local(r->ir, name, type, count);
    if (r->ir->failed) qn__read_no_memory(r);
}

static void read_file(qn__reader *r) {
    const char *path = qn__read_name(r);
    const char **grown = qn__arena_grow(r->arena, (void *)(uintptr_t)r->paths, &r->path_capacity, r->path_count + 1, sizeof *grown);
    if (!grown) {
        qn__read_no_memory(r);
        return;
    }
    r->paths = grown;
    r->paths[r->path_count++] = path;
}

/* --- signature ---------------------------------------------------------------------------------------------------- */

static uint32_t named_number(qn__reader *r, const char *name) {
    qn__read_need(r, name);
    return qn__read_integer(r);
}

static int64_t read_signed(qn__reader *r) {
    char buffer[QN__TOKEN_LIMIT], *end;
    if (r->token.kind != QN__TOKEN_NUMBER) qn__read_fail(r, "a number expected");
    int64_t value = strtoll(qn__read_spelled(r, buffer), &end, 10);
    if (*end) qn__read_fail(r, "a number expected");
    qn__read_advance(r);
    return value;
}

static void read_signature(qn__reader *r) {
    qn__signature *s = QN__ARENA_NEW(r->arena, qn__signature);
    if (!s) {
        qn__read_no_memory(r);
        return;
    }
    s->name = qn__read_name(r);
    s->input_count = named_number(r, "inputs");
    s->scalar_count = named_number(r, "scalars");
    r->ir->signature = s;
}

/* One more element of a signature's table, or NULL with an error. */
static void *one_more(qn__reader *r, void *table, uint32_t count, size_t *capacity, size_t size) {
    if (!r->ir->signature) {
        qn__read_fail(r, "a signature expected");
        return NULL;
    }
    void *grown = qn__arena_grow(r->arena, table, capacity, (size_t)count + 1, size);
    if (!grown) qn__read_no_memory(r);
    return grown;
}

static void read_symbol(qn__reader *r) {
    qn__signature *s = r->ir->signature;
    qn__symbol *grown = one_more(r, s ? s->symbols : NULL, s ? s->symbol_count : 0, &r->symbol_capacity, sizeof *grown);
    if (!grown) return;
    s->symbols = grown;
    qn__symbol *symbol = &s->symbols[s->symbol_count++];
    *symbol = (qn__symbol){.name = qn__read_name(r)};
    symbol->existential = qn__read_accept(r, "existential");
    symbol->parameter = named_number(r, "parameter");
    symbol->dimension = named_number(r, "dimension");
    qn__read_need(r, "addend");
    symbol->addend = read_signed(r);
}

static void read_dim(qn__reader *r) {
    static const char *const names[] = {"const", "symbol", "scalar", "add", "sub", "mul", "div", "rem", "min", "max"};
    qn__signature *s = r->ir->signature;
    qn__dim *grown = one_more(r, s ? s->dims : NULL, s ? s->dim_count : 0, &r->dim_capacity, sizeof *grown);
    if (!grown) return;
    s->dims = grown;
    qn__dim *dim = &s->dims[s->dim_count++];
    *dim = (qn__dim){0};
    if (qn__read_integer(r) != s->dim_count - 1) qn__read_fail(r, "dims are numbered from 0");
    uint8_t op = 0;
    while (op <= QN__DIM_MAX && !qn__read_accept(r, names[op])) op++;
    if (op > QN__DIM_MAX) {
        qn__read_fail(r, "a dim's operation expected");
        return;
    }
    dim->op = op;
    if (op <= QN__DIM_SCALAR) {
        dim->value = read_signed(r);
        return;
    }
    dim->left = qn__read_integer(r);
    dim->right = qn__read_integer(r);
    if (dim->left >= s->dim_count - 1 || dim->right >= s->dim_count - 1) qn__read_fail(r, "a dim's operands come before it");
}

static void read_parameter(qn__reader *r) {
    static const char *const kinds[] = {"scalar", "in", "inout", "out"};
    qn__signature *s = r->ir->signature;
    qn__parameter *grown =
        one_more(r, s ? s->parameters : NULL, s ? s->parameter_count : 0, &r->parameter_capacity, sizeof *grown);
    if (!grown) return;
    s->parameters = grown;
    qn__parameter *parameter = &s->parameters[s->parameter_count++];
    *parameter = (qn__parameter){.name = qn__read_name(r)};
    uint8_t kind = 0;
    while (kind <= QN__PARAMETER_OUT && !qn__read_accept(r, kinds[kind])) kind++;
    if (kind > QN__PARAMETER_OUT) qn__read_fail(r, "a parameter's kind expected");
    parameter->kind = kind & 3;
    parameter->type = (uint8_t)qn__read_type(r);
    parameter->is_size = qn__read_accept(r, "size");
    parameter->index = named_number(r, "index");
    qn__read_need(r, "dims");
    while (!r->message && r->token.kind == QN__TOKEN_NUMBER) {
        uint32_t dim = qn__read_integer(r);
        if (parameter->rank == QN__MAX_RANK || dim >= s->dim_count) qn__read_fail(r, "no such dim, or too many");
        else parameter->dim[parameter->rank++] = dim;
    }
}

/* --- the module --------------------------------------------------------------------------------------------------- */

static void read_declarations(qn__reader *r) {
    while (!r->message && !qn__read_is(r, "body")) {
        if (qn__read_accept(r, "array")) read_array_line(r);
        else if (qn__read_accept(r, "local")) read_local(r);
        else if (qn__read_accept(r, "extern")) read_extern(r);
        else if (qn__read_accept(r, "function")) read_function(r);
        else if (qn__read_accept(r, "file")) read_file(r);
        else if (qn__read_accept(r, "signature")) read_signature(r);
        else if (qn__read_accept(r, "symbol")) read_symbol(r);
        else if (qn__read_accept(r, "dim")) read_dim(r);
        else if (qn__read_accept(r, "parameter")) read_parameter(r);
        else qn__read_fail(r, "a declaration or 'body' expected");
    }
}

static void resolve_extents(qn__reader *r) {
    for (size_t i = 0; i < r->fixup_count && !r->message; i++) {
        const qn__fixup *f = &r->fixups[i];
        qn__value *where = slot(r, &f->name);
        r->token = f->name;
        if (where && !*where) qn__read_fail(r, "the extent is not defined");
        else if (where) r->ir->arrays[f->array].extent[f->dimension] = *where;
    }
}

qn__ir *qn__ir_read(qn__arena *arena, const char *text, size_t length, const char **message) {
    const char *ignored;
    if (!message) message = &ignored;
    qn__reader r = {.arena = arena, .next = text, .end = text + length, .line_start = text, .line = 1};
    r.names = qn__names_create(arena);
    r.c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!r.names || !r.c_locale) qn__read_no_memory(&r);
    qn__read_advance(&r);
    qn__read_need(&r, "kernel");
    const char *name = qn__read_name(&r);
    r.ir = r.message ? NULL : qn__ir_create(arena, name);
    if (!r.message && !r.ir) qn__read_no_memory(&r);
    if (r.ir) {
        r.ir->fast = qn__read_accept(&r, "fast");
        read_declarations(&r);
        if (qn__read_need(&r, "body") && qn__read_need(&r, "{")) read_region(&r, r.ir->body);
        if (r.token.kind != QN__TOKEN_END) qn__read_fail(&r, "the end expected");
        resolve_extents(&r);
    }
    if (r.c_locale) freelocale(r.c_locale);
    *message = r.message;
    return r.message ? NULL : r.ir;
}
