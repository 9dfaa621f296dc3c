// SPDX-License-Identifier: Apache-2.0
// Layers for experiments: which to look at, plans that begin or look inside, and orders of numbers.
#ifndef AB_THEORY_LAYERS_H
#define AB_THEORY_LAYERS_H

#include "theory.h"

/* The RELU nodes in order; returns how many. nodes: [graph->n_nodes] */
int ab_relu_nodes(const struct ab_graph *graph, int *nodes);
/* Keeps at most `most` of `count` entries, spread evenly, the last among them; returns how many. */
int ab_spread_nodes(int *nodes, int count, int most);

/* Elements of a node's output for one image. */
size_t ab_node_size(const struct ab_graph *graph, int node);

/* Signals given at the output of `from` (NULL: the methods' seeds at the logits). */
struct ab_inside_spec {
    const struct ab_graph *graph; /* NULL: the subject's */
    const struct ab_method *const *methods;
    int n_methods;
    const char *from;
    int signals, batch;
    bool keep;
};
/* A plan on the subject's backend and threads; free with ab_single_destroy. */
enum ab_status ab_inside_open(const struct ab_subject *s, const struct ab_inside_spec *spec,
                              struct ab_plan **plan, struct ab_error *err);

/* The image of the subject, or another graph's input. */
const float *ab_subject_image(const struct ab_subject *s, int i);

/* Ascending. */
void ab_sort_floats(float *values, size_t count);
/* Element of rank (count - 1) q of ascending values, to the nearest; 0 <= q <= 1. NaN if none. */
double ab_rank_of(const float *sorted, size_t count, double q);

/* Softmax probability of class c. */
double ab_softmax(const float *logits, int classes, int c);
/* The first maximum. */
int ab_first_class(const float *logits, int classes);

#endif
