/* Statements at kernel level: code that runs once per call, between and around the stages. */
#include "compiler/lower_private.h"

/* ---- loops, if, swap ---- */

static qn__region_ref block_region(qn__lowering *l, qn__node_id block) {
    qn__builder outer;
    const qn__region_ref region = qn__lower_open(l, NULL, 0, &outer);
    if (block) qn__lower_kernel_block(l, block);
    qn__build_yield(&l->b, NULL, 0);
    qn__lower_close(l, &outer);
    return region;
}

static void lower_loop(qn__lowering *l, qn__node_id node) {
    const qn__node_id range = qn__lower_child(l, node, QN__LOOP_RANGE_RANGE),
                      body = qn__lower_child(l, node, QN__LOOP_RANGE_BODY);
    qn__value bounds[2];
    bounds[0] = qn__lower_index_value(l, qn__lower_child(l, range, QN__RANGE_BEGIN));
    bounds[1] = qn__lower_index_value(l, qn__lower_child(l, range, QN__RANGE_END));
    qn__lower_at(l, node);
    const qn__type type = QN__TYPE_I64;
    qn__builder outer;
    const qn__region_ref region = qn__lower_open(l, &type, 1, &outer);
    qn__lower_bind_index(l, qn__lower_range_variable(l, range), qn__region_param(l->ir, region, 0), bounds[0],
                         bounds[1]);
    qn__lower_kernel_block(l, body);
    qn__lower_at(l, node);
    qn__build_yield(&l->b, NULL, 0);
    qn__lower_close(l, &outer);
    qn__build(&l->b, QN__OP_FOR, bounds, 2, NULL, 0, &region, 1, 0);
}

static void lower_loop_while(qn__lowering *l, qn__node_id node) {
    const qn__node_id body = qn__lower_child(l, node, QN__LOOP_WHILE_BODY);
    qn__builder outer;
    qn__region_ref regions[2];
    regions[0] = qn__lower_open(l, NULL, 0, &outer);
    const qn__value condition = qn__lower_expression(l, qn__lower_child(l, node, QN__LOOP_WHILE_CONDITION));
    qn__build_yield(&l->b, &condition, 1);
    qn__lower_close(l, &outer);
    regions[1] = block_region(l, body);
    qn__lower_at(l, node);
    qn__build(&l->b, QN__OP_WHILE, NULL, 0, NULL, 0, regions, 2, 0);
}

static void lower_if(qn__lowering *l, qn__node_id node) {
    const qn__node_id no = qn__lower_child(l, node, QN__IF_ELSE);
    const qn__value condition = qn__lower_expression(l, qn__lower_child(l, node, QN__IF_CONDITION));
    qn__lower_at(l, node);
    qn__region_ref regions[2] = {block_region(l, qn__lower_child(l, node, QN__IF_THEN)), 0};
    if (no && qn__ast_kind_of(l->ast, no) == QN__AST_IF) {
        qn__builder outer;
        regions[1] = qn__lower_open(l, NULL, 0, &outer);
        if (qn__lower_enter(l, no)) {
            lower_if(l, no);
            qn__lower_leave(l);
        }
        qn__build_yield(&l->b, NULL, 0);
        qn__lower_close(l, &outer);
    } else {
        regions[1] = block_region(l, no);
    }
    qn__lower_at(l, node);
    qn__build(&l->b, QN__OP_IF, &condition, 1, NULL, 0, regions, 2, 0);
}

static void lower_swap(qn__lowering *l, qn__node_id node) {
    const uint32_t first = qn__lower_node(l, qn__lower_child(l, node, QN__SWAP_FIRST))->ref;
    const uint32_t second = qn__lower_node(l, qn__lower_child(l, node, QN__SWAP_SECOND))->ref;
    const uint32_t count = l->typed->variable_count;
    const uint32_t a = first < count ? l->variables[first].array : QN__NO_REF;
    const uint32_t b = second < count ? l->variables[second].array : QN__NO_REF;
    if (a == QN__NO_REF || b == QN__NO_REF || l->ir->arrays[a].rank != l->ir->arrays[b].rank) {
        qn__lower_internal(l, node, "a swap of something that cannot be swapped");
        return;
    }
    if (b > UINT8_MAX && a > UINT8_MAX) {
        qn__lower_limit(l, node, "one of two arrays that are swapped must be among the first 256");
        return;
    }
    for (uint32_t d = 0; d < l->ir->arrays[a].rank; d++) {
        const qn__value n = l->ir->arrays[a].extent[d], m = l->ir->arrays[b].extent[d];
        if (n != m) qn__lower_check(l, QN__FAULT_SHAPE, qn__build_binary(&l->b, QN__OP_EQ, n, m), n, m);
    }
    const qn__instr_ref ref = qn__build(&l->b, QN__OP_SWAP, NULL, 0, NULL, 0, NULL, 0, b > UINT8_MAX ? b : a);
    if (ref) l->ir->instrs[ref].aux = (uint8_t)(b > UINT8_MAX ? a : b);
}

/* ---- all ---- */

static void lower_statement(qn__lowering *l, qn__node_id node) {
    const qn__typed_node *n = qn__lower_node(l, node);
    switch ((int)qn__ast_kind_of(l->ast, node)) {
    case QN__AST_ASSIGN:
    case QN__AST_LET_ARRAY:
    case QN__AST_FOR_BLOCK: qn__lower_stage(l, node); break;
    case QN__AST_LET:
        if (n->meaning == QN__MEANS_STAGE)
            qn__lower_stage(l, node);
        else
            qn__lower_bind_values(l, node);
        break;
    case QN__AST_LET_DECLARE: qn__lower_declare_array(l, node, n->ref); break;
    case QN__AST_LOOP_RANGE: lower_loop(l, node); break;
    case QN__AST_LOOP_WHILE: lower_loop_while(l, node); break;
    case QN__AST_IF: lower_if(l, node); break;
    case QN__AST_SWAP: lower_swap(l, node); break;
    default: qn__lower_internal(l, node, "a statement that cannot stand in a kernel");
    }
}

void qn__lower_kernel_block(qn__lowering *l, qn__node_id block) {
    for (uint32_t i = 0; i < qn__ast_count(l->ast, block) && !l->ir->failed; i++) {
        const qn__node_id node = qn__lower_child(l, block, i);
        if (!qn__lower_enter(l, node)) return;
        qn__lower_at(l, node);
        lower_statement(l, node);
        qn__lower_leave(l);
    }
}
