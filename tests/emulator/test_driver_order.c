/* Random programs of several streams and events against what CUDA's rules of order allow: each word has a history, and
 * what must be ordered is. */
#include "tests/emulator/driver.h"

enum { STREAMS = 4, EVENTS = 4, STEPS = 400, PROGRAMS = 12 };

/* What the model knows: for each stream (0 is the default one) how many of each stream's operations precede what it
 * runs next. */
typedef struct clock_row {
    uint32_t seen[STREAMS];
} clock_row;
static clock_row streams[STREAMS], events[EVENTS];
static uint32_t submitted[STREAMS];
static bool recorded[EVENTS];

static uint64_t state;
static uint32_t below(uint32_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % limit;
}

static void merge(clock_row *into, const clock_row *from) {
    for (int i = 0; i < STREAMS; i++)
        if (from->seen[i] > into->seen[i]) into->seen[i] = from->seen[i];
}

/* Stream 0 waits for 1 and 2, which block; 3 does not. The rows of these meet at each operation of the default stream.
 */
static void before_operation(int stream) {
    if (stream == 0) {
        merge(&streams[0], &streams[1]);
        merge(&streams[0], &streams[2]);
    } else if (stream < 3) {
        merge(&streams[stream], &streams[0]);
    }
}

/* A host function that looks at how far each stream is. */
typedef struct step {
    clock_row needs;
    int stream;
    bool wrong;
} step;
static _Atomic uint32_t done[STREAMS];

static void look(void *data) {
    step *s = data;
    for (int i = 0; i < STREAMS; i++)
        if (done[i] < s->needs.seen[i]) s->wrong = true;
    done[s->stream]++;
}

static void program(CUstream *handles, CUevent *marks, step *steps) {
    memset(streams, 0, sizeof streams);
    memset(recorded, 0, sizeof recorded);
    memset(submitted, 0, sizeof submitted);
    for (int i = 0; i < STREAMS; i++) done[i] = 0;
    for (int i = 0; i < STEPS; i++) {
        int stream = (int)below(STREAMS), event = (int)below(EVENTS);
        uint32_t what = below(10);
        if (what < 2) {
            before_operation(stream);
            OK(cu.cuEventRecord(marks[event], handles[stream]));
            events[event] = streams[stream];
            recorded[event] = true;
        } else if (what < 4) {
            if (recorded[event]) merge(&streams[stream], &events[event]);
            OK(cu.cuStreamWaitEvent(handles[stream], marks[event], 0));
        } else {
            before_operation(stream);
            steps[i] = (step){.needs = streams[stream], .stream = stream};
            OK(cu.cuLaunchHostFunc(handles[stream], look, &steps[i]));
            streams[stream].seen[stream] = ++submitted[stream];
        }
    }
    OK(cu.cuCtxSynchronize());
    for (int i = 0; i < STREAMS; i++) cr_assert_eq(done[i], submitted[i]);
    for (int i = 0; i < STEPS; i++) cr_assert_not(steps[i].wrong);
}

Test(driver_order, random_programs) {
    start(NULL);
    CUstream handles[STREAMS] = {NULL};
    CUevent marks[EVENTS];
    for (int i = 1; i < STREAMS; i++)
        OK(cu.cuStreamCreate(&handles[i], i < 3 ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < EVENTS; i++) OK(cu.cuEventCreate(&marks[i], CU_EVENT_DISABLE_TIMING));
    for (uint64_t i = 1; i <= PROGRAMS; i++) {
        step *steps = calloc(STEPS, sizeof *steps);
        state = i;
        program(handles, marks, steps);
        free(steps);
    }
}
