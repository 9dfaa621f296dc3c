// SPDX-License-Identifier: Apache-2.0
// Gradient (saliency), signed.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_SEED("one")};

const struct ab_method_desc ab_method_gradient = {
    .name = "gradient",
    .summary = "derivative of the target's logit by the image, signed",
    .source = "Simonyan et al. 2013, arXiv 1312.6034",
    .cost = "1F+1B",
    .tools = "captum, zennit, iNNvestigate",
    .composite =
        {.relu = AB_RELU_GRADIENT,
         .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}}},
    .params = params,
    .n_params = AB_COUNT(params),
};
