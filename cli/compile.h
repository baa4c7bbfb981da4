/* A source compiled step by step, for commands that show the steps. */
#ifndef QUERN_CLI_COMPILE_H
#define QUERN_CLI_COMPILE_H

#include "cli/cli.h"
#include "compiler/compile.h"

enum { CLI_MAX_TYPES = 8 };

typedef struct cli_source {
    char *text;
    size_t length;
    qn__program *program;
    qn__compiled *compiled;
} cli_source;

/* Reads and parses the file of the options, reporting errors. Close it in any case. */
int cli_source_open(cli_source *source, const cli_options *options);
/* Compiles the kernel that the options name to IR, up to --after. */
int cli_source_compile(cli_source *source, const cli_options *options);
void cli_source_close(cli_source *source);

/* What stands before and behind the prototypes of a header. */
void cli_header_begin(qn__text *out, const char *file, const char *writer);
void cli_header_end(qn__text *out);

/* The types of --type. */
int cli_types(const cli_options *options, qn_type types[CLI_MAX_TYPES], size_t *count);

#endif
