// SPDX-License-Identifier: Apache-2.0
// VarGrad: the variance of the maps of noisy images.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAMS_NOISE("2..1000000")};
static const struct ab_compat compats[] = {AB_COMPATS_NOISE};

const struct ab_method_desc ab_method_vargrad = {
    .name = "vargrad",
    .summary = "variance of the maps of the image under noise",
    .source = "Adebayo et al. 2018, arXiv 1810.03307",
    .cost = "nF+nB",
    .tools = "captum",
    .composite = {.sampling = {.kind = AB_SAMPLE_NOISE_VARIANCE,
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
