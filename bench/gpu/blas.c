/* The products by cuBLAS, opened at run time: QUERN_CUBLAS or the library's usual names. Its interface is declared here
 * by hand; cuBLAS is column-major, so that C = A B of row-major arrays is asked for as C' = B' A'. Default arithmetic:
 * f32 products are not rounded to TF32; f64 may use tensor cores. */
#include "gpu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct blas {
    void *library, *handle;
    int (*create)(void **handle);
    int (*destroy)(void *handle);
    int (*stream)(void *handle, qn__cu_stream stream);
    int (*sgemm)(void *, int, int, int, int, int, const float *, const void *, int, const void *, int, const float *,
                 void *, int);
    int (*dgemm)(void *, int, int, int, int, int, const double *, const void *, int, const void *, int, const double *,
                 void *, int);
} blas;

static bool symbol(blas *l, const char *name, void *function) {
    void *address = dlsym(l->library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static bool open_blas(gpu_bench *b, blas *l, gpu_row *row) {
    static const char *const names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"};
    const char *named = getenv("QUERN_CUBLAS");
    if (b->emulated) {
        gpu_fail(row, "not measured: the emulator runs no machine code");
        return false;
    }
    if (named && *named) l->library = dlopen(named, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; !l->library && i < sizeof names / sizeof *names; i++)
        l->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!l->library)
        gpu_fail(row, "not measured: libcublas.so cannot be opened (QUERN_CUBLAS names it)");
    else if (!symbol(l, "cublasCreate_v2", &l->create) || !symbol(l, "cublasDestroy_v2", &l->destroy) ||
             !symbol(l, "cublasSetStream_v2", &l->stream) || !symbol(l, "cublasSgemm_v2", &l->sgemm) ||
             !symbol(l, "cublasDgemm_v2", &l->dgemm))
        gpu_fail(row, "libcublas.so lacks what is needed");
    else if (l->create(&l->handle) != 0 || l->stream(l->handle, b->stream) != 0)
        gpu_fail(row, "cuBLAS cannot be initialised");
    else
        return true;
    return false;
}

static bool product(const blas *l, bool wide, int n, const void *A, const void *B, void *C) {
    const float one = 1, zero = 0;
    const double wide_one = 1, wide_zero = 0;
    return (wide ? l->dgemm(l->handle, 0, 0, n, n, n, &wide_one, B, n, A, n, &wide_zero, C, n)
                 : l->sgemm(l->handle, 0, 0, n, n, n, &one, B, n, A, n, &zero, C, n)) == 0;
}

static void measure(gpu_bench *b, const blas *l, bool wide, int n, gpu_row *row) {
    const double scalars[GPU_SCALARS] = {0};
    double ms[200], spent = 0;
    int runs = 0;
    gpu_call c; /* Quern's arrays, its result is overwritten */
    bool fine = gpu_call_begin(&c, b, true, true, wide ? "matmul64" : "matmul32", n, scalars, row) &&
                gpu_call_run(&c, NULL, row);
    for (int i = -2; fine && (i < 0 || gpu_more(spent, runs)); i++) {
        const double begun = gpu_now();
        fine = product(l, wide, n, c.list[0]->data, c.list[1]->data, qn_array_tensor(c.outputs[0])->data) &&
               b->driver.cuStreamSynchronize(b->stream) == CU_SUCCESS;
        if (i < 0) continue;
        ms[runs++] = gpu_now() - begun;
        spent += ms[runs - 1];
    }
    if (fine) {
        row->call_ms = gpu_median(ms, (size_t)runs);
        row->gflops = 2.0 * n * n * n / (row->call_ms * 1e6);
    } else if (!row->failed) {
        gpu_fail(row, "cuBLAS failed");
    }
    gpu_call_end(&c);
}

void gpu_blas(gpu_bench *b) {
    blas l = {0};
    gpu_row unopened = {0};
    if (!open_blas(b, &l, &unopened)) {
        gpu_row *row = gpu_add(b, GPU_PRODUCT, "matmul32, matmul64", "cuBLAS", 0);
        memcpy(row->note, unopened.note, sizeof row->note); /* its absence is no failure */
    } else {
        for (int wide = 0; wide < 2; wide++)
            for (int n = 1024; n <= 8192; n *= 2)
                measure(b, &l, wide, n, gpu_add(b, GPU_PRODUCT, wide ? "matmul64" : "matmul32", "cuBLAS", n));
    }
    if (l.handle) l.destroy(l.handle);
    if (l.library) dlclose(l.library);
}
