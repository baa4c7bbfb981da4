/* The cache on disk. See cache.h for what it promises.
 *
 * A file: header (magic, lengths, XXH3 128-bit checksum of what follows), the key's text, the image's bytes. Written under a temporary name in the same
 * folder, then renamed. Not synced: after a power cut the checksum tells. */
#include "runtime/cache.h"

#include "ir/image_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif
#include <xxhash.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

static const char magic[8] = {'Q', 'U', 'E', 'R', 'N', 'C', '1', '\n'};
static const char suffix[] = ".kernel";
enum { NAME = 64, STALE_SECONDS = 3600, TOUCH_SECONDS = 600, MAX_FILE = 1 << 30 };

typedef struct header {
    char magic[8];
    uint64_t key_length, image_length;
    uint8_t checksum[16];
} header;

struct qn__cache {
    char *folder;
    int descriptor; /* of the folder */
    uint64_t limit;
};

/* ---- the folder ---- */
static char *joined(const char *folder, const char *name) {
    const size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static char *default_folder(void) {
    const char *own = getenv("QUERN_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own) return strdup(own);
    if (xdg && xdg[0] == '/') return joined(xdg, "quern");
    return home && home[0] == '/' ? joined(home, ".cache/quern") : strdup("");
}

/* Makes the folder and those above it. */
static void make_folders(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        mkdir(path, 0700);
        *at = '/';
    }
    mkdir(path, 0700);
}

static bool only_ours(const struct stat *s) { return s->st_uid == geteuid() && (s->st_mode & (S_IWGRP | S_IWOTH)) == 0; }

qn__cache *qn__cache_open(const char *folder, uint64_t limit, const char **message) {
    qn__cache *cache = calloc(1, sizeof *cache);
    if (cache) cache->folder = folder ? strdup(folder) : default_folder();
    *message = NULL;
    if (!cache || !cache->folder) *message = "out of memory";
    else if (!cache->folder[0]) *message = "the cache is switched off";
    if (*message) {
        if (cache) free(cache->folder);
        free(cache);
        return NULL;
    }
    cache->limit = limit ? limit : (uint64_t)QN__CACHE_LIMIT_MIB << 20;
    make_folders(cache->folder);
    cache->descriptor = open(cache->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat s;
    if (cache->descriptor < 0 || fstat(cache->descriptor, &s) != 0) *message = "the cache's folder cannot be made or opened";
    else if (!only_ours(&s)) *message = "the cache's folder belongs to somebody else, or others may write to it";
    if (!*message) return cache;
    qn__cache_close(cache);
    return NULL;
}

void qn__cache_close(qn__cache *cache) {
    if (!cache) return;
    if (cache->descriptor >= 0) close(cache->descriptor);
    free(cache->folder);
    free(cache);
}

const char *qn__cache_folder(const qn__cache *cache) { return cache->folder; }

/* ---- one file ---- */
void qn__cache_hash(const void *bytes, size_t size, char out[QN__CACHE_HASH]) {
    const XXH128_hash_t hash = XXH3_128bits(bytes, size);
    snprintf(out, QN__CACHE_HASH, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

static void file_name(const char *key, char out[NAME]) {
    qn__cache_hash(key, strlen(key), out);
    strcat(out, suffix);
}

static void checksum(const void *bytes, size_t size, uint8_t out[16]) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
    memcpy(out, canonical.digest, 16);
}

static bool read_all(int descriptor, void *to, size_t size) {
    for (char *at = to; size > 0;) {
        const ssize_t got = read(descriptor, at, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

static bool write_all(int descriptor, const void *from, size_t size) {
    for (const char *at = from; size > 0;) {
        const ssize_t put = write(descriptor, at, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return false;
        at += put;
        size -= (size_t)put;
    }
    return true;
}

/* The whole file in malloc'ed memory with a zero behind the key's place; sets *h. */
static qn__cache_state read_file(int descriptor, const struct stat *s, header *h, char **body) {
    *body = NULL;
    if (!S_ISREG(s->st_mode) || !only_ours(s)) return QN__CACHE_FOREIGN;
    if (s->st_size < (off_t)sizeof *h || s->st_size > MAX_FILE || !read_all(descriptor, h, sizeof *h)) return QN__CACHE_DAMAGED;
    const uint64_t rest = (uint64_t)s->st_size - sizeof *h;
    if (memcmp(h->magic, magic, sizeof magic) != 0 || h->key_length > rest || h->image_length != rest - h->key_length) return QN__CACHE_DAMAGED;
    *body = malloc(rest + 1);
    if (!*body) return QN__CACHE_ERROR;
    uint8_t sum[16];
    if (!read_all(descriptor, *body, rest)) return QN__CACHE_DAMAGED;
    (*body)[rest] = 0;
    checksum(*body, rest, sum);
    return memcmp(sum, h->checksum, sizeof sum) == 0 ? QN__CACHE_HIT : QN__CACHE_DAMAGED;
}

static qn__cache_state open_entry(const qn__cache *cache, const char *name, header *h, char **body, struct stat *s) {
    *body = NULL;
    const int descriptor = openat(cache->descriptor, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return errno == ENOENT ? QN__CACHE_MISSING : errno == ELOOP ? QN__CACHE_FOREIGN : QN__CACHE_ERROR;
    const qn__cache_state state = fstat(descriptor, s) == 0 ? read_file(descriptor, s, h, body) : QN__CACHE_ERROR;
    if (state == QN__CACHE_HIT && time(NULL) - s->st_mtime > TOUCH_SECONDS) futimens(descriptor, NULL);
    close(descriptor);
    return state;
}

qn__cache_state qn__cache_find(const qn__cache *cache, const char *key, qn__arena *arena, qn__image *image) {
    char name[NAME], *body;
    header h;
    struct stat s;
    const size_t length = strlen(key);
    file_name(key, name);
    qn__cache_state state = open_entry(cache, name, &h, &body, &s);
    if (state == QN__CACHE_HIT && (h.key_length != length || memcmp(body, key, length) != 0)) state = QN__CACHE_MISSING; /* another key's */
    else if (state == QN__CACHE_HIT && !qn__image_read(arena, body + length, h.image_length, image))
        state = qn__arena_failed(arena) ? QN__CACHE_ERROR : QN__CACHE_DAMAGED;
    if (state == QN__CACHE_DAMAGED) unlinkat(cache->descriptor, name, 0);
    free(body);
    return state;
}

bool qn__cache_store(const qn__cache *cache, const char *key, const qn__image *image) {
    char name[NAME], temporary[NAME];
    const size_t length = strlen(key);
    file_name(key, name);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* with O_EXCL: two writers of one name cannot both have it */
    snprintf(temporary, sizeof temporary, "tmp.%ld.%lld.%ld", (long)getpid(), (long long)now.tv_sec, now.tv_nsec);
    qn__text body = QN__TEXT_EMPTY;
    qn__text_add(&body, key, length);
    qn__image_save(image, &body);
    header h = {.key_length = length, .image_length = body.length - length};
    memcpy(h.magic, magic, sizeof magic);
    bool ok = !body.failed;
    if (ok) checksum(qn__text_bytes(&body), body.length, h.checksum);
    const int descriptor = ok ? openat(cache->descriptor, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
    ok = descriptor >= 0 && write_all(descriptor, &h, sizeof h) && write_all(descriptor, qn__text_bytes(&body), body.length);
    if (descriptor >= 0 && close(descriptor) != 0) ok = false;
    if (ok && renameat(cache->descriptor, temporary, cache->descriptor, name) != 0) ok = false;
    if (!ok && descriptor >= 0) unlinkat(cache->descriptor, temporary, 0);
    qn__text_free(&body);
    if (ok) qn__cache_prune(cache, cache->limit);
    return ok;
}

/* ---- looking after the folder ---- */
typedef struct file { char name[NAME]; uint64_t bytes; int64_t used; } file;
typedef struct files { file *items; size_t count, capacity; bool failed; } files;

static bool is_entry(const char *name) {
    const size_t length = strlen(name), tail = sizeof suffix - 1;
    return length == 32 + tail && strcmp(name + 32, suffix) == 0;
}

static void add_file(files *list, const char *name, const struct stat *s) {
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? list->capacity * 2 : 64;
        file *grown = realloc(list->items, capacity * sizeof *grown);
        if (!grown) {
            list->failed = true;
            return;
        }
        list->items = grown;
        list->capacity = capacity;
    }
    file *f = &list->items[list->count++];
    memcpy(f->name, name, strlen(name) + 1); /* is_entry() has measured it */
    f->bytes = (uint64_t)s->st_size;
    f->used = s->st_mtime;
}

/* All entries; removes temporary files that nobody can be writing any more. */
static bool list_files(const qn__cache *cache, files *list) {
    *list = (files){0};
    const int copy = openat(cache->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (!dir) {
        if (copy >= 0) close(copy);
        return false;
    }
    const time_t now = time(NULL);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat s;
        if (fstatat(cache->descriptor, e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (is_entry(e->d_name)) add_file(list, e->d_name, &s);
        else if (strncmp(e->d_name, "tmp.", 4) == 0 && now - s.st_mtime > STALE_SECONDS) unlinkat(cache->descriptor, e->d_name, 0);
    }
    closedir(dir);
    return true;
}

static int oldest_first(const void *a, const void *b) {
    const file *x = a, *y = b;
    return x->used != y->used ? (x->used > y->used) - (x->used < y->used) : strcmp(x->name, y->name);
}

qn__cache_sum qn__cache_prune(const qn__cache *cache, uint64_t limit) {
    files list;
    qn__cache_sum removed = {0, 0};
    if (!list_files(cache, &list)) return removed;
    uint64_t total = 0;
    for (size_t i = 0; i < list.count; i++) total += list.items[i].bytes;
    const bool over = total > limit || limit == 0;
    if (over && list.count) qsort(list.items, list.count, sizeof *list.items, oldest_first); /* NULL when there are none */
    for (size_t i = 0; i < list.count && (total > limit || limit == 0); i++) {
        if (unlinkat(cache->descriptor, list.items[i].name, 0) != 0) continue;
        removed.entries++;
        removed.bytes += list.items[i].bytes;
        total -= list.items[i].bytes;
    }
    free(list.items);
    return removed;
}

bool qn__cache_visit(const qn__cache *cache, bool (*visit)(void *user, const qn__cache_entry *entry), void *user) {
    files list;
    if (!list_files(cache, &list)) return false;
    bool more = true;
    for (size_t i = 0; more && i < list.count; i++) {
        char *body;
        header h;
        struct stat s;
        qn__cache_entry entry = {.name = list.items[i].name, .bytes = list.items[i].bytes, .used = list.items[i].used};
        entry.state = open_entry(cache, entry.name, &h, &body, &s);
        if (entry.state == QN__CACHE_HIT) {
            body[h.key_length] = 0;
            entry.key = body;
        }
        more = visit(user, &entry);
        free(body);
    }
    free(list.items);
    return !list.failed;
}

qn__cache_sum qn__cache_verify(const qn__cache *cache, uint64_t *sound) {
    files list;
    qn__cache_sum removed = {0, 0};
    *sound = 0;
    if (!list_files(cache, &list)) return removed;
    for (size_t i = 0; i < list.count; i++) {
        char *body;
        header h;
        struct stat s;
        const qn__cache_state state = open_entry(cache, list.items[i].name, &h, &body, &s);
        free(body);
        *sound += state == QN__CACHE_HIT;
        if (state != QN__CACHE_DAMAGED || unlinkat(cache->descriptor, list.items[i].name, 0) != 0) continue;
        removed.entries++;
        removed.bytes += list.items[i].bytes;
    }
    free(list.items);
    return removed;
}
