/* The interpreter against two independent definitions: ir/eval.c for scalar operations, tests/support/walk.c for structure. */
#include "compiler/bytecode.h"
#include "ir/eval.h"
#include "ir/passes.h"
#include "runtime/call.h"
#include "tests/support/random_ir.h"
#include "tests/support/walk.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- running one kernel on plain buffers -------------------------------------------------------------------------- */

static void *temporaries[64];
static size_t temporary_count;

static int32_t give(qn__frame *frame, uint32_t array, const int64_t *extents) {
    qn__view *view = &frame->views[array];
    size_t elements = 1;
    for (int d = 0; d < 2; d++) {
        view->extent[d] = extents[d];
        if (extents[d]) elements *= (size_t)extents[d];
    }
    view->stride[0] = extents[1] ? extents[1] : 1;
    view->stride[1] = 1;
    view->data = calloc(elements + 1, 8);
    cr_assert_lt(temporary_count, 64);
    temporaries[temporary_count++] = view->data;
    return 0;
}

static void free_temporaries(void) {
    while (temporary_count) free(temporaries[--temporary_count]);
}

static int32_t stop_kind;
static int32_t poll(qn__frame *frame) {
    (void)frame;
    return stop_kind;
}

static const qn__services services = {give, poll};
static const volatile int32_t never = 0, always = 1;

static qn__image emit(const qn__ir *ir) {
    qn__image image = {0};
    const char *message = NULL;
    cr_assert(qn__bytecode_emit(ir, &image, &message), "%s", message);
    return image;
}

/* The text form wants each value's name once; here a region may use a name again: later definitions get a number behind it. */
typedef struct alias { char name[16]; int number, depth; } alias;

static void unique_names(const char *text, char *out) {
    static alias seen[256];
    int count = 0, depth = 0, next = 0;
    while (*text) {
        if (*text == '{') depth++;
        if (*text == '}') depth--;
        if (*text == '}')
            for (int i = 0; i < count; i++)
                if (seen[i].depth > depth) seen[i].name[0] = '.'; /* out of scope, but its name is taken */
        if (*text != '%') {
            *out++ = *text++;
            continue;
        }
        size_t length = strspn(text + 1, "abcdefghijklmnopqrstuvwxyz0123456789") + 1;
        int found = -1, taken = 0;
        for (int i = 0; i < count; i++) {
            if (!strncmp(seen[i].name + 1, text + 1, length - 1) && strlen(seen[i].name) == length) {
                taken = 1;
                if (seen[i].name[0] == '%') found = i;
            }
        }
        if (text[length] == ':') {
            found = count++;
            seen[found] = (alias){.number = taken ? ++next : 0, .depth = depth};
            snprintf(seen[found].name, sizeof seen[found].name, "%.*s", (int)length, text);
        }
        out += sprintf(out, "%.*s", (int)length, text);
        if (found >= 0 && seen[found].number) out += sprintf(out, ".%d", seen[found].number);
        text += length;
    }
    *out = 0;
}

static qn__ir *read_ir(qn__arena *arena, const char *short_text) {
    static char text[8192];
    unique_names(short_text, text);
    const char *message = NULL;
    qn__ir *ir = qn__ir_read(arena, text, strlen(text), &message);
    cr_assert(ir, "%s\n%s", message ? message : "not read", text);
    qn__text report = QN__TEXT_EMPTY;
    cr_assert(qn__verify(ir, &report), "%s", qn__text_bytes(&report));
    qn__text_free(&report);
    return ir;
}

static int32_t interpret(const qn__ir *ir, qn__frame *frame) {
    qn__image image = emit(ir);
    frame->services = &services;
    if (!frame->stop) frame->stop = &never;
    return qn__interpret(&image, frame);
}

/* Bits, with all NaNs alike. */
static uint64_t canonical(qn__type type, uint64_t bits) {
    bits = qn__eval_cut(type, bits);
    return qn__is_float(type) && isnan(qn__eval_to_f64(type, bits)) ? UINT64_MAX : bits;
}

/* --- scalar operations -------------------------------------------------------------------------------------------- */

enum { SAMPLES = 1000 };

static uint64_t special(qn__type type, uint64_t *state) {
    static const double floats[] = {0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 1e-320, 65504, 65520, 65519.999, 1e-8, 3e38, 1e300,
                                    127.5, 128, 255.5, 256, -128.5, 32767.5, 65535.5, 2147483647.0, 2147483648.0, 4294967295.5,
                                    9223372036854775807.0, 18446744073709551615.0, -9223372036854775808.0, 6e-8, 2.98e-8, 1e-40, 9.1e-41};
    static const uint64_t ints[] = {0, 1, 2, 3, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 32767, 32768, 65535, 0x7FFFFFFF, 0x80000000,
                                    0xFFFFFFFF, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX, 0x4040000000000001, 0x20000000000003};
    if (type == QN__TYPE_BOOL) return random_next(state) & 1;
    uint64_t choice = random_next(state) % 4;
    if (!qn__is_float(type)) {
        uint64_t bits = choice < 2 ? ints[random_next(state) % (sizeof ints / sizeof *ints)] : random_next(state);
        if (choice == 3) bits >>= random_next(state) % 64;
        return qn__eval_cut(type, bits);
    }
    double x = floats[random_next(state) % (sizeof floats / sizeof *floats)];
    if (choice == 0) return qn__eval_from_f64(type, x);
    if (choice == 1) return qn__eval_from_f64(type, (double)(int64_t)random_next(state) * 0x1p-50);
    if (choice == 2 && random_next(state) % 8 == 0) return qn__eval_from_f64(type, random_next(state) % 2 ? INFINITY : -INFINITY);
    return qn__eval_cut(type, random_next(state));
}

static qn__value load_operand(qn__builder *b, uint32_t array, qn__value index) { return qn__build_load(b, array, &index, 1); }

/* out[i] = op(in0[i], in1[i], in2[i]) for all samples; with a check, which keeps the interpreter from working on vectors. */
static qn__ir *operation(qn__arena *arena, qn__op op, const qn__type *types, uint32_t count, qn__type result, bool checked) {
    qn__ir *ir = qn__ir_create(arena, "operation");
    for (uint32_t i = 0; i < count; i++) qn__ir_array(ir, "in", types[i], 1, QN__ARRAY_IN);
    qn__ir_array(ir, "out", result, 1, QN__ARRAY_OUT);
    qn__builder b = {.ir = ir, .region = ir->body};
    qn__type i64 = QN__TYPE_I64;
    qn__value bounds[2] = {qn__build_i64(&b, 0), qn__build_i64(&b, SAMPLES)};
    for (uint32_t i = 0; i <= count; i++) ir->arrays[i].extent[0] = bounds[1];
    qn__region_ref body = qn__region_create(ir, &i64, 1);
    qn__build(&b, QN__OP_PARALLEL, bounds, 2, NULL, 0, &body, 1, 1);
    qn__builder inner = {.ir = ir, .region = body};
    qn__value index = qn__region_param(ir, body, 0), args[3];
    if (checked) qn__build_check_index(&inner, index, bounds[1]);
    for (uint32_t i = 0; i < count; i++) args[i] = load_operand(&inner, i, index);
    qn__instr_ref ref = qn__build(&inner, op, args, count, &result, 1, NULL, 0, 0);
    qn__build_store(&inner, count, &index, 1, qn__result(ir, ref, 0));
    qn__build_yield(&inner, NULL, 0);
    qn__build_yield(&b, NULL, 0);
    return ir;
}

static void check_operation_as(qn__op op, const qn__type *types, uint32_t count, qn__type result, bool checked) {
    uint64_t state = (uint64_t)op * 1000 + types[0] * 20U + result, args[3] = {0}, expected = 0;
    if (!qn__eval(op, types[op == QN__OP_SELECT], result, args, &expected)) return;
    static uint64_t in[3][SAMPLES], packed[4][SAMPLES];
    qn__view views[4];
    for (uint32_t k = 0; k <= count; k++) {
        views[k] = (qn__view){.data = packed[k], .extent = {SAMPLES}, .stride = {1}};
        if (k == count) break;
        uint32_t bytes = qn__type_bytes(types[k]);
        for (uint32_t i = 0; i < SAMPLES; i++) {
            in[k][i] = special(types[k], &state);
            memcpy((char *)packed[k] + i * bytes, &in[k][i], bytes);
        }
    }
    qn__arena *arena = qn__arena_create(0);
    qn__frame frame = {.views = views};
    cr_assert_eq(interpret(operation(arena, op, types, count, result, checked), &frame), 0);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        uint64_t found = 0;
        for (uint32_t k = 0; k < count; k++) args[k] = in[k][i];
        memcpy(&found, (char *)packed[count] + i * qn__type_bytes(result), qn__type_bytes(result));
        cr_assert(qn__eval(op, types[op == QN__OP_SELECT], result, args, &expected));
        cr_assert_eq(canonical(result, found), canonical(result, expected), "%s %s -> %s: (%#lx, %#lx, %#lx) = %#lx, expected %#lx",
                     qn__op_table[op].name, qn__type_table[types[0]].name, qn__type_table[result].name, args[0], args[1], args[2],
                     found, expected);
    }
    qn__arena_destroy(arena);
}

static void check_operation(qn__op op, const qn__type *types, uint32_t count, qn__type result) {
    check_operation_as(op, types, count, result, true);
    check_operation_as(op, types, count, result, false);
}

Test(interpret, arithmetic_of_every_type) {
    for (int op = 0; op < QN__OP_COUNT; op++) {
        const qn__op_info *info = &qn__op_table[op];
        if (info->effect != QN__EFFECT_PURE || info->results != 1 || info->args < 1) continue;
        if (info->rule != QN__RULE_SAME && info->rule != QN__RULE_CMP) continue;
        for (int type = 1; type < QN__TYPE_COUNT; type++) {
            bool half = type == QN__TYPE_F16 || type == QN__TYPE_BF16;
            if (half || (type == QN__TYPE_BOOL && op >= QN__OP_LT && op <= QN__OP_GE)) continue;
            qn__type types[3] = {(qn__type)type, (qn__type)type, (qn__type)type};
            check_operation((qn__op)op, types, (uint32_t)info->args, info->rule == QN__RULE_CMP ? QN__TYPE_BOOL : (qn__type)type);
        }
    }
}

Test(interpret, conversions_between_all_types) {
    for (int from = 1; from < QN__TYPE_COUNT; from++)
        for (int to = 1; to < QN__TYPE_COUNT; to++) {
            qn__type type = (qn__type)from, types[3] = {QN__TYPE_BOOL, (qn__type)from, (qn__type)from};
            check_operation(QN__OP_CONVERT, &type, 1, (qn__type)to);
            if (qn__type_bits(type) == qn__type_bits((qn__type)to) && to != QN__TYPE_BOOL)
                check_operation(QN__OP_BITCAST, &type, 1, (qn__type)to);
            if (from == to) check_operation(QN__OP_SELECT, types, 3, type);
        }
}

/* --- random kernels ----------------------------------------------------------------------------------------------- */

enum { BUFFER = RANDOM_EDGE * RANDOM_EDGE * RANDOM_EDGE * 8 };

static void fill_views(qn__view *views, char (*data)[BUFFER], uint64_t seed) {
    for (uint32_t a = 0; a < RANDOM_ARRAYS; a++) {
        int64_t stride = 1;
        qn__type type = (qn__type)random_array_type[a];
        views[a] = (qn__view){.data = data[a]};
        for (uint32_t d = random_array_rank[a]; d-- > 0; stride *= RANDOM_EDGE) {
            views[a].extent[d] = RANDOM_EDGE;
            views[a].stride[d] = stride;
        }
        for (int64_t i = 0; i < stride; i++) {
            uint64_t bits = a < 3 ? special(type, &seed) : 0;
            memcpy(data[a] + i * qn__type_bytes(type), &bits, qn__type_bytes(type));
        }
    }
}

static void check_random(uint64_t seed, bool faults) {
    static char walked[RANDOM_ARRAYS][BUFFER], run[RANDOM_ARRAYS][BUFFER];
    qn__view walked_views[RANDOM_ARRAYS], run_views[RANDOM_ARRAYS];
    uint64_t scalars[2] = {seed % 17 - 5, qn__eval_from_f64(QN__TYPE_F64, 1.25)};
    qn__arena *arena = qn__arena_create(0);
    qn__ir *ir = random_ir(arena, seed, faults);
    qn__text report = QN__TEXT_EMPTY;
    cr_assert(qn__verify(ir, &report), "seed %lu: %s", seed, qn__text_bytes(&report));
    fill_views(walked_views, walked, seed);
    fill_views(run_views, run, seed);
    qn__frame expected = {.scalars = scalars, .views = walked_views, .services = &services, .stop = &never};
    qn__frame found = {.scalars = scalars, .views = run_views};
    int32_t expected_kind = walk_kernel(ir, &expected), kind = interpret(ir, &found);
    cr_assert_eq(kind, expected_kind, "seed %lu: fault %d, expected %d", seed, kind, expected_kind);
    if (kind)
        cr_assert(expected.fault.location == found.fault.location && expected.fault.index == found.fault.index &&
                      expected.fault.extent == found.fault.extent && expected.fault.iteration == found.fault.iteration,
                  "seed %lu: fault at %u index %ld point %ld, expected %u %ld %ld", seed, found.fault.location, found.fault.index,
                  found.fault.iteration, expected.fault.location, expected.fault.index, expected.fault.iteration);
    for (uint32_t a = 3; a < RANDOM_ARRAYS && !kind; a++) {
        qn__type type = (qn__type)random_array_type[a];
        uint32_t bytes = qn__type_bytes(type);
        for (uint32_t i = 0; i < (a == 5 ? RANDOM_EDGE : RANDOM_EDGE * RANDOM_EDGE); i++) {
            uint64_t x = 0, y = 0;
            memcpy(&x, walked[a] + i * bytes, bytes);
            memcpy(&y, run[a] + i * bytes, bytes);
            cr_assert_eq(canonical(type, x), canonical(type, y), "seed %lu: array %u element %u is %#lx, expected %#lx", seed, a, i, y, x);
        }
    }
    qn__text_free(&report);
    qn__arena_destroy(arena);
}

static uint64_t random_count(void) {
    const char *text = getenv("QN_RANDOM_KERNELS");
    return text ? strtoull(text, NULL, 10) : 400;
}

Test(interpret, random_kernels) {
    for (uint64_t seed = 1; seed <= random_count(); seed++) check_random(seed, false);
}

Test(interpret, random_kernels_with_faults) {
    for (uint64_t seed = 1; seed <= random_count(); seed++) check_random(seed + (1 << 20), true);
}

/* --- stages ------------------------------------------------------------------------------------------------------- */

enum { LARGE = 20000 };

typedef struct trial { qn__frame frame; qn__view views[4]; float x[LARGE]; double out[LARGE]; int64_t numbers[LARGE]; } trial;

/* Arrays: 0 f32 x[n] (input), 1 f64 or anything out[n], 2 i64 numbers[n]; one size, one scalar. */
static trial *make_trial(int64_t n, uint64_t seed) {
    trial *t = calloc(1, sizeof *t);
    static int64_t sizes[1];
    static uint64_t scalars[1];
    sizes[0] = n;
    scalars[0] = 3;
    t->frame = (qn__frame){.scalars = scalars, .sizes = sizes, .views = t->views, .stop = &never, .services = &services};
    t->views[0] = (qn__view){.data = t->x, .extent = {n}, .stride = {1}};
    t->views[1] = (qn__view){.data = t->out, .extent = {n}, .stride = {1}};
    t->views[2] = (qn__view){.data = t->numbers, .extent = {n}, .stride = {1}};
    for (int64_t i = 0; i < LARGE; i++) {
        t->x[i] = (float)((double)(random_next(&seed) % 100000) / 777.0 - 60.0);
        t->numbers[i] = (int64_t)(random_next(&seed) % 1000);
    }
    return t;
}

/* Both ways on equal arrays: the same fault or the same bytes. Returns the fault kind. */
static int32_t compare(const char *text, int64_t n) {
    qn__arena *arena = qn__arena_create(0);
    qn__ir *ir = read_ir(arena, text);
    trial *walked = make_trial(n, 5), *run = make_trial(n, 5);
    int32_t expected = walk_kernel(ir, &walked->frame), kind = interpret(ir, &run->frame);
    cr_assert_eq(kind, expected, "n %ld: fault %d, expected %d", n, kind, expected);
    if (kind)
        cr_assert(run->frame.fault.index == walked->frame.fault.index && run->frame.fault.iteration == walked->frame.fault.iteration &&
                      run->frame.fault.location == walked->frame.fault.location,
                  "n %ld: fault at point %ld, expected %ld", n, run->frame.fault.iteration, walked->frame.fault.iteration);
    for (int a = 1; a < 3 && !kind; a++) {
        cr_assert_eq(run->views[a].extent[0], walked->views[a].extent[0]);
        cr_assert(!memcmp(run->views[a].data, walked->views[a].data, (size_t)run->views[a].extent[0] * 8), "n %ld: array %d", n, a);
    }
    free(walked);
    free(run);
    free_temporaries();
    qn__arena_destroy(arena);
    return kind;
}

static const int64_t lengths[] = {0, 1, 2, 3, 63, 64, 65, 127, 128, 129, 1000, 4095, 4096, 4097, 8192, 8193, 12289, 16385, 20000};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static void compare_all(const char *text) {
    for (int i = 0; i < LENGTHS; i++) compare(text, lengths[i]);
}

#define HEAD "kernel k\narray x in f32 [%n]\narray out out f64 [%n]\narray numbers inout i64 [%n]\n"
#define BODY "body {\n %n: i64 = size 0\n %z: i64 = const 0\n %one: i64 = const 1\n"

/* A sum in lanes order, stored to out[0] when there is one. */
static const char sum_text[] = HEAD BODY
    " %init: f32 = const 0.0\n"
    " %s: f32 = reduce %z, %n, %init {%i: i64, %a: f32 ->\n  %v: f32 = load x[%i]\n  %b: f32 = fma %v, %v, %a\n  yield %b\n }"
    " {%a: f32, %b: f32 ->\n  %c: f32 = add %a, %b\n  yield %c\n }\n"
    " %d: f64 = convert %s\n"
    " parallel 1 %z, %n {%i: i64 ->\n  store out[%i], %d\n  yield\n }\n yield\n}\n";

/* Two accumulators, a combine of several operations: the largest value and its first index; with a check, so that terms come in order. */
static const char argmax_text[] = HEAD BODY
    " %low: f32 = const -1000.0\n %none: i64 = const -1\n"
    " %m: f32, %at: i64 = reduce %z, %n, %low, %none {%i: i64, %a: f32, %k: i64 ->\n"
    "  check_index %i, %n\n  %v: f32 = load x[%i]\n  %more: bool = gt %v, %a\n  %a2: f32 = select %more, %v, %a\n"
    "  %k2: i64 = select %more, %i, %k\n  yield %a2, %k2\n }"
    " {%a: f32, %k: i64, %b: f32, %l: i64 ->\n"
    "  %more: bool = gt %b, %a\n  %same: bool = eq %a, %b\n  %before: bool = lt %l, %k\n  %both: bool = and %same, %before\n"
    "  %right: bool = or %more, %both\n  %r: f32, %s: i64 = if %right {\n   yield %b, %l\n  } {\n   yield %a, %k\n  }\n  yield %r, %s\n }\n"
    " %d: f64 = convert %m\n"
    " parallel 1 %z, %n {%i: i64 ->\n  store out[%i], %d\n  store numbers[%i], %at\n  yield\n }\n yield\n}\n";

static const char scan_text[] = HEAD BODY
    " %init: f64 = const 0.5\n"
    " scan %z, %n, %init FLAG {%i: i64 ->\n  %v: f32 = load x[%i]\n  %w: f64 = convert %v\n  yield %w\n }"
    " {%a: f64, %b: f64 ->\n  %c: f64 = add %a, %b\n  yield %c\n }"
    " {%i: i64, %v: f64 ->\n  store out[%i], %v\n  yield\n }\n yield\n}\n";

Test(interpret, sums_in_lanes_order) { compare_all(sum_text); }
Test(interpret, argmax_with_two_accumulators) { compare_all(argmax_text); }

Test(interpret, scans) {
    char text[2048];
    const char *flag = strstr(scan_text, "FLAG");
    for (int exclusive = 0; exclusive < 2; exclusive++) {
        snprintf(text, sizeof text, "%.*s%s%s", (int)(flag - scan_text), scan_text, exclusive ? "!exclusive" : "", flag + 4);
        compare_all(text);
    }
}

Test(interpret, keep_of_two_arrays) {
    compare_all(
        "kernel k\narray x in f32 [%n]\narray out out f64 [%m]\narray numbers out i64 [%m]\n" BODY
        " %limit: f32 = const 10.0\n"
        " %m: i64 = keep [out, numbers] %z, %n {%i: i64 ->\n  %v: f32 = load x[%i]\n  %c: bool = gt %v, %limit\n"
        "  if %c {\n   %w: f64 = convert %v\n   push %w, %i\n   yield\n  } {\n   yield\n  }\n  yield\n }\n yield\n}\n");
}

Test(interpret, buffers_exchanged_in_a_loop) {
    for (int64_t n = 0; n < 70; n += 13)
        compare("kernel k\narray x in f32 [%n]\narray out out f64 [%n]\narray numbers inout i64 [%n]\narray t temp i64 [%n]\n" BODY
                " alloc t[%n]\n %steps: i64 = const 5\n"
                " for %z, %steps {%s: i64 ->\n"
                "  parallel 1 %z, %n {%i: i64 ->\n   %v: i64 = load numbers[%i]\n   %w: i64 = add %v, %s\n   %u: i64 = mul %w, %w\n"
                "   store t[%i], %u\n   yield\n  }\n  swap numbers, t\n  yield\n }\n"
                " parallel 1 %z, %n {%i: i64 ->\n  %v: i64 = load numbers[%i]\n  %d: f64 = convert %v\n  store out[%i], %d\n  yield\n }\n"
                " yield\n}\n",
                n);
}

Test(interpret, faults_are_the_lowest_point) {
    int32_t kind = compare("kernel k\nfile \"k.qn\"\narray x in f32 [%n]\narray out out f64 [%n]\narray numbers inout i64 [%n]\n" BODY
                           " %limit: i64 = const 990\n %d: f64 = const 1.0\n"
                           " parallel 1 %z, %n {%i: i64 ->\n  %v: i64 = load numbers[%i]\n  check_index %v, %limit @7:3+2\n"
                           "  store out[%i], %d\n  yield\n }\n yield\n}\n",
                           5000);
    cr_assert_eq(kind, QN__FAULT_INDEX);
}

Test(interpret, a_reduction_faults_at_its_first_bad_term) {
    int32_t kind = compare("kernel k\nfile \"k.qn\"\narray x in f32 [%n]\narray out out f64 [%n]\narray numbers inout i64 [%n]\n" BODY
                           " %limit: i64 = const 990\n"
                           " %s: i64 = reduce %one, %n, %z {%i: i64, %a: i64 ->\n  %v: i64 = load numbers[%i]\n"
                           "  check_index %v, %limit @7:3+2\n  %b: i64 = add %a, %v\n  yield %b\n }"
                           " {%a: i64, %b: i64 ->\n  %c: i64 = add %a, %b\n  yield %c\n }\n"
                           " store numbers[%z], %s\n yield\n}\n",
                           5000);
    cr_assert_eq(kind, QN__FAULT_INDEX);
}

/* --- host functions, cancellation --------------------------------------------------------------------------------- */

static double host(int8_t a, uint16_t b, float c, double d, bool e) { return a + b * 2 + (double)c * 3 + d * 5 + (e ? 100 : 0); }
static int16_t narrow(int32_t a) { return (int16_t)(a - 5); }

Test(interpret, host_functions) {
    qn__arena *arena = qn__arena_create(0);
    qn__ir *ir = read_ir(arena,
                         "kernel k\nextern host(i8, u16, f32, f64, bool) -> f64\nextern narrow(i32) -> i16\n"
                         "array x in f32 [%n]\narray out out f64 [%n]\narray numbers inout i64 [%n]\n" BODY
                         " %a: i8 = const -3\n %b: u16 = const 65535\n %c: f32 = const 0.5\n %d: f64 = const 0.25\n %t: bool = const true\n"
                         " %q: i32 = const -10\n"
                         " parallel 1 %z, %n {%i: i64 ->\n  %r: f64 = extern_call #0 host(%a, %b, %c, %d, %t)\n  store out[%i], %r\n"
                         "  %m: i16 = extern_call #1 narrow(%q)\n  %w: i64 = convert %m\n  store numbers[%i], %w\n  yield\n }\n yield\n}\n");
    trial *t = make_trial(3, 1);
    void *externs[2];
    double (*f)(int8_t, uint16_t, float, double, bool) = host;
    int16_t (*g)(int32_t) = narrow;
    memcpy(&externs[0], &f, sizeof f);
    memcpy(&externs[1], &g, sizeof g);
    t->frame.externs = externs;
    cr_assert_eq(interpret(ir, &t->frame), 0);
    cr_assert_eq(t->out[2], host(-3, 65535, 0.5F, 0.25, true));
    cr_assert_eq(t->numbers[2], -15);
    free(t);
    qn__arena_destroy(arena);
}

Test(interpret, endless_loops_stop, .timeout = 10) {
    qn__arena *arena = qn__arena_create(0);
    qn__ir *ir = read_ir(arena, HEAD BODY " %r: i64 = while %z {%i: i64 ->\n  %t: bool = ge %i, %z\n  yield %t\n } {%i: i64 ->\n"
                                          "  %j: i64 = xor %i, %one\n  yield %j\n }\n yield\n}\n");
    trial *t = make_trial(3, 1);
    t->frame.stop = &always;
    stop_kind = QN__FAULT_CANCELLED;
    cr_assert_eq(interpret(ir, &t->frame), QN__FAULT_CANCELLED);
    cr_assert_eq(t->frame.fault.kind, QN__FAULT_CANCELLED);
    free(t);
    qn__arena_destroy(arena);
}
