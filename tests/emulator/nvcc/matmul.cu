extern "C" __global__ void kernel(float *out, const float *in, int n) {
    __shared__ float a[16][16], b[16][16];
    int x = threadIdx.x, y = threadIdx.y, column = blockIdx.x * 16 + x, row = blockIdx.y * 16 + y;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        a[y][x] = row < n && k + x < n ? in[row * n + k + x] : 0;
        b[y][x] = column < n && k + y < n ? in[n * n + (k + y) * n + column] : 0;
        __syncthreads();
#pragma unroll
        for (int j = 0; j < 16; j++) sum = fmaf(a[y][j], b[j][x], sum);
        __syncthreads();
    }
    if (row < n && column < n) out[row * n + column] = sum;
}
