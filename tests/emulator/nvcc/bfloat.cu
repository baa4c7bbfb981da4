#include <cuda_bf16.h>
extern "C" __global__ void kernel(unsigned short *out, const unsigned short *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    __nv_bfloat16 a = __ushort_as_bfloat16(in[i]), b = __ushort_as_bfloat16(in[(i + 1) % n]), c = __ushort_as_bfloat16(in[(i + 2) % n]);
    unsigned short *o = out + 6 * i;
    o[0] = __bfloat16_as_ushort(__hadd(a, b)), o[1] = __bfloat16_as_ushort(__hsub(a, b)), o[2] = __bfloat16_as_ushort(__hmul(a, b)), o[3] = __bfloat16_as_ushort(__hfma(a, b, c));
    o[4] = __bfloat16_as_ushort(__float2bfloat16_rn(__bfloat162float(a) * 1.1f)), o[5] = (unsigned short)__hlt(a, b);
}
