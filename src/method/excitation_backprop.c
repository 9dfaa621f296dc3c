// SPDX-License-Identifier: Apache-2.0
// Excitation Backprop: z+ without bias from a 1 at the target. The contrastive form subtracts what
// the classifier's negated weights would pass on; as all else is linear, doing so at the classifier
// itself comes to the same map as at any layer below.
#include "method/params.h"

/* At the classifier: z+ of its weights less z+ of their negatives, which is alpha-beta with both 1.
 */
static bool set_contrast(struct ab_composite *c, const char *text)
{
    const bool contrast = text[0] == '1';
    if ((!contrast && text[0] != '0') || text[1]) return false;
    c->rule[AB_POS_LAST] = c->rule[AB_POS_DENSE];
    c->rule[AB_POS_LAST].kind = contrast ? AB_RULE_ALPHA_BETA : AB_RULE_NONE;
    c->rule[AB_POS_LAST].alpha = c->rule[AB_POS_LAST].beta = 1;
    c->clamp = contrast;
    return true;
}

static const struct ab_param params[] = {
    {{"contrast", "0", "0, 1",
      "subtract what the negated classifier excites, and keep what is positive"},
     set_contrast},
    AB_PARAM_EPS,
    AB_PARAM_NORM_EPS,
    {{"bias", "none", "plus, none, signed",
      "the bias in z+: its positive part, nothing, or all of it"},
     ab_set_bias},
    AB_PARAM_SIGNED_INPUT,
    AB_PARAM_SEED("one"),
    AB_PARAM_UNKNOWN,
    AB_PARAM_COMPAT("zennit, author")};

static const struct ab_compat compats[] = {
    {"zennit", "bias=plus"},
    {"author", "signed_input=naive,eps=1e-20,norm_eps=0"},
};

const struct ab_method_desc ab_method_excitation_backprop = {
    .name = "excitation-backprop",
    .summary = "probability mass passed on by positive weights",
    .source = "Zhang et al. 2016, arXiv 1608.00507",
    .cost = "2F+1B",
    .tools = "zennit; TorchRay",
    .composite = {.seed = AB_SEED_ONE,
                  .rule = {[AB_POS_CONV] = {AB_RULE_ZPLUS, .eps = 1e-6f, .bias = AB_BIAS_NONE},
                           [AB_POS_DENSE] = {AB_RULE_ZPLUS, .eps = 1e-6f, .bias = AB_BIAS_NONE}},
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
};
