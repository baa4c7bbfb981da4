// Source files of one compilation, and spans into them.
#ifndef QN__COMPILER_SOURCE_H
#define QN__COMPILER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ir/arena.h"

// Bytes begin .. end (end excluded) of file `file`. A span without a place has file QN__NO_FILE.
typedef struct qn__span {
    uint32_t file;
    uint32_t begin;
    uint32_t end;
} qn__span;

enum { QN__NO_FILE = 0 };  // file ids count from 1
#define QN__NO_SPAN ((qn__span){0, 0, 0})

typedef struct qn__source {
    uint32_t id;
    const char *path;  // as messages print it; zero-terminated, in the arena
    const char *text;  // `length` bytes and a zero byte, in the arena
    size_t length;
    bool embedded;     // part of the prelude
    const uint32_t *line_begins;  // byte offset of each line; built by qn__sources_add
    uint32_t line_count;
} qn__source;

typedef struct qn__sources {
    qn__arena *arena;
    qn__source **files;  // files[id - 1]
    size_t count;
    size_t capacity;
} qn__sources;

// Lines and columns count from 1. The column counts code points, as editors do; `byte_column` counts bytes.
typedef struct qn__position {
    uint32_t line;
    uint32_t column;
    uint32_t byte_column;
} qn__position;

void qn__sources_init(qn__sources *sources, qn__arena *arena);

// Copies path and text into the arena. NULL when out of memory or the text is 2 GiB or more.
qn__source *qn__sources_add(qn__sources *sources, const char *path, const char *text, size_t length);

// NULL for an unknown id.
const qn__source *qn__sources_get(const qn__sources *sources, uint32_t id);

qn__position qn__source_position(const qn__source *source, uint32_t offset);

// From the first byte of `first` to the last of `last` (of one file).
qn__span qn__span_join(qn__span first, qn__span last);

#endif
