extern "C" __global__ void kernel(float *out, const float *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float a = in[i], p = fabsf(a) + 0.5f;
    float *o = out + 10 * i;
    o[0] = sinf(a), o[1] = expf(a), o[2] = logf(p), o[3] = powf(p, 1.7f), o[4] = atanf(a), o[5] = tanhf(a), o[6] = erff(a), o[7] = cbrtf(a), o[8] = fmodf(a, 0.7f), o[9] = sinf(a * 1e6f);
}
