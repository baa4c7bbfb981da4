// Files that are part of the library.
#ifndef QN__COMPILER_EMBEDDED_H
#define QN__COMPILER_EMBEDDED_H

#include <stddef.h>

typedef struct qn__embedded {
    const char *name;  // NULL ends a list
    const char *text;  // `length` bytes and a zero byte
    size_t length;
    const char *const *names;  // of its functions and constants (those in column 1); NULL ends the list
} qn__embedded;

extern const qn__embedded qn__prelude_files[];  // compiler/prelude/*.qn, by name

#endif
