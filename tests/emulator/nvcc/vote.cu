extern "C" __global__ void kernel(unsigned *out, const unsigned *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned v = in[i % n];
    unsigned r = __ballot_sync(0xffffffff, v & 1);
    r += __any_sync(0xffffffff, v % 37 == 0) * 3 + __all_sync(0xffffffff, v != 5) * 7;
    r ^= __match_any_sync(0xffffffff, v % 4);
    int p;
    r += __match_all_sync(0xffffffff, v >> 31, &p) + p;
    r ^= __activemask();
    r += __reduce_add_sync(0xffffffff, v) ^ __reduce_max_sync(0xffffffff, v) ^ (unsigned)__reduce_min_sync(0xffffffff, (int)v) ^ __reduce_xor_sync(0xffffffff, v);
    if (v & 2) r ^= __ballot_sync(__activemask(), v & 4);
    unsigned lanes;
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(lanes));
    r += __popc(lanes);
    out[i] = r;
}
