#include <cuda_pipeline.h>
extern "C" __global__ void kernel(float *out, const float *in, int n) {
    __shared__ __align__(16) float a[2][256];
    int t = threadIdx.x;
    float sum = 0;
    __pipeline_memcpy_async(&a[0][t * 4], &in[t * 4], 16);
    __pipeline_commit();
    for (int k = 0; k < n; k++) {
        if (k + 1 < n) __pipeline_memcpy_async(&a[(k + 1) & 1][t * 4], &in[(k + 1) * 256 + t * 4], 16, k & 1 ? 4 : 0);
        __pipeline_commit();
        __pipeline_wait_prior(1);
        __syncthreads();
        for (int j = 0; j < 4; j++) sum += a[k & 1][(t * 4 + j * 65) & 255];
        __syncthreads();
    }
    out[t] = sum;
}
