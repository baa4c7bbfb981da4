/* Vector instructions for processors with AVX2 and FMA (compiled with flags for them). */
#define QN__STRIPS qn__strip_fma
#include "runtime/interpret_strip.h"
