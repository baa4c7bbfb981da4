// Tokens and literals.
#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "compiler/brackets.h"
#include "compiler/lexer.h"

typedef struct fixture {
    qn__arena *arena;
    qn__sources sources;
    qn__diagnostic_sink sink;
    qn__names *names;
    qn__tokens tokens;
    bool lexed;
} fixture;

static fixture *lex(const char *text, size_t length) {
    fixture *f = calloc(1, sizeof *f);
    cr_assert(f);
    f->arena = qn__arena_create(0);
    qn__sources_init(&f->sources, f->arena);
    qn__diagnostic_sink_init(&f->sink, f->arena, &f->sources);
    f->names = qn__names_create(f->arena);
    const qn__source *source = qn__sources_add(&f->sources, "a.qn", text, length);
    cr_assert(source);
    f->lexed = qn__lex(source, f->arena, f->names, &f->sink, &f->tokens);
    return f;
}

static void finish(fixture *f) {
    qn__arena_destroy(f->arena);
    free(f);
}

static void expect_tokens(const char *text, const char *expected) {
    fixture *f = lex(text, strlen(text));
    qn__text out = QN__TEXT_EMPTY;
    for (size_t i = 0; i + 1 < f->tokens.count; i++) {
        const qn__token *token = &f->tokens.items[i];
        qn__text_format(&out, "%s%s", i ? " " : "", token->flags & QN__TOKEN_NEWLINE && i ? "/" : "");
        qn__text_add_string(&out, qn__token_kind_name((qn__token_kind)token->kind));
    }
    cr_assert_str_eq(qn__text_bytes(&out), expected, "%s: got %s", text, qn__text_bytes(&out));
    qn__text_free(&out);
    finish(f);
}

static void expect_code(const char *text, size_t length, const char *code) {
    fixture *f = lex(text, length);
    cr_assert(f->sink.count >= 1, "%s: no error", text);
    cr_assert_str_eq(qn__diagnostic_code(f->sink.items[0]->id), code, "%s", text);
    finish(f);
}

Test(lexer, kinds) {
    expect_tokens("kernel a(x: f32[n]) -> z", "KERNEL NAME LEFT_PAREN NAME COLON NAME LEFT_SQUARE NAME RIGHT_SQUARE RIGHT_PAREN ARROW NAME");
    expect_tokens("a<<=b", "NAME ASSIGN NAME");  // a slip, mended
    expect_tokens("a <= b < c << d >= e", "NAME LESS_EQUAL NAME LESS NAME SHIFT_LEFT NAME GREATER_EQUAL NAME");
    expect_tokens("x += y # comment ä\nz", "NAME PLUS_ASSIGN NAME /NAME");
    expect_tokens("fort for_ iff", "NAME NAME NAME");
    expect_tokens("1..h-1", "INTEGER RANGE NAME MINUS INTEGER");
    expect_tokens("1.5..2", "FLOAT RANGE INTEGER");
    expect_tokens("i in 0..n", "NAME IN INTEGER RANGE NAME");
    expect_tokens("1e-5-2", "FLOAT MINUS INTEGER");
    expect_tokens("0x1e-5", "INTEGER MINUS INTEGER");
    expect_tokens("a\r\nb\r\n", "NAME /NAME");
    expect_tokens("\xef\xbb\xbf" "a", "NAME");
    expect_tokens("", "");
    expect_tokens("# only a comment", "");
}

static qn__number number(const char *text) { return qn__read_number(text, strlen(text)); }

Test(lexer, integers) {
    cr_assert(number("0").integer == 0 && !number("0").problem);
    cr_assert(number("1_000_000").integer == 1000000);
    cr_assert(number("0xFFFF_ffff_FFFF_ffff").integer == UINT64_MAX);
    cr_assert(number("18446744073709551615").integer == UINT64_MAX && !number("18446744073709551615").overflow);
    cr_assert(number("18446744073709551616").overflow);
    cr_assert(number("0x10000000000000000").overflow);
    cr_assert(number("0b1011").integer == 11);
    static const char *const wrong[] = {"0b2", "0x", "0b", "0o7", "1__0", "1_", "0x_1", "007", "00", "12a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) cr_assert(number(wrong[i]).problem, "%s", wrong[i]);
}

Test(lexer, floats_are_correctly_rounded) {
    cr_assert(number("0.1").real == 0.1 && number("0.1").is_float);
    cr_assert(number("1e22").real == 1e22 && number("1e22").is_float);
    cr_assert(number("2.2250738585072012e-308").real == 2.2250738585072014e-308);
    cr_assert(number("9007199254740993.0").real == 9007199254740992.0);
    cr_assert(number("9007199254740993.00000000000000000000000001").real == 9007199254740994.0);
    cr_assert(number("4.9e-324").real == 4.9e-324);
    cr_assert(number("0x1.8p1").real == 3.0);
    cr_assert(number("0x1p-1074").real == 4.9e-324);
    cr_assert(number("1_0.2_5").real == 10.25);
    cr_assert(number("1e400").overflow);
    static const char *const wrong[] = {"1.", ".5", "1e", "1e+", "1.5e", "0x1.8", "1.5.2", "1_.5", "00.5"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) cr_assert(number(wrong[i]).problem, "%s", wrong[i]);
}

Test(lexer, the_hosts_locale_does_not_matter) {
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8")) cr_skip("no locale with a decimal comma");
    cr_assert(number("1.5").real == 1.5);
    qn__text text = QN__TEXT_EMPTY;
    qn__text_add_f64(&text, 2.25);
    qn__text_format(&text, " %.2f", 3.5);
    cr_assert_str_eq(qn__text_bytes(&text), "2.25 3.50");
    qn__text_free(&text);
}

Test(lexer, errors) {
    static const struct { const char *text, *code; } cases[] = {
        {"a $ b", "E0102"}, {"\"a", "E0103"}, {"\"\\n\"", "E0104"}, {"1.", "E0105"}, {"99999999999999999999", "E0106"},
        {"1e999", "E0107"}, {"1.0f", "E0108"}, {"a && b", "E0110"}, {"// x", "E0111"}, {"# \xe2\x80\xae", "E0112"},
        {"# \xff", "E0101"}, {"\xc0\x80", "E0101"}, {"\xed\xa0\x80", "E0101"}, {"\xf4\x90\x80\x80", "E0101"}, {"\xe2\x82", "E0101"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_code(cases[i].text, strlen(cases[i].text), cases[i].code);
    expect_code("a\0b", 3, "E0109");
}

Test(lexer, limits) {
    size_t length = (size_t)QN__SOURCE_LIMIT + 1;
    char *text = malloc(length);
    cr_assert(text);
    memset(text, ' ', length);
    expect_code(text, length, "E0803");
    memset(text, ',', length);
    expect_code(text, length - 1, "E0804");
    free(text);
}

// Brackets after repair, virtual ones as 'v' and the bracket.
static void expect_brackets(const char *text, const char *expected, size_t errors) {
    fixture *f = lex(text, strlen(text));
    cr_assert(qn__match_brackets(&f->tokens, f->arena, &f->sink), "%s", text);
    qn__text out = QN__TEXT_EMPTY;
    for (size_t i = 0; i + 1 < f->tokens.count; i++) {
        const qn__token *token = &f->tokens.items[i];
        qn__text_format(&out, "%s%s", token->flags & QN__TOKEN_VIRTUAL ? "v" : "",
                        token->kind == QN__TOKEN_NAME ? "a" : qn__token_text((qn__token_kind)token->kind));
    }
    cr_assert_str_eq(qn__text_bytes(&out), expected, "%s: got %s", text, qn__text_bytes(&out));
    cr_assert(f->sink.errors == errors, "%s: %zu errors", text, f->sink.errors);
    qn__text_free(&out);
    finish(f);
}

Test(brackets, repair) {
    expect_brackets("(a[a]{a})", "(a[a]{a})", 0);
    expect_brackets("(a\na", "(av)a", 1);
    expect_brackets("(a[a)", "(a[av])", 1);
    expect_brackets("[a)", "[a]", 1);
    expect_brackets("a)", "a", 1);
    expect_brackets("{(a\na}", "{(av)a}", 1);
    expect_brackets("{a", "{av}", 1);
    expect_brackets("{\na\nkernel", "{av}kernel", 1);
    expect_brackets("[]{)\n[[", "[]{[[v]v]v}", 4);
}
