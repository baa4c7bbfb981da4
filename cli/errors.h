/* How far the results of a short float type are from those of f64. */
#ifndef QUERN_CLI_ERRORS_H
#define QUERN_CLI_ERRORS_H

#include <quern/quern.h>

typedef struct cli_errors {
    uint64_t count;           /* results seen */
    uint64_t compared;        /* of them, finite in both: only these enter the errors */
    double max_absolute, max_relative; /* relative ones where f64's result is not 0 */
    uint64_t worst;           /* number of the result with the largest absolute error, from 0; any when there is no error */
    double scale, squares;    /* sum of squared errors: scale * scale * squares, which cannot overflow */
    uint64_t overflowed;      /* infinite, f64 is finite */
    uint64_t zeros;           /* 0, f64 is not */
    uint64_t subnormals;      /* subnormal in its own type, f64's result is not subnormal in f64 */
    uint64_t nans;            /* NaN, f64 is not */
    uint64_t unlike;          /* f64 is infinite or NaN, and this is something else */
} cli_errors;

/* Takes the next `count` results: elements of the type, and f64's. type must be a float type. */
void cli_errors_add(cli_errors *errors, qn_type type, const void *elements, const double *exact, size_t count);
double cli_errors_rms(const cli_errors *errors);

/* Limits of a float type, 0 for others: the largest finite value and the smallest normal one. */
double cli_type_largest(qn_type type);
double cli_type_smallest(qn_type type);

#endif
