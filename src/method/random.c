// SPDX-License-Identifier: Apache-2.0
// Control: random numbers.
#include "method/params.h"

static const struct ab_param params[] = {
    AB_PARAM_RANDOM_SEED,
};

const struct ab_method_desc ab_method_random = {
    .name = "random",
    .summary = "control: normal numbers that depend on the image and the seed alone",
    .source = "Adebayo et al. 2018, arXiv 1810.03292",
    .cost = "1F",
    .tools = "iNNvestigate, Quantus",
    .composite = {.map = AB_MAP_RANDOM, .sampling = {.seed = 1}},
    .params = params,
    .n_params = AB_COUNT(params),
};
