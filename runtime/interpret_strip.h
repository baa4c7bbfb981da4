/* The instructions of ir/bytecode.def on vectors: the same expressions in a loop that the C compiler vectorises. Included once per
 * instruction set with QN__STRIPS defined as the table's name. Elements are 4 or 8 bytes: types below 32 bits lie in 4, as in
 * slots. A result may take the place of an operand of its width, never partly overlap one. */
#include "runtime/interpret.h"
#include "runtime/interpret_scalar.h"

#include <string.h>

#if defined(QN_SANITIZED) || defined(__SANITIZE_ADDRESS__)
#define INDEPENDENT /* sanitizers keep loops from being vectorised */
#elif defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* Field types of qn__slot, and an element read as one. */
#define TYPE_i8  int8_t
#define TYPE_u8  uint8_t
#define TYPE_i16 int16_t
#define TYPE_u16 uint16_t
#define TYPE_i32 int32_t
#define TYPE_u32 uint32_t
#define TYPE_i64 int64_t
#define TYPE_u64 uint64_t
#define TYPE_f32 float
#define TYPE_f64 double
#define READ_i8(v, k)  ((int8_t)((const memory_32 *)(v))[k])
#define READ_u8(v, k)  ((uint8_t)((const memory_32 *)(v))[k])
#define READ_i16(v, k) ((int16_t)((const memory_32 *)(v))[k])
#define READ_u16(v, k) ((uint16_t)((const memory_32 *)(v))[k])
#define READ_i32(v, k) ((int32_t)((const memory_32 *)(v))[k])
#define READ_u32(v, k) (((const memory_32 *)(v))[k])
#define READ_i64(v, k) ((int64_t)((const memory_64 *)(v))[k])
#define READ_u64(v, k) (((const memory_64 *)(v))[k])
#define READ_f32(v, k) (((const memory_f32 *)(v))[k])
#define READ_f64(v, k) (((const memory_f64 *)(v))[k])
#define WRITE_i32(v, k, x) ((memory_32 *)(v))[k] = (memory_32)(int32_t)(x)
#define WRITE_u32(v, k, x) ((memory_32 *)(v))[k] = (memory_32)(x)
#define WRITE_i64(v, k, x) ((memory_64 *)(v))[k] = (memory_64)(int64_t)(x)
#define WRITE_u64(v, k, x) ((memory_64 *)(v))[k] = (memory_64)(x)
#define WRITE_f32(v, k, x) ((memory_f32 *)(v))[k] = (memory_f32)(x)
#define WRITE_f64(v, k, x) ((memory_f64 *)(v))[k] = (memory_f64)(x)

#define STRIP(name, ...)                                                                                               \
    static void strip_##name(int64_t n, void *va, const void *vb, const void *vc, const void *vd) {                    \
        (void)vb, (void)vc, (void)vd;                                                                                  \
        INDEPENDENT for (int64_t k = 0; k < n; k++) { __VA_ARGS__; }                                                   \
    }

#define BINARY(op, suffix, in, out, expression)                                                                        \
    STRIP(op##_##suffix, const TYPE_##in a = READ_##in(vb, k), b = READ_##in(vc, k); WRITE_##out(va, k, expression))
#define UNARY(op, suffix, in, out, expression)                                                                         \
    STRIP(op##_##suffix, const TYPE_##in a = READ_##in(vb, k); WRITE_##out(va, k, expression))
#define JUMP(op, suffix, in, condition)
#define OTHER(name, operands)
#include "ir/bytecode.def"

STRIP(FMA_F32, WRITE_f32(va, k, __builtin_fmaf(READ_f32(vb, k), READ_f32(vc, k), READ_f32(vd, k))))
STRIP(FMA_F64, WRITE_f64(va, k, __builtin_fma(READ_f64(vb, k), READ_f64(vc, k), READ_f64(vd, k))))
STRIP(FMS_F32, WRITE_f32(va, k, __builtin_fmaf(READ_f32(vb, k), READ_f32(vc, k), -READ_f32(vd, k))))
STRIP(FMS_F64, WRITE_f64(va, k, __builtin_fma(READ_f64(vb, k), READ_f64(vc, k), -READ_f64(vd, k))))
STRIP(FNMA_F32, WRITE_f32(va, k, __builtin_fmaf(-READ_f32(vb, k), READ_f32(vc, k), READ_f32(vd, k))))
STRIP(FNMA_F64, WRITE_f64(va, k, __builtin_fma(-READ_f64(vb, k), READ_f64(vc, k), READ_f64(vd, k))))
STRIP(MADD_W64, WRITE_u64(va, k, READ_u64(vb, k) * READ_u64(vc, k) + READ_u64(vd, k)))
STRIP(SELECT_32, WRITE_u32(va, k, READ_u8(vb, k) ? READ_u32(vc, k) : READ_u32(vd, k)))
STRIP(SELECT_64, WRITE_u64(va, k, READ_u8(vb, k) ? READ_u64(vc, k) : READ_u64(vd, k)))
STRIP(MOVE_32, WRITE_u32(va, k, READ_u32(vb, k)))
STRIP(MOVE_64, WRITE_u64(va, k, READ_u64(vb, k)))
STRIP(GATHER_8, WRITE_u32(va, k, ((const memory_8 *)vb)[READ_i64(vc, k)]))
STRIP(GATHER_16, WRITE_u32(va, k, ((const memory_16 *)vb)[READ_i64(vc, k)]))
STRIP(GATHER_32, WRITE_u32(va, k, ((const memory_32 *)vb)[READ_i64(vc, k)]))
STRIP(GATHER_64, WRITE_u64(va, k, ((const memory_64 *)vb)[READ_i64(vc, k)]))
STRIP(SPREAD_8, WRITE_u32(va, k, ((const memory_8 *)vb)[k]))
STRIP(SPREAD_16, WRITE_u32(va, k, ((const memory_16 *)vb)[k]))
STRIP(SPREAD_32, WRITE_u32(va, k, ((const memory_32 *)vb)[k]))
STRIP(SPREAD_64, WRITE_u64(va, k, ((const memory_64 *)vb)[k]))
STRIP(PACK_8, ((memory_8 *)va)[k] = READ_u8(vb, k))
STRIP(PACK_16, ((memory_16 *)va)[k] = READ_u16(vb, k))
STRIP(PACK_32, ((memory_32 *)va)[k] = READ_u32(vb, k))
STRIP(PACK_64, ((memory_64 *)va)[k] = READ_u64(vb, k))

#define ROW(name) [QN__BC_##name] = strip_##name,
const qn__strip_function QN__STRIPS[QN__BC_COUNT] = {
#define BINARY(op, suffix, in, out, expression) ROW(op##_##suffix)
#define UNARY(op, suffix, in, out, expression) ROW(op##_##suffix)
#define JUMP(op, suffix, in, condition)
#define OTHER(name, operands)
#include "ir/bytecode.def"
    ROW(FMA_F32) ROW(FMA_F64) ROW(FMS_F32) ROW(FMS_F64) ROW(FNMA_F32) ROW(FNMA_F64) ROW(MADD_W64)
    ROW(SELECT_32) ROW(SELECT_64) ROW(MOVE_32) ROW(MOVE_64)
    ROW(GATHER_8) ROW(GATHER_16) ROW(GATHER_32) ROW(GATHER_64)
    ROW(SPREAD_8) ROW(SPREAD_16) ROW(SPREAD_32) ROW(SPREAD_64)
    ROW(PACK_8) ROW(PACK_16) ROW(PACK_32) ROW(PACK_64)
};
