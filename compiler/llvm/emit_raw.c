/* The raw function: a typed C function beside the kernel's entry, in the same object (ir/raw.h).
 *
 * It fills in views, scalars and sizes on its stack, calls the entry, and returns 0. A kernel that needs nothing of the
 * runtime touches it only when it fails. The entry is called, not inlined: a call costs 1 ns, a second copy of the
 * kernel its compile time again. Requires: the entry has been emitted; leaves e->function at the raw function. */
#include "compiler/llvm/internal.h"
#include "ir/raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PARAMETERS = 256, EXTENT_BITS = 48 };

typedef struct raw {
    qn__emitter *e;
    const qn__signature *signature;
    LLVMValueRef entry;
    LLVMValueRef call, views, scalars, sizes, given; /* on the stack */
    LLVMValueRef table;
    LLVMValueRef bad;     /* i1: an extent overflows, divides by zero or is negative; NULL: none can */
    bool managed;         /* the kernel allocates or swaps */
} raw;

/* ---- the description ---- */

static LLVMValueRef hidden(qn__emitter *e, LLVMTypeRef type, LLVMValueRef value) {
    LLVMValueRef global = LLVMAddGlobal(e->module, type, "");
    LLVMSetInitializer(global, value);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetGlobalConstant(global, true);
    return global;
}

static LLVMValueRef text(qn__emitter *e, const char *string) {
    if (!string) string = "";
    LLVMValueRef value = LLVMConstStringInContext2(e->context, string, strlen(string), false);
    return hidden(e, LLVMTypeOf(value), value);
}

static LLVMValueRef list(qn__emitter *e, LLVMTypeRef type, LLVMValueRef *values, uint32_t count) {
    return hidden(e, LLVMArrayType2(type, count), LLVMConstArray2(type, values, count));
}

static LLVMValueRef *room_for(qn__emitter *e, uint32_t count) {
    LLVMValueRef *values = QN__ARENA_ARRAY(e->arena, LLVMValueRef, (size_t)count + 1);
    if (!values) qn__fail(e, "out of memory");
    return values;
}

static LLVMValueRef describe_arrays(qn__emitter *e) {
    LLVMTypeRef fields[4] = {e->i8, e->i8, e->i8, e->ptr};
    LLVMTypeRef type = LLVMStructTypeInContext(e->context, fields, 4, false);
    LLVMValueRef *values = room_for(e, e->ir->array_count);
    for (uint32_t i = 0; values && i < e->ir->array_count; i++) {
        const qn__array *a = &e->ir->arrays[i];
        LLVMValueRef parts[4] = {l_int(e, e->i8, a->type), l_int(e, e->i8, a->rank), l_int(e, e->i8, a->kind), text(e, a->name)};
        values[i] = LLVMConstStructInContext(e->context, parts, 4, false);
    }
    return values ? list(e, type, values, e->ir->array_count) : NULL;
}

static LLVMValueRef describe_locations(qn__emitter *e) {
    LLVMTypeRef fields[4] = {e->ptr, e->i32, e->i32, e->i32};
    LLVMTypeRef type = LLVMStructTypeInContext(e->context, fields, 4, false);
    LLVMValueRef *values = room_for(e, e->ir->location_count), path = NULL;
    const char *known = NULL;
    for (uint32_t i = 0; values && i < e->ir->location_count; i++) {
        const qn__location *l = &e->ir->locations[i];
        const char *name = l->path ? l->path : "";
        if (!path || strcmp(name, known) != 0) path = text(e, name);
        known = name;
        LLVMValueRef parts[4] = {path, l_i32(e, l->line), l_i32(e, l->column), l_i32(e, l->length)};
        values[i] = LLVMConstStructInContext(e->context, parts, 4, false);
    }
    return values ? list(e, type, values, e->ir->location_count) : NULL;
}

/* A qn__raw_kernel. */
static LLVMValueRef describe(qn__emitter *e) {
    LLVMValueRef arrays = describe_arrays(e), locations = describe_locations(e);
    if (!arrays || !locations) return NULL;
    LLVMValueRef parts[5] = {text(e, e->ir->name), arrays, locations, l_i32(e, e->ir->array_count), l_i32(e, e->ir->location_count)};
    LLVMValueRef value = LLVMConstStructInContext(e->context, parts, 5, false);
    return hidden(e, LLVMTypeOf(value), value);
}

/* Host functions by their names, where the linker knows them; a JIT's runtime fills in the addresses that were registered. */
static LLVMValueRef make_externs(qn__emitter *e, const char *symbol) {
    LLVMValueRef *values = room_for(e, e->ir->extern_count);
    if (!values) return NULL;
    for (uint32_t i = 0; i < e->ir->extern_count; i++) {
        const char *name = e->ir->externs[i].name;
        values[i] = LLVMGetNamedFunction(e->module, name);
        if (values[i]) continue;
        values[i] = LLVMAddFunction(e->module, name, LLVMFunctionType(e->i32, NULL, 0, false));
        LLVMSetLinkage(values[i], LLVMExternalWeakLinkage);
    }
    LLVMTypeRef type = LLVMArrayType2(e->ptr, e->ir->extern_count);
    LLVMValueRef table = LLVMAddGlobal(e->module, type, symbol);
    LLVMSetInitializer(table, LLVMConstArray2(e->ptr, values, e->ir->extern_count));
    return table;
}

/* ---- extents ---- */

static void note_bad(raw *r, LLVMValueRef bad) {
    r->bad = r->bad ? LLVMBuildOr(r->e->builder, r->bad, bad, "") : bad;
}

static LLVMValueRef checked(raw *r, const char *name, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef pair = l_call2(r->e, name, a, b);
    note_bad(r, LLVMBuildExtractValue(r->e->builder, pair, 1, ""));
    return LLVMBuildExtractValue(r->e->builder, pair, 0, "");
}

/* Divisors that would trap become 1. */
static LLVMValueRef divided(raw *r, qn__dim_op op, LLVMValueRef a, LLVMValueRef b) {
    LLVMBuilderRef builder = r->e->builder;
    LLVMValueRef zero = LLVMBuildICmp(builder, LLVMIntEQ, b, l_i64(r->e, 0), "");
    LLVMValueRef minus = LLVMBuildICmp(builder, LLVMIntEQ, b, l_i64(r->e, -1), "");
    LLVMValueRef least = LLVMBuildICmp(builder, LLVMIntEQ, a, l_i64(r->e, INT64_MIN), "");
    LLVMValueRef over = LLVMBuildAnd(builder, minus, least, "");
    note_bad(r, zero);
    if (op == QN__DIM_DIV) note_bad(r, over);
    LLVMValueRef safe = l_select(r->e, LLVMBuildOr(builder, zero, over, ""), l_i64(r->e, 1), b);
    return op == QN__DIM_DIV ? LLVMBuildSDiv(builder, a, safe, "") : LLVMBuildSRem(builder, a, safe, "");
}

static LLVMValueRef dim_value(raw *r, uint32_t dim) {
    qn__emitter *e = r->e;
    const qn__dim *d = &r->signature->dims[dim];
    if (d->op == QN__DIM_CONST) return l_i64(e, d->value);
    if (d->op == QN__DIM_SYMBOL) return l_load(e, e->i64, l_field(e, r->sizes, (size_t)d->value * sizeof(int64_t)));
    if (d->op == QN__DIM_SCALAR) return l_load(e, e->i64, l_field(e, r->scalars, (size_t)d->value * sizeof(uint64_t)));
    LLVMValueRef a = dim_value(r, d->left), b = dim_value(r, d->right);
    switch ((qn__dim_op)d->op) {
    case QN__DIM_ADD: return checked(r, "llvm.sadd.with.overflow", a, b);
    case QN__DIM_SUB: return checked(r, "llvm.ssub.with.overflow", a, b);
    case QN__DIM_MUL: return checked(r, "llvm.smul.with.overflow", a, b);
    case QN__DIM_DIV:
    case QN__DIM_REM: return divided(r, (qn__dim_op)d->op, a, b);
    case QN__DIM_MIN: return l_call2(e, "llvm.smin", a, b);
    case QN__DIM_MAX: return l_call2(e, "llvm.smax", a, b);
    case QN__DIM_CONST:
    case QN__DIM_SYMBOL:
    case QN__DIM_SCALAR: break;
    }
    return l_i64(e, 0);
}

/* Extents that are names are the caller's word; what is computed must be a size. */
static LLVMValueRef extent_value(raw *r, uint32_t dim) {
    LLVMValueRef value = dim_value(r, dim);
    const uint8_t op = r->signature->dims[dim].op;
    if (op == QN__DIM_CONST || op == QN__DIM_SYMBOL) return value;
    note_bad(r, LLVMBuildICmp(r->e->builder, LLVMIntUGE, value, l_i64(r->e, INT64_C(1) << EXTENT_BITS), ""));
    return value;
}

static bool is_existential(const qn__signature *s, uint32_t dim) {
    const qn__dim *d = &s->dims[dim];
    if (d->op == QN__DIM_SYMBOL) return s->symbols[d->value].existential;
    return d->op > QN__DIM_SCALAR && (is_existential(s, d->left) || is_existential(s, d->right));
}

static bool kernel_allocates(const qn__signature *s, const qn__parameter *p) {
    for (uint32_t d = 0; d < p->rank; d++)
        if (is_existential(s, p->dim[d])) return true;
    return false;
}

/* ---- arguments ---- */

static LLVMValueRef view_field(raw *r, LLVMValueRef views, uint32_t array, size_t offset) {
    return l_field(r->e, views, (size_t)array * sizeof(qn__view) + offset);
}

static void fill_view(raw *r, LLVMValueRef views, const qn__parameter *p, LLVMValueRef data) {
    qn__emitter *e = r->e;
    LLVMValueRef stride = l_i64(e, 1);
    l_store(e, data, view_field(r, views, p->index, offsetof(qn__view, data)));
    for (uint32_t d = p->rank; d-- > 0;) {
        LLVMValueRef extent = extent_value(r, p->dim[d]);
        l_store(e, extent, view_field(r, views, p->index, offsetof(qn__view, extent) + d * sizeof(int64_t)));
        l_store(e, stride, view_field(r, views, p->index, offsetof(qn__view, stride) + d * sizeof(int64_t)));
        if (d) stride = LLVMBuildMul(e->builder, stride, extent, "");
    }
}

/* A view without data: of a temporary, or of what the kernel will allocate. */
static void clear_view(raw *r, uint32_t array, uint32_t rank) {
    qn__emitter *e = r->e;
    l_store(e, LLVMConstNull(e->ptr), view_field(r, r->views, array, offsetof(qn__view, data)));
    for (uint32_t d = 0; d < rank; d++)
        l_store(e, l_i64(e, 0), view_field(r, r->views, array, offsetof(qn__view, extent) + d * sizeof(int64_t)));
}

static void fill_scalar(raw *r, const qn__parameter *p, LLVMValueRef value) {
    qn__emitter *e = r->e;
    const uint32_t bits = qn__type_bits((qn__type)p->type);
    if (p->type == QN__TYPE_BOOL) value = LLVMBuildICmp(e->builder, LLVMIntNE, value, l_int(e, e->i8, 0), "");
    if (p->type == QN__TYPE_F32) value = LLVMBuildBitCast(e->builder, value, e->i32, "");
    if (p->type == QN__TYPE_F64) value = LLVMBuildBitCast(e->builder, value, e->i64, "");
    if (bits < 64) value = LLVMBuildZExt(e->builder, value, e->i64, "");
    l_store(e, value, l_field(e, r->scalars, p->index * sizeof(uint64_t)));
}

static void fill_sizes(raw *r) {
    qn__emitter *e = r->e;
    for (uint32_t s = 0; s < r->signature->symbol_count; s++) {
        LLVMValueRef value = LLVMGetParam(e->function, r->signature->parameter_count + s);
        if (r->signature->symbols[s].existential) value = l_load(e, e->i64, value);
        l_store(e, value, l_field(e, r->sizes, s * sizeof(int64_t)));
    }
}

static void fill_arguments(raw *r) {
    const qn__signature *s = r->signature;
    fill_sizes(r);
    for (uint32_t i = 0; i < s->parameter_count; i++)
        if (s->parameters[i].kind == QN__PARAMETER_SCALAR) fill_scalar(r, &s->parameters[i], LLVMGetParam(r->e->function, i));
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        const qn__parameter *p = &s->parameters[i];
        if (p->kind == QN__PARAMETER_SCALAR) continue;
        if (kernel_allocates(s, p)) clear_view(r, p->index, p->rank);
        else fill_view(r, r->views, p, LLVMGetParam(r->e->function, i));
        if (r->managed && p->kind != QN__PARAMETER_IN) fill_view(r, r->given, p, LLVMGetParam(r->e->function, i));
    }
    for (uint32_t i = 0; i < r->e->ir->array_count; i++)
        if (r->e->ir->arrays[i].kind == QN__ARRAY_TEMP) clear_view(r, i, r->e->ir->arrays[i].rank);
}

/* The largest extent of the outputs that have this existential symbol: all are equal, but when one had too little room. */
static LLVMValueRef largest_extent(raw *r, uint32_t symbol) {
    const qn__signature *s = r->signature;
    LLVMValueRef largest = l_i64(r->e, 0);
    for (uint32_t i = s->input_count; i < s->parameter_count; i++)
        for (uint32_t d = 0; d < s->parameters[i].rank; d++) {
            const qn__dim *dim = &s->dims[s->parameters[i].dim[d]];
            if (dim->op != QN__DIM_SYMBOL || dim->value != symbol) continue;
            const size_t offset = offsetof(qn__view, extent) + d * sizeof(int64_t);
            LLVMValueRef extent = l_load(r->e, r->e->i64, view_field(r, r->views, s->parameters[i].index, offset));
            largest = l_call2(r->e, "llvm.smax", largest, extent);
        }
    return largest;
}

/* The sizes that existential symbols got, or that were needed. */
static void return_sizes(raw *r) {
    const qn__signature *s = r->signature;
    for (uint32_t i = 0; i < s->symbol_count; i++)
        if (s->symbols[i].existential) l_store(r->e, largest_extent(r, i), LLVMGetParam(r->e->function, s->parameter_count + i));
}

/* ---- the function ---- */

static LLVMTypeRef function_type(qn__emitter *e, const qn__signature *s) {
    LLVMTypeRef types[MAX_PARAMETERS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->parameter_count; i++)
        types[count++] = s->parameters[i].kind == QN__PARAMETER_SCALAR ? l_memory_type(e, (qn__type)s->parameters[i].type) : e->ptr;
    for (uint32_t i = 0; i < s->symbol_count; i++) types[count++] = s->symbols[i].existential ? e->ptr : e->i64;
    types[count++] = e->ptr;
    return LLVMFunctionType(e->i32, types, count, false);
}

static void set_field(raw *r, size_t offset, LLVMValueRef value) { l_store(r->e, value, l_field(r->e, r->call, offset)); }

static LLVMValueRef services_table(qn__emitter *e) {
    LLVMTypeRef type = LLVMFunctionType(e->ptr, NULL, 0, false);
    LLVMValueRef function = LLVMGetNamedFunction(e->module, "qn__raw_services");
    if (!function) function = LLVMAddFunction(e->module, "qn__raw_services", type);
    return LLVMBuildCall2(e->builder, type, function, NULL, 0, "");
}

static void fill_call(raw *r, LLVMValueRef kernel) {
    qn__emitter *e = r->e;
    set_field(r, offsetof(qn__raw_call, kernel), kernel);
    set_field(r, offsetof(qn__raw_call, given), r->managed ? r->given : LLVMConstNull(e->ptr));
    set_field(r, offsetof(qn__raw_call, blocks), LLVMConstNull(e->ptr));
    set_field(r, offsetof(qn__raw_call, error), LLVMGetLastParam(e->function));
}

static void fill_frame(raw *r, LLVMValueRef externs) {
    qn__emitter *e = r->e;
    set_field(r, offsetof(qn__frame, scalars), r->scalars);
    set_field(r, offsetof(qn__frame, sizes), r->sizes);
    set_field(r, offsetof(qn__frame, views), r->views);
    if (externs) set_field(r, offsetof(qn__frame, externs), externs);
    set_field(r, offsetof(qn__frame, parallel), LLVMConstNull(e->ptr));
    set_field(r, offsetof(qn__frame, begin), l_i64(e, 0));
    set_field(r, offsetof(qn__frame, end), l_i64(e, INT64_MAX));
    set_field(r, offsetof(qn__frame, stop), hidden(e, e->i32, l_i32(e, 0)));
}

static void end_call(raw *r, LLVMValueRef table, LLVMValueRef kind) {
    qn__emitter *e = r->e;
    LLVMTypeRef params[2] = {e->ptr, e->i32};
    LLVMTypeRef type = LLVMFunctionType(e->i32, params, 2, false);
    LLVMValueRef end = l_load(e, e->ptr, l_field(e, table, offsetof(qn__raw_table, end)));
    LLVMBuildRet(e->builder, LLVMBuildCall2(e->builder, type, end, (LLVMValueRef[]){r->call, kind}, 2, ""));
}

static LLVMValueRef run_entry(raw *r) {
    qn__emitter *e = r->e;
    return LLVMBuildCall2(e->builder, LLVMFunctionType(e->i32, &e->ptr, 1, false), r->entry, &r->call, 1, "");
}

/* Leaves with fault SIZE when an extent is none. */
static void leave_if_bad(raw *r, LLVMValueRef kernel) {
    qn__emitter *e = r->e;
    if (!r->bad) return;
    LLVMBasicBlockRef bad = l_block(e, "size"), good = l_block(e, "sizes");
    l_branch_likely(e, LLVMBuildNot(e->builder, r->bad, ""), good, bad);
    l_enter(e, bad);
    for (size_t at = 0; at < sizeof(qn__fault); at += sizeof(int64_t))
        set_field(r, offsetof(qn__frame, fault) + at, l_i64(e, 0));
    fill_call(r, kernel);
    end_call(r, services_table(e), l_i32(e, QN__FAULT_SIZE));
    l_enter(e, good);
}

static void emit_managed(raw *r, LLVMValueRef kernel) {
    qn__emitter *e = r->e;
    fill_call(r, kernel);
    LLVMValueRef table = services_table(e);
    set_field(r, offsetof(qn__frame, services), l_load(e, e->ptr, l_field(e, table, offsetof(qn__raw_table, services))));
    set_field(r, offsetof(qn__frame, runtime), r->call);
    LLVMValueRef kind = run_entry(r);
    return_sizes(r);
    end_call(r, table, kind);
}

static void emit_plain(raw *r, LLVMValueRef kernel) {
    qn__emitter *e = r->e;
    LLVMValueRef kind = run_entry(r);
    LLVMBasicBlockRef good = l_block(e, "done"), bad = l_block(e, "failed");
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntEQ, kind, l_i32(e, 0), ""), good, bad);
    l_enter(e, bad);
    fill_call(r, kernel);
    end_call(r, services_table(e), kind);
    l_enter(e, good);
    LLVMBuildRet(e->builder, l_i32(e, 0));
}

static void note_memory(const qn__ir *ir, const qn__instr *instr, void *context) {
    (void)ir;
    if (instr->op == QN__OP_ALLOC || instr->op == QN__OP_KEEP || instr->op == QN__OP_SWAP) *(bool *)context = true;
}

static LLVMValueRef words(qn__emitter *e, size_t bytes) {
    return l_alloca_array(e, e->i64, (uint32_t)(bytes / sizeof(int64_t)));
}

static void make_stack(raw *r) {
    qn__emitter *e = r->e;
    const size_t views = e->ir->array_count ? e->ir->array_count * sizeof(qn__view) : sizeof(int64_t);
    r->call = words(e, sizeof(qn__raw_call));
    r->views = words(e, views);
    r->scalars = words(e, (r->signature->scalar_count + 1) * sizeof(uint64_t));
    r->sizes = words(e, (r->signature->symbol_count + 1) * sizeof(int64_t));
    if (r->managed) r->given = words(e, views);
}

bool qn__emit_raw(qn__emitter *e, const char *symbol, const char *externs_symbol) {
    const qn__signature *s = e->ir->signature;
    if (!s || s->parameter_count + s->symbol_count + 1 > MAX_PARAMETERS) return false;
    raw r = {.e = e, .signature = s, .entry = e->function};
    qn__walk(e->ir, e->ir->body, note_memory, &r.managed);
    LLVMValueRef kernel = describe(e), externs = e->ir->extern_count ? make_externs(e, externs_symbol) : NULL;
    if (e->failed) return false;
    e->function = LLVMAddFunction(e->module, symbol, function_type(e, s));
    /* optnone, which wants noinline: there is nothing to optimise in it, and a kernel would take 2.5 ms longer to compile, not 1 */
    static const char *const attributes[] = {"nounwind", "noinline", "optnone"};
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t kind = LLVMGetEnumAttributeKindForName(attributes[i], strlen(attributes[i]));
        LLVMAddAttributeAtIndex(e->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(e->context, kind, 0));
    }
    LLVMBasicBlockRef entry = l_block(e, "entry"), start = l_block(e, "start");
    LLVMPositionBuilderAtEnd(e->head, entry);
    l_enter(e, start);
    e->width = 1;
    make_stack(&r);
    fill_arguments(&r);
    leave_if_bad(&r, kernel);
    fill_frame(&r, externs);
    if (r.managed) emit_managed(&r, kernel);
    else emit_plain(&r, kernel);
    LLVMBuildBr(e->head, start);
    return true;
}
