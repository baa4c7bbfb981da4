/* Exact conversions between number formats, rounded once. */
#ifndef EM_NUMBER_H
#define EM_NUMBER_H

#include "emulator/ptx.h"

/* A finite or special value: (-1)^negative * mantissa * 2^exponent. sticky: something smaller than the mantissa's last bit is left over. */
typedef struct em_number { bool negative, nan, infinite, sticky; uint64_t mantissa; int exponent; } em_number;

em_number em_number_read(uint64_t bits, em_type type);      /* of a floating or integer type */
/* The bits in a floating format; mode is EM_MOD_RN (also 0), RZ, RM, RP or RNA. NaN: all ones without sign, of f64 the default NaN. */
uint64_t em_number_round(em_number number, em_type type, em_modifier mode, bool finite);
double em_half_value(uint32_t bits, em_type type);          /* f16, bf16 */
/* x * y + z, rounded once to f16 or bf16. */
uint32_t em_half_fma(uint32_t x, uint32_t y, uint32_t z, em_type type);
/* x * y + z of f32, with any rounding. */
uint32_t em_float_fma(uint32_t x, uint32_t y, uint32_t z, em_modifier mode);
uint32_t em_half_narrow(double value, em_type type);

#endif
