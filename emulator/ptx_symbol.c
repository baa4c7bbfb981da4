/* Names: one hash table for all open scopes. A scope's symbols are chained, so that closing it takes them out again. */
#include "emulator/ptx_parse.h"

#include <string.h>

static uint32_t hash_of(const char *name, size_t length) {
    uint32_t hash = 2166136261u;
    for (size_t k = 0; k < length; k++) hash = (hash ^ (uint8_t)name[k]) * 16777619u;
    return hash;
}

static em_symbol *find(em_parser *parser, const char *name, size_t length) {
    uint32_t hash = hash_of(name, length);
    for (em_symbol *symbol = parser->buckets[hash % EM_BUCKETS]; symbol; symbol = symbol->next_in_bucket) {
        if (symbol->hash == hash && symbol->length == length && symbol->kind != EM_SYMBOL_LABEL && !memcmp(symbol->name, name, length)) return symbol;
    }
    return NULL;
}

em_symbol *em_symbol_find(em_parser *parser, const char *name, size_t length) { return find(parser, name, length); }

em_symbol *em_symbol_here(em_parser *parser, const char *name, size_t length, em_symbol_kind kind) {
    uint32_t hash = hash_of(name, length), scope = parser->scope_ids[parser->depth];
    for (em_symbol *symbol = parser->buckets[hash % EM_BUCKETS]; symbol; symbol = symbol->next_in_bucket) {
        bool label = kind == EM_SYMBOL_LABEL;
        if (symbol->hash == hash && symbol->scope == scope && symbol->length == length && label == (symbol->kind == EM_SYMBOL_LABEL) &&
            !memcmp(symbol->name, name, length)) return symbol;
    }
    return NULL;
}

em_symbol *em_symbol_add(em_parser *parser, const char *name, size_t length, em_symbol_kind kind) {
    if (em_symbol_here(parser, name, length, kind)) {
        em_error(parser->module, parser->token.line, "Duplicate definition of '%.*s'", (int)(length < 200 ? length : 200), name);
        return NULL;
    }
    em_symbol *symbol = em_arena_allocate(&parser->module->arena, sizeof *symbol);
    char *copy = em_copy(parser, name, length);
    if (!symbol || !copy) return NULL;
    uint32_t hash = hash_of(name, length);
    *symbol = (em_symbol){.name = copy, .length = length, .hash = hash, .scope = parser->scope_ids[parser->depth], .kind = kind};
    symbol->next_in_bucket = parser->buckets[hash % EM_BUCKETS];
    parser->buckets[hash % EM_BUCKETS] = symbol;
    symbol->next_in_scope = parser->scopes[parser->depth];
    parser->scopes[parser->depth] = symbol;
    return symbol;
}

/* %r5 is the sixth of %r<8>. */
bool em_register_find(em_parser *parser, const char *name, size_t length, em_symbol **symbol, uint32_t *reg) {
    em_symbol *found = find(parser, name, length);
    if (found && found->kind == EM_SYMBOL_REGISTER && !found->count) {
        *symbol = found;
        *reg = found->base;
        return true;
    }
    if (found && found->kind != EM_SYMBOL_REGISTER) return false;
    size_t stem = length;
    while (stem > 0 && name[stem - 1] >= '0' && name[stem - 1] <= '9') stem--;
    for (size_t at = stem; at < length; at++) { /* a stem may end in digits itself */
        if (name[at] == '0' && at + 1 < length) continue;
        if (length - at > 7) continue;
        uint32_t number = 0;
        for (size_t k = at; k < length; k++) number = number * 10 + (uint32_t)(name[k] - '0');
        found = find(parser, name, at);
        if (found && found->kind == EM_SYMBOL_REGISTER && number < found->count) {
            *symbol = found;
            *reg = found->base + number;
            return true;
        }
    }
    return false;
}

bool em_scope_open(em_parser *parser) {
    if (parser->depth + 1 >= EM_SCOPES) {
        em_error(parser->module, parser->token.line, "Blocks are nested too deeply");
        return false;
    }
    parser->depth++;
    parser->scopes[parser->depth] = NULL;
    parser->scope_ids[parser->depth] = ++parser->scope_count;
    return true;
}

static void label_outwards(em_parser *parser, em_label *label) {
    if (parser->depth == 0) {
        em_error(parser->module, label->line, "Unknown symbol '%.200s'", label->name);
        return;
    }
    size_t length = strlen(label->name);
    em_symbol *outer = em_symbol_here(parser, label->name, length, EM_SYMBOL_LABEL);
    if (outer) {
        label->same = outer->label;
    } else {
        outer = em_symbol_add(parser, label->name, length, EM_SYMBOL_LABEL);
        if (outer) outer->label = label;
    }
}

void em_scope_close(em_parser *parser) {
    em_symbol *first = parser->scopes[parser->depth];
    for (em_symbol *symbol = first; symbol; symbol = symbol->next_in_scope) {
        em_symbol **link = &parser->buckets[symbol->hash % EM_BUCKETS];
        while (*link != symbol) link = &(*link)->next_in_bucket;
        *link = symbol->next_in_bucket;
    }
    parser->depth--;
    for (em_symbol *symbol = first; symbol; symbol = symbol->next_in_scope) {
        if (symbol->kind == EM_SYMBOL_LABEL && !symbol->label->defined) label_outwards(parser, symbol->label);
    }
}

static em_label *label_here(em_parser *parser, const char *name, size_t length) {
    em_symbol *symbol = em_symbol_here(parser, name, length, EM_SYMBOL_LABEL);
    if (symbol) return symbol->label;
    symbol = em_symbol_add(parser, name, length, EM_SYMBOL_LABEL);
    em_label *label = symbol ? em_arena_allocate(&parser->module->arena, sizeof *label) : NULL;
    if (!label) {
        if (symbol) symbol->kind = EM_SYMBOL_VARIABLE; /* out of memory: nothing reads it any more */
        return NULL;
    }
    label->name = symbol->name;
    label->line = parser->token.line;
    symbol->label = label;
    return label;
}

em_label *em_label_use(em_parser *parser, const char *name, size_t length) { return label_here(parser, name, length); }

em_label *em_list_use(em_parser *parser, const char *name, size_t length) {
    em_label *found = NULL;
    uint32_t depth = parser->depth;
    for (; parser->depth > 0 && !found; parser->depth--) {
        em_symbol *symbol = em_symbol_here(parser, name, length, EM_SYMBOL_LABEL);
        if (symbol && (symbol->label->targets || symbol->label->prototype)) found = symbol->label;
    }
    parser->depth = depth;
    return found ? found : em_label_use(parser, name, length);
}

bool em_label_define(em_parser *parser, const em_token *token) {
    em_label *label = label_here(parser, token->text, token->length);
    if (!label) return false;
    if (label->defined) {
        em_error(parser->module, token->line, "Duplicate definition of label '%.200s'", label->name);
        return false;
    }
    label->defined = true;
    label->line = token->line;
    label->instruction = parser->function->count;
    label->next = parser->function->labels;
    parser->function->labels = label;
    return true;
}
