// Interned names: an array of entries (id -> text) and an open-addressing table of ids (text -> id).
//
// Invariants: the table's size is a power of two and at most half full; slots hold ids, 0 when empty; entry 0 is the
// empty text of QN__NO_NAME.
#include "ir/names.h"

#include <string.h>

typedef struct entry {
    const char *text;
    uint32_t length;
    uint32_t hash;
} entry;

struct qn__names {
    qn__arena *arena;
    entry *entries;
    size_t count;
    size_t capacity;
    uint32_t *slots;
    size_t slot_count;
};

enum { FIRST_SLOTS = 256, LONGEST = 1 << 30 };

static uint32_t hash_of(const char *text, size_t length) {
    uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return (uint32_t)(hash ^ (hash >> 32));
}

qn__names *qn__names_create(qn__arena *arena) {
    qn__names *names = QN__ARENA_NEW(arena, qn__names);
    if (!names) return NULL;
    names->arena = arena;
    names->slots = QN__ARENA_ARRAY(arena, uint32_t, FIRST_SLOTS);
    names->slot_count = FIRST_SLOTS;
    names->entries = qn__arena_grow(arena, NULL, &names->capacity, FIRST_SLOTS / 2, sizeof(entry));
    if (!names->slots || !names->entries) return NULL;
    names->entries[0] = (entry){.text = ""};
    names->count = 1;
    return names;
}

// The slot where the text is, or the empty one where it would go.
static size_t slot_of(const qn__names *names, const char *text, size_t length, uint32_t hash) {
    size_t mask = names->slot_count - 1;
    for (size_t slot = hash & mask;; slot = (slot + 1) & mask) {
        uint32_t id = names->slots[slot];
        if (!id) return slot;
        const entry *e = &names->entries[id];
        if (e->hash == hash && e->length == length && !memcmp(e->text, text, length)) return slot;
    }
}

static bool grow_slots(qn__names *names) {
    size_t count = names->slot_count * 2;
    uint32_t *slots = QN__ARENA_ARRAY(names->arena, uint32_t, count);
    if (!slots) return false;
    names->slots = slots;
    names->slot_count = count;
    for (uint32_t id = 1; id < names->count; id++) {
        const entry *e = &names->entries[id];
        slots[slot_of(names, e->text, e->length, e->hash)] = id;
    }
    return true;
}

qn__name qn__names_intern(qn__names *names, const char *text, size_t length) {
    if (!length || length > LONGEST) return QN__NO_NAME;
    uint32_t hash = hash_of(text, length);
    size_t slot = slot_of(names, text, length, hash);
    if (names->slots[slot]) return names->slots[slot];
    if (names->count * 2 >= names->slot_count) {
        if (names->slot_count > UINT32_MAX / 4 || !grow_slots(names)) return QN__NO_NAME;
        slot = slot_of(names, text, length, hash);
    }
    entry *entries = qn__arena_grow(names->arena, names->entries, &names->capacity, names->count + 1, sizeof(entry));
    if (!entries) return QN__NO_NAME;
    names->entries = entries;
    char *copy = qn__arena_copy_string(names->arena, text, length);
    if (!copy) return QN__NO_NAME;
    qn__name id = (qn__name)names->count++;
    entries[id] = (entry){copy, (uint32_t)length, hash};
    names->slots[slot] = id;
    return id;
}

qn__name qn__names_intern_text(qn__names *names, const char *text) {
    return qn__names_intern(names, text, strlen(text));
}

qn__name qn__names_find(const qn__names *names, const char *text, size_t length) {
    if (!length || length > LONGEST) return QN__NO_NAME;
    return names->slots[slot_of(names, text, length, hash_of(text, length))];
}

const char *qn__name_text(const qn__names *names, qn__name name) {
    return name < names->count ? names->entries[name].text : "";
}

size_t qn__name_length(const qn__names *names, qn__name name) {
    return name < names->count ? names->entries[name].length : 0;
}

uint32_t qn__names_count(const qn__names *names) { return (uint32_t)names->count; }
