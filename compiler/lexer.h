// From text to tokens. A file is tokenised as a whole before it is parsed.
#ifndef QN__COMPILER_LEXER_H
#define QN__COMPILER_LEXER_H

#include "compiler/diagnostic.h"
#include "compiler/source.h"
#include "ir/arena.h"
#include "ir/names.h"

enum { QN__LINE_LEADS = 1, QN__LINE_FOLLOWS = 2, QN__LINE_BOTH = 3 };

typedef enum qn__token_kind {
#define QN__TOKEN(name, spelling, sort, line) QN__TOKEN_##name,
#include "compiler/token.def"
#undef QN__TOKEN
    QN__TOKEN_KINDS
} qn__token_kind;

typedef enum qn__token_sort {
    QN__SORT_SPECIAL,
    QN__SORT_VALUE,
    QN__SORT_WORD,
    QN__SORT_OPERATOR,
    QN__SORT_BRACKET,
    QN__SORT_PUNCTUATION
} qn__token_sort;

enum {
    QN__TOKEN_NEWLINE = 1,  // the first token of its line
    QN__TOKEN_VIRTUAL = 2,  // a closing bracket that was missing and reported (compiler/brackets.h)
    QN__TOKEN_SPACE = 4     // white space or a comment before it
};

typedef struct qn__token {
    uint8_t kind;  // qn__token_kind
    uint8_t flags;
    // NAME and WORD: the interned name. Opening bracket: how many tokens later its partner stands (compiler/brackets.h).
    uint32_t value;
    uint32_t begin, end;
} qn__token;

typedef struct qn__tokens {
    const qn__source *source;
    qn__token *items;  // the last one is END
    size_t count;
    size_t capacity;
} qn__tokens;

enum {
    QN__SOURCE_LIMIT = 16 << 20,  // bytes of one file
    QN__TOKEN_LIMIT = 4 << 20     // tokens of one file
};

// Tokenises the source. Errors are reported to the sink; what can be guessed is put in place of a wrong operator, so
// that parsing can go on. False when parsing makes no sense (no valid UTF-8, a limit, no memory).
bool qn__lex(const qn__source *source, qn__arena *arena, qn__names *names, qn__diagnostic_sink *sink, qn__tokens *out);

const char *qn__token_text(qn__token_kind kind);  // the spelling, or a description of SPECIAL and VALUE tokens
const char *qn__token_kind_name(qn__token_kind kind);
qn__token_sort qn__token_sort_of(qn__token_kind kind);
int qn__token_line(qn__token_kind kind);

typedef struct qn__number {
    bool is_float;
    bool overflow;  // integer beyond u64, float beyond f64
    uint64_t integer;
    double real;
    const char *problem;  // NULL when well formed, else what is wrong, as a phrase
} qn__number;

// Reads a literal as the lexer found it (digits, '_', '.', exponent, 0x, 0b), correctly rounded.
qn__number qn__read_number(const char *text, size_t length);

// Appends the tokens of the source, one a line: "line:column kind text".
void qn__tokens_dump(qn__text *out, const qn__tokens *tokens);

// A UTF-8 sequence at the start of the bytes: its length, 0 when invalid; the code point goes to *code_point.
size_t qn__decode_utf8(const char *bytes, size_t length, uint32_t *code_point);

#endif
