// The runner of golden tests. Every .qn file below the given paths is one test:
//
//     #! quern run %:saxpy a=2 x=linspace(0,1,3) y=zeros(3)     commands, first lines; % is the file itself
//     kernel saxpy(...) ...
//     #| z = [...]                                              exact output (stdout and stderr) of all commands
//     #= 3                                                      exit code of the first command that fails; 0 if absent
//
// Each command runs in the file's folder, so messages show its base name. %t/ is a fresh folder for files that a
// command writes, %r/ the repository. Files whose name begins with '_' are imported by others and are no tests.
// A file below a folder diagnostics/ without '#!' runs `quern check %`; --default gives others such a command.
// --update rewrites the expectations of the files that differ. A signal, a sanitizer report or exit code 70
// always fails and is never written as an expectation.
#include "tests/support/spawn.h"

#include <errno.h>
#include <fts.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ARGS = 128, MAX_COMMANDS = 64 };

typedef struct {
    char *data;
    size_t length, capacity;
} text;

typedef struct {
    char *path;   // absolute
    char *report; // NULL when it passed, else what to print
    bool updated;
} test;

typedef struct {
    const char *commands[MAX_COMMANDS]; // zero-terminated copies, without "#! quern "
    int command_count;
    size_t body_length; // bytes of the file before the expectations
    text output;        // expected
    int code;           // expected
} expectation;

static struct {
    char *quern, *root, *fallback;
    double seconds;
    bool update;
    test *tests;
    size_t count, capacity;
    atomic_size_t next;
} run;

static void die(const char *what, const char *detail) {
    fprintf(stderr, "golden: %s %s\n", what, detail);
    exit(2);
}

static void add(text *t, const char *bytes, size_t n) {
    if (t->length + n + 1 > t->capacity) {
        t->capacity = (t->length + n + 1) * 2;
        t->data = realloc(t->data, t->capacity);
        if (!t->data) die("out of", "memory");
    }
    memcpy(t->data + t->length, bytes, n);
    t->length += n;
    t->data[t->length] = 0;
}

static void put(text *t, const char *s) { add(t, s, strlen(s)); }

static text read_file(const char *path) {
    text t = {0};
    put(&t, "");
    FILE *f = fopen(path, "rb");
    if (!f) die("cannot read", path);
    char bytes[65536];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;) add(&t, bytes, n);
    fclose(f);
    return t;
}

// Splits the file into commands, body and expectations. The expectations are the lines at the end of the file that
// begin with "#|" or "#=".
static expectation parse(const text *file) {
    expectation e = {0};
    put(&e.output, "");
    const char *at = file->data, *end = at + file->length, *tail = NULL;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t n = line_end ? (size_t)(line_end - at) : (size_t)(end - at);
        if (n >= 8 && !memcmp(at, "#! quern", 8) && e.command_count < MAX_COMMANDS)
            e.commands[e.command_count++] = strndup(at + 8, n - 8);
        bool expects = n >= 2 && at[0] == '#' && (at[1] == '|' || at[1] == '=');
        if (!expects) tail = NULL;
        if (expects && !tail) tail = at;
        at += n + (line_end != NULL);
    }
    if (!tail) tail = end;
    e.body_length = (size_t)(tail - file->data);
    for (at = tail; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t n = line_end ? (size_t)(line_end - at) : (size_t)(end - at);
        if (at[1] == '=') {
            e.code = atoi(at + 2);
        } else {
            size_t skip = n > 2 && at[2] == ' ' ? 3 : 2;
            add(&e.output, at + skip, n - skip);
            put(&e.output, "\n");
        }
        at += n + (line_end != NULL);
    }
    return e;
}

// Appends the word with % replaced: "%t/" by the scratch folder, "%r/" by the repository, "%" by the base name.
static void add_expanded(text *t, const char *word, const char *base, const char *scratch) {
    for (; *word; word++) {
        if (*word != '%') {
            add(t, word, 1);
        } else if (!strncmp(word, "%t/", 3)) {
            put(t, scratch);
            word++;
        } else if (!strncmp(word, "%r/", 3)) {
            put(t, run.root);
            word++;
        } else {
            put(t, base);
        }
    }
}

// Splits a command at blanks; '...' and "..." keep blanks.
static int split(const char *command, char **argv, const char *base, const char *scratch) {
    int argc = 0;
    argv[argc++] = strdup(run.quern);
    while (argc < MAX_ARGS - 1) {
        while (*command == ' ' || *command == '\t') command++;
        if (!*command) break;
        text word = {0}, full = {0};
        put(&word, "");
        put(&full, "");
        for (char quote = 0; *command && (quote || (*command != ' ' && *command != '\t')); command++) {
            if (quote ? *command == quote : (*command == '\'' || *command == '"'))
                quote = quote ? 0 : *command;
            else
                add(&word, command, 1);
        }
        add_expanded(&full, word.data, base, scratch);
        free(word.data);
        argv[argc++] = full.data;
    }
    argv[argc] = NULL;
    return argc;
}

// Replaces every occurrence of the scratch folder and of the repository, so that output does not depend on them.
static void add_output(text *t, const char *output, size_t length, const char *scratch) {
    size_t scratch_length = strlen(scratch), root_length = strlen(run.root);
    for (size_t i = 0; i < length;) {
        if (length - i > scratch_length && !memcmp(output + i, scratch, scratch_length)) {
            put(t, "%t");
            i += scratch_length;
        } else if (length - i > root_length && !memcmp(output + i, run.root, root_length)) {
            put(t, "%r");
            i += root_length;
        } else {
            add(t, output + i++, 1);
        }
    }
}

static size_t count_lines(const text *t, const char **lines, size_t limit) {
    size_t n = 0;
    for (const char *at = t->data; *at && n < limit; n++) {
        lines[n] = at;
        const char *newline = strchr(at, '\n');
        at = newline ? newline + 1 : at + strlen(at);
    }
    return n;
}

static bool same_line(const char *a, const char *b) {
    size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
    return n == m && !memcmp(a, b, n);
}

static void show_line(text *t, const char *mark, const char *line) {
    put(t, mark);
    add(t, line, strcspn(line, "\n"));
    put(t, "\n");
}

// Lines that both ends share are left out, but for two of context; '-' expected, '+' got.
static void diff(text *t, const text *want, const text *got) {
    enum { LIMIT = 4000, SHOWN = 60 };
    const char **a = malloc(LIMIT * sizeof *a), **b = malloc(LIMIT * sizeof *b);
    if (!a || !b) die("out of", "memory");
    size_t n = count_lines(want, a, LIMIT), m = count_lines(got, b, LIMIT), head = 0, end = 0;
    while (head < n && head < m && same_line(a[head], b[head])) head++;
    while (end < n - head && end < m - head && same_line(a[n - 1 - end], b[m - 1 - end])) end++;
    for (size_t i = head > 2 ? head - 2 : 0; i < head; i++) show_line(t, "      ", a[i]);
    for (size_t i = head; i < n - end && i < head + SHOWN; i++) show_line(t, "    - ", a[i]);
    for (size_t i = head; i < m - end && i < head + SHOWN; i++) show_line(t, "    + ", b[i]);
    for (size_t i = n - end; i < n && i < n - end + 2; i++) show_line(t, "      ", a[i]);
    free(a);
    free(b);
}

static void rewrite(const char *path, const text *file, const expectation *e, const text *got, int code) {
    text t = {0};
    add(&t, file->data, e->body_length);
    if (t.length && t.data[t.length - 1] != '\n') put(&t, "\n");
    for (const char *at = got->data; *at;) {
        size_t n = strcspn(at, "\n");
        put(&t, n ? "#| " : "#|");
        add(&t, at, n);
        put(&t, "\n");
        at += n + (at[n] == '\n');
    }
    char line[32];
    snprintf(line, sizeof line, "#= %d\n", code);
    if (code) put(&t, line);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(t.data, 1, t.length, f) != t.length || fclose(f)) die("cannot write", path);
    free(t.data);
}

// Runs the commands in order; their outputs are appended. Returns NULL or why the result counts as broken.
static const char *run_commands(const expectation *e, const char *path, const char *scratch, text *got, int *code) {
    const char *slash = strrchr(path, '/');
    char *folder = strndup(path, (size_t)(slash - path));
    const char *broken = NULL;
    for (int i = 0; i < e->command_count && !broken; i++) {
        char *argv[MAX_ARGS];
        split(e->commands[i], argv, slash + 1, scratch);
        run_result r = run_program(argv, folder, run.seconds);
        for (int k = 0; argv[k]; k++) free(argv[k]);
        add_output(got, r.output, r.length, scratch);
        if (!*code) *code = r.code;
        broken = run_broken(&r);
        run_free(&r);
    }
    if (got->length && got->data[got->length - 1] != '\n') put(got, "\n");
    free(folder);
    return broken;
}

static void remove_tree(const char *path) {
    char *paths[] = {(char *)path, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    for (FTSENT *f; walk && (f = fts_read(walk));)
        if (f->fts_info != FTS_D) remove(f->fts_path);
    if (walk) fts_close(walk);
}

static void run_test(test *t) {
    text file = read_file(t->path), got = {0}, report = {0};
    put(&got, "");
    expectation e = parse(&file);
    if (!e.command_count) {
        const char *command = strstr(t->path, "/diagnostics/") ? "check %" : run.fallback;
        if (command) e.commands[e.command_count++] = strdup(command);
        else t->report = strdup("    no '#! quern ...' line\n");
    }
    char scratch[] = "/tmp/quern-golden-XXXXXX";
    if (!mkdtemp(scratch)) die("cannot make", scratch);
    int code = 0;
    const char *broken = run_commands(&e, t->path, scratch, &got, &code);
    remove_tree(scratch);
    if (t->report) goto done;
    bool same = got.length == e.output.length && !memcmp(got.data, e.output.data, got.length) && code == e.code;
    if (!same && !broken && run.update) {
        rewrite(t->path, &file, &e, &got, code);
        t->updated = true;
    } else if (broken || !same) {
        char line[160];
        if (broken) snprintf(line, sizeof line, "    %s (code %d)\n", broken, code);
        else if (code != e.code) snprintf(line, sizeof line, "    exit code %d, expected %d\n", code, e.code);
        else line[0] = 0;
        put(&report, line);
        diff(&report, &e.output, &got);
        t->report = report.data;
    }
done:
    for (int i = 0; i < e.command_count; i++) free((char *)e.commands[i]);
    free(e.output.data);
    free(file.data);
    free(got.data);
}

static void *work(void *unused) {
    for (size_t i; (i = atomic_fetch_add(&run.next, 1)) < run.count;) run_test(&run.tests[i]);
    return unused;
}

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

static void find_tests(char *path) {
    char *full = realpath(path, NULL);
    if (!full) die("no such path:", path);
    char *paths[] = {full, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    for (FTSENT *f; walk && (f = fts_read(walk));) {
        size_t n = strlen(f->fts_name);
        if (f->fts_info != FTS_F || n < 4 || strcmp(f->fts_name + n - 3, ".qn") || f->fts_name[0] == '_') continue;
        if (run.count == run.capacity) {
            run.capacity = run.capacity ? run.capacity * 2 : 256;
            run.tests = realloc(run.tests, run.capacity * sizeof *run.tests);
            if (!run.tests) die("out of", "memory");
        }
        run.tests[run.count++] = (test){.path = strdup(f->fts_path)};
    }
    if (walk) fts_close(walk);
    free(full);
}

static int report(void) {
    size_t failed = 0, updated = 0, root_length = strlen(run.root);
    for (size_t i = 0; i < run.count; i++) {
        test *t = &run.tests[i];
        const char *shown = strncmp(t->path, run.root, root_length) ? t->path : t->path + root_length + 1;
        if (t->updated) printf("UPDATED %s\n", shown);
        if (t->report) printf("FAILED %s\n%s", shown, t->report);
        failed += t->report != NULL;
        updated += t->updated;
        free(t->report);
        free(t->path);
    }
    free(run.tests);
    if (updated) printf("%zu rewritten: read them before you commit\n", updated);
    printf("%zu passed, %zu failed\n", run.count - failed, failed);
    return failed || !run.count ? 1 : 0;
}

int main(int argc, char **argv) {
    long jobs = 2;
#ifdef QN_SANITIZED
    run.seconds = 240;
#else
    run.seconds = 60;
#endif
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (!strcmp(argv[i], "--update")) run.update = true;
        else if (!strcmp(argv[i], "--quern") && more) run.quern = realpath(argv[++i], NULL);
        else if (!strcmp(argv[i], "--root") && more) run.root = realpath(argv[++i], NULL);
        else if (!strcmp(argv[i], "--default") && more) run.fallback = argv[++i];
        else if (!strcmp(argv[i], "--jobs") && more) jobs = atol(argv[++i]);
        else if (!strcmp(argv[i], "--seconds") && more) run.seconds = atof(argv[++i]);
        else if (argv[i][0] == '-') die("unknown option", argv[i]);
    }
    if (!run.quern) run.quern = realpath("build/bin/quern", NULL);
    if (!run.quern || access(run.quern, X_OK)) die("no quern program:", "give it with --quern PATH");
    if (!run.root) run.root = realpath(".", NULL);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') find_tests(argv[i]);
        else if (strcmp(argv[i], "--update") != 0) i++;
    }
    setenv("NO_COLOR", "1", 1);
    setenv("QUERN_CACHE", "", 0); // every call compiles
    setenv("ASAN_OPTIONS", "allocator_may_return_null=1", 0);
    unsetenv("QUERN_THREADS");
    pthread_t threads[16];
    if (jobs < 1) jobs = 1;
    if (jobs > 16) jobs = 16;
    for (long i = 0; i < jobs; i++)
        if (pthread_create(&threads[i], NULL, work, NULL)) die("cannot start", "a thread");
    for (long i = 0; i < jobs; i++) pthread_join(threads[i], NULL);
    int rc = report();
    free(run.quern);
    free(run.root);
    return rc;
}
