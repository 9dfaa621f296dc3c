// SPDX-License-Identifier: Apache-2.0
// LRP-gamma: contributions of z's own sign count more.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_GAMMA,      AB_PARAM_FORM,
                                         AB_PARAM_GAMMA_BIAS, AB_PARAM_EPS,
                                         AB_PARAM_NORM_EPS,   AB_PARAM_ADD,
                                         AB_PARAM_AVGPOOL,    AB_PARAM_SEED("logit"),
                                         AB_PARAM_UNKNOWN,    AB_PARAM_COMPAT("captum, zennit")};

static const struct ab_compat compats[] = {
    {"captum", "form=original,bias=plain,eps=1e-09,norm_eps=1e-09"},
    {"zennit", ""},
};

const struct ab_method_desc ab_method_lrp_gamma = {
    .name = "lrp-gamma",
    .summary = "relevance shared with positive contributions weighted by 1 + gamma",
    .source =
        "Montavon et al. 2019, doi 10.1007/978-3-030-28954-6_10; general form as zennit's Gamma",
    .cost = "2F+1B; signed inputs and sums 2F+2B",
    .tools = "captum, zennit",
    .composite = {.seed = AB_SEED_LOGIT,
                  .rule = {[AB_POS_CONV] = {AB_RULE_GAMMA, .eps = 1e-6f, .gamma = 0.25f},
                           [AB_POS_DENSE] = {AB_RULE_GAMMA, .eps = 1e-6f, .gamma = 0.25f}},
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_rules,
};
