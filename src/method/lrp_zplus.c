// SPDX-License-Identifier: Apache-2.0
// LRP-z+ (alpha 1, beta 0).
#include "method/params.h"

static const struct ab_param params[] = {
    AB_PARAM_EPS,           AB_PARAM_NORM_EPS, AB_PARAM_BIAS,
    AB_PARAM_SIGNED_INPUT,  AB_PARAM_ADD,      AB_PARAM_AVGPOOL,
    AB_PARAM_SEED("logit"), AB_PARAM_UNKNOWN,  AB_PARAM_COMPAT("captum, zennit, innvestigate")};

static const struct ab_compat compats[] = {
    {"captum", "bias=signed,signed_input=naive,eps=1e-09,norm_eps=1e-09"},
    {"zennit", ""},
    {"innvestigate", "bias=none,eps=0,norm_eps=0"},
};

const struct ab_method_desc ab_method_lrp_zplus = {
    .name = "lrp-zplus",
    .summary = "relevance shared in proportion to the positive contributions",
    .source = "Montavon et al. 2017, arXiv 1512.02479; signed inputs as in zennit's ZPlus",
    .cost = "2F+1B",
    .tools = "captum, zennit, iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT,
                  .rule = {[AB_POS_CONV] = {AB_RULE_ZPLUS, .eps = 1e-6f},
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
