// SPDX-License-Identifier: Apache-2.0
// DeconvNet: ReLUs pass the positive part of the signal, whatever was active in the forward pass.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_SEED("one")};

const struct ab_method_desc ab_method_deconvnet = {
    .name = "deconvnet",
    .summary = "backward ReLU on the signal; only max-pool switches depend on the image",
    .source = "Zeiler and Fergus 2014, arXiv 1311.2901",
    .cost = "1F+1B",
    .tools = "captum, zennit, iNNvestigate",
    .composite =
        {.relu = AB_RELU_DECONV,
         .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}}},
    .params = params,
    .n_params = AB_COUNT(params),
};
