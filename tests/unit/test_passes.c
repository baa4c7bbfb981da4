/* The passes: text in, what must be (or must not be) in the text that comes out; random kernels before and after against
 * the walking reference; and texts with random damage, which no part of ir/ may crash on. */
#include "ir/passes.h"

#include "ir/abi.h"
#include "ir/eval.h"
#include "tests/support/random_ir.h"
#include "tests/support/walk.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- text in, text out -------------------------------------------------------------------------------------------- */

/* What most tests share: sizes n and m, arrays, constants. */
#define HEAD                                                                                                           \
    "kernel k\n"                                                                                                       \
    "extern host(f64) -> f64\n"                                                                                        \
    "array x in f32 [%n]\narray q in i64 [%n]\narray b in u8 [%n]\narray a in f32 [%n, %m]\narray c in f32 [%m, %n]\n"  \
    "array flat in f32 [%nm]\narray z out f32 [%n]\narray y out f32 [%n]\narray d out f32 [%n, %n]\narray t temp f32 [%n]\n"   \
    "local w f32 9\n"
#define BODY                                                                                                           \
    "body {\n%n: i64 = size 0\n%m: i64 = size 1\n%nm: i64 = mul %n, %m\n%o: i64 = const 0\n%one: i64 = const 1\n"      \
    "%two: i64 = const 2\n%s: i64 = param 0\n%f: f32 = param 1\n%f0: f32 = const 0.0\n"
#define POINT "parallel 1 %o, %n {%i: i64 ->\n%e: f32 = load x[%i]\n%v: i64 = load q[%i]\n"
#define END "yield\n}\nyield\n}\n"

static qn__arena *arena;
static qn__ir *module;
static char output[1 << 16];

static qn__ir *read_text(const char *text) {
    const char *message = NULL;
    qn__ir *ir = qn__ir_read(arena, text, strlen(text), &message);
    cr_assert(ir, "%s\n%s", message, text);
    qn__text report = QN__TEXT_EMPTY;
    cr_assert(qn__verify(ir, &report), "%s\n%s", qn__text_bytes(&report), text);
    qn__text_free(&report);
    return ir;
}

/* The module after the pass, as text; also verified and read back. */
static const char *after(const char *pass, const char *text) {
    if (arena) qn__arena_destroy(arena);
    arena = qn__arena_create(0);
    module = read_text(text);
    const char *message = NULL;
    cr_assert(qn__passes_run(module, pass, &message), "%s", message);
    qn__text out = QN__TEXT_EMPTY;
    qn__ir_print(module, &out);
    cr_assert_lt(out.length, sizeof output);
    strcpy(output, qn__text_bytes(&out));
    qn__text_free(&out);
    read_text(output);
    return output;
}

static int count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) n++;
    return n;
}

static int remarks(qn__remark_kind kind) {
    int n = 0;
    for (uint32_t i = 0; i < module->remark_count; i++) n += module->remarks[i].kind == kind;
    return n;
}

#define HAS(text, part) cr_assert(strstr(text, part), "'%s' is missing:\n%s", part, text)
#define LACKS(text, part) cr_assert(!strstr(text, part), "'%s' should be gone:\n%s", part, text)

Test(passes, inline_copies_bodies_callees_first) {
    const char *out = after("inline", HEAD
        "function outer -> f32 {%p: f32 ->\n%p2: f32 = call #1 inner(%p, %p)\n%p3: f32 = call #1 inner(%p2, %p)\nyield %p3\n}\n"
        "function inner -> f32 {%g: f32, %h: f32 ->\n%c0: bool = lt %g, %h\n%c1: f32 = if %c0 {\n%c2: f32 = sqrt %g\nyield %c2\n} {\nyield %h\n}\nyield %c1\n}\n"
        BODY POINT "%r: f32 = call #0 outer(%e)\nstore z[%i], %r\n" END);
    LACKS(out, "call");
    LACKS(out, "function");
    cr_assert_eq(count(out, "sqrt"), 2);
}

Test(passes, inline_refuses_recursion_and_too_much) {
    arena = qn__arena_create(0);
    const char *message = NULL;
    module = read_text(HEAD "function f -> f32 {%p: f32 ->\n%p2: f32 = call #0 f(%p)\nyield %p2\n}\n" BODY POINT
                       "%r: f32 = call #0 f(%e)\nstore z[%i], %r\n" END);
    cr_assert(!qn__passes_run(module, NULL, &message));
    cr_assert(strstr(message, "calls itself"), "%s", message);
    qn__text text = QN__TEXT_EMPTY; /* 2^20 copies of one addition */
    qn__text_add_string(&text, HEAD);
    qn__text_add_string(&text, "function g0 -> f32 {%g: f32 ->\n%h: f32 = add %g, %g\nyield %h\n}\n");
    for (int i = 1; i <= 20; i++)
        qn__text_format(&text, "function g%d -> f32 {%%a%d: f32 ->\n%%b%d: f32 = call #%d(%%a%d)\n%%c%d: f32 = call #%d(%%b%d)\nyield %%c%d\n}\n",
                        i, i, i, i - 1, i, i, i - 1, i, i);
    qn__text_add_string(&text, BODY POINT "%r: f32 = call #20(%e)\nstore z[%i], %r\n" END);
    module = read_text(qn__text_bytes(&text));
    cr_assert(!qn__passes_run(module, NULL, &message));
    cr_assert(strstr(message, "too large"), "%s", message);
    for (int twice = 0; twice < 2; twice++) { /* a chain of 600 functions, each nested: moved or copied, it is too deep */
        qn__text_clear(&text);
        qn__text_add_string(&text, HEAD "function d0 -> f32 {%d: f32 ->\nyield %d\n}\n");
        for (int i = 1; i <= 600; i++)
            qn__text_format(&text, "function d%d -> f32 {%%a%d: f32 ->\n%%k%d: bool = lt %%a%d, %%a%d\n%%b%d: f32 = if %%k%d {\n%%c%d: f32 = call #%d(%%a%d)\n"
                            "yield %%c%d\n} {\n%s%d: f32 = %s %%a%d%s\nyield %s%d\n}\nyield %%b%d\n}\n",
                            i, i, i, i, i, i, i, i, i - 1, i, i, "%e", i, twice ? "sqrt" : "neg", i, "", "%e", i, i);
        if (twice) qn__text_add_string(&text, "function other -> f32 {%oa: f32 ->\n%ob: f32 = call #599(%oa)\nyield %ob\n}\n");
        qn__text_add_string(&text, BODY POINT "%r: f32 = call #600(%e)\nstore z[%i], %r\n" END);
        module = read_text(qn__text_bytes(&text));
        cr_assert(!qn__passes_run(module, NULL, &message));
        cr_assert(strstr(message, "deeply"), "%s", message);
    }
    qn__text_free(&text);
}

Test(passes, fma_takes_marked_products_only) {
    const char *out = after("fma", HEAD BODY POINT
        "%p: f32 = mul %e, %f\n%p1: f32 = mul %f, %f\n"
        "%r1: f32 = add %p, %p1 !fuse_left\n%r2: f32 = sub %p, %e !fuse_left\n%r3: f32 = sub %e, %p !fuse_right\n"
        "%r4: f32 = add %p, %e\nstore z[%i], %r1\nstore z[%i], %r2\nstore z[%i], %r3\nstore z[%i], %r4\n" END);
    cr_assert_eq(count(out, " = fma "), 3);
    cr_assert_eq(count(out, " = neg "), 2); /* -c of a*b - c, -a of c - a*b */
    cr_assert_eq(count(out, " = add "), 1);
    LACKS(out, "!fuse");
}

Test(passes, fold_computes_constants_as_the_engines_do) {
    const char *out = after("fold", HEAD BODY POINT
        "%c1: f32 = const 0.1\n%c2: f32 = const 0.2\n%c3: f32 = add %c1, %c2\n%big: f64 = const 1e300\n%i8: i8 = convert %big\n"
        "%k: i32 = const -7\n%k2: i32 = const 2\n%k3: i32 = div %k, %k2\n%k4: i32 = rem %k, %k2\n%k5: f32 = convert %k3\n%k6: f32 = convert %i8\n"
        "%k7: f32 = convert %k4\nstore z[%i], %c3\nstore y[%i], %k5\nstore z[%i], %k6\nstore z[%i], %k7\n" END);
    HAS(out, "f32 = const 0.3"); /* 0.1f + 0.2f */
    HAS(out, "f32 = const -3.0");
    HAS(out, "f32 = const 127.0");
    HAS(out, "f32 = const -1.0");
    LACKS(out, "convert");
}

Test(passes, fold_keeps_every_bit) {
    const char *out = after("fold", HEAD BODY POINT
        "%pz: f32 = const 0.0\n%nz: f32 = const -0.0\n%u: f32 = const 1.0\n%h: f32 = const 4.0\n%th: f32 = const 3.0\n"
        "%r1: f32 = add %e, %pz\nstore z[%i], %r1\n" /* stays: -0 + +0 = +0 */
        "%r2: f32 = add %e, %nz\nstore z[%i], %r2\n%r3: f32 = mul %u, %e\nstore z[%i], %r3\n"
        "%r4: f32 = mul %e, %pz\nstore z[%i], %r4\n" /* stays: NaN, sign */
        "%r5: f32 = sub %e, %e\nstore z[%i], %r5\n"  /* stays: inf - inf */
        "%r6: f32 = div %e, %h\nstore z[%i], %r6\n%r7: f32 = div %e, %th\nstore z[%i], %r7\n" END);
    cr_assert_eq(count(out, " = add "), 1);
    cr_assert_eq(count(out, " = mul "), 3 - 1 + 1); /* n*m, x * 0, x / 4 as x * 0.25 */
    cr_assert_eq(count(out, " = div "), 1);
    cr_assert_eq(count(out, " = sub "), 1);
}

Test(passes, fold_removes_known_control_flow) {
    const char *out = after("fold", HEAD BODY POINT
        "%tr: bool = const true\n%r1: f32 = if %tr {\nyield %e\n} {\n%g: f32 = sqrt %e\nyield %g\n}\n"
        "%r2: f32 = for %two, %one, %r1 {%p: i64, %acc: f32 ->\n%n1: f32 = sqrt %acc\nyield %n1\n}\n"
        "%r3: f32 = for %one, %two, %r2 {%p2: i64, %acc2: f32 ->\n%p3: f32 = convert %p2\n%n2: f32 = add %acc2, %p3\nyield %n2\n}\n"
        "%cc: bool = lt %v, %o\n%r4: f32 = if %cc {\n%n3: f32 = neg %r3\nyield %n3\n} {\nyield %r3\n}\n"
        "store z[%i], %r4\n" END);
    LACKS(out, "sqrt");
    LACKS(out, " for ");
    LACKS(out, " if ");
    HAS(out, "select");
}

Test(passes, cse_merges_what_dominates_and_respects_writes) {
    const char *out = after("cse", HEAD BODY POINT
        "%e1: f32 = load x[%i]\n%r1: f32 = mul %e, %e1\n%r2: f32 = mul %e1, %e\nstore z[%i], %r1\n"
        "%z1: f32 = load z[%i]\nstore y[%i], %z1\n%z2: f32 = load z[%i]\nstore z[%i], %r2\n%z3: f32 = load z[%i]\n"
        "%r3: f32 = add %z2, %z3\nstore y[%i], %r3\ncheck_index %v, %n\n%l: f32 = load x[%v]\ncheck_index %v, %n\n%l2: f32 = load x[%v]\n%r4: f32 = add %l, %l2\nstore y[%i], %r4\n" END);
    cr_assert_eq(count(out, "load x"), 2);
    cr_assert_eq(count(out, "load z"), 0); /* what was stored is known */
    cr_assert_eq(count(out, " = mul "), 2); /* and n*m */
    cr_assert_eq(count(out, "check_index"), 1);
}

Test(passes, cse_does_not_merge_across_a_loop_that_writes) {
    const char *out = after("cse", HEAD BODY POINT
        "%z1: f32 = load z[%i]\n"
        "%r: f32 = for %o, %n, %f0 {%p: i64, %acc: f32 ->\n%z2: f32 = load z[%i]\n%g: f32 = add %acc, %z2\nstore z[%i], %g\nyield %g\n}\n"
        "%z3: f32 = load z[%i]\n%q1: f32 = add %z1, %z3\n%q2: f32 = add %q1, %r\nstore y[%i], %q2\n" END);
    cr_assert_eq(count(out, "load z"), 3);
}

Test(passes, dce_narrows_loops_and_drops_unread_temporaries) {
    const char *out = after("dce", HEAD BODY "alloc t[%n]\n" POINT
        "store t[%i], %e\n"
        "%r: f32, %u: f32 = for %o, %n, %f0, %f0 {%p: i64, %acc: f32, %waste: f32 ->\n%g: f32 = add %acc, %e\n%h: f32 = sqrt %waste\nyield %g, %h\n}\n"
        "%un: f32 = sqrt %e\nstore z[%i], %r\n" END);
    LACKS(out, "sqrt");
    LACKS(out, "alloc");
    LACKS(out, "store t");
    HAS(out, "yield %");
    cr_assert_eq(count(out, "yield"), 3);
    HAS(out, " = for ");
}

Test(passes, licm_moves_pure_code_and_leading_checks) {
    const char *out = after("licm", HEAD BODY POINT
        "check_index %s, %n @7:1\n%xs: f32 = load x[%s]\n%big: f32 = sqrt %f\n%r: f32 = mul %xs, %big\nstore z[%i], %r\n" END);
    const char *stage = strstr(out, "parallel");
    cr_assert(stage);
    LACKS(stage, "sqrt");
    LACKS(stage, "check_index");
    HAS(out, "check_index");
    HAS(out, "select"); /* an empty domain must not fail */
}

Test(passes, ranges_prove_stencils_clamps_and_tables) {
    after("ranges", HEAD BODY
        "%n1: i64 = sub %n, %one\nparallel 1 %one, %n1 {%i: i64 ->\n%im: i64 = sub %i, %one\n%ip: i64 = add %i, %one\n"
        "check_index %im, %n\ncheck_index %ip, %n\n%l: f32 = load x[%im]\n%bv: u8 = load b[%i]\n%bi: i64 = convert %bv\n%c256: i64 = const 256\n"
        "check_index %bi, %c256\n%far: i64 = add %i, %s\n%q1: i64 = max %far, %o\n%q2: i64 = min %q1, %n1\ncheck_index %q2, %n\n"
        "%v: i64 = load q[%i]\n%g1: bool = ge %v, %o\n%g2: bool = lt %v, %n\n%g: bool = and %g1, %g2\n"
        "%r: f32 = if %g {\ncheck_index %v, %n\n%xv: f32 = load x[%v]\nyield %xv\n} {\nyield %l\n}\n"
        "%mask: i64 = const 7\n%eight: i64 = const 8\n%vm: i64 = and %v, %mask\ncheck_index %vm, %eight\n%vr: i64 = rem %i, %n\ncheck_index %vr, %n\ncheck_nonzero %n\n"
        "store z[%i], %r\n" END);
    cr_assert_eq(remarks(QN__REMARK_PROVED), 8);
    cr_assert_eq(remarks(QN__REMARK_KEPT), 0);
    LACKS(output, "check");
}

Test(passes, ranges_prove_flat_indices_and_counters) {
    after("ranges", HEAD BODY
        "parallel 2 %o, %n, %o, %m {%i: i64, %j: i64 ->\n%row: i64 = mul %i, %m\n%at: i64 = add %row, %j\ncheck_index %at, %nm\n%l: f32 = load flat[%at]\n"
        "%k: i64 = while %o {%p: i64 ->\n%pc: bool = lt %p, %m\nyield %pc\n} {%p2: i64 ->\ncheck_index %p2, %m\n%x1: f32 = load a[%i, %p2]\n%p3: i64 = add %p2, %one\nyield %p3\n}\n"
        "%m1: i64 = add %m, %one\ncheck_index %k, %m1\n%kf: f32 = convert %k\n%kl: f32 = add %kf, %l\nstore d[%i, %i], %kl\n" END);
    cr_assert_eq(remarks(QN__REMARK_PROVED), 3);
}

Test(passes, ranges_keep_what_may_fail_and_say_why) {
    after("ranges", HEAD BODY POINT
        "check_index %v, %n\n%l: f32 = load x[%v]\ncheck_index %s, %n\n%l2: f32 = load x[%s]\n%n32: i32 = convert %i\n%n64: i64 = convert %n32\ncheck_index %n64, %n\n"
        "%huge: i64 = const 9223372036854775807\n%wrap: i64 = add %v, %huge\ncheck_index %wrap, %n\nstore z[%i], %l\n" END);
    cr_assert_eq(remarks(QN__REMARK_KEPT), 4);
    cr_assert_eq(remarks(QN__REMARK_PROVED), 0);
    bool told = false;
    for (uint32_t i = 0; i < module->remark_count; i++) told |= strstr(module->remarks[i].text, "array 'q'") != NULL;
    cr_assert(told);
}

Test(passes, ranges_find_certain_failures) {
    after("ranges", HEAD BODY POINT "%im: i64 = sub %i, %one\ncheck_index %im, %n @3:1\n%l: f32 = load x[%im]\nstore z[%i], %l\n" END);
    cr_assert_eq(remarks(QN__REMARK_FAILS), 1);
    cr_assert_eq(module->remarks[0].index, -1);
    after("ranges", HEAD BODY POINT "%ip: i64 = add %i, %two\ncheck_index %ip, %n @3:1\n%l: f32 = load x[%ip]\nstore z[%i], %l\n" END);
    cr_assert_eq(remarks(QN__REMARK_FAILS), 1);
    after("ranges", HEAD BODY POINT /* under a condition it is no certain failure */
        "%c1: bool = lt %v, %o\nif %c1 {\n%im: i64 = sub %i, %one\ncheck_index %im, %n\n%l: f32 = load x[%im]\nstore z[%i], %l\nyield\n} {\nyield\n}\n" END);
    cr_assert_eq(remarks(QN__REMARK_FAILS), 0);
    cr_assert_eq(remarks(QN__REMARK_KEPT), 1);
}

Test(passes, ranges_know_what_argmin_finds) {
    const char *text = HEAD BODY
        "%no: bool = const false\n%ok: bool, %best: f32, %at: i64 = reduce %o, %n, %no, %f0, %o {%i: i64, %a1: bool, %a2: f32, %a3: i64 ->\n%yes: bool = const true\n"
        "%e: f32 = load x[%i]\n%less: bool = lt %e, %a2\n%fresh: bool = not %a1\n%take: bool = or %less, %fresh\n%b: f32 = select %take, %e, %a2\n%c: i64 = select %take, %i, %a3\n"
        "yield %yes, %b, %c\n} {%p1: bool, %p2: f32, %p3: i64, %q1: bool, %q2: f32, %q3: i64 ->\n%cl: bool = lt %q2, %p2\n%cok: bool = and %cl, %q1\n%r1: bool = or %p1, %q1\n"
        "%r2: f32 = select %cok, %q2, %p2\n%r3: i64 = select %cok, %q3, %p3\nyield %r1, %r2, %r3\n}\n%s"
        "check_index %at, %n\n%v: f32 = load x[%at]\nstore z[%at], %v\nyield\n}\n";
    char with[4096], without[4096];
    const char *hole = strstr(text, "%s");
    hole = strstr(text, "}\n%s") + 2; /* %s is also the name of a value */
    snprintf(with, sizeof with, "%.*s%s%s", (int)(hole - text), text, "check.EMPTY %ok\n", hole + 2);
    snprintf(without, sizeof without, "%.*s%s", (int)(hole - text), text, hole + 2);
    const char *out = after("ranges", with);
    cr_assert_eq(remarks(QN__REMARK_PROVED), 1, "%s", out);
    HAS(out, " = lt %4, %1"); /* the flag is lo < hi */
    after("ranges", without);
    cr_assert_eq(remarks(QN__REMARK_PROVED), 0);
}

Test(passes, ranges_move_loads_out_of_loops) {
    const char *loop = "%r: f32 = for %o, %m, %f0 {%p: i64, %acc: f32 ->\n%z0: i64 = const 0\n%ii: i64 = add %i, %z0\n%l: f32 = load x[%ii]\n%l2: f32 = load x[%z0]\n"
                       "%g: f32 = add %acc, %l\n%g2: f32 = add %g, %l2\nyield %g2\n}\nstore z[%i], %r\n";
    char text[4096];
    snprintf(text, sizeof text, "%s%s%s", HEAD BODY POINT, loop, END);
    const char *out = after(NULL, text), *at = strstr(out, " = for ");
    cr_assert(at && strstr(at, "load x") == NULL, "%s", out); /* x[i], and x[0] because i shows that there is an element */
    const char *other = "%r: f32 = for %o, %m, %f0 {%p: i64, %acc: f32 ->\n%l: f32 = load a[%i, %one]\n%g: f32 = add %acc, %l\nyield %g\n}\nstore z[%i], %r\n";
    snprintf(text, sizeof text, "%s%s%s", HEAD BODY POINT, other, END);
    out = after(NULL, text), at = strstr(out, " = for ");
    cr_assert(at && strstr(at, "load a"), "%s", out); /* a may have no second column when the loop does not run */
    const char *written = "for %o, %m {%p: i64 ->\n%l: f32 = load z[%i]\n%g: f32 = add %l, %e\nstore z[%i], %g\nyield\n}\n";
    snprintf(text, sizeof text, "%s%s%s", HEAD BODY POINT, written, END);
    out = after(NULL, text), at = strstr(out, " for ");
    cr_assert(at && strstr(at, "load z"), "%s", out);
}

Test(passes, fuse_joins_stages_and_drops_the_temporary) {
    const char *out = after("sweep", HEAD BODY "alloc t[%n]\n" POINT "%h: f32 = mul %e, %e\nstore t[%i], %h\nyield\n}\n"
        "parallel 1 %o, %n {%i2: i64 ->\n%g: f32 = load t[%i2]\n%g2: f32 = sqrt %g\nstore z[%i2], %g2\n" END);
    cr_assert_eq(count(out, "parallel"), 1);
    LACKS(out, "store t");
    LACKS(out, "alloc");
    cr_assert_eq(remarks(QN__REMARK_FUSED), 1);
}

Test(passes, fuse_leaves_stages_that_depend_on_other_points) {
    const char *second[] = {
        "%g: f32 = load y[%o]\nstore z[%i2], %g\n",                                  /* another element */
        "%g: f32 = load x[%i2]\nstore z[%i2], %g\nstore y[%o], %g\n",              /* one element for all */
        "%v2: i64 = load q[%i2]\n%v3: i64 = and %v2, %o\n%g: f32 = load x[%i2]\naccumulate.add z[%v2], %g\n"};
    for (size_t i = 0; i < sizeof second / sizeof *second; i++) {
        char text[4096];
        snprintf(text, sizeof text, "%s%s%s", HEAD BODY POINT "store y[%i], %e\nyield\n}\nparallel 1 %o, %n {%i2: i64 ->\n",
                 second[i], END);
        cr_assert_eq(count(after("fuse", text), "parallel"), 2, "%s", output);
    }
}

Test(passes, contraction_is_recognised) {
    const char *product = HEAD BODY
        "parallel 2 %o, %n, %o, %n {%i: i64, %j: i64 ->\n%r: f32 = for %o, %m, %f0 {%p: i64, %acc: f32 ->\n%x1: f32 = load a[%i, %p]\n%x2: f32 = load c[%p, %j]\n"
        "%xx: f32 = mul %x1, %x2\n%g: f32 = add %acc, %xx !fuse_right\nyield %g\n}\nstore d[%i, %j], %r\n" END;
    HAS(after(NULL, product), "!contraction");
    cr_assert_eq(remarks(QN__REMARK_CONTRACTION), 1);
    LACKS(after(NULL, HEAD BODY POINT "store z[%i], %e\n" END), "!contraction");
}

Test(passes, host_calls_stay_once_and_in_order) {
    const char *out = after(NULL, HEAD BODY POINT
        "%d1: f64 = convert %e\n%h1: f64 = extern_call #0 host(%d1)\n%h2: f64 = extern_call #0 host(%d1)\n%h3: f64 = add %h1, %h2\n%h4: f32 = convert %h3\nstore z[%i], %h4\n" END);
    cr_assert_eq(count(out, "extern_call"), 2);
}

/* --- uniformity --------------------------------------------------------------------------------------------------- */

static qn__value result_of(const qn__ir *ir, qn__op op, uint32_t number) {
    for (uint32_t i = 1; i < ir->instr_count; i++)
        if (ir->instrs[i].op == op && ir->instrs[i].region && !number--) return ir->instrs[i].first_result;
    return 0;
}

Test(passes, uniformity_knows_strides) {
    after("lower", HEAD BODY
        "parallel 2 %o, %n, %o, %m {%i: i64, %j: i64 ->\n%k2: i64 = mul %j, %two\n%k3: i64 = sub %i, %k2\n%un: f32 = load x[%i]\n%va: f32 = load a[%i, %k2]\n"
        "%u2: f32 = sqrt %un\n%k4: i64 = rem %k2, %two\n%lp: f32 = for %o, %j, %f0 {%p: i64, %acc: f32 ->\n%a2: f32 = floor %acc\nyield %a2\n}\n"
        "%lq: f32 = for %o, %m, %f0 {%p2: i64, %acc2: f32 ->\n%a3: f32 = ceil %acc2\nyield %a3\n}\nstore d[%i, %k3], %un\n" END);
    qn__instr_ref stage = 0;
    for (uint32_t i = 1; i < module->instr_count; i++)
        if (module->instrs[i].op == QN__OP_PARALLEL) stage = i;
    qn__shape *shapes = calloc(module->value_count, sizeof *shapes);
    qn__value iv = qn__region_param(module, module->instrs[stage].regions[0], 1);
    cr_assert(qn__uniformity(module, stage, iv, shapes));
    cr_assert(shapes[iv].variance == QN__LINEAR && shapes[iv].stride == 1);
    qn__value twice = result_of(module, QN__OP_MUL, 1), minus = result_of(module, QN__OP_SUB, 0);
    cr_assert(shapes[twice].variance == QN__LINEAR && shapes[twice].stride == 2);
    cr_assert(shapes[minus].variance == QN__LINEAR && shapes[minus].stride == -2);
    cr_assert_eq(shapes[result_of(module, QN__OP_SQRT, 0)].variance, QN__UNIFORM);
    cr_assert_eq(shapes[result_of(module, QN__OP_LOAD, 1)].variance, QN__VARYING);
    cr_assert_eq(shapes[result_of(module, QN__OP_REM, 0)].variance, QN__VARYING);
    cr_assert_eq(shapes[result_of(module, QN__OP_FOR, 0)].variance, QN__VARYING);
    cr_assert_eq(shapes[result_of(module, QN__OP_FOR, 1)].variance, QN__UNIFORM);
    free(shapes);
}

/* --- random kernels ----------------------------------------------------------------------------------------------- */

enum { BUFFER = RANDOM_EDGE * RANDOM_EDGE * RANDOM_EDGE * 8 };

static const volatile int32_t never = 0;

static void fill(qn__view *views, char (*data)[BUFFER], uint64_t seed) {
    for (uint32_t a = 0; a < RANDOM_ARRAYS; a++) {
        qn__type type = (qn__type)random_array_type[a];
        int64_t stride = 1;
        views[a] = (qn__view){.data = data[a]};
        for (uint32_t d = random_array_rank[a]; d-- > 0; stride *= RANDOM_EDGE) {
            views[a].extent[d] = RANDOM_EDGE;
            views[a].stride[d] = stride;
        }
        for (int64_t i = 0; i < stride; i++) {
            uint64_t bits = random_next(&seed);
            if (qn__is_float(type)) bits = qn__eval_from_f64(type, (double)(int64_t)bits * 0x1p-60);
            if (a >= 3) bits = 0;
            memcpy(data[a] + i * qn__type_bytes(type), &bits, qn__type_bytes(type));
        }
    }
}

static uint64_t canonical(qn__type type, uint64_t bits) {
    bits = qn__eval_cut(type, bits);
    return qn__is_float(type) && isnan(qn__eval_to_f64(type, bits)) ? UINT64_MAX : bits;
}

static void compare(uint64_t seed, const char *pass, char (*expected)[BUFFER], char (*found)[BUFFER]) {
    for (uint32_t a = 3; a < RANDOM_ARRAYS; a++) {
        qn__type type = (qn__type)random_array_type[a];
        uint32_t bytes = qn__type_bytes(type), elements = a == 5 ? RANDOM_EDGE : RANDOM_EDGE * RANDOM_EDGE;
        for (uint32_t i = 0; i < elements; i++) {
            uint64_t x = 0, y = 0;
            memcpy(&x, expected[a] + i * bytes, bytes);
            memcpy(&y, found[a] + i * bytes, bytes);
            cr_assert_eq(canonical(type, x), canonical(type, y), "seed %lu after %s: array %u element %u is %#lx, expected %#lx",
                         seed, pass, a, i, y, x);
        }
    }
}

/* The kernel before any pass and after some prefix of the pipeline must do the same. */
static void check_random(uint64_t seed, bool faults) {
    static char expected[RANDOM_ARRAYS][BUFFER], found[RANDOM_ARRAYS][BUFFER];
    static const qn__services services;
    qn__view expected_views[RANDOM_ARRAYS], found_views[RANDOM_ARRAYS];
    uint64_t scalars[2] = {seed % 17 - 5, qn__eval_from_f64(QN__TYPE_F64, 1.25)};
    size_t passes = 0;
    while (qn__pass_names()[passes]) passes++;
    const char *pass = seed % 3 ? qn__pass_names()[1 + seed / 3 % (passes - 1)] : NULL, *message = NULL;
    qn__arena *own = qn__arena_create(0);
    qn__ir *before = random_ir(own, seed, faults), *ir = random_ir(own, seed, faults);
    cr_assert(qn__passes_run(ir, pass, &message), "seed %lu: %s", seed, message);
    qn__text report = QN__TEXT_EMPTY;
    cr_assert(qn__verify(ir, &report), "seed %lu after %s: %s", seed, pass ? pass : "all", qn__text_bytes(&report));
    qn__text_free(&report);
    fill(expected_views, expected, seed);
    fill(found_views, found, seed);
    qn__frame one = {.scalars = scalars, .views = expected_views, .services = &services, .stop = &never};
    qn__frame two = {.scalars = scalars, .views = found_views, .services = &services, .stop = &never};
    int32_t kind = walk_kernel(before, &one), other = walk_kernel(ir, &two);
    cr_assert_eq(kind, other, "seed %lu after %s: fault %d, expected %d", seed, pass ? pass : "all", other, kind);
    if (kind)
        cr_assert(one.fault.location == two.fault.location && one.fault.index == two.fault.index &&
                      one.fault.extent == two.fault.extent,
                  "seed %lu after %s: fault at %u index %ld, expected %u %ld", seed, pass ? pass : "all", two.fault.location,
                  two.fault.index, one.fault.location, one.fault.index);
    else compare(seed, pass ? pass : "all", expected, found);
    qn__arena_destroy(own);
}

static uint64_t random_count(void) {
    const char *text = getenv("QN_RANDOM_KERNELS");
    return text ? strtoull(text, NULL, 10) : 600;
}

Test(passes, random_kernels_keep_their_results) {
    for (uint64_t seed = 1; seed <= random_count(); seed++) check_random(seed, false);
}

Test(passes, random_kernels_keep_their_faults) {
    for (uint64_t seed = 1; seed <= random_count(); seed++) check_random(seed + (1 << 20), true);
}

/* --- random chains of stages -------------------------------------------------------------------------------------- */

enum { CHAIN_ARRAYS = 6, CHAIN_EDGE = 12 };

static uint64_t below(uint64_t *state, uint64_t limit) { return (random_next(state) >> 20) % limit; }

/* Arrays 0 and 1 are inputs, 2 and 3 outputs, 4 and 5 temporaries; all f64 of extent n. */
static void chain_stage(qn__text *text, uint64_t *state, int id, bool faults) {
    static const char *const names[CHAIN_ARRAYS] = {"x", "y", "z", "u", "t", "r"};
    const char *low = below(state, 4) ? "%o" : "%one", *high = below(state, 4) ? "%n" : "%n1";
    qn__text_format(text, "parallel 1 %s, %s @%d:1 {%%i%d: i64 ->\n", low, high, id + 1, id);
    qn__text_format(text, "%%a%d_0: f64 = convert %%i%d\n", id, id);
    int count = 1, loads = (int)below(state, 4);
    for (int k = 0; k < loads; k++) {
        const char *array = names[below(state, CHAIN_ARRAYS)];
        uint64_t kind = below(state, 6);
        char index[32];
        snprintf(index, sizeof index, "%%i%d", id);
        if (kind < 2) {
            qn__text_format(text, "%%m%d_%d: i64 = add %%i%d, %s\n", id, k, id, kind ? "%one" : "%minus");
            qn__text_format(text, "%%h%d_%d: i64 = min %%m%d_%d, %%n1\n%%g%d_%d: i64 = max %%h%d_%d, %%o\n", id, k, id, k, id, k, id, k);
            snprintf(index, sizeof index, "%%g%d_%d", id, k);
        } else if (kind == 2 && faults) {
            snprintf(index, sizeof index, "%%s");
        }
        qn__text_format(text, "check_index %s, %%n @%d:%d\n%%l%d_%d: f64 = load %s[%s]\n", index, id + 1, k + 2, id, k, array, index);
        qn__text_format(text, "%%a%d_%d: f64 = %s %%a%d_%d, %%l%d_%d\n", id, count, below(state, 2) ? "add" : "sub", id, count - 1, id, k);
        count++;
    }
    for (uint64_t k = 1 + below(state, 2); k; k--) {
        const char *array = names[2 + below(state, CHAIN_ARRAYS - 2)];
        const char *op = below(state, 5) ? "store" : "accumulate.add";
        bool guarded = below(state, 4) == 0;
        if (guarded) qn__text_format(text, "%%c%d_%d: bool = lt %%a%d_0, %%f\nif %%c%d_%d {\n", id, (int)k, id, id, (int)k);
        qn__text_format(text, "check_index %%i%d, %%n @%d:9\n%s %s[%%i%d], %%a%d_%d\n", id, id + 1, op, array, id, id, count - 1);
        if (guarded) qn__text_add_string(text, "yield\n} {\nyield\n}\n");
    }
    qn__text_add_string(text, "yield\n}\n");
}

static void make_chain(qn__text *text, uint64_t seed, bool faults) {
    uint64_t state = seed * 77 + 5;
    qn__text_add_string(text, "kernel chain\narray x in f64 [%n]\narray y in f64 [%n]\narray z out f64 [%n]\narray u out f64 [%n]\n"
                              "array t temp f64 [%n]\narray r temp f64 [%n]\nbody {\n%n: i64 = size 0\n%o: i64 = const 0\n%one: i64 = const 1\n"
                              "%minus: i64 = const -1\n%three: i64 = const 3\n%n1: i64 = add %n, %minus\n%s: i64 = param 0\n%f: f64 = param 1\nalloc t[%n]\nalloc r[%n]\n");
    int stages = 2 + (int)below(&state, 6), open = 0;
    for (int id = 0; id < stages; id++) {
        if (!open && below(&state, 4) == 0) {
            qn__text_format(text, "for %%o, %%three {%%time%d: i64 ->\n", id);
            open = 1;
        }
        chain_stage(text, &state, id, faults);
        if (open && below(&state, 3) == 0) {
            qn__text_add_string(text, below(&state, 2) ? "swap t, r\nyield\n}\n" : "yield\n}\n");
            open = 0;
        }
    }
    qn__text_add_string(text, open ? "yield\n}\nyield\n}\n" : "yield\n}\n");
}

static double chain_buffers[2][CHAIN_ARRAYS][CHAIN_EDGE];

static int32_t chain_allocate(qn__frame *frame, uint32_t array, const int64_t *extents) {
    frame->views[array].extent[0] = extents[0];
    return 0; /* the buffers are there, and zero */
}

static int32_t run_chain(const qn__ir *ir, int which, int64_t n, uint64_t s, qn__fault *fault) {
    static const qn__services services = {.allocate = chain_allocate};
    qn__view views[CHAIN_ARRAYS];
    uint64_t scalars[2] = {s, qn__eval_from_f64(QN__TYPE_F64, 4)};
    for (int a = 0; a < CHAIN_ARRAYS; a++) {
        views[a] = (qn__view){.data = chain_buffers[which][a], .extent = {n}, .stride = {1}};
        for (int i = 0; i < CHAIN_EDGE; i++) chain_buffers[which][a][i] = a < 2 ? a * 0.5 + i * 1.25 : 0;
    }
    qn__frame frame = {.scalars = scalars, .sizes = &n, .views = views, .services = &services, .stop = &never};
    int32_t kind = walk_kernel(ir, &frame);
    *fault = frame.fault;
    return kind;
}

/* How many stages were joined. */
static int check_chain(uint64_t seed, bool faults) {
    qn__text text = QN__TEXT_EMPTY;
    make_chain(&text, seed, faults);
    qn__arena *own = qn__arena_create(0);
    const char *message = NULL;
    qn__ir *before = read_text(qn__text_bytes(&text)), *ir = qn__ir_read(own, qn__text_bytes(&text), text.length, &message);
    cr_assert(qn__passes_run(ir, NULL, &message), "seed %lu: %s", seed, message);
    for (int64_t n = 0; n <= CHAIN_EDGE; n += n < 4 ? 1 : 4) {
        qn__fault expected, found;
        uint64_t s = (uint64_t)(int64_t)(seed % 5) - 1;
        int32_t kind = run_chain(before, 0, n, s, &expected), other = run_chain(ir, 1, n, s, &found);
        cr_assert(kind == other && (!kind || (expected.location == found.location && expected.index == found.index)),
                  "seed %lu, n %ld: fault %d, expected %d\n%s", seed, n, other, kind, qn__text_bytes(&text));
        if (!kind)
            cr_assert(!memcmp(chain_buffers[0][2], chain_buffers[1][2], sizeof chain_buffers[0][2] * 2), "seed %lu, n %ld\n%s", seed, n,
                      qn__text_bytes(&text));
    }
    module = ir;
    int joined = remarks(QN__REMARK_FUSED);
    qn__text_free(&text);
    qn__arena_destroy(own);
    return joined;
}

Test(passes, random_chains_keep_their_results) {
    int joined = 0;
    arena = qn__arena_create(0);
    for (uint64_t seed = 1; seed <= random_count(); seed++) joined += check_chain(seed, seed % 2);
    cr_assert_gt(joined, (int)random_count() / 8);
}

/* --- damage ------------------------------------------------------------------------------------------------------- */

/* One random edit: a byte changed, a stretch removed, doubled or moved. */
static size_t damage(char *text, size_t length, size_t room, uint64_t *state) {
    static const char bytes[] = "%{}[]()0123456789 ,:=-\n.xiyf!@#_/+\"";
    size_t at = random_next(state) % (length + 1), run = random_next(state) % 40;
    if (run > length - at) run = length - at;
    switch (random_next(state) % 4) {
    case 0:
        if (at < length) text[at] = bytes[random_next(state) % (sizeof bytes - 1)];
        return length;
    case 1: memmove(text + at, text + at + run, length - at - run); return length - run;
    case 2:
        if (length + run > room) return length;
        memmove(text + at + run, text + at, length - at);
        return length + run;
    default: {
        size_t from = random_next(state) % (length + 1);
        if (run > length - from) run = length - from;
        memmove(text + at, text + from, run < length - at ? run : length - at);
        return length;
    }
    }
}

static void survive(const char *text, size_t length) {
    qn__arena *own = qn__arena_create(16 << 20);
    const char *message = NULL;
    qn__ir *ir = qn__ir_read(own, text, length, &message);
    if (!ir) {
        cr_assert(message);
    } else {
        qn__text report = QN__TEXT_EMPTY, out = QN__TEXT_EMPTY;
        bool good = qn__verify(ir, &report);
        qn__ir_print(ir, &out);
        if (good && qn__passes_run(ir, NULL, &message)) {
            qn__text_clear(&report);
            cr_assert(qn__verify(ir, &report), "%s\n%.*s", qn__text_bytes(&report), (int)length, text);
        }
        qn__text_free(&report);
        qn__text_free(&out);
    }
    qn__arena_destroy(own);
}

Test(passes, damaged_texts_are_refused_or_survived) {
    static char text[1 << 17];
    uint64_t state = 7;
    for (uint64_t seed = 1; seed <= random_count() / 20 + 10; seed++) {
        qn__arena *own = qn__arena_create(0);
        qn__ir *ir = random_ir(own, seed, true);
        qn__text out = QN__TEXT_EMPTY;
        qn__ir_print(ir, &out);
        for (int round = 0; round < 100 && out.length < sizeof text / 2; round++) {
            memcpy(text, qn__text_bytes(&out), out.length);
            size_t length = out.length;
            for (uint64_t edits = 1 + random_next(&state) % 3; edits; edits--) length = damage(text, length, sizeof text, &state);
            survive(text, length);
        }
        qn__text_free(&out);
        qn__arena_destroy(own);
    }
}

/* Running out of memory anywhere is a plain failure. */
Test(passes, no_memory_is_a_failure_and_no_crash) {
    qn__arena *own = qn__arena_create(0);
    qn__ir *whole = random_ir(own, 5, true);
    qn__text out = QN__TEXT_EMPTY;
    qn__ir_print(whole, &out);
    for (size_t limit = 256; limit < 400000; limit += limit / 16) {
        qn__arena *small = qn__arena_create(limit);
        const char *message = NULL;
        qn__ir *ir = qn__ir_read(small, qn__text_bytes(&out), out.length, &message);
        if (ir) qn__passes_run(ir, NULL, &message);
        else cr_assert(message);
        qn__arena_destroy(small);
    }
    qn__text_free(&out);
    qn__arena_destroy(own);
}
