/* PTX text -> module -> launches. */
#ifndef EM_EXECUTE_H
#define EM_EXECUTE_H

#include "emulator/memory.h"

typedef struct em_module em_module;
typedef struct em_function em_function;

/* A growing text; data is NULL or zero-terminated, free() it. */
typedef struct em_text { char *data; size_t size, capacity; } em_text;
__attribute__((format(printf, 2, 3))) void em_text_add(em_text *text, const char *format, ...);

typedef struct em_device {
    uint32_t sm;                 /* 75, 80, 86, 90, 100, 120 */
    uint32_t ptx_version;        /* newest that it accepts, 83 for 8.3 */
    uint32_t processors;         /* multiprocessors that it says it has */
    uint32_t workers;            /* host threads that blocks are spread over; at least 1 */
    bool race_check, init_check; /* detectors that cost time; on by default */
} em_device;

typedef enum em_status { EM_OK, EM_INVALID_PTX, EM_UNSUPPORTED_PTX_VERSION, EM_NO_BINARY_FOR_GPU, EM_NO_MEMORY } em_status;

/* Parses and checks all of it, and gives its variables memory. *module is NULL unless EM_OK; log gets what ptxas would say, one line each. */
em_status em_module_load(const char *text, size_t length, const em_device *device, em_memory *memory, em_module **module, em_text *log);
void em_module_unload(em_module *module); /* no launch of it may run */
const em_function *em_module_function(const em_module *module, const char *name); /* an .entry; NULL: none */
bool em_module_variable(const em_module *module, const char *name, uint64_t *address, size_t *size);

typedef struct em_function_info {
    const char *name;
    uint32_t registers;          /* estimated, as 32-bit registers */
    uint32_t shared_bytes, local_bytes, constant_bytes;
    uint32_t max_threads;        /* of a block, from .maxntid and the device's limit */
    uint32_t parameter_count;
    size_t parameter_bytes;      /* of the parameter block */
} em_function_info;
em_function_info em_function_describe(const em_function *function);
bool em_function_parameter(const em_function *function, uint32_t index, size_t *offset, size_t *size);

typedef enum em_fault_kind {
    EM_FAULT_NONE, EM_FAULT_ADDRESS /* out of bounds, unmapped or freed */, EM_FAULT_MISALIGNED, EM_FAULT_SHARED /* outside shared memory */,
    EM_FAULT_RACE, EM_FAULT_UNINITIALISED, EM_FAULT_BARRIER /* divergent, or threads that left */, EM_FAULT_TRAP, EM_FAULT_ASSERT,
    EM_FAULT_LOOP /* no lane can go on: deadlock */, EM_FAULT_CANCELLED
} em_fault_kind;

typedef struct em_fault {
    em_fault_kind kind;
    char text[768];              /* kernel, block, thread, PTX line, source line, what */
} em_fault;

typedef struct em_launch {
    const em_function *function;
    uint32_t grid[3], block[3];
    uint32_t dynamic_shared;
    const void *parameters;      /* parameter_bytes, laid out as em_function_parameter says */
    em_memory *memory;
    const em_device *device;
    const volatile int32_t *cancel; /* not 0: end with CANCELLED; may be NULL */
    /* What kernels print with vprintf, line by line or not; may be called by several threads at once. NULL: dropped. */
    void (*print)(void *context, const char *text, size_t length);
    void *print_context;
} em_launch;

/* Runs all blocks. False with *fault filled in. */
bool em_execute(const em_launch *launch, em_fault *fault);

/* Executed instructions times active lanes since the process started, for benchmarks. */
uint64_t em_executed(void);

#endif
