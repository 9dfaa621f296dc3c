// SPDX-License-Identifier: Apache-2.0
// Finishing a graph: everything is checked here once, so that planners and backends need not.
#include "model/infer.h"

#include <stdlib.h>
#include <string.h>

/* Frees the nodes that `output` does not need and closes the gaps; node 0, the input, stays. */
static enum ab_status drop_unneeded(struct ab_graph *graph, struct ab_error *err)
{
    int n = graph->n_nodes, kept = 0;
    int *place = calloc((size_t)n, sizeof *place); /* first: needed or not; then: the new index */
    if (!place) return ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", graph->name);
    place[0] = place[graph->output] = 1;
    for (int i = n - 1; i >= 0; i--)
        for (int j = 0; place[i] && j < graph->nodes[i].n_in; j++) place[graph->nodes[i].in[j]] = 1;
    for (int i = 0; i < n; i++) {
        struct ab_node *node = &graph->nodes[i];
        if (!place[i]) {
            free(node->name);
            free(node->in);
            ab_buffer_free(node->wei);
            ab_buffer_free(node->bias);
            continue;
        }
        for (int j = 0; j < node->n_in; j++) node->in[j] = place[node->in[j]];
        place[i] = kept;
        if (kept != i) graph->nodes[kept] = *node;
        kept++;
    }
    graph->output = place[graph->output];
    graph->n_nodes = kept;
    free(place);
    return AB_OK;
}

bool ab_all_finite(const float *values, size_t count)
{
    /* All exponent bits set means NaN or Inf; by bits, since compilers may assume finite floats. */
    uint32_t any = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        any |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !any;
}

/* How many weights the inferred shapes ask for; products fit since the factors are checked ints. */
static size_t weights_needed(const struct ab_graph *graph, const struct ab_node *node,
                             bool *overflow)
{
    const struct ab_conv2d_shape *s = &node->conv;
    size_t outputs = (size_t)node->dims.c;
    switch (node->kind) {
    case AB_NODE_CONV:
        outputs = ab_mul_size(outputs, (size_t)(s->ic / s->g), overflow);
        return ab_mul_size(outputs, (size_t)s->kh * (size_t)s->kw, overflow);
    case AB_NODE_DENSE:
        return ab_mul_size(outputs, (size_t)graph->nodes[node->in[0]].dims.c, overflow);
    case AB_NODE_BATCHNORM: return outputs;
    default: return 0;
    }
}

static enum ab_status check_weights(struct ab_graph *graph, const struct ab_node *node,
                                    struct ab_error *err)
{
    bool overflow = false;
    size_t needed = weights_needed(graph, node, &overflow);
    const char *kind = ab_node_kind_name(node->kind);
    if (overflow || needed != node->wei_count || (needed && !node->wei))
        return ab_fail(err, AB_ERR_FORMAT,
                       "layer '%s' (%s): has %zu weights, but its shape needs %zu", node->name,
                       kind, node->wei ? node->wei_count : 0, needed);
    if (node->kind == AB_NODE_BATCHNORM && !node->bias)
        return ab_fail(err, AB_ERR_FORMAT, "layer '%s' (%s): has no shift", node->name, kind);
    size_t biases = node->bias ? (size_t)node->dims.c : 0;
    if (!ab_all_finite(node->wei, needed) || !ab_all_finite(node->bias, biases))
        return ab_fail(err, AB_ERR_FORMAT,
                       "layer '%s' (%s): a weight is NaN or infinite; export the model again",
                       node->name, kind);
    graph->parameters += needed + biases;
    return AB_OK;
}

static bool all_nonneg(const struct ab_graph *graph, const struct ab_node *node)
{
    for (int i = 0; i < node->n_in; i++)
        if (!graph->nodes[node->in[i]].nonneg) return false;
    return true;
}

static void set_nonneg(struct ab_graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        struct ab_node *node = &graph->nodes[i];
        switch (node->kind) {
        case AB_NODE_RELU: node->nonneg = true; break;
        case AB_NODE_MAXPOOL:
        case AB_NODE_AVGPOOL:
        case AB_NODE_ADD:
        case AB_NODE_CONCAT:
        case AB_NODE_FLATTEN:
        case AB_NODE_PAD: node->nonneg = all_nonneg(graph, node); break;
        default: node->nonneg = false;
        }
    }
}

static enum ab_status fold(struct ab_graph *graph, struct ab_error *err)
{
    int folded;
    enum ab_status status = ab_fold_batchnorms(graph, &folded, err);
    if (status == AB_OK && folded)
        status = ab_graph_note(graph, err, "%d batch-norm%s folded into the layer%s before", folded,
                               folded > 1 ? "s" : "", folded > 1 ? "s" : "");
    return status == AB_OK ? drop_unneeded(graph, err) : status;
}

/* What the other steps rely on: one input, first; edges that point backwards. */
static enum ab_status check_structure(const struct ab_graph *graph, int output,
                                      struct ab_error *err)
{
    const char *name = graph->name;
    if (graph->n_nodes == 0 || graph->nodes[0].kind != AB_NODE_INPUT)
        return ab_fail(err, AB_ERR_FORMAT, "%s: its first node is not the input", name);
    if (output < 0 || output >= graph->n_nodes)
        return ab_fail(err, AB_ERR_FORMAT, "%s: has no output", name);
    for (int i = 1; i < graph->n_nodes; i++) {
        const struct ab_node *node = &graph->nodes[i];
        if (node->kind == AB_NODE_INPUT)
            return ab_fail(err, AB_ERR_UNSUPPORTED, "%s: has a second input '%s'", name,
                           node->name);
        for (int j = 0; j < node->n_in; j++)
            if (node->in[j] < 0 || node->in[j] >= i)
                return ab_fail(err, AB_ERR_FORMAT, "layer '%s' (%s): an input is not before it",
                               node->name, ab_node_kind_name(node->kind));
    }
    return AB_OK;
}

enum ab_status ab_graph_finish(struct ab_graph *graph, int output, struct ab_error *err)
{
    enum ab_status status = check_structure(graph, output, err);
    if (status != AB_OK) return status;
    graph->output = output;
    graph->parameters = 0;
    status = drop_unneeded(graph, err);
    for (int i = 0; status == AB_OK && i < graph->n_nodes; i++) {
        status = ab_infer_node(graph, i, err);
        if (status == AB_OK) status = check_weights(graph, &graph->nodes[i], err);
    }
    if (status != AB_OK) return status;
    const struct ab_node *last = &graph->nodes[graph->output];
    if (!last->vector)
        return ab_fail(err, AB_ERR_UNSUPPORTED,
                       "layer '%s' (%s): the output is an image of %dx%dx%d; attributions explain "
                       "a vector of class scores",
                       last->name, ab_node_kind_name(last->kind), last->dims.c, last->dims.h,
                       last->dims.w);
    status = fold(graph, err);
    if (status == AB_OK) set_nonneg(graph);
    return status;
}
