/* Arrays on a device: as inputs and outputs of calls, copied, strided, chained; what is refused. */
#include "tests/gpu/gpu.h"

#include <dlfcn.h>
#include <string.h>

static const DLDevice host = {kDLCPU, 0}, pinned = {kDLCUDAHost, 0}, cuda = {kDLCUDA, 0};

static void expect_saxpy(const float *z, float a, const float *x, const float *y, int n) {
    for (int i = 0; i < n; i++) cr_assert_eq(z[i], a * x[i] + y[i], "element %d", i);
}

enum { N = 1000 };
typedef struct data { float a, x[N], y[N]; int64_t n; DLTensor tensors[3]; const DLTensor *inputs[3]; } data;

static void make(data *d, int n) {
    d->a = 2.0F;
    d->n = n;
    for (int i = 0; i < N; i++) d->x[i] = (float)i, d->y[i] = (float)(i % 7) * 0.5F;
    d->tensors[0] = gpu_tensor(QN_F32, 0, NULL, NULL, &d->a);
    d->tensors[1] = gpu_tensor(QN_F32, 1, &d->n, NULL, d->x);
    d->tensors[2] = gpu_tensor(QN_F32, 1, &d->n, NULL, d->y);
    for (int i = 0; i < 3; i++) d->inputs[i] = &d->tensors[i];
}

Test(device_arrays, host_arrays_in_and_out) {
    gpu_driver(NULL);
    gpu g = gpu_open(gpu_saxpy, NULL);
    data d;
    static const int sizes[] = {0, 1, 31, 33, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        qn_array *z = NULL;
        make(&d, sizes[i]);
        cr_assert_eq(qn_call(g.kernel, d.inputs, 3, &z, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
        cr_assert_eq(qn_array_tensor(z)->shape[0], sizes[i]);
        expect_saxpy(qn_array_tensor(z)->data, d.a, d.x, d.y, sizes[i]);
        qn_array_destroy(z);
    }
    cr_assert_eq(qn_kernel_engine(g.kernel), QN_ENGINE_CUDA);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_arrays, results_stay_on_the_device_until_asked_for) {
    gpu_driver(NULL);
    gpu g = gpu_open(gpu_saxpy, NULL);
    data d;
    make(&d, N);
    qn_array *x = NULL, *y = NULL, *z = NULL, *back = NULL;
    cr_assert_eq(qn_array_from(g.context, &d.tensors[1], cuda, &x, &g.error), QN_OK, "%s", g.error.message);
    cr_assert_eq(qn_array_from(g.context, &d.tensors[2], cuda, &y, &g.error), QN_OK, "%s", g.error.message);
    cr_assert_eq(qn_array_tensor(x)->device.device_type, kDLCUDA);
    const DLTensor *inputs[3] = {&d.tensors[0], qn_array_tensor(x), qn_array_tensor(y)};
    qn_call_profile profile;
    const qn_call_options options = {.outputs = kDLCUDA, .profile = &profile};
    cr_assert_eq(qn_call(g.kernel, inputs, 3, &z, 1, &options, &g.error), QN_OK, "%s", g.error.message);
    cr_assert_eq(qn_array_tensor(z)->device.device_type, kDLCUDA);
    cr_expect_eq(profile.bytes_in, 0);
    cr_expect_eq(profile.bytes_out, 0);
    cr_expect_eq(profile.launches, 1);
    cr_assert_eq(qn_array_to(z, host, &back, &g.error), QN_OK, "%s", g.error.message);
    expect_saxpy(qn_array_tensor(back)->data, d.a, d.x, d.y, N);
    qn_array_destroy(back);
    /* The result is the next call's input, and a given output that lies there. */
    const DLTensor *again[3] = {&d.tensors[0], qn_array_tensor(z), qn_array_tensor(y)};
    cr_assert_eq(qn_call(g.kernel, again, 3, &x, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
    cr_assert_eq(qn_array_to(x, host, &back, &g.error), QN_OK, "%s", g.error.message);
    for (int i = 0; i < N; i++) cr_assert_eq(((float *)qn_array_tensor(back)->data)[i], 2 * (2 * d.x[i] + d.y[i]) + d.y[i]);
    qn_array_destroy(back);
    qn_array_destroy(x);
    qn_array_destroy(y);
    qn_array_destroy(z);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_arrays, an_output_over_its_own_input_sees_the_old_values) {
    gpu_driver(NULL);
    gpu g = gpu_open("kernel shift(x: i32[n]) -> y: i32[n - 1] {\n    y[i] = x[i + 1] * 10 + x[i]\n}\n", NULL);
    int32_t values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int64_t n = 8, m = 7;
    DLTensor t = gpu_tensor(QN_I32, 1, &n, NULL, values);
    qn_array *x = NULL, *back = NULL;
    cr_assert_eq(qn_array_from(g.context, &t, cuda, &x, &g.error), QN_OK, "%s", g.error.message);
    DLTensor whole = *qn_array_tensor(x);
    whole.strides = NULL;
    /* An output is a qn_array: of seven elements, made from the same memory by the kernel's own result. */
    const DLTensor *inputs[1] = {&whole};
    qn_array *y = NULL;
    const qn_call_options there = {.outputs = kDLCUDA};
    cr_assert_eq(qn_call(g.kernel, inputs, 1, &y, 1, &there, &g.error), QN_OK, "%s", g.error.message);
    cr_assert_eq(qn_array_to(y, host, &back, &g.error), QN_OK);
    for (int i = 0; i < 7; i++) cr_assert_eq(((int32_t *)qn_array_tensor(back)->data)[i], values[i + 1] * 10 + values[i]);
    cr_assert_eq(qn_array_tensor(y)->shape[0], m);
    qn_array_destroy(back);
    qn_array_destroy(x);
    qn_array_destroy(y);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_arrays, inouts_and_swaps_on_the_device) {
    gpu_driver(NULL);
    gpu g = gpu_open("kernel steps(inout u: f64[n], steps: i64) {\n    let v[i] = u[i]\n    loop t in 0..steps {\n"
                     "        v[i] = u[i] + f64(i)\n        swap(u, v)\n    }\n}\n", NULL);
    for (int64_t steps = 0; steps < 4; steps++) {
        double values[33];
        int64_t n = 33;
        for (int i = 0; i < 33; i++) values[i] = 1;
        DLTensor t = gpu_tensor(QN_F64, 1, &n, NULL, values), count = gpu_tensor(QN_I64, 0, NULL, NULL, &steps);
        qn_array *u = NULL, *back = NULL;
        cr_assert_eq(qn_array_from(g.context, &t, cuda, &u, &g.error), QN_OK, "%s", g.error.message);
        const DLTensor *there[2] = {qn_array_tensor(u), &count}, *here[2] = {&t, &count};
        cr_assert_eq(qn_call(g.kernel, there, 2, NULL, 0, NULL, &g.error), QN_OK, "%s", g.error.message);
        cr_assert_eq(qn_call(g.kernel, here, 2, NULL, 0, NULL, &g.error), QN_OK, "%s", g.error.message);
        cr_assert_eq(qn_array_to(u, host, &back, &g.error), QN_OK);
        for (int i = 0; i < 33; i++) {
            cr_assert_eq(values[i], 1 + (double)(steps * i));
            cr_assert_eq(((double *)qn_array_tensor(back)->data)[i], 1 + (double)(steps * i));
        }
        qn_array_destroy(u);
        qn_array_destroy(back);
    }
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_arrays, existential_outputs) {
    gpu_driver(NULL);
    gpu g = gpu_open("kernel above(x: f64[n], limit: f64) -> y: f64[?m] {\n    y = keep(i: x[i] where x[i] > limit)\n}\n", NULL);
    double x[500], limit = 400;
    int64_t n = 500;
    for (int i = 0; i < 500; i++) x[i] = i;
    DLTensor t = gpu_tensor(QN_F64, 1, &n, NULL, x), l = gpu_tensor(QN_F64, 0, NULL, NULL, &limit);
    const DLTensor *inputs[2] = {&t, &l};
    for (int place = 0; place < 2; place++) {
        qn_array *y = NULL, *back = NULL;
        const qn_call_options options = {.outputs = place ? kDLCUDA : kDLCPU};
        cr_assert_eq(qn_call(g.kernel, inputs, 2, &y, 1, &options, &g.error), QN_OK, "%s", g.error.message);
        cr_assert_eq(qn_array_to(y, host, &back, &g.error), QN_OK, "%s", g.error.message);
        cr_assert_eq(qn_array_tensor(back)->shape[0], 99);
        for (int i = 0; i < 99; i++) cr_assert_eq(((double *)qn_array_tensor(back)->data)[i], 401 + i);
        qn_array_destroy(y);
        qn_array_destroy(back);
    }
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_arrays, strided_tensors) {
    gpu_driver(NULL);
    gpu g = gpu_open("kernel copy(a: f32[m, n]) -> b: f32[m, n] {\n    b[i, j] = a[i, j]\n}\n", NULL);
    float values[6 * 8];
    int64_t whole[2] = {6, 8}, shape[2] = {3, 4};
    for (int i = 0; i < 48; i++) values[i] = (float)i;
    DLTensor t = gpu_tensor(QN_F32, 2, whole, NULL, values);
    qn_array *there = NULL;
    cr_assert_eq(qn_array_from(g.context, &t, cuda, &there, &g.error), QN_OK, "%s", g.error.message);
    int64_t patterns[][2] = {{8, 1}, {16, 2}, {1, 8}, {-8, 1}, {0, 1}, {8, -1}};
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++)
        for (int place = 0; place < 2; place++) {
            DLTensor view = place ? *qn_array_tensor(there) : t;
            view.shape = shape;
            view.strides = patterns[p];
            view.byte_offset = 20 * sizeof(float);
            if (patterns[p][0] == 1) view.byte_offset = 2 * sizeof(float);
            if (patterns[p][0] == 16) view.byte_offset = 1 * sizeof(float);
            const DLTensor *inputs[1] = {&view};
            qn_array *b = NULL, *copy = NULL, *back = NULL;
            cr_assert_eq(qn_call(g.kernel, inputs, 1, &b, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
            cr_assert_eq(qn_array_from(g.context, &view, place ? host : cuda, &copy, &g.error), QN_OK, "%s", g.error.message);
            cr_assert_eq(qn_array_to(copy, pinned, &back, &g.error), QN_OK, "%s", g.error.message);
            const int64_t first = (int64_t)view.byte_offset / 4;
            for (int64_t i = 0; i < 3; i++)
                for (int64_t j = 0; j < 4; j++) {
                    const float wanted = values[first + i * patterns[p][0] + j * patterns[p][1]];
                    cr_assert_eq(((float *)qn_array_tensor(b)->data)[i * 4 + j], wanted, "pattern %zu place %d", p, place);
                    cr_assert_eq(((float *)qn_array_tensor(back)->data)[i * 4 + j], wanted, "pattern %zu place %d", p, place);
                }
            qn_array_destroy(b);
            qn_array_destroy(copy);
            qn_array_destroy(back);
        }
    qn_array_destroy(there);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_arrays, pinned_memory_is_copied_directly) {
    gpu_driver(NULL);
    gpu g = gpu_open(gpu_saxpy, NULL);
    data d;
    make(&d, N);
    qn_array *x = NULL, *z = NULL;
    const int64_t shape[1] = {N};
    cr_assert_eq(qn_array_from(g.context, &d.tensors[1], pinned, &x, &g.error), QN_OK, "%s", g.error.message);
    cr_assert_eq(qn_array_create_on(g.context, pinned, QN_F32, 1, shape, &z, &g.error), QN_OK, "%s", g.error.message);
    cr_assert_eq(((float *)qn_array_tensor(z)->data)[N - 1], 0.0F);
    const DLTensor *inputs[3] = {&d.tensors[0], qn_array_tensor(x), &d.tensors[2]};
    cr_assert_eq(qn_call(g.kernel, inputs, 3, &z, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
    expect_saxpy(qn_array_tensor(z)->data, d.a, d.x, d.y, N);
    qn_array_destroy(x);
    qn_array_destroy(z);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_arrays, new_arrays_are_zero) {
    gpu_driver(NULL);
    gpu g = gpu_open(gpu_saxpy, NULL);
    const int64_t shape[2] = {7, 9};
    qn_array *a = NULL, *back = NULL;
    cr_assert_eq(qn_array_create_on(g.context, cuda, QN_I16, 2, shape, &a, &g.error), QN_OK, "%s", g.error.message);
    cr_assert_eq(qn_array_to(a, host, &back, &g.error), QN_OK);
    for (int i = 0; i < 63; i++) cr_assert_eq(((int16_t *)qn_array_tensor(back)->data)[i], 0);
    qn_array_destroy(a);
    qn_array_destroy(back);
    gpu_close(&g);
    gpu_expect_no_leak();
}

Test(device_arrays, large_arrays_go_in_pieces) {
    gpu_driver(NULL);
    gpu g = gpu_open("kernel copy(a: u8[m, n]) -> b: u8[m, n] {\n    b[i, j] = a[i, j]\n}\n", NULL);
    enum { M = 300, K = 11003 };
    static unsigned char values[M * (K + 5)];
    int64_t shape[2] = {M, K}, strides[2] = {K + 5, 1};
    for (size_t i = 0; i < sizeof values; i++) values[i] = (unsigned char)(i * 2654435761U >> 13);
    qn_array *x = NULL, *back = NULL;
    DLTensor t = gpu_tensor(QN_U8, 2, shape, strides, values);
    cr_assert_eq(qn_array_from(g.context, &t, cuda, &x, &g.error), QN_OK, "%s", g.error.message);
    cr_assert_eq(qn_array_to(x, host, &back, &g.error), QN_OK, "%s", g.error.message);
    for (int i = 0; i < M; i++) cr_assert(memcmp((char *)qn_array_tensor(back)->data + i * K, values + i * (K + 5), K) == 0);
    qn_array_destroy(x);
    qn_array_destroy(back);
    gpu_close(&g);
    gpu_expect_no_leak();
}

/* Memory of the host program's own CUDA code: of any size, at any address that suits the elements, usual or managed. */
typedef int (*allocator)(unsigned long long *address, size_t bytes);
typedef int (*managed_allocator)(unsigned long long *address, size_t bytes, unsigned flags);
typedef int (*releaser)(unsigned long long address);
typedef int (*device_releaser)(int device);
typedef int (*retainer)(void **context, int device);
typedef int (*setter)(void *context);

static void *symbol(const char *name) {
    void *library = dlopen(EM_LIBRARY, RTLD_NOW | RTLD_LOCAL), *found = library ? dlsym(library, name) : NULL;
    cr_assert(found, "%s", name);
    return found;
}

Test(device_arrays, memory_of_others) {
    gpu_driver(NULL);
    gpu g = gpu_open("kernel triple(x: f32[n], inout y: f32[n]) -> z: f32[n] {\n    z[i] = x[i] * 3.0\n    y[i] = y[i] + x[i]\n}\n", NULL);
    void *context = NULL;
    cr_assert_eq(((retainer)symbol("cuDevicePrimaryCtxRetain"))(&context, 0), 0);
    cr_assert_eq(((setter)symbol("cuCtxSetCurrent"))(context), 0);
    for (int managed = 0; managed < 2; managed++)
        for (int64_t n = 3; n < 9; n++) {
            unsigned long long memory = 0;
            const size_t bytes = (size_t)(2 * n + 1) * sizeof(float); /* y follows x, whose end is not aligned */
            cr_assert_eq(managed ? ((managed_allocator)symbol("cuMemAllocManaged"))(&memory, bytes, 1) : ((allocator)symbol("cuMemAlloc_v2"))(&memory, bytes), 0);
            float values[8], *there = (float *)(uintptr_t)memory; /* the emulator's device memory is the host's */
            for (int64_t i = 0; i < n; i++) values[i] = (float)(i + 1), there[1 + i] = values[i], there[1 + n + i] = 100.0F;
            DLTensor x = gpu_tensor(QN_F32, 1, &n, NULL, there), y;
            x.device = (DLDevice){managed ? kDLCUDAManaged : kDLCUDA, 0};
            y = x;
            x.byte_offset = sizeof(float);
            y.byte_offset = (size_t)(n + 1) * sizeof(float);
            const DLTensor *inputs[2] = {&x, &y};
            qn_array *z = NULL;
            cr_assert_eq(qn_call(g.kernel, inputs, 2, &z, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
            for (int64_t i = 0; i < n; i++) {
                cr_assert_eq(((float *)qn_array_tensor(z)->data)[i], 3 * values[i]);
                cr_assert_eq(there[1 + i], values[i], "an input was modified");
                cr_assert_eq(there[1 + n + i], 100.0F + values[i]);
            }
            qn_array_destroy(z);
            cr_assert_eq(((releaser)symbol("cuMemFree_v2"))(memory), 0);
        }
    gpu_close(&g);
    cr_assert_eq(((device_releaser)symbol("cuDevicePrimaryCtxRelease_v2"))(0), 0);
    gpu_expect_no_leak();
}

Test(device_arrays, what_is_refused_is_named) {
    gpu_driver("QUERN_EMULATOR_DEVICES=2", NULL);
    gpu g = gpu_open(gpu_saxpy, NULL);
    data d;
    make(&d, N);
    qn_array *x = NULL, *other = NULL, *z = NULL;
    cr_assert_eq(qn_array_from(g.context, &d.tensors[1], cuda, &x, &g.error), QN_OK);
    cr_assert_eq(qn_array_to(x, (DLDevice){kDLCUDA, 1}, &other, &g.error), QN_OK, "%s", g.error.message);
    const DLTensor *inputs[3] = {&d.tensors[0], qn_array_tensor(other), &d.tensors[2]};
    cr_assert_eq(qn_call(g.kernel, inputs, 3, &z, 1, NULL, &g.error), QN_USAGE);
    cr_expect_str_eq(g.error.message, "argument 'x' lies on cuda:1, the kernel runs on cuda:0: qn_array_to copies it");
    qn_kernel *cpu = NULL;
    const qn_kernel_options options = {.engine = QN_ENGINE_CPU};
    cr_assert_eq(qn_kernel_create(g.module, NULL, &options, &cpu, &g.error), QN_OK);
    inputs[1] = qn_array_tensor(x);
    cr_assert_eq(qn_call(cpu, inputs, 3, &z, 1, NULL, &g.error), QN_USAGE);
    cr_expect_str_eq(g.error.message, "argument 'x' lies on cuda:0, the kernel runs on the host: qn_array_to copies it");
    const qn_call_options there = {.outputs = kDLCUDA};
    cr_assert_eq(qn_call(cpu, d.inputs, 3, &z, 1, &there, &g.error), QN_USAGE);
    cr_assert_eq(qn_array_to(x, (DLDevice){kDLCUDA, 2}, &z, &g.error), QN_DEVICE);
    cr_expect_str_eq(g.error.message, "there is no CUDA device 2: 2 found");
    cr_assert_eq(qn_array_to(x, (DLDevice){kDLVulkan, 0}, &z, &g.error), QN_USAGE);
    /* A pointer of the host that claims to be the device's would break the device. */
    DLTensor wrong = d.tensors[1];
    wrong.device = cuda;
    inputs[1] = &wrong;
    cr_assert_eq(qn_call(g.kernel, inputs, 3, &z, 1, NULL, &g.error), QN_USAGE);
    cr_expect_str_eq(g.error.message, "argument 'x': its data pointer is not of a CUDA device's memory");
    wrong = *qn_array_tensor(other);
    wrong.device = cuda;
    cr_assert_eq(qn_call(g.kernel, inputs, 3, &z, 1, NULL, &g.error), QN_USAGE);
    cr_expect_str_eq(g.error.message, "argument 'x': its data lies on cuda:1, the kernel runs on cuda:0");
    inputs[1] = qn_array_tensor(x);
    cr_assert_eq(qn_call(g.kernel, inputs, 3, &z, 1, NULL, &g.error), QN_OK, "%s", g.error.message);
    qn_array_destroy(z);
    qn_kernel_destroy(cpu);
    qn_array_destroy(x);
    qn_array_destroy(other);
    gpu_close(&g);
    gpu_expect_no_leak();
}
