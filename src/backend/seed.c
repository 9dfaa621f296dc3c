// SPDX-License-Identifier: Apache-2.0
// Seeds. In double for every backend: a seed has as many elements as there are classes.
#include "backend/seed.h"

#include <math.h>

int ab_target_asked(const struct ab_exec *exec, int n, int t)
{
    return exec->targets ? exec->targets[n * exec->program->targets + t] : AB_TARGET_TOP - t;
}

static int rival_of(const struct ab_exec *exec, const struct ab_step *s, int n,
                    const struct ab_logits *z, int target)
{
    if (s->rival > 0) return s->rival - 1;
    if (exec->rivals) return exec->rivals[n * exec->program->targets + s->target];
    return ab_class_next_to(z, target);
}

struct ab_seed_values ab_seed_open(const struct ab_exec *exec, const struct ab_step *s, int n,
                                   const struct ab_logits *z)
{
    const int target = ab_class_of_target(z, ab_target_asked(exec, n, s->target));
    struct ab_seed_values v = {.kind = s->seed, .target = target, .rival = -1};
    if (s->seed == AB_SEED_CONTRAST) v.rival = rival_of(exec, s, n, z, target);
    if (s->seed != AB_SEED_SOFTMAX) return v;
    v.shift = ab_logit_at(z, ab_class_of_rank(z, 0));
    for (int k = 0; k < z->count; k++)
        if (k != target) v.others += exp(ab_logit_at(z, k) - v.shift);
    v.sum = v.others + exp(ab_logit_at(z, target) - v.shift);
    return v;
}

/* p (1 - p) of the target without a difference: near 1 it would leave no digit. */
static double softmax_at(const struct ab_seed_values *v, const struct ab_logits *z, int k)
{
    const double p = exp(ab_logit_at(z, v->target) - v->shift) / v->sum;
    if (k == v->target) return p * (v->others / v->sum);
    return -p * (exp(ab_logit_at(z, k) - v->shift) / v->sum);
}

double ab_seed_at(const struct ab_seed_values *v, const struct ab_logits *z, int k)
{
    const double one = k == v->target ? 1 : 0;
    switch (v->kind) {
    case AB_SEED_ONE: return one;
    case AB_SEED_LOGIT: return one != 0 ? ab_logit_at(z, k) : 0;
    case AB_SEED_LOGIT_POS: return one != 0 && !(ab_logit_at(z, k) <= 0) ? ab_logit_at(z, k) : 0;
    case AB_SEED_SOFTMAX: return softmax_at(v, z, k);
    case AB_SEED_CONTRAST: return one - (k == v->rival ? 1 : 0);
    }
    return 0;
}
