/* Tests of the driver: the library as a user sees it, through dlopen and dlsym. Each test is a process of its own, so
 * each may choose its environment. */
#ifndef TESTS_EMULATOR_DRIVER_H
#define TESTS_EMULATOR_DRIVER_H

#ifdef EM_PLAIN
#include "tests/emulator/plain.h"
#else
#include <criterion/criterion.h>
#endif
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator/cuda.h"
#include "emulator/statistics.h"

typedef struct driver {
#define ENTRY(name, suffix, since, parameters) __typeof__(&name##suffix) name##suffix;
#include "emulator/driver.def"
#undef ENTRY
    void (*statistics)(em_stats *statistics);
    CUcontext context;
    CUmodule module;
    char log[64];
} driver;

extern driver cu;

/* Each ends the test unless the call gives what is said. */
#define OK(call)          expect(call, CUDA_SUCCESS, #call, __LINE__)
#define GIVES(code, call) expect(call, CUDA_##code, #call, __LINE__)
void expect(CUresult got, CUresult wanted, const char *call, int line);

/* Opens the library with variables NAME=value, each QUERN_EMULATOR_ in front; ends with NULL. A log file is always
 * kept: its name is cu.log. */
void open_driver(const char *first, ...);
/* Also initialises, retains device 0's primary context, makes it current and loads the module of kernels. */
void start(const char *first, ...);
CUfunction kernel(const char *name);
/* Launches with one thread per element of count; parameters are pointers. */
CUresult launch(const char *name, CUstream stream, unsigned int count, void **parameters);
CUresult launch_fill(CUdeviceptr to, uint32_t count, uint32_t value, CUstream stream);
CUresult launch_add(CUdeviceptr to, uint32_t value, CUstream stream); /* one word */
CUresult launch_wait(CUdeviceptr flag, CUstream stream);              /* until the word is not 0 */
CUresult launch_nop(CUstream stream);
CUdeviceptr allocate(size_t size);
uint32_t word(CUdeviceptr address); /* waits for the default stream's order */
em_stats statistics(void);
bool logged(const char *text); /* the log has it */
extern const char *const kernels_text;

#endif
