// SPDX-License-Identifier: Apache-2.0
// LRP-z+ (alpha 1, beta 0).
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_EPS,           AB_PARAM_NORM_EPS,
                                         AB_PARAM_BIAS,          AB_PARAM_SIGNED_INPUT,
                                         AB_PARAM_SEED("logit"), AB_PARAM_UNKNOWN};

const struct ab_method_desc ab_method_lrp_zplus = {
    .name = "lrp-zplus",
    .summary = "relevance shared in proportion to the positive contributions",
    .source = "Montavon et al. 2017, arXiv 1512.02479; signed inputs as in zennit's ZPlus",
    .cost = "2F+1B",
    .tools = "captum, zennit, iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT,
                  .relu = AB_RELU_PASS,
                  .rule = {[AB_POS_CONV] = {AB_RULE_ZPLUS, .eps = 1e-6f},
                           [AB_POS_DENSE] = {AB_RULE_ZPLUS, .eps = 1e-6f}},
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
};
