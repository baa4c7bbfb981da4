/* How arrays lie in memory: strided copies, overlap, and what code can use without a copy. */
#include "runtime/call_private.h"

#include <string.h>

enum { TILE = 32 }; /* elements: of a transposing copy, 32 x 32 x 8 bytes stay in the first-level cache on both sides */

void qn__row_major(uint32_t rank, const int64_t *extents, int64_t unit, int64_t *strides) {
    for (uint32_t d = rank; d-- > 0;) {
        strides[d] = unit;
        /* Wraps only for an array without elements, whose strides nobody uses. */
        unit = (int64_t)((uint64_t)unit * (uint64_t)(extents[d] > 1 ? extents[d] : 1));
    }
}

#define COPY_ROW(bits)                                                                                                 \
    static void copy_row_##bits(int64_t count, char *to, int64_t to_stride, const char *from, int64_t from_stride) {   \
        for (int64_t i = 0; i < count; i++, to += to_stride, from += from_stride) memcpy(to, from, bits / 8);          \
    }
COPY_ROW(8)
COPY_ROW(16)
COPY_ROW(32)
COPY_ROW(64)

static void copy_row(int64_t count, uint32_t bytes, char *to, int64_t to_stride, const char *from, int64_t from_stride) {
    if (to_stride == bytes && from_stride == bytes) memcpy(to, from, (size_t)count * bytes);
    else if (bytes == 1) copy_row_8(count, to, to_stride, from, from_stride);
    else if (bytes == 2) copy_row_16(count, to, to_stride, from, from_stride);
    else if (bytes == 4) copy_row_32(count, to, to_stride, from, from_stride);
    else copy_row_64(count, to, to_stride, from, from_stride);
}

/* The last two dimensions, in tiles when one side runs across. */
static void copy_plane(const int64_t *extents, uint32_t bytes, char *to, const int64_t *t, const char *from, const int64_t *f) {
    bool straight = t[1] == bytes && f[1] == bytes;
    int64_t tile = straight ? extents[1] : TILE, tall = straight ? extents[0] : TILE;
    if (tile < 1 || tall < 1) return;
    for (int64_t i = 0; i < extents[0]; i += tall)
        for (int64_t k = 0; k < extents[1]; k += tile) {
            int64_t rows = extents[0] - i < tall ? extents[0] - i : tall;
            int64_t count = extents[1] - k < tile ? extents[1] - k : tile;
            for (int64_t r = i; r < i + rows; r++)
                copy_row(count, bytes, to + r * t[0] + k * t[1], t[1], from + r * f[0] + k * f[1], f[1]);
        }
}

void qn__copy_strided(uint32_t rank, const int64_t *extents, uint32_t bytes, void *to, const int64_t *to_strides,
                      const void *from, const int64_t *from_strides) {
    if (rank == 0) {
        memcpy(to, from, bytes);
    } else if (rank == 1) {
        if (extents[0] > 0) copy_row(extents[0], bytes, to, to_strides[0], from, from_strides[0]);
    } else if (rank == 2) {
        copy_plane(extents, bytes, to, to_strides, from, from_strides);
    } else {
        for (int64_t i = 0; i < extents[0]; i++)
            qn__copy_strided(rank - 1, extents + 1, bytes, (char *)to + i * to_strides[0], to_strides + 1,
                             (const char *)from + i * from_strides[0], from_strides + 1);
    }
}

void qn__touched(const qn__argument *argument, uint32_t bytes, uintptr_t *first, uintptr_t *last) {
    *first = *last = (uintptr_t)argument->data;
    for (uint32_t d = 0; d < argument->rank; d++)
        if (argument->extent[d] == 0) return;
    *last += bytes;
    for (uint32_t d = 0; d < argument->rank; d++) {
        int64_t reach = (argument->extent[d] - 1) * argument->stride[d];
        if (reach < 0) *first -= (uintptr_t)-reach;
        else *last += (uintptr_t)reach;
    }
}

bool qn__usable_layout(const qn__argument *argument, uint32_t bytes, bool written, uint32_t packed) {
    const uint32_t fraction = bytes - 1; /* sizes are powers of two, and a division takes as long as the rest of this */
    if ((uintptr_t)argument->data & fraction) return false;
    int64_t below = bytes; /* bytes that the dimensions behind this one cover */
    for (uint32_t d = argument->rank; d-- > 0;) {
        int64_t extent = argument->extent[d], stride = argument->stride[d];
        if (extent == 0) return true;
        if (extent == 1) continue;
        if (stride < 0 || (stride & fraction)) return false;
        if (d + packed >= argument->rank && stride != below) return false;
        if (written && stride < below) return false;
        if (stride * (extent - 1) + bytes > below) below = stride * (extent - 1) + bytes;
    }
    return true;
}

int64_t qn__array_bytes(uint32_t rank, const int64_t *extents, uint32_t bytes) {
    int64_t product = bytes;
    bool empty = false;
    for (uint32_t d = 0; d < rank; d++) {
        if (extents[d] < 0 || extents[d] >= QN__EXTENT_LIMIT) return -1;
        empty = empty || extents[d] == 0;
    }
    for (uint32_t d = 0; d < rank && !empty; d++)
        if (__builtin_mul_overflow(product, extents[d], &product) || product >= QN__BYTES_LIMIT) return -1;
    return empty ? 0 : product;
}
