/* A C function of a kernel's raw type that runs it on an engine: libffi hands over the arguments, this file lays them out
 * as the emitted raw function does (compiler/llvm/emit_raw.c), and calls through the same services.
 *
 * ffi_closure_alloc may give memory that is writable and executable at once (Debian 12's libffi 3.4.4 does). A closure is
 * therefore prepared in a page of its own that is made executable, and read-only, afterwards: a call writes nothing to it. */
#include "runtime/raw.h"

#include "runtime/call.h"
#include "runtime/call_private.h"

#include <ffi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SMALL_STACK = 8192 };

struct qn__closure {
    const qn__loaded *loaded;
    void *const *externs;
    qn__raw_kernel kernel;
    void *page;          /* holds the ffi_closure, whose start is the function */
    size_t page_size;
    ffi_cif cif;
    ffi_type **types;
    size_t scalars, sizes, given, total; /* where the tables of a call lie in its memory, behind the views */
};

static ffi_type *scalar_type(uint8_t type) {
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

/* ---- one call ---- */

static void fill_scalar(const qn__parameter *p, const void *from, uint64_t *slot) {
    *slot = 0;
    memcpy(slot, from, qn__type_bytes((qn__type)p->type));
    if (p->type == QN__TYPE_BOOL) *slot = *slot != 0;
}

/* False when an extent is none. */
static bool fill_view(const qn__signature *s, const qn__parameter *p, void *data, const int64_t *sizes, const uint64_t *scalars,
                      qn__view *view) {
    view->data = data;
    for (uint32_t d = 0; d < p->rank; d++)
        if (!qn__dim_value(s, p->dim[d], sizes, scalars, &view->extent[d]) || view->extent[d] < 0 ||
            view->extent[d] >= QN__EXTENT_LIMIT)
            return false;
    qn__row_major(p->rank, view->extent, 1, view->stride);
    return true;
}

static bool kernel_allocates(const qn__signature *s, const qn__parameter *p) {
    for (uint32_t d = 0; d < p->rank; d++)
        if (qn__dim_is_existential(s, p->dim[d])) return true;
    return false;
}

static bool fill_frame(const qn__closure *self, void **arguments, qn__raw_call *call, int64_t *sizes, uint64_t *scalars) {
    const qn__signature *s = self->loaded->image->signature;
    for (uint32_t i = 0; i < s->symbol_count; i++) {
        const void *from = arguments[s->parameter_count + i];
        sizes[i] = s->symbols[i].existential ? **(int64_t *const *)from : *(const int64_t *)from;
    }
    for (uint32_t i = 0; i < s->input_count; i++)
        if (s->parameters[i].kind == QN__PARAMETER_SCALAR) fill_scalar(&s->parameters[i], arguments[i], &scalars[s->parameters[i].index]);
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        const qn__parameter *p = &s->parameters[i];
        if (p->kind == QN__PARAMETER_SCALAR) continue;
        void *data = *(void **)arguments[i];
        if (!fill_view(s, p, data, sizes, scalars, &call->given[p->index])) return false;
        if (!kernel_allocates(s, p)) call->frame.views[p->index] = call->given[p->index];
    }
    return true;
}

/* The sizes that existential symbols got, or that were needed: the largest extent of those outputs. */
static void return_sizes(const qn__signature *s, const qn__view *views, void **arguments) {
    for (uint32_t i = 0; i < s->symbol_count; i++)
        if (s->symbols[i].existential) **(int64_t **)arguments[s->parameter_count + i] = 0;
    for (uint32_t i = s->input_count; i < s->parameter_count; i++)
        for (uint32_t d = 0; d < s->parameters[i].rank; d++) {
            const qn__dim *dim = &s->dims[s->parameters[i].dim[d]];
            if (dim->op != QN__DIM_SYMBOL || !s->symbols[dim->value].existential) continue;
            int64_t *size = *(int64_t **)arguments[s->parameter_count + dim->value];
            const int64_t extent = views[s->parameters[i].index].extent[d];
            if (extent > *size) *size = extent;
        }
}

static const volatile int32_t never = 0;

static int32_t run(const qn__closure *self, void **arguments, char *memory) {
    const qn__signature *s = self->loaded->image->signature;
    const qn__raw_table *table = qn__raw_services();
    uint64_t *scalars = (uint64_t *)(void *)(memory + self->scalars);
    int64_t *sizes = (int64_t *)(void *)(memory + self->sizes);
    qn__view *views = (qn__view *)(void *)memory;
    qn__raw_call call = {.frame = {.scalars = scalars, .sizes = sizes, .views = views, .externs = self->externs, .stop = &never,
                                   .services = table->services, .runtime = &call},
                         .kernel = &self->kernel,
                         .given = (qn__view *)(void *)(memory + self->given),
                         .error = *(void **)arguments[s->parameter_count + s->symbol_count]};
    qn__device_call there;
    if (self->loaded->device) {
        there.where = NULL;
        there.timed = false;
        there.on_span = NULL;
        call.frame.device = &there;
    }
    memset(memory, 0, self->total);
    if (!fill_frame(self, arguments, &call, sizes, scalars)) {
        call.given = NULL;
        return table->end(&call, QN__FAULT_SIZE);
    }
    const int32_t kind = self->loaded->engine->run(self->loaded, &call.frame);
    return_sizes(s, views, arguments);
    return table->end(&call, kind);
}

static void handle(ffi_cif *cif, void *result, void **arguments, void *user) {
    const qn__closure *self = user;
    (void)cif;
    _Alignas(16) char small[SMALL_STACK];
    char *memory = self->total <= sizeof small ? small : malloc(self->total);
    if (memory) {
        *(ffi_arg *)result = (ffi_arg)run(self, arguments, memory);
    } else {
        qn__raw_call call = {.kernel = &self->kernel, .error = *(void **)arguments[cif->nargs - 1]};
        *(ffi_arg *)result = (ffi_arg)qn__raw_services()->end(&call, QN__FAULT_MEMORY);
    }
    if (memory != small) free(memory);
}

/* ---- making ---- */

static bool describe(qn__closure *c) {
    const qn__signature *s = c->loaded->image->signature;
    uint32_t count = 0;
    c->types = calloc((size_t)s->parameter_count + s->symbol_count + 1, sizeof(ffi_type *));
    if (!c->types) return false;
    for (uint32_t i = 0; i < s->parameter_count; i++)
        c->types[count++] = s->parameters[i].kind == QN__PARAMETER_SCALAR ? scalar_type(s->parameters[i].type) : &ffi_type_pointer;
    for (uint32_t i = 0; i < s->symbol_count; i++)
        c->types[count++] = s->symbols[i].existential ? &ffi_type_pointer : &ffi_type_sint64;
    c->types[count++] = &ffi_type_pointer;
    return ffi_prep_cif(&c->cif, FFI_DEFAULT_ABI, count, &ffi_type_sint32, c->types) == FFI_OK;
}

static void lay_out(qn__closure *c) {
    const qn__image *image = c->loaded->image;
    const size_t views = image->array_count * sizeof(qn__view);
    c->given = views;
    c->scalars = 2 * views;
    c->sizes = c->scalars + (image->signature->scalar_count + 1) * sizeof(uint64_t);
    c->total = c->sizes + (image->signature->symbol_count + 1) * sizeof(int64_t);
}

static bool make_code(qn__closure *c) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    c->page_size = (sizeof(ffi_closure) + page - 1) / page * page;
    c->page = mmap(NULL, c->page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (c->page == MAP_FAILED) c->page = NULL;
    return c->page && ffi_prep_closure_loc(c->page, &c->cif, handle, c, c->page) == FFI_OK &&
           mprotect(c->page, c->page_size, PROT_READ | PROT_EXEC) == 0;
}

qn__closure *qn__closure_create(const qn__loaded *loaded, void *const *externs, const char **message) {
    const qn__image *image = loaded->image;
    *message = "out of memory";
    qn__closure *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->loaded = loaded;
    c->externs = externs;
    c->kernel = (qn__raw_kernel){image->signature->name, image->arrays, image->locations, image->array_count, image->location_count};
    lay_out(c);
    if (describe(c)) {
        *message = "the system allows no closures";
        if (make_code(c)) return c;
    }
    qn__closure_destroy(c);
    return NULL;
}

qn__raw_function qn__closure_function(const qn__closure *closure) {
    qn__raw_function function;
    memcpy(&function, &closure->page, sizeof function);
    return function;
}

void qn__closure_destroy(qn__closure *closure) {
    if (!closure) return;
    if (closure->page) munmap(closure->page, closure->page_size);
    free(closure->types);
    free(closure);
}
