/* A source whose sums round at every step. */
#ifndef QUERN_CLI_SUMS_H
#define QUERN_CLI_SUMS_H

#include "ir/text.h"

/* Sums of f16 and bf16 accumulate in f32 and are rounded once. This writes the source again with every sum(...) and scan(sum, ...), exscan(sum, ...)
 * replaced by a reduction with a function of the elements' type, which the language rounds at each step; the order of the terms and all lines and
 * columns before the first sum of a line stay. Returns how many were replaced in the kernel (NULL: in all) and in functions. -1: the source defines a `sum`, or the
 * name that is needed, itself. */
int cli_sums_in_type(const char *source, size_t length, const char *kernel, qn__text *out);

#endif
