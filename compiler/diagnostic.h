// Diagnostics: errors and warnings with places in the source, collected in a sink, rendered to text or JSON.
//
// Reporting:
//     qn__diagnostic *d = qn__report(sink, QN__DIAG_TYPE_MISMATCH, span, QN__SAY("f32"), QN__SAY("f64"));
//     qn__diagnostic_found(d, "f64");                    // "= found: f64"
//     qn__diagnostic_expected(d, "f32");                 // "= expected: f32"
//     qn__diagnostic_note(d, other_span, "declared here");   // with a second source excerpt; QN__NO_SPAN: text only
//     qn__diagnostic_hint(d, "write f32(%s)", text);     // "= hint: ..."; may be repeated
// The handle is never NULL (beyond the limit, for a duplicate, or without memory it is a scratch that is not shown).
#ifndef QN__COMPILER_DIAGNOSTIC_H
#define QN__COMPILER_DIAGNOSTIC_H

#include "compiler/source.h"
#include "ir/text.h"

typedef enum qn__severity { QN__SEVERITY_ERROR, QN__SEVERITY_WARNING } qn__severity;

// Rows are `QN__DIAGNOSTIC(NAME, "E0101", ERROR|WARNING, "text")`; the text's placeholders are typed:
// {s} text, {d} signed integer, {u} unsigned integer, {c} code point.
typedef enum qn__diagnostic_id {
#define QN__DIAGNOSTIC(name, code, severity, text) QN__DIAG_##name,
#include "compiler/diagnostic.def"
#undef QN__DIAGNOSTIC
    QN__DIAGNOSTICS
} qn__diagnostic_id;

typedef struct qn__say {
    char type;  // 's', 'd', 'u', 'c', or 0 for none
    size_t length;
    union {
        const char *text;
        int64_t number;
        uint64_t natural;
        uint32_t character;
    } value;
} qn__say;

#define QN__SAY(string) ((qn__say){.type = 's', .length = SIZE_MAX, .value.text = (string)})
#define QN__SAY_BYTES(bytes, count) ((qn__say){.type = 's', .length = (count), .value.text = (bytes)})
#define QN__SAY_INT(integer) ((qn__say){.type = 'd', .value.number = (integer)})
#define QN__SAY_UINT(integer) ((qn__say){.type = 'u', .value.natural = (integer)})
#define QN__SAY_CHAR(code_point) ((qn__say){.type = 'c', .value.character = (code_point)})

typedef struct qn__diagnostic_part {
    qn__span span;  // QN__NO_SPAN for none
    const char *text;
    struct qn__diagnostic_part *next;
} qn__diagnostic_part;

typedef struct qn__diagnostic {
    qn__diagnostic_id id;
    qn__span span;         // file QN__NO_FILE when there is no place
    const char *message;   // the table's text with the arguments in it
    const char *found;     // NULL when not given
    const char *expected;  // NULL when not given
    qn__diagnostic_part *notes;  // in the order of adding
    qn__diagnostic_part *hints;  // in the order of adding; spans unused
    struct qn__diagnostic_sink *sink;
    bool discarded;
    uint32_t order;
} qn__diagnostic;

typedef struct qn__diagnostic_sink {
    qn__arena *arena;
    const qn__sources *sources;
    qn__diagnostic **items;  // sorted by (file, begin, order) after qn__diagnostic_sort
    size_t count;
    size_t capacity;
    size_t limit;       // of errors and of warnings, each; later ones are counted and dropped
    size_t errors;      // all, also the dropped
    size_t warnings;
    size_t dropped;     // not shown because of the limit
    qn__diagnostic scratch;  // what is discarded goes here
    qn__diagnostic spare;    // says that memory ran out
} qn__diagnostic_sink;

enum { QN__DIAGNOSTIC_LIMIT = 50 };

// The sink's memory is the arena's. `sources` must outlive it.
void qn__diagnostic_sink_init(qn__diagnostic_sink *sink, qn__arena *arena, const qn__sources *sources);

#define qn__report(sink, id, span, ...) \
    qn__report_arguments((sink), (id), (span), (qn__say[]){{.type = 0}, __VA_ARGS__}, \
                         sizeof((qn__say[]){{.type = 0}, __VA_ARGS__}) / sizeof(qn__say) - 1)

// `arguments[0]` is unused; `count` follow, one for each of the text's placeholders. Use the macro.
qn__diagnostic *qn__report_arguments(qn__diagnostic_sink *sink, qn__diagnostic_id id, qn__span span,
                                     const qn__say *arguments, size_t count);

__attribute__((format(printf, 2, 3))) void qn__diagnostic_found(qn__diagnostic *d, const char *format, ...);
__attribute__((format(printf, 2, 3))) void qn__diagnostic_expected(qn__diagnostic *d, const char *format, ...);
__attribute__((format(printf, 2, 3))) void qn__diagnostic_hint(qn__diagnostic *d, const char *format, ...);
__attribute__((format(printf, 3, 4))) void qn__diagnostic_note(qn__diagnostic *d, qn__span span, const char *format,
                                                               ...);

// Sorts by place; call once after the last report.
void qn__diagnostic_sort(qn__diagnostic_sink *sink);

const char *qn__diagnostic_code(qn__diagnostic_id id);      // "E0101"
const char *qn__diagnostic_name(qn__diagnostic_id id);      // "TYPE_MISMATCH"
qn__severity qn__diagnostic_severity(qn__diagnostic_id id);
const char *qn__diagnostic_template(qn__diagnostic_id id);  // the text with placeholders
bool qn__diagnostic_by_code(const char *code, qn__diagnostic_id *id);

typedef struct qn__render_options {
    bool color;
    bool base_names;  // print only the last component of paths
} qn__render_options;

// path:line:col: error[E0101]: message, the source line with a caret range, notes, found, expected, hints.
void qn__diagnostic_render(qn__text *out, const qn__sources *sources, const qn__diagnostic *d,
                           qn__render_options options);

// All of the sink, a blank line between two, then "... and N more" when some were dropped.
void qn__diagnostic_render_all(qn__text *out, const qn__diagnostic_sink *sink, qn__render_options options);

// One JSON array of objects {severity, code, name, message, path, line, column, end_line, end_column, begin, end,
// found, expected, hints, notes}.
void qn__diagnostic_render_json(qn__text *out, const qn__diagnostic_sink *sink);

// The candidate nearest to `word` when it is near enough to be a likely slip (at most a third of the letters, a
// transposition counts one), else NULL. Ties go to the first.
const char *qn__suggest(const char *word, const char *const *candidates, size_t count);

#endif
