// Lowering: which operations a construct becomes. What they compute is tested by tests/language on both engines.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/compile.h"
#include "ir/passes.h"

// The IR right after lowering, as text; verified.
static char *lowered(const char *text) {
    qn__compile_options options = {.stop_after = "lower"};
    qn__program *program = qn__program_open("main.qn", text, strlen(text), NULL, &options);
    cr_assert(program && !program->sink.errors);
    const qn__kernel_info *kernel = qn__program_kernel(program, NULL);
    cr_assert(kernel);
    qn__compiled *compiled = qn__compile(program, kernel, (qn__type[]){QN__TYPE_F32}, kernel->generic_count, &options);
    cr_assert(compiled && compiled->ir, "%s",
              compiled && compiled->sink.count ? compiled->sink.items[0]->message : "memory");
    qn__text out = QN__TEXT_EMPTY;
    cr_assert(qn__verify(compiled->ir, &out), "%s", qn__text_bytes(&out));
    qn__text_clear(&out);
    qn__ir_print(compiled->ir, &out);
    char *result = strdup(qn__text_bytes(&out));
    qn__text_free(&out);
    qn__compiled_release(compiled);
    qn__program_close(program);
    return result;
}

static int count(const char *text, const char *what) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what)) n++;
    return n;
}

static void expect(const char *source, const char *what, int times) {
    char *ir = lowered(source);
    cr_expect(count(ir, what) == times, "'%s' occurs %d times, not %d, in\n%s", what, count(ir, what), times, ir);
    free(ir);
}

Test(lower, order_of_reductions) {
    static const char *const sequential[] = {
        "kernel f(a: f32[m, k], b: f32[k, n]) -> c: f32[m, n] { c[i, j] = sum(p: a[i, p] * b[p, j]) }",
        "kernel f(a: f32[m, n]) -> c: f32[n] { c[j] = sum(i: a[i, j]) }",
        "kernel f(a: f32[m, n]) -> c: f32[n] { c[j] = sum(i: { let q = j; a[i, q] }) }",
        "kernel f(n: size) -> c: f32[n] { c[j] = sum(i in 0..j: 1.0) }",
        "fn g(n: i64) -> i64 = sum(i in 0..n: i)\nkernel f(n: size) -> c: i64 { c = g(n) }",
    };
    static const char *const lanes[] = {
        "kernel f(x: f32[n]) -> s: f32 { s = sum(i: x[i]) }",
        "kernel f(a: f32[m, n]) -> c: f32[m] { c[i] = sum(j: a[i, j]) }",
        "kernel f(a: f32[m, n], at: i64[n]) -> c: f32[m] { c[i] = sum(j: a[i, at[j]]) }",
        "kernel f(r: i32[m+1], v: f32[n], c: i32[n], x: f32[k]) -> y: f32[m] { y[i] = sum(p in r[i]..r[i+1]: v[p] * "
        "x[c[p]]) }",
    };
    for (size_t i = 0; i < sizeof sequential / sizeof *sequential; i++) expect(sequential[i], " = reduce ", 0);
    for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++) expect(lanes[i], " = reduce ", 1);
    expect("kernel f(a: f32[m, n]) -> s: f32 { s = sum(i, j: a[i, j]) }", " = reduce ", 2);
}

Test(lower, products_are_marked_for_fma) {
    expect("kernel f(a: f32, b: f32, c: f32) -> x: f32 { x = (a * b) + c }", "!fuse_left", 1);
    expect("kernel f(a: f32, b: f32, c: f32) -> x: f32 { x = c - a * b }", "!fuse_right", 1);
    expect("kernel f(a: f32, b: f32) -> x: f32 { x = a * a + b * b }", "!fuse_left", 1);
    expect("kernel f(a: f32, b: f32, c: f32) -> x: f32 { let p = a * b\n x = p + c }", "!fuse", 0);
    expect("kernel f(a: f16, b: f16, c: f16) -> x: f16 { x = a * b + c }", "!fuse", 0);
    expect("kernel f(a: i32, b: i32, c: i32) -> x: i32 { x = a * b + c }", "!fuse", 0);
    expect("kernel f(a: f32[n]) -> s: f32 { s = sum(i: a[i] * a[i]) }", "!fuse_right", 1);
    expect("kernel f(inout u: f32[n], a: f32[n]) { u[i] += a[i] * 2.0 }", "!fuse_right", 1);
}

Test(lower, conditions) {
    expect("kernel f(x: f32[n]) -> y: f32[n] { y[i] = if x[i] > 0.0 { x[i] } else { 0.0 } }", " = if ",
           1); // a load is not moved
    expect("kernel f(x: f32[n]) -> y: f32[n] { let z[i] = { let a = x[i]\n if a > 0.0 { a + 1.0 } else { 0.0 } }\n "
           "y[i] = z[i] }",
           " = select ", 1);
    expect("kernel f(x: i64[n]) -> y: bool[n] { y[i] = i > 0 and i < n - 1 and x[i] > 0 }", " = if ", 1);
    expect("kernel f(x: i64[n]) -> y: bool[n] { y[i] = { let a = x[i]\n a > 0 and a < 9 or a == 20 } }", " = if ", 0);
}

Test(lower, checks) {
    expect("kernel f(x: f32[n], y: f32[n]) -> z: f32[n] { z[i] = x[i] + y[i] }", "check", 0);
    expect("kernel f(x: f32[n]) -> z: f32[n] { z[i] = x[n - 1 - i] }", "check_index", 1);
    expect("kernel f(x: i32[n]) -> z: i32[n] { z[i] = x[i] / 3 }", "check_nonzero", 0);
    expect("kernel f(x: i32[n], d: i32) -> z: i32[n] { z[i] = x[i] % d }", "check_nonzero", 1);
    expect("kernel f(x: i32[n], a: i64) -> z: i32[n] { z[i] = 1 for i in a..n else x[i] }", "check.DOMAIN", 1);
    expect("kernel f(x: f32[n]) -> k: i64 { k = argmax(i: x[i]) }", "check.EMPTY", 1);
}

Test(lower, copies_only_where_a_read_could_see_a_write) {
    expect("kernel f(inout u: f32[n]) { u[i] = u[i] * 2.0 + 1.0 }", "alloc", 0);
    expect("kernel f(inout u: f32[n]) { u[i] = u[n - 1 - i] }", "alloc", 1);
    expect("kernel f(inout u: f32[n], inout v: f32[n]) { u[i], v[i] = v[i], u[i] }", "alloc", 0);
    expect("kernel f(inout h: i32[n], at: i32[n]) { h[at[i]] += h[i] }", "alloc", 1);
}

Test(lower, edges_split_off_a_border) {
    expect("kernel f(u: f32[n] edge wrap) -> v: f32[n] { v[i] = u[i - 1] + u[i + 1] }", " = rem ", 2);
    expect("kernel f(u: f32[n] edge clamp, at: i64[n]) -> v: f32[n] { v[i] = u[at[i]] }", " = max ", 1);
    expect("kernel f(u: f32[n] edge clamp) -> v: f32[n] { v[i] = u[i] }", " = max ", 0);
}

// However little memory there is: no crash, no claim that the compiler is wrong.
Test(lower, any_memory_limit) {
    static const char source[] =
        "fn g(x: f64) -> f64 { var s = 0.0\n for k in 0..9 { if s > x { break }\n s += f64(k) }\n s }\n"
        "kernel f(inout u: f64[n] edge clamp, at: i64[n]) -> y: f64[?m], h: i32[4] {\n"
        "u[i] = u[i - 1] + g(u[i + 1])\nh[at[i] & 3] += 1\n"
        "y = keep(i: u[i] where u[i] > sum(j: u[j]) and u[at[i]] < 3.0) }\n";
    bool done = false;
    for (size_t limit = 1000; !done; limit += limit / 64) {
        qn__program *program = qn__program_open("main.qn", source, strlen(source), NULL, NULL);
        const qn__kernel_info *kernel = qn__program_kernel(program, NULL);
        const qn__compile_options options = {.memory_limit = limit};
        qn__compiled *compiled = qn__compile(program, kernel, NULL, 0, &options);
        done = compiled && compiled->ir;
        for (size_t i = 0; compiled && i < compiled->sink.count; i++)
            cr_expect(compiled->sink.items[i]->id != QN__DIAG_INTERNAL, "%zu bytes: %s", limit,
                      compiled->sink.items[i]->message);
        qn__compiled_release(compiled);
        qn__program_close(program);
        cr_assert(limit < 100000000);
    }
}
