/* Criterion's part that these tests use, for builds with ThreadSanitizer, under which Criterion itself does not run: each test is a forked process. */
#ifndef TESTS_EMULATOR_PLAIN_H
#define TESTS_EMULATOR_PLAIN_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct plain_test { const char *name; void (*run)(void); struct plain_test *next; } plain_test;
extern plain_test *plain_tests;

#define Test(suite, test)                                                                               \
    static void suite##_##test(void);                                                                   \
    __attribute__((constructor)) static void suite##_##test##_add(void) {                               \
        static plain_test self = {.name = #suite "." #test, .run = suite##_##test};        \
        self.next = plain_tests;                                                                        \
        plain_tests = &self;                                                                            \
    }                                                                                                   \
    static void suite##_##test(void)

#define plain_check(condition, text)                                        \
    do {                                                                    \
        if (condition) break;                                               \
        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, text);           \
        exit(1);                                                            \
    } while (0)
#define cr_assert(condition, ...)    plain_check(condition, #condition)
#define cr_assert_not(condition)     plain_check(!(condition), "not " #condition)
#define cr_assert_null(a)            plain_check(!(a), #a " is not null")
#define cr_assert_eq(a, b, ...)      plain_check((a) == (b), #a " == " #b)
#define cr_assert_neq(a, b)          plain_check((a) != (b), #a " != " #b)
#define cr_assert_gt(a, b, ...)      plain_check((a) > (b), #a " > " #b)
#define cr_assert_leq(a, b)          plain_check((a) <= (b), #a " <= " #b)
#define cr_assert_str_eq(a, b)       plain_check(!strcmp(a, b), #a " is " #b)
#define cr_assert_arr_eq(a, b, size) plain_check(!memcmp(a, b, size), #a " is like " #b)

#endif
