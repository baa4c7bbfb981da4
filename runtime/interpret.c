/* The interpreter's entry and slow paths: loading (threading the code, preparing libffi's call descriptions), the memory of a
 * run, keeps, host calls, and turning a fault into location and point.
 *
 * A run takes all its memory at the start, from the C stack where it is small; only a keep takes more. What is loaded is
 * immutable, so any number of threads may run it. */
#include "runtime/interpret.h"

#include "runtime/engine.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL_RUN = 16384 };

/* --- loading ------------------------------------------------------------------------------------------------------ */

static ffi_type *host_type(uint8_t type) {
    switch ((qn__type)type) {
    case QN__TYPE_BOOL:
    case QN__TYPE_U8: return &ffi_type_uint8;
    case QN__TYPE_I8: return &ffi_type_sint8;
    case QN__TYPE_I16: return &ffi_type_sint16;
    case QN__TYPE_I32: return &ffi_type_sint32;
    case QN__TYPE_I64: return &ffi_type_sint64;
    case QN__TYPE_F16:
    case QN__TYPE_BF16:
    case QN__TYPE_U16: return &ffi_type_uint16;
    case QN__TYPE_U32: return &ffi_type_uint32;
    case QN__TYPE_U64: return &ffi_type_uint64;
    case QN__TYPE_F32: return &ffi_type_float;
    case QN__TYPE_F64: return &ffi_type_double;
    case QN__TYPE_NONE:
    case QN__TYPE_COUNT: break;
    }
    return &ffi_type_void;
}

static bool prepare_calls(qn__threaded *threaded, const qn__image *image) {
    size_t parameters = 0;
    for (uint32_t i = 0; i < image->extern_count; i++) parameters += image->externs[i].param_count;
    threaded->calls = calloc(image->extern_count + 1, sizeof *threaded->calls);
    threaded->types = calloc(parameters + 1, sizeof(ffi_type *));
    if (!threaded->calls || !threaded->types) return false;
    ffi_type **types = threaded->types;
    for (uint32_t i = 0; i < image->extern_count; i++) {
        const qn__extern *host = &image->externs[i];
        for (uint32_t p = 0; p < host->param_count; p++) types[p] = host_type(host->param_types[p]);
        if (ffi_prep_cif(&threaded->calls[i], FFI_DEFAULT_ABI, host->param_count, host_type(host->result_type), types) !=
            FFI_OK)
            return false;
        types += host->param_count;
    }
    return true;
}

static void thread_code(qn__threaded *threaded) {
    const qn__bytecode *bytecode = threaded->bytecode;
    const qn__strip_function *strips = qn__strip_generic;
    threaded->loop = qn__interpret_generic;
#ifdef QN__INTERPRET_FMA
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        threaded->loop = qn__interpret_fma, strips = qn__strip_fma;
#endif
    if (threaded->counts) threaded->loop = qn__interpret_counting;
    const void *const *handlers = NULL;
    threaded->loop(NULL, &handlers);
    for (uint32_t i = 0; i < bytecode->code_count; i++) {
        threaded->code[i] = bytecode->code[i];
        bool cell = bytecode->code[i].op == QN__BC_VECTOR_CELL;
        threaded->code[i].op = cell ? (uint64_t)(uintptr_t)strips[bytecode->code[i].a]
                                    : (uint64_t)(uintptr_t)handlers[bytecode->code[i].op];
    }
}

static void drop(qn__threaded *threaded) {
    if (!threaded) return;
    free(threaded->code);
    free(threaded->calls);
    free(threaded->types);
    free(threaded->counts);
    free(threaded);
}

static bool load_with(qn__loaded *program, bool counting, const char **message) {
    const qn__image *image = program->image;
    const qn__bytecode *bytecode = image->code;
    qn__threaded *threaded = calloc(1, sizeof *threaded);
    if (threaded) threaded->code = malloc(((size_t)bytecode->code_count + 1) * sizeof *threaded->code);
    if (threaded && counting) threaded->counts = calloc((size_t)bytecode->code_count + 1, sizeof *threaded->counts);
    if (!threaded || !threaded->code || (counting && !threaded->counts) || !prepare_calls(threaded, image)) {
        drop(threaded);
        *message = "out of memory";
        return false;
    }
    threaded->bytecode = bytecode;
    thread_code(threaded);
    program->handle = threaded;
    return true;
}

static bool load(qn__loaded *program, const char **message) { return load_with(program, false, message); }
static bool load_counting(qn__loaded *program, const char **message) { return load_with(program, true, message); }

static void unload(qn__loaded *program) {
    drop(program->handle);
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

static uint32_t location_at(const qn__bytecode *bytecode, uint32_t pc) {
    uint32_t low = 0, high = bytecode->site_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (bytecode->sites[middle].pc < pc) low = middle + 1;
        else high = middle;
    }
    return low < bytecode->site_count && bytecode->sites[low].pc == pc ? bytecode->sites[low].location : 0;
}

/* The row-major number of the point that the stage around pc is at; 0 outside stages. */
static int64_t point_at(const qn__run *run, uint32_t pc) {
    const qn__bytecode *bytecode = run->threaded->bytecode;
    for (uint32_t i = 0; i < bytecode->stage_count; i++) {
        const qn__bytecode_stage *stage = &bytecode->stages[i];
        if (pc < stage->first || pc >= stage->last) continue;
        uint64_t point = 0;
        for (uint32_t d = 0; d < stage->rank; d++) {
            uint64_t low = run->slots[stage->low[d]].u64;
            point = point * (run->slots[stage->high[d]].u64 - low) + (run->slots[stage->index[d]].u64 - low);
        }
        return (int64_t)point;
    }
    return 0;
}

static void describe_fault(const qn__run *run, int32_t kind) {
    uint32_t pc = (uint32_t)(run->at - run->threaded->code);
    run->frame->fault = (qn__fault){kind, location_at(run->threaded->bytecode, pc), run->index, run->extent,
                                    point_at(run, pc)};
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static void free_kept(qn__run *run) {
    for (uint32_t i = 0; run->kept && run->keep && i < run->keep->count; i++) free(run->kept[i].data);
    free(run->kept);
    run->kept = NULL;
    run->keep = NULL;
}

static int32_t run_threaded(const qn__threaded *threaded, const qn__image *image, qn__frame *frame) {
    const qn__bytecode *bytecode = threaded->bytecode;
    size_t slots = bytecode->slot_count, arguments = bytecode->argument_count;
    size_t bytes = (slots + 2 * arguments) * sizeof(qn__slot) + bytecode->local_bytes;
    _Alignas(64) unsigned char small[SMALL_RUN];
    unsigned char *memory = bytes <= sizeof small ? small : malloc(bytes);
    if (!memory) {
        frame->fault = (qn__fault){.kind = QN__FAULT_MEMORY};
        return QN__FAULT_MEMORY;
    }
    qn__run run = {.threaded = threaded, .image = image, .frame = frame};
    run.locals = memory;
    run.slots = (qn__slot *)(void *)(memory + bytecode->local_bytes);
    run.arguments = run.slots + slots;
    run.argument_places = (void **)(void *)(run.arguments + arguments);
    for (size_t i = 0; i < arguments; i++) run.argument_places[i] = &run.arguments[i];
    if (bytecode->constant_count)
        memcpy(run.slots, bytecode->constants, bytecode->constant_count * sizeof(qn__slot));
    int32_t kind = threaded->loop(&run, NULL);
    if (kind) describe_fault(&run, kind);
    if (run.kept) free_kept(&run);
    if (memory != small) free(memory);
    return kind;
}

static int32_t run_program(const qn__loaded *program, qn__frame *frame) {
    return run_threaded(program->handle, program->image, frame);
}

const qn__engine qn__engine_interp = {"interp", QN__IMAGE_BYTECODE, load, run_program, unload};
const qn__engine qn__engine_counting = {"interp", QN__IMAGE_BYTECODE, load_counting, run_program, unload};

int32_t qn__interpret(const qn__image *image, qn__frame *frame) {
    qn__loaded program;
    const char *message;
    if (!qn__kernel_load(&program, &qn__engine_interp, image, NULL, &message)) {
        frame->fault = (qn__fault){.kind = QN__FAULT_MEMORY};
        return QN__FAULT_MEMORY;
    }
    int32_t kind = run_program(&program, frame);
    qn__kernel_unload(&program);
    return kind;
}

/* --- slow paths of the loop --------------------------------------------------------------------------------------- */

static int32_t allocate(qn__run *run, uint32_t array, const int64_t *extents) {
    int32_t kind = run->frame->services->allocate(run->frame, array, extents);
    if (kind) {
        run->index = run->frame->fault.index;
        run->extent = run->frame->fault.extent;
    }
    return kind;
}

int32_t qn__run_allocate(qn__run *run, uint32_t array) {
    int64_t extents[QN__MAX_RANK] = {0};
    for (uint32_t d = 0; d < run->image->arrays[array].rank; d++) extents[d] = run->arguments[d].i64;
    return allocate(run, array, extents);
}

qn__slot qn__run_call(qn__run *run, uint32_t number) {
    union {
        ffi_arg wide;
        qn__slot slot;
    } result = {.wide = 0};
    ffi_call(&run->threaded->calls[number], (void (*)(void))run->frame->externs[number], &result, run->argument_places);
    return result.slot;
}

int32_t qn__run_keep_begin(qn__run *run, uint32_t number) {
    const qn__bytecode_keep *keep = &run->threaded->bytecode->keeps[number];
    run->kept = calloc(keep->count + 1, sizeof *run->kept);
    if (!run->kept) return QN__FAULT_MEMORY;
    run->keep = keep;
    run->kept_count = run->kept_capacity = 0;
    for (uint32_t i = 0; i < keep->count; i++)
        run->kept[i].bytes = qn__type_bytes((qn__type)run->image->arrays[keep->arrays[i]].type);
    return qn__run_keep_grow(run);
}

/* There is always room for one more element. */
int32_t qn__run_keep_grow(qn__run *run) {
    int64_t capacity = run->kept_capacity ? run->kept_capacity * 2 : 256;
    for (uint32_t i = 0; i < run->keep->count; i++) {
        void *data = realloc(run->kept[i].data, (size_t)capacity * run->kept[i].bytes);
        if (!data) return QN__FAULT_MEMORY;
        run->kept[i].data = data;
    }
    run->kept_capacity = capacity;
    return 0;
}

int32_t qn__run_keep_end(qn__run *run) {
    int64_t extents[QN__MAX_RANK] = {run->kept_count};
    for (uint32_t i = 0; i < run->keep->count; i++) {
        uint32_t array = run->keep->arrays[i];
        int32_t kind = allocate(run, array, extents);
        if (kind) return kind;
        if (run->kept_count)
            memcpy(run->frame->views[array].data, run->kept[i].data, (size_t)run->kept_count * run->kept[i].bytes);
    }
    free_kept(run);
    return 0;
}
