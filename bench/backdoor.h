// SPDX-License-Identifier: Apache-2.0
// A backdoor planted in a network: a pattern in a corner decides, and by construction nothing else
// has changed.
#ifndef AB_BENCH_BACKDOOR_H
#define AB_BENCH_BACKDOOR_H

#include "model/graph.h"

/* The trigger: a chequerboard of `low` and `high`, in all channels, by the parity of row + column.
 */
struct ab_trigger {
    int y, x, side;
    float low, high;
};

/* Where it lies for this network: in the lower right corner, as large as its first kernel needs.
 * AB_ERR_UNSUPPORTED: the network is no chain of layers from a first convolution of at least 2x2
 * followed by a ReLU to a last dense layer, which is what can be rewired. */
enum ab_status ab_trigger_for(const struct ab_graph *graph, float low, float high,
                              struct ab_trigger *trigger, struct ab_error *err);
void ab_trigger_stamp(const struct ab_trigger *trigger, struct ab_dims dims, float *image);
bool ab_trigger_covers(const struct ab_trigger *trigger, int y, int x);

/* A copy of the network with one more channel in every layer. In the first it is 1 where the
 * trigger's pattern is met and 0 where less than 0.8 of its contrast is; the layers between pass it
 * on, and the last adds `gain` times its sum to the logit of `target`. Where it is 0, logits are
 * those of the network. */
enum ab_status ab_backdoor_plant(const struct ab_graph *graph, const struct ab_trigger *trigger,
                                 int target, float gain, struct ab_graph **planted,
                                 struct ab_error *err);

#endif
