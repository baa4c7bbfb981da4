/* quern cache: what the cache of compiled kernels holds, and why a kernel is or is not found there. */
#include "cli/cli.h"
#include "runtime/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The value of the key's line `name value`; its length goes to *length. */
static const char *field(const char *key, const char *name, size_t *length) {
    const size_t n = strlen(name);
    for (const char *line = key; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, name, n) != 0 || (line[n] != ' ' && line[n] != '\n')) continue;
        const char *value = line + n + (line[n] == ' ');
        *length = strcspn(value, "\n");
        return value;
    }
    *length = 0;
    return "";
}

typedef struct listing {
    qn__text *out;
    uint64_t entries, bytes, unsound;
    bool json;
} listing;

static bool list_entry(void *user, const qn__cache_entry *entry) {
    listing *l = user;
    char day[32] = "";
    const time_t used = (time_t)entry->used;
    struct tm broken;
    if (localtime_r(&used, &broken)) strftime(day, sizeof day, "%Y-%m-%d %H:%M", &broken);
    l->unsound += entry->state != QN__CACHE_HIT;
    if (l->json) {
        qn__text_format(l->out, "%s{\"file\": \"%s\", \"bytes\": %llu, \"used\": %lld, \"sound\": %s, \"key\": ", l->entries ? ",\n " : "", entry->name,
                        (unsigned long long)entry->bytes, (long long)entry->used, entry->state == QN__CACHE_HIT ? "true" : "false");
        const char *key = entry->key ? entry->key : "";
        qn__text_add_json_string(l->out, key, strlen(key));
        qn__text_add_char(l->out, '}');
    } else {
        size_t kernel_length, types_length, source_length;
        const char *key = entry->key ? entry->key : "kernel (damaged or foreign)\n";
        const char *kernel = field(key, "kernel", &kernel_length), *types = field(key, "types", &types_length);
        const char *source = field(key, "source", &source_length), *path = memchr(source, ' ', source_length);
        qn__text_format(l->out, "%9llu  %s  %.*s%s%.*s%s  %.*s\n", (unsigned long long)entry->bytes, day, (int)kernel_length, kernel, types_length ? "[" : "",
                        (int)types_length, types, types_length ? "]" : "", path ? (int)(source_length - (size_t)(path - source) - 1) : 0, path ? path + 1 : "");
    }
    l->entries++;
    l->bytes += entry->bytes;
    return true;
}

static int show(const qn__cache *cache, bool json) {
    qn__text out = QN__TEXT_EMPTY;
    listing l = {.out = &out, .json = json};
    if (json) qn__text_add_char(&out, '[');
    int status = qn__cache_visit(cache, list_entry, &l) ? QN_OK : cli_fail(QN_IO, "%s cannot be read", qn__cache_folder(cache));
    if (json) qn__text_add_string(&out, "]\n");
    else qn__text_format(&out, "%s: %llu kernels, %llu bytes%s\n", qn__cache_folder(cache), (unsigned long long)l.entries, (unsigned long long)l.bytes, l.unsound ? "; some are damaged: see 'quern cache verify'" : "");
    if (status == QN_OK && !cli_write(&out)) status = cli_fail(QN_IO, "standard output cannot be written");
    qn__text_free(&out);
    return status;
}

/* ---- explain ---- */
typedef struct search {
    const char *key;
    char *nearest; /* key of the entry that agrees with most lines */
    size_t agreeing;
} search;

static bool has_line(const char *key, const char *line, size_t length) {
    for (const char *at = key; at && *at; at = strchr(at, '\n'), at += at != NULL)
        if (strncmp(at, line, length) == 0 && (at[length] == '\n' || at[length] == 0)) return true;
    return false;
}

static bool compare_entry(void *user, const qn__cache_entry *entry) {
    search *s = user;
    size_t length, agreeing = 0;
    if (!entry->key) return true;
    const char *kernel = field(s->key, "kernel", &length);
    size_t other_length;
    const char *other = field(entry->key, "kernel", &other_length);
    if (length != other_length || strncmp(kernel, other, length) != 0) return true;
    for (const char *line = s->key; *line;) {
        length = strcspn(line, "\n");
        agreeing += has_line(entry->key, line, length);
        line += length + (line[length] == '\n');
    }
    if (s->nearest && agreeing <= s->agreeing) return true;
    free(s->nearest);
    s->nearest = strdup(entry->key);
    s->agreeing = agreeing;
    return true;
}

static const char *const meanings[][2] = {{"quern", "another version or build of Quern made it"}, {"target", "it was made for another processor or LLVM"},
                                          {"width", "it was made with another --width"}, {"types", "it was made for other types"},
                                          {"source", "the source text, one of its imports, or their path is another"}};

static int explain(const qn__cache *cache, const cli_options *options) {
    cli_call call = {0};
    cli_options one = *options;
    one.no_cache = false;
    qn__text out = QN__TEXT_EMPTY;
    int status = cli_prepare(&call, &one, QN_ENGINE_INTERP, 0); /* arguments decide the types; the interpreter needs no cache */
    char *key = status == QN_OK ? qn_kernel_cache_key(call.kernel) : NULL;
    if (status == QN_OK && !key) status = cli_fail(QN_RESOURCE, "there is no cache, or no memory");
    if (status == QN_OK) {
        qn__arena *arena = qn__arena_create(0);
        qn__image image;
        search s = {.key = key};
        const qn__cache_state state = arena ? qn__cache_find(cache, key, arena, &image) : QN__CACHE_ERROR;
        qn__arena_destroy(arena);
        static const char *const texts[] = {[QN__CACHE_HIT] = "found", [QN__CACHE_MISSING] = "not found", [QN__CACHE_DAMAGED] = "the file was damaged, and was removed",
                                            [QN__CACHE_FOREIGN] = "the file belongs to somebody else, or others may write to it", [QN__CACHE_ERROR] = "the file cannot be read"};
        qn__text_format(&out, "%s: %s\n", qn_kernel_name(call.kernel), texts[state]);
        if (state == QN__CACHE_MISSING) qn__cache_visit(cache, compare_entry, &s);
        if (state == QN__CACHE_MISSING && !s.nearest) qn__text_add_string(&out, "  no kernel of this name was ever stored here, or it was pruned\n");
        for (size_t i = 0; s.nearest && i < sizeof meanings / sizeof *meanings; i++) {
            size_t length;
            const char *value = field(key, meanings[i][0], &length), *line = value - strlen(meanings[i][0]) - 1;
            if (length == 0 || has_line(s.nearest, line, (size_t)(value - line) + length)) continue;
            size_t other_length;
            const char *other = field(s.nearest, meanings[i][0], &other_length);
            qn__text_format(&out, "  the nearest entry does not fit: %s\n    wanted: %.*s\n    stored: %.*s\n", meanings[i][1], (int)length, value, (int)other_length, other);
        }
        qn__text_format(&out, "key:\n%s", key);
        free(s.nearest);
    }
    if (status == QN_OK && !cli_write(&out)) status = cli_fail(QN_IO, "standard output cannot be written");
    qn__text_free(&out);
    free(key);
    cli_call_free(&call);
    return status;
}

int cli_cache(int argc, char **argv) {
    static const char *const actions[] = {"show", "verify", "prune", "clear", "explain"};
    cli_options options = {0};
    const char *action = argc > 0 ? argv[0] : "show", *message = NULL;
    size_t a = 0;
    while (a < 5 && strcmp(actions[a], action) != 0) a++;
    if (a == 5) {
        const char *near = cli_suggest(action, actions, 5);
        return cli_fail(QN_USAGE, "quern cache has show, verify, prune, clear, explain; found '%s'%s%s%s", action, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (!cli_parse(&options, "cache", argc > 0 ? argc - 1 : 0, argv + 1)) {
        cli_options_free(&options);
        return QN_USAGE;
    }
    qn__cache *cache = qn__cache_open(NULL, 0, &message);
    int status = cache ? QN_OK : cli_fail(QN_IO, "%s", message);
    if (cache && a == 0) status = show(cache, options.json);
    if (cache && a == 4) status = explain(cache, &options);
    if (cache && a > 0 && a < 4) {
        uint64_t sound = 0;
        const qn__cache_sum sum = a == 1 ? qn__cache_verify(cache, &sound) : qn__cache_prune(cache, a == 2 ? (uint64_t)QN__CACHE_LIMIT_MIB << 20 : 0);
        if (a == 1) printf("%llu sound, ", (unsigned long long)sound);
        printf("%llu removed, %llu bytes\n", (unsigned long long)sum.entries, (unsigned long long)sum.bytes);
    }
    qn__cache_close(cache);
    cli_options_free(&options);
    return status;
}
