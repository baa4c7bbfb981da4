/* Modules: source text, parsed. Kernels are checked and compiled when they are created, one at a time per module. */
#include "api/files.h"
#include "api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void describe(qn_diagnostic *out, const qn__diagnostic *d, const qn__sources *sources, bool colour,
                     qn__text *rendered) {
    const qn__source *source = qn__sources_get(sources, d->span.file);
    qn__text_clear(rendered);
    qn__diagnostic_render(rendered, sources, d, (qn__render_options){.color = colour});
    *out = (qn_diagnostic){.code = qn__diagnostic_code(d->id),
                           .is_error = qn__diagnostic_severity(d->id) == QN__SEVERITY_ERROR,
                           .message = d->message,
                           .path = source ? source->path : "",
                           .length = d->span.end - d->span.begin,
                           .rendered = qn__text_bytes(rendered)};
    if (source) {
        const qn__position position = qn__source_position(source, d->span.begin);
        out->line = position.line;
        out->column = position.column;
    }
}

/* A report that says that memory is out tells nothing about the source. */
static bool is_memory(const qn__diagnostic *d) { return d->id == QN__DIAG_OUT_OF_MEMORY; }

qn_status qn__deliver(const qn_context *context, const qn__diagnostic_sink *sink, const qn__sources *sources, qn_error *error) {
    qn__text rendered = QN__TEXT_EMPTY;
    qn_status status = QN_OK;
    for (size_t i = 0; i < sink->count && status != QN_RESOURCE; i++)
        if (qn__diagnostic_severity(sink->items[i]->id) == QN__SEVERITY_ERROR) status = is_memory(sink->items[i]) ? QN_RESOURCE : QN_SOURCE;
    for (size_t i = 0; i < sink->count; i++) {
        qn_diagnostic diagnostic;
        describe(&diagnostic, sink->items[i], sources, context->options.colour, &rendered);
        if (context->options.on_diagnostic) context->options.on_diagnostic(context->options.user, &diagnostic);
        if (!diagnostic.is_error || !error || error->status != QN_OK) continue;
        if (status == QN_RESOURCE) {
            if (is_memory(sink->items[i])) qn__error(error, status, "%s", diagnostic.message);
            continue;
        }
        qn__error(error, QN_SOURCE, "%s:%u:%u: error[%s]: %s", diagnostic.path, diagnostic.line, diagnostic.column,
                 diagnostic.code, diagnostic.message);
        snprintf(error->path, sizeof error->path, "%s", diagnostic.path);
        error->line = diagnostic.line;
        error->column = diagnostic.column;
        error->length = diagnostic.length;
    }
    qn__text_free(&rendered);
    return status;
}

static void module_free(qn_module *module) {
    while (module->functions) {
        qn__host_function *next = module->functions->next;
        free(module->functions->name);
        free(module->functions);
        module->functions = next;
    }
    qn__program_close(module->program);
    pthread_mutex_destroy(&module->mutex);
    qn__context_release(module->context);
    free(module);
}

qn_status qn_module_from_source(qn_context *context, const char *path, const char *text, size_t length, qn_module **module,
                                qn_error *error) {
    if (!context || !module || (!text && length > 0))
        return qn__error(error, QN_USAGE, "qn_module_from_source: context, text or module is NULL");
    *module = NULL;
    qn__no_error(error);
    qn_module *m = calloc(1, sizeof *m);
    if (!m || pthread_mutex_init(&m->mutex, NULL) != 0) {
        free(m);
        return qn__error(error, QN_RESOURCE, "out of memory");
    }
    atomic_init(&m->references, 1);
    m->context = context;
    qn__context_retain(context);
    const qn__compile_options options = {.memory_limit = context->options.memory_limit};
    const uint64_t start = qn__now();
    m->program = qn__program_open(path ? path : "source.qn", text ? text : "", length, &qn__file_reader, &options);
    m->parse_ms = (double)(qn__now() - start) * 1e-6;
    if (!m->program) {
        module_free(m);
        return qn__error(error, QN_RESOURCE, "out of memory");
    }
    const qn_status status = qn__deliver(context, &m->program->sink, &m->program->sources, error);
    if (m->program->sink.errors == 0) m->kernels = qn__program_kernels(m->program, &m->kernel_count);
    if (!m->kernels) {
        module_free(m);
        return status != QN_OK ? status : qn__error(error, QN_RESOURCE, "out of memory");
    }
    *module = m;
    return QN_OK;
}

qn_status qn_module_from_file(qn_context *context, const char *path, qn_module **module, qn_error *error) {
    if (!context || !path || !module) return qn__error(error, QN_USAGE, "qn_module_from_file: an argument is NULL");
    *module = NULL;
    size_t length = 0;
    const char *message = NULL;
    char *text = qn__read_file(path, &length, &message);
    if (!text) return qn__error(error, message == qn__no_memory ? QN_RESOURCE : QN_IO, "%s: %s", path, message);
    const qn_status status = qn_module_from_source(context, path, text, length, module, error);
    free(text);
    return status;
}

qn_status qn_module_check(qn_module *module, qn_error *error) {
    if (!module) return qn__error(error, QN_USAGE, "qn_module_check: module is NULL");
    qn__no_error(error);
    pthread_mutex_lock(&module->mutex);
    const bool ok = qn__program_check(module->program);
    const qn_status status = qn__deliver(module->context, &module->program->sink, &module->program->sources, error);
    pthread_mutex_unlock(&module->mutex);
    return ok || status != QN_OK ? status : qn__error(error, QN_RESOURCE, "out of memory");
}

void qn__module_retain(qn_module *module) { atomic_fetch_add(&module->references, 1); }

void qn__module_release(qn_module *module) {
    if (atomic_fetch_sub(&module->references, 1) == 1) module_free(module);
}

void qn_module_destroy(qn_module *module) {
    if (module) qn__module_release(module);
}

size_t qn_module_kernel_count(const qn_module *module) { return module ? module->kernel_count : 0; }

const char *qn_module_kernel_name(const qn_module *module, size_t index) {
    return module && index < module->kernel_count ? module->kernels[index].name : NULL;
}

size_t qn_module_kernel_generics(const qn_module *module, size_t index) {
    return module && index < module->kernel_count ? module->kernels[index].generic_count : 0;
}

const char *qn_module_input_name(const qn_module *module, const char *kernel, size_t index) {
    const qn__kernel_info *info = module ? qn__program_kernel(module->program, kernel) : NULL;
    if (!info) return NULL;
    const qn__ast *ast = module->program->ast;
    const qn__node_id params = qn__ast_child(ast, info->node, QN__KERNEL_PARAMS);
    if (index >= qn__ast_count(ast, params)) return NULL;
    return qn__name_text(ast->names, qn__ast_get(ast, qn__ast_child(ast, params, (uint32_t)index))->name);
}

const char *qn_module_extern_name(const qn_module *module, size_t index) {
    const qn__ast *ast = module ? module->program->ast : NULL;
    for (size_t i = 0; ast && i < ast->item_count; i++)
        if (qn__ast_kind_of(ast, ast->items[i].node) == QN__AST_EXTERN && index-- == 0)
            return qn__name_text(ast->names, qn__ast_get(ast, ast->items[i].node)->name);
    return NULL;
}

qn_status qn_module_register(qn_module *module, const char *name, void (*function)(void), qn_error *error) {
    if (!module || !name || !function) return qn__error(error, QN_USAGE, "qn_module_register: an argument is NULL");
    qn__host_function *entry = calloc(1, sizeof *entry);
    char *copy = strdup(name);
    if (!entry || !copy) {
        free(entry);
        free(copy);
        return qn__error(error, QN_RESOURCE, "out of memory");
    }
    *entry = (qn__host_function){.name = copy, .function = function};
    pthread_mutex_lock(&module->mutex);
    entry->next = module->functions;
    module->functions = entry;
    pthread_mutex_unlock(&module->mutex);
    return qn__no_error(error);
}
