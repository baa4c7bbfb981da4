extern "C" __global__ void kernel(long long *out, const double *in, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double d = in[i];
    float f = (float)d;
    long long *o = out + 20 * i;
    o[0] = __float2int_rn(f), o[1] = __float2int_rz(f), o[2] = __float2int_ru(f), o[3] = __float2int_rd(f);
    o[4] = __double2int_rn(d), o[5] = __double2int_rz(d), o[6] = __double2int_ru(d), o[7] = __double2int_rd(d);
    o[8] = __float2ll_rn(f), o[9] = (long long)__float2ull_rz(f), o[10] = __double2ll_rd(d), o[11] = (long long)__double2ull_ru(d);
    o[12] = __float2uint_rz(f), o[13] = __double2uint_rn(d);
    o[14] = __float_as_int(__int2float_rz(o[0] * 3 + 16777217)), o[15] = __float_as_int(__ll2float_ru(o[8] * 5 + 1)), o[16] = __double_as_longlong(__ll2double_rd(o[10] * 7 + 1));
    o[17] = __float_as_int(__double2float_rz(d)), o[18] = __float_as_int(__double2float_ru(d)), o[19] = (signed char)(int)f;
}
