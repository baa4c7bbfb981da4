/* Opening the driver's library and filling in the table. The variant of each entry point is asked for by version where the driver can tell
 * (cuGetProcAddress, from CUDA 11.3), else looked up under its versioned name. Every required entry point that is missing is named.
 * The library stays mapped when it is closed: a driver has threads and exit handlers of its own. */
#include "runtime/cuda/driver.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST_DRIVER = 11000 };

static const char *const advice[] = {
    "",
#define X(ENUM, text) text,
#include "runtime/cuda/failures.def"
#undef X
};

bool qn__cuda_refuse(qn__cuda_error *error, qn__cuda_failure failure, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const int used = vsnprintf(error->text, sizeof error->text, format, list);
    va_end(list);
    error->failure = failure;
    if (used >= 0 && (size_t)used < sizeof error->text && *advice[failure])
        snprintf(error->text + used, sizeof error->text - (size_t)used, "; %s", advice[failure]);
    return false;
}

bool qn__cuda_is_sticky(qn__cu_result result) {
    return result == CU_ECC_UNCORRECTABLE || result == CU_ILLEGAL_ADDRESS || result == CU_LAUNCH_TIMEOUT || result == CU_ASSERT ||
           (result >= CU_STACK_ERROR && result <= CU_LAUNCH_FAILED);
}

static qn__cuda_failure failure_of(qn__cu_result result) {
    if (result == CU_OUT_OF_MEMORY) return QN__CUDA_NO_MEMORY;
    if (result == CU_NO_DEVICE) return QN__CUDA_NO_DEVICE;
    if (result == CU_INVALID_PTX || result == CU_UNSUPPORTED_PTX || result == CU_INVALID_IMAGE || result == CU_NO_BINARY) return QN__CUDA_BAD_CODE;
    if (result == CU_LAUNCH_RESOURCES) return QN__CUDA_LAUNCH;
    return qn__cuda_is_sticky(result) ? QN__CUDA_LOST : QN__CUDA_DRIVER;
}

bool qn__cuda_fail(const qn__cuda_driver *driver, qn__cuda_error *error, qn__cu_result result, const char *what) {
    const char *name = NULL, *text = NULL;
    if (!driver->cuGetErrorName || driver->cuGetErrorName(result, &name) != CU_SUCCESS) name = NULL;
    if (!driver->cuGetErrorString || driver->cuGetErrorString(result, &text) != CU_SUCCESS) text = NULL;
    return qn__cuda_refuse(error, failure_of(result), "%s: %s (CUDA error %d%s%s)", what, text ? text : "unknown error", result, name ? ", " : "",
                           name ? name : "");
}

typedef qn__cu_result (*finder)(const char *symbol, void **function, int version, uint64_t flags);
typedef void (*function)(void);

static function symbol(void *library, const char *name) {
    void *address = dlsym(library, name);
    function f;
    memcpy(&f, &address, sizeof f);
    return f;
}

/* The variant of `version`, by whichever way this driver has. */
static function find(void *library, finder ask, const char *plain, const char *exported, int version) {
    void *address = NULL;
    if (!ask) return symbol(library, exported);
    if (ask(plain, &address, version, 0) != CU_SUCCESS) return NULL;
    function f;
    memcpy(&f, &address, sizeof f);
    return f;
}

static bool fill(qn__cuda_driver *driver, qn__cuda_error *error) {
    enum { REQUIRED, OPTIONAL };
    const finder ask = (finder)symbol(driver->library, "cuGetProcAddress");
    char missing[512] = "";
    size_t used = 0;
    (void)OPTIONAL;
#define CUDA(need, name, suffix, since, parameters)                                                                    \
    driver->name = (qn__cu_result(*) parameters)find(driver->library, ask, #name, #name #suffix, since);               \
    if (!driver->name && need == REQUIRED && used < sizeof missing)                                                    \
        used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "", #name #suffix);
#include "runtime/cuda/driver.def"
#undef CUDA
    return used == 0 || qn__cuda_refuse(error, QN__CUDA_NO_ENTRY, "%s lacks what is needed: %s", driver->path, missing);
}

static bool initialise(qn__cuda_driver *driver, qn__cuda_error *error) {
    const qn__cu_result versioned = driver->cuDriverGetVersion(&driver->version);
    if (versioned != CU_SUCCESS) return qn__cuda_fail(driver, error, versioned, "the driver's version cannot be had");
    if (driver->version < OLDEST_DRIVER)
        return qn__cuda_refuse(error, QN__CUDA_OLD_DRIVER, "the driver is for CUDA %d.%d, at least %d.%d is needed", driver->version / 1000,
                               driver->version % 1000 / 10, OLDEST_DRIVER / 1000, OLDEST_DRIVER % 1000 / 10);
    const qn__cu_result begun = driver->cuInit(0);
    if (begun == CU_SUCCESS) return true;
    qn__cuda_fail(driver, error, begun, "CUDA cannot be initialised");
    if (begun == CU_NOT_INITIALIZED) {
        char text[sizeof error->text];
        snprintf(text, sizeof text, "%s", error->text);
        return qn__cuda_refuse(error, QN__CUDA_FORKED, "%.512s", text);
    }
    return false;
}

bool qn__cuda_driver_open(qn__cuda_driver *driver, qn__cuda_error *error) {
    memset(driver, 0, sizeof *driver);
    const char *named = getenv("QUERN_CUDA_LIBRARY");
    const bool chosen = named && *named;
    if (chosen) snprintf(driver->path, sizeof driver->path, "%s", named);
    else snprintf(driver->path, sizeof driver->path, "libcuda.so.1");
    driver->library = dlopen(chosen ? named : driver->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!driver->library) {
        const char *why = dlerror();
        return qn__cuda_refuse(error, QN__CUDA_NO_LIBRARY, "no CUDA driver: %s", why ? why : driver->path);
    }
    if (fill(driver, error) && initialise(driver, error)) return true;
    qn__cuda_driver_close(driver);
    return false;
}

void qn__cuda_driver_close(qn__cuda_driver *driver) {
    if (driver->library) dlclose(driver->library);
    memset(driver, 0, sizeof *driver);
}
