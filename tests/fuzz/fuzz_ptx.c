// Fuzzes the emulator's reader of PTX: whatever the text is, it answers with a module or a message. What loads is run for a moment, on one block.
#include "emulator/execute.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const em_device device = {.sm = 120, .ptx_version = 99, .processors = 2, .workers = 1, .race_check = true, .init_check = true};

/* Kernels that do not end are cancelled after some 20 ms, by a thread that looks every 5. */
static volatile int32_t cancel;
static atomic_int turns = -1; /* -1: nothing runs */

static void *watch(void *unused) {
    (void)unused;
    for (;;) {
        usleep(5000);
        if (turns >= 0 && ++turns > 4) cancel = 1;
    }
    return NULL;
}

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerInitialize(int *count, char ***arguments) {
    pthread_t thread;
    (void)count, (void)arguments;
    return pthread_create(&thread, NULL, watch, NULL);
}

static void run(em_memory *memory, const em_module *module) {
    static const char *const names[] = {"kernel", "k", "main"};
    static char parameters[32768];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const em_function *function = em_module_function(module, names[k]);
        if (!function || em_function_describe(function).shared_bytes > 65536) continue;
        em_launch launch = {.function = function, .grid = {1, 1, 1}, .block = {40, 1, 1}, .parameters = parameters, .memory = memory, .device = &device, .cancel = &cancel};
        em_fault fault;
        cancel = 0;
        turns = 0;
        if (!em_execute(&launch, &fault) && fault.kind == EM_FAULT_NONE) __builtin_trap();
        turns = -1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    em_memory *memory = em_memory_create((size_t)1 << 28);
    em_module *module = NULL;
    em_text log = {0};
    if (!memory) return 0;
    em_status status = em_module_load((const char *)data, size, &device, memory, &module, &log);
    if (status == EM_OK) run(memory, module);
    else if (module || (status != EM_NO_MEMORY && !log.size)) __builtin_trap();
    em_module_unload(module);
    free(log.data);
    em_memory_destroy(memory);
    return 0;
}
