/* Initialisation, devices, contexts, modules, launches: the calls, and the errors of wrong calls. */
#include "tests/emulator/driver.h"

Test(driver, first_steps) {
    start(NULL);
    CUdeviceptr data = allocate(4000);
    OK(launch_fill(data, 1000, 42, NULL));
    cr_assert_eq(word(data + 3996), 42);
    OK(cu.cuMemFree_v2(data));
    OK(cu.cuModuleUnload(cu.module));
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    em_stats now = statistics();
    cr_assert_eq(now.live_allocations, 0);
    cr_assert_eq(now.launches, 1);
    cr_assert_eq(now.bytes_out, 4);
    cr_assert_eq(now.peak_bytes, 4000);
}
