#include <cuda_fp16.h>
extern "C" __global__ void kernel(unsigned *out, const unsigned *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    __half2 a = *(const __half2 *)&in[i], b = *(const __half2 *)&in[(i + 1) % n];
    __half2 r = __hfma2(a, b, a), s = __hadd2(a, b), t = __hmul2(a, b), m = __hmin2(a, b);
    out[4 * i] = *(unsigned *)&r, out[4 * i + 1] = *(unsigned *)&s, out[4 * i + 2] = *(unsigned *)&t, out[4 * i + 3] = *(unsigned *)&m;
}
