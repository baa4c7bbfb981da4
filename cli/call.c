/* From the command line to a call: context, module, kernel and inputs. */
#include "cli/compile.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cli_engine(const char *name, qn_engine *engine, uint32_t *device) {
    static const char *const names[] = {"auto", "interp", "cpu", "cuda"};
    const char *colon = strchr(name, ':');
    const size_t length = colon ? (size_t)(colon - name) : strlen(name);
    char *end = NULL;
    const unsigned long number = colon ? strtoul(colon + 1, &end, 10) : 0;
    *device = (uint32_t)number;
    for (int i = 0; i < 4; i++) {
        if (strlen(names[i]) != length || strncmp(name, names[i], length) != 0) continue;
        *engine = (qn_engine)i;
        if (!colon || (*engine == QN_ENGINE_CUDA && colon[1] >= '0' && colon[1] <= '9' && !*end && number < 1024)) return true;
    }
    cli_fail(QN_USAGE, "unknown engine '%s'; there are auto, interp, cpu, cuda and cuda:NUMBER", name);
    return false;
}

const char *cli_engine_name(qn_engine engine) {
    switch (engine) {
    case QN_ENGINE_AUTO: return "auto";
    case QN_ENGINE_INTERP: return "interp";
    case QN_ENGINE_CPU: return "cpu";
    case QN_ENGINE_CUDA: return "cuda";
    }
    return "?";
}

static void print_diagnostic(void *user, const qn_diagnostic *diagnostic) {
    bool *started = user;
    fprintf(stderr, "%s%s", *started ? "\n" : "", diagnostic->rendered);
    *started = true;
}

int cli_open(cli_call *call, const cli_options *options, void (*on_diagnostic)(void *, const qn_diagnostic *), void *user) {
    if (!options->file) return cli_fail(QN_USAGE, "a source file is expected: FILE.qn");
    if (options->file_count > 1)
        return cli_fail(QN_USAGE, "one source file is expected, found also '%s' (an input is written NAME=VALUE)", options->files[1]);
    const qn_context_options given = {.cpu = options->cpu, .debug = options->debug, .profile = options->perf, .cache_folder = options->no_cache ? "" : NULL, .cpu_features = options->features, .vector_width = options->width, .threads = options->thread_count, .device = call->device, .fallback = options->fallback,
                                      .colour = cli_colour(options), .allocator = options->allocator,
                                      .on_diagnostic = on_diagnostic ? on_diagnostic : print_diagnostic,
                                      .user = on_diagnostic ? user : &call->printed};
    qn_error error;
    const double start = cli_now_ms();
    if (qn_context_create(&given, &call->context, &error) != QN_OK) return cli_report(&error, cli_colour(options));
    if (qn_module_from_file(call->context, options->file, &call->module, &error) != QN_OK)
        return cli_report(&error, cli_colour(options));
    call->load_ms = cli_now_ms() - start;
    return QN_OK;
}

/* The text of each input, in the kernel's order; reports unknown, repeated and missing names. */
static int match_inputs(const cli_call *call, const cli_options *options, const char **texts, size_t *count) {
    const char *names[CLI_MAX_INPUTS];
    size_t n = 0;
    for (const char *name; n < CLI_MAX_INPUTS && (name = qn_module_input_name(call->module, options->kernel, n)) != NULL; n++) {
        names[n] = name;
        texts[n] = NULL;
    }
    *count = n;
    for (size_t i = 0; i < options->input_count; i++) {
        size_t k = 0;
        while (k < n && strcmp(names[k], options->inputs[i].name) != 0) k++;
        if (k == n) {
            const char *near = cli_suggest(options->inputs[i].name, names, n);
            return cli_fail(QN_USAGE, "the kernel has no input '%s'%s%s%s", options->inputs[i].name, near ? "; did you mean '" : "",
                            near ? near : "", near ? "'?" : "");
        }
        if (texts[k]) return cli_fail(QN_USAGE, "the input '%s' is given twice", names[k]);
        texts[k] = options->inputs[i].text;
    }
    qn__text missing = QN__TEXT_EMPTY;
    for (size_t k = 0; k < n; k++)
        if (!texts[k]) qn__text_format(&missing, "%s%s", missing.length ? ", " : "", names[k]);
    if (missing.length) cli_fail(QN_USAGE, "missing input%s: %s (write NAME=VALUE, see 'quern help run')", strchr(qn__text_bytes(&missing), ',') ? "s" : "", qn__text_bytes(&missing));
    const int status = missing.length ? QN_USAGE : QN_OK;
    qn__text_free(&missing);
    return status;
}

static int make_input(cli_call *call, size_t index, const char *text, qn_type type, int32_t rank, const char *name) {
    char message[1024];
    const int status = (call->map ? cli_input_map : cli_input_make)(call->context, text, type, rank, &call->inputs[index], message, sizeof message);
    return status == QN_OK ? QN_OK : cli_fail(status, "input '%s': %s", name, message);
}

int cli_kernel_for(cli_call *call, const cli_options *options, qn_engine engine, qn_kernel **kernel) {
    qn_type types[CLI_MAX_TYPES];
    qn_kernel_options given = {.engine = engine, .inputs = call->input_list, .input_count = call->input_count};
    if (engine == QN_ENGINE_AUTO) given.tier = QN_TIER_NATIVE; /* a command runs its kernel once: no tiers */
    if (options->types) {
        const int status = cli_types(options, types, &given.type_argument_count);
        if (status != QN_OK) return status;
        given.type_arguments = types;
    }
    qn_error error;
    const qn_status status = qn_kernel_create(call->module, options->kernel, &given, kernel, &error);
    return status == QN_OK ? QN_OK : cli_report(&error, cli_colour(options));
}

static bool is_generic(const cli_call *call, const cli_options *options) {
    for (size_t i = 0; i < qn_module_kernel_count(call->module); i++)
        if (!options->kernel || strcmp(qn_module_kernel_name(call->module, i), options->kernel) == 0)
            return qn_module_kernel_generics(call->module, i) > 0;
    return false;
}

/* A missing function is reported when the kernel is made. */
int cli_register(void *library, qn_module *module) {
    const char *name;
    for (size_t i = 0; library && (name = qn_module_extern_name(module, i)) != NULL; i++) {
        void *symbol = dlsym(library, name);
        void (*function)(void) = NULL;
        memcpy(&function, &symbol, sizeof function);
        qn_error error;
        if (symbol && qn_module_register(module, name, function, &error) != QN_OK) return cli_report(&error, false);
    }
    return QN_OK;
}

static int open_library(cli_call *call, const cli_options *options) {
    if (!options->library) return QN_OK;
    call->library = dlopen(options->library, RTLD_NOW | RTLD_LOCAL);
    if (!call->library) return cli_fail(QN_IO, "%s", dlerror());
    return cli_register(call->library, call->module);
}

/* Whether the kernel that the options name exists and is unique; reports it otherwise. */
static int kernel_exists(cli_call *call, const cli_options *options) {
    const size_t count = qn_module_kernel_count(call->module);
    if (!options->kernel && count == 1) return QN_OK;
    for (size_t i = 0; options->kernel && i < count; i++)
        if (strcmp(qn_module_kernel_name(call->module, i), options->kernel) == 0) return QN_OK;
    qn_kernel *kernel;
    qn_error error;
    const qn_kernel_options given = {0};
    if (qn_kernel_create(call->module, options->kernel, &given, &kernel, &error) != QN_OK)
        return cli_report(&error, cli_colour(options));
    qn_kernel_destroy(kernel); /* the file's only one; the others are imported */
    return QN_OK;
}

static int make_inputs(cli_call *call, const cli_options *options, qn_engine engine, const char **texts) {
    const bool guess = is_generic(call, options) && !options->types;
    int status = QN_OK;
    for (size_t i = 0; guess && status == QN_OK && i < call->input_count; i++)
        status = make_input(call, i, texts[i], (qn_type)0, -1, qn_module_input_name(call->module, options->kernel, i));
    double start = cli_now_ms();
    if (status == QN_OK) status = cli_kernel_for(call, options, engine, &call->kernel);
    if (status != QN_OK) return status;
    call->compile_ms = cli_now_ms() - start;
    start = cli_now_ms();
    for (size_t i = 0; status == QN_OK && i < call->input_count; i++) {
        const qn_parameter p = qn_kernel_input(call->kernel, i);
        call->map = options->chunk && p.kind != QN_INOUT; /* what is written cannot be a mapped file */
        if ((call->inputs[i].array || (call->inputs[i].map && call->map)) && qn_type_from_dlpack(call->inputs[i].view.dtype) == p.type && call->inputs[i].view.ndim == (int32_t)p.rank)
            continue;
        cli_input_free(&call->inputs[i]);
        status = make_input(call, i, texts[i], p.type, (int32_t)p.rank, p.name);
    }
    call->arguments_ms = cli_now_ms() - start;
    return status;
}

int cli_match(cli_call *call, const cli_options *options, void (*on_diagnostic)(void *, const qn_diagnostic *), void *user,
              uint32_t device, const char *texts[CLI_MAX_INPUTS]) {
    *call = (cli_call){.device = device, .map = options->chunk != NULL};
    int status = cli_open(call, options, on_diagnostic, user);
    if (status == QN_OK) status = open_library(call, options);
    if (status == QN_OK) status = kernel_exists(call, options);
    if (status == QN_OK) status = match_inputs(call, options, texts, &call->input_count);
    return status;
}

int cli_prepare(cli_call *call, const cli_options *options, qn_engine engine, uint32_t device) {
    const char *texts[CLI_MAX_INPUTS];
    int status = cli_match(call, options, NULL, NULL, device, texts);
    if (status != QN_OK) return status;
    call->inputs = calloc(call->input_count + 1, sizeof *call->inputs);
    call->input_list = calloc(call->input_count + 1, sizeof *call->input_list);
    if (!call->inputs || !call->input_list) return cli_fail(QN_RESOURCE, "out of memory");
    for (size_t i = 0; i < call->input_count; i++) call->input_list[i] = &call->inputs[i].view;
    status = make_inputs(call, options, engine, texts);
    if (status == QN_OK) call->output_count = qn_kernel_output_count(call->kernel);
    return status;
}

void cli_call_free(cli_call *call) {
    for (size_t i = 0; call->inputs && i < call->input_count; i++) cli_input_free(&call->inputs[i]);
    free(call->inputs);
    free(call->input_list);
    qn_kernel_destroy(call->kernel);
    qn_module_destroy(call->module);
    qn_context_destroy(call->context);
    if (call->library) dlclose(call->library);
    *call = (cli_call){0};
}
