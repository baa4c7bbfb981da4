/* Functions of the device code. A unit collects what a piece of code needs from outside: arrays, host values (arguments), device values (read from their slots
 * at the start), kernel-level constants (written into the code), local arrays that live at kernel level. Then the function is made with these as parameters,
 * and every outer value has an LLVM value in e->values before the first instruction is emitted.
 *
 * All arrays of an entry are distinct buffers, so pointers are noalias; what the unit only reads is read through invariant loads. */
#include "compiler/llvm/gpu_internal.h"

#include <stdio.h>
#include <string.h>

enum { GLOBAL = 1, NAME = 256, POINTER_ALIGNMENT = 16, LOCAL_BYTES = 1 << 16, PATIENCE = 4096 /* the stop word is in the host's memory: far away */, KERNEL_CONVENTION = 71 };

/* ---- units ---- */

void qn__unit_begin(qn__gpu *g, qn__unit *unit, const char *what, uint32_t location, uint32_t x, uint32_t y, uint32_t z) {
    *unit = (qn__unit){.number = ++g->unit_count, .what = what, .block = {x, y, z}, .per_thread = 1, .location = location};
}

static uint32_t argument(qn__gpu *g, qn__unit *unit, qn__unit_argument what) {
    qn__unit_argument *place = QN__GROW(g, &unit->arguments, qn__unit_argument);
    if (place) *place = what;
    return unit->arguments.count ? unit->arguments.count - 1 : 0;
}

uint32_t qn__unit_slot(qn__gpu *g, qn__unit *unit, uint32_t slot) {
    return argument(g, unit, (qn__unit_argument){.kind = QN__ARGUMENT_SLOT, .operand = slot});
}

uint32_t qn__unit_scratch(qn__gpu *g, qn__unit *unit, uint32_t scratch) {
    return argument(g, unit, (qn__unit_argument){.kind = QN__ARGUMENT_SCRATCH, .operand = scratch});
}

void qn__unit_value(qn__gpu *g, qn__unit *unit, qn__value v) {
    if (!v || g->place[v] == QN__PLACE_NONE || g->defined_in[v] == unit->number || g->captured_in[v] == unit->number) return;
    g->captured_in[v] = unit->number;
    uint64_t bits;
    if (g->place[v] == QN__PLACE_HOST && !qn__is_const(g->ir, v, &bits)) {
        argument(g, unit, (qn__unit_argument){.kind = QN__ARGUMENT_SLOT, .operand = qn__level_host(g, v), .value = v});
        return;
    }
    qn__value *place = QN__GROW(g, &unit->device, qn__value);
    if (place) *place = v;
    if (g->place[v] == QN__PLACE_DEVICE) qn__level_device(g, v);
}

void qn__unit_array(qn__gpu *g, qn__unit *unit, uint32_t array, bool written) {
    if (g->array_in[array] != unit->number) {
        g->array_in[array] = unit->number;
        g->array_argument[array] = argument(g, unit, (qn__unit_argument){.kind = QN__ARGUMENT_ARRAY, .operand = array});
        for (uint32_t d = 1; d < g->ir->arrays[array].rank; d++) qn__unit_value(g, unit, g->ir->arrays[array].extent[d]);
    }
    qn__unit_argument *arguments = unit->arguments.items;
    if (g->e->failed) return;
    if (written) arguments[g->array_argument[array]].written = true;
    else arguments[g->array_argument[array]].read = true;
}

static void use_local(qn__gpu *g, qn__unit *unit, uint32_t local) {
    if (g->local_scratch[local] == QN__NO_SLOT || g->local_in[local] == unit->number) return;
    g->local_in[local] = unit->number;
    g->local_argument[local] = qn__unit_scratch(g, unit, g->local_scratch[local]);
}

typedef struct collecting { qn__gpu *g; qn__unit *unit; bool stage; } collecting;

static void define(const qn__ir *ir, const qn__instr *instr, void *context) {
    collecting *c = context;
    bool outside = instr->op == QN__OP_PARAM || instr->op == QN__OP_SIZE;
    if (instr->op == QN__OP_LOCAL_ZERO && c->stage) { /* declared in the stage: each point has one of its own */
        c->g->local_in[instr->imm] = c->unit->number;
        c->g->local_argument[instr->imm] = QN__NO_SLOT;
    }
    for (uint32_t i = 0; i < instr->result_count && !outside; i++) c->g->defined_in[instr->first_result + i] = c->unit->number;
    for (uint32_t r = 0; r < instr->region_count; r++) {
        const qn__region *region = &ir->regions[instr->regions[r]];
        for (uint32_t i = 0; i < region->param_count; i++) c->g->defined_in[region->first_param + i] = c->unit->number;
    }
}

static void capture(const qn__ir *ir, const qn__instr *instr, void *context) {
    collecting *c = context;
    if (instr->op == QN__OP_PARAM || instr->op == QN__OP_SIZE) qn__unit_value(c->g, c->unit, instr->first_result);
    for (uint32_t i = 0; i < instr->arg_count; i++) qn__unit_value(c->g, c->unit, instr->args[i]);
    if (instr->op == QN__OP_LOAD) qn__unit_array(c->g, c->unit, (uint32_t)instr->imm, false);
    if (instr->op == QN__OP_STORE || instr->op == QN__OP_ACCUMULATE) qn__unit_array(c->g, c->unit, (uint32_t)instr->imm, true);
    if (instr->op == QN__OP_LOCAL_LOAD || instr->op == QN__OP_LOCAL_STORE || instr->op == QN__OP_LOCAL_ZERO) use_local(c->g, c->unit, (uint32_t)instr->imm);
    if (instr->op == QN__OP_CALL) {
        qn__walk(ir, ir->functions[instr->imm].body, define, c);
        qn__walk(ir, ir->functions[instr->imm].body, capture, c);
    }
}

void qn__unit_region(qn__gpu *g, qn__unit *unit, qn__region_ref region) {
    collecting c = {g, unit, true};
    for (uint32_t i = 0; i < g->ir->regions[region].param_count; i++) g->defined_in[g->ir->regions[region].first_param + i] = unit->number;
    qn__walk(g->ir, region, define, &c);
    qn__walk(g->ir, region, capture, &c);
}

void qn__unit_instr(qn__gpu *g, qn__unit *unit, const qn__instr *instr) {
    bool stage = instr->op == QN__OP_PARALLEL || instr->op == QN__OP_REDUCE || instr->op == QN__OP_SCAN || instr->op == QN__OP_KEEP;
    collecting c = {g, unit, stage};
    define(g->ir, instr, &c);
    for (uint32_t r = 0; r < instr->region_count; r++) qn__walk(g->ir, instr->regions[r], define, &c);
    capture(g->ir, instr, &c);
    for (uint32_t r = 0; r < instr->region_count; r++) qn__walk(g->ir, instr->regions[r], capture, &c);
}

/* ---- the function ---- */

static const char *symbol_of(qn__gpu *g, const qn__unit *unit) {
    char name[NAME];
    int length = snprintf(name, sizeof name, "quern_%.200s_%u_%s", g->ir->name ? g->ir->name : "kernel", g->entries.count, unit->what);
    for (int i = 0; i < length; i++) {
        char c = name[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!plain) name[i] = '_';
    }
    const char *copy = qn__arena_copy_string(g->arena, name, (size_t)length);
    if (!copy) qn__fail(g->e, "out of memory");
    return copy;
}

static void attribute(qn__gpu *g, LLVMValueRef function, LLVMAttributeIndex index, const char *name, uint64_t value) {
    uint32_t kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(function, index, LLVMCreateEnumAttribute(g->e->context, kind, value));
}

static void text_attribute(qn__gpu *g, LLVMValueRef function, const char *name, const char *value) {
    LLVMAttributeRef made = LLVMCreateStringAttribute(g->e->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, made);
}

static LLVMValueRef make_function(qn__gpu *g, const qn__unit *unit, const char *symbol) {
    qn__emitter *e = g->e;
    uint32_t count = unit->arguments.count;
    LLVMTypeRef *types = QN__ARENA_ARRAY(e->arena, LLVMTypeRef, (size_t)count + QN__PLAN_PARAMETERS), global = LLVMPointerTypeInContext(e->context, GLOBAL);
    if (!types) {
        qn__fail(e, "out of memory");
        return NULL;
    }
    const qn__unit_argument *arguments = unit->arguments.items;
    types[0] = global, types[1] = e->i64, types[2] = e->i64;
    for (uint32_t i = 0; i < count; i++) types[QN__PLAN_PARAMETERS + i] = arguments[i].kind == QN__ARGUMENT_SLOT ? e->i64 : global;
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(e->context), types, count + QN__PLAN_PARAMETERS, false);
    LLVMValueRef function = LLVMAddFunction(e->module, symbol, type);
    LLVMSetFunctionCallConv(function, KERNEL_CONVENTION);
    for (uint32_t i = 0; i < count; i++) {
        if (arguments[i].kind == QN__ARGUMENT_SLOT) continue;
        LLVMAttributeIndex at = QN__PLAN_PARAMETERS + 1 + i;
        attribute(g, function, at, "noalias", 0);
        attribute(g, function, at, "align", POINTER_ALIGNMENT);
        if (arguments[i].kind == QN__ARGUMENT_ARRAY && !arguments[i].written) attribute(g, function, at, "readonly", 0);
    }
    attribute(g, function, 1, "align", POINTER_ALIGNMENT);
    char block[64];
    snprintf(block, sizeof block, "%u,%u,%u", unit->block[0], unit->block[1], unit->block[2]);
    text_attribute(g, function, "nvvm.reqntid", block);
    if (!unit->resident) return function;
    snprintf(block, sizeof block, "%u", unit->resident);
    text_attribute(g, function, "nvvm.minctasm", block);
    return function;
}

LLVMValueRef qn__entry_argument(qn__gpu *g, uint32_t number) { return LLVMGetParam(g->e->function, QN__PLAN_PARAMETERS + number); }

static LLVMValueRef from_bits(qn__emitter *e, qn__type type, LLVMValueRef bits) {
    if (type == QN__TYPE_BOOL) return LLVMBuildICmp(e->builder, LLVMIntNE, bits, l_i64(e, 0), "");
    if (qn__type_bits(type) < 64) bits = LLVMBuildTrunc(e->builder, bits, LLVMIntTypeInContext(e->context, qn__type_bits(type)), "");
    return LLVMBuildBitCast(e->builder, bits, l_type(e, type), "");
}

static LLVMValueRef to_bits(qn__emitter *e, qn__type type, LLVMValueRef value) {
    LLVMTypeRef integer = type == QN__TYPE_BOOL ? e->i1 : LLVMIntTypeInContext(e->context, qn__type_bits(type));
    value = LLVMBuildBitCast(e->builder, value, integer, "");
    return qn__type_bits(type) < 64 ? LLVMBuildZExt(e->builder, value, e->i64, "") : value;
}

LLVMValueRef qn__device_slot(qn__gpu *g, uint32_t slot) { return l_field(g->e, g->state, sizeof(qn__device_state) + (size_t)slot * 8); }

void qn__write_slot(qn__gpu *g, qn__value v, LLVMValueRef value, uint32_t slot) {
    l_store(g->e, to_bits(g->e, qn__type_of(g->ir, v), value), qn__device_slot(g, slot));
}

/* A fault of an earlier launch stops this one. */
static void prologue(qn__gpu *g, const qn__unit *unit) {
    qn__emitter *e = g->e;
    g->state = LLVMGetParam(e->function, 0);
    g->key = LLVMGetParam(e->function, 1);
    g->only = LLVMGetParam(e->function, 2);
    LLVMValueRef lowest = l_load(e, e->i64, l_field(e, g->state, offsetof(qn__device_state, lowest)));
    LLVMSetVolatile(lowest, true);
    LLVMBasicBlockRef stopped = l_block(e, "stopped"), go = l_block(e, "go");
    g->reporting = LLVMBuildICmp(e->builder, LLVMIntNE, g->only, l_i64(e, -1), "");
    LLVMValueRef runs = LLVMBuildICmp(e->builder, LLVMIntUGE, lowest, g->key, "");
    if (g->mode == QN__MODE_UNIFORM) runs = LLVMBuildAnd(e->builder, runs, LLVMBuildNot(e->builder, g->reporting, ""), "");
    /* a call that is cancelled makes launches return by way of `lowest`, at any time */
    LLVMValueRef stays = LLVMBuildNot(e->builder, runs, "");
    if (unit->barriers) runs = LLVMBuildNot(e->builder, qn__any_in_block(g, stays), "");
    else if (unit->warps || g->mode == QN__MODE_WARP) runs = LLVMBuildICmp(e->builder, LLVMIntEQ, qn__ballot(g, stays), l_i32(e, 0), "");
    l_branch_likely(e, runs, go, stopped);
    l_enter(e, stopped);
    LLVMBuildRetVoid(e->builder);
    l_enter(e, go);
    g->stop = l_load(e, e->i64, l_field(e, g->state, offsetof(qn__device_state, stop)));
}

static void bind_values(qn__gpu *g, const qn__unit *unit) {
    qn__emitter *e = g->e;
    const qn__unit_argument *arguments = unit->arguments.items;
    for (uint32_t i = 0; i < unit->arguments.count; i++) {
        qn__value v = arguments[i].value;
        if (arguments[i].kind == QN__ARGUMENT_SLOT && v) e->values[v] = from_bits(e, qn__type_of(e->ir, v), qn__entry_argument(g, i));
    }
    const qn__value *device = unit->device.items;
    for (uint32_t i = 0; i < unit->device.count; i++) {
        qn__type type = qn__type_of(e->ir, device[i]);
        uint64_t bits;
        if (qn__is_const(e->ir, device[i], &bits)) e->values[device[i]] = qn__constant(e, type, bits);
        else e->values[device[i]] = from_bits(e, type, l_load(e, e->i64, qn__device_slot(g, g->device[device[i]])));
    }
}

static void bind_arrays(qn__gpu *g, const qn__unit *unit) {
    qn__emitter *e = g->e;
    memset(e->bases, 0, g->ir->array_count * sizeof *e->bases);
    const qn__unit_argument *arguments = unit->arguments.items;
    for (uint32_t i = 0; i < unit->arguments.count; i++) {
        if (arguments[i].kind != QN__ARGUMENT_ARRAY) continue;
        uint32_t number = arguments[i].operand;
        const qn__array *array = &g->ir->arrays[number];
        qn__base *base = &e->bases[number];
        base->data = qn__entry_argument(g, i);
        LLVMValueRef stride = NULL;
        for (uint32_t d = array->rank; d-- > 1;) {
            LLVMValueRef extent = l_scalar(e, array->extent[d]);
            stride = stride ? LLVMBuildMul(e->builder, stride, extent, "") : extent;
            base->stride[d - 1] = stride;
        }
        g->constant[number] = !arguments[i].written;
    }
}

static void bind_locals(qn__gpu *g, const qn__unit *unit) {
    qn__emitter *e = g->e;
    memset(e->locals, 0, (size_t)g->ir->local_count * QN__WIDTHS * sizeof *e->locals);
    for (uint32_t i = 0; i < g->ir->local_count; i++)
        if (g->local_in[i] == unit->number && g->local_argument[i] != QN__NO_SLOT) e->locals[(size_t)i * QN__WIDTHS] = qn__entry_argument(g, g->local_argument[i]);
    e->local_bytes = 0;
}

static bool unit_exchanges(const qn__unit *unit) {
    const qn__unit_argument *arguments = unit->arguments.items;
    for (uint32_t i = 0; i < unit->arguments.count; i++)
        if (arguments[i].kind == QN__ARGUMENT_ARRAY && arguments[i].read && arguments[i].written) return true;
    return false;
}

const char *qn__entry_begin(qn__gpu *g, const qn__unit *unit, qn__mode mode) {
    const char *symbol = g->e->failed ? NULL : symbol_of(g, unit);
    LLVMValueRef function = symbol ? make_function(g, unit, symbol) : NULL;
    if (!function) return NULL;
    qn__emission_function(g->e, function);
    if (!qn__debug_begin(g->e, symbol)) return NULL;
    qn__debug_place(g->e, unit->location);
    g->mode = mode;
    g->leave = NULL;
    g->exchanges = mode == QN__MODE_WARP && unit_exchanges(unit);
    g->in_lanes = false;
    g->keeping = false;
    g->found = NULL;
    g->notes = NULL;
    g->gathered = NULL;
    g->flat = false;
    g->e->point = (qn__point){0};
    for (uint32_t i = 0; i < 2; i++) {
        g->patience[i] = l_alloca(g->e, g->e->i32);
        l_store(g->e, l_i32(g->e, PATIENCE), g->patience[i]);
    }
    prologue(g, unit);
    if (unit->block[0] % QN__WARP == 0)
        g->lane = LLVMBuildAnd(g->e->builder, l_intrinsic(g->e, "llvm.nvvm.read.ptx.sreg.tid.x", NULL, 0, NULL, 0), l_i32(g->e, QN__WARP - 1), "");
    bind_values(g, unit);
    bind_arrays(g, unit);
    bind_locals(g, unit);
    g->leave = l_block(g->e, "leave");
    return symbol;
}

void qn__entry_end(qn__gpu *g) {
    qn__emitter *e = g->e;
    l_jump(e, g->leave);
    l_enter(e, g->leave);
    LLVMBuildRetVoid(e->builder);
    qn__emission_function_end(e);
    qn__debug_function_end(e);
}

/* ---- the platform ---- */

static qn__base base(qn__emitter *e, uint32_t array) {
    if (!e->bases[array].data) qn__fail(e, "an array is used that was not collected");
    return e->bases[array];
}

static void store_field(qn__gpu *g, size_t offset, LLVMValueRef value) { l_store(g->e, value, l_field(g->e, g->state, offset)); }

static void report(qn__gpu *g, LLVMValueRef kind, LLVMValueRef location, LLVMValueRef index, LLVMValueRef extent) {
    store_field(g, offsetof(qn__device_state, kind), kind);
    store_field(g, offsetof(qn__device_state, location), location);
    store_field(g, offsetof(qn__device_state, index), index);
    store_field(g, offsetof(qn__device_state, extent), extent);
}

/* The launch says only that this point failed, or, when it is the one that is asked for, what happened. Uniform code, which could not be run twice (it may have stored
 * what it reads), is one thread and says all at once. */
static void raise_fault(qn__gpu *g, LLVMValueRef kind, LLVMValueRef location, LLVMValueRef index, LLVMValueRef extent, LLVMValueRef number) {
    qn__emitter *e = g->e;
    LLVMBasicBlockRef say = l_block(e, "report"), note = l_block(e, "note"), described = l_block(e, "described"), leave = g->leave;
    l_branch(e, g->reporting, say, note);
    l_enter(e, note);
    LLVMValueRef where = l_field(e, g->state, offsetof(qn__device_state, lowest)), place = LLVMBuildAdd(e->builder, g->key, number, "");
    qn__on_device(g, LLVMBuildAtomicRMW(e->builder, LLVMAtomicRMWBinOpUMin, where, place, LLVMAtomicOrderingMonotonic, false));
    if (g->mode == QN__MODE_UNIFORM) report(g, kind, location, index, extent);
    l_jump(e, leave);
    l_enter(e, say);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, number, g->only, ""), described, leave);
    l_enter(e, described);
    report(g, kind, location, index, extent);
    l_jump(e, leave);
}

static void fault(qn__emitter *e, uint32_t kind, uint32_t location, LLVMValueRef index, LLVMValueRef extent, LLVMValueRef number) {
    qn__gpu *g = qn__gpu_of(e);
    if (!g->keeping) {
        raise_fault(g, l_i32(e, kind), l_i32(e, location), index, extent, number);
        return;
    }
    l_store(e, g->term, g->kept.term);
    l_store(e, l_i32(e, kind), g->kept.kind);
    l_store(e, l_i32(e, location), g->kept.location);
    l_store(e, index, g->kept.index);
    l_store(e, extent, g->kept.extent);
    l_store(e, number, g->kept.number);
    l_jump(e, g->leave);
}

void qn__keep_faults(qn__gpu *g) {
    qn__emitter *e = g->e;
    g->keeping = true;
    g->kept.term = l_alloca(e, e->i64);
    g->kept.kind = l_alloca(e, e->i32);
    g->kept.location = l_alloca(e, e->i32);
    g->kept.index = l_alloca(e, e->i64);
    g->kept.extent = l_alloca(e, e->i64);
    g->kept.number = l_alloca(e, e->i64);
    l_store(e, l_i64(e, INT64_MAX), g->kept.term);
}

void qn__raise_kept(qn__gpu *g) {
    qn__emitter *e = g->e;
    raise_fault(g, l_load(e, e->i32, g->kept.kind), l_load(e, e->i32, g->kept.location), l_load(e, e->i64, g->kept.index), l_load(e, e->i64, g->kept.extent),
                l_load(e, e->i64, g->kept.number));
}

/* Every so often only. In a point that a warp runs together all lanes decide alike; lanes with terms of their own count for themselves. */
static void poll(qn__emitter *e, uint32_t location) {
    (void)location;
    qn__gpu *g = qn__gpu_of(e);
    LLVMBasicBlockRef due = l_block(e, "due"), look = l_block(e, "poll"), on = l_block(e, "on");
    LLVMValueRef patience = g->patience[g->in_lanes], left = LLVMBuildSub(e->builder, l_load(e, e->i32, patience), l_i32(e, 1), "");
    l_store(e, left, patience);
    l_branch_likely(e, LLVMBuildICmp(e->builder, LLVMIntNE, left, l_i32(e, 0), ""), on, due);
    l_enter(e, due);
    l_store(e, l_i32(e, PATIENCE), patience);
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, g->stop, l_i64(e, 0), ""), on, look);
    l_enter(e, look);
    LLVMValueRef word = l_load(e, e->i32, LLVMBuildIntToPtr(e->builder, g->stop, LLVMPointerTypeInContext(e->context, GLOBAL), ""));
    LLVMSetVolatile(word, true);
    LLVMValueRef go_on = LLVMBuildICmp(e->builder, LLVMIntEQ, word, l_i32(e, 0), "");
    if (g->mode == QN__MODE_WARP && !g->in_lanes) /* all lanes decide alike */
        go_on = LLVMBuildICmp(e->builder, LLVMIntEQ, qn__ballot(g, LLVMBuildNot(e->builder, go_on, "")), l_i32(e, 0), "");
    l_branch_likely(e, go_on, on, g->leave);
    l_enter(e, on);
}

/* In a point that a warp runs together one lane stores. */
static LLVMBasicBlockRef before_store(qn__emitter *e) {
    qn__gpu *g = qn__gpu_of(e);
    if (g->mode != QN__MODE_WARP) return NULL;
    if (g->exchanges) qn__warp_barrier(g);
    LLVMBasicBlockRef store = l_block(e, "store"), stored = l_block(e, "stored");
    l_branch(e, LLVMBuildICmp(e->builder, LLVMIntEQ, g->lane, l_i32(e, 0), ""), store, stored);
    l_enter(e, store);
    return stored;
}

static void after_store(qn__emitter *e) {
    if (qn__gpu_of(e)->exchanges) qn__warp_barrier(qn__gpu_of(e));
}

const qn__platform qn__gpu_platform = {.base = base, .fault = fault, .poll = poll, .before_store = before_store, .after_store = after_store,
                                       .accumulate = qn__gpu_accumulate, .push = qn__gpu_push, .block = qn__gpu_block, .local_bytes = LOCAL_BYTES};
