/* Graphs, as driver_graph.c and driver_capture.c share them. */
#ifndef EM_GRAPH_H
#define EM_GRAPH_H

#include "emulator/driver.h"

struct em_node {
    em_graph *graph;
    void *handle;
    em_work work;
    em_node **dependencies;
    size_t dependency_count;
    em_node *next, *previous;
    size_t missing; /* while ordering: dependencies that are not placed yet; placed nodes have all bits set */
    bool reached;   /* while a capture's end looks for what was not joined */
};

struct em_graph {
    em_object object;
    em_node *first, *last;
    size_t count;
    em_stream *origin; /* of the capture that fills it; NULL: none */
    CUstreamCaptureMode mode;
    pthread_t thread; /* that began it */
    bool broken;
};

CUresult em_graph_create(em_context *context, em_graph **graph);
/* Takes what work owns. */
CUresult em_graph_add(em_graph *graph, em_work *work, em_node *const *dependencies, size_t count, em_node **node);

#endif
