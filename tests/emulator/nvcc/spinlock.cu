__device__ int lock;
extern "C" __global__ void kernel(int *out, const int *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    while (atomicCAS(&lock, 0, 1) != 0) {}
    __threadfence();
    int v = *(volatile int *)out;
    *(volatile int *)out = v + in[i];
    __threadfence();
    atomicExch(&lock, 0);
}
