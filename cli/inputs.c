/* Inputs from the command line's text: numbers, lists, files, and generated arrays. A recursive reader over the text; every
 * failure leaves one line in `message`. */
#include "cli/cli.h"
#include "ir/eval.h"
#include "runtime/npy.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBER = 128, MAX_ARGUMENTS = QN_MAX_RANK + 3 };

typedef struct reader {
    qn_context *context;
    const char *at;
    qn_type type;
    char *message;
    size_t message_size;
} reader;

__attribute__((format(printf, 3, 4))) static int fail(reader *r, int status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(r->message, r->message_size, format, list);
    va_end(list);
    return status;
}

static void skip_blanks(reader *r) {
    while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n') r->at++;
}

/* The text of one number, or of true, false, nan, inf. */
static bool number_text(reader *r, char out[MAX_NUMBER]) {
    skip_blanks(r);
    size_t length = 0;
    while (isalnum((unsigned char)*r->at) || *r->at == '.' || *r->at == '+' || *r->at == '-' || *r->at == '_') {
        if (length + 1 >= MAX_NUMBER) return false;
        if (*r->at != '_') out[length++] = *r->at;
        r->at++;
    }
    out[length] = 0;
    skip_blanks(r);
    return length > 0;
}

static bool whole_number(const char *text) {
    if (*text == '-' || *text == '+') text++;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) return true;
    return *text != 0 && text[strspn(text, "0123456789")] == 0;
}

static int parse_integer(reader *r, const char *text, uint64_t *bits) {
    const qn__type type = (qn__type)r->type;
    const bool negative = *text == '-';
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text + (negative || *text == '+'), &end, 0);
    const uint32_t width = qn__type_bits(type);
    const uint64_t top = qn__is_signed(type) ? (1ULL << (width - 1)) - 1 + negative : width == 64 ? UINT64_MAX : (1ULL << width) - 1;
    if (!whole_number(text) || *end) return fail(r, QN_USAGE, "'%s' is not a whole number (%s)", text, qn_type_name(r->type));
    if (errno || value > top || (negative && value > 0 && !qn__is_signed(type)))
        return fail(r, QN_USAGE, "%s is out of the range of %s", text, qn_type_name(r->type));
    *bits = qn__eval_cut(type, negative ? 0 - value : value);
    return QN_OK;
}

static int parse_element(reader *r, const char *text, void *element) {
    uint64_t bits = 0;
    if (r->type == QN_BOOL) {
        const bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
        if (!yes && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
            return fail(r, QN_USAGE, "'%s' is neither true nor false", text);
        bits = yes;
    } else if (qn__is_float((qn__type)r->type)) {
        char *end = NULL;
        const double value = strtod(text, &end);
        if (end == text || *end) return fail(r, QN_USAGE, "'%s' is not a number", text);
        bits = qn__eval_from_f64((qn__type)r->type, value);
        if (r->type == QN_F32) { /* rounded once, not through f64 */
            const float single = strtof(text, NULL);
            uint32_t word;
            memcpy(&word, &single, sizeof word);
            bits = word;
        }
    } else {
        const int status = parse_integer(r, text, &bits);
        if (status != QN_OK) return status;
    }
    memcpy(element, &bits, qn_type_bytes(r->type));
    return QN_OK;
}

/* ---- lists ---- */
typedef struct list {
    int64_t shape[QN_MAX_RANK];
    bool known[QN_MAX_RANK];
    int32_t rank;
    char *elements;
    size_t count, capacity;
} list;

static int read_level(reader *r, list *l, int32_t depth) {
    skip_blanks(r);
    if (*r->at != '[') {
        char text[MAX_NUMBER];
        if (!number_text(r, text)) return fail(r, QN_USAGE, "a number is expected at '%.20s'", r->at);
        if (l->rank >= 0 && l->rank != depth) return fail(r, QN_USAGE, "the list is nested unevenly at '%s'", text);
        l->rank = depth;
        const size_t bytes = qn_type_bytes(r->type);
        if (l->count == l->capacity) {
            l->capacity = l->capacity ? l->capacity * 2 : 64;
            char *grown = realloc(l->elements, l->capacity * bytes);
            if (!grown) return fail(r, QN_RESOURCE, "out of memory");
            l->elements = grown;
        }
        return parse_element(r, text, l->elements + l->count++ * bytes);
    }
    if (depth >= QN_MAX_RANK) return fail(r, QN_USAGE, "a list may be nested %d deep", QN_MAX_RANK);
    r->at++;
    int64_t n = 0;
    skip_blanks(r);
    while (*r->at != ']') {
        if (n > 0 && *r->at++ != ',') return fail(r, QN_USAGE, "',' or ']' is expected in the list");
        const int status = read_level(r, l, depth + 1);
        if (status != QN_OK) return status;
        n++;
        skip_blanks(r);
    }
    r->at++;
    if (l->known[depth] && l->shape[depth] != n) return fail(r, QN_USAGE, "the list's rows have %lld and %lld elements", (long long)l->shape[depth], (long long)n);
    l->known[depth] = true;
    l->shape[depth] = n;
    if (n == 0 && l->rank < depth + 1) l->rank = depth + 1;
    skip_blanks(r);
    return QN_OK;
}

static int make_array(reader *r, int32_t rank, const int64_t *shape, cli_input *input) {
    qn_error error;
    const qn_status status = qn_array_create(r->context, r->type, (size_t)rank, shape, &input->array, &error);
    if (status != QN_OK) return fail(r, (int)status, "%s", error.message);
    input->view = *qn_array_tensor(input->array);
    return QN_OK;
}

static int read_list(reader *r, cli_input *input) {
    list l = {.rank = -1};
    int status = read_level(r, &l, 0);
    if (status == QN_OK) status = make_array(r, l.rank, l.shape, input);
    if (status == QN_OK && l.count) memcpy(input->view.data, l.elements, l.count * qn_type_bytes(r->type));
    free(l.elements);
    return status;
}

/* ---- files ---- */
static int read_file(reader *r, int32_t rank, cli_input *input) {
    qn__argument argument;
    char message[QN__NPY_MESSAGE];
    const char *path = r->at + 1;
    r->at += strlen(r->at);
    if (!qn__npy_read(path, (qn__type)r->type, NULL, &argument, message)) return fail(r, QN_IO, "%s: %s", path, message);
    int status = QN_OK;
    if (r->type && (qn_type)argument.type != r->type)
        status = fail(r, QN_USAGE, "%s holds %s, the parameter is %s", path, qn_type_name((qn_type)argument.type), qn_type_name(r->type));
    else if (rank >= 0 && (int32_t)argument.rank != rank)
        status = fail(r, QN_USAGE, "%s has rank %u, the parameter has rank %d", path, argument.rank, rank);
    r->type = (qn_type)argument.type;
    int64_t total = 1;
    for (uint32_t d = 0; d < argument.rank; d++) /* wraps only on the way to 0: the reader has seen that all else fits */
        total = (int64_t)((uint64_t)total * (uint64_t)argument.extent[d]);
    if (status == QN_OK) status = make_array(r, 1, &total, input);
    if (status == QN_OK) {
        const int64_t bytes = (int64_t)qn_type_bytes(r->type);
        if (argument.rank == 0)
            memcpy(input->view.data, argument.data ? argument.data : (void *)&argument.bits, (size_t)bytes);
        else
            memcpy(input->view.data, argument.data, (size_t)(total * bytes));
        for (uint32_t d = 0; d < argument.rank; d++) {
            input->shape[d] = argument.extent[d];
            input->strides[d] = argument.stride[d] / bytes;
        }
        input->view.ndim = argument.rank;
        input->view.shape = input->shape;
        input->view.strides = input->strides;
    }
    qn__argument_free(&argument, NULL);
    return status;
}

int cli_input_map(qn_context *context, const char *text, qn_type type, int32_t rank, cli_input *input, char *message, size_t size) {
    qn__argument argument;
    qn__npy_map map;
    char why[QN__NPY_MESSAGE];
    bool mapped;
    const char *path = text + strspn(text, " \t\n");
    if (*path != '@') return cli_input_make(context, text, type, rank, input, message, size);
    reader r = {.message = message, .message_size = size};
    *input = (cli_input){0};
    path++;
    if (!qn__npy_map_file(path, (qn__type)type, &map, &argument, &mapped, why)) return fail(&r, QN_IO, "%s: %s", path, why);
    if (!mapped) return cli_input_make(context, text, type, rank, input, message, size);
    input->map = map.start;
    input->map_bytes = map.bytes;
    int status = QN_OK;
    if (type && (qn_type)argument.type != type)
        status = fail(&r, QN_USAGE, "%s holds %s, the parameter is %s", path, qn_type_name((qn_type)argument.type), qn_type_name(type));
    else if (rank >= 0 && (int32_t)argument.rank != rank)
        status = fail(&r, QN_USAGE, "%s has rank %u, the parameter has rank %d", path, argument.rank, rank);
    const int64_t bytes = (int64_t)qn_type_bytes((qn_type)argument.type);
    for (uint32_t d = 0; d < argument.rank; d++) {
        input->shape[d] = argument.extent[d];
        input->strides[d] = argument.stride[d] / bytes;
    }
    input->view = (DLTensor){.data = argument.data, .device = {kDLCPU, 0}, .ndim = argument.rank, .dtype = qn_type_to_dlpack((qn_type)argument.type),
                             .shape = input->shape, .strides = input->strides};
    if (status != QN_OK) cli_input_free(input);
    return status;
}

void cli_input_free(cli_input *input) {
    qn_array_destroy(input->array);
    qn__npy_unmap(&(qn__npy_map){input->map, input->map_bytes});
    *input = (cli_input){0};
}

/* ---- generated arrays ---- */
typedef enum generator { ZEROS, ONES, FULL, ARANGE, LINSPACE, RANDOM } generator;
static const struct { const char *name; uint32_t parameters; bool shaped; } generators[] = {
    [ZEROS] = {"zeros", 0, true},   [ONES] = {"ones", 0, true},         [FULL] = {"full", 1, true},
    [ARANGE] = {"arange", 1, false}, [LINSPACE] = {"linspace", 3, false}, [RANDOM] = {"random", 1, true}};
enum { GENERATORS = sizeof generators / sizeof *generators };

/* A well-mixed 64-bit number of seed and counter (splitmix64, Steele, Lea and Flood 2014). */
static uint64_t mixed(uint64_t seed, uint64_t counter) {
    uint64_t z = seed * 0xD1342543DE82EF95ULL + (counter + 1) * 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static uint64_t generated(qn_type type, generator g, const double *p, uint64_t i) {
    const qn__type t = (qn__type)type;
    double value = 0.0;
    switch (g) {
    case ZEROS: break;
    case ONES: value = 1.0; break;
    case FULL: value = p[0]; break;
    case ARANGE: value = (double)i; break;
    case LINSPACE: value = p[2] > 1 ? p[0] + (p[1] - p[0]) * ((double)i / (p[2] - 1)) : p[0]; break;
    case RANDOM: {
        const uint64_t z = mixed((uint64_t)(int64_t)p[0], i);
        if (type == QN_F64) value = (double)(z >> 11) * 0x1p-53;
        else if (type == QN_F32) value = (double)(z >> 40) * 0x1p-24;
        else if (qn__is_float(t)) value = (double)(z >> 57) * 0x1p-7;
        else return type == QN_BOOL ? z >> 63 : z >> 57;
        break;
    }
    }
    if (qn__is_float(t)) return qn__eval_from_f64(t, value);
    if (type == QN_BOOL) return value != 0;
    return qn__eval_cut(t, (uint64_t)(int64_t)value);
}

static int generator_arguments(reader *r, double *values, uint32_t *count) {
    *count = 0;
    skip_blanks(r);
    while (*r->at != ')') {
        char text[MAX_NUMBER], *end = NULL;
        if (*count > 0 && *r->at++ != ',') return fail(r, QN_USAGE, "',' or ')' is expected at '%.20s'", r->at - 1);
        if (*count == MAX_ARGUMENTS) return fail(r, QN_USAGE, "too many numbers in the parentheses");
        if (!number_text(r, text)) return fail(r, QN_USAGE, "a number is expected at '%.20s'", r->at);
        values[*count] = strtod(text, &end);
        if (*end) return fail(r, QN_USAGE, "'%s' is not a number", text);
        ++*count;
    }
    r->at++;
    return QN_OK;
}

static int suffix_type(reader *r, qn_type otherwise) {
    skip_blanks(r);
    if (*r->at == ':') {
        char name[MAX_NUMBER];
        r->at++;
        const qn_type type = number_text(r, name) ? qn_type_from_name(name) : (qn_type)0;
        if (!type) return fail(r, QN_USAGE, "a type such as f32 is expected behind ':'");
        if (r->type && r->type != type) return fail(r, QN_USAGE, "the value is %s, the parameter %s", qn_type_name(type), qn_type_name(r->type));
        r->type = type;
    }
    if (!r->type) r->type = otherwise;
    return QN_OK;
}

static int extent_of(reader *r, double value, int64_t *extent) {
    if (!(value >= 0 && value < 0x1p48 && value == floor(value))) return fail(r, QN_USAGE, "%g is no extent of an array", value);
    *extent = (int64_t)value;
    return QN_OK;
}

static int generate(reader *r, generator g, cli_input *input) {
    double values[MAX_ARGUMENTS];
    uint32_t count = 0;
    int status = generator_arguments(r, values, &count);
    if (status == QN_OK) status = suffix_type(r, g == ARANGE ? QN_I64 : QN_F64);
    if (status != QN_OK) return status;
    const uint32_t own = generators[g].parameters;
    if (count < own || (!generators[g].shaped && count != own))
        return fail(r, QN_USAGE, "%s takes %u number%s%s", generators[g].name, own, own == 1 ? "" : "s", generators[g].shaped ? " and a shape" : "");
    int64_t shape[QN_MAX_RANK] = {0};
    int32_t rank = generators[g].shaped ? (int32_t)(count - own) : 1;
    if (rank > QN_MAX_RANK) return fail(r, QN_USAGE, "an array has at most %d dimensions", QN_MAX_RANK);
    for (int32_t d = 0; d < rank && status == QN_OK; d++)
        status = extent_of(r, generators[g].shaped ? values[own + (uint32_t)d] : values[own - 1], &shape[d]);
    if (status == QN_OK) status = make_array(r, rank, shape, input);
    if (status != QN_OK) return status;
    uint64_t total = 1;
    for (int32_t d = 0; d < rank; d++) total *= (uint64_t)shape[d];
    const size_t bytes = qn_type_bytes(r->type);
    char *at = input->view.data;
    for (uint64_t i = 0; i < total; i++, at += bytes) {
        const uint64_t bits = generated(r->type, g, values, i);
        memcpy(at, &bits, bytes);
    }
    return QN_OK;
}

static int read_call(reader *r, cli_input *input) {
    const size_t length = strcspn(r->at, "(");
    for (int g = 0; g < GENERATORS; g++) {
        if (strlen(generators[g].name) != length || strncmp(generators[g].name, r->at, length) != 0) continue;
        r->at += length + 1;
        return generate(r, (generator)g, input);
    }
    return fail(r, QN_USAGE, "'%.*s' is unknown; there are zeros, ones, full, arange, linspace, random", (int)length, r->at);
}

/* The type of text whose parameter does not say it: whole numbers are i64, true and false bool, else f64. */
static qn_type guess_type(const char *text) {
    if (strstr(text, "true") || strstr(text, "false")) return QN_BOOL;
    return text[strspn(text, "0123456789+-_[], \t\n")] == 0 ? QN_I64 : QN_F64;
}

int cli_input_make(qn_context *context, const char *text, qn_type type, int32_t rank, cli_input *input, char *message, size_t size) {
    reader r = {.context = context, .at = text, .type = type, .message = message, .message_size = size};
    *input = (cli_input){0};
    int status;
    skip_blanks(&r);
    if (*r.at == '@') {
        status = read_file(&r, rank, input);
    } else if (isalpha((unsigned char)*r.at) && strchr(r.at, '(')) {
        status = read_call(&r, input);
    } else if (*r.at == 0) {
        return fail(&r, QN_USAGE, "the value is empty");
    } else {
        const char *colon = strrchr(r.at, ':');
        char *literal = colon ? strndup(r.at, (size_t)(colon - r.at)) : NULL;
        if (colon) {
            r.at = colon;
            status = suffix_type(&r, QN_F64);
            if (status != QN_OK) {
                free(literal);
                return status;
            }
        } else if (!r.type) {
            r.type = guess_type(r.at);
        }
        if (literal) r.at = literal;
        status = read_list(&r, input);
        if (status == QN_OK && *r.at) status = fail(&r, QN_USAGE, "nothing is expected behind the value, found '%.20s'", r.at);
        free(literal);
        r.at = "";
    }
    if (status == QN_OK && *r.at) status = fail(&r, QN_USAGE, "nothing is expected behind the value, found '%.20s'", r.at);
    if (status == QN_OK && rank >= 0 && input->view.ndim != rank)
        status = fail(&r, QN_USAGE, "the value has rank %d, the parameter has rank %d", input->view.ndim, rank);
    if (status != QN_OK) {
        qn_array_destroy(input->array);
        *input = (cli_input){0};
    }
    return status;
}
