/* The interpreter that counts: the same loop with a counter per instruction. Not thread-safe: a loaded kernel is for one count. */
#define QN__LOOP qn__interpret_counting
#define QN__LOOP_COUNTS 1
#include "runtime/interpret_loop.h"

#include "runtime/engine.h"

/* Floating-point operations of one execution of an instruction; the rest of the table's rows have none. */
static const uint8_t float_ops[QN__BC_COUNT] = {
#define FLOATS(op, count) [QN__BC_##op##_F32] = (count), [QN__BC_##op##_F64] = (count)
    FLOATS(FMS, 2),        FLOATS(FNMA, 2),
    FLOATS(ADD, 1),        FLOATS(SUB, 1),        FLOATS(MUL, 1),        FLOATS(DIV, 1),       FLOATS(MIN, 1),
    FLOATS(MAX, 1),        FLOATS(SQRT, 1),       FLOATS(FMA, 2),        FLOATS(ACCUMULATE, 1),
    FLOATS(LANES_ADD, QN__LANES - 1), FLOATS(LANES_MIN, QN__LANES - 1), FLOATS(LANES_MAX, QN__LANES - 1)};

void qn__counted(const qn__loaded *loaded, uint64_t *instructions, uint64_t *floats) {
    const qn__threaded *threaded = loaded->handle;
    *instructions = *floats = 0;
    for (uint32_t i = 0; i < threaded->bytecode->code_count; i++) {
        *instructions += threaded->counts[i];
        const qn__bytecode_instr *instr = &threaded->bytecode->code[i]; /* a vector's cell counts its elements */
        *floats += threaded->counts[i] * float_ops[instr->op == QN__BC_VECTOR_CELL ? instr->a : instr->op];
    }
}
