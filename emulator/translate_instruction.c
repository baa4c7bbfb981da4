/* One instruction to its step: which handler, which operands. */
#include "emulator/translate.h"

#include "emulator/ptx_check.h"

#include <stdlib.h>
#include <string.h>

static em_type twice(em_type type) {
    return type == EM_U16 ? EM_U32 : type == EM_S16 ? EM_S32 : type == EM_U32 ? EM_U64 : EM_S64;
}

/* The type that a letter of the table gives its operand; NONE: not a plain source. */
static em_type source_type(const em_instruction *i, char letter) {
    switch (letter) {
    case 'a': return (em_type)i->type[0];
    case 'u': return (em_type)i->type[1];
    case 'v': return (em_type)i->type[2];
    case 'w': return (em_type)i->type[3];
    case 'A': return twice((em_type)i->type[0]);
    case 'h': return EM_B16;
    case 'i': return EM_B32;
    case 'l': return EM_B64;
    case 'p': return EM_PRED;
    default: return EM_NONE;
    }
}

/* Offsets of the operands in the table's order; what is no register or constant gets 0. */
static void operand_offsets(em_translation *t, const em_instruction *i, uint32_t *offsets) {
    uint32_t at = 0;
    memset(offsets, 0, 20 * sizeof *offsets);
    if (i->operation == EM_OP_CALL) return;
    for (const char *letter = i->row->operands; *letter; letter++) {
        if (*letter == '?') continue;
        const em_operand *operand = &i->operands[at];
        if (operand->kind == EM_OPERAND_NONE || at >= i->operand_count) {
            offsets[at++] = 0;
            continue;
        }
        em_type type = source_type(i, *letter);
        if (i->operation == EM_OP_ISSPACEP && at == 1) type = em_type_bits((em_type)operand->type) == 32 ? EM_B32 : EM_B64;
        if (type) offsets[at] = em_source_offset(t, operand, type);
        else if (strchr("deDrR", *letter)) offsets[at] = em_target_offset(t, operand);
        else if (strchr("q|", *letter)) offsets[at] = operand->kind == EM_OPERAND_SINK ? 0 : em_target_offset(t, operand);
        at++;
    }
}

static em_step *plain(em_translation *t, em_handler run, const uint32_t *offsets) {
    em_step *step = em_step_add(t, run);
    step->d = offsets[0], step->a = offsets[1], step->b = offsets[2], step->c = offsets[3], step->e = offsets[4];
    return step;
}

static bool unsupported(em_translation *t, const em_instruction *i) {
    em_error(t->module, i->line, "Instruction '%s' with these modifiers is not supported by the emulator", i->row->mnemonic);
    return false;
}

static uint8_t float_flags(const em_instruction *i) {
    return (uint8_t)((em_has(i, EM_MOD_FTZ) ? EM_FLAG_FTZ : 0) | (em_has(i, EM_MOD_SAT) ? EM_FLAG_SAT : 0) | (em_has(i, EM_MOD_MNAN) ? EM_FLAG_NAN : 0) |
        (em_has(i, EM_MOD_XORSIGN) ? EM_FLAG_XORSIGN : 0) | (em_has(i, EM_MOD_RELU) ? EM_FLAG_RELU : 0));
}

/* Rounding other than to nearest, .ftz, .sat and .xorsign.abs are done around the plain handler, on copies of the operands. */
static bool wrapped(em_translation *t, const em_instruction *i, em_handler inner, const uint32_t *offsets) {
    em_modifier rounding = (em_modifier)i->modifier[EM_GROUP_RND];
    uint8_t flags = float_flags(i) & (EM_FLAG_FTZ | EM_FLAG_SAT | EM_FLAG_XORSIGN);
    if (!flags && (rounding == EM_MOD_NONE || rounding == EM_MOD_RN)) {
        plain(t, inner, offsets)->mode = i->modifier[EM_GROUP_TEST];
        return true;
    }
    em_step *copy = calloc(1, sizeof *copy);
    if (!copy) return !(t->failed = true);
    *copy = (em_step){.run = inner, .d = EM_FRAME_SCRATCH, .a = EM_FRAME_SCRATCH + EM_SCRATCH_BYTES, .b = EM_FRAME_SCRATCH + 2 * EM_SCRATCH_BYTES,
        .c = EM_FRAME_SCRATCH + 3 * EM_SCRATCH_BYTES, .e = EM_FRAME_SCRATCH + 4 * EM_SCRATCH_BYTES, .type = i->type[0], .type2 = i->type[1], .instruction = i};
    em_step *step = plain(t, em_wrapped, offsets);
    step->inner = copy;
    step->flags = flags;
    step->mode = (uint8_t)rounding;
    step->count = (uint8_t)(i->operand_count - 1);
    step->bytes = (uint8_t)em_register_bytes((em_type)i->type[0]);
    return true;
}

static bool float_operation(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    em_type type = (em_type)i->type[0];
    em_handler run = NULL;
    if (type == EM_F32 || type == EM_F64) {
        run = t->lanes->handlers[i->operation][type];
        if (em_has(i, EM_MOD_MNAN)) run = t->lanes->others[i->operation == EM_OP_FMIN ? EM_LANES_FMIN_NAN : EM_LANES_FMAX_NAN];
        if (run) return wrapped(t, i, run, offsets);
    }
    run = em_handler_float(i);
    if (!run) return unsupported(t, i);
    em_step *step = plain(t, run, offsets);
    step->flags = float_flags(i);
    step->mode = i->modifier[EM_GROUP_RND];
    return true;
}

/* Floating operands that a comparison reads: halves as f32, and flushed where .ftz says so. */
static void prepared(em_translation *t, const em_instruction *i, em_type *type, uint32_t *a, uint32_t *b) {
    bool half = *type == EM_F16 || *type == EM_BF16;
    if (!half && !em_has(i, EM_MOD_FTZ)) return;
    uint32_t *operands[2] = {a, b};
    for (int k = 0; k < 2; k++) {
        em_step *step = em_step_add(t, em_run_prepare);
        step->a = *operands[k];
        step->type = (uint8_t)*type;
        step->flags = em_has(i, EM_MOD_FTZ) ? EM_FLAG_FTZ : 0;
        step->d = EM_FRAME_SCRATCH + (uint32_t)k * EM_SCRATCH_BYTES;
        *operands[k] = step->d;
    }
    if (half) *type = EM_F32;
}

static uint8_t comparison_mode(const em_instruction *i) { return i->modifier[EM_GROUP_CMP] ? i->modifier[EM_GROUP_CMP] : i->modifier[EM_GROUP_FCMP]; }

static bool setp(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    em_type type = (em_type)i->type[0];
    if (type == EM_F16X2 || type == EM_BF16X2) {
        em_step *step = plain(t, em_run_setp_halves, offsets);
        step->b = offsets[3], step->a = offsets[2], step->e = offsets[1], step->c = offsets[4];
        step->mode = comparison_mode(i);
        step->mode2 = i->modifier[EM_GROUP_BOOL];
        step->flags = float_flags(i);
        if (i->operand_count > 4 && i->operands[4].negated) step->imm = EM_ALL;
        return true;
    }
    uint32_t a = offsets[2], b = offsets[3];
    prepared(t, i, &type, &a, &b);
    bool simple = !i->modifier[EM_GROUP_BOOL] && offsets[1] == 0 && offsets[0] != 0;
    em_step *step = em_step_add(t, t->lanes->others[simple ? EM_LANES_SETP : EM_LANES_SETP_FULL]);
    step->compare = t->lanes->comparisons[type][comparison_mode(i)];
    step->d = offsets[0], step->e = offsets[1], step->a = a, step->b = b;
    step->c = i->operand_count > 4 ? offsets[4] : 0;
    if (i->operand_count > 4 && i->operands[4].negated) step->imm = EM_ALL;
    step->mode2 = i->modifier[EM_GROUP_BOOL];
    return step->compare || unsupported(t, i);
}

static bool set(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    em_type type = (em_type)i->type[1], to = (em_type)i->type[0];
    if (type == EM_F16X2 || type == EM_BF16X2) {
        em_step *step = plain(t, em_run_set_halves, offsets);
        step->mode = comparison_mode(i);
        step->flags = float_flags(i);
        return true;
    }
    uint32_t a = offsets[1], b = offsets[2];
    prepared(t, i, &type, &a, &b);
    em_lanes_other which = to == EM_F32 ? EM_LANES_SET_FLOAT : to == EM_F16 ? EM_LANES_SET_F16 : to == EM_BF16 ? EM_LANES_SET_BF16 :
        em_type_bits(to) == 16 ? EM_LANES_SET_INTEGER16 : EM_LANES_SET_INTEGER;
    em_step *step = em_step_add(t, t->lanes->others[which]);
    step->compare = t->lanes->comparisons[type][comparison_mode(i)];
    step->d = offsets[0], step->a = a, step->b = b, step->c = offsets[3];
    if (i->operand_count > 3 && i->operands[3].negated) step->imm = EM_ALL;
    step->mode2 = i->modifier[EM_GROUP_BOOL];
    return step->compare || unsupported(t, i);
}

static bool convert(em_translation *t, const em_instruction *i) {
    em_type to = (em_type)i->type[0], from = (em_type)i->type[1];
    const em_operand *source = &i->operands[1], *target = &i->operands[0];
    uint32_t d_bytes = em_register_bytes((em_type)target->type);
    uint32_t a_bytes = source->kind == EM_OPERAND_REGISTER ? em_register_bytes((em_type)source->type) : em_register_bytes(from);
    uint32_t a = em_source_offset(t, source, from), d = em_target_offset(t, target);
    bool modified = em_has(i, EM_MOD_FTZ) || em_has(i, EM_MOD_SAT) || em_has(i, EM_MOD_RELU) || em_has(i, EM_MOD_SATFINITE);
    em_modifier rounding = (em_modifier)i->modifier[EM_GROUP_RND], integral = (em_modifier)i->modifier[EM_GROUP_IRND];
    bool natural = d_bytes == em_type_bits(to) / 8 && a_bytes == em_type_bits(from) / 8;
    em_handler run = NULL;
    if (!modified && natural && (rounding == EM_MOD_NONE || rounding == EM_MOD_RN) && (integral == EM_MOD_NONE || integral == EM_MOD_RZI)) {
        run = t->lanes->conversions[to][from];
    }
    em_step *step = em_step_add(t, run ? run : em_run_convert);
    step->d = d, step->a = a;
    step->d_bytes = (uint8_t)d_bytes, step->a_bytes = (uint8_t)a_bytes;
    step->mode = (uint8_t)rounding, step->mode2 = (uint8_t)integral;
    step->flags = float_flags(i);
    if (em_has(i, EM_MOD_SATFINITE)) step->flags |= EM_FLAG_SAT;
    return true;
}

static bool vector_move(em_translation *t, const em_instruction *i, const em_operand *vector, const em_operand *scalar, bool unpack) {
    em_type type = (em_type)i->type[0];
    uint32_t bytes = em_type_bits(type) / 8 / vector->count;
    uint32_t *list = calloc(vector->count, sizeof *list);
    if (!list) return !(t->failed = true);
    for (uint32_t k = 0; k < vector->count; k++) {
        const em_operand *element = &vector->elements[k];
        em_type part = bytes == 1 ? EM_B8 : bytes == 2 ? EM_B16 : bytes == 4 ? EM_B32 : EM_B64;
        list[k] = unpack ? em_target_offset(t, element) : em_source_offset(t, element, part);
    }
    em_step *step = em_step_add(t, unpack ? em_run_unpack : em_run_pack);
    step->list = list;
    step->list_count = vector->count;
    step->bytes = (uint8_t)bytes;
    step->d_bytes = (uint8_t)(em_type_bits(type) / 8);
    if (unpack) step->a = em_register_offset(t, scalar->reg);
    else step->d = em_register_offset(t, scalar->reg);
    return true;
}

static bool move(em_translation *t, const em_instruction *i) {
    const em_operand *to = &i->operands[0], *from = &i->operands[1];
    em_type type = (em_type)i->type[0];
    if (to->kind == EM_OPERAND_VECTOR) return vector_move(t, i, to, from, true);
    if (from->kind == EM_OPERAND_VECTOR) return vector_move(t, i, from, to, false);
    uint32_t d = em_register_offset(t, to->reg), a = em_source_offset(t, from, type);
    em_step *step = em_step_add(t, type == EM_B128 ? em_run_move128 : t->lanes->handlers[EM_OP_MOV][type]);
    step->d = d, step->a = a;
    if (from->negated) step->imm = 2;
    return step->run || unsupported(t, i);
}

static bool shift_kind(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    bool wrap = i->modifier[EM_GROUP_CLAMP] == EM_MOD_WRAP, left = i->modifier[EM_GROUP_DIR] == EM_MOD_L, is_signed = i->type[0] == EM_S32;
    em_lanes_other which;
    if (i->operation == EM_OP_SHF) which = left ? (wrap ? EM_LANES_SHF_L_WRAP : EM_LANES_SHF_L_CLAMP) : wrap ? EM_LANES_SHF_R_WRAP : EM_LANES_SHF_R_CLAMP;
    else if (i->operation == EM_OP_BMSK) which = wrap ? EM_LANES_BMSK_WRAP : EM_LANES_BMSK_CLAMP;
    else which = wrap ? (is_signed ? EM_LANES_SZEXT_WRAP_S : EM_LANES_SZEXT_WRAP_U) : is_signed ? EM_LANES_SZEXT_CLAMP_S : EM_LANES_SZEXT_CLAMP_U;
    plain(t, t->lanes->others[which], offsets);
    return true;
}

static bool select_sign(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    uint32_t bytes = em_register_bytes((em_type)i->type[0]);
    int size = bytes == 2 ? 0 : bytes == 4 ? 1 : 2;
    uint32_t c = offsets[3];
    if (i->type[1] == EM_F32 && em_has(i, EM_MOD_FTZ)) {
        em_step *flush = em_step_add(t, em_run_prepare);
        flush->a = c;
        flush->type = EM_F32;
        flush->flags = EM_FLAG_FTZ;
        flush->d = c = EM_FRAME_SCRATCH;
    }
    plain(t, t->lanes->others[(i->type[1] == EM_F32 ? EM_LANES_SLCT_F16 : EM_LANES_SLCT16) + size], offsets)->c = c;
    return true;
}

static bool logic3(em_translation *t, const em_instruction *i, const uint32_t *offsets) {
    bool with = i->operation == EM_OP_LOP3_BOOL;
    em_step *step = plain(t, t->lanes->handlers[EM_OP_LOP3][EM_B32], offsets);
    if (!with) {
        step->imm = (uint64_t)i->operands[4].value & 255;
        return true;
    }
    uint32_t *list = calloc(3, sizeof *list);
    if (!list) return !(t->failed = true);
    step->a = offsets[2], step->b = offsets[3], step->c = offsets[4];
    step->imm = (uint64_t)i->operands[5].value & 255;
    list[0] = offsets[1] ? offsets[1] : em_place(t, 0);
    list[1] = offsets[6];
    list[2] = i->operands[6].negated ? EM_ALL : 0;
    step->list = list;
    step->list_count = 3;
    step->mode = i->modifier[EM_GROUP_BOOL];
    return true;
}

bool em_translate_instruction(em_translation *t, const em_instruction *i) {
    uint32_t offsets[20];
    if (!i->row) return false;
    operand_offsets(t, i, offsets);
    em_step *step;
    switch ((em_operation)i->operation) {
    case EM_OP_FADD: case EM_OP_FSUB: case EM_OP_FMUL: case EM_OP_FMA: case EM_OP_FMA_RELU: case EM_OP_FDIV: case EM_OP_FDIV_APPROX: case EM_OP_FDIV_FULL:
    case EM_OP_FABS: case EM_OP_FNEG: case EM_OP_FMIN: case EM_OP_FMAX: case EM_OP_RCP: case EM_OP_RCP_APPROX: case EM_OP_SQRT: case EM_OP_SQRT_APPROX:
    case EM_OP_RSQRT: case EM_OP_SIN: case EM_OP_COS: case EM_OP_LG2: case EM_OP_EX2: case EM_OP_TANH: return float_operation(t, i, offsets);
    case EM_OP_SETP: return setp(t, i, offsets);
    case EM_OP_SET: return set(t, i, offsets);
    case EM_OP_CVT: return convert(t, i);
    case EM_OP_CVT_X2: case EM_OP_CVT_PACK:
        step = plain(t, i->operation == EM_OP_CVT_X2 ? em_run_convert_pair : em_run_convert_pack, offsets);
        step->mode = i->modifier[EM_GROUP_RND];
        step->flags = float_flags(i);
        if (em_has(i, EM_MOD_SATFINITE)) step->flags |= EM_FLAG_SAT;
        return true;
    case EM_OP_MOV: return move(t, i);
    case EM_OP_SHF: case EM_OP_SZEXT: case EM_OP_BMSK: return shift_kind(t, i, offsets);
    case EM_OP_SLCT: return select_sign(t, i, offsets);
    case EM_OP_LOP3: case EM_OP_LOP3_BOOL: return logic3(t, i, offsets);
    case EM_OP_SELP:
        step = plain(t, t->lanes->handlers[EM_OP_SELP][i->type[0]], offsets);
        if (i->operands[3].negated) step->imm = EM_ALL;
        return true;
    case EM_OP_LD: case EM_OP_ST: case EM_OP_ATOM: case EM_OP_ATOM_VEC: case EM_OP_RED: case EM_OP_RED_VEC: case EM_OP_CVTA: case EM_OP_CVTA_TO:
    case EM_OP_ISSPACEP: case EM_OP_PREFETCH: case EM_OP_CP_ASYNC: case EM_OP_CP_ASYNC_COMMIT: case EM_OP_CP_ASYNC_WAIT: case EM_OP_CP_ASYNC_WAIT_ALL:
    case EM_OP_LDMATRIX: case EM_OP_STMATRIX: case EM_OP_MMA: case EM_OP_MEMBAR: return em_translate_memory(t, i, offsets);
    case EM_OP_BRA: case EM_OP_BRX: case EM_OP_CALL: case EM_OP_RET: case EM_OP_EXIT: case EM_OP_TRAP: case EM_OP_BRKPT: case EM_OP_NOP: case EM_OP_NANOSLEEP:
    case EM_OP_BAR: case EM_OP_BAR_ARRIVE: case EM_OP_BAR_POPC: case EM_OP_BAR_RED: case EM_OP_BAR_WARP: case EM_OP_VOTE: case EM_OP_MATCH_ANY:
    case EM_OP_MATCH_ALL: case EM_OP_ACTIVEMASK: case EM_OP_REDUX: case EM_OP_ELECT: case EM_OP_SHFL: case EM_OP_MOVMATRIX: return em_translate_control(t, i, offsets);
    default: break;
    }
    step = plain(t, t->lanes->handlers[i->operation][i->type[0]], offsets);
    if (!step->run) return unsupported(t, i);
    step->mode = i->modifier[EM_GROUP_TEST] ? i->modifier[EM_GROUP_TEST] : i->modifier[EM_GROUP_PRMT];
    if (em_has(i, EM_MOD_CC)) step->flags |= EM_FLAG_CARRY_OUT;
    for (uint32_t k = 1; i->type[0] == EM_PRED && k < i->operand_count; k++) step->imm |= (uint64_t)i->operands[k].negated << k;
    return true;
}
