/* Counting what a call does: the kernel's IR as bytecode on the interpreter with counters, on copies of what it would change. */
#include "api/internal.h"
#include "compiler/bytecode.h"

#include <stdlib.h>
#include <string.h>

static uint64_t bytes_of(const qn__argument *a) {
    uint64_t bytes = qn__type_bytes((qn__type)a->type);
    for (uint32_t d = 0; d < a->rank; d++) bytes *= (uint64_t)a->extent[d];
    return bytes;
}

/* A row-major copy of an inout argument. */
static bool copy_array(qn__argument *a, const qn__allocator *allocator) {
    const uint64_t bytes = bytes_of(a), size = qn__type_bytes((qn__type)a->type);
    char *copy = allocator->alloc(allocator->user, bytes + 1, QN__ALIGNMENT);
    if (!copy) return false;
    const qn__argument from = *a;
    int64_t index[QN__MAX_RANK] = {0};
    for (uint64_t at = 0; at < bytes; at += size) {
        const char *element = from.data;
        for (uint32_t d = 0; d < from.rank; d++) element += index[d] * from.stride[d];
        memcpy(copy + at, element, size);
        for (uint32_t d = from.rank; d-- > 0 && ++index[d] == from.extent[d];) index[d] = 0;
    }
    qn__argument_array(a, (qn__type)from.type, from.rank, from.extent, copy);
    a->allocated = true;
    a->bytes = bytes + 1;
    return true;
}

static qn_status run(qn_kernel *kernel, qn__loaded *loaded, qn__argument *arguments, const DLTensor *const *inputs,
                     qn_counts *counts, qn_error *error) {
    const qn__signature *s = kernel->image.signature;
    const qn__allocator *allocator = &kernel->module->context->allocator;
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        arguments[i] = (qn__argument){.type = s->parameters[i].type, .rank = s->parameters[i].rank};
        if (i >= s->input_count) continue;
        const qn_status status = qn__argument_from(&s->parameters[i], inputs[i], NULL, &arguments[i], error);
        if (status != QN_OK) return status;
        if (s->parameters[i].kind == QN__PARAMETER_INOUT && !copy_array(&arguments[i], allocator))
            return qn__error(error, QN_RESOURCE, "out of memory");
    }
    const qn__call_options options = {.allocator = allocator, .externs = kernel->externs};
    qn__call_result result;
    if (qn__call(loaded, arguments, s->parameter_count, &options, &result) != QN__CALL_OK) return qn__call_error(&result, error);
    *counts = (qn_counts){0};
    for (uint32_t i = 0; i < s->parameter_count; i++)
        if (s->parameters[i].kind != QN__PARAMETER_SCALAR)
            counts->array_bytes += bytes_of(&arguments[i]) * (s->parameters[i].kind == QN__PARAMETER_INOUT ? 2 : 1);
    qn__counted(loaded, &counts->instructions, &counts->float_ops);
    return QN_OK;
}

qn_status qn_count(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_counts *counts, qn_error *error) {
    if (!kernel || !counts) return qn__error(error, QN_USAGE, "qn_count: kernel or counts is NULL");
    const qn__signature *s = kernel->image.signature;
    if (input_count != s->input_count || (input_count > 0 && !inputs))
        return qn__error(error, QN_USAGE, "%s takes %u inputs, %zu were given", s->name, s->input_count, input_count);
    qn__no_error(error);
    qn__image image;
    qn__loaded loaded = {0};
    const char *message = "unknown reason";
    pthread_mutex_lock(&kernel->module->mutex); /* the image's memory is of the kernel's arena */
    const qn_status compiled = qn__kernel_ir(kernel, error);
    pthread_mutex_lock(&kernel->memory);
    const bool emitted = compiled == QN_OK && qn__bytecode_emit(kernel->compiled->ir, &image, &message);
    pthread_mutex_unlock(&kernel->memory);
    pthread_mutex_unlock(&kernel->module->mutex);
    if (compiled != QN_OK) return compiled;
    if (!emitted) return qn__error(error, QN_RESOURCE, "bytecode: %s", message);
    qn__argument *arguments = calloc(s->parameter_count + 1, sizeof *arguments);
    qn_status status = QN_OK;
    if (!arguments || !qn__kernel_load(&loaded, &qn__engine_counting, &image, NULL, &message))
        status = qn__error(error, QN_RESOURCE, "out of memory");
    if (status == QN_OK) status = run(kernel, &loaded, arguments, inputs, counts, error);
    for (uint32_t i = 0; arguments && i < s->parameter_count; i++)
        if (arguments[i].allocated) qn__argument_free(&arguments[i], &kernel->module->context->allocator);
    free(arguments);
    qn__kernel_unload(&loaded);
    return status;
}
