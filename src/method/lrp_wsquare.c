// SPDX-License-Identifier: Apache-2.0
// The w^2 rule in every layer: relevance by weights alone.
#include "method/params.h"

static const struct ab_param params[] = {
    AB_PARAM_EPS,           AB_PARAM_NORM_EPS, AB_PARAM_WSQUARE_BIAS,
    AB_PARAM_SEED("logit"), AB_PARAM_UNKNOWN,  AB_PARAM_COMPAT("zennit, innvestigate")};

static const struct ab_compat compats[] = {
    {"zennit", "bias=square"},
    {"innvestigate", "eps=0,norm_eps=0"},
};

const struct ab_method_desc ab_method_lrp_wsquare = {
    .name = "lrp-wsquare",
    .summary = "relevance shared in proportion to w^2, whatever the input",
    .source = "Montavon et al. 2017, arXiv 1512.02479",
    .cost = "1F+1B",
    .tools = "zennit, iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT,
                  .rule = {[AB_POS_CONV] = {AB_RULE_WSQUARE, .eps = 1e-6f, .bias = AB_BIAS_NONE},
                           [AB_POS_DENSE] = {AB_RULE_WSQUARE, .eps = 1e-6f, .bias = AB_BIAS_NONE}},
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_rules,
};
