// SPDX-License-Identifier: Apache-2.0
// LRP-alpha-beta.
#include "method/params.h"

#include <math.h>

static const struct ab_param params[] = {
    {{"alpha", "2", ">= 1", "weight of the positive contributions; alpha - beta = 1"},
     ab_set_alpha},
    {{"beta", "1", ">= 0", "weight of the negative contributions"}, ab_set_beta},
    AB_PARAM_EPS,
    AB_PARAM_NORM_EPS,
    AB_PARAM_BIAS,
    AB_PARAM_SIGNED_INPUT,
    AB_PARAM_SEED("logit"),
    AB_PARAM_UNKNOWN,
};

static const char *check(struct ab_composite *c)
{
    const struct ab_rule *rule = &c->rule[AB_POS_CONV];
    if (fabsf(rule->alpha - rule->beta - 1) > 1e-5f) return "alpha - beta must be 1: give both";
    return NULL;
}

#define RULE                                                                                       \
    {                                                                                              \
        AB_RULE_ALPHA_BETA, .eps = 1e-6f, .alpha = 2, .beta = 1                                    \
    }

const struct ab_method_desc ab_method_lrp_alpha_beta = {
    .name = "lrp-alpha-beta",
    .summary = "positive contributions weighted by alpha, negative ones by beta",
    .source = "Bach et al. 2015, doi 10.1371/journal.pone.0130140",
    .cost = "2F+2B",
    .tools = "zennit, iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT,
                  .relu = AB_RELU_PASS,
                  .rule = {[AB_POS_CONV] = RULE, [AB_POS_DENSE] = RULE},
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .check = check,
};
