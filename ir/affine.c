/* Forms, facts and the prover, see affine.h.
 *
 * The prover eliminates one base at a time, the latest first, with the facts that bound it from the right side
 * (Fourier-Motzkin on demand): to show F >= 0 where F = k*b + ..., a fact G = g*b + ... >= 0 with g of k's sign gives
 * |g|*F - |k|*G, which lacks b; if that is >= 0, so is F. A product of two bases is eliminated with a fact on one factor
 * times the other factor, where that is known not to be negative. A base that is one of two values (min, max, select) is
 * tried as each. All arithmetic is checked; an overflow only makes a proof fail. Short proofs are tried first. Depth and number of steps
 * are limited per question, and for a whole module: when that is spent, only short proofs are tried, so the time stays linear. */
#include "ir/affine.h"

/* A question that can be answered takes fewer than 30 steps in all kernels seen; a step takes about 0.1 us. */
enum { DEPTH = 8, STEPS = 300, FEW_STEPS = 16, POOL = 200000 };

/* --- bases -------------------------------------------------------------------------------------------------------- */

uint32_t qn__base_create(qn__affine *affine, qn__value value, int64_t low, int64_t high) {
    qn__base *grown = qn__arena_grow(affine->pass->scratch, affine->bases, &affine->base_capacity,
                                     affine->base_count + 1, sizeof *grown);
    if (!grown) {
        affine->pass->ir->failed = true;
        return UINT32_MAX;
    }
    affine->bases = grown;
    uint32_t index = (uint32_t)affine->base_count++;
    affine->bases[index] = (qn__base){.value = value, .low = low, .high = high, .order = index};
    return index;
}

static bool is_infinite(int64_t x) { return x == QN__INFINITE || x <= -QN__INFINITE; }

/* Product of two bounds, which may be infinite. */
static int64_t bound_product(int64_t a, int64_t b) {
    int64_t product;
    if (a == 0 || b == 0) return 0;
    bool negative = (a < 0) != (b < 0);
    if (is_infinite(a) || is_infinite(b) || __builtin_mul_overflow(a, b, &product))
        return negative ? -QN__INFINITE : QN__INFINITE;
    return product;
}

static int64_t bound_sum(int64_t a, int64_t b, bool upper) {
    int64_t sum, none = upper ? QN__INFINITE : -QN__INFINITE;
    if (is_infinite(a) || is_infinite(b) || __builtin_add_overflow(a, b, &sum)) return none;
    return sum;
}

static uint32_t find_product(const qn__affine *affine, uint32_t left, uint32_t right) {
    uint32_t tries = 64; /* more products of one base than that: a miss only costs a proof */
    for (uint32_t i = affine->bases[left].products; i && tries; i = affine->bases[i - 1].next_product, tries--)
        if (affine->bases[i - 1].right == right) return i - 1;
    return UINT32_MAX;
}

uint32_t qn__base_product(qn__affine *affine, uint32_t left, uint32_t right) {
    if (left > right) {
        uint32_t other = left;
        left = right;
        right = other;
    }
    uint32_t known = find_product(affine, left, right);
    if (known != UINT32_MAX) return known;
    const qn__base *a = &affine->bases[left], *b = &affine->bases[right];
    int64_t corners[4] = {bound_product(a->low, b->low), bound_product(a->low, b->high),
                          bound_product(a->high, b->low), bound_product(a->high, b->high)};
    int64_t low = corners[0], high = corners[0];
    for (int i = 1; i < 4; i++) {
        if (corners[i] < low) low = corners[i];
        if (corners[i] > high) high = corners[i];
    }
    uint32_t order = a->order > b->order ? a->order : b->order;
    uint32_t index = qn__base_create(affine, 0, low, high);
    if (index == UINT32_MAX) return index;
    qn__base *base = &affine->bases[index];
    base->left = left;
    base->right = right;
    base->order = order;
    base->next_product = affine->bases[left].products;
    affine->bases[left].products = index + 1;
    return index;
}

/* --- forms -------------------------------------------------------------------------------------------------------- */

qn__form qn__form_constant(int64_t constant) {
    qn__form form;
    form.constant = constant;
    form.count = 0;
    return form;
}

qn__form qn__form_of_base(uint32_t base) {
    qn__form form;
    form.constant = 0;
    form.count = 1;
    form.terms[0] = (qn__term){base, 1};
    return form;
}

static bool append(qn__form *form, uint32_t base, int64_t factor) {
    if (!factor) return true;
    if (form->count == QN__FORM_TERMS) return false;
    form->terms[form->count++] = (qn__term){base, factor};
    return true;
}

bool qn__form_add(qn__form *sum, const qn__form *a, const qn__form *b, int64_t factor) {
    qn__form out;
    out.count = 0;
    int64_t scaled;
    if (__builtin_mul_overflow(b->constant, factor, &scaled)) return false;
    if (__builtin_add_overflow(a->constant, scaled, &out.constant)) return false;
    uint32_t i = 0, k = 0;
    while (i < a->count || k < b->count) {
        bool left = k == b->count || (i < a->count && a->terms[i].base <= b->terms[k].base);
        bool right = i == a->count || (k < b->count && b->terms[k].base <= a->terms[i].base);
        uint32_t base = left ? a->terms[i].base : b->terms[k].base;
        int64_t total = left ? a->terms[i++].factor : 0;
        if (right) {
            if (__builtin_mul_overflow(b->terms[k++].factor, factor, &scaled)) return false;
            if (__builtin_add_overflow(total, scaled, &total)) return false;
        }
        if (!append(&out, base, total)) return false;
    }
    *sum = out;
    return true;
}

bool qn__form_multiply(qn__affine *affine, qn__form *product, const qn__form *a, const qn__form *b) {
    qn__form zero = qn__form_constant(0), out;
    if (!qn__form_add(&out, &zero, a, b->constant)) return false;
    for (uint32_t k = 0; k < b->count; k++) {
        const qn__term *right = &b->terms[k];
        qn__form part = qn__form_of_base(right->base);
        int64_t factor;
        if (__builtin_mul_overflow(right->factor, a->constant, &factor)) return false;
        if (!qn__form_add(&out, &out, &part, factor)) return false;
        for (uint32_t i = 0; i < a->count; i++) {
            const qn__term *left = &a->terms[i];
            if (!affine->bases[left->base].value || !affine->bases[right->base].value) return false; /* degree 2 only */
            uint32_t base = qn__base_product(affine, left->base, right->base);
            if (base == UINT32_MAX || __builtin_mul_overflow(left->factor, right->factor, &factor)) return false;
            part = qn__form_of_base(base);
            if (!qn__form_add(&out, &out, &part, factor)) return false;
        }
    }
    *product = out;
    return true;
}

static int64_t bound(const qn__affine *affine, const qn__form *form, bool upper) {
    int64_t total = form->constant;
    for (uint32_t i = 0; i < form->count; i++) {
        const qn__base *base = &affine->bases[form->terms[i].base];
        int64_t factor = form->terms[i].factor, end = (factor > 0) == upper ? base->high : base->low;
        total = bound_sum(total, bound_product(factor, end), upper);
        if (is_infinite(total)) return total;
    }
    return total;
}

int64_t qn__form_low(const qn__affine *affine, const qn__form *form) { return bound(affine, form, false); }

int64_t qn__form_high(const qn__affine *affine, const qn__form *form) { return bound(affine, form, true); }

/* --- facts -------------------------------------------------------------------------------------------------------- */

qn__mark qn__facts_mark(const qn__affine *affine) { return (qn__mark){affine->fact_count, affine->link_count, affine->nonzero_count}; }

void qn__facts_forget(qn__affine *affine, qn__mark mark) {
    while (affine->link_count > mark.links) {
        const qn__fact_link *link = &affine->links[--affine->link_count];
        affine->bases[link->base].links[link->positive] = link->next;
    }
    affine->fact_count = mark.facts;
    affine->nonzero_count = mark.nonzeros;
}

static void link_fact(qn__affine *affine, uint32_t base, uint32_t fact, bool positive) {
    qn__fact_link *grown = qn__arena_grow(affine->pass->scratch, affine->links, &affine->link_capacity,
                                          affine->link_count + 1, sizeof *grown);
    if (!grown) {
        affine->pass->ir->failed = true;
        return;
    }
    affine->links = grown;
    affine->links[affine->link_count++] = (qn__fact_link){base, fact, affine->bases[base].links[positive], positive};
    affine->bases[base].links[positive] = (uint32_t)affine->link_count;
}

void qn__fact_add(qn__affine *affine, const qn__form *form) {
    if (!form->count) return;
    qn__form *grown = qn__arena_grow(affine->pass->scratch, affine->facts, &affine->fact_capacity,
                                     affine->fact_count + 1, sizeof *grown);
    if (!grown) {
        affine->pass->ir->failed = true;
        return;
    }
    affine->facts = grown;
    uint32_t fact = (uint32_t)affine->fact_count++;
    affine->facts[fact] = *form;
    for (uint32_t i = 0; i < form->count; i++) link_fact(affine, form->terms[i].base, fact, form->terms[i].factor > 0);
}

void qn__fact_at_most(qn__affine *affine, const qn__form *a, int64_t constant, const qn__form *b) {
    qn__form form;
    if (qn__form_add(&form, b, a, -1) && !__builtin_sub_overflow(form.constant, constant, &form.constant))
        qn__fact_add(affine, &form);
}

void qn__nonzero_add(qn__affine *affine, const qn__form *form) {
    qn__form *grown = qn__arena_grow(affine->pass->scratch, affine->nonzeros, &affine->nonzero_capacity,
                                     affine->nonzero_count + 1, sizeof *grown);
    if (!grown) {
        affine->pass->ir->failed = true;
        return;
    }
    affine->nonzeros = grown;
    affine->nonzeros[affine->nonzero_count++] = *form;
}

bool qn__nonzero_known(const qn__affine *affine, const qn__form *form) {
    size_t count = affine->nonzero_count, first = count > 32 ? count - 32 : 0; /* older ones only cost a proof */
    for (size_t i = count; i-- > first;) {
        qn__form sum;
        bool same = qn__form_add(&sum, form, &affine->nonzeros[i], -1) && !sum.count && !sum.constant;
        if (same || (qn__form_add(&sum, form, &affine->nonzeros[i], 1) && !sum.count && !sum.constant)) return true;
    }
    return false;
}

/* --- the prover --------------------------------------------------------------------------------------------------- */

static bool prove(qn__affine *affine, const qn__form *form, uint32_t depth);

static int64_t factor_of(const qn__form *form, uint32_t base) {
    for (uint32_t i = 0; i < form->count; i++)
        if (form->terms[i].base == base) return form->terms[i].factor;
    return 0;
}

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

/* |g| * F - |k| * G */
static bool combine(qn__form *out, const qn__form *form, int64_t k, const qn__form *fact, int64_t g) {
    qn__form zero = qn__form_constant(0), scaled;
    if (k == INT64_MIN || g == INT64_MIN) return false;
    int64_t a = magnitude(g), b = magnitude(k);
    if (b % a == 0) b /= a, a = 1;
    else if (a % b == 0) a /= b, b = 1;
    return qn__form_add(&scaled, &zero, form, a) && qn__form_add(out, &scaled, fact, -b);
}

static bool eliminate(qn__affine *affine, const qn__form *form, uint32_t base, int64_t k, uint32_t depth) {
    for (uint32_t link = affine->bases[base].links[k > 0]; link && affine->budget; link = affine->links[link - 1].next) {
        qn__form fact = affine->facts[affine->links[link - 1].fact], rest;
        int64_t g = factor_of(&fact, base);
        affine->budget--;
        if (combine(&rest, form, k, &fact, g) && prove(affine, &rest, depth - 1)) return true;
    }
    return false;
}

/* k * (factor * other): facts on `factor`, times `other` >= 0. */
static bool eliminate_product(qn__affine *affine, const qn__form *form, uint32_t factor, uint32_t other, int64_t k,
                              uint32_t depth) {
    if (affine->bases[other].low < 0) return false;
    for (uint32_t link = affine->bases[factor].links[k > 0]; link && affine->budget; link = affine->links[link - 1].next) {
        qn__form fact = affine->facts[affine->links[link - 1].fact], times, product, rest;
        int64_t g = factor_of(&fact, factor);
        times = qn__form_of_base(other);
        affine->budget--;
        if (!qn__form_multiply(affine, &product, &fact, &times)) continue;
        if (combine(&rest, form, k, &product, g) && prove(affine, &rest, depth - 1)) return true;
    }
    return false;
}

static bool prove_case(qn__affine *affine, const qn__form *form, uint32_t base, int64_t k, const qn__choice *choice,
                       bool yes, uint32_t depth) {
    qn__form itself = qn__form_of_base(base), rest;
    if (!qn__form_add(&rest, form, &itself, -k) || !qn__form_add(&rest, &rest, yes ? choice->yes : choice->no, k))
        return false;
    qn__mark mark = qn__facts_mark(affine);
    if (choice->cond) affine->assume(affine, choice->cond, yes);
    if (choice->low && yes) {
        qn__fact_at_most(affine, choice->low, 0, choice->yes);
        qn__fact_at_most(affine, choice->yes, 1, choice->high);
    }
    bool good = prove(affine, &rest, depth - 1);
    qn__facts_forget(affine, mark);
    return good;
}

static bool prove_both(qn__affine *affine, const qn__form *form, uint32_t base, int64_t k, uint32_t depth) {
    qn__choice choice = affine->bases[base].choice;
    if (!choice.yes || !affine->budget || k == INT64_MIN) return false;
    affine->budget--;
    return prove_case(affine, form, base, k, &choice, true, depth) &&
           prove_case(affine, form, base, k, &choice, false, depth);
}

/* The term whose base comes after those of all terms in `done`. */
static const qn__term *latest(const qn__affine *affine, const qn__form *form, uint32_t done) {
    const qn__term *best = NULL;
    uint64_t best_key = 0;
    for (uint32_t i = 0; i < form->count; i++) {
        const qn__base *base = &affine->bases[form->terms[i].base];
        uint64_t key = (uint64_t)base->order << 32 | (base->value ? 0u : 1u);
        if (done >> i & 1 || (best && key < best_key)) continue;
        best = &form->terms[i];
        best_key = key;
    }
    return best;
}

static bool prove(qn__affine *affine, const qn__form *form, uint32_t depth) {
    int64_t low = qn__form_low(affine, form);
    if (low >= 0 && !is_infinite(low)) return true;
    if (!form->count || !depth || !affine->budget) return false;
    uint32_t done = 0;
    for (uint32_t tries = 0; tries < form->count && affine->budget; tries++) {
        const qn__term *term = latest(affine, form, done);
        done |= 1u << (term - form->terms);
        uint32_t base = term->base, left = affine->bases[base].left, right = affine->bases[base].right;
        int64_t k = term->factor;
        if (eliminate(affine, form, base, k, depth)) return true;
        if (affine->bases[base].value) {
            if (prove_both(affine, form, base, k, depth)) return true;
        } else if (eliminate_product(affine, form, right, left, k, depth) ||
                   eliminate_product(affine, form, left, right, k, depth)) {
            return true;
        }
    }
    return false;
}

bool qn__prove(qn__affine *affine, const qn__form *form) {
    uint32_t budget = affine->spent < POOL ? STEPS : FEW_STEPS;
    affine->budget = budget;
    bool good = false;
    for (uint32_t depth = 1; depth <= DEPTH && affine->budget && !good; depth++) good = prove(affine, form, depth);
    affine->spent += budget - affine->budget;
    return good;
}

bool qn__prove_at_most(qn__affine *affine, const qn__form *a, int64_t constant, const qn__form *b) {
    qn__form form;
    return qn__form_add(&form, b, a, -1) && !__builtin_sub_overflow(form.constant, constant, &form.constant) &&
           qn__prove(affine, &form);
}
