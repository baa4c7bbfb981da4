// The checker's tables for the lowering, its entry points, and limits that no short file reaches. Messages are golden tests.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "compiler/check.h"
#include "compiler/loader.h"

typedef struct fixture {
    qn__arena *arena;
    qn__program program;
    qn__checker *checker;
} fixture;

static fixture *open_with(const char *text, bool without_prelude) {
    fixture *f = calloc(1, sizeof *f);
    cr_assert(f);
    f->arena = qn__arena_create(1u << 28);
    cr_assert(qn__program_init(&f->program, f->arena));
    cr_assert(qn__program_parse(&f->program, "main.qn", text, strlen(text), NULL, without_prelude));
    f->checker = qn__checker_create(f->program.ast, &f->program.sources, f->arena, &f->program.sink);
    cr_assert(f->checker);
    return f;
}

static fixture *open(const char *text) { return open_with(text, true); }

static void finish(fixture *f) {
    qn__arena_destroy(f->arena);
    free(f);
}

static const qn__typed *kernel(fixture *f, const char *name) {
    const qn__typed *t = qn__check_kernel(f->checker, qn__check_find_kernel(f->checker, name), NULL, 0);
    cr_assert(t, "%s", f->program.sink.count ? f->program.sink.items[0]->message : "no diagnostic");
    return t;
}

// The code of the first error of a program that must have one.
static const char *first_error(const char *text) {
    fixture *f = open(text);
    cr_assert(!(qn__check_module(f->checker)));
    cr_assert(f->program.sink.count > 0);
    const char *code = qn__diagnostic_code(f->program.sink.items[0]->id);
    finish(f);
    return code; // of a static table
}

static const qn__typed_stage *stage(const qn__typed *t, uint32_t i) {
    cr_assert(i < t->stage_count);
    return &t->stages[i];
}

static const qn__typed_target *target(const qn__typed *t, uint32_t i) { return &t->targets[t->stages[i].first_target]; }

// The flags of the only read of the array called `name`.
static uint16_t read_flags(fixture *f, const qn__typed *t, const char *name) {
    for (qn__node_id n = t->item.first; n < t->item.node; n++) {
        const qn__typed_node *node = qn__typed_at(t, n);
        if (qn__ast_kind_of(f->program.ast, n) != QN__AST_INDEX || node->meaning != QN__MEANS_ARRAY) continue;
        if (!strcmp(t->variables[node->ref].name, name)) return node->flags;
    }
    cr_assert(false, "no read of %s", name);
    return 0;
}

static qn__type type_of_variable(const qn__typed *t, const char *name) {
    for (uint32_t i = 0; i < t->variable_count; i++) {
        if (!strcmp(t->variables[i].name, name)) return (qn__type)t->variables[i].type;
    }
    return QN__TYPE_NONE;
}

// ---- Signatures ----
Test(check, signature) {
    fixture *f = open("kernel k(row: i32[rows+1], a: f32, x: f64[n, 3], k: size, inout z: f64[n]) -> y: f64[rows, n*k], s: i8 {\n"
                      "y[i, j] = 0.0\ns = 1\nz[i] = z[i] + x[i, 0] * f64(row[0]) * f64(a)\n}\n");
    const qn__typed *t = kernel(f, "k");
    const qn__signature *s = t->signature;
    cr_assert_eq(s->parameter_count, 7);
    cr_assert_eq(s->input_count, 5);
    cr_assert_eq(s->scalar_count, 2);
    cr_assert_eq(s->symbol_count, 2);
    cr_assert_str_eq(s->symbols[0].name, "rows");
    cr_assert_eq(s->symbols[0].addend, 1);
    cr_assert_eq(s->symbols[1].parameter, 2);
    cr_assert_eq(s->parameters[3].is_size, true);
    cr_assert_eq(s->parameters[3].index, 1);
    cr_assert_eq(s->parameters[4].kind, QN__PARAMETER_INOUT);
    cr_assert_eq(s->parameters[5].index, 3); // the fourth array
    cr_assert_eq(s->dims[s->parameters[5].dim[1]].op, QN__DIM_MUL);
    cr_assert_eq(s->parameters[6].rank, 0);
    cr_assert_eq(t->variables[7].kind, QN__VARIABLE_SIZE);
    finish(f);
}

Test(check, existential_size) {
    fixture *f = open("kernel k(x: f64[n]) -> y: f64[?m], at: i64[?m] { y, at = keep(i: x[i], i where x[i] > 0.0) }\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert_eq(t->signature->symbol_count, 2);
    cr_assert(t->signature->symbols[1].existential);
    cr_assert_eq(stage(t, 0)->kind, QN__STAGE_KEEP);
    cr_assert_eq(stage(t, 0)->target_count, 2);
    finish(f);
}

// ---- Types ----
Test(check, literals_take_the_type_that_they_meet) {
    fixture *f = open("kernel k(limit: i32, x: f32[n]) -> y: i32[n] { y[i] = {\n"
                      "var a = 0.0; var c = 0; let d = 1; let e = 2.0\n"
                      "while c < limit { a = a + x[i] * 2; c += 1 }\nif a > 1 and d > 0 and e > 0.0 { c } else { 0 } } }\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert_eq(type_of_variable(t, "a"), QN__TYPE_F32);
    cr_assert_eq(type_of_variable(t, "c"), QN__TYPE_I32);
    cr_assert_eq(type_of_variable(t, "d"), QN__TYPE_I64);
    cr_assert_eq(type_of_variable(t, "e"), QN__TYPE_F64);
    finish(f);
}

static uint64_t constant_bits(const char *expression, qn__type type) {
    char text[300];
    snprintf(text, sizeof text, "const c = %s\nkernel k(n: size) -> y: %s[n] { y[i] = c }\n", expression, qn__type_table[type].name);
    fixture *f = open(text);
    const qn__typed *t = kernel(f, "k");
    uint64_t bits = UINT64_MAX;
    for (qn__node_id n = t->item.first; n < t->item.node; n++) {
        if (qn__typed_at(t, n)->meaning == QN__MEANS_CONSTANT) bits = qn__typed_at(t, n)->bits;
    }
    finish(f);
    return bits;
}

Test(check, constants) {
    cr_assert_eq(constant_bits("-128", QN__TYPE_I8), 0x80);
    cr_assert_eq(constant_bits("(1 << 63) - 1", QN__TYPE_U64), INT64_MAX);
    cr_assert_eq(constant_bits("7 / -2", QN__TYPE_I32), 0xfffffffd);
    cr_assert_eq(constant_bits("0.1", QN__TYPE_F32), 0x3dcccccd);
    cr_assert_eq(constant_bits("0.1", QN__TYPE_F64), 0x3fb999999999999a);
    cr_assert_eq(constant_bits("1", QN__TYPE_F16), 0x3c00);
    cr_assert_eq(constant_bits("i32(200) * 30000000", QN__TYPE_I32), (uint32_t)(200u * 30000000u)); // wraps
    cr_assert_eq(constant_bits("0.1 * 10.0 - 1.0", QN__TYPE_F64), 0x3c90000000000000); // one fma: 2^-54
    cr_assert_eq(constant_bits("u8(3.99)", QN__TYPE_U8), 3);
    cr_assert_eq(constant_bits("sqrt(2.0)", QN__TYPE_F64), 0x3ff6a09e667f3bcd);
    cr_assert_eq(constant_bits("1.00000005960464477539062500001", QN__TYPE_F32), 0x3f800001); // just above a tie of two f32
}

Test(check, overloads_of_the_prelude) {
    fixture *f = open_with("kernel k(x: f32[n], y: f64[n], z: f16[n]) -> a: f32[n], b: f64[n], c: f16[n] {\n"
                           "a[i] = exp(x[i])\nb[i] = exp(y[i])\nc[i] = exp(z[i])\n}\n", false);
    const qn__typed *t = kernel(f, "k");
    const qn__checked *all = qn__check_result(f->checker);
    uint32_t seen = 0;
    for (qn__node_id n = t->item.first; n < t->item.node; n++) {
        const qn__typed_node *node = qn__typed_at(t, n);
        if (node->meaning != QN__MEANS_FUNCTION) continue;
        const char *name = all->functions[node->ref]->name;
        cr_assert_str_eq(name, node->type == QN__TYPE_F64 ? "exp_f64" : "exp_f32");
        cr_assert_eq((node->flags & QN__THROUGH_F32) != 0, node->type == QN__TYPE_F16);
        seen++;
    }
    cr_assert_eq(seen, 3);
    finish(f);
}

Test(check, functions_are_memoised_and_ordered) {
    fixture *f = open("fn a[T: number](x: T) -> T = x + x\nfn b(x: f64) -> f64 = a(x) + a(x)\n"
                      "kernel k(x: f64[n], y: i8[n]) -> z: f64[n], w: i8[n] {\nz[i] = b(x[i]) + a(x[i])\nw[i] = a(y[i])\n}\n");
    const qn__typed *t = kernel(f, "k");
    const qn__checked *all = qn__check_result(f->checker);
    cr_assert_eq(all->function_count, 3);
    cr_assert_eq(t->function_count, 3);
    for (uint32_t i = 0; i < t->function_count; i++) { // callees before callers
        const qn__typed *callee = all->functions[t->functions[i]];
        for (uint32_t k = 0; k < callee->function_count; k++) {
            bool before = false;
            for (uint32_t j = 0; j < i; j++) before |= t->functions[j] == callee->functions[k];
            cr_assert(before);
        }
    }
    finish(f);
}

// ---- Stages ----
Test(check, plain_stage) {
    fixture *f = open("kernel k(A: f64[n, m]) -> y: f64[m, n] { y[i, j] = A[j, i] }\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert_eq(stage(t, 0)->kind, QN__STAGE_POINTS);
    cr_assert_eq(stage(t, 0)->index_count, 2);
    cr_assert(target(t, 0)->initialises && target(t, 0)->full && !(target(t, 0)->copy));
    cr_assert(read_flags(f, t, "A") & QN__UNCHECKED);
    finish(f);
}

Test(check, order_of_indices_is_that_of_the_target) {
    fixture *f = open("kernel k(x: f64[n]) -> y: f64[n, m], z: f64[m] { y[i, j] = x[i] for j in 0..m, i in 0..n\nz[j] = 0.0 }\n");
    (void)f; // m is bound by no input: an error
    cr_assert_null(qn__check_kernel(f->checker, qn__check_find_kernel(f->checker, "k"), NULL, 0));
    finish(f);
    f = open("kernel k(x: f64[n], m: size) -> y: f64[n, m] { y[i, j] = x[i] for j in 0..m, i in 0..n }\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert_str_eq(t->variables[t->indices[stage(t, 0)->indices[0]].variable].name, "i");
    cr_assert(target(t, 0)->full);
    finish(f);
}

Test(check, reads_of_what_is_written_need_a_copy) {
    fixture *f = open("kernel k(inout a: f64[n], inout b: f64[n]) {\na[i] = a[i] * 2.0\nb[i] = b[n - 1 - i]\n"
                      "b[i] = a[i]\nfor i { a[i] = 1.0; b[i] = a[i] }\nfor i { a[i] = a[i] * 2.0 }\n}\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert(!(target(t, 0)->copy));
    cr_assert(target(t, 1)->copy);
    cr_assert(!(target(t, 2)->copy));
    cr_assert(!(target(t, 4)->copy));
    cr_assert(target(t, 3)->copy, "the block's reads see the values from before the block");
    finish(f);
}

Test(check, scatter) {
    fixture *f = open("kernel k(b: i32[n], x: f64[n], m: size) -> h: f64[m], y: f64[n] {\nh[b[i]] += x[i]\ny[i] += x[i]\n}\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert_eq(stage(t, 0)->kind, QN__STAGE_SCATTER);
    cr_assert(target(t, 0)->scatter && target(t, 0)->initialises && target(t, 0)->full);
    cr_assert_eq(target(t, 0)->op, QN__OP_ADD);
    cr_assert_eq(stage(t, 1)->kind, QN__STAGE_POINTS);
    cr_assert(target(t, 1)->combine && !(target(t, 1)->scatter));
    finish(f);
}

Test(check, an_else_proves_nothing_from_the_written_range) {
    fixture *f = open("kernel k(u: f64[n], w: f64[n - 1]) -> v: f64[n] { v[i] = w[i] for i in 1..n-1 else u[i] }\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert(read_flags(f, t, "w") & QN__UNCHECKED);
    cr_assert(read_flags(f, t, "u") & QN__UNCHECKED);
    finish(f);
    f = open("kernel k(u: f64[n - 1], w: f64[n]) -> v: f64[n] { v[i] = w[i] for i in 1..n-1 else u[i] }\n");
    t = kernel(f, "k");
    cr_assert(!(read_flags(f, t, "u") & QN__UNCHECKED), "i is n - 1 there");
    finish(f);
}

Test(check, affine_targets) {
    fixture *f = open("kernel k(x: f64[n]) -> y: f64[2*n], z: f64[n, 2], w: f64[n, n] {\n"
                      "for i in 0..n { y[2*i] = x[i]; y[2*i+1] = -x[i]; z[i, 1] = x[i]; z[i, 0] = 0.0 }\n"
                      "for i { for j in 0..n { w[i, j] = x[i] * x[j] } }\n"
                      "w[i, i] = 1.0\n w[i, i + 1] = 2.0 for i in 0..n-1\n y[2*i] = 0.0 for i in 0..n\n}\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert_eq(stage(t, 0)->target_count, 4);
    cr_assert(t->targets[0].full && t->targets[2].full);
    cr_assert(target(t, 1)->full);
    cr_assert(!(target(t, 2)->full) && !(target(t, 2)->scatter));
    finish(f);
}

Test(check, subscripts_that_decide_the_element_together) {
    fixture *f = open("kernel k(x: f64[n, n]) -> y: f64[2*n, n] { y[i + j, j] = x[i, j] for i in 0..n, j in 0..n else 0.0 }\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert(stage(t, 0)->fill);
    finish(f);
}

Test(check, temporary_arrays) {
    fixture *f = open("kernel k(x: f64[n, m], b: i64) -> s: f64 {\nlet t[j, i] = x[i, j]\nlet u[i] = t[0, i] for i in 0..b\n"
                      "let v: f64[b]\nv[i] = u[i]\nlet kept = keep(i: v[i] where v[i] > 0.0)\nlet run[i] = scan(sum, i: kept[i])\n"
                      "s = sum(i: run[i])\n}\n");
    const qn__typed *t = kernel(f, "k");
    const qn__typed_variable *found[5] = {0};
    static const char *const names[] = {"t", "u", "v", "kept", "run"};
    for (uint32_t i = 0; i < t->variable_count; i++) {
        for (size_t k = 0; k < 5; k++) {
            if (t->variables[i].kind == QN__VARIABLE_TEMP && !strcmp(t->variables[i].name, names[k])) found[k] = &t->variables[i];
        }
    }
    cr_assert_eq(found[0]->extent[0].kind, QN__EXTENT_OF);
    cr_assert_eq(found[0]->extent[0].dimension, 1);
    cr_assert_eq(found[1]->extent[0].kind, QN__EXTENT_SPAN, "b may be negative: then the range is empty");
    cr_assert_eq(found[2]->extent[0].kind, QN__EXTENT_NODE);
    cr_assert_eq(found[3]->extent[0].kind, QN__EXTENT_KEPT);
    cr_assert_eq(found[4]->extent[0].kind, QN__EXTENT_OF);
    finish(f);
}

Test(check, values_flow_through_branches) {
    fixture *f = open("kernel k(x: f64[n], c: bool) -> y: f64[n] {\nif c { y[i] = x[i] } else if x[0] > 0.0 { y[i] = 1.0 } else { y[i] = 2.0 }\n"
                      "y[i] = y[i] + 1.0\n}\n");
    const qn__typed *t = kernel(f, "k");
    cr_assert_eq(t->stage_count, 4);
    cr_assert(!(target(t, 3)->initialises));
    finish(f);
}

// ---- Entry points ----
Test(check, kernels_and_type_arguments) {
    fixture *f = open("kernel a[T: float](x: T[n], y: T) -> z: T[n] { z[i] = x[i] * y }\nkernel b(x: f64[n]) -> z: f64[n] { z[i] = x[i] }\n");
    qn__node_id a = qn__check_find_kernel(f->checker, "a");
    qn__type argument = QN__TYPE_NONE, given[] = {QN__TYPE_F32, QN__TYPE_NONE}, wrong[] = {QN__TYPE_F32, QN__TYPE_F64};
    qn__type integer[] = {QN__TYPE_I32, QN__TYPE_NONE}, open_types[] = {QN__TYPE_NONE, QN__TYPE_NONE};
    cr_assert_eq(qn__check_generic_count(f->checker, a), 1);
    cr_assert(qn__check_infer(f->checker, a, given, 2, &argument));
    cr_assert_eq(argument, QN__TYPE_F32);
    cr_assert_eq(f->program.sink.errors, 0);
    cr_assert(!(qn__check_infer(f->checker, a, wrong, 2, &argument)));
    cr_assert(!(qn__check_infer(f->checker, a, integer, 2, &argument)));
    cr_assert(!(qn__check_infer(f->checker, a, open_types, 2, &argument)));
    const qn__typed *once = qn__check_kernel(f->checker, a, given, 1);
    cr_assert(once);
    cr_assert_eq(once, qn__check_kernel(f->checker, a, given, 1));
    cr_assert_null(qn__check_kernel(f->checker, a, NULL, 0));
    cr_assert_eq(qn__check_find_kernel(f->checker, "c"), QN__NO_NODE);
    cr_assert_eq(qn__check_find_kernel(f->checker, NULL), QN__NO_NODE, "there are two");
    finish(f);
}

Test(check, a_kernel_is_checked_without_the_errors_of_others) {
    fixture *f = open("kernel good(x: f64[n]) -> y: f64[n] { y[i] = x[i] }\nkernel bad(x: f64[n]) -> y: f64[n] { y[i] = nothing }\n");
    cr_assert(qn__check_kernel(f->checker, qn__check_find_kernel(f->checker, "good"), NULL, 0));
    cr_assert_eq(f->program.sink.errors, 0);
    cr_assert_null(qn__check_kernel(f->checker, qn__check_find_kernel(f->checker, "bad"), NULL, 0));
    cr_assert_eq(f->program.sink.errors, 1);
    finish(f);
}

Test(check, prelude) {
    fixture *f = open_with("kernel k(x: f64[n]) -> y: f64[n] { y[i] = sin(x[i]) + pow(x[i], 2.0) + erf(x[i]) }\n", false);
    cr_assert(qn__check_module(f->checker));
    cr_assert(qn__check_prelude(f->checker));
    cr_assert_eq(f->program.sink.warnings, 0);
    finish(f);
}

// ---- Limits ----
static char *repeated(const char *head, const char *line, int count, const char *tail) {
    size_t room = strlen(head) + (strlen(line) + 20) * (size_t)count + strlen(tail) + 1, used = 0;
    char *text = malloc(room);
    cr_assert(text);
    used += (size_t)snprintf(text, room, "%s", head);
    for (int i = 0; i < count; i++) {
        for (const char *c = line; *c; c++) {
            if (*c == '#') used += (size_t)snprintf(text + used, room - used, "%d", i);
            else text[used++] = *c;
        }
    }
    snprintf(text + used, room - used, "%s", tail);
    return text;
}

Test(check, limits) {
    char *text = repeated("", "fn many_#[T: number](x: T) -> T = x\n", 200, "");
    cr_assert_str_eq(first_error(text), "E0823");
    free(text);
    text = repeated("fn f(x: f64) -> f64 {\n", "let a# = x\n", 11000, "a0\n}\n");
    cr_assert_str_eq(first_error(text), "E0824");
    free(text);
    text = repeated("kernel k(x: f64[n]) -> y: f64[n] {\nfor i {\n", "y[i] = x[i]\n", 600, "}\n}\n");
    cr_assert_str_eq(first_error(text), "E0825");
    free(text);
    char *values = repeated(" = x", ", x", 20, "\n");
    text = repeated("fn f(x: f64) -> f64", ", f64", 20, values);
    free(values);
    cr_assert_str_eq(first_error(text), "E0432");
    free(text);
}

Test(check, memory_runs_out_without_a_crash) {
    static const char text[] = "kernel k(A: f64[n, m], B: f64[m, k]) -> C: f64[n, k] { C[i, j] = sum(p: A[i, p] * B[p, j]) }\n";
    for (size_t limit = 4000; limit < 60000; limit += 500) {
        qn__arena *arena = qn__arena_create(limit);
        qn__program program;
        if (arena && qn__program_init(&program, arena) && qn__program_parse(&program, "m.qn", text, strlen(text), NULL, true)) {
            qn__checker *c = qn__checker_create(program.ast, &program.sources, arena, &program.sink);
            if (c) cr_assert_eq(qn__check_module(c), !(qn__arena_failed(arena)));
        }
        qn__arena_destroy(arena);
    }
}
