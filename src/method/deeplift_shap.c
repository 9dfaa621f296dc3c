// SPDX-License-Identifier: Apache-2.0
// DeepSHAP: the mean DeepLIFT map over reference inputs.
#include "method/params.h"

static const struct ab_param params[] = {
    {{"n", "50", "1..1000000", "random reference inputs; a file's are all taken"}, ab_set_samples},
    {{"baselines", "random", "random, F.npy", "the reference inputs"}, ab_set_baselines},
    {{"spread", "1", ">= 0", "standard deviation of random ones, whose mean is 0"}, ab_set_spread},
    AB_PARAM_RANDOM_SEED,
    {{"base", "deeplift(baseline=given)", "deeplift(baseline=given,key=value,...)",
      "the method that is averaged"},
     ab_set_base},
};

const struct ab_method_desc ab_method_deeplift_shap = {
    .name = "deeplift-shap",
    .summary = "mean DeepLIFT map over many reference inputs",
    .source = "Lundberg, Lee 2017, arXiv 1705.07874",
    .cost = "2nF+nB",
    .tools = "captum",
    .composite = {.sampling = {.kind = AB_SAMPLE_DEEPLIFT_SHAP,
                               .n = 50,
                               .spread = 1,
                               .noise = -1,
                               .noise_abs = -1,
                               .seed = 1,
                               .base = "deeplift(baseline=given)"}},
    .params = params,
    .n_params = AB_COUNT(params),
    .check = ab_check_sampling,
};
