/* The handlers of lanes_table.h for one instruction set: see core.cmake. */
#define EM_LANES_NAME em_lanes_base
#include "emulator/lanes_table.h"
