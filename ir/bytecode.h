/* The interpreter's program format: a register machine whose registers are 8-byte slots of one frame.
 *
 * The slots of a run: first the constants, then all values; local memory (local arrays, lanes of reductions) follows. An instruction
 * reads all its operands before it writes. The loader turns `op` into the address of its handler. */
#ifndef QN__BYTECODE_H
#define QN__BYTECODE_H

#include "ir/types.h"

#include <stddef.h>
#include <stdint.h>

typedef enum qn__opcode {
#define OTHER(name, operands) QN__BC_##name,
#include "ir/bytecode.def"
    QN__BC_COUNT
} qn__opcode;

enum { QN__STRIP = 128 }; /* points of a strip: an 8-byte vector is 1 KiB, so a stage's vectors stay in the first-level cache */

typedef union qn__slot {
    int8_t i8; uint8_t u8; int16_t i16; uint16_t u16; int32_t i32; uint32_t u32; int64_t i64; uint64_t u64;
    float f32; double f64; unsigned char *ptr;
} qn__slot;

typedef struct qn__bytecode_instr {
    uint64_t op;           /* qn__opcode */
    uint16_t a, b;
    union {
        struct { uint16_t c, d; };
        int32_t jump;      /* in instructions, from this one */
        uint32_t number;
    };
} qn__bytecode_instr;

/* Where an instruction that can fail stands in the source. */
typedef struct qn__bytecode_site { uint32_t pc, location; } qn__bytecode_site;

/* The instructions of one stage [first, last), to number the point of a fault: slots of the indices and bounds. */
typedef struct qn__bytecode_stage {
    uint32_t first, last, rank;
    uint16_t index[QN__MAX_RANK], low[QN__MAX_RANK], high[QN__MAX_RANK];
} qn__bytecode_stage;

/* The arrays that a keep fills. */
typedef struct qn__bytecode_keep { uint32_t count; const uint32_t *arrays; } qn__bytecode_keep;

typedef struct qn__bytecode {
    const qn__bytecode_instr *code;   uint32_t code_count;
    const uint64_t *constants;        uint32_t constant_count;
    uint32_t slot_count;              /* with the constants */
    uint32_t argument_count;          /* the most that an ALLOCATE or CALL takes */
    size_t local_bytes;
    const qn__bytecode_site *sites;   uint32_t site_count;  /* ascending pc */
    const qn__bytecode_stage *stages; uint32_t stage_count; /* ascending; none is nested */
    const qn__bytecode_keep *keeps;   uint32_t keep_count;
} qn__bytecode;

#endif
