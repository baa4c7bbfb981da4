/* The command `quern`: finds the command in the table and runs it. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

typedef struct command {
    const char *name;
    int (*function)(int argc, char **argv);
    const char *arguments, *what;
} command;

static const command commands[] = {
#define X(name, function, arguments, what) {#name, function, arguments, what},
#include "cli/commands.def"
#undef X
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct { const char *name, *arguments, *what, *notes; } benches[] = {
#define X(name, function, arguments, what, notes) {#name, arguments, what, notes},
#include "cli/benches.def"
#undef X
};
enum { BENCHES = sizeof benches / sizeof *benches };

static const command *find(const char *name) {
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

static int unknown(const char *name) {
    const char *names[COMMANDS];
    for (size_t i = 0; i < COMMANDS; i++) names[i] = commands[i].name;
    const char *near = cli_suggest(name, names, COMMANDS);
    if (near) return cli_fail(QN_USAGE, "unknown command '%s'; did you mean '%s'?", name, near);
    return cli_fail(QN_USAGE, "unknown command '%s'; see 'quern help'", name);
}

static void help_options(const char *name) {
#define X(field, option, KIND, argument, of, what)                                                            \
    if (cli_word_in(of, name)) printf("  %-11s %-18s %s\n", option, argument, what);
#include "cli/options.def"
#undef X
}

static void help_arguments(void) {
    puts("\nValues of NAME=VALUE:\n"
         "  0.5  -3  true  nan      a number, of the parameter's type\n"
         "  @file.npy               an array, or a scalar, from a NumPy file\n"
         "  [1, 2, 3]  [[1], [2]]   an array\n"
         "  zeros(4, 5)  ones(n)    all 0 or 1, of this shape;  full(v, 4, 5): all v\n"
         "  arange(n)  linspace(a, b, n)\n"
         "  random(seed, 4, 5)      floats in [0, 1), integers over the type's low 7 bits; the same on every machine\n"
         "  A generated value may end in a type: random(1, 512, 512):f32");
}

static const char *const examples[][2] = {
    {"run", "quern run examples/saxpy.qn a=2.5 x=linspace(0,1,8) y=ones(8)\n"
            "  quern run examples/sobel.qn image=@camera.npy -o edges=edges.npy\n"
            "  quern run examples/matmul.qn --type f32 'A=random(1,64,64)' 'B=random(2,64,64)' --engine interp"},
    {"bench", "quern bench examples/mandelbrot.qn limit=256 w=512 h=512\n"
              "  quern bench examples/dot.qn 'x=random(1,1000000)' 'y=random(2,1000000)' --engines interp,cpu --json"},
    {"check", "quern check examples/*.qn"},
    {"explain", "quern explain examples/jacobi.qn"},
    {"emit", "quern emit examples/saxpy.qn --ir --after fma\n  quern emit examples/saxpy.qn --asm"},
};

static const char exit_codes[] =
    "\nExit codes: 0 done, 1 the kernel raised a run-time error, 2 wrong usage or argument, 3 errors in the source, 4 a file cannot be\n"
    "read or written, 5 out of memory or over a limit, 6 cancelled or past the deadline, 7 a device is missing or failed, 70 a defect of\n"
    "Quern.\n";

static bool help_bench(const char *name) {
    size_t i = 0;
    while (i < BENCHES && strcmp(benches[i].name, name) != 0) i++;
    if (i == BENCHES) return false;
    printf("quern bench %s %s\n  %s\n\nOptions:\n", name, benches[i].arguments, benches[i].what);
    help_options(name);
    if (strstr(benches[i].arguments, "NAME=VALUE")) help_arguments();
    printf("\n%s\n", benches[i].notes);
    fputs(exit_codes, stdout);
    return true;
}

int cli_help(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[0], "bench") == 0 && help_bench(argv[1])) return QN_OK;
    if (argc > 0) {
        const command *c = find(argv[0]);
        if (!c) return unknown(argv[0]);
        printf("quern %s %s\n  %s\n\nOptions:\n", c->name, c->arguments, c->what);
        help_options(c->name);
        if (strstr(c->arguments, "NAME=VALUE")) help_arguments();
        for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
            if (strcmp(examples[i][0], c->name) == 0) printf("\nExamples:\n  %s\n", examples[i][1]);
        if (strcmp(c->name, "bench") == 0) puts("\nOther benches, see 'quern help bench NAME':");
        for (size_t i = 0; strcmp(c->name, "bench") == 0 && i < BENCHES; i++) printf("  quern bench %-10s %s\n", benches[i].name, benches[i].what);
        fputs(exit_codes, stdout);
        return QN_OK;
    }
    printf("quern %s: a mill for numeric kernels\n\nUsage: quern COMMAND ...\n\n", qn_version());
    for (size_t i = 0; i < COMMANDS; i++) printf("  %-8s %s\n", commands[i].name, commands[i].what);
    fputs("\n'quern help COMMAND' shows a command's arguments, options and examples.\n", stdout);
    fputs(exit_codes, stdout);
    return QN_OK;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        cli_help(0, NULL);
        return QN_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        printf("quern %s\n", qn_version());
        return QN_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return cli_help(argc - 2, argv + 2);
    const command *c = find(name);
    if (!c) return unknown(name);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0) continue;
        return cli_help(i == 2 ? 1 : 2, argv + 1);
    }
    const int status = c->function(argc - 2, argv + 2);
    if (fflush(stdout) != 0 || ferror(stdout)) return cli_fail(QN_IO, "standard output cannot be written");
    return status;
}
