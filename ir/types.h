/* Scalar types of values and array elements, and limits shared by all parts. */
#ifndef QN__TYPES_H
#define QN__TYPES_H

#include <stdbool.h>
#include <stdint.h>

enum { QN__MAX_RANK = 8 };

typedef enum qn__type {
    QN__TYPE_NONE,
#define X(name, ENUM, bits, class) QN__TYPE_##ENUM,
#include "ir/types.def"
#undef X
    QN__TYPE_COUNT
} qn__type;

typedef enum qn__type_class { QN__CLASS_NONE, QN__CLASS_BOOL, QN__CLASS_SINT, QN__CLASS_UINT, QN__CLASS_FLOAT } qn__type_class;

typedef struct qn__type_info { const char *name; uint8_t bits, bytes, type_class; } qn__type_info;
extern const qn__type_info qn__type_table[QN__TYPE_COUNT];

static inline bool qn__is_float(qn__type t) { return qn__type_table[t].type_class == QN__CLASS_FLOAT; }
static inline bool qn__is_signed(qn__type t) { return qn__type_table[t].type_class == QN__CLASS_SINT; }
static inline bool qn__is_int(qn__type t) {
    return qn__type_table[t].type_class == QN__CLASS_SINT || qn__type_table[t].type_class == QN__CLASS_UINT;
}
static inline uint32_t qn__type_bits(qn__type t) { return qn__type_table[t].bits; }
static inline uint32_t qn__type_bytes(qn__type t) { return qn__type_table[t].bytes; }

#endif
