// Number literals: decimal, hexadecimal and binary integers, decimal and hexadecimal floats, '_' between digits.
//
// Floats are read by the C library's strtod under the C locale (glibc rounds correctly), whatever locale the host set.
#include "compiler/lexer.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_FLOAT = 1100 };  // digits beyond it cannot matter after the first 770, but then refuse, not guess

static int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

// Underscores may only stand between two digits.
static bool bad_underscore(const char *text, size_t length, size_t begin, int base) {
    for (size_t i = begin; i < length; i++) {
        if (text[i] != '_') continue;
        bool before = i > begin && digit_value(text[i - 1]) < base;
        bool after = i + 1 < length && digit_value(text[i + 1]) < base;
        if (!before || !after) return true;
    }
    return false;
}

static qn__number read_integer(const char *text, size_t length, size_t begin, int base) {
    qn__number number = {0};
    size_t digits = 0;
    for (size_t i = begin; i < length; i++) {
        if (text[i] == '_') continue;
        int digit = digit_value(text[i]);
        if (digit >= base) {
            number.problem = base == 2 ? "a binary number has only the digits 0 and 1" : "it has a digit that does not belong there";
            return number;
        }
        digits++;
        if (__builtin_mul_overflow(number.integer, (uint64_t)base, &number.integer) ||
            __builtin_add_overflow(number.integer, (uint64_t)digit, &number.integer))
            number.overflow = true;
    }
    if (!digits) number.problem = "digits are missing after the prefix";
    if (number.overflow) number.integer = 0;
    return number;
}

// Checks digits [. digits] [exponent]; the marks tell a hexadecimal float from a decimal one.
static const char *float_problem(const char *text, size_t length, size_t begin, bool hex) {
    size_t at = begin, digits = 0;
    int base = hex ? 16 : 10;
    for (; at < length && (digit_value(text[at]) < base || text[at] == '_'); at++) digits++;
    if (!digits) return "a digit is missing before the point";
    if (at < length && text[at] == '.') {
        size_t fraction = 0;
        for (at++; at < length && (digit_value(text[at]) < base || text[at] == '_'); at++) fraction++;
        if (!fraction) return "a digit is missing after the point";
    }
    bool exponent = at < length && tolower((unsigned char)text[at]) == (hex ? 'p' : 'e');
    if (!exponent) return at < length ? "it has a character that does not belong there"
                          : hex ? "a hexadecimal float needs an exponent of two, as in 0x1.8p0" : NULL;
    at++;
    if (at < length && (text[at] == '+' || text[at] == '-')) at++;
    if (at >= length) return "the exponent has no digits";
    for (; at < length; at++)
        if (digit_value(text[at]) >= 10) return "the exponent has a character that does not belong there";
    return NULL;
}

static qn__number read_float(const char *text, size_t length, size_t begin, bool hex) {
    qn__number number = {.is_float = true};
    number.problem = float_problem(text, length, begin, hex);
    if (!number.problem && length > LONGEST_FLOAT) number.problem = "it has too many digits";
    if (number.problem) return number;
    char plain[LONGEST_FLOAT + 1];
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        if (text[i] != '_') plain[count++] = text[i];
    plain[count] = 0;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    number.real = c ? strtod_l(plain, NULL, c) : strtod(plain, NULL);
    if (c) freelocale(c);
    number.overflow = isinf(number.real) != 0;
    return number;
}

qn__number qn__read_number(const char *text, size_t length) {
    char second = length > 1 ? (char)tolower((unsigned char)text[1]) : 0;
    bool hex = text[0] == '0' && second == 'x', binary = text[0] == '0' && second == 'b';
    size_t begin = hex || binary ? 2 : 0;
    if (text[0] == '0' && second == 'o') return (qn__number){.problem = "there are no octal numbers; write it in hexadecimal"};
    if (bad_underscore(text, length, begin, hex ? 16 : 10))
        return (qn__number){.problem = "'_' may only stand between two digits"};
    bool is_float = memchr(text, '.', length) || (hex && (memchr(text, 'p', length) || memchr(text, 'P', length))) ||
                    (!hex && !binary && (memchr(text, 'e', length) || memchr(text, 'E', length)));
    if (length > 1 && text[0] == '0' && digit_value(text[1]) < 10)
        return (qn__number){.problem = "a number does not begin with a zero that means nothing"};
    if (is_float && !binary) return read_float(text, length, begin, hex);
    return read_integer(text, length, begin, hex ? 16 : binary ? 2 : 10);
}
