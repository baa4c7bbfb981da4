extern "C" __global__ void kernel(int *out, const int *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int v = in[i], r = i;
    for (int k = 0; k < 6; k++) {
        switch ((v >> k) & 15) {
        case 0: r += 3; break;
        case 1: r ^= 0x55; break;
        case 2: r *= 7; // fall through
        case 3: r -= k; break;
        case 4: r = r << 2 | 1; break;
        case 5: r += in[(unsigned)r % n]; break;
        case 6: r = -r; break;
        case 7: if (r & 1) continue; r >>= 1; break;
        case 8: r += 100; goto done;
        case 9: r ^= v; break;
        case 10: r *= r; break;
        default: r++;
        }
    }
done:
    out[i] = r;
}
