// The arena, interned names and the text buffer.
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/arena.h"
#include "ir/names.h"
#include "ir/text.h"

Test(arena, aligned_and_zeroed) {
    qn__arena *arena = qn__arena_create(0);
    for (size_t size = 0; size < 5000; size += 7) {
        unsigned char *bytes = qn__arena_alloc(arena, size);
        cr_assert(bytes && (uintptr_t)bytes % 16 == 0);
        for (size_t i = 0; i < size; i++) cr_assert_eq(bytes[i], 0);
        if (size) memset(bytes, 0xff, size);
    }
    qn__arena_destroy(arena);
    qn__arena_destroy(NULL);
}

Test(arena, limit_is_sticky) {
    qn__arena *arena = qn__arena_create(1024);
    cr_assert(qn__arena_alloc(arena, 1000));
    cr_assert(!qn__arena_failed(arena));
    cr_assert_null(qn__arena_alloc(arena, 100));
    cr_assert(qn__arena_failed(arena));
    cr_assert(qn__arena_alloc(arena, 8));
    cr_assert(qn__arena_failed(arena) && qn__arena_used(arena) <= 1024);
    cr_assert_null(qn__arena_array(arena, SIZE_MAX / 2, 4));
    cr_assert_null(qn__arena_alloc(arena, SIZE_MAX));
    qn__arena_destroy(arena);
}

Test(arena, grow_keeps_contents) {
    qn__arena *arena = qn__arena_create(0);
    uint32_t *list = NULL, *other = NULL;
    size_t capacity = 0, other_capacity = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        list = qn__arena_grow(arena, list, &capacity, i + 1, sizeof *list);
        cr_assert(list && capacity > i);
        cr_assert_eq(list[i], 0);
        list[i] = i;
        if (i % 1000 == 0) {  // so that growing in place is not always possible
            other = qn__arena_grow(arena, other, &other_capacity, i / 1000 + 1, sizeof *other);
            cr_assert(other);
        }
    }
    for (uint32_t i = 0; i < 100000; i++) cr_assert_eq(list[i], i);
    qn__arena_destroy(arena);
}

Test(names, equal_texts_have_equal_ids) {
    qn__arena *arena = qn__arena_create(0);
    qn__names *names = qn__names_create(arena);
    qn__name a = qn__names_intern_text(names, "alpha");
    char text[32];
    for (int i = 0; i < 20000; i++) {
        int length = snprintf(text, sizeof text, "name%d", i);
        cr_assert(qn__names_intern(names, text, (size_t)length));
    }
    cr_assert_eq(qn__names_intern(names, "alphabet", 5), a);
    cr_assert_eq(qn__names_find(names, "alpha", 5), a);
    cr_assert_eq(qn__names_find(names, "beta", 4), QN__NO_NAME);
    cr_assert_str_eq(qn__name_text(names, a), "alpha");
    cr_assert_str_eq(qn__name_text(names, QN__NO_NAME), "");
    cr_assert_eq(qn__name_length(names, a), 5);
    cr_assert_eq(qn__names_count(names), 20002);
    qn__arena_destroy(arena);
}

static void expect_f64(double value, const char *expected) {
    qn__text text = QN__TEXT_EMPTY;
    qn__text_add_f64(&text, value);
    cr_assert_str_eq(qn__text_bytes(&text), expected, "%s instead of %s", qn__text_bytes(&text), expected);
    qn__text_free(&text);
}

Test(text, shortest_floats) {
    expect_f64(0.0, "0.0");
    expect_f64(-0.0, "-0.0");
    expect_f64(1.0, "1.0");
    expect_f64(0.1, "0.1");
    expect_f64(-2.5, "-2.5");
    expect_f64(100.0, "100.0");
    expect_f64(123456789.125, "123456789.125");
    expect_f64(0.001, "0.001");
    expect_f64(1e-5, "0.00001");
    expect_f64(1e-6, "1e-6");
    expect_f64(1e300, "1e300");
    expect_f64(2.5e-300, "2.5e-300");
    expect_f64(1e15, "1000000000000000.0");
    expect_f64(1e16, "1e16");
    expect_f64(5e-324, "5e-324");
    expect_f64(DBL_MAX, "1.7976931348623157e308");
    expect_f64((double)INFINITY, "inf");
    expect_f64(-(double)INFINITY, "-inf");
    expect_f64((double)NAN, "nan");
    qn__text text = QN__TEXT_EMPTY;
    qn__text_add_f32(&text, 0.1f);
    cr_assert_str_eq(qn__text_bytes(&text), "0.1");
    qn__text_free(&text);
}

Test(text, floats_read_back) {
    uint64_t state = 1;
    for (int i = 0; i < 20000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        double value;
        memcpy(&value, &state, sizeof value);
        if (isnan(value) || isinf(value)) continue;
        qn__text text = QN__TEXT_EMPTY;
        qn__text_add_f64(&text, value);
        cr_assert(strtod(qn__text_bytes(&text), NULL) == value, "%s", qn__text_bytes(&text));
        qn__text_free(&text);
    }
}

Test(text, grows_and_formats) {
    qn__text text = QN__TEXT_EMPTY;
    cr_assert_str_eq(qn__text_bytes(&text), "");
    for (int i = 0; i < 1000; i++) qn__text_format(&text, "%04d%s", i, i % 2 ? "," : ";");
    cr_assert_eq(text.length, 5000);
    cr_assert(!strncmp(qn__text_bytes(&text) + 4995, "0999,", 6));
    char *longer = malloc(5000);
    memset(longer, 'x', 4999);
    longer[4999] = 0;
    qn__text_clear(&text);
    qn__text_format(&text, "[%s]", longer);
    cr_assert_eq(text.length, 5001);
    free(longer);
    qn__text_free(&text);
}

Test(text, json_strings) {
    qn__text text = QN__TEXT_EMPTY;
    qn__text_add_json_string(&text, "a\"\\\n\t\001\x7f\xc3\xa9\xff\xe2\x82", 12);
    cr_assert_str_eq(qn__text_bytes(&text), "\"a\\\"\\\\\\n\\t\\u0001\\u007f\xc3\xa9\\ufffd\\ufffd\\ufffd\"");
    qn__text_free(&text);
}
