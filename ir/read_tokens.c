/* Tokens of the text form, see read.h. After an error the token is the end, so that every loop ends. */
#include "ir/read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void qn__read_fail(qn__reader *r, const char *format, ...) {
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

bool qn__read_no_memory(qn__reader *r) {
    if (!r->message) r->message = "out of memory";
    return false;
}

static void skip_blanks(qn__reader *r) {
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

static void scan_string(qn__reader *r) {
    r->token.kind = QN__TOKEN_STRING;
    r->token.text = ++r->next;
    while (r->next < r->end && *r->next != '"' && *r->next != '\n')
        r->next += *r->next == '\\' && r->end - r->next > 1 ? 2 : 1;
    r->token.length = (size_t)(r->next - r->token.text);
    if (r->next < r->end && *r->next == '"') r->next++;
    else qn__read_fail(r, "a string without an end");
}

void qn__read_advance(qn__reader *r) {
    skip_blanks(r);
    r->token = (qn__token){QN__TOKEN_END, r->next, 0, r->line, (uint32_t)(r->next - r->line_start) + 1};
    if (r->next >= r->end || r->message) {
        r->token.kind = QN__TOKEN_END;
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
        r->token.kind = c == '%' ? QN__TOKEN_VALUE : QN__TOKEN_REFERENCE;
    } else if (c == '-' && r->end - r->next > 1 && r->next[1] == '>') {
        r->next += 2;
        r->token.kind = QN__TOKEN_PUNCTUATION;
    } else if (is_digit(c) || c == '-') {
        r->token.kind = QN__TOKEN_NUMBER;
        r->next++;
    } else if (word_char(c)) {
        r->token.kind = QN__TOKEN_WORD;
    } else {
        r->next++;
        r->token.kind = QN__TOKEN_PUNCTUATION;
    }
    bool exponent = false; /* 1e-5 is one number, but 3+4 (a location's length) is not */
    while (r->token.kind != QN__TOKEN_PUNCTUATION && r->next < r->end &&
           (word_char(*r->next) || (exponent && (*r->next == '-' || *r->next == '+')))) {
        exponent = r->token.kind == QN__TOKEN_NUMBER && (*r->next == 'e' || *r->next == 'E');
        r->next++;
    }
    r->token.text = start;
    r->token.length = (size_t)(r->next - start);
}

bool qn__read_is(const qn__reader *r, const char *text) {
    return (r->token.kind == QN__TOKEN_WORD || r->token.kind == QN__TOKEN_PUNCTUATION) && r->token.length == strlen(text) &&
           !memcmp(r->token.text, text, r->token.length);
}

bool qn__read_accept(qn__reader *r, const char *text) {
    if (r->message || !qn__read_is(r, text)) return false;
    qn__read_advance(r);
    return true;
}

bool qn__read_need(qn__reader *r, const char *text) {
    if (qn__read_accept(r, text)) return true;
    qn__read_fail(r, "'%s' expected", text);
    return false;
}

/* The token's text with a zero; tokens that are too long are an error. */
const char *qn__read_spelled(qn__reader *r, char buffer[QN__TOKEN_LIMIT]) {
    size_t length = r->token.length;
    if (length >= QN__TOKEN_LIMIT) {
        qn__read_fail(r, "too long");
        length = 0;
    }
    memcpy(buffer, r->token.text, length);
    buffer[length] = 0;
    return buffer;
}

uint64_t qn__read_bits(qn__reader *r) {
    char buffer[QN__TOKEN_LIMIT], *end;
    if (r->token.kind != QN__TOKEN_NUMBER && r->token.kind != QN__TOKEN_REFERENCE) {
        qn__read_fail(r, "a number expected");
        return 0;
    }
    const char *text = qn__read_spelled(r, buffer);
    uint64_t bits = strtoull(text, &end, strncmp(text, "0x", 2) ? 10 : 16);
    if (*end || end == text) qn__read_fail(r, "a number expected");
    qn__read_advance(r);
    return bits;
}

uint32_t qn__read_integer(qn__reader *r) {
    uint64_t bits = qn__read_bits(r);
    if (bits > UINT32_MAX) qn__read_fail(r, "a number that is too large");
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
const char *qn__read_name(qn__reader *r) {
    if (r->token.kind != QN__TOKEN_WORD && r->token.kind != QN__TOKEN_STRING) {
        qn__read_fail(r, "a name expected");
        return "";
    }
    char *copy = qn__arena_copy_string(r->arena, r->token.text, r->token.length);
    if (!copy) {
        qn__read_no_memory(r);
        return "";
    }
    if (r->token.kind == QN__TOKEN_STRING) {
        const char *from = r->token.text, *end = from + r->token.length;
        char *to = copy;
        while (from < end && *from) *to++ = unescape(&from, end);
        *to = 0;
    }
    qn__read_advance(r);
    return copy;
}

qn__type qn__read_type(qn__reader *r) {
    for (uint32_t t = 1; t < QN__TYPE_COUNT; t++)
        if (qn__read_accept(r, qn__type_table[t].name)) return (qn__type)t;
    qn__read_fail(r, "a type expected");
    return QN__TYPE_NONE;
}
