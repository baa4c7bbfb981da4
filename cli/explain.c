/* quern explain: what each stage of a kernel became, which run-time checks were proved away, which remain and why. */
#include "cli/compile.h"
#include "ir/cost.h"
#include "ir/passes.h"
#include "ir/stream.h"

#include <stdio.h>
#include <string.h>

typedef struct walker {
    const qn__ir *ir;
    qn__text *out;
    uint32_t stages;
    bool json;
} walker;

static void place(walker *w, uint32_t location) {
    const qn__location *l = &w->ir->locations[location];
    if (location) qn__text_format(w->out, "line %u", l->line);
    else qn__text_add_string(w->out, "made by the compiler");
}

/* What a region does, counted: loads, stores, arithmetic, checks, nested loops. */
typedef struct tally { uint32_t operations, checks, loops, branches, reduces, ordered; uint64_t reads, writes; } tally;

static void count_region(const qn__ir *ir, qn__region_ref region, tally *t) {
    for (qn__instr_ref i = ir->regions[region].first; i; i = ir->instrs[i].next) {
        const qn__instr *in = &ir->instrs[i];
        const uint64_t bit = in->imm < 64 ? 1ULL << in->imm : 0;
        t->operations += qn__op_table[in->op].effect == QN__EFFECT_PURE && in->op != QN__OP_CONST;
        t->checks += qn__op_table[in->op].effect == QN__EFFECT_CHECK;
        if (in->op == QN__OP_LOAD) t->reads |= bit;
        if (in->op == QN__OP_STORE || in->op == QN__OP_ACCUMULATE) t->writes |= bit;
        if (in->op == QN__OP_ACCUMULATE) t->ordered += qn__is_float((qn__type)ir->arrays[in->imm].type) && in->aux != QN__OP_MIN && in->aux != QN__OP_MAX;
        t->loops += in->op == QN__OP_FOR || in->op == QN__OP_WHILE;
        t->reduces += in->op == QN__OP_REDUCE;
        t->branches += in->op == QN__OP_IF;
        for (uint32_t r = 0; r < in->region_count; r++) count_region(ir, in->regions[r], t);
    }
}

/* Whether threads may share the stage's work, and from how many points on they do. */
static void threads_of(walker *w, const qn__instr *in) {
    const char *serial = qn__stage_serial(w->ir, in);
    if (serial) {
        qn__text_format(w->out, ", on one thread: %s", serial);
        return;
    }
    const double cost = qn__cost_region(w->ir, in->regions[0]);
    qn__text_format(w->out, ", threads from about %.0f points on", (double)QN__COST_WORTH / (cost > 1 ? cost : 1));
}

static void names(walker *w, const char *what, uint64_t set) {
    if (!set) return;
    qn__text_format(w->out, "; %s", what);
    for (uint32_t a = 0; a < w->ir->array_count && a < 64; a++)
        if (set >> a & 1) qn__text_format(w->out, " %s", w->ir->arrays[a].name);
}

static void kind_of(walker *w, const qn__instr *in) {
    switch ((qn__op)in->op) {
    case QN__OP_PARALLEL:
        qn__text_format(w->out, "parallel over %u ind%s%s%s", (unsigned)in->imm, in->imm == 1 ? "ex" : "ices",
                        in->region_count > 1 ? ", inner box and border apart" : "", in->flags & QN__CONTRACTION ? ", a contraction" : "");
        break;
    case QN__OP_REDUCE: qn__text_add_string(w->out, "reduction in blocks of 4096 terms, 64 lanes"); break;
    case QN__OP_SCAN: qn__text_add_string(w->out, in->flags & QN__EXCLUSIVE ? "exclusive scan in runs of 64" : "scan in runs of 64"); break;
    case QN__OP_KEEP: qn__text_add_string(w->out, "compaction, order kept"); break;
    default: qn__text_add_string(w->out, qn__op_table[in->op].name); break;
    }
}

static bool has_stage(const qn__ir *ir, const qn__instr *in) {
    for (uint32_t r = 0; r < in->region_count; r++)
        for (qn__instr_ref i = ir->regions[in->regions[r]].first; i; i = ir->instrs[i].next) {
            const qn__instr *inner = &ir->instrs[i];
            if (inner->op == QN__OP_PARALLEL || inner->op == QN__OP_SCAN || inner->op == QN__OP_KEEP || inner->op == QN__OP_REDUCE) return true;
            if (has_stage(ir, inner)) return true;
        }
    return false;
}

static void walk(walker *w, qn__region_ref region, int depth) {
    for (qn__instr_ref i = w->ir->regions[region].first; i; i = w->ir->instrs[i].next) {
        const qn__instr *in = &w->ir->instrs[i];
        const bool stage = in->op == QN__OP_PARALLEL || in->op == QN__OP_SCAN || in->op == QN__OP_KEEP || in->op == QN__OP_REDUCE;
        if (!stage && qn__op_table[in->op].effect != QN__EFFECT_FLOW) continue;
        if (in->op == QN__OP_YIELD) continue;
        if (!stage && !has_stage(w->ir, in)) continue;
        qn__text_repeat(w->out, ' ', (size_t)(2 + 2 * depth));
        if (stage) {
            tally t = {0};
            for (uint32_t r = 0; r < in->region_count; r++) count_region(w->ir, in->regions[r], &t);
            qn__text_format(w->out, "stage %u, ", ++w->stages);
            place(w, in->location);
            qn__text_add_string(w->out, ": ");
            kind_of(w, in);
            qn__text_format(w->out, "; %u operations a point", t.operations);
            if (t.loops) qn__text_format(w->out, ", %u inner loop%s", t.loops, t.loops == 1 ? "" : "s");
            if (t.reduces && in->op == QN__OP_PARALLEL) qn__text_format(w->out, ", %u inner reduction%s in lanes", t.reduces, t.reduces == 1 ? "" : "s");
            if (t.branches) qn__text_format(w->out, ", %u branch%s", t.branches, t.branches == 1 ? "" : "es");
            threads_of(w, in);
            qn__text_format(w->out, t.checks ? ", %u run-time check%s" : ", no run-time checks", t.checks, t.checks == 1 ? "" : "s");
            if (t.ordered) qn__text_add_string(w->out, ", accumulates in the order of its points (a GPU collects them in parallel, then adds one after the other)");
            names(w, "reads", t.reads);
            names(w, "writes", t.writes);
            qn__text_add_char(w->out, '\n');
            continue;
        }
        qn__text_format(w->out, "%s, ", in->op == QN__OP_IF ? "if" : in->op == QN__OP_WHILE ? "loop while" : "loop");
        place(w, in->location);
        qn__text_add_string(w->out, ", around:\n");
        for (uint32_t r = 0; r < in->region_count; r++) walk(w, in->regions[r], depth + 1);
    }
}

static const char *const headings[] = {[QN__REMARK_PROVED] = "proved and removed", [QN__REMARK_KEPT] = "checked at run time",
                                       [QN__REMARK_FAILS] = "always fails",        [QN__REMARK_FUSED] = "fused",
                                       [QN__REMARK_NOT_FUSED] = "not fused",       [QN__REMARK_CONTRACTION] = "contractions",
                                       [QN__REMARK_NOTE] = "notes"};

static void remarks(walker *w, const char *main_path) {
    for (int kind = 0; kind <= QN__REMARK_NOTE; kind++) {
        uint32_t library = 0;
        bool heading = false;
        for (uint32_t i = 0; i < w->ir->remark_count; i++) {
            const qn__remark *r = &w->ir->remarks[i];
            if (r->kind != (qn__remark_kind)kind) continue;
            const qn__location *l = &w->ir->locations[r->location];
            if (!heading) qn__text_format(w->out, "%s:\n", headings[kind]);
            heading = true;
            if (r->location && strcmp(l->path, main_path) != 0) {
                library++;
                continue;
            }
            if (r->location) qn__text_format(w->out, "  %u:%u: %s\n", l->line, l->column, r->text);
            else qn__text_format(w->out, "  %s\n", r->text);
        }
        if (library) qn__text_format(w->out, "  and %u inside imported and library functions\n", library);
    }
}

static void explain_json(walker *w) {
    static const char *const kinds[] = {"proved", "kept", "fails", "fused", "not_fused", "contraction", "note"};
    qn__text_add_char(w->out, '[');
    for (uint32_t i = 0; i < w->ir->remark_count; i++) {
        const qn__remark *r = &w->ir->remarks[i];
        const qn__location *l = &w->ir->locations[r->location];
        qn__text_format(w->out, "%s{\"kind\": \"%s\", \"line\": %u, \"column\": %u, \"path\": ", i ? ",\n " : "", kinds[r->kind],
                        r->location ? l->line : 0, r->location ? l->column : 0);
        const char *path = r->location ? l->path : "";
        qn__text_add_json_string(w->out, path, strlen(path));
        qn__text_add_string(w->out, ", \"text\": ");
        qn__text_add_json_string(w->out, r->text, strlen(r->text));
        qn__text_add_char(w->out, '}');
    }
    qn__text_add_string(w->out, "]\n");
}

/* With inputs: what the call would take on each engine. */
static int explain_engines(const cli_options *options, qn__text *out) {
    cli_call call;
    const int status = cli_prepare(&call, options, QN_ENGINE_AUTO, 0);
    if (status == QN_OK) cli_explain_engines(&call, out);
    cli_call_free(&call);
    return status;
}

int cli_explain(int argc, char **argv) {
    cli_options options;
    cli_source source = {0};
    qn__text out = QN__TEXT_EMPTY;
    int status = cli_parse(&options, "explain", argc, argv) ? QN_OK : QN_USAGE;
    if (status == QN_OK) status = cli_source_open(&source, &options);
    if (status == QN_OK) status = cli_source_compile(&source, &options);
    if (status == QN_OK) {
        walker w = {.ir = source.compiled->ir, .out = &out, .json = options.json};
        if (options.json) {
            explain_json(&w);
        } else {
            qn__text_format(&out, "kernel %s%s\n", w.ir->name, w.ir->fast ? " (@fast)" : "");
            walk(&w, w.ir->body, 0);
            remarks(&w, options.file);
            if (!qn__stream_explain(w.ir, &out)) status = cli_fail(QN_RESOURCE, "out of memory");
        }
        if (options.input_count && !options.json) status = explain_engines(&options, &out);
        if (status == QN_OK && !cli_write(&out)) status = cli_fail(QN_IO, "standard output cannot be written");
    }
    qn__text_free(&out);
    cli_source_close(&source);
    cli_options_free(&options);
    return status;
}
