// Tables of slips (operators of other languages, look-alike characters) and the lexer's longer messages.
#include "compiler/lexer_slips.h"

#include <string.h>

// Longer texts first where one begins with another.
static const qn__slip slips[] = {
    {"===", QN__TOKEN_EQUAL, "write '=='", false},
    {"!==", QN__TOKEN_NOT_EQUAL, "write '!='", false},
    {"**=", QN__TOKEN_STAR_ASSIGN, "write 'x = pow(x, y)'", false},
    {"<<=", QN__TOKEN_ASSIGN, "write 'x = x << y'", false},
    {">>=", QN__TOKEN_ASSIGN, "write 'x = x >> y'", false},
    {"...", QN__TOKEN_RANGE, "a range is written 'a..b', without b", false},
    {"..=", QN__TOKEN_RANGE, "a range leaves its end out: write 'a..b + 1' to include b", false},
    {"&&", QN__TOKEN_AND, "write 'and'", false},
    {"||", QN__TOKEN_OR, "write 'or'", false},
    {"**", QN__TOKEN_STAR, "write 'pow(x, y)', or 'x * x' for a square", false},
    {"//", QN__TOKEN_SLASH, "a comment starts with '#'; '/' on integers truncates already", true},
    {"/*", QN__TOKEN_SLASH, "a comment starts with '#' and goes to the end of the line", true},
    {"/=", QN__TOKEN_ASSIGN, "write 'x = x / y'", false},
    {"%=", QN__TOKEN_ASSIGN, "write 'x = x % y'", false},
    {"^=", QN__TOKEN_ASSIGN, "write 'x = x ^ y'", false},
    {"++", QN__TOKEN_INVALID, "write 'x += 1' to count up", false},
    {"<>", QN__TOKEN_NOT_EQUAL, "write '!='", false},
    {"=<", QN__TOKEN_LESS_EQUAL, "write '<='", false},
    {"=>", QN__TOKEN_GREATER_EQUAL, "write '>=' to compare; a function's value follows '='", false},
    {":=", QN__TOKEN_ASSIGN, "write '=', with 'let' or 'var' before the name to declare it", false},
    {"::", QN__TOKEN_COLON, "write ':'", false},
    {"~=", QN__TOKEN_NOT_EQUAL, "write '!='", false},
};

const qn__slip *qn__find_slip(const char *bytes, size_t length) {
    for (size_t i = 0; i < sizeof slips / sizeof *slips; i++) {
        if (slips[i].text[0] != bytes[0]) continue;
        size_t size = strlen(slips[i].text);
        if (size <= length && !memcmp(bytes, slips[i].text, size)) return &slips[i];
    }
    static const qn__slip exclamation = {"!", QN__TOKEN_NOT, "write 'not'", false};
    return length && bytes[0] == '!' && (length < 2 || bytes[1] != '=') ? &exclamation : NULL;
}

void qn__report_slip(qn__diagnostic_sink *sink, qn__span span, const qn__slip *slip) {
    qn__diagnostic_id id = slip->comment ? QN__DIAG_WRONG_COMMENT : QN__DIAG_WRONG_OPERATOR;
    qn__diagnostic *d = qn__report(sink, id, span, QN__SAY(slip->text));
    qn__diagnostic_hint(d, "%s", slip->hint);
}

void qn__report_quotes(qn__diagnostic_sink *sink, qn__span span, const char *text, size_t length) {
    qn__diagnostic *d = qn__report(sink, QN__DIAG_UNEXPECTED_CHARACTER, span, QN__SAY_CHAR('\''));
    int shown = (int)(length < 60 ? length : 60);
    qn__diagnostic_hint(d, "there are no characters; the path of an import is written \"%.*s\"", shown, text);
}

typedef struct look_alike {
    uint32_t code_point;
    qn__token_kind meant;
    const char *write;
} look_alike;

static const look_alike look_alikes[] = {
    {0xa0, QN__TOKEN_INVALID, "this is a no-break space: write an ordinary space"},
    {0x200b, QN__TOKEN_INVALID, "this is an invisible space: delete it"},
    {0xfeff, QN__TOKEN_INVALID, "this is an invisible byte order mark: delete it"},
    {0xb2, QN__TOKEN_INVALID, "write 'x * x' for a square"},
    {0xb7, QN__TOKEN_STAR, "write '*'"},
    {0xd7, QN__TOKEN_STAR, "write '*'"},
    {0xf7, QN__TOKEN_SLASH, "write '/'"},
    {0x2013, QN__TOKEN_MINUS, "this is a dash: write '-'"},
    {0x2014, QN__TOKEN_MINUS, "this is a dash: write '-'"},
    {0x2018, QN__TOKEN_INVALID, "write a straight '\"'"},
    {0x2019, QN__TOKEN_INVALID, "write a straight '\"'"},
    {0x201c, QN__TOKEN_INVALID, "write a straight '\"'"},
    {0x201d, QN__TOKEN_INVALID, "write a straight '\"'"},
    {0x2026, QN__TOKEN_RANGE, "write '..'"},
    {0x2190, QN__TOKEN_ASSIGN, "write '='"},
    {0x2192, QN__TOKEN_ARROW, "write '->'"},
    {0x2208, QN__TOKEN_IN, "write 'in'"},
    {0x2212, QN__TOKEN_MINUS, "this is a mathematical minus: write '-'"},
    {0x221a, QN__TOKEN_INVALID, "write 'sqrt(x)'"},
    {0x221e, QN__TOKEN_INVALID, "write 'inf'"},
    {0x2227, QN__TOKEN_AND, "write 'and'"},
    {0x2228, QN__TOKEN_OR, "write 'or'"},
    {0x2260, QN__TOKEN_NOT_EQUAL, "write '!='"},
    {0x2264, QN__TOKEN_LESS_EQUAL, "write '<='"},
    {0x2265, QN__TOKEN_GREATER_EQUAL, "write '>='"},
    {0xff08, QN__TOKEN_INVALID, "this is a wide bracket: write '('"},
    {0xff09, QN__TOKEN_INVALID, "this is a wide bracket: write ')'"},
    {0xff0c, QN__TOKEN_COMMA, "this is a wide comma: write ','"},
    {0xff1a, QN__TOKEN_COLON, "this is a wide colon: write ':'"},
    {0xff1b, QN__TOKEN_SEMICOLON, "this is a wide semicolon: write ';'"},
};

const char *qn__look_alike(uint32_t code_point, qn__token_kind *meant) {
    for (size_t i = 0; i < sizeof look_alikes / sizeof *look_alikes; i++) {
        if (look_alikes[i].code_point != code_point) continue;
        *meant = look_alikes[i].meant;
        return look_alikes[i].write;
    }
    return NULL;
}

void qn__report_character(qn__diagnostic_sink *sink, qn__span span, uint32_t code_point, const char *write) {
    qn__diagnostic *d = qn__report(sink, QN__DIAG_UNEXPECTED_CHARACTER, span, QN__SAY_CHAR(code_point));
    if (write) qn__diagnostic_hint(d, "%s", write);
    else if (code_point == '$' || code_point == '`') qn__diagnostic_hint(d, "names begin with a letter or '_'");
    else if (code_point == '\\')
        qn__diagnostic_hint(d, "a line goes on after an operator or a comma, and inside ( ) and [ ]: delete the '\\'");
    else if (code_point >= 0x80) qn__diagnostic_hint(d, "names are made of the letters a-z and A-Z, digits and '_'");
}

// Suffixes that say a type in other languages, and the type in Quern.
static const struct { const char *suffix, *type; } suffixes[] = {
    {"f", "f32"}, {"F", "f32"}, {"d", "f64"}, {"D", "f64"}, {"u", "u32"}, {"U", "u32"}, {"l", "i64"}, {"L", "i64"},
    {"ll", "i64"}, {"LL", "i64"}, {"ul", "u64"}, {"UL", "u64"}, {"ull", "u64"}, {"ULL", "u64"}, {"i8", "i8"},
    {"i16", "i16"}, {"i32", "i32"}, {"i64", "i64"}, {"u8", "u8"}, {"u16", "u16"}, {"u32", "u32"}, {"u64", "u64"},
    {"f16", "f16"}, {"bf16", "bf16"}, {"f32", "f32"}, {"f64", "f64"},
};

// Bytes of a decimal number at the start: digits, point, exponent.
static size_t decimal_prefix(const char *text, size_t length) {
    size_t at = 0;
    while (at < length && (strchr("0123456789_.", text[at]) && text[at])) at++;
    if (at + 1 < length && (text[at] | 0x20) == 'e') {
        size_t digits = at + 1 + (text[at + 1] == '+' || text[at + 1] == '-');
        size_t end = digits;
        while (end < length && text[end] >= '0' && text[end] <= '9') end++;
        if (end > digits) at = end;
    }
    return at;
}

// 1.0f, 3i32, 2x. True when it was such a number.
static bool report_suffix(qn__diagnostic_sink *sink, qn__span span, const char *text, size_t length) {
    size_t prefix = decimal_prefix(text, length);
    size_t rest = length - prefix;
    if (!prefix || !rest || rest > 20 || prefix > 60 || qn__read_number(text, prefix).problem) return false;
    if (prefix == 1 && text[0] == '0' && strchr("xXbBoO", text[1])) return false;
    if (rest == 1 && (text[prefix] | 0x20) == 'e') return false;
    span.begin += (uint32_t)prefix;
    qn__diagnostic *d = qn__report(sink, QN__DIAG_NUMBER_SUFFIX, span, QN__SAY_BYTES(text + prefix, rest));
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (strlen(suffixes[i].suffix) != rest || memcmp(suffixes[i].suffix, text + prefix, rest)) continue;
        qn__diagnostic_hint(d, "a literal takes the type it meets; to fix the type write '%s(%.*s)'", suffixes[i].type,
                            (int)prefix, text);
        return true;
    }
    qn__diagnostic_hint(d, "for a product write '%.*s * %.*s'", (int)prefix, text, (int)rest, text + prefix);
    return true;
}

void qn__report_number(qn__diagnostic_sink *sink, qn__span span, const char *text, size_t length,
                       const qn__number *number) {
    if (report_suffix(sink, span, text, length)) return;
    int shown = (int)(length < 60 ? length : 60);
    qn__diagnostic *d = qn__report(sink, QN__DIAG_INVALID_NUMBER, span, QN__SAY_BYTES(text, (size_t)shown));
    qn__diagnostic_note(d, QN__NO_SPAN, "%s", number->problem);
    if (length > 60) return;
    if (text[0] == '.') qn__diagnostic_hint(d, "write '0%.*s'", shown, text);
    else if (text[length - 1] == '.') qn__diagnostic_hint(d, "write '%.*s0'", shown, text);
    else if (text[0] == '0' && length > 1 && text[1] >= '0' && text[1] <= '9') {
        size_t zeros = 0;
        while (zeros + 1 < length && text[zeros] == '0' && text[zeros + 1] >= '0' && text[zeros + 1] <= '9') zeros++;
        qn__diagnostic_hint(d, "write '%.*s'; it is decimal, as there are no octal numbers", (int)(length - zeros), text + zeros);
    }
}

size_t qn__decode_utf8(const char *bytes, size_t length, uint32_t *code_point) {
    const unsigned char *at = (const unsigned char *)bytes;
    *code_point = 0;
    if (!length) return 0;
    if (at[0] < 0x80) {
        *code_point = at[0];
        return 1;
    }
    size_t count = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || count > length) return 0;
    uint32_t value = at[0] & (0x7fu >> count);
    for (size_t i = 1; i < count; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (at[i] & 0x3fu);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[count] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
    *code_point = value;
    return count;
}

// Characters that reorder or hide what follows, so that a reader sees other code than the compiler.
static bool hides_text(uint32_t c) { return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069); }

bool qn__check_text(const qn__source *source, qn__diagnostic_sink *sink) {
    for (size_t i = 0; i < source->length;) {
        uint32_t c = (unsigned char)source->text[i];
        size_t size = 1;
        if (c >= 0x80) size = qn__decode_utf8(source->text + i, source->length - i, &c);
        qn__span span = {source->id, (uint32_t)i, (uint32_t)(i + (size ? size : 1))};
        if (!size) {
            qn__diagnostic *d = qn__report(sink, QN__DIAG_INVALID_UTF8, span, QN__SAY_UINT(i));
            qn__diagnostic_found(d, "byte 0x%02x", (unsigned)(unsigned char)source->text[i]);
            qn__diagnostic_hint(d, "save the file as UTF-8");
            return false;
        }
        if (c == 0) {
            qn__report(sink, QN__DIAG_NUL_BYTE, span);
            return false;
        }
        if (c >= 0x2000 && hides_text(c)) {
            qn__diagnostic *d = qn__report(sink, QN__DIAG_HIDDEN_TEXT, span);
            qn__diagnostic_hint(d, "delete it");
        }
        i += size;
    }
    return true;
}
