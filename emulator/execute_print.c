/* vprintf: the kernel's format and its packed arguments to text. Each argument lies at a multiple of its size, as nvcc and clang pack them. Memory that is
 * not the device's prints as (null); nothing is read beyond its block. */
#include "emulator/machine.h"

#include <stdio.h>
#include <string.h>

enum { MOST_TEXT = 4096 };

typedef struct reader { em_warp *warp; uint32_t lane; uint64_t format, arguments; uint32_t offset; } reader;

/* Bytes at a generic address: of the thread's local memory or of a block. */
static uint64_t room(const reader *r, uint64_t address) {
    const em_run *run = r->warp->worker->run;
    uint64_t local = (uint64_t)(uintptr_t)r->warp->local + r->lane * run->local_stride;
    if (address - local < run->local_stride) return run->local_stride - (address - local);
    const em_block *block = em_memory_find(run->launch->memory, address);
    if (!block || block->freed || address < block->address || address - block->address >= block->size) return 0;
    return block->size - (address - block->address);
}

static bool text_at(const reader *r, uint64_t address, char *to, size_t size) {
    uint64_t most = room(r, address);
    if (!most) return false;
    size_t k = 0;
    while (k + 1 < size && k < most && (to[k] = ((const char *)(uintptr_t)address)[k])) k++;
    to[k] = '\0';
    return true;
}

static uint64_t argument(reader *r, uint32_t bytes) {
    uint64_t value = 0;
    r->offset = (r->offset + bytes - 1) / bytes * bytes;
    if (room(r, r->arguments + r->offset) >= bytes) memcpy(&value, (const char *)(uintptr_t)(r->arguments + r->offset), bytes);
    r->offset += bytes;
    return value;
}

/* One conversion, from behind its %; gives what follows it. */
static const char *conversion(reader *r, const char *at, char *to, size_t size) {
    char spec[40] = "%", text[512];
    size_t length = 1;
    uint32_t longs = 0;
    for (; *at && strchr("-+ #0123456789.*hlzjt", *at); at++) {
        if (*at == 'l' || *at == 'z' || *at == 'j' || *at == 't') longs += *at == 'l' ? 1 : 2;
        else if (*at == '*') length += (size_t)snprintf(spec + length, sizeof spec - length, "%d", (int)argument(r, 4) % 1000);
        else if (*at != 'h' && length < 8) spec[length++] = *at; /* no width beyond a few digits */
    }
    spec[length] = '\0';
    char kind = *at ? *at++ : '%';
    switch (kind) {
    case '%': snprintf(to, size, "%%"); break;
    case 'd': case 'i': case 'u': case 'o': case 'x': case 'X': {
        bool wide = longs > 0;
        uint64_t value = argument(r, wide ? 8 : 4);
        bool is_signed = kind == 'd' || kind == 'i';
        memcpy(spec + length, (char[]){'l', 'l', kind, '\0'}, 4);
        snprintf(to, size, spec, wide || !is_signed ? (long long)value : (long long)(int32_t)value);
        break;
    }
    case 'c': snprintf(to, size, "%c", (int)(argument(r, 4) & 127)); break;
    case 'p': snprintf(to, size, "0x%llx", (unsigned long long)argument(r, 8)); break;
    case 's':
        if (!text_at(r, argument(r, 8), text, sizeof text)) strcpy(text, "(null)");
        memcpy(spec + length, "s", 2);
        snprintf(to, size, spec, text);
        break;
    case 'f': case 'F': case 'e': case 'E': case 'g': case 'G': case 'a': case 'A': {
        uint64_t bits = argument(r, 8);
        double value;
        memcpy(&value, &bits, sizeof value);
        memcpy(spec + length, (char[]){kind, '\0'}, 2);
        snprintf(to, size, spec, value);
        break;
    }
    default: snprintf(to, size, "%%%c", kind); break;
    }
    return at;
}

/* Gives what vprintf returns: the number of arguments is not known, so 0; -1 where the format cannot be read. */
int32_t em_print(em_warp *warp, uint32_t lane, uint64_t format, uint64_t arguments) {
    const em_launch *launch = warp->worker->run->launch;
    reader r = {warp, lane, format, arguments, 0};
    char pattern[1024], text[MOST_TEXT];
    size_t length = 0;
    if (!text_at(&r, format, pattern, sizeof pattern)) return -1;
    for (const char *at = pattern; *at && length + 1 < sizeof text;) {
        if (*at != '%') {
            text[length++] = *at++;
            continue;
        }
        text[length] = '\0';
        at = conversion(&r, at + 1, text + length, sizeof text - length);
        length += strlen(text + length);
    }
    if (launch->print) launch->print(launch->print_context, text, length);
    return 0;
}
