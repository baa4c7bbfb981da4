/* Stages in parts on several threads: who takes part, which part next, the lowest fault, private copies of what is combined into.
 *
 * All state of a stage is one `region` on the caller's stack. Participants, each with a copy of the frame, claim parts in ascending order from one
 * counter. After a fault nobody claims what lies above it; what was claimed below it is completed, so that the lowest fault is always known. A
 * participant that never comes is not waited for: the others do its work. Combining stages give every participant but the first a copy of the
 * target that starts at the identity; the caller combines the copies in the end, in any order, because the operations allow it. */
#include "runtime/threads.h"

#include "ir/cost.h"
#include "ir/eval.h"
#include "runtime/call_private.h"
#include "runtime/threads_tbb.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ThreadSanitizer cannot see into TBB: it is told that what the caller did happens before a participant begins, and what a participant did
 * before the caller goes on, which is what qn__tbb_run promises. */
#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined __SANITIZE_THREAD__ || defined SANITIZED
#include <sanitizer/tsan_interface.h>
static void hand_off(void *region) { __tsan_release(region); }
static void take_up(void *region) { __tsan_acquire(region); }
#else
static void hand_off(void *region) { (void)region; }
static void take_up(void *region) { (void)region; }
#endif

enum {
    EVEN_CLAIMS = 8,       /* claims of a participant where parts take equally long: what a thread that was interrupted leaves, others take */
    UNEVEN_CLAIMS = 64,    /* else: the last claims are what keeps a thread waiting at the end */
    CLAIM_OPERATIONS = 4000, /* of a claim at least: a claim costs 20 to 100 ns */
};

uint32_t qn__processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > QN__MOST_THREADS ? QN__MOST_THREADS : (uint32_t)count;
}

uint32_t qn__threads_wanted(uint32_t given) {
    const char *text = given ? NULL : getenv("QUERN_THREADS");
    char *end = NULL;
    const unsigned long named = text && *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (given == 0 && named && !*end) given = named < QN__MOST_THREADS ? (uint32_t)named : QN__MOST_THREADS;
    if (given == 0) return qn__processors();
    return given < QN__MOST_THREADS ? given : QN__MOST_THREADS;
}

typedef struct copy {      /* of one participant */
    qn__view *views;
    void **data;           /* by scatter */
    bool used;
} copy;

typedef struct region {
    const qn__stage *stage;
    const qn__frame *frame;
    int64_t *words;
    int64_t parts, step;   /* step: parts of a claim */
    copy *copies;          /* by participant; NULL when nothing is combined */
    uint32_t participants;
    atomic_uint arrived;
    _Atomic int64_t next, failed; /* failed: the first part of the lowest claim that failed; INT64_MAX: none */
    pthread_mutex_t lock;  /* guards fault */
    int64_t fault_at;
    qn__fault fault;
} region;

/* ---- private copies ---- */

static size_t elements_of(const qn__view *view, uint32_t rank) {
    size_t n = 1;
    for (uint32_t d = 0; d < rank; d++) n *= (size_t)view->extent[d];
    return n;
}

/* Bits of the value that leaves others as they are. */
static uint64_t identity(qn__op op, qn__type type) {
    const uint32_t bits = qn__type_bits(type);
    const uint64_t ones = bits < 64 ? (UINT64_C(1) << bits) - 1 : ~UINT64_C(0), top = UINT64_C(1) << (bits - 1);
    if (type == QN__TYPE_BOOL) return op == QN__OP_AND || op == QN__OP_MIN || op == QN__OP_MUL;
    if (op == QN__OP_MUL) return 1;
    if (op == QN__OP_AND) return ones;
    if (op != QN__OP_MIN && op != QN__OP_MAX) return 0;
    if (qn__is_float(type)) return qn__eval_from_f64(type, op == QN__OP_MIN ? (double)INFINITY : -(double)INFINITY);
    if (!qn__is_signed(type)) return op == QN__OP_MIN ? ones : 0;
    return op == QN__OP_MIN ? top - 1 : top;
}

static void fill(void *data, size_t count, uint32_t bytes, uint64_t bits) {
    if (bits == 0) {
        memset(data, 0, count * bytes);
        return;
    }
    for (size_t i = 0; i < count; i++) memcpy((char *)data + i * bytes, &bits, bytes);
}

/* to = to op from, element by element; what is frequent has a loop of its own. */
static void combine(qn__op op, qn__type type, void *to, const void *from, size_t count) {
    const uint32_t bytes = qn__type_bytes(type);
    if (op == QN__OP_ADD && bytes == 4 && !qn__is_float(type)) {
        uint32_t *a = to;
        const uint32_t *b = from;
        for (size_t i = 0; i < count; i++) a[i] += b[i];
        return;
    }
    if (op == QN__OP_ADD && bytes == 8 && !qn__is_float(type)) {
        uint64_t *a = to;
        const uint64_t *b = from;
        for (size_t i = 0; i < count; i++) a[i] += b[i];
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t args[2] = {0, 0}, bits = 0;
        memcpy(&args[0], (const char *)to + i * bytes, bytes);
        memcpy(&args[1], (const char *)from + i * bytes, bytes);
        qn__eval(op, type, type, args, &bits);
        memcpy((char *)to + i * bytes, &bits, bytes);
    }
}

/* A copy without gaps into a view with any strides. */
static void merge(const qn__view *to, const qn__stage_scatter *s, const char *from) {
    const uint32_t bytes = qn__type_bytes((qn__type)s->type);
    const size_t width = s->rank ? (size_t)to->extent[s->rank - 1] : 1, rows = width ? elements_of(to, s->rank) / width : 0;
    for (size_t row = 0; row < rows; row++) {
        size_t number = row;
        int64_t offset = 0;
        for (uint32_t d = s->rank ? s->rank - 1 : 0; d-- > 0;) {
            offset += (int64_t)(number % (size_t)to->extent[d]) * to->stride[d];
            number /= (size_t)to->extent[d];
        }
        combine((qn__op)s->op, (qn__type)s->type, (char *)to->data + offset * (int64_t)bytes, from + row * width * bytes, width);
    }
}

static void free_copies(region *r) {
    for (uint32_t p = 0; r->copies && p < r->participants; p++) {
        for (uint32_t i = 0; r->copies[p].data && i < r->stage->scatter_count; i++) free(r->copies[p].data[i]);
        free(r->copies[p].data);
        free(r->copies[p].views);
    }
    free(r->copies);
}

/* Memory for all participants but the first, before the stage begins: later nobody could be told that there is none. */
static bool make_copies(region *r) {
    const qn__stage *stage = r->stage;
    r->copies = calloc(r->participants, sizeof *r->copies);
    for (uint32_t p = 1; r->copies && p < r->participants; p++) {
        copy *c = &r->copies[p];
        c->views = malloc(stage->array_count * sizeof *c->views);
        c->data = calloc(stage->scatter_count, sizeof *c->data);
        if (!c->views || !c->data) return false;
        memcpy(c->views, r->frame->views, stage->array_count * sizeof *c->views);
        for (uint32_t i = 0; i < stage->scatter_count; i++) {
            const qn__stage_scatter *s = &stage->scatters[i];
            qn__view *view = &c->views[s->array];
            const size_t bytes = elements_of(view, s->rank) * qn__type_bytes((qn__type)s->type);
            c->data[i] = malloc(bytes ? bytes : 1);
            if (!c->data[i]) return false;
            view->data = c->data[i];
            qn__row_major(s->rank, view->extent, 1, view->stride);
        }
    }
    return r->copies != NULL;
}

static void begin_copy(const region *r, copy *c) {
    c->used = true;
    for (uint32_t i = 0; i < r->stage->scatter_count; i++) {
        const qn__stage_scatter *s = &r->stage->scatters[i];
        const qn__type type = (qn__type)s->type;
        fill(c->data[i], elements_of(&c->views[s->array], s->rank), qn__type_bytes(type), identity((qn__op)s->op, type));
    }
}

static void merge_copies(const region *r) {
    for (uint32_t p = 1; p < r->participants; p++)
        for (uint32_t i = 0; r->copies[p].used && i < r->stage->scatter_count; i++)
            merge(&r->frame->views[r->stage->scatters[i].array], &r->stage->scatters[i], r->copies[p].data[i]);
}

/* ---- participants ---- */

static int32_t run_part(const qn__stage *stage, qn__frame *frame, int64_t *words, int64_t begin, int64_t end) {
    if (stage->form != QN__STAGE_LONE) return stage->run(frame, words, begin, end, NULL, 0);
    frame->parallel = NULL; /* it is the last thing that the kernel does with this frame */
    frame->begin = begin;
    frame->end = end;
    return stage->entry(frame);
}

static void note_fault(region *r, int64_t part, int32_t kind, const qn__fault *fault) {
    pthread_mutex_lock(&r->lock);
    if (part < r->fault_at) {
        r->fault_at = part;
        r->fault = *fault;
        r->fault.kind = kind;
        atomic_store(&r->failed, part);
    }
    pthread_mutex_unlock(&r->lock);
}

static void work(region *r) {
    const uint32_t number = atomic_fetch_add(&r->arrived, 1);
    qn__frame own = *r->frame;
    bool begun = false;
    for (;;) {
        const int64_t begin = atomic_fetch_add(&r->next, r->step);
        if (begin >= r->parts || begin > atomic_load(&r->failed)) return;
        if (!begun && r->copies && number > 0) {
            own.views = r->copies[number].views;
            begin_copy(r, &r->copies[number]);
        }
        begun = true;
        const int64_t end = r->parts - begin < r->step ? r->parts : begin + r->step;
        const int32_t kind = run_part(r->stage, &own, r->words, begin, end);
        if (!kind) continue;
        note_fault(r, begin, kind, &own.fault);
        return;
    }
}

/* How many take part, and how much each claims at a time. False: the stage is for the caller alone. */
static bool plan(const qn__threads *threads, region *r, double operations) {
    const qn__stage *stage = r->stage;
    const double total = operations * (double)r->parts;
    double most = threads->least > 0 ? 2 * total / threads->least : threads->count;
    for (uint32_t i = 0; threads->least > 0 && i < stage->scatter_count; i++) { /* a copy is filled and combined: a few operations for each element */
        const qn__stage_scatter *s = &stage->scatters[i];
        const double elements = (double)elements_of(&r->frame->views[s->array], s->rank);
        if (total / (8 * elements + 1) < most) most = total / (8 * elements + 1);
    }
    if (most > threads->count) most = threads->count;
    if (most > (double)r->parts) most = (double)r->parts;
    if (most < 2) return false;
    r->participants = (uint32_t)most;
    r->step = 1;
    if (stage->form != QN__STAGE_BOX && stage->form != QN__STAGE_LONE) return true; /* their parts are few, and asked for one by one */
    const int64_t claims = (int64_t)r->participants * (stage->uneven ? UNEVEN_CLAIMS : EVEN_CLAIMS);
    r->step = r->parts / claims + (r->parts % claims != 0);
    if (threads->least > 0 && operations * (double)r->step < (double)CLAIM_OPERATIONS) r->step = (int64_t)((double)CLAIM_OPERATIONS / operations) + 1;
    return true;
}

static void participate(void *context) {
    take_up(context);
    work(context);
    hand_off(context);
}

static void run_region(region *r) {
    atomic_init(&r->next, 0);
    atomic_init(&r->failed, INT64_MAX);
    atomic_init(&r->arrived, 0);
    pthread_mutex_init(&r->lock, NULL);
    hand_off(r);
    const bool complete = qn__tbb_run(participate, r, r->participants);
    take_up(r);
    if (!complete) { /* alone; whoever came has left */
        atomic_store(&r->arrived, 0);
        work(r);
    }
    pthread_mutex_destroy(&r->lock);
}

/* Parts 0 .. parts, of so many operations each. */
static int32_t run_parts(qn__frame *frame, int64_t *words, const qn__stage *stage, int64_t parts, double operations) {
    region r = {.stage = stage, .frame = frame, .words = words, .parts = parts, .fault_at = INT64_MAX};
    bool alone = !plan(frame->threads, &r, operations);
    if (!alone && stage->scatter_count && !make_copies(&r)) {
        free_copies(&r);
        alone = true;
    }
    if (alone && (stage->form == QN__STAGE_BOX || stage->form == QN__STAGE_LONE)) return run_part(stage, frame, words, 0, INT64_MAX);
    if (alone) {
        int32_t kind = QN__FAULT_NONE;
        for (int64_t part = 0; !kind && part < parts; part++) kind = stage->run(frame, words, part, part + 1, NULL, 0);
        return kind;
    }
    run_region(&r);
    if (stage->scatter_count && r.fault_at == INT64_MAX) merge_copies(&r);
    free_copies(&r);
    if (r.fault_at == INT64_MAX) return QN__FAULT_NONE;
    frame->fault = r.fault;
    return r.fault.kind;
}

/* ---- the forms of stages ---- */

/* Pieces of a box, and the points of one; both as code counts them. */
static int64_t pieces_of(const int64_t *box, uint32_t rank, int64_t *points) {
    int64_t count = 1, n = 0;
    for (uint32_t d = rank; d-- > 0;) {
        if (__builtin_sub_overflow(box[2 * d + 1], box[2 * d], &n)) n = box[2 * d + 1] < 0 ? 0 : INT64_MAX;
        if (n < 0) n = 0;
        if (d + 1 == rank) *points = n < QN__PIECE ? n : QN__PIECE;
        const int64_t parts = d + 1 == rank ? n / QN__PIECE + (n % QN__PIECE != 0) : n;
        if (__builtin_mul_overflow(count, parts, &count)) count = INT64_MAX;
    }
    return count;
}

static int32_t run_box(qn__frame *frame, int64_t *words, const qn__stage *stage, double cost) {
    int64_t points = 0;
    const int64_t parts = pieces_of(words, stage->rank, &points);
    const double operations = cost * (double)points;
    if (parts < 2 || operations * (double)parts < frame->threads->least) return run_part(stage, frame, words, 0, INT64_MAX); /* most stages: nothing more is done for them */
    return run_parts(frame, words, stage, parts, operations);
}

static int32_t run_reduce(qn__frame *frame, int64_t *words, const qn__stage *stage, double cost) {
    const int64_t lo = words[QN__REDUCE_LO], hi = words[QN__REDUCE_HI];
    const uint64_t terms = lo < hi ? (uint64_t)hi - (uint64_t)lo : 0;
    const uint64_t blocks = terms / QN__PIECE + (terms % QN__PIECE != 0);
    if (blocks < 2 || cost * (double)terms < frame->threads->least) return stage->run(frame, words, 0, INT64_MAX, NULL, 0);
    uint64_t group = 1;
    while ((blocks + group - 1) / group > QN__PARTIALS) group *= 2;
    const int64_t parts = (int64_t)((blocks + group - 1) / group);
    words[QN__REDUCE_SPAN] = (int64_t)(group * QN__PIECE);
    const int32_t kind = run_parts(frame, words, stage, parts, cost * (double)(group * QN__PIECE));
    if (kind || parts < 2) return kind;
    words[QN__REDUCE_LO] = 0;
    words[QN__REDUCE_HI] = parts * QN__PIECE;
    words[QN__REDUCE_SPAN] = QN__WHOLE_SPAN;
    words[QN__REDUCE_MERGING] = 1;
    return stage->run(frame, words, 0, 1, NULL, 0);
}

static int32_t run_keep(qn__frame *frame, int64_t *words, const qn__stage *stage, double cost) {
    int64_t points = 0;
    const int64_t pieces = pieces_of(words + QN__KEEP_BOX, stage->rank, &points);
    const bool counting = stage->form == QN__STAGE_COUNT;
    if (counting) {
        if (pieces < 2 || cost * (double)points * (double)pieces < frame->threads->least) return stage->run(frame, words, 0, INT64_MAX, NULL, 0);
        words[QN__KEEP_GROUP] = pieces / QN__PARTIALS + (pieces % QN__PARTIALS != 0);
        words[QN__KEEP_GROUPS] = pieces / words[QN__KEEP_GROUP] + (pieces % words[QN__KEEP_GROUP] != 0);
    }
    const double size = (double)(words[QN__KEEP_GROUP] < pieces ? words[QN__KEEP_GROUP] : pieces);
    const int32_t kind = run_parts(frame, words, stage, words[QN__KEEP_GROUPS], cost * (double)points * size);
    int64_t *places;
    memcpy(&places, &words[QN__KEEP_PLACES], sizeof places);
    for (int64_t k = 0; !kind && counting && k < words[QN__KEEP_GROUPS]; k++) places[k + 1] += places[k];
    return kind;
}

int32_t qn__threads_run(qn__frame *frame, int64_t *words, int64_t begin, int64_t end, const qn__stage *stage, double cost) {
    (void)begin;
    (void)end;
    if (cost < 1) cost = 1;
    switch ((qn__stage_form)stage->form) {
    case QN__STAGE_LONE:
    case QN__STAGE_BOX: return run_box(frame, words, stage, cost);
    case QN__STAGE_REDUCE: return run_reduce(frame, words, stage, cost);
    case QN__STAGE_COUNT:
    case QN__STAGE_FILL: return run_keep(frame, words, stage, cost);
    }
    return stage->run(frame, words, 0, INT64_MAX, NULL, 0);
}
