// Wrong calls of right kernels: arguments, files, faults at run time, deadlines. See bad_input.c.
#ifndef QUERN_TESTS_BAD_CALLS_H
#define QUERN_TESTS_BAD_CALLS_H

#include <stddef.h>

typedef struct {
    char *command; // words after `quern`, separated by single blanks
    int codes;     // which exit codes are right: see bad_source.h
} bad_call;

typedef struct {
    bad_call *items;
    size_t count, capacity;
} bad_calls;

// Writes the kernels and .npy files that the calls use into folder, and makes the list of calls.
void bad_calls_make(bad_calls *all, const char *folder);
void bad_calls_free(bad_calls *all);

#endif
