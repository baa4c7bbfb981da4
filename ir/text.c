// The growable text buffer.
//
// Numbers are formatted under the C locale whatever the host has set: the thread's locale is switched around
// vsnprintf and put back. Invariants: bytes[length] is 0 whenever bytes is not NULL; after a failure nothing is added.
#include "ir/text.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void qn__text_free(qn__text *text) {
    free(text->bytes);
    *text = QN__TEXT_EMPTY;
}

void qn__text_clear(qn__text *text) {
    text->length = 0;
    if (text->bytes) text->bytes[0] = 0;
}

// Makes room for `more` bytes and the zero.
static bool reserve(qn__text *text, size_t more) {
    if (text->failed || more > SIZE_MAX / 2 - text->length - 1) {
        text->failed = true;
        return false;
    }
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity) return true;
    size_t capacity = text->capacity < 64 ? 64 : text->capacity * 2;
    if (capacity < needed) capacity = needed;
    char *bytes = realloc(text->bytes, capacity);
    if (!bytes) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void qn__text_add(qn__text *text, const char *bytes, size_t length) {
    if (!length || !reserve(text, length)) return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

void qn__text_add_string(qn__text *text, const char *string) { qn__text_add(text, string, strlen(string)); }

void qn__text_add_char(qn__text *text, char c) { qn__text_add(text, &c, 1); }

void qn__text_repeat(qn__text *text, char c, size_t count) {
    if (!count || !reserve(text, count)) return;
    memset(text->bytes + text->length, c, count);
    text->length += count;
    text->bytes[text->length] = 0;
}

// snprintf under the C locale.
static int format_c(char *to, size_t size, const char *format, va_list list) {
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t host = c ? uselocale(c) : (locale_t)0;
    int length = vsnprintf(to, size, format, list);
    if (c) {
        uselocale(host);
        freelocale(c);
    }
    return length;
}

void qn__text_format_list(qn__text *text, const char *format, va_list list) {
    va_list again;
    va_copy(again, list);
    if (reserve(text, 120)) {
        size_t room = text->capacity - text->length;
        int length = format_c(text->bytes + text->length, room, format, list);
        if (length >= 0 && (size_t)length >= room && reserve(text, (size_t)length))
            length = format_c(text->bytes + text->length, (size_t)length + 1, format, again);
        if (length < 0) text->failed = true;
        if (text->failed) text->bytes[text->length] = 0;
        else text->length += (size_t)length;
    }
    va_end(again);
}

void qn__text_format(qn__text *text, const char *format, ...) {
    va_list list;
    va_start(list, format);
    qn__text_format_list(text, format, list);
    va_end(list);
}

// The digits of a finite value, without sign: "2500" with the point after `*point` digits.
static void lay_out(qn__text *text, const char *digits, int count, int point) {
    if (point > -5 && point <= 0) {
        qn__text_add_string(text, "0.");
        qn__text_repeat(text, '0', (size_t)-point);
        qn__text_add(text, digits, (size_t)count);
    } else if (point > 0 && point <= 16) {
        int whole = count < point ? count : point;
        qn__text_add(text, digits, (size_t)whole);
        qn__text_repeat(text, '0', (size_t)(point - whole));
        qn__text_add_char(text, '.');
        if (count > point) qn__text_add(text, digits + point, (size_t)(count - point));
        else qn__text_add_char(text, '0');
    } else {
        qn__text_add(text, digits, 1);
        if (count > 1) {
            qn__text_add_char(text, '.');
            qn__text_add(text, digits + 1, (size_t)(count - 1));
        }
        qn__text_format(text, "e%d", point - 1);
    }
}

static void add_float(qn__text *text, double value, bool is_f32) {
    if (isnan(value)) {
        qn__text_add_string(text, "nan");
        return;
    }
    if (signbit(value)) qn__text_add_char(text, '-');
    value = fabs(value);
    if (isinf(value)) {
        qn__text_add_string(text, "inf");
        return;
    }
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t host = c ? uselocale(c) : (locale_t)0;
    char written[40];
    for (int precision = 0; precision <= 16; precision++) {
        snprintf(written, sizeof written, "%.*e", precision, value);
        if (is_f32 ? strtof(written, NULL) == (float)value : strtod(written, NULL) == value) break;
    }
    if (c) {
        uselocale(host);
        freelocale(c);
    }
    char digits[24];
    int count = 0;
    const char *at = written;
    for (; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9' && count < (int)sizeof digits) digits[count++] = *at;
    int exponent = *at ? (int)strtol(at + 1, NULL, 10) : 0;
    lay_out(text, digits, count, value == 0.0 ? 1 : exponent + 1);
}

void qn__text_add_f64(qn__text *text, double value) { add_float(text, value, false); }

void qn__text_add_f32(qn__text *text, float value) { add_float(text, (double)value, true); }

// Length of the valid UTF-8 sequence at `bytes`, 0 when there is none.
static size_t sequence(const unsigned char *bytes, size_t length) {
    unsigned char first = bytes[0];
    size_t count = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3
                 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
    if (!count || count > length) return 0;
    for (size_t i = 1; i < count; i++)
        if ((bytes[i] & 0xc0) != 0x80) return 0;
    if (first == 0xe0 && bytes[1] < 0xa0) return 0;   // overlong
    if (first == 0xed && bytes[1] >= 0xa0) return 0;  // surrogates
    if (first == 0xf0 && bytes[1] < 0x90) return 0;
    if (first == 0xf4 && bytes[1] >= 0x90) return 0;  // beyond U+10FFFF
    return count;
}

void qn__text_add_json_string(qn__text *text, const char *bytes, size_t length) {
    qn__text_add_char(text, '"');
    for (size_t i = 0; i < length;) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\') qn__text_format(text, "\\%c", c);
        else if (c == '\n') qn__text_add_string(text, "\\n");
        else if (c == '\t') qn__text_add_string(text, "\\t");
        else if (c < 0x20 || c == 0x7f) qn__text_format(text, "\\u%04x", c);
        else {
            size_t count = sequence((const unsigned char *)bytes + i, length - i);
            if (count) qn__text_add(text, bytes + i, count);
            else qn__text_add_string(text, "\\ufffd");
            i += count ? count : 1;
            continue;
        }
        i++;
    }
    qn__text_add_char(text, '"');
}

const char *qn__text_bytes(const qn__text *text) { return text->bytes ? text->bytes : ""; }
