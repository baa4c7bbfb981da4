/* The line tables of an object: which source line each piece of its code came from (DWARF versions 4 and 5). */
#ifndef QN__LINES_H
#define QN__LINES_H

#include "ir/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn__bytes { const unsigned char *at; size_t size; } qn__bytes;

/* The sections, with relocations applied; the string sections may be empty. */
typedef struct qn__line_sections { qn__bytes lines, line_strings, strings; } qn__line_sections;

/* Code from address on, up to the next row's, is of this line. */
typedef struct qn__line_row {
    uint64_t address;
    const char *path; /* with its folder where the table names one; NULL where end is set */
    uint32_t line;    /* 0: of no line */
    bool end;         /* the sequence ends here: the address is the first one behind it */
} qn__line_row;

typedef struct qn__lines { qn__line_row *rows; size_t count; } qn__lines;

/* All rows, in the table's order; they and their texts are of the arena. False when the table is malformed or memory ran out; then there are
 * no rows. Units of other versions are left out. Reads nothing outside the sections, whatever they hold; the
 * arena's limit bounds the memory. */
bool qn__lines_read(const qn__line_sections *sections, qn__arena *arena, qn__lines *lines);

#endif
