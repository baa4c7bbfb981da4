/* The bytecode backend: plans, emits over virtual registers, assigns slots, and fills in the image.
 * Requires: inlined IR that the verifier accepts. Everything lives in the IR's arena. */
#include "compiler/bytecode.h"

#include "compiler/backend.h"
#include "compiler/bytecode_private.h"

enum { MAX_LOCAL_BYTES = 1 << 26, STACK_DEPTH = 64 }; /* depth of the tree of blocks: 2^63 terms need 51 */

static bool make_tables(emitter *e) {
    const qn__ir *ir = e->ir;
    e->reg = QN__ARENA_ARRAY(e->arena, vreg, ir->value_count);
    e->forced = QN__ARENA_ARRAY(e->arena, vreg, ir->value_count);
    e->ready = QN__ARENA_ARRAY(e->arena, uint8_t, ir->value_count);
    e->hoisted = QN__ARENA_ARRAY(e->arena, uint8_t, ir->instr_count);
    e->views = QN__ARENA_ARRAY(e->arena, array_view, ir->array_count);
    e->lanes = QN__ARENA_ARRAY(e->arena, uint32_t, ir->instr_count);
    e->keep_number = QN__ARENA_ARRAY(e->arena, uint32_t, ir->instr_count);
    e->local_offset = QN__ARENA_ARRAY(e->arena, size_t, ir->local_count);
    e->early = QN__ARENA_ARRAY(e->arena, uint32_t, ir->value_count);
    e->strip_offset = QN__ARENA_ARRAY(e->arena, size_t, 64);
    e->epoch = 1;
    return !qn__arena_failed(e->arena);
}

size_t local_take(emitter *e, size_t bytes) {
    size_t offset = e->local_bytes;
    e->local_bytes += (bytes + 15) & ~(size_t)15;
    if (e->local_bytes > MAX_LOCAL_BYTES) {
        code_fail(e, "the kernel's local arrays are too large for the interpreter");
        e->local_bytes = offset;
    }
    return offset;
}

/* Constants get their registers, reductions and local arrays their memory, keeps their numbers: for all instructions, also those
 * that were removed, whose memory of a few kilobytes does not matter. */
static bool prepare(emitter *e) {
    const qn__ir *ir = e->ir;
    uint32_t accumulators = 0;
    for (uint32_t i = 0; i < ir->local_count; i++)
        e->local_offset[i] = local_take(e, (size_t)ir->locals[i].count * qn__type_bytes((qn__type)ir->locals[i].type));
    for (uint32_t i = 1; i < ir->instr_count; i++)
        if (ir->instrs[i].op == QN__OP_REDUCE) accumulators += ir->instrs[i].result_count;
    e->lane_offset = QN__ARENA_ARRAY(e->arena, size_t, 2 * (size_t)accumulators);
    if (!e->lane_offset) return false;
    for (uint32_t i = 1; i < ir->instr_count && !e->failed; i++) {
        const qn__instr *instr = &ir->instrs[i];
        if (instr->op == QN__OP_CONST) {
            e->reg[instr->first_result] = code_constant(e, instr->imm);
            e->ready[instr->first_result] = 1;
        } else if (instr->op == QN__OP_REDUCE) {
            e->lanes[i] = e->lane_count;
            for (uint32_t k = 0; k < instr->result_count; k++, e->lane_count++) {
                e->lane_offset[2 * e->lane_count] = local_take(e, QN__LANES * sizeof(uint64_t));
                e->lane_offset[2 * e->lane_count + 1] = local_take(e, STACK_DEPTH * sizeof(uint64_t));
            }
        } else if (instr->op == QN__OP_KEEP) {
            qn__bytecode_keep *keeps =
                qn__arena_grow(e->arena, e->keeps, &e->keep_capacity, e->keep_count + 1, sizeof *keeps);
            if (!keeps) return false;
            e->keeps = keeps;
            e->keep_number[i] = (uint32_t)e->keep_count;
            keeps[e->keep_count++] = (qn__bytecode_keep){instr->list_count, instr->list};
        }
    }
    return true;
}

bool qn__bytecode_emit(const qn__ir *ir, qn__image *image, const char **message) {
    emitter e = {.ir = ir, .arena = ir->arena, .message = "out of memory"};
    *message = e.message;
    qn__bytecode *bytecode = QN__ARENA_NEW(ir->arena, qn__bytecode);
    if (ir->failed || !bytecode || !make_tables(&e) || !plan_make(&e) || !prepare(&e)) return false;
    flow_region(&e, ir->body);
    code_line_add(&e, QN__BC_END, 0, 0, 0, 0);
    if (e.failed || !slots_encode(&e, bytecode)) {
        *message = e.message;
        return false;
    }
    bytecode->argument_count = e.argument_count;
    bytecode->local_bytes = e.local_bytes;
    bytecode->keeps = e.keeps;
    bytecode->keep_count = (uint32_t)e.keep_count;
    image->kind = QN__IMAGE_BYTECODE;
    image->code = bytecode;
    image->code_size = bytecode->code_count * sizeof(qn__bytecode_instr);
    image->symbol = ir->name;
    return qn__image_from_ir(image, ir);
}

static bool emit(const qn__ir *ir, const qn__emit_options *options, qn__image *image, const char **message) {
    (void)options;
    return qn__bytecode_emit(ir, image, message);
}

const qn__backend qn__bytecode_backend = {"bytecode", emit};
