/* The compiler's stages for emit and explain: they look inside, so they use the compiler's face, not the public API. */
#include "cli/compile.h"

#include "api/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_sink(const qn__diagnostic_sink *sink, const qn__sources *sources, bool colour) {
    qn__text text = QN__TEXT_EMPTY;
    qn__diagnostic_render_all(&text, sink, (qn__render_options){.color = colour});
    fwrite(qn__text_bytes(&text), 1, text.length, stderr);
    qn__text_free(&text);
    (void)sources;
}

int cli_source_open(cli_source *source, const cli_options *options) {
    *source = (cli_source){0};
    if (!options->file) return cli_fail(QN_USAGE, "a source file is expected: FILE.qn");
    if (options->file_count > 1)
        return cli_fail(QN_USAGE, "one source file is expected, found also '%s'", options->files[1]);
    const char *message = NULL;
    source->text = qn__read_file(options->file, &source->length, &message);
    if (!source->text) return cli_fail(QN_IO, "%s: %s", options->file, message);
    source->program = qn__program_open(options->file, source->text, source->length, &qn__file_reader, NULL);
    if (!source->program) return cli_fail(QN_RESOURCE, "out of memory");
    if (source->program->sink.count) print_sink(&source->program->sink, &source->program->sources, cli_colour(options));
    return source->program->sink.errors ? QN_SOURCE : QN_OK;
}

void cli_source_close(cli_source *source) {
    qn__compiled_release(source->compiled);
    qn__program_close(source->program);
    free(source->text);
    *source = (cli_source){0};
}

static int find_kernel(const cli_source *source, const cli_options *options, const qn__kernel_info **info) {
    *info = qn__program_kernel(source->program, options->kernel);
    if (*info) return QN_OK;
    size_t count = 0;
    const qn__kernel_info *kernels = qn__program_kernels(source->program, &count);
    qn__text list = QN__TEXT_EMPTY;
    for (size_t i = 0; i < count; i++) qn__text_format(&list, "%s%s", i ? ", " : "", kernels[i].name);
    if (options->kernel) cli_fail(QN_USAGE, "no kernel is named '%s'; the source has: %s", options->kernel, qn__text_bytes(&list));
    else if (count) cli_fail(QN_USAGE, "the source has several kernels, write FILE.qn:NAME with one of: %s", qn__text_bytes(&list));
    else cli_fail(QN_USAGE, "the source has no kernel");
    qn__text_free(&list);
    return QN_USAGE;
}

int cli_types(const cli_options *options, qn_type types[CLI_MAX_TYPES], size_t *count) {
    *count = 0;
    for (const char *text = options->types; text && *text;) {
        char name[32];
        const size_t prefix = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
        if (text[prefix] == '=') text += prefix + 1; /* "T=f32": the order counts, the name is for the reader */
        const size_t length = strcspn(text, ",");
        if (*count == CLI_MAX_TYPES || length >= sizeof name) return cli_fail(QN_USAGE, "--type: too many or too long types");
        memcpy(name, text, length);
        name[length] = 0;
        types[*count] = qn_type_from_name(name);
        if (!types[(*count)++]) return cli_fail(QN_USAGE, "--type: '%s' is no type", name);
        text += length + (text[length] == ',');
    }
    return QN_OK;
}

/* Without --type a generic kernel is shown for f32, or i32 where its class has no floats. */
static int choose_types(const qn__kernel_info *info, const cli_options *options, qn__type types[CLI_MAX_TYPES]) {
    qn_type given[CLI_MAX_TYPES];
    size_t count = 0;
    const int status = cli_types(options, given, &count);
    if (status != QN_OK) return status;
    if (count && count != info->generic_count)
        return cli_fail(QN_USAGE, "kernel %s has %u type parameters, --type gives %zu", info->name, info->generic_count, count);
    for (uint32_t i = 0; i < info->generic_count; i++)
        types[i] = count ? (qn__type)given[i] : info->generic_classes[i] == QN__CLASS_OF_INT ? QN__TYPE_I32 : QN__TYPE_F32;
    return QN_OK;
}

int cli_source_compile(cli_source *source, const cli_options *options) {
    const qn__kernel_info *info = NULL;
    qn__type types[CLI_MAX_TYPES] = {QN__TYPE_NONE};
    int status = find_kernel(source, options, &info);
    if (status == QN_OK) status = choose_types(info, options, types);
    if (status != QN_OK) return status;
    const qn__compile_options given = {.stop_after = options->after};
    source->compiled = qn__compile(source->program, info, types, info->generic_count, &given);
    if (!source->compiled) return cli_fail(QN_RESOURCE, "out of memory");
    if (source->compiled->sink.count) print_sink(&source->compiled->sink, &source->program->sources, cli_colour(options));
    if (source->compiled->ir) return QN_OK;
    return source->compiled->sink.errors ? QN_SOURCE : cli_fail(QN_RESOURCE, "the compilation ran out of memory");
}
