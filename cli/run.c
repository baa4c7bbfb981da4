/* quern run: one call; outputs go to files (-o) or to standard output. */
#include "cli/profile.h"
#include "ir/eval.h"
#include "runtime/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 64 };

typedef struct result {
    const char *name;
    const DLTensor *tensor;
    const char *file; /* NULL: to be shown */
    bool written;     /* the file is there already */
} result;

static int write_file(const result *r) {
    qn__argument argument = {.type = (uint8_t)qn_type_from_dlpack(r->tensor->dtype), .rank = (uint8_t)r->tensor->ndim,
                             .data = (char *)r->tensor->data + r->tensor->byte_offset};
    const int64_t bytes = (int64_t)qn_type_bytes((qn_type)argument.type);
    if (argument.rank == 0) memcpy(&argument.bits, argument.data, (size_t)bytes);
    for (uint32_t d = 0; d < argument.rank; d++) {
        argument.extent[d] = r->tensor->shape[d];
        argument.stride[d] = r->tensor->strides[d] * bytes;
    }
    char message[QN__NPY_MESSAGE];
    if (qn__npy_write(r->file, &argument, message)) return QN_OK;
    return cli_fail(QN_IO, "%s: %s", r->file, message);
}

static void show_shape(qn__text *out, const DLTensor *tensor, bool json) {
    qn__text_add_char(out, '[');
    for (int32_t d = 0; d < tensor->ndim; d++) qn__text_format(out, "%s%lld", d ? ", " : "", (long long)tensor->shape[d]);
    qn__text_add_char(out, ']');
    (void)json;
}

static void show(qn__text *out, const result *r, const cli_options *options, bool first) {
    const qn_type type = qn_type_from_dlpack(r->tensor->dtype);
    if (options->json) {
        qn__text_add_string(out, first ? "" : ", ");
        qn__text_add_json_string(out, r->name, strlen(r->name));
        qn__text_format(out, ": {\"type\": \"%s\", \"shape\": ", qn_type_name(type));
        show_shape(out, r->tensor, true);
        qn__text_add_string(out, ", ");
        if (r->file) {
            qn__text_add_string(out, "\"file\": ");
            qn__text_add_json_string(out, r->file, strlen(r->file));
        } else {
            qn__text_add_string(out, "\"value\": ");
            cli_print_array(out, r->tensor, UINT32_MAX, true);
        }
        qn__text_add_char(out, '}');
        return;
    }
    if (r->file) return;
    qn__text_format(out, "%s: %s", r->name, qn_type_name(type));
    if (r->tensor->ndim) show_shape(out, r->tensor, false);
    qn__text_add_string(out, " = ");
    cli_print_array(out, r->tensor, options->limit ? options->limit : SHOWN, false);
    qn__text_add_char(out, '\n');
}

/* What comes back: inouts, then outputs, each with its file where -o names one. */
static int collect(const cli_call *call, const cli_options *options, qn_array *const *outputs, const cli_piecewise *pieces, result *results, size_t *count) {
    *count = 0;
    for (size_t i = 0; i < call->input_count; i++) {
        const qn_parameter p = qn_kernel_input(call->kernel, i);
        if (p.kind == QN_INOUT) results[(*count)++] = (result){p.name, &call->inputs[i].view, NULL, false};
    }
    for (size_t i = 0; i < call->output_count; i++)
        results[(*count)++] = (result){qn_kernel_output(call->kernel, i).name, pieces && pieces[i].done ? &pieces[i].view : outputs ? qn_array_tensor(outputs[i]) : NULL,
                                       NULL, pieces && pieces[i].done};
    for (size_t i = 0; i < options->output_count; i++) {
        const cli_pair *o = &options->outputs[i];
        size_t k = 0;
        if (!o->name && *count != 1) return cli_fail(QN_USAGE, "-o %s: the kernel returns %zu arrays, write -o NAME=FILE", o->text, *count);
        while (o->name && k < *count && strcmp(results[k].name, o->name) != 0) k++;
        if (k == *count) return cli_fail(QN_USAGE, "-o %s=%s: the kernel returns no '%s'", o->name, o->text, o->name);
        if (results[k].file) return cli_fail(QN_USAGE, "-o: '%s' is given two files", results[k].name);
        if (o->text[0] == 0) return cli_fail(QN_USAGE, "-o: the file's name is empty");
        results[k].file = o->text;
    }
    return QN_OK;
}

static int deliver(const cli_options *options, const result *results, size_t count) {
    qn__text out = QN__TEXT_EMPTY;
    int status = QN_OK;
    if (options->json) qn__text_add_char(&out, '{');
    for (size_t i = 0; i < count; i++) {
        if (results[i].file && !results[i].written && status == QN_OK) status = write_file(&results[i]);
        show(&out, &results[i], options, i == 0);
    }
    if (options->json) qn__text_add_string(&out, "}\n");
    if (status == QN_OK && !cli_write(&out)) status = cli_fail(QN_IO, "standard output cannot be written");
    qn__text_free(&out);
    return status;
}

/* The call itself; its status, reported. */
static int call_kernel(cli_call *call, const cli_options *options, qn_array **outputs, cli_piecewise *pieces) {
    qn_error error;
    qn_call_profile profile;
    cli_timeline timeline = {0};
    int status = QN_OK;
    const qn_call_options given = {.deadline_ms = options->deadline, .profile = options->profile || options->fallback || options->trace ? &profile : NULL,
                                   .on_span = options->trace ? cli_hear : NULL, .user = &timeline};
    if (options->chunk) return cli_stream(call, options, outputs, pieces);
    if (qn_call(call->kernel, call->input_list, call->input_count, outputs, call->output_count, &given, &error) != QN_OK)
        status = cli_report(&error, cli_colour(options));
    if (status == QN_OK && given.profile && !profile.fallback) snprintf(profile.why, sizeof profile.why, "%s", call->why);
    if (status == QN_OK && options->fallback) cli_print_fallback(&profile);
    if (status == QN_OK && options->profile) cli_print_profile(call, options, &profile);
    if (status == QN_OK && options->trace) status = cli_write_trace(options->trace, call, &timeline);
    cli_timeline_free(&timeline);
    return status;
}

static int call_once(cli_call *call, const cli_options *options) {
    result *results = calloc(call->input_count + call->output_count + 1, sizeof *results);
    qn_array **outputs = calloc(call->output_count + 1, sizeof *outputs);
    cli_piecewise *pieces = calloc(call->output_count + 1, sizeof *pieces);
    size_t count = 0;
    int status = results && outputs && pieces ? QN_OK : cli_fail(QN_RESOURCE, "out of memory");
    if (status == QN_OK) status = collect(call, options, NULL, NULL, results, &count); /* wrong -o is said before a long run */
    for (size_t i = 0; status == QN_OK && i < call->output_count; i++) pieces[i].file = results[count - call->output_count + i].file;
    if (status == QN_OK) status = call_kernel(call, options, outputs, pieces);
    if (status == QN_OK) status = collect(call, options, outputs, pieces, results, &count);
    if (status == QN_OK) status = deliver(options, results, count);
    for (size_t i = 0; outputs && i < call->output_count; i++) qn_array_destroy(outputs[i]);
    free(pieces);
    free(outputs);
    free(results);
    return status;
}

int cli_run(int argc, char **argv) {
    cli_options options;
    cli_call call = {0};
    qn_engine engine = QN_ENGINE_AUTO;
    uint32_t device = 0;
    int status = cli_parse(&options, "run", argc, argv) && (!options.engine || cli_engine(options.engine, &engine, &device)) ? QN_OK : QN_USAGE;
    if (status == QN_OK) status = cli_prepare(&call, &options, engine, device);
    if (status == QN_OK && engine == QN_ENGINE_AUTO) status = cli_choose(&call, &options);
    if (status == QN_OK) status = call_once(&call, &options);
    cli_call_free(&call);
    cli_options_free(&options);
    return status;
}
