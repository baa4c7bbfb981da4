extern "C" __global__ void kernel(int *out, const int *in, int n) {
    volatile int *arrived = out + n;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = in[i] * 2;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicAdd((int *)arrived, 1);
        while (*arrived < (int)gridDim.x) {}
    }
    __syncthreads();
    int other = ((volatile int *)out)[n - 1 - i];
    __syncthreads();
    out[n + 1 + i] = other;
}
