/* Arrays whose last extent is a number (x: f32[n, 3]): code takes their strides for granted, so what lies otherwise is packed by the call. */
#include <criterion/criterion.h>
#include <quern/quern.h>
#include <string.h>

enum { N = 1003, WIDE = 5 };

static const char source[] = "kernel weigh(x: f32[n, 3]) -> y: f32[n] {\n"
                             "    y[i] = x[i, 0] + 10.0 * x[i, 1] + 100.0 * x[i, 2]\n"
                             "}\n";

static float memory[N * WIDE];

/* Element (i, c) lies at i * strides[0] + c * strides[1]. */
static void check(qn_engine engine, const int64_t strides[2]) {
    qn_context *context = NULL;
    qn_module *module = NULL;
    qn_kernel *kernel = NULL;
    qn_array *y = NULL;
    qn_error error;
    const qn_context_options options = {.engine = engine, .cache_folder = ""};
    cr_assert_eq(qn_context_create(&options, &context, &error), QN_OK);
    cr_assert_eq(qn_module_from_source(context, "weigh.qn", source, strlen(source), &module, &error), QN_OK);
    cr_assert_eq(qn_kernel_create(module, NULL, NULL, &kernel, &error), QN_OK, "%s", error.message);
    for (int i = 0; i < N * WIDE; i++) memory[i] = -1.0f;
    for (int64_t i = 0; i < N; i++)
        for (int64_t c = 0; c < 3; c++) memory[i * strides[0] + c * strides[1]] = (float)((i * 7 + c) % 9);
    int64_t shape[2] = {N, 3}, stride[2] = {strides[0], strides[1]};
    const DLTensor x = {.data = memory, .device = {kDLCPU, 0}, .ndim = 2, .dtype = qn_type_to_dlpack(QN_F32), .shape = shape, .strides = stride};
    const DLTensor *inputs[] = {&x};
    cr_assert_eq(qn_call(kernel, inputs, 1, &y, 1, NULL, &error), QN_OK, "%s", error.message);
    const float *got = qn_array_tensor(y)->data;
    for (int64_t i = 0; i < N; i++) {
        const float want = (float)((i * 7) % 9 + 10 * ((i * 7 + 1) % 9) + 100 * ((i * 7 + 2) % 9));
        cr_assert_eq(got[i], want, "element %d: %g against %g", (int)i, (double)got[i], (double)want);
    }
    qn_array_destroy(y);
    qn_kernel_destroy(kernel);
    qn_module_destroy(module);
    qn_context_destroy(context);
}

static void both(int64_t outer, int64_t inner) {
    const int64_t strides[2] = {outer, inner};
    check(QN_ENGINE_INTERP, strides);
    check(QN_ENGINE_CPU, strides);
}

Test(layout, row_major) { both(3, 1); }
Test(layout, gap_behind_each_group) { both(WIDE, 1); }
Test(layout, columns_first) { both(1, N); }
