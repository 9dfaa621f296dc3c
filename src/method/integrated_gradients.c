// SPDX-License-Identifier: Apache-2.0
// Integrated gradients: the mean gradient on the way from a baseline, times that way.
#include "method/params.h"

static const struct ab_param params[] = {
    {{"n", "50", "1..1000000", "points on the path"}, ab_set_samples},
    {{"steps", "", "1..1000000", "another name of n, which goes before it"}, ab_set_samples},
    {{"rule", "gauss-legendre", "gauss-legendre, left, right, middle, trapezoid",
      "where the points lie and how they count; the weights of all sum to 1"},
     ab_set_path_rule},
    {{"baseline", "0", "v or v/v/v", "where the path begins, one value or one per channel"},
     ab_set_fill},
    AB_PARAM_BASE,
    AB_PARAM_COMPAT("captum, zennit, innvestigate"),
};
static const struct ab_compat compats[] = {
    {"captum", ""}, {"zennit", "n=20,rule=right"}, {"innvestigate", "n=64,rule=left"}};

const struct ab_method_desc ab_method_integrated_gradients = {
    .name = "integrated-gradients",
    .summary = "mean gradient on the line from a baseline to the image, times their difference",
    .source = "Sundararajan et al. 2017, arXiv 1703.01365",
    .cost = "nF+nB",
    .tools = "captum, zennit, iNNvestigate",
    .composite = {.sampling = {.kind = AB_SAMPLE_PATH,
                               .n = 50,
                               .n_fill = 1,
                               .noise = -1,
                               .noise_abs = -1,
                               .base = "gradient"}},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_sampling,
};
