struct point { float x, y, z; };
struct big { double d; int a[5]; char c; point p; };
__device__ __noinline__ point move(point p, float t, big b) { p.x += t * (float)b.d; p.y -= b.a[2]; p.z *= b.c; return p; }
extern "C" __global__ void kernel(float *out, const float *in, int n, big b, char3 small) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    point p = {in[i], (float)i, b.p.y};
    p = move(p, in[(i + 1) % n], b);
    out[i] = p.x + p.y + p.z + b.a[i % 5] + small.x - small.z;
}
