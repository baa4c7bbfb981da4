/* What the tests of the emulator's core share: a memory, a module, a launch. */
#ifndef EM_TEST_CORE_H
#define EM_TEST_CORE_H

#include "emulator/execute.h"

typedef struct core {
    em_memory *memory;
    em_device device;
    em_module *module;
    em_text log;
    em_fault fault;
    em_status status;
} core;

/* All of a file; NULL: not there. The caller frees it. */
char *core_read(const char *path);
/* sm 120, PTX 9.9, one worker, all detectors. */
core core_open(void);
em_status core_load(core *core, const char *text);
void core_close(core *core);
uint64_t core_new(core *core, size_t size); /* device memory of zeros */
bool core_launch(core *core, const char *kernel, uint32_t grid, uint32_t block, const void *parameters);
bool core_launch3(core *core, const char *kernel, const uint32_t grid[3], const uint32_t block[3], uint32_t shared, const void *parameters);

/* .version 8.3, .target sm_80 and an entry `kernel` with parameters `out` and `in` (u64 each), registers of all kinds, out in %rd1, in in %rd2 and
 * %tid.x in %r1; then body. The caller frees it. */
char *core_kernel(const char *header, const char *declarations, const char *body);

uint64_t core_random(uint64_t *state);

#endif
