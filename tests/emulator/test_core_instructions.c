/* Every arithmetic instruction and type of the table against the host, at random and special values. A row names the instruction, the types of its
 * result and operands by letters, and an expression of x, y, z (and of their signed, floating readings). */
#include "core.h"

#include <criterion/criterion.h>
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 768, BLOCK = 256 };

typedef uint64_t (*reference)(uint64_t x, uint64_t y, uint64_t z);
typedef struct form { const char *op, *types; reference f; int rounding; } form;

static float f32(uint64_t x) { uint32_t w = (uint32_t)x; float r; memcpy(&r, &w, 4); return r; }
static double f64(uint64_t x) { double r; memcpy(&r, &x, 8); return r; }
static uint64_t b32(float x) { uint32_t r; memcpy(&r, &x, 4); return x == x ? r : 0x7fffffff; }
static uint64_t b64(double x) { uint64_t r; memcpy(&r, &x, 8); return x == x ? r : 0x7fffffffffffffff; }
static float flush(float x) { return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x; }
static uint64_t least32(float a, float b, bool most) {
    if (a != a || b != b) return b32(a == a ? a : b);
    if (a == b) return most ? b32(a) & b32(b) : b32(a) | b32(b);
    return b32((a < b) != most ? a : b);
}
static uint64_t least64(double a, double b, bool most) {
    if (a != a || b != b) return b64(a == a ? a : b);
    if (a == b) return most ? b64(a) & b64(b) : b64(a) | b64(b);
    return b64((a < b) != most ? a : b);
}
static uint64_t reverse(uint64_t x, int bits) { uint64_t r = 0; for (int k = 0; k < bits; k++) r |= (x >> k & 1) << (bits - 1 - k); return r; }
/* The ISA's pseudocode of bfe. */
static uint64_t bfe(uint64_t a, uint64_t b, uint64_t c, unsigned msb, bool is_signed) {
    uint64_t pos = b & 255, len = c & 255, d = 0, sign = !is_signed || len == 0 ? 0 : a >> (pos + len - 1 < msb ? pos + len - 1 : msb) & 1;
    for (uint64_t i = 0; i <= msb; i++) d |= (i < len && pos + i <= msb ? a >> (pos + i) & 1 : sign) << i;
    return d;
}
static uint64_t bfi(uint64_t a, uint64_t b, uint64_t c, unsigned msb, uint64_t len) {
    for (uint64_t i = 0, pos = c & 255; i < len && pos + i <= msb; i++) b = (b & ~((uint64_t)1 << (pos + i))) | (a >> i & 1) << (pos + i);
    return b;
}
static uint64_t find(uint64_t x, int top) { for (int k = top; k >= 0; k--) if (x >> k & 1) return (uint64_t)k; return 0xffffffff; }
static uint64_t prmt(uint64_t a, uint64_t b, uint64_t s) {
    uint64_t both = b << 32 | (a & 0xffffffff), r = 0;
    for (int k = 0; k < 4; k++) {
        uint64_t n = s >> 4 * k & 15, byte = both >> 8 * (n & 7) & 255;
        r |= (n & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * k;
    }
    return r;
}
static int64_t sat32(int64_t x) { return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x; }
static int64_t t24(uint64_t x) { return (int32_t)((uint32_t)x << 8) >> 8; }

/* Arguments are named as the expressions use them; all readings of them at once. */
#define ROW(number, expression) static uint64_t number(uint64_t x, uint64_t y, uint64_t z) { \
        volatile float a = f32(x), b = f32(y), c = f32(z); \
        volatile double d = f64(x), e = f64(y), f = f64(z); \
        const int64_t sx = (int32_t)x, sy = (int32_t)y, sz = (int32_t)z, qx = (int64_t)x, qy = (int64_t)y; \
        const uint64_t ux = (uint32_t)x, uy = (uint32_t)y, uz = (uint32_t)z; \
        const int64_t hx = (int16_t)x, hy = (int16_t)y, hz = (int16_t)z; \
        (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)sx, (void)sy, (void)sz, (void)qx, (void)qy, (void)ux, (void)uy, (void)uz, (void)hx, (void)hy, (void)hz; \
        return (uint64_t)(expression); \
    }
static uint64_t brain(float v) {
    uint64_t w = b32(v);
    if (v != v) return 0x7fff;
    return (w + 0x7fff + (w >> 16 & 1)) >> 16;
}

#define ROWS \
    R(0, "add.u16", "hhh", x + y, 0) R(1, "add.s32", "www", x + y, 0) R(2, "add.u64", "qqq", x + y, 0) R(3, "add.sat.s32", "www", sat32(sx + sy), 0) \
    R(4, "sub.s16", "hhh", x - y, 0) R(5, "sub.u32", "www", x - y, 0) R(6, "sub.s64", "qqq", x - y, 0) R(7, "sub.sat.s32", "www", sat32(sx - sy), 0) \
    R(8, "mul.lo.u16", "hhh", x * y, 0) R(9, "mul.lo.s32", "www", x * y, 0) R(10, "mul.lo.u64", "qqq", x * y, 0) \
    R(11, "mul.hi.u16", "hhh", x * y >> 16, 0) R(12, "mul.hi.s16", "hhh", hx * hy >> 16, 0) R(13, "mul.hi.u32", "www", ux * uy >> 32, 0) R(14, "mul.hi.s32", "www", sx * sy >> 32, 0) \
    R(15, "mul.hi.u64", "qqq", (unsigned __int128)x * y >> 64, 0) R(16, "mul.hi.s64", "qqq", (__int128)qx * qy >> 64, 0) \
    R(17, "mul.wide.u16", "whh", x * y, 0) R(18, "mul.wide.s16", "whh", hx * hy, 0) R(19, "mul.wide.u32", "qww", ux * uy, 0) R(20, "mul.wide.s32", "qww", sx * sy, 0) \
    R(21, "mad.lo.s16", "hhhh", x * y + z, 0) R(22, "mad.lo.u32", "wwww", x * y + z, 0) R(23, "mad.lo.s64", "qqqq", x * y + z, 0) \
    R(24, "mad.hi.u32", "wwww", (ux * uy >> 32) + z, 0) R(25, "mad.hi.s32", "wwww", (uint64_t)(sx * sy >> 32) + z, 0) R(26, "mad.hi.sat.s32", "wwww", sat32((sx * sy >> 32) + sz), 0) \
    R(27, "mad.hi.s16", "hhhh", (uint64_t)(hx * hy >> 16) + z, 0) R(28, "mad.hi.u64", "qqqq", ((unsigned __int128)x * y >> 64) + z, 0) \
    R(29, "mad.hi.s64", "qqqq", (uint64_t)((__int128)qx * qy >> 64) + z, 0) \
    R(30, "mad.wide.u16", "whhw", x * y + z, 0) R(31, "mad.wide.s16", "whhw", (uint64_t)(hx * hy) + z, 0) R(32, "mad.wide.u32", "qwwq", ux * uy + z, 0) R(33, "mad.wide.s32", "qwwq", (uint64_t)(sx * sy) + z, 0) \
    R(34, "mul24.lo.u32", "www", (x & 0xffffff) * (y & 0xffffff), 0) R(35, "mul24.lo.s32", "www", t24(x) * t24(y), 0) R(36, "mul24.hi.u32", "www", (x & 0xffffff) * (y & 0xffffff) >> 16, 0) \
    R(37, "mul24.hi.s32", "www", t24(x) * t24(y) >> 16, 0) R(38, "mad24.lo.s32", "wwww", (uint64_t)(t24(x) * t24(y)) + z, 0) R(39, "mad24.hi.u32", "wwww", ((x & 0xffffff) * (y & 0xffffff) >> 16) + z, 0) \
    R(40, "mad24.hi.sat.s32", "wwww", sat32((t24(x) * t24(y) >> 16) + sz), 0) \
    R(41, "sad.u16", "hhhh", z + (x < y ? y - x : x - y), 0) R(42, "sad.s16", "hhhh", z + (uint64_t)llabs(hx - hy), 0) R(43, "sad.u32", "wwww", z + (ux < uy ? uy - ux : ux - uy), 0) \
    R(44, "sad.s32", "wwww", z + (uint64_t)llabs(sx - sy), 0) R(45, "sad.u64", "qqqq", z + (x < y ? y - x : x - y), 0) R(46, "sad.s64", "qqqq", z + (qx < qy ? y - x : x - y), 0) \
    R(47, "div.u16", "hhh", y ? x / y : 0xffff, 0) R(48, "div.s16", "hhh", hy ? hx / hy : -1, 0) R(49, "div.u32", "www", uy ? ux / uy : UINT32_MAX, 0) R(50, "div.s32", "www", sy ? sx / sy : -1, 0) \
    R(51, "div.u64", "qqq", y ? x / y : UINT64_MAX, 0) R(52, "div.s64", "qqq", qy == -1 ? 0 - x : qy ? (uint64_t)(qx / qy) : UINT64_MAX, 0) \
    R(53, "rem.u16", "hhh", y ? x % y : x, 0) R(54, "rem.s16", "hhh", hy ? hx % hy : hx, 0) R(55, "rem.u32", "www", uy ? ux % uy : ux, 0) R(56, "rem.s32", "www", sy ? sx % sy : sx, 0) \
    R(57, "rem.u64", "qqq", y ? x % y : x, 0) R(58, "rem.s64", "qqq", qy == -1 ? 0 : qy ? qx % qy : qx, 0) \
    R(59, "abs.s16", "hh", llabs(hx), 0) R(60, "abs.s32", "ww", llabs(sx), 0) R(61, "abs.s64", "qq", qx < 0 ? 0 - x : x, 0) R(62, "neg.s16", "hh", 0 - x, 0) R(63, "neg.s32", "ww", 0 - x, 0) R(64, "neg.s64", "qq", 0 - x, 0) \
    R(65, "min.u16", "hhh", x < y ? x : y, 0) R(66, "min.s16", "hhh", hx < hy ? hx : hy, 0) R(67, "min.u32", "www", ux < uy ? ux : uy, 0) R(68, "min.s32", "www", sx < sy ? sx : sy, 0) \
    R(69, "min.u64", "qqq", x < y ? x : y, 0) R(70, "min.s64", "qqq", qx < qy ? qx : qy, 0) R(71, "max.u16", "hhh", x > y ? x : y, 0) R(72, "max.s16", "hhh", hx > hy ? hx : hy, 0) \
    R(73, "max.u32", "www", ux > uy ? ux : uy, 0) R(74, "max.s32", "www", sx > sy ? sx : sy, 0) R(75, "max.u64", "qqq", x > y ? x : y, 0) R(76, "max.s64", "qqq", qx > qy ? qx : qy, 0) \
    R(77, "min.relu.s32", "www", sx < sy ? (sx < 0 ? 0 : sx) : sy < 0 ? 0 : sy, 0) R(78, "max.relu.s32", "www", (sx > sy ? sx : sy) < 0 ? 0 : sx > sy ? sx : sy, 0) \
    R(79, "add.u16x2", "www", ((x + y) & 0xffff) | ((x >> 16) + (y >> 16)) << 16, 0) \
    R(80, "min.s16x2", "www", ((hx < hy ? x : y) & 0xffff) | (uint64_t)((int16_t)(x >> 16) < (int16_t)(y >> 16) ? x >> 16 : y >> 16) << 16, 0) \
    R(81, "max.u16x2", "www", ((x & 0xffff) > (y & 0xffff) ? x & 0xffff : y & 0xffff) | (ux >> 16 > uy >> 16 ? ux >> 16 : uy >> 16) << 16, 0) \
    R(82, "popc.b32", "ww", __builtin_popcount((uint32_t)x), 0) R(83, "popc.b64", "wq", __builtin_popcountll(x), 0) R(84, "clz.b32", "ww", ux ? __builtin_clz((uint32_t)x) : 32, 0) \
    R(85, "clz.b64", "wq", x ? __builtin_clzll(x) : 64, 0) R(86, "bfind.u32", "ww", find(ux, 31), 0) R(87, "bfind.s32", "ww", find((uint32_t)(sx < 0 ? ~x : x), 31), 0) \
    R(88, "bfind.u64", "wq", find(x, 63), 0) R(89, "bfind.s64", "wq", find(qx < 0 ? ~x : x, 63), 0) R(90, "bfind.shiftamt.u32", "ww", ux ? 31 - find(ux, 31) : 0xffffffff, 0) \
    R(91, "bfind.shiftamt.s64", "wq", (qx < 0 ? ~x : x) ? 63 - find(qx < 0 ? ~x : x, 63) : 0xffffffff, 0) R(92, "brev.b32", "ww", reverse(ux, 32), 0) R(93, "brev.b64", "qq", reverse(x, 64), 0) \
    R(94, "bfe.u32", "wwww", bfe(ux, y, z, 31, false), 0) R(95, "bfe.s32", "wwww", bfe(ux, y, z, 31, true), 0) R(96, "bfe.u64", "qqww", bfe(x, y, z, 63, false), 0) R(97, "bfe.s64", "qqww", bfe(x, y, z, 63, true), 0) \
    R(98, "bfi.b32", "wwww7", bfi(ux, uy, z, 31, 7), 0) R(99, "bfi.b64", "qqqw9", bfi(x, y, z, 63, 9), 0) \
    R(100, "szext.wrap.s32", "www", bfe(ux, 0, y & 31, 31, true), 0) R(101, "szext.clamp.u32", "www", bfe(ux, 0, uy > 32 ? 32 : y, 31, false), 0) \
    R(102, "bmsk.wrap.b32", "www", (((uint64_t)1 << (y & 31)) - 1) << (x & 31), 0) \
    R(103, "fns.b32", "www1", find(ux & ~(uy < 32 ? ((uint64_t)1 << uy) - 1 : UINT64_MAX), 31) == 0xffffffff || uy > 31 ? 0xffffffff : (uint64_t)__builtin_ctzll(ux & ~(((uint64_t)1 << uy) - 1)), 0) \
    R(104, "and.b16", "hhh", x & y, 0) R(105, "or.b32", "www", x | y, 0) R(106, "xor.b64", "qqq", x ^ y, 0) R(107, "not.b16", "hh", ~x, 0) R(108, "not.b64", "qq", ~x, 0) R(109, "cnot.b32", "ww", ux == 0, 0) \
    R(110, "cnot.b64", "qq", x == 0, 0) R(111, "shl.b16", "hhw", uy > 15 ? 0 : x << y, 0) R(112, "shl.b32", "www", uy > 31 ? 0 : x << y, 0) R(113, "shl.b64", "qqw", uy > 63 ? 0 : x << uy, 0) \
    R(114, "shr.u16", "hhw", uy > 15 ? 0 : x >> y, 0) R(115, "shr.s16", "hhw", hx >> (uy > 15 ? 15 : uy), 0) R(116, "shr.u32", "www", uy > 31 ? 0 : ux >> uy, 0) R(117, "shr.s32", "www", sx >> (uy > 31 ? 31 : uy), 0) \
    R(118, "shr.b64", "qqw", uy > 63 ? 0 : x >> uy, 0) R(119, "shr.s64", "qqw", qx >> (uy > 63 ? 63 : uy), 0) \
    R(120, "shf.l.wrap.b32", "wwww", (uy << 32 | ux) << (z & 31) >> 32, 0) R(121, "shf.l.clamp.b32", "wwww", uz > 31 ? ux : (uy << 32 | ux) << z >> 32, 0) \
    R(122, "shf.r.wrap.b32", "wwww", (uy << 32 | ux) >> (z & 31), 0) R(123, "shf.r.clamp.b32", "wwww", uz > 31 ? uy : (uy << 32 | ux) >> uz, 0) \
    R(124, "prmt.b32", "wwww", prmt(ux, uy, uz), 0) R(125, "lop3.b32", "wwww202", (x & y) | (~x & z), 0) \
    R(126, "dp4a.u32.s32", "wwww", z + (x & 255) * (uint64_t)(int8_t)y + (x >> 8 & 255) * (uint64_t)(int8_t)(y >> 8) + (x >> 16 & 255) * (uint64_t)(int8_t)(y >> 16) + (x >> 24 & 255) * (uint64_t)(int8_t)(y >> 24), 0) \
    R(127, "dp2a.hi.s32.u32", "wwww", z + (uint64_t)hx * (y >> 16 & 255) + (uint64_t)(int16_t)(x >> 16) * (y >> 24 & 255), 0) \
    R(128, "slct.b32.s32", "wwww", sz >= 0 ? x : y, 0) R(129, "slct.u64.s32", "qqqw", sz >= 0 ? x : y, 0) R(130, "slct.f32.f32", "fffF", c >= 0 ? x : y, 0) \
    R(131, "add.f32", "fff", b32(a + b), 0) R(132, "add.rz.f32", "fff", b32(a + b), 1) R(133, "add.rm.f32", "fff", b32(a + b), 2) R(134, "add.rp.f32", "fff", b32(a + b), 3) R(135, "add.f64", "ddd", b64(d + e), 0) \
    R(136, "add.rm.f64", "ddd", b64(d + e), 2) R(137, "sub.rp.f64", "ddd", b64(d - e), 3) R(138, "mul.rz.f64", "ddd", b64(d * e), 1) R(139, "sub.rn.f32", "fff", b32(a - b), 0) R(140, "mul.rp.f32", "fff", b32(a * b), 3) \
    R(141, "add.ftz.f32", "fff", b32(flush(flush(a) + flush(b))), 0) R(142, "mul.ftz.f32", "fff", b32(flush(flush(a) * flush(b))), 0) R(143, "mul.sat.f32", "fff", a * b > 1 ? b32(1) : a * b > 0 ? b32(a * b) : 0, 0) \
    R(144, "fma.rn.f32", "ffff", b32(fmaf(a, b, c)), 0) R(145, "fma.rz.f32", "ffff", b32(fmaf(a, b, c)), 1) R(146, "fma.rm.f32", "ffff", b32(fmaf(a, b, c)), 2) R(147, "fma.rp.f32", "ffff", b32(fmaf(a, b, c)), 3) \
    R(148, "fma.rn.f64", "dddd", b64(fma(d, e, f)), 0) R(149, "fma.rm.f64", "dddd", b64(fma(d, e, f)), 2) R(150, "fma.rn.ftz.sat.f32", "ffff", fmaf(flush(a), flush(b), flush(c)) > 1 ? b32(1) : fmaf(flush(a), flush(b), flush(c)) >= 0x1p-126f ? b32(fmaf(flush(a), flush(b), flush(c))) : 0, 0) \
    R(151, "div.rn.f32", "fff", b32(a / b), 0) R(152, "div.rm.f32", "fff", b32(a / b), 2) R(153, "div.rz.f64", "ddd", b64(d / e), 1) R(154, "div.full.f32", "fff", b32(a / b), 0) R(155, "rcp.rp.f32", "ff", b32(1 / a), 3) \
    R(156, "rcp.rn.f64", "dd", b64(1 / d), 0) R(157, "sqrt.rn.f32", "ff", b32(sqrtf(a)), 0) R(158, "sqrt.rm.f64", "dd", b64(sqrt(d)), 2) R(159, "rcp.approx.f32", "ff", b32(1 / a), 0) R(160, "sqrt.approx.f32", "ff", b32(sqrtf(a)), 0) \
    R(161, "rsqrt.approx.f32", "ff", b32((float)(1 / sqrt((double)a))), 0) R(162, "lg2.approx.f32", "ff", b32((float)log2((double)a)), 0) R(163, "ex2.approx.f32", "ff", b32((float)exp2((double)a)), 0) \
    R(164, "ex2.approx.ftz.f32", "ff", b32(flush((float)exp2((double)flush(a)))), 0) R(165, "sin.approx.f32", "ff", b32((float)sin((double)a)), 0) R(166, "cos.approx.f32", "ff", b32((float)cos((double)a)), 0) \
    R(167, "tanh.approx.f32", "ff", b32((float)tanh((double)a)), 0) R(168, "abs.f32", "ff", b32(fabsf(a)), 0) R(169, "neg.f32", "ff", b32(-a), 0) R(170, "abs.ftz.f32", "ff", b32(flush(fabsf(a))), 0) \
    R(171, "abs.f64", "dd", x & INT64_MAX, 0) R(172, "neg.f64", "dd", x ^ (uint64_t)INT64_MIN, 0) R(173, "min.f32", "fff", least32(a, b, false), 0) R(174, "max.f32", "fff", least32(a, b, true), 0) \
    R(175, "min.f64", "ddd", least64(d, e, false), 0) R(176, "max.f64", "ddd", least64(d, e, true), 0) R(177, "min.NaN.f32", "fff", a != a || b != b ? 0x7fffffff : least32(a, b, false), 0) \
    R(178, "max.NaN.f32", "fff", a != a || b != b ? 0x7fffffff : least32(a, b, true), 0) R(179, "copysign.f32", "fff", (x & 0x80000000) | (y & 0x7fffffff), 0) R(180, "copysign.f64", "ddd", (x & (uint64_t)INT64_MIN) | (y & INT64_MAX), 0) \
    R(181, "max.xorsign.abs.f32", "fff", a != a && b != b ? 0x7fffffff : ((x ^ y) & 0x80000000) | least32(fabsf(a), fabsf(b), true), 0) \
    R(182, "set.lt.u32.f32", "wff", a < b ? 0xffffffff : 0, 0) R(183, "set.geu.f32.f32", "fff", !(a < b) ? b32(1) : 0, 0) R(184, "set.hi.u32.u64", "wqq", x > y ? 0xffffffff : 0, 0) R(185, "set.ne.s32.s16", "whh", hx != hy ? 0xffffffff : 0, 0) \
    R(186, "cvt.s64.s16", "qh", hx, 0) R(187, "cvt.u64.s16", "qh", hx, 0) R(188, "cvt.u32.u8", "ww", x & 255, 0) R(189, "cvt.s32.s8", "ww", (int8_t)x, 0) R(190, "cvt.s32.s8", "wq", (int8_t)x, 0) R(191, "cvt.sat.s8.s32", "ww", sx > 127 ? 127 : sx < -128 ? -128 : sx, 0) \
    R(192, "cvt.sat.u16.s32", "hw", sx < 0 ? 0 : sx > 65535 ? 65535 : sx, 0) R(193, "cvt.sat.u32.s64", "wq", qx < 0 ? 0 : qx > UINT32_MAX ? UINT32_MAX : qx, 0) R(194, "cvt.sat.s32.u64", "wq", x > INT32_MAX ? INT32_MAX : x, 0) \
    R(195, "cvt.rn.f32.s64", "fq", b32((float)qx), 0) R(196, "cvt.rz.f32.u64", "fq", b32((float)x), 1) R(197, "cvt.rp.f32.s32", "fw", b32((float)(int32_t)x), 3) R(198, "cvt.rm.f64.u64", "dq", b64((double)x), 2) \
    R(199, "cvt.rn.f64.s32", "dw", b64((double)sx), 0) R(200, "cvt.rm.f32.f64", "fd", b32((float)d), 2) R(201, "cvt.rn.f32.f64", "fd", b32((float)d), 0) R(202, "cvt.rp.f32.f64", "fd", b32((float)d), 3) \
    R(203, "cvt.sat.f32.f32", "ff", a > 1 ? b32(1) : a > 0 ? x : 0, 0) R(204, "cvt.rni.f32.f32", "ff", b32(rintf(a)), 0) R(205, "cvt.rpi.f64.f64", "dd", b64(ceil(d)), 0) R(206, "cvt.rmi.ftz.f32.f32", "ff", b32(floorf(flush(a))), 0) \
    R(207, "cvt.rzi.s32.f32", "wf", a != a ? 0 : a >= 0x1p31f ? INT32_MAX : a <= -0x1p31f ? INT32_MIN : (int32_t)a, 0) R(208, "cvt.rni.u8.f32", "wf", a != a ? 0 : a > 255 ? 255 : a < 0 ? 0 : rintf(a), 0) \
    R(209, "cvt.rmi.s64.f64", "qd", d != d ? INT64_MIN : d >= 0x1p63 ? INT64_MAX : d <= -0x1p63 ? INT64_MIN : (int64_t)floor(d), 0) R(210, "cvt.rpi.u64.f32", "qf", a != a ? (uint64_t)INT64_MIN : a >= 0x1p64f ? UINT64_MAX : a <= 0 ? 0 : (uint64_t)ceilf(a), 0) \
    R(211, "cvt.pack.sat.u16.s32", "www", (uint64_t)(sx < 0 ? 0 : sx > 65535 ? 65535 : sx) << 16 | (uint64_t)(sy < 0 ? 0 : sy > 65535 ? 65535 : sy), 0) \
    R(212, "cvt.pack.sat.s8.s32.b32", "wwww", z << 16 | (uint64_t)((sx < -128 ? -128 : sx > 127 ? 127 : sx) & 255) << 8 | (uint64_t)((sy < -128 ? -128 : sy > 127 ? 127 : sy) & 255), 0) \
    R(213, "cvt.rn.bf16x2.f32", "wFF", (brain(a) << 16) | brain(b), 0) R(214, "cvt.rna.tf32.f32", "wF", a != a ? 0x7fffffff : isinf(a) ? x : (x + 0x1000) & 0xffffe000, 0)

#define R(number, op, types, expression, rounding) ROW(row_##number, expression)
ROWS
#undef R
#define R(number, op, types, expression, rounding) {op, types, row_##number, rounding},
static const form rows[] = {ROWS};
#undef R

static const uint64_t special[] = {0, 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 32767, 32768, 65535, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000,
    0xffffffffffffffff, 0x3f800000, 0xbf800000, 0x3f000000, 0x7f800000, 0xff800000, 0x7fffffff, 0x00800000, 0x00000001, 0x807fffff, 0x7f7fffff, 0x3ff0000000000000, 0xbff0000000000000,
    0x7ff0000000000000, 0xfff0000000000000, 0x7fffffffffffffff, 0x0010000000000000, 0x000fffffffffffff, 0x7fefffffffffffff, 0x4f000000, 0x5f000000, 0x41dfffffffe00000, 0x43e0000000000000};

static uint64_t value(uint64_t *state, char type, size_t index) {
    uint64_t r = core_random(state), count = sizeof special / sizeof *special;
    if (index % 3 == 0) r = special[r % count];
    else if (r % 4 == 0) r >>= r / 4 % 64;
    else if (r % 4 == 1 && (type == 'f' || type == 'F')) r = b32((float)((double)(r >> 40) * 0x1p-20 - 8));
    else if (r % 4 == 1 && type == 'd') r = b64((double)(r >> 11) * 0x1p-40 - 4096);
    if (type == 'd' && (r & INT64_MAX) > 0x7ff0000000000000) r = 0x7fffffffffffffff;
    return type == 'h' ? r & 0xffff : type == 'w' || type == 'f' || type == 'F' ? r & 0xffffffff : r;
}

static const char *declared(char type) { return type == 'h' ? "b16" : type == 'w' ? "b32" : type == 'f' || type == 'F' ? "f32" : type == 'q' ? "b64" : "f64"; }

/* Loads the operands, executes, stores the result as 64 bits. */
static char *kernel_of(const form *row) {
    char body[2000];
    size_t at = 0;
    size_t operands = strcspn(row->types, "0123456789") - 1;
    at = (size_t)snprintf(body, sizeof body, "mov.u32 %%r2, %%ctaid.x; mad.lo.u32 %%r1, %%r2, %d, %%r1;\nmad.wide.u32 %%rd2, %%r1, 24, %%rd2; mad.wide.u32 %%rd1, %%r1, 8, %%rd1;\n", BLOCK);
    at += (size_t)snprintf(body + at, sizeof body - at, ".reg .%s %%d;\n", declared(row->types[0]));
    for (size_t k = 0; k < operands; k++) {
        const char *type = declared(row->types[k + 1]);
        at += (size_t)snprintf(body + at, sizeof body - at, ".reg .%s %%%c; ld.global.%s %%%c, [%%rd2+%zu];\n", type, (int)('x' + k), type, (int)('x' + k), 8 * k);
    }
    at += (size_t)snprintf(body + at, sizeof body - at, "%s %%d", row->op);
    for (size_t k = 0; k < operands; k++) at += (size_t)snprintf(body + at, sizeof body - at, ", %%%c", (int)('x' + k));
    if (row->types[operands + 1]) at += (size_t)snprintf(body + at, sizeof body - at, ", %s", row->types + operands + 1);
    snprintf(body + at, sizeof body - at, ";\nst.global.%s [%%rd1], %%d;", declared(row->types[0]));
    return core_kernel(".version 8.6\n.target sm_100", "", body);
}

static void check(const form *row) {
    static const int modes[4] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    core machine = core_open();
    char *text = kernel_of(row);
    cr_assert_eq(core_load(&machine, text), EM_OK, "%s: %s", row->op, machine.log.data);
    uint64_t parameters[2] = {core_new(&machine, VALUES * 8), core_new(&machine, VALUES * 24)}, state = 7;
    uint64_t *in = (uint64_t *)(uintptr_t)parameters[1], *out = (uint64_t *)(uintptr_t)parameters[0];
    for (size_t k = 0; k < VALUES; k++) {
        for (size_t n = 0; n < 3 && n + 1 < strlen(row->types); n++) in[3 * k + n] = value(&state, row->types[n + 1], k + n);
    }
    cr_assert(core_launch(&machine, "kernel", VALUES / BLOCK, BLOCK, parameters), "%s: %s", row->op, machine.fault.text);
    int wrong = 0;
    for (size_t k = 0; k < VALUES; k++) {
        fesetround(modes[row->rounding]);
        uint64_t expected = row->f(in[3 * k], in[3 * k + 1], in[3 * k + 2]);
        fesetround(FE_TONEAREST);
        uint64_t got = out[k];
        if (row->types[0] == 'h') expected &= 0xffff;
        if (row->types[0] == 'w' || row->types[0] == 'f') expected &= 0xffffffff;
        bool nan = row->types[0] == 'd' && (expected & INT64_MAX) > 0x7ff0000000000000 && (got & INT64_MAX) > 0x7ff0000000000000;
        if (got == expected || nan || wrong++ > 2) continue;
        cr_expect(false, "%s %s: of 0x%llx, 0x%llx, 0x%llx is 0x%llx, expected 0x%llx", row->op, row->types, (unsigned long long)in[3 * k], (unsigned long long)in[3 * k + 1],
                  (unsigned long long)in[3 * k + 2], (unsigned long long)got, (unsigned long long)expected);
    }
    free(text);
    core_close(&machine);
}

Test(instructions, table) {
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) check(&rows[k]);
}

/* Comparisons: every mode of every type, with both destinations. */
static bool holds(const char *mode, int order, bool unordered) { /* order: -1, 0, 1 */
    bool u = mode[2] == 'u';
    if (!strcmp(mode, "num")) return !unordered;
    if (!strcmp(mode, "nan")) return unordered;
    if (unordered) return u;
    if (!strncmp(mode, "eq", 2)) return order == 0;
    if (!strncmp(mode, "ne", 2)) return order != 0;
    if (!strncmp(mode, "lt", 2) || !strcmp(mode, "lo")) return order < 0;
    if (!strncmp(mode, "le", 2) || !strcmp(mode, "ls")) return order <= 0;
    if (!strncmp(mode, "gt", 2) || !strcmp(mode, "hi")) return order > 0;
    return order >= 0;
}

static void compare(const char *mode, const char *type, char letter) {
    core machine = core_open();
    char body[800];
    const char *declaration = declared(letter);
    snprintf(body, sizeof body, "mov.u32 %%r2, %%ctaid.x; mad.lo.u32 %%r1, %%r2, %d, %%r1; mad.wide.u32 %%rd2, %%r1, 24, %%rd2; mad.wide.u32 %%rd1, %%r1, 8, %%rd1;\n"
             ".reg .%s %%x, %%y; ld.global.%s %%x, [%%rd2]; ld.global.%s %%y, [%%rd2+8]; and.b32 %%r3, %%r1, 1; setp.eq.u32 %%p3, %%r3, 1;\n"
             "setp.%s.%s %%p1, %%x, %%y; selp.u32 %%r4, 1, 0, %%p1; setp.%s.and.%s %%p1|%%p2, %%x, %%y, !%%p3; selp.u32 %%r5, 2, 0, %%p1; selp.u32 %%r6, 4, 0, %%p2;\n"
             "or.b32 %%r4, %%r4, %%r5; or.b32 %%r4, %%r4, %%r6; st.global.u32 [%%rd1], %%r4;", BLOCK, declaration, declaration, declaration, mode, type, mode, type);
    char *text = core_kernel(NULL, "", body);
    cr_assert_eq(core_load(&machine, text), EM_OK, "setp.%s.%s: %s", mode, type, machine.log.data);
    uint64_t parameters[2] = {core_new(&machine, VALUES * 8), core_new(&machine, VALUES * 24)}, state = 9;
    uint64_t *in = (uint64_t *)(uintptr_t)parameters[1], *out = (uint64_t *)(uintptr_t)parameters[0];
    for (size_t k = 0; k < VALUES; k++) {
        in[3 * k] = value(&state, letter, k);
        in[3 * k + 1] = k % 5 ? value(&state, letter, k + 1) : in[3 * k];
    }
    cr_assert(core_launch(&machine, "kernel", VALUES / BLOCK, BLOCK, parameters), "%s", machine.fault.text);
    for (size_t k = 0; k < VALUES; k++) {
        uint64_t x = in[3 * k], y = in[3 * k + 1];
        int order;
        bool unordered = false;
        if (letter == 'f') order = f32(x) < f32(y) ? -1 : f32(x) > f32(y), unordered = f32(x) != f32(x) || f32(y) != f32(y);
        else if (letter == 'd') order = f64(x) < f64(y) ? -1 : f64(x) > f64(y), unordered = f64(x) != f64(x) || f64(y) != f64(y);
        else if (type[0] == 's') order = letter == 'h' ? (int16_t)x - (int16_t)y : letter == 'w' ? ((int32_t)x < (int32_t)y ? -1 : (int32_t)x > (int32_t)y) : ((int64_t)x < (int64_t)y ? -1 : x != y);
        else order = x < y ? -1 : x > y;
        bool p = holds(mode, order, unordered), third = k % 2 == 0;
        uint64_t expected = (uint64_t)p | (uint64_t)(p && third) << 1 | (uint64_t)(!p && third) << 2;
        if (out[k] != expected) {
            cr_expect(false, "setp.%s.%s of 0x%llx, 0x%llx: %llu, expected %llu", mode, type, (unsigned long long)x, (unsigned long long)y, (unsigned long long)out[k], (unsigned long long)expected);
            break;
        }
    }
    free(text);
    core_close(&machine);
}

Test(instructions, comparisons) {
    static const char *const signed_modes[] = {"eq", "ne", "lt", "le", "gt", "ge"}, *const unsigned_modes[] = {"lo", "ls", "hi", "hs"},
        *const float_modes[] = {"equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
    static const struct { const char *type; char letter; } types[] = {{"u16", 'h'}, {"s16", 'h'}, {"u32", 'w'}, {"s32", 'w'}, {"u64", 'q'}, {"s64", 'q'}, {"f32", 'f'}, {"f64", 'd'}};
    for (size_t t = 0; t < 8; t++) {
        for (size_t m = 0; m < 6; m++) compare(signed_modes[m], types[t].type, types[t].letter);
        for (size_t m = 0; m < 4 && types[t].type[0] == 'u'; m++) compare(unsigned_modes[m], types[t].type, types[t].letter);
        for (size_t m = 0; m < 8 && types[t].type[0] == 'f'; m++) compare(float_modes[m], types[t].type, types[t].letter);
    }
}

/* Carry chains: 128-bit sums and differences. */
Test(instructions, carry) {
    core machine = core_open();
    char *text = core_kernel(NULL, "", "mad.wide.u32 %rd2, %r1, 32, %rd2; mad.wide.u32 %rd1, %r1, 32, %rd1; ld.global.v2.u64 {%rd3, %rd4}, [%rd2]; ld.global.v2.u64 {%rd5, %rd6}, [%rd2+16];\n"
        "add.cc.u64 %rd7, %rd3, %rd5; addc.u64 %rd8, %rd4, %rd6; sub.cc.u64 %rd9, %rd3, %rd5; subc.u64 %rd10, %rd4, %rd6; st.global.v2.u64 [%rd1], {%rd7, %rd8}; st.global.v2.u64 [%rd1+16], {%rd9, %rd10};");
    cr_assert_eq(core_load(&machine, text), EM_OK, "%s", machine.log.data);
    uint64_t parameters[2] = {core_new(&machine, BLOCK * 32), core_new(&machine, BLOCK * 32)}, state = 3;
    uint64_t *in = (uint64_t *)(uintptr_t)parameters[1], *out = (uint64_t *)(uintptr_t)parameters[0];
    for (size_t k = 0; k < 4 * BLOCK; k++) in[k] = value(&state, 'q', k);
    cr_assert(core_launch(&machine, "kernel", 1, BLOCK, parameters), "%s", machine.fault.text);
    for (size_t k = 0; k < BLOCK; k++) {
        unsigned __int128 a = (unsigned __int128)in[4 * k + 1] << 64 | in[4 * k], b = (unsigned __int128)in[4 * k + 3] << 64 | in[4 * k + 2];
        cr_expect_eq(out[4 * k], (uint64_t)(a + b));
        cr_expect_eq(out[4 * k + 1], (uint64_t)((a + b) >> 64));
        cr_expect_eq(out[4 * k + 2], (uint64_t)(a - b));
        cr_expect_eq(out[4 * k + 3], (uint64_t)((a - b) >> 64));
    }
    free(text);
    core_close(&machine);
}
