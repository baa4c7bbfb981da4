extern "C" __global__ void kernel(int *out, const int *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, v = in[i % n] & 0xffff, r = 0;
    for (int k = 0; k < (v & 15); k++) {
        if (k & 1) {
            r += v;
            if ((r & 7) == 3) break;
        } else {
            for (int j = v & 3; j; j--) {
                if (j == 2 && (v & 32)) continue;
                r ^= j << k;
            }
        }
        if (r > 100000) return;
    }
    do {
        r += 3;
        if (r % 5 == 0) goto out;
    } while (r % 7);
    r *= 2;
out:
    __syncwarp(__activemask());
    out[i] = r;
}
