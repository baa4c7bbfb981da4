/* The .npy format: "\x93NUMPY", version, header length, and a Python dict literal with 'descr', 'fortran_order' and 'shape'.
 *
 * The reader takes exactly what the format's specification allows for plain arrays: the three keys, each once, in any order; any
 * white space a Python literal may have; then only padding. Everything is checked against the bytes that there are, so
 * the size of an allocation never comes from the header alone. */
#include "runtime/npy.h"

#include "runtime/call_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_LIMIT = 1 << 20 };

typedef struct scanner {
    const char *next, *end;
    char *message;
} scanner;

__attribute__((format(printf, 2, 3))) static bool fail(char *message, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(message, QN__NPY_MESSAGE, format, list);
    va_end(list);
    return false;
}

/* --- the dict literal --------------------------------------------------------------------------------------------- */

static void skip_space(scanner *s) {
    while (s->next < s->end && (*s->next == ' ' || *s->next == '\t' || *s->next == '\n' || *s->next == '\r')) s->next++;
}

static bool take(scanner *s, char c) {
    skip_space(s);
    if (s->next == s->end || *s->next != c) return false;
    s->next++;
    return true;
}

static bool expect(scanner *s, char c) {
    return take(s, c) || fail(s->message, "malformed header: '%c' expected at byte %td from the end of the header", c,
                              s->end - s->next);
}

static bool take_word(scanner *s, const char *word) {
    size_t length = strlen(word);
    skip_space(s);
    if ((size_t)(s->end - s->next) < length || memcmp(s->next, word, length) != 0) return false;
    s->next += length;
    return true;
}

/* A string in either kind of quotes, without escapes. */
static bool scan_string(scanner *s, char *text, size_t room) {
    skip_space(s);
    char quote = s->next < s->end ? *s->next : 0;
    if (quote != '\'' && quote != '"') return fail(s->message, "malformed header: a string expected");
    s->next++;
    size_t length = 0;
    while (s->next < s->end && *s->next != quote && *s->next != '\\' && *s->next >= ' ' && length + 1 < room)
        text[length++] = *s->next++;
    text[length] = 0;
    if (s->next == s->end || *s->next != quote) return fail(s->message, "malformed header: an odd string");
    s->next++;
    return true;
}

static bool scan_extent(scanner *s, int64_t *value) {
    skip_space(s);
    if (s->next == s->end || *s->next < '0' || *s->next > '9') return fail(s->message, "malformed header: an extent expected");
    for (*value = 0; s->next < s->end && *s->next >= '0' && *s->next <= '9'; s->next++) {
        *value = *value * 10 + (*s->next - '0');
        if (*value >= QN__EXTENT_LIMIT) return fail(s->message, "an extent of 2^48 or more");
    }
    if (s->next < s->end && *s->next == 'L') s->next++; /* Python 2 wrote long integers so */
    return true;
}

static bool scan_shape(scanner *s, qn__npy_header *header) {
    if (!expect(s, '(')) return false;
    header->rank = 0;
    while (!take(s, ')')) {
        if (header->rank == QN__MAX_RANK) return fail(s->message, "the rank is above 8");
        if (!scan_extent(s, &header->extent[header->rank++])) return false;
        if (take(s, ',')) continue;
        if (header->rank == 1) return fail(s->message, "malformed header: the shape is no tuple");
        if (!expect(s, ')')) return false;
        break;
    }
    return true;
}

/* --- types -------------------------------------------------------------------------------------------------------- */

typedef struct code { const char *text; uint8_t type; } code;

static const code codes[] = {
    {"b1", QN__TYPE_BOOL}, {"i1", QN__TYPE_I8},  {"i2", QN__TYPE_I16}, {"i4", QN__TYPE_I32},
    {"i8", QN__TYPE_I64},  {"u1", QN__TYPE_U8},  {"u2", QN__TYPE_U16}, {"u4", QN__TYPE_U32},
    {"u8", QN__TYPE_U64},  {"f2", QN__TYPE_F16}, {"f4", QN__TYPE_F32}, {"f8", QN__TYPE_F64},
};

static bool parse_type(const char *descr, qn__type expected, qn__npy_header *header, char *message) {
    bool two_bytes = !strcmp(descr, "<V2") || !strcmp(descr, "|V2") || !strcmp(descr, "V2");
    if (two_bytes || !strcmp(descr, "bfloat16")) {
        if (expected != QN__TYPE_BF16)
            return fail(message, "the type '%s' is read only where bf16 is expected", descr);
        header->type = QN__TYPE_BF16;
        header->swapped = false;
        return true;
    }
    char order = *descr;
    if (order == '<' || order == '>' || order == '|' || order == '=') descr++;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strcmp(descr, codes[i].text) != 0) continue;
        header->type = (qn__type)codes[i].type;
        bool single = qn__type_bytes(header->type) == 1;
        if (!single && order != '<' && order != '>' && order != '=') break;
        header->swapped = !single && order == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '>' : '<');
        return true;
    }
    if (strchr(descr, 'O')) return fail(message, "arrays of Python objects cannot be read");
    return fail(message, "the element type '%.40s' is not supported", descr - (order == '<' || order == '>' || order == '|'));
}

/* --- the header --------------------------------------------------------------------------------------------------- */

static bool scan_entry(scanner *s, qn__npy_header *header, char *descr, size_t room, unsigned *seen) {
    char key[20];
    if (!scan_string(s, key, sizeof key) || !expect(s, ':')) return false;
    unsigned bit = !strcmp(key, "descr") ? 1 : !strcmp(key, "fortran_order") ? 2 : !strcmp(key, "shape") ? 4 : 0;
    if (!bit || (*seen & bit)) return fail(s->message, "malformed header: unexpected key '%s'", key);
    *seen |= bit;
    if (bit == 4) return scan_shape(s, header);
    if (bit == 1) {
        skip_space(s);
        if (s->next < s->end && *s->next == '[') return fail(s->message, "structured element types are not supported");
        return scan_string(s, descr, room);
    }
    header->fortran = take_word(s, "True");
    return header->fortran || take_word(s, "False") || fail(s->message, "malformed header: fortran_order is no bool");
}

static bool scan_header(scanner *s, qn__npy_header *header, char *descr, size_t room) {
    unsigned seen = 0;
    if (!expect(s, '{')) return false;
    while (!take(s, '}')) {
        if (!scan_entry(s, header, descr, room, &seen)) return false;
        if (take(s, ',')) continue;
        if (!expect(s, '}')) return false;
        break;
    }
    if (seen != 7) return fail(s->message, "malformed header: 'descr', 'fortran_order' and 'shape' are needed");
    skip_space(s);
    return s->next == s->end || fail(s->message, "malformed header: bytes behind the dict");
}

bool qn__npy_parse(const void *bytes, size_t size, qn__type expected, qn__npy_header *header, char message[QN__NPY_MESSAGE]) {
    const unsigned char *b = bytes;
    memset(header, 0, sizeof *header);
    if (size < 10 || memcmp(b, "\x93NUMPY", 6) != 0) return fail(message, "not a .npy file");
    if (b[6] < 1 || b[6] > 3 || b[7] != 0) return fail(message, "version %u.%u of the format is not known", b[6], b[7]);
    size_t start = b[6] == 1 ? 10 : 12, length = b[8] | (size_t)b[9] << 8;
    if (size < start) return fail(message, "the file ends inside its header");
    if (b[6] > 1) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > HEADER_LIMIT) return fail(message, "a header of %zu bytes", length);
    if (size - start < length) return fail(message, "the file ends inside its header");
    char descr[48] = "";
    scanner s = {(const char *)b + start, (const char *)b + start + length, message};
    if (!scan_header(&s, header, descr, sizeof descr) || !parse_type(descr, expected, header, message)) return false;
    int64_t total = qn__array_bytes(header->rank, header->extent, qn__type_bytes(header->type));
    if (total < 0) return fail(message, "the array is too large");
    header->data_offset = start + length;
    header->data_bytes = (size_t)total;
    return true;
}

/* --- decoding ----------------------------------------------------------------------------------------------------- */

static void swap_bytes(unsigned char *data, size_t count, uint32_t bytes) {
    for (size_t i = 0; i < count; i++, data += bytes)
        for (uint32_t k = 0; k < bytes / 2; k++) {
            unsigned char saved = data[k];
            data[k] = data[bytes - 1 - k];
            data[bytes - 1 - k] = saved;
        }
}

/* Fills in the argument around data that is in place; a bool becomes 0 or 1 whatever the file holds. */
static void describe(const qn__npy_header *header, void *data, qn__argument *argument) {
    uint32_t bytes = qn__type_bytes(header->type);
    size_t count = header->data_bytes / bytes;
    unsigned char *b = data;
    if (header->swapped) swap_bytes(data, count, bytes);
    for (size_t i = 0; header->type == QN__TYPE_BOOL && i < count; i++) b[i] = b[i] != 0;
    qn__argument_array(argument, header->type, header->rank, header->extent, data);
    argument->allocated = true;
    argument->bytes = header->data_bytes ? header->data_bytes : 1;
    if (header->rank == 0) memcpy(&argument->bits, data, bytes);
    int64_t unit = bytes;
    for (uint32_t d = 0; header->fortran && d < header->rank; d++) {
        argument->stride[d] = unit;
        unit *= header->extent[d] > 1 ? header->extent[d] : 1;
    }
}

static bool check_length(const qn__npy_header *header, uint64_t size, char *message) {
    uint64_t needed = (uint64_t)header->data_offset + header->data_bytes;
    if (size < needed)
        return fail(message, "the file is cut short: %" PRIu64 " bytes of data, expected %zu", size - header->data_offset,
                    header->data_bytes);
    if (size > needed) return fail(message, "%" PRIu64 " bytes too many behind the data", size - needed);
    return true;
}

static void *allocate(const qn__npy_header *header, const qn__allocator *allocator, char *message) {
    void *data = allocator->alloc(allocator->user, header->data_bytes ? header->data_bytes : 1, QN__ALIGNMENT);
    if (!data) fail(message, "out of memory: %zu bytes", header->data_bytes);
    return data;
}

bool qn__npy_decode(const void *bytes, size_t size, qn__type expected, const qn__allocator *allocator, qn__argument *argument,
                    char message[QN__NPY_MESSAGE]) {
    qn__npy_header header;
    memset(argument, 0, sizeof *argument);
    if (!qn__npy_parse(bytes, size, expected, &header, message) || !check_length(&header, size, message)) return false;
    void *data = allocate(&header, allocator ? allocator : &qn__allocator_malloc, message);
    if (!data) return false;
    memcpy(data, (const char *)bytes + header.data_offset, header.data_bytes);
    describe(&header, data, argument);
    return true;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static bool read_all(int file, void *data, size_t size, char *message) {
    for (char *next = data; size;) {
        ssize_t got = read(file, next, size < (1U << 30) ? size : 1U << 30);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(message, "cannot be read: %s", strerror(errno));
        if (got == 0) return fail(message, "the file became shorter while it was read");
        next += got;
        size -= (size_t)got;
    }
    return true;
}

/* The header's bytes: all of a small file, else as many as the length field says. */
static char *read_header(int file, uint64_t size, size_t *length, char *message) {
    unsigned char start[12] = {0};
    *length = size < sizeof start ? (size_t)size : sizeof start;
    if (!read_all(file, start, *length, message)) return NULL;
    size_t more = start[8] | (size_t)start[9] << 8;
    if (start[6] > 1) more |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
    size_t whole = (start[6] > 1 ? 12 : 10) + (more < HEADER_LIMIT ? more : HEADER_LIMIT);
    if (whole > size) whole = (size_t)size;
    if (whole < *length) whole = *length;
    char *header = malloc(whole + 1);
    if (!header) {
        fail(message, "out of memory");
        return NULL;
    }
    memcpy(header, start, *length);
    if (!read_all(file, header + *length, whole - *length, message)) {
        free(header);
        return NULL;
    }
    *length = whole;
    return header;
}

/* A header of less than 2 bytes of text would have left data in what was read: such a header is malformed anyway. */
static bool read_file(int file, qn__type expected, const qn__allocator *allocator, qn__argument *argument, char *message) {
    struct stat status;
    if (fstat(file, &status) != 0) return fail(message, "cannot be read: %s", strerror(errno));
    if (S_ISDIR(status.st_mode)) return fail(message, "is a directory");
    if (!S_ISREG(status.st_mode)) return fail(message, "is not a regular file");
    uint64_t size = (uint64_t)status.st_size;
    size_t length;
    char *text = read_header(file, size, &length, message);
    if (!text) return false;
    qn__npy_header header;
    bool good = qn__npy_parse(text, length, expected, &header, message) && check_length(&header, size, message);
    free(text);
    if (!good) return false;
    void *data = allocate(&header, allocator, message);
    if (!data) return false;
    if (!read_all(file, data, header.data_bytes, message)) {
        allocator->free(allocator->user, data, header.data_bytes ? header.data_bytes : 1);
        return false;
    }
    describe(&header, data, argument);
    return true;
}

bool qn__npy_read(const char *path, qn__type expected, const qn__allocator *allocator, qn__argument *argument,
                  char message[QN__NPY_MESSAGE]) {
    memset(argument, 0, sizeof *argument);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return fail(message, "cannot be opened: %s", strerror(errno));
    bool good = read_file(file, expected, allocator ? allocator : &qn__allocator_malloc, argument, message);
    close(file);
    return good;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static const char *code_of(qn__type type) {
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].type == type) return codes[i].text;
    return "V2";
}

size_t qn__npy_head(const qn__argument *argument, unsigned char head[QN__NPY_HEAD]) {
    qn__type type = (qn__type)argument->type;
    char *text = (char *)head + 10;
    const size_t room = QN__NPY_HEAD - 10;
    char order = qn__type_bytes(type) == 1 ? '|' : __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
    size_t length = (size_t)snprintf(text, room, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order, code_of(type));
    for (uint32_t d = 0; d < argument->rank; d++)
        length += (size_t)snprintf(text + length, room - length, d ? ", %" PRId64 : "%" PRId64, argument->extent[d]);
    length += (size_t)snprintf(text + length, room - length, argument->rank == 1 ? ",), }" : "), }");
    size_t padded = (10 + length + 1 + 63) / 64 * 64 - 10; /* the data starts at a multiple of 64 */
    memset(text + length, ' ', padded - length);
    text[padded - 1] = '\n';
    memcpy(head, (const unsigned char[10]){0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded, (unsigned char)(padded >> 8)}, 10);
    return 10 + padded;
}

static void write_header(FILE *file, const qn__argument *argument) {
    unsigned char head[QN__NPY_HEAD];
    fwrite(head, 1, qn__npy_head(argument, head), file);
}

/* Rows along the last dimension, through a buffer where they are not contiguous. */
static bool write_rows(FILE *file, uint32_t rank, const int64_t *extents, const int64_t *strides, uint32_t bytes, const char *data) {
    if (rank == 0) return fwrite(data, bytes, 1, file) == 1;
    if (rank > 1) {
        for (int64_t i = 0; i < extents[0]; i++)
            if (!write_rows(file, rank - 1, extents + 1, strides + 1, bytes, data + i * strides[0])) return false;
        return true;
    }
    if (strides[0] == bytes) return fwrite(data, bytes, (size_t)extents[0], file) == (size_t)extents[0];
    char buffer[4096];
    for (int64_t done = 0; done < extents[0];) {
        int64_t count = extents[0] - done, room = (int64_t)sizeof buffer / bytes, unit = bytes;
        if (count > room) count = room;
        qn__copy_strided(1, &count, bytes, buffer, &unit, data + done * strides[0], strides);
        if (fwrite(buffer, bytes, (size_t)count, file) != (size_t)count) return false;
        done += count;
    }
    return true;
}

static bool write_array(FILE *file, const qn__argument *argument) {
    uint32_t bytes = qn__type_bytes((qn__type)argument->type);
    const void *data = argument->rank == 0 && !argument->data ? (const void *)&argument->bits : argument->data;
    int64_t strides[QN__MAX_RANK];
    qn__row_major(argument->rank, argument->extent, bytes, strides);
    write_header(file, argument);
    int64_t total = qn__array_bytes(argument->rank, argument->extent, bytes);
    if (total <= 0) return true;
    bool whole = true; /* in C order already */
    for (uint32_t d = 0; d < argument->rank; d++)
        whole = whole && (argument->extent[d] < 2 || argument->stride[d] == strides[d]);
    if (whole) return fwrite(data, 1, (size_t)total, file) == (size_t)total;
    return write_rows(file, argument->rank, argument->extent, argument->stride, bytes, data);
}

/* Devices and pipes are written where they are; a file is written beside its name and renamed. */
bool qn__npy_write(const char *path, const qn__argument *argument, char message[QN__NPY_MESSAGE]) {
    struct stat status;
    bool special = stat(path, &status) == 0 && !S_ISREG(status.st_mode);
    size_t length = strlen(path) + 32;
    char *partial = malloc(length);
    if (!partial) return fail(message, "out of memory");
    if (special) snprintf(partial, length, "%s", path);
    else snprintf(partial, length, "%s.%ld.part", path, (long)getpid());
    FILE *file = fopen(partial, "wbe");
    bool good = file && write_array(file, argument) && !ferror(file);
    int error = errno;
    if (file && fclose(file) != 0 && good) {
        good = false;
        error = errno;
    }
    if (good && !special && rename(partial, path) != 0) {
        good = false;
        error = errno;
    }
    if (!good) {
        if (file && !special) remove(partial);
        fail(message, "cannot be written: %s", strerror(error));
    }
    free(partial);
    return good;
}
