// SPDX-License-Identifier: Apache-2.0
// The network after a cut node, as a graph of its own.
#include "model/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every node is needed by the output, so that one behind `node` that reads an earlier one lies on a
 * way that bypasses it. */
static enum ab_status find_bypass(const struct ab_graph *g, int node, struct ab_error *err)
{
    if (node < 0 || node >= g->n_nodes)
        return ab_fail(err, AB_ERR_ARG, "model '%.80s' has no node %d; it has 0..%d", g->name, node,
                       g->n_nodes - 1);
    if (node == g->output)
        return ab_fail(err, AB_ERR_UNSUPPORTED, "nothing follows layer '%.80s' of model '%.80s'",
                       g->nodes[node].name, g->name);
    for (int n = node + 1; n < g->n_nodes; n++)
        for (int i = 0; i < g->nodes[n].n_in; i++)
            if (g->nodes[n].in[i] < node)
                return ab_fail(err, AB_ERR_UNSUPPORTED,
                               "model '%.80s' cannot be cut behind layer '%.80s': layer '%.80s' "
                               "bypasses it, as it reads '%.80s' too",
                               g->name, g->nodes[node].name, g->nodes[n].name,
                               g->nodes[g->nodes[n].in[i]].name);
    return AB_OK;
}

static float *copy_floats(const float *from, size_t count)
{
    float *to = ab_buffer_alloc(count * sizeof *to);
    return to ? memcpy(to, from, count * sizeof *to) : NULL;
}

/* Node n of `g` behind the nodes of `tail`, reading what node number in - shift now is. */
static bool append(const struct ab_graph *g, int n, int shift, struct ab_graph *tail)
{
    const struct ab_node *from = &g->nodes[n];
    struct ab_node *to = ab_graph_add(tail, from->kind, from->name, from->in, from->n_in);
    if (!to) return false;
    char *name = to->name;
    int *in = to->in;
    *to = *from;
    to->name = name;
    to->in = in;
    to->wei = to->bias = NULL;
    for (int i = 0; i < to->n_in; i++) to->in[i] -= shift;
    if (from->wei) to->wei = copy_floats(from->wei, from->wei_count);
    if (from->bias) to->bias = copy_floats(from->bias, (size_t)from->dims.c);
    return (to->wei || !from->wei) && (to->bias || !from->bias);
}

enum ab_status ab_graph_tail(const struct ab_graph *graph, int node, struct ab_graph **tail,
                             struct ab_error *err)
{
    *tail = NULL;
    enum ab_status status = find_bypass(graph, node, err);
    char name[256];
    if (!status) {
        snprintf(name, sizeof name, "%.120s after %.100s", graph->name, graph->nodes[node].name);
        status = ab_graph_create(name, tail, err);
    }
    if (status) return status;
    const struct ab_node *cut = &graph->nodes[node];
    struct ab_node *input = ab_graph_add(*tail, AB_NODE_INPUT, cut->name, NULL, 0);
    bool done = input != NULL;
    if (done) {
        input->dims = cut->dims;
        input->vector = cut->vector;
        input->nonneg = cut->nonneg;
    }
    for (int n = node + 1; n < graph->n_nodes && done; n++) {
        done = append(graph, n, node, *tail);
        const struct ab_node *node_copy = &graph->nodes[n];
        (*tail)->parameters +=
            node_copy->wei_count + (node_copy->bias ? (size_t)node_copy->dims.c : 0);
    }
    if (done) {
        (*tail)->output = graph->output - node;
        return AB_OK;
    }
    ab_graph_destroy(tail);
    return ab_fail(err, AB_ERR_MEMORY, "out of memory for the layers after '%.80s'", cut->name);
}
