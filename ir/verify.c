/* The verifier: structure, dominance, types and the placement rules of ir.h. It trusts nothing, so it can be given what
 * the reader made of any text, and it reports all faults (up to a number that someone may still read).
 *
 * One walk over the tree. A value is "visible" from its definition to the end of its region. */
#include "ir/passes.h"

#include "ir/abi.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { FAULT_LIMIT = 50, DEPTH_LIMIT = 1000 };

/* Where a region stands. */
typedef struct place {
    bool in_function, in_stage; /* in_stage: inside parallel, keep, reduce or scan */
    bool direct;                /* directly in a region of a parallel */
    bool may_store;             /* array elements may be written */
    qn__instr_ref keep;         /* the keep whose push may stand here */
    uint32_t depth;
} place;

typedef struct verifier {
    const qn__ir *ir;
    qn__text *report;
    uint32_t faults;
    qn__instr_ref at;
    uint8_t *visible;     /* by value */
    uint8_t *seen_region; /* by region */
    uint8_t *seen_instr;  /* by instruction */
} verifier;

static bool verify_region(verifier *v, qn__region_ref ref, qn__instr_ref owner, place where);

__attribute__((format(printf, 2, 3))) static void fault(verifier *v, const char *format, ...) {
    if (v->faults++ >= FAULT_LIMIT) return;
    const qn__ir *ir = v->ir;
    if (v->at) {
        const qn__instr *instr = &ir->instrs[v->at];
        qn__text_format(v->report, "instruction %" PRIu32 " (%s", v->at,
                        instr->op < QN__OP_COUNT ? qn__op_table[instr->op].name : "?");
        if (instr->location && instr->location < ir->location_count)
            qn__text_format(v->report, " @%" PRIu32 ":%" PRIu32, ir->locations[instr->location].line,
                            ir->locations[instr->location].column);
        qn__text_add_string(v->report, "): ");
    }
    va_list list;
    va_start(list, format);
    qn__text_format_list(v->report, format, list);
    va_end(list);
    qn__text_add_char(v->report, '\n');
}

static bool expect(verifier *v, bool good, const char *what) {
    if (!good) fault(v, "%s", what);
    return good;
}

static const char *type_name(uint32_t type) { return type < QN__TYPE_COUNT ? qn__type_table[type].name : "?"; }

static uint32_t type_at(const verifier *v, qn__value value) {
    return value < v->ir->value_count ? v->ir->values[value].type : (uint32_t)QN__TYPE_NONE;
}

static void expect_type(verifier *v, qn__value value, uint32_t type, const char *what) {
    if (type_at(v, value) != type)
        fault(v, "%s has type %s, not %s", what, type_name(type_at(v, value)), type_name(type));
}

/* --- types of plain operations ----------------------------------------------------------------------------------- */

enum { B = 1, I = 2, F = 4 };

/* The classes that an operation works on; 0: not restricted here. */
static int classes_of(uint32_t op) {
    switch ((int)op) {
    case QN__OP_ADD: case QN__OP_SUB: case QN__OP_MUL: case QN__OP_DIV:
    case QN__OP_MIN: case QN__OP_MAX: case QN__OP_NEG: case QN__OP_ABS: return I | F;
    case QN__OP_REM: case QN__OP_SHL: case QN__OP_SHR:
    case QN__OP_POPCOUNT: case QN__OP_CLZ: case QN__OP_CTZ: return I;
    case QN__OP_COPYSIGN: case QN__OP_FMA: case QN__OP_SQRT: case QN__OP_FLOOR:
    case QN__OP_CEIL: case QN__OP_TRUNC: case QN__OP_RINT: return F;
    case QN__OP_AND: case QN__OP_OR: case QN__OP_XOR: case QN__OP_NOT: return B | I;
    case QN__OP_EQ: case QN__OP_NE: case QN__OP_LT: case QN__OP_LE: case QN__OP_GT: case QN__OP_GE: return B | I | F;
    default: return 0;
    }
}

static int class_of(uint32_t type) {
    switch (qn__type_table[type].type_class) {
    case QN__CLASS_BOOL: return B;
    case QN__CLASS_SINT:
    case QN__CLASS_UINT: return I;
    case QN__CLASS_FLOAT: return F;
    default: return 0;
    }
}

static void verify_arithmetic(verifier *v, const qn__instr *instr, int classes) {
    uint32_t type = type_at(v, instr->args[0]);
    for (uint32_t i = 1; i < instr->arg_count; i++) expect_type(v, instr->args[i], type, "an operand");
    bool compare = qn__op_table[instr->op].rule == QN__RULE_CMP;
    expect_type(v, instr->first_result, compare ? (uint32_t)QN__TYPE_BOOL : type, "the result");
    if (!(class_of(type) & classes)) fault(v, "not defined for %s", type_name(type));
    if (type == QN__TYPE_F16 || type == QN__TYPE_BF16) fault(v, "%s is a storage type", type_name(type));
}

static void verify_cast(verifier *v, const qn__instr *instr) {
    uint32_t from = type_at(v, instr->args[0]), to = type_at(v, instr->first_result);
    if (!class_of(from) || !class_of(to)) fault(v, "a cast from %s to %s", type_name(from), type_name(to));
    else if (instr->op == QN__OP_BITCAST && qn__type_bits((qn__type)from) != qn__type_bits((qn__type)to))
        fault(v, "a bitcast from %s to %s", type_name(from), type_name(to));
}

static void verify_leaf(verifier *v, const qn__instr *instr, const place *where) {
    const qn__signature *s = v->ir->signature;
    uint32_t type = type_at(v, instr->first_result);
    switch ((int)instr->op) {
    case QN__OP_CONST: {
        uint32_t bits = type == QN__TYPE_BOOL ? 1 : qn__type_bits((qn__type)type);
        if (!class_of(type) || (bits < 64 && instr->imm >> bits)) fault(v, "a constant that is no %s", type_name(type));
        return;
    }
    case QN__OP_PARAM:
        expect(v, !where->in_function, "parameters of the kernel cannot be read in a function");
        if (s && !expect(v, instr->imm < s->scalar_count, "no such scalar parameter")) return;
        for (uint32_t i = 0; s && i < s->parameter_count; i++)
            if (s->parameters[i].kind == QN__PARAMETER_SCALAR && s->parameters[i].index == instr->imm)
                expect_type(v, instr->first_result, s->parameters[i].type, "the parameter");
        return;
    default:
        expect(v, !where->in_function, "sizes cannot be read in a function");
        if (s) expect(v, instr->imm < s->symbol_count, "no such size symbol");
        expect_type(v, instr->first_result, QN__TYPE_I64, "a size");
    }
}

/* --- memory, checks, calls ---------------------------------------------------------------------------------------- */

static void expect_i64(verifier *v, const qn__value *values, uint32_t count, const char *what) {
    for (uint32_t i = 0; i < count; i++) expect_type(v, values[i], QN__TYPE_I64, what);
}

static const qn__array *array_at(verifier *v, uint64_t index) {
    if (index < v->ir->array_count) return &v->ir->arrays[index];
    fault(v, "no array %" PRIu64, index);
    return NULL;
}

static bool combines(uint32_t op) {
    return op == QN__OP_ADD || op == QN__OP_MUL || op == QN__OP_MIN || op == QN__OP_MAX || op == QN__OP_AND ||
           op == QN__OP_OR;
}

static void verify_memory(verifier *v, const qn__instr *instr, const place *where) {
    const qn__array *array = array_at(v, instr->imm);
    if (!array) return;
    uint32_t value = instr->op == QN__OP_STORE || instr->op == QN__OP_ACCUMULATE;
    if (instr->arg_count != array->rank + value) {
        fault(v, "%" PRIu32 " operands for array '%s' of rank %u", instr->arg_count, array->name, array->rank);
        return;
    }
    expect_i64(v, instr->args, array->rank, instr->op == QN__OP_ALLOC ? "an extent" : "an index");
    expect(v, !where->in_function, "arrays cannot be used in a function");
    if (value) {
        expect_type(v, instr->args[array->rank], array->type, "the stored value");
        expect(v, array->kind != QN__ARRAY_IN, "an input cannot be written");
        expect(v, where->may_store, "array elements cannot be written here");
    }
    if (instr->op == QN__OP_LOAD) expect_type(v, instr->first_result, array->type, "the result");
    if (instr->op == QN__OP_ACCUMULATE &&
        (!combines(instr->aux) || !(classes_of(instr->aux) & class_of(array->type))))
        fault(v, "operation %u cannot accumulate into %s", instr->aux, type_name(array->type));
    if (instr->op == QN__OP_ALLOC) {
        expect(v, array->kind == QN__ARRAY_TEMP, "only temporaries are allocated");
        expect(v, !where->in_stage && !where->in_function, "allowed at kernel level only");
    }
}

static void verify_swap(verifier *v, const qn__instr *instr, const place *where) {
    const qn__array *a = array_at(v, instr->imm), *b = array_at(v, instr->aux);
    expect(v, !where->in_stage && !where->in_function, "allowed at kernel level only");
    if (a && b) expect(v, a->type == b->type && a->rank == b->rank, "the arrays differ in type or rank");
}

static void verify_local(verifier *v, const qn__instr *instr) {
    if (!expect(v, instr->imm < v->ir->local_count, "no such local array")) return;
    const qn__local *local = &v->ir->locals[instr->imm];
    if (instr->op == QN__OP_LOCAL_ZERO) return;
    expect_i64(v, instr->args, 1, "the index");
    expect_type(v, instr->op == QN__OP_LOCAL_LOAD ? instr->first_result : instr->args[1], local->type, "the element");
}

static void verify_check(verifier *v, const qn__instr *instr) {
    if (instr->op == QN__OP_CHECK_INDEX) {
        expect_i64(v, instr->args, 2, "an operand");
    } else if (instr->op == QN__OP_CHECK_NONZERO) {
        if (class_of(type_at(v, instr->args[0])) != I) fault(v, "the operand is no integer");
    } else {
        expect(v, instr->aux > QN__FAULT_NONE && instr->aux < QN__FAULT_COUNT, "no such fault");
        expect_type(v, instr->args[0], QN__TYPE_BOOL, "the condition");
        expect_i64(v, instr->args + 1, instr->arg_count - 1, "a reported number");
    }
}

static void verify_called(verifier *v, const qn__instr *instr) {
    const qn__ir *ir = v->ir;
    if (instr->op == QN__OP_EXTERN_CALL) {
        if (!expect(v, instr->imm < ir->extern_count, "no such host function")) return;
        const qn__extern *host = &ir->externs[instr->imm];
        if (!expect(v, instr->arg_count == host->param_count, "the number of operands differs from the host function's"))
            return;
        for (uint32_t i = 0; i < host->param_count; i++)
            expect_type(v, instr->args[i], host->param_types[i], "an operand");
        expect_type(v, instr->first_result, host->result_type, "the result");
        return;
    }
    if (!expect(v, instr->imm < ir->function_count, "no such function")) return;
    const qn__function *function = &ir->functions[instr->imm];
    const qn__region *body = &ir->regions[function->body];
    if (!expect(v, instr->arg_count == body->param_count && instr->result_count == function->result_count,
                "the number of operands or results differs from the function's"))
        return;
    for (uint32_t i = 0; i < instr->arg_count; i++)
        expect_type(v, instr->args[i], type_at(v, body->first_param + i), "an operand");
    for (uint32_t i = 0; i < instr->result_count; i++)
        expect_type(v, instr->first_result + i, function->result_types[i], "a result");
}

/* --- structured control flow -------------------------------------------------------------------------------------- */

/* The region's yield, or NULL. */
static const qn__instr *yield_of(const verifier *v, qn__region_ref region) {
    qn__instr_ref last = v->ir->regions[region].last;
    const qn__instr *instr = &v->ir->instrs[last];
    return last && instr->op == QN__OP_YIELD ? instr : NULL;
}

/* Compares `count` types: those of consecutive values with those of a list. */
static void expect_same(verifier *v, const qn__value *list, uint32_t list_count, qn__value first, uint32_t count,
                        const char *what) {
    if (list_count != count) {
        fault(v, "%s: %" PRIu32 " instead of %" PRIu32, what, list_count, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) expect_type(v, list[i], type_at(v, first + i), what);
}

static void expect_yield(verifier *v, qn__region_ref region, qn__value first, uint32_t count, const char *what) {
    const qn__instr *yield = yield_of(v, region);
    if (yield) expect_same(v, yield->args, yield->arg_count, first, count, what);
}

/* Parameters: `indices` of i64, then `groups` times the types of the values in list. */
static bool expect_params(verifier *v, qn__region_ref region, uint32_t indices, const qn__value *list, uint32_t count,
                          uint32_t groups) {
    const qn__region *r = &v->ir->regions[region];
    uint32_t wanted = indices + groups * count;
    if (r->param_count != wanted) {
        fault(v, "a region with %" PRIu32 " parameters instead of %" PRIu32, r->param_count, wanted);
        return false;
    }
    for (uint32_t i = 0; i < indices; i++) expect_type(v, r->first_param + i, QN__TYPE_I64, "an index variable");
    for (uint32_t g = 0; g < groups; g++)
        for (uint32_t i = 0; i < count; i++)
            expect_type(v, r->first_param + indices + g * count + i, type_at(v, list[i]), "a region's parameter");
    return true;
}

static void verify_loop(verifier *v, const qn__instr *instr) {
    uint32_t bounds = instr->op == QN__OP_WHILE ? 0 : 2;
    if (!expect(v, instr->arg_count >= bounds, "bounds are missing")) return;
    const qn__value *carried = instr->args ? instr->args + bounds : NULL;
    uint32_t count = instr->arg_count - bounds;
    expect_i64(v, instr->args, bounds, "a bound");
    if (instr->op != QN__OP_SCAN)
        expect_same(v, carried, count, instr->first_result, instr->result_count, "the carried values");
    qn__region_ref first = instr->regions[0];
    switch ((int)instr->op) {
    case QN__OP_FOR:
        if (expect_params(v, first, 1, carried, count, 1))
            expect_yield(v, first, instr->first_result, instr->result_count, "the yielded values");
        return;
    case QN__OP_WHILE: {
        const qn__instr *cond = yield_of(v, first);
        expect_params(v, first, 0, carried, count, 1);
        if (cond && expect(v, cond->arg_count == 1, "the condition yields one value"))
            expect_type(v, cond->args[0], QN__TYPE_BOOL, "the condition");
        if (expect_params(v, instr->regions[1], 0, carried, count, 1))
            expect_yield(v, instr->regions[1], instr->first_result, instr->result_count, "the yielded values");
        return;
    }
    case QN__OP_REDUCE:
        expect(v, count > 0, "nothing is reduced");
        if (expect_params(v, first, 1, carried, count, 1))
            expect_yield(v, first, instr->first_result, instr->result_count, "the accumulated values");
        if (expect_params(v, instr->regions[1], 0, carried, count, 2))
            expect_yield(v, instr->regions[1], instr->first_result, instr->result_count, "the combined values");
        return;
    default: break;
    }
    qn__region_ref combine = instr->regions[1], emit = instr->regions[2]; /* scan */
    expect(v, count > 0, "nothing is scanned");
    expect_params(v, first, 1, NULL, 0, 0);
    if (expect_params(v, combine, 0, carried, count, 2)) {
        qn__value types = v->ir->regions[combine].first_param;
        expect_yield(v, first, types, count, "the terms");
        expect_yield(v, combine, types, count, "the combined values");
    }
    if (expect_params(v, emit, 1, carried, count, 1)) expect_yield(v, emit, 0, 0, "the emitted values");
}

static void verify_if(verifier *v, const qn__instr *instr) {
    expect_type(v, instr->args[0], QN__TYPE_BOOL, "the condition");
    for (uint32_t i = 0; i < 2; i++) {
        expect_params(v, instr->regions[i], 0, NULL, 0, 0);
        expect_yield(v, instr->regions[i], instr->first_result, instr->result_count, "the yielded values");
    }
}

static void verify_domain(verifier *v, const qn__instr *instr) {
    bool keep = instr->op == QN__OP_KEEP;
    uint64_t rank = keep ? instr->arg_count / 2 : instr->imm;
    if (!keep && !expect(v, instr->region_count == 1 || instr->region_count == 2, "one or two regions")) return;
    uint64_t wanted = rank * (keep ? 2 : 2 * instr->region_count);
    if (!expect(v, rank <= QN__MAX_RANK && instr->arg_count == wanted, "the bounds do not match the rank")) return;
    expect_i64(v, instr->args, instr->arg_count, "a bound");
    for (uint32_t i = 0; i < instr->region_count; i++) {
        expect_params(v, instr->regions[i], (uint32_t)rank, NULL, 0, 0);
        expect_yield(v, instr->regions[i], 0, 0, "the yielded values");
    }
    if (!keep) return;
    expect_type(v, instr->first_result, QN__TYPE_I64, "the result");
    expect(v, instr->list_count > 0, "no array to fill");
    for (uint32_t i = 0; i < instr->list_count; i++) {
        const qn__array *array = array_at(v, instr->list[i]);
        if (array) expect(v, array->rank == 1 && array->kind != QN__ARRAY_IN, "a filled array is of rank 1 and no input");
    }
}

static void verify_push(verifier *v, const qn__instr *instr, const place *where) {
    if (!expect(v, where->keep, "push stands in a keep, outside loops")) return;
    const qn__instr *keep = &v->ir->instrs[where->keep];
    if (!expect(v, keep->list_count == instr->arg_count, "one value per filled array")) return;
    for (uint32_t i = 0; i < instr->arg_count; i++)
        if (keep->list[i] < v->ir->array_count)
            expect_type(v, instr->args[i], v->ir->arrays[keep->list[i]].type, "a pushed value");
}

/* The pushes on the longest way through a region. */
static uint32_t pushes(const verifier *v, qn__region_ref region) {
    uint32_t count = 0;
    for (qn__instr_ref i = v->ir->regions[region].first; i; i = v->ir->instrs[i].next) {
        const qn__instr *instr = &v->ir->instrs[i];
        uint32_t most = instr->op == QN__OP_PUSH;
        for (uint32_t k = 0; instr->op == QN__OP_IF && k < instr->region_count; k++) {
            uint32_t inner = pushes(v, instr->regions[k]);
            if (inner > most) most = inner;
        }
        count += most;
    }
    return count;
}

static void verify_placement(verifier *v, const qn__instr *instr, const place *where) {
    bool kernel_level = !where->in_stage && !where->in_function;
    if (instr->op == QN__OP_PARALLEL || instr->op == QN__OP_KEEP)
        expect(v, kernel_level, "allowed at kernel level only");
    if (instr->op == QN__OP_SCAN)
        expect(v, kernel_level || where->direct, "allowed at kernel level or directly in a parallel only");
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

static place place_inside(const verifier *v, qn__instr_ref ref, uint32_t region, place where) {
    const qn__instr *instr = &v->ir->instrs[ref];
    place inner = where;
    inner.depth++;
    inner.direct = false;
    switch ((int)instr->op) {
    case QN__OP_PARALLEL: inner.in_stage = inner.direct = inner.may_store = true; break;
    case QN__OP_KEEP: inner.in_stage = true, inner.keep = ref, inner.may_store = false; break;
    case QN__OP_REDUCE: inner.in_stage = true, inner.keep = 0, inner.may_store = false; break;
    case QN__OP_SCAN: inner.in_stage = true, inner.keep = 0, inner.may_store = region == 2; break;
    case QN__OP_FOR:
    case QN__OP_WHILE: inner.keep = 0; break;
    default: break;
    }
    return inner;
}

static void verify_operation(verifier *v, const qn__instr *instr, const place *where) {
    int classes = classes_of(instr->op);
    if (classes) {
        verify_arithmetic(v, instr, classes);
        return;
    }
    switch ((int)instr->op) {
    case QN__OP_CONST: case QN__OP_PARAM: case QN__OP_SIZE: verify_leaf(v, instr, where); return;
    case QN__OP_SELECT:
        expect_type(v, instr->args[0], QN__TYPE_BOOL, "the condition");
        expect_type(v, instr->args[2], type_at(v, instr->args[1]), "the second choice");
        expect_type(v, instr->first_result, type_at(v, instr->args[1]), "the result");
        return;
    case QN__OP_CONVERT: case QN__OP_BITCAST: verify_cast(v, instr); return;
    case QN__OP_LOAD: case QN__OP_STORE: case QN__OP_ACCUMULATE: case QN__OP_ALLOC:
        verify_memory(v, instr, where);
        return;
    case QN__OP_LOCAL_LOAD: case QN__OP_LOCAL_STORE: case QN__OP_LOCAL_ZERO: verify_local(v, instr); return;
    case QN__OP_CHECK_INDEX: case QN__OP_CHECK_NONZERO: case QN__OP_CHECK: verify_check(v, instr); return;
    case QN__OP_CALL: case QN__OP_EXTERN_CALL: verify_called(v, instr); return;
    case QN__OP_IF: verify_if(v, instr); return;
    case QN__OP_FOR: case QN__OP_WHILE: case QN__OP_REDUCE: case QN__OP_SCAN: verify_loop(v, instr); return;
    case QN__OP_KEEP: case QN__OP_PARALLEL: verify_domain(v, instr); return;
    case QN__OP_PUSH: verify_push(v, instr, where); return;
    case QN__OP_SWAP: verify_swap(v, instr, where); return;
    default: return;
    }
}

static bool counts_fit(verifier *v, const qn__instr *instr) {
    const qn__op_info *info = &qn__op_table[instr->op];
    bool good = info->args < 0 || instr->arg_count == (uint32_t)info->args;
    if (instr->op == QN__OP_CHECK) good = instr->arg_count == 1 || instr->arg_count == 3;
    good = expect(v, good, "wrong number of operands");
    good &= expect(v, info->results < 0 || instr->result_count == (uint32_t)info->results, "wrong number of results");
    good &= expect(v, info->regions < 0 || instr->region_count == (uint32_t)info->regions, "wrong number of regions");
    return good;
}

static bool results_fit(verifier *v, const qn__instr *instr) {
    const qn__ir *ir = v->ir;
    if (!instr->result_count) return true;
    if (!expect(v, instr->first_result && instr->first_result < ir->value_count &&
                       instr->result_count <= ir->value_count - instr->first_result,
                "results are no values"))
        return false;
    for (uint32_t i = 0; i < instr->result_count; i++) {
        const qn__value_info *info = &ir->values[instr->first_result + i];
        expect(v, info->instr == v->at && info->index == i, "a result does not know its instruction");
        expect(v, info->type > QN__TYPE_NONE && info->type < QN__TYPE_COUNT, "a result without a type");
    }
    return true;
}

static void verify_instr(verifier *v, qn__instr_ref ref, place where) {
    const qn__ir *ir = v->ir;
    const qn__instr *instr = &ir->instrs[ref];
    v->at = ref;
    if (!expect(v, instr->op < QN__OP_COUNT, "no such operation")) return;
    bool good = counts_fit(v, instr);
    good &= results_fit(v, instr);
    for (uint32_t i = 0; i < instr->arg_count; i++) {
        qn__value a = instr->args[i];
        if (a && a < ir->value_count && v->visible[a]) continue;
        fault(v, "operand %" PRIu32 " is not defined here", i);
        good = false;
    }
    for (uint32_t i = 0; i < instr->region_count; i++) {
        good &= verify_region(v, instr->regions[i], ref, place_inside(v, ref, i, where));
        v->at = ref;
    }
    if (good) {
        verify_placement(v, instr, &where);
        verify_operation(v, instr, &where);
        if (instr->op == QN__OP_KEEP) expect(v, pushes(v, instr->regions[0]) <= 1, "more than one push for a point");
    }
    for (uint32_t i = 0; instr->first_result && i < instr->result_count; i++)
        if (instr->first_result + i < ir->value_count) v->visible[instr->first_result + i] = 1;
}

static void hide(verifier *v, const qn__region *region) {
    const qn__ir *ir = v->ir;
    if (region->param_count) memset(v->visible + region->first_param, 0, region->param_count);
    for (qn__instr_ref i = region->first; i; i = ir->instrs[i].next) {
        const qn__instr *instr = &ir->instrs[i];
        for (uint32_t k = 0; k < instr->result_count && instr->first_result + k < ir->value_count; k++)
            v->visible[instr->first_result + k] = 0;
    }
}

static bool params_fit(verifier *v, const qn__region *region, qn__region_ref ref) {
    const qn__ir *ir = v->ir;
    if (!region->param_count) return true;
    if (!expect(v, region->first_param && region->first_param < ir->value_count &&
                       region->param_count <= ir->value_count - region->first_param,
                "a region's parameters are no values"))
        return false;
    for (uint32_t i = 0; i < region->param_count; i++) {
        const qn__value_info *info = &ir->values[region->first_param + i];
        expect(v, !info->instr && info->region == ref && info->index == i, "a parameter does not know its region");
        expect(v, info->type > QN__TYPE_NONE && info->type < QN__TYPE_COUNT, "a parameter without a type");
    }
    return true;
}

/* False when the region cannot be looked at by its owner. */
static bool verify_region(verifier *v, qn__region_ref ref, qn__instr_ref owner, place where) {
    const qn__ir *ir = v->ir;
    if (!expect(v, ref && ref < ir->region_count, "no such region")) return false;
    if (!expect(v, !v->seen_region[ref], "a region that occurs twice")) return false;
    v->seen_region[ref] = 1;
    const qn__region *region = &ir->regions[ref];
    expect(v, region->owner == owner, "a region does not know its owner");
    if (!expect(v, where.depth < DEPTH_LIMIT, "nested too deeply") || !params_fit(v, region, ref)) return false;
    if (region->param_count) memset(v->visible + region->first_param, 1, region->param_count);
    qn__instr_ref previous = 0;
    for (qn__instr_ref i = region->first; i; previous = i, i = ir->instrs[i].next) {
        if (!expect(v, i < ir->instr_count && !v->seen_instr[i], "an instruction that occurs twice")) return false;
        v->seen_instr[i] = 1;
        const qn__instr *instr = &ir->instrs[i];
        v->at = i;
        expect(v, instr->region == ref && instr->previous == previous, "the list of instructions is broken");
        if (instr->op == QN__OP_YIELD) expect(v, !instr->next, "yield is not the last instruction");
        verify_instr(v, i, where);
    }
    v->at = owner;
    expect(v, region->last == previous, "the end of the list of instructions is broken");
    bool ends = previous && ir->instrs[previous].op == QN__OP_YIELD;
    expect(v, ends, "a region does not end in yield");
    if (where.depth) hide(v, region);
    return ends;
}

static void verify_arrays(verifier *v) {
    const qn__ir *ir = v->ir;
    v->at = 0;
    for (uint32_t i = 0; i < ir->array_count; i++) {
        const qn__array *array = &ir->arrays[i];
        if (array->rank > QN__MAX_RANK || !class_of(array->type < QN__TYPE_COUNT ? array->type : 0)) {
            fault(v, "array '%s': bad rank or type", array->name);
            continue;
        }
        for (uint32_t k = 0; k < array->rank; k++) {
            qn__value extent = array->extent[k];
            bool known = extent && extent < ir->value_count;
            if (known && type_at(v, extent) != QN__TYPE_I64) fault(v, "array '%s': an extent is no i64", array->name);
            if (array->kind != QN__ARRAY_TEMP && !(known && v->visible[extent]))
                fault(v, "array '%s': an extent is not defined at kernel level", array->name);
        }
    }
}

static void verify_functions(verifier *v) {
    const qn__ir *ir = v->ir;
    for (uint32_t i = 0; i < ir->function_count; i++) {
        const qn__function *function = &ir->functions[i];
        v->at = 0;
        if (!verify_region(v, function->body, 0, (place){.in_function = true, .depth = 1})) continue;
        const qn__instr *yield = yield_of(v, function->body);
        if (!expect(v, yield->arg_count == function->result_count, "a function yields the wrong number of values"))
            continue;
        for (uint32_t k = 0; k < function->result_count; k++)
            expect_type(v, yield->args[k], function->result_types[k], "a function's result");
    }
}

bool qn__verify(const qn__ir *ir, qn__text *report) {
    verifier v = {.ir = ir, .report = report};
    v.visible = calloc(1, (size_t)ir->value_count + ir->region_count + ir->instr_count + 3);
    if (!v.visible) {
        qn__text_add_string(report, "out of memory\n");
        return false;
    }
    v.seen_region = v.visible + ir->value_count + 1;
    v.seen_instr = v.seen_region + ir->region_count + 1;
    verify_functions(&v);
    v.at = 0;
    if (verify_region(&v, ir->body, 0, (place){.may_store = true})) {
        const qn__instr *yield = yield_of(&v, ir->body);
        expect(&v, !yield->arg_count, "the kernel yields a value");
    }
    verify_arrays(&v);
    if (v.faults > FAULT_LIMIT) qn__text_format(report, "and %" PRIu32 " more\n", v.faults - FAULT_LIMIT);
    free(v.visible);
    return !v.faults;
}
