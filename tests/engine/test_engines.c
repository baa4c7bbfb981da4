/* Every kernel of examples/ and tests/language/ on every engine at the sizes where code paths change: the same status, the same fault
 * at the same place, and the same bytes as the interpreter, which is the oracle.
 *
 * Inputs are made from the signature: every size symbol and `size` parameter gets the wanted size (arrays that would become too large
 * a smaller one), floats are in [-2, 2) with a few special values, integers are below the size, so that index arrays are
 * mostly in range; where they are not, the engines must agree on the fault. Every buffer ends at a page without access rights. */
#include <dirent.h>
#include <inttypes.h>
#include <quern/quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_PARAMETERS = 32, MAX_NAMES = 32, MAX_ELEMENTS = 1 << 20, ORACLE_MS = 1000, DEADLINE_MS = 20000 };

static const int64_t usual_sizes[] = {0, 1, 2, 3, 8, 17, 63, 64, 65, 255, 4095, 4096, 4097, 9973};
static const int64_t device_sizes[] = {0, 1, 2, 3, 31, 33, 64, 257, 4096, 4097}; /* fewer: the device may be emulated */

typedef struct variant { const char *name; qn_engine engine; uint32_t width; const char *features; uint32_t threads; } variant; /* threads: 0 is none, else for every stage */
static const variant usual_variants[] = {
    {"interp", QN_ENGINE_INTERP, 0, NULL, 0},
    {"cpu", QN_ENGINE_CPU, 0, NULL, 0},
    {"cpu width 1", QN_ENGINE_CPU, 1, NULL, 0},
    {"cpu width 4", QN_ENGINE_CPU, 4, NULL, 0},
    {"cpu width 16", QN_ENGINE_CPU, 16, NULL, 0},
    {"cpu 2 threads", QN_ENGINE_CPU, 0, NULL, 2},
    {"cpu 7 threads", QN_ENGINE_CPU, 0, NULL, 7},
};
static const variant device_variants[] = {{"interp", QN_ENGINE_INTERP, 0, NULL, 0}, {"cuda", QN_ENGINE_CUDA, 0, NULL, 0}};

/* What this run compares: --cuda chooses the second set. */
static const variant *variants = usual_variants;
static const int64_t *sizes = usual_sizes;
static int variant_count = sizeof usual_variants / sizeof *usual_variants, size_count = sizeof usual_sizes / sizeof *usual_sizes;
static int largest = MAX_ELEMENTS; /* elements of an array */
enum { MAX_VARIANTS = 8, FEW_ELEMENTS = 5000 };

static unsigned passed, failed, refused, endless; /* endless: loops whose inputs here let them run on; no comparison */

/* ---- guarded memory ---- */
typedef struct buffer { char *map; size_t mapped; char *data; size_t bytes; } buffer;

static buffer guarded(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    buffer b = {.mapped = body + page, .bytes = bytes};
    b.map = mmap(NULL, b.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b.map == MAP_FAILED) abort();
    mprotect(b.map + body, page, PROT_NONE);
    b.data = b.map + body - bytes;
    return b;
}

static void release(buffer *b) {
    if (b->map) munmap(b->map, b->mapped);
    *b = (buffer){0};
}

/* ---- inputs from the signature ---- */
typedef struct names { char text[MAX_NAMES][64]; int64_t value[MAX_NAMES]; size_t count; } names;

static int64_t *value_of(names *n, const char *name, size_t length, int64_t otherwise) {
    for (size_t i = 0; i < n->count; i++)
        if (strlen(n->text[i]) == length && strncmp(n->text[i], name, length) == 0) return &n->value[i];
    if (n->count == MAX_NAMES || length >= sizeof n->text[0]) abort();
    memcpy(n->text[n->count], name, length);
    n->text[n->count][length] = 0;
    n->value[n->count] = otherwise;
    return &n->value[n->count++];
}

/* "n", "n + 1", "3": false when the dimension is another expression. */
static bool dimension(names *n, const char *text, size_t length, int64_t size, int64_t *extent) {
    char word[64] = "", sign = 0;
    long long addend = 0;
    char copy[128];
    if (length >= sizeof copy) return false;
    memcpy(copy, text, length);
    copy[length] = 0;
    if (sscanf(copy, " %" SCNd64, extent) == 1) return true;
    const int got = sscanf(copy, " %63[A-Za-z0-9_] %c %lld", word, &sign, &addend);
    if (got != 1 && (got != 3 || (sign != '+' && sign != '-'))) return false;
    *extent = *value_of(n, word, strlen(word), size) + (sign == '-' ? -addend : got == 3 ? addend : 0);
    if (*extent < 0) *extent = 0;
    return true;
}

static bool shape_of(names *n, const qn_parameter *p, int64_t size, int64_t shape[QN_MAX_RANK]) {
    const char *at = p->shape;
    for (uint32_t d = 0; d < p->rank; d++) {
        const size_t length = strcspn(at, ",");
        if (!dimension(n, at, length, size, &shape[d])) return false;
        at += length + (at[length] == ',');
    }
    return true;
}

static uint64_t next_random(uint64_t *state) {
    *state += 0x9E3779B97F4A7C15ULL;
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static uint16_t half_bits(double x, bool brain) { /* coarse, but any pattern will do */
    float f = (float)x;
    uint32_t u;
    memcpy(&u, &f, 4);
    if (brain) return (uint16_t)(u >> 16);
    const int32_t exponent = (int32_t)(u >> 23 & 0xFF) - 112;
    if (exponent <= 0) return (uint16_t)(u >> 16 & 0x8000);
    return (uint16_t)((u >> 16 & 0x8000) | (uint32_t)exponent << 10 | (u >> 13 & 0x3FF));
}

static void fill(char *data, qn_type type, int64_t count, int64_t size, uint64_t *state) {
    static const double special[] = {0.0, -0.0, 1e-40, 1.0 / 0.0, -1.0 / 0.0, 1e300, -1.0};
    for (int64_t i = 0; i < count; i++) {
        const uint64_t r = next_random(state);
        double x = (double)(r >> 11) * 0x1p-51 - 2.0;
        if (r % 997 == 0) x = special[r / 997 % 7];
        const uint64_t whole = size > 0 ? r % (uint64_t)size : r % 5;
        switch (type) {
        case QN_BOOL: data[i] = (char)(r & 1); break;
        case QN_I8:
        case QN_U8: data[i] = (char)(r >> 20); break;
        case QN_I16:
        case QN_U16: ((uint16_t *)(void *)data)[i] = (uint16_t)whole; break;
        case QN_I32:
        case QN_U32: ((uint32_t *)(void *)data)[i] = (uint32_t)whole; break;
        case QN_I64:
        case QN_U64: ((uint64_t *)(void *)data)[i] = whole; break;
        case QN_F16: ((uint16_t *)(void *)data)[i] = half_bits(x, false); break;
        case QN_BF16: ((uint16_t *)(void *)data)[i] = half_bits(x, true); break;
        case QN_F32: ((float *)(void *)data)[i] = (float)x; break;
        case QN_F64: ((double *)(void *)data)[i] = x; break;
        }
    }
}

typedef struct inputs {
    size_t count;
    buffer memory[MAX_PARAMETERS], original[MAX_PARAMETERS];
    int64_t shape[MAX_PARAMETERS][QN_MAX_RANK];
    DLTensor tensor[MAX_PARAMETERS];
    const DLTensor *list[MAX_PARAMETERS];
} inputs;

/* Large products of sizes are cut: the largest size whose arrays stay below MAX_ELEMENTS. */
static int64_t affordable(const qn_kernel *kernel, int64_t size) {
    uint32_t rank = 1;
    const size_t n = qn_kernel_input_count(kernel), m = qn_kernel_output_count(kernel);
    for (size_t i = 0; i < n + m; i++) {
        const qn_parameter p = i < n ? qn_kernel_input(kernel, i) : qn_kernel_output(kernel, i - n);
        if (p.rank > rank) rank = p.rank;
    }
    while (size > 8) {
        double total = 1;
        for (uint32_t d = 0; d < rank; d++) total *= (double)size;
        if (total <= (rank > 1 && largest > 1 << 15 ? 1 << 15 : largest)) break;
        size = size * 3 / 4;
    }
    return size;
}

static bool make_inputs(const qn_kernel *kernel, int64_t size, uint64_t seed, inputs *in) {
    names known = {.count = 0};
    uint64_t state = seed;
    *in = (inputs){.count = qn_kernel_input_count(kernel)};
    if (in->count > MAX_PARAMETERS) return false;
    for (size_t i = 0; i < in->count; i++) {
        const qn_parameter p = qn_kernel_input(kernel, i);
        int64_t elements = 1;
        if (!shape_of(&known, &p, size, in->shape[i])) return false;
        for (uint32_t d = 0; d < p.rank; d++) elements *= in->shape[i][d];
        const size_t bytes = (size_t)elements * qn_type_bytes(p.type);
        in->memory[i] = guarded(bytes);
        in->original[i] = guarded(bytes);
        fill(in->original[i].data, p.type, elements, size, &state);
        if (p.kind == QN_SCALAR && p.type == QN_I64) { /* sizes must agree; others stay small, so that loops end */
            const int64_t value = size < 40 ? size : 40;
            memcpy(in->original[i].data, &value, sizeof value);
        } else if (p.kind == QN_SCALAR && p.type == QN_I32) {
            const int32_t value = 25;
            memcpy(in->original[i].data, &value, sizeof value);
        }
        in->tensor[i] = (DLTensor){.data = in->memory[i].data, .device = {kDLCPU, 0}, .ndim = (int32_t)p.rank,
                                   .dtype = qn_type_to_dlpack(p.type), .shape = in->shape[i]};
        in->list[i] = &in->tensor[i];
    }
    return true;
}

static void free_inputs(inputs *in) {
    for (size_t i = 0; i < in->count && i < MAX_PARAMETERS; i++) {
        release(&in->memory[i]);
        release(&in->original[i]);
    }
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

static void call(qn_kernel *kernel, inputs *in, double deadline_ms, outcome *o) {
    qn_array *outputs[MAX_PARAMETERS] = {NULL};
    const size_t output_count = qn_kernel_output_count(kernel);
    *o = (outcome){0};
    for (size_t i = 0; i < in->count; i++) memcpy(in->memory[i].data, in->original[i].data, in->original[i].bytes);
    const qn_call_options options = {.deadline_ms = deadline_ms};
    o->status = qn_call(kernel, in->list, in->count, outputs, output_count, &options, &o->error);
    if (o->status == QN_OK) {
        for (size_t i = 0; i < in->count; i++)
            if (qn_kernel_input(kernel, i).kind == QN_INOUT) take(o, in->memory[i].data, in->memory[i].bytes);
        for (size_t i = 0; i < output_count; i++) {
            const DLTensor *t = qn_array_tensor(outputs[i]);
            size_t bytes = qn_type_bytes(qn_type_from_dlpack(t->dtype));
            for (int32_t d = 0; d < t->ndim; d++) bytes *= (size_t)t->shape[d];
            take(o, t->data, bytes);
        }
    }
    for (size_t i = 0; i < in->count; i++)
        if (qn_kernel_input(kernel, i).kind != QN_INOUT && memcmp(in->memory[i].data, in->original[i].data, in->original[i].bytes) != 0) {
            o->status = QN_INTERNAL;
            snprintf(o->error.message, sizeof o->error.message, "input %zu was modified", i);
        }
    for (size_t i = 0; i < output_count; i++) qn_array_destroy(outputs[i]);
}

static bool is_nan(qn_type type, const char *p) {
    if (type == QN_F32) { float x; memcpy(&x, p, 4); return x != x; }
    if (type == QN_F64) { double x; memcpy(&x, p, 8); return x != x; }
    uint16_t h;
    memcpy(&h, p, 2);
    if (type == QN_F16) return (h & 0x7C00) == 0x7C00 && (h & 0x3FF);
    if (type == QN_BF16) return (h & 0x7F80) == 0x7F80 && (h & 0x7F);
    return false;
}

/* Equal bytes, but for the payloads of NaNs, which the contract leaves open. */
static bool same(const outcome *a, const outcome *b, const qn_kernel *kernel, size_t *where) {
    qn_type types[2 * MAX_PARAMETERS];
    size_t count = 0;
    for (size_t i = 0; i < qn_kernel_input_count(kernel); i++)
        if (qn_kernel_input(kernel, i).kind == QN_INOUT) types[count++] = qn_kernel_input(kernel, i).type;
    for (size_t i = 0; i < qn_kernel_output_count(kernel); i++) types[count++] = qn_kernel_output(kernel, i).type;
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        const size_t bytes = qn_type_bytes(types[i]);
        if (a->size[i] != b->size[i]) return false;
        if (memcmp(a->bytes[i], b->bytes[i], a->size[i]) == 0) continue;
        for (size_t k = 0; k < a->size[i]; k += bytes)
            if (memcmp(a->bytes[i] + k, b->bytes[i] + k, bytes) != 0 &&
                !(is_nan(types[i], a->bytes[i] + k) && is_nan(types[i], b->bytes[i] + k))) {
                *where = k / bytes;
                return false;
            }
    }
    return true;
}

static void compare(const char *file, const char *name, const variant *v, int64_t size, const outcome *want, const outcome *got,
                    const qn_kernel *kernel) {
    size_t where = 0;
    const bool fault = want->status == QN_FAULT;
    bool ok = want->status == got->status && (want->status != QN_INTERNAL);
    if (ok && fault)
        ok = want->error.line == got->error.line && want->error.column == got->error.column && want->error.index == got->error.index &&
             want->error.extent == got->error.extent && strcmp(want->error.message, got->error.message) == 0;
    if (ok && want->status == QN_OK) ok = same(want, got, kernel, &where);
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED %s:%s size %" PRId64 " %s: ", file, name, size, v->name);
    if (want->status != got->status || fault)
        printf("status %d (%s, %u:%u) against %d (%s, %u:%u)\n", want->status, want->error.message, want->error.line,
               want->error.column, got->status, got->error.message, got->error.line, got->error.column);
    else
        printf("bytes differ at element %zu\n", where);
}

static void run_sizes(const char *file, qn_kernel *const *kernels) {
    const char *name = qn_kernel_name(kernels[0]);
    int64_t last = -1;
    for (int s = 0; s < size_count; s++) {
        const int64_t size = affordable(kernels[0], sizes[s]);
        if (size == last) continue;
        last = size;
        inputs in;
        if (!make_inputs(kernels[0], size, (uint64_t)s * 7919 + 1, &in)) {
            printf("FAILED %s:%s: a shape that this test does not understand\n", file, name);
            failed++;
            free_inputs(&in);
            return;
        }
        outcome want, got;
        call(kernels[0], &in, ORACLE_MS, &want);
        endless += want.status == QN_STOPPED;
        for (int v = 1; v < variant_count && want.status != QN_STOPPED; v++) {
            if (!kernels[v]) continue;
            call(kernels[v], &in, DEADLINE_MS, &got);
            compare(file, name, &variants[v], size, &want, &got, kernels[0]);
            free_outcome(&got);
        }
        free_outcome(&want);
        free_inputs(&in);
    }
}

static double half_of(double x) { return x * 0.5; }

static void run_kernel(const char *file, qn_module **modules, size_t index, qn_type type) {
    qn_kernel *kernels[MAX_VARIANTS] = {NULL};
    qn_error error;
    const char *name = qn_module_kernel_name(modules[0], index);
    const size_t generics = qn_module_kernel_generics(modules[0], index);
    const qn_type types[8] = {type, type, type, type, type, type, type, type};
    bool ok = true;
    for (int v = 0; ok && v < variant_count; v++) {
        const qn_kernel_options options = {.engine = variants[v].engine, .type_arguments = types, .type_argument_count = generics};
        const qn_status status = qn_kernel_create(modules[v], name, &options, &kernels[v], &error);
        if (v == 0 && generics && status == QN_SOURCE) break; /* this type is not of the kernel's class */
        if (status == QN_DEVICE && qn_module_extern_name(modules[v], 0)) { /* host functions run on the processor */
            refused++;
            continue;
        }
        ok = status == QN_OK;
        if (!ok) printf("FAILED %s:%s %s: %s\n", file, name, variants[v].name, error.message);
    }
    if (!ok) failed++;
    if (ok && kernels[0]) run_sizes(file, kernels);
    for (int v = 0; v < variant_count; v++) qn_kernel_destroy(kernels[v]);
}

static void run_file(qn_context **contexts, const char *path) {
    qn_module *modules[MAX_VARIANTS] = {NULL};
    qn_error error = {0};
    bool ok = true;
    for (int v = 0; ok && v < variant_count; v++) {
        ok = qn_module_from_file(contexts[v], path, &modules[v], &error) == QN_OK;
        const char *name;
        for (size_t i = 0; ok && (name = qn_module_extern_name(modules[v], i)) != NULL; i++)
            qn_module_register(modules[v], name, (void (*)(void))(void *)half_of, &error);
    }
    static const qn_type types[] = {QN_F32, QN_F64, QN_F16, QN_BF16, QN_I32, QN_U8, QN_I64};
    for (size_t k = 0; ok && k < qn_module_kernel_count(modules[0]); k++) {
        const size_t variety = qn_module_kernel_generics(modules[0], k) ? sizeof types / sizeof *types : 1;
        for (size_t t = 0; t < variety; t++) run_kernel(path, modules, k, types[t]);
    }
    for (int v = 0; v < variant_count; v++) qn_module_destroy(modules[v]);
    /* Files that are meant not to compile are golden tests of messages: nothing to run. */
}

/* In a process of its own: a device that a kernel's error broke stays broken until the process ends. */
static void run_apart(qn_context **contexts, const char *path) {
    unsigned *counts = mmap(NULL, 4 * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) abort();
    fflush(stdout);
    const pid_t child = fork();
    int status = -1;
    if (child == 0) {
        passed = failed = refused = endless = 0;
        run_file(contexts, path);
        fflush(stdout);
        memcpy(counts, (unsigned[]){passed, failed, refused, endless}, 4 * sizeof *counts);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        printf("FAILED %s: the process ended with %x\n", path, (unsigned)status);
        failed++;
    }
    passed += counts[0];
    failed += counts[1];
    refused += counts[2];
    endless += counts[3];
    munmap(counts, 4 * sizeof *counts);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

typedef struct share { unsigned part, parts; } share; /* of the files: each part-th of parts */

static void run_folder(qn_context **contexts, const char *folder, const char *only, share own) {
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
        if (i % own.parts == own.part) (variants == device_variants ? run_apart : run_file)(contexts, paths[i]);
        free(paths[i]);
    }
}

static void choose_device(void) {
    variants = device_variants;
    sizes = device_sizes;
    variant_count = sizeof device_variants / sizeof *device_variants;
    size_count = sizeof device_sizes / sizeof *device_sizes;
    largest = FEW_ELEMENTS;
}

/* test_engines [--cuda] [PART OF A FILE'S NAME | I/N: the I-th of N parts of the files, from 0] */
int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--cuda") == 0) {
        choose_device();
        argc--;
        argv++;
    }
    qn_context *contexts[MAX_VARIANTS];
    qn_error error;
    for (int v = 0; v < variant_count; v++) {
        const qn_context_options options = {.engine = variants[v].engine, .vector_width = variants[v].width, .cpu_features = variants[v].features, .cache_folder = "",
                                            .threads = variants[v].threads, .thread_operations = variants[v].threads > 0};
        if (qn_context_create(&options, &contexts[v], &error) != QN_OK) {
            printf("%s\n", error.message);
            return 1;
        }
    }
    share own = {0, 1};
    const char *only = argc > 1 ? argv[1] : NULL;
    if (only && sscanf(only, "%u/%u", &own.part, &own.parts) == 2) {
        only = NULL;
        if (own.parts == 0) return 2;
    }
    run_folder(contexts, QN_SOURCE_DIR "/examples", only, own);
    run_folder(contexts, QN_SOURCE_DIR "/tests/language", only, own);
    for (int v = 0; v < variant_count; v++) qn_context_destroy(contexts[v]);
    printf("%u passed, %u failed; %u loops without an end, %u kernels with host functions refused by the device\n", passed, failed, endless, refused);
    return failed ? 1 : passed == 0;
}
