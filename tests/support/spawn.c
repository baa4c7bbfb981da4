// Runs a program under a time limit with its output going to one pipe. No shell is involved.
#include "tests/support/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { OUTPUT_LIMIT = 4 << 20 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void keep_output(run_result *r, size_t *capacity, const char *bytes, size_t n) {
    if (r->length + n > OUTPUT_LIMIT) return;
    if (r->length + n + 1 > *capacity) {
        size_t wanted = (r->length + n + 1) * 2;
        char *bigger = realloc(r->output, wanted);
        if (!bigger) return;
        r->output = bigger;
        *capacity = wanted;
    }
    memcpy(r->output + r->length, bytes, n);
    r->length += n;
    r->output[r->length] = 0;
}

// Reads the pipe until it closes; kills the program when the limit is over.
static void collect(run_result *r, int fd, pid_t pid, double seconds) {
    double end = now() + seconds;
    size_t capacity = 0;
    char bytes[65536];
    for (;;) {
        double left = end - now();
        if (left <= 0 && !r->timed_out) {
            r->timed_out = true;
            kill(pid, SIGKILL);
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int wait_ms = r->timed_out ? 1000 : (int)(left * 1000) + 1;
        int ready = poll(&p, 1, wait_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            if (r->timed_out) return;
            continue;
        }
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0) return;
        keep_output(r, &capacity, bytes, (size_t)n);
    }
}

// Under AddressSanitizer a refused allocation leaves a line of its own; the program then goes on as without.
static void drop_allocation_warnings(run_result *r) {
    static const char mark[] = "WARNING: AddressSanitizer failed to allocate";
    for (char *found; r->output && (found = memmem(r->output, r->length, mark, sizeof mark - 1));) {
        char *start = found, *end = memchr(found, '\n', (size_t)(r->output + r->length - found));
        while (start > r->output && start[-1] != '\n') start--;
        end = end ? end + 1 : r->output + r->length;
        memmove(start, end, (size_t)(r->output + r->length - end) + 1);
        r->length -= (size_t)(end - start);
    }
}

static bool has_report(const run_result *r) {
    static const char *const marks[] = {"AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", ": runtime error: ",
                                        "UndefinedBehaviorSanitizer"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (memmem(r->output, r->length, marks[i], strlen(marks[i]))) return true;
    return false;
}

run_result run_program(char *const argv[], const char *directory, double seconds) {
    run_result r = {0};
    int fds[2];
    if (pipe2(fds, O_CLOEXEC)) {
        r.code = 127;
        r.output = strdup("pipe failed\n");
        return r;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
    if (directory) posix_spawn_file_actions_addchdir_np(&actions, directory);
    pid_t pid = 0;
    int error = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (error) {
        close(fds[0]);
        r.code = 127;
        r.output = strdup(strerror(error));
        r.length = r.output ? strlen(r.output) : 0;
        return r;
    }
    collect(&r, fds[0], pid, seconds);
    close(fds[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    r.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    r.code = r.signal ? 128 + r.signal : WEXITSTATUS(status);
    if (!r.output) r.output = strdup("");
    drop_allocation_warnings(&r);
    r.sanitizer = r.output && has_report(&r);
    return r;
}

void run_free(run_result *r) {
    free(r->output);
    r->output = NULL;
}

const char *run_broken(const run_result *r) {
    if (r->timed_out) return "ran past the time limit";
    if (r->signal) return "ended by a signal";
    if (r->sanitizer) return "a sanitizer reported";
    if (r->code == 127) return "could not be started";
    if (r->code == 70) return "internal error";
    return NULL;
}

unsigned long long test_random(unsigned long long *state) {
    unsigned long long z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
