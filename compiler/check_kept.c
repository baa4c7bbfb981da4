// keep and scan: statements that fill arrays in an order.
#include "compiler/check_stages.h"

// ---- Keep ----
static void keep_target(qn__work *w, qn__node_id target, qn__term_id value, qn__node_id value_node) {
    qn__body *b = w->b;
    qn__term_id term;
    uint32_t array = qn__check_target(b, target, true, &term);
    if (array == QN__NO_REF) return;
    qn__info *info = &b->info[array];
    if (!info->unknown_size || qn__ast_kind_of(b->ast, target) != QN__AST_NAME) {
        qn__diagnostic *d =
            qn__complain(b, KEEP_TARGET, qn__ast_get(b->ast, target)->span, QN__SAY(b->t->variables[array].name));
        qn__diagnostic_note(d, b->t->variables[array].span, "'%s' is declared here", b->t->variables[array].name);
        qn__diagnostic_hint(d, "declare it with an unknown size: %s: %s[?m]", b->t->variables[array].name,
                            qn__term_text(b, info->term));
        return;
    }
    if (!qn__term_unify(b, value, term)) qn__complain_expected(b, value_node, value, term, "the kept value");
    uint32_t symbol = (uint32_t)b->t->signature->dims[b->t->signature->parameters[array].dim[0]].value;
    qn__info *size = &b->info[b->t->signature->parameter_count + symbol];
    if (info->defined == QN__DEFINED_YES) {
        qn__diagnostic *d =
            qn__complain(b, KEPT_TWICE, qn__ast_get(b->ast, target)->span, QN__SAY(b->t->variables[array].name));
        qn__diagnostic_hint(d, "keep into a temporary first: let first = keep(...)");
    } else if (size->kept && size->loop_depth != b->t->stage_count) { // its size came from another keep
        qn__diagnostic *d =
            qn__complain(b, KEPT_TWICE, qn__ast_get(b->ast, target)->span, QN__SAY(b->t->variables[array].name));
        qn__diagnostic_hint(
            d, "fill both arrays by one keep: a, b = keep(i: ..., ... where ...), or give each its own size");
    }
    size->kept = true;
    size->loop_depth = b->t->stage_count; // which keep
    info->defined = QN__DEFINED_YES;
    qn__add_target(b, (qn__typed_target){
                          .node = target, .array = array, .variable = QN__NO_REF, .initialises = true, .full = true});
}

void qn__check_keep_assign(qn__body *b, qn__node_id node, qn__node_id keep) {
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS);
    qn__term_id terms[QN__CHECK_RESULTS];
    uint32_t count = 0, wanted = qn__ast_count(b->ast, targets);
    qn__work w;
    qn__work_begin(&w, b, node);
    w.stage.kind = QN__STAGE_KEEP;
    b->stage_first = b->t->variable_count;
    qn__check_keep(b, keep, terms, &count);
    b->stage_first = QN__NO_REF;
    if (b->loop_depth || b->branch_depth) {
        qn__diagnostic *d = qn__complain_plain(b, KEEP_PLACE, qn__ast_get(b->ast, keep)->span);
        qn__diagnostic_expected(d, "a statement of the kernel itself, not inside loop or if: an output has one size");
        qn__diagnostic_hint(d, "put the condition into the keep: where ... and ...");
        for (uint32_t i = 0; i < wanted; i++) {
            uint32_t variable = qn__lookup(b, qn__ast_get(b->ast, qn__ast_child(b->ast, targets, i))->name);
            if (variable != QN__NO_REF) b->info[variable].excused = true;
        }
    }
    if (qn__ast_get(b->ast, node)->op != QN__ASSIGN_OP_SET || qn__ast_child(b->ast, node, QN__ASSIGN_DOMAIN) ||
        qn__ast_child(b->ast, node, QN__ASSIGN_ELSE)) {
        qn__diagnostic *d = qn__complain_plain(b, KEEP_FORM, qn__ast_get(b->ast, node)->span);
        qn__diagnostic_expected(d, "y = keep(i: value where condition)");
    }
    if (count != wanted) {
        qn__diagnostic *d =
            qn__complain(b, VALUE_COUNT, qn__ast_get(b->ast, keep)->span, QN__SAY_UINT(wanted), QN__SAY_UINT(count));
        qn__diagnostic_hint(d, "keep takes one value per array: a, b = keep(i: x[i], i where ...)");
    }
    qn__node_id values = qn__ast_child(b->ast, keep, QN__KEEP_VALUES);
    for (uint32_t i = 0; i < wanted && i < count; i++)
        keep_target(&w, qn__ast_child(b->ast, targets, i), terms[i], qn__ast_child(b->ast, values, i));
    qn__work_end(&w);
}

// ---- Scan ----
// The index of the scan must be a subscript of the target, alone, or the target a whole array of one dimension.
bool qn__scan_domain(qn__work *w, qn__node_id target, qn__node_id scan, uint32_t *scan_index) {
    qn__body *b = w->b;
    qn__node_id range = qn__ast_child(b->ast, scan, QN__SCAN_RANGE);
    b->no_stage_index = true;
    b->stage_indices_end = b->t->variable_count;
    *scan_index = qn__declare_range(b, range, QN__VARIABLE_INDEX);
    b->no_stage_index = false;
    if (qn__ast_kind_of(b->ast, target) == QN__AST_NAME) return true;
    bool let = qn__ast_kind_of(b->ast, target) == QN__AST_LET_ARRAY;
    qn__node_id list = let ? qn__ast_child(b->ast, target, QN__LET_ARRAY_INDICES) : target;
    bool found = false;
    for (uint32_t d = 0; d < qn__ast_count(b->ast, list); d++) {
        qn__node_id sub = qn__ast_child(b->ast, list, d);
        const qn__ast_node *n = qn__ast_get(b->ast, sub);
        if ((n->kind == QN__AST_NAME || n->kind == QN__AST_BINDING) && n->name == qn__ast_get(b->ast, range)->name) {
            found = true;
            if (let && *scan_index != QN__NO_REF)
                qn__set_node(b, sub, QN__MEANS_VARIABLE, b->t->indices[*scan_index].variable, QN__TERM_ERROR);
        } else if (!let) {
            qn__introduce_indices(w, sub, 0);
        }
    }
    if (found) return true;
    const char *name = qn__check_name(b->c, qn__ast_get(b->ast, range)->name);
    qn__diagnostic *d = qn__complain(
        b, SCAN_TARGET, let ? qn__ast_name_span(b->ast, target) : qn__ast_get(b->ast, target)->span, QN__SAY(name));
    qn__diagnostic_hint(d, "write it there: %s[..., %s] = ...", qn__check_name(b->c, qn__ast_get(b->ast, target)->name),
                        name);
    return false;
}

static bool scan_length_fits(qn__body *b, uint32_t scan_index, uint32_t array) {
    const qn__typed_index *index = &b->t->indices[scan_index];
    qn__linear length;
    if (index->kind == QN__RANGE_OF) {
        if (index->array == QN__NO_REF) return true;
        length = b->info[index->array].extent[index->dimension];
    } else {
        qn__linear begin = qn__linear_of(b, index->begin), end = qn__linear_of(b, index->end);
        if (!qn__linear_combine(&length, end, -1, begin)) return false;
    }
    return qn__linear_equal(&length, &b->info[array].extent[0]);
}

static void scan_coverage(qn__work *w, qn__node_id target, uint32_t array, uint32_t scan_index) {
    qn__body *b = w->b;
    qn__info *info = &b->info[array];
    if (qn__arena_failed(b->c->arena)) return;
    if (qn__ast_kind_of(b->ast, target) == QN__AST_NAME) {
        if (!scan_length_fits(b, scan_index, array)) {
            qn__diagnostic *d =
                qn__complain(b, SCAN_LENGTH, qn__ast_get(b->ast, target)->span, QN__SAY(b->t->variables[array].name));
            qn__diagnostic_expected(d, "%s elements", qn__linear_text(b, &info->extent[0]));
            qn__diagnostic_hint(d, "give the output the size of the scanned range, or write %s[i] = scan(..., i: ...)",
                                b->t->variables[array].name);
        }
        b->t->targets[w->stage.first_target].full = true;
        b->t->targets[w->stage.first_target].initialises = info->defined == QN__DEFINED_NO;
        info->defined = QN__DEFINED_YES;
        qn__decide_copy(w, w->stage.first_target);
        return;
    }
    uint32_t count = w->stage.index_count;
    qn__work_index(w, scan_index); // for what is written, the scan's index is one of the stage's
    qn__decide_writes(w);
    for (uint32_t i = 0; i < w->stage.index_count; i++) { // and out again
        if (w->stage.indices[i] != scan_index) continue;
        for (uint32_t k = i; k + 1 < w->stage.index_count; k++) w->stage.indices[k] = w->stage.indices[k + 1];
    }
    w->stage.index_count = count;
}

void qn__check_scan_assign(qn__body *b, qn__node_id node, qn__node_id scan) {
    qn__node_id targets = qn__ast_child(b->ast, node, QN__ASSIGN_TARGETS), target = qn__ast_child(b->ast, targets, 0);
    qn__term_id term, value;
    uint32_t scan_index;
    qn__work w;
    qn__work_begin(&w, b, node);
    w.stage.kind = QN__STAGE_SCAN;
    qn__work_domain(&w, qn__ast_child(b->ast, node, QN__ASSIGN_DOMAIN));
    if (qn__ast_count(b->ast, targets) != 1) {
        qn__complain(b, VALUE_COUNT, qn__ast_get(b->ast, node)->span, QN__SAY_UINT(qn__ast_count(b->ast, targets)),
                     QN__SAY_UINT(1));
    }
    if (qn__ast_get(b->ast, node)->op != QN__ASSIGN_OP_SET || qn__ast_child(b->ast, node, QN__ASSIGN_ELSE)) {
        qn__diagnostic *d = qn__complain_plain(b, SCAN_FORM, qn__ast_get(b->ast, node)->span);
        qn__diagnostic_expected(d, "y[i] = scan(sum, i: value)");
    }
    bool placed = qn__scan_domain(&w, target, scan, &scan_index);
    b->stage_first = b->stage_indices;
    uint32_t array = qn__check_target(b, target, true, &term);
    if (array != QN__NO_REF && b->info[array].unknown_size) {
        qn__complain_unknown_size(b, target, array);
        array = QN__NO_REF;
    }
    if (array != QN__NO_REF && qn__ast_kind_of(b->ast, target) == QN__AST_NAME && b->t->variables[array].rank != 1) {
        qn__diagnostic *d = qn__complain(
            b, SCAN_TARGET, qn__ast_get(b->ast, target)->span,
            QN__SAY(qn__check_name(b->c, qn__ast_get(b->ast, qn__ast_child(b->ast, scan, QN__SCAN_RANGE))->name)));
        qn__diagnostic_hint(d, "write %s[..., i] = scan(..., i: ...)", b->t->variables[array].name);
        array = QN__NO_REF;
    }
    qn__add_target(b, (qn__typed_target){.node = target, .array = array, .variable = QN__NO_REF});
    value = qn__check_scan(b, scan);
    if (array != QN__NO_REF && !qn__term_unify(b, value, term))
        qn__complain_expected(b, scan, value, term, "the assigned value");
    bool good = qn__work_ranges(&w);
    good = qn__infer_range(b, scan_index, w.uses) && good;
    if (good && placed && array != QN__NO_REF)
        scan_coverage(&w, target, array, scan_index);
    else if (array != QN__NO_REF)
        b->info[array].defined = QN__DEFINED_YES;
    qn__work_end(&w);
}
