// SPDX-License-Identifier: Apache-2.0
// Deep Taylor Decomposition: bias-free z+ inside; first layer w^2, or z^B where the pixels' bounds
// are given.
#include "method/params.h"

#include <string.h>

static bool set_first(struct ab_composite *c, const char *text)
{
    const bool zplus = strcmp(text, "zplus") == 0;
    if (!zplus && strcmp(text, "wsquare") != 0) return false;
    c->rule[AB_POS_FIRST].kind = zplus ? AB_RULE_ZPLUS : AB_RULE_WSQUARE;
    return true;
}

static const struct ab_param params[] = {
    {{"low", "", "number or v/v/.. per channel",
      "smallest pixel value; with high: the first layer "
      "uses z^B instead of w^2"},
     ab_set_low},
    {{"high", "", "number or v/v/.. per channel", "largest pixel value"}, ab_set_high},
    {{"first", "wsquare", "wsquare, zplus", "rule of the first layer where no bounds are given"},
     set_first},
    AB_PARAM_EPS,
    AB_PARAM_NORM_EPS,
    {{"bias", "none", "plus, none, signed",
      "the bias in z+: its positive part, nothing, or all of it"},
     ab_set_bias},
    AB_PARAM_SIGNED_INPUT,
    AB_PARAM_ADD,
    AB_PARAM_AVGPOOL,
    AB_PARAM_SEED("logit+"),
    AB_PARAM_UNKNOWN,
    AB_PARAM_COMPAT("captum, innvestigate")};

static const struct ab_compat compats[] = {
    {"captum", "first=zplus,bias=signed,signed_input=naive,eps=1e-09,norm_eps=1e-09,seed=logit"},
    {"innvestigate", "first=zplus,eps=0,norm_eps=0,add=copy,avgpool=spread"},
};

static const char *check(struct ab_composite *c)
{
    struct ab_rule *first = &c->rule[AB_POS_FIRST];
    if (first->n_low || first->n_high) first->kind = AB_RULE_ZBOX;
    return ab_check_rules(c);
}

const struct ab_method_desc ab_method_dtd = {
    .name = "dtd",
    .summary = "Deep Taylor Decomposition: z+ without bias, first layer z^B or w^2",
    .source = "Montavon et al. 2017, arXiv 1512.02479",
    .cost = "2F+1B",
    .tools = "captum, iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT_POS,
                  .rule = {[AB_POS_FIRST] = {AB_RULE_WSQUARE, .eps = 1e-6f, .bias = AB_BIAS_NONE},
                           [AB_POS_CONV] = {AB_RULE_ZPLUS, .eps = 1e-6f, .bias = AB_BIAS_NONE},
                           [AB_POS_DENSE] = {AB_RULE_ZPLUS, .eps = 1e-6f, .bias = AB_BIAS_NONE}},
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = check,
};
