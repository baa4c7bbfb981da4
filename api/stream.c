/* qn_stream: a kernel on arrays larger than memory. Chooses how to cut (ir/stream.h), sets up what is held whole, hands results over; stream_run.c runs the steps.
 *
 * What a call allocates is in qn__streaming and freed at its end; what goes to the caller is taken out before that, all or nothing. */
#include "api/stream.h"
#include "ir/passes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double CHUNK_BYTES = 64 << 20;

/* --- memory -------------------------------------------------------------------------------------------------------- */

qn_status qn__stream_memory(qn__streaming *s, qn__argument *whole, qn__type type, uint32_t rank, const int64_t *extents) {
    const qn__allocator *allocator = s->call.allocator;
    const int64_t total = qn__array_bytes(rank, extents, qn__type_bytes(type));
    qn__argument_free(whole, allocator);
    if (total < 0) return qn__error(s->error, QN_RESOURCE, "an array is too large");
    const size_t bytes = total ? (size_t)total : 1;
    void *data = allocator->alloc(allocator->user, bytes, QN__ALIGNMENT);
    if (!data) return qn__error(s->error, QN_RESOURCE, "out of memory: %zu bytes for an array", bytes);
    qn__argument_array(whole, type, rank, extents, data);
    whole->allocated = true;
    whole->bytes = bytes;
    return QN_OK;
}

/* A kept output grows by half at least. */
static qn_status grow(qn__streaming *s, qn__streamed *array, int64_t count) {
    qn__argument *old = &array->whole, larger = {0};
    const int64_t bytes = (int64_t)qn__type_bytes((qn__type)old->type);
    if (old->data && count * bytes <= (int64_t)old->bytes) return QN_OK;
    const int64_t room = old->data ? count + count / 2 : count;
    const qn_status status = qn__stream_memory(s, &larger, (qn__type)old->type, old->rank, &room);
    if (status != QN_OK) return status;
    if (old->data) memcpy(larger.data, old->data, (size_t)(array->shape[0] * bytes));
    qn__argument_free(old, s->call.allocator);
    *old = larger;
    return QN_OK;
}

qn_status qn__stream_append(qn__streaming *s, uint32_t number, qn__argument *piece) {
    qn__streamed *array = &s->arrays[number];
    const int64_t at = array->shape[0], count = at + piece->extent[0];
    if (array->given && count > array->whole.extent[0])
        return qn__error(s->error, QN_USAGE, "output %s: dimension 0 needs at least %" PRId64 ", the given buffer has %" PRId64, s->ir->arrays[number].name, count,
                         array->whole.extent[0]);
    const qn_status status = array->given ? QN_OK : grow(s, array, count);
    if (status != QN_OK) return status;
    qn__copy_strided(1, piece->extent, qn__type_bytes((qn__type)piece->type), (char *)array->whole.data + at * array->whole.stride[0], array->whole.stride,
                     piece->data, piece->stride);
    return QN_OK;
}

qn_status qn__stream_told(qn__streaming *s, const qn__streamed *array, qn_status status) {
    if (status == QN_OK || s->error->status == status) return status;
    return qn__error(s->error, status, "output '%s' was refused by its receiver", array->output.name);
}

/* --- how to cut ---------------------------------------------------------------------------------------------------- */

/* Bytes of a parameter's array but for dimension `without`; -1: for none. As a float, since nothing here may overflow. */
static double bytes_of(const qn__streaming *s, uint32_t array, int without) {
    const qn__array *a = &s->ir->arrays[array];
    double bytes = qn__type_bytes((qn__type)a->type);
    for (uint32_t d = 0; d < a->rank; d++) {
        uint64_t extent = 0;
        if ((int)d == without) continue;
        if (a->kind == QN__ARRAY_TEMP && !(a->extent[d] && qn__stream_value(s->plan, a->extent[d], s->scalars, s->sizes, s->slots, &extent))) return 0;
        bytes *= a->kind == QN__ARRAY_TEMP ? (double)(int64_t)extent : (double)s->arrays[array].whole.extent[d];
    }
    return bytes > 0 ? bytes : 0;
}

/* Less is better: what is held whole; then cuts along outer dimensions; then passes. */
static double cost(qn__streaming *s, qn__stream *way) {
    double held = 0, inner = 0;
    s->plan = way;
    for (uint32_t a = 0; a < s->ir->array_count; a++) {
        if (way->arrays[a].place == QN__STREAM_WHOLE) held += bytes_of(s, a, -1);
        if (way->arrays[a].place == QN__STREAM_CUT && s->ir->arrays[a].kind != QN__ARRAY_TEMP) inner += way->arrays[a].dimension;
    }
    return held + inner * 0x1p-10 + way->passes * 0x1p-20;
}

static qn_status refuse(qn__streaming *s, qn__stream *const *ways, uint32_t count) {
    if (!count) return qn__error(s->error, QN_USAGE, "kernel %s cannot be streamed: it has no arrays", s->ir->name);
    const qn__location *l = &s->ir->locations[ways[0]->location];
    qn__error(s->error, QN_USAGE, "kernel %s cannot be streamed along dimension %u of %s: %s%s", s->ir->name, ways[0]->dimension,
              s->ir->arrays[ways[0]->array].name, ways[0]->why, count > 1 ? " ('quern explain' says why not along others)" : "");
    if (s->error && ways[0]->location) {
        snprintf(s->error->path, sizeof s->error->path, "%s", l->path);
        s->error->line = l->line;
        s->error->column = l->column;
        s->error->length = l->length;
    }
    return QN_USAGE;
}

static qn_status choose(qn__streaming *s) {
    uint32_t count = 0;
    qn__stream **ways = qn__stream_ways(s->ir, s->arena, &count), *best = NULL;
    if (!ways) return qn__error(s->error, QN_RESOURCE, "out of memory");
    double least = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (ways[i]->why) continue;
        s->slots = QN__ARENA_ARRAY(s->arena, uint64_t, ways[i]->slot_count + 1U);
        if (!s->slots) return qn__error(s->error, QN_RESOURCE, "out of memory");
        const double c = cost(s, ways[i]);
        if (best && c >= least) continue;
        best = ways[i];
        least = c;
    }
    s->plan = best;
    if (!best) return refuse(s, ways, count);
    s->slots = QN__ARENA_ARRAY(s->arena, uint64_t, best->slot_count + 1U);
    return s->slots ? QN_OK : qn__error(s->error, QN_RESOURCE, "out of memory");
}

static void choose_chunk(qn__streaming *s) {
    double line = 0;
    for (uint32_t a = 0; a < s->ir->array_count; a++) {
        if (s->plan->arrays[a].place != QN__STREAM_CUT) continue;
        const uint32_t d = s->plan->arrays[a].dimension;
        line += bytes_of(s, a, (int)d);
        if (s->ir->arrays[a].kind != QN__ARRAY_TEMP && s->arrays[a].whole.extent[d] > s->total) s->total = s->arrays[a].whole.extent[d];
    }
    const double bytes = s->options.chunk_bytes ? (double)s->options.chunk_bytes : CHUNK_BYTES;
    s->chunk = s->options.chunk;
    if (!s->chunk) s->chunk = line * 0x1p47 > bytes ? (int64_t)(bytes / line) : INT64_C(1) << 47;
    if (s->chunk < 1) s->chunk = 1;
    if (s->chunk > INT64_C(1) << 47) s->chunk = INT64_C(1) << 47;
    s->line = line;
    s->work = (double)s->total * s->plan->passes;
}

/* --- arrays -------------------------------------------------------------------------------------------------------- */

static bool existential(const qn__signature *sig, const qn__parameter *p) {
    return p->rank == 1 && qn__dim_is_existential(sig, p->dim[0]);
}

static void describe(qn__streaming *s, uint32_t i, qn__streamed *array) {
    const qn__parameter *p = &s->signature->parameters[i];
    for (uint32_t d = 0; d < p->rank; d++) array->shape[d] = array->whole.extent[d];
    array->output = (qn_stream_output){.output = i - s->signature->input_count, .name = p->name, .type = (qn_type)p->type, .rank = p->rank,
                                       .shape = array->shape, .dimension = s->plan->arrays[p->index].dimension};
}

/* Extents first: the choice depends on them. */
static void note_array(qn__streaming *s, uint32_t i) {
    const qn__parameter *p = &s->signature->parameters[i];
    if (p->kind == QN__PARAMETER_SCALAR) return;
    qn__streamed *array = &s->arrays[p->index];
    array->given = p->kind != QN__PARAMETER_OUT || (s->arguments[i].data != NULL && p->rank);
    array->whole = s->arguments[i];
    if (p->kind != QN__PARAMETER_OUT) return;
    const int64_t *extents = s->extents[i - s->signature->input_count];
    if (!array->given) qn__argument_array(&array->whole, (qn__type)p->type, p->rank, extents, NULL);
}

static qn_status open_output(qn__streaming *s, uint32_t i) {
    const qn__parameter *p = &s->signature->parameters[i];
    qn__streamed *array = &s->arrays[p->index];
    const bool kept = existential(s->signature, p), cut = s->plan->arrays[p->index].place == QN__STREAM_CUT;
    array->sink = s->options.write && p->rank && (kept || cut);
    if (array->sink && array->given) return qn__error(s->error, QN_USAGE, "output '%s' goes to write: its entry must be NULL", p->name);
    describe(s, i, array);
    if (kept) array->shape[0] = array->sink ? -1 : 0;
    if (array->sink) {
        qn__no_error(s->error);
        const qn_status status = s->options.begin ? qn__stream_told(s, array, s->options.begin(s->options.user, &array->output, s->error)) : QN_OK;
        array->begun = status == QN_OK;
        if (kept) array->shape[0] = 0;
        return status;
    }
    if (array->given || kept || !p->rank) return QN_OK;
    int64_t extents[QN__MAX_RANK];
    for (uint32_t d = 0; d < p->rank; d++) extents[d] = array->whole.extent[d];
    return qn__stream_memory(s, &array->whole, (qn__type)p->type, p->rank, extents);
}

/* What is written must be nobody else's: a piece would see what an earlier one wrote. */
static qn_status check_overlap(qn__streaming *s) {
    const qn__signature *sig = s->signature;
    for (uint32_t i = 0; i < sig->parameter_count; i++) {
        const qn__parameter *p = &sig->parameters[i];
        uintptr_t first, last, other_first, other_last;
        if ((p->kind != QN__PARAMETER_OUT && p->kind != QN__PARAMETER_INOUT) || !s->arrays[p->index].given || !p->rank) continue;
        qn__touched(&s->arguments[i], qn__type_bytes((qn__type)p->type), &first, &last);
        for (uint32_t k = 0; k < sig->parameter_count; k++) {
            const qn__parameter *q = &sig->parameters[k];
            if (k == i || q->kind == QN__PARAMETER_SCALAR || !s->arrays[q->index].given || !q->rank) continue;
            qn__touched(&s->arguments[k], qn__type_bytes((qn__type)q->type), &other_first, &other_last);
            if (first < other_last && other_first < last)
                return qn__error(s->error, QN_USAGE, "arguments '%s' and '%s' overlap: a streamed kernel cannot write where it reads", p->name, q->name);
        }
    }
    return QN_OK;
}

/* --- before and after ---------------------------------------------------------------------------------------------- */

static qn_status take_arguments(qn__streaming *s, const DLTensor *const *inputs, qn_array *const *outputs) {
    const qn__signature *sig = s->signature;
    for (uint32_t i = 0; i < sig->parameter_count; i++) {
        qn__clear_argument(&s->arguments[i], sig->parameters[i].type, sig->parameters[i].rank);
        const qn_array *given = i >= sig->input_count ? outputs[i - sig->input_count] : NULL;
        if (i >= sig->input_count && !given) continue;
        const qn_status status = qn__argument_from(&sig->parameters[i], given ? &given->tensor : inputs[i], NULL, &s->arguments[i], s->error);
        if (status != QN_OK) return status;
    }
    qn__call_result result;
    if (qn__bind(sig, s->arguments, sig->parameter_count, s->sizes, &result) || qn__bind_outputs(sig, s->arguments, s->sizes, s->extents, &result))
        return qn__call_error(&result, s->error);
    for (uint32_t i = 0; i < sig->input_count; i++) {
        const qn__parameter *p = &sig->parameters[i];
        if (p->kind != QN__PARAMETER_SCALAR) continue;
        s->scalars[p->index] = p->type == QN__TYPE_BOOL ? s->arguments[i].bits != 0 : s->arguments[i].bits;
    }
    for (uint32_t i = 0; i < sig->parameter_count; i++) note_array(s, i);
    return check_overlap(s);
}

/* The kernel's IR as text, and a copy of it to look at. */
static qn_status take_ir(qn__streaming *s) {
    qn_kernel *kernel = s->kernel;
    pthread_mutex_lock(&kernel->module->mutex);
    qn_status status = qn__kernel_ir(kernel, s->error);
    if (status == QN_OK) {
        pthread_mutex_lock(&kernel->memory);
        qn__ir_print(kernel->compiled->ir, &s->text);
        pthread_mutex_unlock(&kernel->memory);
    }
    pthread_mutex_unlock(&kernel->module->mutex);
    if (status != QN_OK) return status;
    const char *message = "out of memory";
    s->ir = s->text.failed ? NULL : qn__ir_read(s->arena, qn__text_bytes(&s->text), s->text.length, &message);
    return s->ir ? QN_OK : qn__error(s->error, qn__arena_failed(s->arena) || s->text.failed ? QN_RESOURCE : QN_INTERNAL, "streaming: %s", message);
}

static qn_status finish_sinks(qn__streaming *s, qn_status status) {
    const qn__signature *sig = s->signature;
    for (uint32_t i = sig->input_count; status == QN_OK && s->options.finish && i < sig->parameter_count; i++) {
        qn__streamed *array = &s->arrays[sig->parameters[i].index];
        qn__no_error(s->error);
        if (array->begun) status = qn__stream_told(s, array, s->options.finish(s->options.user, &array->output, s->error));
    }
    return status;
}

/* A new array for what the caller did not give. */
static qn_status new_output(qn__streaming *s, const qn__parameter *p, qn__streamed *array, qn_array **output) {
    qn_context *context = s->kernel->module->context;
    if (p->rank && !array->whole.data) { /* nothing was kept */
        const qn_status status = qn__stream_memory(s, &array->whole, (qn__type)p->type, p->rank, array->shape);
        if (status != QN_OK) return status;
    }
    if (p->rank) {
        if (existential(s->signature, p)) array->whole.extent[0] = array->shape[0];
        *output = qn__array_adopt(context, &array->whole, NULL);
        return *output ? QN_OK : qn__error(s->error, QN_RESOURCE, "out of memory");
    }
    const qn_status status = qn_array_create(context, (qn_type)p->type, 0, NULL, output, s->error);
    if (status == QN_OK) memcpy((*output)->tensor.data, &array->whole.bits, qn__type_bytes((qn__type)p->type));
    return status;
}

static qn_status hand_over(qn__streaming *s, qn_array **outputs) {
    const qn__signature *sig = s->signature;
    qn_status status = QN_OK;
    uint32_t made = sig->input_count;
    bool *fresh = QN__ARENA_ARRAY(s->arena, bool, sig->parameter_count);
    if (!fresh) return qn__error(s->error, QN_RESOURCE, "out of memory");
    for (; status == QN_OK && made < sig->parameter_count; made++) {
        const qn__parameter *p = &sig->parameters[made];
        qn__streamed *array = &s->arrays[p->index];
        qn_array **output = &outputs[made - sig->input_count];
        if (array->sink) continue;
        fresh[made] = *output == NULL;
        if (fresh[made]) status = new_output(s, p, array, output);
        else if (!p->rank) memcpy((*output)->tensor.data, &array->whole.bits, qn__type_bytes((qn__type)p->type));
        else if (existential(sig, p)) (*output)->shape[0] = array->shape[0];
    }
    for (uint32_t i = sig->input_count; status != QN_OK && i < made; i++) {
        if (!fresh[i]) continue;
        qn_array_destroy(outputs[i - sig->input_count]);
        outputs[i - sig->input_count] = NULL;
    }
    return status;
}

static qn_status stream(qn__streaming *s, const DLTensor *const *inputs, qn_array **outputs) {
    const qn__signature *sig = s->signature;
    qn_status status = s->row->device ? qn__context_device(s->kernel->module->context, s->kernel->module->context->options.device, &s->device, s->error) : QN_OK;
    if (status == QN_OK) status = take_ir(s);
    if (status != QN_OK) return status;
    s->arrays = QN__ARENA_ARRAY(s->arena, qn__streamed, s->ir->array_count);
    s->arguments = QN__ARENA_ARRAY(s->arena, qn__argument, sig->parameter_count);
    s->scalars = QN__ARENA_ARRAY(s->arena, uint64_t, sig->scalar_count + 1U);
    s->sizes = QN__ARENA_ARRAY(s->arena, int64_t, sig->symbol_count + 1U);
    s->extents = qn__arena_array(s->arena, sig->parameter_count + 1U, sizeof *s->extents);
    if (!s->arrays || !s->arguments || !s->scalars || !s->sizes || !s->extents) return qn__error(s->error, QN_RESOURCE, "out of memory");
    status = take_arguments(s, inputs, outputs);
    if (status == QN_OK) status = choose(s);
    if (status != QN_OK) return status;
    choose_chunk(s);
    for (uint32_t i = sig->input_count; status == QN_OK && i < sig->parameter_count; i++) status = open_output(s, i);
    if (status == QN_OK) status = qn__stream_run(s);
    status = finish_sinks(s, status);
    if (status == QN_OK) status = hand_over(s, outputs);
    for (uint32_t a = 0; a < s->ir->array_count; a++) qn__argument_free(&s->arrays[a].whole, s->call.allocator);
    return status == QN_OK ? qn__no_error(s->error) : status;
}

qn_status qn_stream(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_array **outputs,
                    size_t output_count, const qn_stream_options *options, qn_error *error) {
    if (!kernel) return qn__error(error, QN_USAGE, "qn_stream: kernel is NULL");
    const qn__signature *sig = kernel->image.signature;
    const uint32_t expected = sig->parameter_count - sig->input_count;
    if (input_count != sig->input_count || (input_count > 0 && !inputs))
        return qn__error(error, QN_USAGE, "%s takes %u inputs, %zu were given", sig->name, sig->input_count, input_count);
    if (output_count != expected || (output_count > 0 && !outputs))
        return qn__error(error, QN_USAGE, "%s has %u outputs, room for %zu was given", sig->name, expected, output_count);
    qn_error own;
    if (!error) error = &own; /* callbacks write to it */
    const qn_stream_options given = options ? *options : (qn_stream_options){0};
    if (given.chunk < 0) return qn__error(error, QN_USAGE, "qn_stream: a chunk of %" PRId64 " indices", given.chunk);
    qn__streaming s = {.kernel = kernel, .signature = sig, .options = given, .error = error, .row = qn__engine_row_of(kernel->engine)};
    s.call = (qn__call_options){.allocator = &kernel->module->context->allocator, .externs = kernel->externs, .cancel = given.cancel};
    const double nanoseconds = given.deadline_ms * 1e6;
    if (given.deadline_ms > 0 && nanoseconds < 9e18) s.call.deadline = qn__now() + (uint64_t)nanoseconds;
    s.arena = qn__arena_create(0);
    const qn_status status = s.arena ? stream(&s, inputs, outputs) : qn__error(error, QN_RESOURCE, "out of memory");
    qn__text_free(&s.text);
    qn__arena_destroy(s.arena);
    return status;
}
