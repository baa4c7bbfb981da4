/* What clang lacks without CUDA's headers, as far as the kernels need it. */
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
#include <__clang_cuda_builtin_vars.h>
#define HELPER static inline __device__
struct char3 { signed char x, y, z; };
struct __align__(8) int2 { int x, y; };
struct __align__(4) uchar4 { unsigned char x, y, z, w; };
struct __align__(8) ushort4 { unsigned short x, y, z, w; };
struct __align__(16) float4 { float x, y, z, w; };
struct __align__(16) double2 { double x, y; };
HELPER float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
HELPER float4 __ldg(const float4 *p) { return *p; }
HELPER float __int_as_float(int x) { return __builtin_bit_cast(float, x); }
HELPER float fmaf(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
HELPER float fminf(float x, float y) { return __builtin_fminf(x, y); }
HELPER float fmaxf(float x, float y) { return __builtin_fmaxf(x, y); }
HELPER float fabsf(float x) { return __builtin_fabsf(x); }
HELPER float sqrtf(float x) { return __nvvm_sqrt_rn_f(x); }
HELPER float copysignf(float x, float y) { return __builtin_copysignf(x, y); }
HELPER float rintf(float x) { return __builtin_rintf(x); }
HELPER float floorf(float x) { return __builtin_floorf(x); }
HELPER float roundf(float x) { return __builtin_roundf(x); }
HELPER float ldexpf(float x, int) { return x * 8; }
HELPER float fdimf(float x, float y) { return x <= y ? 0 : x - y; }
HELPER bool isnan(float x) { return __builtin_isnan(x); }
HELPER bool isinf(float x) { return __builtin_isinf(x); }
HELPER float __fmul_rn(float x, float y) { return __nvvm_mul_rn_f(x, y); }
HELPER float __fadd_rn(float x, float y) { return __nvvm_add_rn_f(x, y); }
HELPER float __fsub_rn(float x, float y) { return __nvvm_add_rn_f(x, -y); }
HELPER int __shfl_down_sync(unsigned m, int v, int d) { return __nvvm_shfl_sync_down_i32(m, v, d, 31); }
HELPER int __shfl_up_sync(unsigned m, int v, int d) { return __nvvm_shfl_sync_up_i32(m, v, d, 0); }
HELPER int __shfl_xor_sync(unsigned m, int v, int d) { return __nvvm_shfl_sync_bfly_i32(m, v, d, 31); }
HELPER unsigned __activemask() { return __nvvm_activemask(); }
HELPER void __syncwarp(unsigned m) { __nvvm_bar_warp_sync(m); }
HELPER void __threadfence() { __nvvm_membar_gl(); }
HELPER int atomicAdd(int *p, int v) { return __nvvm_atom_add_gen_i(p, v); }
HELPER unsigned atomicAdd(unsigned *p, unsigned v) { return (unsigned)__nvvm_atom_add_gen_i((int *)p, (int)v); }
HELPER int atomicCAS(int *p, int c, int v) { return __nvvm_atom_cas_gen_i(p, c, v); }
HELPER int atomicExch(int *p, int v) { return __nvvm_atom_xchg_gen_i(p, v); }
HELPER unsigned long long __umul64hi(unsigned long long x, unsigned long long y) { return (unsigned long long)((unsigned __int128)x * y >> 64); }
HELPER long long __mul64hi(long long x, long long y) { return (long long)((__int128)x * y >> 64); }
HELPER int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
HELPER int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
HELPER int __ffsll(long long x) { return __builtin_ffsll(x); }
HELPER unsigned long long __brevll(unsigned long long x) { return __builtin_bitreverse64(x); }
