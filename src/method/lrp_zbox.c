// SPDX-License-Identifier: Apache-2.0
// LRP with z^B at the image, whose pixels are bounded, and z+, which is the same rule for inputs
// that are bounded below alone, everywhere else.
#include "method/params.h"

static const struct ab_param params[] = {
    AB_PARAM_LOW,           AB_PARAM_HIGH,    AB_PARAM_EPS,
    AB_PARAM_NORM_EPS,      AB_PARAM_BIAS,    AB_PARAM_SIGNED_INPUT,
    AB_PARAM_SEED("logit"), AB_PARAM_UNKNOWN, AB_PARAM_COMPAT("innvestigate")};

static const struct ab_compat compats[] = {
    {"innvestigate", "low=-1,high=1,bias=none,eps=0,norm_eps=0"},
};

const struct ab_method_desc ab_method_lrp_zbox = {
    .name = "lrp-zbox",
    .summary = "first layer z^B between the bounds of pixels, z+ everywhere else",
    .source = "Montavon et al. 2017, arXiv 1512.02479",
    .cost = "2F+1B; first layer 2F+2B",
    .tools = "zennit, iNNvestigate",
    .needs = "low and high",
    .composite = {.seed = AB_SEED_LOGIT,
                  .rule = {[AB_POS_FIRST] = {AB_RULE_ZBOX, .eps = 1e-6f},
                           [AB_POS_CONV] = {AB_RULE_ZPLUS, .eps = 1e-6f},
                           [AB_POS_DENSE] = {AB_RULE_ZPLUS, .eps = 1e-6f}},
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_rules,
};
