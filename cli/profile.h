/* What a run took: --profile as text or JSON, --trace as a timeline. */
#ifndef QUERN_CLI_PROFILE_H
#define QUERN_CLI_PROFILE_H

#include "cli/cli.h"

/* The pieces of work of one call, as they are reported. */
typedef struct cli_span { qn_span span; char name[96]; } cli_span;
typedef struct cli_timeline {
    cli_span *spans;
    size_t count, capacity;
    bool failed;            /* memory ran out: some are missing */
} cli_timeline;

void cli_hear(void *timeline, const qn_span *span); /* qn_call_options.on_span */
void cli_timeline_free(cli_timeline *timeline);

/* Standard error: a table, or one line of JSON with --json. */
void cli_print_profile(const cli_call *call, const cli_options *options, const qn_call_profile *profile);
/* Says when the kernel ran elsewhere than asked. */
void cli_print_fallback(const qn_call_profile *profile);
/* Chrome's trace format. Status, after reporting. */
int cli_write_trace(const char *path, const cli_call *call, const cli_timeline *timeline);

#endif
