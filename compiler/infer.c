// Types of expressions as terms of a union-find structure (see check_private.h).
// Invariants: term 0 is the error type and is never merged; terms 1 .. QN__TYPE_COUNT - 1 are the scalar types, always
// roots; every other root has a set of at least two types, so a root tells at once whether its type is known.
#include "compiler/check_private.h"

void qn__terms_init(qn__body *b) {
    for (unsigned type = 0; type < QN__TYPE_COUNT; type++) {
        qn__term_id id = qn__term_new(b, QN__SET_ALL);
        if (b->terms && id == type) b->terms[id].set = (qn__type_set)(type ? QN__SET_OF(type) : QN__SET_ALL);
    }
}

static qn__term_id only_type(qn__type_set set) {
    if (!set || (set & (set - 1))) return QN__TERM_ERROR;
    return (qn__term_id)__builtin_ctz(set);
}

qn__term_id qn__term_new(qn__body *b, qn__type_set set) {
    qn__term_id known = only_type(set);
    if (known) return known;
    qn__term *grown = qn__arena_grow(b->c->arena, b->terms, &b->term_capacity, b->term_count + 1, sizeof *grown);
    if (!grown) {
        b->failed = true;
        return QN__TERM_ERROR;
    }
    b->terms = grown;
    qn__term_id id = (qn__term_id)b->term_count++;
    b->terms[id] = (qn__term){.parent = id, .set = set};
    return id;
}

qn__term_id qn__term_find(qn__body *b, qn__term_id term) {
    if (term >= b->term_count) return QN__TERM_ERROR;
    while (b->terms[term].parent != term) {
        b->terms[term].parent = b->terms[b->terms[term].parent].parent;
        term = b->terms[term].parent;
    }
    return term;
}

qn__type_set qn__term_set(qn__body *b, qn__term_id term) {
    term = qn__term_find(b, term);
    return term < b->term_count ? b->terms[term].set : QN__SET_ALL;
}

// A root whose set has become a single type joins that type.
static void settle(qn__body *b, qn__term_id root) {
    qn__term_id known = only_type(b->terms[root].set);
    if (known) b->terms[root].parent = known;
}

bool qn__term_unify(qn__body *b, qn__term_id x, qn__term_id y) {
    x = qn__term_find(b, x);
    y = qn__term_find(b, y);
    if (x == y || x == QN__TERM_ERROR || y == QN__TERM_ERROR) return true;
    qn__type_set both = b->terms[x].set & b->terms[y].set;
    if (!both) return false;
    if (x < QN__TYPE_COUNT) {
        b->terms[y].parent = x;
    } else {
        b->terms[x].parent = y;
        if (y >= QN__TYPE_COUNT) {
            b->terms[y].set = both;
            settle(b, y);
        }
    }
    return true;
}

bool qn__term_restrict(qn__body *b, qn__term_id term, qn__type_set set) {
    term = qn__term_find(b, term);
    if (term == QN__TERM_ERROR) return true;
    qn__type_set both = b->terms[term].set & set;
    if (!both) return false;
    if (term >= QN__TYPE_COUNT) {
        b->terms[term].set = both;
        settle(b, term);
    }
    return true;
}

qn__type qn__term_type(qn__body *b, qn__term_id term) {
    term = qn__term_find(b, term);
    return term < QN__TYPE_COUNT ? (qn__type)term : QN__TYPE_NONE;
}

qn__type qn__term_default(qn__body *b, qn__term_id term) {
    term = qn__term_find(b, term);
    if (term < QN__TYPE_COUNT) return (qn__type)term;
    qn__type_set set = b->terms[term].set;
    static const uint8_t order[] = {QN__TYPE_I64, QN__TYPE_F64, QN__TYPE_I32, QN__TYPE_U64, QN__TYPE_F32};
    qn__type type = QN__TYPE_NONE;
    for (size_t i = 0; i < sizeof order && !type; i++) {
        if (set & QN__SET_OF(order[i])) type = (qn__type)order[i];
    }
    if (!type) type = (qn__type)__builtin_ctz(set);
    b->terms[term].parent = type;
    return type;
}

const char *qn__term_text(qn__body *b, qn__term_id term) {
    qn__type type = qn__term_type(b, term);
    if (type) return qn__type_table[type].name;
    qn__type_set set = qn__term_set(b, term);
    if (!(set & ~QN__SET_FLOAT)) return "a float number";
    if (!(set & ~QN__SET_INT)) return "an integer number";
    if (!(set & ~QN__SET_NUMBER)) return "a number";
    return "a value";
}
