// The lexer: one pass over the bytes, after a pass that proves that they are UTF-8.
//
// Names and words are ASCII; other characters may stand in comments and strings only. A wrong operator or look-alike
// character is reported and replaced by what was probably meant. Invariants: tokens ascend and do not overlap; the last
// token is END at the file's end; every span lies on code point boundaries.
#include "compiler/lexer.h"

#include <string.h>

#include "compiler/lexer_slips.h"

typedef struct lexer {
    const qn__source *source;
    const char *text;
    uint32_t length, at;
    uint8_t pending;  // flags for the next token
    qn__arena *arena;
    qn__names *names;
    qn__diagnostic_sink *sink;
    qn__tokens *out;
    bool stop;
} lexer;

typedef struct token_row {
    const char *name;
    const char *text;
    qn__token_sort sort;
    int line;
} token_row;

static const token_row rows[] = {
#define QN__TOKEN(name, spelling, sort, line) {#name, spelling, QN__SORT_##sort, line},
#include "compiler/token.def"
#undef QN__TOKEN
};

const char *qn__token_text(qn__token_kind kind) { return rows[kind].text; }
const char *qn__token_kind_name(qn__token_kind kind) { return rows[kind].name; }
qn__token_sort qn__token_sort_of(qn__token_kind kind) { return rows[kind].sort; }
int qn__token_line(qn__token_kind kind) { return rows[kind].line; }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

static char peek(const lexer *l, uint32_t ahead) {
    return l->length - l->at > ahead ? l->text[l->at + ahead] : 0;
}

static qn__span span_of(const lexer *l, uint32_t begin, uint32_t end) {
    return (qn__span){l->source->id, begin, end};
}

static qn__token *add(lexer *l, qn__token_kind kind, uint32_t begin, uint32_t end) {
    if (l->out->count >= QN__TOKEN_LIMIT && kind != QN__TOKEN_END) {
        if (!l->stop)
            qn__report(l->sink, QN__DIAG_TOO_MANY_TOKENS, span_of(l, begin, end), QN__SAY_UINT(QN__TOKEN_LIMIT));
        l->stop = true;
        return NULL;
    }
    qn__token *items = qn__arena_grow(l->arena, l->out->items, &l->out->capacity, l->out->count + 1, sizeof *items);
    if (!items) {
        l->stop = true;
        return NULL;
    }
    l->out->items = items;
    qn__token *token = &items[l->out->count++];
    *token = (qn__token){.kind = (uint8_t)kind, .flags = l->pending, .begin = begin, .end = end};
    l->pending = 0;
    return token;
}

static void skip_comment(lexer *l) {
    const char *end = memchr(l->text + l->at, '\n', l->length - l->at);
    l->at = end ? (uint32_t)(end - l->text) : l->length;
}

// White space and comments; remembers what stood before the next token.
static void skip_space(lexer *l) {
    for (; l->at < l->length; l->at++) {
        char c = l->text[l->at];
        if (c == '#') {
            skip_comment(l);
            if (l->at >= l->length) return;
            c = l->text[l->at];
        }
        if (c == '\n') l->pending |= QN__TOKEN_NEWLINE | QN__TOKEN_SPACE;
        else if (c == ' ' || c == '\t' || c == '\r') l->pending |= QN__TOKEN_SPACE;
        else return;
    }
}

static qn__token_kind word_kind(const char *text, size_t length) {
    for (int kind = QN__TOKEN_IMPORT; kind <= QN__TOKEN_WHERE; kind++)
        if (rows[kind].text[0] == text[0] && !strncmp(rows[kind].text, text, length) && !rows[kind].text[length])
            return (qn__token_kind)kind;
    return QN__TOKEN_NAME;
}

static void lex_name(lexer *l) {
    uint32_t begin = l->at;
    while (l->at < l->length && is_name_part(l->text[l->at])) l->at++;
    size_t length = l->at - begin;
    qn__name name = qn__names_intern(l->names, l->text + begin, length);
    if (!name) l->stop = true;
    qn__token *token = add(l, length <= 8 ? word_kind(l->text + begin, length) : QN__TOKEN_NAME, begin, l->at);
    if (token) token->value = name;
}

// Moves over the characters that belong to one number, right or wrong.
static void scan_number(lexer *l) {
    uint32_t begin = l->at;
    bool hex = peek(l, 0) == '0' && (peek(l, 1) == 'x' || peek(l, 1) == 'X');
    while (l->at < l->length) {
        char c = l->text[l->at], before = l->at > begin ? l->text[l->at - 1] : 0;
        char mark = hex ? 'p' : 'e';
        bool sign = (c == '+' || c == '-') && (before | 0x20) == mark && is_digit(peek(l, 1)) &&
                    (hex || is_digit(l->text[l->at - 2]) || l->text[l->at - 2] == '.');
        bool point = c == '.' && peek(l, 1) != '.' && (is_digit(peek(l, 1)) || l->at + 1 == l->length ||
                                                        !is_name_start(peek(l, 1)) || (peek(l, 1) | 0x20) == 'e' || hex);
        if (!is_name_part(c) && !sign && !point) break;
        l->at++;
    }
}

static void lex_number(lexer *l) {
    uint32_t begin = l->at;
    scan_number(l);
    size_t length = l->at - begin;
    const char *text = l->text + begin;
    qn__span span = span_of(l, begin, l->at);
    qn__number number = qn__read_number(text, length);
    if (number.problem) {
        qn__report_number(l->sink, span, text, length, &number);
    } else if (number.overflow && !number.is_float) {
        qn__diagnostic *d = qn__report(l->sink, QN__DIAG_INTEGER_TOO_LARGE, span, QN__SAY_BYTES(text, length < 60 ? length : 60));
        qn__diagnostic_expected(d, "at most 18446744073709551615");
        if (length < 60) qn__diagnostic_hint(d, "for a floating-point number write '%.*s.0'", (int)length, text);
    } else if (number.overflow) {
        qn__diagnostic *d = qn__report(l->sink, QN__DIAG_FLOAT_TOO_LARGE, span, QN__SAY_BYTES(text, length < 60 ? length : 60));
        qn__diagnostic_hint(d, "write 'inf' for infinity");
    }
    add(l, number.is_float ? QN__TOKEN_FLOAT : QN__TOKEN_INTEGER, begin, l->at);
}

static void lex_string(lexer *l) {
    uint32_t begin = l->at++;
    qn__token_kind kind = QN__TOKEN_STRING;
    while (l->at < l->length && l->text[l->at] != '"' && l->text[l->at] != '\n') {
        if (l->text[l->at] == '\\' && l->at + 1 < l->length && l->text[l->at + 1] != '\n') {
            char c = l->text[l->at + 1];
            if (c != '\\' && c != '"') {
                uint32_t code_point;
                size_t size = qn__decode_utf8(l->text + l->at + 1, l->length - l->at - 1, &code_point);
                qn__span span = span_of(l, l->at, l->at + 1 + (uint32_t)size);
                qn__diagnostic *d = qn__report(l->sink, QN__DIAG_INVALID_ESCAPE, span,
                                               QN__SAY_BYTES(l->text + l->at, 1 + size));
                kind = QN__TOKEN_INVALID;
                qn__diagnostic_hint(d, "only \\\\ and \\\" are escapes; a path is written with '/'");
            }
            l->at++;
        }
        l->at++;
    }
    if (peek(l, 0) == '"') {
        l->at++;
    } else {
        qn__diagnostic *d = qn__report(l->sink, QN__DIAG_UNTERMINATED_STRING, span_of(l, begin, l->at));
        qn__diagnostic_hint(d, "write the closing '\"'");
        kind = QN__TOKEN_INVALID;
    }
    add(l, kind, begin, l->at);
}

// A wrong operator or comment of another language. True when it was one.
static bool lex_slip(lexer *l) {
    const qn__slip *slip = qn__find_slip(l->text + l->at, l->length - l->at);
    if (!slip) return false;
    uint32_t begin = l->at, length = (uint32_t)strlen(slip->text);
    if (slip->comment) {
        qn__report_slip(l->sink, span_of(l, begin, begin + length), slip);
        skip_comment(l);
        return true;
    }
    l->at += length;
    qn__report_slip(l->sink, span_of(l, begin, l->at), slip);
    qn__token_kind before = l->out->count ? (qn__token_kind)l->out->items[l->out->count - 1].kind : QN__TOKEN_END;
    bool after_value = before == QN__TOKEN_RIGHT_PAREN || before == QN__TOKEN_RIGHT_SQUARE ||
                       qn__token_sort_of(before) == QN__SORT_VALUE;
    add(l, slip->meant == QN__TOKEN_NOT && after_value ? QN__TOKEN_INVALID : slip->meant, begin, l->at);
    return true;
}

static bool lex_operator(lexer *l) {
    int best = QN__TOKEN_END;
    size_t best_length = 0;
    for (int kind = QN__TOKEN_LEFT_PAREN; kind < QN__TOKEN_KINDS; kind++) {
        if (rows[kind].text[0] != l->text[l->at]) continue;
        size_t length = strlen(rows[kind].text);
        if (length <= best_length || length > l->length - l->at) continue;
        if (memcmp(rows[kind].text, l->text + l->at, length)) continue;
        best = kind;
        best_length = length;
    }
    if (!best_length) return false;
    uint32_t begin = l->at;
    l->at += (uint32_t)best_length;
    add(l, (qn__token_kind)best, begin, l->at);
    return true;
}

// Letters that cannot stand in a name directly after one: they were meant as part of it.
static bool extend_name(lexer *l, uint32_t begin) {
    qn__token *before = l->out->count ? &l->out->items[l->out->count - 1] : NULL;
    if (!before || before->kind != QN__TOKEN_NAME || before->end != begin || l->pending) return false;
    before->end = l->at;
    before->value = qn__names_intern(l->names, l->text + before->begin, before->end - before->begin);
    return true;
}

// 'text' on one line. True when it was that.
static bool lex_quotes(lexer *l) {
    uint32_t begin = l->at, at = begin + 1;
    while (at < l->length && l->text[at] != '\'' && l->text[at] != '\n') at++;
    if (at >= l->length || l->text[at] != '\'') return false;
    l->at = at + 1;
    qn__report_quotes(l->sink, span_of(l, begin, l->at), l->text + begin + 1, at - begin - 1);
    add(l, QN__TOKEN_INVALID, begin, l->at);
    return true;
}

// A character that begins no token. A run of the same or of letters is one error.
static void lex_unexpected(lexer *l) {
    uint32_t begin = l->at, first = 0, code_point;
    uint32_t size = (uint32_t)qn__decode_utf8(l->text + begin, l->length - begin, &first);
    l->at += size ? size : 1;
    qn__token_kind meant = QN__TOKEN_INVALID;
    const char *write = qn__look_alike(first, &meant);
    while (!write && l->at < l->length) {
        size = (uint32_t)qn__decode_utf8(l->text + l->at, l->length - l->at, &code_point);
        bool same_run = code_point == first || (first >= 0x80 && (code_point >= 0x80 || is_name_part((char)code_point)));
        if (!size || !same_run || qn__look_alike(code_point, &meant)) break;
        l->at += size;
    }
    qn__report_character(l->sink, span_of(l, begin, l->at), first, write);
    if (!write && extend_name(l, begin)) return;
    if (meant == QN__TOKEN_INVALID || !write) meant = first >= 0x80 ? QN__TOKEN_NAME : QN__TOKEN_INVALID;
    if (first == 0xa0 || first == 0x200b || first == 0xfeff) return;  // white space after all
    qn__token *token = add(l, meant, begin, l->at);
    if (token && meant == QN__TOKEN_NAME) token->value = qn__names_intern(l->names, l->text + begin, l->at - begin);
}

static void lex_all(lexer *l) {
    l->pending = QN__TOKEN_NEWLINE;
    if (l->length >= 3 && !memcmp(l->text, "\xef\xbb\xbf", 3)) l->at = 3;  // byte order mark
    for (;;) {
        skip_space(l);
        if (l->stop || l->at >= l->length) break;
        char c = l->text[l->at];
        if (is_name_start(c)) lex_name(l);
        else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) lex_number(l);
        else if (c == '"') lex_string(l);
        else if ((c != '\'' || !lex_quotes(l)) && !lex_slip(l) && !lex_operator(l)) lex_unexpected(l);
    }
    add(l, QN__TOKEN_END, l->length, l->length);
}

bool qn__lex(const qn__source *source, qn__arena *arena, qn__names *names, qn__diagnostic_sink *sink,
             qn__tokens *out) {
    *out = (qn__tokens){.source = source};
    if (source->length > QN__SOURCE_LIMIT) {
        qn__report(sink, QN__DIAG_FILE_TOO_LARGE, ((qn__span){source->id, 0, 0}), QN__SAY_UINT(QN__SOURCE_LIMIT >> 20));
        return false;
    }
    if (!qn__check_text(source, sink)) return false;
    lexer l = {.source = source, .text = source->text, .length = (uint32_t)source->length, .arena = arena,
               .names = names, .sink = sink, .out = out};
    lex_all(&l);
    return !l.stop && out->count && out->items[out->count - 1].kind == QN__TOKEN_END;
}

void qn__tokens_dump(qn__text *out, const qn__tokens *tokens) {
    for (size_t i = 0; i < tokens->count; i++) {
        const qn__token *token = &tokens->items[i];
        qn__position position = qn__source_position(tokens->source, token->begin);
        qn__text_format(out, "%u:%u %s", position.line, position.column, rows[token->kind].name);
        if (token->end > token->begin) {
            qn__text_add_char(out, ' ');
            qn__text_add(out, tokens->source->text + token->begin, token->end - token->begin);
        }
        if (token->flags & QN__TOKEN_VIRTUAL) qn__text_add_string(out, " (inserted)");
        qn__text_add_char(out, '\n');
    }
}
