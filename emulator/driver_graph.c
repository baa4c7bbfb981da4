/* Graphs: nodes of work with dependencies, and the executable form.
 *
 * An executable is the nodes' work in one order that the edges allow, run as one operation of a stream. Of several
 * nodes that could be next the one added last goes first, so that a forgotten edge shows as a wrong result. Launching
 * copies the work, so an update changes later launches only. */
#include "emulator/graph.h"

#include <stdlib.h>
#include <string.h>

typedef struct item {
    void *node;
    em_work work;
} item;
typedef struct em_exec {
    em_object object;
    item *items;
    size_t count;
    em_op *last; /* launch; a reference: an executable's launches are in order */
} em_exec;

CUresult em_graph_create(em_context *context, em_graph **graph) {
    em_graph *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = em_object_add(&fresh->object, EM_GRAPH, context);
    if (result)
        free(fresh);
    else
        *graph = fresh;
    return result;
}

void em_graph_end(em_graph *graph) {
    for (em_node *node = graph->first, *next; node; node = next) {
        next = node->next;
        em_handle_drop(node->handle);
        em_work_clear(&node->work);
        free(node->dependencies);
        free(node);
    }
    em_object_remove(&graph->object);
    free(graph);
}

CUresult em_graph_add(em_graph *graph, em_work *work, em_node *const *dependencies, size_t count, em_node **result) {
    em_node *node = calloc(1, sizeof *node);
    em_node **copy = count ? malloc(count * sizeof *copy) : NULL;
    void *handle = node ? em_handle_make(EM_NODE, node) : NULL;
    if (!handle || (count && !copy)) {
        em_handle_drop(handle);
        free(node);
        free(copy);
        em_work_clear(work);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (count) memcpy(copy, dependencies, count * sizeof *copy);
    *node = (em_node){.graph = graph,
                      .handle = handle,
                      .work = *work,
                      .dependencies = copy,
                      .dependency_count = count,
                      .previous = graph->last};
    *work = (em_work){0};
    if (graph->last)
        graph->last->next = node;
    else
        graph->first = node;
    graph->last = node;
    graph->count++;
    *result = node;
    return CUDA_SUCCESS;
}

CUresult cuGraphCreate(CUgraph *handle, unsigned int flags) {
    em_context *context;
    em_graph *graph;
    CUresult result = em_enter(&context);
    if (result) return result;
    if (!handle || flags) return em_leave(CUDA_ERROR_INVALID_VALUE);
    result = em_graph_create(context, &graph);
    if (!result) *handle = graph->object.handle;
    return em_leave(result);
}

static CUresult enter_graph(CUgraph handle, em_context **context, em_graph **graph) {
    CUresult result = em_enter(context);
    if (result) return result;
    *graph = em_handle_get(EM_GRAPH, handle);
    return *graph && !(*graph)->origin ? CUDA_SUCCESS : em_leave(CUDA_ERROR_INVALID_VALUE);
}

/* Adds work behind the nodes with these handles; takes what work owns. */
static CUresult add(em_graph *graph, em_work *work, CUgraphNode *handle, const CUgraphNode *dependencies,
                    size_t count) {
    em_node **nodes = calloc(count + 1, sizeof *nodes);
    CUresult result = !nodes                   ? CUDA_ERROR_OUT_OF_MEMORY
                      : count && !dependencies ? CUDA_ERROR_INVALID_VALUE
                                               : CUDA_SUCCESS;
    for (size_t i = 0; i < count && !result; i++) {
        nodes[i] = em_handle_get(EM_NODE, dependencies[i]);
        if (!nodes[i] || nodes[i]->graph != graph) result = CUDA_ERROR_INVALID_VALUE;
        for (size_t j = 0; j < i && !result; j++)
            if (nodes[j] == nodes[i]) result = CUDA_ERROR_INVALID_VALUE;
    }
    em_node *node;
    if (result)
        em_work_clear(work);
    else
        result = em_graph_add(graph, work, nodes, count, &node);
    if (!result) *handle = (CUgraphNode)node->handle;
    free(nodes);
    return result;
}

/* Version 1 of the parameters has no kernel and context. */
static CUDA_KERNEL_NODE_PARAMS first_version(const CUDA_KERNEL_NODE_PARAMS *p) {
    CUDA_KERNEL_NODE_PARAMS all = {0};
    memcpy(&all, p, offsetof(CUDA_KERNEL_NODE_PARAMS, kern));
    return all;
}

/* The function is that of func, or of kern. */
static CUresult make_kernel(em_context *context, CUDA_KERNEL_NODE_PARAMS p, em_work *work) {
    if (!p.func) p.func = (CUfunction)(void *)p.kern;
    if (p.ctx && !em_context_of(p.ctx)) return CUDA_ERROR_INVALID_CONTEXT;
    *work = (em_work){.kind = EM_WORK_KERNEL};
    return em_kernel_make(p.ctx ? em_context_of(p.ctx) : context, &p, &work->kernel);
}

static CUresult add_kernel(CUgraphNode *node, CUgraph handle, const CUgraphNode *dependencies, size_t count,
                           CUDA_KERNEL_NODE_PARAMS parameters) {
    em_context *context;
    em_graph *graph;
    em_work work;
    CUresult result = enter_graph(handle, &context, &graph);
    if (result) return result;
    result = node ? make_kernel(context, parameters, &work) : CUDA_ERROR_INVALID_VALUE;
    return em_leave(result ? result : add(graph, &work, node, dependencies, count));
}

CUresult cuGraphAddKernelNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                              const CUDA_KERNEL_NODE_PARAMS *parameters) {
    return parameters ? add_kernel(node, graph, dependencies, count, first_version(parameters))
                      : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
                                 const CUDA_KERNEL_NODE_PARAMS *parameters) {
    return parameters ? add_kernel(node, graph, dependencies, count, *parameters) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphAddMemcpyNode(CUgraphNode *node, CUgraph handle, const CUgraphNode *dependencies, size_t count,
                              const CUDA_MEMCPY3D *copy, CUcontext owner) {
    em_context *context;
    em_graph *graph;
    CUresult result = enter_graph(handle, &context, &graph);
    if (result) return result;
    if (!node || !copy) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (!em_context_of(owner)) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    em_work work = {.kind = EM_WORK_COPY};
    result = em_copy_make(em_context_of(owner), copy, &work.copy);
    return em_leave(result ? result : add(graph, &work, node, dependencies, count));
}

CUresult cuGraphAddMemsetNode(CUgraphNode *node, CUgraph handle, const CUgraphNode *dependencies, size_t count,
                              const CUDA_MEMSET_NODE_PARAMS *parameters, CUcontext owner) {
    em_context *context;
    em_graph *graph;
    CUresult result = enter_graph(handle, &context, &graph);
    if (result) return result;
    if (!node || !parameters) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (!em_context_of(owner)) return em_leave(CUDA_ERROR_INVALID_CONTEXT);
    em_work work = {.kind = EM_WORK_SET};
    result = em_set_make(em_context_of(owner), parameters, &work.set);
    return em_leave(result ? result : add(graph, &work, node, dependencies, count));
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
    em_context *context;
    em_graph *graph;
    CUresult result = enter_graph(handle, &context, &graph);
    if (result) return result;
    if (!count) return em_leave(CUDA_ERROR_INVALID_VALUE);
    size_t given = 0;
    for (const em_node *node = graph->first; nodes && node && given < *count; node = node->next)
        nodes[given++] = node->handle;
    while (nodes && given < *count) nodes[given++] = NULL;
    *count = graph->count; /* how many there are, also when fewer were asked for */
    return em_leave(CUDA_SUCCESS);
}

CUresult cuGraphDestroy(CUgraph handle) {
    em_context *context;
    em_graph *graph;
    CUresult result = enter_graph(handle, &context, &graph);
    if (result) return result;
    em_graph_end(graph);
    return em_leave(CUDA_SUCCESS);
}

/* The ready node that was added last. Nodes depend on older ones only, so there is one as long as any is left. */
static em_node *next_ready(const em_graph *graph) {
    em_node *best = NULL;
    for (em_node *node = graph->first; node; node = node->next)
        if (!node->missing) best = node;
    return best;
}

static bool place_all(em_graph *graph, em_exec *exec) {
    for (em_node *node = graph->first; node; node = node->next) node->missing = node->dependency_count;
    for (em_node *node; (node = next_ready(graph)); exec->count++) {
        if (!em_work_clone(&exec->items[exec->count].work, &node->work)) return false;
        exec->items[exec->count].node = node->handle;
        node->missing = SIZE_MAX;
        for (em_node *other = graph->first; other; other = other->next)
            for (size_t i = 0; i < other->dependency_count; i++)
                if (other->dependencies[i] == node) other->missing--;
    }
    return true;
}

void em_exec_end(em_object *object) {
    em_exec *exec = (em_exec *)object;
    for (size_t i = 0; i < exec->count; i++) em_work_clear(&exec->items[i].work);
    free(exec->items);
    em_op_release(exec->last);
    if (object->handle) em_object_remove(object);
    free(exec);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *handle, CUgraph graph_handle, unsigned long long flags) {
    em_context *context;
    em_graph *graph;
    CUresult result = enter_graph(graph_handle, &context, &graph);
    if (result) return result;
    if (!handle || flags & ~15ull) return em_leave(CUDA_ERROR_INVALID_VALUE);
    if (flags & 4) return em_leave(CUDA_ERROR_NOT_SUPPORTED); /* launches from the device */
    em_exec *exec = calloc(1, sizeof *exec);
    if (!exec) return em_leave(CUDA_ERROR_OUT_OF_MEMORY);
    exec->items = calloc(graph->count + 1, sizeof *exec->items);
    result = exec->items && place_all(graph, exec) ? em_object_add(&exec->object, EM_EXEC, context)
                                                   : CUDA_ERROR_OUT_OF_MEMORY;
    if (result)
        em_exec_end(&exec->object);
    else
        *handle = exec->object.handle;
    return em_leave(result);
}

CUresult cuGraphInstantiate(CUgraphExec *executable, CUgraph graph, CUgraphNode *error, char *log, size_t size) {
    if (error) *error = NULL;
    if (log && size) *log = 0;
    return cuGraphInstantiateWithFlags(executable, graph, 0);
}

static CUresult enter_exec(CUgraphExec handle, em_context **context, em_exec **exec) {
    CUresult result = em_enter(context);
    if (result) return result;
    *exec = em_handle_get(EM_EXEC, handle);
    return *exec ? CUDA_SUCCESS : em_leave(CUDA_ERROR_INVALID_VALUE);
}

static CUresult copy_items(const em_exec *exec, em_work *list) {
    *list = (em_work){.kind = EM_WORK_LIST, .items = calloc(exec->count + 1, sizeof *list->items)};
    if (!list->items) return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < exec->count; i++, list->count++) {
        const em_work *work = &exec->items[i].work;
        CUresult result = CUDA_SUCCESS;
        if (work->kind == EM_WORK_KERNEL && !em_handle_get(EM_FUNCTION, work->kernel.handle))
            result = CUDA_ERROR_INVALID_HANDLE; /* module unloaded */
        else if (!em_work_clone(&list->items[i], work))
            result = CUDA_ERROR_OUT_OF_MEMORY;
        if (!result) continue;
        em_work_clear(list);
        return result;
    }
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle) {
    em_context *context;
    em_exec *exec;
    em_stream *stream;
    em_work list;
    em_op *op;
    CUresult result = enter_exec(handle, &context, &exec);
    if (result) return result;
    result = em_stream_of(context, stream_handle, &stream);
    if (!result && stream->capture) result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (!result) result = copy_items(exec, &list);
    if (!result) result = em_submit(stream, &list, exec->last, &op);
    if (result) return em_leave(result);
    em_op_release(exec->last);
    exec->last = op;
    return em_leave(CUDA_SUCCESS);
}

static CUresult set_kernel(CUgraphExec handle, CUgraphNode node, CUDA_KERNEL_NODE_PARAMS parameters) {
    em_context *context;
    em_exec *exec;
    CUresult result = enter_exec(handle, &context, &exec);
    if (result) return result;
    item *found = NULL;
    for (size_t i = 0; i < exec->count; i++)
        if (exec->items[i].node == (void *)node && exec->items[i].work.kind == EM_WORK_KERNEL) found = &exec->items[i];
    if (!found || !em_handle_get(EM_NODE, node)) return em_leave(CUDA_ERROR_INVALID_VALUE);
    em_work work;
    result = make_kernel(context, parameters, &work);
    if (result) return em_leave(result);
    em_work_clear(&found->work);
    found->work = work;
    return em_leave(CUDA_SUCCESS);
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec executable, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS *parameters) {
    return parameters ? set_kernel(executable, node, first_version(parameters)) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec executable, CUgraphNode node,
                                           const CUDA_KERNEL_NODE_PARAMS *parameters) {
    return parameters ? set_kernel(executable, node, *parameters) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphExecDestroy(CUgraphExec handle) {
    em_context *context;
    em_exec *exec;
    CUresult result = enter_exec(handle, &context, &exec);
    if (result) return result;
    em_exec_end(&exec->object);
    return em_leave(CUDA_SUCCESS);
}
