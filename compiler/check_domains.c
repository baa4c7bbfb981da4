// Index variables and their ranges. A range is written, or inferred from the arrays that the index alone subscripts:
// then all of these must have one extent (compared as linear forms), or it is an error that names both.
#include "compiler/check_private.h"

static uint32_t add_index(qn__body *b, qn__typed_index index) {
    qn__typed_index *grown =
        qn__arena_grow(b->c->arena, b->t->indices, &b->index_capacity, (size_t)b->t->index_count + 1, sizeof *grown);
    if (!grown) {
        b->failed = true;
        return QN__NO_REF;
    }
    b->t->indices = grown;
    b->t->indices[b->t->index_count] = index;
    return b->t->index_count++;
}

uint32_t qn__declare_index(qn__body *b, qn__name name, qn__span span, qn__node_id node) {
    uint32_t variable = qn__declare(b, QN__VARIABLE_INDEX, name, span, node, qn__term_of(QN__TYPE_I64));
    b->info[variable].varying = true;
    return add_index(b, (qn__typed_index){.kind = QN__RANGE_OF, .variable = variable, .array = QN__NO_REF});
}

uint32_t qn__declare_range(qn__body *b, qn__node_id range, qn__variable_kind kind) {
    qn__node_id begin = qn__ast_child(b->ast, range, QN__RANGE_BEGIN),
                end = qn__ast_child(b->ast, range, QN__RANGE_END);
    if (begin) qn__check_integer(b, begin, "the begin of a range");
    if (end) qn__check_integer(b, end, "the end of a range");
    const qn__ast_node *n = qn__ast_get(b->ast, range);
    uint32_t variable =
        qn__declare(b, kind, n->name, qn__ast_name_span(b->ast, range), range, qn__term_of(QN__TYPE_I64));
    if (kind == QN__VARIABLE_INDEX) b->info[variable].varying = true;
    qn__typed_index index = {.kind = begin ? QN__RANGE_WRITTEN : QN__RANGE_OF,
                             .variable = variable,
                             .array = QN__NO_REF,
                             .begin = begin,
                             .end = end};
    uint32_t number = add_index(b, index);
    qn__set_node(b, range, QN__MEANS_INDEX, number, QN__TERM_ERROR);
    if (begin && end) {
        qn__linear from = qn__linear_of(b, begin), to = qn__linear_of(b, end), length;
        if (qn__linear_combine(&length, to, -1, from) && !length.count && length.constant < 0) {
            qn__diagnostic *d = qn__complain(b, RANGE_BACKWARDS, qn__ast_get(b->ast, range)->span,
                                             QN__SAY(qn__check_name(b->c, n->name)));
            qn__diagnostic_found(d, "%s..%s", qn__source_text(b, begin), qn__source_text(b, end));
            qn__diagnostic_hint(d, "ranges count upwards; write %s..%s and use %s - 1 - %s inside",
                                qn__source_text(b, end), qn__source_text(b, begin), qn__source_text(b, begin),
                                qn__check_name(b->c, n->name));
        }
    }
    return number;
}

// Every value of a written range lies in 0 .. extent, provably.
static bool range_inside(qn__body *b, const qn__typed_index *index, const qn__linear *extent) {
    if (!index->begin || !index->end) return false;
    qn__linear begin = qn__linear_of(b, index->begin), end = qn__linear_of(b, index->end), rest;
    if (begin.count || begin.constant < 0) return false;
    return qn__linear_combine(&rest, *extent, -1, end) && !rest.count && rest.constant >= 0;
}

bool qn__range_is_full(qn__body *b, const qn__typed_index *index, const qn__linear *extent) {
    if (index->kind == QN__RANGE_OF) {
        return index->array != QN__NO_REF && qn__linear_equal(&b->info[index->array].extent[index->dimension], extent);
    }
    if (!index->begin || !index->end) return false;
    qn__linear begin = qn__linear_of(b, index->begin), end = qn__linear_of(b, index->end);
    return qn__linear_is(&begin, 0) && qn__linear_equal(&end, extent);
}

static void prove(qn__body *b, const qn__use *use) {
    b->proved[use->node - b->t->item.first]++;
}

static void complain_sizes(qn__body *b, const qn__use *chosen, const qn__use *other) {
    const char *index = b->t->variables[chosen->variable].name;
    const char *x = b->t->variables[chosen->array].name, *y = b->t->variables[other->array].name;
    const char *n = qn__linear_text(b, &b->info[chosen->array].extent[chosen->dimension]);
    const char *m = qn__linear_text(b, &b->info[other->array].extent[other->dimension]);
    qn__diagnostic *d = qn__complain(b, SIZES_DIFFER, qn__ast_get(b->ast, other->node)->span, QN__SAY(index),
                                     QN__SAY(n), QN__SAY(y), QN__SAY(m));
    qn__diagnostic_note(d, qn__ast_get(b->ast, chosen->node)->span, "its range comes from here: '%s' has %s", x, n);
    qn__diagnostic_note(d, b->t->variables[other->array].span, "'%s' is declared here", y);
    qn__diagnostic_hint(d, "give both dimensions one size, or write the range: %s in 0..min(%s, %s)", index, n, m);
}

// An array that is read may have more elements than the target's range, provably; else extents must be equal.
static bool at_least(const qn__linear *have, const qn__linear *needed, bool from_target) {
    qn__linear rest;
    if (!qn__linear_combine(&rest, *have, -1, *needed) || rest.count) return false;
    return from_target ? rest.constant >= 0 : rest.constant == 0;
}

// In an else an index has all values of the target's dimension: do they lie in 0 .. extent?
static bool whole_inside(qn__body *b, const qn__typed_index *index, size_t uses_from, const qn__linear *extent) {
    bool found = false;
    for (size_t i = uses_from; i < b->use_count; i++) {
        const qn__use *use = &b->uses[i];
        if (use->variable != index->variable || !use->target) continue;
        found = true;
        if (!at_least(extent, &b->info[use->array].extent[use->dimension], true)) return false;
    }
    return found;
}

bool qn__infer_range(qn__body *b, uint32_t number, size_t uses_from) {
    if (number == QN__NO_REF) return false;
    qn__typed_index *index = &b->t->indices[number];
    const qn__use *chosen = NULL;
    bool written = index->kind == QN__RANGE_WRITTEN;
    for (size_t i = uses_from; i < b->use_count; i++) {
        const qn__use *use = &b->uses[i];
        if (use->variable != index->variable) continue;
        if (written) {
            const qn__linear *extent = &b->info[use->array].extent[use->dimension];
            if (use->otherwise ? whole_inside(b, index, uses_from, extent) : range_inside(b, index, extent))
                prove(b, use);
            continue;
        }
        bool edge = b->t->variables[use->array].edge && !use->target;
        bool chosen_edge = chosen && b->t->variables[chosen->array].edge && !chosen->target;
        if (!chosen || (use->target && !chosen->target) || (chosen_edge && !edge)) chosen = use;
    }
    if (written) return true;
    const qn__typed_variable *v = &b->t->variables[index->variable];
    if (!chosen) {
        if (b->info[index->variable].poisoned) return false;
        if (b->failed) return false; // what could have told the range may be what failed
        qn__diagnostic *d = qn__complain(b, RANGE_UNKNOWN, v->span, QN__SAY(v->name));
        qn__diagnostic_note(d, QN__NO_SPAN,
                            "a range is taken from arrays that have '%s' alone as a subscript, like x[%s]", v->name,
                            v->name);
        qn__diagnostic_hint(d, "write it: %s in 0..n", v->name);
        return false;
    }
    index->array = chosen->array;
    index->dimension = chosen->dimension;
    b->info[chosen->array].read |= !chosen->target;
    const qn__linear *extent = &b->info[chosen->array].extent[chosen->dimension];
    for (size_t i = uses_from; i < b->use_count; i++) {
        const qn__use *use = &b->uses[i];
        if (use->variable != index->variable) continue;
        if (at_least(&b->info[use->array].extent[use->dimension], extent, chosen->target)) {
            prove(b, use);
        } else if (!b->t->variables[use->array].edge || use->target) {
            complain_sizes(b, chosen, use);
            return false;
        }
    }
    return true;
}

uint32_t qn__add_stage(qn__body *b, qn__typed_stage stage) {
    qn__typed_stage *grown =
        qn__arena_grow(b->c->arena, b->t->stages, &b->stage_capacity, (size_t)b->t->stage_count + 1, sizeof *grown);
    if (!grown) {
        b->failed = true;
        return 0;
    }
    b->t->stages = grown;
    b->t->stages[b->t->stage_count] = stage;
    return b->t->stage_count++;
}

uint32_t qn__add_target(qn__body *b, qn__typed_target target) {
    size_t count = b->t->target_count;
    qn__typed_target *grown = qn__arena_grow(b->c->arena, b->t->targets, &b->target_capacity, count + 1, sizeof *grown);
    uint8_t *depth = qn__arena_grow(b->c->arena, b->target_depth, &b->target_depth_capacity, count + 1, sizeof *depth);
    qn__node_id *statement =
        qn__arena_grow(b->c->arena, b->target_statement, &b->target_statement_capacity, count + 1, sizeof *statement);
    if (!grown || !depth || !statement) {
        b->failed = true;
        return 0;
    }
    b->target_statement = statement;
    b->target_statement[count] = b->statement;
    b->t->targets = grown;
    b->target_depth = depth;
    b->t->targets[count] = target;
    uint32_t around = b->point_loops + b->point_branches;
    b->target_depth[count] = (uint8_t)(around > 255 ? 255 : around);
    return b->t->target_count++;
}
