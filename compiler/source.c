// Source files and the line table that turns byte offsets into lines and columns.
//
// Invariants: line_begins[0] is 0 and the table ascends; a line ends with '\n' (a '\r' before it belongs to the line).
#include "compiler/source.h"

#include <string.h>

void qn__sources_init(qn__sources *sources, qn__arena *arena) {
    *sources = (qn__sources){.arena = arena};
}

static bool build_lines(qn__arena *arena, qn__source *source) {
    size_t lines = 1;
    for (size_t i = 0; i < source->length; i++) lines += source->text[i] == '\n';
    uint32_t *begins = QN__ARENA_ARRAY(arena, uint32_t, lines);
    if (!begins) return false;
    size_t line = 1;
    for (size_t i = 0; i < source->length; i++)
        if (source->text[i] == '\n') begins[line++] = (uint32_t)(i + 1);
    source->line_begins = begins;
    source->line_count = (uint32_t)lines;
    return true;
}

qn__source *qn__sources_add(qn__sources *sources, const char *path, const char *text, size_t length) {
    if (length >= (size_t)1 << 31) return NULL;
    qn__source *source = QN__ARENA_NEW(sources->arena, qn__source);
    if (!source) return NULL;
    source->path = qn__arena_copy_string(sources->arena, path, strlen(path));
    source->text = qn__arena_copy_string(sources->arena, text, length);
    source->length = length;
    if (!source->path || !source->text || !build_lines(sources->arena, source)) return NULL;
    qn__source **files = qn__arena_grow(sources->arena, sources->files, &sources->capacity, sources->count + 1,
                                        sizeof *files);
    if (!files) return NULL;
    sources->files = files;
    files[sources->count++] = source;
    source->id = (uint32_t)sources->count;
    return source;
}

const qn__source *qn__sources_get(const qn__sources *sources, uint32_t id) {
    return id && id <= sources->count ? sources->files[id - 1] : NULL;
}

qn__position qn__source_position(const qn__source *source, uint32_t offset) {
    if (offset > source->length) offset = (uint32_t)source->length;
    uint32_t low = 0, high = source->line_count;  // line_begins[low] <= offset < line_begins[high]
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (source->line_begins[middle] <= offset) low = middle;
        else high = middle;
    }
    uint32_t begin = source->line_begins[low], column = 1;
    for (uint32_t i = begin; i < offset; i++) column += ((unsigned char)source->text[i] & 0xc0) != 0x80;
    return (qn__position){.line = low + 1, .column = column, .byte_column = offset - begin + 1};
}

qn__span qn__span_join(qn__span first, qn__span last) {
    if (!first.file) return last;
    if (!last.file || last.file != first.file || last.end < first.begin) return first;
    return (qn__span){first.file, first.begin, last.end};
}
