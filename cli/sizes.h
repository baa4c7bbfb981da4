/* Lists of sizes, texts with a size in them, and where one curve crosses another. */
#ifndef QUERN_CLI_SIZES_H
#define QUERN_CLI_SIZES_H

#include "ir/text.h"

enum { CLI_MAX_SIZES = 64, CLI_SIZES_MESSAGE = 256 };

/* 1000 or 1e3 or 4KiB (Ki, Mi, Gi, with or without B), with commas; LOW..HIGH: by factors of 4, LOW..HIGH*F: by factors of F; HIGH is the last one in any
 * case. Sizes are 1 to 2^48 and ascend. False with a message. */
bool cli_sizes_parse(const char *text, uint64_t sizes[CLI_MAX_SIZES], size_t *count, char message[CLI_SIZES_MESSAGE]);

/* Appends the text with {n} replaced by n; {n*2+1} computes from left to right with whole numbers (+ - * /). *uses counts the replacements. False with a
 * message: a brace without a partner, anything else in braces, a division by 0, a negative result. */
bool cli_sizes_expand(const char *text, uint64_t n, qn__text *out, size_t *uses, char message[CLI_SIZES_MESSAGE]);

typedef enum cli_crossing { CLI_NEVER, CLI_ALWAYS, CLI_FROM, CLI_UNKNOWN } cli_crossing;
/* From which x on b is below a, at all later points: CLI_FROM with *at between two points (on a line through them in log-log); ALWAYS; NEVER: at the last
 * point b is not below a by CLI_MARGIN, less is noise; UNKNOWN without common points. Points where a or b is not finite are passed over; x, a and b are
 * positive, x ascends. */
#define CLI_MARGIN 0.05
cli_crossing cli_crossover(const double *x, const double *a, const double *b, size_t count, double *at);

/* A time of so many milliseconds with its unit: "118 ns", "12.35 us", "1.234 ms", "2.500 s". */
void cli_time_text(char text[32], double ms);

#endif
