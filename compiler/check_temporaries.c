// Temporary arrays: `let t[i, j] = ...`, and whole arrays from keep or scan. Their sizes follow from the ranges of
// their indices.
#include "compiler/check_stages.h"

// ---- Temporary arrays ----
static uint32_t declare_temp(qn__body *b, qn__node_id node, qn__name name, qn__span span, qn__term_id term,
                             uint32_t rank) {
    uint32_t variable = qn__declare(b, QN__VARIABLE_TEMP, name, span, node, term);
    b->t->variables[variable].rank = (uint8_t)rank;
    b->info[variable].defined = QN__DEFINED_YES;
    b->info[variable].varying = false;
    return variable;
}

// Sizes, sums and multiples of them. (Where the end of a range may be negative, the range is empty, not wrong.)
static bool never_negative(const qn__body *b, const qn__linear *form) {
    bool good = form->constant >= 0;
    for (uint32_t i = 0; i < form->count && good; i++) {
        const qn__atom *atom = &b->atoms[form->term[i].atom];
        const qn__typed_variable *v = &b->t->variables[atom->kind == QN__ATOM_VARIABLE ? atom->variable : 0];
        bool size = v->kind == QN__VARIABLE_SIZE ||
                    (v->kind == QN__VARIABLE_SCALAR && b->t->signature->parameters[v->parameter].is_size);
        good = form->term[i].factor > 0 && atom->kind == QN__ATOM_VARIABLE && size;
    }
    return good;
}

// The extent of a dimension that runs over an index; false: it does not begin at 0.
static bool extent_of_index(qn__body *b, uint32_t number, qn__typed_extent *extent, qn__linear *form) {
    const qn__typed_index *index = &b->t->indices[number];
    if (index->kind == QN__RANGE_OF) {
        if (index->array == QN__NO_REF) return false;
        *extent = (qn__typed_extent){.kind = QN__EXTENT_OF, .array = index->array, .dimension = index->dimension};
        *form = b->info[index->array].extent[index->dimension];
        return true;
    }
    qn__linear begin = qn__linear_of(b, index->begin);
    *form = qn__linear_of(b, index->end);
    *extent = (qn__typed_extent){.kind = QN__EXTENT_NODE, .node = index->end};
    if (!never_negative(b, form)) *extent = (qn__typed_extent){.kind = QN__EXTENT_SPAN, .array = number};
    return qn__linear_is(&begin, 0);
}

// With an else the array may be larger than the domain: as large as what its index subscripts.
static bool extent_from_uses(qn__body *b, uint32_t number, size_t uses, qn__typed_extent *extent, qn__linear *form) {
    for (size_t i = uses; i < b->use_count; i++) {
        const qn__use *use = &b->uses[i];
        if (use->variable != b->t->indices[number].variable) continue;
        *extent = (qn__typed_extent){.kind = QN__EXTENT_OF, .array = use->array, .dimension = use->dimension};
        *form = b->info[use->array].extent[use->dimension];
        return true;
    }
    return false;
}

static void complain_let_range(qn__body *b, uint32_t number, const char *array, bool otherwise) {
    const qn__typed_index *index = &b->t->indices[number];
    const char *name = b->t->variables[index->variable].name;
    qn__diagnostic *d =
        qn__complain(b, LET_RANGE, b->t->variables[index->variable].span, QN__SAY(name), QN__SAY(array));
    if (otherwise)
        qn__diagnostic_hint(d, "declare its size: let %s: f64[n], and then assign %s[%s] = ...", array, array, name);
    else
        qn__diagnostic_hint(d, "begin at 0: %s in 0..%s, or say what the other elements are: else 0", name,
                            index->end ? qn__source_text(b, index->end) : "n");
}

static void let_indices(qn__work *w, qn__node_id list, uint32_t *indices, uint32_t rank) {
    qn__body *b = w->b;
    for (uint32_t d = 0; d < rank; d++) {
        qn__node_id binding = qn__ast_child(b->ast, list, d);
        const qn__ast_node *n = qn__ast_get(b->ast, binding);
        indices[d] = QN__NO_REF;
        for (uint32_t i = 0; i < b->t->index_count; i++) { // a range of this statement?
            uint32_t variable = b->t->indices[i].variable;
            if (variable >= b->stage_indices && b->info[variable].name == n->name && qn__lookup(b, n->name) == variable)
                indices[d] = i;
        }
        for (uint32_t e = 0; e < d; e++) {
            if (indices[e] != indices[d] || indices[d] == QN__NO_REF) continue;
            qn__diagnostic *m = qn__complain(b, INDEX_TWICE, n->span, QN__SAY(qn__check_name(b->c, n->name)));
            qn__diagnostic_hint(m, "give each dimension its own index");
        }
        if (indices[d] == QN__NO_REF) {
            indices[d] = qn__declare_index(b, n->name, n->span, binding);
            qn__work_index(w, indices[d]);
        }
        if (indices[d] != QN__NO_REF)
            qn__set_node(b, binding, QN__MEANS_VARIABLE, b->t->indices[indices[d]].variable, QN__TERM_ERROR);
    }
}

qn__term_id qn__check_element_type(qn__body *b, qn__node_id type_node) {
    bool is_size;
    if (!type_node) return QN__TERM_ERROR;
    qn__type type = qn__check_type_name(b, type_node, &is_size);
    if (qn__ast_count(b->ast, type_node)) {
        qn__diagnostic *d = qn__complain_plain(b, SCALAR_EXPECTED, qn__ast_get(b->ast, type_node)->span);
        qn__diagnostic_hint(d, "write the type of one element; the sizes follow from the indices");
    }
    return qn__term_of(type);
}

// The value and what stands after else; gives the term of the elements.
static qn__term_id let_value(qn__work *w, qn__node_id node, bool scan) {
    qn__body *b = w->b;
    qn__node_id value = qn__ast_child(b->ast, node, QN__LET_ARRAY_VALUE);
    qn__node_id type_node = qn__ast_child(b->ast, node, QN__LET_ARRAY_TYPE);
    qn__node_id otherwise = qn__ast_child(b->ast, node, QN__LET_ARRAY_ELSE);
    qn__term_id wanted = qn__check_element_type(b, type_node);
    qn__term_id term = scan ? qn__check_scan(b, value) : qn__check_expression(b, value);
    if (type_node && !qn__term_unify(b, term, wanted)) qn__complain_expected(b, value, term, wanted, "the value");
    if (type_node) term = wanted;
    if (!otherwise) return term;
    if (scan) {
        qn__diagnostic *d = qn__complain_plain(b, SCAN_FORM, qn__ast_get(b->ast, node)->span);
        qn__diagnostic_expected(d, "let t[i] = scan(sum, i: value)");
    }
    w->stage.otherwise = otherwise;
    b->in_otherwise = true;
    qn__check_expecting(b, otherwise, term, "the value after 'else'");
    b->in_otherwise = false;
    return term;
}

// The stage's indices in the order of the dimensions; one that is no dimension would write elements again and again.
static void order_let(qn__work *w, qn__node_id node, const uint32_t *indices, uint32_t rank) {
    uint32_t at = 0;
    for (uint32_t d = 0; d < rank; d++) {
        for (uint32_t i = at; i < w->stage.index_count; i++) {
            if (w->stage.indices[i] != indices[d]) continue;
            for (uint32_t k = i; k > at; k--) w->stage.indices[k] = w->stage.indices[k - 1];
            w->stage.indices[at++] = indices[d];
        }
    }
    const char *name = qn__check_name(w->b->c, qn__ast_get(w->b->ast, node)->name);
    if (at < w->stage.index_count) qn__complain_collision(w, node, w->stage.indices[at], name);
}

void qn__check_let_array(qn__body *b, qn__node_id node) {
    const qn__ast_node *n = qn__ast_get(b->ast, node);
    qn__node_id list = qn__ast_child(b->ast, node, QN__LET_ARRAY_INDICES);
    qn__node_id value = qn__ast_child(b->ast, node, QN__LET_ARRAY_VALUE);
    bool otherwise = qn__ast_child(b->ast, node, QN__LET_ARRAY_ELSE) != QN__NO_NODE;
    bool scan = qn__ast_kind_of(b->ast, value) == QN__AST_SCAN;
    uint32_t rank = qn__ast_count(b->ast, list), indices[QN__MAX_RANK], scan_index = QN__NO_REF;
    qn__typed_extent extent[QN__MAX_RANK] = {{0}};
    qn__linear form[QN__MAX_RANK] = {{0}};
    qn__work w;
    qn__work_begin(&w, b, node);
    w.stage.kind = (uint8_t)(scan ? QN__STAGE_SCAN : QN__STAGE_POINTS);
    if (rank > QN__MAX_RANK) {
        qn__diagnostic *d = qn__complain(b, RANK_LIMIT, n->span, QN__SAY_UINT(QN__MAX_RANK));
        qn__diagnostic_found(d, "%u dimensions", rank);
        rank = QN__MAX_RANK;
    }
    qn__work_domain(&w, qn__ast_child(b->ast, node, QN__LET_ARRAY_DOMAIN));
    if (scan) qn__scan_domain(&w, node, value, &scan_index);
    let_indices(&w, list, indices, rank);
    b->stage_first = b->stage_indices;
    qn__term_id term = let_value(&w, node, scan);
    bool good = qn__work_ranges(&w);
    if (scan) good = qn__infer_range(b, scan_index, w.uses) && good;
    for (uint32_t d = 0; d < rank && good; d++) {
        bool fits = indices[d] != QN__NO_REF && extent_of_index(b, indices[d], &extent[d], &form[d]);
        if (otherwise) fits = extent_from_uses(b, indices[d], w.uses, &extent[d], &form[d]);
        if (!fits && !b->failed) complain_let_range(b, indices[d], qn__check_name(b->c, n->name), otherwise);
    }
    qn__typed_target entry = {
        .node = node, .array = QN__NO_REF, .variable = QN__NO_REF, .initialises = true, .full = true};
    uint32_t target = qn__add_target(b, entry);
    order_let(&w, node, indices, rank);
    qn__work_end(&w);
    uint32_t variable = declare_temp(b, node, n->name, qn__ast_name_span(b->ast, node), term, rank);
    b->info[variable].poisoned = b->failed;
    if (b->t->target_count) b->t->targets[target].array = variable;
    for (uint32_t d = 0; d < rank; d++) {
        b->t->variables[variable].extent[d] = extent[d];
        b->info[variable].extent[d] = form[d];
    }
}

// let y = keep(...), let s = scan(...): whole arrays.
void qn__check_let_stage(qn__body *b, qn__node_id node) {
    qn__node_id names = qn__ast_child(b->ast, node, QN__LET_NAMES),
                values = qn__ast_child(b->ast, node, QN__LET_VALUES);
    qn__node_id value = qn__ast_child(b->ast, values, 0);
    qn__term_id terms[QN__CHECK_RESULTS], wanted = qn__check_element_type(b, qn__ast_child(b->ast, node, QN__LET_TYPE));
    uint32_t count = 1, scan_index = QN__NO_REF, named = qn__ast_count(b->ast, names);
    bool keep = qn__ast_kind_of(b->ast, value) == QN__AST_KEEP;
    qn__work w;
    qn__work_begin(&w, b, node);
    w.stage.kind = (uint8_t)(keep ? QN__STAGE_KEEP : QN__STAGE_SCAN);
    b->stage_first = b->stage_indices;
    if (keep) {
        qn__check_keep(b, value, terms, &count);
    } else {
        b->no_stage_index = true;
        b->stage_indices_end = b->t->variable_count;
        scan_index = qn__declare_range(b, qn__ast_child(b->ast, value, QN__SCAN_RANGE), QN__VARIABLE_INDEX);
        b->no_stage_index = false;
        terms[0] = qn__check_scan(b, value);
        qn__infer_range(b, scan_index, w.uses);
    }
    for (uint32_t i = 0; i < count && qn__ast_child(b->ast, node, QN__LET_TYPE); i++) {
        if (!qn__term_unify(b, terms[i], wanted)) qn__complain_expected(b, value, terms[i], wanted, "the value");
    }
    if (count != named)
        qn__complain(b, VALUE_COUNT, qn__ast_get(b->ast, node)->span, QN__SAY_UINT(named), QN__SAY_UINT(count));
    qn__linear form = qn__linear_opaque(b, false); // what is kept has one size that equals itself
    qn__typed_extent extent = {.kind = keep ? QN__EXTENT_KEPT : QN__EXTENT_SPAN, .array = scan_index};
    if (!keep && scan_index != QN__NO_REF) {
        qn__typed_extent exact;
        if (!extent_of_index(b, scan_index, &exact, &form))
            form = qn__linear_opaque(b, false);
        else
            extent = exact;
    }
    for (uint32_t i = 0; i < named; i++) {
        qn__add_target(
            b, (qn__typed_target){
                   .node = qn__ast_child(b->ast, names, i), .variable = QN__NO_REF, .initialises = true, .full = true});
    }
    qn__work_end(&w);
    for (uint32_t i = 0; i < named; i++) {
        qn__node_id binding = qn__ast_child(b->ast, names, i);
        const qn__ast_node *n = qn__ast_get(b->ast, binding);
        uint32_t variable = declare_temp(b, binding, n->name, n->span, i < count ? terms[i] : QN__TERM_ERROR, 1);
        qn__set_node(b, binding, QN__MEANS_VARIABLE, variable, QN__TERM_ERROR);
        b->t->variables[variable].extent[0] = extent;
        b->info[variable].extent[0] = form;
        b->info[variable].poisoned = i >= count;
        if (w.stage.first_target + i < b->t->target_count) b->t->targets[w.stage.first_target + i].array = variable;
    }
}
