/* The code of qn_stream's steps, and the joining of what reductions gave for pieces: by the tree of the contract, with the reduction's own combine.
 *
 * A join is a few numbers and runs in the interpreter. */
#include "api/stream.h"

#include <stdlib.h>
#include <string.h>

/* --- code ---------------------------------------------------------------------------------------------------------- */

void qn__stream_unload(qn__streaming *s, qn__stream_code *code) {
    if (code->loaded.engine) qn__kernel_drop(s->kernel, &code->loaded);
    qn__arena_destroy(code->arena);
    *code = (qn__stream_code){0};
}

/* `make` has made the kernel, or failed with message. */
static qn_status load(qn__streaming *s, const qn__engine_row *row, qn__stream_code *code, bool made, const char *message) {
    qn_context *context = s->kernel->module->context;
    if (!made) return qn__error(s->error, qn__failure(message), "streaming: %s", message);
    qn__loader *loader = row->native ? qn__context_loader(context, &message) : NULL;
    if (row->native && !loader) return qn__error(s->error, qn__failure(message), "the JIT cannot start: %s", message);
    if (!row->emit(code->kernel.ir, context, &code->image, &message))
        return qn__error(s->error, code->kernel.ir->failed ? QN_RESOURCE : row->device ? QN_DEVICE : qn__failure(message), "%s: %s", row->name, message);
    qn__loaded loaded = {0};
    qn__cuda_error failed = {0};
    if (row->device && !qn__cuda_load(&loaded, &code->image, s->device, &failed)) return qn__error(s->error, qn__cuda_status(failed.failure), "cuda: %s", failed.text);
    if (!row->device && !qn__kernel_load(&loaded, row->engine, &code->image, loader, &message))
        return qn__error(s->error, qn__failure(message), "%s: %s", row->name, message);
    code->loaded = loaded;
    return QN_OK;
}

qn_status qn__stream_load(qn__streaming *s, uint32_t step, qn__stream_code *code) {
    const char *message = "out of memory";
    code->arena = qn__arena_create(0);
    const bool made = code->arena && qn__stream_step(qn__text_bytes(&s->text), s->text.length, code->arena, s->plan->array, s->plan->dimension, step,
                                                     &code->kernel, &message);
    return load(s, s->row, code, made, message);
}

static qn_status load_join(qn__streaming *s, uint32_t item, qn__stream_code *code) {
    const char *message = "out of memory";
    code->arena = qn__arena_create(0);
    const bool made = code->arena && qn__stream_join(qn__text_bytes(&s->text), s->text.length, code->arena, s->plan->array, s->plan->dimension, item,
                                                     &code->kernel, &message);
    return load(s, qn__engine_row_of(QN_ENGINE_INTERP), code, made, message); /* a few numbers: nothing else is there as soon */
}

/* --- joining reductions -------------------------------------------------------------------------------------------- */

/* left = combine(left, right). */
static qn_status combine(qn__streaming *s, qn__joining *j, uint64_t *left, const uint64_t *right) {
    const qn__signature *sig = j->code.image.signature;
    qn__argument *arguments = j->arguments;
    const uint32_t base = s->plan->slot_of[s->plan->ir->instrs[s->plan->items[j->item].ref].first_result] - 1;
    for (uint32_t i = 0; i < sig->parameter_count; i++) {
        const qn__stream_binding *b = &j->code.kernel.bindings[i];
        const qn__parameter *p = &sig->parameters[i];
        qn__argument *a = &arguments[i];
        qn__clear_argument(a, p->type, p->rank);
        if (p->kind == QN__PARAMETER_OUT) continue;
        switch ((qn__stream_role)b->role) {
        case QN__STREAM_LEFT: a->bits = left[b->number - base]; break;
        case QN__STREAM_RIGHT: a->bits = right[b->number - base]; break;
        case QN__STREAM_SLOT: a->bits = s->slots[b->number]; break;
        case QN__STREAM_SCALAR: a->bits = s->scalars[b->number]; break;
        case QN__STREAM_SIZE: a->bits = (uint64_t)s->sizes[b->number]; break;
        default: return qn__error(s->error, QN_INTERNAL, "streaming: a join has an argument of kind %d", b->role);
        }
    }
    qn__call_result result;
    if (qn__call(&j->code.loaded, arguments, sig->parameter_count, &s->call, &result) != QN__CALL_OK)
        return qn__call_error(&result, s->error);
    for (uint32_t i = sig->input_count; i < sig->parameter_count; i++) left[j->code.kernel.bindings[i].number - base] = arguments[i].bits;
    return QN_OK;
}

/* A piece more. Branches of one size join at once, as carries do: the tree over the pieces splits at powers of two. */
qn_status qn__stream_join_piece(qn__streaming *s, qn__joining *j) {
    if (j->terms <= 0 && j->depth) return QN_OK; /* behind the reduction's end */
    qn__branch *top = &j->branches[j->depth];
    top->pieces = 1;
    memcpy(top->values, j->piece, j->count * sizeof *j->piece);
    j->depth++;
    while (j->depth > 1 && j->branches[j->depth - 1].pieces == j->branches[j->depth - 2].pieces) {
        const qn_status status = combine(s, j, j->branches[j->depth - 2].values, j->branches[j->depth - 1].values);
        if (status != QN_OK) return status;
        j->branches[j->depth - 2].pieces *= 2;
        j->depth--;
    }
    return QN_OK;
}

qn_status qn__stream_join_end(qn__streaming *s, qn__joining *j) {
    for (; j->depth > 1; j->depth--) {
        const qn_status status = combine(s, j, j->branches[j->depth - 2].values, j->branches[j->depth - 1].values);
        if (status != QN_OK) return status;
    }
    const uint32_t base = s->plan->slot_of[s->plan->ir->instrs[s->plan->items[j->item].ref].first_result] - 1;
    memcpy(&s->slots[base], j->branches[0].values, j->count * sizeof *s->slots);
    return QN_OK;
}

qn_status qn__stream_join_open(qn__streaming *s, uint32_t item, qn__joining *j) {
    j->item = item;
    j->count = s->plan->ir->instrs[s->plan->items[item].ref].result_count;
    j->memory = calloc((size_t)j->count * (QN__BRANCHES + 1), sizeof *j->memory);
    if (!j->memory) return qn__error(s->error, QN_RESOURCE, "out of memory");
    for (uint32_t i = 0; i < QN__BRANCHES; i++) j->branches[i].values = j->memory + (size_t)i * j->count;
    j->piece = j->memory + (size_t)QN__BRANCHES * j->count;
    const qn_status status = load_join(s, item, &j->code);
    if (status != QN_OK) return status;
    j->arguments = calloc(j->code.image.signature->parameter_count + 1U, sizeof *j->arguments);
    return j->arguments ? QN_OK : qn__error(s->error, QN_RESOURCE, "out of memory");
}

void qn__stream_join_close(qn__streaming *s, qn__joining *j) {
    qn__stream_unload(s, &j->code);
    free(j->arguments);
    free(j->memory);
}
