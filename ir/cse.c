/* cse: an operation that was computed before, at a place that dominates this one, is not computed again.
 *
 * A hash table follows the walk over the region tree: what a region adds is taken out when the walk leaves it, so a hit
 * always dominates. A load counts as the same when its array or local has the same version: every write, and entering a
 * loop that contains one, gives a new version. What a store wrote is known to the loads behind it. A check that was made
 * before at a dominating place cannot fail and goes.
 *
 * requires: fold (constants on the right)
 * preserves: everything else
 * breaks: nothing */
#include "ir/pass.h"

typedef struct entry {
    uint32_t hash, next;   /* next: entry in the same bucket, plus 1 */
    uint32_t version;
    qn__instr_ref instr;   /* whose operands (the first arg_count) are the key */
    uint32_t arg_count;
    uint8_t op;
    qn__value value;
} entry;

typedef struct eliminator {
    qn__pass *pass;
    qn__ir *ir;
    qn__rewrite rewrite;
    uint32_t *buckets, mask;
    entry *entries;
    size_t count, capacity;
    uint32_t *array_versions, *local_versions, clock;
} eliminator;

typedef struct key {
    qn__instr_ref instr;
    uint8_t op;
    uint32_t arg_count, version;
} key;

static uint32_t mix(uint32_t hash, uint64_t word) {
    uint64_t product = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(product >> 32) ^ (uint32_t)word;
}

/* Stores are looked up as the loads that they feed; the type is implied by the array then. */
static uint32_t type_key(const eliminator *e, const qn__instr *instr) {
    bool memory = qn__effect_of(instr) == QN__EFFECT_READ || qn__effect_of(instr) == QN__EFFECT_WRITE;
    return memory || !instr->result_count ? 0 : qn__type_of(e->ir, instr->first_result);
}

static uint32_t hash_key(const eliminator *e, const key *k) {
    const qn__instr *instr = &e->ir->instrs[k->instr];
    uint32_t hash = mix(mix(mix(k->op, instr->imm), k->version), type_key(e, instr));
    for (uint32_t i = 0; i < k->arg_count; i++) hash = mix(hash, instr->args[i]);
    return hash;
}

static bool equal(const eliminator *e, const entry *known, const key *k, uint32_t hash) {
    if (known->hash != hash || known->op != k->op || known->version != k->version || known->arg_count != k->arg_count)
        return false;
    const qn__instr *a = &e->ir->instrs[known->instr], *b = &e->ir->instrs[k->instr];
    if (a->imm != b->imm || type_key(e, a) != type_key(e, b)) return false;
    if (k->op == QN__OP_CHECK && a->aux != b->aux) return false;
    for (uint32_t i = 0; i < k->arg_count; i++)
        if (a->args[i] != b->args[i]) return false;
    return true;
}

static const entry *find(const eliminator *e, const key *k, uint32_t hash) {
    for (uint32_t i = e->buckets[hash & e->mask]; i; i = e->entries[i - 1].next)
        if (equal(e, &e->entries[i - 1], k, hash)) return &e->entries[i - 1];
    return NULL;
}

static void add(eliminator *e, const key *k, uint32_t hash, qn__value value) {
    entry *grown = qn__arena_grow(e->pass->scratch, e->entries, &e->capacity, e->count + 1, sizeof *grown);
    if (!grown) {
        e->ir->failed = true;
        return;
    }
    e->entries = grown;
    uint32_t *bucket = &e->buckets[hash & e->mask];
    e->entries[e->count++] = (entry){hash, *bucket, k->version, k->instr, k->arg_count, k->op, value};
    *bucket = (uint32_t)e->count;
}

static void forget(eliminator *e, size_t count) {
    while (e->count > count) {
        const entry *last = &e->entries[--e->count];
        e->buckets[last->hash & e->mask] = last->next;
    }
}

/* --- writes ------------------------------------------------------------------------------------------------------- */

static void touch_array(eliminator *e, uint64_t array) {
    if (array < e->ir->array_count) e->array_versions[array] = ++e->clock;
}

static void touch(eliminator *e, const qn__instr *instr) {
    switch ((int)instr->op) {
    case QN__OP_STORE: case QN__OP_ACCUMULATE: case QN__OP_ALLOC: touch_array(e, instr->imm); return;
    case QN__OP_SWAP:
        touch_array(e, instr->imm);
        touch_array(e, instr->aux);
        return;
    case QN__OP_LOCAL_STORE: case QN__OP_LOCAL_ZERO:
        if (instr->imm < e->ir->local_count) e->local_versions[instr->imm] = ++e->clock;
        return;
    case QN__OP_KEEP:
        for (uint32_t i = 0; i < instr->list_count; i++) touch_array(e, instr->list[i]);
        return;
    default: return;
    }
}

static void touch_all(eliminator *e, qn__region_ref region) {
    const qn__ir *ir = e->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        touch(e, &ir->instrs[ref]);
        for (uint32_t i = 0; i < ir->instrs[ref].region_count; i++) touch_all(e, ir->instrs[ref].regions[i]);
    }
}

/* --- the walk ----------------------------------------------------------------------------------------------------- */

static void order_operands(const qn__ir *ir, qn__instr *instr) {
    bool commutes = instr->op == QN__OP_ADD || instr->op == QN__OP_MUL || instr->op == QN__OP_MIN ||
                    instr->op == QN__OP_MAX || instr->op == QN__OP_AND || instr->op == QN__OP_OR ||
                    instr->op == QN__OP_XOR || instr->op == QN__OP_EQ || instr->op == QN__OP_NE;
    if (!commutes || instr->args[0] <= instr->args[1] || qn__is_const(ir, instr->args[1], NULL)) return;
    qn__value left = instr->args[0];
    instr->args[0] = instr->args[1];
    instr->args[1] = left;
}

/* The key under which an instruction is looked up; false when it is none. */
static bool make_key(eliminator *e, qn__instr_ref ref, key *k) {
    qn__instr *instr = &e->ir->instrs[ref];
    *k = (key){.instr = ref, .op = instr->op, .arg_count = instr->arg_count};
    if (qn__is_pure(instr)) {
        order_operands(e->ir, instr);
        return true;
    }
    if (instr->op == QN__OP_LOAD && instr->imm < e->ir->array_count) k->version = e->array_versions[instr->imm];
    else if (instr->op == QN__OP_LOCAL_LOAD && instr->imm < e->ir->local_count)
        k->version = e->local_versions[instr->imm];
    else return qn__effect_of(instr) == QN__EFFECT_CHECK;
    return true;
}

/* After a store the element's value is known. */
static void know_stored(eliminator *e, qn__instr_ref ref) {
    const qn__instr *instr = &e->ir->instrs[ref];
    bool local = instr->op == QN__OP_LOCAL_STORE;
    if (instr->op != QN__OP_STORE && !local) return;
    uint32_t last = instr->arg_count - 1;
    key k = {.instr = ref, .op = local ? QN__OP_LOCAL_LOAD : QN__OP_LOAD, .arg_count = last,
             .version = local ? e->local_versions[instr->imm] : e->array_versions[instr->imm]};
    add(e, &k, hash_key(e, &k), instr->args[last]);
}

static void walk(eliminator *e, qn__region_ref region) {
    qn__ir *ir = e->ir;
    size_t mark = e->count;
    for (qn__instr_ref ref = ir->regions[region].first, next; ref && !ir->failed; ref = next) {
        next = ir->instrs[ref].next;
        qn__rewrite_args(&e->rewrite, ir, ref);
        const qn__instr *instr = &ir->instrs[ref];
        key k;
        if (make_key(e, ref, &k)) {
            uint32_t hash = hash_key(e, &k);
            const entry *known = find(e, &k, hash);
            if (known) {
                if (instr->result_count) qn__rewrite_set(&e->rewrite, instr->first_result, known->value);
                qn__instr_remove(ir, ref);
            } else {
                add(e, &k, hash, instr->first_result);
            }
            continue;
        }
        if (instr->op != QN__OP_IF)
            for (uint32_t i = 0; i < instr->region_count; i++) touch_all(e, instr->regions[i]);
        for (uint32_t i = 0; i < instr->region_count; i++) walk(e, instr->regions[i]);
        touch(e, instr);
        know_stored(e, ref);
    }
    forget(e, mark);
}

bool qn__pass_cse(qn__pass *pass) {
    qn__ir *ir = pass->ir;
    eliminator e = {.pass = pass, .ir = ir};
    uint32_t size = 64;
    while (size < ir->instr_count && size < (1u << 20)) size *= 2;
    e.mask = size - 1;
    e.buckets = QN__ARENA_ARRAY(pass->scratch, uint32_t, size);
    e.array_versions = QN__ARENA_ARRAY(pass->scratch, uint32_t, ir->array_count);
    e.local_versions = QN__ARENA_ARRAY(pass->scratch, uint32_t, ir->local_count);
    if (!e.buckets || !e.array_versions || !e.local_versions || !qn__rewrite_begin(&e.rewrite, pass)) return false;
    walk(&e, ir->body);
    qn__rewrite_extents(&e.rewrite, ir);
    return !ir->failed;
}
