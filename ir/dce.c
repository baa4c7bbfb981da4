/* dce: what nobody needs goes: operations, loads, loops, values that loops carry for nobody, results of `if` that nobody
 * reads, and temporary arrays that are written but never read.
 *
 * Liveness spreads from what can be observed (writes, checks, host calls) over operands. A loop's carried value is one
 * group: its result, its parameters, its initial value and what is yielded for it live together. Then one sweep removes
 * the dead and narrows the structured operations that have dead groups.
 *
 * requires: no calls
 * preserves: everything else; a loop without effects goes even when it might not have ended
 * breaks: the numbers of narrowed results and parameters */
#include "ir/pass.h"

typedef struct cleaner {
    qn__pass *pass;
    qn__ir *ir;
    uint8_t *live_values, *live_instrs, *live_arrays;
    uint32_t *work;              /* values (even: v * 2) and instructions (odd: i * 2 + 1) to be looked at */
    size_t work_count, work_capacity;
    qn__instr_ref *writers;      /* by array: the first of its writers */
    qn__instr_ref *next_writer;  /* by instruction */
    qn__rewrite rewrite;
} cleaner;

static void push(cleaner *c, uint32_t item) {
    uint32_t *grown = qn__arena_grow(c->pass->scratch, c->work, &c->work_capacity, c->work_count + 1, sizeof *grown);
    if (!grown) {
        c->ir->failed = true;
        return;
    }
    c->work = grown;
    c->work[c->work_count++] = item;
}

static void live_value(cleaner *c, qn__value v) {
    if (!v || c->live_values[v]) return;
    c->live_values[v] = 1;
    push(c, v * 2);
}

static void live_instr(cleaner *c, qn__instr_ref ref) {
    if (!ref || c->live_instrs[ref]) return;
    c->live_instrs[ref] = 1;
    push(c, ref * 2 + 1);
}

static void live_array(cleaner *c, uint64_t array) {
    if (array >= c->ir->array_count || c->live_arrays[array]) return;
    c->live_arrays[array] = 1;
    for (qn__instr_ref ref = c->writers[array]; ref; ref = c->next_writer[ref]) live_instr(c, ref);
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static bool is_grouped(uint32_t op) {
    return op == QN__OP_IF || op == QN__OP_FOR || op == QN__OP_WHILE || op == QN__OP_REDUCE;
}

/* Operands that are not carried. */
static uint32_t fixed_args(uint32_t op) { return op == QN__OP_IF ? 1 : op == QN__OP_WHILE ? 0 : 2; }

static qn__instr *yield_of(const qn__ir *ir, qn__region_ref region) { return &ir->instrs[ir->regions[region].last]; }

static void live_group(cleaner *c, qn__instr_ref ref, uint32_t k) {
    const qn__ir *ir = c->ir;
    const qn__instr *instr = &ir->instrs[ref];
    const qn__region_ref *regions = instr->regions;
    live_instr(c, ref);
    if (k >= instr->result_count) return;
    live_value(c, instr->first_result + k);
    if (instr->op != QN__OP_IF) live_value(c, instr->args[fixed_args(instr->op) + k]);
    for (uint32_t i = 0; i < instr->region_count; i++) {
        const qn__region *r = &ir->regions[regions[i]];
        uint32_t iv = (instr->op == QN__OP_FOR || instr->op == QN__OP_REDUCE) && i == 0;
        if (instr->op != QN__OP_IF) live_value(c, r->first_param + iv + k);
        if (instr->op == QN__OP_REDUCE && i == 1) live_value(c, r->first_param + instr->result_count + k);
        if (instr->op == QN__OP_WHILE && i == 0) continue; /* the condition's yield */
        live_value(c, yield_of(ir, regions[i])->args[k]);
    }
}

static void visit_param(cleaner *c, const qn__value_info *info) {
    qn__instr_ref owner = c->ir->regions[info->region].owner;
    if (!owner) return;
    const qn__instr *instr = &c->ir->instrs[owner];
    live_instr(c, owner);
    if (!is_grouped(instr->op)) return;
    uint32_t iv = instr->op != QN__OP_WHILE && info->region == instr->regions[0];
    if (iv && info->index == 0) return;
    live_group(c, owner, (info->index - iv) % (instr->result_count ? instr->result_count : 1));
}

static void visit_value(cleaner *c, qn__value v) {
    const qn__value_info *info = &c->ir->values[v];
    if (!info->instr) visit_param(c, info);
    else if (is_grouped(c->ir->instrs[info->instr].op)) live_group(c, info->instr, info->index);
    else live_instr(c, info->instr);
}

static void visit_instr(cleaner *c, qn__instr_ref ref) {
    const qn__ir *ir = c->ir;
    const qn__instr *instr = &ir->instrs[ref];
    live_instr(c, ir->regions[instr->region].owner);
    bool grouped = is_grouped(instr->op);
    uint32_t count = grouped ? fixed_args(instr->op) : instr->arg_count;
    for (uint32_t i = 0; i < count; i++) live_value(c, instr->args[i]);
    if (instr->op == QN__OP_LOAD) live_array(c, instr->imm);
    if (instr->op == QN__OP_REDUCE) live_group(c, ref, 0); /* a reduction has at least one accumulator */
    for (uint32_t i = 0; i < instr->region_count; i++) {
        bool whole = !grouped || (instr->op == QN__OP_WHILE && i == 0);
        const qn__instr *yield = yield_of(ir, instr->regions[i]);
        for (uint32_t k = 0; whole && k < yield->arg_count; k++) live_value(c, yield->args[k]);
    }
}

/* --- roots -------------------------------------------------------------------------------------------------------- */

static bool writes_temp(const cleaner *c, const qn__instr *instr) {
    bool element = instr->op == QN__OP_STORE || instr->op == QN__OP_ACCUMULATE || instr->op == QN__OP_ALLOC;
    return element && instr->imm < c->ir->array_count && c->ir->arrays[instr->imm].kind == QN__ARRAY_TEMP;
}

static void find_roots(cleaner *c, qn__region_ref region) {
    const qn__ir *ir = c->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        uint8_t effect = qn__effect_of(instr);
        if (writes_temp(c, instr)) {
            c->next_writer[ref] = c->writers[instr->imm];
            c->writers[instr->imm] = ref;
        } else if (effect == QN__EFFECT_WRITE || effect == QN__EFFECT_CHECK || effect == QN__EFFECT_CALL) {
            live_instr(c, ref);
        }
        for (uint32_t i = 0; i < instr->region_count; i++) find_roots(c, instr->regions[i]);
    }
}

/* Arrays that exchange buffers with others, or that a keep fills, count as read. */
static void find_read_arrays(cleaner *c, qn__region_ref region) {
    const qn__ir *ir = c->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        const qn__instr *instr = &ir->instrs[ref];
        if (instr->op == QN__OP_SWAP) {
            live_array(c, instr->imm);
            live_array(c, instr->aux);
        }
        for (uint32_t i = 0; i < instr->list_count; i++) live_array(c, instr->list[i]);
        for (uint32_t i = 0; i < instr->region_count; i++) find_read_arrays(c, instr->regions[i]);
    }
    for (uint32_t i = 0; i < ir->array_count && region == ir->body; i++)
        for (uint32_t k = 0; ir->arrays[i].kind != QN__ARRAY_TEMP && k < ir->arrays[i].rank; k++)
            live_value(c, ir->arrays[i].extent[k]);
}

/* --- sweep -------------------------------------------------------------------------------------------------------- */

/* Keeps the groups whose result is live: new results, parameters, operands. */
static uint32_t kept_groups(const cleaner *c, const qn__instr *instr) {
    uint32_t kept = 0;
    for (uint32_t k = 0; k < instr->result_count; k++) kept += c->live_values[instr->first_result + k];
    return kept;
}

static void narrow_args(const cleaner *c, qn__instr *instr, qn__value first_result, uint32_t fixed, uint32_t groups) {
    uint32_t kept = fixed;
    for (uint32_t k = 0; k < groups; k++)
        if (c->live_values[first_result + k]) instr->args[kept++] = instr->args[fixed + k];
    instr->arg_count = kept;
}

/* Compacts a run of `groups * copies` values behind `fixed` ones into fresh consecutive values. */
static qn__value narrow_values(cleaner *c, qn__value first, uint32_t fixed, uint32_t copies, qn__value first_result,
                               uint32_t groups, uint32_t kept, qn__instr_ref instr, qn__region_ref region) {
    qn__ir *ir = c->ir;
    qn__value fresh = qn__values_create(ir, fixed + kept * copies, instr, region);
    if (!fresh) return 0;
    qn__value next = fresh;
    for (uint32_t i = 0; i < fixed + groups * copies; i++) {
        if (i >= fixed && !c->live_values[first_result + (i - fixed) % groups]) continue;
        ir->values[next].type = ir->values[first + i].type;
        qn__rewrite_set(&c->rewrite, first + i, next++);
    }
    return fresh;
}

static void narrow(cleaner *c, qn__instr_ref ref) {
    qn__ir *ir = c->ir;
    uint32_t op = ir->instrs[ref].op, groups = ir->instrs[ref].result_count, kept = kept_groups(c, &ir->instrs[ref]);
    qn__value results = ir->instrs[ref].first_result;
    if (kept == groups) return;
    if (op != QN__OP_IF) narrow_args(c, &ir->instrs[ref], results, fixed_args(op), groups);
    for (uint32_t i = 0; i < ir->instrs[ref].region_count; i++) {
        qn__region_ref region = ir->instrs[ref].regions[i];
        if (op != QN__OP_WHILE || i == 1) narrow_args(c, yield_of(ir, region), results, 0, groups);
        if (op == QN__OP_IF) continue;
        uint32_t fixed = op != QN__OP_WHILE && i == 0, copies = op == QN__OP_REDUCE && i == 1 ? 2 : 1;
        qn__value fresh = narrow_values(c, ir->regions[region].first_param, fixed, copies, results, groups, kept, 0, region);
        ir->regions[region].first_param = fresh;
        ir->regions[region].param_count = fixed + copies * kept;
    }
    qn__value fresh = narrow_values(c, results, 0, 1, results, groups, kept, ref, 0);
    ir->instrs[ref].first_result = fresh;
    ir->instrs[ref].result_count = kept;
}

static void sweep(cleaner *c, qn__region_ref region) {
    qn__ir *ir = c->ir;
    for (qn__instr_ref ref = ir->regions[region].first, next; ref && !ir->failed; ref = next) {
        next = ir->instrs[ref].next;
        if (ir->instrs[ref].op == QN__OP_YIELD) continue;
        if (!c->live_instrs[ref]) {
            qn__instr_remove(ir, ref);
            continue;
        }
        if (is_grouped(ir->instrs[ref].op)) narrow(c, ref);
        for (uint32_t i = 0; i < ir->instrs[ref].region_count; i++) sweep(c, ir->instrs[ref].regions[i]);
    }
}

static void rewrite_all(cleaner *c, qn__region_ref region) {
    qn__ir *ir = c->ir;
    for (qn__instr_ref ref = ir->regions[region].first; ref; ref = ir->instrs[ref].next) {
        qn__rewrite_args(&c->rewrite, ir, ref);
        for (uint32_t i = 0; i < ir->instrs[ref].region_count; i++) rewrite_all(c, ir->instrs[ref].regions[i]);
    }
}

/* A temporary whose alloc went has no extents any more. */
static void forget_extents(cleaner *c, uint32_t value_count) {
    for (uint32_t i = 0; i < c->ir->array_count; i++) {
        qn__array *array = &c->ir->arrays[i];
        for (uint32_t k = 0; array->kind == QN__ARRAY_TEMP && k < array->rank; k++)
            if (array->extent[k] < value_count && !c->live_values[array->extent[k]]) array->extent[k] = 0;
    }
}

bool qn__pass_dce(qn__pass *pass) {
    qn__ir *ir = pass->ir;
    cleaner c = {.pass = pass, .ir = ir};
    c.live_values = QN__ARENA_ARRAY(pass->scratch, uint8_t, ir->value_count);
    c.live_instrs = QN__ARENA_ARRAY(pass->scratch, uint8_t, ir->instr_count);
    c.live_arrays = QN__ARENA_ARRAY(pass->scratch, uint8_t, ir->array_count);
    c.writers = QN__ARENA_ARRAY(pass->scratch, qn__instr_ref, ir->array_count);
    c.next_writer = QN__ARENA_ARRAY(pass->scratch, qn__instr_ref, ir->instr_count);
    if (!c.live_values || !c.live_instrs || !c.live_arrays || !c.writers || !c.next_writer ||
        !qn__rewrite_begin(&c.rewrite, pass))
        return false;
    find_roots(&c, ir->body);
    find_read_arrays(&c, ir->body);
    while (c.work_count && !ir->failed) {
        uint32_t item = c.work[--c.work_count];
        if (item & 1) visit_instr(&c, item / 2);
        else visit_value(&c, item / 2);
    }
    if (ir->failed) return false;
    uint32_t before = ir->value_count;
    forget_extents(&c, before);
    sweep(&c, ir->body);
    if (ir->value_count != before) rewrite_all(&c, ir->body);
    qn__rewrite_extents(&c.rewrite, ir);
    return !ir->failed;
}
