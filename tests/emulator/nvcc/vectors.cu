extern "C" __global__ void kernel(float4 *out, const float4 *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float4 a = __ldg(&in[i]), b = in[(i + 1) % n];
    double2 d = *(const double2 *)&in[i];
    int2 q = ((const int2 *)in)[2 * i + 1];
    uchar4 c = ((const uchar4 *)in)[4 * i];
    ushort4 s = ((const ushort4 *)in)[2 * i];
    a.x += b.w, a.y *= b.z, a.z = __int_as_float(q.x ^ q.y), a.w = (float)(c.x + c.y * 2 + c.z * 3 + c.w + s.x + s.w) + (d.x > d.y);
    out[i] = a;
}
