/* The reader of line tables: tables written out byte by byte (versions 4 and 5, both widths of offsets), and the same ones damaged. */
#include "runtime/lines.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct table { unsigned char bytes[512]; size_t size; } table;

static void put(table *t, const void *bytes, size_t size) {
    cr_assert_leq(t->size + size, sizeof t->bytes);
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

static void put_number(table *t, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) put(t, &(unsigned char){(unsigned char)(value >> (8 * i))}, 1);
}

#define PUT(t, ...) put((t), (const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__}))
#define PUT_TEXT(t, text) put((t), (text), sizeof(text))

/* step 1, line base -3, line range 12, 12 standard opcodes */
static const unsigned char machine[] = {1, 1, 1, 0xfd, 12, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};

/* One sequence from 0x1000 on: line 5 for 4 bytes, line 7 of another file for 300, line 7 again after advance by 20, end after 2. */
static const unsigned char program[] = {
    0, 9, 2, 0x00, 0x10, 0, 0, 0, 0, 0, 0, /* address 0x1000 */
    5, 3,                                  /* column */
    3, 4, 1,                               /* line += 4; copy: line 5 */
    4, 2,                                  /* file 2 */
    0, 2, 4, 9,                            /* a discriminator */
    13 + (2 + 3) + 12 * 4,                 /* address += 4, line += 2 */
    9, 0x2c, 0x01, 3, 0x7f, 1,             /* address += 300, line -= 1 */
    8,                                     /* address += (255 - 13) / 12 = 20 */
    13 + (1 + 3),                          /* line += 1 */
    2, 2,                                  /* address += 2 */
    0, 1, 1,                               /* end */
};

/* A unit around header and program; offsets of 4 or 8 bytes. names: version 4's or 5's lists. */
static void build(table *t, uint16_t version, size_t offset_size, const table *names) {
    table rest = {.size = 0};
    put_number(&rest, version, 2);
    if (version == 5) PUT(&rest, 8, 0);
    put_number(&rest, sizeof machine + names->size, offset_size);
    put(&rest, machine, sizeof machine);
    put(&rest, names->bytes, names->size);
    put(&rest, program, sizeof program);
    if (offset_size == 8) put_number(t, 0xffffffff, 4);
    put_number(t, rest.size, offset_size);
    put(t, rest.bytes, rest.size);
}

static void build_4(table *t, size_t offset_size) {
    table names = {.size = 0};
    PUT_TEXT(&names, "/lib");
    PUT(&names, 0);
    PUT_TEXT(&names, "a.qn");
    PUT(&names, 0, 0x80, 0x01, 5);
    PUT_TEXT(&names, "b.qn");
    PUT(&names, 1, 0, 0);
    PUT(&names, 0);
    build(t, 4, offset_size, &names);
}

static const char line_strings[] = "/home\0c.qn\0lib\0";

static void build_5(table *t, size_t offset_size) {
    table names = {.size = 0};
    PUT(&names, 1, 1, 0x1f, 2); /* folders: path as line_strp */
    put_number(&names, 0, offset_size);
    put_number(&names, 11, offset_size);
    PUT(&names, 3, 1, 0x08, 2, 0x0b, 5, 0x1e, 3); /* files: path as string, folder as data1, MD5 */
    static const char *const files[] = {"z.qn", "a.qn", "b.qn"};
    for (unsigned char i = 0; i < 3; i++) {
        put(&names, files[i], 5);
        PUT(&names, i == 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    }
    build(t, 5, offset_size, &names);
}

static qn__line_sections sections_of(const unsigned char *bytes, size_t size) {
    return (qn__line_sections){{bytes, size}, {(const unsigned char *)line_strings, sizeof line_strings}, {NULL, 0}};
}

static void expect(const qn__line_row *row, uint64_t address, uint32_t line, const char *path) {
    cr_assert(row->address == address && row->line == line && !row->end, "0x%lx line %u", (unsigned long)row->address, row->line);
    cr_assert_str_eq(row->path, path);
}

static void expect_rows(const table *t, const char *first, const char *second) {
    qn__arena *arena = qn__arena_create(0);
    const qn__line_sections sections = sections_of(t->bytes, t->size);
    qn__lines lines;
    cr_assert(qn__lines_read(&sections, arena, &lines));
    cr_assert_eq(lines.count, 5);
    expect(&lines.rows[0], 0x1000, 5, first);
    expect(&lines.rows[1], 0x1004, 7, second);
    expect(&lines.rows[2], 0x1130, 6, second);
    expect(&lines.rows[3], 0x1144, 7, second);
    cr_assert(lines.rows[4].end && lines.rows[4].address == 0x1146);
    qn__arena_destroy(arena);
}

Test(lines, version_4) {
    for (size_t offset_size = 4; offset_size <= 8; offset_size += 4) {
        table t = {.size = 0};
        build_4(&t, offset_size);
        expect_rows(&t, "a.qn", "/lib/b.qn");
    }
}

Test(lines, version_5) {
    for (size_t offset_size = 4; offset_size <= 8; offset_size += 4) {
        table t = {.size = 0};
        build_5(&t, offset_size);
        expect_rows(&t, "/home/a.qn", "/home/lib/b.qn");
    }
}

Test(lines, units_follow_each_other_and_other_versions_are_left_out) {
    table t = {.size = 0};
    build_4(&t, 4);
    const size_t one = t.size;
    build_4(&t, 4);
    t.bytes[one + 4] = 3; /* the second one's version */
    expect_rows(&t, "a.qn", "/lib/b.qn");
    qn__arena *arena = qn__arena_create(0);
    t.bytes[one + 4] = 4;
    const qn__line_sections sections = sections_of(t.bytes, t.size);
    qn__lines lines;
    cr_assert(qn__lines_read(&sections, arena, &lines));
    cr_assert_eq(lines.count, 10);
    qn__arena_destroy(arena);
}

Test(lines, an_empty_table_has_no_rows) {
    const qn__line_sections sections = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    qn__lines lines;
    cr_assert(qn__lines_read(&sections, NULL, &lines));
    cr_assert_eq(lines.count, 0);
}

/* Reads a copy that ends where its memory ends, so that a sanitizer sees every byte too many. */
static bool reads(const unsigned char *bytes, size_t size) {
    unsigned char *copy = malloc(size ? size : 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, size);
    qn__arena *arena = qn__arena_create(1 << 20);
    const qn__line_sections sections = sections_of(copy, size);
    qn__lines lines;
    const bool ok = qn__lines_read(&sections, arena, &lines);
    cr_assert(ok || lines.count == 0);
    for (size_t i = 0; i < lines.count; i++) cr_assert(lines.rows[i].end || lines.rows[i].path);
    qn__arena_destroy(arena);
    free(copy);
    return ok;
}

Test(lines, damage_is_noticed_or_harmless) {
    for (int version = 4; version <= 5; version++)
        for (size_t offset_size = 4; offset_size <= 8; offset_size += 4) {
            table t = {.size = 0};
            if (version == 4) build_4(&t, offset_size);
            else build_5(&t, offset_size);
            cr_assert(reads(t.bytes, t.size));
            for (size_t size = 1; size < t.size; size++) cr_assert(!reads(t.bytes, size), "cut to %zu bytes", size);
            for (size_t i = 0; i < t.size; i++)
                for (unsigned flip = 1; flip < 256; flip += flip < 8 ? 1 : 31) {
                    table damaged = t;
                    damaged.bytes[i] = (unsigned char)(damaged.bytes[i] ^ flip);
                    reads(damaged.bytes, damaged.size);
                }
        }
}

Test(lines, too_little_memory_is_a_failure) {
    table t = {.size = 0};
    build_5(&t, 4);
    const qn__line_sections sections = sections_of(t.bytes, t.size);
    qn__arena *arena = qn__arena_create(64);
    qn__lines lines;
    cr_assert(!qn__lines_read(&sections, arena, &lines));
    cr_assert_eq(lines.count, 0);
    qn__arena_destroy(arena);
}
