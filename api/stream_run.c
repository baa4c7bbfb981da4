/* qn_stream's steps: feeds the kernel of each piece by piece, hands outputs on, and says which point of the whole an error is about.
 *
 * A step's kernel lives while the step runs. All state is in qn__streaming. Two pieces may be on their way, each with buffers of its own, so that one is computed while
 * the other is copied or written; they are delivered in order. That, with at most one instruction per step that may raise an error, makes the first error
 * the kernel's first. */
#include "api/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const double WORTH_A_THREAD = 1 << 16; /* bytes of a piece */

/* --- arguments of a piece ------------------------------------------------------------------------------------------ */

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* A piece on its way. Two are, where one can be computed while the other is read or written. */
typedef struct slot {
    qn__piece piece;
    qn__argument *arguments;
    qn__argument *buffers;  /* by parameter: what cut outputs are computed into */
    const qn__loaded *loaded;
    qn__call_options options;
    qn__device_call device;
    qn__cuda_space memory;
    qn__space space;
    qn__call_result result;
    pthread_t thread;
    bool busy, threaded;
} slot;

typedef struct running {
    qn__streaming *s;
    uint32_t step;
    qn__stream_code code;
    qn__joining *joins;
    uint32_t join_count;
    slot slots[2], *at;    /* at: whose piece is being prepared or delivered */
    uint64_t *resident;    /* by parameter: where a whole array lies on the device; 0: on the host */
} running;

/* What of a cut array the piece's view has. */
static void view_of(const running *r, const qn__stream_binding *b, const qn__argument *whole, int64_t *from, int64_t *to) {
    const int64_t extent = whole->extent[b->dimension];
    *from = least(extent, most(0, r->at->piece.from - b->low));
    *to = r->at->piece.last ? extent : most(*from, least(extent, r->at->piece.to + b->high));
}

/* What of it is the piece's own. */
static void core_of(const running *r, const qn__stream_binding *b, const qn__argument *whole, int64_t *from, int64_t *to) {
    const int64_t extent = whole->extent[b->dimension];
    *from = least(extent, r->at->piece.from);
    *to = r->at->piece.last ? extent : least(extent, r->at->piece.to);
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
    case QN__STREAM_FIRST: return (uint64_t)r->at->piece.from;
    case QN__STREAM_BEGIN: return (uint64_t)(r->at->piece.first ? -QN__STREAM_FAR : r->at->piece.from);
    case QN__STREAM_END: return (uint64_t)(r->at->piece.last ? QN__STREAM_FAR : r->at->piece.to);
    case QN__STREAM_ORIGIN:
        cut = binding_of(r, b->number, NULL);
        return cut ? (uint64_t)most(0, r->at->piece.from - cut->low) : 0;
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
    qn__argument *buffer = &r->at->buffers[i];
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
    qn__argument *a = &r->at->arguments[i];
    *a = part_of(&array->whole, b->dimension, from, to, 0);
    if (r->code.image.signature->parameters[i].kind != QN__PARAMETER_OUT || (!array->sink && !b->low && !b->high)) return QN_OK;
    const qn_status status = buffer_for(r, i, a);
    *a = r->at->buffers[i];
    a->allocated = false;
    return status;
}

static qn_status gather(running *r) {
    const qn__signature *sig = r->code.image.signature;
    for (uint32_t i = 0; i < sig->parameter_count; i++) {
        const qn__stream_binding *b = &r->code.kernel.bindings[i];
        const qn__parameter *p = &sig->parameters[i];
        qn__argument *a = &r->at->arguments[i];
        qn_status status = QN_OK;
        qn__clear_argument(a, p->type, p->rank);
        if (p->kind == QN__PARAMETER_SCALAR) {
            a->bits = scalar_of(r, b);
        } else if (b->role == QN__STREAM_ARRAY_CUT) {
            status = cut_argument(r, i);
        } else if (b->role == QN__STREAM_ARRAY_WHOLE && p->rank) {
            *a = r->s->arrays[b->number].whole;
            a->allocated = false;
            if (r->resident[i]) {
                qn__row_major(p->rank, a->extent, qn__type_bytes((qn__type)p->type), a->stride);
                a->data = (void *)(uintptr_t)r->resident[i];
                a->where = QN__WHERE_DEVICE;
            }
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
    return qn__stream_told(s, &s->arrays[array], o->write(o->user, &s->arrays[array].output, offset, &tensor, s->error));
}

static qn_status deliver_cut(running *r, uint32_t i) {
    const qn__stream_binding *b = &r->code.kernel.bindings[i];
    const qn__streamed *array = &r->s->arrays[b->number];
    if (!r->at->buffers[i].data) return QN_OK; /* it was computed in its place */
    int64_t from, to, view, view_end;
    core_of(r, b, &array->whole, &from, &to);
    view_of(r, b, &array->whole, &view, &view_end);
    qn__argument core = part_of(&r->at->buffers[i], b->dimension, from, to, view);
    if (qn__array_bytes(core.rank, core.extent, 1) <= 0) return QN_OK;
    if (array->sink) return to_sink(r, b->number, from, &core);
    const qn__argument place = part_of(&array->whole, b->dimension, from, to, 0);
    qn__copy_strided(core.rank, core.extent, qn__type_bytes((qn__type)core.type), place.data, place.stride, core.data, core.stride);
    return QN_OK;
}

static qn_status deliver_kept(running *r, uint32_t i) {
    const qn__stream_binding *b = &r->code.kernel.bindings[i];
    qn__argument *a = &r->at->arguments[i];
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
        const uint64_t bits = r->at->arguments[i].bits;
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
    for (uint32_t k = 0; status == QN_OK && k < r->join_count; k++) status = qn__stream_join_piece(s, &r->joins[k]);
    return status;
}

static void free_kept(running *r) {
    const qn__signature *sig = r->code.image.signature;
    for (uint32_t i = sig->input_count; i < sig->parameter_count; i++)
        if (r->code.kernel.bindings[i].role == QN__STREAM_ARRAY_APPENDED) qn__argument_free(&r->at->arguments[i], r->s->call.allocator);
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
        if (!item->cut || !item->raises || item->step != r->step || !rank || r->at->piece.first || !value_of(r->s, stage->args[0], &lo)) continue;
        points = most(0, r->at->piece.from - item->halo - lo);
        for (uint32_t d = 1; d < rank; d++) {
            int64_t low, high;
            if (!value_of(r->s, stage->args[2 * d], &low) || !value_of(r->s, stage->args[2 * d + 1], &high)) return 0;
            points *= most(0, high - low);
        }
        return points;
    }
    return 0;
}

/* --- a piece ------------------------------------------------------------------------------------------------------- */

static void *call_piece(void *user) {
    slot *x = user;
    qn__call(x->loaded, x->arguments, x->loaded->image->signature->parameter_count, &x->options, &x->result);
    return NULL;
}

static qn_status start_piece(running *r, bool threaded) {
    slot *x = r->at;
    const qn_status status = gather(r);
    if (status != QN_OK) return status;
    x->loaded = &r->code.loaded;
    x->options = r->s->call;
    if (r->s->device) {
        x->device = (qn__device_call){.where = NULL};
        x->memory = (qn__cuda_space){r->s->device, &x->device};
        qn__cuda_space_of(&x->memory, &x->space);
        x->options.device = &x->device;
        x->options.space = &x->space;
    }
    x->threaded = threaded && pthread_create(&x->thread, NULL, call_piece, x) == 0;
    if (!x->threaded) call_piece(x);
    x->busy = true;
    return QN_OK;
}

static void wait_for(slot *x) {
    if (x->busy && x->threaded) pthread_join(x->thread, NULL);
    x->busy = false;
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
        const int64_t to = r->at->piece.last ? extent : least(extent, most(0, r->at->piece.to - b->low));
        for (uint32_t k = 0; k < r->s->signature->input_count && to > array->consumed; k++) {
            const qn__parameter *p = &r->s->signature->parameters[k];
            if (p->kind == QN__PARAMETER_SCALAR || p->index != b->number) continue;
            o->consumed(o->user, k, b->dimension, array->consumed, to);
        }
        array->consumed = r->at->piece.last ? 0 : to;
    }
}

static qn_status end_piece(running *r) {
    slot *x = r->at;
    if (!x->busy) return QN_OK;
    wait_for(x);
    if (x->result.status != QN__CALL_OK) {
        if (x->result.status == QN__CALL_FAULT) x->result.fault.iteration += points_before(r);
        return qn__call_error(&x->result, r->s->error);
    }
    const qn_status status = deliver(r);
    free_kept(r);
    if (status == QN_OK && r->step & 1) tell_consumed(r);
    return status;
}

/* Ends what is on its way without looking at it. */
static void abandon(running *r) {
    for (int k = 0; k < 2; k++) {
        slot *x = &r->slots[k];
        const bool busy = x->busy;
        wait_for(x);
        r->at = x;
        if (busy && x->result.status == QN__CALL_OK) free_kept(r);
    }
}

/* --- whole arrays on a device: there for the time of a step --------------------------------------------------------- */

static bool straight(const qn__argument *a) {
    int64_t strides[QN__MAX_RANK];
    qn__row_major(a->rank, a->extent, qn__type_bytes((qn__type)a->type), strides);
    for (uint32_t d = 0; d < a->rank; d++)
        if (a->extent[d] > 1 && a->stride[d] != strides[d]) return false;
    return true;
}

static size_t resident_bytes(const running *r, uint32_t i) {
    const qn__stream_binding *b = &r->code.kernel.bindings[i];
    const qn__argument *whole = &r->s->arrays[b->number].whole;
    if (b->role != QN__STREAM_ARRAY_WHOLE || !whole->rank || r->code.image.signature->parameters[i].kind == QN__PARAMETER_SCALAR || !straight(whole)) return 0;
    return (size_t)most(0, qn__array_bytes(whole->rank, whole->extent, qn__type_bytes((qn__type)whole->type)));
}

static size_t rounded(size_t bytes) { return (bytes + 31) / 16 * 16; } /* entries may touch the rest of the last 16 bytes */

static qn_status settle(running *r) {
    const qn__signature *sig = r->code.image.signature;
    for (uint32_t i = 0; r->s->device && i < sig->input_count; i++) {
        const size_t bytes = resident_bytes(r, i);
        qn__cuda_error failed;
        if (!bytes) continue;
        r->resident[i] = qn__cuda_allocate(r->s->device, rounded(bytes), &failed);
        if (!r->resident[i] || !qn__cuda_upload(r->s->device, r->resident[i], r->s->arrays[r->code.kernel.bindings[i].number].whole.data, bytes, &failed))
            return qn__error(r->s->error, qn__cuda_status(failed.failure), "cuda: %s", failed.text);
    }
    return QN_OK;
}

static qn_status unsettle(running *r, qn_status status) {
    const qn__signature *sig = r->code.image.signature;
    for (uint32_t i = 0; r->resident && i < sig->input_count; i++) {
        const size_t bytes = r->resident[i] ? resident_bytes(r, i) : 0;
        qn__cuda_error failed;
        if (!bytes) continue;
        if (status == QN_OK && sig->parameters[i].kind == QN__PARAMETER_INOUT &&
            !qn__cuda_download(r->s->device, r->s->arrays[r->code.kernel.bindings[i].number].whole.data, r->resident[i], bytes, &failed))
            status = qn__error(r->s->error, qn__cuda_status(failed.failure), "cuda: %s", failed.text);
        qn__cuda_release(r->s->device, r->resident[i], rounded(bytes));
    }
    return status;
}

/* --- a step -------------------------------------------------------------------------------------------------------- */

/* Where the reductions of the step begin; pieces are cut at whole blocks from there. */
static bool reduces_from(const running *r, int64_t *start) {
    const qn__stream *plan = r->s->plan;
    *start = 0;
    for (uint32_t i = 0; i < plan->item_count; i++)
        if (plan->items[i].cut && plan->items[i].step == r->step && plan->ir->instrs[plan->items[i].ref].op == QN__OP_REDUCE)
            return value_of(r->s, plan->ir->instrs[plan->items[i].ref].args[0], start);
    return false;
}

/* Whether two pieces may be on their way at once: nothing that both write, and enough work to be worth a thread. */
static bool overlaps(const running *r, int64_t chunk) {
    const qn__signature *sig = r->code.image.signature;
    if (chunk >= r->s->total || (!r->s->device && (double)chunk * r->s->line < WORTH_A_THREAD)) return false;
    for (uint32_t i = 0; i < sig->input_count; i++)
        if (r->code.kernel.bindings[i].role == QN__STREAM_ARRAY_WHOLE && sig->parameters[i].kind == QN__PARAMETER_INOUT) return false;
    return true;
}

static qn_status finish_piece(running *r) {
    qn__streaming *s = r->s;
    if (!r->at->busy) return QN_OK;
    const qn_status status = end_piece(r);
    if (status != QN_OK) return status;
    s->done += (double)(r->at->piece.to - r->at->piece.from);
    if (s->options.progress) s->options.progress(s->options.user, s->work > 0 ? s->done / s->work : 1);
    return QN_OK;
}

static qn_status run_pieces(running *r) {
    qn__streaming *s = r->s;
    int64_t chunk = s->chunk, start, at = 0;
    if (reduces_from(r, &start)) {
        int64_t blocks = QN__BLOCK;
        while (blocks <= chunk / 2) blocks *= 2;
        chunk = blocks;
    }
    const bool two = overlaps(r, chunk);
    qn_status status = QN_OK;
    bool last = false;
    for (uint32_t n = 0; status == QN_OK && !last; n++) {
        int64_t to;
        r->at = &r->slots[two ? n % 2 : 0];
        status = finish_piece(r); /* the one before the last */
        if (status != QN_OK) break;
        if (__builtin_add_overflow(at, at ? chunk : start + chunk, &to) || to > s->total) to = s->total;
        last = to >= s->total;
        r->at->piece = (qn__piece){.from = at, .to = to, .first = at == 0, .last = last};
        at = to;
        status = start_piece(r, two);
    }
    for (uint32_t n = 0; status == QN_OK && n < 2; n++) { /* the older one first */
        const bool later = r->slots[0].busy && r->slots[1].busy && r->slots[1].piece.from < r->slots[0].piece.from;
        r->at = &r->slots[later || !r->slots[0].busy];
        status = finish_piece(r);
    }
    return status;
}

static qn_status run_once(running *r) {
    r->at->piece = (qn__piece){.first = true, .last = true};
    const qn_status status = start_piece(r, false);
    return status == QN_OK ? end_piece(r) : status;
}

static qn_status open_step(running *r) {
    const qn__stream *plan = r->s->plan;
    qn_status status = qn__stream_load(r->s, r->step, &r->code);
    if (status != QN_OK) return status;
    const size_t count = r->code.image.signature->parameter_count + 1U;
    bool memory = true;
    for (int k = 0; k < 2; k++) {
        r->slots[k].arguments = calloc(count, sizeof *r->slots[k].arguments);
        r->slots[k].buffers = calloc(count, sizeof *r->slots[k].buffers);
        memory = memory && r->slots[k].arguments && r->slots[k].buffers;
    }
    r->resident = calloc(count, sizeof *r->resident);
    r->joins = calloc(plan->item_count + 1U, sizeof *r->joins);
    if (!memory || !r->resident || !r->joins) return qn__error(r->s->error, QN_RESOURCE, "out of memory");
    for (uint32_t i = 0; status == QN_OK && i < plan->item_count; i++)
        if (plan->items[i].cut && plan->items[i].step == r->step && plan->ir->instrs[plan->items[i].ref].op == QN__OP_REDUCE)
            status = qn__stream_join_open(r->s, i, &r->joins[r->join_count++]);
    return status == QN_OK ? settle(r) : status;
}

static qn_status close_step(running *r, qn_status status) {
    const uint32_t count = r->code.image.signature ? r->code.image.signature->parameter_count : 0;
    abandon(r);
    if (r->resident) status = unsettle(r, status);
    for (int k = 0; k < 2; k++) {
        for (uint32_t i = 0; r->slots[k].buffers && i < count; i++) qn__argument_free(&r->slots[k].buffers[i], r->s->call.allocator);
        free(r->slots[k].buffers);
        free(r->slots[k].arguments);
    }
    for (uint32_t k = 0; k < r->join_count; k++) qn__stream_join_close(r->s, &r->joins[k]);
    free(r->joins);
    free(r->resident);
    qn__stream_unload(r->s, &r->code);
    return status;
}

static qn_status run_step(qn__streaming *s, uint32_t step) {
    running *r = calloc(1, sizeof *r);
    if (!r) return qn__error(s->error, QN_RESOURCE, "out of memory");
    r->s = s;
    r->step = step;
    r->at = &r->slots[0];
    qn_status status = open_step(r);
    if (status == QN_OK) status = step & 1 ? run_pieces(r) : run_once(r);
    for (uint32_t k = 0; status == QN_OK && k < r->join_count; k++) status = qn__stream_join_end(s, &r->joins[k]);
    status = close_step(r, status);
    free(r);
    return status;
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
        if (status == QN_OK && qn__stream_has_work(s->plan, step)) status = run_step(s, step);
    }
    return status;
}
