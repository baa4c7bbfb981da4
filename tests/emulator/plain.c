/* Runs the tests one after the other, each in a process of its own; the number of failed ones is the exit status. */
#include "tests/emulator/plain.h"

plain_test *plain_tests;

int main(void) {
    int failed = 0, count = 0;
    for (const plain_test *test = plain_tests; test; test = test->next, count++) {
        fflush(NULL);
        pid_t child = fork();
        if (!child) {
            alarm(120);
            test->run();
            exit(0);
        }
        int status = 0;
        if (child > 0 && waitpid(child, &status, 0) == child && !status) continue;
        failed++;
        printf("%s failed: %#x\n", test->name, (unsigned int)status);
    }
    printf("%d tests, %d failed\n", count, failed);
    return failed != 0;
}
