// SPDX-License-Identifier: Apache-2.0
// Batch-norm folding: y = s*(Wx + b) + t becomes (s*W)x + (s*b + t), per output channel. Exact for
// CONV or DENSE directly before a batch-norm and read by nothing else.
#include "model/infer.h"

#include <stdlib.h>

static enum ab_status fold_one(struct ab_node *linear, const struct ab_node *norm,
                               struct ab_error *err)
{
    size_t outputs = (size_t)linear->dims.c, row = linear->wei_count / outputs;
    if (!linear->bias) linear->bias = ab_buffer_alloc(outputs * sizeof *linear->bias);
    if (!linear->bias)
        return ab_fail(err, AB_ERR_MEMORY, "layer '%s': no memory for its bias", linear->name);
    for (size_t o = 0; o < outputs; o++) {
        float scale = norm->wei[o];
        for (size_t i = 0; i < row; i++) linear->wei[o * row + i] *= scale;
        linear->bias[o] = (float)((double)linear->bias[o] * scale + norm->bias[o]);
    }
    if (!ab_all_finite(linear->wei, linear->wei_count) || !ab_all_finite(linear->bias, outputs))
        return ab_fail(err, AB_ERR_FORMAT,
                       "layer '%s': folding the batch-norm '%s' into it overflows float32; "
                       "its variance may be zero",
                       linear->name, norm->name);
    return AB_OK;
}

enum ab_status ab_fold_batchnorms(struct ab_graph *graph, int *folded, struct ab_error *err)
{
    *folded = 0;
    size_t n = (size_t)graph->n_nodes;
    enum ab_status status = AB_OK;
    int *uses = calloc(n, sizeof *uses), *stands = malloc(n * sizeof *stands);
    if (!uses || !stands) {
        status = ab_fail(err, AB_ERR_MEMORY, "%s: out of memory", graph->name);
        goto done;
    }
    for (int i = 0; i < graph->n_nodes; i++)
        for (int j = 0; j < graph->nodes[i].n_in; j++) uses[graph->nodes[i].in[j]]++;
    uses[graph->output]++;
    /* stands[i]: the node that i's readers read from now on. In order, so that a second batch-norm
     * behind a folded one folds into the same layer. */
    for (int i = 0; i < graph->n_nodes; i++) {
        struct ab_node *node = &graph->nodes[i];
        stands[i] = i;
        for (int j = 0; j < node->n_in; j++) node->in[j] = stands[node->in[j]];
        if (node->kind != AB_NODE_BATCHNORM || uses[node->in[0]] != 1) continue;
        struct ab_node *before = &graph->nodes[node->in[0]];
        if (before->kind != AB_NODE_CONV && before->kind != AB_NODE_DENSE) continue;
        status = fold_one(before, node, err);
        if (status != AB_OK) goto done;
        stands[i] = node->in[0];
        uses[node->in[0]] = uses[i];
        ++*folded;
    }
    graph->output = stands[graph->output];

done:
    free(stands);
    free(uses);
    return status;
}
