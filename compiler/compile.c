/* The compiler's pipeline, from source text to the IR of a kernel. Each step stops the next ones when it reported an error.
 *
 * Memory: a program has an arena with sources, tree and the diagnostics of parsing and checking as a whole; each compiled
 * kernel has its own with typed tree, IR and its diagnostics. Backends go on from there. */
#include "compiler/compile.h"

#include "compiler/check.h"
#include "compiler/lower.h"
#include "ir/passes.h"

#include <string.h>
#include <time.h>

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static size_t limit_of(const qn__compile_options *options) {
    return options && options->memory_limit ? options->memory_limit : (size_t)QN__COMPILE_MEMORY;
}

/* ---- programs ---- */

qn__program *qn__program_open(const char *path, const char *text, size_t length, const qn__import_reader *reader,
                              const qn__compile_options *options) {
    qn__arena *arena = qn__arena_create(limit_of(options));
    qn__program *program = arena ? QN__ARENA_NEW(arena, qn__program) : NULL;
    if (!program || !qn__program_init(program, arena)) {
        qn__arena_destroy(arena);
        return NULL;
    }
    qn__program_parse(program, path, text, length, reader, options && options->without_prelude);
    qn__diagnostic_sort(&program->sink);
    return program;
}

void qn__program_close(qn__program *program) {
    if (program) qn__arena_destroy(program->arena);
}

/* ---- kernels ---- */

static void describe_kernel(const qn__program *program, qn__node_id node, bool imported, qn__kernel_info *info) {
    const qn__ast *ast = program->ast;
    const qn__node_id generics = qn__ast_child(ast, node, QN__KERNEL_GENERICS);
    *info = (qn__kernel_info){.name = qn__name_text(ast->names, ast->nodes[node].name), .node = node, .imported = imported};
    for (uint32_t i = 0; generics && i < qn__ast_count(ast, generics) && i < QN__MAX_RANK; i++) {
        const qn__ast_node *generic = qn__ast_get(ast, qn__ast_child(ast, generics, i));
        info->generic_names[i] = qn__name_text(ast->names, generic->name);
        info->generic_classes[i] = generic->op;
        info->generic_count++;
    }
}

const qn__kernel_info *qn__program_kernels(qn__program *program, size_t *count) {
    const qn__ast *ast = program->ast;
    *count = 0;
    qn__kernel_info *list = QN__ARENA_ARRAY(program->arena, qn__kernel_info, ast ? ast->item_count : 0);
    if (!list || !ast) return list;
    for (uint32_t imported = 0; imported < 2; imported++) {
        for (size_t i = 0; i < ast->item_count; i++) {
            const qn__node_id node = ast->items[i].node;
            const bool elsewhere = ast->nodes[node].span.file != ast->main_file;
            if (qn__ast_kind_of(ast, node) == QN__AST_KERNEL && elsewhere == (imported == 1))
                describe_kernel(program, node, elsewhere, &list[(*count)++]);
        }
    }
    return list;
}

const qn__kernel_info *qn__program_kernel(qn__program *program, const char *name) {
    size_t count = 0, own = 0;
    const qn__kernel_info *list = qn__program_kernels(program, &count);
    while (list && own < count && !list[own].imported) own++;
    if (!name || !*name) return list && own == 1 ? list : NULL;
    for (size_t i = 0; list && i < count; i++)
        if (!strcmp(list[i].name, name)) return &list[i];
    return NULL;
}

int32_t qn__kernel_generic_source(const qn__program *program, const qn__kernel_info *kernel, uint32_t generic) {
    const qn__ast *ast = program->ast;
    if (generic >= kernel->generic_count) return -1;
    const qn__node_id params = qn__ast_child(ast, kernel->node, QN__KERNEL_PARAMS);
    for (uint32_t i = 0; i < qn__ast_count(ast, params); i++) {
        const qn__node_id type = qn__ast_child(ast, qn__ast_child(ast, params, i), QN__PARAM_TYPE);
        if (type && !strcmp(qn__name_text(ast->names, ast->nodes[type].name), kernel->generic_names[generic])) return (int32_t)i;
    }
    return -1;
}

/* ---- errors that were proved on the IR ---- */

/* Back from a location to the span that it was made of. */
static qn__span span_of(const qn__program *program, const qn__location *location) {
    for (uint32_t id = 1; id <= program->sources.count; id++) {
        const qn__source *source = qn__sources_get(&program->sources, id);
        if (!source || strcmp(source->path, location->path) || !location->line || location->line > source->line_count) continue;
        uint32_t at = source->line_begins[location->line - 1];
        for (uint32_t column = 1; column < location->column && at < source->length; column++) {
            at++;
            while (at < source->length && ((unsigned char)source->text[at] & 0xC0) == 0x80) at++;
        }
        return (qn__span){id, at, at + location->length};
    }
    return QN__NO_SPAN;
}

static void report_failures(const qn__program *program, const qn__ir *ir, qn__diagnostic_sink *sink) {
    for (uint32_t i = 0; i < ir->remark_count; i++) {
        const qn__remark *remark = &ir->remarks[i];
        if (remark->kind != QN__REMARK_FAILS) continue;
        const qn__span span = span_of(program, &ir->locations[remark->location]);
        qn__diagnostic *d = qn__report(sink, QN__DIAG_PROVED_FAULT, span, QN__SAY(remark->text));
        if (strstr(remark->text, "index")) {
            qn__diagnostic_hint(d, "leave such points out of the domain: ... for i in 1..n-1 else ...");
            qn__diagnostic_hint(d, "or say what is outside of the array: x: f32[n] edge clamp (or wrap, mirror, 0)");
        }
        if (remark->index || remark->extent) qn__diagnostic_found(d, "index %lld", (long long)remark->index);
        if (remark->extent) qn__diagnostic_expected(d, "0 <= index < %lld", (long long)remark->extent);
    }
}

/* ---- one kernel ---- */

static qn__ir *compile(const qn__program *program, const qn__kernel_info *kernel, const qn__type *types, uint32_t type_count,
                       const char *stop_after, qn__compiled *compiled, qn__diagnostic_sink *sink) {
    const double start = now_ms();
    qn__checker *checker = qn__checker_create(program->ast, &program->sources, compiled->arena, sink);
    const qn__typed *typed = checker ? qn__check_kernel(checker, kernel->node, types, type_count) : NULL;
    const double checked = now_ms();
    compiled->check_ms = checked - start;
    if (!typed) return NULL;

    qn__ir *ir = qn__lower(qn__check_result(checker), typed, &program->sources, compiled->arena, sink);
    const double lowered = now_ms();
    compiled->lower_ms = lowered - checked;
    if (!ir) return NULL;

    const char *message = NULL;
    const bool passed = qn__passes_run(ir, stop_after, &message);
    compiled->passes_ms = now_ms() - lowered;
    if (!passed) {
        const qn__span span = qn__ast_name_span(program->ast, kernel->node);
        if (ir->failed || !message) qn__report(sink, QN__DIAG_OUT_OF_MEMORY, span);
        else qn__report(sink, QN__DIAG_PASSES_STOPPED, span, QN__SAY(message));
        return NULL;
    }
    const size_t errors = sink->errors;
    report_failures(program, ir, sink);
    return sink->errors == errors ? ir : NULL;
}

qn__compiled *qn__compile(qn__program *program, const qn__kernel_info *kernel, const qn__type *types, uint32_t type_count,
                          const qn__compile_options *options) {
    qn__arena *arena = qn__arena_create(limit_of(options));
    qn__compiled *compiled = arena ? QN__ARENA_NEW(arena, qn__compiled) : NULL;
    if (!compiled) {
        qn__arena_destroy(arena);
        return NULL;
    }
    compiled->arena = arena;
    qn__diagnostic_sink_init(&compiled->sink, arena, &program->sources);
    compiled->ir = compile(program, kernel, types, type_count, options ? options->stop_after : NULL, compiled, &compiled->sink);
    if (qn__arena_failed(arena)) compiled->ir = NULL; /* what was found out without memory is not to be relied on, errors included */
    if (!compiled->ir && (!compiled->sink.errors || qn__arena_failed(arena)))
        qn__report(&compiled->sink, QN__DIAG_OUT_OF_MEMORY, qn__ast_name_span(program->ast, kernel->node));
    qn__diagnostic_sort(&compiled->sink);
    return compiled;
}

void qn__compiled_release(qn__compiled *compiled) {
    if (compiled) qn__arena_destroy(compiled->arena);
}

/* ---- everything ---- */

static qn__type usual_type(uint8_t generic_class) {
    switch ((qn__ast_class)generic_class) {
    case QN__CLASS_OF_INT: return QN__TYPE_I32;
    case QN__CLASS_OF_FLOAT:
    case QN__CLASS_OF_NUMBER:
    case QN__CLASSES: break;
    }
    return QN__TYPE_F32;
}

/* Lowers and analyses a kernel for the sake of its errors, which go to the program's sink. */
static void check_deeply(qn__program *program, const qn__kernel_info *kernel) {
    qn__type types[QN__MAX_RANK] = {QN__TYPE_NONE};
    for (uint32_t i = 0; i < kernel->generic_count; i++) types[i] = usual_type(kernel->generic_classes[i]);
    qn__compiled scratch = {.arena = qn__arena_create((size_t)QN__COMPILE_MEMORY)};
    const size_t errors = program->sink.errors;
    const qn__ir *ir = scratch.arena ? compile(program, kernel, types, kernel->generic_count, NULL, &scratch, &program->sink) : NULL;
    const bool memory = scratch.arena && !qn__arena_failed(scratch.arena);
    if (!memory || (!ir && program->sink.errors == errors))
        qn__report(&program->sink, QN__DIAG_OUT_OF_MEMORY, qn__ast_name_span(program->ast, kernel->node));
    qn__arena_destroy(scratch.arena);
}

bool qn__program_check(qn__program *program) {
    if (program->sink.errors || !program->ast) return false;
    qn__checker *checker = qn__checker_create(program->ast, &program->sources, program->arena, &program->sink);
    const bool sound = checker && qn__check_module(checker);
    size_t count = 0;
    const qn__kernel_info *kernels = qn__program_kernels(program, &count);
    for (size_t i = 0; sound && kernels && i < count; i++) check_deeply(program, &kernels[i]);
    if (((!sound || !kernels) && !program->sink.errors) || qn__arena_failed(program->arena))
        qn__report(&program->sink, QN__DIAG_OUT_OF_MEMORY, QN__NO_SPAN);
    qn__diagnostic_sort(&program->sink);
    return sound && !program->sink.errors;
}
