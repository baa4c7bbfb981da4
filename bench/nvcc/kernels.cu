// The computations of kernels.qn as a CUDA programmer would write them, for a comparison of machine code.
#include <stdint.h>

extern "C" __global__ void saxpy(float a, const float *__restrict__ x, const float *__restrict__ y, float *__restrict__ z, int64_t n) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x) z[i] = fmaf(a, x[i], y[i]);
}

__device__ static double normal(double d) { return 0.5 * erfc(-d * 0.7071067811865476); }

extern "C" __global__ void black_scholes(const double *__restrict__ s, const double *__restrict__ k, const double *__restrict__ t, double r, double v,
                                         double *__restrict__ price, int64_t n) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x) {
        const double q = v * sqrt(t[i]);
        const double d1 = (log(s[i] / k[i]) + (r + v * v * 0.5) * t[i]) / q;
        const double d2 = d1 - q;
        price[i] = s[i] * normal(d1) - k[i] * exp(-r * t[i]) * normal(d2);
    }
}

extern "C" __global__ void jacobi(const float *__restrict__ u, float *__restrict__ w, int64_t rows, int64_t columns) {
    const int64_t j = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    for (int64_t i = blockIdx.y * (int64_t)blockDim.y + threadIdx.y; i < rows; i += (int64_t)gridDim.y * blockDim.y) {
        if (j >= columns) continue;
        const float *p = u + i * columns + j;
        if (i < 1 || i >= rows - 1 || j < 1 || j >= columns - 1) w[i * columns + j] = *p;
        else w[i * columns + j] = 0.25f * (p[-columns] + p[columns] + p[-1] + p[1]);
    }
}

// A block-wide sum with shuffles; block results go to partial[].
extern "C" __global__ void sum(const double *__restrict__ x, double *__restrict__ partial, int64_t n) {
    __shared__ double warps[8];
    double s = 0;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x) s += x[i];
    for (int d = 16; d; d /= 2) s += __shfl_down_sync(0xffffffff, s, d);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = s;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < 8; w++) s += warps[w];
        partial[blockIdx.x] = s;
    }
}

// 64x64 tiles in shared memory, 4x4 elements a thread.
extern "C" __global__ void matmul(const float *__restrict__ A, const float *__restrict__ B, float *__restrict__ C, int64_t m, int64_t k, int64_t n) {
    __shared__ float a[16][65], b[16][64];
    float c[4][4] = {};
    const int tx = threadIdx.x, ty = threadIdx.y, t = ty * 16 + tx;
    const int64_t row = blockIdx.y * 64, column = blockIdx.x * 64;
    for (int64_t p = 0; p < k; p += 16) {
        for (int e = t; e < 1024; e += 256) {
            const int64_t i = row + e / 16, q = p + e % 16;
            a[e % 16][e / 16] = i < m && q < k ? A[i * k + q] : 0.0f;
            const int64_t r = p + e / 64, j = column + e % 64;
            b[e / 64][e % 64] = r < k && j < n ? B[r * n + j] : 0.0f;
        }
        __syncthreads();
        for (int q = 0; q < 16; q++)
            for (int i = 0; i < 4; i++)
                for (int j = 0; j < 4; j++) c[i][j] = fmaf(a[q][ty * 4 + i], b[q][tx * 4 + j], c[i][j]);
        __syncthreads();
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            if (row + ty * 4 + i < m && column + tx * 4 + j < n) C[(row + ty * 4 + i) * n + column + tx * 4 + j] = c[i][j];
}

extern "C" __global__ void histogram(const uint8_t *__restrict__ x, int32_t *__restrict__ h, int64_t n) {
    __shared__ int32_t own[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) own[i] = 0;
    __syncthreads();
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n; i += (int64_t)gridDim.x * blockDim.x) atomicAdd(&own[x[i]], 1);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x) atomicAdd(&h[i], own[i]);
}

extern "C" __global__ void mandelbrot(int limit, int32_t *__restrict__ count, int64_t h, int64_t w) {
    const int64_t column = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    for (int64_t row = blockIdx.y * (int64_t)blockDim.y + threadIdx.y; row < h; row += (int64_t)gridDim.y * blockDim.y) {
        if (column >= w) continue;
        const float cx = fmaf((float)column / (float)w, 3.0f, -2.0f), cy = fmaf((float)row / (float)h, 2.0f, -1.0f);
        float x = 0, y = 0;
        int n = 0;
        while (n < limit && fmaf(x, x, y * y) <= 4.0f) {
            const float next = fmaf(x, x, -(y * y)) + cx;
            y = fmaf(2.0f * x, y, cy);
            x = next;
            n++;
        }
        count[row * w + column] = n;
    }
}
