/* NumPy's .npy files, versions 1 to 3: a strict reader for untrusted bytes, and a writer.
 *
 * Types: bool, i1 to i8, u1 to u8, f2, f4, f8 in either byte order, C or Fortran order, rank 0 to 8. bfloat16 has no code of its own
 * in the format: ml_dtypes writes '<V2' (or 'bfloat16'), which is taken as bf16 only when the reader expects bf16.
 * Messages are one line of English without the path. */
#ifndef QN__NPY_H
#define QN__NPY_H

#include "ir/types.h"
#include "runtime/call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QN__NPY_MESSAGE = 200, QN__NPY_HEAD = 576 };

typedef struct qn__npy_header {
    qn__type type;
    bool swapped;       /* the elements are not in this machine's byte order */
    bool fortran;       /* first index runs fastest */
    uint32_t rank;
    int64_t extent[QN__MAX_RANK];
    size_t data_offset; /* of the first element */
    size_t data_bytes;
} qn__npy_header;

/* Parses the header at the start of bytes[0 .. size); does not look behind data_offset. expected is the type that the reader wants, or
 * QN__TYPE_NONE (only bf16 makes a difference). False with a message. */
bool qn__npy_parse(const void *bytes, size_t size, qn__type expected, qn__npy_header *header, char message[QN__NPY_MESSAGE]);

/* Reads a whole file from memory. The array is argument->data, row-major or (Fortran order) with the strides reversed, in native
 * byte order and from the allocator (NULL: malloc): free it with qn__argument_free. The file must be exactly as long as its header says. */
bool qn__npy_decode(const void *bytes, size_t size, qn__type expected, const qn__allocator *allocator, qn__argument *argument,
                    char message[QN__NPY_MESSAGE]);
/* The same from a file; "-" is not special. */
bool qn__npy_read(const char *path, qn__type expected, const qn__allocator *allocator, qn__argument *argument,
                  char message[QN__NPY_MESSAGE]);

/* Writes an array (any strides) in C order as version 1 (bf16 as '<V2'); a scalar (rank 0, data NULL) from its bits.
 * The file appears under its name only when it is complete. */
bool qn__npy_write(const char *path, const qn__argument *argument, char message[QN__NPY_MESSAGE]);

/* The bytes in front of an array's data, as qn__npy_write writes them. Their number does not depend on the extent of an array of rank 1. */
size_t qn__npy_head(const qn__argument *argument, unsigned char head[QN__NPY_HEAD]);

/* ---- npy_parts.c: files that are larger than memory ---- */

/* A file mapped for reading: argument->data points into it. *mapped is false, and nothing mapped, where the elements must be changed to be used (the other byte order,
 * bool): such a file is to be read. */
typedef struct qn__npy_map { void *start; size_t bytes; } qn__npy_map;
bool qn__npy_map_file(const char *path, qn__type expected, qn__npy_map *map, qn__argument *argument, bool *mapped, char message[QN__NPY_MESSAGE]);
/* Gives the pages of elements from .. to of the first dimension back (of all of it: where the array is not in C order). */
void qn__npy_map_forget(const qn__npy_map *map, const qn__argument *argument, int64_t from, int64_t to);
void qn__npy_unmap(qn__npy_map *map); /* a zeroed one is allowed */

/* A file that is written piece by piece. It appears under its name only when it is complete. */
typedef struct qn__npy_parts {
    char *path, *partial;
    int file;                /* -1: not open */
    bool special;            /* a device: written where it is */
    size_t head;             /* bytes in front of the data */
    qn__argument whole;      /* type, rank, extents */
} qn__npy_parts;

/* An extent of -1 (of an array of rank 1) is not known yet: the array grows, and whole.extent[0] is to be set before the file is finished. */
bool qn__npy_parts_open(qn__npy_parts *parts, const char *path, const qn__argument *whole, char message[QN__NPY_MESSAGE]);
/* A piece with any strides, at `offset` along `dimension`. */
bool qn__npy_parts_write(qn__npy_parts *parts, uint32_t dimension, int64_t offset, const qn__argument *piece, char message[QN__NPY_MESSAGE]);
bool qn__npy_parts_finish(qn__npy_parts *parts, char message[QN__NPY_MESSAGE]);
void qn__npy_parts_drop(qn__npy_parts *parts); /* removes what is not finished; a zeroed one is not allowed, a finished one is */

#endif
