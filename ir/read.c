/* Reads the text form (print.c, docs/ir.md). Any text is safe: what is malformed gives a message with line and column;
 * what is well-formed but wrong (types, dominance) is the verifier's business, except that a value must be defined above
 * its use.
 *
 * A recursive-descent parser over tokens; operand lists are built on one stack, so that nesting needs no lists of its own.
 * The first error wins: every function may go on after it, but nothing is built any more. */
#include "ir/passes.h"

#include "ir/abi.h"
#include "ir/eval.h"
#include "ir/names.h"

#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_LIMIT = 200, TOKEN_LIMIT = 256 };

typedef enum token_kind { END, WORD, NUMBER, STRING, VALUE, REFERENCE, PUNCTUATION } token_kind;

typedef struct token {
    token_kind kind;
    const char *text; /* of value, reference and string without their marks */
    size_t length;
    uint32_t line, column;
} token;

typedef struct fixup { uint32_t array, dimension; token name; } fixup;

typedef struct reader {
    qn__arena *arena;
    const char *next, *end, *line_start;
    uint32_t line;
    token token;
    const char *message;
    qn__ir *ir;
    qn__names *names;
    qn__value *values;      size_t value_capacity;     /* by interned name */
    uint32_t *stack;        size_t stack_count, stack_capacity;
    fixup *fixups;          size_t fixup_count, fixup_capacity;
    const char **paths;     size_t path_count, path_capacity;
    size_t symbol_capacity, dim_capacity, parameter_capacity;
    locale_t c_locale;
    uint32_t depth;
} reader;

/* --- tokens ------------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void fail(reader *r, const char *format, ...) {
    if (r->message) return;
    char text[300];
    int head = snprintf(text, sizeof text, "%" PRIu32 ":%" PRIu32 ": ", r->token.line, r->token.column);
    va_list list;
    va_start(list, format);
    vsnprintf(text + head, sizeof text - (size_t)head, format, list);
    va_end(list);
    r->message = qn__arena_copy_string(r->arena, text, strlen(text));
    if (!r->message) r->message = "out of memory";
}

static bool out_of_memory(reader *r) {
    if (!r->message) r->message = "out of memory";
    return false;
}

static void skip_blanks(reader *r) {
    for (; r->next < r->end; r->next++) {
        if (*r->next == ';') {
            while (r->next + 1 < r->end && r->next[1] != '\n') r->next++;
        } else if (*r->next == '\n') {
            r->line++;
            r->line_start = r->next + 1;
        } else if (*r->next != ' ' && *r->next != '\t' && *r->next != '\r') {
            return;
        }
    }
}

/* Not <ctype.h>: the host's locale must not matter. */
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_hexadecimal(char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f'); }

static bool word_char(char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '.'; }

static void scan_string(reader *r) {
    r->token.kind = STRING;
    r->token.text = ++r->next;
    while (r->next < r->end && *r->next != '"' && *r->next != '\n')
        r->next += *r->next == '\\' && r->end - r->next > 1 ? 2 : 1;
    r->token.length = (size_t)(r->next - r->token.text);
    if (r->next < r->end && *r->next == '"') r->next++;
    else fail(r, "a string without an end");
}

static void advance(reader *r) {
    skip_blanks(r);
    r->token = (token){END, r->next, 0, r->line, (uint32_t)(r->next - r->line_start) + 1};
    if (r->next >= r->end || r->message) {
        r->token.kind = END;
        return;
    }
    char c = *r->next;
    const char *start = r->next;
    if (c == '"') {
        scan_string(r);
        return;
    }
    if (c == '%' || c == '#') {
        start = ++r->next;
        r->token.kind = c == '%' ? VALUE : REFERENCE;
    } else if (c == '-' && r->end - r->next > 1 && r->next[1] == '>') {
        r->next += 2;
        r->token.kind = PUNCTUATION;
    } else if (is_digit(c) || c == '-') {
        r->token.kind = NUMBER;
        r->next++;
    } else if (word_char(c)) {
        r->token.kind = WORD;
    } else {
        r->next++;
        r->token.kind = PUNCTUATION;
    }
    bool exponent = false; /* 1e-5 is one number, but 3+4 (a location's length) is not */
    while (r->token.kind != PUNCTUATION && r->next < r->end &&
           (word_char(*r->next) || (exponent && (*r->next == '-' || *r->next == '+')))) {
        exponent = r->token.kind == NUMBER && (*r->next == 'e' || *r->next == 'E');
        r->next++;
    }
    r->token.text = start;
    r->token.length = (size_t)(r->next - start);
}

static bool is(const reader *r, const char *text) {
    return (r->token.kind == WORD || r->token.kind == PUNCTUATION) && r->token.length == strlen(text) &&
           !memcmp(r->token.text, text, r->token.length);
}

static bool accept(reader *r, const char *text) {
    if (r->message || !is(r, text)) return false;
    advance(r);
    return true;
}

static bool need(reader *r, const char *text) {
    if (accept(r, text)) return true;
    fail(r, "'%s' expected", text);
    return false;
}

/* The token's text with a zero; tokens that are too long are an error. */
static const char *spelled(reader *r, char buffer[TOKEN_LIMIT]) {
    size_t length = r->token.length;
    if (length >= TOKEN_LIMIT) {
        fail(r, "too long");
        length = 0;
    }
    memcpy(buffer, r->token.text, length);
    buffer[length] = 0;
    return buffer;
}

static uint64_t read_bits(reader *r) {
    char buffer[TOKEN_LIMIT], *end;
    if (r->token.kind != NUMBER && r->token.kind != REFERENCE) {
        fail(r, "a number expected");
        return 0;
    }
    const char *text = spelled(r, buffer);
    uint64_t bits = strtoull(text, &end, strncmp(text, "0x", 2) ? 10 : 16);
    if (*end || end == text) fail(r, "a number expected");
    advance(r);
    return bits;
}

static uint32_t read_number(reader *r) {
    uint64_t bits = read_bits(r);
    if (bits > UINT32_MAX) fail(r, "a number that is too large");
    return (uint32_t)bits;
}

/* \xHH, or the character behind a backslash. A zero cannot be part of a name and reads as '?'. */
static char unescape(const char **next, const char *end) {
    char c = *(*next)++;
    if (c != '\\' || *next >= end) return c;
    c = *(*next)++;
    if (c != 'x') return c;
    unsigned code = 0;
    for (int i = 0; i < 2 && *next < end && is_hexadecimal(**next); i++) {
        char digit = *(*next)++;
        code = code * 16 + (unsigned)(is_digit(digit) ? digit - '0' : (digit | 32) - 'a' + 10);
    }
    return code ? (char)code : '?';
}

/* A word or a string, as text of the arena. */
static const char *read_name(reader *r) {
    if (r->token.kind != WORD && r->token.kind != STRING) {
        fail(r, "a name expected");
        return "";
    }
    char *copy = qn__arena_copy_string(r->arena, r->token.text, r->token.length);
    if (!copy) {
        out_of_memory(r);
        return "";
    }
    if (r->token.kind == STRING) {
        const char *from = r->token.text, *end = from + r->token.length;
        char *to = copy;
        while (from < end && *from) *to++ = unescape(&from, end);
        *to = 0;
    }
    advance(r);
    return copy;
}

static qn__type read_type(reader *r) {
    for (uint32_t t = 1; t < QN__TYPE_COUNT; t++)
        if (accept(r, qn__type_table[t].name)) return (qn__type)t;
    fail(r, "a type expected");
    return QN__TYPE_NONE;
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

static void push(reader *r, uint32_t item) {
    uint32_t *grown = qn__arena_grow(r->arena, r->stack, &r->stack_capacity, r->stack_count + 1, sizeof *grown);
    if (!grown) {
        out_of_memory(r);
        return;
    }
    r->stack = grown;
    r->stack[r->stack_count++] = item;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static qn__value *slot(reader *r, const token *name) {
    qn__name id = qn__names_intern(r->names, name->text, name->length);
    if (!id) {
        out_of_memory(r);
        return NULL;
    }
    qn__value *grown =
        qn__arena_grow(r->arena, r->values, &r->value_capacity, (size_t)id + 1, sizeof *grown);
    if (!grown) {
        out_of_memory(r);
        return NULL;
    }
    r->values = grown;
    return &r->values[id];
}

static void define(reader *r, const token *name, qn__value value) {
    qn__value *where = slot(r, name);
    if (!where) return;
    if (*where) {
        r->token = *name;
        fail(r, "value %%%.*s is defined twice", (int)(name->length < 80 ? name->length : 80), name->text);
    } else {
        *where = value;
    }
}

static qn__value read_value(reader *r) {
    if (r->token.kind != VALUE || !r->token.length) {
        fail(r, "a value expected");
        return 0;
    }
    qn__value *where = slot(r, &r->token);
    if (where && !*where)
        fail(r, "value %%%.*s is not defined above", (int)(r->token.length < 80 ? r->token.length : 80), r->token.text);
    qn__value value = where ? *where : 0;
    advance(r);
    return value;
}

/* Values separated by commas, to the stack. */
static void read_values(reader *r) {
    if (r->token.kind != VALUE) return;
    do push(r, read_value(r));
    while (!r->message && accept(r, ","));
}

typedef struct typed { token name; qn__type type; } typed;

/* %a: i64, %b: f32 ... */
static typed *read_typed(reader *r, uint32_t *count) {
    typed *list = NULL;
    size_t capacity = 0;
    *count = 0;
    while (!r->message) {
        if (r->token.kind != VALUE || !r->token.length) {
            fail(r, "a value expected");
            break;
        }
        typed *grown = qn__arena_grow(r->arena, list, &capacity, (size_t)*count + 1, sizeof *list);
        if (!grown) {
            out_of_memory(r);
            break;
        }
        list = grown;
        list[*count].name = r->token;
        advance(r);
        need(r, ":");
        list[*count].type = read_type(r);
        ++*count;
        if (!accept(r, ",")) break;
    }
    return list;
}

static qn__type *types_of(reader *r, const typed *list, uint32_t count) {
    qn__type *types = QN__ARENA_ARRAY(r->arena, qn__type, count);
    if (!types) out_of_memory(r);
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

static void read_region(reader *r, qn__region_ref region);

static uint32_t read_array(reader *r) {
    if (r->token.kind == REFERENCE) {
        uint32_t index = read_number(r);
        if (index >= r->ir->array_count) fail(r, "no such array");
        return index;
    }
    for (uint32_t i = 0; r->token.kind == WORD && i < r->ir->array_count; i++)
        if (accept(r, r->ir->arrays[i].name)) return i;
    fail(r, "an array expected");
    return 0;
}

static uint32_t read_reference(reader *r, uint32_t count) {
    if (r->token.kind != REFERENCE) fail(r, "a reference expected");
    uint32_t index = read_number(r);
    if (index >= count) fail(r, "no such thing");
    return index;
}

static void read_subscripts(reader *r) {
    need(r, "[");
    read_values(r);
    need(r, "]");
    if (accept(r, ",")) read_values(r);
}

static uint64_t read_constant(reader *r, qn__type type) {
    char buffer[TOKEN_LIMIT], *end;
    const char *text = spelled(r, buffer);
    uint64_t bits = 0;
    bool hexadecimal = !strncmp(text, "0x", 2);
    if (r->token.kind != NUMBER && r->token.kind != WORD) fail(r, "a constant expected");
    if (type == QN__TYPE_BOOL && !strcmp(text, "true")) bits = 1, end = "";
    else if (type == QN__TYPE_BOOL && !strcmp(text, "false")) bits = 0, end = "";
    else if (hexadecimal) bits = strtoull(text, &end, 16);
    else if (type == QN__TYPE_F32) bits = qn__eval_from_f64(type, (double)strtof_l(text, &end, r->c_locale));
    else if (qn__is_float(type)) bits = qn__eval_from_f64(type, strtod_l(text, &end, r->c_locale));
    else if (*text == '-') bits = qn__eval_cut(type, (uint64_t)strtoll(text, &end, 10));
    else bits = strtoull(text, &end, 10);
    if (!*text || *end) fail(r, "a constant expected");
    advance(r);
    return bits;
}

static void read_called(reader *r, draft *d) {
    d->imm = read_bits(r); /* may name a later function: the verifier looks */
    if (r->token.kind == WORD) advance(r);
    need(r, "(");
    read_values(r);
    need(r, ")");
}

static void read_filled(reader *r, draft *d) {
    size_t start = r->stack_count;
    need(r, "[");
    do push(r, read_array(r));
    while (!r->message && accept(r, ","));
    need(r, "]");
    d->list_count = (uint32_t)(r->stack_count - start);
    d->list = QN__ARENA_ARRAY(r->arena, uint32_t, d->list_count);
    if (d->list && d->list_count) memcpy(d->list, r->stack + start, d->list_count * sizeof *d->list);
    else if (!d->list) out_of_memory(r);
    r->stack_count = start;
    d->args = start;
}

static void read_operands(reader *r, draft *d) {
    d->args = r->stack_count;
    switch ((int)d->op) {
    case QN__OP_CONST: d->imm = read_constant(r, d->result_count ? d->results[0].type : QN__TYPE_NONE); break;
    case QN__OP_PARAM:
    case QN__OP_SIZE: d->imm = read_bits(r); break;
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
        need(r, ",");
        uint32_t other = read_array(r);
        if (other > UINT8_MAX) fail(r, "array %" PRIu32 " cannot be swapped", other);
        d->aux = (uint8_t)other;
        break;
    }
    case QN__OP_KEEP:
        read_filled(r, d);
        read_values(r);
        break;
    case QN__OP_PARALLEL:
        d->imm = read_bits(r);
        read_values(r);
        break;
    default: read_values(r); break;
    }
    d->arg_count = r->stack_count - d->args;
}

static void read_location(reader *r, draft *d) {
    uint32_t file = 0, line = read_number(r);
    if (accept(r, "/")) {
        file = line;
        line = read_number(r);
    }
    need(r, ":");
    uint32_t column = read_number(r), length = 0;
    if (accept(r, "+")) length = read_number(r);
    const char *path = file < r->path_count ? r->paths[file] : "";
    if (!r->message) d->location = qn__ir_location(r->ir, path, line, column, length);
}

static void read_flags(reader *r, draft *d) {
    while (accept(r, "!")) {
        if (accept(r, "fuse_left")) d->flags |= QN__FUSE_LEFT;
        else if (accept(r, "fuse_right")) d->flags |= QN__FUSE_RIGHT;
        else if (accept(r, "exclusive")) d->flags |= QN__EXCLUSIVE;
        else if (accept(r, "contraction")) d->flags |= QN__CONTRACTION;
        else fail(r, "a flag expected");
    }
    if (accept(r, "@")) read_location(r, d);
}

/* The operation's name, with a suffix for accumulate and check. */
static void read_op(reader *r, draft *d) {
    size_t length = r->token.length, base = 0;
    while (base < length && r->token.text[base] != '.') base++;
    const char *suffix = r->token.text + base + 1;
    size_t rest = base < length ? length - base - 1 : 0;
    uint32_t op = QN__OP_COUNT;
    if (r->token.kind == WORD)
        for (op = 0; op < QN__OP_COUNT; op++)
            if (strlen(qn__op_table[op].name) == base && !memcmp(qn__op_table[op].name, r->token.text, base)) break;
    if (op == QN__OP_COUNT) {
        fail(r, "an operation expected");
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
    advance(r);
}

static void build(reader *r, qn__region_ref region, const draft *d, const qn__region_ref *regions,
                  uint32_t region_count) {
    qn__type *types = types_of(r, d->results, d->result_count);
    const qn__op_info *info = &qn__op_table[d->op];
    if (info->results >= 0 && d->result_count != (uint32_t)info->results)
        fail(r, "%s has %d results", info->name, info->results);
    if (r->message) return;
    qn__builder b = {.ir = r->ir, .region = region, .location = d->location};
    const qn__value *args = d->arg_count ? r->stack + d->args : NULL;
    qn__instr_ref ref = qn__build(&b, d->op, args, (uint32_t)d->arg_count, types, d->result_count, regions,
                                  region_count, d->imm);
    if (!ref) {
        out_of_memory(r);
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

static qn__region_ref new_region(reader *r) {
    uint32_t count = 0;
    typed *params = NULL;
    need(r, "{");
    if (r->token.kind == VALUE) {
        /* parameters, or the results of the first instruction: "->" decides */
        reader before = *r;
        params = read_typed(r, &count);
        if (!accept(r, "->")) {
            before.message = r->message;
            *r = before;
            params = NULL;
            count = 0;
        }
    }
    qn__type *types = types_of(r, params, count);
    if (r->message) return 0;
    qn__region_ref region = qn__region_create(r->ir, types, count);
    if (!region) out_of_memory(r);
    for (uint32_t i = 0; region && i < count; i++) define(r, &params[i].name, qn__region_param(r->ir, region, i));
    return region;
}

static void read_instr(reader *r, qn__region_ref region) {
    draft d = {0};
    qn__region_ref regions[3] = {0};
    uint32_t region_count = 0;
    if (r->token.kind == VALUE) {
        d.results = read_typed(r, &d.result_count);
        need(r, "=");
    }
    read_op(r, &d);
    read_operands(r, &d);
    read_flags(r, &d);
    while (!r->message && is(r, "{")) {
        if (region_count == 3) {
            fail(r, "too many regions");
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
static void read_region(reader *r, qn__region_ref region) {
    if (++r->depth > DEPTH_LIMIT) fail(r, "nested too deeply");
    while (!r->message && !is(r, "}")) {
        if (r->token.kind == END) fail(r, "'}' expected");
        else read_instr(r, region);
    }
    need(r, "}");
    r->depth--;
}

/* --- declarations ------------------------------------------------------------------------------------------------- */

static qn__array_kind read_array_kind(reader *r) {
    if (accept(r, "in")) return QN__ARRAY_IN;
    if (accept(r, "out")) return QN__ARRAY_OUT;
    if (accept(r, "inout")) return QN__ARRAY_INOUT;
    need(r, "temp");
    return QN__ARRAY_TEMP;
}

static void read_array_line(reader *r) {
    const char *name = read_name(r);
    qn__array_kind kind = read_array_kind(r);
    qn__type type = read_type(r);
    uint32_t rank = 0, index = r->ir->array_count;
    need(r, "[");
    while (!r->message && !is(r, "]")) {
        if (rank == QN__MAX_RANK) fail(r, "the rank is too high");
        fixup *grown = qn__arena_grow(r->arena, r->fixups, &r->fixup_capacity, r->fixup_count + 1, sizeof *grown);
        if (!grown) {
            out_of_memory(r);
            return;
        }
        r->fixups = grown;
        if (r->token.kind == VALUE) r->fixups[r->fixup_count++] = (fixup){index, rank, r->token};
        else if (!is(r, "_")) fail(r, "a value or '_' expected");
        advance(r);
        rank++;
        if (!accept(r, ",")) break;
    }
    need(r, "]");
    if (r->message) return;
    qn__ir_array(r->ir, name, type, rank, kind);
    if (r->ir->failed) out_of_memory(r);
}

static void read_types(reader *r) {
    if (r->token.kind != WORD) return;
    do push(r, (uint32_t)read_type(r));
    while (!r->message && accept(r, ","));
}

static qn__type *pop_types(reader *r, size_t start, uint32_t *count) {
    *count = (uint32_t)(r->stack_count - start);
    qn__type *types = QN__ARENA_ARRAY(r->arena, qn__type, *count);
    if (!types) out_of_memory(r);
    for (uint32_t i = 0; types && i < *count; i++) types[i] = (qn__type)r->stack[start + i];
    r->stack_count = start;
    return types;
}

static void read_extern(reader *r) {
    const char *name = read_name(r);
    uint32_t count = 0;
    need(r, "(");
    size_t start = r->stack_count;
    read_types(r);
    qn__type *types = pop_types(r, start, &count);
    need(r, ")");
    need(r, "->");
    qn__type result = read_type(r);
    if (!r->message) qn__ir_extern(r->ir, name, types, count, result);
    if (r->ir->failed) out_of_memory(r);
}

static void read_function(reader *r) {
    const char *name = read_name(r);
    need(r, "->");
    uint32_t count = 0;
    size_t start = r->stack_count;
    read_types(r);
    qn__type *types = pop_types(r, start, &count);
    qn__region_ref body = new_region(r);
    if (r->message) return;
    uint32_t index = qn__ir_function(r->ir, name, NULL, 0, types, count);
    if (r->ir->failed) {
        out_of_memory(r);
        return;
    }
    r->ir->functions[index].body = body;
    read_region(r, body);
}

static void read_local(reader *r) {
    const char *name = read_name(r);
    qn__type type = read_type(r);
    uint32_t count = read_number(r);
    if (!r->message) qn__ir_local(r->ir, name, type, count);
    if (r->ir->failed) out_of_memory(r);
}

static void read_file(reader *r) {
    const char *path = read_name(r);
    const char **grown = qn__arena_grow(r->arena, (void *)(uintptr_t)r->paths, &r->path_capacity, r->path_count + 1, sizeof *grown);
    if (!grown) {
        out_of_memory(r);
        return;
    }
    r->paths = grown;
    r->paths[r->path_count++] = path;
}

/* --- signature ---------------------------------------------------------------------------------------------------- */

static uint32_t named_number(reader *r, const char *name) {
    need(r, name);
    return read_number(r);
}

static int64_t read_signed(reader *r) {
    char buffer[TOKEN_LIMIT], *end;
    if (r->token.kind != NUMBER) fail(r, "a number expected");
    int64_t value = strtoll(spelled(r, buffer), &end, 10);
    if (*end) fail(r, "a number expected");
    advance(r);
    return value;
}

static void read_signature(reader *r) {
    qn__signature *s = QN__ARENA_NEW(r->arena, qn__signature);
    if (!s) {
        out_of_memory(r);
        return;
    }
    s->name = read_name(r);
    s->input_count = named_number(r, "inputs");
    s->scalar_count = named_number(r, "scalars");
    r->ir->signature = s;
}

/* One more element of a signature's table, or NULL with an error. */
static void *one_more(reader *r, void *table, uint32_t count, size_t *capacity, size_t size) {
    if (!r->ir->signature) {
        fail(r, "a signature expected");
        return NULL;
    }
    void *grown = qn__arena_grow(r->arena, table, capacity, (size_t)count + 1, size);
    if (!grown) out_of_memory(r);
    return grown;
}

static void read_symbol(reader *r) {
    qn__signature *s = r->ir->signature;
    qn__symbol *grown = one_more(r, s ? s->symbols : NULL, s ? s->symbol_count : 0, &r->symbol_capacity, sizeof *grown);
    if (!grown) return;
    s->symbols = grown;
    qn__symbol *symbol = &s->symbols[s->symbol_count++];
    *symbol = (qn__symbol){.name = read_name(r)};
    symbol->existential = accept(r, "existential");
    symbol->parameter = named_number(r, "parameter");
    symbol->dimension = named_number(r, "dimension");
    need(r, "addend");
    symbol->addend = read_signed(r);
}

static void read_dim(reader *r) {
    static const char *const names[] = {"const", "symbol", "scalar", "add", "sub", "mul", "div", "rem", "min", "max"};
    qn__signature *s = r->ir->signature;
    qn__dim *grown = one_more(r, s ? s->dims : NULL, s ? s->dim_count : 0, &r->dim_capacity, sizeof *grown);
    if (!grown) return;
    s->dims = grown;
    qn__dim *dim = &s->dims[s->dim_count++];
    *dim = (qn__dim){0};
    if (read_number(r) != s->dim_count - 1) fail(r, "dims are numbered from 0");
    uint8_t op = 0;
    while (op <= QN__DIM_MAX && !accept(r, names[op])) op++;
    if (op > QN__DIM_MAX) {
        fail(r, "a dim's operation expected");
        return;
    }
    dim->op = op;
    if (op <= QN__DIM_SCALAR) {
        dim->value = read_signed(r);
        return;
    }
    dim->left = read_number(r);
    dim->right = read_number(r);
    if (dim->left >= s->dim_count - 1 || dim->right >= s->dim_count - 1) fail(r, "a dim's operands come before it");
}

static void read_parameter(reader *r) {
    static const char *const kinds[] = {"scalar", "in", "inout", "out"};
    qn__signature *s = r->ir->signature;
    qn__parameter *grown =
        one_more(r, s ? s->parameters : NULL, s ? s->parameter_count : 0, &r->parameter_capacity, sizeof *grown);
    if (!grown) return;
    s->parameters = grown;
    qn__parameter *parameter = &s->parameters[s->parameter_count++];
    *parameter = (qn__parameter){.name = read_name(r)};
    uint8_t kind = 0;
    while (kind <= QN__PARAMETER_OUT && !accept(r, kinds[kind])) kind++;
    if (kind > QN__PARAMETER_OUT) fail(r, "a parameter's kind expected");
    parameter->kind = kind & 3;
    parameter->type = (uint8_t)read_type(r);
    parameter->is_size = accept(r, "size");
    parameter->index = named_number(r, "index");
    need(r, "dims");
    while (!r->message && r->token.kind == NUMBER) {
        uint32_t dim = read_number(r);
        if (parameter->rank == QN__MAX_RANK || dim >= s->dim_count) fail(r, "no such dim, or too many");
        else parameter->dim[parameter->rank++] = dim;
    }
}

/* --- the module --------------------------------------------------------------------------------------------------- */

static void read_declarations(reader *r) {
    while (!r->message && !is(r, "body")) {
        if (accept(r, "array")) read_array_line(r);
        else if (accept(r, "local")) read_local(r);
        else if (accept(r, "extern")) read_extern(r);
        else if (accept(r, "function")) read_function(r);
        else if (accept(r, "file")) read_file(r);
        else if (accept(r, "signature")) read_signature(r);
        else if (accept(r, "symbol")) read_symbol(r);
        else if (accept(r, "dim")) read_dim(r);
        else if (accept(r, "parameter")) read_parameter(r);
        else fail(r, "a declaration or 'body' expected");
    }
}

static void resolve_extents(reader *r) {
    for (size_t i = 0; i < r->fixup_count && !r->message; i++) {
        const fixup *f = &r->fixups[i];
        qn__value *where = slot(r, &f->name);
        r->token = f->name;
        if (where && !*where) fail(r, "the extent is not defined");
        else if (where) r->ir->arrays[f->array].extent[f->dimension] = *where;
    }
}

qn__ir *qn__ir_read(qn__arena *arena, const char *text, size_t length, const char **message) {
    const char *ignored;
    if (!message) message = &ignored;
    reader r = {.arena = arena, .next = text, .end = text + length, .line_start = text, .line = 1};
    r.names = qn__names_create(arena);
    r.c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!r.names || !r.c_locale) out_of_memory(&r);
    advance(&r);
    need(&r, "kernel");
    const char *name = read_name(&r);
    r.ir = r.message ? NULL : qn__ir_create(arena, name);
    if (!r.message && !r.ir) out_of_memory(&r);
    if (r.ir) {
        r.ir->fast = accept(&r, "fast");
        read_declarations(&r);
        if (need(&r, "body") && need(&r, "{")) read_region(&r, r.ir->body);
        if (r.token.kind != END) fail(&r, "the end expected");
        resolve_extents(&r);
    }
    if (r.c_locale) freelocale(r.c_locale);
    *message = r.message;
    return r.message ? NULL : r.ir;
}
