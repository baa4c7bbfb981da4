/* Every detector against a kernel that commits its fault, beside the same kernel done right. */
#include "core.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *const shared_buffer = ".shared .align 16 .b8 s[1024];";

typedef struct result { bool good; em_fault fault; } result;

static result run_with(const char *declarations, const char *body, uint32_t grid, uint32_t block, size_t in_bytes, bool free_in, bool off) {
    core machine = core_open();
    if (off) machine.device.race_check = machine.device.init_check = false;
    char *text = core_kernel(NULL, declarations, body);
    cr_assert_eq(core_load(&machine, text), EM_OK, "%s\n%s", machine.log.data, text);
    uint64_t parameters[2] = {core_new(&machine, 65536), core_new(&machine, in_bytes)};
    if (free_in) em_memory_free(machine.memory, parameters[1]);
    result r = {.good = core_launch(&machine, "kernel", grid, block, parameters)};
    r.fault = machine.fault;
    free(text);
    core_close(&machine);
    return r;
}

static result run(const char *declarations, const char *body, uint32_t block) { return run_with(declarations, body, 1, block, 400, false, false); }

static void fails(result r, em_fault_kind kind, const char *part) {
    cr_expect_not(r.good, "expected: %s", part);
    cr_expect_eq(r.fault.kind, kind, "kind %d: %s", r.fault.kind, r.fault.text);
    cr_expect(strstr(r.fault.text, part), "'%s' is not in '%s'", part, r.fault.text);
}

static void works(result r) { cr_expect(r.good, "%s", r.fault.text); }

Test(detect, global_bounds) {
    works(run("", "ld.global.u32 %r2, [%rd2+396];", 1));
    fails(run("", "ld.global.u32 %r2, [%rd2+400];", 1), EM_FAULT_ADDRESS, "0 bytes after allocation 2 of 400 bytes");
    fails(run("", "st.global.u32 [%rd2+416], %r2;", 1), EM_FAULT_ADDRESS, "write to 4 bytes");
    fails(run("", "st.global.u8 [%rd2+417], %r2;", 1), EM_FAULT_ADDRESS, "17 bytes after allocation 2 of 400 bytes");
    fails(run("", "ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%rd2+400];", 1), EM_FAULT_ADDRESS, "allocation 2");
    fails(run("", "add.u64 %rd2, %rd2, 392; ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%rd2+8];", 1), EM_FAULT_ADDRESS, "read of 16 bytes");
    fails(run("", "ld.global.u64 %rd3, [%rd2+-8];", 1), EM_FAULT_ADDRESS, "read of 8 bytes");
    fails(run("", "mov.u64 %rd3, 0; ld.global.u32 %r2, [%rd3];", 1), EM_FAULT_ADDRESS, "no memory of the device");
    fails(run("", "mov.u64 %rd3, 0; ld.u32 %r2, [%rd3];", 1), EM_FAULT_ADDRESS, "no memory of the device");
    fails(run("", "atom.global.add.u32 %r2, [%rd2+400], 1;", 1), EM_FAULT_ADDRESS, "atomic access");
    fails(run("", "red.global.add.u32 [%rd2+400], 1;", 1), EM_FAULT_ADDRESS, "atomic access");
}

Test(detect, the_thread_is_named) {
    const char *body = "mul.wide.u32 %rd3, %r1, 4; add.u64 %rd3, %rd3, %rd2;\nst.global.u32 [%rd3], %r1;";
    works(run("", body, 100));
    result r = run("", body, 101);
    fails(r, EM_FAULT_ADDRESS, "thread (100,0,0)");
    fails(r, EM_FAULT_ADDRESS, "kernel kernel, block (0,0,0)");
    fails(r, EM_FAULT_ADDRESS, "PTX line 10:");
}

Test(detect, source_line) {
    fails(run(".file 1 \"saxpy.cu\"", ".loc 1 17 3\nst.global.u32 [%rd2+400], %r1;", 1), EM_FAULT_ADDRESS, "saxpy.cu:17");
}

Test(detect, lowest_block_reports) {
    result r = run_with("", "mov.u32 %r2, %ctaid.x; setp.lt.u32 %p1, %r2, 5; @%p1 ret; st.global.u32 [%rd2+400], %r1;", 64, 32, 400, false, false);
    fails(r, EM_FAULT_ADDRESS, "block (5,0,0)");
}

Test(detect, misaligned) {
    fails(run("", "ld.global.u32 %r2, [%rd2+2];", 1), EM_FAULT_MISALIGNED, "no multiple of 4");
    fails(run("", "ld.global.v2.u32 {%r2, %r3}, [%rd2+4];", 1), EM_FAULT_MISALIGNED, "no multiple of 8");
    fails(run(shared_buffer, "mov.u32 %r2, s; st.shared.u64 [%r2+4], %rd1;", 1), EM_FAULT_MISALIGNED, "no multiple of 8");
    fails(run(".global .align 8 .b8 g[16];", "mov.u64 %rd3, g; ld.global.u16 %rs1, [%rd3+1];", 1), EM_FAULT_MISALIGNED, "no multiple of 2");
}

Test(detect, after_free) {
    fails(run_with("", "ld.global.u32 %r2, [%rd2];", 1, 1, 400, true, false), EM_FAULT_ADDRESS, "0 bytes into allocation 2 of 400 bytes, which was freed");
}

Test(detect, other_spaces) {
    fails(run("", ".local .align 4 .b8 l[16]; mov.u64 %rd3, l; st.local.u32 [%rd3+16], %r1;", 1), EM_FAULT_ADDRESS, "local memory");
    fails(run(shared_buffer, "mov.u32 %r2, s; st.shared.u32 [%r2+1024], %r1;", 1), EM_FAULT_SHARED, "of shared memory, which has 1024 bytes");
    fails(run(shared_buffer, "mov.u32 %r2, s; st.shared.u32 [%r2+-4], %r1;", 1), EM_FAULT_SHARED, "of shared memory");
    fails(run("", "mov.u64 %rd3, out; ld.param.u64 %rd4, [%rd3+16];", 1), EM_FAULT_ADDRESS, "of the parameters");
}

Test(detect, uninitialised_shared) {
    fails(run(shared_buffer, "ld.shared.u32 %r2, [s];", 1), EM_FAULT_UNINITIALISED, "read of shared memory at 0x0");
    fails(run(shared_buffer, "st.shared.u8 [s], %r1; ld.shared.u32 %r2, [s];", 1), EM_FAULT_UNINITIALISED, "read of shared memory at 0x0");
    works(run(shared_buffer, "st.shared.u32 [s], %r1; ld.shared.u32 %r2, [s];", 1));
    works(run_with(shared_buffer, "ld.shared.u32 %r2, [s];", 1, 1, 400, false, true));
    /* A second block finds what the first left, but did not write it. */
    fails(run_with(shared_buffer, "mov.u32 %r2, %ctaid.x; setp.ne.u32 %p1, %r2, 0; @!%p1 st.shared.u32 [s], 5; @%p1 ld.shared.u32 %r3, [s];", 2, 1, 400, false, false),
          EM_FAULT_UNINITIALISED, "block (1,0,0)");
}

#define ADDRESS "mov.u32 %r2, s; shl.b32 %r3, %r1, 2; add.u32 %r4, %r2, %r3; xor.b32 %r5, %r3, 128; add.u32 %r5, %r5, %r2;"

Test(detect, races) {
    const char *bad = ADDRESS "st.shared.u32 [%r4], %r1; ld.shared.u32 %r6, [%r5];";
    const char *good = ADDRESS "st.shared.u32 [%r4], %r1; bar.sync 0; ld.shared.u32 %r6, [%r5];";
    fails(run(shared_buffer, bad, 64), EM_FAULT_UNINITIALISED, "nobody wrote"); /* the first warp reads before the second writes */
    works(run(shared_buffer, good, 64));
    const char *twice = ADDRESS "st.shared.u32 [%r4], %r1; bar.sync 0; ld.shared.u32 %r6, [%r5]; st.shared.u32 [%r4], %r6;";
    fails(run(shared_buffer, twice, 64), EM_FAULT_RACE, "reads what was written by thread (0,0,0)");
    works(run(shared_buffer, ADDRESS "st.shared.u32 [%r4], %r1; bar.sync 0; ld.shared.u32 %r6, [%r5]; bar.sync 0; st.shared.u32 [%r4], %r6;", 64));
    fails(run(shared_buffer, "st.shared.u32 [s], %r1;", 2), EM_FAULT_RACE, "writes what was written by thread (0,0,0)");
    works(run(shared_buffer, "st.shared.u32 [s], 7;", 64)); /* all write the same */
    fails(run(shared_buffer, "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [s], 7; ld.shared.u32 %r2, [s];", 2), EM_FAULT_RACE, "reads what was written by thread (0,0,0)");
    works(run(shared_buffer, "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [s], 7; bar.warp.sync -1; ld.shared.u32 %r2, [s];", 32));
    fails(run(shared_buffer, "st.shared.u32 [s], 7; bar.sync 0; ld.shared.u32 %r2, [s]; setp.eq.u32 %p1, %r1, 63; @%p1 st.shared.u32 [s], 8;", 64), EM_FAULT_RACE, "writes what was read by");
    fails(run(shared_buffer, "st.shared.u32 [s], 7; bar.sync 0; ld.shared.u32 %r2, [s]; setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [s], 8;", 32), EM_FAULT_RACE, "writes what was read by");
    works(run_with(shared_buffer, twice, 1, 64, 400, false, true));
}

Test(detect, races_and_atomics) {
    works(run(shared_buffer, "st.shared.u32 [s], 0; bar.sync 0; atom.shared.add.u32 %r2, [s], 1; bar.sync 0; ld.shared.u32 %r3, [s];", 64));
    fails(run(shared_buffer, "st.shared.u32 [s], 0; bar.sync 0; atom.shared.add.u32 %r2, [s], 1; ld.shared.u32 %r3, [s];", 64), EM_FAULT_RACE, "thread");
    fails(run(shared_buffer, "atom.shared.add.u32 %r2, [s], 1;", 1), EM_FAULT_UNINITIALISED, "nobody wrote");
}

Test(detect, barriers) {
    fails(run("", "setp.lt.u32 %p1, %r1, 16; @%p1 bra A; bra B; A: bar.sync 0; B:", 32), EM_FAULT_BARRIER, "divergent code");
    works(run("", "setp.lt.u32 %p1, %r1, 32; @%p1 bra A; bra B; A: bar.sync 0, 32; B:", 64));
    fails(run("", "setp.lt.u32 %p1, %r1, 32; @%p1 bra A; bar.sync 1; bra B; A: bar.sync 0; B:", 64), EM_FAULT_BARRIER, "for ever");
    works(run("", "setp.lt.u32 %p1, %r1, 32; @%p1 ret; bar.sync 0;", 64)); /* who left counts as arrived */
    works(run("", "setp.lt.u32 %p1, %r1, 16; @%p1 ret; bar.sync 0;", 32));
    fails(run("", "bar.sync 0, 96;", 64), EM_FAULT_BARRIER, "for ever");
    fails(run("", "mov.u32 %r2, 17; bar.sync %r2;", 32), EM_FAULT_BARRIER, "barrier 17");
    fails(run("", "setp.lt.u32 %p1, %r1, 32; @%p1 bar.sync 0, 64; @!%p1 bar.sync 0, 96;", 64), EM_FAULT_BARRIER, "others came for 64");
    works(run("", "setp.lt.u32 %p1, %r1, 16; @%p1 bra A; barrier.sync 0; bra B; A: barrier.sync 0; B:", 32));
    fails(run("", "setp.lt.u32 %p1, %r1, 16; @%p1 bra A; bra B; A: bar.warp.sync -1; bra C; B: barrier.sync 0; C:", 32), EM_FAULT_LOOP, "for ever");
    works(run("", "setp.lt.u32 %p1, %r1, 16; @%p1 bra A; bra B; A: bar.warp.sync -1; B: ret;", 32));
    fails(run("", "bar.warp.sync 1;", 2), EM_FAULT_BARRIER, "in which it is not");
}

Test(detect, traps) {
    fails(run("", "setp.eq.u32 %p1, %r1, 33; @%p1 trap;", 64), EM_FAULT_TRAP, "thread (33,0,0)");
    fails(run(".extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);\n.global .align 1 .b8 m[5] = {120, 62, 48, 33, 0};\n.global .align 1 .b8 f[5] = {97, 46, 99, 117, 0};",
        "mov.u64 %rd3, m; mov.u64 %rd4, f; mov.u64 %rd5, 1; mov.u32 %r2, 12; { .param .b64 pa; .param .b64 pb; .param .b32 pc; .param .b64 pd; .param .b64 pe; st.param.b64 [pa], %rd3; "
        "st.param.b64 [pb], %rd4; st.param.b32 [pc], %r2; st.param.b64 [pd], %rd4; st.param.b64 [pe], %rd5; call __assertfail, (pa, pb, pc, pd, pe); }", 1),
        EM_FAULT_ASSERT, "a.cu:12: a.cu: assertion 'x>0!' failed");
}

Test(detect, stack_overflow) {
    fails(run(".func f(.param .b32 a);\n.func f(.param .b32 a) { .local .align 8 .b8 l[1024]; .reg .b32 %x; ld.param.b32 %x, [a]; { .param .b32 p; st.param.b32 [p], %x; call f, (p); } ret; }",
        "{ .param .b32 p; st.param.b32 [p], %r1; call f, (p); }", 1), EM_FAULT_ADDRESS, "stack overflow");
}

Test(detect, cancelled) {
    core machine = core_open();
    char *text = core_kernel(NULL, "", "L: bra L;");
    cr_assert_eq(core_load(&machine, text), EM_OK);
    uint64_t parameters[2] = {0, 0};
    int32_t cancel = 1;
    em_launch launch = {.function = em_module_function(machine.module, "kernel"), .grid = {4, 1, 1}, .block = {32, 1, 1}, .parameters = parameters,
        .memory = machine.memory, .device = &machine.device, .cancel = &cancel};
    cr_expect_not(em_execute(&launch, &machine.fault));
    cr_expect_eq(machine.fault.kind, EM_FAULT_CANCELLED);
    free(text);
    core_close(&machine);
}
