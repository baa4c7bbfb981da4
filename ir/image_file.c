/* Images as bytes. One list of fields, written and read by the same functions in two modes, so that the two cannot disagree: `io` either appends
 * a field to the text or takes it from the bytes. Numbers are little endian as in memory (a cache is of one machine). */
#include "ir/image_file.h"

#include <string.h>

enum { MAX_ITEMS = 1 << 24 };

typedef struct io {
    qn__text *out; /* writing when not NULL */
    const unsigned char *at, *end;
    qn__arena *arena;
    bool failed;
} io;

static void raw(io *f, void *field, size_t size) {
    if (f->out) {
        qn__text_add(f->out, field, size);
    } else if (f->failed || (size_t)(f->end - f->at) < size) {
        f->failed = true;
        memset(field, 0, size);
    } else {
        memcpy(field, f->at, size);
        f->at += size;
    }
}

static void u8(io *f, uint8_t *field) { raw(f, field, sizeof *field); }
static void u32(io *f, uint32_t *field) { raw(f, field, sizeof *field); }
static void i64(io *f, int64_t *field) { raw(f, field, sizeof *field); }
static void flag(io *f, bool *field) {
    uint8_t byte = *field;
    u8(f, &byte);
    if (byte > 1) f->failed = true;
    *field = byte == 1;
}

/* A zero-terminated string; NULL is not kept apart from "". */
static void string(io *f, const char **field) {
    uint32_t length = f->out && *field ? (uint32_t)strlen(*field) : 0;
    u32(f, &length);
    if (f->out) {
        if (length) qn__text_add(f->out, *field, length);
        return;
    }
    if (f->failed || (size_t)(f->end - f->at) < length) {
        f->failed = true;
        *field = "";
        return;
    }
    *field = qn__arena_copy_string(f->arena, (const char *)f->at, length);
    if (!*field) f->failed = true;
    f->at += length;
}

/* The number of items of a table; when reading, memory for them. Each item takes at least one byte, which bounds lies. */
static void *table(io *f, const void *items, uint32_t *count, size_t size) {
    u32(f, count);
    if (f->out) return (void *)(uintptr_t)items;
    if (f->failed || *count > MAX_ITEMS || *count > (size_t)(f->end - f->at)) f->failed = true;
    void *memory = f->failed ? NULL : qn__arena_array(f->arena, *count, size);
    if (!memory) {
        f->failed = true;
        *count = 0;
    }
    return memory;
}

static void below(io *f, uint64_t index, uint64_t count) {
    if (index >= count) f->failed = true;
}

static void dims(io *f, qn__signature *s) {
    s->dims = table(f, s->dims, &s->dim_count, sizeof *s->dims);
    for (uint32_t i = 0; i < s->dim_count; i++) {
        qn__dim *d = &s->dims[i];
        u8(f, &d->op);
        i64(f, &d->value);
        u32(f, &d->left);
        u32(f, &d->right);
        below(f, d->op, QN__DIM_MAX + 1);
        if (d->op == QN__DIM_SYMBOL) below(f, (uint64_t)d->value, s->symbol_count);
        if (d->op == QN__DIM_SCALAR) below(f, (uint64_t)d->value, s->scalar_count);
        if (d->op >= QN__DIM_ADD) { /* operands stand before: no cycles */
            below(f, d->left, i);
            below(f, d->right, i);
        }
    }
}

static void symbols(io *f, qn__signature *s) {
    s->symbols = table(f, s->symbols, &s->symbol_count, sizeof *s->symbols);
    for (uint32_t i = 0; i < s->symbol_count; i++) {
        qn__symbol *symbol = &s->symbols[i];
        string(f, &symbol->name);
        flag(f, &symbol->existential);
        u32(f, &symbol->parameter);
        u32(f, &symbol->dimension);
        i64(f, &symbol->addend);
        if (symbol->existential) continue;
        below(f, symbol->parameter, s->parameter_count);
        below(f, symbol->dimension, QN__MAX_RANK);
    }
}

static void parameters(io *f, qn__signature *s, uint32_t array_count) {
    for (uint32_t i = 0; i < s->parameter_count; i++) {
        qn__parameter *p = &s->parameters[i];
        string(f, &p->name);
        u8(f, &p->type);
        u8(f, &p->rank);
        u8(f, &p->kind);
        flag(f, &p->is_size);
        u32(f, &p->index);
        below(f, p->type, QN__TYPE_COUNT);
        below(f, p->rank, QN__MAX_RANK + 1);
        below(f, p->kind, QN__PARAMETER_OUT + 1);
        below(f, p->index, p->kind == QN__PARAMETER_SCALAR ? s->scalar_count : array_count);
        for (uint32_t d = 0; d < p->rank && d < QN__MAX_RANK; d++) {
            u32(f, &p->dim[d]);
            below(f, p->dim[d], s->dim_count);
        }
    }
}

static void signature(io *f, qn__signature *s, uint32_t array_count) {
    string(f, &s->name);
    s->parameters = table(f, s->parameters, &s->parameter_count, sizeof *s->parameters);
    u32(f, &s->input_count);
    u32(f, &s->scalar_count);
    below(f, s->input_count, (uint64_t)s->parameter_count + 1);
    below(f, s->scalar_count, (uint64_t)s->parameter_count + 1);
    symbols(f, s);
    dims(f, s);
    parameters(f, s, array_count);
}

static void arrays(io *f, qn__image *image) {
    qn__image_array *items = table(f, image->arrays, &image->array_count, sizeof *items);
    for (uint32_t i = 0; i < image->array_count; i++) {
        u8(f, &items[i].type);
        u8(f, &items[i].rank);
        u8(f, &items[i].kind);
        string(f, &items[i].name);
        below(f, items[i].type, QN__TYPE_COUNT);
        below(f, items[i].rank, QN__MAX_RANK + 1);
        below(f, items[i].kind, QN__ARRAY_TEMP + 1);
    }
    image->arrays = items;
}

static void externs(io *f, qn__image *image) {
    qn__extern *items = table(f, image->externs, &image->extern_count, sizeof *items);
    for (uint32_t i = 0; i < image->extern_count; i++) {
        string(f, &items[i].name);
        u8(f, &items[i].result_type);
        below(f, items[i].result_type, QN__TYPE_COUNT);
        items[i].param_types = table(f, items[i].param_types, &items[i].param_count, 1);
        for (uint32_t p = 0; p < items[i].param_count; p++) {
            u8(f, &items[i].param_types[p]);
            below(f, items[i].param_types[p], QN__TYPE_COUNT);
        }
    }
    image->externs = items;
}

static void locations(io *f, qn__image *image) {
    qn__location *items = table(f, image->locations, &image->location_count, sizeof *items);
    for (uint32_t i = 0; i < image->location_count; i++) {
        if (i == 0) continue; /* "none" */
        string(f, &items[i].path);
        u32(f, &items[i].line);
        u32(f, &items[i].column);
        u32(f, &items[i].length);
    }
    image->locations = items;
}

static void code(io *f, qn__image *image) {
    uint64_t size = image->code_size;
    raw(f, &size, sizeof size);
    if (f->out) {
        qn__text_add(f->out, image->code, image->code_size);
        return;
    }
    char *memory = f->failed || size > (size_t)(f->end - f->at) ? NULL : qn__arena_alloc(f->arena, size + 1);
    if (!memory) {
        f->failed = true;
        return;
    }
    memcpy(memory, f->at, size);
    memory[size] = 0; /* PTX is a text */
    f->at += size;
    image->code = memory;
    image->code_size = size;
}

static void u64(io *f, uint64_t *field) { raw(f, field, sizeof *field); }

static void plan_steps(io *f, const qn__image *image, qn__plan *plan) {
    qn__plan_step *steps = table(f, plan->steps, &plan->step_count, sizeof *steps);
    for (uint32_t i = 0; i < plan->step_count; i++) {
        qn__plan_step *s = &steps[i];
        u8(f, &s->op);
        u8(f, &s->aux);
        u8(f, &s->type);
        u8(f, &s->result_type);
        u32(f, &s->target);
        u32(f, &s->operand_first);
        u32(f, &s->operand_count);
        u32(f, &s->location);
        u64(f, &s->imm);
        below(f, s->op, QN__PLAN_COUNT);
        below(f, s->type, QN__TYPE_COUNT);
        below(f, s->result_type, QN__TYPE_COUNT);
        below(f, s->location, (uint64_t)image->location_count + 1);
    }
    plan->steps = steps;
}

static void plan_entries(io *f, const qn__image *image, qn__plan *plan) {
    qn__plan_entry *entries = table(f, plan->entries, &plan->entry_count, sizeof *entries);
    for (uint32_t i = 0; i < plan->entry_count; i++) {
        qn__plan_entry *e = &entries[i];
        string(f, &e->symbol);
        for (int d = 0; d < 3; d++) {
            u32(f, &e->block[d]);
            below(f, e->block[d], 1025);
            if (e->block[d] == 0) f->failed = true;
        }
        u32(f, &e->per_thread);
        u32(f, &e->fixed_grid);
        uint8_t *arguments = table(f, e->arguments, &e->argument_count, 1);
        for (uint32_t k = 0; k < e->argument_count; k++) {
            u8(f, &arguments[k]);
            below(f, arguments[k], QN__ARGUMENT_COUNT);
        }
        e->arguments = arguments;
        u32(f, &e->location);
        below(f, e->location, (uint64_t)image->location_count + 1);
    }
    plan->entries = entries;
}

/* What a launch's operands are must fit its entry. */
static void check_launch(io *f, const qn__image *image, const qn__plan *plan, const qn__plan_step *step) {
    below(f, step->imm, plan->entry_count);
    if (f->failed) return;
    const qn__plan_entry *entry = &plan->entries[step->imm];
    if (step->operand_count != entry->argument_count + 3) f->failed = true;
    for (uint32_t k = 0; k < step->operand_count && !f->failed; k++) {
        const uint32_t operand = plan->operands[step->operand_first + k];
        const qn__plan_argument kind = k < 3 ? QN__ARGUMENT_SLOT : (qn__plan_argument)entry->arguments[k - 3];
        below(f, operand, kind == QN__ARGUMENT_ARRAY ? image->array_count : kind == QN__ARGUMENT_SCRATCH ? plan->scratch_count : plan->slot_count);
    }
}

static void check_step(io *f, const qn__image *image, const qn__signature *s, const qn__plan *plan, const qn__plan_step *step) {
    if ((uint64_t)step->operand_first + step->operand_count > plan->operand_count) f->failed = true;
    for (uint32_t k = 0; step->op != QN__PLAN_LAUNCH && k < step->operand_count && !f->failed; k++)
        below(f, plan->operands[step->operand_first + k], plan->slot_count);
    if (f->failed) return;
    const bool one = step->operand_count > 0;
    switch ((qn__plan_op)step->op) {
    case QN__PLAN_PARAM: below(f, step->imm, s->scalar_count); below(f, step->target, plan->slot_count); break;
    case QN__PLAN_SIZE: below(f, step->imm, s->symbol_count); below(f, step->target, plan->slot_count); break;
    case QN__PLAN_EVAL: below(f, step->aux, QN__OP_COUNT); below(f, step->target, plan->slot_count); break;
    case QN__PLAN_MOVE: if (!one) f->failed = true; /* fall through */
    case QN__PLAN_CONST: below(f, step->target, plan->slot_count); break;
    case QN__PLAN_READ: below(f, step->target, plan->slot_count); below(f, step->imm, plan->device_slot_count); break;
    case QN__PLAN_WRITE: if (!one) f->failed = true; below(f, step->imm, plan->device_slot_count); break;
    case QN__PLAN_UNLESS: if (!one) f->failed = true; /* fall through */
    case QN__PLAN_JUMP: below(f, step->target, plan->step_count); break;
    case QN__PLAN_CHECK: if (!one) f->failed = true; below(f, step->aux, QN__FAULT_COUNT); break;
    case QN__PLAN_ALLOC: below(f, step->imm, image->array_count); break;
    case QN__PLAN_SCRATCH: if (!one) f->failed = true; below(f, step->imm, plan->scratch_count); break;
    case QN__PLAN_SWAP: below(f, step->imm, image->array_count); below(f, step->target, image->array_count); break;
    case QN__PLAN_LAUNCH: check_launch(f, image, plan, step); break;
    case QN__PLAN_POLL:
    case QN__PLAN_END:
    case QN__PLAN_COUNT: break;
    }
}

static void plan(io *f, qn__image *image, const qn__signature *s) {
    qn__plan *p = f->out ? NULL : QN__ARENA_NEW(f->arena, qn__plan);
    qn__plan copy = f->out && image->plan ? *image->plan : (qn__plan){0};
    if (!f->out && !p) f->failed = true;
    plan_steps(f, image, &copy);
    uint32_t *operands = table(f, copy.operands, &copy.operand_count, sizeof *operands);
    for (uint32_t i = 0; i < copy.operand_count; i++) u32(f, &operands[i]);
    copy.operands = operands;
    plan_entries(f, image, &copy);
    u32(f, &copy.slot_count);
    u32(f, &copy.device_slot_count);
    u32(f, &copy.scratch_count);
    below(f, copy.slot_count, MAX_ITEMS);
    below(f, copy.device_slot_count, MAX_ITEMS);
    below(f, copy.scratch_count, MAX_ITEMS);
    if (f->out || f->failed) return;
    for (uint32_t i = 0; i < copy.step_count; i++) check_step(f, image, s, &copy, &copy.steps[i]);
    *p = copy;
    image->plan = p;
}

/* A name that may be missing, which is no empty one. */
static void optional(io *f, const char **text) {
    const char *value = *text ? *text : "";
    string(f, &value);
    *text = value && *value ? value : NULL;
}

static void fields(io *f, qn__image *image, qn__signature *s) {
    uint8_t kind = (uint8_t)image->kind;
    u8(f, &kind);
    below(f, kind, QN__IMAGE_PTX + 1);
    if (kind == QN__IMAGE_BYTECODE) f->failed = true;
    image->kind = (qn__image_kind)kind;
    string(f, &image->symbol);
    optional(f, &image->raw_symbol);
    optional(f, &image->externs_symbol);
    arrays(f, image);
    signature(f, s, image->array_count);
    externs(f, image);
    locations(f, image);
    code(f, image);
    if (kind == QN__IMAGE_PTX) plan(f, image, s);
}

void qn__image_save(const qn__image *image, qn__text *out) {
    qn__image copy = *image; /* writing changes nothing that the fields point to */
    qn__signature s = *image->signature;
    io f = {.out = out};
    fields(&f, &copy, &s);
    if (f.failed) out->failed = true;
}

bool qn__image_read(qn__arena *arena, const void *bytes, size_t size, qn__image *image) {
    io f = {.at = bytes, .end = (const unsigned char *)bytes + size, .arena = arena};
    *image = (qn__image){0};
    qn__signature *s = QN__ARENA_NEW(arena, qn__signature);
    if (!s) return false;
    image->signature = s;
    fields(&f, image, s);
    return !f.failed && f.at == f.end;
}
