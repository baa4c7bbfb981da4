/* quern run --chunk: a kernel on files larger than memory. Inputs are mapped, what was read is given back, outputs are written piece by piece;
 * a bar on a terminal shows how far it is. */
#include "cli/cli.h"
#include "runtime/npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR = 40 };

typedef struct streaming {
    const cli_call *call;
    cli_piecewise *pieces;
    double start;
    bool terminal, shown;
} streaming;

int cli_chunk(const cli_options *options, int64_t *indices, uint64_t *bytes) {
    const char *text = options->chunk;
    char *end = NULL;
    static const char units[] = "BKMGT";
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    *indices = 0;
    *bytes = 0;
    if (text[0] < '0' || text[0] > '9' || value == 0 || errno) goto wrong;
    if (!*end) {
        if (value > INT64_MAX) goto wrong;
        *indices = (int64_t)value;
        return QN_OK;
    }
    const char upper = *end == 'k' ? 'K' : *end, *unit = strchr(units, upper);
    const int shift = unit ? 10 * (int)(unit - units) : 0;
    const char *rest = end + 1;
    if (!unit || (*rest && (shift == 0 || (strcmp(rest, "B") != 0 && strcmp(rest, "iB") != 0))) || value > UINT64_MAX >> shift) goto wrong;
    *bytes = (uint64_t)value << shift;
    return QN_OK;
wrong:
    return cli_fail(QN_USAGE, "--chunk %s: a number of indices (1000000) or a size (64M, 2GiB, 500000B) is expected", text);
}

/* Of a failed callback: the message travels in the call's error. */
static qn_status failed(qn_error *error, qn_status status, const char *file, const char *message) {
    *error = (qn_error){.status = status};
    snprintf(error->message, sizeof error->message, "%s: %s", file, message);
    return status;
}

static qn_status begin(void *user, const qn_stream_output *o, qn_error *error) {
    streaming *s = user;
    cli_piecewise *piece = &s->pieces[o->output];
    char message[QN__NPY_MESSAGE];
    qn__argument whole = {.type = (uint8_t)o->type, .rank = (uint8_t)o->rank};
    if (!piece->file) return failed(error, QN_USAGE, o->name, "in pieces this output needs a file: -o NAME=FILE.npy");
    for (size_t d = 0; d < o->rank; d++) whole.extent[d] = o->shape[d];
    qn__npy_parts *parts = calloc(1, sizeof *parts);
    if (!parts) return failed(error, QN_RESOURCE, piece->file, "out of memory");
    piece->parts = parts;
    return qn__npy_parts_open(parts, piece->file, &whole, message) ? QN_OK : failed(error, QN_IO, piece->file, message);
}

static qn_status take(void *user, const qn_stream_output *o, int64_t offset, const DLTensor *tensor, qn_error *error) {
    streaming *s = user;
    cli_piecewise *piece = &s->pieces[o->output];
    char message[QN__NPY_MESSAGE];
    qn__argument part = {.type = (uint8_t)o->type, .rank = (uint8_t)o->rank, .data = tensor->data};
    for (size_t d = 0; d < o->rank; d++) {
        part.extent[d] = tensor->shape[d];
        part.stride[d] = tensor->strides[d] * (int64_t)qn_type_bytes(o->type);
    }
    return qn__npy_parts_write(piece->parts, (uint32_t)o->dimension, offset, &part, message) ? QN_OK : failed(error, QN_IO, piece->file, message);
}

static qn_status finish(void *user, const qn_stream_output *o, qn_error *error) {
    streaming *s = user;
    cli_piecewise *piece = &s->pieces[o->output];
    qn__npy_parts *parts = piece->parts;
    char message[QN__NPY_MESSAGE];
    for (size_t d = 0; d < o->rank; d++) piece->shape[d] = parts->whole.extent[d] = o->shape[d];
    piece->view = (DLTensor){.device = {kDLCPU, 0}, .ndim = (int32_t)o->rank, .dtype = qn_type_to_dlpack(o->type), .shape = piece->shape};
    piece->done = qn__npy_parts_finish(parts, message);
    return piece->done ? QN_OK : failed(error, QN_IO, piece->file, message);
}

/* What was read is not needed in memory any more. */
static void consumed(void *user, size_t number, size_t dimension, int64_t from, int64_t to) {
    const streaming *s = user;
    const cli_input *input = &s->call->inputs[number];
    qn__argument argument = {.type = (uint8_t)qn_type_from_dlpack(input->view.dtype), .rank = (uint8_t)input->view.ndim, .data = input->view.data};
    for (uint32_t d = 0; d < argument.rank; d++) {
        argument.extent[d] = input->shape[d];
        argument.stride[d] = input->strides[d] * (int64_t)qn_type_bytes((qn_type)argument.type);
    }
    if (input->map) qn__npy_map_forget(&(qn__npy_map){input->map, input->map_bytes}, &argument, dimension ? -1 : from, to);
}

/* Nothing for the first second: most runs are over by then. */
static void progress(void *user, double share) {
    streaming *s = user;
    const double seconds = (cli_now_ms() - s->start) * 1e-3;
    if (!s->terminal || seconds < 1) return;
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++) bar[i] = i < (int)(share * (double)BAR) ? '#' : '.';
    bar[BAR] = 0;
    fprintf(stderr, "\r[%s] %3.0f %%  %.0f s left ", bar, share * 100, share > 0 ? seconds * (1 - share) / share : 0);
    fflush(stderr);
    s->shown = true;
}

int cli_stream(const cli_call *call, const cli_options *options, qn_array **outputs, cli_piecewise *pieces) {
    streaming s = {.call = call, .pieces = pieces, .start = cli_now_ms(), .terminal = isatty(STDERR_FILENO)};
    qn_stream_options given = {.deadline_ms = options->deadline, .begin = begin, .write = take, .finish = finish, .consumed = consumed,
                               .progress = progress, .user = &s};
    qn_error error;
    int status = cli_chunk(options, &given.chunk, &given.chunk_bytes);
    if (status != QN_OK) return status;
    const qn_status done = qn_stream(call->kernel, call->input_list, call->input_count, outputs, call->output_count, &given, &error);
    if (s.shown) fprintf(stderr, "\r\033[K");
    for (size_t i = 0; i < call->output_count; i++) {
        if (pieces[i].parts) qn__npy_parts_drop(pieces[i].parts);
        free(pieces[i].parts);
        pieces[i].parts = NULL;
    }
    return done == QN_OK ? QN_OK : cli_report(&error, cli_colour(options));
}
