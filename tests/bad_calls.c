// Makes wrong calls: one file of kernels, a good .npy file and many damaged ones, and command lines over them.
#include "tests/bad_calls.h"
#include "tests/bad_source.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char kernels[] =
    "kernel scale(a: f32, x: f32[n]) -> y: f32[n] { y[i] = a * x[i] }\n"
    "kernel twice(x: f64[n]) -> y: f64[n] { y[i] = x[i] + x[i] }\n"
    "kernel matrix(a: f32[n, m], x: f32[m]) -> y: f32[n] { y[i] = sum(j: a[i, j] * x[j]) }\n"
    "kernel small(v: i8) -> y: i32[1] { y[i] = i32(v) }\n"
    "kernel gather(at: i64[n], x: f64[m]) -> y: f64[n] { y[i] = x[at[i]] }\n"
    "kernel scatter(at: i64[n], k: size) -> y: f64[k] { y[at[i]] += 1.0 }\n"
    "kernel divide(a: i64[n], b: i64[n]) -> y: i64[n] { y[i] = a[i] / b[i] }\n"
    "kernel modulo(a: i64[n], b: i64[n]) -> y: i64[n] { y[i] = a[i] % b[i] }\n"
    "kernel least(x: f64[n]) -> y: i64[1] { y[k] = argmin(i: x[i]) }\n"
    "kernel fill(n: size) -> y: f64[n] { y[i] = 1.0 }\n"
    "kernel square(n: size) -> y: f64[n, n] { y[i, j] = 1.0 }\n"
    "kernel shrink(k: size, x: f64[n]) -> y: f64[n - k] { y[i] = 1.0 }\n"
    "kernel forever(x: f64[n]) -> y: f64[n] { y[i] = { var a = x[i]; while a > -1.0 { a = a + 1.0 - 1.0 }; a } }\n";

// Malformed or unsuitable .npy files: a version, a header text, and how many bytes of data follow.
typedef struct {
    const char *name, *header;
    int major;
    int data;  // bytes
    int codes; // of a call that needs f64[n]
} npy_case;

static const npy_case npy_cases[] = {
    {"good", "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 1, 24, OK},
    {"single", "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 1, 12, USAGE | FILES},
    {"integers", "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }", 1, 24, USAGE | FILES},
    {"matrix", "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 1), }", 1, 24, USAGE | FILES},
    {"scalar", "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 1, 8, USAGE | FILES},
    {"rank9", "{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 1, 8, USAGE | FILES},
    {"bigendian", "{'descr': '>f8', 'fortran_order': False, 'shape': (3,), }", 1, 24, OK | FILES},
    {"short", "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 1, 23, FILES},
    {"nodata", "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 1, 0, FILES},
    {"long", "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 1, 32, OK | FILES},
    {"negative", "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }", 1, 24, FILES},
    {"huge", "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,), }", 1, 24, FILES},
    {"huger", "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,), }", 1, 24, FILES},
    {"product", "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 1, 24, USAGE | FILES},
    {"zeroproduct", "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 0), }", 1, 0, USAGE | FILES},
    {"fraction", "{'descr': '<f8', 'fortran_order': False, 'shape': (3.0,), }", 1, 24, FILES},
    {"names", "{'descr': '<f8', 'fortran_order': False, 'shape': (n,), }", 1, 24, FILES},
    {"list", "{'descr': '<f8', 'fortran_order': False, 'shape': [3], }", 1, 24, FILES},
    {"number", "{'descr': '<f8', 'fortran_order': False, 'shape': 3, }", 1, 24, FILES},
    {"open", "{'descr': '<f8', 'fortran_order': False, 'shape': (3,", 1, 24, FILES},
    {"noshape", "{'descr': '<f8', 'fortran_order': False, }", 1, 24, FILES},
    {"nodescr", "{'fortran_order': False, 'shape': (3,), }", 1, 24, FILES},
    {"noorder", "{'descr': '<f8', 'shape': (3,), }", 1, 24, FILES},
    {"order", "{'descr': '<f8', 'fortran_order': Maybe, 'shape': (3,), }", 1, 24, FILES},
    {"twice", "{'descr': '<f8', 'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 1, 24, FILES | USAGE | OK},
    {"extra", "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'more': 1, }", 1, 24, FILES},
    {"object", "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", 1, 24, FILES},
    {"record", "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,), }", 1, 24, FILES},
    {"odd", "{'descr': '<f3', 'fortran_order': False, 'shape': (3,), }", 1, 24, FILES},
    {"complex", "{'descr': '<c16', 'fortran_order': False, 'shape': (3,), }", 1, 48, FILES},
    {"text", "{'descr': '<U4', 'fortran_order': False, 'shape': (3,), }", 1, 48, FILES},
    {"nodict", "('descr', '<f8')", 1, 24, FILES},
    {"blank", "", 1, 24, FILES},
    {"braces", "{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{", 1, 24, FILES},
    {"quote", "{'descr: <f8, fortran_order: False, shape: (3,), }", 1, 24, FILES},
    {"bytes", "{'descr': '<f8\xff\xfe', 'fortran_order': False, 'shape': (3,), }", 1, 24, FILES},
    {"version0", "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 0, 24, FILES},
    {"version9", "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", 9, 24, FILES},
};

static void add(bad_calls *all, int codes, const char *command) {
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 256;
        all->items = realloc(all->items, all->capacity * sizeof *all->items);
        if (!all->items) abort();
    }
    all->items[all->count++] = (bad_call){strdup(command), codes};
}

static void write_bytes(const char *folder, const char *name, const void *bytes, size_t length) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, length, f) != length || fclose(f)) {
        fprintf(stderr, "bad_input: cannot write %s\n", path);
        exit(2);
    }
}

static void write_npy(const char *folder, const npy_case *c) {
    unsigned char bytes[1024] = "\x93NUMPY";
    char name[64];
    size_t length = strlen(c->header), at = 8;
    bytes[6] = (unsigned char)c->major;
    size_t padded = (length + 10 + 1 + 63) / 64 * 64 - 10;
    bytes[at++] = (unsigned char)(padded & 255);
    bytes[at++] = (unsigned char)(padded >> 8);
    memcpy(bytes + at, c->header, length);
    memset(bytes + at + length, ' ', padded - length - 1);
    bytes[at + padded - 1] = '\n';
    at += padded;
    memset(bytes + at, 0, (size_t)c->data);
    snprintf(name, sizeof name, "%s.npy", c->name);
    write_bytes(folder, name, bytes, at + (size_t)c->data);
}

// Files whose frame is damaged: no header text could save them.
static void npy_frames(bad_calls *all, const char *folder) {
    static const struct {
        const char *name, *bytes;
        size_t length;
    } frames[] = {
        {"frame-empty", "", 0},
        {"frame-one", "\x93", 1},
        {"frame-magic", "\x93NUMPY", 6},
        {"frame-version", "\x93NUMPY\x01\x00", 8},
        {"frame-half-length", "\x93NUMPY\x01\x00\x10", 9},
        {"frame-no-header", "\x93NUMPY\x01\x00\x10\x00", 10},
        {"frame-zero-header", "\x93NUMPY\x01\x00\x00\x00", 10},
        {"frame-long-header", "\x93NUMPY\x01\x00\xff\xff{'descr'", 18},
        {"frame-v2-short", "\x93NUMPY\x02\x00\x10\x00", 10},
        {"frame-v2-huge", "\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': '<f8'", 27},
        {"frame-v3-huge", "\x93NUMPY\x03\x00\xff\xff\xff\x7f{}", 14},
        {"frame-text", "1.0 2.0 3.0\n", 12},
        {"frame-zip", "PK\x03\x04\x14\0\0\0\0\0\0\0", 12},
        {"frame-zeros", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16},
    };
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        char name[64], command[160];
        snprintf(name, sizeof name, "%s.npy", frames[i].name);
        write_bytes(folder, name, frames[i].bytes, frames[i].length);
        snprintf(command, sizeof command, "run calls.qn:twice x=@%s", name);
        add(all, FILES, command);
    }
}

static void npy_files(bad_calls *all, const char *folder) {
    for (size_t i = 0; i < sizeof npy_cases / sizeof *npy_cases; i++) {
        char command[160];
        write_npy(folder, &npy_cases[i]);
        snprintf(command, sizeof command, "run calls.qn:twice x=@%s.npy", npy_cases[i].name);
        add(all, npy_cases[i].codes, command);
    }
    npy_frames(all, folder);
    add(all, FILES, "run calls.qn:twice x=@missing.npy");
    add(all, FILES, "run calls.qn:twice x=@/");
    add(all, FILES | USAGE, "run calls.qn:twice x=@");
    add(all, FILES, "run calls.qn:twice x=@good.npy -o y=/nowhere/y.npy");
    add(all, FILES, "run calls.qn:twice x=@good.npy -o y=/");
    add(all, FILES, "run calls.qn:twice x=@good.npy -o y=/dev/full");
}

static void add_all(bad_calls *all, int codes, const char *const *commands, size_t count) {
    for (size_t i = 0; i < count; i++) add(all, codes, commands[i]);
}
#define ADD_ALL(codes, list) add_all(all, codes, list, sizeof(list) / sizeof *(list))

static void wrong_usage(bad_calls *all) {
    static const char *const usage[] = {
        "run", "nonsense", "--nonsense", "run --nonsense", "run calls.qn", "run calls.qn:nothing", "check", "bench", "emit",
        "explain", "help nonsense", "check --nonsense calls.qn", "emit calls.qn:scale --ir --after nonsense",
        "emit calls.qn:scale", "emit calls.qn:scale --nonsense", "emit calls.qn:scale --ir --bytecode",
        "bench calls.qn --nonsense", "bench calls.qn:twice x=ones(3) --engines cpu,warp", "explain --nonsense",
        "bench calls.qn:twice x=ones(3) --repeat many", "bench calls.qn:twice x=ones(3) --repeat -3",
        "run calls.qn:twice x=ones(3) --engine", "run calls.qn:twice x=ones(3) --engine warp",
        "run calls.qn:twice x=ones(3) --width 3", "run calls.qn:twice x=ones(3) --width 99999999999999999999",
        "run calls.qn:twice x=ones(3) --cpu nonsense", "run calls.qn:twice x=ones(3) --type",
        "run calls.qn:twice x=ones(3) --type T=f32", "run calls.qn:twice x=ones(3) --type T=f33",
        "run calls.qn:twice x=ones(3) --deadline", "run calls.qn:twice x=ones(3) --deadline soon",
        "run calls.qn:twice x=ones(3) --deadline -1", "run calls.qn:twice x=ones(3) --deadline nan",
        "run calls.qn:twice x=ones(3) --deadline 1e999", "run calls.qn:twice x=ones(3) --profile=yes",
        "run calls.qn:twice x=ones(3) --limit -1", "run calls.qn:twice x=ones(3) --json --nonsense",
        "run calls.qn:twice x=ones(3) -o", "run calls.qn:twice x=ones(3) -o nothing=n.npy",
        "run calls.qn:twice x=ones(3) -o y=a.npy -o y=b.npy", "run calls.qn:twice x=ones(3) -o x=x.npy",
        "run calls.qn:twice calls.qn:scale x=ones(3)",
    };
    ADD_ALL(USAGE, usage);
    add(all, USAGE | FILES, "run calls.qn: x=ones(3)");
    add(all, USAGE | FILES, "run calls.qn:twice x=ones(3) --library missing.so");
    add(all, USAGE | FILES, "run calls.qn:twice x=ones(3) --library calls.qn");
}

static void wrong_arguments(bad_calls *all) {
    static const char *const scale[] = {
        "", "a=1", "x=ones(3)", "a=1 x=ones(3) z=1", "a=1 a=2 x=ones(3)", "a= x=ones(3)", "=1 x=ones(3)", "a=one x=ones(3)",
        "a=1e x=ones(3)", "a=1,2 x=ones(3)", "a=ones(3) x=ones(3)", "a=[1] x=ones(3)", "a=1 x=1", "a=1 x=", "a=1 x=ones",
        "a=1 x=ones(", "a=1 x=ones)", "a=1 x=ones()", "a=1 x=ones(-1)", "a=1 x=ones(a)", "a=1 x=ones(1.5)", "a=1 x=ones(3)x",
        "a=1 x=ones(3)(3)", "a=1 x=ones(3,3)", "a=1 x=ones(1,1,1,1,1,1,1,1,1)", "a=1 x=ones(3,)", "a=1 x=ones(,3)",
        "a=1 x=linspace(0)", "a=1 x=linspace(0,1)", "a=1 x=linspace(0,1,-4)", "a=1 x=linspace(a,b,c)",
        "a=1 x=linspace(0,1,2,3)", "a=1 x=random()", "a=1 x=random(1)", "a=1 x=random(1,-2)", "a=1 x=random(x,2)",
        "a=1 x=unknown(3)", "a=1 x=arange()", "a=1 x=arange(-3)", "a=1 x=arange(1,2,3,4)", "a=1 x=full(1)", "a=1 x=full()",
        "a=1 x=ones(3):f33", "a=1 x=ones(3):f64", "a=1 x=ones(3):", "a=1 x=[", "a=1 x=]", "a=1 x=[]]", "a=1 x=[[1]]",
        "a=1 x=[1,[2]]", "a=1 x=[1,,2]", "a=1 x=[1", "a=1 x=[one]", "a=1 x=[1]2", "a=1 x=(1,2)", "a=1 x=[1;2]",
    };
    for (size_t i = 0; i < sizeof scale / sizeof *scale; i++) {
        char command[256];
        snprintf(command, sizeof command, "run calls.qn:scale %s", scale[i]);
        add(all, USAGE, command);
    }
    static const char *const numbers[] = {
        "run calls.qn:small v=300", "run calls.qn:small v=-129", "run calls.qn:small v=1.5", "run calls.qn:small v=nan",
        "run calls.qn:small v=true", "run calls.qn:small v=99999999999999999999", "run calls.qn:small v=1:i16",
        "run calls.qn:fill n=1.5", "run calls.qn:fill n=9223372036854775808", "run calls.qn:fill n=",
    };
    ADD_ALL(USAGE, numbers);
    static const char *const large[] = {
        "run calls.qn:twice x=ones(99999999999999999999)", "run calls.qn:twice x=ones(9223372036854775807)",
        "run calls.qn:twice x=ones(1000000000000000)", "run calls.qn:twice x=linspace(0,1,1000000000000000)",
        "run calls.qn:matrix a=ones(4294967296,4294967296) x=ones(1)",
        "run calls.qn:matrix a=ones(4294967296,4294967296,0) x=ones(1)",
    };
    ADD_ALL(USAGE | RESOURCES, large);
    static const char *const missing[] = {
        "check missing.qn", "check /", "run missing.qn x=1", "bench missing.qn", "emit missing.qn --ir", "explain missing.qn",
        "check calls.qn missing.qn", "check /dev/full/x.qn",
    };
    ADD_ALL(FILES, missing);
    static const char *const source[] = {"check wrong.qn", "run wrong.qn x=ones(3)", "emit wrong.qn --ir", "explain wrong.qn",
                                         "bench wrong.qn x=ones(3)", "check calls.qn wrong.qn"};
    ADD_ALL(SOURCE, source);
}

// Faults that only running can show, on each engine.
static void faults(bad_calls *all) {
    static const struct {
        int codes;
        const char *words;
    } cases[] = {
        {FAULT, "gather at=[0,1,9] x=ones(9)"},
        {FAULT, "gather at=[3,-1] x=ones(9)"},
        {FAULT, "gather at=[9223372036854775807] x=ones(9)"},
        {FAULT, "gather at=[-9223372036854775808] x=ones(9)"},
        {FAULT, "gather at=[0] x=zeros(0)"},
        {FAULT, "gather at=arange(100000) x=ones(99999)"},
        {FAULT, "scatter at=[0,9] k=9"},
        {FAULT, "scatter at=[-5] k=9"},
        {FAULT, "scatter at=[0] k=0"},
        {FAULT, "divide a=[1,2,3] b=[1,0,3]"},
        {FAULT, "divide a=zeros(100) b=zeros(100)"},
        {FAULT, "modulo a=[1,2,3] b=[1,2,0]"},
        {FAULT, "least x=zeros(0)"},
        {FAULT | USAGE, "divide a=ones(4) b=ones(5)"},
        {FAULT | USAGE, "matrix a=ones(3,4) x=ones(5)"},
        {FAULT | USAGE, "shrink k=5 x=ones(3)"},
        {FAULT | USAGE, "fill n=-1"},
        {FAULT | USAGE | RESOURCES, "shrink k=9223372036854775807 x=ones(3)"},
        {RESOURCES | USAGE, "fill n=1000000000000000"},
        {RESOURCES | USAGE, "fill n=9223372036854775807"},
        {RESOURCES | USAGE, "square n=4294967296"},
        {RESOURCES | USAGE, "square n=3037000500"},
        {RESOURCES | USAGE, "square n=1000000000"},
        {CANCELLED, "forever x=ones(1) --deadline 300"},
        {CANCELLED, "forever x=ones(10000) --deadline 300"},
        {CANCELLED, "forever x=ones(3) --deadline 1"},
    };
    static const char *const engines[] = {"interp", "cpu"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t e = 0; e < 2; e++) {
            char command[256];
            snprintf(command, sizeof command, "run --engine %s calls.qn:%s", engines[e], cases[i].words);
            add(all, cases[i].codes, command);
        }
}

void bad_calls_make(bad_calls *all, const char *folder) {
    static const char wrong[] = "kernel wrong(x: f32[n]) -> y: f64[n] { y[i] = x[i] }\n";
    write_bytes(folder, "calls.qn", kernels, sizeof kernels - 1);
    write_bytes(folder, "wrong.qn", wrong, sizeof wrong - 1);
    npy_files(all, folder);
    wrong_usage(all);
    wrong_arguments(all);
    faults(all);
}

void bad_calls_free(bad_calls *all) {
    for (size_t i = 0; i < all->count; i++) free(all->items[i].command);
    free(all->items);
}
