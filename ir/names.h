// Interned names: equal texts have equal 32-bit ids, so names compare as integers.
#ifndef QN__IR_NAMES_H
#define QN__IR_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "ir/arena.h"

typedef uint32_t qn__name;
enum { QN__NO_NAME = 0 };

typedef struct qn__names qn__names;

// The table lives in the arena. NULL when out of memory.
qn__names *qn__names_create(qn__arena *arena);

// The id of text[0 .. length), added when new. QN__NO_NAME when out of memory. Ids count from 1 in order of coming.
qn__name qn__names_intern(qn__names *names, const char *text, size_t length);

// The id of a zero-terminated text.
qn__name qn__names_intern_text(qn__names *names, const char *text);

// The id of a text, or QN__NO_NAME when it was never interned.
qn__name qn__names_find(const qn__names *names, const char *text, size_t length);

// The zero-terminated text, valid as long as the arena; "" for QN__NO_NAME.
const char *qn__name_text(const qn__names *names, qn__name name);
size_t qn__name_length(const qn__names *names, qn__name name);

// One more than the largest id.
uint32_t qn__names_count(const qn__names *names);

#endif
