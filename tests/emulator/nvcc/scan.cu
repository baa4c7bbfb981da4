extern "C" __global__ void kernel(unsigned *out, const unsigned *in, int n) {
    __shared__ unsigned sums[32];
    int t = threadIdx.x, lane = t & 31, w = t >> 5, i = blockIdx.x * blockDim.x + t;
    unsigned v = i < n ? in[i] : 0;
    for (int d = 1; d < 32; d <<= 1) {
        unsigned o = __shfl_up_sync(0xffffffff, v, d);
        if (lane >= d) v += o;
    }
    if (lane == 31) sums[w] = v;
    __syncthreads();
    if (w == 0) {
        unsigned s = lane < blockDim.x / 32 ? sums[lane] : 0;
        for (int d = 1; d < 32; d <<= 1) {
            unsigned o = __shfl_up_sync(0xffffffff, s, d);
            if (lane >= d) s += o;
        }
        sums[lane] = s;
    }
    __syncthreads();
    if (w) v += sums[w - 1];
    if (i < n) out[i] = v;
}
