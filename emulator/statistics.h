/* What happened in the driver so far; for tests. Not part of the CUDA driver API. */
#ifndef EM_STATISTICS_H
#define EM_STATISTICS_H

#include <stdint.h>

typedef struct em_stats {
    uint64_t allocations;            /* made since cuInit, of all kinds */
    uint64_t live_allocations;       /* of all kinds, registered host memory included, module variables left out */
    uint64_t live_bytes, peak_bytes; /* of device and managed memory */
    uint64_t live_host_bytes;        /* pinned and registered */
    uint64_t launches;               /* that began to run, those of graphs included */
    uint64_t copies;                 /* that ran */
    uint64_t bytes_in, bytes_out, bytes_between; /* copied host to device, device to host, device to device */
    uint64_t modules, streams, events;           /* live */
    uint64_t faults;                             /* found in kernels and stream-ordered copies */
} em_stats;

/* Zeros before cuInit. Thread-safe. */
__attribute__((visibility("default"))) void em_statistics(em_stats *statistics);

#endif
