extern "C" __global__ void kernel(double *out, const double *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double a = in[i], p = fabs(a) + 0.5;
    double *o = out + 8 * i;
    o[0] = sin(a), o[1] = exp(a), o[2] = log(p), o[3] = pow(p, 1.7), o[4] = atan(a), o[5] = tgamma(p), o[6] = cos(a * 1e9), o[7] = floor(a) + rint(a) + trunc(a) + ceil(a);
}
