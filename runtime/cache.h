/* The cache of compiled kernels on disk: one file per entry in one folder of the user's own.
 *
 * An entry is found by its key, a text of lines `name value` with everything that can change the code. The file's name is a hash of the key, the
 * file holds the key itself, and a checksum over all of it: a damaged, foreign or stale file is never used, and is removed or left alone, never
 * trusted. Entries appear under their name complete or not at all, so any number of processes may share a folder. The folder must belong to
 * the user and be writable by nobody else. Nothing here ever makes a compilation fail: what cannot be cached is compiled again.
 *
 * Thread-safe: a qn__cache is immutable. */
#ifndef QN__CACHE_H
#define QN__CACHE_H

#include "ir/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn__cache qn__cache;

enum { QN__CACHE_LIMIT_MIB = 256 }; /* the default bound */

/* folder NULL: $QUERN_CACHE, else $XDG_CACHE_HOME/quern, else ~/.cache/quern. It is made when it is missing. NULL with a message (static) when there is no such
 * folder, it is not the user's alone, or memory is out; also when the name is empty, which switches the cache off. limit in bytes, 0: the default. */
qn__cache *qn__cache_open(const char *folder, uint64_t limit, const char **message);
void qn__cache_close(qn__cache *cache);
const char *qn__cache_folder(const qn__cache *cache);

typedef enum qn__cache_state {
    QN__CACHE_HIT,
    QN__CACHE_MISSING,
    QN__CACHE_DAMAGED, /* checksum, length or content are wrong; was removed */
    QN__CACHE_FOREIGN, /* not the user's file, or others may write it; not touched */
    QN__CACHE_ERROR    /* the file cannot be read, or memory is out */
} qn__cache_state;

/* Loads the image of a key into the arena. */
qn__cache_state qn__cache_find(const qn__cache *cache, const char *key, qn__arena *arena, qn__image *image);

/* Stores an image; then removes the least recently used entries while the folder exceeds its limit. False when it could not be stored. */
bool qn__cache_store(const qn__cache *cache, const char *key, const qn__image *image);

/* One entry, for those who look after the folder. */
typedef struct qn__cache_entry {
    const char *name;     /* of the file */
    const char *key;      /* NULL when the file is not sound */
    qn__cache_state state; /* HIT: sound */
    uint64_t bytes;
    int64_t used;         /* seconds since 1970 */
} qn__cache_entry;

/* Calls `visit` for each entry, in no order; it may not use the cache. Stops when visit returns false. False when the folder cannot be read. */
bool qn__cache_visit(const qn__cache *cache, bool (*visit)(void *user, const qn__cache_entry *entry), void *user);

typedef struct qn__cache_sum { uint64_t entries, bytes; } qn__cache_sum;
/* Removes the least recently used entries until at most `limit` bytes remain (0: all), and what killed processes left behind. Returns what was removed. */
qn__cache_sum qn__cache_prune(const qn__cache *cache, uint64_t limit);

/* Removes damaged entries. */
qn__cache_sum qn__cache_verify(const qn__cache *cache, uint64_t *sound);

/* A hash of bytes as 32 hexadecimal digits, for keys. */
enum { QN__CACHE_HASH = 33 };
void qn__cache_hash(const void *bytes, size_t size, char out[QN__CACHE_HASH]);

#endif
