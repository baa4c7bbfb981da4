// Malformed sources, made up deterministically. See bad_input.c.
#ifndef QUERN_TESTS_BAD_SOURCE_H
#define QUERN_TESTS_BAD_SOURCE_H

#include <stddef.h>

// A set of exit codes: 1 << code.
enum { OK = 1 << 0, FAULT = 1 << 1, USAGE = 1 << 2, SOURCE = 1 << 3, FILES = 1 << 4, RESOURCES = 1 << 5, CANCELLED = 1 << 6 };

typedef struct {
    char *name;
    char *bytes;
    size_t length;
    int codes; // which exit codes of `quern check` are right
} bad_source;

typedef struct {
    bad_source *items;
    size_t count, capacity;
} bad_sources;

// Appends sources that are wrong in one known way each.
void bad_sources_known(bad_sources *all);
// Appends truncated and altered versions of the program text.
void bad_sources_altered(bad_sources *all, const char *name, const char *bytes, size_t length, int truncations, int flips);
void bad_sources_free(bad_sources *all);

#endif
