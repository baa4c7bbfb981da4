// The diagnostic table and the sink that collects reports.
//
// Invariants: everything a diagnostic points to lives in the sink's arena; a discarded diagnostic is the sink's
// scratch, whose additions are dropped; at most `limit` errors and `limit` warnings are kept, but all are counted.
#include "compiler/diagnostic.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
    const char *name;
    const char *code;
    qn__severity severity;
    const char *text;
} row;

static const row rows[] = {
#define QN__DIAGNOSTIC(name, code, severity, text) {#name, code, QN__SEVERITY_##severity, text},
#include "compiler/diagnostic.def"
#undef QN__DIAGNOSTIC
};

const char *qn__diagnostic_code(qn__diagnostic_id id) { return rows[id].code; }
const char *qn__diagnostic_name(qn__diagnostic_id id) { return rows[id].name; }
qn__severity qn__diagnostic_severity(qn__diagnostic_id id) { return rows[id].severity; }
const char *qn__diagnostic_template(qn__diagnostic_id id) { return rows[id].text; }

bool qn__diagnostic_by_code(const char *code, qn__diagnostic_id *id) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].code, code)) continue;
        *id = (qn__diagnostic_id)i;
        return true;
    }
    return false;
}

void qn__diagnostic_sink_init(qn__diagnostic_sink *sink, qn__arena *arena, const qn__sources *sources) {
    *sink = (qn__diagnostic_sink){.arena = arena, .sources = sources, .limit = QN__DIAGNOSTIC_LIMIT};
    sink->scratch.discarded = true;
    sink->scratch.sink = sink;
    sink->scratch.message = "";
    sink->items = qn__arena_grow(arena, NULL, &sink->capacity, 1, sizeof *sink->items);
    if (!sink->items) sink->capacity = 0;
}

static void add_character(qn__text *out, uint32_t c) {
    char bytes[4];
    size_t count = 0;
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0)) {
        qn__text_format(out, "U+%04X", c);
        return;
    }
    if (c < 0x80) {
        bytes[count++] = (char)c;
    } else if (c < 0x800) {
        bytes[count++] = (char)(0xc0 | (c >> 6));
        bytes[count++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        bytes[count++] = (char)(0xe0 | (c >> 12));
        bytes[count++] = (char)(0x80 | ((c >> 6) & 0x3f));
        bytes[count++] = (char)(0x80 | (c & 0x3f));
    } else {
        bytes[count++] = (char)(0xf0 | ((c >> 18) & 7));
        bytes[count++] = (char)(0x80 | ((c >> 12) & 0x3f));
        bytes[count++] = (char)(0x80 | ((c >> 6) & 0x3f));
        bytes[count++] = (char)(0x80 | (c & 0x3f));
    }
    qn__text_add_char(out, '\'');
    qn__text_add(out, bytes, count);
    qn__text_add_char(out, '\'');
    if (c >= 0x80) qn__text_format(out, " (U+%04X)", c);
}

static void add_argument(qn__text *out, const qn__say *argument, char type) {
    if (argument->type != type) {  // a wrong call; the tests call every site, so this stays visible but harmless
        qn__text_add_string(out, "<no argument>");
        return;
    }
    switch (type) {
    case 's': {
        const char *text = argument->value.text ? argument->value.text : "";
        qn__text_add(out, text, argument->length == SIZE_MAX ? strlen(text) : argument->length);
        break;
    }
    case 'd': qn__text_format(out, "%lld", (long long)argument->value.number); break;
    case 'u': qn__text_format(out, "%llu", (unsigned long long)argument->value.natural); break;
    case 'c': add_character(out, argument->value.character); break;
    default: qn__text_add_string(out, "<no argument>"); break;
    }
}

// The row's text with the arguments put in.
static void fill(qn__text *out, const char *text, const qn__say *arguments, size_t count) {
    size_t used = 0;
    for (const char *at = text; *at; at++) {
        if (at[0] == '{' && at[1] && strchr("sduc", at[1]) && at[2] == '}') {
            if (used < count) add_argument(out, &arguments[++used], at[1]);
            else qn__text_add_string(out, "<no argument>");
            at += 2;
        } else {
            qn__text_add_char(out, *at);
        }
    }
}

static const char *keep_text(qn__diagnostic_sink *sink, qn__text *text) {
    const char *copy = qn__arena_copy_string(sink->arena, qn__text_bytes(text), text->length);
    qn__text_free(text);
    return copy;
}

// Without memory for a report the spare one takes its place, in a slot that is there already.
static qn__diagnostic *out_of_memory(qn__diagnostic_sink *sink) {
    if (sink->capacity && !sink->spare.message) {
        sink->spare = (qn__diagnostic){.id = QN__DIAG_OUT_OF_MEMORY, .message = rows[QN__DIAG_OUT_OF_MEMORY].text,
                                       .sink = sink, .discarded = true};
        if (sink->count == sink->capacity) sink->count--;
        sink->items[sink->count++] = &sink->spare;
    }
    return &sink->scratch;
}

static qn__diagnostic *discard(qn__diagnostic_sink *sink, qn__diagnostic_id id) {
    sink->scratch.id = id;
    return &sink->scratch;
}

// Counts the report; false when it is a duplicate or beyond the limit.
static bool accept(qn__diagnostic_sink *sink, qn__diagnostic_id id, qn__span span) {
    size_t shown = 0;
    for (size_t i = 0; i < sink->count; i++) {
        const qn__diagnostic *d = sink->items[i];
        if (d->id == id && d->span.file == span.file && d->span.begin == span.begin && d->span.end == span.end)
            return false;
        shown += rows[d->id].severity == rows[id].severity;
    }
    if (rows[id].severity == QN__SEVERITY_ERROR) sink->errors++;
    else sink->warnings++;
    if (shown < sink->limit) return true;
    sink->dropped++;
    return false;
}

qn__diagnostic *qn__report_arguments(qn__diagnostic_sink *sink, qn__diagnostic_id id, qn__span span,
                                     const qn__say *arguments, size_t count) {
    if (!accept(sink, id, span)) return discard(sink, id);
    qn__diagnostic *d = QN__ARENA_NEW(sink->arena, qn__diagnostic);
    qn__diagnostic **items =
        d ? qn__arena_grow(sink->arena, sink->items, &sink->capacity, sink->count + 1, sizeof *items) : NULL;
    if (!items) return out_of_memory(sink);
    sink->items = items;
    qn__text message = QN__TEXT_EMPTY;
    fill(&message, rows[id].text, arguments, count);
    d->id = id;
    d->span = span;
    d->sink = sink;
    d->order = (uint32_t)sink->count;
    const bool whole = !message.failed;
    d->message = keep_text(sink, &message);
    if (!d->message || !whole) d->message = rows[id].text;
    items[sink->count++] = d;
    return d;
}

static const char *format_kept(qn__diagnostic *d, const char *format, va_list list) {
    if (d->discarded) return NULL;
    qn__text text = QN__TEXT_EMPTY;
    qn__text_format_list(&text, format, list);
    return keep_text(d->sink, &text);
}

void qn__diagnostic_found(qn__diagnostic *d, const char *format, ...) {
    va_list list;
    va_start(list, format);
    d->found = format_kept(d, format, list);
    va_end(list);
}

void qn__diagnostic_expected(qn__diagnostic *d, const char *format, ...) {
    va_list list;
    va_start(list, format);
    d->expected = format_kept(d, format, list);
    va_end(list);
}

static void append(qn__diagnostic *d, qn__diagnostic_part **to, qn__span span, const char *text) {
    if (!text) return;
    qn__diagnostic_part *part = QN__ARENA_NEW(d->sink->arena, qn__diagnostic_part);
    if (!part) return;
    part->span = span;
    part->text = text;
    while (*to) to = &(*to)->next;
    *to = part;
}

void qn__diagnostic_hint(qn__diagnostic *d, const char *format, ...) {
    va_list list;
    va_start(list, format);
    append(d, &d->hints, QN__NO_SPAN, format_kept(d, format, list));
    va_end(list);
}

void qn__diagnostic_note(qn__diagnostic *d, qn__span span, const char *format, ...) {
    va_list list;
    va_start(list, format);
    append(d, &d->notes, span, format_kept(d, format, list));
    va_end(list);
}

static int compare(const void *left, const void *right) {
    const qn__diagnostic *a = *(qn__diagnostic *const *)left, *b = *(qn__diagnostic *const *)right;
    if (a->span.file != b->span.file) return a->span.file < b->span.file ? -1 : 1;
    if (a->span.begin != b->span.begin) return a->span.begin < b->span.begin ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

void qn__diagnostic_sort(qn__diagnostic_sink *sink) {
    if (sink->count) qsort(sink->items, sink->count, sizeof *sink->items, compare);
}
