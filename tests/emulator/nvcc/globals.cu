__constant__ int table[8] = {3, 1, 4, 1, 5, 9, 2, 6};
__device__ float scale = 1.5f;
__device__ int counters[4] = {10, 20, 30};
__device__ const char letters[] = "quern";
__device__ int *const pointers[2] = {&counters[1], counters};
__constant__ struct { double d; short s; char c[3]; } mixed = {2.25, -7, {1, 2, 3}};
extern "C" __global__ void kernel(float *out, const int *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    out[i] = table[in[i] & 7] * scale + *pointers[i & 1] + letters[i % 5] + (float)mixed.d * mixed.s + mixed.c[i % 3] + counters[i & 3];
}
