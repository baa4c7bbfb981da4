extern "C" __global__ void kernel(float *out, const float *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float a = in[i], p = fabsf(a) + 0.5f, t;
    float *o = out + 8 * i;
    o[0] = __sinf(a), o[1] = __cosf(a), o[2] = __expf(a), o[3] = __logf(p), o[4] = rsqrtf(p), o[5] = __fdividef(a, p);
    asm("tanh.approx.f32 %0, %1;" : "=f"(t) : "f"(a));
    o[6] = t;
    o[7] = __saturatef(a);
}
