/* .npy files larger than memory: mapped for reading, written piece by piece.
 *
 * Pieces are written with pwrite, not through a mapping: a full disk is then an error that can be said. Bytes are those that qn__npy_write
 * writes for the whole array. */
#include "runtime/npy.h"

#include "runtime/call_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 16 };

__attribute__((format(printf, 2, 3))) static bool fail(char *message, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(message, QN__NPY_MESSAGE, format, list);
    va_end(list);
    return false;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static bool map_open(int file, qn__type expected, qn__npy_map *map, qn__argument *argument, bool *mapped, char *message) {
    struct stat status;
    qn__npy_header header;
    if (fstat(file, &status) != 0) return fail(message, "cannot be read: %s", strerror(errno));
    if (!S_ISREG(status.st_mode)) return fail(message, S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file");
    if (status.st_size < 10) return fail(message, "not a .npy file");
    map->bytes = (size_t)status.st_size;
    map->start = mmap(NULL, map->bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (map->start == MAP_FAILED) {
        map->start = NULL;
        return fail(message, "cannot be mapped: %s", strerror(errno));
    }
    if (!qn__npy_parse(map->start, map->bytes, expected, &header, message)) return false;
    const size_t size = map->bytes - header.data_offset;
    if (size < header.data_bytes) return fail(message, "the file is cut short: %zu bytes of data, expected %zu", size, header.data_bytes);
    if (size > header.data_bytes) return fail(message, "%zu bytes too many behind the data", size - header.data_bytes);
    *mapped = !header.swapped && header.type != QN__TYPE_BOOL;
    qn__argument_array(argument, header.type, header.rank, header.extent, (char *)map->start + header.data_offset);
    int64_t unit = qn__type_bytes(header.type);
    for (uint32_t d = 0; header.fortran && d < header.rank; d++) {
        argument->stride[d] = unit;
        unit *= header.extent[d] > 1 ? header.extent[d] : 1;
    }
    return true;
}

bool qn__npy_map_file(const char *path, qn__type expected, qn__npy_map *map, qn__argument *argument, bool *mapped, char message[QN__NPY_MESSAGE]) {
    *map = (qn__npy_map){0};
    *mapped = false;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return fail(message, "cannot be opened: %s", strerror(errno));
    const bool good = map_open(file, expected, map, argument, mapped, message);
    close(file);
    if (!good || !*mapped) qn__npy_unmap(map);
    return good;
}

void qn__npy_map_forget(const qn__npy_map *map, const qn__argument *argument, int64_t from, int64_t to) {
    if (!map->start) return;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)map->start;
    uintptr_t first = start, last = start + map->bytes;
    bool rows = argument->rank > 0;
    for (uint32_t d = 1; d < argument->rank; d++) rows = rows && argument->stride[d] < argument->stride[0];
    if (rows && from >= 0) {
        first = ((uintptr_t)argument->data + (uintptr_t)(from * argument->stride[0]) + page - 1) / page * page;
        last = ((uintptr_t)argument->data + (uintptr_t)(to * argument->stride[0])) / page * page;
    }
    if (last > first) madvise((void *)first, last - first, MADV_DONTNEED);
}

void qn__npy_unmap(qn__npy_map *map) {
    if (map->start) munmap(map->start, map->bytes);
    *map = (qn__npy_map){0};
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static bool write_at(const qn__npy_parts *p, const void *data, size_t size, uint64_t at, char *message) {
    for (const char *next = data; size;) {
        const ssize_t done = pwrite(p->file, next, size < (1U << 30) ? size : 1U << 30, (off_t)at);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return fail(message, "cannot be written: %s", strerror(done ? errno : EIO));
        next += done;
        at += (uint64_t)done;
        size -= (size_t)done;
    }
    return true;
}

bool qn__npy_parts_open(qn__npy_parts *p, const char *path, const qn__argument *whole, char message[QN__NPY_MESSAGE]) {
    struct stat status;
    *p = (qn__npy_parts){.file = -1, .whole = *whole, .special = stat(path, &status) == 0 && !S_ISREG(status.st_mode)};
    const size_t room = strlen(path) + 32;
    p->path = strdup(path);
    p->partial = malloc(room);
    if (!p->path || !p->partial) return fail(message, "out of memory");
    if (p->special) snprintf(p->partial, room, "%s", path);
    else snprintf(p->partial, room, "%s.%ld.part", path, (long)getpid());
    p->file = open(p->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (p->file < 0) return fail(message, "cannot be written: %s", strerror(errno));
    unsigned char head[QN__NPY_HEAD];
    const bool known = p->whole.rank == 0 || p->whole.extent[0] >= 0;
    if (!known) p->whole.extent[0] = 0;
    p->head = qn__npy_head(&p->whole, head);
    if (!write_at(p, head, p->head, 0, message)) return false;
    const int64_t total = known ? qn__array_bytes(p->whole.rank, p->whole.extent, qn__type_bytes((qn__type)p->whole.type)) : 0;
    if (!p->special && total > 0 && ftruncate(p->file, (off_t)(p->head + (uint64_t)total)) != 0)
        return fail(message, "cannot be written: %s", strerror(errno));
    return true;
}

/* Elements along the last dimension that lie apart. */
static bool write_apart(const qn__npy_parts *p, int64_t count, int64_t stride, const char *data, uint64_t at, char *message) {
    const uint32_t bytes = qn__type_bytes((qn__type)p->whole.type);
    char buffer[BUFFER];
    const int64_t unit = bytes, room = BUFFER / bytes;
    for (int64_t done = 0; done < count;) {
        const int64_t some = count - done < room ? count - done : room;
        qn__copy_strided(1, &some, bytes, buffer, &unit, data + done * stride, &stride);
        if (!write_at(p, buffer, (size_t)(some * bytes), at + (uint64_t)(done * bytes), message)) return false;
        done += some;
    }
    return true;
}

/* Dimension d and those behind it; `at` is where in the file they begin. Whole lines of both sides at once where they agree. */
static bool write_part(const qn__npy_parts *p, const qn__argument *piece, const int64_t *strides, uint32_t d, const char *data, uint64_t at, char *message) {
    const int64_t bytes = qn__type_bytes((qn__type)p->whole.type);
    int64_t line = bytes;
    bool straight = true;
    for (uint32_t k = piece->rank; k-- > d;) {
        straight = straight && (piece->extent[k] == 1 || (piece->stride[k] == line && (k == d || strides[k] == line)));
        straight = straight && (k == d || piece->extent[k] == p->whole.extent[k]);
        line *= piece->extent[k];
    }
    if (straight) return write_at(p, data, (size_t)line, at, message);
    if (d + 1 == piece->rank) return write_apart(p, piece->extent[d], piece->stride[d], data, at, message);
    for (int64_t i = 0; i < piece->extent[d]; i++)
        if (!write_part(p, piece, strides, d + 1, data + i * piece->stride[d], at + (uint64_t)(i * strides[d]), message)) return false;
    return true;
}

bool qn__npy_parts_write(qn__npy_parts *p, uint32_t dimension, int64_t offset, const qn__argument *piece, char message[QN__NPY_MESSAGE]) {
    int64_t strides[QN__MAX_RANK];
    qn__row_major(p->whole.rank, p->whole.extent, qn__type_bytes((qn__type)p->whole.type), strides);
    if (qn__array_bytes(piece->rank, piece->extent, 1) <= 0) return true;
    return write_part(p, piece, strides, 0, piece->data, p->head + (uint64_t)(offset * strides[dimension]), message);
}

bool qn__npy_parts_finish(qn__npy_parts *p, char message[QN__NPY_MESSAGE]) {
    unsigned char head[QN__NPY_HEAD];
    const size_t length = qn__npy_head(&p->whole, head);
    if (length != p->head || !write_at(p, head, length, 0, message)) return length == p->head ? false : fail(message, "the header does not fit");
    const int closed = close(p->file);
    p->file = -1;
    if (closed != 0 || (!p->special && rename(p->partial, p->path) != 0)) {
        const int error = errno;
        if (!p->special) remove(p->partial);
        return fail(message, "cannot be written: %s", strerror(error));
    }
    return true;
}

void qn__npy_parts_drop(qn__npy_parts *p) {
    if (p->file >= 0) {
        close(p->file);
        if (!p->special) remove(p->partial);
    }
    free(p->path);
    free(p->partial);
    *p = (qn__npy_parts){.file = -1};
}
