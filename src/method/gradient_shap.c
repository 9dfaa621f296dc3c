// SPDX-License-Identifier: Apache-2.0
// GradientSHAP (expected gradients): integrated gradients with random baselines and points.
#include "method/params.h"

static const struct ab_param params[] = {
    {{"n", "50", "1..1000000", "samples"}, ab_set_samples},
    {{"baselines", "random", "random, F.npy", "what baselines are drawn from, one for each sample"},
     ab_set_baselines},
    {{"spread", "1", ">= 0", "standard deviation of random baselines, whose mean is 0"},
     ab_set_spread},
    {{"stdev", "0", ">= 0", "standard deviation of noise added to the image"}, ab_set_noise_abs},
    AB_PARAM_RANDOM_SEED,
    AB_PARAM_BASE,
};

const struct ab_method_desc ab_method_gradient_shap = {
    .name = "gradient-shap",
    .summary = "mean over random baselines of the gradient at a random point of the line from "
               "there, times the difference",
    .source = "Erion et al. 2019, arXiv 1906.10670; Lundberg, Lee 2017, arXiv 1705.07874",
    .cost = "nF+nB",
    .tools = "captum",
    .composite = {.sampling = {.kind = AB_SAMPLE_GRADIENT_SHAP,
                               .n = 50,
                               .spread = 1,
                               .noise = -1,
                               .noise_abs = -1,
                               .seed = 1,
                               .base = "gradient"}},
    .params = params,
    .n_params = AB_COUNT(params),
    .check = ab_check_sampling,
};
