/* Cuts PTX text into tokens. Comments and white space go; preprocessor lines (#...) are skipped as ptxas skips line markers.
 * Never reads past the end: the text need not be zero-terminated. */
#include "emulator/ptx_lex.h"

#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '$'; }
static char peek(const em_lexer *lexer, size_t ahead) { return (size_t)(lexer->end - lexer->at) > ahead ? lexer->at[ahead] : '\0'; }

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* False: a comment without its end. */
static bool skip_space(em_lexer *lexer) {
    bool line_start = false;
    while (lexer->at < lexer->end) {
        char c = *lexer->at;
        if (c == '\n') {
            lexer->line++, lexer->at++;
            line_start = true;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v') {
            lexer->at++;
        } else if (c == '/' && peek(lexer, 1) == '/') {
            while (lexer->at < lexer->end && *lexer->at != '\n') lexer->at++;
        } else if (c == '/' && peek(lexer, 1) == '*') {
            lexer->at += 2;
            while (lexer->at < lexer->end && !(*lexer->at == '*' && peek(lexer, 1) == '/')) {
                if (*lexer->at++ == '\n') lexer->line++;
            }
            if (lexer->at >= lexer->end) return false;
            lexer->at += 2;
        } else if (c == '#' && line_start) {
            while (lexer->at < lexer->end && *lexer->at != '\n') lexer->at++;
        } else {
            break;
        }
    }
    return true;
}

static void hex_float(em_lexer *lexer, em_token *token, size_t digits) {
    uint64_t bits = 0;
    lexer->at += 2;
    for (size_t k = 0; k < digits; k++) {
        int digit = hex_digit(peek(lexer, 0));
        if (digit < 0) {
            token->kind = EM_TOKEN_BAD;
            return;
        }
        bits = bits << 4 | (uint64_t)digit;
        lexer->at++;
    }
    if (is_word(peek(lexer, 0))) token->kind = EM_TOKEN_BAD;
    else token->kind = digits == 8 ? EM_TOKEN_FLOAT32 : EM_TOKEN_FLOAT;
    token->value = bits;
}

static void decimal_float(em_lexer *lexer, em_token *token) {
    char text[64];
    size_t length = (size_t)(lexer->at - token->text);
    token->kind = EM_TOKEN_BAD;
    if (length >= sizeof text) return;
    memcpy(text, token->text, length);
    text[length] = '\0';
    double value = strtod(text, NULL);
    memcpy(&token->value, &value, sizeof value);
    token->kind = EM_TOKEN_FLOAT;
}

/* The fraction and exponent of a decimal number, if there are any. */
static bool float_rest(em_lexer *lexer) {
    bool found = false;
    if (peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
        found = true;
        lexer->at++;
        while (is_digit(peek(lexer, 0))) lexer->at++;
    } else if (peek(lexer, 0) == '.' && !is_word(peek(lexer, 1))) {
        found = true;
        lexer->at++;
    }
    char sign = peek(lexer, 1);
    if ((peek(lexer, 0) == 'e' || peek(lexer, 0) == 'E') && (is_digit(sign) || ((sign == '-' || sign == '+') && is_digit(peek(lexer, 2))))) {
        found = true;
        lexer->at += 2;
        while (is_digit(peek(lexer, 0))) lexer->at++;
    }
    return found;
}

static void number(em_lexer *lexer, em_token *token) {
    char c = peek(lexer, 0), next = peek(lexer, 1);
    uint64_t base = 10;
    if (c == '0' && (next == 'f' || next == 'F')) {
        hex_float(lexer, token, 8);
        return;
    }
    if (c == '0' && (next == 'd' || next == 'D')) {
        hex_float(lexer, token, 16);
        return;
    }
    if (c == '0' && (next == 'x' || next == 'X')) base = 16, lexer->at += 2;
    else if (c == '0' && (next == 'b' || next == 'B')) base = 2, lexer->at += 2;
    else if (c == '0' && is_digit(next)) base = 8, lexer->at++;
    uint64_t value = 0;
    size_t digits = 0;
    for (;; digits++) {
        int digit = hex_digit(peek(lexer, 0));
        if (digit < 0 || (uint64_t)digit >= base) break;
        uint64_t product;
        if (__builtin_mul_overflow(value, base, &product) || __builtin_add_overflow(product, (uint64_t)digit, &value)) token->wide = true;
        lexer->at++;
    }
    if (base == 10 && float_rest(lexer)) {
        decimal_float(lexer, token);
        return;
    }
    if (peek(lexer, 0) == 'U') token->is_unsigned = true, lexer->at++;
    token->kind = digits && !is_word(peek(lexer, 0)) ? EM_TOKEN_INTEGER : EM_TOKEN_BAD;
    token->value = value;
}

static void dotted(em_lexer *lexer, em_token *token) {
    lexer->at++;
    token->text = lexer->at;
    token->kind = EM_TOKEN_DOT;
    for (;;) {
        while (is_word(peek(lexer, 0))) lexer->at++;
        if (peek(lexer, 0) != ':' || peek(lexer, 1) != ':' || !is_word(peek(lexer, 2))) break;
        lexer->at += 2;
    }
    if (lexer->at == token->text) token->kind = EM_TOKEN_BAD;
}

static void string(em_lexer *lexer, em_token *token) {
    lexer->at++;
    token->text = lexer->at;
    while (lexer->at < lexer->end && *lexer->at != '"' && *lexer->at != '\n') lexer->at += *lexer->at == '\\' && lexer->end - lexer->at > 1 ? 2 : 1;
    token->length = (size_t)(lexer->at - token->text);
    token->kind = lexer->at < lexer->end && *lexer->at == '"' ? EM_TOKEN_STRING : EM_TOKEN_BAD;
    if (token->kind == EM_TOKEN_STRING) lexer->at++;
}

em_token em_lex(em_lexer *lexer) {
    bool closed = skip_space(lexer);
    em_token token = {.text = lexer->at, .line = lexer->line};
    if (!closed) {
        token.kind = EM_TOKEN_BAD;
        token.text = "/*", token.length = 2;
        return token;
    }
    if (lexer->at >= lexer->end) return token;
    char c = *lexer->at;
    if (c == '"') {
        string(lexer, &token);
        return token;
    }
    if (is_digit(c)) {
        number(lexer, &token);
    } else if (c == '.') {
        dotted(lexer, &token);
    } else if (is_letter(c) || c == '_' || c == '$' || c == '%') {
        lexer->at++;
        while (is_word(peek(lexer, 0))) lexer->at++;
        token.kind = EM_TOKEN_NAME;
        if (c == '%' && lexer->at - token.text == 1) token.kind = EM_TOKEN_PUNCTUATION, token.punctuation = '%';
    } else {
        token.kind = memchr("{}[]()<>,;:=+-*/@!|&^~?", c, 23) ? EM_TOKEN_PUNCTUATION : EM_TOKEN_BAD;
        token.punctuation = c;
        lexer->at++;
    }
    token.length = (size_t)(lexer->at - token.text);
    return token;
}
