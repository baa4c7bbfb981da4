/* A look into object files (ELF, 64 bits, of this machine's byte order): functions and line tables. Objects come from the compiler or from
 * the cache; whatever they hold, nothing outside of them is read. */
#ifndef QN__OBJECT_H
#define QN__OBJECT_H

#include "runtime/lines.h"

/* A function; its address is an offset in its section. The name is of the object. */
typedef struct qn__object_function { const char *name; uint64_t address, size; uint16_t section; } qn__object_function;

typedef struct qn__object {
    uint16_t machine;               /* ELF's number of the processor */
    qn__object_function *functions; /* with a name and a size; of the arena */
    size_t function_count;
    qn__lines lines;                /* of `section`, addresses are offsets in it */
    uint16_t section;               /* the one that holds the function `symbol` */
} qn__object;

/* Functions, and the lines of the section that holds the function `symbol`; without that function, or when a table is malformed, there are no
 * lines. False when it is no such object or memory ran out. The names are of the bytes. */
bool qn__object_read(const void *bytes, size_t size, const char *symbol, qn__arena *arena, qn__object *object);

#endif
