// SPDX-License-Identifier: Apache-2.0
// Guided Grad-CAM: Guided Backprop where Grad-CAM is positive.
#include "method/params.h"

static const struct ab_param params[] = {AB_PARAM_CAM, AB_PARAM_SEED("one"),
                                         AB_PARAM_COMPAT("captum")};

static const struct ab_compat compats[] = {{"captum", "upsample=nearest"}};

const struct ab_method_desc ab_method_guided_grad_cam = {
    .name = "guided-grad-cam",
    .summary = "guided-backprop times grad-cam",
    .source = "Selvaraju et al. 2017, arXiv 1610.02391",
    .cost = "1F+1B",
    .tools = "captum",
    .composite =
        {.map = AB_MAP_GUIDED_CAM,
         .relu = AB_RELU_GUIDED,
         .cam_relu = true,
         .rule = {[AB_POS_CONV] = {AB_RULE_GRADIENT}, [AB_POS_DENSE] = {AB_RULE_GRADIENT}}},
    .params = params,
    .n_params = AB_COUNT(params),
    .compats = compats,
    .n_compats = AB_COUNT(compats),
};
