/* Bytecode as text: one line per instruction; constants are shown by value, jumps by their target. */
#include "compiler/bytecode.h"

#include <inttypes.h>

typedef struct row { const char *name, *operands; } row;

static const row rows[QN__BC_COUNT] = {
#define OTHER(name, operands) [QN__BC_##name] = {#name, operands},
#include "ir/bytecode.def"
};

static void print_lower(qn__text *out, const char *name) {
    for (; *name; name++) qn__text_add_char(out, *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name);
}

static void print_slot(const qn__bytecode *bytecode, uint16_t slot, qn__text *out) {
    if (slot < bytecode->constant_count) qn__text_format(out, " 0x%" PRIx64, bytecode->constants[slot]);
    else qn__text_format(out, " r%u", slot - bytecode->constant_count);
}

static void print_line(const qn__bytecode *bytecode, uint32_t at, qn__text *out) {
    const qn__bytecode_instr *instr = &bytecode->code[at];
    const row *r = &rows[instr->op];
    qn__text_format(out, "%5u  ", at);
    print_lower(out, r->name);
    const uint16_t v[4] = {instr->a, instr->b, instr->c, instr->d};
    for (uint32_t i = 0; r->operands[i]; i++) switch (r->operands[i]) {
        case 'd':
        case 's':
        case 'm': print_slot(bytecode, v[i], out); break;
        case 'i': qn__text_format(out, " %d", (int16_t)v[i]); break;
        case 'v':
            qn__text_add_char(out, ' ');
            print_lower(out, rows[v[i]].name);
            break;
        case 'o': qn__text_format(out, " %u", instr->number); break;
        case 't': qn__text_format(out, " -> %u", at + (uint32_t)instr->jump); break;
        }
    qn__text_add_char(out, '\n');
}

void qn__bytecode_print(const qn__image *image, qn__text *out) {
    const qn__bytecode *bytecode = image->code;
    qn__text_format(out, "kernel %s: %u instructions, %u slots, %u constants, %zu bytes of local memory\n", image->symbol,
                    bytecode->code_count, bytecode->slot_count, bytecode->constant_count, bytecode->local_bytes);
    uint32_t stage = 0;
    for (uint32_t i = 0; i < bytecode->code_count; i++) {
        if (stage < bytecode->stage_count && bytecode->stages[stage].first == i)
            {
            qn__text_format(out, "; stage of %u dimensions\n", bytecode->stages[stage].rank);
            stage++;
        }
        print_line(bytecode, i, out);
    }
}
