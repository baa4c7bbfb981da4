/* The GPU back end without a GPU: every shape of stage becomes a plan and PTX text that is strict about arithmetic; images of kind PTX survive being saved, and damaged ones
 * are refused. What the code computes is tested on the emulator (tests/engine). */
#include "compiler/compile.h"
#include "compiler/llvm/gpu.h"
#include "ir/image_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct built { qn__program *program; qn__compiled *compiled; qn__image image; } built;

static void build(built *b, const char *source, const qn__gpu_options *options) {
    const char *message = NULL;
    b->program = qn__program_open("k.qn", source, strlen(source), NULL, NULL);
    cr_assert_not_null(b->program);
    cr_assert_eq(b->program->sink.errors, 0);
    const qn__kernel_info *info = qn__program_kernel(b->program, NULL);
    cr_assert_not_null(info);
    const qn__compile_options given = {0};
    b->compiled = qn__compile(b->program, info, NULL, 0, &given);
    cr_assert(b->compiled && b->compiled->ir, "the kernel does not compile");
    cr_assert(qn__gpu_emit(b->compiled->ir, options, &b->image, &message), "%s", message);
    cr_assert_eq(((const char *)b->image.code)[b->image.code_size], 0);
}

static void drop(built *b) {
    qn__compiled_release(b->compiled);
    qn__program_close(b->program);
}

static bool holds(const built *b, const char *text) { return strstr(b->image.code, text) != NULL; }

static uint32_t steps_of(const built *b, qn__plan_op op) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->image.plan->step_count; i++) count += b->image.plan->steps[i].op == op;
    return count;
}

static const qn__gpu_options usual = {.sm = 80, .verify = true};

Test(gpu, a_map_is_one_launch_of_coalesced_code) {
    built b;
    build(&b, "kernel saxpy(a: f32, x: f32[n], y: f32[n]) -> z: f32[n] { z[i] = a * x[i] + y[i] }", &usual);
    cr_assert_eq(b.image.kind, QN__IMAGE_PTX);
    cr_assert_eq(b.image.plan->entry_count, 1);
    cr_assert_eq(steps_of(&b, QN__PLAN_LAUNCH), 1);
    cr_assert_eq(steps_of(&b, QN__PLAN_READ), 0);
    cr_assert(holds(&b, "ld.global.nc") && holds(&b, "fma.rn.f32"));
    cr_assert(holds(&b, ".target sm_80"));
    drop(&b);
}

/* The mean never leaves the device: nothing waits. */
Test(gpu, what_stages_give_stays_on_the_device) {
    built b;
    build(&b, "kernel centre(x: f64[n]) -> y: f64[n] {\n    let mean = sum(i: x[i]) / f64(n)\n    y[i] = x[i] - mean\n}", &usual);
    cr_assert_eq(steps_of(&b, QN__PLAN_READ), 0);
    cr_assert_geq(steps_of(&b, QN__PLAN_LAUNCH), 3);
    cr_assert(holds(&b, "shfl.sync.down") && holds(&b, "bar.sync"));
    drop(&b);
}

Test(gpu, the_host_reads_what_it_branches_on) {
    built b;
    build(&b, "kernel halve(inout x: f64[n], limit: f64) { loop while sum(i: x[i]) > limit { x[i] = x[i] * 0.5 } }", &usual);
    cr_assert_eq(steps_of(&b, QN__PLAN_READ), 1);
    cr_assert_eq(steps_of(&b, QN__PLAN_UNLESS), 1);
    cr_assert_eq(steps_of(&b, QN__PLAN_POLL), 1);
    drop(&b);
}

Test(gpu, the_number_of_kept_elements_is_read_before_they_are_allocated) {
    built b;
    build(&b, "kernel above(x: f64[n], limit: f64) -> y: f64[?m] { y = keep(i: x[i] where x[i] > limit) }", &usual);
    cr_assert_eq(steps_of(&b, QN__PLAN_READ), 1);
    cr_assert_eq(steps_of(&b, QN__PLAN_ALLOC), 1);
    cr_assert(holds(&b, "vote.sync.ballot"));
    drop(&b);
}

Test(gpu, integer_scatters_are_atomic_and_floating_ones_in_order) {
    built b;
    build(&b, "kernel h(bin: i32[n], k: size) -> c: i32[k] { c[bin[i]] += 1 }", &usual);
    cr_assert(holds(&b, "atom.global.add") || holds(&b, "red.global.add") || holds(&b, "atom.add") || holds(&b, "red.relaxed") || holds(&b, "atom.relaxed"));
    drop(&b);
    build(&b, "kernel h(bin: i32[n], w: f32[n], k: size) -> c: f32[k] { c[bin[i]] += w[i] }", &usual);
    cr_assert(holds(&b, "_commit(") && !holds(&b, "add.f32 [") && !holds(&b, "red.global.add.f32"));
    drop(&b);
}

Test(gpu, matrix_products_use_shared_memory) {
    built b;
    build(&b, "kernel mm(A: f32[m, k], B: f32[k, n]) -> C: f32[m, n] { C[i, j] = sum(p: A[i, p] * B[p, j]) }", &usual);
    cr_assert(holds(&b, "_product(") && holds(&b, "ld.shared.v4"));
    cr_assert_eq(b.image.plan->entry_count, 3);
    drop(&b);
}

Test(gpu, host_functions_are_refused) {
    const char *message = NULL, *source = "extern fn f(x: f64) -> f64\nkernel k(x: f64[n]) -> y: f64[n] { y[i] = f(x[i]) }";
    qn__program *program = qn__program_open("k.qn", source, strlen(source), NULL, NULL);
    cr_assert(program && !program->sink.errors);
    const qn__compile_options given = {0};
    qn__compiled *compiled = qn__compile(program, qn__program_kernel(program, NULL), NULL, 0, &given);
    qn__image image;
    cr_assert(compiled && compiled->ir);
    cr_assert_not(qn__gpu_emit(compiled->ir, &usual, &image, &message));
    cr_assert(strstr(message, "CPU only"), "%s", message);
    qn__compiled_release(compiled);
    qn__program_close(program);
}

Test(gpu, lines_are_those_of_the_source) {
    built b;
    const qn__gpu_options lines = {.sm = 90, .verify = true, .lines = true};
    build(&b, "kernel two(x: f32[n]) -> y: f32[n], s: f32 {\n    y[i] = x[i] * 3.0\n    s = sum(i: y[i])\n}", &lines);
    cr_assert(holds(&b, ".file") && holds(&b, "k.qn") && holds(&b, ".loc\t1 2 ") && holds(&b, ".loc\t1 3 "));
    drop(&b);
    build(&b, "kernel two(x: f32[n]) -> y: f32[n], s: f32 {\n    y[i] = x[i] * 3.0\n    s = sum(i: y[i])\n}", &usual);
    cr_assert_not(holds(&b, ".loc"));
    drop(&b);
}

Test(gpu, targets_are_rounded_down_and_limited_by_the_driver) {
    built b;
    const char *source = "kernel k(x: f32[n]) -> y: f32[n] { y[i] = x[i] }", *message = NULL;
    build(&b, source, &(qn__gpu_options){.sm = 95, .verify = true});
    cr_assert(holds(&b, ".target sm_90") && holds(&b, ".version 7.8"));
    drop(&b);
    build(&b, source, &(qn__gpu_options){.sm = 120, .ptx_version = 80, .verify = true});
    cr_assert(holds(&b, ".target sm_90"));
    qn__image image;
    cr_assert_not(qn__gpu_emit(b.compiled->ir, &(qn__gpu_options){.sm = 60}, &image, &message));
    drop(&b);
    qn__text text = QN__TEXT_EMPTY;
    cr_assert(qn__gpu_describe(&(qn__gpu_options){.sm = 86}, &text));
    cr_assert(strstr(qn__text_bytes(&text), "sm_86 ptx71"));
    qn__text_free(&text);
}

Test(gpu, images_are_saved_with_their_plan_and_damaged_ones_refused, .timeout = 200) {
    built b;
    build(&b, "kernel above(x: f64[n], t: f64[1]) -> y: f64[?m] {\n    let limit = t[0]\n    y = keep(i: x[i] where x[i] > limit)\n}", &usual);
    b.image.code = "the code is of no concern here";
    b.image.code_size = strlen(b.image.code);
    qn__text saved = QN__TEXT_EMPTY, before = QN__TEXT_EMPTY, after = QN__TEXT_EMPTY;
    qn__image_save(&b.image, &saved);
    qn__arena *arena = qn__arena_create(0);
    qn__image out;
    cr_assert(qn__image_read(arena, saved.bytes, saved.length, &out));
    cr_assert_str_eq(out.code, b.image.code);
    qn__plan_print(b.image.plan, "", &before);
    qn__plan_print(out.plan, "", &after);
    cr_assert_str_eq(qn__text_bytes(&before), qn__text_bytes(&after));
    qn__arena_destroy(arena);
    for (size_t n = 0; n < saved.length; n += 3) {
        char *copy = malloc(n + 1);
        arena = qn__arena_create(1 << 22);
        memcpy(copy, saved.bytes, n);
        cr_assert_not(qn__image_read(arena, copy, n, &out), "%zu of %zu bytes make an image", n, saved.length);
        free(copy);
        qn__arena_destroy(arena);
    }
    for (size_t n = 0; n < saved.length * 8; n++) { /* any bytes give false or a plan whose numbers are all in range: printing would read outside */
        arena = qn__arena_create(1 << 22);
        saved.bytes[n / 8] = (char)(saved.bytes[n / 8] ^ 1 << n % 8);
        qn__text_free(&after);
        if (qn__image_read(arena, saved.bytes, saved.length, &out)) qn__plan_print(out.plan, "", &after);
        saved.bytes[n / 8] = (char)(saved.bytes[n / 8] ^ 1 << n % 8);
        qn__arena_destroy(arena);
    }
    qn__text_free(&saved);
    qn__text_free(&before);
    qn__text_free(&after);
    drop(&b);
}
