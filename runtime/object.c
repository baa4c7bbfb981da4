/* Objects: section headers and symbols are copied out entry by entry, after their place was checked against the file's size.
 *
 * Line tables of an object refer to code and strings by relocation. The two kinds that occur there, absolute words of 64 and 32 bits,
 * are applied to a copy, with every section at address 0: addresses become offsets in the section. */
#include "runtime/object.h"

#include <elf.h>
#include <string.h>

/* What an address in a section that is not asked for becomes; rows from there on are dropped. */
static const uint64_t ELSEWHERE = UINT64_MAX / 2;

typedef struct file {
    const unsigned char *bytes;
    size_t size;
    Elf64_Ehdr header;
    Elf64_Shdr symbols, strings; /* .symtab and the texts of its names */
} file;

static bool copy_at(const file *f, uint64_t offset, void *out, size_t size) {
    if (offset > f->size || size > f->size - offset) return false;
    memcpy(out, f->bytes + offset, size);
    return true;
}

static bool section(const file *f, uint32_t number, Elf64_Shdr *out) {
    if (number >= f->header.e_shnum || f->header.e_shoff > f->size) return false;
    if (!copy_at(f, f->header.e_shoff + (uint64_t)number * sizeof *out, out, sizeof *out)) return false;
    return out->sh_type == SHT_NOBITS || (out->sh_offset <= f->size && out->sh_size <= f->size - out->sh_offset);
}

/* A zero-terminated text of a string section; "" where there is none. */
static const char *text(const file *f, const Elf64_Shdr *strings, uint64_t offset) {
    if (strings->sh_type != SHT_STRTAB || offset >= strings->sh_size) return "";
    const char *at = (const char *)f->bytes + strings->sh_offset + offset;
    return memchr(at, 0, strings->sh_size - offset) ? at : "";
}

/* The section of a name; its number, or 0. */
static uint32_t find(const file *f, const char *name, Elf64_Shdr *out) {
    Elf64_Shdr names;
    if (!section(f, f->header.e_shstrndx, &names)) return 0;
    for (uint32_t i = 1; i < f->header.e_shnum; i++)
        if (section(f, i, out) && out->sh_type != SHT_NOBITS && strcmp(text(f, &names, out->sh_name), name) == 0) return i;
    return 0;
}

static bool open_file(file *f, const void *bytes, size_t size) {
    *f = (file){.bytes = bytes, .size = size};
    const uint16_t one = 1;
    unsigned char little;
    memcpy(&little, &one, 1);
    if (!copy_at(f, 0, &f->header, sizeof f->header) || memcmp(f->header.e_ident, ELFMAG, SELFMAG) != 0) return false;
    if (f->header.e_ident[EI_CLASS] != ELFCLASS64 || f->header.e_ident[EI_DATA] != (little ? ELFDATA2LSB : ELFDATA2MSB)) return false;
    return find(f, ".symtab", &f->symbols) && section(f, f->symbols.sh_link, &f->strings);
}

static bool symbol_at(const file *f, uint64_t number, Elf64_Sym *out) {
    return number < f->symbols.sh_size / sizeof *out && copy_at(f, f->symbols.sh_offset + number * sizeof *out, out, sizeof *out);
}

/* ---- functions ---- */

static bool read_functions(const file *f, qn__arena *arena, qn__object *object) {
    size_t capacity = 0;
    Elf64_Sym symbol;
    Elf64_Shdr code;
    for (uint64_t i = 0; symbol_at(f, i, &symbol); i++) {
        const char *name = text(f, &f->strings, symbol.st_name);
        if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || !*name || symbol.st_size == 0 || !section(f, symbol.st_shndx, &code)) continue;
        if (symbol.st_value > code.sh_size || symbol.st_size > code.sh_size - symbol.st_value) continue;
        qn__object_function *grown = qn__arena_grow(arena, object->functions, &capacity, object->function_count + 1, sizeof *grown);
        if (!grown) return false;
        object->functions = grown;
        object->functions[object->function_count++] = (qn__object_function){name, symbol.st_value, symbol.st_size, symbol.st_shndx};
    }
    return true;
}

/* ---- lines ---- */

/* Bytes of the word that a relocation fills in; 0: another kind. */
static size_t word_of(uint16_t machine, uint64_t info) {
    const uint64_t type = ELF64_R_TYPE(info);
    if (machine == EM_X86_64) return type == R_X86_64_64 ? 8 : type == R_X86_64_32 ? 4 : 0;
    if (machine == EM_AARCH64) return type == R_AARCH64_ABS64 ? 8 : type == R_AARCH64_ABS32 ? 4 : 0;
    return 0;
}

static bool relocate(const file *f, uint32_t number, uint16_t code, unsigned char *bytes, size_t size) {
    Elf64_Shdr header;
    for (uint32_t i = 1; i < f->header.e_shnum; i++) {
        if (!section(f, i, &header) || header.sh_type != SHT_RELA || header.sh_info != number) continue;
        Elf64_Rela entry;
        for (uint64_t k = 0; k < header.sh_size / sizeof entry; k++) {
            Elf64_Sym symbol;
            if (!copy_at(f, header.sh_offset + k * sizeof entry, &entry, sizeof entry)) return false;
            const size_t word = word_of(f->header.e_machine, entry.r_info);
            if (!word || entry.r_offset > size || word > size - entry.r_offset || !symbol_at(f, ELF64_R_SYM(entry.r_info), &symbol)) return false;
            uint64_t value = symbol.st_value + (uint64_t)entry.r_addend;
            if (word == 8 && symbol.st_shndx != code) value = ELSEWHERE; /* the long words are the addresses of code */
            for (size_t b = 0; b < word; b++) bytes[entry.r_offset + b] = (unsigned char)(value >> (8 * b));
        }
    }
    return true;
}

/* Leaves out what is not of this section. */
static void keep_own(qn__lines *lines) {
    size_t kept = 0;
    for (size_t i = 0; i < lines->count; i++)
        if (lines->rows[i].address < ELSEWHERE) lines->rows[kept++] = lines->rows[i];
    lines->count = kept;
}

static qn__bytes bytes_of(const file *f, const char *name) {
    Elf64_Shdr header;
    return find(f, name, &header) ? (qn__bytes){f->bytes + header.sh_offset, header.sh_size} : (qn__bytes){NULL, 0};
}

/* False when memory ran out. */
static bool read_lines(const file *f, qn__arena *arena, qn__object *object) {
    Elf64_Shdr header;
    const uint32_t number = find(f, ".debug_line", &header);
    if (!number || header.sh_size == 0 || (header.sh_flags & SHF_COMPRESSED)) return true;
    unsigned char *copy = qn__arena_alloc(arena, header.sh_size);
    if (!copy) return false;
    memcpy(copy, f->bytes + header.sh_offset, header.sh_size);
    if (!relocate(f, number, object->section, copy, header.sh_size)) return true;
    const qn__line_sections sections = {{copy, header.sh_size}, bytes_of(f, ".debug_line_str"), bytes_of(f, ".debug_str")};
    if (qn__lines_read(&sections, arena, &object->lines)) keep_own(&object->lines);
    return !qn__arena_failed(arena);
}

bool qn__object_read(const void *bytes, size_t size, const char *symbol, qn__arena *arena, qn__object *object) {
    file f;
    *object = (qn__object){0};
    if (!open_file(&f, bytes, size) || !read_functions(&f, arena, object)) return false;
    object->machine = f.header.e_machine;
    for (size_t i = 0; i < object->function_count; i++)
        if (strcmp(object->functions[i].name, symbol) == 0) object->section = object->functions[i].section;
    return object->section == 0 || read_lines(&f, arena, object);
}
