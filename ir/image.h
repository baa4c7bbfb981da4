/* An image: a compiled kernel as plain data. Backends make it, the runtime loads and runs it, the cache stores it.
 * The memory is of one arena that the image's holder owns. */
#ifndef QN__IMAGE_H
#define QN__IMAGE_H

#include "ir/abi.h"
#include "ir/ir.h"
#include "ir/signature.h"

typedef enum qn__image_kind { QN__IMAGE_BYTECODE, QN__IMAGE_OBJECT, QN__IMAGE_PTX } qn__image_kind;

typedef struct qn__image_array { uint8_t type, rank, kind; const char *name; } qn__image_array;

typedef struct qn__image {
    qn__image_kind kind;
    const void *code;              /* bytecode: a qn__bytecode; object: an ELF file; PTX: text */
    size_t code_size;
    const char *symbol;            /* the entry's name */
    const qn__signature *signature;
    const qn__image_array *arrays; uint32_t array_count;
    const qn__extern *externs;     uint32_t extern_count;
    const qn__location *locations; uint32_t location_count;
} qn__image;

/* Fills in all but kind, code, code_size and symbol from the IR (shares its arena's memory). False when memory is exhausted. */
bool qn__image_from_ir(qn__image *image, const qn__ir *ir);

/* Loads native images. Made by the folder that owns LLVM, given to the runtime by the API. */
typedef struct qn__loader {
    void *self;
    /* The entry of a loaded object, and a handle to drop it; NULL with a message (static or of the loader, valid until the next call
     * from the same thread) on failure. Thread-safe. */
    qn__entry (*load)(void *self, const qn__image *image, void **handle, const char **message);
    void (*unload)(void *self, void *handle);
    void (*destroy)(void *self);
} qn__loader;

#endif
