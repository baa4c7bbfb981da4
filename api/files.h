/* Source files: read whole, for modules and imports. */
#ifndef QN__API_FILES_H
#define QN__API_FILES_H

#include "compiler/loader.h"

/* Reads a file into malloc'ed, zero-terminated memory. NULL with a message (static or of strerror; qn__no_memory itself when that is why). */
extern const char qn__no_memory[];
char *qn__read_file(const char *path, size_t *length, const char **message);

/* Imports from files. */
extern const qn__import_reader qn__file_reader;

#endif
