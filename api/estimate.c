/* How long a call would take on the processor and on the device: the work of the kernel's IR for the sizes of the inputs (ir/work.h), at the rates of the
 * machine (machine.c), and what must be copied. */
#include "api/internal.h"
#include "ir/work.h"

#include <stdlib.h>

static const double CALL_MS = 0.0005, MOST = 1048576; /* of qn_call itself; how much larger sizes are looked at */

typedef struct query {
    const qn__ir *ir;
    const qn_machine *machine;
    int64_t *sizes, *scaled;
    const uint64_t *scalars;
    uint32_t symbol_count;
    double usual_in, pinned_in;  /* bytes of inputs on the host */
} query;

static double larger(double a, double b) { return a > b ? a : b; }

/* With all sizes multiplied by `scale`; copies grow as the arrays do, which is taken to be as the work's bytes. */
static bool predict(const query *q, double scale, qn_estimate *e) {
    qn__work work;
    const qn_machine *m = q->machine;
    for (uint32_t s = 0; s < q->symbol_count; s++) q->scaled[s] = q->sizes[s] < 0 ? q->sizes[s] : (int64_t)((double)q->sizes[s] * scale + 0.5);
    if (!qn__ir_work(q->ir, q->scaled, q->scalars, m->device_points, &work)) return false;
    e->operations = work.operations;
    e->bytes = work.bytes;
    e->launches = work.launches;
    e->guessed = work.guessed;
    e->copied_bytes = q->usual_in + q->pinned_in + work.array_bytes;
    e->cpu_ms = CALL_MS + larger(work.operations * m->cpu_operation_ns, work.bytes * m->cpu_byte_ns) * 1e-6;
    const double further = larger(work.launches - 1, 0);
    e->cuda_resident_ms = (m->device_call_us + further * m->device_launch_us) * 1e-3 +
                          larger(work.steps * m->device_step_ns, work.bytes * m->device_byte_ns) * 1e-6;
    e->cuda_ms = e->cuda_resident_ms + (q->usual_in / m->in_gbytes + q->pinned_in / m->pinned_in_gbytes + work.array_bytes / m->out_gbytes) * 1e-6;
    e->engine = e->cuda_ms < e->cpu_ms ? QN_ENGINE_CUDA : QN_ENGINE_CPU;
    return true;
}

/* The scale of array bytes when sizes are scaled. */
static void scale_copies(query *q, const qn__signature *s, const DLTensor *const *inputs, double scale) {
    q->usual_in = q->pinned_in = 0;
    for (uint32_t i = 0; i < s->input_count; i++) {
        if (s->parameters[i].kind == QN__PARAMETER_SCALAR || inputs[i]->device.device_type == kDLCUDA) continue;
        double bytes = qn__type_bytes((qn__type)s->parameters[i].type);
        for (uint32_t d = 0; d < s->parameters[i].rank; d++) {
            const bool fixed = s->dims[s->parameters[i].dim[d]].op == QN__DIM_CONST;
            bytes *= (double)inputs[i]->shape[d] * (fixed ? 1 : scale);
        }
        if (inputs[i]->device.device_type == kDLCPU) q->usual_in += bytes;
        else q->pinned_in += bytes;
    }
}

static bool wins(query *q, const qn__signature *s, const DLTensor *const *inputs, double scale) {
    qn_estimate e;
    scale_copies(q, s, inputs, scale);
    return predict(q, scale, &e) && e.engine == QN_ENGINE_CUDA;
}

/* The smallest scale from which on the device wins, to a few per cent; 0: none. */
static double find_scale(query *q, const qn__signature *s, const DLTensor *const *inputs) {
    double high = MOST;
    while (high > 1.0 / MOST && wins(q, s, inputs, high)) high /= 2; /* `high` loses */
    if (high == MOST) return 0;
    double low = high, up = 2 * high;
    for (int i = 0; i < 5; i++) {
        const double middle = (low + up) / 2;
        if (wins(q, s, inputs, middle)) up = middle;
        else low = middle;
    }
    return up;
}

static qn_status bind(const qn_kernel *kernel, const DLTensor *const *inputs, qn__argument *arguments, int64_t *sizes, uint64_t *scalars, qn_error *error) {
    const qn__signature *s = kernel->image.signature;
    qn__call_result result;
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        qn__clear_argument(&arguments[i], s->parameters[i].type, s->parameters[i].rank);
        if (i >= s->input_count) continue;
        DLTensor here = {0};
        if (inputs[i]) here = *inputs[i];
        if (s->parameters[i].kind != QN__PARAMETER_SCALAR) here.device.device_type = kDLCPU; /* only shapes are looked at */
        const qn_status status = qn__argument_from(&s->parameters[i], inputs[i] ? &here : NULL, NULL, &arguments[i], error);
        if (status != QN_OK) return status;
        if (s->parameters[i].kind == QN__PARAMETER_SCALAR) scalars[s->parameters[i].index] = arguments[i].bits;
    }
    return qn__bind(s, arguments, s->parameter_count, sizes, &result) == QN__CALL_OK ? QN_OK : qn__call_error(&result, error);
}

/* The tables of a query about a call, filled in; `memory` is to be freed. */
static qn_status prepare(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, query *q, void **memory, qn_error *error) {
    const qn__signature *s = kernel->image.signature;
    *memory = NULL;
    if (input_count != s->input_count || (input_count > 0 && !inputs))
        return qn__error(error, QN_USAGE, "%s takes %u inputs, %zu were given", s->name, s->input_count, input_count);
    const size_t symbols = (size_t)s->symbol_count + 1, scalars = (size_t)s->scalar_count + 1;
    qn__argument *arguments = calloc(1, (s->parameter_count + 1U) * sizeof *arguments + (2 * symbols + scalars) * sizeof(int64_t));
    if (!arguments) return qn__error(error, QN_RESOURCE, "out of memory");
    *memory = arguments;
    int64_t *sizes = (int64_t *)(void *)(arguments + s->parameter_count + 1);
    uint64_t *bits = (uint64_t *)(void *)(sizes + 2 * symbols);
    qn_status status = bind(kernel, inputs, arguments, sizes, bits, error);
    if (status != QN_OK) return status;
    pthread_mutex_lock(&kernel->module->mutex);
    status = qn__kernel_ir(kernel, error);
    pthread_mutex_unlock(&kernel->module->mutex);
    if (status == QN_OK)
        *q = (query){.ir = kernel->compiled->ir, .sizes = sizes, .scaled = sizes + symbols, .scalars = bits, .symbol_count = s->symbol_count};
    return status;
}

double qn__kernel_rough_ms(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count) {
    query q;
    void *memory;
    qn__work work = {0};
    static const double OPERATION_NS = 0.1, BYTE_NS = 0.1; /* a usual core, within a factor of a few */
    const bool ok = prepare(kernel, inputs, input_count, &q, &memory, NULL) == QN_OK && qn__ir_work(q.ir, q.sizes, q.scalars, 1, &work);
    free(memory);
    return ok ? larger(work.operations * OPERATION_NS, work.bytes * BYTE_NS) * 1e-6 : 0;
}

qn_status qn_kernel_estimate(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_estimate *estimate, qn_error *error) {
    if (!kernel || !estimate) return qn__error(error, QN_USAGE, "qn_kernel_estimate: kernel or estimate is NULL");
    query q;
    qn_machine machine;
    void *memory;
    *estimate = (qn_estimate){0};
    qn_status status = prepare(kernel, inputs, input_count, &q, &memory, error);
    if (status == QN_OK) status = qn_context_machine(kernel->module->context, &machine, error);
    if (status == QN_OK) {
        const qn__signature *s = kernel->image.signature;
        q.machine = &machine;
        const double pays_from = find_scale(&q, s, inputs);
        scale_copies(&q, s, inputs, 1);
        if (!predict(&q, 1, estimate)) status = qn__error(error, QN_RESOURCE, "out of memory");
        estimate->pays_from = pays_from;
    }
    free(memory);
    return status == QN_OK ? qn__no_error(error) : status;
}
