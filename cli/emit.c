/* quern emit: the program at one stage of its way, on standard output or in the file of -o. */
#include "cli/compile.h"
#include "compiler/bytecode.h"
#include "compiler/dump.h"
#include "compiler/lexer.h"
#include "compiler/llvm/emit.h"
#include "compiler/llvm/gpu.h"
#include "ir/passes.h"
#include "ir/prototype.h"
#include "ir/raw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int write_out(const cli_options *options, const void *bytes, size_t size) {
    if (options->output_count == 0) return fwrite(bytes, 1, size, stdout) == size ? QN_OK : cli_fail(QN_IO, "standard output cannot be written");
    const char *path = options->outputs[0].text;
    FILE *file = fopen(path, "wb");
    const bool written = file && fwrite(bytes, 1, size, file) == size;
    if (!file || fclose(file) != 0 || !written) return cli_fail(QN_IO, "%s: %s", path, strerror(errno));
    return QN_OK;
}

static int emit_tokens(const cli_source *source, qn__text *out) {
    const qn__source *main_file = qn__sources_get(&source->program->sources, source->program->ast->main_file);
    qn__tokens tokens = {0};
    if (!main_file || !qn__lex(main_file, source->program->arena, source->program->names, &source->program->sink, &tokens)) return QN_SOURCE;
    qn__tokens_dump(out, &tokens);
    return QN_OK;
}

static int known_pass(const char *name) {
    const char *list[64] = {"lower"};
    size_t count = 1;
    for (const char *const *p = qn__pass_names(); *p && count < 64; p++) list[count++] = *p;
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0) return QN_OK;
    qn__text text = QN__TEXT_EMPTY;
    for (size_t i = 0; i < count; i++) qn__text_format(&text, "%s%s", i ? ", " : "", list[i]);
    cli_fail(QN_USAGE, "--after: there is no pass '%s'; in order: %s", name, qn__text_bytes(&text));
    qn__text_free(&text);
    return QN_USAGE;
}

static int emit_native(const cli_source *source, const cli_options *options, qn__text *out) {
    const qn__llvm_options given = {.cpu = options->cpu, .features = options->features, .width = options->width, .level = 1};
    const char *message = "unknown reason";
    if (options->object) {
        qn__image image;
        if (!qn__llvm_emit(source->compiled->ir, &given, &image, &message)) return cli_fail(QN_INTERNAL, "llvm: %s", message);
        qn__text_add(out, image.code, image.code_size);
        return QN_OK;
    }
    const qn__llvm_stage stage = options->assembly ? QN__LLVM_ASSEMBLY : QN__LLVM_OPTIMISED;
    if (!qn__llvm_text(source->compiled->ir, &given, stage, out, &message)) return cli_fail(QN_INTERNAL, "llvm: %s", message);
    return QN_OK;
}

/* --ptx; with --llvm the code for the GPU before it is PTX. */
static int emit_gpu(const cli_source *source, const cli_options *options, qn__text *out) {
    const char *message = "unknown reason";
    qn__gpu_options given = {.sm = 80, .verify = true};
    if (options->target) {
        char *end = NULL;
        given.sm = strncmp(options->target, "sm_", 3) ? 0 : (uint32_t)strtoul(options->target + 3, &end, 10);
        if (!end || end == options->target + 3 || *end)
            return cli_fail(QN_USAGE, "--target: '%s' is no GPU; expected is a compute capability such as sm_90", options->target);
    }
    if (options->llvm) return qn__gpu_text(source->compiled->ir, &given, out, &message) ? QN_OK : cli_fail(QN_INTERNAL, "ptx: %s", message);
    qn__image image;
    if (!qn__gpu_emit(source->compiled->ir, &given, &image, &message)) return cli_fail(QN_SOURCE, "ptx: %s", message);
    qn__text_add(out, image.code, image.code_size);
    qn__plan_print(image.plan, "// ", out);
    return QN_OK;
}

static int emit_bytecode(const cli_source *source, qn__text *out) {
    qn__image image;
    const char *message = "unknown reason";
    if (!qn__bytecode_emit(source->compiled->ir, &image, &message)) return cli_fail(QN_INTERNAL, "bytecode: %s", message);
    qn__bytecode_print(&image, out);
    return QN_OK;
}

static int add_prototype(cli_source *source, const cli_options *options, qn__text *out) {
    const int status = cli_source_compile(source, options);
    if (status != QN_OK) return status;
    const qn__signature *signature = source->compiled->ir->signature;
    qn__text symbol = QN__TEXT_EMPTY;
    qn__text_format(&symbol, "%s%s", QN__RAW_PREFIX, signature->name);
    qn__text_add_char(out, '\n');
    qn__prototype_print(signature, qn__text_bytes(&symbol), out);
    qn__text_free(&symbol);
    return QN_OK;
}

void cli_header_begin(qn__text *out, const char *file, const char *writer) {
    qn__text_format(out, "/* Kernels of %s as C functions, written by %s.\n"
                    " * Each is a function of an object that quern emit --object or quern build writes, and what qn_kernel_function gives as a pointer.\n"
                    " * Arrays are row-major; the sizes behind them count elements. The result is a qn_status; error may be NULL. */\n"
                    "#pragma once\n#include <quern/quern.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n", strstr(file, "*/") ? "a file" : file, writer);
}

void cli_header_end(qn__text *out) { qn__text_add_string(out, "\n#ifdef __cplusplus\n}\n#endif\n"); }

/* One kernel where one is named, else all of the file, each for its usual types. */
static int emit_header(cli_source *source, const cli_options *options, qn__text *out) {
    const char *slash = strrchr(options->file, '/'), *file = slash ? slash + 1 : options->file;
    size_t count = 0;
    int status = QN_OK;
    cli_header_begin(out, file, "quern emit --header");
    if (options->kernel) {
        status = add_prototype(source, options, out);
    } else {
        const qn__kernel_info *kernels = qn__program_kernels(source->program, &count);
        for (size_t i = 0; status == QN_OK && i < count; i++) {
            if (kernels[i].imported) continue;
            cli_options one = *options;
            one.kernel = (char *)(uintptr_t)kernels[i].name;
            qn__compiled_release(source->compiled);
            source->compiled = NULL;
            status = add_prototype(source, &one, out);
        }
    }
    cli_header_end(out);
    return status;
}

static int emit(const cli_options *options, cli_source *source, qn__text *out) {
    if (options->header) return emit_header(source, options, out);
    if (options->tokens) return emit_tokens(source, out);
    if (options->ast) {
        qn__ast_dump_file(out, source->program->ast, source->program->ast->main_file);
        return QN_OK;
    }
    const int status = cli_source_compile(source, options);
    if (status != QN_OK) return status;
    if (options->bytecode) return emit_bytecode(source, out);
    if (options->ir) {
        qn__ir_print(source->compiled->ir, out);
        return QN_OK;
    }
    return options->ptx ? emit_gpu(source, options, out) : emit_native(source, options, out);
}

int cli_emit(int argc, char **argv) {
    cli_options options;
    cli_source source = {0};
    qn__text out = QN__TEXT_EMPTY;
    int status = cli_parse(&options, "emit", argc, argv) ? QN_OK : QN_USAGE;
    const int forms = options.tokens + options.ast + options.ir + options.bytecode + (options.llvm && !options.ptx) + options.assembly + options.header +
                      options.object + options.ptx;
    if (status == QN_OK && forms != 1)
        status = cli_fail(QN_USAGE, "one of --tokens, --ast, --ir, --bytecode, --llvm, --asm, --ptx, --header, --object is expected");
    if (status == QN_OK && options.target && !options.ptx) status = cli_fail(QN_USAGE, "--target goes with --ptx");
    if (status == QN_OK && options.after && !options.ir) status = cli_fail(QN_USAGE, "--after goes with --ir");
    if (status == QN_OK && options.after) status = known_pass(options.after);
    if (status == QN_OK && options.object && options.output_count == 0) status = cli_fail(QN_USAGE, "--object needs -o FILE");
    if (status == QN_OK) status = cli_source_open(&source, &options);
    if (status == QN_OK) status = emit(&options, &source, &out);
    if (status == QN_OK) status = write_out(&options, qn__text_bytes(&out), out.length);
    qn__text_free(&out);
    cli_source_close(&source);
    cli_options_free(&options);
    return status;
}
