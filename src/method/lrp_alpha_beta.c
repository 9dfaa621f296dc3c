// SPDX-License-Identifier: Apache-2.0
// LRP-alpha-beta.
#include "method/params.h"

static const struct ab_param params[] = {
    AB_PARAM_ALPHA,         AB_PARAM_BETA,    AB_PARAM_EPS,
    AB_PARAM_NORM_EPS,      AB_PARAM_BIAS,    AB_PARAM_SIGNED_INPUT,
    AB_PARAM_SEED("logit"), AB_PARAM_UNKNOWN, AB_PARAM_COMPAT("zennit, innvestigate")};

static const struct ab_compat compats[] = {
    {"zennit", ""},
    {"innvestigate", "bias=signed,eps=0,norm_eps=0"},
};

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
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_rules,
};
