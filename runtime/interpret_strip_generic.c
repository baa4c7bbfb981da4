/* Vector instructions for any processor. */
#define QN__STRIPS qn__strip_generic
#include "runtime/interpret_strip.h"
