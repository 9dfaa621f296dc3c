// SPDX-License-Identifier: Apache-2.0
// RectGrad: ReLUs pass the signal of units whose activation times signal is above a percentile of
// the layer.
#include "method/params.h"

static const struct ab_param params[] = {
    {{"q", "98", "0..100", "percentile of activation x signal per layer and image (nearest rank)"},
     ab_set_q},
    {{"tau_floor", "0", "number, none",
      "lower bound of the threshold; none: inactive units may pass"},
     ab_set_tau_floor},
    {{"input_mul", "1", "0, 1", "multiply by the image at the end"}, ab_set_input_mul},
    AB_PARAM_SEED("one"),
};

const struct ab_method_desc ab_method_rectgrad = {
    .name = "rectgrad",
    .summary = "the gradient through the most important units of each layer only",
    .source = "Kim et al. 2019, arXiv 1902.04893",
    .cost = "1F+1B",
    .tools = "none",
    .composite = {.relu = AB_RELU_RECT,
                  .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}},
                  .input_mul = true,
                  .q = 98},
    .params = params,
    .n_params = AB_COUNT(params),
};
