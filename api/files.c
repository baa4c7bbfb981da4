/* Whole files into memory, and imports read from files. */
#include "api/files.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SOURCE = 256 << 20 };

const char qn__no_memory[] = "out of memory";

char *qn__read_file(const char *path, size_t *length, const char **message) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        *message = errno == ENOMEM ? qn__no_memory : strerror(errno);
        return NULL;
    }
    char *text = NULL;
    size_t used = 0, capacity = 0;
    *message = NULL;
    for (;;) {
        if (used + 1 >= capacity) {
            capacity = capacity ? capacity * 2 : 1 << 14;
            char *grown = capacity > MAX_SOURCE ? NULL : realloc(text, capacity);
            if (!grown) {
                *message = capacity > MAX_SOURCE ? "the file is too large" : qn__no_memory;
                break;
            }
            text = grown;
        }
        const size_t got = fread(text + used, 1, capacity - used - 1, file);
        used += got;
        if (got == 0) break;
    }
    if (!*message && ferror(file)) *message = strerror(errno ? errno : EIO);
    fclose(file);
    if (*message) {
        free(text);
        return NULL;
    }
    text[used] = 0;
    *length = used;
    return text;
}

static bool read_import(void *user, const char *path, const char **text, size_t *length, const char **message) {
    (void)user;
    *text = qn__read_file(path, length, message);
    return *text != NULL;
}

static void release_import(void *user, const char *text) {
    (void)user;
    free((char *)(uintptr_t)text);
}

const qn__import_reader qn__file_reader = {.read = read_import, .release = release_import};
