extern "C" __global__ void kernel(unsigned *out, const unsigned *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned a0 = in[i], a1 = in[(i + 1) % n], b0 = in[(i + 2) % n], b1 = in[(i + 3) % n], r0, r1, r2, r3;
    asm("{ .reg .u32 t;\n\t"
        "mul.lo.u32 %0, %4, %6;\n\t"
        "mul.hi.u32 %1, %4, %6;\n\t"
        "mad.lo.cc.u32 %1, %4, %7, %1;\n\t"
        "madc.hi.u32 %2, %4, %7, 0;\n\t"
        "mad.lo.cc.u32 %1, %5, %6, %1;\n\t"
        "madc.hi.cc.u32 %2, %5, %6, %2;\n\t"
        "madc.hi.u32 %3, %5, %7, 0;\n\t"
        "mad.lo.cc.u32 %2, %5, %7, %2;\n\t"
        "addc.u32 %3, %3, 0; }"
        : "=&r"(r0), "=&r"(r1), "=&r"(r2), "=&r"(r3) : "r"(a0), "r"(a1), "r"(b0), "r"(b1));
    unsigned s0, s1;
    asm("sub.cc.u32 %0, %2, %4; subc.u32 %1, %3, %5;" : "=&r"(s0), "=&r"(s1) : "r"(a0), "r"(a1), "r"(b0), "r"(b1));
    unsigned *o = out + 6 * i;
    o[0] = r0, o[1] = r1, o[2] = r2, o[3] = r3, o[4] = s0, o[5] = s1;
}
