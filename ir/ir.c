/* Making, editing and copying IR.
 *
 * Tables grow inside the arena by doubling, so an address of an element is good only until the next one is made: code
 * that builds keeps references (numbers), not pointers.
 * Invariants: element 0 of instrs, values, regions and locations exists and means "none"; once ir->failed is set nothing
 * is added any more and all makers return 0; the instructions of a region form a doubly linked list. */
#include "ir/ir.h"

#include "ir/eval.h"
#include "ir/pass.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TABLE_LIMIT = 1 << 28 }; /* elements of one table: far above every limit of the compiler */

/* Makes room for `more` elements behind `count`. The table is kept as it is when there is no memory. */
static void *grow(qn__ir *ir, void *table, uint32_t count, uint32_t *capacity, uint32_t more, size_t size) {
    if (ir->failed) return NULL;
    if (more > TABLE_LIMIT - count) {
        ir->failed = true;
        return NULL;
    }
    if (table && count + more <= *capacity) return table;
    size_t wide = *capacity;
    void *grown = qn__arena_grow(ir->arena, table, &wide, (size_t)count + more, size);
    if (!grown) {
        ir->failed = true;
        return NULL;
    }
    *capacity = (uint32_t)wide;
    return grown;
}

#define DEFINE_ROOM(table, count, capacity)                                                                            \
    static bool room_##table(qn__ir *ir, uint32_t more) {                                                              \
        void *grown = grow(ir, ir->table, ir->count, &ir->capacity, more, sizeof *ir->table);                          \
        if (grown) ir->table = grown;                                                                                  \
        return grown;                                                                                                  \
    }
DEFINE_ROOM(instrs, instr_count, instr_capacity)
DEFINE_ROOM(values, value_count, value_capacity)
DEFINE_ROOM(regions, region_count, region_capacity)
DEFINE_ROOM(arrays, array_count, array_capacity)
DEFINE_ROOM(locals, local_count, local_capacity)
DEFINE_ROOM(functions, function_count, function_capacity)
DEFINE_ROOM(externs, extern_count, extern_capacity)
DEFINE_ROOM(locations, location_count, location_capacity)
DEFINE_ROOM(remarks, remark_count, remark_capacity)
DEFINE_ROOM(named, named_count, named_capacity)
#undef DEFINE_ROOM

static void *copy_bytes(qn__ir *ir, const void *bytes, size_t count, size_t size) {
    if (ir->failed || !count) return NULL;
    void *copy = qn__arena_array(ir->arena, count, size);
    if (!copy) ir->failed = true;
    else if (bytes) memcpy(copy, bytes, count * size);
    return copy;
}

static const char *copy_name(qn__ir *ir, const char *name) {
    if (!name) name = "";
    const char *copy = qn__arena_copy_string(ir->arena, name, strlen(name));
    if (!copy) ir->failed = true;
    return copy ? copy : "";
}

static uint8_t *copy_types(qn__ir *ir, const qn__type *types, uint32_t count) {
    uint8_t *copy = copy_bytes(ir, NULL, count, 1);
    for (uint32_t i = 0; copy && i < count; i++) copy[i] = (uint8_t)types[i];
    return copy;
}

/* --- the module -------------------------------------------------------------------------------------------------- */

qn__ir *qn__ir_create(qn__arena *arena, const char *name) {
    qn__ir *ir = QN__ARENA_NEW(arena, qn__ir);
    if (!ir) return NULL;
    ir->arena = arena;
    ir->name = copy_name(ir, name);
    if (!room_instrs(ir, 1) || !room_values(ir, 1) || !room_regions(ir, 1) || !room_locations(ir, 1)) return NULL;
    ir->instr_count = ir->value_count = ir->region_count = ir->location_count = 1;
    ir->locations[0].path = "";
    ir->body = qn__region_create(ir, NULL, 0);
    return ir->body ? ir : NULL;
}

uint32_t qn__ir_array(qn__ir *ir, const char *name, qn__type type, uint32_t rank, qn__array_kind kind) {
    if (!room_arrays(ir, 1)) return 0;
    qn__array *array = &ir->arrays[ir->array_count];
    *array = (qn__array){.type = (uint8_t)type, .rank = (uint8_t)rank, .kind = (uint8_t)kind};
    array->name = copy_name(ir, name);
    return ir->array_count++;
}

uint32_t qn__ir_local(qn__ir *ir, const char *name, qn__type type, uint32_t count) {
    if (!room_locals(ir, 1)) return 0;
    ir->locals[ir->local_count] = (qn__local){.name = copy_name(ir, name), .type = (uint8_t)type, .count = count};
    return ir->local_count++;
}

uint32_t qn__ir_location(qn__ir *ir, const char *path, uint32_t line, uint32_t column, uint32_t length) {
    const qn__location *last = &ir->locations[ir->location_count - 1];
    if (!path) path = "";
    if (ir->location_count > 1 && last->line == line && last->column == column && last->length == length &&
        !strcmp(last->path, path))
        return ir->location_count - 1;
    if (!room_locations(ir, 1)) return 0;
    last = &ir->locations[ir->location_count - 1];
    if (strcmp(last->path, path)) path = copy_name(ir, path);
    else path = last->path;
    ir->locations[ir->location_count] = (qn__location){path, line, column, length};
    return ir->location_count++;
}

uint32_t qn__ir_function(qn__ir *ir, const char *name, const qn__type *param_types, uint32_t param_count,
                         const qn__type *result_types, uint32_t result_count) {
    qn__region_ref body = qn__region_create(ir, param_types, param_count);
    uint8_t *results = copy_types(ir, result_types, result_count);
    if (!body || !room_functions(ir, 1)) return 0;
    ir->functions[ir->function_count] = (qn__function){
        .name = copy_name(ir, name), .body = body, .result_count = result_count, .result_types = results};
    return ir->function_count++;
}

uint32_t qn__ir_extern(qn__ir *ir, const char *name, const qn__type *param_types, uint32_t param_count,
                       qn__type result_type) {
    uint8_t *params = copy_types(ir, param_types, param_count);
    if (!room_externs(ir, 1)) return 0;
    ir->externs[ir->extern_count] = (qn__extern){
        .name = copy_name(ir, name), .param_count = param_count, .param_types = params,
        .result_type = (uint8_t)result_type};
    return ir->extern_count++;
}

void qn__ir_remark(qn__ir *ir, qn__remark_kind kind, uint32_t location, const char *format, ...) {
    char text[512];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (length < 0) text[0] = 0;
    if (!room_remarks(ir, 1)) return;
    ir->remarks[ir->remark_count++] =
        (qn__remark){.kind = kind, .location = location, .text = copy_name(ir, text)};
}

void qn__ir_name_value(qn__ir *ir, qn__value value, const char *name, uint32_t location) {
    if (value && room_named(ir, 1)) ir->named[ir->named_count++] = (qn__named){value, location, name};
}

/* --- values and regions ------------------------------------------------------------------------------------------ */

qn__value qn__values_create(qn__ir *ir, uint32_t count, qn__instr_ref instr, qn__region_ref region) {
    if (!count || !room_values(ir, count)) return 0;
    qn__value first = ir->value_count;
    for (uint32_t i = 0; i < count; i++)
        ir->values[first + i] = (qn__value_info){.instr = instr, .region = region, .index = i};
    ir->value_count += count;
    return first;
}

qn__region_ref qn__region_create(qn__ir *ir, const qn__type *param_types, uint32_t param_count) {
    if (!room_regions(ir, 1)) return 0;
    qn__region_ref ref = ir->region_count;
    qn__value first = qn__values_create(ir, param_count, 0, ref);
    if (param_count && !first) return 0;
    ir->regions[ref] = (qn__region){.first_param = first, .param_count = param_count};
    for (uint32_t i = 0; i < param_count; i++) ir->values[first + i].type = (uint8_t)param_types[i];
    ir->region_count++;
    return ref;
}

qn__value qn__region_param(const qn__ir *ir, qn__region_ref region, uint32_t index) {
    const qn__region *r = &ir->regions[region];
    return index < r->param_count ? r->first_param + index : 0;
}

/* --- instructions ------------------------------------------------------------------------------------------------ */

/* Puts a detached instruction in front of `before`, or to the end of the region when that is 0. */
static void link_instr(qn__ir *ir, qn__instr_ref ref, qn__region_ref region, qn__instr_ref before) {
    qn__instr *instr = &ir->instrs[ref];
    qn__region *r = &ir->regions[region];
    qn__instr_ref previous = before ? ir->instrs[before].previous : r->last;
    instr->region = region;
    instr->next = before;
    instr->previous = previous;
    if (previous) ir->instrs[previous].next = ref;
    else r->first = ref;
    if (before) ir->instrs[before].previous = ref;
    else r->last = ref;
}

static void unlink_instr(qn__ir *ir, qn__instr_ref ref) {
    qn__instr *instr = &ir->instrs[ref];
    if (!instr->region) return;
    qn__region *r = &ir->regions[instr->region];
    if (instr->previous) ir->instrs[instr->previous].next = instr->next;
    else r->first = instr->next;
    if (instr->next) ir->instrs[instr->next].previous = instr->previous;
    else r->last = instr->previous;
    instr->region = 0;
    instr->previous = instr->next = 0;
}

static qn__type rule_type(const qn__ir *ir, qn__op op, const qn__value *args, uint32_t arg_count) {
    switch ((qn__rule)qn__op_table[op].rule) {
    case QN__RULE_SAME: return arg_count ? qn__type_of(ir, args[0]) : QN__TYPE_NONE;
    case QN__RULE_CMP: return QN__TYPE_BOOL;
    case QN__RULE_ANY:
    case QN__RULE_NONE: return QN__TYPE_NONE;
    }
    return QN__TYPE_NONE;
}

/* A detached instruction with its own copies of the lists. */
static qn__instr_ref make_instr(qn__ir *ir, qn__instr like) {
    if (!room_instrs(ir, 1)) return 0;
    qn__instr_ref ref = ir->instr_count;
    like.args = copy_bytes(ir, like.args, like.arg_count, sizeof *like.args);
    like.regions = copy_bytes(ir, like.regions, like.region_count, sizeof *like.regions);
    like.list = copy_bytes(ir, like.list, like.list_count, sizeof *like.list);
    like.first_result = qn__values_create(ir, like.result_count, ref, 0);
    like.region = 0;
    like.previous = like.next = 0;
    if (ir->failed) return 0;
    for (uint32_t i = 0; i < like.region_count; i++) ir->regions[like.regions[i]].owner = ref;
    ir->instrs[ref] = like;
    ir->instr_count++;
    return ref;
}

qn__instr_ref qn__build(qn__builder *b, qn__op op, const qn__value *args, uint32_t arg_count,
                        const qn__type *result_types, uint32_t result_count, const qn__region_ref *regions,
                        uint32_t region_count, uint64_t imm) {
    qn__ir *ir = b->ir;
    const qn__op_info *info = &qn__op_table[op];
    if (info->results >= 0) result_count = (uint32_t)info->results;
    qn__instr_ref ref = make_instr(ir, (qn__instr){
        .op = (uint8_t)op, .location = b->location, .arg_count = arg_count, .result_count = result_count,
        .region_count = region_count, .args = (qn__value *)(uintptr_t)args,
        .regions = (qn__region_ref *)(uintptr_t)regions, .imm = imm});
    if (!ref) return 0;
    qn__type inferred = rule_type(ir, op, args, arg_count);
    for (uint32_t i = 0; i < result_count; i++)
        ir->values[ir->instrs[ref].first_result + i].type = (uint8_t)(result_types ? result_types[i] : inferred);
    link_instr(ir, ref, b->region, b->before);
    return ref;
}

static qn__value first_result(const qn__ir *ir, qn__instr_ref ref) { return ref ? ir->instrs[ref].first_result : 0; }

qn__value qn__build_const(qn__builder *b, qn__type type, uint64_t bits) {
    return first_result(b->ir, qn__build(b, QN__OP_CONST, NULL, 0, &type, 1, NULL, 0, bits));
}

qn__value qn__build_i64(qn__builder *b, int64_t value) { return qn__build_const(b, QN__TYPE_I64, (uint64_t)value); }

qn__value qn__build_f64_as(qn__builder *b, qn__type type, double value) {
    return qn__build_const(b, type, qn__eval_from_f64(type, value));
}

qn__value qn__build_unary(qn__builder *b, qn__op op, qn__value a) {
    return first_result(b->ir, qn__build(b, op, &a, 1, NULL, 1, NULL, 0, 0));
}

qn__value qn__build_binary(qn__builder *b, qn__op op, qn__value a, qn__value c) {
    return first_result(b->ir, qn__build(b, op, (qn__value[]){a, c}, 2, NULL, 1, NULL, 0, 0));
}

qn__value qn__build_select(qn__builder *b, qn__value cond, qn__value yes, qn__value no) {
    qn__type type = qn__type_of(b->ir, yes);
    return first_result(b->ir, qn__build(b, QN__OP_SELECT, (qn__value[]){cond, yes, no}, 3, &type, 1, NULL, 0, 0));
}

qn__value qn__build_cast(qn__builder *b, qn__op op, qn__type type, qn__value a) {
    if (qn__type_of(b->ir, a) == type) return a;
    return first_result(b->ir, qn__build(b, op, &a, 1, &type, 1, NULL, 0, 0));
}

qn__value qn__build_load(qn__builder *b, uint32_t array, const qn__value *indices, uint32_t rank) {
    if (array >= b->ir->array_count) return 0;
    qn__type type = (qn__type)b->ir->arrays[array].type;
    return first_result(b->ir, qn__build(b, QN__OP_LOAD, indices, rank, &type, 1, NULL, 0, array));
}

void qn__build_store(qn__builder *b, uint32_t array, const qn__value *indices, uint32_t rank, qn__value value) {
    qn__value args[QN__MAX_RANK + 1] = {0};
    if (rank > QN__MAX_RANK) rank = QN__MAX_RANK;
    if (rank) memcpy(args, indices, rank * sizeof *args);
    args[rank] = value;
    qn__build(b, QN__OP_STORE, args, rank + 1, NULL, 0, NULL, 0, array);
}

void qn__build_check_index(qn__builder *b, qn__value index, qn__value extent) {
    qn__build(b, QN__OP_CHECK_INDEX, (qn__value[]){index, extent}, 2, NULL, 0, NULL, 0, 0);
}

void qn__build_yield(qn__builder *b, const qn__value *values, uint32_t count) {
    qn__build(b, QN__OP_YIELD, values, count, NULL, 0, NULL, 0, 0);
}

/* --- editing ----------------------------------------------------------------------------------------------------- */

void qn__instr_remove(qn__ir *ir, qn__instr_ref instr) { unlink_instr(ir, instr); }

void qn__instr_move_before(qn__ir *ir, qn__instr_ref instr, qn__instr_ref where) {
    if (instr == where) return;
    unlink_instr(ir, instr);
    link_instr(ir, instr, ir->instrs[where].region, where);
}

void qn__replace_uses(qn__ir *ir, qn__value old_value, qn__value new_value) {
    for (uint32_t i = 1; i < ir->instr_count; i++) {
        qn__instr *instr = &ir->instrs[i];
        for (uint32_t k = 0; k < instr->arg_count; k++)
            if (instr->args[k] == old_value) instr->args[k] = new_value;
    }
    for (uint32_t i = 0; i < ir->array_count; i++)
        for (uint32_t k = 0; k < QN__MAX_RANK; k++)
            if (ir->arrays[i].extent[k] == old_value) ir->arrays[i].extent[k] = new_value;
}

/* --- copying ----------------------------------------------------------------------------------------------------- */

/* The map lives in ir->clone_map, indexed by old value; it is all zero between two calls, so that a copy costs time in
 * proportion to what is copied and not to the whole module. */
static qn__value mapped(const qn__ir *ir, qn__value v) {
    return v < ir->clone_capacity && ir->clone_map[v] ? ir->clone_map[v] : v;
}

static void map_values(qn__ir *ir, qn__value from, qn__value to, uint32_t count) {
    for (uint32_t i = 0; i < count && from + i < ir->clone_capacity; i++) ir->clone_map[from + i] = to ? to + i : 0;
}

static bool clone_into(qn__builder *b, qn__region_ref region, bool nested, qn__value *results);

static qn__region_ref clone_nested(qn__builder *b, qn__region_ref source) {
    qn__ir *ir = b->ir;
    const qn__region *old = &ir->regions[source];
    uint32_t count = old->param_count;
    qn__value old_first = old->first_param;
    qn__type *types = copy_bytes(ir, NULL, count, sizeof *types);
    if (count && !types) return 0;
    for (uint32_t i = 0; i < count; i++) types[i] = qn__type_of(ir, old_first + i);
    qn__region_ref fresh = qn__region_create(ir, types, count);
    if (!fresh) return 0;
    if (count) map_values(ir, old_first, ir->regions[fresh].first_param, count);
    qn__builder inner = {.ir = ir, .region = fresh};
    return clone_into(&inner, source, true, NULL) ? fresh : 0;
}

static bool clone_instr(qn__builder *b, qn__instr_ref ref) {
    qn__ir *ir = b->ir;
    qn__instr_ref copy = make_instr(ir, ir->instrs[ref]);
    if (!copy) return false;
    uint32_t region_count = ir->instrs[copy].region_count, arg_count = ir->instrs[copy].arg_count;
    qn__value old_first = ir->instrs[ref].first_result, new_first = ir->instrs[copy].first_result;
    for (uint32_t i = 0; i < ir->instrs[ref].result_count; i++)
        ir->values[new_first + i].type = ir->values[old_first + i].type;
    for (uint32_t i = 0; i < arg_count; i++) ir->instrs[copy].args[i] = mapped(ir, ir->instrs[copy].args[i]);
    for (uint32_t i = 0; i < region_count; i++) {
        qn__region_ref source = ir->instrs[ref].regions[i];
        ir->regions[source].owner = ref; /* make_instr gave it to the copy */
        qn__region_ref fresh = clone_nested(b, source);
        if (!fresh) return false;
        ir->instrs[copy].regions[i] = fresh;
        ir->regions[fresh].owner = copy;
    }
    map_values(ir, old_first, new_first, ir->instrs[ref].result_count);
    link_instr(ir, copy, b->region, b->before);
    return true;
}

/* Copies the instructions. A nested region's yield is copied too, else its operands go to results. */
static bool clone_into(qn__builder *b, qn__region_ref region, bool nested, qn__value *results) {
    qn__ir *ir = b->ir;
    qn__instr_ref end = ir->regions[region].last;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        if (!nested && instr->op == QN__OP_YIELD) {
            for (uint32_t i = 0; results && i < instr->arg_count; i++) results[i] = mapped(ir, instr->args[i]);
        } else if (!clone_instr(b, ref)) {
            return false;
        }
        if (ref == end) break;
    }
    return true;
}

static void clear_map(qn__ir *ir, qn__region_ref region) {
    const qn__region *r = &ir->regions[region];
    map_values(ir, r->first_param, 0, r->param_count);
    for (qn__instr_ref ref = r->first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        map_values(ir, instr->first_result, 0, instr->result_count);
        for (uint32_t i = 0; i < instr->region_count; i++) clear_map(ir, instr->regions[i]);
    }
}

bool qn__clone_region(qn__builder *b, qn__region_ref region, const qn__value *arguments, qn__value *results) {
    qn__ir *ir = b->ir;
    if (ir->failed) return false;
    if (ir->clone_capacity < ir->value_count) {
        uint32_t capacity = ir->value_capacity;
        qn__value *map = copy_bytes(ir, NULL, capacity, sizeof *map);
        if (!map) return false;
        ir->clone_map = map;
        ir->clone_capacity = capacity;
    }
    const qn__region *r = &ir->regions[region];
    for (uint32_t i = 0; i < r->param_count; i++) ir->clone_map[r->first_param + i] = arguments[i];
    bool ok = clone_into(b, region, false, results);
    clear_map(ir, region);
    return ok && !ir->failed;
}

bool qn__is_const(const qn__ir *ir, qn__value value, uint64_t *bits) {
    const qn__instr *instr = qn__definition(ir, value);
    if (!instr || instr->op != QN__OP_CONST) return false;
    if (bits) *bits = instr->imm;
    return true;
}
