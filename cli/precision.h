/* quern bench precision: what was measured, for the reports. */
#ifndef QUERN_CLI_PRECISION_H
#define QUERN_CLI_PRECISION_H

#include "cli/errors.h"
#include "cli/measure.h"

enum { CLI_PRECISION_TYPES = 4, CLI_PROBLEM = sizeof((qn_error){0}.message) + 64 };

typedef struct cli_precision_row {
    qn_type type;
    char problem[CLI_PROBLEM]; /* why there is nothing else here; empty: there is */
    cli_times times;
    uint64_t bytes;            /* of all inputs, inouts and outputs */
    cli_errors errors;         /* of all float results, against f64 */
    uint64_t different;        /* results that are no floats, and differ from those of the f64 kernel */
    bool other_shape;          /* an output of unknown size has another size than f64's: not compared */
    char worst[128];           /* "C[3, 4]": where the largest absolute error is */
    double worst_value, worst_exact;
    bool summed;               /* in_type is there */
    cli_errors in_type;        /* with sums that round to the type at each step */
    char in_type_problem[CLI_PROBLEM];
} cli_precision_row;

typedef struct cli_precision {
    char title[512];
    const char *kernel, *engine;
    cli_precision_row rows[CLI_PRECISION_TYPES]; /* f16, bf16, f32, f64 */
} cli_precision;

void cli_precision_table(qn__text *out, const cli_precision *p);
void cli_precision_json(qn__text *out, const cli_precision *p);
void cli_precision_svg(qn__text *out, const cli_precision *p);

#endif
