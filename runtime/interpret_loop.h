/* The interpreter's loop. Included once per instruction set with QN__LOOP defined as the function's name.
 *
 * Direct threading: an instruction holds the address of its handler, which ends in a jump to the next one's, so that the branch
 * predictor sees one jump per handler. Handlers read all operands before they write. No handler calls anything but on slow paths
 * and, where the instruction set has no such instruction, fma and rounding in libm. */
#include "runtime/interpret.h"
#include "runtime/interpret_scalar.h"

#include <string.h>

/* An element's address; integer arithmetic, because a hoisted row may lie outside the array when no element of it is used. */
static inline void *element(const unsigned char *row, int64_t index, uint64_t bytes) {
    return (void *)((uintptr_t)row + (uint64_t)index * bytes);
}

#define LANES(name, type, expression)                                                                                  \
    static void lanes_##name(void *memory) {                                                                           \
        type *lane = memory;                                                                                           \
        for (int half = QN__LANES / 2; half; half /= 2)                                                                \
            for (int i = 0; i < half; i++) {                                                                           \
                type a = lane[i], b = lane[i + half];                                                                  \
                lane[i] = (expression);                                                                                \
            }                                                                                                          \
    }
LANES(ADD_W32, memory_32, a + b)
LANES(ADD_W64, memory_64, a + b)
LANES(ADD_F32, memory_f32, a + b)
LANES(ADD_F64, memory_f64, a + b)
LANES(MIN_F32, memory_f32, minimum_f32(a, b))
LANES(MIN_F64, memory_f64, minimum_f64(a, b))
LANES(MAX_F32, memory_f32, maximum_f32(a, b))
LANES(MAX_F64, memory_f64, maximum_f64(a, b))

static inline int64_t end_of(int64_t from, int64_t count, int64_t high) {
    /* from < high, so the difference of the two as unsigned numbers is right even when it does not fit an i64 */
    return (uint64_t)high - (uint64_t)from <= (uint64_t)count ? high : from + count;
}

#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-label-as-value"
#endif

int32_t QN__LOOP(qn__run *run, const void *const **handlers) {
    static const void *const labels[QN__BC_COUNT] = {
#define OTHER(name, operands) [QN__BC_##name] = &&do_##name,
#include "ir/bytecode.def"
    };
    if (!run) {
        *handlers = labels;
        return 0;
    }
    qn__slot *const slot = run->slots;
    qn__frame *const frame = run->frame;
    const volatile int32_t *const stop = frame->stop;
    const qn__bytecode_instr *ins = run->threaded->code;
    int64_t strip = 0; /* points of the running strip */
    int32_t kind;

#ifdef QN__LOOP_COUNTS
#define DISPATCH()                                                                                                     \
    do {                                                                                                               \
        run->threaded->counts[ins - run->threaded->code]++;                                                            \
        goto *(const void *)(uintptr_t)ins->op;                                                                        \
    } while (0)
#else
#define DISPATCH() goto *(const void *)(uintptr_t)ins->op
#endif
#define NEXT()                                                                                                         \
    do {                                                                                                               \
        ins++;                                                                                                         \
        DISPATCH();                                                                                                    \
    } while (0)
#define A slot[ins->a]
#define B slot[ins->b]
#define C slot[ins->c]
#define D slot[ins->d]
#define JUMP_BACK()                                                                                                    \
    do {                                                                                                               \
        if (__builtin_expect(__atomic_load_n(stop, __ATOMIC_RELAXED) != 0, 0)) goto stopped_jump;                                                        \
        ins += ins->jump;                                                                                              \
        DISPATCH();                                                                                                    \
    } while (0)
    DISPATCH();

#define BINARY(op, suffix, in, out, expression)                                                                        \
    do_##op##_##suffix : {                                                                                             \
        const __typeof__(A.in) a = B.in, b = C.in;                                                                     \
        A.out = (__typeof__(A.out))(expression);                                                                       \
        NEXT();                                                                                                        \
    }
#define UNARY(op, suffix, in, out, expression)                                                                         \
    do_##op##_##suffix : {                                                                                             \
        const __typeof__(A.in) a = B.in;                                                                               \
        A.out = (__typeof__(A.out))(expression);                                                                       \
        NEXT();                                                                                                        \
    }
#define JUMP(op, suffix, in, condition)                                                                                \
    do_J_##op##_##suffix : {                                                                                           \
        const __typeof__(A.in) a = A.in, b = B.in;                                                                     \
        ins += (condition) ? ins->jump : 1;                                                                            \
        DISPATCH();                                                                                                    \
    }                                                                                                                  \
    do_L_##op##_##suffix : {                                                                                           \
        const __typeof__(A.in) a = A.in, b = B.in;                                                                     \
        if (condition) JUMP_BACK();                                                                                    \
        NEXT();                                                                                                        \
    }
#define OTHER(name, operands)
#include "ir/bytecode.def"

#define DO(name, ...)                                                                                                  \
    do_##name : {                                                                                                      \
        __VA_ARGS__;                                                                                                   \
        NEXT();                                                                                                        \
    }
    DO(FMA_F32, A.f32 = __builtin_fmaf(B.f32, C.f32, D.f32))
    DO(FMA_F64, A.f64 = __builtin_fma(B.f64, C.f64, D.f64))
    DO(FMS_F32, A.f32 = __builtin_fmaf(B.f32, C.f32, -D.f32))
    DO(FMS_F64, A.f64 = __builtin_fma(B.f64, C.f64, -D.f64))
    DO(FNMA_F32, A.f32 = __builtin_fmaf(-B.f32, C.f32, D.f32))
    DO(FNMA_F64, A.f64 = __builtin_fma(-B.f64, C.f64, D.f64))
    DO(MADD_W64, A.u64 = B.u64 * C.u64 + D.u64)
    DO(SELECT_32, A.u32 = B.u8 ? C.u32 : D.u32)
    DO(SELECT_64, A.u64 = B.u8 ? C.u64 : D.u64)
    DO(MOVE_32, A.u32 = B.u32)
    DO(MOVE_64, A.u64 = B.u64)

do_J_TRUE:
    ins += A.u8 ? ins->jump : 1;
    DISPATCH();
do_J_FALSE:
    ins += A.u8 ? 1 : ins->jump;
    DISPATCH();
do_L_TRUE:
    if (A.u8) JUMP_BACK();
    NEXT();
do_L_FALSE:
    if (!A.u8) JUMP_BACK();
    NEXT();
do_JUMP:
    ins += ins->jump;
    DISPATCH();
do_LOOP: {
    int64_t index = A.i64 + 1;
    A.i64 = index;
    if (index < B.i64) JUMP_BACK();
    NEXT();
}
do_LOOP_LANES: {
    int64_t index = A.i64;
    if ((uint64_t)B.i64 - (uint64_t)index > QN__LANES) {
        A.i64 = index + QN__LANES;
        JUMP_BACK();
    }
    NEXT();
}
do_POLL:
    if (__builtin_expect(__atomic_load_n(stop, __ATOMIC_RELAXED) != 0, 0)) goto stopped_next;
    NEXT();

    DO(LOAD_8, A.u32 = *(memory_8 *)element(B.ptr, C.i64, 1))
    DO(LOAD_16, A.u32 = *(memory_16 *)element(B.ptr, C.i64, 2))
    DO(LOAD_32, A.u32 = *(memory_32 *)element(B.ptr, C.i64, 4))
    DO(LOAD_64, A.u64 = *(memory_64 *)element(B.ptr, C.i64, 8))
    DO(LOAD_8_AT, A.u32 = *(memory_8 *)element(B.ptr, C.i64 + (int16_t)ins->d, 1))
    DO(LOAD_16_AT, A.u32 = *(memory_16 *)element(B.ptr, C.i64 + (int16_t)ins->d, 2))
    DO(LOAD_32_AT, A.u32 = *(memory_32 *)element(B.ptr, C.i64 + (int16_t)ins->d, 4))
    DO(LOAD_64_AT, A.u64 = *(memory_64 *)element(B.ptr, C.i64 + (int16_t)ins->d, 8))
    DO(STORE_8, *(memory_8 *)element(B.ptr, C.i64, 1) = A.u8)
    DO(STORE_16, *(memory_16 *)element(B.ptr, C.i64, 2) = A.u16)
    DO(STORE_32, *(memory_32 *)element(B.ptr, C.i64, 4) = A.u32)
    DO(STORE_64, *(memory_64 *)element(B.ptr, C.i64, 8) = A.u64)
    DO(ACCUMULATE_W32, *(memory_32 *)element(B.ptr, C.i64, 4) += A.u32)
    DO(ACCUMULATE_W64, *(memory_64 *)element(B.ptr, C.i64, 8) += A.u64)
    DO(ACCUMULATE_F32, *(memory_f32 *)element(B.ptr, C.i64, 4) += A.f32)
    DO(ACCUMULATE_F64, *(memory_f64 *)element(B.ptr, C.i64, 8) += A.f64)
    DO(ROW, A.ptr = element(B.ptr, C.i64, D.u64))
    DO(VIEW_DATA, A.ptr = frame->views[ins->b].data)
    DO(VIEW_STRIDE, A.u64 = (uint64_t)frame->views[ins->b].stride[ins->c] * ins->d)
    DO(VIEW_EXTENT, A.i64 = frame->views[ins->b].extent[ins->c])
    DO(LOCAL, A.ptr = run->locals + (size_t)ins->number * 8)
    DO(ZERO, memset(A.ptr, 0, ins->number))

do_CHECK_INDEX:
    if (__builtin_expect(A.u64 >= B.u64, 0)) {
        kind = QN__FAULT_INDEX;
        run->index = A.i64;
        run->extent = B.i64;
        goto fault;
    }
    NEXT();
do_CHECK_NONZERO_8:
    if (__builtin_expect(A.u8 == 0, 0)) goto division;
    NEXT();
do_CHECK_NONZERO_16:
    if (__builtin_expect(A.u16 == 0, 0)) goto division;
    NEXT();
do_CHECK_NONZERO_32:
    if (__builtin_expect(A.u32 == 0, 0)) goto division;
    NEXT();
do_CHECK_NONZERO_64:
    if (__builtin_expect(A.u64 == 0, 0)) goto division;
    NEXT();
do_CHECK:
    if (__builtin_expect(!A.u8, 0)) {
        kind = ins->d;
        run->index = B.i64;
        run->extent = C.i64;
        goto fault;
    }
    NEXT();

do_STRIP_BEGIN: {
    uint64_t left = B.u64 - A.u64;
    strip = left < QN__STRIP ? (int64_t)left : QN__STRIP;
    NEXT();
}
do_STRIP_LOOP:
    A.i64 += strip;
    if (A.i64 < B.i64) JUMP_BACK();
    NEXT();
do_VECTOR:
#ifdef QN__LOOP_COUNTS
    run->threaded->counts[ins + 1 - run->threaded->code] += (uint64_t)strip;
#endif
    ((qn__strip_function)(uintptr_t)ins[1].op)(strip, A.ptr, B.ptr, C.ptr, D.ptr);
    ins += 2;
    DISPATCH();
    DO(POINT_8, A.ptr = element(B.ptr, C.i64 + (int16_t)ins->d, 1))
    DO(POINT_16, A.ptr = element(B.ptr, C.i64 + (int16_t)ins->d, 2))
    DO(POINT_32, A.ptr = element(B.ptr, C.i64 + (int16_t)ins->d, 4))
    DO(POINT_64, A.ptr = element(B.ptr, C.i64 + (int16_t)ins->d, 8))
do_IOTA: {
    memory_64 *vector = (memory_64 *)(void *)A.ptr;
    uint64_t first = B.u64;
    for (int64_t i = 0; i < strip; i++) vector[i] = first + (uint64_t)i;
    NEXT();
}
do_BROADCAST_32: {
    memory_32 *vector = (memory_32 *)(void *)A.ptr;
    for (int i = 0; i < QN__STRIP; i++) vector[i] = B.u32;
    NEXT();
}
do_BROADCAST_64: {
    memory_64 *vector = (memory_64 *)(void *)A.ptr;
    for (int i = 0; i < QN__STRIP; i++) vector[i] = B.u64;
    NEXT();
}
do_VECTOR_CELL: /* these stand in a VECTOR's second cell */
do_GATHER_8:
do_GATHER_16:
do_GATHER_32:
do_GATHER_64:
do_SPREAD_8:
do_SPREAD_16:
do_SPREAD_32:
do_SPREAD_64:
do_PACK_8:
do_PACK_16:
do_PACK_32:
do_PACK_64:
    NEXT();

#define FILL(bits)                                                                                                     \
    do_FILL_##bits : {                                                                                                 \
        memory_##bits *lane = (memory_##bits *)(void *)A.ptr;                                                          \
        for (int i = 0; i < QN__LANES; i++) lane[i] = B.u##bits;                                                       \
        NEXT();                                                                                                        \
    }
    FILL(8)
    FILL(16)
    FILL(32)
    FILL(64)
    DO(LANES_ADD_W32, lanes_ADD_W32(B.ptr); A.u32 = *(memory_32 *)(void *)B.ptr)
    DO(LANES_ADD_W64, lanes_ADD_W64(B.ptr); A.u64 = *(memory_64 *)(void *)B.ptr)
    DO(LANES_ADD_F32, lanes_ADD_F32(B.ptr); A.f32 = *(memory_f32 *)(void *)B.ptr)
    DO(LANES_ADD_F64, lanes_ADD_F64(B.ptr); A.f64 = *(memory_f64 *)(void *)B.ptr)
    DO(LANES_MIN_F32, lanes_MIN_F32(B.ptr); A.f32 = *(memory_f32 *)(void *)B.ptr)
    DO(LANES_MIN_F64, lanes_MIN_F64(B.ptr); A.f64 = *(memory_f64 *)(void *)B.ptr)
    DO(LANES_MAX_F32, lanes_MAX_F32(B.ptr); A.f32 = *(memory_f32 *)(void *)B.ptr)
    DO(LANES_MAX_F64, lanes_MAX_F64(B.ptr); A.f64 = *(memory_f64 *)(void *)B.ptr)
    DO(BLOCK_END, A.i64 = end_of(B.i64, QN__BLOCK, C.i64))
    DO(RUN_END, A.i64 = end_of(B.i64, QN__RUN, C.i64))

    DO(PARAM, A.u64 = frame->scalars[ins->number])
    DO(SIZE, A.i64 = frame->sizes[ins->number])
    DO(ARGUMENT, run->arguments[ins->b] = A)
do_ALLOCATE:
    if ((kind = qn__run_allocate(run, ins->a))) goto fault;
    NEXT();
do_SWAP: {
    qn__view *left = &frame->views[ins->a], *right = &frame->views[ins->b], middle = *left;
    *left = *right;
    *right = middle;
    NEXT();
}
    DO(CALL_32, A.u32 = qn__run_call(run, ins->b).u32)
    DO(CALL_64, A.u64 = qn__run_call(run, ins->b).u64)
do_KEEP_BEGIN:
    if ((kind = qn__run_keep_begin(run, ins->number))) goto fault;
    NEXT();
    DO(PUSH_8, *(memory_8 *)element(run->kept[ins->b].data, run->kept_count, 1) = A.u8)
    DO(PUSH_16, *(memory_16 *)element(run->kept[ins->b].data, run->kept_count, 2) = A.u16)
    DO(PUSH_32, *(memory_32 *)element(run->kept[ins->b].data, run->kept_count, 4) = A.u32)
    DO(PUSH_64, *(memory_64 *)element(run->kept[ins->b].data, run->kept_count, 8) = A.u64)
do_PUSH_END:
    if (++run->kept_count == run->kept_capacity && (kind = qn__run_keep_grow(run))) goto fault;
    NEXT();
do_KEEP_END:
    if ((kind = qn__run_keep_end(run))) goto fault;
    A.i64 = run->kept_count;
    NEXT();

stopped_jump:
    if ((kind = frame->services->poll(frame))) goto fault;
    ins += ins->jump;
    DISPATCH();
stopped_next:
    if ((kind = frame->services->poll(frame))) goto fault;
    NEXT();
division:
    kind = QN__FAULT_DIVISION;
    run->index = run->extent = 0;
fault:
    run->at = ins;
    return kind;
do_END:
    return 0;
}
