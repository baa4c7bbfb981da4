extern "C" __global__ void kernel(unsigned long long *out, const unsigned long long *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned long long a = in[i], b = in[(i + 1) % n], r = 0;
    long long s = (long long)a, t = (long long)b;
    r += a * b;
    r ^= __umul64hi(a, b);
    r += (unsigned long long)__mul64hi(s, t);
    if (b) r ^= a / b, r += a % b;
    if (t && t != -1) r ^= (unsigned long long)(s / t), r += (unsigned long long)(s % t);
    r += __popcll(a) + __clzll(b) + __ffsll(s);
    r ^= __brevll(a);
    r += (a << (b & 63)) ^ (a >> (b & 31)) ^ (unsigned long long)(s >> (b & 63));
    r += s < t ? 1 : 2;
    r ^= a > b ? a - b : b - a;
    out[i] = r;
}
