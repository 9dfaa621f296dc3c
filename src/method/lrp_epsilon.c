// SPDX-License-Identifier: Apache-2.0
// LRP-epsilon.
#include "method/params.h"

static const struct ab_param params[] = {
    AB_PARAM_EPS,          AB_PARAM_NORM_EPS,
    AB_PARAM_EPSILON_BIAS, AB_PARAM_ADD,
    AB_PARAM_AVGPOOL,      AB_PARAM_SEED("logit"),
    AB_PARAM_UNKNOWN,      AB_PARAM_COMPAT("captum, zennit, innvestigate, author")};

static const struct ab_compat compats[] = {
    {"captum", "eps=1e-09,norm_eps=1e-09"},
    {"zennit", ""},
    {"innvestigate", "eps=1e-07,norm_eps=0"},
    {"author", "eps=0.0001,norm_eps=0.0001"},
};

const struct ab_method_desc ab_method_lrp_epsilon = {
    .name = "lrp-epsilon",
    .summary = "relevance shared in proportion to a*w, denominators stabilised by eps",
    .source = "Bach et al. 2015, doi 10.1371/journal.pone.0130140",
    .cost = "1F+1B",
    .tools = "captum, zennit, iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT,
                  .rule = {[AB_POS_CONV] = {AB_RULE_EPSILON, .eps = 1e-6f},
                           [AB_POS_DENSE] = {AB_RULE_EPSILON, .eps = 1e-6f}},
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_rules,
};
