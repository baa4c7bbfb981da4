// Renders diagnostics: as text with source excerpts, and as JSON.
//
// An excerpt is one line of source with a caret range under it. Tabs become spaces up to the next multiple of 4,
// control characters '?' (a source must not be able to steer the terminal), and of a line longer than WIDEST bytes only
// a window around the caret is shown, so a line of megabytes costs no more than the window.
#include "compiler/diagnostic.h"
#include "compiler/lexer.h"

#include <string.h>

enum { TAB = 4, WIDEST = 140, BEFORE_CARET = 60 };

static const char *const BOLD = "\033[1m";
static const char *const RED = "\033[1;31m";
static const char *const YELLOW = "\033[1;33m";
static const char *const BLUE = "\033[1;34m";
static const char *const PLAIN = "\033[0m";

static void paint(qn__text *out, qn__render_options options, const char *code) {
    if (options.color) qn__text_add_string(out, code);
}

static const char *shown_path(const qn__source *source, qn__render_options options) {
    const char *slash = options.base_names ? strrchr(source->path, '/') : NULL;
    return slash ? slash + 1 : source->path;
}

typedef struct window {
    uint32_t begin, end;          // bytes of the file that are shown
    bool cut_before, cut_after;   // "..." at that side
} window;

static bool continues(const qn__source *source, uint32_t offset) {
    return ((unsigned char)source->text[offset] & 0xc0) == 0x80;
}

// The shown part of the line that starts at `begin` around the caret.
static window choose_window(const qn__source *source, uint32_t begin, uint32_t line, uint32_t caret) {
    uint32_t end = line < source->line_count ? source->line_begins[line] - 1 : (uint32_t)source->length;
    while (end > begin && (source->text[end - 1] == '\r' || source->text[end - 1] == ' ')) end--;
    window w = {begin, end, false, false};
    if (end - begin <= WIDEST) return w;
    if (caret > begin + BEFORE_CARET) {
        w.begin = caret - BEFORE_CARET;
        while (w.begin > begin && continues(source, w.begin)) w.begin--;
        w.cut_before = true;
    }
    if (end - w.begin > WIDEST) {
        w.end = w.begin + WIDEST;
        while (w.end > w.begin && continues(source, w.end)) w.end--;
        w.cut_after = true;
    }
    return w;
}

// One character of a line as it is shown.
typedef struct glyph {
    uint32_t bytes;  // in the source
    uint32_t width;  // columns
    bool plain;      // shown as it is; otherwise spaces for a tab, '?' for what must not reach a terminal
} glyph;

static glyph glyph_at(const qn__source *source, uint32_t at, uint32_t column) {
    uint32_t c;
    size_t bytes = qn__decode_utf8(source->text + at, source->length - at, &c);
    if (!bytes) return (glyph){1, 1, false};
    if (c == '\t') return (glyph){1, TAB - column % TAB, false};
    bool control = c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
                   (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
    return (glyph){(uint32_t)bytes, 1, !control};
}

static void add_line(qn__text *out, const qn__source *source, window w) {
    uint32_t column = 0;
    if (w.cut_before) qn__text_add_string(out, "...");
    for (uint32_t at = w.begin; at < w.end;) {
        glyph g = glyph_at(source, at, column);
        if (g.plain) qn__text_add(out, source->text + at, g.bytes);
        else qn__text_repeat(out, source->text[at] == '\t' ? ' ' : '?', g.width);
        column += g.width;
        at += g.bytes;
    }
    if (w.cut_after) qn__text_add_string(out, "...");
    qn__text_add_char(out, '\n');
}

static void add_carets(qn__text *out, const qn__source *source, window w, qn__span span) {
    uint32_t column = 0, first = 0;
    for (uint32_t at = w.begin; at < w.end && at < span.end;) {
        glyph g = glyph_at(source, at, column);
        column += g.width;
        if (at < span.begin) first = column;
        at += g.bytes;
    }
    if (span.begin > w.end) first = column + 1;  // beyond trailing spaces: one past the line
    uint32_t last = column > first ? column : first + 1;
    qn__text_repeat(out, ' ', first + (w.cut_before ? 3 : 0));
    qn__text_add_char(out, '^');
    qn__text_repeat(out, '~', last - first - 1);
}

static int digits_of(uint32_t number) {
    int digits = 1;
    while (number >= 10) number /= 10, digits++;
    return digits;
}

static void add_gutter(qn__text *out, qn__render_options options, int width, uint32_t line) {
    paint(out, options, BLUE);
    if (line) qn__text_format(out, " %*u | ", width, line);
    else qn__text_format(out, " %*s | ", width, "");
    paint(out, options, PLAIN);
}

// `above`: the line whose excerpt stands directly above, 0 for none; the same short line is not printed again.
static void add_excerpt(qn__text *out, const qn__source *source, qn__span span, qn__render_options options, int width,
                        const char *color, const char *label, uint32_t above) {
    qn__position position = qn__source_position(source, span.begin);
    uint32_t begin = source->line_begins[position.line - 1];
    window w = choose_window(source, begin, position.line, span.begin);
    if (position.line != above || w.cut_before || w.cut_after) {
        add_gutter(out, options, width, position.line);
        add_line(out, source, w);
    }
    add_gutter(out, options, width, 0);
    paint(out, options, color);
    add_carets(out, source, w, span);
    if (label) qn__text_format(out, " %s", label);
    paint(out, options, PLAIN);
    qn__text_add_char(out, '\n');
}

static void add_remark(qn__text *out, qn__render_options options, int width, const char *word, const char *text) {
    paint(out, options, BLUE);
    qn__text_format(out, " %*s =", width, "");
    paint(out, options, PLAIN);
    qn__text_add_char(out, ' ');
    paint(out, options, BOLD);
    qn__text_format(out, "%s:", word);
    paint(out, options, PLAIN);
    qn__text_format(out, " %s\n", text);
}

static void add_note(qn__text *out, const qn__sources *sources, const qn__diagnostic *d,
                     const qn__diagnostic_part *note, qn__render_options options, int width) {
    const qn__source *source = qn__sources_get(sources, note->span.file);
    if (!source) {
        add_remark(out, options, width, "note", note->text);
        return;
    }
    if (note->span.file != d->span.file) {
        qn__position position = qn__source_position(source, note->span.begin);
        paint(out, options, BLUE);
        qn__text_format(out, " %*s-->", width, "");
        paint(out, options, PLAIN);
        qn__text_format(out, " %s:%u:%u\n", shown_path(source, options), position.line, position.column);
    }
    bool first = note == d->notes && note->span.file == d->span.file;
    uint32_t above = first ? qn__source_position(source, d->span.begin).line : 0;
    add_excerpt(out, source, note->span, options, width, BLUE, note->text, above);
}

// Digits of the largest line number that this diagnostic shows.
static int gutter_width(const qn__sources *sources, const qn__diagnostic *d) {
    const qn__source *source = qn__sources_get(sources, d->span.file);
    int width = source ? digits_of(qn__source_position(source, d->span.begin).line) : 1;
    for (const qn__diagnostic_part *note = d->notes; note; note = note->next) {
        source = qn__sources_get(sources, note->span.file);
        int digits = source ? digits_of(qn__source_position(source, note->span.begin).line) : 1;
        if (digits > width) width = digits;
    }
    return width;
}

void qn__diagnostic_render(qn__text *out, const qn__sources *sources, const qn__diagnostic *d,
                           qn__render_options options) {
    const qn__source *source = qn__sources_get(sources, d->span.file);
    bool error = qn__diagnostic_severity(d->id) == QN__SEVERITY_ERROR;
    const char *color = error ? RED : YELLOW;
    if (source) {
        qn__position position = qn__source_position(source, d->span.begin);
        paint(out, options, BOLD);
        qn__text_format(out, "%s:%u:%u: ", shown_path(source, options), position.line, position.column);
        paint(out, options, PLAIN);
    }
    paint(out, options, color);
    qn__text_format(out, "%s[%s]", error ? "error" : "warning", qn__diagnostic_code(d->id));
    paint(out, options, PLAIN);
    paint(out, options, BOLD);
    qn__text_format(out, ": %s", d->message);
    paint(out, options, PLAIN);
    qn__text_add_char(out, '\n');
    int width = gutter_width(sources, d);
    if (source) add_excerpt(out, source, d->span, options, width, color, NULL, 0);
    for (const qn__diagnostic_part *note = d->notes; note; note = note->next)
        add_note(out, sources, d, note, options, width);
    if (d->found) add_remark(out, options, width, "found", d->found);
    if (d->expected) add_remark(out, options, width, "expected", d->expected);
    for (const qn__diagnostic_part *hint = d->hints; hint; hint = hint->next)
        add_remark(out, options, width, "hint", hint->text);
}

void qn__diagnostic_render_all(qn__text *out, const qn__diagnostic_sink *sink, qn__render_options options) {
    for (size_t i = 0; i < sink->count; i++) {
        if (i) qn__text_add_char(out, '\n');
        qn__diagnostic_render(out, sink->sources, sink->items[i], options);
    }
    if (sink->dropped) qn__text_format(out, "\n... and %zu more\n", sink->dropped);
}

static void json_field(qn__text *out, const char *name, const char *value) {
    qn__text_format(out, "\"%s\":", name);
    if (value) qn__text_add_json_string(out, value, strlen(value));
    else qn__text_add_string(out, "null");
}

static void json_place(qn__text *out, const qn__sources *sources, qn__span span) {
    const qn__source *source = qn__sources_get(sources, span.file);
    json_field(out, "path", source ? source->path : NULL);
    if (!source) return;
    qn__position begin = qn__source_position(source, span.begin), end = qn__source_position(source, span.end);
    qn__text_format(out, ",\"line\":%u,\"column\":%u,\"end_line\":%u,\"end_column\":%u,\"begin\":%u,\"end\":%u",
                    begin.line, begin.column, end.line, end.column, span.begin, span.end);
}

static void json_diagnostic(qn__text *out, const qn__sources *sources, const qn__diagnostic *d) {
    bool error = qn__diagnostic_severity(d->id) == QN__SEVERITY_ERROR;
    qn__text_format(out, "{\"severity\":\"%s\",\"code\":\"%s\",\"name\":\"%s\",", error ? "error" : "warning",
                    qn__diagnostic_code(d->id), qn__diagnostic_name(d->id));
    json_field(out, "message", d->message);
    qn__text_add_char(out, ',');
    json_place(out, sources, d->span);
    qn__text_add_char(out, ',');
    json_field(out, "found", d->found);
    qn__text_add_char(out, ',');
    json_field(out, "expected", d->expected);
    qn__text_add_string(out, ",\"hints\":[");
    for (const qn__diagnostic_part *hint = d->hints; hint; hint = hint->next) {
        qn__text_add_json_string(out, hint->text, strlen(hint->text));
        if (hint->next) qn__text_add_char(out, ',');
    }
    qn__text_add_string(out, "],\"notes\":[");
    for (const qn__diagnostic_part *note = d->notes; note; note = note->next) {
        qn__text_add_char(out, '{');
        json_field(out, "text", note->text);
        qn__text_add_char(out, ',');
        json_place(out, sources, note->span);
        qn__text_add_string(out, note->next ? "}," : "}");
    }
    qn__text_add_string(out, "]}");
}

void qn__diagnostic_render_json(qn__text *out, const qn__diagnostic_sink *sink) {
    qn__text_add_char(out, '[');
    for (size_t i = 0; i < sink->count; i++) {
        if (i) qn__text_add_string(out, ",\n ");
        json_diagnostic(out, sink->sources, sink->items[i]);
    }
    qn__text_add_string(out, "]\n");
}
