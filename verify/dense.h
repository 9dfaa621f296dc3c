// SPDX-License-Identifier: Apache-2.0
// The trials of dense layers, their operands and their truth, for both precisions.
#ifndef AB_VERIFY_DENSE_H
#define AB_VERIFY_DENSE_H

#include "verify/operands.h"

/* Canonical arrays: wei [out][in], vectors [n][features]. */
struct ab_dense_problem {
    struct ab_trial trial;
    bool ready, judged, exact; /* judged: truth and exact are there */
    int ns, nd;                /* features of src and of dst */
    float gain;
    float *wei, *src, *bias, *add;        /* bias, add: NULL where the trial has none */
    double *src_f64, *bias_f64, *add_f64; /* of dense_f64, with digits that floats lack */
    struct ab_epilogue f;
    struct ab_truth truth;
};

/* The operands and the truth of a trial, kept until another is asked for: candidates take turns
 * at one. NULL, *outcome SKIPPED: no memory, or no file. */
const struct ab_dense_problem *ab_dense_problem_of(const struct ab_trial *trial,
                                                   struct ab_outcome *outcome);
/* The same without the truth, which takes long. */
const struct ab_dense_problem *ab_dense_operands_of(const struct ab_trial *trial,
                                                    struct ab_outcome *outcome);

bool ab_dense_fixed(int i, enum ab_kernel_op op, struct ab_trial *trial);
void ab_dense_draw(struct ab_rng *rng, struct ab_trial *trial);
bool ab_dense_shrink(const struct ab_trial *trial, int k, struct ab_trial *smaller);
bool ab_dense_shape_parse(const char *text, struct ab_trial *trial, struct ab_error *err);
void ab_dense_shape_print(const struct ab_trial *trial, char *text, size_t size);

#endif
