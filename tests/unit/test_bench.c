/* What the benches compute and draw: errors against f64, sources with sums in the type, sizes, crossings, plots. */
#include "cli/errors.h"
#include "cli/sizes.h"
#include "cli/sums.h"
#include "cli/svg.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ---- */
Test(errors, finite) {
    const float values[] = {1.0f, 2.5f, -3.0f, 0.25f};
    const double exact[] = {1.0, 2.0, -4.0, 0.0};
    cli_errors e = {0};
    cli_errors_add(&e, QN_F32, values, exact, 4);
    cr_assert_eq(e.count, 4);
    cr_assert_eq(e.compared, 4);
    cr_assert_eq(e.max_absolute, 1.0);
    cr_assert_eq(e.worst, 2);
    cr_assert_eq(e.max_relative, 0.25, "where f64 has 0 there is no relative error");
    cr_assert_float_eq(cli_errors_rms(&e), sqrt((0.25 + 1.0 + 0.0625) / 4), 1e-15);
    cr_assert_eq(e.overflowed + e.zeros + e.subnormals + e.nans + e.unlike, 0);
}

Test(errors, half) {
    /* 1, infinity, -infinity, 0, the smallest subnormal, NaN, 65504 */
    const uint16_t values[] = {0x3C00, 0x7C00, 0xFC00, 0x0000, 0x0001, 0x7E00, 0x7BFF};
    const double exact[] = {1.0, 70000.0, -1e6, 1e-9, 0x1p-24, 3.0, 65504.0};
    cli_errors e = {0};
    cli_errors_add(&e, QN_F16, values, exact, 7);
    cr_assert_eq(e.overflowed, 2);
    cr_assert_eq(e.zeros, 1);
    cr_assert_eq(e.subnormals, 1);
    cr_assert_eq(e.nans, 1);
    cr_assert_eq(e.compared, 4);
    cr_assert_eq(e.max_absolute, 1e-9);
    cr_assert_eq(e.max_relative, 1.0);
}

Test(errors, not_finite_in_both) {
    const double inf = INFINITY, values[] = {inf, NAN, -inf, 1.0, 2.0, NAN}, exact[] = {inf, NAN, inf, inf, NAN, inf};
    cli_errors e = {0};
    cli_errors_add(&e, QN_F64, values, exact, 6);
    cr_assert_eq(e.compared, 0);
    cr_assert_eq(e.unlike, 3, "-inf for inf, 1 for inf, 2 for NaN");
    cr_assert_eq(e.nans, 1, "NaN where f64 has infinity");
    cr_assert_eq(e.overflowed, 0);
    cr_assert_eq(cli_errors_rms(&e), 0.0);
}

Test(errors, squares_do_not_overflow_or_vanish) {
    const double large[] = {1e200, 3e200}, small[] = {1e-200, 0}, exact[] = {0, 0};
    cli_errors e = {0}, f = {0};
    cli_errors_add(&e, QN_F64, large, exact, 2);
    cr_assert_float_eq(cli_errors_rms(&e) / 1e200, sqrt(5.0), 1e-12);
    cli_errors_add(&f, QN_F64, small, exact, 2);
    cr_assert_float_eq(cli_errors_rms(&f) / 1e-200, sqrt(0.5), 1e-12);
}

Test(errors, in_pieces) {
    const float values[] = {1.0f, 5.0f, 2.0f};
    const double exact[] = {1.5, 5.0, 4.0};
    cli_errors whole = {0}, pieces = {0};
    cli_errors_add(&whole, QN_F32, values, exact, 3);
    for (size_t i = 0; i < 3; i++) cli_errors_add(&pieces, QN_F32, values + i, exact + i, 1);
    cr_assert_eq(memcmp(&whole, &pieces, sizeof whole), 0);
    cr_assert_eq(pieces.worst, 2);
}

Test(errors, limits) {
    cr_assert_eq(cli_type_largest(QN_F16), 65504.0);
    cr_assert_eq(cli_type_smallest(QN_F16), 0x1p-14);
    cr_assert_eq(cli_type_largest(QN_F32), (double)0x1.fffffep127f);
    cr_assert_eq(cli_type_largest(QN_I32), 0.0);
}

/* ---- sums ---- */
static void rewritten(const char *source, const char *kernel, int count, const char *expected) {
    qn__text out = QN__TEXT_EMPTY;
    cr_assert_eq(cli_sums_in_type(source, strlen(source), kernel, &out), count, "%s", source);
    if (count >= 0) {
        char *tail = strstr(out.bytes, "\nfn quern_sum_step");
        cr_assert(tail);
        *tail = 0;
        cr_assert_str_eq(out.bytes, expected);
    }
    qn__text_free(&out);
}

Test(sums, rewriting) {
    rewritten("s = sum(i: x[i])", NULL, 1, "s = reduce(quern_sum_step, 0, i: x[i])");
    rewritten("s = sum (i: sum(j: a[i, j]))", NULL, 2, "s = reduce(quern_sum_step, 0, i: reduce(quern_sum_step, 0, j: a[i, j]))");
    rewritten("p[i] = scan(sum, i: x[i]); q[i] = exscan( sum , i: x[i])", NULL, 2,
              "p[i] = scan(quern_sum_step, 0, i: x[i]); q[i] = exscan( quern_sum_step, 0 , i: x[i])");
    rewritten("# sum(i: x[i])\nimport \"sum(\" resum(1) sums(2) scan(max, i: sum)", NULL, 0, "# sum(i: x[i])\nimport \"sum(\" resum(1) sums(2) scan(max, i: sum)");
    rewritten("fn sum(a: f32) -> f32 = a", NULL, -1, NULL);
    rewritten("fn quern_sum_step(a: f32) -> f32 = a", NULL, -1, NULL);
    rewritten("sum(\n", NULL, 1, "reduce(quern_sum_step, 0, \n");
    rewritten("sum", NULL, 0, "sum");
}

Test(sums, of_one_kernel) {
    const char *source = "kernel a() { sum(i: 1) } fn f() = sum(i: 2) kernel b() { sum(i: 3) sum(i: 4) }";
    const char *all = "kernel a() { reduce(quern_sum_step, 0, i: 1) } fn f() = reduce(quern_sum_step, 0, i: 2) kernel b() "
                      "{ reduce(quern_sum_step, 0, i: 3) reduce(quern_sum_step, 0, i: 4) }";
    rewritten(source, "a", 2, all);
    rewritten(source, "b", 3, all);
    rewritten(source, NULL, 4, all);
}

/* ---- sizes ---- */
static void sizes_are(const char *text, size_t count, const uint64_t *expected) {
    uint64_t sizes[CLI_MAX_SIZES];
    size_t n;
    char message[CLI_SIZES_MESSAGE];
    cr_assert(cli_sizes_parse(text, sizes, &n, message), "%s: %s", text, message);
    cr_assert_eq(n, count, "%s: %zu", text, n);
    for (size_t i = 0; i < n; i++) cr_assert_eq(sizes[i], expected[i], "%s: %zu", text, i);
}

static void sizes_fail(const char *text, const char *expected) {
    uint64_t sizes[CLI_MAX_SIZES];
    size_t n;
    char message[CLI_SIZES_MESSAGE];
    cr_assert_not(cli_sizes_parse(text, sizes, &n, message), "%s", text);
    cr_assert_str_eq(message, expected);
}

Test(sizes, lists) {
    sizes_are("1000", 1, (uint64_t[]){1000});
    sizes_are("1e3,2e3", 2, (uint64_t[]){1000, 2000});
    sizes_are("1e3..1e5", 5, (uint64_t[]){1000, 4000, 16000, 64000, 100000});
    sizes_are("1e3..1e6*10", 4, (uint64_t[]){1000, 10000, 100000, 1000000});
    sizes_are("4KiB..256MiB", 9, (uint64_t[]){4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864, 268435456});
    sizes_are("1..5*1.5,7,8..9", 7, (uint64_t[]){1, 2, 3, 5, 7, 8, 9});
    sizes_are("5..5", 1, (uint64_t[]){5});
    sizes_are("2Ki", 1, (uint64_t[]){2048});
}

Test(sizes, mistakes) {
    sizes_fail("", "a size is expected at ''");
    sizes_fail("x", "a size is expected at 'x'");
    sizes_fail("10,", "a size is expected at ''");
    sizes_fail("10 20", "',' is expected at ' 20'");
    sizes_fail("0", "0 is no size: a whole number from 1 on is expected");
    sizes_fail("1.5", "1.5 is no size: a whole number from 1 on is expected");
    sizes_fail("20,10", "sizes ascend, but 10 follows 20");
    sizes_fail("20..10", "20..10 is empty");
    sizes_fail("1..10*1", "a factor from 1.01 on is expected behind '*'");
    sizes_fail("1e3..1e9*1.01", "these are more than 64 sizes");
    sizes_fail("1e99", "1e+99 is no size: a whole number from 1 on is expected");
}

static void expanded(const char *text, uint64_t n, size_t count, const char *expected) {
    qn__text out = QN__TEXT_EMPTY;
    size_t uses = 0;
    char message[CLI_SIZES_MESSAGE];
    const bool good = cli_sizes_expand(text, n, &out, &uses, message);
    cr_assert_eq(good, count > 0, "%s: %s", text, message);
    cr_assert_str_eq(good ? qn__text_bytes(&out) : message, expected);
    if (good) cr_assert_eq(uses, count);
    qn__text_free(&out);
}

Test(sizes, in_texts) {
    expanded("random(1,{n})", 10, 1, "random(1,10)");
    expanded("random(1,{n*2},{n/4+1})", 100, 2, "random(1,200,26)");
    expanded("{ n - 1 }{n+1*2}", 7, 2, "616");
    expanded("{m}", 1, 0, "'{m}': write {n}, {n*2}, {n/4+1}");
    expanded("{n", 1, 0, "'{' without '}'");
    expanded("n}", 1, 0, "'}' without '{'");
    expanded("{n/0}", 1, 0, "division by 0 in braces");
    expanded("{n-2}", 1, 0, "a number in braces is negative: -1");
    expanded("{n*9000000000000000000*9}", 1, 0, "a number in braces is too large");
    expanded("{n*}", 1, 0, "'{...}': + - * / and a whole number are expected behind n");
}

/* ---- crossings ---- */
Test(crossing, kinds) {
    const double x[] = {10, 100, 1000, 10000}, flat[] = {1, 1, 1, 1}, falls[] = {4, 2, 0.5, 0.25}, low[] = {0.5, 0.5, 0.5, 0.5};
    const double noisy[] = {4, 0.5, 2, 0.5}, close[] = {2, 2, 0.99, 0.97}, gaps[] = {NAN, 2, NAN, 0.5}, none[] = {NAN, NAN, NAN, NAN};
    double at = 0;
    cr_assert_eq(cli_crossover(x, flat, falls, 4, &at), CLI_FROM);
    cr_assert_float_eq(at, sqrt(100.0 * 1000.0), 1e-9, "half way between 2 and 1/2");
    cr_assert_eq(cli_crossover(x, falls, flat, 4, &at), CLI_NEVER);
    cr_assert_eq(cli_crossover(x, flat, low, 4, &at), CLI_ALWAYS);
    cr_assert_eq(cli_crossover(x, flat, noisy, 4, &at), CLI_FROM);
    cr_assert(at > 1000 && at < 10000, "the last one counts");
    cr_assert_eq(cli_crossover(x, flat, close, 4, &at), CLI_NEVER, "3 %% is noise");
    cr_assert_eq(cli_crossover(x, flat, flat, 4, &at), CLI_NEVER);
    cr_assert_eq(cli_crossover(x, flat, gaps, 4, &at), CLI_FROM);
    cr_assert_float_eq(at, 1000, 1e-9);
    cr_assert_eq(cli_crossover(x, flat, none, 4, &at), CLI_UNKNOWN);
    cr_assert_eq(cli_crossover(x, flat, falls, 0, &at), CLI_UNKNOWN);
}

Test(times, units) {
    static const struct { double ms; const char *text; } cases[] = {{47e-6, "47 ns"},       {0.000999, "999 ns"},    {0.0009999, "0.9999 us"}, {0.0125, "12.50 us"},
                                                                    {0.9996, "999.6 us"}, {0.99999, "1.000 ms"}, {250, "250.0 ms"}, {2500, "2.500 s"},        {0, "0 ns"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        cli_time_text(text, cases[i].ms);
        cr_assert_str_eq(text, cases[i].text);
    }
}

/* ---- plots ---- */
/* Tags are closed in the order in which they were opened, and text has no bare < or &. */
static void well_formed(const char *svg) {
    const char *open[64];
    size_t depth = 0;
    for (const char *at = svg; *at; at++) {
        if (*at == '&') cr_assert(strncmp(at, "&lt;", 4) == 0 || strncmp(at, "&gt;", 4) == 0 || strncmp(at, "&amp;", 5) == 0 || strncmp(at, "&quot;", 6) == 0);
        if (*at != '<') continue;
        const char *end = at + 1;
        for (bool quoted = false; *end && (quoted || *end != '>'); end++) quoted ^= *end == '"';
        cr_assert_eq(*end, '>', "%.40s", at);
        if (at[1] == '/') {
            cr_assert(depth > 0);
            depth--;
            cr_assert_eq(strncmp(open[depth], at + 2, (size_t)(end - at - 2)), 0, "%.40s", at);
        } else if (end[-1] != '/') {
            cr_assert(depth < 64);
            open[depth++] = at + 1;
        }
        at = end;
    }
    cr_assert_eq(depth, 0);
    cr_assert_null(strstr(svg, "nan"), "no coordinate is NaN");
    cr_assert_null(strstr(svg, "inf"), "no coordinate is infinite");
}

static size_t occurrences(const char *text, const char *what) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what)) n++;
    return n;
}

Test(svg, lines) {
    const double x[] = {1, 10, 100, 1000, 1e4}, a[] = {1, 2, NAN, 4, 5}, b[] = {0, 2, 3, -1, INFINITY};
    const cli_series series[] = {{.name = "first & <second>", .x = x, .y = a, .count = 5}, {.name = "other", .x = x, .y = b, .count = 5, .dashed = true}};
    const cli_mark mark = {50, "here \"it\" is"};
    const cli_plot plot = {.title = "x < y", .x_label = "n", .y_label = "ms", .log_x = true, .log_y = true, .series = series, .series_count = 2, .marks = &mark, .mark_count = 1};
    qn__text out = QN__TEXT_EMPTY;
    cli_svg_lines(&out, &plot);
    well_formed(out.bytes);
    cr_assert_eq(occurrences(out.bytes, "<polyline"), 3, "a gap makes two lines of one");
    cr_assert_eq(occurrences(out.bytes, "<circle"), 5, "four points and the legend");
    cr_assert(strstr(out.bytes, "first &amp; &lt;second&gt;"));
    cr_assert(strstr(out.bytes, "here &quot;it&quot; is"));
    cr_assert_null(strstr(out.bytes, "no values"));
    qn__text_free(&out);
}

Test(svg, log_places) {
    const double x[] = {1, 100}, y[] = {1, 100}, middle_x[] = {10}, middle_y[] = {10};
    const cli_series series[] = {{.name = "a", .x = x, .y = y, .count = 2}, {.name = "b", .x = middle_x, .y = middle_y, .count = 1}};
    const cli_plot plot = {.log_x = true, .log_y = true, .series = series, .series_count = 2};
    qn__text out = QN__TEXT_EMPTY;
    cli_svg_lines(&out, &plot);
    cr_assert(strstr(out.bytes, "points=\"84.00,412.00 640.00,52.00 \""), "corner to corner");
    cr_assert(strstr(out.bytes, "points=\"362.00,232.00 \""), "10 is half way from 1 to 100");
    qn__text_free(&out);
}

Test(svg, nothing_and_one_value) {
    const double zero[] = {0}, one[] = {1};
    const cli_series series[] = {{.name = "a", .x = zero, .y = zero, .count = 1}, {.name = "b", .x = one, .y = one, .count = 1}};
    const char *const groups[] = {"g"};
    for (int log = 0; log < 2; log++)
        for (size_t first = 0; first < 2; first++)
            for (size_t count = 0; count < 3 - first; count++) {
                const cli_plot plot = {.log_x = log, .log_y = log, .series = series + first, .series_count = count, .groups = groups};
                qn__text out = QN__TEXT_EMPTY;
                cli_svg_lines(&out, &plot);
                well_formed(out.bytes);
                cr_assert_eq(strstr(out.bytes, "no values") != NULL, count == 0 || (log && first == 0 && count == 1));
                qn__text_clear(&out);
                cli_svg_bars(&out, &plot);
                well_formed(out.bytes);
                qn__text_free(&out);
            }
}

Test(svg, bars) {
    const double a[] = {1, 0, NAN}, b[] = {1e-300, 1e300, 5};
    const cli_series series[] = {{.name = "a", .y = a, .count = 3}, {.name = "b", .y = b, .count = 3}};
    const char *const groups[] = {"f16", "bf16", "f<32"};
    const cli_plot plot = {.title = "t", .log_y = true, .series = series, .series_count = 2, .groups = groups};
    qn__text out = QN__TEXT_EMPTY;
    cli_svg_bars(&out, &plot);
    well_formed(out.bytes);
    cr_assert_eq(occurrences(out.bytes, "<rect"), 2 + 2 + 4, "page, frame, legend, bars");
    cr_assert_eq(occurrences(out.bytes, ">0</text>"), 1, "0 has no bar on a logarithmic axis, but is said");
    qn__text_free(&out);
}
