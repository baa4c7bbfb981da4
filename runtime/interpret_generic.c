/* The interpreter for any processor. */
#define QN__LOOP qn__interpret_generic
#include "runtime/interpret_loop.h"
