/* The table of operations, expanded from ops.def. */
#include "ir/ir.h"

const qn__op_info qn__op_table[QN__OP_COUNT] = {
#define X(name, ENUM, args, results, regions, rule, effects)                                                           \
    [QN__OP_##ENUM] = {#name, args, results, regions, QN__RULE_##rule, QN__EFFECT_##effects},
#include "ir/ops.def"
#undef X
};
