/* Tokens of PTX text. */
#ifndef EM_PTX_LEX_H
#define EM_PTX_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum em_token_kind {
    EM_TOKEN_END, EM_TOKEN_NAME /* add, %r1, $L */, EM_TOKEN_DOT /* .f32, .L1::evict_last; the text is without the dot */, EM_TOKEN_INTEGER,
    EM_TOKEN_FLOAT /* value: bits of the double */, EM_TOKEN_FLOAT32 /* value: bits */, EM_TOKEN_STRING, EM_TOKEN_PUNCTUATION, EM_TOKEN_BAD
} em_token_kind;

typedef struct em_token {
    em_token_kind kind;
    const char *text;
    size_t length;
    uint64_t value;
    uint32_t line;
    char punctuation;
    bool is_unsigned; /* 10U */
    bool wide;        /* an integer that does not fit 64 bits */
} em_token;

typedef struct em_lexer { const char *at, *end; uint32_t line; } em_lexer;

em_token em_lex(em_lexer *lexer);

#endif
