// SPDX-License-Identifier: Apache-2.0
// oneDNN as the opponent of single kernels: each way it has to compute a pass of a convolution.
#ifndef AB_KERNEL_PEER_H
#define AB_KERNEL_PEER_H

#include "backend/backend.h"

/* One alternative: a program of two steps, one that writes the input in the format that the other,
 * the convolution, reads. */
struct ab_peer {
    struct ab_node nodes[2];
    struct ab_graph graph;
    struct ab_step steps[2];
    struct ab_value values[2];
    struct ab_program program;
    struct ab_exec exec;
    int in;
};

/* NULL: this build has no oneDNN. */
const struct ab_backend *ab_peer_backend(void);

/* Opens alternative `k` from 0 for args' shape, pass and weights; `input` is [n][c][h][w]. NULL
 * where the layer has no such alternative; *more tells whether higher numbers may exist. */
struct ab_peer *ab_peer_open(const struct ab_conv2d_args *args, const float *input, int k,
                             bool *more);
void ab_peer_close(struct ab_peer **peer);

/* The convolution alone; false if oneDNN reports an error. */
bool ab_peer_run(struct ab_peer *peer);
const char *ab_peer_name(const struct ab_peer *peer);
/* Whether it transforms its input, and so has more rounding error than the plain sum. */
bool ab_peer_is_winograd(const struct ab_peer *peer);
/* The result of the last run, [n][c][h][w]. */
void ab_peer_peek(const struct ab_peer *peer, double *out);

#endif
