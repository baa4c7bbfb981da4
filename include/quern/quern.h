/* Quern: numeric kernels, compiled at run time. The one header of libquern.
 *
 *     qn_context *context;  qn_module *module;  qn_kernel *kernel;  qn_array *z = NULL;  qn_error error;
 *     qn_context_create(NULL, &context, &error);
 *     qn_module_from_file(context, "saxpy.qn", &module, &error);
 *     qn_kernel_create(module, "saxpy", NULL, &kernel, &error);
 *     const DLTensor *inputs[] = {qn_array_tensor(a), qn_array_tensor(x), qn_array_tensor(y)};
 *     qn_call(kernel, inputs, 3, &z, 1, NULL, &error);
 *
 * Conventions
 * - A function that can fail returns a qn_status, 0 for success, and fills in *error when error is not NULL.
 * - A handle made by a `create`, `from` or `call` function is released by the caller with the matching `destroy`;
 *   destroying NULL does nothing. A module keeps its context, a kernel its module, alive: order does not matter.
 * - All functions are thread-safe but for `destroy` of a handle that another thread still uses. A kernel is immutable and
 *   may be called by many threads at once.
 * - The library never prints, exits or aborts. Strings are UTF-8, and live as long as the handle that they were asked of.
 * - Arrays are exchanged as DLPack's DLTensor: shape and strides count elements, strides == NULL means row-major. Inputs are
 *   never modified. bool is type code 6 (kDLBool) with 8 bits, one byte of 0 or 1. */
#ifndef QN_QUERN_H
#define QN_QUERN_H

#include <dlpack/dlpack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QN_VERSION "0.1.0"
enum { QN_MAX_RANK = 8, QN_DL_BOOL = 6 };

/* Statuses; `quern` exits with the same numbers. */
typedef enum qn_status {
    QN_OK = 0,
    QN_FAULT = 1,     /* a run-time error of the kernel: error->fault says where */
    QN_USAGE = 2,     /* a wrong argument: unknown name, type, rank, size, NULL */
    QN_SOURCE = 3,    /* errors in the source: see the diagnostics */
    QN_IO = 4,        /* a file cannot be read or written, or its content is malformed */
    QN_RESOURCE = 5,  /* out of memory, or a limit */
    QN_STOPPED = 6,   /* cancelled, or past its deadline */
    QN_DEVICE = 7,    /* a device is missing, is not suitable, or failed: message says what, and what to do */
    QN_INTERNAL = 70, /* a defect of Quern */
} qn_status;

typedef struct qn_error {
    qn_status status;
    char message[1024];    /* one line or a few, cut where too long */
    /* of QN_FAULT and QN_STOPPED */
    char path[256];        /* source file; empty when there is no place */
    uint32_t line, column, length; /* 1-based; length in bytes */
    int64_t index, extent; /* of an index out of range: the index and the extent of the dimension */
    int64_t iteration;     /* row-major number of the point in its stage */
} qn_error;

/* Scalar types. */
typedef enum qn_type {
    QN_BOOL = 1, QN_I8, QN_I16, QN_I32, QN_I64, QN_U8, QN_U16, QN_U32, QN_U64, QN_F16, QN_BF16, QN_F32, QN_F64
} qn_type;
const char *qn_type_name(qn_type type);        /* "f32"; NULL for no type */
qn_type qn_type_from_name(const char *name);   /* 0 for no type */
size_t qn_type_bytes(qn_type type);            /* size of one element */
DLDataType qn_type_to_dlpack(qn_type type);
qn_type qn_type_from_dlpack(DLDataType type);  /* 0 for a type that Quern does not know */

const char *qn_version(void);
const char *qn_status_text(qn_status status);

/* ---- contexts: one compiler and one set of devices; usually one per process ---- */
typedef struct qn_context qn_context;
typedef enum qn_engine { QN_ENGINE_AUTO, QN_ENGINE_INTERP, QN_ENGINE_CPU, QN_ENGINE_CUDA } qn_engine;

typedef struct qn_diagnostic {
    const char *code;     /* "E0301" */
    bool is_error;        /* else a warning */
    const char *message;  /* without place and hints */
    const char *path;
    uint32_t line, column, length;
    const char *rendered; /* the whole, with source line, caret, hints */
} qn_diagnostic;

typedef struct qn_allocator { /* alignment is a power of two, at least 16; NULL from allocate means no memory */
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *pointer, size_t bytes);
    void *user;
} qn_allocator;

typedef struct qn_context_options { /* zero-initialise, set what you need */
    qn_engine engine;               /* AUTO: cpu, beginning in the interpreter */
    const char *cpu;                /* LLVM's name of the processor; NULL: this machine's */
    const char *cpu_features;       /* such as "+avx2,-avx512f"; NULL: what the processor has */
    uint32_t device;                /* of engine CUDA: which, from 0 */
    uint32_t vector_width;          /* lanes per vector operation; 0: chosen per stage, 1: scalar code */
    uint32_t threads;               /* that may work on one call of compiled code; 0: $QUERN_THREADS, or one for each processor; 1: the calling one. Results are the same bits.
                                     * They are started by the first call that is worth it, and shared by all contexts; see docs/api.md */
    uint64_t thread_operations;     /* stages of fewer operations, as the compiler counts them, run on the calling thread; 0: the measured number, 1: none */
    qn_allocator allocator;         /* for array data; all NULL: the C library's */
    size_t memory_limit;            /* bytes that one compilation may use; 0: 1 GiB */
    const char *cache_folder;       /* of compiled kernels; NULL: $QUERN_CACHE, $XDG_CACHE_HOME/quern or ~/.cache/quern; "": none */
    uint64_t cache_limit;           /* bytes that the cache's folder may hold; 0: 256 MiB */
    bool fallback;                  /* a kernel that engine CUDA cannot compile or run is run by CPU, one that CPU cannot compile by INTERP. Never silent:
                                     * qn_context_statistics counts it, profiles say why. false: such failures are errors */
    bool debug;                     /* native code for debuggers: scalar, not optimised, with lines and variables for gdb; the same bits */
    bool profile;                   /* native code is made known to Linux's perf: /tmp/perf-PID.map and a jitdump file with source lines, see docs/api.md;
                                     * same code, never from the cache. QN_IO from qn_context_create when the files cannot be written; what cannot
                                     * be written later is left out. A forked child's kernels are not noted. */
    bool colour;                    /* rendered diagnostics have ANSI colours */
    void (*on_diagnostic)(void *user, const qn_diagnostic *diagnostic); /* called by the compiling thread */
    void *user;
} qn_context_options;

qn_status qn_context_create(const qn_context_options *options, qn_context **context, qn_error *error);
void qn_context_destroy(qn_context *context);
uint32_t qn_context_threads(const qn_context *context); /* that may work on one call of compiled code: what options->threads came to */

/* What went another way than asked. */
typedef struct qn_statistics {
    uint64_t fallback_kernels;      /* compiled for another engine than asked */
    uint64_t fallback_calls;        /* run by another engine after the device failed */
    uint64_t device_failures;       /* of calls: QN_DEVICE, or no memory on the device */
    char last_failure[256];         /* the newest reason; "" when there is none */
} qn_statistics;
void qn_context_statistics(const qn_context *context, qn_statistics *statistics);

/* ---- modules: one source text and its imports, parsed ---- */
typedef struct qn_module qn_module;
/* path names the source in messages, and is where imports are looked up from. QN_SOURCE when it cannot be parsed;
 * a kernel's own errors are found when it is created, or by qn_module_check. */
qn_status qn_module_from_source(qn_context *context, const char *path, const char *text, size_t length,
                                qn_module **module, qn_error *error);
qn_status qn_module_from_file(qn_context *context, const char *path, qn_module **module, qn_error *error);
/* Checks everything in it, generic kernels for every usual type. QN_SOURCE when there are errors. */
qn_status qn_module_check(qn_module *module, qn_error *error);
void qn_module_destroy(qn_module *module);
size_t qn_module_kernel_count(const qn_module *module);
const char *qn_module_kernel_name(const qn_module *module, size_t index);
/* Number of type parameters of a kernel: 0 when it is not generic. */
size_t qn_module_kernel_generics(const qn_module *module, size_t index);
/* Name of an input (scalar, in or inout, in written order) of a kernel, known before its types are; NULL past the last, and for an
 * unknown kernel. kernel may be NULL when the module has one. */
const char *qn_module_input_name(const qn_module *module, const char *kernel, size_t index);

/* ---- host functions, for `extern fn` ---- */
/* function must be a C function of the declared types (bool as uint8_t, f16 and bf16 as uint16_t), thread-safe, and outlive the
 * module. Register before the first kernel that uses it is created. */
/* Names of the module's extern functions; NULL past the last. */
const char *qn_module_extern_name(const qn_module *module, size_t index);
qn_status qn_module_register(qn_module *module, const char *name, void (*function)(void), qn_error *error);

/* ---- devices ---- */
/* What a CUDA device is; kernels with engine CUDA run on the context's (qn_context_options.device). */
typedef struct qn_device {
    char name[128];
    uint32_t index, count;         /* its number, and how many there are */
    uint32_t compute_capability;   /* times 10: 90 is sm_90 */
    uint32_t processors;           /* multiprocessors */
    uint64_t memory_bytes, free_bytes;
    double bandwidth;              /* of its memory in GB/s, as clock and bus have it; 0: unknown */
    uint32_t driver_version;       /* the CUDA version of the driver: 12040 is 12.4 */
    uint32_t ptx_version;          /* newest PTX ISA that it takes: 84 is 8.4 */
    char library[256];             /* the driver's, as it was opened */
} qn_device;
/* Opens the driver when needed. QN_DEVICE with a message that says what is missing. Thread-safe. */
qn_status qn_device_describe(qn_context *context, uint32_t index, qn_device *device, qn_error *error);

/* ---- kernels: one specialisation, compiled for one engine ---- */
typedef struct qn_kernel qn_kernel;

/* Which code of a kernel runs. AUTO where the engine (the kernel's or its context's) is AUTO, too: the kernel starts in the interpreter at
 * once, a thread of the context compiles it, and calls that begin after that run the compiled code; results are the same bits.
 * INTERP and NATIVE pin one; they are what engine INTERP and engines CPU and CUDA have, which compile before qn_kernel_create returns. */
typedef enum qn_tier { QN_TIER_AUTO, QN_TIER_INTERP, QN_TIER_NATIVE } qn_tier;
typedef struct qn_kernel_options { /* zero-initialise */
    qn_engine engine;              /* AUTO: the context's */
    const qn_type *type_arguments; /* of a generic kernel, in order of its type parameters; NULL: from inputs */
    size_t type_argument_count;
    const DLTensor *const *inputs; /* arguments to infer the types from */
    size_t input_count;
    qn_tier tier;                  /* AUTO: by the engine, see above. QN_USAGE for INTERP with engine CPU, NATIVE with engine INTERP */
} qn_kernel_options;

/* name may be NULL when the module has one kernel. Checks the kernel and reports its errors before it returns, also where the compiled code
 * comes later. */
qn_status qn_kernel_create(qn_module *module, const char *name, const qn_kernel_options *options, qn_kernel **kernel,
                           qn_error *error);
void qn_kernel_destroy(qn_kernel *kernel); /* waits for a compilation that runs in the background */

/* Waits until a kernel with both tiers runs compiled code; such a kernel is compiled before others that wait. QN_OK at once for kernels with one
 * tier. deadline_ms: QN_STOPPED after so many milliseconds (it may be called again); 0 or less: no deadline. QN_RESOURCE or QN_INTERNAL
 * when the kernel could not be compiled: it goes on in the interpreter. Thread-safe. */
qn_status qn_kernel_prepare(qn_kernel *kernel, double deadline_ms, qn_error *error);
qn_tier qn_kernel_tier(const qn_kernel *kernel); /* what a call would run now: INTERP or NATIVE. Thread-safe */

/* The kernel as a C function of its own type, for calls without any cost of checking: cast it to the type that `quern emit --header` writes,
 * for kernel saxpy(a: f32, x: f32[n], y: f32[n]) -> z: f32[n]
 *     int32_t (*)(float a, const float *x, const float *y, float *z, int64_t n, qn_error *error)
 * - Parameters: the inputs in written order, then the outputs, then the size names in the order in which they first occur, then error.
 *   Scalars by value (bool as uint8_t, f16 and bf16 as uint16_t), inputs as const T *, inouts and outputs (scalar ones too) as T *, all of the
 *   caller's memory. A size name that the inputs have is an int64_t, counted in elements; one that only the kernel knows (?m) is an
 *   int64_t *: on entry how many elements the outputs of that size have room for, on return how many there are.
 * - Arrays are row-major without gaps, aligned as their elements; outputs and inouts overlap no other argument. A size of 0 allows NULL. None of
 *   this is checked: what the types and this list say is the caller's word, as in C. Extents like n+1 are computed from the sizes.
 * - Returns a qn_status and fills in *error, unless error is NULL, when that is not QN_OK; else *error is left alone. QN_FAULT: as of qn_call.
 *   With too little room for ?m: QN_FAULT, with the number needed in error->index and in the int64_t. QN_RESOURCE: no memory for
 *   temporaries, which are the C library's, not the context's allocator's. It cannot be cancelled.
 * - Of a kernel with engine CUDA it copies to the device and back, and returns QN_DEVICE when that fails; all pointers are the host's.
 * - The pointer is there at once, stays the same for the kernel's life, and dies with it: it leads to the interpreter until compiled code
 *   is there. Thread-safe and re-entrant; so is this function. NULL without memory or where the system allows no code to be made. */
typedef void (*qn_function)(void);
qn_function qn_kernel_function(qn_kernel *kernel);

typedef enum qn_parameter_kind { QN_SCALAR, QN_IN, QN_INOUT, QN_OUT } qn_parameter_kind;
typedef struct qn_parameter {
    const char *name;
    qn_type type;
    qn_parameter_kind kind;
    uint32_t rank;
    const char *shape; /* "n, m+1", "?k", or "" */
} qn_parameter;
const char *qn_kernel_name(const qn_kernel *kernel);
qn_engine qn_kernel_engine(const qn_kernel *kernel); /* that it was compiled for: INTERP, CUDA or CPU, which is also that of a kernel with both tiers */
size_t qn_kernel_input_count(const qn_kernel *kernel);  /* scalars, inputs and inouts, in written order */
size_t qn_kernel_output_count(const qn_kernel *kernel); /* outputs, without inouts */
qn_parameter qn_kernel_input(const qn_kernel *kernel, size_t index);
qn_parameter qn_kernel_output(const qn_kernel *kernel, size_t index);

/* The text under which the kernel's native code is found in the cache, one line per thing that decides it. To be freed with free(); NULL when
 * the context has no cache. */
char *qn_kernel_cache_key(const qn_kernel *kernel);

typedef struct qn_compile_times { double parse_ms, check_ms, lower_ms, passes_ms, emit_ms, load_ms; } qn_compile_times;
qn_compile_times qn_kernel_compile_times(const qn_kernel *kernel);

/* ---- arrays that the library owns ---- */
typedef struct qn_array qn_array;
/* Row-major, zeroed; shape has rank entries. QN_USAGE for a bad type, rank or negative extent. */
qn_status qn_array_create(qn_context *context, qn_type type, size_t rank, const int64_t *shape, qn_array **array, qn_error *error);
/* The same on a device: kDLCPU, kDLCUDA (device_id: which), or kDLCUDAHost (pinned memory of the host, which devices copy at full speed). QN_DEVICE when there is no
 * such device or it fails, QN_RESOURCE when it has no memory. */
qn_status qn_array_create_on(qn_context *context, DLDevice device, qn_type type, size_t rank, const int64_t *shape, qn_array **array, qn_error *error);
/* A row-major copy of any tensor on another device, or on the same one: host to device, device to host, within a device; between two devices through the host. */
qn_status qn_array_from(qn_context *context, const DLTensor *tensor, DLDevice device, qn_array **array, qn_error *error);
qn_status qn_array_to(const qn_array *array, DLDevice device, qn_array **copy, qn_error *error);
void qn_array_destroy(qn_array *array);
const DLTensor *qn_array_tensor(const qn_array *array); /* borrowed, valid while the array lives */

/* ---- profiles ---- */
/* What one call took. Times of a device are its own, from events; compute_ms of another engine is that of the kernel itself. */
typedef struct qn_call_profile {
    qn_engine engine;            /* that ran it */
    uint32_t device;             /* of CUDA */
    bool fallback;               /* not the engine that was asked for */
    char why[256];               /* why this engine */
    double compile_ms;           /* making the kernel, once: all of qn_compile_times */
    double copy_in_ms, compute_ms, copy_out_ms, total_ms; /* total: of qn_call */
    uint64_t bytes_in, bytes_out; /* copied to and from the device; on other engines both are what was packed */
    uint64_t launches, waits;    /* of a device: kernels started, times that the host waited */
} qn_call_profile;

/* A piece of work of a call, for timelines. */
typedef enum qn_span_kind { QN_SPAN_CALL, QN_SPAN_COPY_IN, QN_SPAN_COMPUTE, QN_SPAN_COPY_OUT } qn_span_kind;
typedef struct qn_span {
    qn_span_kind kind;
    const char *name;            /* of the kernel, the array, or the device's function; valid during the callback */
    double start_ms, ms;         /* start: since the call began */
    uint64_t bytes;              /* copied */
} qn_span;

/* The sums over all calls of a kernel that asked for a profile. Thread-safe. */
typedef struct qn_kernel_profile {
    uint64_t calls, fallbacks, launches, bytes_in, bytes_out;
    double copy_in_ms, compute_ms, copy_out_ms, total_ms;
} qn_kernel_profile;
qn_kernel_profile qn_kernel_profiled(const qn_kernel *kernel);

/* ---- calls ---- */
typedef struct qn_call_options { /* zero-initialise */
    double deadline_ms;          /* stop after so long with QN_STOPPED; 0: never */
    const volatile int32_t *cancel; /* stop soon after this becomes non-zero; NULL: never */
    uint32_t threads;            /* that may work on the call, at most; 0: as the context says */
    DLDeviceType outputs;        /* where new output arrays shall lie: 0 or kDLCPU: on the host; kDLCUDA: on the kernel's device (QN_USAGE when its engine is
                                  * another one), where they stay until qn_array_to. Scalar outputs always lie on the host */
    qn_call_profile *profile;    /* filled in when the call succeeds; NULL: not measured (events on a device cost microseconds) */
    void (*on_span)(void *user, const qn_span *span); /* called by the calling thread during and at the end of the call; NULL: none */
    void *user;
} qn_call_options;

/* Runs the kernel. inputs: one tensor per input, scalars as rank-0 tensors of exactly the type. outputs: one entry per output,
 * in order; NULL entries are replaced by new arrays that the caller owns, others must have the right type and shape and are
 * written in place. The tensors of inout parameters are updated in place. A kernel with engine CUDA takes tensors of its device (kDLCUDA, kDLCUDAManaged), which it uses
 * where they are when they are row-major, and tensors of the host (kDLCPU, kDLCUDAHost), which it copies; scalars are the host's. Work on a device tensor
 * must have ended before the call, and the call has ended when it returns. On failure the content of outputs and inouts is
 * unspecified, newly made outputs are NULL, inputs are intact. */
qn_status qn_call(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_array **outputs,
                  size_t output_count, const qn_call_options *options, qn_error *error);

/* ---- asynchronous calls ---- */
typedef struct qn_event qn_event;

/* Like qn_call, but returns at once; a thread of the context runs the kernel, several launches side by side, started in order. Arguments are checked when the
 * call runs. Kernel, tensors (their data too), and the outputs array with its entries must stay as they are until the event is done; outputs are set before that.
 * options->cancel must be NULL: use qn_event_cancel. */
qn_status qn_launch(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_array **outputs,
                    size_t output_count, const qn_call_options *options, qn_event **event, qn_error *error);
bool qn_event_done(const qn_event *event);
/* Waits until it is done, at most timeout_ms (negative: for ever). True when it is done. */
bool qn_event_wait(qn_event *event, double timeout_ms);
/* What the call returned, with its error record; QN_USAGE while it is not done. */
qn_status qn_event_result(const qn_event *event, qn_error *error);
/* Calls callback once when the event is done: on the thread that ran it, or at once when it already is. One callback per event: QN_USAGE for a second one. The
 * callback may launch, and may destroy the event, but must not destroy its context's last handle. */
qn_status qn_event_then(qn_event *event, void (*callback)(void *user, qn_event *event), void *user, qn_error *error);
/* Asks the call to stop soon with QN_STOPPED; one that has not begun does not begin. */
void qn_event_cancel(qn_event *event);
/* Gives the handle back; the call goes on. */
void qn_event_destroy(qn_event *event);

/* ---- arrays that are larger than memory ---- */
/* An output that comes in pieces. */
typedef struct qn_stream_output {
    size_t output;        /* its number */
    const char *name;
    qn_type type;
    size_t rank;
    const int64_t *shape; /* of the whole; -1 for a size that only the kernel knows, which the last call of finish tells */
    size_t dimension;     /* along which the pieces follow each other */
} qn_stream_output;

typedef struct qn_stream_options { /* zero-initialise */
    int64_t chunk;                 /* indices that a piece has along the streamed dimension; 0: as many as chunk_bytes allows */
    uint64_t chunk_bytes;          /* what a piece takes of all streamed arrays together, about; 0: 64 MiB */
    double deadline_ms;            /* as in qn_call_options */
    const volatile int32_t *cancel;
    /* Where streamed outputs go; all NULL: to arrays in memory, as in qn_call. A status other than QN_OK ends the call with it; *error is to be
     * filled in then. Calls come from the calling thread, pieces of an output in order, without gaps. */
    qn_status (*begin)(void *user, const qn_stream_output *output, qn_error *error);                              /* once, before its first piece */
    qn_status (*write)(void *user, const qn_stream_output *output, int64_t offset, const DLTensor *piece, qn_error *error); /* offset: of the piece along the dimension */
    qn_status (*finish)(void *user, const qn_stream_output *output, qn_error *error);                             /* once, after its last; shape is known. Not after a failure */
    /* Indices from .. to of an input along its streamed dimension will not be read again in this pass. NULL: nobody wants to know. */
    void (*consumed)(void *user, size_t input, size_t dimension, int64_t from, int64_t to);
    void (*progress)(void *user, double share);    /* after each piece: 0 to 1. NULL: none */
    void *user;
} qn_stream_options;

/* Runs the kernel piece by piece along one dimension of its arrays, with the same bits as qn_call; what must not be held in memory at once is not touched at once.
 * Inputs are tensors in host memory, mapped files for example. With `write` set, streamed outputs go there and their entries in outputs must be and stay NULL; all other
 * outputs, and without `write` all, are as in qn_call. inout arrays are updated in place. Outputs and inouts must not overlap other arguments. QN_USAGE, with a place, for kernels that cannot be streamed:
 * `quern explain` says for which dimensions and why. A reduction along the streamed dimension makes pieces multiples of 4096 indices. options may be NULL. */
qn_status qn_stream(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_array **outputs,
                    size_t output_count, const qn_stream_options *options, qn_error *error);

/* What one call does, counted by running it once in the interpreter (outputs are thrown away, inouts are restored). */
typedef struct qn_counts {
    uint64_t array_bytes;  /* of all inputs, inouts and outputs, each once: the traffic that no cache can avoid */
    uint64_t float_ops;    /* floating-point operations executed; an fma counts two */
    uint64_t instructions; /* of bytecode, executed */
} qn_counts;
qn_status qn_count(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_counts *counts, qn_error *error);

/* ---- which engine ---- */
/* What a machine does, measured once by small kernels and kept in the cache's folder. An operation is one of Quern's IR. */
typedef struct qn_machine {
    double cpu_operation_ns, cpu_byte_ns;       /* one thread: of an operation of a point, of a byte that a stage reads or writes */
    double device_call_us, device_launch_us;    /* a call that does nothing; each further stage */
    double device_points;                       /* that run side by side */
    double device_step_ns, device_byte_ns;      /* an operation of all of these; a byte of the device's memory */
    double in_gbytes, out_gbytes;               /* GB/s of copies of usual (pageable) memory to and from the device */
    double pinned_in_gbytes, pinned_out_gbytes; /* of kDLCUDAHost memory */
} qn_machine;
/* Measures when the cache has it not (a second or so; longer on an emulated device). QN_DEVICE where there is no device. */
qn_status qn_context_machine(qn_context *context, qn_machine *machine, qn_error *error);

typedef struct qn_estimate {
    qn_engine engine;                /* the one that is expected to be done first: CPU or CUDA */
    double cpu_ms, cuda_ms;          /* of a call with these inputs where they lie, outputs on the host */
    double cuda_resident_ms;         /* of one whose arrays stay on the device */
    double operations, bytes, copied_bytes, launches; /* what the estimate is made of */
    double pays_from;                /* CUDA is faster when all sizes are multiplied by this much, or more; 0: not up to a million times as large */
    bool guessed;                    /* loops or sizes depend on data: a guess */
} qn_estimate;
/* Runs nothing (but qn_context_machine). The kernel may be of any engine. QN_USAGE for wrong inputs, QN_DEVICE where there is no device. Thread-safe. */
qn_status qn_kernel_estimate(qn_kernel *kernel, const DLTensor *const *inputs, size_t input_count, qn_estimate *estimate, qn_error *error);

#ifdef __cplusplus
}
#endif
#endif
