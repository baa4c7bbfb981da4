// Runs a program and collects what it printed. Shared by the golden runner and the bad-input test.
#ifndef QUERN_TESTS_SPAWN_H
#define QUERN_TESTS_SPAWN_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *output;   // standard output and standard error as they came, zero-terminated, freed by run_free
    size_t length;  // bytes of output, without the zero
    int code;       // exit code, or 128 + signal
    int signal;     // 0, or the signal that ended the program
    bool timed_out; // it was killed after the time limit
    bool sanitizer; // the output holds a sanitizer's report
} run_result;

// argv[0] is the program's path, argv ends with NULL. directory: where it runs, or NULL. Standard input is empty.
// Output beyond 4 MiB is read and dropped. Thread-safe.
run_result run_program(char *const argv[], const char *directory, double seconds);
void run_free(run_result *r);

// NULL, or in words why this result is a failure whatever was expected (signal, sanitizer report, time limit).
const char *run_broken(const run_result *r);

// A deterministic generator for tests: splitmix64.
unsigned long long test_random(unsigned long long *state);

#endif
