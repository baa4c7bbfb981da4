// A growable text buffer, the only way the library prints. It keeps a zero at the end. When memory runs out it keeps
// what it has, ignores further text and remembers `failed`.
#ifndef QN__IR_TEXT_H
#define QN__IR_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn__text {
    char *bytes;  // NULL while nothing was added; read it through qn__text_bytes
    size_t length;
    size_t capacity;
    bool failed;
} qn__text;

#define QN__TEXT_EMPTY ((qn__text){0})

void qn__text_free(qn__text *text);
void qn__text_clear(qn__text *text);

void qn__text_add(qn__text *text, const char *bytes, size_t length);
void qn__text_add_string(qn__text *text, const char *string);
void qn__text_add_char(qn__text *text, char c);
void qn__text_repeat(qn__text *text, char c, size_t count);

// Like printf; numbers are written as in the C locale only as long as no %f, %e or %g is used: see below for floats.
__attribute__((format(printf, 2, 3))) void qn__text_format(qn__text *text, const char *format, ...);
__attribute__((format(printf, 2, 0))) void qn__text_format_list(qn__text *text, const char *format, va_list list);

// The shortest decimal text that reads back as the same f64, always with '.' or an exponent ("1.0", "2.5e-300"),
// "inf", "-inf" or "nan"; independent of the host's locale.
void qn__text_add_f64(qn__text *text, double value);
void qn__text_add_f32(qn__text *text, float value);

// "..." with JSON's escapes; bytes that are not UTF-8 become U+FFFD.
void qn__text_add_json_string(qn__text *text, const char *bytes, size_t length);

// The text so far, never NULL, zero-terminated.
const char *qn__text_bytes(const qn__text *text);

#endif
