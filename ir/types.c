/* The table of scalar types, expanded from types.def. Row 0 is "no type": every reference to nothing reads as it. */
#include "ir/types.h"

const qn__type_info qn__type_table[QN__TYPE_COUNT] = {
    [QN__TYPE_NONE] = {"none", 0, 0, QN__CLASS_NONE},
#define X(name, ENUM, bits, class) [QN__TYPE_##ENUM] = {#name, bits, (bits) / 8, QN__CLASS_##class},
#include "ir/types.def"
#undef X
};
