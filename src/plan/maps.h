// SPDX-License-Identifier: Apache-2.0
// The maps that methods give, and the walk back that most of them are made of.
#ifndef AB_MAPS_H
#define AB_MAPS_H

#include "plan/rules.h"

/* Walks from the beginning of the current walk to the output of node `stop`, with `relu` at ReLUs
 * and the other rules of the current method: *signal is R there. Nothing that `stop` does not need
 * is written. lower.c */
enum ab_status ab_walk_back(struct ab_lowering *l, enum ab_relu_rule relu, int stop, int *signal,
                            struct ab_error *err);

/* The value that is the current method's map for the current target. */
enum ab_status ab_make_map(struct ab_lowering *l, int *map, struct ab_error *err);

#endif
