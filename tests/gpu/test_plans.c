/* Plans written by hand (ir/plan.h): steps that the compiler emits seldom or never, and what becomes of device slots when a launch must be
 * described that came before they were written again. */
#include "tests/gpu/gpu.h"

#include "ir/plan.h"
#include "runtime/cuda/cuda.h"
#include "runtime/engine.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

_Static_assert(offsetof(qn__device_state, kind) == 16 && offsetof(qn__device_state, index) == 24 && sizeof(qn__device_state) == 40, "the text below has the offsets");

/* out[0] = device slot 0, or fault INDEX (index: the slot's value, extent 5) when that is 13. */
static const char code[] = ".version 7.0\n.target sm_70\n.address_size 64\n"
                           ".visible .entry step(.param .u64 state, .param .u64 key, .param .u64 only, .param .u64 out) .maxntid 32, 1, 1\n{\n"
                           "    .reg .pred %p<4>;\n    .reg .b32 %r<4>;\n    .reg .b64 %d<10>;\n"
                           "    ld.param.u64 %d0, [state];\n    ld.param.u64 %d1, [key];\n    ld.param.u64 %d2, [only];\n    ld.param.u64 %d3, [out];\n"
                           "    mov.u32 %r0, %tid.x;\n    setp.ne.u32 %p3, %r0, 0;\n    @%p3 ret;\n"
                           "    ld.volatile.global.u64 %d4, [%d0];\n    setp.lt.u64 %p0, %d4, %d1;\n    @%p0 ret;\n"
                           "    ld.global.u64 %d5, [%d0+40];\n    setp.eq.u64 %p1, %d5, 13;\n    @%p1 bra fails;\n"
                           "    st.global.u64 [%d3], %d5;\n    ret;\nfails:\n"
                           "    setp.ne.u64 %p2, %d2, -1;\n    @%p2 bra describes;\n    atom.global.min.u64 %d6, [%d0], %d1;\n    ret;\ndescribes:\n"
                           "    mov.u32 %r1, 1;\n    st.global.u32 [%d0+16], %r1;\n    mov.u32 %r2, 0;\n    st.global.u32 [%d0+20], %r2;\n"
                           "    st.global.u64 [%d0+24], %d5;\n    mov.u64 %d7, 5;\n    st.global.u64 [%d0+32], %d7;\n    ret;\n}\n";

static int32_t allocate(qn__frame *frame, uint32_t array, const int64_t *extents) {
    (void)frame, (void)array, (void)extents;
    return QN__FAULT_MEMORY;
}
static int32_t poll(qn__frame *frame) {
    (void)frame;
    return 0;
}

typedef struct outcome { int32_t kind; int64_t out; qn__fault fault; char text[256]; } outcome;

/* Runs steps with these operands; slot 0 is set to 1 first, entry 0 is "step". */
static outcome run(const qn__plan_step *steps, uint32_t step_count, const uint32_t *operands, uint32_t operand_count) {
    static const uint8_t arguments[] = {QN__ARGUMENT_ARRAY};
    const qn__plan_entry entry = {.symbol = "step", .block = {32, 1, 1}, .per_thread = 1, .arguments = arguments, .argument_count = 1};
    const qn__plan plan = {.steps = steps, .step_count = step_count, .operands = operands, .operand_count = operand_count, .entries = &entry, .entry_count = 1,
                           .slot_count = 8, .device_slot_count = 2};
    const qn__image_array array = {QN__TYPE_I64, 1, QN__ARRAY_OUT, "out"};
    const qn__image image = {.kind = QN__IMAGE_PTX, .code = code, .code_size = sizeof code - 1, .arrays = &array, .array_count = 1, .plan = &plan};
    qn__cuda_error error = {0};
    gpu_driver(NULL);
    qn__cuda *cuda = qn__cuda_open(&error);
    cr_assert(cuda, "%s", error.text);
    qn__cuda_device *device = qn__cuda_device_open(cuda, 0, &error);
    cr_assert(device, "%s", error.text);
    qn__loaded loaded;
    cr_assert(qn__cuda_load(&loaded, &image, device, &error), "%s", error.text);
    outcome o = {.out = -1};
    qn__view view = {.data = &o.out, .extent = {1}, .stride = {1}};
    const qn__services services = {allocate, poll};
    const volatile int32_t never = 0;
    qn__device_call call = {0};
    qn__frame frame = {.views = &view, .stop = &never, .services = &services, .device = &call};
    o.kind = loaded.engine->run(&loaded, &frame);
    o.fault = frame.fault;
    snprintf(o.text, sizeof o.text, "%.255s", call.text);
    qn__kernel_unload(&loaded);
    qn__cuda_close(cuda);
    gpu_expect_no_leak();
    return o;
}

#define STEP(...)       {__VA_ARGS__}
#define CONST(slot, n)  STEP(.op = QN__PLAN_CONST, .target = slot, .imm = n)
#define WRITE(first)    STEP(.op = QN__PLAN_WRITE, .operand_first = first, .operand_count = 1, .imm = 0)
#define LAUNCH(first)   STEP(.op = QN__PLAN_LAUNCH, .operand_first = first, .operand_count = 4, .imm = 0)
#define END()           STEP(.op = QN__PLAN_END)
#define COUNT(list)     (uint32_t)(sizeof list / sizeof *list)

/* Slots: 0 is 1, 1 is 7, 2 is 13, 3 is 99. Operands: a launch of one point (0 to 3), then slots 1, 2, 3 at 4, 5, 6. */
static const uint32_t operands[] = {0, 0, 0, 0, 1, 2, 3, 4};
#define HEAD CONST(0, 1), CONST(1, 7), CONST(2, 13), CONST(3, 99)

Test(plans, writes_reach_the_launches_behind_them) {
    const qn__plan_step steps[] = {HEAD, WRITE(4), LAUNCH(0), WRITE(6), LAUNCH(0), END()};
    const outcome o = run(steps, COUNT(steps), operands, COUNT(operands));
    cr_assert_eq(o.kind, 0, "%s", o.text);
    cr_assert_eq(o.out, 99);
}

Test(plans, a_fault_sees_the_slots_of_its_launch) {
    const qn__plan_step steps[] = {HEAD, WRITE(4), LAUNCH(0), WRITE(5), LAUNCH(0), WRITE(6), LAUNCH(0), WRITE(4), END()};
    const outcome o = run(steps, COUNT(steps), operands, COUNT(operands));
    cr_assert_eq(o.kind, QN__FAULT_INDEX, "%d %s", o.kind, o.text);
    cr_assert_eq(o.fault.index, 13);
    cr_assert_eq(o.fault.extent, 5);
    cr_assert_eq(o.out, -1, "an output was written though the kernel failed");
}

Test(plans, more_writes_than_can_be_undone_at_once) {
    qn__plan_step steps[4 + 2 * 700 + 5] = {HEAD};
    uint32_t n = 4;
    for (int i = 0; i < 700; i++) {
        steps[n++] = (qn__plan_step)WRITE(i % 2 ? 4 : 6);
        steps[n++] = (qn__plan_step)LAUNCH(0);
    }
    steps[n++] = (qn__plan_step)WRITE(5);
    steps[n++] = (qn__plan_step)LAUNCH(0);
    steps[n++] = (qn__plan_step)WRITE(6);
    steps[n++] = (qn__plan_step)LAUNCH(0);
    steps[n++] = (qn__plan_step)END();
    const outcome o = run(steps, n, operands, COUNT(operands));
    cr_assert_eq(o.kind, QN__FAULT_INDEX, "%d %s", o.kind, o.text);
    cr_assert_eq(o.fault.index, 13);
}

Test(plans, reads_wait_and_bring_faults) {
    /* out = slot 0 read back, moved, and written again. */
    static const uint32_t list[] = {0, 0, 0, 0, 1, 2, 3, 4, 5};
    const qn__plan_step good[] = {HEAD, WRITE(6), LAUNCH(0), STEP(.op = QN__PLAN_READ, .target = 4, .imm = 0), STEP(.op = QN__PLAN_MOVE, .target = 5, .operand_first = 7, .operand_count = 1),
                                  WRITE(4), WRITE(8), LAUNCH(0), END()};
    const outcome o = run(good, COUNT(good), list, COUNT(list));
    cr_assert_eq(o.kind, 0, "%s", o.text);
    cr_assert_eq(o.out, 99);
    /* The host's own fault comes second to that of the launch before it. */
    static const uint32_t checked[] = {0, 0, 0, 0, 1, 2, 3, 7, 1, 1};
    const qn__plan_step bad[] = {HEAD, WRITE(5), LAUNCH(0), STEP(.op = QN__PLAN_CHECK, .aux = QN__FAULT_SHAPE, .operand_first = 7, .operand_count = 3), END()};
    const outcome first = run(bad, COUNT(bad), checked, COUNT(checked));
    cr_assert_eq(first.kind, QN__FAULT_INDEX, "%d %s", first.kind, first.text);
    const qn__plan_step late[] = {HEAD, WRITE(4), LAUNCH(0), STEP(.op = QN__PLAN_CHECK, .aux = QN__FAULT_SHAPE, .operand_first = 7, .operand_count = 3), END()};
    const outcome second = run(late, COUNT(late), checked, COUNT(checked));
    cr_assert_eq(second.kind, QN__FAULT_SHAPE, "%d %s", second.kind, second.text);
    cr_assert_eq(second.fault.index, 7);
}

Test(plans, launches_of_no_points_do_nothing) {
    static const uint32_t none[] = {7, 0, 0, 0, 1};
    const qn__plan_step steps[] = {HEAD, WRITE(4), LAUNCH(0), END()};
    const outcome o = run(steps, COUNT(steps), none, COUNT(none));
    cr_assert_eq(o.kind, 0, "%s", o.text);
}
