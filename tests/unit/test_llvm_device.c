/* The tests of the CPU backend once more, on the GPU backend: every operation on every type, conversions, all shapes of stages, faults. They run where there is a CUDA
 * device, an emulated one for instance (QUERN_CUDA_LIBRARY), and are skipped elsewhere. */
#define ON_DEVICE 1

#include "compiler/llvm/gpu.h"
#include "runtime/cuda/cuda.h"
#include "runtime/engine.h"

#include <criterion/criterion.h>

static qn__cuda_device *test_device(void) {
    static qn__cuda_device *device;
    qn__cuda_error error;
    if (device) return device;
    qn__cuda *cuda = qn__cuda_open(&error);
    if (cuda) device = qn__cuda_device_open(cuda, 0, &error);
    if (!device) cr_skip_test("no CUDA device");
    return device;
}

#include "tests/unit/test_llvm.c"
