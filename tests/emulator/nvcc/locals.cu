extern "C" __global__ void kernel(int *out, const int *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, a[24];
    if (i >= n) return;
    for (int k = 0; k < 24; k++) a[k] = in[(i + k) % n];
    for (int k = 1; k < 24; k++) {
        int v = a[k], j = k - 1;
        while (j >= 0 && a[j] > v) a[j + 1] = a[j], j--;
        a[j + 1] = v;
    }
    out[i] = a[in[i] & 15] - a[23 - (i & 7)];
}
