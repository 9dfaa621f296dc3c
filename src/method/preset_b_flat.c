// SPDX-License-Identifier: Apache-2.0
// iNNvestigate's sequential preset B, flat at the image: alpha-beta on convolutions, epsilon 0.1 on
// dense layers.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_ALPHA,
                                         AB_PARAM_BETA,
                                         AB_PARAM_EPSILON_EPS("0.1"),
                                         AB_PARAM_STABILIZER,
                                         AB_PARAM_NORM_EPS,
                                         AB_PARAM_BIAS,
                                         AB_PARAM_SIGNED_INPUT,
                                         AB_PARAM_SEED("logit"),
                                         AB_PARAM_UNKNOWN,
                                         AB_PARAM_COMPAT("innvestigate")};

static const struct ab_compat compats[] = {
    {"innvestigate", "bias=signed,stabilizer=0,norm_eps=0"},
};

const struct ab_method_desc ab_method_preset_b_flat = {
    .name = "preset-b-flat",
    .summary = "LRP composite: flat first, alpha-beta on convolutions, epsilon 0.1 on dense layers",
    .source =
        "Kohlbrenner et al. 2020, arXiv 1910.09840; as iNNvestigate's LRPSequentialPresetBFlat",
    .cost = "conv 2F+2B, dense 1F+1B",
    .tools = "iNNvestigate",
    .composite = {.seed = AB_SEED_LOGIT,
                  .rule = {[AB_POS_FIRST] = {AB_RULE_FLAT, .eps = 1e-6f},
                           [AB_POS_CONV] = {AB_RULE_ALPHA_BETA, .eps = 1e-6f, .alpha = 2,
                                            .beta = 1},
                           [AB_POS_DENSE] = {AB_RULE_EPSILON, .eps = 0.1f}},
                  .relu = AB_RELU_PASS,
                  .relevance = true,
                  .norm_eps = 1e-6f},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_rules,
};
