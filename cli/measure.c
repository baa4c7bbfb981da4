/* Timed calls. Outputs are made by the first call and written in place by the next ones; what cannot be (existential sizes) comes from a pool that
 * keeps its pages. Only qn_call is inside the measured time. */
#include "cli/measure.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUNS = 1000, DEFAULT_RUNS = 10 };
static const double SHORT_MS = 0.01; /* calls below this are timed several at once: reading the clock takes some 30 ns */

size_t cli_tensor_bytes(const DLTensor *t) {
    size_t bytes = qn_type_bytes(qn_type_from_dlpack(t->dtype));
    for (int32_t d = 0; d < t->ndim; d++) bytes *= (size_t)t->shape[d];
    return bytes;
}

/* ---- snapshots ---- */
static bool snapshot_add(cli_snapshot *s, const DLTensor *t) {
    const size_t bytes = cli_tensor_bytes(t);
    char *copy = malloc(bytes + 1);
    if (!copy) return false;
    memcpy(copy, (const char *)t->data + t->byte_offset, bytes);
    s->bytes[s->count] = copy;
    s->sizes[s->count++] = bytes;
    return true;
}

static bool snapshot_create(cli_snapshot *s, size_t room) {
    *s = (cli_snapshot){calloc(room + 1, sizeof(char *)), calloc(room + 1, sizeof(size_t)), 0};
    return s->bytes && s->sizes;
}

void cli_snapshot_free(cli_snapshot *s) {
    for (size_t i = 0; s->bytes && i < s->count; i++) free(s->bytes[i]);
    free(s->bytes);
    free(s->sizes);
    *s = (cli_snapshot){0};
}

bool cli_snapshot_equal(const cli_snapshot *a, const cli_snapshot *b) {
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = a->sizes[i] == b->sizes[i] && memcmp(a->bytes[i], b->bytes[i], a->sizes[i]) == 0;
    return equal;
}

/* ---- a pool of blocks ---- */
typedef struct block { struct block *next; size_t bytes; void *data; } block;
struct cli_pool {
    pthread_mutex_t lock;
    block *kept;
    bool keeping;
};

cli_pool *cli_pool_create(void) {
    cli_pool *pool = calloc(1, sizeof *pool);
    if (pool && pthread_mutex_init(&pool->lock, NULL) != 0) {
        free(pool);
        return NULL;
    }
    return pool;
}

void cli_pool_destroy(cli_pool *pool) {
    if (!pool) return;
    for (block *b = pool->kept, *next; b; b = next) {
        next = b->next;
        free(b->data);
        free(b);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void cli_pool_keep(cli_pool *pool, bool keeping) {
    pthread_mutex_lock(&pool->lock);
    pool->keeping = keeping;
    pthread_mutex_unlock(&pool->lock);
}

/* A kept block of exactly this size: calls of one kernel on the same inputs ask for the same sizes. */
static void *pool_take(void *user, size_t bytes, size_t alignment) {
    cli_pool *pool = user;
    void *data = NULL;
    pthread_mutex_lock(&pool->lock);
    block **at = &pool->kept;
    while (*at && ((*at)->bytes != bytes || (uintptr_t)(*at)->data % alignment != 0)) at = &(*at)->next;
    block *found = *at;
    if (found) {
        data = found->data;
        *at = found->next;
        free(found);
    }
    pthread_mutex_unlock(&pool->lock);
    if (data) return data;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    return rounded < bytes ? NULL : aligned_alloc(alignment, rounded);
}

static void pool_give(void *user, void *pointer, size_t bytes) {
    cli_pool *pool = user;
    pthread_mutex_lock(&pool->lock);
    block *b = pool->keeping && pointer ? malloc(sizeof *b) : NULL;
    if (b) {
        *b = (block){.next = pool->kept, .bytes = bytes, .data = pointer};
        pool->kept = b;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!b) free(pointer);
}

qn_allocator cli_pool_allocator(cli_pool *pool) { return (qn_allocator){.allocate = pool_take, .release = pool_give, .user = pool}; }

/* ---- runs ---- */
static bool is_inout(const cli_bench_run *b, size_t i) { return qn_kernel_input(b->kernel, i).kind == QN_INOUT; }

/* A copy of the caller's input number i on the device. */
static int make_resident(cli_bench_run *b, size_t i) {
    qn_error error;
    qn_array_destroy(b->resident[i]);
    b->resident[i] = NULL;
    if (qn_array_from(b->context, b->given[i], b->device, &b->resident[i], &error) != QN_OK) return cli_report(&error, b->colour);
    b->list[i] = qn_array_tensor(b->resident[i]);
    return QN_OK;
}

int cli_bench_restore(cli_bench_run *b) {
    int status = QN_OK;
    for (size_t i = 0, k = 0; status == QN_OK && i < b->input_count; i++) {
        if (!is_inout(b, i)) continue;
        if (b->resident) status = make_resident(b, i);
        else memcpy((char *)b->inputs[i]->data + b->inputs[i]->byte_offset, b->inouts.bytes[k], b->inouts.sizes[k]);
        k++;
    }
    return status;
}

int cli_bench_to_device(cli_bench_run *b, qn_context *context, uint32_t device) {
    b->given = b->inputs;
    b->context = context;
    b->device = (DLDevice){kDLCUDA, (int32_t)device};
    b->list = calloc(b->input_count + 1, sizeof *b->list);
    b->resident = calloc(b->input_count + 1, sizeof *b->resident);
    if (!b->list || !b->resident) return cli_fail(QN_RESOURCE, "out of memory");
    int status = QN_OK;
    for (size_t i = 0; status == QN_OK && i < b->input_count; i++) {
        b->list[i] = b->given[i];
        if (b->given[i]->ndim > 0) status = make_resident(b, i);
    }
    b->inputs = b->list;
    return status;
}

static void drop_outputs(cli_bench_run *b) {
    for (size_t i = 0; b->outputs && i < b->output_count; i++) {
        qn_array_destroy(b->outputs[i]);
        b->outputs[i] = NULL;
    }
}

int cli_bench_begin(cli_bench_run *b, const cli_options *options, qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count) {
    *b = (cli_bench_run){.kernel = kernel, .inputs = inputs, .input_count = input_count, .output_count = qn_kernel_output_count(kernel),
                         .colour = cli_colour(options), .deadline_ms = options->deadline};
    b->outputs = calloc(b->output_count + 1, sizeof *b->outputs);
    if (!b->outputs || !snapshot_create(&b->inouts, input_count)) return cli_fail(QN_RESOURCE, "out of memory");
    for (size_t i = 0; i < input_count; i++)
        if (is_inout(b, i) && !snapshot_add(&b->inouts, inputs[i])) return cli_fail(QN_RESOURCE, "out of memory");
    for (size_t i = 0; i < b->output_count; i++)
        if (strchr(qn_kernel_output(kernel, i).shape, '?')) b->existential = true;
    return QN_OK;
}

/* Time per call of `batch` calls, which is 1 where something has to be done between two calls. */
static int call_batch(cli_bench_run *b, uint32_t batch, double *ms) {
    qn_error error;
    const qn_call_options given = {.deadline_ms = b->deadline_ms, .outputs = b->resident ? kDLCUDA : kDLCPU};
    if (b->existential) drop_outputs(b);
    const int restored = cli_bench_restore(b);
    if (restored != QN_OK) return restored;
    const double start = cli_now_ms();
    qn_status status = QN_OK;
    for (uint32_t i = 0; i < batch && status == QN_OK; i++)
        status = qn_call(b->kernel, b->inputs, b->input_count, b->outputs, b->output_count, &given, &error);
    *ms = (cli_now_ms() - start) / batch;
    if (status == QN_OK) return QN_OK;
    if (!b->error) return cli_report(&error, b->colour);
    *b->error = error;
    return (int)status;
}

int cli_bench_once(cli_bench_run *b, double *ms) { return call_batch(b, 1, ms); }

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

cli_times cli_times_of(double *ms, size_t n) {
    qsort(ms, n, sizeof *ms, by_value);
    cli_times t = {.runs = (int)n, .min_ms = ms[0]};
    t.median_ms = n % 2 ? ms[n / 2] : 0.5 * (ms[n / 2 - 1] + ms[n / 2]);
    t.spread = t.median_ms > 0 ? (ms[(3 * (n - 1)) / 4] - ms[(n - 1) / 4]) / t.median_ms : 0;
    return t;
}

int cli_bench_measure(cli_bench_run *b, cli_effort effort, double first_call_ms, cli_times *times) {
    double ms[MAX_RUNS];
    const size_t wanted = effort.runs ? (effort.runs < MAX_RUNS ? effort.runs : MAX_RUNS) : DEFAULT_RUNS;
    double total = 0;
    size_t n = 0;
    if (first_call_ms > effort.too_long_ms && !effort.runs) {
        ms[n++] = first_call_ms;
    } else {
        uint32_t batch = 1;
        if (first_call_ms < 10 && !b->existential && b->inouts.count == 0) { /* the first call also pays for fresh pages */
            double probe;
            const int status = cli_bench_once(b, &probe);
            if (status != QN_OK) return status;
            if (probe < SHORT_MS) batch = (uint32_t)(SHORT_MS / (probe > 1e-5 ? probe : 1e-5)) + 1;
        }
        while (n < MAX_RUNS && (n < wanted || (!effort.runs && total < effort.enough_ms))) {
            const int status = call_batch(b, batch, &ms[n]);
            if (status != QN_OK) return status;
            total += batch * ms[n++];
            if (!effort.runs && total > effort.too_long_ms && n >= 3) break;
        }
    }
    *times = cli_times_of(ms, n);
    return QN_OK;
}

/* An array wherever it lies. */
static int add_array(const cli_bench_run *b, cli_snapshot *results, const qn_array *array) {
    qn_array *copy = NULL;
    qn_error error;
    if (b->resident && qn_array_to(array, (DLDevice){kDLCPU, 0}, &copy, &error) != QN_OK) return cli_report(&error, b->colour);
    const bool added = snapshot_add(results, qn_array_tensor(copy ? copy : array));
    qn_array_destroy(copy);
    return added ? QN_OK : cli_fail(QN_RESOURCE, "out of memory");
}

int cli_bench_results(const cli_bench_run *b, cli_snapshot *results) {
    int status = snapshot_create(results, b->input_count + b->output_count) ? QN_OK : cli_fail(QN_RESOURCE, "out of memory");
    for (size_t i = 0; status == QN_OK && i < b->input_count; i++) {
        if (!is_inout(b, i)) continue;
        if (b->resident && b->resident[i]) status = add_array(b, results, b->resident[i]);
        else if (!snapshot_add(results, b->inputs[i])) status = cli_fail(QN_RESOURCE, "out of memory");
    }
    for (size_t i = 0; status == QN_OK && i < b->output_count; i++) status = add_array(b, results, b->outputs[i]);
    return status;
}

void cli_bench_end(cli_bench_run *b) {
    drop_outputs(b);
    free(b->outputs);
    for (size_t i = 0; b->resident && i < b->input_count; i++) qn_array_destroy(b->resident[i]);
    free(b->resident);
    free(b->list);
    cli_snapshot_free(&b->inouts);
    *b = (cli_bench_run){0};
}
