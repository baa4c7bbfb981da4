/* The handlers of plain arithmetic and the loop that runs steps. Compiled once per instruction set, by lanes_*.c, under the name EM_LANES_NAME. */
#include "emulator/lanes.h"

#include "emulator/lanes_integer.h"
#include "emulator/lanes_float.h"

/* Runs the current split until its budget is spent or a step says to stop. */
static em_answer run(em_warp *warp, uint64_t *budget) {
    em_split *split = warp->split;
    uint64_t left = *budget, executed = 0;
    em_answer answer = EM_NEXT;
    while (split->depth && answer <= EM_RELOAD) {
        em_entry *top = &split->stack[split->depth - 1];
        const em_step *steps = top->code->steps;
        uint32_t pc = top->pc, join = top->join, active = top->mask;
        warp->code = top->code;
        warp->frame = top->frame;
        warp->registers = top->frame->registers;
        warp->active = active;
        answer = EM_NEXT;
        for (;;) {
            if (pc == join) {
                split->depth--; /* the lanes below wait here */
                split->since = split->spins = 0;
                while (split->depth && !split->stack[split->depth - 1].mask) split->depth--;
                answer = EM_RELOAD;
                break;
            }
            if (left == 0) {
                top->pc = pc;
                *budget = 0;
                warp->executed += executed;
                return EM_NEXT;
            }
            left--;
            const em_step *step = &steps[pc];
            uint32_t mask = active & (*em_predicate(warp, step->guard) ^ step->flip);
            if (!mask) {
                pc++;
                continue;
            }
            executed += (uint32_t)__builtin_popcount(mask);
            warp->pc = pc;
            answer = step->run(warp, step, mask);
            if (answer == EM_NEXT) {
                pc++;
            } else if (answer == EM_JUMP) {
                pc = warp->pc;
            } else {
                break;
            }
        }
    }
    *budget = left;
    warp->executed += executed;
    return answer;
}

#define W1(op, n) [EM_OP_##op] = {[EM_B16] = n##16, [EM_U16] = n##16, [EM_S16] = n##16, [EM_B32] = n##32, [EM_U32] = n##32, [EM_S32] = n##32, \
        [EM_B64] = n##64, [EM_U64] = n##64, [EM_S64] = n##64},
#define SIGNED(op, n) [EM_OP_##op] = {[EM_U16] = n##u16, [EM_S16] = n##s16, [EM_U32] = n##u32, [EM_S32] = n##s32, [EM_U64] = n##u64, [EM_S64] = n##s64},
#define SHORT(op, n) [EM_OP_##op] = {[EM_U16] = n##u16, [EM_S16] = n##s16, [EM_U32] = n##u32, [EM_S32] = n##s32},
#define LONG(op, n) [EM_OP_##op] = {[EM_U32] = n##u32, [EM_S32] = n##s32, [EM_U64] = n##u64, [EM_S64] = n##s64},
#define W2(op, n) [EM_OP_##op] = {[EM_B32] = n##32, [EM_U32] = n##32, [EM_S32] = n##32, [EM_B64] = n##64, [EM_U64] = n##64, [EM_S64] = n##64},
#define FLOATS(op, n) [EM_OP_##op] = {[EM_F32] = n##32, [EM_F64] = n##64},
#define ONE(op, type, n) [EM_OP_##op] = {[EM_##type] = n},
#define TWO(op, t1, n1, t2, n2) [EM_OP_##op] = {[EM_##t1] = n1, [EM_##t2] = n2},
#define LOGIC_ROW(op, n) [EM_OP_##op] = {[EM_PRED] = n##_pred, [EM_B16] = n##16, [EM_B32] = n##32, [EM_B64] = n##64},

#define C6(type, n) [EM_##type] = {[EM_MOD_EQ] = eq_##n, [EM_MOD_NE] = ne_##n, [EM_MOD_LT] = lt_##n, [EM_MOD_LE] = le_##n, [EM_MOD_GT] = gt_##n, [EM_MOD_GE] = ge_##n, \
        [EM_MOD_LO] = lt_##n, [EM_MOD_LS] = le_##n, [EM_MOD_HI] = gt_##n, [EM_MOD_HS] = ge_##n},
#define C14(type, n) [EM_##type] = {[EM_MOD_EQ] = eq_##n, [EM_MOD_NE] = ne_##n, [EM_MOD_LT] = lt_##n, [EM_MOD_LE] = le_##n, [EM_MOD_GT] = gt_##n, [EM_MOD_GE] = ge_##n, \
        [EM_MOD_EQU] = equ_##n, [EM_MOD_NEU] = neu_##n, [EM_MOD_LTU] = ltu_##n, [EM_MOD_LEU] = leu_##n, [EM_MOD_GTU] = gtu_##n, [EM_MOD_GEU] = geu_##n, \
        [EM_MOD_NUM] = num_##n, [EM_MOD_NAN] = nan_##n},

const em_lanes EM_LANES_NAME = {
    .handlers = {
        W1(ADD, add) W1(SUB, sub) W1(MUL_LO, mul) W1(MAD_LO, mad) W1(CNOT, cnot) W1(NEG, neg)
        ONE(ADD_SAT, S32, add_sat) ONE(SUB_SAT, S32, sub_sat) ONE(MAD_HI_SAT, S32, mad_hi_sat)
        TWO(ADD_X2, U16X2, add_x2, S16X2, add_x2)
        SIGNED(MUL_HI, mul_hi_) SIGNED(MAD_HI, mad_hi_) SHORT(MUL_WIDE, mul_wide_) SHORT(MAD_WIDE, mad_wide_)
        TWO(MUL24_LO, U32, mul24_lo_u, S32, mul24_lo_s) TWO(MUL24_HI, U32, mul24_hi_u, S32, mul24_hi_s)
        TWO(MAD24_LO, U32, mad24_lo_u, S32, mad24_lo_s) TWO(MAD24_HI, U32, mad24_hi_u, S32, mad24_hi_s)
        ONE(MAD24_HI_SAT, S32, mad24_hi_sat)
        SIGNED(SAD, sad_) SIGNED(DIV, div_) SIGNED(REM, rem_)
        [EM_OP_ABS] = {[EM_S16] = abs16, [EM_S32] = abs32, [EM_S64] = abs64},
        [EM_OP_MIN] = {[EM_U16] = minu16, [EM_S16] = mins16, [EM_U32] = minu32, [EM_S32] = mins32, [EM_U64] = minu64, [EM_S64] = mins64,
            [EM_U16X2] = min_u16x2, [EM_S16X2] = min_s16x2},
        [EM_OP_MAX] = {[EM_U16] = maxu16, [EM_S16] = maxs16, [EM_U32] = maxu32, [EM_S32] = maxs32, [EM_U64] = maxu64, [EM_S64] = maxs64,
            [EM_U16X2] = max_u16x2, [EM_S16X2] = max_s16x2},
        TWO(MIN_RELU, S32, min_relu, S16X2, min_relu_x2) TWO(MAX_RELU, S32, max_relu, S16X2, max_relu_x2)
        TWO(POPC, B32, popc32, B64, popc64) TWO(CLZ, B32, clz32, B64, clz64) TWO(BREV, B32, brev32, B64, brev64)
        LONG(BFIND, bfind_) LONG(BFIND_SHIFT, bfind_shift_) LONG(BFE, bfe_) TWO(BFI, B32, bfi32, B64, bfi64) ONE(FNS, B32, fns)
        TWO(DP4A, U32, dp4a, S32, dp4a) TWO(DP2A_LO, U32, dp2a_lo, S32, dp2a_lo) TWO(DP2A_HI, U32, dp2a_hi, S32, dp2a_hi)
        ONE(PRMT, B32, prmt) ONE(LOP3, B32, lop3) ONE(LOP3_BOOL, B32, lop3)
        LOGIC_ROW(AND, and) LOGIC_ROW(OR, or) LOGIC_ROW(XOR, xor) LOGIC_ROW(NOT, not)
        W1(SHL, shl)
        [EM_OP_SHR] = {[EM_B16] = shr_u16, [EM_U16] = shr_u16, [EM_S16] = shr_s16, [EM_B32] = shr_u32, [EM_U32] = shr_u32, [EM_S32] = shr_s32,
            [EM_B64] = shr_u64, [EM_U64] = shr_u64, [EM_S64] = shr_s64},
        W2(ADD_CC, add_cc) W2(ADDC, addc) W2(SUB_CC, sub_cc) W2(SUBC, subc) W2(MAD_LO_CC, mad_lo_cc) W2(MADC_LO, madc_lo)
        LONG(MAD_HI_CC, mad_hi_cc_) LONG(MADC_HI, madc_hi_)
        [EM_OP_MOV] = {[EM_PRED] = mov_pred, [EM_B16] = mov16, [EM_U16] = mov16, [EM_S16] = mov16, [EM_F16] = mov16, [EM_BF16] = mov16, [EM_B32] = mov32,
            [EM_U32] = mov32, [EM_S32] = mov32, [EM_F32] = mov32, [EM_F16X2] = mov32, [EM_BF16X2] = mov32, [EM_B64] = mov64, [EM_U64] = mov64,
            [EM_S64] = mov64, [EM_F64] = mov64},
        [EM_OP_SELP] = {[EM_B16] = selp16, [EM_U16] = selp16, [EM_S16] = selp16, [EM_B32] = selp32, [EM_U32] = selp32, [EM_S32] = selp32, [EM_F32] = selp32,
            [EM_B64] = selp64, [EM_U64] = selp64, [EM_S64] = selp64, [EM_F64] = selp64},
        FLOATS(FADD, fadd) FLOATS(FSUB, fsub) FLOATS(FMUL, fmul) FLOATS(FDIV, fdiv) FLOATS(FMA, fma) FLOATS(RCP, rcp) FLOATS(SQRT, sqrt)
        FLOATS(FABS, fabs) FLOATS(FNEG, fneg) FLOATS(COPYSIGN, copysign) FLOATS(FMIN, fmin) FLOATS(FMAX, fmax)
        TWO(TESTP, F32, testp_f32, F64, testp_f64)
    },
    .others = {
        [EM_LANES_SLCT16] = slct16, [EM_LANES_SLCT32] = slct32, [EM_LANES_SLCT64] = slct64, [EM_LANES_SLCT_F16] = slct_f16,
        [EM_LANES_SLCT_F32] = slct_f32, [EM_LANES_SLCT_F64] = slct_f64, [EM_LANES_SHF_L_WRAP] = shf_l_wrap, [EM_LANES_SHF_L_CLAMP] = shf_l_clamp,
        [EM_LANES_SHF_R_WRAP] = shf_r_wrap, [EM_LANES_SHF_R_CLAMP] = shf_r_clamp, [EM_LANES_SZEXT_WRAP_U] = szext_wrap_u,
        [EM_LANES_SZEXT_WRAP_S] = szext_wrap_s, [EM_LANES_SZEXT_CLAMP_U] = szext_clamp_u, [EM_LANES_SZEXT_CLAMP_S] = szext_clamp_s,
        [EM_LANES_BMSK_WRAP] = bmsk_wrap, [EM_LANES_BMSK_CLAMP] = bmsk_clamp, [EM_LANES_SETP] = setp, [EM_LANES_SETP_FULL] = setp_full,
        [EM_LANES_SET_INTEGER] = set_integer, [EM_LANES_SET_FLOAT] = set_float, [EM_LANES_SET_F16] = set_f16, [EM_LANES_SET_BF16] = set_bf16,
        [EM_LANES_SET_INTEGER16] = set_integer16, [EM_LANES_FMIN_NAN] = fmin_nan32, [EM_LANES_FMAX_NAN] = fmax_nan32,
    },
    .comparisons = {
        C6(B16, u16) C6(U16, u16) C6(S16, s16) C6(B32, u32) C6(U32, u32) C6(S32, s32) C6(B64, u64) C6(U64, u64) C6(S64, s64) C14(F32, f32) C14(F64, f64)
    },
    .conversions = {
        [EM_U64] = {[EM_U32] = cvt_u64_u32, [EM_F32] = NULL}, [EM_S64] = {[EM_S32] = cvt_s64_s32, [EM_U32] = cvt_u64_u32},
        [EM_U32] = {[EM_U64] = cvt_u32_u64, [EM_S64] = cvt_u32_u64, [EM_U16] = cvt_u32_u16, [EM_S16] = cvt_s32_s16},
        [EM_S32] = {[EM_U64] = cvt_u32_u64, [EM_S64] = cvt_u32_u64, [EM_U16] = cvt_u32_u16, [EM_S16] = cvt_s32_s16, [EM_F32] = cvt_s32_f32, [EM_F64] = cvt_s32_f64},
        [EM_U16] = {[EM_U32] = cvt_u16_u32, [EM_S32] = cvt_u16_u32}, [EM_S16] = {[EM_U32] = cvt_u16_u32, [EM_S32] = cvt_u16_u32},
        [EM_F32] = {[EM_S32] = cvt_f32_s32, [EM_U32] = cvt_f32_u32, [EM_S64] = cvt_f32_s64, [EM_U64] = cvt_f32_u64, [EM_F64] = cvt_f32_f64},
        [EM_F64] = {[EM_S32] = cvt_f64_s32, [EM_U32] = cvt_f64_u32, [EM_S64] = cvt_f64_s64, [EM_U64] = cvt_f64_u64, [EM_F32] = cvt_f64_f32},
    },
    .run = run,
};
