// SPDX-License-Identifier: Apache-2.0
// BetaSmooth: the gradient of a network whose ReLUs are softplus functions, at the values of the
// network as it is.
#include "method/params.h"

static const struct ab_param params[] = {
    {{"beta", "10", "> 0", "steepness: the ReLU's gradient is 1 / (1 + exp(-beta z))"},
     ab_set_smooth_beta},
    AB_PARAM_SEED("one"),
};

const struct ab_method_desc ab_method_beta_smooth = {
    .name = "beta-smooth",
    .summary = "the gradient with the step at each ReLU smoothed to a sigmoid",
    .source = "Dombrowski et al. 2019, arXiv 1906.07983; as zennit's BetaSmooth",
    .cost = "1F+1B",
    .tools = "zennit",
    .composite = {.relu = AB_RELU_SMOOTH,
                  .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}},
                  .beta = 10},
    .params = params,
    .n_params = AB_COUNT(params),
};
