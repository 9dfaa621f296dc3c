// SPDX-License-Identifier: Apache-2.0
// Input x Gradient.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_SEED("one")};

const struct ab_method_desc ab_method_input_x_gradient = {
    .name = "input-x-gradient",
    .summary = "the gradient times the image",
    .source = "Shrikumar et al. 2016, arXiv 1605.01713",
    .cost = "1F+1B",
    .tools = "captum, iNNvestigate",
    .composite = {.relu = AB_RELU_GRADIENT,
                  .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}},
                  .input_mul = true},
    .params = params,
    .n_params = AB_COUNT(params),
};
