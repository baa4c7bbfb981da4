/* Control flow and what threads do together: shapes of divergence, calls, barriers, collectives, atomics, copies, matrices. */
#include "core.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint32_t (*expectation)(uint32_t thread, const uint32_t *in, uint32_t block);

static uint32_t inputs[1024];

/* Every thread's 32-bit result at out + 4 * tid; in has random words. With one worker and with two. */
static void run(const char *header, const char *declarations, const char *body, uint32_t block, expectation expected) {
    for (uint32_t workers = 1; workers <= 2; workers++) {
        core machine = core_open();
        machine.device.workers = workers;
        char whole[6000];
        snprintf(whole, sizeof whole, "mul.wide.u32 %%rd3, %%r1, 4; add.u64 %%rd1, %%rd1, %%rd3; add.u64 %%rd4, %%rd2, %%rd3; ld.global.u32 %%r2, [%%rd4];\n%s\nst.global.u32 [%%rd1], %%r3;", body);
        char *text = core_kernel(header, declarations, whole);
        cr_assert_eq(core_load(&machine, text), EM_OK, "%s\n%s", machine.log.data, body);
        uint64_t parameters[2] = {core_new(&machine, 4096), core_new(&machine, 4096)}, state = 11;
        uint32_t *in = (uint32_t *)(uintptr_t)parameters[1], *out = (uint32_t *)(uintptr_t)parameters[0];
        for (uint32_t k = 0; k < 1024; k++) in[k] = inputs[k] = (uint32_t)core_random(&state);
        cr_expect(core_launch(&machine, "kernel", 1, block, parameters), "%s\n%s", machine.fault.text, body);
        for (uint32_t k = 0; k < block; k++) {
            uint32_t wanted = expected(k, inputs, block);
            if (out[k] == wanted) continue;
            cr_expect(false, "thread %u: 0x%08x, expected 0x%08x\n%s", k, out[k], wanted, body);
            break;
        }
        free(text);
        core_close(&machine);
    }
}

static const char *const sm90 = ".version 8.3\n.target sm_90";

/* ---- divergence ---- */

static uint32_t indexed(uint32_t t, const uint32_t *in, uint32_t n) { (void)n; uint32_t k = in[t] & 3; return (k == 0 ? 10 : k == 1 ? 20 + t : k == 2 ? 30 : 10) * 2; }
Test(flow, indexed_branch) {
    run(NULL, "", "ts: .branchtargets A, B, C, A; and.b32 %r4, %r2, 3; brx.idx %r4, ts;\nA: mov.u32 %r3, 10; bra E; B: add.u32 %r3, %r1, 20; bra E; C: mov.u32 %r3, 30;\nE: shl.b32 %r3, %r3, 1;", 100, indexed);
}

static uint32_t loops(uint32_t t, const uint32_t *in, uint32_t n) {
    (void)n;
    uint32_t r = 0;
    for (uint32_t k = 0; k < (in[t] & 15); k++) {
        for (uint32_t j = 0; j < (in[t] >> 4 & 7); j++) {
            if (((k + j) & 3) == 3) break;
            r += k * j + 1;
        }
        if (r > 60) return r;
    }
    return r + 1000;
}
Test(flow, loops_with_two_exits) {
    run(NULL, "", "mov.u32 %r3, 0; and.b32 %r4, %r2, 15; bfe.u32 %r5, %r2, 4, 3; mov.u32 %r6, 0;\n"
        "K: setp.ge.u32 %p1, %r6, %r4; @%p1 bra D; mov.u32 %r7, 0;\nJ: setp.ge.u32 %p2, %r7, %r5; @%p2 bra N; add.u32 %r8, %r6, %r7; and.b32 %r8, %r8, 3; setp.eq.u32 %p3, %r8, 3; @%p3 bra N;\n"
        "mad.lo.u32 %r9, %r6, %r7, 1; add.u32 %r3, %r3, %r9; add.u32 %r7, %r7, 1; bra J;\nN: setp.gt.u32 %p4, %r3, 60; @%p4 bra E; add.u32 %r6, %r6, 1; bra K;\nD: add.u32 %r3, %r3, 1000;\nE:", 128, loops);
}

/* Two loops that jump into each other: no single header. */
static uint32_t irreducible(uint32_t t, const uint32_t *in, uint32_t n) {
    (void)n;
    uint32_t r = 0, c = in[t] & 31;
    bool b = in[t] & 32;
    for (;;) {
        if (!b) { r += 1; if (c-- == 0) return r; }
        b = false;
        r += 100; if (c-- == 0) return r;
        if (c & 4) b = true;
    }
}
Test(flow, irreducible) {
    run(NULL, "", "mov.u32 %r3, 0; and.b32 %r4, %r2, 31; and.b32 %r5, %r2, 32; setp.ne.u32 %p1, %r5, 0; @%p1 bra B;\nA: add.u32 %r3, %r3, 1; setp.eq.u32 %p2, %r4, 0; sub.u32 %r4, %r4, 1; @%p2 bra E;\n"
        "B: add.u32 %r3, %r3, 100; setp.eq.u32 %p2, %r4, 0; sub.u32 %r4, %r4, 1; @%p2 bra E; and.b32 %r6, %r4, 4; setp.ne.u32 %p3, %r6, 0; @%p3 bra B; bra A;\nE:", 96, irreducible);
}

static uint32_t left(uint32_t t, const uint32_t *in, uint32_t n) { (void)in, (void)n; return t % 3 == 0 ? 0 : t % 3 == 1 ? 5 : 7; }
Test(flow, early_exits) {
    run(NULL, "", "rem.u32 %r4, %r1, 3; setp.eq.u32 %p1, %r4, 0; @%p1 exit; setp.eq.u32 %p2, %r4, 1; mov.u32 %r3, 7; @%p2 bra A; bra E; A: mov.u32 %r3, 5; st.global.u32 [%rd1], %r3; ret; E:", 70, left);
}

static uint32_t active(uint32_t t, const uint32_t *in, uint32_t n) { (void)in, (void)n; return t < 8 ? 0xff : 0xffffff00; }
Test(flow, lanes_meet_again) {
    run(NULL, "", "setp.lt.u32 %p1, %r1, 8; @%p1 bra A; activemask.b32 %r3; bra E; A: activemask.b32 %r3;\nE: activemask.b32 %r4; setp.ne.u32 %p2, %r4, -1; @%p2 trap;", 32, active);
}

/* ---- calls ---- */

static uint32_t called(uint32_t t, const uint32_t *in, uint32_t n) { (void)n; return in[t] & 1 ? in[t] * 3 + 1 : t ^ 0x55; }
Test(flow, divergent_calls) {
    run(NULL, ".func (.reg .b32 r) f(.reg .b32 a) { .reg .b32 %t; mul.lo.u32 %t, a, 3; add.u32 r, %t, 1; ret; }\n"
        ".func (.param .b32 r) g(.param .b32 a) { .reg .b32 %t<3>; .reg .pred %p; ld.param.b32 %t0, [a]; setp.lt.u32 %p, %t0, 16; @%p bra L; xor.b32 %t1, %t0, 85; st.param.b32 [r], %t1; ret; L: xor.b32 %t2, %t0, 85; st.param.b32 [r+0], %t2; ret; }",
        "and.b32 %r4, %r2, 1; setp.eq.u32 %p1, %r4, 1; @%p1 bra A; { .param .b32 a; .param .b32 r; st.param.b32 [a], %r1; call (r), g, (a); ld.param.b32 %r3, [r]; } bra E;\nA: call (%r3), f, (%r2);\nE:", 64, called);
}
Test(flow, guarded_and_indirect_calls) {
    run(NULL, ".func (.param .b32 r) f(.param .b32 a) { .reg .b32 %t; ld.param.b32 %t, [a]; mad.lo.u32 %t, %t, 3, 1; st.param.b32 [r], %t; ret; }\n"
        ".func (.param .b32 r) g(.param .b32 a) { .reg .b32 %t; mov.u32 %t, %tid.x; xor.b32 %t, %t, 85; st.param.b32 [r], %t; ret; }\n.global .u64 table[2] = {g, f};",
        "and.b32 %r4, %r2, 1; mul.wide.u32 %rd5, %r4, 8; mov.u64 %rd6, table; add.u64 %rd5, %rd5, %rd6; ld.global.u64 %rd7, [%rd5];\n"
        "{ .param .b32 a; .param .b32 r; st.param.b32 [a], %r2; pr: .callprototype (.param .b32 _) _ (.param .b32 _); call (r), %rd7, (a), pr; ld.param.b32 %r3, [r]; }", 64, called);
}

/* ---- barriers ---- */

static uint32_t count(uint32_t t, const uint32_t *in, uint32_t n) {
    (void)t;
    uint32_t c = 0, all = 1, any = 0;
    for (uint32_t k = 0; k < n; k++) c += in[k] & 1, all &= in[k] >> 1, any |= in[k] >> 2;
    return c + (all & 1) * 1000 + (any & 1) * 2000;
}
Test(flow, barrier_reductions) {
    run(NULL, "", "and.b32 %r4, %r2, 1; setp.eq.u32 %p1, %r4, 1; bar.red.popc.u32 %r3, 0, %p1; and.b32 %r4, %r2, 2; setp.ne.u32 %p2, %r4, 2; bar.red.and.pred %p3, 1, !%p2; and.b32 %r4, %r2, 4; setp.eq.u32 %p2, %r4, 4;\n"
        "bar.red.or.pred %p4, 2, 96, %p2; @%p3 add.u32 %r3, %r3, 1000; @%p4 add.u32 %r3, %r3, 2000;", 96, count);
}

/* The first warp produces, the second consumes; each waits for the other only where it must. */
static uint32_t pipeline(uint32_t t, const uint32_t *in, uint32_t n) { (void)n; return t < 32 ? 0 : in[t - 32] + in[t - 32] * 2 + in[t - 32] * 3; }
Test(flow, producer_and_consumer) {
    run(NULL, ".shared .align 4 .b8 s[128];", "mov.u32 %r3, 0; and.b32 %r4, %r1, 31; shl.b32 %r4, %r4, 2; mov.u32 %r5, s; add.u32 %r4, %r4, %r5; mov.u32 %r6, 1; setp.ge.u32 %p1, %r1, 32; @%p1 bra C;\n"
        "P: setp.gt.u32 %p2, %r6, 1; @!%p2 bra Q; bar.sync 2, 64;\nQ: mul.lo.u32 %r7, %r2, %r6; st.shared.u32 [%r4], %r7; bar.arrive 1, 64; add.u32 %r6, %r6, 1; setp.lt.u32 %p3, %r6, 4; @%p3 bra P; bra E;\n"
        "C: bar.sync 1, 64; ld.shared.u32 %r8, [%r4]; add.u32 %r3, %r3, %r8; add.u32 %r6, %r6, 1; setp.lt.u32 %p3, %r6, 4; @!%p3 bra E; bar.arrive 2, 64; bra C;\nE:", 64, pipeline);
}

/* ---- collectives ---- */

/* The ISA's description of shfl, for every mode, width and distance. */
static uint32_t shuffle_mode, shuffle_b, shuffle_c;
static uint32_t shuffled(uint32_t t, const uint32_t *in, uint32_t n) {
    (void)n;
    int lane = (int)(t & 31), b = (int)(shuffle_b & 31), clamp = (int)(shuffle_c & 31), segment = (int)(shuffle_c >> 8 & 31), j, p;
    int most = (lane & segment) | (clamp & ~segment), least = lane & segment;
    switch (shuffle_mode) {
    case 0: j = lane - b, p = j >= most; break;
    case 1: j = lane + b, p = j <= most; break;
    case 2: j = lane ^ b, p = j <= most; break;
    default: j = least | (b & ~segment), p = j <= most; break;
    }
    if (!p) j = lane;
    return in[(t & ~31u) + (uint32_t)j] * 2 + (uint32_t)p;
}
Test(flow, shuffles) {
    static const char *const modes[] = {"up", "down", "bfly", "idx"};
    for (shuffle_mode = 0; shuffle_mode < 4; shuffle_mode++) {
        for (uint32_t width = 2; width <= 32; width *= 4) {
            for (shuffle_b = 0; shuffle_b < 32; shuffle_b += 5) {
                char body[300];
                shuffle_c = (32 - width) << 8 | (shuffle_mode == 0 ? 0 : 31);
                snprintf(body, sizeof body, "shfl.sync.%s.b32 %%r3|%%p1, %%r2, %u, %u, -1; shl.b32 %%r3, %%r3, 1; @%%p1 add.u32 %%r3, %%r3, 1;", modes[shuffle_mode], shuffle_b, shuffle_c);
                run(NULL, "", body, 64, shuffled);
            }
        }
    }
}

/* Both arms of a branch execute the same collective: lanes wait for each other across it. */
static uint32_t across(uint32_t t, const uint32_t *in, uint32_t n) { (void)n; return in[t ^ 1] + (in[t] & 1 ? 7 : 9); }
Test(flow, collectives_in_both_arms) {
    run(NULL, "", "and.b32 %r4, %r2, 1; setp.eq.u32 %p1, %r4, 1; @%p1 bra A; shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1; add.u32 %r3, %r3, 9; bra E;\nA: shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1; add.u32 %r3, %r3, 7;\nE:", 32, across);
}
static uint32_t halves(uint32_t t, const uint32_t *in, uint32_t n) {
    (void)n;
    uint32_t r = 0;
    for (uint32_t k = t & 16; k < (t & 16) + 16; k++) r |= (in[k] & 1) << k;
    return r + t / 16;
}
Test(flow, votes_of_halves) {
    run(NULL, "", "and.b32 %r4, %r2, 1; setp.eq.u32 %p2, %r4, 1; setp.lt.u32 %p1, %r1, 16; @%p1 bra A; vote.sync.ballot.b32 %r3, %p2, 0xffff0000; add.u32 %r3, %r3, 1; bra E;\nA: vote.sync.ballot.b32 %r3, %p2, 0xffff;\nE:", 32, halves);
}
static uint32_t elected(uint32_t t, const uint32_t *in, uint32_t n) {
    (void)n;
    uint32_t w = t & ~31u, sum = 0, most = 0, all = ~0u, same = 0;
    for (uint32_t k = w; k < w + 32; k++) sum += in[k], most = in[k] > most ? in[k] : most, all &= in[k], same |= (uint32_t)((in[k] & 3) == (in[t] & 3)) << (k - w);
    return (sum ^ most ^ all ^ same) + (t == w);
}
Test(flow, redux_match_elect) {
    run(sm90, "", "redux.sync.add.u32 %r3, %r2, -1; redux.sync.max.u32 %r4, %r2, -1; xor.b32 %r3, %r3, %r4; redux.sync.and.b32 %r4, %r2, -1; xor.b32 %r3, %r3, %r4; and.b32 %r5, %r2, 3; match.any.sync.b32 %r4, %r5, -1;\n"
        "xor.b32 %r3, %r3, %r4; elect.sync %r6|%p1, -1; @%p1 add.u32 %r3, %r3, 1;", 64, elected);
}
static uint32_t transposed(uint32_t t, const uint32_t *in, uint32_t n) {
    (void)n;
    uint32_t r = 0;
    for (uint32_t k = 0; k < 2; k++) {
        uint32_t row = t % 4 * 2 + k, column = t / 4;
        r |= (in[row * 4 + column / 2] >> column % 2 * 16 & 0xffff) << 16 * k;
    }
    return r;
}
Test(flow, movmatrix) { run(".version 8.3\n.target sm_80", "", "movmatrix.sync.aligned.m8n8.trans.b16 %r3, %r2;", 32, transposed); }

/* A lock that one lane of a warp holds while the others spin. */
static uint32_t locked(uint32_t t, const uint32_t *in, uint32_t n) {
    (void)t;
    uint32_t sum = 0;
    for (uint32_t k = 0; k < n; k++) sum += in[k];
    return sum;
}
Test(flow, spinning_lanes) {
    run(NULL, ".global .u32 lock; .global .u32 total;", "S: atom.global.cas.b32 %r4, [lock], 0, 1; setp.ne.u32 %p1, %r4, 0; @%p1 bra S;\nmembar.gl; ld.volatile.global.u32 %r5, [total]; add.u32 %r5, %r5, %r2; st.volatile.global.u32 [total], %r5; membar.gl;\n"
        "atom.global.exch.b32 %r6, [lock], 0; bar.sync 0; ld.volatile.global.u32 %r3, [total];", 64, locked);
}

/* ---- memory ---- */

static uint32_t async_bytes(uint32_t t, const uint32_t *in, uint32_t n) { (void)n; return in[t] & 0xffff; }
Test(flow, copies_fill_with_zeros) {
    run(NULL, ".shared .align 4 .b8 s[256];", "shl.b32 %r4, %r1, 2; mov.u32 %r5, s; add.u32 %r4, %r4, %r5; cp.async.ca.shared.global [%r4], [%rd4], 4, 2; cp.async.commit_group; cp.async.wait_group 0; ld.shared.u32 %r3, [%r4];", 64, async_bytes);
}
Test(flow, copies_take_effect_when_waited_for) {
    core machine = core_open();
    char *text = core_kernel(NULL, ".shared .align 4 .b8 s[256];", "cp.async.ca.shared.global [s], [%rd2], 4; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r3, [s];");
    cr_assert_eq(core_load(&machine, text), EM_OK);
    uint64_t parameters[2] = {core_new(&machine, 64), core_new(&machine, 64)};
    cr_expect_not(core_launch(&machine, "kernel", 1, 1, parameters));
    cr_expect_eq(machine.fault.kind, EM_FAULT_UNINITIALISED, "%s", machine.fault.text);
    free(text);
    core_close(&machine);
}
static uint32_t spaces(uint32_t t, const uint32_t *in, uint32_t n) { (void)n; return in[t] * 2 + 0x2d; }
Test(flow, generic_addresses) {
    run(NULL, ".shared .align 4 .b8 s[256]; .const .align 4 .u32 c = 5;", ".local .align 4 .b8 l[8]; mov.u64 %rd5, l; cvta.local.u64 %rd6, %rd5; st.u32 [%rd6+4], %r2; ld.local.u32 %r3, [%rd5+4]; shl.b32 %r4, %r1, 2; cvt.u64.u32 %rd7, %r4; mov.u64 %rd8, s; add.u64 %rd7, %rd7, %rd8;\n"
        "cvta.shared.u64 %rd9, %rd7; st.u32 [%rd9], %r2; ld.shared.u32 %r5, [%rd7]; add.u32 %r3, %r3, %r5; isspacep.shared %p1, %rd9; @%p1 add.u32 %r3, %r3, 8; isspacep.local %p2, %rd6; @%p2 add.u32 %r3, %r3, 32; isspacep.global %p3, %rd9; @%p3 add.u32 %r3, %r3, 1000;\n"
        "mov.u64 %rd10, c; cvta.const.u64 %rd11, %rd10; ld.u32 %r6, [%rd11]; add.u32 %r3, %r3, %r6; cvta.to.shared.u64 %rd12, %rd9; setp.ne.u64 %p4, %rd12, %rd7; @%p4 trap;", 64, spaces);
}

/* ---- matrices ---- */

static float half_value(uint16_t h) {
    int e = h >> 10 & 31, m = h & 1023;
    float v = e ? ldexpf((float)(m + 1024), e - 25) : ldexpf((float)m, -24);
    return h >> 15 ? -v : v;
}
typedef struct shape { const char *name, *registers; char type; int m, k; } shape; /* type: h f16, b bf16, t tf32, c s8, u u8 */

static double element(const shape *s, const uint32_t *words, int row, int column, bool of_b) {
    /* Element (row, column) of A, or of B's transpose; where the ISA's fragment layout puts it. */
    int per = s->type == 't' ? 1 : s->type == 'c' || s->type == 'u' ? 4 : 2, group = row % 8, inner = column / per % 4, part = column % per;
    int r = of_b ? column / (4 * per) : (s->m == 16 ? row / 8 + 2 * (column / (4 * per)) : column / (4 * per));
    uint32_t w = words[r * 32 + group * 4 + inner];
    float f;
    switch (s->type) {
    case 'h': return (double)half_value((uint16_t)(w >> 16 * part));
    case 'b': w = (w >> 16 * part) << 16, memcpy(&f, &w, 4); return (double)f;
    case 't': w &= 0xffffe000, memcpy(&f, &w, 4); return (double)f;
    case 'c': return (int8_t)(w >> 8 * part);
    default: return (uint8_t)(w >> 8 * part);
    }
}

static void product(const shape *s) {
    int per = s->type == 't' ? 1 : s->type == 'c' || s->type == 'u' ? 4 : 2, a_count = s->m * s->k / per / 32, b_count = s->k * 8 / per / 32, d_count = s->m / 8 * 2;
    bool whole = s->type == 'c' || s->type == 'u';
    char body[3000];
    size_t at = (size_t)snprintf(body, sizeof body, "mad.wide.u32 %%rd2, %%r1, 4, %%rd2; mad.wide.u32 %%rd1, %%r1, 4, %%rd1;\n");
    for (int k = 0; k < a_count + b_count; k++) at += (size_t)snprintf(body + at, sizeof body - at, "ld.global.b32 %%r%d, [%%rd2+%d];\n", 10 + k, 128 * k);
    for (int k = 0; k < d_count; k++) at += (size_t)snprintf(body + at, sizeof body - at, whole ? "mov.b32 %%r%d, %d;\n" : "cvt.rn.f32.s32 %%f%d, %d;\n", 40 + k, k + 1);
    at += (size_t)snprintf(body + at, sizeof body - at, "mma.sync.aligned.%s ", s->name);
    int starts[4] = {40, 10, 10 + a_count, 40}, counts[4] = {d_count, a_count, b_count, d_count};
    for (int v = 0; v < 4; v++) {
        for (int k = 0; k < counts[v]; k++) {
            at += (size_t)snprintf(body + at, sizeof body - at, "%s%%%c%d%s", k ? "," : "{", v % 3 == 0 && !whole ? 'f' : 'r', starts[v] + k, k + 1 == counts[v] ? (v < 3 ? "}, " : "};\n") : "");
        }
    }
    for (int k = 0; k < d_count; k++) at += (size_t)snprintf(body + at, sizeof body - at, "st.global.b32 [%%rd1+%d], %%%c%d;\n", 128 * k, whole ? 'r' : 'f', 40 + k);
    char *text = core_kernel(NULL, "", body);
    core machine = core_open();
    cr_assert_eq(core_load(&machine, text), EM_OK, "%s\n%s", machine.log.data, text);
    uint64_t parameters[2] = {core_new(&machine, 4096), core_new(&machine, 4096)}, state = 5;
    uint32_t *in = (uint32_t *)(uintptr_t)parameters[1], *out = (uint32_t *)(uintptr_t)parameters[0];
    for (int k = 0; k < 1024; k++) {
        uint64_t r = core_random(&state);
        float f = (float)((double)(r >> 11) * 0x1p-52 - 1);
        uint32_t w;
        memcpy(&w, &f, 4);
        in[k] = s->type == 'h' ? (uint32_t)r & 0xbbffbbff : s->type == 'b' ? (w >> 16) * 0x10001u : s->type == 't' ? w : (uint32_t)r;
    }
    cr_assert(core_launch(&machine, "kernel", 1, 32, parameters), "%s", machine.fault.text);
    for (int row = 0; row < s->m; row++) {
        for (int column = 0; column < 8; column++) {
            int reg = row / 8 * 2 + column % 2, lane = row % 8 * 4 + column / 2;
            double sum = reg + 1;
            for (int k = 0; k < s->k; k++) sum += element(s, in, row, k, false) * element(s, in + 32 * a_count, column, k, true);
            float got;
            memcpy(&got, &out[reg * 32 + lane], 4);
            double value = whole ? (int32_t)out[reg * 32 + lane] : (double)got;
            cr_expect(fabs(value - sum) <= 1e-6 * (fabs(sum) + 1), "%s: (%d, %d) is %g, expected %g", s->name, row, column, value, sum);
        }
    }
    free(text);
    core_close(&machine);
}

Test(flow, matrix_products) {
    static const shape shapes[] = {{"m16n8k8.row.col.f32.f16.f16.f32", "", 'h', 16, 8}, {"m16n8k16.row.col.f32.f16.f16.f32", "", 'h', 16, 16}, {"m16n8k8.row.col.f32.bf16.bf16.f32", "", 'b', 16, 8},
        {"m16n8k16.row.col.f32.bf16.bf16.f32", "", 'b', 16, 16}, {"m16n8k4.row.col.f32.tf32.tf32.f32", "", 't', 16, 4}, {"m16n8k8.row.col.f32.tf32.tf32.f32", "", 't', 16, 8},
        {"m8n8k16.row.col.s32.s8.s8.s32", "", 'c', 8, 16}, {"m16n8k16.row.col.s32.u8.u8.s32", "", 'u', 16, 16}, {"m16n8k32.row.col.s32.s8.s8.s32", "", 'c', 16, 32}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) product(&shapes[k]);
}
