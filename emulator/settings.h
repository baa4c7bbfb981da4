/* What the environment decides (settings.def), and the log. */
#ifndef EM_SETTINGS_H
#define EM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct em_sm {
    uint32_t number;
    int oldest_driver;
    uint32_t threads, blocks, shared; /* of a multiprocessor */
    uint32_t shared_block;            /* most that a block gets with opt-in */
    const char *name;
} em_sm;

typedef enum em_request {
#define FAULT(ENUM, name, what) EM_REQUEST_##ENUM,
#include "emulator/fault.def"
#undef FAULT
    EM_REQUESTS
} em_request;

typedef struct em_settings {
    const em_sm *sm;
    int driver;           /* 12040 for 12.4 */
    uint32_t ptx_version; /* newest that such a driver accepts, 84 for 8.4 */
    int devices;
    size_t memory;
    uint32_t processors, workers;
    bool race, init, fill; /* checks */
    struct {
        uint64_t at;
        bool onwards;
    } faults[EM_REQUESTS]; /* at 0: none */
    bool no_device;        /* cuInit finds none */
    double copy_rate;      /* bytes per second; 0: as fast as it goes */
} em_settings;

/* Reads the environment and opens the log. False: a variable is malformed; the log says which. */
bool em_settings_read(em_settings *settings);

/* Appends a line to the log, where there is one. */
__attribute__((format(printf, 1, 2))) void em_log(const char *format, ...);

#endif
