extern "C" __global__ void kernel(float *out, const float *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float a = in[i], b = in[(i + 1) % n], c = in[(i + 2) % n];
    float *o = out + 24 * i;
    o[0] = __fadd_rn(a, b), o[1] = __fadd_rz(a, b), o[2] = __fadd_ru(a, b), o[3] = __fadd_rd(a, b);
    o[4] = __fmul_rn(a, b), o[5] = __fmul_rz(a, b), o[6] = __fmul_ru(a, b), o[7] = __fmul_rd(a, b);
    o[8] = __fmaf_rn(a, b, c), o[9] = __fmaf_rz(a, b, c), o[10] = __fmaf_ru(a, b, c), o[11] = __fmaf_rd(a, b, c);
    o[12] = __fdiv_rn(a, b), o[13] = __fdiv_rz(a, b), o[14] = __fdiv_ru(a, b), o[15] = __fdiv_rd(a, b);
    a = fabsf(a);
    o[16] = __fsqrt_rn(a), o[17] = __fsqrt_rz(a), o[18] = __fsqrt_ru(a), o[19] = __fsqrt_rd(a);
    o[20] = __frcp_rn(a), o[21] = __frcp_rz(a), o[22] = __frcp_ru(a), o[23] = __frcp_rd(a);
}
