/* quern bench precision: a kernel that is generic over floats in f16, bf16, f32 and f64, on the same numbers.
 *
 * The arguments are made once, in f64, and rounded to each type. f64 runs first: its results are what the others are measured against. Kernels with sums
 * run once more in f16 and bf16, from a source whose sums round at each step (sums.h). */
#include "cli/precision.h"

#include "api/files.h"
#include "cli/compile.h"
#include "cli/sums.h"
#include "ir/eval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double ENOUGH_MS = 300, TOO_LONG_MS = 3000;
static const qn_type types[CLI_PRECISION_TYPES] = {QN_F16, QN_BF16, QN_F32, QN_F64};

/* One result, copied: an output or an inout. */
typedef struct item {
    char name[64];
    qn_type type;
    int32_t rank;
    int64_t shape[QN_MAX_RANK];
    size_t count;
    char *bytes;
    double *exact; /* of floats, widened */
} item;
typedef struct outcome { item *items; size_t count; } outcome;

typedef struct precision {
    const cli_options *options;
    qn_engine engine;
    uint32_t device;
    cli_call call;
    const char *texts[CLI_MAX_INPUTS];
    uint8_t classes[QN__MAX_RANK];
    size_t generics;
    cli_input *wide; /* the arguments in f64 */
    bool loud;       /* diagnostics are printed, else the first error is kept: */
    char first[CLI_PROBLEM];
    cli_pool *pool;
    outcome exact;
    cli_precision *report;
} precision;

static void on_diagnostic(void *user, const qn_diagnostic *d) {
    precision *p = user;
    if (p->loud) fputs(d->rendered, stderr);
    else if (d->is_error && !p->first[0]) snprintf(p->first, sizeof p->first, "%s: %s", d->code, d->message);
}

/* ---- the kernel ---- */
static int not_generic(const char *name) {
    cli_fail(QN_USAGE, "kernel %s is not generic over floats: there is one type to run it in", name);
    fprintf(stderr, "  hint: write `kernel %s[T: float](...)`, and T for the types that are to be compared\n", name);
    return QN_USAGE;
}

/* The classes of its type parameters, which the public API does not tell. */
static int read_classes(precision *p) {
    cli_source source;
    int status = cli_source_open(&source, p->options);
    const qn__kernel_info *info = status == QN_OK ? qn__program_kernel(source.program, p->options->kernel) : NULL;
    bool floats = false;
    for (uint32_t i = 0; info && i < info->generic_count; i++) {
        p->classes[i] = info->generic_classes[i];
        floats = floats || p->classes[i] != QN__CLASS_OF_INT;
    }
    if (info) p->generics = info->generic_count;
    if (info && !floats) status = not_generic(info->name);
    cli_source_close(&source);
    return status; /* an unknown kernel is reported by cli_match */
}

/* status of the library, with p->first as its reason when it is an error of the source. */
static qn_status make_kernel(precision *p, qn_module *module, qn_type type, qn_kernel **kernel, char *problem) {
    qn_type arguments[QN__MAX_RANK];
    for (size_t i = 0; i < p->generics; i++) arguments[i] = p->classes[i] == QN__CLASS_OF_INT ? QN_I64 : type;
    const qn_kernel_options given = {.engine = p->engine, .type_arguments = arguments, .type_argument_count = p->generics};
    qn_error error;
    p->first[0] = 0;
    const qn_status status = qn_kernel_create(module, p->options->kernel, &given, kernel, &error);
    if (status != QN_OK) snprintf(problem, CLI_PROBLEM, "%s", p->first[0] ? p->first : error.message);
    return status;
}

/* ---- arguments ---- */
static double number_of(qn_type type, const char *element) {
    uint64_t bits = 0;
    memcpy(&bits, element, qn_type_bytes(type));
    if (qn__is_float((qn__type)type)) return qn__eval_to_f64((qn__type)type, bits);
    return type == QN_U64 ? (double)bits : (double)qn__eval_int((qn__type)type, bits);
}

static size_t element_count(const DLTensor *t) {
    size_t n = 1;
    for (int32_t d = 0; d < t->ndim; d++) n *= (size_t)t->shape[d];
    return n;
}

/* A copy of the input with elements of another type; strides stay (files in Fortran order have their own). */
static int convert_input(precision *p, const cli_input *from, qn_type type, cli_input *to) {
    const qn_type old = qn_type_from_dlpack(from->view.dtype);
    const int64_t count = (int64_t)element_count(&from->view);
    qn_error error;
    *to = *from;
    to->array = NULL;
    if (qn_array_create(p->call.context, type, 1, &count, &to->array, &error) != QN_OK) return cli_report(&error, cli_colour(p->options));
    const DLTensor *data = qn_array_tensor(to->array);
    to->view.data = data->data;
    to->view.dtype = data->dtype;
    to->view.byte_offset = 0;
    memcpy(to->shape, from->view.shape, (size_t)from->view.ndim * sizeof *to->shape);
    to->view.shape = to->shape;
    if (from->view.strides) {
        memcpy(to->strides, from->view.strides, (size_t)from->view.ndim * sizeof *to->strides);
        to->view.strides = to->strides;
    }
    const char *source = (const char *)from->view.data + from->view.byte_offset;
    if (old == type) {
        memcpy(data->data, source, (size_t)count * qn_type_bytes(type));
        return QN_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        const uint64_t bits = qn__eval_from_f64((qn__type)type, number_of(old, source + (size_t)i * qn_type_bytes(old)));
        memcpy((char *)data->data + (size_t)i * qn_type_bytes(type), &bits, qn_type_bytes(type));
    }
    return QN_OK;
}

/* Floats are made in f64 whatever the text says: a file of f32, or a `:f32`, gives f32 values widened. */
static int make_wide(precision *p, const qn_kernel *kernel, size_t i) {
    const qn_parameter parameter = qn_kernel_input(kernel, i);
    char message[1024];
    const bool other = parameter.type == QN_F64 && (p->texts[i][0] == '@' || strchr(p->texts[i], ':'));
    cli_input made;
    int status = cli_input_make(p->call.context, p->texts[i], other ? (qn_type)0 : parameter.type, (int32_t)parameter.rank, &made, message, sizeof message);
    if (status != QN_OK) return cli_fail(status, "input '%s': %s", parameter.name, message);
    const qn_type type = qn_type_from_dlpack(made.view.dtype);
    if (other && !qn__is_float((qn__type)type))
        status = cli_fail(QN_USAGE, "input '%s': the value is %s, the parameter is a float", parameter.name, qn_type_name(type));
    if (status == QN_OK) status = convert_input(p, &made, parameter.type, &p->wide[i]);
    qn_array_destroy(made.array);
    return status;
}

static void free_inputs(cli_input *inputs, size_t count) {
    for (size_t i = 0; inputs && i < count; i++) qn_array_destroy(inputs[i].array);
    free(inputs);
}

/* ---- results ---- */
static bool outcome_add(outcome *o, const char *name, const DLTensor *t) {
    item *r = &o->items[o->count];
    *r = (item){.type = qn_type_from_dlpack(t->dtype), .rank = t->ndim, .count = element_count(t)};
    snprintf(r->name, sizeof r->name, "%s", name);
    memcpy(r->shape, t->shape, (size_t)t->ndim * sizeof *r->shape);
    const size_t bytes = qn_type_bytes(r->type);
    r->bytes = malloc(r->count * bytes + 1);
    r->exact = malloc((r->count + 1) * sizeof *r->exact);
    o->count++;
    if (!r->bytes || !r->exact) return false;
    memcpy(r->bytes, (const char *)t->data + t->byte_offset, r->count * bytes);
    for (size_t i = 0; i < r->count; i++) r->exact[i] = number_of(r->type, r->bytes + i * bytes);
    return true;
}

static void outcome_free(outcome *o) {
    for (size_t i = 0; i < o->count; i++) {
        free(o->items[i].bytes);
        free(o->items[i].exact);
    }
    free(o->items);
    *o = (outcome){0};
}

static int take_outcome(const cli_bench_run *b, outcome *o) {
    *o = (outcome){calloc(b->input_count + b->output_count + 1, sizeof *o->items), 0};
    bool ok = o->items != NULL;
    for (size_t i = 0; ok && i < b->input_count; i++) {
        const qn_parameter p = qn_kernel_input(b->kernel, i);
        if (p.kind == QN_INOUT) ok = outcome_add(o, p.name, b->inputs[i]);
    }
    for (size_t i = 0; ok && i < b->output_count; i++) ok = outcome_add(o, qn_kernel_output(b->kernel, i).name, qn_array_tensor(b->outputs[i]));
    return ok ? QN_OK : cli_fail(QN_RESOURCE, "out of memory");
}

static bool same_shape(const item *a, const item *b) {
    return a->rank == b->rank && memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

static void name_worst(cli_precision_row *row, const item *r, size_t index, double exact) {
    qn__text text = QN__TEXT_EMPTY;
    int64_t at[QN_MAX_RANK];
    size_t rest = index;
    for (int32_t d = r->rank - 1; d >= 0; d--) {
        at[d] = (int64_t)(rest % (size_t)r->shape[d]);
        rest /= (size_t)r->shape[d];
    }
    qn__text_add_string(&text, r->name);
    for (int32_t d = 0; d < r->rank; d++) qn__text_format(&text, "%s%lld", d ? ", " : "[", (long long)at[d]);
    if (r->rank) qn__text_add_char(&text, ']');
    snprintf(row->worst, sizeof row->worst, "%s", qn__text_bytes(&text));
    qn__text_free(&text);
    row->worst_value = r->exact[index];
    row->worst_exact = exact;
}

/* row NULL: only the errors. */
static void compare(const outcome *exact, const outcome *o, cli_errors *errors, cli_precision_row *row) {
    for (size_t k = 0; k < o->count; k++) {
        const item *r = &o->items[k], *x = &exact->items[k];
        if (!same_shape(r, x)) {
            if (row) row->other_shape = true;
            continue;
        }
        if (qn__is_float((qn__type)r->type)) {
            const uint64_t before = errors->count, compared = errors->compared;
            const double worst = errors->max_absolute;
            cli_errors_add(errors, r->type, r->bytes, x->exact, r->count);
            if (row && errors->compared > compared && (errors->max_absolute > worst || compared == 0))
                name_worst(row, r, (size_t)(errors->worst - before), x->exact[errors->worst - before]);
            continue;
        }
        const size_t bytes = qn_type_bytes(r->type);
        for (size_t i = 0; row && i < r->count; i++) row->different += memcmp(r->bytes + i * bytes, x->bytes + i * bytes, bytes) != 0;
    }
}

/* ---- one type ---- */
static uint64_t array_bytes(const cli_bench_run *b) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < b->input_count; i++) bytes += cli_tensor_bytes(b->inputs[i]);
    for (size_t i = 0; i < b->output_count; i++) bytes += cli_tensor_bytes(qn_array_tensor(b->outputs[i]));
    return bytes;
}

/* Runs a kernel on the arguments in its types; times NULL: once. A kernel that stops with an error is a problem of its type, not of the bench. */
static int run_kernel(precision *p, qn_kernel *kernel, cli_precision_row *row, bool timed, char *problem, outcome *o) {
    const size_t count = p->call.input_count;
    cli_input *inputs = calloc(count + 1, sizeof *inputs);
    const DLTensor **list = calloc(count + 1, sizeof *list);
    cli_bench_run b = {0};
    int status = inputs && list ? QN_OK : cli_fail(QN_RESOURCE, "out of memory");
    for (size_t i = 0; status == QN_OK && i < count; i++) {
        status = convert_input(p, &p->wide[i], qn_kernel_input(kernel, i).type, &inputs[i]);
        list[i] = &inputs[i].view;
    }
    if (status == QN_OK) status = cli_bench_begin(&b, p->options, kernel, list, count);
    cli_pool_keep(p->pool, b.existential);
    double first_ms = 0;
    if (status == QN_OK) {
        qn_error error;
        b.error = &error;
        status = cli_bench_once(&b, &first_ms);
        if (status == QN_FAULT) snprintf(problem, CLI_PROBLEM, "line %u: %s", error.line, error.message);
        else if (status != QN_OK) cli_report(&error, b.colour);
        b.error = NULL;
    }
    if (status == QN_OK) row->bytes = array_bytes(&b);
    if (status == QN_OK) status = take_outcome(&b, o);
    if (status == QN_OK && timed) status = cli_bench_measure(&b, (cli_effort){p->options->repeat, ENOUGH_MS, TOO_LONG_MS}, first_ms, &row->times);
    cli_pool_keep(p->pool, false);
    cli_bench_end(&b);
    free_inputs(inputs, count);
    free(list);
    return status == QN_FAULT ? QN_OK : status;
}

static int run_type(precision *p, cli_precision_row *row) {
    qn_kernel *kernel = NULL;
    outcome o = {0};
    const bool reference = row->type == QN_F64;
    p->loud = reference;
    const qn_status made = make_kernel(p, p->call.module, row->type, &kernel, row->problem);
    if (made != QN_OK && reference) return (int)made == QN_SOURCE ? QN_SOURCE : cli_fail((int)made, "%s", row->problem);
    if (made != QN_OK) return QN_OK;
    int status = QN_OK;
    for (size_t i = 0; reference && status == QN_OK && i < p->call.input_count; i++) status = make_wide(p, kernel, i);
    if (status == QN_OK) status = run_kernel(p, kernel, row, true, row->problem, &o);
    if (status == QN_OK && reference && row->problem[0]) status = cli_fail(QN_FAULT, "the kernel stops in f64, too: %s", row->problem);
    if (status == QN_OK && !row->problem[0]) compare(reference ? &o : &p->exact, &o, &row->errors, row);
    if (reference) p->exact = o;
    else outcome_free(&o);
    qn_kernel_destroy(kernel);
    return status;
}

/* ---- sums that round at each step ---- */
static int run_in_type(precision *p, qn_module *module, cli_precision_row *row) {
    qn_kernel *kernel = NULL;
    outcome o = {0};
    cli_precision_row once = {0};
    row->summed = true;
    p->loud = false;
    int status = QN_OK;
    if (make_kernel(p, module, row->type, &kernel, row->in_type_problem) == QN_OK) status = run_kernel(p, kernel, &once, false, row->in_type_problem, &o);
    if (status == QN_OK && !row->in_type_problem[0]) compare(&p->exact, &o, &row->in_type, NULL);
    outcome_free(&o);
    qn_kernel_destroy(kernel);
    return status;
}

static int run_sums(precision *p) {
    const char *message = NULL;
    size_t length = 0;
    char *source = qn__read_file(p->options->file, &length, &message);
    if (!source) return cli_fail(QN_IO, "%s: %s", p->options->file, message);
    qn__text text = QN__TEXT_EMPTY;
    const int sums = cli_sums_in_type(source, length, p->options->kernel, &text);
    qn_module *module = NULL;
    qn_error error;
    int status = text.failed ? cli_fail(QN_RESOURCE, "out of memory") : QN_OK;
    if (status == QN_OK && sums > 0) {
        p->loud = false;
        if (qn_module_from_source(p->call.context, p->options->file, qn__text_bytes(&text), text.length, &module, &error) != QN_OK)
            status = cli_report(&error, false);
        if (status == QN_OK) status = cli_register(p->call.library, module);
        for (int i = 0; status == QN_OK && i < CLI_PRECISION_TYPES; i++)
            if ((types[i] == QN_F16 || types[i] == QN_BF16) && !p->report->rows[i].problem[0]) status = run_in_type(p, module, &p->report->rows[i]);
    }
    qn_module_destroy(module);
    qn__text_free(&text);
    free(source);
    return status;
}

/* ---- the command ---- */
static int write_report(const cli_options *options, const cli_precision *report) {
    qn__text out = QN__TEXT_EMPTY;
    if (options->json) cli_precision_json(&out, report);
    else cli_precision_table(&out, report);
    int status = cli_write(&out) ? QN_OK : cli_fail(QN_IO, "standard output cannot be written");
    qn__text_clear(&out);
    if (status == QN_OK && options->svg) {
        cli_precision_svg(&out, report);
        status = cli_write_file(options->svg, &out);
    }
    qn__text_free(&out);
    return status;
}

static int measure_all(precision *p) {
    int status = read_classes(p);
    p->loud = true;
    if (status == QN_OK) status = cli_match(&p->call, p->options, on_diagnostic, p, p->device, p->texts);
    p->wide = status == QN_OK ? calloc(p->call.input_count + 1, sizeof *p->wide) : NULL;
    if (status == QN_OK && !p->wide) status = cli_fail(QN_RESOURCE, "out of memory");
    for (int i = CLI_PRECISION_TYPES - 1; status == QN_OK && i >= 0; i--) status = run_type(p, &p->report->rows[i]);
    if (status == QN_OK) status = run_sums(p);
    return status;
}

int cli_bench_precision(int argc, char **argv) {
    cli_options options;
    cli_precision report = {.title = ""};
    precision p = {.options = &options, .report = &report};
    int status = cli_parse(&options, "bench precision", argc, argv) && (!options.one_engine || cli_engine(options.one_engine, &p.engine, &p.device)) ? QN_OK : QN_USAGE;
    p.pool = cli_pool_create();
    if (status == QN_OK && !p.pool) status = cli_fail(QN_RESOURCE, "out of memory");
    if (p.pool) options.allocator = cli_pool_allocator(p.pool);
    for (int i = 0; i < CLI_PRECISION_TYPES; i++) report.rows[i].type = types[i];
    if (p.engine == QN_ENGINE_AUTO) p.engine = QN_ENGINE_CPU;
    report.engine = cli_engine_name(p.engine);
    if (status == QN_OK) status = measure_all(&p);
    cli_title(&options, report.title, sizeof report.title);
    report.kernel = options.kernel ? options.kernel : "";
    if (status == QN_OK) status = write_report(&options, &report);
    free_inputs(p.wide, p.call.input_count);
    outcome_free(&p.exact);
    cli_call_free(&p.call);
    cli_pool_destroy(p.pool);
    cli_options_free(&options);
    return status;
}
