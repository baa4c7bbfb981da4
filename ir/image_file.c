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
    void *memory = f->failed || size > (size_t)(f->end - f->at) ? NULL : qn__arena_alloc(f->arena, size + 1); /* text ends with a zero that is not counted */
    if (!memory) {
        f->failed = true;
        return;
    }
    memcpy(memory, f->at, size);
    ((char *)memory)[size] = 0;
    f->at += size;
    image->code = memory;
    image->code_size = size;
}

/* ---- plans ---- */

/* Like table, for an array that is const in its holder. */
#define TABLE(f, items, count) ((void *)(uintptr_t)table(f, items, &(count), sizeof *(items)))

static void plan_entry(io *f, qn__plan_entry *e) {
    string(f, &e->symbol);
    for (uint32_t i = 0; i < 3; i++) {
        u32(f, &e->block[i]);
        below(f, (uint64_t)e->block[i] - 1, 1024); /* at least 1 */
    }
    below(f, (uint64_t)e->block[0] * e->block[1] * e->block[2] - 1, 1024);
    u32(f, &e->per_thread);
    below(f, (uint64_t)e->per_thread - 1, 1 << 16);
    u32(f, &e->fixed_grid);
    u32(f, &e->location);
    uint8_t *arguments = TABLE(f, e->arguments, e->argument_count);
    for (uint32_t i = 0; i < e->argument_count; i++) {
        u8(f, &arguments[i]);
        below(f, arguments[i], QN__ARGUMENT_COUNT);
    }
    e->arguments = arguments;
}

static const int8_t plan_operands[] = {
#define PLAN(ENUM, name, operands) operands,
#include "ir/plan.def"
#undef PLAN
};

/* What an operand may be, by step: slots nearly everywhere. */
static void check_operands(io *f, const qn__image *image, const qn__plan *p, const qn__plan_step *s) {
    const qn__plan_entry *entry = s->op == QN__PLAN_LAUNCH ? &p->entries[s->imm] : NULL;
    for (uint32_t i = 0; i < s->operand_count && !f->failed; i++) {
        uint8_t kind = entry && i >= 3 ? entry->arguments[i - 3] : QN__ARGUMENT_SLOT;
        uint32_t operand = p->operands[s->operand_first + i];
        below(f, operand, kind == QN__ARGUMENT_ARRAY ? image->array_count : kind == QN__ARGUMENT_SCRATCH ? p->scratch_count : p->slot_count);
    }
}

static void check_eval(io *f, const qn__plan_step *s) {
    below(f, s->aux, QN__OP_COUNT);
    below(f, s->type, QN__TYPE_COUNT);
    below(f, s->result_type, QN__TYPE_COUNT);
    if (f->failed) return;
    const qn__op_info *info = &qn__op_table[s->aux];
    if (info->effect != QN__EFFECT_PURE || info->args < 1 || info->results != 1 || (uint32_t)info->args != s->operand_count) f->failed = true;
}

static void check_step(io *f, const qn__image *image, const qn__plan *p, const qn__plan_step *s) {
    below(f, s->op, QN__PLAN_COUNT);
    below(f, s->location, (uint64_t)image->location_count + !image->location_count);
    below(f, s->operand_count, (uint64_t)p->operand_count + 1);
    if (f->failed) return;
    below(f, s->operand_first, (uint64_t)p->operand_count - s->operand_count + 1);
    if (plan_operands[s->op] >= 0 && s->operand_count != (uint32_t)plan_operands[s->op]) f->failed = true;
    switch ((qn__plan_op)s->op) {
    case QN__PLAN_CONST: case QN__PLAN_MOVE: below(f, s->target, p->slot_count); break;
    case QN__PLAN_PARAM: below(f, s->target, p->slot_count); below(f, s->imm, image->signature->scalar_count); break;
    case QN__PLAN_SIZE: below(f, s->target, p->slot_count); below(f, s->imm, image->signature->symbol_count); break;
    case QN__PLAN_EVAL: below(f, s->target, p->slot_count); check_eval(f, s); break;
    case QN__PLAN_READ: below(f, s->target, p->slot_count); below(f, s->imm, p->device_slot_count); break;
    case QN__PLAN_WRITE: below(f, s->imm, p->device_slot_count); break;
    case QN__PLAN_JUMP: case QN__PLAN_UNLESS: below(f, s->target, p->step_count); break;
    case QN__PLAN_CHECK: below(f, s->aux, QN__FAULT_COUNT); break;
    case QN__PLAN_ALLOC:
        below(f, s->imm, image->array_count);
        if (!f->failed && s->operand_count != image->arrays[s->imm].rank) f->failed = true;
        break;
    case QN__PLAN_SCRATCH: below(f, s->imm, p->scratch_count); break;
    case QN__PLAN_SWAP: below(f, s->imm, image->array_count); below(f, s->target, image->array_count); break;
    case QN__PLAN_LAUNCH:
        below(f, s->imm, p->entry_count);
        if (!f->failed && s->operand_count != p->entries[s->imm].argument_count + 3) f->failed = true;
        break;
    case QN__PLAN_POLL: case QN__PLAN_END: case QN__PLAN_COUNT: break;
    }
    if (!f->failed) check_operands(f, image, p, s);
}

static void steps(io *f, const qn__image *image, qn__plan *p) {
    qn__plan_step *items = TABLE(f, p->steps, p->step_count);
    p->steps = items;
    for (uint32_t i = 0; i < p->step_count; i++) {
        qn__plan_step *s = &items[i];
        u8(f, &s->op);
        u8(f, &s->aux);
        u8(f, &s->type);
        u8(f, &s->result_type);
        u32(f, &s->target);
        u32(f, &s->operand_first);
        u32(f, &s->operand_count);
        u32(f, &s->location);
        raw(f, &s->imm, sizeof s->imm);
    }
    for (uint32_t i = 0; i < p->step_count && !f->out; i++) check_step(f, image, p, &items[i]);
    if (!f->out && (!p->step_count || f->failed || items[p->step_count - 1].op != QN__PLAN_END)) f->failed = true; /* it cannot run over its end */
}

static void plan(io *f, qn__image *image) {
    qn__plan copy = {0}, *p = f->out ? &copy : QN__ARENA_NEW(f->arena, qn__plan);
    if (f->out && image->plan) copy = *image->plan;
    if (!p) {
        f->failed = true;
        return;
    }
    u32(f, &p->slot_count);
    u32(f, &p->device_slot_count);
    u32(f, &p->scratch_count);
    below(f, p->slot_count, MAX_ITEMS);
    below(f, p->device_slot_count, MAX_ITEMS);
    below(f, p->scratch_count, MAX_ITEMS);
    uint32_t *numbers = TABLE(f, p->operands, p->operand_count);
    for (uint32_t i = 0; i < p->operand_count; i++) u32(f, &numbers[i]);
    p->operands = numbers;
    qn__plan_entry *entries = TABLE(f, p->entries, p->entry_count);
    for (uint32_t i = 0; i < p->entry_count; i++) {
        plan_entry(f, &entries[i]);
        below(f, entries[i].location, (uint64_t)image->location_count + !image->location_count);
    }
    p->entries = entries;
    steps(f, image, p);
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
    if (kind == QN__IMAGE_PTX) plan(f, image);
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
