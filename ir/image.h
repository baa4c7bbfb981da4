/* An image: a compiled kernel as plain data. Backends make it, the runtime loads and runs it, the cache stores it.
 * The memory is of one arena that the image's holder owns. */
#ifndef QN__IMAGE_H
#define QN__IMAGE_H

#include "ir/abi.h"
#include "ir/ir.h"
#include "ir/plan.h"
#include "ir/signature.h"

typedef enum qn__image_kind { QN__IMAGE_BYTECODE, QN__IMAGE_OBJECT, QN__IMAGE_PTX } qn__image_kind;

typedef struct qn__image_array { uint8_t type, rank, kind; const char *name; } qn__image_array;

typedef struct qn__image {
    qn__image_kind kind;
    const void *code;              /* bytecode: a qn__bytecode; object: an ELF file; PTX: text, with a zero behind it */
    size_t code_size;
    const char *symbol;            /* the entry's name */
    const char *raw_symbol;        /* objects: the typed C function (ir/raw.h), QN__RAW_PREFIX ("qk_") and the kernel's name; NULL when there is none */
    const char *externs_symbol;    /* objects: its table of host functions, extern_count addresses; NULL when there are none */
    const qn__signature *signature;
    const qn__image_array *arrays; uint32_t array_count;
    const qn__extern *externs;     uint32_t extern_count;
    const qn__location *locations; uint32_t location_count;
    const qn__plan *plan;          /* PTX: what the host does with it; else NULL */
} qn__image;

/* Fills in all but kind, code, code_size and the symbols (raw_symbol and externs_symbol become NULL) from the IR (shares its arena's memory). False when memory is exhausted. */
bool qn__image_from_ir(qn__image *image, const qn__ir *ir);

/* Loads native images. Made by the folder that owns LLVM, given to the runtime by the API. */
typedef struct qn__loader {
    void *self;
    /* The entry of a loaded object, and a handle to drop it; NULL with a message (static or of the loader, valid until the next call
     * from the same thread) on failure. Thread-safe. */
    qn__entry (*load)(void *self, const qn__image *image, void **handle, const char **message);
    /* The address of another symbol of a loaded object; NULL when it has none. Thread-safe. NULL in loaders that cannot tell. */
    void *(*symbol)(void *self, void *handle, const char *name);
    /* What objects reach as qn__raw_services. Set it before the first load; without it raw functions must not be called. */
    const struct qn__raw_table *(*raw_services)(void);
    void (*unload)(void *self, void *handle);
    void (*destroy)(void *self);
} qn__loader;

#endif
