// What the subscripts of written elements say: whether two points may write one element, whether all elements are
// written, whether two accesses are of one element. Everything is decided on linear forms; what is not linear is not
// proved.
#include "compiler/check_private.h"

static uint32_t subscript_count(qn__body *b, qn__node_id target) {
    return qn__ast_kind_of(b->ast, target) == QN__AST_INDEX ? qn__ast_count(b->ast, target) : 0;
}

// The stage's index that an atom is, or -1.
static int stage_index_of(qn__body *b, const qn__typed_stage *stage, uint32_t atom) {
    if (b->atoms[atom].kind != QN__ATOM_VARIABLE) return -1;
    for (uint32_t i = 0; i < stage->index_count; i++) {
        if (b->t->indices[stage->indices[i]].variable == b->atoms[atom].variable) return (int)i;
    }
    return -1;
}

// The stage's index that a subscript is, alone, or -1.
static int plain_index(qn__body *b, const qn__typed_stage *stage, qn__node_id sub) {
    const qn__typed_node *t = qn__node(b, sub);
    if (qn__ast_kind_of(b->ast, sub) != QN__AST_NAME || t->meaning != QN__MEANS_VARIABLE) return -1;
    for (uint32_t i = 0; i < stage->index_count; i++) {
        if (b->t->indices[stage->indices[i]].variable == t->ref) return (int)i;
    }
    return -1;
}

bool qn__target_plain(qn__body *b, const qn__typed_stage *stage, qn__node_id target) {
    if (qn__ast_kind_of(b->ast, target) == QN__AST_LET_ARRAY) return true;
    uint64_t seen = 0;
    for (uint32_t d = 0; d < subscript_count(b, target); d++) {
        int i = plain_index(b, stage, qn__ast_child(b->ast, target, d));
        if (i < 0 || i >= 64 || (seen >> i & 1)) return false;
        seen |= (uint64_t)1 << i;
    }
    return true;
}

// One subscript decides an index when it is the only undecided one in it and nothing else varies.
static int decided_by(qn__body *b, const qn__typed_stage *stage, qn__node_id sub, uint64_t decided) {
    qn__linear x = qn__linear_of(b, sub);
    int found = -1;
    for (uint32_t t = 0; t < x.count; t++) {
        int i = stage_index_of(b, stage, x.term[t].atom);
        if (i < 0 && b->atoms[x.term[t].atom].varying) return -1;
        if (i < 0 || i >= 64 || (decided >> i & 1)) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}

bool qn__target_injective(qn__body *b, const qn__typed_stage *stage, qn__node_id target, uint32_t *loose) {
    *loose = QN__NO_REF;
    if (qn__ast_kind_of(b->ast, target) == QN__AST_LET_ARRAY) return true;
    uint64_t decided = 0;
    for (bool progress = true; progress;) {
        progress = false;
        for (uint32_t d = 0; d < subscript_count(b, target); d++) {
            int i = decided_by(b, stage, qn__ast_child(b->ast, target, d), decided);
            if (i < 0) continue;
            decided |= (uint64_t)1 << i;
            progress = true;
        }
    }
    for (uint32_t i = 0; i < stage->index_count; i++) {
        if (i < 64 && (decided >> i & 1)) continue;
        *loose = stage->indices[i];
        return false;
    }
    return true;
}

// ---- Coverage ----
static bool dimension_full(qn__body *b, const qn__typed_stage *stage, qn__node_id sub, const qn__linear *extent) {
    int i = plain_index(b, stage, sub);
    if (i >= 0) return qn__range_is_full(b, &b->t->indices[stage->indices[i]], extent);
    const qn__typed_node *t = qn__node(b, sub);
    if (t->meaning == QN__MEANS_VARIABLE &&
        b->t->variables[t->ref].kind == QN__VARIABLE_LOOP) { // a `for` inside a point
        for (uint32_t k = 0; k < b->t->index_count; k++) {
            if (b->t->indices[k].variable == t->ref) return qn__range_is_full(b, &b->t->indices[k], extent);
        }
    }
    qn__linear x = qn__linear_of(b, sub);
    return qn__linear_is(&x, 0) && qn__linear_is(extent, 1);
}

// Which elements a subscript takes in a dimension that is not full: one of `parts` equal classes, or none of these
// forms.
static bool dimension_class(qn__body *b, const qn__typed_stage *stage, qn__node_id sub, const qn__linear *extent,
                            int64_t *parts, int64_t *which) {
    qn__linear x = qn__linear_of(b, sub), begin, end, length;
    *which = x.constant;
    if (!x.count) { // a constant element of a constant number
        *parts = extent->constant;
        return !extent->count && x.constant >= 0 && x.constant < extent->constant;
    }
    int i = x.count == 1 ? stage_index_of(b, stage, x.term[0].atom) : -1;
    if (i < 0) return false;
    const qn__typed_index *index = &b->t->indices[stage->indices[i]];
    *parts = x.term[0].factor; // factor * i + which, i in 0 .. extent / factor
    if (*parts < 2 || *which < 0 || *which >= *parts || !index->begin || !index->end) return false;
    begin = qn__linear_of(b, index->begin);
    end = qn__linear_of(b, index->end);
    return qn__linear_is(&begin, 0) && qn__linear_combine(&length, qn__linear_constant(0), *parts, end) &&
           qn__linear_equal(&length, extent);
}

// All dimensions of a target full but at most one, which is told.
static bool nearly_full(qn__body *b, const qn__typed_stage *stage, qn__node_id target, const qn__info *info,
                        int *open) {
    *open = -1;
    if (qn__ast_kind_of(b->ast, target) != QN__AST_INDEX) return true;
    uint64_t seen = 0;
    for (uint32_t d = 0; d < subscript_count(b, target) && d < QN__MAX_RANK; d++) {
        qn__node_id sub = qn__ast_child(b->ast, target, d);
        int i = plain_index(b, stage, sub);
        bool repeated = i >= 0 && i < 64 && (seen >> i & 1);
        if (i >= 0 && i < 64) seen |= (uint64_t)1 << i;
        if (!repeated && dimension_full(b, stage, sub, &info->extent[d])) continue;
        if (*open >= 0 || repeated) return false;
        *open = (int)d;
    }
    return true;
}

bool qn__targets_full(qn__body *b, const qn__typed_stage *stage, uint32_t array) {
    const qn__info *info = &b->info[array];
    uint64_t classes[QN__MAX_RANK] = {0};
    int64_t parts[QN__MAX_RANK] = {0};
    for (uint32_t k = stage->first_target; k < stage->first_target + stage->target_count; k++) {
        const qn__typed_target *target = &b->t->targets[k];
        int open;
        int64_t n, which;
        if (target->array != array || b->target_depth[k] || !nearly_full(b, stage, target->node, info, &open)) continue;
        if (open < 0) return true;
        if (!dimension_class(b, stage, qn__ast_child(b->ast, target->node, (uint32_t)open), &info->extent[open], &n,
                             &which))
            continue;
        if (n > 64 || n < 1 || (parts[open] && parts[open] != n)) continue;
        parts[open] = n;
        classes[open] |= (uint64_t)1 << which;
        if (classes[open] == (n == 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1)) return true;
    }
    return false;
}

// ---- Two accesses ----
bool qn__same_element(qn__body *b, qn__node_id x, qn__node_id y) {
    uint32_t count = subscript_count(b, x);
    if (subscript_count(b, y) != count) return false;
    for (uint32_t d = 0; d < count; d++) {
        qn__linear p = qn__linear_of(b, qn__ast_child(b->ast, x, d)), q = qn__linear_of(b, qn__ast_child(b->ast, y, d));
        if (!qn__linear_equal(&p, &q)) return false;
    }
    return true;
}

static int64_t greatest_divisor(int64_t x, int64_t y) {
    while (y) {
        int64_t rest = x % y;
        x = y;
        y = rest == INT64_MIN ? 1 : rest < 0 ? -rest : rest;
    }
    return x;
}

bool qn__targets_apart(qn__body *b, qn__node_id x, qn__node_id y) {
    uint32_t count = subscript_count(b, x);
    if (subscript_count(b, y) != count) return false;
    for (uint32_t d = 0; d < count; d++) {
        qn__linear p = qn__linear_of(b, qn__ast_child(b->ast, x, d)), q = qn__linear_of(b, qn__ast_child(b->ast, y, d)),
                   rest;
        if (!qn__linear_combine(&rest, p, -1, q) || rest.count || !rest.constant) continue;
        int64_t step = 0; // what varies differs between two points by multiples of this
        for (uint32_t t = 0; t < p.count; t++) {
            int64_t factor = p.term[t].factor;
            if (factor == INT64_MIN || !b->atoms[p.term[t].atom].varying) continue;
            step = greatest_divisor(factor < 0 ? -factor : factor, step);
        }
        if (!step || rest.constant % step) return true;
    }
    return false;
}

void qn__order_indices(qn__body *b, qn__typed_stage *stage) {
    if (!stage->target_count) return;
    qn__node_id target = b->t->targets[stage->first_target].node;
    if (qn__ast_kind_of(b->ast, target) != QN__AST_INDEX || !qn__target_plain(b, stage, target)) return;
    uint32_t at = 0;
    for (uint32_t d = 0; d < subscript_count(b, target); d++) {
        int i = plain_index(b, stage, qn__ast_child(b->ast, target, d));
        if (i < 0 || (uint32_t)i < at) continue;
        uint32_t moved = stage->indices[i];
        for (uint32_t k = (uint32_t)i; k > at; k--) stage->indices[k] = stage->indices[k - 1];
        stage->indices[at++] = moved;
    }
}
