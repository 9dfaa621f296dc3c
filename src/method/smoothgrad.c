// SPDX-License-Identifier: Apache-2.0
// SmoothGrad: the mean map of noisy images.
#include "method/params.h"

static const struct ab_param params[] = {
    {{"n", "50", "1..1000000", "samples"}, ab_set_samples},
    {{"noise", "0.15", ">= 0",
      "standard deviation of the noise, in parts of the image's max - min"},
     ab_set_noise},
    {{"noise_abs", "", ">= 0", "instead of noise: the standard deviation itself"},
     ab_set_noise_abs},
    AB_PARAM_RANDOM_SEED,
    AB_PARAM_BASE,
    {{"clean_last", "0", "0, 1", "the last sample is the image without noise"}, ab_set_clean_last},
    AB_PARAM_COMPAT("captum, zennit, innvestigate"),
};
static const struct ab_compat compats[] = {{"captum", "n=5,noise_abs=1"},
                                           {"zennit", "n=20,noise=0.1,clean_last=1"},
                                           {"innvestigate", "n=64,noise_abs=1"}};

const struct ab_method_desc ab_method_smoothgrad = {
    .name = "smoothgrad",
    .summary = "mean map of the image under noise",
    .source = "Smilkov et al. 2017, arXiv 1706.03825",
    .cost = "nF+nB",
    .tools = "captum, zennit, iNNvestigate",
    .composite = {.sampling = {.kind = AB_SAMPLE_NOISE,
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
