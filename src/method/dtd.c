// SPDX-License-Identifier: Apache-2.0
// Deep Taylor Decomposition: bias-free z+ inside; first layer w^2, or z^B where the pixels' bounds
// are given.
#include "method/params.h"

static const struct ab_param params[] = {
    {{"low", "", "number or v/v/.. per channel",
      "smallest pixel value; with high: the first layer "
      "uses z^B instead of w^2"},
     ab_set_low},
    {{"high", "", "number or v/v/.. per channel", "largest pixel value"}, ab_set_high},
    AB_PARAM_EPS,
    AB_PARAM_NORM_EPS,
    AB_PARAM_SEED("logit+"),
    AB_PARAM_UNKNOWN,
};

static const char *check(struct ab_composite *c)
{
    struct ab_rule *first = &c->rule[AB_POS_FIRST];
    if (!first->n_low && !first->n_high) return NULL;
    if (first->n_low != first->n_high)
        return "low and high must both be given, with equally many values";
    for (int i = 0; i < first->n_low; i++) {
        if (first->low[i] > first->high[i]) return "low must not be above high";
    }
    first->kind = AB_RULE_ZBOX;
    return NULL;
}

#define ZPLUS                                                                                      \
    {                                                                                              \
        AB_RULE_ZPLUS, .eps = 1e-6f, .bias = AB_BIAS_NONE                                          \
    }

const struct ab_method_desc ab_method_dtd = {
    .name = "dtd",
    .summary = "Deep Taylor Decomposition: z+ without bias, first layer z^B or w^2",
    .source = "Montavon et al. 2017, arXiv 1512.02479",
    .cost = "2F+1B",
    .tools = "captum, iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT_POS,
                  .relu = AB_RELU_PASS,
                  .rule = {[AB_POS_FIRST] = {AB_RULE_WSQUARE, .eps = 1e-6f},
                           [AB_POS_CONV] = ZPLUS,
                           [AB_POS_DENSE] = ZPLUS},
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .check = check,
};
