/* qn_stream against qn_call: every kernel of examples/ and tests/language/, and the ones below, in pieces of many sizes, must give the same
 * status, the same fault at the same place and point, and the same bytes.
 *
 * What the kernels of steps write lies in memory that ends at a page without access rights; inputs are overwritten as soon as the
 * call says that it has consumed them (and restored for the next pass). Outputs go to memory and, a second time, to `write`. */
#include <dirent.h>
#include <inttypes.h>
#include <quern/quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_PARAMETERS = 32, MAX_NAMES = 32, MAX_ELEMENTS = 1 << 16, MAX_BYTES = 1 << 20, DEADLINE_MS = 1000 };

static const char own_kernels[] =
    "kernel normalise(x: f32[n]) -> y: f32[n], mean: f32, low: i64 {\n"
    "    let total = sum(i: x[i])\n"
    "    mean = total / f32(n)\n"
    "    let spread = sum(i: (x[i] - mean) * (x[i] - mean))\n"
    "    low = argmin(i: x[i])\n"
    "    y[i] = (x[i] - mean) / sqrt(spread / f32(n) + 1.0)\n"
    "}\n"
    "kernel smooth(x: f32[n]) -> y: f32[n], z: f32[n] {\n"
    "    let a[i] = 0.5 * (x[i - 1] + x[i + 1]) for i in 1..n-1 else x[i]\n"
    "    let b[i] = 0.25 * (a[i - 2] + a[i + 2]) + a[i] for i in 2..n-2 else a[i] * 3.0\n"
    "    y[i] = b[i] - a[i]\n"
    "    let most = max(i: b[i])\n"
    "    z[i] = b[i] / most + f32(i)\n"
    "}\n"
    "kernel window(x: f64[n] edge clamp, w: f64[5]) -> y: f64[n] {\n"
    "    y[i] = sum(k in 0..5: w[k] * x[i + k - 2])\n"
    "}\n"
    "kernel shifted(x: f32[n]) -> y: f32[n-2] {\n"
    "    y[i] = x[i] * x[i + 1] - x[i + 2]\n"
    "}\n"
    "kernel partly(x: f32[n]) -> s: f32, t: f64 {\n"
    "    s = sum(i in 5..n-3: x[i])\n"
    "    t = prod(i: 1.0 + f64(x[i]) * 0.001 where x[i] > 0.0)\n"
    "}\n"
    "kernel spread(bin: i32[n], w: f32[n], k: size) -> h: f32[k], g: i64[k], kept: f32[?m], at: i64[?m] {\n"
    "    h[bin[i]] += w[i]\n"
    "    g[bin[i]] += 1\n"
    "    kept, at = keep(i: w[i], i where w[i] > 0.5)\n"
    "}\n"
    "fn mix(a: f64, b: f64) -> f64 = a * 0.5 + b * 1.25\n"
    "kernel folded(x: f64[n], c: f64) -> r: f64, y: f64[n] {\n"
    "    r = reduce(mix, 0.0, i: x[i] * c)\n"
    "    y[i] = x[i] / (r + 1.0)\n"
    "}\n"
    "kernel rows(a: f32[n, m], v: f32[m]) -> y: f32[n], total: f32 {\n"
    "    y[i] = sum(j: a[i, j] * v[j])\n"
    "    total = sum(i, j: a[i, j])\n"
    "}\n"
    "kernel columns(a: f64[n, m]) -> mean: f64[m], c: f64[n, m] {\n"
    "    mean[j] = sum(i: a[i, j]) / f64(n)\n"
    "    c[i, j] = a[i, j] - mean[j]\n"
    "}\n"
    "kernel picture(u: f32[n, m] edge clamp) -> v: f32[n, m] {\n"
    "    let t[i, j] = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]\n"
    "    v[i, j] = t[i, j] * 0.25\n"
    "}\n"
    "kernel fails(x: i64[n], y: f64[n]) -> z: f64[n], q: i64[n] {\n"
    "    q[i] = 100 / (x[i] + 1)\n"
    "    z[i] = y[x[i] * 2]\n"
    "}\n"
    "kernel fails_late(x: i64[n, m]) -> z: i64[n, m], s: i64 {\n"
    "    s = sum(i, j: 7 / (x[i, j] - 3))\n"
    "    z[i, j] = 9 / (x[i, j] - 2) for i in 1..n, j in 0..m else 0\n"
    "}\n"
    "kernel update(inout u: f32[n], x: f32[n]) -> d: f32[n] {\n"
    "    d[i] = x[i] - u[i]\n"
    "    u[i] = u[i] + 0.5 * d[i]\n"
    "}\n"
    "kernel twice_written(x: f32[n]) -> y: f32[n] {\n"
    "    y[i] = x[i] * 2.0\n"
    "    let most = max(i: y[i])\n"
    "    y[i] = y[i] / most for i in 3..n-1\n"
    "}\n"
    "kernel equal(x: u8[n]) -> y: u8[n] {\n"
    "    let bins: i64[256]\n"
    "    bins[i32(x[i])] += 1\n"
    "    let c[k] = scan(sum, k: bins[k])\n"
    "    y[i] = u8(c[i32(x[i])] * 255 / n)\n"
    "}\n";

static const int64_t chunks[] = {1, 2, 7, 64, 1000, 4096, 8192, 12288};
enum { CHUNKS = sizeof chunks / sizeof *chunks };
static const int64_t lengths[] = {0, 1, 5, 130, 4097, 13001, 28673};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static unsigned passed, failed, streamed, refused;
static bool few; /* of lengths and chunks: where each call compiles for long */

/* ---- guarded memory ---- */
static size_t pages(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static void *guarded(void *user, size_t bytes, size_t alignment) {
    (void)user;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment, body = pages(rounded);
    char *map = mmap(NULL, body + pages(1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return NULL;
    mprotect(map + body, pages(1), PROT_NONE);
    memset(map, 0xA5, body);
    return map + body - rounded;
}

static void release(void *user, void *block, size_t bytes) {
    (void)user;
    const uintptr_t start = (uintptr_t)block / pages(1) * pages(1), end = (uintptr_t)block + (bytes + 63) / 64 * 64; /* alignment is 64 throughout */
    munmap((void *)start, pages(end - start) + pages(1));
}

/* ---- inputs from the signature: the first size is long, others are short where arrays have several dimensions ---- */
typedef struct names { char text[MAX_NAMES][64]; int64_t value[MAX_NAMES]; size_t count; } names;

static int64_t value_of(names *n, const char *name, int64_t length, int64_t width) {
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->text[i], name) == 0) return n->value[i];
    if (n->count == MAX_NAMES) abort();
    snprintf(n->text[n->count], sizeof n->text[0], "%s", name);
    n->value[n->count] = n->count && width ? width : length;
    return n->value[n->count++];
}

static bool shape_of(names *n, const qn_parameter *p, int64_t length, int64_t width, int64_t shape[QN_MAX_RANK]) {
    const char *at = p->shape;
    for (uint32_t d = 0; d < p->rank; d++) {
        char copy[128], word[64], sign = 0;
        long long addend = 0;
        const size_t size = strcspn(at, ",");
        if (size >= sizeof copy) return false;
        memcpy(copy, at, size);
        copy[size] = 0;
        at += size + (at[size] == ',');
        if (sscanf(copy, " %" SCNd64, &shape[d]) == 1) continue;
        const int got = sscanf(copy, " %63[A-Za-z0-9_] %c %lld", word, &sign, &addend);
        if (got != 1 && (got != 3 || (sign != '+' && sign != '-'))) return false;
        shape[d] = value_of(n, word, length, width) + (sign == '-' ? -addend : addend);
        if (shape[d] < 0) shape[d] = 0;
    }
    return true;
}

static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static void fill(char *data, qn_type type, int64_t count, int64_t size, uint64_t *state) {
    for (int64_t i = 0; i < count; i++) {
        const uint64_t r = next_random(state);
        const double x = (double)(r >> 11) * 0x1p-51 - 2.0;
        uint64_t bits = size > 0 ? (r >> 8) % (uint64_t)size : r % 5;
        const float single = (float)x;
        uint32_t word;
        memcpy(&word, &single, sizeof word);
        if (type == QN_BOOL) bits = r & 1;
        if (type == QN_I8 || type == QN_U8) bits = r >> 20;
        if (type == QN_BF16) bits = word >> 16;
        if (type == QN_F16) bits = (r & 0x83FF) | 0x3800;
        if (type == QN_F32) bits = word;
        if (type == QN_F64) memcpy(&bits, &x, sizeof x);
        memcpy(data + (size_t)i * qn_type_bytes(type), &bits, qn_type_bytes(type));
    }
}

typedef struct inputs {
    size_t count;
    char *memory[MAX_PARAMETERS], *original[MAX_PARAMETERS];
    size_t bytes[MAX_PARAMETERS];
    int64_t shape[MAX_PARAMETERS][QN_MAX_RANK];
    DLTensor tensor[MAX_PARAMETERS];
    const DLTensor *list[MAX_PARAMETERS];
    const qn_kernel *kernel;
} inputs;

static bool make_inputs(const qn_kernel *kernel, int64_t length, int64_t width, uint64_t seed, inputs *in) {
    names known = {.count = 0};
    uint64_t state = seed;
    *in = (inputs){.count = qn_kernel_input_count(kernel), .kernel = kernel};
    if (in->count > MAX_PARAMETERS) return false;
    for (size_t i = 0; i < in->count; i++) {
        const qn_parameter p = qn_kernel_input(kernel, i);
        int64_t elements = 1;
        if (!shape_of(&known, &p, length, width, in->shape[i])) return false;
        for (uint32_t d = 0; d < p.rank; d++) elements *= in->shape[i][d];
        in->bytes[i] = (size_t)elements * qn_type_bytes(p.type);
        in->memory[i] = malloc(in->bytes[i] + 1);
        in->original[i] = calloc(in->bytes[i] + 1, 1);
        fill(in->original[i], p.type, elements, length, &state);
        if (p.kind == QN_SCALAR && (p.type == QN_I64 || p.type == QN_I32)) {
            const int64_t value = length < 30 ? length : 30; /* little-endian: good for both */
            memcpy(in->original[i], &value, qn_type_bytes(p.type));
        }
        in->tensor[i] = (DLTensor){.data = in->memory[i], .device = {kDLCPU, 0}, .ndim = (int32_t)p.rank, .dtype = qn_type_to_dlpack(p.type), .shape = in->shape[i]};
        in->list[i] = &in->tensor[i];
    }
    return true;
}

static void free_inputs(inputs *in) {
    for (size_t i = 0; i < in->count && i < MAX_PARAMETERS; i++) {
        free(in->memory[i]);
        free(in->original[i]);
    }
}

static void reset(inputs *in) {
    for (size_t i = 0; i < in->count; i++) memcpy(in->memory[i], in->original[i], in->bytes[i]);
}

/* ---- results ---- */
typedef struct outcome {
    qn_status status;
    qn_error error;
    size_t count;
    char *bytes[2 * MAX_PARAMETERS];
    size_t size[2 * MAX_PARAMETERS];
} outcome;

static void take(outcome *o, const void *data, size_t bytes) {
    o->bytes[o->count] = malloc(bytes + 1);
    memcpy(o->bytes[o->count], data, bytes);
    o->size[o->count++] = bytes;
}

static void free_outcome(outcome *o) {
    for (size_t i = 0; i < o->count; i++) free(o->bytes[i]);
    o->count = 0;
}

/* ---- where pieces go ---- */
typedef struct sink {
    inputs *in;
    char *data[MAX_PARAMETERS];
    int64_t shape[MAX_PARAMETERS][QN_MAX_RANK], next[MAX_PARAMETERS];
    bool open[MAX_PARAMETERS], bad;
} sink;

static qn_status sink_begin(void *user, const qn_stream_output *o, qn_error *error) {
    sink *s = user;
    (void)error;
    if (s->open[o->output]) s->bad = true;
    s->open[o->output] = true;
    size_t bytes = qn_type_bytes(o->type);
    for (size_t d = 0; d < o->rank; d++) {
        s->shape[o->output][d] = o->shape[d];
        bytes *= o->shape[d] < 0 ? 1 : (size_t)o->shape[d];
    }
    s->data[o->output] = calloc(bytes + 1, 1);
    return QN_OK;
}

static void copy_piece(const DLTensor *piece, int32_t d, const char *from, char *to, const int64_t *shape, size_t bytes) {
    size_t below = bytes;
    for (int32_t k = d + 1; k < piece->ndim; k++) below *= (size_t)shape[k];
    if (d == piece->ndim) {
        memcpy(to, from, bytes);
        return;
    }
    for (int64_t i = 0; i < piece->shape[d]; i++)
        copy_piece(piece, d + 1, from + i * piece->strides[d] * (int64_t)bytes, to + (size_t)i * below, shape, bytes);
}

static qn_status sink_write(void *user, const qn_stream_output *o, int64_t offset, const DLTensor *piece, qn_error *error) {
    sink *s = user;
    const size_t n = o->output, bytes = qn_type_bytes(o->type);
    (void)error;
    if (!s->open[n] || offset != s->next[n]) s->bad = true;
    s->next[n] = offset + piece->shape[o->dimension];
    if (s->shape[n][0] < 0) { /* grows */
        s->data[n] = realloc(s->data[n], (size_t)s->next[n] * bytes + 1);
        memcpy(s->data[n] + (size_t)offset * bytes, piece->data, (size_t)piece->shape[0] * bytes);
        return QN_OK;
    }
    size_t below = bytes;
    for (size_t d = o->dimension + 1; d < o->rank; d++) below *= (size_t)s->shape[n][d];
    copy_piece(piece, 0, piece->data, s->data[n] + (size_t)offset * below, s->shape[n], bytes);
    return QN_OK;
}

static qn_status sink_finish(void *user, const qn_stream_output *o, qn_error *error) {
    sink *s = user;
    (void)error;
    for (size_t d = 0; d < o->rank; d++) s->shape[o->output][d] = o->shape[d];
    return QN_OK;
}

/* What was consumed is overwritten; when all of it was, everything comes back, since another pass may follow. */
static void consumed(void *user, size_t input, size_t dimension, int64_t from, int64_t to) {
    sink *s = user;
    inputs *in = s->in;
    const DLTensor *t = &in->tensor[input];
    if (qn_kernel_input(in->kernel, input).kind == QN_INOUT) return;
    size_t below = qn_type_bytes(qn_type_from_dlpack(t->dtype)), above = 1;
    for (size_t d = 0; d < dimension; d++) above *= (size_t)t->shape[d];
    for (size_t d = dimension + 1; d < (size_t)t->ndim; d++) below *= (size_t)t->shape[d];
    for (size_t i = 0; i < above; i++)
        memset(in->memory[input] + (i * (size_t)t->shape[dimension] + (size_t)from) * below, 0x5B, (size_t)(to - from) * below);
    if (to == t->shape[dimension]) memcpy(in->memory[input], in->original[input], in->bytes[input]);
}

static void collect(const qn_kernel *kernel, const inputs *in, qn_array **outputs, const sink *s, outcome *o) {
    for (size_t i = 0; i < in->count; i++)
        if (qn_kernel_input(kernel, i).kind == QN_INOUT) take(o, in->memory[i], in->bytes[i]);
    for (size_t i = 0; i < qn_kernel_output_count(kernel); i++) {
        const qn_parameter p = qn_kernel_output(kernel, i);
        size_t bytes = qn_type_bytes(p.type);
        const DLTensor *t = outputs[i] ? qn_array_tensor(outputs[i]) : NULL;
        for (uint32_t d = 0; d < p.rank; d++) bytes *= (size_t)(t ? t->shape[d] : s->shape[i][d]);
        take(o, t ? t->data : s->data[i], bytes);
    }
}

/* chunk 0: in one piece, by qn_call. */
static void run(qn_kernel *kernel, inputs *in, int64_t chunk, bool pieces, outcome *o) {
    qn_array *outputs[MAX_PARAMETERS] = {NULL};
    const size_t count = qn_kernel_output_count(kernel);
    sink s = {.in = in};
    *o = (outcome){0};
    reset(in);
    const qn_call_options whole = {.deadline_ms = DEADLINE_MS};
    qn_stream_options options = {.chunk = chunk, .deadline_ms = 4 * DEADLINE_MS, .consumed = consumed, .user = &s};
    if (pieces) {
        options.begin = sink_begin;
        options.write = sink_write;
        options.finish = sink_finish;
    }
    if (chunk) o->status = qn_stream(kernel, in->list, in->count, outputs, count, &options, &o->error);
    else o->status = qn_call(kernel, in->list, in->count, outputs, count, &whole, &o->error);
    if (o->status != o->error.status || s.bad) o->status = QN_INTERNAL;
    if (o->status == QN_OK) collect(kernel, in, outputs, &s, o);
    for (size_t i = 0; i < count; i++) {
        qn_array_destroy(outputs[i]);
        free(s.data[i]);
    }
}

static bool is_nan(qn_type type, const char *p) {
    float single;
    double x = 0;
    uint16_t half;
    memcpy(&half, p, 2);
    if (type == QN_F32) memcpy(&single, p, 4), x = (double)single;
    if (type == QN_F64) memcpy(&x, p, 8);
    return x != x || (type == QN_F16 && (half & 0x7C00) == 0x7C00 && half & 0x3FF) || (type == QN_BF16 && (half & 0x7F80) == 0x7F80 && half & 0x7F);
}

static bool same(const outcome *a, const outcome *b, const qn_kernel *kernel, size_t *where) {
    qn_type types[2 * MAX_PARAMETERS];
    size_t count = 0;
    for (size_t i = 0; i < qn_kernel_input_count(kernel); i++)
        if (qn_kernel_input(kernel, i).kind == QN_INOUT) types[count++] = qn_kernel_input(kernel, i).type;
    for (size_t i = 0; i < qn_kernel_output_count(kernel); i++) types[count++] = qn_kernel_output(kernel, i).type;
    for (size_t i = 0; i < count; i++) {
        const size_t bytes = qn_type_bytes(types[i]);
        *where = i << 32;
        if (a->size[i] != b->size[i]) return false;
        for (size_t k = 0; k < a->size[i]; k += bytes, ++*where)
            if (memcmp(a->bytes[i] + k, b->bytes[i] + k, bytes) != 0 && !(is_nan(types[i], a->bytes[i] + k) && is_nan(types[i], b->bytes[i] + k))) return false;
    }
    return true;
}

static void compare(const qn_kernel *kernel, const char *what, int64_t length, int64_t width, int64_t chunk, const outcome *want, const outcome *got) {
    size_t where = 0;
    bool ok = want->status == got->status;
    if (ok && want->status == QN_FAULT)
        ok = want->error.line == got->error.line && want->error.column == got->error.column && want->error.index == got->error.index &&
             want->error.extent == got->error.extent && want->error.iteration == got->error.iteration && strcmp(want->error.message, got->error.message) == 0;
    if (ok && want->status == QN_OK) ok = same(want, got, kernel, &where);
    passed += ok;
    failed += !ok;
    if (ok || failed > 40) return;
    printf("FAILED %s:%s length %" PRId64 " width %" PRId64 " chunk %" PRId64 ": ", what, qn_kernel_name(kernel), length, width, chunk);
    if (want->status == QN_OK && got->status == QN_OK) printf("bytes differ in result %zu at element %zu\n", where >> 32, where & UINT32_MAX);
    else
        printf("status %d (%s, %u:%u, point %" PRId64 ") against %d (%s, %u:%u, point %" PRId64 ")\n", want->status, want->error.message, want->error.line, want->error.column,
               want->error.iteration, got->status, got->error.message, got->error.line, got->error.column, got->error.iteration);
}

static bool affordable(const qn_kernel *kernel, int64_t length, int64_t width) {
    const size_t n = qn_kernel_input_count(kernel);
    for (size_t i = 0; i < n + qn_kernel_output_count(kernel); i++) {
        const qn_parameter p = i < n ? qn_kernel_input(kernel, i) : qn_kernel_output(kernel, i - n);
        double total = 1;
        for (uint32_t d = 0; d < p.rank; d++) total *= (double)(d && width ? width : length);
        if (total > (double)MAX_ELEMENTS) return false;
    }
    return true;
}

/* False: the kernel is not for streaming. */
static bool run_length(const char *what, qn_kernel *kernel, int64_t length, int64_t width) {
    inputs in;
    outcome want, got;
    bool streams = true;
    if (!affordable(kernel, length, width)) return true;
    if (!make_inputs(kernel, length, width, (uint64_t)(length * 31 + width + 1), &in)) {
        free_inputs(&in);
        return true;
    }
    run(kernel, &in, 0, false, &want);
    size_t most = 0;
    for (size_t i = 0; i < want.count; i++) most = want.size[i] > most ? want.size[i] : most;
    for (size_t c = 0; c < CHUNKS && most <= MAX_BYTES && want.status != QN_STOPPED && want.status != QN_USAGE; c++) {
        if (c && chunks[c - 1] >= length) break;
        if (few && c % 2 == 0) continue;
        if (chunks[c] * 150 < length) continue; /* thousands of pieces tell nothing new */
        for (int pieces = few; pieces < 2 && streams; pieces++) {
            run(kernel, &in, chunks[c], pieces, &got);
            if (got.status == QN_USAGE && strstr(got.error.message, "cannot be streamed")) {
                printf("%s:%s: not streamed: %u:%u: %s\n", what, qn_kernel_name(kernel), got.error.line, got.error.column, got.error.message);
                streams = false;
            } else {
                compare(kernel, what, length, width, chunks[c], &want, &got);
            }
            free_outcome(&got);
        }
        if (!streams) break;
    }
    free_outcome(&want);
    free_inputs(&in);
    return streams;
}

static double half_of(double x) { return x * 0.5; }

static void run_kernel(qn_module *module, const char *what, size_t index, qn_type type) {
    qn_kernel *kernel;
    qn_error error;
    const qn_type types[8] = {type, type, type, type, type, type, type, type};
    const qn_kernel_options options = {.type_arguments = types, .type_argument_count = qn_module_kernel_generics(module, index)};
    if (qn_kernel_create(module, qn_module_kernel_name(module, index), &options, &kernel, &error) != QN_OK) return;
    const unsigned before = failed;
    bool streams = true;
    for (int width = 0; width < 2 && streams; width++)
        for (size_t l = 0; l < LENGTHS && streams; l++)
            if (!few || l % 3 == 2) streams = run_length(what, kernel, lengths[l], width ? 3 : 0);
    streamed += streams;
    refused += !streams;
    if (streams && failed == before) printf("%s:%s: streamed\n", what, qn_kernel_name(kernel));
    qn_kernel_destroy(kernel);
}

static void run_module(qn_module *module, const char *what) {
    qn_error error;
    const char *name;
    for (size_t i = 0; (name = qn_module_extern_name(module, i)) != NULL; i++) qn_module_register(module, name, (void (*)(void))(void *)half_of, &error);
    for (size_t k = 0; k < qn_module_kernel_count(module); k++) {
        run_kernel(module, what, k, QN_F32);
        if (qn_module_kernel_generics(module, k)) run_kernel(module, what, k, QN_I32);
    }
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void run_folder(qn_context *context, const char *folder, const char *only) {
    char *paths[2048];
    size_t count = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL && count < 2048;) {
        const size_t length = strlen(e->d_name);
        if (length < 4 || strcmp(e->d_name + length - 3, ".qn") != 0 || (only && !strstr(e->d_name, only))) continue;
        if (asprintf(&paths[count], "%s/%s", folder, e->d_name) < 0) abort();
        count++;
    }
    if (dir) closedir(dir);
    qsort(paths, count, sizeof *paths, by_name);
    for (size_t i = 0; i < count; i++) {
        qn_module *module = NULL;
        qn_error error;
        if (qn_module_from_file(context, paths[i], &module, &error) == QN_OK) run_module(module, strrchr(paths[i], '/') + 1);
        qn_module_destroy(module);
        free(paths[i]);
    }
}

/* test_streaming [interp|cpu|cuda [PART OF A FILE'S NAME]]; without words: interp and cpu */
int main(int argc, char **argv) {
    static const struct { const char *name; qn_engine engine; } engines[] = {{"interp", QN_ENGINE_INTERP}, {"cpu", QN_ENGINE_CPU}, {"cuda", QN_ENGINE_CUDA}};
    const char *only = argc > 2 ? argv[2] : NULL;
    for (int engine = 0; engine < 3; engine++) {
        qn_context *context;
        qn_module *module = NULL;
        qn_error error;
        if (argc > 1 ? strcmp(argv[1], engines[engine].name) != 0 : engine == 2) continue;
        const qn_context_options options = {.engine = engines[engine].engine, .cache_folder = "", .allocator = {guarded, release, NULL}};
        if (qn_context_create(&options, &context, &error) != QN_OK ||
            qn_module_from_source(context, "own", own_kernels, sizeof own_kernels - 1, &module, &error) != QN_OK) {
            printf("%s\n", error.message);
            return 1;
        }
        if (qn_module_check(module, &error) != QN_OK) {
            printf("%u:%u: %s\n", error.line, error.column, error.message);
            return 1;
        }
        few = engine > 0;
        if (!only || strstr("own", only)) run_module(module, "own");
        qn_module_destroy(module);
        run_folder(context, QN_SOURCE_DIR "/examples", only);
        if (!engine || only) run_folder(context, QN_SOURCE_DIR "/tests/language", only);
        qn_context_destroy(context);
    }
    printf("%u passed, %u failed; %u kernels streamed, %u not\n", passed, failed, streamed, refused);
    return failed ? 1 : passed == 0;
}
