// SPDX-License-Identifier: Apache-2.0
// The order of classes by their logits.
#include "base/classes.h"

static bool ahead(const struct ab_logits *z, int i, int k)
{
    return ab_logit_at(z, i) > ab_logit_at(z, k) ||
           (ab_logit_at(z, i) == ab_logit_at(z, k) && i < k);
}

/* Each round finds the first of the classes behind the last one found. */
int ab_class_of_rank(const struct ab_logits *z, int k)
{
    int last = -1;
    for (int rank = 0; rank <= k; rank++) {
        int best = -1;
        for (int i = 0; i < z->count; i++) {
            const bool behind = last < 0 || (i != last && ahead(z, last, i));
            if (behind && (best < 0 || ahead(z, i, best))) best = i;
        }
        if (best < 0) break; /* logits that are not numbers have no order */
        last = best;
    }
    return last;
}

int ab_class_of_target(const struct ab_logits *z, int target)
{
    return target >= 0 ? target : ab_class_of_rank(z, AB_TARGET_TOP - target);
}

int ab_class_next_to(const struct ab_logits *z, int target)
{
    const int top = ab_class_of_rank(z, 0);
    return top != target || z->count == 1 ? top : ab_class_of_rank(z, 1);
}
