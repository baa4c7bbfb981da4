// Bad input of every kind must end with a clear message and the documented exit code: never a signal, a sanitizer
// report, an internal error or silence. Drives the command:
//
//     bad_input --quern PATH --root REPOSITORY [--jobs N] [--keep FOLDER] [--only TEXT]
//
// Sources (bad_source.c) go through `quern check`; calls (bad_calls.c) through `quern run` on both CPU engines.
// --keep leaves the files there, --only runs the cases whose name holds TEXT.
#include "tests/bad_calls.h"
#include "tests/bad_source.h"
#include "tests/support/spawn.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef QN_SANITIZED
enum { SECONDS = 120 };
#else
enum { SECONDS = 30 };
#endif

static struct {
    char *quern, *root, *folder;
    const char *only;
    bad_sources sources;
    bad_calls calls;
    atomic_size_t next, failed, done;
    pthread_mutex_t print;
} run = {.print = PTHREAD_MUTEX_INITIALIZER};

static void die(const char *what, const char *detail) {
    fprintf(stderr, "bad_input: %s %s\n", what, detail);
    exit(2);
}

static void write_file(const char *path, const char *bytes, size_t length) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, length, f) != length || fclose(f)) die("cannot write", path);
}

static char *read_file(const char *path, size_t *length) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *bytes = malloc(1 << 20);
    *length = bytes ? fread(bytes, 1, 1 << 20, f) : 0;
    fclose(f);
    return bytes;
}

// Every .qn below root/folder becomes truncated and altered sources.
static void alter_folder(const char *folder, int truncations, int flips) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", run.root, folder);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        size_t n = strlen(name), length = 0;
        if (n > 3 && !strcmp(name + n - 3, ".qn")) {
            char file[8192];
            snprintf(file, sizeof file, "%s/%s", path, name);
            char *bytes = read_file(file, &length);
            if (bytes) bad_sources_altered(&run.sources, name, bytes, length, truncations, flips);
            free(bytes);
        }
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

static const char *judge(const run_result *r, int codes) {
    const char *broken = run_broken(r);
    if (broken) return broken;
    if (r->code > 6 || !(codes & (1 << r->code))) return "the wrong exit code";
    if (r->code && !r->length) return "silence";
    if (r->code && !memmem(r->output, r->length, "error", 5) && !memmem(r->output, r->length, "quern: ", 7))
        return "no message that says 'error' or 'quern:'";
    if (r->length > 200000) return "an endless message";
    if (r->code && memchr(r->output, 0, r->length)) return "a zero byte in the message";
    if (r->code && memchr(r->output, '\x1b', r->length)) return "an escape sequence in the message";
    return NULL;
}

static void show_failure(const char *name, const char *why, const run_result *r, int codes) {
    char wanted[64], *at = wanted;
    for (int c = 0; c < 7; c++)
        if (codes & (1 << c)) at += sprintf(at, " %d", c);
    pthread_mutex_lock(&run.print);
    printf("FAILED %s: %s (code %d, expected%s)\n", name, why, r->code, wanted);
    size_t shown = r->length < 600 ? r->length : 600;
    if (shown) printf("%.*s%s\n", (int)shown, r->output, shown < r->length ? "..." : "");
    fflush(stdout);
    pthread_mutex_unlock(&run.print);
    atomic_fetch_add(&run.failed, 1);
}

static void run_source(bad_source *s, size_t number) {
    char path[4096];
    snprintf(path, sizeof path, "%s/bad-%zu.qn", run.folder, number);
    write_file(path, s->bytes, s->length);
    char *argv[] = {run.quern, "check", path, NULL};
    run_result r = run_program(argv, run.folder, SECONDS);
    const char *why = judge(&r, s->codes);
    if (why) show_failure(s->name, why, &r, s->codes);
    run_free(&r);
}

static void run_call(bad_call *c) {
    char *argv[40] = {run.quern}, *words = strdup(c->command), *save = NULL;
    int argc = 1;
    for (char *w = strtok_r(words, " ", &save); w && argc < 39; w = strtok_r(NULL, " ", &save)) argv[argc++] = w;
    run_result r = run_program(argv, run.folder, SECONDS);
    const char *why = judge(&r, c->codes);
    if (why) show_failure(c->command, why, &r, c->codes);
    run_free(&r);
    free(words);
}

static void *work(void *unused) {
    for (size_t i; (i = atomic_fetch_add(&run.next, 1)) < run.sources.count + run.calls.count;) {
        bool source = i < run.sources.count;
        const char *name = source ? run.sources.items[i].name : run.calls.items[i - run.sources.count].command;
        if (run.only && !strstr(name, run.only)) continue;
        if (source) run_source(&run.sources.items[i], i);
        else run_call(&run.calls.items[i - run.sources.count]);
        atomic_fetch_add(&run.done, 1);
    }
    return unused;
}

static void remove_folder(void) {
    DIR *d = opendir(run.folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[8192];
        snprintf(path, sizeof path, "%s/%s", run.folder, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) remove(path);
    }
    if (d) closedir(d);
    rmdir(run.folder);
}

int main(int argc, char **argv) {
    long jobs = 2;
    char scratch[] = "/tmp/quern-bad-XXXXXX";
    const char *keep = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--quern")) run.quern = realpath(argv[i + 1], NULL);
        else if (!strcmp(argv[i], "--root")) run.root = realpath(argv[i + 1], NULL);
        else if (!strcmp(argv[i], "--jobs")) jobs = atol(argv[i + 1]);
        else if (!strcmp(argv[i], "--keep")) keep = argv[i + 1];
        else if (!strcmp(argv[i], "--only")) run.only = argv[i + 1];
        else die("unknown option", argv[i]);
    }
    if (!run.quern || !run.root) die("usage:", "bad_input --quern PATH --root REPOSITORY");
    if (keep) mkdir(keep, 0755);
    run.folder = keep ? realpath(keep, NULL) : strdup(mkdtemp(scratch));
    if (!run.folder) die("no such folder:", keep);
    setenv("NO_COLOR", "1", 1);
    setenv("QUERN_CACHE", "", 0); // every call compiles
    setenv("ASAN_OPTIONS", "allocator_may_return_null=1", 0);

    bad_sources_known(&run.sources);
    alter_folder("examples", 5, 5);
    alter_folder("tests/golden", 1, 1);
    bad_calls_make(&run.calls, run.folder);

    pthread_t threads[16];
    jobs = jobs < 1 ? 1 : jobs > 16 ? 16 : jobs;
    for (long i = 0; i < jobs; i++)
        if (pthread_create(&threads[i], NULL, work, NULL)) die("cannot start", "a thread");
    for (long i = 0; i < jobs; i++) pthread_join(threads[i], NULL);
    if (!keep) remove_folder();
    printf("%zu passed, %zu failed\n", run.done - run.failed, (size_t)run.failed);
    int rc = run.failed || !run.done ? 1 : 0;
    bad_sources_free(&run.sources);
    bad_calls_free(&run.calls);
    free(run.quern);
    free(run.root);
    free(run.folder);
    return rc;
}
