/* What ptxas refuses is refused, with the message of ptx/refused.txt; what it accepts is accepted (ptx/accepted.txt). Both lists were checked against ptxas 13.5. Further:
 * versions and targets, whole modules, several errors at once, hostile text. */
#include "core.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const frame = ".version %s\n.target %s\n.address_size 64\n.global .align 16 .b8 gv[64];\n.shared .align 16 .b8 sv[64];\n.const .align 16 .b8 cv[64];\n"
    ".extern .shared .align 16 .b8 dyn[];\n"
    ".func (.param .b32 rv) fn(.param .b32 a0, .param .b64 a1) { .reg .b32 %%q; ld.param.b32 %%q, [a0]; st.param.b32 [rv], %%q; ret; }\n"
    ".visible .entry k(.param .u64 out, .param .u32 n, .param .align 8 .b8 st[16]) {\n"
    ".reg .pred %%p<8>; .reg .b16 %%rs<8>; .reg .u16 %%us<4>; .reg .s16 %%ss<4>; .reg .f16 %%h<4>; .reg .b32 %%r<16>; .reg .u32 %%u<8>; .reg .s32 %%s<8>; .reg .f32 %%f<16>; "
    ".reg .f16x2 %%hh<4>; .reg .b64 %%rd<16>; .reg .u64 %%ud<4>; .reg .s64 %%sd<4>; .reg .f64 %%fd<16>; .reg .b8 %%b<4>;\n.local .align 8 .b8 lv[32];\n%s\nL: ret;\n}\n";

static em_status load(core *machine, const char *statement) {
    char version[16] = "9.0", target[16] = "sm_90", text[8192];
    int skip = 0;
    if (statement[0] == '[') sscanf(statement, "[%15s %15[^]]] %n", version, target, &skip);
    snprintf(text, sizeof text, frame, version, target, statement + skip);
    return core_load(machine, text);
}

static char *next_line(char **at) {
    char *line = *at;
    if (!*line) return NULL;
    char *end = strchr(line, '\n');
    if (end) *end = '\0';
    *at = end ? end + 1 : line + strlen(line);
    return line;
}

static void each(const char *name, bool accepted) {
    char path[300];
    snprintf(path, sizeof path, "%s/tests/emulator/ptx/%s", QN_SOURCE_DIR, name);
    char *text = core_read(path), *at = text, *line;
    cr_assert(text, "%s", path);
    core machine = core_open();
    while ((line = next_line(&at))) {
        if (line[0] == '#') continue;
        char *message = strchr(line, '\t');
        if (message) *message++ = '\0';
        em_status status = load(&machine, line);
        if (accepted) cr_expect_eq(status, EM_OK, "%s: %s", line, machine.log.data);
        else cr_expect_neq(status, EM_OK, "accepted: %s", line);
        if (!accepted && status != EM_OK && message) cr_expect(machine.log.data && strstr(machine.log.data, message), "%s: '%s', expected '%s'", line, machine.log.data, message);
    }
    core_close(&machine);
    free(text);
}

Test(strict, refused) { each("refused.txt", false); }
Test(strict, accepted) { each("accepted.txt", true); }

static void status_of(const char *text, em_device device, em_status expected, const char *message) {
    core machine = core_open();
    machine.device = device;
    em_status status = core_load(&machine, text);
    cr_expect_eq(status, expected, "status %d: %s\n%s", status, machine.log.data, text);
    if (message) cr_expect(machine.log.data && strstr(machine.log.data, message), "'%s' is not in '%s'", message, machine.log.data);
    cr_expect(status == EM_OK || !machine.module);
    core_close(&machine);
}

Test(strict, versions_and_targets) {
    const em_device ampere = {.sm = 80, .ptx_version = 83, .processors = 1, .workers = 1}, hopper = {.sm = 90, .ptx_version = 83, .processors = 1, .workers = 1};
    status_of(".version 8.3\n.target sm_80\n.address_size 64\n", ampere, EM_OK, NULL);
    status_of(".version 8.4\n.target sm_80\n.address_size 64\n", ampere, EM_UNSUPPORTED_PTX_VERSION, "Unsupported .version 8.4; current version is '8.3'");
    status_of(".version 8.3\n.target sm_86\n.address_size 64\n", ampere, EM_NO_BINARY_FOR_GPU, "line 2:");
    status_of(".version 8.3\n.target sm_75\n.address_size 64\n", ampere, EM_OK, NULL);
    status_of(".version 8.3\n.target sm_90a\n.address_size 64\n", hopper, EM_OK, NULL);
    status_of(".version 6.4\n.target sm_80\n.address_size 64\n", ampere, EM_INVALID_PTX, "does not support .target sm_80");
    status_of(".version 8.3\n.target sm_81\n", ampere, EM_INVALID_PTX, "Unknown .target");
    status_of(".version 8.3\n.target sm_80\n.address_size 32\n", ampere, EM_INVALID_PTX, ".address_size");
    status_of("", ampere, EM_INVALID_PTX, "Missing .version");
    status_of(".target sm_80\n", ampere, EM_INVALID_PTX, "Missing .version");
    status_of(".version 8.3\n", ampere, EM_INVALID_PTX, "Missing .target");
    status_of("hello", ampere, EM_INVALID_PTX, "line 1:");
}

#define HEAD ".version 8.3\n.target sm_80\n.address_size 64\n"

Test(strict, modules) {
    const em_device device = {.sm = 80, .ptx_version = 83, .processors = 1, .workers = 1};
    status_of(HEAD ".entry a() { ret; }\n.entry a() { ret; }\n", device, EM_INVALID_PTX, "Duplicate definition of function 'a'");
    status_of(HEAD ".entry a() { ret; ", device, EM_INVALID_PTX, "syntax error");
    status_of(HEAD ".entry a( { ret; }", device, EM_INVALID_PTX, "line 4:");
    status_of(HEAD ".global .u32 g;\n.global .u32 g;\n", device, EM_INVALID_PTX, "line 5: Duplicate definition of 'g'");
    status_of(HEAD ".extern .func f();\n.entry a() { call f, (); ret; }", device, EM_INVALID_PTX, "Unresolved extern function 'f'");
    status_of(HEAD ".func f();\n.entry a() { call f, (); ret; }\n.func f() { ret; }", device, EM_OK, NULL);
    status_of(HEAD ".func f(.param .b32 x);\n.func f(.param .b64 x) { ret; }", device, EM_INVALID_PTX, "does not match");
    status_of(HEAD ".extern .global .u32 g;\n.entry a() { ret; }", device, EM_INVALID_PTX, "Unresolved extern variable 'g'");
    status_of(HEAD ".func f() .maxntid 32 { ret; }", device, EM_INVALID_PTX, "allowed for .entry");
    status_of(HEAD ".reg .b32 %r;\n", device, EM_INVALID_PTX, "module level");
    status_of(HEAD ".entry a(.param .align 8 .b8 p[40000]) { ret; }", device, EM_INVALID_PTX, "too large");
    status_of(HEAD ".shared .b8 s[2000000];\n.entry a() { .reg .b32 %r; mov.u32 %r, s; ret; }", device, EM_INVALID_PTX, "Too much shared memory");
    status_of(HEAD ".entry a() { .reg .b32 %r<4>;\nadd.u32 %r1, %r2;\nfoo %r1;\nadd.u32 %r1, %r2, %x;\nadd.u32 %r1, %r2, %r3;\n}", device, EM_INVALID_PTX,
        "line 5: Too few arguments for instruction 'add'\nline 6: Not a name of any known instruction: 'foo'\nline 7: Unknown symbol '%x'\n");
}

Test(strict, hostile) {
    const em_device device = {.sm = 80, .ptx_version = 83, .processors = 1, .workers = 1};
    size_t size = 1 << 20;
    char *text = malloc(size + 1);
    static const char *const repeated[] = {"{", "(", "-", "[", ".", "/*", "%", "\"", "L:", ".reg .b32 %r<1000000>;", "@", "1+", "0x"};
    for (size_t k = 0; k < sizeof repeated / sizeof *repeated; k++) {
        size_t at = (size_t)snprintf(text, size, HEAD ".entry a() { .reg .b32 %%r1; mov.u32 %%r1, "), length = strlen(repeated[k]);
        if (k % 2) at = (size_t)snprintf(text, size, HEAD ".entry a() { ");
        while (at + length < size) memcpy(text + at, repeated[k], length), at += length;
        text[at] = '\0';
        status_of(text, device, EM_INVALID_PTX, "line ");
    }
    free(text);
}
