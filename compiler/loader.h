// From a file to the tree of a whole program: the prelude, the main file and its imports, each parsed once.
#ifndef QN__COMPILER_LOADER_H
#define QN__COMPILER_LOADER_H

#include "compiler/ast.h"
#include "compiler/diagnostic.h"

// How imported files are read; the library itself opens none. `path` is the importing file's folder joined with the
// written path, normalised. On success returns true and sets *text (released through `release`, may be NULL) and
// *length. On failure returns false and may set *message to a static text such as "no such file"; "out of memory" is
// reported as that.
typedef struct qn__import_reader {
    void *user;
    bool (*read)(void *user, const char *path, const char **text, size_t *length, const char **message);
    void (*release)(void *user, const char *text);
} qn__import_reader;

typedef struct qn__program {
    qn__arena *arena;
    qn__names *names;
    qn__sources sources;
    qn__diagnostic_sink sink;
    qn__ast *ast;
    bool whole_prelude;  // set it before parsing to load all of the prelude
} qn__program;

// Makes an empty program in the arena. False when out of memory.
bool qn__program_init(qn__program *program, qn__arena *arena);

// Parses `text` as the main file, then its imports, then (unless `without_prelude`) those files of the prelude that
// define a name that occurs anywhere; f counts as naming f_f32 and f_f64, too. `reader` may be
// NULL: then imports are errors. Returns true when no error was reported; the tree is there in any case (as much as
// could be parsed). Reports OUT_OF_MEMORY when the arena failed.
bool qn__program_parse(qn__program *program, const char *path, const char *text, size_t length,
                       const qn__import_reader *reader, bool without_prelude);

#endif
