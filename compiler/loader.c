// Loads a program: the main file, imports depth first, and what it needs of the prelude (all of it would take longer to
// parse than a small kernel to compile).
//
// A file is parsed when it is first named; its imports are loaded after it is parsed (so that the nodes of a file are
// consecutive), and the items are put into order (imports first) at the end. Paths are compared after normalisation, as text:
// the library knows no file system. Invariants: a file's state goes NEW -> OPEN -> DONE; an import of an OPEN file is a cycle.
#include "compiler/loader.h"

#include <stdio.h>
#include <string.h>

#include "compiler/embedded.h"
#include "compiler/parser.h"

enum { DEEPEST_IMPORT = 64, MOST_FILES = 1000 };

typedef struct loaded_file {
    const qn__source *source;
    size_t item_begin, item_end;  // in the order of parsing
    bool done;
} loaded_file;

typedef struct loading {
    qn__program *program;
    const qn__import_reader *reader;
    loaded_file *files;
    size_t file_count, file_capacity;
    size_t *order;  // files as they were done
    size_t order_count, order_capacity;
} loading;

bool qn__program_init(qn__program *program, qn__arena *arena) {
    *program = (qn__program){.arena = arena};
    qn__sources_init(&program->sources, arena);
    qn__diagnostic_sink_init(&program->sink, arena, &program->sources);
    program->names = qn__names_create(arena);
    program->ast = program->names ? qn__ast_create(arena, program->names) : NULL;
    return program->ast != NULL;
}

// The folder of `path` joined with `written`, without "." and with ".." resolved where that is possible.
static char *join_path(qn__arena *arena, const char *path, const char *written) {
    const char *slash = strrchr(path, '/');
    size_t folder = slash && written[0] != '/' ? (size_t)(slash - path) + 1 : 0;
    size_t length = folder + strlen(written);
    char *joined = qn__arena_alloc(arena, length + 1), *out = qn__arena_alloc(arena, length + 1);
    if (!joined || !out) return NULL;
    if (folder) memcpy(joined, path, folder);
    memcpy(joined + folder, written, strlen(written));
    size_t count = 0, floor = 0;  // nothing before `floor` is taken back by ".."
    const char *at = joined;
    if (*at == '/') out[count++] = *at++, floor = 1;
    while (*at) {
        const char *end = strchr(at, '/');
        size_t part = end ? (size_t)(end - at) : strlen(at);
        bool up = part == 2 && at[0] == '.' && at[1] == '.';
        if (up && count > floor) {
            count--;  // the '/'
            while (count > floor && out[count - 1] != '/') count--;
        } else if (part && !(part == 1 && at[0] == '.')) {
            memcpy(out + count, at, part);
            count += part;
            if (end) out[count++] = '/';
            if (up) floor = count;
        }
        at += part + (end ? 1 : 0);
    }
    out[count] = 0;
    return out;
}

static bool load_file(loading *l, const qn__source *source, unsigned depth);

static loaded_file *find_file(loading *l, const char *path) {
    for (size_t i = 0; i < l->file_count; i++)
        if (!l->files[i].source->embedded && !strcmp(l->files[i].source->path, path)) return &l->files[i];
    return NULL;
}

// Reads and adds the source of an import; NULL after a report.
static const qn__source *read_import(loading *l, const char *path, qn__span span) {
    const char *text = NULL, *message = NULL;
    size_t length = 0;
    if (!l->reader || !l->reader->read(l->reader->user, path, &text, &length, &message)) {
        if (message && !strcmp(message, "out of memory")) {
            qn__report(&l->program->sink, QN__DIAG_OUT_OF_MEMORY, span);
            return NULL;
        }
        char shown[320]; // a path may be as long as the source
        snprintf(shown, sizeof shown, "%.300s%s", path, strlen(path) > 300 ? "..." : "");
        qn__diagnostic *d = qn__report(&l->program->sink, QN__DIAG_IMPORT_UNREADABLE, span, QN__SAY(shown));
        if (!l->reader) message = "imports are not available here";
        if (message) qn__diagnostic_found(d, "%s", message);
        qn__diagnostic_hint(d, "the path starts from the folder of the file that imports");
        return NULL;
    }
    qn__source *source = qn__sources_add(&l->program->sources, path, text ? text : "", text ? length : 0);
    if (l->reader->release) l->reader->release(l->reader->user, text);
    return source;
}

static bool load_import(loading *l, const qn__source *importer, qn__node_id node, unsigned depth) {
    const qn__ast_node *import = qn__ast_get(l->program->ast, node);
    qn__span span = import->span;
    const char *path = join_path(l->program->arena, importer->path, import->value.text);
    if (!path) return false;
    const loaded_file *known = find_file(l, path);
    if (known && known->done) return true;
    if (known) {
        qn__diagnostic *d = qn__report(&l->program->sink, QN__DIAG_IMPORT_CYCLE, span, QN__SAY(path));
        qn__diagnostic_hint(d, "move what both files need to a third one");
        return true;
    }
    if (depth >= DEEPEST_IMPORT || l->file_count >= MOST_FILES) {
        qn__report(&l->program->sink, QN__DIAG_TOO_MANY_IMPORTS, span, QN__SAY_UINT(DEEPEST_IMPORT), QN__SAY_UINT(MOST_FILES));
        return true;
    }
    const qn__source *source = read_import(l, path, span);
    return source ? load_file(l, source, depth + 1) : !qn__arena_failed(l->program->arena);
}

// Parses the file and what it imports. False only without memory.
static bool load_file(loading *l, const qn__source *source, unsigned depth) {
    qn__ast *ast = l->program->ast;
    loaded_file *files =
        qn__arena_grow(l->program->arena, l->files, &l->file_capacity, l->file_count + 1, sizeof *files);
    if (!files) return false;
    l->files = files;
    size_t index = l->file_count++, begin = ast->item_count;
    qn__parse(source, ast, &l->program->sink);
    size_t end = ast->item_count;
    l->files[index] = (loaded_file){source, begin, end, false};
    for (size_t i = begin; i < end; i++) {
        qn__node_id node = ast->items[i].node;
        if (qn__ast_kind_of(ast, node) == QN__AST_IMPORT && !load_import(l, source, node, depth)) return false;
    }
    size_t *order = qn__arena_grow(l->program->arena, l->order, &l->order_capacity, l->order_count + 1, sizeof *order);
    if (!order) return false;
    l->order = order;
    order[l->order_count++] = index;
    l->files[index].done = true;
    return true;
}

// The name, or the name without a type at its end (exp for exp_f64), occurs in what was loaded so far.
static bool occurs(const qn__names *names, const char *name) {
    if (qn__names_find(names, name, strlen(name))) return true;
    const char *end = strrchr(name, '_');
    bool typed = end && (!strcmp(end, "_f16") || !strcmp(end, "_bf16") || !strcmp(end, "_f32") || !strcmp(end, "_f64"));
    return typed && qn__names_find(names, name, (size_t)(end - name));
}

static bool is_needed(const loading *l, const qn__embedded *file) {
    for (const char *const *name = file->names; *name; name++)
        if (occurs(l->program->names, *name)) return true;
    return l->program->whole_prelude;
}

static bool load_embedded(loading *l, const qn__embedded *file) {
    qn__text path = QN__TEXT_EMPTY;
    qn__text_format(&path, "prelude/%s", file->name);
    qn__source *source =
        path.failed ? NULL : qn__sources_add(&l->program->sources, qn__text_bytes(&path), file->text, file->length);
    qn__text_free(&path);
    if (!source) return false;
    source->embedded = true;
    return load_file(l, source, 0);
}

// Until nothing new is named: prelude files name functions of each other.
static bool load_prelude(loading *l) {
    uint64_t loaded = 0;
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; qn__prelude_files[i].name && i < 64; i++) {
            if ((loaded >> i & 1) || !is_needed(l, &qn__prelude_files[i])) continue;
            if (!load_embedded(l, &qn__prelude_files[i])) return false;
            loaded |= (uint64_t)1 << i;
            again = true;
        }
    }
    return true;
}

static void add_items(loading *l, qn__ast_item *items, size_t *count, bool embedded) {
    for (size_t i = 0; i < l->order_count; i++) {
        const loaded_file *file = &l->files[l->order[i]];
        if (file->source->embedded != embedded) continue;
        for (size_t item = file->item_begin; item < file->item_end; item++) items[(*count)++] = l->program->ast->items[item];
    }
}

// Puts the items into order: the prelude's, then the others' as their files were done.
static bool order_items(loading *l) {
    qn__ast *ast = l->program->ast;
    qn__ast_item *items = QN__ARENA_ARRAY(l->program->arena, qn__ast_item, ast->item_count + 1);
    if (!items) return false;
    size_t count = 0;
    add_items(l, items, &count, true);
    add_items(l, items, &count, false);
    ast->items = items;
    ast->item_count = count;
    ast->item_capacity = count;
    return true;
}

bool qn__program_parse(qn__program *program, const char *path, const char *text, size_t length,
                      const qn__import_reader *reader, bool without_prelude) {
    loading l = {.program = program, .reader = reader};
    const qn__source *source = qn__sources_add(&program->sources, path, text, length);
    if (source) program->ast->main_file = source->id;
    bool memory = source && load_file(&l, source, 0);
    memory = memory && (without_prelude || load_prelude(&l)) && order_items(&l);
    if (!memory || qn__arena_failed(program->arena)) {
        qn__report(&program->sink, QN__DIAG_OUT_OF_MEMORY, QN__NO_SPAN);
        return false;
    }
    return program->sink.errors == 0;
}
