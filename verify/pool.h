// SPDX-License-Identifier: Apache-2.0
// The trials of pooling, their operands and their truth, for maxima and averages.
#ifndef AB_VERIFY_POOL_H
#define AB_VERIFY_POOL_H

#include "verify/operands.h"

/* Canonical arrays, [n][c][h][w]. */
struct ab_pool_problem {
    struct ab_trial trial;
    bool ready, exact, is_max;
    int src_dims[4], dst_dims[4];
    float *src;
    uint16_t *taps; /* [n][c][oh][ow]: forward the expected ones, backward an operand */
    float *ordered; /* backward maxima: sums in the order that the contract names */
    struct ab_epilogue f;
    struct ab_truth truth;
};

/* As ab_dense_problem_of. */
const struct ab_pool_problem *ab_pool_problem_of(const struct ab_trial *trial,
                                                 struct ab_outcome *outcome);

/* Tap k of the window at (oy, ox): whether it is inside the image, and where. */
bool ab_pool_tap(const struct ab_pool_shape *s, int oy, int ox, int k, int *y, int *x);
/* The first tap inside; -1: there is none. */
int ab_pool_first_tap(const struct ab_pool_shape *s, int oy, int ox);
/* Integers that every divisor of small windows divides. */
enum { AB_POOL_DIVISIBLE = 3600 };

void ab_pool_run(const struct ab_candidate *candidate, const struct ab_trial *trial,
                 struct ab_outcome *outcome, const char *dump);
bool ab_pool_set_up(const struct ab_candidate *candidate, const struct ab_trial *trial,
                    struct ab_setup *setup, struct ab_outcome *outcome);
bool ab_pool_fixed(int i, enum ab_kernel_op op, struct ab_trial *trial);
void ab_pool_draw(struct ab_rng *rng, struct ab_trial *trial);
bool ab_pool_shrink(const struct ab_trial *trial, int k, struct ab_trial *smaller);
bool ab_pool_shape_parse(const char *text, struct ab_trial *trial, struct ab_error *err);
void ab_pool_shape_print(const struct ab_trial *trial, char *text, size_t size);

#endif
