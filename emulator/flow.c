/* Where diverged lanes meet: immediate post-dominators, by Cooper, Harvey and Kennedy's iteration over the reversed graph.
 *
 * Lanes that leave (exit, ret before the end, trap) need no meeting point. So a path that never reaches the function's main end does not count
 * where another path from the same branch does: `if (bad) trap; ...; barrier` brings the others together before the barrier. The main end is
 * the last ret or exit in the text. */
#include "emulator/flow.h"

#include "emulator/machine.h"

#include <stdlib.h>
#include <string.h>

typedef struct node { uint32_t first, last; uint32_t *successors, count; bool ends, reaches; uint32_t order, dominator; } node;
typedef struct graph {
    const em_function *function;
    node *nodes;                 /* the virtual exit is nodes[count] */
    uint32_t count;
    uint32_t *node_of;           /* by instruction */
    uint32_t *edges, *predecessors, *predecessor_first;
    uint32_t edge_count;
    uint32_t *sequence, sequence_count; /* reverse graph in postorder */
} graph;

static bool leaves(const em_instruction *i) {
    return i->row && (i->operation == EM_OP_RET || i->operation == EM_OP_EXIT || i->operation == EM_OP_TRAP);
}

static bool branches(const em_instruction *i) { return i->row && (i->operation == EM_OP_BRA || i->operation == EM_OP_BRX || leaves(i)); }

static bool find_nodes(graph *g) {
    const em_function *f = g->function;
    uint8_t *leader = calloc((size_t)f->count + 1, 1);
    g->node_of = calloc((size_t)f->count + 1, sizeof *g->node_of);
    if (!leader || !g->node_of) {
        free(leader);
        return false;
    }
    leader[0] = 1;
    size_t edges = 0;
    for (const em_label *label = f->labels; label; label = label->next) leader[label->instruction] = 1;
    for (uint32_t k = 0; k < f->count; k++) {
        if (branches(&f->code[k])) leader[k + 1] = 1;
        if (f->code[k].row && f->code[k].operation == EM_OP_BRX) edges += f->code[k].operands[1].label->target_count;
    }
    for (uint32_t k = 0; k < f->count; k++) g->count += leader[k];
    g->nodes = calloc((size_t)g->count + 1, sizeof *g->nodes);
    g->edges = calloc(edges + 3 * (size_t)g->count + 1, sizeof *g->edges);
    uint32_t at = 0;
    for (uint32_t k = 0; g->nodes && k < f->count; k++) {
        if (leader[k]) g->nodes[at++].first = k;
        g->nodes[at - 1].last = k;
        g->node_of[k] = at - 1;
    }
    free(leader);
    return g->nodes && g->edges;
}

static void add_edge(graph *g, node *n, uint32_t instruction) {
    if (instruction >= g->function->count) n->ends = true;
    else n->successors[n->count++] = g->node_of[instruction];
}

static void find_edges(graph *g) {
    const em_function *f = g->function;
    for (uint32_t k = 0; k < g->count; k++) {
        node *n = &g->nodes[k];
        const em_instruction *i = &f->code[n->last];
        n->successors = g->edges + g->edge_count;
        if (i->row && i->operation == EM_OP_BRA) {
            add_edge(g, n, i->operands[0].label->instruction);
        } else if (i->row && i->operation == EM_OP_BRX) {
            const em_label *list = i->operands[1].label;
            for (uint32_t t = 0; t < list->target_count; t++) add_edge(g, n, list->targets[t].label->instruction);
        } else if (leaves(i)) {
            n->ends = true;
        }
        if (!branches(i) || i->guarded) add_edge(g, n, n->last + 1);
        g->edge_count += n->count;
    }
}

/* Predecessors, the edges to the virtual exit included. */
static bool find_predecessors(graph *g) {
    g->predecessors = calloc((size_t)g->edge_count + g->count + 1, sizeof *g->predecessors);
    g->predecessor_first = calloc((size_t)g->count + 2, sizeof *g->predecessor_first);
    if (!g->predecessors || !g->predecessor_first) return false;
    for (uint32_t k = 0; k < g->count; k++) {
        for (uint32_t s = 0; s < g->nodes[k].count; s++) g->predecessor_first[g->nodes[k].successors[s] + 1]++;
        g->predecessor_first[g->count + 1] += g->nodes[k].ends;
    }
    for (uint32_t k = 0; k <= g->count; k++) g->predecessor_first[k + 1] += g->predecessor_first[k];
    uint32_t *fill = calloc((size_t)g->count + 1, sizeof *fill);
    if (!fill) return false;
    for (uint32_t k = 0; k < g->count; k++) {
        for (uint32_t s = 0; s < g->nodes[k].count; s++) {
            uint32_t to = g->nodes[k].successors[s];
            g->predecessors[g->predecessor_first[to] + fill[to]++] = k;
        }
        if (g->nodes[k].ends) g->predecessors[g->predecessor_first[g->count] + fill[g->count]++] = k;
    }
    free(fill);
    return true;
}

/* Which nodes reach the main end. */
static bool find_reach(graph *g, uint32_t *stack) {
    uint32_t depth = 0;
    for (uint32_t k = g->count; k-- > 0;) {
        const em_instruction *i = &g->function->code[g->nodes[k].last];
        if (!g->nodes[k].ends || (leaves(i) && i->operation == EM_OP_TRAP)) continue;
        g->nodes[k].reaches = true;
        stack[depth++] = k;
        break;
    }
    while (depth) {
        uint32_t n = stack[--depth];
        for (uint32_t p = g->predecessor_first[n]; p < g->predecessor_first[n + 1]; p++) {
            node *from = &g->nodes[g->predecessors[p]];
            if (from->reaches) continue;
            from->reaches = true;
            stack[depth++] = g->predecessors[p];
        }
    }
    return true;
}

/* An edge counts unless it leaves the paths to the main end. */
static bool counts(const graph *g, uint32_t from, uint32_t to) {
    if (!g->nodes[from].reaches) return true;
    if (to < g->count) return g->nodes[to].reaches;
    return g->nodes[from].count == 0 || !g->nodes[g->nodes[from].successors[0]].reaches; /* a guarded exit is a side way out */
}

static bool order_nodes(graph *g) {
    uint32_t *stack = calloc((size_t)g->count + 1, sizeof *stack), *at = calloc((size_t)g->count + 1, sizeof *at);
    g->sequence = calloc((size_t)g->count + 1, sizeof *g->sequence);
    bool good = stack && at && g->sequence;
    if (good) {
        find_reach(g, stack);
        for (uint32_t k = 0; k <= g->count; k++) g->nodes[k].order = UINT32_MAX, g->nodes[k].dominator = UINT32_MAX;
        uint32_t depth = 0;
        stack[depth++] = g->count;
        g->nodes[g->count].order = 0; /* seen */
        while (depth) {
            uint32_t n = stack[depth - 1], p = g->predecessor_first[n] + at[n]++;
            if (p >= g->predecessor_first[n + 1]) {
                g->nodes[n].order = g->sequence_count;
                g->sequence[g->sequence_count++] = n;
                depth--;
                continue;
            }
            uint32_t from = g->predecessors[p];
            if (g->nodes[from].order != UINT32_MAX || !counts(g, from, n)) continue;
            g->nodes[from].order = 0;
            stack[depth++] = from;
        }
    }
    free(stack);
    free(at);
    return good;
}

static uint32_t meet(const graph *g, uint32_t a, uint32_t b) {
    while (a != b) {
        while (g->nodes[a].order < g->nodes[b].order) a = g->nodes[a].dominator;
        while (g->nodes[b].order < g->nodes[a].order) b = g->nodes[b].dominator;
    }
    return a;
}

static void find_dominators(graph *g) {
    g->nodes[g->count].dominator = g->count;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t k = g->sequence_count - 1; k-- > 0;) {
            uint32_t n = g->sequence[k], found = UINT32_MAX;
            node *at = &g->nodes[n];
            for (uint32_t s = 0; s <= at->count; s++) {
                uint32_t to = s < at->count ? at->successors[s] : g->count;
                if ((s == at->count && !at->ends) || !counts(g, n, to) || g->nodes[to].dominator == UINT32_MAX) continue;
                found = found == UINT32_MAX ? to : meet(g, found, to);
            }
            if (found != at->dominator) at->dominator = found, changed = true;
        }
    }
}

uint32_t *em_flow_joins(const em_function *function) {
    graph g = {.function = function};
    uint32_t *joins = calloc((size_t)function->count + 1, sizeof *joins);
    bool good = joins && find_nodes(&g);
    if (good) find_edges(&g);
    good = good && find_predecessors(&g) && order_nodes(&g);
    if (good) {
        find_dominators(&g);
        for (uint32_t k = 0; k < function->count; k++) {
            const node *n = &g.nodes[g.node_of[k]];
            uint32_t join = n->dominator;
            joins[k] = join == UINT32_MAX || join == g.count ? EM_NOWHERE : g.nodes[join].first;
        }
    } else {
        free(joins);
        joins = NULL;
    }
    free(g.nodes), free(g.edges), free(g.node_of), free(g.predecessors), free(g.predecessor_first), free(g.sequence);
    return joins;
}
