/* Calls that are timed: what all benches share. */
#ifndef QUERN_CLI_MEASURE_H
#define QUERN_CLI_MEASURE_H

#include "cli/cli.h"

/* Copies of what a call returned, in order inouts, outputs. */
typedef struct cli_snapshot { char **bytes; size_t *sizes; size_t count; } cli_snapshot;
void cli_snapshot_free(cli_snapshot *snapshot);
bool cli_snapshot_equal(const cli_snapshot *a, const cli_snapshot *b);

typedef struct cli_times {
    double median_ms, min_ms;
    double spread; /* (third - first quartile) / median */
    int runs;
} cli_times;
/* Sorts the times (milliseconds; count at least 1). */
cli_times cli_times_of(double *ms, size_t count);

/* How long to measure: at least `runs` calls (0: 10), more until enough_ms are spent, fewer when too_long_ms are; with `runs` given exactly so many. A first call
 * longer than too_long_ms is the only one. Calls of some microseconds are timed in batches, a batch is a run then. */
typedef struct cli_effort { uint32_t runs; double enough_ms, too_long_ms; } cli_effort;

/* Memory for arrays that keeps released blocks and hands them out again, so that a call that makes its outputs anew (those of a size that only the kernel
 * knows) is timed without the system's clearing of fresh pages. It keeps blocks only while `keeping`. Thread-safe. */
typedef struct cli_pool cli_pool;
cli_pool *cli_pool_create(void);
void cli_pool_destroy(cli_pool *pool); /* after the last context that uses it */
qn_allocator cli_pool_allocator(cli_pool *pool);
void cli_pool_keep(cli_pool *pool, bool keeping);

/* One kernel with its inputs, called again and again; inouts are restored before each call. Kernel and inputs are borrowed. */
typedef struct cli_bench_run {
    qn_kernel *kernel;
    const DLTensor *const *inputs; /* what is called with: the caller's, or `list` */
    size_t input_count, output_count;
    qn_array **outputs;  /* of the last call; owned */
    cli_snapshot inouts; /* of the inputs as they were given */
    bool existential;    /* some outputs have a size that only the kernel knows: they are made anew by each call */
    /* after cli_bench_to_device: */
    qn_context *context;
    DLDevice device;
    const DLTensor *const *given; /* the caller's inputs */
    const DLTensor **list;        /* those on the device, and scalars */
    qn_array **resident;          /* copies of the caller's arrays on the device; NULL entries for scalars. NULL: arrays stay on the host */
    bool colour;
    qn_error *error;     /* of the caller; what a failed call says goes there, and is not reported. NULL: it is reported */
    double deadline_ms;
} cli_bench_run;
/* All: a status, after reporting. */
int cli_bench_begin(cli_bench_run *b, const cli_options *options, qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count);
/* From now on arrays lie on the CUDA device, outputs too: calls copy nothing. */
int cli_bench_to_device(cli_bench_run *b, qn_context *context, uint32_t device);
int cli_bench_once(cli_bench_run *b, double *ms);
int cli_bench_measure(cli_bench_run *b, cli_effort effort, double first_call_ms, cli_times *times);
int cli_bench_results(const cli_bench_run *b, cli_snapshot *results); /* of the last call */
int cli_bench_restore(cli_bench_run *b);                              /* the inouts, as they were given */
void cli_bench_end(cli_bench_run *b);                                 /* also after a failed begin */

size_t cli_tensor_bytes(const DLTensor *tensor);

#endif
