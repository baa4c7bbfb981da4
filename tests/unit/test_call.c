/* Calls of loaded kernels: what is checked and said, layouts, aliasing, exchanged buffers, existential outputs, memory, time. */
#include "compiler/bytecode.h"
#include "compiler/compile.h"
#include "runtime/call.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- kernels from source ------------------------------------------------------------------------------------------ */

typedef struct fixture { qn__program *program; qn__compiled *compiled; qn__image image; qn__loaded loaded; } fixture;

static fixture *open_kernel(const char *source) {
    fixture *f = calloc(1, sizeof *f);
    const char *message = NULL;
    f->program = qn__program_open("test.qn", source, strlen(source), NULL, NULL);
    cr_assert(f->program);
    const qn__kernel_info *kernel = qn__program_kernel(f->program, NULL);
    cr_assert(kernel);
    f->compiled = qn__compile(f->program, kernel, NULL, 0, NULL);
    cr_assert(f->compiled && f->compiled->ir, "the kernel does not compile");
    cr_assert(qn__bytecode_emit(f->compiled->ir, &f->image, &message), "%s", message);
    cr_assert(qn__kernel_load(&f->loaded, &qn__engine_interp, &f->image, NULL, &message), "%s", message);
    return f;
}

static void close_kernel(fixture *f) {
    qn__kernel_unload(&f->loaded);
    qn__compiled_release(f->compiled);
    qn__program_close(f->program);
    free(f);
}

/* An allocator that counts, and fails from the n-th block on. */
typedef struct counter { int64_t live, blocks, fail_at; } counter;

static void *counted(void *user, size_t bytes, size_t alignment) {
    counter *c = user;
    if (c->fail_at && ++c->blocks >= c->fail_at) return NULL;
    c->live += (int64_t)bytes;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void uncounted(void *user, void *data, size_t bytes) {
    ((counter *)user)->live -= (int64_t)bytes;
    free(data);
}

static qn__argument vector(qn__type type, int64_t n, void *data) {
    qn__argument a;
    qn__argument_array(&a, type, 1, &n, data);
    return a;
}

static const char saxpy[] = "kernel saxpy(a: f32, x: f32[n], y: f32[n]) -> z: f32[n] {\n    z[i] = a * x[i] + y[i]\n}\n";

static qn__argument scalar_f32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    qn__argument a;
    qn__argument_scalar(&a, QN__TYPE_F32, bits);
    return a;
}

/* --- results ------------------------------------------------------------------------------------------------------ */

Test(call, allocates_what_the_caller_did_not_bring) {
    fixture *f = open_kernel(saxpy);
    float x[3] = {1, 2, 3}, y[3] = {10, 20, 30};
    counter count = {0};
    qn__allocator allocator = {counted, uncounted, &count};
    qn__call_options options = {.allocator = &allocator};
    qn__argument arguments[4] = {scalar_f32(2), vector(QN__TYPE_F32, 3, x), vector(QN__TYPE_F32, 3, y)};
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, 4, &options, &result), QN__CALL_OK, "%s", result.text);
    cr_assert(arguments[3].allocated && arguments[3].extent[0] == 3 && arguments[3].type == QN__TYPE_F32);
    cr_assert_eq(((float *)arguments[3].data)[2], 36.0F);
    cr_assert_eq((uintptr_t)arguments[3].data % QN__ALIGNMENT, 0);
    cr_assert_eq(count.live, (int64_t)arguments[3].bytes);
    qn__argument_free(&arguments[3], &allocator);
    cr_assert_eq(count.live, 0);
    close_kernel(f);
}

Test(call, strided_negative_and_unaligned_arrays) {
    fixture *f = open_kernel(saxpy);
    char raw[64];
    float x[6] = {1, 0, 2, 0, 3, 0}, reversed[3] = {30, 20, 10}, z[6] = {7, 7, 7, 7, 7, 7};
    memcpy(raw + 1, x, sizeof x);
    qn__argument arguments[4] = {scalar_f32(2), vector(QN__TYPE_F32, 3, raw + 1), vector(QN__TYPE_F32, 3, reversed + 2),
                                 vector(QN__TYPE_F32, 3, z)};
    arguments[1].stride[0] = 8;
    arguments[2].stride[0] = -4;
    arguments[3].stride[0] = 8;
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, 4, NULL, &result), QN__CALL_OK, "%s", result.text);
    cr_assert(z[0] == 12 && z[1] == 7 && z[2] == 24 && z[3] == 7 && z[4] == 36 && z[5] == 7);
    cr_assert_gt(result.packed_bytes, 0);
    close_kernel(f);
}

Test(call, an_output_over_its_input_sees_the_old_values) {
    fixture *f = open_kernel("kernel shift(x: i32[n]) -> y: i32[n - 1] {\n    y[i] = x[i + 1] * 10 + x[i]\n}\n");
    int32_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    qn__argument arguments[2] = {vector(QN__TYPE_I32, 7, data), vector(QN__TYPE_I32, 6, data + 1)};
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, 2, NULL, &result), QN__CALL_OK, "%s", result.text);
    const int32_t expected[8] = {1, 21, 32, 43, 54, 65, 76, 8};
    cr_assert(!memcmp(data, expected, sizeof data));
    close_kernel(f);
}

Test(call, a_fortran_ordered_matrix) {
    fixture *f = open_kernel("kernel copy(a: f64[m, n]) -> b: f64[n, m] {\n    b[j, i] = a[i, j]\n}\n");
    double data[6] = {1, 4, 2, 5, 3, 6}; /* [[1, 2, 3], [4, 5, 6]] by columns */
    qn__argument arguments[2] = {0};
    qn__argument_array(&arguments[0], QN__TYPE_F64, 2, (int64_t[]){2, 3}, data);
    arguments[0].stride[0] = 8;
    arguments[0].stride[1] = 16;
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, 2, NULL, &result), QN__CALL_OK, "%s", result.text);
    const double expected[6] = {1, 4, 2, 5, 3, 6};
    cr_assert(!memcmp(arguments[1].data, expected, sizeof expected));
    qn__argument_free(&arguments[1], NULL);
    close_kernel(f);
}

Test(call, empty_arrays) {
    fixture *f = open_kernel(saxpy);
    qn__argument arguments[4] = {scalar_f32(2), vector(QN__TYPE_F32, 0, NULL), vector(QN__TYPE_F32, 0, NULL)};
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, 4, NULL, &result), QN__CALL_OK, "%s", result.text);
    cr_assert(arguments[3].allocated && arguments[3].extent[0] == 0);
    qn__argument_free(&arguments[3], NULL);
    close_kernel(f);
}

static const char above[] = "kernel above(x: f64[n], limit: f64) -> y: f64[?m] {\n    y = keep(i: x[i] where x[i] > limit)\n}\n";

Test(call, existential_outputs) {
    fixture *f = open_kernel(above);
    double x[5] = {1, 5, 2, 6, 7}, room[6] = {0}, limit = 3;
    uint64_t bits;
    memcpy(&bits, &limit, sizeof bits);
    qn__argument arguments[3] = {vector(QN__TYPE_F64, 5, x)};
    qn__call_result result;
    qn__argument_scalar(&arguments[1], QN__TYPE_F64, bits);
    cr_assert_eq(qn__call(&f->loaded, arguments, 3, NULL, &result), QN__CALL_OK, "%s", result.text);
    cr_assert(arguments[2].extent[0] == 3 && ((double *)arguments[2].data)[1] == 6);
    qn__argument_free(&arguments[2], NULL);
    arguments[2] = vector(QN__TYPE_F64, 6, room);
    cr_assert_eq(qn__call(&f->loaded, arguments, 3, NULL, &result), QN__CALL_OK, "%s", result.text);
    cr_assert(arguments[2].extent[0] == 3 && room[2] == 7 && !arguments[2].allocated);
    arguments[2] = vector(QN__TYPE_F64, 2, room);
    cr_assert_eq(qn__call(&f->loaded, arguments, 3, NULL, &result), QN__CALL_ARGUMENT);
    cr_assert(strstr(result.text, "needs 3"), "%s", result.text);
    close_kernel(f);
}

static const char steps[] = "kernel steps(inout u: f64[n], steps: i64) {\n    let v: f64[n]\n"
                            "    loop t in 0..steps {\n        v[i] = u[i] + f64(i)\n        swap(u, v)\n    }\n}\n";
static const char steps_let[] = "kernel steps(inout u: f64[n], steps: i64) {\n    let v[i] = u[i]\n"
                                "    loop t in 0..steps {\n        v[i] = u[i] + f64(i)\n        swap(u, v)\n    }\n}\n";

Test(call, exchanged_buffers_come_back) {
    (void)steps;
    fixture *f = open_kernel(steps_let);
    for (int64_t n = 0; n < 4; n++) {
        double u[4] = {1, 1, 1, 1};
        qn__argument arguments[2] = {vector(QN__TYPE_F64, 4, u)};
        qn__argument_scalar(&arguments[1], QN__TYPE_I64, (uint64_t)n);
        qn__call_result result;
        cr_assert_eq(qn__call(&f->loaded, arguments, 2, NULL, &result), QN__CALL_OK, "%s", result.text);
        for (int i = 0; i < 4; i++) cr_assert_eq(u[i], (double)(1 + n * i), "%ld steps", n);
    }
    close_kernel(f);
}

Test(call, scalar_outputs) {
    fixture *f = open_kernel("kernel total(x: i32[n]) -> s: i64, m: i32 {\n    s = sum(i: i64(x[i]))\n    m = max(i: x[i])\n}\n");
    int32_t x[3] = {-4, 9, 2}, most = 0;
    qn__argument arguments[3] = {vector(QN__TYPE_I32, 3, x)};
    arguments[2].data = &most;
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, 3, NULL, &result), QN__CALL_OK, "%s", result.text);
    cr_assert(arguments[1].bits == 7 && most == 9 && arguments[2].bits == 9 && !arguments[1].allocated);
    close_kernel(f);
}

/* --- what is refused ---------------------------------------------------------------------------------------------- */

static void refused(fixture *f, qn__argument *arguments, uint32_t count, const char *text) {
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, count, NULL, &result), QN__CALL_ARGUMENT);
    cr_assert_str_eq(result.text, text);
}

Test(call, wrong_arguments_are_named) {
    fixture *f = open_kernel(saxpy);
    float x[4] = {0};
    qn__argument good[4] = {scalar_f32(2), vector(QN__TYPE_F32, 3, x), vector(QN__TYPE_F32, 3, x)}, bad[4];
    memcpy(bad, good, sizeof good);
    bad[2].extent[0] = 4;
    refused(f, bad, 4, "argument y: dimension 0 is 4, expected n = 3 (n comes from dimension 0 of x)");
    memcpy(bad, good, sizeof good);
    bad[1].type = QN__TYPE_F64;
    refused(f, bad, 4, "argument x: expected an array of f32, found f64");
    bad[1] = good[1];
    bad[1].rank = 2;
    refused(f, bad, 4, "argument x: expected an array of rank 1, found rank 2");
    bad[1] = good[1];
    bad[1].extent[0] = -1;
    refused(f, bad, 4, "argument x: dimension 0 is -1; it must be at least 0 and below 2^48");
    bad[1] = good[1];
    bad[1].data = NULL;
    refused(f, bad, 4, "argument x: the array has no data");
    bad[1] = good[1];
    bad[1].stride[0] = INT64_MAX / 2;
    refused(f, bad, 4, "argument x: the stride of dimension 0 is too large");
    bad[1] = good[1];
    bad[0].type = QN__TYPE_I32;
    refused(f, bad, 4, "argument a: expected f32, found i32");
    bad[0] = good[0];
    bad[3] = vector(QN__TYPE_F32, 2, x);
    refused(f, bad, 4, "output z: dimension 0 is 2, expected 3");
    refused(f, good, 3, "saxpy takes 4 arguments (inputs and outputs), found 3");
    close_kernel(f);
}

Test(call, bound_sizes_are_not_negative) {
    fixture *f = open_kernel("kernel rows(row: i32[m + 1]) -> y: i32[m] {\n    y[i] = row[i + 1] - row[i]\n}\n");
    int32_t data[1] = {0};
    qn__argument arguments[2] = {vector(QN__TYPE_I32, 0, data)};
    refused(f, arguments, 2, "argument row: dimension 0 is 0, expected m + 1 with m at least 0");
    close_kernel(f);
}

Test(call, sizes_as_scalars) {
    fixture *f = open_kernel("kernel zeros(k: size) -> y: f32[k] {\n    y[i] = 0.0\n}\n");
    qn__argument arguments[2] = {0};
    qn__argument_scalar(&arguments[0], QN__TYPE_I64, (uint64_t)-3);
    refused(f, arguments, 2, "argument k: a size must be at least 0 and below 2^48, found -3");
    qn__argument_scalar(&arguments[0], QN__TYPE_I64, UINT64_C(1) << 47);
    counter count = {.fail_at = 1};
    qn__allocator allocator = {counted, uncounted, &count};
    qn__call_options options = {.allocator = &allocator};
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, 2, &options, &result), QN__CALL_MEMORY, "%s", result.text);
    close_kernel(f);
}

/* --- faults, memory, time ----------------------------------------------------------------------------------------- */

Test(call, faults_have_a_place) {
    fixture *f = open_kernel("kernel gather(x: f32[n], at: i32[m]) -> y: f32[m] {\n    y[i] = x[at[i]]\n}\n");
    float x[3] = {1, 2, 3};
    int32_t at[4] = {0, 2, 7, -1};
    counter count = {0};
    qn__allocator allocator = {counted, uncounted, &count};
    qn__call_options options = {.allocator = &allocator};
    qn__argument arguments[3] = {vector(QN__TYPE_F32, 3, x), vector(QN__TYPE_I32, 4, at)};
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, 3, &options, &result), QN__CALL_FAULT);
    cr_assert(result.fault.kind == QN__FAULT_INDEX && result.fault.index == 7 && result.fault.extent == 3 && result.fault.iteration == 2);
    cr_assert(result.location && result.location->line == 2, "%s", result.text);
    cr_assert_str_eq(result.text, "index out of range: index 7, extent 3");
    cr_assert_eq(count.live, 0);
    close_kernel(f);
}

/* Whichever block cannot be had: the call says so, and gives back all others. */
Test(call, out_of_memory_anywhere) {
    fixture *f = open_kernel(above);
    double x[5] = {1, 5, 2, 6, 7};
    for (int64_t at = 1; at < 8; at++) {
        counter count = {.fail_at = at};
        qn__allocator allocator = {counted, uncounted, &count};
        qn__call_options options = {.allocator = &allocator};
        qn__argument arguments[3] = {vector(QN__TYPE_F64, 5, x)};
        arguments[0].stride[0] = -8; /* to be packed */
        arguments[0].data = x + 4;
        qn__argument_scalar(&arguments[1], QN__TYPE_F64, 0);
        qn__call_result result;
        qn__call_status status = qn__call(&f->loaded, arguments, 3, &options, &result);
        cr_assert(status == QN__CALL_MEMORY || status == QN__CALL_OK);
        cr_assert(status == QN__CALL_OK || at < 4);
        cr_assert(status != QN__CALL_OK || at >= 3);
        qn__argument_free(&arguments[2], &allocator);
        cr_assert_eq(count.live, 0);
    }
    close_kernel(f);
}

static const char forever[] = "kernel forever(n: i64) -> y: i64[4] {\n    y[i] = {\n        var k = i\n"
                              "        while k != n { k = (k + 1) & 7 }\n        k\n    }\n}\n";

Test(call, deadlines, .timeout = 20) {
    fixture *f = open_kernel(forever);
    qn__argument arguments[2] = {0};
    qn__argument_scalar(&arguments[0], QN__TYPE_I64, 100);
    uint64_t start = qn__now();
    qn__call_options options = {.deadline = start + 50000000};
    qn__call_result result;
    cr_assert_eq(qn__call(&f->loaded, arguments, 2, &options, &result), QN__CALL_DEADLINE, "%s", result.text);
    cr_assert(!arguments[1].data);
    cr_assert_lt(qn__now() - start, UINT64_C(5000000000));
    qn__argument_scalar(&arguments[0], QN__TYPE_I64, 5);
    options.deadline = qn__now() + UINT64_C(10000000000);
    cr_assert_eq(qn__call(&f->loaded, arguments, 2, &options, &result), QN__CALL_OK, "%s", result.text);
    qn__argument_free(&arguments[1], NULL);
    options.deadline = 1;
    cr_assert_eq(qn__call(&f->loaded, arguments, 2, &options, &result), QN__CALL_DEADLINE);
    close_kernel(f);
}

static volatile int32_t cancelled;
static void *cancel_soon(void *argument) {
    usleep(30000);
    __atomic_store_n(&cancelled, 1, __ATOMIC_RELAXED);
    return argument;
}

Test(call, cancellation, .timeout = 20) {
    fixture *f = open_kernel(forever);
    for (int with_deadline = 0; with_deadline < 2; with_deadline++) {
        qn__argument arguments[2] = {0};
        qn__argument_scalar(&arguments[0], QN__TYPE_I64, 100);
        qn__call_options options = {.cancel = &cancelled, .deadline = with_deadline ? qn__now() + UINT64_C(15000000000) : 0};
        qn__call_result result;
        pthread_t thread;
        cancelled = 0;
        cr_assert_eq(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
        cr_assert_eq(qn__call(&f->loaded, arguments, 2, &options, &result), QN__CALL_CANCELLED, "%s", result.text);
        pthread_join(thread, NULL);
    }
    close_kernel(f);
}
