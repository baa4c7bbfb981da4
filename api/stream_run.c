/* qn_stream's steps: makes and loads the kernel of each, feeds it piece by piece, joins what reductions gave, and hands outputs on.
 *
 * A step's kernel lives while the step runs. All state is in qn__streaming. Pieces of a step follow each other; that, with at most one
 * instruction per step that may raise an error, makes the first error the kernel's first. */
#include "api/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- code ---------------------------------------------------------------------------------------------------------- */

static void unload(qn__streaming *s, qn__stream_code *code) {
    if (code->loaded.engine) qn__kernel_drop(s->kernel, &code->loaded);
    free(code->arguments);
    qn__arena_destroy(code->arena);
    *code = (qn__stream_code){0};
}

/* `make` has made the kernel, or failed with message. */
static qn_status load(qn__streaming *s, qn__stream_code *code, bool made, const char *message) {
    qn_context *context = s->kernel->module->context;
    if (!made) return qn__error(s->error, qn__failure(message), "streaming: %s", message);
    qn__loader *loader = s->row->native ? qn__context_loader(context, &message) : NULL;
    if (s->row->native && !loader) return qn__error(s->error, qn__failure(message), "the JIT cannot start: %s", message);
    if (!s->row->emit(code->kernel.ir, context, &code->image, &message))
        return qn__error(s->error, code->kernel.ir->failed ? QN_RESOURCE : qn__failure(message), "%s: %s", s->row->name, message);
    qn__loaded loaded = {0};
    if (!qn__kernel_load(&loaded, s->row->engine, &code->image, loader, &message))
        return qn__error(s->error, qn__failure(message), "%s: %s", s->row->name, message);
    code->loaded = loaded;
    code->arguments = calloc(code->image.signature->parameter_count + 1U, sizeof *code->arguments);
    return code->arguments ? QN_OK : qn__error(s->error, QN_RESOURCE, "out of memory");
}

static qn_status load_step(qn__streaming *s, uint32_t step, qn__stream_code *code) {
    const char *message = "out of memory";
    code->arena = qn__arena_create(0);
    const bool made = code->arena && qn__stream_step(qn__text_bytes(&s->text), s->text.length, code->arena, s->plan->array, s->plan->dimension, step,
                                                     &code->kernel, &message);
    return load(s, code, made, message);
}

static qn_status load_join(qn__streaming *s, uint32_t item, qn__stream_code *code) {
    const char *message = "out of memory";
    code->arena = qn__arena_create(0);
    const bool made = code->arena && qn__stream_join(qn__text_bytes(&s->text), s->text.length, code->arena, s->plan->array, s->plan->dimension, item,
                                                     &code->kernel, &message);
    return load(s, code, made, message);
}

/* --- joining reductions -------------------------------------------------------------------------------------------- */

/* left = combine(left, right). */
static qn_status combine(qn__streaming *s, qn__joining *j, uint64_t *left, const uint64_t *right) {
    const qn__signature *sig = j->code.image.signature;
    const uint32_t base = s->plan->slot_of[s->plan->ir->instrs[s->plan->items[j->item].ref].first_result] - 1;
    for (uint32_t i = 0; i < sig->parameter_count; i++) {
        const qn__stream_binding *b = &j->code.kernel.bindings[i];
        const qn__parameter *p = &sig->parameters[i];
        qn__argument *a = &j->code.arguments[i];
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
    if (qn__call(&j->code.loaded, j->code.arguments, sig->parameter_count, &s->call, &result) != QN__CALL_OK)
        return qn__call_error(&result, s->error);
    for (uint32_t i = sig->input_count; i < sig->parameter_count; i++) left[j->code.kernel.bindings[i].number - base] = j->code.arguments[i].bits;
    return QN_OK;
}

/* A piece more. Branches of one size join at once, as carries do: the tree over the pieces splits at powers of two. */
static qn_status join_piece(qn__streaming *s, qn__joining *j) {
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

static qn_status finish_join(qn__streaming *s, qn__joining *j) {
    for (; j->depth > 1; j->depth--) {
        const qn_status status = combine(s, j, j->branches[j->depth - 2].values, j->branches[j->depth - 1].values);
        if (status != QN_OK) return status;
    }
    const uint32_t base = s->plan->slot_of[s->plan->ir->instrs[s->plan->items[j->item].ref].first_result] - 1;
    memcpy(&s->slots[base], j->branches[0].values, j->count * sizeof *s->slots);
    return QN_OK;
}

static qn_status open_join(qn__streaming *s, uint32_t item, qn__joining *j) {
    j->item = item;
    j->count = s->plan->ir->instrs[s->plan->items[item].ref].result_count;
    j->memory = calloc((size_t)j->count * (QN__BRANCHES + 1), sizeof *j->memory);
    if (!j->memory) return qn__error(s->error, QN_RESOURCE, "out of memory");
    for (uint32_t i = 0; i < QN__BRANCHES; i++) j->branches[i].values = j->memory + (size_t)i * j->count;
    j->piece = j->memory + (size_t)QN__BRANCHES * j->count;
    return load_join(s, item, &j->code);
}

static void close_join(qn__streaming *s, qn__joining *j) {
    unload(s, &j->code);
    free(j->memory);
}

/* --- arguments of a piece ------------------------------------------------------------------------------------------ */

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

typedef struct running {
    qn__streaming *s;
    uint32_t step;
    qn__stream_code code;
    qn__joining *joins;
    uint32_t join_count;
    qn__piece piece;
    qn__argument *buffers; /* by parameter: what cut outputs are computed into */
} running;

/* What of a cut array the piece's view has. */
static void view_of(const running *r, const qn__stream_binding *b, const qn__argument *whole, int64_t *from, int64_t *to) {
    const int64_t extent = whole->extent[b->dimension];
    *from = least(extent, most(0, r->piece.from - b->low));
    *to = r->piece.last ? extent : most(*from, least(extent, r->piece.to + b->high));
}

/* What of it is the piece's own. */
static void core_of(const running *r, const qn__stream_binding *b, const qn__argument *whole, int64_t *from, int64_t *to) {
    const int64_t extent = whole->extent[b->dimension];
    *from = least(extent, r->piece.from);
    *to = r->piece.last ? extent : least(extent, r->piece.to);
}

static qn__argument part_of(const qn__argument *whole, uint32_t dimension, int64_t from, int64_t to, int64_t origin) {
    qn__argument part = *whole;
    part.allocated = false;
    part.extent[dimension] = to - from;
    if (part.data && from > origin) part.data = (char *)part.data + (from - origin) * whole->stride[dimension];
    return part;
}

static const qn__stream_binding *binding_of(const running *r, uint32_t array, uint32_t *parameter) {
    const qn__signature *sig = r->code.image.signature;
    for (uint32_t i = 0; i < sig->parameter_count; i++) {
        const qn__stream_binding *b = &r->code.kernel.bindings[i];
        if (b->role != QN__STREAM_ARRAY_CUT || b->number != array) continue;
        if (parameter) *parameter = i;
        return b;
    }
    return NULL;
}

static int64_t extent_of(const running *r, uint32_t array, uint32_t dimension) {
    const qn__argument *whole = &r->s->arrays[array].whole;
    const qn__stream_binding *b = binding_of(r, array, NULL);
    if (!b || b->dimension != dimension) return whole->extent[dimension];
    int64_t from, to;
    view_of(r, b, whole, &from, &to);
    return to - from;
}

static uint64_t scalar_of(const running *r, const qn__stream_binding *b) {
    const qn__streaming *s = r->s;
    const qn__stream_binding *cut;
    switch ((qn__stream_role)b->role) {
    case QN__STREAM_SCALAR: return s->scalars[b->number];
    case QN__STREAM_SIZE: return (uint64_t)s->sizes[b->number];
    case QN__STREAM_SLOT: return s->slots[b->number];
    case QN__STREAM_FIRST: return (uint64_t)r->piece.from;
    case QN__STREAM_BEGIN: return (uint64_t)(r->piece.first ? -QN__STREAM_FAR : r->piece.from);
    case QN__STREAM_END: return (uint64_t)(r->piece.last ? QN__STREAM_FAR : r->piece.to);
    case QN__STREAM_ORIGIN:
        cut = binding_of(r, b->number, NULL);
        return cut ? (uint64_t)most(0, r->piece.from - cut->low) : 0;
    case QN__STREAM_EXTENT: return (uint64_t)extent_of(r, b->number, b->dimension);
    case QN__STREAM_ARRAY_WHOLE: return s->arrays[b->number].whole.bits;
    case QN__STREAM_ARRAY_CUT:
    case QN__STREAM_ARRAY_APPENDED:
    case QN__STREAM_PARTIAL:
    case QN__STREAM_TERMS:
    case QN__STREAM_KEPT:
    case QN__STREAM_LEFT:
    case QN__STREAM_RIGHT: break;
    }
    return 0;
}

/* A buffer for a cut output that does not lie in memory as a whole, or is computed with a halo; kept from piece to piece. */
static qn_status buffer_for(running *r, uint32_t i, const qn__argument *part) {
    qn__argument *buffer = &r->buffers[i];
    const uint32_t bytes = qn__type_bytes((qn__type)part->type);
    const int64_t total = qn__array_bytes(part->rank, part->extent, bytes);
    if (total < 0) return qn__error(r->s->error, QN_RESOURCE, "out of memory");
    if (!buffer->data || (size_t)total > buffer->bytes) {
        const qn_status status = qn__stream_memory(r->s, buffer, (qn__type)part->type, part->rank, part->extent);
        if (status != QN_OK) return status;
    }
    for (uint32_t d = 0; d < part->rank; d++) buffer->extent[d] = part->extent[d];
    qn__row_major(part->rank, part->extent, bytes, buffer->stride);
    return QN_OK;
}

static qn_status cut_argument(running *r, uint32_t i) {
    const qn__stream_binding *b = &r->code.kernel.bindings[i];
    const qn__streamed *array = &r->s->arrays[b->number];
    int64_t from, to;
    view_of(r, b, &array->whole, &from, &to);
    qn__argument *a = &r->code.arguments[i];
    *a = part_of(&array->whole, b->dimension, from, to, 0);
    if (r->code.image.signature->parameters[i].kind != QN__PARAMETER_OUT || (!array->sink && !b->low && !b->high)) return QN_OK;
    const qn_status status = buffer_for(r, i, a);
    *a = r->buffers[i];
    a->allocated = false;
    return status;
}

static qn_status gather(running *r) {
    const qn__signature *sig = r->code.image.signature;
    for (uint32_t i = 0; i < sig->parameter_count; i++) {
        const qn__stream_binding *b = &r->code.kernel.bindings[i];
        const qn__parameter *p = &sig->parameters[i];
        qn__argument *a = &r->code.arguments[i];
        qn_status status = QN_OK;
        qn__clear_argument(a, p->type, p->rank);
        if (p->kind == QN__PARAMETER_SCALAR) {
            a->bits = scalar_of(r, b);
        } else if (b->role == QN__STREAM_ARRAY_CUT) {
            status = cut_argument(r, i);
        } else if (b->role == QN__STREAM_ARRAY_WHOLE && p->rank) {
            *a = r->s->arrays[b->number].whole;
            a->allocated = false;
        }
        if (status != QN_OK) return status;
    }
    return QN_OK;
}

/* --- results of a piece -------------------------------------------------------------------------------------------- */

static qn_status to_sink(running *r, uint32_t array, int64_t offset, qn__argument *piece) {
    qn__streaming *s = r->s;
    const qn_stream_options *o = &s->options;
    int64_t shape[QN_MAX_RANK], strides[QN_MAX_RANK];
    const int64_t bytes = (int64_t)qn__type_bytes((qn__type)piece->type);
    for (uint32_t d = 0; d < piece->rank; d++) {
        shape[d] = piece->extent[d];
        strides[d] = piece->stride[d] / bytes;
    }
    const DLTensor tensor = {.data = piece->data, .device = {kDLCPU, 0}, .ndim = piece->rank, .dtype = qn_type_to_dlpack((qn_type)piece->type),
                             .shape = shape, .strides = strides};
    qn__no_error(s->error);
    return o->write(o->user, &s->arrays[array].output, offset, &tensor, s->error);
}

static qn_status deliver_cut(running *r, uint32_t i) {
    const qn__stream_binding *b = &r->code.kernel.bindings[i];
    const qn__streamed *array = &r->s->arrays[b->number];
    if (!r->buffers[i].data) return QN_OK; /* it was computed in its place */
    int64_t from, to, view, view_end;
    core_of(r, b, &array->whole, &from, &to);
    view_of(r, b, &array->whole, &view, &view_end);
    qn__argument core = part_of(&r->buffers[i], b->dimension, from, to, view);
    if (qn__array_bytes(core.rank, core.extent, 1) <= 0) return QN_OK;
    if (array->sink) return to_sink(r, b->number, from, &core);
    const qn__argument place = part_of(&array->whole, b->dimension, from, to, 0);
    qn__copy_strided(core.rank, core.extent, qn__type_bytes((qn__type)core.type), place.data, place.stride, core.data, core.stride);
    return QN_OK;
}

static qn_status deliver_kept(running *r, uint32_t i) {
    const qn__stream_binding *b = &r->code.kernel.bindings[i];
    qn__argument *a = &r->code.arguments[i];
    qn__streamed *array = &r->s->arrays[b->number];
    const int64_t offset = array->shape[0], count = a->extent[0];
    qn_status status = QN_OK;
    if (count && array->sink) status = to_sink(r, b->number, offset, a);
    else if (count) status = qn__stream_append(r->s, b->number, a);
    array->shape[0] += count;
    return status;
}

static qn_status deliver(running *r) {
    const qn__signature *sig = r->code.image.signature;
    qn__streaming *s = r->s;
    qn_status status = QN_OK;
    for (uint32_t i = sig->input_count; status == QN_OK && i < sig->parameter_count; i++) {
        const qn__stream_binding *b = &r->code.kernel.bindings[i];
        const uint64_t bits = r->code.arguments[i].bits;
        switch ((qn__stream_role)b->role) {
        case QN__STREAM_ARRAY_CUT: status = deliver_cut(r, i); break;
        case QN__STREAM_ARRAY_APPENDED: status = deliver_kept(r, i); break;
        case QN__STREAM_ARRAY_WHOLE: /* a scalar output */
            s->arrays[b->number].whole.bits = bits;
            break;
        case QN__STREAM_SLOT: s->slots[b->number] = bits; break;
        case QN__STREAM_KEPT: s->slots[b->number] += bits; break;
        default: /* reductions */
            for (uint32_t k = 0; k < r->join_count; k++) {
                qn__joining *j = &r->joins[k];
                const uint32_t base = s->plan->slot_of[s->plan->ir->instrs[s->plan->items[j->item].ref].first_result] - 1;
                if (b->role == QN__STREAM_TERMS && b->number == j->item) j->terms = (int64_t)bits;
                if (b->role == QN__STREAM_PARTIAL && b->number >= base && b->number < base + j->count) j->piece[b->number - base] = bits;
            }
        }
    }
    for (uint32_t k = 0; status == QN_OK && k < r->join_count; k++) status = join_piece(s, &r->joins[k]);
    return status;
}

static void free_kept(running *r) {
    const qn__signature *sig = r->code.image.signature;
    for (uint32_t i = sig->input_count; i < sig->parameter_count; i++)
        if (r->code.kernel.bindings[i].role == QN__STREAM_ARRAY_APPENDED) qn__argument_free(&r->code.arguments[i], r->s->call.allocator);
}

/* --- errors -------------------------------------------------------------------------------------------------------- */

static bool value_of(const qn__streaming *s, qn__value v, int64_t *value) {
    uint64_t bits;
    if (!qn__stream_value(s->plan, v, s->scalars, s->sizes, s->slots, &bits)) return false;
    *value = (int64_t)bits;
    return true;
}

/* The points of a stage in front of the piece. Only one item of a step raises errors, and it is cut along its first index. */
static int64_t points_before(const running *r) {
    const qn__stream *plan = r->s->plan;
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const qn__stream_item *item = &plan->items[i];
        const qn__instr *stage = &plan->ir->instrs[item->ref];
        const uint32_t rank = stage->op == QN__OP_PARALLEL ? (uint32_t)stage->imm : stage->op == QN__OP_KEEP ? stage->arg_count / 2 : stage->op == QN__OP_REDUCE;
        int64_t lo, points;
        if (!item->cut || !item->raises || item->step != r->step || !rank || r->piece.first || !value_of(r->s, stage->args[0], &lo)) continue;
        points = most(0, r->piece.from - item->halo - lo);
        for (uint32_t d = 1; d < rank; d++) {
            int64_t low, high;
            if (!value_of(r->s, stage->args[2 * d], &low) || !value_of(r->s, stage->args[2 * d + 1], &high)) return 0;
            points *= most(0, high - low);
        }
        return points;
    }
    return 0;
}

/* --- a step -------------------------------------------------------------------------------------------------------- */

static qn_status run_piece(running *r) {
    qn_status status = gather(r);
    if (status != QN_OK) return status;
    qn__call_result result;
    if (qn__call(&r->code.loaded, r->code.arguments, r->code.image.signature->parameter_count, &r->s->call, &result) != QN__CALL_OK) {
        if (result.status == QN__CALL_FAULT) result.fault.iteration += points_before(r);
        return qn__call_error(&result, r->s->error);
    }
    status = deliver(r);
    free_kept(r);
    return status;
}

/* The inputs that a piece was the last to read. */
static void tell_consumed(running *r) {
    const qn_stream_options *o = &r->s->options;
    const qn__signature *sig = r->code.image.signature;
    for (uint32_t i = 0; o->consumed && i < sig->input_count; i++) {
        const qn__stream_binding *b = &r->code.kernel.bindings[i];
        if (b->role != QN__STREAM_ARRAY_CUT) continue;
        qn__streamed *array = &r->s->arrays[b->number];
        const int64_t extent = array->whole.extent[b->dimension];
        const int64_t to = r->piece.last ? extent : least(extent, most(0, r->piece.to - b->low));
        for (uint32_t k = 0; k < r->s->signature->input_count && to > array->consumed; k++) {
            const qn__parameter *p = &r->s->signature->parameters[k];
            if (p->kind == QN__PARAMETER_SCALAR || p->index != b->number) continue;
            o->consumed(o->user, k, b->dimension, array->consumed, to);
        }
        array->consumed = r->piece.last ? 0 : to;
    }
}

/* Where the reductions of the step begin; pieces are cut at whole blocks from there. */
static bool reduces_from(const running *r, int64_t *start) {
    const qn__stream *plan = r->s->plan;
    *start = 0;
    for (uint32_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].cut && plan->items[i].step == r->step && plan->ir->instrs[plan->items[i].ref].op == QN__OP_REDUCE)
            return value_of(r->s, plan->ir->instrs[plan->items[i].ref].args[0], start);
    return false;
}

static qn_status run_pieces(running *r) {
    qn__streaming *s = r->s;
    int64_t chunk = s->chunk, start, at = 0;
    if (reduces_from(r, &start)) {
        int64_t blocks = QN__BLOCK;
        while (blocks <= chunk / 2) blocks *= 2;
        chunk = blocks;
    }
    do {
        int64_t to;
        if (__builtin_add_overflow(at, at ? chunk : start + chunk, &to) || to > s->total) to = s->total;
        r->piece = (qn__piece){.from = at, .to = to, .first = at == 0, .last = to >= s->total};
        const qn_status status = run_piece(r);
        if (status != QN_OK) return status;
        tell_consumed(r);
        s->done += (double)(to - at);
        if (s->options.progress) s->options.progress(s->options.user, s->work > 0 ? s->done / s->work : 1);
        at = to;
    } while (!r->piece.last);
    return QN_OK;
}

static qn_status open_joins(running *r) {
    const qn__stream *plan = r->s->plan;
    r->joins = calloc(plan->item_count + 1U, sizeof *r->joins);
    if (!r->joins) return qn__error(r->s->error, QN_RESOURCE, "out of memory");
    for (uint32_t i = 0; i < plan->item_count; i++) {
        if (!plan->items[i].cut || plan->items[i].step != r->step || plan->ir->instrs[plan->items[i].ref].op != QN__OP_REDUCE) continue;
        const qn_status status = open_join(r->s, i, &r->joins[r->join_count++]);
        if (status != QN_OK) return status;
    }
    return QN_OK;
}

static void close_step(running *r) {
    const uint32_t count = r->code.image.signature ? r->code.image.signature->parameter_count : 0;
    for (uint32_t i = 0; r->buffers && i < count; i++) qn__argument_free(&r->buffers[i], r->s->call.allocator);
    free(r->buffers);
    for (uint32_t k = 0; k < r->join_count; k++) close_join(r->s, &r->joins[k]);
    free(r->joins);
    unload(r->s, &r->code);
}

/* Memory for the temporaries that live from this step on. */
static qn_status make_held(qn__streaming *s, uint32_t step) {
    for (uint32_t a = 0; a < s->plan->ir->array_count; a++) {
        const qn__stream_array *x = &s->plan->arrays[a];
        if (!x->held || s->plan->items[x->held_item].step != step) continue;
        const qn__instr *alloc = &s->plan->ir->instrs[s->plan->items[x->held_item].ref];
        const qn__array *array = &s->plan->ir->arrays[a];
        int64_t extents[QN__MAX_RANK] = {0};
        for (uint32_t d = 0; d < array->rank; d++)
            if (!value_of(s, alloc->args[d], &extents[d])) return qn__error(s->error, QN_INTERNAL, "streaming: the size of %s is not known", array->name);
        if (qn__array_bytes(array->rank, extents, qn__type_bytes((qn__type)array->type)) < 0) {
            qn__call_result result = {.status = QN__CALL_FAULT, .fault = {.kind = QN__FAULT_SIZE}, .location = &s->plan->ir->locations[alloc->location]};
            for (uint32_t d = 0; d < array->rank; d++)
                if (extents[d] < 0 || extents[d] >= QN__EXTENT_LIMIT) result.fault.index = extents[d];
            qn__fault_text(QN__FAULT_SIZE, &result.fault, result.text, sizeof result.text);
            return qn__call_error(&result, s->error);
        }
        const qn_status status = qn__stream_memory(s, &s->arrays[a].whole, (qn__type)array->type, array->rank, extents);
        if (status != QN_OK) return status;
    }
    return QN_OK;
}

qn_status qn__stream_run(qn__streaming *s) {
    qn_status status = QN_OK;
    for (uint32_t step = 0; status == QN_OK && step < s->plan->step_count; step++) {
        status = make_held(s, step);
        if (status != QN_OK || !qn__stream_has_work(s->plan, step)) continue;
        running r = {.s = s, .step = step, .piece = {.from = 0, .to = 0, .first = true, .last = true}};
        status = load_step(s, step, &r.code);
        if (status == QN_OK) {
            r.buffers = calloc(r.code.image.signature->parameter_count + 1U, sizeof *r.buffers);
            if (!r.buffers) status = qn__error(s->error, QN_RESOURCE, "out of memory");
        }
        if (status == QN_OK && step & 1) status = open_joins(&r);
        if (status == QN_OK) status = step & 1 ? run_pieces(&r) : run_piece(&r);
        for (uint32_t k = 0; status == QN_OK && k < r.join_count; k++) status = finish_join(s, &r.joins[k]);
        close_step(&r);
    }
    return status;
}
