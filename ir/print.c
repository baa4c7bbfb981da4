/* The text form of a module: docs/ir.md describes it, read.c reads it.
 *
 * Values are numbered in the order in which they are printed, so that printing what was read gives the same text.
 * Declarations come first, then functions, then the kernel's body; array declarations refer forward to the body. */
#include "ir/passes.h"

#include "ir/abi.h"
#include "ir/eval.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct printer {
    const qn__ir *ir;
    qn__text *out;
    uint32_t *numbers;   /* of values */
    uint32_t next;
    bool *named;         /* of arrays: the name alone says which array */
    const char **paths;  /* the files, in the order of the locations */
    uint32_t path_count;
    uint32_t *path_of;   /* of locations: the file's number plus 1 */
} printer;

/* --- names and references ---------------------------------------------------------------------------------------- */

/* Not <ctype.h>: the host's locale must not matter. */
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static bool is_word(const char *name) {
    if (!name || !is_letter(*name)) return false;
    for (const char *c = name; *c; c++)
        if (!is_letter(*c) && !(*c >= '0' && *c <= '9') && *c != '.') return false;
    return true;
}

/* Bytes as they are, also those that are no UTF-8; control characters, quotes and backslashes as \xHH. */
static void print_string(printer *p, const char *text) {
    qn__text_add_char(p->out, '"');
    for (const char *c = text ? text : ""; *c; c++) {
        bool control = (unsigned char)*c < 32 || *c == 127;
        if (control || *c == '"' || *c == '\\') qn__text_format(p->out, "\\x%02x", (unsigned char)*c);
        else qn__text_add_char(p->out, *c);
    }
    qn__text_add_char(p->out, '"');
}

static void print_name(printer *p, const char *name) {
    if (is_word(name)) qn__text_add_string(p->out, name);
    else print_string(p, name);
}

static void print_type(printer *p, uint32_t type) {
    qn__text_add_string(p->out, type < QN__TYPE_COUNT ? qn__type_table[type].name : "none");
}

static void print_value(printer *p, qn__value v) {
    if (!v) qn__text_add_char(p->out, '_');
    else if (v < p->ir->value_count && p->numbers[v]) qn__text_format(p->out, "%%%" PRIu32, p->numbers[v]);
    else qn__text_format(p->out, "%%undefined.%" PRIu32, v);
}

static void print_values(printer *p, const qn__value *values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (i) qn__text_add_string(p->out, ", ");
        print_value(p, values[i]);
    }
}

static void print_array(printer *p, uint64_t array) {
    if (array < p->ir->array_count && p->named[array]) qn__text_add_string(p->out, p->ir->arrays[array].name);
    else qn__text_format(p->out, "#%" PRIu64, array);
}

static void print_constant(printer *p, qn__type type, uint64_t bits) {
    bool nan = qn__is_float(type) && isnan(qn__eval_to_f64(type, bits));
    if (type == QN__TYPE_F64 && !nan) qn__text_add_f64(p->out, qn__eval_to_f64(type, bits));
    else if (type == QN__TYPE_F32 && !nan) qn__text_add_f32(p->out, (float)qn__eval_to_f64(type, bits));
    else if (type == QN__TYPE_BOOL && bits < 2) qn__text_add_string(p->out, bits ? "true" : "false");
    else if (qn__is_signed(type) && bits == qn__eval_cut(type, bits))
        qn__text_format(p->out, "%" PRId64, qn__eval_int(type, bits));
    else if (qn__is_int(type)) qn__text_format(p->out, "%" PRIu64, bits);
    else qn__text_format(p->out, "0x%" PRIx64, bits);
}

/* --- instructions ------------------------------------------------------------------------------------------------ */

static void print_suffix(printer *p, const qn__instr *instr) {
    static const char *const faults[] = {"none",
#define X(ENUM, text) #ENUM,
#include "ir/faults.def"
#undef X
    };
    if (instr->op == QN__OP_ACCUMULATE && instr->aux < QN__OP_COUNT)
        qn__text_format(p->out, ".%s", qn__op_table[instr->aux].name);
    if (instr->op == QN__OP_CHECK && instr->aux < QN__FAULT_COUNT) qn__text_format(p->out, ".%s", faults[instr->aux]);
}

static void print_subscripts(printer *p, const qn__instr *instr, uint32_t count) {
    if (count > instr->arg_count) count = instr->arg_count;
    qn__text_add_char(p->out, '[');
    print_values(p, instr->args, count);
    qn__text_add_char(p->out, ']');
    if (count == instr->arg_count) return;
    qn__text_add_string(p->out, ", ");
    print_values(p, instr->args + count, instr->arg_count - count);
}

static void print_called(printer *p, const qn__instr *instr) {
    const qn__ir *ir = p->ir;
    const char *name = NULL;
    if (instr->op == QN__OP_CALL && instr->imm < ir->function_count) name = ir->functions[instr->imm].name;
    if (instr->op == QN__OP_EXTERN_CALL && instr->imm < ir->extern_count) name = ir->externs[instr->imm].name;
    qn__text_format(p->out, " #%" PRIu64 " ", instr->imm);
    if (is_word(name)) qn__text_add_string(p->out, name);
    qn__text_add_char(p->out, '(');
    print_values(p, instr->args, instr->arg_count);
    qn__text_add_char(p->out, ')');
}

static void print_operands(printer *p, const qn__instr *instr) {
    qn__text *out = p->out;
    switch ((int)instr->op) {
    case QN__OP_CONST:
        qn__text_add_char(out, ' ');
        print_constant(p, qn__type_of(p->ir, instr->first_result), instr->imm);
        return;
    case QN__OP_PARAM:
    case QN__OP_SIZE: qn__text_format(out, " %" PRIu64, instr->imm); return;
    case QN__OP_LOAD:
    case QN__OP_ALLOC:
        qn__text_add_char(out, ' ');
        print_array(p, instr->imm);
        print_subscripts(p, instr, instr->arg_count);
        return;
    case QN__OP_STORE:
    case QN__OP_ACCUMULATE:
        qn__text_add_char(out, ' ');
        print_array(p, instr->imm);
        print_subscripts(p, instr, instr->arg_count ? instr->arg_count - 1 : 0);
        return;
    case QN__OP_LOCAL_LOAD:
    case QN__OP_LOCAL_STORE:
        qn__text_format(out, " #%" PRIu64, instr->imm);
        print_subscripts(p, instr, 1);
        return;
    case QN__OP_LOCAL_ZERO: qn__text_format(out, " #%" PRIu64, instr->imm); return;
    case QN__OP_CALL:
    case QN__OP_EXTERN_CALL: print_called(p, instr); return;
    case QN__OP_SWAP:
        qn__text_add_char(out, ' ');
        print_array(p, instr->imm);
        qn__text_add_string(out, ", ");
        print_array(p, instr->aux);
        return;
    case QN__OP_KEEP:
        qn__text_add_string(out, " [");
        for (uint32_t i = 0; i < instr->list_count; i++) {
            if (i) qn__text_add_string(out, ", ");
            print_array(p, instr->list[i]);
        }
        qn__text_add_char(out, ']');
        break;
    case QN__OP_PARALLEL: qn__text_format(out, " %" PRIu64, instr->imm); break;
    default: break;
    }
    if (instr->arg_count) qn__text_add_char(out, ' ');
    print_values(p, instr->args, instr->arg_count);
}

static void print_flags(printer *p, const qn__instr *instr) {
    if (instr->flags & QN__FUSE_LEFT) qn__text_add_string(p->out, " !fuse_left");
    if (instr->flags & QN__FUSE_RIGHT) qn__text_add_string(p->out, " !fuse_right");
    if (instr->flags & QN__EXCLUSIVE) qn__text_add_string(p->out, " !exclusive");
    if (instr->flags & QN__CONTRACTION) qn__text_add_string(p->out, " !contraction");
    if (!instr->location || instr->location >= p->ir->location_count) return;
    const qn__location *at = &p->ir->locations[instr->location];
    qn__text_add_string(p->out, " @");
    if (p->path_of[instr->location] > 1) qn__text_format(p->out, "%" PRIu32 "/", p->path_of[instr->location] - 1);
    qn__text_format(p->out, "%" PRIu32 ":%" PRIu32, at->line, at->column);
    if (at->length) qn__text_format(p->out, "+%" PRIu32, at->length);
}

static void number(printer *p, qn__value v) {
    if (v && v < p->ir->value_count && !p->numbers[v]) p->numbers[v] = ++p->next;
}

static void print_typed(printer *p, qn__value first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (i) qn__text_add_string(p->out, ", ");
        print_value(p, first + i);
        qn__text_add_string(p->out, ": ");
        print_type(p, p->ir->values[first + i].type);
    }
}

static void print_region(printer *p, qn__region_ref ref, uint32_t indent) {
    const qn__ir *ir = p->ir;
    const qn__region *region = &ir->regions[ref];
    qn__text_add_char(p->out, '{');
    if (region->param_count) {
        print_typed(p, region->first_param, region->param_count);
        qn__text_add_string(p->out, " ->");
    }
    qn__text_add_char(p->out, '\n');
    for (qn__instr_ref i = region->first; i; i = ir->instrs[i].next) {
        const qn__instr *instr = &ir->instrs[i];
        qn__text_repeat(p->out, ' ', (size_t)indent * 2 + 2);
        if (instr->result_count) {
            print_typed(p, instr->first_result, instr->result_count);
            qn__text_add_string(p->out, " = ");
        }
        qn__text_add_string(p->out, qn__op_table[instr->op].name);
        print_suffix(p, instr);
        print_operands(p, instr);
        print_flags(p, instr);
        for (uint32_t k = 0; k < instr->region_count; k++) {
            qn__text_add_char(p->out, ' ');
            print_region(p, instr->regions[k], indent + 1);
        }
        qn__text_add_char(p->out, '\n');
    }
    qn__text_repeat(p->out, ' ', (size_t)indent * 2);
    qn__text_add_char(p->out, '}');
}

/* Files are numbered by first use; they are few, so a linear search does. */
static void number_path(printer *p, uint32_t location) {
    if (!location || location >= p->ir->location_count || p->path_of[location]) return;
    const char *path = p->ir->locations[location].path;
    uint32_t k = 0;
    while (k < p->path_count && p->paths[k] != path && strcmp(p->paths[k], path) != 0) k++;
    if (k == p->path_count) p->paths[p->path_count++] = path;
    p->path_of[location] = k + 1;
}

static void number_region(printer *p, qn__region_ref ref) {
    const qn__ir *ir = p->ir;
    const qn__region *region = &ir->regions[ref];
    for (uint32_t i = 0; i < region->param_count; i++) number(p, region->first_param + i);
    for (qn__instr_ref i = region->first; i; i = ir->instrs[i].next) {
        const qn__instr *instr = &ir->instrs[i];
        number_path(p, instr->location);
        for (uint32_t k = 0; k < instr->result_count; k++) number(p, instr->first_result + k);
        for (uint32_t k = 0; k < instr->region_count; k++) number_region(p, instr->regions[k]);
    }
}

/* --- declarations ------------------------------------------------------------------------------------------------ */

static void print_dim(printer *p, const qn__dim *dim, uint32_t index) {
    static const char *const names[] = {"const", "symbol", "scalar", "add", "sub", "mul", "div", "rem", "min", "max"};
    qn__text_format(p->out, "dim %" PRIu32 " %s", index, dim->op <= QN__DIM_MAX ? names[dim->op] : "const");
    if (dim->op <= QN__DIM_SCALAR) qn__text_format(p->out, " %" PRId64 "\n", dim->value);
    else qn__text_format(p->out, " %" PRIu32 " %" PRIu32 "\n", dim->left, dim->right);
}

static void print_signature(printer *p, const qn__signature *s) {
    static const char *const kinds[] = {"scalar", "in", "inout", "out"};
    qn__text_add_string(p->out, "signature ");
    print_name(p, s->name);
    qn__text_format(p->out, " inputs %" PRIu32 " scalars %" PRIu32 "\n", s->input_count, s->scalar_count);
    for (uint32_t i = 0; i < s->symbol_count; i++) {
        const qn__symbol *symbol = &s->symbols[i];
        qn__text_add_string(p->out, "symbol ");
        print_name(p, symbol->name);
        if (symbol->existential) qn__text_add_string(p->out, " existential");
        qn__text_format(p->out, " parameter %" PRIu32 " dimension %" PRIu32 " addend %" PRId64 "\n", symbol->parameter,
                        symbol->dimension, symbol->addend);
    }
    for (uint32_t i = 0; i < s->dim_count; i++) print_dim(p, &s->dims[i], i);
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        const qn__parameter *parameter = &s->parameters[i];
        qn__text_add_string(p->out, "parameter ");
        print_name(p, parameter->name);
        qn__text_format(p->out, " %s ", kinds[parameter->kind & 3]);
        print_type(p, parameter->type);
        if (parameter->is_size) qn__text_add_string(p->out, " size");
        qn__text_format(p->out, " index %" PRIu32 " dims", parameter->index);
        for (uint32_t k = 0; k < parameter->rank && k < QN__MAX_RANK; k++)
            qn__text_format(p->out, " %" PRIu32, parameter->dim[k]);
        qn__text_add_char(p->out, '\n');
    }
}

static void print_array_line(printer *p, const qn__array *array) {
    static const char *const kinds[] = {"in", "out", "inout", "temp"};
    qn__text_add_string(p->out, "array ");
    print_name(p, array->name);
    qn__text_format(p->out, " %s ", kinds[array->kind & 3]);
    print_type(p, array->type);
    qn__text_add_string(p->out, " [");
    print_values(p, array->extent, array->rank <= QN__MAX_RANK ? array->rank : QN__MAX_RANK);
    qn__text_add_string(p->out, "]\n");
}

static void print_types(printer *p, const uint8_t *types, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (i) qn__text_add_string(p->out, ", ");
        print_type(p, types[i]);
    }
}

static void print_declarations(printer *p) {
    const qn__ir *ir = p->ir;
    qn__text_add_string(p->out, "kernel ");
    print_name(p, ir->name);
    qn__text_add_string(p->out, ir->fast ? " fast\n" : "\n");
    if (ir->signature) print_signature(p, ir->signature);
    for (uint32_t i = 0; i < p->path_count; i++) {
        qn__text_add_string(p->out, "file ");
        print_string(p, p->paths[i]);
        qn__text_add_char(p->out, '\n');
    }
    for (uint32_t i = 0; i < ir->extern_count; i++) {
        qn__text_add_string(p->out, "extern ");
        print_name(p, ir->externs[i].name);
        qn__text_add_char(p->out, '(');
        print_types(p, ir->externs[i].param_types, ir->externs[i].param_count);
        qn__text_add_string(p->out, ") -> ");
        print_type(p, ir->externs[i].result_type);
        qn__text_add_char(p->out, '\n');
    }
    for (uint32_t i = 0; i < ir->array_count; i++) print_array_line(p, &ir->arrays[i]);
    for (uint32_t i = 0; i < ir->local_count; i++) {
        qn__text_add_string(p->out, "local ");
        print_name(p, ir->locals[i].name);
        qn__text_add_char(p->out, ' ');
        print_type(p, ir->locals[i].type);
        qn__text_format(p->out, " %" PRIu32 "\n", ir->locals[i].count);
    }
    for (uint32_t i = 0; i < ir->function_count; i++) {
        qn__text_add_string(p->out, "function ");
        print_name(p, ir->functions[i].name);
        qn__text_add_string(p->out, " -> ");
        print_types(p, ir->functions[i].result_types, ir->functions[i].result_count);
        qn__text_add_char(p->out, ' ');
        print_region(p, ir->functions[i].body, 0);
        qn__text_add_char(p->out, '\n');
    }
}

static int by_name(const void *a, const void *b) {
    const qn__array *const *x = a, *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);
    return order ? order : (*x < *y ? -1 : *x > *y);
}

/* Names that are words and occur once. */
static bool find_named(printer *p) {
    uint32_t count = p->ir->array_count;
    const qn__array **sorted = calloc((size_t)count + 1, sizeof(*sorted));
    p->named = calloc((size_t)count + 1, sizeof *p->named);
    if (!sorted || !p->named) {
        free(sorted);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) sorted[i] = &p->ir->arrays[i];
    qsort(sorted, count, sizeof(*sorted), by_name);
    for (uint32_t i = 0; i < count; i++) {
        bool twin = (i && !strcmp(sorted[i - 1]->name, sorted[i]->name)) ||
                    (i + 1 < count && !strcmp(sorted[i + 1]->name, sorted[i]->name));
        p->named[sorted[i] - p->ir->arrays] = !twin && is_word(sorted[i]->name);
    }
    free(sorted);
    return true;
}

void qn__ir_print(const qn__ir *ir, qn__text *out) {
    printer p = {.ir = ir, .out = out};
    p.numbers = calloc((size_t)ir->value_count + 1, sizeof *p.numbers);
    p.paths = calloc((size_t)ir->location_count + 1, sizeof(*p.paths));
    p.path_of = calloc((size_t)ir->location_count + 1, sizeof *p.path_of);
    if (p.numbers && p.paths && p.path_of && find_named(&p)) {
        for (uint32_t i = 0; i < ir->function_count; i++) number_region(&p, ir->functions[i].body);
        number_region(&p, ir->body);
        print_declarations(&p);
        qn__text_add_string(out, "body ");
        print_region(&p, ir->body, 0);
        qn__text_add_char(out, '\n');
    } else {
        out->failed = true;
    }
    free(p.numbers);
    free(p.named);
    free(p.paths);
    free(p.path_of);
}
