extern __shared__ double buffer[];
extern "C" __global__ void kernel(double *out, const double *in, int n) {
    __shared__ int flag;
    int t = threadIdx.x;
    if (t == 0) flag = n;
    buffer[t] = in[t];
    __syncthreads();
    for (int size = 2; size <= (int)blockDim.x; size *= 2) {
        for (int d = size / 2; d; d /= 2) {
            int o = t ^ d;
            if (o > t) {
                double a = buffer[t], b = buffer[o];
                if ((a > b) == !(t & size)) buffer[t] = b, buffer[o] = a;
            }
            __syncthreads();
        }
    }
    out[t] = buffer[t] + flag;
}
