// SPDX-License-Identifier: Apache-2.0
// The flat rule in every layer: relevance in equal parts, a map of receptive fields.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_EPS, AB_PARAM_NORM_EPS, AB_PARAM_SEED("logit"),
                                         AB_PARAM_UNKNOWN, AB_PARAM_COMPAT("zennit, innvestigate")};

static const struct ab_compat compats[] = {
    {"zennit", ""},
    {"innvestigate", "eps=0,norm_eps=0"},
};

const struct ab_method_desc ab_method_lrp_flat = {
    .name = "lrp-flat",
    .summary = "relevance shared in equal parts, whatever input and weights",
    .source = "Lapuschkin et al. 2019, arXiv 1902.10178",
    .cost = "1F+1B",
    .tools = "zennit, iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT,
                  .rule = {[AB_POS_CONV] = {AB_RULE_FLAT, .eps = 1e-6f},
                           [AB_POS_DENSE] = {AB_RULE_FLAT, .eps = 1e-6f}},
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_rules,
};
