// SPDX-License-Identifier: Apache-2.0
// SmoothGrad-Squared: the mean square of the maps of noisy images.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAMS_NOISE("1..1000000")};
static const struct ab_compat compats[] = {AB_COMPATS_NOISE};

const struct ab_method_desc ab_method_smoothgrad_squared = {
    .name = "smoothgrad-squared",
    .summary = "mean square of the maps of the image under noise",
    .source = "Hooker et al. 2018, arXiv 1806.10758",
    .cost = "nF+nB",
    .tools = "captum",
    .composite = {.sampling = {.kind = AB_SAMPLE_NOISE_SQUARE,
                               .n = 50,
                               .noise = -1,
                               .noise_abs = -1,
                               .seed = 1,
                               .base = "gradient"}},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_sampling,
};
