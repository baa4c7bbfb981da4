extern "C" __global__ void kernel(unsigned *out, const unsigned *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned a = in[i], b = in[(i + 1) % n], c = in[(i + 2) % n], r = 0;
    r += (a & b) | (~a & c);
    r ^= a ^ b ^ c;
    r += __funnelshift_l(a, b, c) + __funnelshift_rc(a, b, c & 63);
    r ^= __byte_perm(a, b, c & 0x7777);
    r += __popc(a) + __clz(b) + __ffs(c);
    r ^= __brev(a);
    r += (a >> 5) & 0x3ff;
    r ^= (unsigned)((int)(b << 7) >> 20);
    r += __umulhi(a, b) ^ (unsigned)__mulhi((int)a, (int)b);
    r ^= __usad(a, b, c) + (unsigned)__sad((int)a, (int)b, c);
    r += __umul24(a, b) ^ (unsigned)__mul24((int)a, (int)b);
    r ^= (a & 0xffffff00u) | (b & 0xff);
    r = (r << 13) | (r >> 19);
    out[i] = r;
}
