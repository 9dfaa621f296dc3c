// SPDX-License-Identifier: Apache-2.0
// Classes by the rank of their logits, and what a target means.
#ifndef AB_BASE_CLASSES_H
#define AB_BASE_CLASSES_H

#include "base/base.h"

/* The logits of one image, in either precision; the other pointer is NULL. */
struct ab_logits {
    const float *f;
    const double *d;
    int count;
};
static inline double ab_logit_at(const struct ab_logits *logits, int k)
{
    return logits->f ? (double)logits->f[k] : logits->d[k];
}

/* The class of rank k >= 0: k classes have a larger logit, or an equal one and a lower index. */
int ab_class_of_rank(const struct ab_logits *logits, int k);
/* The class that a target means: itself, or AB_TARGET_TOP - k: that of rank k. */
int ab_class_of_target(const struct ab_logits *logits, int target);
/* The highest class but `target`; `target` itself in a model of one class. */
int ab_class_next_to(const struct ab_logits *logits, int target);
#endif
