/* ar archives (System V and GNU variant): "!<arch>", the index "/" (which symbol is defined at which offset), the long names "//", then the members.
 * The index is made from the objects' own symbol tables. Bounds are checked, though the objects are our own. */
#include "cli/archive.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct index_data {
    qn__text names;    /* zero-terminated, one after another */
    uint32_t *member;  /* by symbol */
    size_t count, capacity;
    bool failed;
} index_data;

static void add_symbol(index_data *x, const char *name, size_t member) {
    if (x->count == x->capacity) {
        const size_t capacity = x->capacity ? x->capacity * 2 : 64;
        uint32_t *grown = realloc(x->member, capacity * sizeof *grown);
        if (!grown) {
            x->failed = true;
            return;
        }
        x->member = grown;
        x->capacity = capacity;
    }
    x->member[x->count++] = (uint32_t)member;
    qn__text_add(&x->names, name, strlen(name) + 1);
}

static bool inside(size_t offset, size_t size, size_t whole) { return offset <= whole && size <= whole - offset; }

/* The global symbols that an object defines. */
static bool scan_object(index_data *x, const cli_member *m, size_t number) {
    const char *bytes = m->bytes;
    Elf64_Ehdr head;
    if (m->size < sizeof head) return false;
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        !inside(head.e_shoff, (size_t)head.e_shnum * sizeof(Elf64_Shdr), m->size))
        return false;
    for (uint16_t i = 0; i < head.e_shnum; i++) {
        Elf64_Shdr table, names;
        memcpy(&table, bytes + head.e_shoff + i * sizeof table, sizeof table);
        if (table.sh_type != SHT_SYMTAB || table.sh_link >= head.e_shnum) continue;
        memcpy(&names, bytes + head.e_shoff + table.sh_link * sizeof names, sizeof names);
        if (!inside(table.sh_offset, table.sh_size, m->size) || !inside(names.sh_offset, names.sh_size, m->size) || names.sh_size == 0 ||
            bytes[names.sh_offset + names.sh_size - 1] != 0)
            return false;
        for (size_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;
            memcpy(&symbol, bytes + table.sh_offset + at, sizeof symbol);
            const unsigned binding = ELF64_ST_BIND(symbol.st_info);
            if (symbol.st_shndx == SHN_UNDEF || (binding != STB_GLOBAL && binding != STB_WEAK && binding != STB_GNU_UNIQUE)) continue;
            if (symbol.st_name >= names.sh_size) return false;
            add_symbol(x, bytes + names.sh_offset + symbol.st_name, number);
        }
    }
    return true;
}

static void add_header(qn__text *out, const char *name, size_t size) {
    qn__text_format(out, "%-16s%-12s%-6s%-6s%-8s%-10zu`\n", name, "0", "0", "0", "644", size);
}

static void big_endian(qn__text *out, size_t value) {
    const char bytes[4] = {(char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value};
    qn__text_add(out, bytes, sizeof bytes);
}

static size_t even(size_t size) { return size + (size & 1); }

static void pad(qn__text *out, size_t size) {
    if (size & 1) qn__text_add_char(out, '\n');
}

bool cli_archive(const cli_member *members, size_t count, qn__text *out) {
    enum { HEADER = 60, MAGIC = 8 };
    index_data x = {0};
    qn__text long_names = QN__TEXT_EMPTY;
    size_t *name_at = calloc(count + 1, sizeof *name_at), *offset = calloc(count + 1, sizeof *offset);
    bool ok = name_at && offset;
    for (size_t i = 0; ok && i < count; i++) {
        ok = scan_object(&x, &members[i], i);
        name_at[i] = long_names.length;
        qn__text_format(&long_names, "%s/\n", members[i].name);
    }
    ok = ok && !x.failed && !x.names.failed && !long_names.failed;
    if (ok) {
        const size_t index_size = 4 + 4 * x.count + x.names.length;
        size_t at = MAGIC + HEADER + even(index_size) + HEADER + even(long_names.length);
        for (size_t i = 0; i < count; i++) {
            offset[i] = at;
            at += HEADER + even(members[i].size);
        }
        qn__text_add_string(out, "!<arch>\n");
        add_header(out, "/", index_size);
        big_endian(out, x.count);
        for (size_t i = 0; i < x.count; i++) big_endian(out, offset[x.member[i]]);
        qn__text_add(out, qn__text_bytes(&x.names), x.names.length);
        pad(out, index_size);
        add_header(out, "//", long_names.length);
        qn__text_add(out, qn__text_bytes(&long_names), long_names.length);
        pad(out, long_names.length);
        for (size_t i = 0; i < count; i++) {
            char name[32];
            snprintf(name, sizeof name, "/%zu", name_at[i]);
            add_header(out, name, members[i].size);
            qn__text_add(out, members[i].bytes, members[i].size);
            pad(out, members[i].size);
        }
        ok = !out->failed && at <= UINT32_MAX;
    }
    qn__text_free(&x.names);
    qn__text_free(&long_names);
    free(x.member);
    free(name_at);
    free(offset);
    return ok;
}
