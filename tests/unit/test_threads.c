/* Stages in parts on threads (runtime/threads.h), with stages written by hand: every part once, the lowest fault, private copies for every operation and type,
 * parts inside parts, forks. The threads take part even where there is almost nothing to do. */
#include "ir/eval.h"
#include "runtime/threads.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARTS = 1000, THREADS = 5 };
static const qn__threads always = {THREADS, 0}, never = {THREADS, 1e300};

/* A box of one dimension with `pieces` pieces. */
static int64_t box[2];
static int64_t *pieces(int64_t count) {
    box[0] = 0;
    box[1] = count * QN__PIECE;
    return box;
}

static qn__frame frame_for(const qn__threads *threads) {
    qn__frame frame = {0};
    qn__frame_threads(&frame, threads);
    return frame;
}

/* ---- every part once ---- */

static atomic_int done[PARTS];
static int64_t part_count = PARTS; /* of the stage: what is asked for behind them is to be ignored */

static int32_t note_parts(qn__frame *frame, int64_t *words, int64_t begin, int64_t end, const qn__stage *stage, double cost) {
    (void)frame, (void)words, (void)stage, (void)cost;
    if (end > part_count) end = part_count;
    for (int64_t i = begin; i < end; i++) atomic_fetch_add(&done[i], 1);
    return 0;
}

Test(threads, every_part_is_done_once) {
    for (uint32_t uneven = 0; uneven < 2; uneven++)
        for (int64_t count = 0; count <= PARTS; count = count < 20 ? count + 1 : count * 3) {
            for (uint32_t threads = 1; threads < 40; threads += 6) {
                const qn__threads some = {threads, 0};
                const qn__stage stage = {.run = note_parts, .form = QN__STAGE_BOX, .rank = 1, .uneven = uneven};
                qn__frame frame = frame_for(&some);
                memset(done, 0, sizeof done);
                part_count = count;
                cr_assert_eq(qn__threads_run(&frame, pieces(count), 0, INT64_MAX, &stage, 1), 0);
                for (int64_t i = 0; i < PARTS; i++) cr_assert_eq(atomic_load(&done[i]), i < count, "part %ld of %ld", (long)i, (long)count);
            }
        }
}

Test(threads, small_stages_are_one_call) {
    const qn__stage stage = {.run = note_parts, .form = QN__STAGE_BOX, .rank = 1};
    qn__frame frame = frame_for(&never);
    memset(done, 0, sizeof done);
    cr_assert_eq(qn__threads_run(&frame, pieces(PARTS), 0, INT64_MAX, &stage, 1), 0);
    for (int i = 0; i < PARTS; i++) cr_assert_eq(atomic_load(&done[i]), 1);
    const qn__threads one = {1, 0};
    frame = frame_for(&one);
    cr_assert_null((void *)(uintptr_t)frame.parallel);
    frame = frame_for(NULL);
    cr_assert_null((void *)(uintptr_t)frame.parallel);
}

/* ---- faults ---- */

static int64_t faulty[3];

static int32_t fail_somewhere(qn__frame *frame, int64_t *words, int64_t begin, int64_t end, const qn__stage *stage, double cost) {
    (void)words, (void)stage, (void)cost;
    for (int64_t i = begin; i < end && i < PARTS; i++) {
        if (i % 7 == 0) sched_yield();
        for (int k = 0; k < 3; k++)
            if (faulty[k] == i) {
                frame->fault = (qn__fault){.kind = QN__FAULT_INDEX, .index = i, .iteration = i * 2};
                return QN__FAULT_INDEX;
            }
    }
    return 0;
}

Test(threads, the_lowest_fault_is_reported) {
    const qn__stage stage = {.run = fail_somewhere, .form = QN__STAGE_BOX, .rank = 1, .uneven = 1};
    for (int64_t trial = 0; trial < 300; trial++) {
        for (int k = 0; k < 3; k++) faulty[k] = (trial * 331 + k * 617 + k * k * 13) % PARTS;
        int64_t lowest = faulty[0];
        for (int k = 1; k < 3; k++) lowest = faulty[k] < lowest ? faulty[k] : lowest;
        qn__frame frame = frame_for(&always);
        cr_assert_eq(qn__threads_run(&frame, pieces(PARTS), 0, INT64_MAX, &stage, 1), QN__FAULT_INDEX);
        cr_assert_eq(frame.fault.index, lowest);
        cr_assert_eq(frame.fault.iteration, lowest * 2);
        cr_assert_eq(frame.fault.kind, QN__FAULT_INDEX);
    }
}

/* ---- private copies: element (i mod count) is combined with a value made of i ---- */

static const qn__stage_scatter *now; /* what the stage combines with */

static uint64_t value_of(qn__type type, int64_t i) {
    const uint64_t mixed = (uint64_t)i * 0x9E3779B97F4A7C15U >> 7;
    if (type == QN__TYPE_BOOL) return mixed & 1;
    if (qn__is_float(type)) return qn__eval_from_f64(type, i % 97 == 13 ? -0.0 : (double)(int64_t)(mixed % 2001) - 1000);
    return qn__eval_cut(type, mixed | 1);
}

static int32_t combine_points(qn__frame *frame, int64_t *words, int64_t begin, int64_t end, const qn__stage *stage, double cost) {
    (void)words, (void)stage, (void)cost;
    const qn__view *view = &frame->views[now->array];
    const qn__type type = (qn__type)now->type;
    const uint32_t bytes = qn__type_bytes(type);
    for (int64_t i = begin; i < end && i < PARTS; i++) {
        char *at = (char *)view->data + (i % view->extent[0] * view->stride[0] + i % view->extent[1]) * (int64_t)bytes;
        uint64_t args[2] = {0, value_of(type, i)}, bits = 0;
        memcpy(&args[0], at, bytes);
        cr_assert(qn__eval((qn__op)now->op, type, type, args, &bits));
        memcpy(at, &bits, bytes);
    }
    return 0;
}

static void check_scatter(qn__op op, qn__type type) {
    enum { ROWS = 6, COLUMNS = 5, STRIDE = 9 };
    const qn__stage_scatter scatter = {.array = 1, .op = (uint8_t)op, .type = (uint8_t)type, .rank = 2};
    const qn__stage stage = {.run = combine_points, .form = QN__STAGE_BOX, .rank = 1, .array_count = 2, .scatters = &scatter, .scatter_count = 1};
    const uint32_t bytes = qn__type_bytes(type);
    uint64_t storage[2][ROWS * STRIDE];
    for (int turn = 0; turn < 2; turn++) {
        for (int64_t i = 0; i < ROWS * STRIDE; i++) {
            const uint64_t bits = value_of(type, i + 5);
            memcpy((char *)storage[turn] + i * bytes, &bits, bytes);
        }
        qn__view views[2] = {{.data = NULL}, {.data = storage[turn], .extent = {ROWS, COLUMNS}, .stride = {STRIDE, 1}}};
        qn__frame frame = frame_for(turn ? &always : &never);
        frame.views = views;
        now = &scatter;
        cr_assert_eq(qn__threads_run(&frame, pieces(PARTS), 0, INT64_MAX, &stage, 1), 0);
        cr_assert_eq(views[1].data, storage[turn]);
    }
    cr_assert_eq(memcmp(storage[0], storage[1], (size_t)ROWS * STRIDE * bytes), 0, "%s %s", qn__op_table[op].name, qn__type_table[type].name);
}

Test(threads, private_copies_leave_the_bits_of_one_thread) {
    static const qn__op ops[] = {QN__OP_ADD, QN__OP_MUL, QN__OP_MIN, QN__OP_MAX, QN__OP_AND, QN__OP_OR};
    static const qn__type types[] = {QN__TYPE_BOOL, QN__TYPE_I8, QN__TYPE_I16, QN__TYPE_I32, QN__TYPE_I64, QN__TYPE_U8, QN__TYPE_U16, QN__TYPE_U32, QN__TYPE_U64, QN__TYPE_F32, QN__TYPE_F64};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t o = 0; o < sizeof ops / sizeof *ops; o++) {
            const bool order = ops[o] == QN__OP_MIN || ops[o] == QN__OP_MAX, bitwise = ops[o] == QN__OP_AND || ops[o] == QN__OP_OR;
            if (types[t] == QN__TYPE_BOOL ? !bitwise : qn__is_float(types[t]) && !order) continue;
            check_scatter(ops[o], types[t]);
        }
}

/* ---- parts inside parts, many callers ---- */

static int32_t nested(qn__frame *frame, int64_t *words, int64_t begin, int64_t end, const qn__stage *stage, double cost) {
    (void)words, (void)stage, (void)cost;
    const qn__stage inner = {.run = note_parts, .form = QN__STAGE_BOX, .rank = 1};
    int64_t own[2] = {0, 10 * QN__PIECE};
    int32_t kind = 0;
    for (int64_t i = begin; i < end && i < 40 && !kind; i++) {
        qn__frame mine = frame_for(frame->threads);
        kind = qn__threads_run(&mine, own, 0, INT64_MAX, &inner, 1);
    }
    return kind;
}

static void *run_nested(void *user) {
    const qn__stage stage = {.run = nested, .form = QN__STAGE_BOX, .rank = 1, .uneven = 1};
    int64_t own[2] = {0, 40 * QN__PIECE};
    (void)user;
    for (int i = 0; i < 20; i++) {
        qn__frame frame = frame_for(&always);
        cr_assert_eq(qn__threads_run(&frame, own, 0, INT64_MAX, &stage, 1), 0);
    }
    return NULL;
}

Test(threads, parts_inside_parts_of_many_callers, .timeout = 60) {
    pthread_t callers[6];
    memset(done, 0, sizeof done);
    for (int i = 0; i < 6; i++) pthread_create(&callers[i], NULL, run_nested, NULL);
    for (int i = 0; i < 6; i++) pthread_join(callers[i], NULL);
    for (int i = 0; i < 10; i++) cr_assert_eq(atomic_load(&done[i]), 6 * 20 * 40);
}

/* ---- forks ---- */

Test(threads, a_child_works_alone, .timeout = 60) {
    const qn__stage stage = {.run = note_parts, .form = QN__STAGE_BOX, .rank = 1};
    qn__frame frame = frame_for(&always);
    cr_assert_eq(qn__threads_run(&frame, pieces(PARTS), 0, INT64_MAX, &stage, 1), 0);
    const pid_t child = fork();
    if (child == 0) {
        memset(done, 0, sizeof done);
        frame = frame_for(&always);
        int bad = qn__threads_run(&frame, pieces(PARTS), 0, INT64_MAX, &stage, 1);
        for (int i = 0; i < PARTS; i++) bad |= atomic_load(&done[i]) != 1;
        _exit(bad);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(threads, how_many_is_asked_for) {
    unsetenv("QUERN_THREADS");
    cr_assert_eq(qn__threads_wanted(3), 3);
    cr_assert_eq(qn__threads_wanted(0), qn__processors());
    cr_assert_eq(qn__threads_wanted(1000000), QN__MOST_THREADS);
    setenv("QUERN_THREADS", "7", 1);
    cr_assert_eq(qn__threads_wanted(0), 7);
    cr_assert_eq(qn__threads_wanted(3), 3);
    static const char *const no_numbers[] = {"", "0", "-2", "x", "3x", " 4"};
    for (size_t i = 0; i < sizeof no_numbers / sizeof *no_numbers; i++) {
        setenv("QUERN_THREADS", no_numbers[i], 1);
        cr_assert_eq(qn__threads_wanted(0), qn__processors(), "'%s'", no_numbers[i]);
    }
    setenv("QUERN_THREADS", "99999999999999999999", 1);
    cr_assert_eq(qn__threads_wanted(0), QN__MOST_THREADS);
    unsetenv("QUERN_THREADS");
}
