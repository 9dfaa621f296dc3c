// SPDX-License-Identifier: Apache-2.0
// The composite EpsilonGammaBox: z^B at the image, gamma on convolutions, epsilon on dense layers.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_LOW,
                                         AB_PARAM_HIGH,
                                         AB_PARAM_GAMMA,
                                         AB_PARAM_FORM,
                                         AB_PARAM_GAMMA_BIAS,
                                         AB_PARAM_EPSILON_EPS("1e-06"),
                                         AB_PARAM_STABILIZER,
                                         AB_PARAM_NORM_EPS,
                                         AB_PARAM_SEED("logit"),
                                         AB_PARAM_UNKNOWN,
                                         AB_PARAM_COMPAT("zennit")};

static const struct ab_compat compats[] = {
    {"zennit", ""},
};

const struct ab_method_desc ab_method_epsilon_gamma_box = {
    .name = "epsilon-gamma-box",
    .summary = "LRP composite: z^B first, gamma on convolutions, epsilon on dense layers",
    .source = "Montavon et al. 2019, doi 10.1007/978-3-030-28954-6_10; as zennit's EpsilonGammaBox",
    .cost = "conv 2F+1B, dense 1F+1B",
    .tools = "zennit",
    .needs = "low and high",
    .composite = {.seed = AB_SEED_LOGIT,
                  .rule = {[AB_POS_FIRST] = {AB_RULE_ZBOX, .eps = 1e-6f},
                           [AB_POS_CONV] = {AB_RULE_GAMMA, .eps = 1e-6f, .gamma = 0.25f},
                           [AB_POS_DENSE] = {AB_RULE_EPSILON, .eps = 1e-6f}},
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_rules,
};
