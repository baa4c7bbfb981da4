#include <cuda_fp16.h>
/* One warp: a 16 x 16 by 16 x 8 product through ldmatrix and mma. */
extern "C" __global__ void kernel(float *out, const __half *in, int n) {
    __shared__ __align__(16) __half a[16 * 16], b[8 * 16];
    int l = threadIdx.x;
    for (int k = l; k < 256; k += 32) a[k] = in[k];
    for (int k = l; k < 128; k += 32) b[k] = in[256 + k];
    __syncwarp();
    unsigned ra[4], rb[2], pa = (unsigned)__cvta_generic_to_shared(&a[(l % 16) * 16 + l / 16 * 8]), pb = (unsigned)__cvta_generic_to_shared(&b[(l % 8) * 16 + (l / 8 % 2) * 8]);
    float c[4] = {1, 2, 3, 4};
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(ra[0]), "=r"(ra[1]), "=r"(ra[2]), "=r"(ra[3]) : "r"(pa));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(rb[0]), "=r"(rb[1]) : "r"(pb));
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]), "r"(rb[0]), "r"(rb[1]));
    for (int k = 0; k < 4; k++) out[(l / 4 + k / 2 * 8) * 8 + l % 4 * 2 + k % 2] = c[k];
}
