/* Every allocation of a compilation and of a call fails once, then from there on: the status is QN_RESOURCE (or QN_OK with the right
 * result, where the work can go on without, as the cache's), nothing is leaked, nothing crashes.
 *
 * malloc, calloc, realloc, aligned_alloc, strdup and free are wrapped by the linker (--wrap) in this program only; chunks of arenas
 * and array data are among them. Only what Quern's C code asks for fails: LLVM ends the process when it finds no memory, as its
 * authors mean it to. Who asks is told from the return address and this program's symbol table, where LLVM's names
 * begin with _Z or LLVM. */
#include <elf.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <quern/quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- who asks: functions by address ---- */
typedef struct function { uintptr_t first, last; const char *name; } function;
static function *functions;
static size_t function_count;

static int by_address(const void *a, const void *b) {
    const function *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static int base_of(struct dl_phdr_info *info, size_t size, void *base) {
    (void)size;
    *(uintptr_t *)base = (uintptr_t)info->dlpi_addr; /* the program itself comes first */
    return 1;
}

static bool read_symbols(void) {
    const int descriptor = open("/proc/self/exe", O_RDONLY);
    struct stat s;
    if (descriptor < 0 || fstat(descriptor, &s) != 0) return false;
    const char *file = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    close(descriptor);
    if (file == MAP_FAILED) return false;
    uintptr_t base = 0;
    dl_iterate_phdr(base_of, &base);
    const Elf64_Ehdr *head = (const void *)file;
    const Elf64_Shdr *sections = (const void *)(file + head->e_shoff);
    for (size_t i = 0; i < head->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        const Elf64_Sym *symbols = (const void *)(file + sections[i].sh_offset);
        const char *names = file + sections[sections[i].sh_link].sh_offset;
        const size_t count = sections[i].sh_size / sizeof *symbols;
        functions = mmap(NULL, (count + 1) * sizeof *functions, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (functions == MAP_FAILED) return false;
        for (size_t k = 0; k < count; k++)
            if (ELF64_ST_TYPE(symbols[k].st_info) == STT_FUNC && symbols[k].st_size > 0)
                functions[function_count++] = (function){base + symbols[k].st_value, base + symbols[k].st_value + symbols[k].st_size, names + symbols[k].st_name};
    }
    if (function_count) qsort(functions, function_count, sizeof *functions, by_address);
    return function_count > 0;
}

static const char *name_at(const void *address) {
    const uintptr_t at = (uintptr_t)address;
    size_t low = 0, high = function_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (functions[middle].first <= at) low = middle + 1;
        else high = middle;
    }
    return low > 0 && at <= functions[low - 1].last ? functions[low - 1].name : NULL;
}

static bool is_ours(const void *caller) {
    const char *name = name_at(caller);
    return name && strncmp(name, "_Z", 2) != 0 && strncmp(name, "LLVM", 4) != 0 && strncmp(name, "llvm", 4) != 0 && strncmp(name, "__", 2) != 0;
}

/* ---- the wrapped functions ---- */
enum { TABLE = 1 << 16, FRAMES = 24 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { bool on, forever; size_t fail_at, asked, injected; } state;
static void *blocks[TABLE]; /* open addressing; what Quern asked for and has not freed */
static const void *owners[TABLE];
static void *const gone = &state;
static size_t live;
static void *frames[FRAMES];
static int frame_count;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *block);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);

static size_t slot_of(const void *block) { return ((uintptr_t)block >> 4) * 0x9E3779B1U % TABLE; }

static bool forget(const void *block) {
    if (!block || live == 0) return false;
    for (size_t i = slot_of(block), n = 0; blocks[i] && n < TABLE; i = (i + 1) % TABLE, n++)
        if (blocks[i] == block) {
            blocks[i] = gone;
            live--;
            return true;
        }
    return false;
}

static size_t live_blocks(void) {
    pthread_mutex_lock(&lock);
    const size_t now = live;
    pthread_mutex_unlock(&lock);
    return now;
}

static void *note(void *block, const void *owner) {
    if (!block) return NULL;
    size_t i = slot_of(block);
    while (blocks[i] && blocks[i] != gone) i = (i + 1) % TABLE;
    blocks[i] = block;
    owners[i] = owner;
    live++;
    return block;
}

/* Whether this allocation fails now. *ours: it counts. */
static bool fails(const void *caller, bool *ours) {
    *ours = state.on && is_ours(caller);
    if (!*ours) return false;
    const size_t number = ++state.asked;
    if (number != state.fail_at && !(state.forever && number > state.fail_at)) return false;
    if (state.injected++ == 0) frame_count = backtrace(frames, FRAMES);
    return true;
}

#define ALLOCATE(call)                                           \
    bool ours;                                                   \
    pthread_mutex_lock(&lock);                                   \
    void *result = NULL;                                         \
    if (!fails(__builtin_return_address(0), &ours)) {            \
        result = (call);                                         \
        if (ours) note(result, __builtin_return_address(0));     \
    }                                                            \
    pthread_mutex_unlock(&lock);                                 \
    return result

void *__wrap_malloc(size_t bytes) { ALLOCATE(__real_malloc(bytes)); }
void *__wrap_calloc(size_t count, size_t bytes) { ALLOCATE(__real_calloc(count, bytes)); }
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) { ALLOCATE(__real_aligned_alloc(alignment, bytes)); }

char *__wrap_strdup(const char *text) {
    const size_t bytes = strlen(text) + 1;
    ALLOCATE(memcpy(__real_malloc(bytes), text, bytes));
}

void *__wrap_realloc(void *old, size_t bytes) {
    bool ours;
    pthread_mutex_lock(&lock);
    void *result = NULL;
    if (!fails(__builtin_return_address(0), &ours)) {
        forget(old);
        result = __real_realloc(old, bytes);
        if (ours) note(result, __builtin_return_address(0));
    }
    pthread_mutex_unlock(&lock);
    return result;
}

void __wrap_free(void *block) {
    pthread_mutex_lock(&lock);
    forget(block);
    pthread_mutex_unlock(&lock);
    __real_free(block);
}

/* ---- what is done with little memory ---- */
typedef struct world {
    qn_engine engine;
    uint64_t limit;           /* of the cache; 1: what is stored is pruned at once, so that each run stores */
    const char *cache, *path; /* of a file with an import; NULL path: the text below */
    const char *kernel;       /* only compile this; NULL: everything */
    qn_error error;
    qn_context *context;
    qn_module *module;
    qn_kernel *kernels[4];
    qn_array *x, *y, *z;
    qn_event *event;
} world;

static const char imported[] = "fn twice(x: f64) -> f64 = 2.0 * x\n";
static const char text[] =
    "import \"imported.qn\"\n"
    "extern fn host(x: f64) -> f64\n"
    "kernel above(x: f64[n], limit: f64) -> y: f64[?m] { y = keep(i: twice(x[i]) where x[i] > limit) }\n"
    "kernel smooth[T: float](u: T[n] edge clamp, steps: i64) -> v: T[n], total: T {\n"
    "    let a[i] = u[i]\n"
    "    let b[i] = u[i]\n"
    "    loop t in 0..steps {\n        b[i] = 0.5 * (u[i-1] + a[i])\n        swap(a, b)\n    }\n"
    "    v[i] = a[i]\n"
    "    total = sum(i: a[i])\n}\n"
    "kernel hosted(x: f64[n]) -> y: f64[n] { y[i] = host(x[i]) }\n"
    "kernel centred(x: f64[n]) -> y: f64[n], mean: f64, h: i64[4] {\n"
    "    mean = sum(i: x[i]) / f64(n)\n"
    "    y[i] = x[i] - mean\n"
    "    let c: i64[4]\n    c[i64(x[i]) % 4] += 1\n"
    "    h[k] = c[k] + 1\n}\n";
static const char *const names[] = {"above", "smooth", "hosted", "centred"};
enum { KERNELS = sizeof names / sizeof *names };

static double host(double x) { return x + 1; }

static qn_status made(world *w, bool ok) {
    if (ok) return QN_OK;
    w->error.status = QN_RESOURCE; /* a function that says NULL when there is no memory */
    snprintf(w->error.message, sizeof w->error.message, "NULL");
    return QN_RESOURCE;
}

static qn_status open_world(world *w) {
    const qn_context_options options = {.engine = w->engine, .cache_folder = w->cache, .cache_limit = w->limit};
    qn_status status = qn_context_create(&options, &w->context, &w->error);
    if (status != QN_OK) return status;
    return qn_module_from_file(w->context, w->path, &w->module, &w->error);
}

static qn_status compile(world *w) {
    const qn_type types[] = {QN_F64, QN_F64, QN_F64, QN_F64};
    qn_kernel_options options = {.engine = w->engine, .type_arguments = types};
    const char *const only[] = {w->kernel};
    const char *const *list = w->kernel ? only : names;
    if (!w->kernel) {
        qn_status status = qn_module_register(w->module, "host", (void (*)(void))host, &w->error);
        if (status == QN_OK) status = qn_module_check(w->module, &w->error);
        if (status != QN_OK) return status;
    }
    for (size_t i = 0; i < (w->kernel ? 1 : KERNELS); i++) {
        for (size_t k = 0; k < qn_module_kernel_count(w->module); k++)
            if (strcmp(qn_module_kernel_name(w->module, k), list[i]) == 0) options.type_argument_count = qn_module_kernel_generics(w->module, k);
        const qn_status status = qn_kernel_create(w->module, list[i], &options, &w->kernels[i], &w->error);
        if (status != QN_OK) return status;
    }
    return QN_OK;
}

static qn_status call_all(world *w) {
    const int64_t shape[] = {10};
    double limit = 4.5;
    int64_t steps = 3, view[] = {5}, strides[] = {2};
    qn_counts counts;
    qn_status status = qn_array_create(w->context, QN_F64, 1, shape, &w->x, &w->error);
    if (status != QN_OK) return status;
    double *x = qn_array_tensor(w->x)->data;
    for (int i = 0; i < 10; i++) x[i] = i;
    const DLTensor scalar = {.data = &limit, .device = {kDLCPU, 0}, .dtype = qn_type_to_dlpack(QN_F64)};
    const DLTensor count = {.data = &steps, .device = {kDLCPU, 0}, .dtype = qn_type_to_dlpack(QN_I64)};
    const DLTensor strided = {.data = x, .device = {kDLCPU, 0}, .ndim = 1, .dtype = qn_type_to_dlpack(QN_F64), .shape = view, .strides = strides};
    const DLTensor *above[] = {qn_array_tensor(w->x), &scalar}, *smooth[] = {&strided, &count}, *hosted[] = {qn_array_tensor(w->x)};
    status = qn_call(w->kernels[0], above, 2, &w->y, 1, NULL, &w->error);
    if (status != QN_OK) return status;
    const DLTensor *y = qn_array_tensor(w->y);
    if (y->shape[0] != 5 || ((double *)y->data)[4] != 18) return QN_INTERNAL;
    qn_array *outputs[2] = {NULL};
    status = qn_call(w->kernels[1], smooth, 2, outputs, 2, NULL, &w->error);
    if (status != QN_OK && (outputs[0] || outputs[1])) return QN_INTERNAL;
    if (status == QN_OK && ((double *)qn_array_tensor(outputs[0])->data)[0] != 0) status = QN_INTERNAL;
    qn_array_destroy(outputs[0]);
    qn_array_destroy(outputs[1]);
    if (status == QN_OK) status = qn_count(w->kernels[0], above, 2, &counts, &w->error);
    if (status != QN_OK) return status;
    status = qn_launch(w->kernels[2], hosted, 1, &w->z, 1, NULL, &w->event, &w->error);
    if (status != QN_OK) return status;
    qn_event_wait(w->event, -1);
    status = qn_event_result(w->event, &w->error);
    return status != QN_OK || ((double *)qn_array_tensor(w->z)->data)[9] == 10 ? status : QN_INTERNAL;
}

/* In pieces, to arrays in memory. */
static qn_status stream_all(world *w) {
    const DLTensor *inputs[] = {qn_array_tensor(w->x), &(DLTensor){.data = &(double){4.5}, .device = {kDLCPU, 0}, .dtype = qn_type_to_dlpack(QN_F64)}};
    const qn_stream_options options = {.chunk = 3};
    qn_array *kept = NULL, *outputs[3] = {NULL};
    qn_status status = qn_stream(w->kernels[0], inputs, 2, &kept, 1, &options, &w->error);
    if (status == QN_OK && (qn_array_tensor(kept)->shape[0] != 5 || ((double *)qn_array_tensor(kept)->data)[4] != 18)) status = QN_INTERNAL;
    if (status != QN_OK && status != QN_INTERNAL && kept) status = QN_INTERNAL;
    qn_array_destroy(kept);
    if (status != QN_OK) return status;
    status = qn_stream(w->kernels[3], inputs, 1, outputs, 3, &options, &w->error);
    if (status == QN_OK && (((double *)qn_array_tensor(outputs[0])->data)[9] != 4.5 || ((int64_t *)qn_array_tensor(outputs[2])->data)[1] != 4)) status = QN_INTERNAL;
    for (int i = 0; i < 3; i++) {
        if (status != QN_OK && outputs[i]) status = QN_INTERNAL;
        qn_array_destroy(outputs[i]);
    }
    return status;
}

static qn_status others(world *w) {
    if (w->cache[0]) {
        char *key = qn_kernel_cache_key(w->kernels[0]);
        const bool ok = key != NULL;
        free(key);
        if (!ok) return made(w, false);
    }
    return made(w, qn_kernel_function(w->kernels[0]) != NULL);
}

static void close_world(world *w) {
    qn_event_destroy(w->event);
    qn_array_destroy(w->x);
    qn_array_destroy(w->y);
    qn_array_destroy(w->z);
    for (int i = 0; i < KERNELS; i++) qn_kernel_destroy(w->kernels[i]);
    qn_module_destroy(w->module);
    qn_context_destroy(w->context);
}

static qn_status everything(world *w) {
    qn_status status = open_world(w);
    if (status == QN_OK) status = compile(w);
    if (status == QN_OK && !w->kernel) status = call_all(w);
    if (status == QN_OK && !w->kernel) status = stream_all(w);
    if (status == QN_OK && !w->kernel) status = others(w);
    close_world(w);
    return status;
}

/* ---- one failure after the other ---- */
static size_t total, refused, survived, failures;

static void complain(const char *what, const char *why, size_t number, const world *w) {
    failures++;
    printf("FAILED: %s, allocation %zu%s: %s (status %d: %s)\n", what, number, state.forever ? " and all later ones" : "", why, (int)w->error.status, w->error.message);
    for (int i = 0; i < frame_count; i++) {
        const char *name = name_at(frames[i]);
        if (name && strcmp(name, "main") != 0) printf("    %s\n", name);
    }
}

/* Who asked for the blocks that are left; they are forgotten, so that the next run starts from nothing. */
static void list_leaks(void) {
    for (size_t i = 0; i < TABLE; i++)
        if (blocks[i] && blocks[i] != gone) {
            printf("    leaked: a block of %s\n", name_at(owners[i]));
            blocks[i] = gone;
            live--;
        }
}

/* Runs it with allocation `number` failing. False when there is no such allocation. */
static void report(const world *w, const char *what, size_t number, qn_status status) {
    if (status != QN_OK && status != QN_RESOURCE) complain(what, "the status is neither QN_RESOURCE nor QN_OK", number, w);
    else if (status == QN_RESOURCE && (w->error.status != status || !w->error.message[0])) complain(what, "the error record was not filled in", number, w);
}

static bool once(const world *how, const char *what, size_t number, bool forever) {
    world w = *how;
    frame_count = 0;
    state.forever = forever;
    state.fail_at = number;
    state.asked = state.injected = 0;
    state.on = true;
    const qn_status status = everything(&w);
    state.on = false;
    const size_t injected = state.injected;
    for (int i = 0; i < 5000 && live_blocks() != 0; i++) usleep(1000); /* a thread of the pool gives its event back after it woke us */
    if (live != 0) {
        complain(what, "blocks are leaked", number, &w);
        list_leaks();
    }
    if (injected == 0) {
        if (status != QN_OK) complain(what, "fails with all the memory there is", number, &w);
        return false;
    }
    total++;
    if (status == QN_OK) survived++;
    else refused++;
    report(&w, what, number, status);
    return true;
}

static void all(const world *how, const char *what) {
    const size_t before = total;
    world w = *how;
    everything(&w); /* what is made once per process is made now */
    for (int forever = 0; forever < 2; forever++)
        for (size_t number = 1; failures < 20 && once(how, what, number, forever); number++) {}
    printf("%-40s %5zu injections\n", what, total - before);
    fflush(stdout);
}

static void examples(void) {
    static const char *const list[] = {"black_scholes", "column_statistics", "game_of_life", "gaussian_blur", "histogram_equalise", "jacobi", "kmeans_step",
                                       "mandelbrot", "matmul", "median3x3", "nbody", "softmax_rows", "spmv", "threshold_filter"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/examples/%s.qn", QN_SOURCE_DIR, list[i]);
        if (access(path, R_OK) == 0) all(&(world){.engine = QN_ENGINE_INTERP, .cache = "", .path = path, .kernel = list[i]}, list[i]);
    }
}

static void write_text(const char *folder, const char *name, const char *content) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file || fputs(content, file) < 0 || fclose(file) != 0) exit(2);
}

int main(void) {
    char folder[] = "/tmp/quern-memory-XXXXXX", path[64], cache[64], remove[128];
    if (!mkdtemp(folder)) return 2;
    write_text(folder, "imported.qn", imported);
    write_text(folder, "main.qn", text);
    snprintf(path, sizeof path, "%s/main.qn", folder);
    snprintf(cache, sizeof cache, "%s/cache", folder);
    if (!read_symbols()) {
        printf("skipped: this program has no symbol table, so who asks for memory cannot be told\n");
        return 0;
    }
    backtrace(frames, FRAMES); /* loads what it needs */
    all(&(world){.engine = QN_ENGINE_INTERP, .cache = "", .path = path}, "interp");
    all(&(world){.engine = QN_ENGINE_CPU, .cache = "", .path = path}, "cpu");
    all(&(world){.engine = QN_ENGINE_CPU, .cache = cache, .path = path}, "cpu, found in the cache");
    all(&(world){.engine = QN_ENGINE_CPU, .cache = cache, .limit = 1, .path = path}, "cpu, stored in the cache");
    examples();
    snprintf(remove, sizeof remove, "rm -r %s", folder);
    if (system(remove) != 0) return 2;
    printf("%zu injections: %zu refused with QN_RESOURCE, %zu survived; %zu failures; %zu blocks alive\n", total, refused, survived, failures, live);
    return failures != 0;
}
