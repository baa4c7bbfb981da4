// Sources, the diagnostic sink, rendering, JSON, spelling suggestions.
#include <criterion/criterion.h>
#include <string.h>

#include "compiler/diagnostic.h"

typedef struct fixture {
    qn__arena *arena;
    qn__sources sources;
    qn__diagnostic_sink sink;
    const qn__source *source;
    qn__text text;
} fixture;

static fixture begin(const char *text) {
    fixture f = {.arena = qn__arena_create(0)};
    cr_assert(f.arena);
    qn__sources_init(&f.sources, f.arena);
    f.source = qn__sources_add(&f.sources, "dir/a.qn", text, strlen(text));
    cr_assert(f.source);
    return f;
}

// The sink points into the fixture, so it starts where the fixture stays.
static void start(fixture *f) { qn__diagnostic_sink_init(&f->sink, f->arena, &f->sources); }

static void finish(fixture *f) {
    qn__text_free(&f->text);
    qn__arena_destroy(f->arena);
}

static qn__span at(uint32_t first, uint32_t last) { return (qn__span){1, first, last}; }

static const char *render(fixture *f) {
    qn__text_clear(&f->text);
    qn__diagnostic_sort(&f->sink);
    qn__diagnostic_render_all(&f->text, &f->sink, (qn__render_options){.base_names = true});
    return qn__text_bytes(&f->text);
}

Test(source, positions) {
    fixture f = begin("ab\n\xc3\xa9x\r\n\nlast");
    qn__position p = qn__source_position(f.source, 0);
    cr_assert(p.line == 1 && p.column == 1);
    p = qn__source_position(f.source, 2);
    cr_assert(p.line == 1 && p.column == 3);
    p = qn__source_position(f.source, 5);
    cr_assert(p.line == 2 && p.column == 2 && p.byte_column == 3);
    p = qn__source_position(f.source, 8);
    cr_assert(p.line == 3 && p.column == 1);
    p = qn__source_position(f.source, 1000);
    cr_assert(p.line == 4 && p.column == 5);
    finish(&f);
}

Test(diagnostic, arguments_and_carets) {
    fixture f = begin("let a = 1\n\tlet b = 2\n");
    start(&f);
    qn__diagnostic *d = qn__report(&f.sink, QN__DIAG_EXPECTED_TOKEN, at(15, 16), QN__SAY("x"), QN__SAY_BYTES("yz", 1));
    qn__diagnostic_found(d, "%s", "b");
    qn__diagnostic_expected(d, "c");
    qn__diagnostic_hint(d, "write %d", 3);
    cr_assert_str_eq(render(&f), "a.qn:2:6: error[E0217]: expected x, found y\n"
                                 " 2 |     let b = 2\n"
                                 "   |         ^\n"
                                 "   = found: b\n"
                                 "   = expected: c\n"
                                 "   = hint: write 3\n");
    finish(&f);
}

Test(diagnostic, sorted_and_without_duplicates) {
    fixture f = begin("one two three\n");
    start(&f);
    qn__report(&f.sink, QN__DIAG_VALUE_UNUSED, at(4, 7));
    qn__report(&f.sink, QN__DIAG_VALUE_UNUSED, at(0, 3));
    qn__report(&f.sink, QN__DIAG_VALUE_UNUSED, at(4, 7));
    qn__diagnostic_sort(&f.sink);
    cr_assert(f.sink.count == 2 && f.sink.errors == 2);
    cr_assert(f.sink.items[0]->span.begin == 0);
    finish(&f);
}

Test(diagnostic, limit_counts_the_rest) {
    fixture f = begin("0123456789");
    start(&f);
    f.sink.limit = 3;
    for (uint32_t i = 0; i < 10; i++) {
        qn__diagnostic *d = qn__report(&f.sink, QN__DIAG_VALUE_UNUSED, at(i, i + 1));
        qn__diagnostic_hint(d, "hint");
        qn__diagnostic_note(d, at(0, 1), "note");
    }
    cr_assert(f.sink.count == 3 && f.sink.errors == 10 && f.sink.dropped == 7);
    cr_assert(strstr(render(&f), "... and 7 more\n"));
    finish(&f);
}

Test(diagnostic, long_line_is_windowed) {
    size_t length = 10 << 20;
    char *line = malloc(length + 1);
    cr_assert(line);
    memset(line, 'x', length);
    line[length] = 0;
    fixture f = begin(line);
    free(line);
    start(&f);
    qn__report(&f.sink, QN__DIAG_VALUE_UNUSED, at(5 << 20, (5 << 20) + 3));
    const char *text = render(&f);
    cr_assert(strlen(text) < 600);
    const char *caret = strstr(text, "^~~");
    cr_assert(caret && strstr(text, "...x") && strstr(text, "x...\n"));
    qn__text_clear(&f.text);
    qn__report(&f.sink, QN__DIAG_VALUE_UNUSED, at(0, (uint32_t)length));
    cr_assert(strlen(render(&f)) < 1200);
    finish(&f);
}

Test(diagnostic, terminal_cannot_be_steered) {
    fixture f = begin("a \033[31m \xff \xc2\x9b b\n");
    start(&f);
    qn__report(&f.sink, QN__DIAG_VALUE_UNUSED, at(0, 1));
    const char *text = render(&f);
    cr_assert(!strchr(text, '\033') && !strstr(text, "\xc2\x9b") && !strchr(text, '\xff'));
    cr_assert(strstr(text, " 1 | a ?[31m ? ? b\n"));
    finish(&f);
}

Test(diagnostic, note_in_another_place) {
    fixture f = begin("one\ntwo\n");
    start(&f);
    qn__diagnostic *d = qn__report(&f.sink, QN__DIAG_VALUE_UNUSED, at(4, 7));
    qn__diagnostic_note(d, at(0, 3), "first here");
    qn__diagnostic_note(d, QN__NO_SPAN, "a remark");
    cr_assert_str_eq(render(&f), "a.qn:2:1: error[E0213]: the value of this expression is not used\n"
                                 " 2 | two\n"
                                 "   | ^~~\n"
                                 " 1 | one\n"
                                 "   | ^~~ first here\n"
                                 "   = note: a remark\n");
    finish(&f);
}

Test(diagnostic, color_only_on_request) {
    fixture f = begin("one\n");
    start(&f);
    qn__report(&f.sink, QN__DIAG_VALUE_UNUSED, at(0, 3));
    cr_assert(!strchr(render(&f), '\033'));
    qn__text_clear(&f.text);
    qn__diagnostic_render_all(&f.text, &f.sink, (qn__render_options){.color = true});
    cr_assert(strchr(qn__text_bytes(&f.text), '\033'));
    finish(&f);
}

Test(diagnostic, json) {
    fixture f = begin("a\"b\n");
    start(&f);
    qn__diagnostic *d = qn__report(&f.sink, QN__DIAG_FOREIGN_WORD, at(1, 2), QN__SAY("\"\n\\"));
    qn__diagnostic_hint(d, "h");
    qn__diagnostic_note(d, at(0, 1), "n");
    qn__diagnostic_render_json(&f.text, &f.sink);
    cr_assert_str_eq(qn__text_bytes(&f.text),
                     "[{\"severity\":\"error\",\"code\":\"E0221\",\"name\":\"FOREIGN_WORD\","
                     "\"message\":\"Quern has no '\\\"\\n\\\\'\",\"path\":\"dir/a.qn\",\"line\":1,\"column\":2,\"end_line\":1,"
                     "\"end_column\":3,\"begin\":1,\"end\":2,\"found\":null,\"expected\":null,\"hints\":[\"h\"],"
                     "\"notes\":[{\"text\":\"n\",\"path\":\"dir/a.qn\",\"line\":1,\"column\":1,\"end_line\":1,\"end_column\":2,"
                     "\"begin\":0,\"end\":1}]}]\n");
    finish(&f);
}

Test(diagnostic, survives_without_memory) {
    for (size_t limit = 1024; limit < 16384; limit += 512) {
        qn__arena *arena = qn__arena_create(limit);
        qn__sources sources;
        qn__diagnostic_sink sink;
        qn__sources_init(&sources, arena);
        const qn__source *source = qn__sources_add(&sources, "a.qn", "text", 4);
        cr_assert(source);
        qn__diagnostic_sink_init(&sink, arena, &sources);
        for (uint32_t i = 0; i < 40; i++) {
            qn__diagnostic *d = qn__report(&sink, QN__DIAG_FOREIGN_WORD, at(0, i), QN__SAY("word"));
            qn__diagnostic_hint(d, "a hint of some length, to use memory up");
        }
        cr_assert(sink.errors == 40);
        qn__text text = QN__TEXT_EMPTY;
        qn__diagnostic_sort(&sink);
        qn__diagnostic_render_all(&text, &sink, (qn__render_options){0});
        if (qn__arena_failed(arena) && sink.count) cr_assert(strstr(qn__text_bytes(&text), "E0801") || sink.count == 40);
        qn__text_free(&text);
        qn__arena_destroy(arena);
    }
}

Test(diagnostic, table_is_consistent) {
    for (int i = 0; i < QN__DIAGNOSTICS; i++) {
        const char *code = qn__diagnostic_code((qn__diagnostic_id)i);
        qn__diagnostic_id found;
        cr_assert(qn__diagnostic_by_code(code, &found) && found == (qn__diagnostic_id)i, "code %s is used twice", code);
        bool error = qn__diagnostic_severity((qn__diagnostic_id)i) == QN__SEVERITY_ERROR;
        cr_assert(strlen(code) == 5 && code[0] == (error ? 'E' : 'W'), "%s", code);
        const char *text = qn__diagnostic_template((qn__diagnostic_id)i);
        cr_assert(text[0] && text[strlen(text) - 1] != '.', "%s", code);
    }
}

Test(suggest, near_words) {
    static const char *const words[] = {"sqrt", "clamp", "floor", "x", "velocity"};
    cr_assert_str_eq(qn__suggest("sqtr", words, 5), "sqrt");
    cr_assert_str_eq(qn__suggest("Clamp", words, 5), "clamp");
    cr_assert_str_eq(qn__suggest("velocty", words, 5), "velocity");
    cr_assert_null(qn__suggest("matrix", words, 5));
    cr_assert_null(qn__suggest("", words, 5));
    cr_assert_null(qn__suggest("y", words, 5));
}
