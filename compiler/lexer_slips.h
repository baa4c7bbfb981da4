// What other languages' habits look like in a Quern file, and the messages about them. Used by the lexer only.
#ifndef QN__COMPILER_LEXER_SLIPS_H
#define QN__COMPILER_LEXER_SLIPS_H

#include "compiler/lexer.h"

typedef struct qn__slip {
    const char *text;      // as written
    qn__token_kind meant;  // the token to go on with
    const char *hint;
    bool comment;          // the rest of the line is skipped
} qn__slip;

// The wrong operator at the start of the bytes, or NULL.
const qn__slip *qn__find_slip(const char *bytes, size_t length);
void qn__report_slip(qn__diagnostic_sink *sink, qn__span span, const qn__slip *slip);

// What to write for a character that looks like an ASCII one, or NULL; *meant is the token, INVALID when none.
const char *qn__look_alike(uint32_t code_point, qn__token_kind *meant);
void qn__report_character(qn__diagnostic_sink *sink, qn__span span, uint32_t code_point, const char *write);

// Text in single quotes.
void qn__report_quotes(qn__diagnostic_sink *sink, qn__span span, const char *text, size_t length);

// A literal with number->problem.
void qn__report_number(qn__diagnostic_sink *sink, qn__span span, const char *text, size_t length,
                       const qn__number *number);

// Proves UTF-8, no zero bytes, no control characters that hide text. False when lexing makes no sense.
bool qn__check_text(const qn__source *source, qn__diagnostic_sink *sink);

#endif
