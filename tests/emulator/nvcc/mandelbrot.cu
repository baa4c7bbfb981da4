extern "C" __global__ void kernel(int *out, const float *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float cx = in[i], cy = in[n - 1 - i], x = 0, y = 0;
    int k = 0;
    while (k < 100 && __fadd_rn(__fmul_rn(x, x), __fmul_rn(y, y)) < 4.0f) {
        float t = __fadd_rn(__fsub_rn(__fmul_rn(x, x), __fmul_rn(y, y)), cx);
        y = __fadd_rn(__fmul_rn(__fmul_rn(2.0f, x), y), cy);
        x = t;
        k++;
    }
    out[i] = k;
}
