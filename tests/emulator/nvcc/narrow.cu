extern "C" __global__ void kernel(int *out, const int *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int a = in[i], b = in[(i + 1) % n];
    signed char c = (signed char)a;
    unsigned char u = (unsigned char)b;
    short s = (short)(a >> 3);
    unsigned short w = (unsigned short)(b >> 5);
    int r = c * u + s - w;
    c = (signed char)(c + u);
    s = (short)(s * w);
    w = (unsigned short)(w / (u + 1));
    u = (unsigned char)(u >> 2);
    r ^= (c << 16) + s + w + u;
    int p, q, x, y;
    asm("dp4a.s32.s32 %0, %1, %2, 7;" : "=r"(p) : "r"(a), "r"(b));
    asm("dp4a.u32.u32 %0, %1, %2, 9;" : "=r"(q) : "r"(a), "r"(b));
    asm("dp2a.lo.s32.s32 %0, %1, %2, 3;" : "=r"(x) : "r"(a), "r"(b));
    asm("dp2a.hi.s32.s32 %0, %1, %2, 5;" : "=r"(y) : "r"(a), "r"(b));
    r += (p ^ q) + x + y;
    char4 v = *(const char4 *)&in[i];
    r += v.x * 3 + v.y * 5 - v.z * 7 + v.w;
    short2 h = *(const short2 *)&in[i];
    r ^= h.x * h.y;
    out[i] = r;
}
