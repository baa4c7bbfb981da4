#include <cuda_fp16.h>
extern "C" __global__ void kernel(unsigned short *out, const unsigned short *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    __half a = __ushort_as_half(in[i]), b = __ushort_as_half(in[(i + 1) % n]), c = __ushort_as_half(in[(i + 2) % n]);
    unsigned short *o = out + 12 * i;
    o[0] = __half_as_ushort(__hadd(a, b)), o[1] = __half_as_ushort(__hsub(a, b)), o[2] = __half_as_ushort(__hmul(a, b)), o[3] = __half_as_ushort(__hfma(a, b, c));
    o[4] = __half_as_ushort(__hmin(a, b)), o[5] = __half_as_ushort(__hmax(a, b)), o[6] = __half_as_ushort(__hneg(a)), o[7] = __half_as_ushort(__habs(a));
    o[8] = (unsigned short)(__hlt(a, b) | __heq(a, c) << 1 | __hgeu(a, b) << 2 | __hisnan(a) << 3);
    o[9] = __half_as_ushort(__float2half_rn(__half2float(a) * 1.1f)), o[10] = (unsigned short)__half2int_rz(a), o[11] = __half_as_ushort(__int2half_rn(i * 37));
}
