/* What the parts of the reader share: tokens (read_tokens.c), the module (read.c). Only ir/ includes this. */
#ifndef QN__READ_H
#define QN__READ_H

#include "ir/names.h"
#include "ir/passes.h"

#include <locale.h>

enum { QN__TOKEN_LIMIT = 256 };

typedef enum qn__token_kind {
    QN__TOKEN_END, QN__TOKEN_WORD, QN__TOKEN_NUMBER, QN__TOKEN_STRING, QN__TOKEN_VALUE, QN__TOKEN_REFERENCE, QN__TOKEN_PUNCTUATION
} qn__token_kind;

typedef struct qn__token {
    qn__token_kind kind;
    const char *text; /* of value, reference and string without their marks */
    size_t length;
    uint32_t line, column;
} qn__token;

typedef struct qn__fixup { uint32_t array, dimension; qn__token name; } qn__fixup;

typedef struct qn__reader {
    qn__arena *arena;
    const char *next, *end, *line_start;
    uint32_t line;
    qn__token token;
    const char *message;   /* the first error */
    qn__ir *ir;
    qn__names *names;
    qn__value *values;      size_t value_capacity;     /* by interned name */
    uint32_t *stack;        size_t stack_count, stack_capacity;
    qn__fixup *fixups;      size_t fixup_count, fixup_capacity;
    const char **paths;     size_t path_count, path_capacity;
    size_t symbol_capacity, dim_capacity, parameter_capacity;
    locale_t c_locale;
    uint32_t depth;
} qn__reader;

__attribute__((format(printf, 2, 3))) void qn__read_fail(qn__reader *r, const char *format, ...);
bool qn__read_no_memory(qn__reader *r); /* an error, too; false */
void qn__read_advance(qn__reader *r);
bool qn__read_is(const qn__reader *r, const char *text);
bool qn__read_accept(qn__reader *r, const char *text);
bool qn__read_need(qn__reader *r, const char *text);
/* The token's text with a zero; tokens that are too long are an error. */
const char *qn__read_spelled(qn__reader *r, char buffer[QN__TOKEN_LIMIT]);
uint64_t qn__read_bits(qn__reader *r);
uint32_t qn__read_integer(qn__reader *r);
/* A word or a string, as text of the arena. */
const char *qn__read_name(qn__reader *r);
qn__type qn__read_type(qn__reader *r);

#endif
