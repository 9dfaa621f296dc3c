// SPDX-License-Identifier: Apache-2.0
// How far a single-precision result may be from the true one, element by element, and what a tensor
// of results is worth: docs/numerics.md derives the bounds.
#ifndef AB_VERIFY_JUDGE_H
#define AB_VERIFY_JUDGE_H

#include "verify/verify.h"

/* Of an output tensor, [count] each, in double: the sum, the sum of |terms|, the sum of squared
 * terms, and how many terms there are (bias and add among them). NaN and infinity in `sum` are the
 * expected class. terms 0: nothing is added up; the value is defined to the bit. */
struct ab_truth {
    double *sum, *magnitude, *square;
    int *terms;
    size_t count;
};
bool ab_truth_new(struct ab_truth *t, size_t count); /* zeroed; false: out of memory */
void ab_truth_free(struct ab_truth *t);
/* Adds one term. */
void ab_truth_add(struct ab_truth *t, size_t at, double term);

/* How a candidate adds up. */
struct ab_accumulation {
    double u;                       /* 2^-24 or 2^-53 */
    double least;                   /* what one rounding may lose to underflow: 2^-149, 2^-1074 */
    const struct ab_kernel *kernel; /* whose ab_kernel_chain it is; or NULL */
    /* NULL: as many as there are terms; as struct ab_verify_kernel has it. */
    long (*chain)(long products);
    bool exact; /* values are compared: sums of small integers by plain products, +0 equals -0 */
};
/* u*min(n, 4 sqrt(n))*S/(1-n u) + n*least and the sharp form u*4 sqrt(n)*(|z|+Q) + u*|z| + n*least;
 * n the chain, Q the root of `square`. */
double ab_hard_bound(const struct ab_accumulation *how, double terms, double magnitude);
double ab_sharp_bound(const struct ab_accumulation *how, double terms, double sum, double square);

/* Judges got[count] against the truth. `widen` (or NULL) gives element i's bound in the place of
 * ab_hard_bound: transforming algorithms. Infinity: NaN or infinity is near, over which the
 * algorithm may spread it: the element is undetermined, unless its own sum is not finite: then the
 * result may not be either. `where` (or NULL) writes element i's place ("n 0 c 3 y 1 x 2") for
 * messages. Adds to elements and undetermined, raises ratio and sharp (1e30 at most) and rel_l2,
 * and sets kind: FAIL (bits, bound, special), MISTRUSTED if nothing failed but the true results are
 * constant, over 90 % zero or within ten bounds of it. Elements that may overflow to infinity on
 * the way are undetermined too. */
struct ab_judge {
    struct ab_accumulation how;
    double (*widen)(const void *user, size_t i);
    void (*where)(const void *user, size_t i, char *text, size_t size);
    const void *user;
    bool sparse; /* operands are mostly zero on purpose: results may be, but not all of them */
};
void ab_judge_floats(const struct ab_judge *judge, const struct ab_truth *truth, const float *got,
                     struct ab_outcome *outcome);
void ab_judge_doubles(const struct ab_judge *judge, const struct ab_truth *truth, const double *got,
                      struct ab_outcome *outcome);

#endif
