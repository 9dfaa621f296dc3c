// SPDX-License-Identifier: Apache-2.0
// Occlusion: a window slides over the image.
#include "method/params.h"

static const struct ab_param params[] = {
    {{"window", "auto", "1.., auto",
      "side of the window in pixels; auto: an eighth of the image's height"},
     ab_set_window},
    {{"stride", "auto", "1.., auto", "step of the window; auto: half of the window"},
     ab_set_stride},
    {{"baseline", "0", "v or v/v/v", "what covers the window, one value or one per channel"},
     ab_set_fill},
    {{"keep", "0", "0, 1", "cover all but the window instead, and count the logit itself"},
     ab_set_keep},
    AB_PARAM_COMPAT("captum, zennit"),
};
static const struct ab_compat compats[] = {{"captum", ""}, {"zennit", "window=8,stride=8,keep=1"}};

const struct ab_method_desc ab_method_occlusion = {
    .name = "occlusion",
    .summary = "what the target's logit loses when a window of the image is covered",
    .source = "Zeiler, Fergus 2013, arXiv 1311.2901",
    .cost = "nF",
    .tools = "captum, zennit",
    .composite =
        {.sampling = {.kind = AB_SAMPLE_OCCLUSION, .n_fill = 1, .noise = -1, .noise_abs = -1}},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
    .check = ab_check_sampling,
};
