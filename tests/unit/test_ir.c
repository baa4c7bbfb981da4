/* Building, cloning, printing, reading and verifying IR, and the scalar semantics of eval.c at their edges. */
#include "ir/eval.h"
#include "ir/image.h"
#include "ir/passes.h"

#include "ir/abi.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qn__arena *arena;
static void setup(void) { arena = qn__arena_create(0); }
static void teardown(void) { qn__arena_destroy(arena); }
TestSuite(ir, .init = setup, .fini = teardown);

static const char *print(const qn__ir *ir) {
    qn__text out = QN__TEXT_EMPTY;
    qn__ir_print(ir, &out);
    const char *copy = qn__arena_copy_string(arena, qn__text_bytes(&out), out.length);
    qn__text_free(&out);
    return copy;
}

static const char *faults(const qn__ir *ir) {
    qn__text report = QN__TEXT_EMPTY;
    bool good = qn__verify(ir, &report);
    const char *copy = qn__arena_copy_string(arena, qn__text_bytes(&report), report.length);
    cr_assert_eq(good, report.length == 0);
    qn__text_free(&report);
    return copy;
}

static qn__ir *read_back(const char *text) {
    const char *message = NULL;
    qn__ir *ir = qn__ir_read(arena, text, strlen(text), &message);
    cr_assert(ir, "%s\n%s", message, text);
    return ir;
}

/* z[i] = x[i] * x[i] + 1, in two different ways for small and large x. */
static qn__ir *sample(void) {
    qn__ir *ir = qn__ir_create(arena, "sample");
    qn__builder b = {.ir = ir, .region = ir->body, .location = qn__ir_location(ir, "a.qn", 3, 5, 7)};
    uint32_t x = qn__ir_array(ir, "x", QN__TYPE_F32, 1, QN__ARRAY_IN), z = qn__ir_array(ir, "z", QN__TYPE_F32, 1, QN__ARRAY_OUT);
    qn__type i64 = QN__TYPE_I64, f32 = QN__TYPE_F32;
    qn__value n = qn__result(ir, qn__build(&b, QN__OP_SIZE, NULL, 0, &i64, 1, NULL, 0, 0), 0);
    ir->arrays[x].extent[0] = ir->arrays[z].extent[0] = n;
    qn__region_ref body = qn__region_create(ir, &i64, 1), yes = qn__region_create(ir, NULL, 0), no = qn__region_create(ir, NULL, 0);
    qn__value bounds[2] = {qn__build_i64(&b, 0), n};
    qn__build(&b, QN__OP_PARALLEL, bounds, 2, NULL, 0, &body, 1, 1);
    qn__builder point = {.ir = ir, .region = body, .location = qn__ir_location(ir, "a.qn", 4, 1, 0)};
    qn__value i = qn__region_param(ir, body, 0);
    qn__build_check_index(&point, i, n);
    qn__value v = qn__build_load(&point, x, &i, 1), one = qn__build_f64_as(&point, QN__TYPE_F32, 1);
    qn__value small = qn__build_binary(&point, QN__OP_LT, v, one);
    qn__instr_ref choice = qn__build(&point, QN__OP_IF, &small, 1, &f32, 1, (qn__region_ref[]){yes, no}, 2, 0);
    qn__builder arm = {.ir = ir, .region = yes};
    qn__value product = qn__build_binary(&arm, QN__OP_MUL, v, v), sum = qn__build_binary(&arm, QN__OP_ADD, product, one);
    ir->instrs[ir->values[sum].instr].flags = QN__FUSE_LEFT;
    qn__build_yield(&arm, &sum, 1);
    arm.region = no;
    qn__value fused = qn__result(ir, qn__build(&arm, QN__OP_FMA, (qn__value[]){v, v, one}, 3, NULL, 1, NULL, 0, 0), 0);
    qn__build_yield(&arm, &fused, 1);
    qn__build_store(&point, z, &i, 1, qn__result(ir, choice, 0));
    qn__build_yield(&point, NULL, 0);
    qn__build_yield(&b, NULL, 0);
    return ir;
}

Test(ir, what_is_built_verifies_and_reads_back) {
    qn__ir *ir = sample();
    cr_assert_str_empty(faults(ir));
    const char *text = print(ir);
    qn__ir *again = read_back(text);
    cr_assert_str_empty(faults(again));
    cr_assert_str_eq(print(again), text);
    cr_assert(strstr(text, "!fuse_left"), "%s", text);
    cr_assert(strstr(text, "@3:5+7"), "%s", text);
    cr_assert_eq(qn__type_of(ir, 0), QN__TYPE_NONE);
}

Test(ir, clones_are_deep_and_independent) {
    qn__ir *ir = sample();
    qn__instr_ref stage = 0;
    for (uint32_t i = 1; i < ir->instr_count; i++)
        if (ir->instrs[i].op == QN__OP_PARALLEL) stage = i;
    qn__region_ref source = ir->instrs[stage].regions[0];
    qn__type i64 = QN__TYPE_I64;
    qn__builder b = {.ir = ir, .region = ir->body, .before = ir->regions[ir->body].last};
    for (int round = 0; round < 3; round++) {
        qn__region_ref body = qn__region_create(ir, &i64, 1);
        qn__build(&b, QN__OP_PARALLEL, (qn__value[]){ir->instrs[stage].args[0], ir->instrs[stage].args[1]}, 2, NULL, 0, &body, 1, 1);
        qn__builder point = {.ir = ir, .region = body};
        qn__value iv = qn__region_param(ir, body, 0);
        cr_assert(qn__clone_region(&point, source, &iv, NULL));
        qn__build_yield(&point, NULL, 0);
        source = body; /* a copy of a copy */
    }
    cr_assert_str_empty(faults(ir));
    const char *text = print(ir);
    int stages = 0, branches = 0;
    for (const char *at = text; (at = strstr(at, "parallel")); at++) stages++;
    for (const char *at = text; (at = strstr(at, "= if")); at++) branches++;
    cr_assert(stages == 4 && branches == 4, "%s", text);
    for (uint32_t i = 0; i < ir->clone_capacity; i++) cr_assert_eq(ir->clone_map[i], 0);
}

Test(ir, editing_keeps_the_lists) {
    qn__ir *ir = sample();
    qn__region_ref body = ir->body;
    qn__builder b = {.ir = ir, .region = body, .before = ir->regions[body].first};
    qn__value a = qn__build_i64(&b, 1), c = qn__build_i64(&b, 2);
    qn__instr_move_before(ir, ir->values[c].instr, ir->values[a].instr);
    cr_assert_eq(ir->regions[body].first, ir->values[c].instr);
    qn__value d = qn__build_binary(&b, QN__OP_ADD, a, c);
    qn__replace_uses(ir, a, c);
    cr_assert(ir->instrs[ir->values[d].instr].args[0] == c);
    qn__instr_remove(ir, ir->values[a].instr);
    cr_assert_str_empty(faults(ir));
    uint64_t bits;
    cr_assert(qn__is_const(ir, c, &bits) && bits == 2);
    cr_assert(!qn__is_const(ir, d, &bits));
}

Test(ir, an_image_shows_the_declarations) {
    qn__image image = {0};
    cr_assert(qn__image_from_ir(&image, sample()));
    cr_assert_eq(image.array_count, 2);
    cr_assert_str_eq(image.arrays[1].name, "z");
    cr_assert_eq(image.arrays[1].kind, QN__ARRAY_OUT);
    cr_assert_geq(image.location_count, 3);
}

Test(ir, every_declaration_reads_back) {
    const char *text = "kernel all fast\nsignature all inputs 2 scalars 1\nsymbol n parameter 1 dimension 0 addend -1\n"
        "symbol m existential parameter 2 dimension 0 addend 0\ndim 0 symbol 0\ndim 1 const -3\ndim 2 max 0 1\n"
        "parameter k scalar i64 size index 0 dims\nparameter x in f16 index 0 dims 0\nparameter z out bf16 index 1 dims 2\n"
        "file \"dir/with \\\"quotes\\\".qn\"\nfile \"b.qn\"\nextern host(f64, i32) -> f64\nextern none() -> bool\n"
        "array x in f16 [%1]\narray z out bf16 [%7]\narray \"odd name\" temp bool [_]\narray x temp u8 []\nlocal w f32 9\n"
        "body {\n  %1: i64 = size 0 @1:2\n  %2: i64 = param 0 @1/1:3+4\n  %3: f16 = const 0x3c00\n  %4: f64 = const 2.5e-300\n"
        "  %5: f32 = const -inf\n  %6: bool = const true\n  %7: i64 = keep [#1] %1, %2 {%8: i64 ->\n    %9: f16 = load #0[%8]\n"
        "    %10: bf16 = convert %9\n    if %6 {\n      push %10\n      yield\n    } {\n      yield\n    }\n    yield\n  }\n"
        "  check.SHAPE %6, %1, %2\n  %11: i64 = const -9223372036854775808\n  %12: u64 = const 18446744073709551615\n"
        "  %13: f64 = const 0x7ff8000000000000\n  alloc #2[]\n  yield\n}\n";
    qn__ir *ir = read_back(text);
    const char *once = print(ir), *twice = print(read_back(once));
    cr_assert_str_eq(once, twice);
    cr_assert(ir->fast && ir->signature->symbols[1].existential && ir->signature->symbols[0].addend == -1);
    cr_assert_str_eq(ir->locations[1].path, "dir/with \"quotes\".qn");
    cr_assert_eq(ir->locations[2].length, 4);
    cr_assert_str_eq(ir->arrays[2].name, "odd name");
    cr_assert(strstr(once, "-9223372036854775808") && strstr(once, "18446744073709551615"), "%s", once);
}

Test(ir, the_reader_says_where) {
    static const struct { const char *text, *message; } cases[] = {
        {"", "1:1: 'kernel' expected"},
        {"kernel k\nbody {\n  yield %1\n}\n", "3:9: value %1 is not defined above"},
        {"kernel k\nbody {\n  %1: i64 = const 1\n  %1: i64 = const 2\n  yield\n}\n", "4:3: value %1 is defined twice"},
        {"kernel k\nbody {\n  %1: i65 = const 1\n}\n", "3:7: a type expected"},
        {"kernel k\nbody {\n  frobnicate\n}\n", "3:3: an operation expected"},
        {"kernel k\nbody {\n  %1: f32 = const 1.5x\n}\n", "a constant expected"},
        {"kernel k\nbody {\n  %1: f32 = load x[]\n}\n", "an array expected"},
        {"kernel k\narray x in f32 [%n]\nbody {\n  yield\n}\n", "2:17: the extent is not defined"},
        {"kernel k\nbody {\n  yield\n", "'}' expected"},
        {"kernel \"k\n", "a string without an end"},
        {"kernel k\ndim 1 const 2\n", "a signature expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *message = NULL;
        cr_assert_null(qn__ir_read(arena, cases[i].text, strlen(cases[i].text), &message));
        cr_assert(strstr(message, cases[i].message), "'%s', expected '%s'", message, cases[i].message);
    }
    qn__text deep = QN__TEXT_EMPTY;
    qn__text_add_string(&deep, "kernel k\nbody {\n%c: bool = const true\n");
    for (int i = 0; i < 5000; i++) qn__text_add_string(&deep, "if %c {\n");
    const char *message = NULL;
    cr_assert_null(qn__ir_read(arena, qn__text_bytes(&deep), deep.length, &message));
    cr_assert(strstr(message, "nested too deeply"), "%s", message);
    qn__text_free(&deep);
}

Test(ir, the_verifier_finds_each_fault) {
    static const struct { const char *code, *message; } cases[] = {
        {"%1: f32 = const 1.0\n%2: i32 = const 1\n%3: f32 = add %1, %2\n", "an operand has type i32, not f32"},
        {"%1: f32 = const 1.0\n%3: f32 = rem %1, %1\n", "not defined for f32"},
        {"%1: f16 = const 0x3c00\n%3: f16 = add %1, %1\n", "f16 is a storage type"},
        {"%1: bool = const true\n%3: bool = add %1, %1\n", "not defined for bool"},
        {"%1: i8 = const 300\n", "a constant that is no i8"},
        {"%1: f32 = const 1.0\n%2: i64 = bitcast %1\n", "a bitcast from f32 to i64"},
        {"%1: i32 = const 1\n%2: f32 = load x[%1]\n", "an index has type i32, not i64"},
        {"%1: i64 = const 1\n%2: f32 = load x[%1, %1]\n", "2 operands for array 'x' of rank 1"},
        {"%1: i64 = const 1\n%2: f64 = load x[%1]\n", "the result has type f64, not f32"},
        {"%1: i64 = const 1\n%2: f32 = load x[%1]\nstore x[%1], %2\n", "an input cannot be written"},
        {"%1: bool = const true\nif %1 {\n%2: i64 = const 1\nyield\n} {\ncheck_index %2, %2\nyield\n}\n", "operand 0 is not defined here"},
        {"%1: bool = const true\n%2: i64 = if %1 {\nyield\n} {\n%3: i64 = const 1\nyield %3\n}\n", "the yielded values: 0 instead of 1"},
        {"%1: i64 = const 1\n%2: i64 = for %1, %1, %1 {%3: i64, %4: i64 ->\n%5: i32 = const 1\nyield %5\n}\n", "the yielded values has type i32, not i64"},
        {"%1: i64 = const 1\n%2: i64 = for %1, %1, %1 {%3: i64 ->\nyield %3\n}\n", "a region with 1 parameters instead of 2"},
        {"%1: i64 = const 1\n%2: i64 = while %1 {%3: i64 ->\nyield %3\n} {%4: i64 ->\nyield %4\n}\n", "the condition has type i64, not bool"},
        {"%1: i64 = const 1\nparallel 1 %1, %1 {%2: i64 ->\nparallel 1 %1, %1 {%3: i64 ->\nyield\n}\nyield\n}\n", "allowed at kernel level only"},
        {"%1: i64 = const 1\nparallel 2 %1, %1 {%2: i64 ->\nyield\n}\n", "the bounds do not match the rank"},
        {"%1: i64 = const 1\npush %1\n", "push stands in a keep"},
        {"%1: i64 = const 1\n%2: i64 = keep [z] %1, %1 {%3: i64 ->\n%4: f32 = const 1.0\npush %4\npush %4\nyield\n}\n", "more than one push"},
        {"%1: i64 = const 1\n%2: i64 = reduce %1, %1, %1 {%3: i64, %4: i64 ->\n%5: f32 = const 1.0\nstore z[%1], %5\nyield %4\n} {%6: i64, %7: i64 ->\nyield %6\n}\n", "array elements cannot be written here"},
        {"%1: i64 = const 1\nalloc z[%1]\n", "only temporaries are allocated"},
        {"swap x, t\n", "differ in type or rank"},
        {"%1: i64 = const 1\n%2: f32 = const 1.0\naccumulate.sub z[%1], %2\n", "cannot accumulate into f32"},
        {"%1: i64 = const 1\n%2: i64 = call #3(%1)\n", "no such function"},
        {"%1: f64 = const 1.0\n%2: f64 = extern_call #0(%1, %1)\n", "the number of operands differs"},
        {"%1: bool = const true\nyield\nif %1 {\nyield\n} {\nyield\n}\n", "yield is not the last instruction"},
        {"%1: bool = const true\nif %1 {\nyield\n} {\n}\n", "a region does not end in yield"},
        {"check.NONE %1\n", NULL},
        {"%1: bool = const true\ncheck %1\n", "no such fault"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[2048];
        const char *message = NULL;
        snprintf(text, sizeof text,
                 "kernel k\nextern host(f64) -> f64\narray x in f32 [%%n]\narray z out f32 [%%n]\narray t temp f64 [_]\nbody {\n%%n: i64 = size 0\n%syield\n}\n",
                 cases[i].code);
        qn__ir *ir = qn__ir_read(arena, text, strlen(text), &message);
        if (!ir) {
            bool unknown = !cases[i].message || strstr(message, "not defined"); /* the reader sees some of it itself */
            cr_assert(unknown, "%s\n%s", message, text);
            continue;
        }
        cr_assert(cases[i].message && strstr(faults(ir), cases[i].message), "found '%s' in\n%s", faults(ir), text);
    }
}

Test(ir, the_verifier_reports_all_faults) {
    qn__ir *ir = read_back("kernel k\nbody {\n%1: bool = const true\n%2: bool = add %1, %1\n%3: bool = mul %1, %1\n%4: bool = sqrt %1\nyield\n}\n");
    int lines = 0;
    for (const char *at = faults(ir); (at = strchr(at, '\n')); at++) lines++;
    cr_assert_eq(lines, 3, "%s", faults(ir));
}

Test(ir, damaged_tables_are_reported) {
    qn__ir *ir = sample();
    qn__instr_ref last = ir->regions[ir->body].last;
    ir->instrs[last].op = 250;
    cr_assert(strlen(faults(ir)));
    ir->instrs[last].op = QN__OP_YIELD;
    ir->instrs[last].next = ir->regions[ir->body].first; /* a ring */
    cr_assert(strlen(faults(ir)));
    ir->instrs[last].next = 0;
    ir->regions[ir->body].owner = 1;
    cr_assert(strlen(faults(ir)));
    ir->regions[ir->body].owner = 0;
    cr_assert_str_empty(faults(ir));
}

/* --- scalar semantics --------------------------------------------------------------------------------------------- */

static uint64_t eval(qn__op op, qn__type type, uint64_t a, uint64_t b) {
    uint64_t bits = 0;
    cr_assert(qn__eval(op, type, type, (uint64_t[]){a, b, 0}, &bits));
    return bits;
}

static uint64_t cast(qn__type from, qn__type to, uint64_t a) {
    uint64_t bits = 0;
    cr_assert(qn__eval(QN__OP_CONVERT, from, to, &a, &bits));
    return bits;
}

#define F64(x) qn__eval_from_f64(QN__TYPE_F64, (x))
#define F32(x) qn__eval_from_f64(QN__TYPE_F32, (x))

Test(ir, integer_edges) {
    cr_assert_eq(eval(QN__OP_DIV, QN__TYPE_I32, 0x80000000, 0xffffffff), 0x80000000);
    cr_assert_eq(eval(QN__OP_REM, QN__TYPE_I32, 0x80000000, 0xffffffff), 0);
    cr_assert_eq(eval(QN__OP_DIV, QN__TYPE_I64, 5, 0), 0);
    cr_assert_eq(eval(QN__OP_REM, QN__TYPE_I8, 0xf9, 2), 0xff); /* -7 % 2 = -1 */
    cr_assert_eq(eval(QN__OP_SHL, QN__TYPE_I8, 1, 9), 2);
    cr_assert_eq(eval(QN__OP_SHR, QN__TYPE_I8, 0x80, 1), 0xc0);
    cr_assert_eq(eval(QN__OP_SHR, QN__TYPE_U8, 0x80, 1), 0x40);
    cr_assert_eq(eval(QN__OP_CLZ, QN__TYPE_U16, 0, 0), 16);
    cr_assert_eq(eval(QN__OP_CTZ, QN__TYPE_U8, 0, 0), 8);
    cr_assert_eq(eval(QN__OP_ABS, QN__TYPE_I8, 0x80, 0), 0x80);
    cr_assert_eq(eval(QN__OP_NEG, QN__TYPE_U8, 1, 0), 0xff);
    cr_assert_eq(eval(QN__OP_NOT, QN__TYPE_BOOL, 1, 0), 0);
    cr_assert_eq(eval(QN__OP_MAX, QN__TYPE_I64, UINT64_MAX, 0), 0);
    cr_assert_eq(eval(QN__OP_MAX, QN__TYPE_U64, UINT64_MAX, 0), UINT64_MAX);
}

Test(ir, float_edges) {
    cr_assert_eq(eval(QN__OP_MIN, QN__TYPE_F32, F32(0.0), F32(-0.0)), F32(-0.0));
    cr_assert_eq(eval(QN__OP_MAX, QN__TYPE_F64, F64(-0.0), F64(0.0)), F64(0.0));
    cr_assert(isnan(qn__eval_to_f64(QN__TYPE_F64, eval(QN__OP_MAX, QN__TYPE_F64, F64(NAN), F64(1)))));
    cr_assert_eq(eval(QN__OP_RINT, QN__TYPE_F64, F64(2.5), 0), F64(2.0));
    cr_assert_eq(eval(QN__OP_NEG, QN__TYPE_F32, F32(0.0), 0), F32(-0.0));
    cr_assert_eq(eval(QN__OP_COPYSIGN, QN__TYPE_F32, F32(3), F32(-0.0)), F32(-3));
    cr_assert_eq(eval(QN__OP_DIV, QN__TYPE_F32, F32(1), F32(0)), F32(INFINITY));
    uint64_t bits;
    qn__eval(QN__OP_NE, QN__TYPE_F64, QN__TYPE_BOOL, (uint64_t[]){F64(NAN), F64(NAN)}, &bits);
    cr_assert_eq(bits, 1);
    qn__eval(QN__OP_GE, QN__TYPE_F64, QN__TYPE_BOOL, (uint64_t[]){F64(NAN), F64(1)}, &bits);
    cr_assert_eq(bits, 0);
}

Test(ir, conversions) {
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_I8, F64(1e9)), 0x7f);
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_I8, F64(-1e9)), 0x80);
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_U8, F64(-3)), 0);
    cr_assert_eq(cast(QN__TYPE_F32, QN__TYPE_I64, F32(NAN)), 0);
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_I64, F64(9223372036854775808.0)), INT64_MAX);
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_U64, F64(18446744073709551616.0)), UINT64_MAX);
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_I32, F64(-2.9)), 0xfffffffe);
    cr_assert_eq(cast(QN__TYPE_I8, QN__TYPE_U32, 0xff), 0xffffffff);
    cr_assert_eq(cast(QN__TYPE_F32, QN__TYPE_BOOL, F32(NAN)), 1);
    cr_assert_eq(cast(QN__TYPE_F32, QN__TYPE_BOOL, F32(-0.0)), 0);
    cr_assert_eq(cast(QN__TYPE_I32, QN__TYPE_BOOL, 256), 1);
    cr_assert_eq(cast(QN__TYPE_U64, QN__TYPE_F32, UINT64_MAX), F32(18446744073709551616.0));
    cr_assert_eq(cast(QN__TYPE_I64, QN__TYPE_F32, (1ll << 40) + (1 << 16)), F32(0x1p40)); /* a tie, to even */
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_F16, F64(65519.99)), 0x7bff);
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_F16, F64(65520)), 0x7c00);
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_F16, F64(0x1p-25)), 0);
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_F16, F64(0x1.8p-25)), 1);
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_BF16, F64(1.0 + 0x1p-8)), 0x3f80); /* a tie, to even */
    cr_assert_eq(cast(QN__TYPE_F64, QN__TYPE_BF16, F64(1.0 + 0x1p-8 + 0x1p-50)), 0x3f81);
}

/* Every f16 goes to f64 and back unchanged, and f32 rounding by hand agrees with the host's. */
Test(ir, formats_round_trip) {
    for (uint32_t h = 0; h < 0x10000; h++) {
        double x = qn__eval_to_f64(QN__TYPE_F16, h);
        if (!isnan(x)) cr_assert_eq(qn__eval_from_f64(QN__TYPE_F16, x), h, "%#x", h);
        double y = qn__eval_to_f64(QN__TYPE_BF16, h);
        if (!isnan(y)) cr_assert_eq(qn__eval_from_f64(QN__TYPE_BF16, y), h, "%#x", h);
    }
    uint64_t state = 1;
    for (int i = 0; i < 100000; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t x = state >> (state >> 58);
        cr_assert_eq(cast(QN__TYPE_U64, QN__TYPE_F32, x), F32((double)(float)x), "%lu", x);
        cr_assert_eq(cast(QN__TYPE_I64, QN__TYPE_F64, x), F64((double)(int64_t)x), "%lu", x);
    }
}

Test(ir, no_memory_makes_builders_return_nothing) {
    for (size_t limit = 16; limit < 60000; limit += 48) {
        qn__arena *small = qn__arena_create(limit);
        qn__ir *ir = qn__ir_create(small, "k");
        if (ir) {
            qn__builder b = {.ir = ir, .region = ir->body};
            qn__type i64 = QN__TYPE_I64;
            for (int i = 0; i < 50; i++) {
                uint32_t array = qn__ir_array(ir, "x", QN__TYPE_F32, 1, QN__ARRAY_IN);
                qn__region_ref body = qn__region_create(ir, &i64, 1);
                qn__value one = qn__build_i64(&b, i), two = qn__build_binary(&b, QN__OP_ADD, one, one);
                qn__build(&b, QN__OP_PARALLEL, (qn__value[]){one, two}, 2, NULL, 0, &body, 1, 1);
                qn__builder point = {.ir = ir, .region = body};
                qn__value loaded = qn__build_load(&point, array, &one, 1);
                qn__build_store(&point, array, &one, 1, loaded);
                qn__build_yield(&point, NULL, 0);
                qn__value index = two;
                qn__clone_region(&b, body, &index, NULL);
                if (ir->failed) cr_assert_eq(qn__build_i64(&b, 3), 0);
            }
        }
        qn__arena_destroy(small);
    }
}
