extern "C" __global__ void kernel(float *out, const float *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float a = in[i], b = in[(i + 1) % n];
    float *o = out + 8 * i;
    o[0] = fminf(a, b), o[1] = fmaxf(a, b), o[2] = copysignf(a, b), o[3] = fabsf(a);
    o[4] = a < b ? a : b, o[5] = !(a >= b) ? 1.0f : 2.0f, o[6] = isnan(a) || isinf(b) ? 1.0f : 0.0f, o[7] = fdimf(a, b) + ldexpf(a, 3) + rintf(b) + floorf(a) + roundf(b);
}
