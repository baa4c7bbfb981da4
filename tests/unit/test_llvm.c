/* The CPU backend against the interpreter: kernels given as IR text run on both, at widths 1 to 64 and at sizes around the
 * widths, the reduction rows and the chunks; every array and the fault must agree to the bit (NaNs as NaNs).
 *
 * Arrays end at an inaccessible page, so that a read or write past an end kills the test. Inputs are made from a seed and
 * hold the special values of their type. */
#include "compiler/bytecode.h"
#include "compiler/llvm/emit.h"
#include "compiler/llvm/orc.h"
#include "ir/passes.h"
#include "runtime/engine.h"
#include "tests/support/random_ir.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_ARRAYS = 12, MAX_SIZES = 4 };

typedef struct buffer { unsigned char *base; size_t mapped; unsigned char *data; size_t bytes; } buffer;

typedef struct bench_run {
    const qn__ir *ir;
    qn__frame frame;
    qn__view views[MAX_ARRAYS];
    buffer buffers[MAX_ARRAYS];
    uint64_t scalars[MAX_SIZES];
    int64_t sizes[MAX_SIZES];
    int64_t polls_left;
} bench_run;

/* ---- memory with a guard page behind it ---- */

static void get_buffer(buffer *b, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    b->mapped = body + page;
    b->base = mmap(NULL, b->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq((void *)b->base, MAP_FAILED);
    cr_assert_eq(mprotect(b->base + body, page, PROT_NONE), 0);
    b->bytes = bytes;
    b->data = b->base + body - bytes;
}

static void drop_buffer(buffer *b) {
    if (b->base) munmap(b->base, b->mapped);
    *b = (buffer){0};
}

static const int32_t never;
static const volatile int32_t *const no_stop = &never;

static int32_t allocate(qn__frame *frame, uint32_t array, const int64_t *extents) {
    bench_run *run = frame->runtime;
    const qn__array *a = &run->ir->arrays[array];
    int64_t count = 1;
    for (uint32_t d = a->rank; d-- > 0;) {
        run->views[array].extent[d] = extents[d];
        run->views[array].stride[d] = count;
        count *= extents[d];
    }
    drop_buffer(&run->buffers[array]);
    get_buffer(&run->buffers[array], (size_t)count * qn__type_bytes((qn__type)a->type));
    run->views[array].data = run->buffers[array].data;
    return 0;
}

static int32_t poll(qn__frame *frame) {
    bench_run *run = frame->runtime;
    return run->polls_left-- > 0 ? 0 : QN__FAULT_CANCELLED;
}

static const qn__services services = {allocate, poll};

/* ---- extents: expressions of sizes at the head of the kernel ---- */

static int64_t evaluate(const bench_run *run, qn__value v) {
    const qn__instr *instr = qn__definition(run->ir, v);
    cr_assert_not_null(instr);
    if (instr->op == QN__OP_CONST) return (int64_t)instr->imm;
    if (instr->op == QN__OP_SIZE) return run->sizes[instr->imm];
    if (instr->op == QN__OP_PARAM) return (int64_t)run->scalars[instr->imm];
    int64_t a = evaluate(run, instr->args[0]), b = evaluate(run, instr->args[1]);
    if (instr->op == QN__OP_ADD) return a + b;
    if (instr->op == QN__OP_SUB) return a - b;
    cr_assert_eq(instr->op, QN__OP_MUL);
    return a * b;
}

/* ---- input data ---- */

static uint64_t state;
static uint64_t random_bits(void) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return state ^ (state >> 29);
}

static uint64_t special(qn__type type, uint64_t r) {
    static const uint64_t f64[] = {0, 1ull << 63, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 1,
                                   0x3ff0000000000000, 0xbff0000000000000, 0x43e0000000000000, 0x7fefffffffffffff,
                                   0x3fe0000000000000, 0x4004000000000000, 0x40effc0000000000, 0x3e70000000000000};
    static const uint64_t f32[] = {0, 1u << 31, 0x7f800000, 0xff800000, 0x7fc00000, 1, 0x3f800000, 0xbf800000,
                                   0x4f000000, 0x7f7fffff, 0x3f000000, 0x40200000, 0x477fefff, 0x33800000};
    static const uint64_t f16[] = {0, 0x8000, 0x7c00, 0xfc00, 0x7e00, 1, 0x3c00, 0xbc00, 0x7bff, 0x3ff, 0x400, 0x8001, 0x3800, 0x4100};
    static const uint64_t bf16[] = {0, 0x8000, 0x7f80, 0xff80, 0x7fc0, 1, 0x3f80, 0xbf80, 0x7f7f, 0x7f, 0x80, 0x8001, 0x3f00, 0x4020};
    static const uint64_t ints[] = {0, 1, ~0ull, 2, 1ull << 63, 1ull << 31, 1ull << 15, 1ull << 7, ~0ull >> 1, ~0ull >> 33,
                                    ~0ull >> 49, ~0ull >> 57, 63, 33};
    uint64_t at = r % 14;
    if (type == QN__TYPE_F64) return f64[at];
    if (type == QN__TYPE_F32) return f32[at];
    if (type == QN__TYPE_F16) return f16[at];
    if (type == QN__TYPE_BF16) return bf16[at];
    return ints[at];
}

/* Sober values make sums that mean something; wild ones are any bits. */
static uint64_t value_bits(qn__type type, bool wild) {
    uint64_t r = random_bits();
    if (type == QN__TYPE_BOOL) return r >> 33 & 1;
    if (wild && r % 3 == 0) return special(type, r >> 8);
    if (wild && r % 3 == 1) return random_bits();
    double x = (double)(int64_t)(r >> 40) / 65536.0 - 100.0;
    float f = (float)x;
    uint64_t bits = 0;
    if (type == QN__TYPE_F64) memcpy(&bits, &x, sizeof x);
    else if (type == QN__TYPE_F32) memcpy(&bits, &f, sizeof f);
    else if (type == QN__TYPE_BF16) memcpy(&bits, &f, sizeof f), bits >>= 16;
    else if (type == QN__TYPE_F16) bits = 0x3c00 + (r >> 50);
    else bits = (r >> 40) % 100;
    return bits;
}

static void fill(const qn__array *a, unsigned char *data, int64_t count, bool wild) {
    size_t bytes = qn__type_bytes((qn__type)a->type);
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits = a->kind == QN__ARRAY_OUT ? 0 : value_bits((qn__type)a->type, wild);
        memcpy(data + (size_t)i * bytes, &bits, bytes);
    }
}

/* ---- running ---- */

typedef struct setting { int64_t sizes[MAX_SIZES]; uint64_t scalars[MAX_SIZES]; bool wild; int64_t cancel_after; } setting;

static void set_up(bench_run *run, const qn__ir *ir, const setting *s, const int32_t *stop, void *const *externs) {
    *run = (bench_run){.ir = ir, .polls_left = s->cancel_after};
    memcpy(run->sizes, s->sizes, sizeof run->sizes);
    memcpy(run->scalars, s->scalars, sizeof run->scalars);
    run->frame = (qn__frame){.scalars = run->scalars, .sizes = run->sizes, .views = run->views, .externs = externs,
                             .stop = stop ? stop : no_stop, .services = &services, .end = INT64_MAX, .runtime = run};
    state = 12345;
    for (uint32_t i = 0; i < ir->array_count; i++) {
        const qn__array *a = &ir->arrays[i];
        if (a->kind == QN__ARRAY_TEMP) continue;
        const qn__instr *first = a->rank ? qn__definition(ir, a->extent[0]) : NULL;
        if (first && first->op == QN__OP_KEEP) continue;
        int64_t extents[QN__MAX_RANK] = {0}, count = 1;
        for (uint32_t d = 0; d < a->rank; d++) count *= extents[d] = evaluate(run, a->extent[d]);
        allocate(&run->frame, i, extents);
        fill(a, run->views[i].data, count, s->wild);
    }
}

static void tear_down(bench_run *run) {
    for (uint32_t i = 0; i < MAX_ARRAYS; i++) drop_buffer(&run->buffers[i]);
}

static bool is_nan(qn__type type, uint64_t bits) {
    if (type == QN__TYPE_F64) return (bits & ~(1ull << 63)) > 0x7ff0000000000000;
    if (type == QN__TYPE_F32) return (bits & 0x7fffffff) > 0x7f800000;
    if (type == QN__TYPE_F16) return (bits & 0x7fff) > 0x7c00;
    return type == QN__TYPE_BF16 && (bits & 0x7fff) > 0x7f80;
}

static bool same_array(const qn__array *a, const buffer *x, const buffer *y, size_t *where, uint64_t *got, uint64_t *wanted) {
    size_t bytes = qn__type_bytes((qn__type)a->type);
    if (x->bytes != y->bytes) return *where = SIZE_MAX, false;
    for (size_t i = 0; i < x->bytes; i += bytes) {
        *got = *wanted = 0;
        memcpy(wanted, x->data + i, bytes);
        memcpy(got, y->data + i, bytes);
        if (*got == *wanted || (is_nan((qn__type)a->type, *got) && is_nan((qn__type)a->type, *wanted))) continue;
        return *where = i / bytes, false;
    }
    return true;
}

static void compare(const bench_run *x, const bench_run *y, int32_t kind_x, int32_t kind_y, const char *what) {
    cr_assert_eq(kind_x, kind_y, "%s: %s: fault %d, not %d", x->ir->name, what, kind_y, kind_x);
    if (kind_x) {
        const qn__fault *a = &x->frame.fault, *b = &y->frame.fault;
        cr_assert_eq(a->kind, b->kind, "%s: %s: kind", x->ir->name, what);
        if (a->kind >= QN__FAULT_CANCELLED) return; /* where a poll stands is the engine's choice */
        cr_assert_eq(a->location, b->location, "%s: %s: location %u, not %u", x->ir->name, what, b->location, a->location);
        cr_assert_eq(a->iteration, b->iteration, "%s: %s: iteration %ld, not %ld", x->ir->name, what, (long)b->iteration, (long)a->iteration);
        cr_assert(a->index == b->index && a->extent == b->extent, "%s: %s: index %ld of %ld, not %ld of %ld", x->ir->name, what,
                  (long)b->index, (long)b->extent, (long)a->index, (long)a->extent);
        return;
    }
    for (uint32_t i = 0; i < x->ir->array_count; i++) {
        size_t where = 0;
        uint64_t got = 0, wanted = 0;
#ifdef ON_DEVICE
        if (x->ir->arrays[i].kind == QN__ARRAY_TEMP) continue; /* stays there */
#endif
        cr_assert(same_array(&x->ir->arrays[i], &x->buffers[i], &y->buffers[i], &where, &got, &wanted),
                  "%s: %s: %s[%zu] is %lx, not %lx", x->ir->name, what, x->ir->arrays[i].name, where, (unsigned long)got,
                  (unsigned long)wanted);
    }
}

#ifndef ON_DEVICE
static qn__loader *loader(void) {
    static qn__loader *one;
    const char *message = NULL;
    if (!one) one = qn__orc_loader_create(&message);
    cr_assert_not_null(one, "%s", message);
    return one;
}
#endif

#ifdef ON_DEVICE

/* test_llvm_device.c includes this file: all of it on a GPU, in place of the processor. */
typedef struct native { qn__image image; qn__loaded loaded; char what[48]; } native;

static void compile(const qn__ir *ir, uint32_t width, uint32_t level, const char *features, native *out) {
    static const uint32_t targets[] = {90, 75, 80}; /* three ways to expand what hardware lacks; the emulator takes what its own SM can run */
    (void)level, (void)features;
    qn__cuda_error error;
    const char *message = NULL;
    qn__cuda_device *device = test_device();
    const uint32_t most = qn__cuda_properties_of(device)->sm, wish = targets[width % 3];
    const qn__gpu_options options = {.sm = wish < most ? wish : most, .verify = true};
    snprintf(out->what, sizeof out->what, "cuda sm_%u", options.sm);
    cr_assert(qn__gpu_emit(ir, &options, &out->image, &message), "%s: %s", ir->name, message);
    cr_assert(qn__cuda_load(&out->loaded, &out->image, device, &error), "%s: %s", ir->name, error.text);
}

static int32_t run_native(const native *n, qn__frame *frame) {
    qn__device_call call = {0};
    frame->device = &call;
    const int32_t kind = n->loaded.engine->run(&n->loaded, frame);
    cr_assert_neq(kind, QN__FAULT_DEVICE, "%s", call.text);
    return kind;
}

static void drop_native(native *n) { qn__kernel_unload(&n->loaded); }

#else

typedef struct native { qn__entry entry; void *handle; char what[48]; } native;

static int32_t run_native(const native *n, qn__frame *frame) { return n->entry(frame); }
static void drop_native(native *n) { loader()->unload(loader()->self, n->handle); }

static void compile(const qn__ir *ir, uint32_t width, uint32_t level, const char *features, native *out) {
    qn__llvm_options options = {.width = width, .level = level, .verify = true};
    if (features) options.cpu = "x86-64", options.features = features;
    qn__image image;
    const char *message = NULL;
    snprintf(out->what, sizeof out->what, "width %u level %u %.16s", width, level, features ? features : "host");
    cr_assert(qn__llvm_emit(ir, &options, &image, &message), "%s: %s: %s", ir->name, out->what, message);
    out->entry = loader()->load(loader()->self, &image, &out->handle, &message);
    cr_assert_not_null((void *)(uintptr_t)out->entry, "%s: %s: %s", ir->name, out->what, message);
}

#endif

typedef struct subject { qn__arena *arena; qn__ir *ir; qn__image bytecode; native natives[8]; uint32_t count; } subject;

static void open_subject(subject *s, const char *text, bool widths) {
    const char *message = NULL;
    *s = (subject){.arena = qn__arena_create(0)};
    s->ir = qn__ir_read(s->arena, text, strlen(text), &message);
    cr_assert_not_null(s->ir, "%s\n%s", message, text);
    qn__text report = QN__TEXT_EMPTY;
    cr_assert(qn__verify(s->ir, &report), "%s: %s", s->ir->name, qn__text_bytes(&report));
    qn__text_free(&report);
    cr_assert(qn__bytecode_emit(s->ir, &s->bytecode, &message), "%s: %s", s->ir->name, message);
    compile(s->ir, 1, 1, NULL, &s->natives[s->count++]);
    compile(s->ir, 8, 1, NULL, &s->natives[s->count++]);
    if (!widths) return;
    compile(s->ir, 0, 1, NULL, &s->natives[s->count++]);
    compile(s->ir, 4, 2, NULL, &s->natives[s->count++]);
    compile(s->ir, 16, 0, NULL, &s->natives[s->count++]);
    compile(s->ir, 4, 1, "", &s->natives[s->count++]);
}

static void close_subject(subject *s) {
    for (uint32_t i = 0; i < s->count; i++) drop_native(&s->natives[i]);
    qn__arena_destroy(s->arena);
}

static int32_t agree_with(subject *s, const setting *how, const int32_t *stop, void *const *externs) {
    bench_run oracle;
    set_up(&oracle, s->ir, how, stop, externs);
    int32_t wanted = qn__interpret(&s->bytecode, &oracle.frame);
    for (uint32_t i = 0; i < s->count; i++) {
        bench_run run;
        char what[96];
        snprintf(what, sizeof what, "%s n %ld", s->natives[i].what, (long)how->sizes[0]);
        set_up(&run, s->ir, how, stop, externs);
        compare(&oracle, &run, wanted, run_native(&s->natives[i], &run.frame), what);
        tear_down(&run);
    }
    tear_down(&oracle);
    return wanted;
}

static const int64_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 127, 129, 1000, 4095, 4096, 4097, 8192, 20011};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* At all sizes, with sober and wild data. */
static void agree(const char *text) {
    subject s;
    open_subject(&s, text, true);
    int32_t last = SIZES;
    for (uint32_t i = 0; i < s.ir->array_count; i++)
        if (s.ir->arrays[i].rank > 1) last = SIZES - 2;
    for (int32_t i = 0; i < 2 * last; i++) {
        setting how = {.sizes = {sizes[i / 2], 13}, .wild = i & 1};
        agree_with(&s, &how, NULL, NULL);
    }
    close_subject(&s);
}

/* ---- every operation on every type ---- */

static const qn__type all_types[] = {QN__TYPE_BOOL, QN__TYPE_I8, QN__TYPE_I16, QN__TYPE_I32, QN__TYPE_I64, QN__TYPE_U8, QN__TYPE_U16,
                                     QN__TYPE_U32, QN__TYPE_U64, QN__TYPE_F16, QN__TYPE_BF16, QN__TYPE_F32, QN__TYPE_F64};
enum { TYPES = sizeof all_types / sizeof *all_types };

static bool defined_on(qn__op op, qn__type type) {
    bool real = type == QN__TYPE_F32 || type == QN__TYPE_F64, integer = qn__is_int(type), truth = type == QN__TYPE_BOOL;
    switch ((int)op) {
    case QN__OP_REM: case QN__OP_SHL: case QN__OP_SHR: case QN__OP_POPCOUNT: case QN__OP_CLZ: case QN__OP_CTZ: return integer;
    case QN__OP_AND: case QN__OP_OR: case QN__OP_XOR: case QN__OP_NOT: return integer || truth;
    case QN__OP_COPYSIGN: case QN__OP_FMA: case QN__OP_SQRT: case QN__OP_FLOOR: case QN__OP_CEIL: case QN__OP_TRUNC:
    case QN__OP_RINT: return real;
    case QN__OP_EQ: case QN__OP_NE: return real || integer || truth;
    default: return real || integer;
    }
}

static void operation(qn__op op, qn__type type) {
    const qn__op_info *info = &qn__op_table[op];
    const char *t = qn__type_table[type].name, *r = info->rule == QN__RULE_CMP ? "bool" : t;
    static const char *const operands[] = {"", "%x", "%x, %y", "%x, %y, %w"};
    char text[1200];
    snprintf(text, sizeof text,
             "kernel %s_%s\narray x in %s [%%n]\narray y in %s [%%n]\narray w in %s [%%n]\narray z out %s [%%n]\n"
             "body {\n%%n: i64 = size 0\n%%zero: i64 = const 0\nparallel 1 %%zero, %%n {%%i: i64 ->\n"
             "%%x: %s = load x[%%i]\n%%y: %s = load y[%%i]\n%%w: %s = load w[%%i]\n%%r: %s = %s %s\n"
             "store z[%%i], %%r\nyield\n}\nyield\n}\n",
             info->name, t, t, t, t, r, t, t, t, r, info->name, operands[info->args]);
    subject s;
    open_subject(&s, text, false);
    compile(s.ir, 4, 1, "", &s.natives[s.count++]);
    setting how = {.sizes = {1003}, .wild = true};
    agree_with(&s, &how, NULL, NULL);
    close_subject(&s);
}

static void operations_of(qn__type type) {
    for (int op = QN__OP_ADD; op <= QN__OP_GE; op++)
        if (defined_on((qn__op)op, type)) operation((qn__op)op, type);
}

Test(llvm_ops, bool_ops) { operations_of(QN__TYPE_BOOL); }
Test(llvm_ops, i8_ops) { operations_of(QN__TYPE_I8); }
Test(llvm_ops, i16_ops) { operations_of(QN__TYPE_I16); }
Test(llvm_ops, i32_ops) { operations_of(QN__TYPE_I32); }
Test(llvm_ops, i64_ops) { operations_of(QN__TYPE_I64); }
Test(llvm_ops, u8_ops) { operations_of(QN__TYPE_U8); }
Test(llvm_ops, u16_ops) { operations_of(QN__TYPE_U16); }
Test(llvm_ops, u32_ops) { operations_of(QN__TYPE_U32); }
Test(llvm_ops, u64_ops) { operations_of(QN__TYPE_U64); }
Test(llvm_ops, f32_ops) { operations_of(QN__TYPE_F32); }
Test(llvm_ops, f64_ops) { operations_of(QN__TYPE_F64); }

static void conversions_from(qn__type from) {
    for (int i = 0; i < TYPES; i++) {
        char text[600];
        const char *f = qn__type_table[from].name, *t = qn__type_table[all_types[i]].name;
        if (from == all_types[i]) continue;
        snprintf(text, sizeof text,
                 "kernel convert_%s_%s\narray x in %s [%%n]\narray z out %s [%%n]\nbody {\n%%n: i64 = size 0\n%%zero: i64 = const 0\n"
                 "parallel 1 %%zero, %%n {%%i: i64 ->\n%%x: %s = load x[%%i]\n%%r: %s = convert %%x\nstore z[%%i], %%r\nyield\n}\nyield\n}\n",
                 f, t, f, t, f, t);
        subject s;
        open_subject(&s, text, false);
        compile(s.ir, 4, 1, "", &s.natives[s.count++]);
        setting how = {.sizes = {4003}, .wild = true};
        agree_with(&s, &how, NULL, NULL);
        close_subject(&s);
    }
}

Test(llvm_convert, small_ints) { for (int i = 0; i < 3; i++) conversions_from(all_types[i]); }
Test(llvm_convert, signed_ints) { for (int i = 3; i < 5; i++) conversions_from(all_types[i]); }
Test(llvm_convert, unsigned_ints) { for (int i = 5; i < 9; i++) conversions_from(all_types[i]); }
Test(llvm_convert, halves) { for (int i = 9; i < 11; i++) conversions_from(all_types[i]); }
Test(llvm_convert, reals) { for (int i = 11; i < 13; i++) conversions_from(all_types[i]); }

/* ---- stages ---- */

#define HEAD "%n: i64 = size 0\n%m: i64 = size 1\n%zero: i64 = const 0\n%one: i64 = const 1\n"

Test(llvm, saxpy) {
    agree("kernel saxpy\narray x in f32 [%n]\narray y in f32 [%n]\narray z out f32 [%n]\nbody {\n" HEAD
          "%a: f32 = param 0\nparallel 1 %zero, %n {%i: i64 ->\n%x: f32 = load x[%i]\n%y: f32 = load y[%i]\n"
          "%r: f32 = fma %a, %x, %y\nstore z[%i], %r\nyield\n}\nyield\n}\n");
}

Test(llvm, strided_and_reversed) {
    agree("kernel strided\narray x in f64 [%n2]\narray z out f64 [%n]\nbody {\n" HEAD
          "%two: i64 = const 2\n%n2: i64 = mul %n, %two\n%last: i64 = sub %n, %one\nparallel 1 %zero, %n {%i: i64 ->\n"
          "%j: i64 = mul %i, %two\n%x: f64 = load x[%j]\n%k: i64 = sub %last, %i\n%y: f64 = load x[%k]\n"
          "%r: f64 = add %x, %y\nstore z[%k], %r\nyield\n}\nyield\n}\n");
}

Test(llvm, stencil_with_a_border) {
    agree("kernel stencil\narray u in f32 [%n, %m]\narray v out f32 [%n, %m]\nbody {\n" HEAD
          "%nn: i64 = sub %n, %one\n%mm: i64 = sub %m, %one\n"
          "parallel 2 %zero, %n, %zero, %m, %one, %nn, %one, %mm {%i: i64, %j: i64 ->\n"
          "%up: i64 = sub %i, %one\n%left: i64 = sub %j, %one\n%right: i64 = add %j, %one\n"
          "%a: f32 = load u[%up, %j]\n%b: f32 = load u[%i, %left]\n%c: f32 = load u[%i, %right]\n"
          "%s: f32 = add %a, %b\n%t: f32 = add %s, %c\nstore v[%i, %j], %t\nyield\n} {%k: i64, %l: i64 ->\n"
          "%x: f32 = load u[%k, %l]\nstore v[%k, %l], %x\nyield\n}\nyield\n}\n");
}

Test(llvm, transposed_reads_and_writes) {
    agree("kernel transpose\narray u in i32 [%n, %m]\narray v out i32 [%m, %n]\nbody {\n" HEAD
          "parallel 2 %zero, %m, %zero, %n {%i: i64, %j: i64 ->\n%x: i32 = load u[%j, %i]\nstore v[%i, %j], %x\nyield\n}\nyield\n}\n");
}

Test(llvm, varying_while_and_if) {
    agree("kernel collatz\narray x in i32 [%n]\narray z out i32 [%n]\narray w inout i32 [%n]\nbody {\n" HEAD
          "%i1: i32 = const 1\n%i2: i32 = const 2\n%i3: i32 = const 3\n%i0: i32 = const 0\n%most: i32 = const 40\n"
          "parallel 1 %zero, %n {%i: i64 ->\n%x: i32 = load x[%i]\n"
          "%v: i32, %steps: i32 = while %x, %i0 {%a: i32, %k: i32 ->\n%c: bool = gt %a, %i1\n%d: bool = lt %k, %most\n"
          "%go: bool = and %c, %d\nyield %go\n} {%b: i32, %l: i32 ->\n%low: i32 = and %b, %i1\n%odd: bool = ne %low, %i0\n"
          "%next: i32 = if %odd {\n%t: i32 = mul %b, %i3\n%u: i32 = add %t, %i1\n%old: i32 = load w[%i]\n%new: i32 = add %old, %i1\n"
          "store w[%i], %new\nyield %u\n} {\n%h: i32 = div %b, %i2\nyield %h\n}\n%more: i32 = add %l, %i1\nyield %next, %more\n}\n"
          "%s: i32 = add %steps, %v\nstore z[%i], %s\nyield\n}\nyield\n}\n");
}

Test(llvm, varying_bounds) {
    agree("kernel ragged\narray x in u8 [%n]\narray y in f32 [%k]\narray z out f32 [%n]\nbody {\n" HEAD "%k: i64 = const 300\n"
          "%start: f32 = const 0.0\nparallel 1 %zero, %n {%i: i64 ->\n%a: u8 = load x[%i]\n%hi: i64 = convert %a\n%seven: i64 = const 7\n"
          "%lo: i64 = and %hi, %seven\n%s: f32 = for %lo, %hi, %start {%p: i64, %acc: f32 ->\n%v: f32 = load y[%p]\n"
          "%sum: f32 = add %acc, %v\nyield %sum\n}\n%t: f32 = for %zero, %hi, %s {%q: i64, %bcc: f32 ->\n%w: f32 = load y[%q]\n"
          "%dif: f32 = sub %bcc, %w\nyield %dif\n}\nstore z[%i], %t\nyield\n}\nyield\n}\n");
}

Test(llvm, local_arrays) {
    agree("kernel median\narray x in i32 [%n]\narray z out i32 [%n]\nlocal w i32 8\nlocal f bool 8\nbody {\n" HEAD
          "%eight: i64 = const 8\n%seven: i64 = const 7\nparallel 1 %zero, %n {%i: i64 ->\nlocal_zero #0\nlocal_zero #1\n%x: i32 = load x[%i]\n"
          "for %zero, %eight {%p: i64 ->\n%p2: i32 = convert %p\n%v: i32 = xor %x, %p2\nlocal_store #0[%p], %v\nyield\n}\n"
          "%x64: i64 = convert %x\n%at: i64 = and %x64, %seven\nlocal_store #0[%at], %x\n%yes: bool = const true\nlocal_store #1[%at], %yes\n"
          "%k: i64 = xor %at, %seven\n%a: i32 = local_load #0[%k]\n%flag: bool = local_load #1[%k]\n%b: i32 = local_load #0[%zero]\n"
          "%c: i32 = add %a, %b\n%big: bool = gt %x, %c\nif %big {\nlocal_store #0[%one], %c\nlocal_store #0[%at], %b\n%again: i32 = local_load #0[%k]\n"
          "store z[%i], %again\nyield\n} {\n%e: i32 = local_load #0[%one]\n%g: i32 = select %flag, %e, %c\nstore z[%i], %g\nyield\n}\nyield\n}\nyield\n}\n");
}

Test(llvm, scatter_in_order) {
    agree("kernel histogram\narray x in u8 [%n]\narray v in f32 [%n]\narray h inout f32 [%k]\nbody {\n" HEAD "%k: i64 = const 256\n"
          "%limit: f32 = const 0.0\nparallel 1 %zero, %n {%i: i64 ->\n%b: u8 = load x[%i]\n%at: i64 = convert %b\n%v: f32 = load v[%i]\n"
          "%c: bool = gt %v, %limit\nif %c {\naccumulate.add h[%at], %v\nyield\n} {\nyield\n}\naccumulate.max h[%zero], %v\nyield\n}\nyield\n}\n");
}

/* ---- reductions ---- */

Test(llvm_reduce, sum) {
    agree("kernel sum\narray x in f32 [%n]\narray z out f32 []\nbody {\n" HEAD "%init: f32 = const 0.0\n"
          "%s: f32 = reduce %zero, %n, %init {%t: i64, %acc: f32 ->\n%x: f32 = load x[%t]\n%r: f32 = add %acc, %x\nyield %r\n} "
          "{%a: f32, %b: f32 ->\n%c: f32 = add %a, %b\nyield %c\n}\nstore z[], %s\nyield\n}\n");
}

Test(llvm_reduce, conditional_and_two_accumulators) {
    agree("kernel argmax\narray x in f64 [%n]\narray z out f64 []\narray w out i64 []\narray any out bool []\nbody {\n" HEAD "%init: f64 = const -inf\n"
          "%none: i64 = const -1\n%no: bool = const false\n%limit: f64 = const 20.0\n"
          "%s: f64, %p: i64, %q: bool = reduce %zero, %n, %init, %none, %no {%t: i64, %acc: f64, %at: i64, %hit: bool ->\n%x: f64 = load x[%t]\n"
          "%g: bool = gt %x, %acc\n%r: f64 = select %g, %x, %acc\n%u: i64 = select %g, %t, %at\n%l: bool = lt %x, %limit\n%h: bool = or %hit, %l\n"
          "yield %r, %u, %h\n} {%a: f64, %ai: i64, %ah: bool, %b: f64, %bi: i64, %bh: bool ->\n%gg: bool = gt %b, %a\n%c: f64 = select %gg, %b, %a\n"
          "%ci: i64 = select %gg, %bi, %ai\n%ch: bool = or %ah, %bh\nyield %c, %ci, %ch\n}\nstore z[], %s\nstore w[], %p\nstore any[], %q\nyield\n}\n");
}

Test(llvm_reduce, in_rows) {
    agree("kernel rows\narray x in f32 [%m, %n]\narray z out f32 [%m]\nbody {\n" HEAD "%init: f32 = const 0.0\n"
          "parallel 1 %zero, %m {%i: i64 ->\n"
          "%s: f32 = reduce %zero, %n, %init {%t: i64, %acc: f32 ->\n%x: f32 = load x[%i, %t]\n%r: f32 = fma %x, %x, %acc\nyield %r\n} "
          "{%a: f32, %b: f32 ->\n%c: f32 = add %a, %b\nyield %c\n}\nstore z[%i], %s\nyield\n}\nyield\n}\n");
}

Test(llvm_reduce, nested) {
    agree("kernel nested\narray x in f32 [%n, %m]\narray z out f32 []\nbody {\n" HEAD "%init: f32 = const 0.0\n"
          "%s: f32 = reduce %zero, %n, %init {%i: i64, %outer: f32 ->\n"
          "%in: f32 = reduce %zero, %m, %init {%t: i64, %acc: f32 ->\n%x: f32 = load x[%i, %t]\n%r: f32 = add %x, %acc\nyield %r\n} "
          "{%a: f32, %b: f32 ->\n%c: f32 = add %a, %b\nyield %c\n}\n%o: f32 = add %outer, %in\nyield %o\n} "
          "{%d: f32, %e: f32 ->\n%f: f32 = add %d, %e\nyield %f\n}\nstore z[], %s\nyield\n}\n");
}

static void long_body(int length) {
    char text[12000], *at = text, *end = text + sizeof text;
    at += snprintf(at, (size_t)(end - at), "kernel long_body\narray x in f32 [%%n]\narray z out f32 []\nbody {\n%%n: i64 = size 0\n%%zero: i64 = const 0\n"
                   "%%init: f32 = const 0.0\n%%s: f32 = reduce %%zero, %%n, %%init {%%t: i64, %%acc: f32 ->\n%%v0: f32 = load x[%%t]\n");
    for (int i = 0; i < length; i++) at += snprintf(at, (size_t)(end - at), "%%v%d: f32 = fma %%v%d, %%v0, %%v0\n", i + 1, i);
    snprintf(at, (size_t)(end - at), "%%r: f32 = add %%acc, %%v%d\nyield %%r\n} {%%a: f32, %%b: f32 ->\n%%c: f32 = add %%a, %%b\nyield %%c\n}\nstore z[], %%s\nyield\n}\n", length);
    agree(text);
}

Test(llvm_reduce, long_body_in_rows) { long_body(60); }
Test(llvm_reduce, long_body_under_masks) { long_body(150); }

Test(llvm_mixed, long_points_under_masks) {
    char text[12000], *at = text, *end = text + sizeof text;
    at += snprintf(at, (size_t)(end - at), "kernel long_points\narray x in f64 [%%n]\narray w in i32 [%%n]\narray z inout f64 [%%n]\nbody {\n%%n: i64 = size 0\n%%zero: i64 = const 0\n%%i0: i32 = const 0\n"
                   "parallel 1 %%zero, %%n {%%i: i64 ->\n%%v0: f64 = load x[%%i]\n");
    for (int i = 0; i < 120; i++) at += snprintf(at, (size_t)(end - at), "%%v%d: f64 = fma %%v%d, %%v0, %%v0\n", i + 1, i);
    snprintf(at, (size_t)(end - at), "%%w: i32 = load w[%%i]\n%%c: bool = gt %%w, %%i0\nif %%c {\nstore z[%%i], %%v120\nyield\n} {\nyield\n}\nyield\n}\nyield\n}\n");
    agree(text);
}

/* ---- scan, keep ---- */

static void scan_case(const char *flag) {
    char text[1200];
    snprintf(text, sizeof text, "kernel scan\narray x in f32 [%%n]\narray z out f32 [%%n]\nbody {\n%%n: i64 = size 0\n%%zero: i64 = const 0\n"
             "%%init: f32 = const 0.0\nscan %%zero, %%n, %%init%s {%%t: i64 ->\n%%x: f32 = load x[%%t]\nyield %%x\n} "
             "{%%a: f32, %%b: f32 ->\n%%c: f32 = add %%a, %%b\nyield %%c\n} {%%i: i64, %%v: f32 ->\nstore z[%%i], %%v\nyield\n}\nyield\n}\n", flag);
    agree(text);
}

Test(llvm, scan) { scan_case(""); }
Test(llvm, exscan) { scan_case(" !exclusive"); }

Test(llvm, keep) {
    agree("kernel above\narray x in f64 [%n]\narray y out f64 [%k]\narray at out i64 [%k]\nbody {\n" HEAD "%limit: f64 = const 20.0\n"
          "%k: i64 = keep [y, at] %zero, %n {%i: i64 ->\n%x: f64 = load x[%i]\n%c: bool = gt %x, %limit\nif %c {\npush %x, %i\nyield\n} {\nyield\n}\nyield\n}\nyield\n}\n");
}

Test(llvm, stages_in_a_loop_with_swap) {
    agree("kernel heat\narray u in f32 [%n]\narray a temp f32 [%n]\narray b temp f32 [%n]\narray z out f32 [%n]\nbody {\n" HEAD
          "%steps: i64 = const 5\n%half: f32 = const 0.5\nalloc a[%n]\nalloc b[%n]\nparallel 1 %zero, %n {%i: i64 ->\n%x: f32 = load u[%i]\nstore a[%i], %x\nyield\n}\n"
          "for %zero, %steps {%t: i64 ->\nparallel 1 %zero, %n, %one, %n {%j: i64 ->\n%k: i64 = sub %j, %one\n%p: f32 = load a[%k]\n%q: f32 = load a[%j]\n"
          "%s: f32 = add %p, %q\n%h: f32 = mul %s, %half\nstore b[%j], %h\nyield\n} {%l: i64 ->\n%r: f32 = load a[%l]\nstore b[%l], %r\nyield\n}\nswap a, b\nyield\n}\n"
          "parallel 1 %zero, %n {%o: i64 ->\n%y: f32 = load a[%o]\nstore z[%o], %y\nyield\n}\nyield\n}\n");
}

/* ---- mixtures ---- */

Test(llvm_mixed, break_flags_and_stores_in_loops) {
    agree("kernel flags\narray x in i32 [%n]\narray z out i32 [%n]\narray w inout i64 [%n]\nbody {\n" HEAD "%i0: i32 = const 0\n%i1: i32 = const 1\n"
          "%seven: i32 = const 7\n%fifty: i32 = const 50\n%yes: bool = const true\nparallel 1 %zero, %n {%i: i64 ->\n%x: i32 = load x[%i]\n%c0: bool = lt %x, %fifty\n"
          "%r: i32 = if %c0 {\n%v: i32, %go: bool = while %i0, %yes {%a: i32, %g: bool ->\nyield %g\n} {%b: i32, %h: bool ->\n"
          "%s: i32 = add %x, %b\n%md: i32 = rem %s, %seven\n%stop: bool = eq %md, %i0\n%ng: bool = if %stop {\n%no: bool = const false\nstore w[%i], %i\nyield %no\n} {\n"
          "%old: i64 = load w[%i]\n%new: i64 = add %old, %one\nstore w[%i], %new\nyield %h\n}\n%b1: i32 = add %b, %i1\nyield %b1, %ng\n}\n"
          "%t: i32 = select %go, %x, %v\nyield %t\n} {\nyield %x\n}\nstore z[%i], %r\nyield\n}\nyield\n}\n");
}

Test(llvm_mixed, nested_loops) {
    agree("kernel loops\narray x in u8 [%n]\narray z out f64 [%n]\nbody {\n" HEAD "%f0: f64 = const 0.0\n%five: i64 = const 5\n%fif: u8 = const 15\n%half: f64 = const 0.5\n"
          "parallel 1 %zero, %n {%i: i64 ->\n%x: u8 = load x[%i]\n%xs: u8 = and %x, %fif\n%hi: i64 = convert %xs\n"
          "%s: f64, %k: i64 = for %zero, %five, %f0, %zero {%p: i64, %acc: f64, %cnt: i64 ->\n"
          "%in: f64, %c2: i64 = for %p, %hi, %acc, %cnt {%q: i64, %bcc: f64, %bnt: i64 ->\n%qf: f64 = convert %q\n%mf: f64 = fma %qf, %half, %bcc\n"
          "%w: i64 = while %bnt {%a: i64 ->\n%big: bool = gt %a, %q\nyield %big\n} {%b: i64 ->\n%d: i64 = sub %b, %five\nyield %d\n}\n"
          "%w1: i64 = add %w, %one\nyield %mf, %w1\n}\nyield %in, %c2\n}\n%kf: f64 = convert %k\n%r: f64 = add %s, %kf\nstore z[%i], %r\nyield\n}\nyield\n}\n");
}

Test(llvm_mixed, box_in_three_dimensions) {
    agree("kernel cube\narray x in f64 [%m, %three, %n]\narray z out f64 [%m, %three, %n]\nbody {\n" HEAD "%three: i64 = const 3\n%two: i64 = const 2\n%nn: i64 = sub %n, %two\n%mm: i64 = sub %m, %one\n"
          "parallel 3 %zero, %m, %zero, %three, %zero, %n, %one, %mm, %one, %two, %two, %nn {%i: i64, %j: i64, %k: i64 ->\n"
          "%a: i64 = sub %k, %two\n%b: i64 = add %k, %two\n%c: i64 = sub %j, %one\n%d: i64 = add %i, %one\n%x: f64 = load x[%d, %c, %a]\n%y: f64 = load x[%i, %j, %b]\n"
          "%s: f64 = add %x, %y\nstore z[%i, %j, %k], %s\nyield\n} {%o: i64, %p: i64, %q: i64 ->\n%of: f64 = convert %q\nstore z[%o, %p, %q], %of\nyield\n}\nyield\n}\n");
}

/* All element types through masked loads and stores, contiguous, gathered, uniform. */
Test(llvm_mixed, masked_memory_of_all_types) {
    for (int i = 0; i < TYPES; i++) {
        char text[2000];
        const char *t = qn__type_table[all_types[i]].name;
        snprintf(text, sizeof text,
                 "kernel masked_%s\narray c in bool [%%n]\narray p in u8 [%%n]\narray x in %s [%%n]\narray y in %s [%%k]\narray z inout %s [%%n]\narray w inout %s [%%k, %%n]\nbody {\n%%n: i64 = size 0\n%%zero: i64 = const 0\n%%one: i64 = const 1\n"
                 "%%k: i64 = const 256\nparallel 1 %%zero, %%n {%%i: i64 ->\n%%c: bool = load c[%%i]\nif %%c {\n%%x: %s = load x[%%i]\n%%p: u8 = load p[%%i]\n%%at: i64 = convert %%p\n"
                 "%%y: %s = load y[%%at]\n%%u: %s = load y[%%one]\nstore z[%%i], %%x\nstore w[%%at, %%i], %%y\nstore w[%%zero, %%i], %%u\nyield\n} {\nyield\n}\nyield\n}\nyield\n}\n",
                 t, t, t, t, t, t, t, t);
        subject s;
        open_subject(&s, text, false);
        compile(s.ir, 16, 1, "", &s.natives[s.count++]);
        compile(s.ir, 64, 1, NULL, &s.natives[s.count++]);
        for (int k = 0; k < 3; k++) {
            setting how = {.sizes = {(int64_t[]){7, 64, 201}[k], 13}, .wild = true};
            agree_with(&s, &how, NULL, NULL);
        }
        close_subject(&s);
    }
}

Test(llvm_mixed, accumulations) {
    static const qn__op ops[] = {QN__OP_ADD, QN__OP_MUL, QN__OP_MIN, QN__OP_MAX, QN__OP_AND, QN__OP_OR};
    for (int i = 0; i < TYPES; i++)
        for (int k = 0; k < 6; k++) {
            qn__type type = all_types[i];
            if (type == QN__TYPE_F16 || type == QN__TYPE_BF16 || !defined_on(ops[k], type)) continue;
            char text[1200];
            snprintf(text, sizeof text,
                     "kernel into_%s_%s\narray p in u8 [%%n]\narray x in %s [%%n]\narray h inout %s [%%k]\nbody {\n%%n: i64 = size 0\n%%zero: i64 = const 0\n"
                     "%%k: i64 = const 256\n"
                     "parallel 1 %%zero, %%n {%%i: i64 ->\n%%p: u8 = load p[%%i]\n%%at: i64 = convert %%p\n%%x: %s = load x[%%i]\naccumulate.%s h[%%at], %%x\nyield\n}\nyield\n}\n",
                     qn__type_table[type].name, qn__op_table[ops[k]].name, qn__type_table[type].name, qn__type_table[type].name,
                     qn__type_table[type].name, qn__op_table[ops[k]].name);
            subject s;
            open_subject(&s, text, false);
            setting how = {.sizes = {501, 13}, .wild = true};
            agree_with(&s, &how, NULL, NULL);
            close_subject(&s);
        }
}

Test(llvm_mixed, indices_as_reals) {
    agree("kernel ramp\narray a out f32 [%n]\narray b out f64 [%n]\narray c out f32 [%n]\narray d out f64 [%n]\narray e out i32 [%n]\narray f out bf16 [%n]\nbody {\n" HEAD
          "%three: i64 = const -3\n%big: i64 = const 72057594037927935\nparallel 1 %zero, %n {%i: i64 ->\n%k: i64 = mul %i, %three\n%af: f32 = convert %k\nstore a[%i], %af\n%bf: f64 = convert %i\nstore b[%i], %bf\n"
          "%l: i64 = add %i, %big\n%cf: f32 = convert %l\nstore c[%i], %cf\n%df: f64 = convert %l\nstore d[%i], %df\n%e: i32 = convert %l\n%e2: i32 = mul %e, %e\nstore e[%i], %e2\n%ff: bf16 = convert %l\nstore f[%i], %ff\nyield\n}\nyield\n}\n");
}

Test(llvm_mixed, bitcasts) {
    agree("kernel bits\narray x in f32 [%n]\narray y in f64 [%n]\narray h in f16 [%n]\narray z out u32 [%n]\narray w out i64 [%n]\narray v out u16 [%n]\narray b out bf16 [%n]\nbody {\n" HEAD
          "%k: u32 = const 2147483647\nparallel 1 %zero, %n {%i: i64 ->\n%x: f32 = load x[%i]\n%u: u32 = bitcast %x\n%mk: u32 = and %u, %k\nstore z[%i], %mk\n%y: f64 = load y[%i]\n%j: i64 = bitcast %y\nstore w[%i], %j\n"
          "%h: f16 = load h[%i]\n%hv: u16 = bitcast %h\nstore v[%i], %hv\n%bb: bf16 = bitcast %hv\nstore b[%i], %bb\nyield\n}\nyield\n}\n");
}

Test(llvm_mixed, keep_from_a_plane) {
    agree("kernel plane\narray x in i32 [%n, %m]\narray a out u8 [%k]\narray b out i64 [%k]\narray c out bool [%k]\nbody {\n" HEAD "%limit: i32 = const 7\n%low: i32 = const 255\n"
          "%k: i64 = keep [a, b, c] %zero, %n, %zero, %m {%i: i64, %j: i64 ->\n%x0: i32 = load x[%i, %j]\n%x: i32 = and %x0, %low\n"
          "%w: i32 = while %x {%p: i32 ->\n%g: bool = gt %p, %limit\nyield %g\n} {%q: i32 ->\n%r: i32 = sub %q, %limit\nyield %r\n}\n%w8: u8 = convert %w\n%ok: bool = ne %w, %limit\n%odd: bool = eq %w, %limit\n"
          "if %ok {\npush %w8, %j, %odd\nyield\n} {\nyield\n}\nyield\n}\nyield\n}\n");
}

Test(llvm_mixed, scans_of_rows_with_two_values) {
    agree("kernel rows\narray x in f32 [%m, %n]\narray z out f32 [%m, %n]\narray w out i64 [%m, %n]\nbody {\n" HEAD "%init: f32 = const -inf\nparallel 1 %zero, %m {%r: i64 ->\n"
          "scan %zero, %n, %init, %zero !exclusive {%t: i64 ->\n%x: f32 = load x[%r, %t]\nyield %x, %t\n} {%a: f32, %ai: i64, %b: f32, %bi: i64 ->\n%g: bool = gt %b, %a\n"
          "%c: f32, %ci: i64 = if %g {\nyield %b, %bi\n} {\nyield %a, %ai\n}\nyield %c, %ci\n} {%i: i64, %v: f32, %vi: i64 ->\nstore z[%r, %i], %v\nstore w[%r, %i], %vi\nyield\n}\nyield\n}\nyield\n}\n");
}

Test(llvm_mixed, reductions_in_conditions) {
    agree("kernel conditional\narray x in u8 [%m, %n]\narray z out i64 [%m]\nbody {\n" HEAD "%no: bool = const false\n%l: u8 = const 250\n%one8: u8 = const 1\n%z8: u8 = const 0\nparallel 1 %zero, %m {%r: i64 ->\n"
          "%any: bool = reduce %zero, %n, %no {%t: i64, %acc: bool ->\n%x: u8 = load x[%r, %t]\n%g: bool = gt %x, %l\n%o: bool = or %acc, %g\nyield %o\n} {%a: bool, %b: bool ->\n%c: bool = or %a, %b\nyield %c\n}\n"
          "%s: i64 = if %any {\n%count: i64 = reduce %zero, %n, %zero {%u: i64, %bcc: i64 ->\n%y: u8 = load x[%r, %u]\n%bit: u8 = and %y, %one8\n%odd: bool = ne %bit, %z8\n"
          "%k: i64 = if %odd {\n%p: i64 = add %bcc, %one\nyield %p\n} {\nyield %bcc\n}\nyield %k\n} {%d: i64, %e: i64 ->\n%f: i64 = add %d, %e\nyield %f\n}\nyield %count\n} {\nyield %r\n}\n"
          "store z[%r], %s\nyield\n}\nyield\n}\n");
}

Test(llvm_mixed, point_and_temporaries_in_a_loop) {
    agree("kernel loops\narray x in f64 [%n]\narray t temp f64 [%n]\narray z out f64 []\narray y out f64 [%n]\nbody {\n" HEAD "%steps: i64 = const 3\n%f0: f64 = const 0.0\n"
          "%s: f64 = for %zero, %steps, %f0 {%k: i64, %acc: f64 ->\nalloc t[%n]\nparallel 1 %zero, %n {%i: i64 ->\n%x: f64 = load x[%i]\n%r: f64 = add %x, %acc\nstore t[%i], %r\nyield\n}\n"
          "%q: f64 = reduce %zero, %n, %f0 {%j: i64, %a: f64 ->\n%v: f64 = load t[%j]\n%b: f64 = add %a, %v\nyield %b\n} {%c: f64, %d: f64 ->\n%e: f64 = add %c, %d\nyield %e\n}\nyield %q\n}\n"
          "store z[], %s\nparallel 1 %zero, %n {%o: i64 ->\n%w: f64 = load t[%o]\nstore y[%o], %w\nyield\n}\nyield\n}\n");
}

/* ---- faults ---- */

static void faults(const char *text, int32_t kind) {
    subject s;
    bool met = false;
    open_subject(&s, text, true);
    for (int32_t i = 0; i < 2 * SIZES; i++) {
        setting how = {.sizes = {sizes[i / 2], 13}, .wild = i & 1};
        met |= agree_with(&s, &how, NULL, NULL) == kind;
    }
    cr_assert(met, "%s: no fault", s.ir->name);
    close_subject(&s);
}

Test(llvm_faults, index) {
    faults("kernel gather\nfile \"a.qn\"\narray x in i64 [%n]\narray y in f32 [%k]\narray z out f32 [%n]\nbody {\n" HEAD "%k: i64 = const 99\n"
           "parallel 1 %zero, %n {%i: i64 ->\n%a: i64 = load x[%i]\ncheck_index %a, %k @3:1\n%v: f32 = load y[%a]\nstore z[%i], %v\nyield\n}\nyield\n}\n",
           QN__FAULT_INDEX);
}

Test(llvm_faults, the_lowest_point_wins) {
    faults("kernel two\nfile \"a.qn\"\narray x in i32 [%n, %m]\narray z out i32 [%n, %m]\nbody {\n" HEAD "%i0: i32 = const 0\n%late: i32 = const 99\n%hundred: i32 = const 100\n"
           "parallel 2 %zero, %n, %zero, %m {%i: i64, %j: i64 ->\n%a: i32 = load x[%i, %j]\n%c: bool = ne %a, %late\ncheck.EMPTY %c @3:1\n"
           "%big: bool = gt %a, %i0\n%q: i32 = if %big {\n%d: i32 = sub %a, %late\ncheck_nonzero %a @4:4\nyield %d\n} {\ncheck_nonzero %a @5:5\n"
           "%e: i32 = div %hundred, %a\nyield %e\n}\nstore z[%i, %j], %q\nyield\n}\nyield\n}\n", QN__FAULT_DIVISION);
}

Test(llvm_faults, in_a_reduction) {
    faults("kernel ratio\nfile \"a.qn\"\narray x in i32 [%n]\narray z out i32 []\nbody {\n" HEAD "%init: i32 = const 0\n%hundred: i32 = const 100\n"
           "%s: i32 = reduce %zero, %n, %init {%t: i64, %acc: i32 ->\n%x: i32 = load x[%t]\ncheck_nonzero %x @2:2\n%q: i32 = div %hundred, %x\n"
           "%r: i32 = add %acc, %q\nyield %r\n} {%a: i32, %b: i32 ->\n%c: i32 = add %a, %b\nyield %c\n}\nstore z[], %s\nyield\n}\n", QN__FAULT_DIVISION);
}

Test(llvm_faults, in_keep_and_in_the_border) {
    faults("kernel kept\nfile \"a.qn\"\narray x in i32 [%n]\narray y out i32 [%k]\nbody {\n" HEAD "%h: i32 = const 100\n"
           "%k: i64 = keep [y] %zero, %n {%i: i64 ->\n%x: i32 = load x[%i]\ncheck_nonzero %x @2:2\n%q: i32 = div %h, %x\n%c: bool = gt %q, %x\nif %c {\npush %q\nyield\n} {\nyield\n}\nyield\n}\nyield\n}\n",
           QN__FAULT_DIVISION);
    faults("kernel border\nfile \"a.qn\"\narray x in i32 [%n, %m]\narray y out i32 [%n, %m]\nbody {\n" HEAD "%mm: i64 = sub %m, %one\n%nn: i64 = sub %n, %one\n"
           "parallel 2 %zero, %n, %zero, %m, %one, %nn, %one, %mm {%i: i64, %j: i64 ->\n%x: i32 = load x[%i, %j]\nstore y[%i, %j], %x\nyield\n} {%k: i64, %l: i64 ->\n"
           "%u: i32 = load x[%k, %l]\ncheck_nonzero %u @2:2\nstore y[%k, %l], %u\nyield\n}\nyield\n}\n", QN__FAULT_DIVISION);
}

Test(llvm_faults, in_varying_loops) {
    faults("kernel chase\nfile \"a.qn\"\narray x in u8 [%n]\narray y in i64 [%k]\narray z out i64 [%n]\nbody {\n" HEAD "%k: i64 = const 300\n%limit: i64 = const 20\nparallel 1 %zero, %n {%i: i64 ->\n%x: u8 = load x[%i]\n%hi: i64 = convert %x\n"
           "%s: i64 = for %zero, %hi, %zero {%p: i64, %acc: i64 ->\n%at: i64 = add %p, %acc\ncheck_index %at, %k @3:3\n%v: i64 = load y[%at]\n%lim: i64 = and %v, %one\n%r: i64 = add %lim, %acc\nyield %r\n}\n"
           "%w: i64 = while %s {%a: i64 ->\n%c: bool = gt %a, %zero\nyield %c\n} {%b: i64 ->\n%ok: bool = lt %b, %limit\ncheck.DOMAIN %ok, %b, %limit @4:4\n%d: i64 = sub %b, %one\nyield %d\n}\n"
           "store z[%i], %w\nyield\n}\nyield\n}\n", QN__FAULT_DOMAIN);
}

static const char *const endless =
    "kernel endless\nfile \"a.qn\"\narray z out i64 [%n]\nbody {\n" HEAD "%most: i64 = const 1000000\nparallel 1 %zero, %n {%i: i64 ->\n"
    "%v: i64 = while %i @7:7 {%a: i64 ->\n%c: bool = lt %a, %most\nyield %c\n} {%b: i64 ->\n%d: i64 = and %b, %one\n%e: i64 = add %b, %d\nyield %e\n}\n"
    "store z[%i], %v\nyield\n}\nyield\n}\n";

Test(llvm_faults, cancelled, .timeout = 20) {
    subject s;
    int32_t stop = 1;
    open_subject(&s, endless, true);
    setting how = {.sizes = {100}, .cancel_after = 50};
    cr_assert_eq(agree_with(&s, &how, &stop, NULL), QN__FAULT_CANCELLED);
    close_subject(&s);
}

/* ---- host functions ---- */

/* ---- random kernels ---- */

/* A local array that kernel level and stages use alike: the language makes none, and engines differ in who sees whose. */
static bool shares_locals(const qn__ir *ir) {
    for (qn__instr_ref ref = ir->regions[ir->body].first; ref; ref = ir->instrs[ref].next)
        if (ir->instrs[ref].op == QN__OP_LOCAL_LOAD || ir->instrs[ref].op == QN__OP_LOCAL_STORE) return true;
    return false;
}

static void random_kernels(uint64_t first, bool faults) {
    const char *wish = getenv("QUERN_RANDOM_KERNELS");
    for (uint64_t seed = first; seed < first + (wish ? strtoull(wish, NULL, 10) : 60); seed++) {
        qn__arena *arena = qn__arena_create(0);
        qn__text text = QN__TEXT_EMPTY;
        qn__ir *ir = random_ir(arena, seed, faults);
        char label[32];
        snprintf(label, sizeof label, "random_%lu", (unsigned long)seed);
        ir->name = label;
        ir->arrays[5].kind = QN__ARRAY_INOUT; /* it is accumulated into before it is written */
        const char *message = NULL;
        if (seed & 1) cr_assert(qn__passes_run(ir, NULL, &message), "%s", message);
        qn__ir_print(ir, &text);
        if (!shares_locals(ir)) {
            subject s;
            open_subject(&s, qn__text_bytes(&text), false);
            setting how = {.scalars = {seed % 17 - 5, UINT64_C(0x3ff4000000000000)}, .wild = seed % 3 == 0};
            agree_with(&s, &how, NULL, NULL);
            close_subject(&s);
        }
        qn__text_free(&text);
        qn__arena_destroy(arena);
    }
}

Test(llvm_random, sound_1, .timeout = 200) { random_kernels(1000, false); }
Test(llvm_random, sound_2, .timeout = 200) { random_kernels(2000, false); }
Test(llvm_random, faulty_1, .timeout = 200) { random_kernels(3000, true); }
Test(llvm_random, faulty_2, .timeout = 200) { random_kernels(4000, true); }

#ifndef ON_DEVICE /* what follows is the processor's alone */

static double host_scaled(double x, int8_t k, bool negate) { return negate ? -x * k : x * k; }

Test(llvm, host_functions) {
    void *const externs[] = {(void *)(uintptr_t)host_scaled};
    subject s;
    open_subject(&s, "kernel host\nextern scaled(f64, i8, bool) -> f64\narray x in f64 [%n]\narray k in i8 [%n]\narray z out f64 [%n]\nbody {\n" HEAD
                 "%limit: f64 = const 50.0\nparallel 1 %zero, %n {%i: i64 ->\n%x: f64 = load x[%i]\n%k: i8 = load k[%i]\n%c: bool = gt %x, %limit\n"
                 "%r: f64 = if %c {\n%v: f64 = extern_call #0 scaled(%x, %k, %c)\nyield %v\n} {\nyield %x\n}\nstore z[%i], %r\nyield\n}\nyield\n}\n", true);
    setting how = {.sizes = {117}};
    agree_with(&s, &how, NULL, externs);
    close_subject(&s);
}

/* ---- the loader ---- */

Test(llvm_loader, same_object_twice_and_memory_back) {
    subject s;
    open_subject(&s, endless, false);
    qn__image image;
    const char *message = NULL;
    cr_assert(qn__llvm_emit(s.ir, NULL, &image, &message));
    void *a = NULL, *b = NULL;
    cr_assert(loader()->load(loader()->self, &image, &a, &message));
    cr_assert(loader()->load(loader()->self, &image, &b, &message));
    loader()->unload(loader()->self, a);
    for (int i = 0; i < 200; i++) {
        cr_assert(loader()->load(loader()->self, &image, &a, &message));
        loader()->unload(loader()->self, a);
    }
    loader()->unload(loader()->self, b);
    image.kind = QN__IMAGE_BYTECODE;
    cr_assert_not(loader()->load(loader()->self, &image, &a, &message));
    image.kind = QN__IMAGE_OBJECT;
    image.code_size = 40;
    cr_assert_not(loader()->load(loader()->self, &image, &a, &message));
    close_subject(&s);
}

Test(llvm_text, forms) {
    subject s;
    open_subject(&s, endless, false);
    const char *message = NULL;
    qn__text out = QN__TEXT_EMPTY;
    cr_assert(qn__llvm_text(s.ir, NULL, QN__LLVM_OPTIMISED, &out, &message));
    cr_assert(strstr(qn__text_bytes(&out), "define i32 @quern_endless"));
    qn__text_clear(&out);
    qn__llvm_options arm = {.triple = "aarch64-linux-gnu", .level = 1};
    cr_assert(qn__llvm_text(s.ir, &arm, QN__LLVM_ASSEMBLY, &out, &message), "%s", message);
    cr_assert(strstr(qn__text_bytes(&out), "quern_endless:"));
    qn__text_clear(&out);
    qn__llvm_options none = {.triple = "pdp11"};
    cr_assert_not(qn__llvm_text(s.ir, &none, QN__LLVM_ASSEMBLY, &out, &message));
    cr_assert(qn__llvm_describe(NULL, &out));
    qn__text_free(&out);
    close_subject(&s);
}

#endif
