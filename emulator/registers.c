/* Estimates how many 32-bit registers a function needs: the most that live at once, where a register lives from its first mention to its last in the
 * text, and through a whole loop if it lives where the loop begins. */
#include "emulator/ptx.h"

#include <stdlib.h>

typedef struct span { uint32_t first, last; bool used; } span;

static void mention(span *spans, uint32_t reg, uint32_t at) {
    if (!spans[reg].used) spans[reg] = (span){at, at, true};
    spans[reg].last = at;
}

static void mentions(span *spans, const em_operand *operand, uint32_t at) {
    bool reg = operand->kind == EM_OPERAND_REGISTER || (operand->kind == EM_OPERAND_ADDRESS && operand->base == EM_OPERAND_REGISTER);
    if (reg) mention(spans, operand->reg, at);
    for (uint32_t k = 0; operand->kind == EM_OPERAND_VECTOR && k < operand->count; k++) mentions(spans, &operand->elements[k], at);
}

static uint32_t most_alive(const em_function *function, const span *spans) {
    int64_t *change = calloc((size_t)function->count + 2, sizeof *change), alive = 0, most = 0;
    if (!change) return 0;
    for (uint32_t r = 0; r < function->register_count; r++) {
        uint32_t bits = em_type_bits((em_type)function->register_types[r]);
        if (!spans[r].used || bits == 1) continue;
        int64_t words = bits > 32 ? bits / 32 : 1;
        change[spans[r].first] += words;
        change[spans[r].last + 1] -= words;
    }
    for (uint32_t k = 0; k <= function->count; k++) {
        alive += change[k];
        if (alive > most) most = alive;
    }
    free(change);
    return (uint32_t)most;
}

uint32_t em_registers_estimate(const em_function *function) {
    span *spans = calloc((size_t)function->register_count + 1, sizeof *spans);
    if (!spans) return 0;
    for (uint32_t k = 0; k < function->count; k++) {
        const em_instruction *i = &function->code[k];
        for (uint32_t n = 0; n < i->operand_count; n++) mentions(spans, &i->operands[n], k);
        for (uint32_t n = 0; i->call && n < i->call->argument_count; n++) mentions(spans, &i->call->arguments[n], k);
        for (uint32_t n = 0; i->call && n < i->call->result_count; n++) mentions(spans, &i->call->results[n], k);
    }
    enum { LOOPS = 256 }; /* each costs a pass over the registers; the first so many will do */
    uint32_t loops = 0;
    for (uint32_t k = 0; k < function->count && loops < LOOPS; k++) {
        const em_instruction *i = &function->code[k];
        if (!i->row || i->operation != EM_OP_BRA || i->operands[0].label->instruction > k) continue;
        uint32_t begin = i->operands[0].label->instruction;
        loops++;
        for (uint32_t r = 0; r < function->register_count; r++) {
            if (spans[r].used && spans[r].first < begin && spans[r].last >= begin && spans[r].last < k) spans[r].last = k;
        }
    }
    uint32_t most = most_alive(function, spans) + 6; /* addresses, the stack, what the assembler needs */
    free(spans);
    return most < 16 ? 16 : most > 255 ? 255 : most;
}
