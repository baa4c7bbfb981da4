/* Integer handlers; a part of lanes.c. */
#define WIDTHS1(name, expression) LANE1(name##16, uint16_t, uint16_t, expression) LANE1(name##32, uint32_t, uint32_t, expression) LANE1(name##64, uint64_t, uint64_t, expression)
#define WIDTHS2(name, expression) LANE2(name##16, uint16_t, uint16_t, uint16_t, expression) LANE2(name##32, uint32_t, uint32_t, uint32_t, expression) \
    LANE2(name##64, uint64_t, uint64_t, uint64_t, expression)
#define WIDTHS3(name, expression) LANE3(name##16, uint16_t, uint16_t, uint16_t, uint16_t, expression) \
    LANE3(name##32, uint32_t, uint32_t, uint32_t, uint32_t, expression) LANE3(name##64, uint64_t, uint64_t, uint64_t, uint64_t, expression)
#define SIGNS2(name, expression) LANE2(name##u16, uint16_t, uint16_t, uint16_t, expression) LANE2(name##u32, uint32_t, uint32_t, uint32_t, expression) \
    LANE2(name##u64, uint64_t, uint64_t, uint64_t, expression) LANE2(name##s16, int16_t, int16_t, int16_t, expression) \
    LANE2(name##s32, int32_t, int32_t, int32_t, expression) LANE2(name##s64, int64_t, int64_t, int64_t, expression)
#define SIGNS3(name, expression) LANE3(name##u16, uint16_t, uint16_t, uint16_t, uint16_t, expression) \
    LANE3(name##u32, uint32_t, uint32_t, uint32_t, uint32_t, expression) LANE3(name##u64, uint64_t, uint64_t, uint64_t, uint64_t, expression) \
    LANE3(name##s16, int16_t, int16_t, int16_t, int16_t, expression) LANE3(name##s32, int32_t, int32_t, int32_t, int32_t, expression) \
    LANE3(name##s64, int64_t, int64_t, int64_t, int64_t, expression)

typedef unsigned __int128 wide_u;
typedef __int128 wide_s;

WIDTHS2(add, x + y)
WIDTHS2(sub, x - y)
WIDTHS2(mul, x * 1u * y)
WIDTHS3(mad, x * 1u * y + z)
WIDTHS2(and, x & y)
WIDTHS2(or, x | y)
WIDTHS2(xor, x ^ y)
WIDTHS1(not, ~x)
WIDTHS1(cnot, x == 0)
WIDTHS1(neg, 0u - x)
LANE1(mov16, uint16_t, uint16_t, x)
LANE1(mov32, uint32_t, uint32_t, x)
LANE1(mov64, uint64_t, uint64_t, x)
LANE1(abs16, int16_t, int16_t, x < 0 ? 0u - (uint32_t)x : (uint32_t)x)
LANE1(abs32, int32_t, int32_t, x < 0 ? 0u - (uint32_t)x : (uint32_t)x)
LANE1(abs64, int64_t, int64_t, x < 0 ? 0u - (uint64_t)x : (uint64_t)x)
SIGNS2(min, x < y ? x : y)
SIGNS2(max, x > y ? x : y)

static inline int32_t saturate32(int64_t x) { return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x; }
LANE2(add_sat, int32_t, int32_t, int32_t, saturate32((int64_t)x + y))
LANE2(sub_sat, int32_t, int32_t, int32_t, saturate32((int64_t)x - y))
LANE3(mad_hi_sat, int32_t, int32_t, int32_t, int32_t, saturate32(((int64_t)x * y >> 32) + z))
LANE2(min_relu, int32_t, int32_t, int32_t, (x < y ? x : y) < 0 ? 0 : (x < y ? x : y))
LANE2(max_relu, int32_t, int32_t, int32_t, (x > y ? x : y) < 0 ? 0 : (x > y ? x : y))

LANE2(mul_hi_u16, uint16_t, uint16_t, uint16_t, (uint32_t)x * y >> 16)
LANE2(mul_hi_s16, int16_t, int16_t, int16_t, (int32_t)x * y >> 16)
LANE2(mul_hi_u32, uint32_t, uint32_t, uint32_t, (uint64_t)x * y >> 32)
LANE2(mul_hi_s32, int32_t, int32_t, int32_t, (int64_t)x * y >> 32)
LANE2(mul_hi_u64, uint64_t, uint64_t, uint64_t, (wide_u)x * y >> 64)
LANE2(mul_hi_s64, int64_t, int64_t, int64_t, (wide_s)x * y >> 64)
LANE3(mad_hi_u16, uint16_t, uint16_t, uint16_t, uint16_t, ((uint32_t)x * y >> 16) + z)
LANE3(mad_hi_s16, uint16_t, int16_t, int16_t, uint16_t, (uint32_t)((int32_t)x * y >> 16) + z)
LANE3(mad_hi_u32, uint32_t, uint32_t, uint32_t, uint32_t, ((uint64_t)x * y >> 32) + z)
LANE3(mad_hi_s32, uint32_t, int32_t, int32_t, uint32_t, (uint64_t)((int64_t)x * y >> 32) + z)
LANE3(mad_hi_u64, uint64_t, uint64_t, uint64_t, uint64_t, ((wide_u)x * y >> 64) + z)
LANE3(mad_hi_s64, uint64_t, int64_t, int64_t, uint64_t, (wide_u)((wide_s)x * y >> 64) + z)
LANE2(mul_wide_u16, uint32_t, uint16_t, uint16_t, (uint32_t)x * y)
LANE2(mul_wide_s16, int32_t, int16_t, int16_t, (int32_t)x * y)
LANE2(mul_wide_u32, uint64_t, uint32_t, uint32_t, (uint64_t)x * y)
LANE2(mul_wide_s32, int64_t, int32_t, int32_t, (int64_t)x * y)
LANE3(mad_wide_u16, uint32_t, uint16_t, uint16_t, uint32_t, (uint32_t)x * y + z)
LANE3(mad_wide_s16, uint32_t, int16_t, int16_t, uint32_t, (uint32_t)((int32_t)x * y) + z)
LANE3(mad_wide_u32, uint64_t, uint32_t, uint32_t, uint64_t, (uint64_t)x * y + z)
LANE3(mad_wide_s32, uint64_t, int32_t, int32_t, uint64_t, (uint64_t)((int64_t)x * y) + z)

static inline int64_t s24(int32_t x) { return (int32_t)((uint32_t)x << 8) >> 8; }
static inline uint64_t u24(uint32_t x) { return x & 0xffffff; }
LANE2(mul24_lo_u, uint32_t, uint32_t, uint32_t, u24(x) * u24(y))
LANE2(mul24_lo_s, int32_t, int32_t, int32_t, s24(x) * s24(y))
LANE2(mul24_hi_u, uint32_t, uint32_t, uint32_t, u24(x) * u24(y) >> 16)
LANE2(mul24_hi_s, int32_t, int32_t, int32_t, s24(x) * s24(y) >> 16)
LANE3(mad24_lo_u, uint32_t, uint32_t, uint32_t, uint32_t, u24(x) * u24(y) + z)
LANE3(mad24_lo_s, uint32_t, int32_t, int32_t, uint32_t, (uint64_t)(s24(x) * s24(y)) + z)
LANE3(mad24_hi_u, uint32_t, uint32_t, uint32_t, uint32_t, (u24(x) * u24(y) >> 16) + z)
LANE3(mad24_hi_s, uint32_t, int32_t, int32_t, uint32_t, (uint64_t)(s24(x) * s24(y) >> 16) + z)

LANE3(mad24_hi_sat, int32_t, int32_t, int32_t, int32_t, saturate32((s24(x) * s24(y) >> 16) + z))

LANE3(sad_u16, uint16_t, uint16_t, uint16_t, uint16_t, z + (x < y ? y - x : x - y))
LANE3(sad_s16, uint16_t, int16_t, int16_t, uint16_t, z + (x < y ? y - x : x - y))
LANE3(sad_u32, uint32_t, uint32_t, uint32_t, uint32_t, z + (x < y ? y - x : x - y))
LANE3(sad_s32, uint32_t, int32_t, int32_t, uint32_t, z + (x < y ? (uint32_t)y - (uint32_t)x : (uint32_t)x - (uint32_t)y))
LANE3(sad_u64, uint64_t, uint64_t, uint64_t, uint64_t, z + (x < y ? y - x : x - y))
LANE3(sad_s64, uint64_t, int64_t, int64_t, uint64_t, z + (x < y ? (uint64_t)y - (uint64_t)x : (uint64_t)x - (uint64_t)y))

/* Division by zero gives all ones, and a rest of the dividend, as the hardware's sequences do. */
LANE2(div_u16, uint16_t, uint16_t, uint16_t, y ? x / y : 0xffff)
LANE2(div_u32, uint32_t, uint32_t, uint32_t, y ? x / y : UINT32_MAX)
LANE2(div_u64, uint64_t, uint64_t, uint64_t, y ? x / y : UINT64_MAX)
LANE2(div_s16, int16_t, int16_t, int16_t, y ? x / y : -1)
LANE2(div_s32, int32_t, int32_t, int32_t, y ? (int64_t)x / y : -1)
LANE2(div_s64, int64_t, int64_t, int64_t, y == -1 ? (int64_t)(0 - (uint64_t)x) : y ? x / y : -1)
LANE2(rem_u16, uint16_t, uint16_t, uint16_t, y ? x % y : x)
LANE2(rem_u32, uint32_t, uint32_t, uint32_t, y ? x % y : x)
LANE2(rem_u64, uint64_t, uint64_t, uint64_t, y ? x % y : x)
LANE2(rem_s16, int16_t, int16_t, int16_t, y ? x % y : x)
LANE2(rem_s32, int32_t, int32_t, int32_t, y ? (int64_t)x % y : x)
LANE2(rem_s64, int64_t, int64_t, int64_t, y == -1 ? 0 : y ? x % y : x)

LANE1(popc32, uint32_t, uint32_t, __builtin_popcount(x))
LANE1(popc64, uint32_t, uint64_t, __builtin_popcountll(x))
LANE1(clz32, uint32_t, uint32_t, x ? __builtin_clz(x) : 32)
LANE1(clz64, uint32_t, uint64_t, x ? __builtin_clzll(x) : 64)
static inline uint32_t find32(uint32_t x) { return x ? 31 - (uint32_t)__builtin_clz(x) : UINT32_MAX; }
static inline uint32_t find64(uint64_t x) { return x ? 63 - (uint32_t)__builtin_clzll(x) : UINT32_MAX; }
static inline uint32_t shift_amount(uint32_t found, uint32_t top) { return found == UINT32_MAX ? found : top - found; }
LANE1(bfind_u32, uint32_t, uint32_t, find32(x))
LANE1(bfind_s32, uint32_t, int32_t, find32((uint32_t)(x < 0 ? ~x : x)))
LANE1(bfind_u64, uint32_t, uint64_t, find64(x))
LANE1(bfind_s64, uint32_t, int64_t, find64((uint64_t)(x < 0 ? ~x : x)))
LANE1(bfind_shift_u32, uint32_t, uint32_t, shift_amount(find32(x), 31))
LANE1(bfind_shift_s32, uint32_t, int32_t, shift_amount(find32((uint32_t)(x < 0 ? ~x : x)), 31))
LANE1(bfind_shift_u64, uint32_t, uint64_t, shift_amount(find64(x), 63))
LANE1(bfind_shift_s64, uint32_t, int64_t, shift_amount(find64((uint64_t)(x < 0 ? ~x : x)), 63))

static inline uint64_t reverse64(uint64_t x) {
    x = (x >> 1 & 0x5555555555555555) | (x & 0x5555555555555555) << 1;
    x = (x >> 2 & 0x3333333333333333) | (x & 0x3333333333333333) << 2;
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0f) | (x & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(x);
}
LANE1(brev32, uint32_t, uint32_t, reverse64(x) >> 32)
LANE1(brev64, uint64_t, uint64_t, reverse64(x))

/* bfe: bits beyond the value repeat its sign, of signed types; a length of 0 gives 0. */
static inline uint64_t extract(uint64_t x, uint32_t position, uint32_t length, uint32_t bits, bool is_signed) {
    position &= 0xff, length &= 0xff;
    if (length == 0) return 0;
    uint32_t top = position + length - 1 < bits - 1 ? position + length - 1 : bits - 1;
    uint64_t sign = is_signed ? 0 - (x >> top & 1) : 0;
    if (position >= bits) return sign;
    uint32_t held = bits - position < length ? bits - position : length;
    uint64_t value = x >> position;
    if (held < 64) value = (value & (((uint64_t)1 << held) - 1)) | (sign << held);
    return value;
}
LANE3(bfe_u32, uint32_t, uint32_t, uint32_t, uint32_t, extract(x, y, z, 32, false))
LANE3(bfe_s32, uint32_t, uint32_t, uint32_t, uint32_t, extract(x, y, z, 32, true))
LANE3(bfe_u64, uint64_t, uint64_t, uint32_t, uint32_t, extract(x, y, z, 64, false))
LANE3(bfe_s64, uint64_t, uint64_t, uint32_t, uint32_t, extract(x, y, z, 64, true))

static inline uint64_t insert(uint64_t x, uint64_t into, uint32_t position, uint32_t length, uint32_t bits) {
    position &= 0xff, length &= 0xff;
    if (position >= bits || length == 0) return into;
    uint64_t ones = length >= 64 ? UINT64_MAX : ((uint64_t)1 << length) - 1;
    return (into & ~(ones << position)) | (x & ones) << position;
}
#define BFI(name, T, bits) HANDLER(name) { \
        SOURCE(T, a, step->a); \
        SOURCE(T, b, step->b); \
        SOURCE(uint32_t, c, step->c); \
        SOURCE(uint32_t, e, step->e); \
        _Alignas(64) T r[EM_LANES]; \
        EACH r[l] = (T)insert(a[l], b[l], c[l], e[l], bits); \
        put(warp, step->d, r, mask, sizeof(T)); \
        return EM_NEXT; \
    }
BFI(bfi32, uint32_t, 32)
BFI(bfi64, uint64_t, 64)

LANE2(shl16, uint16_t, uint16_t, uint32_t, y > 15 ? 0 : (uint32_t)x << (y & 31))
LANE2(shl32, uint32_t, uint32_t, uint32_t, y > 31 ? 0 : x << (y & 31))
LANE2(shl64, uint64_t, uint64_t, uint32_t, y > 63 ? 0 : x << (y & 63))
LANE2(shr_u16, uint16_t, uint16_t, uint32_t, y > 15 ? 0 : x >> (y & 15))
LANE2(shr_u32, uint32_t, uint32_t, uint32_t, y > 31 ? 0 : x >> (y & 31))
LANE2(shr_u64, uint64_t, uint64_t, uint32_t, y > 63 ? 0 : x >> (y & 63))
LANE2(shr_s16, int16_t, int16_t, uint32_t, x >> (y > 15 ? 15 : y))
LANE2(shr_s32, int32_t, int32_t, uint32_t, x >> (y > 31 ? 31 : y))
LANE2(shr_s64, int64_t, int64_t, uint32_t, x >> (y > 63 ? 63 : y))
static inline uint64_t pair(uint32_t low, uint32_t high) { return (uint64_t)high << 32 | low; }
LANE3(shf_l_wrap, uint32_t, uint32_t, uint32_t, uint32_t, pair(x, y) << (z & 31) >> 32)
LANE3(shf_l_clamp, uint32_t, uint32_t, uint32_t, uint32_t, pair(x, y) << (z > 32 ? 32 : z) >> 32)
LANE3(shf_r_wrap, uint32_t, uint32_t, uint32_t, uint32_t, pair(x, y) >> (z & 31))
LANE3(shf_r_clamp, uint32_t, uint32_t, uint32_t, uint32_t, pair(x, y) >> (z > 32 ? 32 : z))

/* szext: the low z bits, zero- or sign-extended; bmsk: y bits from bit x. */
static inline uint32_t extend(uint32_t x, uint32_t bits, bool wrap, bool is_signed) {
    if (wrap) bits &= 31;
    if (bits == 0) return 0;
    if (bits >= 32) return x;
    uint32_t low = x & ((1u << bits) - 1);
    return is_signed && (low >> (bits - 1) & 1) ? low | ~0u << bits : low;
}
LANE2(szext_clamp_u, uint32_t, uint32_t, uint32_t, extend(x, y, false, false))
LANE2(szext_clamp_s, uint32_t, uint32_t, uint32_t, extend(x, y, false, true))
LANE2(szext_wrap_u, uint32_t, uint32_t, uint32_t, extend(x, y, true, false))
LANE2(szext_wrap_s, uint32_t, uint32_t, uint32_t, extend(x, y, true, true))
static inline uint32_t mask_of(uint32_t from, uint32_t bits, bool wrap) {
    if (wrap) from &= 31, bits &= 31;
    if (from >= 32 || bits == 0) return 0;
    return (uint32_t)(((bits >= 32 ? (uint64_t)1 << 32 : (uint64_t)1 << bits) - 1) << from);
}
LANE2(bmsk_clamp, uint32_t, uint32_t, uint32_t, mask_of(x, y, false))
LANE2(bmsk_wrap, uint32_t, uint32_t, uint32_t, mask_of(x, y, true))

static inline int32_t byte_of(uint32_t x, int k, bool is_signed) { return is_signed ? (int8_t)(x >> 8 * k) : (uint8_t)(x >> 8 * k); }
static inline int32_t half_of(uint32_t x, int k, bool is_signed) { return is_signed ? (int16_t)(x >> 16 * k) : (uint16_t)(x >> 16 * k); }
static inline uint32_t dot4(uint32_t x, uint32_t y, uint32_t z, bool sx, bool sy) {
    for (int k = 0; k < 4; k++) z += (uint32_t)byte_of(x, k, sx) * (uint32_t)byte_of(y, k, sy);
    return z;
}
static inline uint32_t dot2(uint32_t x, uint32_t y, uint32_t z, int from, bool sx, bool sy) {
    return z + (uint32_t)half_of(x, 0, sx) * (uint32_t)byte_of(y, from, sy) + (uint32_t)half_of(x, 1, sx) * (uint32_t)byte_of(y, from + 1, sy);
}
LANE3(dp4a, uint32_t, uint32_t, uint32_t, uint32_t, dot4(x, y, z, step->type == EM_S32, step->type2 == EM_S32))
LANE3(dp2a_lo, uint32_t, uint32_t, uint32_t, uint32_t, dot2(x, y, z, 0, step->type == EM_S32, step->type2 == EM_S32))
LANE3(dp2a_hi, uint32_t, uint32_t, uint32_t, uint32_t, dot2(x, y, z, 2, step->type == EM_S32, step->type2 == EM_S32))

/* Each selector's low 3 bits choose one of 8 bytes; its top bit repeats that byte's sign. */
static inline uint32_t permute(uint32_t x, uint32_t y, uint32_t selectors) {
    uint64_t both = pair(x, y);
    uint32_t result = 0;
    for (int k = 0; k < 4; k++) {
        uint32_t selector = selectors >> 4 * k & 15;
        uint32_t byte = (uint32_t)(both >> 8 * (selector & 7)) & 255;
        if (selector & 8) byte = byte & 128 ? 255 : 0;
        result |= byte << 8 * k;
    }
    return result;
}
static inline uint32_t prmt_selectors(em_modifier mode, uint32_t z) {
    static const uint16_t table[6][4] = {{0x3210, 0x4321, 0x5432, 0x6543}, {0x5670, 0x6701, 0x7012, 0x0123}, {0x0000, 0x1111, 0x2222, 0x3333},
        {0x3210, 0x3211, 0x3222, 0x3333}, {0x0000, 0x1110, 0x2210, 0x3210}, {0x1010, 0x3232, 0x1010, 0x3232}};
    return mode < EM_MOD_F4E ? z : table[mode - EM_MOD_F4E][z & 3];
}
LANE3(prmt, uint32_t, uint32_t, uint32_t, uint32_t, permute(x, y, prmt_selectors((em_modifier)step->mode, z)))

static inline uint32_t nth_set(uint32_t x, uint32_t base, int32_t offset) {
    if (base > 31) return UINT32_MAX;
    if (offset == 0) return x >> base & 1 ? base : UINT32_MAX;
    int32_t step = offset > 0 ? 1 : -1, left = offset > 0 ? offset : -offset;
    for (int32_t at = (int32_t)base; at >= 0 && at < 32; at += step) {
        if ((x >> at & 1) && --left == 0) return (uint32_t)at;
    }
    return UINT32_MAX;
}
LANE3(fns, uint32_t, uint32_t, uint32_t, int32_t, nth_set(x, y, z))

/* The sum of the minterms whose bit is set in the table. */
HANDLER(lop3) {
    SOURCE(uint32_t, a, step->a);
    SOURCE(uint32_t, b, step->b);
    SOURCE(uint32_t, c, step->c);
    _Alignas(64) uint32_t r[EM_LANES];
    EACH r[l] = 0;
    for (int k = 0; k < 8; k++) {
        if (!(step->imm >> k & 1)) continue;
        uint32_t fa = k & 4 ? 0 : ~0u, fb = k & 2 ? 0 : ~0u, fc = k & 1 ? 0 : ~0u;
        EACH r[l] |= (a[l] ^ fa) & (b[l] ^ fb) & (c[l] ^ fc);
    }
    if (step->list) {
        uint32_t p = 0, q = *em_predicate(warp, step->list[1]) ^ step->list[2];
        EACH p |= (uint32_t)(r[l] != 0) << l;
        p = step->mode == EM_MOD_AND ? p & q : step->mode == EM_MOD_OR ? p | q : p ^ q;
        uint32_t *to = em_predicate(warp, step->list[0]);
        *to = (*to & ~mask) | (p & mask);
    }
    put(warp, step->d, r, mask, 4);
    return EM_NEXT;
}

/* Carry is a bit per lane in the frame. */
#define CARRY(name, T, W, expression) HANDLER(name) { \
        SOURCE(T, a, step->a); \
        SOURCE(T, b, step->b); \
        SOURCE(T, c, step->c); \
        uint32_t in = *em_predicate(warp, EM_FRAME_CARRY), out = 0; \
        _Alignas(64) T r[EM_LANES]; \
        EACH { \
            W x = a[l], y = b[l], z = c[l], carry = in >> l & 1; \
            (void)z, (void)carry; \
            W sum = expression; \
            r[l] = (T)sum; \
            out |= (uint32_t)(sum >> (sizeof(T) * 8) & 1) << l; \
        } \
        put(warp, step->d, r, mask, sizeof(T)); \
        if (step->flags & EM_FLAG_CARRY_OUT) *em_predicate(warp, EM_FRAME_CARRY) = (in & ~mask) | (out & mask); \
        return EM_NEXT; \
    }
CARRY(add_cc32, uint32_t, uint64_t, x + y)
CARRY(addc32, uint32_t, uint64_t, x + y + carry)
CARRY(sub_cc32, uint32_t, uint64_t, x - y)
CARRY(subc32, uint32_t, uint64_t, x - y - carry)
CARRY(add_cc64, uint64_t, wide_u, x + y)
CARRY(addc64, uint64_t, wide_u, x + y + carry)
CARRY(sub_cc64, uint64_t, wide_u, x - y)
CARRY(subc64, uint64_t, wide_u, x - y - carry)
CARRY(mad_lo_cc32, uint32_t, uint64_t, (uint32_t)(x * y) + z)
CARRY(madc_lo32, uint32_t, uint64_t, (uint32_t)(x * y) + z + carry)
CARRY(mad_hi_cc_u32, uint32_t, uint64_t, (x * y >> 32) + z)
CARRY(madc_hi_u32, uint32_t, uint64_t, (x * y >> 32) + z + carry)
CARRY(mad_hi_cc_s32, uint32_t, uint64_t, (uint64_t)(uint32_t)((uint64_t)((int64_t)(int32_t)x * (int32_t)y) >> 32) + z)
CARRY(madc_hi_s32, uint32_t, uint64_t, (uint64_t)(uint32_t)((uint64_t)((int64_t)(int32_t)x * (int32_t)y) >> 32) + z + carry)
CARRY(mad_lo_cc64, uint64_t, wide_u, (wide_u)(uint64_t)(x * y) + z)
CARRY(madc_lo64, uint64_t, wide_u, (wide_u)(uint64_t)(x * y) + z + carry)
CARRY(mad_hi_cc_u64, uint64_t, wide_u, (x * y >> 64) + z)
CARRY(madc_hi_u64, uint64_t, wide_u, (x * y >> 64) + z + carry)
CARRY(mad_hi_cc_s64, uint64_t, wide_u, (wide_u)(uint64_t)((wide_u)((wide_s)(int64_t)x * (int64_t)y) >> 64) + z)
CARRY(madc_hi_s64, uint64_t, wide_u, (wide_u)(uint64_t)((wide_u)((wide_s)(int64_t)x * (int64_t)y) >> 64) + z + carry)

/* Two halves of 16 bits. */
static inline uint32_t join16(uint32_t low, uint32_t high) { return (low & 0xffff) | high << 16; }
#define HALVES(name, T, expression) static inline uint32_t name##_one(uint32_t p, uint32_t q) { T x = (T)p, y = (T)q; return (uint32_t)(expression); } \
    LANE2(name, uint32_t, uint32_t, uint32_t, join16(name##_one(x, y), name##_one(x >> 16, y >> 16)))
HALVES(add_x2, uint16_t, x + y)
HALVES(min_u16x2, uint16_t, x < y ? x : y)
HALVES(max_u16x2, uint16_t, x > y ? x : y)
HALVES(min_s16x2, int16_t, x < y ? x : y)
HALVES(max_s16x2, int16_t, x > y ? x : y)
HALVES(min_relu_x2, int16_t, (x < y ? x : y) < 0 ? 0 : x < y ? x : y)
HALVES(max_relu_x2, int16_t, (x > y ? x : y) < 0 ? 0 : x > y ? x : y)

/* Selection by a predicate, and by a sign. */
#define SELP(name, T) HANDLER(name) { \
        SOURCE(T, a, step->a); \
        SOURCE(T, b, step->b); \
        uint32_t p = *em_predicate(warp, step->c) ^ (uint32_t)step->imm; \
        _Alignas(64) T r[EM_LANES]; \
        EACH r[l] = p >> l & 1 ? a[l] : b[l]; \
        put(warp, step->d, r, mask, sizeof(T)); \
        return EM_NEXT; \
    }
SELP(selp16, uint16_t)
SELP(selp32, uint32_t)
SELP(selp64, uint64_t)
LANE3(slct16, uint16_t, uint16_t, uint16_t, int32_t, z >= 0 ? x : y)
LANE3(slct32, uint32_t, uint32_t, uint32_t, int32_t, z >= 0 ? x : y)
LANE3(slct64, uint64_t, uint64_t, uint64_t, int32_t, z >= 0 ? x : y)
LANE3(slct_f16, uint16_t, uint16_t, uint16_t, float, z >= 0 ? x : y)
LANE3(slct_f32, uint32_t, uint32_t, uint32_t, float, z >= 0 ? x : y)
LANE3(slct_f64, uint64_t, uint64_t, uint64_t, float, z >= 0 ? x : y)
