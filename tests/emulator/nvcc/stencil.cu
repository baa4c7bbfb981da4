extern "C" __global__ void kernel(double *out, const double *in, int n) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= n || y >= n) return;
    double c = in[y * n + x], s = c;
    if (x > 0) s += in[y * n + x - 1];
    if (x < n - 1) s += in[y * n + x + 1];
    if (y > 0) s += in[(y - 1) * n + x];
    if (y < n - 1) s += in[(y + 1) * n + x];
    out[y * n + x] = s * 0.2;
}
