// SPDX-License-Identifier: Apache-2.0
// Random small networks: every kind of layer, strides, pads, dilations, groups, overlapping and
// ceil-mode pools, residual sums, branches; drawn from two numbers.
#ifndef AB_VERIFY_NET_H
#define AB_VERIFY_NET_H

#include "model/graph.h"
#include "verify/memory.h"

struct ab_random_net {
    struct ab_graph *graph; /* ab_graph_destroy */
    bool biased;            /* some linear layer or batch-norm adds a constant */
    bool gated;             /* every sum and every convolution is followed by a ReLU: no negative
                               value is shared or summed inside */
    bool batchnorm;         /* one that cannot be folded */
    bool averages;          /* average pools or sums */
    bool capped;            /* some ReLU has a cap */
    bool positive;          /* the image is to have no negative pixel */
    int relus;
    char text[400]; /* what it is made of, for messages */
};

/* Blocks of layers between the first convolution and the head, at most. */
enum { AB_NET_BLOCKS = 3 };

/* Network number `index` of `seed`, with at most `blocks` blocks: fewer are how a failing network
 * is made smaller. On failure there is no graph. */
enum ab_status ab_random_net(uint64_t seed, uint64_t index, int blocks, struct ab_random_net *net,
                             struct ab_error *err);

#endif
