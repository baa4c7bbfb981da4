/* .npy files: what NumPy writes is read, what we write is read again, everything else gets a message. */
#include "runtime/npy.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file in memory: version, header text, data. Returns its size. */
static size_t file(char *out, int version, const char *header, const void *data, size_t bytes) {
    size_t length = strlen(header), start = version == 1 ? 10 : 12;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (char)version;
    out[7] = 0;
    for (size_t i = 8; i < start; i++) out[i] = (char)(length >> (8 * (i - 8)));
    memcpy(out + start, header, length);
    if (bytes) memcpy(out + start + length, data, bytes);
    return start + length + bytes;
}

static char buffer[8192], message[QN__NPY_MESSAGE];

static void refused(const char *header, size_t bytes, const char *text) {
    static const char data[64];
    qn__argument a;
    size_t size = file(buffer, 1, header, data, bytes);
    char *exact = malloc(size); /* so that the sanitizer sees a read behind the end */
    memcpy(exact, buffer, size);
    cr_assert(!qn__npy_decode(exact, size, QN__TYPE_NONE, NULL, &a, message), "%s was read", header);
    cr_assert(strstr(message, text), "%s: '%s' does not say '%s'", header, message, text);
    cr_assert(!a.data);
    free(exact);
}

Test(npy, all_versions_orders_and_types) {
    const int32_t data[6] = {1, 2, 3, 4, 5, -6};
    for (int version = 1; version <= 3; version++) {
        qn__argument a;
        size_t size = file(buffer, version, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }   \n", data, 24);
        cr_assert(qn__npy_decode(buffer, size, QN__TYPE_NONE, NULL, &a, message), "%s", message);
        cr_assert(a.type == QN__TYPE_I32 && a.rank == 2 && a.extent[1] == 3 && a.stride[0] == 12);
        cr_assert(!memcmp(a.data, data, sizeof data));
        qn__argument_free(&a, NULL);
    }
}

Test(npy, fortran_order_has_reversed_strides) {
    const double data[6] = {1, 4, 2, 5, 3, 6};
    qn__argument a;
    size_t size = file(buffer, 1, "{\"shape\":(2,3),\"descr\":\"<f8\",\"fortran_order\":True}\n", data, 48);
    cr_assert(qn__npy_decode(buffer, size, QN__TYPE_NONE, NULL, &a, message), "%s", message);
    cr_assert(a.stride[0] == 8 && a.stride[1] == 16);
    qn__argument_free(&a, NULL);
}

Test(npy, the_other_byte_order) {
    const unsigned char data[8] = {0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE};
    qn__argument a;
    size_t size = file(buffer, 1, "{'descr': '>i4', 'fortran_order': False, 'shape': (2,), }\n", data, 8);
    cr_assert(qn__npy_decode(buffer, size, QN__TYPE_NONE, NULL, &a, message), "%s", message);
    cr_assert(((int32_t *)a.data)[0] == 1 && ((int32_t *)a.data)[1] == -2);
    qn__argument_free(&a, NULL);
}

Test(npy, bools_become_0_or_1_and_scalars_have_rank_0) {
    qn__argument a;
    size_t size = file(buffer, 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }\n", "\0\7\1", 3);
    cr_assert(qn__npy_decode(buffer, size, QN__TYPE_NONE, NULL, &a, message), "%s", message);
    cr_assert(!memcmp(a.data, "\0\1\1", 3));
    qn__argument_free(&a, NULL);
    size = file(buffer, 1, "{'descr': '<u2', 'fortran_order': False, 'shape': (), }\n", "\2\1", 2);
    cr_assert(qn__npy_decode(buffer, size, QN__TYPE_NONE, NULL, &a, message), "%s", message);
    cr_assert(a.rank == 0 && a.bits == 258);
    qn__argument_free(&a, NULL);
}

Test(npy, bf16_only_where_it_is_expected) {
    const char header[] = "{'descr': '<V2', 'fortran_order': False, 'shape': (1,), }\n";
    qn__argument a;
    size_t size = file(buffer, 1, header, "\x80\x3F", 2);
    cr_assert(qn__npy_decode(buffer, size, QN__TYPE_BF16, NULL, &a, message), "%s", message);
    cr_assert_eq(a.type, QN__TYPE_BF16);
    qn__argument_free(&a, NULL);
    refused(header, 2, "only where bf16 is expected");
}

Test(npy, malformed_files) {
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 7, "cut short");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", 9, "1 bytes too many");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2), }\n", 8, "no tuple");
    refused("{'descr': '<f4', 'fortran_order': False}\n", 8, "are needed");
    refused("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n", 8, "unexpected key");
    refused("{'descr': '<f4', 'fortran_order': 1, 'shape': (2,)}\n", 8, "no bool");
    refused("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}\n", 8, "'<c8' is not supported");
    refused("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", 8, "Python objects");
    refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}\n", 4, "structured");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}\n", 8, "an extent expected");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999999999,)}\n", 8, "2^48");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999)}\n", 8, "too large");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}\n", 4, "above 8");
    refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x\n", 4, "behind the dict");
    refused("{'descr': '<f4", 0, "odd string");
    refused("", 0, "'{' expected");
}

Test(npy, every_prefix_is_refused) {
    qn__argument a;
    size_t size = file(buffer, 2, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n", "12345678", 8);
    for (size_t n = 0; n < size; n++) {
        char *exact = malloc(n + 1);
        memcpy(exact, buffer, n);
        cr_assert(!qn__npy_decode(exact, n, QN__TYPE_NONE, NULL, &a, message), "%zu bytes", n);
        free(exact);
    }
}

Test(npy, round_trip_through_files) {
    char path[] = "/tmp/qn_npy_XXXXXX";
    close(mkstemp(path));
    for (int type = 1; type < QN__TYPE_COUNT; type++) {
        uint32_t bytes = qn__type_bytes((qn__type)type);
        char data[6 * 8];
        for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(type == QN__TYPE_BOOL ? i & 1 : i * 37);
        qn__argument a, back;
        qn__argument_array(&a, (qn__type)type, 2, (int64_t[]){2, 3}, data);
        cr_assert(qn__npy_write(path, &a, message), "%s", message);
        cr_assert(qn__npy_read(path, (qn__type)type, NULL, &back, message), "%s", message);
        cr_assert(back.type == type && back.rank == 2 && !memcmp(back.data, data, (size_t)6 * bytes));
        qn__argument_free(&back, NULL);
        a.extent[0] = 3; /* the transposed array, which is not contiguous */
        a.extent[1] = 2;
        a.stride[0] = bytes;
        a.stride[1] = 3 * (int64_t)bytes;
        cr_assert(qn__npy_write(path, &a, message), "%s", message);
        cr_assert(qn__npy_read(path, (qn__type)type, NULL, &back, message), "%s", message);
        cr_assert(!memcmp((char *)back.data + bytes, data + 3 * bytes, bytes) && !memcmp((char *)back.data + 2 * bytes, data + bytes, bytes));
        qn__argument_free(&back, NULL);
    }
    qn__argument scalar, back;
    qn__argument_scalar(&scalar, QN__TYPE_F32, 0x3F800000);
    cr_assert(qn__npy_write(path, &scalar, message) && qn__npy_read(path, QN__TYPE_NONE, NULL, &back, message), "%s", message);
    cr_assert(back.rank == 0 && back.bits == 0x3F800000);
    qn__argument_free(&back, NULL);
    unlink(path);
}

Test(npy, files_that_cannot_be_used) {
    qn__argument a;
    cr_assert(!qn__npy_read("/nonexistent.npy", QN__TYPE_NONE, NULL, &a, message));
    cr_assert(strstr(message, "No such file"), "%s", message);
    cr_assert(!qn__npy_read("/", QN__TYPE_NONE, NULL, &a, message));
    cr_assert(!qn__npy_read("/dev/zero", QN__TYPE_NONE, NULL, &a, message));
    qn__argument_scalar(&a, QN__TYPE_F32, 0);
    cr_assert(!qn__npy_write("/nonexistent/x.npy", &a, message));
}

Test(npy, files_written_by_numpy) {
    static const char *const names[] = {"breast_cancer", "camera", "hubble"};
    for (int i = 0; i < 3; i++) {
        char path[200];
        qn__argument a;
        snprintf(path, sizeof path, QN_SOURCE_DIR "/examples/data/%s.npy", names[i]);
        if (access(path, R_OK) != 0) continue;
        cr_assert(qn__npy_read(path, QN__TYPE_NONE, NULL, &a, message), "%s: %s", path, message);
        cr_assert(a.rank >= 1 && a.data);
        qn__argument_free(&a, NULL);
    }
}
