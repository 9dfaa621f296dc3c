// SPDX-License-Identifier: Apache-2.0
// What is injected at the logits, for every backend alike.
#ifndef AB_BACKEND_SEED_H
#define AB_BACKEND_SEED_H

#include "backend/backend.h"
#include "base/classes.h"

/* What target t of image n was asked to be: exec->targets, or rank t. */
int ab_target_asked(const struct ab_exec *exec, int n, int t);

struct ab_seed_values {
    enum ab_seed kind;
    int target, rival;
    double shift, sum,
        others; /* SOFTMAX: sums of exp(z - shift), of all classes and of the others */
};
struct ab_seed_values ab_seed_open(const struct ab_exec *exec, const struct ab_step *step, int n,
                                   const struct ab_logits *logits);
/* Element k of the seed. */
double ab_seed_at(const struct ab_seed_values *seed, const struct ab_logits *logits, int k);

#endif
