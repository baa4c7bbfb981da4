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

enum { QN__NPY_MESSAGE = 200 };

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

#endif
