// SPDX-License-Identifier: Apache-2.0
// Guided Backprop: ReLUs pass the positive part of the signal of active units.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_SEED("one")};

const struct ab_method_desc ab_method_guided_backprop = {
    .name = "guided-backprop",
    .summary = "the gradient with negative signals cut at every ReLU",
    .source = "Springenberg et al. 2015, arXiv 1412.6806",
    .cost = "1F+1B",
    .tools = "captum, zennit, iNNvestigate",
    .composite =
        {.relu = AB_RELU_GUIDED,
         .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}}},
    .params = params,
    .n_params = AB_COUNT(params),
};
