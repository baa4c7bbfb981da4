#include <cuda_fp16.h>
extern "C" __global__ void kernel(unsigned long long *out, const unsigned *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned v = in[i];
    unsigned *u = (unsigned *)out;
    int *s = (int *)out;
    atomicAdd(&u[0], v), atomicSub(&u[1], v), atomicMin(&u[2], v), atomicMax(&u[3], v), atomicMin(&s[4], (int)v), atomicMax(&s[5], (int)v);
    atomicAnd(&u[6], v | 0xff), atomicOr(&u[7], v & 0xff00), atomicXor(&u[8], v), atomicInc(&u[9], 1000), atomicDec(&u[10], 777);
    atomicAdd(&out[8], (unsigned long long)v << 20), atomicMax(&out[9], (unsigned long long)v << 16), atomicMin(&out[10], (unsigned long long)v << 8);
    atomicXor(&out[11], (unsigned long long)v << 9), atomicAnd(&out[12], ~(1ull << (v & 63))), atomicOr(&out[13], 1ull << (v & 63));
    atomicAdd((float *)&u[28], (float)(v & 15)), atomicAdd((double *)&out[15], (double)(v & 255));
    atomicAdd((__half2 *)&u[32], __floats2half2_rn((float)(v & 1), 0.0f));
    unsigned old = u[34], seen;
    do {
        seen = old;
        old = atomicCAS(&u[34], seen, seen + (v & 7));
    } while (old != seen);
    atomicExch(&u[36 + (i & 1)], 4711u + (i & 1));
    atomicCAS(&out[19], 0ull, 99ull);
}
