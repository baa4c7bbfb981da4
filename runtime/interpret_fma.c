/* The interpreter for processors with AVX2 and FMA (compiled with flags for them): fma and the roundings are instructions. */
#define QN__LOOP qn__interpret_fma
#include "runtime/interpret_loop.h"
