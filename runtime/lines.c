/* Reads .debug_line: per unit a header with folders and files, then a program for a small machine whose output are the rows.
 *
 * Every read goes through a cursor that knows its end: past it everything reads as 0 and the cursor stays failed, so a parser
 * checks once, behind a group of reads. Loops over counts that the table claims stop with the cursor. */
#include "runtime/lines.h"

#include <string.h>

/* DWARF's numbers (section 7 of the standard). */
enum {
    LNS_COPY = 1, LNS_ADVANCE_PC, LNS_ADVANCE_LINE, LNS_SET_FILE, LNS_SET_COLUMN, LNS_NEGATE, LNS_BLOCK, LNS_CONST_ADD_PC, LNS_FIXED_ADVANCE_PC,
    LNE_END = 1, LNE_SET_ADDRESS = 2,
    LNCT_PATH = 1, LNCT_FOLDER = 2,
    FORM_DATA2 = 0x05, FORM_DATA4 = 0x06, FORM_DATA8 = 0x07, FORM_STRING = 0x08, FORM_BLOCK = 0x09, FORM_DATA1 = 0x0b, FORM_STRP = 0x0e,
    FORM_UDATA = 0x0f, FORM_DATA16 = 0x1e, FORM_LINE_STRP = 0x1f
};

typedef struct cursor { const unsigned char *at, *end; bool failed; } cursor;

typedef struct header {
    uint16_t version;
    uint8_t offset_size;          /* 4, or 8 in DWARF's 64-bit form */
    uint8_t step, line_range, opcode_base;
    int8_t line_base;
    const unsigned char *lengths; /* operands per standard opcode, from opcode 1 on */
} header;

/* Files by their number, as paths. Version 4 counts from 1: entry 0 is then NULL. */
typedef struct paths { const char **at; size_t count, capacity; } paths;

typedef struct reader {
    const qn__line_sections *sections;
    qn__arena *arena;
    qn__lines *out;
    size_t capacity;
    header header;
    paths folders, files;
} reader;

/* ---- reading ---- */

static const unsigned char *take(cursor *c, uint64_t size) {
    if (c->failed || size > (uint64_t)(c->end - c->at)) {
        c->failed = true;
        return NULL;
    }
    const unsigned char *at = c->at;
    c->at += size;
    return at;
}

static uint64_t fixed(cursor *c, uint32_t size) {
    const unsigned char *at = take(c, size);
    uint64_t value = 0;
    for (uint32_t i = 0; at && i < size; i++) value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* LEB128; bits beyond 64 are dropped. */
static uint64_t leb(cursor *c, bool is_signed) {
    uint64_t value = 0;
    uint32_t shift = 0;
    unsigned char byte;
    do {
        byte = (unsigned char)fixed(c, 1);
        if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
        shift += shift < 64 ? 7 : 0;
    } while (byte & 0x80);
    if (is_signed && shift < 64 && (byte & 0x40)) value |= ~(uint64_t)0 << shift;
    return value;
}

static uint64_t unsigned_leb(cursor *c) { return leb(c, false); }

static const char *string(cursor *c) {
    const unsigned char *zero = c->failed || c->at == c->end ? NULL : memchr(c->at, 0, (size_t)(c->end - c->at));
    if (!zero) {
        c->failed = true;
        return "";
    }
    return (const char *)take(c, (uint64_t)(zero - c->at) + 1);
}

static const char *string_at(cursor *c, qn__bytes section, uint64_t offset) {
    if (c->failed || offset >= section.size || !memchr(section.at + offset, 0, section.size - offset)) {
        c->failed = true;
        return "";
    }
    return (const char *)section.at + offset;
}

/* ---- folders and files ---- */

static bool add_path(reader *r, paths *list, const char *folder, const char *name) {
    const char **grown = qn__arena_grow(r->arena, list->at, &list->capacity, list->count + 1, sizeof *grown);
    if (!grown) return false;
    list->at = grown;
    const size_t prefix = folder && folder[0] && name && name[0] != '/' ? strlen(folder) : 0;
    const char *path = name;
    if (prefix) {
        char *joined = qn__arena_alloc(r->arena, prefix + strlen(name) + 2);
        if (!joined) return false;
        memcpy(joined, folder, prefix);
        joined[prefix] = '/';
        memcpy(joined + prefix + 1, name, strlen(name) + 1);
        path = joined;
    }
    list->at[list->count++] = path;
    return true;
}

static bool read_names_4(reader *r, cursor *c) {
    bool ok = add_path(r, &r->folders, NULL, "") && add_path(r, &r->files, NULL, NULL); /* the unit's folder, which .debug_info knows; no file */
    for (const char *name; ok && *(name = string(c));) ok = add_path(r, &r->folders, NULL, name);
    for (const char *name; ok && *(name = string(c));) {
        const uint64_t folder = unsigned_leb(c);
        unsigned_leb(c); /* time */
        unsigned_leb(c); /* size */
        ok = !c->failed && folder < r->folders.count && add_path(r, &r->files, r->folders.at[folder], name);
    }
    return ok && !c->failed;
}

typedef struct field { const char *text; uint64_t number; } field;

static field read_form(reader *r, cursor *c, uint64_t form) {
    switch (form) {
    case FORM_STRING: return (field){string(c), 0};
    case FORM_LINE_STRP: return (field){string_at(c, r->sections->line_strings, fixed(c, r->header.offset_size)), 0};
    case FORM_STRP: return (field){string_at(c, r->sections->strings, fixed(c, r->header.offset_size)), 0};
    case FORM_UDATA: return (field){NULL, unsigned_leb(c)};
    case FORM_DATA1: return (field){NULL, fixed(c, 1)};
    case FORM_DATA2: return (field){NULL, fixed(c, 2)};
    case FORM_DATA4: return (field){NULL, fixed(c, 4)};
    case FORM_DATA8: return (field){NULL, fixed(c, 8)};
    case FORM_DATA16: take(c, 16); break;
    case FORM_BLOCK: take(c, unsigned_leb(c)); break;
    default: c->failed = true; /* a form of unknown length */
    }
    return (field){NULL, 0};
}

/* A list of version 5: which fields an entry has, then the entries. Each form takes a byte at least, so claimed counts end with the section. */
static bool read_names_5(reader *r, cursor *c, paths *list, const paths *folders) {
    const uint8_t formats = (uint8_t)fixed(c, 1);
    uint64_t content[255], form[255];
    for (uint8_t i = 0; i < formats; i++) content[i] = unsigned_leb(c), form[i] = unsigned_leb(c);
    const uint64_t count = unsigned_leb(c);
    if (c->failed || (formats == 0 && count)) return false;
    for (uint64_t n = 0; n < count; n++) {
        const char *name = NULL;
        uint64_t folder = 0;
        for (uint8_t i = 0; i < formats && !c->failed; i++) {
            const field f = read_form(r, c, form[i]);
            if (content[i] == LNCT_PATH) name = f.text;
            if (content[i] == LNCT_FOLDER) folder = f.number;
        }
        if (c->failed || !name || (folders && folder >= folders->count)) return false;
        const char *outer = folders ? folders->at[folder] : list->count ? list->at[0] : NULL; /* folders are relative to the first */
        if (!add_path(r, list, outer, name)) return false;
    }
    return true;
}

/* ---- the program ---- */

typedef struct machine { uint64_t address, file; uint64_t line; } machine;

static bool add_row(reader *r, const machine *m, bool end) {
    qn__line_row *grown = qn__arena_grow(r->arena, r->out->rows, &r->capacity, r->out->count + 1, sizeof *grown);
    if (!grown) return false;
    r->out->rows = grown;
    const char *path = m->file < r->files.count ? r->files.at[m->file] : NULL;
    if (!path && !end) return false;
    r->out->rows[r->out->count++] = (qn__line_row){m->address, end ? NULL : path, m->line <= UINT32_MAX ? (uint32_t)m->line : 0, end};
    return true;
}

static bool extended(reader *r, cursor *c, machine *m) {
    const uint64_t size = unsigned_leb(c);
    const unsigned char *start = take(c, size);
    if (!start || size == 0) return false;
    cursor inner = {start + 1, start + size, false};
    if (*start == LNE_END) {
        const bool ok = add_row(r, m, true);
        *m = (machine){0, 1, 1};
        return ok;
    }
    if (*start != LNE_SET_ADDRESS) return true; /* others say nothing about lines */
    if (size != 1 + 4 && size != 1 + 8) return false;
    m->address = fixed(&inner, (uint32_t)size - 1);
    return true;
}

static bool standard(reader *r, cursor *c, machine *m, uint8_t opcode) {
    const header *h = &r->header;
    switch (opcode) {
    case LNS_COPY: return add_row(r, m, false);
    case LNS_ADVANCE_PC: m->address += unsigned_leb(c) * h->step; break;
    case LNS_ADVANCE_LINE: m->line += leb(c, true); break;
    case LNS_SET_FILE: m->file = unsigned_leb(c); break;
    case LNS_CONST_ADD_PC: m->address += (uint64_t)((255 - h->opcode_base) / h->line_range) * h->step; break;
    case LNS_FIXED_ADVANCE_PC: m->address += fixed(c, 2); break;
    default: /* says nothing about lines; the header knows its operands */
        for (uint8_t i = 0; i < h->lengths[opcode - 1]; i++) unsigned_leb(c);
    }
    return true;
}

static bool run_program(reader *r, cursor *c) {
    const header *h = &r->header;
    machine m = {0, 1, 1};
    while (c->at < c->end && !c->failed) {
        const uint8_t opcode = (uint8_t)fixed(c, 1);
        bool ok;
        if (opcode >= h->opcode_base) {
            const uint8_t adjusted = (uint8_t)(opcode - h->opcode_base);
            m.address += (uint64_t)(adjusted / h->line_range) * h->step;
            m.line += (uint64_t)(int64_t)(h->line_base + adjusted % h->line_range);
            ok = add_row(r, &m, false);
        } else
            ok = opcode == 0 ? extended(r, c, &m) : standard(r, c, &m, opcode);
        if (!ok) return false;
    }
    return !c->failed;
}

/* ---- units ---- */

static bool read_unit(reader *r, cursor *c) {
    header *h = &r->header;
    h->version = (uint16_t)fixed(c, 2);
    if (h->version != 4 && h->version != 5) return !c->failed;
    if (h->version == 5) take(c, 2); /* sizes of addresses and segments */
    const uint64_t length = fixed(c, h->offset_size);
    const unsigned char *rest = take(c, length);
    if (!rest) return false;
    cursor names = {rest, rest + length, false};
    h->step = (uint8_t)fixed(&names, 1);
    take(&names, 2); /* operations per instruction: 1 on all targets; where statements begin */
    h->line_base = (int8_t)fixed(&names, 1);
    h->line_range = (uint8_t)fixed(&names, 1);
    h->opcode_base = (uint8_t)fixed(&names, 1);
    if (names.failed || h->line_range == 0 || h->opcode_base == 0) return false;
    h->lengths = take(&names, (uint64_t)h->opcode_base - 1);
    r->folders = r->files = (paths){0};
    const bool ok = h->version == 4 ? read_names_4(r, &names)
                                    : read_names_5(r, &names, &r->folders, NULL) && read_names_5(r, &names, &r->files, &r->folders);
    return ok && !names.failed && run_program(r, c);
}

bool qn__lines_read(const qn__line_sections *sections, qn__arena *arena, qn__lines *lines) {
    *lines = (qn__lines){0};
    if (sections->lines.size == 0) return true;
    reader r = {.sections = sections, .arena = arena, .out = lines};
    cursor all = {sections->lines.at, sections->lines.at + sections->lines.size, false};
    bool ok = true;
    while (ok && all.at < all.end) {
        r.header = (header){.offset_size = 4};
        uint64_t length = fixed(&all, 4);
        if (length == 0xffffffff) {
            r.header.offset_size = 8;
            length = fixed(&all, 8);
        }
        const unsigned char *start = take(&all, length);
        cursor unit = {start, start ? start + length : NULL, false};
        ok = start && read_unit(&r, &unit);
    }
    if (!ok) *lines = (qn__lines){0};
    return ok;
}
