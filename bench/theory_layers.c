// SPDX-License-Identifier: Apache-2.0
// Layers for experiments: which to look at, plans that begin or look inside, and orders of numbers.
#include "theory_layers.h"

#include <math.h>
#include <stdlib.h>

int ab_relu_nodes(const struct ab_graph *graph, int *nodes)
{
    int count = 0;
    for (int n = 0; n < graph->n_nodes; n++)
        if (graph->nodes[n].kind == AB_NODE_RELU) nodes[count++] = n;
    return count;
}

int ab_spread_nodes(int *nodes, int count, int most)
{
    if (count <= most) return count;
    for (int i = 0; i < most; i++) nodes[i] = nodes[(i + 1) * count / most - 1];
    return most;
}

size_t ab_node_size(const struct ab_graph *graph, int node)
{
    const struct ab_dims d = graph->nodes[node].dims;
    return (size_t)d.c * (size_t)d.h * (size_t)d.w;
}

enum ab_status ab_inside_open(const struct ab_subject *s, const struct ab_inside_spec *spec,
                              struct ab_plan **plan, struct ab_error *err)
{
    const struct ab_plan_options options = {
        .backend = s->options.backend, .threads = s->options.threads, .batch = spec->batch};
    const struct ab_plan_inside inside = {spec->from, spec->signals, spec->keep};
    return ab_single_create_inside(spec->graph ? spec->graph : s->graph, spec->methods,
                                   spec->n_methods, &options, &inside, plan, err);
}

const float *ab_subject_image(const struct ab_subject *s, int i)
{
    return s->images + (size_t)i * s->image;
}

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void ab_sort_floats(float *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
}

double ab_rank_of(const float *sorted, size_t count, double q)
{
    return count ? (double)sorted[(size_t)(q * (double)(count - 1) + 0.5)] : (double)NAN;
}

int ab_first_class(const float *logits, int classes)
{
    int best = 0;
    for (int k = 1; k < classes; k++)
        if (logits[k] > logits[best]) best = k;
    return best;
}

double ab_softmax(const float *logits, int classes, int c)
{
    const double top = (double)logits[ab_first_class(logits, classes)];
    double sum = 0;
    for (int k = 0; k < classes; k++) sum += exp((double)logits[k] - top);
    return exp((double)logits[c] - top) / sum;
}
