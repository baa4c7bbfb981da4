/* Tensor-core instructions and asynchronous copies. */
#include "emulator/machine.h"
#include "emulator/number.h"

#include <stdlib.h>
#include <string.h>

#define EACH for (uint32_t l = 0; l < EM_LANES; l++)

/* ---- ldmatrix, stmatrix ---- */

/* Lane 8 k + r holds the address of row r of matrix k; lane l gets elements 2 (l % 4) and the next of row l / 4 (of column l / 4 with .trans). */
em_answer em_run_matrix_move(em_warp *warp, const em_step *step, uint32_t mask) {
    uint64_t addresses[EM_LANES];
    char *rows[EM_LANES];
    em_space space;
    if (mask != warp->lanes) return em_fail(warp, step, (uint32_t)__builtin_ctz(mask), EM_FAULT_BARRIER, "%s in divergent code", step->instruction->row->mnemonic);
    em_addresses(warp, step, &space, addresses);
    uint32_t used = step->count == 4 ? EM_ALL : (1u << 8 * step->count) - 1;
    if (!em_resolve(warp, step, used & mask, space, addresses, 16, step->mode, false, rows) || !em_watch(warp, step, used & mask, space, 16, step->mode, false, rows)) return EM_FAULTED;
    for (uint32_t k = 0; k < step->count; k++) {
        uint32_t *reg = em_at(warp, step->list[k]);
        EACH {
            for (uint32_t n = 0; n < 2; n++) {
                uint32_t row = l / 4, column = l % 4 * 2 + n;
                char *place = step->mode2 ? rows[k * 8 + column] + row * 2 : rows[k * 8 + row] + column * 2;
                uint16_t value = (uint16_t)(reg[l] >> 16 * n);
                if (step->mode) memcpy(place, &value, 2);
                else {
                    memcpy(&value, place, 2);
                    reg[l] = n ? (reg[l] & 0xffff) | (uint32_t)value << 16 : (reg[l] & 0xffff0000) | value;
                }
            }
        }
    }
    return EM_NEXT;
}

/* ---- mma ---- */

typedef struct fragment { uint32_t m, n, k; double a[16][32], b[32][8], c[16][8]; } fragment;

static double element(em_type type, const uint32_t *reg, uint32_t lane, uint32_t part) {
    uint32_t word = reg[lane];
    switch (type) {
    case EM_F16:
    case EM_BF16: return em_half_value(word >> 16 * part & 0xffff, type);
    case EM_TF32: {
        uint32_t bits = word & 0xffffe000;
        float value;
        memcpy(&value, &bits, 4);
        return (double)value;
    }
    case EM_S8: return (int8_t)(word >> 8 * part);
    case EM_U8: return (uint8_t)(word >> 8 * part);
    case EM_F32: {
        float value;
        memcpy(&value, &word, 4);
        return (double)value;
    }
    default: return (double)(int32_t)word;
    }
}

/* Registers hold `per` elements; the group of a lane is l / 4, its number inside l % 4. Rows alternate with the registers, then columns move on. */
static void load_a(em_warp *warp, const uint32_t *list, em_type type, uint32_t per, fragment *f) {
    uint32_t tall = f->m == 16 ? 2 : 1, registers = f->m * f->k / per / EM_LANES;
    for (uint32_t r = 0; r < registers; r++) {
        const uint32_t *reg = em_at(warp, list[r]);
        EACH for (uint32_t part = 0; part < per; part++) f->a[l / 4 + 8 * (r % tall)][l % 4 * per + part + r / tall * 4 * per] = element(type, reg, l, part);
    }
}

static void load_b(em_warp *warp, const uint32_t *list, em_type type, uint32_t per, fragment *f) {
    uint32_t registers = f->k * f->n / per / EM_LANES;
    for (uint32_t r = 0; r < registers; r++) {
        const uint32_t *reg = em_at(warp, list[r]);
        EACH for (uint32_t part = 0; part < per; part++) f->b[l % 4 * per + part + r * 4 * per][l / 4] = element(type, reg, l, part);
    }
}

static void accumulators(em_warp *warp, const uint32_t *list, em_type type, fragment *f, bool store) {
    uint32_t rows = f->m / 8;
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t n = 0; n < 2; n++) {
            EACH {
                double *place = &f->c[l / 4 + 8 * row][l % 4 * 2 + n];
                uint32_t *reg = em_at(warp, list[type == EM_F16 ? row : row * 2 + n]);
                if (!store) {
                    *place = type == EM_F16 ? em_half_value(reg[l] >> 16 * n & 0xffff, EM_F16) : element(type, reg, l, 0);
                } else if (type == EM_F16) {
                    uint32_t half = em_half_narrow(*place, EM_F16);
                    reg[l] = n ? (reg[l] & 0xffff) | half << 16 : (reg[l] & 0xffff0000) | half;
                } else if (type == EM_F32) {
                    float value = (float)*place;
                    uint32_t bits;
                    memcpy(&bits, &value, 4);
                    reg[l] = value == value ? bits : 0x7fffffff;
                }
            }
        }
    }
}

static void integers(em_warp *warp, const em_step *step, const uint32_t *d, const uint32_t *c, const fragment *f) {
    bool clamp = em_has(step->instruction, EM_MOD_SATFINITE);
    for (uint32_t row = 0; row < f->m / 8; row++) {
        for (uint32_t n = 0; n < 2; n++) {
            EACH {
                const int32_t *from = em_at(warp, c[row * 2 + n]);
                int32_t *to = em_at(warp, d[row * 2 + n]);
                int64_t sum = from[l];
                for (uint32_t k = 0; k < f->k; k++) sum += (int64_t)f->a[l / 4 + 8 * row][k] * (int64_t)f->b[k][l % 4 * 2 + n];
                to[l] = clamp && sum > INT32_MAX ? INT32_MAX : clamp && sum < INT32_MIN ? INT32_MIN : (int32_t)(uint32_t)(uint64_t)sum;
            }
        }
    }
}

static void doubles(em_warp *warp, const em_step *step) {
    const double *a = em_at(warp, step->list[2]), *b = em_at(warp, step->list[3]);
    double r[2][EM_LANES];
    for (uint32_t n = 0; n < 2; n++) {
        const double *c = em_at(warp, step->list[4 + n]);
        EACH {
            uint32_t row = l / 4, column = l % 4 * 2 + n;
            double sum = c[l];
            for (uint32_t k = 0; k < 4; k++) sum = __builtin_fma(a[row * 4 + k], b[column * 4 + k], sum);
            r[n][l] = sum;
        }
    }
    for (uint32_t n = 0; n < 2; n++) memcpy(em_at(warp, step->list[n]), r[n], sizeof r[n]);
}

/* Products are exact in f64 and summed there: more exact than the hardware, which aligns and truncates. */
em_answer em_run_matrix(em_warp *warp, const em_step *step, uint32_t mask) {
    const em_instruction *i = step->instruction;
    if (mask != warp->lanes || mask != EM_ALL) return em_fail(warp, step, (uint32_t)__builtin_ctz(mask), EM_FAULT_BARRIER, "mma without all lanes of its warp");
    em_modifier shape = (em_modifier)step->mode;
    em_type a = (em_type)i->type[1], b = (em_type)i->type[2], d = (em_type)i->type[0], c = (em_type)i->type[3];
    if (a == EM_F64) {
        doubles(warp, step);
        return EM_NEXT;
    }
    fragment f = {.m = shape == EM_MOD_M8N8K16 ? 8 : 16, .n = 8};
    f.k = shape == EM_MOD_M16N8K4 ? 4 : shape == EM_MOD_M16N8K8 ? 8 : shape == EM_MOD_M16N8K32 ? 32 : 16;
    uint32_t per = a == EM_TF32 ? 1 : a == EM_S8 || a == EM_U8 ? 4 : 2;
    uint32_t d_count = f.m / 8 * (d == EM_F16 ? 1 : 2), a_count = f.m * f.k / per / EM_LANES, b_count = f.k * f.n / per / EM_LANES;
    const uint32_t *c_list = step->list + d_count + a_count + b_count;
    load_a(warp, step->list + d_count, a, per, &f);
    load_b(warp, step->list + d_count + a_count, b, per, &f);
    if (d == EM_S32) {
        integers(warp, step, step->list, c_list, &f);
        return EM_NEXT;
    }
    accumulators(warp, c_list, c, &f, false);
    for (uint32_t row = 0; row < f.m; row++) {
        for (uint32_t column = 0; column < 8; column++) {
            double sum = 0;
            for (uint32_t k = 0; k < f.k; k++) sum += f.a[row][k] * f.b[k][column];
            f.c[row][column] += sum;
        }
    }
    accumulators(warp, step->list, d, &f, true);
    return EM_NEXT;
}

/* ---- cp.async ---- */

/* The bytes are fetched and written when the thread waits for them: who reads before that sees what was there. */
em_answer em_run_copy_async(em_warp *warp, const em_step *step, uint32_t mask) {
    const em_step *source = step - 1;
    uint64_t from[EM_LANES], to[EM_LANES];
    char *place[EM_LANES];
    em_space space;
    em_copy *copy = warp->free_copies;
    if (copy) warp->free_copies = copy->next;
    else copy = malloc(sizeof *copy);
    if (!copy) {
        warp->worker->no_memory = true;
        return EM_WAIT;
    }
    em_addresses(warp, source, &space, from);
    em_addresses(warp, step, &space, to);
    *copy = (em_copy){.next = NULL, .mask = mask, .bytes = step->bytes, .step = step};
    em_copy **end = &warp->copies;
    while (*end) end = &(*end)->next;
    *end = copy;
    const uint32_t *sizes = step->count ? em_at(warp, step->b) : NULL;
    uint32_t reading = 0;
    EACH {
        copy->source_bytes[l] = sizes ? sizes[l] : step->bytes;
        if (copy->source_bytes[l] > step->bytes) copy->source_bytes[l] = step->bytes;
        if (copy->source_bytes[l]) reading |= mask & 1u << l;
        copy->group[l] = warp->groups[l];
        copy->from[l] = from[l];
    }
    if (!em_resolve(warp, step, mask, EM_SPACE_SHARED, to, step->bytes, true, false, place)) return EM_FAULTED;
    EACH copy->to[l] = mask >> l & 1 ? (uint64_t)(uintptr_t)place[l] : 0;
    if (!em_resolve(warp, source, reading, EM_SPACE_GLOBAL, from, step->bytes, false, false, place)) return EM_FAULTED;
    return EM_NEXT;
}

static bool finish(em_warp *warp, em_copy *copy, uint32_t lanes) {
    char *to[EM_LANES];
    EACH {
        to[l] = (char *)(uintptr_t)copy->to[l];
        if (!(lanes >> l & 1)) continue;
        uint32_t bytes = copy->source_bytes[l];
        if (bytes) memcpy(to[l], (const char *)(uintptr_t)copy->from[l], bytes);
        memset(to[l] + bytes, 0, copy->bytes - bytes);
    }
    copy->mask &= ~lanes;
    return em_watch(warp, copy->step, lanes, EM_SPACE_SHARED, copy->bytes, true, false, to);
}

em_answer em_run_copy_control(em_warp *warp, const em_step *step, uint32_t mask) {
    if (step->mode == 0) {
        EACH warp->groups[l] += mask >> l & 1;
        return EM_NEXT;
    }
    for (em_copy **link = &warp->copies; *link;) {
        em_copy *copy = *link;
        uint32_t lanes = 0;
        EACH {
            bool due = step->mode == 2 || (copy->group[l] < warp->groups[l] && (uint64_t)copy->group[l] + step->imm < warp->groups[l]);
            lanes |= (copy->mask & mask & 1u << l) * due;
        }
        if (lanes && !finish(warp, copy, lanes)) return EM_FAULTED;
        if (copy->mask) {
            link = &copy->next;
            continue;
        }
        *link = copy->next;
        copy->next = warp->free_copies;
        warp->free_copies = copy;
    }
    return EM_NEXT;
}
