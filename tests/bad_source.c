// Makes malformed sources: text that is wrong on purpose, sizes beyond every limit, truncations and byte flips.
// Everything is deterministic, so a failure names a source that can be made again with `bad_input --keep`.
#include "tests/bad_source.h"
#include "tests/support/spawn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bad_source *append(bad_sources *all, const char *name, int codes) {
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 512;
        all->items = realloc(all->items, all->capacity * sizeof *all->items);
        if (!all->items) abort();
    }
    bad_source *s = &all->items[all->count++];
    *s = (bad_source){.name = strdup(name), .codes = codes};
    return s;
}

static void add_bytes(bad_sources *all, const char *name, int codes, const char *bytes, size_t length) {
    bad_source *s = append(all, name, codes);
    s->bytes = malloc(length + 1);
    if (!s->bytes) abort();
    memcpy(s->bytes, bytes, length);
    s->length = length;
}

// head, then unit repeated count times, then middle, then close repeated count times, then tail.
static void add_nested(bad_sources *all, const char *name, int codes, const char *head, const char *unit, size_t count,
                       const char *middle, const char *close, const char *tail) {
    size_t n = strlen(unit), m = strlen(close);
    size_t length = strlen(head) + n * count + strlen(middle) + m * count + strlen(tail);
    bad_source *s = append(all, name, codes);
    char *at = s->bytes = malloc(length + 1);
    if (!at) abort();
    s->length = length;
    at = stpcpy(at, head);
    for (size_t i = 0; i < count; i++) at = stpcpy(at, unit);
    at = stpcpy(at, middle);
    for (size_t i = 0; i < count; i++) at = stpcpy(at, close);
    stpcpy(at, tail);
}

// Short programs with one error each: lexical, grammar, names, types, shapes, rules.
static const char *const wrong[] = {
    "kernel",
    "kernel k",
    "kernel k(",
    "kernel k()",
    "kernel k() {",
    "kernel k() -> {}",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] + }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i]) }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { = x[i] }",
    "kernel k(x f32[n]) -> y: f32[n] { y[i] = x[i] }",
    "kernel k(x: f32[n]) y: f32[n] { y[i] = x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] } }",
    "kernel k(x: f33[n]) -> y: f32[n] { y[i] = x[i] }",
    "kernel k(x: f32[n]) -> y: f64[n] { y[i] = x[i] }",
    "kernel k(x: f32[n], z: f64[n]) -> y: f32[n] { y[i] = x[i] + z[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = w[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i, i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i+1] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i-1] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[1.5] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[true] }",
    "kernel k(x: f32[n]) -> y: f32[m] { y[i] = x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] for i in 1..n }",
    "kernel k(x: f32[n]) -> y: f32[n] { }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[0] = x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = y[i] }",
    "kernel k(x: f32[n]) -> x: f32[n] { x[i] = x[i] }",
    "kernel k(x: f32[n], x: f32[n]) -> y: f32[n] { y[i] = x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { x[i] = 1.0; y[i] = x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = 1e99 * x[i] }",
    "kernel k(x: i8[n]) -> y: i8[n] { y[i] = x[i] + 300 }",
    "kernel k(x: i32[n]) -> y: i32[n] { y[i] = x[i] + 1.5 }",
    "kernel k(x: u8[n]) -> y: u8[n] { y[i] = x[i] + -1 }",
    "kernel k(x: i32[n]) -> y: i32[n] { y[i] = x[i] and 1 }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] & x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = if x[i] { 1.0 } else { 0.0 } }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = if x[i] > 0.0 { 1.0 } }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] < 1.0 < 2.0 }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = sum(j: 1.0) }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = sum(i: x[i]) }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = sum(j x[j]) }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = argmin(j: x[j]) }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = { var a = 0.0; while true { break } } }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = { let a = x[i]; a = 2.0; a } }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = { let a = x[i]; let a = 2.0; a } }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = { break; x[i] } }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i], z[i] = x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = f(x[i]) }",
    "fn f(x: f32) -> f32 = x\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = f(x[i], x[i]) }",
    "fn f(x: f32) -> f32 = x\nkernel k(x: f64[n]) -> y: f64[n] { y[i] = f(x[i]) }",
    "fn f(x: f32) -> f32 = f(x)\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = f(x[i]) }",
    "fn f(x: f32) -> f32 = g(x)\nfn g(x: f32) -> f32 = f(x)\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = f(x[i]) }",
    "fn f(x: f32) -> f32 = x\nfn f(x: f32) -> f32 = x\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = f(x[i]) }",
    "fn f(x: f32[n]) -> f32 = x[0]\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }",
    "fn f(x: f32) -> i32 = x\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }",
    "const A = B\nconst B = A\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] + A }",
    "const A: i32 = 1 / 0\nkernel k(x: i32[n]) -> y: i32[n] { y[i] = x[i] + A }",
    "const A: i8 = 1000\nkernel k(x: i8[n]) -> y: i8[n] { y[i] = x[i] + A }",
    "import \"nowhere.qn\"\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }",
    "import \"/dev/zero\"\n",
    "import \"/\"\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }",
    "import \"unterminated\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }",
    "import 5\n",
    "extern fn g(x: f32[n]) -> f32\n",
    "kernel k[T: floaty](x: T[n]) -> y: T[n] { y[i] = x[i] }",
    "kernel k[T: float](x: T[n]) -> y: T[n] { y[i] = x[i] % true }",
    "kernel k[T: number](x: T[n]) -> y: T[n] { y[i] = x[i] & x[i] }",
    "@nonsense kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }",
    "kernel k(x: f32[n] edge sideways) -> y: f32[n] { y[i] = x[i-1] }",
    "kernel k(x: f32[n] edge) -> y: f32[n] { y[i] = x[i-1] }",
    "kernel k(x: f32[a,b,c,d,e,f,g,h,l]) -> y: f32[a] { y[i] = 0.0 }",
    "kernel k(x: f32[n*n]) -> y: f32[n] { y[i] = x[i] }",
    "kernel k(x: f32[-3]) -> y: f32[3] { y[i] = 0.0 }",
    "kernel k(x: f32[n]) -> y: f32[?m] { y[i] = x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = keep(j: x[j]) }",
    "kernel k(x: f32[n]) -> y: f32[?m] { y = keep(j: x[j] where x[j]) }",
    "kernel k(x: f32[n]) -> y: f32[n] { loop t in 0..3 { y[i] = x[i] + t } }",
    "kernel k(x: f32[n]) -> y: f32[n] { loop while x[0] { y[i] = x[i] } }",
    "kernel k(x: f32[n]) -> y: f32[n] { swap(x, y) }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i]; swap(y) }",
    "kernel k(x: f32[n]) -> y: f32[n] { if x { y[i] = x[i] } }",
    "kernel k(b: i32[n], x: f32[n]) -> y: f32[n] { y[b[i]] = x[i] }",
    "kernel k(b: i32[n], x: f32[n]) -> y: f32[n] { y[i/2] = x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] ** x[i] }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] ? 1 : 2 }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = @ }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = 1..2 }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = 0x }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = 1e }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = 1.2.3 }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = 1__0x }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = 99999999999999999999999999 * x[i] & 1 }",
    "kernel k(x: i64[n]) -> y: i64[n] { y[i] = 9223372036854775808 }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = 1e999999999999999999999 }",
    "kernel k(x: f32[99999999999999999999]) -> y: f32[1] { y[i] = 0.0 }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = { var w: f32[1000000000000]; w[0] } }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = { var w: f32[n]; w[0] } }",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = { var w: f32[4] = 0.0; w[4] } }",
    "kernel while(x: f32[n]) -> y: f32[n] { y[i] = x[i] }",
    "kernel k(f32: f32[n]) -> y: f32[n] { y[i] = f32[i] }",
    "let x = 1",
    "fn",
    "fn f",
    "fn f() -> f32",
    "fn f(x: f32) = x",
    "const",
    "const A",
    "42",
    "}",
    "\"text\"",
    "$",
    "\\",
    "`",
    "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] } kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }",
};

#define HEAD "kernel k(x: f32[n]) -> y: f32[n] { y[i] = "

static void known_texts(bad_sources *all) {
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char name[32];
        snprintf(name, sizeof name, "wrong-%03zu", i);
        add_bytes(all, name, SOURCE, wrong[i], strlen(wrong[i]));
    }
}

static void deep_texts(bad_sources *all) {
    const int either = SOURCE | RESOURCES;
    const size_t n = 100000;
    add_nested(all, "deep-parentheses", either, HEAD, "(", n, "1.0", ")", " }");
    add_nested(all, "deep-parentheses-open", either, HEAD, "(", n, "", "", "");
    add_nested(all, "deep-brackets", either, HEAD, "x[", n, "0", "]", " }");
    add_nested(all, "deep-brackets-only", either, "", "[", n, "", "", "");
    add_nested(all, "deep-braces", either, HEAD, "{", n, "1.0", "}", " }");
    add_nested(all, "deep-braces-only", either, "", "{", n, "", "", "");
    add_nested(all, "deep-minus", either, HEAD, "- ", n, "1.0", "", " }");
    add_nested(all, "deep-complement", either, "kernel k(x: i32[n]) -> y: i32[n] { y[i] = ", "~", n, "1", "", " }");
    add_nested(all, "deep-not", either, "kernel k(x: bool[n]) -> y: bool[n] { y[i] = ", "not ", n, "true", "", " }");
    add_nested(all, "deep-if", either, HEAD, "if x[i] > 0.0 { ", n, "1.0", " } else { 0.0 }", " }");
    add_nested(all, "deep-else-if", either, HEAD, "if x[i] > 0.0 { 1.0 } else ", n, "{ 1.0 }", "", " }");
    add_nested(all, "deep-call", either, HEAD, "abs(", n, "1.0", ")", " }");
    add_nested(all, "deep-cast", either, HEAD, "f32(", n, "1.0", ")", " }");
    add_nested(all, "deep-sum", either, HEAD, "sum(j in 0..2: ", n, "1.0", ")", " }");
    add_nested(all, "deep-while", either, HEAD "{ var a = 0.0; ", "while true { ", n, "", "}", " a } }");
    add_nested(all, "deep-loop", either, "kernel k(x: f32[n]) -> y: f32[n] { ", "loop t in 0..2 { ", n, "", "}", " }");
    add_nested(all, "deep-scopes", either, HEAD "{ ", "if true { let a = 1.0 ", n, "", "} ", " 1.0 } }");
    add_nested(all, "deep-plus-right", either | OK, HEAD "1.0", " + 1.0", n, "", "", " }");
    add_nested(all, "deep-shift", either | OK, "kernel k(x: i32[n]) -> y: i32[n] { y[i] = 1", " << 1", n, "", "", " }");
    add_nested(all, "deep-and", either | OK, "kernel k(x: bool[n]) -> y: bool[n] { y[i] = true", " and x[i]", n, "", "", " }");
    add_nested(all, "deep-compare", either, "kernel k(x: bool[n]) -> y: bool[n] { y[i] = 1", " < 1", n, "", "", " }");
    add_nested(all, "deep-types", either, "kernel k(x: f32", "[n", n, "", "]", ") -> y: f32[1] { y[i] = 0.0 }");
    add_nested(all, "deep-import", either, "", "import ", n, "", "", "");
    add_nested(all, "deep-annotations", either, "", "@fast ", n, "", "", "kernel");
}

static void long_texts(bad_sources *all) {
    const int either = SOURCE | RESOURCES, any = SOURCE | RESOURCES | OK;
    const size_t mega = 1000000;
    add_nested(all, "long-line-words", either, "", "abcdefghi ", mega, "", "", "");
    add_nested(all, "long-line-punctuation", either, "", ";=+(,)[]{}", mega, "", "", "");
    add_nested(all, "long-line-comment", any, "#", "0123456789", mega, "", "", "\n");
    add_nested(all, "long-line-blank", any, "", "          ", mega, "", "", "");
    add_nested(all, "long-newlines", any, "", "\n\n\n\n\n\n\n\n\n\n", mega, "", "", "");
    add_nested(all, "long-name", either, "kernel ", "abcdefghij", mega, "", "", "");
    add_nested(all, "long-number", either, HEAD, "1234567890", mega, "", "", " }");
    add_nested(all, "long-fraction", any, HEAD "0.", "1234567890", mega, "", "", " }");
    add_nested(all, "long-string", either, "import \"", "abcdefghij", mega, "", "", "\"");
    add_nested(all, "many-errors", either, "", "kernel k(x: f33[n]) -> y: f32[n] { y[i] = q }\n", 20000, "", "", "");
    add_nested(all, "many-statements", any, "kernel k(x: f32[n]) -> y: f32[n] {\n", "y[i] = x[i] + 1.0\n", 20000, "", "",
               "}\n");
    add_nested(all, "many-arguments", either, HEAD "max(", "1.0, ", mega / 10, "1.0", "", ") }");
    add_nested(all, "many-targets", either, "kernel k(x: f32[n]) -> y: f32[n] { y[i]", ", y[i]", mega / 10, " = 1.0", "",
               " }");
    add_nested(all, "many-dimensions", either, "kernel k(x: f32[a", ", a", mega / 10, "", "",
               "]) -> y: f32[1] { y[i] = 0.0 }");
    add_nested(all, "many-indices", either, HEAD "sum(a", ", b", mega / 10, ": 1.0", "", ") }");
    add_nested(all, "many-imports", either, "", "import \"nowhere.qn\"\n", 10000, "", "", "");
}

// Doubles: each function calls the former one twice, so that inlining all would take 2^n operations.
static void add_doubling(bad_sources *all, const char *name, const char *format, const char *tail, int steps) {
    bad_source *s = append(all, name, SOURCE | RESOURCES);
    size_t room = (size_t)steps * 128 + strlen(tail) + 256;
    char *at = s->bytes = malloc(room);
    if (!at) abort();
    at = stpcpy(at, "fn f0(x: f32) -> f32 = x * 1.5 + 0.25\nconst c0: i64 = 3\n");
    for (int i = 1; i <= steps; i++) at += sprintf(at, format, i, i - 1, i - 1);
    at += sprintf(at, "%s", tail);
    s->length = (size_t)(at - s->bytes);
}

static void add_many(bad_sources *all, const char *name, int codes, const char *head, const char *format, int count,
                     const char *tail) {
    bad_source *s = append(all, name, codes);
    size_t room = (size_t)count * (strlen(format) + 24) + strlen(head) + strlen(tail) + 1;
    char *at = s->bytes = malloc(room);
    if (!at) abort();
    at = stpcpy(at, head);
    for (int i = 0; i < count; i++) at += sprintf(at, format, i, i);
    at = stpcpy(at, tail);
    s->length = (size_t)(at - s->bytes);
}

static void explosive_texts(bad_sources *all) {
    const int any = SOURCE | RESOURCES | OK;
    add_doubling(all, "doubling-functions", "fn f%d(x: f32) -> f32 = f%d(x) + f%d(x * 1.25)\n",
                 "kernel k(x: f32[n]) -> y: f32[n] { y[i] = f60(x[i]) }\n", 60);
    add_doubling(all, "doubling-constants", "const c%d: i64 = c%d + c%d * 3\n",
                 "kernel k(x: i64[n]) -> y: i64[n] { y[i] = c90 + z }\n", 90);
    add_many(all, "many-functions", any, "", "fn f%d(x: f32) -> f32 = x * %d.0\n", 20000,
             "kernel k(x: f32[n]) -> y: f32[n] { y[i] = f0(x[i]) + f19999(x[i]) }\n");
    add_many(all, "many-kernels", any, "", "kernel k%d(x: f32[n]) -> y: f32[n] { y[i] = x[i] + %d.0 }\n", 3000, "");
    add_many(all, "many-lets", any, "kernel k(x: f32[n]) -> y: f32[n] { y[i] = { let a = x[i]\n",
             "let a%d = a + %d.0\n", 20000, "a } }\n");
    add_many(all, "many-parameters", SOURCE | RESOURCES | OK, "kernel k(", "x%d: f32, y%d: f32, ", 20000,
             "z: f32[n]) -> y: f32[n] { y[i] = z[i] }\n");
    add_many(all, "many-sizes", any, "kernel k(", "x%d: f32[n%d], ", 5000, "z: f32[n]) -> y: f32[n] { y[i] = z[i] }\n");
    add_many(all, "many-loops", any, "kernel k(x: f32[n]) -> y: f32[n] { y[i] = { var a = 0.0\n",
             "for j%d in 0..%d { a += 1.0 }\n", 5000, "a } }\n");
}

static void odd_bytes(bad_sources *all) {
#define BYTES(name, codes, text) add_bytes(all, name, codes, text, sizeof(text) - 1)
    BYTES("empty", OK | SOURCE, "");
    BYTES("blank", OK | SOURCE, "\n  \n\t\n");
    BYTES("comment", OK | SOURCE, "# nothing");
    BYTES("zero-byte", SOURCE, "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i]\0 }");
    BYTES("zero-bytes", SOURCE, "\0\0\0\0\0\0\0\0");
    BYTES("invalid-utf8-name", SOURCE, "kernel k\xff\xfe(x: f32[n]) -> y: f32[n] { y[i] = x[i] }");
    BYTES("invalid-utf8-comment", OK | SOURCE, "# \xff\xfe\xc0\x80\nkernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }");
    BYTES("invalid-utf8-cut", SOURCE, "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] } \xe2\x82");
    BYTES("invalid-utf8-surrogate", SOURCE, "kernel \xed\xa0\x80(x: f32[n]) -> y: f32[n] { y[i] = x[i] }");
    BYTES("invalid-utf8-import", SOURCE | FILES, "import \"\xff\xfe\x80\"\n");
    BYTES("import-device", OK | SOURCE, "import \"/dev/stdin\"\n"); // empty here, and an empty file is no error
    BYTES("utf16", SOURCE, "\xff\xfek\0e\0r\0n\0e\0l\0");
    BYTES("mark", OK | SOURCE, "\xef\xbb\xbfkernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }");
    BYTES("greek", SOURCE, "kernel k(x: f32[n]) -> y: f32[n] { y[i] = \xce\xb1 }");
    BYTES("control", SOURCE, "kernel k(x: f32[n]) \x01\x02\x1b[31m -> y: f32[n] { y[i] = x[i] }");
    BYTES("carriage-returns", OK | SOURCE, "kernel k(x: f32[n]) -> y: f32[n] {\r\ny[i] = x[i]\r\n}\r\n");
    BYTES("archive", SOURCE, "!<arch>\n\x7f" "ELF\x02\x01\x01\0\0\0\0");
#undef BYTES
    char noise[4096];
    unsigned long long state = 7;
    for (int k = 0; k < 8; k++) {
        char name[32];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (char)(k & 1 ? test_random(&state) % 95 + 32 : test_random(&state) & 255);
        snprintf(name, sizeof name, "noise-%d", k);
        add_bytes(all, name, SOURCE, noise, sizeof noise);
    }
}

void bad_sources_known(bad_sources *all) {
    known_texts(all);
    deep_texts(all);
    long_texts(all);
    explosive_texts(all);
    odd_bytes(all);
}

void bad_sources_altered(bad_sources *all, const char *name, const char *bytes, size_t length, int truncations,
                         int flips) {
    unsigned long long state = 1;
    for (const char *c = name; *c; c++) state = state * 31 + (unsigned char)*c;
    for (int i = 0; i < truncations && length; i++) {
        char label[256];
        size_t keep = test_random(&state) % length;
        snprintf(label, sizeof label, "%.200s-first-%zu", name, keep);
        add_bytes(all, label, OK | SOURCE, bytes, keep);
    }
    for (int i = 0; i < flips && length; i++) {
        char label[256];
        snprintf(label, sizeof label, "%.200s-altered-%d", name, i);
        add_bytes(all, label, OK | SOURCE | RESOURCES, bytes, length);
        char *copy = all->items[all->count - 1].bytes;
        for (int k = 0; k <= i % 4; k++) {
            static const char tokens[] = "()[]{}+-*/=<>.,:;#\"0e9 \n\xff";
            size_t at = test_random(&state) % length;
            unsigned long long what = test_random(&state);
            char flipped = (char)(copy[at] ^ (1 << ((what >> 8) & 7)));
            copy[at] = what & 1 ? tokens[(what >> 8) % (sizeof tokens - 1)] : flipped;
        }
    }
}

void bad_sources_free(bad_sources *all) {
    for (size_t i = 0; i < all->count; i++) {
        free(all->items[i].name);
        free(all->items[i].bytes);
    }
    free(all->items);
}
