/* What the tests of the driver share: opening the library, a module of small kernels, reading the log. */
#include "tests/emulator/driver.h"

#include <fcntl.h>

driver cu;

void expect(CUresult got, CUresult wanted, const char *call, int line) {
    if (got == wanted) return;
    fprintf(stderr, "line %d: %s gave %d, not %d\n", line, call, (int)got, (int)wanted);
    cr_assert(false, "line %d: %s gave %d, not %d", line, call, (int)got, (int)wanted);
}

const char *const kernels_text =
    ".version 7.0\n.target sm_80\n.address_size 64\n"
    ".visible .global .align 4 .u32 counter = 7;\n"
    ".visible .entry nop()\n{\n ret;\n}\n"
    ".visible .entry fill(.param .u64 fill_p, .param .u32 fill_n, .param .u32 fill_v)\n{\n"
    " .reg .pred %q;\n .reg .b32 %r<7>;\n .reg .b64 %d<4>;\n"
    " ld.param.u64 %d1, [fill_p];\n ld.param.u32 %r1, [fill_n];\n ld.param.u32 %r2, [fill_v];\n"
    " mov.u32 %r3, %ctaid.x;\n mov.u32 %r4, %ntid.x;\n mov.u32 %r5, %tid.x;\n mad.lo.s32 %r6, %r3, %r4, %r5;\n"
    " setp.ge.u32 %q, %r6, %r1;\n @%q bra DONE;\n"
    " cvta.to.global.u64 %d1, %d1;\n mul.wide.u32 %d2, %r6, 4;\n add.s64 %d3, %d1, %d2;\n st.global.u32 [%d3], %r2;\n"
    "DONE:\n ret;\n}\n"
    ".visible .entry add(.param .u64 add_p, .param .u32 add_v)\n{\n"
    " .reg .b32 %r<4>;\n .reg .b64 %d<2>;\n"
    " ld.param.u64 %d1, [add_p];\n ld.param.u32 %r1, [add_v];\n cvta.to.global.u64 %d1, %d1;\n"
    " ld.global.u32 %r2, [%d1];\n add.s32 %r3, %r2, %r1;\n st.global.u32 [%d1], %r3;\n ret;\n}\n"
    ".visible .entry wait(.param .u64 wait_p)\n{\n"
    " .reg .pred %q;\n .reg .b32 %r<2>;\n .reg .b64 %d<2>;\n"
    " ld.param.u64 %d1, [wait_p];\n cvta.to.global.u64 %d1, %d1;\n"
    "LOOP:\n ld.volatile.global.u32 %r1, [%d1];\n setp.eq.u32 %q, %r1, 0;\n @%q bra LOOP;\n ret;\n}\n"
    ".visible .entry trap()\n{\n trap;\n}\n"
    ".visible .entry shared()\n{\n .shared .align 4 .b8 buffer[1024];\n .reg .b32 %r<2>;\n mov.u32 %r1, 1;\n"
    " st.shared.u32 [buffer], %r1;\n ret;\n}\n"
    ".visible .entry bounded()\n.maxntid 64, 1, 1\n{\n ret;\n}\n";

static void set_variables(const char *first, va_list more) {
    static const char *const all[] = {
#define SETTING(field, variable, fallback, meaning) variable,
#include "emulator/settings.def"
#undef SETTING
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) unsetenv(all[i]);
    setenv("QUERN_EMULATOR_LOG", cu.log, 1);
    for (const char *text = first; text; text = va_arg(more, const char *)) {
        char name[256] = "QUERN_EMULATOR_";
        size_t length = strcspn(text, "=");
        strncat(name, text, length);
        setenv(name, text + length + 1, 1);
    }
}

static void open_with(const char *first, va_list more) {
    snprintf(cu.log, sizeof cu.log, "/tmp/quern-emulator-test-XXXXXX");
    int descriptor = mkstemp(cu.log);
    cr_assert(descriptor >= 0);
    close(descriptor);
    set_variables(first, more);
    void *library = dlopen(EM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    cr_assert(library, "%s", dlerror());
    void *symbol;
#define ENTRY(name, suffix, since, parameters)                                                                         \
    symbol = dlsym(library, #name #suffix);                                                                            \
    cr_assert(symbol, #name #suffix);                                                                                  \
    memcpy(&cu.name##suffix, &symbol, sizeof symbol);
#include "emulator/driver.def"
#undef ENTRY
    symbol = dlsym(library, "em_statistics");
    memcpy(&cu.statistics, &symbol, sizeof symbol);
}

static void remove_log(void) {
    unlink(cu.log);
}

void open_driver(const char *first, ...) {
    va_list more;
    va_start(more, first);
    open_with(first, more);
    va_end(more);
    atexit(remove_log);
}

void start(const char *first, ...) {
    va_list more;
    va_start(more, first);
    open_with(first, more);
    va_end(more);
    atexit(remove_log);
    OK(cu.cuInit(0));
    OK(cu.cuDevicePrimaryCtxRetain(&cu.context, 0));
    OK(cu.cuCtxSetCurrent(cu.context));
    OK(cu.cuModuleLoadData(&cu.module, kernels_text));
}

CUfunction kernel(const char *name) {
    CUfunction function;
    OK(cu.cuModuleGetFunction(&function, cu.module, name));
    return function;
}

CUresult launch(const char *name, CUstream stream, unsigned int count, void **parameters) {
    unsigned int block = count < 64 ? count : 64;
    return cu.cuLaunchKernel(kernel(name), (count + block - 1) / block, 1, 1, block, 1, 1, 0, stream, parameters, NULL);
}

CUresult launch_fill(CUdeviceptr to, uint32_t count, uint32_t value, CUstream stream) {
    void *parameters[] = {&to, &count, &value};
    return launch("fill", stream, count, parameters);
}

CUresult launch_add(CUdeviceptr to, uint32_t value, CUstream stream) {
    void *parameters[] = {&to, &value};
    return launch("add", stream, 1, parameters);
}

CUresult launch_wait(CUdeviceptr flag, CUstream stream) {
    void *parameters[] = {&flag};
    return launch("wait", stream, 1, parameters);
}

CUresult launch_nop(CUstream stream) {
    return launch("nop", stream, 1, NULL);
}

CUdeviceptr allocate(size_t size) {
    CUdeviceptr address = 0;
    OK(cu.cuMemAlloc_v2(&address, size));
    return address;
}

uint32_t word(CUdeviceptr address) {
    uint32_t value;
    OK(cu.cuMemcpyDtoH_v2(&value, address, sizeof value));
    return value;
}

em_stats statistics(void) {
    em_stats now;
    cu.statistics(&now);
    return now;
}

bool logged(const char *text) {
    static char all[1 << 16];
    int descriptor = open(cu.log, O_RDONLY);
    ssize_t size = descriptor < 0 ? -1 : read(descriptor, all, sizeof all - 1);
    close(descriptor);
    if (size < 0) return false;
    all[size] = 0;
    return strstr(all, text) != NULL;
}
