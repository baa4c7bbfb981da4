// Fuzzes the front end: tokens, tree, checker, messages. The first byte chooses how much memory there is, so that running
// out of it is tried everywhere; the file may import itself and a second name. Checked beside the sanitizers: a failed
// parse has a message, spans lie in their files, children come before parents, heights stay below their limit.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/check.h"
#include "compiler/dump.h"
#include "compiler/lexer.h"
#include "compiler/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct input {
    const char *text;
    size_t length;
} input;

static bool read_import(void *user, const char *path, const char **text, size_t *length, const char **message) {
    const input *in = user;
    *message = "no such file";
    if (strlen(path) % 2) return false;
    *text = in->text;
    *length = in->length;
    return true;
}

static void check_tree(const qn__program *program) {
    const qn__ast *ast = program->ast;
    for (qn__node_id id = 1; id < ast->node_count; id++) {
        const qn__ast_node *node = qn__ast_get(ast, id);
        const qn__source *source = qn__sources_get(&program->sources, node->span.file);
        if (!source || node->span.begin > node->span.end || node->span.end > source->length) abort();
        if (node->height > QN__AST_HEIGHT) abort();
        for (uint32_t i = 0; i < node->child_count; i++)
            if (qn__ast_child(ast, id, i) >= id) abort();
    }
    for (size_t i = 0; i < ast->item_count; i++)
        if (ast->items[i].first > ast->items[i].node || ast->items[i].node >= ast->node_count) abort();
}

static void check_messages(qn__program *program, bool parsed) {
    qn__diagnostic_sink *sink = &program->sink;
    if (parsed != (sink->errors == 0)) abort();
    if (!parsed && !sink->count) abort();
    qn__diagnostic_sort(sink);
    qn__text text = QN__TEXT_EMPTY;
    qn__diagnostic_render_all(&text, sink, (qn__render_options){.color = true});
    qn__diagnostic_render_json(&text, sink);
    const qn__source *source = program->sources.files[0];
    bool quoted = source->length && memmem(source->text, source->length, "<no argument>", 13);
    if (!quoted && strstr(qn__text_bytes(&text), "<no argument>")) abort();  // arguments that do not fit the message
    qn__ast_dump_file(&text, program->ast, program->ast->main_file);
    qn__text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    size_t limit = data[0] >= 128 ? (size_t)64 << 20 : (size_t)4096 << (data[0] % 8);
    input in = {(const char *)data + 1, size - 1};
    qn__arena *arena = qn__arena_create(limit);
    qn__program program;
    if (arena && qn__program_init(&program, arena)) {
        qn__import_reader reader = {.user = &in, .read = read_import};
        bool parsed = qn__program_parse(&program, "fuzz.qn", in.text, in.length, &reader, data[0] % 2);
        if (parsed) {
            qn__checker *checker = qn__checker_create(program.ast, &program.sources, arena, &program.sink);
            parsed = checker && qn__check_module(checker);
            if (!parsed && qn__arena_failed(arena) && !program.sink.errors)
                qn__report(&program.sink, QN__DIAG_OUT_OF_MEMORY, QN__NO_SPAN);
        }
        if (program.sources.count) {
            check_messages(&program, parsed);
            check_tree(&program);
        }
    }
    qn__arena_destroy(arena);
    return 0;
}
