// SPDX-License-Identifier: Apache-2.0
// LRP-0: the epsilon rule without a stabiliser; equals Input x Gradient times the seed on ReLU
// networks.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_SEED("logit"), AB_PARAM_UNKNOWN};

const struct ab_method_desc ab_method_lrp_0 = {
    .name = "lrp-0",
    .summary = "relevance shared in proportion to a*w, without a stabiliser",
    .source = "Bach et al. 2015, doi 10.1371/journal.pone.0130140",
    .cost = "1F+1B",
    .tools = "captum, zennit, iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT,
                  .relu = AB_RELU_PASS,
                  .rule = {[AB_POS_CONV] = {AB_RULE_EPSILON}, [AB_POS_DENSE] = {AB_RULE_EPSILON}},
                  .relevance = true},
    .params = params,
    .n_params = AB_COUNT(params),
};
