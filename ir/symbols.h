// Interned names: equal texts have equal 32-bit ids, so names compare as integers.
#ifndef QN__IR_SYMBOLS_H
#define QN__IR_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "ir/arena.h"

typedef uint32_t qn__symbol;
enum { QN__NO_SYMBOL = 0 };

typedef struct qn__symbols qn__symbols;

// The table lives in the arena. NULL when out of memory.
qn__symbols *qn__symbols_create(qn__arena *arena);

// The id of text[0 .. length), added when new. QN__NO_SYMBOL when out of memory. Ids count from 1 in order of coming.
qn__symbol qn__symbols_intern(qn__symbols *symbols, const char *text, size_t length);

// The id of a zero-terminated text.
qn__symbol qn__symbols_intern_text(qn__symbols *symbols, const char *text);

// The id of a text, or QN__NO_SYMBOL when it was never interned.
qn__symbol qn__symbols_find(const qn__symbols *symbols, const char *text, size_t length);

// The zero-terminated text, valid as long as the arena; "" for QN__NO_SYMBOL.
const char *qn__symbol_text(const qn__symbols *symbols, qn__symbol symbol);
size_t qn__symbol_length(const qn__symbols *symbols, qn__symbol symbol);

// One more than the largest id.
uint32_t qn__symbols_count(const qn__symbols *symbols);

#endif
