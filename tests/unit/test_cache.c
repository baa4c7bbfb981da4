/* The cache on disk: what is damaged, foreign or half written is never used, and nothing here makes a compilation fail.
 * Then the same through the command, when it has been built. */
#include "ir/image_file.h"
#include "runtime/cache.h"
#include "tests/support/spawn.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a folder, a key, an image ---- */
typedef struct fixture { char folder[64]; qn__cache *cache; } fixture;

static const char key[] = "quern 0 build 0\ntarget none\nkernel k\n";
static const char other_key[] = "quern 0 build 0\ntarget none\nkernel other\n";

static qn__cache *open_cache(const char *folder, uint64_t limit) {
    const char *message = NULL;
    qn__cache *cache = qn__cache_open(folder, limit, &message);
    cr_assert(cache, "%s", message);
    return cache;
}

static fixture setup(uint64_t limit) {
    fixture f = {.folder = "/tmp/quern-cache-XXXXXX"};
    cr_assert(mkdtemp(f.folder));
    f.cache = open_cache(f.folder, limit);
    return f;
}

static void teardown(fixture *f) {
    qn__cache_close(f->cache);
    DIR *dir = opendir(f->folder);
    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.') unlinkat(dirfd(dir), e->d_name, 0);
    if (dir) closedir(dir);
    cr_assert_eq(rmdir(f->folder), 0);
}

/* A kernel of one scalar and one array that adds up: small, but every table has an entry. */
static qn__image image_of(const char *code, size_t size, qn__signature *s) {
    static qn__dim dims[] = {{.op = QN__DIM_SYMBOL, .value = 0}};
    static qn__symbol symbols[] = {{.name = "n", .parameter = 1}};
    static qn__parameter parameters[] = {
        {.name = "a", .kind = QN__PARAMETER_SCALAR, .type = QN__TYPE_F32},
        {.name = "x", .kind = QN__PARAMETER_IN, .type = QN__TYPE_F32, .rank = 1, .dim = {0}},
    };
    static const qn__image_array arrays[] = {{.type = QN__TYPE_F32, .rank = 1, .kind = 0, .name = "x"}};
    static const qn__location locations[] = {{.path = ""}, {.path = "k.qn", .line = 2, .column = 5, .length = 3}};
    *s = (qn__signature){.name = "k", .parameters = parameters, .parameter_count = 2, .input_count = 2, .scalar_count = 1,
                         .symbols = symbols, .symbol_count = 1, .dims = dims, .dim_count = 1};
    return (qn__image){.kind = QN__IMAGE_OBJECT, .code = code, .code_size = size, .symbol = "quern_k", .signature = s,
                       .arrays = arrays, .array_count = 1, .locations = locations, .location_count = 2};
}

static bool store(const qn__cache *cache, const char *name, const char *code, size_t size) {
    qn__signature signature;
    const qn__image image = image_of(code, size, &signature);
    return qn__cache_store(cache, name, &image);
}

/* The state of a look-up; a hit must be what was stored. */
static qn__cache_state find(const qn__cache *cache, const char *name) {
    qn__arena *arena = qn__arena_create(0);
    qn__image image;
    const qn__cache_state state = qn__cache_find(cache, name, arena, &image);
    if (state == QN__CACHE_HIT) {
        cr_assert(image.code_size >= 4 && memcmp(image.code, "code", 4) == 0);
        cr_assert_str_eq(image.symbol, "quern_k");
        cr_assert_str_eq(image.signature->name, "k");
        cr_assert_str_eq(image.signature->parameters[1].name, "x");
    }
    qn__arena_destroy(arena);
    return state;
}

static void path_of(const fixture *f, const char *name, char out[160]) {
    char hash[QN__CACHE_HASH];
    qn__cache_hash(name, strlen(name), hash);
    snprintf(out, 160, "%s/%s.kernel", f->folder, hash);
}

static size_t read_file(const char *path, char *bytes, size_t room) {
    FILE *file = fopen(path, "rb");
    cr_assert(file, "%s: %s", path, strerror(errno));
    const size_t length = fread(bytes, 1, room, file);
    fclose(file);
    return length;
}

static void write_file(const char *path, const char *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    cr_assert(file);
    cr_assert_eq(fwrite(bytes, 1, length, file), length);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(chmod(path, 0600), 0);
}

static size_t files_in(const char *folder) {
    DIR *dir = opendir(folder);
    cr_assert(dir);
    size_t count = 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* ---- sound entries ---- */
Test(cache, finds_what_was_stored) {
    fixture f = setup(0);
    cr_assert_eq(find(f.cache, key), QN__CACHE_MISSING);
    cr_assert(store(f.cache, key, "code of k", 9));
    cr_assert_eq(find(f.cache, key), QN__CACHE_HIT);
    cr_assert_eq(find(f.cache, other_key), QN__CACHE_MISSING);
    cr_assert_eq(files_in(f.folder), 1);
    cr_assert(store(f.cache, key, "code again", 10), "an entry may be replaced");
    cr_assert_eq(find(f.cache, key), QN__CACHE_HIT);
    cr_assert_eq(files_in(f.folder), 1);
    teardown(&f);
}

static bool first_key(void *user, const qn__cache_entry *entry) {
    cr_assert_eq(entry->state, QN__CACHE_HIT);
    cr_assert_str_eq(entry->key, key);
    ++*(int *)user;
    return true;
}

Test(cache, keys_are_kept_as_lines) {
    fixture f = setup(0);
    int seen = 0;
    uint64_t sound = 0;
    cr_assert(store(f.cache, key, "code", 4));
    cr_assert(qn__cache_visit(f.cache, first_key, &seen));
    cr_assert_eq(seen, 1);
    cr_assert_eq(qn__cache_verify(f.cache, &sound).entries, 0);
    cr_assert_eq(sound, 1);
    teardown(&f);
}

/* A file under this key's name that holds another key, with a right checksum: a collision of names. */
Test(cache, another_keys_file_is_no_hit) {
    fixture f = setup(0);
    char from[160], to[160];
    cr_assert(store(f.cache, other_key, "code", 4));
    path_of(&f, other_key, from);
    path_of(&f, key, to);
    cr_assert_eq(rename(from, to), 0);
    cr_assert_eq(find(f.cache, key), QN__CACHE_MISSING);
    cr_assert_eq(access(to, F_OK), 0);
    teardown(&f);
}

/* ---- damage ---- */
enum { ROOM = 65536 };

Test(cache, truncated_at_every_length, .timeout = 120) {
    fixture f = setup(0);
    static char bytes[ROOM];
    char path[160];
    cr_assert(store(f.cache, key, "code of k", 9));
    path_of(&f, key, path);
    const size_t length = read_file(path, bytes, ROOM);
    cr_assert(length > 64 && length < ROOM);
    for (size_t n = 0; n < length; n++) {
        write_file(path, bytes, n);
        cr_assert_eq(find(f.cache, key), QN__CACHE_DAMAGED, "%zu of %zu bytes were accepted", n, length);
        cr_assert_eq(access(path, F_OK), -1, "a damaged file was left");
    }
    bytes[length] = 0;
    write_file(path, bytes, length + 1);
    cr_assert_eq(find(f.cache, key), QN__CACHE_DAMAGED, "a byte too many was accepted");
    teardown(&f);
}

Test(cache, every_byte_flipped, .timeout = 120) {
    fixture f = setup(0);
    static char bytes[ROOM];
    char path[160];
    cr_assert(store(f.cache, key, "code of k", 9));
    path_of(&f, key, path);
    const size_t length = read_file(path, bytes, ROOM);
    for (size_t n = 0; n < length * 8; n++) {
        bytes[n / 8] = (char)(bytes[n / 8] ^ 1 << n % 8);
        write_file(path, bytes, length);
        cr_assert_eq(find(f.cache, key), QN__CACHE_DAMAGED, "bit %zu of byte %zu flipped was accepted", n % 8, n / 8);
        bytes[n / 8] = (char)(bytes[n / 8] ^ 1 << n % 8);
    }
    write_file(path, bytes, length);
    cr_assert_eq(find(f.cache, key), QN__CACHE_HIT);
    teardown(&f);
}

/* The image behind a right checksum is still checked: any bytes give false or an image, never a read outside. */
Test(cache, images_are_checked_behind_the_checksum, .timeout = 120) {
    qn__signature signature;
    const qn__image image = image_of("code of k", 9, &signature);
    qn__text text = QN__TEXT_EMPTY;
    qn__image_save(&image, &text);
    cr_assert(!text.failed);
    for (size_t n = 0; n < text.length; n++) {
        char *copy = malloc(n + 1); /* exactly sized: a sanitizer sees any read outside */
        qn__arena *arena = qn__arena_create(1 << 22);
        qn__image out;
        memcpy(copy, text.bytes, n);
        cr_assert(!qn__image_read(arena, copy, n, &out), "%zu of %zu bytes make an image", n, text.length);
        free(copy);
        qn__arena_destroy(arena);
    }
    for (size_t n = 0; n < text.length * 8; n++) {
        qn__arena *arena = qn__arena_create(1 << 22);
        qn__image out;
        text.bytes[n / 8] = (char)(text.bytes[n / 8] ^ 1 << n % 8);
        (void)qn__image_read(arena, text.bytes, text.length, &out);
        text.bytes[n / 8] = (char)(text.bytes[n / 8] ^ 1 << n % 8);
        qn__arena_destroy(arena);
    }
    qn__text_free(&text);
}

/* ---- whose it is ---- */
Test(cache, foreign_owner) {
    if (geteuid() != 0) cr_skip_test("only root can give files away");
    fixture f = setup(0);
    char path[160];
    const char *message = NULL;
    cr_assert(store(f.cache, key, "code", 4));
    path_of(&f, key, path);
    cr_assert_eq(chown(path, 12345, (gid_t)-1), 0);
    cr_assert_eq(find(f.cache, key), QN__CACHE_FOREIGN);
    cr_assert_eq(access(path, F_OK), 0, "a foreign file is left alone");
    cr_assert_eq(chown(path, 0, (gid_t)-1), 0);
    cr_assert_eq(find(f.cache, key), QN__CACHE_HIT);
    cr_assert_eq(chown(f.folder, 12345, (gid_t)-1), 0);
    cr_assert_null(qn__cache_open(f.folder, 0, &message));
    cr_assert(message && strstr(message, "somebody else"));
    teardown(&f);
}

Test(cache, writable_by_others) {
    fixture f = setup(0);
    char path[160];
    const char *message = NULL;
    const mode_t modes[] = {0620, 0602, 0666};
    cr_assert(store(f.cache, key, "code", 4));
    path_of(&f, key, path);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(chmod(path, modes[i]), 0);
        cr_assert_eq(find(f.cache, key), QN__CACHE_FOREIGN);
    }
    cr_assert_eq(chmod(path, 0644), 0);
    cr_assert_eq(find(f.cache, key), QN__CACHE_HIT, "being read by others is no harm");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(chmod(f.folder, modes[i] | 0700), 0);
        cr_assert_null(qn__cache_open(f.folder, 0, &message));
    }
    cr_assert_eq(chmod(f.folder, 0700), 0);
    teardown(&f);
}

Test(cache, links_and_pipes_are_not_followed, .timeout = 20) {
    fixture f = setup(0);
    char path[160], target[160];
    const char *message = NULL;
    cr_assert(store(f.cache, key, "code", 4));
    path_of(&f, key, path);
    snprintf(target, sizeof target, "%s/elsewhere", f.folder);
    cr_assert_eq(rename(path, target), 0);
    cr_assert_eq(symlink(target, path), 0);
    cr_assert_eq(find(f.cache, key), QN__CACHE_FOREIGN);
    cr_assert(store(f.cache, key, "code", 4), "the link itself is replaced");
    cr_assert_eq(find(f.cache, key), QN__CACHE_HIT);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(find(f.cache, key), QN__CACHE_FOREIGN);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_neq(find(f.cache, key), QN__CACHE_HIT);
    cr_assert(!store(f.cache, key, "code", 4));
    cr_assert_eq(rmdir(path), 0);
    cr_assert_null(qn__cache_open(target, 0, &message), "a file is no folder");
    cr_assert_null(qn__cache_open("/proc/no/such", 0, &message));
    cr_assert_null(qn__cache_open("", 0, &message));
    teardown(&f);
}

/* ---- many writers, no room ---- */
static void race(const char *folder, unsigned seed) {
    char name[64], code[2048];
    qn__cache *cache = open_cache(folder, 40000);
    memset(code, 'c', sizeof code);
    memcpy(code, "code", 4);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "kernel %u\n", (i * 7 + seed) % 30);
        const qn__cache_state state = find(cache, name);
        if (state != QN__CACHE_HIT && state != QN__CACHE_MISSING) _exit(1);
        if (state == QN__CACHE_MISSING && !store(cache, name, code, 64 + i * 5)) _exit(2);
        if (i % 50 == 49) qn__cache_prune(cache, 20000);
    }
    qn__cache_close(cache);
    _exit(0);
}

Test(cache, processes_share_a_folder, .timeout = 120) {
    fixture f = setup(0);
    pid_t children[4];
    uint64_t sound = 0;
    for (unsigned i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) race(f.folder, i * 11);
    }
    for (int i = 0; i < 4; i++) {
        int status = 0;
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "ended with %x", (unsigned)status);
    }
    cr_assert_eq(qn__cache_verify(f.cache, &sound).entries, 0, "a damaged entry was left");
    cr_assert(sound > 0);
    cr_assert_eq(files_in(f.folder), sound, "a temporary file was left");
    teardown(&f);
}

/* A disk that is full, as a limit on the size of files: the entry is not stored, and nothing is left of it. */
Test(cache, full_disk, .timeout = 20) {
    static char code[ROOM];
    fixture f = setup(0);
    const struct rlimit limit = {4096, RLIM_INFINITY};
    memcpy(code, "code", 4);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const bool large = store(f.cache, key, code, sizeof code), small = store(f.cache, other_key, code, 64);
    const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    cr_assert(!large && small);
    cr_assert_eq(find(f.cache, key), QN__CACHE_MISSING);
    cr_assert_eq(find(f.cache, other_key), QN__CACHE_HIT);
    cr_assert_eq(files_in(f.folder), 1);
    teardown(&f);
}

Test(cache, prunes_the_least_recently_used) {
    fixture f = setup(0);
    char name[32], path[160];
    uint64_t bytes = 0;
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "kernel %d\n", i);
        cr_assert(store(f.cache, name, "code", 4));
        path_of(&f, name, path);
        const struct timespec times[2] = {{.tv_sec = 1000000 + i}, {.tv_sec = 1000000 + i}};
        cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
        struct stat s;
        cr_assert_eq(stat(path, &s), 0);
        bytes = (uint64_t)s.st_size; /* all the same */
    }
    cr_assert_eq(find(f.cache, "kernel 0\n"), QN__CACHE_HIT); /* used: the newest now */
    const qn__cache_sum removed = qn__cache_prune(f.cache, 4 * bytes);
    cr_assert_eq(removed.entries, 6);
    cr_assert_eq(removed.bytes, 6 * bytes);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "kernel %d\n", i);
        cr_assert_eq(find(f.cache, name), i == 0 || i >= 7 ? QN__CACHE_HIT : QN__CACHE_MISSING, "kernel %d", i);
    }
    qn__cache *small = open_cache(f.folder, 2 * bytes); /* storing prunes */
    cr_assert(store(small, "kernel x\n", "code", 4));
    cr_assert_eq(files_in(f.folder), 2);
    qn__cache_close(small);
    cr_assert_eq(qn__cache_prune(f.cache, 0).entries, 2);
    cr_assert_eq(files_in(f.folder), 0);
    teardown(&f);
}

Test(cache, what_killed_processes_left_goes) {
    fixture f = setup(0);
    char young[160], old[160];
    snprintf(young, sizeof young, "%s/tmp.1.2.3", f.folder);
    snprintf(old, sizeof old, "%s/tmp.4.5.6", f.folder);
    write_file(young, "x", 1);
    write_file(old, "x", 1);
    const struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    cr_assert_eq(utimensat(AT_FDCWD, old, times, 0), 0);
    qn__cache_prune(f.cache, 1 << 20);
    cr_assert_eq(access(young, F_OK), 0, "somebody may be writing it");
    cr_assert_eq(access(old, F_OK), -1);
    teardown(&f);
}

/* ---- through the command ---- */
static char command[4096];

static bool find_command(void) {
    const ssize_t length = readlink("/proc/self/exe", command, sizeof command - 16);
    if (length <= 0) return false;
    command[length] = 0;
    char *slash = strrchr(command, '/');
    if (!slash) return false;
    strcpy(slash + 1, "quern");
    return access(command, X_OK) == 0;
}

static bool says(char *const argv[], int code, const char *words) {
    run_result r = run_program(argv, NULL, 60);
    const bool ok = !run_broken(&r) && r.code == code && strstr(r.output, words) != NULL;
    if (!ok) cr_log_error("%s %s: code %d:\n%s", argv[0], argv[1], r.code, r.output);
    run_free(&r);
    return ok;
}

Test(cache, of_the_command, .timeout = 240) {
    if (!find_command()) cr_skip_test("the command 'quern' is not built beside this test");
    fixture f = setup(0);
    static char bytes[1 << 20];
    char path[160] = "", source[] = QN_SOURCE_DIR "/examples/saxpy.qn";
    char *run[] = {command, "run", "--engine", "cpu", source, "a=2", "x=[1,2,3]", "y=[10,20,30]", NULL};
    char *explain[] = {command, "cache", "explain", source, "a=2", "x=[1,2,3]", "y=[10,20,30]", NULL};
    char *show[] = {command, "cache", "show", NULL}, *verify[] = {command, "cache", "verify", NULL}, *clear[] = {command, "cache", "clear", NULL};
    setenv("QUERN_CACHE", f.folder, 1);
    cr_assert(says(explain, 0, "saxpy: not found"));
    cr_assert(says(run, 0, "[12.0, 24.0, 36.0]"));
    cr_assert_eq(files_in(f.folder), 1);
    cr_assert(says(explain, 0, "saxpy: found"));
    cr_assert(says(run, 0, "[12.0, 24.0, 36.0]"));
    cr_assert(says(show, 0, "1 kernels"));
    DIR *dir = opendir(f.folder);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.') snprintf(path, sizeof path, "%s/%.90s", f.folder, e->d_name);
    closedir(dir);
    const size_t length = read_file(path, bytes, sizeof bytes);
    bytes[length / 2] ^= 0x40;
    write_file(path, bytes, length);
    cr_assert(says(run, 0, "[12.0, 24.0, 36.0]"), "a damaged entry is compiled again");
    cr_assert(says(explain, 0, "saxpy: found"));
    write_file(path, bytes, length);
    cr_assert(says(verify, 0, "0 sound, 1 removed"));
    cr_assert(says(clear, 0, "0 removed"));
    cr_assert_eq(chmod(f.folder, 0777), 0);
    cr_assert(says(run, 0, "[12.0, 24.0, 36.0]"), "a folder that others may write to is not used");
    cr_assert_eq(files_in(f.folder), 0);
    cr_assert_eq(chmod(f.folder, 0700), 0);
    teardown(&f);
}
