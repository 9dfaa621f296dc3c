// SPDX-License-Identifier: Apache-2.0
// Shape inference, one node at a time, for those who build graphs; and batch-norm folding.
#ifndef AB_INFER_H
#define AB_INFER_H

#include "model/graph.h"

/* Infers and checks the shapes of node `index`; those of its inputs must have been inferred. May be
 * repeated. Does not look at weights. */
enum ab_status ab_infer_node(struct ab_graph *graph, int index, struct ab_error *err);

/* Whether all values are finite. */
bool ab_all_finite(const float *values, size_t count);

/* Folds every batch-norm that directly and solely follows a CONV or DENSE into it and makes its
 * consumers read that layer; the batch-norm stays behind, unused. *folded is their number. Shapes
 * must have been inferred. */
enum ab_status ab_fold_batchnorms(struct ab_graph *graph, int *folded, struct ab_error *err);

#endif
