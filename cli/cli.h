/* The command's own contracts: options, arguments of kernels, reports. */
#ifndef QUERN_CLI_H
#define QUERN_CLI_H

#include "ir/text.h"

#include <quern/quern.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A NAME=TEXT of the command line, split; the texts are the command line's. */
typedef struct cli_pair {
    const char *name; /* NULL: none was written */
    const char *text;
} cli_pair;

typedef struct cli_options {
#define CLI_FIELD_FLAG bool
#define CLI_FIELD_TEXT const char *
#define CLI_FIELD_NUMBER double
#define CLI_FIELD_COUNT uint32_t
#define X(field, name, KIND, argument, commands, what) CLI_FIELD_##KIND field;
#include "cli/options.def"
#undef X
    char *file;         /* FILE.qn, without :KERNEL; owned */
    char *kernel;       /* NULL: not written; owned */
    const char **files; /* all positional arguments without '=' (check takes several) */
    size_t file_count;
    cli_pair *inputs;   /* NAME=VALUE */
    size_t input_count;
    cli_pair *outputs;  /* -o [NAME=]FILE */
    size_t output_count;
    uint32_t thread_count; /* of the context; 0: its default. Of --threads, or set by a command that takes a list */
    qn_allocator allocator; /* for the context's arrays; set by a command, not by the command line */
} cli_options;

/* Parses argv behind the command's name, which is "bench precision" for a bench with a name. False after a message on standard error. */
bool cli_parse(cli_options *options, const char *command, int argc, char **argv);
void cli_options_free(cli_options *options);

/* Each command returns the exit code (a qn_status). */
#define X(name, function, arguments, what) int function(int argc, char **argv);
#include "cli/commands.def"
#undef X
#define X(name, function, arguments, what, notes) int function(int argc, char **argv);
#include "cli/benches.def"
#undef X

/* The numbers of --threads; *count is 0 when it is not given. Status, after reporting. */
enum { CLI_MAX_THREAD_COUNTS = 8 };
int cli_thread_counts(const cli_options *options, uint32_t counts[CLI_MAX_THREAD_COUNTS], size_t *count);

/* Whether the list, words with blanks between them, has the word. */
bool cli_word_in(const char *list, const char *word);

/* ---- reports ---- */
/* "quern: ..." on standard error, coloured on a terminal; returns status for `return`. */
__attribute__((format(printf, 2, 3))) int cli_fail(int status, const char *format, ...);
/* An error of the library, with the source line where it has a place. */
int cli_report(const qn_error *error, bool colour);
bool cli_colour(const cli_options *options);
/* The word of a list nearest to `word`, or NULL. */
const char *cli_suggest(const char *word, const char *const *list, size_t count);

/* ---- arguments of kernels ---- */
enum { CLI_MAX_INPUTS = 256 };
/* One input: the array that holds the elements, and how it is seen (Fortran order files have other strides). */
typedef struct cli_input {
    qn_array *array;
    DLTensor view;
    int64_t shape[QN_MAX_RANK], strides[QN_MAX_RANK];
    void *map;              /* of a mapped file; NULL: none */
    size_t map_bytes;
} cli_input;

typedef struct cli_call {
    qn_context *context;
    qn_module *module;
    qn_kernel *kernel;      /* of the engine asked for */
    cli_input *inputs;      /* owned, in the kernel's order */
    const DLTensor **input_list;
    size_t input_count, output_count;
    uint32_t device;        /* of engine cuda */
    void *library;          /* of --library, or NULL */
    bool map;               /* files of inputs are mapped, not read */
    char why[160];          /* why this engine, where it was chosen */
    bool printed;           /* a diagnostic was printed */
    double load_ms;         /* reading and parsing the source */
    double compile_ms;      /* making the kernel */
    double arguments_ms;    /* reading and generating the inputs */
} cli_call;

/* Context and module only. on_diagnostic NULL: diagnostics are printed on standard error. */
int cli_open(cli_call *call, const cli_options *options, void (*on_diagnostic)(void *, const qn_diagnostic *), void *user);
/* Context, module and inputs for the file and arguments of the options; the kernel for `engine`. Status, after reporting. */
int cli_prepare(cli_call *call, const cli_options *options, qn_engine engine, uint32_t device);
/* Its first part: context, module, the functions of --library, and the text of each input in the kernel's order. */
int cli_match(cli_call *call, const cli_options *options, void (*on_diagnostic)(void *, const qn_diagnostic *), void *user,
              uint32_t device, const char *texts[CLI_MAX_INPUTS]);
/* Registers every extern of the module that the library (of dlopen, or NULL) has. */
int cli_register(void *library, qn_module *module);
/* Another kernel of the same call, for another engine. */
int cli_kernel_for(cli_call *call, const cli_options *options, qn_engine engine, qn_kernel **kernel);
void cli_call_free(cli_call *call);
bool cli_engine(const char *name, qn_engine *engine, uint32_t *device); /* "cuda:1" is device 1 */
const char *cli_engine_name(qn_engine engine);

/* choose.c: engine `auto`, decided for the call's inputs. The kernel is made anew for a device where that is expected to be done first; *why says it (owned by call). */
int cli_choose(cli_call *call, const cli_options *options);
/* What explain says about engines, for the call's inputs. */
void cli_explain_engines(cli_call *call, qn__text *out);

/* Makes one input from its text: a number, @file.npy, [1, 2, 3], zeros(...), ones(...), full(v, ...), arange(n), linspace(a, b, n),
 * random(seed, ...) each with an optional `:type`. type 0: from the text (files and suffixes say it; else f64, or i64 for
 * whole numbers); rank -1: any. Status; on failure message says why. */
int cli_input_make(qn_context *context, const char *text, qn_type type, int32_t rank, cli_input *input, char *message,
                   size_t size);

/* The same for `@FILE`, mapped where the file's elements can be used as they are (else read). */
int cli_input_map(qn_context *context, const char *text, qn_type type, int32_t rank, cli_input *input, char *message, size_t size);
void cli_input_free(cli_input *input);

/* ---- in pieces (stream.c) ---- */
/* An output that goes to its file piece by piece. */
typedef struct cli_piecewise {
    bool used, done;
    const char *file;       /* NULL: -o does not name one */
    void *parts;            /* a qn__npy_parts */
    DLTensor view;          /* type and shape, without data */
    int64_t shape[QN_MAX_RANK];
} cli_piecewise;
/* Whether --chunk's text is right; reports it otherwise. */
int cli_chunk(const cli_options *options, int64_t *indices, uint64_t *bytes);
/* qn_stream with outputs written to `pieces` (one per output, with the files filled in). The status is reported. */
int cli_stream(const cli_call *call, const cli_options *options, qn_array **outputs, cli_piecewise *pieces);

/* ---- values as text ---- */
void cli_print_value(qn__text *out, qn_type type, const void *element, bool json);
/* The array with brackets, at most `limit` elements, the rest as "...". */
void cli_print_array(qn__text *out, const DLTensor *tensor, uint32_t limit, bool json);
/* Writes to standard output; false on failure. */
bool cli_write(const qn__text *text);
/* Writes a file; a status, after reporting (a text that ran out of memory is not written). */
int cli_write_file(const char *path, const qn__text *text);
/* "file.qn:kernel x=... y=...", cut where too long. */
void cli_title(const cli_options *options, char *title, size_t size);

double cli_now_ms(void);

#endif
